//! Which bytes of a file a `Range` asks for (RFC 9110 section 14).
//!
//! ```text
//! "bytes=0-99,-1" --select--> Whole            none that counts: the file, with 200
//!                             One(range)       206
//!                             Several(ranges)  206, multipart/byteranges
//!                             Unsatisfiable    416
//! ```
//!
//! Pure. What a client can have sent is never more than the file is long: ranges that overlap so much that they come to more, and more
//! than [`HTTP_RANGES`] of them, are ignored, as section 14.2 allows. Counterpart in lws:
//! `lws_ranges_init()`.

use std::ops::Range;

use crate::limits::HTTP_RANGES;

/// What is to be sent of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Selection {
    /// All of it.
    Whole,
    /// These bytes, at least one.
    One(Range<u64>),
    /// Each of these, in this order; none is empty.
    Several(Vec<Range<u64>>),
    /// Nothing: it is shorter than all that was asked for.
    Unsatisfiable,
}

/// What the value of a `Range` selects of a file of `len` bytes.
///
/// A value that is malformed, or in another unit, counts as none. So does any for an empty file: no range of it can be expressed, and
/// those who ask for the first bytes of everything get the nothing that there is.
pub(crate) fn select(value: &[u8], len: u64) -> Selection {
    if len == 0 {
        return Selection::Whole;
    }
    let Some(mut ranges) = parse(value, len) else { return Selection::Whole };
    let total = ranges.iter().fold(0, |total: u64, range| total.saturating_add(range.end - range.start));
    match ranges.len() {
        0 => Selection::Unsatisfiable,
        1 => Selection::One(ranges.remove(0)),
        _ if total > len => Selection::Whole,
        _ => Selection::Several(ranges),
    }
}

/// The satisfiable ranges of a set; `None` where it is to be ignored.
fn parse(value: &[u8], len: u64) -> Option<Vec<Range<u64>>> {
    let (unit, set) = value.split_at(value.iter().position(|byte| *byte == b'=')?);
    if !unit.eq_ignore_ascii_case(b"bytes") {
        return None;
    }
    let mut ranges = Vec::new();
    let mut count = 0;
    // Empty elements are no ranges (RFC 9110 section 5.6.1.2).
    for spec in set[1..].split(|byte| *byte == b',').map(<[u8]>::trim_ascii).filter(|spec| !spec.is_empty()) {
        count += 1;
        if count > HTTP_RANGES {
            return None;
        }
        ranges.extend(range(spec, len)?);
    }
    (count > 0).then_some(ranges)
}

/// One range: `None` where it is malformed, `Some(None)` where the file has nothing of it.
fn range(spec: &[u8], len: u64) -> Option<Option<Range<u64>>> {
    let dash = spec.iter().position(|byte| *byte == b'-')?;
    let (first, last) = (&spec[..dash], &spec[dash + 1..]);
    let range = match (first, last) {
        (b"", last) => len.saturating_sub(number(last)?)..len,
        (first, b"") => number(first)?..len,
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            if first > last {
                return None;
            }
            first..last.saturating_add(1).min(len)
        }
    };
    Some(Some(range).filter(|range| range.start < range.end))
}

