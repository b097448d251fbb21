//! The headers that a configuration adds to responses. They are checked and written out once, when the vhost is made; a response
//! copies them.
//!
//! ```text
//!   the option's best practices ──▶ the vhost's ──▶ the mount's      of one name the last list that has it counts
//! ```
//!
//! Counterpart in lws: `headers` of vhosts and mounts, `lws_add_http_common_headers()`.

use crate::error::{Error, Result};
use crate::mount::Cache;
use crate::options::Options;

/// What `HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE` adds, the same as lws.
const BEST_PRACTICES: [(&str, &str); 5] = [
    (
        "Content-Security-Policy",
        "default-src 'none'; img-src 'self' data: ; script-src 'self'; font-src 'self'; style-src 'self'; \
         connect-src 'self' ws: wss:; frame-ancestors 'none'; base-uri 'none'; form-action 'self';",
    ),
    ("X-Content-Type-Options", "nosniff"),
    ("X-XSS-Protection", "1; mode=block"),
    ("X-Frame-Options", "deny"),
    ("Referrer-Policy", "no-referrer"),
];

/// What `STS` adds over TLS, the same as lws: half a year.
const STS: (&str, &str) = ("Strict-Transport-Security", "max-age=15768000; includeSubDomains");

/// The headers that http writes by itself. A second one would contradict the first.
const OF_HTTP: [(&str, Of); 18] = [
    ("Accept-Ranges", Of::Answer),
    ("Allow", Of::Answer),
    ("Connection", Of::Message),
    ("Content-Encoding", Of::Answer),
    ("Content-Length", Of::Message),
    ("Content-Range", Of::Answer),
    ("Content-Type", Of::Answer),
    ("Date", Of::Message),
    ("ETag", Of::Answer),
    ("Keep-Alive", Of::Message),
    ("Last-Modified", Of::Answer),
    ("Location", Of::Answer),
    ("Proxy-Connection", Of::Message),
    ("Server", Of::Message),
    ("TE", Of::Message),
    ("Trailer", Of::Message),
    ("Transfer-Encoding", Of::Message),
    ("Upgrade", Of::Message),
];

/// What a header of http's own is about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// Where a message ends, and what the connection is. Nobody else says that.
    Message,
    /// What is answered. Whoever makes the response says it, and nobody beside.
    Answer,
}

/// Names and values, as they are configured.
type Pairs = [(String, String)];

/// Whole header lines, ready to be copied into a response.
#[derive(Debug, Default)]
pub(crate) struct Headers {
    lines: Box<[u8]>,
    /// How many of the bytes, at the start, are for TLS alone.
    tls_only: usize,
}

impl Headers {
    /// The headers of a vhost, or of a mount of it. They have been [checked](check).
    pub(crate) fn new(options: Options, vhost: &Pairs, mount: &Pairs) -> Headers {
        let has = |list: &Pairs, name: &str| list.iter().any(|(other, _)| other.eq_ignore_ascii_case(name));
        let is_free = |name: &str| !has(vhost, name) && !has(mount, name);
        let mut lines = Vec::new();
        if options.contains(Options::STS) && is_free(STS.0) {
            push(&mut lines, STS.0, STS.1);
        }
        let tls_only = lines.len();
        if options.contains(Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE) {
            for (name, value) in BEST_PRACTICES.iter().filter(|(name, _)| is_free(name)) {
                push(&mut lines, name, value);
            }
        }
        for (name, value) in vhost.iter().filter(|(name, _)| !has(mount, name)).chain(mount) {
            push(&mut lines, name, value.trim());
        }
        Headers { lines: lines.into(), tls_only }
    }

    /// The lines for one response.
    pub(crate) fn lines(&self, over_tls: bool) -> &[u8] {
        if over_tls { &self.lines } else { &self.lines[self.tls_only..] }
    }
}

/// The `Cache-Control` line of a mount's files, unless its headers say it.
pub(crate) fn cache_control(cache: Option<&Cache>, lists: [&Pairs; 2]) -> Option<Box<[u8]>> {
    const NAME: &str = "Cache-Control";
    let is_said = lists.into_iter().flatten().any(|(name, _)| name.eq_ignore_ascii_case(NAME));
    let mut line = Vec::new();
    push(&mut line, NAME, &cache.filter(|_| !is_said)?.value());
    Some(line.into())
}

fn push(lines: &mut Vec<u8>, name: &str, value: &str) {
    for part in [name, ": ", value, "\r\n"] {
        lines.extend_from_slice(part.as_bytes());
    }
}

/// Whether configured headers may be sent. `of` is whose they are: empty for the vhost, `mount "/": ` for a mount.
pub(crate) fn check(vhost: &str, of: &str, headers: &Pairs) -> Result<()> {
    for (name, value) in headers {
        let Some(wrong) = what_is_wrong(name, value) else { continue };
        let what = format!("{of}header {name:?}: {wrong}");
        return Err(Error::Config { vhost: vhost.to_owned(), what });
    }
    Ok(())
}

