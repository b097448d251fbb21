//! The byte stream under a role, with its readiness remembered.
//!
//! What kind of socket it is ends here: above, everything is read, written and waited for alike.

pub(crate) mod datagrams;
mod file;
// The portable twin only copies. `--cfg rlws_portable` builds it on Linux, for the tests.
#[cfg_attr(any(not(target_os = "linux"), rlws_portable), path = "copying.rs")]
mod pipes;
mod sendfile;
mod sock;

use std::fs;
use std::io::{self, IoSlice};
use std::net::{Shutdown, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use mio::event::Event;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};
use socket2::SockRef;

use crate::keepalive;
use crate::tls::stream::Tls;

pub(crate) use datagrams::Datagrams;
pub(crate) use file::File;
pub(crate) use pipes::{EACH as DESCRIPTORS_OF_A_PIPE, Piped, Pipes};
use sock::Shortage;
pub(crate) use sock::Sock;

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
    File(Sock<File>),
    Udp(Box<Sock<Datagrams>>),
}

/// What kind of thing that is, for roles carry only one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Medium {
    Stream,
    File,
    Datagrams,
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

/// Calls the same method of whichever socket is there that carries bytes; without one, `$else`.
macro_rules! on_stream {
    ($transport:expr, $sock:ident => $call:expr, tls $tls:ident => $of_tls:expr, else $none:expr) => {
        match $transport {
            Transport::Tcp($sock) => $call,
            Transport::Unix($sock) => $call,
            Transport::File($sock) => $call,
            Transport::Udp($sock) => $call,
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
            Transport::TcpListener(sock) => sock.note(event),
            Transport::UnixListener(sock) => sock.note(event),
            io => on_stream!(io, sock => sock.note(event), tls tls => tls.under.note(event), else ()),
        }
    }

    pub(crate) fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        match self {
            Transport::TcpListener(sock) => sock.register(registry, token, interest),
            Transport::UnixListener(sock) => sock.register(registry, token, interest),
            Transport::File(sock) => {
                let reads = sock.io.reads();
                sock.register_or_be_ready(registry, token, interest, reads)
            }
            io => on_stream!(
                io,
                sock => sock.register(registry, token, interest),
                tls tls => tls.under.register(registry, token, interest),
                else Ok(())
            ),
        }
    }

    /// Has a read be tried before the poll has said anything: who has just connected may have spoken already.
    pub(crate) fn expect_input(&mut self) {
        if let Transport::Tcp(sock) = self {
            sock.readable = true;
        }
    }

    /// Has the poll forget it, for a descriptor of which the user may hold a copy: that would keep the system telling.
    pub(crate) fn deregister(&mut self, registry: &Registry) {
        let gone = on_stream!(
            self,
            sock => sock.deregister(registry),
            tls tls => return tls.under.deregister(registry),
            else Ok(())
        );
        if let Err(error) = gone {
            log::debug!("deregistering: {error}");
        }
    }

    pub(crate) fn medium(&self) -> Medium {
        match self {
            Transport::File(_) => Medium::File,
            Transport::Udp(_) => Medium::Datagrams,
            _ => Medium::Stream,
        }
    }

    /// Whether there is a stream that can be read and written, and of which a peer can hang up.
    pub(crate) fn is_stream(&self) -> bool {
        self.medium() == Medium::Stream && self.is_open()
    }

    /// Whether there is something that can be written.
    pub(crate) fn is_open(&self) -> bool {
        on_stream!(self, _sock => true, tls _tls => true, else false)
    }

    /// Whether writing is what it was opened for.
    pub(crate) fn takes_writes(&self) -> bool {
        match self {
            Transport::File(sock) => sock.io.writes(),
            io => io.is_open(),
        }
    }

    /// The descriptor beneath.
    pub(crate) fn fd(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Transport::TcpListener(sock) => Some(sock.io.as_fd()),
            Transport::UnixListener(sock) => Some(sock.io.as_fd()),
            io => on_stream!(io, sock => Some(sock.io.as_fd()), tls tls => tls.under.fd(), else None),
        }
    }

    /// Who sent the datagram that was received last.
    pub(crate) fn sender(&self) -> Option<SocketAddr> {
        match self {
            Transport::Udp(sock) => sock.io.sender(),
            _ => None,
        }
    }

    /// Whether a read may bring something, be it the end.
    pub(crate) fn readable(&self) -> bool {
        on_stream!(self, sock => sock.readable, tls tls => tls.readable(), else false)
    }

    /// Whether the end of the peer's data has been read. Reading again says so again.
    pub(crate) fn eof(&self) -> bool {
        on_stream!(self, sock => sock.eof, tls tls => tls.eof(), else false)
    }

    /// Whether the peer has ended its side, be it in the middle of TLS.
    pub(crate) fn hung_up(&self) -> bool {
        on_stream!(self, sock => sock.eof, tls tls => tls.eof() || tls.under.eof(), else false)
    }

    /// Whether the peer is known to have ended its side, though not all that it sent before may have been read.
    pub(crate) fn ended(&self) -> bool {
        on_stream!(self, sock => sock.eof || sock.told.ended, tls tls => tls.eof() || tls.under.ended(), else false)
    }

    /// Whether writing has failed: what is written goes nowhere.
    pub(crate) fn goes_nowhere(&self) -> bool {
        on_stream!(self, sock => sock.goes_nowhere(), tls tls => tls.under.goes_nowhere(), else false)
    }

    /// Whether a write may take something.
    pub(crate) fn writable(&self) -> bool {
        on_stream!(self, sock => sock.writable, tls tls => tls.writable(), else false)
    }

    /// Whether the system has given the connection up (reset, timed out): nothing can be delivered any more.
    pub(crate) fn dead(&self) -> bool {
        on_stream!(self, sock => sock.told.dead, tls tls => tls.under.dead(), else false)
    }

    /// Whether the system has no memory for what is to be read or written.
    pub(crate) fn is_short_of_memory(&self) -> bool {
        on_stream!(self, sock => sock.shortage != Shortage::No, tls tls => tls.under.is_short_of_memory(), else false)
    }

    /// Has reading and writing be tried again.
    pub(crate) fn try_again(&mut self) {
        on_stream!(self, sock => sock.try_again(), tls tls => tls.under.try_again(), else ())
    }

    /// Why what was sent last went nowhere. Reading says so too, once it has nothing else to say.
    pub(crate) fn failure(&self) -> Option<io::Error> {
        on_stream!(self, sock => sock.failure(), tls tls => tls.under.failure(), else None)
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

    /// Writes the last bytes, and the end with them if the system takes all of them now: FIN leaves in the packet of the last byte, and over
    /// TLS close_notify in the same write. How many were taken, and whether the end was said.
    ///
    /// The end is said in this very call, and not by closing the socket: bytes that are held back for it would be thrown away where
    /// input is unread.
    pub(crate) fn send_last(&mut self, bytes: &[u8]) -> io::Result<(usize, bool)> {
        let taken = match self {
            Transport::Tcp(sock) => sock.send_held_back(&[IoSlice::new(bytes)])?,
            Transport::Tls(tls) => tls.send_last(bytes)?,
            io => return Ok((io.send(bytes)?, false)),
        };
        let is_all = taken == bytes.len() && !self.pending();
        if is_all {
            self.shutdown_write();
        }
        Ok((taken, is_all))
    }

    /// The same for several pieces that may wait in the system for what follows them at once.
    pub(crate) fn send_held_back(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Transport::Tcp(sock) => sock.send_held_back(slices),
            io => io.send_vectored(slices),
        }
    }

    /// Has the system send `len` bytes of a file, from `from` on, as far as it takes them now. `None`: it cannot, and they have to be read and
    /// sent, as over TLS.
    ///
    /// # Errors
    /// `UnexpectedEof`: the file ends before.
    pub(crate) fn send_file(&mut self, file: &fs::File, from: u64, len: usize) -> io::Result<Option<usize>> {
        match self {
            Transport::Tcp(sock) => sock.send_file(file, from, len),
            Transport::Unix(sock) => sock.send_file(file, from, len),
            _ => Ok(None),
        }
    }

    /// Whether the kernel can move what it receives on by itself. Of TCP it can, but not past the mark of urgent data.
    pub(crate) fn splices_from(&self) -> bool {
        matches!(self, Transport::Tcp(sock) if !sock.told.urgent)
    }

    /// Whether the kernel can move bytes to it by itself.
    pub(crate) fn splices_to(&self) -> bool {
        matches!(self, Transport::Tcp(_))
    }

    /// Reads up to `most` bytes into a pipe that is empty.
    pub(crate) fn recv_piped(&mut self, piped: &mut Piped, most: usize) -> io::Result<Received> {
        match self {
            Transport::Tcp(sock) => sock.recv_piped(piped, most),
            _ => Ok(Received::Blocked),
        }
    }

    /// Writes what is in a pipe, as far as the system takes it now.
    pub(crate) fn send_piped(&mut self, piped: &mut Piped) -> io::Result<usize> {
        match self {
            Transport::Tcp(sock) => sock.send_piped(piped),
            _ => Ok(0),
        }
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
            _ => Ok(()),
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

    /// Has a write be tried: the system takes a little as soon as the peer has read a little, and tells of room only when there is much.
    pub(crate) fn expect_room(&mut self) {
        on_stream!(self, sock => sock.expect_room(), tls tls => tls.under.expect_room(), else ());
    }

    /// Has its closing be a reset, which throws away what the system has not delivered. (Over a unix socket there is no such thing.)
    pub(crate) fn reset_on_close(&self) {
        match self {
            Transport::Tcp(sock) => {
                if let Err(error) = SockRef::from(&sock.io).set_linger(Some(Duration::ZERO)) {
                    log::debug!("SO_LINGER: {error}");
                }
            }
            Transport::Tls(tls) => tls.under.reset_on_close(),
            _ => {}
        }
    }

    /// Has the system ask a silent peer whether it is still there.
    pub(crate) fn keep_alive(&self) {
        match self {
            Transport::Tcp(sock) => {
                if let Err(error) = SockRef::from(&sock.io).set_tcp_keepalive(&keepalive::settings()) {
                    log::debug!("SO_KEEPALIVE: {error}");
                }
            }
            Transport::Tls(tls) => tls.under.keep_alive(),
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
        match self {
            Transport::Tcp(sock) => sock.connected(|io| io.take_error()),
            Transport::Unix(sock) => sock.connected(|io| io.take_error()),
            _ => None,
        }
    }
}
