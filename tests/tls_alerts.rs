//! Which alert tells a client of which fault: the table in READMEs/README.tls.md, row by row.

mod util;

use std::io::Write;

use rlws::{ClientCerts, Listen, Mount, TlsInfo, TlsSettings, VhostInfo};
use rustls::ContentType;
use util::certs::localhost;
use util::tls::{self, Client, trusting};
use util::tls_by_hand::{ALPN, Answer, GROUPS, Hello, KEY_SHARE, Records, SUPPORTED_VERSIONS, answer, counted, record};
use util::*;

/// Alerts by name (RFC 8446 section 6), for those of this file.
const ALERTS: [(&str, u8); 16] = [
    ("unexpected_message", 10),
    ("bad_record_mac", 20),
    ("record_overflow", 22),
    ("handshake_failure", 40),
    ("bad_certificate", 42),
    ("unsupported_certificate", 43),
    ("certificate_revoked", 44),
    ("certificate_expired", 45),
    ("illegal_parameter", 47),
    ("unknown_ca", 48),
    ("decode_error", 50),
    ("decrypt_error", 51),
    ("protocol_version", 70),
    ("no_renegotiation", 100),
    ("certificate_required", 116),
    ("no_application_protocol", 120),
];

fn name_of(number: u8) -> &'static str {
    ALERTS.iter().find(|(_, known)| *known == number).map_or("another", |(name, _)| name)
}

fn vhost(tls: TlsInfo) -> VhostInfo {
    VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(tls),
        protocols: vec![Recorder::<0>::table()],
        mounts: vec![Mount::callback("/", "recorder")],
        ..Default::default()
    }
}

fn server_with(tls: TlsInfo) -> Server {
    Server::with_vhost(move || vhost(tls))
}

fn only(versions: &[&str], suites: &[&str]) -> TlsInfo {
    let strings = |list: &[&str]| list.iter().map(|name| (*name).to_owned()).collect();
    let settings = TlsSettings { versions: strings(versions), cipher_suites: strings(suites), groups: Vec::new() };
    TlsInfo { settings, ..localhost().tls_info() }
}

/// The alert that answers a hello.
#[track_caller]
fn refusal(server: &Server, hello: &[u8]) -> &'static str {
    match answer(server.made, hello) {
        Answer::Alert(number) => name_of(number),
        other => panic!("no alert: {other:?}"),
    }
}

fn old() -> Client<'static> {
    Client { only_1_2: true, ..trusting() }
}

#[test]
fn versions_and_suites_that_are_off_are_refused_by_name() {
    let (any, old_only) = (server_with(only(&[], &[])), server_with(only(&["1.2"], &[])));
    let new_only = server_with(only(&["1.3"], &["TLS_AES_256_GCM_SHA384"]));
    let one_old = server_with(only(&["1.2"], &["ECDHE-ECDSA-AES256-GCM-SHA384"]));
    const LAX: &str = "DEFAULT@SECLEVEL=0";
    // These old ones lack an extension that is looked for first.
    for (server, args, alert) in [
        (&any, &["-tls1_1", "-cipher", LAX][..], Some("handshake_failure")),
        (&any, &["-tls1", "-cipher", LAX], Some("handshake_failure")),
        (&any, &["-tls1_2"], None),
        (&any, &["-tls1_3"], None),
        (&any, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA"], Some("handshake_failure")),
        (&any, &["-tls1_2", "-cipher", "AES128-GCM-SHA256"], Some("handshake_failure")),
        (&any, &["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"], Some("handshake_failure")),
        (&old_only, &["-tls1_3"], Some("protocol_version")),
        (&old_only, &["-tls1_2"], None),
        (&new_only, &["-tls1_2"], Some("protocol_version")),
        (&new_only, &["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"], Some("handshake_failure")),
        (&new_only, &["-tls1_3", "-ciphersuites", "TLS_AES_256_GCM_SHA384"], None),
        (&one_old, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], Some("handshake_failure")),
        (&one_old, &["-tls1_2", "-cipher", "ECDHE-ECDSA-AES256-GCM-SHA384"], None),
    ] {
        let output = finish(tls::s_client(server.made).args(args));
        let said = String::from_utf8_lossy(&output.stderr);
        let number = said.split("SSL alert number ").nth(1).and_then(|rest| rest.split_whitespace().next());
        let told = number.map(|number| name_of(number.parse().expect("a number")));
        assert_eq!((output.status.success(), told), (alert.is_none(), alert), "{args:?}: {said}");
    }
}

