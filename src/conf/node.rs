//! A value of a file with its place: what the loader reads, and what programs read their own sections with.

use std::fmt;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::{ConfError, Diagnostic, Place, Problem};
use super::source::Source;
use super::tree::{Kind, Value};
use crate::pvo::is_on;

/// A parsed file.
pub(super) struct File {
    pub(super) source: Source,
    pub(super) root: Value,
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source.name())
    }
}

impl File {
    pub(super) fn root(&self) -> Node<'_> {
        Node { file: self, value: &self.root }
    }
}

/// A value that is kept by where it is in its file.
#[derive(Debug, Clone)]
pub(super) struct At {
    file: Arc<File>,
    offset: usize,
}

impl At {
    pub(super) fn new(file: &Arc<File>, node: Node<'_>) -> At {
        At { file: file.clone(), offset: node.value.at }
    }

    pub(super) fn node(&self) -> Node<'_> {
        let value = walk(&self.file.root, self.offset, |_| {});
        Node { file: &self.file, value }
    }
}

/// A JSON value of a configuration, with its place.
///
/// The getters take what JSON files of lws have: numbers and booleans are strings, or are not. What cannot be read is an error
/// with file, line, column and path, in the same form as those of the loader.
///
/// ```
/// use rlws::conf::Loader;
///
/// let text = r#"{ "my-app": { "workers": "4", "motd": "hello", "verbose": "on" } }"#;
/// let conf = Loader::new().own_section("my-app").load_str("my.conf", text)?;
///
/// let my_app = conf.section("my-app").expect("it is there");
/// assert_eq!(my_app.get("workers")?.number(1..=64)?, 4);
/// assert_eq!(my_app.get("motd")?.str()?, "hello");
/// assert!(my_app.find("verbose").is_some_and(|node| node.is_on()));
///
/// let error = my_app.get("motd")?.number(1..=64).unwrap_err();
/// assert_eq!(error.to_string(), r#"my.conf:1:39: my-app.motd: expected a number from 1 to 64, found "hello""#);
/// # Ok::<(), rlws::conf::ConfError>(())
/// ```
#[derive(Clone, Copy)]
pub struct Node<'c> {
    pub(super) file: &'c File,
    pub(super) value: &'c Value,
}

/// Where it is.
impl<'c> Node<'c> {
    /// File, line and column.
    pub fn place(&self) -> Place {
        self.file.source.place(self.value.at)
    }

    /// Its JSON path, such as `vhosts[0].mounts[1].origin`.
    pub fn path(&self) -> String {
        path(&self.file.root, self.value.at)
    }

    /// An error at this value: what was expected there.
    pub fn error(&self, expected: &str) -> ConfError {
        self.wrong(expected).into()
    }

    pub(super) fn wrong(&self, expected: impl Into<String>) -> Diagnostic {
        Diagnostic::error(Problem::Value, self.place(), self.path()).expected(expected).found(self.shown())
    }

    /// The value in short, for people.
    pub(super) fn shown(&self) -> String {
        match &self.value.kind {
            Kind::Null => "null".to_owned(),
            Kind::Bool(value) => value.to_string(),
            Kind::Number(number) => shorten(number),
            Kind::String(text) => format!("{:?}", shorten(text)),
            Kind::Array(items) if items.is_empty() => "an empty array".to_owned(),
            Kind::Array(_) => "an array".to_owned(),
            Kind::Object(_) => "an object".to_owned(),
        }
    }
}

/// Scalars.
impl<'c> Node<'c> {
    /// A string; a number or a boolean as it is written.
    ///
    /// # Errors
    /// It is null, an array or an object.
    pub fn str(&self) -> Result<&'c str, ConfError> {
        self.text().ok_or_else(|| self.error("a string"))
    }

    pub(super) fn text(&self) -> Option<&'c str> {
        match &self.value.kind {
            Kind::String(text) | Kind::Number(text) => Some(text),
            Kind::Bool(true) => Some("true"),
            Kind::Bool(false) => Some("false"),
            Kind::Null | Kind::Array(_) | Kind::Object(_) => None,
        }
    }

    /// Whether it is `1`, `on`, `yes` or `true` in any case, or any number but zero, as lws reads booleans.
    pub fn is_on(&self) -> bool {
        self.text().is_some_and(is_on)
    }

    /// A boolean, told apart more strictly than [`Node::is_on`] does.
    ///
    /// # Errors
    /// It is neither on (`1`, `on`, `yes`, `true`) nor off (`0`, `off`, `no`, `false`, nothing).
    pub fn bool(&self) -> Result<bool, ConfError> {
        match self.text() {
            Some(text) if is_on(text) => Ok(true),
            Some(text) if is_off(text) => Ok(false),
            _ => Err(self.error("1 or 0, on or off, yes or no, true or false")),
        }
    }

    /// A whole number.
    ///
    /// # Errors
    /// It is none, or not in the range.
    pub fn number(&self, range: RangeInclusive<u64>) -> Result<u64, ConfError> {
        let number = self.text().and_then(whole_number).filter(|number| range.contains(number));
        number.ok_or_else(|| self.error(&format!("a number from {} to {}", range.start(), range.end())))
    }

    /// Whole seconds, up to 136 years.
    ///
    /// # Errors
    /// It is no whole number.
    pub fn secs(&self) -> Result<Duration, ConfError> {
        let secs = self.text().and_then(whole_number).filter(|secs| *secs <= u32::MAX.into());
        secs.map(Duration::from_secs).ok_or_else(|| self.error("a whole number of seconds"))
    }
}

