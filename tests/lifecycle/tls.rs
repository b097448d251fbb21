//! Role tls, the server's side: before, during and after the handshake.

use std::io::Read;

use rlws::{ClientCerts, Options, VhostInfo};

use super::Scenario;
use super::stage::*;
use super::util::certs::ca;
use super::util::http::{read_response, request};
use super::util::tls::{self, trusting};
use super::util::{read_until_closed, reset, send};

const BANNER: &[u8] = b"SSH-2.0-OpenSSH_9.2p1\r\n";

/// The hello of a client.
fn hello() -> Vec<u8> {
    tls::hello(&trusting().config(), "localhost").1
}

pub const SERVER: &[Scenario] = &[
    ("APPLY: bytes come over TLS, then the peer's close_notify", || {
        let play = Stage::of(tls_listening(APPLY)).start();
        let mut peer = trusting().connect(play.port(), "localhost");
        send(&mut peer, b"hello");
        play.hears("RawRx");
        tls::say_goodbye(&mut peer);
        play.end(peer).each()
    }),
    ("the same, and the peer is cut off", || {
        let play = Stage::of(tls_listening(APPLY)).start();
        let mut peer = trusting().connect(play.port(), "localhost");
        send(&mut peer, b"hello");
        play.hears("RawRx");
        play.end(peer).each()
    }),
    ("APPLY: the name in the hello chooses another vhost", || {
        let vhost = |name: &str| VhostInfo { name: name.into(), ..tls_listening(APPLY) };
        let play = Stage::of(vhost("one.test")).and(vhost("two.test")).start();
        let (one, two) = (play.vhost(0), play.vhost(1));
        let peer = trusting().connect(play.port(), "two.test");
        play.hears("RawAdopt");
        let heard = play.end(peer);
        for name in ["FilterNetworkConnection", "WsiCreate", "ServerNewClientInstantiated", "WsiDestroy"] {
            assert_eq!(heard.vhosts_of(name), [one].into(), "{name}");
        }
        for name in ["RawSktBindProtocol", "RawAdopt", "RawClose", "RawSktDropProtocol"] {
            assert_eq!(heard.vhosts_of(name), [two].into(), "{name}");
        }
        heard.each()
    }),
    ("http comes over TLS, then the peer leaves", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let mut peer = trusting().connect(play.port(), "localhost");
        send(&mut peer, request("GET", "localhost", "/").as_bytes());
        read_response(&mut peer);
        play.end(peer).each()
    }),
    ("something else comes over TLS: it falls back, then the peer leaves", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let mut peer = trusting().connect(play.port(), "localhost");
        send(&mut peer, BANNER);
        play.hears("RawRx");
        play.end(peer).each()
    }),
    ("something else comes without TLS: it falls back, then the peer leaves", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, BANNER);
        play.hears("RawRx");
        play.end(peer).each()
    }),
    ("something else comes without TLS, and there is no fallback", || {
        let play = Stage::of(tls_listening(Options::empty())).start();
        let mut peer = play.connect();
        send(&mut peer, BANNER);
        assert_eq!(read_until_closed(&mut peer).0, b"");
        play.end(peer).each()
    }),
    ("APPLY: the peer leaves before a byte", || {
        let play = Stage::of(tls_listening(APPLY)).start();
        let peer = play.connect();
        play.hears("ServerNewClientInstantiated");
        play.end(peer).each()
    }),
    ("the peer leaves in the middle of its hello", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, &hello()[..50]);
        play.hears("ServerNewClientInstantiated");
        play.turn();
        play.end(peer).each()
    }),
    ("the peer leaves after its hello", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, &hello());
        peer.read_exact(&mut [0]).expect("the server's hello");
        play.end(peer).each()
    }),
    ("the peer resets after its hello", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, &hello());
        peer.read_exact(&mut [0]).expect("the server's hello");
        reset(peer);
        play.end(()).each()
    }),
    ("the peer breaks the handshake", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, &hello());
        peer.read_exact(&mut [0]).expect("the server's hello");
        send(&mut peer, b"\x16\x03\x03\x00\x05junk!");
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("the peer does not show the certificate that is required", || {
        let mut vhost = tls_listening(APPLY);
        vhost.tls = vhost.tls.map(|mut tls| {
            tls.client_certs = ClientCerts::Required { ca: ca().pem() };
            tls
        });
        let play = Stage::of(vhost).start();
        tls::refusal(&trusting().config(), play.port(), "localhost");
        play.end(()).each()
    }),
    ("the handshake is not done at the timeout", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, &hello());
        peer.read_exact(&mut [0]).expect("the server's hello");
        play.later(LONG);
        play.end(peer).each()
    }),
    ("the handshake is done, and nothing comes until the timeout", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let peer = trusting().connect(play.port(), "localhost");
        play.later(LONG);
        play.end(peer).each()
    }),
    ("`close_later` in the handshake", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, &hello());
        peer.read_exact(&mut [0]).expect("the server's hello");
        play.close_later(0);
        play.end(peer).each()
    }),
    ("its vhost is destroyed in the handshake", || {
        let play = Stage::of(tls_listening(FALLBACK)).start();
        let mut peer = play.connect();
        send(&mut peer, &hello());
        peer.read_exact(&mut [0]).expect("the server's hello");
        play.destroy_vhost(0);
        play.end(peer).each()
    }),
    ("`close_later` after the handshake", || {
        let play = Stage::of(tls_listening(APPLY)).start();
        let peer = trusting().connect(play.port(), "localhost");
        play.hears("RawAdopt");
        play.close_later(0);
        play.end(peer).each()
    }),
];
