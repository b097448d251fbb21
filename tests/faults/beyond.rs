//! Where the relay goes: the onward servers' listeners, and who has come by them and has yet to say for whom.

use std::fmt;
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener};
use mio::{Interest, Registry, Token};
use socket2::{Domain, Socket as RawSocket, Type};

use crate::doors::beyond_path;
use crate::heads;
use crate::wire::Socket;

/// The ports that a relay connects to; beside them there is [`beyond_path`].
#[derive(Debug, Clone, Copy)]
pub struct Beyond {
    pub onward: u16,
    /// For what came by unix socket.
    pub onward_of_unix: u16,
    /// Speaks TLS.
    pub onward_tls: u16,
    /// Where nobody listens.
    pub refused: u16,
}

impl Beyond {
    /// From what `to_string` says.
    pub fn from_text(text: &str) -> Option<Beyond> {
        let ports: Vec<u16> = text.split(' ').map_while(|port| port.parse().ok()).collect();
        let [onward, onward_of_unix, onward_tls, refused] = ports[..] else { return None };
        Some(Beyond { onward, onward_of_unix, onward_tls, refused })
    }
}

impl fmt::Display for Beyond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {} {}", self.onward, self.onward_of_unix, self.onward_tls, self.refused)
    }
}

/// The tokens of the onward listeners; those below are of connections.
pub const LISTENERS: usize = usize::MAX - 8;

/// By which listener a relay came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Tcp,
    /// Of the clients of a unix socket, which have no address.
    OfUnix,
    Tls,
    Unix,
}

/// A relay that has yet to say for whom it comes.
pub struct Stranger {
    pub way: Way,
    pub socket: Socket,
    /// The address that it chose.
    pub at: Option<Ipv4Addr>,
}

/// All onward listeners.
pub struct Listeners {
    tcp: TcpListener,
    of_unix: TcpListener,
    tls: TcpListener,
    unix: UnixListener,
    /// Holds a port that refuses.
    refuses: RawSocket,
}

impl Listeners {
    pub fn new(registry: &Registry, folder: &Path) -> Listeners {
        let register = |number, listener: &mut dyn Source| {
            registry.register(listener, Token(LISTENERS + number), Interest::READABLE).expect("register");
        };
        let listener = |number| {
            let address = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
            let mut listener = TcpListener::bind(address).expect("bind");
            register(number, &mut listener);
            listener
        };
        let mut unix = UnixListener::bind(beyond_path(folder)).expect("bind");
        register(0, &mut unix);
        let refuses = RawSocket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        refuses.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).expect("bind");
        Listeners { tcp: listener(1), of_unix: listener(2), tls: listener(3), unix, refuses }
    }

    pub fn beyond(&self) -> Beyond {
        let port = |listener: &TcpListener| listener.local_addr().expect("bound").port();
        Beyond {
            onward: port(&self.tcp),
            onward_of_unix: port(&self.of_unix),
            onward_tls: port(&self.tls),
            refused: self.refuses.local_addr().expect("bound").as_socket_ipv4().expect("IPv4").port(),
        }
    }

    /// All who have come. That the listeners are readable is told once.
    pub fn accept(&self) -> Vec<Stranger> {
        let mut strangers = Vec::new();
        for (way, listener) in [(Way::Tcp, &self.tcp), (Way::OfUnix, &self.of_unix), (Way::Tls, &self.tls)] {
            while let Ok((stream, _)) = listener.accept() {
                let at = Some(local_address(&stream));
                strangers.push(Stranger { way, socket: Socket::Tcp(stream), at });
            }
        }
        while let Ok((stream, _)) = self.unix.accept() {
            strangers.push(Stranger { way: Way::Unix, socket: Socket::Unix(stream), at: None });
        }
        strangers
    }
}

impl Stranger {
    /// The client that its header names, which is then read; `None`: not all of it is there. An error without words: it has gone.
    pub fn client(&mut self) -> Result<Option<Ipv4Addr>, Option<String>> {
        let mut bytes = [0; 1024];
        let peeked = match self.socket.peek(&mut bytes) {
            Ok(peeked) => peeked,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(_) => return Err(None),
        };
        let told = heads::told(peeked);
        match told {
            Ok(Some(told)) => {
                let mut header = vec![0; told.len];
                self.socket.read_exact(&mut header).map_err(|_| None)?;
                Ok(Some(told.client))
            }
            Ok(None) if peeked.is_empty() => Err(None),
            Ok(None) => Ok(None),
            Err(why) => Err(Some(why)),
        }
    }
}

fn local_address(stream: &TcpStream) -> Ipv4Addr {
    match stream.local_addr().expect("connected") {
        SocketAddr::V4(address) => *address.ip(),
        SocketAddr::V6(address) => panic!("{address}"),
    }
}
