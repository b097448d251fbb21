//! The processes that the parent starts: this program once more, from the binary that runs, whatever has become of its file.

use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::{env, io};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};

use crate::args::Args;
use crate::{activation, notify};

/// What is for the parent, even where somebody sends it to all processes of this name: it says what the others are to do.
pub(crate) const FOR_THE_PARENT: [Signal; 4] = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGUSR1];

/// The binary that runs, even where its file was replaced or removed: a parent and its workers are of one version.
const SELF: &str = "/proc/self/exe";

/// A process of ours. It does not outlive this: dropping it kills it, if it has not ended, and waits for it.
pub(crate) struct Process(Child);

impl Process {
    /// One that serves; its end of the channel is its stdin.
    pub(crate) fn worker(args: &Args, channel: OwnedFd) -> io::Result<Process> {
        let mut command = program(args, &args.dir);
        command.arg("--worker").stdin(channel);
        start(command)
    }

    /// One that checks the configuration, and logs what is wrong with it.
    pub(crate) fn check(args: &Args) -> io::Result<Process> {
        let mut command = program(args, &args.dir);
        command.arg("--check").stdin(Stdio::null()).stdout(Stdio::null());
        start(command)
    }

    pub(crate) fn id(&self) -> u32 {
        self.0.id()
    }

    /// How it has ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.0.try_wait().ok().flatten()
    }

    pub(crate) fn kill(&mut self) {
        if let Err(error) = self.0.kill() {
            log::error!("killing process {}: {error}", self.id());
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.ended().is_none() {
            let _it_ends_now = self.0.kill().and_then(|()| self.0.wait().map(drop));
        }
    }
}

/// This program with the same log level, and a configuration.
pub(crate) fn program(args: &Args, dir: &Path) -> Command {
    let mut command = Command::new(SELF);
    // What ps shows.
    command.arg0(env::args_os().next().unwrap_or_else(|| "lwsws".into()));
    command.arg("-c").arg(dir).arg("-d").arg(args.level.to_string());
    command
}

fn start(mut command: Command) -> io::Result<Process> {
    // Signals from the terminal are for the parent, which tells its workers what they mean.
    command.process_group(0);
    for name in activation::VARIABLES.iter().chain(&notify::VARIABLES) {
        command.env_remove(name);
    }
    // A process inherits what is blocked, and so hears of no signal before it has said what it makes of them.
    let former = FOR_THE_PARENT.into_iter().collect::<SigSet>().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let spawned = command.spawn();
    former.thread_set_mask()?;
    Ok(Process(spawned?))
}

/// As it is logged.
pub(crate) fn how_it_ended(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(0), _) => "in order".to_owned(),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            format!("killed by {name} ({signal})")
        }
        (None, None) => status.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_is_dropped_is_gone_and_no_zombie() {
        let mut command = Command::new("sleep");
        command.arg("1000");
        let process = start(command).expect("spawn");
        let pid = process.id();
        assert!(Path::new(&format!("/proc/{pid}")).exists());
        drop(process);
        assert!(!Path::new(&format!("/proc/{pid}")).exists());
    }

    #[test]
    fn the_end_of_a_process_is_told_in_words() {
        for (script, how) in
            [("exit 0", "in order"), ("exit 3", "exit code 3"), ("kill -9 $$", "killed by SIGKILL (9)")]
        {
            let status = Command::new("sh").args(["-c", script]).status().expect("sh");
            assert_eq!(how_it_ended(status), how);
        }
    }
}
