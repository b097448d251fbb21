//! Listen sockets that outlive a process: bound by one, served by another, handed on at a restart without a connection refused.
//!
//! ```text
//!   ListenSockets::bind ──▶ fds ── over a unix socket, by inheritance ──▶ ListenSockets::of ──▶ Context::use_listen_sockets
//!         │
//!         └──▶ listen, when all is ready to accept: before that, connections are refused and none can be lost
//! ```
//!
//! In lws a context always binds its own.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::{io, mem};

use socket2::{SockRef, Socket};

use crate::error::{Error, Result};
use crate::listening::{self, Bound, ListenError, ListenHow};
use crate::unix_file::UnixFile;
use crate::unix_owner::UnixOwner;
use crate::vhost_info::{Listen, VhostInfo};

/// The sockets of one address to listen on: several where an interface has several addresses, or where workers share a port.
///
/// The file of a unix socket goes with what [`bind`](Self::bind) has made, or with the vhosts that it is handed to.
#[derive(Debug)]
pub struct ListenSockets {
    listen: Listen,
    sockets: Vec<OwnedFd>,
    /// Of a unix socket that was bound here.
    file: Option<UnixFile>,
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
    /// Binds what a vhost wants to listen on; [`listen`](Self::listen) makes connections possible. An interface that is not there (yet)
    /// has no sockets.
    ///
    /// # Errors
    /// [`Error::AddressTaken`] and [`Error::Listen`].
    pub fn bind(vhost: &VhostInfo, reuse_port: ReusePort) -> Result<ListenSockets> {
        let VhostInfo { options, backlog, fast_open_queue, .. } = *vhost;
        let how = ListenHow { options, backlog, fast_open_queue };
        let prepared = match listening::sockets(&vhost.listen, &how, reuse_port) {
            Ok(prepared) => prepared,
            Err(ListenError::NotThere) => Vec::new(),
            Err(ListenError::Taken { address }) => {
                return Err(Error::AddressTaken { vhost: vhost.name.clone(), address });
            }
            Err(ListenError::System { address, source }) => {
                return Err(Error::Listen { vhost: vhost.name.clone(), address, source });
            }
        };
        let mut all = ListenSockets::of(vhost.listen.clone(), Vec::new());
        for one in prepared {
            all.sockets.push(one.socket.into());
            all.file = all.file.or(one.file);
        }
        Ok(all)
    }

    /// Sockets that somebody else has bound for `listen`.
    pub fn of(listen: Listen, sockets: Vec<OwnedFd>) -> ListenSockets {
        ListenSockets { listen, sockets, file: None }
    }

    /// Takes those out of some sockets that somebody else has bound, and listens on (as systemd's socket activation does), that are where
    /// a vhost wants to listen. On all interfaces: its port on the unspecified address, of IPv6, IPv4 or both. `None`: there is none; port
    /// 0 has none.
    ///
    /// What was set on them stays, such as IPV6_V6ONLY or a path's mode.
    ///
    /// # Errors
    /// [`Error::Listen`], for a socket that cannot be set up as one of ours.
    pub fn pick(vhost: &VhostInfo, from: &mut Vec<OwnedFd>) -> Result<Option<ListenSockets>> {
        let mut sockets = Vec::new();
        for socket in mem::take(from) {
            let socket = Socket::from(socket);
            if !listening::is_meant(&socket, &vhost.listen, vhost.options) {
                from.push(socket.into());
                continue;
            }
            if matches!(vhost.listen, Listen::Tcp { .. }) {
                listening::set_inherited(&socket).map_err(|source| Error::Listen {
                    vhost: vhost.name.clone(),
                    address: vhost.listen.to_string(),
                    source,
                })?;
            }
            sockets.push(socket.into());
        }
        Ok((!sockets.is_empty()).then(|| ListenSockets::of(vhost.listen.clone(), sockets)))
    }

    /// Lets connections come, as many as `backlog` of which may wait to be accepted. On sockets that listen already it changes that number.
    ///
    /// # Errors
    /// [`ErrorKind::AddrInUse`](io::ErrorKind::AddrInUse) where another program has come to listen on the address since it was bound.
    pub fn listen(&self, backlog: u32) -> io::Result<()> {
        let backlog = i32::try_from(backlog).unwrap_or(i32::MAX);
        self.sockets.iter().try_for_each(|socket| SockRef::from(socket).listen(backlog))
    }

    /// Changes who may use the path of a unix socket (mode bits), and whose it is; what is not given stays. It does nothing to others, and
    /// to what somebody else has bound.
    ///
    /// # Errors
    /// Another file has its name by now; or it takes root.
    pub fn give(&self, mode: Option<u32>, owner: Option<&UnixOwner>) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| file.give(mode, owner))
    }

    /// Whether clients find them: a unix socket whose file was removed, or replaced, is found by nobody.
    pub fn are_in_place(&self) -> bool {
        self.file.as_ref().is_none_or(UnixFile::is_in_place)
    }

    /// Where they are bound.
    pub fn place(&self) -> &Listen {
        &self.listen
    }

    /// The sockets.
    pub fn fds(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(AsFd::as_fd)
    }

    /// The sockets, to keep them elsewhere. The file of a unix socket goes.
    pub fn into_fds(self) -> Vec<OwnedFd> {
        self.sockets
    }

    /// Ready for the loop, with the file of a unix socket that was bound here.
    pub(crate) fn into_bound(self) -> io::Result<(Vec<Bound>, Option<UnixFile>)> {
        let bound =
            self.sockets.into_iter().map(|socket| listening::bound(socket.into())).collect::<io::Result<_>>()?;
        Ok((bound, self.file))
    }
}
