//! The parent: binds, starts workers, watches them, and starts others in their place.
//!
//! ```text
//!   start, HUP, a certificate has changed ──▶ check ──▶ bind what is new ──▶ a new generation of workers
//!                                               │ bad                            │ all are ready
//!                                               ▼                                ▼
//!                                   the old one goes on serving       the old one finishes what it has
//! ```
//!
//! It is itself a program of this library: signals and workers are connections, times are scheduled calls.

use std::cell::RefCell;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::rc::Rc;
use std::time::Duration;
use std::{env, fs, io};

use rlws::{
    AdoptInfo, Call, Context, ContextInfo, Cx, InitError, Protocol, ProtocolTable, Pvo, Reason, Retry, SulId, Verdict,
    VhostCall, VhostId, VhostInfo, VhostReason, WsiId, logger,
};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use crate::args::Args;
use crate::control::{self, DRAIN, Lines, READY, REOPEN, STOP};
use crate::logs;
use crate::notify::Manager;
use crate::privileges::Identity;
use crate::setup::Loaded;
use crate::sockets::Sockets;
use crate::watch::Watched;

/// How long connections may take to finish at the end.
const DRAIN_SECS: u64 = 10;

/// How much longer before a worker is killed.
const GRACE: Duration = Duration::from_secs(2);

/// How long a worker may take to read what it is handed.
const HANDOVER: Duration = Duration::from_secs(10);

/// How often certificates are looked at.
const LOOK: Duration = Duration::from_secs(1);

pub(crate) fn run(args: &Args) -> Result<(), String> {
    if args.daemon {
        nix::unistd::setsid().map_err(|error| format!("leaving the terminal: {error}"))?;
    }
    let parent = Parent::new(args)?;
    let mut context = Context::new(ContextInfo::default()).map_err(|error| error.to_string())?;
    context.cx().set_user(Rc::new(RefCell::new(Some(parent))));
    let home =
        VhostInfo { name: "lwsws".into(), protocols: vec![ProtocolTable::of::<Supervisor>()], ..Default::default() };
    context.create_vhost(home).map_err(|error| error.to_string())?;
    if let Some(pidfile) = &args.pidfile {
        fs::write(pidfile, format!("{}\n", std::process::id()))
            .map_err(|error| format!("{}: {error}", pidfile.display()))?;
    }
    let result = context.run().map_err(|error| error.to_string());
    if let Some(pidfile) = &args.pidfile {
        let _somebody_else_did = fs::remove_file(pidfile);
    }
    result
}

/// Starts the same program in the background, and returns when it serves.
pub(crate) fn daemonize(args: &Args) -> Result<(), String> {
    let failed = |error: io::Error| format!("starting in the background: {error}");
    let (ours, theirs) = UnixStream::pair().map_err(failed)?;
    let mut command = program(args)?;
    command.arg("--daemon");
    if let Some(pidfile) = &args.pidfile {
        command.arg("--pidfile").arg(pidfile);
    }
    let spawned = command.stdin(OwnedFd::from(theirs)).stdout(Stdio::null()).spawn();
    // With it goes the other end of the socket.
    drop(command);
    spawned.map_err(failed)?;
    let mut said = String::new();
    io::BufRead::read_line(&mut io::BufReader::new(ours), &mut said).map_err(failed)?;
    if said.trim() == READY { Ok(()) } else { Err("it did not start; its log says why".to_owned()) }
}

/// This program with the same configuration and log level.
fn program(args: &Args) -> Result<Command, String> {
    let mut command = Command::new(env::current_exe().map_err(|error| format!("finding this program: {error}"))?);
    command.arg("-c").arg(&args.dir).arg("-d").arg(args.level.to_string());
    Ok(command)
}

struct Parent {
    args: Args,
    home: Option<VhostId>,
    loaded: Loaded,
    sockets: Sockets,
    workers: Vec<Worker>,
    /// The generation that was started last, and the one that serves.
    newest: u32,
    serving: u32,
    /// The configuration changed again while a generation was starting.
    reload_again: bool,
    stopping: bool,
    manager: Manager,
    watched: Watched,
    back_off: Retry,
    tries: u32,
    /// What is to be done at which time.
    due: Vec<(SulId, Due)>,
}

struct Worker {
    process: Child,
    wsi: WsiId,
    generation: u32,
    number: usize,
    state: State,
    /// What it is still to be told.
    words: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Starting,
    Serving,
    /// It was told to end.
    Finishing,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Looking at the certificates.
    Look,
    /// A sign of life for the service manager.
    Watchdog,
    /// Another worker in the place of one that died.
    Restart { generation: u32, number: usize },
    /// The end of patience.
    Kill,
}

