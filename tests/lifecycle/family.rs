//! Parents and children: the parent was accepted in role raw-skt, the child is a connection of our own.

use rlws::{ConnectInfo, Target};

use super::Scenario;
use super::stage::*;
use super::util::{BlackHole, Onward, Refusing, read_until_closed, send};

/// Has the second connection of the first vhost begin as the child of the first.
fn child(play: &Play, target: &str) {
    let info = ConnectInfo::new(play.vhost(0), target.parse().expect("a target"), BOUND).parent(play.id(0));
    play.client_with(info);
}

/// A callback that begins one.
fn begets(target: &str) -> impl FnOnce(&mut Hand<'_>) -> rlws::Verdict + Send + 'static {
    let target: Target = target.parse().expect("a target");
    doing(move |wsi, cx| {
        let info = ConnectInfo::new(wsi.vhost(), target.clone(), BOUND).parent(wsi.id());
        cx.client_connect(info).expect("client_connect");
        assert!(wsi.children().is_empty(), "it is listed after the callback");
    })
}

pub const ROWS: &[Scenario] = &[
    ("the child's peer leaves, then the parent's", || {
        let onward = Onward::serve(|_, _| ());
        let play = Stage::of(listening(APPLY)).once("RawAdopt", begets(&onward.target())).start();
        let peer = play.connect();
        play.hears("ChildClosing");
        play.end_of(2, peer).each()
    }),
    ("`close_later` of the child, then the parent's peer leaves", || {
        let (onward, play) = (Onward::echo(), Stage::of(listening(APPLY)).start());
        let peer = play.connect();
        child(&play, &onward.target());
        play.hears("RawConnected");
        play.close_later(1);
        play.hears("ChildClosing");
        play.end_of(2, peer).each()
    }),
    ("the child is refused, then the parent's peer leaves", || {
        let (refusing, play) = (Refusing::new(), Stage::of(listening(APPLY)).start());
        let peer = play.connect();
        child(&play, &refusing.target());
        play.hears("ChildClosing");
        play.end_of(2, peer).each()
    }),
    ("the child's peer leaves, and `ChildClosing` returns `Close`", || {
        let onward = Onward::serve(|_, _| ());
        let play = Stage::of(listening(APPLY)).on("ChildClosing", close).start();
        let mut peer = play.connect();
        child(&play, &onward.target());
        read_until_closed(&mut peer);
        play.end_of(2, peer).each()
    }),
    ("the parent's peer leaves", || {
        let (onward, play) = (Onward::echo(), Stage::of(listening(APPLY)).start());
        let peer = play.connect();
        child(&play, &onward.target());
        play.hears("RawConnected");
        play.end_of(2, peer).each()
    }),
    ("the parent returns `Close` from `RawRx`", || {
        let (onward, play) = (Onward::echo(), Stage::of(listening(APPLY)).on("RawRx", close).start());
        let mut peer = play.connect();
        child(&play, &onward.target());
        play.hears("RawConnected");
        send(&mut peer, b"hello");
        read_until_closed(&mut peer);
        play.end_of(2, peer).each()
    }),
    ("the parent's peer leaves while the child connects", || {
        let (hole, play) = (BlackHole::new(), Stage::of(listening(APPLY)).start());
        let peer = play.connect();
        child(&play, &hole.target());
        play.id(1);
        play.end_of(2, peer).each()
    }),
    ("the same, and the child tries again, which is answered alike", || {
        let hole = BlackHole::new();
        let target: Target = hole.target().parse().expect("a target");
        let again = doing(move |wsi, cx| {
            let parent = wsi.parent().expect("it says who it was");
            let info = ConnectInfo::new(wsi.vhost(), target.clone(), BOUND).parent(parent);
            cx.client_connect(info).expect("client_connect");
        });
        let play = Stage::of(listening(APPLY)).once("ClientConnectionError", again).start();
        let peer = play.connect();
        child(&play, &hole.target());
        play.id(1);
        let mut heard = play.end_of(3, peer).each();
        let first = heard.remove(1);
        assert_eq!(first, heard[1]);
        heard
    }),
    ("the child is begun in the parent's `RawClose`", || {
        let onward = Onward::echo();
        let play = Stage::of(listening(APPLY)).once("RawClose", begets(&onward.target())).start();
        let peer = play.connect();
        play.hears("RawAdopt");
        play.end_of(2, peer).each()
    }),
    ("their vhost is destroyed", || {
        let (onward, play) = (Onward::echo(), Stage::of(listening(APPLY)).start());
        let peer = play.connect();
        child(&play, &onward.target());
        play.hears("RawConnected");
        play.destroy_vhost(0);
        play.end_of(2, peer).each()
    }),
];
