//! Prints a configuration as it was understood: JSON again, with the defaults filled in and the secrets left out.
//!
//! Every key of the table of keys is asked for: what the program understood by it, or, where that has no form of its own, what the file
//! says.

use std::fmt::Display;
use std::path::Path;

use rlws::conf::{Conf, Global, MountConf, Node, OriginConf, Section, VhostConf, keys};
use rlws::{Listen, Options, Pem, RejectKeyword, Roots, TlsClientInfo};
use serde_json::{Map, Value, json};

use crate::args::Args;
use crate::secrets;
use crate::setup::Loaded;

pub(crate) fn run(args: &Args) -> Result<(), String> {
    let all = dumped(&Loaded::from(&args.dir)?.conf);
    println!("{}", serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?);
    Ok(())
}

fn dumped(conf: &Conf) -> Value {
    let written = |key: &str| conf.sections("global").filter_map(|global| global.find(key)).last();
    let global = section(Section::Global, |key| understood_global(&conf.global, key), written);
    let vhosts: Vec<Value> = conf.vhosts.iter().map(vhost).collect();
    json!({ "global": global, "vhosts": vhosts })
}

fn vhost(vhost: &VhostConf) -> Value {
    section(Section::Vhost, |key| understood_vhost(vhost, key), |key| vhost.node().find(key))
}

fn mount(mount: &MountConf) -> Value {
    section(Section::Mount, |key| understood_mount(mount, key), |key| mount.node().find(key))
}

/// What is to be said of a key.
enum Understood {
    Value(Value),
    /// Nothing, and no key.
    Nothing,
    /// What the file says, if it says anything.
    AsWritten,
}

impl<T: Into<Value>> From<Option<T>> for Understood {
    fn from(value: Option<T>) -> Understood {
        value.map_or(Understood::Nothing, |value| Understood::Value(value.into()))
    }
}

impl From<Value> for Understood {
    fn from(value: Value) -> Understood {
        Understood::Value(value)
    }
}

fn section<'c>(
    section: Section,
    understood: impl Fn(&str) -> Understood,
    written: impl Fn(&str) -> Option<Node<'c>>,
) -> Value {
    let of_section = keys().filter(|key| key.section == section);
    let members = of_section.filter_map(|key| {
        let value = match understood(key.name) {
            Understood::Value(value) => value,
            Understood::Nothing => return None,
            Understood::AsWritten => json_of(written(key.name)?),
        };
        Some((key.name.to_owned(), value))
    });
    Value::Object(members.collect::<Map<_, _>>())
}

