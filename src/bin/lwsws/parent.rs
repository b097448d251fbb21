//! The parent: what happens comes in here, and what is to be done goes out.
//!
//! ```text
//!   HUP, a certificate has changed ──▶ check, by a process of its own ── good ──▶ bind, open logs ──▶ generations: Begin
//!                                        │ bad                                      │ bad              │ bad
//!                                        ▼                                          ▼                  ▼
//!                                      the old configuration goes on serving, and all is as it was
//! ```
//!
//! [`generations`](crate::generations) decides about workers; this carries it out. Nothing here waits for a worker, for a check, or for
//! the service manager.
//!
//! It is itself a program of this library: signals and workers are connections, times are scheduled calls.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use rlws::{
    AdoptInfo, Call, Context, ContextInfo, Cx, InitError, Protocol, ProtocolTable, Pvo, Reason, SulId, Verdict,
    VhostCall, VhostId, VhostInfo, VhostReason, WsiId, logger,
};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGUSR1};

use crate::args::Args;
use crate::control::{Lines, READY, Word};
use crate::doubts::Doubts;
use crate::generations::{Action, Event, Generation, Generations, Limits, Timer, WorkerId};
use crate::hand_over::HandOver;
use crate::logs::Logs;
use crate::notify::ServiceManager;
use crate::pidfile::PidFile;
use crate::privileges::{self, Identity};
use crate::process::{Process, how_it_ended};
use crate::setup::Loaded;
use crate::signals::Signals;
use crate::sockets::{self, Sockets};
use crate::watch::Watched;
use crate::worker_process::Worker;
use crate::{daemon, log_file};

/// How long connections may take to finish at the end.
const DRAIN: Duration = Duration::from_secs(10);

/// How often certificates are looked at.
const WATCH_INTERVAL: Duration = Duration::from_secs(1);

/// How often an interface is looked for that is not there yet.
const INTERFACE_RETRY: Duration = Duration::from_secs(2);

/// So many workers of former configurations are worth a warning.
const MANY_FORMER: usize = 8;

pub(crate) fn run(args: &Args) -> Result<(), String> {
    // Whatever comes from now on is heard, when there is somebody to hear it.
    let signals = Signals::register()?;
    if let Some(path) = &args.logfile {
        log_file::open(path)?;
    }
    if args.daemon {
        daemon::leave()?;
    }
    let _removed_at_the_end = args.pidfile.as_deref().map(PidFile::create).transpose()?;
    // Of each listen socket it has as many as there are workers.
    privileges::raise_nofile(None)?;
    let mut context = Context::new(ContextInfo::default()).map_err(|error| error.to_string())?;
    context.cx().set_user(Rc::new(RefCell::new(Some(Parent::new(args, signals)))));
    let home =
        VhostInfo { name: "lwsws".into(), protocols: vec![ProtocolTable::of::<Supervisor>()], ..Default::default() };
    context.create_vhost(home).map_err(|error| error.to_string())?;
    context.run().map_err(|error| error.to_string())
}

struct Parent {
    args: Args,
    home: Option<VhostId>,
    signals: Signals,
    sockets: Sockets,
    generations: Generations,
    /// Of generations that start, serve or finish.
    configurations: BTreeMap<Generation, Configuration>,
    newest: Generation,
    workers: BTreeMap<WorkerId, Worker>,
    /// The process that checks the configuration.
    check: Option<Process>,
    /// The configuration changed again while it was checked.
    check_again: bool,
    /// The operator has been told what keeps a late interface from being bound.
    late_told: bool,
    manager: ServiceManager,
    /// What is to be done at which time.
    due: Vec<(SulId, Due)>,
}

