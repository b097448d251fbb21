//! Listen sockets that the service manager has bound for us (sd_listen_fds(3)): descriptors 3 and up, counted by `LISTEN_FDS`, for the process
//! that `LISTEN_PID` names.

use std::os::fd::{AsFd, OwnedFd};

use listenfd::ListenFd;
use socket2::SockRef;

/// What is in the environment for that; no worker gets it.
pub(crate) const VARIABLES: [&str; 3] = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"];

/// Those that were handed to this process. One that nobody could listen on is warned about.
pub(crate) fn sockets() -> Vec<OwnedFd> {
    let mut handed = ListenFd::from_env();
    (0..handed.len())
        .filter_map(|index| {
            let socket = match handed.take_tcp_listener(index) {
                Ok(socket) => socket.map(OwnedFd::from),
                Err(_) => handed.take_unix_listener(index).ok().flatten().map(OwnedFd::from),
            };
            let listens = socket.filter(|socket| SockRef::from(socket).is_listener().unwrap_or(false));
            if listens.is_none() {
                let number = index + 3;
                log::warn!("descriptor {number} of the service manager is no listening TCP or unix stream socket; it is not used");
            }
            listens
        })
        .collect()
}

/// The address of a socket, for a log.
pub(crate) fn name(socket: &impl AsFd) -> String {
    let Ok(address) = SockRef::from(socket).local_addr() else { return "an unknown address".to_owned() };
    match (address.as_socket(), address.as_pathname(), address.as_abstract_namespace()) {
        (Some(address), _, _) => address.to_string(),
        (_, Some(path), _) => format!("unix:{}", path.display()),
        (_, _, Some(name)) => format!("unix:@{}", String::from_utf8_lossy(name)),
        _ => "an unknown address".to_owned(),
    }
}
