//! Vhosts on one TLS port: which one a name leads to, with which certificate, and what no name leads around.

mod util;

use std::process::Stdio;
use std::sync::LazyLock;

use rlws::{ClientCerts, Listen, Mount, Options, TlsInfo, VhostInfo};
use rustls::ClientConfig;
use util::certs::ca;
use util::server::make_vhost;
use util::tls::{self, Client, TlsStream, trusting};
use util::*;

const ALLOW: Options = Options::ALLOW_HTTP_ON_HTTPS_LISTENER;

/// The vhosts of the port, in their order: each has a certificate of its own, and answers with its recorder's name.
const NAMES: [&str; 3] = ["first.test", "x.com", "deep.x.com"];
static IDENTITIES: LazyLock<[Identity; 3]> = LazyLock::new(|| NAMES.map(|name| ca().server(&[name])));

fn vhost<const N: usize>(tls: TlsInfo) -> VhostInfo {
    let recorder = Recorder::<N>::table();
    VhostInfo {
        name: NAMES[N].into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(tls),
        mounts: vec![Mount::callback("/", recorder.name())],
        protocols: vec![recorder],
        ..Default::default()
    }
}

fn info(number: usize) -> TlsInfo {
    IDENTITIES[number].tls_info()
}

/// A demand for client certificates of the tests' CA.
fn required(number: usize) -> TlsInfo {
    TlsInfo { client_certs: ClientCerts::Required { ca: ca().pem() }, ..info(number) }
}

fn three(tls: [TlsInfo; 3], options: Options) -> Server {
    Server::start(move |context| {
        let [first, second, third] = tls;
        let port = make_vhost(context, VhostInfo { options, ..vhost::<0>(first) });
        assert_eq!(make_vhost(context, VhostInfo { options, ..vhost::<1>(second) }), port);
        assert_eq!(make_vhost(context, VhostInfo { options, ..vhost::<2>(third) }), port);
        port
    })
}

fn undemanding() -> Server {
    three([info(0), info(1), info(2)], Options::empty())
}

/// Asks on an established connection.
#[track_caller]
fn ask(client: &mut TlsStream, host: &str) -> http::Response {
    send(client, http::request("GET", host, "/").as_bytes());
    http::read_response(client)
}

/// Which certificate `openssl s_client` is shown, by its place in [`NAMES`]: for names in forms that rustls does not send.
#[track_caller]
fn shown_to_openssl(port: u16, args: &[&str]) -> usize {
    let output = succeed(tls::s_client(port).args(args));
    let output = String::from_utf8_lossy(&output);
    let found = IDENTITIES.iter().position(|identity| output.contains(identity.cert.trim()));
    found.unwrap_or_else(|| panic!("none of the certificates: {output}"))
}

#[test]
fn sni_picks_the_vhost_and_its_certificate() {
    let server = undemanding();
    for (name, vhost) in [
        ("first.test", 0),
        ("x.com", 1),
        ("X.Com", 1),
        ("www.x.com", 1),
        ("a.b.x.com", 1),
        ("deep.x.com", 2),
        ("very.deep.x.com", 2),
        ("notx.com", 0),
        ("com", 0),
        ("unknown.test", 0),
        ("127.0.0.1", 0),
    ] {
        let mut client = trusting().connect(server.made, name);
        assert!(tls::shown_cert(&client) == IDENTITIES[vhost].der(), "{name} is shown another certificate");
        // Without a Host that says otherwise.
        assert_eq!(ask(&mut client, name).text(), ["recorder", "second", "third"][vhost], "{name}");
    }
    server.assert_nothing_left();
}

#[test]
fn sni_picks_the_vhost_with_tls_1_2_as_well() {
    let server = undemanding();
    for (name, vhost) in [("first.test", 0), ("x.com", 1), ("deep.x.com", 2)] {
        let client = Client { only_1_2: true, ..trusting() }.connect(server.made, name);
        assert!(tls::shown_cert(&client) == IDENTITIES[vhost].der(), "{name} is shown another certificate");
    }
}

#[test]
fn a_client_that_checks_the_name_is_content_with_each_vhost() {
    let server = undemanding();
    for name in NAMES {
        Client { ca: Some(ca()), ..trusting() }.connect(server.made, name);
    }
    let config = Client { ca: Some(ca()), ..trusting() }.config();
    let refused = tls::try_handshake(&config, connect(server.made), "unknown.test");
    assert!(refused.is_err_and(|why| why.contains("NotValidForName") || why.contains("not valid for name")));
}

