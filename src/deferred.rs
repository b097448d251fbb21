//! What callbacks ask of other connections and of vhosts. It is done once they have returned, so that no callback ever runs inside of
//! another one.
//!
//! It is done in rounds: what is asked for meanwhile is for the next one, which comes after another connection had its turn. So
//! protocols that keep telling each other things starve nobody.

use std::any::Any;
use std::mem;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::cx::Cx;
use crate::protocol;
use crate::reason::{Reason, VhostReason};
use crate::role::CloseReason;
use crate::slots::Slots;
use crate::vhost::{ProtocolIndex, VhostId};
use crate::ws::CloseCode;
use crate::wsi::{Wsi, WsiId};

/// What is done as soon as no callback runs.
pub(crate) enum Deferred {
    Writable(WsiId),
    WritableAll(VhostId, ProtocolIndex),
    FlowControl(WsiId, bool),
    /// For the connection that is in hand; others have theirs set at once.
    Timer(WsiId, Option<Instant>),
    Timeout(WsiId, Option<Instant>),
    Opaque(WsiId, Rc<dyn Any>),
    /// Everybody who is bound to the protocol hears `User`.
    UserAll(VhostId, ProtocolIndex, u32),
    User(WsiId, ProtocolIndex, u32),
    /// Every protocol of the vhost does.
    VhostUserAll(VhostId, u32),
    VhostUser(VhostId, ProtocolIndex, u32),
    Close(WsiId, &'static str),
    /// A WebSocket says why.
    CloseWith(WsiId, CloseCode, Box<str>),
    /// It has said nothing for too long, for others of its address wait.
    Undecided(WsiId),
    /// A connection was begun with a parent.
    Child {
        parent: WsiId,
        child: WsiId,
    },
    /// It has closed.
    ChildClosing {
        parent: WsiId,
        child: WsiId,
    },
    Deprecate,
    CloseWebSockets,
    /// Its peer has no address whose name could be looked up.
    NoPeerName(WsiId),
    InitProtocols(VhostId),
    DestroyVhost(VhostId),
}

impl Cx {
    /// Asks for another connection's writeable callback (`lws_callback_on_writable`).
    pub fn callback_on_writable(&mut self, id: WsiId) {
        self.deferred.push_back(Deferred::Writable(id));
    }

    /// Asks for the writeable callback of every connection of a vhost that is bound to a protocol
    /// (`lws_callback_on_writable_all_protocol_vhost`). To ask again before it is done, with each of many messages say, costs nothing.
    pub fn callback_on_writable_all_protocol(&mut self, vhost: VhostId, protocol: &str) {
        let Some(index) = self.vhost(vhost).and_then(|vhost| vhost.find_protocol(protocol)) else { return };
        if self.enabled_mut(vhost, index).is_some_and(|enabled| !mem::replace(&mut enabled.tells_all, true)) {
            self.deferred.push_back(Deferred::WritableAll(vhost, index));
        }
    }

    /// Has every connection of a vhost that is bound to a protocol hear [`Reason::User`], the one in hand too
    /// (`lws_callback_all_protocol_vhost`).
    pub fn callback_all_protocol(&mut self, vhost: VhostId, protocol: &str, n: u32) {
        if let Some(index) = self.vhost(vhost).and_then(|vhost| vhost.find_protocol(protocol)) {
            self.deferred.push_back(Deferred::UserAll(vhost, index, n));
        }
    }

    /// Has every protocol of a vhost hear [`VhostReason::User`], the one that asks too (`lws_callback_vhost_protocols_vhost`).
    pub fn callback_vhost_protocols(&mut self, vhost: VhostId, n: u32) {
        self.deferred.push_back(Deferred::VhostUserAll(vhost, n));
    }

    /// [`Wsi::set_timer`] of another connection. One that is still being made has no protocol yet that could hear it.
    pub fn set_timer(&mut self, id: WsiId, after: Duration) {
        self.set_timer_at(id, self.later(after));
    }

