//! How many connections the descriptors of the process are enough for.

use std::fs;

use rustix::process::{Resource, getrlimit};

use crate::limits;

/// Where Linux shows the descriptors of a process.
const OPEN: &str = "/proc/self/fd";

/// Of those that the system allows, what other things than these `connections` leave, less a reserve.
pub(crate) fn room_for_connections(connections: usize) -> usize {
    let allowed = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |allowed| allowed as usize);
    let open = fs::read_dir(OPEN).map_or(0, Iterator::count);
    room(allowed, open.saturating_sub(connections))
}

/// A listen socket and a relayed pair at least: the system still has its own say.
fn room(allowed: usize, elsewhere: usize) -> usize {
    let left = allowed.saturating_sub(elsewhere);
    let reserve = (left / 8).min(limits::DESCRIPTOR_RESERVE);
    (left - reserve).max(3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_an_eighth_or_the_reserve() {
        assert_eq!(room(64, 16), 42);
        assert_eq!(room(1024, 24), 936);
        assert_eq!(room(20_000, 1_000), 18_936);
        assert_eq!(room(usize::MAX, 5), usize::MAX - 5 - limits::DESCRIPTOR_RESERVE);
        assert_eq!([room(10, 20), room(0, 0)], [3, 3]);
    }
}
