//! What can be wrong with a document, and where.

use std::sync::Arc;

/// Why a callback stops the parse: any error, or a plain text by `.into()`.
pub type Reject = Box<dyn std::error::Error + Send + Sync>;

/// What is wrong with a document, and where.
///
/// `Debug` prints the same text as `Display`, so that a `main` which returns it shows a sentence.
#[derive(Clone, thiserror::Error)]
#[error("line {line}, column {column}{}: {kind}", at(.path))]
#[non_exhaustive]
pub struct Error {
    /// The line, from 1. Lines end with LF or CRLF.
    pub line: usize,
    /// The character within the line, from 1. A tab is one character, and so is anything else that Unicode has a code point for; a
    /// byte order mark is none.
    ///
    /// Line and column are those of the first character that does not fit; where the callback rejects, of the first one of what it
    /// was shown.
    pub column: usize,
    /// The path at this place, as [`Ctx::path`](super::Ctx::path) would tell it.
    pub path: String,
    /// What is wrong.
    pub kind: ErrorKind,
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// On one line, whatever the document's names are.
fn at(path: &str) -> String {
    if path.is_empty() { String::new() } else { format!(", at `{}`", path.escape_debug()) }
}

/// What is wrong with a document.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ErrorKind {
    /// It is not JSON.
    #[error("found {found}, expected {expected}")]
    Unexpected {
        /// The character, byte or escape; or that the input ended.
        found: String,
        /// What JSON has in this place.
        expected: &'static str,
    },
    /// Objects and arrays are nested deeper than [`Limits::depth`](super::Limits::depth).
    #[error("nested deeper than {limit} levels")]
    TooDeep {
        /// The limit.
        limit: usize,
    },
    /// A name is longer than [`Limits::name`](super::Limits::name).
    #[error("a name of more than {limit} bytes")]
    NameTooLong {
        /// The limit.
        limit: usize,
    },
    /// The path is longer than [`Limits::path`](super::Limits::path).
    #[error("a path of more than {limit} bytes")]
    PathTooLong {
        /// The limit.
        limit: usize,
    },
    /// A number is longer than [`Limits::number`](super::Limits::number).
    #[error("a number of more than {limit} bytes")]
    NumberTooLong {
        /// The limit.
        limit: usize,
    },
    /// It is JSON, and the callback does not want it (`LEJP_REJECT_CALLBACK`).
    #[error("{0}")]
    Rejected(#[source] Arc<dyn std::error::Error + Send + Sync>),
}

impl ErrorKind {
    pub(super) fn unexpected(c: char, expected: &'static str) -> ErrorKind {
        let found = match c {
            '\n' => "the end of the line".to_owned(),
            '\t' => "a tab".to_owned(),
            c if c.is_control() || c == '\u{feff}' => format!("the character U+{:04X}", u32::from(c)),
            c => format!("`{c}`"),
        };
        ErrorKind::Unexpected { found, expected }
    }
}