#[test]
fn a_hello_that_cannot_be_served_is_refused_by_name() {
    let server = server_with(localhost().tls_info());
    let (older, newer) = (Hello::of(&old(), "localhost"), Hello::of(&trusting(), "localhost"));
    let bytes = |hello: &Hello| hello.records(16_384);
    let mut ssl3 = older.clone();
    ssl3.version = [3, 0];
    ssl3.extensions.retain(|(number, _)| *number != SUPPORTED_VERSIONS);
    let mut suiteless = older.clone();
    suiteless.suites = vec![0x13, 0x37];
    let mut compressed = older.clone();
    compressed.compressions = vec![1];
    let groupless = newer.clone().with(GROUPS, &counted(2, &[1, 0])).with(KEY_SHARE, &counted(2, &[1, 0, 0, 1, 7]));
    let drafts = newer.clone().with(SUPPORTED_VERSIONS, &counted(1, &[0x7f, 0x1c]));
    // With TLS 1.3 the alert comes behind the server's hello, encrypted.
    let stranger = older.clone().with(ALPN, &counted(2, &counted(1, b"h2")));
    let nothing = newer.clone().with(ALPN, &[]);
    let short = [&record(22, &[1, 0, 0, 2, 3, 3])[..]].concat();
    let other_message = record(22, &[1, 0, 0, 0]);
    for (what, bytes, alert) in [
        ("SSL 3.0 at most", bytes(&ssl3), "protocol_version"),
        ("versions that nobody has", bytes(&drafts), "protocol_version"),
        ("suites that nobody has", bytes(&suiteless), "handshake_failure"),
        ("groups that nobody has", bytes(&groupless), "handshake_failure"),
        ("compression alone", bytes(&compressed), "illegal_parameter"),
        ("ALPN that is not spoken here", bytes(&stranger), "no_application_protocol"),
        ("an extension without form", bytes(&nothing), "decode_error"),
        ("a hello that ends early", short, "decode_error"),
        ("a hello with nothing in it", other_message, "decode_error"),
    ] {
        assert_eq!(refusal(&server, &bytes), alert, "{what}");
    }
    // Compression that is offered beside none is not taken: what is chosen stands behind the suite.
    let mut offered = older.clone();
    offered.compressions = vec![1, 0];
    let Answer::Hello(bytes) = answer(server.made, &offered.records(16_384)) else { panic!("no hello") };
    let session = usize::from(bytes[43]);
    assert_eq!(bytes[44 + session + 2], 0);
    server.assert_nothing_left();
}

