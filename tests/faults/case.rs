//! A connection: which listener it comes by and what its two ends do, all of it from the run's seed and the connection's number.

use std::fmt;
use std::net::Ipv4Addr;

use crate::dice::Dice;
use crate::heads::{self, Head};
use crate::requests::{self, Want};
use crate::script::{DECIDED, Script, Total};

/// The listeners.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Door {
    /// Plain: http, and what is not is relayed.
    Fallback,
    /// The same, and who is silent is relayed as well.
    Silence,
    /// TLS with http inside; what is not http is relayed, with TLS and without.
    TlsFallback,
    /// TLS, and what is inside is relayed, over TLS again.
    TlsApply,
    /// Plain: everything is relayed.
    Apply,
    /// The same on a unix socket.
    Unix,
    /// Plain: http, and what is not is echoed.
    Echo,
    /// Plain: http, and what is not is refused.
    Http,
    /// As `Fallback`, behind a balancer that says who the client is.
    Balanced,
    /// As `Fallback`, to an onward server that speaks TLS.
    OnwardTls,
    /// As `Apply`, to an onward server on a unix socket, which is told who the client is.
    OnwardUnix,
}

pub const DOORS: [Door; 11] = [
    Door::Fallback,
    Door::Silence,
    Door::TlsFallback,
    Door::TlsApply,
    Door::Apply,
    Door::Unix,
    Door::Echo,
    Door::Http,
    Door::Balanced,
    Door::OnwardTls,
    Door::OnwardUnix,
];

impl Door {
    /// An address of its own, lest two share a socket.
    pub fn address(self) -> Ipv4Addr {
        Ipv4Addr::new(127, 0, 0, 1 + self as u8)
    }

    pub fn has_tls(self) -> bool {
        matches!(self, Door::TlsFallback | Door::TlsApply)
    }

    /// Its onward server speaks TLS.
    pub fn has_tls_onward(self) -> bool {
        matches!(self, Door::TlsApply | Door::OnwardTls)
    }

    /// What is not http is not looked at.
    pub fn applies(self) -> bool {
        matches!(self, Door::TlsApply | Door::Apply | Door::Unix | Door::OnwardUnix)
    }

    fn random(dice: &mut Dice) -> Door {
        // A handshake costs more than all the rest.
        match dice.below(40) {
            0..5 => Door::TlsFallback,
            5..8 => Door::TlsApply,
            8..11 => Door::OnwardTls,
            _ => dice.pick(&PLAIN),
        }
    }
}

const PLAIN: [Door; 8] =
    [Door::Fallback, Door::Silence, Door::Apply, Door::Unix, Door::Echo, Door::Http, Door::Balanced, Door::OnwardUnix];

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
    /// Bytes where a PROXY header is expected.
    NoHead,
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

/// Bytes that are shown as text.
#[derive(Clone, PartialEq, Eq)]
pub struct Text(pub Vec<u8>);

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = &self.0[..self.0.len().min(1000)];
        write!(f, "\"{}\" ({} bytes)", shown.escape_ascii(), self.0.len())
    }
}

/// Who serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// A context of the tests' own, which relays each client to an address of its own.
    Context,
    /// `lwsws`, which relays all clients of a listener to one address, and says in a PROXY header who they are.
    Lwsws,
}

/// A whole connection.
#[derive(Debug, Clone)]
pub struct Case {
    pub number: u64,
    pub host: Host,
    pub door: Door,
    /// The client does a handshake first.
    pub tls: bool,
    pub talk: Talk,
    /// What a balancer says first.
    pub head: Option<Head>,
    /// What the client's bytes begin with.
    pub prefix: Text,
    pub client: Script,
    pub onward: Script,
    /// Both ends have room for little that they have not read.
    pub narrow: bool,
}

