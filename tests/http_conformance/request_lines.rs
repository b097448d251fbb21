//! Request lines: RFC 9112 sections 2.2 and 3.

use super::house::{DIGITS, INDEX_OF_B};
use super::row::{PROBED, Row, row};
use crate::util::site::INDEX;

const HOST: &str = "\r\nHost: a\r\n\r\n";

fn line(line: &str) -> Row {
    row(format!("{line}{HOST}"))
}

pub fn rows() -> Vec<Row> {
    let long = |len| "x".repeat(len);
    let mut rows = vec![
        line("GET / HTTP/1.1").gets(200).body(INDEX),
        // Section 2.2: empty lines before it are skipped.
        line("\r\nGET / HTTP/1.1").gets(200).body(INDEX),
        line("\r\n\r\n\r\nGET / HTTP/1.1").gets(200).body(INDEX),
        // A bare LF may be taken for a line's end; here, as with any two readings, it is not.
        line("\nGET / HTTP/1.1").gets(400).closed(),
        row("GET / HTTP/1.1\nHost: a\r\n\r\n").gets(400).closed(),
        row("GET / HTTP/1.1\r\nHost: a\n\r\n").gets(400).closed(),
        row("GET / HTTP/1.1\r\nHost: a\r\n\n").gets(400).closed(),
        // Section 3: one space on either side of the target.
        line(" GET / HTTP/1.1").gets(400).closed(),
        line("GET  / HTTP/1.1").gets(400).closed(),
        line("GET /  HTTP/1.1").gets(400).closed(),
        line("GET\t/ HTTP/1.1").gets(400).closed(),
        line("GET /\tHTTP/1.1").gets(400).closed(),
        line("GET / HTTP/1.1 ").gets(400).closed(),
        line("GET / HTTP/1.1 x").gets(400).closed(),
        line("GET / x HTTP/1.1").gets(400).closed(),
        line("GET").gets(400).closed(),
        line("GET ").gets(400).closed(),
        line("GET HTTP/1.1").gets(400).closed(),
        line("GET \x00/ HTTP/1.1").gets(400).closed(),
        line("GET /\x00 HTTP/1.1").gets(400).closed(),
        line("GET /\x7f HTTP/1.1").gets(400).closed(),
        line("GET /\r HTTP/1.1").gets(400).closed(),
        row(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n").gets(400).closed(),
        line("G@T / HTTP/1.1").gets(400).closed(),
        // Section 3.1: methods count by case; RFC 9110 section 9.1: those that nobody knows are 501.
        line("get / HTTP/1.1").gets(501).closed(),
        line("Get / HTTP/1.1").gets(501).closed(),
        line("BREW / HTTP/1.1").gets(501).closed(),
        line("PROPFIND / HTTP/1.1").gets(501).closed(),
        line("GETS / HTTP/1.1").gets(501).closed(),
        row(format!("{} / HTTP/1.1{HOST}", long(20_000))).gets(501).closed(),
        // RFC 9110 section 2.5: a later minor version is served, another major one is not. There is no HTTP/0.9.
        line("GET /").gets(400).closed(),
        row("GET /\r\n\r\n").gets(400).closed(),
        line("GET / HTTP/1.2").gets(200).body(INDEX),
        line("GET / HTTP/1.9").gets(200).body(INDEX),
        line("GET / HTTP/2.0").gets(505).closed(),
        line("GET / HTTP/3.0").gets(505).closed(),
        line("GET / HTTP/0.9").gets(505).closed(),
        line("GET / HTTP/1.10").gets(400).closed(),
        line("GET / HTTP/11.1").gets(400).closed(),
        line("GET / HTTP/1.").gets(400).closed(),
        line("GET / HTTP/1").gets(400).closed(),
        line("GET / HTTP/1,1").gets(400).closed(),
        line("GET / http/1.1").gets(400).closed(),
        line("GET / HTTPS/1.1").gets(400).closed(),
        line("GET / ICY/1.1").gets(400).closed(),
        // RFC 9113 section 3.4: who speaks HTTP/2 learns that nobody here does.
        row("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").gets(505).closed(),
        // Section 3: 414 for a target that is too long, and section 5.4 of RFC 6585 for a head.
        row(format!("GET /{} HTTP/1.1{HOST}", long(20_000))).gets(414).closed(),
        row(format!("GET /?{} HTTP/1.1{HOST}", long(15_000))).gets(200).body(INDEX),
    ];
    rows.extend(targets());
    rows
}

/// Section 3.2: the four forms of a target.
fn targets() -> Vec<Row> {
    vec![
        line("GET /digits.txt?a=/../b HTTP/1.1").gets(200).body(DIGITS),
        line("GET /digits.txt#a HTTP/1.1").gets(200).body(DIGITS),
        line("GET /? HTTP/1.1").gets(200).body(INDEX),
        // absolute-form; every server must take it (section 3.2.2)
        line("GET http://a/probe.txt HTTP/1.1").gets(200).body(PROBED),
        line("GET HTTP://a/probe.txt HTTP/1.1").gets(200).body(PROBED),
        line("GET http://a:80/probe.txt HTTP/1.1").gets(200).body(PROBED),
        line("GET https://a/probe.txt HTTP/1.1").gets(200).body(PROBED),
        line("GET http://a HTTP/1.1").gets(200).body(INDEX),
        line("GET http://a?x HTTP/1.1").gets(200).body(INDEX),
        line("GET http://b.example/ HTTP/1.1").gets(200).body(INDEX_OF_B),
        line("GET http://b.example:8080 HTTP/1.1").gets(200).body(INDEX_OF_B),
        line("GET ftp://a/ HTTP/1.1").gets(400).closed(),
        line("GET http:/a HTTP/1.1").gets(400).closed(),
        line("GET http:// HTTP/1.1").gets(400).closed(),
        line("GET http:///x HTTP/1.1").gets(400).closed(),
        line("GET http://a:99999/ HTTP/1.1").gets(400).closed(),
        line("GET http://a:x/ HTTP/1.1").gets(400).closed(),
        // RFC 9110 section 4.2.4: user information in it is an error.
        line("GET http://u:p@a/ HTTP/1.1").gets(400).closed(),
        // asterisk-form is OPTIONS's alone (section 3.2.4)
        line("OPTIONS * HTTP/1.1").gets(204).with("Allow", "GET, HEAD"),
        line("OPTIONS http://a HTTP/1.1").gets(204).with("Allow", "GET, HEAD"),
        line("GET * HTTP/1.1").gets(400).closed(),
        line("OPTIONS ** HTTP/1.1").gets(400).closed(),
        // authority-form is CONNECT's alone (section 3.2.3)
        line("GET a:80 HTTP/1.1").gets(400).closed(),
        line("GET digits.txt HTTP/1.1").gets(400).closed(),
        line("GET ?x HTTP/1.1").gets(400).closed(),
        line("CONNECT / HTTP/1.1").gets(400).closed(),
        line("CONNECT a HTTP/1.1").gets(400).closed(),
        line("CONNECT http://a:80/ HTTP/1.1").gets(400).closed(),
    ]
}
