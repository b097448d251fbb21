//! The head of a frame (RFC 6455 section 5.2).
//!
//! ```text
//!   byte 0:  FIN RSV1 RSV2 RSV3 opcode(4)      byte 1:  MASK length(7)
//!   then 2 bytes of length where it is 126, 8 where it is 127; then 4 bytes of key where MASK is set
//! ```

use super::fault::Fault;

/// The most bytes that a head has.
pub(crate) const LONGEST_HEAD: usize = 14;

/// The payload that a control frame can have (section 5.5).
pub(crate) const LONGEST_CONTROL: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Opcode {
    Continuation,
    Text,
    Binary,
    Close,
    Ping,
    Pong,
}

impl Opcode {
    fn of_bits(bits: u8) -> Option<Opcode> {
        Some(match bits {
            0x0 => Opcode::Continuation,
            0x1 => Opcode::Text,
            0x2 => Opcode::Binary,
            0x8 => Opcode::Close,
            0x9 => Opcode::Ping,
            0xa => Opcode::Pong,
            _ => return None,
        })
    }

    fn bits(self) -> u8 {
        match self {
            Opcode::Continuation => 0x0,
            Opcode::Text => 0x1,
            Opcode::Binary => 0x2,
            Opcode::Close => 0x8,
            Opcode::Ping => 0x9,
            Opcode::Pong => 0xa,
        }
    }

    /// Frames that may stand between those of a message.
    pub(crate) fn is_control(self) -> bool {
        matches!(self, Opcode::Close | Opcode::Ping | Opcode::Pong)
    }
}

/// What is XORed over a client's payload.
pub(crate) type Key = [u8; 4];

/// The head of a frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Head {
    pub(crate) fin: bool,
    /// RSV1: with permessage-deflate, the message is compressed.
    pub(crate) compressed: bool,
    pub(crate) opcode: Opcode,
    pub(crate) key: Option<Key>,
    /// Bytes of payload.
    pub(crate) len: u64,
}

impl Head {
    /// Reads a head, and says how many bytes it has; `None`: it is not complete. What no frame begins with is found as early as it can be.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Option<(Head, usize)>, Fault> {
        let [first, rest @ ..] = bytes else { return Ok(None) };
        let (fin, compressed) = (first & 0x80 != 0, first & 0x40 != 0);
        if first & 0x30 != 0 {
            return Err(Fault::protocol("a reserved bit is set"));
        }
        let opcode = Opcode::of_bits(first & 0x0f).ok_or(Fault::protocol("an opcode that is not defined"))?;
        let [second, rest @ ..] = rest else { return Ok(None) };
        let (short, is_masked) = (second & 0x7f, second & 0x80 != 0);
        if opcode.is_control() {
            if !fin || compressed {
                return Err(Fault::protocol("a control frame that is a fragment, or compressed"));
            }
            if usize::from(short) > LONGEST_CONTROL {
                return Err(Fault::protocol("a control frame of more than 125 bytes"));
            }
        }
        let (len, rest) = match short {
            126 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from(u16::from_be_bytes(*len)), rest)
            }
            127 => {
                let Some((len, rest)) = rest.split_first_chunk() else { return Ok(None) };
                (u64::from_be_bytes(*len), rest)
            }
            short => (u64::from(short), rest),
        };
        let least = [0, 126, 0x1_0000][usize::from(short.saturating_sub(125))];
        if len < least || len > i64::MAX as u64 {
            return Err(Fault::protocol("a length that is not written as it has to be"));
        }
        let (key, rest) = match rest.split_first_chunk() {
            Some((key, rest)) if is_masked => (Some(*key), rest),
            None if is_masked => return Ok(None),
            _ => (None, rest),
        };
        Ok(Some((Head { fin, compressed, opcode, key, len }, bytes.len() - rest.len())))
    }

    /// Writes it, in its shortest form.
    pub(crate) fn write(&self, out: &mut [u8; LONGEST_HEAD]) -> usize {
        out[0] = u8::from(self.fin) << 7 | u8::from(self.compressed) << 6 | self.opcode.bits();
        let mask = u8::from(self.key.is_some()) << 7;
        let mut at = 2;
        match self.len {
            0..126 => out[1] = mask | self.len as u8,
            126..0x1_0000 => {
                out[1] = mask | 126;
                out[2..4].copy_from_slice(&(self.len as u16).to_be_bytes());
                at = 4;
            }
            _ => {
                out[1] = mask | 127;
                out[2..10].copy_from_slice(&self.len.to_be_bytes());
                at = 10;
            }
        }
        if let Some(key) = self.key {
            out[at..at + 4].copy_from_slice(&key);
            at += 4;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parsed(bytes: &[u8]) -> Option<(Head, usize)> {
        Head::parse(bytes).expect("a frame")
    }

    #[test]
    fn the_examples_of_the_rfc_are_read() {
        // Section 5.7.
        let text = Head { fin: true, compressed: false, opcode: Opcode::Text, key: None, len: 5 };
        assert_eq!(parsed(&[0x81, 0x05, b'H']), Some((text, 2)));
        let key = Some([0x37, 0xfa, 0x21, 0x3d]);
        assert_eq!(parsed(&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f]), Some((Head { key, ..text }, 6)));
        assert_eq!(parsed(&[0x01, 0x03]), Some((Head { fin: false, len: 3, ..text }, 2)));
        let binary = Head { opcode: Opcode::Binary, len: 256, ..text };
        assert_eq!(parsed(&[0x82, 0x7e, 0x01, 0x00]), Some((binary, 4)));
        assert_eq!(parsed(&[0x82, 0x7f, 0, 0, 0, 0, 0, 1, 0, 0]), Some((Head { len: 65536, ..binary }, 10)));
    }

    #[test]
    fn what_no_frame_begins_with_is_found_at_once() {
        for bytes in [
            &[0x91][..], // RSV3
            &[0xa1],     // RSV2
            &[0x83],     // opcode 3
            &[0x8b],
            &[0x09, 0x00],                               // a fragment of a ping
            &[0xc9, 0x00],                               // a compressed ping
            &[0x89, 0x7e],                               // a long one
            &[0x81, 0x7e, 0, 125],                       // 125 in two bytes
            &[0x81, 0x7f, 0, 0, 0, 0, 0, 0, 0xff, 0xff], // 65535 in eight
            &[0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0],    // its first bit
        ] {
            assert!(Head::parse(bytes).is_err(), "{bytes:x?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_as_soon_as_it_is_complete(
            (fin, compressed) in any::<(bool, bool)>(),
            opcode in prop::sample::select(vec![Opcode::Continuation, Opcode::Text, Opcode::Binary]),
            key in any::<Option<Key>>(),
            len in prop_oneof![0..200u64, 65_500..65_600u64, 0..i64::MAX as u64],
        ) {
            let head = Head { fin, compressed, opcode, key, len };
            let mut out = [0; LONGEST_HEAD];
            let written = head.write(&mut out);
            for cut in 0..written {
                prop_assert_eq!(parsed(&out[..cut]), None);
            }
            prop_assert_eq!(parsed(&out), Some((head, written)));
        }
    }
}
