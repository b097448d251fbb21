//! What a peer sends, from bytes to pieces of messages and control frames.
//!
//! ```text
//!   bytes ──▶ head ──▶ unmask, in place ──┬─▶ [inflate] ─▶ UTF-8 ─▶ Piece      as much as is there
//!                                         └─▶ Ping, Pong, Close               whole
//! ```
//!
//! It takes what it can and says how much that was; the rest is given again, with more behind it. How the bytes are cut makes no difference,
//! but to where pieces end. Faults are found with the byte that makes them. Nothing is held here.

use std::time::{Duration, Instant};

use super::close_code::CloseCode;
use super::deflate::Inflater;
use super::fault::Fault;
use super::frame::{Head, Opcode};
use super::mask;
use super::settings::WsLimits;
use super::side::Side;
use super::utf8::Utf8;
use crate::limits;

pub(crate) struct Receiver {
    side: Side,
    limits: WsLimits,
    inflater: Option<Inflater>,
    /// The data frame that is under way.
    frame: Option<Frame>,
    /// The message that it belongs to, or that goes on with the next one.
    message: Option<Message>,
    controls: Controls,
    /// Bytes of payloads that were taken, of all messages.
    taken: u64,
}

struct Frame {
    head: Head,
    /// Bytes that were taken.
    taken: u64,
    /// Bytes behind them that are unmasked already.
    unmasked: usize,
    /// The inflater has more to say of what was taken.
    has_more: bool,
}

struct Message {
    is_binary: bool,
    is_compressed: bool,
    frames: u32,
    /// Bytes delivered, or about to be.
    len: u64,
    text: Utf8,
    is_first: bool,
}

/// Control frames of the second in hand.
#[derive(Default)]
struct Controls {
    /// When the allowance was given last.
    since: Option<Instant>,
    /// What is left of it.
    left: u32,
}

