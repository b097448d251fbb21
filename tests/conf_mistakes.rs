//! Every kind of mistake in a configuration, with its place, its path, and its words.

use rlws::conf::{Conf, Problem, Severity, load_str};
use rlws::protocols::{HttpDummy, RawEcho, RawProxy};
use rlws::{ProtocolTable, conf};

const PROTOCOLS: [ProtocolTable; 3] =
    [ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawEcho>(), ProtocolTable::of::<RawProxy>()];

/// Everything that is said about a text: errors and warnings, those of the protocols as well.
#[track_caller]
fn said(text: &str) -> Vec<String> {
    let found = load_str("f", text).and_then(|conf: Conf| {
        let made = conf.vhost_infos(&PROTOCOLS)?;
        Ok(conf.warnings().iter().chain(&made.warnings).cloned().collect::<Vec<_>>())
    });
    let found = found.unwrap_or_else(|error| error.diagnostics);
    found.iter().map(ToString::to_string).collect()
}

/// What is said about the members of a vhost, which begin at line 1, column 15.
#[track_caller]
fn vhost(members: &str) -> Vec<String> {
    said(&format!("{{\"vhosts\": [{{ {members} }}]}}"))
}

#[track_caller]
fn assert_vhost(members: &str, want: &[&str]) {
    let got = vhost(members);
    assert_eq!(got, want, "{members}");
}

