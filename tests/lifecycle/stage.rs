//! Where a scenario is played: a context whose protocols note every callback, and do what the scenario has them do.

use std::collections::BTreeSet;
use std::net::TcpStream;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use rlws::{
    Call, ConnectInfo, Context, ContextInfo, Cx, InitError, Interests, Listen, Mount, Options, Protocol, ProtocolTable,
    Pvo, Reason, Verdict, VhostCall, VhostId, VhostInfo, VhostReason, Wsi, WsiId,
};

use super::invariants;
use super::page::Step;
use super::util::certs::localhost;
use super::util::{self, Server, eventually};

/// A callback that was heard.
#[derive(Clone, Debug)]
pub struct Event {
    /// The reason's name, or `init`.
    pub name: String,
    /// It came by `vhost_callback`, or is `init`.
    pub of_vhost: bool,
    pub vhost: VhostId,
    pub protocol: &'static str,
    /// Whom it is about.
    pub wsi: Option<WsiId>,
    /// The peer that is to be accepted, or that the connection has.
    pub peer: String,
    /// The verdict was `Close`; of `init`, it failed.
    pub refused: bool,
}

/// What a callback works with.
pub struct Hand<'a> {
    pub wsi: Option<&'a mut Wsi>,
    pub cx: &'a mut Cx,
    pub vhost: VhostId,
}

