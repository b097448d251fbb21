//! One connection in role http: what it is at, from request to request.
//!
//! ```text
//!            ┌──────────────────────────────────────────────────────────────────┐
//!            ▼                                                                  │
//!   the next request ──┬── Answer ───────────────▶ outgoing ──▶ the rest of its body, discarded
//!        │   ▲         ├── Protocol ─▶ transaction ───▲    └──▶ the end
//!        └───┘         └── Wait: the same one again, when woken
//!       a part of it
//! ```

use std::io;
use std::mem;
use std::time::Duration;

use crate::buf::Buf;
use crate::classify::{Class, classify};
use crate::cx::Cx;
use crate::limits;
use crate::protocol::{self, Verdict};
use crate::reason::Reason;
use crate::request_turns::Turn;
use crate::role::{Binding, CloseReason, Next, Role};
use crate::transport::Received;
use crate::wsi::Wsi;

use super::answer::Answer;
use super::answered::{refuse, send};
use super::body::Decoder;
use super::entry::Entry;
use super::h1::{self, Body, Bounds, Expect, Head, Parsed};
use super::host;
use super::method::Method;
use super::outgoing::{Outgoing, Then};
use super::reject;
use super::response::Terms;
use super::route::{Bound, Route};
use super::status::Status;
use super::transaction::{self, Step, Transaction};
use super::unread::Unread;
use super::upgrade::Upgrade;

pub(super) struct Connection {
    /// Plain http on a TLS port: the answer is always that it moved to https.
    redirects: bool,
    /// A protocol answers the request.
    transaction: Option<Box<Transaction>>,
    /// The response on its way. Until it is out, no further request is looked at.
    outgoing: Option<Box<Outgoing>>,
    /// What of a request's body nobody reads.
    unread: Option<Box<Unread>>,
    /// What the request at the start of `wsi.rx` waits for.
    waits: Option<WaitsFor>,
    /// The request in hand counts for the limit of its address.
    counted: bool,
    /// There has been a response before.
    answered: bool,
    /// How long the connection may be idle behind it.
    idle: Duration,
    /// How much of `wsi.rx` is known to be no whole head.
    looked_at: usize,
    /// Empty lines that came before the next request, or more than there may be.
    empty_lines: u8,
}

/// What a request can wait for before it is answered.
#[derive(Clone, Copy, PartialEq, Eq)]
enum WaitsFor {
    /// A guard's verdict.
    Guard,
    /// That its address has fewer others.
    Turn,
}

