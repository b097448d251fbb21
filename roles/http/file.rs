//! Opening the files of a mount.
//!
//! ```text
//! Below --open--> File(FoundFile)                  serve it, or what `precompressed` finds beside it
//!                 Redirect                        a folder asked for without its slash: its links would break
//!                 OpenError                       NotFound, Forbidden, System
//! ```
//!
//! Invariants:
//! - The kernel resolves the path below the mount's directory (`openat2`, `RESOLVE_BENEATH`): relative symlinks may lead
//!   anywhere inside it, absolute ones nowhere, and nothing leads out, whatever is renamed meanwhile.
//! - Only regular files are served, and opening anything else neither waits nor acquires a terminal.
//! - A file costs one `openat2` and one `fstat`; where the mount has precompressed ones as many more for each of them that is looked for.
//!
//! Counterpart in lws: `lws_http_serve()` and its `fops`, which compare path strings instead.

use std::borrow::Cow;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat, fstat, open as open_absolute, openat, openat2};
use rustix::io::Errno;
use thiserror::Error;

use crate::file_cache::FileState;
use crate::limits::HTTP_OPEN_TRIES;

use super::encodings::{Accepted, Coding};
use super::path::Below;
use super::status::Status;

/// How everything is opened. `NONBLOCK`: a FIFO must not stop the loop before it is known to be one.
const FLAGS: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// What a path below a mount turned out to be.
#[derive(Debug)]
pub(crate) enum Opened {
    /// A regular file.
    File(FoundFile),
    /// A folder, asked for without the slash that makes relative links work: redirect to the path with it.
    Redirect,
}

/// A regular file, and its state when it was opened.
#[derive(Debug)]
pub(crate) struct FoundFile {
    /// The file, at its start.
    pub(crate) file: File,
    /// Its length is what is served of it, whatever becomes of it later.
    pub(crate) state: FileState,
    /// How its bytes are coded.
    pub(crate) coding: Coding,
    /// What the client accepts had a say in the choice of it.
    pub(crate) varies: bool,
}

/// Why there is no file to serve.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum OpenError {
    /// There is no such file, or a folder without its default file.
    #[error("no such file")]
    NotFound,
    /// It is not readable, not a regular file, or leads out of the mount.
    #[error("not to be served")]
    Forbidden,
    /// The system failed: descriptors, memory or the disk.
    #[error("can't open: {0}")]
    System(Errno),
}

impl OpenError {
    /// What to answer.
    pub(crate) fn status(self) -> Status {
        match self {
            OpenError::NotFound => Status::NOT_FOUND,
            OpenError::Forbidden => Status::FORBIDDEN,
            OpenError::System(_) => Status::INTERNAL_SERVER_ERROR,
        }
    }
}

impl From<Errno> for OpenError {
    fn from(errno: Errno) -> OpenError {
        match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG | Errno::INVAL => OpenError::NotFound,
            // XDEV: leads out of the mount. NXIO: a socket, or a device that isn't there.
            Errno::ACCESS | Errno::PERM | Errno::XDEV | Errno::LOOP | Errno::NXIO | Errno::NODEV => {
                OpenError::Forbidden
            }
            _ => OpenError::System(errno),
        }
    }
}

/// Opens what `path` names below the directory `mount`; for a folder its file `default`.
///
/// # Errors
/// [`OpenError`], each kind with its [`status`](OpenError::status).
pub(crate) fn open(mount: impl AsFd, path: Below<'_>, default: &str) -> Result<Opened, OpenError> {
    if path.path.is_empty() && !path.folder {
        return Ok(Opened::Redirect);
    }
    let name = name_of(path, default);
    let fd = open_beneath(mount.as_fd(), &name)?;
    let stat = fstat(&fd)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(Opened::File(FoundFile::plain(fd, &stat))),
        FileType::Directory if path.folder => Err(OpenError::NotFound),
        FileType::Directory => Ok(Opened::Redirect),
        _ => Err(OpenError::Forbidden),
    }
}

