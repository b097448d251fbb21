//! One end of a connection, which does what its script says and checks every byte that it hears.

use std::collections::VecDeque;
use std::time::Instant;

use crate::poison::Stream;
use crate::responses::{Answer, Responses};
use crate::script::{Act, Script};
use crate::wire::{Received, Wire};

/// What an end is to hear.
pub enum Hears {
    /// These bytes.
    Stream(Stream),
    Responses(Responses),
    /// At most a TLS alert.
    Alert,
    Nothing,
}

/// How the other end's sending ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    Eof,
    Truncated,
    Failed(String),
}

/// What one end has done and seen.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub sent: u64,
    pub heard: u64,
    /// The responses that came whole, where it has asked for some.
    pub answers: Vec<Answer>,
    /// They are all that were due.
    pub whole: bool,
    /// It was told that no more would come, before all that it asked for.
    pub dismissed: bool,
    pub end: Option<End>,
    /// Sending failed.
    pub broken: Option<String>,
    pub polite: bool,
    /// It sent all that its script says, and said so.
    pub finished: bool,
}

pub struct Peer {
    pub wire: Option<Wire>,
    acts: VecDeque<Act>,
    deaf: bool,
    says: Stream,
    hears: Hears,
    stalled: Option<Instant>,
    /// A byte that should not have come.
    pub wrong: Option<String>,
    pub seen: Outcome,
}

impl Peer {
    pub fn new(wire: Wire, script: &Script, says: Stream, hears: Hears) -> Peer {
        let seen = Outcome {
            sent: 0,
            heard: 0,
            answers: Vec::new(),
            whole: true,
            dismissed: false,
            end: None,
            broken: None,
            polite: script.is_polite(),
            finished: false,
        };
        let acts = script.acts.iter().copied().collect();
        Peer { wire: Some(wire), acts, deaf: script.deaf, says, hears, stalled: None, wrong: None, seen }
    }

    pub fn is_done(&self) -> bool {
        self.wire.is_none()
    }

    /// It could go on at once.
    pub fn is_eager(&self) -> bool {
        self.stalled.is_none()
            && self.wire.as_ref().is_some_and(Wire::is_ready)
            && matches!(self.acts.front(), Some(Act::Send { .. }))
    }

    pub fn act(&self) -> Option<&Act> {
        self.acts.front()
    }

    /// Nothing moves any more: what it waits for may never come. An end that is due has to.
    pub fn give_in(&mut self, end_is_due: bool) -> bool {
        let was_deaf = std::mem::take(&mut self.deaf);
        let waits = !end_is_due && matches!(self.acts.front(), Some(Act::Hear(_)));
        if waits {
            self.acts.pop_front();
        }
        was_deaf || waits
    }

    /// Does what can be done now; whether that was anything.
    pub fn step(&mut self, now: Instant, buf: &mut [u8]) -> bool {
        let Some(mut wire) = self.wire.take() else { return false };
        if self.stalled.is_some_and(|until| now < until) {
            self.wire = Some(wire);
            return false;
        }
        let mut moved = self.stalled.take().is_some();
        let sends = wire.is_ready() && matches!(self.acts.front(), Some(Act::Send { .. }));
        if !self.deaf || !sends {
            moved |= self.listen(&mut wire, buf);
        }
        if let Err(error) = wire.flush() {
            self.fails(error.to_string());
        }
        loop {
            let Some(act) = self.acts.front_mut() else {
                self.finish_hearing();
                return true;
            };
            match act {
                Act::Send { .. } if wire.is_handshaking() && self.seen.end.is_some() => {
                    self.fails("the handshake came to nothing".to_owned());
                }
                Act::Send { bytes, piece } => {
                    if !wire.is_ready() {
                        break;
                    }
                    let most = (*bytes).min(*piece).min(buf.len() as u64) as usize;
                    self.says.fill(self.seen.sent, &mut buf[..most]);
                    let sent = match wire.write(&buf[..most]) {
                        Ok(sent) => sent as u64,
                        Err(error) => {
                            self.fails(error.to_string());
                            continue;
                        }
                    };
                    self.seen.sent += sent;
                    *bytes -= sent;
                    moved |= sent > 0;
                    if *bytes > 0 {
                        break;
                    }
                    self.acts.pop_front();
                }
                Act::Stall(time) => {
                    self.stalled = Some(now + *time);
                    self.acts.pop_front();
                    moved = true;
                    break;
                }
                Act::Hear(bytes) => {
                    if self.seen.end.is_none() && self.seen.heard < *bytes {
                        break;
                    }
                    self.acts.pop_front();
                    moved = true;
                }
                Act::HalfClose => {
                    // A connection that is not up yet cannot be ended on one side.
                    if !wire.is_ready() && self.seen.end.is_none() {
                        break;
                    }
                    self.acts.pop_front();
                    moved = true;
                    match wire.finish().and_then(|()| wire.flush()) {
                        Ok(()) => self.seen.finished = true,
                        Err(error) => self.fails(error.to_string()),
                    }
                }
                Act::ReadToEnd => {
                    if self.seen.end.is_none() || (!wire.is_flushed() && self.seen.broken.is_none()) {
                        break;
                    }
                    self.acts.pop_front();
                }
                Act::Reset => {
                    wire.reset();
                    self.finish_hearing();
                    return true;
                }
                Act::Close => {
                    self.finish_hearing();
                    return true;
                }
            }
        }
        self.wire = Some(wire);
        moved
    }

    /// Nobody takes what it sends: it only reads what is still there.
    fn fails(&mut self, why: String) {
        self.seen.broken.get_or_insert(why);
        self.acts.retain(|act| *act == Act::ReadToEnd);
        if self.seen.end.is_some() {
            self.acts.clear();
        }
    }

    fn listen(&mut self, wire: &mut Wire, buf: &mut [u8]) -> bool {
        let mut moved = false;
        while wire.readable && self.seen.end.is_none() {
            let end = match wire.read(buf) {
                Received::Bytes(n) => {
                    self.take(&buf[..n]);
                    moved = true;
                    continue;
                }
                Received::Blocked => break,
                Received::Eof => End::Eof,
                Received::Truncated => End::Truncated,
                Received::Failed(why) => End::Failed(why),
            };
            moved = true;
            self.seen.end = Some(end);
        }
        moved
    }

    fn take(&mut self, bytes: &[u8]) {
        let at = self.seen.heard;
        self.seen.heard += bytes.len() as u64;
        let right = match &mut self.hears {
            Hears::Stream(stream) => stream.check(at, bytes),
            Hears::Responses(responses) => responses.take(bytes),
            Hears::Alert if at == 0 && !bytes.starts_with(b"\x15") => {
                Err(format!("no alert: \"{}\"", bytes[..bytes.len().min(40)].escape_ascii()))
            }
            Hears::Alert if self.seen.heard > 16 => Err("more than an alert".to_owned()),
            Hears::Alert => Ok(()),
            Hears::Nothing => Err(format!("it is answered: \"{}\"", bytes[..bytes.len().min(40)].escape_ascii())),
        };
        if let Err(why) = right {
            self.wrong.get_or_insert(why);
        }
    }

    fn finish_hearing(&mut self) {
        if let Hears::Responses(responses) = &mut self.hears {
            (self.seen.whole, self.seen.dismissed) = (responses.are_whole(), responses.dismissed);
            self.seen.answers = responses.take_answers();
        }
    }
}
