//! Role `raw-proxy`: one half of a relayed pair.
//!
//! ```text
//!            Srv half                          Cli half
//!   client ◀──────────▶ wsi ◀─── link ───▶ wsi ◀──────────▶ onward server
//!
//!   bound, adopted ──▶ waiting for the onward connection ──▶ relaying ──▶ one direction ended ──▶ closed
//! ```
//!
//! The protocol decides where to: on `RawProxySrvAdopt` it asks for the onward connection. This role connects, links the two
//! connections and pumps. Each half reads from its own socket and writes to the other's at once; what the other's socket does not
//! take waits in its `tx`, and until that is empty nothing more is read here. So a pair holds at most one slice each way.
//!
//! Half-close is passed on: the end of one side's input becomes a FIN behind the last byte on the other, and the reply still flows,
//! for as long as it flows (see [`limits::HALF_CLOSE_LINGER`]). When both directions have ended, or either side fails, both close.
//!
//! | happens | Srv half | Cli half |
//! |---|---|---|
//! | bound | `RawProxySrvBindProtocol`, `RawProxySrvAdopt` | `RawProxyCliBindProtocol`, `RawProxyCliAdopt` |
//! | bytes, if the protocol has declared interest | `RawProxySrvRx` | `RawProxyCliRx` |
//! | no onward connection | | `ClientConnectionError` (from role connect) |
//! | the end | `RawProxySrvClose`, `RawProxySrvDropProtocol` | `RawProxyCliClose`, `RawProxyCliDropProtocol` |
//!
//! In lws: `roles/raw-proxy`.

use std::io;
use std::mem;
use std::time::Duration;

use crate::buf::Buf;
use crate::connect::ConnectPlan;
use crate::cx::{Cx, enqueue};
use crate::facts::Closer;
use crate::limits;
use crate::protocol::{self, Interests, Verdict};
use crate::reason::Reason;
use crate::role::{Binding, CloseReason, Next, Role, RoleOps};
use crate::service::last_words;
use crate::transport::{Medium, Received};
use crate::vhost::ProtocolIndex;
use crate::wsi::{Asked, Origin, Wsi, WsiId};

pub(crate) struct RawProxy;

