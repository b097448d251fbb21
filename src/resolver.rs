//! Host names become addresses on a thread of their own, for the system's resolver blocks.
//!
//! It honours nsswitch, hosts files and whatever else the system is set up with. The thread starts with the first name and
//! answers through a channel and the loop's waker. A name that is being looked up is asked for once, whoever waits for it.

use std::collections::HashMap;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::limits;
use crate::wsi::WsiId;

/// What the system's resolver said.
pub(crate) type Found = Result<Vec<SocketAddr>, String>;

type Name = (String, u16);

type Answer = (Name, Found);

pub(crate) struct Resolver {
    questions: Option<Sender<Name>>,
    answers: (Sender<Answer>, Receiver<Answer>),
    waker: Arc<mio::Waker>,
    /// Who waits for which name.
    waiting: HashMap<Name, Vec<WsiId>>,
}

impl Resolver {
    pub(crate) fn new(waker: Arc<mio::Waker>) -> Resolver {
        Resolver { questions: None, answers: channel(), waker, waiting: HashMap::new() }
    }

    /// Has `host` looked up for a connection; [`Resolver::answer`] has the result later.
    pub(crate) fn ask(&mut self, id: WsiId, host: &str, port: u16) -> io::Result<()> {
        let name = (host.to_owned(), port);
        if let Some(waiting) = self.waiting.get_mut(&name) {
            waiting.push(id);
            return Ok(());
        }
        if self.waiting.len() >= limits::RESOLVER_QUEUE {
            return Err(io::Error::other("too many host names wait for the resolver"));
        }
        let questions = match self.questions.take() {
            Some(questions) => questions,
            None => self.start()?,
        };
        questions.send(name.clone()).map_err(|_| io::Error::other("the resolver has stopped"))?;
        self.questions = Some(questions);
        self.waiting.insert(name, vec![id]);
        Ok(())
    }

    /// The next answer that has come in, and who waited for it.
    pub(crate) fn answer(&mut self) -> Option<(Vec<WsiId>, Found)> {
        let (name, found) = self.answers.1.try_recv().ok()?;
        Some((self.waiting.remove(&name).unwrap_or_default(), found))
    }

    fn start(&self) -> io::Result<Sender<Name>> {
        let (questions, inbox) = channel::<Name>();
        let (outbox, waker) = (self.answers.0.clone(), self.waker.clone());
        thread::Builder::new().name("rlws-resolver".to_owned()).spawn(move || {
            // Ends when the context drops its end of either channel.
            for (host, port) in inbox {
                let found = (host.as_str(), port).to_socket_addrs();
                let found = found.map(Iterator::collect).map_err(|error| error.to_string());
                if outbox.send(((host, port), found)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        })?;
        Ok(questions)
    }
}
