//! WebSockets that are ended from elsewhere: by another callback, by a server that goes.

use std::time::Duration;

use rlws::{CloseCode, Reason, Verdict, limits};

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
