//! A socket that never blocks, with TLS over it or without, and with its readiness remembered.

use std::io::{self, ErrorKind, Read, Write};
use std::time::Duration;

use mio::event::Source;
use mio::net::{TcpStream, UnixStream};
use mio::{Interest, Registry, Token};
use rustix::net::{RecvFlags, recv};
use rustls::Connection;
use socket2::SockRef;

pub enum Socket {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// What can be read, without reading it; nothing is the end.
    pub fn peek<'a>(&self, bytes: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let (count, _) = match self {
            Socket::Tcp(socket) => recv(socket, &mut *bytes, RecvFlags::PEEK)?,
            Socket::Unix(socket) => recv(socket, &mut *bytes, RecvFlags::PEEK)?,
        };
        Ok(&bytes[..count])
    }

    /// Has the system hold little of what has not been read.
    pub fn narrow(&self) {
        if let Socket::Tcp(socket) = self {
            SockRef::from(socket).set_recv_buffer_size(16 * 1024).expect("own socket");
        }
    }
}

/// What reading gave.
#[derive(Debug)]
pub enum Received {
    Bytes(usize),
    Blocked,
    /// Orderly: over TLS, after close_notify.
    Eof,
    /// Over TLS, without it.
    Truncated,
    Failed(String),
}

pub struct Wire {
    socket: Socket,
    tls: Option<Connection>,
    pub readable: bool,
    pub writable: bool,
}

impl Wire {
    pub fn new(mut socket: Socket, tls: Option<Connection>, registry: &Registry, token: Token) -> Wire {
        let source: &mut dyn Source = match &mut socket {
            Socket::Tcp(socket) => socket,
            Socket::Unix(socket) => socket,
        };
        source.register(registry, token, Interest::READABLE | Interest::WRITABLE).expect("register");
        Wire { socket, tls, readable: false, writable: false }
    }

    /// Whether the other end can be told something.
    pub fn is_ready(&self) -> bool {
        self.writable && !self.is_handshaking()
    }

    pub fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// Whether all that was written has left.
    pub fn is_flushed(&self) -> bool {
        self.tls.as_ref().is_none_or(|tls| !tls.wants_write())
    }

    pub fn read(&mut self, bytes: &mut [u8]) -> Received {
        let Wire { socket, tls, readable, .. } = self;
        let Some(tls) = tls else {
            return match socket.read(bytes) {
                Ok(0) => Received::Eof,
                Ok(n) => Received::Bytes(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    *readable = false;
                    Received::Blocked
                }
                Err(error) => Received::Failed(error.to_string()),
            };
        };
        loop {
            match tls.reader().read(bytes) {
                Ok(0) => return Received::Eof,
                Ok(n) => return Received::Bytes(n),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Received::Truncated,
                Err(error) => return Received::Failed(error.to_string()),
            }
            match tls.read_tls(socket) {
                Ok(_) => {
                    if let Err(error) = tls.process_new_packets() {
                        return Received::Failed(error.to_string());
                    }
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    *readable = false;
                    return Received::Blocked;
                }
                Err(error) => return Received::Failed(error.to_string()),
            }
        }
    }

    /// How many bytes were taken.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            let written = self.socket.write(bytes);
            return self.noticed(written);
        };
        let taken = tls.writer().write(bytes)?;
        self.flush()?;
        if taken == 0 {
            // Its buffer is full because the socket's is.
            self.writable = false;
        }
        Ok(taken)
    }

    /// Sends what TLS has to send, as far as there is room.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.writable
            && let Some(tls) = self.tls.as_mut().filter(|tls| tls.wants_write())
        {
            let written = tls.write_tls(&mut self.socket);
            self.noticed(written)?;
        }
        Ok(())
    }

    fn noticed(&mut self, written: io::Result<usize>) -> io::Result<usize> {
        match written {
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.writable = false;
                Ok(0)
            }
            other => other,
        }
    }

    /// Says that no more will be sent; TLS still has to be flushed.
    pub fn finish(&mut self) -> io::Result<()> {
        match (&mut self.tls, &self.socket) {
            (Some(tls), _) => {
                tls.send_close_notify();
                Ok(())
            }
            (None, Socket::Tcp(socket)) => socket.shutdown(std::net::Shutdown::Write),
            (None, Socket::Unix(socket)) => socket.shutdown(std::net::Shutdown::Write),
        }
    }

    /// Has the end be a reset, where there is such a thing.
    pub fn reset(self) {
        if let Socket::Tcp(socket) = &self.socket {
            let _may_be_gone = SockRef::from(socket).set_linger(Some(Duration::ZERO));
        }
    }
}

impl Read for Socket {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => socket.read(bytes),
            Socket::Unix(socket) => socket.read(bytes),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(socket) => socket.write(bytes),
            Socket::Unix(socket) => socket.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
