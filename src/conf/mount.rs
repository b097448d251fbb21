//! `mounts`: what serves which part of a vhost's URL space.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Place, Problem, Report};
use super::fields::Fields;
use super::keys::Section;
use super::nearest::nearest;
use super::node::{At, File, Node};
use crate::headers::what_is_wrong;

/// A part of a vhost's URL space, with defaults filled in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MountConf {
    /// The URL path it begins at.
    pub mountpoint: String,
    /// What serves it.
    pub origin: OriginConf,
    /// The file served for a folder; `index.html`.
    pub default: String,
    /// The protocol to bind requests to.
    pub protocol: Option<String>,
    /// Who is let in. A mount that asks for more than a password is not served yet.
    pub guard: Guard,
    /// What clients may keep.
    pub cache: Cache,
    /// Serve the mountpoint itself, and nothing below it.
    pub exact_match: bool,
    /// Redirects keep the rest of the path.
    pub append_path: bool,
    /// Refuse WebSocket upgrades.
    pub no_ws_upgrades: bool,
    /// Types of files by suffix.
    pub extra_mimetypes: Vec<(String, String)>,
    /// Protocols that answer for files by suffix.
    pub interpret: Vec<(String, String)>,
    /// Headers to send with every answer.
    pub headers: Vec<(String, String)>,
    /// How long a connection may idle between requests; `None`: as the vhost says.
    pub keepalive_timeout: Option<Duration>,
    /// Options for the mount's protocol.
    pub pmo: Vec<(String, String)>,
    /// Bytes that a request's body may have, `u64::MAX` for no limit (`max-body`); `None`: as the vhost says.
    pub max_body: Option<u64>,
    /// Files compressed before are sent to clients that take them (`precompressed`).
    pub precompressed: bool,
    /// How a cgi is run.
    pub cgi: Cgi,
    pub(super) at: At,
}

/// What serves a mount.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OriginConf {
    /// `file://PATH`: the files of a folder.
    File(PathBuf),
    /// `callback://PROTOCOL`: a protocol of the vhost.
    Callback(String),
    /// `>http://..` and `>https://..`: another place.
    Redirect {
        /// 301.
        code: u16,
        /// The other place.
        url: String,
    },
    /// `http://..` and `https://..`: another server, asked on the client's behalf.
    Proxy(String),
    /// `cgi://PATH`: a program.
    Cgi(PathBuf),
    /// `gzip://PATH`: files from an archive.
    Gzip(PathBuf),
}

/// Who is let in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Guard {
    /// File of `user:password` lines (`basic-auth`).
    pub basic_auth: Option<PathBuf>,
    /// Rights that a session needs (`auth-mask`).
    pub auth_mask: u32,
    /// Where clients without a session are sent (`interceptor-path`).
    pub interceptor_path: Option<String>,
}

impl Guard {
    /// A password can be asked for, a session cannot yet.
    fn is_done(&self) -> bool {
        self.auth_mask == 0 && self.interceptor_path.is_none()
    }
}

/// What clients may keep of files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cache {
    /// How long (`cache-max-age`).
    pub max_age: Duration,
    /// They may use it again at all (`cache-reuse`).
    pub reuse: bool,
    /// They have to ask whether it is still good (`cache-revalidate`).
    pub revalidate: bool,
    /// They have to ask each time (`cache-no`).
    pub no_cache: bool,
    /// Proxies may keep it too (`cache-intermediaries`).
    pub intermediaries: bool,
}

/// How a cgi is run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cgi {
    /// How long it may take (`cgi-timeout`).
    pub timeout: Option<Duration>,
    /// Its environment (`cgi-env`).
    pub env: Vec<(String, String)>,
    /// Its root folder (`cgi-chroot`).
    pub chroot: Option<PathBuf>,
    /// Its current folder (`cgi-chdir`).
    pub chdir: Option<PathBuf>,
}

impl MountConf {
    /// Whether anything is said about keeping its files.
    pub(super) fn is_cache_said(&self) -> bool {
        let keys = ["cache-max-age", "cache-reuse", "cache-revalidate", "cache-no", "cache-intermediaries"];
        keys.into_iter().any(|key| self.node().find(key).is_some())
    }

    /// Where it is.
    pub fn place(&self) -> Place {
        self.at.node().place()
    }

