//! What a hostile client can do to a TLS listener, in the handshake and behind it: it is refused, or served no more than its share.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rlws::protocols::RawEcho;
use rlws::{ClientCerts, Context, ContextInfo, Listen, Options, ProtocolTable, TlsInfo, VhostInfo, limits};
use rustls::ContentType;
use util::certs::{ca, localhost};
use util::server::make_vhost;
use util::tls::{self, Client, TlsStream, trusting};
use util::tls_by_hand::{Answer, Hello, Records, SERVER_NAME, answer, record};
use util::*;

const APPLY: Options = Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
/// Longer than any wait of a test that passes.
const NEVER: Duration = Duration::from_secs(600);
/// What TLS 1.3 puts around the bytes of a record: its head, the kind, the tag (RFC 8446 section 5.2).
const AROUND: usize = 22;

fn vhost(name: &str, tls: TlsInfo) -> VhostInfo {
    VhostInfo {
        name: name.into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(tls),
        protocols: vec![Recorder::<0>::table(), ProtocolTable::of::<RawEcho>()],
        options: APPLY,
        listen_accept_protocol: Some("recorder".into()),
        ..Default::default()
    }
}

/// Records what comes over TLS, and never gives anybody up.
fn recording() -> Server {
    let patient = ContextInfo { timeout: NEVER, ..Default::default() };
    Server::with_vhost_in(patient, || vhost("localhost", localhost().tls_info()))
}

/// The server serves who means it well, and has nothing left of the others.
#[track_caller]
fn assert_unharmed(server: &Server) {
    let before = recorder::bytes(&server.events(), What::Rx).len();
    let mut client = trusting().connect(server.made, "localhost");
    send(&mut client, b"still there?");
    tls::say_goodbye(&mut client);
    assert_eq!(read_to_end(&mut client), b"");
    assert_eq!(&recorder::bytes(&server.events(), What::Rx)[before..], b"still there?");
    drop(client);
    server.assert_nothing_left();
}

fn both_versions() -> [Client<'static>; 2] {
    [true, false].map(|only_1_2| Client { only_1_2, ..trusting() })
}

// -- behind the handshake

/// One after the other they would keep the loop from everybody else.
#[test]
fn a_turn_reads_no_more_of_tiny_records_than_it_reads_of_big_ones() {
    const RECORDS: usize = 60_000;
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("socket");
    let listen = Listen::unix(&path);
    let server = Server::with_vhost(move || VhostInfo { listen, ..vhost("localhost", localhost().tls_info()) });
    for client in both_versions() {
        // The buffer of a unix socket is all there to be read at once, where TCP brings it piece by piece.
        let mut socket = UnixStream::connect(&path).expect("connect");
        socket.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
        socket.set_write_timeout(Some(DEADLINE)).expect("SO_SNDTIMEO");
        let mut conn = tls::begin(&client.config(), "localhost");
        while conn.is_handshaking() {
            conn.complete_io(&mut socket).expect("handshake");
        }
        let mut encrypted = Vec::new();
        for _ in 0..RECORDS {
            conn.writer().write_all(b"x").expect("there is room");
            while conn.wants_write() {
                conn.write_tls(&mut encrypted).expect("to memory");
            }
        }
        let mut sent = send_while_it_stands_still(&server, &socket, &encrypted);
        sent += send_while_it_stands_still(&server, &socket, &encrypted[sent..]);
        send(&mut socket, &encrypted[sent..]);
        conn.send_close_notify();
        conn.write_tls(&mut socket).expect("send");
        while !conn.process_new_packets().expect("no alert").peer_has_closed() {
            assert!(conn.read_tls(&mut socket).expect("its end") > 0, "no close_notify");
        }
        let events = server.events();
        let sizes: Vec<usize> = events.iter().filter(|event| event.what == What::Rx).map(|it| it.bytes.len()).collect();
        let most = (limits::SERVICE_BUFFER + 2 * limits::FIRST_READ) / (1 + AROUND);
        assert!(sizes.iter().all(|size| *size <= most), "{:?} at once", sizes.iter().max());
        assert_eq!(sizes.iter().sum::<usize>() % RECORDS, 0, "none is lost");
    }
    server.assert_nothing_left();
}

