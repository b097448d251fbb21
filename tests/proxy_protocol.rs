//! PROXY headers of trusted peers, before whatever a listener is for: the client that they name is the peer from then on.

mod util;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rlws::protocols::HttpDummy;
use rlws::{
    Call, ClientCerts, ContextInfo, InitError, Listen, Mount, Options, PeerNetwork, Protocol, ProtocolTable, Pvo,
    Reason, TlsInfo, Verdict, VhostCall, VhostInfo,
};
use util::balancer::{CLIENT, V1, binary, v2};
use util::certs::ca;
use util::http::{read_response, request};
use util::server::make_vhost;
use util::tls::{Client, go_on, hello};
use util::*;

const FALLBACK: Options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
const APPLY: Options = Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
const ALLOW: Options = Options::ALLOW_HTTP_ON_HTTPS_LISTENER;
const BANNER: &[u8] = b"SSH-2.0-x\r\n";

/// Says whom it serves and who brought them: as an http response, or as a first line before it echoes.
struct Tells;

impl Protocol for Tells {
    const NAME: &'static str = "tells";
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let wsi = call.wsi;
        let line = format!("for {} by {}\n", wsi.peer(), wsi.direct_peer());
        match reason {
            Reason::Http(_) => wsi.return_http_status(200, Some(&line)),
            Reason::RawAdopt => wsi.write(line.as_bytes()).expect("room"),
            Reason::RawRx(bytes) => wsi.write(bytes).expect("room"),
            _ => {}
        }
        Verdict::Continue
    }
}

fn trusting(networks: &[&str]) -> Vec<PeerNetwork> {
    networks.iter().map(|network| network.parse().expect("a network")).collect()
}

/// Trusts this machine.
fn vhost(options: Options) -> VhostInfo {
    VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        proxy_protocol_from: trusting(&["127.0.0.0/8", "unix"]),
        protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<Tells>()],
        mounts: vec![Mount::callback("/", "tells")],
        listen_accept_protocol: Some("tells".into()),
        options,
        ..Default::default()
    }
}

/// Either kind of socket, with TLS or without.
trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// What a client talks, behind the header.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Talk {
    Http,
    Raw,
    /// Waits for the server to speak first.
    Listens,
}

impl Talk {
    fn first(self) -> Vec<u8> {
        match self {
            Talk::Http => request("GET", "localhost", "/").into_bytes(),
            Talk::Raw => BANNER.to_vec(),
            Talk::Listens => Vec::new(),
        }
    }

    /// What the server said whom it serves, once the first bytes are sent.
    #[track_caller]
    fn hears(self, stream: &mut dyn Stream) -> String {
        let mut stream = stream;
        if self == Talk::Http {
            let response = read_response(&mut stream);
            assert_eq!(response.status, 200, "{}", response.head);
            return response.text().to_owned();
        }
        let mut line = Vec::new();
        while !line.ends_with(b"\n") {
            line.extend(read_exactly(&mut stream, 1));
        }
        if self == Talk::Raw {
            assert_eq!(read_exactly(&mut stream, BANNER.len()), BANNER);
        }
        send(&mut stream, b"more");
        assert_eq!(read_exactly(&mut stream, 4), b"more");
        String::from_utf8(line).expect("a text")
    }
}

