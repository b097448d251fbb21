//! The access logs. The parent alone opens them, and hands them to its workers: to each generation those that it logs to, and again after a
//! rotation. So nothing has to belong to whom the workers serve as, and a path is followed where nobody but the parent's user decides.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

/// Its owner writes it; its group may read it.
const MODE: u32 = 0o640;

/// The logs of a configuration: each file once, however many vhosts log there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Logs {
    files: Vec<LogFile>,
}

#[derive(Debug, Clone)]
struct LogFile {
    path: PathBuf,
    file: Rc<File>,
    /// It was not there before.
    made: bool,
}

impl Logs {
    /// # Errors
    /// A log that cannot be opened, or that is neither a file nor a device. What was made so far is gone again.
    pub(crate) fn open<'p>(paths: impl Iterator<Item = &'p Path>) -> Result<Logs, String> {
        let mut logs = Logs::default();
        for path in paths {
            if logs.files.iter().any(|log| log.path == path) {
                continue;
            }
            match open(path) {
                Ok((file, made)) => logs.files.push(LogFile { path: path.to_owned(), file: Rc::new(file), made }),
                Err(error) => {
                    logs.undo();
                    return Err(format!("access-log {}: {error}", path.display()));
                }
            }
        }
        Ok(logs)
    }

    /// Opens the files that have these names now. `opened` is what was opened for others.
    pub(crate) fn reopen(&mut self, opened: &mut BTreeMap<PathBuf, Rc<File>>) {
        for log in &mut self.files {
            if let Some(file) = opened.get(&log.path) {
                log.file = file.clone();
                continue;
            }
            match open(&log.path) {
                Ok((file, _)) => log.file = Rc::new(file),
                Err(error) => {
                    log::error!("access-log {}: {error}; logging goes on in the old file", log.path.display());
                }
            }
            opened.insert(log.path.clone(), log.file.clone());
        }
    }

    pub(crate) fn paths(&self) -> Vec<PathBuf> {
        self.files.iter().map(|log| log.path.clone()).collect()
    }

    /// In the order of their paths.
    pub(crate) fn fds(&self) -> Vec<BorrowedFd<'_>> {
        self.files.iter().map(|log| log.file.as_fd()).collect()
    }

    /// Removes what was made and is still empty: nobody has logged to it.
    pub(crate) fn undo(self) {
        for log in self.files.into_iter().filter(|log| log.made) {
            let ours = log.file.metadata().ok().filter(|file| file.len() == 0);
            let there = fs::symlink_metadata(&log.path).ok();
            if ours.zip(there).is_some_and(|(ours, there)| (ours.dev(), ours.ino()) == (there.dev(), there.ino())) {
                let _already_gone = fs::remove_file(&log.path);
            }
        }
    }
}

/// Opens a log to append to, and makes it if need be. Whether it was made.
///
/// No link is followed in its last part, and no other name of the file may be anywhere: otherwise who may write to the folder could have
/// us write to any file. Nobody is waited for.
///
/// # Errors
/// What the system says, and what it is if it is neither a regular file nor a character device.
pub(crate) fn open(path: &Path) -> io::Result<(File, bool)> {
    // These are links to what was opened by whoever started us.
    match path.to_str() {
        Some("/dev/stdout") => return Ok((io::stdout().as_fd().try_clone_to_owned()?.into(), false)),
        Some("/dev/stderr") => return Ok((io::stderr().as_fd().try_clone_to_owned()?.into(), false)),
        _ => {}
    }
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    let mut how = OpenOptions::new();
    how.append(true).mode(MODE).custom_flags(flags.bits().cast_signed());
    let (file, made) = match how.open(path) {
        Ok(file) => (file, false),
        Err(error) if error.kind() == ErrorKind::NotFound => (how.create_new(true).open(path)?, true),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => {
            return Err(odd("it is a link, which is not followed"));
        }
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::NXIO.raw_os_error()) => {
            return Err(odd("it is a pipe or a socket"));
        }
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    if !about.is_file() && !about.file_type().is_char_device() {
        return Err(odd("it is neither a file nor a device"));
    }
    if about.is_file() && about.nlink() > 1 {
        return Err(odd("it has another name, too (a hard link)"));
    }
    let flags = fcntl_getfl(&file)?;
    fcntl_setfl(&file, flags - OFlags::NONBLOCK)?;
    Ok((file, made))
}

