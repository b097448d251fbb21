//! From a configuration to what a context and its vhosts are made with.
//!
//! [`vhost_info`] is the one place where a key that the core learns to do is handed to it.

use super::Conf;
use super::diagnostic::{ConfError, Diagnostic, Problem, Report};
use super::global::Global;
use super::mount::{MountConf, OriginConf};
use super::nearest::nearest;
use super::node::Node;
use super::vhost::VhostConf;
use crate::context::ContextInfo;
use crate::mount::{Cache, Mount, Origin};
use crate::options::Options;
use crate::protocol::ProtocolTable;
use crate::pvo::Pvo;
use crate::role::{self, same_name};
use crate::vhost::fits;
use crate::vhost_info::{Listen, VhostInfo};
use crate::ws::{PermessageDeflate, Validity, WsInfo};

/// The vhosts of a configuration, ready to be made.
#[derive(Clone)]
#[non_exhaustive]
pub struct VhostInfos {
    /// One for each of [`Conf::vhosts`], in their order.
    pub infos: Vec<VhostInfo>,
    /// What the operator should look at.
    pub warnings: Vec<Diagnostic>,
}

impl Conf {
    /// What the context is made with.
    pub fn context_info(&self) -> ContextInfo {
        ContextInfo {
            timeout: self.global.timeout,
            server_string: self.global.server_string.clone(),
            reject_service_keywords: self.global.reject_service_keywords.clone(),
            ip_limit_wsi: self.global.ip_limit_wsi,
            ip_limit_undecided: self.global.ip_limit_undecided,
            ip_limit_ah: self.global.ip_limit_ah,
            max_http_header_data: self.global.max_http_header_data,
            max_http_uri: self.global.max_http_uri,
            max_http_headers: self.global.max_http_headers,
            ..ContextInfo::default()
        }
    }

    /// What the vhosts are made with, where the program has these protocols.
    ///
    /// A vhost has the protocols of its `ws-protocols`, in that order, and behind them those that its mounts or its
    /// `listen-accept-protocol` name. One of `ws-protocols` that the program has not is left out, with a warning.
    ///
    /// # Errors
    /// A mount or `listen-accept-protocol` names a protocol that the program has not, or that does not work there; all of them at once.
    pub fn vhost_infos(&self, protocols: &[ProtocolTable]) -> Result<VhostInfos, ConfError> {
        let (infos, report) = self.infos_and_report(protocols);
        let warnings = report.finish(self.file_names())?;
        Ok(VhostInfos { infos, warnings })
    }

    /// The same, whatever is wrong with it: as far as it is understood, and what [`vhost_infos`](Self::vhost_infos) says. Not to be served:
    /// to look for other mistakes.
    pub fn vhost_infos_as_understood(&self, protocols: &[ProtocolTable]) -> (Vec<VhostInfo>, Vec<Diagnostic>) {
        let (infos, report) = self.infos_and_report(protocols);
        let said = report.finish(self.file_names()).unwrap_or_else(|error| error.diagnostics);
        (infos, said)
    }

    fn infos_and_report(&self, protocols: &[ProtocolTable]) -> (Vec<VhostInfo>, Report) {
        let mut report = Report::default();
        let infos = self.vhosts.iter().map(|vhost| vhost_info(vhost, &self.global, protocols, &mut report)).collect();
        (infos, report)
    }
}

