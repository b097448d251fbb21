//! Signals, as bytes to be read: the parent's loop hears of them when it comes to them.

use std::io;
use std::os::unix::net::UnixStream;

use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};

/// The ends of pipes that signals are written to.
pub(crate) struct Signals(pub(crate) Vec<(i32, UnixStream)>);

impl Signals {
    /// From now on none of them ends this process.
    pub(crate) fn register() -> Result<Signals, String> {
        let register = |signal| {
            let (rings, heard) = UnixStream::pair()?;
            signal_hook::low_level::pipe::register(signal, rings)?;
            Ok((signal, heard))
        };
        let all: io::Result<_> = [SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGCHLD].into_iter().map(register).collect();
        all.map(Signals).map_err(|error| format!("listening to signals: {error}"))
    }
}