impl RoleOps for RawProxy {
    fn name(&self) -> &'static str {
        "raw-proxy"
    }

    fn carries(&self) -> Option<Medium> {
        Some(Medium::Stream)
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, to: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        let protocol = to.unwrap_or_default();
        let interests = cx.enabled(wsi.vhost, protocol).map(|enabled| enabled.table.interests).unwrap_or_default();
        let side = if wsi.origin == Origin::Client { Side::Cli } else { Side::Srv };
        let mut half = Half { side, shows_rx: interests.contains(side.interest()), sent: 0 };
        protocol::attach(wsi, cx, protocol)?;
        wsi.deadline = None;
        let bound = half.introduce(wsi, cx).and_then(|()| match side {
            Side::Srv => half.connect_onward(wsi, cx, protocol),
            Side::Cli => half.link_up(wsi, cx),
        });
        match bound {
            Ok(()) => Ok(Box::new(half)),
            Err(reason) => Err(last_words(&mut half, wsi, cx, reason)),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Side {
    /// Towards the client.
    Srv,
    /// Towards the onward server.
    Cli,
}

impl Side {
    fn interest(self) -> Interests {
        match self {
            Side::Srv => Interests::RAW_PROXY_SRV_RX,
            Side::Cli => Interests::RAW_PROXY_CLI_RX,
        }
    }
}

struct Half {
    side: Side,
    /// The protocol sees what this half receives.
    shows_rx: bool,
    /// What `wsi.sent` was at the last turn.
    sent: u64,
}

impl Role for Half {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let me = wsi.id;
        let partner = match wsi.link.and_then(|link| cx.slots.get_mut(link)) {
            Some(partner) if partner.link == Some(me) => partner.id,
            // Still connecting. What the client says meanwhile waits in its socket.
            Some(partner) if partner.parent == Some(me) && !wsi.io.dead() => return Next::Stay,
            Some(partner) if partner.parent == Some(me) => return Next::Close(reset()),
            _ => return Next::Close(CloseReason::PartnerGone),
        };
        let mut buf = mem::take(&mut cx.buf);
        let pumped = self.pump(wsi, partner, cx, &mut buf);
        cx.buf = buf;
        match pumped {
            Ok(next) => next,
            Err(reason) => Next::Close(reason),
        }
    }

    /// The pair was idle too long, or one direction has ended and nothing moves in the other.
    fn on_timeout(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let now = cx.now;
        let Some(partner) = wsi.link.and_then(|link| cx.slots.get_mut(link)) else {
            return Next::Close(CloseReason::PartnerGone);
        };
        if let Some(later) = partner.deadline.filter(|later| *later > now) {
            // The other half has been active since.
            wsi.deadline = Some(later);
            return Next::Stay;
        }
        Next::Close(CloseReason::Timeout("nothing moves any more"))
    }

    fn on_close(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        let reasons = match self.side {
            Side::Srv => [Reason::RawProxySrvClose, Reason::RawProxySrvDropProtocol],
            Side::Cli => [Reason::RawProxyCliClose, Reason::RawProxyCliDropProtocol],
        };
        for reason in reasons {
            let _too_late = protocol::call(wsi, cx, reason);
        }
        protocol::detach(wsi);
    }
}

impl Half {
    /// Tells the protocol that there is a connection.
    fn introduce(&self, wsi: &mut Wsi, cx: &mut Cx) -> Result<(), CloseReason> {
        let reasons = match self.side {
            Side::Srv => [Reason::RawProxySrvBindProtocol, Reason::RawProxySrvAdopt],
            Side::Cli => [Reason::RawProxyCliBindProtocol, Reason::RawProxyCliAdopt],
        };
        for reason in reasons {
            if protocol::call(wsi, cx, reason) == Verdict::Close {
                return Err(CloseReason::by_protocol());
            }
        }
        Ok(())
    }

    /// Begins the onward connection that the protocol asked for.
    fn connect_onward(&self, wsi: &mut Wsi, cx: &mut Cx, protocol: ProtocolIndex) -> Result<(), CloseReason> {
        let Some(Asked::Onward(onward)) = wsi.asked.take().map(|asked| *asked) else {
            let name = cx.enabled(wsi.vhost, protocol).map_or("-", |enabled| enabled.table.name);
            log::warn!("{}: protocol {name} did not say where to relay to (connect_onward)", cx.tag(wsi));
            return Err(CloseReason::Refused("its protocol did not ask for an onward connection".into()));
        };
        wsi.set_idle_timeout(onward.idle_timeout);
        wsi.goes_onward(&onward.target);
        let plan = ConnectPlan {
            target: onward.target,
            header: onward.proxy_protocol.map(|version| wsi.proxy_header(version)).unwrap_or_default(),
            tls: onward.tls,
            then: Binding { role: &RawProxy, protocol: Some(protocol) },
        };
        wsi.link = Some(cx.connect(wsi.vhost, plan, Some(wsi.id)));
        Ok(())
    }

    /// The onward connection is up: from now on the two know each other.
    fn link_up(&self, wsi: &mut Wsi, cx: &mut Cx) -> Result<(), CloseReason> {
        let client = wsi.parent.and_then(|parent| cx.slots.get_mut(parent)).ok_or(CloseReason::PartnerGone)?;
        enqueue(&mut cx.run, client);
        client.goes_onward(&wsi.peer);
        wsi.link = Some(client.id);
        wsi.set_idle_timeout(client.idle_timeout());
        let (client, peer) = (client.id, client.peer.clone());
        log::info!("{}: relays wsi {client} {peer}", cx.tag(wsi));
        Ok(())
    }

    /// Moves one slice from our socket to the partner's.
    fn pump(&mut self, wsi: &mut Wsi, partner: WsiId, cx: &mut Cx, buf: &mut [u8]) -> Result<Next, CloseReason> {
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
        if partner_takes
            && wsi.io.readable()
            && let Received::Bytes(n) = wsi.recv(&mut buf[..cx.slice])?
        {
            self.forward(wsi, partner, cx, &buf[..n])?;
            moved = true;
        }
        let Cx { slots, run, registry, now, .. } = cx;
        let Some(partner) = slots.get_mut(partner) else { return Err(CloseReason::PartnerGone) };
        let has_ended = wsi.io.eof() && wsi.rx.is_empty();
        if has_ended && !partner.flags.fin {
            // The partner's turn sets its own deadline.
            enqueue(run, partner);
            if let Some(facts) = &mut partner.facts {
                facts.note_first(Closer::Server);
            }
            partner_lost(partner.finish(registry))?;
        }
        // What the partner read before it was one goes first.
        let partner_has_ended = partner.io.eof() && partner.rx.is_empty();
        if has_ended && partner_has_ended && wsi.is_flushed() && partner.is_flushed() {
            return Err(CloseReason::Done);
        }
        if wsi.is_flushed() && partner.io.readable() && !partner.io.eof() {
            // It may have stopped reading for our sake.
            enqueue(run, partner);
        }
        if moved || wsi.deadline.is_none() {
            wsi.deadline = patience(wsi, partner).and_then(|patience| now.checked_add(patience));
        }
        let more = wsi.io.readable() && !wsi.io.eof() && !wsi.flags.rx_paused && partner.is_flushed();
        Ok(if more { Next::Again } else { Next::Stay })
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

/// How long the pair may be silent.
fn patience(wsi: &Wsi, partner: &Wsi) -> Option<Duration> {
    let half_closed = wsi.io.eof() || partner.io.eof();
    let linger = half_closed.then_some(limits::HALF_CLOSE_LINGER);
    [wsi.idle_timeout(), linger].into_iter().flatten().min()
}

fn reset() -> CloseReason {
    CloseReason::Lost(io::ErrorKind::ConnectionReset.into())
}

/// A failure of the partner's socket is not ours; but without it there is nothing left to do.
fn partner_lost(result: io::Result<()>) -> Result<(), CloseReason> {
    result.map_err(|_| CloseReason::PartnerGone)
}
