//! What the lines of an access log are made of: the time, and what a peer has said, so that it stays inside of its field.
//!
//! The escaping is Apache's: `\"` and `\\`, `\n` and its like, `\xhh` for any other byte that is not printable ASCII. So a field ends at
//! its quote and a line at its end, whatever was sent.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::limits;
use crate::logger::civil_date;

/// `23/Nov/2026:10:00:00 +0000`
pub(crate) type Stamp = [u8; 26];

/// How long the wall clock is relied on before it is read again: it may be set, and a machine may sleep.
const FRESH: Duration = Duration::from_secs(1);

/// Last second of the year 9999: later ones have no room.
const LAST: u64 = 253_402_300_799;

/// Times of the loop as lines have them. The wall clock is read at most once a second, and all lines go by the same reading.
pub(crate) struct Clock {
    /// What the wall clock said, and when.
    read: Option<(Instant, SystemTime)>,
    /// The last stamp, and its second since 1970.
    made: (u64, Stamp),
}

impl Default for Clock {
    fn default() -> Clock {
        Clock { read: None, made: (0, stamp_of(UNIX_EPOCH)) }
    }
}

impl Clock {
    /// When `then` was, or is, seen from `now`, the time of this turn of the loop.
    pub(crate) fn at(&mut self, now: Instant, then: Instant) -> Stamp {
        let (read_at, said) = self.reading(now);
        let time = match then.checked_duration_since(read_at) {
            Some(later) => said.checked_add(later),
            None => said.checked_sub(read_at.saturating_duration_since(then)),
        };
        let time = time.unwrap_or(UNIX_EPOCH);
        let second = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        if self.made.0 != second {
            self.made = (second, stamp_of(time));
        }
        self.made.1
    }

    fn reading(&mut self, now: Instant) -> (Instant, SystemTime) {
        let fresh = self.read.filter(|(at, _)| now.saturating_duration_since(*at) < FRESH);
        *self.read.insert(fresh.unwrap_or_else(|| (now, SystemTime::now())))
    }
}

/// A time, UTC.
pub(crate) fn stamp_of(time: SystemTime) -> Stamp {
    const MONTHS: &[u8; 36] = b"JanFebMarAprMayJunJulAugSepOctNovDec";
    let seconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs().min(LAST);
    let (year, month, day) = civil_date(seconds / 86_400);
    let mut stamp = *b"00/Jan/0000:00:00:00 +0000";
    let month = (month as usize - 1) * 3;
    stamp[3..6].copy_from_slice(&MONTHS[month..month + 3]);
    let century = year / 100;
    for (at, number) in [
        (0, day),
        (7, century),
        (9, year % 100),
        (12, seconds / 3600 % 24),
        (15, seconds / 60 % 60),
        (18, seconds % 60),
    ] {
        stamp[at] += (number / 10) as u8;
        stamp[at + 1] += (number % 10) as u8;
    }
    stamp
}

/// A field in quotes; `"-"` where there is nothing to say.
pub(crate) fn push_quoted(out: &mut Vec<u8>, text: Option<&[u8]>) {
    out.push(b'"');
    match text {
        Some(text) => push_escaped(out, text, |byte| byte == b' '),
        None => out.push(b'-'),
    }
    out.push(b'"');
}

/// A field without quotes: a space would end it, so it is escaped too.
pub(crate) fn push_word(out: &mut Vec<u8>, text: Option<&str>) {
    match text.filter(|text| !text.is_empty()) {
        Some(text) => push_escaped(out, text.as_bytes(), |_| false),
        None => out.push(b'-'),
    }
}

/// No more than [`limits::ACCESS_LOG_FIELD`] bytes; what is longer ends in `...`.
fn push_escaped(out: &mut Vec<u8>, text: &[u8], also: impl Fn(u8) -> bool) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let end = out.len() + limits::ACCESS_LOG_FIELD - LONGEST;
    for byte in text {
        if out.len() > end {
            return out.extend_from_slice(b"...");
        }
        let short = match byte {
            b'"' | b'\\' => *byte,
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0b => b'v',
            _ if byte.is_ascii_graphic() || also(*byte) => {
                out.push(*byte);
                continue;
            }
            _ => {
                out.extend_from_slice(&[b'\\', b'x', HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]]);
                continue;
            }
        };
        out.extend_from_slice(&[b'\\', short]);
    }
}

