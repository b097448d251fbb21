//! The access logs of a worker: opened while it still may open everything, given to whom it serves as, so that it can open them again.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};

use rlws::AccessLog;

use crate::privileges::Identity;

/// Each file once, however many vhosts log there.
#[derive(Default)]
pub(crate) struct Logs {
    open: Vec<(PathBuf, AccessLog)>,
}

impl Logs {
    pub(crate) fn open(&mut self, path: &Path, owner: &Identity) -> Result<AccessLog, String> {
        if let Some((_, log)) = self.open.iter().find(|(known, _)| known == path) {
            return Ok(log.clone());
        }
        let failed = |error| format!("access-log {}: {error}", path.display());
        let log = AccessLog::open(path).map_err(failed)?;
        give(path, owner).map_err(failed)?;
        self.open.push((path.to_owned(), log.clone()));
        Ok(log)
    }

    /// Goes on in the files that have these names now, after a rotation.
    pub(crate) fn reopen(&self) {
        for (path, log) in &self.open {
            if let Err(error) = log.reopen_path(path) {
                log::error!("access-log {}: {error}; logging goes on in the old file", path.display());
            }
        }
    }
}

/// Whether a log can be made there, or is there; nothing is made. A path that may not be looked at counts as one.
pub(crate) fn has_place(path: &Path) -> bool {
    match fs::metadata(path) {
        Ok(file) => !file.is_dir(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Path::new(".").join(path).parent().is_some_and(Path::is_dir)
        }
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    }
}

/// Makes a log belong to who writes it. A device stays as it is.
pub(crate) fn give(path: &Path, owner: &Identity) -> std::io::Result<()> {
    let (uid, gid) = owner.owner();
    if (uid, gid) == (None, None) || !fs::metadata(path)?.is_file() {
        return Ok(());
    }
    chown(path, uid, gid)
}
