//! From a request target to a path that can be trusted.
//!
//! ```text
//! "/a%20b/./c/../?x=1" --parse--> UrlPath "/a b/" --below("/a b")--> Below { path: "", folder: true }
//! ```
//!
//! Decoding happens once, and before anything looks at the segments. A [`UrlPath`] begins with `/`, holds no `//`, no
//! `.` or `..` segment, no control byte and no backslash, and every `/` in it stood in the target as itself; so no
//! path below a mount leaves it. Counterpart in lws: the normalising half of `lws_http_serve()` and its URI parser.

use std::borrow::Cow;

use memchr::memchr;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

/// What a `Location` must not carry as it is; bytes above 0x7f are escaped in any case.
const ESCAPED: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

/// The decoded and normalised path of a request: what mounts are chosen by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct UrlPath<'a> {
    path: Cow<'a, str>,
    query: Option<&'a str>,
}

/// A path below a mount, as given to [`file::open`](super::file::open).
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(crate) struct Below<'a> {
    /// Without a slash at either end; empty for the mount itself.
    pub(crate) path: &'a str,
    /// The request ended in a slash: it asks for a folder's default file.
    pub(crate) folder: bool,
}

/// Why a target names no path. All of these are a `400 Bad Request`.
#[derive(Copy, Clone, PartialEq, Eq, Debug, Error)]
pub(crate) enum PathError {
    /// `*`, or the authority of a CONNECT.
    #[error("the target is not a path")]
    NotAPath,
    /// A `%` without two hex digits behind it.
    #[error("malformed percent escape")]
    Escape,
    /// What was decoded is not UTF-8.
    #[error("the path is not UTF-8")]
    Utf8,
    /// NUL, CR, LF and their like: nobody asks for such a file in good faith.
    #[error("control byte in the path")]
    Control,
    /// `%2f`, `%5c` or `\`: a separator to one reader of the path, part of a name to the next.
    #[error("encoded slash or backslash in the path")]
    Slash,
    /// More `..` than folders.
    #[error("the path leads above the root")]
    AboveRoot,
}

impl<'a> UrlPath<'a> {
    /// Decodes and normalises the path of `target`, in origin form. Allocates only where the target needs it.
    ///
    /// # Errors
    /// [`PathError`], for a target that must not be served.
    pub(crate) fn parse(target: &'a str) -> Result<UrlPath<'a>, PathError> {
        let target = memchr(b'#', target.as_bytes()).map_or(target, |fragment| &target[..fragment]);
        let (path, query) = match memchr(b'?', target.as_bytes()) {
            Some(at) => (&target[..at], Some(&target[at + 1..])),
            None => (target, None),
        };
        let path = match path {
            // "http://host?query" has no path of its own (RFC 9110 section 4.2.3).
            "" => Cow::Borrowed("/"),
            _ if !path.starts_with('/') => return Err(PathError::NotAPath),
            _ if is_normal(path) => Cow::Borrowed(path),
            _ => Cow::Owned(normalise(path)?),
        };
        Ok(UrlPath { path, query })
    }

    /// The decoded path, from the vhost's root on.
    pub(crate) fn as_str(&self) -> &str {
        &self.path
    }

    /// What remains below `mountpoint`; `None` where the path is not at or below it. `/ab` is not below `/a`.
    pub(crate) fn below(&self, mountpoint: &str) -> Option<Below<'_>> {
        let mountpoint = mountpoint.strip_suffix('/').unwrap_or(mountpoint);
        let rest = self.path.strip_prefix(mountpoint)?;
        if rest.is_empty() {
            return Some(Below { path: "", folder: false });
        }
        let rest = rest.strip_prefix('/')?;
        Some(Below { path: rest.strip_suffix('/').unwrap_or(rest), folder: rest.is_empty() || rest.ends_with('/') })
    }

    /// The `Location` of this path as a folder, its query kept.
    ///
    /// Made from the normalised path: the target as sent could be `//evil.example/../folder`, which a browser takes
    /// for another host.
    pub(crate) fn folder_location(&self) -> String {
        let mut location: String = utf8_percent_encode(&self.path, ESCAPED).collect();
        if !location.ends_with('/') {
            location.push('/');
        }
        self.push_query(&mut location);
        location
    }

