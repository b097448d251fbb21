//! Headers that we send.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::{INET, INET6, LOCAL, PROXY, Proxied, ProxyProtocol, STREAM, UNSPEC, V2_START};

impl ProxyProtocol {
    /// The header that tells an onward server whose connection it gets.
    ///
    /// Of what is no TCP connection it says that nothing is known of it, which every server has to take: `PROXY UNKNOWN`, or `LOCAL`.
    pub fn header(self, said: &Proxied) -> Vec<u8> {
        let ends = match said {
            Proxied::Tcp { client, server } => Some(of_one_family(*client, *server)),
            Proxied::Nothing | Proxied::Unix => None,
        };
        match self {
            ProxyProtocol::V1 => v1(ends),
            ProxyProtocol::V2 => v2(ends),
        }
    }
}

/// Client and server.
type Ends = (SocketAddr, SocketAddr);

/// A header has one family for both: an IPv4 address beside an IPv6 one is written as an IPv4-mapped one.
fn of_one_family(client: SocketAddr, server: SocketAddr) -> Ends {
    if client.is_ipv4() == server.is_ipv4() { (client, server) } else { (mapped(client), mapped(server)) }
}

fn mapped(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    };
    SocketAddr::new(ip.into(), address.port())
}

fn v1(ends: Option<Ends>) -> Vec<u8> {
    let Some((client, server)) = ends else { return b"PROXY UNKNOWN\r\n".to_vec() };
    let family = if client.is_ipv4() { "TCP4" } else { "TCP6" };
    let (from, to) = (client.ip(), server.ip());
    format!("PROXY {family} {from} {to} {} {}\r\n", client.port(), server.port()).into_bytes()
}

fn v2(ends: Option<Ends>) -> Vec<u8> {
    let (command, family, addresses) = match ends {
        None => (LOCAL, UNSPEC << 4, Vec::new()),
        Some((client, server)) => {
            let family = if client.is_ipv4() { INET } else { INET6 };
            (PROXY, family << 4 | STREAM, [octets(client.ip()), octets(server.ip()), ports(client, server)].concat())
        }
    };
    let mut header = V2_START.to_vec();
    header.extend([2 << 4 | command, family, 0, addresses.len() as u8]);
    header.extend(addresses);
    header
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => Ipv6Addr::octets(&ip).to_vec(),
    }
}

fn ports(client: SocketAddr, server: SocketAddr) -> Vec<u8> {
    [client.port().to_be_bytes(), server.port().to_be_bytes()].concat()
}
