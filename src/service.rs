//! One connection's turn: take it out, let its role work, do what the role wants, put it back.

use std::io;
use std::mem;
use std::time::Instant;

use crate::attached::Alarm;
use crate::connect;
use crate::cx::Cx;
use crate::deferred::Deferred;
use crate::limits;
use crate::protocol::{self, FIRST, Verdict};
use crate::reason::{Reason, VhostReason};
use crate::role::{Binding, CloseReason, Next, Role};
use crate::timers::{Chore, Due};
use crate::transport::READING;
use crate::wsi::{Doing, Origin, Wsi, WsiId};

/// Why a connection gets a turn.
#[derive(Clone, Copy)]
enum Turn<'a> {
    Ready,
    /// Its role's deadline has passed.
    Timeout,
    /// Its protocol hears something that no role has to do with.
    Hears(Reason<'a>),
}

impl Cx {
    fn service(&mut self, id: WsiId) {
        if self.look_at(id) {
            self.run_deferred();
        }
    }

    /// A turn, without what is asked of others in it. Whether the connection was there.
    pub(crate) fn look_at(&mut self, id: WsiId) -> bool {
        let Some(wsi) = self.slots.take(id) else { return false };
        self.turn(wsi, Turn::Ready);
        true
    }

    /// A turn because of an event, for who does not have one coming: at once, or in the lane of those who move much.
    pub(crate) fn service_event(&mut self, id: WsiId) {
        match self.slots.get_mut(id) {
            Some(wsi) if wsi.is_bulk() => self.run.push(wsi),
            Some(wsi) if !wsi.flags.queued => self.service(id),
            _ => {}
        }
    }

    /// Everybody who is in the prompt lane of the run queue now, once; then a few of the other.
    pub(crate) fn service_run_queue(&mut self) {
        for _ in 0..self.run.prompt() {
            let Some(id) = self.run.pop_prompt() else { break };
            self.service_queued(id);
        }
        for _ in 0..self.run.bulk().min(limits::BULK_TURNS) {
            let Some(id) = self.run.pop_bulk() else { break };
            self.service_queued(id);
        }
    }

    fn service_queued(&mut self, id: WsiId) {
        if let Some(wsi) = self.slots.get_mut(id) {
            wsi.flags.queued = false;
            self.service(id);
        }
    }

    /// Everybody whose time has come, in order.
    pub(crate) fn service_timers(&mut self) {
        while let Some(due) = self.timers.pop_due(self.now) {
            match due {
                Due::Wsi(id, at) => self.alarm(id, at),
                Due::Chore(Chore::Pipes) => self.pipes.tidy(),
                Due::Chore(Chore::Keepalive) => self.keep_grown_up_alive(),
                Due::Sul(sul, vhost, protocol) => protocol::tell_vhost(self, vhost, protocol, VhostReason::Sul(sul)),
            }
            self.run_deferred();
        }
    }

    /// What a connection waits for at a time. If it has moved on since the entry was made, it comes in its order among the others.
    fn alarm(&mut self, id: WsiId, at: Instant) {
        let Some(mut wsi) = self.slots.take(id) else { return };
        wsi.armed = None;
        match wsi.take_alarm(at) {
            Some(Alarm::Role) => self.turn(wsi, Turn::Timeout),
            Some(Alarm::TryAgain) => {
                wsi.io.try_again();
                self.turn(wsi, Turn::Ready);
            }
            Some(Alarm::Timer) => self.turn(wsi, Turn::Hears(Reason::Timer)),
            Some(Alarm::Timeout) => self.settle(wsi, Next::Close(CloseReason::Timeout("its protocol's timeout"))),
            None => self.settle(wsi, Next::Stay),
        }
    }

    /// Has the protocol of a connection hear something.
    pub(crate) fn hear(&mut self, id: WsiId, reason: Reason<'_>) {
        if self.slots.get(id).is_some_and(|wsi| wsi.protocol.is_some())
            && let Some(wsi) = self.slots.take(id)
        {
            self.turn(wsi, Turn::Hears(reason));
        }
    }

