//! The listen sockets, which the parent keeps for as long as anything is configured to listen on them.
//!
//! ```text
//!   bind, for a new configuration ──▶ workers serve them ──▶ settle: what is out of the configuration goes
//!                                           │ they cannot
//!                                           ▼
//!                                         undo: all is as it was
//! ```

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rlws::{Error, Listen, ListenSockets, ReusePort, VhostInfo};

use crate::activation;

/// One entry for each place to listen on.
#[derive(Default)]
pub(crate) struct Sockets {
    places: Vec<Place>,
    /// Those of the service manager that nothing is configured to listen on (now).
    unused: Vec<OwnedFd>,
}

struct Place {
    listen: Listen,
    bound_by: BoundBy,
    /// Of a port, one for each worker there ever was, so that none is closed with connections waiting at it. Of anything else one.
    sockets: Vec<ListenSockets>,
    /// How many of them are served; those behind them are for a configuration that is being taken.
    served: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum BoundBy {
    Us {
        /// The file of a unix socket.
        file: Option<(u64, u64)>,
    },
    /// It keeps its own copy, and connections wait there while we are not.
    ServiceManager,
}

impl Sockets {
    /// With the sockets that the service manager hands over, if it does.
    pub(crate) fn from_env() -> Sockets {
        Sockets { places: Vec::new(), unused: activation::sockets() }
    }

    /// Makes sure that a vhost's place has a socket for each of so many workers.
    pub(crate) fn bind(&mut self, vhost: &VhostInfo, workers: usize) -> Result<(), Error> {
        if vhost.listen == Listen::None {
            return Ok(());
        }
        let known = self.places.iter().position(|place| place.listen == vhost.listen);
        let index = known.unwrap_or(self.places.len());
        if known.is_none() {
            let handed = ListenSockets::pick(vhost, &mut self.unused)?;
            let place = match handed {
                Some(handed) => Place::of(handed, BoundBy::ServiceManager),
                None => {
                    let first = ListenSockets::bind(vhost, ReusePort::First)?;
                    Place::of(first, BoundBy::Us { file: file_of(&vhost.listen) })
                }
            };
            self.places.push(place);
        }
        let place = &mut self.places[index];
        // An interface that is not there yet has no socket: the workers wait for it.
        while place.can_have_many() && place.sockets.len() < workers && place.sockets[0].fds().next().is_some() {
            place.sockets.push(ListenSockets::bind(vhost, ReusePort::Another)?);
        }
        Ok(())
    }

    /// What one of so many workers is given.
    pub(crate) fn of_worker(&self, worker: usize, workers: usize) -> std::io::Result<Vec<ListenSockets>> {
        self.places.iter().map(|place| place.of_worker(worker, workers)).collect()
    }

    /// All that was bound is served now; what these vhosts do not listen on goes.
    pub(crate) fn settle(&mut self, vhosts: &[VhostInfo]) {
        for place in &mut self.places {
            place.served = place.sockets.len();
        }
        self.keep(|place| vhosts.iter().any(|vhost| vhost.listen == place.listen));
    }

    /// What was bound since the last [`settle`](Self::settle) goes.
    pub(crate) fn undo(&mut self) {
        for place in &mut self.places {
            place.sockets.truncate(place.served);
        }
        self.keep(|place| place.served > 0);
    }

    fn keep(&mut self, wanted: impl Fn(&Place) -> bool) {
        for mut place in self.places.extract_if(.., |place| !wanted(place)) {
            if place.bound_by == BoundBy::ServiceManager {
                // A later configuration may want it again, and could not bind it.
                self.unused.extend(place.sockets.drain(..).flat_map(ListenSockets::into_fds));
            }
        }
    }

    /// Says which sockets were handed over for nothing.
    pub(crate) fn warn_of_unused(&self) {
        for socket in &self.unused {
            let name = activation::name(socket);
            log::warn!("the service manager hands over a socket for {name}, and no vhost listens there");
        }
    }
}

impl Place {
    fn of(first: ListenSockets, bound_by: BoundBy) -> Place {
        Place { listen: first.listen().clone(), bound_by, sockets: vec![first], served: 0 }
    }

    fn of_worker(&self, worker: usize, workers: usize) -> std::io::Result<ListenSockets> {
        let shared = !self.can_have_many();
        let its = self.sockets.iter().enumerate().filter(|(index, _)| shared || index % workers == worker);
        let fds = its.flat_map(|(_, sockets)| sockets.fds()).map(|fd| fd.try_clone_to_owned());
        Ok(ListenSockets::of(self.listen.clone(), fds.collect::<std::io::Result<Vec<OwnedFd>>>()?))
    }

    /// Whether the kernel can spread connections over several sockets, all of which can be bound by the place's name. Otherwise the workers
    /// share one.
    fn can_have_many(&self) -> bool {
        matches!(self.listen, Listen::Tcp { port, .. } if port != 0) && self.bound_by != BoundBy::ServiceManager
    }
}

impl Drop for Place {
    /// The file of a unix socket goes with it, unless somebody has put another in its place.
    fn drop(&mut self) {
        if let (Listen::Unix { path, .. }, BoundBy::Us { file: Some(file) }) = (&self.listen, self.bound_by)
            && file_id(path) == Some(file)
        {
            let _already_gone = fs::remove_file(path);
        }
    }
}

fn file_of(listen: &Listen) -> Option<(u64, u64)> {
    match listen {
        Listen::Unix { path, .. } => file_id(path),
        _ => None,
    }
}

fn file_id(path: &Path) -> Option<(u64, u64)> {
    fs::symlink_metadata(path).ok().map(|file| (file.dev(), file.ino()))
}
