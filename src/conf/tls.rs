//! The keys that make a vhost speak TLS.
//!
//! lws's values are OpenSSL's: lists of cipher suites with rules in them, and option bits. Here they become names that rustls knows.
//! What rustls never does anyway (weak suites, old versions, compression) needs no rule, so rules are passed over.

use std::path::PathBuf;

use super::diagnostic::{Diagnostic, Problem, Report};
use super::fields::Fields;
use super::nearest::nearest;
use crate::tls::{ClientCerts, Pem, TlsClientInfo, TlsInfo, TlsSettings};
use crate::tls::{Roots, TlsError};

/// A vhost's certificate, key, and TLS settings.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsConf {
    /// Certificate chain, in PEM (`host-ssl-cert`).
    pub cert: PathBuf,
    /// Private key, in PEM (`host-ssl-key`).
    pub key: PathBuf,
    /// What completes its chain, and who may have signed clients' certificates (`host-ssl-ca`).
    pub ca: Option<PathBuf>,
    /// Whether clients have to show one (`client-cert-required`).
    pub client_cert_required: bool,
    /// Which clients' certificates are no longer good (`client-cert-crl`).
    pub revoked: Option<PathBuf>,
    /// Versions, cipher suites and groups.
    pub settings: TlsSettings,
}

impl TlsConf {
    /// What the vhost is made with.
    pub fn tls_info(&self) -> TlsInfo {
        let client_certs = match &self.ca {
            Some(ca) if self.client_cert_required => ClientCerts::Required { ca: Pem::file(ca) },
            _ => ClientCerts::NotAsked,
        };
        let settings = self.settings.clone();
        let issuers = self.ca.as_ref().map(Pem::file);
        let revoked = self.revoked.as_ref().map(Pem::file);
        TlsInfo {
            client_certs,
            issuers,
            revoked,
            settings,
            ..TlsInfo::new(Pem::file(&self.cert), Pem::file(&self.key))
        }
    }

    /// The first of its files that is not there.
    pub(super) fn missing_file(&self) -> Option<&PathBuf> {
        [&self.cert, &self.key].into_iter().chain(&self.ca).chain(&self.revoked).find(|path| !path.exists())
    }

    /// The key that names a file.
    pub(super) fn key_of(&self, path: &str) -> &'static str {
        let is = |file: &PathBuf| file.display().to_string() == path;
        if is(&self.key) {
            "host-ssl-key"
        } else if self.ca.as_ref().is_some_and(is) {
            "host-ssl-ca"
        } else if self.revoked.as_ref().is_some_and(is) {
            "client-cert-crl"
        } else {
            "host-ssl-cert"
        }
    }

    /// `None`: the vhost is plain.
    pub(super) fn read(fields: &Fields<'_>, report: &mut Report) -> Option<TlsConf> {
        let (cert, key) = (fields.path("host-ssl-cert", report), fields.path("host-ssl-key", report));
        let ca = fields.path("host-ssl-ca", report);
        let client_cert_required = fields.flag("client-cert-required", report).unwrap_or_default();
        let revoked = fields.path("client-cert-crl", report);
        let settings = settings(fields, &SERVER, report);
        let given = |name| fields.node(name).is_some();
        match (given("host-ssl-cert"), given("host-ssl-key")) {
            (true, false) => report.push(fields.missing("host-ssl-key").note("is missing beside host-ssl-cert")),
            (false, true) => report.push(fields.missing("host-ssl-cert").note("is missing beside host-ssl-key")),
            (false, false) => needs_tls(fields, client_cert_required, report),
            (true, true) if client_cert_required && !given("host-ssl-ca") => {
                report.push(fields.missing("host-ssl-ca").note("is missing beside client-cert-required"));
            }
            (true, true) => {}
        }
        if let (false, Some(node)) = (client_cert_required, fields.node("client-cert-crl")) {
            let error = Diagnostic::error(Problem::Contradiction, node.place(), node.path());
            report.push(
                error.note("needs client-cert-required: clients are not asked for certificates to look up in it"),
            );
        }
        Some(TlsConf { cert: cert?, key: key?, ca, client_cert_required, revoked, settings })
    }
}

/// On a plain vhost, demands are errors and settings do nothing.
fn needs_tls(fields: &Fields<'_>, client_cert_required: bool, report: &mut Report) {
    if client_cert_required && let Some(node) = fields.node("client-cert-required") {
        let error = Diagnostic::error(Problem::Contradiction, node.place(), node.path());
        report.push(error.note("needs host-ssl-cert, host-ssl-key and host-ssl-ca: this vhost has no TLS"));
    }
    for name in ["host-ssl-ca", "ciphers", "tls13-ciphers", "ecdh-curve", "ssl-option-set", "ssl-option-clear"] {
        if let Some(node) = fields.node(name) {
            let warning = Diagnostic::warning(Problem::NoEffect, node.place(), node.path());
            report.push(warning.note("does nothing without host-ssl-cert and host-ssl-key"));
        }
    }
}

