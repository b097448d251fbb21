//! Role `ws`: WebSocket, as a server and as a client (RFC 6455).
//!
//! ```text
//!   http: Upgrade ─▶ FilterProtocolConnection ─▶ Established ──┐
//!                                                              ├─▶ open ──┬── the peer closes ─▶ WsPeerInitiatedClose ─▶ answered ──┐
//!   opening ─▶ ClientFilterPreEstablish ─▶ ClientEstablished ──┘          └── Verdict::Close ─▶ closing: waits for the peer's ──────┴─▶ Closed
//! ```
//!
//! | happens | as a server | as a client |
//! |---|---|---|
//! | bound | `WsServerBindProtocol`, by http | `WsClientBindProtocol` |
//! | a part of a message | `Receive` | `ClientReceive` |
//! | a pong | `ReceivePong` | `ClientReceivePong` |
//! | asked for, and everything queued is sent | `ServerWriteable` | `ClientWriteable` |
//! | the end | `Closed`, `WsServerDropProtocol` | `ClientClosed`, `WsClientDropProtocol` |
//!
//! Nothing more is read while many answers wait for the peer. A turn reads, and delivers, no more than a slice. What is held between turns is the
//! beginning of a frame's head or of a control frame, and what a protocol does not want yet. In lws: `roles/ws`.

mod connection;
mod opening;

use crate::cx::Cx;
use crate::role::{CloseReason, Role, RoleOps};
use crate::transport::Medium;
use crate::vhost::ProtocolIndex;
use crate::ws::WebSocket;
use crate::wsi::Wsi;

/// See the module.
pub(crate) struct Ws;

impl RoleOps for Ws {
    fn name(&self) -> &'static str {
        "ws"
    }

    fn carries(&self) -> Option<Medium> {
        Some(Medium::Stream)
    }

    fn takes_client(&self) -> bool {
        true
    }

    fn begins_as(&self) -> Option<&'static str> {
        Some("http")
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, to: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        match wsi.ws.take().map(|ws| *ws) {
            Some(WebSocket::Wanted(asked)) => opening::begin(wsi, cx, to, asked),
            Some(WebSocket::Open(session)) => connection::established(wsi, cx, session),
            None => Err(CloseReason::Refused("no request has asked for a WebSocket".into())),
        }
    }
}
