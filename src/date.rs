//! The `Date` header's value, formatted at most once a second (RFC 9110 section 6.6.1).
//!
//! Callers bring the turn's `now`; the wall clock is read only when the text is a second old, so that a clock that is
//! set, or a machine that slept, shows at the next formatting. Counterpart in lws: none, it sends no `Date`.

use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use httpdate::HttpDate;

/// How long a formatted date is used.
const FRESH: Duration = Duration::from_secs(1);

/// Last second of the year 9999: later times have no form in HTTP.
const LAST: Duration = Duration::from_secs(253_402_300_799);

/// A date in the form `Sun, 06 Nov 1994 08:49:37 GMT`.
pub(crate) type DateText = [u8; 29];

/// The current date, ready to be copied into a response.
#[derive(Debug)]
pub(crate) struct Date {
    formatted_at: Instant,
    seconds: u64,
    text: DateText,
}

impl Date {
    /// Formats the date for the first time.
    pub(crate) fn new(now: Instant) -> Date {
        let time = SystemTime::now();
        let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Date { formatted_at: now, seconds, text: text_of(time) }
    }

    /// The date at `now`, at most a second old.
    pub(crate) fn at(&mut self, now: Instant) -> &DateText {
        if now.saturating_duration_since(self.formatted_at) >= FRESH {
            *self = Date::new(now);
        }
        &self.text
    }

    /// The second that [`at`](Date::at) says, since 1970.
    pub(crate) fn seconds_at(&mut self, now: Instant) -> u64 {
        self.at(now);
        self.seconds
    }
}

/// `time` as HTTP writes it; times that HTTP can't write become the nearest it can.
pub(crate) fn text_of(time: SystemTime) -> DateText {
    let since_epoch = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    let date = HttpDate::from(UNIX_EPOCH + since_epoch.min(LAST));
    let mut text = [b' '; 29];
    write!(&mut text[..], "{date}").expect("a date of a four-digit year is 29 bytes long");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_time_has_a_text() {
        let at = |secs| UNIX_EPOCH + Duration::from_secs(secs);
        for (time, text) in [
            (at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT"),
            (at(0), "Thu, 01 Jan 1970 00:00:00 GMT"),
            (UNIX_EPOCH - Duration::from_secs(1), "Thu, 01 Jan 1970 00:00:00 GMT"),
            (at(253_402_300_799), "Fri, 31 Dec 9999 23:59:59 GMT"),
            (at(253_402_300_800), "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(text_of(time), text.as_bytes());
        }
    }

    #[test]
    fn a_date_is_formatted_again_only_after_a_second() {
        let start = Instant::now();
        let mut date = Date::new(start);
        date.text = *b"Sun, 06 Nov 1994 08:49:37 GMT";
        let stale = date.text;
        assert_eq!(date.at(start), &stale);
        assert_eq!(date.at(start + Duration::from_millis(999)), &stale);
        assert_ne!(date.at(start + FRESH), &stale);
        assert_eq!(date.formatted_at, start + FRESH);
    }
}