    /// [`Wsi::cancel_timer`] of another connection.
    pub fn cancel_timer(&mut self, id: WsiId) {
        self.set_timer_at(id, None);
    }

    /// [`Wsi::set_timeout`] of another connection. One that is still being made has no protocol yet that the timeout could go with: it
    /// stays until it is cancelled.
    pub fn set_timeout(&mut self, id: WsiId, after: Duration) {
        self.set_timeout_at(id, self.later(after));
    }

    /// [`Wsi::cancel_timeout`] of another connection.
    pub fn cancel_timeout(&mut self, id: WsiId) {
        self.set_timeout_at(id, None);
    }

    /// [`Wsi::set_opaque_user_data`] of another connection, such as one that was just begun.
    pub fn set_opaque_user_data(&mut self, id: WsiId, data: Rc<dyn Any>) {
        match self.slots.get_mut(id) {
            Some(wsi) => wsi.set_opaque_user_data(data),
            None => self.deferred.push_back(Deferred::Opaque(id, data)),
        }
    }

    /// [`Wsi::rx_flow_control`] of another connection. (Of the one in hand it comes behind its turn, in which it may still receive.)
    pub fn rx_flow_control(&mut self, id: WsiId, on: bool) {
        self.deferred.push_back(Deferred::FlowControl(id, on));
    }

    /// Closes another connection once this callback has returned (`lws_set_timeout(.., LWS_TO_KILL_ASYNC)`). What is queued on
    /// it is still sent, within [`limits::DRAIN_TIME`](crate::limits::DRAIN_TIME).
    pub fn close_later(&mut self, id: WsiId) {
        self.deferred.push_back(Deferred::Close(id, "asked for by its protocol"));
    }

    /// The same for a WebSocket that is told why, in the words of [`Wsi::close_with`] (`lws_close_reason` of another connection, and then
    /// `lws_set_timeout(.., LWS_TO_KILL_ASYNC)`). It hears that behind what is queued, if it takes that within
    /// [`limits::DRAIN_TIME`](crate::limits::DRAIN_TIME), and unless its closing handshake has begun already. A connection in another role is closed without a word.
    pub fn close_later_with(&mut self, id: WsiId, code: CloseCode, text: &str) {
        self.deferred.push_back(Deferred::CloseWith(id, code, text.into()));
    }

    /// [`Context::destroy_vhost`](crate::Context::destroy_vhost), once this callback has returned.
    pub fn destroy_vhost_later(&mut self, id: VhostId) {
        self.deferred.push_back(Deferred::DestroyVhost(id));
    }

    // -- what the core uses

    fn set_timer_at(&mut self, id: WsiId, at: Option<Instant>) {
        match self.slots.get_mut(id) {
            Some(wsi) => {
                wsi.set_timer_at(at);
                self.timers.arm(wsi);
            }
            None => self.deferred.push_back(Deferred::Timer(id, at)),
        }
    }

    fn set_timeout_at(&mut self, id: WsiId, at: Option<Instant>) {
        match self.slots.get_mut(id) {
            Some(wsi) => {
                wsi.set_timeout_at(at);
                self.timers.arm(wsi);
            }
            None => self.deferred.push_back(Deferred::Timeout(id, at)),
        }
    }

    /// One round.
    pub(crate) fn run_deferred(&mut self) {
        for _ in 0..self.deferred.len() {
            let Some(deferred) = self.deferred.pop_front() else { return };
            self.run_one(deferred);
        }
    }

