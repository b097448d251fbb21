//! The ready-made protocols for WebSockets, over real sockets.

mod util;

#[path = "ws_protocols/increment.rs"]
mod increment;
#[path = "ws_protocols/mirror.rs"]
mod mirror;
#[path = "ws_protocols/status.rs"]
mod status;

use std::net::TcpStream;

use util::http::read_head;
use util::{connect, send, ws};

/// Asks for a WebSocket at a path; the answer's status.
#[track_caller]
fn asked(port: u16, path: &str) -> (TcpStream, u16) {
    let mut stream = connect(port);
    let status = asks(&mut stream, path);
    (stream, status)
}

/// Asks for a WebSocket over a connection; the answer's status.
#[track_caller]
fn asks(stream: &mut TcpStream, path: &str) -> u16 {
    send(stream, ws::request(path, "").as_bytes());
    read_head(stream).status
}

#[track_caller]
fn opened(port: u16, path: &str) -> TcpStream {
    let (stream, status) = asked(port, path);
    assert_eq!(status, 101, "{path}");
    stream
}
