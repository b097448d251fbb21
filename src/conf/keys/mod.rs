//! Every key there is: its section, what its value is, and whether it does something.
//!
//! The loader reads by this table, and `READMEs/README.lwsws.md` shows it. A key that rlws learns to do has its [`Status`] changed here.

mod global;
mod mount;
mod vhost;

use std::collections::HashMap;
use std::fmt;
use std::sync::LazyLock;

/// Which object a key is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Section {
    /// The object that a file is.
    Top,
    /// `global`.
    Global,
    /// Each of `vhosts`.
    Vhost,
    /// Each of a vhost's `mounts`.
    Mount,
}

impl fmt::Display for Section {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Section::Top => "the top level",
            Section::Global => "global",
            Section::Vhost => "vhosts[]",
            Section::Mount => "vhosts[].mounts[]",
        })
    }
}

/// What a value is. All of them but arrays and objects are strings, or plain JSON numbers and booleans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyKind {
    /// `1`, `on`, `yes`, `true` in any case, or any number but zero; everything else is off.
    Bool,
    /// Any text.
    Text,
    /// The path of a file or folder.
    Path,
    /// A whole number.
    Number {
        /// The least.
        min: u64,
        /// The most.
        max: u64,
    },
    /// A TCP port, or -1.
    Port,
    /// Whole seconds; 0 means the default.
    Seconds,
    /// Whole milliseconds; 0 means never.
    Millis,
    /// Names, separated by commas or colons.
    Names,
    /// A number whose bits are OpenSSL's `SSL_OP_*`. Several add up.
    Flags,
    /// Paths. Several add up.
    Paths,
    /// Names and texts: an object, or an array of objects.
    Pairs,
    /// Protocols and their options.
    Protocols,
    /// An object.
    Object,
    /// An array of objects.
    Objects,
    /// Anything, for what is not done yet.
    Any,
}

impl KeyKind {
    /// Whether several of one key add up. Of all others the last one counts.
    pub fn adds_up(self) -> bool {
        matches!(self, KeyKind::Flags | KeyKind::Paths)
    }
}

/// What is expected: `a port number 0..65535`.
impl fmt::Display for KeyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            KeyKind::Bool => "1 or 0, on or off, yes or no, true or false",
            KeyKind::Text => "a text",
            KeyKind::Path | KeyKind::Paths => "a path",
            KeyKind::Number { min, max: u64::MAX } => return write!(f, "a number from {min}"),
            KeyKind::Number { min, max } => return write!(f, "a number from {min} to {max}"),
            KeyKind::Port => "a port number 0..65535",
            KeyKind::Seconds => "a whole number of seconds",
            KeyKind::Millis => "a whole number of milliseconds",
            KeyKind::Names => "names with commas between them",
            KeyKind::Flags => "a number of SSL_OP_ bits",
            KeyKind::Pairs => "an object of names and texts, or an array of such",
            KeyKind::Protocols => "an array of objects with protocols",
            KeyKind::Object => "an object",
            KeyKind::Objects => "an array of objects",
            KeyKind::Any => "anything",
        })
    }
}

/// Whether a key does something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// It is in what [`Conf::context_info`](super::Conf::context_info) and [`Conf::vhost_infos`](super::Conf::vhost_infos) give.
    Done,
    /// It is in [`Global`](super::Global), for the program to act on: `lwsws` does.
    Program,
    /// It is taken, and there is nothing to do for it.
    NoEffect,
    /// lws does it, and rlws not yet: a warning. Where there is a field for it, its value is there.
    NotYet,
}

/// How the tables name it.
impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Status::Done => "done",
            Status::Program => "done by lwsws",
            Status::NoEffect => "taken",
            Status::NotYet => "not yet",
        })
    }
}

/// A key of the configuration.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Key {
    /// Where it may be.
    pub section: Section,
    /// Its name; one that ends in `*` stands for all that begin so.
    pub name: &'static str,
    /// What its value is.
    pub kind: KeyKind,
    /// Whether it does something.
    pub status: Status,
    /// What holds without it.
    pub default: &'static str,
    /// A value for it, in JSON.
    pub example: &'static str,
    /// What it is for.
    pub meaning: &'static str,
}

impl Key {
    fn is(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(start) => name.len() > start.len() && name.starts_with(start),
            None => self.name == name,
        }
    }
}

/// All keys, section by section.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    [TOP, global::KEYS, vhost::KEYS, mount::KEYS].into_iter().flatten()
}

/// The keys of one section.
pub(super) fn keys_of(section: Section) -> &'static [Key] {
    match section {
        Section::Top => TOP,
        Section::Global => global::KEYS,
        Section::Vhost => vhost::KEYS,
        Section::Mount => mount::KEYS,
    }
}

/// The key of that name in a section.
pub(super) fn find(section: Section, name: &str) -> Option<&'static Key> {
    static BY_NAME: LazyLock<HashMap<(Section, &str), &Key>> =
        LazyLock::new(|| keys().map(|key| ((key.section, key.name), key)).collect());
    let patterns = || keys_of(section).iter().filter(|key| key.name.ends_with('*'));
    BY_NAME.get(&(section, name)).copied().or_else(|| patterns().find(|key| key.is(name)))
}

/// The sections that have a key of that name.
pub(super) fn sections_with(name: &str) -> Vec<Section> {
    let all = [Section::Top, Section::Global, Section::Vhost, Section::Mount];
    all.into_iter().filter(|section| find(*section, name).is_some()).collect()
}

/// A line of a table.
const fn key(
    (section, name): (Section, &'static str),
    kind: KeyKind,
    status: Status,
    (default, example): (&'static str, &'static str),
    meaning: &'static str,
) -> Key {
    Key { section, name, kind, status, default, example, meaning }
}

const TOP: &[Key] = &[
    key(
        (Section::Top, "global"),
        KeyKind::Object,
        Status::Done,
        ("{}", r#"{"timeout-secs": "10"}"#),
        "settings of the server as a whole; fragments in several files add up",
    ),
    key(
        (Section::Top, "vhosts"),
        KeyKind::Objects,
        Status::Done,
        ("[]", r#"[{"port": "7681"}]"#),
        "the vhosts; those of all files, in order",
    ),
];

#[cfg(test)]
mod tests;
