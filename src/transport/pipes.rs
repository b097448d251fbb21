//! Pipes through which the kernel moves bytes from one socket to another, without a copy (splice(2)).
//!
//! ```text
//!   socket ──▶ Piped::fill ──▶ a pipe of the pool ──▶ Piped::empty_into ──▶ socket
//!                                     ▲   │
//!                              lend   │   │ empty: given back; dropped with bytes in it: closed
//!                                     └───┘
//!                                   Pipes
//! ```
//!
//! A pipe is lent for one slice. It is kept longer only while bytes in it wait for a slow reader, so that as many are in use as there are
//! streams that are held up. There are no more than [`limits::PIPES`], fewer where descriptors are few; who gets none copies. Where there is no splice(2), `copying.rs` takes
//! the place of this module.

use std::cell::{Cell, RefCell};
use std::io;
use std::mem;
use std::os::fd::{AsFd, OwnedFd};
use std::rc::{Rc, Weak};

use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};

use crate::limits;

/// Descriptors of a pipe.
pub(crate) const EACH: usize = 2;

/// The pipes of a context.
#[derive(Default)]
pub(crate) struct Pipes(Rc<Pool>);

struct Pool {
    // In their boxes, so that lending one allocates nothing.
    #[expect(clippy::vec_box)]
    spare: RefCell<Vec<Box<Pipe>>>,
    /// Those in use and the spare ones.
    open: Cell<usize>,
    /// As many as there may be.
    most: Cell<usize>,
    /// One was given back since the last look.
    used: Cell<bool>,
    /// The system does not let us.
    refused: Cell<bool>,
}

impl Default for Pool {
    fn default() -> Self {
        let (spare, open, used, refused) = Default::default();
        Pool { spare, open, most: Cell::new(limits::PIPES), used, refused }
    }
}

struct Pipe {
    inlet: OwnedFd,
    outlet: OwnedFd,
    held: usize,
    home: Weak<Pool>,
}

/// Bytes on their way through the kernel, at most [`limits::SPLICE`]. Owns nothing while there are none.
#[derive(Default)]
pub(crate) struct Piped(Option<Box<Pipe>>);

impl Pipes {
    /// An empty pipe. `None`: all are in use, or the system has no descriptors for another one.
    pub(crate) fn lend(&self) -> Option<Piped> {
        let spare = self.0.spare.borrow_mut().pop();
        spare.or_else(|| self.open_one()).map(|pipe| Piped(Some(pipe)))
    }

    fn open_one(&self) -> Option<Box<Pipe>> {
        let open = self.0.open.get();
        if open >= self.0.most.get() || self.0.refused.get() {
            return None;
        }
        let (outlet, inlet) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK).ok()?;
        // A user who has many of them gets smaller ones, which do as well.
        if let Err(error) = fcntl_setpipe_size(&inlet, limits::SPLICE) {
            log::debug!("the size of a pipe: {error}");
        }
        self.0.open.set(open + 1);
        Some(Box::new(Pipe { inlet, outlet, held: 0, home: Rc::downgrade(&self.0) }))
    }

    /// Has no more than so many be open. Those that are in use now stay until they are empty.
    pub(crate) fn limit(&self, most: usize) {
        self.0.most.set(most.min(limits::PIPES));
    }

    /// Descriptors of those that are open.
    pub(crate) fn descriptors(&self) -> usize {
        EACH * self.0.open.get()
    }

    /// Whether there are spare ones, of which [`Pipes::tidy`] may close some.
    pub(crate) fn has_spare(&self) -> bool {
        !self.0.spare.borrow().is_empty()
    }

    /// Closes the spare ones, if none was used since the last call.
    pub(crate) fn tidy(&self) {
        if !self.0.used.replace(false) {
            let unused = mem::take(&mut *self.0.spare.borrow_mut());
            self.0.open.set(self.0.open.get() - unused.len());
        }
    }
}

impl Piped {
    pub(crate) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    pub(crate) fn len(&self) -> usize {
        self.0.as_ref().map_or(0, |pipe| pipe.held)
    }

