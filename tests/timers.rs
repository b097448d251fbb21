//! Timers and timeouts of connections: once, in order, and never for a connection that is gone.

mod util;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rlws::{AdoptInfo, ContextInfo, Reason, Verdict, VhostReason, WsiId, limits};
use util::script::{Loop, NAME, count, count_of, home, listening, on_call, on_vhost, order, who};
use util::*;

const MS: Duration = Duration::from_millis(1);
const FOREVER: Duration = Duration::MAX;

/// Adopts one end of a socket pair; the other one.
#[track_caller]
fn adopted(turned: &mut Loop) -> (WsiId, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let info = AdoptInfo::new(turned.vhost, NAME);
    (turned.cx().adopt_unix(theirs, info).expect("adopt_unix"), ours)
}

/// As many connections as asked for, whose times are told at their adoption.
fn many(turned: &mut Loop, count: usize) -> Vec<(WsiId, UnixStream)> {
    let all = (0..count).map(|_| adopted(turned)).collect();
    turned.turns();
    all
}

/// Delays without a pattern, below a second, many of them the same.
fn delays(count: usize) -> Vec<Duration> {
    random_bytes(5, count * 2).chunks(2).map(|b| MS * (u32::from(b[0]) * 4 + u32::from(b[1] & 3))).collect()
}

#[test]
fn a_timer_comes_once_and_not_before_its_time() {
    on_call(|wsi, cx, reason| {
        if let Reason::RawAdopt = reason {
            wsi.set_timer(cx, MS * 100);
        }
        Verdict::Continue
    });
    let mut turned = Loop::frozen(home());
    let (id, _peer) = adopted(&mut turned);
    turned.turns();
    turned.at(MS * 100 - Duration::from_nanos(1));
    assert_eq!(count("Timer"), 0);
    turned.at(MS * 100);
    assert_eq!(who("Timer"), [id]);
    for after in [101, 200, 10_000] {
        turned.at(MS * after);
    }
    assert_eq!(count("Timer"), 1);
}

#[test]
fn a_timer_that_is_set_again_moves_and_one_that_is_cancelled_never_comes() {
    let moves = [(1, Some(50)), (2, Some(500)), (3, Some(20)), (4, None)];
    for (case, moved) in moves {
        on_call(move |wsi, cx, reason| {
            match (reason, moved) {
                (Reason::RawAdopt, _) => wsi.set_timer(cx, MS * 100),
                (Reason::RawRx(_), Some(to)) => wsi.set_timer(cx, MS * to),
                (Reason::RawRx(_), None) => wsi.cancel_timer(),
                _ => {}
            }
            Verdict::Continue
        });
        let mut turned = Loop::frozen(home());
        let (_, mut peer) = adopted(&mut turned);
        turned.turns();
        send(&mut peer, b"move it");
        turned.turns();
        assert_eq!(count("RawRx"), 1, "case {case}");
        let comes = moved.map(|to| MS * to);
        for after in [19, 20, 49, 50, 99, 100, 499, 500, 5000] {
            turned.at(MS * after);
            let due = comes.is_some_and(|comes| comes <= MS * after);
            assert_eq!(count("Timer"), usize::from(due), "case {case} after {after} ms");
        }
    }
}

#[test]
fn timers_by_the_thousand_come_once_each_in_the_order_of_their_times() {
    let mut turned = Loop::frozen(home());
    let connections = many(&mut turned, 2000);
    let delays = delays(connections.len());
    let due: BTreeMap<WsiId, Duration> = connections.iter().map(|(id, _)| *id).zip(delays).collect();
    for (id, after) in &due {
        turned.cx().set_timer(*id, *after);
    }
    for step in [0, 1, 10, 11, 300, 301, 302, 900, 1100] {
        turned.at(MS * step);
        let expected = due.values().filter(|after| **after <= MS * step && (step > 0 || !after.is_zero())).count();
        assert_eq!(count("Timer"), expected, "after {step} ms");
    }
    turned.at(MS * 5000);
    let fired = who("Timer");
    assert_eq!(fired.iter().collect::<BTreeSet<_>>().len(), 2000, "each");
    assert_eq!(fired.len(), 2000, "once");
    assert!(fired.is_sorted_by_key(|id| due[id]), "in order");
}

#[test]
fn timers_that_were_moved_still_come_in_the_order_of_their_times() {
    let mut turned = Loop::frozen(home());
    let connections = many(&mut turned, 500);
    let due: BTreeMap<WsiId, Duration> = connections.iter().map(|(id, _)| *id).zip(delays(500)).collect();
    for id in due.keys() {
        // All were meant for an early time once.
        turned.cx().set_timer(*id, MS);
    }
    for (id, after) in &due {
        turned.cx().set_timer(*id, MS * 10 + *after);
    }
    // One late turn finds all of them due.
    turned.at(MS * 60_000);
    let fired = who("Timer");
    assert_eq!(fired.len(), 500);
    assert!(fired.is_sorted_by_key(|id| due[id]), "out of order");
}

