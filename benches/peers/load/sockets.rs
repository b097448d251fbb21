//! WebSocket messages there and their echoes back, over and over, on some connections at a time. An echo may come in as many frames as the
//! server likes.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::event::epoll::{Event, EventFlags};

use super::crowd::connect;
use super::{Done, Load, TICK};
use crate::poll::Poll;
use crate::util::random_bytes;
use crate::util::ws::{BINARY, FIN, frame, request};

/// Connections that exchange messages, each without a pause.
pub(crate) struct Sockets {
    poll: Poll,
    clients: Vec<Client>,
    message: Vec<u8>,
    /// Bytes of a message.
    size: usize,
    buf: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    sent: usize,
    echo: Echo,
    waits_to_send: bool,
}

const BUFFER: usize = 256 * 1024;

impl Sockets {
    /// Opens so many WebSockets, for messages of `size` bytes.
    ///
    /// # Errors
    /// Where one is refused.
    pub(crate) fn open(port: u16, connections: usize, size: usize) -> Result<Sockets, String> {
        let poll = Poll::new().map_err(|error| error.to_string())?;
        let one = |number| {
            let mut stream = connect(port)?;
            upgrade(&mut stream, "")?;
            stream.set_nonblocking(true)?;
            poll.add(&stream, number, EventFlags::IN | EventFlags::OUT)?;
            Ok(Client { stream, sent: 0, echo: Echo::default(), waits_to_send: true })
        };
        let clients: io::Result<_> = (0..connections).map(one).collect();
        let clients = clients.map_err(|error| format!("a WebSocket: {error}"))?;
        let message = frame(FIN | BINARY, &random_bytes(1, size));
        Ok(Sockets { poll, clients, message, size, buf: vec![0; BUFFER] })
    }

    /// One event of one client: whether an exchange is over.
    fn turn(&mut self, event: Event) -> io::Result<bool> {
        let number = event.data.u64() as usize;
        let client = &mut self.clients[number];
        if client.waits_to_send {
            client.send(&self.poll, number, &self.message)?;
        }
        let count = match client.stream.read(&mut self.buf) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            count => count?,
        };
        if !client.echo.take(&self.buf[..count]) {
            return Ok(false);
        }
        if client.echo.got != self.size {
            return Err(ErrorKind::InvalidData.into());
        }
        (client.sent, client.echo) = (0, Echo::default());
        client.send(&self.poll, number, &self.message)?;
        Ok(true)
    }
}

impl Load for Sockets {
    fn work(&mut self, time: Duration) -> Result<Done, String> {
        let start = Instant::now();
        let mut events = Vec::with_capacity(1024);
        let mut done = 0_u64;
        while start.elapsed() < time {
            self.poll.wait(&mut events, Some(TICK)).map_err(|error| error.to_string())?;
            for event in events.drain(..) {
                done += u64::from(self.turn(event).map_err(|error| format!("a WebSocket: {error}"))?);
            }
        }
        Ok(Done { seconds: start.elapsed().as_secs_f64(), units: done as f64, failed: 0, p99: None })
    }
}

impl Client {
    /// While a large message is sent, its echo comes already.
    fn send(&mut self, poll: &Poll, number: usize, message: &[u8]) -> io::Result<()> {
        match self.stream.write(&message[self.sent..]) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            count => self.sent += count?,
        }
        let waits = self.sent < message.len();
        if waits != self.waits_to_send {
            self.waits_to_send = waits;
            let more = if waits { EventFlags::OUT } else { EventFlags::empty() };
            poll.change(&self.stream, number, EventFlags::IN | more)?;
        }
        Ok(())
    }
}

/// How much of a message of a server has come.
#[derive(Default)]
pub(crate) struct Echo {
    /// That of the frame in hand, as far as it has come.
    head: Vec<u8>,
    is_last: bool,
    /// Bytes of the frame that are still to come.
    left: usize,
    /// Bytes of payload that came.
    got: usize,
}

impl Echo {
    /// Takes what came; whether the message is over.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> bool {
        while let [first, rest @ ..] = bytes {
            if self.left > 0 {
                let taken = self.left.min(bytes.len());
                (self.left, self.got) = (self.left - taken, self.got + taken);
                bytes = &bytes[taken..];
                continue;
            }
            self.head.push(*first);
            bytes = rest;
            if let Some(len) = length(&self.head) {
                (self.is_last, self.left) = (self.head[0] & FIN != 0, len);
                self.head.clear();
            }
        }
        self.is_last && self.left == 0 && self.head.is_empty()
    }
}

/// That of a frame's payload, once its head is there; servers do not mask.
fn length(head: &[u8]) -> Option<usize> {
    match *head {
        [_, len @ 0..=125] => Some(len.into()),
        [_, 126, high, low] => Some(u16::from_be_bytes([high, low]).into()),
        [_, 127, ref long @ ..] => Some(u64::from_be_bytes(long.try_into().ok()?) as usize),
        _ => None,
    }
}

/// Asks for a WebSocket with more headers, and reads the answer, which has to agree; how long that is.
///
/// # Errors
/// Where it does not.
pub(crate) fn upgrade(stream: &mut (impl Read + Write + ?Sized), more: &str) -> io::Result<usize> {
    stream.write_all(request("/", more).as_bytes())?;
    let (mut head, mut byte) = (Vec::new(), [0]);
    while !head.ends_with(b"\r\n\r\n") {
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    match head.starts_with(b"HTTP/1.1 101 ") {
        true => Ok(head.len()),
        false => Err(io::Error::other(String::from_utf8_lossy(&head).into_owned())),
    }
}
