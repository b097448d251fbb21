//! The life of generations of workers, as a state machine: it is told what happened and when, and says what is to be done.
//!
//! ```text
//!   Begin ──▶ starting: all its workers prepare ── the last one is ready ──▶ Listen ──▶ serving ── another one serves ──▶ finishing
//!                │ one ends, hangs, cannot listen                                         │ one ends
//!                ▼                                                                        ▼
//!             Refuse: its workers are killed. They accepted nothing: nobody listened      another in its place, after a wait
//! ```
//!
//! What holds:
//! - at most one generation starts, and at most one serves; the others finish what they have;
//! - a worker serves only when all of its generation were ready, and nothing new listens before that;
//! - whatever starts is bounded in time ([`Limits::start`]), so that no hang keeps the parent from the next configuration, or from
//!   replacing a worker of the serving generation.

use std::collections::BTreeMap;
use std::fmt;
use std::time::{Duration, Instant};

use crate::control::Word;

/// Waits before another worker takes the place of one that died: the first time, the second, ..; the last one repeats.
const RESTART_WAITS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// A worker that has lived for so long does not die of what the one before it died of.
const STABLE_AFTER: Duration = Duration::from_secs(60);

/// How long a worker that has closed its connection to the parent may take to end.
const LOST_GRACE: Duration = Duration::from_secs(5);

/// How much longer than [`Limits::drain`] workers may live at the end.
const STOP_GRACE: Duration = Duration::from_secs(2);

/// Generations are numbered from 1 on.
pub(crate) type Generation = u32;

/// One process, once: another one in its place is another worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct WorkerId(u32);

impl fmt::Display for WorkerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// How long a worker may take to become ready.
    pub(crate) start: Duration,
    /// How long connections may take to finish at the end.
    pub(crate) drain: Duration,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Event {
    /// A configuration is to be served by so many workers. Nothing may be starting: [`Abandon`](Event::Abandon) comes first.
    Begin {
        generation: Generation,
        workers: usize,
    },
    /// What is starting is not wanted any more.
    Abandon,
    /// A worker has said that it could serve.
    Ready(WorkerId),
    /// The answers to [`Action::Listen`].
    Listening(Generation),
    CannotListen {
        generation: Generation,
        why: String,
    },
    /// A process has ended, or could not be started.
    Ended {
        worker: WorkerId,
        how: String,
    },
    /// A worker has closed its connection to us.
    Lost(WorkerId),
    /// A worker does what none of ours does.
    Misbehaves(WorkerId),
    Due(Timer),
    Stop,
}

/// What is to be done, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Spawn {
        worker: WorkerId,
        generation: Generation,
        number: usize,
    },
    Tell {
        worker: WorkerId,
        word: Word,
    },
    Kill(WorkerId),
    Schedule {
        after: Duration,
        timer: Timer,
    },
    /// All of a generation are ready: what was bound for it is to listen.
    Listen(Generation),
    /// It serves; what no configuration wants any more can go.
    Settle(Generation),
    /// It came to nothing: what was done for it is to be undone.
    Refuse {
        generation: Generation,
        why: String,
    },
    /// This is the end.
    Exit(Result<(), String>),
}

/// What a time was set for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Timer {
    /// The worker has to be ready.
    Start(WorkerId),
    /// The worker that was lost has to have ended.
    Lost(WorkerId),
    /// Another worker is to take a place.
    Restart { generation: Generation, number: usize },
    /// All have to have ended.
    Stop,
}

struct Worker {
    generation: Generation,
    /// Its place in its generation.
    number: usize,
    started: Instant,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Preparing,
    Ready,
    Serving,
    /// It was told to end, or killed.
    Finishing,
}

pub(crate) struct Generations {
    limits: Limits,
    workers: BTreeMap<WorkerId, Worker>,
    /// How many there ever were.
    made: u32,
    serving: Option<Generation>,
    starting: Option<Generation>,
    /// How many workers a generation has that starts or serves.
    sizes: BTreeMap<Generation, usize>,
    /// How often each place of the serving generation was taken anew.
    restarts: BTreeMap<usize, usize>,
    stopping: bool,
}

