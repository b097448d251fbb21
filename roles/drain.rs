//! Role `drain`: a connection's last seconds. Sends what is queued, then FIN, then discards input until the peer hangs up.
//!
//! Closing at once would make the system send a reset if input is unread, and that may overtake the last answer (RFC 9112 section 9.6). A client
//! of http may read its answer only when it has sent all of its request, and nothing tells when that is. So its bound is not bytes but time:
//! [`limits::DRAIN_TIME`] of silence, [`limits::DRAIN_LONGEST`] in all, with a slice a turn, behind those who move little. All others have
//! [`limits::DRAIN_BYTES`] and [`limits::DRAIN_TIME`].
//!
//! It emits no reasons: the protocol was told before. In lws: `LRS_FLUSHING_BEFORE_CLOSE` and `LRS_SHUTDOWN`; the times are those of nginx's
//! `lingering_close`.

use std::time::Instant;

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
        let (longest, room) = match wsi.flags.lingers {
            true => (limits::DRAIN_LONGEST, usize::MAX),
            false => (limits::DRAIN_TIME, limits::DRAIN_BYTES),
        };
        Ok(Box::new(Draining { end: cx.now + longest, room }))
    }
}

struct Draining {
    end: Instant,
    /// Bytes that the peer may still send.
    room: usize,
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
                let Some(room) = self.room.checked_sub(n) else { return over };
                self.room = room;
                wsi.deadline = Some(self.end.min(cx.now + limits::DRAIN_TIME));
                wsi.flags.bulk = n >= limits::BULK_READ;
                Next::Again
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
