//! epoll, level-triggered: what the load and the floor wait with.

use std::io::Result;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;

/// Who waits for what, by number.
pub(crate) struct Poll {
    epoll: OwnedFd,
}

impl Poll {
    pub(crate) fn new() -> Result<Poll> {
        Ok(Poll { epoll: epoll::create(CreateFlags::CLOEXEC)? })
    }

    pub(crate) fn add(&self, source: &impl AsFd, number: usize, flags: EventFlags) -> Result<()> {
        Ok(epoll::add(&self.epoll, source, EventData::new_u64(number as u64), flags)?)
    }

    pub(crate) fn change(&self, source: &impl AsFd, number: usize, flags: EventFlags) -> Result<()> {
        Ok(epoll::modify(&self.epoll, source, EventData::new_u64(number as u64), flags)?)
    }

    pub(crate) fn remove(&self, source: &impl AsFd) -> Result<()> {
        Ok(epoll::delete(&self.epoll, source)?)
    }

    /// Puts what has happened into `events`, as many as it has room for; waits no longer than `patience` for the first.
    pub(crate) fn wait(&self, events: &mut Vec<Event>, patience: Option<Duration>) -> Result<()> {
        let patience = patience.map(|time| Timespec::try_from(time).unwrap_or(Timespec { tv_sec: 1, tv_nsec: 0 }));
        match epoll::wait(&self.epoll, spare_capacity(events), patience.as_ref()) {
            Err(Errno::INTR) => Ok(()),
            result => Ok(result.map(drop)?),
        }
    }
}
