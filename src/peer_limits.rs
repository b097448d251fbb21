//! How much of a context one peer may have at a time.
//!
//! ```text
//!   accept ──▶ admit ──┬── counted, until its connection is freed ──▶ release
//!                      └── over its limit: hung up on; the log hears of it once a second
//! ```
//!
//! A peer is an IPv4 address, or the 64 bits that an IPv6 network begins with: a host picks the rest as it likes (RFC 7421). Only what is
//! accepted over TCP counts. The table has an entry for each peer that has a connection, so it is never longer than the connections are
//! many; without a limit there is no table. In lws: `LWS_WITH_PEER_LIMITS`, `struct lws_peer`.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use crate::limits;
use crate::wsi::Peer;

pub(crate) struct PeerLimits {
    /// Connections at a time of one peer; `None`: as many as there are.
    wsi: Option<u32>,
    peers: HashMap<PeerKey, Counts>,
    /// When the log heard of a refusal last.
    told: Option<Instant>,
    /// Refusals that it has not heard of.
    untold: u64,
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
    pub(crate) fn new(wsi: Option<u32>) -> PeerLimits {
        PeerLimits { wsi: wsi.filter(|limit| *limit > 0), peers: HashMap::new(), told: None, untold: 0 }
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
            if counts.wsi == 0 {
                self.peers.remove(&key);
            }
        }
    }

    /// One was refused. How many have been since the log heard of it last, where it is to hear of it now.
    pub(crate) fn tell(&mut self, now: Instant) -> Option<u64> {
        self.untold += 1;
        let is_fresh = |told: Instant| now.saturating_duration_since(told) < limits::PEER_LIMIT_WARN;
        if self.told.is_some_and(is_fresh) {
            return None;
        }
        self.told = Some(now);
        Some(std::mem::take(&mut self.untold))
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
    use std::time::Duration;

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
    fn the_log_hears_of_refusals_once_a_second_and_of_all() {
        let (mut limits, now) = (PeerLimits::new(Some(1)), Instant::now());
        assert_eq!(limits.tell(now), Some(1));
        assert_eq!([limits.tell(now), limits.tell(now + Duration::from_millis(999))], [None, None]);
        assert_eq!(limits.tell(now + crate::limits::PEER_LIMIT_WARN), Some(3));
    }
}
