//! Vhosts that are made and destroyed while the loop turns, from callbacks and from init.

mod util;

use std::cell::{Cell, RefCell};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::time::Duration;

use rlws::{
    AdoptInfo, ConnectInfo, Cx, Error, Listen, Reason, Target, Verdict, VhostId, VhostInfo, VhostReason, WsiId,
};
use util::script::{Loop, NAME, Script, count, count_of, home, listening, notes, on_call, on_init, on_vhost, order};
use util::*;

/// A vhost of that name that listens on a socket of its own.
fn named(name: &str) -> VhostInfo {
    VhostInfo { name: name.into(), listen: Listen::on("127.0.0.2", 0), ..listening() }
}

/// One that does not listen.
fn quiet(name: &str) -> VhostInfo {
    VhostInfo { name: name.into(), ..home() }
}

#[track_caller]
fn adopted(turned: &mut Loop, vhost: VhostId) -> (WsiId, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    (turned.cx().adopt_unix(theirs, AdoptInfo::new(vhost, NAME)).expect("adopt_unix"), ours)
}

/// What came about a vhost and none of its connections.
fn told(vhost: VhostId) -> Vec<String> {
    let mine = notes().into_iter().filter(|note| note.vhost == vhost && note.wsi.is_none());
    mine.map(|note| format!("{} {}", note.protocol, note.what)).collect()
}

const WHOLE_LIFE: [&str; 4] =
    ["script ProtocolInit", "extra ProtocolInit", "script ProtocolDestroy", "extra ProtocolDestroy"];

