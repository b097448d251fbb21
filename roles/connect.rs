//! Role `connect`: a connection of our own that is being made.
//!
//! ```text
//!   looking the name up ──▶ connecting to the first address ──▶ the role it is for
//!                              │            ▲
//!                              └─ refused, ─┘ next address; none left: ClientConnectionError, closed
//!                                 too slow
//! ```
//!
//! Every step is asynchronous. Name look-up and all addresses together have `ContextInfo::connect_timeout`; each address gets an
//! even share of what is left. Emits `ClientConnectionError`. In lws: `lws_client_connect_2_dnsreq` and what follows it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use mio::Interest;
use mio::net::{TcpStream, UnixStream};
use socket2::{Domain, SockRef, Socket, Type};

use crate::connect::{ConnectPlan, Target};
use crate::cx::Cx;
use crate::listening;
use crate::protocol;
use crate::reason::Reason;
use crate::role::{Binding, CloseReason, Next, Role, RoleOps};
use crate::transport::{READING, Sock, Transport};
use crate::vhost::ProtocolIndex;
use crate::wsi::{Asked, Peer, Wsi};

pub(crate) struct Connect;

impl RoleOps for Connect {
    fn name(&self) -> &'static str {
        "connect"
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        let Some(Asked::Connect(ConnectPlan { target, then })) = wsi.asked.take().map(|asked| *asked) else {
            return Err(CloseReason::Refused("it has no target".into()));
        };
        let give_up_at = cx.after(cx.info.connect_timeout);
        wsi.deadline = give_up_at;
        let mut connecting = Connecting { target, then, give_up_at, addresses: VecDeque::new(), tried: Vec::new() };
        connecting.begin(wsi, cx);
        Ok(Box::new(connecting))
    }
}

struct Connecting {
    target: Target,
    then: Binding,
    give_up_at: Option<Instant>,
    /// Those not tried yet.
    addresses: VecDeque<SocketAddr>,
    /// What went wrong so far.
    tried: Vec<String>,
}

impl Role for Connecting {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let me = wsi.id;
        let wanted = |parent| cx.slots.get_mut(parent).is_some_and(|parent| parent.link == Some(me));
        if !wsi.parent.is_none_or(wanted) {
            return Next::Close(CloseReason::PartnerGone);
        }
        if let Some(Asked::Resolved(answer)) = wsi.asked.take().map(|asked| *asked) {
            self.resolved(answer);
            self.next_address(wsi, cx);
        }
        loop {
            match wsi.io.connected() {
                Some(Ok(())) => return Next::Become(self.then),
                Some(Err(error)) => self.failed(wsi, cx, &error),
                None if wsi.io.is_stream() || self.waits_for_name() => return Next::Stay,
                None => return self.give_up(wsi, cx),
            }
        }
    }

    fn on_timeout(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        if wsi.io.is_stream() {
            self.failed(wsi, cx, &io::Error::from(ErrorKind::TimedOut));
            self.on_ready(wsi, cx)
        } else {
            self.tried.push("looking the name up takes too long".to_owned());
            self.give_up(wsi, cx)
        }
    }

    /// Connected or not, whoever asked is told what became of it.
    fn on_close(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        wsi.io = Transport::None;
        if self.tried.is_empty() {
            self.tried.push("closed before it was connected".to_owned());
        }
        let why = self.why();
        if let Some(protocol) = self.then.protocol
            && protocol::attach(wsi, cx, protocol).is_ok()
        {
            let _closed_anyway = protocol::call(wsi, cx, Reason::ClientConnectionError(&why));
            protocol::detach(wsi);
        }
    }
}

impl Connecting {
    /// The first step: an address at once, or a question to the resolver.
    fn begin(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        let (host, port) = match &self.target {
            Target::Unix(path) => {
                let begun = connect_unix(path).and_then(|io| watch(wsi, cx, io, Peer::Unix));
                self.tried.extend(begun.err().map(|error| error.to_string()));
                return;
            }
            Target::Ipv4 { host, port } | Target::Ipv6 { host, port } | Target::Tcp { host, port } => (host, *port),
        };
        if let Ok(address) = host.parse::<IpAddr>() {
            self.addresses.push_back(SocketAddr::new(address, port));
            self.next_address(wsi, cx);
        } else if let Err(error) = cx.resolver.ask(wsi.id, host, port) {
            self.tried.push(error.to_string());
        }
    }

    fn waits_for_name(&self) -> bool {
        self.tried.is_empty()
    }

    fn resolved(&mut self, answer: Result<Vec<SocketAddr>, String>) {
        match answer {
            Ok(found) => {
                self.addresses = found.into_iter().filter(|address| self.fits(address)).collect();
                if self.addresses.is_empty() {
                    self.tried.push("the name has no such address".to_owned());
                }
            }
            Err(error) => self.tried.push(error),
        }
    }

    fn fits(&self, address: &SocketAddr) -> bool {
        match self.target {
            Target::Ipv4 { .. } => address.is_ipv4(),
            Target::Ipv6 { .. } => address.is_ipv6(),
            _ => true,
        }
    }

    /// Begins with the next address that can be begun with.
    fn next_address(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        while let Some(address) = self.addresses.pop_front() {
            match connect_tcp(address).and_then(|io| watch(wsi, cx, io, Peer::tcp(address))) {
                Ok(()) => {
                    let left = self.give_up_at.map(|at| at.saturating_duration_since(cx.now));
                    let share = left.map(|left| left / (self.addresses.len() as u32 + 1));
                    wsi.deadline = share.and_then(|share| cx.after(share));
                    return;
                }
                Err(error) => self.tried.push(format!("{address}: {error}")),
            }
        }
    }

    fn failed(&mut self, wsi: &mut Wsi, cx: &mut Cx, error: &io::Error) {
        self.tried.push(format!("{}: {error}", wsi.peer));
        wsi.io = Transport::None;
        self.next_address(wsi, cx);
    }

    fn why(&self) -> String {
        format!("cannot connect to {}: {}", self.target, self.tried.join("; "))
    }

    fn give_up(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let client = wsi.parent.and_then(|parent| cx.slots.get_mut(parent)).map(|parent| parent.peer.to_string());
        let for_whom = client.map(|client| format!(" for {client}")).unwrap_or_default();
        log::warn!("{}: {}{for_whom}", cx.tag(wsi), self.why());
        Next::Close(CloseReason::Refused("there is no connection".into()))
    }
}

/// Has the poll tell how a connect that was begun goes on.
fn watch(wsi: &mut Wsi, cx: &Cx, mut io: Transport, peer: Peer) -> io::Result<()> {
    io.register(&cx.registry, wsi.id.token(), READING | Interest::WRITABLE)?;
    wsi.io = io;
    wsi.peer = peer;
    Ok(())
}

fn connect_tcp(address: SocketAddr) -> io::Result<Transport> {
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    SockRef::from(&stream).set_tcp_keepalive(&listening::keepalive())?;
    Ok(Transport::Tcp(Sock::new(stream)))
}

fn connect_unix(path: &Path) -> io::Result<Transport> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // A full backlog says EAGAIN, and no event would ever follow: it counts as refused.
    socket.connect(&listening::unix_address(path)?)?;
    Ok(Transport::Unix(Sock::reading_on(UnixStream::from_std(socket.into()))))
}