/// One vhost.
fn vhost_info(vhost: &VhostConf, global: &Global, known: &[ProtocolTable], report: &mut Report) -> VhostInfo {
    let mut own = Own { known, enabled: Vec::new() };
    let mut pvo = Pvo::default();
    for protocol in &vhost.protocols {
        match own.enable(&protocol.name) {
            Some(table) => {
                unknown_options(protocol.at.node(), table.options, report);
                pvo.push(&protocol.name, protocol.pvo.clone());
            }
            None => {
                let node = protocol.at.node();
                let warning = Diagnostic::warning(Problem::UnknownName, node.place(), node.path());
                let warning = warning.note("there is no such protocol; it is left out");
                report.push(warning.nearest(nearest(&protocol.name, known.iter().map(ProtocolTable::name))));
            }
        }
    }
    let role = vhost.listen_accept_role.as_deref().unwrap_or("raw-skt");
    if let (Some(name), Some(node)) = (&vhost.listen_accept_protocol, vhost.node().find("listen-accept-protocol")) {
        own.need(name, role, node, report);
    }
    let mounts = vhost.mounts.iter().filter_map(|conf| mount(conf, &mut own, report)).collect();
    let mut listen = vhost.listen.clone();
    let mut tls = vhost.tls.as_ref();
    if vhost.ignore_missing_cert
        && let Some(missing) = tls.and_then(|tls| tls.missing_file())
    {
        let node = vhost.node();
        let warning = Diagnostic::warning(Problem::NoEffect, node.place(), node.path());
        report.push(warning.note(format!("{} is missing; this vhost does not listen", missing.display())));
        (listen, tls) = (Listen::None, None);
    }
    if let Listen::Unix { owner: Some(owner), .. } = &listen
        && let Err(error) = owner.ids()
        && let Some(node) = vhost.node().find("unix-socket-perms")
    {
        let error = Diagnostic::error(Problem::UnknownName, node.place(), node.path()).note(error.to_string());
        report.push(error.found(node.shown()).expected("mode bits such as 0660, or USER:GROUP"));
    }
    // Where nothing looks at what comes, there is nothing to agree on unless it is said.
    let looks = !vhost.options.contains(Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG);
    let default_alpn = global.default_alpn.as_ref().filter(|_| looks);
    VhostInfo {
        name: vhost.name.clone(),
        listen,
        protocols: own.enabled,
        pvo,
        mounts,
        tls: tls.map(|tls| tls.tls_info()),
        client_tls: vhost.client_tls.clone(),
        alpn: vhost.alpn.as_ref().or(default_alpn).cloned(),
        options: options_of(vhost),
        headers: vhost.headers.clone(),
        listen_accept_role: vhost.listen_accept_role.clone(),
        listen_accept_protocol: vhost.listen_accept_protocol.clone(),
        fallback_silence: vhost.fallback_silence,
        proxy_protocol_from: vhost.proxy_protocol_from.clone(),
        keepalive_timeout: vhost.keepalive_timeout,
        max_body: vhost.max_body,
        ws: ws_of(global),
        error_document_404: vhost.error_document_404.clone(),
        fast_open_queue: vhost.fast_open_queue,
        ..VhostInfo::default()
    }
}

/// As lws's `lwsws`, it agrees to compress with whoever can.
fn ws_of(global: &Global) -> WsInfo {
    let validity = global.ws_pingpong.map(|ping| Validity { ping, hang_up: ping.saturating_mul(2) });
    WsInfo { deflate: Some(PermessageDeflate::default()), validity, ..WsInfo::default() }
}

fn options_of(vhost: &VhostConf) -> Options {
    let mut options = vhost.options;
    options.set(Options::STS, options.contains(Options::STS) || vhost.sts);
    options.set(Options::VHOST_UPG_STRICT_HOST_CHECK, vhost.strict_host_check);
    options.set(Options::VHOST_DISABLE_NO_PROTOCOL_WS_UPGRADES, vhost.disable_no_protocol_ws_upgrades);
    options
}

