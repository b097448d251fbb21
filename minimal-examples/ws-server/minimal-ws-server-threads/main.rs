//! Other threads make lines, and wake the loop, which sends them to all.

use lexopt::prelude::*;
use rlws::{
    Cache, Call, CloseCode, Context, ContextInfo, InitError, Listen, Mount, Options, Protocol, ProtocolTable, Pvo,
};
use rlws::{Reason, Ring, Verdict, VhostCall, VhostInfo, VhostReason, Waker, WsWrite, logger};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

const USAGE: &str = "\
usage: minimal-ws-server-threads [OPTIONS]
  --threads N      how many there are; 2
  --every MS       milliseconds between two lines of each; 100
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/ws-server/minimal-ws-server-threads/mount-origin");

/// Lines on their way to the loop. A thread that finds no room drops its line.
const QUEUE: usize = 64;

struct Threads;

struct Vhd {
    lines: Receiver<String>,
    ring: Ring<String>,
    threads: Vec<JoinHandle<()>>,
    is_finished: Arc<AtomicBool>,
}

impl Protocol for Threads {
    const NAME: &'static str = "lws-minimal";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = ();
    type Vhost = Vhd;

    fn init(VhostCall { cx, .. }: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        let every = Duration::from_millis(pvo.parse("every")?.unwrap_or(100));
        let (sender, lines) = sync_channel(QUEUE);
        let is_finished = Arc::<AtomicBool>::default();
        let threads = (1..=pvo.parse("threads")?.unwrap_or(2)).map(|number| {
            let (sender, waker, is_finished) = (sender.clone(), cx.waker(), is_finished.clone());
            thread::spawn(move || make_lines(number, every, &sender, &waker, &is_finished))
        });
        Ok(Vhd { lines, ring: Ring::new(2 * QUEUE), threads: threads.collect(), is_finished })
    }

    fn vhost_callback(VhostCall { cx, vhost }: VhostCall<'_>, vhd: &mut Vhd, reason: VhostReason<'_>) -> Verdict {
        match reason {
            // One wake may be for several lines, or for those of another protocol.
            VhostReason::EventWaitCancelled => {
                for line in vhd.lines.try_iter().take(QUEUE) {
                    for lagging in vhd.ring.push(line) {
                        cx.close_later_with(lagging, CloseCode::POLICY_VIOLATION, "you lag too far behind");
                    }
                }
                cx.callback_on_writable_all_protocol(vhost, Self::NAME);
            }
            VhostReason::ProtocolDestroy => {
                vhd.is_finished.store(true, Ordering::Release);
                for thread in vhd.threads.drain(..) {
                    thread.thread().unpark();
                    if thread.join().is_err() {
                        log::error!("a thread has panicked");
                    }
                }
            }
            _ => {}
        }
        Verdict::Continue
    }

    fn callback(Call { wsi, vhd: Vhd { ring, .. }, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Established => ring.join(wsi.id()),
            Reason::ServerWriteable => {
                if let Some(line) = ring.peek(wsi.id()) {
                    if wsi.write_ws(WsWrite::TEXT, line.as_bytes()).is_err() {
                        return Verdict::Close;
                    }
                    ring.advance(wsi.id());
                }
                if ring.waiting(wsi.id()) > 0 {
                    wsi.callback_on_writable();
                }
            }
            Reason::Closed => ring.leave(wsi.id()),
            _ => {}
        }
        Verdict::Continue
    }
}

/// What each thread does. It reaches nothing of the loop's but the channel and the waker.
fn make_lines(number: u32, every: Duration, lines: &SyncSender<String>, waker: &Waker, is_finished: &AtomicBool) {
    for count in 1.. {
        if is_finished.load(Ordering::Acquire) {
            return;
        }
        match lines.try_send(format!("thread {number}, line {count}")) {
            Ok(()) => waker.wake(),
            Err(_) => log::warn!("thread {number} drops line {count}"),
        }
        thread::park_timeout(every);
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut own = Pvo::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("threads") => own.push("threads", args.value()?.string()?),
            Long("every") => own.push("every", args.value()?.string()?),
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
        protocols: vec![ProtocolTable::of::<Threads>()],
        pvo: Pvo::default().with(Threads::NAME, own),
        options: Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE,
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
