//! Conditions and ranges, as far as framing goes: RFC 9110 sections 13 and 14. What each means is in `tests/http_files.rs`.

use super::house::{BIG, DIGITS};
use super::row::{Row, row};

fn digits(method: &str, lines: &str) -> Row {
    row(format!("{method} /digits.txt HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

/// A part of a multipart body, without the delimiter before it.
fn part(range: &str, digits: &str) -> String {
    format!("\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Range: bytes {range}/10\r\n\r\n{digits}\r\n")
}

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        digits("GET", "If-None-Match: *\r\n").gets(304).with("ETag", "\"").without("Content-Length"),
        digits("HEAD", "If-None-Match: *\r\n").gets(304).to_head(),
        digits("GET", "If-None-Match: \"x\", W/\"y\",\"\"\r\n").gets(200).body(DIGITS),
        digits("GET", "If-Match: *\r\n").gets(200).body(DIGITS),
        digits("GET", "If-Match: \"x\"\r\n").gets(412),
        digits("HEAD", "If-Match: \"x\"\r\n").gets(412).to_head(),
        // A time that is still to come is one (section 13.1.3).
        digits("GET", "If-Modified-Since: Fri, 31 Dec 9999 23:59:59 GMT\r\n").gets(304),
        digits("GET", "If-Modified-Since: x\r\n").gets(200),
        digits("GET", "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n").gets(412),
        digits("GET", "Range: bytes=0-0\r\n").gets(206).with("Content-Range", "bytes 0-0/10").body("0"),
        digits("GET", "Range: bytes=-3\r\n").gets(206).with("Content-Range", "bytes 7-9/10").body("789"),
        digits("GET", "Range: bytes=5-\r\n").gets(206).body("56789"),
        digits("GET", "Range: bytes=5-999999999999999999\r\n").gets(206).body("56789"),
        digits("GET", "Range: bytes=0-1,4-5\r\n")
            .gets(206)
            .with("Content-Type", "multipart/byteranges; boundary=")
            .body(format!("--{}--{}----\r\n", part("0-1", "01"), part("4-5", "45"))),
        digits("HEAD", "Range: bytes=0-0\r\n").gets(200).to_head().with("Content-Length", "10"),
        digits("GET", "If-None-Match: *\r\nRange: bytes=0-0\r\n").gets(304).without("Content-Range"),
        digits("GET", "If-Range: \"x\"\r\nRange: bytes=0-0\r\n").gets(200).body(DIGITS),
        digits("GET", "Range: bytes=10-\r\n").gets(416).with("Content-Range", "bytes */10"),
        digits("GET", "Range: bytes=-0\r\n").gets(416).with("Content-Range", "bytes */10"),
        // An empty file has no range, so it is sent whole (section 14.2: a server may ignore one).
        row("GET /empty.txt HTTP/1.1\r\nHost: a\r\nRange: bytes=0-0\r\n\r\n").gets(200),
        row("GET /empty.txt HTTP/1.1\r\nHost: a\r\n\r\n").gets(200).with("Content-Length", "0").body(""),
        row("GET /big.txt HTTP/1.1\r\nHost: a\r\n\r\n").gets(200).body(vec![b'x'; BIG]),
    ];
    // Not a range of bytes: ignored (section 14.2).
    for odd in [
        "lines=0-1",
        "bytes",
        "bytes=",
        "bytes=x",
        "bytes=5-2",
        "bytes=0-1,x",
        "bytes 0-1",
        "bytes=0x0-1",
        "bytes=--1",
        "bytes=1",
    ] {
        rows.push(digits("GET", &format!("Range: {odd}\r\n")).gets(200).body(DIGITS));
    }
    rows.push(digits("GET", "Range: bytes=0-1\r\nRange: bytes=2-3\r\n").gets(200).body(DIGITS));
    rows.push(digits("GET", &format!("Range: bytes={}\r\n", vec!["0-0"; 1000].join(","))).gets(200).body(DIGITS));
    rows
}
