//! Protocols that do everything the API offers, at random, from every callback, and what holds whatever they do.
//!
//! A run is told by its seed alone: no threads, and a clock of the test. `CHAOS_SEED=17 cargo test --test chaos` repeats one.

// What a module offers is for this file.
#![allow(unreachable_pub)]

mod util;

#[path = "chaos/acts.rs"]
mod acts;
#[path = "chaos/world.rs"]
mod world;

use std::path::Path;
use std::time::{Duration, Instant};

use acts::{act, begin, came, on_another, peers_act, some_vhost, timing};
use rlws::{
    Call, Context, ContextInfo, Cx, InitError, Protocol, Pvo, Reason, Verdict, VhostCall, VhostId, VhostReason, Wsi,
    WsiId, limits,
};
use util::{Refusing, count_fds};
use world::{WORLD, World, alone, check, check_vhost, drains};

const MS: Duration = Duration::from_millis(1);
const NAMES: [&str; 2] = ["chaos", "order"];

/// The one that does it.
struct Chaos<const N: usize>;

impl<const N: usize> Protocol for Chaos<N> {
    const NAME: &'static str = NAMES[N];
    type Session = Option<WsiId>;
    type Vhost = VhostId;

    fn init(call: VhostCall<'_>, pvo: &Pvo) -> Result<VhostId, InitError> {
        alone(|world| {
            act(world, call.cx, None, None, call.vhost);
            if pvo.flag("fails") {
                world.doomed_vhosts.push(call.vhost);
                return Err("as it was told".into());
            }
            Ok(call.vhost)
        })
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if std::thread::panicking() {
            return Verdict::Continue;
        }
        let Call { wsi, cx, pss, vhd } = call;
        let id = wsi.id();
        assert_eq!(*pss.get_or_insert(id), id, "session data of another connection");
        assert_eq!(*vhd, wsi.vhost(), "data of another vhost");
        alone(|world| {
            check(world, wsi, cx.now(), N, reason);
            act(world, cx, id.into(), Some(wsi), *vhd);
            if world.budget > 0 && world.one_in(40) {
                world.life(id).may_close = true;
                return Verdict::Close;
            }
            Verdict::Continue
        })
    }

    fn vhost_callback(call: VhostCall<'_>, vhd: &mut VhostId, reason: VhostReason<'_>) -> Verdict {
        if std::thread::panicking() {
            return Verdict::Continue;
        }
        assert_eq!(*vhd, call.vhost, "data of another vhost");
        let VhostCall { cx, vhost } = call;
        alone(|world| {
            let wsi = check_vhost(world, vhost, N, reason);
            act(world, cx, wsi, None, vhost);
            if world.budget > 0 && world.one_in(60) {
                if let Some(life) = wsi.and_then(|id| world.lives.get_mut(&id)) {
                    life.may_close = true;
                }
                return Verdict::Close;
            }
            Verdict::Continue
        })
    }
}

/// One run: steps at random, then the end of everything.
fn run(seed: u64) {
    eprintln!("CHAOS_SEED={seed}");
    let fds = count_fds(Path::new("/proc/self"));
    let refusing = Refusing::new();
    let state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    WORLD.set(World { state, budget: 3000, refusing: refusing.target(), ..World::default() });
    let mut context = Context::new(ContextInfo::default()).expect("a context");
    let mut now = Instant::now();
    for _ in 0..400 {
        let (step, fresh) = WORLD.with_borrow_mut(|world| {
            peers_act(world);
            (MS * world.below(12) as u32, world.vhosts.is_empty().then(|| some_vhost(world)))
        });
        if let Some((info, fails)) = fresh {
            let made = context.create_vhost(info.clone());
            assert_eq!(made.is_err(), fails);
            if let Ok(id) = made {
                WORLD.with_borrow_mut(|world| came(world, context.cx(), id, &info.listen, false));
            }
        }
        WORLD.with_borrow_mut(|world| {
            if let Some(vhost) = world.pick(&world.vhosts.clone()) {
                begin(world, context.cx(), None, vhost);
                timing(world, context.cx(), vhost);
                if let Some(other) = world.anybody() {
                    on_another(world, context.cx(), other);
                }
            }
        });
        now += step;
        context.service_at(now).expect("service_at");
        assert_families(context.cx());
    }
    WORLD.with_borrow_mut(|world| {
        world.budget = 0;
        world.lives.values_mut().for_each(|life| life.may_close = true);
        world.peers.clear();
    });
    // By itself everything ends with its vhost; or it was closed before.
    let (all, gently) = WORLD.with_borrow_mut(|world| (world.ids.clone(), world.one_in(2)));
    if gently {
        all.iter().for_each(|id| context.cx().close_later(*id));
    }
    context.service_at(now).expect("service_at");
    let vhosts: Vec<VhostId> = context.cx().vhosts().collect();
    vhosts.into_iter().for_each(|id| context.destroy_vhost(id));
    for _ in 0..3 {
        now += limits::DRAIN_TIME;
        context.service_at(now).expect("service_at");
    }
    assert_eq!(context.cx().wsi_count(), 0, "connections are left");
    assert_eq!(context.next_timeout(), None, "times are left");
    drop((context, refusing));
    let world = WORLD.take();
    for (id, life) in &world.lives {
        assert_eq!(life.created_on.is_some(), life.destroyed, "{id}: {life:?}");
        assert!(!life.bound && life.binds == life.drops, "{id}: {life:?}");
    }
    assert!(world.lives.len() > 50 && world.callbacks > 500, "{} lives, {} calls", world.lives.len(), world.callbacks);
    if std::env::var_os("NEXTEST").is_some() {
        assert!(count_fds(Path::new("/proc/self")) <= fds, "descriptors are left");
    }
}

/// Parents and children know each other, and all of them live.
fn assert_families(cx: &Cx) {
    WORLD.with_borrow(|world| {
        for wsi in world.ids.iter().filter_map(|id| cx.wsi(*id)) {
            assert!(!world.lives[&wsi.id()].destroyed || drains(wsi), "{} was destroyed", wsi.id());
            for child in wsi.children() {
                assert_eq!(cx.wsi(*child).and_then(Wsi::parent), Some(wsi.id()), "{child} is nobody's child");
            }
        }
    });
}

fn run_all(seeds: std::ops::Range<u64>) {
    match std::env::var("CHAOS_SEED") {
        Ok(seed) => run(seed.parse().expect("CHAOS_SEED is a number")),
        Err(_) => seeds.for_each(run),
    }
}

#[test]
fn whatever_protocols_do_nobody_is_reached_who_is_not_meant_and_nothing_is_left() {
    run_all(0..40);
}

#[test]
fn the_same_holds_for_other_seeds() {
    run_all(1000..1040);
}
