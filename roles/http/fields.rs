//! The header fields of a request that choose a file's representation, or a part of it.
//!
//! Most requests have none but `Accept-Encoding`. So a head only notes which of them it has, in the one pass over its headers, and
//! borrows its bytes; whoever needs a field looks for its lines there. Lists may be spread over several lines (RFC 9110 section 5.3),
//! however many; a field that is no list and comes twice has no value to rely on.

/// A field that is looked for.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) enum Field {
    /// RFC 9110 section 13.1.1
    IfMatch,
    /// Section 13.1.2
    IfNoneMatch,
    /// Section 13.1.3
    IfModifiedSince,
    /// Section 13.1.4
    IfUnmodifiedSince,
    /// Section 13.1.5
    IfRange,
    /// Section 14.2
    Range,
    /// Section 12.5.3
    AcceptEncoding,
}

const NAMES: [(Field, &str); 7] = [
    (Field::IfMatch, "If-Match"),
    (Field::IfNoneMatch, "If-None-Match"),
    (Field::IfModifiedSince, "If-Modified-Since"),
    (Field::IfUnmodifiedSince, "If-Unmodified-Since"),
    (Field::IfRange, "If-Range"),
    (Field::Range, "Range"),
    (Field::AcceptEncoding, "Accept-Encoding"),
];

/// Those fields of one request.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Default)]
pub(crate) struct Fields<'a> {
    /// The head, with its lines as they came.
    head: &'a [u8],
    /// A bit for each [`Field`] that it has.
    present: u8,
}

impl<'a> Fields<'a> {
    /// Of a whole head, whose names are to be [noted](Fields::note).
    pub(crate) fn of(head: &'a [u8]) -> Fields<'a> {
        Fields { head, present: 0 }
    }

    /// The head has a field of that name.
    pub(crate) fn note(&mut self, name: &str) {
        if let Some((field, _)) = NAMES.iter().find(|(_, known)| known.eq_ignore_ascii_case(name)) {
            self.present |= bit(*field);
        }
    }

    /// Whether there is a line of it.
    pub(crate) fn has(&self, field: Field) -> bool {
        self.present & bit(field) != 0
    }

    /// Whether any of them is a precondition.
    pub(crate) fn has_conditions(&self) -> bool {
        use Field::{IfMatch, IfModifiedSince, IfNoneMatch, IfUnmodifiedSince};
        [IfMatch, IfNoneMatch, IfModifiedSince, IfUnmodifiedSince].into_iter().any(|field| self.has(field))
    }

    /// The values of its lines, in their order.
    pub(crate) fn values(&self, field: Field) -> impl Iterator<Item = &'a [u8]> {
        let head = if self.has(field) { self.head } else { &[] };
        let is_it = move |name: &[u8]| {
            NAMES.iter().any(|(known, text)| *known == field && name.eq_ignore_ascii_case(text.as_bytes()))
        };
        head.split(|byte| *byte == b'\n').filter_map(move |line| {
            let colon = line.iter().position(|byte| *byte == b':')?;
            is_it(&line[..colon]).then(|| line[colon + 1..].trim_ascii())
        })
    }

    /// The value of a field that is no list; `None` where it is missing or comes twice.
    pub(crate) fn value(&self, field: Field) -> Option<&'a [u8]> {
        let mut values = self.values(field);
        values.next().filter(|_| values.next().is_none())
    }
}

fn bit(field: Field) -> u8 {
    1 << field as u8
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// The fields of a head with these lines, each without its end.
    pub(in super::super) fn with<'a>(head: &'a mut String, lines: &[&str]) -> Fields<'a> {
        *head = format!("GET / HTTP/1.1\r\n{}\r\n\r\n", lines.join("\r\n"));
        let mut fields = Fields::of(head.as_bytes());
        lines.iter().filter_map(|line| line.split_once(':')).for_each(|(name, _)| fields.note(name));
        fields
    }

    #[test]
    fn the_lines_of_a_field_are_found_in_any_case_and_number() {
        let mut head = String::new();
        let lines =
            ["If-None-Match: \"a\"", "Range:bytes=0-1", "if-none-match: \t\"b\" ", "Host: if-match:", "RANGES: x"];
        let fields = with(&mut head, &lines);
        assert_eq!(fields.values(Field::IfNoneMatch).collect::<Vec<_>>(), [b"\"a\"", b"\"b\""]);
        assert_eq!(fields.value(Field::Range), Some(&b"bytes=0-1"[..]));
        assert_eq!(fields.value(Field::IfNoneMatch), None, "it comes twice");
        assert!(fields.has(Field::Range) && !fields.has(Field::IfMatch) && !fields.has(Field::AcceptEncoding));
        assert_eq!(fields.values(Field::IfMatch).count(), 0);
    }

    #[test]
    fn every_field_has_a_name_and_a_bit_of_its_own() {
        let all = NAMES.iter().fold(0, |all, (field, _)| all | bit(*field));
        assert_eq!(all.count_ones() as usize, NAMES.len());
        for (field, name) in NAMES {
            let mut head = String::new();
            let line = format!("{}: x", name.to_uppercase());
            assert_eq!(with(&mut head, &[&line]).value(field), Some(&b"x"[..]));
        }
    }
}
