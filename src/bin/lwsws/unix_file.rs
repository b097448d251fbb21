//! The file of a unix socket that we have bound.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{getegid, geteuid};
use rlws::UnixOwner;
use rustix::fs::{AtFlags, Gid, OFlags, Uid, chownat};

/// It goes with this, unless somebody has put another in its place.
#[derive(Debug)]
pub(crate) struct UnixFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl UnixFile {
    /// `None`: there is none, as for an abstract name.
    pub(crate) fn at(path: &Path) -> Option<UnixFile> {
        Some(UnixFile { path: path.to_owned(), id: id(path)? })
    }

    /// Changes whose it is, and who may use it; what is not given stays.
    ///
    /// # Errors
    /// Another file has its name by now; or it takes root.
    pub(crate) fn give(&self, mode: Option<u32>, owner: Option<&UnixOwner>) -> io::Result<()> {
        // Of the descriptor all the rest is asked, so that no link is followed whatever becomes of the path meanwhile.
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let file = OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(&self.path)?;
        let about = file.metadata()?;
        if (about.dev(), about.ino()) != self.id || !about.file_type().is_socket() {
            return Err(io::Error::other("another file has its name by now"));
        }
        let chown =
            |uid, gid| chownat(&file, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH);
        let owner = owner.map(UnixOwner::ids).transpose()?.unwrap_or((about.uid(), about.gid()));
        if let Some(mode) = mode.filter(|mode| about.mode() & 0o7777 != *mode) {
            // Only its owner may do that, where not all of root's privileges are left.
            if about.uid() != geteuid().as_raw() {
                chown(geteuid().as_raw(), getegid().as_raw())?;
            }
            fs::set_permissions(format!("/proc/self/fd/{}", file.as_raw_fd()), Permissions::from_mode(mode))?;
        }
        let now = file.metadata()?;
        if (now.uid(), now.gid()) != owner { Ok(chown(owner.0, owner.1)?) } else { Ok(()) }
    }
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        if id(&self.path) == Some(self.id) {
            let _already_gone = fs::remove_file(&self.path);
        }
    }
}

fn id(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_link_in_its_place_is_neither_followed_nor_removed() {
        let folder = tempfile::tempdir().expect("a folder");
        let (path, victim) = (folder.path().join("socket"), folder.path().join("victim"));
        let _listener = UnixListener::bind(&path).expect("bind");
        let file = UnixFile::at(&path).expect("it is there");
        file.give(Some(0o640), None).expect("it is ours");
        assert_eq!(fs::metadata(&path).expect("metadata").mode() & 0o777, 0o640);
        fs::write(&victim, "")
            .and_then(|()| fs::set_permissions(&victim, Permissions::from_mode(0o600)))
            .expect("write");
        fs::remove_file(&path).and_then(|()| symlink(&victim, &path)).expect("symlink");
        assert!(file.give(Some(0o666), None).is_err());
        drop(file);
        assert!(path.exists());
        assert_eq!(fs::metadata(&victim).expect("metadata").mode() & 0o777, 0o600);
        assert!(UnixFile::at(Path::new("@abstract")).is_none());
    }
}
