//! What the first packet of a plain listener leads to, however it arrives.

mod util;

use std::time::Duration;

use rlws::protocols::{HttpDummy, RawEcho, RawProxy};
use rlws::{ContextInfo, Listen, Mount, Options, ProtocolTable, Pvo, VhostInfo};
use util::*;

const BANNER: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";
/// The start of a TLS 1.3 ClientHello.
const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and then some";
/// Longer than any wait of a test that passes.
const NEVER: Duration = Duration::from_secs(600);

fn patient(timeout: Duration) -> ContextInfo {
    ContextInfo { timeout, ..Default::default() }
}

/// http with one page; anything else goes to `protocol` in `role`.
fn vhost(role: &str, protocol: &str) -> VhostInfo {
    VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawEcho>(), Recorder::<0>::table()],
        mounts: vec![Mount::callback("/page", "recorder")],
        options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_role: Some(role.into()),
        listen_accept_protocol: Some(protocol.into()),
        ..Default::default()
    }
}

fn echoing() -> VhostInfo {
    vhost("raw-skt", "raw-echo")
}

fn recording() -> VhostInfo {
    vhost("raw-skt", "recorder")
}

/// A relay to `onward` as the fallback.
fn proxying(onward: &Onward) -> impl FnOnce() -> VhostInfo + Send + 'static {
    let target = onward.target();
    move || {
        let mut info = vhost("raw-proxy", "raw-proxy");
        info.protocols.push(ProtocolTable::of::<RawProxy>());
        info.pvo = options("raw-proxy", &[("onward", &target)]);
        info
    }
}

#[test]
fn an_ssh_banner_is_echoed_whole_wherever_it_was_cut() {
    let server = Server::with_vhost(echoing);
    for cut in 1..BANNER.len() {
        let mut client = connect(server.made);
        for part in [&BANNER[..cut], &BANNER[cut..]] {
            send(&mut client, part);
            assert_eq!(read_exactly(&mut client, part.len()), part, "cut at {cut}");
        }
        half_close(&client);
        assert_eq!(read_to_end(&mut client), b"", "cut at {cut}");
    }
    server.assert_nothing_left();
}

#[test]
fn an_ssh_banner_is_echoed_byte_by_byte() {
    let server = Server::with_vhost(echoing);
    let mut client = connect(server.made);
    for byte in BANNER {
        send(&mut client, &[*byte]);
        assert_eq!(read_exactly(&mut client, 1), [*byte]);
    }
    half_close(&client);
    assert_eq!(read_to_end(&mut client), b"");
    server.assert_nothing_left_beside(1);
}

#[test]
fn what_could_still_become_http_or_tls_reaches_the_fallback_whole_wherever_it_was_cut() {
    for first in [b"GETAWAY car\n".as_slice(), b"OPTIONSX", b"CONNECT\tx", b"\x16\x03\x01\x00\x00\x02", b"PRI *", HELLO]
    {
        for cut in 1..first.len() {
            let server = Server::with_vhost(recording);
            let mut client = connect(server.made);
            send(&mut client, &first[..cut]);
            server.turn();
            send(&mut client, &first[cut..]);
            half_close(&client);
            read_to_end(&mut client);
            let events = server.events();
            assert_eq!(recorder::bytes(&events, What::Rx), first, "cut at {cut}");
            assert_eq!(recorder::count(&events, What::Adopt), 1, "cut at {cut}");
        }
    }
}

