//! Which core serves, and which one loads: the server never waits for who measures it.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// Two cores that this process may use.
#[derive(Debug, Copy, Clone, PartialEq, Eq)]
pub(crate) struct Cores {
    pub(crate) server: usize,
    pub(crate) load: usize,
}

impl Cores {
    /// The first two; on a machine with one core both are that one, and figures mean little.
    pub(crate) fn choose() -> Cores {
        let mine = sched_getaffinity(None).unwrap_or_default();
        let mut allowed = (0..CpuSet::MAX_CPU).filter(|core| mine.is_set(*core));
        let server = allowed.next().unwrap_or_default();
        Cores { server, load: allowed.next().unwrap_or(server) }
    }

    pub(crate) fn are_one(self) -> bool {
        self.server == self.load
    }

    /// Leaves the server's core to the server. Threads that are made later inherit it.
    pub(crate) fn stay_off_the_server(self) {
        stay_on(self.load);
    }

    /// Runs `spawn` on the server's core, which a child inherits.
    pub(crate) fn on_the_server<T>(self, spawn: impl FnOnce() -> T) -> T {
        stay_on(self.server);
        let result = spawn();
        stay_on(self.load);
        result
    }
}

/// Has this thread work only while no other one of the load wants to.
pub(crate) fn stand_back() {
    if let Err(error) = rustix::process::nice(19) {
        eprintln!("this thread cannot stand back: {error}");
    }
}

fn stay_on(core: usize) {
    let mut set = CpuSet::new();
    set.set(core);
    if let Err(error) = sched_setaffinity(None, &set) {
        eprintln!("this thread cannot be kept on core {core}: {error}");
    }
}
