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
//! | bytes that wait for the slowest of a mirror | [`BACKLOG`] | 1008 |
//!
//! While more than half of [`BACKLOG`] waits for somebody nobody is read from (`rx_flow_control`), until less than a quarter does. So a client
//! that reads slowly slows the others down. All whose connections take nothing more for [`PATIENCE`] meanwhile, though something waits for them, are
//! disconnected together, with 1008. That is what the system says: it has room again when a third of its buffer has been read, so that to read less
//! than that in the time may count as nothing. Where senders have waited in vain, they wait for [`IMPATIENCE`] only in the next [`MEMORY`]: many who
//! read nothing, whose systems take a different amount each, and those who come again, do not cost the others [`PATIENCE`] each.
//!
//! With several workers (`count-threads`) each has mirrors of its own, and so has each generation of them after a reload: who is with one does not hear
//! who is with another.
//!
//! Messages are kept whole, and go on as what they are: text, or bytes. In lws a message is a piece of up to 128 bytes of one, and always text.

use std::collections::{HashMap, HashSet};
use std::mem;
use std::time::{Duration, Instant};

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

/// How long senders wait for those who take nothing.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// How long they do within [`MEMORY`] of having waited for somebody in vain.
pub const IMPATIENCE: Duration = Duration::from_secs(1);

/// How long a mirror remembers that.
pub const MEMORY: Duration = Duration::from_secs(60);

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
}

struct Mirror {
    ring: Ring<Message>,
    clients: HashSet<WsiId>,
    /// So much waits that nobody is read from: in one turn of the loop all may have something to say.
    is_full: bool,
    /// Those for whom something waited when senders began to wait, or at the last look, and who have taken nothing since.
    stuck: HashSet<WsiId>,
    /// When to look for them next, while senders wait.
    look: Option<SulId>,
    /// When they have waited in vain.
    in_vain: Option<Instant>,
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
                vhd.mirrors.entry(name.clone()).or_default().join(wsi);
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
        if let VhostReason::Sul(due) = reason
            && let Some(mirror) = vhd.mirrors.values_mut().find(|mirror| mirror.look == Some(due))
        {
            mirror.look(vhost, cx);
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
        if mirror.clients.is_empty() {
            self.mirrors.remove(name);
        }
    }
}

impl Default for Mirror {
    fn default() -> Mirror {
        let ring = Ring::weighing(BACKLOG, |message: &Message| message.bytes.len() + OVERHEAD);
        Mirror { ring, clients: HashSet::new(), is_full: false, stuck: HashSet::new(), look: None, in_vain: None }
    }
}

impl Mirror {
    fn join(&mut self, wsi: &mut Wsi) {
        self.ring.join(wsi.id());
        self.clients.insert(wsi.id());
        if self.is_full {
            wsi.rx_flow_control(false);
        }
    }

    fn leave(&mut self, id: WsiId, cx: &mut Cx) {
        self.ring.leave(id);
        self.stuck.remove(&id);
        self.clients.remove(&id);
        self.relax(cx);
    }

    /// Keeps a message for all, and has everybody wait with the next one if too much waits already.
    fn say(&mut self, message: Message, wsi: &mut Wsi, cx: &mut Cx) {
        for lagging in self.ring.push(message) {
            cx.close_later_with(lagging, CloseCode::POLICY_VIOLATION, "you lag too far behind");
        }
        if self.ring.weight() > BACKLOG / 2 && !self.is_full {
            self.is_full = true;
            wsi.rx_flow_control(false);
            self.clients.iter().for_each(|id| cx.rx_flow_control(*id, false));
            self.look_later(wsi.vhost(), cx);
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
            self.stuck.remove(&wsi.id());
        }
        if self.ring.waiting(wsi.id()) > 0 {
            wsi.callback_on_writable();
        }
        self.relax(cx);
        Verdict::Continue
    }

    /// Reads from everybody again, once little enough waits, and looks for nobody any more.
    fn relax(&mut self, cx: &mut Cx) {
        if self.is_full && self.ring.weight() < BACKLOG / 4 {
            self.is_full = false;
            self.clients.iter().for_each(|id| cx.rx_flow_control(*id, true));
            self.stuck = HashSet::new();
            self.look.take().map(|look| cx.cancel_sul(look));
        }
    }

    fn look_later(&mut self, vhost: VhostId, cx: &mut Cx) {
        self.stuck = self.ring.behind().collect();
        let remembers = self.in_vain.is_some_and(|at| cx.now() < at + MEMORY);
        let patience = if remembers { IMPATIENCE } else { PATIENCE };
        self.look = cx.schedule(vhost, LwsMirror::NAME, patience).ok();
    }

    /// Disconnects those who have taken nothing since the last look. (Senders wait: otherwise there is none.)
    fn look(&mut self, vhost: VhostId, cx: &mut Cx) {
        if !self.stuck.is_empty() {
            self.in_vain = Some(cx.now());
        }
        for id in mem::take(&mut self.stuck) {
            log::info!("wsi {id}: its connection takes nothing more, and others wait for it");
            self.ring.leave(id);
            cx.close_later_with(id, CloseCode::POLICY_VIOLATION, "you read too slowly: others wait for you");
        }
        self.look_later(vhost, cx);
        self.relax(cx);
    }
}
