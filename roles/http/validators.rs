//! What tells one state of a file from another, and the conditions of a request that depend on it (RFC 9110 sections 8.8 and 13).
//!
//! ```text
//!   If-Match ── else If-Unmodified-Since ──▶ false: PreconditionFailed
//!      │ true or missing
//!   If-None-Match ── else If-Modified-Since ──▶ false: NotModified
//!      │ true or missing
//!   Proceed ──▶ If-Range: may a Range be honoured?
//! ```
//!
//! Pure. A file is served to GET and HEAD alone, so an If-None-Match that fails is always a 304. Counterpart in lws: the etag
//! part of `lws_http_serve()`.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use sha2::{Digest, Sha256};

use crate::date::{DateText, text_of};
use crate::file_cache::FileState;
use crate::http::KeptFile;

use super::encodings::Coding;
use super::fields::{Field, Fields};
use super::response::ResponseHead;

/// The validators of one representation of a file.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Validators {
    etag: ETag,
    /// In whole seconds since 1970, as dates in http are.
    modified: u64,
    /// The second that the response's `Date` says.
    now: u64,
}

/// A strong entity tag, with its quotes.
pub(crate) type ETag = [u8; 34];

/// What the conditions of a request come to.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Precondition {
    /// As if there were none.
    Proceed,
    /// 304: what the client has is what it would get.
    NotModified,
    /// 412: the file is not in the state that the client expects.
    Failed,
}

impl Validators {
    /// Of a representation, for a response whose `Date` is `now` seconds since 1970.
    pub(crate) fn of(state: &FileState, coding: Coding, now: u64) -> Validators {
        Validators { etag: etag(state, coding), modified: seconds_of(state), now }
    }

    /// Of a representation that is kept.
    pub(crate) fn kept(file: &KeptFile, now: u64) -> Validators {
        Validators { etag: file.etag, modified: seconds_of(&file.state), now }
    }

    /// The value of `ETag`.
    pub(crate) fn etag(&self) -> &ETag {
        &self.etag
    }

    /// The value of `Last-Modified`, which is never later than `Date` (RFC 9110 section 8.8.2.1).
    pub(crate) fn last_modified(&self) -> DateText {
        text_of(UNIX_EPOCH + Duration::from_secs(self.modified.min(self.now)))
    }

    /// Writes `ETag` and `Last-Modified`.
    pub(crate) fn headers<'a>(&self, head: ResponseHead<'a>) -> ResponseHead<'a> {
        head.header("ETag", self.etag()).header("Last-Modified", &self.last_modified())
    }

    /// Evaluates the preconditions in their order (RFC 9110 section 13.2.2).
    pub(crate) fn judge(&self, fields: &Fields<'_>) -> Precondition {
        if !fields.has_conditions() {
            return Precondition::Proceed;
        }
        let meets_first = if fields.has(Field::IfMatch) {
            self.matches(fields, Field::IfMatch, Comparison::Strong)
        } else {
            self.date_of(fields, Field::IfUnmodifiedSince).is_none_or(|date| self.modified <= date)
        };
        if !meets_first {
            return Precondition::Failed;
        }
        let is_new = if fields.has(Field::IfNoneMatch) {
            !self.matches(fields, Field::IfNoneMatch, Comparison::Weak)
        } else {
            self.date_of(fields, Field::IfModifiedSince).is_none_or(|date| self.modified > date)
        };
        if is_new { Precondition::Proceed } else { Precondition::NotModified }
    }

    /// Whether a `Range` may be honoured: the part that is asked for belongs to what the client has (RFC 9110 section 13.1.5).
    pub(crate) fn allow_range(&self, fields: &Fields<'_>) -> bool {
        if !fields.has(Field::IfRange) {
            return true;
        }
        let Some(value) = fields.value(Field::IfRange) else { return false };
        if value.starts_with(b"\"") || value.starts_with(b"W/") {
            return tags(value).any(|tag| tag == Tag::Strong(&self.etag));
        }
        // A file modified in this very second may be so once more: its date says nothing yet.
        parse_date(value) == Some(self.modified) && self.modified < self.now
    }

    fn matches(&self, fields: &Fields<'_>, field: Field, comparison: Comparison) -> bool {
        fields.values(field).any(|list| {
            list == b"*"
                || tags(list).any(|tag| match tag {
                    Tag::Strong(tag) => tag == self.etag,
                    Tag::Weak(tag) => comparison == Comparison::Weak && tag == self.etag,
                })
        })
    }

    /// A date that is none is as good as missing (RFC 9110 sections 13.1.3, 13.1.4).
    fn date_of(&self, fields: &Fields<'_>, field: Field) -> Option<u64> {
        parse_date(fields.value(field)?)
    }
}

/// How entity tags are compared (RFC 9110 section 8.8.3.2).
#[derive(Copy, Clone, PartialEq, Eq)]
enum Comparison {
    Strong,
    Weak,
}

