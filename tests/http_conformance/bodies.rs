//! Bodies and their limits: RFC 9110 sections 8.6 and 15.5.14.

use super::house::{BIG, SMALL};
use super::row::{Row, chunked, post, row};

fn small(lines: &str, body: &str) -> Row {
    row(format!("POST /small/echo HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}"))
}

pub fn rows() -> Vec<Row> {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    let fits = "0123456789";
    assert_eq!(fits.len() as u64, SMALL);
    let large = "x".repeat(BIG);
    let chunks: String = large
        .as_bytes()
        .chunks(1000)
        .map(|chunk| format!("{:x}\r\n{}\r\n", chunk.len(), "x".repeat(chunk.len())))
        .collect();
    vec![
        small("Content-Length: 10\r\n", fits).gets(200).body(format!("POST /small/echo\n{fits}")),
        small(CHUNKED, "a\r\n0123456789\r\n0\r\n\r\n").gets(200).body(format!("POST /small/echo\n{fits}")),
        // Known to be too long: so is where it ends, and it is passed over.
        small("Content-Length: 11\r\n", "01234567890").gets(413),
        // Too long once it comes: nobody wants to read its end.
        small(CHUNKED, "b\r\n01234567890\r\n0\r\n\r\n").gets(413).closed(),
        small(CHUNKED, "6\r\n012345\r\n5\r\n67890\r\n0\r\n\r\n").gets(413).closed(),
        post("Content-Length: 1048577\r\n", "").gets(413).closed(),
        post("Content-Length: 18446744073709551615\r\n", "").gets(413).closed(),
        // Large ones.
        post(&format!("Content-Length: {BIG}\r\n"), &large).gets(200).body(format!("POST /cb/echo\n{large}")),
        chunked(format!("{chunks}0\r\n\r\n")).gets(200).body(format!("POST /cb/echo\n{large}")),
        // An answer that begins before the body is over.
        row("POST /cb/through HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").gets(200).body("hello"),
        row("POST /cb/through HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n")
            .gets(200)
            .body("hello"),
        row("POST /cb/through HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").gets(200).body(""),
        // Nobody reads it.
        row("GET /cb/stream HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").gets(200).body("1\n2\n3\n"),
        row("GET /cb/slow HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").gets(200),
        row("POST /cb/none HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").gets(204),
    ]
}
