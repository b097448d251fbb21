//! A timer for each connection, and a timeout that what the page says puts off.

use lexopt::prelude::*;
use rlws::{
    Cache, Call, Context, ContextInfo, InitError, Listen, Mount, Options, Pem, Protocol, ProtocolTable, Pvo, Reason,
};
use rlws::{TlsInfo, Validity, Verdict, VhostCall, VhostInfo, WsInfo, WsWrite, logger};
use std::time::Duration;

const USAGE: &str = "\
usage: minimal-ws-server-timer [OPTIONS]
  --every MS       milliseconds between two callbacks of a connection's timer; 1000
  --timeout MS     how long a connection may be without a word; 60000
  -s               over TLS
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
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/ws-server/minimal-ws-server-timer/mount-origin");

struct Timer;

struct Vhd {
    every: Duration,
    timeout: Duration,
}

impl Protocol for Timer {
    const NAME: &'static str = "timer";
    const ROLES: &'static [&'static str] = &["ws"];
    /// How often the timer of this connection has called.
    type Session = u64;
    type Vhost = Vhd;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        Ok(Vhd {
            every: Duration::from_millis(pvo.parse("every")?.unwrap_or(1000)),
            timeout: Duration::from_millis(pvo.parse("timeout")?.unwrap_or(60_000)),
        })
    }

    fn callback(Call { wsi, cx, pss: count, vhd }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Established => {
                log::info!("Established: {}", wsi.peer());
                wsi.set_timer(cx, vhd.every);
                wsi.set_timeout(cx, vhd.timeout);
            }
            Reason::Receive(_) => wsi.set_timeout(cx, vhd.timeout),
            Reason::Timer => {
                *count += 1;
                wsi.callback_on_writable();
            }
            // The next wait begins when this one has been sent: a client that does not read piles nothing up.
            Reason::ServerWriteable => {
                if wsi.write_ws(WsWrite::TEXT, count.to_string().as_bytes()).is_err() {
                    return Verdict::Close;
                }
                wsi.set_timer(cx, vhd.every);
            }
            Reason::Closed => log::info!("Closed: {}", wsi.peer()),
            _ => {}
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let (mut tls, mut cert, mut key) = (false, None, None);
    let mut validity = None;
    let mut options = Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE;
    let mut own = Pvo::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("every") => own.push("every", args.value()?.string()?),
            Long("timeout") => own.push("timeout", args.value()?.string()?),
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
        protocols: vec![ProtocolTable::of::<Timer>()],
        pvo: Pvo::default().with(Timer::NAME, own),
        ws: WsInfo { validity, ..Default::default() },
        options,
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
