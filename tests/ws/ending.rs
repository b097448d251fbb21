//! WebSockets that are ended from elsewhere: by another callback, by a server that goes.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use rlws::{CloseCode, Reason, Validity, Verdict, VhostInfo, WsInfo, WsWrite, limits};

use super::util::script::{Loop, count, count_of, on_call, who};
use super::util::{connect, http, read_to_end, send, ws};
use super::{frame_of, opened};

#[test]
fn another_connection_is_told_why_it_is_closed() {
    let mut here = Loop::new(ws::vhost());
    let [kicked, stays] = [(); 2].map(|()| opened(&mut here, ""));
    let [id, _] = who("Established")[..] else { panic!("two") };
    here.cx().close_later_with(id, CloseCode::TRY_AGAIN_LATER, "too slow");
    let frame = frame_of(&mut here, &kicked);
    assert_eq!((frame.code(), &frame.payload[2..]), (1013, &b"too slow"[..]));
    here.cx().close_later_with(id, CloseCode::NORMAL, "it is closed already");
    here.turns();
    assert_eq!((count("Closed"), count_of(id, "Closed")), (1, 1));
    drop((kicked, stays));
}

#[test]
fn what_was_said_first_is_what_the_peer_hears() {
    let mut here = Loop::new(ws::vhost());
    on_call(|wsi, _, reason| match reason {
        Reason::Receive(_) => wsi.close_with(CloseCode::POLICY_VIOLATION, ""),
        _ => Verdict::Continue,
    });
    let mut stream = opened(&mut here, "");
    let id = who("Established")[0];
    send(&mut stream, &ws::text("close"));
    assert_eq!(frame_of(&mut here, &stream).code(), 1008);
    here.cx().close_later_with(id, CloseCode::TRY_AGAIN_LATER, "");
    here.turns();
    assert_eq!(count_of(id, "Closed"), 1);
    drop(stream);
    here.gone(id);
}

#[test]
fn who_is_no_websocket_is_closed_without_a_word() {
    let mut here = Loop::new(ws::vhost());
    let port = here.port();
    let mut stream = here.during(move || connect(port));
    here.until("it is accepted", || count("WsiCreate") == 1);
    let id = who("WsiCreate")[0];
    here.cx().close_later_with(id, CloseCode::TRY_AGAIN_LATER, "too slow");
    assert_eq!(here.during(move || read_to_end(&mut stream)), b"");
}

#[test]
fn a_server_that_goes_tells_its_websockets_and_waits_for_their_answers() {
    let mut here = Loop::frozen(ws::vhost());
    on_call(|wsi, _, reason| {
        if let Reason::Receive(b"pause") = reason {
            wsi.rx_flow_control(false);
        }
        Verdict::Continue
    });
    let [mut answers, mut paused, silent] = [(); 3].map(|()| opened(&mut here, ""));
    let ids = who("Established");
    send(&mut paused, &ws::text("pause"));
    here.until("it is heard", || count("Receive") == 1);
    here.cx().close_websockets_later();
    for stream in [&answers, &paused, &silent] {
        assert_eq!(frame_of(&mut here, stream).code(), 1001);
    }
    assert_eq!(count("Closed"), 0);
    for stream in [&mut answers, &mut paused] {
        send(stream, &[ws::text("is not heard"), ws::close(1001, "")].concat());
    }
    for id in &ids[..2] {
        here.gone(*id);
    }
    assert_eq!((count("Closed"), count("Receive")), (2, 1));
    here.at(limits::WS_CLOSE_WAIT + Duration::from_secs(1));
    here.gone(ids[2]);
}

#[test]
fn what_is_opened_while_the_server_goes_is_closed_at_once() {
    let mut here = Loop::new(ws::vhost());
    here.cx().close_websockets_later();
    let stream = opened(&mut here, "");
    assert_eq!(frame_of(&mut here, &stream).code(), 1001);
    assert_eq!(count("Established"), 1);
}

#[test]
fn other_connections_stay_when_websockets_go() {
    let mut here = Loop::new(ws::vhost());
    let port = here.port();
    let mut stream = here.during(move || connect(port));
    here.cx().close_websockets_later();
    here.turns();
    let status = here.during(move || {
        send(&mut stream, b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n");
        http::read_head(&mut stream).status
    });
    assert_eq!(status, 404);
}

#[test]
fn who_is_timed_out_is_told() {
    let mut here = Loop::frozen(ws::vhost());
    on_call(|wsi, cx, reason| match reason {
        Reason::Established => {
            wsi.set_timeout(cx, Duration::from_secs(10));
            Verdict::Continue
        }
        Reason::Receive(_) => {
            let _not_yet = wsi.close_with(CloseCode::NORMAL, "time is up");
            Verdict::Continue
        }
        _ => Verdict::Continue,
    });
    let [mut prepared, other] = [(); 2].map(|()| opened(&mut here, ""));
    send(&mut prepared, &ws::text("a farewell of its own"));
    here.until("it is heard", || count("Receive") == 1);
    here.at(Duration::from_secs(11));
    assert_eq!((frame_of(&mut here, &prepared).code(), frame_of(&mut here, &other).code()), (1000, 1008));
    assert_eq!(count("Closed"), 2);
}

#[test]
fn a_peer_is_given_up_for_what_it_does_not_do() {
    let validity = Validity { ping: Duration::from_secs(10), hang_up: Duration::from_secs(20) };
    let info = || VhostInfo { ws: WsInfo { validity: Some(validity), ..WsInfo::default() }, ..ws::vhost() };
    for (bytes, why) in [(0, "it does not answer pings"), (limits::TX - 100, "it takes nothing of what is sent to it")]
    {
        let mut here = Loop::frozen(info());
        let is_told = Rc::new(Cell::new(false));
        let told = is_told.clone();
        on_call(move |wsi, _, reason| {
            match reason {
                Reason::Established => wsi.callback_on_writable(),
                Reason::ServerWriteable if bytes > 0 => {
                    wsi.write_ws(WsWrite::BINARY, &vec![0; bytes]).expect("there is room");
                    wsi.callback_on_writable();
                }
                Reason::Closed => {
                    told.set(wsi.close_reason().is_some_and(|reason| reason.to_string().contains(why)));
                }
                _ => {}
            }
            Verdict::Continue
        });
        let stream = opened(&mut here, "");
        let id = who("Established")[0];
        here.turns();
        here.at(Duration::from_millis(10_500));
        here.at(Duration::from_millis(20_500));
        here.gone(id);
        assert!(is_told.get(), "{why}");
        drop(stream);
    }
}