/// Whom a connection is to, hung on it.
enum Whom {
    Signal(i32),
    /// The worker with this process id.
    Worker(u32),
}

struct Supervisor;

impl Protocol for Supervisor {
    const NAME: &'static str = "lwsws-supervisor";
    type Session = Lines;
    type Vhost = Parent;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, _pvo: &Pvo) -> Result<Parent, InitError> {
        let mut parent = cx.user::<RefCell<Option<Parent>>>().and_then(RefCell::take).ok_or("it is made once")?;
        parent.home = Some(vhost);
        parent.start(cx)?;
        Ok(parent)
    }

    fn callback(Call { wsi, cx, pss, vhd }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match (wsi.opaque_user_data(), reason) {
            (Some(Whom::Signal(signal)), Reason::RawRx(_)) => vhd.signalled(cx, *signal),
            (Some(Whom::Worker(pid)), Reason::RawRx(data)) => {
                pss.add(data).iter().filter(|line| *line == READY).for_each(|_| vhd.is_ready(cx, *pid));
            }
            (Some(Whom::Worker(pid)), Reason::RawWriteable) => {
                let said = wsi.write(&vhd.words_for(*pid));
                return if said.is_ok() { Verdict::Continue } else { Verdict::Close };
            }
            _ => {}
        }
        Verdict::Continue
    }

    fn vhost_callback(VhostCall { cx, .. }: VhostCall<'_>, vhd: &mut Parent, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(sul) = reason {
            vhd.is_due(cx, sul);
        }
        Verdict::Continue
    }
}

impl Parent {
    fn new(args: &Args) -> Result<Parent, String> {
        let loaded = Loaded::from(&args.dir)?;
        loaded.warn();
        loaded.check()?;
        let mut parent = Parent {
            args: args.clone(),
            home: None,
            watched: Watched::of(&loaded.conf),
            loaded,
            sockets: Sockets::default(),
            workers: Vec::new(),
            newest: 0,
            serving: 0,
            reload_again: false,
            stopping: false,
            manager: Manager::from_env(),
            back_off: Retry {
                delays: [0, 1, 2, 5, 10, 30].map(Duration::from_secs).to_vec(),
                conceal: Retry::ALWAYS,
                ..Retry::default()
            },
            tries: 0,
            due: Vec::new(),
        };
        parent.bind()?;
        Ok(parent)
    }

    /// With the context at hand: listens to signals, and starts the first workers.
    fn start(&mut self, cx: &mut Cx) -> Result<(), InitError> {
        for signal in [SIGHUP, SIGTERM, SIGINT, SIGUSR1, SIGCHLD] {
            let (rings, heard) = UnixStream::pair()?;
            signal_hook::low_level::pipe::register(signal, rings)?;
            self.adopt(cx, heard, Whom::Signal(signal))?;
        }
        if let Some(every) = self.manager.watchdog {
            self.schedule(cx, every / 2, Due::Watchdog)?;
        }
        self.schedule(cx, LOOK, Due::Look)?;
        Ok(self.start_generation(cx)?)
    }

    fn adopt(&self, cx: &mut Cx, stream: UnixStream, whom: Whom) -> Result<WsiId, String> {
        let home = self.home.ok_or("there is no home")?;
        let id = cx.adopt_unix(stream, AdoptInfo::new(home, Supervisor::NAME)).map_err(|error| error.to_string())?;
        cx.set_opaque_user_data(id, Rc::new(whom));
        Ok(id)
    }

    fn schedule(&mut self, cx: &mut Cx, after: Duration, due: Due) -> Result<(), String> {
        let home = self.home.ok_or("there is no home")?;
        let sul = cx.schedule(home, Supervisor::NAME, after).map_err(|error| error.to_string())?;
        self.due.push((sul, due));
        Ok(())
    }

    fn worker_count(&self) -> usize {
        self.loaded.conf.global.count_threads.max(1) as usize
    }

    fn bind(&mut self) -> Result<(), String> {
        let workers = self.worker_count();
        Identity::of(&self.loaded.conf.global)?;
        for (conf, info) in self.loaded.conf.vhosts.iter().zip(&self.loaded.vhosts.infos) {
            self.sockets.bind(info, workers).map_err(|error| conf.explain(&error).to_string())?;
        }
        Ok(())
    }

    // -- workers

    fn start_generation(&mut self, cx: &mut Cx) -> Result<(), String> {
        self.newest += 1;
        (0..self.worker_count()).try_for_each(|number| self.start_worker(cx, self.newest, number))
    }

