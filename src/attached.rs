//! What user code hangs on a connection. Most connections have none of it, so it is kept apart and made when it is first needed.

use std::any::Any;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::cx::Cx;
use crate::deferred::Deferred;
use crate::wsi::{Peer, Wsi, WsiId};

#[derive(Default)]
pub(crate) struct Attached {
    /// When the protocol hears `Timer`.
    timer: Option<Instant>,
    /// When the connection is closed.
    timeout: Option<Instant>,
    /// The timeout was set before a protocol was bound, and does not go with one.
    timeout_stays: bool,
    /// When reading and writing are tried again, for which the system had no memory.
    try_again: Option<Instant>,
    opaque: Option<Rc<dyn Any>>,
    pub(crate) children: Vec<WsiId>,
    /// A relayed pair is closed after this long without a byte either way.
    idle_timeout: Option<Duration>,
}

/// What a connection waits for; of two at the same time the first here counts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Alarm {
    /// Its protocol gave it so long.
    Timeout,
    /// Its protocol's timer.
    Timer,
    /// The system may have memory again.
    TryAgain,
    /// Its role's deadline.
    Role,
}

impl Wsi {
    /// Has the bound protocol hear `Timer` once, `after` from now (`lws_set_timer_usecs`). Setting it again moves it; it goes with the
    /// protocol. If its time comes before one is bound, nobody hears it.
    pub fn set_timer(&mut self, cx: &Cx, after: Duration) {
        self.set_timer_at(cx.later(after));
    }

    /// Takes the timer back (`lws_set_timer_usecs` with -1).
    pub fn cancel_timer(&mut self) {
        self.set_timer_at(None);
    }

    /// Has the connection closed `after` from now, queued bytes or not (`lws_set_timeout`). Setting it again moves it. It goes with the
    /// protocol, unless none was bound yet. A WebSocket is told, with 1008 or what [`Wsi::close_with`] said, as far as the system takes that
    /// at once.
    pub fn set_timeout(&mut self, cx: &Cx, after: Duration) {
        self.set_timeout_at(cx.later(after));
    }

    /// Takes the timeout back (`lws_set_timeout` with `NO_PENDING_TIMEOUT`).
    pub fn cancel_timeout(&mut self) {
        self.set_timeout_at(None);
    }

    /// What was hung on the connection, if it is a `T` (`lws_get_opaque_user_data`). Unlike session data it outlives a change of role or
    /// protocol.
    pub fn opaque_user_data<T: 'static>(&self) -> Option<&T> {
        self.attached.as_ref()?.opaque.as_deref()?.downcast_ref()
    }

    /// Hangs something on the connection (`lws_set_opaque_user_data`).
    pub fn set_opaque_user_data(&mut self, data: Rc<dyn Any>) {
        self.attached().opaque = Some(data);
    }

    /// The connections it is the parent of (`lws_get_child`), in no order. One that was just begun is listed after the callback.
    pub fn children(&self) -> &[WsiId] {
        self.attached.as_ref().map_or(&[], |attached| &attached.children)
    }

    /// Has the peer's host name looked up, without blocking (the name of `lws_get_peer_addresses`); the protocol hears `PeerName`.
    ///
    /// What the name servers of the peer's network say is not to be trusted.
    pub fn ask_peer_name(&mut self, cx: &mut Cx) {
        let known: Option<IpAddr> = match self.peer() {
            Peer::Tcp(address) | Peer::Udp(address) => Some(address.ip()),
            _ => None,
        };
        if known.and_then(|ip| cx.peer_names.ask(self.id, ip).ok()).is_none() {
            cx.deferred.push_back(Deferred::NoPeerName(self.id));
        }
    }

    // -- what the core uses

    pub(crate) fn set_timer_at(&mut self, at: Option<Instant>) {
        if at.is_some() || self.attached.is_some() {
            self.attached().timer = at;
        }
    }

    pub(crate) fn set_timeout_at(&mut self, at: Option<Instant>) {
        if at.is_none() && self.attached.is_none() {
            return;
        }
        let stays = self.protocol.is_none();
        let attached = self.attached();
        (attached.timeout, attached.timeout_stays) = (at, stays);
    }

    pub(crate) fn attached(&mut self) -> &mut Attached {
        self.attached.get_or_insert_default()
    }

    pub(crate) fn idle_timeout(&self) -> Option<Duration> {
        self.attached.as_ref()?.idle_timeout
    }

    pub(crate) fn set_idle_timeout(&mut self, after: Option<Duration>) {
        if after.is_some() {
            self.attached().idle_timeout = after;
        }
    }

    /// Has it try again later what the system had no memory for.
    pub(crate) fn try_again_at(&mut self, at: Option<Instant>) {
        let attached = self.attached();
        attached.try_again = attached.try_again.or(at);
    }

    /// The first of its times, and what is to happen then.
    pub(crate) fn next_alarm(&self) -> Option<(Instant, Alarm)> {
        let role = self.deadline.map(|at| (at, Alarm::Role));
        let Some(attached) = &self.attached else { return role };
        let timer = attached.timer.map(|at| (at, Alarm::Timer));
        let timeout = attached.timeout.map(|at| (at, Alarm::Timeout));
        let try_again = attached.try_again.map(|at| (at, Alarm::TryAgain));
        [role, timer, timeout, try_again].into_iter().flatten().min()
    }

    /// Takes the first of its times out, if it is no later than `at`.
    pub(crate) fn take_alarm(&mut self, at: Instant) -> Option<Alarm> {
        let (_, alarm) = self.next_alarm().filter(|(next, _)| *next <= at)?;
        match alarm {
            Alarm::Role => self.deadline = None,
            Alarm::Timer => self.attached().timer = None,
            Alarm::Timeout => self.attached().timeout = None,
            Alarm::TryAgain => self.attached().try_again = None,
        }
        Some(alarm)
    }

    /// Whether a protocol waits for a time of its own.
    pub(crate) fn has_alarms(&self) -> bool {
        self.attached.as_ref().is_some_and(|attached| attached.timer.is_some() || attached.timeout.is_some())
    }

    /// The times that a protocol has set go with it.
    pub(crate) fn cancel_alarms(&mut self) {
        if let Some(attached) = &mut self.attached {
            attached.timer = None;
            attached.timeout = attached.timeout.filter(|_| attached.timeout_stays);
        }
    }
}