struct Configuration {
    /// Not kept of a generation that finishes: it has keys.
    loaded: Option<Rc<Loaded>>,
    logs: Logs,
    watched: Watched,
    doubts: Doubts,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Due {
    /// Looking at the certificates.
    Watch,
    /// A sign of life for the service manager.
    Watchdog,
    /// The check, of this process id, has to have ended.
    Check(u32),
    /// Looking for the interfaces that were not there.
    Interfaces(Generation),
    Generations(Timer),
}

/// What a connection of the parent is to, hung on it.
enum Source {
    Signal(i32),
    Worker(WorkerId),
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
            (Some(Source::Signal(signal)), Reason::RawRx(_)) => vhd.signalled(cx, *signal),
            (Some(Source::Worker(id)), Reason::RawRx(data)) => {
                for line in pss.add(data).unwrap_or_else(|_too_long| vec![String::new()]) {
                    let event = if line == READY { Event::Ready(*id) } else { Event::Misbehaves(*id) };
                    vhd.happens(cx, event);
                }
            }
            (Some(Source::Worker(id)), Reason::RawClose) => vhd.happens(cx, Event::Lost(*id)),
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
    fn new(args: &Args, signals: Signals) -> Parent {
        Parent {
            args: args.clone(),
            home: None,
            signals,
            sockets: Sockets::from_env(),
            generations: Generations::new(Limits { start: args.start_limit, drain: DRAIN }),
            configurations: BTreeMap::new(),
            newest: 0,
            workers: BTreeMap::new(),
            check: None,
            check_again: false,
            late_told: false,
            manager: ServiceManager::from_env(),
            due: Vec::new(),
        }
    }

    /// With the context at hand: listens to signals, and takes the first configuration.
    fn start(&mut self, cx: &mut Cx) -> Result<(), InitError> {
        for (signal, heard) in std::mem::take(&mut self.signals.0) {
            self.adopt(cx, heard, Source::Signal(signal))?;
        }
        if let Some(every) = self.manager.watchdog {
            self.schedule(cx, every / 2, Due::Watchdog);
        }
        self.schedule(cx, WATCH_INTERVAL, Due::Watch);
        self.reload(cx);
        Ok(())
    }

    fn adopt(&self, cx: &mut Cx, stream: UnixStream, source: Source) -> Result<WsiId, String> {
        let home = self.home.ok_or("there is no home")?;
        let id = cx.adopt_unix(stream, AdoptInfo::new(home, Supervisor::NAME)).map_err(|error| error.to_string())?;
        cx.set_opaque_user_data(id, Rc::new(source));
        Ok(id)
    }

    fn schedule(&mut self, cx: &mut Cx, after: Duration, due: Due) {
        let home = self.home.ok_or_else(|| "there is no home".to_owned());
        let scheduled =
            home.and_then(|home| cx.schedule(home, Supervisor::NAME, after).map_err(|error| error.to_string()));
        match scheduled {
            Ok(sul) => self.due.push((sul, due)),
            Err(error) => log::error!("setting a timer: {error}"),
        }
    }

    // -- what happens

    fn signalled(&mut self, cx: &mut Cx, signal: i32) {
        match signal {
            SIGHUP => self.reload(cx),
            SIGUSR1 => self.reopen_logs(cx),
            SIGCHLD => self.reap(cx),
            _ => self.stop(cx),
        }
    }

    fn is_due(&mut self, cx: &mut Cx, sul: SulId) {
        let Some(index) = self.due.iter().position(|(due, _)| *due == sul) else { return };
        match self.due.swap_remove(index).1 {
            Due::Watch => {
                self.schedule(cx, WATCH_INTERVAL, Due::Watch);
                self.watch(cx);
            }
            Due::Watchdog => {
                self.manager.notify("WATCHDOG=1");
                self.schedule(cx, self.manager.watchdog.unwrap_or(WATCH_INTERVAL) / 2, Due::Watchdog);
            }
            Due::Check(pid) => {
                if self.check.take_if(|check| check.id() == pid).is_some() {
                    let limit = self.args.start_limit.as_secs();
                    self.not_taken(
                        cx,
                        &format!("checking the configuration takes longer than {limit} s (--start-limit)"),
                    );
                }
            }
            Due::Interfaces(generation) => self.look_for_interfaces(cx, generation),
            Due::Generations(timer) => self.happens(cx, Event::Due(timer)),
        }
    }

