//! How many connections of a context one peer may have at a time: in all, and of those that have not said what they want.
//!
//! ```text
//!   accept ──▶ admit ──┬── counted, until its connection is freed ──▶ release
//!                      └── over its limit: hung up on; the log hears of it once a second
//!
//!   nothing said yet ──▶ begin_undecided ──┬── counted, until it has said what it wants ──▶ end_undecided
//!                                          └── over the limit: counted, and of its peer's who has waited longest goes
//! ```
//!
//! A peer is an IPv4 address, or the 64 bits that an IPv6 network begins with: a host picks the rest as it likes (RFC 7421). Only what is
//! accepted over TCP counts. The table has an entry for each peer that has a connection that counts, so it is never longer than the connections
//! are many. In lws: `LWS_WITH_PEER_LIMITS`, `struct lws_peer`.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use crate::wsi::{Peer, WsiId};

pub(crate) struct PeerLimits {
    /// Connections at a time of one peer; `None`: as many as there are.
    wsi: Option<u32>,
    peers: HashMap<PeerKey, Counts>,
}

/// Who counts as one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum PeerKey {
    V4(Ipv4Addr),
    V6Network([u8; 8]),
}

/// What a peer has now.
#[derive(Default, Debug)]
struct Counts {
    wsi: u32,
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

impl Counts {
    fn is_nothing(&self) -> bool {
        self.wsi == 0 && self.undecided.is_empty()
    }
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
    /// `None` and `Some(0)`: as many connections as there are.
    pub(crate) fn new(most: Option<u32>) -> PeerLimits {
        PeerLimits { wsi: most.filter(|most| *most > 0), peers: HashMap::new() }
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
}

impl PeerKey {
    /// `None`: who does not count.
    pub(crate) fn of(peer: &Peer) -> Option<PeerKey> {
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
        let mut limits = PeerLimits::new(Some(2));
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
        let mut limits = PeerLimits::new(Some(1));
        assert_eq!(limits.admit(&tcp("[2001:db8:0:1::1]:1")), Admission::Counted);
        assert_eq!(limits.admit(&tcp("[2001:db8:0:1:ffff::2]:1")), Admission::Refused { limit: 1 });
        assert_eq!(limits.admit(&tcp("[2001:db8:0:2::1]:1")), Admission::Counted);
    }

    #[test]
    fn only_tcp_counts_and_nothing_without_a_limit() {
        for off in [None, Some(0)] {
            let mut limits = PeerLimits::new(off);
            assert_eq!(limits.admit(&tcp("10.0.0.1:1")), Admission::Uncounted);
            assert!(limits.peers.is_empty());
        }
        let mut limits = PeerLimits::new(Some(1));
        assert_eq!([limits.admit(&Peer::Unix), limits.admit(&Peer::Unix)], [Admission::Uncounted; 2]);
    }

    #[test]
    fn who_has_nothing_is_forgotten() {
        let mut limits = PeerLimits::new(Some(3));
        let all: Vec<Peer> = (0..1000).map(|n| tcp(&format!("10.0.{}.{}:1", n / 250, n % 250))).collect();
        all.iter().for_each(|peer| assert_eq!(limits.admit(peer), Admission::Counted));
        assert_eq!(limits.peers.len(), 1000);
        all.iter().for_each(|peer| limits.release(peer));
        assert!(limits.peers.is_empty());
        limits.release(&all[0]);
    }

    #[test]
    fn of_those_who_have_said_nothing_the_first_goes_when_they_are_too_many() {
        let mut limits = PeerLimits::new(None);
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
