//! One open WebSocket, until it is closed.

use std::mem;
use std::time::Instant;

use crate::cx::Cx;
use crate::limits;
use crate::protocol::{self, Interests, Verdict};
use crate::reason::Reason;
use crate::role::{CloseReason, Next, Role};
use crate::service::last_words;
use crate::transport::Received;
use crate::ws::{CloseCode, Event, Fault, Piece, Place, Receiver, Session, Side, Validity, WebSocket, WsWrite};
use crate::wsi::Wsi;

/// What the protocol hears.
struct Words {
    established: Reason<'static>,
    receive: for<'a> fn(&'a [u8]) -> Reason<'a>,
    pong: for<'a> fn(&'a [u8]) -> Reason<'a>,
    writeable: Reason<'static>,
    end: [Reason<'static>; 2],
}

static OF_SERVER: Words = Words {
    established: Reason::Established,
    receive: |data| Reason::Receive(data),
    pong: |data| Reason::ReceivePong(data),
    writeable: Reason::ServerWriteable,
    end: [Reason::Closed, Reason::WsServerDropProtocol],
};

static OF_CLIENT: Words = Words {
    established: Reason::ClientEstablished,
    receive: |data| Reason::ClientReceive(data),
    pong: |data| Reason::ClientReceivePong(data),
    writeable: Reason::ClientWriteable,
    end: [Reason::ClientClosed, Reason::WsClientDropProtocol],
};

/// More than the head of a frame.
const SPARE: usize = 64;

struct Connection {
    words: &'static Words,
    receiver: Box<Receiver>,
    /// Nothing comes of what is held, here or in the receiver, without more behind it.
    is_starved: bool,
    /// Messages that come in parts, for a protocol that wants them whole.
    whole: Option<Whole>,
    /// We have said that we close, and wait for the peer to say so too.
    is_closing: bool,
    /// Both have said so, and a client leaves the end of the connection to the server (RFC 6455 section 7.1.1).
    is_over: bool,
    validity: Option<Validity>,
    /// When the peer was heard last.
    heard: Instant,
    /// It has been pinged since.
    is_pinged: bool,
    /// How much was sent at the last look, if more waited.
    held_up_at: Option<u64>,
    /// A message that did not end with the turn in which it began.
    under_way: Option<UnderWay>,
}

/// How far a message was when it was looked at.
struct UnderWay {
    received: Option<u64>,
    sent: u64,
    look_again: Instant,
}

/// A message that is put together.
struct Whole {
    parts: Vec<u8>,
    most: usize,
}

/// Binds an agreed WebSocket: its protocol is there already.
pub(super) fn established(wsi: &mut Wsi, cx: &mut Cx, mut session: Session) -> Result<Box<dyn Role>, CloseReason> {
    let words = match session.side {
        Side::Server => &OF_SERVER,
        Side::Client => &OF_CLIENT,
    };
    let Some(mut receiver) = session.receiver.take() else {
        return Err(CloseReason::Refused("it was established before".into()));
    };
    receiver.open(cx.now);
    let interests = wsi.protocol.and_then(|index| cx.enabled(wsi.vhost, index)).map(|enabled| enabled.table.interests);
    let takes_whole = interests.is_some_and(|interests| interests.contains(Interests::WS_WHOLE_MESSAGES));
    let mut connection = Connection {
        words,
        whole: takes_whole.then(|| Whole { parts: Vec::new(), most: receiver.limits().collected }),
        receiver,
        is_starved: wsi.rx.is_empty(),
        is_closing: false,
        is_over: false,
        validity: session.validity,
        heard: cx.now,
        is_pinged: false,
        under_way: None,
        held_up_at: None,
    };
    wsi.ws = Some(Box::new(WebSocket::Open(session)));
    wsi.deadline = connection.next_look(cx);
    let told = connection.tell(wsi, cx, words.established);
    if let Some(session) = wsi.session_mut() {
        session.request = None;
    }
    match told {
        Ok(()) => Ok(Box::new(connection)),
        Err(reason) => Err(last_words(&mut connection, wsi, cx, reason)),
    }
}

