//! The tested context in a process of its own, where its memory and its descriptors are its own as well.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::script::{DOORS, Door};
use crate::util::count_fds;
use crate::world::World;

pub struct Served {
    process: Child,
    /// It says more at its end.
    _stdout: BufReader<ChildStdout>,
    pub ports: BTreeMap<Door, u16>,
}

impl Served {
    pub fn start(world: &World, folder: &Path) -> Served {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .args(["--exact", "served", "--ignored", "--nocapture"])
            .env("FAULTS_BEYOND", world.beyond().to_string())
            .env("FAULTS_FOLDER", folder)
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
        assert!(self.process.wait().expect("wait").success());
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _it_may_have_ended = self.process.kill();
        let _ = self.process.wait();
    }
}
