//! PROXY headers: what a balancer says of a client, and what the relay tells an onward server.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use rlws::proxy_header::{self, Parsed, Proxied};

use crate::case::{ADDRESSES, Text};
use crate::dice::Dice;
use crate::util::balancer;

/// A balancer's first bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub text: Text,
    /// It says who the client is, and not that it knows nothing of it.
    pub names: bool,
}

/// Whom a balancer names, as the client of a connection.
pub fn named(number: u64) -> Ipv4Addr {
    let [_, a, b, c] = ((number % ADDRESSES) as u32).to_be_bytes();
    Ipv4Addr::new(10, a, b, c)
}

/// The port and the listener that go with it.
const PORT: u16 = 4660;
const SERVER: (Ipv4Addr, u16) = (Ipv4Addr::new(192, 0, 2, 1), 443);

/// What is no header, or never becomes one.
pub const NONE: [&[u8]; 6] = [
    b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"SSH-2.0-poison\r\n",
    b"PROXY TCP4 192.0.2.1 nobody 1 2\r\n",
    b"PROXY UNKNOWN without an end: 0123456789012345678901234567890123456789012345678901234567890123456789012345678",
    b"\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c",
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff",
];

pub fn random(dice: &mut Dice, number: u64) -> Head {
    let client = named(number);
    let (text, names) = match dice.below(6) {
        0 => (b"PROXY UNKNOWN\r\n".to_vec(), false),
        1 => (balancer::binary(0x20, 0, &[]), false),
        2..4 => (format!("PROXY TCP4 {client} {} {PORT} {}\r\n", SERVER.0, SERVER.1).into_bytes(), true),
        _ => {
            let (from, to) = (PORT.to_be_bytes(), SERVER.1.to_be_bytes());
            let addresses = [&client.octets()[..], &SERVER.0.octets(), &from, &to].concat();
            // A TLV of no meaning.
            let len = dice.below(2000) as u16;
            let tlv = [&[0xe0][..], &len.to_be_bytes(), &vec![b'-'; len.into()]].concat();
            let rest = if dice.one_in(2) { [addresses, tlv].concat() } else { addresses };
            (balancer::binary(0x21, 0x11, &rest), true)
        }
    };
    Head { text: Text(text), names }
}

/// What an onward server was told.
pub struct Told {
    pub client: Ipv4Addr,
    /// Bytes of the header.
    pub len: usize,
}

/// The header that some bytes begin with; `None`: not all of it is there.
pub fn told(bytes: &[u8]) -> Result<Option<Told>, String> {
    let shown = || bytes[..bytes.len().min(120)].escape_ascii();
    match proxy_header::parse(bytes) {
        Ok(Parsed::Complete { said: Proxied::Tcp { client: SocketAddr::V4(client), server }, len }) => {
            let of_balancer = client.ip().octets()[0] == 10;
            let right =
                !of_balancer || client.port() == PORT && server == SocketAddr::from((IpAddr::from(SERVER.0), SERVER.1));
            if right { Ok(Some(Told { client: *client.ip(), len })) } else { Err(format!("told \"{}\"", shown())) }
        }
        Ok(Parsed::Complete { .. }) => Err(format!("told nothing of the client: \"{}\"", shown())),
        Ok(_) => Ok(None),
        Err(error) => Err(format!("no PROXY header: {error}: \"{}\"", shown())),
    }
}
