//! When to look at whom again: one ordered entry per connection that waits for a time, and one per scheduled call.
//!
//! A connection's times (its role's deadline, its protocol's timer and timeout) are plain fields that are moved as often as one likes;
//! the entry here is only moved when it would come too late. So the keep-alive timeout of a busy connection costs a store per request.
//!
//! Idle connections have an entry too, so it is kept small: times are nanoseconds since the timers were made, half of an `Instant`.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use crate::vhost::{ProtocolIndex, VhostId};
use crate::wsi::{Wsi, WsiId};

/// A time in nanoseconds, and a number that puts those who wait for the same time into the order in which they came.
pub(crate) type At = (u64, NonZeroU32);

/// A call that was scheduled with [`Cx::schedule`](crate::Cx::schedule) (lws's `lws_sorted_usec_list_t`). Never used twice.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SulId(At);

/// Whose time has come.
pub(crate) enum Due {
    /// One of the connection's times, unless it has moved on meanwhile.
    Wsi(WsiId, Instant),
    Sul(SulId, VhostId, ProtocolIndex),
    Chore(Chore),
}

/// What the context itself has to do at times.
#[derive(Copy, Clone, PartialEq, Eq)]
pub(crate) enum Chore {
    /// Pipes may be spare that nobody needs any more.
    Pipes,
    /// Connections of our own may be old enough for TCP keepalive.
    Keepalive,
}

pub(crate) struct Timers {
    entries: BTreeMap<At, Entry>,
    /// What times count from; who waits for an earlier one has waited long enough.
    begin: Instant,
    next_number: NonZeroU32,
    /// Those that there is an entry for; there are few.
    chores: Vec<Chore>,
}

enum Entry {
    Chore(Chore),
    Wsi(WsiId),
    Sul(VhostId, ProtocolIndex),
}

impl Timers {
    pub(crate) fn new() -> Timers {
        Timers { entries: BTreeMap::new(), begin: Instant::now(), next_number: NonZeroU32::MIN, chores: Vec::new() }
    }

    /// Makes sure that `wsi` is looked at no later than at the first of its times.
    pub(crate) fn arm(&mut self, wsi: &mut Wsi) {
        let Some((next, _)) = wsi.next_alarm() else { return };
        if wsi.armed.is_some_and(|(armed, _)| armed <= self.nanos(next)) {
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

    /// Has a chore done at a time, unless that is to come already.
    pub(crate) fn arm_chore(&mut self, chore: Chore, at: impl FnOnce() -> Instant) {
        if !self.chores.contains(&chore) {
            self.chores.push(chore);
            self.insert(at(), Entry::Chore(chore));
        }
    }

    fn insert(&mut self, at: Instant, entry: Entry) -> At {
        let at = (self.nanos(at), self.next_number);
        self.next_number = self.next_number.checked_add(1).unwrap_or(NonZeroU32::MIN);
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
        let now = self.nanos(now);
        let first = self.entries.first_entry().filter(|first| first.key().0 <= now)?;
        let (at, entry) = first.remove_entry();
        Some(match entry {
            Entry::Wsi(id) => Due::Wsi(id, self.instant(at)),
            Entry::Sul(vhost, protocol) => Due::Sul(SulId(at), vhost, protocol),
            Entry::Chore(chore) => {
                self.chores.retain(|other| *other != chore);
                Due::Chore(chore)
            }
        })
    }

    /// How long the loop may sleep.
    pub(crate) fn until_next(&self, now: Instant) -> Option<Duration> {
        self.entries.first_key_value().map(|(at, _)| self.instant(*at).saturating_duration_since(now))
    }

    /// 584 years fit.
    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.saturating_duration_since(self.begin).as_nanos()).unwrap_or(u64::MAX)
    }

    fn instant(&self, (nanos, _): At) -> Instant {
        self.begin + Duration::from_nanos(nanos)
    }
}
