//! The closing handshake, faults, and connections that say nothing.

use std::io::{ErrorKind, Read};
use std::time::Duration;

use rlws::{CloseCode, Reason, Validity, Verdict, VhostInfo, WriteError, WsInfo, WsLimits, WsWrite, limits};

use super::util::script::{Loop, count, count_of, notes, on_call, order, who};
use super::util::turned::client_of;
use super::util::ws::{self, BINARY, CLOSE, CONTINUATION, FIN, Frame, PING, PONG, RSV1, TEXT};
use super::util::{half_close, reset, send, settled};
use super::{close_of, frame_of, opened};

#[test]
fn a_peer_that_closes_is_answered_in_kind() {
    for (sent, heard, answer) in [
        (ws::close(1000, "bye"), "WsPeerInitiatedClose(1000)", Some(1000)),
        (ws::close(4999, ""), "WsPeerInitiatedClose(4999)", Some(4999)),
        (ws::frame(FIN | CLOSE, b""), "WsPeerInitiatedClose", None),
    ] {
        let mut here = Loop::new(ws::vhost());
        let mut stream = opened(&mut here, "");
        send(&mut stream, &[&sent[..], &ws::text("too late")].concat());
        let frame = frame_of(&mut here, &stream);
        match answer {
            Some(code) => assert_eq!(frame.code(), code),
            None => assert_eq!(frame, Frame { first: FIN | CLOSE, payload: Vec::new() }),
        }
        let id = who("Established")[0];
        here.gone(id);
        assert!(notes().iter().any(|note| note.whole == heard), "{heard}");
        assert_eq!(
            order(id)[order(id).len() - 4..],
            ["WsPeerInitiatedClose", "Closed", "WsServerDropProtocol", "WsiDestroy"]
        );
    }
}

#[test]
fn the_answer_can_be_another_one() {
    let mut here = Loop::new(ws::vhost());
    on_call(|wsi, _, reason| match reason {
        Reason::WsPeerInitiatedClose(Some(CloseCode::GOING_AWAY), "text") => {
            wsi.close_with(CloseCode::new(4000).expect("a code"), &"é".repeat(100))
        }
        Reason::Closed => {
            assert!(matches!(wsi.write_ws(WsWrite::TEXT, b""), Err(WriteError::Lost)));
            Verdict::Continue
        }
        _ => Verdict::Continue,
    });
    let mut stream = opened(&mut here, "");
    send(&mut stream, &ws::close(1001, "text"));
    let frame = frame_of(&mut here, &stream);
    assert_eq!((frame.code(), &frame.payload[2..]), (4000, "é".repeat(61).as_bytes()));
}

#[test]
fn a_protocol_closes_and_waits_for_the_peer() {
    let mut here = Loop::frozen(ws::vhost());
    on_call(|wsi, _, reason| match reason {
        Reason::Receive(b"close") => wsi.close_with(CloseCode::POLICY_VIOLATION, "why"),
        Reason::Receive(b"plainly") => Verdict::Close,
        _ => Verdict::Continue,
    });
    let [mut one, mut two, mut three] = [(); 3].map(|()| opened(&mut here, ""));
    send(&mut one, &[ws::text("close"), ws::text("is not heard")].concat());
    let frame = frame_of(&mut here, &one);
    assert_eq!((frame.code(), &frame.payload[2..]), (1008, &b"why"[..]));
    send(&mut two, &ws::text("plainly"));
    send(&mut three, &ws::text("plainly"));
    assert_eq!((frame_of(&mut here, &two).code(), frame_of(&mut here, &three).code()), (1000, 1000));
    assert_eq!((count("Receive"), count("Closed")), (3, 0));
    send(&mut one, &ws::close(1008, ""));
    half_close(&two);
    here.until("those who answer or end", || count("Closed") == 2);
    here.at(Duration::from_secs(4));
    assert_eq!(count("Closed"), 2);
    here.at(Duration::from_secs(6));
    here.until("it is cut off", || count("Closed") == 3);
    assert_eq!(count("WsPeerInitiatedClose"), 0);
}

#[test]
fn a_close_goes_on_while_nothing_is_to_be_received() {
    let mut here = Loop::new(ws::vhost());
    on_call(|wsi, _, reason| match reason {
        Reason::Receive(_) => {
            wsi.rx_flow_control(false);
            wsi.callback_on_writable();
            Verdict::Close
        }
        _ => Verdict::Continue,
    });
    let mut stream = opened(&mut here, "");
    send(&mut stream, &[ws::text("a"), ws::text("b"), ws::close(1000, "")].concat());
    assert_eq!(close_of(&mut here, &stream), 1000);
    let id = who("Established")[0];
    here.gone(id);
    assert_eq!((count("Receive"), count("ServerWriteable")), (1, 0));
}

