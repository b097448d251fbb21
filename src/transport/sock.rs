//! A socket and its readiness.
//!
//! mio reports edges: a socket says once that it became readable, and then nothing until it was drained. [`Sock`] keeps
//! that word, so that a role may stop reading whenever it likes and go on later. A short read or write ends readiness, except
//! where a short read proves nothing: a peer that has hung up (data and FIN in one edge bring no second edge), urgent data (reads
//! stop at its mark), unix sockets (reads stop at a passed descriptor), datagrams (each read brings one).
//!
//! No memory in the system for a read or a write is like nothing to read and no room to write, but no event tells of its end. Whoever it
//! belongs to tries again after [`limits::MEMORY_PAUSE`].
//!
//! A write that fails does not end the connection: what the peer had sent before it went is still read. Only then reading fails too.

use std::fs::File;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::os::fd::AsFd;

use mio::event::{Event, Source};
use mio::{Interest, Registry, Token};
use rustix::io::Errno;
use rustix::net::{SendAncillaryBuffer, SendFlags, send, sendmsg};

use crate::limits;

use super::{Piped, READING, Received, sendfile};

/// How bytes are sent that leave with those behind them. Elsewhere than on Linux they leave at once.
#[cfg(target_os = "linux")]
const HELD_BACK: SendFlags = SendFlags::NOSIGNAL.union(SendFlags::MORE);
#[cfg(not(target_os = "linux"))]
const HELD_BACK: SendFlags = SendFlags::NOSIGNAL;

/// A socket and what is known of it.
pub(crate) struct Sock<S> {
    pub(crate) io: S,
    kind: Kind,
    pub(super) readable: bool,
    pub(super) writable: bool,
    pub(super) told: Told,
    /// The peer's end has been read.
    pub(super) eof: bool,
    /// Why a write failed; further ones go nowhere.
    write_failed: Option<Errno>,
    pub(super) shortage: Shortage,
    /// How often it was tried again in a row.
    tries: u32,
    polled: Polled,
    /// A write was short, so the poll is to tell of room.
    armed_for_write: bool,
}

/// What a read proves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A short one that there is no more.
    Stream,
    /// Nothing but by finding nothing.
    Stops,
    /// The same; besides, an empty one is not the end, and an error is not one either.
    Datagrams,
}

/// What the poll has ever said of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Told {
    /// There was urgent data.
    pub(super) urgent: bool,
    /// The peer has ended its side; what came before may be unread.
    pub(super) ended: bool,
    /// The system has given it up.
    pub(super) dead: bool,
}

/// Whether the poll knows it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Polled {
    NotYet,
    Yes,
    /// It never has to be waited for: a short write is to be followed by another one, which says why.
    Never,
}

/// Whether the system has no memory for it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shortage {
    No,
    Yes,
    /// The poll has been made to tell of it, in case that it came up in another connection's turn.
    Told,
}

impl<S: Source> Sock<S> {
    /// A connected socket, or one that listens. Nothing is known of it but that a write may be tried.
    pub(crate) fn new(io: S) -> Self {
        Sock {
            io,
            kind: Kind::Stream,
            readable: false,
            writable: true,
            told: Told::default(),
            eof: false,
            write_failed: None,
            shortage: Shortage::No,
            tries: 0,
            polled: Polled::NotYet,
            armed_for_write: false,
        }
    }

    /// One that is being connected: it is as soon as it is writable, which the poll tells.
    pub(crate) fn connecting(io: S) -> Self {
        Sock { writable: false, ..Sock::new(io) }
    }

    /// Of a kind whose short reads prove nothing.
    pub(crate) fn reading_on(io: S) -> Self {
        Sock { kind: Kind::Stops, ..Sock::new(io) }
    }

    /// Of datagrams.
    pub(crate) fn endless(io: S) -> Self {
        Sock { kind: Kind::Datagrams, ..Sock::new(io) }
    }

