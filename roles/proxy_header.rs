//! Role `proxy-header`: a connection of a trusted peer, which says first whose connection it is.
//!
//! ```text
//!   accepted ──▶ proxy-header ──┬── first-packet, tls, the listen-accept role: what it would have been without
//!                  │   ▲        └── closed: no header, a bad one, or none in time
//!                  └───┘
//!               wait for more
//! ```
//!
//! What is behind the header waits in `wsi.rx` for the role that follows. Emits `FilterNetworkConnection`, which comes here once the client
//! is known, and not at accept. In lws: none.

use crate::admission::Refusal;
use crate::cx::Cx;
use crate::first_packet::Moment;
use crate::proxy_header::{Parsed, Proxied, parse};
use crate::role::{CloseReason, Next, Role, RoleOps};
use crate::transport::Received;
use crate::vhost::ProtocolIndex;
use crate::wsi::Wsi;

pub(crate) struct ProxyHeader;

impl RoleOps for ProxyHeader {
    fn name(&self) -> &'static str {
        "proxy-header"
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        wsi.deadline = cx.after(cx.info.timeout);
        wsi.is_balancers_own(true);
        Ok(Box::new(Reading))
    }
}

struct Reading;

impl Role for Reading {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        match read(wsi, cx) {
            Ok(Some(said)) => go_on(wsi, cx, said).unwrap_or_else(Next::Close),
            Ok(None) if wsi.io.readable() => Next::Again,
            Ok(None) => Next::Stay,
            Err(reason) => Next::Close(reason),
        }
    }

    fn on_timeout(&mut self, _: &mut Wsi, _: &mut Cx) -> Next {
        Next::Close(CloseReason::Timeout("its PROXY header is not complete"))
    }
}

/// The header, once it is whole, taken from what has come.
fn read(wsi: &mut Wsi, cx: &mut Cx) -> Result<Option<Proxied>, CloseReason> {
    let ended = wsi.recv_first(&mut cx.buf)? == Received::Eof;
    let parsed = parse(wsi.rx.as_slice());
    match parsed.map_err(|error| CloseReason::PeerFault(format!("its PROXY header: {error}").into()))? {
        Parsed::Complete { said, len } => {
            wsi.rx.consume(len);
            Ok(Some(said))
        }
        Parsed::Partial if ended && wsi.rx.is_empty() => Err(CloseReason::PeerClosed),
        Parsed::Partial if ended => Err(CloseReason::PeerFault("it left in its PROXY header".into())),
        Parsed::Partial => Ok(None),
    }
}

/// Becomes what it would have been without a header.
fn go_on(wsi: &mut Wsi, cx: &mut Cx, said: Proxied) -> Result<Next, CloseReason> {
    wsi.is_balancers_own(said == Proxied::Nothing);
    wsi.comes_for(said);
    wsi.begins_anew();
    log::debug!("{}: by {}", cx.tag(wsi), wsi.direct_peer());
    let (vhost, first) = cx.first_binding(wsi.vhost).ok_or(CloseReason::Done)?;
    if !wsi.flags.foreign {
        let admitted = cx.admit(wsi, wsi.vhost, &wsi.peer).map_err(|refusal| refused(wsi, &refusal))?;
        cx.welcome(wsi, admitted, first);
    }
    cx.lead(wsi, vhost);
    if first.protocol.is_some() {
        wsi.judged("listen-accept", Moment::Accept.name());
    }
    Ok(Next::Become(first))
}

fn refused(wsi: &mut Wsi, refusal: &Refusal) -> CloseReason {
    match refusal {
        // A flood fills no log.
        Refusal::TooMany => {
            wsi.facts = None;
            CloseReason::TooMany
        }
        Refusal::Filter => {
            wsi.judged("drop", "filter");
            CloseReason::by_protocol()
        }
    }
}
