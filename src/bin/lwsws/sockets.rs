//! The listen sockets, which the parent keeps for as long as anything is configured to listen on them.
//!
//! ```text
//!   bind, for a new configuration ──▶ its workers are ready ──▶ listen, settle: what is out of the configuration goes
//!                                           │ they are not
//!                                           ▼
//!                                         undo: all is as it was. Nobody listened, so nobody is lost
//! ```

use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::PathBuf;

use rlws::{Error, Listen, ListenSockets, Options, ReusePort, VhostInfo};

use crate::activation;

/// One entry for each address to listen on.
#[derive(Default)]
pub(crate) struct Sockets {
    places: Vec<Place>,
    /// Those of the service manager that nothing is configured to listen on (now).
    unused: Vec<OwnedFd>,
}

/// What is bound: of a [`Listen`] all but how its path may be used.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Address {
    Tcp { port: u16, interface: Option<String> },
    Unix(PathBuf),
}

struct Place {
    address: Address,
    bound_by: BoundBy,
    /// What was set when it was bound, for good.
    set: Set,
    /// Of a port, one for each worker there ever was, so that none is closed with connections waiting at it. Of anything else one. None:
    /// there is no such interface yet.
    sockets: Vec<ListenSockets>,
    /// How many of them listen; those behind them are for a configuration that is being taken.
    served: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BoundBy {
    Us,
    /// It keeps its own copy, and connections wait there while we are not.
    ServiceManager,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Set {
    families: Options,
    fast_open_queue: u32,
}

/// Of which vhost (by its place in the configuration) a worker gets which sockets.
pub(crate) type OfVhosts<'s> = Vec<(usize, Vec<BorrowedFd<'s>>)>;

impl Sockets {
    /// With the sockets that the service manager hands over, if it does.
    pub(crate) fn from_env() -> Sockets {
        Sockets { places: Vec::new(), unused: activation::sockets() }
    }

    /// Makes sure that a vhost's address has a socket for each of so many workers. Nothing listens by that.
    ///
    /// # Errors
    /// The address is taken, or cannot be bound.
    pub(crate) fn bind(&mut self, vhost: &VhostInfo, workers: usize) -> Result<(), Error> {
        let Some(address) = Address::of(&vhost.listen) else { return Ok(()) };
        if let Listen::Unix { owner: Some(owner), .. } = &vhost.listen {
            // Should it be given to another one, that one has to be known.
            let known = owner.ids().map(drop);
            known.map_err(|source| Error::Listen {
                vhost: vhost.name.clone(),
                address: vhost.listen.to_string(),
                source,
            })?;
        }
        let index = match self.places.iter().position(|place| place.address == address) {
            Some(known) => {
                self.places[known].warn_of_what_stays(vhost);
                known
            }
            None => {
                let place = self.place(address, vhost)?;
                self.places.push(place);
                self.places.len() - 1
            }
        };
        let shares = self.shares_its_port(index);
        self.places[index].fill(vhost, workers, shares)
    }

    /// Tries to bind what had no interface before. Whether there is more to serve now.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub(crate) fn bind_missing(&mut self, vhosts: &[VhostInfo], workers: usize) -> Result<bool, Error> {
        let before = self.missing(vhosts);
        for vhost in vhosts {
            let address = Address::of(&vhost.listen);
            if let Some(index) = self.places.iter().position(|place| Some(&place.address) == address.as_ref())
                && self.places[index].sockets.is_empty()
            {
                let shares = self.shares_its_port(index);
                self.places[index].fill(vhost, workers, shares)?;
            }
        }
        Ok(self.missing(vhosts) < before)
    }

    /// How many of these vhosts wait for an interface.
    pub(crate) fn missing(&self, vhosts: &[VhostInfo]) -> usize {
        let waits = |vhost: &&VhostInfo| self.place_of(vhost).is_some_and(|place| place.sockets.is_empty());
        vhosts.iter().filter(waits).count()
    }

