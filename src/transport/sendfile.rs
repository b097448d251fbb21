//! Bytes of a file that the system itself hands to a socket, without a copy of them in this process.
//!
//! Linux has sendfile(2) for it. Where there is no such call, or the file system does not do it, [`send`] says `Unsupported`: who asked
//! reads and writes instead.

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

#[cfg(target_os = "linux")]
use rustix::io::Errno;

/// Hands over up to `len` bytes of `file`, from `from` on. Fewer: the socket has no room for more, or the file ends. 0: it ends there.
#[cfg(target_os = "linux")]
pub(super) fn send(socket: impl AsFd, file: &File, mut from: u64, len: usize) -> io::Result<usize> {
    match rustix::fs::sendfile(socket, file, Some(&mut from), len) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
        sent => Ok(sent?),
    }
}

#[cfg(not(target_os = "linux"))]
pub(super) fn send(_: impl AsFd, _: &File, _: u64, _: usize) -> io::Result<usize> {
    Err(io::ErrorKind::Unsupported.into())
}
