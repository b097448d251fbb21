//! From "where to listen" to listen sockets.
//!
//! All that accepted connections need (no delay, keep-alive) is set on the listen socket once, for they inherit it.

use std::fmt;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::path::Path;

use mio::net::{TcpListener, UnixListener};
use socket2::{Domain, Protocol, Socket, Type};

use crate::fast_open;
use crate::keepalive;
use crate::listen_sockets::ReusePort;
use crate::options::Options;
use crate::transport::{Sock, Transport};
use crate::unix_file::UnixFile;
use crate::unix_listening;
use crate::unix_owner::UnixOwner;
use crate::vhost_info::Listen;

/// A listen socket and where it listens.
pub(crate) struct Bound {
    pub(crate) io: Transport,
    pub(crate) address: BoundAddress,
}

/// A socket that is bound, and does not listen yet.
pub(crate) struct Prepared {
    pub(crate) socket: Socket,
    /// For messages.
    pub(crate) name: String,
    /// That of a unix socket, unless its name is abstract.
    pub(crate) file: Option<UnixFile>,
}

/// What was really bound.
#[derive(Debug, Clone)]
pub(crate) enum BoundAddress {
    Tcp(SocketAddr),
    Unix(String),
}

impl fmt::Display for BoundAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BoundAddress::Tcp(address) => address.fmt(f),
            BoundAddress::Unix(path) => write!(f, "unix:{path}"),
        }
    }
}

/// Why there is no listen socket.
#[derive(Debug)]
pub(crate) enum ListenError {
    /// The interface, or the address, does not exist (yet).
    NotThere,
    Taken {
        address: String,
    },
    System {
        address: String,
        source: io::Error,
    },
}

/// What a vhost sets on its listen sockets.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListenHow {
    pub(crate) options: Options,
    pub(crate) backlog: u32,
    pub(crate) fast_open_queue: u32,
}

impl ListenHow {
    pub(crate) fn backlog(&self) -> i32 {
        i32::try_from(self.backlog).unwrap_or(i32::MAX)
    }
}

/// Binds every address that `listen` means. With the file of a unix socket.
pub(crate) fn listen(listen: &Listen, how: &ListenHow) -> Result<(Vec<Bound>, Option<UnixFile>), ListenError> {
    let mut file = None;
    let mut listening = |prepared: Prepared| {
        let listens = prepared.socket.listen(how.backlog()).and_then(|()| bound(prepared.socket));
        file = file.take().or(prepared.file);
        listens.map_err(|source| listen_error(prepared.name, source))
    };
    let sockets = sockets(listen, how, ReusePort::No)?;
    let bound = sockets.into_iter().map(&mut listening).collect::<Result<_, _>>()?;
    Ok((bound, file))
}

/// The sockets of every address that `listen` means.
pub(crate) fn sockets(listen: &Listen, how: &ListenHow, reuse_port: ReusePort) -> Result<Vec<Prepared>, ListenError> {
    match listen {
        Listen::None => Ok(Vec::new()),
        Listen::Unix { path, mode, owner } => Ok(vec![bind_unix(path, *mode, owner.as_ref())?]),
        Listen::Tcp { port, interface } => {
            let addresses = addresses(interface.as_deref(), *port, how.options)?;
            let how = TcpHow { all: interface.is_none(), reuse_port, how };
            // Port 0 is chosen once, and shared by all addresses of the interface.
            let (mut bound, mut port) = (Vec::new(), *port);
            for mut address in addresses {
                address.set_port(port);
                let socket = bind_tcp(address, &how)?;
                port = socket.socket.local_addr().ok().and_then(|at| at.as_socket()).map_or(port, |at| at.port());
                bound.push(socket);
            }
            Ok(bound)
        }
    }
}

/// Whether a socket that somebody else has bound listens where `listen` means. Of all interfaces, those of either family do.
pub(crate) fn is_meant(socket: &Socket, listen: &Listen, options: Options) -> bool {
    let Ok(at) = socket.local_addr() else { return false };
    match (listen, at.as_socket()) {
        (Listen::Tcp { port, interface: None }, Some(at)) => {
            let unwanted = if at.is_ipv6() { Options::DISABLE_IPV6 } else { Options::IPV6_V6ONLY };
            at.ip().is_unspecified() && at.port() == *port && !options.contains(unwanted)
        }
        (Listen::Tcp { port, interface }, Some(at)) => {
            addresses(interface.as_deref(), *port, options).is_ok_and(|addresses| addresses.contains(&at))
        }
        (Listen::Unix { path, .. }, None) => match path.to_str().and_then(|path| path.strip_prefix('@')) {
            Some(name) => at.as_abstract_namespace() == Some(name.as_bytes()),
            None => at.as_pathname() == Some(path),
        },
        _ => false,
    }
}

