//! Sockets with deadlines, bytes to send, and the comparison of what came with what should have.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::DEADLINE;

/// A connection to `port` of 127.0.0.1 that sends every write at once, and fails instead of blocking for ever.
#[track_caller]
pub fn connect(port: u16) -> TcpStream {
    connect_to(&format!("127.0.0.1:{port}"))
}

#[track_caller]
pub fn connect_to(address: &str) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap_or_else(|error| panic!("connect to {address}: {error}"));
    with_deadline(stream)
}

/// A port that nobody uses, and that the system gives to no connection.
#[track_caller]
pub fn free_port() -> u16 {
    // Each process that runs tests begins somewhere else, and goes on from there.
    static STEP: AtomicU32 = AtomicU32::new(0);
    let next = || 20_000 + ((std::process::id() + 7 * STEP.fetch_add(1, Ordering::Relaxed)) % 12_000) as u16;
    let mut ports = std::iter::repeat_with(next).take(12_000);
    ports.find(|port| TcpListener::bind(("127.0.0.1", *port)).is_ok()).expect("a free port")
}

pub fn with_deadline(stream: TcpStream) -> TcpStream {
    stream.set_nodelay(true).expect("TCP_NODELAY");
    stream.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    stream.set_write_timeout(Some(DEADLINE)).expect("SO_SNDTIMEO");
    stream
}

/// Sends all of `bytes`.
#[track_caller]
pub fn send(stream: &mut impl Write, bytes: &[u8]) {
    stream.write_all(bytes).expect("send");
}

/// Says EOF, and goes on reading.
#[track_caller]
pub fn half_close(stream: &TcpStream) {
    stream.shutdown(Shutdown::Write).expect("shutdown(SHUT_WR)");
}

/// Closes with a RST instead of a FIN.
pub fn reset(stream: TcpStream) {
    socket2::SockRef::from(&stream).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
}

/// Exactly `count` bytes.
#[track_caller]
pub fn read_exactly(stream: &mut impl Read, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    let mut filled = 0;
    while filled < count {
        match stream.read(&mut bytes[filled..]) {
            Ok(0) => panic!("EOF after {filled} of {count} bytes: {}", shown(&bytes[..filled])),
            Ok(more) => filled += more,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => panic!("{error} after {filled} of {count} bytes: {}", shown(&bytes[..filled])),
        }
    }
    bytes
}

/// All that comes until EOF; a reset fails the test.
#[track_caller]
pub fn read_to_end(stream: &mut impl Read) -> Vec<u8> {
    match read_until_closed(stream) {
        (bytes, End::Eof) => bytes,
        (bytes, End::Reset) => panic!("reset after {} bytes: {}", bytes.len(), shown(&bytes)),
    }
}

/// How a connection ended.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub enum End {
    Eof,
    Reset,
}

/// All that comes until the peer closes, in whichever way.
#[track_caller]
pub fn read_until_closed(stream: &mut impl Read) -> (Vec<u8>, End) {
    let mut bytes = Vec::new();
    let mut chunk = vec![0; 64 * 1024];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return (bytes, End::Eof),
            Ok(more) => bytes.extend_from_slice(&chunk[..more]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {
                return (bytes, End::Reset);
            }
            Err(error) => panic!("{error} after {} bytes: {}", bytes.len(), shown(&bytes)),
        }
    }
}

/// The same `len` bytes for the same `seed`, without a pattern that could hide a loss or a repetition (xorshift64*).
pub fn random_bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_f491_4f6c_dd1d).to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

/// Compares without filling the screen with megabytes.
#[track_caller]
pub fn assert_same_bytes(got: &[u8], want: &[u8]) {
    if got == want {
        return;
    }
    let same = got.iter().zip(want).take_while(|(a, b)| a == b).count();
    panic!(
        "{} bytes came, {} should have; the first {same} agree, then came {} instead of {}",
        got.len(),
        want.len(),
        shown(&got[same..]),
        shown(&want[same..])
    );
}

/// The start of some bytes, for a message.
pub fn shown(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(200)];
    let dots = if start.len() < bytes.len() { ".." } else { "" };
    format!("\"{}\"{dots}", start.escape_ascii())
}
