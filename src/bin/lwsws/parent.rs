//! The parent: binds, starts workers, watches them, and starts others in their place.
//!
//! ```text
//!   start, HUP, a certificate has changed ──▶ check ──▶ bind what is new ──▶ a new generation of workers
//!                                               │ bad                            │ all are ready
//!                                               ▼                                ▼
//!                                   the old one goes on serving       the old one finishes what it has
//! ```
//!
//! A new worker that does not come up makes the configuration a bad one, too: the others finish what they have, and all is as it was.
//!
//! It is itself a program of this library: signals and workers are connections, times are scheduled calls.

use std::cell::RefCell;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::Duration;
use std::{fs, io};

use rlws::{
    AdoptInfo, Call, Context, ContextInfo, Cx, InitError, Protocol, ProtocolTable, Pvo, Reason, Retry, SulId, Verdict,
    VhostCall, VhostId, VhostInfo, VhostReason, WsiId, logger,
};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM, SIGUSR1};

use crate::args::Args;
use crate::control::{self, DRAIN, Lines, READY, REOPEN, STOP};
use crate::notify::Manager;
use crate::privileges::Identity;
use crate::setup::Loaded;
use crate::sockets::Sockets;
use crate::watch::Watched;
use crate::worker_process::{self, State, Worker, how_it_ended};
use crate::{daemon, logs};

/// How long connections may take to finish at the end.
const DRAIN_SECS: u64 = 10;

/// How much longer before a worker is killed.
const GRACE: Duration = Duration::from_secs(2);

/// How long a worker may take to read what it is handed.
const HANDOVER: Duration = Duration::from_secs(10);

/// A worker that has lived for so long does not die of what the one before it died of.
const STEADY: Duration = Duration::from_secs(60);

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

struct Parent {
    args: Args,
    home: Option<VhostId>,
    loaded: Loaded,
    sockets: Sockets,
    workers: Vec<Worker>,
    /// How many generations there ever were, and which one serves; 0: none yet.
    newest: u32,
    serving: u32,
    starting: Option<Starting>,
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

/// A generation that does not serve yet.
struct Starting {
    generation: u32,
    /// What goes on serving if it comes to nothing; of the first one nothing does.
    former: Option<Loaded>,
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
            sockets: Sockets::from_env(),
            workers: Vec::new(),
            newest: 0,
            serving: 0,
            starting: None,
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
        self.begin_generation(None);
        Ok(self.start_workers(cx)?)
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

    /// Does what workers depend on, and finds out what would keep them from serving.
    fn bind(&mut self) -> Result<(), String> {
        let workers = self.worker_count();
        Identity::of(&self.loaded.conf.global)?.is_within_reach()?;
        self.make_logs()?;
        for (conf, info) in self.loaded.conf.vhosts.iter().zip(&self.loaded.vhosts.infos) {
            self.sockets.bind(info, workers).map_err(|error| conf.explain(&error).to_string())?;
        }
        self.sockets.warn_of_unused();
        Ok(())
    }

    // -- workers

    fn begin_generation(&mut self, former: Option<Loaded>) {
        self.newest += 1;
        self.starting = Some(Starting { generation: self.newest, former });
    }

    fn start_workers(&mut self, cx: &mut Cx) -> Result<(), String> {
        (0..self.worker_count()).try_for_each(|number| self.start_worker(cx, self.newest, number))
    }

    fn start_worker(&mut self, cx: &mut Cx, generation: u32, number: usize) -> Result<(), String> {
        let failed = |error: io::Error| format!("starting a worker: {error}");
        let (ours, theirs) = UnixStream::pair().map_err(failed)?;
        let mut process = worker_process::spawn(&self.args, theirs)?;
        let sockets = self.sockets.of_worker(number, self.worker_count()).map_err(failed)?;
        ours.set_write_timeout(Some(HANDOVER)).map_err(failed)?;
        if let Err(error) = control::hand_over(&ours, &self.loaded, &sockets) {
            let _it_may_have_ended = process.kill().and_then(|()| process.wait().map(drop));
            return Err(failed(error));
        }
        let pid = process.id();
        let wsi = self.adopt(cx, ours, Whom::Worker(pid))?;
        log::info!("worker {number} of generation {generation} is process {pid}");
        let (started, state) = (cx.now(), State::Starting);
        self.workers.push(Worker {
            process,
            started,
            wsi,
            generation,
            number,
            state,
            listens: false,
            words: Vec::new(),
        });
        Ok(())
    }

