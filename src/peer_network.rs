//! Whose word counts: networks, single addresses, and the peers of unix sockets.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use crate::wsi::Peer;

/// Some of the peers that may connect.
///
/// ```
/// use rlws::PeerNetwork;
/// let balancers: PeerNetwork = "10.1.0.0/16".parse()?;
/// assert_eq!(balancers.to_string(), "10.1.0.0/16");
/// # Ok::<(), rlws::PeerNetworkError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PeerNetwork {
    /// Whoever connects to a unix socket: `unix`.
    Unix,
    /// `ADDRESS` or `ADDRESS/BITS`. IPv4 clients of an IPv6 socket count as IPv4.
    Ip {
        /// Its first address.
        address: IpAddr,
        /// How many leading bits are the same of all its addresses; 32 or 128: it is a single one.
        bits: u8,
    },
}

/// What is no network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no network; expected an address, ADDRESS/BITS without bits beyond those, or unix")]
pub struct PeerNetworkError(String);

impl FromStr for PeerNetwork {
    type Err = PeerNetworkError;

    fn from_str(text: &str) -> Result<PeerNetwork, PeerNetworkError> {
        parse(text).ok_or_else(|| PeerNetworkError(text.to_owned()))
    }
}

fn parse(text: &str) -> Option<PeerNetwork> {
    if text == "unix" {
        return Some(PeerNetwork::Unix);
    }
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let width = width(address);
    let bits = match bits {
        // Digits are asked for, because parse() takes a sign as well.
        Some(bits) if bits.bytes().all(|byte| byte.is_ascii_digit()) => bits.parse().ok()?,
        Some(_) => return None,
        None => width,
    };
    let is_first = bits <= width && value(address) == value(address) & mask(bits, width);
    is_first.then_some(PeerNetwork::Ip { address, bits })
}

impl fmt::Display for PeerNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PeerNetwork::Unix => f.write_str("unix"),
            PeerNetwork::Ip { address, bits } if *bits == width(*address) => address.fmt(f),
            PeerNetwork::Ip { address, bits } => write!(f, "{address}/{bits}"),
        }
    }
}

impl PeerNetwork {
    /// Whether a peer is one of these.
    pub fn contains(&self, peer: &Peer) -> bool {
        match (self, peer) {
            (PeerNetwork::Unix, Peer::Unix) => true,
            (PeerNetwork::Ip { address, bits }, Peer::Tcp(peer) | Peer::Udp(peer)) => {
                let (ip, width) = (peer.ip().to_canonical(), width(*address));
                address.is_ipv4() == ip.is_ipv4() && value(ip) & mask(*bits, width) == value(*address)
            }
            _ => false,
        }
    }
}

/// Bits of an address.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn value(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(address.to_bits()),
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The leading `bits` of `width`.
fn mask(bits: u8, width: u8) -> u128 {
    let ones = |count: u8| u128::MAX.checked_shr(128 - u32::from(count)).unwrap_or(0);
    ones(width) & !ones(width.saturating_sub(bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> PeerNetwork {
        text.parse().unwrap_or_else(|error| panic!("{error}"))
    }

    fn tcp(ip: &str) -> Peer {
        Peer::Tcp(std::net::SocketAddr::new(ip.parse().expect("an address"), 1))
    }

    #[test]
    fn a_network_has_its_addresses_and_no_others() {
        for (text, inside, outside) in [
            (
                "10.1.0.0/16",
                &["10.1.0.0", "10.1.255.255", "::ffff:10.1.2.3"][..],
                &["10.2.0.0", "10.0.255.255", "::1"][..],
            ),
            ("127.0.0.1", &["127.0.0.1"], &["127.0.0.2", "::1"]),
            ("0.0.0.0/0", &["0.0.0.0", "255.255.255.255"], &["::"]),
            ("::/0", &["::", "2001:db8::1"], &["0.0.0.0"]),
            ("2001:db8::/33", &["2001:db8:7fff::1"], &["2001:db8:8000::", "2001:db7::"]),
            ("::1", &["::1"], &["::", "::2"]),
        ] {
            let network = network(text);
            assert_eq!(network.to_string(), text);
            assert!(inside.iter().all(|ip| network.contains(&tcp(ip))), "{text}");
            assert!(!outside.iter().any(|ip| network.contains(&tcp(ip))), "{text}");
            assert!(!network.contains(&Peer::Unix) && !network.contains(&Peer::None));
        }
        assert!(network("unix").contains(&Peer::Unix) && !network("unix").contains(&tcp("127.0.0.1")));
        assert_eq!(network("10.0.0.1/32").to_string(), "10.0.0.1");
    }

    #[test]
    fn anything_else_is_refused() {
        for text in [
            "",
            "unix:",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.1/8",
            "10.0.0/8",
            "localhost",
            "::1/",
        ] {
            let error = text.parse::<PeerNetwork>().expect_err(text);
            assert!(error.to_string().contains("ADDRESS/BITS"), "{error}");
        }
    }
}
