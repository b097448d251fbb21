//! Client connections by the thousand, begun, used and closed from callbacks, with retries.

mod util;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rlws::{
    Call, ConnectInfo, Context, ContextInfo, Cx, InitError, Protocol, ProtocolTable, Pvo, Reason, Retry, SulId, Target,
    Verdict, VhostCall, VhostId, VhostInfo, VhostReason, WsiId,
};
use util::script::{Loop, NAME, count, count_of, home, on_call, on_init, on_vhost, order};
use util::*;

const CLIENTS: usize = 1000;
const MS: Duration = Duration::from_millis(1);

/// How a server treats the n-th of its connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Treats {
    Echo,
    Reset,
    Stall,
}

fn treats(number: usize) -> Treats {
    match number % 5 {
        0 => Treats::Reset,
        1 => Treats::Stall,
        _ => Treats::Echo,
    }
}

/// A server on one thread that echoes eight bytes, resets, or never answers.
struct Moody {
    port: u16,
    accepted: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Moody {
    fn new() -> Moody {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let port = listener.local_addr().expect("bound").port();
        let (accepted, stop) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let thread = std::thread::spawn({
            let (accepted, stop) = (accepted.clone(), stop.clone());
            move || {
                let mut stalled = Vec::new();
                for stream in listener.incoming() {
                    if stop.load(Ordering::SeqCst) {
                        return;
                    }
                    let stream = stream.expect("accept");
                    match treats(accepted.fetch_add(1, Ordering::SeqCst)) {
                        Treats::Echo => echo_eight(with_deadline(stream)),
                        Treats::Reset => reset(stream),
                        Treats::Stall => stalled.push(stream),
                    }
                }
            }
        });
        Moody { port, accepted, stop, thread: Some(thread) }
    }
}

fn echo_eight(mut stream: TcpStream) {
    let mut bytes = [0; 8];
    // Who gave up meanwhile is not served.
    let _gone = stream.read_exact(&mut bytes).and_then(|()| stream.write_all(&bytes));
}

impl Drop for Moody {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        let _ends_the_accept = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
        self.thread.take().expect("only drop takes it").join().expect("the server does not panic");
    }
}

/// Asks until it is answered: a thousand times over, of a server and of a port that refuses.
struct Asker;

#[derive(Default)]
struct Asking {
    targets: Vec<Target>,
    retry: Option<Retry>,
    /// Which question a connection is about.
    about: BTreeMap<WsiId, usize>,
    waiting: BTreeMap<SulId, usize>,
    tries: Vec<u32>,
    answered: Vec<bool>,
    /// Of each connection: what it heard of its beginning.
    begun: BTreeMap<WsiId, Vec<&'static str>>,
    dropped: usize,
    woken: usize,
    connecting: bool,
}

thread_local! {
    static PROGRESS: RefCell<(usize, usize)> = const { RefCell::new((0, 0)) };
}

impl Asking {
    fn ask(&mut self, cx: &mut Cx, vhost: VhostId, question: usize) {
        // Every other one begins at the port that refuses.
        let target = &self.targets[(question + self.tries[question] as usize) % self.targets.len()];
        self.connecting = true;
        let id = cx.client_connect(ConnectInfo::new(vhost, target.clone(), Asker::NAME)).expect("client_connect");
        self.connecting = false;
        assert!(self.about.insert(id, question).is_none(), "an id that was given before");
        self.begun.insert(id, Vec::new());
    }

    fn again(&mut self, cx: &mut Cx, vhost: VhostId, question: usize) {
        let retry = self.retry.as_ref().expect("it is set");
        let wait = retry.delay(&mut self.tries[question]).expect("it does not give up");
        let sul = cx.schedule(vhost, Asker::NAME, wait).expect("schedule");
        self.waiting.insert(sul, question);
    }
}

impl Protocol for Asker {
    const NAME: &'static str = "asker";
    /// Whether it was answered.
    type Session = bool;
    type Vhost = Asking;

