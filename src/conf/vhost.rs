//! `vhosts`: a named server each.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::{Diagnostic, Place, Problem, Report};
use super::fields::Fields;
use super::keys::Section;
use super::listen::listen;
use super::mount::{self, MountConf};
use super::nearest::nearest;
use super::node::{At, File, Node};
use super::tls::{self, TlsConf};
use super::ws_protocols::{self, ProtocolConf};
use crate::options::Options;
use crate::peer_network::PeerNetwork;
use crate::role::{self, same_name};
use crate::tls::TlsClientInfo;
use crate::transport::Medium;
use crate::vhost_info::{Listen, VhostInfo};

/// A vhost, with defaults filled in.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct VhostConf {
    /// Its name; `default`.
    pub name: String,
    /// Where it listens.
    pub listen: Listen,
    /// Its certificate and key; `None`: it is plain.
    pub tls: Option<TlsConf>,
    /// Go on without listening where one of their files is missing.
    pub ignore_missing_cert: bool,
    /// ALPN protocols, best first; `None`: as the global `default-alpn` says.
    pub alpn: Option<Vec<String>>,
    /// Switches.
    pub options: Options,
    /// Its protocols (`ws-protocols`), each once.
    pub protocols: Vec<ProtocolConf>,
    /// What is served where.
    pub mounts: Vec<MountConf>,
    /// Role of what is not http; `None`: `raw-skt`.
    pub listen_accept_role: Option<String>,
    /// Protocol of what is not http.
    pub listen_accept_protocol: Option<String>,
    /// With the fallback: who says nothing for so long falls back too.
    pub fallback_silence: Option<Duration>,
    /// Whose connections begin with a PROXY header.
    pub proxy_protocol_from: Vec<PeerNetwork>,
    /// How long a connection may idle between requests; 5 s.
    pub keepalive_timeout: Duration,
    /// Bytes that a request's body may have, `u64::MAX` for no limit; 1 MiB.
    pub max_body: u64,
    /// URL path of the page for what is not there.
    pub error_document_404: Option<String>,
    /// Headers to send with every answer.
    pub headers: Vec<(String, String)>,
    /// Send `Strict-Transport-Security`.
    pub sts: bool,
    /// File for a line per request.
    pub access_log: Option<PathBuf>,
    /// Connections that may wait with TCP fast open; 0: off.
    pub fast_open_queue: u32,
    /// Upgrades need the `Host:` of the vhost.
    pub strict_host_check: bool,
    /// WebSocket upgrades have to name a protocol.
    pub disable_no_protocol_ws_upgrades: bool,
    /// Half-closed HTTP/2 streams may live on.
    pub h2_half_closed_long_poll: bool,
    /// TLS of its client connections (`enable-client-ssl`).
    pub client_tls: Option<TlsClientInfo>,
    pub(super) at: At,
}

impl VhostConf {
    /// Where it is.
    pub fn place(&self) -> Place {
        self.at.node().place()
    }

    /// Its JSON, to read what is not in the fields, or to make errors with its place.
    pub fn node(&self) -> Node<'_> {
        self.at.node()
    }

    pub(super) fn read(file: &Arc<File>, node: Node<'_>, report: &mut Report) -> Option<VhostConf> {
        let fields = Fields::read(node, Section::Vhost, &[], report);
        let listening = listen(&fields, report);
        let tls = TlsConf::read(&fields, report);
        let is_tls = fields.node("host-ssl-cert").is_some() || fields.node("host-ssl-key").is_some();
        let options = options(&fields, is_tls, report);
        let defaults = VhostInfo::default();
        let owned = |text: &str| text.to_owned();
        let flag = |name, report: &mut Report| fields.flag(name, report).unwrap_or_default();
        let mut mounts: Vec<MountConf> = Vec::new();
        for mount in fields.objects("mounts", report) {
            mounts.extend(MountConf::read(file, mount, report));
        }
        same_mountpoints(&mounts, report);
        let vhost = VhostConf {
            name: name(&fields, report).unwrap_or(&defaults.name).to_owned(),
            listen: Listen::None,
            tls,
            ignore_missing_cert: flag("ignore-missing-cert", report),
            alpn: alpn(&fields, options, report),
            options,
            protocols: ws_protocols::read(file, &fields, report),
            mounts,
            listen_accept_role: listen_accept_role(&fields, report),
            listen_accept_protocol: fields.some_text("listen-accept-protocol", report).map(owned),
            fallback_silence: fallback_silence(&fields, options, report),
            proxy_protocol_from: proxy_protocol_from(&fields, report),
            keepalive_timeout: fields.secs("keepalive_timeout", report).unwrap_or(defaults.keepalive_timeout),
            max_body: mount::max_body(&fields, report).unwrap_or(defaults.max_body),
            error_document_404: error_document(&fields, report),
            headers: mount::headers(&fields, report),
            sts: flag("sts", report),
            access_log: fields.path("access-log", report),
            fast_open_queue: fields.number32("fo-listen-queue", report).unwrap_or_default(),
            strict_host_check: flag("strict-host-check", report),
            disable_no_protocol_ws_upgrades: flag("disable-no-protocol-ws-upgrades", report),
            h2_half_closed_long_poll: flag("h2-half-closed-long-poll", report),
            client_tls: tls::client(&fields, report),
            at: At::new(file, node),
        };
        Some(VhostConf { listen: listening?, ..vhost })
    }
}