fn odd(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidInput, what)
}

/// Whether a log can be made there, or is there; nothing is made. A path that may not be looked at counts as one.
pub(crate) fn has_place(path: &Path) -> bool {
    if ["/dev/stdout", "/dev/stderr"].map(Path::new).contains(&path) {
        return true;
    }
    match fs::symlink_metadata(path) {
        Ok(file) => file.is_file() || file.file_type().is_char_device(),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Path::new(".").join(path).parent().is_some_and(Path::is_dir)
        }
        Err(error) => error.kind() == ErrorKind::PermissionDenied,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn links_pipes_and_folders_are_no_logs() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("victim"), "secret").expect("write");
        fs::hard_link(at("victim"), at("hard")).expect("link");
        symlink(at("victim"), at("soft")).expect("symlink");
        symlink(at("nothing"), at("dangling")).expect("symlink");
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("mkfifo");
        fs::create_dir(at("folder")).expect("mkdir");
        for (name, part) in [("hard", "another name"), ("soft", "link"), ("dangling", "link"), ("pipe", "pipe")] {
            let error = open(&at(name)).expect_err(name).to_string();
            assert!(error.contains(part), "{name}: {error}");
        }
        assert!(open(&at("folder")).is_err());
        // A pipe that somebody reads could be opened.
        let _reader = OpenOptions::new().read(true).write(true).open(at("pipe")).expect("open");
        assert!(open(&at("pipe")).is_err());
        assert!(!at("nothing").exists());
        for name in ["soft", "dangling", "pipe", "folder"] {
            assert!(!has_place(&at(name)), "{name}");
        }
        assert!(has_place(&at("new")) && has_place(Path::new("/dev/null")) && has_place(Path::new("/dev/stdout")));
        assert!(open(Path::new("/dev/null")).is_ok() && open(Path::new("/dev/stderr")).is_ok());
    }

    #[test]
    fn what_was_made_for_nothing_goes_and_what_was_there_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("old"), "").expect("write");
        let paths = ["old", "new", "new", "used"].map(at);
        let logs = Logs::open(paths.iter().map(PathBuf::as_path)).expect("open");
        assert_eq!((logs.paths().len(), logs.fds().len()), (3, 3));
        assert_eq!(fs::metadata(at("new")).expect("it was made").mode() & 0o777, MODE & !umask());
        (&*logs.files[2].file).write_all(b"a line\n").expect("write");
        logs.undo();
        assert_eq!(["old", "new", "used"].map(|name| at(name).exists()), [true, false, true]);
        let bad = ["fresh", "no-folder/log"].map(at);
        assert!(Logs::open(bad.iter().map(PathBuf::as_path)).is_err());
        assert!(!at("fresh").exists());
    }

    fn umask() -> u32 {
        let status = fs::read_to_string("/proc/self/status").expect("status");
        let mask = status.lines().find_map(|line| line.strip_prefix("Umask:")).expect("a line");
        u32::from_str_radix(mask.trim(), 8).expect("octal")
    }

    #[test]
    fn after_a_rotation_all_who_log_to_a_path_go_on_in_one_new_file() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("log");
        let mut both = [(); 2].map(|()| Logs::open([path.as_path()].into_iter()).expect("open"));
        fs::rename(&path, folder.path().join("log.1")).expect("rename");
        let mut opened = BTreeMap::new();
        both.iter_mut().for_each(|logs| logs.reopen(&mut opened));
        assert!(Rc::ptr_eq(&both[0].files[0].file, &both[1].files[0].file));
        (&*both[0].files[0].file).write_all(b"new\n").expect("write");
        assert_eq!(fs::read_to_string(&path).expect("it is there"), "new\n");
        // Without a place for it, the old one goes on.
        fs::remove_file(&path).and_then(|()| fs::create_dir(&path)).expect("mkdir");
        both[0].reopen(&mut BTreeMap::new());
        (&*both[0].files[0].file).write_all(b"more\n").expect("the old file");
    }
}