/// Opens a file by a path of the system's, for code that knows what it serves.
///
/// # Errors
/// [`OpenError`]; a folder is `Forbidden`.
pub(crate) fn open_path(path: &Path) -> Result<FoundFile, OpenError> {
    let fd = open_absolute(path, FLAGS, Mode::empty())?;
    let stat = fstat(&fd)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok(FoundFile::plain(fd, &stat)),
        _ => Err(OpenError::Forbidden),
    }
}

/// The file of the same content that was compressed before, if there is one beside `plain` that the client likes better; else `plain`.
///
/// One that is older than its file is of another content. One without its file is never looked for: what is served does not depend on what
/// a client accepts.
pub(crate) fn precompressed(
    mount: impl AsFd,
    path: Below<'_>,
    default: &str,
    plain: FoundFile,
    accepted: Accepted,
) -> FoundFile {
    let name = name_of(path, default);
    let found = accepted.preferred().find_map(|coding| {
        let fd = open_beneath(mount.as_fd(), &format!("{name}{}", coding.suffix())).ok()?;
        let stat = fstat(&fd).ok()?;
        let state = FileState::of(&stat);
        let is_file = FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile;
        let is_current = state.modified >= plain.state.modified;
        (is_file && is_current).then(|| FoundFile { file: fd.into(), state, coding, varies: true })
    });
    found.unwrap_or(FoundFile { varies: true, ..plain })
}

/// What a path names, below the mount.
fn name_of<'a>(path: Below<'a>, default: &'a str) -> Cow<'a, str> {
    match (path.path, path.folder) {
        ("", _) => default.into(),
        (file, false) => file.into(),
        (folder, true) => format!("{folder}/{default}").into(),
    }
}

impl FoundFile {
    fn plain(fd: OwnedFd, stat: &Stat) -> FoundFile {
        FoundFile { file: fd.into(), state: FileState::of(stat), coding: Coding::Identity, varies: false }
    }
}

/// Opens `name` below `mount`, by the kernel's own resolution where it has one.
fn open_beneath(mount: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
    let mut tries = HTTP_OPEN_TRIES;
    loop {
        match openat2(mount, name, FLAGS, Mode::empty(), resolve) {
            // A rename was under way while a symlink's ".." was resolved: the kernel can't tell, and wants another try.
            Err(Errno::AGAIN) if tries > 1 => tries -= 1,
            // Linux before 5.6; older container sandboxes say PERM to any call that they don't know.
            Err(Errno::NOSYS | Errno::PERM) => return walk(mount, name),
            outcome => return outcome,
        }
    }
}

