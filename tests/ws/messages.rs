//! What is received and sent in between.

use std::cell::RefCell;
use std::io::{ErrorKind, Write};
use std::rc::Rc;
use std::time::Duration;

use rlws::{Cx, ProtocolTable, Reason, Verdict, VhostInfo, WriteError, WsInfo, WsLimits, WsWrite, Wsi, limits};

use super::util::certs::localhost;
use super::util::script::{Loop, NAME, Script, count, count_of, notes, on_call, received, received_len, who};
use super::util::tls::trusting;
use super::util::turned::small_client;
use super::util::ws::{self, BINARY, CONTINUATION, FIN, Frame, PING, PONG, TEXT};
use super::util::{Program, random_bytes, send};
use super::{close_of, frame_of, opened};

type Place = (Vec<u8>, bool, bool, bool, u64);

/// What a protocol is told of each piece.
fn noting() -> Rc<RefCell<Vec<Place>>> {
    let places: Rc<RefCell<Vec<Place>>> = Rc::default();
    let noted = places.clone();
    on_call(move |wsi, _, reason| {
        if let Reason::Receive(data) = reason {
            let (first, last) = (wsi.is_first_fragment(), wsi.is_final_fragment());
            let (binary, left) = (wsi.frame_is_binary(), wsi.remaining_packet_payload());
            noted.borrow_mut().push((data.to_vec(), first, last, binary, left));
        }
        Verdict::Continue
    });
    places
}

#[test]
fn parts_come_as_they_are_sent() {
    let mut here = Loop::new(ws::vhost());
    let places = noting();
    let mut stream = opened(&mut here, "");
    let long = ws::frame(FIN | CONTINUATION, b"hello world");
    send(&mut stream, &[&ws::frame(BINARY, b"one")[..], &ws::frame(CONTINUATION, b""), &long[..11]].concat());
    here.until("two pieces", || count("Receive") == 2);
    send(&mut stream, &[&long[11..], &ws::text("")].concat());
    here.until("four pieces", || count("Receive") == 4);
    let want: Vec<Place> = vec![
        (b"one".into(), true, false, true, 0),
        (b"hello".into(), false, false, true, 6),
        (b" world".into(), false, true, true, 0),
        (b"".into(), true, true, false, 0),
    ];
    assert_eq!(*places.borrow(), want);
}

#[test]
fn how_it_is_cut_makes_no_difference() {
    let mut here = Loop::new(ws::vhost());
    on_call(ws::echo);
    let mut stream = opened(&mut here, "");
    let frames = [
        ws::text("κόσμε"),
        ws::frame(FIN | PING, b"ping"),
        ws::frame(TEXT, "κό".as_bytes()),
        ws::frame(FIN | PONG, b"pong"),
        ws::frame(FIN | CONTINUATION, "σμε".as_bytes()),
        ws::frame(FIN | BINARY, &random_bytes(1, 70_000)),
    ]
    .concat();
    for byte in &frames[..80] {
        send(&mut stream, &[*byte]);
        here.turn();
    }
    let mut writer = stream.try_clone().expect("dup");
    let (short, long) = here.during(move || {
        writer.write_all(&frames[80..]).expect("it reads");
        let mut parts: Vec<Frame> = Vec::new();
        let mut bytes = Vec::new();
        while bytes.len() < 70_000 {
            let frame = ws::read_frame(&mut stream);
            match frame.first & 0x0f {
                BINARY => bytes.extend(frame.payload),
                CONTINUATION if !bytes.is_empty() => bytes.extend(frame.payload),
                _ => parts.push(frame),
            }
        }
        (parts, bytes)
    });
    assert_eq!(long, random_bytes(1, 70_000));
    let text: Vec<u8> =
        short.iter().filter(|frame| frame.first & 0x0f != PONG).flat_map(|frame| frame.payload.clone()).collect();
    assert_eq!(String::from_utf8_lossy(&text), "κόσμεκόσμε");
    assert_eq!(short.iter().filter(|frame| frame.first == FIN | PONG).count(), 1);
    assert!(notes().iter().any(|note| note.what == "ReceivePong" && note.bytes == b"pong"));
}

