//! Connections that do not come from a listener: our own, and descriptors that are handed to us.

use std::net::UdpSocket;
use std::os::fd::OwnedFd;

use mio::net::{TcpStream, UnixStream};
use socket2::SockRef;

use crate::connect::{ConnectPlan, Target};
use crate::cx::Cx;
use crate::deferred::Deferred;
use crate::error::{Error, Result};
use crate::keepalive;
use crate::tls::TlsClient;
use crate::transport::{Datagrams, File, Medium, Sock, Transport};
use crate::vhost::{VhostId, begins_elsewhere};
use crate::ws::{WebSocket, WsConnect};
use crate::wsi::{Origin, Peer, WsiId};

/// What [`Cx::client_connect`] needs to know (`struct lws_client_connect_info`).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectInfo {
    /// The vhost that the connection belongs to.
    pub vhost: VhostId,
    /// Where to.
    pub target: Target,
    /// The role it takes once connected; `raw-skt` unless told.
    pub role: String,
    /// The vhost's protocol that it is bound to.
    pub protocol: String,
    /// TLS, where the server speaks it.
    pub tls: Option<TlsClient>,
    /// What role `ws` asks the server for.
    pub ws: Option<WsConnect>,
    /// The connection that it is a child of: when that one closes, it is closed as well, and when it closes, that one's protocol hears
    /// `ChildClosing`.
    pub parent: Option<WsiId>,
}

/// What [`Cx::adopt_tcp`] and its like need to know.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AdoptInfo {
    /// The vhost that the connection joins.
    pub vhost: VhostId,
    /// The role it takes; by what is adopted `raw-skt`, `raw-file` or `raw-udp` unless told.
    pub role: Option<String>,
    /// The vhost's protocol that it is bound to.
    pub protocol: String,
    /// The connection that it is a child of: when that one closes, it is closed as well, and when it closes, that one's protocol hears
    /// `ChildClosing`.
    pub parent: Option<WsiId>,
    /// What somebody has read from it already (`lws_adopt_socket_vhost_readbuf`); the protocol sees it first.
    pub readbuf: Vec<u8>,
}

impl ConnectInfo {
    /// A raw connection for a protocol of a vhost.
    pub fn new(vhost: VhostId, target: Target, protocol: &str) -> ConnectInfo {
        let (role, protocol) = ("raw-skt".to_owned(), protocol.to_owned());
        ConnectInfo { vhost, target, role, protocol, tls: None, ws: None, parent: None }
    }

    /// A WebSocket for a protocol of a vhost, in role `ws`.
    pub fn ws(vhost: VhostId, target: Target, protocol: &str, ws: WsConnect) -> ConnectInfo {
        ConnectInfo { ws: Some(ws), ..ConnectInfo::new(vhost, target, protocol).role("ws") }
    }

    /// Sets [`ConnectInfo::role`].
    #[must_use]
    pub fn role(mut self, role: &str) -> ConnectInfo {
        self.role = role.to_owned();
        self
    }

    /// Sets [`ConnectInfo::tls`].
    #[must_use]
    pub fn tls(mut self, tls: TlsClient) -> ConnectInfo {
        self.tls = Some(tls);
        self
    }

    /// Sets [`ConnectInfo::parent`].
    #[must_use]
    pub fn parent(mut self, parent: WsiId) -> ConnectInfo {
        self.parent = Some(parent);
        self
    }
}

impl AdoptInfo {
    /// A raw connection for a protocol of a vhost.
    pub fn new(vhost: VhostId, protocol: &str) -> AdoptInfo {
        AdoptInfo { vhost, role: None, protocol: protocol.to_owned(), parent: None, readbuf: Vec::new() }
    }

    /// Sets [`AdoptInfo::role`].
    #[must_use]
    pub fn role(mut self, role: &str) -> AdoptInfo {
        self.role = Some(role.to_owned());
        self
    }

    /// Sets [`AdoptInfo::parent`].
    #[must_use]
    pub fn parent(mut self, parent: WsiId) -> AdoptInfo {
        self.parent = Some(parent);
        self
    }

