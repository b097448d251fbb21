//! Prints a configuration as it was understood: JSON again, with the defaults filled in and the secrets left out.

use std::fmt::Display;
use std::path::Path;

use rlws::conf::{Global, MountConf, OriginConf, VhostConf};
use rlws::{Listen, Options, Pem, Pvo, RejectKeyword, Roots, TlsClientInfo};
use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::setup::Loaded;

pub(crate) fn run(args: &Args) -> Result<(), String> {
    let conf = Loaded::from(&args.dir)?.conf;
    let vhosts: Vec<Value> = conf.vhosts.iter().map(vhost).collect();
    let all = json!({ "global": global(&conf.global), "vhosts": vhosts });
    println!("{}", serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?);
    Ok(())
}

fn global(global: &Global) -> Value {
    let answer = |it: &RejectKeyword| json!({ it.keyword.as_str(): format!("{} {}", it.status, it.text) });
    let rejected: Vec<Value> = global.reject_service_keywords.iter().map(answer).collect();
    object([
        ("username", global.username.as_ref().map(text)),
        ("groupname", global.groupname.as_ref().map(text)),
        ("uid", global.uid.map(text)),
        ("gid", global.gid.map(text)),
        ("count-threads", Some(text(global.count_threads))),
        ("server-string", Some(text(&global.server_string))),
        ("max-http-header-data", Some(text(global.max_http_header_data))),
        ("max-http-uri", Some(text(global.max_http_uri))),
        ("max-http-headers", Some(text(global.max_http_headers))),
        ("timeout-secs", Some(text(global.timeout.as_secs()))),
        ("rlimit-nofile", global.rlimit_nofile.map(text)),
        ("ip-limit-ah", global.ip_limit_ah.map(text)),
        ("ip-limit-wsi", global.ip_limit_wsi.map(text)),
        ("reject-service-keywords", (!rejected.is_empty()).then(|| rejected.into())),
        ("default-alpn", global.default_alpn.as_ref().map(|names| text(names.join(",")))),
    ])
}

fn vhost(vhost: &VhostConf) -> Value {
    let (port, interface) = match &vhost.listen {
        Listen::Tcp { port, interface } => (text(port), interface.as_ref().map(text)),
        Listen::Unix { path, .. } => (text("0"), Some(file(path))),
        _ => (text("-1"), None),
    };
    let (is_unix, perms) = match &vhost.listen {
        Listen::Unix { owner: Some(owner), .. } => (true, Some(text(owner))),
        Listen::Unix { mode, .. } => (true, mode.map(|mode| text(format!("{mode:04o}")))),
        _ => (false, None),
    };
    let protocols: Vec<Value> = vhost.protocols.iter().map(|it| json!({ it.name.as_str(): pvo(&it.pvo) })).collect();
    let mounts: Vec<Value> = vhost.mounts.iter().map(mount).collect();
    let (tls, client) = (vhost.tls.as_ref(), vhost.client_tls.as_ref());
    let mut all = object([
        ("name", Some(text(&vhost.name))),
        ("port", Some(port)),
        ("interface", interface),
        ("unix-socket", is_unix.then(|| text(1))),
        ("unix-socket-perms", perms),
        ("fo-listen-queue", Some(text(vhost.fast_open_queue))),
        ("host-ssl-cert", tls.map(|tls| file(&tls.cert))),
        ("host-ssl-key", tls.map(|tls| file(&tls.key))),
        ("host-ssl-ca", tls.and_then(|tls| tls.ca.as_deref()).map(file)),
        ("client-cert-required", tls.map(|tls| text(u8::from(tls.client_cert_required)))),
        ("enable-client-ssl", client.map(|_| text(1))),
        ("client-ssl-cert", client.and_then(|tls| tls.identity.as_ref()).map(|(cert, _)| text(cert))),
        ("client-ssl-key", client.and_then(|tls| tls.identity.as_ref()).map(|(_, key)| text(key))),
        ("client-ssl-ca", client.and_then(ca_of).map(text)),
        ("alpn", vhost.alpn.as_ref().map(|names| text(names.join(",")))),
        ("ws-protocols", Some(protocols.into())),
        ("mounts", Some(mounts.into())),
        ("listen-accept-role", Some(text(vhost.listen_accept_role.as_deref().unwrap_or("raw-skt")))),
        ("listen-accept-protocol", vhost.listen_accept_protocol.as_ref().map(text)),
        ("fallback-silence-ms", vhost.fallback_silence.map(|after| text(after.as_millis()))),
        (
            "proxy-protocol-from",
            Some(&vhost.proxy_protocol_from).filter(|from| !from.is_empty()).map(|from| list(from)),
        ),
        ("keepalive_timeout", Some(text(vhost.keepalive_timeout.as_secs()))),
        ("max-body", Some(bytes(vhost.max_body))),
        ("error-document-404", vhost.error_document_404.as_ref().map(text)),
        ("headers", Some(pairs(&vhost.headers))),
        ("sts", Some(text(u8::from(vhost.sts)))),
        ("access-log", vhost.access_log.as_deref().map(file)),
    ]);
    for (key, option) in SWITCHES {
        let implied = *option == Options::ALLOW_NON_SSL_ON_SSL_PORT && vhost.options.implies_allow_non_tls();
        all[*key] = text(u8::from(implied || vhost.options.contains(*option)));
    }
    all
}

