//! `raw-test`: what one client says goes to all clients of the vhost, itself included (the protocol of lws's minimal-raw-vhost).

use super::http_dummy;
use crate::{Call, InitError, Protocol, Pvo, Reason, Ring, Verdict, VhostCall};

/// Bytes of messages that may wait for a client that reads slowly. Who falls further behind is disconnected.
const BACKLOG: usize = 1024 * 1024;

/// What keeping a message costs beside its bytes.
const OVERHEAD: usize = 64;

/// A small chat without names.
pub struct RawTest;

impl Protocol for RawTest {
    const NAME: &'static str = "raw-test";
    const ROLES: &'static [&'static str] = &["raw-skt"];
    type Session = ();
    type Vhost = Ring<Box<[u8]>>;

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<Self::Vhost, InitError> {
        Ok(Ring::weighing(BACKLOG, |message| message.len() + OVERHEAD))
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, vhd: ring, .. } = call;
        match reason {
            Reason::RawAdopt => ring.join(wsi.id()),
            Reason::RawClose => ring.leave(wsi.id()),
            Reason::RawRx(data) => {
                for lagging in ring.push(data.into()) {
                    cx.close_later(lagging);
                }
                cx.callback_on_writable_all_protocol(wsi.vhost(), Self::NAME);
            }
            Reason::RawWriteable => {
                if let Some(message) = ring.peek(wsi.id()) {
                    if wsi.write(message).is_err() {
                        return Verdict::Close;
                    }
                    ring.advance(wsi.id());
                }
                if ring.waiting(wsi.id()) > 0 {
                    wsi.callback_on_writable();
                }
            }
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }
}
