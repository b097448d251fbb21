//! Bugs that were, in what sockets, datagrams and files say when they fail, end or are handed over.

mod util;

use std::cell::{Cell, RefCell};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpListener, TcpStream, UdpSocket};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use rlws::{AdoptInfo, CloseReason, Context, ContextInfo, Reason, Target, Verdict, VhostInfo, WsiId};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use socket2::{Domain, Socket, Type};
use util::script::*;
use util::tls::{Ending, read_until_the_end, trusting};
use util::*;

/// The errno of a connection that was lost.
fn errno(reason: Option<&CloseReason>) -> Option<i32> {
    match reason {
        Some(CloseReason::Lost(error)) => error.raw_os_error(),
        _ => None,
    }
}

// -- writes that fail

/// What becomes of a descriptor that is written whenever it can be: the error that it closes with, and the writes that were taken.
#[track_caller]
fn end_of_writing(file: File, paused: bool) -> (Option<i32>, usize) {
    let mut turned = Loop::new(home());
    let (end, taken) = (Rc::new(Cell::new(None)), Rc::new(Cell::new(0)));
    let (why, writes) = (end.clone(), taken.clone());
    on_call(move |wsi, _, reason| {
        match reason {
            Reason::RawAdoptFile => {
                wsi.rx_flow_control(!paused);
                wsi.callback_on_writable();
            }
            Reason::RawWriteableFile => {
                wsi.write(&[7; 1000]).expect("everything before is written");
                writes.set(writes.get() + 1);
                wsi.callback_on_writable();
            }
            Reason::RawCloseFile => why.set(errno(wsi.close_reason())),
            _ => {}
        }
        Verdict::Continue
    });
    let id = turned.adopts_file(file);
    for _ in 0..100 {
        turned.turn();
    }
    assert_eq!(count_of(id, "WsiDestroy"), 1, "{} writes were taken, and it is still there", taken.get());
    (end.get(), taken.get())
}

#[test]
fn a_full_disk_is_told_as_such_to_who_reads_and_to_who_does_not() {
    for paused in [false, true] {
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let (end, taken) = end_of_writing(full, paused);
        assert_eq!(end, Some(Errno::NOSPC.raw_os_error()), "paused: {paused}");
        assert!(taken < 5, "paused: {paused}; {taken} writes were taken");
    }
}

#[test]
fn a_file_that_may_not_grow_is_told_as_such() {
    // Sealed, so that it is of the size that it is.
    let file = rustix::fs::memfd_create("sealed", rustix::fs::MemfdFlags::ALLOW_SEALING).expect("memfd_create");
    rustix::fs::fcntl_add_seals(&file, rustix::fs::SealFlags::GROW).expect("F_ADD_SEALS");
    for paused in [false, true] {
        let file = File::from(file.try_clone().expect("dup"));
        assert_eq!(end_of_writing(file, paused).0, Some(Errno::PERM.raw_os_error()), "paused: {paused}");
    }
}

// -- ends that are said, and those that are not

#[test]
fn what_cannot_be_half_closed_says_so_and_can_still_be_written() {
    let mut turned = Loop::new(home());
    let refused = Rc::new(Cell::new(0));
    let heard = refused.clone();
    on_call(move |wsi, _, reason| {
        if let Reason::RawAdoptFile | Reason::RawAdopt = reason {
            wsi.shutdown_write().expect_err("it has no end but its close");
            wsi.write(b"still").expect("it was not ended");
            heard.set(heard.get() + 1);
        }
        Verdict::Continue
    });
    let (reader, writer) = std::io::pipe().expect("a pipe");
    turned.adopts_file(writer);
    let mut reader = File::from(std::os::fd::OwnedFd::from(reader));
    assert_eq!(turned.during(move || read_exactly(&mut reader, 5)), b"still");

    let (ours, theirs) = udp_pair();
    let info = AdoptInfo::new(turned.vhost, NAME);
    turned.cx().adopt_udp(theirs, info).expect("adopt_udp");
    turned.turns();
    let mut buf = [0; 10];
    assert_eq!(ours.recv(&mut buf).map(|len| buf[..len].to_vec()).expect("a datagram"), b"still");
    assert_eq!(refused.get(), 2);
}

