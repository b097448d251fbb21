//! What would become of a connection, said beforehand: for tools that explain a configuration.
//!
//! ```text
//!   first bytes ──▶ first_packet::decide ──▶ the role that looks for a name in them ──▶ the vhost of that name ──▶ Fate
//! ```
//!
//! It asks those who decide about real connections, and has no rules of its own. In lws: none.

use crate::cx::Cx;
use crate::first_packet::{Decision, Listener, Moment, decide};
use crate::listen_group::ListenGroup;
use crate::options::Options;
use crate::role::{Binding, Named};
use crate::vhost::VhostId;

/// What becomes of a connection by its first bytes ([`Cx::fate_of`]).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// That is not decided yet: more is waited for.
    Waits {
        /// What becomes of it if nothing more comes before its end.
        at_end: Box<Fate>,
    },
    /// Role http serves it.
    Http {
        /// The vhost that the request's host chose; where the head is not whole, that of the listen socket.
        vhost: VhostId,
        /// The head of the request is whole.
        is_whole: bool,
    },
    /// Role http answers with an error, and closes.
    HttpError {
        /// The vhost.
        vhost: VhostId,
        /// The answer's status.
        status: u16,
    },
    /// It is sent to https.
    RedirectToHttps {
        /// The vhost.
        vhost: VhostId,
    },
    /// A TLS handshake, after which ALPN and the first decrypted bytes decide.
    TlsHandshake {
        /// The vhost that the server name of the hello chose; where that is not whole, that of the listen socket.
        vhost: VhostId,
        /// The hello is whole.
        is_whole: bool,
    },
    /// The listen-accept role has it.
    ListenAccept {
        /// The vhost.
        vhost: VhostId,
        /// The role's name.
        role: &'static str,
        /// The protocol's name; `None`: the role needs none.
        protocol: Option<&'static str>,
        /// After a TLS handshake.
        over_tls: bool,
    },
    /// It is closed without an answer.
    Drop {
        /// The vhost.
        vhost: VhostId,
    },
}

impl Cx {
    /// What becomes of a connection to the listen socket of a vhost whose first bytes are these: a PROXY header is not one of them.
    /// `None`: the vhost does not listen.
    pub fn fate_of(&self, vhost: VhostId, first: &[u8]) -> Option<Fate> {
        let group = self.group_of(vhost)?;
        let id = *group.vhosts.first()?;
        let decides = self.vhost(id)?;
        let at_once = decide(group.kind, decides.options(), Moment::Accept);
        if at_once == Decision::ListenAccept && group.kind == Listener::Tls {
            let chosen = self.named_by("tls", group, first).0;
            let asks = |id: &VhostId| self.has_apply(*id);
            return self.accepted(chosen.filter(asks).unwrap_or(id), true);
        }
        let moment = if at_once == Decision::Wait { Moment::Rx(first) } else { Moment::Accept };
        match decide(group.kind, decides.options(), moment) {
            Decision::Wait => {
                let at_end = decide(group.kind, decides.options(), Moment::Eof(first));
                let at_end = Box::new(self.done(at_end, group, id, Moment::Eof(first))?);
                Some(Fate::Waits { at_end })
            }
            decision => self.done(decision, group, id, moment),
        }
    }

    fn done(&self, done: Decision, group: &ListenGroup, id: VhostId, moment: Moment<'_>) -> Option<Fate> {
        let (first, is_over) = match moment {
            Moment::Rx(first) | Moment::Silence(first) => (first, false),
            Moment::Eof(first) => (first, true),
            Moment::Accept | Moment::Timeout => (&[][..], false),
        };
        Some(match done {
            Decision::Wait | Decision::Drop => Fate::Drop { vhost: id },
            Decision::RedirectToHttps => Fate::RedirectToHttps { vhost: id },
            Decision::ListenAccept => return self.accepted(id, false),
            Decision::TlsHandshake => {
                let (chosen, named) = self.named_by("tls", group, first);
                Fate::TlsHandshake { vhost: chosen.unwrap_or(id), is_whole: matches!(named, Named::By(_)) }
            }
            Decision::Http | Decision::Refuse => {
                let (chosen, named) = self.named_by("http", group, first);
                let vhost = chosen.unwrap_or(id);
                let demands = self.vhost(vhost)?.tls.as_ref().is_some_and(|tls| tls.requires_client_cert);
                match named {
                    Named::Not { status } => Fate::HttpError { vhost, status: status.unwrap_or(BAD_REQUEST) },
                    Named::By(_) if demands => Fate::HttpError { vhost, status: MISDIRECTED },
                    Named::By(_) => Fate::Http { vhost, is_whole: true },
                    Named::Later if is_over => Fate::HttpError { vhost, status: BAD_REQUEST },
                    Named::Later => Fate::Http { vhost, is_whole: false },
                }
            }
        })
    }

    /// The vhost that a role would choose, if it finds a name; and what it finds.
    fn named_by(&self, role: &str, group: &ListenGroup, first: &[u8]) -> (Option<VhostId>, Named) {
        let named = self.role(role).named(first, &self.info);
        let chosen = match &named {
            Named::By(name) => group.choose(name.as_deref().unwrap_or_default()),
            Named::Later | Named::Not { .. } => None,
        };
        (chosen, named)
    }

    fn has_apply(&self, id: VhostId) -> bool {
        self.vhost(id).is_some_and(|vhost| vhost.options().contains(Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG))
    }

    fn accepted(&self, vhost: VhostId, over_tls: bool) -> Option<Fate> {
        let Binding { role, protocol } = self.vhost(vhost)?.listen_accept;
        let protocol = protocol.and_then(|index| self.enabled(vhost, index)).map(|enabled| enabled.table.name);
        Some(Fate::ListenAccept { vhost, role: role.name(), protocol, over_tls })
    }
}

const BAD_REQUEST: u16 = 400;

/// 421 Misdirected Request: plain http for a vhost that asks for certificates.
const MISDIRECTED: u16 = 421;