#[test]
fn a_record_that_cannot_be_is_refused_by_name() {
    let server = server_with(localhost().tls_info());
    for (only_1_2, version) in [(true, "1.2"), (false, "1.3")] {
        let told = |say: &dyn Fn(&mut Records) -> Vec<u8>| {
            let mut records = Records::of(server.made, only_1_2);
            let bytes = say(&mut records);
            send(&mut records.socket, &bytes);
            records.alerts().iter().map(|number| name_of(*number)).collect::<Vec<_>>()
        };
        let spoiled = told(&|records| {
            let mut bytes = records.seal(ContentType::ApplicationData, b"GET");
            *bytes.last_mut().expect("it has bytes") ^= 1;
            bytes
        });
        assert_eq!(spoiled, ["bad_record_mac"], "{version}: a record that was changed");
        let again = told(&|records| records.seal(ContentType::ApplicationData, b"\r\n").repeat(2));
        assert_eq!(again, ["bad_record_mac"], "{version}: a record for the second time");
        let big = told(&|_| [&[23, 3, 3, 0x48, 0x01][..], &[0; 64]].concat());
        assert_eq!(big, ["decode_error"], "{version}: more than 2^14 + 2048 bytes");
        let bigger = told(&|records| records.seal(ContentType::ApplicationData, &[b' '; 16_385]));
        assert_eq!(bigger, ["record_overflow"], "{version}: more than 2^14 bytes of data");
        let heartbeat = told(&|records| records.seal(ContentType::Heartbeat, &[1, 0x40, 0, b'x']));
        assert_eq!(heartbeat, ["decode_error"], "{version}: a heartbeat");
        let message = told(&|records| records.seal(ContentType::Handshake, &[14, 0, 0, 0]));
        assert_eq!(message, ["unexpected_message"], "{version}: a message of the handshake behind it");
    }
    server.assert_nothing_left();
}

#[test]
fn a_certificate_that_is_not_good_is_refused_by_name() {
    let clients = Ca::new("the clients' CA");
    let (good, gone) = (clients.client("Good"), clients.client("Gone"));
    let (expired, foreign) = (clients.expired_client("Late"), Ca::new("the clients' CA").client("Good"));
    let of_server = clients.server(&["some.body"]);
    let demands = TlsInfo {
        client_certs: ClientCerts::Required { ca: clients.pem() },
        revoked: Some(rlws::Pem::text(clients.revocation_list(&[&gone]))),
        ..localhost().tls_info()
    };
    let server = server_with(demands);
    for only_1_2 in [true, false] {
        for (identity, alert) in [
            (None, "CertificateRequired"),
            (Some(&gone), "CertificateRevoked"),
            (Some(&expired), "CertificateExpired"),
            (Some(&foreign), "DecryptError"),
            (Some(&of_server), "UnsupportedCertificate"),
        ] {
            let config = Client { identity, only_1_2, ..trusting() }.config();
            let why = tls::refusal(&config, server.made, "localhost");
            assert!(why.ends_with(&format!("received fatal alert: {alert}")), "{alert}, 1.2 only {only_1_2}: {why}");
        }
        let stranger = Ca::new("a stranger").client("Good");
        let config = Client { identity: Some(&stranger), only_1_2, ..trusting() }.config();
        let why = tls::refusal(&config, server.made, "localhost");
        assert!(why.ends_with("received fatal alert: UnknownCA"), "{why}");
        let mut client = Client { identity: Some(&good), only_1_2, ..trusting() }.connect(server.made, "localhost");
        assert_eq!(http::ask(&mut client, "localhost", "/").status, 200);
    }
    server.assert_nothing_left();
}

/// Who answers the server's hello with something else than the handshake.
#[test]
fn what_does_not_belong_in_the_handshake_is_refused_by_name() {
    let server = server_with(localhost().tls_info());
    for (what, bytes, alert) in [
        ("data", record(23, b"GET / HTTP/1.1\r\n\r\n"), "received unexpected message"),
        ("another message", record(22, &[14, 0, 0, 0]), "received unexpected handshake message"),
    ] {
        let mut socket = connect(server.made);
        let hello = Hello::of(&old(), "localhost").records(16_384);
        socket.write_all(&hello).expect("send");
        read_exactly(&mut socket, 5);
        send(&mut socket, &bytes);
        let (rest, _) = read_until_closed(&mut socket);
        assert_eq!(rest[rest.len() - 7..], [21, 3, 3, 0, 2, 2, 10], "unexpected_message for {what}");
        server.wait_for_log(&[alert]);
    }
    server.assert_nothing_left();
}
