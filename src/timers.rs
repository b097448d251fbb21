//! When to look at whom again: one ordered entry per connection that waits for a time, and one per scheduled call.
//!
//! A connection's times (its role's deadline, its protocol's timer and timeout) are plain fields that are moved as often as one likes;
//! the entry here is only moved when it would come too late. So the keep-alive timeout of a busy connection costs a store per request.

use std::collections::BTreeMap;
use std::mem;
use std::time::{Duration, Instant};

use crate::vhost::{ProtocolIndex, VhostId};
use crate::wsi::{Wsi, WsiId};

/// A time, and a number that puts those who wait for the same time into the order in which they came.
pub(crate) type At = (Instant, u32);

/// A call that was scheduled with [`Cx::schedule`](crate::Cx::schedule) (lws's `lws_sorted_usec_list_t`). Never used twice.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SulId(At);

/// Whose time has come.
pub(crate) enum Due {
    /// One of the connection's times, unless it has moved on meanwhile.
    Wsi(WsiId, Instant),
    Sul(SulId, VhostId, ProtocolIndex),
    /// Pipes may be spare that nobody needs any more.
    Pipes,
}

#[derive(Default)]
pub(crate) struct Timers {
    entries: BTreeMap<At, Entry>,
    last_number: u32,
    /// There is an entry for the pipes.
    pipes: bool,
}

enum Entry {
    Pipes,
    Wsi(WsiId),
    Sul(VhostId, ProtocolIndex),
}

impl Timers {
    /// Makes sure that `wsi` is looked at no later than at the first of its times.
    pub(crate) fn arm(&mut self, wsi: &mut Wsi) {
        let Some((next, _)) = wsi.next_alarm() else { return };
        if wsi.armed.is_some_and(|(armed, _)| armed <= next) {
            return;
        }
        self.disarm(wsi);
        wsi.armed = Some(self.insert(next, Entry::Wsi(wsi.id)));
    }

    pub(crate) fn disarm(&mut self, wsi: &mut Wsi) {
        if let Some(armed) = wsi.armed.take() {
            self.entries.remove(&armed);
        }
    }

    pub(crate) fn schedule(&mut self, at: Instant, vhost: VhostId, protocol: ProtocolIndex) -> SulId {
        SulId(self.insert(at, Entry::Sul(vhost, protocol)))
    }

    /// Has somebody look after the pipes at a time, unless that is to come already.
    pub(crate) fn arm_pipes(&mut self, at: impl FnOnce() -> Instant) {
        if !mem::replace(&mut self.pipes, true) {
            self.insert(at(), Entry::Pipes);
        }
    }

    fn insert(&mut self, at: Instant, entry: Entry) -> At {
        self.last_number = self.last_number.wrapping_add(1);
        let at = (at, self.last_number);
        self.entries.insert(at, entry);
        at
    }

    /// Whether it was still to come.
    pub(crate) fn cancel(&mut self, sul: SulId) -> bool {
        self.entries.remove(&sul.0).is_some()
    }

    /// Drops what was scheduled for a vhost's protocols.
    pub(crate) fn cancel_all(&mut self, gone: VhostId) {
        self.entries.retain(|_, entry| !matches!(entry, Entry::Sul(vhost, _) if *vhost == gone));
    }

    /// Takes out the first entry that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Due> {
        let first = self.entries.first_entry().filter(|first| first.key().0 <= now)?;
        let (at, entry) = first.remove_entry();
        Some(match entry {
            Entry::Wsi(id) => Due::Wsi(id, at.0),
            Entry::Sul(vhost, protocol) => Due::Sul(SulId(at), vhost, protocol),
            Entry::Pipes => {
                self.pipes = false;
                Due::Pipes
            }
        })
    }

    /// How long the loop may sleep.
    pub(crate) fn until_next(&self, now: Instant) -> Option<Duration> {
        self.entries.first_key_value().map(|((at, _), _)| at.saturating_duration_since(now))
    }
}
