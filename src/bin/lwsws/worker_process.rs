//! A worker as its parent sees it: a process, and how far it has come.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, ExitStatus};
use std::time::Instant;

use rlws::WsiId;

use crate::args::Args;
use crate::{activation, daemon, notify};

pub(crate) struct Worker {
    pub(crate) process: Child,
    pub(crate) started: Instant,
    /// The connection to it.
    pub(crate) wsi: WsiId,
    pub(crate) generation: u32,
    /// Its number in its generation.
    pub(crate) number: usize,
    pub(crate) state: State,
    /// It has said that it is ready: before that it reads what it is handed, and no words.
    pub(crate) listens: bool,
    /// What it is still to be told.
    pub(crate) words: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    Starting,
    Serving,
    /// It was told to end.
    Finishing,
}

/// Starts a process that serves; the socket to its parent is its stdin.
pub(crate) fn spawn(args: &Args, parent: UnixStream) -> Result<Child, String> {
    let mut command = daemon::program(args)?;
    // Signals from the terminal are for the parent, which tells its workers what they mean.
    command.arg("--worker").stdin(OwnedFd::from(parent)).process_group(0);
    for name in activation::VARIABLES.iter().chain(&notify::VARIABLES) {
        command.env_remove(name);
    }
    command.spawn().map_err(|error| format!("starting a worker: {error}"))
}

impl Worker {
    /// One that had not ended by itself in time.
    pub(crate) fn kill(&mut self) {
        log::warn!("worker {} (process {}) does not end; it is killed", self.number, self.process.id());
        if let Err(error) = self.process.kill() {
            log::error!("killing it: {error}");
        }
    }
}

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
