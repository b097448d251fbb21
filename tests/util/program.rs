//! An example, spawned as its user would.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};

use super::{count_fds, eventually};

/// A running example. Dropping it kills it; a test that fails shows its log.
pub struct Program {
    name: String,
    child: Child,
    log: Arc<Mutex<String>>,
    reader: Option<JoinHandle<()>>,
}

/// The executable of an example, beside the test's own in the target folder.
#[track_caller]
pub fn example(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/TEST");
    let path = profile.join("examples").join(name);
    assert!(path.is_file(), "there is no {}: run `cargo build --examples` first", path.display());
    path
}

impl Program {
    /// Starts an example, and returns once it listens.
    #[track_caller]
    pub fn start<S: AsRef<std::ffi::OsStr>>(name: &str, args: &[S]) -> Program {
        let program = Program::spawn(Command::new(example(name)).args(args));
        program.wait_for_log("listening on ");
        program
    }

    /// Starts any command, and does not wait.
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Program {
        Program::launch(command.stdin(Stdio::null()).stdout(Stdio::null()))
    }

    /// The same, to be talked to over its stdin and stdout.
    #[track_caller]
    pub fn talk(command: &mut Command) -> (Program, ChildStdin, ChildStdout) {
        let mut program = Program::launch(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
        let (stdin, stdout) = (program.child.stdin.take(), program.child.stdout.take());
        (program, stdin.expect("it is piped"), stdout.expect("it is piped"))
    }

    /// The same, with stdin and stdout as the command has them.
    #[track_caller]
    pub fn launch(command: &mut Command) -> Program {
        let name = command.get_program().to_string_lossy().into_owned();
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let log = Arc::new(Mutex::new(String::new()));
        let stderr = child.stderr.take().expect("it is piped");
        let reader = std::thread::spawn({
            let log = log.clone();
            move || {
                let mut lines = BufReader::new(stderr);
                let mut line = Vec::new();
                while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                    log.lock().expect("no panic").push_str(&String::from_utf8_lossy(&line));
                    line.clear();
                }
            }
        });
        Program { name, child, log, reader: Some(reader) }
    }

    /// What it wrote to stderr so far.
    pub fn log(&self) -> String {
        self.log.lock().expect("no panic").clone()
    }

    /// Waits for a text in its log.
    #[track_caller]
    pub fn wait_for_log(&self, text: &str) {
        // The last line may still be on its way; the reader ends with the program.
        let ended = || self.reader.as_ref().is_none_or(JoinHandle::is_finished);
        eventually(&format!("`{text}` in the log of {}", self.name), || {
            let ended = ended();
            let found = self.log().contains(text);
            assert!(found || !ended, "{} ended without `{text}` in its log:\n{}", self.name, self.log());
            found
        });
    }

    /// The port of its first `listening on ADDRESS:PORT (vhost NAME)`.
    #[track_caller]
    pub fn port(&self) -> u16 {
        self.wait_for_log("listening on ");
        let log = self.log();
        let port = log
            .split_once("listening on ")
            .and_then(|(_, rest)| rest.split_whitespace().next())
            .and_then(|address| address.rsplit_once(':'))
            .and_then(|(_, port)| port.parse().ok());
        port.unwrap_or_else(|| panic!("no port in the log of {}:\n{log}", self.name))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn proc(&self) -> PathBuf {
        Path::new("/proc").join(self.pid().to_string())
    }

    pub fn fds(&self) -> usize {
        count_fds(&self.proc())
    }

    /// Waits until it has no more file descriptors than `before`.
    #[track_caller]
    pub fn assert_fds_back_to(&self, before: usize) {
        eventually(&format!("{} is back to {before} file descriptors", self.name), || self.fds() <= before);
    }

    /// Its resident memory in bytes.
    #[track_caller]
    pub fn rss(&self) -> u64 {
        let status = std::fs::read_to_string(self.proc().join("status")).expect("/proc/PID/status");
        let kib: u64 = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:")?.trim().strip_suffix(" kB")?.parse().ok())
            .unwrap_or_else(|| panic!("no VmRSS: {} has ended?", self.name));
        kib * 1024
    }

    /// Whether it waits in its poll, and for no time to come: no timer is set. (The fourth argument of epoll_wait(2) is its timeout.)
    pub fn waits_for_ever(&self) -> bool {
        let call = std::fs::read_to_string(self.proc().join("syscall")).expect("/proc/PID/syscall");
        call.split_whitespace().nth(4).is_some_and(|timeout| timeout.ends_with("0xffffffff"))
    }

    #[track_caller]
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("kill");
    }

    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().expect("wait").is_some()
    }

    /// Waits for its end; by then all of its log has been read.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        eventually(&format!("{} ends", self.name), || {
            status = self.child.try_wait().expect("wait");
            status.is_some()
        });
        let _ = self.reader.take().map(JoinHandle::join);
        status.expect("the loop above ends with one")
    }

    /// SIGTERM; the exit must be clean.
    #[track_caller]
    pub fn stop(mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert!(status.success(), "{} ended with {status}:\n{}", self.name, self.log());
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("--- log of {}:\n{}", self.name, self.log());
        }
    }
}
