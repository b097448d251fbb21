//! A protocol whose callbacks are closures of the test, and a loop that the test turns itself.
//!
//! Every callback is noted. One that runs inside of another fails the test.

use std::cell::{Cell, RefCell};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rlws::{
    AdoptInfo, Call, ConnectInfo, Context, ContextInfo, Cx, InitError, Interests, Listen, Options, Protocol,
    ProtocolTable, Pvo, Reason, Verdict, VhostCall, VhostId, VhostInfo, VhostReason, Wsi, WsiId,
};

use super::eventually;

type OnCall = dyn Fn(&mut Wsi, &mut Cx, Reason<'_>) -> Verdict;
type OnVhost = dyn Fn(VhostCall<'_>, &'static str, VhostReason<'_>) -> Verdict;
type OnInit = dyn Fn(VhostCall<'_>, &'static str) -> Result<(), InitError>;

thread_local! {
    static NOTES: RefCell<Vec<Note>> = const { RefCell::new(Vec::new()) };
    static CALL: RefCell<Option<Rc<OnCall>>> = const { RefCell::new(None) };
    static VHOST: RefCell<Option<Rc<OnVhost>>> = const { RefCell::new(None) };
    static INIT: RefCell<Option<Rc<OnInit>>> = const { RefCell::new(None) };
    static INSIDE: Cell<bool> = const { Cell::new(false) };
}

/// A callback.
#[derive(Debug, Clone)]
pub struct Note {
    pub protocol: &'static str,
    pub vhost: VhostId,
    /// Of a callback about a connection.
    pub wsi: Option<WsiId>,
    /// The reason's name, without what it carries.
    pub what: String,
    /// The reason as it prints itself.
    pub whole: String,
    pub bytes: Vec<u8>,
}

/// What was called so far.
pub fn notes() -> Vec<Note> {
    NOTES.with_borrow(Vec::clone)
}

/// How often a reason came.
pub fn count(what: &str) -> usize {
    NOTES.with_borrow(|notes| notes.iter().filter(|note| note.what == what).count())
}

/// How often a reason came for one connection.
pub fn count_of(wsi: WsiId, what: &str) -> usize {
    NOTES.with_borrow(|notes| notes.iter().filter(|note| note.wsi == Some(wsi) && note.what == what).count())
}

/// The reasons of one connection in their order, with runs of received bytes as one.
pub fn order(wsi: WsiId) -> Vec<String> {
    let mine = |note: &&Note| note.wsi == Some(wsi);
    let mut order: Vec<String> =
        NOTES.with_borrow(|notes| notes.iter().filter(mine).map(|note| note.what.clone()).collect());
    order.dedup_by(|a, b| a == b && a.starts_with("RawRx"));
    order
}

/// What one connection received.
pub fn received(wsi: WsiId) -> Vec<u8> {
    NOTES.with_borrow(|notes| {
        let mine = notes.iter().filter(|note| note.wsi == Some(wsi));
        mine.flat_map(|note| note.bytes.iter().copied()).collect()
    })
}

/// How many bytes one connection received.
pub fn received_len(wsi: WsiId) -> usize {
    NOTES.with_borrow(|notes| notes.iter().filter(|note| note.wsi == Some(wsi)).map(|note| note.bytes.len()).sum())
}

/// The connections that heard a reason, in the order in which they did.
pub fn who(what: &str) -> Vec<WsiId> {
    NOTES.with_borrow(|notes| notes.iter().filter(|note| note.what == what).filter_map(|note| note.wsi).collect())
}

/// What to do in callbacks about connections.
pub fn on_call(call: impl Fn(&mut Wsi, &mut Cx, Reason<'_>) -> Verdict + 'static) {
    CALL.set(Some(Rc::new(call)));
}

/// What to do in callbacks about vhosts; the text is the protocol's name.
pub fn on_vhost(call: impl Fn(VhostCall<'_>, &'static str, VhostReason<'_>) -> Verdict + 'static) {
    VHOST.set(Some(Rc::new(call)));
}

/// What to do at initialisation.
pub fn on_init(call: impl Fn(VhostCall<'_>, &'static str) -> Result<(), InitError> + 'static) {
    INIT.set(Some(Rc::new(call)));
}

/// `N` tells its three names apart: "script", "extra", "third". The third one takes WebSocket messages whole.
pub struct Script<const N: usize = 0>;

const NAMES: [&str; 3] = ["script", "extra", "third"];

/// Of `Script<0>`.
pub const NAME: &str = NAMES[0];

impl<const N: usize> Script<N> {
    pub fn table() -> ProtocolTable {
        ProtocolTable::of::<Script<N>>()
    }
}

fn note(protocol: &'static str, vhost: VhostId, wsi: Option<WsiId>, whole: String, bytes: &[u8]) {
    let what = whole.split('(').next().unwrap_or_default().to_owned();
    let note = Note { protocol, vhost, wsi, what, whole, bytes: bytes.to_vec() };
    NOTES.with_borrow_mut(|notes| notes.push(note));
}

/// One callback.
fn alone<T>(call: impl FnOnce() -> T) -> T {
    assert!(!INSIDE.replace(true), "a callback inside of another");
    let result = call();
    INSIDE.set(false);
    result
}

impl<const N: usize> Protocol for Script<N> {
    const NAME: &'static str = NAMES[N];
    const INTERESTS: Interests = if N == 2 { Interests::WS_WHOLE_MESSAGES } else { Interests::empty() };
    type Session = ();
    type Vhost = ();

    fn init(call: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        note(Self::NAME, call.vhost, None, "ProtocolInit".to_owned(), b"");
        match INIT.with_borrow(Clone::clone) {
            Some(script) => alone(|| script(call, Self::NAME)),
            None => Ok(()),
        }
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let bytes = match reason {
            Reason::RawRx(bytes) | Reason::RawRxFile(bytes) => bytes,
            Reason::Receive(bytes) | Reason::ClientReceive(bytes) => bytes,
            Reason::ReceivePong(bytes) | Reason::ClientReceivePong(bytes) => bytes,
            _ => b"",
        };
        note(Self::NAME, call.wsi.vhost(), Some(call.wsi.id()), format!("{reason:?}"), bytes);
        match CALL.with_borrow(Clone::clone) {
            Some(script) => alone(|| script(call.wsi, call.cx, reason)),
            None => Verdict::Continue,
        }
    }

    fn vhost_callback(call: VhostCall<'_>, (): &mut (), reason: VhostReason<'_>) -> Verdict {
        let wsi = match &reason {
            VhostReason::WsiCreate(wsi)
            | VhostReason::ServerNewClientInstantiated(wsi)
            | VhostReason::WsiDestroy(wsi) => Some(wsi.id()),
            _ => None,
        };
        note(Self::NAME, call.vhost, wsi, format!("{reason:?}"), b"");
        match VHOST.with_borrow(Clone::clone) {
            Some(script) => alone(|| script(call, Self::NAME, reason)),
            None => Verdict::Continue,
        }
    }
}

/// A vhost without a listen socket.
pub fn home() -> VhostInfo {
    VhostInfo { protocols: vec![Script::<0>::table(), Script::<1>::table()], ..Default::default() }
}

/// A vhost whose connections go to the first script at once.
pub fn listening() -> VhostInfo {
    VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_protocol: Some(NAME.into()),
        ..home()
    }
}

/// A context that the test turns.
pub struct Loop {
    pub context: Context,
    pub vhost: VhostId,
    pub start: Instant,
    frozen: bool,
}

impl Loop {
    #[track_caller]
    pub fn new(info: VhostInfo) -> Loop {
        Loop::new_in(ContextInfo::default(), info)
    }

    #[track_caller]
    pub fn new_in(context: ContextInfo, info: VhostInfo) -> Loop {
        NOTES.take();
        INSIDE.set(false);
        super::log::keep();
        let mut context = Context::new(context).expect("a context");
        let vhost = context.create_vhost(info).expect("a vhost");
        let start = context.cx().now();
        Loop { context, vhost, start, frozen: false }
    }

    /// One whose time is what the test says.
    #[track_caller]
    pub fn frozen(info: VhostInfo) -> Loop {
        let mut frozen = Loop::new(info);
        frozen.frozen = true;
        frozen.at(Duration::ZERO);
        frozen
    }

    pub fn cx(&mut self) -> &mut Cx {
        self.context.cx()
    }

    #[track_caller]
    pub fn port(&mut self) -> u16 {
        let vhost = self.vhost;
        self.cx().listen_port(vhost).expect("it listens")
    }

    pub fn wsi_count(&mut self) -> usize {
        self.cx().wsi_count()
    }

    /// A turn at that time after the start.
    #[track_caller]
    pub fn at(&mut self, after: Duration) {
        self.context.service_at(self.start + after).expect("service_at");
    }

    /// A turn that does not wait; if the loop is frozen no time passes.
    #[track_caller]
    pub fn turn(&mut self) {
        match self.frozen {
            true => self.at(Duration::ZERO),
            false => self.context.service(Some(Duration::ZERO)).expect("service"),
        }
    }

    /// A few of them.
    #[track_caller]
    pub fn turns(&mut self) {
        (0..10).for_each(|_| self.turn());
    }

    /// Turns until something holds.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut done: impl FnMut() -> bool) {
        self.until_it(what, |_| done());
    }

    /// Turns until something about the loop holds.
    #[track_caller]
    pub fn until_it(&mut self, what: &str, mut done: impl FnMut(&mut Loop) -> bool) {
        eventually(what, || {
            match self.frozen {
                true => self.turn(),
                false => self.context.service(Some(Duration::from_millis(1))).expect("service"),
            }
            done(self)
        });
    }

    /// Turns while another thread does something.
    #[track_caller]
    pub fn during<T: Send + 'static>(&mut self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let worker = std::thread::spawn(work);
        self.until("the other thread is done", || worker.is_finished());
        worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    #[track_caller]
    pub fn connects_to(&mut self, target: &str) -> WsiId {
        let info = ConnectInfo::new(self.vhost, target.parse().expect("a target"), NAME);
        self.cx().client_connect(info).expect("client_connect")
    }

    /// Adopts a descriptor in the role that is its own.
    #[track_caller]
    pub fn adopts_file(&mut self, fd: impl Into<OwnedFd>) -> WsiId {
        let info = AdoptInfo::new(self.vhost, NAME);
        self.cx().adopt_file(fd, info).expect("adopt_file")
    }

    /// Waits for a connection's last word.
    #[track_caller]
    pub fn gone(&mut self, id: WsiId) {
        self.until(&format!("{id} is gone"), || count_of(id, "WsiDestroy") == 1);
        assert!(self.cx().wsi(id).is_none());
    }
}

impl Drop for Loop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let notes = notes();
            let last: Vec<&Note> = notes.iter().rev().take(30).collect();
            eprintln!("--- {} callbacks, the last ones, newest first:", notes.len());
            last.iter().for_each(|note| eprintln!("{:?} {} {}", note.wsi, note.protocol, note.whole));
        }
    }
}

/// Writes so much in pieces of that size, each from `RawWriteableFile`, and then closes.
pub fn writes_on_request(bytes: Vec<u8>, piece: usize) {
    let at = Cell::new(0);
    on_call(move |wsi, _, reason| {
        match reason {
            Reason::RawAdoptFile => wsi.callback_on_writable(),
            Reason::RawWriteableFile => {
                let Some(rest) = bytes.get(at.get()..).filter(|rest| !rest.is_empty()) else { return Verdict::Close };
                let next = &rest[..piece.min(rest.len())];
                wsi.write(next).expect("everything before is written");
                at.set(at.get() + next.len());
                wsi.callback_on_writable();
            }
            _ => {}
        }
        Verdict::Continue
    });
}

/// After a panic in a callback that the test wanted.
pub fn forgive() {
    INSIDE.set(false);
}
