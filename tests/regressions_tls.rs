//! Bugs that were, in what comes over TLS.

mod util;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use rlws::protocols::RawProxy;
use rlws::{
    Call, ClientCerts, ContextInfo, InitError, Listen, Mount, Options, PeerCert, Protocol, ProtocolTable, Pvo, Reason,
    TlsInfo, Verdict, VhostCall, VhostInfo,
};
use util::certs::{ca, localhost};
use util::server::{assert_names, make_vhost, mistake};
use util::tls::{self, Client, Ending, TlsStream, trusting};
use util::tls_onward::cut_off_after;
use util::*;

const APPLY: Options = Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
const BANNER: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";
const SHORT: Duration = Duration::from_millis(200);
const NEVER: Duration = Duration::from_secs(600);

// -- vhosts that share a port

thread_local! {
    static SEEN: RefCell<Vec<Option<PeerCert>>> = const { RefCell::new(Vec::new()) };
}

/// Notes the certificate of whoever asks; answers with its vhost's name.
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
            SEEN.with_borrow_mut(|seen| seen.push(call.wsi.tls_peer_cert_info()));
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

/// Two vhosts on one port, in this order.
fn two(first: VhostInfo, second: VhostInfo) -> Server {
    Server::start(move |context| {
        let port = make_vhost(context, first);
        assert_eq!(make_vhost(context, second), port, "they share it");
        port
    })
}

/// A client that shows a certificate, in TLS 1.2 and in TLS 1.3.
fn showing(identity: &Identity) -> [Client<'_>; 2] {
    [true, false].map(|only_1_2| Client { identity: Some(identity), only_1_2, ..trusting() })
}

fn both_versions() -> [Client<'static>; 2] {
    [true, false].map(|only_1_2| Client { only_1_2, ..trusting() })
}

#[track_caller]
fn ask(client: &mut (impl Read + Write), host: &str) -> http::Response {
    send(client, http::request("GET", host, "/").as_bytes());
    http::read_response(client)
}

/// Who answers a request of HTTP/1.0 that names no host.
#[track_caller]
fn ask_without_host(client: &mut (impl Read + Write)) -> String {
    send(client, b"GET / HTTP/1.0\r\n\r\n");
    let response = http::read_response(client);
    assert_eq!(response.status, 200);
    response.text().to_owned()
}

/// The certificate that the protocol saw with the last request.
fn last_seen(server: &Server) -> Option<PeerCert> {
    server.ask(|_| SEEN.with_borrow(|seen| seen.last().cloned())).expect("a request was served")
}

#[test]
fn a_certificate_that_was_shown_to_one_vhost_is_not_seen_by_another_that_host_leads_to() {
    let (of_a, of_b) = (Ca::new("CA A"), Ca::new("CA B"));
    let server = two(
        vhost("demanding.test", ClientCerts::Required { ca: of_b.pem() }),
        vhost("asking.test", ClientCerts::Asked { ca: of_a.pem() }),
    );
    for client in showing(&of_b.client("of B")) {
        let mut stream = client.connect(server.made, "demanding.test");
        assert_eq!(ask(&mut stream, "asking.test").text(), "asking.test");
        assert_eq!(last_seen(&server), None, "CA B means nothing to asking.test");
        assert_eq!(ask(&mut stream, "demanding.test").text(), "demanding.test");
        assert_eq!(last_seen(&server).map(|cert| (cert.subject, cert.verified)), Some(("CN=of B".into(), true)));
    }
    for client in showing(&of_a.client("of A")) {
        let mut stream = client.connect(server.made, "asking.test");
        assert_eq!(ask(&mut stream, "asking.test").text(), "asking.test");
        assert_eq!(last_seen(&server).map(|cert| (cert.subject, cert.verified)), Some(("CN=of A".into(), true)));
        assert_eq!(ask(&mut stream, "demanding.test").status, 421);
    }
}

#[test]
fn a_request_without_host_is_answered_by_the_vhost_whose_certificate_was_shown() {
    let server = two(vhost("first.test", ClientCerts::NotAsked), vhost("one.test", ClientCerts::NotAsked));
    for (sni, answers) in [("one.test", "one.test"), ("first.test", "first.test"), ("unknown.test", "first.test")] {
        for client in both_versions() {
            assert_eq!(ask_without_host(&mut client.connect(server.made, sni)), answers, "SNI {sni}");
        }
    }
    let nameless = Client { nameless: true, ..trusting() };
    assert_eq!(ask_without_host(&mut nameless.connect(server.made, "one.test")), "first.test");
}

#[test]
fn a_plain_request_without_host_is_answered_by_the_first_vhost() {
    let plain = |name| VhostInfo { tls: None, ..vhost(name, ClientCerts::NotAsked) };
    let server = two(plain("first.test"), plain("one.test"));
    assert_eq!(ask_without_host(&mut connect(server.made)), "first.test");
    let options = Options::ALLOW_HTTP_ON_HTTPS_LISTENER;
    let beside_tls = |name| VhostInfo { options, ..vhost(name, ClientCerts::NotAsked) };
    let server = two(beside_tls("first.test"), beside_tls("one.test"));
    assert_eq!(ask_without_host(&mut connect(server.made)), "first.test");
}

