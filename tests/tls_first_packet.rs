//! What the first packet of a TLS listener leads to, however it arrives: the rows of the option table.

mod util;

use std::io::Write;
use std::time::Duration;

use rlws::{ContextInfo, Listen, Mount, Options, VhostInfo};
use util::certs::localhost;
use util::tls::{self, trusting};
use util::*;

const BANNER: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";
const FALLBACK: Options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
const REDIRECT: Options = Options::REDIRECT_HTTP_TO_HTTPS;
const ALLOW: Options = Options::ALLOW_HTTP_ON_HTTPS_LISTENER;
/// Longer than any wait of a test that passes.
const NEVER: Duration = Duration::from_secs(600);
/// How long a client is silent until it falls back.
const SHORT: Duration = Duration::from_millis(200);
/// What begins neither http nor a ClientHello: nothing, Telnet and SOCKS and RDP, other records, SSL 2, the end of bytes.
const NEITHER: [&[u8]; 10] = [
    b"\x00",
    b"\x03\x00\x00\x13",
    b"\x05\x01\x00",
    b"\x14\x03\x03\x00\x01\x01",
    b"\x15\x03\x01\x00\x02\x02\x28",
    b"\x17\x03\x03\x00\x10",
    b"\x80\x2e\x01\x00\x02",
    b"\xff\xfb\x01",
    b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
    b"\x16\x03\x01\x40\x01\x01",
];

fn patient(timeout: Duration) -> ContextInfo {
    ContextInfo { timeout, ..Default::default() }
}

/// https with one page; what falls back is recorded.
fn vhost(options: Options) -> VhostInfo {
    VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(localhost().tls_info()),
        protocols: vec![Recorder::<0>::table(), Recorder::<1>::table()],
        mounts: vec![Mount::callback("/page", "recorder")],
        options,
        ..Default::default()
    }
}

fn server(options: Options) -> Server {
    Server::with_vhost_in(patient(NEVER), move || vhost(options))
}

/// Sends `first` in two parts, then EOF; what came back, and what a protocol heard.
#[track_caller]
fn heard(server: &Server, first: &[u8], cut: usize) -> (Vec<u8>, Vec<u8>) {
    let before = recorder::bytes(&server.events(), What::Rx).len();
    let mut client = connect(server.made);
    send(&mut client, &first[..cut]);
    server.turn();
    let _dropped_already = client.write_all(&first[cut..]).and_then(|()| client.shutdown(std::net::Shutdown::Write));
    let (answer, _) = read_until_closed(&mut client);
    (answer, recorder::bytes(&server.events(), What::Rx)[before..].to_vec())
}

/// Asks over plain text, in two parts.
#[track_caller]
fn ask_plainly(server: &Server, request: &str, cut: usize) -> http::Response {
    let mut client = connect(server.made);
    send(&mut client, &request.as_bytes()[..cut]);
    server.turn();
    send(&mut client, &request.as_bytes()[cut..]);
    http::read_response(&mut client)
}

/// The page over https: everything works.
#[track_caller]
fn assert_serves_https(server: &Server) {
    let mut client = trusting().connect(server.made, "localhost");
    send(&mut client, http::request("GET", "localhost", "/page").as_bytes());
    assert_eq!(http::read_response(&mut client).text(), "recorder");
}

// -- http in plain text

#[test]
fn redirect_sends_http_to_https_wherever_it_was_cut() {
    let server = server(REDIRECT | ALLOW | FALLBACK);
    let request = http::request("GET", "example.test:1234", "/a/b?c=d&e");
    for cut in 1..request.len() {
        let response = ask_plainly(&server, &request, cut);
        assert_eq!(response.status, 301, "cut at {cut}");
        assert_eq!(response.header("location"), Some("https://example.test:1234/a/b?c=d&e"), "cut at {cut}");
    }
    assert!(server.events().is_empty(), "nothing was served and nothing fell back");
    assert_serves_https(&server);
}

