//! Names and addresses are looked up on threads of their own, for the system's resolver blocks. So is whatever else takes its time.
//!
//! It honours nsswitch, hosts files and whatever else the system is set up with. Up to [`limits::RESOLVER_THREADS`] threads (or as many
//! as a [`Pool`] has) are started as they are needed; each has one question at a time, and answers through a channel and the loop's waker. What is being looked up is
//! asked for once, whoever waits for it; what nobody waits for any more when its turn comes is not asked for at all.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::limits;
use crate::wsi::WsiId;

/// A host and a port.
pub(crate) type Name = (String, u16);

/// The addresses of a name, or what the system said.
pub(crate) type Found = Result<Vec<SocketAddr>, String>;

/// Looks up the addresses of a name.
pub(crate) fn addresses((host, port): &Name) -> Found {
    let found = (host.as_str(), *port).to_socket_addrs();
    found.map(Iterator::collect).map_err(|error| error.to_string())
}

/// Looks up the name of an address. `None`: it has none.
pub(crate) fn name(address: &IpAddr) -> Option<String> {
    // An address without a name is given back as text.
    dns_lookup::lookup_addr(address).ok().filter(|name| *name != address.to_string())
}

/// Answers questions `Q` with `A`.
pub(crate) struct Resolver<Q, A> {
    pool: Pool,
    look_up: fn(&Q) -> A,
    threads: Vec<Thread<Q>>,
    outbox: Sender<Answer<Q, A>>,
    answers: Receiver<Answer<Q, A>>,
    waker: Arc<mio::Waker>,
    /// What no thread has been asked yet.
    queue: VecDeque<Q>,
    /// Who waits for which answer.
    waiting: HashMap<Q, Vec<WsiId>>,
}

/// The bounds of some threads.
#[derive(Clone, Copy)]
pub(crate) struct Pool {
    /// What the threads are called.
    pub(crate) name: &'static str,
    /// How many there are at most.
    pub(crate) threads: usize,
    /// Questions that may wait for them, and connections for one answer.
    pub(crate) queue: usize,
}

struct Thread<Q> {
    questions: Sender<Q>,
    is_busy: bool,
}

/// Which thread answers what.
type Answer<Q, A> = (usize, Q, A);

impl<Q: Clone + Eq + Hash + Send + 'static, A: Send + 'static> Resolver<Q, A> {
    /// One that looks names up.
    pub(crate) fn new(waker: Arc<mio::Waker>, look_up: fn(&Q) -> A) -> Self {
        let pool = Pool { name: "rlws-resolver", threads: limits::RESOLVER_THREADS, queue: limits::RESOLVER_QUEUE };
        Resolver::in_pool(pool, waker, look_up)
    }

    /// One with other bounds.
    pub(crate) fn in_pool(pool: Pool, waker: Arc<mio::Waker>, look_up: fn(&Q) -> A) -> Self {
        let (outbox, answers) = channel();
        let (queue, waiting) = (VecDeque::new(), HashMap::new());
        Resolver { pool, look_up, threads: Vec::new(), outbox, answers, waker, queue, waiting }
    }

    /// Whether a connection waits for that answer already.
    pub(crate) fn waits(&self, id: WsiId, question: &Q) -> bool {
        self.waiting.get(question).is_some_and(|waiting| waiting.contains(&id))
    }

    /// Asks on behalf of a connection; [`Resolver::answer`] has the result later.
    pub(crate) fn ask(&mut self, id: WsiId, question: Q) -> io::Result<()> {
        if let Some(waiting) = self.waiting.get_mut(&question) {
            if waiting.len() >= self.pool.queue {
                return Err(io::Error::other("too many wait for the same answer of the resolver"));
            }
            waiting.push(id);
            return Ok(());
        }
        if self.waiting.len() >= self.pool.queue {
            return Err(io::Error::other("too many questions wait for the resolver"));
        }
        if self.threads.iter().all(|thread| thread.is_busy) && self.threads.len() < self.pool.threads {
            self.start()?;
        }
        self.queue.push_back(question.clone());
        self.waiting.insert(question, vec![id]);
        self.hand_out(|_| true);
        Ok(())
    }

    /// The next answer that has come in, and who waited for it.
    pub(crate) fn answer(&mut self, is_there: impl Fn(WsiId) -> bool) -> Option<(Vec<WsiId>, A)> {
        let (thread, question, found) = self.answers.try_recv().ok()?;
        self.threads[thread].is_busy = false;
        let waiting = self.waiting.remove(&question).unwrap_or_default();
        self.hand_out(is_there);
        Some((waiting, found))
    }

    /// Gives those threads something to do that have nothing.
    fn hand_out(&mut self, is_there: impl Fn(WsiId) -> bool) {
        for thread in self.threads.iter_mut().filter(|thread| !thread.is_busy) {
            let wanted = |waiting: &HashMap<Q, Vec<WsiId>>, question: &Q| {
                waiting.get(question).is_some_and(|ids| ids.iter().any(|id| is_there(*id)))
            };
            while let Some(question) = self.queue.pop_front() {
                if wanted(&self.waiting, &question) {
                    thread.is_busy = thread.questions.send(question).is_ok();
                    break;
                }
                self.waiting.remove(&question);
            }
        }
    }