/// What fits into the buffers of the system is there when the loop goes on: so many bytes.
fn send_while_it_stands_still(server: &Server, socket: &UnixStream, bytes: &[u8]) -> usize {
    socket.set_nonblocking(true).expect("O_NONBLOCK");
    let (mut writer, owned) = (socket.try_clone().expect("dup"), bytes.to_vec());
    let sent = server.ask(move |_| {
        let mut sent = 0;
        while let Ok(more @ 1..) = writer.write(&owned[sent..]) {
            sent += more;
        }
        sent
    });
    socket.set_nonblocking(false).expect("O_NONBLOCK");
    sent
}

#[test]
fn records_without_a_byte_are_few() {
    let server = recording();
    for only_1_2 in [true, false] {
        let mut records = Records::of(server.made, only_1_2);
        records.send(ContentType::ApplicationData, b"", 30);
        records.send(ContentType::ApplicationData, b"x", 1);
        records.send(ContentType::ApplicationData, b"", 50_000);
        read_until_closed(&mut records.socket);
    }
    server.wait_for_log(&["TooManyEmptyFragments"]);
    assert_eq!(recorder::bytes(&server.events(), What::Rx), b"xx");
    assert_unharmed(&server);
}

#[test]
fn keys_are_not_updated_again_and_again_for_nothing() {
    let server = recording();
    let mut client = trusting().connect(server.made, "localhost");
    let mut updates = Vec::new();
    for _ in 0..5_000 {
        client.conn.refresh_traffic_keys().expect("TLS 1.3");
        while client.conn.wants_write() {
            client.conn.write_tls(&mut updates).expect("to memory");
        }
    }
    let _refused_meanwhile = client.sock.write_all(&updates);
    let (_, ending) = tls::read_until_the_end(&mut Lenient(client));
    assert_eq!(ending, tls::Ending::CutOff);
    server.wait_for_log(&["TooManyKeyUpdateRequests"]);
    assert_unharmed(&server);
}

/// Reads what there is; an alert is an end.
struct Lenient(TlsStream);

impl std::io::Read for Lenient {
    fn read(&mut self, buf: &mut [u8]) -> std::io::Result<usize> {
        self.0.read(buf).map_err(|_| ErrorKind::ConnectionReset.into())
    }
}

#[test]
fn changes_of_the_cipher_are_few_in_the_handshake_and_none_behind_it() {
    let server = recording();
    let change = record(20, b"\x01");
    for hello in both_versions().map(|client| Hello::of(&client, "localhost")) {
        let mut socket = connect(server.made);
        let _refused_meanwhile = socket.write_all(&[hello.records(16_384), change.repeat(100_000)].concat());
        read_until_closed(&mut socket);
    }
    for only_1_2 in [true, false] {
        let mut records = Records::of(server.made, only_1_2);
        send(&mut records.socket, &change);
        let alerts = records.alerts();
        assert!(matches!(alerts[..], [10 | 20]), "unexpected_message or bad_record_mac: {alerts:?}");
    }
    assert_unharmed(&server);
}

#[test]
fn warnings_are_few() {
    let server = recording();
    for only_1_2 in [true, false] {
        let mut records = Records::of(server.made, only_1_2);
        // user_canceled, which says nothing by itself.
        records.send(ContentType::Alert, &[1, 90], 50_000);
        read_until_closed(&mut records.socket);
    }
    assert_unharmed(&server);
}