    /// Takes up to `most` bytes from a socket into an empty pipe; `Ok(0)` is the socket's end. An error of the kind `Unsupported` says that
    /// everything is to be copied.
    pub(super) fn fill(&mut self, from: impl AsFd, most: usize) -> io::Result<usize> {
        let Some(pipe) = &mut self.0 else { return Err(io::ErrorKind::WouldBlock.into()) };
        debug_assert_eq!(pipe.held, 0, "of a pipe that is full a socket seems to have nothing");
        match splice(from, None, &pipe.inlet, None, most, SpliceFlags::NONBLOCK) {
            Ok(n) => pipe.held = n,
            Err(Errno::PERM | Errno::NOSYS | Errno::INVAL) => {
                // A sandbox may forbid it.
                pipe.home.upgrade().inspect(|pool| pool.refused.set(true));
                return Err(io::ErrorKind::Unsupported.into());
            }
            Err(error) => return Err(error.into()),
        }
        Ok(pipe.held)
    }

    /// Gives a socket as much as it takes. The pipe goes back with the last byte.
    pub(super) fn empty_into(&mut self, to: impl AsFd) -> io::Result<usize> {
        let Some(pipe) = &mut self.0 else { return Ok(0) };
        let taken = splice(&pipe.outlet, None, to, None, pipe.held, SpliceFlags::NONBLOCK)?;
        pipe.held -= taken;
        if pipe.held == 0 {
            self.discard();
        }
        Ok(taken)
    }

    /// Forgets what is in it.
    pub(crate) fn discard(&mut self) {
        *self = Piped::default();
    }
}

impl Drop for Piped {
    fn drop(&mut self) {
        let Some(pipe) = self.0.take() else { return };
        let Some(pool) = pipe.home.upgrade() else { return };
        pool.used.set(true);
        if pipe.held == 0 && !pool.refused.get() {
            pool.spare.borrow_mut().push(pipe);
        } else {
            pool.open.set(pool.open.get() - 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::UnixStream;

    use super::*;

    fn count(pipes: &Pipes) -> (usize, usize) {
        (pipes.0.open.get(), pipes.0.spare.borrow().len())
    }

    #[test]
    fn bytes_pass_and_the_pipe_goes_back() {
        let pipes = Pipes::default();
        let (mut from, inlet) = UnixStream::pair().expect("a pair");
        let (outlet, mut to) = UnixStream::pair().expect("a pair");
        from.write_all(b"through the kernel").expect("room");
        let mut piped = pipes.lend().expect("one");
        assert_eq!(piped.fill(&inlet, 7).expect("bytes"), 7);
        assert_eq!(piped.empty_into(&outlet).expect("room"), 7);
        assert!(piped.is_empty());
        assert_eq!(count(&pipes), (1, 1), "it is back while whoever had it is still there");
        let mut bytes = [0; 7];
        to.read_exact(&mut bytes).expect("bytes");
        assert_eq!(&bytes, b"through");
    }

    #[test]
    fn one_with_bytes_in_it_is_never_lent_again() {
        let pipes = Pipes::default();
        let (mut from, inlet) = UnixStream::pair().expect("a pair");
        from.write_all(b"lost").expect("room");
        let mut piped = pipes.lend().expect("one");
        piped.fill(&inlet, 100).expect("bytes");
        assert_eq!(piped.len(), 4);
        drop(piped);
        assert_eq!(count(&pipes), (0, 0));
    }

    #[test]
    fn there_are_no_more_than_the_limit_and_unused_ones_are_closed() {
        let pipes = Pipes::default();
        let all: Vec<Piped> = std::iter::from_fn(|| pipes.lend()).take(limits::PIPES + 1).collect();
        assert_eq!(all.len(), limits::PIPES);
        drop(all);
        assert_eq!(count(&pipes), (limits::PIPES, limits::PIPES));
        pipes.tidy();
        assert!(pipes.has_spare(), "they were used a moment ago");
        pipes.tidy();
        assert_eq!(count(&pipes), (0, 0));
    }

    #[test]
    fn fewer_may_be_asked_for_and_are_then_as_many_as_there_are() {
        let pipes = Pipes::default();
        pipes.limit(1);
        let one = pipes.lend();
        assert!(one.is_some() && pipes.lend().is_none());
        assert_eq!(pipes.descriptors(), EACH);
        pipes.limit(usize::MAX);
        let others: Vec<Piped> = std::iter::from_fn(|| pipes.lend()).take(limits::PIPES + 1).collect();
        assert_eq!(others.len(), limits::PIPES - 1);
    }
}