    /// Sets [`AdoptInfo::readbuf`].
    #[must_use]
    pub fn readbuf(mut self, bytes: Vec<u8>) -> AdoptInfo {
        self.readbuf = bytes;
        self
    }
}

impl Cx {
    /// Begins a connection (`lws_client_connect_via_info`). Its protocol hears `RawConnected`, `ClientEstablished` or `ClientConnectionError` later, never
    /// from inside this call.
    ///
    /// # Errors
    /// [`Error::NoVhost`], [`Error::UnknownRole`], [`Error::UnknownProtocol`], [`Error::RoleMisfit`], and [`Error::Config`] for a role
    /// that makes no connections by itself, such as raw-proxy, and for what cannot be asked of a server.
    pub fn client_connect(&mut self, info: ConnectInfo) -> Result<WsiId> {
        let vhost = self.open_vhost(info.vhost)?;
        let then = vhost.binding(Medium::Stream, &info.role, &info.protocol)?;
        if !then.role.takes_client() {
            let what = format!("role {} has no connections of its own to make", then.role.name());
            return Err(Error::Config { vhost: vhost.name().to_owned(), what });
        }
        let mistake = match (&info.ws, then.role.begins_as()) {
            (Some(ws), Some(_)) => ws.mistake(),
            (None, Some(_)) => Some(format!("role {} has to know what to ask for", then.role.name())),
            (Some(_), None) => Some(format!("role {} asks for no WebSocket", then.role.name())),
            (None, None) => None,
        };
        if let Some(what) = mistake {
            return Err(Error::Config { vhost: vhost.name().to_owned(), what });
        }
        let id = self.connect(
            info.vhost,
            ConnectPlan { target: info.target, header: Vec::new(), tls: info.tls, then },
            None,
        );
        if let (Some(ws), Some(wsi)) = (info.ws, self.slots.get_mut(id)) {
            wsi.ws = Some(Box::new(WebSocket::Wanted(ws)));
        }
        self.set_parent(id, info.parent);
        Ok(id)
    }

    /// Makes a foreign socket, with what was read from it already, one that the vhost's listen socket might have accepted: it goes through
    /// TLS, http and the fallback as those do (`lws_adopt_socket_vhost_readbuf`).
    ///
    /// # Errors
    /// [`Error::NoVhost`], [`Error::Config`] for a vhost that does not listen, and [`Error::System`] where the socket cannot be polled.
    pub fn adopt_accepted(&mut self, stream: std::net::TcpStream, vhost: VhostId, readbuf: &[u8]) -> Result<WsiId> {
        let name = self.open_vhost(vhost)?.name();
        let Some((vhost, first)) = self.first_binding(vhost) else {
            let what = "it does not listen, so nobody knows what it would make of a connection".to_owned();
            return Err(Error::Config { vhost: name.to_owned(), what });
        };
        let (io, peer) = tcp(stream)?;
        let first = self.header_first(self.trusted_of(vhost).as_deref(), &peer).unwrap_or(first);
        let inserted = self.insert(vhost, io, peer, Origin::Accepted, first);
        let id = inserted.map_err(Error::system("adopting a TCP socket"))?;
        self.take_over(id, readbuf);
        Ok(id)
    }

    /// Makes a foreign connected socket one of ours (`lws_adopt_socket_vhost`, `lws_adopt_descriptor_vhost`). Its protocol hears
    /// `RawAdopt` later, never from inside this call.
    ///
    /// # Errors
    /// [`Error::NoVhost`], [`Error::UnknownRole`], [`Error::UnknownProtocol`], [`Error::RoleMisfit`], and [`Error::System`] where the
    /// socket cannot be polled.
    pub fn adopt_tcp(&mut self, stream: std::net::TcpStream, info: AdoptInfo) -> Result<WsiId> {
        self.adopt(Medium::Stream, "raw-skt", info, || tcp(stream))
    }