#[test]
fn after_a_timeout_nothing_is_taken_that_will_not_be_sent_and_tls_vouches_for_the_rest() {
    for over_tls in [false, true] {
        let tls = over_tls.then(|| certs::localhost().tls_info());
        let mut turned = Loop::new(VhostInfo { name: "localhost".into(), tls, ..listening() });
        let taken = Rc::new(RefCell::new(Vec::new()));
        let writes = taken.clone();
        on_call(move |wsi, cx, reason| {
            let bytes = match reason {
                Reason::RawAdopt => &b"hello "[..],
                Reason::RawClose => b"and goodbye",
                _ => return Verdict::Continue,
            };
            wsi.set_timeout(cx, Duration::from_millis(50));
            if wsi.write(bytes).is_ok() {
                writes.borrow_mut().extend_from_slice(bytes);
            }
            Verdict::Continue
        });
        let port = turned.port();
        let got = turned.during(move || match over_tls {
            true => {
                let (got, ending) = read_until_the_end(&mut trusting().connect(port, "localhost"));
                assert_eq!(ending, Ending::Orderly);
                got
            }
            false => read_to_end(&mut connect(port)),
        });
        assert_eq!(got, *taken.borrow(), "TLS: {over_tls}");
        assert_eq!(got, b"hello ", "TLS: {over_tls}");
    }
}

#[test]
fn tls_vouches_for_no_end_behind_what_a_timeout_threw_away() {
    let tls = Some(certs::localhost().tls_info());
    let mut turned = Loop::new(VhostInfo { name: "localhost".into(), tls, ..listening() });
    on_call(|wsi, cx, reason| {
        if let Reason::RawAdopt = reason {
            wsi.set_timeout(cx, Duration::from_millis(300));
            wsi.callback_on_writable();
        }
        if let Reason::RawWriteable = reason {
            wsi.write(&random_bytes(5, 500_000)).expect("everything before is sent");
            wsi.callback_on_writable();
        }
        Verdict::Continue
    });
    let port = turned.port();
    let slow = turned.during(move || trusting().connect(port, "localhost"));
    turned.until("the timeout", || count("RawSktDropProtocol") == 1);
    let (_, ending) = turned.during(move || {
        let mut slow = slow;
        read_until_the_end(&mut slow)
    });
    assert_ne!(ending, Ending::Orderly);
}

// -- datagrams

/// Two sockets that are connected to each other.
fn udp_pair() -> (UdpSocket, UdpSocket) {
    let [ours, theirs] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").expect("a free port"));
    ours.connect(theirs.local_addr().expect("bound")).expect("connect");
    theirs.connect(ours.local_addr().expect("bound")).expect("connect");
    ours.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    (ours, theirs)
}

#[test]
fn what_the_network_answers_to_datagrams_ends_no_socket() {
    // Only root may make up such answers; without that there is nothing to see.
    let Ok(network) = Socket::new(Domain::IPV4, Type::RAW, Some(socket2::Protocol::ICMPV4)) else {
        return eprintln!("not root: left out");
    };
    let mut turned = Loop::new(home());
    let (ours, theirs) = udp_pair();
    let (from, to) = (v4(theirs.local_addr()), v4(ours.local_addr()));
    let info = AdoptInfo::new(turned.vhost, NAME);
    let id = turned.cx().adopt_udp(theirs, info).expect("adopt_udp");
    turned.turns();
    // Unreachable: network, host, protocol, port, too long for the path, .., by rule; too many hops; a wrong header.
    let kinds = (0..16).map(|code| (3, code)).chain([(11, 0), (12, 0)]);
    for (number, (kind, code)) in kinds.enumerate() {
        network.send_to(&icmp(kind, code, from, to), &SocketAddr::from(([127, 0, 0, 1], 0)).into()).expect("send");
        turned.turns();
        ours.send(b"still there?").expect("send");
        turned.until(&format!("a datagram after {kind}/{code}"), || count_of(id, "RawRx") == number + 1);
    }
    assert_eq!(count_of(id, "RawClose"), 0);
}

#[track_caller]
fn v4(address: std::io::Result<SocketAddr>) -> SocketAddrV4 {
    match address {
        Ok(SocketAddr::V4(address)) => address,
        other => panic!("{other:?}"),
    }
}

/// What a router says of a datagram that was sent (RFC 792): its headers come back.
fn icmp(kind: u8, code: u8, from: SocketAddrV4, to: SocketAddrV4) -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 36, 0, 0, 0x40, 0, 64, 17, 0, 0];
    ip.extend(from.ip().octets());
    ip.extend(to.ip().octets());
    let sum = checksum(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let next_hop_mtu = 1300_u32;
    let mut message = [&[kind, code, 0, 0][..], &next_hop_mtu.to_be_bytes(), &ip].concat();
    message.extend([from.port().to_be_bytes(), to.port().to_be_bytes(), [0, 16], [0, 0]].concat());
    message.extend([0; 8]);
    let sum = checksum(&message);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    message
}

fn checksum(bytes: &[u8]) -> u16 {
    let sum: u32 = bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    !((sum & 0xffff) + (sum >> 16)) as u16
}

