//! `cargo bench --bench peers`: what a relayed byte, an answered request and an echoed WebSocket message cost in rlws, and in other
//! servers found on this machine.
//!
//! ```text
//!        one core                         another core: this process
//!   ┌────────────────┐       ┌──────────────────────────────────────────────┐
//!   │ rlws, or floor │ ◀───▶ │ load: exchanges, streams, crowd, or wrk      │
//!   │ nginx, haproxy │ ◀───▶ │ backend: echo, sink, source (behind a relay) │
//!   └────────────────┘       └──────────────────────────────────────────────┘
//! ```
//!
//! Each measurement starts one server, loads it, and reads the CPU time that it took from /proc. Rounds go around the contenders, so that what
//! slows the machine for a while slows all of them; ratios are those of one round. Figures are kept (`results`) and printed (`table`), and a
//! page is made of them (`page`, `chart`). Without `--bench`, as `cargo test` runs it, it measures one row for a moment and keeps nothing.

mod args;
mod chart;
mod contenders;
mod cores;
mod echo;
mod echo_floor;
mod floor;
mod floors;
mod http_floor;
mod interrupted;
mod load;
mod machine;
mod measure;
mod page;
mod poll;
mod results;
mod rows;
mod server;
mod table;
#[path = "../../tests/util/mod.rs"]
mod util;
mod ws_peers;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use args::{Args, Task, USAGE};
use contenders::{CONTENDERS, Contender, FLOOR, OWN, TUNED, found};
use cores::Cores;
use measure::Bench;
use results::Results;
use rows::{Figure, Group, Row, rows};

fn main() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().skip(1).collect();
    let result = if let Some(floor) = floors::asked(&args) {
        floors::run(floor).map_err(|error| error.to_string())
    } else if let Some(asked) = echo::asked(&args) {
        echo::run(asked).map_err(|error| error.to_string())
    } else {
        Args::parse(args)
            .map_err(|error| format!("peers: {error}; --help says what there is"))
            .and_then(|args| run(&args))
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), String> {
    match args.task {
        Task::Help => print!("{USAGE}"),
        Task::List => list(),
        Task::Try => return try_out(),
        Task::Measure => {
            let mut results = Results::kept();
            measure(args, &mut results)?;
            if args.page {
                page::write(&results)?;
            }
        }
    }
    Ok(())
}

fn list() {
    for row in rows() {
        println!("{:14} {}, {}", row.name, row.what, row.figure.unit());
    }
    println!();
    for contender in &CONTENDERS {
        let is_here = contender.groups.iter().any(|group| contender.program(*group).is_some());
        println!("{:14} {}", contender.name, if is_here { "is here" } else { contender.how });
    }
    println!("{:14} {}", "wrk", found("wrk").map_or("apt-get install wrk", |_| "is here"));
}

fn measure(args: &Args, results: &mut Results) -> Result<(), String> {
    let bench = prepared(args.time)?;
    if args.rows.iter().any(|row| row.group == Group::Ws)
        && let Err(why) = ws_peers::build()
    {
        eprintln!("{why}");
    }
    name_absent(args);
    let can_be_measured = |row: &&Row| !row.needs_wrk() || found("wrk").is_some();
    for row in args.rows.iter().filter(can_be_measured) {
        println!("\n{}: {}", row.name, row.what);
        results.forget(row.name);
        let contenders = contenders(args, row);
        for round in 0..args.rounds {
            // Nobody is always the first.
            for turn in 0..contenders.len() {
                let (contender, program) = &contenders[(round + turn) % contenders.len()];
                match bench.measure(row, contender, program) {
                    Ok(sample) => results.add(row.name, contender.name, round, sample),
                    Err(why) => eprintln!("{}, {}: {why}", row.name, contender.name),
                }
            }
        }
        for (contender, _) in &contenders {
            report(results, row, contender);
        }
        results.keep().map_err(|error| format!("the figures cannot be kept: {error}"))?;
    }
    let measured = results.of(|name| args.rows.iter().filter(can_be_measured).any(|row| row.name == name));
    for group in [Group::Relay, Group::Http, Group::Ws] {
        if args.rows.iter().any(|row| row.group == group && measured.has(row.name) && !row.is_point()) {
            println!("\n{}", table::table(&measured, group));
        }
    }
    let missed: Vec<&str> =
        args.rows.iter().map(|row| row.name).filter(|name| measured.cost(name, OWN).is_none()).collect();
    if missed.is_empty() { Ok(()) } else { Err(format!("not measured: {}", missed.join(", "))) }
}

/// Who takes part.
fn contenders(args: &Args, row: &Row) -> Vec<(&'static Contender, PathBuf)> {
    let takes_part = |it: &&Contender| {
        let is_yardstick = match it.name {
            FLOOR => row.has_floor(),
            TUNED => row.figure != Figure::Memory && !row.is_point(),
            _ => true,
        };
        args.wants(it.name) && is_yardstick
    };
    let here = CONTENDERS.iter().filter(takes_part).filter_map(|it| Some((it, it.program(row.group)?)));
    here.collect()
}

/// Who could take part in some row, and is not here.
fn name_absent(args: &Args) {
    for it in CONTENDERS.iter().filter(|it| args.wants(it.name)) {
        let is_absent =
            |group: &&Group| it.program(**group).is_none() && args.rows.iter().any(|row| row.group == **group);
        if it.groups.iter().find(is_absent).is_some() {
            eprintln!("without {}: {}", it.name, it.how);
        }
    }
    if args.rows.iter().any(Row::needs_wrk) && found("wrk").is_none() {
        eprintln!("without the rows that need wrk: apt-get install wrk");
    }
}

fn report(results: &Results, row: &Row, contender: &Contender) {
    let Some(cost) = results.cost(row.name, contender.name) else { return };
    let rate = results.rate(row.name, contender.name).filter(|rate| *rate > 0.0);
    let rate = rate.map_or(String::new(), |rate| format!("  {}/s", table::rounded(rate)));
    let [median, least, most] = [cost.median, cost.least, cost.most].map(table::rounded);
    println!("  {:11} {median:>8} {} ({least}-{most}){rate}", contender.name, row.figure.unit());
}

fn prepared(time: Duration) -> Result<Bench, String> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
        .map_err(|error| format!("RLIMIT_NOFILE: {error}"))?;
    let cores = Cores::choose();
    if cores.are_one() {
        eprintln!("there is one core for server and load: these figures mean little");
    }
    cores.stay_off_the_server();
    interrupted::watch().map_err(|error| format!("signals: {error}"))?;
    Bench::new(cores, time)
}

/// One row of each kind of load for a moment, the table, and a chart of made-up figures.
fn try_out() -> Result<(), String> {
    let bench = prepared(Duration::from_millis(50))?;
    let mut results = Results::default();
    for row in rows().iter().filter(|row| ["ping64", "http-100", "ws64-64"].contains(&row.name)) {
        for contender in CONTENDERS.iter().filter(|it| ["rlws", "floor"].contains(&it.name)) {
            let Some(program) = contender.program(row.group) else { continue };
            let sample = bench.measure(row, contender, &program)?;
            results.add(row.name, contender.name, 0, sample);
            report(&results, row, contender);
        }
    }
    println!("\n{}", page::measured(&results));
    let chart = page::chart(&results);
    let is_there = results.ratio("ping64", "rlws", "floor").is_some() && results.has("http-100");
    if is_there && chart.ends_with("</svg>\n") { Ok(()) } else { Err(format!("no figures:\n{chart}")) }
}
