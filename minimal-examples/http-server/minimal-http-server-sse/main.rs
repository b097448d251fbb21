//! Server-Sent Events: what happens once goes to every browser that listens.

use lexopt::prelude::*;
use rlws::protocols::http_dummy;
use rlws::{
    Call, Context, ContextInfo, InitError, Listen, Mount, Options, Protocol, ProtocolTable, Pvo, Reason, Response,
    Ring, Verdict, VhostCall, VhostInfo, VhostReason, logger,
};
use std::time::Duration;

const USAGE: &str = "\
usage: minimal-http-server-sse [OPTIONS]
  --every MS       milliseconds between two events; 1000
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/http-server/minimal-http-server-sse/mount-origin");

struct Sse;

struct Vhd {
    every: Duration,
    count: u64,
    /// Each listener takes from it at its own pace; who has not taken the last hundred is disconnected, and its browser comes again.
    ring: Ring<String>,
}

impl Protocol for Sse {
    const NAME: &'static str = "sse";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = ();
    type Vhost = Vhd;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        let every = Duration::from_millis(pvo.parse("every")?.unwrap_or(1000));
        cx.schedule(vhost, Self::NAME, every)?;
        Ok(Vhd { every, count: 0, ring: Ring::new(100) })
    }

    fn vhost_callback(VhostCall { cx, vhost }: VhostCall<'_>, vhd: &mut Vhd, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(_) = reason {
            vhd.count += 1;
            for lagging in vhd.ring.push(format!("id: {0}\ndata: event {0}\n\n", vhd.count)) {
                cx.close_later(lagging);
            }
            cx.callback_on_writable_all_protocol(vhost, Self::NAME);
            if let Err(error) = cx.schedule(vhost, Self::NAME, vhd.every) {
                log::error!("{error}");
            }
        }
        Verdict::Continue
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, vhd: Vhd { ring, .. }, .. } = call;
        match reason {
            Reason::Http(request) if request.method() == "GET" => {
                log::info!("{} listens; the last it heard was {:?}", wsi.peer(), request.header_str("last-event-id"));
                let events = Response::new(200).content_type("text/event-stream").header("Cache-Control", "no-store");
                if wsi.respond(events).is_err() || wsi.write(b"retry: 1000\n\n").is_err() {
                    return Verdict::Close;
                }
                ring.join(wsi.id());
            }
            Reason::HttpWriteable => {
                if let Some(event) = ring.peek(wsi.id()) {
                    if wsi.write(event.as_bytes()).is_err() {
                        return Verdict::Close;
                    }
                    ring.advance(wsi.id());
                }
                if ring.waiting(wsi.id()) > 0 {
                    wsi.callback_on_writable();
                }
            }
            // Also where the client has gone.
            Reason::HttpDropProtocol => ring.leave(wsi.id()),
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut every = "1000".to_owned();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("every") => every = args.value()?.string()?,
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
        protocols: vec![ProtocolTable::of::<Sse>()],
        pvo: Pvo::default().with("sse", Pvo::default().with("every", every)),
        mounts: vec![Mount::files("/", ORIGIN), Mount::callback("/sse", "sse").exact_match()],
        options: Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE,
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
