//! Names and addresses are looked up on a thread of their own, for the system's resolver blocks.
//!
//! It honours nsswitch, hosts files and whatever else the system is set up with. The thread starts with the first question and
//! answers through a channel and the loop's waker. What is being looked up is asked for once, whoever waits for it.

use std::collections::HashMap;
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
    questions: Option<Sender<Q>>,
    outbox: Sender<(Q, A)>,
    answers: Receiver<(Q, A)>,
    waker: Arc<mio::Waker>,
    /// Who waits for which answer.
    waiting: HashMap<Q, Vec<WsiId>>,
}

impl<Q: Clone + Eq + Hash + Send + 'static, A: Send + 'static> Resolver<Q, A> {
    pub(crate) fn new(waker: Arc<mio::Waker>, look_up: fn(&Q) -> A) -> Self {
        let (outbox, answers) = channel();
        Resolver { look_up, questions: None, outbox, answers, waker, waiting: HashMap::new() }
    }

    /// Asks on behalf of a connection; [`Resolver::answer`] has the result later.
    pub(crate) fn ask(&mut self, id: WsiId, question: Q) -> io::Result<()> {
        if let Some(waiting) = self.waiting.get_mut(&question) {
            waiting.push(id);
            return Ok(());
        }
        if self.waiting.len() >= limits::RESOLVER_QUEUE {
            return Err(io::Error::other("too many questions wait for the resolver"));
        }
        let questions = match self.questions.take() {
            Some(questions) => questions,
            None => self.start()?,
        };
        questions.send(question.clone()).map_err(|_| io::Error::other("the resolver has stopped"))?;
        self.questions = Some(questions);
        self.waiting.insert(question, vec![id]);
        Ok(())
    }

    /// The next answer that has come in, and who waited for it.
    pub(crate) fn answer(&mut self) -> Option<(Vec<WsiId>, A)> {
        let (question, found) = self.answers.try_recv().ok()?;
        Some((self.waiting.remove(&question).unwrap_or_default(), found))
    }

    fn start(&self) -> io::Result<Sender<Q>> {
        let (questions, inbox) = channel::<Q>();
        let (outbox, waker, look_up) = (self.outbox.clone(), self.waker.clone(), self.look_up);
        thread::Builder::new().name("rlws-resolver".to_owned()).spawn(move || {
            // Ends when the context drops its end of either channel.
            for question in inbox {
                let found = look_up(&question);
                if outbox.send((question, found)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        })?;
        Ok(questions)
    }
}
