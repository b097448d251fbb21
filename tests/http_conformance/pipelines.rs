//! Requests that are sent ahead: RFC 9112 section 9.3.2. Every row of every table is one, for the probe is behind it.

use super::house::DIGITS;
use super::row::{Row, row};
use crate::util::site::INDEX;

const INDEX_PAGE: &str = "GET / HTTP/1.1\r\nHost: a\r\n\r\n";
const DIGITS_FILE: &str = "GET /digits.txt HTTP/1.1\r\nHost: a\r\n\r\n";
const SLOW: &str = "GET /cb/slow HTTP/1.1\r\nHost: a\r\n\r\n";
const STREAM: &str = "GET /cb/stream HTTP/1.1\r\nHost: a\r\n\r\n";
const BIG: &str = "GET /big.txt HTTP/1.1\r\nHost: a\r\n\r\n";
const HEAD: &str = "HEAD /digits.txt HTTP/1.1\r\nHost: a\r\n\r\n";
const POST: &str = "POST /cb/echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello";
const CHUNKS: &str = "POST /cb/echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
const BAD: &str = "GET / HTTP/1.1\r\n\r\n";
const LAST: &str = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

fn several(requests: &[&str]) -> Row {
    row(requests.concat())
}

pub fn rows() -> Vec<Row> {
    let mut hundred = row(DIGITS_FILE.repeat(100));
    for _ in 0..100 {
        hundred = hundred.gets(200).body(DIGITS);
    }
    let mut posts = row([POST, CHUNKS].concat().repeat(20));
    for _ in 0..40 {
        posts = posts.gets(200).body("POST /cb/echo\nhello");
    }
    // More than is looked ahead (16 KiB) waits in the system, and is not lost.
    let mut slow = row([SLOW, &POST.repeat(300)].concat()).gets(200).body("in time");
    for _ in 0..300 {
        slow = slow.gets(200).body("POST /cb/echo\nhello");
    }
    vec![
        several(&[INDEX_PAGE, DIGITS_FILE]).gets(200).body(INDEX).gets(200).body(DIGITS),
        several(&[SLOW, DIGITS_FILE, STREAM, INDEX_PAGE])
            .gets(200)
            .body("in time")
            .gets(200)
            .body(DIGITS)
            .gets(200)
            .body("1\n2\n3\n")
            .gets(200)
            .body(INDEX),
        several(&[HEAD, DIGITS_FILE, HEAD]).gets(200).to_head().gets(200).body(DIGITS).gets(200).to_head(),
        several(&[POST, DIGITS_FILE, CHUNKS, POST]).gets(200).gets(200).body(DIGITS).gets(200).gets(200),
        several(&[BIG, DIGITS_FILE, BIG]).gets(200).gets(200).body(DIGITS).gets(200),
        several(&["GET /none HTTP/1.1\r\nHost: a\r\n\r\n", DIGITS_FILE]).gets(404).gets(200).body(DIGITS),
        several(&[DIGITS_FILE, "\r\n", DIGITS_FILE, "\r\n\r\n"]).gets(200).gets(200),
        // An error is answered in its turn, and the last.
        several(&[DIGITS_FILE, BAD, DIGITS_FILE]).gets(200).gets(400).closed(),
        several(&[SLOW, BAD]).gets(200).body("in time").gets(400).closed(),
        several(&[BIG, BAD]).gets(200).gets(400).closed(),
        several(&[POST, "hello\r\n\r\n"]).gets(200).gets(400).closed(),
        several(&[DIGITS_FILE, LAST, DIGITS_FILE]).gets(200).gets(200).closed(),
        several(&[SLOW, LAST, SLOW]).gets(200).gets(200).closed(),
        several(&[DIGITS_FILE, "GET / HTTP/1.0\r\n\r\n", DIGITS_FILE]).gets(200).gets(200).closed(),
        several(&[STREAM, "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", DIGITS_FILE]).gets(200).gets(405).closed(),
        hundred,
        posts,
        slow,
    ]
}
