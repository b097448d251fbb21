//! Connections of our own with TLS.

mod util;

use std::cell::RefCell;
use std::time::Duration;

use rlws::{
    Call, ConnectInfo, ContextInfo, InitError, PeerCert, Pem, Protocol, ProtocolTable, Pvo, Reason, Roots, TlsClient,
    TlsClientInfo, TlsSettings, Verdict, Vhost, VhostCall, VhostId, VhostInfo, WsiId,
};
use sha2::{Digest, Sha256};
use util::certs::{GOOD_FROM, GOOD_UNTIL, ca, localhost, seconds};
use util::recorder::{count, order};
use util::*;

thread_local! {
    static SEEN: RefCell<Vec<Option<PeerCert>>> = const { RefCell::new(Vec::new()) };
}

/// Notes whose certificate it was shown.
struct Looks;

impl Protocol for Looks {
    const NAME: &'static str = "looks";
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::RawConnected = reason {
            assert!(call.wsi.is_tls());
            SEEN.with_borrow_mut(|seen| seen.push(call.wsi.tls_peer_cert_info()));
        }
        Verdict::Continue
    }
}

/// A vhost without a listen socket, whose recorder says hello.
fn client_within(connect_timeout: Duration) -> Server<VhostId> {
    let info = ContextInfo { connect_timeout, ..Default::default() };
    Server::start_with(info, |context| {
        let home = VhostInfo {
            protocols: vec![Recorder::<0>::table(), ProtocolTable::of::<Looks>()],
            pvo: options("recorder", &[("greet", "1")]),
            ..Default::default()
        };
        context.create_vhost(home).expect("create_vhost")
    })
}

fn client() -> Server<VhostId> {
    client_within(Duration::from_secs(600))
}

/// Trusts the tests' CA alone.
fn info() -> TlsClientInfo {
    TlsClientInfo { roots: Roots::Only(ca().pem()), ..Default::default() }
}

impl Server<VhostId> {
    #[track_caller]
    fn connects_to(&self, target: &str, protocol: &'static str, info: &TlsClientInfo) -> WsiId {
        let tls = TlsClient::new(info).unwrap_or_else(|error| panic!("TlsClient::new: {error}"));
        let mut info = ConnectInfo::new(self.made, target.parse().expect("a target"), protocol);
        info.tls = Some(tls);
        self.ask(move |context| context.cx().client_connect(info).expect("client_connect"))
    }

    /// The connection comes to nothing, and the protocol is told why.
    #[track_caller]
    fn fails_to_connect_to(&self, target: &str, info: &TlsClientInfo) -> String {
        let before = count(&self.events(), What::ConnectionError);
        let id = self.connects_to(target, "recorder", info);
        eventually("a connection error", || count(&self.events(), What::ConnectionError) > before);
        self.assert_nothing_left_beside(3);
        let events = self.events();
        assert_eq!(order(&events, id), [What::ConnectionError], "and nothing else");
        let why = events.into_iter().rfind(|event| event.wsi == id).expect("there is one").bytes;
        self.wait_for_log(&["WARN", "TLS"]);
        String::from_utf8(why).expect("a text")
    }
}

#[test]
fn a_client_shakes_hands_speaks_first_and_hears_the_reply() {
    let (server, onward) = (client(), TlsOnward::start(localhost(), None, &["other", "chat/1"], false));
    let info = TlsClientInfo { alpn: vec!["chat/2".into(), "chat/1".into()], ..info() };
    let id = server.connects_to(&format!("tcp:localhost:{}", onward.onward.port), "recorder", &info);
    eventually("the reply", || recorder::bytes(&server.events(), What::Rx) == b"hello");
    server.ask(move |context| context.cx().close_later(id));
    server.assert_nothing_left_beside(1);
    assert_eq!(order(&server.events(), id), [What::Bind, What::Connected, What::Rx, What::Close, What::Drop]);
    let met = onward.met(0);
    assert_eq!((met.sni.as_deref(), met.alpn.as_deref()), (Some("localhost"), Some("chat/1")));
    assert!(met.orderly && met.cert.is_none());
    assert_eq!(met.bytes, b"hello");
}

