//! `lws-status`: the state of the server, live, as JSON over WebSocket, and a page that shows it (lws's plugin `lws-server-status`).
//!
//! | pvo | meaning |
//! |---|---|
//! | `update-ms` | milliseconds between two snapshots, 100 to 3600000; 5000 unless told |
//! | `hide-vhosts` | `1`: vhosts, listeners and mounts are left out |
//!
//! A mount `callback://lws-status` has the page. Who may see it is for that mount to say (`basic-auth`), or for the vhost (an interface of its own): it
//! tells a lot. Where such a mount is, WebSockets are taken below it alone, and so behind its password; and from pages of the
//! same host alone (`Origin`).
//!
//! A snapshot is made while somebody looks, once for all [`VIEWERS`], and each gets the latest when it has read the one before. It costs as much as
//! there are vhosts, not connections: the core counts as things happen ([`Tally`](crate::Tally)). With several workers each counts its own.
//!
//! | member | what |
//! |---|---|
//! | `version`, `pid`, `uptime` | of rlws; of the worker; seconds |
//! | `update_ms`, `viewers` | as above; who looks |
//! | `wsi_alive`, `listen_wsi` | connections and listen sockets; of them the sockets |
//! | `sums` | `accepted`, `requests`, `rx`, `tx` of all vhosts that there are |
//! | `rates` | the same by the second, since the snapshot before |
//! | `roles`, `protocols` | `name`, `now`, `ever`: connections that are it, and how often one became it; http binds a protocol for each request |
//! | `verdicts` | what first packets came to: [`Tally::verdicts`](crate::Tally::verdicts) |
//! | `listeners` | `listen`, `addresses`, `use_ssl`, `accepted`, `verdicts`, `vhosts` |
//! | `vhosts` | `name`, `listen` (addresses), `use_ssl`, `sts`, `connections`, `requests`, `rx`, `tx`, `protocols`, `mounts` |
//!
//! It is also there by lws's name for it, `lws-server-status` ([`LwsServerStatus`]). What lws has by the name `lws-status`, a list of those who look at it,
//! is not.

mod json;
mod page;
mod snapshot;

use std::rc::Rc;
use std::time::Duration;

use self::snapshot::{Last, Shown};
use super::http_dummy;
use crate::{
    Call, Cx, HttpRequest, InitError, Origin, Protocol, Pvo, Reason, Verdict, VhostCall, VhostId, VhostReason, WsWrite,
    Wsi,
};

/// Either shows the same, so a mount of one guards both.
const NAMES: [&str; 2] = [LwsStatus::NAME, LwsServerStatus::NAME];

/// Who may look at a time; others get a 403.
pub const VIEWERS: usize = 100;

/// Bytes of a snapshot that are handed over at a time.
const PART: usize = 64 * 1024;

/// Shows the server's state.
pub struct LwsStatus;

/// The same by lws's name.
pub struct LwsServerStatus;

/// One who looks.
#[derive(Default)]
pub struct Pss {
    /// A snapshot that is being sent, and how far it is.
    sending: Option<(Rc<String>, usize)>,
    /// The number of the last one that was begun.
    seen: u64,
    is_counted: bool,
}

/// Per-vhost data.
pub struct Vhd {
    /// As which protocol.
    name: &'static str,
    update: Duration,
    hides_vhosts: bool,
    viewers: usize,
    /// The latest, and its number.
    snapshot: (Rc<String>, u64),
    last: Last,
    /// The next one is asked for.
    is_scheduled: bool,
}

impl Protocol for LwsStatus {
    const NAME: &'static str = "lws-status";
    const ROLES: &'static [&'static str] = &["ws", "http"];
    const OPTIONS: Option<&'static [&'static str]> = Some(&["update-ms", "hide-vhosts"]);
    type Session = Pss;
    type Vhost = Vhd;

    fn init(_vhost: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        Vhd::new(Self::NAME, pvo)
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss, vhd } = call;
        match reason {
            Reason::Http(request) if request.mountpoint().is_some() => return page::serve(wsi, request),
            Reason::FilterProtocolConnection(request) if !vhd.takes(wsi.vhost(), cx, request) => return Verdict::Close,
            Reason::Established => vhd.begin(wsi, cx, pss),
            Reason::ServerWriteable => return vhd.tell(wsi, pss),
            Reason::Closed if pss.is_counted => vhd.viewers -= 1,
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }

    fn vhost_callback(VhostCall { cx, vhost }: VhostCall<'_>, vhd: &mut Vhd, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(_) = reason {
            vhd.is_scheduled = false;
            if vhd.viewers > 0 {
                vhd.update(vhost, cx);
            }
        }
        Verdict::Continue
    }
}

