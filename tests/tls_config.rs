//! What a vhost's TLS is made from: keys and certificates in every form, settings that hold, and mistakes that are told.

mod util;

use std::path::Path;
use std::process::Command;

use rlws::protocols::HttpDummy;
use rlws::{ClientCerts, Context, ContextInfo, Listen, Pem, ProtocolTable, TlsInfo, TlsSettings, VhostInfo};
use util::certs::{ca, localhost};
use util::server::{assert_names, make_vhost, mistake};
use util::tls::{self, Client, trusting};
use util::*;

fn vhost(tls: TlsInfo) -> VhostInfo {
    VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(tls),
        protocols: vec![ProtocolTable::of::<HttpDummy>()],
        ..Default::default()
    }
}

fn serving(tls: TlsInfo) -> Server {
    Server::with_vhost(move || vhost(tls))
}

fn with_settings(settings: TlsSettings) -> TlsInfo {
    TlsInfo { settings, ..localhost().tls_info() }
}

fn strings(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

/// Why a vhost could not be made of this.
#[track_caller]
fn refused(tls: TlsInfo) -> String {
    mistake(vhost(tls))
}

fn pem_of(text: &str) -> Pem {
    Pem::text(text.to_owned())
}

// -- forms of keys and certificates

#[test]
fn every_kind_of_key_serves_in_every_form_it_has() {
    for (algorithm, traditional) in [
        (Algorithm::Ecdsa, Some("EC PRIVATE KEY")),
        (Algorithm::EcdsaP384, Some("EC PRIVATE KEY")),
        (Algorithm::Rsa, Some("RSA PRIVATE KEY")),
        (Algorithm::Ed25519, None),
    ] {
        let identity = ca().server_with(&["localhost"], algorithm);
        assert!(identity.key.contains("BEGIN PRIVATE KEY"), "{algorithm:?}");
        let mut forms = vec![identity.clone()];
        if let Some(header) = traditional {
            forms.push(identity.traditional());
            assert!(forms[1].key.contains(header), "{algorithm:?}: {header}");
        }
        for form in forms {
            let server = serving(form.tls_info());
            for only_1_2 in [false, true] {
                let client = Client { ca: Some(ca()), only_1_2, ..trusting() }.connect(server.made, "localhost");
                assert!(tls::shown_cert(&client) == identity.der(), "{algorithm:?}");
            }
        }
    }
}

#[test]
fn openssl_and_curl_are_content_with_every_kind_of_key() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca_file = folder.path().join("ca");
    std::fs::write(&ca_file, ca().text()).expect("write");
    for algorithm in [Algorithm::Ecdsa, Algorithm::EcdsaP384, Algorithm::Rsa, Algorithm::Ed25519] {
        let server = serving(ca().server_with(&["localhost"], algorithm).tls_info());
        for version in ["-tls1_2", "-tls1_3"] {
            let args = [version, "-verify_return_error", "-verify_hostname", "localhost", "-servername", "localhost"];
            let output = succeed(tls::s_client(server.made).args(args).arg("-CAfile").arg(&ca_file));
            let output = String::from_utf8_lossy(&output);
            assert!(output.contains("Verify return code: 0 (ok)"), "{algorithm:?} {version}: {output}");
        }
        assert_eq!(curl(server.made, &ca_file, &[]), "404", "{algorithm:?}");
    }
}

/// The status that curl gets from `https://localhost`, having checked the certificate.
#[track_caller]
fn curl(port: u16, ca_file: &Path, args: &[&str]) -> String {
    let output = finish(&mut curl_command(port, ca_file, args));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "curl {args:?}: {said}");
    String::from_utf8(output.stdout).expect("a number")
}

fn curl_command(port: u16, ca_file: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(require("curl"));
    command
        .args(["-sS", "--noproxy", "*", "-w", "%{http_code}", "--resolve", &format!("localhost:{port}:127.0.0.1")])
        .arg("-o")
        .arg(ca_file.with_extension("page"))
        .arg("--cacert")
        .arg(ca_file)
        .args(args)
        .arg(format!("https://localhost:{port}/"));
    command
}

