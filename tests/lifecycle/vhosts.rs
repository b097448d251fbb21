//! The life of a vhost: what its two protocols hear, in the hands of a scenario that turns the loop itself.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use rlws::{ConnectInfo, Context, Listen, SulId, Target, Verdict, VhostId, VhostInfo};

use super::Scenario;
use super::page::Step;
use super::stage::*;

/// Turns the loop so often that nothing is left to do.
fn turn(context: &mut Context, at: Instant) {
    for _ in 0..4 {
        context.service_at(at).expect("service_at");
    }
}

/// Does something with a running context, and ends it.
fn play(stage: Stage, act: impl FnOnce(&mut Context, VhostId)) -> Vec<Vec<Step>> {
    let (mut context, made, notes) = stage.context();
    act(&mut context, made[0]);
    turn(&mut context, Instant::now());
    drop(context);
    Heard::of(notes.events().clone()).vhost(made[0])
}

fn named(name: &str) -> VhostInfo {
    VhostInfo { name: name.into(), ..home() }
}

/// Where nobody listens.
fn nowhere() -> Target {
    "unix:/there/is/no/such/socket".parse().expect("a target")
}

fn schedule(context: &mut Context, vhost: VhostId, after: Duration) -> SulId {
    context.cx().schedule(vhost, BOUND, after).expect("schedule")
}

/// What the first protocol of a vhost named "new" and the second one heard: one that a callback has made.
fn of_the_new_one(stage: Stage, begin: impl FnOnce(&mut Context)) -> Vec<Vec<Step>> {
    let (mut context, made, notes) = stage.context();
    begin(&mut context);
    turn(&mut context, Instant::now());
    drop(context);
    let heard = Heard::of(notes.events().clone());
    let new = heard.vhosts_of("init").into_iter().find(|id| *id != made[0]).expect("a new vhost");
    heard.vhost(new)
}

