//! How many connections one address may have at a time (`ip-limit-wsi`), how many that have not said what they want (`ip-limit-undecided`),
//! how many requests (`ip-limit-ah`), and how many connections there may be at all.

mod util;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use rlws::protocols::{HttpDummy, RawEcho, RawProxy};
use rlws::{AdoptInfo, ContextInfo, Listen, Mount, Options, ProtocolTable, VhostInfo, limits};
use socket2::{Domain, Socket, Type};
use util::server::make_vhost;
use util::*;

/// A vhost that echoes everything.
fn echoing(listen: Listen) -> VhostInfo {
    VhostInfo {
        listen,
        protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawEcho>()],
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_protocol: Some("raw-echo".into()),
        ..Default::default()
    }
}

fn limited(limit: u32) -> Server {
    let info = ContextInfo { ip_limit_wsi: Some(limit), ..Default::default() };
    Server::with_vhost_in(info, || echoing(Listen::on("127.0.0.1", 0)))
}

/// From another address of this machine.
fn connect_from(address: [u8; 4], port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.bind(&SocketAddrV4::new(Ipv4Addr::from(address), 0).into()).expect("all of 127 is ours");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("connect");
    with_deadline(TcpStream::from(socket))
}

#[track_caller]
fn is_served(mut client: &TcpStream) {
    send(&mut client, b"hello");
    assert_eq!(read_exactly(&mut client, 5), b"hello");
}

#[track_caller]
fn is_hung_up_on(mut client: TcpStream) {
    assert_eq!(read_until_closed(&mut client).0, b"");
}

#[test]
fn an_address_has_so_many_connections_and_another_when_one_has_gone() {
    let server = limited(3);
    let mut clients: Vec<TcpStream> = (0..3).map(|_| connect(server.made)).collect();
    clients.iter().for_each(is_served);
    for _ in 0..20 {
        is_hung_up_on(connect(server.made));
    }
    is_served(&connect_from([127, 0, 0, 2], server.made));
    clients.iter().for_each(is_served);
    let before = server.wsi_count();
    drop(clients.pop());
    eventually("it is gone", || server.wsi_count() < before);
    let another = connect(server.made);
    is_served(&another);
    is_hung_up_on(connect(server.made));
    drop((clients, another));
    server.assert_nothing_left();
    let again: Vec<TcpStream> = (0..3).map(|_| connect(server.made)).collect();
    again.iter().for_each(is_served);
}

#[test]
fn the_log_says_once_who_has_too_many_and_what_to_look_at() {
    let server = limited(1);
    let client = connect(server.made);
    is_served(&client);
    is_hung_up_on(connect(server.made));
    server.wait_for_log(&["WARN", "127.0.0.1", "1 connections", "ip-limit-wsi"]);
    let now = server.ask(|context| context.cx().now());
    for _ in 0..50 {
        is_hung_up_on(connect(server.made));
    }
    let seconds = server.ask(move |context| context.cx().now()).duration_since(now).as_secs() as usize;
    let lines = warnings(&server, "ip-limit-wsi");
    assert!(lines <= seconds + 2, "{lines} lines in {seconds} s");
}

fn warnings<T: Send + 'static>(server: &Server<T>, what: &str) -> usize {
    server.log().iter().filter(|line| line.contains("WARN") && line.contains(what)).count()
}

/// A peer that a protocol turns away, or whose connection fails, leaves nothing counted behind.
#[test]
fn whoever_ends_a_connection_makes_room() {
    let server = limited(2);
    for round in 0..30 {
        let client = connect(server.made);
        is_served(&client);
        match round % 3 {
            0 => reset(client),
            1 => drop(client),
            _ => half_close(&client),
        }
        eventually("it is gone", || server.wsi_count() == 1);
    }
    server.assert_nothing_left();
}

#[test]
fn a_unix_socket_and_what_is_adopted_have_no_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("its.sock");
    let info = ContextInfo { ip_limit_wsi: Some(1), ..Default::default() };
    let listen = Listen::unix(&path);
    let server = Server::start_with(info, move |context| {
        make_vhost(context, VhostInfo { name: "unix".into(), ..echoing(listen) });
        context.create_vhost(echoing(Listen::on("127.0.0.1", 0))).expect("a vhost")
    });
    let clients: Vec<UnixStream> = (0..5).map(|_| UnixStream::connect(&path).expect("connect")).collect();
    for mut client in &clients {
        client.write_all(b"hello").expect("write");
        assert_eq!(read_exactly(&mut client, 5), b"hello");
    }
    let vhost = server.made;
    let port = server.ask(move |context| context.cx().listen_port(vhost)).expect("it listens");
    let adopted: Vec<TcpStream> = (0..5)
        .map(|_| {
            let (listener, at) = (std::net::TcpListener::bind("127.0.0.1:0").expect("bind"), "adopted");
            let client = connect(listener.local_addr().expect(at).port());
            let accepted = listener.accept().expect(at).0;
            server.ask(move |context| context.cx().adopt_tcp(accepted, AdoptInfo::new(vhost, "raw-echo")).expect(at));
            client
        })
        .collect();
    adopted.iter().for_each(is_served);
    let client = connect(port);
    is_served(&client);
    is_hung_up_on(connect(port));
}

