//! Listen sockets with a path: bound, and given to whom they are for.
//!
//! ```text
//!   bind ──▶ the file is opened, and seen to be ours ──▶ mode ──▶ owner
//!                                  └─── on any error it goes again ───┘
//! ```
//!
//! Nobody can connect before it listens, so it is never open to more than it is for. Who may write in its folder can put anything in its
//! place at any time; so nothing is changed by its name. In lws: `lws_socket_bind()`, which changes it by name.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, Gid, OFlags, Uid};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::unix_owner::UnixOwner;

/// A socket of that path, which does not listen yet. `mode`: who may connect; as the umask says where there is none.
///
/// # Errors
/// What the system says. Nothing is left of it then.
pub(crate) fn bind(path: &Path, mode: Option<u32>, owner: Option<&UnixOwner>) -> io::Result<Socket> {
    if is_abstract(path) {
        let socket = new_socket()?;
        socket.bind(&address(path)?)?;
        return Ok(socket);
    }
    let ids = owner.map(UnixOwner::ids).transpose()?;
    let address = address(path)?;
    let socket = new_socket()?;
    if let Err(error) = socket.bind(&address) {
        if error.kind() != ErrorKind::AddrInUse || !remove_if_dead(path, &address)? {
            return Err(error);
        }
        socket.bind(&address)?;
    }
    let bound = file_id(path);
    let ready = give(path, mode, owner.zip(ids));
    if ready.is_err() {
        bound.into_iter().for_each(|file| remove(path, file));
    }
    ready.map(|()| socket)
}

/// Makes its file what was asked for. Where nothing was, it need not even be looked at.
fn give(path: &Path, mode: Option<u32>, owner: Option<(&UnixOwner, (u32, u32))>) -> io::Result<()> {
    if mode.is_none() && owner.is_none() {
        return Ok(());
    }
    let file = SocketFile::open(path)?;
    // The mode first: once it is another user's, changing it takes CAP_FOWNER.
    mode.map_or(Ok(()), |mode| file.set_mode(mode))?;
    owner.map_or(Ok(()), |(owner, ids)| file.set_owner(owner, ids))
}

fn new_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// The file of a socket that was just bound, held so that its name no longer matters.
struct SocketFile {
    file: File,
}

impl SocketFile {
    fn open(path: &Path) -> io::Result<SocketFile> {
        let flags = OFlags::PATH | OFlags::NOFOLLOW;
        let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
        let about = file.metadata()?;
        // A link, or another name of a file that somebody wants to have.
        if !about.file_type().is_socket() || about.nlink() != 1 || about.uid() != rustix::process::geteuid().as_raw() {
            return Err(io::Error::other("somebody has put something else in its place"));
        }
        Ok(SocketFile { file })
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        // fchmod(2) takes no O_PATH descriptor, but chmod(2) takes its name in /proc.
        let itself = format!("/proc/self/fd/{}", self.file.as_raw_fd());
        fs::set_permissions(itself, fs::Permissions::from_mode(mode))
            .map_err(|error| io::Error::new(error.kind(), format!("setting its mode: {error}")))
    }

    fn set_owner(&self, owner: &UnixOwner, (user, group): (u32, u32)) -> io::Result<()> {
        let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
        rustix::fs::chownat(&self.file, "", Some(user), Some(group), AtFlags::EMPTY_PATH)
            .map_err(|error| not_given(owner, error.into()))
    }
}

fn not_given(owner: &UnixOwner, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("giving it to {owner}: {error}; that takes root"))
}

/// A socket file that nobody listens on was left behind by a program that was killed.
fn remove_if_dead(path: &Path, address: &SockAddr) -> io::Result<bool> {
    if !fs::symlink_metadata(path)?.file_type().is_socket() {
        return Ok(false);
    }
    let probe = new_socket()?;
    match probe.connect(address) {
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => fs::remove_file(path).map(|()| true),
        _ => Ok(false),
    }
}

/// Removes a socket's file, unless another one is in its place by now.
pub(crate) fn remove(path: &Path, id: (u64, u64)) {
    if file_id(path) == Some(id) {
        let _already_gone = fs::remove_file(path);
    }
}

/// The address of a unix socket; a leading `@` stands for the NUL of an abstract name.
pub(crate) fn address(path: &Path) -> io::Result<SockAddr> {
    match path.to_str().and_then(|path| path.strip_prefix('@')) {
        Some(name) => SockAddr::unix(format!("\0{name}")),
        None => SockAddr::unix(path),
    }
}

/// Tells a socket file from another of the same name. `None`: there is none, as for an abstract name.
pub(crate) fn file_id(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(b"@")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn it_has_the_mode_that_was_asked_for_whatever_the_umask_is() {
        let dir = tempfile::tempdir().expect("a folder");
        for mode in [0o600, 0o660, 0o666, 0o777] {
            let path = dir.path().join(format!("{mode:o}"));
            let _socket = bind(&path, Some(mode), None).expect("it is bound");
            assert_eq!(fs::metadata(&path).expect("its file").mode() & 0o7777, mode);
        }
    }

    #[test]
    fn what_is_in_its_place_is_left_alone() {
        let dir = tempfile::tempdir().expect("a folder");
        let (victim, place) = (dir.path().join("victim"), dir.path().join("place"));
        fs::write(&victim, "secret").expect("write");
        let other = dir.path().join("other");
        let _other = bind(&other, Some(0o600), None).expect("it is bound");
        for make in [|from: &Path, to: &Path| symlink(from, to), |from: &Path, to: &Path| fs::hard_link(from, to)] {
            for target in [&victim, &other] {
                let _is_not_there = fs::remove_file(&place);
                make(target, &place).expect("a link");
                let error = SocketFile::open(&place).err().expect("it is not the one that was bound").to_string();
                assert!(error.contains("something else in its place"), "{error}");
            }
        }
    }

    #[test]
    fn nothing_is_left_of_one_that_cannot_be_given_away() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("socket");
        assert!(bind(&path, None, Some(&UnixOwner::new("no-such-user", "root"))).is_err());
        assert!(!path.exists());
        if !rustix::process::geteuid().is_root() {
            let error = bind(&path, None, Some(&UnixOwner::new("root", "root"))).expect_err("that takes root");
            assert!(error.to_string().ends_with("that takes root") && !path.exists(), "{error}");
        }
    }

    #[test]
    fn another_one_at_its_name_is_not_removed() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("socket");
        let _socket = bind(&path, None, None).expect("it is bound");
        let id = file_id(&path).expect("its file");
        remove(&path, (id.0, id.1 + 1));
        assert!(path.exists());
        remove(&path, id);
        assert!(!path.exists());
    }
}