#[test]
fn a_vhosts_client_tls_is_there_for_who_asks() {
    let onward = TlsOnward::echo(localhost());
    let server = Server::start(|context| {
        let home = VhostInfo {
            protocols: vec![Recorder::<0>::table()],
            pvo: options("recorder", &[("greet", "1")]),
            client_tls: Some(info()),
            ..Default::default()
        };
        context.create_vhost(home).expect("create_vhost")
    });
    let mut connect = ConnectInfo::new(server.made, onward.onward.target().parse().expect("a target"), "recorder");
    let id = server.ask(move |context| {
        connect.tls = context.cx().vhost(connect.vhost).and_then(Vhost::client_tls).cloned();
        assert_eq!(connect.tls.as_ref().expect("it has some").info(), &info());
        context.cx().client_connect(connect).expect("client_connect")
    });
    eventually("the reply", || recorder::bytes(&server.events(), What::Rx) == b"hello");
    server.ask(move |context| context.cx().close_later(id));
    assert_eq!(onward.met(0).bytes, b"hello");
}

#[test]
fn a_name_of_its_own_goes_before_the_targets() {
    let (server, onward) = (client(), TlsOnward::echo(&ca().server(&["inside.test"])));
    let info = TlsClientInfo { server_name: Some("inside.test".into()), ..info() };
    let id = server.connects_to(&onward.onward.target(), "recorder", &info);
    eventually("the reply", || recorder::bytes(&server.events(), What::Rx) == b"hello");
    server.ask(move |context| context.cx().close_later(id));
    assert_eq!(onward.met(0).sni.as_deref(), Some("inside.test"));
}

#[test]
fn a_certificate_of_its_own_is_shown_to_a_server_that_asks() {
    let (server, onward) = (client(), TlsOnward::start(localhost(), Some(ca()), &[], false));
    let own = ca().client("the client");
    let info = TlsClientInfo { identity: Some(own.pems()), ..info() };
    let id = server.connects_to(&onward.onward.target(), "recorder", &info);
    eventually("the reply", || recorder::bytes(&server.events(), What::Rx) == b"hello");
    server.ask(move |context| context.cx().close_later(id));
    assert!(onward.met(0).cert == Some(own.der()));
}

#[test]
fn the_servers_certificate_is_known_to_the_protocol() {
    let (server, onward) = (client(), TlsOnward::echo(localhost()));
    server.connects_to(&onward.onward.target(), "looks", &info());
    server.connects_to(&onward.onward.target(), "looks", &TlsClientInfo { insecure: true, ..Default::default() });
    eventually("both are there", || server.ask(|_| SEEN.with_borrow(Vec::len)) == 2);
    for cert in server.ask(|_| SEEN.with_borrow(Vec::clone)) {
        let cert = cert.expect("a server shows one");
        assert_eq!((cert.subject.as_str(), cert.issuer.as_str()), ("CN=localhost", "CN=rlws test CA"));
        assert_eq!((seconds(cert.not_before), seconds(cert.not_after)), (GOOD_FROM, GOOD_UNTIL));
        let fingerprint: String = Sha256::digest(localhost().der()).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(cert.fingerprint, fingerprint);
    }
    let mut verified: Vec<bool> =
        server.ask(|_| SEEN.with_borrow(|seen| seen.iter().flatten().map(|cert| cert.verified).collect()));
    verified.sort_unstable();
    assert_eq!(verified, [false, true], "the insecure one checked nothing");
}