/// A way in.
struct Door {
    name: &'static str,
    listen: Over,
    options: Options,
    /// The client begins TLS.
    encrypts: bool,
    talk: Talk,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Over {
    Tcp,
    Tls,
    /// With a client certificate.
    StrictTls,
    Unix,
}

#[rustfmt::skip]
const DOORS: &[Door] = &[
    Door { name: "http", listen: Over::Tcp, options: Options::empty(), encrypts: false, talk: Talk::Http },
    Door { name: "fallback", listen: Over::Tcp, options: FALLBACK, encrypts: false, talk: Talk::Raw },
    Door { name: "http beside a fallback", listen: Over::Tcp, options: FALLBACK, encrypts: false, talk: Talk::Http },
    Door { name: "apply", listen: Over::Tcp, options: APPLY, encrypts: false, talk: Talk::Raw },
    Door { name: "apply, the server first", listen: Over::Tcp, options: APPLY, encrypts: false, talk: Talk::Listens },
    Door { name: "https", listen: Over::Tls, options: Options::empty(), encrypts: true, talk: Talk::Http },
    Door { name: "https with certificates", listen: Over::StrictTls, options: Options::empty(), encrypts: true, talk: Talk::Http },
    Door { name: "fallback before TLS", listen: Over::Tls, options: FALLBACK, encrypts: false, talk: Talk::Raw },
    Door { name: "fallback within TLS", listen: Over::Tls, options: FALLBACK, encrypts: true, talk: Talk::Raw },
    Door { name: "http on https", listen: Over::Tls, options: ALLOW, encrypts: false, talk: Talk::Http },
    Door { name: "apply within TLS", listen: Over::Tls, options: APPLY, encrypts: true, talk: Talk::Raw },
    Door { name: "apply within TLS, the server first", listen: Over::Tls, options: APPLY, encrypts: true, talk: Talk::Listens },
    Door { name: "unix http", listen: Over::Unix, options: Options::empty(), encrypts: false, talk: Talk::Http },
    Door { name: "unix fallback", listen: Over::Unix, options: FALLBACK, encrypts: false, talk: Talk::Raw },
    Door { name: "unix apply", listen: Over::Unix, options: APPLY, encrypts: false, talk: Talk::Listens },
];

/// A server with one way in, and a log.
struct Opened {
    server: Server,
    log: LogFile,
    clients: Ca,
    path: PathBuf,
    _folder: tempfile::TempDir,
}

impl Door {
    fn open(&'static self) -> Opened {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, path, clients) = (LogFile::new(), folder.path().join("socket"), Ca::new("the clients' CA"));
        let mut tls = TlsInfo { ..ca().server(&["localhost"]).tls_info() };
        if self.listen == Over::StrictTls {
            tls.client_certs = ClientCerts::Required { ca: rlws::Pem::text(clients.text()) };
        }
        let server = Server::with_vhost({
            let (path, log) = (path.clone(), log.log.clone());
            move || VhostInfo {
                listen: if self.listen == Over::Unix { Listen::unix(path) } else { Listen::on("127.0.0.1", 0) },
                tls: matches!(self.listen, Over::Tls | Over::StrictTls).then_some(tls),
                access_log: Some(log),
                ..vhost(self.options)
            }
        });
        Opened { server, log, clients, path, _folder: folder }
    }