#[test]
fn sni_in_another_case_with_a_dot_or_none_at_all_picks_as_it_should() {
    let server = undemanding();
    for (args, vhost) in [
        (&["-servername", "x.com"][..], 1),
        (&["-servername", "X.COM"], 1),
        (&["-servername", "x.com."], 1),
        (&["-servername", "Deep.X.com."], 2),
        (&["-servername", "unknown.test"], 0),
        (&["-servername", "127.0.0.1"], 0),
        (&["-servername", "under_score.x.com"], 1),
        (&["-noservername"], 0),
    ] {
        for version in ["-tls1_2", "-tls1_3"] {
            assert_eq!(shown_to_openssl(server.made, &[args, &[version]].concat()), vhost, "{args:?} {version}");
        }
    }
    server.assert_nothing_left();
}

#[test]
fn a_name_without_form_ends_its_handshake_and_nothing_else() {
    let server = undemanding();
    for name in ["", ".", "..", "a..b", "-", "*.x.com", "x.com:443", "x com", &"a.".repeat(120), &"long".repeat(60)] {
        let output = finish(tls::s_client(server.made).args(["-servername", name]));
        let output = String::from_utf8_lossy(&output.stdout);
        // Refused with an alert, or taken for a name that nobody has; never for another vhost's.
        let foreign = IDENTITIES[1..].iter().any(|identity| output.contains(identity.cert.trim()));
        assert!(!foreign || name == "*.x.com", "{name:?}: {output}");
    }
    assert_eq!(ask(&mut trusting().connect(server.made, "x.com"), "x.com").text(), "second");
    server.assert_nothing_left();
}

#[test]
fn the_host_header_picks_again_among_the_vhosts_of_the_port() {
    let server = undemanding();
    for name in ["first.test", "x.com", "unknown.test"] {
        let mut client = trusting().connect(server.made, name);
        for (host, answer) in [
            ("deep.x.com", "third"),
            ("X.com:1234", "second"),
            ("first.test", "recorder"),
            ("unknown.test", "recorder"),
            ("deep.x.com:443", "third"),
        ] {
            assert_eq!(ask(&mut client, host).text(), answer, "{host} after {name}");
        }
    }
}

#[test]
fn a_new_vhost_is_picked_at_once_and_one_that_is_gone_no_more() {
    let server = undemanding();
    server.ask(|context| {
        let id = context.cx().vhost_by_name("x.com").expect("it is there");
        context.destroy_vhost(id);
    });
    let client = trusting().connect(server.made, "x.com");
    assert!(tls::shown_cert(&client) == IDENTITIES[0].der());
    server.ask(|context| make_vhost(context, vhost::<1>(info(1))));
    let client = trusting().connect(server.made, "x.com");
    assert!(tls::shown_cert(&client) == IDENTITIES[1].der());
}

#[test]
fn a_vhost_that_goes_takes_its_encrypted_connections_along() {
    let server = undemanding();
    let mut client = trusting().connect(server.made, "x.com");
    assert_eq!(ask(&mut client, "x.com").text(), "second");
    let begun = connect(server.made);
    server.ask(|context| {
        let id = context.cx().vhost_by_name("x.com").expect("it is there");
        context.destroy_vhost(id);
    });
    assert_eq!(tls::read_until_the_end(&mut client).0, b"");
    drop((client, begun));
    server.assert_nothing_left();
}

// -- vhosts that require a client certificate

/// `x.com` requires a client certificate, the two others do not.
fn demanding(options: Options) -> Server {
    three([info(0), required(1), info(2)], options)
}

/// A client that could show what `x.com` wants to see.
fn known() -> std::sync::Arc<ClientConfig> {
    let own = ca().client("known");
    Client { identity: Some(&own), ..trusting() }.config()
}

#[test]
fn a_client_with_a_certificate_is_served_by_the_vhost_that_requires_it() {
    let server = demanding(Options::empty());
    for name in ["x.com", "www.x.com"] {
        let mut client = tls::handshake(&known(), server.made, name);
        for host in ["x.com", "www.x.com:1", "X.COM"] {
            assert_eq!(ask(&mut client, host).text(), "second", "{host} after {name}");
        }
    }
}

