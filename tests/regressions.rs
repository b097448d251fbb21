//! Bugs that were, each with the test that would have caught it. Time is injected where a bug was about time.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::{Duration, Instant};

use rlws::protocols::{RawEcho, RawProxy};
use rlws::{ConnectInfo, Context, ContextInfo, Listen, Mount, Options, ProtocolTable, VhostInfo};
use util::{Onward, Recorder, Server, Site, eventually, options, recorder, site};

/// Turns the loop, at a time of the test's choosing, until a byte can be read.
fn read_byte(context: &mut Context, at: Instant, from: &mut TcpStream) -> u8 {
    from.set_nonblocking(true).expect("own socket");
    let mut byte = [0];
    eventually("a byte arrives", || {
        context.service_at(at).expect("service");
        match from.read(&mut byte) {
            Ok(n) => n == 1,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
                false
            }
        }
    });
    byte[0]
}

/// Turns the loop until only the listen socket is left.
fn wait_until_gone(context: &mut Context, at: Instant) {
    eventually("the connections are closed", || {
        context.service_at(at).expect("service");
        context.cx().wsi_count() == 1
    });
}

#[test]
fn a_relayed_pair_with_traffic_in_one_direction_is_not_idle() {
    let onward = TcpListener::bind("127.0.0.1:0").expect("bind");
    let target = format!("ipv4:{}", onward.local_addr().expect("bound"));
    let mut context = Context::new(ContextInfo::default()).expect("context");
    let vhost = context
        .create_vhost(VhostInfo {
            listen: Listen::on("127.0.0.1", 0),
            protocols: vec![ProtocolTable::of::<RawProxy>()],
            pvo: options("raw-proxy", &[("onward", &target), ("idle-timeout-secs", "10")]),
            options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
            listen_accept_role: Some("raw-proxy".into()),
            ..Default::default()
        })
        .expect("vhost");
    let port = context.cx().listen_port(vhost).expect("it listens");
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let start = Instant::now();
    onward.set_nonblocking(true).expect("own socket");
    let mut server = None;
    eventually("the relay connects onward", || {
        context.service_at(start).expect("service");
        server = onward.accept().ok();
        server.is_some()
    });
    let (mut server, _) = server.expect("accepted");

    // The onward server alone talks, every 8 of the 10 seconds.
    for round in 1..=5 {
        let at = start + Duration::from_secs(8 * round);
        server.write_all(&[round as u8]).expect("the relay lives");
        assert_eq!(read_byte(&mut context, at, &mut client), round as u8);
    }
    context.service_at(start + Duration::from_secs(49)).expect("service");
    assert_eq!(context.cx().wsi_count(), 3, "nine seconds after the last byte");
    wait_until_gone(&mut context, start + Duration::from_secs(51));
}

#[test]
fn a_silence_longer_than_the_first_packet_timeout_still_falls_back() {
    let mut context =
        Context::new(ContextInfo { timeout: Duration::from_secs(5), ..Default::default() }).expect("context");
    let vhost = context
        .create_vhost(VhostInfo {
            listen: Listen::on("127.0.0.1", 0),
            protocols: vec![ProtocolTable::of::<RawEcho>()],
            options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
            fallback_silence: Some(Duration::from_secs(30)),
            ..Default::default()
        })
        .expect("vhost");
    let port = context.cx().listen_port(vhost).expect("it listens");
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let start = Instant::now();
    client.write_all(b"GE").expect("send");
    eventually("the connection is accepted", || {
        context.service_at(start).expect("service");
        context.cx().wsi_count() == 2
    });
    context.service_at(start).expect("service");

    context.service_at(start + Duration::from_secs(29)).expect("service");
    assert_eq!(context.cx().wsi_count(), 2, "not dropped before the silence is over");
    assert_eq!(read_byte(&mut context, start + Duration::from_secs(31), &mut client), b'G');
    // The first packet's timeout no longer applies to what it became.
    context.service_at(start + Duration::from_secs(3600)).expect("service");
    assert_eq!(context.cx().wsi_count(), 2);
}

