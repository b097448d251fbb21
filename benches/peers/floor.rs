//! The floor: the least that a relay in user space can do. One epoll loop that reads and writes, without checks, limits or logs; what it costs
//! is the kernel's price. It is a yardstick and no relay: it joins connections in the order in which they come, and trusts both sides.

use std::io::{ErrorKind, Read, Result, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};

use rustix::event::epoll::EventFlags;
use socket2::{Domain, Socket, Type};

use crate::poll::Poll;

/// Bytes that are read at a time.
const BUFFER: usize = 256 * 1024;
const LISTENER: usize = usize::MAX;

/// One of two connections that are joined: those of numbers 2n and 2n + 1.
struct Half {
    stream: TcpStream,
    /// What its peer has not taken yet.
    held: Vec<u8>,
}

/// Relays what connects to `port` of 127.0.0.1 to `onward` there, until it is killed.
///
/// # Errors
/// Where it cannot listen or poll.
pub(crate) fn run(port: u16, onward: u16) -> Result<()> {
    let listener = listen(port)?;
    let poll = Poll::new()?;
    poll.add(&listener, LISTENER, EventFlags::IN)?;
    let mut floor = Floor { poll, onward, halves: Vec::new(), free: Vec::new(), buf: vec![0; BUFFER] };
    let mut events = Vec::with_capacity(512);
    loop {
        floor.poll.wait(&mut events, None)?;
        for event in events.drain(..) {
            let number = event.data.u64() as usize;
            if number == LISTENER {
                floor.accept(&listener);
            } else if floor.turn(number, event.flags).is_err() {
                floor.end(number);
            }
        }
    }
}

/// Listens on `port` of 127.0.0.1, or on any for 0, with a long backlog.
///
/// # Errors
/// Where the port is taken.
pub(crate) fn listen(port: u16) -> Result<TcpListener> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_reuse_address(true)?;
    socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into())?;
    socket.listen(4096)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

struct Floor {
    poll: Poll,
    onward: u16,
    halves: Vec<Option<Half>>,
    /// The even numbers that are to be had again.
    free: Vec<usize>,
    buf: Vec<u8>,
}

impl Floor {
    fn accept(&mut self, listener: &TcpListener) {
        while let Ok((client, _)) = listener.accept() {
            let Ok(server) = open(self.onward) else { continue };
            let _it_is_faster = client.set_nodelay(true);
            if client.set_nonblocking(true).is_err() {
                continue;
            }
            let first = self.free.pop().unwrap_or(self.halves.len());
            self.halves.resize_with(self.halves.len().max(first + 2), || None);
            for (number, stream) in [(first, client), (first + 1, server)] {
                if self.poll.add(&stream, number, EventFlags::IN).is_ok() {
                    self.halves[number] = Some(Half { stream, held: Vec::new() });
                }
            }
        }
    }

    fn turn(&mut self, number: usize, flags: EventFlags) -> Result<()> {
        let [Some(own), Some(peer)] = pair(&mut self.halves, number) else { return Ok(()) };
        if flags.contains(EventFlags::OUT) && !peer.held.is_empty() {
            let sent = accepted(own.stream.write(&peer.held))?;
            peer.held.drain(..sent);
            if peer.held.is_empty() {
                self.poll.change(&own.stream, number, EventFlags::IN)?;
                self.poll.change(&peer.stream, number ^ 1, EventFlags::IN)?;
            }
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) && own.held.is_empty() {
            let count = match own.stream.read(&mut self.buf) {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                count => count?,
            };
            let sent = accepted(peer.stream.write(&self.buf[..count]))?;
            if sent < count {
                own.held.extend_from_slice(&self.buf[sent..count]);
                self.poll.change(&own.stream, number, EventFlags::empty())?;
                self.poll.change(&peer.stream, number ^ 1, EventFlags::IN | EventFlags::OUT)?;
            }
        }
        Ok(())
    }

    fn end(&mut self, number: usize) {
        self.halves[number] = None;
        self.halves[number ^ 1] = None;
        self.free.push(number & !1);
    }
}

/// A half and the one that it is joined with.
fn pair(halves: &mut [Option<Half>], number: usize) -> [Option<&mut Half>; 2] {
    let [first, second] = &mut halves[number & !1..][..2] else { return [None, None] };
    let (own, peer) = if number.is_multiple_of(2) { (first, second) } else { (second, first) };
    [own.as_mut(), peer.as_mut()]
}

/// A connection to `port` of 127.0.0.1 that sends at once and never blocks; it may still be on its way.
///
/// # Errors
/// Where the system has no socket or no port left.
pub(crate) fn open(port: u16) -> Result<TcpStream> {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    socket.set_tcp_nodelay(true)?;
    match socket.connect(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)).into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => Err(error),
        _ => Ok(socket.into()),
    }
}

/// How much was taken; nothing where nothing can be taken now.
pub(crate) fn accepted(sent: Result<usize>) -> Result<usize> {
    match sent {
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
        sent => sent,
    }
}