#[test]
fn faults_are_told_by_their_codes() {
    let limits = WsLimits { frame: 1000, message: 1500, fragments: 3, control_frames: 5, ..WsLimits::default() };
    let part = || ws::frame(CONTINUATION, b"a");
    let many = |count: usize, frame: Vec<u8>| std::iter::repeat_n(frame, count).collect::<Vec<_>>().concat();
    for (sent, code) in [
        (ws::unmasked(FIN | TEXT, b"a"), 1002),
        (ws::frame(FIN | RSV1 | TEXT, b"a"), 1002),
        (ws::frame(FIN | 0x20 | TEXT, b"a"), 1002),
        (ws::frame(FIN | 3, b""), 1002),
        (ws::frame(PING, b""), 1002),
        (ws::frame(FIN | PING, &[0; 126]), 1002),
        (part(), 1002),
        ([ws::frame(TEXT, b"a"), ws::text("b")].concat(), 1002),
        (ws::frame(FIN | CLOSE, b"x"), 1002),
        (ws::close(1005, ""), 1002),
        (ws::close(999, ""), 1002),
        (ws::frame(FIN | CLOSE, b"\x03\xe8\xff"), 1007),
        (ws::frame(FIN | TEXT, b"\xff"), 1007),
        ([ws::frame(TEXT, b"\xce"), ws::frame(FIN | CONTINUATION, b"")].concat(), 1007),
        (ws::frame(TEXT, b"\xed\xa0"), 1007),
        (ws::frame(FIN | BINARY, &[0; 1001])[..10].to_vec(), 1009),
        ([ws::frame(BINARY, &[0; 1000]), ws::frame(CONTINUATION, &[0; 501])[..10].to_vec()].concat(), 1009),
        ([ws::frame(TEXT, b"a"), many(3, part())].concat(), 1008),
        (many(6, ws::frame(FIN | PONG, b"")), 1008),
        (vec![FIN | BINARY, 0x80 | 127, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0], 1002),
        (vec![FIN | BINARY, 0x80 | 126, 0, 125, 0, 0, 0, 0], 1002),
    ] {
        let ws = WsInfo { limits, ..WsInfo::default() };
        let mut here = Loop::new(VhostInfo { ws, ..ws::vhost() });
        let mut stream = opened(&mut here, "");
        send(&mut stream, &sent);
        assert_eq!(close_of(&mut here, &stream), code, "{sent:02x?}");
        // Nobody waits for the end of one who has hung up.
        drop(stream);
        let id = who("Established")[0];
        here.gone(id);
        assert_eq!((count_of(id, "Closed"), count_of(id, "WsPeerInitiatedClose")), (1, 0));
    }
}

#[test]
fn who_is_closed_from_elsewhere_is_told() {
    let mut here = Loop::new(ws::vhost());
    let stream = opened(&mut here, "");
    let id = who("Established")[0];
    here.cx().close_later(id);
    assert_eq!(close_of(&mut here, &stream), 1000);

    let stream = opened(&mut here, "");
    let vhost = here.vhost;
    here.context.destroy_vhost(vhost);
    assert_eq!(close_of(&mut here, &stream), 1001);
}

#[test]
fn a_timer_that_closes_says_1000_or_what_it_wants() {
    for (says, code) in [(None, 1000), (CloseCode::new(3000), 3000)] {
        let mut here = Loop::new(ws::vhost());
        on_call(move |wsi, cx, reason| match reason {
            Reason::Established => {
                wsi.set_timer(cx, Duration::ZERO);
                Verdict::Continue
            }
            Reason::Timer => says.map_or(Verdict::Close, |code| wsi.close_with(code, "")),
            _ => Verdict::Continue,
        });
        let stream = opened(&mut here, "");
        assert_eq!(close_of(&mut here, &stream), code);
    }
}

#[test]
fn an_end_without_a_close_is_a_close_all_the_same() {
    let mut here = Loop::new(ws::vhost());
    on_call(ws::echo);
    let mut leaves = opened(&mut here, "");
    send(&mut leaves, &[&ws::text("last words")[..], &ws::text("a part of")[..5]].concat());
    half_close(&leaves);
    assert_eq!(frame_of(&mut here, &leaves), Frame::text("last words"), "who still reads gets its answer");
    let resets = opened(&mut here, "");
    let ids = who("Established");
    reset(resets);
    for id in ids {
        here.gone(id);
        assert_eq!((count_of(id, "Closed"), count_of(id, "WsServerDropProtocol")), (1, 1));
    }
}

const VALID: Validity = Validity { ping: Duration::from_secs(10), hang_up: Duration::from_secs(20) };

fn validated() -> VhostInfo {
    VhostInfo { ws: WsInfo { validity: Some(VALID), ..WsInfo::default() }, ..ws::vhost() }
}

#[test]
fn who_says_nothing_is_pinged_and_then_given_up() {
    let mut here = Loop::frozen(validated());
    let [mut answers, silent] = [(); 2].map(|()| opened(&mut here, ""));
    let [_, silent_id] = who("Established")[..] else { panic!("two") };
    here.at(Duration::from_secs(9));
    send(&mut answers, &ws::text("hello"));
    here.until("it is heard", || count("Receive") == 1);
    here.at(Duration::from_millis(10_500));
    assert_eq!(frame_of(&mut here, &silent), Frame { first: FIN | PING, payload: Vec::new() });
    here.at(Duration::from_millis(19_500));
    assert_eq!(frame_of(&mut here, &answers), Frame { first: FIN | PING, payload: Vec::new() });
    send(&mut answers, &ws::frame(FIN | PONG, b""));
    here.until("it is heard", || count("ReceivePong") == 1);
    assert_eq!(count("Closed"), 0);
    here.at(Duration::from_millis(20_500));
    here.gone(silent_id);
    assert_eq!((count("Closed"), count_of(silent_id, "Closed")), (1, 1));
    here.at(Duration::from_secs(30));
    assert_eq!((frame_of(&mut here, &answers).first, count("Closed")), (FIN | PING, 1));
}