/// A plain http port without a fallback; what a client gets that sends `first`, then does `then`.
fn answer_to(first: &[u8], then: impl FnOnce(&TcpStream), later: Duration) -> String {
    let mut context = Context::new(ContextInfo::default()).expect("context");
    let info = VhostInfo { listen: Listen::on("127.0.0.1", 0), ..Default::default() };
    let vhost = context.create_vhost(info).expect("vhost");
    let port = context.cx().listen_port(vhost).expect("it listens");
    let mut client = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    client.write_all(first).expect("send");
    then(&client);
    client.set_nonblocking(true).expect("own socket");
    let (start, mut answer) = (Instant::now(), Vec::new());
    for _ in 0..100 {
        context.service_at(start).expect("service");
    }
    eventually("the connection is closed", || {
        context.service_at(start + later).expect("service");
        let mut piece = [0; 4096];
        match client.read(&mut piece) {
            Ok(n) => {
                answer.extend_from_slice(&piece[..n]);
                n == 0
            }
            Err(error) => error.kind() != ErrorKind::WouldBlock,
        }
    });
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn what_is_cut_short_on_an_http_port_gets_an_answer_too() {
    let soon = Duration::ZERO;
    let half_close = |client: &TcpStream| client.shutdown(std::net::Shutdown::Write).expect("connected");
    for first in ["GE", "SSH-2.0", "GET / HTTP/1.1\r\nHost: a"] {
        let answer = answer_to(first.as_bytes(), half_close, soon);
        assert!(answer.starts_with("HTTP/1.1 400 "), "{first}: {answer:?}");
    }
}

#[test]
fn what_stops_on_an_http_port_is_told_why_it_is_closed() {
    let late = Duration::from_secs(6);
    for (first, status) in [("SSH-2.0", "400"), ("GET / HTTP/1.1\r\nHost: a", "408")] {
        let answer = answer_to(first.as_bytes(), |_| (), late);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{first}: {answer:?}");
    }
    // The first packet is still undecided, or there was none.
    for first in ["GE", ""] {
        assert_eq!(answer_to(first.as_bytes(), |_| (), late), "", "{first}");
    }
}

#[test]
fn a_silence_of_zero_is_off() {
    let mut context = Context::new(ContextInfo::default()).expect("context");
    let vhost = context
        .create_vhost(VhostInfo {
            listen: Listen::on("127.0.0.1", 0),
            protocols: vec![ProtocolTable::of::<RawEcho>()],
            options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
            fallback_silence: Some(Duration::ZERO),
            ..Default::default()
        })
        .expect("vhost");
    let port = context.cx().listen_port(vhost).expect("it listens");
    let client = TcpStream::connect(("127.0.0.1", port)).expect("connect");
    let start = Instant::now();
    eventually("the connection is accepted", || {
        context.service_at(start).expect("service");
        context.cx().wsi_count() == 2
    });
    context.service_at(start + Duration::from_secs(1)).expect("service");
    wait_until_gone(&mut context, start + Duration::from_secs(6));
    drop(client);
}

#[test]
fn a_role_that_only_others_can_connect_is_refused_at_once() {
    let mut context = Context::new(ContextInfo::default()).expect("context");
    let vhost = context
        .create_vhost(VhostInfo {
            protocols: vec![ProtocolTable::of::<RawProxy>()],
            pvo: options("raw-proxy", &[("onward", "ipv4:127.0.0.1:1")]),
            ..Default::default()
        })
        .expect("vhost");
    let mut info = ConnectInfo::new(vhost, "ipv4:127.0.0.1:1".parse().expect("a target"), "raw-proxy");
    info.role = "raw-proxy".into();
    let error = context.cx().client_connect(info).expect_err("it has no client side of its own");
    assert!(error.to_string().contains("raw-proxy"), "{error}");
    assert_eq!(context.cx().wsi_count(), 0);
}

#[test]
fn urgent_data_does_not_stop_a_stream() {
    for is_read_before in [false, true] {
        let mut context = Context::new(ContextInfo::default()).expect("context");
        let vhost = context
            .create_vhost(VhostInfo {
                listen: Listen::on("127.0.0.1", 0),
                protocols: vec![ProtocolTable::of::<RawEcho>()],
                options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
                ..Default::default()
            })
            .expect("vhost");
        let port = context.cx().listen_port(vhost).expect("it listens");
        let mut client = util::connect(port);
        let (start, mut echo) = (Instant::now(), Vec::new());
        client.write_all(b"abc").expect("send");
        if is_read_before {
            echo.extend((0..3).map(|_| read_byte(&mut context, start, &mut client)));
        }
        let urgent = socket2::SockRef::from(&client).send_out_of_band(b"!").expect("MSG_OOB");
        assert_eq!(urgent, 1);
        client.write_all(b"def").expect("send");
        while echo.len() < 6 {
            echo.push(read_byte(&mut context, start, &mut client));
        }
        assert_eq!(echo, b"abcdef");
    }
}

#[test]
fn waits_without_an_end_are_no_overflow() {
    let site = Site::new();
    let (root, onward) = (site.root(), Onward::echo());
    let info = ContextInfo { timeout: Duration::MAX, connect_timeout: Duration::MAX, ..Default::default() };
    let server = Server::start_with(info, move |context| {
        let vhost = VhostInfo {
            listen: Listen::on("127.0.0.1", 0),
            protocols: vec![Recorder::<0>::table()],
            mounts: vec![Mount::files("/", root)],
            options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
            fallback_silence: Some(Duration::MAX),
            keepalive_timeout: Duration::MAX,
            ..Default::default()
        };
        let id = context.create_vhost(vhost).expect("vhost");
        (id, context.cx().listen_port(id).expect("it listens"))
    });
    let (vhost, port) = server.made;

    let mut http = util::connect(port);
    util::send(&mut http, b"GE");
    server.turn();
    util::send(&mut http, b"T / HTTP/1.1\r\nHost: a\r\n");
    server.turn();
    util::send(&mut http, b"\r\n");
    assert_eq!(util::http::read_response(&mut http).text(), site::INDEX);
    assert_eq!(util::http::ask(&mut http, "a", "/none").status, 404);

    let mut raw = util::connect(port);
    util::send(&mut raw, b"\0raw");
    eventually("the fallback", || recorder::bytes(&server.events(), recorder::What::Rx) == b"\0raw");

    // By address, and by name.
    for target in [onward.target(), format!("tcp:localhost:{}", onward.port)] {
        let info = ConnectInfo::new(vhost, target.parse().expect("a target"), "recorder");
        server.ask(move |context| context.cx().client_connect(info).map(drop)).expect("client_connect");
    }
    eventually("both are connected", || recorder::count(&server.events(), recorder::What::Connected) == 2);
    assert_eq!(util::http::ask(&mut http, "a", "/").text(), site::INDEX);
}

#[test]
fn only_its_own_socket_file_is_removed_at_the_end() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let serve = |path: &Path| {
        let mut context = Context::new(ContextInfo::default()).expect("context");
        context.create_vhost(VhostInfo { listen: Listen::unix(path), ..Default::default() }).expect("vhost");
        context
    };
    let context = serve(&path);
    assert!(path.exists());
    drop(context);
    assert!(!path.exists(), "its own");

    let context = serve(&path);
    std::fs::remove_file(&path).expect("it is there");
    let another = UnixListener::bind(&path).expect("bind");
    drop(context);
    UnixStream::connect(&path).expect("another's is left alone");
    drop(another);
    std::fs::remove_file(&path).expect("it is there");

    let context = serve(&path);
    let next = folder.path().join("next");
    let another = serve(&next);
    std::fs::rename(&next, &path).expect("rename");
    drop(context);
    UnixStream::connect(&path).expect("it was put in the place of ours");
    drop(another);
}
