//! What a callback is shown: where in the document it is, and why it is called.

use super::Error;
use super::input::Position;
use super::place::Place;

/// Where in the document a callback is (`struct lejp_ctx`).
#[derive(Clone, Copy)]
pub struct Ctx<'a> {
    pub(super) place: &'a Place,
    pub(super) at: Position,
}

impl<'a> Ctx<'a> {
    /// The names of the objects on the way here, joined by dots, with `[]` for each array: `vhosts[].mounts[].origin`
    /// (`ctx->path`).
    ///
    /// Empty outside of the document's own object or array, and at the start and the end of that object. The start and the end of an
    /// array have its `[]` already, and still.
    pub fn path(&self) -> &'a str {
        self.place.path()
    }

    /// The first pattern of the table that matches the path, counted from 0 (`ctx->path_match - 1`).
    ///
    /// An element of an array that no pattern matches has the match of the array itself: `"names"` hears every string of
    /// `{"names": ["a", "b"]}`, at the path `names[]`. A name that merely ends in brackets is no array, and has no second choice.
    pub fn path_match(&self) -> Option<usize> {
        self.place.path_match()
    }

    /// The text that the matching pattern's `*` number `n` stands for, counted from 0 (`lejp_get_wildcard()`).
    pub fn wildcard(&self, n: usize) -> Option<&'a str> {
        self.place.wildcard(n)
    }

    /// For each array around this place, the outermost first, which of its elements this is, from 0 (`ctx->i`, `ctx->ipos`).
    ///
    /// At the start and the end of an array, that array has no entry.
    pub fn indexes(&self) -> &'a [usize] {
        self.place.indexes()
    }

    /// The line in which the value, name or bracket in question starts, from 1 (`ctx->line`).
    pub fn line(&self) -> usize {
        self.at.line
    }

    /// The character within the line at which it starts, from 1.
    pub fn column(&self) -> usize {
        self.at.column
    }
}

/// Why a callback is called, and with what: `LEJPCB_*`.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Reason<'a> {
    /// The first byte has come, or the end without one.
    Start,
    /// The document's value is complete.
    Complete,
    /// The parse has failed: nothing follows. What the callback returns does not matter any more.
    Failed(&'a Error),
    /// The name of a member of an object. It is already in the path; the value follows.
    PairName(&'a str),
    /// `true`.
    ValTrue,
    /// `false`.
    ValFalse,
    /// `null`.
    ValNull,
    /// A number without point and exponent, as it is written: `.parse()` it.
    ValNumInt(&'a str),
    /// A number with a point or an exponent, as it is written.
    ValNumFloat(&'a str),
    /// A string starts.
    ValStrStart,
    /// A part of a string that is longer than [`Limits::string_chunk`](super::Limits::string_chunk).
    ValStrChunk(&'a str),
    /// A string ends: the whole of it, or the rest after the [`ValStrChunk`](Self::ValStrChunk)s.
    ValStrEnd(&'a str),
    /// An array starts.
    ArrayStart,
    /// An array ends.
    ArrayEnd,
    /// An object starts.
    ObjectStart,
    /// An object ends.
    ObjectEnd,
}

impl<'a> Reason<'a> {
    /// What lejp would have in `ctx->buf`: the text of a number or of a part of a string, `1` for true, `0` for false, nothing for
    /// null. `None` where lejp's reason is without `LEJP_FLAG_CB_IS_VALUE`.
    pub fn value(self) -> Option<&'a str> {
        match self {
            Reason::ValTrue => Some("1"),
            Reason::ValFalse => Some("0"),
            Reason::ValNull => Some(""),
            Reason::ValNumInt(text) | Reason::ValNumFloat(text) => Some(text),
            Reason::ValStrChunk(text) | Reason::ValStrEnd(text) => Some(text),
            _ => None,
        }
    }
}
