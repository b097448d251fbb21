//! Listen sockets with a path: bound, and given to whom they are for.
//!
//! ```text
//!   bind ──▶ the file is opened, and seen to be ours ──▶ mode ──▶ owner ──▶ served ──▶ the file goes
//!                                  └─── on any error it goes again ───┘
//! ```
//!
//! Nobody can connect before it listens, so it is never open to more than it is for. What is done with the file is in [`UnixFile`]. In lws:
//! `lws_socket_bind()`, which changes it by name.

use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

use socket2::{Domain, SockAddr, Socket, Type};

use crate::unix_file::UnixFile;
use crate::unix_owner::UnixOwner;

/// A socket of that path, which does not listen yet, and its file; none for an abstract name. `mode`: who may connect; as the umask says
/// where there is none.
///
/// # Errors
/// What the system says. Nothing is left of it then.
pub(crate) fn bind(
    path: &Path,
    mode: Option<u32>,
    owner: Option<&UnixOwner>,
) -> io::Result<(Socket, Option<UnixFile>)> {
    if is_abstract(path) {
        let socket = new_socket()?;
        socket.bind(&address(path)?)?;
        return Ok((socket, None));
    }
    owner.map(UnixOwner::ids).transpose()?;
    let address = address(path)?;
    let socket = new_socket()?;
    if let Err(error) = socket.bind(&address) {
        if error.kind() != ErrorKind::AddrInUse || !remove_if_dead(path, &address)? {
            return Err(error);
        }
        socket.bind(&address)?;
    }
    let file = UnixFile::at(path)?;
    file.give_new(mode, owner)?;
    Ok((socket, Some(file)))
}

fn new_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
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

/// The address of a unix socket; a leading `@` stands for the NUL of an abstract name.
pub(crate) fn address(path: &Path) -> io::Result<SockAddr> {
    match path.to_str().and_then(|path| path.strip_prefix('@')) {
        Some(name) => SockAddr::unix(format!("\0{name}")),
        None => SockAddr::unix(path),
    }
}

fn is_abstract(path: &Path) -> bool {
    path.as_os_str().as_encoded_bytes().starts_with(b"@")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn it_has_the_mode_that_was_asked_for_whatever_the_umask_is() {
        let dir = tempfile::tempdir().expect("a folder");
        for mode in [0o600, 0o660, 0o666, 0o777] {
            let path = dir.path().join(format!("{mode:o}"));
            let _bound = bind(&path, Some(mode), None).expect("it is bound");
            assert_eq!(fs::metadata(&path).expect("its file").permissions().mode() & 0o7777, mode);
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
}
