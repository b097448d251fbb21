//! The header of the PROXY protocol, by which a balancer says who its client is: read and written.
//!
//! ```text
//!   client ──▶ balancer ── "PROXY TCP4 203.0.113.7 ..", the client's bytes ──▶ us ── header, bytes ──▶ onward server
//!                                            parse                         ProxyProtocol::header
//! ```
//!
//! [`parse`] is pure and monotone: it looks at all bytes since the start of the connection, and once it has said anything but
//! [`Parsed::Partial`], more bytes never change that. So how they were cut into reads never matters. It never panics, whatever the
//! bytes are, and never wants more of them than [`limits::PROXY_V1_HEADER`] or [`limits::PROXY_V2_HEADER`].
//!
//! The specification is haproxy's `proxy-protocol.txt`: version 1 is its section 2.1, version 2 is section 2.2. Counterpart in lws: none.

mod crc32c;
mod write;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

use crate::limits;

/// What a header says of who is connected to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Proxied {
    /// Nothing: the sender speaks for itself (`LOCAL`), does not know (`UNKNOWN`, `UNSPEC`), or relays what is no stream. The ends of
    /// the connection are those of its socket.
    Nothing,
    /// A TCP connection.
    Tcp {
        /// Who connected.
        client: SocketAddr,
        /// The address that it connected to.
        server: SocketAddr,
    },
    /// A connection over a unix socket of the sender's machine.
    Unix,
}

/// A version of the protocol, for headers that are written (pvo `proxy-protocol` of raw-proxy). Read are both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProxyProtocol {
    /// A line of text.
    V1,
    /// Binary.
    V2,
}

/// What some bytes are the beginning of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// Of a header that has not all come yet.
    Partial,
    /// Of a header.
    Complete {
        /// What it says.
        said: Proxied,
        /// Its bytes. What is behind them is the client's.
        len: usize,
    },
}

/// Why bytes are no header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// They begin with something else.
    #[error("there is none; who is trusted to send one has to")]
    Missing,
    /// A line of version 1 without an end.
    #[error("its line has no CRLF within {} bytes", limits::PROXY_V1_HEADER)]
    LineTooLong,
    /// A line of version 1 that says something else.
    #[error("its line is neither PROXY UNKNOWN nor PROXY TCP4 or TCP6 with two addresses and two ports")]
    Line,
    /// A version that nobody knows.
    #[error("its version is {0}; known are 1 and 2")]
    Version(u8),
    /// A command of version 2 that is neither `LOCAL` nor `PROXY`.
    #[error("its command is {0}; known are 0 (LOCAL) and 1 (PROXY)")]
    Command(u8),
    /// An address family or transport that nobody knows.
    #[error("its address family and transport are {0:#04x}, which is none of the specification's")]
    Family(u8),
    /// More than [`limits::PROXY_V2_HEADER`] bytes.
    #[error("it is {len} bytes long, more than {}", limits::PROXY_V2_HEADER)]
    TooLong {
        /// Its bytes, by its own word.
        len: usize,
    },
    /// It ends within its addresses.
    #[error("it is too short for its addresses")]
    Addresses,
    /// What is behind the addresses is no list of TLVs, or has more than one checksum.
    #[error("what follows its addresses is no list of TLVs")]
    Tlvs,
    /// Its CRC32C is wrong.
    #[error("its checksum is wrong")]
    Checksum,
}

/// A version that is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected v1 or v2")]
pub struct ProxyProtocolError;

impl FromStr for ProxyProtocol {
    type Err = ProxyProtocolError;

    fn from_str(text: &str) -> Result<ProxyProtocol, ProxyProtocolError> {
        match text {
            "v1" => Ok(ProxyProtocol::V1),
            "v2" => Ok(ProxyProtocol::V2),
            _ => Err(ProxyProtocolError),
        }
    }
}

const V1_START: &[u8] = b"PROXY ";
const V2_START: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";

