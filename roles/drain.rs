//! Role `drain`: a connection's last seconds. Sends what is queued, then FIN, then discards input until the peer hangs up.
//!
//! Closing at once would make the system send a reset if input is unread, and that may overtake the last answer. Bounded by
//! [`limits::DRAIN_TIME`] and [`limits::DRAIN_BYTES`]. It emits no reasons: the protocol was told before. In lws:
//! `LRS_FLUSHING_BEFORE_CLOSE` and `LRS_SHUTDOWN`.

use crate::cx::Cx;
use crate::limits;
use crate::role::{CloseReason, Next, Role, RoleOps};
use crate::transport::Received;
use crate::vhost::ProtocolIndex;
use crate::wsi::Wsi;

pub(crate) struct Drain;

impl RoleOps for Drain {
    fn name(&self) -> &'static str {
        "drain"
    }

    /// Who comes here without having said what it wants still holds a place of those.
    fn is_undecided(&self) -> bool {
        true
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        wsi.deadline = Some(cx.now + limits::DRAIN_TIME);
        wsi.flags.fin = true;
        wsi.rx.take();
        Ok(Box::new(Draining { discarded: 0 }))
    }
}

struct Draining {
    discarded: usize,
}

impl Role for Draining {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let over = Next::Close(CloseReason::Drained);
        if !wsi.io.is_stream() && wsi.is_flushed() {
            // Nobody is there who could hang up.
            return over;
        }
        if !wsi.io.is_stream() || !wsi.io.discardable() {
            return Next::Stay;
        }
        match wsi.io.discard(&mut cx.buf[..cx.slice]) {
            Ok(Received::Bytes(n)) => {
                self.discarded += n;
                if self.discarded > limits::DRAIN_BYTES { over } else { Next::Again }
            }
            Ok(Received::Eof) if wsi.is_flushed() => over,
            Ok(Received::Eof | Received::Blocked) => Next::Stay,
            Err(_) => over,
        }
    }

    fn on_timeout(&mut self, _: &mut Wsi, _: &mut Cx) -> Next {
        Next::Close(CloseReason::Drained)
    }
}