#[test]
fn a_vhost_made_in_a_callback_is_initialised_after_it_and_serves() {
    let made: Rc<Cell<Option<VhostId>>> = Rc::default();
    on_call({
        let made = made.clone();
        move |wsi, cx, reason| {
            match reason {
                Reason::RawRx(b"make") => {
                    let before = count("ProtocolInit");
                    let id = cx.create_vhost(named("second")).expect("create_vhost");
                    assert_eq!(count("ProtocolInit"), before, "not from inside");
                    assert_eq!(cx.vhost_by_name("SECOND"), Some(id));
                    assert!(cx.listen_port(id).is_some(), "it listens already");
                    made.set(Some(id));
                }
                Reason::RawRx(data) => wsi.write(data).expect("there is room"),
                _ => {}
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(listening());
    let mut client = connect(turned.port());
    send(&mut client, b"make");
    turned.until("it is made", || made.get().is_some());
    assert_eq!(count("ProtocolInit"), 4, "as soon as the callback has returned");
    let second = made.get().expect("it is made");
    let port = turned.cx().listen_port(second).expect("it listens");
    turned.during(move || {
        let mut client = connect_to(&format!("127.0.0.2:{port}"));
        send(&mut client, b"served");
        assert_eq!(read_exactly(&mut client, 6), b"served");
    });
    turned.context.destroy_vhost(second);
    assert!(turned.cx().vhost(second).is_none());
    assert_eq!(turned.cx().vhost_by_name("second"), None);
    TcpListener::bind(("127.0.0.2", port)).expect("its port is free again");
    let told: Vec<String> = told(second).into_iter().filter(|what| !what.contains("Filter")).collect();
    assert_eq!(told, WHOLE_LIFE);
}

#[test]
fn a_vhost_made_in_a_callback_whose_init_fails_is_logged_and_gone() {
    let made: Rc<Cell<Option<(VhostId, u16)>>> = Rc::default();
    on_init(|call, protocol| {
        let fails = call.cx.vhost(call.vhost).is_some_and(|vhost| vhost.name() == "doomed") && protocol == "extra";
        if fails { Err("it does not like its options".into()) } else { Ok(()) }
    });
    on_call({
        let made = made.clone();
        move |_, cx, reason| {
            if let Reason::RawRx(_) = reason {
                let id = cx.create_vhost(named("doomed")).expect("create_vhost");
                // What begins on it ends with it.
                let (_, theirs) = UnixStream::pair().expect("socketpair");
                cx.adopt_unix(theirs, AdoptInfo::new(id, NAME)).expect("adopt_unix");
                made.set(Some((id, cx.listen_port(id).expect("it listens"))));
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(listening());
    let mut client = connect(turned.port());
    send(&mut client, b"make");
    turned.until("it is made", || made.get().is_some());
    let (doomed, port) = made.get().expect("it is made");
    assert!(turned.cx().vhost(doomed).is_none());
    assert_eq!(told(doomed), ["script ProtocolInit", "extra ProtocolInit", "script ProtocolDestroy"]);
    TcpListener::bind(("127.0.0.2", port)).expect("its port is free again");
    let lines = util::log::of(std::thread::current().id());
    let parts = ["ERROR", "doomed", "extra", "it does not like its options"];
    assert!(lines.iter().any(|line| parts.iter().all(|part| line.contains(part))), "{lines:?}");
    turned.until_it("the adopted one is gone", |turned| turned.wsi_count() == 2);
}

#[test]
fn a_vhost_that_cannot_be_made_in_a_callback_is_an_error_and_nothing_is_called_meanwhile() {
    let port: Rc<Cell<u16>> = Rc::default();
    let other: Rc<Cell<Option<WsiId>>> = Rc::default();
    let errors: Rc<RefCell<Vec<String>>> = Rc::default();
    let taken = port.clone();
    on_call({
        let (other, errors) = (other.clone(), errors.clone());
        move |_, cx, reason| {
            if let Reason::RawRx(_) = reason {
                // Something waits for the end of this callback.
                cx.close_later(other.get().expect("there is another"));
                let before = notes().len();
                let same = VhostInfo { name: "DEFAULT".into(), ..listening() };
                let clash = VhostInfo { listen: Listen::port(taken.get()), ..named("clash") };
                let unknown = VhostInfo { listen_accept_protocol: Some("nobody".into()), ..named("unknown") };
                for info in [same, clash, unknown] {
                    errors.borrow_mut().push(cx.create_vhost(info).expect_err("it is a mistake").to_string());
                }
                assert_eq!(notes().len(), before, "called from inside");
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(listening());
    let vhost = turned.vhost;
    port.set(turned.port());
    let (id, _peer) = adopted(&mut turned, vhost);
    other.set(Some(id));
    let (_, mut asks) = adopted(&mut turned, vhost);
    turned.until("both are adopted", || count("RawAdopt") == 2);
    let before = turned.wsi_count();
    send(&mut asks, b"go");
    turned.until("the other one is closed", || count_of(id, "RawClose") == 1);
    let errors = errors.borrow();
    server::assert_names(&errors[0], &["DEFAULT", "already a vhost of that name"]);
    server::assert_names(&errors[1], &["clash", "taken"]);
    server::assert_names(&errors[2], &["unknown", "nobody"]);
    assert_eq!(turned.wsi_count(), before, "no listen socket is left of them, and one drains");
    assert_eq!(turned.cx().vhosts().count(), 1);
}

#[test]
fn init_may_make_vhosts_connect_adopt_and_schedule() {
    let onward = Onward::echo();
    let target: Target = onward.target().parse().expect("a target");
    let peer: Rc<RefCell<Option<UnixStream>>> = Rc::default();
    on_init({
        let peer = peer.clone();
        move |call, protocol| {
            let is_first = call.cx.vhost(call.vhost).is_some_and(|vhost| vhost.name() == "default");
            if protocol == NAME && is_first {
                let inner = call.cx.create_vhost(quiet("inner"))?;
                for vhost in [call.vhost, inner] {
                    call.cx.client_connect(ConnectInfo::new(vhost, target.clone(), NAME))?;
                    call.cx.schedule(vhost, "extra", Duration::ZERO)?;
                }
                let (ours, theirs) = UnixStream::pair()?;
                call.cx.adopt_unix(theirs, AdoptInfo::new(inner, "extra"))?;
                *peer.borrow_mut() = Some(ours);
            }
            Ok(())
        }
    });
    let mut turned = Loop::new(home());
    turned.until("all of it happens", || (count("RawConnected"), count("Sul"), count("RawAdopt")) == (2, 2, 1));
    let inner = turned.cx().vhost_by_name("inner").expect("it is there");
    assert_eq!(told(inner)[..2], WHOLE_LIFE[..2]);
    let vhost = turned.vhost;
    let inits: Vec<VhostId> =
        notes().into_iter().filter(|note| note.what == "ProtocolInit").map(|note| note.vhost).collect();
    assert_eq!(inits, [vhost, vhost, inner, inner], "one vhost after the other");
}

#[test]
fn what_init_began_ends_with_a_vhost_whose_init_fails() {
    let hole = BlackHole::new();
    let target: Target = hole.target().parse().expect("a target");
    on_init(move |call, protocol| {
        call.cx.client_connect(ConnectInfo::new(call.vhost, target.clone(), NAME))?;
        call.cx.schedule(call.vhost, NAME, Duration::ZERO)?;
        if protocol == "extra" { Err("no".into()) } else { Ok(()) }
    });
    let mut context = rlws::Context::new(Default::default()).expect("a context");
    let error = context.create_vhost(home()).expect_err("its init fails");
    assert!(matches!(error, Error::ProtocolInit { .. }));
    for _ in 0..10 {
        context.service(Some(Duration::ZERO)).expect("service");
    }
    assert_eq!(context.cx().wsi_count(), 0);
    assert_eq!((count("WsiCreate"), count("WsiDestroy")), (2, 2));
    assert_eq!((count("ClientConnectionError"), count("Sul")), (2, 0));
    assert_eq!(count("ProtocolDestroy"), 1, "of the one that was initialised");
}

#[test]
fn the_vhost_of_the_connection_in_hand_may_be_destroyed_from_every_callback_of_it() {
    for what in ["RawSktBindProtocol", "RawAdopt", "RawRx", "RawWriteable", "Timer", "User", "RawClose"] {
        on_vhost(|_, _, _| Verdict::Continue);
        let asked = Rc::new(Cell::new(false));
        on_call({
            let asked = asked.clone();
            move |wsi, cx, reason| {
                if format!("{reason:?}").starts_with(what) && !asked.replace(true) {
                    let vhost = wsi.vhost();
                    cx.destroy_vhost_later(vhost);
                    cx.destroy_vhost_later(vhost);
                    assert!(cx.vhost(vhost).is_some(), "not from inside");
                }
                match reason {
                    Reason::RawRx(_) => wsi.callback_on_writable(),
                    Reason::RawWriteable => wsi.set_timer(cx, Duration::ZERO),
                    Reason::Timer => cx.callback_all_protocol(wsi.vhost(), NAME, 1),
                    Reason::User(_) => return Verdict::Close,
                    _ => {}
                }
                Verdict::Continue
            }
        });
        let mut turned = Loop::new(listening());
        let (vhost, port) = (turned.vhost, turned.port());
        let others: Vec<TcpStream> = (0..3).map(|_| connect(port)).collect();
        let mut client = connect(port);
        send(&mut client, b"go");
        turned.until_it(&format!("{what}: it is destroyed"), |turned| turned.cx().vhost(vhost).is_none());
        drop((others, client));
        turned.until_it(&format!("{what}: nothing is left"), |turned| turned.wsi_count() == 0);
        assert_eq!(count("ProtocolDestroy"), 2, "{what}");
        assert_eq!(count("WsiCreate"), count("WsiDestroy"), "{what}");
        assert_eq!(count("RawSktBindProtocol"), count("RawSktDropProtocol"), "{what}");
        let last = notes().last().map(|note| note.what.clone());
        assert_eq!(last.as_deref(), Some("ProtocolDestroy"), "{what}: its last words");
    }
}

#[test]
fn a_vhost_may_be_destroyed_from_each_of_its_own_callbacks() {
    for what in [
        "FilterNetworkConnection",
        "WsiCreate",
        "ServerNewClientInstantiated",
        "WsiDestroy",
        "User",
        "EventWaitCancelled",
    ] {
        let asked = Rc::new(Cell::new(false));
        on_vhost({
            let asked = asked.clone();
            move |call, _, reason| {
                if format!("{reason:?}").starts_with(what) && !asked.replace(true) {
                    call.cx.destroy_vhost_later(call.vhost);
                }
                Verdict::Continue
            }
        });
        let mut turned = Loop::new(listening());
        let (vhost, port) = (turned.vhost, turned.port());
        let clients: Vec<TcpStream> = (0..5).map(|_| connect(port)).collect();
        turned.cx().callback_vhost_protocols(vhost, 1);
        turned.context.waker().wake();
        turned.turn();
        drop(clients);
        turned.until_it(what, |turned| turned.cx().vhost(vhost).is_none() && turned.wsi_count() == 0);
        assert_eq!(count("ProtocolDestroy"), 2, "{what}");
        assert_eq!(count("WsiCreate"), count("WsiDestroy"), "{what}");
        assert_eq!(count("RawSktBindProtocol"), count("RawSktDropProtocol"), "{what}");
    }
}

#[test]
fn a_vhost_made_and_destroyed_in_one_callback_has_lived() {
    let made: Rc<Cell<Option<VhostId>>> = Rc::default();
    on_vhost({
        let made = made.clone();
        move |call, _, reason| {
            if let VhostReason::User(1) = reason
                && made.get().is_none()
            {
                let id = call.cx.create_vhost(named("short")).expect("create_vhost");
                call.cx.destroy_vhost_later(id);
                made.set(Some(id));
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(home());
    let vhost = turned.vhost;
    turned.cx().callback_vhost_protocols(vhost, 1);
    turned.turns();
    assert_eq!(told(made.get().expect("it was made")), WHOLE_LIFE);
    assert_eq!(turned.wsi_count(), 0);
}

#[test]
fn the_others_of_a_shared_socket_go_on_when_the_first_is_destroyed() {
    on_call(|wsi, _, reason| {
        if let Reason::RawRx(data) = reason {
            wsi.write(data).expect("there is room");
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(listening());
    let (first, port) = (turned.vhost, turned.port());
    // Another vhost is to have the same Listen value, and so the same socket.
    let listen = Listen::on("127.0.0.1", 0);
    let second = turned.context.create_vhost(VhostInfo { listen, ..named("second") }).expect("create_vhost");
    assert_eq!(turned.cx().listen_port(second), Some(port));
    let old = connect(port);
    turned.until("the first has it", || count("RawAdopt") == 1);
    turned.context.destroy_vhost(first);
    read_until_closed(&mut &old);
    let mut new = connect(port);
    send(&mut new, b"still there");
    turned.until("it is adopted", || count("RawAdopt") == 2);
    assert_eq!(notes().last().map(|note| note.vhost), Some(second));
    turned.until("it answers", || count("RawRx") == 1);
}

#[test]
fn vhosts_that_destroy_each_other_in_a_long_chain_all_go() {
    let all: Rc<RefCell<Vec<VhostId>>> = Rc::default();
    on_vhost({
        let all = all.clone();
        move |call, protocol, reason| {
            if let (VhostReason::ProtocolDestroy, NAME) = (reason, protocol) {
                let next = all.borrow().iter().position(|id| *id == call.vhost).map(|at| at + 1);
                if let Some(next) = next.and_then(|at| all.borrow().get(at).copied()) {
                    call.cx.destroy_vhost_later(next);
                }
            }
            Verdict::Continue
        }
    });
    let mut turned = Loop::new(home());
    let count_of_them = 3000;
    let tables = vec![Script::<0>::table()];
    for n in 0..count_of_them {
        let info = VhostInfo { name: format!("v{n}"), protocols: tables.clone(), ..Default::default() };
        let id = turned.context.create_vhost(info).expect("create_vhost");
        all.borrow_mut().push(id);
    }
    let first = all.borrow()[0];
    turned.context.destroy_vhost(first);
    eventually("all of them are gone", || {
        turned.turns();
        count("ProtocolDestroy") == count_of_them
    });
}

#[test]
fn a_vhost_made_while_the_context_goes_is_not_forgotten() {
    on_vhost(|call, protocol, reason| {
        let is_first = call.cx.vhost(call.vhost).is_some_and(|vhost| vhost.name() == "default");
        if let (VhostReason::ProtocolDestroy, NAME, true) = (reason, protocol, is_first) {
            let _may_be_refused = call.cx.create_vhost(quiet("late"));
        }
        Verdict::Continue
    });
    let turned = Loop::new(home());
    drop(turned);
    assert_eq!(count("ProtocolInit"), count("ProtocolDestroy"), "{:?}", notes());
}

#[test]
fn a_context_that_goes_ends_everything_in_order() {
    let onward = Onward::idle();
    let mut turned = Loop::new(listening());
    let client = connect(turned.port());
    let id = turned.connects_to(&onward.target());
    turned.until("both are up", || count("RawAdopt") + count("RawConnected") == 2);
    let hole = BlackHole::new();
    let under_way = turned.connects_to(&hole.target());
    drop(turned);
    assert_eq!(order(id).last().map(String::as_str), Some("WsiDestroy"));
    assert_eq!(order(under_way), ["WsiCreate", "ClientConnectionError", "WsiDestroy"]);
    assert_eq!((count("WsiCreate"), count("WsiDestroy")), (3, 3));
    let end: Vec<String> = notes().iter().rev().take(2).map(|note| note.what.clone()).collect();
    assert_eq!(end, ["ProtocolDestroy", "ProtocolDestroy"]);
    read_until_closed(&mut &client);
}

#[test]
fn a_callback_that_panics_can_be_survived() {
    on_call(|_, _, reason| match reason {
        Reason::RawRx(b"panic") => panic!("a mistake of the user"),
        _ => Verdict::Continue,
    });
    let mut turned = Loop::new(home());
    let vhost = turned.vhost;
    let (_, mut peer) = adopted(&mut turned, vhost);
    let (other, mut busy) = adopted(&mut turned, vhost);
    turned.until("both are adopted", || count("RawAdopt") == 2);
    turned.cx().rx_flow_control(other, false);
    turned.turns();
    send(&mut busy, b"unread");
    turned.turns();
    send(&mut peer, b"panic");
    let mut turns = || turned.until("it panics", || false);
    catch_unwind(AssertUnwindSafe(&mut turns)).expect_err("it panics");
    script::forgive();
    // Dropping the context while a panic unwinds would end the process if this panicked again.
    let dropped = catch_unwind(AssertUnwindSafe(move || drop(turned)));
    assert!(dropped.is_ok(), "dropping the context panics again");
}

#[test]
fn a_connection_may_move_work_to_a_vhost_that_it_makes() {
    on_call(|wsi, cx, reason| {
        let begin = |cx: &mut Cx| -> rlws::Result<WsiId> {
            let vhost = cx.create_vhost(quiet("worker"))?;
            let (ours, theirs) = UnixStream::pair().expect("socketpair");
            let id = cx.adopt_unix(theirs, AdoptInfo::new(vhost, "extra"))?;
            cx.set_opaque_user_data(id, Rc::new(ours));
            cx.callback_on_writable(id);
            cx.callback_all_protocol(vhost, "extra", 3);
            Ok(id)
        };
        match reason {
            Reason::RawAdopt if wsi.protocol_name() == Some(NAME) => {
                begin(cx).expect("all of it works before the init");
            }
            _ => {}
        }
        Verdict::Continue
    });
    let mut turned = Loop::new(home());
    let vhost = turned.vhost;
    let _peer = adopted(&mut turned, vhost);
    turned.until("it is asked to write", || count("RawWriteable") == 1);
    turned.turns();
    let worker = notes().into_iter().find(|note| note.what == "RawWriteable").and_then(|note| note.wsi);
    let order = order(worker.expect("just found"));
    assert_eq!(order[..4], ["WsiCreate", "RawSktBindProtocol", "RawAdopt", "RawWriteable"]);
}
