//! A protocol's transaction: one request, and the response that it makes of it.
//!
//! ```text
//!   HttpBindProtocol ─▶ FilterHttpConnection ─▶ [HttpConfirmUpgrade] ─▶ Http ─▶ HttpBody* ─▶ HttpBodyCompletion ─▶ HttpWriteable*
//!          │                     │                     │                │                                              │
//!          └─────────────────────┴─────────────────────┴────────────────┴──── completed ─▶ HttpDropProtocol ◀──────────┘
//!                                                                             cut off ─▶ ClosedHttp ─▶ HttpDropProtocol
//! ```
//!
//! After each callback what it said is framed and sent (`heed`). The body comes as it is received, and nothing of it is read while output
//! waits for the client. While a response is pending and nothing else is to be read, the client's further requests are, up to
//! [`limits::HTTP_HEAD`], so that its end is noticed. Behind it the client may still wait for the answer (RFC 9112 section 9.6), and has
//! [`limits::HALF_CLOSE_LINGER`] of silence before it counts as gone; a reset ends the transaction at once.

use std::io;
use std::mem;
use std::rc::Rc;
use std::time::Instant;

use crate::cx::Cx;
use crate::http::{Exchange, Said, Whole};
use crate::limits;
use crate::protocol::{self, Interests, Verdict};
use crate::reason::Reason;
use crate::role::CloseReason;
use crate::transport::Received;
use crate::wsi::Wsi;

use super::answer::{Answer, Field};
use super::body::{Decoder, Fault, Piece};
use super::connection;
use super::entry::Entry;
use super::file_body::FileBody;
use super::framing::{Framer, Framing};
use super::h1::{Expect, Head};
use super::outgoing::{Outgoing, Then};
use super::pace::Pace;
use super::response::Terms;
use super::route::{self, Bound};
use super::status::Status;

pub(super) struct Transaction {
    terms: Terms,
    /// What of the request's body is still to come.
    body: Option<Decoder>,
    /// `HttpBodyCompletion` is still to come.
    completion_due: bool,
    /// The client waits for a `100 Continue`.
    expects_continue: bool,
    /// How the response's body is framed, once its head is sent.
    framing: Option<Framing>,
    /// The head of the response says that the connection ends behind it, which holds whatever comes after (RFC 9112 section 9.6).
    says_close: bool,
    /// `Http` is over.
    asked: bool,
    /// The answer is a file, whose completion the protocol hears.
    serves_file: bool,
    /// Nothing of the protocol's is sent any more: the role has answered in its place, or cut its response off.
    is_decided: bool,
    /// What the client has to do next.
    waits: Option<Waits>,
    /// How fast it reads, and sends its body.
    reading: Pace,
    sending: Pace,
    /// When it was found to have ended its side, or to have been sent something since, and the bytes sent by then.
    ended: Option<(Instant, u64)>,
    received: u64,
    entry: Option<Box<Entry>>,
}

/// What a client can be too slow with.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Waits {
    Reads,
    Sends,
}

/// What a step came to.
pub(super) enum Step {
    /// The protocol has more to say.
    Pending,
    /// The response is complete.
    Completed(Outgoing),
    /// The protocol has nothing against a WebSocket.
    Upgrades,
}

