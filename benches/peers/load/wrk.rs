//! The program wrk: the load of the http rows.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::Done;
use crate::contenders::found;

/// Requests for one path, from one thread.
#[derive(Debug, Clone)]
pub(crate) struct Wrk {
    pub(crate) tls: bool,
    pub(crate) path: &'static str,
    pub(crate) connections: usize,
    /// One request a connection.
    pub(crate) close: bool,
}

impl Wrk {
    /// Runs for a while, in whole seconds and one at least.
    ///
    /// # Errors
    /// Where wrk cannot be run, or says nothing that is understood.
    pub(crate) fn work(&self, port: u16, time: Duration) -> Result<Done, String> {
        let scheme = if self.tls { "https" } else { "http" };
        let seconds = time.as_secs().max(1);
        let mut command = Command::new(found("wrk").unwrap_or("wrk".into()));
        command.args(["-t1", "--latency", &format!("-c{}", self.connections), &format!("-d{seconds}s")]);
        if self.close {
            command.args(["-H", "Connection: close"]);
        }
        let output = command.arg(format!("{scheme}://127.0.0.1:{port}/{}", self.path)).stdin(Stdio::null()).output();
        let output = output.map_err(|error| format!("wrk: {error}"))?;
        let said = String::from_utf8_lossy(&output.stdout);
        understood(&said).ok_or_else(|| format!("wrk: {said}{}", String::from_utf8_lossy(&output.stderr)))
    }
}

fn understood(said: &str) -> Option<Done> {
    let requests = said.lines().find(|line| line.contains(" requests in "))?;
    let units: f64 = requests.split_whitespace().next()?.parse().ok()?;
    let rate: f64 = said.lines().find_map(|line| line.strip_prefix("Requests/sec:")?.trim().parse().ok())?;
    let p99 = said.lines().find_map(|line| microseconds(line.trim().strip_prefix("99%")?.trim()));
    let failed = said
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Non-2xx or 3xx responses:")?.trim().parse::<u64>().ok());
    (units > 0.0).then(|| Done { seconds: units / rate, units, failed: failed.sum(), p99 })
}

/// `1.50ms` and its like.
fn microseconds(text: &str) -> Option<f64> {
    let (unit, factor) = [("us", 1.0), ("ms", 1e3), ("s", 1e6)].into_iter().find(|(unit, _)| text.ends_with(unit))?;
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    Some(number * factor)
}
