//! The access log of what is not http: one line for each connection, which way it went and why, and how it ended.

mod util;

use std::io::{self, IoSlice, Read, Write};
use std::net::TcpListener;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rlws::protocols::{HttpDummy, RawEcho, RawProxy};
use rlws::{
    AdoptInfo, Call, ClientCerts, ContextInfo, InitError, Listen, Options, Protocol, ProtocolTable, Pvo, Reason,
    TlsInfo, Verdict, VhostCall, VhostInfo, VhostReason,
};
use util::access::{Connection, Request};
use util::certs::ca;
use util::server::make_vhost;
use util::tls::{Client, begin, trusting};
use util::*;

const FALLBACK: Options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
const APPLY: Options = Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
/// How long a client is silent until it falls back.
const SHORT: Duration = Duration::from_millis(100);
/// Longer than any wait of a test that passes.
const PATIENCE: Duration = Duration::from_secs(600);

/// What is not http is echoed.
fn echoing(log: &LogFile, options: Options) -> impl FnOnce() -> VhostInfo + Send + 'static {
    let log = log.log.clone();
    move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawEcho>()],
        options,
        listen_accept_protocol: Some("raw-echo".into()),
        access_log: Some(log),
        ..Default::default()
    }
}

/// What is not http is relayed.
fn relaying(log: &LogFile, onward: &str, options: Options) -> impl FnOnce() -> VhostInfo + Send + 'static {
    let (info, onward) = (echoing(log, options), onward.to_owned());
    move || VhostInfo {
        protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawProxy>()],
        pvo: self::options("raw-proxy", &[("onward", &onward)]),
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        ..info()
    }
}

