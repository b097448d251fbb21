//! A chat in the browser: what one page says, all of them hear.

use lexopt::prelude::*;
use rlws::protocols::RawProxy;
use rlws::{Cache, Call, CloseCode, Context, ContextInfo, InitError, Interests, Listen, Mount, Options, Pem, Protocol};
use rlws::{ProtocolTable, Pvo, Reason, Ring, TlsInfo, Validity, Verdict, VhostCall, VhostInfo, WsInfo, WsLimits};
use rlws::{WsWrite, logger};
use std::time::Duration;

const USAGE: &str = "\
usage: minimal-ws-server [OPTIONS]
  -s               over TLS
  --cert FILE      the certificate, PEM; one for localhost that anybody has unless told
  --key FILE       its private key
  -h               only for who asks for localhost by that name
  -v               pings who has been silent for 3 s, and closes after 10 s
  -r TARGET        relays what is not http, such as ssh: ipv4:ADDR:PORT, ipv6:[ADDR]:PORT, tcp:HOST:PORT or unix:PATH
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

/// A certificate for localhost, signed by itself. Its key is public: for trying things out.
const CERT: &[u8] = include_bytes!("../../localhost-100y.cert");
const KEY: &[u8] = include_bytes!("../../localhost-100y.key");

const ORIGIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/ws-server/minimal-ws-server/mount-origin");

struct Chat;

impl Protocol for Chat {
    const NAME: &'static str = "lws-minimal";
    const ROLES: &'static [&'static str] = &["ws"];
    const INTERESTS: Interests = Interests::WS_WHOLE_MESSAGES;
    type Session = ();
    /// Each connection takes from it at its own pace; who is a hundred lines behind is disconnected, and the page comes again.
    type Vhost = Ring<Vec<u8>>;

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<Ring<Vec<u8>>, InitError> {
        Ok(Ring::new(100))
    }

    fn callback(Call { wsi, cx, vhd: ring, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Established => ring.join(wsi.id()),
            Reason::Receive(_) if wsi.frame_is_binary() => {
                return wsi.close_with(CloseCode::UNACCEPTABLE_KIND, "text alone is taken");
            }
            Reason::Receive(line) => {
                for lagging in ring.push(line.to_vec()) {
                    cx.close_later_with(lagging, CloseCode::POLICY_VIOLATION, "you lag too far behind");
                }
                cx.callback_on_writable_all_protocol(wsi.vhost(), Self::NAME);
                // Until it has heard this one itself: so that nobody speaks faster than the others are told.
                wsi.rx_flow_control(false);
            }
            Reason::ServerWriteable => {
                if let Some(line) = ring.peek(wsi.id()) {
                    if wsi.write_ws(WsWrite::TEXT, line).is_err() {
                        return Verdict::Close;
                    }
                    ring.advance(wsi.id());
                }
                match ring.waiting(wsi.id()) {
                    0 => wsi.rx_flow_control(true),
                    _ => wsi.callback_on_writable(),
                }
            }
            Reason::Closed => ring.leave(wsi.id()),
            _ => {}
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let (mut tls, mut cert, mut key) = (false, None, None);
    let (mut validity, mut onward) = (None, None);
    let mut options = Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE;
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Short('s') => tls = true,
            Long("cert") => cert = Some(args.value()?),
            Long("key") => key = Some(args.value()?),
            Short('h') => options |= Options::VHOST_UPG_STRICT_HOST_CHECK,
            Short('v') => {
                validity = Some(Validity { ping: Duration::from_secs(3), hang_up: Duration::from_secs(10) });
            }
            Short('r') => onward = Some(args.value()?.string()?),
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

    let limits = WsLimits { message: 4096, ..Default::default() };
    let mut info = VhostInfo {
        name: "localhost".into(),
        listen: Listen::Tcp { port, interface },
        tls: tls.then(|| TlsInfo::new(cert, key)),
        // Not to be kept by browsers: other examples have pages at the same address.
        mounts: vec![Mount::files("/", ORIGIN).cache(Cache::default())],
        protocols: vec![ProtocolTable::of::<Chat>()],
        ws: WsInfo { limits, validity, ..Default::default() },
        options,
        ..Default::default()
    };
    if let Some(onward) = onward {
        info.protocols.push(ProtocolTable::of::<RawProxy>());
        info.pvo = Pvo::default().with("raw-proxy", Pvo::default().with("onward", onward));
        info.listen_accept_role = Some("raw-proxy".into());
        info.listen_accept_protocol = Some("raw-proxy".into());
        info.options |= Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
    }
    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(info)?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
