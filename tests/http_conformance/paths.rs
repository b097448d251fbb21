//! Paths: RFC 3986 sections 2.1, 5.2.4 and 6, RFC 9110 section 4.2.3; and what must never be served.

use super::house::DIGITS;
use super::row::{PROBED, Row, row};
use crate::util::site::{INDEX, SUB_INDEX};

fn get(target: &str) -> Row {
    row(format!("GET {target} HTTP/1.1\r\nHost: a\r\n\r\n"))
}

pub fn rows() -> Vec<Row> {
    let mut rows = vec![
        get("/with%20space.txt").gets(200).body("a space\n"),
        get("/%64igits%2Etxt").gets(200).body(DIGITS),
        get("/%70robe.txt").gets(200).body(PROBED),
        get("//digits.txt").gets(200).body(DIGITS),
        get("/./digits.txt").gets(200).body(DIGITS),
        get("/folder/../digits.txt").gets(200).body(DIGITS),
        get("/folder/%2e%2e/digits.txt").gets(200).body(DIGITS),
        get("/a/b/../../digits.txt").gets(200).body(DIGITS),
        get("/folder/").gets(200).body(SUB_INDEX),
        get("/folder/.").gets(200).body(SUB_INDEX),
        get("/folder/..").gets(200).body(INDEX),
        get("/inside.css").gets(200),
        get("/?/../../x").gets(200).body(INDEX),
        // A folder is where its slash says (as in nginx); the query goes with it, and another host is no place to go to.
        get("/folder").gets(301).with("Location", "/folder/"),
        get("/folder?a=b").gets(301).with("Location", "/folder/?a=b"),
        get("//folder").gets(301).with("Location", "/folder/"),
        get("//evil.example/../folder").gets(301).with("Location", "/folder/"),
        get("/digits.txt/").gets(404),
        get("/digits.txt/x").gets(404),
        get("/DIGITS.TXT").gets(404),
        get("/digits.txt%20").gets(404),
        get("/digits.txt.").gets(404),
        get("/none").gets(404),
        get("/strange.qqq").gets(415),
        get("/escape.txt").gets(403),
        get(&format!("/{}", "x".repeat(300))).gets(404),
        get(&format!("/{}", "x/".repeat(3000))).gets(404),
        get("/%c3%a4").gets(404),
        get("/\u{e4}").gets(404),
        get("/%252e%252e/secret.txt").gets(404),
        get("/%25").gets(404),
        get("/~").gets(404),
        get("/...").gets(404),
        get("/cb/args?a=1&b=%20x&c&=d&a=2+3").gets(200).body("a=1;b= x;c=;=d;a=2 3;"),
        get("/cb/args?%zz=%&a=%c3").gets(200),
    ];
    // What has no reading, or two: 400 (nginx reads a few of them).
    for bad in [
        "/..",
        "/../secret.txt",
        "/folder/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/.%2e/secret.txt",
        "/%2E./secret.txt",
        "/..%2fsecret.txt",
        "/folder%2f..%2f..%2fsecret.txt",
        "/%2f",
        "/a%2fb",
        "/a%2Fb",
        "/..%5csecret.txt",
        "/a%5cb",
        "/..\\secret.txt",
        "/a\\b",
        "/%00",
        "/digits.txt%00",
        "/digits.txt%00.html",
        "/%0a",
        "/%0d%0aX:%20y",
        "/%7f",
        "/%1b",
        "/%",
        "/%2",
        "/%g0",
        "/%0g",
        "/%%32%65",
        "/%u002e",
        "/%+1",
        "/%ff",
        "/%c0%ae%c0%ae/secret.txt",
        "/%c0%af",
        "/%e0%80%af",
        "/%ed%a0%80",
        "/%f8%80%80%80%af",
        "/%c3",
    ] {
        rows.push(get(bad).gets(400).closed());
    }
    // The same on other mounts.
    for bad in ["/cb/%2f", "/cb/../../x", "/secret/%00", "/away/%0d%0aX:y"] {
        rows.push(get(bad).gets(400).closed());
    }
    rows
}
