//! All that a callback may reach: the other connections by id, the vhosts, the time.
//!
//! The connection being serviced is never in here; it was taken out of its slot and is lent to the callback beside the [`Cx`].

use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;

use crate::access_log::Logs;
use crate::basic_auth::Passwords;
use crate::buf::Room;
use crate::connect::ConnectPlan;
use crate::context::{ContextInfo, Waker};
use crate::date::Date;
use crate::deferred::Deferred;
use crate::descriptors::OpenFiles;
use crate::error::{Error, InitError, Result};
use crate::file_cache::FileCache;
use crate::keepalive::Young;
use crate::limits;
use crate::listen_group::{ListenGroup, ListenerId};
use crate::listen_sockets::ListenSockets;
use crate::peer_limits::PeerLimits;
use crate::protocol::{Protocol, Verdict};
use crate::request_turns::RequestTurns;
use crate::resolver::{self, Found, Name, Resolver};
use crate::role::{self, Binding, RoleOps};
use crate::run_queue::RunQueue;
use crate::seldom::{Seldom, Told, VhostWarned, Warned};
use crate::slots::Slots;
use crate::timers::{SulId, Timers};
use crate::transport::{Pipes, READING, Transport};
use crate::vhost::{Enabled, ProtocolIndex, Vhost, VhostId};
use crate::ws;
use crate::wsi::{Asked, Origin, Peer, Wsi, WsiId};

/// The part of a [`Context`](crate::Context) that callbacks are handed.
///
/// - Looking things up: [`now`](Cx::now), [`wsi`](Cx::wsi), [`pss`](Cx::pss), [`vhd`](Cx::vhd), [`vhost`](Cx::vhost),
///   [`vhosts`](Cx::vhosts), [`vhost_by_name`](Cx::vhost_by_name), [`listen_port`](Cx::listen_port), [`wsi_count`](Cx::wsi_count), [`user`](Cx::user),
///   [`uptime`](Cx::uptime), [`listening`](Cx::listening).
/// - New connections, at once and without a callback from inside: [`client_connect`](Cx::client_connect),
///   [`adopt_accepted`](Cx::adopt_accepted), [`adopt_tcp`](Cx::adopt_tcp), [`adopt_unix`](Cx::adopt_unix),
///   [`adopt_file`](Cx::adopt_file), [`adopt_udp`](Cx::adopt_udp).
/// - Times: [`schedule`](Cx::schedule), [`cancel_sul`](Cx::cancel_sul), [`set_timer`](Cx::set_timer), [`set_timeout`](Cx::set_timeout).
/// - Requests about other connections and vhosts, done after the callback: [`callback_on_writable`](Cx::callback_on_writable),
///   [`callback_all_protocol`](Cx::callback_all_protocol), [`rx_flow_control`](Cx::rx_flow_control),
///   [`close_later`](Cx::close_later), [`close_later_with`](Cx::close_later_with),
///   [`destroy_vhost_later`](Cx::destroy_vhost_later) and their like.
/// - The loop itself: [`waker`](Cx::waker), [`stop`](Cx::stop), [`stop_with`](Cx::stop_with).
pub struct Cx {
    pub(crate) registry: Registry,
    pub(crate) info: ContextInfo,
    pub(crate) slots: Slots,
    pub(crate) vhosts: BTreeMap<VhostId, Vhost>,
    /// An id is never used twice, so that a stale one finds nothing.
    pub(crate) next_vhost: u32,
    pub(crate) listeners: Vec<Option<ListenGroup>>,
    /// Connections that have something to do without waiting for an event.
    pub(crate) run: RunQueue,
    /// A callback is running.
    pub(crate) calling: bool,
    /// The context is being dropped.
    pub(crate) going: bool,
    /// It serves no new connections.
    pub(crate) deprecated: bool,
    /// Its WebSockets are closed, also those that are still to be opened.
    pub(crate) closes_websockets: bool,
    /// Its vhosts have no listen sockets.
    pub(crate) is_dry: bool,
    /// Listen sockets for vhosts that are still to be made.
    pub(crate) handed: Vec<ListenSockets>,
    /// What callbacks asked of other connections.
    pub(crate) deferred: VecDeque<Deferred>,
    pub(crate) timers: Timers,
    pub(crate) peer_limits: PeerLimits,
    pub(crate) request_turns: RequestTurns,
    pub(crate) warned: Warned,
    /// Connections that there may be: a listen socket accepts, and role connect makes, no more.
    pub(crate) most_connections: usize,
    /// The same together with [`Cx::open_files`], where the number of descriptors is what bounds them.
    pub(crate) most_open: usize,
    pub(crate) open_files: OpenFiles,
    pub(crate) resolver: Resolver<Name, Found>,
    pub(crate) peer_names: Resolver<IpAddr, Option<String>>,
    pub(crate) passwords: Passwords,
    user: Option<Rc<dyn Any>>,
    /// Why the loop ends, where it is not in order.
    pub(crate) failure: Option<InitError>,
    pub(crate) waker: Waker,
    pub(crate) began: Instant,
    /// The time of this turn of the loop.
    pub(crate) now: Instant,
    pub(crate) date: Date,
    pub(crate) files: FileCache,
    pub(crate) logs: Logs,
    /// Steps of TLS handshakes that may still be taken in this turn.
    pub(crate) handshakes: usize,
    /// Bytes that a connection may move in this turn.
    pub(crate) slice: usize,
    /// The same where the kernel moves them.
    pub(crate) splice: usize,
    /// The one read buffer, [`limits::SERVICE_BUFFER`] bytes.
    pub(crate) buf: Vec<u8>,
    /// What WebSockets compress with, while none of them does.
    pub(crate) ws_contexts: Rc<ws::Contexts>,
    pub(crate) pipes: Pipes,
    pub(crate) young: Young,
    /// Where output is put together before it is sent; empty between uses.
    pub(crate) out: Vec<u8>,
    /// Where what the connection in hand writes waits until it is sent.
    pub(crate) room: Room,
}

