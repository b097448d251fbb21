//! Roles listen and first-packet: accepted, and not yet bound to a protocol.

use std::net::TcpListener;

use rlws::{Listen, Verdict, VhostInfo};

use super::Scenario;
use super::stage::*;
use super::util::balancer::V1;
use super::util::http::request;
use super::util::{connect_to, half_close, read_until_closed, reset, send};

const BANNER: &[u8] = b"SSH-2.0-OpenSSH_9.2p1\r\n";

pub const LISTEN: &[Scenario] = &[
    ("a peer connects, and leaves", || {
        let play = Stage::of(listening(APPLY)).start();
        let peer = play.connect();
        play.hears("RawAdopt");
        play.end(peer).with_filter()
    }),
    ("the same on a unix socket", || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let play = Stage::of(VhostInfo { listen: Listen::unix(&path), ..listening(APPLY) }).start();
        let peer = std::os::unix::net::UnixStream::connect(&path).expect("connect");
        play.hears("RawAdopt");
        play.end(peer).with_filter()
    }),
    ("the first of two vhosts that share the socket is asked", || {
        let second = VhostInfo { name: "second".into(), ..listening(APPLY) };
        let play = Stage::of(listening(APPLY)).and(second).start();
        let first = play.vhost(0);
        let peer = play.connect();
        play.hears("RawAdopt");
        let heard = play.end(peer);
        for name in ["FilterNetworkConnection", "WsiCreate", "ServerNewClientInstantiated", "RawAdopt"] {
            assert_eq!(heard.vhosts_of(name), [first].into(), "{name}");
        }
        heard.with_filter()
    }),
    ("the first of them has been destroyed: the next one is asked", || {
        let second = VhostInfo { name: "second".into(), ..listening(APPLY) };
        let play = Stage::of(listening(APPLY)).and(second).start();
        let (port, second) = (play.port(), play.vhost(1));
        play.destroy_vhost(0);
        let peer = super::util::connect(port);
        play.hears("RawAdopt");
        let heard = play.end(peer);
        assert_eq!(heard.vhosts_of("FilterNetworkConnection"), [second].into());
        assert_eq!(heard.vhosts_of("WsiDestroy"), [second].into());
        heard.with_filter()
    }),
    ("`FilterNetworkConnection` returns `Close`", || {
        let play = Stage::of(listening(APPLY)).on("FilterNetworkConnection", close).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end_of(0, peer).with_filter()
    }),
    ("`WsiCreate` returns `Close`", || {
        let play = Stage::of(listening(APPLY)).on("WsiCreate", close).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end(peer).with_filter()
    }),
    ("`ServerNewClientInstantiated` returns `Close`", || {
        let play = Stage::of(listening(APPLY)).on("ServerNewClientInstantiated", close).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end(peer).with_filter()
    }),
    ("`FilterNetworkConnection` asks for `destroy_vhost_later`", || {
        let stage = Stage::of(listening(APPLY)).once("FilterNetworkConnection", |hand| {
            hand.cx.destroy_vhost_later(hand.vhost);
            Verdict::Continue
        });
        let play = stage.start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end(peer).with_filter()
    }),
    ("`adopt_accepted`, with bytes that somebody has read; then the peer leaves", || {
        let listener = TcpListener::bind("127.0.0.1:0").expect("bind");
        let peer = connect_to(&listener.local_addr().expect("an address").to_string());
        let (theirs, _) = listener.accept().expect("accept");
        let play = Stage::of(listening(APPLY)).start();
        let vhost = play.vhost(0);
        play.ask(move |context| context.cx().adopt_accepted(theirs, vhost, b"hello").expect("adopt_accepted"));
        play.hears("RawRx");
        play.end(peer).with_filter()
    }),
    ("`WsiCreate` asks for `destroy_vhost_later`", || {
        let act = doing(|wsi, cx| cx.destroy_vhost_later(wsi.vhost()));
        let play = Stage::of(listening(APPLY)).on("WsiCreate", act).start();
        let mut peer = play.connect();
        read_until_closed(&mut peer);
        play.end(peer).with_filter()
    }),
];

/// Whose peers are trusted to name their clients.
fn behind_a_balancer() -> VhostInfo {
    VhostInfo { proxy_protocol_from: vec!["127.0.0.1".parse().expect("an address")], ..listening(APPLY) }
}