    /// Closes a connection; not for use in callbacks. Who is on the way out already stays on it.
    pub(crate) fn close_now(&mut self, id: WsiId, reason: CloseReason) {
        if self.slots.get_mut(id).is_some_and(|wsi| !wsi.flags.draining)
            && let Some(mut wsi) = self.slots.take(id)
        {
            if let Doing::Starting(first) = wsi.doing {
                wsi.doing = Doing::Lent;
                let _is_refused_anyway = self.announce(&mut wsi);
                if wsi.origin == Origin::Client {
                    connect::came_to_nothing(&mut wsi, self, first.protocol, "closed before it was begun");
                }
            }
            self.settle(wsi, Next::Close(reason));
        }
    }

    /// Ends a connection that is in role drain, without waiting for its peer.
    pub(crate) fn cut_off(&mut self, id: WsiId) {
        if let Some(wsi) = self.slots.take(id) {
            self.settle(wsi, Next::Close(CloseReason::Drained));
        }
    }

    fn turn(&mut self, mut wsi: Box<Wsi>, turn: Turn<'_>) {
        let next = match mem::replace(&mut wsi.doing, Doing::Lent) {
            Doing::Starting(first) => self.introduce(&mut wsi, first),
            Doing::Role(role) => self.role_turn(&mut wsi, role, turn),
            Doing::Lent | Doing::Closing(_) => Next::Stay,
        };
        self.settle(wsi, next);
    }

    /// A connection's first turn.
    fn introduce(&mut self, wsi: &mut Wsi, first: Binding) -> Next {
        if self.announce(wsi) != Verdict::Close {
            return Next::Become(first);
        }
        if wsi.origin == Origin::Client {
            connect::came_to_nothing(wsi, self, first.protocol, "its vhost does not want it");
        }
        Next::Close(CloseReason::by_protocol())
    }

    /// The first protocol of the vhost may have something against a new connection.
    fn announce(&mut self, wsi: &mut Wsi) -> Verdict {
        if wsi.origin == Origin::Listening {
            return Verdict::Continue;
        }
        let vhost = wsi.vhost;
        wsi.created_on = Some(vhost);
        let verdict = protocol::ask_first(self, vhost, VhostReason::WsiCreate(wsi));
        if verdict == Verdict::Close || wsi.origin != Origin::Accepted {
            return verdict;
        }
        protocol::ask_first(self, vhost, VhostReason::ServerNewClientInstantiated(wsi))
    }

