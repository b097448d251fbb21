//! An example under strace: the system calls that it makes, and some that fail.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::process::Command;

use super::program::example;
use super::{Program, eventually, require};

pub struct Traced {
    pub program: Program,
    /// The tracer, where it came later.
    _strace: Option<Program>,
    folder: tempfile::TempDir,
}

impl Traced {
    /// Starts an example on a free port of 127.0.0.1.
    #[track_caller]
    pub fn start<S: AsRef<OsStr>>(name: &str, args: &[S]) -> Traced {
        let (mut command, folder) = strace();
        // With -D the child is the program itself, and strace a process beside it.
        command.args(["-D", "-qq"]).arg(example(name)).args(LOCAL).args(args);
        let program = Program::spawn(&mut command);
        program.wait_for_log("listening on ");
        Traced { program, _strace: None, folder }
    }

    /// Traces a program from now on, and has some of its calls fail: `fault` is as strace's `inject` has it, and counts from here,
    /// `accept4:error=EMFILE:when=1..4`.
    #[track_caller]
    pub fn attach(program: Program, fault: &str) -> Traced {
        let (mut command, folder) = strace();
        let strace =
            Program::spawn(command.arg(format!("--inject={fault}")).arg(format!("--attach={}", program.pid())));
        strace.wait_for_log("attached");
        Traced { program, _strace: Some(strace), folder }
    }

    /// What strace has written so far.
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// Waits until strace has written of something.
    #[track_caller]
    pub fn wait_for(&self, what: &str) {
        eventually(&format!("strace has written of {what}"), || self.lines().iter().any(|line| line.contains(what)));
    }

    /// How many calls of that name it has written of.
    pub fn count(&self, name: &str) -> usize {
        self.lines().iter().filter(|line| name_of(line) == Some(name)).count()
    }

    /// The calls between two that are to be found there: of each name how many.
    #[track_caller]
    pub fn between(&self, first: &str, last: &str) -> BTreeMap<String, usize> {
        self.wait_for(last);
        let lines = self.lines();
        let at = |what: &str| lines.iter().position(|line| line.contains(what));
        let (first, last) = (at(first).expect("it came before"), at(last).expect("just seen"));
        let mut calls = BTreeMap::new();
        // The standard library looks at a descriptor before it closes it, in builds for debugging.
        for line in lines[first..last].iter().filter(|line| !line.contains("F_GETFD")) {
            *calls.entry(name_of(line).unwrap_or("?").to_owned()).or_default() += 1;
        }
        calls
    }
}

/// Where an example listens on a free port.
pub const LOCAL: [&str; 4] = ["--interface", "127.0.0.1", "--port", "0"];

/// strace, which writes of all threads into a file of the folder.
#[track_caller]
fn strace() -> (Command, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(require("strace"));
    command.args(["-f", "-o"]).arg(folder.path().join("calls"));
    (command, folder)
}

/// Of a line `PID NAME(..`.
fn name_of(line: &str) -> Option<&str> {
    line.split_whitespace().nth(1).and_then(|call| call.split_once('(')).map(|(name, _)| name)
}