fn ca_of(tls: &TlsClientInfo) -> Option<&Pem> {
    match &tls.roots {
        Roots::Only(ca) => Some(ca),
        _ => None,
    }
}

const SWITCHES: &[(&str, Options)] = &[
    ("apply-listen-accept", Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG),
    ("fallback-listen-accept", Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG),
    ("redirect-http", Options::REDIRECT_HTTP_TO_HTTPS),
    ("allow-http-on-https", Options::ALLOW_HTTP_ON_HTTPS_LISTENER),
    ("allow-non-tls", Options::ALLOW_NON_SSL_ON_SSL_PORT),
    ("noipv6", Options::DISABLE_IPV6),
    ("ipv6only", Options::IPV6_V6ONLY),
];

fn mount(mount: &MountConf) -> Value {
    let origin = match &mount.origin {
        OriginConf::File(path) => format!("file://{}", path.display()),
        OriginConf::Callback(protocol) => format!("callback://{protocol}"),
        OriginConf::Redirect { url, .. } => format!(">{url}"),
        other => format!("{other:?}"),
    };
    object([
        ("mountpoint", Some(text(&mount.mountpoint))),
        ("origin", Some(text(origin))),
        ("default", Some(text(&mount.default))),
        ("headers", Some(pairs(&mount.headers))),
        ("extra-mimetypes", Some(pairs(&mount.extra_mimetypes))),
        ("protocol", mount.protocol.as_ref().map(text)),
        ("pmo", Some(pairs(&mount.pmo))),
        ("basic-auth", mount.guard.basic_auth.as_deref().map(file)),
        ("exact-match", Some(flag(mount.exact_match))),
        ("append-path", Some(flag(mount.append_path))),
        ("no-ws-upgrades", Some(flag(mount.no_ws_upgrades))),
        ("precompressed", Some(flag(mount.precompressed))),
        ("keepalive-timeout", mount.keepalive_timeout.map(|timeout| text(timeout.as_secs()))),
        ("max-body", mount.max_body.map(bytes)),
    ])
}

/// 0 is no limit.
fn bytes(limit: u64) -> Value {
    text(if limit == u64::MAX { 0 } else { limit })
}

fn flag(is_on: bool) -> Value {
    text(u8::from(is_on))
}

/// A protocol's options. What is named like a secret is one.
fn pvo(pvo: &Pvo) -> Value {
    let is_secret = |name: &str| ["secret", "password", "token"].iter().any(|word| name.contains(word));
    let child = |child: &Pvo| {
        let value = if !child.children().is_empty() {
            self::pvo(child)
        } else if is_secret(child.name()) {
            text("(left out)")
        } else {
            text(child.value())
        };
        (child.name().to_owned(), value)
    };
    Value::Object(pvo.children().iter().map(child).collect())
}

fn pairs(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| json!({ name.as_str(): value })).collect()
}

fn object<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let given = members.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Object(given.collect::<Map<_, _>>())
}

/// lws's values are strings.
fn text(value: impl Display) -> Value {
    Value::String(value.to_string())
}

fn list(values: &[impl Display]) -> Value {
    text(values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

fn file(path: &Path) -> Value {
    text(path.display())
}
