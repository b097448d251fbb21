//! `lwsws --check`: all that is wrong, at once and with its place; and `--dump`, which is a good configuration again.

mod util;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use util::lwsws::{ECHO, Folder, TLS};
use util::*;

#[track_caller]
fn check(folder: &Folder) -> (Option<i32>, String) {
    let output = folder.run(&["--check"], b"");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn mistakes_of_all_kinds_are_told_in_one_go() {
    let folder = Folder::new("", "");
    folder.write_conf("{}");
    fs::create_dir(folder.path("conf.d")).expect("mkdir");
    for (file, vhost) in [
        ("a", r#""name": "a", "port": "x""#),
        ("b", r#""name": "b", "port": 1, "ws-protocols": [{"raw-proxy": {"onward": "zz"}}]"#),
        ("c", r#""name": "c", "port": 2, "host-ssl-cert": "/nope", "host-ssl-key": "/nope/key""#),
        ("d", r#""name": "d", "port": 3, "mounts": [{"mountpoint": "/", "origin": "callback://nope"}]"#),
    ] {
        fs::write(folder.path("conf.d").join(file), format!("{{\"vhosts\": [{{{vhost}}}]}}")).expect("write");
    }
    // With and without a mistake that the files alone show.
    for kinds in [5, 4] {
        let (code, said) = check(&folder);
        assert_eq!((code, said.matches(" E: ").count()), (Some(1), kinds), "{said}");
        for (part, count) in [("conf.d/b:1:", 1), ("conf.d/c:1:", 2), ("conf.d/d:1:", 1)] {
            assert_eq!(said.matches(part).count(), count, "{part} in {said}");
        }
        fs::remove_file(folder.path("conf.d/a")).ok();
    }
}

#[test]
fn all_mistakes_of_one_vhost_are_told_in_one_go() {
    let folder = Folder::new("", "");
    let vhost = r#""name": "a", "port": 1,
"host-ssl-cert": "/nope/cert",
"host-ssl-key": "/nope/key",
"host-ssl-ca": "/nope/ca",
"access-log": "/nope/log",
"mounts": [
{"mountpoint": "/a", "origin": "file:///nope/a"},
{"mountpoint": "/b", "origin": "file:///nope/b"},
{"mountpoint": "/c", "origin": "callback://protocol-post-demo"}
],
"ws-protocols": [
{"raw-proxy": {"onward": "zz"}},
{"protocol-post-demo": {}}
],
"listen-accept-role": "raw-proxy", "listen-accept-protocol": "raw-proxy", "fallback-listen-accept": "1""#;
    let told = |global: &str, more: &str| {
        folder.write_conf(&format!("{{\"global\": {{{global}}}, \"vhosts\": [{{{vhost}{more}}}]}}"));
        let (code, said) = check(&folder);
        assert_eq!(code, Some(1), "{said}");
        for key in [
            "conf:2:18: vhosts[0].host-ssl-cert: ",
            "conf:3:17: vhosts[0].host-ssl-key: ",
            "conf:4:16: vhosts[0].host-ssl-ca: ",
            "conf:5:15: vhosts[0].access-log: ",
            "conf:7:32: vhosts[0].mounts[0].origin: ",
            "conf:8:32: vhosts[0].mounts[1].origin: ",
            "conf:12:15: vhosts[0].ws-protocols[0].raw-proxy: ",
        ] {
            assert_eq!(said.matches(key).count(), 1, "{key} in {said}");
        }
        said
    };
    let kinds = |said: &str| said.matches(" E: ").count();
    let said = told("", "");
    assert_eq!(kinds(&said), 7, "{said}");
    // Beside mistakes that the files alone show, or the protocols and roles.
    let said = told(r#""username": "no-such-user""#, r#", "keepalive-timeout": 5"#);
    assert!(said.contains("this system has no no-such-user") && said.contains("did you mean"), "{said}");
    assert_eq!(kinds(&said), 9, "{said}");
    let said = told("", r#", "listen-accept-role": "raw-prxy""#);
    assert!(said.contains("did you mean \"raw-proxy\""), "{said}");
}

#[test]
fn a_unix_socket_that_could_not_be_bound_is_told() {
    let folder = Folder::new("", "");
    for (path, part) in
        [("/nope/socket".to_owned(), "a folder that is there"), (format!("/{}", "x".repeat(150)), "107 bytes")]
    {
        folder.write_conf(&format!(r#"{{"vhosts": [{{"unix-socket": "1", "interface": "{path}"}}]}}"#));
        let (code, said) = check(&folder);
        assert!(code == Some(1) && said.contains("vhosts[0].interface: ") && said.contains(part), "{said}");
    }
}

#[test]
fn headers_that_http_writes_itself_are_all_told() {
    let folder = Folder::new("", r#""headers": [{"Content-Length": "1"}, {"Connection": "close"}, {"Date": "now"}]"#);
    let (code, said) = check(&folder);
    assert_eq!((code, said.matches("http writes that one itself").count()), (Some(1), 3), "{said}");
    assert!(said.contains("conf:2:") && said.contains("vhosts[0].headers[1].Connection: "), "{said}");
}

#[test]
fn a_dump_is_a_configuration_that_serves() {
    for vhost in [r#""sts": "0""#, ECHO, &format!("{ECHO}, {TLS}, \"redirect-http\": \"1\"")] {
        let folder = Folder::new("", vhost);
        let first = folder.run(&["--dump"], b"").stdout;
        folder.write_conf(std::str::from_utf8(&first).expect("text"));
        let (code, said) = check(&folder);
        assert_eq!(code, Some(0), "{said}\n{}", String::from_utf8_lossy(&first));
        assert_eq!(folder.run(&["--dump"], b"").stdout, first);
    }
}

#[test]
fn two_sockets_of_which_one_can_be_are_told_before_they_are_bound() {
    let folder = Folder::new("", "");
    folder.write_conf(
        r#"{"vhosts": [{"name": "a", "port": 7917}, {"name": "b", "port": 7917, "interface": "127.0.0.1"}]}"#,
    );
    let (code, said) = check(&folder);
    assert!(code == Some(1) && said.contains("vhosts[1].port: ") && said.contains("vhost a"), "{said}");
}

// -- what can be used, and does not do what it looks like

/// What `--check` says of a configuration that it finds good.
#[track_caller]
fn warnings(folder: &Folder) -> String {
    let (code, said) = check(folder);
    assert_eq!(code, Some(0), "{said}");
    said
}

#[test]
fn certificates_and_keys_that_are_doubtful_are_told() {
    let strangers = Ca::new("who knows");
    let folder = Folder::new("", TLS);
    assert!(!warnings(&folder).contains("host-ssl"), "{}", warnings(&folder));
    for (identity, why) in [
        (strangers.expired_server(&["localhost"]), "CN=localhost is out of date since Fri, 01 Jan 2021 00:00:00 GMT"),
        (strangers.future_server(&["localhost"]), "CN=localhost is not good before Mon, 01 Jan 2120 00:00:00 GMT"),
    ] {
        identity.write(&folder.path(""), "its");
        let said = warnings(&folder);
        assert!(said.contains("warning: vhosts[0].host-ssl-cert: ") && said.contains(why), "{said}");
    }
    strangers.server(&["localhost"]).write(&folder.path(""), "its");
    fs::set_permissions(folder.path("its.key"), fs::Permissions::from_mode(0o644)).expect("chmod");
    let said = warnings(&folder);
    assert!(said.contains("warning: vhosts[0].host-ssl-key: ") && said.contains("0600"), "{said}");

    folder.configure("", &format!(r#"{TLS}, "host-ssl-ca": "DIR/ca", "client-cert-required": "1""#));
    fs::write(folder.path("ca"), strangers.text() + &strangers.client("Member").cert).expect("write");
    let said = warnings(&folder);
    assert_eq!(said.matches("warning: vhosts[0].host-ssl-ca: ").count(), 1, "{said}");
    assert!(said.contains("the certificate of CN=Member is no CA's"), "{said}");
}

#[test]
fn a_renewal_that_is_out_of_date_is_served_with_a_warning() {
    let folder = Folder::new("", TLS);
    let program = folder.start();
    Ca::new("who knows").expired_server(&["localhost"]).write(&folder.path(""), "its");
    program.wait_for_log("host-ssl-cert: ");
    eventually("it is served", || program.log().matches(" workers serve ").count() == 2);
    assert!(program.log().contains("is out of date since"), "{}", program.log());
    program.stop();
}

#[test]
fn balancers_that_are_everybody_or_nobody_are_told() {
    for (list, why) in [
        ("0.0.0.0/0, ::/0", "trusts everybody to say who they are"),
        ("10.0.0.1, ::/0", "trusts everybody to say who they are"),
        ("", "is empty: nobody is trusted"),
        (" ", "is empty: nobody is trusted"),
    ] {
        let folder = Folder::new("", &format!(r#""proxy-protocol-from": "{list}""#));
        let said = warnings(&folder);
        let key = "warning: vhosts[0].proxy-protocol-from: ";
        assert!(said.matches(key).count() == 1 && said.contains(why), "{said}");
    }
}

#[test]
fn mirrors_that_workers_take_apart_are_told() {
    let mirror = r#""ws-protocols": [{"raw-echo": {}}, {"lws_mirror_protocol": {"status": "ok"}}]"#;
    let folder = Folder::new(r#""count-threads": "2""#, mirror);
    let said = warnings(&folder);
    let why = "warning: vhosts[0].ws-protocols[1].lws_mirror_protocol: each of the 2 workers (count-threads) has its own mirrors";
    assert_eq!(said.matches(why).count(), 1, "{said}");
    let program = folder.start();
    program.wait_for_log(why);
    program.stop();
    for (global, vhost) in [(r#""count-threads": "1""#, mirror), (r#""count-threads": "2""#, ECHO)] {
        folder.configure(global, vhost);
        assert!(!warnings(&folder).contains("mirrors"), "{}", warnings(&folder));
    }
}

#[test]
fn descriptors_that_are_too_few_to_serve_anybody_are_told_by_their_key() {
    for few in [5, 12, 20] {
        let (code, said) = check(&Folder::new(&format!(r#""rlimit-nofile": "{few}""#), ECHO));
        assert_eq!((code, said.matches(" E: ").count()), (Some(1), 1), "{said}");
        assert!(said.contains(&format!("global.rlimit-nofile: with {few} descriptors nobody can be served")), "{said}");
    }
    // What is the least does serve.
    let folder = Folder::new(r#""rlimit-nofile": "21""#, ECHO);
    let program = folder.start();
    let mut client = connect(program.port());
    send(&mut client, b"\0");
    assert_eq!(read_exactly(&mut client, 1), b"\0");
    drop(client);
    program.stop();
}

#[test]
fn a_fallback_to_no_protocol_is_told_by_the_names_of_keys() {
    let (code, said) = check(&Folder::new("", r#""fallback-listen-accept": "1""#));
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("vhosts[0].fallback-listen-accept: ") && said.contains("listen-accept-protocol"), "{said}");
}