#[test]
fn without_a_limit_an_address_has_as_many_as_it_likes() {
    let server = Server::with_vhost(|| echoing(Listen::on("127.0.0.1", 0)));
    let clients: Vec<TcpStream> = (0..200).map(|_| connect(server.made)).collect();
    clients.iter().for_each(is_served);
}

/// Serves http, and echoes what is not; so many connections of an address may not have said what they want.
fn wary(limit: Option<u32>, max_connections: Option<usize>) -> Server {
    let info = ContextInfo { ip_limit_undecided: limit, max_connections, timeout: DEADLINE, ..Default::default() };
    Server::with_vhost_in(info, falling_back)
}

fn falling_back() -> VhostInfo {
    VhostInfo {
        options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        mounts: vec![Mount::redirect("/", "https://elsewhere.example/")],
        ..echoing(Listen::on("127.0.0.1", 0))
    }
}

/// So many that say nothing, from the first to the last.
fn silent(server: &Server, count: usize) -> Vec<TcpStream> {
    let before = server.wsi_count();
    let clients = (0..count).map(|_| connect(server.made)).collect();
    eventually("they are there", || server.wsi_count() == before + count);
    clients
}

#[test]
fn of_those_who_say_nothing_the_first_goes_for_the_next() {
    let server = wary(Some(3), None);
    let mut clients = silent(&server, 3);
    let other = connect_from([127, 0, 0, 2], server.made);
    for _ in 0..5 {
        clients.push(connect(server.made));
        is_hung_up_on(clients.remove(0));
    }
    server.wait_for_log(&["WARN", "127.0.0.1", "3 newer connections", "ip-limit-undecided"]);
    clients.iter().for_each(is_served);
    is_served(&other);
    drop((clients, other));
    server.assert_nothing_left();
}

#[test]
fn who_has_said_what_it_wants_counts_no_more() {
    let server = wary(Some(2), None);
    let established: Vec<TcpStream> =
        (0..10).map(|_| connect(server.made)).inspect(|client| is_served(client)).collect();
    let page = |browser: &mut TcpStream| assert_eq!(http::ask(browser, "a", "/").status, 301);
    let browse = |_| {
        let mut browser = connect(server.made);
        page(&mut browser);
        browser
    };
    let mut browsers: Vec<TcpStream> = (0..10).map(browse).collect();
    let mut clients = silent(&server, 2);
    clients.push(connect(server.made));
    is_hung_up_on(clients.remove(0));
    established.iter().for_each(is_served);
    browsers.iter_mut().for_each(page);
    clients.iter().for_each(is_served);
}

#[test]
fn who_speaks_at_once_gets_through_a_flood_of_its_own_address() {
    let server = wary(Some(4), None);
    let (mut flood, begun) = (Vec::new(), Instant::now());
    for _ in 0..20 {
        flood.extend((0..10).map(|_| connect(server.made)));
        is_served(&connect(server.made));
    }
    let (lines, seconds) = (warnings(&server, "ip-limit-undecided"), begun.elapsed().as_secs() as usize);
    assert!(lines <= seconds + 1, "{lines} lines in {seconds} s");
    drop(flood);
    server.assert_nothing_left();
}

/// What it has sent waits to be read: it is looked at a last time.
#[test]
fn who_has_spoken_is_not_taken_for_silent_in_a_burst() {
    let server = wary(Some(2), None);
    let clients = server.held(|| {
        let mut clients: Vec<TcpStream> = (0..20).map(|_| connect(server.made)).collect();
        clients.iter_mut().for_each(|client| send(client, b"hello"));
        clients
    });
    for mut client in clients {
        assert_eq!(read_exactly(&mut client, 5), b"hello");
    }
}