#[test]
fn renegotiation_is_declined_once_and_then_an_error() {
    let server = recording();
    let hello = Hello::of(&Client { only_1_2: true, ..trusting() }, "localhost").message();
    let mut records = Records::of(server.made, true);
    records.send(ContentType::Handshake, &hello, 1);
    records.send(ContentType::ApplicationData, b"goes on", 1);
    eventually("it goes on", || recorder::bytes(&server.events(), What::Rx) == b"goes on");
    records.send(ContentType::Handshake, &hello, 5);
    assert_eq!(records.alerts()[0], 100, "no_renegotiation");
    drop(records);
    // TLS 1.3 has none.
    let mut records = Records::of(server.made, false);
    records.send(ContentType::Handshake, &hello, 1);
    assert_eq!(records.alerts(), [10], "unexpected_message");
    drop(records);
    assert_unharmed(&server);
}

// -- the handshake

#[test]
fn a_hello_in_records_of_a_byte_each_is_understood_and_one_without_end_is_not() {
    let server = recording();
    for client in both_versions() {
        let hello = Hello::of(&client, "localhost");
        assert!(matches!(answer(server.made, &hello.records(1)), Answer::Hello(_)));
        // As long as a message may be, in as many records as there are bytes.
        let long = hello.with(0xfafa, &vec![0; 65_000]);
        let mut socket = connect(server.made);
        let _refused_meanwhile = socket.write_all(&long.records(1));
        half_close_if_there(&socket);
        read_until_closed(&mut socket);
        // Records with nothing of a message.
        let mut socket = connect(server.made);
        let _refused_meanwhile = socket.write_all(&record(22, b"").repeat(100_000));
        half_close_if_there(&socket);
        read_until_closed(&mut socket);
    }
    assert_unharmed(&server);
}

/// Each of them has a fresh byte in every turn of the loop. That costs no more than a read, so it is no step of a handshake.
#[test]
fn hellos_that_trickle_keep_no_other_from_its_handshake() {
    let patient = ContextInfo { timeout: DEADLINE, ..Default::default() };
    let mut context = Context::new(patient).expect("a context");
    let port = make_vhost(&mut context, vhost("localhost", localhost().tls_info()));
    let (_, hello) = tls::hello(&trusting().config(), "localhost");
    let mut trickles: Vec<TcpStream> = (0..3 * limits::TLS_HANDSHAKES).map(|_| connect(port)).collect();
    let mut others: Vec<TcpStream> = (0..limits::TLS_HANDSHAKES).map(|_| connect(port)).collect();
    let mut trickle = |byte| {
        trickles.iter_mut().for_each(|client| send(client, byte));
        context.service(Some(Duration::ZERO)).expect("service");
    };
    let (begin, rest) = hello[..100].split_at(20);
    begin.chunks(1).for_each(&mut trickle);
    others.iter_mut().for_each(|client| send(client, &hello));
    // One for those who are fresh and one for those who wait, were it not for the trickle.
    rest[..2].chunks(1).for_each(&mut trickle);
    for other in &mut others {
        other.set_nonblocking(true).expect("O_NONBLOCK");
        assert_eq!(other.read(&mut [0]).expect("the server's hello"), 1);
    }
}

/// However many whole hellos are fresh in a turn, those before them get their steps.
#[test]
fn who_waits_for_a_step_has_half_of_those_of_a_turn() {
    const CROWD: usize = limits::TLS_HANDSHAKES + limits::TLS_HANDSHAKES / 2;
    let patient = ContextInfo { timeout: DEADLINE, ..Default::default() };
    let mut context = Context::new(patient).expect("a context");
    let port = make_vhost(&mut context, vhost("localhost", localhost().tls_info()));
    let (_, hello) = tls::hello(&trusting().config(), "localhost");
    let (begin, rest) = hello.split_at(20);
    let mut crowds = [(); 2].map(|()| (0..CROWD).map(|_| connect(port)).collect::<Vec<TcpStream>>());
    crowds.iter_mut().flatten().for_each(|client| send(client, begin));
    (0..10).for_each(|_| context.service(Some(Duration::ZERO)).expect("service"));
    for crowd in &mut crowds {
        crowd.iter_mut().for_each(|client| send(client, rest));
        context.service(Some(Duration::ZERO)).expect("service");
    }
    let is_answered = |client: &TcpStream| client.peek(&mut [0]).is_ok();
    crowds.iter().flatten().for_each(|client| client.set_nonblocking(true).expect("O_NONBLOCK"));
    let answered = crowds.map(|crowd| crowd.iter().filter(|client| is_answered(client)).count());
    assert_eq!(answered, [CROWD, limits::TLS_HANDSHAKES / 2]);
}

