//! What a protocol is called back for: lws's `LWS_CALLBACK_*`, carrying their data.

use std::fmt;

use crate::http::HttpRequest;
use crate::timers::SulId;
use crate::ws::{CloseCode, WsAnswer};
use crate::wsi::{Peer, Wsi, WsiId};

/// Why [`Protocol::callback`](crate::Protocol::callback) is called. All of them concern one connection.
///
/// A protocol handles those it cares about and returns [`Verdict::Continue`](crate::Verdict::Continue), or what
/// [`http_dummy::callback`](crate::protocols::http_dummy::callback) says, for the rest.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Reason<'a> {
    // -- role http, for one transaction: a request and its response
    /// The protocol is bound for a transaction; its session data is fresh (`LWS_CALLBACK_HTTP_BIND_PROTOCOL`).
    HttpBindProtocol,
    /// It is dropped; the last callback of this session (`LWS_CALLBACK_HTTP_DROP_PROTOCOL`). The connection goes on.
    HttpDropProtocol,
    /// A request that may be turned down, by `Close` (403 then, if nothing is answered) or by any answer
    /// (`LWS_CALLBACK_FILTER_HTTP_CONNECTION`).
    FilterHttpConnection(&'a HttpRequest),
    /// It asks to go on in another protocol, which is named (`LWS_CALLBACK_HTTP_CONFIRM_UPGRADE`). On `Close` it gets a 403. A WebSocket
    /// then goes to the protocol for it, where the vhost has one (`FilterProtocolConnection`); what else is asked for is served as if it had not been.
    HttpConfirmUpgrade(&'a str),
    /// The request (`LWS_CALLBACK_HTTP`). Answer it here, with [`Wsi::respond`](crate::Wsi::respond) and its kin, or ask for something that
    /// brings a later callback, and answer there. What neither answers nor asks gets a 404.
    Http(&'a HttpRequest),
    /// A piece of the request's body, as it came (`LWS_CALLBACK_HTTP_BODY`).
    HttpBody(&'a [u8]),
    /// The body is complete (`LWS_CALLBACK_HTTP_BODY_COMPLETION`).
    HttpBodyCompletion,
    /// Everything written has been sent, as asked for by `callback_on_writable` (`LWS_CALLBACK_HTTP_WRITEABLE`).
    HttpWriteable,
    /// The file of [`Wsi::serve_http_file`](crate::Wsi::serve_http_file), or of a file mount with this protocol, has been sent
    /// (`LWS_CALLBACK_HTTP_FILE_COMPLETION`).
    HttpFileCompletion,
    /// The response is about to be sent; [`Wsi::add_http_header`](crate::Wsi::add_http_header) now. For protocols with
    /// [`Interests::ADD_HEADERS`](crate::Interests::ADD_HEADERS) (`LWS_CALLBACK_ADD_HEADERS`).
    AddHeaders,
    /// The connection ends before the transaction is complete (`LWS_CALLBACK_CLOSED_HTTP`).
    ClosedHttp,

    // -- role ws, as a server
    /// The protocol is bound to the connection; its session data is fresh (`LWS_CALLBACK_WS_SERVER_BIND_PROTOCOL`).
    WsServerBindProtocol,
    /// It is dropped; the last callback of this session (`LWS_CALLBACK_WS_SERVER_DROP_PROTOCOL`).
    WsServerDropProtocol,
    /// A client asks for a WebSocket with this protocol, and may be turned down, by `Close`: it gets a 403 then
    /// (`LWS_CALLBACK_FILTER_PROTOCOL_CONNECTION`). `Origin` says what page it comes from, if it is a browser.
    FilterProtocolConnection(&'a HttpRequest),
    /// The WebSocket is there (`LWS_CALLBACK_ESTABLISHED`). [`Wsi::http_request`](crate::Wsi::http_request) is the request that it came from,
    /// in this callback for the last time.
    Established,
    /// A message, or a part of one (`LWS_CALLBACK_RECEIVE`), as much as came: [`Wsi::is_first_fragment`](crate::Wsi::is_first_fragment),
    /// [`Wsi::is_final_fragment`](crate::Wsi::is_final_fragment) and [`Wsi::frame_is_binary`](crate::Wsi::frame_is_binary) say which. A part may
    /// end within a character. With [`Interests::WS_WHOLE_MESSAGES`](crate::Interests::WS_WHOLE_MESSAGES) a whole one.
    Receive(&'a [u8]),
    /// The peer's answer to a ping, or a pong of its own accord (`LWS_CALLBACK_RECEIVE_PONG`).
    ReceivePong(&'a [u8]),
    /// Everything written has been sent, as asked for by `callback_on_writable` (`LWS_CALLBACK_SERVER_WRITEABLE`).
    ServerWriteable,
    /// The WebSocket is closing (`LWS_CALLBACK_CLOSED`).
    Closed,

    // -- role ws, as a client
    /// As `WsServerBindProtocol` (`LWS_CALLBACK_WS_CLIENT_BIND_PROTOCOL`).
    WsClientBindProtocol,
    /// As `WsServerDropProtocol` (`LWS_CALLBACK_WS_CLIENT_DROP_PROTOCOL`).
    WsClientDropProtocol,
    /// The server agrees, and this is its answer; it may still be turned down, by `Close` (`LWS_CALLBACK_CLIENT_FILTER_PRE_ESTABLISH`).
    ClientFilterPreEstablish(&'a WsAnswer),
    /// The WebSocket is there (`LWS_CALLBACK_CLIENT_ESTABLISHED`). Where it does not come to that: `ClientConnectionError`.
    ClientEstablished,
    /// As `Receive` (`LWS_CALLBACK_CLIENT_RECEIVE`).
    ClientReceive(&'a [u8]),
    /// As `ReceivePong` (`LWS_CALLBACK_CLIENT_RECEIVE_PONG`).
    ClientReceivePong(&'a [u8]),
    /// As `ServerWriteable` (`LWS_CALLBACK_CLIENT_WRITEABLE`).
    ClientWriteable,
    /// The WebSocket is closing (`LWS_CALLBACK_CLIENT_CLOSED`).
    ClientClosed,

    // -- role ws, either way
    /// The peer closes, with a code and a text if it says any (`LWS_CALLBACK_WS_PEER_INITIATED_CLOSE`). It is answered in kind, unless
    /// [`Wsi::close_with`](crate::Wsi::close_with) says otherwise; nothing more can be written behind this callback.
    WsPeerInitiatedClose(Option<CloseCode>, &'a str),

    // -- roles raw-skt and raw-udp
    /// The protocol is bound to the connection; its session data is fresh (`LWS_CALLBACK_RAW_SKT_BIND_PROTOCOL`).
    RawSktBindProtocol,
    /// The protocol is dropped; the last callback of this session (`LWS_CALLBACK_RAW_SKT_DROP_PROTOCOL`).
    RawSktDropProtocol,
    /// A peer's connection is ours now: accepted, fallen back from http, or adopted (`LWS_CALLBACK_RAW_ADOPT`). Or a UDP socket is.
    RawAdopt,
    /// Our own connection to a peer is up (`LWS_CALLBACK_RAW_CONNECTED`).
    RawConnected,
    /// Bytes from the peer, the very first ones of the connection included (`LWS_CALLBACK_RAW_RX`). In role raw-udp one datagram, whose
    /// sender is now [`Wsi::peer`].
    RawRx(&'a [u8]),
    /// Everything queued has been sent, as asked for by `callback_on_writable` (`LWS_CALLBACK_RAW_WRITEABLE`).
    RawWriteable,
    /// The connection is closing (`LWS_CALLBACK_RAW_CLOSE`). What is queued is still sent, within [`limits::DRAIN_TIME`](crate::limits::DRAIN_TIME), unless the
    /// connection failed or timed out.
    RawClose,
    /// The peer sends no more, and may still read; where [`Wsi::allow_half_close`] was called. Not in lws.
    RawEof,
    /// Our own connection to a peer could not be made, and why (`LWS_CALLBACK_CLIENT_CONNECTION_ERROR`).
    ClientConnectionError(&'a str),

    // -- role raw-file
    /// The protocol is bound to the descriptor (`LWS_CALLBACK_RAW_FILE_BIND_PROTOCOL`).
    RawFileBindProtocol,
    /// It is dropped (`LWS_CALLBACK_RAW_FILE_DROP_PROTOCOL`).
    RawFileDropProtocol,
    /// The descriptor is ours now (`LWS_CALLBACK_RAW_ADOPT_FILE`).
    RawAdoptFile,
    /// What was read from the descriptor (`LWS_CALLBACK_RAW_RX_FILE`, after which lws leaves reading to its user).
    RawRxFile(&'a [u8]),
    /// Everything queued has been written, as asked for by `callback_on_writable` (`LWS_CALLBACK_RAW_WRITEABLE_FILE`).
    RawWriteableFile,
    /// The descriptor is being closed (`LWS_CALLBACK_RAW_CLOSE_FILE`). What was queued is still written, as after `RawClose`.
    RawCloseFile,

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

    // -- any role that a protocol is bound in
    /// The time that [`Wsi::set_timer`] gave has passed (`LWS_CALLBACK_TIMER`).
    Timer,
    /// A connection whose parent this one is has closed (`LWS_CALLBACK_CHILD_CLOSING`). A parent that is still being connected has no
    /// protocol that could hear it; what is left is in [`Wsi::children`].
    ChildClosing(WsiId),
    /// [`Cx::callback_all_protocol`](crate::Cx::callback_all_protocol) was called with this number (`LWS_CALLBACK_USER` and above).
    User(u32),
    /// The host name of the peer, as [`Wsi::ask_peer_name`] asked for it; `None`: it has none.
    PeerName(Option<&'a str>),
}

impl fmt::Debug for Reason<'_> {
    /// The reason's name, and of received bytes only their number: what a peer sends is not for the log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reason::HttpBindProtocol => f.write_str("HttpBindProtocol"),
            Reason::HttpDropProtocol => f.write_str("HttpDropProtocol"),
            Reason::FilterHttpConnection(request) => {
                write!(f, "FilterHttpConnection({} {:?})", request.method(), request.path())
            }
            Reason::HttpConfirmUpgrade(to) => write!(f, "HttpConfirmUpgrade({to:?})"),
            Reason::Http(request) => write!(f, "Http({} {:?})", request.method(), request.path()),
            Reason::HttpBody(data) => write!(f, "HttpBody({} bytes)", data.len()),
            Reason::HttpBodyCompletion => f.write_str("HttpBodyCompletion"),
            Reason::HttpWriteable => f.write_str("HttpWriteable"),
            Reason::HttpFileCompletion => f.write_str("HttpFileCompletion"),
            Reason::AddHeaders => f.write_str("AddHeaders"),
            Reason::ClosedHttp => f.write_str("ClosedHttp"),
            Reason::WsServerBindProtocol => f.write_str("WsServerBindProtocol"),
            Reason::WsServerDropProtocol => f.write_str("WsServerDropProtocol"),
            Reason::FilterProtocolConnection(request) => write!(f, "FilterProtocolConnection({:?})", request.path()),
            Reason::Established => f.write_str("Established"),
            Reason::Receive(data) => write!(f, "Receive({} bytes)", data.len()),
            Reason::ReceivePong(data) => write!(f, "ReceivePong({} bytes)", data.len()),
            Reason::ServerWriteable => f.write_str("ServerWriteable"),
            Reason::Closed => f.write_str("Closed"),
            Reason::WsClientBindProtocol => f.write_str("WsClientBindProtocol"),
            Reason::WsClientDropProtocol => f.write_str("WsClientDropProtocol"),
            Reason::ClientFilterPreEstablish(_) => f.write_str("ClientFilterPreEstablish"),
            Reason::ClientEstablished => f.write_str("ClientEstablished"),
            Reason::ClientReceive(data) => write!(f, "ClientReceive({} bytes)", data.len()),
            Reason::ClientReceivePong(data) => write!(f, "ClientReceivePong({} bytes)", data.len()),
            Reason::ClientWriteable => f.write_str("ClientWriteable"),
            Reason::ClientClosed => f.write_str("ClientClosed"),
            Reason::WsPeerInitiatedClose(Some(code), _) => write!(f, "WsPeerInitiatedClose({code})"),
            Reason::WsPeerInitiatedClose(None, _) => f.write_str("WsPeerInitiatedClose"),
            Reason::RawSktBindProtocol => f.write_str("RawSktBindProtocol"),
            Reason::RawSktDropProtocol => f.write_str("RawSktDropProtocol"),
            Reason::RawAdopt => f.write_str("RawAdopt"),
            Reason::RawConnected => f.write_str("RawConnected"),
            Reason::RawRx(data) => write!(f, "RawRx({} bytes)", data.len()),
            Reason::RawWriteable => f.write_str("RawWriteable"),
            Reason::RawClose => f.write_str("RawClose"),
            Reason::RawEof => f.write_str("RawEof"),
            Reason::ClientConnectionError(why) => write!(f, "ClientConnectionError({why})"),
            Reason::RawFileBindProtocol => f.write_str("RawFileBindProtocol"),
            Reason::RawFileDropProtocol => f.write_str("RawFileDropProtocol"),
            Reason::RawAdoptFile => f.write_str("RawAdoptFile"),
            Reason::RawRxFile(data) => write!(f, "RawRxFile({} bytes)", data.len()),
            Reason::RawWriteableFile => f.write_str("RawWriteableFile"),
            Reason::RawCloseFile => f.write_str("RawCloseFile"),
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
            Reason::Timer => f.write_str("Timer"),
            Reason::ChildClosing(id) => write!(f, "ChildClosing({id})"),
            Reason::User(n) => write!(f, "User({n})"),
            Reason::PeerName(name) => write!(f, "PeerName({name:?})"),
        }
    }
}

/// Why [`Protocol::vhost_callback`](crate::Protocol::vhost_callback) is called: what concerns a vhost, or a connection that no protocol is
/// bound to.
///
/// The reasons about connections go to the first protocol of the vhost (lws: `protocols[0]`, with a null `user`). What it answers to
/// those that say so decides; elsewhere its verdict is not looked at.
#[non_exhaustive]
pub enum VhostReason<'a> {
    // -- to every protocol of the vhost
    /// The vhost goes, or its context (`LWS_CALLBACK_PROTOCOL_DESTROY`). Its connections have been closed.
    ProtocolDestroy,
    /// [`Waker::wake`](crate::Waker::wake) was called (`LWS_CALLBACK_EVENT_WAIT_CANCELLED`). Several calls may come as one.
    EventWaitCancelled,
    /// What [`Cx::schedule`](crate::Cx::schedule) was asked for is due; only to the protocol it is for (a `lws_sul`'s callback).
    Sul(SulId),
    /// [`Cx::callback_vhost_protocols`](crate::Cx::callback_vhost_protocols) was called with this number (`LWS_CALLBACK_USER` and above).
    User(u32),

    // -- to the first protocol of the vhost
    /// A peer wants to be accepted (`LWS_CALLBACK_FILTER_NETWORK_CONNECTION`), and the first vhost of the listen socket is asked. On
    /// `Close` it is hung up on, before anything is made for it. Of a balancer's connection it is asked once the PROXY header has named the
    /// client.
    FilterNetworkConnection(&'a Peer),
    /// A connection has its first turn (`LWS_CALLBACK_WSI_CREATE`): accepted, adopted, or our own. On `Close` it ends.
    WsiCreate(&'a mut Wsi),
    /// It is an accepted one (`LWS_CALLBACK_SERVER_NEW_CLIENT_INSTANTIATED`). On `Close` it ends.
    ServerNewClientInstantiated(&'a mut Wsi),
    /// A connection is gone (`LWS_CALLBACK_WSI_DESTROY`), and everything else about it has been said. It comes to whoever heard
    /// `WsiCreate`, wherever a name has led the connection meanwhile; if the vhost goes first, for good as far as that one is concerned.
    WsiDestroy(&'a mut Wsi),
}

impl fmt::Debug for VhostReason<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VhostReason::ProtocolDestroy => f.write_str("ProtocolDestroy"),
            VhostReason::EventWaitCancelled => f.write_str("EventWaitCancelled"),
            VhostReason::Sul(_) => f.write_str("Sul"),
            VhostReason::User(n) => write!(f, "User({n})"),
            VhostReason::FilterNetworkConnection(peer) => write!(f, "FilterNetworkConnection({peer})"),
            VhostReason::WsiCreate(wsi) => write!(f, "WsiCreate({})", wsi.id()),
            VhostReason::ServerNewClientInstantiated(wsi) => write!(f, "ServerNewClientInstantiated({})", wsi.id()),
            VhostReason::WsiDestroy(wsi) => write!(f, "WsiDestroy({})", wsi.id()),
        }
    }
}
