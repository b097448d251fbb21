//! The life of vhosts: made, set listening, destroyed.

use crate::cx::Cx;
use crate::deferred::Deferred;
use crate::error::{Error, Result};
use crate::first_packet::{Decision, Listener, Moment, decide};
use crate::listen_group::{ListenGroup, ListenerId};
use crate::listening::{self, BoundAddress, ListenError};
use crate::options::Options;
use crate::protocol;
use crate::reason::VhostReason;
use crate::role::{Binding, CloseReason};
use crate::transport::Transport;
use crate::vhost::{ProtocolIndex, Vhost, VhostId};
use crate::vhost_info::{Listen, VhostInfo};
use crate::wsi::{Origin, Peer, Wsi, WsiId};

impl Cx {
    /// Makes a vhost, sets it listening, and initialises its protocols in order (`lws_create_vhost`).
    ///
    /// From inside a callback, its protocols are initialised once that has returned; should one of them fail, an error is logged and the
    /// vhost destroyed.
    ///
    /// # Errors
    /// Whatever is wrong with the configuration, naming the vhost. Nothing is left of it then. [`Error::ContextGoes`] while the context is
    /// being dropped.
    pub fn create_vhost(&mut self, info: VhostInfo) -> Result<VhostId> {
        if self.going {
            return Err(Error::ContextGoes);
        }
        let listen = info.listen.clone();
        let vhost = Vhost::new(info)?;
        let id = VhostId(self.next_vhost);
        self.next_vhost = id.0.checked_add(1).expect("fewer than 2^32 vhosts in a life");
        self.vhosts.insert(id, vhost);
        if let Err(error) = self.join_listener(id, listen) {
            self.leave_listener(id);
            self.vhosts.remove(&id);
            return Err(error);
        }
        if self.calling {
            self.deferred.push_back(Deferred::InitProtocols(id));
            return Ok(id);
        }
        let made = self.init_protocols(id);
        self.run_deferred();
        made.map(|()| id)
    }

    /// Closes the vhost's connections, tells its protocols, and lets go of its listen socket; not for use in callbacks.
    pub(crate) fn destroy_vhost(&mut self, id: VhostId) {
        let Some(vhost) = self.vhost_mut(id).filter(|vhost| !vhost.going) else { return };
        vhost.going = true;
        let protocols = vhost.protocols.len();
        self.leave_listener(id);
        for wsi in self.all(|wsi| wsi.vhost == id) {
            self.close_now(wsi, CloseReason::Refused("its vhost goes".into()));
        }
        // Some are still sending, some were led to another vhost.
        for wsi in self.all(|wsi| wsi.created_on == Some(id)) {
            if let Some(mut wsi) = self.slots.take(wsi) {
                self.call_destroyed(&mut wsi);
                self.slots.put_back(wsi);
            }
        }
        for protocol in 0..protocols {
            protocol::tell_vhost(self, id, protocol as ProtocolIndex, VhostReason::ProtocolDestroy);
        }
        self.timers.cancel_all(id);
        let vhost = self.vhosts.remove(&id);
        if let Some(log) = vhost.and_then(|vhost| vhost.access_log) {
            self.logs.retire(log);
        }
    }

    fn all(&self, which: impl Fn(&Wsi) -> bool) -> Vec<WsiId> {
        self.slots.iter().filter(|wsi| which(wsi)).map(|wsi| wsi.id).collect()
    }

    /// Tells every protocol of every vhost.
    pub(crate) fn event_wait_cancelled(&mut self) {
        let all: Vec<VhostId> = self.vhosts().collect();
        for vhost in all {
            let protocols = self.vhost(vhost).map_or(0, |vhost| vhost.protocols.len());
            for protocol in 0..protocols {
                protocol::tell_vhost(self, vhost, protocol as ProtocolIndex, VhostReason::EventWaitCancelled);
                self.run_deferred();
            }
        }
    }

    /// What a connection is first that was accepted for a vhost, and whose: the first vhost of a socket decides. `None`: it does not listen.
    pub(crate) fn first_binding(&self, vhost: VhostId) -> Option<(VhostId, Binding)> {
        let group = self.group_of(vhost)?;
        let id = *group.vhosts.first()?;
        let first = self.vhost(id)?;
        let binding = match decide(group.kind, first.options(), Moment::Accept) {
            // What it becomes is said when the handshake is done.
            Decision::ListenAccept if group.kind == Listener::Tls => Binding { role: self.role("tls"), protocol: None },
            Decision::ListenAccept => first.listen_accept,
            _ => Binding { role: self.role("first-packet"), protocol: None },
        };
        Some((id, binding))
    }

