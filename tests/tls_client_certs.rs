//! Client certificates: who is let in, what a protocol learns of them, and that resumed sessions lead around nothing.

mod util;

use std::cell::RefCell;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rlws::{
    Call, ClientCerts, InitError, Listen, Mount, PeerCert, Protocol, ProtocolTable, Pvo, Reason, TlsInfo, Verdict,
    VhostCall, VhostInfo,
};
use rustls::ClientConfig;
use sha2::{Digest, Sha256};
use util::certs::{GOOD_FROM, GOOD_UNTIL, ca, seconds};
use util::server::make_vhost;
use util::tls::{self, Client, TlsStream, resumed, trusting};
use util::*;

thread_local! {
    static SEEN: RefCell<Vec<(bool, Option<PeerCert>)>> = const { RefCell::new(Vec::new()) };
}

/// Notes whether a request came over TLS, and with which certificate; answers with the vhost's `text`.
struct Looks;

impl Protocol for Looks {
    const NAME: &'static str = "looks";
    type Session = ();
    type Vhost = String;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<String, InitError> {
        Ok(pvo.get("text").unwrap_or_default().to_owned())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::Http(_) = reason {
            SEEN.with_borrow_mut(|seen| seen.push((call.wsi.is_tls(), call.wsi.tls_peer_cert_info())));
            call.wsi.return_http_status(200, Some(call.vhd));
        }
        Verdict::Continue
    }
}

fn vhost(name: &str, client_certs: ClientCerts) -> VhostInfo {
    VhostInfo {
        name: name.into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(TlsInfo { client_certs, ..ca().server(&[name]).tls_info() }),
        mounts: vec![Mount::callback("/", "looks")],
        protocols: vec![ProtocolTable::of::<Looks>()],
        pvo: options("looks", &[("text", name)]),
        ..Default::default()
    }
}

/// `open.test`, which asks nobody, `demanding.test`, and `asking.test`; clients' CA is one of their own.
fn setup() -> (Server, Ca) {
    let clients = Ca::new("the clients' CA");
    let pem = clients.pem();
    let server = Server::start(move |context| {
        let port = make_vhost(context, vhost("open.test", ClientCerts::NotAsked));
        make_vhost(context, vhost("demanding.test", ClientCerts::Required { ca: pem.clone() }));
        make_vhost(context, vhost("asking.test", ClientCerts::Asked { ca: pem }));
        port
    });
    (server, clients)
}

fn with(identity: &Identity, only_1_2: bool) -> Arc<ClientConfig> {
    Client { identity: Some(identity), only_1_2, ..trusting() }.config()
}

#[track_caller]
fn ask(client: &mut TlsStream, host: &str) -> http::Response {
    send(client, http::request("GET", host, "/").as_bytes());
    http::read_response(client)
}

fn seen(server: &Server) -> Vec<(bool, Option<PeerCert>)> {
    server.ask(|_| SEEN.with_borrow(Vec::clone))
}

#[test]
fn a_good_client_certificate_is_let_in_and_told_of() {
    let (server, clients) = setup();
    let own = clients.client("Some Body");
    for (name, only_1_2) in [("demanding.test", true), ("demanding.test", false), ("asking.test", false)] {
        let mut client = tls::handshake(&with(&own, only_1_2), server.made, name);
        assert_eq!(ask(&mut client, name).text(), name);
    }
    for (is_tls, cert) in seen(&server) {
        let cert = cert.expect("it was shown");
        assert!(is_tls && cert.verified);
        assert_eq!(cert.subject, "CN=Some Body");
        assert_eq!(cert.issuer, "CN=the clients' CA");
        assert_eq!(seconds(cert.not_before), GOOD_FROM);
        assert_eq!(seconds(cert.not_after), GOOD_UNTIL);
        let fingerprint: String = Sha256::digest(own.der()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(cert.fingerprint, fingerprint);
    }
    server.assert_nothing_left();
}

#[test]
fn the_fingerprint_is_the_one_that_openssl_computes() {
    let (server, clients) = setup();
    let own = clients.client("Some Body");
    ask(&mut tls::handshake(&with(&own, false), server.made, "demanding.test"), "demanding.test");
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, _) = own.write(folder.path(), "own");
    let mut openssl = Command::new(require("openssl"));
    let said = succeed(openssl.args(["x509", "-noout", "-fingerprint", "-sha256", "-in"]).arg(cert));
    let said = String::from_utf8_lossy(&said).trim().rsplit('=').next().unwrap_or_default().replace(':', "");
    let (_, known) = seen(&server).remove(0);
    assert_eq!(known.expect("it was shown").fingerprint, said.to_lowercase());
}

#[test]
fn there_is_nothing_to_tell_of_a_client_that_showed_nothing() {
    let (server, clients) = setup();
    let own = clients.client("Some Body");
    ask(&mut trusting().connect(server.made, "asking.test"), "asking.test");
    // It has one, and is not asked for it.
    ask(&mut tls::handshake(&with(&own, false), server.made, "open.test"), "open.test");
    assert_eq!(seen(&server), [(true, None), (true, None)]);
}

#[test]
fn a_client_certificate_that_is_missing_is_turned_away() {
    let (server, _) = setup();
    for only_1_2 in [true, false] {
        let config = Client { only_1_2, ..trusting() }.config();
        let why = tls::refusal(&config, server.made, "demanding.test");
        assert!(
            why.contains("CertificateRequired") || why.contains("HandshakeFailure") || why.contains("alert"),
            "{why}"
        );
    }
    server.wait_for_log(&["certificate"]);
    assert_eq!(seen(&server), []);
    server.assert_nothing_left();
}

