//! Calls that are scheduled for a protocol of a vhost: once, in order, in a later turn, and no longer than the vhost lives.

mod util;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rlws::{Cx, Error, Listen, Reason, Retry, SulId, Verdict, VhostId, VhostInfo, VhostReason, limits};
use util::script::{Loop, NAME, count, count_of, home, notes, on_call, on_init, on_vhost, order};
use util::*;

const MS: Duration = Duration::from_millis(1);

/// The scheduled calls that came, in their order.
fn heard() -> Rc<RefCell<Vec<SulId>>> {
    let heard: Rc<RefCell<Vec<SulId>>> = Rc::default();
    on_vhost({
        let heard = heard.clone();
        move |_, _, reason| {
            if let VhostReason::Sul(sul) = reason {
                heard.borrow_mut().push(sul);
            }
            Verdict::Continue
        }
    });
    heard
}

/// Something to do at every scheduled call.
fn on_sul(call: impl Fn(&mut Cx, VhostId, SulId) + 'static) {
    on_vhost(move |on, _, reason| {
        if let VhostReason::Sul(sul) = reason {
            call(on.cx, on.vhost, sul);
        }
        Verdict::Continue
    });
}

#[test]
fn calls_by_the_thousand_come_once_in_order_and_of_one_time_in_the_order_of_asking() {
    let heard = heard();
    let mut turned = Loop::frozen(home());
    let vhost = turned.vhost;
    let delays: Vec<u32> = random_bytes(3, 5000).into_iter().map(u32::from).collect();
    let asked: Vec<(Duration, SulId)> =
        delays.iter().map(|ms| (MS * *ms, turned.cx().schedule(vhost, NAME, MS * *ms).expect("schedule"))).collect();
    let mut expected = asked.clone();
    expected.sort_by_key(|(after, _)| *after); // which keeps the order of equal ones
    assert_eq!(heard.borrow().len(), 0, "never from inside");
    for step in [1, 2, 100, 254, 300, 400] {
        turned.at(MS * step);
        let due: Vec<SulId> = expected.iter().filter(|(at, _)| *at <= MS * step).map(|(_, sul)| *sul).collect();
        assert_eq!(*heard.borrow(), due, "after {step} ms");
    }
    assert_eq!(heard.borrow().len(), 5000);
}

#[test]
fn a_call_is_for_the_protocol_that_it_was_scheduled_for_alone() {
    let mut turned = Loop::frozen(home());
    let vhost = turned.vhost;
    turned.cx().schedule(vhost, "extra", MS).expect("schedule");
    turned.at(MS);
    let suls: Vec<_> = notes().into_iter().filter(|note| note.what == "Sul").map(|note| note.protocol).collect();
    assert_eq!(suls, ["extra"]);
}

#[test]
fn a_cancelled_call_never_comes_and_only_one_that_is_to_come_can_be_cancelled() {
    let heard = heard();
    let mut turned = Loop::frozen(home());
    let vhost = turned.vhost;
    let suls: Vec<SulId> =
        (0..1000).map(|n| turned.cx().schedule(vhost, NAME, MS * (n % 7)).expect("schedule")).collect();
    for sul in suls.iter().step_by(2) {
        assert!(turned.cx().cancel_sul(*sul));
        assert!(!turned.cx().cancel_sul(*sul), "it is cancelled already");
    }
    turned.at(MS * 10);
    assert_eq!(heard.borrow().len(), 500);
    assert!(suls.iter().step_by(2).all(|sul| !heard.borrow().contains(sul)));
    assert!(suls.iter().all(|sul| !turned.cx().cancel_sul(*sul)), "what has come cannot be cancelled");
}

#[test]
fn a_call_may_cancel_others_that_are_due_with_it() {
    let asked: Rc<RefCell<Vec<SulId>>> = Rc::default();
    let came = Rc::new(Cell::new(0));
    on_sul({
        let (asked, came) = (asked.clone(), came.clone());
        move |cx, _, sul| {
            came.set(came.get() + 1);
            assert!(!cx.cancel_sul(sul), "it has come");
            let rest: Vec<SulId> = asked.borrow().iter().copied().filter(|other| *other != sul).collect();
            assert!(rest.into_iter().all(|other| cx.cancel_sul(other)));
        }
    });
    let mut turned = Loop::frozen(home());
    let vhost = turned.vhost;
    *asked.borrow_mut() = (0..100).map(|_| turned.cx().schedule(vhost, NAME, MS).expect("schedule")).collect();
    turned.at(MS * 5);
    turned.at(MS * 6);
    assert_eq!(came.get(), 1);
}

