//! A TLS session over a stream socket, seen as a stream.
//!
//! ```text
//!   role ◀── recv ── plaintext ◀── rustls ◀── ciphertext ── recv ── socket
//!   role ─── send ─▶ plaintext ──▶ rustls ──▶ ciphertext ── send ─▶ socket
//! ```
//!
//! Readiness is that of both layers: plaintext that rustls holds counts as readable, and while ciphertext waits for the socket nothing
//! more is taken to be sent. So what rustls holds outwards is bounded by one [`limits::TLS_SEND`]. Reading is bounded in ciphertext too: tiny
//! records are a lot of work for few bytes, and others wait meanwhile. It may then bring nothing though there is more.
//!
//! A peer that ends without close_notify cut the stream off, or somebody on the path did: reading says so instead of calling it
//! the end (RFC 8446 section 6.1).

use std::io::{self, ErrorKind, IoSlice, Read, Write};

use rustls::{Connection, ProtocolVersion};

use crate::limits;
use crate::transport::{Received, Transport};
use crate::vhost::VhostId;

use super::PeerCert;

pub(crate) struct Tls {
    /// TCP or unix.
    pub(crate) under: Transport,
    conn: Connection,
    /// The vhost whose certificate was shown, and whose demands the handshake has met.
    pub(crate) vhost: VhostId,
    verified: bool,
    /// rustls may hold plaintext.
    held: bool,
    eof: bool,
    /// Told once everything that came before it has been delivered.
    failed: Option<io::Error>,
    said_goodbye: bool,
    /// Sent so far, at least.
    records: u64,
    /// Bytes of ciphertext that were read from the socket.
    pulled: u64,
    /// Bytes of ciphertext that the socket has taken.
    pushed: u64,
}

/// Bytes of plaintext in one record (RFC 8446 section 5.1).
const MAX_RECORD: usize = 16 * 1024;

impl Tls {
    pub(crate) fn new(under: Transport, conn: Connection, vhost: VhostId, verified: bool) -> Tls {
        Tls {
            under,
            conn,
            vhost,
            verified,
            held: true,
            eof: false,
            failed: None,
            said_goodbye: false,
            records: 0,
            pulled: 0,
            pushed: 0,
        }
    }

    /// Bytes read and written for a handshake that is not done. What the session was fed with is not among them.
    pub(crate) fn of_handshake(&self) -> Option<(u64, u64)> {
        self.conn.is_handshaking().then_some((self.pulled, self.pushed))
    }

    /// Bytes of ciphertext that the socket has taken.
    pub(crate) fn pushed(&self) -> u64 {
        self.pushed
    }

    /// What ALPN agreed on.
    pub(crate) fn alpn(&self) -> Option<&[u8]> {
        self.conn.alpn_protocol()
    }

    pub(crate) fn peer_cert(&self) -> Option<PeerCert> {
        PeerCert::of(self.conn.peer_certificates()?.first()?, self.verified)
    }

    /// For the log: `TLSv1_3 TLS13_AES_128_GCM_SHA256`.
    pub(crate) fn describe(&self) -> String {
        let version = self.conn.protocol_version().map(|version| format!("{version:?}")).unwrap_or_default();
        let suite = self.conn.negotiated_cipher_suite().map(|suite| format!("{:?}", suite.suite())).unwrap_or_default();
        format!("{version} {suite}")
    }

