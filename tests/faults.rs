//! Clients and onward servers that misbehave on command, by the thousand, on listeners of every kind; and what holds of every
//! connection whatever they do: bytes arrive in order, whole where both ends behaved, and nobody else's.
//!
//! ```text
//!   client ── bytes that say whose they are ──▶ listener ── relay ──▶ onward server
//!     script                                     http, echo              script
//! ```
//!
//! Everything follows from a seed, which is printed. `FAULTS_SEED=17 cargo test --test faults` repeats a run, `FAULTS_ONLY=123` beside
//! it one connection of it a hundred times, and `FAULTS_CONNECTIONS` says how many they are.
//!
//! | file | what it is |
//! |---|---|
//! | `dice` | chance |
//! | `poison` | bytes that say whose they are |
//! | `script` | what the ends of a connection do |
//! | `requests` | those of http, and what is due |
//! | `wire` | a socket that never blocks, with TLS or without |
//! | `peer` | one end |
//! | `model` | what has to hold |
//! | `doors` | the context that is tested |
//! | `served` | a process of its own for it |
//! | `world` | the run |

// What a module offers is for this file.
#![allow(unreachable_pub)]

mod util;

#[path = "faults/dice.rs"]
mod dice;
#[path = "faults/doors.rs"]
mod doors;
#[path = "faults/model.rs"]
mod model;
#[path = "faults/peer.rs"]
mod peer;
#[path = "faults/poison.rs"]
mod poison;
#[path = "faults/requests.rs"]
mod requests;
#[path = "faults/script.rs"]
mod script;
#[path = "faults/served.rs"]
mod served;
#[path = "faults/wire.rs"]
mod wire;
#[path = "faults/world.rs"]
mod world;

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use model::Verdict;
use script::DOORS;
use served::Served;
use util::*;
use world::World;

/// A number of the environment.
fn told(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// A folder with the file that http serves.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let mut file = vec![0; requests::FILE as usize];
    requests::file().fill(0, &mut file);
    std::fs::write(folder.path().join(requests::FILE_NAME), file).expect("write");
    folder
}

/// Does so many connections, and waits until nothing is left of them on the other side.
fn run(world: &mut World, numbers: impl IntoIterator<Item = u64>, mut is_over: impl FnMut() -> bool) {
    let (start, before) = (Instant::now(), world.tally.connections());
    world.run(numbers);
    eventually("all connections are gone", || {
        world.turn(Duration::from_millis(1));
        world.is_idle() && is_over()
    });
    world.forget();
    eprintln!("{} connections in {:?}", world.tally.connections() - before, start.elapsed());
}

#[test]
fn whatever_both_ends_do_bytes_arrive_in_order_at_whom_they_are_for_and_nothing_is_left() {
    let seed = told("FAULTS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    let connections = told("FAULTS_CONNECTIONS").unwrap_or(10_000);
    eprintln!("FAULTS_SEED={seed}");
    let folder = folder();
    let mut world = World::new(seed);
    let (beyond, path) = (world.beyond(), folder.path().to_owned());
    let server = Server::start_with(doors::context_info(), move |context| doors::make(context, beyond, &path));
    world.enter(server.made.clone(), folder.path());

    let is_over = || server.wsi_count() == DOORS.len();
    match told("FAULTS_ONLY") {
        Some(number) => (0..100).for_each(|_| run(&mut world, [number], is_over)),
        None => run(&mut world, 0..connections, is_over),
    }
    eprintln!("{}", world.tally);
    server.assert_nothing_left();
    eventually("no times are left", || server.ask(|context| context.next_timeout()).is_none());
    let log = server.log();
    let errors: Vec<_> = log.iter().filter(|line| line.starts_with("ERROR")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    if told("FAULTS_ONLY").is_none() && connections >= 10_000 {
        for door in DOORS {
            let whole = world.tally.verdicts.get(&(door, Verdict::Whole)).copied().unwrap_or_default();
            assert!(whole >= 50, "{door:?}: {whole} connections were to arrive whole");
        }
    }
}

/// How long a soak lasts that can tell whether memory grows.
const LONG: Duration = Duration::from_secs(30 * 60);
/// Connections of a soak with one seed.
const ROUND: u64 = 5000;

/// One round; as many as there is time for where `tests/soak` starts it.
#[test]
fn soak() {
    if let Some(beyond) = served::beyond() {
        return served::serve(beyond);
    }
    let time = told("SOAK_SECONDS").map_or(Duration::from_millis(1), Duration::from_secs);
    let mut seed = told("FAULTS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    let folder = folder();
    let mut world = World::new(seed);
    let mut served = Served::start(&world, folder.path());
    world.enter(served.ports.clone(), folder.path());
    let (start, fds) = (Instant::now(), served.fds());
    let mut figures: Vec<(Duration, u64)> = Vec::new();
    while start.elapsed() < time {
        eprintln!("FAULTS_SEED={seed}");
        run(&mut world, 0..ROUND, || served.fds() <= fds);
        figures.push((start.elapsed(), served.rss()));
        let (_, rss) = figures[figures.len() - 1];
        println!("{:6} s  {:8} connections  {rss:7} KiB", start.elapsed().as_secs(), world.tally.connections());
        seed += 1;
        world.begin_again(seed);
        served.assert_lives();
    }
    println!("{}", world.tally);
    served.stop();
    // What a run costs varies from seed to seed, so a tenth of the time is looked at as a whole.
    let warm: Vec<u64> = figures.iter().filter(|(at, _)| *at > time / 10).map(|(_, rss)| *rss).collect();
    let tenth = (warm.len() / 10).max(1);
    if warm.len() >= 2 {
        let most = |figures: &[u64]| figures.iter().copied().max().unwrap_or_default();
        let (first, last) = (most(&warm[..tenth]), most(&warm[warm.len() - tenth..]));
        println!("memory: {first} KiB after warming up, {last} KiB at the end");
        assert!(last <= first + first / 100 || time < LONG, "memory has grown by more than 1 %");
    }
}
