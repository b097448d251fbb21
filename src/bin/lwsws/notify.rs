//! What systemd wants to be told (sd_notify(3)): that we are ready, that we reload, that we end, that we are alive.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// What is in the environment for that; no other process of ours gets it.
pub(crate) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// The service manager, where there is one.
pub(crate) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants a sign of life; never 0.
    pub(crate) watchdog: Option<Duration>,
}

impl ServiceManager {
    pub(crate) fn from_env() -> ServiceManager {
        let address = env::var("NOTIFY_SOCKET").ok().and_then(|name| match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(name).ok(),
        });
        let socket = address.and_then(|address| Some((unbound()?, address)));
        let [_, pid, usec] = VARIABLES.map(|name| env::var(name).ok());
        ServiceManager { socket, watchdog: watchdog(pid.as_deref(), usec.as_deref()) }
    }

    /// It never waits: a manager that does not read is not told.
    pub(crate) fn notify(&self, what: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(what.as_bytes(), address)
        {
            log::warn!("telling the service manager {what:?}: {error}");
        }
    }

    /// That a new configuration is being taken; it wants to know since when.
    pub(crate) fn notify_reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let usec = now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000;
        self.notify(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }
}

fn unbound() -> Option<UnixDatagram> {
    let socket = UnixDatagram::unbound().ok()?;
    socket.set_nonblocking(true).ok()?;
    Some(socket)
}

/// The time between two signs of life, if they are wanted of this process (sd_watchdog_enabled(3)).
fn watchdog(pid: Option<&str>, usec: Option<&str>) -> Option<Duration> {
    let for_us = pid.is_none_or(|pid| pid == std::process::id().to_string());
    let usec: u64 = usec.filter(|_| for_us)?.parse().ok()?;
    // Of less than this nobody could speak.
    (usec > 0).then(|| Duration::from_micros(usec).max(Duration::from_millis(2)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_watchdog_is_for_us_and_longer_than_nothing() {
        let us = std::process::id().to_string();
        assert_eq!(watchdog(None, Some("200000")), Some(Duration::from_millis(200)));
        assert_eq!(watchdog(Some(&us), Some("30000000")), Some(Duration::from_secs(30)));
        assert_eq!(watchdog(None, Some("1")), Some(Duration::from_millis(2)));
        for (pid, usec) in
            [(Some("1"), Some("9")), (None, Some("0")), (None, Some("x")), (None, Some("-1")), (None, None)]
        {
            assert_eq!(watchdog(pid, usec), None, "{pid:?} {usec:?}");
        }
    }
}
