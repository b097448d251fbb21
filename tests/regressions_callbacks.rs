//! Bugs that were, in what callbacks ask for: of relatives, times, vhosts, other protocols and the loop itself.

mod util;

use std::cell::{Cell, RefCell};
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::rc::Rc;
use std::time::Duration;

use rlws::{
    AdoptInfo, ConnectInfo, Context, ContextInfo, Cx, Error, Listen, Options, Reason, Verdict, VhostCall, VhostId,
    VhostInfo, VhostReason, Wsi, WsiId,
};
use util::script::*;
use util::*;

fn adopted(turned: &mut Loop) -> (WsiId, UnixStream) {
    let (ours, theirs) = UnixStream::pair().expect("socketpair");
    let info = AdoptInfo::new(turned.vhost, NAME);
    (turned.cx().adopt_unix(theirs, info).expect("adopt_unix"), ours)
}

/// Begins a connection that will be refused.
fn child(cx: &mut Cx, vhost: VhostId, parent: Option<WsiId>) -> WsiId {
    let mut info = ConnectInfo::new(vhost, "ipv4:127.0.0.1:1".parse().expect("a target"), NAME);
    info.parent = parent;
    cx.client_connect(info).expect("client_connect")
}

// -- callbacks that ask for the next one

/// More callbacks than a turn may have, of those that a single connection brings about.
const TOO_MANY: usize = 1000;

/// A turn; fails where it has no end.
#[track_caller]
fn short_turn(turned: &mut Loop) {
    let before = notes().len();
    turned.turn();
    let callbacks = notes().len() - before;
    assert!(callbacks < 20, "{callbacks} callbacks in one turn");
}

#[track_caller]
fn assert_it_ends(begun: usize) {
    assert!(begun < TOO_MANY, "a turn without an end");
}

#[test]
fn a_child_that_tries_again_when_its_parent_has_gone_holds_no_turn() {
    let mut turned = Loop::new(home());
    let gives_up = Rc::new(Cell::new(false));
    let has_given_up = gives_up.clone();
    on_call(move |wsi, cx, reason| {
        let parent = match reason {
            Reason::RawAdopt => Some(wsi.id()),
            Reason::ClientConnectionError(_) if !has_given_up.get() => wsi.parent(),
            _ => return Verdict::Continue,
        };
        assert_it_ends(count("ClientConnectionError"));
        child(cx, wsi.vhost(), parent);
        Verdict::Continue
    });
    let (parent, peer) = adopted(&mut turned);
    turned.until("a child that was refused", || count("ClientConnectionError") > 0);
    drop(peer);
    turned.gone(parent);
    (0..10).for_each(|_| short_turn(&mut turned));
    gives_up.set(true);
    turned.until_it("nothing is left", |turned| turned.wsi_count() == 0);
}

#[test]
fn a_parent_that_replaces_each_child_and_closes_it_holds_no_turn() {
    let mut turned = Loop::new(home());
    on_call(|wsi, cx, reason| {
        if let Reason::RawAdopt | Reason::ChildClosing(_) = reason {
            assert_it_ends(count("ChildClosing"));
            let child = child(cx, wsi.vhost(), Some(wsi.id()));
            cx.close_later(child);
        }
        Verdict::Continue
    });
    let (_parent, _peer) = adopted(&mut turned);
    (0..10).for_each(|_| short_turn(&mut turned));
    assert!(count("ChildClosing") > 5, "it goes on");
}

#[test]
fn a_vhost_whose_init_makes_the_next_one_and_destroys_its_own_holds_no_turn() {
    let mut turned = Loop::new(home());
    on_init(|VhostCall { cx, vhost }, protocol| {
        assert_it_ends(count("ProtocolInit"));
        if protocol == NAME {
            cx.create_vhost(home())?;
            cx.destroy_vhost_later(vhost);
        }
        Ok(())
    });
    turned.context.create_vhost(home()).expect("create_vhost");
    (0..10).for_each(|_| short_turn(&mut turned));
    assert!(count("ProtocolInit") > 10, "it goes on");
}

// -- order

#[test]
fn timers_and_calls_of_one_instant_come_in_the_order_in_which_they_were_asked_for() {
    let mut turned = Loop::frozen(home());
    let mut adopted: Vec<(WsiId, UnixStream)> = (0..500).map(|_| adopted(&mut turned)).collect();
    turned.turn();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let (of_timers, of_calls) = (heard.clone(), heard.clone());
    on_call(move |wsi, _, reason| {
        if let Reason::Timer = reason {
            of_timers.borrow_mut().push(format!("{}", wsi.id()));
        }
        Verdict::Continue
    });
    on_vhost(move |_, _, reason| {
        if let VhostReason::Sul(id) = reason {
            of_calls.borrow_mut().push(format!("{id:?}"));
        }
        Verdict::Continue
    });
    // Not in the order of their ids.
    adopted.reverse();
    adopted.rotate_left(77);
    let (vhost, soon, mut asked) = (turned.vhost, Duration::from_secs(1), Vec::new());
    for (id, _) in &adopted {
        turned.cx().set_timer(*id, soon);
        asked.push(format!("{id}"));
        asked.push(format!("{:?}", turned.cx().schedule(vhost, NAME, soon).expect("schedule")));
    }
    turned.at(2 * soon);
    assert_eq!(*heard.borrow(), asked);
}