    /// Whether to read until nothing comes.
    fn reads_on(&self) -> bool {
        let Told { urgent, ended, .. } = self.told;
        self.kind != Kind::Stream || urgent || ended || self.goes_nowhere() || self.polled == Polled::Never
    }

    /// The system may have memory again.
    pub(super) fn try_again(&mut self) {
        self.shortage = Shortage::No;
        self.tries += 1;
        (self.readable, self.writable) = (true, true);
    }

    /// The system may take more, though it has not said so.
    pub(super) fn expect_room(&mut self) {
        self.writable = true;
    }

    /// Whether that is why a call failed, and it is worth trying again.
    fn is_shortage(&mut self, error: &io::Error) -> bool {
        let no_memory =
            [Errno::NOBUFS, Errno::NOMEM].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
        let is_passing = no_memory && self.kind != Kind::Datagrams && self.tries < limits::MEMORY_TRIES;
        if is_passing && self.shortage == Shortage::No {
            log::debug!("{error}; trying again");
            self.shortage = Shortage::Yes;
        }
        is_passing
    }

    pub(super) fn goes_nowhere(&self) -> bool {
        self.write_failed.is_some()
    }

    /// The state of a connect that was begun: `None` while it is under way. The system is asked only where it has more to say than that.
    pub(super) fn connected(&self, error: impl FnOnce(&S) -> io::Result<Option<io::Error>>) -> Option<io::Result<()>> {
        let Told { ended, dead, .. } = self.told;
        self.writable.then(|| match ended || dead {
            true => error(&self.io).and_then(|error| error.map_or(Ok(()), Err)),
            false => Ok(()),
        })
    }

    pub(super) fn note(&mut self, event: &Event) {
        self.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        self.writable |= event.is_writable() || event.is_error();
        self.told.urgent |= event.is_priority();
        self.told.ended |= event.is_read_closed();
        self.told.dead |= event.is_error() && self.kind != Kind::Datagrams;
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token, interest: Interest) -> io::Result<()> {
        self.armed_for_write |= interest.is_writable();
        let interest = if self.armed_for_write { interest | Interest::WRITABLE } else { interest };
        registry.register(&mut self.io, token, interest)?;
        self.polled = Polled::Yes;
        Ok(())
    }

    /// The same for what may never have to be waited for, as regular files and /dev/null, and of which epoll(7) says so with EPERM.
    pub(super) fn register_or_be_ready(
        &mut self,
        registry: &Registry,
        token: Token,
        interest: Interest,
        reads: bool,
    ) -> io::Result<()> {
        match self.register(registry, token, interest) {
            Err(error) if error.kind() == ErrorKind::PermissionDenied => {
                (self.polled, self.readable) = (Polled::Never, reads);
                Ok(())
            }
            result => result,
        }
    }

    pub(super) fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        registry.deregister(&mut self.io)
    }

    pub(super) fn arm_for_write(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let to_be_told = self.shortage == Shortage::Yes;
        if self.armed_for_write && !to_be_told {
            return Ok(());
        }
        self.armed_for_write = true;
        if to_be_told {
            self.shortage = Shortage::Told;
        }
        if self.polled != Polled::Yes {
            return Ok(());
        }
        registry.reregister(&mut self.io, token, READING | Interest::WRITABLE)
    }
}

