//! One connection, listen socket or adopted descriptor (`struct lws`).
//!
//! A [`Wsi`] is a transport, the role that the connection is in, the vhost it belongs to and the protocol bound to it. What
//! another connection may need to touch while this one is not being serviced (queued output, end of input, readiness) is
//! here; the rest is inside the role.

use std::any::Any;
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::BorrowedFd;
use std::rc::Rc;
use std::time::Instant;

use mio::Token;

use crate::attached::Attached;
use crate::buf::Buf;
use crate::connect::{ConnectPlan, Onward, SecurePlan};
use crate::facts::Facts;
use crate::http::Exchange;
use crate::proxied::Direct;
use crate::role::{Binding, CloseReason, Role};
use crate::tally::Tally;
use crate::timers::At;
use crate::tls::PeerCert;
use crate::transport::{Piped, Transport};
use crate::vhost::{ProtocolIndex, VhostId};
use crate::ws::WebSocket;

/// What anybody but the loop keeps of a connection. A stale one finds nothing and does nothing.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct WsiId {
    pub(crate) index: u32,
    pub(crate) generation: u32,
}

/// An id fits a token: half of it index, half generation.
const _: () = assert!(usize::BITS == 64, "rlws needs a 64-bit platform");

impl WsiId {
    pub(crate) fn token(self) -> Token {
        Token((self.generation as usize) << 32 | self.index as usize)
    }

    pub(crate) fn of_token(token: Token) -> WsiId {
        WsiId { index: token.0 as u32, generation: (token.0 >> 32) as u32 }
    }
}

impl fmt::Display for WsiId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

/// Who is at the other end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Peer {
    /// Nobody: a listen socket, or a client connection that has not chosen an address yet.
    None,
    /// A TCP peer.
    Tcp(SocketAddr),
    /// The sender of the latest datagram, or the one that the UDP socket is connected to.
    Udp(SocketAddr),
    /// A local process over a unix socket.
    Unix,
    /// Whatever is behind an adopted descriptor.
    File,
}

impl Peer {
    /// A TCP peer, as IPv4 where a dual-stack socket shows it as an IPv4-mapped IPv6 address.
    pub(crate) fn tcp(address: SocketAddr) -> Peer {
        Peer::Tcp(SocketAddr::new(address.ip().to_canonical(), address.port()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::None => f.write_str("-"),
            Peer::Tcp(address) | Peer::Udp(address) => address.fmt(f),
            Peer::Unix => f.write_str("unix"),
            Peer::File => f.write_str("file"),
        }
    }
}

/// What an idle connection costs is this, its role's state, and a timer's entry.
const _: () = assert!(size_of::<Wsi>() <= 400, "a Wsi has grown; what few connections need belongs in a box");

/// A connection (`struct lws`). Callbacks are handed theirs; others are reached by [`WsiId`] through [`Cx`](crate::Cx).
pub struct Wsi {
    pub(crate) id: WsiId,
    pub(crate) vhost: VhostId,
    /// That of the vhost.
    pub(crate) tally: Rc<Tally>,
    pub(crate) io: Transport,
    pub(crate) doing: Doing,
    pub(crate) role_name: &'static str,
    pub(crate) protocol: Option<ProtocolIndex>,
    pub(crate) protocol_name: Option<&'static str>,
    /// Per-session data of the bound protocol.
    pub(crate) pss: Option<Box<dyn Any>>,
    /// Read and not yet consumed.
    pub(crate) rx: Buf,
    /// Accepted from user code or another connection, and not yet sent.
    pub(crate) tx: Buf,
    /// The same, in the kernel. Of the two only one is in use at a time.
    pub(crate) piped: Piped,
    /// Bytes that the system has taken so far.
    pub(crate) sent: u64,
    /// When the role wants its `on_timeout`.
    pub(crate) deadline: Option<Instant>,
    /// What the timers hold.
    pub(crate) armed: Option<At>,
    pub(crate) peer: Peer,
    /// Who is at the other end of the socket, where that is not the peer.
    pub(crate) direct: Option<Box<Direct>>,
    /// The connection that this one was made for.
    pub(crate) parent: Option<WsiId>,
    /// The connection that this one is relayed to; it is woken when this one ends. Two that are linked to each other are a pair.
    pub(crate) link: Option<WsiId>,
    /// What a callback or the core asked of the role.
    pub(crate) asked: Option<Box<Asked>>,
    /// The request that a protocol answers, in role http.
    pub(crate) http: Option<Box<Exchange>>,
    /// The WebSocket, in role ws.
    pub(crate) ws: Option<Box<WebSocket>>,
    /// What user code hangs on it.
    pub(crate) attached: Option<Box<Attached>>,
    /// What the access log will say of it; `None`: nothing.
    pub(crate) facts: Option<Box<Facts>>,
    pub(crate) origin: Origin,
    /// The vhost whose first protocol heard of its creation.
    pub(crate) created_on: Option<VhostId>,
    pub(crate) flags: Flags,
}

/// Where a connection came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// It is a listen socket.
    Listening,
    Accepted,
    Adopted,
    /// We connected; the peer did not.
    Client,
}

