//! The encrypted stream: its ends, its halves, and what is not an end.

mod util;

use std::io::{Read, Write};
use std::net::Shutdown;
use std::process::Stdio;
use std::time::Duration;

use rlws::protocols::{RawEcho, RawProxy};
use rlws::{ContextInfo, Listen, Mount, Options, ProtocolTable, VhostInfo};
use util::certs::localhost;
use util::tls::{self, Client, Ending, TlsStream, trusting};
use util::*;

const APPLY: Options = Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;

/// TLS on the way to the protocol of that name.
fn vhost(role: &str, protocol: &str) -> VhostInfo {
    VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(localhost().tls_info()),
        protocols: vec![ProtocolTable::of::<RawEcho>(), Recorder::<0>::table()],
        options: APPLY,
        listen_accept_role: Some(role.into()),
        listen_accept_protocol: Some(protocol.into()),
        ..Default::default()
    }
}

fn echoing() -> Server {
    Server::with_vhost(|| vhost("raw-skt", "raw-echo"))
}

fn recording() -> Server {
    Server::with_vhost(|| vhost("raw-skt", "recorder"))
}

/// Ends TLS, and relays what is in it.
fn relaying(onward: &Onward) -> Server {
    let target = onward.target();
    Server::with_vhost(move || {
        let mut info = vhost("raw-proxy", "raw-proxy");
        info.protocols.push(ProtocolTable::of::<RawProxy>());
        info.pvo = options("raw-proxy", &[("onward", &target)]);
        info
    })
}

/// One client of each TLS version.
fn clients(port: u16) -> [TlsStream; 2] {
    [true, false].map(|only_1_2| Client { only_1_2, ..trusting() }.connect(port, "localhost"))
}

// -- the end

#[test]
fn whoever_says_goodbye_is_answered_in_kind() {
    let server = echoing();
    for mut client in clients(server.made) {
        send(&mut client, b"hello");
        assert_eq!(read_exactly(&mut client, 5), b"hello");
        tls::say_goodbye(&mut client);
        assert_eq!(tls::read_until_the_end(&mut client), (vec![], Ending::Orderly));
    }
    server.assert_nothing_left();
}

#[test]
fn the_server_says_goodbye_behind_its_last_byte() {
    let server = recording();
    for (number, mut client) in clients(server.made).into_iter().enumerate() {
        send(&mut client, b"x");
        eventually("it is there", || recorder::count(&server.events(), What::Rx) > number);
        server.ask(|context| {
            let id = recorder::events().iter().rfind(|event| event.what == What::Rx).expect("it was there").wsi;
            context.cx().close_later(id);
        });
        assert_eq!(tls::read_until_the_end(&mut client), (vec![], Ending::Orderly));
    }
    server.assert_nothing_left();
}

#[test]
fn an_http_response_that_ends_the_connection_ends_in_order() {
    let server = Server::with_vhost(|| VhostInfo {
        options: Options::empty(),
        mounts: vec![Mount::callback("/", "recorder")],
        listen_accept_protocol: None,
        ..vhost("raw-skt", "recorder")
    });
    for mut client in clients(server.made) {
        send(&mut client, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        assert_eq!(http::read_response(&mut client).text(), "recorder");
        assert_eq!(tls::read_until_the_end(&mut client), (vec![], Ending::Orderly));
    }
    server.assert_nothing_left();
}

#[test]
fn openssl_sees_an_orderly_end() {
    let server = Server::with_vhost(|| vhost("raw-skt", "raw-echo"));
    let folder = tempfile::tempdir().expect("a folder");
    let said = folder.path().join("said");
    std::fs::write(&said, "a line\n").expect("write");
    for version in ["-tls1_2", "-tls1_3"] {
        // Without -ign_eof it says goodbye at the end of its stdin.
        let input = Stdio::from(std::fs::File::open(&said).expect("open"));
        let output = finish_with(tls::s_client(server.made).args([version, "-no_ign_eof"]), input);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && !errors.contains("unexpected eof"), "{version}: {errors}");
    }
    server.assert_nothing_left();
}