    fn init(call: VhostCall<'_>, pvo: &Pvo) -> Result<Asking, InitError> {
        let mut asking = Asking { tries: vec![0; CLIENTS], answered: vec![false; CLIENTS], ..Asking::default() };
        for name in ["refusing", "moody"] {
            asking.targets.push(pvo.get(name).expect("it is told").parse()?);
        }
        asking.retry = Some(Retry { delays: vec![MS, MS * 5, MS * 20], conceal: Retry::ALWAYS, jitter_percent: 50 });
        (0..CLIENTS).for_each(|question| asking.ask(call.cx, call.vhost, question));
        Ok(asking)
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss: answered, vhd: asking } = call;
        assert!(!asking.connecting, "called back from inside client_connect");
        let question = asking.about[&wsi.id()];
        let bytes = (question as u64).to_be_bytes();
        let mut begins = |how| asking.begun.get_mut(&wsi.id()).expect("it is known").push(how);
        match reason {
            Reason::RawConnected => {
                begins("RawConnected");
                wsi.set_timeout(cx, MS * 300);
                wsi.callback_on_writable();
            }
            Reason::ClientConnectionError(_) => {
                begins("ClientConnectionError");
                asking.again(cx, wsi.vhost(), question);
            }
            Reason::RawWriteable => wsi.write(&bytes).expect("there is room"),
            Reason::RawRx(data) => {
                assert_eq!(data, bytes, "somebody else's answer");
                assert!(!std::mem::replace(&mut asking.answered[question], true), "answered twice");
                *answered = true;
                return Verdict::Close;
            }
            Reason::RawSktDropProtocol => {
                asking.dropped += 1;
                if !*answered {
                    asking.again(cx, wsi.vhost(), question);
                }
            }
            _ => {}
        }
        Verdict::Continue
    }

    fn vhost_callback(call: VhostCall<'_>, asking: &mut Asking, reason: VhostReason<'_>) -> Verdict {
        assert!(!asking.connecting, "called back from inside client_connect");
        match reason {
            VhostReason::Sul(sul) => {
                let question = asking.waiting.remove(&sul).expect("it was scheduled");
                asking.ask(call.cx, call.vhost, question);
            }
            VhostReason::WsiDestroy(wsi) => {
                let begun = asking.begun.get(&wsi.id()).expect("it is known");
                assert_eq!(begun.len(), 1, "{}: exactly one of the two: {begun:?}", wsi.id());
            }
            VhostReason::EventWaitCancelled => asking.woken += 1,
            _ => {}
        }
        PROGRESS.set((asking.answered.iter().filter(|answered| **answered).count(), asking.woken));
        Verdict::Continue
    }
}

#[test]
fn a_thousand_clients_with_retries_all_get_their_answer_and_leave_nothing_behind() {
    let (moody, refusing) = (Moody::new(), Refusing::new());
    let mut context = Context::new(ContextInfo::default()).expect("a context");
    let fds = count_fds(Path::new("/proc/self"));
    let begun = Instant::now();
    let (moody_at, refusing_at) = (format!("ipv4:127.0.0.1:{}", moody.port), refusing.target());
    let info = VhostInfo {
        protocols: vec![ProtocolTable::of::<Asker>()],
        pvo: options("asker", &[("moody", &moody_at), ("refusing", &refusing_at)]),
        ..Default::default()
    };
    let vhost = context.create_vhost(info).expect("a vhost");
    // Others want to be heard all the time.
    let over = Arc::new(AtomicBool::new(false));
    let wakers: Vec<_> = (0..4)
        .map(|_| {
            let (waker, over) = (context.waker(), over.clone());
            std::thread::spawn(move || {
                while !over.load(Ordering::SeqCst) {
                    waker.wake();
                    std::thread::yield_now();
                }
            })
        })
        .collect();
    while PROGRESS.with_borrow(|(answered, _)| *answered) < CLIENTS {
        context.service(None).expect("service");
        assert!(begun.elapsed() < DEADLINE, "{:?} are answered", PROGRESS.take());
    }
    over.store(true, Ordering::SeqCst);
    wakers.into_iter().for_each(|waker| waker.join().expect("it does not panic"));
    eventually("only the vhost is left", || {
        context.service(Some(MS)).expect("service");
        context.cx().wsi_count() == 0
    });
    let asking = context.cx().vhd::<Asker>(vhost).expect("it is there");
    let connected = asking.begun.values().filter(|begun| ***begun == ["RawConnected"]).count();
    let failed = asking.begun.values().filter(|begun| ***begun == ["ClientConnectionError"]).count();
    assert_eq!(connected + failed, asking.begun.len(), "exactly one of the two each");
    assert_eq!(connected, asking.dropped, "every bind has its drop");
    assert!(failed >= CLIENTS / 2, "{failed} were refused");
    assert!(asking.waiting.is_empty());
    assert!(asking.woken > 100, "{} wakes were heard", asking.woken);
    let treated: Vec<usize> = [Treats::Echo, Treats::Reset, Treats::Stall]
        .map(|kind| (0..moody.accepted.load(Ordering::SeqCst)).filter(|number| treats(*number) == kind).count())
        .into();
    assert!(treated[0] >= CLIENTS && treated[1] > 100 && treated[2] > 100, "{treated:?}");
    drop(moody);
    if std::env::var_os("NEXTEST").is_some() {
        assert!(count_fds(Path::new("/proc/self")) <= fds, "descriptors are left");
    }
}

