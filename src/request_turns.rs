//! Whose request is answered, where one peer may have only so many answered at a time: the others wait for their turn.
//!
//! ```text
//!   a request's head ──▶ begin ──┬── counted, until its response is out ──▶ end ──▶ its turn is handed over
//!                          ▲     └── over its limit: waits, up to a time ──┬──▶ leave      │
//!                          └────────────────── woken ─────────────────────┴───────────────┘
//! ```
//!
//! A turn that ends is handed to who has waited longest, and is taken by nobody else meanwhile: whoever asks again has its place behind
//! those who wait. An event costs O(log n) of those who wait. Who counts as one peer is as for [`PeerLimits`](crate::peer_limits::PeerLimits);
//! without a limit there is no table. In lws: the list of those who wait for an `ah`.

use std::collections::{BTreeMap, HashMap};

use crate::peer_limits::PeerKey;
use crate::wsi::{Peer, WsiId};

pub(crate) struct RequestTurns {
    /// Requests at a time of one peer; `None`: as many as there are.
    most: Option<u32>,
    peers: HashMap<PeerKey, Turns>,
    /// The next one's place in a queue.
    place: u64,
}

/// What a peer has now.
#[derive(Default, Debug)]
struct Turns {
    /// Those that are taken, or handed to a connection that has not asked again yet.
    taken: u32,
    /// Connections whose requests wait until another of the same peer has its answer, in the order they came. While there are any all turns
    /// are taken.
    queue: BTreeMap<u64, WsiId>,
    /// Those, and whoever has been handed a turn.
    waiting: HashMap<WsiId, Place>,
}

/// Where a connection is that has been told to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Queue(u64),
    /// It has a turn, and is woken to take it.
    Turn,
}

/// Whether a request may be answered now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Turn {
    /// Nobody counts it.
    Uncounted,
    /// It counts until it is over.
    Counted,
    /// Its connection is woken when it may ask again.
    Waits,
}

impl RequestTurns {
    /// `None` and `Some(0)`: as many requests as there are.
    pub(crate) fn new(most: Option<u32>) -> RequestTurns {
        RequestTurns { most: most.filter(|most| *most > 0), peers: HashMap::new(), place: 0 }
    }

    /// A request of the connection `id` wants to be answered, or asks again.
    pub(crate) fn begin(&mut self, peer: &Peer, id: WsiId) -> Turn {
        let (Some(most), Some(key)) = (self.most, PeerKey::of(peer)) else { return Turn::Uncounted };
        let turns = self.peers.entry(key).or_default();
        match turns.waiting.get(&id) {
            Some(Place::Queue(_)) => Turn::Waits,
            Some(Place::Turn) => {
                turns.waiting.remove(&id);
                Turn::Counted
            }
            None if turns.taken < most => {
                turns.taken += 1;
                Turn::Counted
            }
            None => {
                turns.queue.insert(self.place, id);
                turns.waiting.insert(id, Place::Queue(self.place));
                self.place += 1;
                Turn::Waits
            }
        }
    }

    /// A request that was counted is over. Who has its turn now, and is to be woken.
    pub(crate) fn end(&mut self, peer: &Peer) -> Option<WsiId> {
        let key = PeerKey::of(peer)?;
        let turns = self.peers.get_mut(&key)?;
        let next = turns.hand_over();
        if turns.is_nothing() {
            self.peers.remove(&key);
        }
        next
    }

    /// A connection that waits, or has been handed a turn, goes. Who has its turn instead, and is to be woken.
    pub(crate) fn leave(&mut self, peer: &Peer, id: WsiId) -> Option<WsiId> {
        let key = PeerKey::of(peer)?;
        let turns = self.peers.get_mut(&key)?;
        match turns.waiting.remove(&id)? {
            Place::Queue(place) => {
                turns.queue.remove(&place);
                None
            }
            Place::Turn => self.end(peer),
        }
    }
}

