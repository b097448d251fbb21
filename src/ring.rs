//! What one says and many hear, each at its own pace (`lws_ring`).
//!
//! ```text
//!              first                                 end
//!   passed by    │                                    │
//!   everybody    ▼                                    │
//!      · · · · [ a ][ b ][ c ][ d ][ e ][ f ][ g ]    ▼  ◀── push
//!    dropped     ▲         ▲                          ▲
//!              slow      busy                   up to date: most, most of the time
//! ```
//!
//! Each consumer has a tail: the number of the element that it takes next. An element counts the tails that stand at it, so
//! that what nobody waits for any more is known without asking everybody: it is a first element at which no tail stands.
//!
//! - The first element always has a tail at it. So nothing is held for consumers that are up to date, or for none.
//! - Every tail is between `first` and `end`: who would fall behind `first` is culled by the push that drops its element.
//! - Who is up to date is not culled by a push, however heavy its element.
//!
//! A push, a step, a join and a leave cost the same for one consumer and for ten thousand. Only a push that culls looks at all.
//!
//! lws's ring has a fixed number of elements of a fixed size, refuses what does not fit, and leaves the oldest tail to be kept
//! by macros over a list of sessions.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, VecDeque};

use crate::wsi::WsiId;

/// A queue with one producer and many consumers, each with a place of its own in it; who lags too far is culled (`lws_ring`).
///
/// Usually the per-vhost data of a protocol, or a part of it: connections [`join`](Ring::join) when they are established and
/// [`leave`](Ring::leave) when they close; what is said is [`push`](Ring::push)ed once, and each connection takes it from its
/// writeable callback with [`peek`](Ring::peek) and [`advance`](Ring::advance).
///
/// A consumer may have so much waiting as the ring has room: elements ([`Ring::new`]) or their weight ([`Ring::weighing`]). Its own
/// backlog alone decides, not what others have taken. An element is dropped as soon as the last consumer has passed it.
///
/// ```
/// use rlws::{Cx, Ring, Verdict, Wsi};
///
/// fn say(ring: &mut Ring<String>, cx: &mut Cx, line: &str) {
///     for lagging in ring.push(line.to_owned()) {
///         cx.close_later(lagging);
///     }
/// }
///
/// fn on_writeable(ring: &mut Ring<String>, wsi: &mut Wsi) -> Verdict {
///     if let Some(line) = ring.peek(wsi.id()) {
///         if wsi.write(line.as_bytes()).is_err() {
///             return Verdict::Close;
///         }
///         ring.advance(wsi.id());
///     }
///     if ring.waiting(wsi.id()) > 0 {
///         wsi.callback_on_writable();
///     }
///     Verdict::Continue
/// }
/// ```
pub struct Ring<T> {
    /// What somebody has still to take, the oldest first.
    kept: VecDeque<Kept<T>>,
    /// The number of the first of `kept`: how many came before it.
    first: u64,
    /// The number of the element that each consumer takes next.
    tails: HashMap<WsiId, u64>,
    /// How many tails stand at the end.
    up_to_date: usize,
    /// Of all that is kept.
    weight: usize,
    limit: usize,
    weigh: fn(&T) -> usize,
}

struct Kept<T> {
    element: T,
    weight: usize,
    /// How many tails stand here.
    tails: usize,
}

impl<T> Ring<T> {
    /// A ring whose consumers may each have `capacity` elements waiting; 0 is taken as 1.
    pub fn new(capacity: usize) -> Ring<T> {
        Ring::weighing(capacity.max(1), |_| 1)
    }

    /// A ring whose consumers may each have elements waiting that weigh `limit` together, or one that is heavier by itself; 0
    /// is taken as 1.
    ///
    /// `weigh` is asked once for each element. For a weight in bytes add what keeping an element costs beside them, some 64 bytes, so
    /// that the tiny and the empty are bounded too.
    pub fn weighing(limit: usize, weigh: fn(&T) -> usize) -> Ring<T> {
        Ring {
            kept: VecDeque::new(),
            first: 0,
            tails: HashMap::new(),
            up_to_date: 0,
            weight: 0,
            limit: limit.max(1),
            weigh,
        }
    }

    /// Has a connection hear what is pushed from now on. One that has joined already stays where it is.
    pub fn join(&mut self, id: WsiId) {
        let end = self.end();
        if let Entry::Vacant(place) = self.tails.entry(id) {
            place.insert(end);
            self.up_to_date += 1;
        }
    }

