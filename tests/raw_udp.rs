//! UDP sockets in role raw-udp: datagrams in, datagrams out, and nothing that one of them can do ends the socket.

mod util;

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rlws::{AdoptInfo, Peer, Reason, Verdict, WriteError, WsiId, limits};
use socket2::{Domain, Socket, Type};
use util::script::{Loop, NAME, count, count_of, home, notes, on_call, order, received_len};
use util::*;

fn bound() -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    socket.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    let address = socket.local_addr().expect("bound");
    (socket, address)
}

#[track_caller]
fn adopt(turned: &mut Loop, socket: UdpSocket) -> WsiId {
    let info = AdoptInfo::new(turned.vhost, NAME);
    turned.cx().adopt_udp(socket, info).expect("adopt_udp")
}

/// A loop with an adopted socket, and its address.
fn served() -> (Loop, WsiId, SocketAddr) {
    let (socket, address) = bound();
    let mut turned = Loop::new(home());
    let id = adopt(&mut turned, socket);
    (turned, id, address)
}

/// The datagrams that came, in order.
fn datagrams(wsi: WsiId) -> Vec<Vec<u8>> {
    let mine = notes().into_iter().filter(|note| note.wsi == Some(wsi) && note.what == "RawRx");
    mine.map(|note| note.bytes).collect()
}

#[track_caller]
fn receive(socket: &UdpSocket) -> Vec<u8> {
    let mut buf = vec![0; 70_000];
    let (len, _) = socket.recv_from(&mut buf).expect("a datagram");
    buf.truncate(len);
    buf
}

fn echoes() {
    on_call(|wsi, _, reason| {
        if let Reason::RawRx(data) = reason {
            wsi.write(data).expect("it has a sender");
        }
        Verdict::Continue
    });
}

#[test]
fn each_datagram_goes_back_to_its_own_sender() {
    echoes();
    let (mut turned, id, address) = served();
    assert_eq!(count("WsiCreate"), 0, "nothing from inside");
    let senders: Vec<UdpSocket> = (0..5).map(|_| bound().0).collect();
    turned.during(move || {
        for round in 0..50_u8 {
            for (number, sender) in senders.iter().enumerate() {
                sender.send_to(&[round, number as u8], address).expect("send");
            }
            for (number, sender) in senders.iter().enumerate() {
                assert_eq!(receive(sender), [round, number as u8]);
            }
        }
    });
    turned.cx().close_later(id);
    turned.until("it is gone", || count("WsiDestroy") == 1);
    let life = ["WsiCreate", "RawSktBindProtocol", "RawAdopt", "RawRx", "RawClose", "RawSktDropProtocol", "WsiDestroy"];
    assert_eq!(order(id), life);
    assert_eq!((datagrams(id).len(), turned.wsi_count()), (250, 0));
    UdpSocket::bind(address).expect("its port is free again");
}

#[test]
fn the_sender_of_each_datagram_is_the_peer() {
    let (mut turned, id, address) = served();
    assert_eq!(turned.cx().wsi(id).map(|wsi| wsi.peer().clone()), Some(Peer::None));
    for _ in 0..3 {
        let (sender, from) = bound();
        let before = count("RawRx");
        sender.send_to(b"it is me", address).expect("send");
        turned.until("it comes", || count("RawRx") > before);
        assert_eq!(turned.cx().wsi(id).map(|wsi| wsi.peer().clone()), Some(Peer::Udp(from)));
    }
}

#[test]
fn an_empty_datagram_and_the_longest_arrive_whole_both_ways() {
    echoes();
    let (mut turned, id, address) = served();
    let longest = random_bytes(1, limits::DATAGRAM);
    let sent = [vec![], vec![1], longest.clone(), vec![], vec![2]];
    turned.during({
        let sent = sent.clone();
        move || {
            let (sender, _) = bound();
            for data in &sent {
                sender.send_to(data, address).expect("send");
                assert_same_bytes(&receive(&sender), data);
            }
        }
    });
    assert_eq!(datagrams(id), sent);
    assert_eq!(limits::DATAGRAM, 65_507);
}

#[test]
fn what_is_too_long_is_refused_and_the_rest_goes_out() {
    let (receiver, to) = bound();
    on_call(move |wsi, _, reason| {
        if let Reason::RawAdopt = reason {
            let long = vec![0; limits::DATAGRAM + 1];
            assert_eq!(wsi.write_to(&long, to), Err(WriteError::TooLong { len: long.len() }));
            assert_eq!(wsi.write_to(b"short", to), Ok(()));
        }
        Verdict::Continue
    });
    let (mut turned, ..) = served();
    turned.turns();
    assert_eq!(receive(&receiver), b"short");
}

