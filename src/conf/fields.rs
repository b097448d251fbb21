//! One object, read by the table of keys.
//!
//! ```text
//!   members ──▶ known here?      ──▶ kept, and read with the kind that the table says
//!               │ nearly?        ──▶ error
//!               │ elsewhere?     ──▶ warning
//!               └ no             ──▶ warning
//! ```

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Found, Problem, Report};
use super::keys::{self, KeyKind, Section, Status};
use super::nearest::nearest;
use super::node::{self, Key, Node, whole_number};

/// The known members of an object.
pub(super) struct Fields<'c> {
    pub(super) node: Node<'c>,
    section: Section,
    found: HashMap<&'static str, Vec<(Key<'c>, Node<'c>)>>,
}

impl<'c> Fields<'c> {
    /// Sorts the members of `node`, and notes what is wrong with their keys. Keys in `own` are others' business.
    pub(super) fn read(node: Node<'c>, section: Section, own: &[String], report: &mut Report) -> Fields<'c> {
        let mut fields = Fields { node, section, found: HashMap::new() };
        let Some(members) = node.members() else {
            report.push(node.wrong("an object"));
            return fields;
        };
        for (name, value) in members {
            if own.iter().any(|own| own == name.name) {
                continue;
            }
            match keys::find(section, name.name) {
                None => report.push(unknown(name, section)),
                Some(key) => {
                    let off = key.kind == KeyKind::Bool && !value.is_on();
                    if key.status == Status::NotYet && !off {
                        let warning = Diagnostic::warning(Problem::NotDoneYet, name.place(), name.path());
                        report.push(warning.note("not done yet"));
                    }
                    let same = fields.found.entry(key.name).or_default();
                    if let Some((first, _)) = same.first()
                        && !key.kind.adds_up()
                        && !key.name.ends_with('*')
                    {
                        report.push(repeated(name, *first));
                    }
                    same.push((name, value));
                }
            }
        }
        fields
    }

    /// What is there under that name; of several the last.
    pub(super) fn node(&self, name: &str) -> Option<Node<'c>> {
        self.all(name).last()
    }

    fn all(&self, name: &str) -> impl Iterator<Item = Node<'c>> + use<'c, '_> {
        debug_assert!(keys::find(self.section, name).is_some(), "{name} is no key of {}", self.section);
        self.found.get(name).into_iter().flatten().map(|(_, node)| *node)
    }

    /// A mistake about a key that has to be there.
    pub(super) fn missing(&self, name: &str) -> Diagnostic {
        let path = node::join(self.node.path(), name);
        let expected = keys::find(self.section, name).map(|key| key.kind.to_string()).unwrap_or_default();
        Diagnostic::error(Problem::Missing, self.node.place(), path).note("is missing").expected(expected)
    }

    /// A boolean. What is neither on nor off is off, as in lws, with a warning.
    pub(super) fn flag(&self, name: &str, report: &mut Report) -> Option<bool> {
        let node = self.node(name)?;
        let Some(text) = node.text() else {
            report.push(node.wrong(KeyKind::Bool.to_string()));
            return None;
        };
        if !node.is_on() && !node::is_off(text) {
            let warning = Diagnostic::warning(Problem::Value, node.place(), node.path()).note("counts as off");
            report.push(warning.expected(KeyKind::Bool.to_string()).found(node.shown()));
        }
        Some(node.is_on())
    }

    /// Any text without control characters.
    pub(super) fn text(&self, name: &str, report: &mut Report) -> Option<&'c str> {
        let node = self.node(name)?;
        report.take(plain_text(node))
    }

    /// A text that says something.
    pub(super) fn some_text(&self, name: &str, report: &mut Report) -> Option<&'c str> {
        let text = self.text(name, report)?;
        if text.is_empty() {
            report.push(self.node(name)?.wrong("a text that is not empty"));
            return None;
        }
        Some(text)
    }

    pub(super) fn path(&self, name: &str, report: &mut Report) -> Option<PathBuf> {
        let node = self.node(name)?;
        report.take(path(node))
    }

    pub(super) fn paths(&self, name: &str, report: &mut Report) -> Vec<PathBuf> {
        self.all(name).filter_map(|node| report.take(path(node))).collect()
    }

    /// A number in the range that the table says.
    pub(super) fn number(&self, name: &str, report: &mut Report) -> Option<u64> {
        let node = self.node(name)?;
        let kind = keys::find(self.section, name)?.kind;
        let range = match kind {
            KeyKind::Number { min, max } => min..=max,
            _ => 0..=u64::from(u32::MAX),
        };
        let number = node.text().and_then(whole_number).filter(|number| range.contains(number));
        report.take(number.ok_or_else(|| node.wrong(kind.to_string()).into()))
    }

    /// A number that fits, for the table says so.
    pub(super) fn number32(&self, name: &str, report: &mut Report) -> Option<u32> {
        self.number(name, report).and_then(|number| u32::try_from(number).ok())
    }

    /// Seconds; none where it is 0.
    pub(super) fn secs(&self, name: &str, report: &mut Report) -> Option<Duration> {
        self.number(name, report).filter(|secs| *secs > 0).map(Duration::from_secs)
    }

    /// Milliseconds; none where it is 0.
    pub(super) fn millis(&self, name: &str, report: &mut Report) -> Option<Duration> {
        self.number(name, report).filter(|millis| *millis > 0).map(Duration::from_millis)
    }

    /// Names with commas, colons or spaces between them.
    pub(super) fn names(&self, name: &str, report: &mut Report) -> Vec<&'c str> {
        let text = self.text(name, report).unwrap_or_default();
        text.split([',', ':', ' ']).filter(|name| !name.is_empty()).collect()
    }

    /// Numbers of bits, or-ed together: decimal, or hexadecimal with `0x`.
    pub(super) fn bits(&self, name: &str, report: &mut Report) -> u64 {
        let number = |text: &str| match text.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex.trim_end_matches('L'), 16).ok(),
            None => whole_number(text),
        };
        let one = |node: Node<'_>| {
            let bits = node.text().and_then(number);
            report.take(bits.ok_or_else(|| node.wrong(KeyKind::Flags.to_string()).into())).unwrap_or_default()
        };
        self.all(name).map(one).fold(0, |all, bits| all | bits)
    }

    /// Names and texts of an object, or of an array of objects. Of a name that is in one object twice the last one counts.
    pub(super) fn pairs(&self, name: &str, report: &mut Report) -> Vec<(String, Node<'c>)> {
        let Some(node) = self.node(name) else { return Vec::new() };
        let mut pairs = Vec::new();
        for object in objects(node, KeyKind::Pairs, report) {
            for (key, value) in unrepeated(object, report) {
                if report.take(plain_text(value)).is_some() {
                    pairs.push((key.name.to_owned(), value));
                }
            }
        }
        pairs
    }

    /// The objects in an array, and mistakes for what else is there.
    pub(super) fn objects(&self, name: &str, report: &mut Report) -> Vec<Node<'c>> {
        let Some(node) = self.node(name) else { return Vec::new() };
        let Some(elements) = node.elements() else {
            report.push(node.wrong(KeyKind::Objects.to_string()));
            return Vec::new();
        };
        let is_object = |element: &Node<'_>| {
            let is_object = element.members().is_some();
            if !is_object {
                report.push(element.wrong("an object"));
            }
            is_object
        };
        elements.filter(is_object).collect()
    }
}