impl Generations {
    pub(crate) fn new(limits: Limits) -> Generations {
        Generations {
            limits,
            workers: BTreeMap::new(),
            made: 0,
            serving: None,
            starting: None,
            sizes: BTreeMap::new(),
            restarts: BTreeMap::new(),
            stopping: false,
        }
    }

    pub(crate) fn serving(&self) -> Option<Generation> {
        self.serving
    }

    pub(crate) fn starting(&self) -> Option<Generation> {
        self.starting
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping
    }

    /// Whether a generation starts, serves, or has workers that finish.
    pub(crate) fn lives(&self, generation: Generation) -> bool {
        [self.serving, self.starting].contains(&Some(generation))
            || self.workers.values().any(|worker| worker.generation == generation)
    }

    /// How many workers of former generations still finish what they have.
    pub(crate) fn finishing(&self) -> usize {
        self.workers.values().filter(|worker| worker.state == State::Finishing).count()
    }

    pub(crate) fn on(&mut self, now: Instant, event: Event) -> Vec<Action> {
        match event {
            Event::Begin { generation, workers } => self.begin(now, generation, workers),
            Event::Abandon => {
                let abandoned = self.starting.take();
                abandoned.map(|generation| self.kill_all_of(generation)).unwrap_or_default()
            }
            Event::Ready(worker) => self.is_ready(worker),
            Event::Listening(generation) if self.starting == Some(generation) => self.serve(generation),
            Event::Listening(_) => Vec::new(),
            Event::CannotListen { generation, why } => self.refuse(generation, why),
            Event::Ended { worker, how } => self.ended(now, worker, &how),
            Event::Lost(worker) if self.workers.contains_key(&worker) => {
                vec![Action::Schedule { after: LOST_GRACE, timer: Timer::Lost(worker) }]
            }
            Event::Lost(_) => Vec::new(),
            Event::Misbehaves(worker) => self.kill(worker),
            Event::Due(timer) => self.due(now, timer),
            Event::Stop => self.stop(),
        }
    }

    fn begin(&mut self, now: Instant, generation: Generation, workers: usize) -> Vec<Action> {
        if self.stopping || self.starting.is_some() {
            return Vec::new();
        }
        self.starting = Some(generation);
        self.sizes.insert(generation, workers);
        (0..workers).flat_map(|number| self.spawn(now, generation, number)).collect()
    }

    fn spawn(&mut self, now: Instant, generation: Generation, number: usize) -> [Action; 2] {
        self.made += 1;
        let worker = WorkerId(self.made);
        self.workers.insert(worker, Worker { generation, number, started: now, state: State::Preparing });
        let limit = Action::Schedule { after: self.limits.start, timer: Timer::Start(worker) };
        [Action::Spawn { worker, generation, number }, limit]
    }

    fn is_ready(&mut self, id: WorkerId) -> Vec<Action> {
        let Some(worker) = self.workers.get_mut(&id) else { return Vec::new() };
        let generation = worker.generation;
        match worker.state {
            State::Preparing if self.serving == Some(generation) => {
                worker.state = State::Serving;
                return vec![Action::Tell { worker: id, word: Word::Serve }];
            }
            State::Preparing => worker.state = State::Ready,
            // It was killed meanwhile.
            State::Finishing => return Vec::new(),
            State::Ready | State::Serving => return self.kill(id),
        }
        let ready = self.of(generation).filter(|(_, worker)| worker.state == State::Ready).count();
        let all = self.starting == Some(generation) && self.sizes.get(&generation) == Some(&ready);
        if all { vec![Action::Listen(generation)] } else { Vec::new() }
    }

    fn serve(&mut self, generation: Generation) -> Vec<Action> {
        self.starting = None;
        let former = self.serving.replace(generation);
        self.restarts.clear();
        self.sizes.retain(|known, _| *known == generation);
        let mut actions = vec![Action::Settle(generation)];
        for (id, worker) in &mut self.workers {
            let (next, action) = match worker.state {
                State::Ready if worker.generation == generation => (State::Serving, Action::tell(*id, Word::Serve)),
                State::Serving if Some(worker.generation) == former => {
                    (State::Finishing, Action::tell(*id, Word::Drain))
                }
                // It was to take a place of the former generation, and has accepted nothing.
                State::Preparing => (State::Finishing, Action::Kill(*id)),
                _ => continue,
            };
            worker.state = next;
            actions.push(action);
        }
        actions
    }