#[test]
fn broadcasts_of_both_kinds_come_in_the_order_in_which_they_were_asked_for() {
    let mut turned = Loop::new(home());
    on_call(|wsi, cx, reason| {
        if let Reason::RawAdopt = reason {
            let vhost = wsi.vhost();
            cx.callback_all_protocol(vhost, NAME, 1);
            cx.callback_vhost_protocols(vhost, 2);
            cx.callback_all_protocol(vhost, NAME, 3);
            cx.callback_vhost_protocols(vhost, 4);
        }
        Verdict::Continue
    });
    let (_id, _peer) = adopted(&mut turned);
    turned.turns();
    let heard: Vec<String> = notes().iter().filter(|note| note.what == "User").map(|note| note.whole.clone()).collect();
    // The vhost has two protocols.
    assert_eq!(heard, ["User(1)", "User(2)", "User(2)", "User(3)", "User(4)", "User(4)"]);
}

// -- the connection in hand, by its id

/// What a helper does that knows a connection by its id.
#[track_caller]
fn in_hand(at_start: impl Fn(&mut Cx, WsiId) + 'static) -> (Loop, WsiId, UnixStream) {
    let mut turned = Loop::frozen(home());
    on_call(move |wsi: &mut Wsi, cx, reason| {
        if let Reason::RawAdopt = reason {
            at_start(cx, wsi.id());
        }
        Verdict::Continue
    });
    let (id, peer) = adopted(&mut turned);
    turned.turns();
    (turned, id, peer)
}

const SOON: Duration = Duration::from_secs(1);

#[test]
fn a_timer_is_set_for_the_connection_in_hand_by_its_id() {
    let (mut turned, id, _peer) = in_hand(|cx, id| cx.set_timer(id, SOON));
    turned.at(SOON / 2);
    assert_eq!(count_of(id, "Timer"), 0);
    turned.at(2 * SOON);
    assert_eq!(count_of(id, "Timer"), 1);
}

#[test]
fn a_timeout_is_set_for_the_connection_in_hand_by_its_id() {
    let (mut turned, id, _peer) = in_hand(|cx, id| cx.set_timeout(id, SOON));
    turned.at(SOON / 2);
    assert_eq!(count_of(id, "RawClose"), 0);
    turned.at(2 * SOON);
    assert_eq!(count_of(id, "RawClose"), 1);
}

#[test]
fn user_data_is_hung_on_the_connection_in_hand_by_its_id() {
    let (mut turned, id, _peer) = in_hand(|cx, id| cx.set_opaque_user_data(id, Rc::new(7_u8)));
    let wsi = turned.cx().wsi(id).expect("it is there");
    assert_eq!(wsi.opaque_user_data::<u8>(), Some(&7));
}

#[test]
fn a_timer_and_a_timeout_are_taken_back_by_the_id_of_the_connection_in_hand() {
    let (mut turned, id, _peer) = in_hand(|cx, id| {
        cx.set_timer(id, SOON);
        cx.set_timeout(id, SOON);
        cx.cancel_timer(id);
        cx.cancel_timeout(id);
    });
    turned.at(2 * SOON);
    turned.turns();
    assert_eq!(order(id).last().map(String::as_str), Some("RawAdopt"));
}

// -- vhosts

/// Runs one test of this file in a process of its own, as which `child` is done.
fn apart(name: &str, child: fn()) -> Option<Command> {
    if std::env::var_os("REGRESSIONS_APART").is_some() {
        child();
        return None;
    }
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command.args(["--exact", name, "--nocapture", "--test-threads", "1"]).env("REGRESSIONS_APART", "1");
    Some(command)
}

#[test]
fn forty_thousand_vhosts_that_came_and_went_leave_nothing_behind() {
    fn many() {
        let rss = || -> u64 {
            let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc");
            4096 * statm.split(' ').nth(1).and_then(|pages| pages.parse::<u64>().ok()).expect("a number")
        };
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        let stays = context.create_vhost(VhostInfo { name: "stays".into(), ..Default::default() }).expect("a vhost");
        let (mut last, mut before) = (stays, 0);
        for number in 0..40_000 {
            let id = context.create_vhost(VhostInfo::default()).expect("a vhost");
            assert!(id > last, "its id is new");
            context.destroy_vhost(id);
            assert!(context.cx().vhost(id).is_none());
            last = id;
            if number == 1000 {
                before = rss();
            }
        }
        assert_eq!(context.cx().vhosts().collect::<Vec<_>>(), [stays]);
        assert_eq!(context.cx().vhost_by_name("stays"), Some(stays));
        let grown = rss().saturating_sub(before);
        assert!(grown < 2_000_000, "{grown} bytes are left of them");
    }
    if let Some(mut command) = apart("forty_thousand_vhosts_that_came_and_went_leave_nothing_behind", many) {
        succeed(&mut command);
    }
}