impl Transaction {
    /// Binds the protocol and asks it.
    pub(super) fn begin(
        wsi: &mut Wsi,
        cx: &mut Cx,
        bound: Bound,
        head: &Head<'_>,
        terms: Terms,
        entry: Option<Box<Entry>>,
        upgrades: bool,
    ) -> (Transaction, Result<Step, CloseReason>) {
        let request = Rc::new(bound.request);
        let mut transaction = Transaction {
            terms,
            body: Decoder::new(head.body, bound.limit).filter(|body| !body.is_over()),
            completion_due: request.has_body() && !bound.serves_mount,
            expects_continue: head.expect == Expect::Continue,
            framing: None,
            says_close: false,
            asked: false,
            serves_file: false,
            is_decided: false,
            waits: None,
            reading: Pace::new(limits::HTTP_SEND_STALL),
            sending: Pace::new(limits::HTTP_BODY_STALL),
            ended: None,
            received: 0,
            entry,
        };
        forget_requests(wsi);
        wsi.http = Some(Box::new(Exchange::new(request.clone(), bound.mount)));
        let upgrade = head.upgrade.filter(|_| takes_upgrades(wsi, cx, bound.mount)).map(Reason::HttpConfirmUpgrade);
        let asks_first = [Some(Reason::HttpBindProtocol), Some(Reason::FilterHttpConnection(&request)), upgrade];
        let question = (!bound.serves_mount && !upgrades).then_some(Reason::Http(&request));
        let mut verdict = Verdict::Continue;
        for reason in asks_first.into_iter().chain([question]).flatten() {
            verdict = protocol::call(wsi, cx, reason);
            if verdict == Verdict::Close || said(wsi) != Said::Nothing {
                break;
            }
        }
        if verdict == Verdict::Close && said(wsi) == Said::Nothing {
            wsi.return_http_status(Status::FORBIDDEN.code(), None);
        }
        let step = if upgrades && said(wsi) == Said::Nothing {
            Ok(Step::Upgrades)
        } else if bound.serves_mount && said(wsi) == Said::Nothing {
            let answer = route::serve_mount(wsi, cx, head, bound.mount);
            transaction.send_answer(wsi, cx, answer, false)
        } else {
            transaction.heed(wsi, cx, verdict)
        };
        transaction.asked = true;
        (transaction, step)
    }

