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
    send(&mut stream, ws::request(path, "").as_bytes());
    let status = read_head(&mut stream).status;
    (stream, status)
}

#[track_caller]
fn opened(port: u16, path: &str) -> TcpStream {
    let (stream, status) = asked(port, path);
    assert_eq!(status, 101, "{path}");
    stream
}