pub const ROWS: &[Scenario] = &[
    ("it is made, and its context ends", || play(Stage::of(home()), |_, _| ())),
    ("it is made, and `Context::destroy_vhost`", || {
        play(Stage::of(home()), |context, vhost| {
            context.destroy_vhost(vhost);
            context.destroy_vhost(vhost);
        })
    }),
    ("`init` of the second protocol fails", || {
        let mut inits = 0;
        let act = move |_: &mut Hand<'_>| {
            inits += 1;
            if inits == 2 { Verdict::Close } else { Verdict::Continue }
        };
        unmade(Stage::of(home()).on("init", act))
    }),
    ("`init` of the first protocol fails", || unmade(Stage::of(home()).on("init", close))),
    ("`Waker::wake`", || {
        play(Stage::of(home()), |context, _| {
            let waker = context.waker();
            waker.wake();
            waker.wake();
            turn(context, Instant::now());
        })
    }),
    ("`schedule` for the second protocol", || {
        play(Stage::of(home()), |context, vhost| {
            schedule(context, vhost, SOON);
            turn(context, Instant::now());
            turn(context, Instant::now() + 2 * SOON);
        })
    }),
    ("`schedule`, and `cancel_sul`", || {
        play(Stage::of(home()), |context, vhost| {
            let sul = schedule(context, vhost, SOON);
            assert!(context.cx().cancel_sul(sul));
            assert!(!context.cx().cancel_sul(sul));
            turn(context, Instant::now() + 2 * SOON);
        })
    }),
    ("`schedule`, and `destroy_vhost` before it is due", || {
        play(Stage::of(home()), |context, vhost| {
            schedule(context, vhost, SOON);
            context.destroy_vhost(vhost);
            turn(context, Instant::now() + 2 * SOON);
        })
    }),
    ("`schedule` again from `Sul`", || {
        let again = |hand: &mut Hand<'_>| {
            hand.cx.schedule(hand.vhost, BOUND, SOON).expect("schedule");
            Verdict::Continue
        };
        play(Stage::of(home()).once("Sul", again), |context, vhost| {
            schedule(context, vhost, SOON);
            turn(context, Instant::now() + 2 * SOON);
            turn(context, Instant::now() + 4 * SOON);
            turn(context, Instant::now() + 8 * SOON);
        })
    }),
    ("`callback_vhost_protocols`", || {
        play(Stage::of(home()), |context, vhost| {
            context.cx().callback_vhost_protocols(vhost, 7);
            turn(context, Instant::now());
        })
    }),
    ("`callback_vhost_protocols`, and `destroy_vhost` at once", || {
        play(Stage::of(home()), |context, vhost| {
            context.cx().callback_vhost_protocols(vhost, 7);
            context.destroy_vhost(vhost);
        })
    }),
    ("`EventWaitCancelled` returns `Close`, which does nothing", || {
        play(Stage::of(home()).on("EventWaitCancelled", close), |context, _| {
            context.waker().wake();
            turn(context, Instant::now());
        })
    }),
    ("`EventWaitCancelled` of the first protocol asks for `destroy_vhost_later`", || {
        let act = |hand: &mut Hand<'_>| {
            hand.cx.destroy_vhost_later(hand.vhost);
            Verdict::Continue
        };
        play(Stage::of(home()).once("EventWaitCancelled", act), |context, _| {
            context.waker().wake();
            turn(context, Instant::now());
        })
    }),
    ("`Sul` asks for `destroy_vhost_later`", || {
        let act = |hand: &mut Hand<'_>| {
            hand.cx.destroy_vhost_later(hand.vhost);
            Verdict::Continue
        };
        play(Stage::of(home()).on("Sul", act), |context, vhost| {
            schedule(context, vhost, SOON);
            turn(context, Instant::now() + 2 * SOON);
        })
    }),
    ("`init` of the first protocol asks for `destroy_vhost_later`", || {
        let act = |hand: &mut Hand<'_>| {
            hand.cx.destroy_vhost_later(hand.vhost);
            Verdict::Continue
        };
        play(Stage::of(home()).once("init", act), |_, _| ())
    }),
    ("a callback makes it", || {
        let act = |hand: &mut Hand<'_>| {
            hand.cx.create_vhost(named("new")).expect("create_vhost");
            Verdict::Continue
        };
        of_the_new_one(Stage::of(home()).once("EventWaitCancelled", act), |context| context.waker().wake())
    }),
    ("a callback makes it, and `init` of its first protocol fails", || {
        let act = |hand: &mut Hand<'_>| {
            hand.cx.create_vhost(named("new")).expect("create_vhost");
            Verdict::Continue
        };
        let fails = |hand: &mut Hand<'_>| {
            let is_new = hand.cx.vhost(hand.vhost).is_some_and(|vhost| vhost.name() == "new");
            if is_new { Verdict::Close } else { Verdict::Continue }
        };
        of_the_new_one(Stage::of(home()).once("EventWaitCancelled", act).on("init", fails), |context| {
            context.waker().wake();
        })
    }),
    ("a callback makes it, and asks for `destroy_vhost_later`", || {
        let act = |hand: &mut Hand<'_>| {
            let new = hand.cx.create_vhost(named("new")).expect("create_vhost");
            hand.cx.destroy_vhost_later(new);
            Verdict::Continue
        };
        of_the_new_one(Stage::of(home()).once("EventWaitCancelled", act), |context| context.waker().wake())
    }),
    ("`init` of another vhost makes it", || {
        let act = |hand: &mut Hand<'_>| {
            hand.cx.create_vhost(named("new")).expect("create_vhost");
            Verdict::Continue
        };
        of_the_new_one(Stage::of(home()).once("init", act), |_| ())
    }),
    ("`ProtocolDestroy` begins something new, which is refused", || {
        let act = |hand: &mut Hand<'_>| {
            hand.cx.schedule(hand.vhost, BOUND, SOON).expect_err("it goes");
            hand.cx.client_connect(ConnectInfo::new(hand.vhost, nowhere(), BOUND)).expect_err("it goes");
            hand.cx.callback_vhost_protocols(hand.vhost, 7);
            hand.cx.destroy_vhost_later(hand.vhost);
            Verdict::Continue
        };
        play(Stage::of(home()).on("ProtocolDestroy", act), |context, vhost| context.destroy_vhost(vhost))
    }),
    ("the context ends, and `ProtocolDestroy` makes a vhost, which is refused", || {
        let act = |hand: &mut Hand<'_>| {
            hand.cx.create_vhost(named("new")).expect_err("the context goes");
            Verdict::Continue
        };
        play(Stage::of(home()).on("ProtocolDestroy", act), |_, _| ())
    }),
    ("a callback makes one whose address is taken, which is an error at once", || {
        let act = |hand: &mut Hand<'_>| {
            let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
            let port = taken.local_addr().expect("an address").port();
            let info = VhostInfo { listen: Listen::on("127.0.0.1", port), ..named("new") };
            hand.cx.create_vhost(info).expect_err("it is taken");
            Verdict::Continue
        };
        play(Stage::of(home()).once("EventWaitCancelled", act), |context, _| context.waker().wake())
    }),
];

/// A vhost that cannot be made.
fn unmade(stage: Stage) -> Vec<Vec<Step>> {
    let (mut context, made, notes) = stage.context();
    assert!(made.is_empty());
    turn(&mut context, Instant::now());
    drop(context);
    let heard = Heard::of(notes.events().clone());
    let vhost = *heard.vhosts_of("init").first().expect("it was begun");
    heard.vhost(vhost)
}
