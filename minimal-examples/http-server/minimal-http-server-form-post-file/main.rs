//! A form with a file, which goes to the disk as it comes.

use lexopt::prelude::*;
use rlws::forms::{Form, FormLimits};
use rlws::protocols::http_dummy;
use rlws::{
    Call, Context, ContextInfo, InitError, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Verdict, VhostCall,
    VhostInfo, logger,
};
use std::path::PathBuf;
use upload::Upload;

mod upload;

const USAGE: &str = "\
usage: minimal-http-server-form-post-file [OPTIONS]
  --dir DIR        the folder where files are kept; the current one unless told
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/minimal-examples/http-server/minimal-http-server-form-post-file/mount-origin"
);

/// Bytes of a file, and of all that comes with it.
const MAX_FILE: u64 = 64 * 1024 * 1024;
const MAX_BODY: u64 = MAX_FILE + 64 * 1024;

struct FormPostFile;

#[derive(Default)]
struct Pss {
    form: Option<Form>,
    upload: Upload,
}

impl Protocol for FormPostFile {
    const NAME: &'static str = "form-post-file";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = Pss;
    type Vhost = PathBuf;

    fn init(_vhost: VhostCall<'_>, pvo: &Pvo) -> Result<PathBuf, InitError> {
        Ok(pvo.get("dir").ok_or("the option \"dir\" is missing")?.into())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss: Pss { form, upload }, vhd: dir } = call;
        let done = match reason {
            Reason::Http(request) if request.method() == "POST" => {
                let content_type = request.header_str("content-type").unwrap_or_default();
                let limits = FormLimits { files: 1, file: MAX_FILE, total: MAX_BODY, ..FormLimits::default() };
                Form::new(content_type, limits).map(|new| *form = Some(new))
            }
            Reason::HttpBody(bytes) => match form {
                Some(form) => form.feed(bytes, |event| upload.take(event, dir)),
                None => Ok(()),
            },
            Reason::HttpBodyCompletion => match form.take() {
                Some(form) => {
                    form.finish(|event| upload.take(event, dir)).map(|()| wsi.http_redirect(303, "/after-form1.html"))
                }
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
    let mut dir = ".".to_owned();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("dir") => dir = args.value()?.string()?,
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
        protocols: vec![ProtocolTable::of::<FormPostFile>()],
        pvo: Pvo::default().with("form-post-file", Pvo::default().with("dir", dir)),
        mounts: vec![
            Mount::files("/", ORIGIN),
            Mount::callback("/form1", "form-post-file").exact_match().max_body(MAX_BODY),
        ],
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
