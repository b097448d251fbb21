//! Standard input and output, to be adopted. What is adopted stops blocking, for all who share it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{FileType, Mode, OFlags, fstat, open};

pub(crate) fn stdin() -> io::Result<OwnedFd> {
    own(io::stdin(), "/dev/stdin", OFlags::RDONLY, &[FileType::CharacterDevice])
}

/// Only to be written, even where it is a terminal.
pub(crate) fn stdout() -> io::Result<OwnedFd> {
    own(io::stdout(), "/dev/stdout", OFlags::WRONLY, &[FileType::CharacterDevice, FileType::Fifo])
}

/// Opened anew where others may share it: the shell a terminal, the log on stderr also a pipe. Else a copy, for a file goes on where it is,
/// and a socket cannot be opened.
fn own(fd: impl AsFd, path: &str, access: OFlags, shared: &[FileType]) -> io::Result<OwnedFd> {
    if shared.contains(&FileType::from_raw_mode(fstat(&fd)?.st_mode)) {
        let waiting_for_nobody = OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        if let Ok(own) = open(path, access | waiting_for_nobody, Mode::empty()) {
            return Ok(own);
        }
    }
    fd.as_fd().try_clone_to_owned()
}
