//! Our own WebSockets: against servers that are made by hand, tungstenite, and ourselves.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use rlws::{
    CloseCode, ConnectInfo, ContextInfo, PermessageDeflate, Reason, Roots, TlsClient, TlsClientInfo, Verdict,
    VhostInfo, WsConnect, WsInfo, WsWrite, WsiId,
};
use tungstenite::protocol::frame::coding::CloseCode as TheirCode;
use tungstenite::protocol::{CloseFrame, Role, WebSocket};
use tungstenite::{Message, accept, client};

use super::util::certs::{ca, localhost};
use super::util::script::{Loop, NAME, count, home, notes, on_call, order, received};
use super::util::ws::{self, CLOSE, FIN, TEXT};
use super::util::{Onward, connect, random_bytes, read_until_closed, send};

#[track_caller]
fn connects(here: &mut Loop, target: &str, ws: WsConnect) -> WsiId {
    let info = ConnectInfo::ws(here.vhost, target.parse().expect("a target"), NAME, ws);
    here.cx().client_connect(info).expect("client_connect")
}

/// A server that agrees, adds headers, and goes on.
fn agreeing(more: &'static str, then: impl Fn(&mut TcpStream) + Send + Sync + 'static) -> Onward {
    Onward::serve(move |stream, _| {
        ws::agree(stream, more);
        then(stream);
    })
}

/// Why it came to nothing, of the one connection that there was.
#[track_caller]
fn why_not(here: &mut Loop, target: &str, ws: WsConnect) -> String {
    let id = connects(here, target, ws);
    here.gone(id);
    let all = notes();
    let mut told = all.iter().filter(|note| note.wsi == Some(id) && note.what == "ClientConnectionError");
    let why = told.next().expect("it is told").whole.clone();
    assert_eq!(told.count(), 0, "once");
    assert!(!order(id).contains(&"ClientEstablished".to_owned()), "{:?}", order(id));
    why
}

#[test]
fn the_request_says_what_is_wanted() {
    let (tell, told) = std::sync::mpsc::channel();
    let tell = std::sync::Mutex::new(tell);
    let onward = Onward::serve(move |stream, _| {
        let _ = tell.lock().expect("no panic").send(ws::read_request(stream).0);
    });
    let mut here = Loop::new(home());
    let ws = WsConnect {
        path: "/chat?room=1".into(),
        origin: Some("http://me.test".into()),
        subprotocols: vec!["a".into(), "b".into()],
        headers: vec![("X-Mine".into(), "yes".into())],
        info: WsInfo { deflate: Some(PermessageDeflate::default()), ..WsInfo::default() },
        ..WsConnect::to("example.org:81")
    };
    assert!(why_not(&mut here, &onward.target(), ws).contains("closed instead of answering"));
    let head = told.recv().expect("a request");
    for line in [
        "GET /chat?room=1 HTTP/1.1",
        "Host: example.org:81",
        "Origin: http://me.test",
        "Sec-WebSocket-Protocol: a, b",
        "Sec-WebSocket-Version: 13",
        "X-Mine: yes",
    ] {
        assert!(head.lines().any(|other| other == line), "{line} is not in {head}");
    }
    assert!(head.contains("Sec-WebSocket-Extensions: permessage-deflate"));
}