#[test]
fn pem_is_understood_in_files_and_in_any_order() {
    let between = ca().below("in between");
    let Identity { cert, key } = between.server(&["localhost"]);
    let (signer, folder) = (between.text(), tempfile::tempdir().expect("a folder"));
    let crlf = |text: &str| text.replace('\n', "\r\n");
    for (number, (cert, key)) in [
        (format!("{cert}{signer}"), key.clone()),
        // One file for everything, whichever comes first.
        (format!("{key}{cert}{signer}"), format!("{key}{cert}{signer}")),
        (format!("{cert}{signer}{key}"), format!("{cert}{signer}{key}")),
        (format!("{cert}{key}{signer}"), format!("{cert}{key}{signer}")),
        // Comments, and what other systems do to lines.
        (format!("subject=localhost\n\n{cert}\nissuer=in between\n{signer}"), format!("Key Attributes\n{key}\n\n")),
        (crlf(&format!("{cert}{signer}")), crlf(&key)),
    ]
    .into_iter()
    .enumerate()
    {
        let identity = Identity { cert, key };
        let (cert, key) = identity.write(folder.path(), &number.to_string());
        for info in [identity.tls_info(), TlsInfo::new(Pem::file(cert), Pem::file(key))] {
            let server = serving(info);
            let client = Client { ca: Some(ca()), ..trusting() }.connect(server.made, "localhost");
            assert_eq!(client.conn.peer_certificates().map(<[_]>::len), Some(2), "form {number}");
        }
    }
}

#[test]
fn a_chain_is_understood_whichever_certificate_comes_first() {
    let between = ca().below("in between");
    let Identity { cert, key } = between.server(&["localhost"]);
    let backwards = Identity { cert: format!("{}{cert}", between.text()), key };
    let server = serving(backwards.tls_info());
    Client { ca: Some(ca()), ..trusting() }.connect(server.made, "localhost");
}

// -- mistakes

#[test]
fn a_certificate_that_is_alone_gets_those_above_it() {
    let (upper, other) = (ca().below("upper"), Ca::new("another root"));
    let lower = upper.below("lower");
    let identity = lower.server(&["localhost"]);
    // In any order, with some that have nothing to do with it; the root itself is not sent.
    let above = [other.text(), ca().text(), upper.text(), lower.text()].concat();
    let server = serving(TlsInfo { issuers: Some(Pem::text(above)), ..identity.tls_info() });
    let stream = Client { ca: Some(ca()), ..trusting() }.connect(server.made, "localhost");
    let sent = stream.conn.peer_certificates().expect("a server shows some");
    assert_eq!(sent, [identity.der(), lower.der(), upper.der()]);
    assert!(!server.log().iter().any(|line| line.contains("does nothing")));
}

#[test]
fn certificates_that_are_above_nothing_are_told() {
    let strangers = Ca::new("a stranger").pem();
    let server = serving(TlsInfo { issuers: Some(strangers.clone()), ..localhost().tls_info() });
    server.wait_for_log(&["WARN", "does nothing", "client-cert-required"]);
    Client { ca: Some(ca()), ..trusting() }.connect(server.made, "localhost");

    // Whose root it is, which is not sent, is told nothing; nor is who asks clients for certificates of them.
    let asks = ClientCerts::Asked { ca: strangers.clone() };
    for (issuers, client_certs) in [(ca().pem(), ClientCerts::NotAsked), (strangers, asks)] {
        let server = serving(TlsInfo { issuers: Some(issuers), client_certs, ..localhost().tls_info() });
        let stream = Client { ca: Some(ca()), ..trusting() }.connect(server.made, "localhost");
        assert_eq!(stream.conn.peer_certificates().map(<[_]>::len), Some(1));
        assert!(!server.log().iter().any(|line| line.contains("does nothing")));
    }
    assert_names(&refused(TlsInfo { issuers: Some(pem_of("nothing")), ..localhost().tls_info() }), &["no certificate"]);
}

#[test]
fn a_key_of_another_certificate_is_told_with_both_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, _) = localhost().write(folder.path(), "mine");
    for algorithm in [Algorithm::Ecdsa, Algorithm::Ed25519, Algorithm::Rsa] {
        let (_, key) = ca().server_with(&["localhost"], algorithm).write(folder.path(), "theirs");
        let error = refused(TlsInfo::new(Pem::file(&cert), Pem::file(key)));
        assert_names(&error, &["localhost", "mine.cert", "theirs.key", "does not belong"]);
    }
    assert_names(&refused(TlsInfo::new(pem_of(&localhost().cert), pem_of(&ca().server(&["x"]).key))), &["localhost"]);
}

