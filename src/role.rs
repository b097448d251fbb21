//! What a connection is doing now, as the core sees it.
//!
//! A [`RoleOps`] is the named, static descriptor (`struct lws_role_ops`); a [`Role`] is one connection's state while it is in
//! that role. Roles come and go during a connection's life: `Next::Become` swaps them, and bytes that were read but not
//! consumed wait in `wsi.rx` for the next one.
//!
//! ```text
//!                    bind                on_ready / on_timeout
//!   Binding ────────────────────▶ Role ──────────┬──────────▶ Stay      wait for an event, a deadline, a wake-up
//!      ▲                                         ├──────────▶ Again     one more turn, after the others had theirs
//!      └─────────────────────────────────────────┼─────────── Become    swapped at once, nothing read is lost
//!                                                └──────────▶ Close     on_close, then what is queued is drained
//! ```

use std::borrow::Cow;
use std::fmt;
use std::io;

use crate::context::ContextInfo;
use crate::cx::Cx;
use crate::transport::Medium;
use crate::vhost::ProtocolIndex;
use crate::wsi::Wsi;

/// A role's descriptor.
pub(crate) trait RoleOps: Sync {
    /// The name it is asked for by, in configurations and by other roles.
    fn name(&self) -> &'static str;

    /// What it carries for a protocol of the vhost. `None`: it serves none, and so cannot be named by users.
    fn carries(&self) -> Option<Medium> {
        None
    }

    /// The ALPN protocols that name it, best first.
    fn alpn(&self) -> &'static [&'static str] {
        &[]
    }

    /// Whether it serves connections of our own that nobody else needs.
    fn takes_client(&self) -> bool {
        false
    }

    /// The role whose connections become its own, where nobody can begin in it.
    fn begins_as(&self) -> Option<&'static str> {
        None
    }

    /// What a connection comes to that a listen socket hands to it, with those that it makes itself.
    fn connections(&self) -> usize {
        1
    }

    /// Whether who is in it has not said yet what it wants (`ContextInfo::ip_limit_undecided`).
    fn is_undecided(&self) -> bool {
        false
    }

    /// The name in a connection's first bytes that chooses its vhost, for a role that goes by one.
    fn named(&self, _first: &[u8], _info: &ContextInfo) -> Named {
        Named::By(None)
    }

    /// Puts a connection into this role, with a protocol of its vhost where the role needs one.
    ///
    /// Callbacks may run here. On `Err` the connection is closed; whatever was bound must have been dropped again.
    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, protocol: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason>;
}

/// What a role finds in first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Named {
    /// Too few bytes.
    Later,
    /// A name, or none.
    By(Option<String>),
    /// Nothing to serve: the status of the answer, where the role has such.
    Not { status: Option<u16> },
}

/// One connection's state in a role. The connection itself is lent to every call.
pub(crate) trait Role {
    /// The socket is readable or writable, bytes wait in `wsi.rx`, or somebody woke us. What was queued has been sent, as far as
    /// the system took it. Spurious calls are normal.
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next;