impl Turns {
    fn is_nothing(&self) -> bool {
        self.taken == 0 && self.waiting.is_empty()
    }

    /// A turn is over: who has waited longest has it now. Where nobody waits it is free.
    fn hand_over(&mut self) -> Option<WsiId> {
        let next = self.queue.pop_first().map(|(_, id)| id);
        match next {
            Some(id) => _ = self.waiting.insert(id, Place::Turn),
            None => self.taken = self.taken.saturating_sub(1),
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    fn tcp(address: &str) -> Peer {
        Peer::tcp(address.parse::<SocketAddr>().expect("an address"))
    }

    #[test]
    fn requests_beyond_the_limit_have_their_turn_in_order() {
        let mut turns = RequestTurns::new(Some(1));
        let id = |index| WsiId { index, generation: 1 };
        let (one, other) = (tcp("10.0.0.1:1"), tcp("10.0.0.2:1"));
        assert_eq!(turns.begin(&one, id(1)), Turn::Counted);
        for waiting in [2, 3, 2, 4] {
            assert_eq!(turns.begin(&one, id(waiting)), Turn::Waits);
        }
        assert_eq!(turns.begin(&other, id(5)), Turn::Counted, "each for itself");
        assert_eq!(turns.leave(&one, id(3)), None, "there is no room yet");
        assert_eq!(turns.end(&one), Some(id(2)));
        assert_eq!(turns.leave(&one, id(2)), Some(id(4)), "it goes without its turn");
        assert_eq!(turns.begin(&one, id(4)), Turn::Counted);
        assert_eq!([turns.end(&one), turns.end(&other)], [None, None]);
        assert!(turns.peers.is_empty());
        assert_eq!(turns.begin(&Peer::Unix, id(1)), Turn::Uncounted);
        assert_eq!(RequestTurns::new(Some(0)).begin(&one, id(1)), Turn::Uncounted);
    }

    #[test]
    fn a_turn_is_handed_over_and_nobody_takes_it_meanwhile() {
        let mut turns = RequestTurns::new(Some(2));
        let id = |index| WsiId { index, generation: 1 };
        let one = tcp("10.0.0.1:1");
        assert_eq!([1, 2].map(|at| turns.begin(&one, id(at))), [Turn::Counted; 2]);
        assert_eq!([3, 4, 5].map(|at| turns.begin(&one, id(at))), [Turn::Waits; 3]);
        assert_eq!(turns.end(&one), Some(id(3)));
        assert_eq!(turns.begin(&one, id(1)), Turn::Waits, "its next request is behind all others");
        assert_eq!(turns.begin(&one, id(4)), Turn::Waits, "it is the turn of another");
        assert_eq!(turns.begin(&one, id(3)), Turn::Counted);
        assert_eq!(turns.end(&one), Some(id(4)));
        assert_eq!(turns.leave(&one, id(4)), Some(id(5)), "it goes without its turn");
        assert_eq!(turns.end(&one), Some(id(1)));
        assert_eq!([5, 1].map(|at| turns.begin(&one, id(at))), [Turn::Counted; 2]);
        assert_eq!([turns.end(&one), turns.end(&one)], [None, None]);
        assert!(turns.peers.is_empty());
    }

    /// They may come and go while one and the same has the turn.
    #[test]
    fn who_leaves_the_queue_leaves_nothing() {
        let mut turns = RequestTurns::new(Some(1));
        let one = tcp("10.0.0.1:1");
        assert_eq!(turns.begin(&one, WsiId { index: 0, generation: 1 }), Turn::Counted);
        for index in 1..1000 {
            let id = WsiId { index, generation: 1 };
            assert_eq!(turns.begin(&one, id), Turn::Waits);
            assert_eq!(turns.leave(&one, id), None);
        }
        let its = turns.peers.values().next().expect("a peer");
        assert_eq!((its.queue.len(), its.waiting.len()), (0, 0));
    }
}
