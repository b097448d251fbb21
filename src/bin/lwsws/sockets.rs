//! The listen sockets, which the parent keeps for as long as anything is configured to listen on them.

use std::os::fd::OwnedFd;

use rlws::{Error, Listen, ListenSockets, ReusePort, VhostInfo};

/// One entry for each place to listen on.
#[derive(Default)]
pub(crate) struct Sockets {
    places: Vec<Place>,
}

struct Place {
    listen: Listen,
    /// Of a port, one for each worker there ever was, so that none is closed with connections waiting at it. Of anything else one.
    sockets: Vec<ListenSockets>,
}

impl Sockets {
    /// Makes sure that a vhost's place has a socket for each of so many workers.
    pub(crate) fn bind(&mut self, vhost: &VhostInfo, workers: usize) -> Result<(), Error> {
        if vhost.listen == Listen::None {
            return Ok(());
        }
        let known = self.places.iter().position(|place| place.listen == vhost.listen);
        let index = known.unwrap_or(self.places.len());
        if known.is_none() {
            let first = ListenSockets::bind(vhost, ReusePort::First)?;
            self.places.push(Place { listen: vhost.listen.clone(), sockets: vec![first] });
        }
        let place = &mut self.places[index];
        // An interface that is not there yet has no socket: the workers wait for it.
        while can_be_many(&vhost.listen) && place.sockets.len() < workers && place.sockets[0].fds().next().is_some() {
            place.sockets.push(ListenSockets::bind(vhost, ReusePort::Another)?);
        }
        Ok(())
    }

    /// What one of so many workers is given.
    pub(crate) fn of_worker(&self, worker: usize, workers: usize) -> std::io::Result<Vec<ListenSockets>> {
        self.places.iter().map(|place| place.of_worker(worker, workers)).collect()
    }

    /// Closes those that nothing is configured to listen on any more.
    pub(crate) fn keep_only(&mut self, vhosts: &[VhostInfo]) {
        self.places.retain(|place| vhosts.iter().any(|vhost| vhost.listen == place.listen));
    }
}

impl Place {
    fn of_worker(&self, worker: usize, workers: usize) -> std::io::Result<ListenSockets> {
        let shared = !can_be_many(&self.listen);
        let its = self.sockets.iter().enumerate().filter(|(index, _)| shared || index % workers == worker);
        let fds = its.flat_map(|(_, sockets)| sockets.fds()).map(|fd| fd.try_clone_to_owned());
        Ok(ListenSockets::of(self.listen.clone(), fds.collect::<std::io::Result<Vec<OwnedFd>>>()?))
    }
}

/// Whether the kernel can spread connections over several sockets of that place, all of which can be bound by its name.
fn can_be_many(listen: &Listen) -> bool {
    matches!(listen, Listen::Tcp { port, .. } if *port != 0)
}
