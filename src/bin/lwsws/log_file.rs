//! Where this program's own log goes: stderr, and what is made of it (`--logfile`, the background).

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::stdio::dup2_stderr;

use crate::logs;

/// Has stderr be a file, of this process and of those that it starts from now on.
pub(crate) fn open(path: &Path) -> Result<(), String> {
    let failed = |error: io::Error| format!("--logfile {}: {error}", path.display());
    let (file, _) = logs::open(path).map_err(failed)?;
    use_fd(file.as_fd()).map_err(failed)
}

/// Has stderr be what somebody else has opened.
pub(crate) fn use_fd(fd: BorrowedFd<'_>) -> io::Result<()> {
    Ok(dup2_stderr(fd)?)
}

/// Lets go of the stderr of whoever started us, a terminal or a pipe that would stay open otherwise. A file stays: it was meant for us.
/// Whether there is another one now.
pub(crate) fn detach() -> Result<bool, String> {
    let failed = |error: io::Error| format!("letting go of stderr: {error}");
    let stderr = io::stderr().as_fd().try_clone_to_owned().map(File::from);
    if stderr.and_then(|stderr| stderr.metadata()).map_err(failed)?.is_file() {
        return Ok(false);
    }
    log::warn!("this is the last line of the log: it has no place in the background without --logfile");
    let null = File::options().write(true).open("/dev/null").map_err(failed)?;
    use_fd(null.as_fd()).map_err(failed)?;
    Ok(true)
}

/// The stderr that is there now, for a worker.
pub(crate) fn current() -> io::Result<OwnedFd> {
    io::stderr().as_fd().try_clone_to_owned()
}
