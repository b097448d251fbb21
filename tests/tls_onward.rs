//! raw-proxy reaches its onward server by TLS.

mod util;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rlws::protocols::RawProxy;
use rlws::{ContextInfo, Listen, Options, Pem, ProtocolTable, Roots, TlsClientInfo, TlsInfo, VhostInfo};
use tempfile::TempDir;
use util::certs::{ca, localhost};
use util::server::{assert_names, mistake};
use util::tls::{self, trusting};
use util::*;

/// The files that options name: `ca`, `other-ca`, `own.cert`, `own.key`.
static FILES: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("ca"), ca().text()).expect("write");
    std::fs::write(folder.path().join("other-ca"), Ca::new("another CA").text()).expect("write");
    ca().client("the relay").write(folder.path(), "own");
    folder
});

fn file(name: &str) -> String {
    let path: PathBuf = Path::new(FILES.path()).join(name);
    path.to_str().expect("a text").to_owned()
}

/// A relay of whatever connects, with these options beside `onward`; over TLS where `tls` says so.
fn vhost(onward: &str, extra: &[(&str, &str)], tls: Option<TlsInfo>) -> VhostInfo {
    let pairs = [&[("onward", onward)], extra].concat();
    VhostInfo {
        name: "relay.test".into(),
        listen: Listen::on("127.0.0.1", 0),
        tls,
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        pvo: options("raw-proxy", &pairs),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        ..Default::default()
    }
}

fn relay(onward: &Onward, extra: &[(&str, &str)]) -> Server {
    let info = vhost(&onward.target(), extra, None);
    let patient = ContextInfo { connect_timeout: Duration::from_secs(600), ..Default::default() };
    Server::with_vhost_in(patient, move || info)
}

/// The client hears nothing and is closed; the operator hears why.
#[track_caller]
fn assert_comes_to_nothing(server: &Server, why: &[&str]) {
    let mut client = connect(server.made);
    let from = client.local_addr().expect("an address").to_string();
    send(&mut client, b"ping");
    assert_eq!(read_until_closed(&mut client).0, b"");
    server.wait_for_log(&[&["WARN", &from], why].concat());
    drop(client);
    server.assert_nothing_left_beside(1);
}

#[test]
fn bytes_go_both_ways_and_the_halves_end_in_order() {
    let onward = TlsOnward::echo(localhost());
    let server = relay(&onward.onward, &[("onward-tls", "1"), ("onward-tls-ca", &file("ca"))]);
    let mut client = connect(server.made);
    let bytes = random_bytes(1, 5_000_000);
    let mut sender = client.try_clone().expect("dup");
    let got = std::thread::scope(|scope| {
        scope.spawn(|| {
            send(&mut sender, &bytes);
            half_close(&sender);
        });
        read_to_end(&mut client)
    });
    assert_same_bytes(&got, &bytes);
    let met = onward.met(0);
    assert_same_bytes(&met.bytes, &bytes);
    assert!(met.orderly, "close_notify came behind the last byte");
    assert_eq!((met.sni, met.cert), (None, None), "an address is no name for SNI");
    drop((client, sender));
    server.assert_nothing_left();
}

#[test]
fn a_reply_still_flows_after_the_client_has_ended() {
    let onward = TlsOnward::start(localhost(), None, &[], true);
    let server = relay(&onward.onward, &[("onward-tls", "1"), ("onward-tls-ca", &file("ca"))]);
    let mut client = connect(server.made);
    let bytes = random_bytes(2, 1_000_000);
    let mut sender = client.try_clone().expect("dup");
    let got = std::thread::scope(|scope| {
        scope.spawn(|| {
            send(&mut sender, &bytes);
            half_close(&sender);
        });
        read_to_end(&mut client)
    });
    assert_same_bytes(&got, &bytes);
    assert!(onward.met(0).orderly);
}

#[test]
fn tls_may_be_on_both_sides() {
    let onward = TlsOnward::echo(localhost());
    let info = vhost(
        &onward.onward.target(),
        &[("onward-tls", "1"), ("onward-tls-ca", &file("ca"))],
        Some(localhost().tls_info()),
    );
    let server = Server::with_vhost(move || info);
    let mut client = trusting().connect(server.made, "localhost");
    let bytes = random_bytes(3, 500_000);
    let mut got = Vec::new();
    for part in bytes.chunks(50_000) {
        send(&mut client, part);
        got.extend(read_exactly(&mut client, part.len()));
    }
    assert_same_bytes(&got, &bytes);
    tls::say_goodbye(&mut client);
    assert_eq!(read_to_end(&mut client), b"");
    assert!(onward.met(0).orderly);
    drop(client);
    server.assert_nothing_left();
}

#[test]
fn a_server_that_speaks_first_is_heard() {
    // It says nothing of its own, but its session tickets come before any byte of ours.
    let onward = TlsOnward::echo(localhost());
    let server = relay(&onward.onward, &[("onward-tls", "1"), ("onward-tls-ca", &file("ca"))]);
    for number in 0..20 {
        let mut client = connect(server.made);
        send(&mut client, &[number]);
        assert_eq!(read_exactly(&mut client, 1), [number]);
    }
    server.assert_nothing_left();
}

