//! Pages for everybody, and pages for those who know a password.

use lexopt::prelude::*;
use rlws::{Context, ContextInfo, Listen, Mount, Options, VhostInfo, logger};
use std::path::PathBuf;

const USAGE: &str = "\
usage: minimal-http-server-basicauth [OPTIONS]
  --passwords FILE  lines of user:password; the example's own unless told
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/http-server/minimal-http-server-basicauth/mount-origin");

/// Not below the other one: what one mount guards, another must not serve.
const SECRET: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/minimal-examples/http-server/minimal-http-server-basicauth/mount-secret-origin"
);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut passwords = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/minimal-examples/http-server/minimal-http-server-basicauth/ba-passwords"
    ));
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("passwords") => passwords = args.value()?.into(),
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
        mounts: vec![Mount::files("/", ORIGIN), Mount::files("/secret", SECRET).basic_auth(passwords)],
        options: Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE,
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
