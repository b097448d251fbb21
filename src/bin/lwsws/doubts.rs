//! What an operator is told of certificates, keys and revocation lists while they are used: what is doubtful from the start by the check, and by
//! the parent what becomes so when its date has passed.

use std::time::SystemTime;

use rlws::conf::Diagnostic;

use crate::setup::Loaded;

/// What is doubtful of a configuration.
pub(crate) struct Doubts {
    found: Vec<Diagnostic>,
    /// When there may be more.
    until: Option<SystemTime>,
}

impl Doubts {
    pub(crate) fn of(loaded: &Loaded, now: SystemTime) -> Doubts {
        let mut doubts = Doubts { found: Vec::new(), until: None };
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
