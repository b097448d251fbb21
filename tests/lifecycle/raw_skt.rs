//! Role raw-skt, for connections that came to us: accepted with APPLY, or adopted; and half-close.

use std::net::TcpListener;
use std::os::unix::net::UnixStream;

use rlws::{AdoptInfo, Cx, Verdict, VhostInfo, Wsi};

use super::Scenario;
use super::stage::*;
use super::util::tls::{self, trusting};
use super::util::{Onward, connect_to, eventually, half_close, read_exactly, read_until_closed, reset, send};

/// An accepted connection that closes itself because of a reason, which the peer brings about.
fn closes_on(reason: &'static str, before: impl FnOnce(Stage) -> Stage) -> Stage {
    before(Stage::of(listening(APPLY))).on(reason, close)
}

pub const ACCEPTED: &[Scenario] = &[
    ("bytes come, then the peer leaves", || {
        let play = Stage::of(listening(APPLY)).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        play.hears("RawRx");
        play.end(peer).each()
    }),
    ("the peer ends its side, and still hears the answer", || {
        let act = doing(|wsi, _| wsi.write(b"answer").expect("there is room"));
        let play = Stage::of(listening(APPLY)).on("RawRx", act).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        half_close(&peer);
        assert_eq!(read_until_closed(&mut peer).0, b"answer");
        play.end(peer).each()
    }),
    ("`RawRx` calls `shutdown_write`; the peer goes on, then leaves", || {
        let act = doing(|wsi, _| wsi.shutdown_write().expect("a raw role"));
        let play = Stage::of(listening(APPLY)).once("RawRx", act).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        assert_eq!(read_until_closed(&mut peer).0, b"");
        send(&mut peer, b"and more");
        play.hears_times("RawRx", 2);
        play.end(peer).each()
    }),
    ("`callback_on_writable`, then the peer leaves", || {
        let play = Stage::of(listening(APPLY)).on("RawAdopt", doing(|wsi, _| wsi.callback_on_writable())).start();
        let peer = play.connect();
        play.hears("RawWriteable");
        play.end(peer).each()
    }),
    ("`set_timer`, and again from `Timer`; then the peer leaves", || {
        let stage = Stage::of(listening(APPLY))
            .on("RawAdopt", doing(|wsi, cx| wsi.set_timer(cx, SOON)))
            .once("Timer", doing(|wsi, cx| wsi.set_timer(cx, SOON)));
        let play = stage.start();
        let peer = play.connect();
        play.hears("RawAdopt");
        play.later(2 * SOON);
        play.hears("Timer");
        play.later(4 * SOON);
        play.hears_times("Timer", 2);
        play.later(8 * SOON);
        play.end(peer).each()
    }),
    ("`callback_all_protocol`, then the peer leaves", || {
        let play = Stage::of(listening(APPLY)).start();
        let peer = play.connect();
        play.hears("RawAdopt");
        let vhost = play.vhost(0);
        play.ask(move |context| context.cx().callback_all_protocol(vhost, BOUND, 7));
        play.hears("User");
        play.end(peer).each()
    }),
    ("`ask_peer_name`, then the peer leaves", || {
        let play = Stage::of(listening(APPLY)).on("RawAdopt", doing(|wsi, cx| wsi.ask_peer_name(cx))).start();
        let peer = play.connect();
        play.hears("PeerName");
        play.end(peer).each()
    }),
    ("`rx_flow_control` keeps bytes and end back for a while", || {
        let play = Stage::of(listening(APPLY)).on("RawAdopt", doing(|wsi, _| wsi.rx_flow_control(false))).start();
        let mut peer = play.connect();
        play.hears("RawAdopt");
        send(&mut peer, b"hello");
        drop(peer);
        play.turn();
        let id = play.id(0);
        play.ask(move |context| context.cx().rx_flow_control(id, true));
        play.end(()).each()
    }),
    ("the peer leaves before a byte", || {
        let play = Stage::of(listening(APPLY)).start();
        let peer = play.connect();
        play.hears("RawAdopt");
        play.end(peer).each()
    }),
    ("the peer resets after some bytes", || {
        let play = Stage::of(listening(APPLY)).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        play.hears("RawRx");
        reset(peer);
        play.end(()).each()
    }),
    ("the peer resets while nothing is read (`rx_flow_control`)", || {
        let play = Stage::of(listening(APPLY)).on("RawAdopt", doing(|wsi, _| wsi.rx_flow_control(false))).start();
        let peer = play.connect();
        play.hears("RawAdopt");
        reset(peer);
        play.end(()).each()
    }),
    ("the bind reason returns `Close`", || {
        let play = closes_on("RawSktBindProtocol", |stage| stage).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("`RawAdopt` returns `Close`", || {
        let play = closes_on("RawAdopt", |stage| stage).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("`RawRx` returns `Close`", || {
        let play = closes_on("RawRx", |stage| stage).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("`RawWriteable` returns `Close`", || {
        let asks = |stage: Stage| stage.on("RawAdopt", doing(|wsi, _| wsi.callback_on_writable()));
        let play = closes_on("RawWriteable", asks).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("`Timer` returns `Close`", || {
        let play = closes_on("Timer", |stage| stage.on("RawAdopt", doing(|wsi, cx| wsi.set_timer(cx, SOON)))).start();
        let mut peer = play.connect();
        play.hears("RawAdopt");
        play.later(2 * SOON);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("`User` returns `Close`", || {
        let tells =
            |stage: Stage| stage.on("RawAdopt", doing(|wsi, cx| cx.callback_all_protocol(wsi.vhost(), BOUND, 7)));
        let play = closes_on("User", tells).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("`PeerName` returns `Close`", || {
        let asks = |stage: Stage| stage.on("RawAdopt", doing(|wsi, cx| wsi.ask_peer_name(cx)));
        let play = closes_on("PeerName", asks).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("the peer leaves; `RawClose` and the drop reason return `Close`", || {
        let play = closes_on("RawClose", |stage| stage.on("RawSktDropProtocol", close)).start();
        let peer = play.connect();
        play.hears("RawAdopt");
        play.end(peer).each()
    }),
    ("`set_timeout` passes", || {
        let play = Stage::of(listening(APPLY)).on("RawAdopt", doing(|wsi, cx| wsi.set_timeout(cx, SOON))).start();
        let peer = play.connect();
        play.hears("RawAdopt");
        play.later(2 * SOON);
        play.end(peer).each()
    }),
    ("`set_timeout` and `set_timer` pass in the same moment", || {
        let act = doing(|wsi, cx| {
            wsi.set_timer(cx, SOON);
            wsi.set_timeout(cx, SOON);
        });
        let play = Stage::of(listening(APPLY)).on("RawAdopt", act).start();
        let peer = play.connect();
        play.hears("RawAdopt");
        play.later(2 * SOON);
        play.end(peer).each()
    }),
    ("`close_later`", || {
        let play = Stage::of(listening(APPLY)).start();
        let peer = play.connect();
        play.hears("RawAdopt");
        play.close_later(0);
        play.end(peer).each()
    }),
    ("`RawRx` asks for `close_later` of its own connection", || {
        let play = Stage::of(listening(APPLY)).on("RawRx", doing(|wsi, cx| cx.close_later(wsi.id()))).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("the bind reason asks for `close_later` of its own connection", || {
        let act = doing(|wsi, cx| cx.close_later(wsi.id()));
        let play = Stage::of(listening(APPLY)).on("RawSktBindProtocol", act).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("`RawRx` asks for `destroy_vhost_later`", || {
        let act = doing(|wsi, cx| cx.destroy_vhost_later(wsi.vhost()));
        let play = Stage::of(listening(APPLY)).on("RawRx", act).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("its vhost is destroyed", || {
        let play = Stage::of(listening(APPLY)).start();
        let peer = play.connect();
        play.hears("RawAdopt");
        play.destroy_vhost(0);
        play.end(peer).each()
    }),
    ("the context ends", || {
        let play = Stage::of(listening(APPLY)).start();
        let _peer = play.connect();
        play.hears("RawAdopt");
        play.end_at_once().each()
    }),
];

/// Has the first vhost adopt one end of a socket pair; the other end.
fn adopt(play: &Play) -> UnixStream {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let info = AdoptInfo::new(play.vhost(0), BOUND);
    play.ask(move |context| context.cx().adopt_unix(theirs, info).expect("adopt_unix"));
    ours.set_read_timeout(Some(super::util::DEADLINE)).expect("SO_RCVTIMEO");
    ours
}

pub const ADOPTED: &[Scenario] = &[
    ("adopted: bytes come, then the peer leaves", || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let mut peer = connect_to(&listener.local_addr().expect("an address").to_string());
        let (theirs, _) = listener.accept().expect("accept");
        let play = Stage::of(home()).start();
        let info = AdoptInfo::new(play.vhost(0), BOUND);
        send(&mut peer, b"hello");
        play.ask(move |context| context.cx().adopt_tcp(theirs, info).expect("adopt_tcp"));
        play.hears("RawRx");
        play.end(peer).each()
    }),
    ("adopted with a `readbuf`: its bytes come, then the peer leaves", || {
        let (ours, theirs) = UnixStream::pair().expect("socketpair");
        let play = Stage::of(home()).start();
        let info = AdoptInfo::new(play.vhost(0), BOUND).readbuf(b"hello".to_vec());
        play.ask(move |context| context.cx().adopt_unix(theirs, info).expect("adopt_unix"));
        play.hears("RawRx");
        play.end(ours).each()
    }),
    ("adopted: a unix socket's peer has no name, then it leaves", || {
        let play = Stage::of(home()).on("RawAdopt", doing(|wsi, cx| wsi.ask_peer_name(cx))).start();
        let peer = adopt(&play);
        play.hears("PeerName");
        play.end(peer).each()
    }),
    ("adopted: `WsiCreate` returns `Close`", || {
        let play = Stage::of(home()).on("WsiCreate", close).start();
        let mut peer = adopt(&play);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("adopted: the bind reason returns `Close`", || {
        let play = Stage::of(home()).on("RawSktBindProtocol", close).start();
        let mut peer = adopt(&play);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("adopted: `RawAdopt` returns `Close`, after what it wrote", || {
        let act = with_wsi(|wsi, _| {
            wsi.write(b"bye").expect("there is room");
            Verdict::Close
        });
        let play = Stage::of(home()).on("RawAdopt", act).start();
        let mut peer = adopt(&play);
        assert_eq!(read_exactly(&mut peer, 3), b"bye");
        play.end(peer).each()
    }),
    ("adopted: `close_later` before its first turn", || {
        let play = Stage::of(home()).start();
        let (ours, theirs) = UnixStream::pair().expect("socketpair");
        let info = AdoptInfo::new(play.vhost(0), BOUND);
        play.ask(move |context| {
            let id = context.cx().adopt_unix(theirs, info).expect("adopt_unix");
            context.cx().close_later(id);
        });
        play.hears("WsiDestroy");
        play.end(ours).each()
    }),
    ("adopted: its vhost is destroyed before its first turn", || {
        let play = Stage::of(home()).start();
        let (ours, theirs) = UnixStream::pair().expect("socketpair");
        let vhost = play.vhost(0);
        play.ask(move |context| {
            context.cx().adopt_unix(theirs, AdoptInfo::new(vhost, BOUND)).expect("adopt_unix");
            context.destroy_vhost(vhost);
        });
        play.end(ours).each()
    }),
    ("adopted: begun in `init`, then the peer leaves", || {
        let (ours, theirs) = UnixStream::pair().expect("socketpair");
        let stage = Stage::of(home()).once("init", move |hand| {
            let info = AdoptInfo::new(hand.vhost, BOUND);
            hand.cx.adopt_unix(theirs, info).expect("adopt_unix");
            Verdict::Continue
        });
        let play = stage.start();
        play.hears("RawAdopt");
        play.end(ours).each()
    }),
];

/// `RawAdopt` and `RawConnected` allow it.
fn half_closing(vhost: VhostInfo) -> Stage {
    let allows = || doing(|wsi, _| wsi.allow_half_close());
    Stage::of(vhost).on("RawAdopt", allows()).on("RawConnected", allows())
}

/// Says its last word.
fn ends(wsi: &mut Wsi, _: &mut Cx) {
    wsi.write(b"answer").expect("there is room");
    wsi.shutdown_write().expect("raw-skt");
}

pub const HALF_CLOSE: &[Scenario] = &[
    ("bytes come, the peer ends its side; `RawEof` answers and calls `shutdown_write`", || {
        let play = half_closing(listening(APPLY)).on("RawEof", doing(ends)).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        half_close(&peer);
        assert_eq!(read_until_closed(&mut peer).0, b"answer");
        play.hears("WsiDestroy");
        play.end(peer).each()
    }),
    ("the same over TLS", || {
        let play = half_closing(tls_listening(APPLY)).on("RawEof", doing(ends)).start();
        let mut peer = trusting().connect(play.port(), "localhost");
        send(&mut peer, b"hello");
        tls::say_goodbye(&mut peer);
        assert_eq!(read_until_closed(&mut peer).0, b"answer");
        play.end(peer).each()
    }),
    ("the peer ends its side; `RawWriteable` answers and calls `shutdown_write`", || {
        let stage = half_closing(listening(APPLY)).on("RawEof", doing(|wsi, _| wsi.callback_on_writable()));
        let play = stage.on("RawWriteable", doing(ends)).start();
        let mut peer = play.connect();
        half_close(&peer);
        assert_eq!(read_until_closed(&mut peer).0, b"answer");
        play.hears("WsiDestroy");
        play.end(peer).each()
    }),
    ("`RawRx` answers and calls `shutdown_write`; the peer ends its side later", || {
        let play = half_closing(listening(APPLY)).on("RawRx", doing(ends)).start();
        let mut peer = play.connect();
        send(&mut peer, b"hello");
        assert_eq!(read_until_closed(&mut peer).0, b"answer");
        play.turn();
        half_close(&peer);
        play.hears("WsiDestroy");
        play.end(peer).each()
    }),
    ("our own: the server ends its side; `RawEof` answers and calls `shutdown_write`", || {
        let server = Onward::source(b"hello".to_vec());
        let play = half_closing(home()).on("RawEof", doing(ends)).start();
        play.client(&server.target());
        let heard = play.end(()).each();
        eventually("the server has read to the end", || server.connection(0).eof());
        assert_eq!(server.connection(0).bytes(), b"answer");
        heard
    }),
    ("`rx_flow_control` keeps bytes and the peer's end back; then `close_later`", || {
        let play = half_closing(listening(APPLY)).on("RawAdopt", doing(|wsi, _| wsi.rx_flow_control(false))).start();
        let mut peer = play.connect();
        play.hears("RawAdopt");
        send(&mut peer, b"hello");
        half_close(&peer);
        play.turn();
        let id = play.id(0);
        play.ask(move |context| context.cx().rx_flow_control(id, true));
        play.hears("RawEof");
        play.close_later(0);
        play.end(peer).each()
    }),
    ("the peer ends its side; `RawEof` returns `Close`", || {
        let play = half_closing(listening(APPLY)).on("RawEof", close).start();
        let mut peer = play.connect();
        half_close(&peer);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("the peer ends its side, and a timer passes that returns `Close`", || {
        let stage = half_closing(listening(APPLY)).on("RawEof", doing(|wsi, cx| wsi.set_timer(cx, SOON)));
        let play = stage.on("Timer", close).start();
        let peer = play.connect();
        half_close(&peer);
        play.hears("RawEof");
        play.later(2 * SOON);
        play.end(peer).each()
    }),
    ("the peer ends its side, and resets", || {
        let play = half_closing(listening(APPLY)).start();
        let peer = play.connect();
        half_close(&peer);
        play.hears("RawEof");
        reset(peer);
        play.end(()).each()
    }),
];
