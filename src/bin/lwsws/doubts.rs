//! What an operator is told of certificates, keys and revocation lists while they are used: what is doubtful from the start by the check, and by
//! the parent what becomes so when its date has passed. And of protocols that several workers take apart.

use std::time::SystemTime;

use rlws::Protocol;
use rlws::conf::{Conf, Diagnostic};
use rlws::protocols::LwsMirror;

use crate::setup::Loaded;

/// What is doubtful of a configuration.
pub(crate) struct Doubts {
    found: Vec<Diagnostic>,
    /// When there may be more.
    until: Option<SystemTime>,
}

impl Doubts {
    pub(crate) fn of(loaded: &Loaded, now: SystemTime) -> Doubts {
        let mut doubts = Doubts { found: of_mirrors(&loaded.conf), until: None };
        for (conf, info) in loaded.conf.vhosts.iter().zip(&loaded.vhosts.infos) {
            let (found, until) = conf.doubts(info, now);
            doubts.found.extend(found);
            doubts.until = doubts.until.into_iter().chain(until).min();
        }
        doubts
    }

    pub(crate) fn warn(&self) {
        for doubt in &self.found {
            log::warn!("{doubt}");
        }
    }

    /// Warns of what has become doubtful since.
    pub(crate) fn warn_of_more(&mut self, loaded: &Loaded, now: SystemTime) {
        if self.until.is_some_and(|until| until <= now) {
            let known = std::mem::replace(self, Doubts::of(loaded, now)).found;
            for doubt in self.found.iter().filter(|doubt| !known.contains(doubt)) {
                log::warn!("{doubt}");
            }
        }
    }
}

/// Each worker has mirrors of its own.
fn of_mirrors(conf: &Conf) -> Vec<Diagnostic> {
    let workers = conf.global.count_threads;
    if workers < 2 {
        return Vec::new();
    }
    let all = conf.vhosts.iter().flat_map(|vhost| &vhost.protocols);
    let mirrors = all.filter(|protocol| protocol.name.replace('_', "-") == LwsMirror::NAME);
    let why = format!(
        "each of the {workers} workers (count-threads) has its own mirrors, and who comes to one does not hear who comes to another"
    );
    mirrors.map(|mirror| mirror.doubt(&why)).collect()
}