/// Sets what connections of a listen socket inherit.
pub(crate) fn set_inherited(socket: &Socket) -> io::Result<()> {
    socket.set_tcp_nodelay(true)?;
    socket.set_tcp_keepalive(&keepalive::settings())
}

/// Makes a listen socket one for the loop.
pub(crate) fn bound(socket: Socket) -> io::Result<Bound> {
    socket.set_nonblocking(true)?;
    let address = socket.local_addr()?;
    if let Some(address) = address.as_socket() {
        let io = Transport::TcpListener(Sock::new(TcpListener::from_std(socket.into())));
        return Ok(Bound { io, address: BoundAddress::Tcp(address) });
    }
    let path = address.as_pathname().map(|path| path.display().to_string()).unwrap_or_default();
    let io = Transport::UnixListener(Sock::new(UnixListener::from_std(socket.into())));
    Ok(Bound { io, address: BoundAddress::Unix(path) })
}

fn addresses(interface: Option<&str>, port: u16, options: Options) -> Result<Vec<SocketAddr>, ListenError> {
    let Some(interface) = interface else {
        let all = if options.contains(Options::DISABLE_IPV6) || !has_ipv6() {
            IpAddr::V4(Ipv4Addr::UNSPECIFIED)
        } else {
            IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        };
        return Ok(vec![SocketAddr::new(all, port)]);
    };
    if let Ok(address) = interface.trim_matches(['[', ']']).parse::<IpAddr>() {
        if address.is_ipv6() && options.contains(Options::DISABLE_IPV6) {
            let source = io::Error::new(ErrorKind::InvalidInput, "IPv6 is switched off (DISABLE_IPV6)");
            return Err(ListenError::System { address: address.to_string(), source });
        }
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    let system = |errno| ListenError::System { address: interface.to_owned(), source: io::Error::from(errno) };
    let found: Vec<SocketAddr> = nix::ifaddrs::getifaddrs()
        .map_err(system)?
        .filter(|entry| entry.interface_name == interface)
        .filter_map(|entry| {
            let address = entry.address?;
            if let Some(v4) = address.as_sockaddr_in() {
                let v4_wanted = !options.contains(Options::IPV6_V6ONLY);
                return v4_wanted.then(|| SocketAddr::new(IpAddr::V4(v4.ip()), port));
            }
            // The scope goes along: a link-local address is nothing without it.
            let v6 = address.as_sockaddr_in6().filter(|_| !options.contains(Options::DISABLE_IPV6))?;
            Some(SocketAddr::V6(SocketAddrV6::new(v6.ip(), port, 0, v6.scope_id())))
        })
        .collect();
    if found.is_empty() { Err(ListenError::NotThere) } else { Ok(found) }
}

/// Whether the kernel can make IPv6 sockets at all.
fn has_ipv6() -> bool {
    Socket::new(Domain::IPV6, Type::STREAM, Some(Protocol::TCP)).is_ok()
}

struct TcpHow<'h> {
    /// Every address of the machine.
    all: bool,
    reuse_port: ReusePort,
    how: &'h ListenHow,
}

fn bind_tcp(address: SocketAddr, tcp: &TcpHow<'_>) -> Result<Prepared, ListenError> {
    let prepare = || -> io::Result<Socket> {
        let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
        // A restart need not wait for the connections of its predecessor to leave TIME_WAIT.
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            socket.set_only_v6(!tcp.all || tcp.how.options.contains(Options::IPV6_V6ONLY))?;
        }
        Ok(socket)
    };
    let bind = || -> io::Result<Socket> {
        if tcp.reuse_port == ReusePort::First {
            // One that may share finds nobody in its way who may share too.
            prepare()?.bind(&address.into())?;
        }
        let socket = prepare()?;
        socket.set_reuse_port(tcp.reuse_port != ReusePort::No)?;
        socket.set_nonblocking(true)?;
        set_inherited(&socket)?;
        socket.bind(&address.into())?;
        fast_open::enable(&socket, tcp.how.fast_open_queue);
        Ok(socket)
    };
    let name = address.to_string();
    match bind() {
        Ok(socket) => Ok(Prepared { socket, name, file: None }),
        Err(source) => Err(listen_error(name, source)),
    }
}

fn bind_unix(path: &Path, mode: Option<u32>, owner: Option<&UnixOwner>) -> Result<Prepared, ListenError> {
    let name = format!("unix:{}", path.display());
    match unix_listening::bind(path, mode, owner) {
        Ok((socket, file)) => Ok(Prepared { socket, name, file }),
        Err(source) => Err(listen_error(name, source)),
    }
}

fn listen_error(address: String, source: io::Error) -> ListenError {
    match source.kind() {
        ErrorKind::AddrInUse => ListenError::Taken { address },
        ErrorKind::AddrNotAvailable => ListenError::NotThere,
        _ => ListenError::System { address, source },
    }
}
