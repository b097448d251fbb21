//! Serves http, and relays whatever else connects to the same port, such as ssh.

use lexopt::prelude::*;
use rlws::protocols::{HttpDummy, RawProxy};
use rlws::{Context, ContextInfo, Listen, Mount, Options, Pem, ProtocolTable, Pvo, TlsInfo, VhostInfo, logger};
use std::path::PathBuf;

const USAGE: &str = "\
usage: minimal-raw-proxy-fallback [OPTIONS]
  -s               https
  -s -h            https, and http beside it
  -s -u            https, and http redirected to it
  --cert FILE      the certificate, PEM; one for localhost that anybody has unless told
  --key FILE       its private key
  -r TARGET        where to: ipv4:ADDR:PORT, ipv6:[ADDR]:PORT, tcp:HOST:PORT or unix:PATH; ipv4:127.0.0.1:22
  --origin DIR     the folder to serve; the example's own unless told
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
    let mut onward = "ipv4:127.0.0.1:22".to_owned();
    let mut origin = PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/minimal-examples/raw/minimal-raw-proxy-fallback/mount-origin"
    ));
    let (mut tls, mut cert, mut key) = (false, None, None);
    let mut options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG
        | Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE
        | Options::ALLOW_NON_SSL_ON_SSL_PORT;
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Short('s') => tls = true,
            Short('h') => options |= Options::ALLOW_HTTP_ON_HTTPS_LISTENER,
            Short('u') => options |= Options::REDIRECT_HTTP_TO_HTTPS,
            Long("cert") => cert = Some(args.value()?),
            Long("key") => key = Some(args.value()?),
            Short('r') => onward = args.value()?.string()?,
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
    if !tls && options.intersects(Options::ALLOW_HTTP_ON_HTTPS_LISTENER | Options::REDIRECT_HTTP_TO_HTTPS) {
        return Err("-h and -u say what becomes of http beside https: they need -s".into());
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
        mounts: vec![Mount::files("/", origin)],
        error_document_404: Some("/404.html".into()),
        tls: tls.then(|| TlsInfo::new(cert, key)),
        options,
        protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawProxy>()],
        pvo: Pvo::default().with("raw-proxy", Pvo::default().with("onward", onward)),
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