#[test]
fn the_name_of_the_certificate_may_be_another_than_the_targets() {
    let onward = TlsOnward::echo(&ca().server(&["inside.test"]));
    let options = [("onward-tls", "1"), ("onward-tls-ca", &file("ca")), ("onward-tls-name", "inside.test")];
    let server = relay(&onward.onward, &options);
    let mut client = connect(server.made);
    send(&mut client, b"ping");
    assert_eq!(read_exactly(&mut client, 4), b"ping");
    drop(client);
    assert_eq!(onward.met(0).sni.as_deref(), Some("inside.test"));
}

#[test]
fn the_host_of_the_target_is_the_name_unless_told() {
    let onward = TlsOnward::echo(localhost());
    let target = format!("ipv4:localhost:{}", onward.onward.port);
    let info = vhost(&target, &[("onward-tls", "1"), ("onward-tls-ca", &file("ca"))], None);
    let server = Server::with_vhost(move || info);
    let mut client = connect(server.made);
    send(&mut client, b"ping");
    assert_eq!(read_exactly(&mut client, 4), b"ping");
    drop(client);
    assert_eq!(onward.met(0).sni.as_deref(), Some("localhost"));
}

#[test]
fn a_certificate_of_the_relays_own_is_shown_to_a_server_that_asks() {
    let onward = TlsOnward::start(localhost(), Some(ca()), &[], false);
    let (cert, key) = (file("own.cert"), file("own.key"));
    let common = [("onward-tls", "1"), ("onward-tls-ca", &file("ca"))];
    let with = [&common[..], &[("onward-tls-cert", &cert), ("onward-tls-key", &key)]].concat();
    let server = relay(&onward.onward, &with);
    let mut client = connect(server.made);
    send(&mut client, b"ping");
    assert_eq!(read_exactly(&mut client, 4), b"ping");
    drop(client);
    let shown = onward.met(0).cert.expect("it was shown");
    let own = Identity { cert: std::fs::read_to_string(&cert).expect("read"), key: String::new() };
    assert!(shown == own.der());

    let without = relay(&onward.onward, &common);
    assert_eq!(read_until_closed(&mut connect(without.made)).0, b"");
    assert!(onward.met(1).failed.is_some());
    without.assert_nothing_left();
}

// -- servers that are not who they should be

#[test]
fn a_server_whose_ca_is_another_gets_no_byte_and_its_client_is_closed() {
    let onward = TlsOnward::echo(localhost());
    let server = relay(&onward.onward, &[("onward-tls", "1"), ("onward-tls-ca", &file("other-ca"))]);
    assert_comes_to_nothing(&server, &[&format!("127.0.0.1:{}", onward.onward.port), "TLS"]);
    assert_eq!(onward.met(0).bytes, b"");
    assert!(onward.met(0).failed.is_some());
}

#[test]
fn a_server_whose_ca_the_system_does_not_know_gets_no_byte() {
    let onward = TlsOnward::echo(localhost());
    let server = relay(&onward.onward, &[("onward-tls", "1")]);
    assert_comes_to_nothing(&server, &["TLS"]);
    assert_eq!(onward.met(0).bytes, b"");
}

#[test]
fn a_server_with_the_wrong_name_or_an_old_certificate_gets_no_byte() {
    for identity in [ca().server(&["other.test"]), ca().expired_server(&["127.0.0.1"]), ca().client("127.0.0.1")] {
        let onward = TlsOnward::echo(&identity);
        let server = relay(&onward.onward, &[("onward-tls", "1"), ("onward-tls-ca", &file("ca"))]);
        assert_comes_to_nothing(&server, &["TLS"]);
        assert_eq!(onward.met(0).bytes, b"");
    }
}

#[test]
fn a_server_that_speaks_no_tls_ends_its_client() {
    for onward in [Onward::echo(), Onward::source(b"SSH-2.0-OpenSSH\r\n".to_vec()), Onward::resets_after(1)] {
        let server = relay(&onward, &[("onward-tls", "1"), ("onward-tls-ca", &file("ca"))]);
        assert_comes_to_nothing(&server, &["TLS"]);
    }
}

#[test]
fn a_server_that_never_answers_the_hello_is_given_up_at_the_connect_timeout() {
    let onward = Onward::idle();
    let info = vhost(&onward.target(), &[("onward-tls", "1"), ("onward-tls-ca", &file("ca"))], None);
    let hasty = ContextInfo { connect_timeout: Duration::from_millis(200), ..Default::default() };
    let server = Server::with_vhost_in(hasty, move || info);
    assert_comes_to_nothing(&server, &["TLS"]);
}