    fn start_worker(&mut self, cx: &mut Cx, generation: u32, number: usize) -> Result<(), String> {
        let failed = |error: io::Error| format!("starting a worker: {error}");
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut command = program(&self.args)?;
        // Signals from the terminal are for the parent, which tells its workers what they mean.
        command.arg("--worker").stdin(OwnedFd::from(theirs)).process_group(0);
        let mut process = command.spawn().map_err(failed)?;
        drop(command);
        let sockets = self.sockets.of_worker(number, self.worker_count()).map_err(failed)?;
        ours.set_write_timeout(Some(HANDOVER)).map_err(failed)?;
        if let Err(error) = control::hand_over(&ours, &self.loaded, &sockets) {
            let _it_may_have_ended = process.kill().and_then(|()| process.wait().map(drop));
            return Err(failed(error));
        }
        let pid = process.id();
        let wsi = self.adopt(cx, ours, Whom::Worker(pid))?;
        log::info!("worker {number} of generation {generation} is process {pid}");
        self.workers.push(Worker { process, wsi, generation, number, state: State::Starting, words: Vec::new() });
        Ok(())
    }

    fn is_ready(&mut self, cx: &mut Cx, pid: u32) {
        for worker in
            self.workers.iter_mut().filter(|worker| worker.process.id() == pid && worker.state == State::Starting)
        {
            worker.state = State::Serving;
        }
        let newest = self.newest;
        let is_up = |worker: &Worker| worker.generation != newest || worker.state == State::Serving;
        if self.serving == newest || !self.workers.iter().all(is_up) {
            return;
        }
        self.serving = newest;
        self.sockets.keep_only(&self.loaded.vhosts.infos);
        self.tell(cx, DRAIN, |worker| worker.generation != newest);
        log::info!(target: logger::NOTICE, "{} workers serve {}", self.worker_count(), self.args.dir.display());
        self.manager.say("READY=1");
        if self.args.daemon && newest == 1 {
            tell_starter();
        }
        if std::mem::take(&mut self.reload_again) {
            self.reload(cx);
        }
    }

    /// Tells some of the workers something; those who were told to end before hear only of the end.
    fn tell(&mut self, cx: &mut Cx, word: &str, whom: impl Fn(&Worker) -> bool) {
        for worker in self.workers.iter_mut().filter(|worker| whom(worker)) {
            worker.words.extend_from_slice(format!("{word}\n").as_bytes());
            if word != REOPEN {
                worker.state = State::Finishing;
            }
            cx.callback_on_writable(worker.wsi);
        }
    }

    fn words_for(&mut self, pid: u32) -> Vec<u8> {
        let worker = self.workers.iter_mut().find(|worker| worker.process.id() == pid);
        worker.map(|worker| std::mem::take(&mut worker.words)).unwrap_or_default()
    }

    // -- what happens

    fn signalled(&mut self, cx: &mut Cx, signal: i32) {
        match signal {
            SIGHUP => self.reload(cx),
            SIGUSR1 => {
                self.make_logs();
                self.tell(cx, REOPEN, |_| true);
            }
            SIGCHLD => self.reap(cx),
            _ => self.stop(cx),
        }
    }

    /// Log files that were renamed are made anew here, for the workers may not make any.
    fn make_logs(&self) {
        let owner = Identity::of(&self.loaded.conf.global);
        for path in self.loaded.conf.vhosts.iter().filter_map(|vhost| vhost.access_log.as_deref()) {
            let made = fs::OpenOptions::new().append(true).create(true).open(path);
            let given = made.and_then(|_| owner.as_ref().map_or(Ok(()), |owner| logs::give(path, owner)));
            if let Err(error) = given {
                log::error!("access-log {}: {error}", path.display());
            }
        }
    }

    fn is_due(&mut self, cx: &mut Cx, sul: SulId) {
        let Some(index) = self.due.iter().position(|(due, _)| *due == sul) else { return };
        let again = match self.due.swap_remove(index).1 {
            Due::Look => {
                if self.watched.have_changed() {
                    log::info!(target: logger::NOTICE, "a certificate has changed");
                    self.reload(cx);
                }
                self.schedule(cx, LOOK, Due::Look)
            }
            Due::Watchdog => {
                self.manager.say("WATCHDOG=1");
                self.schedule(cx, self.manager.watchdog.unwrap_or(LOOK) / 2, Due::Watchdog)
            }
            Due::Restart { generation, number } if generation == self.serving && !self.stopping => {
                let restarted = self.start_worker(cx, generation, number);
                if restarted.is_err() {
                    self.restart_later(cx, generation, number);
                }
                restarted
            }
            Due::Restart { .. } => Ok(()),
            Due::Kill => {
                self.workers.iter_mut().for_each(kill);
                Ok(())
            }
        };
        if let Err(error) = again {
            log::error!("{error}");
        }
    }

