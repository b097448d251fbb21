//! The opening handshake of a client: its request, and the server's answer.

use std::mem;

use crate::connect::came_to_nothing;
use crate::cx::Cx;
use crate::limits;
use crate::protocol::{self, Verdict};
use crate::reason::Reason;
use crate::role::{Binding, CloseReason, Next, Role};
use crate::transport::Received;
use crate::vhost::ProtocolIndex;
use crate::ws::{self, Opened, Session, Side, WebSocket, WsAnswer, WsConnect};
use crate::wsi::Wsi;

struct Opening {
    asked: WsConnect,
    key: String,
    protocol: Option<ProtocolIndex>,
    /// Answers before the one that counts.
    interim: usize,
    /// Why it comes to nothing.
    why: Option<String>,
}

/// Asks the server.
pub(super) fn begin(
    wsi: &mut Wsi,
    cx: &mut Cx,
    protocol: Option<ProtocolIndex>,
    asked: WsConnect,
) -> Result<Box<dyn Role>, CloseReason> {
    wsi.deadline = cx.after(cx.info.connect_timeout);
    let begun = ws::key().map_err(Into::into).and_then(|key| {
        wsi.transmit(&cx.registry, asked.request(&key).as_bytes())?;
        Ok(key)
    });
    match begun {
        Ok(key) => Ok(Box::new(Opening { asked, key, protocol, interim: 0, why: None })),
        Err(error) => {
            came_to_nothing(wsi, cx, protocol, &format!("asking for a WebSocket: {error}"));
            Err(CloseReason::Lost(error))
        }
    }
}

impl Role for Opening {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let mut buf = mem::take(&mut cx.buf);
        let next = self.turn(wsi, cx, &mut buf);
        cx.buf = buf;
        next.unwrap_or_else(Next::Close)
    }

    fn on_timeout(&mut self, _: &mut Wsi, cx: &mut Cx) -> Next {
        self.why = Some(format!("the server has not answered for {:?}", cx.info.connect_timeout));
        Next::Close(CloseReason::Timeout("the answer to the opening handshake"))
    }

    fn on_close(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        let why = match self.why.take() {
            Some(why) => {
                cx.warn_seldom(wsi, |warned| &mut warned.unconnected, format_args!("{why}"));
                why
            }
            None => wsi.close_reason().map_or_else(|| "it was closed".to_owned(), CloseReason::to_string),
        };
        if wsi.protocol.is_none() {
            return came_to_nothing(wsi, cx, self.protocol, &why);
        }
        for reason in [Reason::ClientConnectionError(&why), Reason::WsClientDropProtocol] {
            let _too_late = protocol::call(wsi, cx, reason);
        }
        protocol::detach(wsi);
        wsi.ws = None;
    }
}

impl Opening {
    fn turn(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<Next, CloseReason> {
        if !wsi.io.readable() {
            return Ok(Next::Stay);
        }
        // No more than a head: what a chatty server sends behind it is for the next role.
        match wsi.recv(&mut buf[..limits::HTTP_HEAD - wsi.rx.len()])? {
            Received::Bytes(n) => wsi.rx.push(&buf[..n]),
            Received::Blocked => return Ok(Next::Stay),
            Received::Eof => return Err(self.refused("the server closed instead of answering")),
        }
        loop {
            match WsAnswer::parse(wsi.rx.as_slice()) {
                Ok(Some((answer, len))) => {
                    wsi.rx.consume(len);
                    if !answer.is_interim() {
                        return self.answered(wsi, cx, &answer);
                    }
                    self.interim += 1;
                    if self.interim > limits::WS_INTERIM {
                        return Err(self.refused("the server sends interim answers without end"));
                    }
                }
                Ok(None) if wsi.rx.len() >= limits::HTTP_HEAD => {
                    return Err(self.refused("the server's answer is too long"));
                }
                Ok(None) => return Ok(Next::Again),
                Err(error) => return Err(self.refused(format!("the server's answer is no http: {error}"))),
            }
        }
    }

    fn answered(&mut self, wsi: &mut Wsi, cx: &mut Cx, answer: &WsAnswer) -> Result<Next, CloseReason> {
        let Opened { subprotocol, deflate } = answer.agrees(&self.asked, &self.key).map_err(|why| self.refused(why))?;
        let Some(protocol) = self.protocol else { return Err(self.refused("it has no protocol")) };
        protocol::attach(wsi, cx, protocol)?;
        let contexts = cx.ws_contexts.clone();
        let session = Session::new(Side::Client, &self.asked.info, deflate, &contexts, subprotocol.as_deref());
        wsi.ws = Some(Box::new(WebSocket::Open(session)));
        for reason in [Reason::WsClientBindProtocol, Reason::ClientFilterPreEstablish(answer)] {
            if protocol::call(wsi, cx, reason) == Verdict::Close {
                return Err(CloseReason::by_protocol());
            }
        }
        Ok(Next::Become(Binding { role: cx.role("ws"), protocol: Some(protocol) }))
    }

    fn refused(&mut self, why: impl Into<String>) -> CloseReason {
        let why = why.into();
        self.why = Some(why.clone());
        CloseReason::PeerFault(why.into())
    }
}
