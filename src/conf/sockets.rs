//! What vhosts must not do to each other: those of one listen socket, and those of two that exclude each other.

use std::collections::HashMap;

use super::claims::Claims;
use super::diagnostic::{Diagnostic, Place, Problem, Report};
use super::vhost::VhostConf;
use crate::options::Options;
use crate::vhost_info::Listen;

/// The vhosts of a socket so far.
struct Socket<'v> {
    first: &'v VhostConf,
    by_name: HashMap<String, &'v VhostConf>,
}

/// Sockets that cannot both be there. Vhosts that cannot share what they share: two of one name, TLS and none; and switches that only the first one decides.
pub(super) fn check(vhosts: &[VhostConf], report: &mut Report) {
    let mut claims = Claims::default();
    let mut sockets: HashMap<&Listen, Socket<'_>> = HashMap::new();
    for vhost in vhosts.iter().filter(|vhost| vhost.listen != Listen::None) {
        if !sockets.contains_key(&vhost.listen)
            && let Err(other) = claims.claim(vhost)
        {
            report.push(excluded(other, vhost));
        }
        let socket = sockets.entry(&vhost.listen).or_insert_with(|| Socket { first: vhost, by_name: HashMap::new() });
        let name = vhost.name.strip_suffix('.').unwrap_or(&vhost.name).to_ascii_lowercase();
        if let Some(same) = socket.by_name.get(&name) {
            let note = format!("there is already a vhost {} on {} ({})", same.name, vhost.listen, same.place());
            report.push(at(vhost, "name", Problem::Repeated, true).note(note));
        } else {
            socket.by_name.insert(name, vhost);
        }
        if wants_tls(socket.first) != wants_tls(vhost) {
            report.push(tls_mixed(socket.first, vhost));
        } else {
            decided_by_another(socket.first, vhost, report);
        }
    }
}

/// Two sockets of which the system lets only one be.
fn excluded(first: &VhostConf, vhost: &VhostConf) -> Diagnostic {
    let place = first.place();
    let both = match &vhost.listen {
        Listen::Unix { .. } => "the same path; to share it, all its keys about the socket have to be the same",
        _ => "an address of it; to share it, interface has to be the same",
    };
    let key = if matches!(vhost.listen, Listen::Unix { .. }) { "interface" } else { "port" };
    let note = format!("vhost {} ({place}) listens on {}, {both}", first.name, first.listen);
    at(vhost, key, Problem::Contradiction, true).note(note)
}

/// Its certificate may be missing by mistake.
fn wants_tls(vhost: &VhostConf) -> bool {
    ["host-ssl-cert", "host-ssl-key"].into_iter().any(|key| vhost.node().find(key).is_some())
}

fn tls_mixed(first: &VhostConf, vhost: &VhostConf) -> Diagnostic {
    let place: Place = first.place();
    let (this, other) = if wants_tls(vhost) { ("has TLS", "has not") } else { ("has no TLS", "has") };
    let both = format!("vhost {} ({place}) shares {} and {other}; both have it, or none", first.name, vhost.listen);
    at(vhost, "host-ssl-cert", Problem::Contradiction, true).note(format!("vhost {} {this}, but {both}", vhost.name))
}

fn decided_by_another(first: &VhostConf, vhost: &VhostConf, report: &mut Report) {
    const KEYS: &[(&str, Options)] = &[
        ("fallback-listen-accept", Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG),
        ("redirect-http", Options::REDIRECT_HTTP_TO_HTTPS),
        ("allow-http-on-https", Options::ALLOW_HTTP_ON_HTTPS_LISTENER),
        ("apply-listen-accept", Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG),
    ];
    // After a handshake the fallback of the vhost that SNI chose counts.
    let own = if wants_tls(vhost) { Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG } else { Options::empty() };
    let ignored = vhost.options.difference(first.options).difference(own);
    for (key, _) in KEYS.iter().filter(|(_, option)| ignored.contains(*option)) {
        let note =
            format!("does nothing: the first vhost of {} decides, {} ({})", vhost.listen, first.name, first.place());
        report.push(at(vhost, key, Problem::NoEffect, false).note(note));
    }
}

/// A mistake at a key of a vhost; at the vhost where it has no such key.
fn at(vhost: &VhostConf, key: &str, problem: Problem, is_error: bool) -> Diagnostic {
    let node = vhost.node();
    let node = node.find(key).unwrap_or(node);
    let make = if is_error { Diagnostic::error } else { Diagnostic::warning };
    make(problem, node.place(), node.path())
}
