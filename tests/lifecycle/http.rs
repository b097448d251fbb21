//! Roles http and http-redirect, where a protocol is bound for one transaction.

use std::net::TcpStream;

use rlws::{Mount, Options, Response, VhostInfo};

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

/// What an act says at the end of a body, or in its time.
fn answers() -> impl FnMut(&mut Hand<'_>) -> rlws::Verdict + Send + 'static {
    doing(|wsi, _| wsi.return_http_status(200, Some("later")))
}

/// Begins a response and asks for more.
fn begins() -> impl FnMut(&mut Hand<'_>) -> rlws::Verdict + Send + 'static {
    doing(|wsi, _| {
        wsi.respond(Response::new(200)).expect("a response");
        wsi.callback_on_writable();
    })
}

fn awaits() -> impl FnMut(&mut Hand<'_>) -> rlws::Verdict + Send + 'static {
    doing(|wsi, _| wsi.answer_later())
}

const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";

/// A peer that has sent these bytes.
fn sends(play: &Play, bytes: &[u8]) -> TcpStream {
    let mut peer = play.connect();
    send(&mut peer, bytes);
    peer
}

/// What begins before anything can be said of its answer.
fn get(play: &Play) -> TcpStream {
    sends(play, request("GET", "default", "/").as_bytes())
}

pub const TRANSACTIONS: &[Scenario] = &[
    ("a body comes, and is answered at its end", || {
        let play = Stage::of(plain()).silent().on("HttpBodyCompletion", answers()).start();
        let mut peer = sends(&play, &[POST, b"hello"].concat());
        assert_eq!(read_response(&mut peer).text(), "later");
        play.end(peer).each()
    }),
    ("`Http` answers before the body has come", || {
        let play = Stage::of(plain()).start();
        let mut peer = sends(&play, &[POST, b"hello"].concat());
        assert_eq!(read_response(&mut peer).status, 200);
        play.end(peer).each()
    }),
    ("`Http` begins a response, which `HttpWriteable` completes", || {
        let ends = doing(|wsi, _| wsi.transaction_completed());
        let play = Stage::of(plain()).silent().on("Http", begins()).on("HttpWriteable", ends).start();
        let mut peer = get(&play);
        read_head(&mut peer);
        play.hears("HttpDropProtocol");
        play.end(peer).each()
    }),
    ("`Http` sets a timer, and `Timer` answers", || {
        let sets = doing(|wsi, cx| wsi.set_timer(cx, SOON));
        let play = Stage::of(plain()).silent().on("Http", sets).on("Timer", answers()).start();
        let mut peer = get(&play);
        play.hears("Http");
        play.later(2 * SOON);
        assert_eq!(read_response(&mut peer).text(), "later");
        play.end(peer).each()
    }),
    ("`Http` serves a file", || {
        let site = Site::new();
        let path = site.root().join("index.html");
        let act = doing(move |wsi, _| wsi.serve_http_file(path.clone(), None));
        let play = Stage::of(plain()).silent().on("Http", act).start();
        let mut peer = get(&play);
        assert_eq!(read_response(&mut peer).status, 200);
        play.end(peer).each()
    }),
    ("`close_later` in the middle of a file that `Http` serves", || {
        let site = Site::new();
        site.write("big.bin", &vec![b'x'; 20_000_000]);
        let path = site.root().join("big.bin");
        let act = doing(move |wsi, _| wsi.serve_http_file(path.clone(), None));
        let play = Stage::of(plain()).silent().on("Http", act).start();
        let mut peer = get(&play);
        read_head(&mut peer);
        play.close_later(0);
        play.hears("HttpDropProtocol");
        play.end(peer).each()
    }),
    ("a file of a mount that names the protocol", || {
        let site = Site::new();
        let mounts = vec![Mount::files("/", site.root()).protocol(BOUND)];
        let play = Stage::of(VhostInfo { mounts, ..plain() }).start();
        let mut peer = get(&play);
        assert_eq!(read_response(&mut peer).status, 200);
        play.end(peer).each()
    }),
    ("`Http` neither answers nor asks for anything", || {
        let play = Stage::of(plain()).silent().start();
        let mut peer = get(&play);
        assert_eq!(read_response(&mut peer).status, 404);
        play.end(peer).each()
    }),
    ("an upgrade is asked for", || {
        let play = Stage::of(plain()).start();
        let mut peer = sends(&play, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        assert_eq!(read_response(&mut peer).status, 200);
        play.end(peer).each()
    }),
    ("`HttpConfirmUpgrade` returns `Close`", || {
        let play = Stage::of(plain()).on("HttpConfirmUpgrade", close).start();
        let mut peer = sends(&play, b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        assert!(read_until_closed(&mut peer).0.starts_with(b"HTTP/1.1 403 "));
        play.end(peer).each()
    }),
    ("`HttpBindProtocol` returns `Close`", || {
        let play = Stage::of(plain()).on("HttpBindProtocol", close).start();
        let mut peer = get(&play);
        assert!(read_until_closed(&mut peer).0.starts_with(b"HTTP/1.1 403 "));
        play.end(peer).each()
    }),
    ("`FilterHttpConnection` returns `Close`", || {
        let play = Stage::of(plain()).on("FilterHttpConnection", close).start();
        let mut peer = get(&play);
        assert!(read_until_closed(&mut peer).0.starts_with(b"HTTP/1.1 403 "));
        play.end(peer).each()
    }),
    ("`FilterHttpConnection` answers", || {
        let play = Stage::of(plain()).on("FilterHttpConnection", answers()).start();
        let mut peer = get(&play);
        assert_eq!(read_response(&mut peer).text(), "later");
        play.end(peer).each()
    }),
    ("`HttpWriteable` returns `Close` in the middle of a response", || {
        let play = Stage::of(plain()).silent().on("Http", begins()).on("HttpWriteable", close).start();
        let mut peer = get(&play);
        read_until_closed(&mut peer);
        play.end(peer).each()
    }),
    ("the peer leaves before it is answered, and the time for half-closed ones is over", || {
        let play = Stage::of(plain()).silent().on("Http", awaits()).start();
        let peer = get(&play);
        play.hears("Http");
        drop(peer);
        play.later(LONG);
        play.later(LONG * 2);
        play.end(()).each()
    }),
    ("the peer resets before it is answered", || {
        let play = Stage::of(plain()).silent().on("Http", awaits()).start();
        let peer = get(&play);
        play.hears("Http");
        reset(peer);
        play.end(()).each()
    }),
    ("the peer leaves in the middle of its body", || {
        let play = Stage::of(plain()).silent().start();
        let peer = sends(&play, &[POST, b"he"].concat());
        play.hears("HttpBody");
        play.end(peer).each()
    }),
    ("a body stops until the timeout", || {
        let play = Stage::of(plain()).silent().start();
        let mut peer = sends(&play, &[POST, b"he"].concat());
        play.hears("HttpBody");
        play.later(LONG);
        assert!(read_until_closed(&mut peer).0.starts_with(b"HTTP/1.1 408 "));
        play.end(peer).each()
    }),
    ("a body that is none", || {
        let play = Stage::of(plain()).silent().start();
        let mut peer = sends(&play, b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nhello");
        assert!(read_until_closed(&mut peer).0.starts_with(b"HTTP/1.1 400 "));
        play.end(peer).each()
    }),
    ("`set_timeout` from `Http` passes", || {
        let act = doing(|wsi, cx| wsi.set_timeout(cx, SOON));
        let play = Stage::of(plain()).silent().on("Http", act).start();
        let peer = get(&play);
        play.hears("Http");
        play.later(2 * SOON);
        play.end(peer).each()
    }),
    ("`close_later` before it is answered", || {
        let play = Stage::of(plain()).silent().on("Http", awaits()).start();
        let peer = get(&play);
        play.hears("Http");
        play.close_later(0);
        play.hears("HttpDropProtocol");
        play.end(peer).each()
    }),
    ("its vhost is destroyed before it is answered", || {
        let play = Stage::of(plain()).silent().on("Http", awaits()).start();
        let peer = get(&play);
        play.hears("Http");
        play.destroy_vhost(0);
        play.hears("HttpDropProtocol");
        play.end(peer).each()
    }),
    ("the context ends before it is answered", || {
        let play = Stage::of(plain()).silent().on("Http", awaits()).start();
        let peer = get(&play);
        play.hears("Http");
        let heard = play.end_at_once();
        drop(peer);
        heard.each()
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
