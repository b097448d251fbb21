//! Serves the files of a folder.

use lexopt::prelude::*;
use rlws::{Context, ContextInfo, Listen, Mount, Options, VhostInfo, logger};
use std::path::PathBuf;

const USAGE: &str = "\
usage: minimal-http-server [OPTIONS]
  --origin DIR     the folder to serve; the example's own unless told
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut origin = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/minimal-examples/http-server/minimal-http-server/mount-origin"
    ));
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("origin") => origin = args.value()?.into(),
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
        mounts: vec![Mount::files("/", origin)],
        error_document_404: Some("/404.html".into()),
        options: Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE,
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