#[test]
fn pem_without_what_is_wanted_is_told_with_its_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = localhost().write(folder.path(), "own");
    let (cert, key) = (|| Pem::file(&cert), || Pem::file(&key));
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing here\n").expect("write");
    assert_names(&refused(TlsInfo::new(key(), key())), &["own.key", "no certificate"]);
    assert_names(&refused(TlsInfo::new(cert(), cert())), &["own.cert", "no private key"]);
    assert_names(&refused(TlsInfo::new(Pem::file(&empty), key())), &["empty.pem", "no certificate"]);
    assert_names(&refused(TlsInfo::new(cert(), Pem::file(&empty))), &["empty.pem", "no private key"]);
    for client_certs in [ClientCerts::Required { ca: Pem::file(&empty) }, ClientCerts::Asked { ca: Pem::file(&empty) }]
    {
        let info = TlsInfo { client_certs, ..TlsInfo::new(cert(), key()) };
        assert_names(&refused(info), &["localhost", "empty.pem", "no certificate"]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_told_with_its_path() {
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = localhost().write(folder.path(), "own");
    let missing = folder.path().join("missing.pem");
    for info in [
        TlsInfo::new(Pem::file(&missing), Pem::file(&key)),
        TlsInfo::new(Pem::file(&cert), Pem::file(&missing)),
        TlsInfo {
            client_certs: ClientCerts::Required { ca: Pem::file(&missing) },
            ..TlsInfo::new(Pem::file(&cert), Pem::file(&key))
        },
    ] {
        assert_names(&refused(info), &["localhost", "missing.pem", "No such file"]);
    }
    assert_names(&refused(TlsInfo::new(Pem::file(folder.path()), Pem::file(&key))), &["localhost", "directory"]);
}

#[test]
fn what_is_no_certificate_and_no_key_is_told_and_never_shown() {
    let broken = |label: &str| pem_of(&format!("-----BEGIN {label}-----\nc2VjcmV0\n-----END {label}-----\n"));
    let cut = pem_of(&localhost().cert[..200]);
    let (cert, key) = localhost().pems();
    let told = refused(TlsInfo::new(cut, key.clone()));
    assert_names(&told, &["localhost", "tls", "there is no -----END CERTIFICATE-----"]);
    for info in [
        TlsInfo::new(broken("CERTIFICATE"), key),
        TlsInfo::new(cert.clone(), broken("PRIVATE KEY")),
        TlsInfo::new(cert.clone(), broken("RSA PRIVATE KEY")),
        TlsInfo::new(cert, broken("ENCRYPTED PRIVATE KEY")),
    ] {
        assert!(!format!("{info:?}").contains("c2VjcmV0"), "{info:?}");
        let error = refused(info);
        assert_names(&error, &["localhost", "tls"]);
        assert!(!error.contains("c2VjcmV0"), "{error}");
    }
}

#[test]
fn an_unknown_setting_is_told_with_the_known_ones() {
    let suites = with_settings(TlsSettings { cipher_suites: strings(&["RC4-MD5"]), ..Default::default() });
    assert_names(&refused(suites), &["localhost", "RC4-MD5", "TLS13_AES_128_GCM_SHA256"]);
    let groups = with_settings(TlsSettings { groups: strings(&["X25519", "sect571k1"]), ..Default::default() });
    assert_names(&refused(groups), &["localhost", "sect571k1", "X25519", "secp256r1"]);
    for version in ["1.1", "SSLv3", "1.4", ""] {
        let versions = with_settings(TlsSettings { versions: strings(&[version]), ..Default::default() });
        assert_names(&refused(versions), &["localhost", version, "1.2", "1.3"]);
    }
}

#[test]
fn settings_that_leave_nothing_to_agree_on_are_told() {
    let settings = TlsSettings {
        versions: strings(&["1.3"]),
        cipher_suites: strings(&["ECDHE-ECDSA-AES128-GCM-SHA256"]),
        ..Default::default()
    };
    assert_names(&refused(with_settings(settings)), &["localhost", "tls"]);
}

#[test]
fn a_plain_vhost_and_one_with_tls_on_one_port_are_told_both() {
    for tls_first in [true, false] {
        let mut context = Context::new(ContextInfo::default()).expect("Context::new");
        let encrypted = VhostInfo { name: "encrypted.test".into(), ..vhost(localhost().tls_info()) };
        let plain = VhostInfo { name: "plain.test".into(), tls: None, ..encrypted.clone() };
        let (first, second) = if tls_first { (encrypted, plain) } else { (plain, encrypted) };
        let name = second.name.clone();
        make_vhost(&mut context, first);
        let error = context.create_vhost(second).expect_err("it does not fit").to_string();
        assert_names(&error, &["encrypted.test", "plain.test", "127.0.0.1 port 0"]);
        assert!(context.cx().vhost_by_name(&name).is_none());
        assert_eq!(context.cx().wsi_count(), 1, "the listener of the first");
    }
}

// -- settings hold

#[test]
fn only_the_versions_that_are_set_are_spoken() {
    let ca_file = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(ca_file.path(), ca().text()).expect("write");
    for (versions, has_1_2, has_1_3) in
        [(&[][..], true, true), (&["1.2"], true, false), (&["TLSv1.3"], false, true), (&["1.3", "1.2"], true, true)]
    {
        let server = serving(with_settings(TlsSettings { versions: strings(versions), ..Default::default() }));
        let speaks = |switch: &str| finish(tls::s_client(server.made).arg(switch)).status.success();
        assert_eq!(speaks("-tls1_2"), has_1_2, "{versions:?}");
        assert_eq!(speaks("-tls1_3"), has_1_3, "{versions:?}");
        let args = ["-tls1_1", "-cipher", "DEFAULT@SECLEVEL=0"];
        assert!(!finish(tls::s_client(server.made).args(args)).status.success(), "1.1 with {versions:?}");
        let fetches = |args: &[&str]| finish(&mut curl_command(server.made, ca_file.path(), args)).status.success();
        assert_eq!(fetches(&["--tls-max", "1.2"]), has_1_2, "{versions:?}");
        assert_eq!(fetches(&["--tlsv1.3"]), has_1_3, "{versions:?}");
        assert!(fetches(&[]), "{versions:?}");
        server.assert_nothing_left();
    }
}

#[test]
fn only_the_cipher_suites_that_are_set_are_agreed_on() {
    let settings = TlsSettings {
        cipher_suites: strings(&["TLS_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"]),
        ..Default::default()
    };
    let server = serving(with_settings(settings));
    for (args, agreed) in [
        (&["-tls1_3"][..], Some("TLS_CHACHA20_POLY1305_SHA256")),
        (&["-tls1_3", "-ciphersuites", "TLS_AES_128_GCM_SHA256"], None),
        (&["-tls1_2"], Some("ECDHE-ECDSA-AES256-GCM-SHA384")),
        (&["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], None),
    ] {
        let output = finish(tls::s_client(server.made).args(args));
        let text = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.success(), agreed.is_some(), "{args:?}: {text}");
        assert!(agreed.is_none_or(|suite| text.contains(&format!("Cipher is {suite}"))), "{args:?}: {text}");
    }
}

#[test]
fn only_the_groups_that_are_set_are_agreed_on() {
    let settings = TlsSettings { groups: strings(&["P-384"]), ..Default::default() };
    // In TLS 1.2 the groups also say which EC certificates are understood; an RSA one is out of that.
    let server = serving(TlsInfo { settings, ..ca().server_with(&["localhost"], Algorithm::Rsa).tls_info() });
    for (groups, works) in [("P-384", true), ("X25519:P-384", true), ("X25519:P-256", false)] {
        for version in ["-tls1_2", "-tls1_3"] {
            let output = finish(tls::s_client(server.made).args([version, "-groups", groups]));
            let text = String::from_utf8_lossy(&output.stdout);
            assert_eq!(output.status.success(), works, "{groups} {version}: {text}");
            assert!(!works || text.contains("secp384r1"), "{groups} {version}: {text}");
        }
    }
}

#[test]
fn without_settings_aes_128_is_agreed_on_and_chacha20_with_who_wants_it() {
    let server = serving(with_settings(TlsSettings::default()));
    for (version, list, clients, agreed) in [
        ("-tls1_3", "-ciphersuites", ["AES_256_GCM_SHA384", "AES_128_GCM_SHA256"], "AES_128_GCM_SHA256"),
        ("-tls1_3", "-ciphersuites", ["CHACHA20_POLY1305_SHA256", "AES_128_GCM_SHA256"], "CHACHA20_POLY1305_SHA256"),
        ("-tls1_3", "-ciphersuites", ["AES_256_GCM_SHA384", "CHACHA20_POLY1305_SHA256"], "AES_256_GCM_SHA384"),
        ("-tls1_2", "-cipher", ["AES256-GCM-SHA384", "AES128-GCM-SHA256"], "AES128-GCM-SHA256"),
        ("-tls1_2", "-cipher", ["CHACHA20-POLY1305", "AES128-GCM-SHA256"], "CHACHA20-POLY1305"),
    ] {
        let prefix = if version == "-tls1_3" { "TLS_" } else { "ECDHE-ECDSA-" };
        let offer = clients.map(|suite| format!("{prefix}{suite}")).join(":");
        let output = succeed(tls::s_client(server.made).args([version, list, &offer]));
        let output = String::from_utf8_lossy(&output);
        assert!(output.contains(&format!("Cipher is {prefix}{agreed}")), "{offer}: {output}");
    }
}

#[test]
fn of_several_suites_the_servers_favourite_is_agreed_on() {
    for (versions, own) in [
        ("-tls1_3", ["TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_GCM_SHA256"]),
        ("-tls1_2", ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]),
    ] {
        let server = serving(with_settings(TlsSettings { cipher_suites: strings(&own), ..Default::default() }));
        let switch = if versions == "-tls1_3" { "-ciphersuites" } else { "-cipher" };
        let clients = format!("{}:{}", own[1], own[0]);
        let output = succeed(tls::s_client(server.made).args([versions, switch, &clients]));
        let output = String::from_utf8_lossy(&output);
        assert!(output.contains(&format!("Cipher is {}", own[0])), "{output}");
    }
}
