//! `raw-test`: what one client says goes to all clients of the vhost, itself included (the protocol of lws's minimal-raw-vhost).

use std::collections::VecDeque;
use std::rc::Rc;

use super::http_dummy;
use crate::{Call, InitError, Protocol, Pvo, Reason, Verdict, VhostCall};

/// Bytes of the latest messages that are kept for clients that read slowly. Who falls further behind is disconnected.
const BACKLOG: usize = 1024 * 1024;

/// What keeping a message costs beside its bytes.
const OVERHEAD: usize = 64;

/// A small chat without names.
pub struct RawTest;

/// The latest messages.
#[derive(Default)]
pub struct Talk {
    said: VecDeque<Rc<[u8]>>,
    bytes: usize,
    /// How many messages came before the first of `said`.
    forgotten: u64,
}

impl Protocol for RawTest {
    const NAME: &'static str = "raw-test";
    const ROLES: &'static [&'static str] = &["raw-skt"];
    /// The number of the next message to send.
    type Session = u64;
    type Vhost = Talk;

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<Talk, InitError> {
        Ok(Talk::default())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss, vhd } = call;
        match reason {
            Reason::RawAdopt => *pss = vhd.next(),
            Reason::RawRx(data) => {
                vhd.add(data);
                cx.callback_on_writable_all_protocol(wsi.vhost(), Self::NAME);
            }
            Reason::RawWriteable => {
                if *pss < vhd.forgotten {
                    return Verdict::Close;
                }
                if let Some(message) = vhd.message(*pss) {
                    if wsi.write(&message).is_err() {
                        return Verdict::Close;
                    }
                    *pss += 1;
                    wsi.callback_on_writable();
                }
            }
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }
}

impl Talk {
    fn next(&self) -> u64 {
        self.forgotten + self.said.len() as u64
    }

    fn add(&mut self, data: &[u8]) {
        self.said.push_back(data.into());
        self.bytes += data.len() + OVERHEAD;
        while self.bytes > BACKLOG {
            let Some(oldest) = self.said.pop_front() else { break };
            self.bytes -= oldest.len() + OVERHEAD;
            self.forgotten += 1;
        }
    }

    fn message(&self, number: u64) -> Option<Rc<[u8]>> {
        let index = usize::try_from(number.checked_sub(self.forgotten)?).ok()?;
        self.said.get(index).cloned()
    }
}