    /// A turn while the protocol has more to say. `buf` is the read buffer.
    pub(super) fn turn(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<Step, CloseReason> {
        // What a timer's callback or its like has said.
        if let Step::Completed(outgoing) = self.heed(wsi, cx, Verdict::Continue)? {
            return Ok(Step::Completed(outgoing));
        }
        if wsi.writeable_due() {
            wsi.flags.want_writeable = false;
            if let Step::Completed(outgoing) = self.tell(wsi, cx, Reason::HttpWriteable)? {
                return Ok(Step::Completed(outgoing));
            }
        }
        let step = if self.wants_body() { self.receive(wsi, cx, buf)? } else { Step::Pending };
        if let Step::Pending = step {
            self.look_ahead(wsi, buf)?;
            self.set_deadline(wsi, cx)?;
        }
        Ok(step)
    }

    /// Whether there is something to do without an event.
    pub(super) fn is_busy(&self, wsi: &Wsi) -> bool {
        let receives = !wsi.flags.rx_paused && wsi.is_flushed();
        let body = self.wants_body() && receives && (self.body.is_none() || !wsi.rx.is_empty() || wsi.io.readable());
        let ahead = !self.wants_body() && !wsi.flags.rx_paused && may_look_ahead(wsi);
        wsi.writeable_due() || body || ahead
    }

    /// Whether the client has to read before anything else happens.
    pub(super) fn awaits_reader(&self) -> bool {
        self.waits == Some(Waits::Reads)
    }

    /// The client took too long.
    pub(super) fn timed_out(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> CloseReason {
        match self.waits {
            Some(Waits::Sends) if said(wsi) == Said::Nothing => self.turn_down(wsi, cx, Status::REQUEST_TIMEOUT),
            Some(Waits::Sends) => CloseReason::Timeout("its request's body stopped, or is too slow"),
            _ => CloseReason::PeerClosed,
        }
    }

    /// The connection ends with the transaction still open. What was said last still goes out.
    pub(super) fn cut_off(mut self, wsi: &mut Wsi, cx: &mut Cx) {
        let gentle = wsi.close_reason().is_some_and(CloseReason::is_gentle);
        let may_have_more = said(wsi) != Said::Nothing && !self.is_decided && !self.serves_file;
        let step = if gentle && may_have_more { self.heed(wsi, cx, Verdict::Continue) } else { Ok(Step::Pending) };
        match step {
            Ok(Step::Completed(outgoing)) => outgoing.log(wsi, cx),
            _ => {
                let _too_late = protocol::call(wsi, cx, Reason::ClosedHttp);
                if let Some(mut entry) = self.entry.take() {
                    if self.framing.is_none() && !self.is_decided {
                        entry.answered(Status::CLIENT_GONE, 0);
                    }
                    entry.finish(wsi, cx);
                }
            }
        }
        end(wsi, cx);
    }

    // -- what the protocol says

    fn tell(&mut self, wsi: &mut Wsi, cx: &mut Cx, reason: Reason<'_>) -> Result<Step, CloseReason> {
        let verdict = protocol::call(wsi, cx, reason);
        self.heed(wsi, cx, verdict)
    }

    /// Sends what the protocol has said.
    fn heed(&mut self, wsi: &mut Wsi, cx: &mut Cx, verdict: Verdict) -> Result<Step, CloseReason> {
        let closes = verdict == Verdict::Close;
        if !closes && self.is_forgotten(wsi) {
            self.answer_for_it(wsi, cx);
        }
        let step = match wsi.http.as_deref_mut().and_then(|exchange| exchange.whole.take()) {
            Some(whole) => {
                let answer = match whole {
                    Whole::Status(code, body) => Answer::by_status(wsi, cx, code, body),
                    Whole::Redirect(code, location) => Answer::by_redirect(wsi, cx, code, location),
                    Whole::File(path, content_type) => {
                        Answer::by_file(wsi, cx, &path, content_type).within_descriptors(cx)
                    }
                };
                let mount = wsi.http.as_ref().and_then(|exchange| exchange.mount);
                self.send_answer(wsi, cx, answer.of_mount(mount), closes)?
            }
            None => self.frame(wsi, cx, closes)?,
        };
        match step {
            Step::Pending if closes => Err(CloseReason::by_protocol()),
            step => Ok(step),
        }
    }

    /// Neither answered, nor waiting for anything that could bring a callback.
    fn is_forgotten(&self, wsi: &Wsi) -> bool {
        let waits =
            wsi.flags.want_writeable || wsi.has_alarms() || wsi.http.as_ref().is_some_and(|exchange| exchange.later);
        said(wsi) == Said::Nothing && self.body.is_none() && !self.completion_due && !waits
    }

    fn answer_for_it(&self, wsi: &mut Wsi, cx: &mut Cx) {
        if self.asked {
            let protocol = wsi.protocol_name.unwrap_or_default();
            let what = format_args!("protocol {protocol} neither answers its request nor waits for anything");
            cx.warn_seldom(wsi, |warned| &mut warned.protocol, what);
            wsi.return_http_status(Status::INTERNAL_SERVER_ERROR.code(), None);
        } else {
            wsi.return_http_status(Status::NOT_FOUND.code(), None);
        }
    }

    fn send_answer(&mut self, wsi: &mut Wsi, cx: &mut Cx, answer: Answer, closes: bool) -> Result<Step, CloseReason> {
        let added = add_headers(wsi, cx);
        self.serves_file = answer.is_file();
        let then = self.then(wsi, cx, closes);
        let terms = Terms { keep_alive: then == Then::NextRequest, ..self.terms };
        let status = answer.status;
        let (head, body) = answer.adding(added).send(wsi, cx, terms)?;
        if let Some(entry) = &mut self.entry {
            entry.answered(status, head);
        }
        Ok(Step::Completed(self.outgoing(wsi, cx, body, then)))
    }

    /// Frames what of a response has been written.
    fn frame(&mut self, wsi: &mut Wsi, cx: &mut Cx, closes: bool) -> Result<Step, CloseReason> {
        if said(wsi) == Said::Nothing {
            return Ok(Step::Pending);
        }
        let added = if self.framing.is_none() { add_headers(wsi, cx) } else { Vec::new() };
        let then = self.then(wsi, cx, closes);
        let Some(exchange) = wsi.http.as_deref_mut() else { return Ok(Step::Pending) };
        let (head, body, completed) =
            (exchange.head.take(), mem::take(&mut exchange.body), exchange.said == Said::Completed);
        let missing = if completed { exchange.left.take().filter(|left| *left > 0) } else { None };
        let mut out = mem::take(&mut cx.out);
        if let Some(response) = head {
            let terms = Terms { keep_alive: then == Then::NextRequest, ..self.terms };
            let length = if completed { Some(body.len()) } else { None };
            let mount = wsi.http.as_ref().and_then(|exchange| exchange.mount);
            let framer = Framer { wsi, cx, mount, terms };
            let framing = framer.head(&mut out, &response, &added, length);
            self.framing = Some(framing);
            self.says_close = !terms.keep_alive;
            if let (Some(entry), Some(status)) = (&mut self.entry, Status::from_code(response.status)) {
                entry.answered(status, out.len());
            }
            if !completed {
                wsi.io.report_progress(limits::HTTP_UNSENT);
            }
        }
        let framing = self.framing.unwrap_or(Framing::Nothing);
        let overhead = framing.body(&mut out, &body, completed);
        if let Some(entry) = &mut self.entry {
            entry.aside(overhead);
        }
        let sent = if out.is_empty() { Ok(()) } else { wsi.transmit(&cx.registry, &out) };
        cx.put_back(out);
        sent?;
        if !completed {
            return Ok(Step::Pending);
        }
        if let Some(missing) = missing.filter(|_| framing == Framing::Length) {
            let protocol = wsi.protocol_name.unwrap_or_default();
            let what = format_args!("protocol {protocol} has completed a response {missing} bytes too early");
            cx.warn_seldom(wsi, |warned| &mut warned.protocol, what);
            self.is_decided = true;
            return Err(CloseReason::Refused("its response ended too early".into()));
        }
        Ok(Step::Completed(self.outgoing(wsi, cx, None, then)))
    }

    /// What the connection does behind the response, as far as it is known.
    fn then(&self, wsi: &Wsi, cx: &Cx, closes: bool) -> Then {
        let until_close = said(wsi) == Said::Begun
            && self.framing.is_none()
            && !self.terms.head_only
            && wsi.http.as_ref().is_some_and(|exchange| exchange.left.is_none())
            && !self.terms.version.has_chunks();
        let goes_on = self.terms.keep_alive && !self.says_close && !closes && !cx.deprecated && !until_close;
        match &self.body {
            Some(body) if self.expects_continue || body.at_least() > limits::HTTP_UNREAD_BODY as u64 => {
                Then::CloseUnread
            }
            Some(_) if !goes_on => Then::CloseUnread,
            _ if !goes_on => Then::Close,
            _ => Then::NextRequest,
        }
    }

    fn outgoing(&mut self, wsi: &mut Wsi, cx: &Cx, body: Option<FileBody>, then: Then) -> Outgoing {
        let mount = wsi.http.as_ref().and_then(|exchange| exchange.mount);
        let idle = connection::idle(wsi, cx, mount);
        Outgoing::new(wsi, cx, body, then, idle, self.entry.take())
    }

    /// The line for the log, for who answers in its place.
    pub(super) fn into_entry(self) -> Option<Box<Entry>> {
        self.entry
    }

    /// Whether the protocol stays until the response is out.
    pub(super) fn serves_file(&self) -> bool {
        self.serves_file
    }

    /// What of the request's body nobody has read.
    pub(super) fn unread(&mut self) -> Option<Decoder> {
        self.body.take()
    }

    // -- what the client says

    fn wants_body(&self) -> bool {
        self.body.is_some() || self.completion_due
    }

    /// Gives the protocol what there is of the body: what was held, or else one read.
    fn receive(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<Step, CloseReason> {
        if wsi.flags.rx_paused || !wsi.is_flushed() {
            return Ok(Step::Pending);
        }
        self.say_continue(wsi, cx)?;
        let mut held = wsi.rx.take();
        if held.is_empty() && self.body.is_some() {
            let known = self.body.as_ref().map_or(0, Decoder::at_least);
            let most = usize::try_from(known).unwrap_or(usize::MAX).saturating_add(limits::HTTP_HEAD).min(cx.slice);
            if !wsi.io.readable() {
                return Ok(Step::Pending);
            }
            match wsi.recv(&mut buf[..most])? {
                Received::Bytes(n) => {
                    let (step, taken) = self.pieces(wsi, cx, &buf[..n])?;
                    wsi.rx.push(&buf[taken..n]);
                    return Ok(step);
                }
                Received::Blocked => return Ok(Step::Pending),
                Received::Eof if said(wsi) == Said::Nothing => {
                    return Err(self.turn_down(wsi, cx, Status::BAD_REQUEST));
                }
                Received::Eof => return Err(CloseReason::PeerClosed),
            }
        }
        let told = self.pieces(wsi, cx, held.as_slice());
        if let Ok((_, taken)) = told {
            held.consume(taken);
            wsi.rx = held;
        }
        told.map(|(step, _)| step)
    }

    /// Hands the pieces of the body that are in `bytes` on, as long as the protocol takes them. How many bytes that were.
    fn pieces(&mut self, wsi: &mut Wsi, cx: &mut Cx, bytes: &[u8]) -> Result<(Step, usize), CloseReason> {
        let mut at = 0;
        while let Some(body) = &mut self.body {
            let (taken, piece) = match body.decode(&bytes[at..]) {
                Ok(decoded) => decoded,
                Err(fault) => return Err(self.at_fault(wsi, cx, fault)),
            };
            self.received += taken as u64;
            let piece = match piece {
                Piece::Data(piece) => piece,
                Piece::Wants => return Ok((Step::Pending, at + taken)),
                Piece::End => {
                    at += taken;
                    self.body = None;
                    break;
                }
            };
            at += taken;
            if body.is_over() {
                self.body = None;
            }
            match self.tell(wsi, cx, Reason::HttpBody(piece))? {
                Step::Pending if wsi.flags.rx_paused => return Ok((Step::Pending, at)),
                Step::Pending => {}
                decided => return Ok((decided, at)),
            }
        }
        self.completion_due = false;
        Ok((self.tell(wsi, cx, Reason::HttpBodyCompletion)?, at))
    }

    /// The protocol wants the body that the client holds back.
    fn say_continue(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<(), CloseReason> {
        const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";
        if mem::take(&mut self.expects_continue)
            && wsi.rx.is_empty()
            && said(wsi) == Said::Nothing
            && self.body.is_some()
        {
            wsi.transmit(&cx.registry, CONTINUE)?;
            if let Some(entry) = &mut self.entry {
                entry.aside(CONTINUE.len());
            }
        }
        Ok(())
    }

    fn at_fault(&mut self, wsi: &mut Wsi, cx: &mut Cx, fault: Fault) -> CloseReason {
        let status = match fault {
            Fault::Malformed => Status::BAD_REQUEST,
            Fault::TooLarge => Status::CONTENT_TOO_LARGE,
        };
        match said(wsi) {
            Said::Nothing => self.turn_down(wsi, cx, status),
            _ => CloseReason::PeerFault(format!("{} {}", status.code(), status.phrase()).into()),
        }
    }

    /// Answers in the protocol's place, and ends the connection.
    fn turn_down(&mut self, wsi: &mut Wsi, cx: &mut Cx, status: Status) -> CloseReason {
        let reason = CloseReason::PeerFault(format!("{} {}", status.code(), status.phrase()).into());
        self.is_decided = true;
        let terms = Terms { keep_alive: false, ..self.terms };
        let mount = wsi.http.as_ref().and_then(|exchange| exchange.mount);
        let added = add_headers(wsi, cx);
        match Answer::page(status).of_mount(mount).adding(added).send(wsi, cx, terms) {
            Ok((head, _)) => {
                if let Some(entry) = &mut self.entry {
                    entry.answered(status, head);
                }
                reason
            }
            Err(reason) => reason,
        }
    }

    /// Reads what comes behind the request, so that the client's end is seen.
    fn look_ahead(&mut self, wsi: &mut Wsi, buf: &mut [u8]) -> Result<(), CloseReason> {
        if wsi.io.goes_nowhere() || wsi.io.dead() {
            return Err(CloseReason::Lost(wsi.io.failure().unwrap_or(io::ErrorKind::ConnectionReset.into())));
        }
        if self.wants_body() || wsi.flags.rx_paused {
            return Ok(());
        }
        if may_look_ahead(wsi)
            && let Received::Bytes(n) = wsi.recv(&mut buf[..limits::HTTP_HEAD - wsi.rx.len()])?
        {
            wsi.rx.push(&buf[..n]);
        }
        Ok(())
    }

    /// A client has so long for its next step, and a protocol as long as it likes.
    fn set_deadline(&mut self, wsi: &mut Wsi, cx: &Cx) -> Result<(), CloseReason> {
        self.waits = if !wsi.is_flushed() {
            Some(Waits::Reads)
        } else if self.body.is_some() && !wsi.flags.rx_paused {
            Some(Waits::Sends)
        } else {
            None
        };
        if self.waits != Some(Waits::Reads) {
            self.reading.renew();
        }
        if self.waits != Some(Waits::Sends) {
            self.sending.pause();
        }
        wsi.deadline = match self.waits {
            Some(Waits::Reads) => return self.reading.await_reader(wsi, cx),
            Some(Waits::Sends) => cx.after(self.sending.left(cx.now, self.received)),
            None if wsi.io.ended() && !wsi.flags.half_close => Some(self.patience_ends(wsi, cx)),
            None => None,
        };
        Ok(())
    }

    /// A client that has ended its side may still wait for its answer, or be gone: only what is sent to it would tell.
    fn patience_ends(&mut self, wsi: &Wsi, cx: &Cx) -> Instant {
        let (since, _) = *self.ended.insert(match self.ended {
            Some((since, sent)) if sent == wsi.sent => (since, sent),
            _ => (cx.now, wsi.sent),
        });
        since + limits::HALF_CLOSE_LINGER
    }
}

/// Drops the protocol.
pub(super) fn end(wsi: &mut Wsi, cx: &mut Cx) {
    let _too_late = protocol::call(wsi, cx, Reason::HttpDropProtocol);
    forget(wsi);
}

/// What is left of a protocol that has been told.
pub(super) fn forget(wsi: &mut Wsi) {
    protocol::detach(wsi);
    wsi.http = None;
    forget_requests(wsi);
}

/// What was asked of a connection goes with the transaction that it was asked for; what comes late is not for the next one.
fn forget_requests(wsi: &mut Wsi) {
    wsi.flags.want_writeable = false;
    wsi.flags.rx_paused = false;
    wsi.flags.half_close = false;
}

/// Whether requests for that mount can ask for an upgrade.
fn takes_upgrades(wsi: &Wsi, cx: &Cx, mount: Option<usize>) -> bool {
    let mount = cx.vhost(wsi.vhost).and_then(|vhost| vhost.mounts.get(mount?));
    mount.is_none_or(|open| !open.mount.no_ws_upgrades)
}

fn may_look_ahead(wsi: &Wsi) -> bool {
    wsi.io.readable() && !wsi.io.eof() && wsi.rx.len() < limits::HTTP_HEAD
}

fn said(wsi: &Wsi) -> Said {
    wsi.http.as_ref().map_or(Said::Nothing, |exchange| exchange.said)
}

/// Asks the protocol for what it has to add, if it wants to be asked.
fn add_headers(wsi: &mut Wsi, cx: &mut Cx) -> Vec<Field> {
    let interests = wsi.protocol.and_then(|index| cx.enabled(wsi.vhost, index)).map(|enabled| enabled.table.interests);
    if interests.is_some_and(|interests| interests.contains(Interests::ADD_HEADERS)) {
        let _is_sent_anyway = protocol::call(wsi, cx, Reason::AddHeaders);
    }
    wsi.http.as_deref_mut().map(|exchange| mem::take(&mut exchange.added)).unwrap_or_default()
}