    fn start(&mut self) -> io::Result<()> {
        let (questions, inbox) = channel::<Q>();
        let (outbox, waker, look_up) = (self.outbox.clone(), self.waker.clone(), self.look_up);
        let number = self.threads.len();
        thread::Builder::new().name(self.pool.name.to_owned()).spawn(move || {
            // Ends when the context drops its end of either channel.
            for question in inbox {
                let found = look_up(&question);
                if outbox.send((number, question, found)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        })?;
        self.threads.push(Thread { questions, is_busy: false });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Condvar, Mutex};
    use std::time::{Duration, Instant};

    use super::*;

    /// Questions from this one on are not answered before the gate is open.
    const SLOW: u32 = 1000;

    /// A look-up that notes what it was asked.
    struct Gate {
        asked: Mutex<Vec<u32>>,
        is_open: Mutex<bool>,
        opened: Condvar,
    }

    impl Gate {
        const fn new() -> Gate {
            Gate { asked: Mutex::new(Vec::new()), is_open: Mutex::new(false), opened: Condvar::new() }
        }

        fn look_up(&self, question: u32) -> u32 {
            self.asked.lock().unwrap().push(question);
            let is_open = self.is_open.lock().unwrap();
            let _open = self.opened.wait_while(is_open, |is_open| question >= SLOW && !*is_open).unwrap();
            question
        }

        fn open(&self) {
            *self.is_open.lock().unwrap() = true;
            self.opened.notify_all();
        }

        fn asked(&self) -> Vec<u32> {
            let mut asked = self.asked.lock().unwrap().clone();
            asked.sort_unstable();
            asked
        }
    }

    fn resolver(look_up: fn(&u32) -> u32) -> (Resolver<u32, u32>, mio::Poll) {
        let poll = mio::Poll::new().unwrap();
        let waker = mio::Waker::new(poll.registry(), mio::Token(0)).unwrap();
        (Resolver::new(Arc::new(waker), look_up), poll)
    }

    fn id(index: u32) -> WsiId {
        WsiId { index, generation: 1 }
    }

    fn next(resolver: &mut Resolver<u32, u32>, is_there: impl Fn(WsiId) -> bool) -> (Vec<WsiId>, u32) {
        let end = Instant::now() + Duration::from_secs(30);
        loop {
            if let Some(answer) = resolver.answer(&is_there) {
                return answer;
            }
            assert!(Instant::now() < end, "no answer");
            thread::sleep(Duration::from_millis(1));
        }
    }

    #[test]
    fn names_that_hang_hold_no_other_one_up() {
        static GATE: Gate = Gate::new();
        let (mut resolver, _poll) = resolver(|question| GATE.look_up(*question));
        for slow in 1..limits::RESOLVER_THREADS as u32 {
            resolver.ask(id(slow), SLOW + slow).unwrap();
        }
        for quick in 100..110 {
            resolver.ask(id(quick), quick).unwrap();
        }
        for quick in 100..110 {
            assert_eq!(next(&mut resolver, |_| true), (vec![id(quick)], quick));
        }
        GATE.open();
        for _ in 1..limits::RESOLVER_THREADS {
            assert!(next(&mut resolver, |_| true).1 >= SLOW);
        }
        assert!(resolver.waiting.is_empty());
    }

    #[test]
    fn what_nobody_waits_for_any_more_is_not_looked_up() {
        static GATE: Gate = Gate::new();
        let (mut resolver, _poll) = resolver(|question| GATE.look_up(*question));
        let slow = SLOW..SLOW + limits::RESOLVER_THREADS as u32;
        for (number, slow) in slow.clone().enumerate() {
            resolver.ask(id(number as u32), slow).unwrap();
        }
        for number in 10..20 {
            resolver.ask(id(number), number).unwrap();
        }
        GATE.open();
        let is_there = |id: WsiId| id.index != 10 && id.index != 15 && id.index != 19;
        for _ in 0..limits::RESOLVER_THREADS + 7 {
            next(&mut resolver, is_there);
        }
        let asked: Vec<u32> = (11..15).chain(16..19).chain(slow).collect();
        assert_eq!(GATE.asked(), asked);
        assert!(resolver.waiting.is_empty() && resolver.queue.is_empty());
    }

    #[test]
    fn what_many_wait_for_is_looked_up_once_and_they_are_no_more_than_the_limit() {
        static GATE: Gate = Gate::new();
        let (mut resolver, _poll) = resolver(|question| GATE.look_up(*question));
        let many: Vec<WsiId> = (0..limits::RESOLVER_QUEUE as u32).map(id).collect();
        for id in &many {
            resolver.ask(*id, SLOW).unwrap();
        }
        resolver.ask(id(u32::MAX), SLOW).expect_err("too many");
        resolver.ask(id(u32::MAX), SLOW + 1).unwrap();
        GATE.open();
        let mut answers = [next(&mut resolver, |_| true), next(&mut resolver, |_| true)];
        answers.sort_by_key(|(_, answer)| *answer);
        assert_eq!(answers, [(many, SLOW), (vec![id(u32::MAX)], SLOW + 1)]);
        assert_eq!(GATE.asked(), [SLOW, SLOW + 1]);
    }
}
