//! Role raw-udp: a socket that nobody hangs up on, so only we end it.

use std::net::{Ipv4Addr, UdpSocket};

use rlws::AdoptInfo;

use super::Scenario;
use super::stage::*;
use super::util::DEADLINE;

/// A running stage whose first vhost has adopted a UDP socket, and a peer that is connected to it.
fn adopted(stage: Stage) -> (Play, UdpSocket) {
    let socket = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("bind");
    let (ours, theirs, play) = (socket(), socket(), stage.start());
    ours.connect(theirs.local_addr().expect("an address")).expect("connect");
    ours.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    let info = AdoptInfo::new(play.vhost(0), BOUND);
    play.ask(move |context| context.cx().adopt_udp(theirs, info).expect("adopt_udp"));
    (play, ours)
}

pub const ROWS: &[Scenario] = &[
    ("a datagram comes and is answered, then `close_later`", || {
        let act = doing(|wsi, _| wsi.write(b"answer").expect("there is room"));
        let (play, peer) = adopted(Stage::of(home()).on("RawRx", act));
        peer.send(b"hello").expect("send");
        assert_eq!(peer.recv(&mut [0; 100]).expect("recv"), 6);
        play.close_later(0);
        play.end(peer).each()
    }),
    ("an empty datagram comes, then `close_later`", || {
        let (play, peer) = adopted(Stage::of(home()));
        peer.send(b"").expect("send");
        play.hears("RawRx");
        play.close_later(0);
        play.end(peer).each()
    }),
    ("`callback_on_writable`, `Timer` and `User`, then `close_later`", || {
        let act = doing(|wsi, cx| {
            wsi.callback_on_writable();
            wsi.set_timer(cx, SOON);
        });
        let (play, peer) = adopted(Stage::of(home()).on("RawAdopt", act));
        play.hears("RawWriteable");
        play.later(2 * SOON);
        play.hears("Timer");
        let vhost = play.vhost(0);
        play.ask(move |context| context.cx().callback_all_protocol(vhost, BOUND, 7));
        play.hears("User");
        play.close_later(0);
        play.end(peer).each()
    }),
    ("nobody takes what is sent, then `close_later`", || {
        let nobody = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|gone| gone.local_addr()).expect("bind");
        let act = doing(move |wsi, _| wsi.write_to(b"hello", nobody).expect("there is room"));
        let (play, peer) = adopted(Stage::of(home()).on("RawAdopt", act));
        play.hears("RawAdopt");
        play.turn();
        play.close_later(0);
        play.end(peer).each()
    }),
    ("`WsiCreate` returns `Close`", || {
        let (play, peer) = adopted(Stage::of(home()).on("WsiCreate", close));
        play.end(peer).each()
    }),
    ("the bind reason returns `Close`", || {
        let (play, peer) = adopted(Stage::of(home()).on("RawSktBindProtocol", close));
        play.end(peer).each()
    }),
    ("`RawAdopt` returns `Close`", || {
        let (play, peer) = adopted(Stage::of(home()).on("RawAdopt", close));
        play.end(peer).each()
    }),
    ("`RawRx` returns `Close`", || {
        let (play, peer) = adopted(Stage::of(home()).on("RawRx", close));
        peer.send(b"hello").expect("send");
        play.end(peer).each()
    }),
    ("`set_timeout` passes", || {
        let (play, peer) = adopted(Stage::of(home()).on("RawAdopt", doing(|wsi, cx| wsi.set_timeout(cx, SOON))));
        play.hears("RawAdopt");
        play.later(2 * SOON);
        play.end(peer).each()
    }),
    ("its vhost is destroyed", || {
        let (play, peer) = adopted(Stage::of(home()));
        play.hears("RawAdopt");
        play.destroy_vhost(0);
        play.end(peer).each()
    }),
];