    /// The vhost that a connection is served by, of those that share its socket: the one its peer names, else the one whose certificate it
    /// was shown, else the first.
    pub(crate) fn choose_vhost(&self, wsi: &mut Wsi, host: Option<&str>) {
        let shown = wsi.io.tls().map(|tls| tls.vhost);
        let chosen = match (host, shown) {
            (None, Some(shown)) => Some(shown),
            (host, _) => self.group_of(wsi.vhost).and_then(|group| group.choose(host.unwrap_or_default())),
        };
        if let Some(id) = chosen.filter(|id| *id != wsi.vhost) {
            self.lead(wsi, id);
        }
    }

    /// Has a connection belong to another vhost.
    pub(crate) fn lead(&self, wsi: &mut Wsi, id: VhostId) {
        if let Some(vhost) = self.vhost(id) {
            wsi.move_to(id, vhost);
        }
    }

    /// A vhost that requires a client certificate is reached by a handshake of its own alone: not by the Host of a connection that came by
    /// another name, and not in plain text (RFC 9110 section 15.5.20).
    pub(crate) fn meets_demands(&self, wsi: &Wsi) -> bool {
        let tls = self.vhost(wsi.vhost).and_then(|vhost| vhost.tls.as_ref());
        !tls.is_some_and(|tls| tls.requires_client_cert) || wsi.io.tls().is_some_and(|tls| tls.vhost == wsi.vhost)
    }

    /// On an error the vhost is gone.
    fn init_protocols(&mut self, id: VhostId) -> Result<()> {
        let protocols = self.vhost(id).map_or(0, |vhost| vhost.protocols.len());
        for index in 0..protocols as ProtocolIndex {
            if let Err(source) = protocol::init(self, id, index) {
                let protocol = self.enabled(id, index).map_or("-", |enabled| enabled.table.name()).to_owned();
                let vhost = self.name_of(id);
                self.destroy_vhost(id);
                return Err(Error::ProtocolInit { vhost, protocol, source });
            }
        }
        Ok(())
    }

    /// For a vhost that a callback has made.
    pub(crate) fn init_vhost_later(&mut self, id: VhostId) {
        if let Err(error) = self.init_protocols(id) {
            log::error!("{error}; it is destroyed");
        }
    }

    /// Shares the listen socket of the vhosts that listen on the same, or makes one.
    fn join_listener(&mut self, id: VhostId, listen: Listen) -> Result<()> {
        if listen == Listen::None {
            return Ok(());
        }
        let kind = match self.vhost(id).and_then(|vhost| vhost.tls.as_ref()) {
            Some(_) => Listener::Tls,
            None => Listener::Plain,
        };
        let same = |group: &Option<ListenGroup>| group.as_ref().is_some_and(|group| group.listen == listen);
        let existing = self.listeners.iter().position(same);
        let listener = existing.unwrap_or_else(|| {
            let group = Some(ListenGroup::new(listen.clone(), kind));
            match self.listeners.iter().position(Option::is_none) {
                Some(free) => {
                    self.listeners[free] = group;
                    free
                }
                None => {
                    self.listeners.push(group);
                    self.listeners.len() - 1
                }
            }
        });
        if let Some(group) = self.group(listener as ListenerId)
            && group.kind != kind
        {
            let first = group.vhosts.first().map(|first| self.name_of(*first)).unwrap_or_default();
            return Err(Error::TlsMixed { first, second: self.name_of(id), address: listen.to_string() });
        }
        let name = self.name_of(id);
        let logged = self.vhost(id).is_some_and(|vhost| vhost.access_log.is_some());
        let joined = self.listeners[listener].as_mut().is_some_and(|group| {
            group.logged |= logged;
            group.join(id, &name)
        });
        if !joined {
            return Err(Error::DuplicateVhost { vhost: name, address: listen.to_string() });
        }
        if let Some(vhost) = self.vhost_mut(id) {
            vhost.listener = Some(listener as ListenerId);
        }
        match existing {
            Some(_) => {
                self.warn_unless_first_decides(id, listener as ListenerId);
                Ok(())
            }
            None => self.open_first(id, listener as ListenerId),
        }
    }

    /// Switches that only the first vhost of a socket decides, on another one, are a misunderstanding.
    fn warn_unless_first_decides(&self, id: VhostId, listener: ListenerId) {
        let first = self.group(listener).and_then(|group| self.vhost(*group.vhosts.first()?));
        let (Some(first), Some(joined)) = (first, self.vhost(id)) else { return };
        let ignored = joined.options().difference(first.options()).intersection(Options::DECIDED_BY_THE_FIRST);
        // After a handshake the fallback of the vhost that SNI chose counts.
        let own = if joined.tls.is_some() { Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG } else { Options::empty() };
        let more_trust =
            joined.proxy_protocol_from.is_some() && joined.proxy_protocol_from != first.proxy_protocol_from;
        let trust = more_trust.then_some("proxy_protocol_from");
        for name in ignored.difference(own).iter_names().map(|(name, _)| name).chain(trust) {
            log::warn!(
                "vhost {}: {name} does nothing here: vhost {} is the first of its port",
                joined.name(),
                first.name()
            );
        }
    }

