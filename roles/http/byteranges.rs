//! Several ranges of a file in one body: `multipart/byteranges` (RFC 9110 section 14.6).
//!
//! ```text
//!   --BOUNDARY           ┐
//!   Content-Type: ..     ├ next(): the text before a part, and the range that follows it
//!   Content-Range: ..    ┘
//!
//!   the bytes                from the file, by whoever asked
//!   --BOUNDARY--             next(): the text behind the last part, and no range
//! ```
//!
//! Nothing of the body is held; each text is written when its turn comes. Its length is known before. Counterpart in lws: the
//! `LWSRS_..` states of `lws_serve_http_file_fragment()`.

use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::ops::Range;
use std::vec;

use super::mime::ContentType;

/// A body that is being written.
#[derive(Clone, Debug)]
pub(crate) struct ByteRanges {
    boundary: String,
    content_type: ContentType,
    /// The file's length.
    complete: u64,
    ranges: vec::IntoIter<Range<u64>>,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    First,
    Further,
    Over,
}

impl ByteRanges {
    /// Of these ranges, none of them empty, of a file of `complete` bytes.
    pub(crate) fn new(ranges: Vec<Range<u64>>, complete: u64, content_type: ContentType) -> ByteRanges {
        ByteRanges { boundary: boundary(), content_type, complete, ranges: ranges.into_iter(), stage: Stage::First }
    }

    /// The type of the whole body.
    pub(crate) fn content_type(&self) -> String {
        format!("multipart/byteranges; boundary={}", self.boundary)
    }

    /// Bytes of what is still to come, those of the file included.
    pub(crate) fn len(&self) -> u64 {
        let (mut rest, mut texts, mut bytes) = (self.clone(), Vec::new(), 0);
        while let Some(range) = rest.next(&mut texts) {
            bytes += range.end - range.start;
        }
        bytes + texts.len() as u64
    }

    /// Writes what stands before the next part, and returns the bytes of the file that are to follow; `None`: it was the end of the body.
    pub(crate) fn next(&mut self, out: &mut Vec<u8>) -> Option<Range<u64>> {
        let before = match self.stage {
            Stage::First => "",
            Stage::Further => "\r\n",
            Stage::Over => return None,
        };
        let range = self.ranges.next();
        self.stage = if range.is_some() { Stage::Further } else { Stage::Over };
        self.push_delimiter(out, before, range.as_ref());
        range
    }

    fn push_delimiter(&self, out: &mut Vec<u8>, before: &str, range: Option<&Range<u64>>) {
        let boundary = &self.boundary;
        let written = match range {
            None => write!(out, "{before}--{boundary}--\r\n"),
            Some(range) => {
                let content_type = self.content_type.value();
                let (line, value, end) = content_type.map_or(("", "", ""), |value| ("Content-Type: ", value, "\r\n"));
                let (first, last, complete) = (range.start, range.end - 1, self.complete);
                write!(
                    out,
                    "{before}--{boundary}\r\n{line}{value}{end}Content-Range: bytes {first}-{last}/{complete}\r\n\r\n"
                )
            }
        };
        written.expect("a Vec takes everything");
    }
}

/// One that nobody can have put into a file.
fn boundary() -> String {
    let secret = RandomState::new();
    format!("{:016x}{:016x}", secret.hash_one(0), secret.hash_one(1))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, with the bytes of `file`.
    fn body(mut parts: ByteRanges, file: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        while let Some(range) = parts.next(&mut out) {
            out.extend_from_slice(&file[range.start as usize..range.end as usize]);
        }
        assert_eq!(parts.next(&mut out), None, "the end is the end");
        out
    }

    #[test]
    fn a_body_is_framed_as_the_rfc_has_it() {
        let parts = ByteRanges::new(vec![0..2, 9..10], 10, ContentType::Known("text/plain"));
        let boundary = parts.boundary.clone();
        assert_eq!(parts.content_type(), format!("multipart/byteranges; boundary={boundary}"));
        let expected = format!(
            "--{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 0-1/10\r\n\r\n01\r\n\
             --{boundary}\r\nContent-Type: text/plain\r\nContent-Range: bytes 9-9/10\r\n\r\n9\r\n--{boundary}--\r\n"
        );
        assert_eq!(String::from_utf8(body(parts, b"0123456789")).expect("a text"), expected);
    }

    #[test]
    fn a_file_without_a_type_has_parts_without_one() {
        let mut parts = ByteRanges::new(vec![0..1, 2..3], 3, ContentType::OfMount("".into()));
        let mut text = Vec::new();
        parts.next(&mut text);
        assert_eq!(String::from_utf8_lossy(&text).matches("Content-").count(), 1);
    }

    #[test]
    fn no_two_bodies_have_the_same_boundary() {
        let boundary = boundary();
        assert!(boundary.len() == 32 && boundary.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(boundary, super::boundary());
    }

    proptest! {
        #[test]
        fn a_body_is_as_long_as_it_says(starts in prop::collection::vec((0..90_u64, 1..10_u64), 1..16)) {
            let ranges: Vec<_> = starts.into_iter().map(|(start, len)| start..start + len).collect();
            let parts = ByteRanges::new(ranges, 100, ContentType::Known("a/b"));
            let len = parts.len();
            prop_assert_eq!(body(parts, &[b'-'; 100]).len() as u64, len);
        }
    }
}
