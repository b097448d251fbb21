//! `application/x-www-form-urlencoded`, as the [URL Standard](https://url.spec.whatwg.org/#application/x-www-form-urlencoded) reads it.
//!
//! [`parse`] is for a text that is whole, such as the query of a request. A body in pieces is for a [`Form`](super::Form).
//!
//! In both, `&` stands between pairs and the first `=` of a pair behind its name; a pair without one has an empty value, and nothing at
//! all between two `&` is no pair. `+` is a space, `%` and two hex digits are a byte, and a `%` that is followed by anything else stays
//! as it is. What is not UTF-8 then becomes U+FFFD. So no text is wrong.
//!
//! lws: `lws_urldecode()`, and the states `US_*` of lws_spa, which refuse a bad escape.

use std::borrow::Cow;

use percent_encoding::percent_decode;

use super::tally::{OnEvent, Tally};
use super::{FormError, FormEvent};

/// The names and values of a text, decoded, in the order in which they stand there.
///
/// Nothing is copied but what has escapes in it. To find all pairs is one pass through the text.
///
/// ```
/// use rlws::forms::urlencoded;
///
/// let mut pairs = urlencoded::parse("q=caf%C3%A9+au+lait&page=2&debug");
/// assert_eq!(pairs.next(), Some(("q".into(), "café au lait".into())));
/// assert_eq!(pairs.next(), Some(("page".into(), "2".into())));
/// assert_eq!(pairs.next(), Some(("debug".into(), "".into())));
/// assert_eq!(pairs.next(), None);
/// ```
pub fn parse<T: AsRef<[u8]> + ?Sized>(text: &T) -> Pairs<'_> {
    Pairs { rest: text.as_ref() }
}

/// The iterator that [`parse`] makes.
#[derive(Debug, Clone)]
pub struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let (pair, rest) = split(self.rest, b'&');
            self.rest = rest;
            if !pair.is_empty() {
                let (name, value) = split(pair, b'=');
                return Some((decode(name), decode(value)));
            }
        }
        None
    }
}

/// One name or value, decoded: `+` is a space, `%41` an `A`, what is not UTF-8 U+FFFD (`lws_urldecode()`).
///
/// ```
/// use rlws::forms::urlencoded::decode;
///
/// assert_eq!(decode("100%25+sure"), "100% sure");
/// assert_eq!(decode("100% sure"), "100% sure"); // a bad escape stays as it is
/// ```
pub fn decode<T: AsRef<[u8]> + ?Sized>(text: &T) -> Cow<'_, str> {
    let text = text.as_ref();
    if memchr::memchr(b'+', text).is_none() {
        return percent_decode(text).decode_utf8_lossy();
    }
    let spaced: Vec<u8> = text.iter().map(|&byte| if byte == b'+' { b' ' } else { byte }).collect();
    Cow::Owned(percent_decode(&spaced).decode_utf8_lossy().into_owned())
}

/// What is before the first `at`, and what is behind it.
fn split(text: &[u8], at: u8) -> (&[u8], &[u8]) {
    match memchr::memchr(at, text) {
        Some(index) => (&text[..index], &text[index + 1..]),
        None => (text, &[]),
    }
}

/// The same of a body that comes in pieces. It keeps one pair.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    name: Vec<u8>,
    value: Vec<u8>,
    part: Part,
    escape: Escape,
}

/// Which part of a pair is being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Part {
    /// No byte of the pair has come.
    #[default]
    Nothing,
    Name,
    Value,
}

/// How much of an escape has come.
#[derive(Debug, Clone, Copy, Default)]
enum Escape {
    #[default]
    None,
    Percent,
    /// A percent sign and this hex digit.
    Digit(u8),
}

impl Decoder {
    pub(super) fn take(&mut self, bytes: &[u8], tally: &mut Tally, on_event: OnEvent<'_>) -> Result<(), FormError> {
        for &byte in bytes {
            match (self.escape, hex(byte)) {
                (Escape::None, _) => self.plain(byte, tally, on_event)?,
                (Escape::Percent, Some(_)) => self.escape = Escape::Digit(byte),
                (Escape::Digit(high), Some(low)) => {
                    self.escape = Escape::None;
                    self.push(hex(high).unwrap_or_default() << 4 | low, tally)?;
                }
                (Escape::Percent | Escape::Digit(_), None) => {
                    self.not_an_escape(tally)?;
                    self.plain(byte, tally, on_event)?;
                }
            }
        }
        Ok(())
    }

