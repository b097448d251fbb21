//! The roles that carry bytes as they are, for a protocol: `raw-skt`, `raw-file` and `raw-udp`.
//!
//! | happens | raw-skt, raw-udp | raw-file |
//! |---|---|---|
//! | bound | `RawSktBindProtocol`, then `RawAdopt` or `RawConnected` | `RawFileBindProtocol`, `RawAdoptFile` |
//! | bytes | `RawRx` | `RawRxFile` |
//! | asked for, and everything queued is sent | `RawWriteable` | `RawWriteableFile` |
//! | the end | `RawClose`, `RawSktDropProtocol` | `RawCloseFile`, `RawFileDropProtocol` |
//!
//! A protocol that has allowed half-close hears `RawEof` when a stream's peer has ended, and the connection ends when it has ended its own
//! side too.
//!
//! They differ in what they carry and in the words they use for it. Nothing more is read while output waits for the peer, so what a
//! connection holds is bounded by what one `RawRx` makes the protocol write. In lws: `roles/raw-skt`, `roles/raw-file`.

use std::io;
use std::mem;

use crate::cx::Cx;
use crate::limits;
use crate::protocol::{self, Verdict};
use crate::reason::Reason;
use crate::role::{CloseReason, Next, Role, RoleOps};
use crate::service::last_words;
use crate::transport::{Medium, Received};
use crate::vhost::ProtocolIndex;
use crate::wsi::{Origin, Peer, Wsi};

/// A stream: what a listener accepted, what fell back, what we connected.
pub(crate) struct RawSkt;

impl RoleOps for RawSkt {
    fn name(&self) -> &'static str {
        "raw-skt"
    }

    fn carries(&self) -> Option<Medium> {
        Some(Medium::Stream)
    }

    fn takes_client(&self) -> bool {
        true
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, to: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        let words = if wsi.origin == Origin::Client { &CONNECTED } else { &ADOPTED };
        Raw::bound(wsi, cx, to, words)
    }
}

/// A descriptor that is no socket.
pub(crate) struct RawFile;

impl RoleOps for RawFile {
    fn name(&self) -> &'static str {
        "raw-file"
    }

    fn carries(&self) -> Option<Medium> {
        Some(Medium::File)
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, to: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        Raw::bound(wsi, cx, to, &FILE)
    }
}

/// A UDP socket. Each `RawRx` is one datagram, and its sender is the peer from then on.
pub(crate) struct RawUdp;

impl RoleOps for RawUdp {
    fn name(&self) -> &'static str {
        "raw-udp"
    }

    fn carries(&self) -> Option<Medium> {
        Some(Medium::Datagrams)
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, to: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        Raw::bound(wsi, cx, to, &ADOPTED)
    }
}

/// What the protocol hears.
struct Words {
    begin: [Reason<'static>; 2],
    rx: for<'a> fn(&'a [u8]) -> Reason<'a>,
    writeable: Reason<'static>,
    end: [Reason<'static>; 2],
}

static ADOPTED: Words = Words {
    begin: [Reason::RawSktBindProtocol, Reason::RawAdopt],
    rx: |data| Reason::RawRx(data),
    writeable: Reason::RawWriteable,
    end: [Reason::RawClose, Reason::RawSktDropProtocol],
};

static CONNECTED: Words = Words { begin: [Reason::RawSktBindProtocol, Reason::RawConnected], ..ADOPTED };

static FILE: Words = Words {
    begin: [Reason::RawFileBindProtocol, Reason::RawAdoptFile],
    rx: |data| Reason::RawRxFile(data),
    writeable: Reason::RawWriteableFile,
    end: [Reason::RawCloseFile, Reason::RawFileDropProtocol],
};

struct Raw {
    words: &'static Words,
    /// The peer has ended, and the protocol goes on by itself.
    eof_told: bool,
}

impl Role for Raw {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        match self.turn(wsi, cx) {
            Ok(()) if self.eof_told && wsi.flags.fin_sent => Next::Close(CloseReason::Done),
            Ok(()) if wsi.writeable_due() || self.may_receive(wsi) => Next::Again,
            Ok(()) => Next::Stay,
            Err(reason) => Next::Close(reason),
        }
    }

