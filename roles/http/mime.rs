//! Content types by the suffix of a file's name.
//!
//! A suffix that is not known has no type: like lws, the caller then refuses the file, so that a mount never shows
//! what nobody meant for a browser. Counterpart in lws: `lws_get_mimetype()`.

use std::rc::Rc;

/// What is said of a body's type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum ContentType {
    /// One of the house.
    Known(&'static str),
    /// One of the mount's own.
    OfMount(Rc<str>),
}

impl ContentType {
    /// The value of the header; `None`: there is to be none.
    pub(crate) fn value(&self) -> Option<&str> {
        match self {
            ContentType::Known(value) => Some(value),
            ContentType::OfMount(value) => Some(&**value).filter(|value| !value.is_empty()),
        }
    }
}

/// The type of the file that `path` names. A mount's own types, by the end of the name, go before the known ones, and its `*` behind
/// them, as in lws. `None`: it is not to be served.
pub(crate) fn type_of(path: &str, of_mount: &[(String, Rc<str>)]) -> Option<ContentType> {
    if of_mount.is_empty() {
        return known(path).map(ContentType::Known);
    }
    let name = path.rsplit('/').next().unwrap_or(path);
    let ends_so = |end: &str| {
        let at = name.len().checked_sub(end.len()).filter(|at| *at > 0);
        at.and_then(|at| name.get(at..)).is_some_and(|tail| tail.eq_ignore_ascii_case(end))
    };
    let own = |kind: &Rc<str>| ContentType::OfMount(kind.clone());
    let listed = of_mount.iter().find(|(end, _)| end != "*" && ends_so(end)).map(|(_, kind)| own(kind));
    let others = || of_mount.iter().find(|(end, _)| end == "*").map(|(_, kind)| own(kind));
    listed.or_else(|| known(path).map(ContentType::Known)).or_else(others)
}

/// The content type for the file that `path` names; `None` where it has no suffix, or one that is not known.
///
/// Text that carries no declaration of its own is said to be UTF-8. XML and SVG do carry one, which a charset in the
/// header would override (RFC 7303 section 3.2), and JSON is UTF-8 by definition (RFC 8259 section 8.1).
fn known(path: &str) -> Option<&'static str> {
    let last = path.bytes().rposition(|byte| matches!(byte, b'.' | b'/'))?;
    let (stem, suffix) = (&path[..last], path[last..].strip_prefix('.')?);
    if stem.is_empty() || stem.ends_with('/') {
        return None;
    }
    mime_guess::from_ext(suffix).first_raw().map(with_charset)
}

/// The type with `; charset=utf-8` where browsers would otherwise guess.
fn with_charset(media_type: &'static str) -> &'static str {
    match media_type {
        "text/html" => "text/html; charset=utf-8",
        "text/css" => "text/css; charset=utf-8",
        // RFC 9239: all older names of JavaScript's type are aliases of this one.
        "text/javascript" | "application/javascript" => "text/javascript; charset=utf-8",
        "text/plain" => "text/plain; charset=utf-8",
        "text/markdown" => "text/markdown; charset=utf-8",
        "text/csv" => "text/csv; charset=utf-8",
        "text/tab-separated-values" => "text/tab-separated-values; charset=utf-8",
        "text/calendar" => "text/calendar; charset=utf-8",
        "text/vcard" => "text/vcard; charset=utf-8",
        "text/x-yaml" => "text/x-yaml; charset=utf-8",
        "text/x-toml" => "text/x-toml; charset=utf-8",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_suffix_of_the_last_segment_decides() {
        for (path, expected) in [
            ("index.html", Some("text/html; charset=utf-8")),
            ("INDEX.HTML", Some("text/html; charset=utf-8")),
            ("a/b.c/style.css", Some("text/css; charset=utf-8")),
            ("app.min.js", Some("text/javascript; charset=utf-8")),
            ("module.mjs", Some("text/javascript; charset=utf-8")),
            ("notes.txt", Some("text/plain; charset=utf-8")),
            ("data.json", Some("application/json")),
            ("logo.svg", Some("image/svg+xml")),
            ("feed.xml", Some("text/xml")),
            ("logo.png", Some("image/png")),
            ("favicon.ico", Some("image/x-icon")),
            ("font.woff2", Some("font/woff2")),
            ("code.wasm", Some("application/wasm")),
            ("backup.tar.gz", Some("application/gzip")),
        ] {
            assert_eq!(known(path), expected, "{path}");
        }
    }

    #[test]
    fn a_name_without_a_known_suffix_has_no_type() {
        for path in [
            "",
            "passwd",
            "a.html/b",
            ".htaccess",
            ".html",
            "dir/.css",
            "a.",
            "a.html~",
            "shadow.no-such",
            "a.\u{130}",
            "a. html",
        ] {
            assert_eq!(known(path), None, "{path}");
        }
    }

    #[test]
    fn the_types_of_a_mount_go_before_the_known_ones_and_its_star_behind_them() {
        let types = |pairs: &[(&str, &str)]| -> Vec<(String, Rc<str>)> {
            pairs.iter().map(|(end, kind)| ((*end).to_owned(), (*kind).into())).collect()
        };
        let own = types(&[("*", "a/others"), (".txt", "a/own"), (".tar.gz", "a/tar"), (".none", "")]);
        for (path, expected) in [
            ("a.txt", Some("a/own")),
            ("A.TXT", Some("a/own")),
            ("a.tar.gz", Some("a/tar")),
            ("a.gz", Some("application/gzip")),
            ("a/b.html", Some("text/html; charset=utf-8")),
            ("a.none", None),
            ("passwd", Some("a/others")),
            (".txt", Some("a/others")),
            ("\u{e4}.txt", Some("a/own")),
            ("\u{e4}xt", Some("a/others")),
        ] {
            let found = type_of(path, &own).expect("the star serves everything");
            assert_eq!(found.value(), expected, "{path}");
        }
        assert_eq!(type_of("passwd", &types(&[(".txt", "a/own")])), None);
        assert_eq!(type_of("passwd", &[]), None);
    }
}
