//! What the first decrypted bytes lead to: the row of the option table after the handshake, and listeners that look at nothing.

mod util;

use std::time::Duration;

use rlws::protocols::RawProxy;
use rlws::{ContextInfo, Listen, Mount, Options, ProtocolTable, VhostInfo};
use util::certs::ca;
use util::tls::{self, TlsStream, trusting};
use util::*;

const BANNER: &[u8] = b"SSH-2.0-OpenSSH_9.2p1 Debian-2+deb12u3\r\n";
const FALLBACK: Options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
const APPLY: Options = Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
const NEVER: Duration = Duration::from_secs(600);
const SHORT: Duration = Duration::from_millis(200);

/// A vhost with recorder `N`, which answers http, and hears what falls back.
fn vhost<const N: usize>(name: &str, options: Options) -> VhostInfo {
    let recorder = Recorder::<N>::table();
    VhostInfo {
        name: name.into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(ca().server(&[name]).tls_info()),
        mounts: vec![Mount::callback("/page", recorder.name())],
        protocols: vec![recorder],
        options,
        ..Default::default()
    }
}

/// `a.test` and `b.test` on one port.
fn two(of_a: Options, of_b: Options) -> Server {
    let info = ContextInfo { timeout: NEVER, ..Default::default() };
    Server::start_with(info, move |context| {
        let port = server::make_vhost(context, vhost::<0>("a.test", of_a));
        assert_eq!(server::make_vhost(context, vhost::<1>("b.test", of_b)), port);
        port
    })
}

/// Ends a stream in order, and waits for the other side to do the same.
#[track_caller]
fn end(mut client: TlsStream) -> Vec<u8> {
    tls::say_goodbye(&mut client);
    read_to_end(&mut client)
}

fn heard_by(server: &Server, protocol: &str) -> Vec<u8> {
    let events: Vec<_> = server.events().into_iter().filter(|event| event.protocol == protocol).collect();
    recorder::bytes(&events, What::Rx)
}

#[test]
fn a_banner_inside_tls_reaches_the_fallback_of_the_vhost_that_sni_chose() {
    let server = two(FALLBACK, FALLBACK);
    for (name, protocol) in [("a.test", "recorder"), ("b.test", "second"), ("unknown.test", "recorder")] {
        let before = heard_by(&server, protocol).len();
        let mut client = trusting().connect(server.made, name);
        send(&mut client, BANNER);
        assert_eq!(end(client), b"");
        assert_eq!(heard_by(&server, protocol)[before..], *BANNER, "{name}");
    }
    server.assert_nothing_left();
    assert!(server.events().iter().all(|event| event.role == "raw-skt"));
}

#[test]
fn no_decrypted_byte_is_lost_wherever_the_banner_was_cut_into_records() {
    let server = two(FALLBACK, Options::empty());
    for cut in 1..BANNER.len() {
        let before = heard_by(&server, "recorder").len();
        let mut client = trusting().connect(server.made, "a.test");
        send(&mut client, &BANNER[..cut]);
        server.turn();
        send(&mut client, &BANNER[cut..]);
        end(client);
        assert_eq!(heard_by(&server, "recorder")[before..], *BANNER, "cut at {cut}");
    }
}

#[test]
fn every_byte_of_a_banner_may_come_in_a_record_of_its_own() {
    let server = two(FALLBACK, Options::empty());
    let mut client = trusting().connect(server.made, "a.test");
    for byte in BANNER {
        send(&mut client, &[*byte]);
    }
    end(client);
    assert_eq!(heard_by(&server, "recorder"), BANNER);
}

#[test]
fn bytes_behind_the_finished_message_in_one_segment_are_not_lost() {
    let server = two(FALLBACK, Options::empty());
    for only_1_2 in [false, true] {
        let before = heard_by(&server, "recorder").len();
        let config = tls::Client { only_1_2, ..trusting() }.config();
        let (mut conn, hello) = tls::hello(&config, "a.test");
        // rustls encrypts what is written ahead as soon as it can, and hands it over with its last handshake message.
        std::io::Write::write_all(&mut conn.writer(), BANNER).expect("there is room");
        let mut socket = connect(server.made);
        send(&mut socket, &hello);
        end(tls::go_on(conn, socket));
        assert_eq!(heard_by(&server, "recorder")[before..], *BANNER, "only 1.2: {only_1_2}");
    }
}

#[test]
fn what_falls_back_is_decided_by_the_vhost_that_sni_chose_and_not_by_the_first() {
    let server = two(Options::empty(), FALLBACK);
    let mut to_b = trusting().connect(server.made, "b.test");
    send(&mut to_b, BANNER);
    end(to_b);
    assert_eq!(heard_by(&server, "second"), BANNER);

    let server = two(FALLBACK, Options::empty());
    let mut to_b = trusting().connect(server.made, "b.test");
    send(&mut to_b, BANNER);
    assert_eq!(http::read_response(&mut to_b).status, 400);
    assert_eq!(recorder::count(&server.events(), What::Bind), 0);
}

#[test]
fn without_a_fallback_what_is_not_http_is_answered_400_or_501_over_tls() {
    let server = two(Options::empty(), Options::empty());
    for (first, status) in [(BANNER, 400), (b"\x00\x01\x02\x03", 400), (b"BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n", 501)]
    {
        let mut client = trusting().connect(server.made, "a.test");
        send(&mut client, first);
        assert_eq!(http::read_response(&mut client).status, status, "{}", shown(first));
        assert_eq!(read_to_end(&mut client), b"", "and an orderly end");
    }
    server.wait_for_log(&["INFO", "not http"]);
    server.assert_nothing_left();
}

