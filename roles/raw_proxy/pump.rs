//! The pump of a relay: moves what one half receives to the other half's socket, a slice in each turn.
//!
//! ```text
//!              ┌── recv ──▶ the read buffer ──▶ the protocol, if it looks ──▶ send ──┐
//!   our socket ┤                                                                     ├──▶ the partner's socket
//!              └── splice ─────────────▶ a pipe ────────────────────────────▶ splice ┘
//! ```
//!
//! Each half reads from its own socket and writes to the partner's at once. What the partner's socket does not take waits with the partner, in
//! its `tx` or in the pipe, and until that is gone nothing more is read here. So a pair holds at most one slice each way.
//!
//! Small messages are copied: that takes two system calls. A stream whose reads bring [`limits::BULK_READ`] bytes or more is moved by the kernel
//! from then on, without a copy, until a read brings less; and its turns come after those of connections that move little. That needs TCP on
//! both sides, a protocol that does not look, and a pipe to be had; else it is copied.

use std::io::{self, ErrorKind};
use std::mem;
use std::time::{Duration, Instant};

use mio::Registry;

use super::{Side, reset};
use crate::buf::Buf;
use crate::cx::Cx;
use crate::facts::Closer;
use crate::limits;
use crate::protocol::{self, Verdict};
use crate::reason::Reason;
use crate::role::{CloseReason, Next};
use crate::transport::{Piped, Received};
use crate::wsi::{Wsi, WsiId};

pub(super) struct Pump {
    side: Side,
    /// The protocol sees what this half receives.
    shows_rx: bool,
    /// What `wsi.sent` was at the last turn.
    sent: u64,
}

impl Pump {
    pub(super) fn new(side: Side, shows_rx: bool) -> Pump {
        Pump { side, shows_rx, sent: 0 }
    }

    /// Moves one slice from our socket to the partner's, and its end behind the last one.
    pub(super) fn turn(&mut self, wsi: &mut Wsi, partner: WsiId, cx: &mut Cx) -> Result<Next, CloseReason> {
        let partner_takes = cx.slots.get(partner).is_some_and(Wsi::is_flushed) && !wsi.flags.rx_paused;
        let first = if partner_takes { wsi.rx.take() } else { Buf::default() };
        if !first.is_empty() {
            self.forward(wsi, partner, cx, first.as_slice())?;
        }
        let partner_takes = partner_takes && cx.slots.get(partner).is_some_and(Wsi::is_flushed);
        if wsi.io.dead() && (wsi.io.eof() || !partner_takes) {
            // It has vanished, and reading will not tell: it had ended before, or what it sent last has nowhere to go.
            return Err(reset());
        }
        let mut moved = mem::replace(&mut self.sent, wsi.sent) != wsi.sent || !first.is_empty();
        if partner_takes && wsi.io.readable() {
            moved |= self.slice(wsi, partner, cx)?;
        }
        let Cx { slots, run, registry, now, .. } = cx;
        let Some(partner) = slots.get_mut(partner) else { return Err(CloseReason::PartnerGone) };
        let has_ended = wsi.io.eof() && wsi.rx.is_empty();
        // What the partner read before it was one goes first.
        let partner_has_ended = partner.io.eof() && partner.rx.is_empty();
        let all_is_over = |partner: &Wsi| has_ended && partner_has_ended && wsi.is_flushed() && partner.is_flushed();
        if has_ended && !partner.flags.fin {
            if let Some(facts) = &mut partner.facts {
                facts.note_first(Closer::Server);
            }
            // Closing the socket says the end as well.
            if !all_is_over(partner) {
                partner_lost(partner.finish(registry))?;
            }
        }
        if all_is_over(partner) {
            return Err(CloseReason::Done);
        }
        if wsi.is_flushed() && has_input(partner) {
            // It may have stopped reading for our sake.
            run.push(partner);
        }
        if moved || wsi.deadline.is_none() {
            wsi.deadline = patience(wsi, partner).and_then(|patience| now.checked_add(patience));
        }
        let more = has_input(wsi) && partner.is_flushed();
        Ok(if more { Next::Again } else { Next::Stay })
    }

