//! Connections that outlive their peer's end: `Wsi::allow_half_close`, `Reason::RawEof` and `Wsi::shutdown_write`.

mod util;

use std::cell::RefCell;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use rlws::{AdoptInfo, ConnectInfo, Cx, Reason, Verdict, VhostInfo, Wsi, WsiId, limits};
use socket2::Socket;
use util::script::*;
use util::tls::{Ending, read_until_the_end, trusting};
use util::*;

fn tls_listening() -> VhostInfo {
    VhostInfo { name: "localhost".into(), tls: Some(certs::localhost().tls_info()), ..listening() }
}

/// Allows it from the start, and does `at_eof` when the peer has ended.
fn outlives(at_eof: impl Fn(&mut Wsi, &mut Cx) -> Verdict + 'static) {
    on_call(move |wsi, cx, reason| {
        match reason {
            Reason::RawAdopt | Reason::RawConnected => wsi.allow_half_close(),
            Reason::RawEof => return at_eof(wsi, cx),
            _ => {}
        }
        Verdict::Continue
    });
}

/// Writes that much whenever it can, and then ends its side.
fn answers(answer: Vec<u8>) {
    let sent = RefCell::new(0);
    on_call(move |wsi, _, reason| {
        match reason {
            Reason::RawAdopt => wsi.allow_half_close(),
            Reason::RawEof => wsi.callback_on_writable(),
            Reason::RawWriteable => {
                let rest = &answer[*sent.borrow()..];
                let piece = &rest[..rest.len().min(limits::TX)];
                wsi.write(piece).expect("everything before is sent");
                *sent.borrow_mut() += piece.len();
                match piece.is_empty() {
                    true => wsi.shutdown_write().expect("raw-skt"),
                    false => wsi.callback_on_writable(),
                }
            }
            _ => {}
        }
        Verdict::Continue
    });
}

const ENDED_BY_BOTH: [&str; 7] =
    ["WsiCreate", "ServerNewClientInstantiated", "RawSktBindProtocol", "RawAdopt", "RawRx", "RawEof", "RawWriteable"];

#[test]
fn the_answer_comes_after_the_peers_end_in_plain_text_and_over_tls() {
    let (question, answer) = (random_bytes(1, 1_000_000), random_bytes(2, 3_000_000));
    for over_tls in [false, true] {
        let mut turned = Loop::new(if over_tls { tls_listening() } else { listening() });
        answers(answer.clone());
        let (port, question_sent) = (turned.port(), question.clone());
        let heard = turned.during(move || match over_tls {
            false => {
                let mut peer = connect(port);
                send(&mut peer, &question_sent);
                half_close(&peer);
                read_to_end(&mut peer)
            }
            true => {
                let mut peer = trusting().connect(port, "localhost");
                send(&mut peer, &question_sent);
                tls::say_goodbye(&mut peer);
                let (heard, ending) = read_until_the_end(&mut peer);
                assert_eq!(ending, Ending::Orderly);
                heard
            }
        });
        assert_same_bytes(&heard, &answer);
        let id = who("RawEof")[0];
        turned.gone(id);
        assert_same_bytes(&received(id), &question);
        assert_eq!(count_of(id, "RawEof"), 1);
        let mut order = order(id);
        order.dedup();
        assert_eq!(order[..7], ENDED_BY_BOTH);
        assert_eq!(order[7..], ["RawClose", "RawSktDropProtocol", "WsiDestroy"]);
    }
}

#[test]
fn a_connection_ends_as_soon_as_both_sides_have_ended_whichever_was_first() {
    for over_tcp in [false, true] {
        // The peer first: its end is answered with ours, at once.
        let mut turned = Loop::new(listening());
        outlives(|wsi, _| {
            wsi.shutdown_write().expect("raw-skt");
            Verdict::Continue
        });
        let (id, peer) = begun(&mut turned, over_tcp);
        ends(&peer);
        turned.gone(id);

        // We first.
        on_call(|wsi, _, reason| {
            if let Reason::RawAdopt = reason {
                wsi.allow_half_close();
                wsi.shutdown_write().expect("raw-skt");
            }
            Verdict::Continue
        });
        let (id, mut peer) = begun(&mut turned, over_tcp);
        assert_eq!(read_to_end(&mut peer), b"");
        turned.turns();
        assert_eq!(order(id).last().map(String::as_str), Some("RawAdopt"), "it goes on receiving");
        ends(&peer);
        turned.gone(id);
        assert_eq!(count_of(id, "RawEof"), 1);
    }
}

