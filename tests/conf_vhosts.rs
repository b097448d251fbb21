//! What configurations mean: the typed values, and what contexts and vhosts are made with.

mod util;

use std::path::{Path, PathBuf};
use std::time::Duration;

use rlws::conf::{Conf, Loader, OriginConf, Problem, load_str};
use rlws::protocols::{HttpDummy, RawEcho, RawProxy};
use rlws::{
    Context, ContextInfo, Listen, Mount, Options, Pem, ProtocolTable, RejectKeyword, Roots, TlsSettings, UnixOwner,
    VhostInfo,
};
use util::http::get;
use util::*;

const PROTOCOLS: [ProtocolTable; 3] =
    [ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawEcho>(), ProtocolTable::of::<RawProxy>()];

#[track_caller]
fn load(text: &str) -> Conf {
    load_str("f", text).unwrap_or_else(|error| panic!("{error}"))
}

/// The one vhost with these members.
#[track_caller]
fn vhost(members: &str) -> VhostInfo {
    let conf = load(&format!("{{\"vhosts\": [{{{members}}}]}}"));
    let mut made = conf.vhost_infos(&PROTOCOLS).unwrap_or_else(|error| panic!("{error}"));
    made.infos.remove(0)
}

fn names(info: &VhostInfo) -> Vec<&'static str> {
    info.protocols.iter().map(ProtocolTable::name).collect()
}

