//! Where in the document the parser is: the open objects and arrays, the path, and its match in the table.
//!
//! ```text
//!   name, [            search the table ──▶ Found
//!   { or [ opens       Found is kept in the new level
//!   a value has ended  Found of the level it is in, or of the document: no search
//! ```
//!
//! Invariants: nothing here outgrows the limits; whenever a callback is called, the match is that of the path; the table is searched
//! once for each name and each `[`, and for nothing else.

use std::ops::Range;

use super::error::ErrorKind;
use super::{Limits, pattern};

/// What a level of the document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Container {
    Object,
    Array,
}

/// What the table has for a path.
#[derive(Debug, Clone, Copy, Default)]
struct Found {
    pattern: Option<usize>,
    /// Which of [`Place::wildcards`] are its own: from the one until the other.
    wildcards: (usize, usize),
}

#[derive(Debug, Clone, Copy)]
struct Level {
    container: Container,
    /// The length of the path within it, without the names of its members.
    path: usize,
    /// What was found for that path.
    found: Found,
}

#[derive(Debug)]
pub(super) struct Place {
    table: Vec<Box<str>>,
    path: String,
    levels: Vec<Level>,
    indexes: Vec<usize>,
    /// Where the last name of the path begins, while it is read.
    name: usize,
    /// Of the path, once it is complete.
    found: Found,
    /// Of the empty path.
    outside: Found,
    /// Which parts of the path the wildcards stand for: those of the levels, and behind them those of the path.
    wildcards: Vec<Range<usize>>,
    #[cfg(test)]
    pub(super) look_ups: usize,
}

/// What callbacks see of it.
impl Place {
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn path_match(&self) -> Option<usize> {
        self.found.pattern
    }

    pub(super) fn wildcard(&self, n: usize) -> Option<&str> {
        let (start, end) = self.found.wildcards;
        self.wildcards[start..end].get(n).map(|range| &self.path[range.clone()])
    }

    pub(super) fn indexes(&self) -> &[usize] {
        &self.indexes
    }
}

/// Going through the document.
impl Place {
    pub(super) fn new(table: &[&str]) -> Place {
        let mut place = Place {
            table: table.iter().map(|&pattern| pattern.into()).collect(),
            path: String::new(),
            levels: Vec::new(),
            indexes: Vec::new(),
            name: 0,
            found: Found::default(),
            outside: Found::default(),
            wildcards: Vec::new(),
            #[cfg(test)]
            look_ups: 0,
        };
        place.outside = place.look_up();
        place.found = place.outside;
        place
    }

    pub(super) fn leave_all(&mut self) {
        self.levels.clear();
        self.indexes.clear();
        self.leave_value();
    }

    /// The innermost open container.
    pub(super) fn container(&self) -> Option<Container> {
        self.levels.last().map(|level| level.container)
    }

    /// Opens a container, up to where its start is told.
    pub(super) fn open(&mut self, container: Container, limits: &Limits) -> Result<(), ErrorKind> {
        if self.levels.len() >= limits.depth {
            return Err(ErrorKind::TooDeep { limit: limits.depth });
        }
        if container == Container::Array {
            self.push("[]", limits)?;
            let found = self.look_up();
            // What no pattern with `[]` matches keeps the match of the array's own name.
            if found.pattern.is_some() {
                self.found = found;
            }
        }
        self.levels.push(Level { container, path: self.path.len(), found: self.found });
        Ok(())
    }

    /// Goes on to its first member, after its start was told.
    pub(super) fn enter(&mut self) {
        if self.container() == Some(Container::Array) {
            self.indexes.push(0);
        }
    }

    /// Goes on to the next element of an array.
    pub(super) fn next_element(&mut self) {
        if let Some(index) = self.indexes.last_mut() {
            *index += 1;
        }
    }

    /// Leaves the last member of a container, before its end is told.
    pub(super) fn leave(&mut self) {
        if self.container() == Some(Container::Array) {
            self.indexes.pop();
        }
    }

    /// Closes a container, after its end was told.
    pub(super) fn close(&mut self) {
        self.levels.pop();
    }

    /// Goes back from a value, or from an incomplete name, to the container that it is in.
    pub(super) fn leave_value(&mut self) {
        let (path, found) = self.levels.last().map_or((0, self.outside), |level| (level.path, level.found));
        self.path.truncate(path);
        self.wildcards.truncate(found.wildcards.1);
        self.found = found;
    }
}

/// Names.
impl Place {
    pub(super) fn start_name(&mut self, limits: &Limits) -> Result<(), ErrorKind> {
        // The names of the outermost object have none before them.
        if self.levels.len() > 1 {
            self.push(".", limits)?;
        }
        self.name = self.path.len();
        Ok(())
    }

    pub(super) fn push_name(&mut self, c: char, limits: &Limits) -> Result<(), ErrorKind> {
        if self.path.len() - self.name + c.len_utf8() > limits.name {
            return Err(ErrorKind::NameTooLong { limit: limits.name });
        }
        self.push(c.encode_utf8(&mut [0; 4]), limits)
    }

    pub(super) fn end_name(&mut self) {
        self.found = self.look_up();
    }

    pub(super) fn name(&self) -> &str {
        &self.path[self.name..]
    }

    fn push(&mut self, text: &str, limits: &Limits) -> Result<(), ErrorKind> {
        if self.path.len() + text.len() > limits.path {
            return Err(ErrorKind::PathTooLong { limit: limits.path });
        }
        self.path.push_str(text);
        Ok(())
    }

    /// The first pattern that matches the path, and its wildcards behind those that are kept.
    fn look_up(&mut self) -> Found {
        #[cfg(test)]
        {
            self.look_ups += 1;
        }
        let (path, wildcards) = (&self.path, &mut self.wildcards);
        let start = wildcards.len();
        let pattern = self.table.iter().position(|pattern| pattern::matches(pattern, path, wildcards));
        Found { pattern, wildcards: (start, wildcards.len()) }
    }
}