impl Role for Connection {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        match self.turn(wsi, cx) {
            Ok(()) => self.next(wsi),
            Err(reason) => Next::Close(reason),
        }
    }

    fn on_timeout(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        if self.is_closing {
            return Next::Close(CloseReason::Timeout("the end of its closing handshake"));
        }
        // The poll tells of room only when there is much.
        let takes = match wsi.try_to_flush(&cx.registry) {
            Ok(takes) => takes,
            Err(error) => return Next::Close(error.into()),
        };
        if self.stands_still(wsi, cx) {
            return Next::Close(at_fault(wsi, Fault::policy("its message does not go on")));
        }
        wsi.deadline = self.next_look(cx);
        let Some(validity) = self.validity else { return self.next(wsi) };
        // Only a peer that reads makes the system take more of what it had no room for.
        let reads = takes || self.held_up_at.is_some_and(|at| wsi.taken() > at);
        self.held_up_at = (!wsi.is_flushed()).then_some(wsi.taken());
        if reads || wsi.flags.rx_paused {
            // Whom nobody listens to is not silent.
            (self.heard, self.is_pinged) = (cx.now, false);
        }
        let silence = cx.now.saturating_duration_since(self.heard);
        if silence >= validity.hang_up {
            return Next::Close(CloseReason::Timeout(match wsi.is_flushed() {
                true => "it does not answer pings",
                false => "it takes nothing of what is sent to it",
            }));
        }
        if silence >= validity.ping && !mem::replace(&mut self.is_pinged, true) {
            let _closing_otherwise = wsi.write_ws(WsWrite::PING, b"");
            if let Err(error) = wsi.flush(&cx.registry) {
                return Next::Close(error.into());
            }
        }
        wsi.deadline = self.next_look(cx);
        self.next(wsi)
    }

    fn on_close(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        match wsi.close_reason() {
            Some(reason) if reason.is_by_protocol() => say_close(wsi, Some((CloseCode::NORMAL, ""))),
            Some(CloseReason::Timeout(_)) => {
                say_close(wsi, Some((CloseCode::POLICY_VIOLATION, "timed out")));
                let _what_is_not_taken_now_is_lost = wsi.flush(&cx.registry);
            }
            Some(reason) if reason.is_gentle() && !wsi.io.ended() => say_close(wsi, Some((CloseCode::GOING_AWAY, ""))),
            _ => {}
        }
        for reason in self.words.end {
            let _too_late = protocol::call(wsi, cx, reason);
        }
        protocol::detach(wsi);
        wsi.ws = None;
        wsi.flags.bulk = false;
    }
}

