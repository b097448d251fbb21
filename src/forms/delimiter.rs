//! Where a part ends: the line with the boundary (RFC 2046 5.1.1), searched in bytes that come in pieces.
//!
//! ```text
//!   data ... data CR LF - - b o u n d a r y
//!                 └──────── needle ───────┘
//! ```
//!
//! Bytes that may be the start of the needle are held back: which of its bytes they are is all that is kept. A boundary has no CR (its
//! characters are those of RFC 2046), so the needle can only start at the last CR, and a start that leads nowhere is looked at once more
//! at most.
//!
//! The CRLF may be one that is not data: that of the line before, at the start of a body or behind the headers of a part without
//! content.

use std::ops::Range;

use memchr::memmem::Finder;

#[derive(Debug)]
pub(super) struct Delimiter {
    finder: Finder<'static>,
    /// Which of the needle's bytes are held back: it starts behind 0 where the CRLF is not data.
    held: Range<usize>,
}

/// What some bytes are, in this order.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found<'b> {
    /// Which bytes of the needle, that were held back, are data after all: [`Delimiter::bytes`] has them.
    pub(super) released: Range<usize>,
    /// Data.
    pub(super) data: &'b [u8],
    /// Behind the delimiter; `None`: it has not come yet.
    pub(super) rest: Option<&'b [u8]>,
}

impl Delimiter {
    pub(super) fn new(boundary: &[u8]) -> Delimiter {
        let needle = [b"\r\n--", boundary].concat();
        Delimiter { finder: Finder::new(&needle).into_owned(), held: AT_LINE_START }
    }

    /// What comes next is at the start of a line.
    pub(super) fn start_line(&mut self) {
        self.held = AT_LINE_START;
    }

    /// Some bytes of the needle.
    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        &self.finder.needle()[range]
    }

    /// Looks through the next bytes, up to the delimiter.
    pub(super) fn search<'b>(&mut self, bytes: &'b [u8]) -> Found<'b> {
        let released = std::mem::take(&mut self.held);
        let needle = self.finder.needle();
        if released.end > 0 {
            let wanted = &needle[released.end..];
            if let Some(rest) = bytes.strip_prefix(wanted) {
                return Found { released: 0..0, data: &[], rest: Some(rest) };
            }
            if wanted.starts_with(bytes) {
                self.held = released.start..released.end + bytes.len();
                return Found { released: 0..0, data: &[], rest: None };
            }
        }
        if let Some(at) = self.finder.find(bytes) {
            return Found { released, data: &bytes[..at], rest: Some(&bytes[at + needle.len()..]) };
        }
        let may_start = memchr::memrchr(b'\r', bytes).filter(|&at| needle.starts_with(&bytes[at..]));
        let (data, start) = bytes.split_at(may_start.unwrap_or(bytes.len()));
        self.held = 0..start.len();
        Found { released, data, rest: None }
    }
}

/// The needle's CRLF has been, and is not data.
const AT_LINE_START: Range<usize> = 2..2;

#[cfg(test)]
mod tests {
    use super::*;

    fn found<'b>(released: Range<usize>, data: &'b str, rest: Option<&'b str>) -> Found<'b> {
        Found { released, data: data.as_bytes(), rest: rest.map(str::as_bytes) }
    }

    #[test]
    fn the_first_line_may_be_a_boundary() {
        assert_eq!(Delimiter::new(b"b").search(b"--b\r\n"), found(0..0, "", Some("\r\n")));
        assert_eq!(Delimiter::new(b"b").search(b" --b\r\n"), found(2..2, " --b", None), "the last CRLF is held back");
    }

    #[test]
    fn what_looks_like_a_boundary_is_given_back() {
        let mut delimiter = Delimiter::new(b"bound");
        assert_eq!(delimiter.search(b"--bou"), found(0..0, "", None));
        assert_eq!(delimiter.search(b"!"), found(2..7, "!", None), "without the CRLF, which is not data");
        assert_eq!(delimiter.search(b"ab\r\n--bou"), found(0..0, "ab", None));
        assert_eq!(delimiter.search(b"n"), found(0..0, "", None));
        assert_eq!(delimiter.search(b"\r"), found(0..8, "", None));
        assert_eq!(delimiter.search(b"\r\n--bound!"), found(0..1, "", Some("!")));
        assert_eq!(delimiter.bytes(0..8), b"\r\n--boun");
        assert_eq!(delimiter.search(b"\r\n--boun\r\n--bound"), found(0..0, "\r\n--boun", Some("")));
    }
}