type Act = Box<dyn FnMut(&mut Hand<'_>) -> Verdict + Send>;

/// What the protocols of a context noted, and what they are to do.
#[derive(Default)]
pub struct Notes {
    events: Mutex<Vec<Event>>,
    acts: Mutex<Vec<(&'static str, Act)>>,
    inside: AtomicBool,
    /// Requests are left to the acts.
    silent: AtomicBool,
}

impl Notes {
    pub fn events(&self) -> MutexGuard<'_, Vec<Event>> {
        self.events.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Notes a callback and plays its part.
    fn hear(&self, event: Event, hand: &mut Hand<'_>) -> Verdict {
        assert!(!self.inside.swap(true, Ordering::SeqCst), "{} inside of another callback", event.name);
        let (name, index) = (event.name.clone(), self.events().len());
        self.events().push(event);
        let mut acts = self.acts.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut verdict = Verdict::Continue;
        for (_, act) in acts.iter_mut().filter(|(of, _)| *of == name) {
            if act(hand) == Verdict::Close {
                verdict = Verdict::Close;
            }
        }
        drop(acts);
        self.events()[index].refused = verdict == Verdict::Close;
        self.inside.store(false, Ordering::SeqCst);
        verdict
    }
}

/// A protocol that notes. `N` tells the two of a vhost apart.
struct Noting<const N: usize>;

/// The vhost's first protocol, and the one that its connections are bound to.
pub const FIRST: &str = "first";
pub const BOUND: &str = "bound";

impl<const N: usize> Protocol for Noting<N> {
    const NAME: &'static str = [FIRST, BOUND][N];
    const INTERESTS: Interests = Interests::all();
    type Session = ();
    type Vhost = Arc<Notes>;

    fn init(call: VhostCall<'_>, _: &Pvo) -> Result<Arc<Notes>, InitError> {
        let VhostCall { cx, vhost } = call;
        let notes = cx.user::<Arc<Notes>>().cloned().expect("the stage hangs it there");
        let event = event("init".into(), true, vhost, Self::NAME);
        match notes.hear(event, &mut Hand { wsi: None, cx, vhost }) {
            Verdict::Close => Err("the scenario wants it so".into()),
            _ => Ok(notes),
        }
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, vhd, .. } = call;
        let vhost = wsi.vhost();
        let event = about(wsi, event(name_of(&reason), false, vhost, Self::NAME));
        if matches!(reason, Reason::Http(_)) && !vhd.silent.load(Ordering::SeqCst) {
            wsi.return_http_status(200, Some("a page"));
        }
        vhd.hear(event, &mut Hand { wsi: Some(wsi), cx, vhost })
    }

    fn vhost_callback(call: VhostCall<'_>, vhd: &mut Arc<Notes>, reason: VhostReason<'_>) -> Verdict {
        let VhostCall { cx, vhost } = call;
        let heard = event(name_of(&reason), true, vhost, Self::NAME);
        match reason {
            VhostReason::WsiCreate(wsi)
            | VhostReason::ServerNewClientInstantiated(wsi)
            | VhostReason::WsiDestroy(wsi) => {
                let heard = about(wsi, heard);
                vhd.hear(heard, &mut Hand { wsi: Some(wsi), cx, vhost })
            }
            VhostReason::FilterNetworkConnection(peer) => {
                let heard = Event { peer: peer.to_string(), ..heard };
                vhd.hear(heard, &mut Hand { wsi: None, cx, vhost })
            }
            _ => vhd.hear(heard, &mut Hand { wsi: None, cx, vhost }),
        }
    }
}

fn event(name: String, of_vhost: bool, vhost: VhostId, protocol: &'static str) -> Event {
    Event { name, of_vhost, vhost, protocol, wsi: None, peer: String::new(), refused: false }
}

fn about(wsi: &Wsi, event: Event) -> Event {
    Event { wsi: Some(wsi.id()), peer: wsi.peer().to_string(), ..event }
}

/// `RawRx` of `RawRx(5 bytes)`.
fn name_of(reason: &impl std::fmt::Debug) -> String {
    let text = format!("{reason:?}");
    text.split('(').next().unwrap_or_default().to_owned()
}

// -- vhosts

/// A vhost without a listen socket, with the two protocols.
pub fn home() -> VhostInfo {
    VhostInfo {
        protocols: vec![ProtocolTable::of::<Noting<0>>(), ProtocolTable::of::<Noting<1>>()],
        mounts: vec![Mount::callback("/", BOUND)],
        listen_accept_protocol: Some(BOUND.into()),
        ..Default::default()
    }
}

pub fn listening(options: Options) -> VhostInfo {
    VhostInfo { listen: Listen::on("127.0.0.1", 0), options, ..home() }
}

pub fn tls_listening(options: Options) -> VhostInfo {
    VhostInfo { name: "localhost".into(), tls: Some(localhost().tls_info()), ..listening(options) }
}

pub const APPLY: Options = Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
pub const FALLBACK: Options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;

// -- acts

pub fn close(_: &mut Hand<'_>) -> Verdict {
    Verdict::Close
}

/// For acts that need the connection.
pub fn with_wsi(
    mut act: impl FnMut(&mut Wsi, &mut Cx) -> Verdict + Send + 'static,
) -> impl FnMut(&mut Hand<'_>) -> Verdict + Send + 'static {
    move |hand| act(hand.wsi.as_deref_mut().expect("a reason about a connection"), hand.cx)
}

/// The same, for acts that go on.
pub fn doing(
    mut act: impl FnMut(&mut Wsi, &mut Cx) + Send + 'static,
) -> impl FnMut(&mut Hand<'_>) -> Verdict + Send + 'static {
    with_wsi(move |wsi, cx| {
        act(wsi, cx);
        Verdict::Continue
    })
}

/// No time of a scenario is waited for: this, and then [`Play::later`].
pub const SOON: Duration = Duration::from_secs(1);
pub const LONG: Duration = Duration::from_secs(24 * 3600);

// -- the stage

/// A context in the making.
#[derive(Default)]
pub struct Stage {
    vhosts: Vec<VhostInfo>,
    notes: Arc<Notes>,
}

impl Stage {
    pub fn of(vhost: VhostInfo) -> Stage {
        Stage::default().and(vhost)
    }

    /// With another vhost beside.
    pub fn and(mut self, vhost: VhostInfo) -> Stage {
        self.vhosts.push(vhost);
        self
    }

    /// Has no request answered but by the acts.
    pub fn silent(self) -> Stage {
        self.notes.silent.store(true, Ordering::SeqCst);
        self
    }

    /// Has an act follow every callback of a reason.
    pub fn on(self, reason: &'static str, act: impl FnMut(&mut Hand<'_>) -> Verdict + Send + 'static) -> Stage {
        self.notes.acts.lock().expect("nobody panicked yet").push((reason, Box::new(act)));
        self
    }

    /// Has it follow the first of them.
    pub fn once(self, reason: &'static str, act: impl FnOnce(&mut Hand<'_>) -> Verdict + Send + 'static) -> Stage {
        let mut act = Some(act);
        self.on(reason, move |hand| act.take().map_or(Verdict::Continue, |act| act(hand)))
    }

    /// On a thread of its own.
    #[track_caller]
    pub fn start(self) -> Play {
        let Stage { vhosts, notes } = self;
        let hung = notes.clone();
        let server = Server::start(move |context| {
            context.cx().set_user(Rc::new(hung));
            let make = |info| context.create_vhost(info).expect("create_vhost");
            vhosts.into_iter().map(make).collect()
        });
        Play { server, notes }
    }

    /// In the hands of the scenario, which turns its loop. Vhosts that cannot be made are left out.
    pub fn context(self) -> (Context, Vec<VhostId>, Arc<Notes>) {
        let mut context = Context::new(ContextInfo::default()).expect("Context::new");
        context.cx().set_user(Rc::new(self.notes.clone()));
        let made = self.vhosts.into_iter().filter_map(|info| context.create_vhost(info).ok()).collect();
        (context, made, self.notes)
    }
}

/// A running context.
pub struct Play {
    server: Server<Vec<VhostId>>,
    notes: Arc<Notes>,
}

impl Play {
    pub fn vhost(&self, number: usize) -> VhostId {
        self.server.made[number]
    }

    #[track_caller]
    pub fn port(&self) -> u16 {
        let vhost = *self.server.made.first().expect("a vhost");
        self.ask(move |context| context.cx().listen_port(vhost)).expect("it listens")
    }

    /// A peer of the first vhost.
    #[track_caller]
    pub fn connect(&self) -> TcpStream {
        util::connect(self.port())
    }

    #[track_caller]
    pub fn ask<R: Send + 'static>(&self, job: impl FnOnce(&mut Context) -> R + Send + 'static) -> R {
        self.server.ask(job)
    }

    /// Returns after the loop has read what was sent before.
    #[track_caller]
    pub fn turn(&self) {
        self.server.turn();
    }

    /// Begins a connection of the first vhost.
    #[track_caller]
    pub fn client(&self, target: &str) -> WsiId {
        let info = ConnectInfo::new(self.vhost(0), target.parse().expect("a target"), BOUND);
        self.client_with(info)
    }

    #[track_caller]
    pub fn client_with(&self, info: ConnectInfo) -> WsiId {
        self.ask(move |context| context.cx().client_connect(info).expect("client_connect"))
    }

    /// Waits for a callback.
    #[track_caller]
    pub fn hears(&self, name: &str) {
        self.hears_times(name, 1);
    }

    #[track_caller]
    pub fn hears_times(&self, name: &str, times: usize) {
        let count = || self.notes.events().iter().filter(|event| event.name == name).count();
        eventually(&format!("{name}, {times} times"), || count() >= times);
    }

    /// The connection with this number, in order of their first turns.
    #[track_caller]
    pub fn id(&self, number: usize) -> WsiId {
        eventually(&format!("connection {number} begins"), || self.ids().len() > number);
        self.ids()[number]
    }

    fn ids(&self) -> Vec<WsiId> {
        created(&self.notes.events())
    }

    #[track_caller]
    pub fn close_later(&self, number: usize) {
        let id = self.id(number);
        self.ask(move |context| context.cx().close_later(id));
    }

    #[track_caller]
    pub fn destroy_vhost(&self, number: usize) {
        let vhost = self.vhost(number);
        self.ask(move |context| context.destroy_vhost(vhost));
    }

    /// A turn of the loop to which that much time seems to have passed.
    #[track_caller]
    pub fn later(&self, after: Duration) {
        self.turn();
        self.ask(move |context| context.service_at(Instant::now() + after).expect("service_at"));
    }

    /// Lets go of what the scenario holds, waits for the end of its one connection, and ends the context.
    #[track_caller]
    pub fn end<T>(self, held: T) -> Heard {
        self.end_of(1, held)
    }

    /// The same with `count` connections.
    #[track_caller]
    pub fn end_of<T>(self, count: usize, held: T) -> Heard {
        drop(held);
        self.hears_times("WsiDestroy", count);
        eventually("the ends of all", || {
            let events = self.notes.events();
            let is = |name| events.iter().filter(|event| event.name == name).count();
            is("WsiDestroy") == is("WsiCreate")
        });
        let heard = self.end_at_once();
        assert_eq!(heard.connections.len(), count, "so many connections");
        heard
    }

    /// Ends the context while there still are connections.
    pub fn end_at_once(self) -> Heard {
        let Play { server, notes } = self;
        drop(server);
        Heard::of(notes.events().clone())
    }
}