fn with_tls(info: impl FnOnce() -> VhostInfo + Send + 'static) -> impl FnOnce() -> VhostInfo + Send + 'static {
    let tls = ca().server(&["localhost"]).tls_info();
    move || VhostInfo { tls: Some(tls), ..info() }
}

fn patient() -> ContextInfo {
    ContextInfo { timeout: PATIENCE, ..Default::default() }
}

/// What a line says of which way it went, who ended first, and how.
fn story(connection: &Connection) -> [&str; 5] {
    let Connection { verdict, role, protocol, first, how, .. } = connection;
    [verdict, role, protocol, first, how]
}

#[test]
fn a_fallback_by_its_first_bytes_is_one_line() {
    let log = LogFile::new();
    let server = Server::with_vhost(echoing(&log, FALLBACK));
    let mut client = connect(server.made);
    let (peer, listener) = (client.local_addr().expect("bound"), client.peer_addr().expect("connected"));
    send(&mut client, b"SSH-2.0-x\r\n");
    read_exactly(&mut client, 11);
    send(&mut client, b"more");
    half_close(&client);
    read_to_end(&mut client);
    let line = log.connection();
    assert_eq!((&line.peer, &line.listener), (&peer.to_string(), &listener.to_string()));
    assert_eq!(story(&line), ["listen-accept/match", "raw-skt", "raw-echo", "client", "the peer closed"]);
    assert_eq!((line.received, line.sent, &*line.onward), (15, 15, "-"));
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_fallback_by_silence_and_one_by_the_end_say_so() {
    let log = LogFile::new();
    let info = echoing(&log, FALLBACK);
    let server = Server::with_vhost(|| VhostInfo { fallback_silence: Some(SHORT), ..info() });
    let mut silent = connect(server.made);
    server.wait_for_log(&["falls back"]);
    send(&mut silent, b"GET / HTTP/1.1\r\n");
    read_exactly(&mut silent, 16);
    half_close(&silent);
    read_to_end(&mut silent);
    let line = log.connection();
    assert_eq!(story(&line), ["listen-accept/silence", "raw-skt", "raw-echo", "client", "the peer closed"]);
    assert!(line.millis >= 100 && line.received == 16, "{line:?}");

    let log = LogFile::new();
    let server = Server::with_vhost(echoing(&log, FALLBACK));
    let mut cut = connect(server.made);
    send(&mut cut, b"GE");
    half_close(&cut);
    assert_eq!(read_to_end(&mut cut), b"GE");
    let line = log.connection();
    assert_eq!(story(&line), ["listen-accept/eof", "raw-skt", "raw-echo", "client", "the peer closed"]);
    assert_eq!((line.received, line.sent), (2, 2));
}

#[test]
fn what_is_accepted_without_a_look_says_apply() {
    for tls in [false, true] {
        let log = LogFile::new();
        let info = echoing(&log, APPLY);
        let server = if tls { Server::with_vhost(with_tls(info)) } else { Server::with_vhost(info) };
        if tls {
            let mut client = trusting().connect(server.made, "localhost");
            send(&mut client, b"hello");
            read_exactly(&mut client, 5);
            client.conn.send_close_notify();
            half_close_after_flush(&mut client);
        } else {
            let mut client = connect(server.made);
            send(&mut client, b"hello");
            read_exactly(&mut client, 5);
        }
        let line = log.connection();
        assert_eq!(story(&line), ["listen-accept/apply", "raw-skt", "raw-echo", "client", "the peer closed"]);
        assert_eq!((line.received, line.sent), (5, 5), "over TLS what was decrypted");
    }
}

fn half_close_after_flush(client: &mut util::tls::TlsStream) {
    client.conn.write_tls(&mut client.sock).expect("send");
    half_close(&client.sock);
}

#[test]
fn what_is_never_decided_is_logged_too() {
    // Nothing, then the end; nothing, for too long; half a word, for too long; gone.
    type Case<'a> = (&'a dyn Fn(&Server), [&'static str; 5], u64);
    let waits = |bytes: &'static [u8]| {
        move |server: &Server| {
            let mut client = connect(server.made);
            send(&mut client, bytes);
            server.wait_for_connections(1);
            server.let_pass(PATIENCE);
            read_until_closed(&mut client);
        }
    };
    let leaves = |server: &Server| drop(connect(server.made));
    let vanishes = |server: &Server| {
        let mut client = connect(server.made);
        send(&mut client, b"GE");
        reset(client);
    };
    let deeds: [Case<'_>; 4] = [
        (&leaves, ["drop/eof", "first-packet", "-", "client", "the peer closed"], 0),
        (&waits(b""), ["drop/timeout", "first-packet", "-", "us", "timed out: it did not say what it is"], 0),
        (&waits(b"GE"), ["drop/timeout", "first-packet", "-", "us", "timed out: it did not say what it is"], 2),
        (&vanishes, ["wait/-", "first-packet", "-", "client", "connection lost:"], 2),
    ];
    for (deed, [verdict, role, protocol, first, how], received) in deeds {
        let log = LogFile::new();
        let server = Server::with_vhost_in(patient(), echoing(&log, Options::empty()));
        deed(&server);
        let line = log.connection();
        let [_, _, _, _, said] = story(&line);
        assert_eq!(story(&line)[..4], [verdict, role, protocol, first]);
        assert!(said.starts_with(how), "{said}");
        // A reset may overtake what was sent before it.
        assert!(line.received == received || verdict == "wait/-", "{line:?}");
        server.assert_nothing_left();
    }
}

#[test]
fn what_a_tls_listener_drops_is_logged() {
    let log = LogFile::new();
    let server = Server::with_vhost_in(patient(), with_tls(echoing(&log, Options::empty())));
    let mut plain = connect(server.made);
    send(&mut plain, b"GET / HTTP/1.1\r\n\r\n");
    read_until_closed(&mut plain);
    drop(plain);
    let line = log.connection();
    assert_eq!(story(&line)[..4], ["drop/match", "first-packet", "-", "us"]);

    let log = LogFile::new();
    let server = Server::with_vhost_in(patient(), with_tls(echoing(&log, Options::empty())));
    let mut hello = connect(server.made);
    send(&mut hello, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    server.wait_for_connections(1);
    server.let_pass(PATIENCE);
    read_until_closed(&mut hello);
    let line = log.connection();
    assert_eq!(story(&line)[..4], ["tls/match", "tls", "-", "us"]);
    assert!(line.how.contains("handshake"), "{line:?}");

    let log = LogFile::new();
    let server = Server::with_vhost_in(patient(), with_tls(echoing(&log, Options::empty())));
    let mut hello = connect(server.made);
    send(&mut hello, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03");
    drop(hello);
    assert_eq!(story(&log.connection())[..4], ["tls/match", "tls", "-", "client"]);
}

/// Counts what goes through it.
struct Counting<S> {
    stream: S,
    read: u64,
    written: u64,
}

impl<S: Read> Read for Counting<S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buf)?;
        self.read += n as u64;
        Ok(n)
    }
}

impl<S: Write> Write for Counting<S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(buf)])
    }

    // What is said in one go arrives so: nothing of it comes behind the alert.
    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let n = self.stream.write_vectored(bufs)?;
        self.written += n as u64;
        Ok(n)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream.flush()
    }
}

