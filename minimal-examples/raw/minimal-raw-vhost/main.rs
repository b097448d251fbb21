//! A raw vhost without http: what one client says goes to all of them.

use lexopt::prelude::*;
use rlws::protocols::RawTest;
use rlws::{Context, ContextInfo, Listen, Options, Pem, ProtocolTable, TlsInfo, VhostInfo, logger};

const USAGE: &str = "\
usage: minimal-raw-vhost [OPTIONS]
  -s               over TLS
  --cert FILE      the certificate, PEM; one for localhost that anybody has unless told
  --key FILE       its private key
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

/// A certificate for localhost, signed by itself. Its key is public: for trying things out.
const CERT: &[u8] = include_bytes!("../../localhost-100y.cert");
const KEY: &[u8] = include_bytes!("../../localhost-100y.key");

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let (mut tls, mut cert, mut key) = (false, None, None);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Short('s') => tls = true,
            Long("cert") => cert = Some(args.value()?),
            Long("key") => key = Some(args.value()?),
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
    let (cert, key) = match (cert, key) {
        (Some(cert), Some(key)) => (Pem::file(cert), Pem::file(key)),
        (None, None) => (Pem::text(CERT), Pem::text(KEY)),
        _ => return Err("--cert and --key belong together".into()),
    };
    logger::init(level);

    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(VhostInfo {
        name: "localhost".into(),
        listen: Listen::Tcp { port, interface },
        tls: tls.then(|| TlsInfo::new(cert, key)),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        protocols: vec![ProtocolTable::of::<RawTest>()],
        listen_accept_role: Some("raw-skt".into()),
        listen_accept_protocol: Some("raw-test".into()),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