/// What was received.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event<'a> {
    Data(Piece<'a>),
    Ping(&'a [u8]),
    Pong(&'a [u8]),
    /// The peer closes; with a code and a text, unless it says neither.
    Close(Option<(CloseCode, &'a str)>),
}

/// A part of a message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Piece<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) place: Place,
}

/// Where in its message a piece is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) is_first: bool,
    pub(crate) is_last: bool,
    pub(crate) is_binary: bool,
    /// Bytes of the same frame that are still to come, as they are sent.
    pub(crate) remaining: u64,
}

impl Receiver {
    pub(crate) fn new(side: Side, limits: WsLimits, inflater: Option<Inflater>) -> Receiver {
        Receiver { side, limits, inflater, frame: None, message: None, controls: Controls::default(), taken: 0 }
    }

    /// Of a message that has begun and not ended, something that changes when it goes on.
    pub(crate) fn progress(&self) -> Option<u64> {
        self.message.is_some().then_some(self.taken)
    }

    /// Of what was taken more is to come without more behind it: it is still compressed.
    pub(crate) fn has_more(&self) -> bool {
        self.frame.as_ref().is_some_and(|frame| frame.has_more)
    }

    /// The connection is open: its peer may begin to send.
    pub(crate) fn open(&mut self, now: Instant) {
        self.controls = Controls { since: Some(now), left: self.limits.control_frames };
    }

    pub(crate) fn limits(&self) -> &WsLimits {
        &self.limits
    }

    /// Takes from the start of `bytes` what makes the next event; how much that was. `None`: the event needs more than is there. `out` is for
    /// what is decompressed.
    pub(crate) fn next<'a>(
        &mut self,
        bytes: &'a mut [u8],
        out: &'a mut [u8],
        now: Instant,
    ) -> Result<(usize, Option<Event<'a>>), Fault> {
        let mut at = 0;
        loop {
            if self.frame.is_none() {
                let Some((head, len)) = Head::parse(&bytes[at..])? else { return Ok((at, None)) };
                self.check(&head)?;
                if head.opcode.is_control() {
                    let start = at + len;
                    let end = start + head.len as usize;
                    if bytes.len() < end {
                        return Ok((at, None));
                    }
                    self.controls.count(now, self.limits.control_frames)?;
                    let payload = &mut bytes[start..end];
                    unmask(&head, payload, 0);
                    return Ok((end, Some(control(head.opcode, payload)?)));
                }
                self.begin(head);
                at += len;
            }
            let (taken, found) = self.payload(&mut bytes[at..], out)?;
            let start = at;
            at += taken;
            match found {
                Found::Nothing if self.frame.is_some() => return Ok((at, None)),
                Found::Nothing => {}
                Found::Plain(place) => return Ok((at, Some(Event::Data(Piece { bytes: &bytes[start..at], place })))),
                Found::Inflated(made, place) => {
                    return Ok((at, Some(Event::Data(Piece { bytes: &out[..made], place }))));
                }
            }
        }
    }

    /// What a frame must not be where it comes.
    fn check(&self, head: &Head) -> Result<(), Fault> {
        if head.key.is_some() != (self.side == Side::Server) {
            return Err(Fault::protocol("clients mask their frames, and servers do not"));
        }
        if head.compressed && (self.inflater.is_none() || head.opcode == Opcode::Continuation) {
            return Err(Fault::protocol("a compressed frame where none was agreed on"));
        }
        let len = match (&self.message, head.opcode) {
            (_, opcode) if opcode.is_control() => return Ok(()),
            (None, Opcode::Continuation) => return Err(Fault::protocol("a continuation of nothing")),
            (Some(_), Opcode::Text | Opcode::Binary) => {
                return Err(Fault::protocol("a message within another one"));
            }
            (Some(message), _) if message.frames >= self.limits.fragments => {
                return Err(Fault::policy("a message of too many fragments"));
            }
            (Some(message), _) => message.len,
            (None, _) => 0,
        };
        let message = if head.compressed { 0 } else { len.saturating_add(head.len) };
        if head.len > self.limits.frame || message > self.limits.message {
            return Err(Fault::too_large("a message, or a frame of one, that is too large"));
        }
        Ok(())
    }

    fn begin(&mut self, head: Head) {
        let message = self.message.get_or_insert_with(|| Message {
            is_binary: head.opcode == Opcode::Binary,
            is_compressed: head.compressed,
            frames: 0,
            len: 0,
            text: Utf8::default(),
            is_first: true,
        });
        message.frames += 1;
        self.frame = Some(Frame { head, taken: 0, unmasked: 0, has_more: false });
    }

    /// Takes what is there of the frame's payload.
    fn payload(&mut self, bytes: &mut [u8], out: &mut [u8]) -> Result<(usize, Found), Fault> {
        let (Some(frame), Some(message)) = (&mut self.frame, &mut self.message) else { return Ok((0, Found::Nothing)) };
        let left = frame.head.len - frame.taken;
        let there = usize::try_from(left).map_or(bytes.len(), |left| left.min(bytes.len()));
        if there == 0 && left > 0 && !frame.has_more {
            return Ok((0, Found::Nothing));
        }
        let bytes = &mut bytes[..there];
        unmask(&frame.head, &mut bytes[frame.unmasked..], frame.taken + frame.unmasked as u64);
        let ends_message = frame.head.fin && there as u64 == left;
        let (taken, made, is_all) = match &mut self.inflater {
            Some(inflater) if message.is_compressed => {
                let done = inflater.inflate(bytes, ends_message, out)?;
                (done.taken, Some(done.made), done.is_all)
            }
            _ => (there, None, true),
        };
        frame.taken += taken as u64;
        self.taken = self.taken.wrapping_add(taken as u64);
        frame.unmasked = there - taken;
        frame.has_more = !is_all;
        let piece = made.map_or(&bytes[..taken], |made| &out[..made]);
        message.len = message.len.saturating_add(piece.len() as u64);
        if message.len > self.limits.message {
            return Err(Fault::too_large("a message that is too large"));
        }
        let is_last = ends_message && taken == there && is_all;
        if !message.is_binary && !(message.text.takes(piece) && (!is_last || message.text.is_whole())) {
            return Err(Fault::payload("its text is not UTF-8"));
        }
        let place = Place {
            is_first: message.is_first,
            is_last,
            is_binary: message.is_binary,
            remaining: frame.head.len - frame.taken,
        };
        let has_something = !piece.is_empty() || is_last;
        message.is_first &= !has_something;
        if is_all && frame.taken == frame.head.len {
            self.frame = None;
        }
        if is_last {
            self.message = None;
            if let (Some(_), Some(inflater)) = (made, &mut self.inflater) {
                inflater.end();
            }
        }
        let found = match made {
            _ if !has_something => Found::Nothing,
            None => Found::Plain(place),
            Some(made) => Found::Inflated(made, place),
        };
        Ok((taken, found))
    }
}

/// What the payload of a data frame came to.
enum Found {
    Nothing,
    Plain(Place),
    Inflated(usize, Place),
}

impl Controls {
    /// An allowance is for the time since the one before: of who was not listened to all comes at once.
    fn count(&mut self, now: Instant, most: u32) -> Result<(), Fault> {
        const SECOND: Duration = Duration::from_secs(1);
        let passed = self.since.map_or(SECOND, |since| now.saturating_duration_since(since));
        if passed >= SECOND {
            let seconds = passed.min(limits::WS_CONTROL_PAUSE).as_secs() as u32;
            *self = Controls { since: Some(now), left: most.saturating_mul(seconds) };
        }
        let Some(left) = self.left.checked_sub(1) else {
            return Err(Fault::policy("too many control frames in a second"));
        };
        self.left = left;
        Ok(())
    }
}

fn unmask(head: &Head, bytes: &mut [u8], at: u64) {
    if let Some(key) = head.key {
        mask::apply(bytes, key, at);
    }
}

fn control(opcode: Opcode, payload: &[u8]) -> Result<Event<'_>, Fault> {
    Ok(match opcode {
        Opcode::Ping => Event::Ping(payload),
        Opcode::Pong => Event::Pong(payload),
        _ => Event::Close(close_of(payload)?),
    })
}

/// Section 5.5.1.
fn close_of(payload: &[u8]) -> Result<Option<(CloseCode, &str)>, Fault> {
    let Some((code, text)) = payload.split_first_chunk() else {
        return if payload.is_empty() { Ok(None) } else { Err(Fault::protocol("a close with half a code")) };
    };
    let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(Fault::protocol("a close with a code that is none"))?;
    let text = str::from_utf8(text).map_err(|_| Fault::payload("the text of its close is not UTF-8"))?;
    Ok(Some((code, text)))
}