fn half_close_if_there(socket: &TcpStream) {
    let _gone_already = socket.shutdown(std::net::Shutdown::Write);
}

#[test]
fn a_handshake_that_trickles_is_dropped_at_the_timeout() {
    let server = recording();
    for client in both_versions() {
        let (mut conn, hello) = tls::hello(&client.config(), "localhost");
        let mut socket = connect(server.made);
        send(&mut socket, &hello);
        while conn.is_handshaking() && !conn.wants_write() {
            assert!(conn.read_tls(&mut socket).expect("the server's answer") > 0, "dropped in the middle of it");
            conn.process_new_packets().expect("a good one");
        }
        let mut flight = Vec::new();
        while conn.wants_write() {
            conn.write_tls(&mut flight).expect("to memory");
        }
        // It has all of its time, and takes more, a byte at a time.
        for byte in flight[..20].chunks(1) {
            send(&mut socket, byte);
            server.wait_for_connections(1);
            server.let_pass(NEVER / 20);
        }
        read_until_closed(&mut socket);
        drop(socket);
        server.assert_nothing_left();
    }
    server.wait_for_log(&["its TLS handshake is not complete"]);
}

#[test]
fn chains_of_certificates_are_bounded() {
    let clients = Ca::new("the clients' CA");
    let pem = clients.pem();
    let server = Server::with_vhost(move || {
        vhost("localhost", TlsInfo { client_certs: ClientCerts::Required { ca: pem }, ..localhost().tls_info() })
    });
    let stranger = Ca::new("a stranger").client("Some Body");
    let padding = Ca::new("padding").text();
    for count in [100, 1_000] {
        let identity = Identity { cert: stranger.cert.clone() + &padding.repeat(count), key: stranger.key.clone() };
        for only_1_2 in [true, false] {
            let config = Client { identity: Some(&identity), only_1_2, ..trusting() }.config();
            let refused = match tls::try_handshake(&config, connect(server.made), "localhost") {
                Ok(stream) => tls::read_until_the_end(&mut Lenient(stream)).0.is_empty(),
                Err(_) => true,
            };
            assert!(refused, "{count} certificates");
        }
    }
    let own = clients.client("Some Body");
    let mut client = Client { identity: Some(&own), ..trusting() }.connect(server.made, "localhost");
    tls::say_goodbye(&mut client);
    assert_eq!(read_to_end(&mut client), b"");
    drop(client);
    server.assert_nothing_left();
}

#[test]
fn handshakes_abandoned_by_the_thousand_give_their_memory_back() {
    let program = Program::start("minimal-http-server-tls", &["--port", "0", "--interface", "127.0.0.1"]);
    let port = program.port();
    let hellos = both_versions().map(|client| Hello::of(&client, "localhost").records(16_384));
    let fds = program.fds();
    let rounds = [(); 4].map(|()| {
        let mut abandoned = Vec::new();
        for number in 0..500 {
            let hello = &hellos[number % 2];
            let mut socket = connect(port);
            // Begun, whole and answered, or in the middle of what follows.
            match number % 3 {
                0 => send(&mut socket, &hello[..hello.len() / 2]),
                1 => send(&mut socket, hello),
                _ => send(&mut socket, &[hello, &[22, 3, 3, 0, 70, 16, 0][..]].concat()),
            }
            if number % 3 > 0 {
                read_exactly(&mut socket, 5);
            }
            abandoned.push(socket);
        }
        for (number, socket) in abandoned.into_iter().enumerate() {
            if number % 2 == 0 { reset(socket) } else { drop(socket) }
        }
        program.assert_fds_back_to(fds);
        program.rss()
    });
    // What is kept to be used again is there after the first round.
    assert!(rounds[3] <= rounds[1] + rounds[1] / 20, "kB after each round: {rounds:?}");
    program.stop();
}

