//! UTF-8 that comes in pieces (RFC 6455 section 8.1): what can no longer become right is found with the byte that spoils it.

use std::str;

/// What is known of a text so far.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(crate) struct Utf8 {
    /// The beginning of a character whose end is still to come.
    begun: [u8; 4],
    len: u8,
}

impl Utf8 {
    /// Takes the next bytes. `false`: no text begins like that.
    pub(crate) fn takes(&mut self, mut bytes: &[u8]) -> bool {
        while self.len > 0 {
            let [first, rest @ ..] = bytes else { return true };
            self.begun[usize::from(self.len)] = *first;
            self.len += 1;
            bytes = rest;
            match str::from_utf8(&self.begun[..usize::from(self.len)]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_some() => return false,
                Err(_) => {}
            }
        }
        let Err(error) = str::from_utf8(bytes) else { return true };
        if error.error_len().is_some() {
            return false;
        }
        let begun = &bytes[error.valid_up_to()..];
        self.begun[..begun.len()].copy_from_slice(begun);
        self.len = begun.len() as u8;
        true
    }

    /// Whether the text may end here.
    pub(crate) fn is_whole(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn in_pieces(bytes: &[u8], size: usize) -> bool {
        let mut text = Utf8::default();
        bytes.chunks(size).all(|piece| text.takes(piece)) && text.is_whole()
    }

    #[test]
    fn what_is_spoilt_is_found_with_the_byte_that_spoils_it() {
        let mut text = Utf8::default();
        assert!(text.takes(&[0xce, 0xba, 0xf4]));
        assert!(!text.takes(&[0x90]), "beyond U+10FFFF");
        assert!(!Utf8::default().takes(&[0xed, 0xa0]), "a surrogate");
        assert!(!Utf8::default().takes(&[0xc0]), "an overlong form");
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference(
            bytes in prop_oneof![any::<String>().prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..20)],
            size in 1..8usize,
        ) {
            prop_assert_eq!(in_pieces(&bytes, size), str::from_utf8(&bytes).is_ok());
        }
    }
}
