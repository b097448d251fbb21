//! Whether files are still those that were read.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Tells a file from what it was. `None`: it is not there.
pub(crate) type Stamp = Option<(u64, u64, u64, i64, i64)>;

/// What the files were before they were read: whatever is written later is another stamp.
pub(crate) type Stamps = BTreeMap<PathBuf, Stamp>;

/// The certificates, keys and CAs of a configuration.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    stamps: Stamps,
    /// Something changed at the last look: it may not be finished.
    unsettled: bool,
}

impl Watched {
    pub(crate) fn since(stamps: Stamps) -> Watched {
        Watched { stamps, unsettled: false }
    }

    /// Whether they have changed, and not any more since the last look: who renews a certificate writes more than one file.
    pub(crate) fn have_changed(&mut self) -> bool {
        let changed = self.take();
        let settled = self.unsettled && !changed;
        self.unsettled = changed;
        settled
    }

    /// Takes them as they are now, before they are read again.
    pub(crate) fn take(&mut self) -> bool {
        let mut changed = false;
        for (path, known) in &mut self.stamps {
            let now = stamp(path);
            changed |= std::mem::replace(known, now) != now;
        }
        changed
    }
}

pub(crate) fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_told_once_it_has_settled_and_what_came_while_it_was_read_is_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let (cert, key) = (folder.path().join("cert"), folder.path().join("key"));
        fs::write(&cert, "1").expect("write");
        let stamps: Stamps = [&cert, &key].map(|path| (path.clone(), stamp(path))).into();
        // Between the stamp and the first look.
        fs::write(&cert, "22").expect("write");
        let mut watched = Watched::since(stamps);
        assert!(!watched.have_changed(), "it may not be finished");
        fs::write(&key, "new").expect("write");
        assert!(!watched.have_changed(), "nor is it now");
        assert!(watched.have_changed());
        assert!(!watched.have_changed());
        fs::remove_file(&key).expect("remove");
        watched.take();
        assert!(!watched.have_changed() && !watched.have_changed(), "it was taken as it is");
    }
}