#[test]
fn who_answers_is_pinged_again_after_the_same_silence() {
    let validity = Validity { ping: Duration::from_secs(10), hang_up: Duration::from_secs(300) };
    let mut here =
        Loop::frozen(VhostInfo { ws: WsInfo { validity: Some(validity), ..WsInfo::default() }, ..ws::vhost() });
    let mut stream = opened(&mut here, "");
    for (pongs, seconds) in [(1, 10), (2, 20), (3, 30)] {
        here.at(Duration::from_secs(seconds));
        assert_eq!(frame_of(&mut here, &stream), Frame { first: FIN | PING, payload: Vec::new() });
        send(&mut stream, &ws::frame(FIN | PONG, b""));
        here.until("it is heard", || count("ReceivePong") == pongs);
    }
}

#[test]
fn who_is_not_listened_to_is_not_silent() {
    let mut here = Loop::frozen(validated());
    on_call(|wsi, _, reason| {
        if let Reason::Established = reason {
            wsi.rx_flow_control(false);
        }
        Verdict::Continue
    });
    let stream = opened(&mut here, "");
    for seconds in [11, 21, 31, 41] {
        here.at(Duration::from_secs(seconds));
        here.turns();
    }
    assert_eq!(count("Closed"), 0);
    stream.set_nonblocking(true).expect("own socket");
    assert_eq!(stream.peek(&mut [0]).expect_err("no ping").kind(), ErrorKind::WouldBlock);
    stream.set_nonblocking(false).expect("own socket");

    let id = who("Established")[0];
    here.cx().rx_flow_control(id, true);
    here.at(Duration::from_secs(52));
    assert_eq!(frame_of(&mut here, &stream), Frame { first: FIN | PING, payload: Vec::new() });
    here.at(Duration::from_secs(62));
    here.gone(id);
}

/// The poll tells of room only when much of the system's buffer has been read, which takes such a peer longer than the hang-up is away.
#[test]
fn who_reads_slowly_is_not_silent() {
    const EACH_SECOND: usize = 20_000;
    let validity = Validity { ping: Duration::from_secs(10), hang_up: Duration::from_secs(20) };
    let mut here =
        Loop::frozen(VhostInfo { ws: WsInfo { validity: Some(validity), ..WsInfo::default() }, ..ws::vhost() });
    on_call(|wsi, _, reason| {
        if let Reason::ServerWriteable = reason {
            wsi.write_ws(WsWrite::BINARY, &vec![0; limits::TX / 2]).expect("there is room");
        }
        if let Reason::Established | Reason::ServerWriteable = reason {
            wsi.callback_on_writable();
        }
        Verdict::Continue
    });
    let port = here.port();
    let mut stream = here.during(move || {
        let mut stream = client_of(port, 64 * 1024);
        ws::upgrade(&mut stream, "");
        stream
    });
    settled(|| {
        here.turns();
        count("ServerWriteable")
    });
    let mut piece = vec![0; EACH_SECOND];
    for second in 1..=10 * validity.hang_up.as_secs() {
        stream.read_exact(&mut piece).expect("the server has more than it has sent");
        here.at(Duration::from_secs(second));
        here.turns();
        assert_eq!(count("Closed"), 0, "after {second} s");
    }
}

#[test]
fn pings_that_waited_are_not_too_many() {
    let mut here = Loop::frozen(ws::vhost());
    let mut stream = opened(&mut here, "");
    let id = who("Established")[0];
    here.cx().rx_flow_control(id, false);
    here.turns();
    send(&mut stream, &[ws::frame(FIN | PING, b"").repeat(120), ws::text("still here")].concat());
    here.at(Duration::from_secs(120));
    here.cx().rx_flow_control(id, true);
    here.until("it is heard", || count("Receive") == 1);
    send(&mut stream, &ws::frame(FIN | PING, b"").repeat(60 * 100));
    here.until("but no more than a minute's", || count("Closed") == 1);
}

#[test]
fn who_closes_is_not_given_more_time_by_validity() {
    let mut here = Loop::frozen(validated());
    on_call(|_, _, reason| match reason {
        Reason::Receive(_) => Verdict::Close,
        _ => Verdict::Continue,
    });
    let mut stream = opened(&mut here, "");
    send(&mut stream, &ws::text("close"));
    assert_eq!(frame_of(&mut here, &stream).code(), 1000);
    here.at(Duration::from_secs(4));
    send(&mut stream, &ws::text("still here"));
    here.turns();
    here.at(Duration::from_secs(6));
    here.until("it is cut off", || count("Closed") == 1);
}
