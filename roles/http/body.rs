//! Request bodies: by length, or in chunks (RFC 9112 sections 6.2 and 7.1).
//!
//! ```text
//!   bytes ──▶ Decoder::decode ──▶ (taken, Data(piece))   a piece of the body; come again with what follows it
//!                                 (taken, Wants)         everything is taken, and the body goes on
//!                                 (taken, End)           the next request begins here
//!                                 Fault                  400 or 413; what follows is no request
//! ```
//!
//! Invariants: pure, and fed in any cuts with the same outcome; nothing of the body is held; what cannot be read in one way only is a
//! fault: a line end is CRLF, a size has 1 to 16 hex digits and nothing before or behind it. Extensions and trailers are checked, counted
//! against [`HTTP_BODY_OVERHEAD`] and dropped. Counterpart in lws: the chunk parser of `lws_http_client_socket_service()`; its server knows
//! no chunked bodies.

use crate::headers::is_token_byte;
use crate::limits::HTTP_BODY_OVERHEAD;

use super::h1::Body;

/// Where in a body its reader is.
#[derive(Debug, Clone)]
pub(super) struct Decoder {
    place: Place,
    /// What may still come of the body's limit.
    room: u64,
    /// Bytes of extensions and trailers so far.
    overhead: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Of a body with a length, that many bytes are left.
    Length(u64),
    /// In a chunk's size.
    Size {
        digits: u8,
        value: u64,
    },
    /// Behind the size: blanks, of which only a `;` may follow.
    Blank {
        value: u64,
    },
    Extension {
        value: u64,
    },
    /// Behind the CR of a size's line.
    SizeEnd {
        value: u64,
    },
    Data(u64),
    /// Behind a chunk's last byte.
    DataCr,
    DataLf,
    /// At the start of a line behind the last chunk.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerEnd,
    /// Behind the CR of the empty line.
    LastLf,
    End,
}

/// What came out.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece<'a> {
    Data(&'a [u8]),
    Wants,
    End,
}

/// What is wrong with a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Malformed,
    /// More than its limit.
    TooLarge,
}

impl Decoder {
    /// For a body of at most `limit` bytes. `None`: there is none.
    pub(super) fn new(body: Body, limit: u64) -> Option<Decoder> {
        let place = match body {
            Body::None => return None,
            Body::Length(0) => Place::End,
            Body::Length(length) => Place::Length(length),
            Body::Chunked => Place::Size { digits: 0, value: 0 },
        };
        Some(Decoder { place, room: limit, overhead: 0 })
    }

    /// Whether the body is over.
    pub(super) fn is_over(&self) -> bool {
        self.place == Place::End
    }

    /// The bytes that are known to come.
    pub(super) fn at_least(&self) -> u64 {
        match self.place {
            Place::Length(left) | Place::Data(left) => left,
            _ => 0,
        }
    }

