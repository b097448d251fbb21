//! `raw-test`: what one client says goes to all clients of the vhost, itself included (the protocol of lws's minimal-raw-vhost).

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::http_dummy;
use crate::{Call, Cx, InitError, Protocol, Pvo, Reason, Verdict, VhostCall, WsiId};

/// Bytes of the latest messages that are kept for clients that read slowly. Who falls further behind is disconnected.
const BACKLOG: usize = 1024 * 1024;

/// What keeping a message costs beside its bytes.
const OVERHEAD: usize = 64;

/// A small chat without names.
pub struct RawTest;

/// The latest messages, and how far each client is.
#[derive(Default)]
pub struct Talk {
    said: VecDeque<Rc<[u8]>>,
    bytes: usize,
    /// How many messages came before the first of `said`.
    forgotten: u64,
    /// The number of the next message for each client.
    tails: BTreeMap<WsiId, u64>,
}

impl Protocol for RawTest {
    const NAME: &'static str = "raw-test";
    const ROLES: &'static [&'static str] = &["raw-skt"];
    type Session = ();
    type Vhost = Talk;

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<Talk, InitError> {
        Ok(Talk::default())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, vhd, .. } = call;
        match reason {
            Reason::RawAdopt => {
                vhd.tails.insert(wsi.id(), vhd.forgotten + vhd.said.len() as u64);
            }
            Reason::RawClose => {
                vhd.tails.remove(&wsi.id());
            }
            Reason::RawRx(data) => {
                vhd.add(data);
                vhd.cull(cx);
                cx.callback_on_writable_all_protocol(wsi.vhost(), Self::NAME);
            }
            Reason::RawWriteable => {
                if let Some(message) = vhd.next_for(wsi.id()) {
                    if wsi.write(&message).is_err() {
                        return Verdict::Close;
                    }
                    wsi.callback_on_writable();
                }
            }
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }
}

impl Talk {
    fn add(&mut self, data: &[u8]) {
        self.said.push_back(data.into());
        self.bytes += data.len() + OVERHEAD;
        while self.bytes > BACKLOG {
            let Some(oldest) = self.said.pop_front() else { break };
            self.bytes -= oldest.len() + OVERHEAD;
            self.forgotten += 1;
        }
    }

    /// Disconnects those whose next message is gone.
    fn cull(&mut self, cx: &mut Cx) {
        for (id, _) in self.tails.iter().filter(|(_, tail)| **tail < self.forgotten) {
            cx.close_later(*id);
        }
    }

    fn next_for(&mut self, id: WsiId) -> Option<Rc<[u8]>> {
        let tail = self.tails.get_mut(&id)?;
        let index = usize::try_from(tail.checked_sub(self.forgotten)?).ok()?;
        let message = self.said.get(index).cloned()?;
        *tail += 1;
        Some(message)
    }
}