    /// A generation that starts comes to nothing.
    fn refuse(&mut self, generation: Generation, why: String) -> Vec<Action> {
        if self.starting != Some(generation) {
            return Vec::new();
        }
        self.starting = None;
        self.sizes.remove(&generation);
        let mut actions = self.kill_all_of(generation);
        actions.push(match self.serving {
            Some(_) => Action::Refuse { generation, why },
            None => Action::Exit(Err(why)),
        });
        actions
    }

    fn ended(&mut self, now: Instant, id: WorkerId, how: &str) -> Vec<Action> {
        let Some(worker) = self.workers.remove(&id) else { return Vec::new() };
        let Worker { generation, number, .. } = worker;
        if self.stopping {
            let last = self.workers.is_empty();
            return if last { vec![Action::Exit(Ok(()))] } else { Vec::new() };
        }
        if self.starting == Some(generation) {
            return self.refuse(generation, format!("a worker could not start: {how}"));
        }
        if self.serving != Some(generation) {
            return Vec::new();
        }
        let restarts = self.restarts.entry(number).or_default();
        if now.duration_since(worker.started) > STABLE_AFTER {
            *restarts = 0;
        }
        let after = RESTART_WAITS[(*restarts).min(RESTART_WAITS.len() - 1)];
        *restarts += 1;
        vec![Action::Schedule { after, timer: Timer::Restart { generation, number } }]
    }

    fn due(&mut self, now: Instant, timer: Timer) -> Vec<Action> {
        match timer {
            Timer::Start(id) => {
                let Some(worker) = self.workers.get(&id).filter(|worker| worker.state == State::Preparing) else {
                    return Vec::new();
                };
                if self.starting == Some(worker.generation) {
                    let limit = self.limits.start.as_secs();
                    let why = format!("a worker could not start: it is not ready after {limit} s (--start-limit)");
                    return self.refuse(worker.generation, why);
                }
                self.kill(id)
            }
            Timer::Lost(id) => self.kill(id),
            Timer::Restart { generation, number } if self.serving == Some(generation) && !self.stopping => {
                self.spawn(now, generation, number).into()
            }
            Timer::Restart { .. } => Vec::new(),
            Timer::Stop => self.workers.keys().copied().map(Action::Kill).collect(),
        }
    }

    fn stop(&mut self) -> Vec<Action> {
        if std::mem::replace(&mut self.stopping, true) {
            return Vec::new();
        }
        self.starting = None;
        let mut actions = Vec::new();
        for (id, worker) in &mut self.workers {
            actions.push(match worker.state {
                State::Preparing | State::Ready => Action::Kill(*id),
                State::Serving | State::Finishing => Action::tell(*id, Word::Stop(self.limits.drain.as_secs())),
            });
            worker.state = State::Finishing;
        }
        actions.push(match self.workers.is_empty() {
            true => Action::Exit(Ok(())),
            false => Action::Schedule { after: self.limits.drain + STOP_GRACE, timer: Timer::Stop },
        });
        actions
    }

    /// One that is still there. Of the serving generation another one takes its place when it has ended.
    fn kill(&mut self, id: WorkerId) -> Vec<Action> {
        let Some(worker) = self.workers.get_mut(&id) else { return Vec::new() };
        worker.state = State::Finishing;
        vec![Action::Kill(id)]
    }

    fn kill_all_of(&mut self, generation: Generation) -> Vec<Action> {
        let all: Vec<WorkerId> = self.of(generation).map(|(id, _)| id).collect();
        all.into_iter().flat_map(|id| self.kill(id)).collect()
    }

    fn of(&self, generation: Generation) -> impl Iterator<Item = (WorkerId, &Worker)> {
        let workers = self.workers.iter().map(|(id, worker)| (*id, worker));
        workers.filter(move |(_, worker)| worker.generation == generation)
    }
}

impl Action {
    fn tell(worker: WorkerId, word: Word) -> Action {
        Action::Tell { worker, word }
    }
}

#[cfg(test)]
mod tests;