#[test]
fn a_handshake_that_fails_counts_what_it_took() {
    for only_1_2 in [false, true] {
        let log = LogFile::new();
        let (tls, echoing) = (ca().server(&["localhost"]).tls_info(), echoing(&log, Options::empty()));
        let client_certs = ClientCerts::Required { ca: ca().pem() };
        let server = Server::with_vhost(move || VhostInfo { tls: Some(TlsInfo { client_certs, ..tls }), ..echoing() });
        let mut session = begin(&Client { only_1_2, ..trusting() }.config(), "localhost");
        let mut socket = Counting { stream: connect(server.made), read: 0, written: 0 };
        // With TLS 1.3 the client is done before it is told.
        while session.complete_io(&mut socket).is_ok_and(|(read, written)| read + written > 0) {}
        socket.read_to_end(&mut Vec::new()).ok();
        let counted = (socket.written, socket.read);
        drop(socket);
        let line = log.connection();
        assert_eq!(story(&line)[..4], ["tls/match", "tls", "-", "us"]);
        assert_eq!((line.received, line.sent), counted, "{line:?}");
    }
}

#[test]
fn a_balancer_that_looks_whether_we_are_there_has_no_line() {
    type Check = fn(u16);
    let silent: [Check; 3] = [
        |port| drop(connect(port)),
        |port| send(&mut connect(port), b"PROXY UNKNOWN\r\n"),
        |port| {
            let mut stream = connect(port);
            send(&mut stream, &balancer::binary(0x20, 0, b""));
            reset(stream);
        },
    ];
    let told: [Check; 3] = [
        |port| send(&mut connect(port), balancer::V1),
        |port| send(&mut connect(port), b"PROXY UNK"),
        |port| send(&mut connect(port), b"PROXY UNKNOWN\r\nx"),
    ];
    let log = LogFile::new();
    let info = echoing(&log, FALLBACK);
    let server = Server::with_vhost(move || VhostInfo {
        proxy_protocol_from: vec!["127.0.0.1".parse().expect("an address")],
        ..info()
    });
    for check in silent {
        check(server.made);
        server.assert_nothing_left();
    }
    for (count, check) in told.iter().enumerate() {
        check(server.made);
        server.assert_nothing_left();
        log.lines(count + 1);
    }
}

#[test]
fn ssh_inside_tls_is_logged_in_the_clear() {
    let log = LogFile::new();
    let server = Server::with_vhost(with_tls(echoing(&log, FALLBACK)));
    let mut client = trusting().connect(server.made, "localhost");
    send(&mut client, b"SSH-2.0-x\r\n");
    read_exactly(&mut client, 11);
    client.conn.send_close_notify();
    half_close_after_flush(&mut client);
    let line = log.connection();
    assert_eq!(story(&line), ["listen-accept/match", "raw-skt", "raw-echo", "client", "the peer closed"]);
    assert_eq!((line.received, line.sent), (11, 11));
}

#[test]
fn a_relay_is_one_line_with_what_went_each_way() {
    let (up, down) = (random_bytes(1, 300_000), random_bytes(2, 700_000));
    let onward = Onward::source(down.clone());
    let log = LogFile::new();
    let server = Server::with_vhost(relaying(&log, &onward.target(), FALLBACK));
    let mut client = connect(server.made);
    let mut reader = client.try_clone().expect("dup");
    let reading = std::thread::spawn(move || read_to_end(&mut reader));
    send(&mut client, b"SSH-2.0-x\r\n");
    send(&mut client, &up);
    assert_same_bytes(&reading.join().expect("read"), &down);
    half_close(&client);
    let line = log.connection();
    assert_eq!(story(&line), ["listen-accept/match", "raw-proxy", "raw-proxy", "server", "done"]);
    assert_eq!((line.received, line.sent), (up.len() as u64 + 11, down.len() as u64));
    assert_eq!(line.onward, format!("127.0.0.1:{}", onward.port));
    drop(client);
    server.assert_nothing_left();
}

