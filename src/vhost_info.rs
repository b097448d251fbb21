//! What a vhost is made from, as its user writes it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use crate::access_log::AccessLog;
use crate::limits;
use crate::mount::Mount;
use crate::options::Options;
use crate::peer_network::PeerNetwork;
use crate::protocol::ProtocolTable;
use crate::pvo::Pvo;
use crate::tls::{TlsClientInfo, TlsInfo};
use crate::unix_owner::UnixOwner;
use crate::ws::WsInfo;

/// What a vhost is made from (the vhost part of `struct lws_context_creation_info`).
///
/// ```
/// use rlws::{Listen, Mount, VhostInfo};
/// let info = VhostInfo {
///     name: "localhost".into(),
///     listen: Listen::port(7681),
///     mounts: vec![Mount::files("/", "/srv/www")],
///     ..Default::default()
/// };
/// # let _ = info;
/// ```
#[derive(Clone)]
pub struct VhostInfo {
    /// The name that `Host:` chooses it by; `default` unless told.
    pub name: String,
    /// Where it listens. Vhosts with equal values share one socket; the first of them decides about first packets.
    pub listen: Listen,
    /// Its protocols, in order of registration. Empty: [`HttpDummy`](crate::protocols::HttpDummy) alone.
    pub protocols: Vec<ProtocolTable>,
    /// Per-vhost options: a child for each protocol, by name (`"raw-proxy": { "onward": .. }`).
    pub pvo: Pvo,
    /// What http serves.
    pub mounts: Vec<Mount>,
    /// Sent with every http response (`headers`).
    pub headers: Vec<(String, String)>,
    /// TLS; `None`: the vhost is plain. Of the vhosts of a listen socket all have it, or none.
    pub tls: Option<TlsInfo>,
    /// TLS of connections that the vhost makes (`client_ssl_..`, `enable-client-ssl`), for who asks
    /// [`Vhost::client_tls`](crate::Vhost::client_tls): protocols for theirs, and `raw-proxy` where its option `onward-tls` is set.
    pub client_tls: Option<TlsClientInfo>,
    /// ALPN protocols in order of preference (`alpn`). Unless told `http/1.1` and `http/1.0`, or none where
    /// [`Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG`] is set.
    pub alpn: Option<Vec<String>>,
    /// Switches.
    pub options: Options,
    /// The role of connections that are not http (`listen-accept-role`); `raw-skt` unless told.
    pub listen_accept_role: Option<String>,
    /// Their protocol (`listen-accept-protocol`). Unless told, the one with a pvo `raw`, else the one with a pvo `default`, else
    /// the first.
    pub listen_accept_protocol: Option<String>,
    /// With the fallback option: a connection that is still silent or undecided after this long is not http
    /// (`fallback-silence-ms`). For clients that wait for the server to speak first. Keep it above the patience of browsers,
    /// which open connections ahead of need. On a listen socket with `proxy_protocol_from` it is for those alone who come with a header.
    pub fallback_silence: Option<Duration>,
    /// How long a keep-alive connection may idle between requests (`keepalive_timeout`); 5 s.
    pub keepalive_timeout: Duration,
    /// Bytes that the body of a request may have; [`limits::HTTP_BODY`] unless told, and `u64::MAX`: no limit. A mount may say otherwise.
    /// A longer one is answered with 413 (`max-body`; lws: `max_http_body_size`).
    pub max_body: u64,
    /// Its WebSockets: limits, compression, pings.
    pub ws: WsInfo,
    /// The URL path of the document sent with a 404 (`error-document-404`): of a mount without a password, and without a protocol that has a
    /// word in what is served.
    pub error_document_404: Option<String>,
    /// Peers whose connections have to begin with a PROXY header, which names the client: balancers (`proxy-protocol-from`, not in lws).
    /// Others that begin with one are refused, but with [`Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG`], where nothing is looked at. Empty:
    /// such a header is bytes as any. The first vhost of a listen socket decides. Trust nobody whom a client can pass for.
    pub proxy_protocol_from: Vec<PeerNetwork>,
    /// Where requests and connections are logged (`access-log`).
    pub access_log: Option<AccessLog>,
    /// Connections that may wait to be accepted (the backlog of listen(2)); 1024.
    pub backlog: u32,
    /// Connections whose first bytes came with their SYN, and that may wait for the end of the TCP handshake (`fo-listen-queue`,
    /// RFC 7413); 0: TCP fast open is off. Linux also wants 2 (servers) to be part of the sysctl `net.ipv4.tcp_fastopen`; a warning
    /// says so where it is not. The first vhost of a listen socket decides.
    pub fast_open_queue: u32,
}

impl Default for VhostInfo {
    fn default() -> Self {
        VhostInfo {
            name: "default".to_owned(),
            listen: Listen::None,
            protocols: Vec::new(),
            pvo: Pvo::default(),
            mounts: Vec::new(),
            headers: Vec::new(),
            tls: None,
            client_tls: None,
            alpn: None,
            options: Options::empty(),
            listen_accept_role: None,
            listen_accept_protocol: None,
            fallback_silence: None,
            keepalive_timeout: Duration::from_secs(5),
            max_body: limits::HTTP_BODY,
            ws: WsInfo::default(),
            error_document_404: None,
            proxy_protocol_from: Vec::new(),
            access_log: None,
            backlog: 1024,
            fast_open_queue: 0,
        }
    }
}

/// Where a vhost listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Listen {
    /// Nowhere: a home for client connections and adopted sockets (port -1, `CONTEXT_PORT_NO_LISTEN_SERVER`).
    None,
    /// A TCP port.
    Tcp {
        /// 0: any free one, to be asked for with [`Cx::listen_port`](crate::Cx::listen_port).
        port: u16,
        /// An interface's name or an address; `None`: all, IPv6 and IPv4.
        interface: Option<String>,
    },
    /// A unix socket.
    Unix {
        /// Its path; one that begins with `@` is an abstract name.
        path: PathBuf,
        /// Mode bits of the path, such as `0o660`; as the umask leaves them unless told.
        mode: Option<u32>,
        /// Who owns the path (`unix_socket_perms`); whoever binds it unless told.
        owner: Option<UnixOwner>,
    },
}

impl Listen {
    /// A TCP port on all interfaces.
    pub fn port(port: u16) -> Listen {
        Listen::Tcp { port, interface: None }
    }

    /// A TCP port on one interface, by name or address.
    pub fn on(interface: &str, port: u16) -> Listen {
        Listen::Tcp { port, interface: Some(interface.to_owned()) }
    }

    /// A unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Listen {
        Listen::Unix { path: path.into(), mode: None, owner: None }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::None => f.write_str("nothing"),
            Listen::Tcp { port, interface: None } => write!(f, "port {port}"),
            Listen::Tcp { port, interface: Some(interface) } => write!(f, "{interface} port {port}"),
            Listen::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}
