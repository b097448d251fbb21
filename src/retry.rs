//! How long to wait before the next attempt, and when to give up (`lws_retry_bo_t`).
//!
//! A policy is plain data that many connections may share; each keeps only how often it has tried. It knows no clock and no
//! loop: it says how long, and a timer does the waiting.
//!
//! - A wait is never shorter than its entry in the table; jitter only adds to it.
//! - `conceal` attempts are granted, then none until the count of tries is set back.
//!
//! Unlike in lws no jitter means none (there: 30 %), and an empty table means no waits. Its pings and hang-ups of silent connections
//! (`secs_since_valid_*`) are no part of this.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// A policy of retries with growing waits (`lws_retry_bo_t`).
///
/// ```
/// use std::time::Duration;
/// use rlws::Retry;
///
/// let retry = Retry { delays: vec![Duration::from_secs(1), Duration::from_secs(5)], conceal: 3, jitter_percent: 0 };
/// let mut tries = 0; // kept with what is retried, and set to 0 when it has succeeded
/// assert_eq!(retry.delay(&mut tries), Some(Duration::from_secs(1)));
/// assert_eq!(retry.delay(&mut tries), Some(Duration::from_secs(5)));
/// assert_eq!(retry.delay(&mut tries), Some(Duration::from_secs(5)));
/// assert_eq!(retry.delay(&mut tries), None); // given up
/// ```
///
/// The default waits 1, 2, 3, 4 and 5 seconds, each with up to 20 % more, and then gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// The waits before the first attempt, the second, and so on (`retry_ms_table`). The last one repeats. Without any the next
    /// attempt is due at once, each time: a loop without a pause unless `conceal` ends it.
    pub delays: Vec<Duration>,
    /// How many attempts are made before giving up (`conceal_count`); [`Retry::ALWAYS`] never gives up, 0 does at once.
    pub conceal: u32,
    /// Each wait becomes longer by a random part of so many percent (`jitter_percent`), so that those who lost the same server do not
    /// return to it all at the same moment. 0 is none; 100 is up to twice as long.
    pub jitter_percent: u8,
}

impl Default for Retry {
    fn default() -> Retry {
        Retry { delays: (1..=5).map(Duration::from_secs).collect(), conceal: 5, jitter_percent: 20 }
    }
}

impl Retry {
    /// As `conceal`: never gives up (`LWS_RETRY_CONCEAL_ALWAYS`).
    pub const ALWAYS: u32 = u32::MAX;

    /// How long to wait before the next attempt, which is counted in `tries`; `None` when all were used up
    /// (`lws_retry_get_delay_ms`).
    ///
    /// `tries` begins at 0 and is set back to that by the caller when an attempt has succeeded.
    pub fn delay(&self, tries: &mut u32) -> Option<Duration> {
        if *tries >= self.conceal && self.conceal != Retry::ALWAYS {
            return None;
        }
        let entry = self.delays.get(*tries as usize).or(self.delays.last()).copied().unwrap_or_default();
        *tries = tries.saturating_add(1);
        Some(entry.saturating_add(self.jitter(entry, random())))
    }

    /// The part of the jitter that `random` stands for: nothing for 0, all of it for the greatest.
    fn jitter(&self, entry: Duration, random: u16) -> Duration {
        // The longest duration has 94 bits: the product of the three has at most 118.
        let whole = entry.as_nanos() * u128::from(self.jitter_percent) * u128::from(random);
        let nanos = whole / (100 * u128::from(u16::MAX));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// Not for secrets. Each state is seeded differently, and that is all that is hashed.
fn random() -> u16 {
    RandomState::new().build_hasher().finish() as u16
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn seconds(secs: u64) -> Duration {
        Duration::from_secs(secs)
    }

    #[test]
    fn the_table_is_walked_its_end_repeats_and_then_it_is_given_up() {
        let retry = Retry { delays: vec![seconds(1), seconds(3)], conceal: 4, jitter_percent: 0 };
        let mut tries = 0;
        let waits: Vec<_> = std::iter::from_fn(|| retry.delay(&mut tries)).collect();
        assert_eq!(waits, [1, 3, 3, 3].map(seconds));
        assert_eq!((retry.delay(&mut tries), tries), (None, 4));
        tries = 0;
        assert_eq!(retry.delay(&mut tries), Some(seconds(1)));
    }

    #[test]
    fn zero_tries_are_none_and_always_is_without_end() {
        let never = Retry { conceal: 0, ..Retry::default() };
        assert_eq!(never.delay(&mut 0), None);
        let always = Retry { conceal: Retry::ALWAYS, jitter_percent: 0, ..Retry::default() };
        let mut tries = u32::MAX - 1;
        for _ in 0..3 {
            assert_eq!((always.delay(&mut tries), tries), (Some(seconds(5)), u32::MAX));
        }
    }

    #[test]
    fn an_empty_table_means_at_once() {
        let retry = Retry { delays: Vec::new(), conceal: 2, jitter_percent: 100 };
        let mut tries = 0;
        let waits: Vec<_> = std::iter::from_fn(|| retry.delay(&mut tries)).collect();
        assert_eq!(waits, [Duration::ZERO; 2]);
    }

    #[test]
    fn jitter_adds_up_to_its_percent_and_never_takes_away() {
        let retry = Retry { jitter_percent: 20, ..Retry::default() };
        assert_eq!(retry.jitter(seconds(10), 0), Duration::ZERO);
        assert_eq!(retry.jitter(seconds(10), u16::MAX), seconds(2));
        let waits: BTreeSet<Duration> = (0..200).filter_map(|_| retry.delay(&mut 0)).collect();
        assert!(waits.iter().all(|wait| (seconds(1)..=Duration::from_millis(1200)).contains(wait)), "{waits:?}");
        assert!(waits.len() > 100, "hardly random: {waits:?}");
    }

    #[test]
    fn the_longest_wait_with_the_most_jitter_is_still_one() {
        let retry = Retry { delays: vec![Duration::MAX], conceal: 1, jitter_percent: u8::MAX };
        assert_eq!(retry.delay(&mut 0), Some(Duration::MAX));
        assert!(retry.jitter(Duration::MAX, u16::MAX) > seconds(1 << 34));
    }
}