#[test]
fn a_hundred_datagrams_that_wait_take_a_few_turns() {
    let mut turned = Loop::new(home());
    let (ours, theirs) = udp_pair();
    let info = AdoptInfo::new(turned.vhost, NAME);
    turned.cx().adopt_udp(theirs, info).expect("adopt_udp");
    turned.turns();
    (0..100).for_each(|_| assert_eq!(ours.send(b"hello").expect("send"), 5));
    turned.turns();
    assert_eq!(count("RawRx"), 100);
}

// -- descriptors of others

#[test]
fn a_descriptor_blocks_again_when_it_is_ours_no_more() {
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let copy = reader.try_clone().expect("dup");
    let nonblocking = || fcntl_getfl(&copy).expect("F_GETFL").contains(OFlags::NONBLOCK);
    let mut turned = Loop::new(home());
    let id = turned.adopts_file(reader.try_clone().expect("dup"));
    turned.turns();
    assert!(nonblocking(), "while it is ours");
    turned.cx().close_later(id);
    turned.gone(id);
    assert!(!nonblocking(), "after its connection");

    turned.adopts_file(reader);
    turned.turns();
    drop(turned);
    assert!(!nonblocking(), "after its context");
}

#[test]
fn a_refused_adoption_leaves_the_descriptor_as_it_was() {
    let mut context = Context::new(ContextInfo::default()).expect("a context");
    let vhost = context.create_vhost(home()).expect("a vhost");
    let wrong = AdoptInfo::new(vhost, "nobody");
    let (reader, _writer) = std::io::pipe().expect("a pipe");
    let (_ours, unix) = UnixStream::pair().expect("socketpair");
    let (_ours, udp) = udp_pair();
    let tcp = TcpListener::bind("127.0.0.1:0").expect("bind");
    let tcp = TcpStream::connect(tcp.local_addr().expect("bound")).expect("connect");
    let copies = [
        std::os::fd::OwnedFd::from(reader.try_clone().expect("dup")),
        unix.try_clone().expect("dup").into(),
        udp.try_clone().expect("dup").into(),
        tcp.try_clone().expect("dup").into(),
        tcp.try_clone().expect("dup").into(),
    ];
    let cx = context.cx();
    cx.adopt_accepted(tcp.try_clone().expect("dup"), vhost, b"").expect_err("it does not listen");
    cx.adopt_file(reader, wrong.clone()).expect_err("no such protocol");
    cx.adopt_unix(unix, wrong.clone()).expect_err("no such protocol");
    cx.adopt_udp(udp, wrong.clone()).expect_err("no such protocol");
    cx.adopt_tcp(tcp, wrong).expect_err("no such protocol");
    for copy in copies {
        assert!(!fcntl_getfl(&copy).expect("F_GETFL").contains(OFlags::NONBLOCK));
    }
}

// -- a relay that rests

/// A connection in role raw-proxy that rests from the start, with bytes that were read before; its peer, and what it is relayed to.
#[track_caller]
fn resting(turned: &mut Loop) -> (WsiId, TcpStream, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    let address = listener.local_addr().expect("bound").to_string();
    let onward: Target = format!("ipv4:{address}").parse().expect("a target");
    on_call(move |wsi, _, reason| {
        if let Reason::RawProxySrvAdopt = reason {
            wsi.rx_flow_control(false);
            wsi.connect_onward(onward.clone());
        }
        Verdict::Continue
    });
    let peer = connect_to(&address);
    let (theirs, _) = listener.accept().expect("accept");
    let info = AdoptInfo::new(turned.vhost, NAME).role("raw-proxy").readbuf(b"early, ".to_vec());
    let id = turned.cx().adopt_tcp(theirs, info).expect("adopt_tcp");
    turned.until("the pair", || count("RawProxyCliAdopt") == 1);
    let (onward, _) = listener.accept().expect("accept");
    (id, peer, with_deadline(onward))
}

#[test]
fn a_relay_that_rests_passes_nothing_on_until_it_goes_on() {
    let mut turned = Loop::new(home());
    let (id, mut peer, mut onward) = resting(&mut turned);
    send(&mut peer, b"late");
    turned.turns();
    onward.set_nonblocking(true).expect("FIONBIO");
    let nothing = onward.read(&mut [0; 10]).expect_err("it rests");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
    onward.set_nonblocking(false).expect("FIONBIO");
    turned.cx().rx_flow_control(id, true);
    assert_eq!(turned.during(move || read_exactly(&mut onward, 11)), b"early, late");
}

#[test]
fn a_relay_whose_client_resets_while_it_rests_is_given_up() {
    let mut turned = Loop::new(home());
    let (id, peer, onward) = resting(&mut turned);
    reset(peer);
    turned.gone(id);
    drop(onward);
    turned.until_it("both halves are gone", |turned| turned.wsi_count() == 0);
}