    /// The `Location` of this path on another site: what is `below` the mount, put behind `url`. A url that ends in a query or a fragment
    /// takes nothing.
    pub(crate) fn location_behind(&self, url: &str, below: Below<'_>) -> String {
        let mut location = url.to_owned();
        if url.contains(['?', '#']) {
            return location;
        }
        let Below { path, folder } = below;
        // Without this slash a path could become a part of the host.
        if (folder || !path.is_empty()) && !location.ends_with('/') {
            location.push('/');
        }
        location.extend(utf8_percent_encode(path, ESCAPED));
        if folder && !path.is_empty() {
            location.push('/');
        }
        self.push_query(&mut location);
        location
    }

    fn push_query(&self, location: &mut String) {
        if let Some(query) = self.query {
            location.push('?');
            location.push_str(query);
        }
    }
}

/// Whether `path` is its own normalised form, at a glance: most are.
fn is_normal(path: &str) -> bool {
    let mut before = 0;
    path.bytes().all(|byte| {
        let odd = match byte {
            b'%' | b'\\' | 0..=0x1f | 0x7f => true,
            b'/' | b'.' => before == b'/',
            _ => false,
        };
        before = byte;
        !odd
    })
}

/// Decodes each segment, then resolves it (RFC 3986 section 5.2.4, but leading above the root is an error).
fn normalise(path: &str) -> Result<String, PathError> {
    let mut out = String::with_capacity(path.len());
    out.push('/');
    let mut folder = true;
    for segment in path.split('/').skip(1) {
        let name = decode(segment)?;
        folder = matches!(&*name, "" | "." | "..");
        if name == ".." {
            let parent = out[..out.len() - 1].rfind('/');
            out.truncate(parent.ok_or(PathError::AboveRoot)? + 1);
        } else if !folder {
            out.push_str(&name);
            out.push('/');
        }
    }
    if !folder {
        out.pop();
    }
    Ok(out)
}

