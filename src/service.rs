//! One connection's turn: take it out, let its role work, do what the role wants, put it back.

use std::io;
use std::mem;
use std::time::Instant;

use crate::cx::{Cx, Deferred, enqueue};
use crate::limits;
use crate::role::{Binding, CloseReason, Next, Role};
use crate::wsi::{Doing, Wsi, WsiId};

/// Why a connection gets a turn.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Ready,
    Timeout,
}

impl Cx {
    fn service(&mut self, id: WsiId) {
        if let Some(wsi) = self.slots.take(id) {
            self.turn(wsi, Turn::Ready);
            self.run_deferred();
        }
    }

    /// A turn because of an event, for who does not have one coming.
    pub(crate) fn service_unless_queued(&mut self, id: WsiId) {
        if self.slots.get_mut(id).is_some_and(|wsi| !wsi.flags.queued) {
            self.service(id);
        }
    }

    /// Everybody who is in the run queue now, once.
    pub(crate) fn service_run_queue(&mut self) {
        for _ in 0..self.run.len() {
            let Some(id) = self.run.pop_front() else { return };
            if let Some(wsi) = self.slots.get_mut(id) {
                wsi.flags.queued = false;
                self.service(id);
            }
        }
    }

    /// Everybody whose deadline has passed.
    pub(crate) fn service_timers(&mut self) {
        while let Some(id) = self.timers.pop_due(self.now) {
            let Some(mut wsi) = self.slots.take(id) else { continue };
            wsi.armed = None;
            match wsi.deadline {
                Some(deadline) if deadline <= self.now => {
                    wsi.deadline = None;
                    self.turn(wsi, Turn::Timeout);
                    self.run_deferred();
                }
                // It moved on since the entry was made.
                _ => {
                    self.timers.arm(&mut wsi);
                    self.slots.put_back(wsi);
                }
            }
        }
    }

    /// Closes a connection from outside any callback.
    pub(crate) fn close_id(&mut self, id: WsiId, reason: CloseReason) {
        self.close_now(id, reason);
        self.run_deferred();
    }

    /// Who is on the way out already stays on it. Who has not begun does so first: its role tells whoever waits for it.
    fn close_now(&mut self, id: WsiId, reason: CloseReason) {
        if self.slots.get_mut(id).is_some_and(|wsi| matches!(wsi.doing, Doing::Starting(_)))
            && let Some(wsi) = self.slots.take(id)
        {
            self.turn(wsi, Turn::Ready);
        }
        if self.slots.get_mut(id).is_some_and(|wsi| !wsi.flags.draining)
            && let Some(wsi) = self.slots.take(id)
        {
            self.settle(wsi, Next::Close(reason));
        }
    }

    /// What callbacks asked of other connections, until nothing is left to do.
    pub(crate) fn run_deferred(&mut self) {
        while let Some(deferred) = self.deferred.pop_front() {
            match deferred {
                Deferred::Writable(id) => {
                    if let Some(wsi) = self.slots.get_mut(id) {
                        wsi.flags.want_writeable = true;
                        enqueue(&mut self.run, wsi);
                    }
                }
                Deferred::WritableAll(vhost, protocol) => {
                    let bound = |wsi: &&Wsi| wsi.vhost == vhost && wsi.protocol == Some(protocol);
                    let all = self.slots.iter().filter(bound).map(|wsi| Deferred::Writable(wsi.id));
                    self.deferred.extend(all);
                }
                Deferred::Close(id) => {
                    self.close_now(id, CloseReason::by_protocol());
                }
            }
        }
    }

    fn turn(&mut self, mut wsi: Box<Wsi>, turn: Turn) {
        let next = match mem::replace(&mut wsi.doing, Doing::Lent) {
            Doing::Starting(binding) => Next::Become(binding),
            Doing::Role(role) => self.role_turn(&mut wsi, role, turn),
            Doing::Lent => Next::Stay,
        };
        self.settle(wsi, next);
    }