impl Connection {
    fn turn(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<(), CloseReason> {
        if self.is_over {
            return self.wait_for_end(wsi, cx);
        }
        if cx.closes_websockets && !self.is_closing {
            self.begin_close(wsi, cx, CloseCode::GOING_AWAY)?;
        }
        if wsi.writeable_due() && !self.is_closing {
            wsi.flags.want_writeable = false;
            self.tell(wsi, cx, self.words.writeable)?;
        }
        if self.may_receive(wsi) {
            let mut buf = mem::take(&mut cx.buf);
            let received = self.receive(wsi, cx, &mut buf);
            cx.buf = buf;
            received?;
            self.watch(wsi, cx);
        } else if let Some(error) = wsi.io.failure().filter(|_| wsi.io.dead()) {
            return Err(error.into());
        }
        Ok(())
    }

    fn next(&self, wsi: &Wsi) -> Next {
        if self.is_busy(wsi) { Next::Again } else { Next::Stay }
    }

    fn is_busy(&self, wsi: &Wsi) -> bool {
        (wsi.writeable_due() && !self.is_closing) || self.may_receive(wsi)
    }

    fn may_receive(&self, wsi: &Wsi) -> bool {
        self.is_listened_to(wsi) && (!self.is_starved || wsi.io.readable())
    }

    /// Whether what the peer says is wanted, and can be answered. Once we close nothing is.
    fn is_listened_to(&self, wsi: &Wsi) -> bool {
        let may_answer = || answers_waiting(wsi) <= limits::WS_ANSWERS;
        self.is_closing || (!wsi.flags.rx_paused && may_answer())
    }

    /// Takes what is held, and where that is not enough what the socket has. What a protocol does not want yet is worked on where it is,
    /// however little is taken at a time.
    fn receive(&mut self, wsi: &mut Wsi, cx: &mut Cx, buf: &mut [u8]) -> Result<(), CloseReason> {
        let mut held = wsi.rx.take();
        if !self.is_starved {
            wsi.flags.bulk = false;
            let taken = self.frames(wsi, cx, held.as_mut_slice())?;
            held.consume(taken);
            wsi.rx = held;
            return Ok(wsi.flush(&cx.registry)?);
        }
        let begun = held.len();
        buf[..begun].copy_from_slice(held.as_slice());
        // A frame of a slice comes whole, and there is room behind it, which says that no more has come.
        let end = buf.len().min(begun + cx.slice + SPARE);
        let len = match wsi.recv(&mut buf[begun..end])? {
            Received::Bytes(n) => {
                wsi.flags.bulk = n >= limits::BULK_READ;
                begun + n
            }
            Received::Blocked => {
                wsi.flags.bulk = false;
                wsi.rx = held;
                return Ok(());
            }
            Received::Eof if self.is_closing => return Err(CloseReason::Done),
            Received::Eof => return Err(CloseReason::PeerClosed),
        };
        self.heard = cx.now;
        if mem::take(&mut self.is_pinged) && !self.is_closing {
            wsi.deadline = self.next_look(cx);
        }
        let taken = self.frames(wsi, cx, &mut buf[..len])?;
        wsi.rx.push(&buf[taken..len]);
        Ok(wsi.flush(&cx.registry)?)
    }

    /// Takes frames, as long as the protocol and the socket keep up: no more than a slice, as they are sent or as they are delivered. How many
    /// bytes that were.
    fn frames(&mut self, wsi: &mut Wsi, cx: &mut Cx, bytes: &mut [u8]) -> Result<usize, CloseReason> {
        let mut scratch = cx.ws_contexts.lend_scratch();
        let taken = self.frames_with(wsi, cx, bytes, &mut scratch);
        cx.ws_contexts.give_back_scratch(scratch);
        taken
    }

    fn frames_with(
        &mut self,
        wsi: &mut Wsi,
        cx: &mut Cx,
        bytes: &mut [u8],
        scratch: &mut [u8],
    ) -> Result<usize, CloseReason> {
        let (mut at, mut delivered) = (0, 0);
        self.is_starved = false;
        loop {
            // That nothing is left is found at once.
            let is_slice = delivered >= cx.slice || at >= cx.slice + SPARE;
            if is_slice && (at < bytes.len() || self.receiver.has_more()) {
                break;
            }
            if answers_waiting(wsi) > limits::WS_ANSWERS {
                wsi.flush(&cx.registry)?;
            }
            if !self.is_listened_to(wsi) {
                break;
            }
            let (taken, event) = match self.receiver.next(&mut bytes[at..], scratch, cx.now) {
                Ok(next) => next,
                Err(fault) => return Err(at_fault(wsi, fault)),
            };
            at += taken;
            let Some(event) = event else {
                self.is_starved = true;
                break;
            };
            if let Event::Data(piece) = &event {
                delivered += piece.bytes.len();
            }
            self.hear(wsi, cx, event)?;
            if self.is_over {
                self.is_starved = true;
                return Ok(bytes.len());
            }
        }
        wsi.flags.bulk |= delivered >= limits::BULK_READ;
        Ok(at)
    }

    /// What is written meanwhile is an answer.
    fn hear(&mut self, wsi: &mut Wsi, cx: &mut Cx, event: Event<'_>) -> Result<(), CloseReason> {
        let begun = wsi.handed_over();
        if let Some(session) = wsi.session_mut() {
            session.answers.begin();
        }
        let heard = self.event(wsi, cx, event);
        let (end, sent) = (wsi.handed_over(), wsi.sent);
        if let Some(session) = wsi.session_mut() {
            session.answers.finish(end.saturating_sub(begun), end, sent);
        }
        heard
    }

    fn event(&mut self, wsi: &mut Wsi, cx: &mut Cx, event: Event<'_>) -> Result<(), CloseReason> {
        match event {
            Event::Close(why) => self.peer_closes(wsi, cx, why),
            _ if self.is_closing => Ok(()),
            Event::Data(piece) => self.data(wsi, cx, &piece),
            Event::Ping(data) => {
                let _closing_otherwise = wsi.write_ws(WsWrite::PONG, data);
                Ok(())
            }
            Event::Pong(data) => self.call(wsi, cx, (self.words.pong)(data)),
        }
    }

    fn data(&mut self, wsi: &mut Wsi, cx: &mut Cx, piece: &Piece<'_>) -> Result<(), CloseReason> {
        let mut place = piece.place;
        let Some(whole) = &mut self.whole else {
            note_place(wsi, place);
            return self.call(wsi, cx, (self.words.receive)(piece.bytes));
        };
        if whole.parts.len() + piece.bytes.len() > whole.most {
            return Err(at_fault(wsi, Fault::too_large("a message that is too large to be taken whole")));
        }
        if place.is_first && place.is_last {
            note_place(wsi, place);
            return self.call(wsi, cx, (self.words.receive)(piece.bytes));
        }
        whole.parts.extend_from_slice(piece.bytes);
        if !place.is_last {
            return Ok(());
        }
        let message = mem::take(&mut whole.parts);
        place.is_first = true;
        note_place(wsi, place);
        self.call(wsi, cx, (self.words.receive)(&message))
    }

    /// Hears the peer's close, and answers it unless it is the answer to ours.
    fn peer_closes(&mut self, wsi: &mut Wsi, cx: &mut Cx, why: Option<(CloseCode, &str)>) -> Result<(), CloseReason> {
        if !self.is_closing {
            let (code, text) = why.unzip();
            let _closes_anyway = protocol::call(wsi, cx, Reason::WsPeerInitiatedClose(code, text.unwrap_or_default()));
            say_close(wsi, why.map(|(code, _)| (code, "")));
            wsi.flush(&cx.registry)?;
        }
        let is_client = wsi.session_mut().is_some_and(|session| session.side == Side::Client);
        if !is_client {
            return Err(CloseReason::Done);
        }
        (self.is_closing, self.is_over) = (true, true);
        wsi.deadline = cx.after(limits::WS_CLOSE_WAIT);
        Ok(())
    }

    /// The server ends the connection; what it says meanwhile is for nobody.
    fn wait_for_end(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<(), CloseReason> {
        if !wsi.io.readable() {
            return Ok(());
        }
        match wsi.recv(&mut cx.buf)? {
            Received::Bytes(_) | Received::Blocked => Ok(()),
            Received::Eof => Err(CloseReason::Done),
        }
    }

    /// Calls back, and sends what the protocol wrote.
    fn tell(&mut self, wsi: &mut Wsi, cx: &mut Cx, reason: Reason<'_>) -> Result<(), CloseReason> {
        self.call(wsi, cx, reason)?;
        Ok(wsi.flush(&cx.registry)?)
    }

    /// Calls back; what was written is sent later in the turn. A protocol that wants to close begins the closing handshake.
    fn call(&mut self, wsi: &mut Wsi, cx: &mut Cx, reason: Reason<'_>) -> Result<(), CloseReason> {
        if protocol::call(wsi, cx, reason) == Verdict::Close {
            self.begin_close(wsi, cx, CloseCode::NORMAL)?;
        }
        Ok(())
    }

    /// Says that we close, with what the protocol wants to be said if it does, and gives the peer a while to say so too.
    fn begin_close(&mut self, wsi: &mut Wsi, cx: &Cx, code: CloseCode) -> Result<(), CloseReason> {
        say_close(wsi, Some((code, "")));
        self.is_closing = true;
        wsi.deadline = cx.after(limits::WS_CLOSE_WAIT);
        Ok(wsi.flush(&cx.registry)?)
    }

    /// Has a message looked at again that did not end with the turn.
    fn watch(&mut self, wsi: &mut Wsi, cx: &Cx) {
        let received = self.receiver.progress();
        if received.is_some() && self.under_way.is_none() && !self.is_closing {
            self.under_way = cx.after(limits::WS_MESSAGE_STALL).map(|look_again| UnderWay {
                received,
                sent: wsi.taken(),
                look_again,
            });
            wsi.deadline = self.next_look(cx);
        }
    }

    /// Whether the message under way has come no further since it was looked at, in either direction: who does not read is not read from.
    fn stands_still(&mut self, wsi: &mut Wsi, cx: &Cx) -> bool {
        let Some(before) = self.under_way.take_if(|message| message.look_again <= cx.now) else { return false };
        self.watch(wsi, cx);
        let has_read = !wsi.is_flushed() && wsi.taken() != before.sent;
        self.under_way.as_ref().is_some_and(|now| now.received == before.received) && !has_read && !wsi.flags.rx_paused
    }

    /// When the peer is to be looked after.
    fn next_look(&self, cx: &Cx) -> Option<Instant> {
        let message = self.under_way.as_ref().map(|message| message.look_again);
        self.next_ping(cx).into_iter().chain(message).min()
    }

    fn next_ping(&self, cx: &Cx) -> Option<Instant> {
        let Validity { ping, hang_up } = self.validity?;
        let wait = if self.is_pinged { hang_up } else { ping.min(hang_up) };
        self.heard.checked_add(wait).map(|at| at.max(cx.now))
    }
}

/// Sends a close, unless one was sent; with what the protocol wants to be said, if it does.
fn say_close(wsi: &mut Wsi, why: Option<(CloseCode, &str)>) {
    let mut tx = mem::take(&mut wsi.tx);
    if let Some(session) = wsi.session_mut() {
        let said = session.closing.take();
        session.sender.close(said.as_ref().map(|(code, text)| (*code, text.as_str())).or(why), &mut tx);
    }
    wsi.tx = tx;
}

/// The peer is told what it did wrong.
fn at_fault(wsi: &mut Wsi, fault: Fault) -> CloseReason {
    say_close(wsi, Some((fault.code, fault.what)));
    match fault.code {
        CloseCode::TRY_AGAIN_LATER => CloseReason::Refused(fault.what.into()),
        _ => CloseReason::PeerFault(fault.what.into()),
    }
}

fn answers_waiting(wsi: &Wsi) -> usize {
    wsi.session().map_or(0, |session| session.answers.waiting(wsi.sent))
}

fn note_place(wsi: &mut Wsi, place: Place) {
    if let Some(session) = wsi.session_mut() {
        session.place = place;
    }
}
