//! A stream parser for JSON that calls back for every member, with its path looked up in a table.
//!
//! ```text
//!   bytes, in chunks ──▶ characters ──▶ between tokens ──▶ string, number, word
//!   of any size                          │     ▲                 │
//!                                        ▼     │ value, name     │
//!                                       place ─┴─────────────────┘
//!                                 path, indexes, match
//!                                        │
//!                                        ▼
//!                          callback(user, ctx, reason)
//! ```
//!
//! For code that has a lejp callback, and for any JSON that comes over a connection: nothing is kept but the place and a chunk of
//! text. JSON is RFC 8259, and `#` starts a comment to the end of the line.
//!
//! ```
//! use rlws::lejp::{Ctx, Parser, Reason, Reject};
//!
//! #[derive(Default)]
//! struct Config {
//!     names: Vec<String>,
//!     origins: Vec<(usize, String)>,
//! }
//!
//! const PATHS: [&str; 2] = ["vhosts[].name", "vhosts[].mounts[].*"];
//! const NAME: usize = 0;
//! const MOUNT: usize = 1;
//!
//! fn on_json(config: &mut Config, ctx: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject> {
//!     match (ctx.path_match(), reason) {
//!         (Some(_), Reason::ValStrChunk(_)) => return Err("too long".into()),
//!         (Some(NAME), Reason::ValStrEnd(name)) => config.names.push(name.into()),
//!         (Some(MOUNT), Reason::ValStrEnd(value)) if ctx.wildcard(0) == Some("origin") => {
//!             config.origins.push((ctx.indexes()[0], value.into())); // which vhost, and the value
//!         }
//!         _ => {}
//!     }
//!     Ok(())
//! }
//!
//! let json = r#"{ "vhosts": [
//!     { "name": "localhost", "mounts": [{ "mountpoint": "/", "origin": "/srv/www" }] } # the first one
//! ] }"#;
//!
//! let mut config = Config::default();
//! let mut parser = Parser::new(&PATHS, on_json);
//! for chunk in json.as_bytes().chunks(7) {
//!     parser.feed(&mut config, chunk)?;
//! }
//! parser.finish(&mut config)?;
//!
//! assert_eq!(config.names, ["localhost"]);
//! assert_eq!(config.origins, [(0, "/srv/www".to_owned())]);
//! # Ok::<(), rlws::lejp::Error>(())
//! ```
//!
//! # Patterns
//!
//! A pattern is a path in which a `*` stands for any text: at the end of the pattern for all the rest (but not for nothing),
//! elsewhere for one or more characters up to a dot. The patterns are tried in the order of the table, and the first that matches
//! counts: `a.*.*` comes before `a.*`. A path is plain text, so the dots and brackets of a name look like those of the structure.
//!
//! # Invariants
//!
//! - The callbacks depend on the bytes alone, never on how they were cut; each comes with the byte that decides it.
//! - Memory is bounded by [`Limits`], whatever the document.
//! - So is time: the table is searched once for each name and each `[`, at any depth, and for nothing else; there a pattern takes at
//!   most one pass through the path. At worst, a byte costs a pass through [`Limits::path`] for each pattern.
//! - Every start is followed by its end, unless [`Reason::Failed`] comes, once, as the last callback.
//!
//! # Differences from lejp
//!
//! - The user's data is handed to each call, not kept in the context; so there is no `CONSTRUCTED` and no `DESTRUCTED`.
//!   [`Reason::Start`] comes once.
//! - Any value may be a document, also `{}`, a string or a number. [`Parser::feed`] refuses what follows it;
//!   [`Parser::feed_document`] gives it back, as `lejp_parse()` does.
//! - Stricter: a comma before `]`, zeros before a number, bytes that are not UTF-8 and halves of surrogate pairs are errors. A pair
//!   becomes one character, not two.
//! - Wider: 64 levels, paths of 1024 bytes, numbers of 254 bytes, at run time by [`Limits`]. A byte order mark is skipped.
//! - Errors know line, column and path. What a callback returns always counts, and its message is in the error.
//! - A string comes in chunks only if it is longer than one, and a chunk never splits a character.
//! - A number with an exponent is [`Reason::ValNumFloat`], with or without a point.
//! - The end of an object or array has the path and the indexes of its start, at every depth.
//! - The match is that of the path in every callback. In lejp an array's elements keep the match of the array's name even where a
//!   pattern with `[]` fits them better; here that pattern wins, and the array's own is the second choice.
//! - The text of a `*` at the end is all that it stands for; `lejp_get_wildcard()` stops at a dot. A `*` may have text behind it
//!   before the dot, such as `*[].name`.
//! - There is no stack of parsers (`lejp_parser_push()`), no change of callback, no `path_stride`, no `LEJP_FLAG_FEAT_*`.
//!
//! lws: `lejp_construct()`, `lejp_parse()`, `struct lejp_ctx`. `READMEs/README.lejp.md` shows how to port a callback.
//!
//! Strings and numbers are read here too, and not by serde_json: it wants them whole, which a string in chunks never is.

mod ctx;
mod error;
mod input;
mod pattern;
mod place;
mod scalar;
mod structure;

pub use ctx::{Ctx, Reason};
pub use error::{Error, ErrorKind, Reject};

