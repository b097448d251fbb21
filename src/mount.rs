//! Where in a vhost's URL space what is served (`struct lws_http_mount`).

use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::pvo::Pvo;

/// A part of the URL space and what serves it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// The URL path it begins at, such as `/` or `/docs`. The longest that fits wins.
    pub mountpoint: String,
    /// What serves it.
    pub origin: Origin,
    /// The file served for a folder; `index.html` unless told.
    pub default: String,
    /// Sent with every response of this mount, beside the headers of the vhost (`headers`). One of the same name takes the place of the
    /// vhost's.
    pub headers: Vec<(String, String)>,
    /// Content types of files by the end of their names, such as `(".xyz", "application/x-xyz")`, which go before the known ones
    /// (`extra-mimetypes`). `"*"` is for files of no known type, which are not served without it. An empty type: none is said.
    pub mimetypes: Vec<(String, String)>,
    /// How long its files may be kept by others; `None`: nothing is said about it.
    pub cache: Option<Cache>,
    /// The protocol of the vhost, by name, that the requests of a mount of files are bound to, so that it can refuse them and add headers
    /// to what is served; a mount of [`Origin::Callback`] names its own. `None`: none, and nothing is called back (`protocol`).
    pub protocol: Option<String>,
    /// It serves the mountpoint alone, and nothing below it (`exact-match`). A mountpoint that ends in a slash is the path with it, any
    /// other the path without. Of two mounts at one mountpoint this one goes before the other.
    pub exact_match: bool,
    /// A redirect keeps what is left of the path below the mountpoint, and the query (`append-path`). Without it everybody goes to the url
    /// of the origin. One with a `?` or `#` in it is where everybody goes in any case. (lws keeps the path, and drops the query.)
    pub append_path: bool,
    /// How long a connection may idle after a request of this mount; `None`: as its vhost says
    /// ([`VhostInfo::keepalive_timeout`](crate::VhostInfo::keepalive_timeout)) (`keepalive-timeout`).
    pub keepalive_timeout: Option<Duration>,
    /// File of `user:password` lines, one of which a client has to know (`basic-auth`, RFC 7617). A password may be as it is, or hashed by
    /// bcrypt (`$2a$`, `$2b$`, `$2y$`). The file is read again when it changes; while it cannot be read nobody is let in.
    pub basic_auth: Option<PathBuf>,
    /// Options for the protocol that serves the mount, beside those of the vhost (`pmo`).
    pub options: Pvo,
    /// Bytes that the body of a request may have; `None`: as its vhost says ([`VhostInfo::max_body`](crate::VhostInfo::max_body)), and
    /// `u64::MAX`: no limit. A longer one is answered with 413 (`max-body`; lws: `max_http_body_size`).
    pub max_body: Option<u64>,
    /// A request that asks for an upgrade is served as if it had not asked: no protocol hears of it (`no-ws-upgrades`). In lws such a
    /// request is for the next best mount; here nothing that a client adds to its request leads past a mount and its password.
    pub no_ws_upgrades: bool,
    /// A file that has been compressed before, `app.js.br` or `app.js.gz` beside `app.js`, is sent in its stead to clients that take it
    /// (RFC 9110 section 12.5.3). One that is older than its file is not. (Not in lws.)
    pub precompressed: bool,
}

/// What serves a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Origin {
    /// The files of a folder (`file://`).
    File(PathBuf),
    /// A protocol of the vhost, by name, which gets `Reason::Http` (`callback://`).
    Callback(String),
    /// Another place (`>http://`, `>https://`), for everybody the same unless [`Mount::append_path`].
    Redirect {
        /// 301, 302, 303, 307 or 308.
        code: u16,
        /// `http://..` or `https://..`.
        url: String,
    },
}

/// What clients are told about keeping a mount's files, in `Cache-Control`. The default: not to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cache {
    /// For how long, in seconds (`cache-max-age`); 0: they are not to be kept.
    pub max_age: u32,
    /// They may be kept at all (`cache-reuse`).
    pub reusable: bool,
    /// What is older than that is not to be used without asking (`cache-revalidate`).
    pub revalidate: bool,
    /// Proxies on the way may keep them as well (`cache-intermediaries`).
    pub intermediaries: bool,
    /// They may be kept, and are to be asked for again every time (`cache-no`). Goes before the others.
    pub no_cache: bool,
}

