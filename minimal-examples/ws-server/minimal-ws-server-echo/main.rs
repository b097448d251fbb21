//! A WebSocket server that sends back what it gets, as it comes: a message of any length is never held whole.

use lexopt::prelude::*;
use rlws::{
    Call, Context, ContextInfo, InitError, Listen, Pem, PermessageDeflate, Protocol, ProtocolTable, Pvo, Reason,
};
use rlws::{TlsInfo, Verdict, VhostCall, VhostInfo, WsInfo, WsWrite, logger};

const USAGE: &str = "\
usage: minimal-ws-server-echo [OPTIONS]
  -s               over TLS
  --cert FILE      the certificate, PEM; one for localhost that anybody has unless told
  --key FILE       its private key
  -n               no compression (permessage-deflate)
  -t               compress with what was sent before in mind (context takeover)
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

/// A certificate for localhost, signed by itself. Its key is public: for trying things out.
const CERT: &[u8] = include_bytes!("../../localhost-100y.cert");
const KEY: &[u8] = include_bytes!("../../localhost-100y.key");

struct Echo;

impl Protocol for Echo {
    const NAME: &'static str = "lws-minimal-server-echo";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(Call { wsi, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::Receive(data) = reason {
            let kind = if wsi.frame_is_binary() { WsWrite::BINARY } else { WsWrite::TEXT };
            let part = kind.part(wsi.is_first_fragment(), wsi.is_final_fragment());
            // No more comes than can be answered, so there is always room.
            if let Err(error) = wsi.write_ws(part, data) {
                log::warn!("{error}");
                return Verdict::Close;
            }
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let (mut tls, mut cert, mut key) = (false, None, None);
    let (mut deflates, mut takeover) = (true, false);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Short('s') => tls = true,
            Long("cert") => cert = Some(args.value()?),
            Long("key") => key = Some(args.value()?),
            Short('n') => deflates = false,
            Short('t') => takeover = true,
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

    let deflate = PermessageDeflate {
        server_context_takeover: takeover,
        client_context_takeover: takeover,
        ..Default::default()
    };
    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(VhostInfo {
        name: "localhost".into(),
        listen: Listen::Tcp { port, interface },
        tls: tls.then(|| TlsInfo::new(cert, key)),
        protocols: vec![ProtocolTable::of::<Echo>()],
        ws: WsInfo { deflate: deflates.then_some(deflate), ..Default::default() },
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
