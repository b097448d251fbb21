//! How much of a context one peer may have at a time: connections, and requests that are being answered.
//!
//! ```text
//!   accept ──▶ admit ──┬── counted, until its connection is freed ──▶ release
//!                      └── over its limit: hung up on; the log hears of it once a second
//!
//!   nothing said yet ──▶ begin_undecided ──┬── counted, until it has said what it wants ──▶ end_undecided
//!                                          └── over the limit: counted, and of its peer's who has waited longest goes
//!
//!   a request's head ──▶ begin_request ──┬── counted, until its response is out ──▶ end_request ──▶ its turn is handed over
//!                               ▲        └── over its limit: waits, up to a time ──┬──▶ leave_queue     │
//!                               └────────────────── woken ────────────────────────┴────────────────────┘
//! ```
//!
//! A turn that ends is handed to who has waited longest, and is taken by nobody else meanwhile: whoever asks again has its place behind
//! those who wait. An event costs O(log n) of those who wait.
//!
//! A peer is an IPv4 address, or the 64 bits that an IPv6 network begins with: a host picks the rest as it likes (RFC 7421). Only what is
//! accepted over TCP counts. The table has an entry for each peer that has a connection, so it is never longer than the connections are
//! many; without limits there is no table. In lws: `LWS_WITH_PEER_LIMITS`, `struct lws_peer`, the list of those who wait for an `ah`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use crate::wsi::{Peer, WsiId};

pub(crate) struct PeerLimits {
    /// Connections at a time of one peer; `None`: as many as there are.
    wsi: Option<u32>,
    /// Requests at a time of one peer; `None`: as many as there are.
    requests: Option<u32>,
    peers: HashMap<PeerKey, Counts>,
    /// The next one's place in a queue.
    place: u64,
}

/// Who counts as one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum PeerKey {
    V4(Ipv4Addr),
    V6Network([u8; 8]),
}

/// What a peer has now.
#[derive(Default, Debug)]
struct Counts {
    wsi: u32,
    /// Turns that are taken, or handed to a connection that has not asked again yet.
    requests: u32,
    /// Connections whose requests wait until another of the same peer has its answer, in the order they came. While there are any all turns
    /// are taken.
    queue: BTreeMap<u64, WsiId>,
    /// Those, and whoever has been handed a turn.
    waiting: HashMap<WsiId, Place>,
    /// Connections that have not said what they want.
    undecided: BTreeSet<Coming>,
}

/// A connection, ordered by when it came: each gets the next number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Coming {
    generation: u32,
    index: u32,
}

impl Coming {
    fn of(WsiId { index, generation }: WsiId) -> Coming {
        Coming { generation, index }
    }

    fn id(self) -> WsiId {
        WsiId { index: self.index, generation: self.generation }
    }
}

/// Where a connection is that has been told to wait.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Place {
    Queue(u64),
    /// It has a turn, and is woken to take it.
    Turn,
}

impl Counts {
    fn is_nothing(&self) -> bool {
        self.wsi == 0 && self.requests == 0 && self.waiting.is_empty() && self.undecided.is_empty()
    }
}

impl Counts {
    /// A turn is over: who has waited longest has it now. Where nobody waits it is free.
    fn hand_over(&mut self) -> Option<WsiId> {
        let next = self.queue.pop_first().map(|(_, id)| id);
        match next {
            Some(id) => _ = self.waiting.insert(id, Place::Turn),
            None => self.requests = self.requests.saturating_sub(1),
        }
        next
    }
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

/// Whether a connection may begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Admission {
    /// Nobody counts it.
    Uncounted,
    /// It counts until it is released.
    Counted,
    /// Its peer has that many already.
    Refused { limit: u32 },
}

impl PeerLimits {
    pub(crate) fn new(wsi: Option<u32>, requests: Option<u32>) -> PeerLimits {
        let limit = |number: Option<u32>| number.filter(|limit| *limit > 0);
        PeerLimits { wsi: limit(wsi), requests: limit(requests), peers: HashMap::new(), place: 0 }
    }

    /// A connection from `peer` wants to begin.
    pub(crate) fn admit(&mut self, peer: &Peer) -> Admission {
        let (Some(limit), Some(key)) = (self.wsi, PeerKey::of(peer)) else { return Admission::Uncounted };
        let counts = self.peers.entry(key).or_default();
        if counts.wsi >= limit {
            return Admission::Refused { limit };
        }
        counts.wsi += 1;
        Admission::Counted
    }

    /// A connection that was counted is over.
    pub(crate) fn release(&mut self, peer: &Peer) {
        let Some(key) = PeerKey::of(peer) else { return };
        if let Some(counts) = self.peers.get_mut(&key) {
            counts.wsi = counts.wsi.saturating_sub(1);
            if counts.is_nothing() {
                self.peers.remove(&key);
            }
        }
    }

