//! Serves the files of a folder over https.

use lexopt::prelude::*;
use rlws::{Context, ContextInfo, Listen, Mount, Options, Pem, TlsInfo, VhostInfo, logger};
use std::path::PathBuf;

const USAGE: &str = "\
usage: minimal-http-server-tls [OPTIONS]
  --origin DIR     the folder to serve; the example's own unless told
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
    let mut origin = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/minimal-examples/http-server/minimal-http-server-tls/mount-origin"
    ));
    let (mut cert, mut key) = (None, None);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("origin") => origin = args.value()?.into(),
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
        tls: Some(TlsInfo::new(cert, key)),
        mounts: vec![Mount::files("/", origin)],
        error_document_404: Some("/404.html".into()),
        options: Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE,
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