#[test]
fn a_stream_that_is_cut_off_is_not_taken_for_one_that_ended() {
    let server = recording();
    for client in clients(server.made) {
        let TlsStream { mut conn, mut sock } = client;
        conn.writer().write_all(b"half a sentence").expect("there is room");
        while conn.wants_write() {
            conn.write_tls(&mut sock).expect("send");
        }
        half_close(&sock);
        let _ = read_until_closed(&mut sock);
    }
    server.assert_nothing_left_beside(0);
    assert_eq!(
        recorder::bytes(&server.events(), What::Rx),
        b"half a sentencehalf a sentence",
        "what came is delivered"
    );
    let lines = server.log().into_iter().filter(|line| line.contains("close_notify")).count();
    assert_eq!(lines, 2, "a line that tells it from an end: {:?}", server.log());
}

#[test]
fn a_client_that_was_cut_off_gets_no_reply_to_half_a_question() {
    let onward = Onward::answers_after_eof(b"the reply to a whole question".to_vec());
    let server = relaying(&onward);
    for client in clients(server.made) {
        let TlsStream { mut conn, mut sock } = client;
        conn.writer().write_all(b"half a quest").expect("there is room");
        while conn.wants_write() {
            conn.write_tls(&mut sock).expect("send");
        }
        half_close(&sock);
        // Anything but the reply: it was to a question that nobody asked.
        let mut encrypted = Vec::new();
        let _ = sock.read_to_end(&mut encrypted);
        let mut rest = encrypted.as_slice();
        let mut reply = Vec::new();
        while !rest.is_empty() && conn.read_tls(&mut rest).is_ok() && conn.process_new_packets().is_ok() {
            let _ = conn.reader().read_to_end(&mut reply);
        }
        assert_eq!(reply, b"", "{}", shown(&reply));
    }
    server.assert_nothing_left();
}

/// Plain TCP has no word for a stream that was cut but a reset, and that would throw away what is still on its way.
#[test]
fn what_a_client_had_said_before_it_was_cut_off_reaches_the_onward_server_and_the_log_tells() {
    let onward = Onward::recorder();
    let server = relaying(&onward);
    for (number, mut client) in clients(server.made).into_iter().enumerate() {
        send(&mut client, b"half a question");
        half_close(&client.sock);
        let _ = read_until_closed(&mut client.sock);
        let seen = onward.connection(number);
        eventually("its end", || seen.closed());
        assert_eq!(seen.bytes(), b"half a question");
        server.wait_for_log(&["INFO", "without close_notify"]);
    }
}

#[test]
fn an_onward_server_that_resets_is_no_orderly_end_for_the_client() {
    let onward = Onward::resets_after(4);
    let server = relaying(&onward);
    for mut client in clients(server.made) {
        send(&mut client, b"ping");
        let (answer, ending) = tls::read_until_the_end(&mut client);
        assert!(b"ping".starts_with(&answer), "{}", shown(&answer));
        assert_eq!(ending, Ending::CutOff, "close_notify says that the answer was whole");
    }
}

#[test]
fn garbage_inside_an_established_stream_ends_it_after_what_came_before() {
    let server = recording();
    for client in clients(server.made) {
        let TlsStream { mut conn, mut sock } = client;
        conn.writer().write_all(b"good").expect("there is room");
        let mut bytes = Vec::new();
        while conn.wants_write() {
            conn.write_tls(&mut bytes).expect("to memory");
        }
        bytes.extend(b"\x17\x03\x03\x00\x20garbage garbage garbage garbage!");
        send(&mut sock, &bytes);
        let (answer, _) = read_until_closed(&mut sock);
        let mut rest = answer.as_slice();
        while !rest.is_empty() {
            conn.read_tls(&mut rest).expect("from memory");
        }
        let told = conn.process_new_packets().expect_err("an alert says why");
        assert!(told.to_string().contains("alert"), "{told}");
    }
    assert_eq!(recorder::bytes(&server.events(), What::Rx), b"goodgood");
    server.assert_nothing_left();
}

#[test]
fn a_client_that_resets_leaves_nothing() {
    let server = echoing();
    for client in clients(server.made) {
        reset(client.sock);
    }
    server.assert_nothing_left();
}