#[test]
fn no_timer_comes_for_a_connection_that_is_gone() {
    on_call(|wsi, cx, reason| {
        match reason {
            // The first that hears its timer closes the connection after it, whose timer is due as well.
            Reason::Timer => {
                if let Some(next) = wsi.opaque_user_data::<WsiId>() {
                    cx.close_later(*next);
                }
            }
            Reason::RawClose | Reason::RawSktDropProtocol => wsi.set_timer(cx, Duration::ZERO),
            _ => {}
        }
        Verdict::Continue
    });
    on_vhost(|call, _, reason| {
        if let VhostReason::WsiDestroy(wsi) = reason {
            wsi.set_timer(call.cx, Duration::ZERO);
            wsi.set_timeout(call.cx, Duration::ZERO);
        }
        Verdict::Continue
    });
    let mut turned = Loop::frozen(home());
    let connections = many(&mut turned, 1000);
    for pair in connections.chunks(2) {
        turned.cx().set_opaque_user_data(pair[0].0, Rc::new(pair[1].0));
        turned.cx().set_timer(pair[0].0, MS * 10);
        turned.cx().set_timer(pair[1].0, MS * 11);
    }
    drop(connections.into_iter().skip(1).step_by(4).collect::<Vec<_>>());
    turned.turns();
    turned.at(MS * 20);
    turned.at(MS * 20);
    turned.at(MS * 40);
    turned.at(MS * 50 + limits::DRAIN_TIME);
    for id in who("Timer") {
        let order = order(id);
        let end = order.iter().position(|what| what == "RawClose").unwrap_or(order.len());
        assert!(!order[end..].iter().any(|what| what == "Timer"), "{order:?}");
    }
    let closed = who("RawClose");
    assert!(closed.len() >= 500, "{}", closed.len());
    assert_eq!(count("Timer") + closed.len(), 1000, "each either hears its timer, or is closed before");
}

#[test]
fn a_timer_that_sets_itself_again_comes_once_a_turn() {
    on_call(|wsi, cx, reason| {
        if matches!(reason, Reason::RawAdopt | Reason::Timer) {
            wsi.set_timer(cx, Duration::ZERO);
        }
        Verdict::Continue
    });
    let mut turned = Loop::frozen(home());
    let (id, _peer) = adopted(&mut turned);
    turned.turns();
    for turn in 1..100 {
        turned.at(MS * turn);
        assert_eq!(count_of(id, "Timer"), turn as usize);
    }
}

#[test]
fn a_timeout_closes_its_connection_once_and_cancelled_it_does_not() {
    on_call(|wsi, cx, reason| {
        match reason {
            Reason::RawAdopt => wsi.set_timeout(cx, MS * 100),
            Reason::RawRx(b"cancel") => wsi.cancel_timeout(),
            Reason::RawRx(b"later") => wsi.set_timeout(cx, MS * 900),
            Reason::RawRx(b"never") => wsi.set_timeout(cx, FOREVER),
            _ => {}
        }
        Verdict::Continue
    });
    let mut turned = Loop::frozen(home());
    let connections: Vec<(WsiId, UnixStream)> = (0..4).map(|_| adopted(&mut turned)).collect();
    turned.turns();
    for ((_, peer), what) in connections.iter().zip(["", "cancel", "later", "never"]) {
        send(&mut &*peer, what.as_bytes());
    }
    turned.turns();
    turned.at(MS * 99);
    assert_eq!(count("RawClose"), 0);
    turned.at(MS * 100);
    assert_eq!(who("RawClose"), [connections[0].0]);
    assert_eq!(read_to_end(&mut &connections[0].1), b"", "it is closed without a word");
    turned.at(MS * 900);
    assert_eq!(who("RawClose"), [connections[0].0, connections[2].0]);
    turned.at(MS * 1_000_000);
    assert_eq!((count("RawClose"), turned.wsi_count()), (2, 2));
}

#[test]
fn a_timeout_does_not_wait_for_what_is_queued() {
    on_call(|wsi, cx, reason| {
        if let Reason::RawAdopt = reason {
            wsi.write(&random_bytes(1, limits::TX)).expect("there is room");
            wsi.set_timeout(cx, MS * 10);
        }
        Verdict::Continue
    });
    let mut turned = Loop::frozen(home());
    let (id, peer) = adopted(&mut turned);
    turned.turns();
    turned.at(MS * 10);
    assert_eq!(turned.wsi_count(), 0, "it does not drain");
    let order = order(id);
    assert_eq!(order[order.len() - 3..], ["RawClose", "RawSktDropProtocol", "WsiDestroy"]);
    assert!(read_until_closed(&mut &peer).0.len() < limits::TX);
}