#[test]
fn an_idle_https_connection_that_times_out_ends_with_close_notify() {
    let server =
        Server::with_vhost(|| VhostInfo { keepalive_timeout: SHORT, ..vhost("one.test", ClientCerts::NotAsked) });
    for client in both_versions() {
        let mut stream = client.connect(server.made, "one.test");
        assert_eq!(ask(&mut stream, "one.test").text(), "one.test");
        assert_eq!(tls::read_until_the_end(&mut stream), (Vec::new(), Ending::Orderly));
    }
    server.assert_nothing_left();
}

// -- APPLY

/// A vhost with recorder `N`, which hears what is not http and serves http.
fn recording<const N: usize>(name: &str, options: Options, client_certs: ClientCerts) -> VhostInfo {
    let recorder = Recorder::<N>::table();
    VhostInfo {
        mounts: vec![Mount::callback("/", recorder.name())],
        protocols: vec![recorder],
        pvo: Pvo::default(),
        options,
        ..vhost(name, client_certs)
    }
}

/// Says `bytes`; both sides end in order.
#[track_caller]
fn say(mut stream: TlsStream, bytes: &[u8]) {
    send(&mut stream, bytes);
    tls::say_goodbye(&mut stream);
    assert_eq!(read_to_end(&mut stream), b"");
}

#[test]
fn a_vhost_without_apply_lends_its_certificate_to_the_first_one_that_has_it() {
    let server = two(
        recording::<0>("first.test", APPLY, ClientCerts::NotAsked),
        recording::<1>("one.test", Options::empty(), ClientCerts::NotAsked),
    );
    let request = http::request("GET", "one.test", "/");
    for client in both_versions() {
        // Who trusts the CA sees that the certificate is the one of the vhost that it chose.
        let client = Client { ca: Some(ca()), ..client };
        say(client.connect(server.made, "one.test"), request.as_bytes());
    }
    let events = server.events();
    assert_eq!(recorder::bytes(&events, What::Rx), request.repeat(2).as_bytes());
    assert!(events.iter().all(|event| event.protocol == "recorder" && event.role == "raw-skt"), "{events:?}");
    server.assert_nothing_left();
}

#[test]
fn a_vhost_without_apply_leads_around_no_demand_for_a_client_certificate() {
    let clients = Ca::new("the clients' CA");
    let server = two(
        recording::<0>("first.test", APPLY, ClientCerts::Required { ca: clients.pem() }),
        recording::<1>("one.test", Options::empty(), ClientCerts::NotAsked),
    );
    for client in both_versions() {
        let mut stream = client.connect(server.made, "one.test");
        let _ = stream.write_all(BANNER);
        assert_eq!(tls::read_until_the_end(&mut stream).0, b"");
    }
    assert!(server.events().is_empty(), "{:?}", server.events());
    server.wait_for_log(&["certificate"]);
    for client in showing(&clients.client("Some Body")) {
        say(client.connect(server.made, "first.test"), BANNER);
    }
    assert_eq!(recorder::bytes(&server.events(), What::Rx), [BANNER, BANNER].concat());
    server.assert_nothing_left();
}

#[test]
fn alpn_names_that_nothing_speaks_are_a_mistake_unless_nothing_is_looked_at() {
    let h2 = |options| VhostInfo {
        alpn: Some(vec!["h2".into(), "http/1.1".into()]),
        ..recording::<0>("one.test", options, ClientCerts::NotAsked)
    };
    assert_names(&mistake(h2(Options::empty())), &["one.test", "\"h2\"", "http/1.1", "http/1.0"]);
    let server = Server::with_vhost(move || h2(APPLY));
    let stream = Client { alpn: &["h2"], ..trusting() }.connect(server.made, "one.test");
    assert_eq!(stream.conn.alpn_protocol(), Some(&b"h2"[..]));
    say(stream, b"PRI * HTTP/2.0\r\n\r\n");
    assert_eq!(recorder::bytes(&server.events(), What::Rx), b"PRI * HTTP/2.0\r\n\r\n");
}

// -- relays

/// A relay to `target`, with further options; over TLS where `tls` says so.
fn relay(target: &str, extra: &[(&str, &str)], tls: Option<TlsInfo>) -> Server {
    let own = options("raw-proxy", &[&[("onward", target)], extra].concat());
    let patient = ContextInfo { connect_timeout: NEVER, ..Default::default() };
    Server::with_vhost_in(patient, move || VhostInfo {
        name: "relay.test".into(),
        listen: Listen::on("127.0.0.1", 0),
        tls,
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        pvo: own,
        options: APPLY,
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        ..Default::default()
    })
}

/// A relay of plain clients to a server that has a certificate of `ca()`.
fn relay_to_tls(target: &str) -> Server {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("ca");
    std::fs::write(&file, ca().text()).expect("write");
    relay(target, &[("onward-tls", "1"), ("onward-tls-ca", file.to_str().expect("a text"))], None)
}