    fn role_turn(&mut self, wsi: &mut Wsi, mut role: Box<dyn Role>, turn: Turn<'_>) -> Next {
        wsi.tx.borrow(&mut self.room);
        let next = match turn {
            Turn::Timeout => role.on_timeout(wsi, self),
            Turn::Hears(reason) if protocol::call(wsi, self, reason) == Verdict::Close => {
                Next::Close(CloseReason::by_protocol())
            }
            Turn::Hears(_) | Turn::Ready => match wsi.flush(&self.registry) {
                Ok(()) => role.on_ready(wsi, self),
                Err(error) => Next::Close(CloseReason::Lost(error)),
            },
        };
        wsi.tx.give_back(&mut self.room);
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
                Next::Stay | Next::Again if mem::take(&mut wsi.flags.unpolled) => {
                    if let Err(error) = wsi.io.register(&self.registry, wsi.id.token(), READING) {
                        let told = self.warned.unpolled.tell(self.now);
                        told.log(format_args!("{}: it cannot be polled: {error}", self.tag(&wsi)));
                        next = Next::Close(CloseReason::Lost(error));
                    }
                }
                Next::Again => {
                    self.run.push(&mut wsi);
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
        if wsi.io.is_short_of_memory() {
            wsi.try_again_at(self.after(limits::MEMORY_PAUSE));
        }
        self.timers.arm(&mut wsi);
        self.slots.put_back(wsi);
    }

    /// The new role gets its first turn at once: bytes may be waiting for it.
    fn swap(&mut self, wsi: &mut Wsi, binding: Binding) -> Next {
        log::debug!("{}: becomes {}", self.tag(wsi), binding.role.name());
        wsi.enter_role(binding.role.name());
        if !binding.role.is_undecided() {
            self.decided(wsi);
        }
        self.note_role(wsi, binding);
        wsi.doing = Doing::Lent;
        match binding.role.bind(wsi, self, binding.protocol) {
            Ok(role) => self.role_turn(wsi, role, Turn::Ready),
            Err(reason) => Next::Close(reason),
        }
    }

    /// The role's last words. What becomes of the connection then: `None` is nothing, it can be freed.
    fn end(&mut self, wsi: &mut Wsi, reason: CloseReason) -> Option<Binding> {
        let reason = match mem::replace(&mut wsi.doing, Doing::Lent) {
            Doing::Role(mut role) => last_words(&mut *role, wsi, self, reason),
            _ => reason,
        };
        match reason {
            CloseReason::Drained => {}
            CloseReason::Ignored | CloseReason::TooMany => log::debug!("{}: {reason}", self.tag(wsi)),
            _ => log::info!("{}: {reason}", self.tag(wsi)),
        }
        self.note_end(wsi, &reason);
        self.tell_relatives(wsi, &reason);
        // Input that comes to a closed socket, or is unread when it is closed, makes the system send a reset, which may overtake what was sent
        // last. Who has said more than was served may be about to say more still, and over TLS everybody says that he ends.
        let says_more = wsi.io.readable() || !wsi.rx.is_empty() || wsi.io.tls().is_some() || reason.interrupts();
        let unread = wsi.io.is_stream() && !wsi.io.eof() && says_more;
        let open_end = !wsi.is_flushed() || unread;
        wsi.flags.lingers = reason.has_answered();
        let is_gentle = reason.is_gentle() && !wsi.flags.truncated;
        wsi.flags.draining = is_gentle && wsi.io.is_open() && !wsi.io.dead() && open_end;
        if !wsi.flags.draining && wsi.has_sent_all() && !matches!(reason, CloseReason::Lost(_) | CloseReason::Drained) {
            wsi.say_goodbye();
        }
        wsi.flags.draining.then(|| Binding { role: self.role("drain"), protocol: None })
    }

    /// The other half of a relay ends with this one; so do its children.
    fn tell_relatives(&mut self, wsi: &mut Wsi, reason: &CloseReason) {
        let parent = wsi.parent.take();
        if let Some(parent) = parent.filter(|_| mem::take(&mut wsi.flags.is_child)) {
            if let Some(parent) = self.slots.get_mut(parent) {
                parent.attached().children.retain(|child| *child != wsi.id);
            }
            self.deferred.push_back(Deferred::ChildClosing { parent, child: wsi.id });
        }
        let me = wsi.id;
        let partner = wsi.link.take().or(parent.filter(|id| self.slots.get(*id).is_some_and(|it| it.link == Some(me))));
        if let Some(partner) = partner.and_then(|id| self.slots.get_mut(id)) {
            // Whoever ends TLS for others vouches for its ends.
            partner.flags.cut_off = !matches!(reason, CloseReason::Done);
            if let Some(facts) = &mut partner.facts {
                facts.note_partner_ended(reason);
            }
            self.run.push(partner);
        }
        let children = wsi.attached.as_mut().map(|attached| mem::take(&mut attached.children));
        let close = |child| Deferred::Close(child, "its parent has closed");
        self.deferred.extend(children.into_iter().flatten().map(close));
    }

    /// The last words about a connection.
    fn free(&mut self, mut wsi: Box<Wsi>) {
        self.log_facts(&mut wsi);
        self.timers.disarm(&mut wsi);
        if wsi.flags.counted {
            self.peer_limits.release(&wsi.peer);
        }
        self.decided(&mut wsi);
        if wsi.flags.foreign {
            wsi.io.deregister(&self.registry);
        }
        if wsi.flags.truncated {
            wsi.io.reset_on_close();
        }
        self.call_destroyed(&mut wsi);
        wsi.leave_role();
        self.slots.free(wsi);
    }

    /// Tells the vhost that heard of its beginning.
    pub(crate) fn call_destroyed(&mut self, wsi: &mut Wsi) {
        if let Some(vhost) = wsi.created_on.take() {
            protocol::tell_vhost(self, vhost, FIRST, VhostReason::WsiDestroy(wsi));
        }
    }

    /// Sets the time of this turn of the loop.
    pub(crate) fn set_now(&mut self, now: Instant) {
        // Injected times may be in the past of a real one; time still never runs backwards.
        self.now = self.now.max(now);
    }
}

/// A role's last call, in which the connection knows why it ends.
pub(crate) fn last_words(role: &mut dyn Role, wsi: &mut Wsi, cx: &mut Cx, reason: CloseReason) -> CloseReason {
    wsi.doing = Doing::Closing(reason);
    role.on_close(wsi, cx);
    match mem::replace(&mut wsi.doing, Doing::Lent) {
        Doing::Closing(reason) => reason,
        _ => CloseReason::Done,
    }
}
