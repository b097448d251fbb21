//! Any descriptor that is read and written with read(2) and write(2): a pipe, a terminal or serial line, inotify, a regular file.

use std::io::{self, Read, Write};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use mio::event::Source;
use mio::unix::SourceFd;
use mio::{Interest, Registry, Token};
use rustix::fs::{FileType, OFlags, fcntl_getfl, fcntl_setfl, fstat};
use rustix::io::Errno;

use super::{Sock, Transport};

pub(crate) struct File {
    fd: OwnedFd,
    reads: bool,
    writes: bool,
    /// How it was, for whoever else has a copy of it.
    flags: OFlags,
}

impl File {
    /// Makes a descriptor non-blocking and ready for the loop.
    pub(crate) fn transport(fd: OwnedFd) -> io::Result<Transport> {
        if FileType::from_raw_mode(fstat(&fd)?.st_mode) == FileType::Directory {
            return Err(Errno::ISDIR.into());
        }
        let flags = fcntl_getfl(&fd)?;
        fcntl_setfl(&fd, flags | OFlags::NONBLOCK)?;
        let access = flags & OFlags::ACCMODE;
        let file = File { fd, reads: access != OFlags::WRONLY, writes: access != OFlags::RDONLY, flags };
        Ok(Transport::File(Sock::reading_on(file)))
    }

    pub(super) fn reads(&self) -> bool {
        self.reads
    }

    pub(super) fn writes(&self) -> bool {
        self.writes
    }

    /// What to ask the poll for: of something that is only written not whether it is readable, for a terminal is when its user types.
    fn interest(&self, asked: Interest) -> Interest {
        if self.reads { asked } else { asked.remove(Interest::READABLE).unwrap_or(asked) }
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _nobody_can_help_it = fcntl_setfl(&self.fd, self.flags);
    }
}

impl Read for &File {
    /// Of something that is only written: the end. The poll has said that its reader is gone.
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if !self.reads {
            return Ok(0);
        }
        match rustix::io::read(&self.fd, buf) {
            // So a terminal says that nobody has its other end open any more.
            Err(Errno::IO) => Ok(0),
            result => Ok(result?),
        }
    }
}

impl Write for &File {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(rustix::io::write(&self.fd, buf)?)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Source for File {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.fd.as_raw_fd()).register(registry, token, self.interest(interests))
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        SourceFd(&self.fd.as_raw_fd()).reregister(registry, token, self.interest(interests))
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        SourceFd(&self.fd.as_raw_fd()).deregister(registry)
    }
}