fn understood_global(global: &Global, key: &str) -> Understood {
    match key {
        "username" => global.username.as_ref().map(text).into(),
        "groupname" => global.groupname.as_ref().map(text).into(),
        "uid" => global.uid.map(text).into(),
        "gid" => global.gid.map(text).into(),
        "count-threads" => text(global.count_threads).into(),
        "count-async-threads" => text(global.count_async_threads).into(),
        "server-string" => text(&global.server_string).into(),
        "plugin-dir" => global.plugin_dirs.last().map(|dir| file(dir)).into(),
        "max-http-header-data" => text(global.max_http_header_data).into(),
        "max-http-uri" => text(global.max_http_uri).into(),
        "max-http-headers" => text(global.max_http_headers).into(),
        "timeout-secs" => text(global.timeout.as_secs()).into(),
        "ws-pingpong-secs" => global.ws_pingpong.map(|after| text(after.as_secs())).into(),
        "rlimit-nofile" => global.rlimit_nofile.map(text).into(),
        "ip-limit-ah" => global.ip_limit_ah.map(text).into(),
        "ip-limit-wsi" => global.ip_limit_wsi.map(text).into(),
        "ip-limit-undecided" => global.ip_limit_undecided.map(text).into(),
        "reject-service-keywords" => {
            let answer = |it: &RejectKeyword| json!({ it.keyword.as_str(): format!("{} {}", it.status, it.text) });
            let rejected: Vec<Value> = global.reject_service_keywords.iter().map(answer).collect();
            (!rejected.is_empty()).then_some(rejected).into()
        }
        "default-alpn" => global.default_alpn.as_ref().map(|names| text(names.join(","))).into(),
        _ => Understood::AsWritten,
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

fn understood_vhost(vhost: &VhostConf, key: &str) -> Understood {
    if let Some((_, option)) = SWITCHES.iter().find(|(name, _)| *name == key) {
        let implied = *option == Options::ALLOW_NON_SSL_ON_SSL_PORT && vhost.options.implies_allow_non_tls();
        return flag(implied || vhost.options.contains(*option)).into();
    }
    let (tls, client) = (vhost.tls.as_ref(), vhost.client_tls.as_ref());
    let identity = client.and_then(|tls| tls.identity.as_ref());
    match key {
        "name" => text(&vhost.name).into(),
        "port" | "interface" | "unix-socket" | "unix-socket-perms" => listening(&vhost.listen, key),
        "fo-listen-queue" => text(vhost.fast_open_queue).into(),
        "host-ssl-cert" => tls.map(|tls| file(&tls.cert)).into(),
        "host-ssl-key" => tls.map(|tls| file(&tls.key)).into(),
        "host-ssl-ca" => tls.and_then(|tls| tls.ca.as_deref()).map(file).into(),
        "client-cert-crl" => tls.and_then(|tls| tls.revoked.as_deref()).map(file).into(),
        "client-cert-required" => tls.map(|tls| flag(tls.client_cert_required)).into(),
        "ignore-missing-cert" => flag(vhost.ignore_missing_cert).into(),
        "enable-client-ssl" => client.map(|_| flag(true)).into(),
        "client-ssl-cert" => identity.map(|(cert, _)| text(cert)).into(),
        "client-ssl-key" => identity.map(|(_, key)| text(key)).into(),
        "client-ssl-ca" => client.and_then(ca_of).map(text).into(),
        "alpn" => vhost.alpn.as_ref().map(|names| text(names.join(","))).into(),
        "ws-protocols" => {
            let all = vhost.protocols.iter().map(|it| json!({ it.name.as_str(): secrets::options(&it.pvo) }));
            Value::Array(all.collect()).into()
        }
        "mounts" => Value::Array(vhost.mounts.iter().map(mount).collect()).into(),
        // Without one the role is that of the protocol; to name the default would be to ask for it.
        "listen-accept-role" => vhost.listen_accept_role.as_ref().map(text).into(),
        "listen-accept-protocol" => vhost.listen_accept_protocol.as_ref().map(text).into(),
        // The same switch as `apply-listen-accept`.
        "onlyraw" => Understood::Nothing,
        "fallback-silence-ms" => vhost.fallback_silence.map(|after| text(after.as_millis())).into(),
        "proxy-protocol-from" => {
            let from = &vhost.proxy_protocol_from;
            (!from.is_empty()).then(|| list(from)).into()
        }
        "keepalive_timeout" => text(vhost.keepalive_timeout.as_secs()).into(),
        "max-body" => bytes(vhost.max_body).into(),
        "error-document-404" => vhost.error_document_404.as_ref().map(text).into(),
        "headers" => secrets::headers(&vhost.headers).into(),
        "sts" => flag(vhost.sts).into(),
        "access-log" => vhost.access_log.as_deref().map(file).into(),
        "strict-host-check" => flag(vhost.strict_host_check).into(),
        _ => Understood::AsWritten,
    }
}

fn listening(listen: &Listen, key: &str) -> Understood {
    match (listen, key) {
        (Listen::Tcp { port, .. }, "port") => text(port).into(),
        (Listen::Tcp { interface, .. }, "interface") => interface.as_ref().map(text).into(),
        (Listen::Unix { path, .. }, "interface") => file(path).into(),
        (Listen::Unix { .. }, "unix-socket") => flag(true).into(),
        (Listen::Unix { owner: Some(owner), .. }, "unix-socket-perms") => text(owner).into(),
        (Listen::Unix { mode, .. }, "unix-socket-perms") => mode.map(|mode| text(format!("{mode:04o}"))).into(),
        (Listen::None, "port") => text("-1").into(),
        _ => Understood::Nothing,
    }
}

fn ca_of(tls: &TlsClientInfo) -> Option<&Pem> {
    match &tls.roots {
        Roots::Only(ca) => Some(ca),
        _ => None,
    }
}

fn understood_mount(mount: &MountConf, key: &str) -> Understood {
    match key {
        "mountpoint" => text(&mount.mountpoint).into(),
        "origin" => text(match &mount.origin {
            OriginConf::File(path) => format!("file://{}", path.display()),
            OriginConf::Callback(protocol) => format!("callback://{protocol}"),
            OriginConf::Redirect { url, .. } => format!(">{}", secrets::url(url)),
            OriginConf::Proxy(url) => secrets::url(url),
            OriginConf::Cgi(path) => format!("cgi://{}", path.display()),
            OriginConf::Gzip(path) => format!("gzip://{}", path.display()),
            _ => return Understood::AsWritten,
        })
        .into(),
        "default" => text(&mount.default).into(),
        "headers" => secrets::headers(&mount.headers).into(),
        "extra-mimetypes" => pairs(&mount.extra_mimetypes).into(),
        "interpret" => (!mount.interpret.is_empty()).then(|| pairs(&mount.interpret)).into(),
        "protocol" => mount.protocol.as_ref().map(text).into(),
        "pmo" => secrets::pairs(&mount.pmo).into(),
        "cgi-env" => (!mount.cgi.env.is_empty()).then(|| secrets::all(&mount.cgi.env)).into(),
        "basic-auth" => mount.guard.basic_auth.as_deref().map(file).into(),
        "exact-match" => flag(mount.exact_match).into(),
        "append-path" => flag(mount.append_path).into(),
        "no-ws-upgrades" => flag(mount.no_ws_upgrades).into(),
        "precompressed" => flag(mount.precompressed).into(),
        "keepalive-timeout" => mount.keepalive_timeout.map(|timeout| text(timeout.as_secs())).into(),
        "max-body" => mount.max_body.map(bytes).into(),
        _ => Understood::AsWritten,
    }
}

fn json_of(node: Node<'_>) -> Value {
    if let Ok(members) = node.entries() {
        return Value::Object(
            members.map(|(name, node)| (name.to_owned(), secrets::shown(name, || json_of(node)))).collect(),
        );
    }
    match node.items() {
        Ok(items) => items.map(json_of).collect(),
        Err(_) => node.str().map_or(Value::Null, text),
    }
}

/// 0 is no limit.
fn bytes(limit: u64) -> Value {
    text(if limit == u64::MAX { 0 } else { limit })
}

fn flag(is_on: bool) -> Value {
    text(u8::from(is_on))
}

fn pairs(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(name, value)| json!({ name.as_str(): value })).collect()
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

#[cfg(test)]
mod tests {
    use rlws::conf::load_str;

    use super::*;

    /// A key that is new in the table is in a dump, without a line for it here.
    #[test]
    fn every_key_that_is_there_is_dumped() {
        for key in keys().filter(|key| !key.name.ends_with('*') && key.name != "onlyraw") {
            let member = format!("{:?}: {}", key.name, key.example);
            // What others stand beside. Of a key that is there twice the last one counts.
            let tls = r#""host-ssl-cert": "a", "host-ssl-key": "b", "host-ssl-ca": "c", "#;
            let client = r#""enable-client-ssl": "1", "client-ssl-cert": "a", "client-ssl-key": "b", "#;
            let beside = match key.name {
                "unix-socket-perms" => r#""unix-socket": "1", "interface": "/x", "#,
                "client-cert-crl" => r#""client-cert-required": "1", "#,
                _ => "",
            };
            let (text, section) = match key.section {
                Section::Global => (format!(r#"{{"global": {{{member}}}}}"#), "/global"),
                Section::Vhost => {
                    (format!(r#"{{"vhosts": [{{"port": "1", {tls}{client}{beside}{member}}}]}}"#), "/vhosts/0")
                }
                Section::Mount => {
                    let mount = format!(r#"{{"mountpoint": "/", "origin": "file:///x", {member}}}"#);
                    (format!(r#"{{"vhosts": [{{"port": "1", "mounts": [{mount}]}}]}}"#), "/vhosts/0/mounts/0")
                }
                _ => continue,
            };
            // Switches that are off in the example say nothing.
            let text = text.replace(r#""unix-socket": "0""#, r#""unix-socket": "1", "interface": "/x""#);
            let conf = load_str("f", &text).unwrap_or_else(|error| panic!("{}: {error}", key.name));
            let dumped = dumped(&conf);
            let at = dumped.pointer(section).expect("its section");
            assert!(at.get(key.name).is_some(), "{} of {} in {at}", key.name, key.section);
            let again = dumped.to_string();
            let conf = load_str("g", &again).unwrap_or_else(|error| panic!("{}: {error}\n{again}", key.name));
            assert_eq!(super::dumped(&conf).to_string(), again, "{}", key.name);
        }
    }

    #[test]
    fn a_default_role_is_not_asked_for() {
        let conf = load_str("f", r#"{"vhosts": [{"port": "1"}]}"#).expect("good");
        assert_eq!(dumped(&conf).pointer("/vhosts/0/listen-accept-role"), None);
    }
}