impl Cache {
    /// The header's value.
    pub(crate) fn value(&self) -> String {
        if self.no_cache {
            return "no-cache".to_owned();
        }
        if !self.reusable || self.max_age == 0 {
            return "no-store".to_owned();
        }
        let revalidate = if self.revalidate { "must-revalidate, " } else { "" };
        let who = if self.intermediaries { "public" } else { "private" };
        format!("{revalidate}{who}, max-age={}", self.max_age)
    }
}

impl Mount {
    /// Serves the files of `dir`.
    pub fn files(mountpoint: &str, dir: impl Into<PathBuf>) -> Mount {
        Mount::new(mountpoint, Origin::File(dir.into()))
    }

    /// Has a protocol answer.
    pub fn callback(mountpoint: &str, protocol: &str) -> Mount {
        Mount::new(mountpoint, Origin::Callback(protocol.to_owned()))
    }

    /// Sends clients elsewhere, with 301.
    pub fn redirect(mountpoint: &str, url: &str) -> Mount {
        Mount::new(mountpoint, Origin::Redirect { code: 301, url: url.to_owned() })
    }

    /// Adds to [`Mount::headers`].
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Mount {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds to [`Mount::mimetypes`].
    #[must_use]
    pub fn mimetype(mut self, suffix: &str, content_type: &str) -> Mount {
        self.mimetypes.push((suffix.to_owned(), content_type.to_owned()));
        self
    }

    /// Sets [`Mount::cache`].
    #[must_use]
    pub fn cache(mut self, cache: Cache) -> Mount {
        self.cache = Some(cache);
        self
    }

    /// Sets [`Mount::protocol`].
    #[must_use]
    pub fn protocol(mut self, protocol: &str) -> Mount {
        self.protocol = Some(protocol.to_owned());
        self
    }

    /// Sets [`Mount::exact_match`].
    #[must_use]
    pub fn exact_match(mut self) -> Mount {
        self.exact_match = true;
        self
    }

    /// Sets [`Mount::append_path`].
    #[must_use]
    pub fn append_path(mut self) -> Mount {
        self.append_path = true;
        self
    }

    /// Sets [`Mount::keepalive_timeout`].
    #[must_use]
    pub fn keepalive_timeout(mut self, timeout: Duration) -> Mount {
        self.keepalive_timeout = Some(timeout);
        self
    }

    /// Sets [`Mount::basic_auth`].
    #[must_use]
    pub fn basic_auth(mut self, credentials: impl Into<PathBuf>) -> Mount {
        self.basic_auth = Some(credentials.into());
        self
    }

    /// Adds to [`Mount::options`].
    #[must_use]
    pub fn option(mut self, name: &str, option: impl Into<Pvo>) -> Mount {
        self.options.push(name, option);
        self
    }

    /// Sets [`Mount::max_body`].
    #[must_use]
    pub fn max_body(mut self, bytes: u64) -> Mount {
        self.max_body = Some(bytes);
        self
    }

    /// Sets [`Mount::no_ws_upgrades`].
    #[must_use]
    pub fn no_ws_upgrades(mut self) -> Mount {
        self.no_ws_upgrades = true;
        self
    }

    /// Sets [`Mount::precompressed`].
    #[must_use]
    pub fn precompressed(mut self) -> Mount {
        self.precompressed = true;
        self
    }

    fn new(mountpoint: &str, origin: Origin) -> Mount {
        Mount {
            mountpoint: mountpoint.to_owned(),
            origin,
            default: "index.html".to_owned(),
            headers: Vec::new(),
            mimetypes: Vec::new(),
            cache: None,
            protocol: None,
            exact_match: false,
            append_path: false,
            keepalive_timeout: None,
            basic_auth: None,
            options: Pvo::default(),
            max_body: None,
            no_ws_upgrades: false,
            precompressed: false,
        }
    }

    /// What is wrong with it, as far as it says by itself.
    pub(crate) fn mistake(&self) -> Option<String> {
        if !self.mountpoint.starts_with('/') {
            return Some("a mountpoint begins with /".to_owned());
        }
        if let Origin::Redirect { code, url } = &self.origin {
            if !matches!(code, 301 | 302 | 303 | 307 | 308) {
                return Some(format!("{code} redirects nobody; 301, 302, 303, 307 and 308 do"));
            }
            if !is_url(url) {
                return Some(format!("it redirects to {url:?}, which is no http://HOST or https://HOST"));
            }
        }
        for (suffix, content_type) in &self.mimetypes {
            if suffix != "*" && !(suffix.starts_with('.') && suffix.len() > 1) {
                return Some(format!(
                    "mimetype {suffix:?}: the end of a file's name begins with a dot; \"*\" is all others"
                ));
            }
            if !is_content_type(content_type) {
                return Some(format!("mimetype {suffix:?}: {content_type:?} is no type such as text/plain"));
            }
        }
        None
    }
}

/// An absolute url of visible ASCII, with a host.
fn is_url(url: &str) -> bool {
    let rest = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with(['/', '?', '#']))
        && url.bytes().all(|byte| byte.is_ascii_graphic())
}