/// Opens `name` below `mount` one component after the other, and follows no symlink at all.
fn walk(mount: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let mut components = name.split('/').peekable();
    let mut folder: Option<OwnedFd> = None;
    while let Some(component) = components.next() {
        let flags = match component {
            "" | "." => return Err(Errno::NOENT),
            ".." => return Err(Errno::XDEV),
            _ if components.peek().is_some() => FLAGS | OFlags::NOFOLLOW | OFlags::DIRECTORY,
            _ => FLAGS | OFlags::NOFOLLOW,
        };
        let parent = folder.as_ref().map_or(mount, OwnedFd::as_fd);
        folder = Some(openat(parent, component, flags, Mode::empty())?);
    }
    folder.ok_or(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::iter;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::net::UnixListener;
    use std::time::{Duration, UNIX_EPOCH};

    use rustix::fs::{CWD, mknodat};
    use tempfile::TempDir;

    use super::*;

    /// A mount, and a file beside it that must never be seen.
    fn tree() -> (TempDir, OwnedFd) {
        let dir = TempDir::new().expect("a temporary folder");
        let root = dir.path().join("mount");
        for folder in ["sub", "empty", "odd/index.html"] {
            fs::create_dir_all(root.join(folder)).expect("a folder");
        }
        for file in ["index.html", "sub/index.html", "sub/a.txt"] {
            fs::write(root.join(file), file).expect("a file");
        }
        fs::write(dir.path().join("secret"), "secret").expect("a file");
        for (link, to) in [
            ("inside", "sub/a.txt"),
            ("up-and-down", "sub/../index.html"),
            ("linked", "sub"),
            ("outside", "../secret"),
            ("absolute", "/etc/passwd"),
            ("parent", ".."),
            ("loop", "loop"),
            ("dangling", "nothing"),
        ] {
            symlink(to, root.join(link)).expect("a symlink");
        }
        mknodat(CWD, root.join("fifo"), FileType::Fifo, Mode::RWXU, 0).expect("a fifo");
        UnixListener::bind(root.join("socket")).expect("a socket");
        let mount = File::open(&root).expect("the mount").into();
        (dir, mount)
    }

    fn below(path: &str) -> Below<'_> {
        match path.strip_suffix('/') {
            Some(path) => Below { path, folder: true },
            None => Below { path, folder: path.is_empty() },
        }
    }

    /// What a client would see: the file's content, `redirect`, or the error.
    fn seen(mount: &OwnedFd, path: &str) -> Result<String, OpenError> {
        match open(mount, below(path), "index.html")? {
            Opened::Redirect => Ok("redirect".into()),
            Opened::File(mut found) => {
                let mut content = String::new();
                found.file.read_to_string(&mut content).expect("readable");
                assert_eq!(found.state.len, content.len() as u64);
                Ok(content)
            }
        }
    }

    #[test]
    fn a_path_names_a_file_a_folder_or_nothing() {
        let (_dir, mount) = tree();
        let long = "a".repeat(300);
        let deep = "a/".repeat(3000);
        for (path, expected) in [
            ("", Ok("index.html")),
            ("index.html", Ok("index.html")),
            ("sub/", Ok("sub/index.html")),
            ("sub/a.txt", Ok("sub/a.txt")),
            ("sub", Ok("redirect")),
            ("empty", Ok("redirect")),
            ("empty/", Err(OpenError::NotFound)),
            ("odd/", Err(OpenError::NotFound)),
            ("nothing", Err(OpenError::NotFound)),
            ("nothing/", Err(OpenError::NotFound)),
            ("index.html/", Err(OpenError::NotFound)),
            ("index.html/a", Err(OpenError::NotFound)),
            ("a\0b", Err(OpenError::NotFound)),
            (&long, Err(OpenError::NotFound)),
            (&deep, Err(OpenError::NotFound)),
        ] {
            assert_eq!(seen(&mount, path), expected.map(str::to_owned), "{path}");
        }
    }

    #[test]
    fn the_mount_itself_without_a_slash_is_redirected() {
        let (_dir, mount) = tree();
        let path = Below { path: "", folder: false };
        assert!(matches!(open(&mount, path, "index.html"), Ok(Opened::Redirect)));
    }

    #[test]
    fn a_symlink_stays_inside_the_mount() {
        let (_dir, mount) = tree();
        for (path, expected) in [
            ("inside", Ok("sub/a.txt")),
            ("up-and-down", Ok("index.html")),
            ("linked/a.txt", Ok("sub/a.txt")),
            ("outside", Err(OpenError::Forbidden)),
            ("absolute", Err(OpenError::Forbidden)),
            ("parent", Err(OpenError::Forbidden)),
            ("parent/secret", Err(OpenError::Forbidden)),
            ("../secret", Err(OpenError::Forbidden)),
            ("/etc/passwd", Err(OpenError::Forbidden)),
            ("loop", Err(OpenError::Forbidden)),
            ("dangling", Err(OpenError::NotFound)),
        ] {
            assert_eq!(seen(&mount, path), expected.map(str::to_owned), "{path}");
        }
    }

    #[test]
    fn a_special_file_is_refused_without_waiting() {
        let (_dir, mount) = tree();
        for path in ["fifo", "socket"] {
            assert_eq!(seen(&mount, path), Err(OpenError::Forbidden), "{path}");
        }
        let devices: OwnedFd = File::open("/dev").expect("/dev").into();
        assert_eq!(seen(&devices, "null"), Err(OpenError::Forbidden));
    }

    #[test]
    fn an_unreadable_file_is_forbidden() {
        let (dir, mount) = tree();
        let path = dir.path().join("mount/sub/a.txt");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o000)).expect("own file");
        // Root reads anything.
        if File::open(&path).is_err() {
            assert_eq!(seen(&mount, "sub/a.txt"), Err(OpenError::Forbidden));
        }
    }

    #[test]
    fn without_openat2_no_symlink_is_followed() {
        let (_dir, mount) = tree();
        for (path, expected) in [
            ("index.html", Ok(())),
            ("sub/a.txt", Ok(())),
            ("sub", Ok(())),
            ("inside", Err(OpenError::Forbidden)),
            ("outside", Err(OpenError::Forbidden)),
            ("linked/a.txt", Err(OpenError::NotFound)),
            ("parent/secret", Err(OpenError::NotFound)),
            ("../secret", Err(OpenError::Forbidden)),
            ("sub/../../secret", Err(OpenError::Forbidden)),
            ("/etc/passwd", Err(OpenError::NotFound)),
            ("./index.html", Err(OpenError::NotFound)),
            ("nothing", Err(OpenError::NotFound)),
            ("sub/", Err(OpenError::NotFound)),
            ("", Err(OpenError::NotFound)),
            ("socket", Err(OpenError::Forbidden)),
        ] {
            let outcome = walk(mount.as_fd(), path).map(drop).map_err(OpenError::from);
            assert_eq!(outcome, expected, "{path}");
        }
    }

    #[test]
    fn what_was_compressed_before_is_taken_as_the_client_likes_it() {
        let (dir, mount) = tree();
        let root = dir.path().join("mount");
        let write = |name: &str, seconds: u64| {
            let file = File::create(root.join(name)).expect("a file");
            file.set_modified(UNIX_EPOCH + Duration::from_secs(seconds)).expect("utimensat");
        };
        for (name, seconds) in [
            ("both.js", 100),
            ("both.js.br", 100),
            ("both.js.gz", 101),
            ("old.js", 100),
            ("old.js.br", 99),
            ("old.js.gz", 100),
            ("odd.js", 100),
            ("out.js", 100),
            ("alone.js.gz", 100),
            ("index.html", 100),
            ("index.html.gz", 100),
        ] {
            write(name, seconds);
        }
        fs::create_dir(root.join("odd.js.br")).expect("a folder");
        mknodat(CWD, root.join("odd.js.gz"), FileType::Fifo, Mode::RWXU, 0).expect("a fifo");
        symlink("../secret", root.join("out.js.gz")).expect("a symlink");
        for (path, accepted, expected) in [
            ("both.js", "br, gzip", Coding::Brotli),
            ("both.js", "gzip", Coding::Gzip),
            ("both.js", "br;q=0.1, gzip", Coding::Gzip),
            ("both.js", "", Coding::Identity),
            ("old.js", "br", Coding::Identity),
            ("old.js", "br, gzip", Coding::Gzip),
            ("odd.js", "br, gzip", Coding::Identity),
            ("out.js", "br, gzip", Coding::Identity),
            ("", "gzip", Coding::Gzip),
        ] {
            let path = below(path);
            let Ok(Opened::File(plain)) = open(&mount, path, "index.html") else { panic!("{path:?}") };
            let accepted = Accepted::parse(iter::once(accepted.as_bytes()));
            let found = precompressed(&mount, path, "index.html", plain, accepted);
            assert_eq!((found.coding, found.varies), (expected, true), "{path:?} {accepted:?}");
        }
        assert_eq!(seen(&mount, "alone.js"), Err(OpenError::NotFound));
    }

    #[test]
    fn a_shortage_is_not_the_clients_fault() {
        for (errno, code) in [(Errno::MFILE, 500), (Errno::IO, 500), (Errno::NOENT, 404), (Errno::ACCESS, 403)] {
            assert_eq!(OpenError::from(errno).status().code(), code);
        }
    }
}