#[test]
fn without_keys_everything_is_as_without_a_configuration() {
    let conf = load("{}");
    let (info, default) = (conf.context_info(), ContextInfo::default());
    assert_eq!((info.timeout, info.connect_timeout), (default.timeout, default.connect_timeout));
    assert_eq!(info.server_string, default.server_string);
    assert_eq!((conf.global.count_threads, conf.global.uid, conf.global.rlimit_nofile), (1, None, None));
    let (info, default) = (vhost(r#""port": "7681""#), VhostInfo::default());
    assert_eq!((info.name, info.listen), (default.name, Listen::port(7681)));
    assert_eq!((info.options, info.keepalive_timeout, info.backlog), (Options::empty(), Duration::from_secs(5), 1024));
    assert!(info.protocols.is_empty() && info.mounts.is_empty() && info.tls.is_none() && info.alpn.is_none());
    assert_eq!((info.fallback_silence, info.error_document_404), (None, None));
    assert!(info.proxy_protocol_from.is_empty());
}

#[test]
fn whose_connections_begin_with_a_proxy_header_is_a_list() {
    let info = vhost(r#""port": 1, "proxy-protocol-from": "10.0.0.0/8, 192.0.2.1 ::1,2001:db8::/32 unix""#);
    let networks: Vec<String> = info.proxy_protocol_from.iter().map(ToString::to_string).collect();
    assert_eq!(networks, ["10.0.0.0/8", "192.0.2.1", "::1", "2001:db8::/32", "unix"]);
    assert!(vhost(r#""port": 1, "proxy-protocol-from": """#).proxy_protocol_from.is_empty());
}

#[test]
fn numbers_and_booleans_are_strings_or_not() {
    for port in ["443", "\"443\"", "\" 443 \""] {
        assert_eq!(vhost(&format!("\"port\": {port}")).listen, Listen::port(443));
    }
    for on in ["1", "true", "\"1\"", "\"on\"", "\"YES\"", "\"True\"", "2", "\"-1\"", "0.5"] {
        let info = vhost(&format!("\"port\": 1, \"noipv6\": {on}"));
        assert_eq!(info.options, Options::DISABLE_IPV6, "{on}");
    }
    for off in ["0", "false", "\"0\"", "\"off\"", "\"No\"", "\"FALSE\"", "\"\"", "0.0"] {
        assert_eq!(vhost(&format!("\"port\": 1, \"noipv6\": {off}")).options, Options::empty(), "{off}");
    }
}

#[test]
fn every_place_to_listen_is_understood() {
    assert_eq!(vhost(r#""port": 0"#).listen, Listen::port(0));
    assert_eq!(vhost(r#""port": "-1""#).listen, Listen::None);
    assert_eq!(vhost(r#""port": 80, "interface": "eth0""#).listen, Listen::on("eth0", 80));
    assert_eq!(
        vhost(r#""unix-socket": "1", "interface": "/run/x.sock", "port": "7681""#).listen,
        Listen::unix("/run/x.sock")
    );
    let with_mode = Listen::Unix { path: "/x".into(), mode: Some(0o660), owner: None };
    assert_eq!(vhost(r#""unix-socket": "1", "interface": "/x", "unix-socket-perms": "0660""#).listen, with_mode);
    let owner = Some(UnixOwner::new("root", "0"));
    let with_owner = Listen::Unix { path: "/x".into(), mode: Some(0o660), owner };
    assert_eq!(vhost(r#""unix-socket": "1", "interface": "/x", "unix-socket-perms": "root:0""#).listen, with_owner);
    assert_eq!(vhost(r#""port": 1, "fo-listen-queue": "5""#).fast_open_queue, 5);
}

#[test]
fn an_owner_of_a_unix_socket_whom_the_system_does_not_know_is_told() {
    let text = r#"{"vhosts": [{"unix-socket": 1, "interface": "/x", "unix-socket-perms": "root:no-such-group"}]}"#;
    let conf = load(text);
    assert!(conf.warnings().is_empty(), "what is read says nothing about this system");
    let Err(error) = conf.vhost_infos(&PROTOCOLS) else { panic!("nobody is that group") };
    assert_eq!(
        error.to_string(),
        "f:1:72: vhosts[0].unix-socket-perms: this system has no group \"no-such-group\": expected mode bits such as \
         0660, or USER:GROUP, found \"root:no-such-group\""
    );
}

#[test]
fn an_abstract_name_has_no_owner_and_no_mode_and_a_warning_says_so() {
    for perms in ["0600", "root:root"] {
        let text =
            format!(r#"{{"vhosts": [{{"unix-socket": 1, "interface": "@x", "unix-socket-perms": "{perms}"}}]}}"#);
        let conf = load(&text);
        let warning = &conf.warnings()[0];
        assert_eq!(warning.problem, Problem::NoEffect);
        assert!(warning.to_string().contains("whoever is on this machine may connect"), "{warning}");
    }
}

#[test]
fn switches_and_times_reach_the_vhost() {
    let info = vhost(
        r#""port": 1, "name": "x", "fallback-listen-accept": 1, "fallback-silence-ms": "3000", "allow-non-tls": 1,
           "ipv6only": "on", "keepalive_timeout": "60", "error-document-404": "/404.html",
           "listen-accept-role": "raw-skt", "listen-accept-protocol": "raw-echo""#,
    );
    let fallback = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
    assert_eq!(info.options, fallback | Options::ALLOW_NON_SSL_ON_SSL_PORT | Options::IPV6_V6ONLY);
    assert_eq!(info.fallback_silence, Some(Duration::from_secs(3)));
    assert_eq!(info.keepalive_timeout, Duration::from_secs(60));
    assert_eq!(info.error_document_404.as_deref(), Some("/404.html"));
    assert_eq!(
        (info.listen_accept_role.as_deref(), info.listen_accept_protocol.as_deref()),
        (Some("raw-skt"), Some("raw-echo"))
    );
    for name in ["apply-listen-accept", "onlyraw"] {
        let info = vhost(&format!(r#""port": 1, "{name}": "yes", "listen-accept-protocol": "raw-echo""#));
        assert_eq!(info.options, Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG);
    }
    let tls = r#""port": 1, "host-ssl-cert": "a", "host-ssl-key": "b", "redirect-http": 1, "allow-http-on-https": 1"#;
    assert_eq!(vhost(tls).options, Options::REDIRECT_HTTP_TO_HTTPS | Options::ALLOW_HTTP_ON_HTTPS_LISTENER);
    let conf = load(r#"{"global": {"timeout-secs": 0, "server-string": "me", "count-threads": 3, "username": "www"}}"#);
    assert_eq!(conf.context_info().timeout, ContextInfo::default().timeout, "0 means the default");
    assert_eq!(conf.context_info().server_string, "me");
    assert_eq!((conf.global.count_threads, conf.global.username.as_deref()), (3, Some("www")));
}

#[test]
fn mounts_of_all_kinds_are_read_and_those_that_are_done_are_served() {
    let conf = load(
        r#"{"vhosts": [{"port": 1, "mounts": [
            {"mountpoint": "/", "origin": "file://_lws_ddir_/site", "default": "test.html"},
            {"mountpoint": "/form", "origin": "callback://http-dummy"},
            {"mountpoint": "/old", "origin": ">https://example.com/new"},
            {"mountpoint": "/proxy", "origin": "http://localhost:8080/x"},
            {"mountpoint": "/cgi", "origin": "cgi:///bin/true", "cgi-env": [{"A": "b"}, {"C": 5}], "cgi-timeout": "30"},
            {"mountpoint": "/gz", "origin": "gzip:///x.zip"},
            {"mountpoint": "/private", "origin": "file:///secret", "basic-auth": "/passwords"},
            {"mountpoint": "/rights", "origin": "file:///secret", "auth-mask": "1"},
            {"mountpoint": "/session", "origin": "file:///secret", "interceptor-path": "/sso"}
        ]}]}"#,
    );
    let mounts = &conf.vhosts[0].mounts;
    let origins: Vec<&OriginConf> = mounts.iter().map(|mount| &mount.origin).collect();
    assert_eq!(origins[0], &OriginConf::File("/usr/share/site".into()));
    assert_eq!(origins[2], &OriginConf::Redirect { code: 301, url: "https://example.com/new".into() });
    assert_eq!(origins[3], &OriginConf::Proxy("http://localhost:8080/x".into()));
    assert_eq!(origins[4], &OriginConf::Cgi("/bin/true".into()));
    assert_eq!(mounts[4].cgi.env, [("A".to_owned(), "b".to_owned()), ("C".to_owned(), "5".to_owned())]);
    assert_eq!(mounts[4].cgi.timeout, Some(Duration::from_secs(30)));
    assert_eq!(mounts[6].guard.basic_auth, Some(PathBuf::from("/passwords")));
    assert_eq!(mounts[6].place().line, 8);
    let made = conf.vhost_infos(&PROTOCOLS).expect("nothing is wrong");
    let mut site = Mount::files("/", "/usr/share/site");
    site.default = "test.html".into();
    assert_eq!(
        made.infos[0].mounts,
        [
            site,
            Mount::callback("/form", "http-dummy"),
            Mount::redirect("/old", "https://example.com/new"),
            Mount::files("/private", "/secret").basic_auth("/passwords")
        ],
        "what is guarded is not served open"
    );
    let left_out = conf.warnings().iter().filter(|warning| warning.note.contains("left out")).count();
    assert_eq!(left_out, 5);
}

#[test]
fn the_keys_of_a_mount_are_the_fields_of_one() {
    let info = vhost(
        r#""port": 1, "max-body": 10, "mounts": [
            {"mountpoint": "/", "origin": "file:///srv", "protocol": "http-dummy", "exact-match": 1, "keepalive-timeout": "7",
             "pmo": [{"a": "1"}, {"b": 2}], "max-body": "0", "precompressed": "on", "no-ws-upgrades": true},
            {"mountpoint": "/old", "origin": ">https://x.test", "append-path": "1", "max-body": "18446744073709551614"}]"#,
    );
    assert_eq!(info.max_body, 10);
    let mount = Mount::files("/", "/srv").protocol("http-dummy").exact_match().no_ws_upgrades().precompressed();
    let mount = mount.keepalive_timeout(Duration::from_secs(7)).option("a", "1").option("b", "2").max_body(u64::MAX);
    let old = Mount::redirect("/old", "https://x.test").append_path().max_body(u64::MAX - 1);
    assert_eq!(info.mounts, [mount, old]);
    assert_eq!(names(&info), ["http-dummy"], "a protocol that a mount names is there");
    let conf = load(r#"{"global": {"max-http-header-data": "8192", "max-http-uri": 1000, "max-http-headers": "20"}}"#);
    let ContextInfo { max_http_header_data, max_http_uri, max_http_headers, .. } = conf.context_info();
    assert_eq!((max_http_header_data, max_http_uri, max_http_headers), (8192, 1000, 20));
    for wrong in [
        r#""max-http-header-data": 511"#,
        r#""max-http-header-data": 65537"#,
        r#""max-http-headers": 0"#,
        r#""max-http-headers": 501"#,
        r#""max-http-uri": 0"#,
    ] {
        assert!(load_str("f", &format!("{{\"global\": {{{wrong}}}}}")).is_err(), "{wrong}");
    }
    let mount = r#""mountpoint": "/", "origin": "file://x", "protocol": "http-dumy""#;
    let conf = load(&format!("{{\"vhosts\": [{{\"port\": 1, \"mounts\": [{{{mount}}}]}}]}}"));
    let error = conf.vhost_infos(&PROTOCOLS).err().expect("no such protocol").to_string();
    assert!(error.contains("mounts[0].protocol") && error.contains("http-dummy"), "{error}");
}

#[test]
fn protocols_come_in_their_order_with_nested_options_and_those_needed_behind_them() {
    let info = vhost(
        r#""port": 1, "mounts": [{"mountpoint": "/x", "origin": "callback://http_dummy"}],
           "ws-protocols": [{"raw-proxy": {"onward": "ipv4:127.0.0.1:22", "deep": {"a": "1", "b": {"c": true}}},
                             "mirror": {}}, {"raw-echo": {"raw": 1}}]"#,
    );
    assert_eq!(names(&info), ["raw-proxy", "raw-echo", "http-dummy"]);
    let raw_proxy = info.pvo.child("raw-proxy").expect("it has options");
    assert_eq!(raw_proxy.get("onward"), Some("ipv4:127.0.0.1:22"));
    assert_eq!(raw_proxy.at(["deep", "b", "c"]).map(rlws::Pvo::value), Some("true"));
    assert_eq!(info.pvo.children().len(), 2, "none for the one that is not there");
    let repeated = vhost(r#""port": 1, "ws-protocols": [{"raw-echo": {"a": 1, "b": 2, "a": 3, "a": 4}}]"#);
    let options = repeated.pvo.child("raw-echo").expect("it has options");
    assert_eq!(options.get("a"), Some("4"), "the last one counts");
    assert_eq!(options.all("a").collect::<Vec<_>>(), ["4", "3", "1"], "and all are there");
}

#[test]
fn tls_keys_become_what_rustls_knows() {
    let with = |members: &str| {
        vhost(&format!(r#""port": 1, "host-ssl-cert": "a", "host-ssl-key": "b", {members}"#))
            .tls
            .expect("it has TLS")
            .settings
    };
    assert_eq!(with(r#""sts": 0"#), TlsSettings::default());
    let both = with(
        r#""ciphers": "ECDHE-ECDSA-AES256-GCM-SHA384:DHE-RSA-AES256-GCM-SHA384:HIGH:!aNULL", "ecdh-curve": "prime256v1""#,
    );
    assert!(both.cipher_suites.iter().any(|suite| suite.contains("TLS13_AES_128")), "1.3 stays as it is: {both:?}");
    assert_eq!(both.cipher_suites.iter().filter(|suite| suite.contains("ECDHE")).count(), 1);
    assert_eq!(both.groups, ["secp256r1"]);
    let only13 = with(r#""tls13-ciphers": "TLS_AES_256_GCM_SHA384""#);
    assert_eq!(only13.cipher_suites.iter().filter(|suite| suite.starts_with("TLS13")).count(), 1);
    assert!(only13.cipher_suites.iter().any(|suite| suite.contains("ECDHE")), "1.2 stays as it is: {only13:?}");
    assert!(with(r#""ciphers": "HIGH:!aNULL:!MD5""#).cipher_suites.iter().any(|suite| suite.contains("ECDHE")));
    assert_eq!(with(r#""ssl-option-set": "134217728""#).versions, ["1.3"]);
    assert_eq!(with(r#""ssl-option-set": 536870912, "ssl-option-set": "0x10000000L""#).versions, ["1.2"]);
    assert!(with(r#""ssl-option-set": 134217728, "ssl-option-clear": 134217728"#).versions.is_empty());
    let alpn = |members: &str| vhost(&format!("\"port\": 1, {members}")).alpn;
    assert_eq!(alpn(r#""alpn": "http/1.1""#), Some(vec!["http/1.1".to_owned()]));
    assert_eq!(alpn(r#""alpn": "h2""#), None, "nothing is left, so as if it were not there");
    assert_eq!(
        alpn(r#""alpn": "ssh", "onlyraw": 1, "listen-accept-protocol": "raw-echo""#),
        Some(vec!["ssh".to_owned()])
    );
    let conf = load(
        r#"{"global": {"default-alpn": "http/1.0"}, "vhosts": [{"port": 1}, {"port": 2, "alpn": "http/1.1"},
            {"port": 3, "apply-listen-accept": 1, "listen-accept-protocol": "raw-echo"}]}"#,
    );
    let alpn: Vec<_> =
        conf.vhost_infos(&PROTOCOLS).expect("it is good").infos.into_iter().map(|info| info.alpn).collect();
    assert_eq!(alpn, [Some(vec!["http/1.0".to_owned()]), Some(vec!["http/1.1".to_owned()]), None]);
}

#[test]
fn the_rest_is_read_for_who_does_it() {
    let conf = load(
        r#"{"global": {"reject-service-keywords": [{"scumbot": "404 Not Found"}], "ip-limit-wsi": "100", "ip-limit-undecided": "0", "plugin-dir": "/p"},
            "vhosts": [{"port": 1, "sts": 1, "access-log": "/log", "headers": [{"X-A:": "1"}, {"x-b": "2"}],
            "enable-client-ssl": 1, "client-ssl-ca": "/ca", "fo-listen-queue": 5}]}"#,
    );
    let info = conf.context_info();
    assert_eq!(info.reject_service_keywords, [RejectKeyword::new("scumbot", 404, "Not Found")]);
    assert_eq!((info.ip_limit_wsi, info.ip_limit_undecided, conf.global.ip_limit_ah), (Some(100), Some(0), None));
    let vhost = &conf.vhosts[0];
    assert!(vhost.sts && vhost.fast_open_queue == 5 && vhost.client_tls.is_some());
    assert_eq!(vhost.access_log.as_deref(), Some(Path::new("/log")));
    assert_eq!(vhost.headers, [("X-A".to_owned(), "1".to_owned()), ("x-b".to_owned(), "2".to_owned())]);
    assert!(conf.warnings().iter().all(|warning| warning.problem == Problem::NotDoneYet));
    assert_eq!(vhost.node().get("access-log").and_then(|node| node.str()).expect("it is there"), "/log");
}

#[test]
fn a_missing_certificate_may_be_ignored() {
    let members =
        r#""port": 1, "host-ssl-cert": "/not/there", "host-ssl-key": "/nor/this", "ignore-missing-cert": "1""#;
    let conf = load(&format!("{{\"vhosts\": [{{{members}}}]}}"));
    let made = conf.vhost_infos(&[]).expect("it is ignored");
    assert_eq!(made.infos[0].listen, Listen::None, "it must not listen without TLS");
    assert_eq!(
        made.warnings[0].to_string(),
        "f:1:13: warning: vhosts[0]: /not/there is missing; this vhost does not listen"
    );
}

#[test]
fn client_tls_is_read_as_that_of_servers_is() {
    let info = vhost(
        r#""port": -1, "enable-client-ssl": "1", "client-ssl-cert": "/me.cert", "client-ssl-key": "/me.key",
           "client-ssl-ca": "/ca", "client-ssl-ciphers": "ECDHE-RSA-AES128-GCM-SHA256:!aNULL",
           "client-tls13-ciphers": "TLS_AES_128_GCM_SHA256", "client-ecdh-curve": "prime256v1",
           "ssl-client-option-set": "536870912", "ssl-client-option-clear": "0""#,
    );
    let tls = info.client_tls.expect("it is enabled");
    assert_eq!(tls.roots, Roots::Only(Pem::file("/ca")));
    assert_eq!(tls.identity, Some((Pem::file("/me.cert"), Pem::file("/me.key"))));
    assert_eq!((tls.settings.versions, tls.settings.groups.len()), (vec!["1.2".to_owned()], 1));
    assert_eq!(tls.settings.cipher_suites.len(), 2);
    assert_eq!(vhost(r#""port": -1, "client-ssl-ca": "/ca""#).client_tls, None);
    assert_eq!(vhost(r#""port": -1, "enable-client-ssl": 1"#).client_tls.map(|tls| tls.roots), Some(Roots::System));
}

#[test]
fn what_the_core_refuses_is_explained_with_its_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let cert = dir.path().join("cert");
    std::fs::write(&cert, "no PEM").expect("write");
    let ca = dir.path().join("ca");
    std::fs::write(&ca, certs::ca().text()).expect("write");
    let explain = |members: &str| {
        let conf = load(&format!("{{\"vhosts\": [{{{members}}}]}}"));
        let info = conf.vhost_infos(&PROTOCOLS).unwrap_or_else(|error| panic!("{error}")).infos.remove(0);
        let mut context = Context::new(conf.context_info()).expect("a context");
        let error = context.create_vhost(info).expect_err("it cannot be made");
        let told = conf.vhosts[0].explain(&error);
        assert_eq!(told.problem, Problem::Refused);
        told.path
    };
    let cert = cert.display();
    assert_eq!(
        explain(&format!(r#""port": 0, "host-ssl-cert": "{cert}", "host-ssl-key": "/not/there""#)),
        "vhosts[0].host-ssl-cert"
    );
    assert_eq!(
        explain(r#""port": 0, "mounts": [{"mountpoint": "/", "origin": "file:///not/there"}]"#),
        "vhosts[0].mounts[0].origin"
    );
    assert_eq!(explain(r#""port": 0, "ws-protocols": [{"raw-proxy": {}}]"#), "vhosts[0].ws-protocols[0].raw-proxy");
    assert_eq!(
        explain(r#""port": 0, "listen-accept-role": "raw-proxy", "listen-accept-protocol": "raw-proxy""#),
        "vhosts[0].listen-accept-protocol"
    );
    assert_eq!(explain(r#""unix-socket": 1, "interface": "/not/there/x""#), "vhosts[0].interface");
    let client = |keys: &str| explain(&format!(r#""port": -1, "enable-client-ssl": 1, {keys}"#));
    assert_eq!(client(&format!(r#""client-ssl-ca": "{cert}""#)), "vhosts[0].client-ssl-ca");
    for (key, other) in [("cert", "key"), ("key", "cert")] {
        let both = format!(
            r#""client-ssl-{key}": "/not/there", "client-ssl-{other}": "{cert}", "client-ssl-ca": "{}""#,
            ca.display()
        );
        let culprit = if key == "cert" { key } else { other };
        assert_eq!(client(&both), format!("vhosts[0].client-ssl-{culprit}"), "the certificate is read first");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("it is bound").port();
    assert_eq!(explain(&format!(r#""port": {port}, "interface": "127.0.0.1""#)), "vhosts[0].port");
}

/// The shape of the files that come with lws: comments, a mount of each common kind, protocols that are plugins there.
#[test]
fn what_lws_comes_with_is_taken() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("conf.d")).expect("create_dir");
    let conf = "# for all vhosts\n\n{\n \"global\": {\n  \"uid\": \"48\",  # who serves\n  \"gid\": \"48\",\n  \"interface\": \"eth0\",\n  \
                \"count-threads\": \"1\",\n  \"server-string\": \"lwsws\",\n  \"ws-pingpong-secs\": \"200\",\n  \"init-ssl\": \"yes\"\n }\n}\n\n";
    let localhost = r#"{
 "vhosts": [ {
  "name": "localhost",
  "port": "0",
  "interface": "lo",
#  "host-ssl-key":  "/etc/pki/tls/private/x.key",
#  "sts": "on",
  "access-log": "/var/log/lwsws/test-access-log",
  "mounts": [{
    "mountpoint": "/", "origin": "file://_lws_ddir_/test-server", "default": "test.html",
    "cache-max-age": "60", "cache-reuse": "1", "cache-revalidate": "1", "cache-intermediaries": "0"
   }, {
    "mountpoint": "/testcgi", "origin": "cgi://_lws_ddir_/test-server/cgi.sh"
   }],
  # which protocols are enabled
  "ws-protocols": [{ "lws-mirror-protocol": { "status": "ok" }, "lws-server-status": { "update-ms": "5000" } }]
 } ]
}
"#;
    std::fs::write(dir.path().join("conf"), conf).expect("write");
    std::fs::write(dir.path().join("conf.d/localhost"), localhost).expect("write");
    let site = Site::new();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).expect("create_dir");
    std::os::unix::fs::symlink(site.root(), data.join("test-server")).expect("symlink");
    site.write("test.html", b"the test page\n");
    let conf = Loader::new().data_dir(data.display().to_string()).load_dir(dir.path()).expect("it is good");
    let made = conf.vhost_infos(&PROTOCOLS).expect("it is good");
    assert!(conf.warnings().iter().any(|warning| warning.path == "global.interface"));
    assert_eq!(made.warnings.len(), 2, "the two protocols");
    let info = conf.context_info();
    assert_eq!((info.server_string.as_str(), conf.global.uid), ("lwsws", Some(48)));
    let server = Server::start_with(info, move |context| {
        let vhost = conf.vhost_infos(&PROTOCOLS).expect("it is good").infos.remove(0);
        server::make_vhost(context, vhost)
    });
    let response = get(server.made, "localhost", "/");
    assert_eq!((response.status, response.text()), (200, "the test page\n"));
    assert_eq!(response.header("server"), Some("lwsws"));
}

/// The http fallback of lws's article, as it stands there.
#[test]
fn the_fallback_of_the_article_serves_http_and_relays_the_rest() {
    let onward = Onward::echo();
    let target = onward.target();
    let site = Site::new();
    let text = format!(
        r#"{{ "vhosts": [{{
            "name": "localhost", "port": "0", "interface": "127.0.0.1",
            "mounts": [{{ "mountpoint": "/", "origin": "file://{}" }}],
            "ws-protocols": [{{ "raw-proxy": {{ "status": "ok", "onward": "{target}" }} }}],
            "listen-accept-role": "raw-proxy",
            "listen-accept-protocol": "raw-proxy",
            "fallback-listen-accept": "1"
        }}] }}"#,
        site.root().display()
    );
    let conf = load(&text);
    assert!(conf.warnings().is_empty());
    let server = Server::start(move |context| {
        let made = conf.vhost_infos(&PROTOCOLS).expect("it is good");
        assert!(made.warnings.is_empty());
        made.infos.into_iter().map(|info| server::make_vhost(context, info)).next().expect("one vhost")
    });
    assert_eq!(get(server.made, "localhost", "/").status, 200);
    let mut ssh = connect(server.made);
    send(&mut ssh, b"SSH-2.0-test\r\n");
    assert_eq!(read_exactly(&mut ssh, 14), b"SSH-2.0-test\r\n");
}
