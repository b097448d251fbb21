//! A form whose fields come in the body of a POST.

use lexopt::prelude::*;
use rlws::forms::{Fields, Form, FormLimits};
use rlws::protocols::http_dummy;
use rlws::{
    Call, Context, ContextInfo, InitError, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Verdict, VhostCall,
    VhostInfo, logger,
};

const USAGE: &str = "\
usage: minimal-http-server-form-post [OPTIONS]
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/http-server/minimal-http-server-form-post/mount-origin");

struct FormPost;

#[derive(Default)]
struct Pss {
    form: Option<Form>,
    fields: Fields,
}

impl Protocol for FormPost {
    const NAME: &'static str = "form-post";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = Pss;
    type Vhost = ();

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss: Pss { form, fields }, .. } = call;
        let done = match reason {
            Reason::Http(request) if request.method() == "POST" => {
                let content_type = request.header_str("content-type").unwrap_or_default();
                Form::new(content_type, FormLimits::default()).map(|new| *form = Some(new))
            }
            Reason::HttpBody(bytes) => match form {
                Some(form) => form.feed(bytes, |event| fields.take(event)),
                None => Ok(()),
            },
            Reason::HttpBodyCompletion => match form.take() {
                Some(form) => form.finish(|event| fields.take(event)).map(|()| {
                    fields.iter().for_each(|(name, value)| log::info!("{name:?}: {value:?}"));
                    wsi.http_redirect(303, "/after-form1.html");
                }),
                None => Ok(()),
            },
            _ => return http_dummy::callback(wsi, cx, reason),
        };
        if let Err(error) = done {
            wsi.return_http_status(error.http_status(), Some(&format!("{error}\n")));
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
        protocols: vec![ProtocolTable::of::<FormPost>()],
        mounts: vec![Mount::files("/", ORIGIN), Mount::callback("/form1", "form-post").exact_match()],
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
