//! Client certificates that were revoked: lists in a vhost's TLS and in configurations, and that nothing leads around them.

mod util;

use std::fs;
use std::time::{Duration, SystemTime};

use rlws::{ClientCerts, Listen, Mount, Pem, TlsInfo, VhostInfo};
use util::certs::localhost;
use util::lwsws::Folder;
use util::server::{assert_names, mistake};
use util::tls::{self, Client, resumed, trusting};
use util::*;

fn vhost(client_certs: ClientCerts, revoked: Option<String>) -> VhostInfo {
    VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(TlsInfo { client_certs, revoked: revoked.map(Pem::text), ..localhost().tls_info() }),
        protocols: vec![Recorder::<0>::table()],
        mounts: vec![Mount::callback("/", "recorder")],
        ..Default::default()
    }
}

fn requiring(ca: &Ca, lists: String) -> Server {
    let client_certs = ClientCerts::Required { ca: ca.pem() };
    Server::with_vhost(move || vhost(client_certs, Some(lists)))
}

/// Whether the server serves who shows this, in TLS 1.2 and in TLS 1.3.
#[track_caller]
fn is_served(port: u16, identity: &Identity) -> [bool; 2] {
    [true, false].map(|only_1_2| {
        let config = Client { identity: Some(identity), only_1_2, ..trusting() }.config();
        let stream = tls::try_handshake(&config, connect(port), "localhost");
        stream.is_ok_and(|mut stream| {
            send(&mut stream, http::request("GET", "localhost", "/").as_bytes());
            std::io::Read::read(&mut stream, &mut [0]).is_ok()
        })
    })
}

const YES: [bool; 2] = [true, true];
const NO: [bool; 2] = [false, false];

#[test]
fn who_is_in_the_list_is_turned_away_and_nobody_else() {
    let clients = Ca::new("the clients' CA");
    let (good, gone) = (clients.client("Good"), clients.client("Gone"));
    let server = requiring(&clients, clients.revocation_list(&[&gone]));
    assert_eq!(is_served(server.made, &good), YES);
    assert_eq!(is_served(server.made, &gone), NO);
    server.wait_for_log(&["certificate", "Revoked"]);
    server.assert_nothing_left();
}

#[test]
fn a_client_that_cannot_be_looked_up_is_turned_away_by_the_fault_of_the_operator() {
    let clients = Ca::new("the clients' CA");
    let member = clients.client("Member");
    for (lists, why) in [
        (clients.expired_revocation_list(&[]), "the revocation list of its CA in the given PEM text is out of date"),
        (Ca::new("another CA").revocation_list(&[]), "the given PEM text has no revocation list of its CA"),
    ] {
        let server = requiring(&clients, lists);
        assert_eq!(is_served(server.made, &member), NO);
        server.wait_for_log(&["WARN", "turned away", why]);
        server.wait_for_log(&["closed by us: TLS handshake", why]);
        server.assert_nothing_left();
    }
}

#[test]
fn each_ca_of_a_chain_has_to_have_a_list_that_is_not_out_of_date() {
    let clients = Ca::new("the clients' CA");
    let between = clients.below("in between");
    let direct = clients.client("Direct");
    let below = between.client("Below").behind(&between);
    let (of_root, of_between) = (clients.revocation_list(&[]), between.revocation_list(&[]));
    for (lists, serves) in [
        (of_root.clone() + &of_between, [YES, YES]),
        (of_root.clone(), [YES, NO]),
        (of_between.clone(), [NO, NO]),
        (of_root.clone() + &between.expired_revocation_list(&[]), [YES, NO]),
        (clients.expired_revocation_list(&[]) + &of_between, [NO, NO]),
        (of_root.clone() + &between.revocation_list(&[&below]), [YES, NO]),
        // One in the middle is gone, and all below it.
        (clients.revocation_list(&[&between.identity()]) + &of_between, [YES, NO]),
        // By somebody else of the same name.
        (Ca::new("the clients' CA").revocation_list(&[]) + &of_between, [NO, NO]),
    ] {
        let server = requiring(&clients, lists);
        assert_eq!([&direct, &below].map(|identity| is_served(server.made, identity)), serves);
        server.assert_nothing_left();
    }
}

#[test]
fn where_certificates_are_only_asked_for_a_revoked_one_is_worse_than_none() {
    let clients = Ca::new("the clients' CA");
    let gone = clients.client("Gone");
    let (client_certs, lists) = (ClientCerts::Asked { ca: clients.pem() }, clients.revocation_list(&[&gone]));
    let server = Server::with_vhost(move || vhost(client_certs, Some(lists)));
    assert_eq!(is_served(server.made, &gone), NO);
    let mut nobody = trusting().connect(server.made, "localhost");
    assert_eq!(http::ask(&mut nobody, "localhost", "/").status, 200);
}

#[test]
fn a_list_that_cannot_be_used_is_told() {
    let clients = Ca::new("the clients' CA");
    let with = |client_certs: ClientCerts, text: String| mistake(vhost(client_certs, Some(text)));
    let required = || ClientCerts::Required { ca: clients.pem() };
    assert_names(&with(required(), clients.text()), &["no certificate revocation list"]);
    let garbage = "-----BEGIN X509 CRL-----\nZ2FyYmFnZQ==\n-----END X509 CRL-----\n";
    assert_names(&with(required(), garbage.to_owned()), &["CRL", "parse"]);
    assert_names(&with(ClientCerts::NotAsked, clients.revocation_list(&[])), &["not asked"]);
}