pub const PROXY_HEADER: &[Scenario] = &[
    ("a header comes, and the first bytes; then the peer leaves", || {
        let play = Stage::of(behind_a_balancer()).start();
        let mut peer = play.connect();
        send(&mut peer, &[V1, BANNER].concat());
        play.hears("RawRx");
        play.end(peer).in_order()
    }),
    ("a header comes, and `FilterNetworkConnection` returns `Close`", || {
        let play = Stage::of(behind_a_balancer()).on("FilterNetworkConnection", close).start();
        let mut peer = play.connect();
        send(&mut peer, V1);
        read_until_closed(&mut peer);
        play.end(peer).in_order()
    }),
    ("something else comes", || {
        let play = Stage::of(behind_a_balancer()).start();
        let mut peer = play.connect();
        send(&mut peer, BANNER);
        read_until_closed(&mut peer);
        play.end(peer).in_order()
    }),
    ("the peer leaves within its header", || {
        let play = Stage::of(behind_a_balancer()).start();
        let mut peer = play.connect();
        send(&mut peer, &V1[..9]);
        half_close(&peer);
        read_until_closed(&mut peer);
        play.end(peer).in_order()
    }),
];

pub const FIRST_PACKET: &[Scenario] = &[
    ("http comes, then the peer leaves", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, request("GET", "default", "/").as_bytes());
        play.hears("Http");
        play.end(peer).each()
    }),
    ("something else comes: it falls back, then the peer leaves", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, BANNER);
        play.hears("RawRx");
        play.end(peer).each()
    }),
    ("the start of http comes, then the peer's end: it falls back", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, b"GE");
        play.turn();
        half_close(&peer);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("silence until `fallback_silence`: it falls back, then the peer speaks and leaves", || {
        let vhost = VhostInfo { fallback_silence: Some(SOON), ..listening(FALLBACK) };
        let play = Stage::of(vhost).start();
        let mut peer = play.connect();
        play.hears("ServerNewClientInstantiated");
        play.later(2 * SOON);
        play.hears("RawAdopt");
        send(&mut peer, b"at last");
        play.hears("RawRx");
        play.end(peer).each()
    }),
    ("it falls back, and the bind reason returns `Close`", || {
        let play = Stage::of(listening(FALLBACK)).on("RawSktBindProtocol", close).start();
        let mut peer = play.connect();
        send(&mut peer, BANNER);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("it falls back, and `RawAdopt` returns `Close`", || {
        let play = Stage::of(listening(FALLBACK)).on("RawAdopt", close).start();
        let mut peer = play.connect();
        send(&mut peer, BANNER);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("something else comes, and there is no fallback", || {
        let play = Stage::of(listening(rlws::Options::empty())).start();
        let mut peer = play.connect();
        send(&mut peer, BANNER);
        assert!(read_until_closed(&mut peer).0.starts_with(b"HTTP/1.1 400 "));
        play.end(peer).each()
    }),
    ("the peer leaves before a byte", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let peer = play.connect();
        play.hears("ServerNewClientInstantiated");
        play.end(peer).each()
    }),
    ("the peer resets before a byte", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let peer = play.connect();
        play.hears("ServerNewClientInstantiated");
        reset(peer);
        play.end(()).each()
    }),
    ("the peer resets after the start of http", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, b"GE");
        play.hears("ServerNewClientInstantiated");
        play.turn();
        reset(peer);
        play.end(()).each()
    }),
    ("nothing comes until the timeout", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let peer = play.connect();
        play.hears("ServerNewClientInstantiated");
        play.later(LONG);
        play.end(peer).each()
    }),
    ("the start of http comes, and nothing more until the timeout", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, b"GE");
        play.hears("ServerNewClientInstantiated");
        play.later(LONG);
        play.end(peer).each()
    }),
    ("`set_timeout` from `WsiCreate` passes", || {
        let play = Stage::of(listening(FALLBACK)).on("WsiCreate", doing(|wsi, cx| wsi.set_timeout(cx, SOON))).start();
        let peer = play.connect();
        play.hears("ServerNewClientInstantiated");
        play.later(2 * SOON);
        play.end(peer).each()
    }),
    ("`set_timer` from `WsiCreate` passes, and nobody is bound; then the peer leaves", || {
        let play = Stage::of(listening(FALLBACK)).on("WsiCreate", doing(|wsi, cx| wsi.set_timer(cx, SOON))).start();
        let peer = play.connect();
        play.hears("ServerNewClientInstantiated");
        play.later(2 * SOON);
        play.end(peer).each()
    }),
    ("`close_later`", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let peer = play.connect();
        play.hears("ServerNewClientInstantiated");
        play.close_later(0);
        play.end(peer).each()
    }),
    ("its vhost is destroyed", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let peer = play.connect();
        play.hears("ServerNewClientInstantiated");
        play.destroy_vhost(0);
        play.end(peer).each()
    }),
    ("the context ends", || {
        let play = Stage::of(listening(FALLBACK)).start();
        let _peer = play.connect();
        play.hears("ServerNewClientInstantiated");
        play.end_at_once().each()
    }),
];
