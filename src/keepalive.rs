//! TCP keepalive, by which a peer is noticed that vanished without a word.
//!
//! What a listen socket accepts inherits it from there. A connection of our own has to be told, which takes four system calls: too many for
//! one that is over in a moment, as most are where there are many. So it is told when it has been there for a while.
//!
//! ```text
//!   connected ──▶ Young, for KEEPALIVE_AFTER ──┬── still there: told
//!                                              └── gone: nothing
//! ```
//!
//! Until then it has no need of it: the first question would come after [`limits::KEEPALIVE_IDLE`]. In lws: `ka_time` and its like, set at once.

use std::collections::VecDeque;
use std::time::Instant;

use socket2::TcpKeepalive;

use crate::cx::Cx;
use crate::limits;
use crate::timers::Chore;
use crate::wsi::WsiId;

/// Peers that vanish without a word are noticed in a few minutes.
pub(crate) fn settings() -> TcpKeepalive {
    TcpKeepalive::new()
        .with_time(limits::KEEPALIVE_IDLE)
        .with_interval(limits::KEEPALIVE_INTERVAL)
        .with_retries(limits::KEEPALIVE_PROBES)
}

/// Connections of our own that are still to be told, in the order in which they came to be, with the time for it.
#[derive(Default)]
pub(crate) struct Young(VecDeque<(Instant, WsiId)>);

impl Cx {
    /// Has the system look after a connection of our own, once it has been there for a while.
    pub(crate) fn keep_alive(&mut self, id: WsiId) {
        let at = self.now + limits::KEEPALIVE_AFTER;
        self.young.0.push_back((at, id));
        self.timers.arm_chore(Chore::Keepalive, || at);
    }

    /// Tells those whose time has come, a few of them in a turn. Who has gone costs nothing, so that what waits is what came in
    /// [`limits::KEEPALIVE_AFTER`].
    pub(crate) fn keep_grown_up_alive(&mut self) {
        let Cx { young: Young(young), slots, now, .. } = self;
        let mut told = 0;
        while told < limits::KEEPALIVE_BATCH
            && let Some((_, id)) = young.front().copied().filter(|(at, _)| at <= now)
        {
            young.pop_front();
            if let Some(wsi) = slots.get(id) {
                wsi.io.keep_alive();
                told += 1;
            }
        }
        let Some((next, _)) = young.front() else { return *young = VecDeque::new() };
        let wait = next.saturating_duration_since(self.now);
        if let Some(at) = self.later(wait) {
            self.timers.arm_chore(Chore::Keepalive, || at);
        }
    }
}
