//! The tested context in a process of its own, where its memory and its descriptors are its own as well.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rlws::Context;
use rustix::process::{Pid, Signal, kill_process};

use crate::beyond::Beyond;
use crate::case::{DOORS, Door};
use crate::doors;
use crate::util::count_fds;
use crate::world::World;

const BEYOND: &str = "FAULTS_BEYOND";
const FOLDER: &str = "FAULTS_FOLDER";

/// What the process that serves is told; `None` in the one that starts it.
pub fn beyond() -> Option<Beyond> {
    Beyond::from_text(&std::env::var(BEYOND).ok()?)
}

/// Serves until it is told to end: the same test again, with nothing in its process but the context.
pub fn serve(beyond: Beyond) {
    let folder = std::env::var(FOLDER).expect("who started it says it");
    let mut context = Context::new(doors::context_info()).expect("a context");
    context.stop_on_signals().expect("signals");
    let ports = doors::make(&mut context, beyond, folder.as_ref());
    let text: Vec<_> = DOORS.iter().map(|door| ports[door].to_string()).collect();
    println!("\nports {}", text.join(" "));
    context.run().expect("run");
}

pub struct Served {
    process: Child,
    /// It says more at its end.
    _stdout: BufReader<ChildStdout>,
    pub ports: BTreeMap<Door, u16>,
}

impl Served {
    pub fn start(world: &World, folder: &Path) -> Served {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "soak", "--nocapture"])
            .env(BEYOND, world.beyond().to_string())
            .env(FOLDER, folder)
            .stdout(Stdio::piped())
            .spawn()
            .expect("spawn");
        let mut stdout = BufReader::new(process.stdout.take().expect("piped"));
        let lines = stdout.by_ref().lines().map_while(Result::ok);
        let ports = lines.filter_map(|line| line.strip_prefix("ports ").map(str::to_owned)).next();
        let ports = ports.expect("it tells its ports");
        let ports = ports.split(' ').map(|port| port.parse().expect("a port"));
        Served { process, ports: DOORS.into_iter().zip(ports).collect(), _stdout: stdout }
    }

    fn proc(&self) -> PathBuf {
        format!("/proc/{}", self.process.id()).into()
    }

    pub fn fds(&self) -> usize {
        count_fds(&self.proc())
    }

    /// Its resident memory in KiB.
    pub fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc().join("status")).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        line.and_then(|line| line.trim().strip_suffix(" kB")?.parse().ok()).expect("VmRSS")
    }

    pub fn assert_lives(&mut self) {
        assert_eq!(self.process.try_wait().expect("wait"), None, "it has ended");
    }

    pub fn stop(mut self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).expect("kill");
        let status = self.process.wait().expect("wait");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _it_may_have_ended = self.process.kill();
        let _ = self.process.wait();
    }
}
