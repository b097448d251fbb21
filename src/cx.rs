//! All that a callback may reach: the other connections by id, the vhosts, the time.
//!
//! The connection being serviced is never in here; it was taken out of its slot and is lent to the callback beside the [`Cx`].

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::Registry;
use mio::net::{TcpStream, UnixStream};
use socket2::SockRef;

use crate::connect::{AdoptInfo, ConnectInfo, ConnectPlan};
use crate::context::{ContextInfo, Waker};
use crate::date::Date;
use crate::error::{Error, Result};
use crate::limits;
use crate::listen_group::{ListenGroup, ListenerId};
use crate::listening;
use crate::resolver::Resolver;
use crate::role::{self, Binding, RoleOps};
use crate::slots::Slots;
use crate::timers::Timers;
use crate::transport::{READING, Sock, Transport};
use crate::vhost::{Enabled, ProtocolIndex, Vhost, VhostId};
use crate::wsi::{Asked, Doing, Peer, Wsi, WsiId};

/// The part of a [`Context`](crate::Context) that callbacks are handed.
///
/// - Looking things up: [`now`](Cx::now), [`vhost`](Cx::vhost), [`vhost_by_name`](Cx::vhost_by_name),
///   [`listen_port`](Cx::listen_port), [`wsi_count`](Cx::wsi_count).
/// - New connections, at once and without a callback from inside: [`client_connect`](Cx::client_connect),
///   [`adopt_tcp`](Cx::adopt_tcp), [`adopt_unix`](Cx::adopt_unix).
/// - Requests about other connections, done after the callback: [`callback_on_writable`](Cx::callback_on_writable),
///   [`close_later`](Cx::close_later).
pub struct Cx {
    pub(crate) registry: Registry,
    pub(crate) info: ContextInfo,
    pub(crate) slots: Slots,
    /// Never reused, so that a stale id finds nothing.
    pub(crate) vhosts: Vec<Option<Vhost>>,
    pub(crate) listeners: Vec<Option<ListenGroup>>,
    /// Connections that have something to do without waiting for an event.
    pub(crate) run: VecDeque<WsiId>,
    /// A callback is running.
    pub(crate) calling: bool,
    /// What callbacks asked of other connections.
    pub(crate) deferred: VecDeque<Deferred>,
    pub(crate) timers: Timers,
    pub(crate) resolver: Resolver,
    pub(crate) waker: Waker,
    /// The time of this turn of the loop.
    pub(crate) now: Instant,
    pub(crate) date: Date,
    /// TLS handshakes that may still begin in this turn.
    pub(crate) handshakes: usize,
    /// Bytes that a connection may move in this turn.
    pub(crate) slice: usize,
    /// The one read buffer, [`limits::SERVICE_BUFFER`] bytes.
    pub(crate) buf: Vec<u8>,
    /// Where output is put together before it is sent; empty between uses.
    pub(crate) out: Vec<u8>,
}

/// What a callback asked of another connection.
pub(crate) enum Deferred {
    Writable(WsiId),
    WritableAll(VhostId, ProtocolIndex),
    Close(WsiId),
}

impl Cx {
    pub(crate) fn new(registry: Registry, waker: Waker, mio_waker: Arc<mio::Waker>, info: ContextInfo) -> Cx {
        Cx {
            registry,
            info,
            slots: Slots::default(),
            vhosts: Vec::new(),
            listeners: Vec::new(),
            run: VecDeque::new(),
            calling: false,
            deferred: VecDeque::new(),
            timers: Timers::default(),
            resolver: Resolver::new(mio_waker),
            waker,
            now: Instant::now(),
            date: Date::new(Instant::now()),
            handshakes: limits::TLS_HANDSHAKES,
            slice: limits::SERVICE_BUFFER,
            buf: vec![0; limits::SERVICE_BUFFER],
            out: Vec::new(),
        }
    }

    /// The time of this turn of the loop.
    pub fn now(&self) -> Instant {
        self.now
    }

    /// The time that much later; `None` for a wait without end.
    pub(crate) fn after(&self, wait: Duration) -> Option<Instant> {
        self.now.checked_add(wait)
    }

    /// A deadline that a role takes over from the one before it: who took its time there has less of it here.
    pub(crate) fn no_later(&self, deadline: Option<Instant>, wait: Duration) -> Option<Instant> {
        [deadline, self.after(wait)].into_iter().flatten().min()
    }

    /// A vhost, while it exists.
    pub fn vhost(&self, id: VhostId) -> Option<&Vhost> {
        self.vhosts.get(id.0 as usize)?.as_ref()
    }

