//! A run: many connections at once, both ends of each driven by one thread and one poll.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpStream, UnixStream};
use mio::{Events, Poll, Token};
use rustls::{ClientConfig, ServerConfig, ServerConnection};
use slab::Slab;
use socket2::{Domain, Socket as RawSocket, Type};

use crate::beyond::{Beyond, LISTENERS, Listeners, Stranger, Way};
use crate::case::{ADDRESSES, Case, Door, Host, Talk, client_address, has_header, number_of};
use crate::doors::{log_path, unix_path};
use crate::journal::Journal;
use crate::model::{Verdict, judge};
use crate::peer::{Hears, Outcome, Peer};
use crate::poison::{Owner, Stream};
use crate::responses::Responses;
use crate::tally::Tally;
use crate::util::{DEADLINE, certs, tls, tls_onward};
use crate::wire::{Socket, Wire};

/// Connections at a time.
const AT_ONCE: usize = 150;
/// When nothing has moved for so long, both ends no longer wait for each other.
const PATIENCE: Duration = Duration::from_millis(50);

/// One connection, both ends.
struct Live {
    case: Case,
    /// One that ended before its onward server was reached leaves what it saw.
    client: Result<Peer, Outcome>,
    onward: Option<Peer>,
    moved: Instant,
}

pub struct World {
    seed: u64,
    host: Host,
    folder: PathBuf,
    poll: Poll,
    onward: Listeners,
    ports: BTreeMap<Door, u16>,
    tls: Arc<ClientConfig>,
    server_tls: Arc<ServerConfig>,
    live: Slab<Live>,
    by_number: HashMap<u64, usize>,
    strangers: Vec<Stranger>,
    /// Clients whose onward server has not been seen, and may still come.
    alone: HashMap<u64, Outcome>,
    /// The connections that came by unix socket, in their order.
    by_unix: Vec<u64>,
    journal: Journal,
    pub tally: Tally,
    buf: Vec<u8>,
}

impl World {
    pub fn new(seed: u64, host: Host, folder: &Path) -> World {
        let poll = Poll::new().expect("a poll");
        World {
            seed,
            host,
            folder: folder.to_owned(),
            onward: Listeners::new(poll.registry(), folder),
            ports: BTreeMap::new(),
            tls: tls::trusting().config(),
            server_tls: tls_onward::config(certs::localhost(), None, &[]),
            live: Slab::new(),
            by_number: HashMap::new(),
            strangers: Vec::new(),
            alone: HashMap::new(),
            by_unix: Vec::new(),
            journal: Journal::default(),
            tally: Tally::default(),
            buf: vec![0; 64 * 1024],
            poll,
        }
    }

    /// Where the relay is to go.
    pub fn beyond(&self) -> Beyond {
        self.onward.beyond()
    }

    /// Where the clients are to go.
    pub fn enter(&mut self, ports: BTreeMap<Door, u16>) {
        self.ports = ports;
    }

    /// Does these connections, and waits until both ends of all that were reached are done.
    pub fn run(&mut self, numbers: impl IntoIterator<Item = u64>) {
        let mut numbers = numbers.into_iter().fuse();
        loop {
            while self.live.len() < AT_ONCE
                && let Some(number) = numbers.next()
            {
                self.begin(number);
            }
            if self.live.is_empty() {
                return;
            }
            self.turn(Duration::from_millis(1));
        }
    }

    /// Serves those that come late: the clients of their connections are gone.
    pub fn turn(&mut self, at_most: Duration) {
        let eager = self.live.iter().any(|(_, live)| live.peers().any(Peer::is_eager));
        let mut events = Events::with_capacity(1024);
        self.poll.poll(&mut events, Some(if eager { Duration::ZERO } else { at_most })).expect("poll");
        for event in &events {
            match event.token() {
                Token(LISTENERS..) => {}
                Token(token) => self.note(token, event.is_readable(), event.is_writable()),
            }
        }
        self.strangers.extend(self.onward.accept());
        self.meet();
        let (now, mut done) = (Instant::now(), Vec::new());
        for (index, live) in &mut self.live {
            live.step(now, &mut self.buf, self.seed);
            if live.is_done() {
                done.push(index);
            }
        }
        done.into_iter().for_each(|index| self.end(index));
    }

    pub fn is_idle(&self) -> bool {
        self.live.is_empty() && self.strangers.is_empty()
    }

    fn note(&mut self, token: usize, readable: bool, writable: bool) {
        // Of one that was there before in this place it is only a false alarm.
        let Some(live) = self.live.get_mut(token / 2) else { return };
        let peer = if token.is_multiple_of(2) { live.client.as_mut().ok() } else { live.onward.as_mut() };
        if let Some(wire) = peer.and_then(|peer| peer.wire.as_mut()) {
            wire.readable |= readable;
            wire.writable |= writable;
        }
    }