    fn on_timeout(&mut self, _: &mut Wsi, _: &mut Cx) -> Next {
        Next::Stay
    }

    fn on_close(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        for reason in self.words.end {
            let _too_late = protocol::call(wsi, cx, reason);
        }
        protocol::detach(wsi);
        wsi.flags.raw_tx = false;
        wsi.flags.bulk = false;
    }
}

impl Raw {
    fn bound(
        wsi: &mut Wsi,
        cx: &mut Cx,
        to: Option<ProtocolIndex>,
        words: &'static Words,
    ) -> Result<Box<dyn Role>, CloseReason> {
        protocol::attach(wsi, cx, to.unwrap_or_default())?;
        wsi.deadline = None;
        wsi.flags.raw_tx = wsi.io.takes_writes();
        let mut raw = Raw { words, eof_told: false };
        for reason in words.begin {
            if protocol::call(wsi, cx, reason) == Verdict::Close {
                return Err(last_words(&mut raw, wsi, cx, CloseReason::by_protocol()));
            }
        }
        Ok(Box::new(raw))
    }

    fn turn(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<(), CloseReason> {
        if wsi.writeable_due() {
            wsi.flags.want_writeable = false;
            tell(wsi, cx, self.words.writeable)?;
        }
        if wsi.flags.rx_paused || self.eof_told {
            return self.has_failed(wsi);
        }
        if !wsi.rx.is_empty() {
            let first = wsi.rx.take();
            return tell(wsi, cx, (self.words.rx)(first.as_slice()));
        }
        // A stream brings in one read what datagrams take many for.
        let reads = if wsi.io.medium() == Medium::Datagrams { limits::DATAGRAM_BATCH } else { 1 };
        for _ in 0..reads {
            if !self.may_receive(wsi) {
                break;
            }
            self.receive(wsi, cx)?;
        }
        Ok(())
    }

    /// Where nobody reads, no read says so.
    fn has_failed(&self, wsi: &Wsi) -> Result<(), CloseReason> {
        match wsi.io.failure() {
            Some(error) => Err(error.into()),
            None if wsi.io.dead() => Err(io::Error::from(io::ErrorKind::ConnectionReset).into()),
            None => Ok(()),
        }
    }

    fn receive(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<(), CloseReason> {
        let slice = cx.slice;
        let mut buf = mem::take(&mut cx.buf);
        let received = wsi.recv(&mut buf[..slice]);
        let told = match received {
            Ok(Received::Bytes(n)) => {
                wsi.flags.bulk = n >= limits::BULK_READ;
                self.received(wsi, cx, &buf[..n])
            }
            Ok(Received::Blocked) => Ok(()),
            Ok(Received::Eof) if wsi.flags.half_close && wsi.io.is_stream() => {
                self.eof_told = true;
                tell(wsi, cx, Reason::RawEof)
            }
            Ok(Received::Eof) => Err(CloseReason::PeerClosed),
            Err(error) => Err(CloseReason::Lost(error)),
        };
        cx.buf = buf;
        told
    }

    fn may_receive(&self, wsi: &Wsi) -> bool {
        !self.eof_told && !wsi.flags.rx_paused && wsi.is_flushed() && (wsi.io.readable() || !wsi.rx.is_empty())
    }

    fn received(&self, wsi: &mut Wsi, cx: &mut Cx, bytes: &[u8]) -> Result<(), CloseReason> {
        if let Some(sender) = wsi.io.sender() {
            wsi.peer = Peer::Udp(sender);
        }
        tell(wsi, cx, (self.words.rx)(bytes))
    }
}

/// Calls back, and sends what the protocol wrote.
fn tell(wsi: &mut Wsi, cx: &mut Cx, reason: Reason<'_>) -> Result<(), CloseReason> {
    if protocol::call(wsi, cx, reason) == Verdict::Close {
        return Err(CloseReason::by_protocol());
    }
    Ok(wsi.flush(&cx.registry)?)
}