#[test]
fn the_last_wake_of_four_threads_is_always_heard() {
    on_vhost(|_, _, _| Verdict::Continue);
    let mut turned = Loop::new(VhostInfo { protocols: vec![script::Script::<0>::table()], ..home() });
    let heard = Rc::new(Cell::new(0_usize));
    let said = Arc::new(AtomicUsize::new(0));
    on_vhost({
        let (heard, said) = (heard.clone(), said.clone());
        move |_, _, reason| {
            if let VhostReason::EventWaitCancelled = reason {
                heard.set(said.load(Ordering::SeqCst));
            }
            Verdict::Continue
        }
    });
    for _ in 0..20 {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let (waker, said) = (turned.context.waker(), said.clone());
                std::thread::spawn(move || {
                    for _ in 0..500 {
                        said.fetch_add(1, Ordering::SeqCst);
                        waker.wake();
                    }
                })
            })
            .collect();
        while !threads.iter().all(std::thread::JoinHandle::is_finished) {
            turned.context.service(Some(MS)).expect("service");
        }
        // What was said last is heard without anything else happening.
        eventually("the last wake is heard", || {
            turned.context.service(Some(Duration::ZERO)).expect("service");
            heard.get() == said.load(Ordering::SeqCst)
        });
    }
}

#[test]
fn nothing_is_called_from_inside_a_connect_wherever_that_is() {
    let (echo, refusing) = (Onward::idle(), Refusing::new());
    let targets: Vec<Target> = [echo.target(), refusing.target(), "unix:/nowhere".into()]
        .map(|target| target.parse().expect("a target"))
        .into();
    let connect = move |cx: &mut Cx, vhost: VhostId| {
        for target in &targets {
            let before = script::notes().len();
            cx.client_connect(ConnectInfo::new(vhost, target.clone(), "extra")).expect("client_connect");
            assert_eq!(script::notes().len(), before, "called back from inside");
        }
    };
    on_init({
        let connect = connect.clone();
        move |call, _| {
            connect(call.cx, call.vhost);
            Ok(())
        }
    });
    on_call({
        let connect = connect.clone();
        move |wsi, cx, _| {
            if wsi.protocol_name() == Some(NAME) {
                connect(cx, wsi.vhost());
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(home());
    let refused = turned.connects_to(&refusing.target());
    let connected = turned.connects_to(&echo.target());
    turned.until("one is up", || count_of(connected, "RawConnected") == 1);
    turned.until("one is not", || count_of(refused, "ClientConnectionError") == 1);
    turned.cx().close_later(connected);
    // Two inits, bind and connected, the error, close and drop.
    turned.until("all have begun", || count("RawConnected") == 1 + 7 && count("ClientConnectionError") == 1 + 14);
    assert_eq!(order(refused), ["WsiCreate", "ClientConnectionError", "WsiDestroy"]);
}

#[test]
fn a_client_that_is_closed_at_any_stage_hears_exactly_one_of_the_two() {
    let (idle, hole) = (Onward::idle(), BlackHole::new());
    for target in [idle.target(), hole.target(), "tcp:localhost:1".to_owned()] {
        for turns in 0..6 {
            for how in ["close_later", "vhost", "timeout"] {
                on_call(|_, _, _| Verdict::Continue);
                let mut turned = Loop::new(home());
                let id = turned.connects_to(&target);
                (0..turns).for_each(|_| turned.turn());
                let vhost = turned.vhost;
                match how {
                    "close_later" => turned.cx().close_later(id),
                    "vhost" => turned.context.destroy_vhost(vhost),
                    _ => turned.cx().set_timeout(id, Duration::ZERO),
                }
                // A connected one drains until its peer hangs up, which this one does not.
                turned.until(how, || count("ClientConnectionError") + count("RawSktDropProtocol") == 1);
                let (up, failed) = (count("RawConnected"), count("ClientConnectionError"));
                assert_eq!(up + failed, 1, "{target} {how} after {turns} turns: {:?}", order(id));
                let begun = count("WsiCreate");
                assert!(begun == 1 || begun + turns == 0, "{begun} after {turns} turns");
            }
        }
    }
}