#[test]
fn http_inside_tls_is_served_whatever_the_options_say_about_plain_http() {
    for options in
        [FALLBACK, Options::REDIRECT_HTTP_TO_HTTPS, Options::ALLOW_HTTP_ON_HTTPS_LISTENER, Options::all() - APPLY]
    {
        let server = two(options - Options::IPV6_V6ONLY, Options::empty());
        let request = http::request("GET", "a.test", "/page");
        for cut in [1, 3, 4, 10, request.len() - 1] {
            let mut client = trusting().connect(server.made, "a.test");
            send(&mut client, &request.as_bytes()[..cut]);
            server.turn();
            send(&mut client, &request.as_bytes()[cut..]);
            assert_eq!(http::read_response(&mut client).text(), "recorder", "{options:?}");
        }
    }
}

#[test]
fn tls_inside_tls_is_anything_else() {
    let server = two(FALLBACK, Options::empty());
    let (_, inner) = tls::hello(&trusting().config(), "b.test");
    let mut client = trusting().connect(server.made, "a.test");
    send(&mut client, &inner);
    end(client);
    assert_same_bytes(&heard_by(&server, "recorder"), &inner);
}

#[test]
fn an_undecided_client_inside_tls_that_says_goodbye_is_anything_else() {
    let server = two(FALLBACK, Options::empty());
    let mut client = trusting().connect(server.made, "a.test");
    send(&mut client, b"GE");
    assert_eq!(end(client), b"");
    assert_eq!(heard_by(&server, "recorder"), b"GE");
}

#[test]
fn a_silent_client_inside_tls_is_greeted_over_tls() {
    let info = ContextInfo { timeout: NEVER, ..Default::default() };
    let server = Server::with_vhost_in(info, || VhostInfo {
        fallback_silence: Some(SHORT),
        pvo: options("recorder", &[("greet", "1")]),
        ..vhost::<0>("a.test", FALLBACK)
    });
    let mut silent = trusting().connect(server.made, "a.test");
    assert_eq!(read_exactly(&mut silent, 5), b"hello");
    send(&mut silent, BANNER);
    assert_eq!(end(silent), b"");
    assert_eq!(heard_by(&server, "recorder"), BANNER);
    server.assert_nothing_left();
}

#[test]
fn a_silent_client_inside_tls_is_dropped_at_the_timeout_without_a_fallback_for_silence() {
    let info = ContextInfo { timeout: NEVER, ..Default::default() };
    let server = Server::with_vhost_in(info, || vhost::<0>("a.test", FALLBACK));
    let mut silent = trusting().connect(server.made, "a.test");
    server.wait_for_connections(1);
    server.let_pass(NEVER);
    assert_eq!(tls::read_until_the_end(&mut silent).0, b"");
    assert_eq!(recorder::count(&server.events(), What::Bind), 0);
}

#[test]
fn apply_gives_what_is_inside_tls_to_the_listen_accept_protocol_unseen() {
    let server = two(APPLY, APPLY);
    let request = http::request("GET", "a.test", "/page");
    for (name, protocol) in [("a.test", "recorder"), ("b.test", "second")] {
        let mut client = trusting().connect(server.made, name);
        send(&mut client, request.as_bytes());
        assert_eq!(end(client), b"");
        assert_eq!(heard_by(&server, protocol), request.as_bytes());
    }
    assert_eq!(recorder::count(&server.events(), What::Http), 0);
}

#[test]
fn apply_lets_the_server_speak_first_over_tls() {
    let server =
        Server::with_vhost(|| VhostInfo { pvo: options("recorder", &[("greet", "1")]), ..vhost::<0>("a.test", APPLY) });
    for only_1_2 in [false, true] {
        let mut client = tls::Client { only_1_2, ..trusting() }.connect(server.made, "a.test");
        assert_eq!(read_exactly(&mut client, 5), b"hello");
        assert_eq!(end(client), b"");
    }
    server.assert_nothing_left();
}

#[test]
fn apply_wants_tls_where_the_vhost_has_a_certificate() {
    let server = two(APPLY | FALLBACK | Options::ALLOW_HTTP_ON_HTTPS_LISTENER, APPLY);
    for first in [BANNER, http::request("GET", "a.test", "/page").as_bytes()] {
        let mut client = connect(server.made);
        send(&mut client, first);
        let (answer, _) = read_until_closed(&mut client);
        // An alert, or nothing.
        assert!(answer.is_empty() || answer[0] == 0x15, "{}", shown(&answer));
    }
    assert!(server.events().is_empty());
    server.assert_nothing_left();
}

#[test]
fn apply_with_a_relay_terminates_tls() {
    let onward = Onward::echo();
    let target = onward.target();
    let server = Server::with_vhost(move || VhostInfo {
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        pvo: options("raw-proxy", &[("onward", &target)]),
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        mounts: Vec::new(),
        ..vhost::<0>("a.test", APPLY)
    });
    let mut client = trusting().connect(server.made, "a.test");
    let bytes = random_bytes(1, 300_000);
    let mut got = Vec::new();
    for part in bytes.chunks(10_000) {
        send(&mut client, part);
        got.extend(read_exactly(&mut client, part.len()));
    }
    assert_same_bytes(&got, &bytes);
    assert_eq!(end(client), b"");
    server.assert_nothing_left();
}
