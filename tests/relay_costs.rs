//! What a relayed message and a relayed connection cost, counted: system calls by strace, allocations by the allocator. Counts are the same on
//! a busy machine.

mod util;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rlws::protocols::RawProxy;
use rlws::{Context, ContextInfo, Listen, Options, ProtocolTable, VhostInfo};
use util::traced::Traced;
use util::*;

const MESSAGES: usize = 200;
const CONNECTIONS: usize = 100;
const SILENT: usize = 500;

/// The most that a connection of one message asks of the system, for both of its halves.
const OF_A_CONNECTION: [(&str, usize); 10] = [
    ("accept4", 2),    // once to find that nobody else waits
    ("setsockopt", 1), // TCP_NODELAY; keepalive only on who stays
    ("socket", 1),
    ("connect", 1),
    ("epoll_ctl", 2),
    ("epoll_wait", 7),
    ("recvfrom", 5), // message and end of each half, and a look too early
    ("sendto", 2),
    ("shutdown", 1),
    ("close", 2),
];

/// The example that tells http from the rest, and relays the rest.
fn relay(onward: &Onward) -> Traced {
    Traced::start("minimal-raw-proxy-fallback", &["-r", &onward.target()])
}

/// Sends a message, and waits until it is back.
#[track_caller]
fn echoed(stream: &mut TcpStream, message: &str) {
    send(stream, message.as_bytes());
    assert_eq!(read_exactly(stream, message.len()), message.as_bytes());
}

/// The calls of so many messages there and back, and of one more: that which marks the beginning. So many others are connected already.
fn calls_of_messages(relay: &Traced, others: usize) -> BTreeMap<String, usize> {
    let mut stream = connect(relay.program.port());
    echoed(&mut stream, "SSH-2.0-client\r\n");
    eventually("all are old enough for keepalive", || {
        // Of each the onward half is told; and the listen socket was, of which the others have it.
        let told = relay.lines().iter().filter(|line| line.contains("SO_KEEPALIVE")).count();
        told == 1 + others + 1
    });
    echoed(&mut stream, "the first of them");
    for _ in 0..MESSAGES {
        echoed(&mut stream, "message");
    }
    echoed(&mut stream, "behind them");
    relay.between("the first of them", "behind them")
}

fn assert_two_reads_and_writes_a_message(mut calls: BTreeMap<String, usize>) {
    let mut count = |name: &str| calls.remove(name).unwrap_or(0);
    assert_eq!(count("recvfrom"), 2 * (MESSAGES + 1), "one in each direction");
    assert_eq!(count("sendto"), 2 * (MESSAGES + 1), "one in each direction");
    assert!(count("epoll_wait") <= 2 * (MESSAGES + 1));
    assert_eq!(calls, BTreeMap::new(), "nothing else is asked of the system");
}

#[test]
fn a_relayed_message_costs_a_read_and_a_write_in_each_direction() {
    let onward = Onward::echo();
    assert_two_reads_and_writes_a_message(calls_of_messages(&relay(&onward), 0));
}

#[test]
fn silent_connections_cost_the_one_that_speaks_no_system_call() {
    let onward = Onward::echo();
    let relay = relay(&onward);
    let silent = |number| {
        let mut stream = connect(relay.program.port());
        echoed(&mut stream, &format!("SSH-2.0-silent {number}\r\n"));
        stream
    };
    let _silent: Vec<TcpStream> = (0..SILENT).map(silent).collect();
    assert_two_reads_and_writes_a_message(calls_of_messages(&relay, SILENT));
}

#[test]
fn a_relayed_connection_asks_nothing_needless_of_the_system() {
    let onward = Onward::echo();
    let relay = relay(&onward);
    let once = |message: &str| {
        let mut stream = connect(relay.program.port());
        echoed(&mut stream, message);
        half_close(&stream);
        assert_eq!(read_to_end(&mut stream), b"", "the end has gone there and back");
    };
    once("SSH-2.0-warm-up\r\n");
    once("SSH-2.0-first\r\n");
    for _ in 0..CONNECTIONS {
        once("SSH-2.0-between\r\n");
    }
    once("SSH-2.0-last\r\n");
    let calls = relay.between("SSH-2.0-first", "SSH-2.0-last");
    for (name, count) in calls {
        let most = OF_A_CONNECTION.iter().find(|(known, _)| *known == name).map_or(0, |(_, most)| *most);
        assert!(count <= most * (CONNECTIONS + 2), "{name} was called {count} times");
    }
}

/// A relay that the test turns, and both of its ends.
struct Pair {
    context: Context,
    client: TcpStream,
    onward: TcpStream,
}

impl Pair {
    #[track_caller]
    fn new() -> Pair {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
        let target = format!("ipv4:{}", listener.local_addr().expect("an address"));
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        let info = VhostInfo {
            name: "relay".into(),
            listen: Listen::on("127.0.0.1", 0),
            protocols: vec![ProtocolTable::of::<RawProxy>()],
            pvo: options("raw-proxy", &[("onward", &target)]),
            options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
            listen_accept_role: Some("raw-proxy".into()),
            listen_accept_protocol: Some("raw-proxy".into()),
            ..Default::default()
        };
        let client = connect(util::server::make_vhost(&mut context, info));
        listener.set_nonblocking(true).expect("fcntl");
        let mut onward = None;
        eventually("it connects onward", || {
            context.service(Some(Duration::from_millis(1))).expect("a turn");
            onward = listener.accept().ok();
            onward.is_some()
        });
        let (onward, _) = onward.expect("just seen");
        for stream in [&client, &onward] {
            stream.set_nodelay(true).expect("TCP_NODELAY");
            stream.set_nonblocking(true).expect("fcntl");
        }
        Pair { context, client, onward }
    }

    /// A message one way, and the same the other way.
    fn exchange(&mut self, message: &[u8]) {
        let Pair { context, client, onward } = self;
        for (from, to) in [(&*client, &*onward), (&*onward, &*client)] {
            pass(context, from, to, message);
        }
    }
}

#[track_caller]
fn pass(context: &mut Context, mut from: &TcpStream, mut to: &TcpStream, message: &[u8]) {
    let (end, mut buf, mut got) = (Instant::now() + DEADLINE, [0; 4096], 0);
    from.write_all(message).expect("there is room");
    while got < message.len() {
        context.service(Some(Duration::from_millis(10))).expect("a turn");
        match to.read(&mut buf) {
            Ok(more) => got += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => assert!(Instant::now() < end),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn a_relayed_message_allocates_nothing() {
    let mut pair = Pair::new();
    let mut exchanges = |times| (0..times).for_each(|_| pair.exchange(&[b'x'; 64]));
    exchanges(20);
    let counted = allocation_counter::measure(|| exchanges(MESSAGES));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
