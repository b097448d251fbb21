//! JSON as a tree whose values know where they are.
//!
//! ```text
//!   text ──▶ serde_json checks all of it ──▶ one RawValue ──▶ its members, RawValues too ──▶ .. ──▶ scalars
//!                │                                                   │
//!                └▶ the first syntax error                           └▶ offset = where it begins in the text
//! ```
//!
//! serde_json does the parsing; a [`RawValue`] borrows its part of the text, and so tells its offset. Order is kept, and members of one
//! name are all there. Every level reads its part of the text again, which [`MAX_DEPTH`] bounds.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::diagnostic::{Diagnostic, Found, Problem};
use super::source::Source;

/// Arrays and objects within each other.
pub const MAX_DEPTH: usize = 32;

/// What stands for the data directory.
const DATA_DIR: &str = "_lws_ddir_";

/// A value, and where it begins.
#[derive(Debug, PartialEq)]
pub(super) struct Value {
    pub(super) at: usize,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Null,
    Bool(bool),
    /// As it is written.
    Number(String),
    String(String),
    Array(Vec<Value>),
    Object(Vec<Member>),
}

/// A member of an object.
#[derive(Debug, PartialEq)]
pub(super) struct Member {
    pub(super) key: String,
    pub(super) key_at: usize,
    pub(super) value: Value,
}

/// Parses a file. `data_dir` takes the place of `_lws_ddir_` in strings.
///
/// # Errors
/// The first thing in it that is not JSON.
pub(super) fn parse(source: &Source, data_dir: &str) -> Found<Value> {
    let text = source.text();
    let raw: &RawValue = serde_json::from_str(text).map_err(|error| syntax_error(source, &error))?;
    let builder = Builder { text, data_dir };
    builder.value(raw, 0).map_err(|fault| {
        let place = source.place(fault.at);
        Diagnostic::error(Problem::Syntax, place, String::new()).expected(fault.expected).found(fault.found).into()
    })
}

struct Builder<'t> {
    text: &'t str,
    data_dir: &'t str,
}

struct Fault {
    at: usize,
    expected: String,
    found: &'static str,
}

impl Builder<'_> {
    fn value(&self, raw: &RawValue, depth: usize) -> Result<Value, Fault> {
        let (json, at) = (raw.get(), self.offset(raw));
        let kind = match json.as_bytes().first() {
            Some(b'{' | b'[') if depth == MAX_DEPTH => {
                let expected = format!("at most {MAX_DEPTH} arrays and objects within each other");
                return Err(Fault { at, expected, found: "more" });
            }
            Some(b'{') => {
                let Members(members) = parsed(json, at)?;
                let member = |(key, value): (&RawValue, &RawValue)| {
                    let key_at = self.offset(key);
                    Ok(Member { key: parsed(key.get(), key_at)?, key_at, value: self.value(value, depth + 1)? })
                };
                Kind::Object(members.into_iter().map(member).collect::<Result<_, Fault>>()?)
            }
            Some(b'[') => {
                let items: Vec<&RawValue> = parsed(json, at)?;
                Kind::Array(items.into_iter().map(|item| self.value(item, depth + 1)).collect::<Result<_, _>>()?)
            }
            Some(b'"') => {
                let text: String = parsed(json, at)?;
                Kind::String(if text.contains(DATA_DIR) { text.replace(DATA_DIR, self.data_dir) } else { text })
            }
            Some(b't') => Kind::Bool(true),
            Some(b'f') => Kind::Bool(false),
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number(json.to_owned()),
        };
        Ok(Value { at, kind })
    }

    /// Where in the text a part of it begins.
    fn offset(&self, raw: &RawValue) -> usize {
        (raw.get().as_ptr() as usize).saturating_sub(self.text.as_ptr() as usize)
    }
}

