//! `Host`: RFC 9110 section 7.2, RFC 9112 section 3.2.

use super::house::INDEX_OF_B;
use super::row::{Row, row};
use crate::util::site::INDEX;

fn host(line: &str) -> Row {
    row(format!("GET / HTTP/1.1\r\n{line}\r\n"))
}

pub fn rows() -> Vec<Row> {
    vec![
        // Needed in HTTP/1.1, once, and valid: all else is 400.
        host("").gets(400).closed(),
        host("X: Host: a\r\n").gets(400).closed(),
        host("Host: a\r\nHost: a\r\n").gets(400).closed(),
        host("Host: a\r\nHost: b.example\r\n").gets(400).closed(),
        host("Host: a\r\nhOST: b.example\r\n").gets(400).closed(),
        host("Host:\r\n").gets(400).closed(),
        host("Host: \r\n").gets(400).closed(),
        host("Host: a b\r\n").gets(400).closed(),
        host("Host: a, b.example\r\n").gets(400).closed(),
        host("Host: a/b\r\n").gets(400).closed(),
        host("Host: a?\r\n").gets(400).closed(),
        host("Host: a#\r\n").gets(400).closed(),
        host("Host: a\\b\r\n").gets(400).closed(),
        host("Host: u@a\r\n").gets(400).closed(),
        host("Host: http://a\r\n").gets(400).closed(),
        host("Host: \"a\"\r\n").gets(400).closed(),
        host("Host: a%\r\n").gets(400).closed(),
        host("Host: \u{e4}\r\n").gets(400).closed(),
        host("Host: a:x\r\n").gets(400).closed(),
        host("Host: a:+80\r\n").gets(400).closed(),
        host("Host: a:65536\r\n").gets(400).closed(),
        host("Host: a:80:80\r\n").gets(400).closed(),
        host("Host: :80\r\n").gets(400).closed(),
        // IPv6 has brackets.
        host("Host: [::1\r\n").gets(400).closed(),
        host("Host: ::1\r\n").gets(400).closed(),
        host("Host: [a]\r\n").gets(400).closed(),
        host("Host: [::1]x\r\n").gets(400).closed(),
        host("Host: [::1]\r\n").gets(200).body(INDEX),
        host("Host: [::1]:80\r\n").gets(200).body(INDEX),
        // What names a vhost: any case, any port, the dot of a full name.
        host("Host: b.example\r\n").gets(200).body(INDEX_OF_B),
        host("HOST:b.example\r\n").gets(200).body(INDEX_OF_B),
        host("Host: \t b.example \t \r\n").gets(200).body(INDEX_OF_B),
        host("Host: B.Example:8080\r\n").gets(200).body(INDEX_OF_B),
        host("Host: b.example.\r\n").gets(200).body(INDEX_OF_B),
        host("Host: b.example:\r\n").gets(200).body(INDEX_OF_B),
        host("Host: unknown.example\r\n").gets(200).body(INDEX),
        host("Host: 127.0.0.1:7681\r\n").gets(200).body(INDEX),
        // RFC 9112 section 3.2.2: the authority of an absolute target wins; `Host` has to be valid all the same.
        row("GET http://b.example/ HTTP/1.1\r\nHost: a\r\n\r\n").gets(200).body(INDEX_OF_B),
        row("GET http://a/ HTTP/1.1\r\nHost: b.example\r\n\r\n").gets(200).body(INDEX),
        row("GET http://a/ HTTP/1.1\r\n\r\n").gets(400).closed(),
        row("GET http://a/ HTTP/1.1\r\nHost: a b\r\n\r\n").gets(400).closed(),
        row("GET http://a/ HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n").gets(400).closed(),
        // HTTP/1.0 has none, but a bad one is bad.
        row("GET / HTTP/1.0\r\n\r\n").gets(200).body(INDEX).closed(),
        row("GET / HTTP/1.0\r\nHost: b.example\r\n\r\n").gets(200).body(INDEX_OF_B).closed(),
        row("GET / HTTP/1.0\r\nHost: a b\r\n\r\n").gets(400).closed(),
        row("GET http://b.example/ HTTP/1.0\r\n\r\n").gets(200).body(INDEX_OF_B).closed(),
        // No body in the answer to a HEAD, though it is refused (RFC 9110 section 9.3.2).
        row("HEAD / HTTP/1.1\r\n\r\n").gets(400).to_head().closed(),
        row("\r\nHEAD / HTTP/1.1\r\nHost: a b\r\n\r\n").gets(400).to_head().closed(),
    ]
}