fn name<'c>(fields: &Fields<'c>, report: &mut Report) -> Option<&'c str> {
    let name = fields.some_text("name", report)?;
    let node = fields.node("name")?;
    if let Some(domain) = name.strip_prefix("*.") {
        report.push(node.wrong(format!("{domain:?}, which serves all of {name} too")));
    } else if name.contains(char::is_whitespace) || name.contains('/') {
        report.push(node.wrong("a host name"));
    } else if name.contains(':') && !name.starts_with('[') {
        let warning = Diagnostic::warning(Problem::NoEffect, node.place(), node.path()).found(node.shown());
        report.push(warning.expected("a host name without a port; nobody is led here by this one"));
    } else if !name.is_ascii() {
        let warning = Diagnostic::warning(Problem::Value, node.place(), node.path()).found(node.shown());
        report.push(warning.expected("the name as clients send it, in ASCII (xn--..)"));
    }
    Some(name)
}

/// The switches, and what contradicts itself among them.
fn options(fields: &Fields<'_>, is_tls: bool, report: &mut Report) -> Options {
    const SWITCHES: &[(&str, Options)] = &[
        ("onlyraw", Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG),
        ("apply-listen-accept", Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG),
        ("fallback-listen-accept", Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG),
        ("redirect-http", Options::REDIRECT_HTTP_TO_HTTPS),
        ("allow-http-on-https", Options::ALLOW_HTTP_ON_HTTPS_LISTENER),
        ("allow-non-tls", Options::ALLOW_NON_SSL_ON_SSL_PORT),
        ("noipv6", Options::DISABLE_IPV6),
        ("ipv6only", Options::IPV6_V6ONLY),
    ];
    let mut options = Options::empty();
    for (name, option) in SWITCHES {
        if fields.flag(name, report) == Some(true) {
            options |= *option;
        }
    }
    let on = |name: &str| fields.node(name).filter(Node::is_on);
    let implying = ["redirect-http", "allow-http-on-https", "fallback-listen-accept"];
    if let Some(off) = fields.node("allow-non-tls").filter(|node| is_tls && !node.is_on())
        && let Some(name) = implying.into_iter().find(|name| on(name).is_some())
    {
        let error = Diagnostic::error(Problem::Contradiction, off.place(), off.path());
        report.push(error.note(format!("is off, but {name} is on and needs it")));
    }
    for name in ["redirect-http", "allow-http-on-https"] {
        if let Some(node) = on(name).filter(|_| !is_tls) {
            let warning = Diagnostic::warning(Problem::NoEffect, node.place(), node.path());
            report.push(warning.note("does nothing without host-ssl-cert and host-ssl-key"));
        }
    }
    if let (Some(_), Some(node)) = (on("noipv6"), on("ipv6only")) {
        let error = Diagnostic::error(Problem::Contradiction, node.place(), node.path());
        report.push(error.note("noipv6 is on too, and nothing is left to listen on"));
    }
    if let (Some(_), Some(node)) = (on("client-cert-required"), on("fallback-listen-accept")) {
        let warning = Diagnostic::warning(Problem::Contradiction, node.place(), node.path());
        report.push(warning.note("client-cert-required is on too, but who falls back shows no certificate"));
    }
    options
}

/// Protocols that nothing here speaks are left out: those of lws with a warning, others are a mistake.
fn alpn(fields: &Fields<'_>, options: Options, report: &mut Report) -> Option<Vec<String>> {
    let node = fields.node("alpn")?;
    spoken(&fields.names("alpn", report), node, options, report)
}