/// `type/subtype`, and what may be behind it; or nothing, for no type at all.
fn is_content_type(text: &str) -> bool {
    let is_pair = || text.split_once('/').is_some_and(|(one, two)| !one.is_empty() && !two.is_empty());
    text.is_empty() || (is_pair() && text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()))
}

/// Opens a folder to be served, once, so that a request's path is resolved beneath it and nowhere else.
pub(crate) fn open_dir(path: &Path) -> io::Result<OwnedFd> {
    use rustix::fs::{Mode, OFlags};
    Ok(rustix::fs::open(path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?)
}

/// Whether `path` still names the folder that was opened.
pub(crate) fn is_open(path: &Path, folder: &OwnedFd) -> bool {
    match (rustix::fs::stat(path), rustix::fs::fstat(folder)) {
        (Ok(named), Ok(open)) => (named.st_dev, named.st_ino) == (open.st_dev, open.st_ino),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_says_what_lws_says() {
        let cache = |max_age, reusable, revalidate, intermediaries| Cache {
            max_age,
            reusable,
            revalidate,
            intermediaries,
            no_cache: false,
        };
        for (cache, value) in [
            (Cache::default(), "no-store"),
            (cache(60, false, true, true), "no-store"),
            (cache(0, true, true, true), "no-store"),
            (cache(60, true, false, false), "private, max-age=60"),
            (cache(60, true, false, true), "public, max-age=60"),
            (cache(60, true, true, true), "must-revalidate, public, max-age=60"),
            (Cache { no_cache: true, ..cache(60, true, true, true) }, "no-cache"),
        ] {
            assert_eq!(cache.value(), value);
        }
    }

    #[test]
    fn mistakes_of_a_mount_are_named() {
        let redirect = |code, url: &str| Mount::new("/", Origin::Redirect { code, url: url.to_owned() });
        for good in [
            redirect(308, "https://x.test"),
            redirect(302, "http://x.test:81/a?b#c"),
            Mount::files("/", "/").mimetype(".a", "text/plain; charset=utf-8").mimetype("*", ""),
        ] {
            assert_eq!(good.mistake(), None);
        }
        for (bad, part) in [
            (Mount::files("a", "/"), "begins with /"),
            (redirect(200, "https://x.test"), "200 redirects nobody"),
            (redirect(301, "x.test"), "\"x.test\""),
            (redirect(301, "https://"), "no http://HOST"),
            (redirect(301, "https:///a"), "no http://HOST"),
            (redirect(301, "https://x.test/\r\nSet-Cookie: a"), "no http://HOST"),
            (Mount::files("/", "/").mimetype("zip", "application/zip"), "begins with a dot"),
            (Mount::files("/", "/").mimetype("", "a/b"), "begins with a dot"),
            (Mount::files("/", "/").mimetype(".zip", "zip"), "no type such as"),
            (Mount::files("/", "/").mimetype(".zip", "a/b\r\nc: d"), "no type such as"),
        ] {
            let mistake = bad.mistake().expect("a mistake");
            assert!(mistake.contains(part), "{mistake}");
        }
    }
}