impl Cx {
    pub(crate) fn new(
        registry: Registry,
        waker: Waker,
        mio_waker: Arc<mio::Waker>,
        passwords: Passwords,
        info: ContextInfo,
    ) -> Cx {
        Cx {
            registry,
            peer_limits: PeerLimits::new(info.ip_limit_wsi),
            request_turns: RequestTurns::new(info.ip_limit_ah),
            warned: Warned::default(),
            most_connections: info.max_connections.unwrap_or(usize::MAX),
            most_open: usize::MAX,
            open_files: OpenFiles::default(),
            info,
            slots: Slots::default(),
            vhosts: BTreeMap::new(),
            next_vhost: 0,
            listeners: Vec::new(),
            run: RunQueue::default(),
            calling: false,
            going: false,
            deprecated: false,
            closes_websockets: false,
            is_dry: false,
            handed: Vec::new(),
            deferred: VecDeque::new(),
            timers: Timers::new(),
            resolver: Resolver::new(mio_waker.clone(), resolver::addresses),
            peer_names: Resolver::new(mio_waker, resolver::name),
            passwords,
            user: None,
            failure: None,
            waker,
            began: Instant::now(),
            now: Instant::now(),
            date: Date::new(Instant::now()),
            files: FileCache::default(),
            logs: Logs::default(),
            handshakes: limits::TLS_HANDSHAKES,
            slice: limits::SERVICE_BUFFER,
            splice: limits::SPLICE,
            buf: vec![0; limits::SERVICE_BUFFER],
            ws_contexts: Rc::default(),
            pipes: Pipes::default(),
            young: Young::default(),
            out: Vec::new(),
            room: Room::default(),
        }
    }

    /// The time of this turn of the loop.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// A callback that panicked may have taken the read buffer with it.
    pub(crate) fn restore(&mut self) {
        self.buf.resize(limits::SERVICE_BUFFER, 0);
    }

    /// The time that much later; `None` for a wait without end.
    pub(crate) fn after(&self, wait: Duration) -> Option<Instant> {
        self.now.checked_add(wait)
    }

    /// Gives the buffer back in which output was put together. What one large answer needed is not kept for all that come after it.
    pub(crate) fn put_back(&mut self, mut out: Vec<u8>) {
        out.clear();
        out.shrink_to(limits::SERVICE_BUFFER);
        self.out = out;
    }

    /// The same for user code, which gets a time that is still to come even of no wait at all: what is due at once comes in a later turn.
    pub(crate) fn later(&self, wait: Duration) -> Option<Instant> {
        self.after(wait.max(Duration::from_nanos(1)))
    }

    /// A deadline that a role takes over from the one before it: who took its time there has less of it here.
    pub(crate) fn no_later(&self, deadline: Option<Instant>, wait: Duration) -> Option<Instant> {
        [deadline, self.after(wait)].into_iter().flatten().min()
    }

    /// Another connection, while it exists. The one in hand is not in here.
    pub fn wsi(&self, id: WsiId) -> Option<&Wsi> {
        self.slots.get(id)
    }

    /// Session data of another connection (lws's callbacks keep pointers to it). `None` for a stale id, for the connection in hand, and where
    /// another protocol is bound.
    pub fn pss<P: Protocol>(&mut self, id: WsiId) -> Option<&mut P::Session> {
        self.slots.get_mut(id).filter(|wsi| wsi.protocol_name == Some(P::NAME))?.pss.as_deref_mut()?.downcast_mut()
    }