#[test]
fn a_host_header_leads_to_no_vhost_whose_demands_the_connection_did_not_meet() {
    let server = demanding(Options::empty());
    for name in ["first.test", "deep.x.com", "unknown.test"] {
        for config in [trusting().config(), known()] {
            let mut client = tls::handshake(&config, server.made, name);
            for host in ["x.com", "X.COM", "www.x.com", "x.com:443"] {
                let response = ask(&mut client, host);
                assert_eq!(response.status, 421, "{host} after {name}");
            }
            assert_eq!(ask(&mut client, "first.test").text(), "recorder", "the connection goes on");
        }
    }
    let events = server.events();
    assert!(events.iter().all(|event| event.protocol == "recorder"), "{events:?}");
}

#[test]
fn a_handshake_without_sni_leads_to_no_vhost_with_demands_by_host() {
    let server = demanding(Options::empty());
    let mut client = Client { nameless: true, ..trusting() }.connect(server.made, "x.com");
    assert_eq!(ask(&mut client, "x.com").status, 421);
}

#[test]
fn plain_text_leads_to_no_vhost_with_demands() {
    let server = demanding(ALLOW);
    for host in ["x.com", "www.x.com", "x.com:80"] {
        assert_eq!(http::get(server.made, host, "/").status, 421, "{host}");
    }
    assert_eq!(http::get(server.made, "deep.x.com", "/").text(), "third");
    // Nor where it is the first one, which unknown names and no name at all lead to.
    let server = three([required(0), info(1), info(2)], ALLOW);
    for host in ["first.test", "unknown.test"] {
        assert_eq!(http::get(server.made, host, "/").status, 421, "{host}");
    }
    let mut client = connect(server.made);
    send(&mut client, b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(http::read_response(&mut client).status, 421);
}

#[test]
fn one_demanding_vhost_does_not_open_another() {
    let other = Ca::new("another CA");
    let second = TlsInfo { client_certs: ClientCerts::Required { ca: other.pem() }, ..info(2) };
    let server = three([info(0), required(1), second], Options::empty());
    let mut client = tls::handshake(&known(), server.made, "x.com");
    assert_eq!(ask(&mut client, "deep.x.com").status, 421);
    assert_eq!(ask(&mut client, "x.com").text(), "second");
}

#[test]
fn a_vhost_that_only_asks_is_open_to_every_connection() {
    let asked = TlsInfo { client_certs: ClientCerts::Asked { ca: ca().pem() }, ..info(1) };
    let server = three([info(0), asked, info(2)], ALLOW);
    for config in [trusting().config(), known()] {
        let mut client = tls::handshake(&config, server.made, "x.com");
        assert_eq!(ask(&mut client, "x.com").text(), "second");
    }
    let mut client = trusting().connect(server.made, "first.test");
    assert_eq!(ask(&mut client, "x.com").text(), "second");
    assert_eq!(http::get(server.made, "x.com", "/").text(), "second");
}

#[test]
fn a_fallback_beside_a_required_certificate_is_warned_about() {
    let options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
    let server = Server::with_vhost(move || VhostInfo { options, ..vhost::<0>(required(0)) });
    server.wait_for_log(&["WARN", "first.test", "client"]);
    // What falls back in plain text meets no demand, as the warning says.
    let mut client = connect(server.made);
    send(&mut client, b"SSH-2.0-x\r\n");
    half_close(&client);
    assert_eq!(read_to_end(&mut client), b"");
    assert_eq!(recorder::bytes(&server.events(), What::Rx), b"SSH-2.0-x\r\n");
}

#[test]
fn openssl_sends_a_request_and_gets_the_page_with_either_version() {
    let server = undemanding();
    let folder = tempfile::tempdir().expect("a folder");
    let (request, ca_file) = (folder.path().join("request"), folder.path().join("ca"));
    std::fs::write(&ca_file, ca().text()).expect("write");
    std::fs::write(&request, "GET / HTTP/1.1\r\nHost: x.com\r\nConnection: close\r\n\r\n").expect("write");
    for version in ["-tls1_2", "-tls1_3"] {
        let mut command = tls::s_client(server.made);
        command.args(["-quiet", "-verify_return_error", "-servername", "x.com", version]).arg("-CAfile").arg(&ca_file);
        let input = Stdio::from(std::fs::File::open(&request).expect("open"));
        let output = finish_with(&mut command, input);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{version}: {}", String::from_utf8_lossy(&output.stderr));
        assert!(text.starts_with("HTTP/1.1 200 ") && text.ends_with("second"), "{version}: {text}");
    }
}
