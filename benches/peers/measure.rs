//! One measurement: one server, started for it, under one row's load.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::contenders::{Contender, Task};
use crate::cores::{Cores, stand_back};
use crate::interrupted;
use crate::load::backend::{Backend, Running};
use crate::load::crowd::{Crowd, get, socket};
use crate::load::exchanges::{Exchange, Exchanges};
use crate::load::sockets::Sockets;
use crate::load::streams::{Direction, Streams};
use crate::load::wrk::Wrk;
use crate::load::{Done, Load as _};
use crate::rows::{Deflate, Figure, Group, Load, Row};
use crate::server::Server;
use crate::util::certs;

/// What one measurement found.
#[derive(Debug, Copy, Clone, PartialEq)]
pub(crate) struct Sample {
    /// In the unit of the row's [`Figure`].
    pub(crate) cost: f64,
    /// Exchanges, connections, requests or Gbit a second; 0 where only memory was looked at.
    pub(crate) rate: f64,
}

/// What all measurements share: the cores, the pages, the certificate, how long a load works.
pub(crate) struct Bench {
    cores: Cores,
    time: Duration,
    folder: tempfile::TempDir,
}

/// Work before the clock starts.
const WARM_UP: Duration = Duration::from_millis(200);
/// A server's chance to give memory back, before it is looked at.
const REST: Duration = Duration::from_secs(1);
const MIB: usize = 1024 * 1024;
const SMALL: usize = 1024;

