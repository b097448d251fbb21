//! What the descriptors of the process are enough for.
//!
//! ```text
//!   all that the system allows
//!   ├── open for other things
//!   ├── files, logs, look-ups    an eighth, limits::DESCRIPTOR_RESERVE at most; files on their way get half of it at most
//!   ├── pipes of relays          a thirty-second, limits::PIPES of them at most
//!   └── connections, and files on their way
//! ```

use std::fs;
use std::rc::Rc;

use rustix::process::{Resource, getrlimit};

use crate::cx::Cx;
use crate::limits;
use crate::transport::DESCRIPTORS_OF_A_PIPE;

/// Where Linux shows the descriptors of a process.
const OPEN: &str = "/proc/self/fd";

/// How many there may be.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Room {
    pub(crate) connections: usize,
    pub(crate) pipes: usize,
    /// Files that may be open for responses where there are as many connections as may be.
    pub(crate) files: usize,
}

/// Who holds files open for responses that are on their way: each of them one copy of this.
#[derive(Clone, Default)]
pub(crate) struct OpenFiles(Rc<()>);

impl OpenFiles {
    /// How many there are, beside the copy that is asked.
    pub(crate) fn count(&self) -> usize {
        Rc::strong_count(&self.0) - 1
    }
}

impl Cx {
    /// Connections and files on their way for which there is still a descriptor.
    pub(crate) fn descriptors_left(&self) -> usize {
        self.most_open.saturating_sub(self.slots.len() + self.open_files.count())
    }
}

impl Room {
    /// Of those that the system allows, what other things leave; `own` ones are open for connections and pipes now.
    pub(crate) fn beside(own: usize) -> Room {
        let allowed = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |allowed| allowed as usize);
        let open = fs::read_dir(OPEN).map_or(0, Iterator::count);
        Room::of(allowed, open.saturating_sub(own))
    }

    /// A listen socket and a relayed pair at least: the system still has its own say.
    fn of(allowed: usize, elsewhere: usize) -> Room {
        let left = allowed.saturating_sub(elsewhere);
        let reserve = (left / 8).min(limits::DESCRIPTOR_RESERVE);
        let pipes = (left / 64).min(limits::PIPES);
        let connections = (left - reserve - DESCRIPTORS_OF_A_PIPE * pipes).max(3);
        Room { connections, pipes, files: reserve / 2 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_its_share_and_no_more_than_its_limit() {
        for (allowed, elsewhere, reserve) in [(64, 16, 6), (320, 20, 37), (1024, 24, 64), (20_000, 1_000, 64)] {
            let left = allowed - elsewhere;
            let room = Room::of(allowed, elsewhere);
            assert_eq!(room.pipes, (left / 64).min(limits::PIPES), "{allowed}");
            assert_eq!(room.connections + DESCRIPTORS_OF_A_PIPE * room.pipes, left - reserve, "{allowed}");
        }
        assert_eq!(Room::of(usize::MAX, 5).pipes, limits::PIPES);
        assert_eq!([Room::of(10, 20), Room::of(0, 0)], [(); 2].map(|()| Room { connections: 3, pipes: 0, files: 0 }));
    }
}
