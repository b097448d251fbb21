//! How long a client may take that is waited for: a pause now and then, and a least rate all in all.
//!
//! ```text
//!   credit, at most `patience` ── a second of waiting takes a second ──▶ none left: it took too long
//!     ▲── limits::HTTP_LEAST_RATE bytes bring one
//! ```
//!
//! So what a client holds is held for a time that grows with the bytes alone, and not with how they are spread. Nothing is taken while the
//! client is not waited for.
//!
//! What a client has read the server learns from what the system takes, and that goes in steps: the client's system makes room for a few kB where
//! its buffer is small, and at worst for all that it holds where it is large. So it is offered more every [`limits::HTTP_SEND_LOOK`], whatever the
//! poll has said, and a reader has its patience for one step. Counterpart in lws: none; in Apache `MinRate` of mod_reqtimeout.

use std::time::{Duration, Instant};

use crate::cx::Cx;
use crate::limits;
use crate::role::CloseReason;
use crate::wsi::Wsi;

pub(super) struct Pace {
    /// The longest pause.
    patience: Duration,
    credit: Duration,
    /// When it was looked at last, and the bytes that had gone by then; `None`: it is not waited for.
    since: Option<(Instant, u64)>,
}

impl Pace {
    pub(super) fn new(patience: Duration) -> Pace {
        Pace { patience, credit: patience, since: None }
    }

    /// The client is waited for, and `bytes` have gone in all. How much longer it may take.
    pub(super) fn left(&mut self, now: Instant, bytes: u64) -> Duration {
        if let Some((then, before)) = self.since.replace((now, bytes)) {
            let earned = bytes.saturating_sub(before).saturating_mul(1_000_000) / limits::HTTP_LEAST_RATE;
            let credit = self.credit.saturating_add(Duration::from_micros(earned));
            self.credit = credit.saturating_sub(now.saturating_duration_since(then)).min(self.patience);
        }
        self.credit
    }

    /// The client is waited for to read: sets when it is looked at again.
    ///
    /// # Errors
    /// It took too long.
    pub(super) fn await_reader(&mut self, wsi: &mut Wsi, cx: &Cx) -> Result<(), CloseReason> {
        let left = self.left(cx.now, wsi.taken());
        if left.is_zero() {
            return Err(CloseReason::Timeout("it does not read its response"));
        }
        wsi.deadline = cx.after(left.min(limits::HTTP_SEND_LOOK));
        Ok(())
    }

    /// The client is not waited for.
    pub(super) fn pause(&mut self) {
        self.since = None;
    }

    /// The client has done all that it could.
    pub(super) fn renew(&mut self) {
        *self = Pace::new(self.patience);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    /// When the credit of a client is used up that moves so many bytes each `every` seconds; `None`: not within a day.
    fn ends(bytes: u64, every: u64) -> Option<u64> {
        let (mut pace, start) = (Pace::new(PATIENCE), Instant::now());
        let mut left = pace.left(start, 0);
        for number in 1..24 * 3600 / every {
            if left < Duration::from_secs(every) {
                return Some((number - 1) * every + left.as_secs());
            }
            left = pace.left(start + Duration::from_secs(number * every), number * bytes);
        }
        None
    }

    #[test]
    fn who_keeps_the_rate_may_go_on_for_ever() {
        for every in [1, 10, 29] {
            assert_eq!(ends(limits::HTTP_LEAST_RATE * every, every), None);
        }
    }

    #[test]
    fn who_does_not_has_a_time_that_grows_with_the_bytes() {
        assert_eq!(ends(0, 1), Some(30));
        assert_eq!(ends(1, 29), Some(30));
        assert_eq!(ends(limits::HTTP_LEAST_RATE / 2, 1), Some(59));
        assert_eq!(ends(1_000_000, 31), Some(30), "a pause is no longer than the patience, whatever came before");
    }

    #[test]
    fn nothing_counts_while_nobody_waits() {
        let (mut pace, start) = (Pace::new(PATIENCE), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        pace.left(start, 0);
        assert_eq!(pace.left(at(20), 0), Duration::from_secs(10));
        pace.pause();
        assert_eq!(pace.left(at(1000), 0), Duration::from_secs(10));
        pace.renew();
        assert_eq!(pace.left(at(2000), 0), PATIENCE);
    }
}
