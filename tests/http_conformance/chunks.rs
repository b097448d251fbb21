//! Chunks: RFC 9112 section 7.1.

use super::row::{PROBE, Row, chunked, row};

fn echoed(body: impl AsRef<[u8]>, data: &str) -> Row {
    chunked(body).gets(200).body(format!("POST /cb/echo\n{data}"))
}

pub fn rows() -> Vec<Row> {
    let probe = format!("{:x}\r\n{PROBE}\r\n0\r\n\r\n", PROBE.len());
    let mut rows = vec![
        echoed("0\r\n\r\n", ""),
        echoed("5\r\nhello\r\n0\r\n\r\n", "hello"),
        echoed("2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello"),
        echoed("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"),
        echoed("2\r\n\r\n\r\n0\r\n\r\n", "\r\n"),
        echoed(probe, PROBE),
        // Leading zeros, up to the digits that a size can have.
        echoed("0005\r\nhello\r\n000\r\n\r\n", "hello"),
        echoed("0000000000000005\r\nhello\r\n0000000000000000\r\n\r\n", "hello"),
        // Extensions (section 7.1.1), ignored.
        echoed("5;x\r\nhello\r\n0;y\r\n\r\n", "hello"),
        echoed("5;x=y;z=\"a;b\"\r\nhello\r\n0\r\n\r\n", "hello"),
        echoed("5 ; x = y\r\nhello\r\n0\r\n\r\n", "hello"),
        // Trailers (section 7.1.2), dropped: also those that would frame or route.
        echoed("5\r\nhello\r\n0\r\nX: y\r\nZ:\r\n\r\n", "hello"),
        echoed("5\r\nhello\r\n0\r\nContent-Length: 500\r\n\r\n", "hello"),
        echoed(
            "5\r\nhello\r\n0\r\nTransfer-Encoding: chunked\r\nHost: b.example\r\nConnection: close\r\n\r\n",
            "hello",
        ),
        // A file wants no body, and finds its end all the same.
        row("GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n").gets(200),
        // Too large for its mount, told with the size.
        chunked("7fffffffffffffff\r\n").gets(413).closed(),
        chunked("ffffffffffffffff\r\n").gets(413).closed(),
        chunked("100001\r\n").gets(413).closed(),
    ];
    for bad in [
        // Sizes that are none, or are more than one number to somebody.
        "\r\n",
        "x\r\n",
        "-1\r\n",
        "+5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        " 5\r\nhello\r\n",
        "\t5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "5 5\r\nhello\r\n",
        "5,\r\nhello\r\n",
        "5.\r\nhello\r\n",
        "5h\r\nhello\r\n",
        ";x\r\n",
        "5\0\r\nhello\r\n",
        "\u{665}\r\n",
        "00000000000000005\r\nhello\r\n",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
        // Line ends.
        "5\nhello\r\n0\r\n\r\n",
        "5\rhello\r\n0\r\n\r\n",
        "5\r\r\nhello\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r0\r\n\r\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "5\r\nhell\r\n0\r\n\r\n",
        "\r\n5\r\nhello\r\n0\r\n\r\n",
        "5\r\nhello\r\n\r\n0\r\n\r\n",
        "5\r\nhello\r\n0\r\n\n",
        "5\r\nhello\r\n0\n\r\n",
        "0\r\n\r\r\n",
        "0\r\n\rX",
        // Extensions that hide a line end from somebody.
        "5;x\nhello\r\n0\r\n\r\n",
        "5;\x01\r\nhello\r\n",
        "5;x\rX\r\nhello\r\n",
        "5;\"\n\"\r\nhello\r\n",
        // Trailers that are no header fields.
        "0\r\nX\r\n\r\n",
        "0\r\n: y\r\n\r\n",
        "0\r\nX : y\r\n\r\n",
        "0\r\n X: y\r\n\r\n",
        "0\r\nX: y\n\r\n",
        "0\r\nX: y\r\n z\r\n\r\n",
        "0\r\nX: \0\r\n\r\n",
        "0\r\nGET / HTTP/1.1\r\n\r\n",
    ] {
        rows.push(chunked(bad).gets(400).closed());
    }
    for (long, status) in [(16_000, 200), (17_000, 400)] {
        let extension = chunked(format!("5;{}\r\nhello\r\n0\r\n\r\n", "x".repeat(long))).gets(status);
        let trailer = chunked(format!("5\r\nhello\r\n0\r\nX: {}\r\n\r\n", "x".repeat(long))).gets(status);
        let many = chunked("1;abcdefg\r\nx\r\n".repeat(long / 8) + "0\r\n\r\n").gets(status);
        rows.extend([extension, trailer, many].map(|row| if status == 200 { row } else { row.closed() }));
    }
    rows
}