#[test]
fn messages_come_whole_to_who_wants_that() {
    let limits = WsLimits { collected: 300_000, ..WsLimits::default() };
    let info =
        VhostInfo { protocols: vec![Script::<2>::table()], ws: WsInfo { limits, ..WsInfo::default() }, ..ws::vhost() };
    let mut here = Loop::new(info);
    let places = noting();
    let stream = opened(&mut here, "");
    let long = random_bytes(2, 300_000);
    let parts = [ws::frame(TEXT, b"a"), ws::frame(FIN | PING, b""), ws::frame(FIN | CONTINUATION, b"b")].concat();
    let sent = [parts, ws::text("c"), ws::frame(FIN | BINARY, &long), ws::frame(FIN | BINARY, &[0; 300_001])].concat();
    let mut writer = stream.try_clone().expect("dup");
    here.during(move || drop(writer.write_all(&sent)));
    assert_eq!(close_of(&mut here, &stream), 1009);
    let want: Vec<Place> =
        vec![(b"ab".into(), true, true, false, 0), (b"c".into(), true, true, false, 0), (long, true, true, true, 0)];
    assert!(*places.borrow() == want);
}

#[test]
fn pings_go_both_ways() {
    let mut here = Loop::new(ws::vhost());
    on_call(|wsi, _, reason| {
        match reason {
            Reason::Established => wsi.write_ws(WsWrite::PING, b"there?").expect("there is room"),
            Reason::ReceivePong(b"here") => wsi.write_ws(WsWrite::PONG, b"unasked").expect("there is room"),
            _ => {}
        }
        Verdict::Continue
    });
    let mut stream = opened(&mut here, "");
    assert_eq!(frame_of(&mut here, &stream), Frame { first: FIN | PING, payload: b"there?".into() });
    send(&mut stream, &ws::frame(FIN | PONG, b"here"));
    assert_eq!(frame_of(&mut here, &stream), Frame { first: FIN | PONG, payload: b"unasked".into() });
}

#[test]
fn what_cannot_be_written_says_so() {
    let mut here = Loop::new(ws::vhost());
    on_call(|wsi, _, reason| {
        if let Reason::Established = reason {
            assert!(matches!(wsi.write_ws(WsWrite::CONTINUATION, b""), Err(WriteError::OutOfOrder)));
            wsi.write_ws(WsWrite::TEXT.no_fin(), b"a").expect("the first part");
            assert!(matches!(wsi.write_ws(WsWrite::TEXT, b""), Err(WriteError::OutOfOrder)));
            assert!(matches!(wsi.write_ws(WsWrite::PING, &[0; 126]), Err(WriteError::NoControlFrame)));
            assert!(matches!(wsi.write_ws(WsWrite::PONG.no_fin(), b""), Err(WriteError::NoControlFrame)));
            assert!(matches!(wsi.write_ws(WsWrite::CONTINUATION, &vec![0; limits::TX]), Err(WriteError::Full { .. })));
            assert!(matches!(wsi.write(b"raw"), Err(WriteError::WrongRole { role: "ws" })));
            wsi.write_ws(WsWrite::CONTINUATION, b"b").expect("the last part");
        }
        Verdict::Continue
    });
    let stream = opened(&mut here, "");
    assert_eq!(frame_of(&mut here, &stream), Frame { first: TEXT, payload: b"a".into() });
    assert_eq!(frame_of(&mut here, &stream), Frame { first: FIN | CONTINUATION, payload: b"b".into() });
}

#[test]
fn writes_of_a_timer_are_sent_and_writeable_comes_when_asked_for() {
    let mut here = Loop::new(ws::vhost());
    on_call(|wsi, cx, reason| {
        match reason {
            Reason::Established => wsi.set_timer(cx, Duration::from_millis(1)),
            Reason::Timer => {
                wsi.write_ws(WsWrite::TEXT, b"tick").expect("there is room");
                wsi.callback_on_writable();
            }
            Reason::ServerWriteable => wsi.write_ws(WsWrite::TEXT, b"written").expect("there is room"),
            _ => {}
        }
        Verdict::Continue
    });
    let stream = opened(&mut here, "");
    assert_eq!(frame_of(&mut here, &stream), Frame::text("tick"));
    assert_eq!(frame_of(&mut here, &stream), Frame::text("written"));
    here.turns();
    assert_eq!(count("ServerWriteable"), 1);
}

#[test]
fn a_protocol_that_takes_one_message_at_a_time_loses_none() {
    let mut here = Loop::new(ws::vhost());
    on_call(|wsi, cx, reason| {
        match reason {
            Reason::Receive(_) => {
                wsi.rx_flow_control(false);
                wsi.set_timer(cx, Duration::ZERO);
            }
            Reason::Timer => wsi.rx_flow_control(true),
            _ => {}
        }
        Verdict::Continue
    });
    let mut stream = opened(&mut here, "");
    let sent: Vec<u8> = (0..2000_u32).flat_map(|number| ws::frame(FIN | BINARY, &number.to_be_bytes())).collect();
    send(&mut stream, &sent);
    here.until("all of them", || count("Receive") == 2000);
    let id = who("Established")[0];
    let want: Vec<u8> = (0..2000_u32).flat_map(u32::to_be_bytes).collect();
    assert_eq!(received(id), want);
}

