//! The byte stream under a role, with its readiness remembered.
//!
//! mio reports edges: a socket says once that it became readable, and then nothing until it was drained. [`Sock`] keeps
//! that word, so that a role may stop reading whenever it likes and go on later. A short read or write ends readiness, except
//! where a short read proves nothing: a peer that has hung up (data and FIN in one edge bring no second edge), urgent data (reads
//! stop at its mark), unix sockets (reads stop at a passed descriptor).
//!
//! A write that fails does not end the connection: what the peer had sent before it went is still read. Only then reading fails too.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;

use mio::event::{Event, Source};
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use crate::tls::stream::Tls;

/// What is asked of the poll for a stream that is read. Urgent data is asked for because reads stop at its mark.
pub(crate) const READING: Interest = Interest::READABLE.add(Interest::PRIORITY);

/// What carries a connection's bytes.
pub(crate) enum Transport {
    /// Nothing (yet).
    None,
    TcpListener(Sock<TcpListener>),
    UnixListener(Sock<UnixListener>),
    Tcp(Sock<TcpStream>),
    Unix(Sock<UnixStream>),
    Tls(Box<Tls>),
}

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Bytes(usize),
    /// Nothing now; an event will tell.
    Blocked,
    /// The peer sends no more.
    Eof,
}

/// Calls the same method of whichever stream is there; without one, `$else`.
macro_rules! on_stream {
    ($transport:expr, $sock:ident => $call:expr, tls $tls:ident => $of_tls:expr, else $none:expr) => {
        match $transport {
            Transport::Tcp($sock) => $call,
            Transport::Unix($sock) => $call,
            Transport::Tls(tls) => {
                let $tls = tls;
                $of_tls
            }
            Transport::None | Transport::TcpListener(_) | Transport::UnixListener(_) => $none,
        }
    };
}

impl Transport {
    /// Takes note of what the poll said.
    pub(crate) fn note(&mut self, event: &Event) {
        match self {
            Transport::None => {}
            Transport::TcpListener(sock) => sock.note(event),
            Transport::UnixListener(sock) => sock.note(event),
            Transport::Tcp(sock) => sock.note(event),
            Transport::Unix(sock) => sock.note(event),
            Transport::Tls(tls) => tls.under.note(event),
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        match self {
            Transport::None => Ok(()),
            Transport::TcpListener(sock) => sock.register(registry, token, interest),
            Transport::UnixListener(sock) => sock.register(registry, token, interest),
            Transport::Tcp(sock) => sock.register(registry, token, interest),
            Transport::Unix(sock) => sock.register(registry, token, interest),
            Transport::Tls(tls) => tls.under.register(registry, token, interest),
        }
    }

    /// Whether there is a stream that can be read and written.
    pub(crate) fn is_stream(&self) -> bool {
        on_stream!(self, _sock => true, tls _tls => true, else false)
    }

    /// Whether a read may bring something, be it the end.
    pub(crate) fn readable(&self) -> bool {
        on_stream!(self, sock => sock.readable, tls tls => tls.readable(), else false)
    }

    /// Whether the end of the peer's data has been read. Reading again says so again.
    pub(crate) fn eof(&self) -> bool {
        on_stream!(self, sock => sock.eof, tls tls => tls.eof(), else false)
    }

    /// Whether a write may take something.
    pub(crate) fn writable(&self) -> bool {
        on_stream!(self, sock => sock.writable, tls tls => tls.writable(), else false)
    }

    /// Whether the system has given the connection up (reset, timed out): nothing can be delivered any more.
    pub(crate) fn dead(&self) -> bool {
        on_stream!(self, sock => sock.dead, tls tls => tls.under.dead(), else false)
    }

    /// Reads up to `buf.len()` bytes.
    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> io::Result<Received> {
        on_stream!(self, sock => sock.recv(buf), tls tls => tls.recv(buf), else Ok(Received::Blocked))
    }

    /// Writes what the system takes now, which may be nothing. After a short write, [`Transport::arm_for_write`].
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        on_stream!(self, sock => sock.send(bytes), tls tls => tls.send(bytes), else Ok(0))
    }

