//! A worker as its parent sees it: a process, and the ways to it.

use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use rustix::io::Errno;
use rustix::net::SendFlags;

use crate::args::Args;
use crate::control::Word;
use crate::generations::Generation;
use crate::hand_over::{Channel, HandOver};
use crate::process::Process;

pub(crate) struct Worker {
    pub(crate) process: Process,
    pub(crate) generation: Generation,
    /// Its place in its generation.
    pub(crate) number: usize,
    channel: Channel,
    words: UnixStream,
}

impl Worker {
    /// Starts one. With it comes the stream that its words come over.
    pub(crate) fn start(
        args: &Args,
        generation: Generation,
        number: usize,
        hand_over: &HandOver,
        fds: &[BorrowedFd<'_>],
    ) -> io::Result<(Worker, UnixStream)> {
        let (words, theirs) = UnixStream::pair()?;
        let (channel, stdin) = Channel::pair()?;
        // All is on its way before there is a process.
        channel.begin(hand_over, theirs.as_fd(), fds)?;
        drop(theirs);
        let heard = words.try_clone()?;
        let process = Process::worker(args, stdin)?;
        Ok((Worker { process, generation, number, channel, words }, heard))
    }

    /// Hands descriptors over, and says what they are.
    pub(crate) fn hand(&self, fds: &[BorrowedFd<'_>], word: Word) -> io::Result<()> {
        match self.channel.send(fds) {
            Ok(()) => self.tell(word),
            Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Never waits: a worker that does not take so little does not read.
    pub(crate) fn tell(&self, word: Word) -> io::Result<()> {
        let line = format!("{word}\n");
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        match rustix::net::send(&self.words, line.as_bytes(), flags) {
            Ok(sent) if sent == line.len() => Ok(()),
            Ok(_) => Err(ErrorKind::WriteZero.into()),
            // It is about to end, and finishes what it has to.
            Err(Errno::PIPE | Errno::CONNRESET) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
