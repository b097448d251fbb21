//! Methods: RFC 9110 section 9, on everything that is served.

use super::row::{Row, row};
use crate::util::site::INDEX;

fn ask(method: &str, target: &str) -> Row {
    row(format!("{method} {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
}

pub fn rows() -> Vec<Row> {
    let length = INDEX.len().to_string();
    let mut rows = vec![
        // Section 9.3.2: a HEAD is a GET without its content.
        ask("HEAD", "/").gets(200).to_head().with("Content-Length", length).with("Content-Type", "text/html"),
        ask("HEAD", "/digits.txt").gets(200).to_head().with("Content-Length", "10").with("ETag", "\""),
        ask("HEAD", "/none").gets(404).to_head(),
        ask("HEAD", "/folder").gets(301).to_head(),
        ask("HEAD", "/strange.qqq").gets(415).to_head(),
        ask("HEAD", "/%00").gets(400).to_head().closed(),
        ask("HEAD", "/secret/").gets(401).to_head(),
        ask("HEAD", "/away/b").gets(301).to_head(),
        ask("HEAD", "/cb/echo").gets(200).to_head(),
        ask("HEAD", "/cb/stream").gets(200).to_head(),
        ask("HEAD", "/cb/length").gets(200).to_head().with("Content-Length", "6"),
        ask("HEAD", "/cb/slow").gets(200).to_head(),
        ask("HEAD", "/cb/none").gets(204).to_head(),
        ask("HEAD", "/cb/early").gets(403).to_head(),
        ask("HEAD", "/cb/unknown").gets(404).to_head(),
        ask("HEAD", "/asked/").gets(200).to_head(),
        ask("HEAD", "/empty.txt").gets(200).to_head().with("Content-Length", "0"),
        // Section 9.3.7
        ask("OPTIONS", "*").gets(204).with("Allow", "GET, HEAD, POST").without("Content-Length"),
        ask("OPTIONS", "/").gets(204).with("Allow", "GET, HEAD, OPTIONS"),
        ask("OPTIONS", "/none").gets(204).with("Allow", "GET, HEAD, OPTIONS"),
        ask("OPTIONS", "/secret/").gets(401),
        ask("OPTIONS", "/cb/echo").gets(200).body("OPTIONS /cb/echo\n"),
        // Section 9.3.8: TRACE is not, for it shows what a script should not see.
        ask("TRACE", "/").gets(405).with("Allow", "GET"),
        ask("TRACE", "/cb/echo").gets(405).with("Allow", "GET"),
        // Section 9.3.6: there are no tunnels, and what the client sends through one in advance is no request.
        ask("CONNECT", "a:80").gets(405).with("Allow", "GET").closed(),
        ask("CONNECT", "[::1]:80").gets(405).closed(),
        ask("CONNECT", "b.example:443").gets(405).closed(),
        // A protocol takes what it likes.
        ask("POST", "/cb/echo").gets(200).body("POST /cb/echo\n"),
        ask("PUT", "/cb/echo").gets(200).body("PUT /cb/echo\n"),
        ask("PATCH", "/cb/echo").gets(200).body("PATCH /cb/echo\n"),
        ask("DELETE", "/cb/echo").gets(200).body("DELETE /cb/echo\n"),
    ];
    // A file does not (section 15.5.6).
    for method in ["POST", "PUT", "PATCH", "DELETE"] {
        rows.push(ask(method, "/").gets(405).with("Allow", "GET, HEAD, OPTIONS"));
        rows.push(ask(method, "/none").gets(405).with("Allow", "GET, HEAD, OPTIONS"));
        rows.push(ask(method, "/asked/").gets(405).with("Allow", "GET, HEAD, OPTIONS"));
    }
    rows
}