    /// Takes a connection out, and with it what was kept for it alone. One that is not in is nothing to do.
    pub fn leave(&mut self, id: WsiId) {
        if let Some(tail) = self.tails.remove(&id) {
            *self.standing(tail) -= 1;
            self.drop_passed();
        }
    }

    /// Adds an element for all that have joined; nothing is kept if nobody has.
    ///
    /// Returns those whose backlog became too large. They have lost elements and are out of the ring: the caller closes them, with
    /// [`Cx::close_later`](crate::Cx::close_later), or [`Cx::close_later_with`](crate::Cx::close_later_with).
    #[must_use = "who is returned has lost data, and is to be closed"]
    pub fn push(&mut self, element: T) -> Vec<WsiId> {
        let weight = (self.weigh)(&element);
        let culled = self.make_room(weight);
        if !self.tails.is_empty() {
            self.weight += weight;
            self.kept.push_back(Kept { element, weight, tails: std::mem::take(&mut self.up_to_date) });
        }
        culled
    }

    /// What a connection takes next; `None` when it is up to date, or not in.
    pub fn peek(&self, id: WsiId) -> Option<&T> {
        let tail = self.tails.get(&id)?;
        self.kept.get(self.index(*tail)).map(|kept| &kept.element)
    }

    /// A connection has done with what [`peek`](Ring::peek) shows it. Nothing happens when that is `None`.
    pub fn advance(&mut self, id: WsiId) {
        let end = self.end();
        if let Some(tail) = self.tails.get_mut(&id).filter(|tail| **tail < end) {
            let passed = *tail;
            *tail += 1;
            *self.standing(passed) -= 1;
            *self.standing(passed + 1) += 1;
            self.drop_passed();
        }
    }

    /// How many elements a connection has still to take.
    pub fn waiting(&self, id: WsiId) -> usize {
        self.tails.get(&id).map_or(0, |tail| self.kept.len() - self.index(*tail))
    }

    /// How many elements are kept: as many as the slowest has still to take.
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// Whether everybody is up to date.
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// What all that is kept weighs together: the backlog of the slowest.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// How much more can be pushed before anybody may be culled: elements, or weight (`lws_ring_get_count_free_elements`).
    ///
    /// Messages of one read come back to back, before anybody's writeable callback. So who must not cull by a burst looks here in its receive
    /// callback, and stops receiving ([`Wsi::rx_flow_control`](crate::Wsi::rx_flow_control)) while there is no room for the next. Where many may
    /// speak, all of them are stopped ([`Cx::rx_flow_control`](crate::Cx::rx_flow_control)): in one turn of the loop each may say one.
    pub fn free(&self) -> usize {
        self.limit.saturating_sub(self.weight)
    }

    /// Who has something still to take, in no order. It looks at every consumer.
    pub fn behind(&self) -> impl Iterator<Item = WsiId> {
        let end = self.end();
        self.tails.iter().filter(move |(_, tail)| **tail < end).map(|(id, _)| *id)
    }

    /// The number that the next element will have.
    fn end(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    fn index(&self, number: u64) -> usize {
        (number - self.first) as usize
    }

    /// How many tails stand at a number from `first` to `end`.
    fn standing(&mut self, number: u64) -> &mut usize {
        let index = self.index(number);
        self.kept.get_mut(index).map_or(&mut self.up_to_date, |kept| &mut kept.tails)
    }

    /// Drops old elements until another of that weight fits or none is left, and culls those who were still to take them.
    fn make_room(&mut self, weight: usize) -> Vec<WsiId> {
        let room = self.limit.saturating_sub(weight);
        if self.weight <= room {
            return Vec::new();
        }
        while self.weight > room {
            self.drop_first();
        }
        let first = self.first;
        let culled = self.tails.extract_if(|_, tail| *tail < first).map(|(id, _)| id).collect();
        self.drop_passed();
        culled
    }

    /// Drops what nobody is still to take.
    fn drop_passed(&mut self) {
        while self.kept.front().is_some_and(|kept| kept.tails == 0) {
            self.drop_first();
        }
        if self.kept.is_empty() {
            self.kept = VecDeque::new(); // the room that a long backlog took goes too
        }
    }

    fn drop_first(&mut self) {
        if let Some(kept) = self.kept.pop_front() {
            self.weight -= kept.weight;
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests;
