//! A UDP socket as a byte stream: what is queued for it are datagrams, each behind a head that says how long it is and to whom it goes.
//!
//! What becomes of a datagram is nobody's fault in particular, so errors of single ones are logged and go no further.

use std::cell::Cell;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd};

use mio::event::Source;
use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use rustix::io::Errno;

use super::{Sock, Transport};
use crate::buf::Buf;
use crate::limits;

/// Bytes of a head: length, port, scope and IPv6 address; an IPv4 one is mapped.
pub(crate) const HEAD: usize = 2 + 2 + 4 + 16;

/// Puts a datagram behind those that wait. It has at most 65,535 bytes.
pub(crate) fn queue(tx: &mut Buf, to: SocketAddr, data: &[u8]) {
    let len = u16::try_from(data.len()).expect("checked against limits::DATAGRAM");
    let (ip, scope) = match to {
        SocketAddr::V4(to) => (to.ip().to_ipv6_mapped(), 0),
        SocketAddr::V6(to) => (*to.ip(), to.scope_id()),
    };
    tx.push(&len.to_be_bytes());
    tx.push(&to.port().to_be_bytes());
    tx.push(&scope.to_be_bytes());
    tx.push(&ip.octets());
    tx.push(data);
}

/// The first of the datagrams that wait, and how much of the queue it takes. `None`: there is none.
fn first(queued: &[u8]) -> Option<(SocketAddr, &[u8], usize)> {
    let (len, rest) = queued.split_first_chunk()?;
    let (port, rest) = rest.split_first_chunk()?;
    let (scope, rest) = rest.split_first_chunk()?;
    let (ip, rest) = rest.split_first_chunk::<16>()?;
    let data = rest.get(..usize::from(u16::from_be_bytes(*len)))?;
    let (port, ip) = (u16::from_be_bytes(*port), Ipv6Addr::from(*ip));
    let to = match ip.to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, port)),
        IpAddr::V6(ip) => SocketAddrV6::new(ip, port, 0, u32::from_be_bytes(*scope)).into(),
    };
    Some((to, data, HEAD + data.len()))
}

pub(crate) struct Datagrams {
    socket: UdpSocket,
    connected_to: Option<SocketAddr>,
    /// Whose datagrams an IPv6 socket takes and sends: those of IPv4 too.
    is_ipv6: bool,
    sender: Cell<Option<SocketAddr>>,
}

impl Datagrams {
    /// Makes a UDP socket non-blocking and ready for the loop.
    pub(crate) fn transport(socket: std::net::UdpSocket) -> io::Result<Transport> {
        socket.set_nonblocking(true)?;
        let (connected_to, is_ipv6) = (socket.peer_addr().ok(), socket.local_addr()?.is_ipv6());
        let socket = UdpSocket::from_std(socket);
        let sock = Sock::endless(Datagrams { socket, connected_to, is_ipv6, sender: Cell::new(connected_to) });
        Ok(Transport::Udp(Box::new(sock)))
    }

    /// Who sent the datagram that was received last; before the first one, whom the socket is connected to.
    pub(crate) fn sender(&self) -> Option<SocketAddr> {
        let sender = self.sender.get()?;
        Some(match sender.ip().to_canonical() {
            IpAddr::V4(ip) => SocketAddr::from((ip, sender.port())),
            IpAddr::V6(_) => sender,
        })
    }

    fn send(&self, data: &[u8], to: SocketAddr) -> io::Result<usize> {
        match to {
            to if self.connected_to == Some(to) => self.socket.send(data),
            SocketAddr::V4(to) if self.is_ipv6 => {
                self.socket.send_to(data, (to.ip().to_ipv6_mapped(), to.port()).into())
            }
            to => self.socket.send_to(data, to),
        }
    }
}

impl Read for &Datagrams {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut errors = 0;
        loop {
            match self.socket.recv_from(buf) {
                Ok((n, from)) => {
                    self.sender.set(Some(from));
                    return Ok(n);
                }
                Err(error) if is_of_one_datagram(&error) && errors < limits::DATAGRAM_ERRORS => {
                    log::debug!("receiving a datagram: {error}");
                    errors += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// What the network answers to one that was sent (by ICMP) is told once each, and anybody may have made it up. Only what says that there
/// is no socket is about more than a datagram.
fn is_of_one_datagram(error: &io::Error) -> bool {
    let fatal = [Errno::BADF, Errno::NOTSOCK].map(Errno::raw_os_error);
    error.kind() != ErrorKind::WouldBlock && !error.raw_os_error().is_some_and(|errno| fatal.contains(&errno))
}

impl Write for &Datagrams {
    /// Sends as many of the queued datagrams as the system takes.
    fn write(&mut self, queued: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while let Some((to, data, len)) = first(&queued[taken..]) {
            let sent = match self.send(data, to) {
                // Said of one before, and this one was not sent for it.
                Err(error) if is_of_one_datagram(&error) => self.send(data, to),
                result => result,
            };
            match sent {
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock && taken == 0 => return Err(error),
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => log::debug!("sending a datagram to {to}: {error}"),
            }
            taken += len;
        }
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Datagrams {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Source for Datagrams {
    fn register(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.register(registry, token, interests)
    }

    fn reregister(&mut self, registry: &Registry, token: Token, interests: Interest) -> io::Result<()> {
        self.socket.reregister(registry, token, interests)
    }

    fn deregister(&mut self, registry: &Registry) -> io::Result<()> {
        self.socket.deregister(registry)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_queued_comes_out_with_its_address() {
        let mut tx = Buf::default();
        let to: Vec<SocketAddr> =
            ["127.0.0.1:9", "[::1]:53", "[fe80::1%7]:1"].iter().map(|to| to.parse().expect("an address")).collect();
        queue(&mut tx, to[0], b"one");
        queue(&mut tx, to[1], b"");
        queue(&mut tx, to[2], &[7; 65_507]);
        let (mut rest, mut seen) = (tx.as_slice(), Vec::new());
        while let Some((to, data, len)) = first(rest) {
            seen.push((to, data.len()));
            rest = &rest[len..];
        }
        assert_eq!(seen, [(to[0], 3), (to[1], 0), (to[2], 65_507)]);
        assert!(rest.is_empty());
    }
}