    fn begin(&mut self, number: u64) {
        let case = Case::random(self.seed, number, self.host);
        let (session, hello) = match &case.talk {
            Talk::NoTls { hello: Some(_) } => (None, tls::hello(&self.tls, "localhost").1),
            _ if case.tls => (Some(tls::begin(&self.tls, "localhost").into()), case.prefix.0.clone()),
            _ => (None, case.prefix.0.clone()),
        };
        let head = case.head.as_ref().map_or(&[][..], |head| &head.text.0);
        let says = Stream::new(Owner::Client(number), &[head, &hello].concat());
        let hears = match &case.talk {
            Talk::Relayed => Hears::Stream(Stream::new(Owner::Onward(number), b"")),
            Talk::Echoed => Hears::Stream(says.clone()),
            Talk::Requests(wants) => Hears::Responses(Responses::new(number, wants)),
            Talk::NoTls { .. } => Hears::Alert,
            Talk::NoHead => Hears::Nothing,
        };
        let socket = match case.door {
            Door::Unix => {
                self.by_unix.push(number);
                Socket::Unix(UnixStream::connect(unix_path(&self.folder)).expect("connect"))
            }
            door => Socket::Tcp(connect_from(client_address(number), (door.address(), self.ports[&door]))),
        };
        if case.narrow {
            socket.narrow();
        }
        let entry = self.live.vacant_entry();
        let wire = Wire::new(socket, session, self.poll.registry(), Token(2 * entry.key()));
        let client = Peer::new(wire, &case.client, says, hears);
        self.by_number.insert(number, entry.key());
        entry.insert(Live { case, client: Ok(client), onward: None, moved: Instant::now() });
    }

    /// Finds out for whom relays come: by the address that they chose, by their PROXY header, or by both.
    fn meet(&mut self) {
        for mut stranger in mem::take(&mut self.strangers) {
            let within = stranger.at.filter(|_| self.host == Host::Context).map(number_of);
            let named = match (stranger.way, within) {
                (Way::OfUnix, _) => None,
                (_, Some(number)) if !has_header(number) => None,
                _ => match stranger.client() {
                    Ok(Some(client)) => Some(client),
                    Ok(None) => {
                        self.strangers.push(stranger);
                        continue;
                    }
                    // It is gone already.
                    Err(None) => continue,
                    Err(Some(why)) => panic!("{} {:?}: {why}", self.told(), stranger.way),
                },
            };
            let number = match (stranger.way, within, named.map(number_of)) {
                (Way::OfUnix, Some(order), _) => self.by_unix[order as usize],
                (_, Some(at), Some(named)) if at != named => {
                    panic!("{} connection {at} is relayed as that of client {named}", self.told())
                }
                (_, at, named) => self.in_this_round(at.or(named).expect("one of them is told")),
            };
            self.reached(number, named, stranger);
        }
    }

    /// The connection that has some number within its round of [`ADDRESSES`].
    fn in_this_round(&self, within: u64) -> u64 {
        let is_known = |number: &u64| self.by_number.contains_key(number) || self.alone.contains_key(number);
        let round = self.by_number.keys().chain(self.alone.keys()).max().map_or(0, |newest| newest / ADDRESSES);
        let mut candidates = [round, round.saturating_sub(1)].map(|round| round * ADDRESSES + within).into_iter();
        let number = candidates.find(is_known);
        number.unwrap_or_else(|| panic!("{} relays connection {within}, which is over", self.told()))
    }

    /// The onward server of a connection is reached.
    fn reached(&mut self, number: u64, named: Option<Ipv4Addr>, by: Stranger) {
        let index = self.by_number.get(&number).copied().unwrap_or_else(|| {
            let seen = self.alone.remove(&number);
            let seen = seen.unwrap_or_else(|| panic!("{} connection {number} is relayed twice", self.told()));
            let case = Case::random(self.seed, number, self.host);
            *self.tally.verdicts.entry((case.door, Verdict::Refused)).or_default() -= 1;
            self.tally.bytes -= seen.sent;
            let late = Live { case, client: Err(seen), onward: None, moved: Instant::now() };
            let index = self.live.insert(late);
            self.by_number.insert(number, index);
            index
        });
        let told = self.told();
        let live = &mut self.live[index];
        let case = &live.case;
        assert!(live.onward.is_none(), "{told} connection {number} is relayed twice");
        let way = match case.door {
            Door::Unix => Way::OfUnix,
            door if door.has_tls_onward() => Way::Tls,
            Door::OnwardUnix => Way::Unix,
            _ => Way::Tcp,
        };
        assert_eq!(way, by.way, "{told} connection {number} is relayed to where others go");
        let client = case.has_header().then(|| case.client_address());
        assert_eq!(named, client, "{told} connection {number} is relayed for another client");
        let session =
            (way == Way::Tls).then(|| ServerConnection::new(self.server_tls.clone()).expect("a server").into());
        if case.narrow {
            by.socket.narrow();
        }
        let wire = Wire::new(by.socket, session, self.poll.registry(), Token(2 * index + 1));
        let hears = Hears::Stream(Stream::new(Owner::Client(number), &case.prefix.0));
        live.onward = Some(Peer::new(wire, &case.onward, Stream::new(Owner::Onward(number), b""), hears));
    }

