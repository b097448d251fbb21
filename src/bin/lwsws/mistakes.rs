//! All mistakes at once: where some were found, those that would have been found next.
//!
//! ```text
//!   the files ──▶ protocols and roles ──▶ vhosts made: certificates, folders, options of protocols
//!                                              │  ▲
//!                                              └──┘ what one fails of is taken out of it, and the rest is tried
//! ```

use std::path::Path;

use rlws::conf::{Conf, Diagnostic, Severity, VhostConf};
use rlws::{Context, Error, Listen, Mount, Options, Origin, Pvo, VhostInfo};

use crate::logs;
use crate::setup::PROTOCOLS;

/// What else is wrong with a configuration whose files have mistakes.
pub(crate) fn beyond(conf: &Conf, said: &[Diagnostic]) -> Vec<Diagnostic> {
    let (infos, mut found) = conf.vhost_infos_as_understood(PROTOCOLS);
    let of_making = of_vhosts(conf, infos, said.iter().chain(&found));
    found.extend(of_making);
    found
}

/// What else is wrong with one whose protocols and roles have mistakes.
pub(crate) fn of_making(conf: &Conf, said: &[Diagnostic]) -> Vec<Diagnostic> {
    let (infos, _) = conf.vhost_infos_as_understood(PROTOCOLS);
    of_vhosts(conf, infos, said.iter())
}

/// What is wrong with vhosts beside what was said: they are made without a socket, and the folders of their logs and sockets are looked for.
pub(crate) fn of_vhosts<'d>(
    conf: &Conf,
    infos: Vec<VhostInfo>,
    said: impl Iterator<Item = &'d Diagnostic>,
) -> Vec<Diagnostic> {
    let said: Vec<_> = said.filter(|one| one.severity == Severity::Error).collect();
    let Ok(mut context) = Context::new(conf.context_info()) else { return Vec::new() };
    context.bind_nothing();
    let mut found = Vec::new();
    for (vhost, info) in conf.vhosts.iter().zip(infos) {
        let (file, path) = (vhost.place().file, vhost.node().path());
        let is_known = said.iter().any(|said| said.place.file == file && is_within(&said.path, &path));
        let refusals = refusals(&mut context, info);
        let refusals = refusals.iter().filter(|error| !is_known || stands_alone(error));
        found.extend(refusals.map(|error| vhost.explain(error)));
        found.extend(missing_folders(vhost));
    }
    // What was said of a part of it is why.
    let is_why =
        |said: &Diagnostic, one: &Diagnostic| said.place.file == one.place.file && is_within(&said.path, &one.path);
    found.retain(|one| !said.iter().any(|said| is_why(said, one)));
    found
}

/// Whether one path of the JSON is another one, or a part of it.
fn is_within(path: &str, whole: &str) -> bool {
    path.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

/// Everything that a vhost cannot be made for.
fn refusals(context: &mut Context, mut info: VhostInfo) -> Vec<Error> {
    let mut all: Vec<Error> = Vec::new();
    while let Err(error) = context.create_vhost(info.clone()) {
        if all.iter().any(|known| known.to_string() == error.to_string()) {
            break; // taking it out has not helped
        }
        if let Error::Tls { .. } = error {
            all.extend(unreadable(&mut info));
        }
        let rest = without(info, &error);
        if !all.iter().any(|known| known.to_string() == error.to_string()) {
            all.push(error);
        }
        match rest {
            Some(rest) => info = rest,
            None => break,
        }
    }
    all
}

/// Whether it is a mistake whatever else is wrong with its vhost.
fn stands_alone(error: &Error) -> bool {
    matches!(error, Error::Mount { .. } | Error::Tls { .. } | Error::ClientTls { .. } | Error::ProtocolInit { .. })
}

/// The certificates and keys of a vhost that cannot be read.
fn unreadable(info: &mut VhostInfo) -> Vec<Error> {
    let vhost = info.name.clone();
    let pems = info.tls.iter_mut().flat_map(|tls| tls.pems_mut());
    pems.filter_map(|pem| pem.read().err()).map(|source| Error::Tls { vhost: vhost.clone(), source }).collect()
}

/// The vhost without what the error is about. `None`: nobody knows what would be left.
fn without(mut info: VhostInfo, error: &Error) -> Option<VhostInfo> {
    match error {
        Error::Mount { mountpoint, .. } => {
            let index = info.mounts.iter().position(|mount| mount.mountpoint == *mountpoint)?;
            info.mounts.remove(index);
        }
        // Without a listen socket nothing depends on whether it has TLS.
        Error::Tls { .. } => (info.tls, info.listen) = (info.tls.take().and(None), Listen::None),
        Error::ProtocolInit { protocol, .. }
        | Error::UnknownProtocol { protocol, .. }
        | Error::RoleMisfit { protocol, .. } => return Some(without_protocol(info, protocol)),
        Error::UnknownRole { .. } => takes_http_alone(&mut info),
        _ => return None,
    }
    Some(info)
}

fn without_protocol(mut info: VhostInfo, protocol: &str) -> VhostInfo {
    let is_it = |name: &str| name.replace('_', "-") == protocol.replace('_', "-");
    let needs = |mount: &Mount| {
        matches!(&mount.origin, Origin::Callback(name) if is_it(name)) || mount.protocol.as_deref().is_some_and(is_it)
    };
    info.protocols.retain(|table| !is_it(table.name()));
    info.mounts.retain(|mount| !needs(mount));
    let others = info.pvo.children().iter().filter(|child| !is_it(child.name()));
    info.pvo = others.fold(Pvo::default(), |pvo, child| pvo.with(child.name(), child.clone()));
    takes_http_alone(&mut info);
    info
}

fn takes_http_alone(info: &mut VhostInfo) {
    (info.listen_accept_role, info.listen_accept_protocol) = (None, None);
    let others = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG | Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
    info.options.remove(others);
}

/// The folders that its access log and its unix socket are to be in.
fn missing_folders(vhost: &VhostConf) -> Vec<Diagnostic> {
    let mut missing = Vec::new();
    let mut look = |key, is_there: bool, expected| {
        if let Some(node) = vhost.node().find(key).filter(|_| !is_there) {
            missing.extend(node.error(expected).diagnostics);
        }
    };
    if let Some(path) = &vhost.access_log {
        look("access-log", logs::has_place(path), "a file in a folder that is there");
    }
    if let Listen::Unix { path, .. } = &vhost.listen {
        let is_abstract = path.as_os_str().as_encoded_bytes().starts_with(b"@");
        look("interface", is_abstract || is_in_a_folder(path), "a path in a folder that is there");
    }
    missing
}

fn is_in_a_folder(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new(".")).is_dir()
}
