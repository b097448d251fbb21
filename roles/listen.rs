//! Role `listen`: accepts connections, and starts each on its way.
//!
//! ```text
//!   LooksForInterface ──▶ (its sockets have connections of their own)
//!
//!   Accepts ── no room, no descriptor ──▶ Rests ──▶ Accepts ── nobody waits ──▶ IsCalm ── that lasts ──▶ Accepts
//!                                           ▲                                     │
//!                                           └────────── no room again ────────────┘
//! ```
//!
//! That there is no room is said once, and its end once it has lasted for a while: a flood that comes and goes fills no log.
//! It emits `FilterNetworkConnection`. In lws: `rops_handle_POLLIN_listen`.

use std::io::{self, ErrorKind};
use std::mem;

use crate::admission::Refusal;
use crate::cx::Cx;
use crate::descriptors::Room;
use crate::limits;
use crate::listening::ListenError;
use crate::logger::NOTICE;
use crate::role::{Binding, CloseReason, Next, Role, RoleOps};
use crate::transport::{Sock, Transport};
use crate::vhost::{ProtocolIndex, Vhost, VhostId};
use crate::wsi::{Origin, Peer, Wsi, WsiId};

pub(crate) struct Listen;

impl RoleOps for Listen {
    fn name(&self) -> &'static str {
        "listen"
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        if cx.info.max_connections.is_none() {
            let room = Room::beside(cx.slots.len() + cx.pipes.descriptors() + cx.open_files.count());
            cx.most_connections = room.connections;
            cx.most_open = room.connections + room.files;
            cx.pipes.limit(room.pipes);
        }
        let state = match address(&wsi.io) {
            Some(address) => {
                let vhost = cx.vhost(wsi.vhost).map_or("-", Vhost::name);
                log::info!(target: NOTICE, "listening on {address} (vhost {vhost})");
                State::Accepts
            }
            None => {
                wsi.deadline = cx.after(limits::INTERFACE_RETRY);
                State::LooksForInterface
            }
        };
        Ok(Box::new(Listening { state, in_trouble: false }))
    }
}

struct Listening {
    state: State,
    /// The operator has been told; it is told again when it is over.
    in_trouble: bool,
}

/// What it does, until the deadline where it has one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// There is no socket yet. At the deadline it is tried again to have one.
    LooksForInterface,
    /// There is no deadline.
    Accepts,
    /// Accepts nobody.
    Rests,
    /// Accepts, and nobody had to wait of late. At the deadline the operator is told.
    IsCalm,
}

impl Role for Listening {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        if matches!(self.state, State::LooksForInterface | State::Rests) {
            return if cx.deprecated { Next::Close(CloseReason::Done) } else { Next::Stay };
        }
        let Some((vhost, first)) = cx.first_binding(wsi.vhost) else { return Next::Stay };
        let trusted = cx.trusted_of(vhost);
        // Each may be handed to the listen-accept role.
        let each = cx.vhost(vhost).map_or(1, |vhost| vhost.listen_accept.role.connections());
        let open = cx.slots.len();
        let room = cx.most_connections.saturating_sub(open).min(cx.descriptors_left()) / each;
        if room == 0 {
            let files = cx.open_files.count();
            let why = format!(
                "{open} connections and {files} files on their way, as many as may be (max_connections, rlimit-nofile)"
            );
            return self.rest(wsi, cx, &why);
        }
        for _ in 0..room.min(limits::ACCEPT_BATCH) {
            match accept(&mut wsi.io) {
                Ok(Some((io, peer))) => match cx.header_first(trusted.as_deref(), &peer) {
                    None => begin(wsi, cx, (vhost, first), io, peer),
                    // Its client is not known yet.
                    Some(header) => _ = insert(wsi, cx, (vhost, header), io, peer),
                },
                Ok(None) => {
                    if self.in_trouble && self.state == State::Accepts {
                        self.state = State::IsCalm;
                        wsi.deadline = cx.after(limits::WARN_AGAIN);
                    }
                    return if cx.deprecated { Next::Close(CloseReason::Done) } else { Next::Stay };
                }
                // The one that was next in line has gone already.
                Err(error) if error.kind() == ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    return self.rest(wsi, cx, &format!("cannot accept: {error}"));
                }
            }
        }
        Next::Again
    }

    fn on_timeout(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        match self.state {
            State::LooksForInterface => self.look_for_interface(wsi, cx),
            State::Accepts => Next::Stay,
            State::Rests => {
                self.state = State::Accepts;
                Next::Again
            }
            State::IsCalm => {
                (self.state, self.in_trouble) = (State::Accepts, false);
                log::warn!("{}: nobody has to wait any more", cx.tag(wsi));
                Next::Stay
            }
        }
    }
}

