//! What is sent on a connection: by its protocol, within bounds, and by roles.
//!
//! ```text
//!   Wsi::write ──▶ tx ─────┐
//!                          ├──▶ flush ──▶ the transport ──▶ behind the last byte: close_notify, FIN
//!   transmit ──▶ send ─────┤
//!   transmit_piped ──▶ piped
//! ```
//!
//! Bytes go out in order: while something waits, what comes later waits behind it, and goes when the poll says that the system takes more. In
//! lws: `lws_write`, `lws_issue_raw` and `buflist_out`.

use std::fs::File;
use std::io;
use std::net::SocketAddr;

use mio::Registry;

use crate::facts::Closer;
use crate::limits;
use crate::transport::{Medium, Piped, datagrams};
use crate::wsi::{Peer, Wsi};

/// Why [`Wsi::write`] took nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// More than [`limits::TX`] bytes would be waiting. Write from `RawWriteable` instead.
    #[error("the connection has room for {room} more bytes until its peer reads; write from the writeable callback")]
    Full {
        /// What would have been taken.
        room: usize,
    },
    /// The connection's role does not carry raw bytes from the protocol, or its descriptor is only read.
    #[error("a connection in role {role} takes no raw bytes from its protocol")]
    WrongRole {
        /// The role it is in.
        role: &'static str,
    },
    /// [`Wsi::shutdown_write`] was called before; in role http [`Wsi::transaction_completed`].
    #[error("the end of what is sent was said before")]
    Finished,
    /// In role http, before [`Wsi::respond`].
    #[error("no response has been begun whose body this could be")]
    NoResponse,
    /// In role http, more than the length that the response has declared.
    #[error("the response has declared a length of which {left} bytes are left")]
    BeyondLength {
        /// What may still be written.
        left: u64,
    },
    /// In role ws, a part of a message that goes on with none, or a message within another one.
    #[error("a continuation goes behind the first part of its message, and no other message between them")]
    OutOfOrder,
    /// In role ws, a ping or pong of more than 125 bytes, or with `no_fin`.
    #[error("a ping or pong has up to 125 bytes, in one part")]
    NoControlFrame,
    /// The connection has failed or timed out, so nothing more is sent.
    #[error("the connection is being closed without sending what is queued")]
    Lost,
    /// The UDP socket is not connected, and has not received a datagram that this would be the answer to.
    #[error("there is nobody to send the datagram to; name an address with write_to")]
    NoPeer,
    /// More than a datagram holds ([`limits::DATAGRAM`]).
    #[error("{len} bytes are more than a datagram holds ({})", limits::DATAGRAM)]
    TooLong {
        /// The bytes that were to be sent.
        len: usize,
    },
}

impl Wsi {
    // -- what callbacks use

    /// Queues bytes for the peer, all of them or none; they are sent right after the callback (`lws_write`, raw).
    ///
    /// Beyond a short answer, write from `RawWriteable`, which comes when everything before has been sent. In role raw-udp they are one
    /// datagram to [`Wsi::peer`]. In role http they are a part of the body of the response that [`Wsi::respond`] began (`LWS_WRITE_HTTP`).
    ///
    /// # Errors
    /// [`WriteError::Full`] beyond [`limits::TX`] queued bytes; [`WriteError::WrongRole`] in roles that carry nothing for a protocol;
    /// [`WriteError::NoResponse`] and [`WriteError::BeyondLength`] in role http; [`WriteError::Finished`] after [`Wsi::shutdown_write`]; [`WriteError::Lost`] from the last callbacks of a connection that failed; in role raw-udp as
    /// [`Wsi::write_to`], and [`WriteError::NoPeer`].
    pub fn write(&mut self, data: &[u8]) -> Result<(), WriteError> {
        if self.io.medium() == Medium::Datagrams {
            let Peer::Udp(peer) = self.peer else { return Err(WriteError::NoPeer) };
            return self.write_to(data, peer);
        }
        if self.http.is_some() {
            return self.write_http(data);
        }
        self.check_room(data.len())?;
        self.tx.push(data);
        Ok(())
    }

