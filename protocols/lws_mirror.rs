//! `lws-mirror-protocol`: what one client sends goes to all clients of the same mirror, itself included (lws's plugin
//! `lws-mirror-protocol`).
//!
//! Which mirror a client is in its request says, `/?mirror=NAME`; without it, the one without a name. A mirror is made for the first who
//! asks for it and goes with the last; each vhost has its own.
//!
//! | | limit | beyond it |
//! |---|---|---|
//! | mirrors of a vhost | [`MIRRORS`] | 403 |
//! | bytes of a name | [`NAME_LENGTH`] | 403 |
//! | bytes of a message | [`MESSAGE`] | 1009 |
//! | bytes that wait for the slowest of a mirror | [`BACKLOG`] | it is disconnected |
//!
//! Who sends while more than half of [`BACKLOG`] waits for somebody is not read from (`rx_flow_control`) until less than a quarter does. So a client
//! that reads slowly slows the others down. One that takes nothing for [`PATIENCE`] meanwhile is disconnected.
//!
//! Messages are kept whole, and go on as what they are: text, or bytes. In lws a message is a piece of up to 128 bytes of one, and always text.

use std::collections::HashMap;
use std::time::Duration;

use super::http_dummy;
use crate::{
    Call, CloseCode, Cx, HttpRequest, InitError, Interests, Protocol, Pvo, Reason, Ring, SulId, Verdict, VhostCall,
    VhostId, VhostReason, WsWrite, Wsi, WsiId,
};

/// Mirrors that a vhost may have at a time.
pub const MIRRORS: usize = 10;

/// Bytes of a mirror's name.
pub const NAME_LENGTH: usize = 30;

/// Bytes of a message.
pub const MESSAGE: usize = 64 * 1024;

/// Bytes of messages that may wait for one client.
pub const BACKLOG: usize = 1024 * 1024;

/// How long senders wait for somebody who takes nothing.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// What keeping a message costs beside its bytes.
const OVERHEAD: usize = 64;

/// Bytes that are handed over at a time.
const BURST: usize = 16 * 1024;

/// Many WebSockets as one.
pub struct LwsMirror;

/// Per-vhost data.
#[derive(Default)]
pub struct Vhd {
    mirrors: HashMap<String, Mirror>,
    /// When to look for those who keep senders waiting.
    look: Option<SulId>,
}

struct Mirror {
    ring: Ring<Message>,
    clients: usize,
    /// Senders that are not read from.
    paused: Vec<WsiId>,
    /// How many messages waited for the slowest at the last look, and those that came since: as many wait for who has taken none.
    owed: usize,
}

struct Message {
    kind: WsWrite,
    bytes: Box<[u8]>,
}

impl Protocol for LwsMirror {
    const NAME: &'static str = "lws-mirror-protocol";
    const ROLES: &'static [&'static str] = &["ws"];
    const OPTIONS: Option<&'static [&'static str]> = Some(&[]);
    const INTERESTS: Interests = Interests::WS_WHOLE_MESSAGES;
    /// The name of its mirror, once it is in.
    type Session = Option<String>;
    type Vhost = Vhd;

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<Vhd, InitError> {
        Ok(Vhd::default())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss: mirror, vhd } = call;
        match reason {
            Reason::FilterProtocolConnection(request) if !vhd.takes(&name_of(request)) => return Verdict::Close,
            Reason::Established => {
                let name = wsi.http_request().map(name_of).unwrap_or_default();
                vhd.mirrors.entry(name.clone()).or_default().join(wsi.id());
                *mirror = Some(name);
            }
            Reason::Closed => {
                if let Some(name) = mirror.take() {
                    vhd.leave(&name, wsi.id(), cx);
                }
            }
            Reason::Receive(message) if message.len() > MESSAGE => {
                return wsi.close_with(CloseCode::TOO_LARGE, "a message that is too large for a mirror");
            }
            Reason::Receive(bytes) => {
                let kind = if wsi.frame_is_binary() { WsWrite::BINARY } else { WsWrite::TEXT };
                if let Some(mirror) = vhd.mirror(mirror) {
                    mirror.say(Message { kind, bytes: bytes.into() }, wsi, cx);
                    cx.callback_on_writable_all_protocol(wsi.vhost(), Self::NAME);
                    if !mirror.paused.is_empty() {
                        vhd.look_later(wsi.vhost(), cx);
                    }
                }
            }
            Reason::ServerWriteable => {
                if let Some(mirror) = vhd.mirror(mirror) {
                    return mirror.tell(wsi, cx);
                }
            }
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }

    fn vhost_callback(VhostCall { cx, vhost }: VhostCall<'_>, vhd: &mut Vhd, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(_) = reason {
            vhd.look = None;
            vhd.mirrors.values_mut().for_each(|mirror| mirror.look(cx));
            if vhd.mirrors.values().any(|mirror| !mirror.paused.is_empty()) {
                vhd.look_later(vhost, cx);
            }
        }
        Verdict::Continue
    }
}