#[test]
fn a_relay_says_who_closed_first() {
    type Case = (fn() -> Onward, fn(u16), [&'static str; 2]);
    let deeds: [Case; 3] = [
        (
            Onward::echo,
            |port| {
                let mut client = connect(port);
                send(&mut client, b"\0first");
                read_exactly(&mut client, 6);
                half_close(&client);
                read_to_end(&mut client);
            },
            ["client", "done"],
        ),
        (
            Onward::echo,
            |port| {
                let mut client = connect(port);
                send(&mut client, b"\0first");
                read_exactly(&mut client, 6);
                reset(client);
            },
            ["client", "connection lost: "],
        ),
        (
            || Onward::source(b"bye".to_vec()),
            |port| {
                let mut client = connect(port);
                send(&mut client, b"\0first");
                assert_eq!(read_to_end(&mut client), b"bye");
            },
            ["server", "done"],
        ),
    ];
    for (onward, deed, [first, how]) in deeds {
        let (onward, log) = (onward(), LogFile::new());
        let server = Server::with_vhost(relaying(&log, &onward.target(), FALLBACK));
        deed(server.made);
        let line = log.connection();
        assert!(line.first == first && line.how.starts_with(how), "{line:?}");
        assert_eq!(line.received, 6);
    }
}

#[test]
fn a_relay_to_nobody_names_where_it_wanted_to_go() {
    let log = LogFile::new();
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound");
    let onward = format!("ipv4:{gone}");
    let server = Server::with_vhost(relaying(&log, &onward, APPLY));
    read_until_closed(&mut connect(server.made));
    let line = log.connection();
    assert_eq!(story(&line)[..4], ["listen-accept/apply", "raw-proxy", "raw-proxy", "server"]);
    assert!(line.how.contains("cannot connect to") && line.how.contains("refused"), "{line:?}");
    assert_eq!(line.onward, onward);
    server.assert_nothing_left();
}

#[test]
fn a_connection_that_the_operator_ends_was_closed_by_us() {
    let log = LogFile::new();
    let onward = Onward::echo();
    let server = Server::with_vhost(relaying(&log, &onward.target(), FALLBACK));
    let mut client = connect(server.made);
    send(&mut client, b"\0first");
    read_exactly(&mut client, 6);
    server.ask(|context| {
        let id = context.cx().vhost_by_name("localhost").expect("it is there");
        context.destroy_vhost(id);
    });
    drop(client);
    let line = log.connection();
    assert_eq!((&*line.first, &*line.how), ("us", "closed by us: its vhost goes"));
    assert_eq!((line.received, line.sent), (6, 6));
}

#[test]
fn those_that_are_open_when_the_context_goes_are_logged() {
    let log = LogFile::new();
    let server = Server::with_vhost(echoing(&log, FALLBACK));
    let clients: Vec<_> = (0..20).map(|_| connect(server.made)).collect();
    for mut client in &clients {
        send(&mut client, b"\0");
        read_exactly(&mut client, 1);
    }
    drop(server);
    let lines = util::access::lines(&log.path());
    assert_eq!(lines.len(), 20);
    assert!(lines.iter().all(|line| Connection::parse(line).first == "us"));
}

/// Wants nobody.
struct Hermit;

impl Protocol for Hermit {
    const NAME: &'static str = "hermit";
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        rlws::protocols::http_dummy::callback(call.wsi, call.cx, reason)
    }

    fn vhost_callback(_: VhostCall<'_>, _: &mut (), reason: VhostReason<'_>) -> Verdict {
        match reason {
            VhostReason::FilterNetworkConnection(_) => Verdict::Close,
            _ => Verdict::Continue,
        }
    }
}

#[test]
fn who_is_filtered_is_logged() {
    let log = LogFile::new();
    let info = echoing(&log, FALLBACK);
    let server = Server::with_vhost(move || VhostInfo {
        protocols: vec![ProtocolTable::of::<Hermit>(), ProtocolTable::of::<RawEcho>()],
        ..info()
    });
    let mut client = connect(server.made);
    let address = client.local_addr().expect("connected");
    assert_eq!(read_until_closed(&mut client).0, b"");
    let line = log.connection();
    let how = "closed by us: asked for by its protocol";
    assert_eq!(story(&line), ["drop/filter", "listen", "-", "us", how]);
    assert_eq!((line.peer, line.listener), (address.to_string(), format!("127.0.0.1:{}", server.made)));
}

#[test]
fn http_has_no_line_as_a_connection() {
    let log = LogFile::new();
    let server = Server::with_vhost(echoing(&log, FALLBACK));
    let response = http::get(server.made, "localhost", "/x");
    assert_eq!(response.status, 404);
    server.assert_nothing_left();
    assert_eq!(log.requests(1)[0].line, "GET /x HTTP/1.1");
}

#[test]
fn sockets_that_are_handed_over_are_logged_and_our_own_are_not() {
    let log = LogFile::new();
    let info = echoing(&log, Options::empty());
    let server = Server::start(move |context| make_vhost(context, VhostInfo { listen: Listen::None, ..info() }));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let mut client = connect_to(&listener.local_addr().expect("bound").to_string());
    let (accepted, peer) = listener.accept().expect("it connects");
    server.ask(move |context| {
        let vhost = context.cx().vhost_by_name("localhost").expect("it is there");
        let adopt = AdoptInfo::new(vhost, "raw-echo").readbuf(b"before ".to_vec());
        context.cx().adopt_tcp(accepted, adopt).expect("adopt");
    });
    send(&mut client, b"after");
    read_exactly(&mut client, 12);
    drop(client);
    let line = log.connection();
    assert_eq!((line.peer.clone(), line.received, line.sent), (peer.to_string(), 12, 12));
    assert_eq!(story(&line)[..4], ["adopt/-", "raw-skt", "raw-echo", "client"]);
}

#[test]
fn a_unix_listener_is_named_by_its_path() {
    let log = LogFile::new();
    let path = log.path().with_file_name("a socket");
    let (info, listen) = (echoing(&log, FALLBACK), Listen::unix(&path));
    let server = Server::with_vhost(move || VhostInfo { listen, ..info() });
    let mut client = UnixStream::connect(&path).expect("connect");
    client.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    send(&mut client, b"\0");
    read_exactly(&mut client, 1);
    drop(client);
    // The space is a part of the name: it is not to end a field.
    let line = log.lines(1).remove(0);
    assert!(line.starts_with("unix raw - [") && line.contains("unix:"), "{line}");
    assert!(line.contains(r"a\x20socket listen-accept/match"), "{line}");
    drop(server);
}

#[test]
fn no_request_passes_for_a_connection_that_was_not_http() {
    let log = LogFile::new();
    let info = echoing(&log, Options::empty());
    let server = Server::with_vhost(info);
    for request in [
        "RAW 10.9.8.7:443 listen-accept/match",
        "RAW 10.9.8.7:443 HTTP/1.1",
        "GET raw HTTP/1.1",
        "raw - [ HTTP/1.1",
        " raw - [23/Nov/2026:10:00:00 +0000]",
    ] {
        let mut client = connect(server.made);
        send(&mut client, format!("{request}\r\nHost: raw\r\nUser-Agent: raw\r\n\r\n").as_bytes());
        read_to_end(&mut client);
    }
    for line in log.lines(5) {
        assert!(!access::is_raw(&line), "{line}");
        Request::parse(&line);
    }
}

#[test]
fn the_lines_of_the_page_are_what_the_page_says() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/READMEs/README.access-log.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let shown: Vec<&str> = page.lines().filter(|line| line.starts_with("127.0.0.1")).collect();
    let (raw, http): (Vec<&str>, Vec<&str>) = shown.into_iter().partition(|line| access::is_raw(line));
    assert_eq!((raw.len(), http.len()), (3, 3));
    http.into_iter().for_each(|line| drop(Request::parse(line)));
    raw.into_iter().for_each(|line| drop(Connection::parse(line)));
}
