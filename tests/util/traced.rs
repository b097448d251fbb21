//! A program under strace, and the system calls that it has made: counts are the same on a busy machine.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::program::example;
use super::{Program, eventually, require};

/// A running example. Dropping it kills it.
pub struct Traced {
    pub program: Program,
    folder: tempfile::TempDir,
}

/// Calls between two moments: of each name how many.
pub type Calls = BTreeMap<String, usize>;

impl Traced {
    /// Starts an example, and returns once it listens.
    #[track_caller]
    pub fn start<S: AsRef<std::ffi::OsStr>>(name: &str, args: &[S]) -> Traced {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(require("strace"));
        // With -D the child is the program itself, and strace a process beside it.
        command.args(["-D", "-f", "-qq", "-o"]).arg(folder.path().join("calls")).arg(example(name)).args(args);
        let program = Program::spawn(&mut command);
        program.wait_for_log("listening on ");
        Traced { program, folder }
    }

    /// The calls from the first that shows one text until the first that shows another; strace shows 32 bytes.
    #[track_caller]
    pub fn between(&self, first: &str, last: &str) -> Calls {
        let at = |lines: &[String], what: &str| lines.iter().position(|line| line.contains(what));
        eventually(&format!("strace has written of {last}"), || at(&self.lines(), last).is_some());
        let lines = self.lines();
        let (first, last) = (at(&lines, first).expect("it came before"), at(&lines, last).expect("just seen"));
        let mut calls = Calls::new();
        // The standard library looks at a descriptor before it closes it, in builds for debugging.
        for line in lines[first..last].iter().filter(|line| !line.contains("F_GETFD")) {
            let name = line.split_whitespace().nth(1).and_then(|call| call.split_once('(')).map(|(name, _)| name);
            *calls.entry(name.unwrap_or("?").to_owned()).or_default() += 1;
        }
        calls
    }

    fn lines(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("calls")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}
