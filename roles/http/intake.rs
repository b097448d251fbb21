//! The requests of one connection, taken out of its bytes without the connection: what fuzzing feeds, and a test of this file.
//!
//! ```text
//!   pieces ──▶ h1 ──▶ Head ──▶ body ──▶ Body ──▶ h1 ──▶ ..          until something is Refused
//! ```
//!
//! Invariant: however the bytes are cut, the same requests come out of the same places. There is no counterpart in lws.

use std::ops::Range;

use crate::context::ContextInfo;
use crate::limits;

use super::body::{Decoder, Fault, Piece};
use super::h1::{self, Body, Bounds, Parsed};
use super::status::Status;

/// What was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// A request's head.
    Head {
        /// Where it stands, empty lines before it included.
        place: Range<usize>,
        /// The name of its method.
        method: &'static str,
        /// What it asks for, as [`h1`] makes it.
        target: String,
        /// Whom it asks.
        host: Option<String>,
        /// What follows.
        framing: Framing,
    },
    /// All of its body.
    Body {
        /// Where it stands, its framing included.
        place: Range<usize>,
        /// What it carries.
        data: Vec<u8>,
    },
    /// Not to be served, with this status; nothing behind it is looked at.
    Refused(u16),
}

/// How a body is framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// There is none.
    Nothing,
    /// So many bytes.
    Length(u64),
    /// Chunks.
    Chunked,
}

/// Takes the requests out of a connection's bytes, with the bounds that hold unless told.
pub fn requests<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Vec<Taken> {
    let mut intake = Intake::default();
    for piece in pieces {
        intake.held.extend_from_slice(piece);
        while intake.step() {}
    }
    intake.taken
}

#[derive(Default)]
struct Intake {
    /// What has come and is not taken yet.
    held: Vec<u8>,
    /// Bytes taken before it.
    at: usize,
    /// The body that is being read, where it began, and what it carried so far.
    body: Option<(Decoder, usize, Vec<u8>)>,
    taken: Vec<Taken>,
}

impl Intake {
    /// One step. `false`: there is none without more bytes.
    fn step(&mut self) -> bool {
        if matches!(self.taken.last(), Some(Taken::Refused(_))) {
            return false;
        }
        match self.body.take() {
            Some((decoder, from, data)) => self.take_body(decoder, from, data),
            None => self.take_head(),
        }
    }

    fn take_head(&mut self) -> bool {
        let len = match h1::parse(&self.held, Bounds::of(&ContextInfo::default())) {
            Parsed::Partial => return false,
            Parsed::Bad(status) => {
                self.taken.push(Taken::Refused(status.code()));
                return false;
            }
            Parsed::Complete { head, len } => {
                let framing = match head.body {
                    Body::None => Framing::Nothing,
                    Body::Length(length) => Framing::Length(length),
                    Body::Chunked => Framing::Chunked,
                };
                let place = self.at..self.at + len;
                let decoder = Decoder::new(head.body, limits::HTTP_BODY);
                self.body = decoder.map(|decoder| (decoder, place.end, Vec::new()));
                let (method, host) = (head.method.as_str(), head.host.map(str::to_owned));
                self.taken.push(Taken::Head { place, method, target: head.target.to_owned(), host, framing });
                len
            }
        };
        self.consume(len);
        true
    }

    fn take_body(&mut self, mut decoder: Decoder, from: usize, mut data: Vec<u8>) -> bool {
        let (taken, is_over) = match decoder.decode(&self.held) {
            Ok((taken, Piece::Data(piece))) => {
                data.extend_from_slice(piece);
                (taken, decoder.is_over())
            }
            Ok((taken, Piece::Wants)) => (taken, false),
            Ok((taken, Piece::End)) => (taken, true),
            Err(fault) => {
                let status = match fault {
                    Fault::Malformed => Status::BAD_REQUEST,
                    Fault::TooLarge => Status::CONTENT_TOO_LARGE,
                };
                self.taken.push(Taken::Refused(status.code()));
                return false;
            }
        };
        self.consume(taken);
        if is_over {
            self.taken.push(Taken::Body { place: from..self.at, data });
        } else {
            self.body = Some((decoder, from, data));
        }
        is_over || !self.held.is_empty()
    }

    fn consume(&mut self, taken: usize) {
        self.held.drain(..taken);
        self.at += taken;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Pieces of which requests are made, and of which none should be.
    fn connections() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop::sample::select(vec![
            "GET / HTTP/1.1\r\nHost: a\r\n",
            "POST /x HTTP/1.1\r\nHost: a\r\n",
            "POST /y HTTP/1.0\r\n",
            "Content-Length: 5\r\n",
            "Content-Length: 0\r\n",
            "Transfer-Encoding: chunked\r\n",
            "\r\n",
            "hello",
            "5\r\nhello\r\n",
            "0\r\n\r\n",
            "0\r\nX: y\r\n\r\n",
            "\n",
            "\r",
            " ",
        ]);
        prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat().into_bytes())
    }

    proptest! {
        #[test]
        fn the_same_requests_come_out_of_any_cuts(bytes in connections(), at in any::<prop::sample::Index>()) {
            let whole = requests([&bytes[..]]);
            prop_assert_eq!(&requests(bytes.chunks(1)), &whole);
            let (before, behind) = bytes.split_at(at.index(bytes.len() + 1));
            prop_assert_eq!(requests([before, behind]), whole);
        }
    }

    #[test]
    fn bodies_lie_between_requests() {
        let bytes = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\nGET /b HTTP/1.0\r\n\r\n";
        let taken = requests([&bytes[..]]);
        let [Taken::Head { place, .. }, Taken::Body { place: body, data }, Taken::Head { target, .. }] = &taken[..]
        else {
            panic!("{taken:?}")
        };
        assert_eq!((place.end, &data[..], &target[..]), (body.start, &b"hi"[..], "/b"));
    }
}