/// A part of what was checked already. What the check leaves out is whether the escapes in strings are characters.
fn parsed<'j, T: Deserialize<'j>>(json: &'j str, at: usize) -> Result<T, Fault> {
    serde_json::from_str(json).map_err(|error| {
        let at = at + error.column().saturating_sub(1);
        Fault { at, expected: "both halves of a surrogate pair".to_owned(), found: "one of them" }
    })
}

/// The members of an object in their order, with the places of their keys.
struct Members<'j>(Vec<(&'j RawValue, &'j RawValue)>);

impl<'j> Deserialize<'j> for Members<'j> {
    fn deserialize<D: Deserializer<'j>>(deserializer: D) -> Result<Self, D::Error> {
        struct All;
        impl<'j> Visitor<'j> for All {
            type Value = Members<'j>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'j>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(All)
    }
}

/// serde_json's words, in the form of all other mistakes.
fn syntax_error(source: &Source, error: &serde_json::Error) -> Diagnostic {
    let text = source.text();
    let words = error.to_string();
    let words = words.split(" at line ").next().unwrap_or_default();
    let at = match error.classify() {
        Category::Eof => text.len(),
        // Of this one it says the place before.
        _ if words.starts_with("control character") => offset_of(text, error.line(), error.column() + 1),
        _ => offset_of(text, error.line(), error.column()),
    };
    let diagnostic = Diagnostic::error(Problem::Syntax, source.place(at), String::new()).found(character(text, at));
    let trailing_comma = text[..at].trim_end().ends_with(',') && text[at..].starts_with(['}', ']']);
    match words {
        _ if error.is_eof() => diagnostic.expected(what_is_open(source)),
        _ if trailing_comma => diagnostic.expected("something after the comma"),
        "key must be a string" => diagnostic.expected("a key in double quotes"),
        "expected value" => diagnostic.expected("a value"),
        "expected ident" => diagnostic.expected("true, false or null"),
        "trailing characters" => diagnostic.expected("nothing after the end of the JSON"),
        "invalid escape" => diagnostic.expected("one of \"\\/bfnrtu after a backslash"),
        "invalid number" => diagnostic.expected("a number"),
        words if words.starts_with("control character") => diagnostic.expected("the string to end"),
        words => diagnostic.expected(words.strip_prefix("expected ").unwrap_or(words).replace('`', "\"")),
    }
}

/// The offset of serde_json's line and column, which count bytes; column 0 is the line break before the line.
fn offset_of(text: &str, line: usize, column: usize) -> usize {
    let start = match line {
        0 | 1 => 0,
        line => text.match_indices('\n').nth(line - 2).map_or(text.len(), |(at, _)| at + 1),
    };
    let mut at = (start + column).saturating_sub(1).min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn character(text: &str, at: usize) -> String {
    match text[at..].chars().next() {
        None => "the end of the file".to_owned(),
        Some('\n' | '\r') => "the end of the line".to_owned(),
        Some('"') => "'\"'".to_owned(),
        Some(c) => format!("{:?}", c.to_string()),
    }
}

/// For a file that ends too early: what would have had to end, and where it began.
fn what_is_open(source: &Source) -> String {
    let mut open: Vec<(char, usize)> = Vec::new();
    let (mut string, mut escaped) = (None, false);
    for (at, byte) in source.text().bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if string.is_some() => escaped = true,
            b'"' => string = if string.is_some() { None } else { Some(at) },
            _ if string.is_some() => {}
            b'{' => open.push(('}', at)),
            b'[' => open.push((']', at)),
            b'}' | b']' => {
                open.pop();
            }
            _ => {}
        }
    }
    let began = |at: usize| {
        let place = source.place(at);
        format!("of line {}, column {}", place.line, place.column)
    };
    match (string, open.last()) {
        (Some(at), _) => format!("the end of the string {}", began(at)),
        (None, Some(('}', at))) => format!("the '}}' of the object {}", began(*at)),
        (None, Some((_, at))) => format!("the ']' of the array {}", began(*at)),
        (None, None) => "a value".to_owned(),
    }
}

#[cfg(test)]
#[path = "tree_tests.rs"]
mod tests;
