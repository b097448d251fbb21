//! Clients and onward servers that misbehave on command, by the thousand, on listeners of every kind; and what holds of every
//! connection whatever they do: bytes arrive in order, whole where both ends behaved, and nobody else's.
//!
//! ```text
//!   client ── bytes that say whose they are ──▶ listener ── relay ──▶ onward server
//!     script                                     http, echo              script
//! ```
//!
//! Everything follows from a seed, which is printed. `FAULTS_SEED=17 cargo test --test faults whatever` repeats a run, `FAULTS_ONLY=123`
//! before it one connection of it a hundred times, and `FAULTS_CONNECTIONS` says how many they are.
//!
//! | file | what it is |
//! |---|---|
//! | `dice` | chance |
//! | `poison` | bytes that say whose they are |
//! | `case` | a connection: its listener, its client, its onward server |
//! | `script` | what one end does |
//! | `heads` | PROXY headers, from balancers and to onward servers |
//! | `requests`, `responses`, `framing` | those of http, and what is due |
//! | `wire` | a socket that never blocks, with TLS or without |
//! | `peer` | one end |
//! | `model` | what has to hold |
//! | `journal` | the same of the access log |
//! | `doors` | the context that is tested |
//! | `beyond` | where it relays to |
//! | `served` | a process of its own for it |
//! | `program` | `lwsws` in its place |
//! | `world` | the run |
//! | `tally` | what came of it |

// What a module offers is for this file.
#![allow(unreachable_pub)]

mod util;

#[path = "faults/beyond.rs"]
mod beyond;
#[path = "faults/case.rs"]
mod case;
#[path = "faults/dice.rs"]
mod dice;
#[path = "faults/doors.rs"]
mod doors;
#[path = "faults/framing.rs"]
mod framing;
#[path = "faults/heads.rs"]
mod heads;
#[path = "faults/journal.rs"]
mod journal;
#[path = "faults/model.rs"]
mod model;
#[path = "faults/peer.rs"]
mod peer;
#[path = "faults/poison.rs"]
mod poison;
#[path = "faults/program.rs"]
mod program;
#[path = "faults/requests.rs"]
mod requests;
#[path = "faults/responses.rs"]
mod responses;
#[path = "faults/script.rs"]
mod script;
#[path = "faults/served.rs"]
mod served;
#[path = "faults/tally.rs"]
mod tally;
#[path = "faults/wire.rs"]
mod wire;
#[path = "faults/world.rs"]
mod world;

use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use case::{DOORS, Door, Host};
use model::Verdict;
use program::Program;
use served::Served;
use util::Server;
use util::{DEADLINE, certs, eventually};
use world::World;

/// A number of the environment.
fn told(name: &str) -> Option<u64> {
    let value = std::env::var(name).ok()?;
    Some(value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")))
}

/// The seed that is to be repeated, or a new one.
fn seed() -> u64 {
    let seed = told("FAULTS_SEED").unwrap_or_else(|| RandomState::new().hash_one(0) >> 32);
    eprintln!("FAULTS_SEED={seed}");
    seed
}

/// A folder with the files that http serves.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let site = doors::site_path(folder.path());
    std::fs::create_dir(&site).expect("mkdir");
    let kept =
        requests::KEPT.iter().zip(0..).map(|(size, file)| (requests::kept_name(file), requests::kept(file), *size));
    for (name, stream, size) in kept.chain([(requests::FILE_NAME.to_owned(), requests::file(), requests::FILE)]) {
        let mut bytes = vec![0; size as usize];
        stream.fill(0, &mut bytes);
        std::fs::write(site.join(name), bytes).expect("write");
    }
    std::fs::write(doors::ca_path(folder.path()), certs::ca().text()).expect("write");
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
    world.check_log();
}

/// So many connections of each kind have to arrive whole in a run of this many, lest it proves nothing.
fn assert_whole(world: &World, doors: impl IntoIterator<Item = Door>, connections: usize) {
    for door in doors {
        let whole = world.tally.verdicts.get(&(door, Verdict::Whole)).copied().unwrap_or_default();
        assert!(whole >= connections / 200, "{door:?}: {whole} connections of {connections} arrived whole");
    }
}

#[test]
fn whatever_both_ends_do_bytes_arrive_in_order_at_whom_they_are_for_and_nothing_is_left() {
    let (seed, folder) = (seed(), folder());
    let connections = told("FAULTS_CONNECTIONS").unwrap_or(10_000);
    let mut world = World::new(seed, Host::Context, folder.path());
    let (beyond, path) = (world.beyond(), folder.path().to_owned());
    let server = Server::start_with(doors::context_info(), move |context| doors::make(context, beyond, &path));
    world.enter(server.made.clone());

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
    journal::assert_tells_of_its_client_alone(log.iter().map(String::as_str));
    if told("FAULTS_ONLY").is_none() {
        assert_whole(&world, DOORS, connections as usize);
    }
}

#[test]
fn reloads_of_the_program_meanwhile_change_nothing_of_that() {
    let (seed, folder) = (seed(), folder());
    let connections = told("FAULTS_CONNECTIONS").unwrap_or(2000);
    let mut world = World::new(seed, Host::Lwsws, folder.path());
    let program = Program::start(world.beyond(), folder.path());
    world.enter(program.ports.clone());
    let before = program.fds_at_rest();
    match told("FAULTS_ONLY") {
        Some(number) => (0..100).for_each(|_| run(&mut world, [number], || program.fds() == before)),
        None => {
            let numbers = (0..connections).inspect(|number| {
                if number % 100 == 50 {
                    program.reload()
                }
            });
            run(&mut world, numbers, || program.fds() == before);
            assert!(program.generations() >= 3, "it reloads in between");
            let doors = DOORS.into_iter().filter(|door| *door != Door::Unix);
            assert_whole(&world, doors, connections as usize);
        }
    }
    eprintln!("{}", world.tally);
    program.stop();
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
    let round = if time > DEADLINE { ROUND } else { ROUND / 5 };
    let (mut seed, folder) = (seed(), folder());
    let mut world = World::new(seed, Host::Context, folder.path());
    let mut served = Served::start(&world, folder.path());
    world.enter(served.ports.clone());
    let (start, fds) = (Instant::now(), served.fds());
    let mut figures: Vec<(Duration, u64)> = Vec::new();
    while start.elapsed() < time {
        run(&mut world, 0..round, || served.fds() <= fds);
        figures.push((start.elapsed(), served.rss()));
        let (_, rss) = figures[figures.len() - 1];
        println!("{:6} s  {:8} connections  {rss:7} KiB", start.elapsed().as_secs(), world.tally.connections());
        seed += 1;
        eprintln!("FAULTS_SEED={seed}");
        world.begin_again(seed);
        served.assert_lives();
    }
    println!("{}", world.tally);
    served.stop();
    // What a run costs varies from seed to seed, so a tenth of the time is looked at as a whole: what is never given back raises its least, too.
    let warm: Vec<u64> = figures.iter().filter(|(at, _)| *at > time / 10).map(|(_, rss)| *rss).collect();
    let tenth = (warm.len() / 10).max(1);
    if warm.len() >= 2 {
        let least = |figures: &[u64]| figures.iter().copied().min().unwrap_or_default();
        let (first, last) = (least(&warm[..tenth]), least(&warm[warm.len() - tenth..]));
        println!("memory: {first} KiB after warming up, {last} KiB at the end");
        assert!(last <= first + first / 100 || time < LONG, "memory has grown by more than 1 %");
    }
}
