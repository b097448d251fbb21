use std::collections::HashSet;
use std::path::Path;

use super::*;
use crate::conf::{Problem, load_str};

/// The keys that lws's lwsws knows, by section.
const GLOBAL: &str =
    "uid gid username groupname count-threads init-ssl server-string plugin-dir ws-pingpong-secs timeout-secs
    reject-service-keywords default-alpn ip-limit-ah ip-limit-wsi rlimit-nofile count-async-threads quic-* cpd-bypass
    allow-early-data";
const VHOST: &str = "name port interface unix-socket unix-socket-perms sts host-ssl-key host-ssl-cert host-ssl-ca access-log mounts
    ws-protocols keepalive_timeout enable-client-ssl ciphers tls13-ciphers ecdh-curve noipv6 ipv6only ssl-option-set
    ssl-option-clear headers client-ssl-key client-ssl-cert client-ssl-ca client-ssl-ciphers client-tls13-ciphers
    client-ecdh-curve ssl-client-option-set ssl-client-option-clear onlyraw client-cert-required ignore-missing-cert
    error-document-404 alpn fo-listen-queue strict-host-check listen-accept-role listen-accept-protocol apply-listen-accept
    fallback-listen-accept allow-non-tls redirect-http allow-http-on-https disable-no-protocol-ws-upgrades
    h2-half-closed-long-poll quic-* dht";
const MOUNT: &str = "mountpoint origin protocol default auth-mask cgi-timeout cgi-env cache-max-age cache-reuse cache-revalidate
    cache-no cache-intermediaries exact-match append-path no-ws-upgrades basic-auth extra-mimetypes interpret cgi-chroot cgi-chdir
    headers keepalive-timeout interceptor-path pmo";

/// Those that it does not.
const OUR_GLOBAL: &str = "ip-limit-undecided max-http-header-data max-http-headers max-http-uri";
const OUR_VHOST: &str = "client-cert-crl fallback-silence-ms max-body proxy-protocol-from";
const OUR_MOUNT: &str = "max-body precompressed";

#[test]
fn the_table_has_the_keys_of_lws_and_few_others_that_say_so() {
    for (section, known, ours) in
        [(Section::Global, GLOBAL, OUR_GLOBAL), (Section::Vhost, VHOST, OUR_VHOST), (Section::Mount, MOUNT, OUR_MOUNT)]
    {
        let ours: HashSet<&str> = ours.split_whitespace().collect();
        for key in keys_of(section) {
            assert_eq!(key.meaning.contains("(not in lws"), ours.contains(key.name), "{section}: {}", key.name);
        }
        let known: HashSet<&str> = known.split_whitespace().chain(ours).collect();
        let names: Vec<&str> = keys_of(section).iter().map(|key| key.name).collect();
        assert_eq!(names.len(), known.len(), "{section}: none is there twice");
        assert_eq!(names.into_iter().collect::<HashSet<_>>(), known, "{section}");
    }
}

