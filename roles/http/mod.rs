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
mod entry;
mod file;
mod file_body;
mod guard;
mod h1;
mod host;
mod method;
mod mime;
mod mounts;
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

use answer::Answer;
use entry::Entry;
use file_body::FileBody;
use h1::{Body, Bounds, Head, Parsed, Version};
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
    /// The response on its way. Until it is out, no further request is looked at.
    response: Option<Response>,
    /// There has been a response before.
    answered: bool,
    /// How much of `wsi.rx` is known to be no whole head.
    looked_at: usize,
}

struct Response {
    /// What of a file is still to be sent.
    body: Option<FileBody>,
    then: Then,
    /// `wsi.sent` when it began, and when it was last looked at.
    sent_before: u64,
    sent: u64,
    /// Its line in the access log.
    entry: Option<Box<Entry>>,
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
        if self.response.is_some() {
            return Next::Close(CloseReason::Timeout("it does not read its response"));
        }
        // What began as a request and stopped is told so; what never was one got here because nothing else serves it.
        let status = match classify(wsi.rx.as_slice()) {
            _ if wsi.rx.is_empty() => return Next::Close(CloseReason::Timeout("no request came")),
            Class::Http => Status::REQUEST_TIMEOUT,
            _ => Status::BAD_REQUEST,
        };
        let held = wsi.rx.take();
        Next::Close(refuse(wsi, cx, status, held.as_slice()))
    }

    /// A response that is cut off is logged as far as it came.
    fn on_close(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        if let Some(entry) = self.response.take().and_then(|response| response.entry) {
            entry.finish(wsi, cx);
        }
    }
}

impl Connection {
    fn boxed(wsi: &mut Wsi, cx: &Cx, redirects: bool) -> Box<dyn Role> {
        wsi.deadline = cx.no_later(wsi.deadline, cx.info.timeout);
        Box::new(Connection { redirects, response: None, answered: false, looked_at: 0 })
    }

