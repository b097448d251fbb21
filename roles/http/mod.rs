//! Role `http`: HTTP/1.1 (and 1.0) requests, answered from a vhost's mounts or by its protocols.
//!
//! ```text
//!   bytes ──▶ h1 ──▶ head ──▶ vhost by Host ──▶ answer ──▶ response ──▶ bytes
//!                                   │              │
//!                                   │              ├── file: a file below a folder mount
//!                                   │              └── a protocol's word on Reason::Http
//!                                   └── path: decoded, normalised
//! ```
//!
//! Its states: waiting for a request's head; sending a response. Requests that came ahead (pipelining) wait in `wsi.rx` until the
//! response before them has been handed to the system, so they are answered in order and hold nothing else.
//!
//! Framing (`h1`, `response`) is apart from handling (`answer`, `file`). It knows nothing of TLS. In lws: `roles/http`, `roles/h1`.

mod answer;
mod file;
mod h1;
mod host;
mod method;
mod mime;
mod path;
mod response;
mod status;

use std::io;
use std::mem;

use crate::classify::{Class, classify};
use crate::cx::Cx;
use crate::limits;
use crate::role::{CloseReason, Next, Role, RoleOps};
use crate::transport::Received;
use crate::vhost::ProtocolIndex;
use crate::wsi::Wsi;

use answer::{Answer, FileBody};
use h1::{Body, Head, Parsed, Version};
use method::Method;
use response::Terms;
use status::Status;

pub(crate) struct Http;

impl RoleOps for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        Ok(Connection::boxed(wsi, cx, false))
    }
}

/// The same, but every request is sent to https (`LWS_SERVER_OPTION_REDIRECT_HTTP_TO_HTTPS`).
pub(crate) struct HttpRedirect;

impl RoleOps for HttpRedirect {
    fn name(&self) -> &'static str {
        "http-redirect"
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        Ok(Connection::boxed(wsi, cx, true))
    }
}

struct Connection {
    /// Plain http on a TLS port: the answer is always that it moved to https.
    redirects: bool,
    /// The rest of the response being sent.
    body: Option<FileBody>,
    /// What follows the response being sent.
    then: Then,
    /// How much of `wsi.rx` is known to be no whole head.
    looked_at: usize,
}

/// What becomes of the connection after a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Then {
    NextRequest,
    Close,
    /// The request has a body that nobody reads. What follows it could not be told from it.
    CloseUnread,
}

impl Role for Connection {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let mut buf = mem::take(&mut cx.buf);
        let next = self.turn(wsi, cx, &mut buf);
        cx.buf = buf;
        next.unwrap_or_else(Next::Close)
    }

    fn on_timeout(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        if self.body.is_some() {
            return Next::Close(CloseReason::Timeout("it does not read its response"));
        }
        // What began as a request and stopped is told so; what never was one got here because nothing else serves it.
        let status = match classify(wsi.rx.as_slice()) {
            _ if wsi.rx.is_empty() => return Next::Close(CloseReason::Timeout("no request came")),
            Class::Http => Status::REQUEST_TIMEOUT,
            _ => Status::BAD_REQUEST,
        };
        Next::Close(refuse(wsi, cx, status))
    }
}

impl Connection {
    fn boxed(wsi: &mut Wsi, cx: &Cx, redirects: bool) -> Box<dyn Role> {
        wsi.deadline = Some(cx.now + cx.info.timeout);
        Box::new(Connection { redirects, body: None, then: Then::NextRequest, looked_at: 0 })
    }

