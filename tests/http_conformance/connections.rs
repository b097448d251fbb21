//! Whether a connection outlives an answer: RFC 9112 section 9, RFC 9110 section 7.6.1. And HTTP/1.0, where it does when asked.

use super::house::DIGITS;
use super::row::{Row, lines, row};
use crate::util::site::INDEX;

pub fn rows() -> Vec<Row> {
    vec![
        lines("").gets(200).without("Connection").without("Keep-Alive"),
        lines("Connection: keep-alive\r\n").gets(200).without("Connection"),
        lines("Connection: close\r\n").gets(200).body(INDEX).closed(),
        lines("connection:CLOSE\r\n").gets(200).closed(),
        lines("Connection: x, Close ,y\r\n").gets(200).closed(),
        lines("Connection: x\r\nConnection: close\r\n").gets(200).closed(),
        lines("Connection: keep-alive, close\r\n").gets(200).closed(),
        lines("Connection: close, keep-alive\r\n").gets(200).closed(),
        lines("Connection: ,,close,,\r\n").gets(200).closed(),
        lines("Connection: closed\r\n").gets(200),
        lines("Connection: x-close\r\n").gets(200),
        lines("Connection:\r\n").gets(200),
        lines("X-Connection: close\r\n").gets(200),
        // An option that names a field is for proxies; nothing is lost by it (RFC 9110 section 7.6.1).
        lines("Connection: Host, Content-Length\r\n").gets(200),
        row("POST /cb/echo HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\nContent-Length: 5\r\n\r\nhello")
            .gets(200)
            .body("POST /cb/echo\nhello"),
        // Every kind of answer says the same of it.
        row("GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").gets(404).closed(),
        row("GET /folder HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").gets(301).closed(),
        row("GET /cb/stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").gets(200).body("1\n2\n3\n").closed(),
        row("GET /cb/slow HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").gets(200).body("in time").closed(),
        row("GET /cb/none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").gets(204).closed(),
        row("HEAD /cb/stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").gets(200).to_head().closed(),
        row("GET /big.txt HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").gets(200).closed(),
        row("GET /secret/ HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").gets(401).closed(),
        row("GET /cb/close HTTP/1.1\r\nHost: a\r\n\r\n").gets(403).closed(),
        // HTTP/1.0
        row("GET / HTTP/1.0\r\n\r\n").gets(200).body(INDEX).closed(),
        row("GET / HTTP/1.0\r\nConnection: close\r\n\r\n").gets(200).closed(),
        row("GET / HTTP/1.0\r\nConnection: x\r\n\r\n").gets(200).closed(),
        row("GET / HTTP/1.0\r\nConnection: keep-alive, close\r\n\r\n").gets(200).closed(),
        row("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n").gets(200).with("Connection", "keep-alive").body(INDEX),
        row("HEAD / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").gets(200).with("Connection", "keep-alive").to_head(),
        row("GET /none HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").gets(404).with("Connection", "keep-alive"),
        row("GET /digits.txt HTTP/1.0\r\nRange: bytes=0-1\r\n\r\n").gets(206).body(&DIGITS[..2]).closed(),
        row("GET /cb/length HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").gets(200).with("Connection", "keep-alive"),
        // A body without a length ends with its connection: nobody reads chunks here.
        row("GET /cb/stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
            .gets(200)
            .without("Transfer-Encoding")
            .body("1\n2\n3\n")
            .closed(),
        row("HEAD /cb/stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").gets(200).to_head(),
        row("GET / HTTP/1.0\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n").gets(200).closed(),
        // The client says EOF: what it asked for is answered, and what it did not finish is not a request.
        lines("").gets(200).body(INDEX).then_eof(),
        row("GET /cb/echo HTTP/1.1\r\nHost: a\r\n\r\nGET /digits.txt HTTP/1.1\r\nHost: a\r\n\r\n")
            .gets(200)
            .gets(200)
            .then_eof(),
        row("GET / HTTP/1.1\r\nHost: a\r\n").gets(400).closed().then_eof(),
        row("GET / HTTP/1.1\r\nHost: a\r\n\r\nGET /").gets(200).gets(400).closed().then_eof(),
        row("POST /cb/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nhello").gets(400).closed().then_eof(),
        row("POST /cb/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n")
            .gets(400)
            .closed()
            .then_eof(),
    ]
}