    pub(super) fn finish(mut self, tally: &mut Tally, on_event: OnEvent<'_>) -> Result<(), FormError> {
        self.not_an_escape(tally)?;
        self.end_pair(tally, on_event)
    }

    /// A byte that is in no escape, but may start one.
    fn plain(&mut self, byte: u8, tally: &mut Tally, on_event: OnEvent<'_>) -> Result<(), FormError> {
        if byte == b'&' {
            return self.end_pair(tally, on_event);
        }
        if self.part == Part::Nothing {
            self.part = Part::Name;
        }
        match byte {
            b'=' if self.part == Part::Name => self.part = Part::Value,
            b'%' => self.escape = Escape::Percent,
            b'+' => self.push(b' ', tally)?,
            byte => self.push(byte, tally)?,
        }
        Ok(())
    }

    /// What looked like an escape is text.
    fn not_an_escape(&mut self, tally: &Tally) -> Result<(), FormError> {
        match std::mem::take(&mut self.escape) {
            Escape::None => Ok(()),
            Escape::Percent => self.push(b'%', tally),
            Escape::Digit(digit) => {
                self.push(b'%', tally)?;
                self.push(digit, tally)
            }
        }
    }

    fn push(&mut self, byte: u8, tally: &Tally) -> Result<(), FormError> {
        if self.part == Part::Value {
            tally.value(self.value.len() + 1)?;
            self.value.push(byte);
        } else {
            tally.name(self.name.len() + 1)?;
            self.name.push(byte);
        }
        Ok(())
    }

    fn end_pair(&mut self, tally: &mut Tally, on_event: OnEvent<'_>) -> Result<(), FormError> {
        if std::mem::take(&mut self.part) == Part::Nothing {
            return Ok(());
        }
        tally.field()?;
        let (name, value) = (String::from_utf8_lossy(&self.name), String::from_utf8_lossy(&self.value));
        tally.text(name.len() + value.len())?;
        on_event(FormEvent::Field { name: &name, value: &value })?;
        self.name.clear();
        self.value.clear();
        Ok(())
    }
}

fn hex(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(text: &str, want: &[(&str, &str)]) {
        let pairs: Vec<_> = parse(text).collect();
        let want: Vec<(Cow<'_, str>, Cow<'_, str>)> =
            want.iter().map(|&(name, value)| (name.into(), value.into())).collect();
        assert_eq!(pairs, want, "{text}");
    }

    #[test]
    fn pairs_are_cut_at_ampersands_and_at_their_first_equals_sign() {
        reads("", &[]);
        reads("&&&", &[]);
        reads("a=1&b=2", &[("a", "1"), ("b", "2")]);
        reads("&a=1&&b=2&", &[("a", "1"), ("b", "2")]);
        reads("a=1&a=2", &[("a", "1"), ("a", "2")]);
        reads("a", &[("a", "")]);
        reads("a=", &[("a", "")]);
        reads("=a", &[("", "a")]);
        reads("=", &[("", "")]);
        reads("a=b=c", &[("a", "b=c")]);
        reads("a;b=1", &[("a;b", "1")]);
    }

    #[test]
    fn escapes_are_decoded_and_bad_ones_stay() {
        reads("a+b=c+d", &[("a b", "c d")]);
        reads("%61%2B=%2b%20", &[("a+", "+ ")]);
        reads("a%26b%3D=%3d%26", &[("a&b=", "=&")]);
        reads("%=%&%4=%4&%4x=%x4", &[("%", "%"), ("%4", "%4"), ("%4x", "%x4")]);
        reads("%%41=%4%41", &[("%A", "%4A")]);
        reads("a=%25%34%31", &[("a", "%41")]);
        reads("nul=%00", &[("nul", "\0")]);
    }

    #[test]
    fn what_is_not_utf8_is_replaced() {
        reads("a=%C3%A9", &[("a", "é")]);
        reads("a=%C3&b=%A9", &[("a", "\u{fffd}"), ("b", "\u{fffd}")]);
        reads("%EF%BB%BFa=1", &[("\u{feff}a", "1")]);
        assert_eq!(parse(b"a=\xff".as_slice()).next(), Some(("a".into(), "\u{fffd}".into())));
    }

    #[test]
    fn what_has_no_escape_is_not_copied() {
        assert!(parse("name=value").all(|pair| matches!(pair, (Cow::Borrowed(_), Cow::Borrowed(_)))));
    }
}