// -- the name

const NAMES: [&str; 2] = ["first.test", "second.test"];

#[test]
fn no_form_of_a_name_leads_to_a_vhost_that_it_does_not_name() {
    let identities = NAMES.map(|name| ca().server(&[name]));
    let infos = identities.clone().map(|identity| identity.tls_info());
    let server = Server::start(move |context| {
        let [first, second] = infos;
        let port = make_vhost(context, vhost(NAMES[0], first));
        assert_eq!(make_vhost(context, vhost(NAMES[1], second)), port);
        port
    });
    // TLS 1.2 shows certificates in plain text.
    let hello = Hello::of(&Client { only_1_2: true, ..trusting() }, "second.test");
    let led_to = |hello: &Hello| match answer(server.made, &hello.records(16_384)) {
        Answer::Hello(bytes) => {
            let shows = |identity: &Identity| bytes.windows(identity.der().len()).any(|part| part == &*identity.der());
            Ok(NAMES[identities.iter().position(shows).expect("a certificate")])
        }
        Answer::Alert(number) => Err(number),
        Answer::Nothing => panic!("neither a certificate nor an alert"),
    };
    let long = ["second.test.", &"a".repeat(63)].concat().repeat(4);
    let label = ["a".repeat(64).as_str(), ".second.test"].concat();
    const DECODE_ERROR: u8 = 50;
    const ILLEGAL_PARAMETER: u8 = 47;
    for (name, leads_to) in [
        (&b"second.test"[..], Ok("second.test")),
        (b"SECOND.Test", Ok("second.test")),
        (b"second.test.", Ok("second.test")),
        (b"www.second.test", Ok("second.test")),
        (b"unknown.test", Ok("first.test")),
        (b"127.0.0.1", Ok("first.test")),
        (b"::1", Ok("first.test")),
        (b"", Err(DECODE_ERROR)),
        (b".", Err(ILLEGAL_PARAMETER)),
        (b"[::1]", Err(ILLEGAL_PARAMETER)),
        (b"second.test:443", Err(ILLEGAL_PARAMETER)),
        (b"second.test\0", Err(ILLEGAL_PARAMETER)),
        (b"first.test\0.second.test", Err(ILLEGAL_PARAMETER)),
        (b"second..test", Err(ILLEGAL_PARAMETER)),
        (b"s\xc3\xa9cond.second.test", Err(ILLEGAL_PARAMETER)),
        (b"\xff\xff", Err(ILLEGAL_PARAMETER)),
        (long.as_bytes(), Err(ILLEGAL_PARAMETER)),
        (label.as_bytes(), Err(ILLEGAL_PARAMETER)),
        (&[b'a'; 20_000], Err(ILLEGAL_PARAMETER)),
    ] {
        assert_eq!(led_to(&hello.clone().named(&[(0, name)])), leads_to, "{}", shown(name));
    }
    let mut nameless = hello.clone();
    nameless.extensions.retain(|(number, _)| *number != SERVER_NAME);
    assert_eq!(led_to(&nameless), Ok("first.test"));
    let of_both = hello.clone().named(&[(0, b"first.test"), (0, b"second.test")]);
    assert_eq!(led_to(&of_both), Err(DECODE_ERROR), "two names");
    assert_eq!(led_to(&hello.clone().named(&[])), Err(DECODE_ERROR), "a list without a name");
    assert_eq!(led_to(&hello.clone().named(&[(7, b"second.test")])), Err(ILLEGAL_PARAMETER), "another kind of name");
    let mut twice = hello.clone();
    twice.extensions.push(twice.extensions.iter().find(|(number, _)| *number == 0).expect("it has a name").clone());
    assert_eq!(led_to(&twice), Err(DECODE_ERROR), "two extensions");
    server.assert_nothing_left();
}
