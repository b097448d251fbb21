//! Listen sockets that outlive a process: bound by one, served by another, handed on at a restart without a connection refused.
//!
//! ```text
//!   ListenSockets::bind ──▶ fds ── over a unix socket, by inheritance ──▶ ListenSockets::of ──▶ Context::use_listen_sockets
//! ```
//!
//! In lws a context always binds its own.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::error::{Error, Result};
use crate::listening::{self, Bound, ListenError, ListenHow};
use crate::vhost_info::{Listen, VhostInfo};

/// The sockets of one address to listen on: several where an interface has several addresses, or where workers share a port.
#[derive(Debug)]
pub struct ListenSockets {
    listen: Listen,
    sockets: Vec<OwnedFd>,
}

/// Whether the same address can be bound again (SO_REUSEPORT): the kernel then spreads connections over all of its sockets. TCP only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReusePort {
    /// It cannot.
    No,
    /// It can, and this is the first of ours: that another program listens there already is an error all the same.
    First,
    /// It can, and was.
    Another,
}

impl ListenSockets {
    /// Binds what a vhost wants to listen on. An interface that is not there (yet) has no sockets; the context that is given none binds
    /// by itself when it appears.
    ///
    /// # Errors
    /// [`Error::AddressTaken`] and [`Error::Listen`].
    pub fn bind(vhost: &VhostInfo, reuse_port: ReusePort) -> Result<ListenSockets> {
        let VhostInfo { options, backlog, fast_open_queue, .. } = *vhost;
        let how = ListenHow { options, backlog, fast_open_queue };
        let bound = match listening::sockets(&vhost.listen, &how, reuse_port) {
            Ok(sockets) => sockets,
            Err(ListenError::NotThere) => Vec::new(),
            Err(ListenError::Taken { address }) => {
                return Err(Error::AddressTaken { vhost: vhost.name.clone(), address });
            }
            Err(ListenError::System { address, source }) => {
                return Err(Error::Listen { vhost: vhost.name.clone(), address, source });
            }
        };
        let sockets = bound.into_iter().map(|(socket, _)| socket.into()).collect();
        Ok(ListenSockets { listen: vhost.listen.clone(), sockets })
    }

    /// Sockets that somebody else has bound for `listen`.
    pub fn of(listen: Listen, sockets: Vec<OwnedFd>) -> ListenSockets {
        ListenSockets { listen, sockets }
    }

    /// What they listen on.
    pub fn listen(&self) -> &Listen {
        &self.listen
    }

    /// The sockets.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd)
    }

    pub(crate) fn into_bound(self) -> io::Result<Vec<Bound>> {
        self.sockets.into_iter().map(|socket| listening::bound(socket.into())).collect()
    }
}
