//! The file with our process id.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags, flock};

/// It is locked for as long as we live, and goes with us, unless another file has its name by then.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    file: File,
}

impl PidFile {
    /// # Errors
    /// It cannot be written; it is a link, or no regular file; another lwsws has it.
    pub(crate) fn create(path: &Path) -> Result<PidFile, String> {
        let failed = |why: String| format!("--pidfile {}: {why}", path.display());
        let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let mut how = OpenOptions::new();
        how.write(true).create(true).truncate(false).mode(0o644).custom_flags(flags.bits().cast_signed());
        let mut file = how.open(path).map_err(|error| match error.raw_os_error() {
            Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => failed("it is a link".to_owned()),
            _ => failed(error.to_string()),
        })?;
        let about = file.metadata().map_err(|error| failed(error.to_string()))?;
        if !about.is_file() || about.nlink() > 1 {
            return Err(failed("it is no file of its own".to_owned()));
        }
        flock(&file, FlockOperation::NonBlockingLockExclusive).map_err(|errno| match errno.kind() {
            ErrorKind::WouldBlock => failed("another lwsws has it".to_owned()),
            _ => failed(errno.to_string()),
        })?;
        let written = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
        written.map_err(|error| failed(error.to_string()))?;
        Ok(PidFile { path: path.to_owned(), file })
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        let ours = self.file.metadata().ok().map(|file| (file.dev(), file.ino()));
        let there = fs::symlink_metadata(&self.path).ok().map(|file| (file.dev(), file.ino()));
        if ours.is_some() && ours == there {
            let _already_gone = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn it_goes_with_us_unless_it_is_another_ones_by_then() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("pid");
        fs::write(&path, "a longer text of a former one").expect("write");
        let pidfile = PidFile::create(&path).expect("create");
        assert_eq!(fs::read_to_string(&path).expect("read"), format!("{}\n", std::process::id()));
        assert!(PidFile::create(&path).expect_err("it is locked").contains("another lwsws"));
        drop(pidfile);
        assert!(!path.exists());
        let pidfile = PidFile::create(&path).expect("create");
        fs::remove_file(&path).and_then(|()| fs::write(&path, "1")).expect("write");
        drop(pidfile);
        assert!(path.exists());
    }

    #[test]
    fn what_is_not_ours_is_not_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let (victim, link) = (folder.path().join("victim"), folder.path().join("pid"));
        fs::write(&victim, "precious").expect("write");
        symlink(&victim, &link).expect("symlink");
        assert!(PidFile::create(&link).expect_err("a link").contains("link"));
        let hard = folder.path().join("hard");
        fs::hard_link(&victim, &hard).expect("link");
        assert!(PidFile::create(&hard).is_err() && PidFile::create(folder.path()).is_err());
        assert_eq!(fs::read_to_string(&victim).expect("read"), "precious");
    }
}