    /// Whether there was something to move.
    fn slice(&self, wsi: &mut Wsi, partner: WsiId, cx: &mut Cx) -> Result<bool, CloseReason> {
        let received = match self.pipe_for(wsi, partner, cx) {
            Some(piped) => match splice(wsi, partner, cx, piped) {
                Err(CloseReason::Lost(error)) if error.kind() == ErrorKind::Unsupported => self.copy(wsi, partner, cx),
                spliced => spliced,
            },
            None => self.copy(wsi, partner, cx),
        };
        let Received::Bytes(n) = received? else { return Ok(false) };
        wsi.flags.bulk = n >= limits::BULK_READ;
        Ok(true)
    }

    /// A pipe, where the kernel can move a slice by itself and that pays.
    fn pipe_for(&self, wsi: &Wsi, partner: WsiId, cx: &Cx) -> Option<Piped> {
        let splices = wsi.flags.bulk && !self.shows_rx && wsi.io.splices_from();
        let splices = splices && cx.slots.get(partner).is_some_and(|partner| partner.io.splices_to());
        splices.then(|| cx.pipes.lend()).flatten()
    }

    fn copy(&self, wsi: &mut Wsi, partner: WsiId, cx: &mut Cx) -> Result<Received, CloseReason> {
        let mut buf = mem::take(&mut cx.buf);
        let copied = self.copy_through(&mut buf[..cx.slice], wsi, partner, cx);
        cx.buf = buf;
        copied
    }

    fn copy_through(
        &self,
        buf: &mut [u8],
        wsi: &mut Wsi,
        partner: WsiId,
        cx: &mut Cx,
    ) -> Result<Received, CloseReason> {
        let received = wsi.recv(buf)?;
        if let Received::Bytes(n) = received {
            self.forward(wsi, partner, cx, &buf[..n])?;
        }
        Ok(received)
    }

    /// Passes bytes on, as the protocol wants them where it wants to see them.
    fn forward(&self, wsi: &mut Wsi, partner: WsiId, cx: &mut Cx, bytes: &[u8]) -> Result<(), CloseReason> {
        let mut replaced = None;
        if self.shows_rx {
            let reason = match self.side {
                Side::Srv => Reason::RawProxySrvRx(bytes),
                Side::Cli => Reason::RawProxyCliRx(bytes),
            };
            match protocol::call(wsi, cx, reason) {
                Verdict::Continue => {}
                Verdict::Replace(with) => replaced = Some(with),
                Verdict::Close => return Err(CloseReason::by_protocol()),
            }
        }
        let Cx { slots, registry, .. } = cx;
        let Some(partner) = slots.get_mut(partner) else { return Err(CloseReason::PartnerGone) };
        partner_lost(partner.transmit(registry, replaced.as_deref().unwrap_or(bytes)))
    }
}

/// Has the kernel move a slice.
fn splice(wsi: &mut Wsi, partner: WsiId, cx: &mut Cx, mut piped: Piped) -> Result<Received, CloseReason> {
    let received = wsi.recv_piped(&mut piped, cx.splice)?;
    let Cx { slots, registry, .. } = cx;
    if let Received::Bytes(_) = received {
        let partner = slots.get_mut(partner).ok_or(CloseReason::PartnerGone)?;
        partner_lost(partner.transmit_piped(registry, piped))?;
    }
    Ok(received)
}

/// Whether there is something to move that has come to it.
fn has_input(wsi: &Wsi) -> bool {
    let unread = wsi.io.readable() && !wsi.io.eof();
    !wsi.flags.rx_paused && (unread || !wsi.rx.is_empty())
}

/// Tries to send what waits for a slow reader, of whose progress the poll tells only now and then. Whether some went, for which the pair has
/// more time.
pub(super) fn push(wsi: &mut Wsi, partner: &mut Wsi, registry: &Registry, now: Instant) -> io::Result<bool> {
    let moves = wsi.try_to_flush(registry)? | partner.try_to_flush(registry)?;
    if moves {
        wsi.deadline = patience(wsi, partner).and_then(|patience| now.checked_add(patience));
    }
    Ok(moves)
}

/// How long the pair may be silent.
fn patience(wsi: &Wsi, partner: &Wsi) -> Option<Duration> {
    let half_closed = wsi.io.eof() || partner.io.eof();
    let linger = half_closed.then_some(limits::HALF_CLOSE_LINGER);
    [wsi.idle_timeout(), linger].into_iter().flatten().min()
}

/// A failure of the partner's socket is not ours; but without it there is nothing left to do.
fn partner_lost(result: io::Result<()>) -> Result<(), CloseReason> {
    result.map_err(|_| CloseReason::PartnerGone)
}