    /// Sees which processes have ended.
    fn reap(&mut self, cx: &mut Cx) {
        let ended: Vec<_> = self
            .workers
            .iter_mut()
            .filter_map(|(id, worker)| Some((*id, how_it_ended(worker.process.ended()?))))
            .collect();
        for (id, how) in ended {
            let Some(Worker { process, generation, number, .. }) = self.workers.remove(&id) else { continue };
            let died = self.generations.serving() == Some(generation) && !self.generations.is_stopping();
            match (died, process.id()) {
                (true, pid) => log::error!("worker {number} (process {pid}) died: {how}"),
                (false, pid) => log::info!("worker {number} (process {pid}) of generation {generation} is done: {how}"),
            }
            self.happens(cx, Event::Ended { worker: id, how });
        }
        if let Some(status) = self.check.as_mut().and_then(Process::ended) {
            self.check = None;
            match status.success() {
                true => self.take(cx),
                false => self.not_taken(cx, &format!("the configuration is not good ({})", how_it_ended(status))),
            }
        }
    }

    /// Tells the generations, and does what they say.
    fn happens(&mut self, cx: &mut Cx, event: Event) {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.generations.on(cx.now(), event) {
                events.extend(self.act(cx, action));
            }
        }
        let Parent { configurations, generations, .. } = self;
        configurations.retain(|generation, _| generations.lives(*generation));
    }

    // -- what is done about it

    /// What comes of it at once.
    fn act(&mut self, cx: &mut Cx, action: Action) -> Option<Event> {
        match action {
            Action::Spawn { worker, generation, number } => {
                let how = self.spawn(cx, worker, generation, number).err()?;
                log::error!("starting worker {number}: {how}");
                return Some(Event::Ended { worker, how });
            }
            Action::Tell { worker, word } => {
                let told = self.workers.get(&worker).map(|worker| worker.tell(word));
                if let Some(Err(error)) = told {
                    log::warn!("telling worker {worker} {word:?}: {error}; it is killed");
                    return Some(Event::Misbehaves(worker));
                }
            }
            Action::Kill(worker) => {
                if let Some(worker) = self.workers.get_mut(&worker) {
                    log::warn!("worker {} (process {}) is killed", worker.number, worker.process.id());
                    worker.process.kill();
                }
            }
            Action::Schedule { after, timer } => {
                match timer {
                    Timer::Restart { .. } if after.is_zero() => {
                        log::warn!("starting another one in its place at once");
                    }
                    Timer::Restart { .. } => log::warn!("starting another one in its place in {after:.1?}"),
                    _ => {}
                }
                self.schedule(cx, after, Due::Generations(timer));
            }
            Action::Listen(generation) => {
                let listening = self.loaded(generation).and_then(|loaded| self.sockets.listen(&loaded.vhosts.infos));
                return Some(match listening {
                    Ok(()) => Event::Listening(generation),
                    Err(why) => Event::CannotListen { generation, why },
                });
            }
            Action::Settle(generation) => self.settle(cx, generation),
            Action::Refuse { generation, why } => {
                self.undo(generation);
                self.not_taken(cx, &why);
            }
            Action::Exit(Ok(())) => cx.stop(),
            Action::Exit(Err(why)) => drop(cx.stop_with(why)),
        }
        None
    }

    fn spawn(&mut self, cx: &mut Cx, id: WorkerId, generation: Generation, number: usize) -> Result<(), String> {
        let configuration = self.configurations.get(&generation).ok_or("its configuration is gone")?;
        let loaded = configuration.loaded.as_ref().ok_or("its configuration is gone")?;
        let new = self.generations.serving() != Some(generation);
        let of_vhosts = self.sockets.of_worker(&loaded.vhosts.infos, number, loaded.workers(), new);
        let hand_over = HandOver {
            files: loaded.conf.texts().map(|(name, text)| (name.to_owned(), text.to_owned())).collect(),
            pems: loaded.pems.iter().map(|(path, text)| (path.clone(), text.clone())).collect(),
            sockets: sockets::counted(&of_vhosts),
            logs: configuration.logs.paths(),
        };
        let fds: Vec<BorrowedFd<'_>> =
            sockets::flattened(&of_vhosts).into_iter().chain(configuration.logs.fds()).collect();
        let started = Worker::start(&self.args, generation, number, &hand_over, &fds);
        let (worker, heard) = started.map_err(|error| error.to_string())?;
        self.adopt(cx, heard, Source::Worker(id))?;
        log::info!("worker {number} of generation {generation} is process {}", worker.process.id());
        self.workers.insert(id, worker);
        Ok(())
    }