/// Bytes of version 2 before its addresses.
const V2_FIXED: usize = 16;

const LOCAL: u8 = 0;
const PROXY: u8 = 1;

/// The address families of version 2.
const UNSPEC: u8 = 0;
const INET: u8 = 1;
const INET6: u8 = 2;
const UNIX: u8 = 3;

/// Its transports.
const STREAM: u8 = 1;
const DGRAM: u8 = 2;

/// The TLV with a checksum (`PP2_TYPE_CRC32C`).
const TLV_CRC32C: u8 = 3;

/// Looks for a header of either version at the start of all that a connection has sent.
///
/// # Errors
/// [`HeaderError`]: no header will become of these bytes, whatever follows them.
pub fn parse(bytes: &[u8]) -> Result<Parsed, HeaderError> {
    if agree(bytes, V2_START) {
        v2(bytes)
    } else if agree(bytes, V1_START) {
        v1(bytes)
    } else {
        Err(HeaderError::Missing)
    }
}

/// Whether all that a connection has sent begins like a header of either version. `None`: it may yet.
pub(crate) fn claims(bytes: &[u8]) -> Option<bool> {
    let starts = [V1_START, V2_START];
    if starts.iter().any(|start| bytes.starts_with(start)) {
        Some(true)
    } else if starts.iter().any(|start| agree(bytes, start)) {
        None
    } else {
        Some(false)
    }
}

/// Whether they are the same as far as both go.
fn agree(bytes: &[u8], start: &[u8]) -> bool {
    bytes.iter().zip(start).all(|(a, b)| a == b)
}

fn v1(bytes: &[u8]) -> Result<Parsed, HeaderError> {
    let start = &bytes[..bytes.len().min(limits::PROXY_V1_HEADER)];
    let is_whole = start.len() == limits::PROXY_V1_HEADER;
    match start.iter().position(|byte| matches!(byte, b'\r' | b'\n')) {
        Some(end) if start[end..].starts_with(b"\r\n") => {
            Ok(Parsed::Complete { said: line(&start[..end])?, len: end + 2 })
        }
        Some(end) if start[end..] != *b"\r" => Err(HeaderError::Line),
        _ if is_whole => Err(HeaderError::LineTooLong),
        _ => Ok(Parsed::Partial),
    }
}

/// A line without its end.
fn line(line: &[u8]) -> Result<Proxied, HeaderError> {
    let said = line.strip_prefix(V1_START).ok_or(HeaderError::Line)?;
    if said == b"UNKNOWN" || said.starts_with(b"UNKNOWN ") {
        return Ok(Proxied::Nothing);
    }
    let mut words = str::from_utf8(said).map_err(|_| HeaderError::Line)?.split(' ');
    let family = words.next();
    let mut word = || words.next().ok_or(HeaderError::Line);
    let (client, server) = match family {
        Some("TCP4") => (address::<Ipv4Addr>(word()?)?, address::<Ipv4Addr>(word()?)?),
        Some("TCP6") => (address::<Ipv6Addr>(word()?)?, address::<Ipv6Addr>(word()?)?),
        _ => return Err(HeaderError::Line),
    };
    let (client, server) = (SocketAddr::new(client, port(word()?)?), SocketAddr::new(server, port(word()?)?));
    if words.next().is_some() {
        return Err(HeaderError::Line);
    }
    Ok(Proxied::Tcp { client, server })
}

fn address<T: FromStr + Into<IpAddr>>(text: &str) -> Result<IpAddr, HeaderError> {
    text.parse::<T>().map(Into::into).map_err(|_| HeaderError::Line)
}

/// In decimal, without a sign and without zeros in front.
fn port(text: &str) -> Result<u16, HeaderError> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    plain.then(|| text.parse().ok()).flatten().ok_or(HeaderError::Line)
}

