//! Role `first-packet`: a connection that nobody knows yet.
//!
//! ```text
//!   accepted ──▶ first-packet ──┬── http
//!                  │   ▲        ├── the listen-accept role and protocol
//!                  └───┘        └── closed
//!               wait for more
//! ```
//!
//! It reads, asks the option table, and does what that says. What was read waits in `wsi.rx`, so the role that follows sees the
//! connection from its first byte. No protocol is bound yet, hence it emits no reasons. In lws this is spread over the http role.
//!
//! Where balancers are trusted to send PROXY headers, somebody else's is refused, before the table is asked.

use std::time::Instant;

use crate::cx::Cx;
use crate::first_packet::{Decision, Listener, Moment, decide};
use crate::options::Options;
use crate::proxy_header;
use crate::role::{Binding, CloseReason, Next, Role, RoleOps};
use crate::transport::Received;
use crate::vhost::ProtocolIndex;
use crate::wsi::Wsi;

pub(crate) struct FirstPacket;

impl RoleOps for FirstPacket {
    fn name(&self) -> &'static str {
        "first-packet"
    }

    fn is_undecided(&self) -> bool {
        true
    }

    /// http shares its port with everything that is not http, over TLS as well.
    fn alpn(&self) -> &'static [&'static str] {
        &["http/1.1", "http/1.0"]
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        let may_be_header = is_not_among_trusted(wsi, cx);
        let silence_at = cx
            .vhost(wsi.vhost)
            .filter(|vhost| vhost.options().contains(Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG))
            // A header could follow any silence.
            .filter(|_| !may_be_header)
            .and_then(|vhost| vhost.fallback_silence)
            .filter(|after| !after.is_zero())
            .and_then(|after| cx.after(after));
        wsi.deadline = silence_at.or(cx.after(cx.info.timeout));
        Ok(Box::new(Undecided { silence_at, may_be_header }))
    }
}

struct Undecided {
    /// When silence counts as an answer.
    silence_at: Option<Instant>,
    /// Its first bytes may turn out to be a PROXY header, which it has no right to send.
    may_be_header: bool,
}

impl Role for Undecided {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let received = match wsi.recv_first(&mut cx.buf) {
            Ok(received) => received,
            Err(error) => return Next::Close(CloseReason::Lost(error)),
        };
        let first = wsi.rx.take();
        let next = match received {
            Received::Eof => follow(wsi, cx, Moment::Eof(first.as_slice())),
            _ if first.is_empty() && wsi.io.readable() => Next::Again,
            _ if first.is_empty() => Next::Stay,
            Received::Bytes(_) | Received::Blocked => self.judge(wsi, cx, first.as_slice()),
        };
        wsi.rx = first;
        if self.silence_at.is_some() && matches!(next, Next::Become(_)) {
            // The silence is over; how long the rest takes is for the next role to limit.
            wsi.deadline = None;
        }
        next
    }

    fn on_timeout(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        let first = wsi.rx.take();
        let next = match self.silence_at {
            Some(_) => follow(wsi, cx, Moment::Silence(first.as_slice())),
            None => follow(wsi, cx, Moment::Timeout),
        };
        wsi.rx = first;
        next
    }
}

impl Undecided {
    fn judge(&self, wsi: &mut Wsi, cx: &Cx, first: &[u8]) -> Next {
        let moment = Moment::Rx(first);
        match self.may_be_header.then(|| proxy_header::claims(first)) {
            Some(Some(true)) => {
                note(wsi, Decision::Drop, moment);
                let why = "it sent a PROXY header, and its address is not in proxy-protocol-from";
                Next::Close(CloseReason::Refused(why.into()))
            }
            Some(None) if wsi.io.readable() => Next::Again,
            Some(None) => Next::Stay,
            Some(Some(false)) | None => follow(wsi, cx, moment),
        }
    }
}

/// Whether the listener trusts some peers to send PROXY headers, and this one is none of them.
fn is_not_among_trusted(wsi: &Wsi, cx: &Cx) -> bool {
    let trusted = cx.trusted_of(wsi.vhost);
    !wsi.is_tls() && trusted.is_some() && cx.header_first(trusted.as_deref(), wsi.direct_peer()).is_none()
}

/// Counts, and notes for the access log, in which http speaks for itself.
fn note(wsi: &mut Wsi, decision: Decision, moment: Moment<'_>) {
    wsi.tally.note_verdict(decision);
    let verdict = match decision {
        Decision::Wait => return,
        Decision::Http | Decision::RedirectToHttps | Decision::Refuse => return wsi.facts = None,
        Decision::ListenAccept => "listen-accept",
        Decision::TlsHandshake => "tls",
        Decision::Drop => "drop",
    };
    wsi.judged(verdict, moment.name());
}

/// Does what the table says.
fn follow(wsi: &mut Wsi, cx: &Cx, moment: Moment<'_>) -> Next {
    let (Some(vhost), Some(group)) = (cx.vhost(wsi.vhost), cx.group_of(wsi.vhost)) else {
        return Next::Close(CloseReason::Done);
    };
    let kind = if wsi.is_tls() { Listener::TlsEstablished } else { group.kind };
    let role = |name| Binding { role: cx.role(name), protocol: None };
    let decision = decide(kind, vhost.options(), moment);
    note(wsi, decision, moment);
    match decision {
        Decision::Wait if wsi.io.readable() => Next::Again,
        Decision::Wait => Next::Stay,
        Decision::Http => Next::Become(role("http")),
        Decision::TlsHandshake => Next::Become(role("tls")),
        Decision::RedirectToHttps => Next::Become(role("http-redirect")),
        Decision::ListenAccept => {
            log::info!("{}: falls back to {}", cx.tag(wsi), vhost.listen_accept.role.name());
            Next::Become(vhost.listen_accept)
        }
        Decision::Refuse => {
            log::info!("{}: not http, and no fallback is configured", cx.tag(wsi));
            Next::Become(role("http"))
        }
        Decision::Drop => Next::Close(match moment {
            Moment::Timeout => CloseReason::Timeout("it did not say what it is"),
            Moment::Eof([]) => CloseReason::PeerClosed,
            _ if vhost.options().contains(Options::ALLOW_NON_SSL_ON_SSL_PORT) => CloseReason::Ignored,
            _ => CloseReason::Refused("nothing serves what it speaks".into()),
        }),
    }
}