use input::{Input, Position};
use place::Place;
use structure::{Next, State};

/// What is called for each part of a document. To return an error stops the parse.
///
/// A plain function or a closure that captures nothing: what it works on is handed to it, by each [`Parser::feed`].
pub type Callback<U> = fn(user: &mut U, ctx: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject>;

/// A parser with its callback and its table of patterns: see the [module](self).
///
/// `U` is what the callback works on. It belongs to the caller, who lends it to each call; so a parser and its `U` can be side by
/// side in a session's data.
pub struct Parser<U> {
    callback: Callback<U>,
    limits: Limits,
    place: Place,
    input: Input,
    state: State,
    /// Within a comment. Only between tokens.
    comment: bool,
    /// A number, or the part of a string that has not been told yet.
    text: String,
    /// The start of what is being read or told.
    token: Position,
    started: bool,
    failed: Option<Error>,
}

/// Bounds on what a document can make a parser keep; a longer one is an error, but for strings.
///
/// ```
/// # use rlws::lejp::{Limits, Parser};
/// let parser: Parser<()> = Parser::new(&[], |_, _, _| Ok(())).with_limits(Limits { string_chunk: 4096, ..Limits::default() });
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Objects and arrays within each other: 64 unless told (`LEJP_MAX_DEPTH`).
    pub depth: usize,
    /// Bytes of a name: 256 unless told.
    pub name: usize,
    /// Bytes of a path: 1024 unless told (`LEJP_MAX_PATH`).
    pub path: usize,
    /// Bytes of a number: 254 unless told.
    pub number: usize,
    /// Bytes of a string that come at a time: 254 unless told (`LEJP_STRING_CHUNK`). One character always does.
    pub string_chunk: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { depth: 64, name: 256, path: 1024, number: 254, string_chunk: 254 }
    }
}

/// What the bytes of a [`Parser::feed`] have brought.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Nothing to act on: the document goes on (`LEJP_CONTINUE`), or only spaces and comments came behind it.
    Continue,
    /// The document's value became complete, with these bytes: once in a document, as [`Reason::Complete`]. Only spaces and comments
    /// may follow.
    Complete,
}

/// In the order of use.
impl<U> Parser<U> {
    /// A parser with a table of patterns, which may be empty, and a callback (`lejp_construct()`).
    pub fn new(paths: &[&str], callback: Callback<U>) -> Parser<U> {
        let input = Input::new();
        Parser {
            callback,
            limits: Limits::default(),
            place: Place::new(paths),
            token: input.position,
            input,
            state: State::Between(Next::Document),
            comment: false,
            text: String::new(),
            started: false,
            failed: None,
        }
    }

    /// The same with other limits. To be given before the first byte.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Parser<U> {
        self.limits = limits;
        self
    }

    /// Takes the next bytes of the document, however few (`lejp_parse()`).
    ///
    /// A document that is a number is complete with the byte behind it, or with [`finish`](Self::finish).
    ///
    /// # Errors
    ///
    /// The document is wrong, or too deep or long, or the callback refuses it; or something else than spaces and comments follows
    /// it. An error is final: from then on every call returns it again, and the callback hears nothing more.
    pub fn feed(&mut self, user: &mut U, bytes: &[u8]) -> Result<Progress, Error> {
        let was_complete = self.is_complete();
        self.take_all(user, bytes, false)?;
        Ok(if self.is_complete() && !was_complete { Progress::Complete } else { Progress::Continue })
    }

    /// Takes the next bytes of a document that other things may follow: `Some` with the bytes behind it once it is complete, `None`
    /// until then.
    ///
    /// An object, array, string or word is complete with its last byte, a number with the byte behind it. What is behind is not looked
    /// at, and need not be text. Until [`restart`](Self::restart), all that comes later is given back too.
    ///
    /// ```
    /// # use rlws::lejp::Parser;
    /// let mut parser = Parser::new(&[], |_: &mut (), _, _| Ok(()));
    /// assert_eq!(parser.feed_document(&mut (), b"{\"a\": ")?, None);
    /// assert_eq!(parser.feed_document(&mut (), b"1}{\"a\": 2}")?, Some(b"{\"a\": 2}".as_slice()));
    /// parser.restart();
    /// # Ok::<(), rlws::lejp::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed), but for what follows the document.
    pub fn feed_document<'b>(&mut self, user: &mut U, bytes: &'b [u8]) -> Result<Option<&'b [u8]>, Error> {
        let taken = self.take_all(user, bytes, true)?;
        Ok(self.is_complete().then(|| &bytes[taken..]))
    }

    /// The document has ended.
    ///
    /// # Errors
    ///
    /// As [`feed`](Self::feed), and where the document is not complete.
    pub fn finish(&mut self, user: &mut U) -> Result<(), Error> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        self.end(user).map_err(|kind| self.fail(user, kind))
    }

    /// Forgets everything but table, callback and limits: what comes next is another document.
    pub fn restart(&mut self) {
        self.place.leave_all();
        self.input = Input::new();
        self.token = self.input.position;
        self.state = State::Between(Next::Document);
        self.comment = false;
        self.text.clear();
        self.started = false;
        self.failed = None;
    }
}

#[cfg(test)]
mod tests;