/// One of vhosts that share a port; connections go to their listen-accept protocol at once.
fn sharing(name: &str, protocols: Vec<rlws::ProtocolTable>, accept: &str) -> VhostInfo {
    VhostInfo {
        name: name.into(),
        listen: Listen::on("127.0.0.1", 0),
        protocols,
        listen_accept_protocol: Some(accept.into()),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        ..Default::default()
    }
}

#[test]
fn a_socket_adopted_for_the_second_vhost_of_a_port_is_bound_as_the_listener_would() {
    let (first, second, third) = (Script::<0>::table(), Script::<1>::table(), Script::<2>::table());
    for protocols in [vec![first, third], vec![third]] {
        let mut turned = Loop::new(sharing("one", vec![first, second], "extra"));
        let accept = protocols[0].name();
        let two = sharing("two", protocols.clone(), accept);
        let two = turned.context.create_vhost(two).expect("a vhost");

        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
        let _peer = connect_to(&listener.local_addr().expect("an address").to_string());
        let (theirs, _) = listener.accept().expect("accept");
        let id = turned.cx().adopt_accepted(theirs, two, b"early").expect("adopt_accepted");
        turned.until("its bytes", || received(id) == b"early");
        let bound = notes().into_iter().find(|note| note.what == "RawAdopt").expect("it is bound");
        assert_eq!((bound.protocol, bound.vhost), ("extra", turned.vhost));

        // As one that was accepted.
        let _peer = connect(turned.port());
        turned.until("another one", || count("RawAdopt") == 2);
        assert_eq!(notes().iter().rfind(|note| note.what == "RawAdopt").map(|note| note.protocol), Some("extra"));
    }
}

#[test]
fn a_copy_of_a_socket_that_was_adopted_as_if_accepted_stays_in_no_poll() {
    let mut turned = Loop::new(listening());
    let polled = |turned: &Loop| {
        let poll = format!("/proc/self/fdinfo/{}", turned.context.as_raw_fd());
        std::fs::read_to_string(poll).expect("/proc").matches("tfd:").count()
    };
    turned.turns();
    let before = polled(&turned);
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let peer = connect_to(&listener.local_addr().expect("an address").to_string());
    let (theirs, _) = listener.accept().expect("accept");
    let _copy = theirs.try_clone().expect("dup");
    let vhost = turned.vhost;
    let id = turned.cx().adopt_accepted(theirs, vhost, b"").expect("adopt_accepted");
    turned.until("it is adopted", || count_of(id, "RawAdopt") == 1);
    assert_eq!(polled(&turned), before + 1);
    drop(peer);
    turned.gone(id);
    assert_eq!(polled(&turned), before);
}

// -- the loop

#[test]
fn a_loop_of_ones_own_learns_that_it_is_to_end_and_why() {
    let mut turned = Loop::new(home());
    assert!(turned.context.stopped().is_none());
    on_call(|_, cx, reason| match reason {
        Reason::RawAdopt => cx.stop_with("the disk is full"),
        _ => Verdict::Continue,
    });
    let (id, peer) = adopted(&mut turned);
    drop(peer);
    turned.gone(id);
    let why = match turned.context.stopped() {
        Some(Err(Error::Stopped(why))) => why.to_string(),
        other => panic!("{other:?}"),
    };
    assert_eq!(why, "the disk is full");
    assert!(turned.context.stopped().is_none(), "it says so once");

    turned.context.waker().stop();
    turned.turn();
    assert!(matches!(turned.context.stopped(), Some(Ok(()))));
    turned.context.waker().stop();
    turned.context.run().expect("it was told to end in order");
    assert!(turned.context.stopped().is_none(), "run has ended for it");
}

#[test]
fn a_signal_ends_the_process_once_the_context_that_took_it_has_gone() {
    use std::os::unix::process::ExitStatusExt;

    fn takes_and_goes() {
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        context.stop_on_signals().expect("signal handlers");
        let own = rustix::process::getpid();
        rustix::process::kill_process(own, rustix::process::Signal::INT).expect("kill");
        context.run().expect("the signal ends the loop in order");
        drop(context);
        rustix::process::kill_process(own, rustix::process::Signal::INT).expect("kill");
        // Another thread may be the one that is given it.
        std::thread::sleep(DEADLINE);
    }
    let name = "a_signal_ends_the_process_once_the_context_that_took_it_has_gone";
    if let Some(mut command) = apart(name, takes_and_goes) {
        let output = finish(&mut command);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.signal(), Some(rustix::process::Signal::INT.as_raw()), "{}: {said}", output.status);
    }
}
