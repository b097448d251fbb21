//! Role `drain`: a connection's last seconds. Sends what is queued, then FIN, then discards input until the peer hangs up.
//!
//! Closing at once would make the system send a reset if input is unread, and that may overtake the last answer (RFC 9112 section 9.6). The peer
//! has [`limits::DRAIN_TIME`] of silence and [`limits::DRAIN_LONGEST`] in all, with a slice a turn, behind those who move little. It is
//! silent while nothing of what is queued goes, for which the system is asked once more before it counts. What the peer sends
//! counts as well where it was answered: a client of http may read its answer only when it has sent all of its request, and nothing tells when that is.
//! All others may send [`limits::DRAIN_BYTES`], which bring them no time. Who is given up with bytes queued is told by a reset that they do not come.
//!
//! It emits no reasons: the protocol was told before. In lws: `LRS_FLUSHING_BEFORE_CLOSE` and `LRS_SHUTDOWN`; the times are those of nginx's
//! `lingering_close`.

use std::mem;
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
        wsi.flags.fin = true;
        wsi.rx.take();
        let room = if wsi.flags.lingers { usize::MAX } else { limits::DRAIN_BYTES };
        let draining = Draining { end: cx.now + limits::DRAIN_LONGEST, room, taken: wsi.taken() };
        draining.has_more_time(wsi, cx);
        Ok(Box::new(draining))
    }
}

struct Draining {
    end: Instant,
    /// Bytes that the peer may still send.
    room: usize,
    /// Bytes that the system had taken at the last turn.
    taken: u64,
}

impl Draining {
    /// The peer was not silent.
    fn has_more_time(&self, wsi: &mut Wsi, cx: &Cx) {
        wsi.deadline = Some(self.end.min(cx.now + limits::DRAIN_TIME));
    }
}

impl Role for Draining {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let over = Next::Close(CloseReason::Drained);
        if mem::replace(&mut self.taken, wsi.taken()) != wsi.taken() {
            self.has_more_time(wsi, cx);
        }
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
                if wsi.flags.lingers {
                    self.has_more_time(wsi, cx);
                }
                wsi.flags.bulk = n >= limits::BULK_READ;
                Next::Again
            }
            Ok(Received::Eof) if wsi.is_flushed() => over,
            Ok(Received::Eof | Received::Blocked) => Next::Stay,
            Err(_) => over,
        }
    }

    fn on_timeout(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        if cx.now < self.end && wsi.try_to_flush(&cx.registry).unwrap_or(false) {
            self.has_more_time(wsi, cx);
            return self.on_ready(wsi, cx);
        }
        wsi.flags.truncated = !wsi.is_flushed();
        Next::Close(CloseReason::Drained)
    }
}