#[test]
fn a_head_that_is_not_whole_has_said_nothing() {
    let server = wary(Some(1), None);
    let [mut slow, mut next] = [(); 2].map(|()| {
        let mut client = connect(server.made);
        send(&mut client, b"GET / HTTP/1.1\r\nHost: a\r\n");
        server.turn();
        client
    });
    assert_eq!(read_until_closed(&mut slow).0, b"");
    send(&mut next, b"\r\n");
    assert_eq!(http::read_response(&mut next).status, 301);
    let idle = silent(&server, 1);
    assert_eq!(http::ask(&mut next, "a", "/").status, 301);
    idle.iter().for_each(is_served);
}

#[test]
fn tls_has_said_nothing_before_its_handshake_is_done() {
    let info = ContextInfo { ip_limit_undecided: Some(1), timeout: DEADLINE, ..Default::default() };
    let server = Server::with_vhost_in(info, || VhostInfo {
        name: "localhost".into(),
        tls: Some(certs::localhost().tls_info()),
        ..echoing(Listen::on("127.0.0.1", 0))
    });
    let mut done = tls::trusting().connect(server.made, "localhost");
    send(&mut done, b"hello");
    assert_eq!(read_exactly(&mut done, 5), b"hello");
    let mut begun = connect(server.made);
    send(&mut begun, b"\x16\x03\x01\x02\x00\x01");
    server.turn();
    let next = connect(server.made);
    assert_eq!(read_until_closed(&mut begun).0, b"");
    send(&mut done, b"again");
    assert_eq!(read_exactly(&mut done, 5), b"again");
    drop((done, next));
    server.assert_nothing_left_beside(1);
}

#[test]
fn behind_a_balancer_the_clients_silence_counts() {
    let info = ContextInfo { ip_limit_undecided: Some(1), timeout: DEADLINE, ..Default::default() };
    let server = Server::with_vhost_in(info, || VhostInfo {
        proxy_protocol_from: vec!["127.0.0.1".parse().expect("an address")],
        ..falling_back()
    });
    let by = |header: &[u8]| {
        let mut client = connect(server.made);
        send(&mut client, header);
        server.turn();
        client
    };
    let others: Vec<TcpStream> =
        (1..4).map(|n| by(format!("PROXY TCP4 203.0.113.{n} 192.0.2.1 4660 443\r\n").as_bytes())).collect();
    let first = by(balancer::V1);
    let next = by(balancer::V1);
    is_hung_up_on(first);
    is_served(&next);
    others.iter().for_each(is_served);
}

#[test]
fn unless_told_an_address_that_says_nothing_takes_half_of_the_room() {
    let server = wary(None, Some(11));
    let mut clients = silent(&server, 5);
    clients.push(connect(server.made));
    is_hung_up_on(clients.remove(0));
    is_served(&connect_from([127, 0, 0, 2], server.made));
    let server = wary(Some(0), Some(11));
    silent(&server, 10).iter().for_each(is_served);
}

/// What it has said is nothing that anybody serves, and it does not hang up.
#[test]
fn who_is_refused_counts_until_it_has_gone() {
    for (bad, answered) in [(&b"GET / HTTP/1.1\r\n\r\n"[..], true), (&b"\x16\x03\x01\0\x04\x01\0\0\0"[..], false)] {
        let info = ContextInfo { max_connections: Some(11), timeout: DEADLINE, ..Default::default() };
        let server = Server::with_vhost_in(info, move || VhostInfo {
            name: "localhost".into(),
            tls: (!answered).then(|| certs::localhost().tls_info()),
            options: Options::empty(),
            ..falling_back()
        });
        let refused = || {
            let mut client = connect(server.made);
            send(&mut client, bad);
            let (said, _) = read_until_closed(&mut client);
            assert_eq!(said.starts_with(b"HTTP/1.1 400 "), answered, "{said:?}");
            client
        };
        let begun = Instant::now();
        let crowd: Vec<TcpStream> = (0..30).map(|_| refused()).collect();
        assert!(server.wsi_count() <= 6, "it takes half of the room at most");
        server.wait_for_log(&["WARN", "127.0.0.1", "ip-limit-undecided"]);
        let seconds = begun.elapsed().as_secs() as usize;
        assert!(warnings(&server, "ip-limit-undecided") <= seconds + 1);
        assert_eq!(warnings(&server, "max_connections"), 0, "nobody has to wait");
        drop(crowd);
        server.assert_nothing_left();
    }
}

/// A site with something that does not fit into sockets, whose requests are limited.
fn limited_site(limit: u32, timeout: Duration) -> (Site, Server) {
    let site = Site::new();
    site.write("big.png", &random_bytes(3, BIG));
    let info = ContextInfo { ip_limit_ah: Some(limit), timeout, ..Default::default() };
    let root = site.root();
    let server = Server::with_vhost_in(info, move || VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        mounts: vec![Mount::files("/", root)],
        ..Default::default()
    });
    (site, server)
}