#[test]
fn an_option_that_a_protocol_has_not_is_told() {
    let with = |options: &str| vhost(&format!(r#""port": 1, "ws-protocols": [{{"raw-proxy": {{{options}}}}}]"#));
    assert_eq!(
        with(r#""onward": "x", "idle-timeout-sec": "5""#),
        ["f:1:73: vhosts[0].ws-protocols[0].raw-proxy.idle-timeout-sec: unknown option; \
             did you mean \"idle-timeout-secs\"?"]
    );
    assert_eq!(
        with(r#""mine": 1, "status": "ok", "default": 1, "raw": 1"#),
        ["f:1:58: warning: vhosts[0].ws-protocols[0].raw-proxy.mine: unknown option"]
    );
}

#[test]
fn a_header_that_http_writes_itself_is_told_with_its_place() {
    assert_eq!(
        vhost(r#""port": 1, "headers": [{"content-length": "5"}, {"X-A": "1"}, {"Connection": "close"}]"#).len(),
        2
    );
}

#[test]
fn a_value_that_cannot_be_is_told_with_what_could() {
    for (members, want) in [
        (r#""port": "70000""#, r#"f:1:23: vhosts[0].port: expected a port number 0..65535, found "70000""#),
        (r#""port": -2"#, "f:1:23: vhosts[0].port: expected a port number 0..65535, found -2"),
        (r#""port": "+80""#, r#"f:1:23: vhosts[0].port: expected a port number 0..65535, found "+80""#),
        (r#""port": """#, r#"f:1:23: vhosts[0].port: expected a port number 0..65535, found """#),
        (r#""port": null"#, "f:1:23: vhosts[0].port: expected a port number 0..65535, found null"),
        (r#""port": ["80"]"#, "f:1:23: vhosts[0].port: expected a port number 0..65535, found an array"),
        (r#""port": 1, "name": {}"#, "f:1:34: vhosts[0].name: expected a string, found an object"),
        (r#""port": 1, "name": """#, r#"f:1:34: vhosts[0].name: expected a text that is not empty, found """#),
        (
            r#""port": 1, "name": "*.x.com""#,
            r#"f:1:34: vhosts[0].name: expected "x.com", which serves all of *.x.com too, found "*.x.com""#,
        ),
        (
            r#""port": 1, "name": "a\nb""#,
            r#"f:1:34: vhosts[0].name: expected a text without control characters, found "a\nb""#,
        ),
        (
            r#""port": 1, "proxy-protocol-from": "::1 10.0.0.1/8""#,
            r#"f:1:49: vhosts[0].proxy-protocol-from: expected addresses, networks such as 10.0.0.0/8 without bits beyond those, or unix, found "10.0.0.1/8""#,
        ),
        (
            r#""port": 1, "keepalive_timeout": "5s""#,
            r#"f:1:47: vhosts[0].keepalive_timeout: expected a whole number of seconds, found "5s""#,
        ),
        (
            r#""port": 1, "fo-listen-queue": 65536"#,
            "f:1:45: vhosts[0].fo-listen-queue: expected a number from 0 to 65535, found 65536",
        ),
        (
            r#""unix-socket": 1, "interface": "@x", "unix-socket-perms": "rw""#,
            r#"f:1:73: vhosts[0].unix-socket-perms: expected mode bits such as 0660, or USER:GROUP, found "rw""#,
        ),
        (r#""port": 1, "mounts": {}"#, "f:1:36: vhosts[0].mounts: expected an array of objects, found an object"),
        (r#""port": 1, "mounts": ["/"]"#, r#"f:1:37: vhosts[0].mounts[0]: expected an object, found "/""#),
        (
            r#""port": 1, "ws-protocols": [{"raw-echo": "ok"}]"#,
            r#"f:1:56: vhosts[0].ws-protocols[0].raw-echo: expected an object with the protocol's options, found "ok""#,
        ),
        (
            r#""port": 1, "ws-protocols": [{"raw-echo": {"a": [1]}}]"#,
            "f:1:62: vhosts[0].ws-protocols[0].raw-echo.a: expected a string, or an object of options, found an array",
        ),
        (
            r#""port": 1, "error-document-404": "404.html""#,
            r#"f:1:48: vhosts[0].error-document-404: expected a URL path that begins with /, found "404.html""#,
        ),
        (
            r#""port": 1, "ssl-option-set": "SSL_OP_ALL""#,
            r#"f:1:44: vhosts[0].ssl-option-set: expected a number of SSL_OP_ bits, found "SSL_OP_ALL""#,
        ),
    ] {
        let got = vhost(members);
        assert_eq!(got.iter().find(|line| !line.contains("warning: ")).map(String::as_str), Some(want), "{got:?}");
    }
}

#[test]
fn long_values_are_cut_and_control_characters_forge_no_line() {
    let long = "x".repeat(1000);
    let got = vhost(&format!("\"port\": \"{long}\", \"a\\nb: error\": 1"));
    assert_eq!(got.len(), 2);
    assert!(got.iter().all(|line| line.len() < 200 && !line.contains('\n')), "{got:?}");
    let error = load_str("a\nb", "{").expect_err("it is not JSON").to_string();
    assert!(error.starts_with("a\\nb:1:2: "), "{error}");
}

#[test]
fn a_missing_key_is_told_at_its_object() {
    assert_vhost("", &["f:1:13: vhosts[0].port: is missing: expected a port number 0..65535, or -1 for none"]);
    assert_vhost(
        r#""unix-socket": "1""#,
        &["f:1:13: vhosts[0].interface: is missing: expected the path of the unix socket"],
    );
    assert_vhost(
        r#""port": 1, "mounts": [{}]"#,
        &[
            "f:1:37: vhosts[0].mounts[0].mountpoint: is missing: expected a URL path, such as /",
            "f:1:37: vhosts[0].mounts[0].origin: is missing: expected file://PATH, callback://PROTOCOL, >http://.. or \
             >https://.. (redirect), http://.. or https://.. (proxy), cgi://PATH or gzip://PATH",
        ],
    );
    assert_vhost(
        r#""port": 1, "host-ssl-cert": "a""#,
        &["f:1:13: vhosts[0].host-ssl-key: is missing beside host-ssl-cert: expected a path"],
    );
    assert_vhost(
        r#""port": 1, "host-ssl-key": "a""#,
        &["f:1:13: vhosts[0].host-ssl-cert: is missing beside host-ssl-key: expected a path"],
    );
    assert_vhost(
        r#""port": 1, "host-ssl-cert": "a", "host-ssl-key": "b", "client-cert-required": "1""#,
        &["f:1:13: vhosts[0].host-ssl-ca: is missing beside client-cert-required: expected a path"],
    );
}

#[test]
fn a_misspelt_key_is_an_error_that_names_the_right_one() {
    assert_vhost(
        r#""prot": "80", "port": 1, "keepalive-timeout": 5, "Mounts": [], "host_ssl_cert": "x""#,
        &[
            r#"f:1:15: vhosts[0].prot: unknown key; did you mean "port"?"#,
            r#"f:1:40: vhosts[0].keepalive-timeout: unknown key; did you mean "keepalive_timeout"?"#,
            r#"f:1:64: vhosts[0].Mounts: unknown key; did you mean "mounts"?"#,
            r#"f:1:78: vhosts[0].host_ssl_cert: unknown key; did you mean "host-ssl-cert"?"#,
        ],
    );
    let want = [
        r#"f:1:2: vhost: unknown key; did you mean "vhosts"?"#,
        r#"f:1:15: globel: unknown key; did you mean "global"?"#,
    ];
    assert_eq!(said(r#"{"vhost": [], "globel": {}}"#), want);
}

#[test]
fn other_unknown_keys_and_those_in_the_wrong_section_are_warnings() {
    assert_vhost(
        r#""port": 1, "colour": "red", "origin": "file://x", "uid": 5, "we.ird key": 1"#,
        &[
            "f:1:26: warning: vhosts[0].colour: unknown key, left out",
            "f:1:43: warning: vhosts[0].origin: does nothing in vhosts[]; it belongs in vhosts[].mounts[]",
            "f:1:65: warning: vhosts[0].uid: does nothing in vhosts[]; it belongs in global",
            r#"f:1:75: warning: vhosts[0]["we.ird key"]: unknown key, left out"#,
        ],
    );
    assert_eq!(
        said(r#"{"global": {"interface": "eth0", "headers": []}, "port": 80, "other": {}}"#),
        [
            "f:1:13: warning: global.interface: does nothing in global; it belongs in vhosts[]",
            "f:1:34: warning: global.headers: does nothing in global; it belongs in vhosts[] or vhosts[].mounts[]",
            "f:1:50: warning: port: does nothing in the top level; it belongs in vhosts[]",
            "f:1:62: warning: other: unknown key, left out",
        ]
    );
}

#[test]
fn what_lws_does_and_we_do_not_yet_is_a_warning_unless_it_is_off() {
    assert_vhost(
        r#""port": 1, "h2-half-closed-long-poll": "on", "quic-port": 443, "strict-host-check": "off""#,
        &[
            "f:1:26: warning: vhosts[0].h2-half-closed-long-poll: not done yet",
            "f:1:60: warning: vhosts[0].quic-port: not done yet",
        ],
    );
    assert_vhost(
        r#""port": 1, "mounts": [{"mountpoint": "/", "origin": "cgi:///x"}]"#,
        &["f:1:67: warning: vhosts[0].mounts[0].origin: cgi is not done yet; the mount is left out"],
    );
}

#[test]
fn a_repeated_key_is_a_warning_and_the_last_one_counts() {
    let text = "{\"vhosts\": [{\"port\": 1,\n\"port\": 2,\n\"ssl-option-set\": 1, \"ssl-option-set\": 2}]}";
    let conf = load_str("f", text).expect("it is taken");
    assert_eq!(conf.vhosts[0].listen, rlws::Listen::port(2));
    assert_eq!(
        conf.warnings()[0].to_string(),
        "f:2:1: warning: vhosts[0].port: is there again, after f:1:14; the last one counts"
    );
    assert!(conf.warnings()[1..].iter().all(|warning| warning.problem != Problem::Repeated), "those add up");
    assert_vhost(
        r#""port": 1, "ws-protocols": [{"raw-echo": {"a": 1, "a": 2}, "raw_echo": {}}, {"raw-echo": {}}]"#,
        &[
            "f:1:65: warning: vhosts[0].ws-protocols[0].raw-echo.a: is there again, after f:1:57; the last one counts",
            "f:1:74: warning: vhosts[0].ws-protocols[0].raw_echo: is there again, after f:1:44; the last one counts",
            "f:1:92: warning: vhosts[0].ws-protocols[1].raw-echo: is there again, after f:1:44; the last one counts",
        ],
    );
    assert_vhost(
        r#""port": 1, "mounts": [{"mountpoint": "/a", "origin": "file://x"}, {"mountpoint": "/a/", "origin": "file://x"}]"#,
        &["f:1:96: warning: vhosts[0].mounts[1].mountpoint: is mounted already, by f:1:37; that one counts"],
    );
}

#[test]
fn contradictions_are_told_where_they_are() {
    let tls = r#""port": 1, "host-ssl-cert": "a", "host-ssl-key": "b", "#;
    for key in ["redirect-http", "allow-http-on-https", "fallback-listen-accept"] {
        let fallback = r#""ws-protocols": [{"raw-echo": {}}], "listen-accept-protocol": "raw-echo", "#;
        let got = vhost(&format!(r#"{tls}{fallback}"allow-non-tls": "0", "{key}": "1""#));
        assert_eq!(got, [format!("f:1:160: vhosts[0].allow-non-tls: is off, but {key} is on and needs it")]);
        let got = vhost(&format!(r#"{tls}{fallback}"allow-non-tls": "1", "{key}": "1""#));
        assert!(got.is_empty(), "{got:?}");
    }
    let fallback =
        r#""port": 1, "allow-non-tls": "0", "fallback-listen-accept": 1, "listen-accept-protocol": "raw-echo""#;
    assert_vhost(fallback, &[]);
    assert_vhost(
        r#""port": 1, "redirect-http": 1, "ciphers": "HIGH", "fallback-silence-ms": 5"#,
        &[
            "f:1:43: warning: vhosts[0].redirect-http: does nothing without host-ssl-cert and host-ssl-key",
            "f:1:57: warning: vhosts[0].ciphers: does nothing without host-ssl-cert and host-ssl-key",
            "f:1:88: warning: vhosts[0].fallback-silence-ms: does nothing without fallback-listen-accept",
        ],
    );
    assert_vhost(
        r#""port": 1, "noipv6": 1, "ipv6only": 1"#,
        &["f:1:51: vhosts[0].ipv6only: noipv6 is on too, and nothing is left to listen on"],
    );
    assert_vhost(
        r#""port": 1, "client-cert-required": 1"#,
        &[
            "f:1:50: vhosts[0].client-cert-required: needs host-ssl-cert, host-ssl-key and host-ssl-ca: this vhost has no TLS",
        ],
    );
    assert_vhost(
        &format!(r#"{tls}"ssl-option-set": "671088640""#),
        &["f:1:87: vhosts[0].ssl-option-set: turns TLS 1.2 and 1.3 off, and nothing is left"],
    );
}

#[test]
fn unknown_roles_protocols_and_origins_are_told_with_the_known_ones() {
    assert_vhost(
        r#""port": 1, "listen-accept-role": "raw-prxy""#,
        &[concat!(
            "f:1:48: vhosts[0].listen-accept-role: expected a role: raw-skt, raw-proxy, found \"raw-prxy\"; ",
            "did you mean \"raw-proxy\"?"
        )],
    );
    assert_vhost(
        r#""port": 1, "listen-accept-role": "ws""#,
        &["f:1:48: vhosts[0].listen-accept-role: expected a role: raw-skt, raw-proxy, found \"ws\""],
    );
    assert_vhost(
        r#""port": 1, "listen-accept-protocol": "raw-ecko""#,
        &[concat!(
            "f:1:52: vhosts[0].listen-accept-protocol: expected a protocol: http-dummy, raw-echo, raw-proxy, ",
            "found \"raw-ecko\"; did you mean \"raw-echo\"?"
        )],
    );
    assert_vhost(
        r#""port": 1, "listen-accept-role": "raw-proxy", "listen-accept-protocol": "raw-echo""#,
        &[concat!(
            "f:1:87: vhosts[0].listen-accept-protocol: expected a protocol for role raw-proxy; ",
            "this one works in raw-skt, found \"raw-echo\""
        )],
    );
    assert_vhost(
        r#""port": 1, "mounts": [{"mountpoint": "/", "origin": "callback://nobody"}]"#,
        &[concat!(
            "f:1:67: vhosts[0].mounts[0].origin: expected a protocol: http-dummy, raw-echo, raw-proxy, ",
            "found \"callback://nobody\""
        )],
    );
    let got = vhost(r#""port": 1, "mounts": [{"mountpoint": "x", "origin": "fiel:///srv"}]"#);
    assert_eq!(got.len(), 2);
    assert_eq!(got[0], r#"f:1:52: vhosts[0].mounts[0].mountpoint: expected a URL path that begins with /, found "x""#);
    assert!(got[1].ends_with(r#"found "fiel:///srv"; did you mean "file://"?"#), "{got:?}");
    // Nothing needs it.
    assert_vhost(
        r#""port": 1, "ws-protocols": [{"lws-mirror-protocol": {"status": "ok"}, "raw-ecko": {}}]"#,
        &[
            "f:1:67: warning: vhosts[0].ws-protocols[0].lws-mirror-protocol: there is no such protocol; it is left out",
            concat!(
                "f:1:97: warning: vhosts[0].ws-protocols[0].raw-ecko: there is no such protocol; it is left out; ",
                "did you mean \"raw-echo\"?"
            ),
        ],
    );
    assert_vhost(
        r#""port": 1, "alpn": "h2,http/1.1,htp/1.1""#,
        &[
            "f:1:34: warning: vhosts[0].alpn: h2 is not done yet, and left out",
            concat!(
                "f:1:34: vhosts[0].alpn: expected some of http/1.1, http/1.0, found \"htp/1.1\"; ",
                "did you mean \"http/1.1\"?"
            ),
        ],
    );
}

#[test]
fn vhosts_that_cannot_share_a_socket_are_told_with_each_other() {
    let text = r#"{"vhosts": [
{"name": "a", "port": 1},
{"name": "A.", "port": "1"},
{"name": "b", "port": 1, "host-ssl-cert": "c", "host-ssl-key": "k"},
{"name": "a", "port": 2},
{"name": "c", "port": 2, "fallback-listen-accept": 1, "listen-accept-protocol": "raw-echo"},
{"name": "a", "port": -1}, {"name": "a", "port": -1}
]}"#;
    assert_eq!(
        said(text),
        [
            "f:3:10: vhosts[1].name: there is already a vhost a on port 1 (f:2:1)",
            concat!(
                "f:4:43: vhosts[2].host-ssl-cert: vhost b has TLS, but vhost a (f:2:1) shares port 1 and has not; ",
                "both have it, or none"
            ),
            concat!(
                "f:6:52: warning: vhosts[4].fallback-listen-accept: does nothing: the first vhost of port 2 decides, ",
                "a (f:5:1)"
            ),
        ]
    );
}

#[test]
fn all_mistakes_come_at_once_in_the_order_of_their_places() {
    let text = "{\n\"global\": {\"count-threads\": 0, \"timeout-secs\": \"soon\"},\n\"vhosts\": [{\"port\": 1,\n\"mounts\": [{\n\"origin\": \"x\"}], \"dht\": 1}, {}]\n}";
    let error = load_str("f", text).expect_err("it is full of them");
    let places: Vec<(u32, u32)> = error.diagnostics.iter().map(|one| (one.place.line, one.place.column)).collect();
    assert_eq!(places, [(2, 29), (2, 48), (4, 12), (5, 11), (5, 18), (5, 29)]);
    assert_eq!(error.errors().count(), 5);
    assert_eq!(error.diagnostics[4].severity, Severity::Warning);
    assert_eq!(error.to_string().lines().count(), 6);
    assert_eq!(format!("{error:?}"), error.to_string());
    fn can_be_sent_anywhere<T: std::error::Error + Send + Sync + 'static>(_: T) {}
    can_be_sent_anywhere(error);
}

#[test]
fn every_diagnostic_has_its_parts() {
    let error = load_str("f", r#"{"vhosts": [{"port": "x", "prot": 1}]}"#).expect_err("two mistakes");
    let [port, prot] = &error.diagnostics[..] else { panic!("{error}") };
    assert_eq!((port.problem, port.found.as_str()), (Problem::Value, "\"x\""));
    assert_eq!((port.path.as_str(), port.expected.as_str()), ("vhosts[0].port", "a port number 0..65535"));
    assert_eq!((prot.problem, prot.nearest.as_deref()), (Problem::MisspeltKey, Some("port")));
}

#[test]
fn what_is_not_an_object_at_the_top_is_told() {
    for (text, found) in
        [("[]", "an empty array"), ("[1]", "an array"), ("3", "3"), ("\"x\"", "\"x\""), ("null", "null")]
    {
        assert_eq!(said(text), [format!("f:1:1: expected an object, found {found}")]);
    }
    assert_eq!(said(r#"{"global": []}"#), ["f:1:12: global: expected an object, found an empty array"]);
    assert_eq!(said(r#"{"vhosts": {}}"#), ["f:1:12: vhosts: expected an array of objects, found an object"]);
}

#[test]
fn a_boolean_that_is_neither_is_off_with_a_warning() {
    let conf = conf::load_str("f", r#"{"vhosts": [{"port": 1, "noipv6": "ture"}]}"#).expect("it is taken");
    assert!(conf.vhosts[0].options.is_empty());
    assert_eq!(
        conf.warnings()[0].to_string(),
        concat!(
            "f:1:35: warning: vhosts[0].noipv6: counts as off: ",
            "expected 1 or 0, on or off, yes or no, true or false, found \"ture\""
        )
    );
}

#[test]
fn keys_of_client_tls_do_nothing_without_their_switch() {
    assert_vhost(
        r#""port": 1, "client-ssl-ca": "/ca", "client-ecdh-curve": "P-256""#,
        &[
            "f:1:43: warning: vhosts[0].client-ssl-ca: does nothing without enable-client-ssl",
            "f:1:71: warning: vhosts[0].client-ecdh-curve: does nothing without enable-client-ssl",
        ],
    );
    assert_vhost(
        r#""port": 1, "host-ssl-ca": "/ca""#,
        &["f:1:41: warning: vhosts[0].host-ssl-ca: does nothing without host-ssl-cert and host-ssl-key"],
    );
}
