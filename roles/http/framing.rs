//! How the body of a response that a protocol makes is framed (RFC 9112 section 6.3), and its head.
//!
//! ```text
//!   no body (HEAD, 204, 205, 304)      Nothing      whatever is written
//!   its length is known                Length       declared, or complete within one callback
//!   HTTP/1.1                           Chunked
//!   HTTP/1.0                           UntilClose
//! ```

use std::io::Write;

use crate::cx::Cx;
use crate::http::Response;
use crate::wsi::Wsi;

use super::answer::Field;
use super::response::{ResponseHead, Terms};
use super::status::Status;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Framing {
    Nothing,
    Length,
    Chunked,
    UntilClose,
}

/// What a head is made of beside the response.
pub(super) struct Framer<'a> {
    pub(super) wsi: &'a Wsi,
    pub(super) cx: &'a mut Cx,
    /// Where in the vhost's list the mount is whose headers are sent.
    pub(super) mount: Option<usize>,
    pub(super) terms: Terms,
}

impl Framer<'_> {
    /// Writes the head; `complete` is the length of a body that is complete already.
    pub(super) fn head(
        self,
        out: &mut Vec<u8>,
        response: &Response,
        added: &[Field],
        complete: Option<usize>,
    ) -> Framing {
        let Framer { wsi, cx, mount, terms } = self;
        let status = Status::from_code(response.status).unwrap_or(Status::INTERNAL_SERVER_ERROR);
        let length = response.content_length.or_else(|| complete.map(|bytes| bytes as u64));
        // The head of a GET may say a length that a HEAD has not even counted.
        let length = length.filter(|bytes| !(terms.head_only && *bytes == 0 && response.content_length.is_none()));
        let framing = match length {
            _ if terms.head_only || !status.has_content() => Framing::Nothing,
            Some(_) => Framing::Length,
            None if terms.version.has_chunks() => Framing::Chunked,
            None => Framing::UntilClose,
        };
        let date = *cx.date.at(cx.now);
        let mut head =
            ResponseHead::begin(out, status, &cx.info.server_string, &date).connection(terms.version, terms.keep_alive);
        if status.has_content() {
            if let Some(content_type) = &response.content_type {
                head = head.field("Content-Type", content_type);
            }
            if let Some(length) = length {
                head = head.content_length(length);
            }
        } else if status == Status::RESET_CONTENT {
            head = head.content_length(0);
        }
        if framing == Framing::Chunked {
            head = head.header("Transfer-Encoding", b"chunked");
        }
        let vhost = cx.vhost(wsi.vhost);
        let of_mount = vhost.and_then(|vhost| vhost.mounts.get(mount?)?.headers.as_ref());
        if let Some(headers) = of_mount.or(vhost.map(|vhost| &vhost.headers)) {
            let own: Vec<Field> = response.headers.iter().chain(added).cloned().collect();
            head = head.lines_but(headers.lines(wsi.is_tls()), &own);
        }
        for (name, value) in response.headers.iter().chain(added) {
            head = head.field(name, value);
        }
        head.end();
        framing
    }
}

impl Framing {
    /// Writes a piece of the body, and the end behind the last one. The bytes that are not of the body.
    pub(super) fn body(self, out: &mut Vec<u8>, piece: &[u8], is_last: bool) -> usize {
        let before = out.len();
        match self {
            Framing::Nothing => return 0,
            Framing::Length | Framing::UntilClose => out.extend_from_slice(piece),
            Framing::Chunked => {
                if !piece.is_empty() {
                    write!(out, "{:x}\r\n", piece.len()).expect("a Vec takes everything");
                    out.extend_from_slice(piece);
                    out.extend_from_slice(b"\r\n");
                }
                if is_last {
                    out.extend_from_slice(b"0\r\n\r\n");
                }
            }
        }
        out.len() - before - piece.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(framing: Framing, pieces: &[&str]) -> (String, usize) {
        let mut out = Vec::new();
        let mut overhead = 0;
        for (number, piece) in pieces.iter().enumerate() {
            overhead += framing.body(&mut out, piece.as_bytes(), number + 1 == pieces.len());
        }
        (String::from_utf8(out).expect("a text"), overhead)
    }

    #[test]
    fn a_body_is_framed_as_its_head_said() {
        let pieces = ["0123456789abcdef", "", "x"];
        let chunks = "10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n".to_owned();
        assert_eq!(written(Framing::Chunked, &pieces), (chunks, 16));
        assert_eq!(written(Framing::Chunked, &["", ""]), ("0\r\n\r\n".to_owned(), 5));
        assert_eq!(written(Framing::Length, &pieces), (pieces.concat(), 0));
        assert_eq!(written(Framing::UntilClose, &pieces), (pieces.concat(), 0));
        assert_eq!(written(Framing::Nothing, &pieces), (String::new(), 0));
    }
}