#[test]
fn nothing_is_received_while_the_protocol_does_not_want_it() {
    let mut here = Loop::new(ws::vhost());
    on_call(|wsi, _, reason| {
        if let Reason::Established = reason {
            wsi.rx_flow_control(false);
        }
        Verdict::Continue
    });
    let stream = opened(&mut here, "");
    stream.set_nonblocking(true).expect("own socket");
    let (mut stream, mut sent) = (stream, 0);
    loop {
        here.turns();
        match stream.write(&ws::frame(FIN | BINARY, &[7; 60_000])) {
            Ok(n) => sent += n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 64 * 1024 * 1024, "somebody reads it");
    }
    assert_eq!(count("Receive"), 0);
    let id = who("Established")[0];
    here.cx().rx_flow_control(id, true);
    here.until("most of it", || received_len(id) > sent / 2);
}

#[test]
fn a_message_that_does_not_go_on_is_given_up() {
    let mut here = Loop::frozen(ws::vhost());
    let [mut stops, mut goes_on, mut ended] = [(); 3].map(|()| opened(&mut here, ""));
    let at = |tenths: u32| limits::WS_MESSAGE_STALL * tenths / 10;
    for stream in [&mut stops, &mut goes_on, &mut ended] {
        send(stream, &ws::frame(TEXT, b"ab"));
    }
    here.until("they have begun", || count("Receive") == 3);
    here.at(at(5));
    // To ask whether we are there is not to go on.
    send(&mut stops, &ws::frame(FIN | PING, b"?"));
    assert_eq!(frame_of(&mut here, &stops).first, FIN | PONG);
    send(&mut goes_on, &ws::frame(CONTINUATION, b"cd"));
    send(&mut ended, &ws::frame(FIN | CONTINUATION, b"cd"));
    here.until("two go on", || count("Receive") == 5);
    here.at(at(11));
    assert_eq!((close_of(&mut here, &stops), count("Closed")), (1008, 1));
    here.at(at(22));
    assert_eq!((close_of(&mut here, &goes_on), count("Closed")), (1008, 2));
    here.at(at(100));
    send(&mut ended, &ws::text("still here"));
    here.until("who owes nothing stays", || count("Receive") == 6);
}

#[test]
fn a_message_may_stand_while_the_protocol_does_not_want_it() {
    let mut here = Loop::frozen(ws::vhost());
    on_call(|wsi, _, reason| {
        if matches!(reason, Reason::Receive(_)) {
            wsi.rx_flow_control(false);
        }
        Verdict::Continue
    });
    let mut stream = opened(&mut here, "");
    send(&mut stream, &ws::frame(TEXT, b"ab"));
    here.until("it has begun", || count("Receive") == 1);
    for looks in 1..5 {
        here.at(limits::WS_MESSAGE_STALL * looks + Duration::from_secs(1));
        assert_eq!(count("Closed"), 0);
    }
    here.cx().rx_flow_control(who("Receive")[0], true);
    here.at(limits::WS_MESSAGE_STALL * 8);
    assert_eq!(close_of(&mut here, &stream), 1008);
}