impl Listening {
    fn look_for_interface(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let Some(listener) = cx.vhost(wsi.vhost).and_then(|vhost| vhost.listener) else { return Next::Stay };
        match cx.open_listener(listener) {
            // The sockets have connections of their own now.
            Ok(()) => return Next::Close(CloseReason::Done),
            Err(ListenError::NotThere) => {}
            Err(ListenError::Taken { address }) => self.warn(wsi, cx, &format!("{address} is taken; trying again")),
            Err(ListenError::System { address, source }) => {
                self.warn(wsi, cx, &format!("cannot listen on {address}: {source}; trying again"));
            }
        }
        wsi.deadline = cx.after(limits::INTERFACE_RETRY);
        Next::Stay
    }

    /// Who is waiting waits a little longer.
    fn rest(&mut self, wsi: &mut Wsi, cx: &Cx, why: &str) -> Next {
        self.warn(wsi, cx, &format!("{why}; who comes next waits"));
        self.state = State::Rests;
        wsi.deadline = cx.after(limits::ACCEPT_PAUSE);
        Next::Stay
    }

    /// Says it once, however often it is tried again.
    fn warn(&mut self, wsi: &Wsi, cx: &Cx, what: &str) {
        if !mem::replace(&mut self.in_trouble, true) {
            log::warn!("{}: {what}", cx.tag(wsi));
        }
    }
}

/// Makes a connection of an accepted socket, unless its peer has too many or a protocol does not want it.
fn begin(listener: &Wsi, cx: &mut Cx, (vhost, first): (VhostId, Binding), io: Transport, peer: Peer) {
    let admitted = match cx.admit(listener, vhost, &peer) {
        Ok(admitted) => admitted,
        Err(Refusal::TooMany) => return,
        Err(Refusal::Filter) => {
            log::info!("{}: {peer} is hung up on: asked for by a protocol", cx.tag(listener));
            return cx.log_filtered(vhost, first, &io, &peer);
        }
    };
    let inserted = insert(listener, cx, (vhost, first), io, peer.clone());
    match inserted.and_then(|id| cx.slots.take(id)) {
        Some(mut wsi) => {
            cx.welcome(&mut wsi, admitted, first);
            cx.slots.put_back(wsi);
        }
        None => cx.turn_away(admitted, &peer),
    }
}

fn insert(listener: &Wsi, cx: &mut Cx, (vhost, first): (VhostId, Binding), io: Transport, peer: Peer) -> Option<WsiId> {
    match cx.insert(vhost, io, peer, Origin::Accepted, first) {
        Ok(id) => Some(id),
        Err(error) => {
            let told = cx.warned.unpolled.tell(cx.now);
            told.log(format_args!("{}: an accepted connection cannot be polled: {error}", cx.tag(listener)));
            None
        }
    }
}

/// `None`: there is no socket (yet).
fn address(io: &Transport) -> Option<String> {
    match io {
        Transport::TcpListener(sock) => {
            Some(sock.io.local_addr().map_or_else(|error| error.to_string(), |at| at.to_string()))
        }
        Transport::UnixListener(sock) => {
            let address = sock.io.local_addr().ok()?;
            let name = address.as_pathname().map(|path| path.display().to_string());
            Some(format!("unix:{}", name.unwrap_or_else(|| "an abstract name".to_owned())))
        }
        _ => None,
    }
}

/// `None`: nobody is waiting.
fn accept(io: &mut Transport) -> io::Result<Option<(Transport, Peer)>> {
    let accepted = match io {
        Transport::TcpListener(sock) => {
            sock.io.accept().map(|(stream, address)| (Transport::Tcp(Sock::new(stream)), Peer::tcp(address)))
        }
        Transport::UnixListener(sock) => {
            sock.io.accept().map(|(stream, _)| (Transport::Unix(Sock::reading_on(stream)), Peer::Unix))
        }
        _ => return Ok(None),
    };
    match accepted {
        Ok(accepted) => Ok(Some(accepted)),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    }
}