    /// A protocol's data on a vhost (`lws_protocol_vh_priv_get`). `None` where the vhost does not have it, and for what the callback in hand
    /// was given already.
    pub fn vhd<P: Protocol>(&mut self, vhost: VhostId) -> Option<&mut P::Vhost> {
        let index = self.vhost(vhost)?.find_protocol(P::NAME)?;
        self.enabled_mut(vhost, index)?.vhd.as_deref_mut()?.downcast_mut()
    }

    /// A vhost, while it exists.
    pub fn vhost(&self, id: VhostId) -> Option<&Vhost> {
        self.vhosts.get(&id)
    }

    /// All vhosts, in order of creation.
    pub fn vhosts(&self) -> impl Iterator<Item = VhostId> {
        self.vhosts.keys().copied()
    }

    /// The first vhost of that name, case ignored (`lws_get_vhost_by_name`).
    pub fn vhost_by_name(&self, name: &str) -> Option<VhostId> {
        self.vhosts.iter().find(|(_, vhost)| vhost.name().eq_ignore_ascii_case(name)).map(|(id, _)| *id)
    }

    /// The TCP port that a vhost really listens on (`lws_get_vhost_listen_port`).
    pub fn listen_port(&self, id: VhostId) -> Option<u16> {
        self.group_of(id)?.bound.first().map(SocketAddr::port)
    }

    /// How many connections there are, listen sockets included.
    pub fn wsi_count(&self) -> usize {
        self.slots.len()
    }

