//! Response heads, written straight into the connection's tx.
//!
//! ```text
//! ResponseHead::begin(out, status, server, date)   "HTTP/1.1 200 OK", Server, Date
//!     .content_type(..) .content_length(..)        in any order, each at most once
//!     .connection(..) .header(..) .lines(..)
//!     .end()                                       the empty line; the body follows
//! ```
//!
//! Invariants: one value can't become two lines, whatever it holds; nothing is allocated while `out` has room.
//! Counterpart in lws: `lws_add_http_common_headers()` and `lws_finalize_http_header()`.

use std::borrow::Cow;
use std::ops::Range;

use super::h1::Version;
use super::mime::ContentType;
use super::status::Status;
use crate::date::DateText;

/// What a request's head says about the form of its response.
#[derive(Copy, Clone, Debug)]
pub(crate) struct Terms {
    /// What the client speaks.
    pub(crate) version: Version,
    /// Another request may follow.
    pub(crate) keep_alive: bool,
    /// HEAD: no body.
    pub(crate) head_only: bool,
}

/// A response head that is being written.
#[must_use = "a head without its end runs into the body"]
#[derive(Debug)]
pub(crate) struct ResponseHead<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> ResponseHead<'a> {
    /// Writes the status line, `Server` and `Date`.
    ///
    /// The version is 1.1 for clients of 1.0 as well: it says what this server can do (RFC 9110 section 2.5).
    pub(crate) fn begin(out: &'a mut Vec<u8>, status: Status, server: &str, date: &DateText) -> Self {
        out.extend_from_slice(b"HTTP/1.1 ");
        push_status(out, status);
        out.extend_from_slice(b"\r\nServer: ");
        push_value(out, server.as_bytes());
        out.extend_from_slice(b"\r\nDate: ");
        out.extend_from_slice(date);
        out.extend_from_slice(b"\r\n");
        ResponseHead { out }
    }

    /// Lines of a head that is written later.
    pub(crate) fn piece(out: &'a mut Vec<u8>) -> Self {
        ResponseHead { out }
    }

    /// Writes `Content-Type`, where there is to be one.
    pub(crate) fn typed(self, content_type: &ContentType) -> Self {
        match content_type.value() {
            Some(value) => self.content_type(value),
            None => self,
        }
    }

    /// Writes `Content-Type`.
    pub(crate) fn content_type(self, value: &str) -> Self {
        self.header("Content-Type", value.as_bytes())
    }

    /// Writes `Content-Length`: the body's bytes, also where HEAD or 304 leaves them out.
    pub(crate) fn content_length(self, length: u64) -> Self {
        self.out.extend_from_slice(b"Content-Length: ");
        push_number(self.out, length);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Writes `Connection` where the version's default is not what happens, and always before a close: a client of 1.0
    /// sees a response of 1.1 and may take it for persistent (RFC 9112 section 9.6).
    pub(crate) fn connection(self, version: Version, keep_alive: bool) -> Self {
        let line: &[u8] = match (keep_alive, version) {
            (false, _) => b"Connection: close\r\n",
            (true, Version::Http10) => b"Connection: keep-alive\r\n",
            (true, Version::Http11) => b"",
        };
        self.out.extend_from_slice(line);
        self
    }

    /// Writes one more header. The name is the code's own; in the value, which may come from anywhere, control bytes
    /// become spaces (RFC 9110 section 5.5).
    pub(crate) fn header(self, name: &'static str, value: &[u8]) -> Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        push_value(self.out, value);
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Writes `Content-Range`: that these bytes, at least one, are a part of `complete`.
    pub(crate) fn content_range(self, range: &Range<u64>, complete: u64) -> Self {
        self.out.extend_from_slice(b"Content-Range: bytes ");
        for (number, behind) in [(range.start, &b"-"[..]), (range.end - 1, b"/"), (complete, b"\r\n")] {
            push_number(self.out, number);
            self.out.extend_from_slice(behind);
        }
        self
    }

    /// Writes headers that were put together before: whole lines, each with its end.
    pub(crate) fn lines(self, lines: &[u8]) -> Self {
        self.out.extend_from_slice(lines);
        self
    }

    /// The same without those that `fields` say themselves.
    pub(crate) fn lines_but(mut self, lines: &[u8], fields: &[(Cow<'_, str>, Cow<'_, str>)]) -> Self {
        if fields.is_empty() {
            return self.lines(lines);
        }
        for line in lines.split_inclusive(|byte| *byte == b'\n') {
            let name = line.split(|byte| *byte == b':').next().unwrap_or_default();
            if !fields.iter().any(|(own, _)| own.as_bytes().eq_ignore_ascii_case(name)) {
                self = self.lines(line);
            }
        }
        self
    }

    /// Writes a header whose name has been checked.
    pub(crate) fn field(self, name: &str, value: &str) -> Self {
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b": ");
        push_value(self.out, value.as_bytes());
        self.out.extend_from_slice(b"\r\n");
        self
    }

    /// Ends the head.
    pub(crate) fn end(self) {
        self.out.extend_from_slice(b"\r\n");
    }
}

/// The html body of an error: status and phrase, and nothing of the request.
pub(crate) fn error_page(status: Status) -> Vec<u8> {
    let mut page = Vec::with_capacity(192);
    page.extend_from_slice(b"<!DOCTYPE html>\n<html><head><title>");
    push_status(&mut page, status);
    page.extend_from_slice(b"</title></head>\n<body><h1>");
    push_status(&mut page, status);
    page.extend_from_slice(b"</h1></body></html>\n");
    page
}