#[test]
fn a_client_that_leaves_during_the_onward_handshake_takes_it_along() {
    let onward = Onward::idle();
    let server = relay(&onward, &[("onward-tls", "1"), ("onward-tls-ca", &file("ca"))]);
    let client = connect(server.made);
    onward.connection(0);
    reset(client);
    server.assert_nothing_left_beside(1);
}

#[test]
fn the_insecure_switch_takes_anybody_and_warns_of_it() {
    let onward = TlsOnward::echo(&Ca::new("nobody knows it").expired_server(&["other.test"]));
    let server = relay(&onward.onward, &[("onward-tls", "1"), ("onward-tls-insecure", "1")]);
    let begun = Instant::now();
    for _ in 0..5 {
        let mut client = connect(server.made);
        send(&mut client, b"ping");
        assert_eq!(read_exactly(&mut client, 4), b"ping");
    }
    // A peer that connects again and again fills no log.
    server.assert_warned_seldom("any certificate", 5, begun);
}

// -- mistakes

/// What the vhost has for its own connections, which trusts the tests' CA and shows a certificate.
fn client_tls() -> TlsClientInfo {
    let identity = Some((Pem::file(file("own.cert")), Pem::file(file("own.key"))));
    TlsClientInfo { roots: Roots::Only(ca().pem()), identity, ..Default::default() }
}

fn relay_with(onward: &Onward, extra: &[(&str, &str)], client_tls: TlsClientInfo) -> Server {
    let info = VhostInfo { client_tls: Some(client_tls), ..vhost(&onward.target(), extra, None) };
    Server::with_vhost(move || info)
}

#[test]
fn the_vhosts_client_tls_is_used_where_no_option_says_otherwise() {
    let onward = TlsOnward::start(localhost(), Some(ca()), &[], false);
    let server = relay_with(&onward.onward, &[("onward-tls", "1")], client_tls());
    let mut client = connect(server.made);
    send(&mut client, b"ping");
    assert_eq!(read_exactly(&mut client, 4), b"ping");
    drop(client);
    assert!(onward.met(0).cert.is_some(), "its certificate was shown");
    server.assert_nothing_left();

    let stranger =
        relay_with(&onward.onward, &[("onward-tls", "1"), ("onward-tls-ca", &file("other-ca"))], client_tls());
    assert_comes_to_nothing(&stranger, &["UnknownIssuer"]);

    let named = ca().server(&["inside.test"]);
    let inside = TlsOnward::start(&named, Some(ca()), &[], false);
    let server = relay_with(&inside.onward, &[("onward-tls", "1"), ("onward-tls-name", "inside.test")], client_tls());
    let mut client = connect(server.made);
    send(&mut client, b"ping");
    assert_eq!(read_exactly(&mut client, 4), b"ping");
    drop(client);
    assert!(inside.met(0).cert.is_some(), "an option takes the place of one setting alone");
}

#[test]
fn the_vhosts_client_tls_makes_no_relay_one_by_tls() {
    let onward = Onward::echo();
    let server = relay_with(&onward, &[], client_tls());
    let mut client = connect(server.made);
    send(&mut client, b"ping");
    assert_eq!(read_exactly(&mut client, 4), b"ping");
}

#[test]
fn client_tls_that_cannot_be_is_told_with_the_vhost() {
    let bad = TlsClientInfo { roots: Roots::Only(Pem::file(file("missing"))), ..Default::default() };
    let error = mistake(VhostInfo { client_tls: Some(bad), ..vhost("ipv4:127.0.0.1:1", &[], None) });
    assert_names(&error, &["relay.test", "its own connections", "missing", "No such file"]);
}

#[test]
fn options_that_cannot_work_are_told_with_the_vhost() {
    let own = [("onward-tls-cert", file("own.cert")), ("onward-tls-key", file("own.key"))];
    let (missing, ca_file) = (file("missing"), file("ca"));
    for (options, parts) in [
        (&[("onward-tls-ca", ca_file.as_str())][..], &["onward-tls-ca", "\"onward-tls\""][..]),
        (&[("onward-tls-insecure", "1")], &["onward-tls-insecure"]),
        (&[("onward-tls", "1"), ("onward-tls-ca", &missing)], &["missing", "No such file"]),
        (&[("onward-tls", "1"), ("onward-tls-ca", &own[1].1)], &["own.key", "no certificate"]),
        (&[("onward-tls", "1"), ("onward-tls-cert", &own[0].1)], &["onward-tls-cert", "onward-tls-key"]),
        (&[("onward-tls", "1"), ("onward-tls-key", &own[1].1)], &["onward-tls-cert", "onward-tls-key"]),
        (
            &[("onward-tls", "1"), ("onward-tls-cert", &ca_file), ("onward-tls-key", &own[1].1)],
            &["own.key", "does not belong"],
        ),
        (&[("onward-tls", "1"), ("onward-tls-ca", &ca_file), ("onward-tls-name", "a b")], &["a b"]),
    ] {
        let error = mistake(vhost("ipv4:127.0.0.1:1", options, None));
        assert_names(&error, &[&["relay.test", "raw-proxy"], parts].concat());
    }
}
