//! Who has something to do without waiting for an event.
//!
//! ```text
//!   prompt: all of them, once ──▶ bulk: a few ──▶ poll ──▶ ..
//! ```
//!
//! There are two lanes. A connection that moves slice after slice is in the second one, of which each turn of the loop serves no more than
//! [`limits::BULK_TURNS`](crate::limits::BULK_TURNS) before it looks for fresh events. So whoever has little to say waits for a slice or two, and
//! not for a slice of everybody who has much; and slices can be large.

use std::collections::VecDeque;

use crate::wsi::{Wsi, WsiId};

#[derive(Default)]
pub(crate) struct RunQueue {
    prompt: VecDeque<WsiId>,
    bulk: VecDeque<WsiId>,
}

impl RunQueue {
    /// Puts a connection into its lane, once.
    pub(crate) fn push(&mut self, wsi: &mut Wsi) {
        if !wsi.flags.queued {
            wsi.flags.queued = true;
            let lane = if wsi.is_bulk() { &mut self.bulk } else { &mut self.prompt };
            lane.push_back(wsi.id);
        }
    }

    pub(crate) fn pop_prompt(&mut self) -> Option<WsiId> {
        self.prompt.pop_front()
    }

    pub(crate) fn pop_bulk(&mut self) -> Option<WsiId> {
        self.bulk.pop_front()
    }

    pub(crate) fn prompt(&self) -> usize {
        self.prompt.len()
    }

    pub(crate) fn bulk(&self) -> usize {
        self.bulk.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.prompt.is_empty() && self.bulk.is_empty()
    }
}