/// A number of digits alone; one too large for 64 bits is past the end of any file.
fn number(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(digits.iter().fold(0, |number: u64, digit| number.saturating_mul(10).saturating_add(u64::from(digit - b'0'))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_range_is_taken_at_its_word() {
        use Selection::{Several, Unsatisfiable, Whole};
        let one = |range| Selection::One(range);
        let several = |ranges: &[Range<u64>]| Several(ranges.to_vec());
        for (value, expected) in [
            ("bytes=0-0", one(0..1)),
            ("bytes=0-9", one(0..10)),
            ("bytes=3-", one(3..10)),
            ("bytes=-3", one(7..10)),
            ("bytes=-10", one(0..10)),
            ("bytes=-11", one(0..10)),
            ("bytes=9-", one(9..10)),
            ("bytes=5-100", one(5..10)),
            ("bytes=5-18446744073709551615", one(5..10)),
            ("bytes=5-99999999999999999999999", one(5..10)),
            ("BYTES=0-0", one(0..1)),
            ("bytes= 0-0 ", one(0..1)),
            ("bytes=,0-0,,", one(0..1)),
            ("bytes=000-0000", one(0..1)),
            // What is left of two is one.
            ("bytes=0-0,10-", one(0..1)),
            ("bytes=0-0,9-9", several(&[0..1, 9..10])),
            ("bytes=-1,0-0", several(&[9..10, 0..1])),
            ("bytes=0-4 ,\t5-", several(&[0..5, 5..10])),
            ("bytes=0-4,4-8", several(&[0..5, 4..9])),
            ("bytes=0-5,4-8", Whole),
            ("bytes=0-,0-", Whole),
            ("bytes=10-", Unsatisfiable),
            ("bytes=10-10,11-", Unsatisfiable),
            ("bytes=-0", Unsatisfiable),
            ("bytes=99999999999999999999999-", Unsatisfiable),
            ("bytes=5-4", Whole),
            ("bytes=0-0,5-4", Whole),
            ("bytes=", Whole),
            ("bytes=,", Whole),
            ("bytes=-", Whole),
            ("bytes=0", Whole),
            ("bytes=0-0-0", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+0-1", Whole),
            ("bytes=0 -1", Whole),
            ("bytes=0-1;2-3", Whole),
            ("bytes 0-1", Whole),
            ("bytes =0-1", Whole),
            ("lines=0-1", Whole),
            ("0-1", Whole),
            ("", Whole),
        ] {
            assert_eq!(select(value.as_bytes(), 10), expected, "{value}");
        }
        assert_eq!(select(b"bytes=0-", 0), Whole);
        assert_eq!(select(b"bytes=-1", 0), Whole);
        assert_eq!(select(b"bytes=0-", u64::MAX), one(0..u64::MAX));
    }

    #[test]
    fn the_number_of_ranges_is_bounded() {
        let value = |count: usize| format!("bytes={}", (0..count).map(|n| format!("{n}-{n},")).collect::<String>());
        assert!(
            matches!(select(value(HTTP_RANGES).as_bytes(), 1000), Selection::Several(ranges) if ranges.len() == HTTP_RANGES)
        );
        assert_eq!(select(value(HTTP_RANGES + 1).as_bytes(), 1000), Selection::Whole);
    }

    /// Values made of what matters to the parser.
    fn values() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec!["0", "1", "9", "12", "-", ",", " ", "18446744073709551615", "x", "="]);
        prop::collection::vec(piece, 0..12).prop_map(|pieces| format!("bytes={}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn what_is_selected_is_in_the_file_and_no_more_than_it(value in values(), len in 0..30_u64) {
            let ranges = match select(value.as_bytes(), len) {
                Selection::Whole | Selection::Unsatisfiable => Vec::new(),
                Selection::One(range) => vec![range],
                Selection::Several(ranges) => {
                    prop_assert!((2..=HTTP_RANGES).contains(&ranges.len()));
                    ranges
                }
            };
            prop_assert!(ranges.iter().all(|range| range.start < range.end && range.end <= len));
            prop_assert!(ranges.iter().map(|range| range.end - range.start).sum::<u64>() <= len);
        }

        #[test]
        fn a_range_in_the_file_is_found_again(first in 0..1000_u64, more in 0..1000_u64, behind in 1..1000_u64) {
            let (last, len) = (first + more, first + more + behind);
            let value = format!("bytes={first}-{last}");
            prop_assert_eq!(select(value.as_bytes(), len), Selection::One(first..last + 1));
        }

        #[test]
        fn any_bytes_get_a_verdict(value in prop::collection::vec(any::<u8>(), 0..60), len in any::<u64>()) {
            let _ = select(&value, len);
        }
    }
}
