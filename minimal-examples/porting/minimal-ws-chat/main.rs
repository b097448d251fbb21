//! A chat: what one says all hear, itself included. Who lags behind is closed.

use lexopt::prelude::*;
use rlws::protocols::http_dummy;
use rlws::{
    Call, CloseCode, Context, ContextInfo, InitError, Interests, Listen, Protocol, ProtocolTable, Pvo, Reason, Ring,
    Verdict, VhostCall, VhostInfo, WsInfo, WsLimits, WsWrite, logger,
};

const LONGEST: usize = 4096;

struct Chat;

impl Protocol for Chat {
    const NAME: &'static str = "lws-chat";
    const ROLES: &'static [&'static str] = &["ws"];
    const INTERESTS: Interests = Interests::WS_WHOLE_MESSAGES;
    type Session = ();
    type Vhost = Ring<Vec<u8>>;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Ring<Vec<u8>>, InitError> {
        Ok(Ring::new(pvo.parse("backlog")?.unwrap_or(8)))
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, vhd: ring, .. } = call;
        match reason {
            Reason::Established => ring.join(wsi.id()),
            Reason::Closed => ring.leave(wsi.id()),
            Reason::Receive(_) if wsi.frame_is_binary() => {
                return wsi.close_with(CloseCode::UNACCEPTABLE_KIND, "text only, please");
            }
            Reason::Receive(text) => {
                for lagging in ring.push(text.to_vec()) {
                    log::info!("one lags: culled");
                    cx.close_later_with(lagging, CloseCode::POLICY_VIOLATION, "you lag too far behind");
                }
                cx.callback_on_writable_all_protocol(wsi.vhost(), Self::NAME);
                wsi.rx_flow_control(false); // until it has heard this itself
            }
            Reason::ServerWriteable => {
                if let Some(text) = ring.peek(wsi.id()) {
                    if wsi.write_ws(WsWrite::TEXT, text).is_err() {
                        return Verdict::Close;
                    }
                    ring.advance(wsi.id());
                }
                match ring.waiting(wsi.id()) {
                    0 => wsi.rx_flow_control(true),
                    _ => wsi.callback_on_writable(),
                }
            }
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }
}

const USAGE: &str = "\
usage: minimal-ws-chat [OPTIONS]
  --port N    the port to listen on; 7681, 0 for any
  -d LEVEL    log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help      this text
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut level) = (7681, logger::DEFAULT);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("port") => port = args.value()?.parse()?,
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
        listen: Listen::port(port),
        protocols: vec![ProtocolTable::of::<Chat>()],
        pvo: Pvo::default().with("lws-chat", Pvo::default().with("backlog", "4")),
        ws: WsInfo { limits: WsLimits { collected: LONGEST, ..Default::default() }, ..Default::default() },
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
