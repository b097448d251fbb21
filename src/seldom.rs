//! Warnings of what one peer after another may run into: at most one in [`limits::WARN_AGAIN`], which says how often it was.
//!
//! One for each of them would fill the log, and cost more than the peers do. Who wants each has the log at the level of info.

use std::fmt;
use std::time::Instant;

use crate::limits;

/// Something that may happen often.
#[derive(Debug, Default)]
pub(crate) struct Seldom {
    /// When there was a warning last.
    warned: Option<Instant>,
    /// How often it has happened since.
    untold: u64,
}

/// Those of a context.
#[derive(Debug, Default)]
pub(crate) struct Warned {
    /// An address has as many connections as it may.
    pub(crate) too_many: Seldom,
    /// An address has as many as it may that have not said what they want.
    pub(crate) undecided: Seldom,
    /// The poll takes no more.
    pub(crate) unpolled: Seldom,
}

/// Those of a vhost.
#[derive(Debug, Default)]
pub(crate) struct VhostWarned {
    /// A connection of its own comes to nothing.
    pub(crate) unconnected: Seldom,
    /// A connection of its own takes any certificate.
    pub(crate) insecure: Seldom,
    /// A client's certificate cannot be looked up, for its CA has no revocation list that is good.
    pub(crate) unlisted: Seldom,
    /// A protocol does not do its part for a peer.
    pub(crate) protocol: Seldom,
    /// What a mount asks before it serves is not answered in time.
    pub(crate) unasked: Seldom,
}

/// What the log is to hear of it.
#[must_use]
pub(crate) enum Told {
    /// A warning, for so many times.
    Warning(u64),
    Info,
}

impl Seldom {
    /// It has happened.
    pub(crate) fn tell(&mut self, now: Instant) -> Told {
        self.untold += 1;
        let is_fresh = |warned: Instant| now.saturating_duration_since(warned) < limits::WARN_AGAIN;
        if self.warned.is_some_and(is_fresh) {
            return Told::Info;
        }
        self.warned = Some(now);
        Told::Warning(std::mem::take(&mut self.untold))
    }
}

impl Told {
    pub(crate) fn log(&self, text: fmt::Arguments<'_>) {
        match self {
            Told::Warning(1) => log::warn!("{text}"),
            Told::Warning(times) => log::warn!("{text} ({times} times since this was said last)"),
            Told::Info => log::info!("{text}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn there_is_one_warning_a_second_for_all_times() {
        let (mut seldom, now) = (Seldom::default(), Instant::now());
        assert!(matches!(seldom.tell(now), Told::Warning(1)));
        assert!(matches!(seldom.tell(now), Told::Info));
        assert!(matches!(seldom.tell(now + Duration::from_millis(999)), Told::Info));
        assert!(matches!(seldom.tell(now + limits::WARN_AGAIN), Told::Warning(3)));
    }
}