    /// What one of so many workers of a configuration is given. `new`: it is for one that is being taken, and gets what was bound for that
    /// as well.
    pub(crate) fn of_worker(&self, vhosts: &[VhostInfo], worker: usize, workers: usize, new: bool) -> OfVhosts<'_> {
        let mut given: HashSet<&Listen> = HashSet::new();
        let mut all = Vec::new();
        for (index, vhost) in vhosts.iter().enumerate() {
            let Some(place) = self.place_of(vhost).filter(|_| given.insert(&vhost.listen)) else { continue };
            // Who waits at an address that is a part of this one now is not to be lost.
            let parts = self
                .places
                .iter()
                .filter(|part| place.address.covers(&part.address) && !vhosts.iter().any(|vhost| part.is_of(vhost)));
            let fds = place
                .of_worker(worker, workers, new)
                .chain(parts.flat_map(|part| part.of_worker(worker, workers, false)));
            all.push((index, fds.collect()));
        }
        all
    }

    /// Has all that these vhosts want listen.
    ///
    /// # Errors
    /// Another program listens there since it was bound.
    pub(crate) fn listen(&self, vhosts: &[VhostInfo]) -> Result<(), String> {
        for vhost in vhosts {
            for sockets in self.place_of(vhost).into_iter().flat_map(Place::ours) {
                sockets.listen(vhost.backlog).map_err(|error| format!("listening on {}: {error}", vhost.listen))?;
            }
        }
        Ok(())
    }

    /// All that was bound is served now; what these vhosts do not listen on goes.
    pub(crate) fn settle(&mut self, vhosts: &[VhostInfo]) {
        for place in &mut self.places {
            place.sockets.retain(ListenSockets::are_in_place);
            place.served = place.sockets.len();
            if let Some(vhost) = vhosts.iter().find(|vhost| place.is_of(vhost)) {
                place.give(vhost);
            }
        }
        let wanted: Vec<Address> = vhosts.iter().filter_map(|vhost| Address::of(&vhost.listen)).collect();
        self.keep(|place| wanted.iter().any(|address| *address == place.address || address.covers(&place.address)));
    }

    /// What was bound since the last [`settle`](Self::settle) goes. What still waits for its interface stays where these vhosts serve.
    pub(crate) fn undo(&mut self, vhosts: &[VhostInfo]) {
        for place in &mut self.places {
            place.sockets.truncate(place.served);
        }
        self.keep(|place| place.served > 0 || vhosts.iter().any(|vhost| place.is_of(vhost)));
    }

    /// Says which sockets were handed over for nothing.
    pub(crate) fn warn_of_unused(&self) {
        for socket in &self.unused {
            let name = activation::name(socket);
            log::warn!("the service manager hands over a socket for {name}, and no vhost listens there");
        }
    }

    fn place_of(&self, vhost: &VhostInfo) -> Option<&Place> {
        self.places.iter().find(|place| place.is_of(vhost))
    }

    /// Whether another address of ours may be a part of this one, or this one of it.
    fn shares_its_port(&self, index: usize) -> bool {
        let address = &self.places[index].address;
        self.places.iter().enumerate().any(|(other, place)| other != index && place.address.has_the_port_of(address))
    }

    fn place(&mut self, address: Address, vhost: &VhostInfo) -> Result<Place, Error> {
        let handed = ListenSockets::pick(vhost, &mut self.unused)?;
        let bound_by = if handed.is_some() { BoundBy::ServiceManager } else { BoundBy::Us };
        Ok(Place { address, bound_by, set: Set::of(vhost), sockets: Vec::from_iter(handed), served: 0 })
    }

    fn keep(&mut self, wanted: impl Fn(&Place) -> bool) {
        for mut place in self.places.extract_if(.., |place| !wanted(place)) {
            if place.bound_by == BoundBy::ServiceManager {
                // A later configuration may want it again, and could not bind it.
                self.unused.extend(place.sockets.drain(..).flat_map(ListenSockets::into_fds));
            }
        }
    }
}

impl Place {
    fn is_of(&self, vhost: &VhostInfo) -> bool {
        Address::of(&vhost.listen).as_ref() == Some(&self.address)
    }

    /// Binds what is missing. `shares`: other sockets of ours have the same port.
    fn fill(&mut self, vhost: &VhostInfo, workers: usize, shares: bool) -> Result<(), Error> {
        if self.sockets.is_empty() {
            let first = match ListenSockets::bind(vhost, ReusePort::First) {
                // It may be we who are in the way: on one address of all, or on all of them.
                Err(Error::AddressTaken { .. }) if shares => ListenSockets::bind(vhost, ReusePort::Another),
                bound => bound,
            }?;
            if first.fds().next().is_none() {
                return Ok(());
            }
            self.set = Set::of(vhost);
            self.sockets.push(first);
        }
        if !self.sockets.iter().any(ListenSockets::are_in_place) {
            log::warn!("vhost {}: {}: its file has gone, and is made again", vhost.name, vhost.listen);
            self.sockets.push(ListenSockets::bind(vhost, ReusePort::First)?);
        }
        while self.can_have_many() && self.sockets.len() < workers {
            self.sockets.push(ListenSockets::bind(vhost, ReusePort::Another)?);
        }
        Ok(())
    }