    /// `wsi.deadline` has passed (and has been taken out).
    fn on_timeout(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next;

    /// The last call: tell the protocol, and drop it.
    fn on_close(&mut self, _wsi: &mut Wsi, _cx: &mut Cx) {}
}

/// What a role is to be, and with which of the vhost's protocols.
#[derive(Clone, Copy)]
pub(crate) struct Binding {
    pub(crate) role: &'static dyn RoleOps,
    pub(crate) protocol: Option<ProtocolIndex>,
}

/// What a role wants after its turn.
#[must_use]
pub(crate) enum Next {
    /// Nothing, until something happens.
    Stay,
    /// Another turn, behind everybody else.
    Again,
    /// Another role, at once.
    Become(Binding),
    /// The end.
    Close(CloseReason),
}

/// Why a connection ends. It decides how: gently (what is queued is sent first) or at once.
#[derive(Debug)]
#[non_exhaustive]
pub enum CloseReason {
    /// Everything is said.
    Done,
    /// Everything is handed to the system, and too much for it to be with the peer already.
    DoneSending,
    /// It has its answer, and may be in the middle of a request that nobody reads to its end.
    Answered(&'static str),
    /// The peer sends no more, and we have nothing more for it.
    PeerClosed,
    /// The peer broke the rules; whatever answer is queued still goes out.
    PeerFault(Cow<'static, str>),
    /// The connection failed.
    Lost(io::Error),
    /// The peer, or somebody we depend on, took too long.
    Timeout(&'static str),
    /// Our configuration or our user wants it gone.
    Refused(Cow<'static, str>),
    /// Nobody serves it, and the configuration does not want to hear of it.
    Ignored,
    /// Its address has as many connections as it may, and the log has heard of it.
    TooMany,
    /// The other half of the relay has gone.
    PartnerGone,
    /// What was queued is out; role drain says so.
    Drained,
}

const BY_PROTOCOL: &str = "asked for by its protocol";

impl CloseReason {
    /// A callback returned `Verdict::Close`.
    pub(crate) fn by_protocol() -> CloseReason {
        CloseReason::Refused(BY_PROTOCOL.into())
    }

    /// Whether that was it.
    pub(crate) fn is_by_protocol(&self) -> bool {
        matches!(self, CloseReason::Refused(why) if why == BY_PROTOCOL)
    }

    /// Whether what is queued should still reach the peer.
    pub(crate) fn is_gentle(&self) -> bool {
        match self {
            CloseReason::Done
            | CloseReason::DoneSending
            | CloseReason::Answered(_)
            | CloseReason::Ignored
            | CloseReason::PeerClosed
            | CloseReason::PeerFault(_)
            | CloseReason::PartnerGone
            | CloseReason::Refused(_) => true,
            CloseReason::Lost(_) | CloseReason::Timeout(_) | CloseReason::TooMany | CloseReason::Drained => false,
        }
    }

    /// Whether the peer may say something before it has everything of ours.
    pub(crate) fn interrupts(&self) -> bool {
        self.has_answered() || matches!(self, CloseReason::PeerFault(_) | CloseReason::Refused(_))
    }

    /// Whether the peer is to have all the time to come to an answer of ours, however much it says before.
    pub(crate) fn has_answered(&self) -> bool {
        matches!(self, CloseReason::DoneSending | CloseReason::Answered(_))
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CloseReason::Done | CloseReason::DoneSending => f.write_str("done"),
            CloseReason::PeerClosed => f.write_str("the peer closed"),
            CloseReason::PeerFault(what) => write!(f, "the peer is at fault: {what}"),
            CloseReason::Lost(error) => write!(f, "connection lost: {error}"),
            CloseReason::Timeout(what) => write!(f, "timed out: {what}"),
            CloseReason::Answered(what) => write!(f, "closed by us: {what}"),
            CloseReason::Refused(what) => write!(f, "closed by us: {what}"),
            CloseReason::Ignored => f.write_str("nothing serves what it speaks"),
            CloseReason::TooMany => f.write_str("its address has too many connections"),
            CloseReason::PartnerGone => f.write_str("closed with the other side of the relay"),
            CloseReason::Drained => f.write_str("drained"),
        }
    }
}

impl From<io::Error> for CloseReason {
    fn from(error: io::Error) -> Self {
        CloseReason::Lost(error)
    }
}

/// Finds a role by name; `_` and `-` are the same, for lws's texts write both.
pub(crate) fn find(name: &str) -> Option<&'static dyn RoleOps> {
    crate::roles::ALL.iter().copied().find(|role| same_name(role.name(), name))
}

/// Finds a role by the ALPN protocol that a handshake agreed on.
pub(crate) fn find_by_alpn(alpn: &[u8]) -> Option<&'static dyn RoleOps> {
    crate::roles::ALL.iter().copied().find(|role| role.alpn().iter().any(|name| name.as_bytes() == alpn))
}

/// Compares names of roles and protocols.
pub(crate) fn same_name(a: &str, b: &str) -> bool {
    let plain = |byte: u8| if byte == b'_' { b'-' } else { byte };
    a.len() == b.len() && a.bytes().map(plain).eq(b.bytes().map(plain))
}