#[test]
fn what_there_is_to_say_of_a_list_changes_when_its_time_has_come() {
    let clients = Ca::new("the clients' CA");
    let mut tls = localhost().tls_info();
    tls.client_certs = ClientCerts::Required { ca: clients.pem() };
    tls.revoked = Some(Pem::text(clients.revocation_list_for(Duration::from_secs(3600), &[])));
    let now = SystemTime::now();
    let doubts = tls.doubts(now);
    let until = doubts.until.expect("the list has an end");
    assert!(doubts.found.is_empty() && until > now, "{doubts:?}");
    assert_eq!(tls.doubts(until - Duration::from_nanos(1)), doubts);
    let later = tls.doubts(until);
    assert!(later.found[0].to_string().contains("out of date since"), "{later:?}");
    // The certificate of the server has one as well.
    assert!(later.until.is_some_and(|next| next > until));
}

// -- by configuration

/// With lists of the CA that may have signed clients' certificates.
fn members_only(clients: &Ca, lists: String) -> Folder {
    let folder = Folder::new(
        "",
        r#""host-ssl-cert": "DIR/its.cert", "host-ssl-key": "DIR/its.key", "host-ssl-ca": "DIR/ca",
            "client-cert-required": "1", "client-cert-crl": "DIR/crl""#,
    );
    fs::write(folder.path("ca"), clients.text()).expect("write");
    fs::write(folder.path("crl"), lists).expect("write");
    folder
}

#[test]
fn a_list_that_is_out_of_date_or_of_another_ca_is_told_by_the_check() {
    let clients = Ca::new("the clients' CA");
    let other = Ca::new("another CA").revocation_list(&[]);
    let folder = members_only(&clients, clients.revocation_list(&[]));
    let check = || {
        let output = folder.run(&["--check"], b"");
        assert!(output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    let said = check();
    assert!(!said.contains("client-cert-crl"), "{said}");
    let none = "crl: there is no revocation list of CN=the clients' CA in it: its clients are turned away";
    let old = "crl: the revocation list of CN=the clients' CA is out of date since Fri, 01 Jan 2021 00:00:00 GMT: its \
               clients are turned away";
    for (lists, why) in [
        (other.clone(), none),
        // Of the same name, and another key.
        (Ca::new("the clients' CA").revocation_list(&[]), none),
        (clients.expired_revocation_list(&[]), old),
        (other + &clients.expired_revocation_list(&[]), old),
    ] {
        fs::write(folder.path("crl"), lists).expect("write");
        let said = check();
        assert_eq!(said.matches("warning: vhosts[0].client-cert-crl: ").count(), 1, "{said}");
        assert!(said.contains(why), "{said}");
    }
}

#[test]
fn a_list_that_is_renewed_too_late_is_told_when_its_time_comes() {
    let clients = Ca::new("the clients' CA");
    let member = clients.client("Member");
    let folder = members_only(&clients, clients.revocation_list(&[]));
    let program = folder.start();
    let port = program.port();
    let told = || program.log().matches("client-cert-crl: ").count();
    assert_eq!((is_served(port, &member), told()), (YES, 0));
    fs::write(folder.path("crl"), clients.revocation_list_for(Duration::from_secs(8), &[])).expect("write");
    eventually("it goes out of date", || told() > 0);
    assert_eq!((is_served(port, &member), told()), (NO, 1), "{}", program.log());
    program.wait_for_log("turned away: the revocation list of its CA");
    program.stop();
}

#[test]
fn a_new_list_is_noticed_and_ends_the_sessions_of_who_is_in_it() {
    let clients = Ca::new("the clients' CA");
    let gone = clients.client("Gone");
    let folder = members_only(&clients, clients.revocation_list(&[]));
    let program = folder.start();
    let port = program.port();
    let config = Client { identity: Some(&gone), ..trusting() }.config();
    let visit = || {
        let mut client = tls::handshake(&config, port, "localhost");
        assert_eq!(http::ask(&mut client, "localhost", "/").status, 200);
        resumed(&client)
    };
    assert!(!visit() && visit(), "the second one takes the session up again");

    fs::write(folder.path("crl"), "no list").expect("write");
    program.wait_for_log("is not taken");
    assert!(program.log().contains("client-cert-crl"), "{}", program.log());
    assert!(visit(), "the former list is still used");

    fs::write(folder.path("crl"), clients.revocation_list(&[&gone])).expect("write");
    eventually("who is in it is turned away", || is_served(port, &gone) == NO);
    let why = tls::refusal(&config, port, "localhost");
    assert!(why.contains("CertificateRevoked"), "by a session of before: {why}");
    program.stop();
}

#[test]
fn a_list_without_the_demand_for_a_certificate_is_a_mistake() {
    let folder = Folder::new(
        "",
        r#""host-ssl-cert": "DIR/its.cert", "host-ssl-key": "DIR/its.key", "client-cert-crl": "DIR/crl""#,
    );
    let output = folder.run(&["--check"], b"");
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("vhosts[0].client-cert-crl: needs client-cert-required"), "{said}");
}