    fn is_ready(&mut self, cx: &mut Cx, pid: u32) {
        for worker in self.workers.iter_mut().filter(|worker| worker.process.id() == pid) {
            worker.listens = true;
            if worker.state == State::Starting {
                worker.state = State::Serving;
            }
            if !worker.words.is_empty() {
                cx.callback_on_writable(worker.wsi);
            }
        }
        let Some(newest) = self.starting.as_ref().map(|starting| starting.generation) else { return };
        if !self.workers.iter().all(|worker| worker.generation != newest || worker.state == State::Serving) {
            return;
        }
        self.starting = None;
        self.serving = newest;
        self.sockets.settle(&self.loaded.vhosts.infos);
        self.tell(cx, DRAIN, |worker| worker.generation != newest);
        log::info!(target: logger::NOTICE, "{} workers serve {}", self.worker_count(), self.args.dir.display());
        self.manager.say("READY=1");
        if self.args.daemon && newest == 1 {
            daemon::tell_starter();
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
        let worker = worker.filter(|worker| worker.listens);
        worker.map(|worker| std::mem::take(&mut worker.words)).unwrap_or_default()
    }

    // -- what happens

    fn signalled(&mut self, cx: &mut Cx, signal: i32) {
        match signal {
            SIGHUP => self.reload(cx),
            SIGUSR1 => {
                if let Err(error) = self.make_logs() {
                    log::error!("{error}");
                }
                self.tell(cx, REOPEN, |_| true);
            }
            SIGCHLD => self.reap(cx),
            _ => self.stop(cx),
        }
    }

    /// Log files that are not there (any more) are made here, for the workers may not make any.
    fn make_logs(&self) -> Result<(), String> {
        let owner = Identity::of(&self.loaded.conf.global)?;
        let paths = self.loaded.conf.vhosts.iter().filter_map(|vhost| vhost.access_log.as_deref());
        let wrong: Vec<String> = paths.filter_map(|path| logs::make(path, &owner).err()).collect();
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    fn is_due(&mut self, cx: &mut Cx, sul: SulId) {
        let Some(index) = self.due.iter().position(|(due, _)| *due == sul) else { return };
        let due = self.due.swap_remove(index).1;
        let again = match due {
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
            // What it would be handed is another generation's; if that one serves, nobody misses this one.
            Due::Restart { .. } if self.starting.is_some() => self.schedule(cx, LOOK, due),
            Due::Restart { generation, number } if generation == self.serving && !self.stopping => {
                let restarted = self.start_worker(cx, generation, number);
                if restarted.is_err() {
                    self.restart_later(cx, generation, number);
                }
                restarted
            }
            Due::Restart { .. } => Ok(()),
            Due::Kill => {
                self.workers.iter_mut().for_each(Worker::kill);
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
        if self.starting.is_some() {
            self.reload_again = true;
            return;
        }
        self.manager.say_reloading();
        let taken = Loaded::from(&self.args.dir).and_then(|loaded| {
            loaded.check()?;
            loaded.warn();
            Ok(loaded)
        });
        let started = taken.and_then(|loaded| {
            self.watched = Watched::of(&loaded.conf);
            let former = std::mem::replace(&mut self.loaded, loaded);
            self.begin_generation(Some(former));
            self.bind()?;
            self.start_workers(cx)
        });
        if let Err(error) = started {
            self.refuse(cx, &error);
        }
    }

    /// The new configuration comes to nothing, and all is as it was.
    fn refuse(&mut self, cx: &mut Cx, why: &str) {
        why.lines().for_each(|line| log::error!("{line}"));
        log::error!("the new configuration is not taken; the old one goes on serving");
        if let Some(former) = self.starting.take().and_then(|starting| starting.former) {
            self.loaded = former;
            self.watched = Watched::of(&self.loaded.conf);
        }
        self.watched.look_again();
        self.sockets.undo();
        // Those that came up may have accepted connections.
        let serving = self.serving;
        self.tell(cx, DRAIN, |worker| worker.generation != serving && worker.state != State::Finishing);
        self.manager.say("READY=1");
        if std::mem::take(&mut self.reload_again) {
            self.reload(cx);
        }
    }

    /// Sees which workers have ended, and what that means.
    fn reap(&mut self, cx: &mut Cx) {
        let mut ended = Vec::new();
        for mut worker in std::mem::take(&mut self.workers) {
            match worker.process.try_wait() {
                Ok(Some(status)) => ended.push((worker, how_it_ended(status))),
                _ => self.workers.push(worker),
            }
        }
        for (worker, how) in ended {
            let Worker { generation, number, .. } = worker;
            let pid = worker.process.id();
            let starting = self.starting.as_ref().is_some_and(|starting| starting.generation == generation);
            if self.stopping || worker.state == State::Finishing {
                log::info!("worker {number} (process {pid}) is done: {how}");
            } else if starting && self.serving == 0 {
                let _ends = cx.stop_with(format!("a worker could not start: {how}"));
            } else if starting {
                self.refuse(cx, &format!("a worker could not start: {how}"));
            } else if generation == self.serving {
                log::error!("worker {number} (process {pid}) died: {how}");
                if cx.now().duration_since(worker.started) > STEADY {
                    self.tries = 0;
                }
                self.restart_later(cx, generation, number);
            } else {
                log::info!("worker {number} (process {pid}) of a generation that came to nothing: {how}");
            }
        }
        if self.stopping && self.workers.is_empty() {
            cx.stop();
        }
    }

    fn restart_later(&mut self, cx: &mut Cx, generation: u32, number: usize) {
        let wait = self.back_off.delay(&mut self.tries).unwrap_or_default();
        match wait.is_zero() {
            true => log::warn!("starting another one in its place at once"),
            false => log::warn!("starting another one in its place in {wait:.1?}"),
        }
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
        // The workers close the last copies when nobody waits there any more: who comes later is refused, and does not wait for nothing.
        self.sockets = Sockets::default();
        self.tell(cx, &format!("{STOP} {DRAIN_SECS}"), |_| true);
        if let Err(error) = self.schedule(cx, Duration::from_secs(DRAIN_SECS) + GRACE, Due::Kill) {
            log::error!("{error}");
        }
        if self.workers.is_empty() {
            cx.stop();
        }
    }
}