/// An object, or an array of objects.
pub(super) fn objects<'c>(node: Node<'c>, kind: KeyKind, report: &mut Report) -> Vec<Node<'c>> {
    if node.members().is_some() {
        return vec![node];
    }
    let Some(elements) = node.elements() else {
        report.push(node.wrong(kind.to_string()));
        return Vec::new();
    };
    let mut objects = Vec::new();
    for element in elements {
        match element.members() {
            Some(_) => objects.push(element),
            None => report.push(element.wrong("an object")),
        }
    }
    objects
}

/// The members of an object, each name once: the last one counts, where the first one is.
pub(super) fn unrepeated<'c>(object: Node<'c>, report: &mut Report) -> Vec<(Key<'c>, Node<'c>)> {
    let mut members: Vec<(Key<'c>, Node<'c>)> = Vec::new();
    let mut places: HashMap<&str, usize> = HashMap::new();
    for (key, value) in object.members().into_iter().flatten() {
        match places.get(key.name) {
            Some(place) => {
                report.push(repeated(key, members[*place].0));
                members[*place].1 = value;
            }
            None => {
                places.insert(key.name, members.len());
                members.push((key, value));
            }
        }
    }
    members
}

/// A string without control characters; a number or a boolean as it is written.
pub(super) fn plain_text(node: Node<'_>) -> Found<&str> {
    match node.text() {
        None => Err(node.wrong("a string").into()),
        Some(text) if text.contains(char::is_control) => Err(node.wrong("a text without control characters").into()),
        Some(text) => Ok(text),
    }
}

fn path(node: Node<'_>) -> Found<PathBuf> {
    match node.text() {
        Some(text) if !text.is_empty() && !text.contains('\0') => Ok(PathBuf::from(text)),
        _ => Err(node.wrong("a path").into()),
    }
}

/// A key that is there again.
pub(super) fn repeated(key: Key<'_>, first: Key<'_>) -> Diagnostic {
    let note = format!("is there again, after {}; the last one counts", first.place());
    Diagnostic::warning(Problem::Repeated, key.place(), key.path()).note(note)
}

fn unknown(key: Key<'_>, section: Section) -> Diagnostic {
    let (place, path) = (key.place(), key.path());
    let known = keys::keys_of(section).iter().map(|key| key.name).filter(|name| !name.ends_with('*'));
    if let Some(meant) = nearest(key.name, known) {
        return Diagnostic::error(Problem::MisspeltKey, place, path).note("unknown key").nearest(Some(meant));
    }
    let elsewhere: Vec<String> = keys::sections_with(key.name).iter().map(ToString::to_string).collect();
    if elsewhere.is_empty() {
        return Diagnostic::warning(Problem::UnknownKey, place, path).note("unknown key, left out");
    }
    let note = format!("does nothing in {section}; it belongs in {}", elsewhere.join(" or "));
    Diagnostic::warning(Problem::MisplacedKey, place, path).note(note)
}