    /// Takes what it can use of `bytes`: how much, and what that was.
    ///
    /// # Errors
    /// [`Fault`]: what follows is no request.
    pub(super) fn decode<'a>(&mut self, bytes: &'a [u8]) -> Result<(usize, Piece<'a>), Fault> {
        let mut at = 0;
        loop {
            match self.place {
                Place::End => return Ok((at, Piece::End)),
                Place::Length(left) | Place::Data(left) if at < bytes.len() => {
                    let piece = &bytes[at..];
                    let piece = &piece[..piece.len().min(usize::try_from(left).unwrap_or(usize::MAX))];
                    self.take(left, piece.len() as u64)?;
                    return Ok((at + piece.len(), Piece::Data(piece)));
                }
                _ => {}
            }
            let Some(byte) = bytes.get(at) else { return Ok((at, Piece::Wants)) };
            self.place = self.step(*byte)?;
            at += 1;
        }
    }

    fn take(&mut self, left: u64, taken: u64) -> Result<(), Fault> {
        self.room = self.room.checked_sub(taken).ok_or(Fault::TooLarge)?;
        self.place = match self.place {
            Place::Length(_) if left == taken => Place::End,
            Place::Length(_) => Place::Length(left - taken),
            _ if left == taken => Place::DataCr,
            _ => Place::Data(left - taken),
        };
        Ok(())
    }

    /// One byte of the framing.
    fn step(&mut self, byte: u8) -> Result<Place, Fault> {
        Ok(match (self.place, byte) {
            (Place::Size { digits, value }, _) if byte.is_ascii_hexdigit() && digits < 16 => {
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                Place::Size { digits: digits + 1, value: value << 4 | u64::from(digit) }
            }
            (Place::Size { digits: 1.., value }, b'\r') => Place::SizeEnd { value },
            (Place::Size { digits: 1.., value } | Place::Blank { value }, b';') => {
                self.aside(Place::Extension { value })?
            }
            (Place::Size { digits: 1.., value } | Place::Blank { value }, b' ' | b'\t') => {
                self.aside(Place::Blank { value })?
            }
            (Place::Extension { value }, b'\r') => Place::SizeEnd { value },
            (Place::Extension { value }, _) if is_text(byte) => self.aside(Place::Extension { value })?,
            (Place::SizeEnd { value: 0 }, b'\n') => Place::TrailerStart,
            (Place::SizeEnd { value }, b'\n') if value > self.room => return Err(Fault::TooLarge),
            (Place::SizeEnd { value }, b'\n') => Place::Data(value),
            (Place::DataCr, b'\r') => Place::DataLf,
            (Place::DataLf, b'\n') => Place::Size { digits: 0, value: 0 },
            (Place::TrailerStart, b'\r') => Place::LastLf,
            (Place::LastLf, b'\n') => Place::End,
            (Place::TrailerName, b':') => self.aside(Place::TrailerValue)?,
            (Place::TrailerStart | Place::TrailerName, _) if is_token_byte(byte) => self.aside(Place::TrailerName)?,
            (Place::TrailerValue, b'\r') => Place::TrailerEnd,
            (Place::TrailerValue, _) if is_text(byte) => self.aside(Place::TrailerValue)?,
            (Place::TrailerEnd, b'\n') => Place::TrailerStart,
            _ => return Err(Fault::Malformed),
        })
    }

    /// Counts a byte that is ignored.
    fn aside(&mut self, next: Place) -> Result<Place, Fault> {
        self.overhead += 1;
        if self.overhead > HTTP_BODY_OVERHEAD { Err(Fault::Malformed) } else { Ok(next) }
    }
}

