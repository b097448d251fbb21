//! Role `connect`: a connection of our own that is being made.
//!
//! ```text
//!   looking the name up ──▶ connecting to the first address ──▶ the role it is for
//!                              │            ▲
//!                              └─ refused, ─┘ next address; none left: ClientConnectionError, closed
//!                                 too slow
//! ```
//!
//! A header that the server is to get first (PROXY protocol) is sent here, so that not even TLS comes before it.
//!
//! Every step is asynchronous. Name look-up and all addresses together have `ContextInfo::connect_timeout`; each address gets an
//! even share of what is left. Emits `ClientConnectionError`. In lws: `lws_client_connect_2_dnsreq` and what follows it.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::mem;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Instant;

use mio::Interest;
use mio::net::{TcpStream, UnixStream};
use socket2::{Domain, Socket, Type};

use crate::connect::{ConnectPlan, SecurePlan, Target, came_to_nothing, give_up, is_wanted};
use crate::cx::Cx;
use crate::role::{Binding, CloseReason, Next, Role, RoleOps};
use crate::tls::TlsClient;
use crate::transport::{READING, Sock, Transport};
use crate::unix_listening;
use crate::vhost::ProtocolIndex;
use crate::wsi::{Asked, Peer, Wsi};

pub(crate) struct Connect;

impl RoleOps for Connect {
    fn name(&self) -> &'static str {
        "connect"
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        let Some(Asked::Connect(ConnectPlan { target, header, tls, then })) = wsi.asked.take().map(|asked| *asked)
        else {
            return Err(CloseReason::Refused("it has no target".into()));
        };
        let give_up_at = cx.after(cx.info.connect_timeout);
        wsi.deadline = give_up_at;
        let mut connecting = Connecting {
            target,
            header,
            header_sent: false,
            tls,
            then,
            give_up_at,
            addresses: VecDeque::new(),
            tried: Vec::new(),
        };
        let open = cx.slots.len();
        if open > cx.most_connections || open + cx.open_files.count() > cx.most_open {
            let why = "there are as many connections as may be (max_connections, rlimit-nofile)";
            connecting.tried.push(why.to_owned());
        } else {
            connecting.begin(wsi, cx);
        }
        Ok(Box::new(connecting))
    }
}

struct Connecting {
    target: Target,
    /// What is to be sent first.
    header: Vec<u8>,
    /// It was, to the address in hand.
    header_sent: bool,
    tls: Option<TlsClient>,
    then: Binding,
    give_up_at: Option<Instant>,
    /// Those not tried yet.
    addresses: VecDeque<SocketAddr>,
    /// What went wrong so far.
    tried: Vec<String>,
}

impl Role for Connecting {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        if !is_wanted(wsi, cx) {
            return Next::Close(CloseReason::PartnerGone);
        }
        if let Some(Asked::Resolved(answer)) = wsi.asked.take().map(|asked| *asked) {
            self.resolved(answer);
            self.next_address(wsi, cx);
        }
        loop {
            match wsi.io.connected() {
                Some(Ok(())) => match self.says_whose_it_is(wsi, cx) {
                    Ok(true) => return self.arrived(wsi, cx),
                    Ok(false) => return Next::Stay,
                    Err(error) => self.failed(wsi, cx, &error),
                },
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
        if self.tried.is_empty() {
            self.tried.push("closed before it was connected".to_owned());
        }
        came_to_nothing(wsi, cx, self.then.protocol, &self.why());
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
        } else if let Err(error) = cx.resolver.ask(wsi.id, (host.clone(), port)) {
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
        wsi.tx.take();
        self.header_sent = false;
        self.next_address(wsi, cx);
    }

    fn why(&self) -> String {
        format!("cannot connect to {}: {}", self.target, self.tried.join("; "))
    }

    fn give_up(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        give_up(wsi, cx, &self.why())
    }

    /// Sends the header. `true`: it is out.
    fn says_whose_it_is(&mut self, wsi: &mut Wsi, cx: &Cx) -> io::Result<bool> {
        if !self.header.is_empty() && !mem::replace(&mut self.header_sent, true) {
            wsi.transmit(&cx.registry, &self.header)?;
        }
        Ok(wsi.is_flushed())
    }

    /// The socket is connected.
    fn arrived(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        cx.keep_alive(wsi.id);
        let Some(tls) = self.tls.take() else { return Next::Become(self.then) };
        let plan = SecurePlan { tls, target: self.target.clone(), give_up_at: self.give_up_at, then: self.then };
        wsi.asked = Some(Box::new(Asked::Secure(plan)));
        Next::Become(Binding { role: cx.role("tls"), protocol: None })
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
    Ok(Transport::Tcp(Sock::connecting(stream)))
}

fn connect_unix(path: &Path) -> io::Result<Transport> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    // A full backlog says EAGAIN, and no event would ever follow: it counts as refused.
    socket.connect(&unix_listening::address(path)?)?;
    Ok(Transport::Unix(Sock::reading_on(UnixStream::from_std(socket.into()))))
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};
    use std::time::Duration;

