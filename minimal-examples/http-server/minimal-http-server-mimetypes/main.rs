//! Types of files by their suffix, for those that are not known or to be others.

use lexopt::prelude::*;
use rlws::{Context, ContextInfo, Listen, Mount, Options, VhostInfo, logger};

const USAGE: &str = "\
usage: minimal-http-server-mimetypes [OPTIONS]
  --any            serves files of unknown types too, as bytes
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/http-server/minimal-http-server-mimetypes/mount-origin");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut any = false;
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("any") => any = true,
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

    let mut mount = Mount::files("/", ORIGIN).mimetype(".bz2", "application/x-bzip2").mimetype(".rlws", "text/x-rlws");
    if any {
        mount = mount.mimetype("*", "application/octet-stream");
    }

    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(VhostInfo {
        name: "localhost".into(),
        listen: Listen::Tcp { port, interface },
        mounts: vec![mount],
        options: Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE,
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