/// What one more byte, or the dots, may need.
const LONGEST: usize = 7;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn quoted(text: &[u8]) -> String {
        let mut out = Vec::new();
        push_quoted(&mut out, Some(text));
        String::from_utf8(out).expect("ASCII")
    }

    /// What a reader of the log makes of a field.
    fn unescaped(field: &str) -> Vec<u8> {
        let mut bytes = field.bytes();
        let mut out = Vec::new();
        while let Some(byte) = bytes.next() {
            out.push(match byte {
                b'\\' => match bytes.next().expect("something behind a backslash") {
                    b'n' => b'\n',
                    b'r' => b'\r',
                    b't' => b'\t',
                    b'b' => 8,
                    b'v' => 11,
                    b'x' => {
                        let digits = [bytes.next(), bytes.next()].map(|digit| digit.expect("two digits"));
                        u8::from_str_radix(std::str::from_utf8(&digits).expect("ASCII"), 16).expect("hex")
                    }
                    itself => itself,
                },
                byte => byte,
            });
        }
        out
    }

    #[test]
    fn what_cannot_be_printed_is_escaped_as_apache_does() {
        assert_eq!(quoted(b"GET /a?b=%20 HTTP/1.1"), r#""GET /a?b=%20 HTTP/1.1""#);
        assert_eq!(quoted(b"a\"b\\c\r\nd\te\x08\x0b"), r#""a\"b\\c\r\nd\te\b\v""#);
        assert_eq!(quoted("\0\x1b[2J\x7fä".as_bytes()), r#""\x00\x1b[2J\x7f\xc3\xa4""#);
        assert_eq!(quoted(b""), r#""""#);
        let mut nothing = Vec::new();
        push_quoted(&mut nothing, None);
        push_word(&mut nothing, None);
        push_word(&mut nothing, Some("unix:/a b"));
        assert_eq!(nothing, b"\"-\"-unix:/a\\x20b");
    }

    #[test]
    fn a_long_field_is_cut_between_two_bytes() {
        for text in [vec![b'a'; 100_000], vec![b'"'; 100_000], vec![0xff; 100_000]] {
            let field = quoted(&text);
            assert!(field.len() <= limits::ACCESS_LOG_FIELD + 2 && field.ends_with("...\""), "{}", field.len());
            let kept = unescaped(&field[1..field.len() - 4]);
            assert!(kept.len() > limits::ACCESS_LOG_FIELD / 4 - 3 && text.starts_with(&kept));
        }
        let fits = vec![b'a'; limits::ACCESS_LOG_FIELD - LONGEST + 1];
        assert!(quoted(&fits).ends_with("a\""));
    }

    #[test]
    fn a_stamp_is_what_apache_writes() {
        for (seconds, text) in [
            (0, "01/Jan/1970:00:00:00 +0000"),
            (951_782_400, "29/Feb/2000:00:00:00 +0000"),
            (1_795_415_757, "23/Nov/2026:06:35:57 +0000"),
            (253_402_300_799, "31/Dec/9999:23:59:59 +0000"),
            (253_402_300_800, "31/Dec/9999:23:59:59 +0000"),
        ] {
            let stamp = stamp_of(UNIX_EPOCH + Duration::from_secs(seconds));
            assert_eq!(String::from_utf8_lossy(&stamp), text);
        }
        assert_eq!(stamp_of(UNIX_EPOCH - Duration::from_secs(1)), stamp_of(UNIX_EPOCH));
    }

    #[test]
    fn a_clock_reads_the_time_only_after_a_second_and_goes_on_from_there() {
        let (mut clock, start) = (Clock::default(), Instant::now() + Duration::from_secs(60));
        let ms = Duration::from_millis;
        clock.read = Some((start, UNIX_EPOCH + ms(900)));
        let mut at = |now, then| String::from_utf8(clock.at(now, then).to_vec()).expect("ASCII");
        assert_eq!(at(start, start), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(at(start + ms(100), start + ms(100)), "01/Jan/1970:00:00:01 +0000");
        // What began before is before, by the same reading.
        assert_eq!(at(start + ms(999), start + ms(50)), "01/Jan/1970:00:00:00 +0000");
        assert_eq!(at(start + ms(999), start - ms(2000)), "01/Jan/1970:00:00:00 +0000");
        assert!(!at(start + FRESH, start + FRESH).contains("1970"));
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_field(text in any::<Vec<u8>>()) {
            let field = quoted(&text);
            prop_assert!(field.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()));
            let inside = &field[1..field.len() - 1];
            // A quote inside has an odd number of backslashes before it.
            for (at, _) in inside.match_indices('"') {
                let before = inside[..at].bytes().rev().take_while(|byte| *byte == b'\\').count();
                prop_assert_eq!(before % 2, 1);
            }
            let trailing = inside.bytes().rev().take_while(|byte| *byte == b'\\').count();
            prop_assert_eq!(trailing % 2, 0);
            prop_assert_eq!(unescaped(inside), text);
        }

        #[test]
        fn no_word_has_a_space(text in any::<String>()) {
            let mut out = Vec::new();
            push_word(&mut out, Some(&text));
            prop_assert!(!out.is_empty() && out.iter().all(u8::is_ascii_graphic));
        }
    }
}
