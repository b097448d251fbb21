//! A raw vhost without http: what one client says goes to all of them.

use lexopt::prelude::*;
use rlws::protocols::RawTest;
use rlws::{Context, ContextInfo, Listen, Options, ProtocolTable, VhostInfo, logger};

const USAGE: &str = "\
usage: minimal-raw-vhost [OPTIONS]
  -s               over TLS (not built yet)
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Short('s') => return Err("TLS is not built yet".into()),
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
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        protocols: vec![ProtocolTable::of::<RawTest>()],
        listen_accept_role: Some("raw-skt".into()),
        listen_accept_protocol: Some("raw-test".into()),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
