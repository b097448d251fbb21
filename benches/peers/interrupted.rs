//! Ctrl-C and TERM: what was started is ended, and what was written is removed, before the benchmark ends.

use std::fs;
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::server::kill_descendants;

/// Folders that are removed.
static FOLDERS: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Notes a folder that is not to outlive the benchmark. Without an interruption its owner removes it.
pub(crate) fn removes(folder: &tempfile::TempDir) {
    if let Ok(mut folders) = FOLDERS.lock() {
        folders.retain(|folder| folder.exists());
        folders.push(folder.path().to_owned());
    }
}

/// From now on signals end the benchmark in order.
///
/// # Errors
/// Where no thread can be made for it.
pub(crate) fn watch() -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP])?;
    thread::Builder::new().spawn(move || {
        if let Some(signal) = signals.forever().next() {
            kill_descendants(std::process::id());
            for folder in FOLDERS.lock().iter().flat_map(|folders| folders.iter()) {
                let _it_may_be_gone = fs::remove_dir_all(folder);
            }
            std::process::exit(128 + signal);
        }
    })?;
    Ok(())
}