#[test]
fn of_a_timer_and_a_timeout_at_one_time_the_timeout_counts() {
    let mut turned = Loop::frozen(home());
    let (id, _peer) = adopted(&mut turned);
    turned.turns();
    turned.cx().set_timer(id, MS);
    turned.cx().set_timeout(id, MS);
    turned.at(MS);
    assert_eq!((count("Timer"), count("RawClose")), (0, 1));
}

#[test]
fn a_timer_comes_while_the_role_has_a_deadline_and_does_not_move_it() {
    for timer in [MS, MS * 999, MS * 1000, MS * 1001] {
        on_call(|_, _, _| Verdict::Continue);
        let target = Onward::idle();
        let info = ContextInfo { connect_timeout: MS * 1000, ..Default::default() };
        let hole = BlackHole::new();
        let mut turned = Loop::new_in(info, home());
        // The one has a deadline of its role, the other has none any more.
        let (waiting, up) = (turned.connects_to(&hole.target()), turned.connects_to(&target.target()));
        turned.until("it is up", || count("RawConnected") == 1);
        let cx = turned.cx();
        let now = cx.now();
        for id in [waiting, up] {
            cx.set_timer(id, timer);
        }
        turned.context.service_at(now + timer).expect("service_at");
        assert_eq!(who("Timer"), [up], "who has no protocol yet hears nothing");
        turned.context.service_at(now + MS * 2000).expect("service_at");
        assert_eq!(who("ClientConnectionError"), [waiting]);
        assert_eq!((count("Timer"), count("RawClose")), (1, 0));
    }
}

#[test]
fn a_connection_under_way_can_be_given_less_time_than_its_context_gives() {
    let hole = BlackHole::new();
    let mut turned = Loop::new(home());
    let id = turned.connects_to(&hole.target());
    turned.cx().set_timeout(id, MS * 50);
    let begun = Instant::now();
    turned.until("it is given up", || count_of(id, "ClientConnectionError") == 1);
    assert!(begun.elapsed() >= MS * 50 && begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    assert_eq!(turned.wsi_count(), 0);
    assert_eq!(order(id), ["WsiCreate", "ClientConnectionError", "WsiDestroy"]);
}

#[test]
fn times_set_at_creation_hold_for_the_connection() {
    on_vhost(|call, _, reason| {
        if let VhostReason::WsiCreate(wsi) = reason {
            wsi.set_timer(call.cx, MS * 40);
            wsi.set_timeout(call.cx, MS * 80);
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(listening());
    let client: TcpStream = connect(turned.port());
    turned.until("it hears its timer", || count("Timer") == 1);
    turned.until("it is closed", || count("RawClose") == 1);
    assert_eq!(read_to_end(&mut &client), b"");
}

#[test]
fn the_longest_wait_is_one_without_end() {
    on_call(|wsi, cx, reason| {
        if let Reason::RawAdopt = reason {
            wsi.set_timer(cx, FOREVER);
            wsi.set_timeout(cx, FOREVER);
        }
        Verdict::Continue
    });
    let mut turned = Loop::frozen(home());
    let _connection = adopted(&mut turned);
    turned.turns();
    turned.at(Duration::from_secs(1 << 31));
    assert_eq!((count("RawAdopt"), count("Timer"), count("RawClose")), (1, 0, 0));
}

#[test]
fn a_loop_sleeps_until_the_first_of_thousands_of_timers() {
    let mut turned = Loop::new(home());
    let connections: Vec<(WsiId, UnixStream)> = (0..1000).map(|_| adopted(&mut turned)).collect();
    turned.until("they are adopted", || count("RawAdopt") == 1000);
    let fired: Rc<RefCell<Vec<Instant>>> = Rc::default();
    on_call({
        let fired = fired.clone();
        move |_, cx, reason| {
            if let Reason::Timer = reason {
                fired.borrow_mut().push(cx.now());
            }
            Verdict::Continue
        }
    });
    let now = Instant::now();
    for (number, (id, _)) in connections.iter().enumerate() {
        turned.cx().set_timer(*id, MS * (100 + number as u32 / 100));
    }
    let wanted = turned.context.next_timeout().expect("timers are set");
    let until_first = wanted + now.elapsed();
    assert!(wanted <= MS * 101 && until_first >= MS * 100, "{wanted:?}, {until_first:?}");
    let mut turns = 0;
    while fired.borrow().len() < 1000 {
        turned.context.service(None).expect("service");
        turns += 1;
        assert!(now.elapsed() < DEADLINE);
    }
    assert!(fired.borrow()[0] >= now + MS * 100);
    assert!(turns < 60, "it woke {turns} times for ten times");
}
