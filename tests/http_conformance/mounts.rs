//! Which mount a path is for, and what each kind answers.

use super::house::DIGITS;
use super::row::{Row, row};
use crate::util::site::INDEX;

fn get(target: &str, lines: &str) -> Row {
    row(format!("GET {target} HTTP/1.1\r\nHost: a\r\n{lines}\r\n"))
}

const UPGRADE: &str = "Connection: upgrade\r\nUpgrade: x\r\n";

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        // Redirects, with what is below the mount and the query; nothing in the path becomes a part of the host.
        get("/away", "").gets(301).with("Location", "https://away.example/x"),
        get("/away/b/c?d=e", "").gets(301).with("Location", "https://away.example/x/b/c?d=e"),
        get("/away//evil.example/", "").gets(301).with("Location", "https://away.example/x/evil.example/"),
        get("/away/%22%3e%3cb%3e", "").gets(301).with("Location", "https://away.example/x/%22%3E%3Cb%3E"),
        get("/away/../digits.txt", "").gets(200).body(DIGITS),
        get("/awayward", "").gets(404),
        row("POST /away/b HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").gets(301),
        // A password (RFC 9110 section 11.6, RFC 7617).
        get("/secret/", "").gets(401).with("WWW-Authenticate", "Basic realm="),
        get("/secret/", "Authorization: Basic am9lOnNlY3JldA==\r\n").gets(200).body(INDEX),
        get("/secret/", "authorization: bASIC am9lOnNlY3JldA==\r\n").gets(200).body(INDEX),
        get("/secret", "Authorization: Basic am9lOnNlY3JldA==\r\n").gets(301).with("Location", "/secret/"),
        get("/secret/none", "Authorization: Basic am9lOnNlY3JldA==\r\n").gets(404),
        get("/secret/none", "").gets(401),
        get("//secret/./digits.txt", "").gets(401),
        get("/%73ecret/digits.txt", "").gets(401),
        get("/folder/../secret/digits.txt", "").gets(401),
        get("/secretly", "").gets(404),
        row("POST /secret/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").gets(401),
        // Nothing that a client asks for leads past a mount: one that takes no upgrades does not hear of them.
        get("/locked/digits.txt", UPGRADE).gets(401),
        get("/locked/digits.txt", &format!("{UPGRADE}Authorization: Basic am9lOnNlY3JldA==\r\n"))
            .gets(200)
            .body(DIGITS),
        get("/still/echo", UPGRADE).gets(200).body("GET /still/echo\n"),
        get("/cb/echo", UPGRADE).gets(403).closed(),
        // Protocols: those that say nothing, and those that have a word in what a file mount serves.
        get("/cb/unknown", "").gets(404),
        get("/cb", "").gets(404),
        get("/cb/echo?x=/../y", "").gets(200).body("GET /cb/echo?x=/../y\n"),
        get("/cb/stream", "").gets(200).body("1\n2\n3\n").without("Content-Length"),
        get("/cb/length", "").gets(200).body("1\n2\n3\n").with("Content-Length", "6"),
        get("/cb/slow", "").gets(200).body("in time"),
        get("/cb/none", "").gets(204).without("Content-Length").without("Content-Type"),
        get("/asked/digits.txt", "").gets(200).body(DIGITS),
        get("/asked/digits.txt", "Range: bytes=2-3\r\n").gets(206).body(&DIGITS[2..4]),
        get("/asked/none", "").gets(404),
        row("POST /asked/ HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello").gets(405),
    ];
    for wrong in [
        "Basic",
        "Basic ",
        "Basic am9lOndyb25n",
        "Basic !",
        "Basic am9lOnNlY3JldA==x",
        "Bearer am9lOnNlY3JldA==",
        "am9lOnNlY3JldA==",
        "",
        "Basic am9lOnNlY3JldA==\r\nAuthorization: Basic am9lOnNlY3JldA==",
    ] {
        rows.push(get("/secret/", &format!("Authorization: {wrong}\r\n")).gets(401));
    }
    rows
}
