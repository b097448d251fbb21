//! Relays every connection to another server, without looking at it.

use lexopt::prelude::*;
use rlws::protocols::RawProxy;
use rlws::{Context, ContextInfo, Listen, Options, ProtocolTable, Pvo, VhostInfo, logger};

const USAGE: &str = "\
usage: minimal-raw-proxy [OPTIONS]
  -r TARGET        where to: ipv4:ADDR:PORT, ipv6:[ADDR]:PORT, tcp:HOST:PORT or unix:PATH; ipv4:127.0.0.1:22
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut onward = "ipv4:127.0.0.1:22".to_owned();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Short('r') => onward = args.value()?.string()?,
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
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        pvo: Pvo::default().with("raw-proxy", Pvo::default().with("onward", onward)),
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
