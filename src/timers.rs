//! When to look at whom again: one ordered entry per connection that has a deadline.
//!
//! A connection's deadline is a plain field that it moves as often as it likes; the entry here is only moved when it comes
//! due too early or would come too late. So the keep-alive timeout of a busy connection costs a store per request.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::wsi::{Wsi, WsiId};

#[derive(Default)]
pub(crate) struct Timers {
    due: BTreeSet<(Instant, WsiId)>,
}

impl Timers {
    /// Makes sure that `wsi` is looked at no later than its deadline.
    pub(crate) fn arm(&mut self, wsi: &mut Wsi) {
        let Some(deadline) = wsi.deadline else { return };
        if wsi.armed.is_some_and(|armed| armed <= deadline) {
            return;
        }
        self.disarm(wsi);
        self.due.insert((deadline, wsi.id));
        wsi.armed = Some(deadline);
    }

    pub(crate) fn disarm(&mut self, wsi: &mut Wsi) {
        if let Some(armed) = wsi.armed.take() {
            self.due.remove(&(armed, wsi.id));
        }
    }

    /// Takes out one connection whose entry is due. Its deadline may have moved on meanwhile.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<WsiId> {
        self.due.first().filter(|(at, _)| *at <= now)?;
        self.due.pop_first().map(|(_, id)| id)
    }

    /// How long the loop may sleep.
    pub(crate) fn until_next(&self, now: Instant) -> Option<Duration> {
        self.due.first().map(|(at, _)| at.saturating_duration_since(now))
    }
}