/// An entity tag of a client, with its quotes.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
enum Tag<'a> {
    Strong(&'a [u8]),
    Weak(&'a [u8]),
}

/// The entity tags of a list, as far as it is one. They may have commas in them.
fn tags(list: &[u8]) -> impl Iterator<Item = Tag<'_>> {
    let mut rest = list;
    std::iter::from_fn(move || {
        while let [b',' | b' ' | b'\t', behind @ ..] = rest {
            rest = behind;
        }
        let (is_weak, quoted) = match rest {
            [b'W', b'/', quoted @ ..] => (true, quoted),
            quoted => (false, quoted),
        };
        let inside = quoted.strip_prefix(b"\"")?;
        let end = inside.iter().position(|byte| *byte == b'"')? + 2;
        let (tag, behind) = quoted.split_at(end);
        let is_separated = matches!(behind.trim_ascii_start().first(), None | Some(b','));
        rest = if is_separated { behind } else { &[] };
        is_separated.then_some(if is_weak { Tag::Weak(tag) } else { Tag::Strong(tag) })
    })
}

/// A date of http in any of its three forms (RFC 9110 section 5.6.7), in seconds since 1970.
fn parse_date(value: &[u8]) -> Option<u64> {
    let time: SystemTime = httpdate::parse_http_date(str::from_utf8(value).ok()?).ok()?;
    Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs())
}

fn seconds_of(state: &FileState) -> u64 {
    u64::try_from(state.modified.0).unwrap_or(0)
}

/// Made of all that changes with a file, and of the coding, for each has bytes of its own. A digest, because inode numbers are nobody's
/// business.
fn etag(state: &FileState, coding: Coding) -> ETag {
    let mut digest = Sha256::new();
    let (seconds, nanos) = state.modified;
    digest.update(seconds.to_be_bytes());
    for number in [nanos, state.len, state.inode] {
        digest.update(number.to_be_bytes());
    }
    digest.update(coding.suffix());
    let mut tag = [b'"'; 34];
    for (pair, byte) in tag[1..33].chunks_exact_mut(2).zip(digest.finalize()) {
        pair.copy_from_slice(&[hex(byte >> 4), hex(byte & 15)]);
    }
    tag
}

