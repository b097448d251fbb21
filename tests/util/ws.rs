//! WebSocket by hand: requests and frames of any kind, right or wrong, over any stream. And a client that does it right.

use std::io::{Read, Write};
use std::net::TcpStream;

use rlws::{Cx, Listen, Reason, Verdict, VhostInfo, WsWrite, Wsi};
use tungstenite::WebSocket;
use tungstenite::client::IntoClientRequest;

use super::http::{Response, read_head};
use super::net::{connect, read_exactly, read_until_closed, send};
use super::script::home;

pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CONTINUATION: u8 = 0;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

/// What is set in the first byte of the last frame of a message.
pub const FIN: u8 = 0x80;
/// And in that of the first frame of a compressed one.
pub const RSV1: u8 = 0x40;

/// A vhost whose http and WebSockets go to the scripts.
pub fn vhost() -> VhostInfo {
    VhostInfo { listen: Listen::on("127.0.0.1", 0), ..home() }
}

/// Sends back each part of a message as it comes.
pub fn echo(wsi: &mut Wsi, _: &mut Cx, reason: Reason<'_>) -> Verdict {
    if let Reason::Receive(data) | Reason::ClientReceive(data) = reason {
        let kind = if wsi.frame_is_binary() { WsWrite::BINARY } else { WsWrite::TEXT };
        let part = kind.part(wsi.is_first_fragment(), wsi.is_final_fragment());
        wsi.write_ws(part, data).expect("there is room");
    }
    Verdict::Continue
}

/// A request for a WebSocket; `more` are headers, each with its line end.
pub fn request(path: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{more}\r\n"
    )
}

/// The answer to the key of [`request`].
pub const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// Asks for one over a stream, and gets it.
#[track_caller]
pub fn upgrade(stream: &mut (impl Read + Write), more: &str) -> Response {
    send(stream, request("/", more).as_bytes());
    let answer = read_head(stream);
    assert_eq!(answer.status, 101, "{}", answer.head);
    assert_eq!(answer.header("sec-websocket-accept"), Some(ACCEPT));
    answer
}

/// An open WebSocket to a port of 127.0.0.1.
#[track_caller]
pub fn open(port: u16, more: &str) -> TcpStream {
    let mut stream = connect(port);
    upgrade(&mut stream, more);
    stream
}

/// An open WebSocket of tungstenite's to a port of 127.0.0.1, with a subprotocol.
#[track_caller]
pub fn client(port: u16, subprotocol: &'static str) -> WebSocket<TcpStream> {
    let mut request = format!("ws://localhost:{port}/").into_client_request().expect("a request");
    request.headers_mut().insert("Sec-WebSocket-Protocol", subprotocol.parse().expect("a header"));
    let (socket, _) = tungstenite::client(request, connect(port)).expect("a handshake");
    socket
}

/// The head of a client's request, and the `Sec-WebSocket-Accept` that fits it.
#[track_caller]
pub fn read_request(stream: &mut TcpStream) -> (String, String) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.extend(read_exactly(stream, 1));
    }
    let head = String::from_utf8(head).expect("a text");
    let key = head.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    (head, accept)
}

/// Agrees to it, with more headers, each with its line end; returns its head.
#[track_caller]
pub fn agree(stream: &mut TcpStream, more: &str) -> String {
    let (head, accept) = read_request(stream);
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\n{more}\r\n"
    );
    send(stream, answer.as_bytes());
    head
}

/// A client's frame, whose first byte is said.
pub fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];
    let mut frame = head(first, 0x80, payload.len());
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// A server's frame: without a mask.
pub fn unmasked(first: u8, payload: &[u8]) -> Vec<u8> {
    [&head(first, 0, payload.len())[..], payload].concat()
}

fn head(first: u8, masked: u8, len: usize) -> Vec<u8> {
    let mut head = vec![first];
    match len {
        0..=125 => head.push(masked | len as u8),
        126..=0xffff => {
            head.push(masked | 126);
            head.extend((len as u16).to_be_bytes());
        }
        _ => {
            head.push(masked | 127);
            head.extend((len as u64).to_be_bytes());
        }
    }
    head
}

/// A message in one frame.
pub fn text(text: &str) -> Vec<u8> {
    frame(FIN | TEXT, text.as_bytes())
}

/// A close with a code and a text.
pub fn close(code: u16, text: &str) -> Vec<u8> {
    frame(FIN | CLOSE, &[&code.to_be_bytes(), text.as_bytes()].concat())
}

/// What a server sent.
#[derive(Debug, PartialEq, Eq)]
pub struct Frame {
    pub first: u8,
    pub payload: Vec<u8>,
}

impl Frame {
    pub fn text(text: &str) -> Frame {
        Frame { first: FIN | TEXT, payload: text.into() }
    }

    /// The code of a close.
    #[track_caller]
    pub fn code(&self) -> u16 {
        assert_eq!(self.first, FIN | CLOSE, "{self:?}");
        u16::from_be_bytes(*self.payload.first_chunk().expect("a code"))
    }
}

/// A frame, and not a byte more. One with a mask fails the test.
#[track_caller]
pub fn read_frame(stream: &mut impl Read) -> Frame {
    let head = read_exactly(stream, 2);
    let len = match head[1] {
        126 => u16::from_be_bytes(*read_exactly(stream, 2).first_chunk().expect("two")).into(),
        127 => u64::from_be_bytes(*read_exactly(stream, 8).first_chunk().expect("eight")) as usize,
        len => usize::from(len),
    };
    assert!(head[1] < 0x80, "servers do not mask");
    Frame { first: head[0], payload: read_exactly(stream, len) }
}

/// The frames of a message put together; whether it was compressed.
#[track_caller]
pub fn read_message(stream: &mut impl Read) -> (Vec<u8>, bool) {
    let first = read_frame(stream);
    let (is_compressed, mut is_last) = (first.first & RSV1 != 0, first.first & FIN != 0);
    let mut message = first.payload;
    while !is_last {
        let next = read_frame(stream);
        assert_eq!(next.first & 0x0f, CONTINUATION);
        is_last = next.first & FIN != 0;
        message.extend(next.payload);
    }
    (message, is_compressed)
}

/// Reads up to a close, and then to the end of the connection; the close's code.
#[track_caller]
pub fn read_close(stream: &mut impl Read) -> u16 {
    let code = loop {
        let frame = read_frame(stream);
        if frame.first == FIN | CLOSE {
            break frame.code();
        }
    };
    assert_eq!(read_until_closed(stream).0, b"", "nothing comes behind a close");
    code
}