    /// A connection of `peer` has come that has not said what it wants, of which there may be `most`. Who has to go instead.
    pub(crate) fn begin_undecided(&mut self, peer: &Peer, id: WsiId, most: usize) -> Option<WsiId> {
        let counts = self.peers.entry(PeerKey::of(peer)?).or_default();
        counts.undecided.insert(Coming::of(id));
        if counts.undecided.len() <= most {
            return None;
        }
        counts.undecided.pop_first().map(Coming::id)
    }

    /// It has said it, or is over.
    pub(crate) fn end_undecided(&mut self, peer: &Peer, id: WsiId) {
        let Some(key) = PeerKey::of(peer) else { return };
        if let Some(counts) = self.peers.get_mut(&key) {
            counts.undecided.remove(&Coming::of(id));
            if counts.is_nothing() {
                self.peers.remove(&key);
            }
        }
    }

    /// A request of the connection `id` wants to be answered, or asks again.
    pub(crate) fn begin_request(&mut self, peer: &Peer, id: WsiId) -> Turn {
        let (Some(limit), Some(key)) = (self.requests, PeerKey::of(peer)) else { return Turn::Uncounted };
        let counts = self.peers.entry(key).or_default();
        match counts.waiting.get(&id) {
            Some(Place::Queue(_)) => Turn::Waits,
            Some(Place::Turn) => {
                counts.waiting.remove(&id);
                Turn::Counted
            }
            None if counts.requests < limit => {
                counts.requests += 1;
                Turn::Counted
            }
            None => {
                counts.queue.insert(self.place, id);
                counts.waiting.insert(id, Place::Queue(self.place));
                self.place += 1;
                Turn::Waits
            }
        }
    }

    /// A request that was counted is over. Who has its turn now, and is to be woken.
    pub(crate) fn end_request(&mut self, peer: &Peer) -> Option<WsiId> {
        let key = PeerKey::of(peer)?;
        let counts = self.peers.get_mut(&key)?;
        let next = counts.hand_over();
        if counts.is_nothing() {
            self.peers.remove(&key);
        }
        next
    }

    /// A connection that waits, or has been handed a turn, goes. Who has its turn instead, and is to be woken.
    pub(crate) fn leave_queue(&mut self, peer: &Peer, id: WsiId) -> Option<WsiId> {
        let key = PeerKey::of(peer)?;
        let counts = self.peers.get_mut(&key)?;
        match counts.waiting.remove(&id)? {
            Place::Queue(place) => {
                counts.queue.remove(&place);
                None
            }
            Place::Turn => self.end_request(peer),
        }
    }
}

