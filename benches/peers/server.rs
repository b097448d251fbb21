//! One server under load: started on its core, waited for, its CPU time and memory read, ended.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::cores::Cores;

/// How long a server may take until it listens.
const STARTS_WITHIN: Duration = Duration::from_secs(10);

/// A process, and those that it has started. Dropping it kills them.
pub(crate) struct Server {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Server {
    /// Starts `command`, with its output in `log`, and waits until something listens on `port` of 127.0.0.1.
    ///
    /// # Errors
    /// What it said, where it does not start or ends at once.
    pub(crate) fn start(mut command: Command, cores: Cores, port: u16, log: PathBuf) -> Result<Server, String> {
        let file = File::create(&log).map_err(|error| format!("{}: {error}", log.display()))?;
        let also = file.try_clone().map_err(|error| error.to_string())?;
        command.stdin(Stdio::null()).stdout(file).stderr(also);
        let child = cores.on_the_server(|| command.spawn()).map_err(|error| format!("{command:?}: {error}"))?;
        let mut server = Server { child, port, log };
        let end = Instant::now() + STARTS_WITHIN;
        while !server.listens() {
            let ended = server.child.try_wait().ok().flatten();
            if ended.is_some() || Instant::now() > end {
                return Err(format!("it does not listen: {}", server.last_words()));
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(server)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The time that all its threads have run, in nanoseconds' resolution: `sum_exec_runtime`, system calls included.
    pub(crate) fn cpu(&self) -> Duration {
        let ran = |pid: &u32| -> u64 {
            let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
            tasks.filter_map(|task| first_number(&fs::read_to_string(task.path().join("schedstat")).ok()?)).sum()
        };
        Duration::from_nanos(self.processes().iter().map(ran).sum())
    }

    /// Its resident memory in bytes, with what it shares divided among those who share it (PSS).
    pub(crate) fn memory(&self) -> u64 {
        let kib = |pid: &u32| -> Option<u64> {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            first_number(rollup.lines().find_map(|line| line.strip_prefix("Pss:"))?)
        };
        self.processes().iter().filter_map(kib).sum::<u64>() * 1024
    }

    /// The end of what it has logged, on one line.
    pub(crate) fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().rev().take(3).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
    }

    fn listens(&self) -> bool {
        TcpStream::connect(("127.0.0.1", self.port)).is_ok()
    }

    /// The child and all below it.
    fn processes(&self) -> Vec<u32> {
        descendants(self.child.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.processes().into_iter().for_each(kill);
        let _it_may_be_gone = self.child.wait();
    }
}

/// Kills all that a process has started, and what these have.
pub(crate) fn kill_descendants(of: u32) {
    descendants(of).into_iter().filter(|pid| *pid != of).for_each(kill);
}

fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _it_may_be_gone = kill_process(pid, Signal::KILL);
    }
}

/// A process and all below it.
fn descendants(of: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let parents: BTreeMap<u32, u32> = pids.filter_map(|pid| Some((pid, parent(pid)?))).collect();
    let descends = |pid: &u32| std::iter::successors(Some(*pid), |pid| parents.get(pid).copied()).any(|pid| pid == of);
    parents.keys().copied().filter(descends).collect()
}

fn parent(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in front may hold anything, parentheses too.
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

fn first_number(text: &str) -> Option<u64> {
    text.split_whitespace().next()?.parse().ok()
}