/// A peer over TCP, or over a unix socket that was adopted.
#[track_caller]
fn begun(turned: &mut Loop, over_tcp: bool) -> (WsiId, Socket) {
    let before = count("RawAdopt");
    let peer = if over_tcp {
        connect(turned.port()).into()
    } else {
        let (ours, theirs) = UnixStream::pair().expect("socketpair");
        let info = AdoptInfo::new(turned.vhost, NAME);
        turned.cx().adopt_unix(theirs, info).expect("adopt_unix");
        ours.into()
    };
    turned.until("a connection", || count("RawAdopt") > before);
    (*who("RawAdopt").last().expect("there is one"), peer)
}

/// It sends no more, and stays.
#[track_caller]
fn ends(peer: &Socket) {
    peer.shutdown(Shutdown::Write).expect("shutdown");
}

#[test]
fn the_protocol_may_close_after_the_peers_end_at_once_or_later() {
    let mut turned = Loop::new(listening());
    outlives(|wsi, _| {
        wsi.write(b"bye").expect("there is room");
        Verdict::Close
    });
    let peer = connect(turned.port());
    half_close(&peer);
    let mut reader = peer.try_clone().expect("dup");
    assert_eq!(turned.during(move || read_to_end(&mut reader)), b"bye");
    turned.gone(who("RawEof")[0]);

    outlives(|wsi, cx| {
        wsi.set_timer(cx, Duration::from_millis(20));
        Verdict::Continue
    });
    let peer = connect(turned.port());
    half_close(&peer);
    turned.until("the timer", || count("Timer") == 1);
    let id = who("Timer")[0];
    turned.turns();
    assert_eq!(count_of(id, "RawClose"), 0, "nobody ends it but its protocol");
    turned.cx().close_later(id);
    turned.gone(id);
}

#[test]
fn the_end_waits_behind_the_bytes_while_the_protocol_rests() {
    let mut turned = Loop::new(listening());
    on_call(|wsi, _, reason| {
        if let Reason::RawAdopt = reason {
            wsi.allow_half_close();
            wsi.rx_flow_control(false);
        }
        Verdict::Continue
    });
    let mut peer = connect(turned.port());
    send(&mut peer, b"question");
    half_close(&peer);
    turned.until("it is there", || count("RawAdopt") == 1);
    turned.turns();
    let id = who("RawAdopt")[0];
    assert_eq!(order(id).last().map(String::as_str), Some("RawAdopt"));
    turned.cx().rx_flow_control(id, true);
    turned.until("the end", || count_of(id, "RawEof") == 1);
    assert_eq!(received(id), b"question");
}

#[test]
fn the_end_comes_behind_all_that_was_written_before_it_however_late_that_is_read() {
    for closes in [false, true] {
        let mut turned = Loop::new(listening());
        let bytes = random_bytes(3, limits::TX);
        let all = bytes.clone();
        on_call(move |wsi, _, reason| {
            if let Reason::RawAdopt = reason {
                // More than the socket takes.
                wsi.write(&all).expect("there is room");
                assert!(closes || wsi.shutdown_write().is_ok());
                return if closes { Verdict::Close } else { Verdict::Continue };
            }
            Verdict::Continue
        });
        let (id, peer) = begun(&mut turned, false);
        turned.turns();
        let heard = turned.during(move || read_to_end(&mut &peer));
        assert_same_bytes(&heard, &bytes);
        turned.gone(id);
    }
}

#[test]
fn a_peer_that_resets_after_its_end_ends_the_connection() {
    let mut turned = Loop::new(listening());
    outlives(|_, _| Verdict::Continue);
    let peer = connect(turned.port());
    half_close(&peer);
    turned.until("its end", || count("RawEof") == 1);
    reset(peer);
    turned.gone(who("RawEof")[0]);
}

