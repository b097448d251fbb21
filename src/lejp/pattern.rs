//! The patterns of a path table: text in which a `*` stands for any other text.
//!
//! - At the end of a pattern, a `*` stands for all the rest of the path, but not for nothing.
//! - Elsewhere it stands for one or more characters that are no dot.
//!
//! Invariant: a match takes one pass through the pattern and one through the path, however many `*` there are: each search begins
//! where the one before it ended, and none is taken back.

use std::ops::Range;

/// Whether the pattern matches the whole path. If so, adds which parts of it the wildcards stand for.
pub(super) fn matches(pattern: &str, path: &str, wildcards: &mut Vec<Range<usize>>) -> bool {
    let before = wildcards.len();
    let matched = try_match(pattern, path, wildcards).is_some();
    if !matched {
        wildcards.truncate(before);
    }
    matched
}

fn try_match(pattern: &str, path: &str, wildcards: &mut Vec<Range<usize>>) -> Option<()> {
    let mut pieces = pattern.split('*');
    let mut rest = path.strip_prefix(pieces.next()?)?;
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        let first = rest.chars().next()?.len_utf8();
        let is_last = pieces.peek().is_none();
        let length = match piece {
            "" if is_last => rest.len(),
            // The last piece has its place; of the others, the first place is never worse than one behind it: both are before the
            // next dot, and it leaves more to the next wildcard.
            _ if is_last => rest.strip_suffix(piece)?.len(),
            _ => first + rest[first..].find(piece)?,
        };
        let eats_all = is_last && piece.is_empty();
        if length == 0 || (!eats_all && rest[..length].contains('.')) {
            return None;
        }
        let start = path.len() - rest.len();
        wildcards.push(start..start + length);
        rest = &rest[length + piece.len()..];
    }
    rest.is_empty().then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the wildcards stand for, or `None` where the pattern does not match.
    fn matched<'p>(pattern: &str, path: &'p str) -> Option<Vec<&'p str>> {
        let mut wildcards = Vec::new();
        matches(pattern, path, &mut wildcards).then(|| wildcards.into_iter().map(|range| &path[range]).collect())
    }

    #[test]
    fn a_pattern_matches_a_whole_path() {
        let none: Option<Vec<&str>> = None;
        for (pattern, path, wildcards) in [
            ("", "", Some(vec![])),
            ("", "a", none.clone()),
            ("a", "", none.clone()),
            ("a.b", "a.b", Some(vec![])),
            ("a.b", "a.bc", none.clone()),
            ("a.bc", "a.b", none.clone()),
            ("vhosts[].name", "vhosts[].name", Some(vec![])),
            ("vhosts[].name", "vhosts.name", none),
        ] {
            assert_eq!(matched(pattern, path), wildcards, "{pattern} {path}");
        }
    }

    #[test]
    fn a_wildcard_stands_for_one_name_or_at_the_end_for_everything() {
        let none: Option<Vec<&str>> = None;
        for (pattern, path, wildcards) in [
            ("*", "", none.clone()),
            ("*", "a", Some(vec!["a"])),
            ("*", "a.b[].c", Some(vec!["a.b[].c"])),
            ("a.*", "a", none.clone()),
            ("a.*", "a.", none.clone()),
            ("a.*", "a.b", Some(vec!["b"])),
            ("a.*", "a..zip", Some(vec![".zip"])),
            ("a.*", "a.b[].c", Some(vec!["b[].c"])),
            ("a.b*", "a.b", none.clone()),
            ("a.b*", "a.bc.d", Some(vec!["c.d"])),
            ("a.*.c", "a.b.c", Some(vec!["b"])),
            ("a.*.c", "a.b[].c", Some(vec!["b[]"])),
            ("a.*.c", "a.b.x.c", none.clone()),
            ("a.*.c", "a..c", none.clone()),
            ("a.*.c", "a.b.cd", none.clone()),
            ("a.*[].c", "a.b[].c", Some(vec!["b"])),
            ("a.*[].c", "a.b[][].c", Some(vec!["b[]"])),
            ("a.*[].c", "a.b.c", none.clone()),
            ("*[]", "b[]", Some(vec!["b"])),
            ("*[]", "[]", none.clone()),
            ("*.*", "a.b", Some(vec!["a", "b"])),
            ("*.*", "a.b.c", Some(vec!["a", "b.c"])),
            ("*.*.*", "a.b", none.clone()),
            ("a[].b[][].*", "a[].b[][].c", Some(vec!["c"])),
            ("a[].b[][].*", "a[].b[].c", none.clone()),
            ("x-*-y.*.z", "x-é-y.ü.z", Some(vec!["é", "ü"])),
            ("*-*", "a-b-c", Some(vec!["a", "b-c"])),
            ("**", "ab", Some(vec!["a", "b"])),
            ("**", "a", none),
        ] {
            assert_eq!(matched(pattern, path), wildcards, "{pattern} {path}");
        }
    }

    #[test]
    fn many_wildcards_take_one_pass_through_the_path() {
        // To try each place for each wildcard would take some 10^60 steps.
        let pattern = format!("{}b", "*a".repeat(100));
        assert_eq!(matched(&pattern, &"a".repeat(1000)), None);
        assert_eq!(matched(&pattern, &format!("{}b", "a".repeat(200))).map(|wildcards| wildcards.len()), Some(100));
    }

    /// Trying everything.
    fn slowly(pattern: &str, path: &str) -> bool {
        let Some((before, after)) = pattern.split_once('*') else {
            return pattern == path;
        };
        let Some(rest) = path.strip_prefix(before) else {
            return false;
        };
        if after.is_empty() {
            return !rest.is_empty();
        }
        let lengths = rest.char_indices().map(|(at, c)| at + c.len_utf8());
        lengths.take_while(|&length| !rest[..length].contains('.')).any(|length| slowly(after, &rest[length..]))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_quick_way_finds_what_trying_everything_finds(pattern in "[ab.*é]{0,8}", path in "[ab.é]{0,10}") {
            prop_assert_eq!(matched(&pattern, &path).is_some(), slowly(&pattern, &path));
        }
    }
}
