//! `Expect`: RFC 9110 section 10.1.1. That a `100` comes when it is waited for is in `tests/http_dynamic.rs`; here it is left out, for the
//! clients of this table do not wait.

use super::row::{Row, lines, post, row};

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        post("Expect: 100-continue\r\nContent-Length: 5\r\n", "hello").gets(200).body("POST /cb/echo\nhello"),
        post("expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n").gets(200),
        post("Expect: 100-continue\r\nExpect: 100-continue\r\nContent-Length: 5\r\n", "hello").gets(200),
        // Nothing is waited for where there is no body.
        lines("Expect: 100-continue\r\n").gets(200),
        post("Expect: 100-continue\r\nContent-Length: 0\r\n", "").gets(200),
        // HTTP/1.0 has no expectations.
        row("GET / HTTP/1.0\r\nExpect: x\r\n\r\n").gets(200).closed(),
        row("POST /cb/echo HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello").gets(200).closed(),
        // The answer instead of the body: whether that still comes is not to be told (section 10.1.1), so it is the last one.
        row("POST /cb/early HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello")
            .gets(403)
            .closed(),
        row("POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\nhello").gets(405).closed(),
        post("Expect: 100-continue\r\nContent-Length: 99999999\r\n", "").gets(413).closed(),
    ];
    for unknown in ["", "200-ok", "100-continue, x", "100-continue;x", "100", "x\r\nExpect: 100-continue"] {
        rows.push(lines(format!("Expect: {unknown}\r\n")).gets(417));
        rows.push(post(&format!("Expect: {unknown}\r\nContent-Length: 5\r\n"), "hello").gets(417).closed());
    }
    rows
}