/// Arrays and objects.
impl<'c> Node<'c> {
    /// The member of an object; of several with that name the last.
    ///
    /// # Errors
    /// It is not there, or this is no object.
    pub fn get(&self, key: &str) -> Result<Node<'c>, ConfError> {
        let members = self.members().ok_or_else(|| self.error("an object"))?;
        members.filter(|(member, _)| member.name == key).last().map(|(_, node)| node).ok_or_else(|| {
            let path = join(self.path(), key);
            Diagnostic::error(Problem::Missing, self.place(), path).note("is missing").into()
        })
    }

    /// The member of an object; of several with that name the last. `None`: it is not there, or this is no object.
    pub fn find(&self, key: &str) -> Option<Node<'c>> {
        self.members()?.filter(|(member, _)| member.name == key).last().map(|(_, node)| node)
    }

    /// The members of an object, in their order.
    ///
    /// # Errors
    /// It is no object.
    pub fn entries(&self) -> Result<impl Iterator<Item = (&'c str, Node<'c>)> + use<'c>, ConfError> {
        let members = self.members().ok_or_else(|| self.error("an object"))?;
        Ok(members.map(|(key, node)| (key.name, node)))
    }

    /// The items of an array, in their order.
    ///
    /// # Errors
    /// It is no array.
    pub fn items(&self) -> Result<impl Iterator<Item = Node<'c>> + use<'c>, ConfError> {
        self.elements().ok_or_else(|| self.error("an array"))
    }

    pub(super) fn elements(&self) -> Option<impl Iterator<Item = Node<'c>> + use<'c>> {
        let file = self.file;
        let Kind::Array(items) = &self.value.kind else { return None };
        Some(items.iter().map(move |value| Node { file, value }))
    }

    pub(super) fn members(&self) -> Option<impl Iterator<Item = (Key<'c>, Node<'c>)> + use<'c>> {
        let file = self.file;
        let Kind::Object(members) = &self.value.kind else { return None };
        Some(members.iter().map(move |member| {
            let key = Key { file, name: &member.key, at: member.key_at };
            (key, Node { file, value: &member.value })
        }))
    }
}

/// Short, and never the whole of a big value.
impl fmt::Debug for Node<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.place(), self.path(), self.shown())
    }
}

/// The name of a member, with its place.
#[derive(Clone, Copy)]
pub(super) struct Key<'c> {
    file: &'c File,
    pub(super) name: &'c str,
    at: usize,
}

impl Key<'_> {
    pub(super) fn place(&self) -> Place {
        self.file.source.place(self.at)
    }

    pub(super) fn path(&self) -> String {
        path(&self.file.root, self.at)
    }
}

pub(super) fn is_off(text: &str) -> bool {
    let text = text.trim();
    let zero = text.parse().is_ok_and(|number: f64| number == 0.0);
    zero || ["", "off", "no", "false"].iter().any(|word| text.eq_ignore_ascii_case(word))
}

/// Digits alone: `parse` takes a sign as well.
pub(super) fn whole_number(text: &str) -> Option<u64> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// Long values are cut where a line of a log should end.
const SHOWN: usize = 60;

fn shorten(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}..", &text[..end]),
    }
}

/// The value that begins at an offset, or the one with the key that does, by halving; `step` is told the way there.
fn walk<'v>(root: &'v Value, offset: usize, mut step: impl FnMut(Step<'v>)) -> &'v Value {
    let mut value = root;
    while value.at < offset {
        match &value.kind {
            Kind::Array(items) => {
                let Some(index) = items.partition_point(|item| item.at <= offset).checked_sub(1) else { break };
                step(Step::Index(index));
                value = &items[index];
            }
            Kind::Object(members) => {
                let next = members.partition_point(|member| member.key_at <= offset);
                let Some(member) = next.checked_sub(1).map(|index| &members[index]) else { break };
                step(Step::Key(&member.key));
                value = &member.value;
            }
            _ => break,
        }
    }
    value
}

enum Step<'v> {
    Key(&'v str),
    Index(usize),
}

fn path(root: &Value, offset: usize) -> String {
    let mut path = String::new();
    walk(root, offset, |step| match step {
        Step::Index(index) => path.push_str(&format!("[{index}]")),
        Step::Key(key) => path = join(std::mem::take(&mut path), key),
    });
    path
}

/// A path and one more key, quoted where it would be misread.
pub(super) fn join(mut path: String, key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let key = shorten(key);
    match (plain, path.is_empty()) {
        (true, true) => key,
        (true, false) => {
            path.push('.');
            path.push_str(&key);
            path
        }
        (false, _) => {
            path.push_str(&format!("[{key:?}]"));
            path
        }
    }
}
