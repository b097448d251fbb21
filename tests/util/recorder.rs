//! A protocol that notes its callbacks, with their bytes.

use std::cell::RefCell;

use rlws::{
    Call, InitError, Interests, Protocol, ProtocolTable, Pvo, Reason, Target, Verdict, VhostCall, VhostReason, WsiId,
};

thread_local! {
    /// Of the thread's context: tests that share a process do not see each other's.
    static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
}

/// What the recorders of this thread's context noted so far.
pub fn events() -> Vec<Event> {
    EVENTS.with_borrow(Vec::clone)
}

#[derive(Debug, Clone)]
pub struct Event {
    pub wsi: WsiId,
    /// The recorder's name.
    pub protocol: &'static str,
    pub role: &'static str,
    pub what: What,
    pub bytes: Vec<u8>,
}

/// The reason, without what it carries.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum What {
    Http,
    Bind,
    Drop,
    Adopt,
    Connected,
    Rx,
    Writeable,
    Close,
    ConnectionError,
    SrvBind,
    SrvDrop,
    SrvAdopt,
    SrvRx,
    SrvClose,
    CliBind,
    CliDrop,
    CliAdopt,
    CliRx,
    CliClose,
    Other,
}

/// The callbacks of one wsi in their order, with runs of received bytes as one.
pub fn order(events: &[Event], wsi: WsiId) -> Vec<What> {
    let mut order: Vec<What> = events.iter().filter(|event| event.wsi == wsi).map(|event| event.what).collect();
    order.dedup_by(|a, b| a == b && matches!(a, What::Rx | What::SrvRx | What::CliRx));
    order
}

/// All bytes that came with a kind of callback.
pub fn bytes(events: &[Event], what: What) -> Vec<u8> {
    events.iter().filter(|event| event.what == what).flat_map(|event| event.bytes.iter().copied()).collect()
}

/// How often it happened.
pub fn count(events: &[Event], what: What) -> usize {
    events.iter().filter(|event| event.what == what).count()
}

/// Notes, answers http with its own name, says `hello` where its option `greet` is set, and asks for the onward connection where
/// its option `onward` is set. `N` tells its three names apart: "recorder", "second", "third".
pub struct Recorder<const N: usize = 0>;

const NAMES: [&str; 3] = ["recorder", "second", "third"];

impl<const N: usize> Recorder<N> {
    pub fn table() -> ProtocolTable {
        ProtocolTable::of::<Recorder<N>>()
    }
}

pub struct Options {
    onward: Option<Target>,
    greet: bool,
}

impl<const N: usize> Protocol for Recorder<N> {
    const NAME: &'static str = NAMES[N];
    const INTERESTS: Interests = Interests::all();
    type Session = ();
    type Vhost = Options;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Options, InitError> {
        let onward = pvo.get("onward").map(str::parse).transpose()?;
        Ok(Options { onward, greet: pvo.flag("greet") })
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let (what, bytes) = named(&reason);
        let event =
            Event { wsi: call.wsi.id(), protocol: Self::NAME, role: call.wsi.role_name(), what, bytes: bytes.to_vec() };
        EVENTS.with_borrow_mut(|events| events.push(event));
        match (what, &call.vhd.onward) {
            (What::Http, _) => call.wsi.return_http_status(200, Some(Self::NAME)),
            (What::SrvAdopt, Some(onward)) => call.wsi.connect_onward(onward.clone()),
            (What::Adopt | What::Connected, _) if call.vhd.greet => {
                call.wsi.write(b"hello").expect("nothing was written before");
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn named<'a>(reason: &Reason<'a>) -> (What, &'a [u8]) {
    match *reason {
        Reason::Http(_) => (What::Http, b""),
        Reason::RawSktBindProtocol => (What::Bind, b""),
        Reason::RawSktDropProtocol => (What::Drop, b""),
        Reason::RawAdopt => (What::Adopt, b""),
        Reason::RawConnected => (What::Connected, b""),
        Reason::RawRx(bytes) => (What::Rx, bytes),
        Reason::RawWriteable => (What::Writeable, b""),
        Reason::RawClose => (What::Close, b""),
        Reason::ClientConnectionError(why) => (What::ConnectionError, why.as_bytes()),
        Reason::RawProxySrvBindProtocol => (What::SrvBind, b""),
        Reason::RawProxySrvDropProtocol => (What::SrvDrop, b""),
        Reason::RawProxySrvAdopt => (What::SrvAdopt, b""),
        Reason::RawProxySrvRx(bytes) => (What::SrvRx, bytes),
        Reason::RawProxySrvClose => (What::SrvClose, b""),
        Reason::RawProxyCliBindProtocol => (What::CliBind, b""),
        Reason::RawProxyCliDropProtocol => (What::CliDrop, b""),
        Reason::RawProxyCliAdopt => (What::CliAdopt, b""),
        Reason::RawProxyCliRx(bytes) => (What::CliRx, bytes),
        Reason::RawProxyCliClose => (What::CliClose, b""),
        _ => (What::Other, b""),
    }
}
