//! What callbacks ask for, and what they are asked: broadcasts, verdicts, ids, names, the end of the loop.

mod util;

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;

use rlws::{AdoptInfo, ConnectInfo, Listen, Peer, Reason, Verdict, VhostInfo, VhostReason, WsiId};
use util::script::{Loop, NAME, count, count_of, home, listening, notes, on_call, on_init, on_vhost, order, who};
use util::*;

#[track_caller]
fn adopted(turned: &mut Loop, protocol: &str) -> (WsiId, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let info = AdoptInfo::new(turned.vhost, protocol);
    (turned.cx().adopt_unix(theirs, info).expect("adopt_unix"), ours)
}

fn many(turned: &mut Loop, count: usize) -> Vec<(WsiId, UnixStream)> {
    let all = (0..count).map(|_| adopted(turned, NAME)).collect();
    turned.turns();
    all
}

fn sorted(mut ids: Vec<WsiId>) -> Vec<WsiId> {
    ids.sort();
    ids
}

// -- broadcasts

#[test]
fn everybody_bound_to_the_protocol_hears_and_nobody_else() {
    on_call(|wsi, cx, reason| {
        if let Reason::RawRx(_) = reason {
            let before = notes().len();
            cx.callback_all_protocol(wsi.vhost(), NAME, 42);
            cx.callback_all_protocol(wsi.vhost(), "nobody", 43);
            assert_eq!(notes().len(), before, "not from inside");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let connections = many(&mut turned, 10);
    let _other_protocol = adopted(&mut turned, "extra");
    let other = turned.context.create_vhost(VhostInfo { name: "other".into(), ..home() }).expect("a vhost");
    let (_ours, theirs) = UnixStream::pair().expect("socketpair");
    turned.cx().adopt_unix(theirs, AdoptInfo::new(other, NAME)).expect("adopt_unix");
    turned.turns();
    send(&mut &connections[3].1, b"go");
    turned.until("it is asked for", || count("RawRx") == 1);
    turned.turns();
    let all = connections.iter().map(|(id, _)| *id).collect();
    assert_eq!(sorted(who("User")), sorted(all), "the one in hand too");
    let users: BTreeSet<String> =
        notes().into_iter().filter(|note| note.what == "User").map(|note| note.whole).collect();
    assert_eq!(users, BTreeSet::from(["User(42)".to_owned()]));
}

#[test]
fn a_broadcast_from_the_last_callbacks_of_a_connection_reaches_the_others() {
    for what in ["RawClose", "RawSktDropProtocol", "WsiDestroy", "ClientConnectionError"] {
        let ask = move |cx: &mut rlws::Cx, vhost, reason: String| {
            if reason.starts_with(what) {
                cx.callback_all_protocol(vhost, NAME, 1);
            }
        };
        on_call(move |wsi, cx, reason| {
            ask(cx, wsi.vhost(), format!("{reason:?}"));
            Verdict::Continue
        });
        on_vhost(move |call, _, reason| {
            ask(call.cx, call.vhost, format!("{reason:?}"));
            Verdict::Continue
        });
        let mut turned = Loop::new(home());
        let (stays, _peer) = adopted(&mut turned, NAME);
        let (goes, peer) = adopted(&mut turned, NAME);
        turned.turns();
        let refusing = Refusing::new();
        match what {
            "ClientConnectionError" => drop(turned.connects_to(&refusing.target())),
            _ => drop(peer),
        }
        turned.until(what, || count("User") > 0);
        turned.turns();
        assert_eq!(count_of(stays, "User"), 1, "{what}");
        assert_eq!(count_of(goes, "User"), usize::from(what == "ClientConnectionError"), "{what}");
    }
}

#[test]
fn those_who_close_while_they_hear_are_told_once_and_others_still_hear() {
    on_call(|wsi, cx, reason| match reason {
        Reason::User(_) => {
            // Each takes its successor along.
            if let Some(next) = wsi.opaque_user_data::<WsiId>() {
                cx.close_later(*next);
            }
            Verdict::Close
        }
        _ => Verdict::Continue,
    });
    let mut turned = Loop::new(home());
    let connections = many(&mut turned, 20);
    for pair in connections.windows(2).step_by(3) {
        turned.cx().set_opaque_user_data(pair[0].0, Rc::new(pair[1].0));
    }
    let vhost = turned.vhost;
    turned.cx().callback_all_protocol(vhost, NAME, 1);
    turned.turns();
    drop(connections);
    turned.until("all are gone", || count("WsiDestroy") == 20);
    assert_eq!(count("RawClose"), 20);
    let heard = who("User");
    assert_eq!(heard.len(), heard.iter().collect::<BTreeSet<_>>().len(), "none twice");
    assert!(heard.len() >= 20 - 7, "{}", heard.len());
}

#[test]
fn broadcasts_without_end_starve_nobody() {
    on_call(|wsi, cx, reason| {
        match reason {
            Reason::User(_) => cx.callback_all_protocol(wsi.vhost(), "extra", 1),
            Reason::RawRx(data) => wsi.write(data).expect("there is room"),
            _ => {}
        }
        Verdict::Continue
    });
    on_vhost(|call, protocol, reason| {
        if let (VhostReason::User(n), NAME) = (reason, protocol) {
            call.cx.callback_vhost_protocols(call.vhost, n);
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(listening());
    let _loud = adopted(&mut turned, "extra");
    let (vhost, port) = (turned.vhost, turned.port());
    turned.turns();
    turned.cx().callback_all_protocol(vhost, "extra", 1);
    turned.cx().callback_vhost_protocols(vhost, 2);
    turned.during(move || {
        let mut client = connect(port);
        for round in 0..50 {
            send(&mut client, &[round]);
            assert_eq!(read_exactly(&mut client, 1), [round]);
        }
    });
    assert!(count("User") > 100);
}

#[test]
fn every_protocol_of_the_vhost_hears_in_order_after_the_callback() {
    on_call(|wsi, cx, reason| {
        if let Reason::RawAdopt = reason {
            cx.callback_vhost_protocols(wsi.vhost(), 5);
            cx.callback_vhost_protocols(wsi.vhost(), 6);
            assert_eq!(count("User"), 0, "not from inside");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let _peer = adopted(&mut turned, "extra");
    turned.turns();
    let heard: Vec<String> = notes()
        .into_iter()
        .filter(|note| note.what == "User")
        .map(|note| format!("{} {} {}", note.protocol, note.whole, note.wsi.is_none()))
        .collect();
    assert_eq!(heard, ["script User(5) true", "extra User(5) true", "script User(6) true", "extra User(6) true"]);
}

// -- verdicts at the beginning

#[test]
fn a_peer_that_is_filtered_is_hung_up_on_before_anything_is_made() {
    let welcome = Rc::new(Cell::new(false));
    on_vhost({
        let welcome = welcome.clone();
        move |_, protocol, reason| match reason {
            VhostReason::FilterNetworkConnection(peer) => {
                assert_eq!(protocol, NAME, "the first protocol is asked");
                assert!(matches!(peer, Peer::Tcp(address) if address.ip().is_loopback()), "{peer}");
                if welcome.get() { Verdict::Continue } else { Verdict::Close }
            }
            _ => Verdict::Continue,
        }
    });
    let mut turned = Loop::new(listening());
    let clients: Vec<TcpStream> = (0..100).map(|_| connect(turned.port())).collect();
    turned.until("all were asked about", || count("FilterNetworkConnection") == 100);
    for client in &clients {
        assert_eq!(read_until_closed(&mut &*client).0, b"");
    }
    assert_eq!((count("WsiCreate"), count("WsiDestroy"), turned.wsi_count()), (0, 0, 1));
    welcome.set(true);
    let _client = connect(turned.port());
    turned.until("it is let in", || count("RawAdopt") == 1);
}

#[test]
fn what_the_first_protocol_refuses_at_creation_ends_without_being_bound() {
    for (what, seen) in [
        ("WsiCreate", vec!["WsiCreate", "WsiDestroy"]),
        ("ServerNewClientInstantiated", vec!["WsiCreate", "ServerNewClientInstantiated", "WsiDestroy"]),
    ] {
        on_vhost(move |_, _, reason| match format!("{reason:?}").starts_with(what) {
            true => Verdict::Close,
            false => Verdict::Continue,
        });
        let mut turned = Loop::new(listening());
        let client = connect(turned.port());
        turned.until("it is refused", || count(what) == 1);
        let id = who(what)[0];
        assert_eq!(turned.during(move || read_until_closed(&mut &client).0), b"");
        turned.until(what, || count("WsiDestroy") == 1);
        assert_eq!(order(id), seen);
    }
}

#[test]
fn a_client_and_an_adopted_one_that_are_refused_at_creation_end_too() {
    on_vhost(|_, _, reason| match reason {
        VhostReason::WsiCreate(_) => Verdict::Close,
        _ => Verdict::Continue,
    });
    let onward = Onward::idle();
    let mut turned = Loop::new(home());
    let client = turned.connects_to(&onward.target());
    let (id, peer) = adopted(&mut turned, NAME);
    drop(peer);
    turned.until("both are gone", || count("WsiDestroy") == 2);
    assert_eq!(order(client), ["WsiCreate", "ClientConnectionError", "WsiDestroy"]);
    assert_eq!(order(id), ["WsiCreate", "WsiDestroy"]);
    assert_eq!(onward.connections().len(), 0, "nothing was connected");
}

#[test]
fn only_accepted_connections_are_new_clients() {
    let onward = Onward::idle();
    let mut turned = Loop::new(listening());
    let _client = connect(turned.port());
    let (mine, _peer) = adopted(&mut turned, NAME);
    let out = turned.connects_to(&onward.target());
    turned.until("all are up", || count("RawAdopt") + count("RawConnected") == 3);
    let accepted = who("ServerNewClientInstantiated");
    assert_eq!(accepted.len(), 1);
    assert!(!accepted.contains(&mine) && !accepted.contains(&out));
    let first: Vec<String> = order(accepted[0]);
    assert_eq!(first, ["WsiCreate", "ServerNewClientInstantiated", "RawSktBindProtocol", "RawAdopt"]);
}

// -- ids

#[test]
fn an_id_finds_its_own_connection_or_none() {
    let stale: Rc<RefCell<Vec<WsiId>>> = Rc::default();
    on_call({
        let stale = stale.clone();
        move |wsi, cx, reason| {
            assert!(cx.wsi(wsi.id()).is_none(), "the one in hand is not in there");
            for id in stale.borrow().iter() {
                assert!(cx.wsi(*id).is_none(), "{id} is stale");
                // None of these reaches anybody.
                cx.close_later(*id);
                cx.callback_on_writable(*id);
                cx.rx_flow_control(*id, false);
                cx.set_opaque_user_data(*id, Rc::new(*id));
                cx.set_timer(*id, Duration::ZERO);
                cx.set_timeout(*id, Duration::ZERO);
                assert!(cx.pss::<script::Script<0>>(*id).is_none());
            }
            assert!(wsi.opaque_user_data::<WsiId>().is_none_or(|id| *id == wsi.id()));
            if let Reason::RawRx(data) = reason {
                wsi.write(data).expect("there is room");
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(home());
    for round in 0..20 {
        let mut connections = many(&mut turned, 10);
        for (id, _) in &connections {
            assert_eq!(turned.cx().wsi(*id).map(|wsi| wsi.id()), Some(*id));
        }
        let (gone, stay) = (connections.split_off(5), connections);
        let closed: Vec<WsiId> = gone.iter().map(|(id, _)| *id).collect();
        drop(gone);
        turned.until("half of them are gone", || closed.iter().all(|id| count_of(*id, "WsiDestroy") == 1));
        stale.borrow_mut().extend(closed);
        for (id, peer) in &stay {
            send(&mut &*peer, b"?");
            turned.until("the answer is written", || count_of(*id, "RawRx") == 1);
            assert_eq!(read_exactly(&mut &*peer, 1), b"?", "round {round}");
            assert_eq!(count_of(*id, "Timer") + count_of(*id, "RawWriteable") + count_of(*id, "RawClose"), 0);
        }
        let left: Vec<WsiId> = stay.iter().map(|(id, _)| *id).collect();
        drop(stay);
        turned.until("the others are gone too", || left.iter().all(|id| count_of(*id, "WsiDestroy") == 1));
        stale.borrow_mut().extend(left);
    }
}

#[test]
fn another_connection_can_be_looked_at() {
    let seen = Rc::new(Cell::new(0));
    let other: Rc<Cell<Option<WsiId>>> = Rc::default();
    on_call({
        let (seen, other) = (seen.clone(), other.clone());
        move |wsi, cx, reason| {
            if let (Reason::RawRx(_), Some(id)) = (reason, other.get()) {
                let other = cx.wsi(id).expect("it is there");
                assert_eq!((other.id(), other.vhost()), (id, wsi.vhost()));
                assert_eq!((other.role_name(), other.protocol_name()), ("raw-skt", Some("extra")));
                assert_eq!((other.peer(), other.parent(), other.children().len()), (&Peer::Unix, None, 0));
                assert_eq!(other.opaque_user_data::<u8>(), Some(&7));
                assert_eq!(other.opaque_user_data::<u16>(), None, "of another type");
                assert!(other.fd().is_some() && cx.pss::<script::Script<1>>(id).is_some());
                assert!(cx.pss::<script::Script<0>>(id).is_none(), "that is not its protocol");
                seen.set(seen.get() + 1);
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(home());
    let (_, mut asks) = adopted(&mut turned, NAME);
    let (id, _peer) = adopted(&mut turned, "extra");
    turned.cx().set_opaque_user_data(id, Rc::new(7_u8));
    other.set(Some(id));
    turned.turns();
    send(&mut asks, b"look");
    turned.until("it looks", || seen.get() == 1);
}

// -- the context

#[test]
fn what_is_hung_on_the_context_is_there_for_everybody() {
    on_init(|call, _| {
        assert_eq!(call.cx.user::<Cell<u32>>().map(Cell::get), Some(1));
        call.cx.user::<Cell<u32>>().expect("it is there").set(1);
        Ok(())
    });
    on_call(|_, cx, reason| {
        if let Reason::RawAdopt = reason {
            cx.user::<Cell<u32>>().expect("it is there").set(2);
            assert!(cx.user::<String>().is_none(), "of another type");
        }
        Verdict::Continue
    });
    let mut context = rlws::Context::new(Default::default()).expect("a context");
    assert!(context.cx().user::<Cell<u32>>().is_none());
    let mine = Rc::new(Cell::new(1_u32));
    context.cx().set_user(mine.clone());
    let vhost = context.create_vhost(home()).expect("a vhost");
    let (_ours, theirs) = UnixStream::pair().expect("socketpair");
    context.cx().adopt_unix(theirs, AdoptInfo::new(vhost, NAME)).expect("adopt_unix");
    context.service(Some(Duration::ZERO)).expect("service");
    assert_eq!(mine.get(), 2);
    context.cx().set_user(Rc::new(String::new()));
    assert_eq!(Rc::strong_count(&mine), 1, "it is let go of");
}

#[test]
fn stop_ends_the_loop_after_its_turn_and_it_can_run_again() {
    on_vhost(|call, _, reason| {
        if let VhostReason::Sul(_) = reason {
            call.cx.stop();
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let vhost = turned.vhost;
    for round in 1..4 {
        for _ in 0..2 {
            turned.cx().schedule(vhost, NAME, Duration::ZERO).expect("schedule");
        }
        turned.context.run().expect("run");
        assert_eq!(count("Sul"), round * 2, "both of the turn come");
    }
    // From init, before the loop runs at all.
    on_init(|call, _| {
        call.cx.stop();
        Ok(())
    });
    turned.context.create_vhost(VhostInfo { name: "stops".into(), ..home() }).expect("a vhost");
    turned.context.run().expect("run");
}

// -- names

#[test]
fn a_peer_has_its_name_looked_up_and_a_unix_one_has_none() {
    on_call(|wsi, cx, reason| {
        if matches!(reason, Reason::RawAdopt | Reason::RawConnected) {
            let before = count("PeerName");
            wsi.ask_peer_name(cx);
            assert_eq!(count("PeerName"), before, "not from inside");
        }
        Verdict::Continue
    });
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let first = hosts.lines().find_map(|line| line.strip_prefix("127.0.0.1")?.split_whitespace().next());
    let mut turned = Loop::new(listening());
    let (unix, _peer) = adopted(&mut turned, NAME);
    turned.turns();
    assert_eq!(order(unix).last().map(String::as_str), Some("PeerName"));
    let _clients: Vec<TcpStream> = (0..5).map(|_| connect(turned.port())).collect();
    turned.until("all names are there", || count("PeerName") == 6);
    for note in notes().into_iter().filter(|note| note.what == "PeerName") {
        match note.wsi == Some(unix) {
            true => assert_eq!(note.whole, "PeerName(None)"),
            false => assert_eq!(note.whole, format!("PeerName({first:?})")),
        }
    }
}

#[test]
fn asking_for_a_name_again_and_again_starves_nobody() {
    const MANY: usize = 3000;
    on_call(|wsi, cx, reason| {
        match reason {
            Reason::RawAdopt => wsi.ask_peer_name(cx),
            Reason::PeerName(_) if count("PeerName") < MANY => wsi.ask_peer_name(cx),
            _ => {}
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let _peer = adopted(&mut turned, NAME);
    for _ in 0..100 {
        turned.turn();
    }
    assert!(count("PeerName") <= 1000, "{} in 100 turns", count("PeerName"));
    assert!(count("PeerName") > 2);
}

#[test]
fn a_name_for_a_connection_that_is_gone_reaches_nobody() {
    on_call(|wsi, cx, reason| match reason {
        Reason::RawAdopt => {
            wsi.ask_peer_name(cx);
            Verdict::Close
        }
        _ => Verdict::Continue,
    });
    let mut turned = Loop::new(listening());
    for _ in 0..20 {
        drop(connect(turned.port()));
    }
    turned.until("all are gone", || count("WsiDestroy") == 20);
    turned.turns();
    assert_eq!(count("PeerName"), 0);
}

// -- other threads

#[test]
fn a_wake_is_heard_by_every_protocol_of_every_vhost() {
    let mut turned = Loop::new(home());
    let other = VhostInfo { name: "other".into(), listen: Listen::on("127.0.0.1", 0), ..home() };
    turned.context.create_vhost(other).expect("a vhost");
    turned.context.waker().wake();
    turned.context.waker().wake();
    turned.until("it is heard", || count("EventWaitCancelled") > 0);
    turned.turns();
    let heard: Vec<_> = notes().into_iter().filter(|note| note.what == "EventWaitCancelled").collect();
    assert_eq!(heard.len(), 4, "two calls before a turn are one");
    let who: BTreeSet<_> = heard.iter().map(|note| (note.vhost, note.protocol)).collect();
    assert_eq!(who.len(), 4);
}

#[test]
fn a_wake_from_its_own_callback_is_a_later_turn() {
    on_vhost(|call, protocol, reason| {
        if let (VhostReason::EventWaitCancelled, NAME) = (reason, protocol) {
            call.cx.waker().wake();
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    turned.context.waker().wake();
    for turn in 1..50 {
        turned.context.service(None).expect("service");
        assert_eq!(count("EventWaitCancelled"), 2 * turn);
    }
    let hole = BlackHole::new();
    let target = hole.target().parse().expect("a target");
    let info = ConnectInfo::new(turned.vhost, target, NAME);
    turned.cx().client_connect(info).expect("client_connect");
    turned.turns();
    assert_eq!(count("WsiCreate"), 1, "others have their turns");
}
