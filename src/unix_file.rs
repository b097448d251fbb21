//! The file of a unix socket that we have bound.
//!
//! Who may write in its folder can put anything in its place at any time. So nothing is changed by its name: the file is opened, seen to be
//! the one that was bound, and changed by the descriptor.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Gid, OFlags, Uid, chownat};
use rustix::process::{getegid, geteuid};

use crate::unix_owner::UnixOwner;

/// It goes with this, unless somebody has put another in its place.
#[derive(Debug)]
pub(crate) struct UnixFile {
    path: PathBuf,
    /// Device and inode.
    id: (u64, u64),
}

impl UnixFile {
    /// The file that has that name now.
    ///
    /// # Errors
    /// There is none; or it cannot be looked at.
    pub(crate) fn at(path: &Path) -> io::Result<UnixFile> {
        Ok(UnixFile { path: path.to_owned(), id: id(&fs::symlink_metadata(path)?) })
    }

    /// [`give`](Self::give), of a socket that was bound just now: its file has to be this process's own as well.
    ///
    /// # Errors
    /// As there.
    pub(crate) fn give_new(&self, mode: Option<u32>, owner: Option<&UnixOwner>) -> io::Result<()> {
        if mode.is_none() && owner.is_none() {
            return Ok(()); // then it need not even be looked at
        }
        match self.open()?.metadata()?.uid() == geteuid().as_raw() {
            true => self.give(mode, owner),
            false => Err(replaced()),
        }
    }

    /// Changes who may use it, and whose it is; what is not given stays.
    ///
    /// # Errors
    /// Another one is in its place by now; or it takes root.
    pub(crate) fn give(&self, mode: Option<u32>, owner: Option<&UnixOwner>) -> io::Result<()> {
        let file = self.open()?;
        let about = file.metadata()?;
        let ids = owner.map(UnixOwner::ids).transpose()?.unwrap_or((about.uid(), about.gid()));
        let chown = |(uid, gid)| {
            let done = chownat(&file, "", Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)), AtFlags::EMPTY_PATH);
            done.map_err(|error| not_given(owner, error.into()))
        };
        if let Some(mode) = mode.filter(|mode| about.mode() & 0o7777 != *mode) {
            // Only its owner may do that, where not all of root's privileges are left.
            if about.uid() != geteuid().as_raw() {
                chown((geteuid().as_raw(), getegid().as_raw()))?;
            }
            // fchmod(2) takes no O_PATH descriptor, but chmod(2) takes its name in /proc.
            fs::set_permissions(format!("/proc/self/fd/{}", file.as_raw_fd()), Permissions::from_mode(mode))
                .map_err(|error| io::Error::new(error.kind(), format!("setting its mode: {error}")))?;
        }
        let now = file.metadata()?;
        if (now.uid(), now.gid()) == ids { Ok(()) } else { chown(ids) }
    }

    /// Whether it still has its name.
    pub(crate) fn is_in_place(&self) -> bool {
        fs::symlink_metadata(&self.path).is_ok_and(|about| id(&about) == self.id)
    }

    /// Opens it, and nothing else: no link, and no other name of a file that somebody wants to have.
    fn open(&self) -> io::Result<File> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(&self.path)?;
        let about = file.metadata()?;
        let is_it = id(&about) == self.id && about.file_type().is_socket() && about.nlink() == 1;
        if is_it { Ok(file) } else { Err(replaced()) }
    }
}

impl Drop for UnixFile {
    fn drop(&mut self) {
        if self.is_in_place() {
            let _already_gone = fs::remove_file(&self.path);
        }
    }
}

fn id(about: &fs::Metadata) -> (u64, u64) {
    (about.dev(), about.ino())
}

fn replaced() -> io::Error {
    io::Error::other("somebody has put something else in its place")
}

fn not_given(owner: Option<&UnixOwner>, error: io::Error) -> io::Error {
    let to = owner.map_or_else(|| "whose it was".to_owned(), ToString::to_string);
    io::Error::new(error.kind(), format!("giving it to {to}: {error}; that takes root"))
}

#[cfg(test)]
mod tests;