#[test]
fn it_talks_with_tungstenite() {
    let onward = Onward::serve(|stream, _| {
        let mut socket = accept(stream).expect("a handshake");
        loop {
            match socket.read() {
                Ok(message @ (Message::Text(_) | Message::Binary(_))) => socket.send(message).expect("it reads"),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    });
    let mut here = Loop::new(home());
    let long = random_bytes(5, 300_000);
    let sent = long.clone();
    on_call(move |wsi, _, reason| {
        match reason {
            Reason::ClientEstablished => {
                wsi.write_ws(WsWrite::TEXT, b"hello").expect("there is room");
                wsi.write_ws(WsWrite::BINARY, &sent).expect("there is room");
                wsi.write_ws(WsWrite::PING, b"there?").expect("there is room");
            }
            Reason::ClientReceivePong(b"there?") => return wsi.close_with(CloseCode::NORMAL, "done"),
            _ => {}
        }
        Verdict::Continue
    });
    let id = connects(&mut here, &onward.target(), WsConnect::to("localhost"));
    here.gone(id);
    let got = received(id);
    assert!(got == [&b"hello"[..], &long, b"there?"].concat(), "{} bytes", got.len());
    let mut heard = order(id);
    heard.dedup();
    assert_eq!(
        heard,
        [
            "WsiCreate",
            "WsClientBindProtocol",
            "ClientFilterPreEstablish",
            "ClientEstablished",
            "ClientReceive",
            "ClientReceivePong",
            "ClientClosed",
            "WsClientDropProtocol",
            "WsiDestroy"
        ]
    );
}

#[test]
fn tungstenite_talks_with_it() {
    let mut here = Loop::new(ws::vhost());
    on_call(ws::echo);
    let port = here.port();
    here.during(move || {
        let (mut socket, _) = client(format!("ws://localhost:{port}/"), connect(port)).expect("a handshake");
        for (number, len) in [0, 1, 125, 126, 65_535, 65_536, 1_000_000].into_iter().enumerate() {
            let bytes = random_bytes(number as u64, len);
            socket.write(Message::binary(bytes.clone())).expect("queued");
            // Both sides send: whoever only writes would wait for the other.
            let mut stream = socket.get_ref().try_clone().expect("dup");
            let flushes = std::thread::scope(|scope| {
                let read = scope.spawn(move || {
                    let mut got = Vec::new();
                    loop {
                        let frame = ws::read_frame(&mut stream);
                        got.extend(frame.payload);
                        if frame.first & FIN != 0 {
                            return got;
                        }
                    }
                });
                socket.flush().expect("it reads");
                read.join().expect("it reads")
            });
            assert!(flushes == bytes, "{len}");
        }
        socket.close(Some(CloseFrame { code: TheirCode::Normal, reason: "bye".into() })).expect("queued");
        let answer = socket.read().expect("an answer");
        assert!(matches!(answer, Message::Close(Some(CloseFrame { code: TheirCode::Normal, .. }))), "{answer:?}");
    });
    assert!(notes().iter().any(|note| note.whole == "WsPeerInitiatedClose(1000)"));
}

#[test]
fn it_talks_with_itself_over_tls() {
    let server = VhostInfo { name: "localhost".into(), tls: Some(localhost().tls_info()), ..ws::vhost() };
    let deflate = Some(PermessageDeflate::default());
    let mut here = Loop::new(VhostInfo { ws: WsInfo { deflate: deflate.clone(), ..WsInfo::default() }, ..server });
    let text = "again and again ".repeat(1000);
    let sent = text.clone();
    on_call(move |wsi, cx, reason| {
        match reason {
            Reason::ClientEstablished => {
                assert!(wsi.has_deflate() && wsi.is_tls() && wsi.subprotocol() == Some("script"));
                wsi.write_ws(WsWrite::TEXT, sent.as_bytes()).expect("there is room");
            }
            Reason::ClientReceive(_) if wsi.is_final_fragment() => return Verdict::Close,
            Reason::Receive(_) => return ws::echo(wsi, cx, reason),
            _ => {}
        }
        Verdict::Continue
    });
    let tls = TlsClient::new(&TlsClientInfo { roots: Roots::Only(ca().pem()), ..Default::default() });
    let info = WsInfo { deflate, ..WsInfo::default() };
    let ws = WsConnect { subprotocols: vec!["script".into()], info, ..WsConnect::to("localhost") };
    let target = format!("tcp:localhost:{}", here.port()).parse().expect("a target");
    let info = ConnectInfo::ws(here.vhost, target, NAME, ws).tls(tls.expect("TlsClient::new"));
    let id = here.cx().client_connect(info).expect("client_connect");
    here.gone(id);
    assert!(received(id) == text.as_bytes());
    here.until_it("the other half is gone", |here| here.wsi_count() == 1);
    assert_eq!((count("Closed"), count("ClientClosed"), count("WsPeerInitiatedClose")), (1, 1, 1));
}

#[test]
fn what_a_server_does_not_agree_to_is_told() {
    for (answer, why) in [
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n".to_owned(), "status 404"),
        ("HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n".to_owned(), "status 302"),
        ("SSH-2.0-OpenSSH_9.6\r\n".to_owned(), "no http"),
        (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n"
                .to_owned(),
            "does not fit the key",
        ),
        (format!("HTTP/1.1 101 Switching Protocols\r\nX: {}\r\n\r\n", "x".repeat(20_000)), "too long"),
        ("HTTP/1.1 101".to_owned(), "closed instead of answering"),
    ] {
        let mut here = Loop::new(home());
        let onward = Onward::serve(move |stream, _| {
            ws::read_request(stream);
            let _ = stream.write_all(answer.as_bytes());
        });
        let told = why_not(&mut here, &onward.target(), WsConnect::to("localhost"));
        assert!(told.contains(why), "{told} lacks {why}");
    }
    for (more, why) in [
        ("Sec-WebSocket-Protocol: other\r\n", "was not offered"),
        ("Sec-WebSocket-Extensions: permessage-deflate\r\n", "extension that was not offered"),
    ] {
        let mut here = Loop::new(home());
        let onward = agreeing(more, |_| {});
        let told = why_not(&mut here, &onward.target(), WsConnect::to("localhost"));
        assert!(told.contains(why), "{told} lacks {why}");
    }
}

#[test]
fn a_server_that_says_nothing_is_given_up() {
    let onward = Onward::serve(|stream, _| drop(stream.read_to_end(&mut Vec::new())));
    let connect_timeout = Duration::from_millis(100);
    let mut here = Loop::new_in(ContextInfo { connect_timeout, ..ContextInfo::default() }, home());
    let told = why_not(&mut here, &onward.target(), WsConnect::to("localhost"));
    assert!(told.contains("has not answered for 100ms"), "{told}");
}

#[test]
fn a_protocol_can_turn_a_server_down() {
    let onward = agreeing("X-Who: nobody\r\n", |stream| drop(stream.read(&mut [0])));
    let mut here = Loop::new(home());
    on_call(|_, _, reason| match reason {
        Reason::ClientFilterPreEstablish(answer) => {
            assert_eq!((answer.status(), answer.header("x-who")), (101, Some(&b"nobody"[..])));
            Verdict::Close
        }
        _ => Verdict::Continue,
    });
    let told = why_not(&mut here, &onward.target(), WsConnect::to("localhost"));
    assert!(told.contains("by its protocol"), "{told}");
    let id = super::util::script::who("ClientFilterPreEstablish")[0];
    assert_eq!(
        order(id)[1..],
        [
            "WsClientBindProtocol",
            "ClientFilterPreEstablish",
            "ClientConnectionError",
            "WsClientDropProtocol",
            "WsiDestroy"
        ]
    );
}

#[test]
fn what_cannot_be_asked_for_is_refused_at_once() {
    let mut here = Loop::new(home());
    let (vhost, target) = (here.vhost, "tcp:127.0.0.1:1".parse::<rlws::Target>().expect("a target"));
    let bad = ConnectInfo::ws(vhost, target.clone(), NAME, WsConnect::to("two words"));
    let unasked = ConnectInfo::new(vhost, target.clone(), NAME).role("ws");
    let mut raw = ConnectInfo::ws(vhost, target, NAME, WsConnect::to("localhost"));
    raw.role = "raw-skt".into();
    for info in [bad, unasked, raw] {
        assert!(here.cx().client_connect(info).is_err());
    }
    assert!(here.wsi_count() == 0 && notes().iter().all(|note| note.wsi.is_none()));
}

#[test]
fn who_has_heard_a_close_leaves_the_end_to_the_server() {
    let (tell, told) = std::sync::mpsc::channel();
    let wait = std::sync::Mutex::new(told);
    let onward = agreeing("", move |stream| {
        send(stream, &ws::unmasked(FIN | CLOSE, &1000_u16.to_be_bytes()));
        send(stream, &ws::unmasked(FIN | TEXT, b"too late"));
        let _ = wait.lock().expect("no panic").recv();
    });
    let mut here = Loop::new(home());
    on_call(|wsi, _, reason| {
        if let Reason::WsPeerInitiatedClose(..) = reason {
            wsi.callback_on_writable();
        }
        Verdict::Continue
    });
    let id = connects(&mut here, &onward.target(), WsConnect::to("localhost"));
    here.until("the close", || count("WsPeerInitiatedClose") == 1);
    here.turns();
    assert_eq!((count("ClientClosed"), count("ClientWriteable")), (0, 0));
    assert!(here.context.next_timeout() > Some(Duration::from_millis(500)), "it waits, and does not turn");
    tell.send(()).expect("it waits");
    here.gone(id);
    assert_eq!((count("ClientClosed"), count("ClientReceive")), (1, 0));
}

#[test]
fn a_server_that_does_not_end_after_its_close_is_cut_off() {
    let onward = agreeing("", |stream| {
        send(stream, &ws::unmasked(FIN | CLOSE, b""));
        // A flood instead of the end.
        while stream.write_all(&[0; 10_000]).is_ok() {}
    });
    let mut here = Loop::new(home());
    let id = connects(&mut here, &onward.target(), WsConnect::to("localhost"));
    here.until("the close", || count("WsPeerInitiatedClose") == 1);
    let later = here.start + Duration::from_secs(60);
    here.until_it("it is cut off", |here| {
        here.context.service_at(later).expect("service_at");
        count("ClientClosed") == 1
    });
    here.gone(id);
}

#[test]
fn a_server_must_not_mask() {
    let onward = agreeing("", |stream| {
        send(stream, &ws::text("masked"));
        let (answer, _) = read_until_closed(stream);
        assert_eq!(answer[0], FIN | CLOSE);
        assert!(answer[1] & 0x80 != 0, "clients mask");
    });
    let mut here = Loop::new(home());
    let id = connects(&mut here, &onward.target(), WsConnect::to("localhost"));
    here.gone(id);
    assert_eq!((count("ClientReceive"), count("ClientClosed")), (0, 1));
}

#[test]
fn what_comes_behind_the_answer_in_one_piece_is_received() {
    let onward = Onward::serve(|stream, _| {
        let (_, accept) = ws::read_request(stream);
        let head = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        send(stream, &[head.as_bytes(), &ws::unmasked(FIN | TEXT, b"at once")].concat());
        let mut socket = WebSocket::from_raw_socket(stream, Role::Server, None);
        assert_eq!(socket.read().expect("a message"), Message::text("heard"));
    });
    let mut here = Loop::new(home());
    on_call(|wsi, _, reason| {
        if let Reason::ClientReceive(b"at once") = reason {
            wsi.write_ws(WsWrite::TEXT, b"heard").expect("there is room");
        }
        Verdict::Continue
    });
    let id = connects(&mut here, &onward.target(), WsConnect::to("localhost"));
    here.gone(id);
    assert_eq!(received(id), b"at once");
}

#[test]
fn interim_answers_are_not_the_answer() {
    const INTERIM: &str =
        "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </style.css>; rel=preload\r\n\r\n";
    let onward = Onward::serve(|stream, _| {
        send(stream, INTERIM.as_bytes());
        ws::agree(stream, "");
        send(stream, &ws::unmasked(FIN | TEXT, b"hello"));
        send(stream, &ws::unmasked(FIN | CLOSE, b""));
    });
    let mut here = Loop::new(home());
    let id = connects(&mut here, &onward.target(), WsConnect::to("localhost"));
    here.gone(id);
    assert_eq!((received(id), count("ClientEstablished")), (b"hello".to_vec(), 1));
}

#[test]
fn interim_answers_have_an_end() {
    let onward = Onward::serve(|stream, _| {
        ws::read_request(stream);
        let _gone_by_then = stream.write_all("HTTP/1.1 100 Continue\r\n\r\n".repeat(1000).as_bytes());
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let mut here = Loop::new(home());
    let why = why_not(&mut here, &onward.target(), WsConnect::to("localhost"));
    assert!(why.contains("interim"), "{why}");
}

#[test]
fn an_upgrade_in_http_1_0_is_none() {
    let onward = Onward::serve(|stream, _| {
        let (_, accept) = ws::read_request(stream);
        let answer = format!(
            "HTTP/1.0 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        );
        send(stream, answer.as_bytes());
        drop(stream.read_to_end(&mut Vec::new()));
    });
    let mut here = Loop::new(home());
    let why = why_not(&mut here, &onward.target(), WsConnect::to("localhost"));
    assert!(why.contains("HTTP/1.0"), "{why}");
}
