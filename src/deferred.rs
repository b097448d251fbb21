//! What callbacks ask of other connections and of vhosts. It is done once they have returned, so that no callback ever runs inside of
//! another one.

use crate::cx::{Cx, enqueue};
use crate::protocol;
use crate::reason::{Reason, VhostReason};
use crate::role::CloseReason;
use crate::slots::Slots;
use crate::vhost::{ProtocolIndex, VhostId};
use crate::wsi::WsiId;

/// What is done as soon as no callback runs.
pub(crate) enum Deferred {
    Writable(WsiId),
    WritableAll(VhostId, ProtocolIndex),
    FlowControl(WsiId, bool),
    User(VhostId, ProtocolIndex, u32),
    Close(WsiId, &'static str),
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
    InitProtocols(VhostId),
    DestroyVhost(VhostId),
    Deprecate,
}

/// Who hears what, in a step of the loop's turn, so that protocols that keep telling each other starve nobody.
pub(crate) enum Broadcast {
    Wsi(WsiId, ProtocolIndex, u32),
    /// Its peer has no address whose name could be looked up.
    NoPeerName(WsiId),
    Vhost(VhostId, ProtocolIndex, u32),
}

impl Cx {
    /// Asks for another connection's writeable callback (`lws_callback_on_writable`).
    pub fn callback_on_writable(&mut self, id: WsiId) {
        self.deferred.push_back(Deferred::Writable(id));
    }

    /// Asks for the writeable callback of every connection of a vhost that is bound to a protocol
    /// (`lws_callback_on_writable_all_protocol_vhost`).
    pub fn callback_on_writable_all_protocol(&mut self, vhost: VhostId, protocol: &str) {
        if let Some(index) = self.vhost(vhost).and_then(|vhost| vhost.find_protocol(protocol)) {
            self.deferred.push_back(Deferred::WritableAll(vhost, index));
        }
    }

    /// Has every connection of a vhost that is bound to a protocol hear [`Reason::User`], the one in hand too
    /// (`lws_callback_all_protocol_vhost`).
    pub fn callback_all_protocol(&mut self, vhost: VhostId, protocol: &str, n: u32) {
        if let Some(index) = self.vhost(vhost).and_then(|vhost| vhost.find_protocol(protocol)) {
            self.deferred.push_back(Deferred::User(vhost, index, n));
        }
    }

    /// Has every protocol of a vhost hear [`VhostReason::User`], the one that asks too (`lws_callback_vhost_protocols_vhost`).
    pub fn callback_vhost_protocols(&mut self, vhost: VhostId, n: u32) {
        let protocols = self.vhost(vhost).map_or(0, |vhost| vhost.protocols.len()) as ProtocolIndex;
        self.broadcasts.extend((0..protocols).map(|protocol| Broadcast::Vhost(vhost, protocol, n)));
    }

    /// [`Wsi::rx_flow_control`](crate::Wsi::rx_flow_control) of another connection.
    pub fn rx_flow_control(&mut self, id: WsiId, on: bool) {
        self.deferred.push_back(Deferred::FlowControl(id, on));
    }

    /// Closes another connection once this callback has returned (`lws_set_timeout(.., LWS_TO_KILL_ASYNC)`). What is queued on
    /// it is still sent.
    pub fn close_later(&mut self, id: WsiId) {
        self.deferred.push_back(Deferred::Close(id, "asked for by its protocol"));
    }

    /// [`Context::destroy_vhost`](crate::Context::destroy_vhost), once this callback has returned.
    pub fn destroy_vhost_later(&mut self, id: VhostId) {
        self.deferred.push_back(Deferred::DestroyVhost(id));
    }

    // -- what the core uses

    /// Does what was asked for, until nothing is left to do.
    pub(crate) fn run_deferred(&mut self) {
        while let Some(deferred) = self.deferred.pop_front() {
            self.run_one(deferred);
        }
    }

    fn run_one(&mut self, deferred: Deferred) {
        match deferred {
            Deferred::Writable(id) => {
                if let Some(wsi) = self.slots.get_mut(id) {
                    wsi.flags.want_writeable = true;
                    enqueue(&mut self.run, wsi);
                }
            }
            Deferred::WritableAll(vhost, protocol) => {
                self.deferred.extend(bound(&self.slots, vhost, protocol).map(Deferred::Writable));
            }
            Deferred::User(vhost, protocol, n) => {
                let hears = |id| Broadcast::Wsi(id, protocol, n);
                self.broadcasts.extend(bound(&self.slots, vhost, protocol).map(hears));
            }
            Deferred::FlowControl(id, on) => {
                if let Some(wsi) = self.slots.get_mut(id) {
                    wsi.rx_flow_control(on);
                    enqueue(&mut self.run, wsi);
                }
            }
            Deferred::Close(id, why) => self.close_now(id, CloseReason::Refused(why.into())),
            Deferred::Child { parent, child } => self.add_child(parent, child),
            Deferred::ChildClosing { parent, child } => self.remove_child(parent, child),
            Deferred::InitProtocols(id) => self.init_vhost_later(id),
            Deferred::DestroyVhost(id) => self.destroy_vhost(id),
            Deferred::Deprecate => self.deprecate(),
        }
    }

    /// Those who were told something before this turn's broadcasts began.
    pub(crate) fn run_broadcasts(&mut self) {
        for _ in 0..self.broadcasts.len() {
            match self.broadcasts.pop_front() {
                Some(Broadcast::Wsi(id, protocol, n)) => {
                    if self.slots.get(id).is_some_and(|wsi| wsi.protocol == Some(protocol)) {
                        self.hear(id, Reason::User(n));
                    }
                }
                Some(Broadcast::NoPeerName(id)) => self.hear(id, Reason::PeerName(None)),
                Some(Broadcast::Vhost(vhost, protocol, n)) => {
                    protocol::tell_vhost(self, vhost, protocol, VhostReason::User(n));
                }
                None => return,
            }
            self.run_deferred();
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

    fn remove_child(&mut self, parent: WsiId, child: WsiId) {
        if let Some(parent) = self.slots.get_mut(parent) {
            parent.attached().children.retain(|id| *id != child);
        }
        self.hear(parent, Reason::ChildClosing(child));
    }
}

/// The connections of a vhost that are bound to a protocol.
fn bound(slots: &Slots, vhost: VhostId, protocol: ProtocolIndex) -> impl Iterator<Item = WsiId> {
    slots.iter().filter(move |wsi| wsi.vhost == vhost && wsi.protocol == Some(protocol)).map(|wsi| wsi.id())
}
