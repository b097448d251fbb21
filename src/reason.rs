//! What a protocol is called back for: lws's `LWS_CALLBACK_*`, carrying their data.

use std::fmt;

/// Why [`Protocol::callback`](crate::Protocol::callback) is called. All of them concern one connection.
///
/// A protocol handles those it cares about and returns [`Verdict::Continue`](crate::Verdict::Continue), or what
/// [`http_dummy::callback`](crate::protocols::http_dummy::callback) says, for the rest.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Reason<'a> {
    // -- role http
    /// A request that no file mount serves (`LWS_CALLBACK_HTTP`). Answer with
    /// [`Wsi::return_http_status`](crate::Wsi::return_http_status); unanswered ones get a 404.
    Http(HttpRequest<'a>),

    // -- role raw-skt
    /// The protocol is bound to the connection; its session data is fresh (`LWS_CALLBACK_RAW_SKT_BIND_PROTOCOL`).
    RawSktBindProtocol,
    /// The protocol is dropped; the last callback of this session (`LWS_CALLBACK_RAW_SKT_DROP_PROTOCOL`).
    RawSktDropProtocol,
    /// A peer's connection is ours now: accepted, fallen back from http, or adopted (`LWS_CALLBACK_RAW_ADOPT`).
    RawAdopt,
    /// Our own connection to a peer is up (`LWS_CALLBACK_RAW_CONNECTED`).
    RawConnected,
    /// Bytes from the peer, the very first ones of the connection included (`LWS_CALLBACK_RAW_RX`).
    RawRx(&'a [u8]),
    /// Everything queued has been sent, as asked for by `callback_on_writable` (`LWS_CALLBACK_RAW_WRITEABLE`).
    RawWriteable,
    /// The connection is closing; what was queued is still sent (`LWS_CALLBACK_RAW_CLOSE`).
    RawClose,
    /// Our own connection to a peer could not be made, and why (`LWS_CALLBACK_CLIENT_CONNECTION_ERROR`).
    ClientConnectionError(&'a str),

    // -- role raw-proxy, towards the client
    /// The protocol is bound to the client's side (`LWS_CALLBACK_RAW_PROXY_SRV_BIND_PROTOCOL`).
    RawProxySrvBindProtocol,
    /// It is dropped (`LWS_CALLBACK_RAW_PROXY_SRV_DROP_PROTOCOL`).
    RawProxySrvDropProtocol,
    /// A client is there; ask for [`Wsi::connect_onward`](crate::Wsi::connect_onward) now (`LWS_CALLBACK_RAW_PROXY_SRV_ADOPT`).
    RawProxySrvAdopt,
    /// Bytes from the client on their way onward, for protocols with
    /// [`Interests::RAW_PROXY_SRV_RX`](crate::Interests::RAW_PROXY_SRV_RX) (`LWS_CALLBACK_RAW_PROXY_SRV_RX`).
    RawProxySrvRx(&'a [u8]),
    /// The client's side is closing (`LWS_CALLBACK_RAW_PROXY_SRV_CLOSE`).
    RawProxySrvClose,

    // -- role raw-proxy, towards the onward server
    /// The protocol is bound to the onward side (`LWS_CALLBACK_RAW_PROXY_CLI_BIND_PROTOCOL`).
    RawProxyCliBindProtocol,
    /// It is dropped (`LWS_CALLBACK_RAW_PROXY_CLI_DROP_PROTOCOL`).
    RawProxyCliDropProtocol,
    /// The onward connection is up (`LWS_CALLBACK_RAW_PROXY_CLI_ADOPT`).
    RawProxyCliAdopt,
    /// Bytes from the onward server on their way to the client, for protocols with
    /// [`Interests::RAW_PROXY_CLI_RX`](crate::Interests::RAW_PROXY_CLI_RX) (`LWS_CALLBACK_RAW_PROXY_CLI_RX`).
    RawProxyCliRx(&'a [u8]),
    /// The onward side is closing (`LWS_CALLBACK_RAW_PROXY_CLI_CLOSE`).
    RawProxyCliClose,
}

impl fmt::Debug for Reason<'_> {
    /// The reason's name, and of received bytes only their number: what a peer sends is not for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::Http(request) => write!(f, "Http({} {:?})", request.method, request.path),
            Reason::RawSktBindProtocol => f.write_str("RawSktBindProtocol"),
            Reason::RawSktDropProtocol => f.write_str("RawSktDropProtocol"),
            Reason::RawAdopt => f.write_str("RawAdopt"),
            Reason::RawConnected => f.write_str("RawConnected"),
            Reason::RawRx(data) => write!(f, "RawRx({} bytes)", data.len()),
            Reason::RawWriteable => f.write_str("RawWriteable"),
            Reason::RawClose => f.write_str("RawClose"),
            Reason::ClientConnectionError(why) => write!(f, "ClientConnectionError({why})"),
            Reason::RawProxySrvBindProtocol => f.write_str("RawProxySrvBindProtocol"),
            Reason::RawProxySrvDropProtocol => f.write_str("RawProxySrvDropProtocol"),
            Reason::RawProxySrvAdopt => f.write_str("RawProxySrvAdopt"),
            Reason::RawProxySrvRx(data) => write!(f, "RawProxySrvRx({} bytes)", data.len()),
            Reason::RawProxySrvClose => f.write_str("RawProxySrvClose"),
            Reason::RawProxyCliBindProtocol => f.write_str("RawProxyCliBindProtocol"),
            Reason::RawProxyCliDropProtocol => f.write_str("RawProxyCliDropProtocol"),
            Reason::RawProxyCliAdopt => f.write_str("RawProxyCliAdopt"),
            Reason::RawProxyCliRx(data) => write!(f, "RawProxyCliRx({} bytes)", data.len()),
            Reason::RawProxyCliClose => f.write_str("RawProxyCliClose"),
        }
    }
}

/// The request in hand.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct HttpRequest<'a> {
    /// `GET`, `HEAD`, ..
    pub method: &'a str,
    /// The decoded path, from its `/` on, without the query.
    pub path: &'a str,
}

/// Why [`Protocol::vhost_callback`](crate::Protocol::vhost_callback) is called: what concerns a vhost and no single connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VhostReason {
    /// The vhost goes, or its context (`LWS_CALLBACK_PROTOCOL_DESTROY`). Its connections have been closed.
    Destroy,
    /// [`Waker::wake`](crate::Waker::wake) was called (`LWS_CALLBACK_EVENT_WAIT_CANCELLED`). Several calls may come as one.
    EventWaitCancelled,
}