#[test]
fn a_peer_that_does_not_read_is_not_read_from() {
    const MESSAGE: usize = 60_000;
    let mut here = Loop::new(ws::vhost());
    on_call(ws::echo);
    let port = here.port();
    let mut stream = here.during(move || {
        let mut stream = small_client(port);
        ws::upgrade(&mut stream, "");
        stream
    });
    stream.set_nonblocking(true).expect("own socket");
    let (mut sent, mut rest) = (0, Vec::new());
    loop {
        here.turns();
        if rest.is_empty() {
            rest = ws::frame(FIN | BINARY, &[7; MESSAGE]);
        }
        match stream.write(&rest) {
            Ok(n) => {
                sent += n;
                rest.drain(..n);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => break,
            Err(error) => panic!("{error}"),
        }
        assert!(sent < 64 * 1024 * 1024, "it is held somewhere");
    }
    let id = who("Established")[0];
    let waiting = limits::TX - here.cx().wsi(id).expect("it is there").tx_room();
    assert!(waiting > limits::WS_ANSWERS, "{waiting} bytes wait: what else keeps it from reading?");
    assert!(waiting <= limits::WS_ANSWERS + MESSAGE + 100, "{waiting} bytes wait");
    let heard = received_len(id);
    here.turns();
    assert_eq!(received_len(id), heard, "nothing more is received");
}

#[test]
fn it_goes_over_tls_and_over_unix_sockets() {
    let mut here = Loop::new(VhostInfo { name: "localhost".into(), tls: Some(localhost().tls_info()), ..ws::vhost() });
    on_call(ws::echo);
    let port = here.port();
    here.during(move || {
        let mut stream = trusting().connect(port, "localhost");
        ws::upgrade(&mut stream, "");
        let long = random_bytes(3, 200_000);
        send(&mut stream, &[ws::text("hello"), ws::frame(FIN | BINARY, &long), ws::close(1000, "")].concat());
        assert_eq!(ws::read_frame(&mut stream), Frame::text("hello"));
        assert!(ws::read_message(&mut stream).0 == long);
        assert_eq!(ws::read_close(&mut stream), 1000);
    });

    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let mut here = Loop::new(VhostInfo { listen: rlws::Listen::unix(&path), ..ws::vhost() });
    on_call(ws::echo);
    here.during(move || {
        let mut stream = std::os::unix::net::UnixStream::connect(path).expect("it listens");
        ws::upgrade(&mut stream, "");
        send(&mut stream, &ws::text("hello"));
        assert_eq!(ws::read_frame(&mut stream), Frame::text("hello"));
    });
}

/// Sends what it is told to everybody, and gets rid of those whose queue is full.
fn broadcast(wsi: &mut Wsi, _: &mut Cx, reason: Reason<'_>) -> Verdict {
    if let Reason::User(_) = reason
        && wsi.write_ws(WsWrite::BINARY, &[1; 60_000]).is_err()
    {
        return Verdict::Close;
    }
    Verdict::Continue
}

#[test]
fn who_does_not_read_a_broadcast_can_be_culled() {
    let mut here = Loop::new(ws::vhost());
    on_call(broadcast);
    let lazy = opened(&mut here, "");
    let mut reader = opened(&mut here, "");
    let [lazy_id, reader_id] = who("Established")[..] else { panic!("two") };
    let reads = std::thread::spawn(move || {
        let mut messages = 0;
        while ws::read_message(&mut reader).0.len() == 60_000 {
            messages += 1;
        }
        messages
    });
    let mut rounds = 0;
    while count_of(lazy_id, "Closed") == 0 {
        rounds += 1;
        let vhost = here.vhost;
        here.cx().callback_all_protocol(vhost, "script", 0);
        assert!(rounds < 10_000, "nobody is culled");
        here.until_it("the other one has it", |here| here.cx().wsi(reader_id).is_some_and(|wsi| wsi.is_flushed()));
    }
    drop(lazy);
    assert_eq!(count_of(reader_id, "Closed"), 0);
    here.cx().close_later(reader_id);
    here.until("the end of the other one", || reads.is_finished());
    assert_eq!(reads.join().expect("it reads"), rounds);
}

#[test]
fn idle_connections_cost_little() {
    let server = Program::start("minimal-ws-server-echo", &["--port", "0", "--interface", "127.0.0.1"]);
    let port = server.port();
    let offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    let open = |count: usize| -> Vec<std::net::TcpStream> {
        (0..count)
            .map(|_| {
                let mut stream = ws::open(port, offer);
                send(&mut stream, &ws::text(&"hello ".repeat(20)));
                assert!(ws::read_message(&mut stream).1, "it is compressed");
                stream
            })
            .collect()
    };
    let warm = open(50);
    let before = server.rss();
    let idle = open(1000);
    let each = server.rss().saturating_sub(before) / 1000;
    assert!(each < 4096, "{each} bytes each");
    drop((warm, idle));
    server.stop();
}

#[test]
fn a_protocol_of_other_roles_is_not_asked() {
    let mut here = Loop::new(VhostInfo {
        protocols: vec![ProtocolTable::of::<rlws::protocols::RawEcho>(), Script::<0>::table()],
        ..ws::vhost()
    });
    let mut stream = opened(&mut here, "");
    send(&mut stream, &ws::text("hello"));
    here.until("it is heard", || count("Receive") == 1);
    let bound = notes().into_iter().find(|note| note.what == "Established").expect("it is there");
    assert_eq!(bound.protocol, NAME);
}