#[test]
fn an_id_is_never_used_twice() {
    let ids: Rc<RefCell<Vec<SulId>>> = Rc::default();
    on_sul({
        let ids = ids.clone();
        move |_, _, sul| ids.borrow_mut().push(sul)
    });
    let mut turned = Loop::frozen(home());
    let vhost = turned.vhost;
    let first = turned.cx().schedule(vhost, NAME, MS).expect("schedule");
    assert!(turned.cx().cancel_sul(first));
    let second = turned.cx().schedule(vhost, NAME, MS).expect("schedule");
    assert_ne!(first, second);
    assert!(!turned.cx().cancel_sul(first), "the stale one finds nothing");
    turned.at(MS);
    assert_eq!(*ids.borrow(), [second]);
}

#[test]
fn a_call_scheduled_from_init_comes_after_all_protocols_are_initialised() {
    on_init(|call, protocol| {
        if protocol == NAME {
            // Also for one that is not initialised yet.
            call.cx.schedule(call.vhost, NAME, Duration::ZERO)?;
            call.cx.schedule(call.vhost, "extra", Duration::ZERO)?;
        }
        Ok(())
    });
    let mut turned = Loop::new(home());
    turned.until("both come", || count("Sul") == 2);
    let order: Vec<String> = notes().into_iter().map(|note| format!("{} {}", note.protocol, note.what)).collect();
    assert_eq!(order, ["script ProtocolInit", "extra ProtocolInit", "script Sul", "extra Sul"]);
}

#[test]
fn no_delay_is_a_later_turn_and_never_this_one() {
    on_sul(|cx, vhost, _| {
        cx.schedule(vhost, NAME, Duration::ZERO).expect("schedule");
    });
    let mut turned = Loop::frozen(home());
    let vhost = turned.vhost;
    turned.cx().schedule(vhost, NAME, Duration::ZERO).expect("schedule");
    for turn in 1..200 {
        turned.at(MS * turn);
        assert_eq!(count("Sul"), turn as usize, "one a turn");
    }
}