    fn turn(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<Next, CloseReason> {
        if !self.response_is_out(wsi, cx)? {
            return Ok(if wsi.io.writable() { Next::Again } else { Next::Stay });
        }
        self.request(wsi, cx, buf)
    }

    /// Looks for a request, among the bytes held and then those of the socket. Nothing is held of a request that comes in one piece.
    fn request(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<Next, CloseReason> {
        let bounds = Bounds::of(&cx.info);
        let mut fresh = 0;
        if wsi.rx.len() == self.looked_at {
            fresh = match self.read(wsi, &mut buf[..bounds.head])? {
                Received::Bytes(n) => n,
                Received::Blocked => return Ok(Next::Stay),
                Received::Eof if wsi.rx.is_empty() => return Err(CloseReason::PeerClosed),
                Received::Eof => {
                    let held = wsi.rx.take();
                    return Err(refuse(wsi, cx, Status::BAD_REQUEST, held.as_slice()));
                }
            };
        }
        let mut held = wsi.rx.take();
        let bytes = if held.is_empty() { &buf[..fresh] } else { held.as_slice() };
        let parsed = if self.may_be_complete(bytes, bounds) { h1::parse(bytes, bounds) } else { Parsed::Partial };
        match parsed {
            Parsed::Complete { head, len } => {
                let answered = self.respond(wsi, cx, &head, &bytes[..len]);
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
                    wsi.deadline = if self.answered { cx.after(cx.info.timeout) } else { wsi.deadline };
                }
                self.looked_at = bytes.len();
                if held.is_empty() {
                    held.push(&buf[..fresh]);
                }
                wsi.rx = held;
                Ok(if wsi.io.readable() { Next::Again } else { Next::Stay })
            }
            Parsed::Bad(status) => Err(refuse(wsi, cx, status, bytes)),
        }
    }

    /// Reads into `buf`, and from there behind what is held already.
    fn read(&self, wsi: &mut Wsi, buf: &mut [u8]) -> io::Result<Received> {
        if !wsi.io.readable() {
            return Ok(Received::Blocked);
        }
        let received = wsi.io.recv(buf)?;
        if let Received::Bytes(n) = received
            && !wsi.rx.is_empty()
        {
            wsi.rx.push(&buf[..n]);
        }
        Ok(received)
    }

    /// A head ends with a line: without a new line end, a look at the same bytes again would only cost time.
    fn may_be_complete(&self, bytes: &[u8], bounds: Bounds) -> bool {
        self.looked_at == 0 || bytes.len() >= bounds.head || bytes[self.looked_at..].contains(&b'\n')
    }

    fn respond(&mut self, wsi: &mut Wsi, cx: &mut Cx, head: &Head<'_>, bytes: &[u8]) -> Result<Next, CloseReason> {
        cx.choose_vhost(wsi, head.host.map(host::name_of_host));
        let mut entry = Entry::begin(wsi, cx, bytes);
        let sent_before = wsi.sent;
        let answer = match self.redirects {
            true => Answer::moved_to_https(wsi, cx, head),
            false if !cx.meets_demands(wsi) => Answer::page(Status::MISDIRECTED_REQUEST),
            false => Answer::to(wsi, cx, head, bytes),
        };
        let then = match head.body {
            Body::None | Body::Length(0) if head.keep_alive && !answer.is_last && !self.redirects && !cx.deprecated => {
                Then::NextRequest
            }
            Body::None | Body::Length(0) => Then::Close,
            Body::Length(_) | Body::Chunked => Then::CloseUnread,
        };
        let terms = Terms {
            version: head.version,
            keep_alive: then == Then::NextRequest,
            head_only: head.method == Method::Head,
        };
        let body = send(answer, wsi, cx, terms, &mut entry)?;
        if body.is_some() {
            wsi.io.report_progress(limits::HTTP_UNSENT);
        }
        wsi.deadline = cx.after(limits::HTTP_SEND_STALL);
        self.response = Some(Response { body, then, sent_before, sent: wsi.sent, entry });
        if self.response_is_out(wsi, cx)? || wsi.io.writable() { Ok(Next::Again) } else { Ok(Next::Stay) }
    }

    /// Goes on with the response, as far as the client takes it. `true`: another request may follow.
    fn response_is_out(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<bool, CloseReason> {
        let Some(response) = &mut self.response else { return Ok(true) };
        if let Some(body) = &mut response.body
            && body.send(wsi, cx)?
        {
            response.body = None;
        }
        if response.body.is_some() && wsi.io.goes_nowhere() {
            return Err(CloseReason::Lost(io::ErrorKind::ConnectionReset.into()));
        }
        if mem::replace(&mut response.sent, wsi.sent) != wsi.sent {
            wsi.deadline = cx.after(limits::HTTP_SEND_STALL);
        }
        if response.body.is_some() || !wsi.is_flushed() {
            return Ok(false);
        }
        let is_long = wsi.sent - response.sent_before > limits::HTTP_CLOSE_AT_ONCE;
        match response.then {
            Then::NextRequest => {}
            Then::Close if is_long => return Err(CloseReason::DoneSending),
            Then::Close => return Err(CloseReason::Done),
            Then::CloseUnread => return Err(CloseReason::Refused("its request has a body".into())),
        }
        if let Some(entry) = self.response.take().and_then(|response| response.entry) {
            entry.finish(wsi, cx);
        }
        self.answered = true;
        let idle = cx.vhost(wsi.vhost).map_or(cx.info.timeout, |vhost| vhost.keepalive_timeout);
        wsi.deadline = cx.after(idle);
        Ok(true)
    }
}

/// Answers what is no request to serve. What follows it cannot be trusted, so the connection ends.
fn refuse(wsi: &mut Wsi, cx: &mut Cx, status: Status, bytes: &[u8]) -> CloseReason {
    let terms = Terms { version: Version::Http11, keep_alive: false, head_only: false };
    let mut entry = Entry::begin(wsi, cx, bytes);
    let sent = send(Answer::page(status), wsi, cx, terms, &mut entry);
    if let Some(entry) = entry {
        entry.finish(wsi, cx);
    }
    match sent {
        Ok(_) => CloseReason::PeerFault(format!("{} {}", status.code(), status.phrase()).into()),
        Err(reason) => reason,
    }
}

/// Sends an answer, and notes what the log will say of it. One that cannot even be begun is logged here.
fn send(
    answer: Answer,
    wsi: &mut Wsi,
    cx: &mut Cx,
    terms: Terms,
    entry: &mut Option<Box<Entry>>,
) -> Result<Option<FileBody>, CloseReason> {
    let status = answer.status;
    if let (Some(entry), Some(user)) = (entry.as_deref_mut(), &answer.user) {
        entry.of_user(user);
    }
    let sent = answer.send(wsi, cx, terms);
    if let Some(entry) = entry {
        entry.answered(status, sent.as_ref().map_or(0, |(head, _)| *head));
    }
    match sent {
        Ok((_, body)) => Ok(body),
        Err(reason) => {
            if let Some(entry) = entry.take() {
                entry.finish(wsi, cx);
            }
            Err(reason)
        }
    }
}
