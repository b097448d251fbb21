//! Much that goes in both directions at once.

use std::cell::Cell;
use std::io::{ErrorKind, Read};
use std::rc::Rc;
use std::time::Duration;

use rlws::{ConnectInfo, Reason, Validity, Verdict, VhostInfo, WsConnect, WsInfo, WsWrite, limits};

use super::util::script::{Loop, NAME, count, on_call, who};
use super::util::send;
use super::util::turned::small_client;
use super::util::ws::{self, BINARY};

/// More than sockets hold, in messages of nearly as much as may be queued.
const MESSAGES: usize = 60;
static MESSAGE: [u8; 400_000] = [7; 400_000];

/// Connects the loop to itself.
fn connects_to_itself(here: &mut Loop) {
    let target = format!("ipv4:127.0.0.1:{}", here.port()).parse().expect("a target");
    let info = ConnectInfo::ws(here.vhost, target, NAME, WsConnect::to("localhost"));
    here.cx().client_connect(info).expect("client_connect");
}

#[test]
fn two_that_both_have_much_to_say_hear_each_other() {
    let mut here = Loop::new(ws::vhost());
    let heard: [Rc<Cell<usize>>; 2] = Default::default();
    let ([by_client, by_server], said) = (heard.clone(), [Cell::new(0), Cell::new(0)]);
    on_call(move |wsi, _, reason| {
        match reason {
            Reason::Established | Reason::ClientEstablished => wsi.callback_on_writable(),
            Reason::ServerWriteable | Reason::ClientWriteable => {
                let said = &said[usize::from(matches!(reason, Reason::ClientWriteable))];
                if said.get() < MESSAGES {
                    wsi.write_ws(WsWrite::BINARY, &MESSAGE).expect("there is room");
                    said.set(said.get() + 1);
                    wsi.callback_on_writable();
                }
            }
            Reason::ClientReceive(data) => by_client.set(by_client.get() + data.len()),
            Reason::Receive(data) => by_server.set(by_server.get() + data.len()),
            _ => {}
        }
        Verdict::Continue
    });
    connects_to_itself(&mut here);
    here.until("each has heard all", || heard.iter().all(|heard| heard.get() == MESSAGES * MESSAGE.len()));
}

#[test]
fn who_writes_more_than_sockets_hold_hears_the_echo_of_all() {
    let mut here = Loop::new(ws::vhost());
    let echoed = Rc::new(Cell::new(0));
    let (heard, said) = (echoed.clone(), Cell::new(0));
    on_call(move |wsi, cx, reason| {
        match reason {
            Reason::ClientEstablished => wsi.callback_on_writable(),
            Reason::ClientWriteable if said.get() < MESSAGES => {
                wsi.write_ws(WsWrite::BINARY, &MESSAGE).expect("there is room");
                said.set(said.get() + 1);
                wsi.callback_on_writable();
            }
            Reason::ClientReceive(data) => heard.set(heard.get() + data.len()),
            Reason::Receive(_) => return ws::echo(wsi, cx, reason),
            _ => {}
        }
        Verdict::Continue
    });
    connects_to_itself(&mut here);
    here.until("all has come back", || echoed.get() == MESSAGES * MESSAGE.len());
}

#[test]
fn who_has_filled_his_queue_can_still_answer_but_not_without_end() {
    let mut here = Loop::new(ws::vhost());
    on_call(|wsi, _, reason| {
        match reason {
            Reason::User(_) => wsi.write_ws(WsWrite::BINARY, &vec![7; wsi.tx_room()]).expect("there is room"),
            Reason::Receive(_) => {
                assert_eq!(wsi.tx_room(), limits::TX, "no answer waits");
                wsi.write_ws(WsWrite::BINARY, &[8; limits::WS_ANSWERS]).expect("there is room");
            }
            _ => {}
        }
        Verdict::Continue
    });
    let port = here.port();
    let mut stream = here.during(move || {
        let mut stream = small_client(port);
        ws::upgrade(&mut stream, "");
        stream
    });
    let (id, vhost) = (who("Established")[0], here.vhost);
    here.until_it("the queue is full", |here| {
        here.cx().callback_all_protocol(vhost, NAME, 0);
        here.cx().wsi(id).is_some_and(|wsi| wsi.tx_room() == 0)
    });
    send(&mut stream, &[ws::text("a"), ws::text("b")].concat());
    here.until("the first one", || count("Receive") == 1);
    here.turns();
    assert_eq!(count("Receive"), 1, "its answer waits");
    here.during(move || while ws::read_frame(&mut stream).payload.first() != Some(&8) {});
    here.until("the second one", || count("Receive") == 2);
}

#[test]
fn who_reads_slowly_is_not_silent() {
    let validity = Validity { ping: Duration::from_secs(10), hang_up: Duration::from_secs(20) };
    let mut here =
        Loop::frozen(VhostInfo { ws: WsInfo { validity: Some(validity), ..WsInfo::default() }, ..ws::vhost() });
    on_call(|wsi, _, reason| {
        if let Reason::Receive(_) = reason {
            wsi.write_ws(WsWrite::BINARY, &MESSAGE).expect("there is room");
        }
        Verdict::Continue
    });
    let port = here.port();
    let mut stream = here.during(move || {
        let mut stream = small_client(port);
        ws::upgrade(&mut stream, "");
        stream
    });
    stream.set_nonblocking(true).expect("own socket");
    send(&mut stream, &ws::frame(0x80 | BINARY, b"more").repeat(MESSAGES));
    let id = who("Established")[0];
    let waits = |here: &mut Loop| here.cx().wsi(id).map(|wsi| (wsi.is_flushed(), wsi.tx_room()));
    here.until_it("answers wait", |here| waits(here).is_some_and(|(flushed, _)| !flushed));
    for seconds in [11, 21, 31, 41] {
        here.at(Duration::from_secs(seconds));
        assert_eq!(count("Closed"), 0);
        let before = waits(&mut here);
        here.until_it("it has read some", |here| match stream.read(&mut [0; 100_000]) {
            Err(error) if error.kind() != ErrorKind::WouldBlock => panic!("{error}"),
            _ => waits(here) != before,
        });
        assert!(waits(&mut here).is_some_and(|(flushed, _)| !flushed), "more waits");
    }
    for seconds in [51, 61, 72] {
        assert_eq!(count("Closed"), 0);
        here.at(Duration::from_secs(seconds));
    }
    here.gone(id);
}