    fn of_worker(&self, worker: usize, workers: usize, new: bool) -> impl Iterator<Item = BorrowedFd<'_>> {
        let shared = !self.can_have_many();
        let count = if new { self.sockets.len() } else { self.served };
        let sockets = self.sockets[..count].iter().enumerate();
        let sockets = sockets.filter(move |(index, _)| shared || index % workers == worker);
        sockets.flat_map(|(_, sockets)| sockets.fds())
    }

    /// Whether the kernel can spread connections over several sockets, all of which can be bound by the address. Otherwise the workers
    /// share one.
    fn can_have_many(&self) -> bool {
        matches!(self.address, Address::Tcp { port, .. } if port != 0) && self.bound_by == BoundBy::Us
    }

    /// Those that we have to set listening.
    fn ours(&self) -> &[ListenSockets] {
        match self.bound_by {
            BoundBy::Us => &self.sockets,
            BoundBy::ServiceManager => &[],
        }
    }

    /// Lets those use the path of a unix socket who may now.
    fn give(&self, vhost: &VhostInfo) {
        let Listen::Unix { mode, owner, .. } = &vhost.listen else { return };
        for sockets in &self.sockets {
            if let Err(error) = sockets.give(*mode, owner.as_ref()) {
                log::error!("vhost {}: {}: unix-socket-perms: {error}; it stays as it was", vhost.name, vhost.listen);
            }
        }
    }

    fn warn_of_what_stays(&self, vhost: &VhostInfo) {
        let set = Set::of(vhost);
        if self.bound_by == BoundBy::ServiceManager || self.sockets.is_empty() {
            return;
        }
        let keys = [
            ("noipv6, ipv6only", set.families != self.set.families),
            ("fo-listen-queue", set.fast_open_queue != self.set.fast_open_queue),
        ];
        for (keys, _) in keys.iter().filter(|(_, changed)| *changed) {
            log::warn!(
                "vhost {}: {}: {keys}: it is bound already, and stays as it is; restart lwsws to change that",
                vhost.name,
                vhost.listen
            );
        }
    }
}

impl Set {
    fn of(vhost: &VhostInfo) -> Set {
        let families = vhost.options.intersection(Options::DISABLE_IPV6 | Options::IPV6_V6ONLY);
        Set { families, fast_open_queue: vhost.fast_open_queue }
    }
}

impl Address {
    fn of(listen: &Listen) -> Option<Address> {
        match listen {
            Listen::Tcp { port, interface } => {
                Some(Address::Tcp { port: *port, interface: interface.as_deref().map(one_spelling) })
            }
            Listen::Unix { path, .. } => Some(Address::Unix(path.clone())),
            _ => None,
        }
    }

    /// Whether connections to that one reach this one, if that one is not there.
    fn covers(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Tcp { port, interface: None }, Address::Tcp { port: its, interface: Some(_) }) => {
                port == its && *port != 0
            }
            _ => false,
        }
    }

    fn has_the_port_of(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Tcp { port, .. }, Address::Tcp { port: its, .. }) => port == its && *port != 0,
            _ => false,
        }
    }
}

/// `[::1]` and `::1` are one address.
fn one_spelling(interface: &str) -> String {
    match interface.trim_matches(['[', ']']).parse::<IpAddr>() {
        Ok(address) => address.to_string(),
        Err(_) => interface.to_owned(),
    }
}

/// How many descriptors that are.
pub(crate) fn counted(of_vhosts: &OfVhosts<'_>) -> Vec<(usize, usize)> {
    of_vhosts.iter().map(|(vhost, fds)| (*vhost, fds.len())).collect()
}