#[test]
fn a_first_packet_that_came_byte_by_byte_reaches_a_relay_whole() {
    let onward = Onward::recorder();
    let server = Server::with_vhost(proxying(&onward));
    let first = b"CONNECTION\x00\x01\x02 of another kind";
    let mut client = connect(server.made);
    for byte in first {
        send(&mut client, &[*byte]);
        server.turn();
    }
    half_close(&client);
    assert_eq!(read_to_end(&mut client), b"");
    assert_eq!(onward.connection(0).bytes(), first);
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_long_first_burst_is_neither_lost_nor_doubled() {
    let onward = Onward::echo();
    let server = Server::with_vhost(proxying(&onward));
    let mut bytes = BANNER.to_vec();
    bytes.extend(random_bytes(1, 3_000_000));
    let mut client = connect(server.made);
    let mut sender = client.try_clone().expect("dup");
    let got = std::thread::scope(|scope| {
        scope.spawn(|| {
            // Odd sizes, so that the cuts fall anywhere in the reads.
            for (number, part) in bytes.chunks(7919).enumerate() {
                send(&mut sender, &part[..number.min(part.len())]);
                send(&mut sender, &part[number.min(part.len())..]);
            }
            half_close(&sender);
        });
        read_to_end(&mut client)
    });
    assert_same_bytes(&got, &bytes);
}

#[test]
fn an_http_request_is_answered_the_same_wherever_it_was_cut() {
    let server = Server::with_vhost(recording);
    let request = http::request("GET", "localhost", "/page");
    let request = request.as_bytes();
    for cut in 1..request.len() {
        let mut client = connect(server.made);
        send(&mut client, &request[..cut]);
        server.turn();
        send(&mut client, &request[cut..]);
        let response = http::read_response(&mut client);
        assert_eq!((response.status, response.text()), (200, "recorder"), "cut at {cut}");
    }
    assert_eq!(recorder::count(&server.events(), What::Http), request.len() - 1);
    server.assert_nothing_left();
}

#[test]
fn an_http_request_is_answered_byte_by_byte() {
    let server = Server::with_vhost(recording);
    let mut client = connect(server.made);
    for byte in http::request("GET", "localhost", "/page").bytes() {
        send(&mut client, &[byte]);
        server.turn();
    }
    assert_eq!(http::read_response(&mut client).text(), "recorder");
    assert_eq!(recorder::count(&server.events(), What::Http), 1);
}

#[test]
fn every_known_method_is_http_and_no_other_word_is() {
    let server = Server::with_vhost(echoing);
    for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "CONNECT", "TRACE"] {
        let mut client = connect(server.made);
        let head = format!("{method} /none HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        send(&mut client, head.as_bytes());
        let (answer, _) = read_until_closed(&mut client);
        assert!(answer.starts_with(b"HTTP/1.1 "), "{method}: {}", shown(&answer));
    }
    for word in ["BREW", "get", "GETS", "PROPFIND", " GET", "\r\nGET"] {
        let mut client = connect(server.made);
        let head = format!("{word} / HTTP/1.1\r\n\r\n");
        send(&mut client, head.as_bytes());
        assert_eq!(read_exactly(&mut client, head.len()), head.as_bytes());
    }
}

#[test]
fn the_h2_preface_is_http_and_refused_with_505() {
    let server = Server::with_vhost(echoing);
    let mut client = connect(server.made);
    send(&mut client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let (answer, _) = read_until_closed(&mut client);
    assert!(answer.starts_with(b"HTTP/1.1 505 "), "{}", shown(&answer));
}

#[test]
fn an_undecided_client_that_says_eof_is_anything_else() {
    let server = Server::with_vhost(echoing);
    for first in [b"G".as_slice(), b"GE", b"GET", b"PRI * HT", b"\x16", b"\x16\x03\x01"] {
        let mut client = connect(server.made);
        send(&mut client, first);
        server.turn();
        half_close(&client);
        assert_eq!(read_to_end(&mut client), first);
    }
    server.assert_nothing_left();
}

#[test]
fn an_undecided_client_that_pauses_is_dropped_at_the_timeout() {
    let server = Server::with_vhost_in(patient(NEVER), recording);
    let mut client = connect(server.made);
    send(&mut client, b"GE");
    server.wait_for_connections(1);
    server.let_pass(NEVER);
    let (answer, _) = read_until_closed(&mut client);
    assert_eq!(answer, b"");
    assert_eq!(recorder::count(&server.events(), What::Bind), 0);
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_silent_client_is_dropped_at_the_timeout() {
    let server = Server::with_vhost_in(patient(NEVER), recording);
    let mut client = connect(server.made);
    server.wait_for_connections(1);
    server.let_pass(NEVER);
    assert_eq!(read_until_closed(&mut client).0, b"");
    drop(client);
    assert_eq!(recorder::count(&server.events(), What::Bind), 0);
    server.assert_nothing_left();
}

#[test]
fn the_first_packet_timeout_no_longer_applies_after_the_fallback() {
    let server = Server::with_vhost_in(patient(NEVER), echoing);
    let mut fallen_back = connect(server.made);
    send(&mut fallen_back, b"S");
    assert_eq!(read_exactly(&mut fallen_back, 1), b"S");
    let mut silent = connect(server.made);
    server.wait_for_connections(2);
    server.let_pass(NEVER);
    assert_eq!(read_until_closed(&mut silent).0, b"");
    send(&mut fallen_back, b"SH");
    assert_eq!(read_exactly(&mut fallen_back, 2), b"SH");
}

#[test]
fn a_client_that_leaves_without_a_byte_connects_nothing_onward() {
    let onward = Onward::recorder();
    let server = Server::with_vhost_in(patient(NEVER), proxying(&onward));
    for _ in 0..10 {
        let mut ends = connect(server.made);
        half_close(&ends);
        assert_eq!(read_to_end(&mut ends), b"");
        reset(connect(server.made));
    }
    // Accepted after all of them.
    assert_eq!(http::get(server.made, "localhost", "/page").status, 200);
    server.assert_nothing_left();
    assert_eq!(onward.connections().len(), 0);
}

#[test]
fn without_the_option_anything_else_is_refused_as_bad_http() {
    let server = Server::with_vhost(|| VhostInfo { options: Options::empty(), ..recording() });
    for first in
        [BANNER, b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", b"\x00\x01\x02\x03", b"\x80", b"BREW / HTTP/1.1\r\n\r\n"]
    {
        let mut client = connect(server.made);
        send(&mut client, first);
        let (answer, _) = read_until_closed(&mut client);
        let refused = answer.starts_with(b"HTTP/1.1 400 ") || answer.starts_with(b"HTTP/1.1 501 ");
        assert!(refused, "{} got {}", shown(first), shown(&answer));
    }
    assert_eq!(recorder::count(&server.events(), What::Bind), 0);
    server.assert_nothing_left();
}

#[test]
fn a_silent_client_falls_back_after_the_silence_that_was_asked_for() {
    let silence = || VhostInfo {
        fallback_silence: Some(Duration::from_millis(50)),
        pvo: options("recorder", &[("greet", "1")]),
        ..recording()
    };
    let server = Server::with_vhost_in(patient(NEVER), silence);
    let mut silent = connect(server.made);
    assert_eq!(read_exactly(&mut silent, 5), b"hello");
    send(&mut silent, b"GET / HTTP/1.1\r\n\r\n");
    let mut undecided = connect(server.made);
    send(&mut undecided, b"GE");
    assert_eq!(read_exactly(&mut undecided, 5), b"hello");
    let received = |server: &Server| recorder::bytes(&server.events(), What::Rx).len();
    eventually("both arrive at the fallback", || received(&server) == 18 + 2);
}

#[test]
fn apply_does_not_look_at_the_first_packet() {
    let apply = || VhostInfo {
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        pvo: options("recorder", &[("greet", "1")]),
        ..recording()
    };
    let server = Server::with_vhost(apply);
    let mut client = connect(server.made);
    assert_eq!(read_exactly(&mut client, 5), b"hello", "before the client says a word");
    let request = http::request("GET", "localhost", "/page");
    send(&mut client, request.as_bytes());
    half_close(&client);
    assert_eq!(read_to_end(&mut client), b"");
    assert_eq!(recorder::bytes(&server.events(), What::Rx), request.as_bytes());
}

#[test]
fn the_callbacks_of_a_fallback_come_in_their_order() {
    let server = Server::with_vhost(recording);
    let mut client = connect(server.made);
    send(&mut client, BANNER);
    half_close(&client);
    read_to_end(&mut client);
    server.assert_nothing_left_beside(1);
    let events = server.events();
    let order = recorder::order(&events, events[0].wsi);
    assert_eq!(order, [What::Bind, What::Adopt, What::Rx, What::Close, What::Drop]);
    assert!(events.iter().all(|event| event.role == "raw-skt"), "{events:?}");
}

#[test]
fn the_fallback_protocol_is_the_raw_one_else_the_default_one_else_the_first() {
    let falls_back_to = |pvo: fn() -> Pvo| {
        let server = Server::with_vhost(move || VhostInfo {
            protocols: vec![Recorder::<0>::table(), Recorder::<1>::table(), Recorder::<2>::table()],
            pvo: pvo(),
            mounts: Vec::new(),
            listen_accept_role: None,
            listen_accept_protocol: None,
            ..recording()
        });
        let mut client = connect(server.made);
        send(&mut client, BANNER);
        half_close(&client);
        read_to_end(&mut client);
        let events = server.events();
        assert_eq!(events[0].role, "raw-skt");
        events[0].protocol
    };
    assert_eq!(falls_back_to(Pvo::default), "recorder");
    assert_eq!(falls_back_to(|| options("second", &[("default", "1")])), "second");
    let both = || {
        let (raw, default) = (Pvo::default().with("raw", "1"), Pvo::default().with("default", "1"));
        Pvo::default().with("second", default).with("third", raw)
    };
    assert_eq!(falls_back_to(both), "third");
}
