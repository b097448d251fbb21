//! Connections that are told to receive nothing for a while, by themselves and by others.

mod util;

use std::cell::Cell;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rlws::{AdoptInfo, Reason, Verdict, VhostReason, WsiId};
use socket2::{Domain, Socket, Type};
use util::script::{
    Loop, NAME, count, count_of, home, listening, on_call, on_vhost, order, received, received_len, who,
};
use util::*;

/// Writes until nothing more is taken; how much was.
fn fill(stream: &TcpStream, bytes: &[u8]) -> usize {
    stream.set_nonblocking(true).expect("O_NONBLOCK");
    let mut taken = 0;
    loop {
        match (&mut &*stream).write(&bytes[taken..]) {
            Ok(0) => break,
            Ok(more) => taken += more,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
    }
    taken
}

/// A client that can have little on its way.
fn small_client(port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
    socket.set_send_buffer_size(16 * 1024).expect("SO_SNDBUF");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("connect");
    with_deadline(socket.into())
}

/// Rests from its adoption on.
fn rests_at_once() {
    on_call(|wsi, _, reason| {
        match reason {
            Reason::RawAdopt => wsi.rx_flow_control(false),
            Reason::User(n) => wsi.rx_flow_control(n == 1),
            _ => {}
        }
        Verdict::Continue
    });
}

#[test]
fn the_clients_writes_block_while_the_server_rests_and_all_arrives_later() {
    for by_another in [false, true] {
        rests_at_once();
        let mut turned = Loop::new(listening());
        let client = small_client(turned.port());
        turned.until("it is adopted", || count("RawAdopt") == 1);
        let (id, vhost) = (who("RawAdopt")[0], turned.vhost);
        let bytes = random_bytes(1, 32 * 1024 * 1024);
        let mut taken = 0;
        settled(|| {
            taken += fill(&client, &bytes[taken..]);
            turned.turn();
            taken
        });
        assert!(taken > 0 && taken < bytes.len(), "{taken} bytes were taken");
        assert_eq!(received_len(id), 0);
        // It rests without being awake.
        let begun = Instant::now();
        turned.context.service(Some(Duration::from_millis(20))).expect("service");
        assert!(begun.elapsed() >= Duration::from_millis(20), "the loop is awake for nothing");
        match by_another {
            true => turned.cx().rx_flow_control(id, true),
            false => turned.cx().callback_all_protocol(vhost, NAME, 1),
        }
        turned.until("it all comes", || received_len(id) == taken);
        assert_same_bytes(&received(id), &bytes[..taken]);
        client.set_nonblocking(false).expect("O_NONBLOCK");
        send(&mut &client, b"and more");
        turned.until("the rest comes", || received_len(id) == taken + 8);
    }
}

#[test]
fn stopping_and_going_on_at_every_chunk_loses_and_repeats_nothing() {
    on_call(|wsi, cx, reason| {
        match reason {
            Reason::RawRx(_) => {
                wsi.rx_flow_control(false);
                // In turn its own timer and another's request let it go on.
                match count("RawRx") % 2 {
                    0 => wsi.set_timer(cx, Duration::ZERO),
                    _ => cx.callback_all_protocol(wsi.vhost(), "extra", 1),
                }
            }
            Reason::Timer => wsi.rx_flow_control(true),
            Reason::User(_) => {
                let other = *wsi.opaque_user_data::<WsiId>().expect("it knows whom");
                cx.rx_flow_control(other, true);
            }
            _ => {}
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(listening());
    let client = connect(turned.port());
    turned.until("it is adopted", || count("RawAdopt") == 1);
    let id = who("RawAdopt")[0];
    let (_ours, theirs) = UnixStream::pair().expect("socketpair");
    let info = AdoptInfo::new(turned.vhost, "extra");
    let helper = turned.cx().adopt_unix(theirs, info).expect("adopt_unix");
    turned.cx().set_opaque_user_data(helper, Rc::new(id));
    turned.turns();
    let bytes = random_bytes(2, 5_000_000);
    turned.during({
        let bytes = bytes.clone();
        move || send(&mut { client }, &bytes)
    });
    turned.until("it is gone", || count_of(id, "WsiDestroy") == 1);
    assert_same_bytes(&received(id), &bytes);
}

#[test]
fn nothing_more_comes_once_it_rests_and_writing_goes_on() {
    on_call(|wsi, _, reason| {
        match reason {
            Reason::RawRx(_) => {
                wsi.rx_flow_control(false);
                wsi.callback_on_writable();
            }
            Reason::RawWriteable => wsi.write(b"resting").expect("there is room"),
            _ => {}
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(listening());
    let client = connect(turned.port());
    send(&mut &client, b"first");
    turned.until("it comes", || count("RawRx") == 1);
    send(&mut &client, b"second");
    turned.turns();
    assert_eq!(received(who("RawRx")[0]), b"first");
    assert_eq!(turned.during(move || read_exactly(&mut &client, 7)), b"resting");
}

#[test]
fn what_a_peer_said_before_it_went_comes_after_the_rest() {
    rests_at_once();
    let mut turned = Loop::new(listening());
    let mut client = connect(turned.port());
    turned.until("it is adopted", || count("RawAdopt") == 1);
    let id = who("RawAdopt")[0];
    send(&mut client, b"goodbye");
    drop(client);
    turned.turns();
    turned.context.service(Some(Duration::from_millis(20))).expect("service");
    assert_eq!((count("RawRx"), count("RawClose")), (0, 0), "it rests");
    turned.cx().rx_flow_control(id, true);
    turned.until("it is gone", || count_of(id, "WsiDestroy") == 1);
    assert_eq!(received(id), b"goodbye");
}

#[test]
fn a_peer_that_resets_while_it_rests_is_noticed() {
    rests_at_once();
    let mut turned = Loop::new(listening());
    let mut client = connect(turned.port());
    turned.until("it is adopted", || count("RawAdopt") == 1);
    let id = who("RawAdopt")[0];
    send(&mut client, b"never heard");
    turned.turns();
    reset(client);
    turned.until("it is gone", || count_of(id, "WsiDestroy") == 1);
    assert_eq!(received_len(id), 0);
}

#[test]
fn one_that_rests_can_be_closed_in_every_way() {
    for how in ["close_later", "timeout", "vhost", "verdict"] {
        on_call(|wsi, _, reason| match reason {
            Reason::RawAdopt => {
                wsi.rx_flow_control(false);
                Verdict::Continue
            }
            Reason::User(_) => Verdict::Close,
            _ => Verdict::Continue,
        });
        let mut turned = Loop::new(listening());
        let client = connect(turned.port());
        turned.until("it is adopted", || count("RawAdopt") == 1);
        let (id, vhost) = (who("RawAdopt")[0], turned.vhost);
        send(&mut &client, b"unread");
        turned.turns();
        match how {
            "close_later" => turned.cx().close_later(id),
            "timeout" => turned.cx().set_timeout(id, Duration::ZERO),
            "vhost" => turned.cx().destroy_vhost_later(vhost),
            _ => turned.cx().callback_all_protocol(vhost, NAME, 1),
        }
        turned.until(how, || count_of(id, "RawSktDropProtocol") == 1);
        let (_, end) = turned.during(move || read_until_closed(&mut &client));
        // A timeout asks nobody, and what was unread resets the connection.
        assert_eq!(end == End::Eof, how != "timeout", "{how}");
        turned.until(how, || count_of(id, "WsiDestroy") == 1);
        assert_eq!(received_len(id), 0, "{how}");
    }
}

#[test]
fn a_client_connection_rests_from_its_creation_on() {
    on_vhost(|_, _, reason| {
        if let VhostReason::WsiCreate(wsi) = reason {
            wsi.rx_flow_control(false);
        }
        Verdict::Continue
    });
    let onward = Onward::source(b"early words".to_vec());
    let mut turned = Loop::new(home());
    let id = turned.connects_to(&onward.target());
    turned.until("it is up", || count_of(id, "RawConnected") == 1);
    let seen = onward.connection(0);
    eventually("they are sent", || seen.sent() == 11);
    turned.turns();
    assert_eq!(order(id).last().map(String::as_str), Some("RawConnected"));
    turned.cx().rx_flow_control(id, true);
    turned.until("it is gone", || count_of(id, "WsiDestroy") == 1);
    assert_eq!(received(id), b"early words");
}

#[test]
fn flow_control_of_one_leaves_the_others_alone() {
    let rests: Rc<Cell<Option<WsiId>>> = Rc::default();
    on_call({
        let rests = rests.clone();
        move |wsi, cx, reason| {
            if let Reason::RawRx(data) = reason {
                assert_ne!(rests.get(), Some(wsi.id()));
                match data {
                    b"stop" => {
                        let other = *wsi.opaque_user_data::<WsiId>().expect("it knows whom");
                        cx.rx_flow_control(other, false);
                        rests.set(Some(other));
                    }
                    _ => wsi.write(data).expect("there is room"),
                }
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(listening());
    let clients: Vec<TcpStream> = (0..3).map(|_| connect(turned.port())).collect();
    turned.until("all are adopted", || count("RawAdopt") == 3);
    let ids = who("RawAdopt");
    turned.cx().set_opaque_user_data(ids[0], Rc::new(ids[1]));
    send(&mut &clients[0], b"stop");
    turned.until("it is stopped", || rests.get().is_some());
    for client in &clients {
        send(&mut &*client, b"echo?");
    }
    turned.until("the others are served", || count("RawRx") == 3);
    for client in [&clients[0], &clients[2]] {
        assert_eq!(read_exactly(&mut &*client, 5), b"echo?");
    }
    clients[1].set_nonblocking(true).expect("O_NONBLOCK");
    let nothing = (&mut &clients[1]).read(&mut [0]).expect_err("nothing comes");
    assert_eq!(nothing.kind(), ErrorKind::WouldBlock);
}

#[test]
fn what_is_asked_for_between_turns_is_done_before_anything_else() {
    for how in ["rest", "close"] {
        on_call(|_, _, _| Verdict::Continue);
        let mut turned = Loop::new(home());
        let (mut ours, theirs) = UnixStream::pair().expect("socketpair");
        let info = AdoptInfo::new(turned.vhost, NAME);
        let id = turned.cx().adopt_unix(theirs, info).expect("adopt_unix");
        turned.turns();
        send(&mut ours, b"too late");
        match how {
            "rest" => turned.cx().rx_flow_control(id, false),
            _ => turned.cx().close_later(id),
        }
        turned.turns();
        assert_eq!(count("RawRx"), 0, "{how}");
    }
}