    /// Queues one datagram for anybody, in role raw-udp. Whether it arrives nobody knows, as ever with UDP.
    ///
    /// # Errors
    /// [`WriteError::WrongRole`] outside raw-udp; [`WriteError::TooLong`] beyond [`limits::DATAGRAM`] bytes; [`WriteError::Full`] beyond
    /// [`limits::TX`] queued bytes.
    pub fn write_to(&mut self, data: &[u8], to: SocketAddr) -> Result<(), WriteError> {
        if self.io.medium() != Medium::Datagrams {
            return Err(WriteError::WrongRole { role: self.role_name });
        }
        if data.len() > limits::DATAGRAM {
            return Err(WriteError::TooLong { len: data.len() });
        }
        self.check_room(data.len())?;
        datagrams::queue(&mut self.tx, to, data);
        Ok(())
    }

    fn check_room(&self, len: usize) -> Result<(), WriteError> {
        if !self.flags.raw_tx {
            return Err(WriteError::WrongRole { role: self.role_name });
        }
        match self.tx_room() {
            _ if self.flags.fin => Err(WriteError::Finished),
            _ if self.close_reason().is_some_and(|reason| !reason.is_gentle()) => Err(WriteError::Lost),
            room if len > room => Err(WriteError::Full { room }),
            _ => Ok(()),
        }
    }

    /// Bytes that [`Wsi::write`] takes now; of a UDP socket, as one datagram, if it is no more than one holds.
    pub fn tx_room(&self) -> usize {
        let head = if self.io.medium() == Medium::Datagrams { datagrams::HEAD } else { 0 };
        let unframed = self.http.as_ref().map_or(0, |exchange| exchange.body.len());
        let queued = self.answers_queued().unwrap_or(self.tx.len());
        limits::TX.saturating_sub(queued + head + unframed)
    }

    /// Sends the end behind everything queued (a FIN, over TLS a close_notify before it), and goes on receiving until the peer ends too. More
    /// can then not be written. In lws there is only `shutdown` on the socket.
    ///
    /// # Errors
    /// [`WriteError::WrongRole`] outside role raw-skt: of a pipe only closing it is the end.
    pub fn shutdown_write(&mut self) -> Result<(), WriteError> {
        if !self.flags.raw_tx || !self.io.is_stream() {
            return Err(WriteError::WrongRole { role: self.role_name });
        }
        self.flags.fin = true;
        if let Some(facts) = &mut self.facts {
            facts.note_first(Closer::Us);
        }
        Ok(())
    }

    // -- what roles and the core use

    /// Sends what can go now, if nothing waits before it, and has the poll tell when more can. How much was taken.
    pub(crate) fn send(&mut self, registry: &Registry, bytes: &[u8]) -> io::Result<usize> {
        if self.flags.corked {
            return Ok(0);
        }
        debug_assert!(self.piped.is_empty(), "what is sent later would overtake it");
        let taken = if self.tx.is_empty() && self.io.writable() { self.io.send(bytes)? } else { 0 };
        self.count_sent(taken);
        if taken < bytes.len() || self.io.pending() {
            self.io.arm_for_write(registry, self.id.token())?;
        }
        Ok(taken)
    }

    /// The same for the last bytes of the connection: its end goes with them, if nothing waits before them and they are taken at once.
    pub(crate) fn send_last(&mut self, registry: &Registry, bytes: &[u8]) -> io::Result<usize> {
        if self.flags.corked || !self.tx.is_empty() || !self.io.writable() {
            return self.send(registry, bytes);
        }
        let (taken, is_ended) = self.io.send_last(bytes)?;
        self.count_sent(taken);
        self.flags.fin |= is_ended;
        self.flags.fin_sent |= is_ended;
        if taken < bytes.len() || self.io.pending() {
            self.io.arm_for_write(registry, self.id.token())?;
        }
        Ok(taken)
    }

