//! The least of an http client: for what curl can't do, like sending a request in pieces.

use std::io::{Read, Write};
use std::net::TcpStream;

use super::net::{connect, read_exactly, send};

#[derive(Debug)]
pub struct Response {
    pub status: u16,
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    /// The value of a header, found by its name in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("a text")
    }
}

/// Asks for a path on a connection of its own.
#[track_caller]
pub fn get(port: u16, host: &str, path: &str) -> Response {
    let mut stream = connect(port);
    ask(&mut stream, host, path)
}

/// Asks for a path on a connection that stays.
#[track_caller]
pub fn ask(stream: &mut (impl Read + Write), host: &str, path: &str) -> Response {
    send(stream, request("GET", host, path).as_bytes());
    read_response(stream)
}

pub fn request(method: &str, host: &str, path: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n")
}

/// One response and not a byte more; the body as long as `Content-Length` says.
#[track_caller]
pub fn read_response(stream: &mut impl Read) -> Response {
    let mut response = read_head(stream);
    let length = response.header("content-length").map_or(0, |length| length.parse().expect("a number"));
    response.body = read_exactly(stream, length);
    response
}

/// The head of a response and not a byte more: all of it, for a HEAD.
#[track_caller]
pub fn read_head(stream: &mut impl Read) -> Response {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read_exactly(stream, 1));
        assert!(head.len() < 65_536, "no end of the head in sight");
    }
    let head = String::from_utf8(head).expect("a head is text");
    let status = head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .and_then(|digits| digits.parse().ok())
        .unwrap_or_else(|| panic!("not a response: {head}"));
    Response { status, head, body: Vec::new() }
}
