//! Names and addresses are looked up on threads of their own, for the system's resolver blocks.
//!
//! It honours nsswitch, hosts files and whatever else the system is set up with. Up to [`limits::RESOLVER_THREADS`] threads are started as
//! they are needed; each has one question at a time, and answers through a channel and the loop's waker. What is being looked up is
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

struct Thread<Q> {
    questions: Sender<Q>,
    is_busy: bool,
}

/// Which thread answers what.
type Answer<Q, A> = (usize, Q, A);

impl<Q: Clone + Eq + Hash + Send + 'static, A: Send + 'static> Resolver<Q, A> {
    pub(crate) fn new(waker: Arc<mio::Waker>, look_up: fn(&Q) -> A) -> Self {
        let (outbox, answers) = channel();
        let (queue, waiting) = (VecDeque::new(), HashMap::new());
        Resolver { look_up, threads: Vec::new(), outbox, answers, waker, queue, waiting }
    }

    /// Asks on behalf of a connection; [`Resolver::answer`] has the result later.
    pub(crate) fn ask(&mut self, id: WsiId, question: Q) -> io::Result<()> {
        if let Some(waiting) = self.waiting.get_mut(&question) {
            if waiting.len() >= limits::RESOLVER_QUEUE {
                return Err(io::Error::other("too many wait for the same answer of the resolver"));
            }
            waiting.push(id);
            return Ok(());
        }
        if self.waiting.len() >= limits::RESOLVER_QUEUE {
            return Err(io::Error::other("too many questions wait for the resolver"));
        }
        if self.threads.iter().all(|thread| thread.is_busy) && self.threads.len() < limits::RESOLVER_THREADS {
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
        thread::Builder::new().name("rlws-resolver".to_owned()).spawn(move || {
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