#[test]
fn a_client_certificate_that_is_bad_is_turned_away_even_where_none_is_required() {
    let (server, clients) = setup();
    let expired = clients.expired_client("Some Body");
    let foreign = Ca::new("the clients' CA").client("Some Body");
    let servers = clients.server(&["some.body"]);
    for identity in [expired, foreign, servers] {
        for (name, only_1_2) in [("demanding.test", true), ("demanding.test", false), ("asking.test", false)] {
            let why = tls::refusal(&with(&identity, only_1_2), server.made, name);
            assert!(why.contains("alert"), "{why}");
        }
    }
    assert_eq!(seen(&server), []);
    server.assert_nothing_left();
}

#[test]
fn a_client_certificate_behind_an_intermediate_ca_is_let_in() {
    let (server, clients) = setup();
    let between = clients.below("in between");
    let own = between.client("Some Body").behind(&between);
    let mut client = tls::handshake(&with(&own, false), server.made, "demanding.test");
    assert_eq!(ask(&mut client, "demanding.test").text(), "demanding.test");
    assert_eq!(seen(&server)[0].1.as_ref().expect("it was shown").subject, "CN=Some Body");
    // Without the intermediate one nobody knows who signed.
    tls::refusal(&with(&between.client("Some Body"), false), server.made, "demanding.test");
}

// -- resumption

/// Connects, asks, so that tickets have come, and says whether the session was resumed.
#[track_caller]
fn visit(config: &Arc<ClientConfig>, port: u16, name: &str) -> bool {
    let mut client = tls::handshake(config, port, name);
    assert_eq!(ask(&mut client, name).text(), name);
    resumed(&client)
}

#[test]
fn a_session_is_resumed_in_its_vhost_and_the_certificate_is_still_known() {
    let (server, clients) = setup();
    let own = clients.client("Some Body");
    for only_1_2 in [true, false] {
        let config = with(&own, only_1_2);
        assert!(!visit(&config, server.made, "demanding.test"));
        assert!(visit(&config, server.made, "demanding.test"), "1.2 only: {only_1_2}");
        assert!(visit(&config, server.made, "demanding.test"));
    }
    let seen = seen(&server);
    assert!(seen.iter().all(|(_, cert)| cert.as_ref().is_some_and(|cert| cert.verified)), "{seen:?}");
    assert!(seen.iter().all(|entry| *entry == seen[0]));
}

/// `openssl s_client` asks `host` after SNI `name`, keeping its session in one file and offering one from another.
#[track_caller]
fn visit_with_openssl(port: u16, name: &str, host: &str, version: &str, sessions: (&Path, Option<&Path>)) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let request = folder.path().join("request");
    std::fs::write(&request, format!("GET / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n")).expect("write");
    let mut command = tls::s_client(port);
    command.args([version, "-ign_eof", "-servername", name, "-sess_out"]).arg(sessions.0);
    if let Some(offered) = sessions.1 {
        command.arg("-sess_in").arg(offered);
    }
    let output = finish_with(&mut command, Stdio::from(std::fs::File::open(&request).expect("open")));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_session_of_one_vhost_opens_no_other_and_is_not_resumed_there() {
    let (server, _) = setup();
    let folder = tempfile::tempdir().expect("a folder");
    for version in ["-tls1_2", "-tls1_3"] {
        let (own, other) = (folder.path().join("own"), folder.path().join("other"));
        let first = visit_with_openssl(server.made, "open.test", "open.test", version, (&own, None));
        assert!(first.contains("\nNew, ") && first.contains("HTTP/1.1 200 "), "{version}: {first}");
        assert!(own.is_file(), "{version}: no session came: {first}");

        let again = visit_with_openssl(server.made, "open.test", "open.test", version, (&other, Some(&own)));
        assert!(again.contains("\nReused, ") && again.contains("HTTP/1.1 200 "), "{version}: {again}");

        let elsewhere = visit_with_openssl(server.made, "asking.test", "asking.test", version, (&other, Some(&own)));
        assert!(elsewhere.contains("\nNew, ") && elsewhere.contains("HTTP/1.1 200 "), "{version}: {elsewhere}");

        let demanded =
            visit_with_openssl(server.made, "demanding.test", "demanding.test", version, (&other, Some(&own)));
        assert!(!demanded.contains("\nReused, ") && !demanded.contains("HTTP/1.1 200 "), "{version}: {demanded}");

        let by_host = visit_with_openssl(server.made, "open.test", "demanding.test", version, (&other, Some(&own)));
        assert!(by_host.contains("HTTP/1.1 421 "), "{version}: {by_host}");
    }
}

#[test]
fn a_session_of_a_client_with_a_certificate_is_worth_nothing_in_another_vhost() {
    let (server, clients) = setup();
    let config = with(&clients.client("Some Body"), false);
    visit(&config, server.made, "demanding.test");
    assert!(!visit(&config, server.made, "asking.test"));
    assert!(!visit(&config, server.made, "open.test"));
    assert!(visit(&config, server.made, "demanding.test"));
}

#[test]
fn sessions_of_a_vhost_that_is_gone_are_not_resumed_by_its_successor() {
    let (server, _) = setup();
    let config = trusting().config();
    visit(&config, server.made, "asking.test");
    server.ask(|context| {
        let id = context.cx().vhost_by_name("asking.test").expect("it is there");
        context.destroy_vhost(id);
        make_vhost(context, vhost("asking.test", ClientCerts::NotAsked));
    });
    assert!(!visit(&config, server.made, "asking.test"));
    assert!(visit(&config, server.made, "asking.test"));
}