const BIG: usize = 16 * 1024 * 1024;

/// A client whose request comes with it.
fn asks(server: &Server, path: &str) -> TcpStream {
    server.held(|| {
        let mut client = connect(server.made);
        send(&mut client, http::request("GET", "a", path).as_bytes());
        client
    })
}

/// So many clients that have asked for it and read nothing.
fn busy(server: &Server, count: usize) -> Vec<TcpStream> {
    let begin = |_| {
        let mut client = asks(server, "/big.png");
        assert_eq!(http::read_head(&mut client).status, 200);
        client
    };
    (0..count).map(begin).collect()
}

#[test]
fn an_address_has_so_many_requests_and_the_next_one_waits_for_its_turn() {
    let (_site, server) = limited_site(3, DEADLINE);
    let page = http::request("GET", "a", "/");
    let mut clients = busy(&server, 3);
    let mut waiting: Vec<TcpStream> = (0..3).map(|_| connect(server.made)).collect();
    for client in &mut waiting {
        send(client, page.repeat(2).as_bytes());
        server.turn();
    }
    let mut other = connect_from([127, 0, 0, 2], server.made);
    assert_eq!(http::ask(&mut other, "a", "/").text(), site::INDEX, "each for itself");
    // One that goes while it waits is in nobody's way; nor is one that goes with its request unanswered.
    reset(waiting.remove(0));
    reset(clients.remove(0));
    for client in &mut waiting {
        for _ in 0..2 {
            assert_eq!(http::read_response(client).text(), site::INDEX);
        }
    }
    clients.extend(busy(&server, 1));
    // What has its answer makes room too, though its connection stays.
    send(&mut waiting[0], page.as_bytes());
    let mut first = clients.remove(0);
    assert_eq!(read_exactly(&mut first, BIG).len(), BIG);
    assert_eq!(http::read_response(&mut waiting[0]).text(), site::INDEX);
    assert_eq!(http::ask(&mut first, "a", "/").text(), site::INDEX);
    drop((clients, waiting, first, other));
    server.assert_nothing_left();
}

#[test]
fn who_sends_many_requests_at_once_has_its_next_turn_behind_those_who_wait() {
    let (_site, server) = limited_site(1, DEADLINE);
    let mut greedy = connect(server.made);
    send(&mut greedy, http::request("GET", "a", "/big.png").repeat(3).as_bytes());
    assert_eq!(http::read_head(&mut greedy).status, 200);
    let mut modest = connect(server.made);
    send(&mut modest, http::request("GET", "a", "/").as_bytes());
    server.turn();
    // The first response alone is read; the second one does not fit into sockets and would keep the turn.
    assert_eq!(read_exactly(&mut greedy, BIG).len(), BIG);
    assert_eq!(http::read_response(&mut modest).text(), site::INDEX);
    drop((greedy, modest));
    server.assert_nothing_left();
}

#[test]
fn a_request_that_waits_too_long_for_its_turn_is_503() {
    // Less than a response that nobody reads may take.
    let patience = limits::HTTP_SEND_STALL / 2;
    let (_site, server) = limited_site(1, patience);
    let clients = busy(&server, 1);
    let mut late = connect(server.made);
    send(&mut late, http::request("GET", "a", "/").as_bytes());
    server.wait_for_connections(2);
    server.let_pass(patience);
    let answer = http::read_response(&mut late);
    assert_eq!((answer.status, answer.header("connection")), (503, Some("close")));
    assert_eq!(read_to_end(&mut late), b"");
    drop((clients, late));
    server.assert_nothing_left();
    assert_eq!(http::read_response(&mut asks(&server, "/")).text(), site::INDEX);
}

#[test]
fn who_comes_when_there_are_enough_waits_for_another_to_go() {
    // One is the listen socket.
    let info = ContextInfo { max_connections: Some(4), ..Default::default() };
    let server = Server::with_vhost_in(info, || echoing(Listen::on("127.0.0.1", 0)));
    let mut clients: Vec<TcpStream> = (0..3).map(|_| connect(server.made)).collect();
    clients.iter().for_each(is_served);
    let waiting: Vec<TcpStream> = (0..5).map(|_| connect(server.made)).collect();
    server.wait_for_log(&["WARN", "4 connections", "max_connections"]);
    for mut client in &waiting {
        send(&mut client, b"hello");
    }
    clients.iter().for_each(is_served);
    for mut client in waiting {
        drop(clients.remove(0));
        assert_eq!(read_exactly(&mut client, 5), b"hello", "in the order they came");
        clients.push(client);
    }
    assert!(server.wsi_count() <= 4);
    assert_eq!(warnings(&server, "max_connections"), 1, "it is said once");
    drop(clients);
    server.wait_for_log(&["WARN", "nobody has to wait any more"]);
    server.assert_nothing_left();
}