impl PeerKey {
    fn of(peer: &Peer) -> Option<PeerKey> {
        let Peer::Tcp(address) = peer else { return None };
        Some(match address.ip() {
            IpAddr::V4(address) => PeerKey::V4(address),
            IpAddr::V6(address) => {
                let [a, b, c, d, e, f, g, h, ..] = address.octets();
                PeerKey::V6Network([a, b, c, d, e, f, g, h])
            }
        })
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
    fn a_peer_has_as_many_as_the_limit_says_and_one_more_when_one_has_gone() {
        let mut limits = PeerLimits::new(Some(2), None);
        let admit = |limits: &mut PeerLimits, address| limits.admit(&tcp(address));
        assert_eq!(admit(&mut limits, "10.0.0.1:1"), Admission::Counted);
        assert_eq!(admit(&mut limits, "10.0.0.1:2"), Admission::Counted);
        assert_eq!(admit(&mut limits, "10.0.0.1:3"), Admission::Refused { limit: 2 });
        assert_eq!(admit(&mut limits, "10.0.0.2:1"), Admission::Counted, "each for itself");
        limits.release(&tcp("10.0.0.1:1"));
        assert_eq!(admit(&mut limits, "[::ffff:10.0.0.1]:4"), Admission::Counted, "a mapped address is the same");
        assert_eq!(admit(&mut limits, "10.0.0.1:5"), Admission::Refused { limit: 2 });
    }

    #[test]
    fn an_ipv6_network_is_one_peer() {
        let mut limits = PeerLimits::new(Some(1), None);
        assert_eq!(limits.admit(&tcp("[2001:db8:0:1::1]:1")), Admission::Counted);
        assert_eq!(limits.admit(&tcp("[2001:db8:0:1:ffff::2]:1")), Admission::Refused { limit: 1 });
        assert_eq!(limits.admit(&tcp("[2001:db8:0:2::1]:1")), Admission::Counted);
    }

    #[test]
    fn only_tcp_counts_and_nothing_without_a_limit() {
        for off in [None, Some(0)] {
            let mut limits = PeerLimits::new(off, off);
            assert_eq!(limits.admit(&tcp("10.0.0.1:1")), Admission::Uncounted);
            assert!(limits.peers.is_empty());
        }
        let mut limits = PeerLimits::new(Some(1), None);
        assert_eq!([limits.admit(&Peer::Unix), limits.admit(&Peer::Unix)], [Admission::Uncounted; 2]);
    }

    #[test]
    fn requests_beyond_the_limit_have_their_turn_in_order() {
        let mut limits = PeerLimits::new(None, Some(1));
        let id = |index| WsiId { index, generation: 1 };
        let (one, other) = (tcp("10.0.0.1:1"), tcp("10.0.0.2:1"));
        assert_eq!(limits.admit(&one), Admission::Uncounted);
        assert_eq!(limits.begin_request(&one, id(1)), Turn::Counted);
        for waiting in [2, 3, 2, 4] {
            assert_eq!(limits.begin_request(&one, id(waiting)), Turn::Waits);
        }
        assert_eq!(limits.begin_request(&other, id(5)), Turn::Counted, "each for itself");
        assert_eq!(limits.leave_queue(&one, id(3)), None, "there is no room yet");
        assert_eq!(limits.end_request(&one), Some(id(2)));
        assert_eq!(limits.leave_queue(&one, id(2)), Some(id(4)), "it goes without its turn");
        assert_eq!(limits.begin_request(&one, id(4)), Turn::Counted);
        assert_eq!([limits.end_request(&one), limits.end_request(&other)], [None, None]);
        assert!(limits.peers.is_empty());
        assert_eq!(limits.begin_request(&Peer::Unix, id(1)), Turn::Uncounted);
        assert_eq!(PeerLimits::new(Some(1), Some(0)).begin_request(&one, id(1)), Turn::Uncounted);
    }

    #[test]
    fn a_turn_is_handed_over_and_nobody_takes_it_meanwhile() {
        let mut limits = PeerLimits::new(None, Some(2));
        let id = |index| WsiId { index, generation: 1 };
        let one = tcp("10.0.0.1:1");
        assert_eq!([1, 2].map(|at| limits.begin_request(&one, id(at))), [Turn::Counted; 2]);
        assert_eq!([3, 4, 5].map(|at| limits.begin_request(&one, id(at))), [Turn::Waits; 3]);
        assert_eq!(limits.end_request(&one), Some(id(3)));
        assert_eq!(limits.begin_request(&one, id(1)), Turn::Waits, "its next request is behind all others");
        assert_eq!(limits.begin_request(&one, id(4)), Turn::Waits, "it is the turn of another");
        assert_eq!(limits.begin_request(&one, id(3)), Turn::Counted);
        assert_eq!(limits.end_request(&one), Some(id(4)));
        assert_eq!(limits.leave_queue(&one, id(4)), Some(id(5)), "it goes without its turn");
        assert_eq!(limits.end_request(&one), Some(id(1)));
        assert_eq!([5, 1].map(|at| limits.begin_request(&one, id(at))), [Turn::Counted; 2]);
        assert_eq!([limits.end_request(&one), limits.end_request(&one)], [None, None]);
        assert!(limits.peers.is_empty());
    }

    /// They may come and go while one and the same has the turn.
    #[test]
    fn who_leaves_the_queue_leaves_nothing() {
        let mut limits = PeerLimits::new(None, Some(1));
        let one = tcp("10.0.0.1:1");
        assert_eq!(limits.begin_request(&one, WsiId { index: 0, generation: 1 }), Turn::Counted);
        for index in 1..1000 {
            let id = WsiId { index, generation: 1 };
            assert_eq!(limits.begin_request(&one, id), Turn::Waits);
            assert_eq!(limits.leave_queue(&one, id), None);
        }
        let counts = limits.peers.values().next().expect("a peer");
        assert_eq!((counts.queue.len(), counts.waiting.len()), (0, 0));
    }

    #[test]
    fn who_has_nothing_is_forgotten() {
        let mut limits = PeerLimits::new(Some(3), None);
        let all: Vec<Peer> = (0..1000).map(|n| tcp(&format!("10.0.{}.{}:1", n / 250, n % 250))).collect();
        all.iter().for_each(|peer| assert_eq!(limits.admit(peer), Admission::Counted));
        assert_eq!(limits.peers.len(), 1000);
        all.iter().for_each(|peer| limits.release(peer));
        assert!(limits.peers.is_empty());
        limits.release(&all[0]);
    }

    #[test]
    fn of_those_who_have_said_nothing_the_first_goes_when_they_are_too_many() {
        let mut limits = PeerLimits::new(None, None);
        let id = |generation| WsiId { index: 100 - generation, generation };
        let (one, other) = (tcp("10.0.0.1:1"), tcp("10.0.0.2:1"));
        let begin = |limits: &mut PeerLimits, peer, generation| limits.begin_undecided(peer, id(generation), 2);
        assert_eq!([1, 2].map(|at| begin(&mut limits, &one, at)), [None; 2]);
        assert_eq!(begin(&mut limits, &other, 3), None, "each for itself");
        assert_eq!(begin(&mut limits, &one, 4), Some(id(1)));
        limits.end_undecided(&one, id(2));
        limits.end_undecided(&one, id(1));
        assert_eq!(begin(&mut limits, &one, 5), None, "one has said what it wants");
        assert_eq!(begin(&mut limits, &one, 6), Some(id(4)));
        assert_eq!(begin(&mut limits, &Peer::Unix, 7), None);
        [5, 6].into_iter().for_each(|at| limits.end_undecided(&one, id(at)));
        limits.end_undecided(&other, id(3));
        assert!(limits.peers.is_empty());
    }
}
