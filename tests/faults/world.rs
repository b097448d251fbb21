//! A run: many connections at once, both ends of each driven by one thread and one poll.

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::net::{TcpListener, TcpStream, UnixStream};
use mio::{Events, Interest, Poll, Token};
use rustls::ClientConfig;
use slab::Slab;
use socket2::{Domain, Socket as RawSocket, Type};

use crate::doors::{Beyond, unix_path};
use crate::model::{Verdict, judge};
use crate::peer::{Hears, Outcome, Peer};
use crate::poison::{Owner, Stream};
use crate::requests::Responses;
use crate::script::{ADDRESSES, Case, Door, Talk, client_address, number_of};
use crate::util::{DEADLINE, tls};
use crate::wire::{Socket, Wire};

/// Connections at a time.
const AT_ONCE: usize = 150;
/// When nothing has moved for so long, both ends no longer wait for each other.
const PATIENCE: Duration = Duration::from_millis(50);

const ONWARD: Token = Token(usize::MAX - 1);
const ONWARD_OF_UNIX: Token = Token(usize::MAX - 2);

/// One connection, both ends.
struct Live {
    case: Case,
    /// One that ended before its onward server was reached leaves what it saw.
    client: Result<Peer, Outcome>,
    onward: Option<Peer>,
    moved: Instant,
}

/// What a run has seen.
#[derive(Debug, Default)]
pub struct Tally {
    pub verdicts: BTreeMap<(Door, Verdict), usize>,
    pub bytes: u64,
}

pub struct World {
    seed: u64,
    poll: Poll,
    onward: TcpListener,
    onward_of_unix: TcpListener,
    /// Holds a port that refuses.
    refuses: RawSocket,
    ports: BTreeMap<Door, u16>,
    unix: PathBuf,
    tls: Arc<ClientConfig>,
    live: Slab<Live>,
    by_number: HashMap<u64, usize>,
    /// Clients whose onward server has not been seen, and may still come.
    alone: HashMap<u64, Outcome>,
    /// The connections that came by unix socket, in their order.
    by_unix: Vec<u64>,
    pub tally: Tally,
    buf: Vec<u8>,
}