/// One mount. `None`: it is of a kind that is not done yet, of which a warning told when it was read.
fn mount(conf: &MountConf, own: &mut Own<'_>, report: &mut Report) -> Option<Mount> {
    if !conf.is_guarded_well() {
        return None;
    }
    let mut mount = match &conf.origin {
        OriginConf::File(path) => Mount::files(&conf.mountpoint, path),
        OriginConf::Callback(protocol) => {
            if let Some(node) = conf.node().find("origin") {
                own.need(protocol, "http", node, report);
            }
            Mount::callback(&conf.mountpoint, protocol)
        }
        OriginConf::Redirect { code, url } => {
            let mut mount = Mount::redirect(&conf.mountpoint, url);
            mount.origin = Origin::Redirect { code: *code, url: url.clone() };
            mount
        }
        OriginConf::Proxy(_) | OriginConf::Cgi(_) | OriginConf::Gzip(_) => return None,
    };
    if let (Some(protocol), Some(node)) = (&conf.protocol, conf.node().find("protocol")) {
        own.need(protocol, "http", node, report);
    }
    mount.protocol.clone_from(&conf.protocol);
    mount.exact_match = conf.exact_match;
    mount.append_path = conf.append_path;
    mount.no_ws_upgrades = conf.no_ws_upgrades;
    mount.precompressed = conf.precompressed;
    mount.keepalive_timeout = conf.keepalive_timeout;
    mount.basic_auth.clone_from(&conf.guard.basic_auth);
    mount.max_body = conf.max_body;
    mount.options = conf.pmo.iter().fold(Pvo::default(), |options, (name, value)| options.with(name, value.as_str()));
    mount.default.clone_from(&conf.default);
    mount.headers.clone_from(&conf.headers);
    mount.mimetypes.clone_from(&conf.extra_mimetypes);
    mount.cache = conf.is_cache_said().then(|| Cache {
        max_age: u32::try_from(conf.cache.max_age.as_secs()).unwrap_or(u32::MAX),
        reusable: conf.cache.reuse,
        revalidate: conf.cache.revalidate,
        intermediaries: conf.cache.intermediaries,
        no_cache: conf.cache.no_cache,
    });
    Some(mount)
}

/// What every protocol may have: that it is on, and what it is for on its vhost.
const OF_ALL: [&str; 3] = ["status", "default", "raw"];

/// As with keys: a name that nearly is one of the protocol's options is an error, any other gives a warning.
fn unknown_options(options: Node<'_>, known: Option<&[&'static str]>, report: &mut Report) {
    let Some(known) = known else { return };
    let known = || known.iter().chain(&OF_ALL).copied();
    for (key, _) in options.members().into_iter().flatten() {
        if known().any(|name| name == key.name) {
            continue;
        }
        let meant = nearest(key.name, known());
        let (make, problem): (fn(_, _, _) -> _, _) = match meant {
            Some(_) => (Diagnostic::error, Problem::MisspeltKey),
            None => (Diagnostic::warning, Problem::UnknownKey),
        };
        report.push(make(problem, key.place(), key.path()).note("unknown option").nearest(meant));
    }
}

/// The protocols of one vhost, of those that the program has.
struct Own<'k> {
    known: &'k [ProtocolTable],
    enabled: Vec<ProtocolTable>,
}

impl Own<'_> {
    fn enable(&mut self, name: &str) -> Option<ProtocolTable> {
        let table = self.known.iter().find(|table| same_name(table.name(), name)).copied()?;
        if !self.enabled.iter().any(|enabled| same_name(enabled.name(), name)) {
            self.enabled.push(table);
        }
        Some(table)
    }

    /// A protocol that has to be there, and to work in a role.
    fn need(&mut self, name: &str, role: &str, node: Node<'_>, report: &mut Report) {
        let names: Vec<&str> = self.known.iter().map(ProtocolTable::name).collect();
        let error = || Diagnostic::error(Problem::UnknownName, node.place(), node.path()).found(node.shown());
        match self.enable(name) {
            None => {
                let error = error().expected(format!("a protocol: {}", names.join(", ")));
                report.push(error.nearest(nearest(name, names.iter().copied())));
            }
            // A role that is not there was told already.
            Some(table) if role::find(role).is_some() && !fits(&table, role) => {
                let fits = table.roles.join(", ");
                report.push(error().expected(format!("a protocol for role {role}; this one works in {fits}")));
            }
            Some(_) => {}
        }
    }
}
