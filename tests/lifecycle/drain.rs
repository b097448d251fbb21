//! Role drain: what is heard of a connection that is on its way out, which is nothing but its end.

use std::io::Read;
use std::os::unix::net::UnixStream;

use rlws::{AdoptInfo, limits};

use super::Scenario;
use super::stage::*;
use super::util::{DEADLINE, read_until_closed, send};

/// A connection that was closed with more bytes queued than its socket takes.
fn full(stage: Stage) -> (Play, UnixStream) {
    let act = doing(|wsi, _| wsi.write(&[7; limits::TX]).expect("there is room"));
    let play = stage.on("RawAdopt", act).start();
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    ours.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    let info = AdoptInfo::new(play.vhost(0), BOUND);
    play.ask(move |context| context.cx().adopt_unix(theirs, info).expect("adopt_unix"));
    play.hears("RawAdopt");
    play.close_later(0);
    play.hears("RawSktDropProtocol");
    (play, ours)
}

pub const ROWS: &[Scenario] = &[
    ("bytes are queued; the peer reads them, and leaves", || {
        let (play, mut peer) = full(Stage::of(home()));
        let mut bytes = Vec::new();
        peer.read_to_end(&mut bytes).expect("read");
        assert_eq!(bytes.len(), limits::TX);
        play.end(peer).each()
    }),
    ("bytes are queued, and the peer leaves without reading them", || {
        let (play, peer) = full(Stage::of(home()));
        play.end(peer).each()
    }),
    ("bytes are queued, and the peer does not read them in time", || {
        let (play, peer) = full(Stage::of(home()));
        play.later(2 * limits::DRAIN_TIME);
        play.hears("WsiDestroy");
        play.end(peer).each()
    }),
    ("nothing is queued, and the peer does not hang up in time", || {
        let play = Stage::of(listening(APPLY)).on("RawRx", close).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        read_until_closed(&mut peer);
        play.later(2 * limits::DRAIN_TIME);
        play.hears("WsiDestroy");
        play.end(peer).each()
    }),
    ("the peer goes on sending, and leaves", || {
        let play = Stage::of(listening(APPLY)).on("RawRx", close).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        play.hears("RawSktDropProtocol");
        send(&mut peer, b"are you there?");
        play.turn();
        play.end(peer).each()
    }),
    ("`close_later` and `callback_on_writable` of it, then the peer leaves", || {
        let (play, peer) = full(Stage::of(home()));
        let id = play.id(0);
        play.ask(move |context| {
            context.cx().callback_on_writable(id);
            context.cx().close_later(id);
        });
        play.turn();
        play.end(peer).each()
    }),
    ("`RawClose` sets a timer and a timeout and asks to write, all for nothing; then the peer leaves", || {
        let act = doing(|wsi, cx| {
            wsi.set_timer(cx, SOON);
            wsi.set_timeout(cx, SOON);
            wsi.callback_on_writable();
        });
        let (play, peer) = full(Stage::of(home()).on("RawClose", act));
        play.later(2 * SOON);
        play.end(peer).each()
    }),
    ("`callback_all_protocol`, which does not reach it; then the peer leaves", || {
        let (play, peer) = full(Stage::of(home()));
        let vhost = play.vhost(0);
        play.ask(move |context| context.cx().callback_all_protocol(vhost, BOUND, 7));
        play.turn();
        play.end(peer).each()
    }),
    ("its vhost is destroyed, then the peer leaves", || {
        let (play, peer) = full(Stage::of(home()));
        play.destroy_vhost(0);
        play.end(peer).each()
    }),
    ("the context ends", || {
        let (play, _peer) = full(Stage::of(home()));
        play.end_at_once().each()
    }),
];
