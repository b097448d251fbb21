//! What the two ends of a connection do, all of it from the run's seed and the connection's number.

use std::net::Ipv4Addr;
use std::time::Duration;

use crate::dice::Dice;
use crate::requests::{self, Want};

/// The listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Door {
    /// Plain: http, and what is not is relayed.
    Fallback,
    /// The same, and who is silent is relayed as well.
    Silence,
    /// TLS with http inside; what is not http is relayed, with TLS and without.
    TlsFallback,
    /// TLS, and what is inside is relayed.
    TlsApply,
    /// Plain: everything is relayed.
    Apply,
    /// The same on a unix socket.
    Unix,
    /// Plain: http, and what is not is echoed.
    Echo,
    /// Plain: http, and what is not is refused.
    Http,
}

pub const DOORS: [Door; 8] =
    [Door::Fallback, Door::Silence, Door::TlsFallback, Door::TlsApply, Door::Apply, Door::Unix, Door::Echo, Door::Http];

impl Door {
    /// An address of its own, lest two share a socket.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 0, 1 + self as u8)
    }

    /// Whether nothing is decided before the client has spoken.
    pub fn waits_for_bytes(self) -> bool {
        matches!(self, Door::Fallback | Door::Silence | Door::TlsFallback | Door::Echo | Door::Http)
    }
}

/// What the client talks about.
#[derive(Debug, Clone)]
pub enum Talk {
    Relayed,
    Echoed,
    Requests(Vec<Want>),
    /// Bytes where TLS is expected: so many of a ClientHello, or none of one at all.
    NoTls {
        hello: Option<usize>,
    },
}

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Sends so many bytes, at most `piece` at a time.
    Send { bytes: u64, piece: u64 },
    /// Neither reads nor writes.
    Stall(Duration),
    /// Waits until so many bytes have come in all, or the end, or nothing moves any more.
    Hear(u64),
    /// Says that it will send no more.
    HalfClose,
    /// Reads until the other end has said the same.
    ReadToEnd,
    /// Goes with a reset.
    Reset,
    /// Goes without a word.
    Close,
}

#[derive(Debug, Clone)]
pub struct Script {
    pub acts: Vec<Act>,
    /// Does not read while it sends, unless nothing moves any more.
    pub deaf: bool,
}

impl Script {
    /// Ends by saying so, and reads all there is.
    pub fn is_polite(&self) -> bool {
        self.acts.ends_with(&[Act::ReadToEnd])
    }

    /// Bytes it means to send.
    pub fn says(&self) -> u64 {
        self.acts.iter().map(|act| if let Act::Send { bytes, .. } = act { *bytes } else { 0 }).sum()
    }

    fn random(dice: &mut Dice, total: Option<u64>) -> Script {
        let mut acts = talk(dice, total);
        match dice.below(16) {
            0 | 1 => acts.push(Act::Reset),
            2 | 3 => acts.push(Act::Close),
            4 => {
                let cut = dice.below(acts.len() as u64 + 1) as usize;
                acts.truncate(cut);
                acts.push(if dice.one_in(2) { Act::Reset } else { Act::Close });
            }
            // The other side first.
            5 | 6 => {
                let last = acts.pop();
                acts.push(Act::Hear(u64::MAX));
                acts.extend(last);
                acts.extend([Act::HalfClose, Act::ReadToEnd]);
            }
            _ => acts.extend([Act::HalfClose, Act::ReadToEnd]),
        }
        Script { acts, deaf: dice.one_in(4) }
    }
}

/// What is done before the end; so many bytes in all, or any number.
fn talk(dice: &mut Dice, total: Option<u64>) -> Vec<Act> {
    let mut acts = Vec::new();
    let mut left = total;
    for _ in 0..dice.below(5) {
        match dice.below(6) {
            0 => acts.push(Act::Stall(Duration::from_millis(dice.below(15)))),
            1 => acts.push(Act::Hear(dice.below(5000))),
            _ => {
                let bytes = size(dice).min(left.unwrap_or(u64::MAX));
                left = left.map(|left| left - bytes);
                acts.push(send(dice, bytes));
            }
        }
    }
    acts.extend(left.map(|left| send(dice, left)));
    acts.retain(|act| !matches!(act, Act::Send { bytes: 0, .. }));
    acts
}

fn size(dice: &mut Dice) -> u64 {
    match dice.below(100) {
        0 => dice.below(2 << 20),
        1..10 => dice.below(100_000),
        10..40 => dice.below(20),
        _ => dice.below(3000),
    }
}

fn send(dice: &mut Dice, bytes: u64) -> Act {
    let piece = match dice.below(4) {
        0 => 1 + bytes / 100,
        1 => 1 + bytes / (1 + dice.below(20)),
        _ => u64::MAX,
    };
    Act::Send { bytes, piece }
}