    /// A handle by which other threads reach the loop.
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }

    /// Serves no new connections and lets those that are there finish: what waits at the listen sockets is still accepted, then they are
    /// closed; responses end their http connections, idle ones go with their keep-alive time (`lws_context_deprecate`). WebSockets and raw
    /// connections stay for as long as they like.
    /// [`wsi_count`](Cx::wsi_count) says how many are left.
    pub fn deprecate_later(&mut self) {
        self.deferred.push_back(Deferred::Deprecate);
    }

    /// Closes all WebSockets with 1001 (going away, RFC 6455 section 7.4.1), and from now on those that are opened as soon as they are. Each
    /// ends when its peer has answered, or after [`limits::WS_CLOSE_WAIT`]. For who ends soon, and lets all others finish with
    /// [`deprecate_later`](Cx::deprecate_later): a WebSocket does not finish by itself.
    pub fn close_websockets_later(&mut self) {
        self.deferred.push_back(Deferred::CloseWebSockets);
    }

    /// Ends [`Context::run`](crate::Context::run) after this turn (`lws_default_loop_exit`).
    pub fn stop(&self) {
        self.waker.stop();
    }

    /// The same, and has [`Context::run`](crate::Context::run) return an error. The verdict closes the connection in hand.
    pub fn stop_with(&mut self, why: impl Into<InitError>) -> Verdict {
        self.failure.get_or_insert(why.into());
        self.stop();
        Verdict::Close
    }

    /// What was hung on the context, if it is a `T` (`lws_context_user`).
    pub fn user<T: 'static>(&self) -> Option<&T> {
        self.user.as_deref()?.downcast_ref()
    }

    /// Hangs something on the context, for all protocols to find (`user` of `struct lws_context_creation_info`).
    pub fn set_user(&mut self, user: Rc<dyn Any>) {
        self.user = Some(user);
    }

    /// Has a protocol of a vhost called with [`VhostReason::Sul`](crate::VhostReason::Sul), once, `after` from now
    /// (`lws_sul_schedule`). Never from inside this call. It goes with the vhost.
    ///
    /// # Errors
    /// [`Error::NoVhost`] and [`Error::UnknownProtocol`].
    pub fn schedule(&mut self, vhost: VhostId, protocol: &str, after: Duration) -> Result<SulId> {
        let protocol = self.open_vhost(vhost)?.protocol(protocol)?;
        let at = self.later(after).unwrap_or(self.now + limits::LONGEST_WAIT);
        Ok(self.timers.schedule(at, vhost, protocol))
    }

    /// Takes a scheduled call back (`lws_sul_cancel`). Whether it was still to come.
    pub fn cancel_sul(&mut self, sul: SulId) -> bool {
        self.timers.cancel(sul)
    }

    // -- what roles and the core use

    /// Puts a connected socket under the loop; its role is bound at its first turn.
    ///
    /// Who was accepted often has its request there already. So the first turn reads, and the poll is told only of a connection that this
    /// turn leaves open.
    pub(crate) fn insert(
        &mut self,
        vhost: VhostId,
        mut io: Transport,
        peer: Peer,
        origin: Origin,
        first: Binding,
    ) -> io::Result<WsiId> {
        let facts = self.facts_of(vhost, &io, origin, first);
        let tally = self.tally_of(vhost);
        if origin == Origin::Accepted {
            tally.note_accepted();
        }
        let registry = &self.registry;
        let mut registered = Ok(());
        let unpolled = origin == Origin::Accepted;
        let wsi = self.slots.insert(|id| {
            match unpolled {
                true => io.expect_input(),
                false => registered = io.register(registry, id.token(), READING),
            }
            let mut wsi = Wsi::new(id, (vhost, tally), io, peer, origin, first);
            wsi.flags.unpolled = unpolled;
            wsi.facts = facts;
            wsi
        });
        let id = wsi.id;
        match registered {
            Ok(()) => {
                self.run.push(wsi);
                Ok(id)
            }
            Err(error) => {
                if let Some(wsi) = self.slots.take(id) {
                    self.slots.free(wsi);
                }
                Err(error)
            }
        }
    }

    /// Begins a connection of our own, for `parent` where another connection needs it.
    pub(crate) fn connect(&mut self, vhost: VhostId, plan: ConnectPlan, parent: Option<WsiId>) -> WsiId {
        let binding = Binding { role: self.role("connect"), protocol: plan.then.protocol };
        let tally = self.tally_of(vhost);
        let wsi = self.slots.insert(|id| {
            let mut wsi = Wsi::new(id, (vhost, tally), Transport::None, Peer::None, Origin::Client, binding);
            wsi.parent = parent;
            wsi.asked = Some(Box::new(Asked::Connect(plan)));
            wsi
        });
        self.run.push(wsi);
        wsi.id
    }

    /// A role of the house.
    pub(crate) fn role(&self, name: &str) -> &'static dyn RoleOps {
        role::find(name).expect("roles ask only for roles of the house")
    }

    /// Gives a connection a turn, soon. Does nothing for a stale id and for the connection in hand.
    pub(crate) fn wake(&mut self, id: WsiId) {
        if let Some(wsi) = self.slots.get_mut(id) {
            self.run.push(wsi);
        }
    }

    /// A vhost on which something may begin.
    pub(crate) fn open_vhost(&self, id: VhostId) -> Result<&Vhost> {
        self.vhost(id).filter(|vhost| !vhost.going).ok_or(Error::NoVhost)
    }

    pub(crate) fn vhost_mut(&mut self, id: VhostId) -> Option<&mut Vhost> {
        self.vhosts.get_mut(&id)
    }

    pub(crate) fn enabled(&self, vhost: VhostId, protocol: ProtocolIndex) -> Option<&Enabled> {
        self.vhost(vhost)?.protocols.get(usize::from(protocol))
    }

    pub(crate) fn enabled_mut(&mut self, vhost: VhostId, protocol: ProtocolIndex) -> Option<&mut Enabled> {
        self.vhost_mut(vhost)?.protocols.get_mut(usize::from(protocol))
    }

    pub(crate) fn group(&self, id: ListenerId) -> Option<&ListenGroup> {
        self.listeners.get(id as usize)?.as_ref()
    }

    /// The listen socket that a vhost shares.
    pub(crate) fn group_of(&self, vhost: VhostId) -> Option<&ListenGroup> {
        self.group(self.vhost(vhost)?.listener?)
    }

    /// A connection's name in the log: id, vhost, role and peer.
    pub(crate) fn tag<'a>(&'a self, wsi: &'a Wsi) -> Tag<'a> {
        Tag { vhost: self.vhost(wsi.vhost).map_or("-", Vhost::name), wsi }
    }

    /// Warns of what one connection of a vhost after another may run into, as often as the log is to hear of it.
    pub(crate) fn warn_seldom(&mut self, wsi: &Wsi, of: fn(&mut VhostWarned) -> &mut Seldom, what: fmt::Arguments<'_>) {
        let now = self.now;
        let told = self.vhost_mut(wsi.vhost).map_or(Told::Info, |vhost| of(&mut vhost.warned).tell(now));
        told.log(format_args!("{}: {what}", self.tag(wsi)));
    }
}

/// What [`Cx::tag`] prints.
pub(crate) struct Tag<'a> {
    vhost: &'a str,
    wsi: &'a Wsi,
}

impl fmt::Display for Tag<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tag { vhost, wsi } = self;
        write!(f, "wsi {} {vhost} {} {}", wsi.id, wsi.role_name, wsi.peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::context::Context;

    #[test]
    fn what_one_large_answer_needed_is_given_back() {
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        context.cx().put_back(Vec::with_capacity(8 * limits::SERVICE_BUFFER));
        assert!(context.cx().out.capacity() <= limits::SERVICE_BUFFER);
    }
}