/// Why a header may not be added to responses that somebody else makes; `None`: it may.
pub(crate) fn what_is_wrong(name: &str, value: &str) -> Option<&'static str> {
    match of_http(name) {
        Some(_) => Some("http writes that one itself, and it can only be there once"),
        None => what_is_wrong_in_own(name, value),
    }
}

/// Why it may not be in a response by whoever makes that; `None`: it may.
pub(crate) fn what_is_wrong_in_own(name: &str, value: &str) -> Option<&'static str> {
    if !is_token(name) {
        Some("its name is none: letters, digits and any of !#$%&'*+-.^_`|~")
    } else if of_http(name) == Some(Of::Message) {
        Some("http writes that one itself")
    } else if !is_field_value(value) {
        Some("its value has a control byte")
    } else {
        None
    }
}

fn of_http(name: &str) -> Option<Of> {
    OF_HTTP.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, of)| *of)
}

/// A name in http (RFC 9110 section 5.6.2).
pub(crate) fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(is_token_byte)
}

/// A byte of such a name.
pub(crate) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// What can be the value of a header (RFC 9110 section 5.5).
pub(crate) fn is_field_value(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || !byte.is_ascii_control())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn text(headers: &Headers, over_tls: bool) -> String {
        String::from_utf8(headers.lines(over_tls).to_vec()).expect("a text")
    }

    #[test]
    fn without_headers_there_is_nothing_to_send() {
        assert_eq!(text(&Headers::new(Options::empty(), &[], &[]), true), "");
    }

    #[test]
    fn a_mounts_header_takes_the_place_of_its_vhosts() {
        let vhost = pairs(&[("X-A", "vhost"), ("X-B", "1"), ("X-B", "2")]);
        let mount = pairs(&[("x-a", " mount ")]);
        let headers = Headers::new(Options::empty(), &vhost, &mount);
        assert_eq!(text(&headers, false), "X-B: 1\r\nX-B: 2\r\nx-a: mount\r\n");
        assert_eq!(text(&headers, false), text(&headers, true));
    }

    #[test]
    fn a_header_of_the_configuration_takes_the_place_of_a_best_practice() {
        let own = pairs(&[("content-security-policy", "default-src 'self'")]);
        let options = Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE;
        let lines = text(&Headers::new(options, &own, &[]), false);
        assert_eq!(lines.to_ascii_lowercase().matches("content-security-policy").count(), 1);
        assert!(lines.contains("X-Frame-Options: deny\r\n") && lines.ends_with("default-src 'self'\r\n"), "{lines}");
    }

    #[test]
    fn the_best_practices_are_headers_that_may_be_sent() {
        assert!(check("v", "", &pairs(&BEST_PRACTICES)).is_ok());
        assert!(check("v", "", &pairs(&[STS])).is_ok());
    }

    #[test]
    fn strict_transport_security_is_for_tls_alone() {
        let headers = Headers::new(Options::STS, &pairs(&[("X-A", "1")]), &[]);
        assert_eq!(text(&headers, false), "X-A: 1\r\n");
        assert_eq!(
            text(&headers, true),
            "Strict-Transport-Security: max-age=15768000; includeSubDomains\r\nX-A: 1\r\n"
        );
        let own = Headers::new(Options::STS, &pairs(&[(STS.0, "max-age=1")]), &[]);
        assert_eq!(text(&own, true), "Strict-Transport-Security: max-age=1\r\n");
    }

    #[test]
    fn what_would_break_a_response_is_refused_by_name() {
        for name in ["", "a b", "a:", "a\r\nb", "\u{e4}"] {
            let error = check("v", "", &pairs(&[(name, "")])).expect_err(name).to_string();
            assert!(error.contains("its name is none"), "{error}");
        }
        for name in ["content-length", "TRANSFER-ENCODING", "Connection", "Date", "Content-Type"] {
            let error = check("v", "mount \"/a\": ", &pairs(&[(name, "1")])).expect_err(name).to_string();
            assert!(error.contains(name) && error.contains("mount \"/a\"") && error.contains("itself"), "{error}");
        }
        for value in ["a\r\nb: c", "a\nb", "\0", "\u{7f}"] {
            let error = check("v", "", &pairs(&[("X-A", value)])).expect_err(value).to_string();
            assert!(error.contains("\"X-A\"") && error.contains("control byte"), "{error}");
        }
        assert!(check("v", "", &pairs(&[("X-A", "a\tb \u{e4}"), ("X-B", "")])).is_ok());
    }

    #[test]
    fn a_cache_control_of_the_headers_counts() {
        let cache = Cache::default();
        assert_eq!(cache_control(Some(&cache), [&[], &[]]).as_deref(), Some(&b"Cache-Control: no-store\r\n"[..]));
        assert_eq!(cache_control(None, [&[], &[]]), None);
        let own = pairs(&[("cache-control", "immutable")]);
        assert_eq!(cache_control(Some(&cache), [&own, &[]]), None);
        assert_eq!(cache_control(Some(&cache), [&[], &own]), None);
    }
}
