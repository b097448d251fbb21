//! Verifies passwords by bcrypt, on threads of their own, and remembers the verdicts.
//!
//! A verdict is found by a digest, keyed at random, of the file's version, the user and the password; so a file that changes, or a process
//! that ends, makes all of them worthless. Those that let somebody in and those that do not are bounded apart: who tries passwords cannot
//! push out who is known.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::ops::Range;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::limits;
use crate::resolver::{Pool, Resolver};
use crate::wsi::WsiId;

use super::credentials::{Digest, cost_of, nobodys};

/// The threads, and the verdicts that are known.
pub(crate) struct Passwords {
    key: Digest,
    threads: Resolver<Question, (Digest, bool)>,
    right: Recent,
    wrong: Recent,
}

/// A password to verify.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Question {
    digest: Digest,
    hash: Arc<str>,
    password: Arc<[u8]>,
    known: Known,
    /// The cost that the verdict takes, whoever's hash it is.
    cost: u32,
}

/// What is known before a bcrypt is worked out.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Known {
    /// It is what tells.
    Nothing,
    /// It is worked out for its time alone.
    Verdict(bool),
}

impl Question {
    pub(super) fn new(digest: Digest, hash: &Arc<str>, password: &[u8], known: Known, cost: u32) -> Question {
        Question { digest, hash: hash.clone(), password: password.into(), known, cost }
    }
}

impl Passwords {
    /// No thread is started before there is something to verify.
    pub(crate) fn new(waker: Arc<mio::Waker>) -> io::Result<Passwords> {
        let pool = Pool { name: "rlws-bcrypt", threads: limits::BCRYPT_THREADS, queue: limits::BCRYPT_QUEUE };
        let mut key = Digest::default();
        getrandom::fill(&mut key)?;
        let threads = Resolver::in_pool(pool, waker, verify);
        Ok(Passwords { key, threads, right: Recent::default(), wrong: Recent::default() })
    }

    /// What a verdict is known by.
    pub(super) fn digest(&self, version: Digest, user: &str, password: &[u8]) -> Digest {
        let mut hash = Sha256::new();
        hash.update(self.key);
        hash.update(version);
        hash.update((user.len() as u64).to_be_bytes());
        hash.update(user);
        hash.update(password);
        hash.finalize().into()
    }

    pub(super) fn verdict(&self, digest: &Digest) -> Option<bool> {
        match (self.right.has(digest), self.wrong.has(digest)) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        }
    }

    /// Has a password verified for a connection. `false`: too many wait.
    pub(super) fn ask(&mut self, id: WsiId, question: Question) -> bool {
        self.threads.waits(id, &question) || self.threads.ask(id, question).is_ok()
    }

    /// Those who waited for the next verdict that has come in, which is known from now on.
    pub(crate) fn answer(&mut self, is_there: impl Fn(WsiId) -> bool) -> Option<Vec<WsiId>> {
        let (waiting, (digest, is_right)) = self.threads.answer(is_there)?;
        let verdicts = if is_right { &mut self.right } else { &mut self.wrong };
        verdicts.add(digest);
        Some(waiting)
    }
}

fn verify(question: &Question) -> (Digest, bool) {
    let is_right = bcrypt::verify(&question.password, &question.hash).unwrap_or_default();
    // What is behind them bcrypt would let pass unseen.
    let is_right = is_right && question.password.len() <= limits::BCRYPT_PASSWORD;
    for cost in costs_up_to(question.cost, cost_of(&question.hash)) {
        let _ = bcrypt::verify(&question.password, &nobodys(cost));
    }
    let verdict = match question.known {
        Known::Nothing => is_right,
        Known::Verdict(verdict) => verdict,
    };
    (question.digest, verdict)
}

/// What makes a bcrypt of cost `own` take as long as one of cost `highest`: each cost takes twice as long as the one before it, so that
/// own, own, own + 1 .. highest - 1 take just that together.
pub(super) fn costs_up_to(highest: u32, own: Option<u32>) -> Range<u32> {
    own.unwrap_or(highest)..highest
}

/// The latest verdicts of a kind.
#[derive(Default)]
struct Recent {
    all: HashSet<Digest>,
    /// The oldest in front.
    order: VecDeque<Digest>,
}

impl Recent {
    fn has(&self, digest: &Digest) -> bool {
        self.all.contains(digest)
    }

    fn add(&mut self, digest: Digest) {
        if !self.all.insert(digest) {
            return;
        }
        self.order.push_back(digest);
        if self.order.len() > limits::BASIC_AUTH_VERDICTS
            && let Some(oldest) = self.order.pop_front()
        {
            self.all.remove(&oldest);
        }
    }
}