impl Protocol for LwsServerStatus {
    const NAME: &'static str = "lws-server-status";
    const ROLES: &'static [&'static str] = LwsStatus::ROLES;
    const OPTIONS: Option<&'static [&'static str]> = LwsStatus::OPTIONS;
    type Session = Pss;
    type Vhost = Vhd;

    fn init(_vhost: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        Vhd::new(Self::NAME, pvo)
    }

    fn callback(Call { wsi, cx, pss, vhd }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        LwsStatus::callback(Call { wsi, cx, pss, vhd }, reason)
    }

    fn vhost_callback(call: VhostCall<'_>, vhd: &mut Vhd, reason: VhostReason<'_>) -> Verdict {
        LwsStatus::vhost_callback(call, vhd, reason)
    }
}

impl Vhd {
    fn new(name: &'static str, pvo: &Pvo) -> Result<Vhd, InitError> {
        let update = pvo.parse("update-ms")?.unwrap_or(5000);
        if !(100..=3_600_000).contains(&update) {
            return Err(format!("the option \"update-ms\" is {update}; expected 100 to 3600000 milliseconds").into());
        }
        Ok(Vhd {
            name,
            update: Duration::from_millis(update),
            hides_vhosts: pvo.flag("hide-vhosts"),
            viewers: 0,
            snapshot: Default::default(),
            last: Last::default(),
            is_scheduled: false,
        })
    }

    fn takes(&self, vhost: VhostId, cx: &Cx, request: &HttpRequest) -> bool {
        self.viewers < VIEWERS && self.is_where_the_page_is(vhost, cx, request) && is_of_same_host(request)
    }

    /// Whether the request is for a mount of the page, by either name, if there is one.
    fn is_where_the_page_is(&self, vhost: VhostId, cx: &Cx, request: &HttpRequest) -> bool {
        let mounts = cx.vhost(vhost).into_iter().flat_map(|vhost| vhost.mounts());
        let mut own = mounts
            .filter(
                |mount| matches!(&mount.origin, Origin::Callback(name) if NAMES.contains(&&*name.replace('_', "-"))),
            )
            .map(|mount| mount.mountpoint.trim_end_matches('/'))
            .peekable();
        own.peek().is_none() || own.any(|mountpoint| request.mountpoint() == Some(mountpoint))
    }

    /// Somebody new gets what the others have.
    fn begin(&mut self, wsi: &mut Wsi, cx: &mut Cx, pss: &mut Pss) {
        self.viewers += 1;
        pss.is_counted = true;
        if !self.is_scheduled {
            // Nobody has looked for a while.
            self.last.forget();
            self.update(wsi.vhost(), cx);
        }
        wsi.callback_on_writable();
    }

    /// Makes a snapshot, has it sent to all who look, and asks for the next one.
    fn update(&mut self, vhost: VhostId, cx: &mut Cx) {
        let Vhd { update, hides_vhosts, viewers, .. } = *self;
        let (snapshot, number) = &mut self.snapshot;
        if Rc::get_mut(snapshot).is_none() {
            // Somebody is still reading it.
            *snapshot = Rc::new(String::with_capacity(snapshot.len()));
        }
        if let Some(text) = Rc::get_mut(snapshot) {
            text.clear();
            snapshot::write(text, cx, &Shown { update, hides_vhosts, viewers }, &mut self.last);
        }
        *number += 1;
        cx.callback_on_writable_all_protocol(vhost, self.name);
        self.is_scheduled = cx.schedule(vhost, self.name, self.update).is_ok();
    }

    /// Sends the latest snapshot, or the next part of the one that was begun.
    fn tell(&self, wsi: &mut Wsi, pss: &mut Pss) -> Verdict {
        let (latest, number) = &self.snapshot;
        let (snapshot, sent) = match pss.sending.take() {
            Some(begun) => begun,
            None if pss.seen == *number => return Verdict::Continue,
            None => (latest.clone(), 0),
        };
        if sent == 0 {
            pss.seen = *number;
        }
        let part = &snapshot.as_bytes()[sent..snapshot.len().min(sent + PART)];
        let end = sent + part.len();
        let is_last = end == snapshot.len();
        if let Err(error) = wsi.write_ws(WsWrite::TEXT.part(sent == 0, is_last), part) {
            log::info!("wsi {}: {error}", wsi.id());
            return Verdict::Close;
        }
        if !is_last {
            pss.sending = Some((snapshot, end));
        }
        if !is_last || pss.seen != *number {
            wsi.callback_on_writable();
        }
        Verdict::Continue
    }
}

/// A browser says which page wants a WebSocket. One of another site has no business here; who is no browser says nothing.
fn is_of_same_host(request: &HttpRequest) -> bool {
    let Some(origin) = request.header_str("origin") else { return request.header("origin").is_none() };
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some_and(|host| request.host().is_some_and(|own| own.eq_ignore_ascii_case(host)))
}