/// Where the role is.
pub(crate) enum Doing {
    /// It will be bound at the first service.
    Starting(Binding),
    Role(Box<dyn Role>),
    /// In use: its connection is being serviced.
    Lent,
    /// It says its last words.
    Closing(CloseReason),
}

/// Requests that wait for a role to come to them.
pub(crate) enum Asked {
    /// A protocol in role raw-proxy wants to be relayed there.
    Onward(Onward),
    /// A connection that is to be made.
    Connect(ConnectPlan),
    /// TLS that our own connection is to begin with.
    Secure(SecurePlan),
    /// The resolver's answer to one.
    Resolved(Result<Vec<SocketAddr>, String>),
}

#[derive(Default)]
pub(crate) struct Flags {
    /// In the run queue.
    pub(crate) queued: bool,
    /// The protocol wants a writeable callback.
    pub(crate) want_writeable: bool,
    /// FIN goes out behind the last queued byte.
    pub(crate) fin: bool,
    pub(crate) fin_sent: bool,
    /// The peer's end is not the connection's.
    pub(crate) half_close: bool,
    /// The protocol wants to receive nothing for now.
    pub(crate) rx_paused: bool,
    /// Its descriptor was made elsewhere, where somebody may hold a copy of it.
    pub(crate) foreign: bool,
    /// Its parent lists it among its children.
    pub(crate) is_child: bool,
    /// What it relays came to no orderly end.
    pub(crate) cut_off: bool,
    /// Bytes for its peer will never be sent, so that it ends in a reset.
    pub(crate) truncated: bool,
    /// On its way out, in role drain.
    pub(crate) draining: bool,
    /// Its peer was answered, and may read that only when it has sent all that it has to say.
    pub(crate) lingers: bool,
    /// Its first turn comes before the poll is told of it.
    pub(crate) unpolled: bool,
    /// The role sends a protocol's bytes as they are.
    pub(crate) raw_tx: bool,
    /// It counts for its peer's limit.
    pub(crate) counted: bool,
    /// It counts among those of its peer that have not said what they want.
    pub(crate) undecided: bool,
    /// What is sent waits in `tx` for what the role sends next.
    pub(crate) corked: bool,
    /// It moves slice after slice: those who move little do not wait for it.
    pub(crate) bulk: bool,
}

impl Wsi {
    pub(crate) fn new(
        id: WsiId,
        (vhost, tally): (VhostId, Rc<Tally>),
        io: Transport,
        peer: Peer,
        origin: Origin,
        first: Binding,
    ) -> Wsi {
        Wsi {
            id,
            vhost,
            tally,
            io,
            doing: Doing::Starting(first),
            role_name: "none",
            protocol: None,
            protocol_name: None,
            pss: None,
            rx: Buf::default(),
            tx: Buf::default(),
            piped: Piped::default(),
            sent: 0,
            deadline: None,
            armed: None,
            peer,
            direct: None,
            parent: None,
            link: None,
            asked: None,
            http: None,
            ws: None,
            attached: None,
            facts: None,
            origin,
            created_on: None,
            flags: Flags::default(),
        }
    }

