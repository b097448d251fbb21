//! A form whose fields come in the query of a GET.

use lexopt::prelude::*;
use rlws::protocols::http_dummy;
use rlws::{
    Call, Context, ContextInfo, InitError, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Verdict, VhostCall,
    VhostInfo, logger,
};

const USAGE: &str = "\
usage: minimal-http-server-form-get [OPTIONS]
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/http-server/minimal-http-server-form-get/mount-origin");

struct FormGet;

impl Protocol for FormGet {
    const NAME: &'static str = "form-get";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = ();
    type Vhost = ();

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Http(request) if request.method() == "GET" => {
                for name in ["text1", "send"] {
                    match request.arg(name) {
                        Some(value) => log::info!("{name}: {value:?}"),
                        None => log::info!("{name}: not there"),
                    }
                }
                // 303, so that no client takes this answer for what it may keep; lws's example says 301.
                call.wsi.http_redirect(303, "/after-form1.html");
                Verdict::Continue
            }
            _ => http_dummy::callback(call.wsi, call.cx, reason),
        }
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("port") => port = args.value()?.parse()?,
            Long("interface") => interface = Some(args.value()?.string()?),
            Short('d') => level = args.value()?.parse()?,
            Long("help") => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    logger::init(level);

    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(VhostInfo {
        name: "localhost".into(),
        listen: Listen::Tcp { port, interface },
        protocols: vec![ProtocolTable::of::<FormGet>()],
        mounts: vec![Mount::files("/", ORIGIN), Mount::callback("/form1", "form-get").exact_match()],
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