impl Role for Connection {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let mut buf = mem::take(&mut cx.buf);
        let next = self.turn(wsi, cx, &mut buf);
        cx.buf = buf;
        next.unwrap_or_else(Next::Close)
    }

    fn on_timeout(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        if self.awaits_reader() {
            return self.offer(wsi, cx);
        }
        if let Some(transaction) = &mut self.transaction {
            return Next::Close(transaction.timed_out(wsi, cx));
        }
        if self.unread.is_some() {
            return Next::Close(CloseReason::Timeout("a body that nobody reads does not end"));
        }
        if let Some(waits) = self.waits {
            let held = wsi.rx.take();
            match waits {
                WaitsFor::Guard => {
                    let what = format_args!("what was asked about its request has not been answered in time");
                    cx.warn_seldom(wsi, |warned| &mut warned.unasked, what);
                }
                WaitsFor::Turn => log::info!("{}: its address has too many requests (ip-limit-ah)", cx.tag(wsi)),
            }
            return Next::Close(refuse(wsi, cx, Status::SERVICE_UNAVAILABLE, held.as_slice()));
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

    /// A response that is cut off is logged as far as it came, and so is a head whose client vanished.
    fn on_close(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        if self.looked_at > 0 && matches!(wsi.close_reason(), Some(CloseReason::Lost(_))) {
            let entry = Entry::begin(wsi, cx, wsi.rx.as_slice(), None);
            if let Some(entry) = entry {
                entry.unanswered().finish(wsi, cx);
            }
        }
        wsi.flags.corked = false;
        self.give_turn(wsi, cx);
        if let Some(transaction) = self.transaction.take() {
            transaction.cut_off(wsi, cx);
        }
        if let Some(outgoing) = self.outgoing.take() {
            outgoing.log(wsi, cx);
        }
    }
}

impl Connection {
    pub(super) fn boxed(wsi: &mut Wsi, cx: &Cx, redirects: bool) -> Box<dyn Role> {
        wsi.deadline = cx.no_later(wsi.deadline, cx.info.timeout);
        Box::new(Connection {
            redirects,
            transaction: None,
            outgoing: None,
            unread: None,
            waits: None,
            counted: false,
            answered: false,
            idle: cx.info.timeout,
            looked_at: 0,
            empty_lines: 0,
        })
    }

    fn awaits_reader(&self) -> bool {
        self.outgoing.is_some() || self.transaction.as_ref().is_some_and(|transaction| transaction.awaits_reader())
    }

    /// Tries to send more to a client of whose reading the poll has not told.
    fn offer(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        wsi.io.expect_room();
        match wsi.flush(&cx.registry) {
            Ok(()) => self.on_ready(wsi, cx),
            Err(error) => Next::Close(error.into()),
        }
    }

    fn turn(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<Next, CloseReason> {
        for _ in 0..limits::HTTP_PIPELINED {
            if let Some(next) = self.before_the_next(wsi, cx, buf)? {
                return self.uncorked(wsi, cx, next);
            }
            if let Some(next) = self.request(wsi, cx, buf)? {
                return self.uncorked(wsi, cx, next);
            }
        }
        self.uncorked(wsi, cx, Next::Again)
    }

    /// Sends the responses that waited for each other.
    fn uncorked(&mut self, wsi: &mut Wsi, cx: &mut Cx, next: Next) -> Result<Next, CloseReason> {
        if mem::take(&mut wsi.flags.corked) {
            wsi.flush(&cx.registry)?;
            if !wsi.is_flushed() && self.outgoing.is_none() && self.transaction.is_none() {
                self.outgoing = Some(Box::new(Outgoing::new(wsi, cx, None, Then::NextRequest, self.idle, None)));
            }
        }
        Ok(next)
    }

    /// Goes on with the request in hand. `None`: there is none, and the next one may be looked at.
    fn before_the_next(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<Option<Next>, CloseReason> {
        if self.outgoing.is_none()
            && let Some(transaction) = &mut self.transaction
        {
            if mem::take(&mut wsi.flags.corked) {
                wsi.flush(&cx.registry)?;
            }
            match transaction.turn(wsi, cx, buf)? {
                Step::Pending if transaction.is_busy(wsi) => return Ok(Some(Next::Again)),
                Step::Pending => return Ok(Some(Next::Stay)),
                Step::Completed(outgoing) => self.completed(wsi, cx, outgoing),
                Step::Upgrades => {}
            }
        }
        let is_out = self.is_out(wsi, cx)?;
        let is_over = self.discard(wsi, cx, buf)?;
        let may_go_on = (!is_out && wsi.io.writable()) || (!is_over && (wsi.io.readable() || !wsi.rx.is_empty()));
        match (is_out && is_over, may_go_on) {
            (true, _) => Ok(None),
            (false, true) => Ok(Some(Next::Again)),
            (false, false) => Ok(Some(Next::Stay)),
        }
    }

    /// A protocol's response is complete.
    fn completed(&mut self, wsi: &mut Wsi, cx: &mut Cx, outgoing: Outgoing) {
        self.outgoing = Some(Box::new(outgoing));
        if let Some(rest) = self.transaction.as_mut().and_then(|transaction| transaction.unread()) {
            self.unread = Some(Box::new(Unread::new(rest)));
        }
        if self.transaction.as_ref().is_some_and(|transaction| !transaction.serves_file()) {
            self.transaction = None;
            transaction::end(wsi, cx);
        }
    }

    /// Looks for a request, among the bytes held and then those of the socket. Nothing is held of a request that comes in one piece.
    fn request(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<Option<Next>, CloseReason> {
        let bounds = Bounds::of(&cx.info);
        let mut fresh = 0;
        if wsi.rx.len() == self.looked_at {
            fresh = match self.read(wsi, &mut buf[..bounds.head])? {
                Received::Bytes(n) => n,
                Received::Blocked => return Ok(Some(if wsi.io.readable() { Next::Again } else { Next::Stay })),
                Received::Eof if wsi.rx.is_empty() => return Err(CloseReason::PeerClosed),
                Received::Eof => {
                    let held = wsi.rx.take();
                    return Err(refuse(wsi, cx, h1::status_of_part(held.as_slice(), bounds), held.as_slice()));
                }
            };
        }
        let mut held = wsi.rx.take();
        if !held.is_empty() {
            fresh = 0; // it is held already
        } else if buf[..fresh].starts_with(b"\r") {
            held.push(&buf[..mem::take(&mut fresh)]);
        }
        if !self.skip_empty_lines(&mut held) {
            return Err(refuse(wsi, cx, Status::BAD_REQUEST, held.as_slice()));
        }
        let bytes = if held.is_empty() { &buf[..fresh] } else { held.as_slice() };
        if matches!(bytes, b"" | b"\r") {
            self.looked_at = bytes.len();
            wsi.rx = held;
            return Ok(Some(if wsi.io.readable() { Next::Again } else { Next::Stay }));
        }
        let parsed = if self.may_be_complete(bytes, bounds) { h1::parse(bytes, bounds) } else { Parsed::Partial };
        match parsed {
            Parsed::Complete { head, len } => {
                cx.decided(wsi);
                wsi.flags.corked = may_wait(wsi) && (!wsi.tx.is_empty() || has_another(&bytes[len..]));
                let served = self.serve(wsi, cx, &head, &bytes[..len]);
                let taken = if matches!(served, Ok(Served::Waits(_))) { 0 } else { len };
                match held.is_empty() {
                    true => held.push(&buf[taken..fresh]),
                    false => held.consume(taken),
                }
                (self.looked_at, self.empty_lines) = (0, 0);
                wsi.rx = held;
                match served? {
                    Served::Waits(waits) => {
                        if self.waits.replace(waits) != Some(waits) {
                            wsi.deadline = match waits {
                                WaitsFor::Guard => cx.after(limits::BASIC_AUTH_WAIT),
                                WaitsFor::Turn => cx.after(cx.info.timeout),
                            };
                        }
                        Ok(Some(Next::Stay))
                    }
                    Served::Goes => {
                        self.waits = None;
                        Ok(None)
                    }
                    Served::Becomes(binding) => Ok(Some(Next::Become(binding))),
                }
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
                Ok(Some(if wsi.io.readable() { Next::Again } else { Next::Stay }))
            }
            Parsed::Bad(status) => Err(refuse(wsi, cx, status, bytes)),
        }
    }

    /// Reads into `buf`, and from there behind what is held already.
    fn read(&self, wsi: &mut Wsi, buf: &mut [u8]) -> io::Result<Received> {
        if !wsi.io.readable() {
            return Ok(Received::Blocked);
        }
        let received = wsi.recv(buf)?;
        if let Received::Bytes(n) = received
            && !wsi.rx.is_empty()
        {
            wsi.rx.push(&buf[..n]);
        }
        Ok(received)
    }

    /// Takes away the empty lines before a request, as they come. `false`: there are too many.
    fn skip_empty_lines(&mut self, held: &mut Buf) -> bool {
        let lines = h1::empty_lines_before(held.as_slice());
        if lines > 0 {
            held.consume(lines * "\r\n".len());
            self.looked_at = 0;
            self.empty_lines = self.empty_lines.saturating_add(u8::try_from(lines).unwrap_or(u8::MAX));
        }
        usize::from(self.empty_lines) <= limits::HTTP_EMPTY_LINES
    }

    /// A head ends with a line: without a new line end, a look at the same bytes again would only cost time.
    fn may_be_complete(&self, bytes: &[u8], bounds: Bounds) -> bool {
        self.looked_at == 0 || bytes.len() >= bounds.head || bytes[self.looked_at..].contains(&b'\n')
    }

    fn serve(&mut self, wsi: &mut Wsi, cx: &mut Cx, head: &Head<'_>, bytes: &[u8]) -> Result<Served, CloseReason> {
        if !self.take_turn(wsi, cx) {
            return self.wait(wsi, WaitsFor::Turn);
        }
        cx.choose_vhost(wsi, head.host.map(host::name_of_host));
        let route = match reject::rejected(cx, bytes) {
            Some(rejected) => Route::Answer(rejected.last()),
            None if self.redirects => Route::Answer(Answer::moved_to_https(wsi, cx, head)),
            None if !cx.meets_demands(wsi) => Route::Answer(Answer::page(Status::MISDIRECTED_REQUEST)),
            None => Route::of(wsi, cx, head, bytes),
        };
        let terms = Terms {
            version: head.version,
            keep_alive: head.keep_alive && !self.redirects,
            head_only: head.method == Method::Head,
        };
        if !matches!(route, Route::Wait) {
            wsi.tally.note_request();
        }
        match route {
            Route::Wait => return self.wait(wsi, WaitsFor::Guard),
            Route::Answer(answer) => self.answer(wsi, cx, head, bytes, terms, answer)?,
            Route::Protocol(bound) => return self.ask(wsi, cx, head, bytes, terms, *bound),
        }
        Ok(Served::Goes)
    }

    /// Whether the request may be answered now, as far as others of its address go.
    fn take_turn(&mut self, wsi: &Wsi, cx: &mut Cx) -> bool {
        if !self.counted {
            let turn = cx.request_turns.begin(&wsi.peer, wsi.id);
            self.counted = turn == Turn::Counted;
            return turn != Turn::Waits;
        }
        true
    }

    /// The request is over, or nobody will ask for it again.
    fn give_turn(&mut self, wsi: &Wsi, cx: &mut Cx) {
        let next = if mem::take(&mut self.counted) {
            cx.request_turns.end(&wsi.peer)
        } else if self.waits == Some(WaitsFor::Turn) {
            cx.request_turns.leave(&wsi.peer, wsi.id)
        } else {
            None
        };
        if let Some(next) = next {
            cx.wake(next);
        }
    }

    /// It is not waited for somebody who has gone.
    fn wait(&self, wsi: &Wsi, waits: WaitsFor) -> Result<Served, CloseReason> {
        match wsi.io.dead() {
            true => Err(CloseReason::Lost(io::ErrorKind::ConnectionReset.into())),
            false => Ok(Served::Waits(waits)),
        }
    }

    /// Answers without a protocol. A body is discarded where that costs little.
    fn answer(
        &mut self,
        wsi: &mut Wsi,
        cx: &mut Cx,
        head: &Head<'_>,
        bytes: &[u8],
        terms: Terms,
        answer: Answer,
    ) -> Result<(), CloseReason> {
        let mut entry = Entry::begin(wsi, cx, bytes, answer.user());
        let rest = Decoder::new(head.body, u64::MAX).filter(|rest| !rest.is_over());
        let is_long = head.expect != Expect::Nothing
            || matches!(head.body, Body::Length(length) if length > limits::HTTP_UNREAD_BODY as u64);
        let goes_on = terms.keep_alive && !answer.is_last && !cx.deprecated;
        let then = match rest {
            Some(_) if is_long || !goes_on => Then::CloseUnread,
            None if !goes_on => Then::Close,
            _ => Then::NextRequest,
        };
        let terms = Terms { keep_alive: then == Then::NextRequest, ..terms };
        let idle = idle(wsi, cx, answer.mount());
        let body = send(answer, wsi, cx, terms, &mut entry)?;
        self.unread = rest.filter(|_| then == Then::NextRequest).map(|rest| Box::new(Unread::new(rest)));
        let mut outgoing = Outgoing::new(wsi, cx, body, then, idle, entry);
        let went_on = self.go_on(wsi, cx, &mut outgoing);
        match went_on {
            Ok(false) => self.outgoing = Some(Box::new(outgoing)),
            _ => outgoing.log(wsi, cx),
        }
        went_on.map(drop)
    }

    /// Has a protocol answer.
    fn ask(
        &mut self,
        wsi: &mut Wsi,
        cx: &mut Cx,
        head: &Head<'_>,
        bytes: &[u8],
        terms: Terms,
        mut bound: Bound,
    ) -> Result<Served, CloseReason> {
        if protocol::attach(wsi, cx, bound.protocol).is_err() {
            self.answer(wsi, cx, head, bytes, terms, Answer::page(Status::NOT_FOUND))?;
            return Ok(Served::Goes);
        }
        let entry = Entry::begin(wsi, cx, bytes, bound.request.user());
        let (upgrade, mount) = (bound.upgrade.take(), bound.mount);
        let (transaction, step) = Transaction::begin(wsi, cx, bound, head, terms, entry, upgrade.is_some());
        self.transaction = Some(Box::new(transaction));
        match (step?, upgrade) {
            (Step::Completed(outgoing), _) => self.completed(wsi, cx, outgoing),
            (Step::Upgrades, Some(upgrade)) => {
                let refused = Answer::page(Status::FORBIDDEN).of_mount(mount).last();
                return match self.upgrade(wsi, cx, upgrade)? {
                    Some(binding) => Ok(Served::Becomes(binding)),
                    None => self.answer(wsi, cx, head, bytes, terms, refused).map(|()| Served::Goes),
                };
            }
            _ => {}
        }
        Ok(Served::Goes)
    }

    /// Has the connection go on as a WebSocket, if its protocol wants it. `None`: it does not.
    fn upgrade(&mut self, wsi: &mut Wsi, cx: &mut Cx, upgrade: Upgrade) -> Result<Option<Binding>, CloseReason> {
        let entry = self.transaction.take().and_then(|transaction| transaction.into_entry());
        let upgraded = upgrade.begin(wsi, cx, entry);
        if !matches!(upgraded, Ok(None)) {
            self.give_turn(wsi, cx);
        }
        upgraded
    }

    /// Goes on with the response, as far as the client takes it. `true`: it is out, or there is none.
    fn is_out(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<bool, CloseReason> {
        let Some(mut outgoing) = self.outgoing.take() else { return Ok(true) };
        let went_on = self.go_on(wsi, cx, &mut outgoing);
        match went_on {
            Ok(false) => self.outgoing = Some(outgoing),
            _ => outgoing.log(wsi, cx),
        }
        went_on
    }

    /// Sends more of a response, and ends it behind its last byte. `true`: it is out.
    fn go_on(&mut self, wsi: &mut Wsi, cx: &mut Cx, outgoing: &mut Outgoing) -> Result<bool, CloseReason> {
        // A protocol hears of its file when it is out, not when it might be.
        if wsi.flags.corked && !(outgoing.may_wait() && may_wait(wsi) && self.transaction.is_none()) {
            wsi.flags.corked = false;
            wsi.flush(&cx.registry)?;
        }
        if !outgoing.send(wsi, cx)? {
            return Ok(false);
        }
        if self.transaction.is_some() {
            let verdict = protocol::call(wsi, cx, Reason::HttpFileCompletion);
            self.transaction = None;
            transaction::end(wsi, cx);
            if verdict == Verdict::Close {
                return Err(CloseReason::by_protocol());
            }
        }
        outgoing.end(wsi)?;
        self.idle = outgoing.idle();
        wsi.deadline = cx.after(self.idle);
        self.answered = true;
        self.give_turn(wsi, cx);
        // What is no request at all is not for the vhost of the one before it.
        cx.choose_vhost(wsi, None);
        Ok(true)
    }

    /// Reads what nobody wants of a body, also while its response is on its way, for the client may read only behind its last byte. `true`:
    /// that was all.
    fn discard(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<bool, CloseReason> {
        let Some(unread) = &mut self.unread else { return Ok(true) };
        if self.outgoing.is_none() && !mem::replace(&mut unread.is_timed, true) {
            wsi.deadline = cx.after(limits::DRAIN_TIME);
        }
        if wsi.rx.is_empty() {
            if !wsi.io.readable() {
                return Ok(false);
            }
            match wsi.recv(&mut buf[..limits::HTTP_HEAD])? {
                Received::Bytes(n) => wsi.rx.push(&buf[..n]),
                Received::Blocked => return Ok(false),
                Received::Eof if self.outgoing.is_some() => return Ok(true),
                Received::Eof => return Err(CloseReason::PeerClosed),
            }
        }
        let mut held = wsi.rx.take();
        match (unread.take(held.as_slice()), &mut self.outgoing) {
            (Ok(taken), _) => held.consume(taken),
            // The response arrives all the same.
            (Err(reason), Some(outgoing)) => {
                outgoing.close_behind(reason);
                self.unread = None;
                return Ok(true);
            }
            (Err(reason), None) => return Err(reason),
        }
        wsi.rx = held;
        if !unread.is_over() {
            return Ok(false);
        }
        let was_timed = self.unread.take().is_some_and(|unread| unread.is_timed);
        if was_timed {
            wsi.deadline = cx.after(self.idle);
        }
        Ok(true)
    }
}

/// Whether what is queued may wait for the response to the next request, so that both leave together.
fn may_wait(wsi: &Wsi) -> bool {
    wsi.tx.len() < limits::SLICE_WHILE_OTHERS_WAIT && !wsi.io.pending() && wsi.io.writable()
}

/// Whether another request seems to be complete.
fn has_another(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|end| end == b"\r\n\r\n")
}

/// What becomes of a request's head.
enum Served {
    Goes,
    /// It was the last one.
    Becomes(Binding),
    /// It stays where it is.
    Waits(WaitsFor),
}

/// How long a connection may be idle behind a response.
pub(super) fn idle(wsi: &Wsi, cx: &Cx, mount: Option<usize>) -> Duration {
    let Some(vhost) = cx.vhost(wsi.vhost) else { return cx.info.timeout };
    let own = mount.and_then(|index| vhost.mounts.get(index)?.mount.keepalive_timeout);
    own.unwrap_or(vhost.keepalive_timeout)
}
