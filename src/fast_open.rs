//! TCP fast open on listen sockets (RFC 7413): a client that was here before sends its first bytes with its SYN.
//!
//! In lws: `fo_listen_queue`.

use std::fs;

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetStruct;
use nix::{libc, setsockopt_impl};
use socket2::Socket;

/// How many may wait whose handshake is still to be completed.
#[derive(Debug, Clone, Copy)]
struct FastOpen;

setsockopt_impl!(FastOpen, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, u32, SetStruct<'_, u32>);

/// Where Linux says who may: a sum of 1 for clients, 2 for servers, and others.
const SWITCH: &str = "/proc/sys/net/ipv4/tcp_fastopen";
const SERVERS: u32 = 2;

/// Lets so many connections wait that way; 0: none. It only makes them begin sooner, so what stands in its way is a warning.
pub(crate) fn enable(socket: &Socket, queue: u32) {
    if queue == 0 {
        return;
    }
    if let Err(error) = setsockopt(socket, FastOpen, &queue) {
        log::warn!("TCP fast open (fo-listen-queue): {error}; connections begin as without it");
    } else if let Some(switch) = switch().filter(|switch| switch & SERVERS == 0) {
        let wanted = switch | SERVERS;
        log::warn!("TCP fast open (fo-listen-queue) does nothing until net.ipv4.tcp_fastopen is {wanted} (sysctl)");
    }
}

fn switch() -> Option<u32> {
    fs::read_to_string(SWITCH).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use nix::getsockopt_impl;
    use nix::sys::socket::getsockopt;
    use nix::sys::socket::sockopt::GetStruct;
    use socket2::{Domain, Type};

    use super::*;

    getsockopt_impl!(FastOpen, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, u32, GetStruct<u32>);

    #[test]
    fn a_socket_has_the_queue_it_was_given() {
        for queue in [0, 5] {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
            enable(&socket, queue);
            assert_eq!(getsockopt(&socket, FastOpen).expect("Linux has it"), queue);
        }
    }
}