/// The connections of these events, in order of their first turns.
fn created(events: &[Event]) -> Vec<WsiId> {
    events.iter().filter(|event| event.name == "WsiCreate").filter_map(|event| event.wsi).collect()
}

/// All that was heard in a context's life, which is over.
pub struct Heard {
    pub events: Vec<Event>,
    /// The events of each, in order of their first turns.
    pub connections: Vec<Vec<Event>>,
}

impl Heard {
    pub fn of(events: Vec<Event>) -> Heard {
        invariants::check(&events);
        let of = |id| events.iter().filter(|event| event.wsi == Some(id)).cloned().collect();
        let connections = created(&events).into_iter().map(of).collect();
        Heard { events, connections }
    }

    /// What was heard of each connection. That those who came by a listener were asked about is taken as read.
    #[track_caller]
    pub fn each(&self) -> Vec<Vec<Step>> {
        for events in &self.connections {
            invariants::accepted_after_the_filter(events, &self.events);
        }
        self.connections.iter().map(|events| steps(events)).collect()
    }

    /// What was heard of accepting, and then of the one connection.
    pub fn with_filter(&self) -> Vec<Vec<Step>> {
        let accepting = self.events.iter().filter(|event| event.name == "FilterNetworkConnection");
        let about: Vec<Event> = accepting.chain(self.connections.iter().flatten()).cloned().collect();
        vec![steps(&about)]
    }

