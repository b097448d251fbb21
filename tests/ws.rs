//! Role `ws` over real sockets: peers that are made by hand, and tungstenite.

mod util;

#[path = "ws/both_ways.rs"]
mod both_ways;
#[path = "ws/client.rs"]
mod client;
#[path = "ws/closing.rs"]
mod closing;
#[path = "ws/compression.rs"]
mod compression;
#[path = "ws/ending.rs"]
mod ending;
#[path = "ws/fairness.rs"]
mod fairness;
#[path = "ws/handshake.rs"]
mod handshake;
#[path = "ws/messages.rs"]
mod messages;
#[path = "ws/port.rs"]
mod port;
#[path = "ws/random.rs"]
mod random;

use std::net::TcpStream;

use util::script::Loop;
use util::ws::{self, Frame};

/// An open WebSocket of the loop's vhost.
#[track_caller]
fn opened(of: &mut Loop, more: &'static str) -> TcpStream {
    let port = of.port();
    of.during(move || ws::open(port, more))
}

/// The next frame that the loop sends.
#[track_caller]
fn frame_of(of: &mut Loop, stream: &TcpStream) -> Frame {
    let mut stream = stream.try_clone().expect("dup");
    of.during(move || ws::read_frame(&mut stream))
}

/// The code that the loop closes with, once the peer has said nothing and the connection is over.
#[track_caller]
fn close_of(of: &mut Loop, stream: &TcpStream) -> u16 {
    let mut stream = stream.try_clone().expect("dup");
    of.during(move || ws::read_close(&mut stream))
}