    /// A generation serves from now on.
    fn settle(&mut self, cx: &mut Cx, generation: Generation) {
        for (other, configuration) in &mut self.configurations {
            if *other != generation {
                configuration.loaded = None;
            }
        }
        let Ok(loaded) = self.loaded(generation) else { return };
        self.sockets.settle(&loaded.vhosts.infos);
        let workers = loaded.workers();
        log::info!(target: logger::NOTICE, "{workers} workers serve {}", self.args.dir.display());
        let former = self.generations.finishing();
        if former >= MANY_FORMER {
            let oldest = self.workers.values().map(|worker| worker.generation).min().unwrap_or(generation);
            log::warn!(
                "{former} workers of former configurations still have connections; the oldest are of generation {oldest}, \
                 this is {generation}"
            );
        }
        self.manager.notify("READY=1");
        if std::mem::take(&mut self.args.daemon) {
            self.detach();
        }
        if self.sockets.missing(&loaded.vhosts.infos) > 0 {
            self.schedule(cx, INTERFACE_RETRY, Due::Interfaces(generation));
        }
    }

    /// Whoever started us need not wait any more.
    fn detach(&mut self) {
        daemon::tell_starter();
        match log_file::detach() {
            Ok(true) => self.hand_log_file_on(),
            Ok(false) => {}
            Err(error) => log::error!("{error}"),
        }
    }

    // -- configurations

    fn loaded(&self, generation: Generation) -> Result<Rc<Loaded>, String> {
        let configuration = self.configurations.get(&generation);
        configuration.and_then(|configuration| configuration.loaded.clone()).ok_or("it is gone".to_owned())
    }

    fn serving(&mut self) -> Option<&mut Configuration> {
        self.configurations.get_mut(&self.generations.serving()?)
    }

    fn watch(&mut self, cx: &mut Cx) {
        // What changes meanwhile is noticed when this is decided.
        if self.check.is_some() || self.generations.starting().is_some() {
            return;
        }
        let Some(serving) = self.serving() else { return };
        if serving.watched.have_changed() {
            log::info!(target: logger::NOTICE, "a certificate has changed");
            self.reload(cx);
        } else if let Some(loaded) = &serving.loaded {
            serving.doubts.warn_of_more(loaded, SystemTime::now());
        }
    }

    /// A new configuration, if it is good; or the first one.
    fn reload(&mut self, cx: &mut Cx) {
        if self.generations.is_stopping() {
            return;
        }
        if self.check.is_some() {
            self.check_again = true;
            return;
        }
        if let Some(serving) = self.serving() {
            serving.watched.take();
            self.manager.notify_reloading();
        }
        match Process::check(&self.args) {
            Ok(check) => {
                self.schedule(cx, self.args.start_limit, Due::Check(check.id()));
                self.check = Some(check);
            }
            Err(error) => self.not_taken(cx, &format!("starting a check: {error}")),
        }
    }

    /// The configuration was found to be good.
    fn take(&mut self, cx: &mut Cx) {
        if std::mem::take(&mut self.check_again) {
            self.reload(cx);
            return;
        }
        match Loaded::from(&self.args.dir) {
            Ok(loaded) => self.begin(cx, Rc::new(loaded)),
            Err(error) => self.not_taken(cx, &error),
        }
    }

    /// Binds and opens what a configuration needs, and starts its workers. What was starting before is given up.
    fn begin(&mut self, cx: &mut Cx, loaded: Rc<Loaded>) {
        if let Some(starting) = self.generations.starting() {
            self.happens(cx, Event::Abandon);
            self.undo(starting);
        }
        self.newest += 1;
        let generation = self.newest;
        match self.bind(&loaded) {
            Ok(logs) => {
                let (workers, watched) = (loaded.workers(), Watched::since(loaded.stamps.clone()));
                let doubts = Doubts::of(&loaded, SystemTime::now());
                self.configurations.insert(generation, Configuration { loaded: Some(loaded), logs, watched, doubts });
                self.happens(cx, Event::Begin { generation, workers });
            }
            Err(error) => {
                self.undo(generation);
                self.not_taken(cx, &error);
            }
        }
    }