    /// A new configuration, if it is good.
    fn reload(&mut self, cx: &mut Cx) {
        if self.stopping {
            return;
        }
        if self.serving != self.newest {
            self.reload_again = true;
            return;
        }
        self.manager.say_reloading();
        let taken = Loaded::from(&self.args.dir).and_then(|loaded| {
            loaded.check()?;
            loaded.warn();
            Ok(loaded)
        });
        let taken = taken.and_then(|loaded| {
            self.watched = Watched::of(&loaded.conf);
            let former = std::mem::replace(&mut self.loaded, loaded);
            self.bind().inspect_err(|_| self.loaded = former)
        });
        if let Err(error) = taken.and_then(|()| self.start_generation(cx)) {
            self.refuse(cx, &error);
        }
    }

    /// The new configuration comes to nothing.
    fn refuse(&mut self, cx: &mut Cx, why: &str) {
        why.lines().for_each(|line| log::error!("{line}"));
        log::error!("the new configuration is not taken; the old one goes on serving");
        let serving = self.serving;
        self.tell(cx, &format!("{STOP} 0"), |worker| worker.generation != serving && worker.state != State::Finishing);
        self.newest = serving;
        self.watched.look_again();
        self.manager.say("READY=1");
    }

    /// Sees which workers have ended, and what that means.
    fn reap(&mut self, cx: &mut Cx) {
        let mut ended = Vec::new();
        self.workers.retain_mut(|worker| match worker.process.try_wait() {
            Ok(Some(status)) => {
                ended.push((worker.generation, worker.number, worker.process.id(), worker.state, status));
                false
            }
            _ => true,
        });
        for (generation, number, pid, state, status) in ended {
            let how = how_it_ended(status);
            match state {
                State::Finishing => log::info!("worker {number} (process {pid}) is done: {how}"),
                _ if self.stopping => log::info!("worker {number} (process {pid}): {how}"),
                State::Starting if self.serving == 0 => {
                    let _ends = cx.stop_with(format!("a worker could not start: {how}"));
                }
                State::Starting if generation != self.serving => {
                    self.refuse(cx, &format!("a worker could not start: {how}"))
                }
                State::Starting | State::Serving => {
                    log::error!("worker {number} (process {pid}) died: {how}");
                    self.restart_later(cx, generation, number);
                }
            }
        }
        if self.stopping && self.workers.is_empty() {
            cx.stop();
        }
    }

    fn restart_later(&mut self, cx: &mut Cx, generation: u32, number: usize) {
        let wait = self.back_off.delay(&mut self.tries).unwrap_or_default();
        log::warn!("starting another one in its place in {wait:.1?}");
        if let Err(error) = self.schedule(cx, wait, Due::Restart { generation, number }) {
            log::error!("{error}");
        }
    }

    fn stop(&mut self, cx: &mut Cx) {
        if std::mem::replace(&mut self.stopping, true) {
            return;
        }
        log::info!(target: logger::NOTICE, "stopping: connections have {DRAIN_SECS} s to finish");
        self.manager.say("STOPPING=1");
        self.tell(cx, &format!("{STOP} {DRAIN_SECS}"), |_| true);
        if let Err(error) = self.schedule(cx, Duration::from_secs(DRAIN_SECS) + GRACE, Due::Kill) {
            log::error!("{error}");
        }
        if self.workers.is_empty() {
            cx.stop();
        }
    }
}

/// One that had not ended by itself in time.
fn kill(worker: &mut Worker) {
    log::warn!("worker {} (process {}) does not end; it is killed", worker.number, worker.process.id());
    if let Err(error) = worker.process.kill() {
        log::error!("killing it: {error}");
    }
}

fn how_it_ended(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(0), _) => "in order".to_owned(),
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => {
            let name = signal_hook::low_level::signal_name(signal).unwrap_or("a signal");
            format!("killed by {name} ({signal})")
        }
        (None, None) => status.to_string(),
    }
}

/// Tells the process that daemonizes, at the other end of stdin, that we serve.
fn tell_starter() {
    let told = io::stdin().as_fd().try_clone_to_owned().and_then(|fd| {
        let mut starter = UnixStream::from(fd);
        io::Write::write_all(&mut starter, format!("{READY}\n").as_bytes())
    });
    if let Err(error) = told {
        log::warn!("telling who started us: {error}");
    }
}