    fn role_turn(&mut self, wsi: &mut Wsi, mut role: Box<dyn Role>, turn: Turn) -> Next {
        let next = match turn {
            Turn::Timeout => role.on_timeout(wsi, self),
            Turn::Ready => match wsi.flush(&self.registry) {
                Ok(()) => role.on_ready(wsi, self),
                Err(error) => Next::Close(CloseReason::Lost(error)),
            },
        };
        wsi.doing = Doing::Role(role);
        next
    }

    /// Does what the role wants, and puts the connection back or frees it.
    fn settle(&mut self, mut wsi: Box<Wsi>, mut next: Next) {
        let mut swaps = 0;
        loop {
            match next {
                Next::Become(_) if swaps == limits::SWAPS => {
                    next = Next::Close(CloseReason::Lost(io::Error::other("its roles hand it around")));
                }
                Next::Become(binding) => {
                    swaps += 1;
                    next = self.swap(&mut wsi, binding);
                }
                Next::Close(reason) => match self.end(&mut wsi, reason) {
                    Some(drain) => next = Next::Become(drain),
                    None => return self.free(wsi),
                },
                Next::Again => {
                    enqueue(&mut self.run, &mut wsi);
                    break;
                }
                Next::Stay => break,
            }
        }
        // What TLS has to say by itself, such as an alert, nobody else sends.
        if wsi.io.pending()
            && let Err(error) = wsi.flush(&self.registry)
        {
            log::debug!("{}: {error}", self.tag(&wsi));
        }
        self.timers.arm(&mut wsi);
        self.slots.put_back(wsi);
    }

    /// The new role gets its first turn at once: bytes may be waiting for it.
    fn swap(&mut self, wsi: &mut Wsi, binding: Binding) -> Next {
        log::debug!("{}: becomes {}", self.tag(wsi), binding.role.name());
        wsi.role_name = binding.role.name();
        wsi.doing = Doing::Lent;
        match binding.role.bind(wsi, self, binding.protocol) {
            Ok(role) => self.role_turn(wsi, role, Turn::Ready),
            Err(reason) => Next::Close(reason),
        }
    }

    /// The role's last words. What becomes of the connection then: `None` is nothing, it can be freed.
    fn end(&mut self, wsi: &mut Wsi, reason: CloseReason) -> Option<Binding> {
        if let Doing::Role(mut role) = mem::replace(&mut wsi.doing, Doing::Lent) {
            role.on_close(wsi, self);
        }
        match reason {
            CloseReason::Drained => {}
            CloseReason::Ignored => log::debug!("{}: {reason}", self.tag(wsi)),
            _ => log::info!("{}: {reason}", self.tag(wsi)),
        }
        for other in [wsi.parent.take(), wsi.link.take()].into_iter().flatten() {
            if let Some(other) = self.slots.get_mut(other) {
                // Whoever ends TLS for others vouches for its ends.
                other.flags.cut_off = !matches!(reason, CloseReason::Done);
                enqueue(&mut self.run, other);
            }
        }
        // Closing a socket with unread input makes the system send a reset, which may overtake what was sent last.
        let unread = !wsi.io.eof() && (wsi.io.readable() || reason.interrupts());
        let open_end = !wsi.is_flushed() || unread;
        wsi.flags.draining = reason.is_gentle() && wsi.io.is_stream() && !wsi.io.dead() && open_end;
        if !wsi.flags.draining && !matches!(reason, CloseReason::Lost(_) | CloseReason::Drained) {
            wsi.say_goodbye();
        }
        wsi.flags.draining.then(|| Binding { role: self.role("drain"), protocol: None })
    }

    fn free(&mut self, mut wsi: Box<Wsi>) {
        self.timers.disarm(&mut wsi);
        self.slots.free(wsi);
    }

    /// Sets the time of this turn of the loop.
    pub(crate) fn set_now(&mut self, now: Instant) {
        // Injected times may be in the past of a real one; time still never runs backwards.
        self.now = self.now.max(now);
    }
}