    fn end(&mut self, index: usize) {
        let live = self.live.remove(index);
        self.by_number.remove(&live.case.number);
        let number = live.case.number;
        let client = live.client.map_or_else(|seen| seen, |peer| peer.seen);
        let onward = live.onward.as_ref().map(|peer| peer.seen.clone());
        let verdict = judge(&live.case, &client, onward.as_ref());
        let verdict = verdict.unwrap_or_else(|why| {
            panic!(
                "{} connection {number}: {why}\n{:?}\nclient: {client:?}\nonward: {onward:?}",
                live.case.told(self.seed),
                live.case
            )
        });
        *self.tally.verdicts.entry((live.case.door, verdict)).or_default() += 1;
        self.tally.bytes += client.sent + onward.as_ref().map_or(0, |onward| onward.sent);
        let may_come = onward.is_none() && matches!(live.case.talk, Talk::Relayed);
        self.journal.note(live.case, verdict, &client);
        if may_come {
            self.alone.insert(number, client);
        }
    }

    /// Nothing in the access log is about somebody else. Only when all connections are gone.
    pub fn check_log(&mut self) {
        let lines = self.journal.check(&log_path(&self.folder));
        eprintln!("{lines} lines in the access log");
    }

    /// How this run is repeated.
    fn told(&self) -> String {
        told(self.host, self.seed)
    }

    /// Those of whom nobody came can no longer come.
    pub fn forget(&mut self) {
        self.alone.clear();
    }

    /// The numbers begin again, with another seed.
    pub fn begin_again(&mut self, seed: u64) {
        assert!(self.is_idle());
        self.seed = seed;
    }
}

impl Live {
    fn peers(&self) -> impl Iterator<Item = &Peer> {
        self.client.iter().chain(&self.onward)
    }

    fn step(&mut self, now: Instant, buf: &mut [u8], seed: u64) {
        let number = self.case.number;
        for peer in self.client.iter_mut().chain(&mut self.onward) {
            if peer.step(now, buf) {
                self.moved = now;
            }
            if let Some(why) = &peer.wrong {
                panic!("{} connection {number}: {why}\n{:?}", self.case.told(seed), self.case);
            }
        }
        let still = now.saturating_duration_since(self.moved);
        if still > PATIENCE {
            let has_ended = |peer: &Peer| peer.seen.finished;
            let (client, onward) =
                (self.client.as_ref().is_ok_and(has_ended), self.onward.as_ref().is_some_and(has_ended));
            let gave_in = self.client.as_mut().is_ok_and(|peer| peer.give_in(onward))
                | self.onward.as_mut().is_some_and(|peer| peer.give_in(client));
            if gave_in {
                self.moved = now;
            }
        }
        let acts: Vec<_> = self.peers().map(Peer::act).collect();
        assert!(still < DEADLINE, "{} connection {number} hangs at {acts:?}\n{:?}", self.case.told(seed), self.case);
    }

    fn is_done(&self) -> bool {
        self.peers().all(Peer::is_done)
    }
}

/// How a run is repeated.
fn told(host: Host, seed: u64) -> String {
    let test = match host {
        Host::Context => "whatever",
        Host::Lwsws => "reloads",
    };
    format!("FAULTS_SEED={seed} cargo test --test faults {test}:")
}

impl Case {
    /// How it is repeated alone.
    fn told(&self, seed: u64) -> String {
        format!("FAULTS_ONLY={} {}", self.number, told(self.host, seed))
    }
}

fn connect_from(address: Ipv4Addr, to: (Ipv4Addr, u16)) -> TcpStream {
    let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_nonblocking(true).expect("O_NONBLOCK");
    socket.set_tcp_nodelay(true).expect("TCP_NODELAY");
    socket.bind(&SocketAddr::from((address, 0)).into()).expect("bind");
    match socket.connect(&SocketAddr::from(to).into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
            panic!("connect: {error}")
        }
        _ => TcpStream::from_std(socket.into()),
    }
}