    /// The same for a unix socket.
    ///
    /// # Errors
    /// As [`Cx::adopt_tcp`].
    pub fn adopt_unix(&mut self, stream: std::os::unix::net::UnixStream, info: AdoptInfo) -> Result<WsiId> {
        self.adopt(Medium::Stream, "raw-skt", info, || {
            stream.set_nonblocking(true).map_err(Error::system("adopting a unix socket"))?;
            Ok((Transport::Unix(Sock::reading_on(UnixStream::from_std(stream))), Peer::Unix))
        })
    }

    /// The same for anything else that read(2) and write(2) work on (`LWS_ADOPT_RAW_FILE_DESC`): a pipe, a terminal, a serial line,
    /// inotify, a regular file. Its protocol hears `RawAdoptFile`.
    ///
    /// While it is ours it is non-blocking, for whoever else has a copy of it too. A terminal as standard input or output is therefore better
    /// opened anew, as `/dev/stdin` or `/dev/stdout`; a file so opened would begin at its start. A regular file is always ready, so reading it
    /// may make the loop wait for the disk.
    ///
    /// # Errors
    /// As [`Cx::adopt_tcp`].
    pub fn adopt_file(&mut self, fd: impl Into<OwnedFd>, info: AdoptInfo) -> Result<WsiId> {
        self.adopt(Medium::File, "raw-file", info, || {
            let io = File::transport(fd.into()).map_err(Error::system("adopting a descriptor"))?;
            Ok((io, Peer::File))
        })
    }

    /// The same for a UDP socket, connected or not (`lws_create_adopt_udp`). Its protocol hears `RawAdopt`, and `RawRx` for each
    /// datagram.
    ///
    /// # Errors
    /// As [`Cx::adopt_tcp`].
    pub fn adopt_udp(&mut self, socket: UdpSocket, info: AdoptInfo) -> Result<WsiId> {
        self.adopt(Medium::Datagrams, "raw-udp", info, || {
            let io = Datagrams::transport(socket).map_err(Error::system("adopting a UDP socket"))?;
            let peer = io.sender().map_or(Peer::None, Peer::Udp);
            Ok((io, peer))
        })
    }

    /// `prepare` changes the descriptor, so it comes when nothing else can be wrong.
    fn adopt(
        &mut self,
        medium: Medium,
        role: &str,
        info: AdoptInfo,
        prepare: impl FnOnce() -> Result<(Transport, Peer)>,
    ) -> Result<WsiId> {
        let role = info.role.as_deref().unwrap_or(role);
        let vhost = self.open_vhost(info.vhost)?;
        let binding = vhost.binding(medium, role, &info.protocol)?;
        if let Some(begin) = binding.role.begins_as() {
            return Err(begins_elsewhere(vhost.name(), binding.role, begin));
        }
        let (io, peer) = prepare()?;
        let inserted = self.insert(info.vhost, io, peer, Origin::Adopted, binding);
        let id = inserted.map_err(Error::system("adopting a descriptor"))?;
        self.take_over(id, &info.readbuf);
        self.set_parent(id, info.parent);
        Ok(id)
    }

    fn take_over(&mut self, id: WsiId, readbuf: &[u8]) {
        if let Some(wsi) = self.slots.get_mut(id) {
            wsi.flags.foreign = true;
            wsi.rx.push(readbuf);
            if let Some(facts) = &mut wsi.facts {
                facts.note_readbuf(readbuf.len());
            }
        }
    }

    fn set_parent(&mut self, id: WsiId, parent: Option<WsiId>) {
        if let (Some(wsi), Some(parent)) = (self.slots.get_mut(id), parent) {
            wsi.parent = Some(parent);
            // The parent is probably the connection in hand.
            self.deferred.push_back(Deferred::Child { parent, child: id });
        }
    }
}

/// Prepares a foreign TCP socket as a listener's are.
fn tcp(stream: std::net::TcpStream) -> Result<(Transport, Peer)> {
    let prepared = stream
        .set_nonblocking(true)
        .and_then(|()| stream.set_nodelay(true))
        .and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive::settings()))
        .and_then(|()| stream.peer_addr());
    let peer = Peer::tcp(prepared.map_err(Error::system("adopting a TCP socket"))?);
    Ok((Transport::Tcp(Sock::new(TcpStream::from_std(stream))), peer))
}
