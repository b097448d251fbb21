//! A browser talks to a raw TCP server: each WebSocket has a connection of its own onward.

use lexopt::prelude::*;
use rlws::{
    Cache, Call, CloseCode, CloseReason, ConnectInfo, Context, ContextInfo, HttpRequest, InitError, Listen, Mount,
};
use rlws::{
    Options, Pem, Protocol, ProtocolTable, Pvo, Reason, Target, TlsInfo, Validity, Verdict, VhostCall, VhostInfo,
    WsInfo,
};
use rlws::{WsWrite, WsiId, logger};
use std::time::Duration;

const USAGE: &str = "\
usage: minimal-ws-raw-proxy [OPTIONS]
  -r TARGET        where to: ipv4:ADDR:PORT, ipv6:[ADDR]:PORT, tcp:HOST:PORT or unix:PATH; ipv4:127.0.0.1:1234
  -s               over TLS, towards the browser
  --cert FILE      the certificate, PEM; one for localhost that anybody has unless told
  --key FILE       its private key
  -h               only for who asks for localhost by that name
  -v               pings who has been silent for 3 s, and closes after 10 s
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

/// A certificate for localhost, signed by itself. Its key is public: for trying things out.
const CERT: &[u8] = include_bytes!("../../localhost-100y.cert");
const KEY: &[u8] = include_bytes!("../../localhost-100y.key");

const ORIGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/ws-server/minimal-ws-raw-proxy/mount-origin");

/// What the browser is told; where the server is, and why it is away, is for the log.
const AWAY: (CloseCode, &str) = (CloseCode::UNEXPECTED_CONDITION, "the server cannot be reached");

/// What it is told of a server that has ended without its end: what came of it may be half of what there is.
const CUT_OFF: (CloseCode, &str) = (CloseCode::UNEXPECTED_CONDITION, "the connection to the server was lost");

/// The browser's side.
struct Ws;

#[derive(Default)]
struct Pair {
    onward: Option<WsiId>,
    /// What the browser said, which then rests until this is sent onward.
    up: Vec<u8>,
    /// What the server said, which then rests until the browser has it.
    down: Vec<u8>,
    /// The onward connection has ended, so this one is closed when the browser has everything.
    end: Option<(CloseCode, &'static str)>,
}

impl Protocol for Ws {
    const NAME: &'static str = "lws-ws-raw-ws";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = Pair;
    type Vhost = Target;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Target, InitError> {
        Ok(pvo.get("onward").ok_or("it has no option \"onward\"")?.parse()?)
    }

    fn callback(Call { wsi, cx, pss: pair, vhd: target }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::FilterProtocolConnection(request) if !is_of_our_page(request) => return Verdict::Close,
            // A child: it is closed with this one, and tells it of its own end.
            Reason::Established => {
                let info = ConnectInfo::new(wsi.vhost(), target.clone(), Raw::NAME).parent(wsi.id());
                match cx.client_connect(info) {
                    Ok(onward) => pair.onward = Some(onward),
                    Err(error) => {
                        log::warn!("{error}");
                        return wsi.close_with(AWAY.0, AWAY.1);
                    }
                }
                wsi.rx_flow_control(false);
            }
            Reason::Receive(data) => {
                pair.up.extend_from_slice(data);
                wsi.rx_flow_control(false);
                if let Some(onward) = pair.onward {
                    cx.callback_on_writable(onward);
                }
            }
            Reason::ServerWriteable if !pair.down.is_empty() => {
                if wsi.write_ws(WsWrite::BINARY, &pair.down).is_err() {
                    return Verdict::Close;
                }
                pair.down.clear();
                wsi.callback_on_writable();
            }
            Reason::ServerWriteable => match pair.end.take() {
                Some((code, text)) => return wsi.close_with(code, text),
                None => {
                    if let Some(onward) = pair.onward {
                        cx.rx_flow_control(onward, true);
                    }
                }
            },
            Reason::ChildClosing(_) => {
                pair.end.get_or_insert((CloseCode::NORMAL, ""));
                wsi.callback_on_writable();
            }
            _ => {}
        }
        Verdict::Continue
    }
}

/// Pages of others may not use the visitor's browser to get at the server. What is no browser has no `Origin`.
fn is_of_our_page(request: &HttpRequest) -> bool {
    let Some(origin) = request.header_str("origin") else { return true };
    origin.split_once("://").is_some_and(|(_, host)| Some(host) == request.header_str("host"))
}

/// The server's side.
struct Raw;

impl Protocol for Raw {
    const NAME: &'static str = "lws-ws-raw-raw";
    const ROLES: &'static [&'static str] = &["raw-skt"];
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(Call { wsi, cx, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Some(browser) = wsi.parent() else { return Verdict::Close };
        let Some(pair) = cx.pss::<Ws>(browser) else { return Verdict::Continue };
        match reason {
            Reason::ClientConnectionError(_) => pair.end = Some(AWAY),
            Reason::RawClose if matches!(wsi.close_reason(), Some(CloseReason::Lost(_))) => pair.end = Some(CUT_OFF),
            Reason::RawConnected => wsi.callback_on_writable(),
            Reason::RawWriteable if !pair.up.is_empty() => {
                if wsi.write(&pair.up).is_err() {
                    return Verdict::Close;
                }
                pair.up.clear();
                wsi.callback_on_writable();
            }
            Reason::RawWriteable => cx.rx_flow_control(browser, true),
            Reason::RawRx(data) => {
                pair.down.extend_from_slice(data);
                wsi.rx_flow_control(false);
                cx.callback_on_writable(browser);
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let (mut tls, mut cert, mut key) = (false, None, None);
    let (mut validity, mut onward) = (None, "ipv4:127.0.0.1:1234".to_owned());
    let mut options = Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE;
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Short('r') => onward = args.value()?.string()?,
            Short('s') => tls = true,
            Long("cert") => cert = Some(args.value()?),
            Long("key") => key = Some(args.value()?),
            Short('h') => options |= Options::VHOST_UPG_STRICT_HOST_CHECK,
            Short('v') => {
                validity = Some(Validity { ping: Duration::from_secs(3), hang_up: Duration::from_secs(10) });
            }
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
        // Not to be kept by browsers: other examples have pages at the same address.
        mounts: vec![Mount::files("/", ORIGIN).cache(Cache::default())],
        protocols: vec![ProtocolTable::of::<Ws>(), ProtocolTable::of::<Raw>()],
        pvo: Pvo::default().with(Ws::NAME, Pvo::default().with("onward", onward)),
        ws: WsInfo { validity, ..Default::default() },
        options,
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
