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
#[path = "faults/wire.rs"]
mod wire;
#[path = "faults/world.rs"]
mod world;

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use model::Verdict;
use script::DOORS;
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

#[test]
fn whatever_both_ends_do_bytes_arrive_in_order_at_whom_they_are_for_and_nothing_is_left() {
    let seed = told("FAULTS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    let connections = told("FAULTS_CONNECTIONS").unwrap_or(10_000);
    eprintln!("FAULTS_SEED={seed}");
    let folder = folder();
    let mut world = World::new(seed);
    let (beyond, path) = (world.beyond(), folder.path().to_owned());
    let server = Server::start_with(doors::context_info(), move |context| doors::make(context, beyond, &path));
    let waits = server.ask(|context| context.next_timeout());
    world.enter(server.made.clone(), folder.path());

    let start = Instant::now();
    match told("FAULTS_ONLY") {
        Some(number) => (0..100).for_each(|_| world.run([number])),
        None => world.run(0..connections),
    }
    eventually("all connections are gone", || {
        world.turn(Duration::from_millis(1));
        world.is_idle() && server.wsi_count() == DOORS.len()
    });
    eprintln!("{connections} connections in {:?}: {:#?}", start.elapsed(), world.tally);
    server.assert_nothing_left();
    assert_eq!(server.ask(|context| context.next_timeout()), waits, "times are left");
    let log = server.log();
    let errors: Vec<_> = log.iter().filter(|line| line.starts_with("ERROR")).collect();
    assert!(errors.is_empty(), "{errors:?}");
    if told("FAULTS_ONLY").is_none() && connections >= 10_000 {
        for door in DOORS {
            let whole = world.tally.verdicts.get(&(door, Verdict::Whole)).copied().unwrap_or_default();
            assert!(whole >= 100, "{door:?}: {whole} connections were to arrive whole");
        }
    }
}