/// `404 Not Found`
fn push_status(out: &mut Vec<u8>, status: Status) {
    push_number(out, status.code().into());
    out.push(b' ');
    out.extend_from_slice(status.phrase().as_bytes());
}

/// A header's value.
fn push_value(out: &mut Vec<u8>, value: &[u8]) {
    let is_odd = |byte: u8| byte.is_ascii_control() && byte != b'\t';
    let start = out.len();
    out.extend_from_slice(value);
    for byte in &mut out[start..] {
        if is_odd(*byte) {
            *byte = b' ';
        }
    }
}

/// A number in decimal digits.
fn push_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [0; 20];
    let mut first = digits.len();
    loop {
        first -= 1;
        digits[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[first..]);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DATE: &DateText = b"Sun, 06 Nov 1994 08:49:37 GMT";

    /// What `write` adds to a head that has begun.
    fn written(write: impl FnOnce(ResponseHead<'_>) -> ResponseHead<'_>) -> String {
        let mut out = Vec::new();
        let head = ResponseHead::begin(&mut out, Status::OK, "s", DATE);
        let start = head.out.len();
        let _ = write(head);
        String::from_utf8_lossy(&out[start..]).into_owned()
    }

    #[test]
    fn a_whole_head_reads_as_written() {
        let mut out = b"before".to_vec();
        ResponseHead::begin(&mut out, Status::NOT_FOUND, "rlws", DATE)
            .content_type("text/html; charset=utf-8")
            .content_length(1234)
            .connection(Version::Http11, false)
            .header("Location", b"/a/")
            .end();
        assert_eq!(
            String::from_utf8_lossy(&out),
            "beforeHTTP/1.1 404 Not Found\r\nServer: rlws\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: text/html; charset=utf-8\r\nContent-Length: 1234\r\nConnection: close\r\n\
             Location: /a/\r\n\r\n"
        );
    }

    #[test]
    fn a_head_is_written_without_allocation_while_there_is_room() {
        let mut out = Vec::with_capacity(1024);
        let place = out.as_ptr();
        ResponseHead::begin(&mut out, Status::OK, "rlws", DATE)
            .content_type("text/html")
            .content_length(u64::MAX)
            .connection(Version::Http10, true)
            .lines(b"X-A: 1\r\nX-B: 2\r\n")
            .end();
        assert_eq!(out.as_ptr(), place);
    }

    #[test]
    fn a_part_says_which_bytes_of_how_many_it_is() {
        let line = written(|head| head.content_range(&(0..1), 1));
        assert_eq!(line, "Content-Range: bytes 0-0/1\r\n");
        let line = written(|head| head.content_range(&(5..u64::MAX), u64::MAX));
        assert_eq!(line, "Content-Range: bytes 5-18446744073709551614/18446744073709551615\r\n");
    }

    #[test]
    fn a_connection_header_is_sent_only_where_needed() {
        for (version, keep_alive, expected) in [
            (Version::Http11, true, ""),
            (Version::Http11, false, "Connection: close\r\n"),
            (Version::Http10, true, "Connection: keep-alive\r\n"),
            (Version::Http10, false, "Connection: close\r\n"),
        ] {
            let line = written(|head| head.connection(version, keep_alive));
            assert_eq!(line, expected, "{version:?} {keep_alive}");
        }
    }

    #[test]
    fn numbers_are_decimal() {
        for number in [0, 1, 9, 10, 99, 100, 1234567890, u64::MAX] {
            assert_eq!(written(|head| head.content_length(number)), format!("Content-Length: {number}\r\n"));
        }
    }

    #[test]
    fn a_value_never_becomes_two_lines() {
        for (value, line) in [
            ("/a\r\nSet-Cookie: b", "X: /a  Set-Cookie: b\r\n"),
            ("a\nb", "X: a b\r\n"),
            ("a\0b\x7f", "X: a b \r\n"),
            ("a\tb", "X: a\tb\r\n"),
            ("\u{e4}", "X: \u{e4}\r\n"),
            ("", "X: \r\n"),
        ] {
            assert_eq!(written(|head| head.header("X", value.as_bytes())), line);
        }
    }

    #[test]
    fn the_server_string_never_becomes_two_lines() {
        let mut out = Vec::new();
        ResponseHead::begin(&mut out, Status::OK, "a\r\nb", DATE).end();
        assert!(String::from_utf8_lossy(&out).contains("\r\nServer: a  b\r\nDate: "));
    }

    #[test]
    fn an_error_page_says_status_and_phrase() {
        assert_eq!(
            String::from_utf8_lossy(&error_page(Status::FORBIDDEN)),
            "<!DOCTYPE html>\n<html><head><title>403 Forbidden</title></head>\n\
             <body><h1>403 Forbidden</h1></body></html>\n"
        );
    }

    proptest! {
        #[test]
        fn no_value_splits_a_head(value in any::<Vec<u8>>()) {
            let mut out = Vec::new();
            ResponseHead::begin(&mut out, Status::OK, "s", DATE).header("X", &value).end();
            let lines = out.iter().filter(|&&byte| byte == b'\n').count();
            prop_assert_eq!((lines, out.iter().filter(|&&byte| byte == b'\r').count()), (5, 5));
            prop_assert!(out.ends_with(b"\r\n\r\n"));
        }
    }
}
