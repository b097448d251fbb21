//! What the command line asks for.

use std::time::Duration;

use lexopt::prelude::*;

use crate::contenders::{CONTENDERS, OWN};
use crate::rows::{Row, rows};

pub(crate) const USAGE: &str = "\
peers: what rlws costs beside the servers found on this machine, in CPU time of the server
usage: cargo bench --bench peers -- [OPTIONS]
  --list          the rows, and who is here to take part
  --rows A,B      these rows; all unless told
  --peers A,B     rlws and these; all unless told
  --rounds N      how often each is measured, in turn with the others; 5
  --seconds S     how long each load works; 2
  --page          write the kept figures of all rows to READMEs/README.performance.md; with --rows, when these are measured
Figures are kept in target/tmp, and replaced where a row is measured again.
";

/// What is to be done.
#[derive(Debug, Clone)]
pub(crate) struct Args {
    pub(crate) task: Task,
    pub(crate) rows: Vec<Row>,
    /// Whoever is to take part; empty: everybody.
    pub(crate) peers: Vec<String>,
    pub(crate) rounds: usize,
    pub(crate) time: Duration,
    pub(crate) page: bool,
}

/// One of them.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) enum Task {
    Measure,
    /// `cargo test`: does it still run?
    Try,
    List,
    Help,
}

impl Args {
    /// # Errors
    /// What is not understood.
    pub(crate) fn parse(args: impl IntoIterator<Item = std::ffi::OsString>) -> Result<Args, lexopt::Error> {
        // What cargo bench says, and cargo test does not.
        let mut is_bench = false;
        let mut args = lexopt::Parser::from_args(args);
        let mut parsed = Args {
            task: Task::Measure,
            rows: rows(),
            peers: Vec::new(),
            rounds: 5,
            time: Duration::from_secs(2),
            page: false,
        };
        let mut chosen = false;
        while let Some(arg) = args.next()? {
            match arg {
                Long("bench") => is_bench = true,
                Long("list") => parsed.task = Task::List,
                Short('h') | Long("help") => parsed.task = Task::Help,
                Long("rows") => (parsed.rows, chosen) = (chosen_rows(&args.value()?.string()?)?, true),
                Long("peers") => parsed.peers = chosen_peers(&args.value()?.string()?)?,
                Long("rounds") => parsed.rounds = args.value()?.parse_with(rounds)?,
                Long("seconds") => parsed.time = args.value()?.parse_with(seconds)?,
                Long("page") => parsed.page = true,
                other => return Err(other.unexpected()),
            }
        }
        if parsed.page && !chosen {
            parsed.rows.clear();
        }
        if parsed.task == Task::Measure && !is_bench {
            parsed.task = Task::Try;
        }
        Ok(parsed)
    }

    pub(crate) fn wants(&self, peer: &str) -> bool {
        self.peers.is_empty() || peer == OWN || self.peers.iter().any(|name| name == peer)
    }
}

fn chosen_rows(names: &str) -> Result<Vec<Row>, String> {
    let row =
        |name: &str| rows().into_iter().find(|row| row.name == name).ok_or_else(|| format!("there is no row {name:?}"));
    names.split(',').map(row).collect()
}

fn chosen_peers(names: &str) -> Result<Vec<String>, String> {
    let peer = |name: &str| {
        let is_known = CONTENDERS.iter().any(|it| it.name == name);
        is_known.then(|| name.to_owned()).ok_or_else(|| format!("nobody is called {name:?}; --list names all"))
    };
    names.split(',').map(peer).collect()
}

fn rounds(text: &str) -> Result<usize, &'static str> {
    text.parse().ok().filter(|rounds| *rounds > 0).ok_or("a number from 1 on is wanted")
}

fn seconds(text: &str) -> Result<Duration, &'static str> {
    const MOST: Duration = Duration::from_secs(3600);
    let time = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    time.filter(|time| !time.is_zero() && *time <= MOST).ok_or("seconds are wanted, more than 0 and up to 3600")
}
