//! What is wrong with a configuration, and where.
//!
//! Every mistake is a [`Diagnostic`] with its place; a loader collects them all in a [`Report`], and hands them out as one
//! [`ConfError`], or beside the configuration where they are warnings only.

use std::collections::HashMap;
use std::fmt;

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The configuration is used; the operator should look.
    Warning,
    /// The configuration is not used.
    Error,
}

/// Where in which file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Place {
    /// The file's path, or the name that its text was given with.
    pub file: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

/// `FILE:LINE:COLUMN`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A name with a line break in it must not forge a line of a log.
        if self.file.contains(char::is_control) {
            write!(f, "{}", self.file.escape_debug())?;
        } else {
            f.write_str(&self.file)?;
        }
        write!(f, ":{}:{}", self.line, self.column)
    }
}

/// What kind of mistake it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Problem {
    /// The file or folder cannot be read, or is no text.
    Unreadable,
    /// It is not JSON.
    Syntax,
    /// A value that cannot be what its key stands for.
    Value,
    /// A key that has to be there is not.
    Missing,
    /// A key that nobody knows; a warning.
    UnknownKey,
    /// A key that nobody knows, but nearly one that is known there; an error.
    MisspeltKey,
    /// A key that is known, but elsewhere; a warning.
    MisplacedKey,
    /// lws knows it, and rlws does not do it yet; a warning.
    NotDoneYet,
    /// It is there more than once.
    Repeated,
    /// It does not go with something else.
    Contradiction,
    /// It does nothing where it is; a warning.
    NoEffect,
    /// It can be used, and does not do what it looks like; a warning.
    Doubtful,
    /// A role or a protocol that is not there.
    UnknownName,
    /// The vhost could not be made: what [`VhostConf::explain`](super::VhostConf::explain) was asked about.
    Refused,
}

/// One mistake.
///
/// Its `Display` is one line: `FILE:LINE:COLUMN: PATH: what is wrong`, with `warning:` before the path where it is only that.
///
/// ```
/// let error = rlws::conf::load_str("my.conf", r#"{"vhosts": [{"port": "70000"}]}"#).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#"my.conf:1:22: vhosts[0].port: expected a port number 0..65535, found "70000""#
/// );
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What kind of mistake it is.
    pub problem: Problem,
    /// Where it is.
    pub place: Place,
    /// Where it is in the JSON, such as `vhosts[0].mounts[1].origin`; empty at the top.
    pub path: String,
    /// What would have been right; may be empty.
    pub expected: String,
    /// What is there; may be empty. Long values are cut.
    pub found: String,
    /// What else there is to say; may be empty.
    pub note: String,
    /// The known name that was probably meant.
    pub nearest: Option<String>,
}

impl Diagnostic {
    pub(super) fn error(problem: Problem, place: Place, path: String) -> Diagnostic {
        let (severity, nearest) = (Severity::Error, None);
        let (expected, found, note) = (String::new(), String::new(), String::new());
        Diagnostic { severity, problem, place, path, expected, found, note, nearest }
    }

    pub(super) fn warning(problem: Problem, place: Place, path: String) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(problem, place, path) }
    }

    pub(super) fn expected(mut self, what: impl Into<String>) -> Diagnostic {
        self.expected = what.into();
        self
    }

    pub(super) fn found(mut self, what: impl Into<String>) -> Diagnostic {
        self.found = what.into();
        self
    }

    pub(super) fn note(mut self, what: impl Into<String>) -> Diagnostic {
        self.note = what.into();
        self
    }

    pub(super) fn nearest(mut self, name: Option<&str>) -> Diagnostic {
        self.nearest = name.map(str::to_owned);
        self
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.place)?;
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        let found = match (self.expected.is_empty(), self.found.is_empty()) {
            (true, true) => String::new(),
            (true, false) => self.found.clone(),
            (false, true) => format!("expected {}", self.expected),
            (false, false) => format!("expected {}, found {}", self.expected, self.found),
        };
        match (self.note.is_empty(), found.is_empty()) {
            (true, _) => f.write_str(&found)?,
            (false, true) => f.write_str(&self.note)?,
            (false, false) => write!(f, "{}: {found}", self.note)?,
        }
        match &self.nearest {
            Some(name) => write!(f, "; did you mean {name:?}?"),
            None => Ok(()),
        }
    }
}

/// Why there is no configuration: everything that is wrong with all of its files, in their order.
///
/// Its `Display` is one line for each mistake, warnings included. `Debug` prints the same, so that a `main` which returns it shows
/// sentences.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConfError {
    /// At least one of them is an error.
    pub diagnostics: Vec<Diagnostic>,
}

impl ConfError {
    /// The errors alone.
    pub fn errors(&self) -> impl Iterator<Item = &Diagnostic> {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

impl From<Diagnostic> for ConfError {
    fn from(diagnostic: Diagnostic) -> ConfError {
        ConfError { diagnostics: vec![diagnostic] }
    }
}

impl fmt::Display for ConfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.diagnostics.iter().enumerate() {
            let line_break = if index > 0 { "\n" } else { "" };
            write!(f, "{line_break}{diagnostic}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for ConfError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl std::error::Error for ConfError {}

/// A value, or the mistake that is there instead; boxed, for it is big.
pub(super) type Found<T> = Result<T, Box<Diagnostic>>;

/// Collects what is wrong.
#[derive(Debug, Default)]
pub(super) struct Report {
    diagnostics: Vec<Diagnostic>,
}

impl Report {
    pub(super) fn push(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// What was said so far, where there is an error in it.
    pub(super) fn mistakes(&self) -> Option<&[Diagnostic]> {
        let is_error = |diagnostic: &Diagnostic| diagnostic.severity == Severity::Error;
        self.diagnostics.iter().any(is_error).then_some(&self.diagnostics)
    }

    /// The value, or `None` and a mistake noted.
    pub(super) fn take<T>(&mut self, found: Found<T>) -> Option<T> {
        found.map_err(|diagnostic| self.push(*diagnostic)).ok()
    }

    /// The warnings, or everything where there is an error; in the order of the files and of the places in them.
    pub(super) fn finish<'f>(mut self, files: impl IntoIterator<Item = &'f str>) -> Result<Vec<Diagnostic>, ConfError> {
        let mut order: HashMap<&str, usize> = HashMap::new();
        for (index, file) in files.into_iter().enumerate() {
            order.entry(file).or_insert(index);
        }
        self.diagnostics.sort_by_key(|Diagnostic { place, .. }| {
            (order.get(place.file.as_str()).copied().unwrap_or(usize::MAX), place.line, place.column)
        });
        if self.diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error) {
            return Err(ConfError { diagnostics: self.diagnostics });
        }
        Ok(self.diagnostics)
    }
}
