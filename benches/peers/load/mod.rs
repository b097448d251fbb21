//! What servers are loaded with: clients in front of them, and the backend behind a relay. All of it shares one core with who measures.
//!
//! | file | what it does |
//! |---|---|
//! | `backend` | what a relay connects to: echo, sink, source |
//! | `exchanges` | a message there and its answer back, over and over; or one on each connection |
//! | `streams` | bytes in one direction, as fast as they go |
//! | `sockets` | WebSocket messages there and their echoes back |
//! | `crowd` | many connections that have said something once, and are silent |
//! | `wrk` | the program of that name, for http |

pub(crate) mod backend;
pub(crate) mod crowd;
pub(crate) mod exchanges;
pub(crate) mod sockets;
pub(crate) mod streams;
pub(crate) mod wrk;

use std::time::Duration;

/// The longest that a load waits before it looks at the time again.
const TICK: Duration = Duration::from_millis(20);

/// What a load got done.
#[derive(Debug, Clone, Default)]
pub(crate) struct Done {
    pub(crate) seconds: f64,
    /// Exchanges, connections or requests, or bytes of a stream.
    pub(crate) units: f64,
    pub(crate) failed: u64,
    /// Of one exchange, in microseconds: what 99 of 100 stay below.
    pub(crate) p99: Option<f64>,
}

/// A load whose connections are open: it works for a while, as often as it is asked to.
pub(crate) trait Load {
    /// # Errors
    /// Where the server does not keep its connections.
    fn work(&mut self, time: Duration) -> Result<Done, String>;
}
