//! From bytes to characters, and where they are.
//!
//! Invariant: what comes out depends on the bytes alone, never on how they were cut.

use super::error::ErrorKind;

/// A place in the document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// Puts the bytes of characters together.
#[derive(Debug, Clone)]
pub(super) struct Input {
    /// Of the character that comes next, or is in hand.
    pub(super) position: Position,
    /// The bytes of a character that is not complete.
    bytes: [u8; 4],
    have: usize,
    need: usize,
    /// No character has come yet: this one may be a byte order mark.
    first: bool,
}

const BYTE_ORDER_MARK: char = '\u{feff}';

impl Input {
    pub(super) fn new() -> Input {
        Input { position: Position { line: 1, column: 1 }, bytes: [0; 4], have: 0, need: 0, first: true }
    }

    /// Takes one byte, and gives the character that it completes. A byte order mark at the start is none.
    pub(super) fn take(&mut self, byte: u8) -> Result<Option<char>, ErrorKind> {
        let Some(c) = self.decode(byte)? else {
            return Ok(None);
        };
        let first = std::mem::replace(&mut self.first, false);
        Ok(Some(c).filter(|&c| !(first && c == BYTE_ORDER_MARK)))
    }

    /// The character in hand has been dealt with.
    pub(super) fn advance(&mut self, c: char) {
        if c == '\n' {
            self.position = Position { line: self.position.line + 1, column: 1 };
        } else {
            self.position.column += 1;
        }
    }

    /// Whether the input would end within a character if it ended here.
    pub(super) fn is_within_character(&self) -> bool {
        self.have > 0
    }

    fn decode(&mut self, byte: u8) -> Result<Option<char>, ErrorKind> {
        if self.have == 0 {
            self.need = match byte {
                0x00..=0x7f => return Ok(Some(char::from(byte))),
                0xc2..=0xdf => 2,
                0xe0..=0xef => 3,
                0xf0..=0xf4 => 4,
                _ => return Err(not_utf8(byte)),
            };
        } else if byte & 0xc0 != 0x80 {
            return Err(not_utf8(byte));
        }
        self.bytes[self.have] = byte;
        self.have += 1;
        if self.have < self.need {
            return Ok(None);
        }
        let bytes = &self.bytes[..std::mem::take(&mut self.have)];
        // Overlong forms and surrogates are left to the standard library.
        let c = std::str::from_utf8(bytes).ok().and_then(|text| text.chars().next());
        c.map(Some).ok_or_else(|| not_utf8(byte))
    }
}

fn not_utf8(byte: u8) -> ErrorKind {
    ErrorKind::Unexpected { found: format!("the byte 0x{byte:02x}"), expected: "UTF-8" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decode(bytes: &[u8]) -> Option<String> {
        let mut input = Input::new();
        input.first = false;
        let chars: Result<Vec<_>, _> = bytes.iter().map(|&byte| input.take(byte)).collect();
        let text = chars.ok()?.into_iter().flatten().collect();
        (!input.is_within_character()).then_some(text)
    }

    proptest! {
        #[test]
        fn it_takes_what_the_standard_library_takes(text: String, junk: Vec<u8>, at: prop::sample::Index) {
            prop_assert_eq!(decode(text.as_bytes()), Some(text.clone()));
            prop_assert_eq!(decode(&junk), String::from_utf8(junk).ok());
            let mut bytes = text.into_bytes();
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= 0xa5;
                prop_assert_eq!(decode(&bytes), String::from_utf8(bytes).ok());
            }
        }
    }

    #[test]
    fn every_code_point_survives_and_no_surrogate_does() {
        for code in 0..=0x0010_ffff_u32 {
            match char::from_u32(code) {
                Some(c) => assert_eq!(decode(c.encode_utf8(&mut [0; 4]).as_bytes()), Some(c.to_string())),
                None => {
                    let (low, middle) = (0x80 | (code & 0x3f) as u8, 0x80 | (code >> 6 & 0x3f) as u8);
                    assert_eq!(decode(&[0xe0 | (code >> 12) as u8, middle, low]), None, "{code:x}");
                }
            }
        }
    }
}