    // -- what callbacks use

    /// Its id, to be kept instead of the connection itself.
    pub fn id(&self) -> WsiId {
        self.id
    }

    /// The vhost it belongs to (`lws_get_vhost`).
    pub fn vhost(&self) -> VhostId {
        self.vhost
    }

    /// The role it is in, such as `raw-skt`.
    pub fn role_name(&self) -> &'static str {
        self.role_name
    }

    /// The protocol bound to it (`lws_get_protocol`).
    pub fn protocol_name(&self) -> Option<&'static str> {
        self.protocol_name
    }

    /// The other end's address (`lws_get_peer_simple`). Where a PROXY header of a trusted balancer has named the client, the client's; the
    /// balancer is then the [`Wsi::direct_peer`].
    pub fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The connection it was made for (`lws_get_parent`).
    pub fn parent(&self) -> Option<WsiId> {
        self.parent
    }

    /// The descriptor beneath, for settings that rlws has no word for (`lws_get_socket_fd`). Not for reading, writing or closing.
    pub fn fd(&self) -> Option<BorrowedFd<'_>> {
        self.io.fd()
    }

    /// Asks for a `RawWriteable`, or its twin in the role, as soon as everything queued has been sent (`lws_callback_on_writable`).
    pub fn callback_on_writable(&mut self) {
        self.flags.want_writeable = true;
    }

    /// Receives nothing more (`false`), or goes on (`true`), which is how a connection begins (`lws_rx_flow_control`). What the peer sends
    /// meanwhile waits in the system; that it has gone is only learned when its connection fails.
    pub fn rx_flow_control(&mut self, on: bool) {
        self.flags.rx_paused = !on;
    }

    /// Asks role raw-proxy to connect to a target and relay to it; from `RawProxySrvAdopt`.
    pub fn connect_onward(&mut self, onward: impl Into<Onward>) {
        self.ask_role("raw-proxy", Asked::Onward(onward.into()));
    }

    fn ask_role(&mut self, role: &str, asked: Asked) {
        if self.role_name == role {
            self.asked = Some(Box::new(asked));
        } else {
            log::warn!("wsi {}: what is asked of role {role} does nothing in role {}", self.id, self.role_name);
        }
    }

    /// Has the protocol hear `RawEof` when the peer ends its side, in role raw-skt. The connection then goes on until the protocol closes it, or
    /// [ends its own side](Wsi::shutdown_write) too. Otherwise the peer's end is the connection's, as in lws. In role http a client that has
    /// ended its side gets its answer in any case; this lets it wait for longer than
    /// [`limits::HALF_CLOSE_LINGER`](crate::limits::HALF_CLOSE_LINGER) without a byte.
    pub fn allow_half_close(&mut self) {
        self.flags.half_close = true;
    }

    /// Why the connection ends, in the callbacks that say that it does (`RawClose` and its twins, and the drop of the protocol behind it);
    /// `None` elsewhere.
    pub fn close_reason(&self) -> Option<&CloseReason> {
        match &self.doing {
            Doing::Closing(reason) => Some(reason),
            _ => None,
        }
    }

    /// The certificate that the other end showed, over TLS (`lws_tls_peer_cert_info`). One that was shown to another vhost, from which
    /// a `Host` led here, is not: it was checked by that one's rules.
    pub fn tls_peer_cert_info(&self) -> Option<PeerCert> {
        self.io.tls().filter(|tls| tls.vhost == self.vhost)?.peer_cert()
    }

    /// Whether the connection is encrypted (`lws_is_ssl`).
    pub fn is_tls(&self) -> bool {
        self.io.tls().is_some()
    }
}