/// One segment, percent-decoded once.
fn decode(segment: &str) -> Result<Cow<'_, str>, PathError> {
    let mut escapes = segment.split('%');
    escapes.next();
    if !escapes.all(|rest| matches!(rest.as_bytes(), [a, b, ..] if a.is_ascii_hexdigit() && b.is_ascii_hexdigit())) {
        return Err(PathError::Escape);
    }
    let name = percent_decode_str(segment).decode_utf8().map_err(|_| PathError::Utf8)?;
    if name.contains(['/', '\\']) {
        Err(PathError::Slash)
    } else if name.bytes().any(|byte| byte.is_ascii_control()) {
        Err(PathError::Control)
    } else {
        Ok(name)
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Component, Path};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_target_is_decoded_once_and_normalised() {
        for (target, path) in [
            ("/", "/"),
            ("", "/"),
            ("?x", "/"),
            ("/index.html", "/index.html"),
            ("/a/b?c=/../d", "/a/b"),
            ("/a/b#c?d", "/a/b"),
            ("/a%3fb", "/a?b"),
            ("/a%23b", "/a#b"),
            ("/a%20b", "/a b"),
            ("/%C3%A4", "/\u{e4}"),
            ("/\u{e4}", "/\u{e4}"),
            ("/%252e%252e/", "/%2e%2e/"),
            ("//a///b//", "/a/b/"),
            ("/a/./b/.", "/a/b/"),
            ("/a/../b", "/b"),
            ("/a/b/..", "/a/"),
            ("/a/..", "/"),
            ("/a/%2E%2e/b", "/b"),
            ("/%2e/a", "/a"),
            ("/.well-known/x", "/.well-known/x"),
            ("/.../a", "/.../a"),
            ("/..a/b", "/..a/b"),
        ] {
            let parsed = UrlPath::parse(target);
            assert_eq!(parsed.as_ref().map(UrlPath::as_str), Ok(path), "{target}");
        }
    }

    #[test]
    fn a_hostile_target_is_refused() {
        for (target, error) in [
            ("*", PathError::NotAPath),
            ("a/b", PathError::NotAPath),
            ("host:80", PathError::NotAPath),
            ("/%", PathError::Escape),
            ("/%4", PathError::Escape),
            ("/%4/", PathError::Escape),
            ("/%zz", PathError::Escape),
            ("/%+1", PathError::Escape),
            ("/%u0041", PathError::Escape),
            ("/%\u{e4}", PathError::Escape),
            ("/%ff", PathError::Utf8),
            ("/%c0%af", PathError::Utf8),
            ("/%c3/%a4", PathError::Utf8),
            ("/a%00b", PathError::Control),
            ("/a%0d%0ab", PathError::Control),
            ("/a%7f", PathError::Control),
            ("/a\tb", PathError::Control),
            ("/a%2fb", PathError::Slash),
            ("/..%2F..%2Fetc/passwd", PathError::Slash),
            ("/a\\b", PathError::Slash),
            ("/..%5c..%5c", PathError::Slash),
            ("/..", PathError::AboveRoot),
            ("/../", PathError::AboveRoot),
            ("/a/../../b", PathError::AboveRoot),
            ("/%2e%2e/etc/passwd", PathError::AboveRoot),
            ("/.%2e/a", PathError::AboveRoot),
            ("//../a", PathError::AboveRoot),
        ] {
            assert_eq!(UrlPath::parse(target), Err(error), "{target}");
        }
    }

    #[test]
    fn a_mount_holds_whole_segments_only() {
        for (target, mountpoint, expected) in [
            ("/", "/", Some(("", true))),
            ("/a", "/", Some(("a", false))),
            ("/a/", "/", Some(("a", true))),
            ("/a/b.html", "/", Some(("a/b.html", false))),
            ("/a", "/a", Some(("", false))),
            ("/a/", "/a", Some(("", true))),
            ("/a/b/", "/a", Some(("b", true))),
            ("/a/b", "/a/", Some(("b", false))),
            ("/ab", "/a", None),
            ("/", "/a", None),
            ("/a/../b", "/a", None),
        ] {
            let path = UrlPath::parse(target).expect("the table's targets are fine");
            let expected = expected.map(|(path, folder)| Below { path, folder });
            assert_eq!(path.below(mountpoint), expected, "{target} {mountpoint}");
        }
    }

    #[test]
    fn a_redirect_stays_on_this_host() {
        for (target, location) in [
            ("/a", "/a/"),
            ("/a?x=1&y=%2f", "/a/?x=1&y=%2f"),
            ("/a%20b%3fc", "/a%20b%3Fc/"),
            ("/%C3%A4", "/%C3%A4/"),
            ("/%25", "/%25/"),
            ("//evil.example/../a", "/a/"),
            ("//evil.example", "/evil.example/"),
            ("/%3Cscript%3E", "/%3Cscript%3E/"),
        ] {
            let path = UrlPath::parse(target).expect("the table's targets are fine");
            assert_eq!(path.folder_location(), location, "{target}");
        }
    }

    /// Targets made of what matters to the parser, and of anything.
    fn targets() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            8 => prop::sample::select(vec![
                "/", "..", ".", "%2e", "%2E%2e", "%2f", "%5c", "%00", "%", "%25", "\\", "a", "?", "#", "\u{e4}", "%c3%a4", "%ff",
            ])
            .prop_map(str::to_owned),
            1 => any::<String>(),
        ];
        prop::collection::vec(piece, 0..20).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    proptest! {
        #[test]
        fn no_target_leaves_the_root(target in targets()) {
            if let Ok(path) = UrlPath::parse(&target) {
                prop_assert!(path.as_str().starts_with('/') && !path.as_str().contains("//"));
                prop_assert!(!path.as_str().bytes().any(|byte| byte.is_ascii_control() || byte == b'\\'));
                let below = path.below("/").expect("everything is below the root");
                prop_assert!(!below.path.split('/').any(|name| name == "." || name == ".."));
                prop_assert!(Path::new(below.path).components().all(|part| matches!(part, Component::Normal(_))));
            }
        }

        #[test]
        fn a_redirect_leads_to_the_same_path(target in targets()) {
            if let Ok(path) = UrlPath::parse(&target) {
                let location = path.folder_location();
                let again = UrlPath::parse(&location).expect("a location is a fine target");
                prop_assert_eq!(again.as_str().trim_end_matches('/'), path.as_str().trim_end_matches('/'));
            }
        }

        #[test]
        fn any_text_gets_a_verdict(target in any::<String>()) {
            let _ = UrlPath::parse(&target);
        }
    }
}