fn name_of(request: &HttpRequest) -> String {
    request.arg("mirror").unwrap_or_default().into_owned()
}

impl Vhd {
    /// Whether there is, or may be, a mirror of that name.
    fn takes(&self, name: &str) -> bool {
        name.len() <= NAME_LENGTH && (self.mirrors.len() < MIRRORS || self.mirrors.contains_key(name))
    }

    fn mirror(&mut self, name: &Option<String>) -> Option<&mut Mirror> {
        self.mirrors.get_mut(name.as_ref()?)
    }

    fn leave(&mut self, name: &str, id: WsiId, cx: &mut Cx) {
        let Some(mirror) = self.mirrors.get_mut(name) else { return };
        mirror.leave(id, cx);
        if mirror.clients == 0 {
            self.mirrors.remove(name);
        }
    }

    fn look_later(&mut self, vhost: VhostId, cx: &mut Cx) {
        if self.look.is_none() {
            self.look = cx.schedule(vhost, LwsMirror::NAME, PATIENCE).ok();
        }
    }
}

impl Default for Mirror {
    fn default() -> Mirror {
        let ring = Ring::weighing(BACKLOG, |message: &Message| message.bytes.len() + OVERHEAD);
        Mirror { ring, clients: 0, paused: Vec::new(), owed: 0 }
    }
}

impl Mirror {
    fn join(&mut self, id: WsiId) {
        self.ring.join(id);
        self.clients += 1;
    }

    fn leave(&mut self, id: WsiId, cx: &mut Cx) {
        self.ring.leave(id);
        self.clients -= 1;
        self.paused.retain(|paused| *paused != id);
        self.relax(cx);
    }

    /// Keeps a message for all, and has its sender wait if too much waits already.
    fn say(&mut self, message: Message, wsi: &mut Wsi, cx: &mut Cx) {
        for lagging in self.ring.push(message) {
            cx.close_later(lagging);
        }
        self.owed += 1;
        if self.ring.weight() > BACKLOG / 2 {
            if self.paused.is_empty() {
                self.owed = self.ring.len();
            }
            wsi.rx_flow_control(false);
            self.paused.push(wsi.id());
        }
    }

    /// Sends what waits for a client, as far as it is to have it now.
    fn tell(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Verdict {
        let mut written = 0;
        while let Some(Message { kind, bytes }) = self.ring.peek(wsi.id()).filter(|_| written < BURST) {
            if let Err(error) = wsi.write_ws(*kind, bytes) {
                log::info!("wsi {}: {error}", wsi.id());
                return Verdict::Close;
            }
            written += bytes.len();
            self.ring.advance(wsi.id());
        }
        if self.ring.waiting(wsi.id()) > 0 {
            wsi.callback_on_writable();
        }
        self.relax(cx);
        Verdict::Continue
    }

    /// Reads from senders again, once little enough waits.
    fn relax(&mut self, cx: &mut Cx) {
        if self.ring.weight() < BACKLOG / 4 {
            self.paused.drain(..).for_each(|id| cx.rx_flow_control(id, true));
        }
    }

    /// Disconnects those who have kept senders waiting, and taken nothing since the last look.
    fn look(&mut self, cx: &mut Cx) {
        if self.paused.is_empty() {
            return;
        }
        if self.ring.len() >= self.owed {
            let stuck: Vec<WsiId> = self.ring.slowest().collect();
            for id in stuck {
                log::info!("wsi {id}: it reads nothing, and others wait for it");
                self.ring.leave(id);
                cx.close_later(id);
            }
            self.relax(cx);
        }
        self.owed = self.ring.len();
    }
}
