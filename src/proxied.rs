//! Who a connection is for, where a balancer made it: the client that a PROXY header names, beside the peer of the socket.
//!
//! The first vhost of a listen socket says who is trusted to send such headers; role `proxy-header` reads them. In lws: none.

use std::net::SocketAddr;
use std::rc::Rc;

use socket2::SockRef;

use crate::cx::Cx;
use crate::peer_network::PeerNetwork;
use crate::proxy_header::{Proxied, ProxyProtocol};
use crate::role::Binding;
use crate::vhost::VhostId;
use crate::wsi::{Peer, Wsi};

/// What a PROXY header put in another's place.
pub(crate) struct Direct {
    /// Who is at the other end of the socket.
    peer: Peer,
    /// What the client connected to, where the header says so.
    server: Option<SocketAddr>,
}

impl Wsi {
    /// Who is at the other end of the socket (`lws_get_peer_simple`): the balancer, where a PROXY header has named the client that
    /// [`Wsi::peer`] is; else the same.
    pub fn direct_peer(&self) -> &Peer {
        self.direct.as_ref().map_or(&self.peer, |direct| &direct.peer)
    }

    /// Takes a header's word for who the client is.
    pub(crate) fn comes_for(&mut self, said: Proxied) {
        let (peer, server) = match said {
            Proxied::Nothing => return,
            Proxied::Tcp { client, server } => (Peer::tcp(client), Some(server)),
            Proxied::Unix => (Peer::Unix, None),
        };
        let peer = std::mem::replace(&mut self.peer, peer);
        self.direct = Some(Box::new(Direct { peer, server }));
    }

    /// The header that tells an onward server of this connection.
    pub(crate) fn proxy_header(&self, version: ProxyProtocol) -> Vec<u8> {
        let server = match &self.direct {
            Some(direct) => direct.server,
            None => self.io.fd().and_then(|fd| SockRef::from(&fd).local_addr().ok()?.as_socket()),
        };
        let said = match (&self.peer, server.map(Peer::tcp)) {
            (Peer::Tcp(client), Some(Peer::Tcp(server))) => Proxied::Tcp { client: *client, server },
            _ => Proxied::Nothing,
        };
        version.header(&said)
    }
}

impl Cx {
    /// Who may name the clients of connections to a vhost's listen socket; `None`: nobody.
    pub(crate) fn trusted_of(&self, vhost: VhostId) -> Option<Rc<[PeerNetwork]>> {
        self.vhost(vhost)?.proxy_protocol_from.clone()
    }

    /// What a connection of such a peer is first: it has a header to send.
    pub(crate) fn header_first(&self, trusted: Option<&[PeerNetwork]>, peer: &Peer) -> Option<Binding> {
        let is_trusted = trusted?.iter().any(|network| network.contains(peer));
        is_trusted.then(|| Binding { role: self.role("proxy-header"), protocol: None })
    }
}