/// A byte of a header's value (RFC 9110 section 5.5).
fn is_text(byte: u8) -> bool {
    byte == b'\t' || !byte.is_ascii_control()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The body, and what is left behind it; `None` there: it is not over.
    type Outcome = Result<(Vec<u8>, Option<Vec<u8>>), Fault>;

    /// Feeds `bytes` in these cuts.
    fn fed(body: Body, limit: u64, bytes: &[u8], cuts: impl IntoIterator<Item = usize>) -> Outcome {
        let mut decoder = Decoder::new(body, limit).expect("a body");
        let (mut data, mut from) = (Vec::new(), 0);
        let mut ends: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).chain([bytes.len()]).collect();
        ends.sort_unstable();
        for to in ends {
            loop {
                let (taken, piece) = decoder.decode(&bytes[from..to])?;
                from += taken;
                match piece {
                    Piece::Data(piece) => data.extend_from_slice(piece),
                    Piece::End => return Ok((data, Some(bytes[from..].to_vec()))),
                    Piece::Wants => break,
                }
            }
            assert_eq!(from, to, "it takes everything while the body goes on");
        }
        Ok((data, None))
    }

    fn chunked(text: &str) -> Outcome {
        let whole = fed(Body::Chunked, 1000, text.as_bytes(), []);
        assert_eq!(fed(Body::Chunked, 1000, text.as_bytes(), 0..text.len()), whole, "byte by byte: {text:?}");
        whole
    }

    fn done(data: &str, rest: &str) -> Outcome {
        Ok((data.as_bytes().to_vec(), Some(rest.as_bytes().to_vec())))
    }

    #[test]
    fn chunks_are_put_together_and_what_is_between_them_is_dropped() {
        for (text, outcome) in [
            ("0\r\n\r\nGET /", done("", "GET /")),
            ("3\r\nabc\r\n0\r\n\r\n", done("abc", "")),
            ("3\r\nabc\r\n0002\r\nde\r\n000\r\n\r\nx", done("abcde", "x")),
            ("A\r\n0123456789\r\n0\r\n\r\n", done("0123456789", "")),
            ("a;x=\"y;z\" ; b\r\n0123456789\r\n0;last\r\n\r\n", done("0123456789", "")),
            ("1 \t;x\r\na\r\n0\r\n\r\n", done("a", "")),
            ("0\r\nX-A: b\r\nEmpty:\r\n\r\nrest", done("", "rest")),
            ("3\r\nab", Ok((b"ab".to_vec(), None))),
            ("3\r\nabc\r\n0\r\n", Ok((b"abc".to_vec(), None))),
        ] {
            assert_eq!(chunked(text), outcome, "{text:?}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_a_fault() {
        for text in [
            "\r\n",
            ";\r\n",
            " 3\r\nabc\r\n",
            "3 \r\nabc\r\n",
            "+3\r\nabc\r\n",
            "-1\r\n",
            "0x3\r\nabc\r\n",
            "3\nabc\r\n",
            "3;x\nabc\r\n",
            "3\r\rabc",
            "3;\0\r\nabc\r\n",
            "3\r\nabcd\r\n",
            "3\r\nabc\n0\r\n\r\n",
            "3\r\nabc\r0\r\n\r\n",
            "g\r\n",
            "00000000000000001\r\na",
            "0\r\n: no name\r\n\r\n",
            "0\r\n folded\r\n\r\n",
            "0\r\nno colon\r\n\r\n",
            "0\r\nX: a\n\r\n",
            "0\r\nX: a\r\r\n",
            "0\r\nX : a\r\n\r\n",
            "0\r\n\n",
        ] {
            assert_eq!(chunked(text), Err(Fault::Malformed), "{text:?}");
        }
    }

    #[test]
    fn a_body_beyond_its_limit_is_one_too_many() {
        assert_eq!(chunked(&format!("{:x}\r\n", 1001)), Err(Fault::TooLarge));
        assert_eq!(chunked("ffffffffffffffff\r\n"), Err(Fault::TooLarge));
        let twice = format!("1f4\r\n{0}\r\n1f5\r\n", "x".repeat(500));
        assert_eq!(chunked(&twice), Err(Fault::TooLarge));
        let fits = format!("1f4\r\n{0}\r\n1f4\r\n{0}\r\n0\r\n\r\n", "x".repeat(500));
        assert_eq!(chunked(&fits), done(&"x".repeat(1000), ""));
    }

    #[test]
    fn extensions_and_trailers_are_bounded_together() {
        let fits = "a".repeat(HTTP_BODY_OVERHEAD - 3);
        assert_eq!(chunked(&format!("0;{fits}\r\nX:\r\n\r\n")), done("", ""));
        assert_eq!(chunked(&format!("0;{fits}\r\nXY:\r\n\r\n")), Err(Fault::Malformed));
        let many = "1;x\r\na\r\n".repeat(HTTP_BODY_OVERHEAD / 2 + 1);
        assert_eq!(fed(Body::Chunked, u64::MAX, many.as_bytes(), []), Err(Fault::Malformed));
    }

    #[test]
    fn a_length_is_counted() {
        assert!(Decoder::new(Body::None, 1).is_none());
        assert_eq!(fed(Body::Length(0), 9, b"GET", []), done("", "GET"));
        assert_eq!(fed(Body::Length(3), 9, b"abcGET", 0..6), done("abc", "GET"));
        assert_eq!(fed(Body::Length(3), 9, b"ab", []), Ok((b"ab".to_vec(), None)));
    }

    proptest! {
        #[test]
        fn the_outcome_does_not_depend_on_the_cuts(
            pieces in prop::collection::vec(("[0-9a-f]{0,2}", "[ ;xX:\\r\\n]{0,3}", "[a-c]{0,20}"), 0..6),
            well_formed in prop::collection::vec("[a-z]{1,40}", 0..6),
            cuts in prop::collection::vec(0usize..400, 0..12),
        ) {
            let odd: String = pieces.iter().map(|(size, end, data)| format!("{size}{end}{data}\r\n")).collect();
            let mut good: String = well_formed.iter().map(|data| format!("{:x}\r\n{data}\r\n", data.len())).collect();
            good.push_str("0\r\n\r\nGET /");
            for text in [&odd, &good, &(good.clone() + &odd)] {
                let whole = fed(Body::Chunked, 64, text.as_bytes(), []);
                prop_assert_eq!(&fed(Body::Chunked, 64, text.as_bytes(), cuts.clone()), &whole);
                prop_assert_eq!(&fed(Body::Chunked, 64, text.as_bytes(), 0..text.len()), &whole);
            }
            let all = well_formed.concat();
            prop_assert_eq!(fed(Body::Chunked, 1000, good.as_bytes(), cuts), done(&all, "GET /"));
        }
    }
}