#[test]
fn a_write_before_any_datagram_has_nobody_to_go_to() {
    on_call(|wsi, _, reason| {
        if let Reason::RawAdopt = reason {
            assert_eq!(wsi.write(b"anybody?"), Err(WriteError::NoPeer));
        }
        Verdict::Continue
    });
    let (mut turned, id, _) = served();
    turned.turns();
    assert_eq!(order(id), ["WsiCreate", "RawSktBindProtocol", "RawAdopt"]);
}

#[test]
fn write_to_is_for_datagrams_alone() {
    let refused = Rc::new(Cell::new(false));
    on_call({
        let refused = refused.clone();
        move |wsi, _, reason| {
            if let Reason::RawAdopt = reason {
                let to = "127.0.0.1:9".parse().expect("an address");
                let error = wsi.write_to(b"x", to).expect_err("it is a stream");
                refused.set(matches!(error, WriteError::WrongRole { role: "raw-skt" }));
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(home());
    let (_ours, theirs) = std::os::unix::net::UnixStream::pair().expect("socketpair");
    let info = AdoptInfo::new(turned.vhost, NAME);
    turned.cx().adopt_unix(theirs, info).expect("adopt_unix");
    turned.turns();
    assert!(refused.get());
}

#[test]
fn a_full_queue_says_how_much_it_would_have_taken() {
    let (_receiver, to) = bound();
    on_call(move |wsi, _, reason| {
        if let Reason::RawAdopt = reason {
            let room = loop {
                match wsi.write_to(&[0; 60_000], to) {
                    Ok(()) => {}
                    Err(WriteError::Full { room }) => break room,
                    Err(other) => panic!("{other}"),
                }
            };
            assert!(room < 60_000, "{room}");
            assert_eq!(wsi.write_to(&vec![0; room], to), Ok(()), "room for {room} bytes");
        }
        Verdict::Continue
    });
    let (mut turned, id, _) = served();
    turned.turns();
    assert_eq!(count_of(id, "RawAdopt"), 1);
}

#[test]
fn a_connected_socket_whose_peer_is_not_there_stays_and_reaches_it_later() {
    let (peer, to) = bound();
    let (socket, address) = bound();
    socket.connect(to).expect("connect");
    drop(peer);
    on_call(|wsi, _, reason| {
        if let Reason::User(_) = reason {
            wsi.write(b"are you there?").expect("it is connected");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let id = adopt(&mut turned, socket);
    assert_eq!(turned.cx().wsi(id).map(|wsi| wsi.peer().clone()), Some(Peer::Udp(to)));
    let vhost = turned.vhost;
    turned.turns();
    for round in 0..5 {
        turned.cx().callback_all_protocol(vhost, NAME, round);
        turned.turns();
    }
    assert_eq!((count("User"), count("RawClose")), (5, 0));
    let peer = UdpSocket::bind(to).expect("its port is free");
    peer.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    turned.cx().callback_all_protocol(vhost, NAME, 9);
    turned.turns();
    assert_eq!(receive(&peer), b"are you there?");
    peer.send_to(b"now I am", address).expect("send");
    turned.until("the answer", || received_len(id) > 0);
}

#[test]
fn an_answer_of_the_network_to_one_datagram_does_not_cost_another_one() {
    let (gone, nowhere) = bound();
    let (receiver, to) = bound();
    let (socket, _) = bound();
    socket.connect(nowhere).expect("connect");
    drop(gone);
    on_call(move |wsi, _, reason| {
        if let Reason::RawAdopt = reason {
            // Both are sent in one go: the first is refused, and the system says so at the second.
            wsi.write(b"to nobody").expect("it is connected");
            wsi.write_to(b"to somebody", to).expect("there is room");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    adopt(&mut turned, socket);
    turned.turns();
    receiver.set_read_timeout(Some(Duration::from_secs(2))).expect("SO_RCVTIMEO");
    assert_eq!(receive(&receiver), b"to somebody");
}

#[test]
fn ipv4_goes_through_a_dual_stack_socket() {
    echoes();
    let socket = Socket::new(Domain::IPV6, Type::DGRAM, None).expect("socket");
    socket.set_only_v6(false).expect("IPV6_V6ONLY");
    socket.bind(&SocketAddr::from(([0_u16; 8], 0)).into()).expect("bind");
    let socket = UdpSocket::from(socket);
    let port = socket.local_addr().expect("bound").port();
    let mut turned = Loop::new(home());
    let id = adopt(&mut turned, socket);
    for host in ["127.0.0.1", "::1"] {
        let host: IpAddr = host.parse().expect("an address");
        let sender = UdpSocket::bind((host, 0)).expect("bind");
        let from = sender.local_addr().expect("bound");
        turned.during(move || {
            sender.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
            sender.send_to(b"over", (host, port)).expect("send");
            assert_eq!(receive(&sender), b"over");
        });
        assert_eq!(turned.cx().wsi(id).map(|wsi| wsi.peer().clone()), Some(Peer::Udp(from)));
    }
}

#[test]
fn what_comes_while_it_rests_waits() {
    let (mut turned, id, address) = served();
    turned.turns();
    turned.cx().rx_flow_control(id, false);
    turned.turns();
    let (sender, _) = bound();
    for n in 0..20 {
        sender.send_to(&[n], address).expect("send");
    }
    turned.turns();
    assert_eq!(count("RawRx"), 0);
    turned.cx().rx_flow_control(id, true);
    turned.until("all of it comes", || count("RawRx") == 20);
    assert_eq!(datagrams(id).concat(), (0..20).collect::<Vec<u8>>());
}

#[test]
fn a_flood_of_datagrams_starves_no_other_connection() {
    on_call(|wsi, _, reason| {
        if let (Reason::RawRx(data), Peer::Tcp(_)) = (reason, wsi.peer().clone()) {
            wsi.write(data).expect("there is room");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(script::listening());
    let (socket, address) = bound();
    let id = adopt(&mut turned, socket);
    let port = turned.port();
    let over = Arc::new(AtomicBool::new(false));
    let flood = std::thread::spawn({
        let over = over.clone();
        move || {
            let (sender, _) = bound();
            while !over.load(Ordering::SeqCst) {
                let _full = sender.send_to(&[0; 1400], address);
            }
        }
    });
    turned.during(move || {
        let mut client = connect(port);
        for round in 0..200 {
            send(&mut client, &[round]);
            assert_eq!(read_exactly(&mut client, 1), [round]);
        }
    });
    over.store(true, Ordering::SeqCst);
    flood.join().expect("it floods");
    assert!(received_len(id) > 0);
}

#[test]
fn what_is_queued_is_sent_before_it_closes() {
    let (receiver, to) = bound();
    on_call(move |wsi, _, reason| match reason {
        Reason::RawAdopt => {
            for n in 0..50 {
                wsi.write_to(&[n; 100], to).expect("there is room");
            }
            Verdict::Close
        }
        _ => Verdict::Continue,
    });
    let (mut turned, id, _) = served();
    turned.until("it is gone", || count_of(id, "WsiDestroy") == 1);
    for n in 0..50 {
        assert_eq!(receive(&receiver), [n; 100]);
    }
}

#[test]
fn a_datagram_to_an_impossible_address_harms_nobody() {
    let (receiver, to) = bound();
    on_call(move |wsi, _, reason| {
        if let Reason::RawAdopt = reason {
            for address in ["[::1]:9", "255.255.255.255:9", "127.0.0.1:0", "240.0.0.1:9"] {
                wsi.write_to(b"lost", address.parse().expect("an address")).expect("there is room");
            }
            wsi.write_to(b"found", to).expect("there is room");
        }
        Verdict::Continue
    });
    let (mut turned, id, _) = served();
    turned.turns();
    assert_eq!(receive(&receiver), b"found");
    assert_eq!(count_of(id, "RawClose"), 0);
}

#[test]
fn a_timer_and_a_writeable_callback_come_for_datagrams_too() {
    let (receiver, to) = bound();
    on_call(move |wsi, cx, reason| {
        match reason {
            Reason::RawAdopt => wsi.set_timer(cx, Duration::from_millis(5)),
            Reason::Timer => wsi.callback_on_writable(),
            Reason::RawWriteable => {
                wsi.write_to(b"now", to).expect("there is room");
                return Verdict::Close;
            }
            _ => {}
        }
        Verdict::Continue
    });
    let (mut turned, id, _) = served();
    turned.until("it is gone", || count_of(id, "WsiDestroy") == 1);
    assert_eq!(receive(&receiver), b"now");
}