impl Case {
    pub fn random(seed: u64, number: u64, host: Host) -> Case {
        let mut dice = Dice::of(seed, number);
        let dice = &mut dice;
        let mut door = Door::random(dice);
        if host == Host::Lwsws && door == Door::Unix {
            // Nothing would tell its onward server whose connection it gets.
            door = Door::OnwardUnix;
        }
        let no_tls = door.has_tls() && dice.one_in(6);
        let asks = match door {
            Door::Http => true,
            Door::Fallback | Door::TlsFallback | Door::Echo | Door::Balanced => dice.one_in(5),
            _ => false,
        };
        let no_head = door == Door::Balanced && dice.one_in(8);
        let talk = match door {
            _ if no_head => Talk::NoHead,
            _ if no_tls && (door == Door::TlsApply || dice.one_in(2)) => {
                let hello = (door == Door::TlsFallback || dice.one_in(2)).then(|| (DECIDED + dice.below(150)) as usize);
                Talk::NoTls { hello }
            }
            _ if asks && !no_tls => Talk::Requests(requests::random(dice, host)),
            Door::Echo => Talk::Echoed,
            _ => Talk::Relayed,
        };
        let head = (door == Door::Balanced && !no_head).then(|| heads::random(dice, number));
        let others = dice.pick(&OTHERS);
        let (prefix, total) = match &talk {
            Talk::Requests(wants) => (requests::text(number, wants), true),
            Talk::NoTls { hello: None } => (b"no TLS at all".to_vec(), true),
            Talk::NoTls { hello: Some(_) } => (Vec::new(), true),
            Talk::NoHead => (dice.pick(&heads::NONE).to_vec(), false),
            _ if !door.applies() || dice.one_in(2) => (others.to_vec(), false),
            _ => (dice.pick(&ANYTHING).to_vec(), false),
        };
        let before = head.as_ref().map_or(0, |head| head.text.0.len());
        let total = total.then_some(match talk {
            Talk::NoTls { hello: Some(cut) } => cut as u64,
            // Nobody reads what comes behind the last request; the answer arrives all the same.
            Talk::Requests(_) if dice.one_in(3) => (before + prefix.len()) as u64 + dice.below(20_000),
            _ => (before + prefix.len()) as u64,
        });
        let narrow = dice.one_in(8);
        let total = total.map(|bytes| Total { least: before as u64 + DECIDED, bytes });
        let client = Script::random(dice, total, narrow);
        let onward = Script::random(dice, None, narrow);
        let tls = door.has_tls() && !no_tls;
        Case { number, host, door, tls, talk, head, prefix: Text(prefix), client, onward, narrow }
    }

    /// Nobody listens where the relay goes.
    pub fn is_refused_onward(&self) -> bool {
        self.host == Host::Context && !matches!(self.door, Door::Unix | Door::OnwardUnix) && is_refused(self.number)
    }

    /// The relay tells who the client is.
    pub fn has_header(&self) -> bool {
        match self.door {
            _ if self.host == Host::Lwsws => true,
            Door::Unix => false,
            Door::OnwardUnix => true,
            _ => has_header(self.number),
        }
    }

    /// Of so many bytes that the client has sent those that are not a balancer's.
    pub fn own(&self, sent: u64) -> u64 {
        sent.saturating_sub(self.head.as_ref().map_or(0, |head| head.text.0.len() as u64))
    }

    /// Whether so many bytes are more than what the client's begin with.
    pub fn is_beyond_prefix(&self, sent: u64) -> bool {
        self.own(sent) > self.prefix.0.len() as u64
    }

    /// Who the client says it is.
    pub fn client_address(&self) -> Ipv4Addr {
        match &self.head {
            Some(head) if head.names => heads::named(self.number),
            _ => client_address(self.number),
        }
    }
}

pub fn is_refused(number: u64) -> bool {
    number % 32 == 31
}

pub fn has_header(number: u64) -> bool {
    number % 4 == 1
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

/// Which connection any of its addresses is of, but for the rounds of [`ADDRESSES`] before it.
pub fn number_of(address: Ipv4Addr) -> u64 {
    let [net, a, b, c] = address.octets();
    let a = match (net, a) {
        (127, 128..) => a - 128,
        (127, _) => a - 1,
        _ => a,
    };
    u64::from(u32::from_be_bytes([0, a, b, c]))
}

#[test]
fn a_seed_and_a_number_say_what_is_sent_in_whichever_order_they_are_asked() {
    let shown = |seed, number| format!("{:?}", Case::random(seed, number, Host::Context));
    let forwards: Vec<_> = (0..500).map(|number| shown(17, number)).collect();
    let mut backwards: Vec<_> = (0..500).rev().map(|number| shown(17, number)).collect();
    backwards.reverse();
    assert_eq!(forwards, backwards);
    assert_ne!(shown(17, 3), shown(18, 3));
}

#[test]
fn every_address_of_a_connection_tells_its_number() {
    for number in [0, 1, 255, 65_536, ADDRESSES - 1] {
        for address in [client_address(number), onward_address(number), heads::named(number)] {
            assert_eq!(number_of(address), number, "{address}");
        }
    }
}
