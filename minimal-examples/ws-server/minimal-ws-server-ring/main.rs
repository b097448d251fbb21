//! A chat of messages of any kind, out of a ring: who lags behind it is culled, and the others lose nothing.

use lexopt::prelude::*;
use rlws::{
    Cache, Call, CloseCode, Context, ContextInfo, InitError, Interests, Listen, Mount, Options, Protocol, ProtocolTable,
};
use rlws::{Pvo, Reason, Ring, Verdict, VhostCall, VhostInfo, WsWrite, logger};

const USAGE: &str = "\
usage: minimal-ws-server-ring [OPTIONS]
  --backlog N      messages that a connection may be behind; 8
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/ws-server/minimal-ws-server-ring/mount-origin");

struct Chat;

/// As it came, once for all who are to have it.
struct Message {
    kind: WsWrite,
    payload: Vec<u8>,
}

impl Protocol for Chat {
    const NAME: &'static str = "lws-minimal";
    const ROLES: &'static [&'static str] = &["ws"];
    const INTERESTS: Interests = Interests::WS_WHOLE_MESSAGES;
    type Session = ();
    type Vhost = Ring<Message>;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Ring<Message>, InitError> {
        Ok(Ring::new(pvo.parse("backlog")?.unwrap_or(8)))
    }

    fn callback(Call { wsi, cx, vhd: ring, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Established => ring.join(wsi.id()),
            Reason::Receive(payload) => {
                let kind = if wsi.frame_is_binary() { WsWrite::BINARY } else { WsWrite::TEXT };
                for lagging in ring.push(Message { kind, payload: payload.to_vec() }) {
                    log::info!("wsi {lagging} lags: culled");
                    cx.close_later_with(lagging, CloseCode::POLICY_VIOLATION, "you lag too far behind");
                }
                log::info!("{} bytes; {} messages kept", payload.len(), ring.len());
                cx.callback_on_writable_all_protocol(wsi.vhost(), Self::NAME);
                // Until it has heard this one itself: so that nobody speaks faster than the others are told.
                wsi.rx_flow_control(false);
            }
            // All that was written before is sent, so a message of whatever length may be received can be written.
            Reason::ServerWriteable => {
                if let Some(Message { kind, payload }) = ring.peek(wsi.id()) {
                    if let Err(error) = wsi.write_ws(*kind, payload) {
                        log::warn!("{error}");
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
    let mut own = Pvo::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("backlog") => own.push("backlog", args.value()?.string()?),
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
        // Not to be kept by browsers: other examples have pages at the same address.
        mounts: vec![Mount::files("/", ORIGIN).cache(Cache::default())],
        protocols: vec![ProtocolTable::of::<Chat>()],
        pvo: Pvo::default().with(Chat::NAME, own),
        options: Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE,
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
