//! How a body is framed, and every way to frame it twice: RFC 9112 sections 6 and 11.2, RFC 9110 section 8.6.

use super::row::{PROBE, Row, post, row};

const TWICE: &str = "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n";

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        post("Content-Length: 5\r\n", "hello").gets(200).body("POST /cb/echo\nhello"),
        post("Content-Length: 0\r\n", "").gets(200).body("POST /cb/echo\n"),
        post("Content-Length: 000000000000000000000000005\r\n", "hello").gets(200).body("POST /cb/echo\nhello"),
        post("content-length:5\t\r\n", "hello").gets(200).body("POST /cb/echo\nhello"),
        // Neither length nor coding: no body (section 6.3, rule 7).
        post("", "").gets(200).body("POST /cb/echo\n"),
        post("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n").gets(200).body("POST /cb/echo\nhello"),
        post("transfer-ENCODING: \tChunked \r\n", "5\r\nhello\r\n0\r\n\r\n").gets(200).body("POST /cb/echo\nhello"),
        // A body is never taken for a request, whatever it looks like.
        post(&format!("Content-Length: {}\r\n", PROBE.len()), PROBE).gets(200),
        row(format!("GET /cb/echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{PROBE}", PROBE.len())).gets(200),
        row(format!("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{PROBE}", PROBE.len())).gets(200),
        row(format!("DELETE /cb/echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{PROBE}", PROBE.len())).gets(200),
        row(format!("HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{PROBE}", PROBE.len()))
            .gets(200)
            .to_head(),
        row(format!("OPTIONS / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{PROBE}", PROBE.len())).gets(204),
        row(format!("TRACE / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{PROBE}", PROBE.len())).gets(405),
        // Both (section 6.1): an attempt at smuggling.
        post(TWICE, "0\r\n\r\n").gets(400).closed(),
        post("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", "0\r\n\r\n").gets(400).closed(),
        post("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n", "0\r\n\r\n").gets(400).closed(),
        post("Content-Length: 5\r\nTransfer-Encoding: identity\r\n", "hello").gets(400).closed(),
        post("Content-Length: 5\r\nTransfer-Encoding:\r\n", "hello").gets(400).closed(),
        // HTTP/1.0 knows no transfer codings (section 6.1).
        row("POST /cb/echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n").gets(400).closed(),
        row("POST /cb/echo HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello").gets(200).body("POST /cb/echo\nhello").closed(),
    ];
    // Several lengths, equal or not (section 6.3, rule 5): one of them could be somebody else's.
    for several in ["Content-Length: 5\r\nContent-Length: 5\r\n", "Content-Length: 5\r\nContent-Length: 6\r\n"] {
        rows.push(post(several, "hello").gets(400).closed());
    }
    // Lengths that are not digits alone.
    for length in [
        "",
        "+5",
        "-5",
        "-0",
        "5,5",
        "5, 5",
        "5,6",
        "5 5",
        "0x5",
        "0x",
        "5h",
        "5.0",
        "5e0",
        "\"5\"",
        "5;",
        "\u{665}",
        "18446744073709551616",
        "99999999999999999999999999",
        "NaN",
        "chunked",
        "_5",
        "5_0",
        "\u{a0}5",
    ] {
        rows.push(post(&format!("Content-Length: {length}\r\n"), "hello").gets(400).closed());
    }
    // Codings that are unknown in a known place are 501 (section 6.1); those that hide where the body ends are 400 (section 6.3, rule 4).
    for (codings, status) in [
        ("gzip, chunked", 501),
        ("x, chunked", 501),
        ("identity, chunked", 501),
        ("identity", 400),
        ("gzip", 400),
        ("chunked, gzip", 400),
        ("chunked, identity", 400),
        ("chunked, chunked", 400),
        ("chunked,", 400),
        (",chunked", 400),
        ("chunked;q=1", 400),
        ("chunked x", 400),
        ("\"chunked\"", 400),
        ("xchunked", 400),
        ("chunke", 400),
        ("", 400),
    ] {
        rows.push(post(&format!("Transfer-Encoding: {codings}\r\n"), "0\r\n\r\n").gets(status).closed());
    }
    // A list over several lines is the same list, and is not taken apart here.
    for several in [
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-encoding: cow\r\n",
    ] {
        rows.push(post(several, "0\r\n\r\n").gets(400).closed());
    }
    // Names that only look like it, to one reader or another.
    for hidden in ["Transfer-Encoding : chunked", "Transfer-Encoding\0: chunked", " Transfer-Encoding: chunked"] {
        rows.push(post(&format!("Content-Length: 5\r\n{hidden}\r\n"), "0\r\n\r\n").gets(400).closed());
    }
    for ignored in
        ["Transfer_Encoding: chunked", "X-Transfer-Encoding: chunked", "Content_Length: 9", "TransferEncoding: chunked"]
    {
        rows.push(post(&format!("{ignored}\r\nContent-Length: 5\r\n"), "hello").gets(200).body("POST /cb/echo\nhello"));
    }
    rows
}