#[test]
fn every_example_is_taken_and_warned_about_where_its_key_is_not_done() {
    for key in keys() {
        let name = key.name.replace('*', "x");
        let member = format!("{name:?}: {}", key.example);
        let tls = r#""host-ssl-cert": "a", "host-ssl-key": "b""#;
        let beside = match key.name {
            "unix-socket-perms" => r#""unix-socket": "1", "interface": "/x", "#.to_owned(),
            "fallback-silence-ms" => r#""fallback-listen-accept": "1", "#.to_owned(),
            "client-cert-required" => format!("{tls}, \"host-ssl-ca\": \"c\", "),
            "client-cert-crl" => format!("{tls}, \"host-ssl-ca\": \"c\", \"client-cert-required\": 1, "),
            "host-ssl-cert" => r#""host-ssl-key": "b", "#.to_owned(),
            "host-ssl-key" => r#""host-ssl-cert": "a", "#.to_owned(),
            "client-ssl-cert" => r#""enable-client-ssl": 1, "client-ssl-key": "b", "#.to_owned(),
            "client-ssl-key" => r#""enable-client-ssl": 1, "client-ssl-cert": "a", "#.to_owned(),
            "client-ssl-ca"
            | "client-ssl-ciphers"
            | "client-tls13-ciphers"
            | "client-ecdh-curve"
            | "ssl-client-option-set"
            | "ssl-client-option-clear" => r#""enable-client-ssl": 1, "#.to_owned(),
            "redirect-http"
            | "host-ssl-ca"
            | "allow-http-on-https"
            | "ciphers"
            | "tls13-ciphers"
            | "ecdh-curve"
            | "ssl-option-set"
            | "ssl-option-clear" => format!("{tls}, "),
            _ => String::new(),
        };
        let text = match key.section {
            Section::Top => format!("{{{member}}}"),
            Section::Global => format!("{{\"global\": {{{member}}}}}"),
            Section::Vhost if key.name == "port" => format!("{{\"vhosts\": [{{{member}}}]}}"),
            Section::Vhost => format!("{{\"vhosts\": [{{\"port\": 1, {beside}{member}}}]}}"),
            Section::Mount => {
                let other = match key.name {
                    "mountpoint" => r#""origin": "file://x", "#,
                    "origin" => r#""mountpoint": "/", "#,
                    _ => r#""mountpoint": "/", "origin": "file://x", "#,
                };
                format!("{{\"vhosts\": [{{\"port\": 1, \"mounts\": [{{{other}{member}}}]}}]}}")
            }
        };
        let conf = load_str("f", &text).unwrap_or_else(|error| panic!("{}: {error}\n{text}", key.name));
        let of_key = |warning: &&crate::conf::Diagnostic| warning.path.ends_with(&name);
        let warnings: Vec<_> = conf.warnings().iter().filter(of_key).collect();
        let not_done = warnings.iter().any(|warning| warning.problem == Problem::NotDoneYet);
        assert_eq!(not_done, key.status == Status::NotYet, "{}: {warnings:?}", key.name);
        assert!(not_done || warnings.is_empty(), "{}: {warnings:?}", key.name);
    }
}

#[test]
fn a_pattern_stands_for_what_begins_with_it() {
    assert_eq!(find(Section::Vhost, "quic-port").map(|key| key.name), Some("quic-*"));
    assert!(find(Section::Vhost, "quic-").is_none() && find(Section::Mount, "quic-port").is_none());
    assert_eq!(sections_with("headers"), [Section::Vhost, Section::Mount]);
}

fn table(section: Section) -> String {
    let mut table = String::from("| key | what it is for | without it | example | |\n|---|---|---|---|---|\n");
    for key in keys_of(section) {
        let (name, meaning, default, example) = (key.name, key.meaning, key.default, key.example);
        table.push_str(&format!("| `{name}` | {meaning} | {default} | `{example}` | {} |\n", key.status));
    }
    table
}

/// The page is written anew where `WRITE_README` is set.
#[test]
fn the_readme_shows_the_table() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("READMEs/README.lwsws.md");
    let mut page = std::fs::read_to_string(&path).expect("the page");
    for section in [Section::Global, Section::Vhost, Section::Mount] {
        let (begin, end) = (format!("<!-- keys of {section} -->\n"), "<!-- end of keys -->");
        let start = page.find(&begin).expect("its place is marked") + begin.len();
        let stop = start + page[start..].find(end).expect("its end is marked");
        if std::env::var_os("WRITE_README").is_some() {
            page.replace_range(start..stop, &table(section));
            std::fs::write(&path, &page).expect("it can be written");
        } else {
            let hint = "run this test with WRITE_README=1 in its environment to write it anew";
            assert_eq!(&page[start..stop], table(section), "the keys of {section}: {hint}");
        }
    }
}
