//! What this process logged, by thread: `cargo test` runs many tests in one process, and each wants its own loop's lines.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex};
use std::thread::ThreadId;

use log::{LevelFilter, Log, Metadata, Record};

static LINES: LazyLock<Mutex<HashMap<ThreadId, Vec<String>>>> = LazyLock::new(Mutex::default);

/// Starts to keep all lines down to debug, in the form `WARN rlws::context: text`. Harmless to repeat.
pub fn keep() {
    if log::set_logger(&Keeper).is_ok() {
        log::set_max_level(LevelFilter::Debug);
    }
}

/// The lines that a thread logged so far.
pub fn of(thread: ThreadId) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    lines.get(&thread).cloned().unwrap_or_default()
}

/// The lines with `part`, of whichever thread.
pub fn with(part: &str) -> Vec<String> {
    let lines = LINES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    lines.values().flatten().filter(|line| line.contains(part)).cloned().collect()
}

struct Keeper;

impl Log for Keeper {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let line = format!("{} {}: {}", record.level(), record.target(), record.args());
        let mut lines = LINES.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        lines.entry(std::thread::current().id()).or_default().push(line);
    }

    fn flush(&self) {}
}