/// Relays to an echo server, among so many connections.
fn relaying(max_connections: usize, options: Options) -> (Onward, Server) {
    let onward = Onward::echo();
    let target = onward.target();
    let info = ContextInfo {
        max_connections: Some(max_connections),
        ip_limit_undecided: Some(0),
        timeout: DEADLINE,
        ..Default::default()
    };
    let server = Server::with_vhost_in(info, move || VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        pvo: util::options("raw-proxy", &[("onward", &target)]),
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        options,
        ..Default::default()
    });
    (onward, server)
}

#[test]
fn a_relay_takes_the_room_of_two() {
    // The listen socket, three pairs, and one too few for another.
    let (_onward, server) = relaying(8, Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG);
    let mut clients: Vec<TcpStream> = (0..3).map(|_| connect(server.made)).collect();
    clients.iter().for_each(is_served);
    let mut waiting: Vec<TcpStream> = (0..3).map(|_| connect(server.made)).collect();
    waiting.iter_mut().for_each(|client| send(client, b"hello"));
    server.wait_for_log(&["WARN", "7 connections", "max_connections"]);
    clients.iter().for_each(is_served);
    for mut client in waiting {
        drop(clients.remove(0));
        assert_eq!(read_exactly(&mut client, 5), b"hello", "who comes waits");
        clients.push(client);
    }
    assert!(server.wsi_count() <= 8);
}

/// Each had its place while it said nothing.
#[test]
fn of_many_that_speak_at_once_those_are_relayed_for_whom_there_is_room() {
    let (_onward, server) = relaying(12, Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG);
    let mut clients = silent(&server, 10);
    clients.iter_mut().for_each(|client| send(client, b"\0"));
    server.wait_for_log(&["WARN", "cannot connect to", "as many connections as may be", "max_connections"]);
    let relayed: usize = clients.iter_mut().filter_map(|client| client.read(&mut [0]).ok()).sum();
    assert!((1..=5).contains(&relayed), "{relayed} are relayed");
    assert!(server.wsi_count() <= 12);
    drop(clients);
    is_served(&connect(server.made));
}

/// Who comes and goes at the limit makes somebody wait again and again.
#[test]
fn a_listener_that_rests_now_and_then_says_so_once_a_second() {
    let info = ContextInfo { max_connections: Some(4), ..Default::default() };
    let server = Server::with_vhost_in(info, || echoing(Listen::on("127.0.0.1", 0)));
    let begun = Instant::now();
    for _ in 0..12 {
        let clients: Vec<TcpStream> = (0..5).map(|_| connect(server.made)).collect();
        clients[..3].iter().for_each(is_served);
        drop(clients);
    }
    server.wait_for_log(&["WARN", "nobody has to wait any more"]);
    let (lines, seconds) = (warnings(&server, "listen"), begun.elapsed().as_secs() as usize);
    assert!((2..=2 * seconds + 2).contains(&lines), "{lines} lines in {seconds} s");
}

/// Another process is never without a descriptor for its own purposes; here the system refuses one all the same.
#[test]
fn without_a_descriptor_left_nobody_is_lost() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let info = ContextInfo { max_connections: Some(usize::MAX), ..Default::default() };
    let server = Server::with_vhost_in(info, || echoing(Listen::on("127.0.0.1", 0)));
    let client = connect(server.made);
    is_served(&client);
    let (late, before) =
        (Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket"), getrlimit(Resource::Nofile));
    // The lowest that is free is one too many from now on.
    let free = std::os::fd::AsRawFd::as_raw_fd(&std::fs::File::open("/dev/zero").expect("open"));
    setrlimit(Resource::Nofile, Rlimit { current: Some(free as u64), ..before }).expect("setrlimit");
    late.connect(&SocketAddr::from(([127, 0, 0, 1], server.made)).into()).expect("connect");
    let mut late = TcpStream::from(late);
    send(&mut late, b"hello");
    server.wait_for_log(&["WARN", "cannot accept"]);
    is_served(&client);
    setrlimit(Resource::Nofile, before).expect("setrlimit");
    assert_eq!(read_exactly(&mut with_deadline(late), 5), b"hello");
    assert_eq!(warnings(&server, "cannot accept"), 1, "it is said once, however often it is tried");
    server.wait_for_log(&["WARN", "nobody has to wait any more"]);
}