    /// The first vhost of that name, case ignored (`lws_get_vhost_by_name`).
    pub fn vhost_by_name(&self, name: &str) -> Option<VhostId> {
        let found = |vhost: &Option<Vhost>| vhost.as_ref().is_some_and(|vhost| vhost.name().eq_ignore_ascii_case(name));
        self.vhosts.iter().position(found).map(|index| VhostId(index as u32))
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

    /// Begins a connection (`lws_client_connect_via_info`). Its protocol hears `RawConnected` or `ClientConnectionError` later, never
    /// from inside this call.
    ///
    /// # Errors
    /// [`Error::NoVhost`], [`Error::UnknownRole`], [`Error::UnknownProtocol`], [`Error::RoleMisfit`], and [`Error::Config`] for a role
    /// that makes no connections by itself, such as raw-proxy.
    pub fn client_connect(&mut self, info: ConnectInfo) -> Result<WsiId> {
        let vhost = self.vhost(info.vhost).filter(|vhost| !vhost.going).ok_or(Error::NoVhost)?;
        let then = vhost.binding(&info.role, &info.protocol)?;
        if !then.role.takes_client() {
            let what = format!("role {} has no connections of its own to make", then.role.name());
            return Err(Error::Config { vhost: vhost.name().to_owned(), what });
        }
        Ok(self.connect(info.vhost, ConnectPlan { target: info.target, tls: info.tls, then }, None))
    }

    /// Makes a foreign connected socket one of ours (`lws_adopt_socket_vhost`). Its protocol hears `RawAdopt` later, never from
    /// inside this call.
    ///
    /// # Errors
    /// As [`Cx::client_connect`], and [`Error::System`] where the socket cannot be polled.
    pub fn adopt_tcp(&mut self, stream: std::net::TcpStream, info: AdoptInfo) -> Result<WsiId> {
        let what = Error::system("adopting a TCP socket");
        let prepared = stream
            .set_nonblocking(true)
            .and_then(|()| stream.set_nodelay(true))
            .and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&listening::keepalive()))
            .and_then(|()| stream.peer_addr());
        let peer = Peer::tcp(prepared.map_err(what)?);
        self.adopt(Transport::Tcp(Sock::new(TcpStream::from_std(stream))), peer, info)
    }

    /// The same for a unix socket.
    ///
    /// # Errors
    /// As [`Cx::adopt_tcp`].
    pub fn adopt_unix(&mut self, stream: std::os::unix::net::UnixStream, info: AdoptInfo) -> Result<WsiId> {
        stream.set_nonblocking(true).map_err(Error::system("adopting a unix socket"))?;
        self.adopt(Transport::Unix(Sock::reading_on(UnixStream::from_std(stream))), Peer::Unix, info)
    }

    fn adopt(&mut self, io: Transport, peer: Peer, info: AdoptInfo) -> Result<WsiId> {
        let vhost = self.vhost(info.vhost).filter(|vhost| !vhost.going).ok_or(Error::NoVhost)?;
        let binding = vhost.binding(&info.role, &info.protocol)?;
        self.insert(info.vhost, io, peer, binding).map_err(Error::system("adopting a socket"))
    }

    /// Asks for another connection's writeable callback (`lws_callback_on_writable`).
    pub fn callback_on_writable(&mut self, id: WsiId) {
        self.deferred.push_back(Deferred::Writable(id));
    }

    /// Asks for the writeable callback of every connection of a vhost that is bound to a protocol
    /// (`lws_callback_on_writable_all_protocol_vhost`).
    pub fn callback_on_writable_all_protocol(&mut self, vhost: VhostId, protocol: &str) {
        if let Some(index) = self.vhost(vhost).and_then(|vhost| vhost.find_protocol(protocol)) {
            self.deferred.push_back(Deferred::WritableAll(vhost, index));
        }
    }

    /// Closes another connection once this callback has returned (`lws_set_timeout(.., LWS_TO_KILL_ASYNC)`). What is queued on
    /// it is still sent.
    pub fn close_later(&mut self, id: WsiId) {
        self.deferred.push_back(Deferred::Close(id));
    }

    // -- what roles and the core use

    /// Puts a connected socket under the loop; its role is bound at its first turn.
    pub(crate) fn insert(
        &mut self,
        vhost: VhostId,
        mut io: Transport,
        peer: Peer,
        binding: Binding,
    ) -> io::Result<WsiId> {
        let registry = &self.registry;
        let mut registered = Ok(());
        let wsi = self.slots.insert(|id| {
            registered = io.register(registry, id.token(), READING);
            let mut wsi = Wsi::new(id, vhost, io, peer, Doing::Starting(binding));
            wsi.flags.queued = true;
            wsi
        });
        let id = wsi.id;
        match registered {
            Ok(()) => {
                self.run.push_back(id);
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
        let wsi = self.slots.insert(|id| {
            let mut wsi = Wsi::new(id, vhost, Transport::None, Peer::None, Doing::Starting(binding));
            wsi.flags.queued = true;
            wsi.flags.client = true;
            wsi.parent = parent;
            wsi.asked = Some(Box::new(Asked::Connect(plan)));
            wsi
        });
        self.run.push_back(wsi.id);
        wsi.id
    }

    /// A role of the house.
    pub(crate) fn role(&self, name: &str) -> &'static dyn RoleOps {
        role::find(name).expect("roles ask only for roles of the house")
    }

    /// Gives a connection a turn, soon. Does nothing for a stale id and for the connection in hand.
    pub(crate) fn wake(&mut self, id: WsiId) {
        if let Some(wsi) = self.slots.get_mut(id) {
            enqueue(&mut self.run, wsi);
        }
    }

    pub(crate) fn vhost_mut(&mut self, id: VhostId) -> Option<&mut Vhost> {
        self.vhosts.get_mut(id.0 as usize)?.as_mut()
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

/// Puts a connection into the run queue, once.
pub(crate) fn enqueue(run: &mut VecDeque<WsiId>, wsi: &mut Wsi) {
    if !wsi.flags.queued {
        wsi.flags.queued = true;
        run.push_back(wsi.id);
    }
}
