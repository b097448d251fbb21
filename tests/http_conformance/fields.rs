//! The syntax of header fields: RFC 9112 section 5, RFC 9110 section 5.

use super::row::{Row, lines, row};
use crate::util::site::INDEX;

pub fn rows() -> Vec<Row> {
    let many = |count| "X: y\r\n".repeat(count);
    vec![
        lines("X:\r\n").gets(200).body(INDEX),
        lines("X:y\r\nX: \t y\t \r\nx: z\r\n").gets(200).body(INDEX),
        lines("!#$%&'*+-.^_`|~1aZ: y\r\n").gets(200).body(INDEX),
        lines("X: : y: ;,\"\\\r\n").gets(200).body(INDEX),
        // RFC 9110 section 5.5: obs-text is opaque.
        lines(b"X: \x80\xff\r\n").gets(200).body(INDEX),
        // No space before the colon (section 5.1), nor a line without one.
        lines("X : y\r\n").gets(400).closed(),
        lines("X\t: y\r\n").gets(400).closed(),
        lines("Content-Length : 5\r\n").gets(400).closed(),
        lines("X\r\n").gets(400).closed(),
        lines(": y\r\n").gets(400).closed(),
        lines(" : y\r\n").gets(400).closed(),
        lines("X Y: z\r\n").gets(400).closed(),
        lines("X\"Y: z\r\n").gets(400).closed(),
        lines("X(Y): z\r\n").gets(400).closed(),
        lines("X\u{e4}: z\r\n").gets(400).closed(),
        lines("X\0: y\r\n").gets(400).closed(),
        // A value over several lines (section 5.2), and what would be one.
        lines("X: y\r\n z\r\n").gets(400).closed(),
        lines("X: y\r\n\tz\r\n").gets(400).closed(),
        lines("X: y\r\n \r\n").gets(400).closed(),
        row("GET / HTTP/1.1\r\n Host: a\r\n\r\n").gets(400).closed(),
        row("GET / HTTP/1.1\r\n\tX: y\r\nHost: a\r\n\r\n").gets(400).closed(),
        // CR, LF and NUL in a value (RFC 9110 section 5.5), and what is like them.
        lines("X: y\rz\r\n").gets(400).closed(),
        lines("X: y\r\r\n").gets(400).closed(),
        lines("X: y\nZ: z\r\n").gets(400).closed(),
        lines("X: y\n\r\n").gets(400).closed(),
        lines("X: \0\r\n").gets(400).closed(),
        lines("X: \x01\r\n").gets(400).closed(),
        lines("X: \x0b\r\n").gets(400).closed(),
        lines("X: \x7f\r\n").gets(400).closed(),
        lines("\r\n\r\n").gets(200).body(INDEX),
        // Section 5.4 of RFC 6585; with Host there are a hundred.
        lines(many(99)).gets(200).body(INDEX),
        lines(many(100)).gets(431).closed(),
        lines(many(3000)).gets(431).closed(),
        lines(format!("X: {}\r\n", "y".repeat(16_000))).gets(200).body(INDEX),
        lines(format!("X: {}\r\n", "y".repeat(17_000))).gets(431).closed(),
        lines(format!("{}: y\r\n", "X".repeat(17_000))).gets(431).closed(),
        // What is not known here is ignored, whatever it says (RFC 9110 section 5.1).
        lines("Upgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\nHTTP2-Settings: AAMAAABk\r\n")
            .gets(200)
            .body(INDEX),
        lines("Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Version: 13\r\n").gets(200).body(INDEX),
        lines("Upgrade: websocket\r\n").gets(200).without("Upgrade").body(INDEX),
        lines("TE: trailers\r\nConnection: TE\r\nTrailer: X\r\nVia: 1.1 x\r\n").gets(200).body(INDEX),
        lines("X-Forwarded-Host: b.example\r\nForwarded: host=b.example\r\n").gets(200).body(INDEX),
        lines("X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /none\r\n").gets(200).body(INDEX),
        lines("Cookie: a=b\r\nCookie: c=d\r\nAccept: */*\r\nAccept-Encoding: *;q=0\r\n").gets(200).body(INDEX),
        lines("Proxy-Connection: close\r\nKeep-Alive: timeout=1\r\n").gets(200).body(INDEX),
    ]
}