/// The descriptors alone.
pub(crate) fn flattened<'s>(of_vhosts: &OfVhosts<'s>) -> Vec<BorrowedFd<'s>> {
    of_vhosts.iter().flat_map(|(_, fds)| fds).copied().collect()
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::fs::PermissionsExt;
    use std::time::{Duration, Instant};

    use super::*;

    /// Chosen by the system; it is free a moment later, too.
    fn port() -> u16 {
        TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
    }

    fn vhost(listen: Listen) -> VhostInfo {
        VhostInfo { listen, ..VhostInfo::default() }
    }

    fn counts(sockets: &Sockets, vhosts: &[VhostInfo], workers: usize, new: bool) -> Vec<usize> {
        (0..workers).map(|worker| flattened(&sockets.of_worker(vhosts, worker, workers, new)).len()).collect()
    }

    fn refused(port: u16) -> bool {
        TcpStream::connect(("127.0.0.1", port)).is_err_and(|error| error.kind() == ErrorKind::ConnectionRefused)
    }

    #[test]
    fn nothing_listens_before_it_is_served_and_what_is_undone_never_did() {
        let (first, second) = (port(), port());
        let old = [vhost(Listen::on("127.0.0.1", first))];
        let new = [vhost(Listen::on("127.0.0.1", first)), vhost(Listen::on("127.0.0.1", second))];
        let mut sockets = Sockets::default();
        sockets.bind(&old[0], 2).expect("bind");
        assert!(refused(first));
        sockets.listen(&old).expect("listen");
        sockets.settle(&old);
        assert!(!refused(first));
        assert_eq!(counts(&sockets, &old, 2, false), [1, 1]);
        new.iter().for_each(|vhost| sockets.bind(vhost, 4).expect("bind"));
        assert_eq!(counts(&sockets, &new, 4, true), [2; 4]);
        assert_eq!(counts(&sockets, &old, 2, false), [1, 1], "who serves gets nothing of what is new");
        assert!(refused(second) && !refused(first));
        sockets.undo(&old);
        assert_eq!((sockets.places.len(), counts(&sockets, &old, 2, false)), (1, vec![1, 1]));
        // Fewer workers serve all of them.
        new.iter().for_each(|vhost| sockets.bind(vhost, 1).expect("bind"));
        assert_eq!(counts(&sockets, &new, 1, true), [3]);
        sockets.listen(&new).expect("listen");
        sockets.settle(&new[1..]);
        assert!(refused(first) && !refused(second));
    }

    #[test]
    fn one_address_of_a_port_and_all_of_them_change_places() {
        let port = port();
        let (one, all) = ([vhost(Listen::on("127.0.0.1", port))], [vhost(Listen::port(port))]);
        let mut sockets = Sockets::default();
        for (now, held) in [(&one, 1), (&all, 2), (&one, 1)] {
            sockets.bind(&now[0], 1).expect("bind");
            assert_eq!(counts(&sockets, now, 1, true), [held]);
            sockets.listen(now).expect("listen");
            sockets.settle(now);
            assert!(!refused(port));
            assert_eq!(counts(&sockets, now, 1, false), [held], "who waits at a part of it is served");
        }
        let stranger = TcpListener::bind("127.0.0.1:0").expect("bind");
        let taken = stranger.local_addr().expect("bound").port();
        let error = sockets.bind(&vhost(Listen::port(taken)), 1).expect_err("it is another program's");
        assert!(matches!(error, Error::AddressTaken { .. }));
    }

    #[test]
    fn two_spellings_are_one_address_and_a_missing_interface_is_waited_for() {
        let port = port();
        let of = |interface: &str| Address::of(&Listen::on(interface, port));
        assert_eq!(of("[::1]"), of("::1"));
        assert_ne!(of("lo"), of("::1"));
        // An address of nobody's (RFC 5737).
        let late = [vhost(Listen::on("192.0.2.77", port))];
        let mut sockets = Sockets::default();
        sockets.bind(&late[0], 2).expect("it may come");
        assert_eq!((sockets.missing(&late), counts(&sockets, &late, 2, true)), (1, vec![0, 0]));
        assert!(!sockets.bind_missing(&late, 2).expect("it may still come"));
        sockets.settle(&late);
        sockets.undo(&late);
        assert_eq!(sockets.missing(&late), 1);
    }

    #[test]
    fn the_mode_of_a_path_changes_with_the_configuration_and_its_file_comes_and_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let mode = |mode| [vhost(Listen::Unix { path: path.clone(), mode: Some(mode), owner: None })];
        let there = || std::fs::metadata(&path).expect("the socket").permissions().mode() & 0o777;
        let mut sockets = Sockets::default();
        for bits in [0o600, 0o660, 0o606] {
            let vhosts = mode(bits);
            sockets.bind(&vhosts[0], 3).expect("bind");
            assert_eq!(counts(&sockets, &vhosts, 3, true), [1; 3]);
            sockets.listen(&vhosts).expect("listen");
            sockets.settle(&vhosts);
            assert_eq!(there(), bits);
        }
        std::fs::remove_file(&path).expect("it is there");
        let vhosts = mode(0o606);
        sockets.bind(&vhosts[0], 3).expect("bind");
        assert_eq!(
            (there(), counts(&sockets, &vhosts, 3, true)),
            (0o606, vec![2; 3]),
            "who waits at the former is served"
        );
        sockets.undo(&vhosts);
        assert!(!path.exists());
        sockets.bind(&vhosts[0], 3).expect("bind");
        sockets.listen(&vhosts).expect("listen");
        sockets.settle(&vhosts);
        assert_eq!((there(), counts(&sockets, &vhosts, 3, false)), (0o606, vec![1; 3]));
        sockets.settle(&[]);
        let end = Instant::now() + Duration::from_secs(30);
        while path.exists() {
            assert!(Instant::now() < end, "the file stays");
        }
    }
}