/// Of a list of ALPN protocols those that something here speaks; `None`: there is none.
pub(super) fn spoken(names: &[&str], node: Node<'_>, options: Options, report: &mut Report) -> Option<Vec<String>> {
    let anything_goes = options.contains(Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG);
    let known = || crate::roles::ALL.iter().flat_map(|role| role.alpn()).copied();
    let mut spoken = Vec::new();
    for name in names {
        if anything_goes || role::find_by_alpn(name.as_bytes()).is_some() {
            spoken.push((*name).to_owned());
        } else if ["h2", "h3"].contains(name) {
            let warning = Diagnostic::warning(Problem::NotDoneYet, node.place(), node.path());
            report.push(warning.note(format!("{name} is not done yet, and left out")));
        } else {
            let known = known().collect::<Vec<_>>();
            let error = Diagnostic::error(Problem::UnknownName, node.place(), node.path());
            let error = error.expected(format!("some of {}", known.join(", "))).found(format!("{name:?}"));
            report.push(error.nearest(nearest(name, known)));
        }
    }
    Some(spoken).filter(|spoken| !spoken.is_empty())
}

fn listen_accept_role(fields: &Fields<'_>, report: &mut Report) -> Option<String> {
    let name = fields.some_text("listen-accept-role", report)?;
    let node = fields.node("listen-accept-role")?;
    let roles = crate::roles::ALL.iter().filter(|role| role.carries() == Some(Medium::Stream));
    let roles = roles.filter(|role| role.begins_as().is_none());
    let known: Vec<&str> = roles.map(|role| role.name()).collect();
    if !known.iter().any(|role| same_name(role, name)) {
        let error = Diagnostic::error(Problem::UnknownName, node.place(), node.path());
        let error = error.expected(format!("a role: {}", known.join(", "))).found(node.shown());
        report.push(error.nearest(nearest(name, known)));
    }
    Some(name.to_owned())
}

fn fallback_silence(fields: &Fields<'_>, options: Options, report: &mut Report) -> Option<Duration> {
    let silence = fields.millis("fallback-silence-ms", report)?;
    if !options.contains(Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG)
        && let Some(node) = fields.node("fallback-silence-ms")
    {
        let warning = Diagnostic::warning(Problem::NoEffect, node.place(), node.path());
        report.push(warning.note("does nothing without fallback-listen-accept"));
    }
    Some(silence)
}

/// Networks with commas or spaces between them.
fn proxy_protocol_from(fields: &Fields<'_>, report: &mut Report) -> Vec<PeerNetwork> {
    let text = fields.text("proxy-protocol-from", report).unwrap_or_default();
    let Some(node) = fields.node("proxy-protocol-from") else { return Vec::new() };
    let networks = text.split([',', ' ']).filter(|network| !network.is_empty());
    let parsed = networks.map(|network| network.parse().map_err(|_| network));
    let expected = "addresses, networks such as 10.0.0.0/8 without bits beyond those, or unix";
    let wrong = |network| node.wrong(expected).found(format!("{network:?}"));
    let trusted: Vec<PeerNetwork> =
        parsed.filter_map(|parsed| report.take(parsed.map_err(|network| wrong(network).into()))).collect();
    let warning = |problem, what: &str| Diagnostic::warning(problem, node.place(), node.path()).note(what);
    if text.trim().is_empty() {
        report.push(warning(Problem::NoEffect, "is empty: nobody is trusted, and nobody's PROXY header is read"));
    }
    if trusted.iter().any(|network| matches!(network, PeerNetwork::Ip { bits: 0, .. })) {
        let what = "trusts everybody to say who they are; list the balancers' own addresses";
        report.push(warning(Problem::Doubtful, what));
    }
    trusted
}

fn error_document(fields: &Fields<'_>, report: &mut Report) -> Option<String> {
    let path = fields.some_text("error-document-404", report)?;
    if !path.starts_with('/') {
        report.push(fields.node("error-document-404")?.wrong("a URL path that begins with /"));
    }
    Some(path.to_owned())
}

/// Of two that begin at the same place the second is never asked.
fn same_mountpoints(mounts: &[MountConf], report: &mut Report) {
    let mut seen = std::collections::HashMap::new();
    for mount in mounts {
        let begins = mount.mountpoint.trim_end_matches('/');
        if let Some(first) = seen.get(begins) {
            let Some(node) = mount.node().find("mountpoint") else { continue };
            let warning = Diagnostic::warning(Problem::Repeated, node.place(), node.path());
            report.push(warning.note(format!("is mounted already, by {first}; that one counts")));
        } else {
            seen.insert(begins, mount.place());
        }
    }
}