impl Bench {
    /// # Errors
    /// Where the pages cannot be written.
    pub(crate) fn new(cores: Cores, time: Duration) -> Result<Bench, String> {
        let write = || {
            let folder = tempfile::tempdir()?;
            interrupted::removes(&folder);
            // A server may give up its rights.
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755))?;
            fs::create_dir(folder.path().join("root"))?;
            fs::write(folder.path().join("root/small.html"), format!("<html>{}</html>", "x".repeat(SMALL - 13)))?;
            fs::write(folder.path().join("root/big.bin"), crate::util::random_bytes(1, 10 * MIB))?;
            certs::localhost().write(folder.path(), "its");
            Ok(Bench { cores, time, folder })
        };
        write().map_err(|error: std::io::Error| format!("the pages: {error}"))
    }

    /// Starts `program`, and loads it.
    ///
    /// # Errors
    /// Whatever does not go as it should, in the words of whom it happened to.
    pub(crate) fn measure(
        &self,
        row: &Row,
        contender: &Contender,
        program: &std::path::Path,
    ) -> Result<Sample, String> {
        let backend = match (row.group, row.load) {
            (Group::Relay, Load::Streams { direction: Direction::Down, .. }) => Some(Backend::Source.start()?),
            (Group::Relay, Load::ExchangesBeside { .. }) => Some(Backend::EchoAhead.start()?),
            (Group::Relay, _) => Some(Backend::Echo.start()?),
            (Group::Http | Group::Ws, _) => None,
        };
        let own = tempfile::tempdir().map_err(|error| error.to_string())?;
        interrupted::removes(&own);
        let (root, cert, key) = (self.path("root"), self.path("its.cert"), self.path("its.key"));
        let tls = row.load.tls().then_some((&*cert, &*key));
        let task = match &backend {
            Some(Running { port, .. }) => Task::Relay { onward: *port },
            None if row.group == Group::Ws => Task::Echo { tls, keeps: row.load.keeps() },
            None => Task::Http { root: &root, tls },
        };
        let port = crate::util::free_port();
        let command = contender.command(program, own.path(), port, &task)?;
        let server = Server::start(command, self.cores, port, own.path().join("log"))?;
        self.load(row, &server).map_err(|why| format!("{why} {}", server.last_words()))
    }

    fn load(&self, row: &Row, server: &Server) -> Result<Sample, String> {
        let port = server.port();
        let greeting = match (row.group, row.load) {
            (Group::Relay, load) => vec![relayed(matches!(load, Load::Connections { .. }))],
            (Group::Http, load) => vec![get(port, load.tls(), "small.html")?],
            (Group::Ws, Load::SilentSockets { tls, deflate }) => socket(port, tls, deflate != Deflate::No)?,
            (Group::Ws, _) => Vec::new(),
        };
        let empty = server.memory();
        let gather = if row.load.tls() { Crowd::gather_tls } else { Crowd::gather };
        let _crowd = gather(port, row.silent, &greeting)?;
        let exchange = || greeting.first().cloned().ok_or("nothing to exchange");
        let (done, cpu) = match row.load {
            Load::Exchanges { connections } => self.work(server, Exchanges::open(port, connections, exchange()?)?)?,
            Load::Connections { at_a_time } => self.work(server, Exchanges::open(port, at_a_time, exchange()?)?)?,
            Load::Streams { connections, direction } => {
                self.work(server, Streams::open(port, connections, direction)?)?
            }
            Load::ExchangesBeside { streams } => {
                let streams = Streams::open(port, streams, Direction::Up)?;
                beside(streams, || self.work(server, Exchanges::open(port, 1, exchange()?)?))?
            }
            Load::Sockets { connections, size } => self.work(server, Sockets::open(port, connections, size)?)?,
            Load::Nothing { .. } | Load::SilentSockets { .. } => {
                thread::sleep(REST);
                let grown = server.memory().saturating_sub(empty);
                return Ok(Sample { cost: grown as f64 / 1e3 / row.silent as f64, rate: 0.0 });
            }
            Load::Wrk { tls, path, connections, close } => {
                let before = server.cpu();
                let done = Wrk { tls, path, connections, close }.work(port, self.time)?;
                (done, server.cpu() - before)
            }
        };
        sample(row.figure, &done, cpu)
    }

    /// Warms up, then works for the time; the CPU time that the server took.
    fn work(&self, server: &Server, mut load: impl crate::load::Load) -> Result<(Done, Duration), String> {
        load.work(WARM_UP.min(self.time))?;
        let before = server.cpu();
        let done = load.work(self.time)?;
        Ok((done, server.cpu() - before))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Load {
    /// Whether windows of compression are kept.
    fn keeps(self) -> bool {
        matches!(self, Load::SilentSockets { deflate: Deflate::Kept, .. })
    }

    fn tls(self) -> bool {
        matches!(
            self,
            Load::Wrk { tls: true, .. } | Load::Nothing { tls: true } | Load::SilentSockets { tls: true, .. }
        )
    }
}

/// 64 bytes that begin as an ssh client does.
fn relayed(is_last: bool) -> Exchange {
    let mut request = b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n".to_vec();
    request.resize(64, b'S');
    Exchange { reply: request.len(), request, is_last }
}

/// Does something while streams run on another thread, which stands back: what waits for the streams is to do so in the server, and not here.
fn beside<T>(mut streams: Streams, work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let streaming = scope.spawn(|| {
            stand_back();
            while !over.load(Ordering::Relaxed) {
                streams.work(WARM_UP)?;
            }
            Ok(())
        });
        thread::sleep(WARM_UP);
        let result = work();
        over.store(true, Ordering::Relaxed);
        let streamed: Result<(), String> = streaming.join().unwrap_or_else(|_| Err("the streams panicked".to_owned()));
        streamed.and(result)
    })
}

fn sample(figure: Figure, done: &Done, cpu: Duration) -> Result<Sample, String> {
    if done.units <= 0.0 {
        return Err(format!("nothing came back, {} failed.", done.failed));
    }
    if done.failed as f64 > done.units / 1000.0 {
        return Err(format!("{} of {} failed.", done.failed, done.units));
    }
    let gbit = done.units * 8e-9;
    let (units, cost) = match figure {
        Figure::PerGbit => (gbit, cpu.as_secs_f64() * 1e3 / gbit),
        Figure::PerUnit(_) | Figure::Memory => (done.units, cpu.as_secs_f64() * 1e6 / done.units),
        Figure::P99 => (done.units, done.p99.ok_or("no exchange was timed")? / 1e3),
    };
    Ok(Sample { cost, rate: units / done.seconds })
}