    /// The same for several pieces in one system call. Not for TLS, which puts its records together itself.
    pub(crate) fn send_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        on_stream!(self, sock => sock.send_vectored(slices), tls _tls => Ok(0), else Ok(0))
    }

    /// Whether bytes that were taken have not all reached the system.
    pub(crate) fn pending(&self) -> bool {
        on_stream!(self, _sock => false, tls tls => tls.pending(), else false)
    }

    /// Hands over what is pending, as far as the system takes it.
    pub(crate) fn push(&mut self) -> io::Result<()> {
        on_stream!(self, _sock => Ok(()), tls tls => tls.push(), else Ok(()))
    }

    /// Says that no more will be sent, where the transport has a word for it (close_notify).
    pub(crate) fn say_goodbye(&mut self) -> io::Result<()> {
        on_stream!(self, _sock => Ok(()), tls tls => tls.say_goodbye(), else Ok(()))
    }

    /// The TLS session, where there is one.
    pub(crate) fn tls(&self) -> Option<&Tls> {
        match self {
            Transport::Tls(tls) => Some(tls),
            _ => None,
        }
    }

    /// Asks the poll for writability, once in a connection's life.
    pub(crate) fn arm_for_write(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        on_stream!(
            self,
            sock => sock.arm_for_write(registry, token),
            tls tls => tls.under.arm_for_write(registry, token),
            else Ok(())
        )
    }

    /// Sends FIN. A peer that has already gone is no error.
    pub(crate) fn shutdown_write(&mut self) {
        let result = match self {
            Transport::Tcp(sock) => sock.io.shutdown(Shutdown::Write),
            Transport::Unix(sock) => sock.io.shutdown(Shutdown::Write),
            Transport::Tls(tls) => return tls.under.shutdown_write(),
            Transport::None | Transport::TcpListener(_) | Transport::UnixListener(_) => Ok(()),
        };
        if let Err(error) = result {
            log::trace!("shutdown: {error}");
        }
    }

    /// Has the system say that it takes more as soon as it has fewer than `unsent` bytes to send, and not only when a third of a
    /// buffer of megabytes is free.
    pub(crate) fn report_progress(&self, unsent: u32) {
        match self {
            Transport::Tcp(sock) => {
                if let Err(error) = SockRef::from(&sock.io).set_tcp_notsent_lowat(unsent) {
                    log::debug!("TCP_NOTSENT_LOWAT: {error}");
                }
            }
            Transport::Tls(tls) => tls.under.report_progress(unsent),
            _ => {}
        }
    }

    /// Reads what nobody wants any more: of a TLS connection the bytes beneath, for its session may have failed.
    pub(crate) fn discard(&mut self, buf: &mut [u8]) -> io::Result<Received> {
        match self {
            Transport::Tls(tls) => tls.under.recv(buf),
            plain => plain.recv(buf),
        }
    }

    /// Whether there may be something to [`discard`](Transport::discard).
    pub(crate) fn discardable(&self) -> bool {
        match self {
            Transport::Tls(tls) => tls.under.readable(),
            plain => plain.readable(),
        }
    }

    /// The state of a connect that was begun: `None` while it is under way.
    pub(crate) fn connected(&self) -> Option<io::Result<()>> {
        let (error, peer) = match self {
            Transport::Tcp(sock) => (sock.io.take_error(), sock.io.peer_addr().map(drop)),
            Transport::Unix(sock) => (sock.io.take_error(), sock.io.peer_addr().map(drop)),
            _ => return None,
        };
        match (error, peer) {
            (Ok(Some(error)), _) | (Err(error), _) => Some(Err(error)),
            (Ok(None), Ok(())) => Some(Ok(())),
            (Ok(None), Err(_)) => None,
        }
    }
}

/// A socket and what the poll last said of it.
pub(crate) struct Sock<S> {
    pub(crate) io: S,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// Short reads prove nothing: read until nothing comes.
    read_on: bool,
    dead: bool,
    eof: bool,
    /// A write has failed; further ones go nowhere.
    write_failed: bool,
    armed_for_write: bool,
}

impl<S: Source> Sock<S> {
    /// A socket of which nothing is known but that a write may be tried.
    pub(crate) fn new(io: S) -> Self {
        Sock {
            io,
            readable: false,
            writable: true,
            read_on: false,
            dead: false,
            eof: false,
            write_failed: false,
            armed_for_write: false,
        }
    }

    /// Of a kind whose short reads prove nothing.
    pub(crate) fn reading_on(io: S) -> Self {
        Sock { read_on: true, ..Sock::new(io) }
    }

    fn note(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable();
        self.read_on |= event.is_read_closed() || event.is_priority();
        self.dead |= event.is_error();
    }

    fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.armed_for_write = interest.is_writable();
        registry.register(&mut self.io, token, interest)
    }

    fn arm_for_write(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        if self.armed_for_write {
            return Ok(());
        }
        self.armed_for_write = true;
        registry.reregister(&mut self.io, token, READING | Interest::WRITABLE)
    }
}

impl<S> Sock<S>
where
    for<'a> &'a S: Read + Write,
{
    fn recv(&mut self, buf: &mut [u8]) -> io::Result<Received> {
        if self.eof {
            return Ok(Received::Eof);
        }
        match retry(|| (&self.io).read(buf)) {
            Ok(0) if self.write_failed => Err(ErrorKind::ConnectionReset.into()),
            Ok(0) => {
                self.eof = true;
                Ok(Received::Eof)
            }
            Ok(n) => {
                self.readable = n == buf.len() || self.read_on;
                Ok(Received::Bytes(n))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.readable = false;
                Ok(Received::Blocked)
            }
            Err(error) => Err(error),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.write_failed {
            return Ok(bytes.len());
        }
        let result = retry(|| (&self.io).write(bytes));
        self.sent(result, bytes.len())
    }

    fn send_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let all = slices.iter().map(|slice| slice.len()).sum();
        if self.write_failed {
            return Ok(all);
        }
        let result = retry(|| (&self.io).write_vectored(slices));
        self.sent(result, all)
    }

    fn sent(&mut self, result: io::Result<usize>, wanted: usize) -> io::Result<usize> {
        match result {
            Ok(n) => {
                self.writable = n == wanted;
                Ok(n)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(0)
            }
            Err(error) => {
                log::debug!("writing: {error}; reading what is left");
                (self.write_failed, self.readable, self.read_on) = (true, true, true);
                Ok(wanted)
            }
        }
    }
}

/// Repeats a system call that a signal interrupted.
fn retry(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => return result,
        }
    }
}
