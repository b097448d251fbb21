//! Headers of requests that no list knows, and headers of responses: of a vhost, of a mount, of a protocol.

use lexopt::prelude::*;
use rlws::protocols::http_dummy;
use rlws::{
    Call, Context, ContextInfo, InitError, Interests, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Response,
    Verdict, VhostCall, VhostInfo, logger,
};

const USAGE: &str = "\
usage: minimal-http-server-custom-headers [OPTIONS]
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/minimal-examples/http-server/minimal-http-server-custom-headers/mount-origin"
);

struct CustomHeaders;

impl Protocol for CustomHeaders {
    const NAME: &'static str = "custom-headers";
    const ROLES: &'static [&'static str] = &["http"];
    const INTERESTS: Interests = Interests::ADD_HEADERS;
    type Session = ();
    /// How many responses there have been.
    type Vhost = u64;

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<u64, InitError> {
        Ok(0)
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, vhd: count, .. } = call;
        match reason {
            Reason::Http(request) => {
                let text = match request.header_str("dnt") {
                    Some(value) => format!("DNT is {value:?}\n"),
                    None => "there is no DNT\n".to_owned(),
                };
                let page = Response::new(200).content_type("text/plain; charset=utf-8").header("X-Made-By", "callback");
                if wsi.respond_with(page, text).is_err() {
                    return Verdict::Close;
                }
            }
            // For each response of a transaction that it is bound to: those of its own, and the files of the mount that names it.
            Reason::AddHeaders => {
                *count += 1;
                if let Err(error) = wsi.add_http_header("X-Count", count.to_string()) {
                    log::warn!("{error}");
                }
            }
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
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
        protocols: vec![ProtocolTable::of::<CustomHeaders>()],
        mounts: vec![
            Mount::files("/", ORIGIN).protocol("custom-headers").header("X-Mount", "files"),
            Mount::callback("/dyn", "custom-headers"),
        ],
        headers: vec![("X-Vhost".into(), "localhost".into())],
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