#[test]
fn unless_it_is_allowed_the_peers_end_is_the_connections() {
    let mut turned = Loop::new(listening());
    let peer = connect(turned.port());
    half_close(&peer);
    turned.until("the close", || count("RawClose") == 1);
    assert_eq!(count("RawEof"), 0);
}

#[test]
fn of_what_is_no_socket_the_end_is_the_connections_even_so() {
    let mut turned = Loop::new(home());
    on_call(|wsi, _, _| {
        wsi.allow_half_close();
        Verdict::Continue
    });
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let id = turned.adopts_file(reader);
    drop(writer);
    turned.gone(id);
    assert_eq!(count_of(id, "RawEof"), 0);
}

/// What the two connections of a bridge have for each other.
#[derive(Default)]
struct Side {
    id: Option<WsiId>,
    waiting: Vec<u8>,
    has_ended: bool,
}

/// A bridge as a protocol builds it by hand: each accepted connection has one onward.
fn bridges(onward: &str) {
    let onward: rlws::Target = onward.parse().expect("a target");
    let sides: Rc<RefCell<[Side; 2]>> = Rc::default();
    on_call(move |wsi, cx, reason| {
        let mut sides = sides.borrow_mut();
        let mine = usize::from(wsi.parent().is_some());
        let other = sides[1 - mine].id;
        match reason {
            Reason::RawAdopt => {
                wsi.allow_half_close();
                let info = ConnectInfo::new(wsi.vhost(), onward.clone(), NAME).parent(wsi.id());
                sides[0].id = Some(wsi.id());
                sides[1].id = cx.client_connect(info).ok();
            }
            Reason::RawConnected => {
                wsi.allow_half_close();
                wsi.callback_on_writable();
            }
            Reason::RawRx(bytes) => {
                sides[mine].waiting.extend_from_slice(bytes);
                wsi.rx_flow_control(false);
                other.into_iter().for_each(|other| cx.callback_on_writable(other));
            }
            Reason::RawEof => {
                sides[mine].has_ended = true;
                other.into_iter().for_each(|other| cx.callback_on_writable(other));
            }
            Reason::RawWriteable => {
                let from = &mut sides[1 - mine];
                if !from.waiting.is_empty() {
                    wsi.write(&std::mem::take(&mut from.waiting)).expect("everything before is sent");
                    wsi.callback_on_writable();
                } else if from.has_ended {
                    wsi.shutdown_write().expect("raw-skt");
                } else {
                    other.into_iter().for_each(|other| cx.rx_flow_control(other, true));
                }
            }
            _ => {}
        }
        Verdict::Continue
    });
}

#[test]
fn a_bridge_made_by_hand_passes_half_close_on_both_ways() {
    let (question, answer) = (random_bytes(3, 2_000_000), random_bytes(4, 2_000_000));
    let onward = Onward::answers_after_eof(answer.clone());
    let mut turned = Loop::new(listening());
    bridges(&onward.target());
    let (port, asked) = (turned.port(), question.clone());
    let heard = turned.during(move || {
        let mut peer = connect(port);
        send(&mut peer, &asked);
        half_close(&peer);
        read_to_end(&mut peer)
    });
    assert_same_bytes(&heard, &answer);
    assert_same_bytes(&onward.connection(0).bytes(), &question);
    // The listen socket stays.
    turned.until_it("both are gone", |turned| turned.wsi_count() == 1);
    assert_eq!(count("RawEof"), 2);

    // The other way round: the server ends first.
    let onward = Onward::source(answer.clone());
    bridges(&onward.target());
    let (port, asked) = (turned.port(), question.clone());
    let heard = turned.during(move || {
        let mut peer = connect(port);
        let heard = read_to_end(&mut peer);
        send(&mut peer, &asked);
        heard
    });
    assert_same_bytes(&heard, &answer);
    turned.until_it("both are gone", |turned| turned.wsi_count() == 1);
    eventually("the server has read to the end", || onward.connection(0).eof());
    assert_same_bytes(&onward.connection(0).bytes(), &question);
}