    /// What was heard of the one connection, with the question whether it is let in where that came.
    pub fn in_order(&self) -> Vec<Vec<Step>> {
        let about = |event: &&Event| event.wsi.is_some() || event.name == "FilterNetworkConnection";
        vec![steps(&self.events.iter().filter(about).cloned().collect::<Vec<_>>())]
    }

    /// What each protocol of a vhost heard that is not about a connection.
    pub fn vhost(&self, vhost: VhostId) -> Vec<Vec<Step>> {
        [FIRST, BOUND].iter().map(|protocol| self.protocol(vhost, protocol)).collect()
    }

    pub fn protocol(&self, vhost: VhostId, protocol: &str) -> Vec<Step> {
        let own = |event: &&Event| event.wsi.is_none() && event.vhost == vhost && event.protocol == protocol;
        steps(&self.events.iter().filter(own).cloned().collect::<Vec<_>>())
    }

    /// The vhosts that heard a reason.
    pub fn vhosts_of(&self, name: &str) -> BTreeSet<VhostId> {
        self.events.iter().filter(|event| event.name == name).map(|event| event.vhost).collect()
    }
}

/// Runs of received bytes count as one: how the bytes are cut is the network's affair.
fn steps(events: &[Event]) -> Vec<Step> {
    let mut steps: Vec<Step> =
        events.iter().map(|event| Step { name: event.name.clone(), of_vhost: event.of_vhost }).collect();
    let is_rx = |step: &Step| {
        ["RawRx", "RawRxFile", "RawProxySrvRx", "RawProxyCliRx", "HttpBody", "Receive", "ClientReceive"]
            .contains(&step.name.as_str())
    };
    steps.dedup_by(|a, b| a == b && is_rx(a));
    steps
}
