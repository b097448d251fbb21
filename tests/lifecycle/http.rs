//! Roles http and http-redirect, where a protocol is bound for the length of one question.

use rlws::{Mount, Options, VhostInfo};

use super::Scenario;
use super::stage::*;
use super::util::http::{ask, read_head, read_response, request};
use super::util::tls::trusting;
use super::util::{Site, half_close, read_until_closed, reset, send};

fn plain() -> VhostInfo {
    listening(Options::empty())
}

fn redirecting() -> VhostInfo {
    tls_listening(Options::REDIRECT_HTTP_TO_HTTPS)
}

pub const HTTP: &[Scenario] = &[
    ("a request for a protocol, then the peer leaves", || {
        let play = Stage::of(plain()).start();
        let mut peer = play.connect();
        ask(&mut peer, "default", "/");
        play.end(peer).each()
    }),
    ("two requests on one connection", || {
        let play = Stage::of(plain()).start();
        let mut peer = play.connect();
        ask(&mut peer, "default", "/");
        ask(&mut peer, "default", "/");
        play.end(peer).each()
    }),
    ("a request for a file", || {
        let site = Site::new();
        let play = Stage::of(VhostInfo { mounts: vec![Mount::files("/", site.root())], ..plain() }).start();
        let mut peer = play.connect();
        assert_eq!(ask(&mut peer, "default", "/").status, 200);
        play.end(peer).each()
    }),
    ("a request, and the peer's end behind it", || {
        let play = Stage::of(plain()).start();
        let mut peer = play.connect();
        send(&mut peer, request("GET", "default", "/").as_bytes());
        half_close(&peer);
        read_response(&mut peer);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("the request's `Host` names another vhost", || {
        let other = VhostInfo { name: "other.test".into(), ..plain() };
        let play = Stage::of(plain()).and(other).start();
        let (first, other) = (play.vhost(0), play.vhost(1));
        let mut peer = play.connect();
        ask(&mut peer, "other.test", "/");
        let heard = play.end(peer);
        assert_eq!(heard.vhosts_of("Http"), [other].into());
        for name in ["FilterNetworkConnection", "WsiCreate", "ServerNewClientInstantiated", "WsiDestroy"] {
            assert_eq!(heard.vhosts_of(name), [first].into(), "{name}");
        }
        heard.each()
    }),
    ("`Http` returns `Close`", || {
        let play = Stage::of(plain()).on("Http", close).start();
        let mut peer = play.connect();
        ask(&mut peer, "default", "/");
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("`Http` sets a timer and a timeout, which go with it; then the peer leaves", || {
        let act = doing(|wsi, cx| {
            wsi.set_timer(cx, SOON);
            wsi.set_timeout(cx, SOON);
        });
        let play = Stage::of(plain()).on("Http", act).start();
        let mut peer = play.connect();
        ask(&mut peer, "default", "/");
        play.later(2 * SOON);
        ask(&mut peer, "default", "/");
        play.end(peer).each()
    }),
    ("what is no request", || {
        let play = Stage::of(plain()).start();
        let mut peer = play.connect();
        send(&mut peer, b"GET / HTTP/1.1\r\nno header\r\n\r\n");
        assert!(read_until_closed(&mut peer).0.starts_with(b"HTTP/1.1 400 "));
        play.end(peer).each()
    }),
    ("the peer leaves in the middle of a request", || {
        let play = Stage::of(plain()).start();
        let mut peer = play.connect();
        send(&mut peer, b"GET / HTTP/1.1\r\n");
        play.hears("ServerNewClientInstantiated");
        play.turn();
        play.end(peer).each()
    }),
    ("the peer resets between two requests", || {
        let play = Stage::of(plain()).start();
        let mut peer = play.connect();
        ask(&mut peer, "default", "/");
        reset(peer);
        play.end(()).each()
    }),
    ("a request stops in its head until the timeout", || {
        let play = Stage::of(plain()).start();
        let mut peer = play.connect();
        send(&mut peer, b"GET / HTTP/1.1\r\n");
        play.hears("ServerNewClientInstantiated");
        play.later(LONG);
        assert!(read_until_closed(&mut peer).0.starts_with(b"HTTP/1.1 408 "));
        play.end(peer).each()
    }),
    ("no second request comes until `keepalive_timeout`", || {
        let play = Stage::of(plain()).start();
        let mut peer = play.connect();
        ask(&mut peer, "default", "/");
        play.later(LONG);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("the peer does not read its response", || {
        let act = doing(|wsi, _| wsi.return_http_status(200, Some(&"x".repeat(32 * 1024 * 1024))));
        let play = Stage::of(plain()).on("Http", act).start();
        let mut peer = play.connect();
        send(&mut peer, request("GET", "default", "/").as_bytes());
        read_head(&mut peer);
        play.later(LONG);
        play.hears("WsiDestroy");
        play.end(peer).each()
    }),
    ("`close_later` between two requests", || {
        let play = Stage::of(plain()).start();
        let mut peer = play.connect();
        ask(&mut peer, "default", "/");
        play.close_later(0);
        play.end(peer).each()
    }),
    ("its vhost is destroyed between two requests", || {
        let play = Stage::of(plain()).start();
        let mut peer = play.connect();
        ask(&mut peer, "default", "/");
        play.destroy_vhost(0);
        play.end(peer).each()
    }),
    ("`Http` asks for `destroy_vhost_later`", || {
        let play = Stage::of(plain()).on("Http", doing(|wsi, cx| cx.destroy_vhost_later(wsi.vhost()))).start();
        let mut peer = play.connect();
        ask(&mut peer, "default", "/");
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
];

pub const REDIRECT: &[Scenario] = &[
    ("a request without TLS is sent to https", || {
        let play = Stage::of(redirecting()).start();
        let mut peer = play.connect();
        assert_eq!(ask(&mut peer, "localhost", "/").status, 301);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("a request over TLS", || {
        let play = Stage::of(redirecting()).start();
        let mut peer = trusting().connect(play.port(), "localhost");
        send(&mut peer, request("GET", "localhost", "/").as_bytes());
        assert_eq!(read_response(&mut peer).status, 200);
        play.end(peer).each()
    }),
    ("the peer leaves in the middle of a request", || {
        let play = Stage::of(redirecting()).start();
        let mut peer = play.connect();
        send(&mut peer, b"GET / HTTP/1.1\r\n");
        play.hears("ServerNewClientInstantiated");
        play.turn();
        play.end(peer).each()
    }),
    ("a request stops in its head until the timeout", || {
        let play = Stage::of(redirecting()).start();
        let mut peer = play.connect();
        send(&mut peer, b"GET / HTTP/1.1\r\n");
        play.hears("ServerNewClientInstantiated");
        play.later(LONG);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("`close_later` in the middle of a request", || {
        let play = Stage::of(redirecting()).start();
        let mut peer = play.connect();
        send(&mut peer, b"GET / HTTP/1.1\r\n");
        play.hears("ServerNewClientInstantiated");
        play.turn();
        play.close_later(0);
        play.end(peer).each()
    }),
];