impl<S: AsFd + Source> Sock<S>
where
    for<'a> &'a S: Read + Write,
{
    pub(super) fn recv(&mut self, buf: &mut [u8]) -> io::Result<Received> {
        if self.eof {
            return Ok(Received::Eof);
        }
        let result = retry(|| (&self.io).read(buf));
        let received = self.received(result)?;
        if let Received::Bytes(n) = received {
            self.readable = n == buf.len() || self.reads_on();
        }
        Ok(received)
    }

    /// The same through the kernel. Here a short read proves nothing: the pipe may have no slot left.
    pub(super) fn recv_piped(&mut self, piped: &mut Piped, most: usize) -> io::Result<Received> {
        if self.eof {
            return Ok(Received::Eof);
        }
        let result = retry(|| piped.fill(&self.io, most));
        self.received(result)
    }

    fn received(&mut self, result: io::Result<usize>) -> io::Result<Received> {
        match result {
            Ok(0) if self.kind == Kind::Datagrams => Ok(Received::Bytes(0)),
            Ok(0) if self.write_failed.is_some() => Err(self.failure().unwrap_or(ErrorKind::ConnectionReset.into())),
            Ok(0) => {
                self.eof = true;
                Ok(Received::Eof)
            }
            Ok(n) => {
                self.tries = 0;
                Ok(Received::Bytes(n))
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock || self.is_shortage(&error) => {
                self.readable = false;
                Ok(Received::Blocked)
            }
            Err(error) => Err(error),
        }
    }

    /// Why what was sent last went nowhere.
    pub(super) fn failure(&self) -> Option<io::Error> {
        self.write_failed.map(io::Error::from)
    }

    pub(super) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.write_failed.is_some() {
            return Ok(bytes.len());
        }
        let result = retry(|| (&self.io).write(bytes));
        self.sent(result, bytes.len())
    }

    pub(super) fn send_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [one] = slices {
            return self.send(one);
        }
        let all = slices.iter().map(|slice| slice.len()).sum();
        if self.write_failed.is_some() {
            return Ok(all);
        }
        let result = retry(|| (&self.io).write_vectored(slices));
        self.sent(result, all)
    }

    /// The same, but what is taken may wait in the system until more is sent or the end is, which has to follow at once. For sockets alone.
    pub(super) fn send_held_back(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let all = slices.iter().map(|slice| slice.len()).sum();
        if self.write_failed.is_some() {
            return Ok(all);
        }
        let result = retry(|| match slices {
            [one] => Ok(send(&self.io, one, HELD_BACK)?),
            several => Ok(sendmsg(&self.io, several, &mut SendAncillaryBuffer::default(), HELD_BACK)?),
        });
        self.sent(result, all)
    }

    /// The same for `len` bytes of a file, from `from` on. `None`: this has to be read and sent.
    ///
    /// # Errors
    /// `UnexpectedEof`: the file ends before.
    pub(super) fn send_file(&mut self, file: &File, from: u64, len: usize) -> io::Result<Option<usize>> {
        if self.write_failed.is_some() {
            return Ok(Some(len));
        }
        match retry(|| sendfile::send(&self.io, file, from, len)) {
            Err(error) if error.kind() == ErrorKind::Unsupported => Ok(None),
            Ok(0) => Err(ErrorKind::UnexpectedEof.into()),
            // Whether fewer are because of the socket or because of the file, only the next call says.
            Ok(n) => {
                self.tries = 0;
                Ok(Some(n))
            }
            Err(error) => self.sent(Err(error), len).map(Some),
        }
    }

    pub(super) fn send_piped(&mut self, piped: &mut Piped) -> io::Result<usize> {
        let wanted = piped.len();
        let result = match self.write_failed {
            None => retry(|| piped.empty_into(&self.io)),
            Some(_) => Ok(wanted),
        };
        let sent = self.sent(result, wanted)?;
        if self.write_failed.is_some() {
            piped.discard();
        }
        Ok(sent)
    }

    fn sent(&mut self, result: io::Result<usize>, wanted: usize) -> io::Result<usize> {
        match result {
            Ok(n) => {
                self.tries = 0;
                self.writable = n == wanted || self.polled == Polled::Never;
                Ok(n)
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock || self.is_shortage(&error) => {
                self.writable = false;
                Ok(0)
            }
            Err(error) => {
                log::debug!("writing: {error}; reading what is left");
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::PIPE);
                (self.write_failed, self.readable) = (Some(errno), true);
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