    /// Its JSON, to read what is not in the fields, or to make errors with its place.
    pub fn node(&self) -> Node<'_> {
        self.at.node()
    }

    /// Whether it asks no more of clients than can be asked yet.
    pub(super) fn is_guarded_well(&self) -> bool {
        self.guard.is_done()
    }

    pub(super) fn read(file: &Arc<File>, node: Node<'_>, report: &mut Report) -> Option<MountConf> {
        let fields = Fields::read(node, Section::Mount, &[], report);
        let mountpoint = mountpoint(&fields, report);
        let origin = origin(&fields, report);
        let owned = |text: &str| text.to_owned();
        let guard = Guard {
            basic_auth: fields.path("basic-auth", report),
            auth_mask: fields.number32("auth-mask", report).unwrap_or_default(),
            interceptor_path: fields.some_text("interceptor-path", report).map(owned),
        };
        if !guard.is_done() {
            let warning = Diagnostic::warning(Problem::NotDoneYet, node.place(), node.path());
            let note = "guarding a mount by sessions is not done yet; it is left out, lest it be open to all";
            report.push(warning.note(note));
        }
        let flag = |name, report: &mut Report| fields.flag(name, report).unwrap_or_default();
        let cache = Cache {
            max_age: fields.secs("cache-max-age", report).unwrap_or_default(),
            reuse: flag("cache-reuse", report),
            revalidate: flag("cache-revalidate", report),
            no_cache: flag("cache-no", report),
            intermediaries: flag("cache-intermediaries", report),
        };
        let cgi = Cgi {
            timeout: fields.secs("cgi-timeout", report),
            env: texts(fields.pairs("cgi-env", report)),
            chroot: fields.path("cgi-chroot", report),
            chdir: fields.path("cgi-chdir", report),
        };
        Some(MountConf {
            default: fields.some_text("default", report).unwrap_or("index.html").to_owned(),
            protocol: fields.some_text("protocol", report).map(owned),
            exact_match: flag("exact-match", report),
            append_path: flag("append-path", report),
            no_ws_upgrades: flag("no-ws-upgrades", report),
            extra_mimetypes: texts(fields.pairs("extra-mimetypes", report)),
            interpret: texts(fields.pairs("interpret", report)),
            headers: headers(&fields, report),
            keepalive_timeout: fields.secs("keepalive-timeout", report),
            pmo: texts(fields.pairs("pmo", report)),
            max_body: max_body(&fields, report),
            precompressed: flag("precompressed", report),
            mountpoint: mountpoint?,
            origin: origin?,
            guard,
            cache,
            cgi,
            at: At::new(file, node),
        })
    }
}

fn mountpoint(fields: &Fields<'_>, report: &mut Report) -> Option<String> {
    let Some(node) = fields.node("mountpoint") else {
        report.push(fields.missing("mountpoint").expected("a URL path, such as /"));
        return None;
    };
    let text = fields.text("mountpoint", report)?;
    if !text.starts_with('/') {
        report.push(node.wrong("a URL path that begins with /"));
        return None;
    }
    Some(text.to_owned())
}

const ORIGINS: &str = "file://PATH, callback://PROTOCOL, >http://.. or >https://.. (redirect), http://.. or https://.. (proxy), cgi://PATH or gzip://PATH";

fn origin(fields: &Fields<'_>, report: &mut Report) -> Option<OriginConf> {
    let Some(node) = fields.node("origin") else {
        report.push(fields.missing("origin").expected(ORIGINS));
        return None;
    };
    let text = fields.text("origin", report)?;
    let Some(origin) = parse_origin(text) else {
        let scheme = text.split_once("://").map(|(scheme, _)| scheme);
        let known = ["file", "callback", ">http", ">https", "http", "https", "cgi", "gzip"];
        let meant = scheme.filter(|scheme| !known.contains(scheme)).and_then(|scheme| nearest(scheme, known));
        let meant = meant.map(|scheme| format!("{scheme}://"));
        report.push(node.wrong(ORIGINS).nearest(meant.as_deref()));
        return None;
    };
    let not_yet = match origin {
        OriginConf::File(_) | OriginConf::Callback(_) | OriginConf::Redirect { .. } => None,
        OriginConf::Proxy(_) => Some("http proxies are"),
        OriginConf::Cgi(_) => Some("cgi is"),
        OriginConf::Gzip(_) => Some("gzip is"),
    };
    if let Some(what) = not_yet {
        let warning = Diagnostic::warning(Problem::NotDoneYet, node.place(), node.path());
        report.push(warning.note(format!("{what} not done yet; the mount is left out")));
    }
    Some(origin)
}

fn parse_origin(text: &str) -> Option<OriginConf> {
    let (scheme, rest) = text.split_once("://")?;
    if rest.is_empty() {
        return None;
    }
    Some(match scheme {
        "file" => OriginConf::File(rest.into()),
        "callback" => OriginConf::Callback(rest.to_owned()),
        ">http" | ">https" => OriginConf::Redirect { code: 301, url: text[1..].to_owned() },
        "http" | "https" => OriginConf::Proxy(text.to_owned()),
        "cgi" => OriginConf::Cgi(rest.into()),
        "gzip" => OriginConf::Gzip(rest.into()),
        _ => return None,
    })
}

/// `max-body`, where 0 is no limit.
pub(super) fn max_body(fields: &Fields<'_>, report: &mut Report) -> Option<u64> {
    fields.number("max-body", report).map(|bytes| if bytes == 0 { u64::MAX } else { bytes })
}

/// Headers that http can send: names are tokens (RFC 9110 section 5.6.2), values were looked at for control characters.
pub(super) fn headers(fields: &Fields<'_>, report: &mut Report) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    for (name, value) in fields.pairs("headers", report) {
        let name = name.strip_suffix(':').map(str::to_owned).unwrap_or(name);
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            let error = Diagnostic::error(Problem::Value, value.place(), value.path());
            report.push(error.expected("the name of a header").found(format!("{name:?}")));
            continue;
        }
        let text = value.text().unwrap_or_default();
        match what_is_wrong(&name, text) {
            Some(why) => {
                let error = Diagnostic::error(Problem::Refused, value.place(), value.path());
                report.push(error.note(format!("header {name:?}: {why}")));
            }
            None => headers.push((name, text.to_owned())),
        }
    }
    headers
}

fn texts(pairs: Vec<(String, Node<'_>)>) -> Vec<(String, String)> {
    pairs.into_iter().map(|(name, node)| (name, node.text().unwrap_or_default().to_owned())).collect()
}