    use mio::{Events, Poll};

    use super::*;
    use crate::vhost::VhostId;
    use crate::wsi::{Origin, WsiId};
    use crate::{Context, ContextInfo};

    #[test]
    fn every_address_of_a_name_is_tried_in_turn() {
        let listen = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = |listener: &TcpListener| listener.local_addr().expect("bound");
        let (refuses, hangs, good) = (address(&listen()), listen(), listen());
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        let cx = context.cx();
        let (mut poll, mut events) = (Poll::new().expect("a poll"), Events::with_capacity(8));
        cx.registry = poll.registry().try_clone().expect("another handle of it");
        let mut hear = |wsi: &mut Wsi| {
            poll.poll(&mut events, Some(Duration::from_millis(10))).expect("epoll_wait");
            events.iter().for_each(|event| wsi.io.note(event));
        };
        let mut connecting = Connecting {
            target: Target::Tcp { host: "name.test".to_owned(), port: 1 },
            header: Vec::new(),
            header_sent: false,
            tls: None,
            then: Binding { role: &Connect, protocol: None },
            give_up_at: cx.after(Duration::from_secs(30)),
            addresses: VecDeque::from([refuses, address(&hangs), address(&good)]),
            tried: Vec::new(),
        };
        let id = WsiId { index: 7, generation: 7 };
        let first = Binding { role: &Connect, protocol: None };
        let mut wsi =
            Wsi::new(id, (VhostId(0), cx.tally_of(VhostId(0))), Transport::None, Peer::None, Origin::Client, first);

        connecting.next_address(&mut wsi, cx);
        let first = wsi.deadline.expect("its share of the time");
        assert_eq!(first - cx.now, Duration::from_secs(10), "a third of it, with two more to try");
        // The first refuses; the second is given up as if it had not answered in its share of the time.
        let end = Instant::now() + Duration::from_secs(20);
        while wsi.peer != Peer::tcp(address(&hangs)) {
            assert!(Instant::now() < end, "stuck at {}", wsi.peer);
            hear(&mut wsi);
            if wsi.io.connected().is_some_and(|result| result.is_err()) || wsi.peer == Peer::None {
                connecting.failed(&mut wsi, cx, &io::Error::from(ErrorKind::ConnectionRefused));
            }
        }
        assert!(connecting.tried[0].starts_with(&refuses.to_string()), "{:?}", connecting.tried);
        let mut next = connecting.on_timeout(&mut wsi, cx);
        assert_eq!(wsi.peer, Peer::tcp(address(&good)));
        while let Next::Stay = next {
            assert!(Instant::now() < end, "the last one accepts");
            hear(&mut wsi);
            next = connecting.on_ready(&mut wsi, cx);
        }
        assert!(matches!(next, Next::Become(_)));
        assert_eq!(connecting.tried.len(), 2, "{:?}", connecting.tried);
    }
}