#[test]
fn a_protocol_that_always_schedules_starves_nobody() {
    on_sul(|cx, vhost, _| {
        cx.schedule(vhost, NAME, Duration::ZERO).expect("schedule");
    });
    on_call(|wsi, _, reason| {
        if let Reason::RawRx(data) = reason {
            wsi.write(data).expect("there is room");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(script::listening());
    let vhost = turned.vhost;
    for _ in 0..10 {
        turned.cx().schedule(vhost, NAME, Duration::ZERO).expect("schedule");
    }
    let port = turned.port();
    turned.during(move || {
        let mut client = connect(port);
        for round in 0..50 {
            send(&mut client, &[round]);
            assert_eq!(read_exactly(&mut client, 1), [round]);
        }
    });
    assert!(count("Sul") > 50);
}

#[test]
fn calls_are_scheduled_from_every_kind_of_callback() {
    let schedule = |cx: &mut Cx, vhost| cx.schedule(vhost, "extra", Duration::ZERO).expect("schedule");
    let asked = Rc::new(Cell::new(0));
    on_call({
        let asked = asked.clone();
        move |wsi, cx, _| {
            schedule(cx, wsi.vhost());
            asked.set(asked.get() + 1);
            Verdict::Continue
        }
    });
    on_vhost({
        let asked = asked.clone();
        move |call, _, reason| {
            match reason {
                VhostReason::Sul(_) => {}
                VhostReason::ProtocolDestroy => {
                    let late = call.cx.schedule(call.vhost, NAME, Duration::ZERO);
                    assert!(matches!(late, Err(Error::NoVhost)), "{late:?}");
                }
                _ => {
                    schedule(call.cx, call.vhost);
                    asked.set(asked.get() + 1);
                }
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(script::listening());
    let client = connect(turned.port());
    turned.until("it is adopted", || count("RawAdopt") == 1);
    drop(client);
    turned.until("it is gone", || count("WsiDestroy") == 1);
    turned.until("all have come", || count("Sul") == asked.get());
    for what in ["FilterNetworkConnection", "WsiCreate", "ServerNewClientInstantiated", "RawClose", "WsiDestroy"] {
        assert!(count(what) > 0, "{what}");
    }
    turned.context.destroy_vhost(turned.vhost);
    assert_eq!(count("ProtocolDestroy"), 2);
}

#[test]
fn what_is_scheduled_goes_with_its_vhost() {
    let mut turned = Loop::frozen(home());
    let other = VhostInfo { name: "other".into(), ..home() };
    let other = turned.context.create_vhost(other).expect("a vhost");
    let vhost = turned.vhost;
    let suls: Vec<SulId> = (0..100)
        .map(|n| turned.cx().schedule(if n % 2 == 0 { vhost } else { other }, NAME, MS).expect("schedule"))
        .collect();
    turned.context.destroy_vhost(other);
    assert!(!turned.cx().cancel_sul(suls[1]), "it has gone");
    turned.at(MS * 2);
    assert_eq!(count("Sul"), 50);
    assert!(notes().iter().all(|note| note.what != "Sul" || note.vhost == vhost));
    let late = turned.cx().schedule(other, NAME, MS);
    assert!(matches!(late, Err(Error::NoVhost)), "{late:?}");
}

#[test]
fn a_vhost_may_destroy_itself_from_its_scheduled_call() {
    on_sul(|cx, vhost, _| {
        cx.destroy_vhost_later(vhost);
        assert!(cx.vhost(vhost).is_some(), "not from inside");
    });
    let mut turned = Loop::frozen(VhostInfo { listen: Listen::on("127.0.0.1", 0), ..home() });
    let (vhost, port) = (turned.vhost, turned.port());
    let client = connect(port);
    turned.turns();
    for _ in 0..3 {
        turned.cx().schedule(vhost, NAME, MS).expect("schedule");
    }
    turned.at(MS);
    assert_eq!((count("Sul"), count("ProtocolDestroy")), (1, 2));
    assert!(turned.cx().vhost(vhost).is_none());
    read_until_closed(&mut &client);
    turned.at(MS * 2 + limits::DRAIN_TIME);
    assert_eq!(turned.wsi_count(), 0);
    std::net::TcpListener::bind(("127.0.0.1", port)).expect("its port is free again");
}

#[test]
fn the_longest_wait_is_years_and_mistakes_are_errors() {
    let mut turned = Loop::frozen(home());
    let vhost = turned.vhost;
    turned.cx().schedule(vhost, NAME, Duration::MAX).expect("schedule");
    turned.at(Duration::from_secs(365 * 24 * 3600));
    assert_eq!(count("Sul"), 0);
    let unknown = turned.cx().schedule(vhost, "nobody", MS).expect_err("it has no such protocol").to_string();
    assert!(unknown.contains("nobody") && unknown.contains("script, extra"), "{unknown}");
}

#[test]
fn a_client_tries_again_as_its_retry_says_and_gives_up_when_it_says_so() {
    let refusing = Refusing::new();
    let retry = Retry { delays: vec![MS * 10, MS * 20, MS * 40], conceal: 5, jitter_percent: 0 };
    let tries = Rc::new(Cell::new(0));
    let waits: Rc<RefCell<BTreeMap<SulId, Duration>>> = Rc::default();
    on_call({
        let (tries, waits) = (tries.clone(), waits.clone());
        move |wsi, cx, reason| {
            if let Reason::ClientConnectionError(_) = reason {
                let mut tried = tries.get();
                if let Some(wait) = retry.delay(&mut tried) {
                    let sul = cx.schedule(wsi.vhost(), NAME, wait).expect("schedule");
                    waits.borrow_mut().insert(sul, wait);
                }
                tries.set(tried);
            }
            Verdict::Continue
        }
    });
    let target = refusing.target();
    let connect = move |cx: &mut Cx, vhost: VhostId| {
        let info = rlws::ConnectInfo::new(vhost, target.parse().expect("a target"), NAME);
        cx.client_connect(info).expect("client_connect")
    };
    on_sul({
        let connect = connect.clone();
        move |cx, vhost, _| {
            connect(cx, vhost);
        }
    });
    let mut turned = Loop::new(home());
    let (vhost, begun) = (turned.vhost, std::time::Instant::now());
    let first = connect(turned.cx(), vhost);
    turned.until("it is given up", || count("ClientConnectionError") == 6);
    assert!(begun.elapsed() >= MS * (10 + 20 + 40 + 40 + 40), "{:?}", begun.elapsed());
    let waits: Vec<Duration> = waits.borrow().values().copied().collect();
    assert_eq!(waits, [10, 20, 40, 40, 40].map(|ms| MS * ms));
    assert_eq!(count_of(first, "ClientConnectionError"), 1);
    assert_eq!(order(first), ["WsiCreate", "ClientConnectionError", "WsiDestroy"]);
    turned.turns();
    assert_eq!((turned.wsi_count(), count("Sul")), (0, 5));
}