#[test]
fn one_tls_client_serves_many_connections_and_takes_its_sessions_up_again() {
    let (server, onward) = (client(), TlsOnward::echo(localhost()));
    let tls = TlsClient::new(&info()).expect("a client");
    for number in 0..5 {
        let mut info = ConnectInfo::new(server.made, onward.onward.target().parse().expect("a target"), "recorder");
        info.tls = Some(tls.clone());
        let id = server.ask(move |context| context.cx().client_connect(info).expect("client_connect"));
        let own = |server: &Server<VhostId>| order(&server.events(), id).contains(&What::Rx);
        eventually("the reply", || own(&server));
        server.ask(move |context| context.cx().close_later(id));
        assert!(onward.met(number).failed.is_none());
    }
    server.assert_nothing_left_beside(5);
}

#[test]
fn a_server_that_is_not_who_it_should_be_is_a_connection_error() {
    let server = client();
    let other = Ca::new("another CA");
    for (identity, said) in [
        (ca().server(&["other.test"]), "name"),
        (ca().expired_server(&["127.0.0.1"]), "xpired"),
        (other.server(&["127.0.0.1"]), "UnknownIssuer"),
    ] {
        let onward = TlsOnward::echo(&identity);
        let why = server.fails_to_connect_to(&onward.onward.target(), &info());
        assert!(why.contains(said) || why.to_lowercase().contains(&said.to_lowercase()), "{said}: {why}");
        assert!(why.contains(&onward.onward.port.to_string()), "{why}");
        let met = onward.met(0);
        assert!(met.failed.is_some() && met.bytes.is_empty(), "{met:?}");
    }
}

#[test]
fn the_system_does_not_trust_the_tests() {
    let (server, onward) = (client(), TlsOnward::echo(localhost()));
    server.fails_to_connect_to(&onward.onward.target(), &TlsClientInfo::default());
    assert_eq!(onward.met(0).bytes, b"");
}

#[test]
fn a_server_that_speaks_no_tls_is_a_connection_error() {
    let server = client();
    for onward in [Onward::echo(), Onward::source(b"220 mail\r\n".to_vec()), Onward::resets_after(1)] {
        server.fails_to_connect_to(&onward.target(), &info());
    }
    let leaves = Onward::serve(|_, _| ());
    server.fails_to_connect_to(&leaves.target(), &info());
}

#[test]
fn a_server_that_never_answers_the_hello_is_given_up_at_the_connect_timeout() {
    let (server, onward) = (client_within(Duration::from_millis(200)), Onward::idle());
    server.fails_to_connect_to(&onward.target(), &info());
}

#[test]
fn the_insecure_switch_takes_anybody_and_warns() {
    let (server, onward) = (client(), TlsOnward::echo(&Ca::new("nobody knows it").expired_server(&["x.test"])));
    let info = TlsClientInfo { insecure: true, ..Default::default() };
    server.connects_to(&onward.onward.target(), "recorder", &info);
    eventually("the reply", || recorder::bytes(&server.events(), What::Rx) == b"hello");
    server.wait_for_log(&["WARN", "any certificate"]);
}

#[test]
fn what_a_client_cannot_be_made_of_is_told() {
    let with = |settings: TlsSettings| TlsClientInfo { settings, ..info() };
    let (cert, _) = localhost().pems();
    let (_, key) = ca().client("another").pems();
    for (info, said) in [
        (TlsClientInfo { roots: Roots::Only(Pem::file("/no/such/ca")), ..info() }, "/no/such/ca"),
        (TlsClientInfo { roots: Roots::Only(Pem::text("nothing")), ..info() }, "no certificate"),
        (TlsClientInfo { identity: Some((cert, key)), ..info() }, "does not belong"),
        (TlsClientInfo { server_name: Some("a b".into()), ..info() }, "a b"),
        (with(TlsSettings { groups: vec!["x".into()], ..Default::default() }), "X25519"),
        (with(TlsSettings { versions: vec!["1.0".into()], ..Default::default() }), "1.2"),
        (with(TlsSettings { cipher_suites: vec!["NULL".into()], ..Default::default() }), "TLS13_AES_128_GCM_SHA256"),
    ] {
        let error = TlsClient::new(&info).expect_err(said).to_string();
        assert!(error.contains(said), "{said}: {error}");
    }
}
