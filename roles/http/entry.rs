//! A request's line in the access log, Apache's combined format.
//!
//! It begins when the vhost is known, from the bytes of the head as they came, and is finished when the response is out or cut off. What
//! was no request has one too, of as much as came. In lws: `lws_prepare_access_log_info()`, `lws_access_log()`.

use std::io::Write;

use crate::access_line::{push_quoted, push_word};
use crate::access_log::AccessLog;
use crate::cx::Cx;
use crate::wsi::{Peer, Wsi};

use super::h1::Bounds;
use super::status::Status;

/// A line without its status and its bytes.
pub(super) struct Entry {
    log: AccessLog,
    text: Vec<u8>,
    /// Where in it they go.
    middle: usize,
    status: Status,
    /// What had been handed over before the response's body.
    sent_before: u64,
}

/// What a line repeats of a request.
#[derive(Default, Debug, PartialEq, Eq)]
struct Said<'a> {
    line: &'a [u8],
    referer: Option<&'a [u8]>,
    user_agent: Option<&'a [u8]>,
}

impl Entry {
    /// For the request that `bytes` begin with, of the user whom its mount let in; `None` where the vhost has no log. No response has been
    /// sent yet.
    #[inline]
    pub(super) fn begin(wsi: &Wsi, cx: &mut Cx, bytes: &[u8], user: Option<&str>) -> Option<Box<Entry>> {
        let log = cx.vhost(wsi.vhost)?.access_log.as_ref()?.clone();
        Some(Entry::new(log, wsi, cx, bytes, user))
    }

    fn new(log: AccessLog, wsi: &Wsi, cx: &mut Cx, bytes: &[u8], user: Option<&str>) -> Box<Entry> {
        let said = Said::of(&bytes[..bytes.len().min(Bounds::of(&cx.info).head)]);
        let mut text = Vec::with_capacity(TYPICAL);
        let peer = match &wsi.peer {
            Peer::Tcp(address) => write!(text, "{}", address.ip()),
            other => write!(text, "{other}"),
        };
        peer.expect("a Vec takes everything");
        text.extend_from_slice(b" - ");
        push_word(&mut text, user);
        text.extend_from_slice(b" [");
        text.extend_from_slice(&cx.logs.stamp(cx.now, cx.now));
        text.extend_from_slice(b"] ");
        push_quoted(&mut text, Some(said.line).filter(|line| !line.is_empty()));
        let middle = text.len();
        text.push(b' ');
        push_quoted(&mut text, said.referer);
        text.push(b' ');
        push_quoted(&mut text, said.user_agent);
        Box::new(Entry { log, text, middle, status: Status::OK, sent_before: wsi.handed_over() })
    }

    /// The response has begun, with a head of that many bytes.
    pub(super) fn answered(&mut self, status: Status, head: usize) {
        self.status = status;
        self.sent_before += head as u64;
    }

    /// Nobody is there to be answered any more.
    pub(super) fn unanswered(mut self: Box<Self>) -> Box<Entry> {
        self.status = Status::BAD_REQUEST;
        self
    }

    /// That many bytes were or will be sent that are not of the body.
    pub(super) fn aside(&mut self, bytes: usize) {
        self.sent_before += bytes as u64;
    }

    /// The response is out, or will never be.
    pub(super) fn finish(self, wsi: &Wsi, cx: &mut Cx) {
        let (begin, end) = self.text.split_at(self.middle);
        let status = self.status.code();
        cx.logs.append(&self.log, |line| {
            line.extend_from_slice(begin);
            let handed_over = if wsi.flags.corked { wsi.handed_over() } else { wsi.sent };
            match handed_over.saturating_sub(self.sent_before) {
                0 => write!(line, " {status} -"),
                body => write!(line, " {status} {body}"),
            }
            .expect("a Vec takes everything");
            line.extend_from_slice(end);
        });
    }
}

/// Bytes that most lines have room in.
const TYPICAL: usize = 256;

/// How the client calls itself whose head this is.
pub(super) fn user_agent(head: &[u8]) -> Option<&[u8]> {
    Said::of(head).user_agent
}

impl<'a> Said<'a> {
    /// Of a head, or of what was to become one.
    fn of(bytes: &'a [u8]) -> Said<'a> {
        let start = bytes.iter().position(|byte| !matches!(byte, b'\r' | b'\n')).unwrap_or(bytes.len());
        let mut lines =
            bytes[start..].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        let mut said = Said { line: lines.next().unwrap_or_default(), ..Said::default() };
        for line in lines.take_while(|line| !line.is_empty()) {
            let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
            let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
            if name.eq_ignore_ascii_case(b"referer") {
                said.referer.get_or_insert(value);
            } else if name.eq_ignore_ascii_case(b"user-agent") {
                said.user_agent.get_or_insert(value);
            }
        }
        said
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_repeats_three_things_of_a_head() {
        let head = b"\r\nGET /a HTTP/1.1\r\nHost: x\r\nREFERER:  http://a/b \r\nUser-Agent: one\r\nUser-Agent: two\r\n\r\nReferer: no";
        let said = Said::of(head);
        assert_eq!(said.line, b"GET /a HTTP/1.1");
        assert_eq!(said.referer, Some(&b"http://a/b"[..]));
        assert_eq!(said.user_agent, Some(&b"one"[..]));
    }

    #[test]
    fn what_is_no_head_is_repeated_as_far_as_it_came() {
        for (bytes, line) in [
            (&b""[..], &b""[..]),
            (b"\r\n\r\n", b""),
            (b"GET /a HT", b"GET /a HT"),
            (b"GET /a HTTP/1.1\r\nUser-Age", b"GET /a HTTP/1.1"),
            (b"SSH-2.0-x\n", b"SSH-2.0-x"),
            (b"\x16\x03\x01", b"\x16\x03\x01"),
        ] {
            assert_eq!(Said::of(bytes), Said { line, ..Said::default() });
        }
    }
}