    /// The same for `len` bytes of a file, which the system takes by itself. `None`: it cannot.
    pub(crate) fn send_file(
        &mut self,
        registry: &Registry,
        file: &File,
        from: u64,
        len: usize,
    ) -> io::Result<Option<usize>> {
        let Some(taken) = self.io.send_file(file, from, len)? else { return Ok(None) };
        self.count_sent(taken);
        if taken < len {
            self.io.arm_for_write(registry, self.id.token())?;
        }
        Ok(Some(taken))
    }

    /// The same, and queues the rest.
    ///
    /// Not bounded here: who calls it reads no more before [`Wsi::is_flushed`].
    pub(crate) fn transmit(&mut self, registry: &Registry, bytes: &[u8]) -> io::Result<()> {
        let taken = self.send(registry, bytes)?;
        self.queue(&bytes[taken..]);
        Ok(())
    }

    /// [`Wsi::send_last`], and queues the rest.
    pub(crate) fn transmit_last(&mut self, registry: &Registry, bytes: &[u8]) -> io::Result<()> {
        let taken = self.send_last(registry, bytes)?;
        self.queue(&bytes[taken..]);
        Ok(())
    }

    fn queue(&mut self, rest: &[u8]) {
        if !rest.is_empty() {
            self.tx.push(rest);
        }
    }

    /// The same for what is in a pipe.
    pub(crate) fn transmit_piped(&mut self, registry: &Registry, piped: Piped) -> io::Result<()> {
        debug_assert!(self.is_flushed(), "it would overtake what waits");
        self.piped = piped;
        self.flush(registry)
    }

    /// Sends what is queued, as far as the system takes it, and behind it the end where asked for.
    pub(crate) fn flush(&mut self, registry: &Registry) -> io::Result<()> {
        self.io.push()?;
        while !self.tx.is_empty() && self.io.writable() {
            let sent = self.io.send(self.tx.as_slice())?;
            self.count_sent(sent);
            self.tx.consume(sent);
        }
        while !self.piped.is_empty() && self.io.writable() {
            let sent = self.io.send_piped(&mut self.piped)?;
            self.count_sent(sent);
        }
        if self.flags.fin && !self.flags.fin_sent && self.has_sent_all() {
            self.say_goodbye();
            if !self.io.pending() {
                self.flags.fin_sent = true;
                self.io.shutdown_write();
            }
        }
        if self.is_flushed() { Ok(()) } else { self.io.arm_for_write(registry, self.id.token()) }
    }

    /// Sends what waits as far as the system takes it, though the poll has told of no room. Whether it took some.
    pub(crate) fn try_to_flush(&mut self, registry: &Registry) -> io::Result<bool> {
        if self.is_flushed() {
            return Ok(false);
        }
        let before = self.taken();
        self.io.expect_room();
        self.flush(registry)?;
        Ok(self.taken() != before || self.is_flushed())
    }

    /// Says over TLS that no more will be sent. A stream whose source was cut off does not: its peer is to know. (Plain TCP has no word
    /// for it but a reset, and that would throw away what is on its way.)
    pub(crate) fn say_goodbye(&mut self) {
        if !self.flags.cut_off
            && let Err(error) = self.io.say_goodbye()
        {
            log::debug!("wsi {}: close_notify: {error}", self.id);
        }
    }

    /// Whether everything that was accepted for the peer has reached the system (the contrary of `lws_partial_buffered`).
    pub fn is_flushed(&self) -> bool {
        self.has_sent_all() && !self.io.pending()
    }

    /// Whether the transport has taken everything.
    pub(crate) fn has_sent_all(&self) -> bool {
        self.tx.is_empty() && self.piped.is_empty()
    }

    /// Whether its turns move much, so that others go before it.
    pub(crate) fn is_bulk(&self) -> bool {
        self.flags.bulk || !self.piped.is_empty()
    }

    /// Sends the end behind everything queued.
    pub(crate) fn finish(&mut self, registry: &Registry) -> io::Result<()> {
        self.flags.fin = true;
        self.flush(registry)
    }

    /// Whether a writeable callback is due.
    pub(crate) fn writeable_due(&self) -> bool {
        self.flags.want_writeable && self.is_flushed()
    }
}
