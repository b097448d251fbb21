//! What is sent, from writes to frames.

use super::close_code::CloseCode;
use super::deflate::Deflater;
use super::frame::{Head, Key, LONGEST_CONTROL, LONGEST_HEAD, Opcode};
use super::mask;
use super::side::Side;
use super::write::{What, WsWrite};
use crate::buf::Buf;
use crate::limits;
use crate::sending::WriteError;

pub(crate) struct Sender {
    side: Side,
    deflater: Option<Deflater>,
    /// A message has begun, and is it compressed?
    open: Option<bool>,
    keys: Keys,
    /// The closing handshake has begun on our side: nothing may come behind it.
    has_closed: bool,
}

/// Keys that nobody can guess (RFC 6455 section 10.3), some at a time.
#[derive(Default)]
struct Keys {
    random: [u8; 32],
    left: usize,
}

impl Sender {
    pub(crate) fn new(side: Side, deflater: Option<Deflater>) -> Sender {
        Sender { side, deflater, open: None, keys: Keys::default(), has_closed: false }
    }

    /// Frames a write. What is returned is to follow what is queued: the payload, where it is too long to be copied for nothing.
    pub(crate) fn write<'a>(&mut self, kind: WsWrite, data: &'a [u8], tx: &mut Buf) -> Result<&'a [u8], WriteError> {
        if self.has_closed {
            return Err(WriteError::Finished);
        }
        let opcode = match (kind.what, self.open) {
            (What::Ping | What::Pong, _) if data.len() > LONGEST_CONTROL || !kind.fin => {
                return Err(WriteError::NoControlFrame);
            }
            (What::Ping, _) => return self.frame(Opcode::Ping, true, false, data, tx),
            (What::Pong, _) => return self.frame(Opcode::Pong, true, false, data, tx),
            (What::Text, None) => Opcode::Text,
            (What::Binary, None) => Opcode::Binary,
            (What::Continuation, Some(_)) => Opcode::Continuation,
            (What::Continuation, None) | (What::Text | What::Binary, Some(_)) => return Err(WriteError::OutOfOrder),
        };
        let (begins, fin) = (self.open.is_none(), kind.fin);
        let deflater = &mut self.deflater;
        let is_compressed = self.open.unwrap_or_else(|| {
            let worthy = deflater.as_mut().filter(|deflater| kind.compress && deflater.is_worth(data.len(), fin));
            worthy.is_some_and(Deflater::begin)
        });
        self.open = (!fin).then_some(is_compressed);
        match &mut self.deflater {
            Some(deflater) if is_compressed => {
                let mut compressed = deflater.room();
                deflater.deflate(data, fin, &mut compressed);
                let framed = self.frame(opcode, fin, begins, &compressed, tx).map(|rest| tx.push(rest));
                if let Some(deflater) = &self.deflater {
                    deflater.give_back(compressed);
                }
                framed.map(|()| &[][..])
            }
            _ => self.frame(opcode, fin, false, data, tx),
        }
    }

    /// Begins or answers the closing handshake, once.
    pub(crate) fn close(&mut self, why: Option<(CloseCode, &str)>, tx: &mut Buf) {
        if std::mem::replace(&mut self.has_closed, true) {
            return;
        }
        let mut payload = [0; LONGEST_CONTROL];
        let len = why.map_or(0, |(code, text)| {
            let text = shortened(text, LONGEST_CONTROL - 2);
            payload[..2].copy_from_slice(&code.code().to_be_bytes());
            payload[2..2 + text.len()].copy_from_slice(text.as_bytes());
            2 + text.len()
        });
        let _only_keys_can_fail = self.frame(Opcode::Close, true, false, &payload[..len], tx);
    }

    /// Queues a frame, but for a long payload that nothing has to be done to: that is returned.
    fn frame<'a>(
        &mut self,
        opcode: Opcode,
        fin: bool,
        compressed: bool,
        payload: &'a [u8],
        tx: &mut Buf,
    ) -> Result<&'a [u8], WriteError> {
        let key = match self.side {
            Side::Client => Some(self.keys.next().ok_or(WriteError::Lost)?),
            Side::Server => None,
        };
        let mut head = [0; LONGEST_HEAD];
        let len = Head { fin, compressed, opcode, key, len: payload.len() as u64 }.write(&mut head);
        tx.push(&head[..len]);
        if key.is_none() && payload.len() >= limits::WS_UNCOPIED {
            return Ok(payload);
        }
        tx.push(payload);
        if let Some(key) = key {
            mask::apply(tx.last_mut(payload.len()), key, 0);
        }
        Ok(&[])
    }
}

/// As much of a text as fits, in whole characters.
fn shortened(text: &str, most: usize) -> &str {
    let end = (0..=most.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or_default()]
}

impl Keys {
    fn next(&mut self) -> Option<Key> {
        if self.left == 0 {
            getrandom::fill(&mut self.random).ok()?;
            self.left = self.random.len();
        }
        self.left -= size_of::<Key>();
        self.random[self.left..].first_chunk().copied()
    }
}