#[test]
fn garbage_in_the_handshake_ends_it_at_once_and_leaves_nothing() {
    // Who waits for the timeout waits longer than this test.
    let patient = ContextInfo { timeout: Duration::from_secs(600), ..Default::default() };
    let server = Server::with_vhost_in(patient, || vhost("raw-skt", "raw-echo"));
    let (_, hello) = tls::hello(&trusting().config(), "localhost");
    let garbage = [b"\x16\x03\x03\x00\x04garb".as_slice(), b"\x17\x03\x03\x00\x04garb", b"GET / HTTP/1.1\r\n\r\n"];
    // Behind the hello in one segment with it, and in a later one.
    for (behind, later) in garbage.iter().flat_map(|behind| [(behind, false), (behind, true)]) {
        let mut client = connect(server.made);
        send(&mut client, &if later { hello.clone() } else { [&hello, *behind].concat() });
        if later {
            server.turn();
            send(&mut client, behind);
        }
        let (answer, _) = read_until_closed(&mut client);
        assert!(answer.starts_with(b"\x16\x03"), "it had begun to answer: {}", shown(&answer));
    }
    server.assert_nothing_left();
}

// -- the halves

#[test]
fn a_half_closed_client_still_gets_the_reply() {
    let reply = random_bytes(1, 3_000_000);
    let onward = Onward::answers_after_eof(reply.clone());
    let server = relaying(&onward);
    for (number, mut client) in clients(server.made).into_iter().enumerate() {
        send(&mut client, b"a question");
        tls::say_goodbye(&mut client);
        // With or without a FIN behind the goodbye.
        if number == 1 {
            client.sock.shutdown(Shutdown::Write).expect("shutdown");
        }
        assert_same_bytes(&read_to_end(&mut client), &reply);
        assert_eq!(onward.connection(number).bytes(), b"a question");
        assert!(onward.connection(number).eof());
    }
    server.assert_nothing_left();
}

#[test]
fn a_server_that_said_goodbye_first_still_hears_the_client() {
    let said = random_bytes(2, 1_000_000);
    let onward = Onward::source(said.clone());
    let server = relaying(&onward);
    // With TLS 1.2 goodbye ends both directions.
    let mut client = trusting().connect(server.made, "localhost");
    assert_same_bytes(&read_to_end(&mut client), &said);
    let answer = random_bytes(3, 1_000_000);
    send(&mut client, &answer);
    tls::say_goodbye(&mut client);
    let seen = onward.connection(0);
    eventually("the server has heard all", || seen.eof());
    assert_same_bytes(&seen.bytes(), &answer);
    server.assert_nothing_left_beside(1);
}

// -- what goes on underneath

#[test]
fn traffic_keys_may_be_refreshed_at_any_time() {
    let server = echoing();
    let mut client = trusting().connect(server.made, "localhost");
    for round in 0..50 {
        client.conn.refresh_traffic_keys().expect("TLS 1.3");
        let bytes = random_bytes(round, 20_000);
        send(&mut client, &bytes);
        assert_same_bytes(&read_exactly(&mut client, bytes.len()), &bytes);
    }
    tls::say_goodbye(&mut client);
    assert_eq!(read_to_end(&mut client), b"");
}

#[test]
fn records_may_be_of_any_size_and_cut_anywhere() {
    let server = echoing();
    for mut client in clients(server.made) {
        let bytes = random_bytes(4, 40_000);
        let mut got = Vec::new();
        let mut rest = bytes.as_slice();
        for size in [1, 2, 0, 3, 1000, 16_383, 16_384, 1, 5].into_iter().cycle() {
            let (part, behind) = rest.split_at(size.min(rest.len()));
            client.conn.writer().write_all(part).expect("there is room");
            let mut encrypted = Vec::new();
            while client.conn.wants_write() {
                client.conn.write_tls(&mut encrypted).expect("to memory");
            }
            for piece in encrypted.chunks(1 + size / 3) {
                send(&mut client.sock, piece);
            }
            got.extend(read_exactly(&mut client, part.len()));
            rest = behind;
            if rest.is_empty() {
                break;
            }
        }
        assert_same_bytes(&got, &bytes);
    }
}

#[test]
fn a_session_ends_in_order_while_the_context_ends() {
    let server = echoing();
    let [mut old, mut new] = clients(server.made);
    send(&mut old, b"1");
    send(&mut new, b"2");
    assert_eq!((read_exactly(&mut old, 1), read_exactly(&mut new, 1)), (b"1".to_vec(), b"2".to_vec()));
    drop(server);
    // At the least it ends.
    for mut client in [old, new] {
        tls::read_until_the_end(&mut client);
    }
}