    fn turn(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<Next, CloseReason> {
        if let Some(body) = &mut self.body {
            wsi.deadline = Some(cx.now + limits::HTTP_SEND_STALL);
            if !body.send(wsi, cx)? {
                return Ok(if wsi.io.writable() { Next::Again } else { Next::Stay });
            }
            self.body = None;
            self.end_transaction(wsi, cx)?;
        }
        if !wsi.is_flushed() {
            return Ok(Next::Stay);
        }
        self.request(wsi, cx, buf)
    }

    /// Looks for a request, among the bytes held and then those of the socket. Nothing is held of a request that comes in one piece.
    fn request(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<Next, CloseReason> {
        let mut fresh = 0;
        if wsi.rx.len() == self.looked_at {
            fresh = match self.read(wsi, buf)? {
                Received::Bytes(n) => n,
                Received::Blocked => return Ok(Next::Stay),
                Received::Eof if wsi.rx.is_empty() => return Err(CloseReason::PeerClosed),
                Received::Eof => return Err(refuse(wsi, cx, Status::BAD_REQUEST)),
            };
        }
        let mut held = wsi.rx.take();
        let bytes = if held.is_empty() { &buf[..fresh] } else { held.as_slice() };
        let parsed = if self.may_be_complete(bytes) { h1::parse(bytes) } else { Parsed::Partial };
        match parsed {
            Parsed::Complete { head, len } => {
                let answered = self.respond(wsi, cx, &head);
                match held.is_empty() {
                    true => held.push(&buf[len..fresh]),
                    false => held.consume(len),
                }
                self.looked_at = 0;
                wsi.rx = held;
                answered
            }
            Parsed::Partial => {
                if self.looked_at == 0 {
                    wsi.deadline = Some(cx.now + cx.info.timeout);
                }
                self.looked_at = bytes.len();
                if held.is_empty() {
                    held.push(&buf[..fresh]);
                }
                wsi.rx = held;
                Ok(if wsi.io.readable() { Next::Again } else { Next::Stay })
            }
            Parsed::Bad(status) => Err(refuse(wsi, cx, status)),
        }
    }

    /// Reads into `buf`, and from there behind what is held already.
    fn read(&self, wsi: &mut Wsi, buf: &mut [u8]) -> io::Result<Received> {
        if !wsi.io.readable() {
            return Ok(Received::Blocked);
        }
        let received = wsi.io.recv(&mut buf[..limits::HTTP_HEAD])?;
        if let Received::Bytes(n) = received
            && !wsi.rx.is_empty()
        {
            wsi.rx.push(&buf[..n]);
        }
        Ok(received)
    }

    /// A head ends with a line: without a new line end, a look at the same bytes again would only cost time.
    fn may_be_complete(&self, bytes: &[u8]) -> bool {
        self.looked_at == 0 || bytes.len() >= limits::HTTP_HEAD || bytes[self.looked_at..].contains(&b'\n')
    }

    fn respond(&mut self, wsi: &mut Wsi, cx: &mut Cx, head: &Head<'_>) -> Result<Next, CloseReason> {
        if let Some(chosen) = cx.group_of(wsi.vhost).and_then(|group| {
            let name = head.host.map(host::name_of_host).unwrap_or_default();
            group.choose(name)
        }) {
            wsi.vhost = chosen;
        }
        self.then = match head.body {
            Body::None | Body::Length(0) if head.keep_alive && !self.redirects => Then::NextRequest,
            Body::None | Body::Length(0) => Then::Close,
            Body::Length(_) | Body::Chunked => Then::CloseUnread,
        };
        let terms = Terms {
            version: head.version,
            keep_alive: self.then == Then::NextRequest,
            head_only: head.method == Method::Head,
        };
        let answer = match self.redirects {
            true => Answer::moved_to_https(wsi, cx, head),
            false if !meets_demands(wsi, cx) => Answer::page(Status::MISDIRECTED_REQUEST),
            false => Answer::to(wsi, cx, head),
        };
        self.body = answer.send(wsi, cx, terms)?;
        if self.body.is_some() {
            wsi.deadline = Some(cx.now + limits::HTTP_SEND_STALL);
            return Ok(if wsi.io.writable() { Next::Again } else { Next::Stay });
        }
        self.end_transaction(wsi, cx)?;
        Ok(Next::Again)
    }

    /// The response is out. Another request may follow.
    fn end_transaction(&mut self, wsi: &mut Wsi, cx: &Cx) -> Result<(), CloseReason> {
        match self.then {
            Then::NextRequest => {}
            Then::Close => return Err(CloseReason::Done),
            Then::CloseUnread => return Err(CloseReason::Refused("its request has a body".into())),
        }
        let idle = cx.vhost(wsi.vhost).map_or(cx.info.timeout, |vhost| vhost.keepalive_timeout);
        wsi.deadline = Some(cx.now + idle);
        Ok(())
    }
}

/// A vhost that requires a client certificate is reached by a handshake of its own alone: not by the Host of a connection that came by
/// another name, and not in plain text (RFC 9110 section 15.5.20).
fn meets_demands(wsi: &Wsi, cx: &Cx) -> bool {
    let demanding =
        cx.vhost(wsi.vhost).and_then(|vhost| vhost.tls.as_ref()).is_some_and(|tls| tls.requires_client_cert);
    !demanding || wsi.io.tls().is_some_and(|tls| tls.vhost == wsi.vhost)
}

/// Answers what is no request to serve. What follows it cannot be trusted, so the connection ends.
fn refuse(wsi: &mut Wsi, cx: &mut Cx, status: Status) -> CloseReason {
    let terms = Terms { version: Version::Http11, keep_alive: false, head_only: false };
    match Answer::page(status).send(wsi, cx, terms) {
        Ok(_) => CloseReason::PeerFault(format!("{} {}", status.code(), status.phrase()).into()),
        Err(reason) => reason,
    }
}