/// TLS of a vhost's own connections to servers: its `client-ssl-*` keys.
pub(super) fn client(fields: &Fields<'_>, report: &mut Report) -> Option<TlsClientInfo> {
    let cert = fields.path("client-ssl-cert", report);
    let key = fields.path("client-ssl-key", report);
    let ca = fields.path("client-ssl-ca", report);
    let settings = settings(fields, &CLIENT, report);
    if !fields.flag("enable-client-ssl", report).unwrap_or_default() {
        let keys = ["client-ssl-cert", "client-ssl-key", "client-ssl-ca"].into_iter().chain(CLIENT.all());
        for node in keys.filter_map(|name| fields.node(name)) {
            let warning = Diagnostic::warning(Problem::NoEffect, node.place(), node.path());
            report.push(warning.note("does nothing without enable-client-ssl"));
        }
        return None;
    }
    if cert.is_some() != key.is_some() {
        let missing = if cert.is_some() { "client-ssl-key" } else { "client-ssl-cert" };
        report.push(fields.missing(missing).note("client-ssl-cert and client-ssl-key belong together"));
    }
    Some(TlsClientInfo {
        roots: ca.map_or(Roots::System, |ca| Roots::Only(Pem::file(ca))),
        identity: cert.zip(key).map(|(cert, key)| (Pem::file(cert), Pem::file(key))),
        settings,
        ..TlsClientInfo::default()
    })
}

/// The keys of one side.
struct Names {
    ciphers: &'static str,
    tls13_ciphers: &'static str,
    curve: &'static str,
    set: &'static str,
    clear: &'static str,
}

impl Names {
    fn all(&self) -> [&'static str; 5] {
        [self.ciphers, self.tls13_ciphers, self.curve, self.set, self.clear]
    }
}

const SERVER: Names = Names {
    ciphers: "ciphers",
    tls13_ciphers: "tls13-ciphers",
    curve: "ecdh-curve",
    set: "ssl-option-set",
    clear: "ssl-option-clear",
};

const CLIENT: Names = Names {
    ciphers: "client-ssl-ciphers",
    tls13_ciphers: "client-tls13-ciphers",
    curve: "client-ecdh-curve",
    set: "ssl-client-option-set",
    clear: "ssl-client-option-clear",
};

fn settings(fields: &Fields<'_>, names: &Names, report: &mut Report) -> TlsSettings {
    let mut settings = TlsSettings {
        versions: versions(fields, names, report),
        groups: groups(fields, names, report),
        ..Default::default()
    };
    // Who names suites of one version says nothing about the other.
    if fields.node(names.ciphers).is_some() || fields.node(names.tls13_ciphers).is_some() {
        let [known12, known13] = TlsSettings::known_suites();
        let of_13 = suites(fields, names.tls13_ciphers, &known13, report);
        let of_12 = suites(fields, names.ciphers, &known12, report);
        settings.cipher_suites = [of_13.unwrap_or(known13), of_12.unwrap_or(known12)].concat();
    }
    settings
}

/// The suites of a list that are known; `None`: all. An error where none of those named is.
fn suites(fields: &Fields<'_>, name: &str, known: &[String], report: &mut Report) -> Option<Vec<String>> {
    let node = fields.node(name)?;
    let listed = fields.names(name, report);
    let mut suites: Vec<String> = Vec::new();
    let mut unknown = Vec::new();
    for word in listed {
        match TlsSettings::meant(word, known) {
            Some(suite) if suites.contains(suite) => {}
            Some(suite) => suites.push(suite.clone()),
            None if is_rule(word) => {}
            None => unknown.push(word),
        }
    }
    let note = |words: &[&str]| format!("{} is no cipher suite of this build and this version", words.join(", "));
    match (suites.is_empty(), unknown.is_empty()) {
        (false, true) => {}
        // A list of rules alone asks for what is done anyway.
        (true, true) => return None,
        (false, false) => {
            let warning = Diagnostic::warning(Problem::NoEffect, node.place(), node.path());
            report.push(warning.note(note(&unknown)));
        }
        (true, false) => {
            let error = Diagnostic::error(Problem::UnknownName, node.place(), node.path()).note(note(&unknown));
            report.push(error.expected(format!("some of {}", known.join(", "))));
        }
    }
    Some(suites)
}