impl World {
    pub fn new(seed: u64) -> World {
        let listener = || TcpListener::bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0))).expect("bind");
        let (mut onward, mut onward_of_unix) = (listener(), listener());
        let poll = Poll::new().expect("a poll");
        poll.registry().register(&mut onward, ONWARD, Interest::READABLE).expect("register");
        poll.registry().register(&mut onward_of_unix, ONWARD_OF_UNIX, Interest::READABLE).expect("register");
        let refuses = RawSocket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
        refuses.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into()).expect("bind");
        World {
            seed,
            poll,
            onward,
            onward_of_unix,
            refuses,
            ports: BTreeMap::new(),
            unix: PathBuf::new(),
            tls: tls::trusting().config(),
            live: Slab::new(),
            by_number: HashMap::new(),
            alone: HashMap::new(),
            by_unix: Vec::new(),
            tally: Tally::default(),
            buf: vec![0; 64 * 1024],
        }
    }

    /// Where the relay is to go.
    pub fn beyond(&self) -> Beyond {
        Beyond {
            onward: self.onward.local_addr().expect("bound").port(),
            onward_of_unix: self.onward_of_unix.local_addr().expect("bound").port(),
            refused: self.refuses.local_addr().expect("bound").as_socket_ipv4().expect("IPv4").port(),
        }
    }

    /// Where the clients are to go.
    pub fn enter(&mut self, ports: BTreeMap<Door, u16>, folder: &std::path::Path) {
        (self.ports, self.unix) = (ports, unix_path(folder));
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
                ONWARD | ONWARD_OF_UNIX => {}
                Token(token) => self.note(token, event.is_readable(), event.is_writable()),
            }
        }
        self.accept();
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
        self.live.is_empty()
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
        let case = Case::random(self.seed, number);
        let (session, hello) = match &case.talk {
            Talk::NoTls { hello: Some(_) } => (None, tls::hello(&self.tls, "localhost").1),
            _ if case.tls => (Some(tls::begin(&self.tls, "localhost")), case.prefix.clone()),
            _ => (None, case.prefix.clone()),
        };
        let says = Stream::new(Owner::Client(number), &hello);
        let hears = match &case.talk {
            Talk::Relayed => Hears::Stream(Stream::new(Owner::Onward(number), b"")),
            Talk::Echoed => Hears::Stream(says.clone()),
            Talk::Requests(wants) => Hears::Responses(Responses::new(wants)),
            Talk::NoTls { .. } => Hears::Alert,
        };
        let socket = match case.door {
            Door::Unix => {
                self.by_unix.push(number);
                Socket::Unix(UnixStream::connect(&self.unix).expect("connect"))
            }
            door => Socket::Tcp(connect_from(client_address(number), (door.address(), self.ports[&door]))),
        };
        let entry = self.live.vacant_entry();
        let wire = Wire::new(socket, session, self.poll.registry(), Token(2 * entry.key()));
        let client = Peer::new(wire, &case.client, says, hears);
        self.by_number.insert(number, entry.key());
        entry.insert(Live { case, client: Ok(client), onward: None, moved: Instant::now() });
    }

    /// Takes whom the relay sends. Always all: that the listeners are readable is told once.
    fn accept(&mut self) {
        while let Ok((stream, _)) = self.onward.accept() {
            let round = self.by_number.keys().chain(self.alone.keys()).max().map_or(0, |newest| newest / ADDRESSES);
            let within = number_of(local_address(&stream));
            let number = [round, round.saturating_sub(1)]
                .map(|round| round * ADDRESSES + within)
                .into_iter()
                .find(|number| self.by_number.contains_key(number) || self.alone.contains_key(number));
            let number = number.unwrap_or_else(|| panic!("{} relays connection {within}, which is over", self.told()));
            self.reached(number, stream);
        }
        while let Ok((stream, _)) = self.onward_of_unix.accept() {
            let order = number_of(local_address(&stream));
            let number = self.by_unix[order as usize];
            self.reached(number, stream);
        }
    }

    /// The onward server of a connection is reached.
    fn reached(&mut self, number: u64, stream: TcpStream) {
        let index = self.by_number.get(&number).copied().unwrap_or_else(|| {
            let seen = self.alone.remove(&number);
            let seen = seen.unwrap_or_else(|| panic!("{} connection {number} is relayed twice", self.told()));
            let case = Case::random(self.seed, number);
            let late = Live { case, client: Err(seen), onward: None, moved: Instant::now() };
            let index = self.live.insert(late);
            self.by_number.insert(number, index);
            index
        });
        let told = self.told();
        let live = &mut self.live[index];
        assert!(live.onward.is_none(), "{told} connection {number} is relayed twice");
        let wire = Wire::new(Socket::Tcp(stream), None, self.poll.registry(), Token(2 * index + 1));
        let then = Stream::new(Owner::Client(number), &live.case.prefix);
        let hears = match live.case.has_header() {
            true => Hears::Header { has: format!(" {} ", client_address(number)), line: Vec::new(), then },
            false => Hears::Stream(then),
        };
        live.onward = Some(Peer::new(wire, &live.case.onward, Stream::new(Owner::Onward(number), b""), hears));
    }

    fn end(&mut self, index: usize) {
        let live = self.live.remove(index);
        self.by_number.remove(&live.case.number);
        let number = live.case.number;
        let client = live.client.map_or_else(|seen| seen, |peer| peer.seen);
        let onward = live.onward.map(|peer| peer.seen);
        let verdict = judge(&live.case, &client, onward.as_ref());
        let verdict = verdict.unwrap_or_else(|why| {
            panic!(
                "{} connection {number}: {why}\n{:#?}\nclient: {client:#?}\nonward: {onward:#?}",
                self.told(),
                live.case
            )
        });
        *self.tally.verdicts.entry((live.case.door, verdict)).or_default() += 1;
        self.tally.bytes += client.sent + onward.as_ref().map_or(0, |onward| onward.sent);
        if onward.is_none() && matches!(live.case.talk, Talk::Relayed) {
            self.alone.insert(number, client);
        }
    }

    /// How this run is repeated.
    fn told(&self) -> String {
        format!("FAULTS_SEED={}", self.seed)
    }

    /// Those of whom nobody came can no longer come.
    pub fn forget(&mut self) {
        self.alone.clear();
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
                panic!("FAULTS_SEED={seed} connection {number}: {why}\n{:#?}", self.case);
            }
        }
        let still = now.saturating_duration_since(self.moved);
        if still > PATIENCE {
            for peer in self.client.iter_mut().chain(&mut self.onward) {
                if peer.give_in() {
                    self.moved = now;
                }
            }
        }
        let acts: Vec<_> = self.peers().map(Peer::act).collect();
        assert!(still < DEADLINE, "FAULTS_SEED={seed} connection {number} hangs at {acts:?}\n{:#?}", self.case);
    }

    fn is_done(&self) -> bool {
        self.peers().all(Peer::is_done)
    }
}

fn local_address(stream: &TcpStream) -> Ipv4Addr {
    match stream.local_addr().expect("connected") {
        SocketAddr::V4(address) => *address.ip(),
        SocketAddr::V6(address) => panic!("{address}"),
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
