//! Several names, each with a certificate and pages of its own, on one https port.

use lexopt::prelude::*;
use rlws::{Context, ContextInfo, Listen, Mount, Pem, TlsInfo, VhostInfo, logger};
use std::path::PathBuf;

const USAGE: &str = "\
usage: minimal-http-server-multivhost [OPTIONS]
  --origin DIR     has the folders localhost, one and two; the example's own unless told
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

/// Name, folder, certificate and key. The first serves every name that is not one of them. The keys are public: for trying things out.
const VHOSTS: [(&str, &str, &[u8], &[u8]); 3] = [
    ("localhost", "localhost", include_bytes!("../../localhost-100y.cert"), include_bytes!("../../localhost-100y.key")),
    ("one.localhost", "one", include_bytes!("one.cert"), include_bytes!("one.key")),
    ("two.localhost", "two", include_bytes!("two.cert"), include_bytes!("two.key")),
];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut origin = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/minimal-examples/http-server/minimal-http-server-multivhost/mount-origin"
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
    for (name, folder, cert, key) in VHOSTS {
        context.create_vhost(VhostInfo {
            name: name.into(),
            listen: Listen::Tcp { port, interface: interface.clone() },
            tls: Some(TlsInfo::new(Pem::text(cert), Pem::text(key))),
            mounts: vec![Mount::files("/", origin.join(folder))],
            ..Default::default()
        })?;
    }
    context.stop_on_signals()?;
    Ok(context.run()?)
}