    fn run_one(&mut self, deferred: Deferred) {
        match deferred {
            Deferred::Writable(id) => self.change(id, |wsi| wsi.callback_on_writable()),
            Deferred::WritableAll(vhost, protocol) => {
                if let Some(enabled) = self.enabled_mut(vhost, protocol) {
                    enabled.tells_all = false;
                }
                let all: Vec<WsiId> = bound(&self.slots, vhost, protocol).collect();
                all.into_iter().for_each(|id| self.change(id, |wsi| wsi.callback_on_writable()));
            }
            Deferred::FlowControl(id, on) => self.change(id, |wsi| wsi.rx_flow_control(on)),
            Deferred::Timer(id, at) => self.change(id, |wsi| wsi.set_timer_at(at)),
            Deferred::Timeout(id, at) => self.change(id, |wsi| wsi.set_timeout_at(at)),
            Deferred::Opaque(id, data) => self.change(id, |wsi| wsi.set_opaque_user_data(data)),
            Deferred::UserAll(vhost, protocol, n) => {
                self.deferred.extend(bound(&self.slots, vhost, protocol).map(|id| Deferred::User(id, protocol, n)));
            }
            Deferred::User(id, protocol, n) => {
                if self.slots.get(id).is_some_and(|wsi| wsi.protocol == Some(protocol)) {
                    self.hear(id, Reason::User(n));
                }
            }
            Deferred::VhostUserAll(vhost, n) => {
                let protocols = self.vhost(vhost).map_or(0, |vhost| vhost.protocols.len()) as ProtocolIndex;
                self.deferred.extend((0..protocols).map(|protocol| Deferred::VhostUser(vhost, protocol, n)));
            }
            Deferred::VhostUser(vhost, protocol, n) => {
                protocol::tell_vhost(self, vhost, protocol, VhostReason::User(n))
            }
            Deferred::Close(id, why) => self.close_now(id, CloseReason::Refused(why.into())),
            Deferred::CloseWith(id, code, text) => {
                if let Some(wsi) = self.slots.get_mut(id) {
                    let _closed_in_any_case = wsi.close_with(code, &text);
                }
                self.close_now(id, CloseReason::by_protocol());
            }
            Deferred::Undecided(id) => self.make_room_of(id),
            Deferred::Child { parent, child } => self.add_child(parent, child),
            Deferred::ChildClosing { parent, child } => self.hear(parent, Reason::ChildClosing(child)),
            Deferred::NoPeerName(id) => self.hear(id, Reason::PeerName(None)),
            Deferred::InitProtocols(id) => self.init_vhost_later(id),
            Deferred::DestroyVhost(id) => self.destroy_vhost(id),
            Deferred::Deprecate => self.deprecate(),
            Deferred::CloseWebSockets => self.close_websockets(),
        }
    }

    /// Changes a connection, if it is still there, and has its role look at it.
    fn change(&mut self, id: WsiId, change: impl FnOnce(&mut Wsi)) {
        if let Some(wsi) = self.slots.get_mut(id) {
            change(wsi);
            self.timers.arm(wsi);
            self.run.push(wsi);
        }
    }

    fn add_child(&mut self, parent: WsiId, child: WsiId) {
        if self.slots.get(child).is_none_or(|child| child.flags.draining) {
            return self.hear(parent, Reason::ChildClosing(child));
        }
        match self.slots.get_mut(parent).filter(|parent| !parent.flags.draining) {
            Some(parent) => parent.attached().children.push(child),
            None => return self.close_now(child, CloseReason::Refused("its parent has closed".into())),
        }
        if let Some(child) = self.slots.get_mut(child) {
            child.flags.is_child = true;
        }
    }
}

/// The connections of a vhost that are bound to a protocol.
fn bound(slots: &Slots, vhost: VhostId, protocol: ProtocolIndex) -> impl Iterator<Item = WsiId> {
    slots.iter().filter(move |wsi| wsi.vhost == vhost && wsi.protocol == Some(protocol)).map(|wsi| wsi.id())
}

#[cfg(test)]
mod tests {
    use crate::context::{Context, ContextInfo};
    use crate::vhost_info::VhostInfo;

    #[test]
    fn all_are_looked_for_once_however_often_they_are_asked_for() {
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        let vhost = context.create_vhost(VhostInfo::default()).expect("a vhost");
        let cx = context.cx();
        cx.run_deferred();
        for _ in 0..2 {
            for _ in 0..9000 {
                cx.callback_on_writable_all_protocol(vhost, "http-dummy");
            }
            assert_eq!(cx.deferred.len(), 1);
            cx.run_deferred();
        }
    }
}
