//! The floor of WebSocket echoes: the least that an echo in user space can do. One epoll loop that reads, counts what is left of a frame by its
//! head, and sends a frame of the same length that was made before: nothing is unmasked, copied, checked or limited, so what it costs is the
//! kernel's price. It is a yardstick and no server: one message at a time of one length, whose head comes in one piece.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::TcpStream;

use rustix::event::epoll::EventFlags;

use crate::floor::{accepted, listen};
use crate::poll::Poll;
use crate::util::ws::{ACCEPT, BINARY, FIN, unmasked};

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;
const LISTENER: usize = usize::MAX;
const KEY: usize = 4;

/// Echoes what connects to `port` of 127.0.0.1, until it is killed.
///
/// # Errors
/// Where it cannot listen or poll.
pub(crate) fn run(port: u16) -> Result<()> {
    let listener = listen(port)?;
    let poll = Poll::new()?;
    poll.add(&listener, LISTENER, EventFlags::IN)?;
    let mut floor = Floor { poll, clients: Vec::new(), buf: vec![0; BUFFER], size: 0, echo: Vec::new() };
    let mut events = Vec::with_capacity(512);
    loop {
        floor.poll.wait(&mut events, None)?;
        for event in events.drain(..) {
            let number = event.data.u64() as usize;
            if number == LISTENER {
                while let Ok((stream, _)) = listener.accept() {
                    floor.add(stream)?;
                }
            } else if floor.turn(number, event.flags).is_err() {
                floor.clients[number] = None;
            }
        }
    }
}

struct Floor {
    poll: Poll,
    clients: Vec<Option<Client>>,
    buf: Vec<u8>,
    /// Bytes of a message's payload, and the frame that is sent for it.
    size: usize,
    echo: Vec<u8>,
}

struct Client {
    stream: TcpStream,
    is_open: bool,
    /// Bytes of the frame that are still to come.
    left: usize,
    /// Bytes of the echo that are still to go.
    unsent: usize,
}

impl Floor {
    fn add(&mut self, stream: TcpStream) -> Result<()> {
        stream.set_nonblocking(true)?;
        stream.set_nodelay(true)?;
        self.poll.add(&stream, self.clients.len(), EventFlags::IN)?;
        self.clients.push(Some(Client { stream, is_open: false, left: 0, unsent: 0 }));
        Ok(())
    }

    fn turn(&mut self, number: usize, flags: EventFlags) -> Result<()> {
        let Some(client) = &mut self.clients[number] else { return Ok(()) };
        if client.unsent > 0 && flags.contains(EventFlags::OUT) {
            client.unsent -= accepted(client.stream.write(&self.echo[self.echo.len() - client.unsent..]))?;
            if client.unsent == 0 {
                self.poll.change(&client.stream, number, EventFlags::IN)?;
            }
        }
        if !flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            return Ok(());
        }
        let came = match client.stream.read(&mut self.buf) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            count => &self.buf[..count?],
        };
        if !client.is_open {
            client.is_open = came.ends_with(b"\r\n\r\n");
            return client.stream.write_all(answer().as_bytes());
        }
        if client.left == 0 {
            let (head, size) = lengths(came).ok_or(ErrorKind::InvalidData)?;
            client.left = head + size;
            if size != self.size {
                (self.size, self.echo) = (size, unmasked(FIN | BINARY, &vec![0; size]));
            }
        }
        client.left = client.left.checked_sub(came.len()).ok_or(ErrorKind::InvalidData)?;
        if client.left == 0 {
            client.unsent = self.echo.len() - accepted(client.stream.write(&self.echo))?;
            if client.unsent > 0 {
                self.poll.change(&client.stream, number, EventFlags::IN | EventFlags::OUT)?;
            }
        }
        Ok(())
    }
}

fn answer() -> String {
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: {ACCEPT}\r\n\r\n"
    )
}

/// Bytes of a client's head, and of its payload.
fn lengths(frame: &[u8]) -> Option<(usize, usize)> {
    match *frame {
        [_, 0xfe, high, low, ..] => Some((4 + KEY, u16::from_be_bytes([high, low]).into())),
        [_, 0xff, ref long @ ..] => Some((10 + KEY, u64::from_be_bytes(*long.first_chunk()?) as usize)),
        [_, len @ 0x80..=0xfd, ..] => Some((2 + KEY, usize::from(len & 0x7f))),
        _ => None,
    }
}
