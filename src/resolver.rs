//! Host names become addresses on a thread of their own, for the system's resolver blocks.
//!
//! It honours nsswitch, hosts files and whatever else the system is set up with. The thread starts with the first name and
//! answers through a channel and the loop's waker.

use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use crate::limits;
use crate::wsi::WsiId;

/// What the system's resolver said for a connection.
pub(crate) type Answer = (WsiId, io::Result<Vec<SocketAddr>>);

pub(crate) struct Resolver {
    questions: Option<Sender<(WsiId, String, u16)>>,
    answers: (Sender<Answer>, Receiver<Answer>),
    waker: Arc<mio::Waker>,
    pending: usize,
}

impl Resolver {
    pub(crate) fn new(waker: Arc<mio::Waker>) -> Resolver {
        Resolver { questions: None, answers: channel(), waker, pending: 0 }
    }

    /// Has `host` looked up for a connection; [`Resolver::answer`] has the result later.
    pub(crate) fn ask(&mut self, id: WsiId, host: &str, port: u16) -> io::Result<()> {
        if self.pending >= limits::RESOLVER_QUEUE {
            return Err(io::Error::other("too many host names wait for the resolver"));
        }
        if self.questions.is_none() {
            self.questions = Some(self.start()?);
        }
        let questions = self.questions.as_ref().expect("just started");
        questions.send((id, host.to_owned(), port)).map_err(|_| io::Error::other("the resolver has stopped"))?;
        self.pending += 1;
        Ok(())
    }

    /// The next answer that has come in.
    pub(crate) fn answer(&mut self) -> Option<Answer> {
        let answer = self.answers.1.try_recv().ok()?;
        self.pending -= 1;
        Some(answer)
    }

    fn start(&self) -> io::Result<Sender<(WsiId, String, u16)>> {
        let (questions, inbox) = channel::<(WsiId, String, u16)>();
        let (outbox, waker) = (self.answers.0.clone(), self.waker.clone());
        thread::Builder::new().name("rlws-resolver".to_owned()).spawn(move || {
            // Ends when the context drops its end of either channel.
            for (id, host, port) in inbox {
                let found = (host.as_str(), port).to_socket_addrs().map(Iterator::collect);
                if outbox.send((id, found)).is_err() || waker.wake().is_err() {
                    return;
                }
            }
        })?;
        Ok(questions)
    }
}
