//! Bytes in one direction, on some connections at a time, as fast as they go.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;

use super::{Done, Load, TICK};
use crate::floor::open;
use crate::poll::Poll;

/// Where the bytes go, seen from the client.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// Connections that stream.
pub(crate) struct Streams {
    direction: Direction,
    poll: Poll,
    clients: Vec<TcpStream>,
    buf: Vec<u8>,
}

const BUFFER: usize = 1024 * 1024;
/// Written at a time.
const PIECE: usize = 256 * 1024;
/// What the client of a download says first, so that a relay that looks at first bytes has some.
const GREETING: &[u8] = b"SSH-2.0-download\r\n";

impl Streams {
    /// # Errors
    /// Where the system has no socket or no port left.
    pub(crate) fn open(port: u16, connections: usize, direction: Direction) -> Result<Streams, String> {
        let clients = (0..connections).map(|_| open(port)).collect::<std::io::Result<_>>();
        let (clients, poll) =
            clients.and_then(|clients| Ok((clients, Poll::new()?))).map_err(|error| error.to_string())?;
        let streams = Streams { direction, poll, clients, buf: vec![b'S'; BUFFER] };
        for (number, client) in streams.clients.iter().enumerate() {
            streams.poll.add(client, number, EventFlags::OUT).map_err(|error| error.to_string())?;
        }
        Ok(streams)
    }

    /// How many bytes one client moves now.
    fn turn(&mut self, number: usize, flags: EventFlags) -> std::io::Result<usize> {
        let client = &mut self.clients[number];
        if self.direction == Direction::Up {
            return client.write(&self.buf[..PIECE]);
        }
        if flags.contains(EventFlags::OUT) {
            client.write_all(GREETING)?;
            self.poll.change(client, number, EventFlags::IN)?;
            return Ok(0);
        }
        match client.read(&mut self.buf) {
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            count => count,
        }
    }
}

impl Load for Streams {
    fn work(&mut self, time: Duration) -> Result<Done, String> {
        let start = Instant::now();
        let (mut events, mut bytes) = (Vec::with_capacity(64), 0);
        while start.elapsed() < time {
            self.poll.wait(&mut events, Some(TICK)).map_err(|error| error.to_string())?;
            for event in events.drain(..) {
                match self.turn(event.data.u64() as usize, event.flags) {
                    Ok(count) => bytes += count,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(format!("a stream ended: {error}")),
                }
            }
        }
        Ok(Done { seconds: start.elapsed().as_secs_f64(), units: bytes as f64, failed: 0, p99: None })
    }
}