    fn bind(&mut self, loaded: &Loaded) -> Result<Logs, String> {
        Identity::of(&loaded.conf.global)?.is_within_reach()?;
        let workers = loaded.workers();
        for (conf, info) in loaded.conf.vhosts.iter().zip(&loaded.vhosts.infos) {
            self.sockets.bind(info, workers).map_err(|error| conf.explain(&error).to_string())?;
            if self.sockets.missing(std::slice::from_ref(info)) > 0 {
                let listen = &info.listen;
                log::warn!(
                    "vhost {}: {listen}: there is no such interface or address yet; trying until there is",
                    info.name
                );
            }
        }
        self.sockets.warn_of_unused();
        Logs::open(loaded.conf.vhosts.iter().filter_map(|vhost| vhost.access_log.as_deref()))
    }

    /// What was done for a generation that came to nothing.
    fn undo(&mut self, generation: Generation) {
        let serving = self.generations.serving().and_then(|serving| self.loaded(serving).ok());
        self.sockets.undo(serving.as_ref().map_or(&[], |loaded| &loaded.vhosts.infos));
        if let Some(configuration) = self.configurations.remove(&generation) {
            configuration.logs.undo();
        }
    }

    /// All is as it was; or, at the beginning, this is the end.
    fn not_taken(&mut self, cx: &mut Cx, why: &str) {
        if self.generations.serving().is_none() && self.generations.starting().is_none() {
            let _closes_nothing = cx.stop_with(why.to_owned());
            return;
        }
        why.lines().for_each(|line| log::error!("{line}"));
        log::error!("the new configuration is not taken; the old one goes on serving");
        self.manager.notify("READY=1");
        if std::mem::take(&mut self.check_again) {
            self.reload(cx);
        }
    }

    /// Serves what was configured before its interface was there.
    fn look_for_interfaces(&mut self, cx: &mut Cx, generation: Generation) {
        if self.generations.serving() != Some(generation) {
            return;
        }
        let Ok(loaded) = self.loaded(generation) else { return };
        let busy = self.check.is_some() || self.generations.starting().is_some();
        if !busy && !self.generations.is_stopping() {
            match self.sockets.bind_missing(&loaded.vhosts.infos, loaded.workers()) {
                Ok(false) => {}
                Ok(true) => {
                    log::info!(target: logger::NOTICE, "an interface or address has appeared");
                    self.late_told = false;
                    self.begin(cx, loaded);
                }
                Err(error) if !std::mem::replace(&mut self.late_told, true) => log::warn!("{error}; trying again"),
                Err(_) => {}
            }
        }
        self.schedule(cx, INTERFACE_RETRY, Due::Interfaces(generation));
    }

    // -- logs, and the end

    fn reopen_logs(&mut self, cx: &mut Cx) {
        if let Some(path) = &self.args.logfile {
            match log_file::open(path) {
                Ok(()) => self.hand_log_file_on(),
                Err(error) => log::error!("{error}; logging goes on in the old file"),
            }
        }
        let mut opened = BTreeMap::new();
        self.configurations.values_mut().for_each(|configuration| configuration.logs.reopen(&mut opened));
        let mut deaf = Vec::new();
        for (id, worker) in &self.workers {
            let Some(configuration) = self.configurations.get(&worker.generation) else { continue };
            let fds = configuration.logs.fds();
            let told = worker.hand(&fds, Word::Reopen(fds.len()));
            if let Err(error) = told {
                log::warn!("handing logs to worker {} (process {}): {error}", worker.number, worker.process.id());
                deaf.push(*id);
            }
        }
        // Their lines would go to files that are about to be removed.
        deaf.into_iter().for_each(|id| self.happens(cx, Event::Misbehaves(id)));
    }

    /// Gives the workers the log that is ours now.
    fn hand_log_file_on(&self) {
        let Ok(stderr) = log_file::current() else { return };
        for worker in self.workers.values() {
            let told = worker.hand(&[stderr.as_fd()], Word::LogFile);
            if let Err(error) = told {
                log::warn!("handing the log to worker {} (process {}): {error}", worker.number, worker.process.id());
            }
        }
    }

    fn stop(&mut self, cx: &mut Cx) {
        if self.generations.is_stopping() {
            return;
        }
        log::info!(target: logger::NOTICE, "stopping: connections have {} s to finish", DRAIN.as_secs());
        self.manager.notify("STOPPING=1");
        self.check = None;
        // The workers close the last copies when nobody waits there any more: who comes later is refused, and does not wait for nothing.
        self.sockets = Sockets::default();
        self.happens(cx, Event::Stop);
    }
}
