//! The twin of `pipes.rs` for systems without splice(2): there is never a pipe, so everything is copied.

use std::io;
use std::os::fd::AsFd;

/// Descriptors of a pipe.
pub(crate) const EACH: usize = 0;

#[derive(Default)]
pub(crate) struct Pipes;

/// Nothing, always.
#[derive(Default)]
pub(crate) struct Piped;

impl Pipes {
    pub(crate) fn lend(&self) -> Option<Piped> {
        None
    }

    pub(crate) fn limit(&self, _: usize) {}

    pub(crate) fn descriptors(&self) -> usize {
        0
    }

    pub(crate) fn has_spare(&self) -> bool {
        false
    }

    pub(crate) fn tidy(&self) {}
}

impl Piped {
    pub(crate) fn is_empty(&self) -> bool {
        true
    }

    pub(crate) fn len(&self) -> usize {
        0
    }

    pub(super) fn fill(&mut self, _: impl AsFd, _: usize) -> io::Result<usize> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    pub(super) fn empty_into(&mut self, _: impl AsFd) -> io::Result<usize> {
        Ok(0)
    }

    pub(crate) fn discard(&mut self) {}
}