#[test]
fn redirect_keeps_the_host_as_it_stands_and_without_one_uses_its_own() {
    let server = server(REDIRECT);
    for (request, location) in [
        ("GET / HTTP/1.1\r\nHost: example.test\r\n\r\n", "https://example.test/".to_owned()),
        ("GET / HTTP/1.1\r\nhost:  Example.Test:8080 \r\n\r\n", "https://Example.Test:8080/".to_owned()),
        ("HEAD /x HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "https://[::1]:80/x".to_owned()),
        ("GET /x?y HTTP/1.0\r\n\r\n", format!("https://localhost:{}/x?y", server.made)),
    ] {
        let mut client = connect(server.made);
        send(&mut client, request.as_bytes());
        let response = http::read_head(&mut client);
        assert_eq!((response.status, response.header("location")), (301, Some(location.as_str())), "{request}");
    }
}

#[test]
fn redirect_never_puts_a_header_of_the_clients_making_into_its_answer() {
    let server = server(REDIRECT);
    for request in [
        "GET /\rX-Evil:1 HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\rX-Evil: 1\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a b\r\n\r\n",
    ] {
        let mut client = connect(server.made);
        send(&mut client, request.as_bytes());
        let response = http::read_head(&mut client);
        assert_eq!(response.header("x-evil"), None);
        assert_eq!(response.status, 400, "{request:?}: {}", response.head);
    }
}

#[test]
fn allow_serves_http_beside_https_wherever_it_was_cut() {
    let server = server(ALLOW | FALLBACK);
    let request = http::request("GET", "localhost", "/page");
    for cut in 1..request.len() {
        assert_eq!(ask_plainly(&server, &request, cut).text(), "recorder", "cut at {cut}");
    }
    assert_eq!(recorder::count(&server.events(), What::Rx), 0, "nothing fell back");
    assert_serves_https(&server);
    server.assert_nothing_left();
}

#[test]
fn http_falls_back_where_it_is_neither_redirected_nor_allowed() {
    let server = server(FALLBACK);
    let request = http::request("GET", "localhost", "/page");
    for cut in 1..request.len() {
        let (answer, heard) = heard(&server, request.as_bytes(), cut);
        assert_same_bytes(&heard, request.as_bytes());
        assert_eq!(answer, b"", "cut at {cut}");
    }
    assert_eq!(recorder::count(&server.events(), What::Http), 0);
    assert_serves_https(&server);
}

#[test]
fn http_is_dropped_without_an_answer_where_no_option_takes_it() {
    for options in [Options::empty(), Options::ALLOW_NON_SSL_ON_SSL_PORT] {
        let server = server(options);
        let mut client = connect(server.made);
        send(&mut client, http::request("GET", "localhost", "/page").as_bytes());
        assert_eq!(read_until_closed(&mut client).0, b"");
        drop(client);
        assert!(server.events().is_empty());
        assert_serves_https(&server);
        server.assert_nothing_left();
    }
}

#[test]
fn the_h2_preface_is_http_and_never_falls_back_where_http_is_allowed() {
    let server = server(ALLOW | FALLBACK);
    let mut client = connect(server.made);
    send(&mut client, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    let (answer, _) = read_until_closed(&mut client);
    assert!(answer.starts_with(b"HTTP/1.1 505 "), "{}", shown(&answer));
}

// -- anything else in plain text

#[test]
fn a_banner_falls_back_beside_every_other_option_wherever_it_was_cut() {
    for options in [FALLBACK, FALLBACK | REDIRECT, FALLBACK | ALLOW, FALLBACK | REDIRECT | ALLOW] {
        let server = server(options);
        for cut in 1..BANNER.len() {
            assert_eq!(heard(&server, BANNER, cut), (vec![], BANNER.to_vec()), "{options:?}, cut at {cut}");
        }
        server.assert_nothing_left();
    }
}

#[test]
fn what_is_neither_http_nor_a_hello_falls_back_from_its_first_byte_on() {
    let server = server(FALLBACK);
    for first in NEITHER {
        for cut in 1..=first.len() {
            assert_eq!(heard(&server, first, cut).1, first, "{} cut at {cut}", shown(first));
        }
    }
}

#[test]
fn what_is_neither_http_nor_a_hello_falls_back_without_waiting_for_more() {
    let server = server(FALLBACK);
    for first in NEITHER {
        let (mut client, before) = (connect(server.made), recorder::count(&server.events(), What::Adopt));
        send(&mut client, first);
        eventually("it falls back", || recorder::count(&server.events(), What::Adopt) > before);
    }
}

#[test]
fn what_is_neither_http_nor_a_hello_is_dropped_at_once_without_a_fallback() {
    for options in [Options::empty(), REDIRECT, ALLOW] {
        let server = server(options);
        for first in NEITHER.iter().chain(&[BANNER]) {
            let mut client = connect(server.made);
            send(&mut client, first);
            assert_eq!(read_until_closed(&mut client).0, b"", "{options:?}: {}", shown(first));
        }
        assert_serves_https(&server);
        server.assert_nothing_left();
    }
}

#[test]
fn a_silent_client_is_greeted_in_plain_text_by_the_fallback() {
    let server = Server::with_vhost_in(patient(NEVER), || VhostInfo {
        fallback_silence: Some(SHORT),
        pvo: options("recorder", &[("greet", "1")]),
        ..vhost(FALLBACK)
    });
    let mut silent = connect(server.made);
    assert_eq!(read_exactly(&mut silent, 5), b"hello");
    send(&mut silent, BANNER);
    half_close(&silent);
    assert_eq!(read_to_end(&mut silent), b"");
    assert_eq!(recorder::bytes(&server.events(), What::Rx), BANNER);
}

#[test]
fn a_silent_client_is_dropped_at_the_timeout() {
    let server = server(FALLBACK);
    let mut client = connect(server.made);
    server.wait_for_connections(1);
    server.let_pass(NEVER);
    assert_eq!(read_until_closed(&mut client).0, b"");
    drop(client);
    assert!(server.events().is_empty());
    server.assert_nothing_left();
}

// -- a hello

#[test]
fn a_hello_is_understood_byte_by_byte() {
    let server = server(FALLBACK);
    let (conn, hello) = tls::hello(&trusting().config(), "localhost");
    let mut socket = connect(server.made);
    for byte in hello {
        send(&mut socket, &[byte]);
        server.turn();
    }
    let mut client = tls::go_on(conn, socket);
    send(&mut client, http::request("GET", "localhost", "/page").as_bytes());
    assert_eq!(http::read_response(&mut client).text(), "recorder");
}

#[test]
fn a_hello_is_understood_wherever_it_was_cut() {
    let server = server(FALLBACK);
    let config = trusting().config();
    for cut in 1.. {
        let (conn, hello) = tls::hello(&config, "localhost");
        if cut >= hello.len() {
            break;
        }
        let mut socket = connect(server.made);
        send(&mut socket, &hello[..cut]);
        server.turn();
        send(&mut socket, &hello[cut..]);
        tls::go_on(conn, socket);
    }
    assert_eq!(recorder::count(&server.events(), What::Adopt), 0, "nothing fell back");
    server.assert_nothing_left();
}

/// The same hello, with `cut` bytes of its message in a first record and the others in a second.
fn in_two_records(hello: &[u8], cut: usize) -> Vec<u8> {
    let (head, message) = hello.split_at(5);
    let record = |part: &[u8]| [&head[..3], &u16::try_from(part.len()).expect("short").to_be_bytes(), part].concat();
    [record(&message[..cut]), record(&message[cut..])].concat()
}

#[test]
fn a_hello_is_understood_over_two_records_wherever_they_meet() {
    let server = server(FALLBACK);
    let config = trusting().config();
    for cut in [1, 2, 3, 4, 5, 6, 38, 39, 40, 100, 150] {
        let (conn, hello) = tls::hello(&config, "localhost");
        let mut socket = connect(server.made);
        send(&mut socket, &in_two_records(&hello, cut));
        tls::go_on(conn, socket);
    }
    assert_eq!(recorder::count(&server.events(), What::Adopt), 0, "nothing fell back");
}

#[test]
#[cfg(feature = "aws-lc-rs")]
fn a_hello_with_a_post_quantum_key_is_understood_wherever_it_was_cut() {
    let server = server(FALLBACK);
    let config = tls::Client { group: Some(rustls::NamedGroup::X25519MLKEM768), ..trusting() }.config();
    for cut in [1, 5, 6, 100, 536, 1200, 1279, 1300] {
        let (conn, hello) = tls::hello(&config, "localhost");
        assert!(hello.len() > 1300, "{} bytes", hello.len());
        let mut socket = connect(server.made);
        send(&mut socket, &hello[..cut]);
        server.turn();
        send(&mut socket, &hello[cut..]);
        let client = tls::go_on(conn, socket);
        let group = client.conn.negotiated_key_exchange_group().expect("there is one").name();
        assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);
    }
}

#[test]
fn a_hello_of_more_than_a_record_is_understood() {
    let server = server(FALLBACK);
    let names: Vec<String> = (0..2000).map(|number| format!("name-{number}")).collect();
    let mut alpn: Vec<&str> = names.iter().map(String::as_str).collect();
    alpn.push("http/1.1");
    let config = tls::Client { alpn: &alpn, ..trusting() }.config();
    assert!(tls::hello(&config, "localhost").1.len() > 0x4000 + 5);
    let client = tls::handshake(&config, server.made, "localhost");
    assert_eq!(client.conn.alpn_protocol(), Some(b"http/1.1".as_slice()));
}

#[test]
fn a_hello_of_implausible_length_ends_the_connection_and_nothing_else() {
    let server = server(FALLBACK);
    let mut client = connect(server.made);
    // 16 MB are announced.
    let mut record = b"\x16\x03\x01\x40\x00\x01\xff\xff\xff\x03\x03".to_vec();
    record.resize(5 + 0x4000, 0);
    let mut taken = 0;
    while client.write_all(&record).is_ok() {
        taken += record.len();
        record[5] = 0;
        assert!(taken < 16 << 20, "taken without an end");
    }
    server.assert_nothing_left_beside(1);
    assert_eq!(recorder::count(&server.events(), What::Adopt), 0, "it was a hello, so it does not fall back");
    assert_serves_https(&server);
}

#[test]
fn a_hello_that_was_begun_and_abandoned_leaves_nothing() {
    let (_, hello) = tls::hello(&trusting().config(), "localhost");
    let server = server(FALLBACK);
    for cut in [6, 7, 50, hello.len() - 1] {
        let mut ends = connect(server.made);
        send(&mut ends, &hello[..cut]);
        half_close(&ends);
        assert!(!read_until_closed(&mut ends).0.starts_with(BANNER));
        let mut vanishes = connect(server.made);
        send(&mut vanishes, &hello[..cut]);
        server.turn();
        reset(vanishes);
    }
    server.assert_nothing_left();
    assert_eq!(recorder::count(&server.events(), What::Bind), 0, "a hello does not fall back");
}

#[test]
fn a_hello_that_pauses_is_dropped_at_the_timeout_and_is_no_silence() {
    let (_, hello) = tls::hello(&trusting().config(), "localhost");
    let server = Server::with_vhost_in(patient(NEVER), || VhostInfo {
        fallback_silence: Some(NEVER / 2),
        pvo: options("recorder", &[("greet", "1")]),
        ..vhost(FALLBACK)
    });
    for cut in [6, 100, hello.len()] {
        let mut client = connect(server.made);
        send(&mut client, &hello[..cut]);
        server.wait_for_connections(1);
        server.let_pass(NEVER / 2);
        server.wait_for_connections(1);
        server.let_pass(NEVER / 2);
        let (answer, _) = read_until_closed(&mut client);
        assert!(!answer.ends_with(b"hello"), "cut at {cut}");
        drop(client);
        server.assert_nothing_left();
    }
    assert_eq!(recorder::count(&server.events(), What::Bind), 0);
}

#[test]
fn what_could_still_become_a_hello_falls_back_at_eof() {
    let server = server(FALLBACK);
    for first in [b"\x16".as_slice(), b"\x16\x03", b"\x16\x03\x01\x02", b"\x16\x03\x01\x02\x00", b"GET"] {
        assert_eq!(heard(&server, first, 1).1, first);
    }
}