/// What an OpenSSL list has beside names: what to leave out, how to sort, and whole families.
fn is_rule(word: &str) -> bool {
    const FAMILIES: &[&str] =
        &["ALL", "DEFAULT", "COMPLEMENTOFALL", "COMPLEMENTOFDEFAULT", "HIGH", "MEDIUM", "LOW", "FIPS"];
    word.starts_with(['!', '-', '+', '@'])
        || FAMILIES.contains(&word)
        || word.contains('+')
        || (!word.contains(['-', '_']) && word.chars().any(|c| c.is_ascii_lowercase()))
        || ["ECDHE", "ECDH", "EECDH", "AESGCM", "CHACHA20", "ECDSA", "RSA", "AES", "AES128", "AES256"].contains(&word)
}

fn groups(fields: &Fields<'_>, names: &Names, report: &mut Report) -> Vec<String> {
    let listed = fields.names(names.curve, report);
    let Some(node) = fields.node(names.curve).filter(|_| !listed.is_empty()) else { return Vec::new() };
    let known = TlsSettings::known_groups();
    let mut groups = Vec::new();
    for name in listed {
        match TlsSettings::meant(name, &known) {
            Some(group) if groups.contains(group) => {}
            Some(group) => groups.push(group.clone()),
            None => {
                let error = Diagnostic::error(Problem::UnknownName, node.place(), node.path());
                let error = error.expected(format!("some of {}", known.join(", "))).found(format!("{name:?}"));
                report.push(error.nearest(nearest(name, known.iter().map(String::as_str))));
            }
        }
    }
    groups
}

/// `SSL_OP_NO_TLSv1_2` and `SSL_OP_NO_TLSv1_3` say something; older versions are off anyway, and the rest is OpenSSL's own business.
fn versions(fields: &Fields<'_>, names: &Names, report: &mut Report) -> Vec<String> {
    const NO_TLS12: u64 = 0x0800_0000;
    const NO_TLS13: u64 = 0x2000_0000;
    /// Old versions, compression, fresh keys, renegotiation, the server's order: as they say, without being told.
    const ALWAYS: u64 =
        0x0100_0000 | 0x0200_0000 | 0x0400_0000 | 0x1000_0000 | 0x0002_0000 | 0x0018_0000 | 0x4000_0000 | 0x0040_0000;
    let bits = fields.bits(names.set, report) & !fields.bits(names.clear, report);
    let Some(node) = fields.node(names.set) else { return Vec::new() };
    let other = bits & !(NO_TLS12 | NO_TLS13 | ALWAYS);
    if other != 0 {
        let warning = Diagnostic::warning(Problem::NoEffect, node.place(), node.path());
        report.push(warning.note(format!("the bits 0x{other:x} do nothing here")));
    }
    match (bits & NO_TLS12 != 0, bits & NO_TLS13 != 0) {
        (false, false) => Vec::new(),
        (true, false) => vec!["1.3".to_owned()],
        (false, true) => vec!["1.2".to_owned()],
        (true, true) => {
            let error = Diagnostic::error(Problem::Contradiction, node.place(), node.path());
            report.push(error.note("turns TLS 1.2 and 1.3 off, and nothing is left"));
            Vec::new()
        }
    }
}

/// The key whose file an error about TLS of our own connections is about.
pub(super) fn client_culprit(error: &TlsError, tls: &TlsClientInfo) -> &'static str {
    let (cert, key) = tls.identity.as_ref().map(|(cert, key)| (cert.to_string(), key.to_string())).unwrap_or_default();
    match error {
        TlsError::Read { path, .. } | TlsError::Missing { from: path, .. } | TlsError::Bad { from: path, .. } => {
            match &tls.roots {
                Roots::Only(ca) if *path == ca.to_string() => "client-ssl-ca",
                _ if *path == key => "client-ssl-key",
                _ if *path == cert => "client-ssl-cert",
                _ => "enable-client-ssl",
            }
        }
        TlsError::KeyMismatch { .. } => "client-ssl-key",
        _ => "enable-client-ssl",
    }
}

/// The key whose file an error is about.
pub(super) fn culprit(error: &TlsError, tls: &TlsConf) -> &'static str {
    match error {
        TlsError::Read { path, .. } | TlsError::Missing { from: path, .. } | TlsError::Bad { from: path, .. } => {
            tls.key_of(path)
        }
        TlsError::KeyMismatch { .. } => "host-ssl-key",
        _ => "host-ssl-cert",
    }
}
