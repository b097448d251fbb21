//! What systemd wants to be told (sd_notify(3)): that we are ready, that we reload, that we end, that we are alive.

use std::env;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// What is in the environment for that; no worker gets it.
pub(crate) const VARIABLES: [&str; 3] = ["NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"];

/// The service manager, where there is one.
pub(crate) struct Manager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it wants a sign of life.
    pub(crate) watchdog: Option<Duration>,
}

impl Manager {
    pub(crate) fn from_env() -> Manager {
        let address = env::var("NOTIFY_SOCKET").ok().and_then(|name| match name.strip_prefix('@') {
            Some(name) => SocketAddr::from_abstract_name(name).ok(),
            None => SocketAddr::from_pathname(name).ok(),
        });
        let socket = address.and_then(|address| Some((UnixDatagram::unbound().ok()?, address)));
        let for_us = env::var("WATCHDOG_PID").map_or(true, |pid| pid == std::process::id().to_string());
        let watchdog = env::var("WATCHDOG_USEC").ok().filter(|_| for_us).and_then(|usec| usec.parse().ok());
        Manager { socket, watchdog: watchdog.map(Duration::from_micros) }
    }

    pub(crate) fn say(&self, what: &str) {
        if let Some((socket, address)) = &self.socket
            && let Err(error) = socket.send_to_addr(what.as_bytes(), address)
        {
            log::warn!("telling the service manager {what:?}: {error}");
        }
    }

    /// That a new configuration is being taken; it wants to know since when.
    pub(crate) fn say_reloading(&self) {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
        let usec = now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1000;
        self.say(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }
}
