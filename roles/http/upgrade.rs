//! Requests that go on as a WebSocket (RFC 6455 section 4.2).

use std::mem;

use crate::cx::Cx;
use crate::http::{Exchange, HttpRequest};
use crate::options::Options;
use crate::protocol::{self, Interests, Verdict};
use crate::reason::Reason;
use crate::role::{Binding, CloseReason};
use crate::vhost::{OpenMount, ProtocolIndex, Vhost};
use crate::ws::handshake::{self, Asks, VERSION, Wrong};
use crate::ws::{Agreed, Session, Side, WebSocket};
use crate::wsi::Wsi;

use super::answer::{Answer, Field};
use super::entry::Entry;
use super::h1::Head;
use super::status::Status;
use super::transaction;

/// What a client asks for and can have, unless a protocol is against it.
pub(super) struct Upgrade {
    protocol: ProtocolIndex,
    subprotocol: Option<String>,
    accept: String,
    deflate: Option<Agreed>,
}

/// What a request for a WebSocket comes to; `None`: it is none, or the vhost, or the mount, has none to offer.
pub(super) fn of(
    vhost: &Vhost,
    open: Option<&OpenMount>,
    head: &Head<'_>,
    request: &HttpRequest,
) -> Option<Result<Upgrade, Answer>> {
    let is_asked = head.upgrade.is_some_and(|to| to.eq_ignore_ascii_case("websocket"));
    let default =
        vhost.default_ws_protocol.filter(|_| is_asked && open.is_none_or(|open| !open.mount.no_ws_upgrades))?;
    let asks = match Asks::of(request) {
        Ok(asks) => asks,
        Err(Wrong::Version) => return Some(Err(upgrade_required().last())),
        Err(Wrong::Malformed) => return Some(Err(Answer::page(Status::BAD_REQUEST).last())),
    };
    let needs_name = vhost.options().contains(Options::VHOST_DISABLE_NO_PROTOCOL_WS_UPGRADES);
    let found = match asks.subprotocols.as_slice() {
        [] if needs_name => None,
        [] => Some((default, None)),
        names => names.iter().find_map(|name| Some((vhost.ws_protocol(name)?, Some((*name).to_owned())))),
    };
    let Some((protocol, subprotocol)) = found else {
        return Some(Err(Answer::page(Status::FORBIDDEN).last()));
    };
    let offers = handshake::headers(request, "sec-websocket-extensions");
    let deflate = vhost.ws.deflate.as_ref().and_then(|deflate| deflate.accept(offers));
    Some(Ok(Upgrade { protocol, subprotocol, accept: handshake::accept_of(asks.key), deflate }))
}

/// What it is to upgrade to (RFC 9110 section 15.5.22), and the version of that (RFC 6455 section 4.4).
fn upgrade_required() -> Answer {
    Answer::page(Status::UPGRADE_REQUIRED)
        .with("Connection", "Upgrade")
        .with("Upgrade", "websocket")
        .with("Sec-WebSocket-Version", VERSION)
}

impl Upgrade {
    /// Drops the protocol that http has asked, asks the one that the WebSocket is for, and sends the answer. `None`: it is turned down, and
    /// nothing has been sent.
    pub(super) fn begin(
        self,
        wsi: &mut Wsi,
        cx: &mut Cx,
        entry: Option<Box<Entry>>,
    ) -> Result<Option<Binding>, CloseReason> {
        let asked = wsi.http.as_ref().map(|exchange| (exchange.request.clone(), exchange.mount));
        transaction::end(wsi, cx);
        let Some((request, mount)) = asked else { return Ok(None) };
        protocol::attach(wsi, cx, self.protocol)?;
        wsi.http = Some(Box::new(Exchange::new(request.clone(), mount)));
        for reason in [Reason::WsServerBindProtocol, Reason::FilterProtocolConnection(&request)] {
            if protocol::call(wsi, cx, reason) == Verdict::Close {
                drop_protocol(wsi, cx);
                return Ok(None);
            }
        }
        let head = self.head(&self.added(wsi, cx));
        let sent = wsi.transmit(&cx.registry, head.as_bytes());
        if let Some(mut entry) = entry {
            entry.answered(Status::SWITCHING_PROTOCOLS, head.len());
            entry.finish(wsi, cx);
        }
        match (sent, cx.vhost(wsi.vhost)) {
            (Ok(()), Some(vhost)) => {
                wsi.http = None;
                let mut session =
                    Session::new(Side::Server, &vhost.ws, self.deflate, &cx.ws_contexts, self.subprotocol.as_deref());
                session.request = Some(request);
                wsi.ws = Some(Box::new(WebSocket::Open(session)));
                Ok(Some(Binding { role: cx.role("ws"), protocol: Some(self.protocol) }))
            }
            (sent, _) => {
                drop_protocol(wsi, cx);
                Err(sent.err().map_or(CloseReason::Refused("its vhost is gone".into()), CloseReason::Lost))
            }
        }
    }

    fn added(&self, wsi: &mut Wsi, cx: &mut Cx) -> Vec<Field> {
        let enabled = cx.enabled(wsi.vhost, self.protocol);
        if enabled.is_some_and(|enabled| enabled.table.interests.contains(Interests::ADD_HEADERS)) {
            let _is_sent_anyway = protocol::call(wsi, cx, Reason::AddHeaders);
        }
        wsi.http.as_deref_mut().map(|exchange| mem::take(&mut exchange.added)).unwrap_or_default()
    }

    fn head(&self, added: &[Field]) -> String {
        let mut lines = vec![
            "HTTP/1.1 101 Switching Protocols".to_owned(),
            "Upgrade: websocket".to_owned(),
            "Connection: Upgrade".to_owned(),
            format!("Sec-WebSocket-Accept: {}", self.accept),
        ];
        lines.extend(self.subprotocol.iter().map(|name| format!("Sec-WebSocket-Protocol: {name}")));
        lines.extend(self.deflate.iter().map(|agreed| format!("Sec-WebSocket-Extensions: {}", agreed.answer())));
        lines.extend(added.iter().map(|(name, value)| format!("{name}: {value}")));
        lines.join("\r\n") + "\r\n\r\n"
    }
}

/// It does not come to a WebSocket.
fn drop_protocol(wsi: &mut Wsi, cx: &mut Cx) {
    let _too_late = protocol::call(wsi, cx, Reason::WsServerDropProtocol);
    transaction::forget(wsi);
}
