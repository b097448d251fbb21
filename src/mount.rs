//! Where in a vhost's URL space what is served (`struct lws_http_mount`).

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// A part of the URL space and what serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// The URL path it begins at, such as `/` or `/docs`. The longest that fits wins.
    pub mountpoint: String,
    /// What serves it.
    pub origin: Origin,
    /// The file served for a folder; `index.html` unless told.
    pub default: String,
}

/// What serves a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The files of a folder (`file://`).
    File(PathBuf),
    /// A protocol of the vhost, by name, which gets `Reason::Http` (`callback://`).
    Callback(String),
}

impl Mount {
    /// Serves the files of `dir`.
    pub fn files(mountpoint: &str, dir: impl Into<PathBuf>) -> Mount {
        Mount::new(mountpoint, Origin::File(dir.into()))
    }

    /// Has a protocol answer.
    pub fn callback(mountpoint: &str, protocol: &str) -> Mount {
        Mount::new(mountpoint, Origin::Callback(protocol.to_owned()))
    }

    fn new(mountpoint: &str, origin: Origin) -> Mount {
        Mount { mountpoint: mountpoint.to_owned(), origin, default: "index.html".to_owned() }
    }
}

/// Opens a folder to be served, once, so that a request's path is resolved beneath it and nowhere else.
pub(crate) fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Whether `path` still names the folder that was opened.
pub(crate) fn is_open(path: &Path, folder: &OwnedFd) -> bool {
    match (rustix::fs::stat(path), rustix::fs::fstat(folder)) {
        (Ok(named), Ok(open)) => (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino),
        _ => false,
    }
}
