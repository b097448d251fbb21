//! Role `raw-skt`: the bytes of a connection, as they are, for a protocol.
//!
//! | happens | the protocol hears |
//! |---|---|
//! | bound | `RawSktBindProtocol`, then `RawAdopt` (accepted, fallen back, adopted) or `RawConnected` (ours) |
//! | bytes | `RawRx`, the connection's first ones included |
//! | asked for, and everything queued is sent | `RawWriteable` |
//! | the end | `RawClose`, `RawSktDropProtocol` |
//!
//! Nothing more is read while output waits for the peer, so what a connection holds is bounded by what one `RawRx` makes the protocol
//! write. In lws: `roles/raw-skt`.

use std::mem;

use crate::cx::Cx;
use crate::protocol::{self, Verdict};
use crate::reason::Reason;
use crate::role::{CloseReason, Next, Role, RoleOps};
use crate::transport::Received;
use crate::vhost::ProtocolIndex;
use crate::wsi::Wsi;

pub(crate) struct RawSkt;

impl RoleOps for RawSkt {
    fn name(&self) -> &'static str {
        "raw-skt"
    }

    fn takes_protocol(&self) -> bool {
        true
    }

    fn takes_client(&self) -> bool {
        true
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, to: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        protocol::attach(wsi, cx, to.unwrap_or_default())?;
        wsi.deadline = None;
        wsi.flags.raw_tx = true;
        let adopted = if wsi.flags.client { Reason::RawConnected } else { Reason::RawAdopt };
        for reason in [Reason::RawSktBindProtocol, adopted] {
            if protocol::call(wsi, cx, reason) == Verdict::Close {
                RawConnection.on_close(wsi, cx);
                return Err(CloseReason::by_protocol());
            }
        }
        Ok(Box::new(RawConnection))
    }
}

struct RawConnection;

impl Role for RawConnection {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        match self.turn(wsi, cx) {
            Ok(()) if wsi.writeable_due() || may_read(wsi) => Next::Again,
            Ok(()) => Next::Stay,
            Err(reason) => Next::Close(reason),
        }
    }

    fn on_timeout(&mut self, _: &mut Wsi, _: &mut Cx) -> Next {
        Next::Stay
    }

    fn on_close(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        for reason in [Reason::RawClose, Reason::RawSktDropProtocol] {
            let _too_late = protocol::call(wsi, cx, reason);
        }
        protocol::detach(wsi);
        wsi.flags.raw_tx = false;
    }
}

impl RawConnection {
    fn turn(&self, wsi: &mut Wsi, cx: &mut Cx) -> Result<(), CloseReason> {
        if wsi.writeable_due() {
            wsi.flags.want_writeable = false;
            tell(wsi, cx, Reason::RawWriteable)?;
        }
        if !wsi.rx.is_empty() {
            let first = wsi.rx.take();
            return tell(wsi, cx, Reason::RawRx(first.as_slice()));
        }
        if !may_read(wsi) {
            return Ok(());
        }
        let slice = cx.slice;
        let mut buf = mem::take(&mut cx.buf);
        let received = wsi.io.recv(&mut buf[..slice]);
        let told = match received {
            Ok(Received::Bytes(n)) => tell(wsi, cx, Reason::RawRx(&buf[..n])),
            Ok(Received::Blocked) => Ok(()),
            Ok(Received::Eof) => Err(CloseReason::PeerClosed),
            Err(error) => Err(CloseReason::Lost(error)),
        };
        cx.buf = buf;
        told
    }
}

fn may_read(wsi: &Wsi) -> bool {
    wsi.is_flushed() && wsi.io.readable()
}

/// Calls back, and sends what the protocol wrote.
fn tell(wsi: &mut Wsi, cx: &mut Cx, reason: Reason<'_>) -> Result<(), CloseReason> {
    if protocol::call(wsi, cx, reason) == Verdict::Close {
        return Err(CloseReason::by_protocol());
    }
    Ok(wsi.flush(&cx.registry)?)
}
