//! Per-vhost options: the settings that a vhost gives to its protocols.
//!
//! A tree of names and values, from the code that makes the vhost or from `ws-protocols` in the
//! JSON configuration. The vhost's own [`Pvo`] has one child per protocol; each protocol is shown
//! its child once, when it is initialized, and reads what it needs from there.
//!
//! Invariants: children keep their order, and repeated names are kept.
//!
//! lws: `struct lws_protocol_vhost_options`, `lws_pvo_search()`, `lws_pvo_get_str()`.

use std::any::type_name;
use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

/// A node of the option tree: a name, a value, and children in order.
///
/// Made from its value, or empty by [`Pvo::default`], and named by the node that it is added to.
/// Names are case-sensitive. Where a name is repeated, all getters but [`all`](Self::all) find the
/// first.
///
/// # Examples
///
/// What in C would be
///
/// ```c
/// static const struct lws_protocol_vhost_options
///     pvo2 = { NULL,  NULL,  "status",    "ok" },
///     pvo1 = { &pvo2, NULL,  "onward",    "ipv4:127.0.0.1:22" },
///     pvo  = { NULL,  &pvo1, "raw-proxy", "" };
/// ```
///
/// is here
///
/// ```
/// use rlws::Pvo;
///
/// let pvo = Pvo::default().with(
///     "raw-proxy",
///     Pvo::default()
///         .with("onward", "ipv4:127.0.0.1:22")
///         .with("status", "ok"),
/// );
///
/// let raw_proxy = pvo.child("raw-proxy").unwrap();
/// assert_eq!(raw_proxy.get("onward"), Some("ipv4:127.0.0.1:22"));
/// assert_eq!(raw_proxy.secs("idle-timeout-secs")?, None);
/// # Ok::<(), rlws::PvoError>(())
/// ```
///
/// A node may have both a value and children:
///
/// ```
/// # use rlws::Pvo;
/// let pvo = Pvo::default().with("log", Pvo::from("on").with("path", "/var/log/x"));
/// assert!(pvo.flag("log"));
/// assert_eq!(pvo.at(["log", "path"]).map(Pvo::value), Some("/var/log/x"));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pvo {
    name: String,
    value: String,
    children: Vec<Pvo>,
}

/// Building.
impl Pvo {
    /// Adds a child called `name` after those already there: a value, or a whole subtree.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, node: impl Into<Pvo>) -> Pvo {
        self.push(name, node);
        self
    }

    /// As [`with`](Self::with), for trees that are made in a loop.
    pub fn push(&mut self, name: impl Into<String>, node: impl Into<Pvo>) {
        let name = name.into();
        self.children.push(Pvo { name, ..node.into() });
    }
}

/// A node with this value, and no children yet.
impl From<&str> for Pvo {
    fn from(value: &str) -> Pvo {
        Pvo::from(value.to_owned())
    }
}

/// A node with this value, and no children yet.
impl From<String> for Pvo {
    fn from(value: String) -> Pvo {
        Pvo { value, ..Pvo::default() }
    }
}

/// The node and its children.
impl Pvo {
    /// What this node was added as; empty for a root.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Empty where none was given.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// All children, in order.
    pub fn children(&self) -> &[Pvo] {
        &self.children
    }

    /// The first child called `name` (`lws_pvo_search()`).
    pub fn child(&self, name: &str) -> Option<&Pvo> {
        self.children.iter().find(|child| child.name == name)
    }

    /// The node at the end of a path of names, by the first [`child`](Self::child) at every step.
    pub fn at<'n>(&self, path: impl IntoIterator<Item = &'n str>) -> Option<&Pvo> {
        path.into_iter().try_fold(self, |node, name| node.child(name))
    }
}

/// The values of children.
impl Pvo {
    /// The value of the first child called `name` (`lws_pvo_get_str()`).
    pub fn get(&self, name: &str) -> Option<&str> {
        self.child(name).map(Pvo::value)
    }

    /// The values of all children called `name`, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.children.iter().filter(move |child| child.name == name).map(Pvo::value)
    }

    /// The value of `name` as a `T`, or `None` where there is no such child.
    ///
    /// # Errors
    ///
    /// The value is there and is not a `T`; an empty one, too.
    pub fn parse<T>(&self, name: &str) -> Result<Option<T>, PvoError>
    where
        T: FromStr<Err: Display>,
    {
        self.parse_as(name, short_type_name::<T>())
    }

    /// Whether `name` is on: `1`, `on`, `yes` or `true` in any case, or any number but zero. All
    /// else is off, and so is a missing one.
    pub fn flag(&self, name: &str) -> bool {
        self.get(name).is_some_and(is_on)
    }

    /// The value of `name` as whole seconds, or `None` where there is no such child; for the names
    /// that end in `-secs`.
    ///
    /// # Errors
    ///
    /// The value is there and is not a whole number from 0 to 4294967295.
    pub fn secs(&self, name: &str) -> Result<Option<Duration>, PvoError> {
        // 32 bits are 136 years, and adding that to an `Instant` cannot overflow.
        let secs: Option<u32> = self.parse_as(name, "a whole number of seconds")?;
        Ok(secs.map(|secs| Duration::from_secs(secs.into())))
    }

    fn parse_as<T>(&self, name: &str, expected: &'static str) -> Result<Option<T>, PvoError>
    where
        T: FromStr<Err: Display>,
    {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        value.parse().map(Some).map_err(|error: T::Err| PvoError {
            name: name.to_owned(),
            value: value.to_owned(),
            expected,
            reason: error.to_string(),
        })
    }
}

/// A value that is not what its reader expects.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("pvo {name:?} is {value:?}, expected {expected}: {reason}")]
#[non_exhaustive]
pub struct PvoError {
    /// The option that was read.
    pub name: String,
    /// Its value.
    pub value: String,
    /// What the reader takes: a type (`u16`), or a phrase.
    pub expected: &'static str,
    /// What the parser of that type did not like.
    pub reason: String,
}

/// A configured boolean, as lws reads it: see [`Pvo::flag`].
pub(crate) fn is_on(value: &str) -> bool {
    let value = value.trim();
    let number_on = |number: f64| number.is_finite() && number != 0.0;
    ["on", "yes", "true"].iter().any(|word| value.eq_ignore_ascii_case(word)) || value.parse().is_ok_and(number_on)
}

/// `u16`, or `Target` for `rlws::target::Target`.
fn short_type_name<T>() -> &'static str {
    let name = type_name::<T>();
    name.rsplit_once("::").map_or(name, |(_, short)| short)
}

#[cfg(test)]
mod tests;