/// Beginnings that are neither http nor TLS, however long it takes to be sure.
const OTHERS: [&[u8]; 12] = [
    b"\xfe",
    b"SSH-2.0-poison\r\n",
    b"G\xff",
    b"GE\xff",
    b"GET\xff",
    b"GET\t/ HTTP/1.1\r\n\r\n",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r \xff",
    b"\x16\x03\x01\x02\x00\x02",
    b"\x15\x03\x01\x00\x02\x02\x28",
    b"\x80\x2e\x01\x00\x02",
    b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n",
    b"OPTIONSX",
];
/// What would be somebody's, but goes by where nothing is looked at.
const ANYTHING: [&[u8]; 3] = [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b""];

/// A whole connection.
#[derive(Debug, Clone)]
pub struct Case {
    pub number: u64,
    pub door: Door,
    /// The client does a handshake first.
    pub tls: bool,
    pub talk: Talk,
    /// What the client's bytes begin with.
    pub prefix: Vec<u8>,
    pub client: Script,
    pub onward: Script,
}

impl Case {
    pub fn random(seed: u64, number: u64) -> Case {
        let mut dice = Dice::of(seed, number);
        let dice = &mut dice;
        // A handshake costs more than all the rest.
        let door = match dice.below(20) {
            0..2 => Door::TlsFallback,
            2 => Door::TlsApply,
            other => dice.pick(if other < 4 {
                &DOORS[2..4]
            } else {
                &[DOORS[0], DOORS[1], DOORS[4], DOORS[5], DOORS[6], DOORS[7]]
            }),
        };
        let no_tls = matches!(door, Door::TlsFallback | Door::TlsApply) && dice.one_in(6);
        let asks = match door {
            Door::Http => true,
            Door::Fallback | Door::TlsFallback | Door::Echo => dice.one_in(5),
            _ => false,
        };
        let talk = match door {
            _ if no_tls && (door == Door::TlsApply || dice.one_in(2)) => {
                let hello = (door == Door::TlsFallback || dice.one_in(2)).then(|| 6 + dice.below(150) as usize);
                Talk::NoTls { hello }
            }
            _ if asks && !no_tls => Talk::Requests(requests::random(dice)),
            Door::Echo => Talk::Echoed,
            _ => Talk::Relayed,
        };
        let others = dice.pick(&OTHERS);
        let (prefix, total) = match &talk {
            Talk::Requests(wants) => (requests::text(wants), true),
            Talk::NoTls { hello: None } => (b"no TLS at all".to_vec(), true),
            Talk::NoTls { hello: Some(_) } => (Vec::new(), true),
            _ if door.waits_for_bytes() || dice.one_in(2) => (others.to_vec(), false),
            _ => (dice.pick(&ANYTHING).to_vec(), false),
        };
        let total = total.then_some(match talk {
            Talk::NoTls { hello: Some(cut) } => cut as u64,
            _ => prefix.len() as u64,
        });
        let client = Script::random(dice, total);
        let onward = Script::random(dice, None);
        let tls = matches!(door, Door::TlsFallback | Door::TlsApply) && !no_tls;
        Case { number, door, tls, talk, prefix, client, onward }
    }

    /// Nobody listens where the relay goes.
    pub fn is_refused_onward(&self) -> bool {
        self.door != Door::Unix && is_refused(self.number)
    }

    /// The relay tells who the client is.
    pub fn has_header(&self) -> bool {
        self.door != Door::Unix && has_header(self.number)
    }
}

pub fn is_refused(number: u64) -> bool {
    number % 32 == 31
}

pub fn has_header(number: u64) -> bool {
    number % 8 == 5
}

/// After so many connections addresses are used again.
pub const ADDRESSES: u64 = 100 << 16;

/// Where the client of a connection comes from.
pub fn client_address(number: u64) -> Ipv4Addr {
    let [_, a, b, c] = ((number % ADDRESSES) as u32).to_be_bytes();
    Ipv4Addr::new(127, 128 + a, b, c)
}

/// Where its onward server is.
pub fn onward_address(number: u64) -> Ipv4Addr {
    let [_, a, b, c] = ((number % ADDRESSES) as u32).to_be_bytes();
    Ipv4Addr::new(127, 1 + a, b, c)
}

/// Which connection either address is of, but for the rounds of [`ADDRESSES`] before it.
pub fn number_of(address: Ipv4Addr) -> u64 {
    let [_, a, b, c] = address.octets();
    u64::from(u32::from_be_bytes([0, if a >= 128 { a - 128 } else { a - 1 }, b, c]))
}