fn v2(bytes: &[u8]) -> Result<Parsed, HeaderError> {
    let Some(version_and_command) = bytes.get(V2_START.len()) else { return Ok(Parsed::Partial) };
    let (version, command) = (version_and_command >> 4, version_and_command & 0xf);
    if version != 2 {
        return Err(HeaderError::Version(version));
    }
    if ![LOCAL, PROXY].contains(&command) {
        return Err(HeaderError::Command(command));
    }
    let Some(&[family, high, low]) = bytes.get(V2_START.len() + 1..V2_FIXED) else { return Ok(Parsed::Partial) };
    let len = V2_FIXED + usize::from(u16::from_be_bytes([high, low]));
    if len > limits::PROXY_V2_HEADER {
        return Err(HeaderError::TooLong { len });
    }
    let Some(header) = bytes.get(..len) else { return Ok(Parsed::Partial) };
    // Of LOCAL everything else is to be ignored.
    let said = if command == LOCAL { Proxied::Nothing } else { addresses(family, header)? };
    Ok(Parsed::Complete { said, len })
}

/// The rest of a whole header.
fn addresses(family_and_transport: u8, header: &[u8]) -> Result<Proxied, HeaderError> {
    let (family, transport) = (family_and_transport >> 4, family_and_transport & 0xf);
    if family > UNIX || transport > DGRAM {
        return Err(HeaderError::Family(family_and_transport));
    }
    let rest = &header[V2_FIXED..];
    let (said, tlvs) = match family {
        INET => inet::<4>(rest)?,
        INET6 => inet::<16>(rest)?,
        // Two paths of 108 bytes.
        UNIX => (Proxied::Unix, rest.get(2 * 108..).ok_or(HeaderError::Addresses)?),
        // Nobody knows how long its addresses are.
        _ => return Ok(Proxied::Nothing),
    };
    check_tlvs(header, tlvs)?;
    Ok(if transport == STREAM { said } else { Proxied::Nothing })
}

/// Two addresses of `N` bytes and two ports, and what follows them.
fn inet<const N: usize>(rest: &[u8]) -> Result<(Proxied, &[u8]), HeaderError>
where
    IpAddr: From<[u8; N]>,
{
    let (client, rest) = rest.split_first_chunk::<N>().ok_or(HeaderError::Addresses)?;
    let (server, rest) = rest.split_first_chunk::<N>().ok_or(HeaderError::Addresses)?;
    let (ports, rest) = rest.split_first_chunk::<4>().ok_or(HeaderError::Addresses)?;
    let client = SocketAddr::new(IpAddr::from(*client), u16::from_be_bytes([ports[0], ports[1]]));
    let server = SocketAddr::new(IpAddr::from(*server), u16::from_be_bytes([ports[2], ports[3]]));
    Ok((Proxied::Tcp { client, server }, rest))
}

/// Skips what is said beyond the addresses, but for the checksum.
fn check_tlvs(header: &[u8], mut tlvs: &[u8]) -> Result<(), HeaderError> {
    let mut checked = false;
    while let [kind, high, low, rest @ ..] = tlvs {
        let len = usize::from(u16::from_be_bytes([*high, *low]));
        let (value, behind) = rest.split_at_checked(len).ok_or(HeaderError::Tlvs)?;
        if *kind == TLV_CRC32C {
            let sum: [u8; 4] = value.try_into().map_err(|_| HeaderError::Tlvs)?;
            if std::mem::replace(&mut checked, true) {
                return Err(HeaderError::Tlvs);
            }
            // It was made with zeros in its own place.
            let before = &header[..header.len() - rest.len()];
            if crc32c::crc32c([before, &[0; 4], behind]) != u32::from_be_bytes(sum) {
                return Err(HeaderError::Checksum);
            }
        }
        tlvs = behind;
    }
    if tlvs.is_empty() { Ok(()) } else { Err(HeaderError::Tlvs) }
}

#[cfg(test)]
mod tests;