    /// Gives rustls bytes that were read from the socket before the session began.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        // What the hello came with is in there already, and has not been looked at.
        self.process()?;
        while !bytes.is_empty() {
            self.conn.read_tls(&mut bytes)?;
            self.process()?;
        }
        Ok(())
    }

    /// Goes on with the handshake, as far as the socket lets it. `true`: it is done.
    pub(crate) fn shake_hands(&mut self) -> io::Result<bool> {
        loop {
            self.push()?;
            if !self.conn.is_handshaking() {
                return Ok(true);
            }
            if !self.under.readable() {
                return Ok(false);
            }
            if self.pull()?.is_none() {
                return Err(ErrorKind::UnexpectedEof.into());
            }
        }
    }

    pub(crate) fn readable(&self) -> bool {
        self.held || self.under.readable()
    }

    pub(crate) fn writable(&self) -> bool {
        self.under.writable() && !self.pending()
    }

    pub(crate) fn eof(&self) -> bool {
        self.eof
    }

    /// Ciphertext waits for the socket.
    pub(crate) fn pending(&self) -> bool {
        self.conn.wants_write()
    }

    /// Fills `buf` as far as there is something, and as far as so much ciphertext goes.
    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> io::Result<Received> {
        let (mut filled, mut pulled) = (0, 0);
        // A record that was begun, and the heads of the others.
        let most = buf.len() + MAX_RECORD;
        while filled < buf.len() && !self.eof {
            match self.conn.reader().read(&mut buf[filled..]) {
                Ok(0) => self.eof = true,
                Ok(n) => filled += n,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    if self.failed.is_some() || !self.under.readable() || pulled > most {
                        break;
                    }
                    match self.pull() {
                        Ok(more) => pulled += more.unwrap_or_default(),
                        Err(error) => self.failed = Some(error),
                    }
                }
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                    let cut_off = io::Error::new(ErrorKind::UnexpectedEof, "it ended without close_notify");
                    self.failed.get_or_insert(cut_off);
                    break;
                }
                Err(error) => {
                    self.failed.get_or_insert(error);
                    break;
                }
            }
        }
        // Reading may have given rustls something to say.
        if let Err(error) = self.push() {
            self.failed.get_or_insert(error);
        }
        if filled == 0
            && let Some(error) = self.failed.take()
        {
            return Err(error);
        }
        self.held = self.eof || self.failed.is_some() || filled == buf.len();
        match filled {
            0 if self.eof => Ok(Received::Eof),
            0 => Ok(Received::Blocked),
            n => Ok(Received::Bytes(n)),
        }
    }

    /// Takes what can be encrypted and handed to the socket, and no more than it can be behind by.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut taken = 0;
        while taken < bytes.len() && self.writable() {
            let piece = &bytes[taken..bytes.len().min(taken + limits::TLS_SEND)];
            self.count_records(piece.len())?;
            taken += self.conn.writer().write(piece)?;
            self.push()?;
        }
        Ok(taken)
    }

    /// The same, and close_notify behind it if all is taken. The end of the stream has to follow at once.
    pub(crate) fn send_last(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (before, last) = bytes.split_at(bytes.len().saturating_sub(limits::TLS_SEND));
        let mut taken = self.send(before)?;
        if taken < before.len() || !self.writable() {
            return Ok(taken);
        }
        self.count_records(last.len())?;
        taken += self.conn.writer().write(last)?;
        if taken == bytes.len() {
            self.said_goodbye = true;
            self.conn.send_close_notify();
        }
        self.push_by(Transport::send_held_back)?;
        Ok(taken)
    }

    /// TLS 1.2 cannot change its keys, and a key is good for so many records only: rustls silently drops what comes after.
    fn count_records(&mut self, bytes: usize) -> io::Result<()> {
        self.records += bytes.div_ceil(MAX_RECORD) as u64;
        let is_old = self.conn.protocol_version() == Some(ProtocolVersion::TLSv1_2);
        if is_old && self.records >= limits::TLS12_RECORDS {
            return Err(io::Error::other("the key of a TLS 1.2 connection has served its time"));
        }
        Ok(())
    }

    /// Hands waiting ciphertext to the socket.
    pub(crate) fn push(&mut self) -> io::Result<()> {
        self.push_by(Transport::send_vectored)
    }

    fn push_by(&mut self, send: SendBy) -> io::Result<()> {
        while self.conn.wants_write() && self.under.writable() {
            match self.conn.write_tls(&mut Outlet { under: &mut self.under, send }) {
                Ok(n) => self.pushed += n as u64,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Queues close_notify, once, and hands over what the socket takes.
    pub(crate) fn say_goodbye(&mut self) -> io::Result<()> {
        if !self.said_goodbye {
            self.said_goodbye = true;
            self.conn.send_close_notify();
        }
        self.push()
    }

    /// Reads from the socket once: how many bytes. `None`: its end.
    fn pull(&mut self) -> io::Result<Option<usize>> {
        let n = match self.conn.read_tls(&mut Inlet(&mut self.under)) {
            Ok(n) => n,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(0)),
            Err(error) => return Err(error),
        };
        self.pulled += n as u64;
        self.process()?;
        Ok((n > 0).then_some(n))
    }

    fn process(&mut self) -> io::Result<()> {
        self.conn.process_new_packets().map(drop).map_err(|error| {
            // The alert that says why. If it cannot be sent, the peer will notice all the same.
            let _best_effort = self.push();
            io::Error::new(ErrorKind::InvalidData, error)
        })
    }
}

/// The socket as rustls reads it.
struct Inlet<'a>(&'a mut Transport);

impl Read for Inlet<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.0.recv(buf)? {
            Received::Bytes(n) => Ok(n),
            Received::Blocked => Err(ErrorKind::WouldBlock.into()),
            Received::Eof => Ok(0),
        }
    }
}

/// How the socket is written to.
type SendBy = fn(&mut Transport, &[IoSlice<'_>]) -> io::Result<usize>;

/// The socket as rustls writes to it.
struct Outlet<'a> {
    under: &'a mut Transport,
    send: SendBy,
}

impl Write for Outlet<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match (self.send)(self.under, slices)? {
            0 => Err(ErrorKind::WouldBlock.into()),
            n => Ok(n),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
