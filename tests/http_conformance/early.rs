//! Answers that do not wait for the body: they arrive, whatever the client still sends (RFC 9112 section 9.6: a server lingers).

use super::house::{BIG, LARGE};
use super::row::{Row, row};

fn post(page: &str, lines: &str, body: &str) -> Row {
    row(format!("POST {page} HTTP/1.1\r\nHost: a\r\n{lines}\r\n{body}"))
}

pub fn rows() -> Vec<Row> {
    const CHUNKED: &str = "Transfer-Encoding: chunked\r\n";
    let large = "x".repeat(1_500_000);
    let chunk = format!("{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let big = vec![b'x'; BIG];
    vec![
        // Short enough to be passed over.
        post("/cb/early", "Content-Length: 5\r\n", "hello").gets(403).body("no"),
        post("/cb/early", CHUNKED, "5\r\nhello\r\n0\r\n\r\n").gets(403).body("no"),
        post("/cb/early-big", "Content-Length: 5\r\n", "hello").gets(403).body(&big),
        post("/", "Content-Length: 5\r\n", "hello").gets(405),
        post("/", CHUNKED, "5\r\nhello\r\n0\r\n\r\n").gets(405),
        post("/secret/", CHUNKED, "5\r\nhello\r\n0\r\n\r\n").gets(401),
        row("GET /big.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").gets(200).body(&big),
        // Known to be long: the answer is the last.
        post("/cb/early", "Content-Length: 1048576\r\n", &large[..1_048_576]).gets(403).body("no"),
        post("/cb/early", "Content-Length: 1500000\r\n", &large).gets(413).closed(),
        post("/", "Content-Length: 1500000\r\n", &large).gets(405).closed(),
        post("/", "Content-Length: 1500000\r\n", "").gets(405).closed(),
        post("/secret/", "Content-Length: 1500000\r\n", &large).gets(401).closed(),
        row(format!("GET /big.txt HTTP/1.1\r\nHost: a\r\nContent-Length: 1500000\r\n\r\n{large}"))
            .gets(200)
            .body(&big)
            .closed(),
        // Begun before the body's end, when it could not be told that all of the body would come: what the head says of the connection holds.
        post("/large/through", &format!("Content-Length: {LARGE}\r\n"), &large[..LARGE])
            .gets(200)
            .body(&large[..LARGE])
            .closed(),
        post("/cb/through", "Expect: 100-continue\r\nContent-Length: 5\r\n", "hello").gets(200).body("hello").closed(),
        post("/cb/through", "Content-Length: 5\r\n", "hello").gets(200).body("hello"),
        row("GET /cb/none-yet HTTP/1.0\r\nConnection: keep-alive\r\n\r\n").gets(204).closed(),
        // Found out to be long, or malformed, with the answer on its way or gone.
        post("/", CHUNKED, &chunk).gets(405).cut_off(),
        post("/", CHUNKED, "5\r\nhelloX").gets(405).cut_off(),
        post("/cb/early", CHUNKED, "x").gets(403).body("no").cut_off(),
        row(format!("GET /big.txt HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n{chunk}")).gets(200).body(&big).cut_off(),
        row(format!("GET /big.txt HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\nx")).gets(200).body(&big).cut_off(),
        post("/cb/early-big", CHUNKED, "x").gets(403).body(&big).cut_off(),
    ]
}
