//! Files that are read whole, as configurations, certificates and passwords are.
//!
//! Who names such a file may name a pipe, a terminal or a device as well, by mistake or by a link. Reading one would hold the process up
//! for ever, or fill its memory; so what is no regular file is an error, and so is one that is longer than it may be.

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::fs::OFlags;

/// What is in a file of at most `most` bytes, and what the system says of the file that was read. Links are followed.
///
/// # Errors
/// What the system says; [`ErrorKind::IsADirectory`]; [`ErrorKind::FileTooLarge`]; [`ErrorKind::InvalidInput`] for anything else that is
/// no regular file.
pub(crate) fn read(path: &Path, most: u64) -> io::Result<(Metadata, Vec<u8>)> {
    // Opening a FIFO waits for a writer without the first, and a terminal may become ours without the second.
    let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    let about = file.metadata()?;
    if about.is_dir() {
        return Err(rustix::io::Errno::ISDIR.into());
    }
    if !about.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a regular file"));
    }
    let too_large = || io::Error::new(ErrorKind::FileTooLarge, format!("it is longer than {most} bytes"));
    if about.len() > most {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    // It may have grown, and files of /proc say that they are empty.
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_large()) } else { Ok((about, bytes)) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn a_file_is_read_up_to_its_limit() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("file");
        std::fs::write(&path, "four").expect("write");
        assert_eq!(read(&path, 4).expect("it fits").1, b"four");
        let error = read(&path, 3).expect_err("it does not");
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::FileTooLarge, "it is longer than 3 bytes".to_owned())
        );
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(&path, &link).expect("symlink");
        assert_eq!(read(&link, 4).expect("links are followed").1, b"four");
        assert!(!read(Path::new("/proc/self/status"), 1 << 20).expect("it says that it is empty").1.is_empty());
        assert_eq!(read(Path::new("/proc/self/status"), 8).expect_err("it is not").kind(), ErrorKind::FileTooLarge);
    }

    #[test]
    fn what_is_no_file_holds_nobody_up() {
        let dir = tempfile::tempdir().expect("a folder");
        let fifo = dir.path().join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("mkfifo");
        let socket = dir.path().join("socket");
        let _listener = UnixListener::bind(&socket).expect("bind");
        assert_eq!(read(&fifo, 9).expect_err("a FIFO").to_string(), "it is not a regular file");
        assert_eq!(read(Path::new("/dev/zero"), 9).expect_err("a device").kind(), ErrorKind::InvalidInput);
        assert_eq!(read(dir.path(), 9).expect_err("a folder").kind(), ErrorKind::IsADirectory);
        assert!(read(&socket, 9).is_err() && read(&dir.path().join("nothing"), 9).is_err());
    }
}
