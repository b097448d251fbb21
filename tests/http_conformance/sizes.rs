//! How much a request may have at most, to the byte: `limits::HTTP_HEAD`, `HTTP_HEADERS`, `HTTP_URI`, `HTTP_EMPTY_LINES`.

use rlws::limits::{HTTP_EMPTY_LINES, HTTP_HEAD, HTTP_HEADERS};

use super::row::{Row, row};

pub fn rows() -> Vec<Row> {
    const START: &str = "GET / HTTP/1.1\r\nHost: a\r\n";
    let head_of = |len: usize| {
        let around = START.len() + "X: \r\n\r\n".len();
        row(format!("{START}X: {}\r\n\r\n", "y".repeat(len - around)))
    };
    let headers = |count| row(format!("{START}{}\r\n", "X: y\r\n".repeat(count - 1)));
    let empty_lines = |count| row(format!("{}{START}\r\n", "\r\n".repeat(count)));
    let target = |len: usize| row(format!("GET /?{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(len - "/?".len())));
    let around_target = "GET  HTTP/1.1\r\nHost: a\r\n\r\n".len();
    vec![
        head_of(HTTP_HEAD).gets(200),
        head_of(HTTP_HEAD + 1).gets(431).closed(),
        headers(HTTP_HEADERS).gets(200),
        headers(HTTP_HEADERS + 1).gets(431).closed(),
        empty_lines(HTTP_EMPTY_LINES).gets(200),
        empty_lines(HTTP_EMPTY_LINES + 1).gets(400).closed(),
        target(HTTP_HEAD - around_target).gets(200),
        target(HTTP_HEAD - around_target + 1).gets(431).closed(),
        target(HTTP_HEAD).gets(414).closed(),
        row("\r\n".repeat(HTTP_HEAD)).gets(400).closed(),
    ]
}