    /// One connection that begins with `header`; what it was told, and its own address. `apart`: nothing comes in one piece with the header.
    #[track_caller]
    fn enter(&self, to: &Opened, header: &[u8], apart: bool) -> (String, String) {
        let pieces = |first: &[u8]| match apart {
            true => vec![header.to_vec(), first.to_vec()],
            false => vec![[header, first].concat()],
        };
        let first = self.talk.first();
        if self.listen == Over::Unix {
            let mut socket = UnixStream::connect(&to.path).expect("connect");
            socket.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
            push(&mut socket, &to.server, &pieces(&first));
            return (self.talk.hears(&mut socket), "unix".to_owned());
        }
        let mut socket = connect(to.server.made);
        let own = socket.local_addr().expect("bound").to_string();
        if !self.encrypts {
            push(&mut socket, &to.server, &pieces(&first));
            return (self.talk.hears(&mut socket), own);
        }
        let identity = to.clients.client("somebody");
        let config = Client { identity: Some(&identity), ..Default::default() }.config();
        let (session, hello) = hello(&config, "localhost");
        push(&mut socket, &to.server, &pieces(&hello));
        let mut stream = go_on(session, socket);
        send(&mut stream, &first);
        (self.talk.hears(&mut stream), own)
    }
}

/// Has the server read each piece before it sends the next one.
fn push(socket: &mut impl Write, server: &Server, pieces: &[Vec<u8>]) {
    for piece in pieces {
        send(socket, piece);
        server.turn();
    }
}

#[test]
fn every_kind_of_listener_serves_the_client_that_a_header_names() {
    let named: [(&str, Vec<u8>); 3] =
        [("v1", V1.to_vec()), ("v2", v2(b"")), ("v2 with TLVs", v2(&[2, 0, 4, b'n', b'a', b'm', b'e', 4, 0, 0]))];
    for door in DOORS {
        let opened = door.open();
        let mut lines = 0;
        for (kind, header) in &named {
            for apart in [false, true] {
                let at = format!("{}, {kind}, apart: {apart}", door.name);
                let (heard, own) = door.enter(&opened, header, apart);
                assert_eq!(heard, format!("for {CLIENT} by {own}\n"), "{at}");
                lines += 1;
                let line = opened.log.lines(lines).pop().expect("a line");
                assert!(line.starts_with("203.0.113.7"), "{at}: {line}");
            }
        }
        opened.server.assert_nothing_left();
    }
}

#[test]
fn a_header_that_names_nobody_leaves_the_peer_as_it_is() {
    let silent: [(&str, Vec<u8>); 4] = [
        ("UNKNOWN", b"PROXY UNKNOWN\r\n".to_vec()),
        ("UNKNOWN with more", b"PROXY UNKNOWN 1.2.3.4 5.6.7.8 1 2\r\n".to_vec()),
        ("LOCAL", binary(0x20, 0, b"")),
        ("UNSPEC", binary(0x21, 0, b"")),
    ];
    for door in DOORS {
        let opened = door.open();
        for (kind, header) in &silent {
            let (heard, own) = door.enter(&opened, header, false);
            assert_eq!(heard, format!("for {own} by {own}\n"), "{}, {kind}", door.name);
        }
        opened.server.assert_nothing_left();
    }
}

#[test]
fn a_header_may_be_cut_anywhere() {
    let server = Server::with_vhost(|| vhost(FALLBACK));
    for header in [V1.to_vec(), v2(&[4, 0, 1, 0])] {
        let whole = [&header, BANNER].concat();
        for cut in 1..whole.len() {
            let mut client = connect(server.made);
            push(&mut client, &server, &[whole[..cut].to_vec(), whole[cut..].to_vec()]);
            assert!(Talk::Raw.hears(&mut client).starts_with("for 203.0.113.7:4660 "), "cut at {cut}");
        }
        let mut client = connect(server.made);
        for byte in &whole {
            send(&mut client, &[*byte]);
        }
        Talk::Raw.hears(&mut client);
    }
    server.assert_nothing_left();
}

#[test]
fn an_end_right_behind_the_header_is_the_clients() {
    let server = Server::with_vhost(|| vhost(FALLBACK));
    let mut client = connect(server.made);
    send(&mut client, &[V1, b"GE"].concat());
    half_close(&client);
    assert!(read_to_end(&mut client).ends_with(b"GE"), "undecided at its end, so it is not http");
    server.assert_nothing_left_beside(1);
}

/// Nobody who connects to it is trusted.
fn distrusting(options: Options) -> VhostInfo {
    VhostInfo { proxy_protocol_from: trusting(&["10.0.0.0/8", "::1", "unix"]), ..vhost(options) }
}

#[test]
fn from_others_a_header_is_refused() {
    for options in [FALLBACK, Options::empty()] {
        for (header, start) in [(V1.to_vec(), "PROXY ".len()), (v2(b""), 12)] {
            for cut in [header.len(), start, start - 1, 1] {
                let server = Server::with_vhost(move || distrusting(options));
                let mut client = connect(server.made);
                push(&mut client, &server, &[header[..cut].to_vec(), header[cut..start.max(cut)].to_vec()]);
                assert_eq!(read_until_closed(&mut client).0, b"", "cut at {cut}");
                server.wait_for_log(&["INFO", "127.0.0.1", "it sent a PROXY header", "proxy-protocol-from"]);
                drop(client);
                server.assert_nothing_left();
            }
        }
    }
}

/// Which may come after any pause, in the middle as well.
#[test]
fn from_others_silence_is_no_answer() {
    let info = || ContextInfo { timeout: Duration::from_millis(200), ..Default::default() };
    for start in [&b""[..], b"P", b"PROXY", &v2(b"")[..11]] {
        let server = Server::with_vhost_in(info(), || VhostInfo {
            fallback_silence: Some(Duration::from_millis(1)),
            ..distrusting(FALLBACK)
        });
        let mut client = connect(server.made);
        send(&mut client, start);
        assert_eq!(read_until_closed(&mut client).0, b"", "{start:?} does not fall back");
        server.wait_for_log(&["INFO", "127.0.0.1", "timed out: it did not say what it is"]);
        drop(client);
        server.assert_nothing_left();
    }
}

#[test]
fn from_others_everything_else_is_served() {
    for talk in [Talk::Http, Talk::Raw] {
        let server = Server::with_vhost(|| distrusting(FALLBACK));
        let mut client = connect(server.made);
        let own = client.local_addr().expect("bound");
        push(&mut client, &server, &talk.first().chunks(1).map(<[u8]>::to_vec).collect::<Vec<_>>());
        assert_eq!(talk.hears(&mut client), format!("for {own} by {own}\n"));
    }
    let server = Server::with_vhost(|| distrusting(FALLBACK));
    for almost in [&b"PROX"[..], b"\r\n\r\n\0"] {
        let mut client = connect(server.made);
        send(&mut client, almost);
        half_close(&client);
        assert!(read_to_end(&mut client).ends_with(almost), "it fell back at its end");
    }
    let server = Server::with_vhost(|| distrusting(Options::empty()));
    let mut client = connect(server.made);
    let late = [b"\r\n", &Talk::Http.first()[..]].concat();
    push(&mut client, &server, &late.chunks(1).map(<[u8]>::to_vec).collect::<Vec<_>>());
    assert_eq!(read_response(&mut client).status, 200, "an empty line before a request is none of a header");
}

#[test]
fn where_nobody_is_trusted_a_header_is_bytes_as_any() {
    let trusting_nobody = |options| VhostInfo { proxy_protocol_from: Vec::new(), ..vhost(options) };
    let server = Server::with_vhost(move || trusting_nobody(FALLBACK));
    for header in [V1.to_vec(), v2(b"")] {
        let mut client = connect(server.made);
        let own = client.local_addr().expect("bound");
        send(&mut client, &header);
        let line = format!("for {own} by {own}\n");
        assert_eq!(read_exactly(&mut client, line.len()), line.as_bytes());
        assert_eq!(read_exactly(&mut client, header.len()), header);
    }
    let server = Server::with_vhost(move || trusting_nobody(Options::empty()));
    let mut client = connect(server.made);
    send(&mut client, V1);
    assert_eq!(read_response(&mut client).status, 400);
}

#[test]
fn a_bad_header_is_the_end_and_one_line() {
    let bad: &[(&str, Vec<u8>, &str)] = &[
        ("none", BANNER.to_vec(), "there is none"),
        ("http", Talk::Http.first(), "there is none"),
        ("another line", b"PROXY TCP4 1.2.3.4 nobody 1 2\r\n".to_vec(), "is neither"),
        ("a line without an end", [b"PROXY ", &[b'x'; 200][..]].concat(), "no CRLF"),
        ("another version", binary(0x31, 0x11, &[0; 12]), "version is 3"),
        ("too short", binary(0x21, 0x21, &[0; 12]), "too short"),
        ("oversized", binary(0x21, 0x11, &[0; 65_535]), "65551 bytes"),
        ("a wrong checksum", v2(&[3, 0, 4, 1, 2, 3, 4]), "checksum"),
    ];
    for (name, bytes, why) in bad {
        let server = Server::with_vhost(|| vhost(FALLBACK));
        let mut client = connect(server.made);
        // The server may have hung up before it all is sent.
        let _ = client.write_all(bytes);
        let (said, _) = read_until_closed(&mut client);
        assert_eq!(said, b"", "{name}");
        drop(client);
        server.assert_nothing_left();
        let told: Vec<String> =
            server.log().into_iter().filter(|line| line.contains("127.0.0.1") && !line.contains("DEBUG")).collect();
        let of_it: Vec<&String> = told.iter().filter(|line| line.contains("proxy-header")).collect();
        assert!(of_it.len() == 1 && of_it[0].starts_with("INFO") && of_it[0].contains(why), "{name}: {told:?}");
    }
}

#[test]
fn who_says_nothing_or_half_of_it_is_hung_up_on() {
    let server =
        Server::with_vhost_in(ContextInfo { timeout: Duration::from_millis(200), ..Default::default() }, || {
            VhostInfo { fallback_silence: Some(Duration::from_millis(1)), ..vhost(FALLBACK) }
        });
    for part in [&b""[..], &V1[..10], &v2(b"")[..20]] {
        let mut client = connect(server.made);
        send(&mut client, part);
        assert_eq!(read_until_closed(&mut client).0, b"", "silence is not for the fallback before the header is there");
    }
    server.wait_for_log(&["INFO", "timed out: its PROXY header is not complete"]);
    let mut client = connect(server.made);
    send(&mut client, &V1[..10]);
    half_close(&client);
    assert_eq!(read_until_closed(&mut client).0, b"");
    server.wait_for_log(&["INFO", "it left in its PROXY header"]);
    drop(client);
    drop(connect(server.made));
    server.assert_nothing_left();
}

#[test]
fn the_first_vhost_decides_for_all_of_its_socket() {
    for (first, second) in [(vec![], trusting(&["unix"])), (trusting(&["unix"]), vec![])] {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        let (listen, warned) = (Listen::unix(&path), first.is_empty());
        let server = Server::start(move |context| {
            let first = VhostInfo { listen: listen.clone(), proxy_protocol_from: first, ..vhost(FALLBACK) };
            make_vhost(context, first);
            let second = VhostInfo { listen, proxy_protocol_from: second, name: "a.test".into(), ..vhost(FALLBACK) };
            make_vhost(context, second);
        });
        let mut client = UnixStream::connect(&path).expect("connect");
        client.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
        send(&mut client, &[V1, request("GET", "a.test", "/").as_bytes()].concat());
        if warned {
            server.wait_for_log(&["WARN", "a.test", "proxy_protocol_from does nothing here"]);
            let line = b"for unix by unix\nPROXY TCP4";
            assert_eq!(read_exactly(&mut client, line.len()), line, "it fell back, as it is not http");
        } else {
            let response = read_response(&mut client);
            assert_eq!(response.text(), format!("for {CLIENT} by unix\n"), "Host chose the second vhost");
            assert!(!server.log().iter().any(|line| line.starts_with("WARN")));
        }
    }
}

#[test]
fn an_adopted_connection_begins_with_a_header_too() {
    let server = Server::start(|context| {
        let vhost = context.create_vhost(vhost(FALLBACK)).expect("a vhost");
        (vhost, context.cx().listen_port(vhost).expect("it listens"))
    });
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").expect("bind");
    let mut client = connect(elsewhere.local_addr().expect("bound").port());
    let (accepted, _) = elsewhere.accept().expect("accept");
    let vhost = server.made.0;
    server.ask(move |context| context.cx().adopt_accepted(accepted, vhost, &V1[..20]).expect("adopt"));
    send(&mut client, &[&V1[20..], BANNER].concat());
    assert!(Talk::Raw.hears(&mut client).starts_with("for 203.0.113.7:4660 "));
}

/// A header of that client.
fn of_client(ip: &str) -> Vec<u8> {
    format!("PROXY TCP4 {ip} 192.0.2.1 4660 443\r\n").into_bytes()
}

#[test]
fn a_limit_by_address_is_the_clients_and_not_the_balancers() {
    let limited = ContextInfo { ip_limit_wsi: Some(1), ..Default::default() };
    let server = Server::with_vhost_in(limited, || vhost(APPLY));
    let enter = |ip| {
        let mut client = connect(server.made);
        send(&mut client, &of_client(ip));
        client
    };
    let mut first = enter("203.0.113.1");
    Talk::Listens.hears(&mut first);
    let mut second = enter("203.0.113.2");
    Talk::Listens.hears(&mut second);
    let before = server.wsi_count();
    let mut third = connect(server.made);
    // More than is read at a time.
    send(&mut third, &[of_client("203.0.113.1"), vec![b'x'; 60_000]].concat());
    assert_eq!(read_until_closed(&mut third).0, b"", "it has one already");
    assert_eq!(server.wsi_count(), before, "its end is not waited for");
    server.wait_for_log(&["WARN", "203.0.113.1:4660", "ip-limit-wsi"]);
    drop((first, second, third));
    server.assert_nothing_left();
    Talk::Listens.hears(&mut enter("203.0.113.1"));
}

/// What the vhost's first protocol hears, in order; a client that `turned_away` is not let in.
fn heard_of(turned_away: &'static str) -> Vec<String> {
    use util::script::{self, Loop, listening, on_call, on_vhost};
    let info = VhostInfo { proxy_protocol_from: trusting(&["127.0.0.1"]), ..listening() };
    let mut turned = Loop::new(info);
    on_call(|_, _, _| Verdict::Continue);
    on_vhost(move |_, _, reason| match reason {
        rlws::VhostReason::FilterNetworkConnection(peer) if peer.to_string() == turned_away => Verdict::Close,
        _ => Verdict::Continue,
    });
    let port = turned.port();
    turned.during(move || {
        let mut client: TcpStream = connect(port);
        send(&mut client, &[V1, b"x"].concat());
        half_close(&client);
        read_until_closed(&mut client);
    });
    turned.until_it("it is gone", |turned| turned.wsi_count() == 1);
    let heard = script::notes().into_iter().filter(|note| note.protocol == script::NAME);
    heard.map(|note| note.whole.split("(rlws").next().unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_filter_is_asked_once_the_client_is_known() {
    let heard = heard_of("198.51.100.1:1").join(" ");
    let (before, after) = heard.split_once("FilterNetworkConnection(203.0.113.7:4660)").expect(&heard);
    assert!(before.contains("WsiCreate") && !before.contains("RawAdopt"), "{heard}");
    assert!(after.contains("RawAdopt") && !after.contains("FilterNetworkConnection"), "{heard}");
    let heard = heard_of(CLIENT).join(" ");
    assert!(heard.contains("FilterNetworkConnection(203.0.113.7:4660)") && !heard.contains("RawAdopt"), "{heard}");
}
