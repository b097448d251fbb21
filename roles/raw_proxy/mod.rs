//! Role `raw-proxy`: one half of a relayed pair.
//!
//! ```text
//!            Srv half                          Cli half
//!   client ◀──────────▶ wsi ◀─── link ───▶ wsi ◀──────────▶ onward server
//!
//!   bound, adopted ──▶ waiting for the onward connection ──▶ relaying ──▶ one direction ended ──▶ closed
//! ```
//!
//! The protocol decides where to: on `RawProxySrvAdopt` it asks for the onward connection. This role connects and links the two
//! connections; [`pump`] moves the bytes.
//!
//! Half-close is passed on: the end of one side's input becomes a FIN behind the last byte on the other, and the reply still flows,
//! for as long as it flows (see [`HALF_CLOSE_LINGER`](crate::limits::HALF_CLOSE_LINGER)). When both directions have ended, or either side
//! fails, both close.
//!
//! | happens | Srv half | Cli half |
//! |---|---|---|
//! | bound | `RawProxySrvBindProtocol`, `RawProxySrvAdopt` | `RawProxyCliBindProtocol`, `RawProxyCliAdopt` |
//! | bytes, if the protocol has declared interest | `RawProxySrvRx` | `RawProxyCliRx` |
//! | no onward connection | | `ClientConnectionError` (from role connect) |
//! | the end | `RawProxySrvClose`, `RawProxySrvDropProtocol` | `RawProxyCliClose`, `RawProxyCliDropProtocol` |
//!
//! In lws: `roles/raw-proxy`.

mod pump;

use std::io;

use crate::connect::ConnectPlan;
use crate::cx::Cx;
use crate::protocol::{self, Interests, Verdict};
use crate::reason::Reason;
use crate::role::{Binding, CloseReason, Next, Role, RoleOps};
use crate::service::last_words;
use crate::transport::Medium;
use crate::vhost::ProtocolIndex;
use crate::wsi::{Asked, Origin, Wsi};

use pump::Pump;

pub(crate) struct RawProxy;

impl RoleOps for RawProxy {
    fn name(&self) -> &'static str {
        "raw-proxy"
    }

    fn carries(&self) -> Option<Medium> {
        Some(Medium::Stream)
    }

    /// Both halves of the pair.
    fn connections(&self) -> usize {
        2
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, to: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        let protocol = to.unwrap_or_default();
        let interests = cx.enabled(wsi.vhost, protocol).map(|enabled| enabled.table.interests).unwrap_or_default();
        let side = if wsi.origin == Origin::Client { Side::Cli } else { Side::Srv };
        let mut half = Half { side, pump: Pump::new(side, interests.contains(side.interest())) };
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
    pump: Pump,
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
        self.pump.turn(wsi, partner, cx).unwrap_or_else(Next::Close)
    }

    /// The pair was idle too long, or one direction has ended and nothing moves in the other. Who waits for bytes that were held back is told by
    /// a reset that they do not come.
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
        match pump::push(wsi, partner, &cx.registry, now) {
            Ok(true) => {
                cx.run.push(partner);
                Next::Again
            }
            Ok(false) => {
                wsi.flags.truncated = !wsi.is_flushed();
                partner.flags.truncated = !partner.is_flushed();
                Next::Close(CloseReason::Timeout("nothing moves any more"))
            }
            Err(error) => Next::Close(CloseReason::Lost(error)),
        }
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
            let what = format_args!("protocol {name} did not say where to relay to (connect_onward)");
            cx.warn_seldom(wsi, |warned| &mut warned.protocol, what);
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
        cx.run.push(client);
        client.goes_onward(&wsi.peer);
        wsi.link = Some(client.id);
        wsi.set_idle_timeout(client.idle_timeout());
        let (client, peer) = (client.id, client.peer.clone());
        log::info!("{}: relays wsi {client} {peer}", cx.tag(wsi));
        Ok(())
    }
}

fn reset() -> CloseReason {
    CloseReason::Lost(io::ErrorKind::ConnectionReset.into())
}