    /// Listens, or waits for the interface to appear.
    fn open_first(&mut self, id: VhostId, listener: ListenerId) -> Result<()> {
        let vhost = self.name_of(id);
        match self.open_listener(listener) {
            Ok(()) => Ok(()),
            Err(ListenError::NotThere) => {
                if let Some(group) = self.group(listener) {
                    let listen = &group.listen;
                    log::warn!(
                        "vhost {vhost}: {listen}: there is no such interface or address yet; trying until there is"
                    );
                }
                self.add_listen_wsi(listener, Transport::None)
            }
            Err(ListenError::Taken { address }) => Err(Error::AddressTaken { vhost, address }),
            Err(ListenError::System { address, source }) => Err(Error::Listen { vhost, address, source }),
        }
    }

    /// Binds what the group stands for, or takes the sockets that were handed over for it, and gives each a connection in role listen.
    pub(crate) fn open_listener(&mut self, listener: ListenerId) -> std::result::Result<(), ListenError> {
        let Some(group) = self.group(listener).filter(|_| !self.is_dry) else { return Ok(()) };
        let Some(first) = group.vhosts.first().and_then(|id| self.vhost(*id)) else { return Ok(()) };
        let (listen, how) = (group.listen.clone(), first.listen_how);
        let handed = self.handed.iter().position(|sockets| *sockets.place() == listen);
        let (bound, file) = match handed.map(|index| self.handed.swap_remove(index)) {
            None => listening::listen(&listen, &how)?,
            Some(sockets) => {
                sockets.into_bound().map_err(|source| ListenError::System { address: listen.to_string(), source })?
            }
        };
        for bound in bound {
            let address = bound.address.to_string();
            self.add_listen_wsi(listener, bound.io)
                .map_err(|error| ListenError::System { address, source: std::io::Error::other(error) })?;
            let Some(Some(group)) = self.listeners.get_mut(listener as usize) else { continue };
            if let BoundAddress::Tcp(address) = bound.address {
                group.bound.push(address);
            }
        }
        if let Some(Some(group)) = self.listeners.get_mut(listener as usize) {
            group.unix_file = file;
        }
        Ok(())
    }

    /// Serves no new connections: listen sockets are closed once nobody waits at them.
    pub(crate) fn deprecate(&mut self) {
        self.deprecated = true;
        for wsi in self.all(|wsi| wsi.origin == Origin::Listening) {
            self.wake(wsi);
        }
    }

    /// Has role `ws` close all that it serves.
    pub(crate) fn close_websockets(&mut self) {
        self.closes_websockets = true;
        for wsi in self.all(|wsi| wsi.session().is_some()) {
            self.wake(wsi);
        }
    }

    fn add_listen_wsi(&mut self, listener: ListenerId, io: Transport) -> Result<()> {
        let Some(vhost) = self.group(listener).and_then(|group| group.vhosts.first().copied()) else { return Ok(()) };
        let binding = Binding { role: self.role("listen"), protocol: None };
        let wsi = self
            .insert(vhost, io, Peer::None, Origin::Listening, binding)
            .map_err(Error::system("registering a listen socket"))?;
        if let Some(Some(group)) = self.listeners.get_mut(listener as usize) {
            group.sockets.push(wsi);
        }
        Ok(())
    }

    /// The last vhost to leave closes the listen sockets; otherwise they go on in the name of the then first one.
    fn leave_listener(&mut self, id: VhostId) {
        let Some(listener) = self.vhost_mut(id).and_then(|vhost| vhost.listener.take()) else { return };
        let Some(Some(group)) = self.listeners.get_mut(listener as usize) else { return };
        group.leave(id);
        match group.vhosts.first().copied() {
            Some(first) => {
                for socket in group.sockets.clone() {
                    if let Some(mut wsi) = self.slots.take(socket) {
                        self.lead(&mut wsi, first);
                        self.slots.put_back(wsi);
                    }
                }
            }
            None => {
                let sockets = std::mem::take(&mut group.sockets);
                self.listeners[listener as usize] = None;
                for socket in sockets {
                    self.close_now(socket, CloseReason::Done);
                }
            }
        }
    }

    fn name_of(&self, id: VhostId) -> String {
        self.vhost(id).map_or_else(String::new, |vhost| vhost.name().to_owned())
    }
}
