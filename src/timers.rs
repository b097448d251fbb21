//! When to look at whom again: one ordered entry per connection that waits for a time, and one per scheduled call.
//!
//! A connection's times (its role's deadline, its protocol's timer and timeout) are plain fields that are moved as often as one likes;
//! the entry here is only moved when it would come too late. So the keep-alive timeout of a busy connection costs a store per request.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::vhost::{ProtocolIndex, VhostId};
use crate::wsi::{Wsi, WsiId};

/// A call that was scheduled with [`Cx::schedule`](crate::Cx::schedule) (lws's `lws_sorted_usec_list_t`). Never used twice.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SulId {
    at: Instant,
    call: Call,
}

/// Whom to call. The number tells two of the same time apart, and puts them into the order in which they were asked for.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
struct Call {
    number: u32,
    vhost: VhostId,
    protocol: ProtocolIndex,
}

impl SulId {
    pub(crate) fn vhost(self) -> VhostId {
        self.call.vhost
    }

    pub(crate) fn protocol(self) -> ProtocolIndex {
        self.call.protocol
    }
}

/// Whose time has come.
pub(crate) enum Due {
    /// One of the connection's times, unless it has moved on meanwhile.
    Wsi(WsiId, Instant),
    Sul(SulId),
}

#[derive(Default)]
pub(crate) struct Timers {
    entries: BTreeSet<(Instant, Entry)>,
    last_number: u32,
}

#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Wsi(WsiId),
    Sul(Call),
}

impl Timers {
    /// Makes sure that `wsi` is looked at no later than at the first of its times.
    pub(crate) fn arm(&mut self, wsi: &mut Wsi) {
        let Some((next, _)) = wsi.next_alarm() else { return };
        if wsi.armed.is_some_and(|armed| armed <= next) {
            return;
        }
        self.disarm(wsi);
        self.entries.insert((next, Entry::Wsi(wsi.id)));
        wsi.armed = Some(next);
    }

    pub(crate) fn disarm(&mut self, wsi: &mut Wsi) {
        if let Some(armed) = wsi.armed.take() {
            self.entries.remove(&(armed, Entry::Wsi(wsi.id)));
        }
    }

    pub(crate) fn schedule(&mut self, at: Instant, vhost: VhostId, protocol: ProtocolIndex) -> SulId {
        self.last_number = self.last_number.wrapping_add(1);
        let call = Call { number: self.last_number, vhost, protocol };
        self.entries.insert((at, Entry::Sul(call)));
        SulId { at, call }
    }

    /// Whether it was still to come.
    pub(crate) fn cancel(&mut self, sul: SulId) -> bool {
        self.entries.remove(&(sul.at, Entry::Sul(sul.call)))
    }

    /// Drops what was scheduled for a vhost's protocols.
    pub(crate) fn cancel_all(&mut self, vhost: VhostId) {
        self.entries.retain(|(_, entry)| !matches!(entry, Entry::Sul(call) if call.vhost == vhost));
    }

    /// Takes out the first entry that is due.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<Due> {
        self.entries.first().filter(|(at, _)| *at <= now)?;
        let (at, entry) = self.entries.pop_first()?;
        Some(match entry {
            Entry::Wsi(id) => Due::Wsi(id, at),
            Entry::Sul(call) => Due::Sul(SulId { at, call }),
        })
    }

    /// How long the loop may sleep.
    pub(crate) fn until_next(&self, now: Instant) -> Option<Duration> {
        self.entries.first().map(|(at, _)| at.saturating_duration_since(now))
    }
}
