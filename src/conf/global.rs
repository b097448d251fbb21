//! `global`: settings of the server as a whole.

use std::path::PathBuf;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Found, Place, Problem, Report};
use super::fields::{Fields, plain_text};
use super::keys::{Section, keys_of};
use super::node::Node;
use super::vhost::spoken;
use crate::context::ContextInfo;
use crate::options::Options;
use crate::reject::RejectKeyword;

/// The settings of the server as a whole, from all fragments of `global`, with defaults filled in.
///
/// What is not in [`Conf::context_info`](super::Conf::context_info) is for the program: identities, workers, limits.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Global {
    /// User id to serve with.
    pub uid: Option<u32>,
    /// Group id to serve with.
    pub gid: Option<u32>,
    /// User to serve as; goes before `uid`.
    pub username: Option<String>,
    /// Group to serve as; goes before `gid`.
    pub groupname: Option<String>,
    /// Workers that share the ports; 1.
    pub count_threads: u32,
    /// What http answers call the server; `rlws`.
    pub server_string: String,
    /// Folders with protocols to load.
    pub plugin_dirs: Vec<PathBuf>,
    /// How long a peer may take to say what it is; 5 s.
    pub timeout: Duration,
    /// How long WebSockets may be silent before they are pinged, and half of how long before they are hung up on; `None`: for ever.
    pub ws_pingpong: Option<Duration>,
    /// Answers for clients whose user agent has a word in it.
    pub reject_service_keywords: Vec<RejectKeyword>,
    /// `alpn` of the vhosts that have none.
    pub default_alpn: Option<Vec<String>>,
    /// Requests at a time from one address; `None`: no limit.
    pub ip_limit_ah: Option<u32>,
    /// Connections at a time from one address; `None`: no limit.
    pub ip_limit_wsi: Option<u32>,
    /// Those of them that may not have said yet what they want, 0: no limit; `None`: half of what a worker may have.
    pub ip_limit_undecided: Option<u32>,
    /// Descriptors that a process may have open; `None`: as it was started.
    pub rlimit_nofile: Option<u64>,
    /// Bytes of a request's head; 16384.
    pub max_http_header_data: usize,
    /// Bytes of its target; 16384.
    pub max_http_uri: usize,
    /// Its headers; 100.
    pub max_http_headers: usize,
    /// Threads for what would block the loop; 0.
    pub count_async_threads: u32,
    /// Where each key is that was given.
    places: Vec<(&'static str, Place)>,
}

impl Default for Global {
    fn default() -> Self {
        let ContextInfo { timeout, server_string, max_http_header_data, max_http_uri, max_http_headers, .. } =
            ContextInfo::default();
        Global {
            uid: None,
            gid: None,
            username: None,
            groupname: None,
            count_threads: 1,
            server_string,
            plugin_dirs: Vec::new(),
            timeout,
            ws_pingpong: None,
            reject_service_keywords: Vec::new(),
            default_alpn: None,
            ip_limit_ah: None,
            ip_limit_wsi: None,
            ip_limit_undecided: None,
            rlimit_nofile: None,
            max_http_header_data,
            max_http_uri,
            max_http_headers,
            count_async_threads: 0,
            places: Vec::new(),
        }
    }
}

impl Global {
    /// Where a key is, such as `username`: for errors that show when it is acted on. `None`: it was not given.
    pub fn place(&self, key: &str) -> Option<&Place> {
        self.places.iter().find(|(name, _)| *name == key).map(|(_, place)| place)
    }

    /// Adds a fragment. What an earlier file said too is said anew.
    pub(super) fn add(&mut self, node: Node<'_>, report: &mut Report) {
        let fields = Fields::read(node, Section::Global, &[], report);
        self.note_places(&fields, report);
        let set32 = |name, to: &mut Option<u32>, report: &mut Report| {
            if let Some(number) = fields.number32(name, report) {
                *to = Some(number);
            }
        };
        set32("uid", &mut self.uid, report);
        set32("gid", &mut self.gid, report);
        set32("ip-limit-ah", &mut self.ip_limit_ah, report);
        set32("ip-limit-wsi", &mut self.ip_limit_wsi, report);
        set32("ip-limit-undecided", &mut self.ip_limit_undecided, report);
        self.ip_limit_ah = self.ip_limit_ah.filter(|limit| *limit > 0);
        self.ip_limit_wsi = self.ip_limit_wsi.filter(|limit| *limit > 0);
        if let Some(name) = fields.some_text("username", report) {
            self.username = Some(name.to_owned());
        }
        if let Some(name) = fields.some_text("groupname", report) {
            self.groupname = Some(name.to_owned());
        }
        if let Some(count) = fields.number32("count-threads", report) {
            self.count_threads = count;
        }
        if let Some(count) = fields.number32("count-async-threads", report) {
            self.count_async_threads = count;
        }
        if let Some(limit) = fields.number("rlimit-nofile", report) {
            self.rlimit_nofile = Some(limit).filter(|limit| *limit > 0);
        }
        let set_size = |name, to: &mut usize, report: &mut Report| {
            if let Some(number) = fields.number32(name, report) {
                *to = number as usize;
            }
        };
        set_size("max-http-header-data", &mut self.max_http_header_data, report);
        set_size("max-http-uri", &mut self.max_http_uri, report);
        set_size("max-http-headers", &mut self.max_http_headers, report);
        if let Some(text) = fields.text("server-string", report) {
            self.server_string = text.to_owned();
        }
        if let Some(secs) = fields.number("timeout-secs", report) {
            self.timeout = if secs == 0 { ContextInfo::default().timeout } else { Duration::from_secs(secs) };
        }
        if let Some(node) = fields.node("default-alpn") {
            self.default_alpn = spoken(&fields.names("default-alpn", report), node, Options::empty(), report);
        }
        let _nothing_to_do = fields.flag("init-ssl", report);
        if let Some(secs) = fields.number("ws-pingpong-secs", report) {
            self.ws_pingpong = Some(Duration::from_secs(secs)).filter(|after| !after.is_zero());
        }
        self.plugin_dirs.extend(fields.paths("plugin-dir", report));
        for (keyword, answer) in fields.pairs("reject-service-keywords", report) {
            if let Some((status, text)) = report.take(status_line(answer)) {
                self.reject_service_keywords.push(RejectKeyword::new(keyword, status, text));
            }
        }
    }

    fn note_places(&mut self, fields: &Fields<'_>, report: &mut Report) {
        for key in keys_of(Section::Global).iter().filter(|key| !key.kind.adds_up()) {
            let Some(node) = fields.node(key.name) else { continue };
            let place = node.place();
            match self.places.iter_mut().find(|(name, _)| *name == key.name) {
                Some((_, before)) => {
                    let note = format!("is there again, after {before}; the last one counts");
                    report.push(Diagnostic::warning(Problem::Repeated, place.clone(), node.path()).note(note));
                    *before = place;
                }
                None => self.places.push((key.name, place)),
            }
        }
    }
}

/// `404 Not Found`
fn status_line(node: Node<'_>) -> Found<(u16, String)> {
    let text = plain_text(node)?;
    let (status, rest) = text.split_once(' ').unwrap_or((text, ""));
    let status = status.parse().ok().filter(|status| (200..600).contains(status));
    let wrong = || node.wrong("an HTTP status and a text, such as 404 Not Found");
    Ok((status.ok_or_else(wrong)?, rest.trim().to_owned()))
}