#[test]
fn a_slow_plain_client_gets_all_that_came_before_its_onward_server_was_cut_off() {
    let bytes = random_bytes(1, 4_000_000);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let onward = cut_off_after(bytes.clone(), version);
        let server = relay_to_tls(&onward.target());
        let mut client = connect(server.made);
        socket2::SockRef::from(&client).set_recv_buffer_size(16 * 1024).expect("SO_RCVBUF");
        // It begins when everything stands still, and reads on when the relay has seen that it did.
        let seen = onward.connection(0);
        settled(|| usize::from(seen.closed()));
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            let count = 20_000.min(bytes.len() - got.len());
            got.extend(read_exactly(&mut client, count));
            server.turn();
        }
        assert_eq!(read_until_closed(&mut client).0, b"");
        assert_same_bytes(&got, &bytes);
        drop(client);
        server.assert_nothing_left();
    }
}

#[test]
fn a_tls_client_of_a_relay_that_came_to_no_orderly_end_is_not_told_of_one() {
    let (silent, refusing) = (Onward::sink(), Refusing::new());
    for (target, extra) in [(silent.target(), &[("idle-timeout-secs", "1")][..]), (refusing.target(), &[])] {
        let server = relay(&target, extra, Some(localhost().tls_info()));
        for client in both_versions() {
            let mut stream = client.connect(server.made, "localhost");
            assert_eq!(tls::read_until_the_end(&mut stream), (Vec::new(), Ending::CutOff));
        }
        server.assert_nothing_left();
    }
}

#[test]
fn more_onward_handshakes_at_once_than_a_turn_takes_all_get_through() {
    const CLIENTS: u8 = 60;
    let onward = TlsOnward::echo(localhost());
    let server = relay_to_tls(&onward.onward.target());
    let clients: Vec<_> = std::thread::scope(|scope| {
        let (go_on, wait) = mpsc::channel::<()>();
        let (told, stands) = mpsc::channel();
        let loop_of = &server;
        // The loop stands still until all of them are there.
        let held = scope.spawn(move || loop_of.ask(move |_| told.send(()).map(|()| wait.recv().is_err())));
        stands.recv_timeout(DEADLINE).expect("the loop stands still");
        let arrive = |number| {
            let mut client = connect(server.made);
            send(&mut client, &[number; 1000]);
            client
        };
        let clients = (0..CLIENTS).map(arrive).collect();
        drop(go_on);
        held.join().expect("no panic").expect("the test listens");
        clients
    });
    for (number, mut client) in (0..CLIENTS).zip(clients) {
        assert_eq!(read_exactly(&mut client, 1000), [number; 1000]);
        half_close(&client);
        assert_eq!(read_to_end(&mut client), b"");
    }
    assert!((0..CLIENTS).all(|number| onward.met(number.into()).orderly));
    server.assert_nothing_left();
}

// -- the examples

const LOCAL: [&str; 4] = ["--port", "0", "--interface", "127.0.0.1"];

/// An example with these switches ends at once, and says all of `parts`.
#[track_caller]
fn assert_refuses(name: &str, switches: &[&str], parts: &[&str]) {
    let output = finish(Command::new(program::example(name)).args(LOCAL).args(switches));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && !said.contains("listening"), "{name} {switches:?}: {said}");
    assert!(parts.iter().all(|part| said.contains(part)), "{name} {switches:?}: {said:?} lacks one of {parts:?}");
}

#[test]
fn the_examples_refuse_switches_that_mean_nothing_alone() {
    for name in ["minimal-raw-fallback-http-server", "minimal-raw-proxy-fallback"] {
        assert_refuses(name, &["-u"], &["-u", "-s"]);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let (cert, key) = localhost().write(folder.path(), "own");
    let (cert, key) = (cert.to_str().expect("a text"), key.to_str().expect("a text"));
    for (name, switches) in [
        ("minimal-http-server-tls", &[][..]),
        ("minimal-raw-fallback-http-server", &["-s"]),
        ("minimal-raw-proxy", &["-s"]),
        ("minimal-raw-proxy-fallback", &["-s"]),
        ("minimal-raw-vhost", &["-s"]),
    ] {
        for alone in [["--cert", cert], ["--key", key]] {
            assert_refuses(name, &[switches, &alone].concat(), &["--cert", "--key"]);
        }
    }
}

#[test]
fn the_relaying_example_with_s_ends_tls_for_a_plain_onward_server() {
    let onward = Onward::serve(|socket, _| {
        assert_eq!(read_exactly(socket, BANNER.len()), BANNER, "what arrives is plain");
        send(socket, b"pong");
        read_to_end(socket);
    });
    let program = Program::start("minimal-raw-proxy", &[&LOCAL[..], &["-s", "-r", &onward.target()]].concat());
    for client in both_versions() {
        let mut stream = client.connect(program.port(), "localhost");
        send(&mut stream, BANNER);
        assert_eq!(read_exactly(&mut stream, 4), b"pong");
        tls::say_goodbye(&mut stream);
        assert_eq!(read_to_end(&mut stream), b"");
    }
    program.stop();
}