fn hex(digit: u8) -> u8 {
    b"0123456789abcdef"[usize::from(digit)]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::fields::tests::with;
    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const MODIFIED: u64 = 784_111_777;
    const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
    const AFTER: &str = "Sun, 06 Nov 1994 08:49:38 GMT";

    fn state() -> FileState {
        FileState { modified: (MODIFIED as i64, 5), changed: (0, 0), len: 7, inode: 9, device: 1 }
    }

    fn validators() -> Validators {
        Validators::of(&state(), Coding::Identity, MODIFIED + 100)
    }

    /// The verdict on a request with these lines; `TAG` in them is the file's own, `SAME`, `BEFORE` and `AFTER` are dates.
    fn verdict(lines: &[&str]) -> Precondition {
        let mut head = String::new();
        let lines: Vec<String> = lines.iter().map(|line| filled_in(line)).collect();
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        validators().judge(&with(&mut head, &lines))
    }

    fn filled_in(line: &str) -> String {
        let tag = String::from_utf8(validators().etag().to_vec()).expect("ASCII");
        line.replace("TAG", &tag).replace("SAME", SAME).replace("BEFORE", BEFORE).replace("AFTER", AFTER)
    }

    #[test]
    fn preconditions_are_evaluated_in_their_order() {
        use Precondition::{Failed, NotModified, Proceed};
        for (lines, expected) in [
            (&[][..], Proceed),
            (&["If-None-Match: TAG"], NotModified),
            (&["If-None-Match: W/TAG"], NotModified),
            (&["If-None-Match: *"], NotModified),
            (&["If-None-Match: \"a\", W/\"b,\" ,TAG"], NotModified),
            (&["If-None-Match: \"a\"", "If-None-Match: TAG"], NotModified),
            (&["If-None-Match: \"a\""], Proceed),
            (&["If-None-Match:"], Proceed),
            (&["If-None-Match: a, TAG"], Proceed),
            (&["If-None-Match: \"a\" TAG"], Proceed),
            (&["If-Modified-Since: SAME"], NotModified),
            (&["If-Modified-Since: AFTER"], NotModified),
            (&["If-Modified-Since: BEFORE"], Proceed),
            (&["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT"], NotModified),
            (&["If-Modified-Since: Sun Nov  6 08:49:37 1994"], NotModified),
            (&["If-Modified-Since: yesterday"], Proceed),
            (&["If-Modified-Since: SAME", "If-Modified-Since: SAME"], Proceed),
            // The tag counts, and the date beside it does not.
            (&["If-None-Match: \"a\"", "If-Modified-Since: SAME"], Proceed),
            (&["If-None-Match: TAG", "If-Modified-Since: BEFORE"], NotModified),
            (&["If-Match: TAG"], Proceed),
            (&["If-Match: *"], Proceed),
            (&["If-Match: \"a\", TAG"], Proceed),
            (&["If-Match: \"a\"", "If-Match: TAG"], Proceed),
            (&["If-Match: W/TAG"], Failed),
            (&["If-Match: \"a\""], Failed),
            (&["If-Match:"], Failed),
            (&["If-Unmodified-Since: SAME"], Proceed),
            (&["If-Unmodified-Since: AFTER"], Proceed),
            (&["If-Unmodified-Since: BEFORE"], Failed),
            (&["If-Unmodified-Since: never"], Proceed),
            (&["If-Match: TAG", "If-Unmodified-Since: BEFORE"], Proceed),
            (&["If-Match: \"a\"", "If-Unmodified-Since: SAME"], Failed),
            (&["If-Match: TAG", "If-None-Match: TAG"], NotModified),
            (&["If-Match: \"a\"", "If-None-Match: TAG"], Failed),
            (&["If-Unmodified-Since: BEFORE", "If-Modified-Since: SAME"], Failed),
            (&["If-Unmodified-Since: SAME", "If-Modified-Since: SAME"], NotModified),
        ] {
            assert_eq!(verdict(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_range_belongs_to_what_the_client_has() {
        for (line, expected) in [
            ("X: y", true),
            ("If-Range: TAG", true),
            ("If-Range: SAME", true),
            ("If-Range: W/TAG", false),
            ("If-Range: \"a\"", false),
            ("If-Range: AFTER", false),
            ("If-Range: BEFORE", false),
            ("If-Range:", false),
            ("If-Range: *", false),
            ("If-Range: SAME\r\nIf-Range: SAME", false),
        ] {
            let mut head = String::new();
            let line = filled_in(line);
            assert_eq!(validators().allow_range(&with(&mut head, &[&line])), expected, "{line}");
        }
        let fresh = Validators::of(&state(), Coding::Identity, MODIFIED);
        let mut head = String::new();
        let line = filled_in("If-Range: SAME");
        assert!(!fresh.allow_range(&with(&mut head, &[&line])), "it may be modified again in the same second");
    }

    #[test]
    fn whatever_changes_with_a_file_changes_its_tag() {
        let same = state();
        let other = [
            FileState { modified: (same.modified.0 + 1, 5), ..same },
            FileState { modified: (same.modified.0, 6), ..same },
            FileState { len: 8, ..same },
            FileState { inode: 10, ..same },
        ];
        let mut tags: Vec<ETag> = other.iter().map(|state| etag(state, Coding::Identity)).collect();
        tags.extend([Coding::Identity, Coding::Brotli, Coding::Gzip].map(|coding| etag(&same, coding)));
        tags.sort_unstable();
        tags.dedup();
        assert_eq!(tags.len(), 7);
        let tag = etag(&same, Coding::Identity);
        assert_eq!(tag, etag(&same, Coding::Identity));
        assert!(tag[1..33].iter().all(u8::is_ascii_hexdigit) && (tag[0], tag[33]) == (b'"', b'"'));
    }

    #[test]
    fn no_file_was_modified_later_than_now() {
        let text = |now| Validators::of(&state(), Coding::Identity, now).last_modified();
        assert_eq!(text(MODIFIED + 1), *SAME.as_bytes().first_chunk().expect("29 bytes"));
        assert_eq!(text(MODIFIED - 1), *BEFORE.as_bytes().first_chunk().expect("29 bytes"));
        let old = FileState { modified: (-5, 0), ..state() };
        assert_eq!(&Validators::of(&old, Coding::Identity, 9).last_modified(), b"Thu, 01 Jan 1970 00:00:00 GMT");
    }

    proptest! {
        #[test]
        fn any_list_and_any_date_get_a_verdict(value in prop::collection::vec(any::<u8>(), 0..80)) {
            let _ = parse_date(&value);
            let found: Vec<Tag<'_>> = tags(&value).collect();
            prop_assert!(found.len() <= value.len() / 2);
        }

        #[test]
        fn a_tag_is_found_in_any_list_that_has_it(
            before in prop::collection::vec("(W/)?\"[!#-~]{0,9}\"", 0..5),
            after in prop::collection::vec("(W/)?\"[!#-~]{0,9}\"", 0..5),
            comma in "[ \t]{0,2},[ \t,]{0,3}",
        ) {
            let own = String::from_utf8(validators().etag().to_vec()).expect("ASCII");
            let list = [before, vec![own], after].concat().join(&comma);
            let own = validators();
            prop_assert!(tags(list.as_bytes()).any(|tag| tag == Tag::Strong(own.etag())));
        }

        #[test]
        fn what_is_sent_as_last_modified_is_not_modified(seconds in 0..253_402_300_799_u64) {
            let state = FileState { modified: (seconds as i64, 0), ..state() };
            let validators = Validators::of(&state, Coding::Identity, seconds);
            prop_assert_eq!(parse_date(&validators.last_modified()), Some(seconds));
        }
    }
}
