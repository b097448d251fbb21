//! Role and protocol raw-proxy between real sockets: half-close, failures, backpressure, fairness.

mod util;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rlws::protocols::RawProxy;
use rlws::{ContextInfo, Listen, Options, ProtocolTable, VhostInfo};
use util::*;

const MIB: usize = 1024 * 1024;
/// Longer than any wait of a test that passes.
const NEVER: Duration = Duration::from_secs(600);

/// Every connection goes to `onward`, nothing is looked at.
fn relay_to(onward: &str) -> Server {
    relay_within(NEVER, onward)
}

fn relay_within(connect_timeout: Duration, onward: &str) -> Server {
    let context = ContextInfo { connect_timeout, ..Default::default() };
    let onward = onward.to_owned();
    Server::with_vhost_in(context, move || relay_vhost(&onward))
}

fn relay_vhost(onward: &str) -> VhostInfo {
    VhostInfo {
        name: "relay".into(),
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        pvo: options("raw-proxy", &[("onward", onward)]),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        ..Default::default()
    }
}

/// The process that relays, where its own memory and files are to be seen.
fn relay_program(onward: &str) -> Program {
    Program::start("minimal-raw-proxy", &["--port", "0", "--interface", "127.0.0.1", "-r", onward])
}

#[test]
fn megabytes_pass_both_ways_at_once_unchanged() {
    let onward = Onward::echo();
    let server = relay_to(&onward.target());
    let bytes = random_bytes(1, 20 * MIB);
    let mut client = connect(server.made);
    let mut sender = client.try_clone().expect("dup");
    let got = std::thread::scope(|scope| {
        scope.spawn(|| {
            send(&mut sender, &bytes);
            half_close(&sender);
        });
        read_to_end(&mut client)
    });
    assert_same_bytes(&got, &bytes);
    drop((client, sender));
    server.assert_nothing_left();
}

#[test]
fn a_half_closed_client_still_gets_the_ten_megabytes_on_their_way() {
    let bytes = random_bytes(2, 10 * MIB);
    let onward = Onward::source(bytes.clone());
    let server = relay_to(&onward.target());
    let mut client = connect(server.made);
    send(&mut client, b"last words");
    let mut got = read_exactly(&mut client, 1000);
    half_close(&client);
    let seen = onward.connection(0);
    eventually("the EOF passes while the bytes do not", || seen.eof());
    assert_eq!(seen.bytes(), b"last words");
    got.extend(read_to_end(&mut client));
    assert_same_bytes(&got, &bytes);
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_half_closed_client_still_gets_the_reply() {
    let bytes = random_bytes(3, 10 * MIB);
    let onward = Onward::answers_after_eof(bytes.clone());
    let server = relay_to(&onward.target());
    let mut client = connect(server.made);
    send(&mut client, b"a question");
    half_close(&client);
    assert_same_bytes(&read_to_end(&mut client), &bytes);
    assert_eq!(onward.connection(0).bytes(), b"a question");
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_half_closed_onward_server_still_gets_the_ten_megabytes_on_their_way() {
    let bytes = random_bytes(4, 10 * MIB);
    let onward = Onward::source(Vec::new());
    let server = relay_to(&onward.target());
    let mut client = connect(server.made);
    send(&mut client, &bytes[..MIB]);
    assert_eq!(read_to_end(&mut client), b"", "the onward server's EOF");
    send(&mut client, &bytes[MIB..]);
    half_close(&client);
    let seen = onward.connection(0);
    eventually("the client's EOF arrives onward", || seen.eof());
    assert_same_bytes(&seen.bytes(), &bytes);
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_refused_onward_connection_closes_the_client_and_warns_with_both_addresses() {
    let onward = Refusing::new();
    let server = relay_to(&onward.target());
    let mut client = connect(server.made);
    let address = client.local_addr().expect("an address").to_string();
    send(&mut client, b"anybody there?");
    assert_eq!(read_until_closed(&mut client).0, b"");
    server.wait_for_log(&["WARN", &address, &onward.port.to_string()]);
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_black_holed_onward_connection_times_out_and_warns_with_both_addresses() {
    let onward = BlackHole::new();
    let server = relay_within(Duration::from_millis(300), &onward.target());
    let mut client = connect(server.made);
    let address = client.local_addr().expect("an address").to_string();
    send(&mut client, b"anybody there?");
    assert_eq!(read_until_closed(&mut client).0, b"");
    server.wait_for_log(&["WARN", &address, &onward.port.to_string()]);
    drop(client);
    server.assert_nothing_left();
}

#[test]
fn an_onward_server_that_dies_in_the_middle_takes_the_client_along() {
    let onward = Onward::resets_after(1000);
    let server = relay_to(&onward.target());
    let mut client = connect(server.made);
    let bytes = random_bytes(5, MIB);
    // The rest is under way when the reset comes, so a failing send is as good.
    let _ = client.write_all(&bytes);
    let (got, _) = read_until_closed(&mut client);
    assert_same_bytes(&got, &bytes[..got.len()]);
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_client_that_resets_in_the_middle_takes_the_onward_connection_along() {
    let onward = Onward::spring();
    let server = relay_to(&onward.target());
    let mut client = connect(server.made);
    read_exactly(&mut client, MIB);
    reset(client);
    let seen = onward.connection(0);
    eventually("the onward connection is closed", || seen.closed());
    server.assert_nothing_left();
}

#[test]
fn a_client_that_goes_while_the_onward_connect_is_under_way_leaves_nothing() {
    let onward = BlackHole::new();
    let server = relay_to(&onward.target());
    for _ in 0..5 {
        let mut client = connect(server.made);
        send(&mut client, b"never mind");
        server.turn();
        reset(client);
    }
    server.assert_nothing_left();
}

#[test]
fn a_client_that_half_closes_while_the_onward_connect_is_under_way_is_still_served() {
    let onward = Onward::answers_after_eof(b"the answer".to_vec());
    let server = relay_to(&onward.target());
    let mut client = connect(server.made);
    send(&mut client, b"a question");
    half_close(&client);
    assert_eq!(read_to_end(&mut client), b"the answer");
    assert_eq!(onward.connection(0).bytes(), b"a question");
}

#[test]
fn a_client_that_never_speaks_hears_the_onward_server_first() {
    let onward = Onward::source(b"SSH-2.0-banner\r\n".to_vec());
    let server = relay_to(&onward.target());
    assert_eq!(read_to_end(&mut connect(server.made)), b"SSH-2.0-banner\r\n");
}

#[test]
fn a_slow_reader_with_a_hundred_megabytes_behind_it_costs_little_memory() {
    let bytes = random_bytes(6, 100 * MIB);
    let onward = Onward::source(bytes.clone());
    let relay = relay_program(&onward.target());
    let before = relay.rss();
    let fds = relay.fds();
    let mut client = connect(relay.port());
    let mut got = read_exactly(&mut client, MIB);

    let seen = onward.connection(0);
    let sent = settled(|| seen.sent());
    assert!(sent < 60 * MIB, "{sent} bytes were taken for a client that does not read");

    let mut most = relay.rss();
    while got.len() < bytes.len() {
        got.extend(read_exactly(&mut client, MIB));
        most = most.max(relay.rss());
    }
    assert_eq!(read_to_end(&mut client), b"");
    assert_same_bytes(&got, &bytes);
    let grown = most.saturating_sub(before);
    assert!(grown < 10 * MIB as u64, "{grown} bytes more than at the start");
    drop(client);
    relay.assert_fds_back_to(fds);
    relay.stop();
}

#[test]
fn a_slow_onward_server_holds_the_client_back() {
    let onward = Onward::idle();
    let relay = relay_program(&onward.target());
    let before = relay.rss();
    let sent = AtomicUsize::new(0);
    let client = connect(relay.port());
    let mut sender = client.try_clone().expect("dup");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let chunk = random_bytes(8, MIB);
            while sent.load(Ordering::SeqCst) < 100 * MIB && sender.write_all(&chunk).is_ok() {
                sent.fetch_add(chunk.len(), Ordering::SeqCst);
            }
        });
        let sent = settled(|| sent.load(Ordering::SeqCst));
        assert!(sent < 60 * MIB, "{sent} bytes were taken for a server that does not read");
        let grown = relay.rss().saturating_sub(before);
        assert!(grown < 10 * MIB as u64, "{grown} bytes more than at the start");
        client.shutdown(std::net::Shutdown::Both).expect("shutdown");
    });
}

#[test]
fn two_bulk_streams_and_a_pingpong_share_the_loop() {
    const ROUNDS: usize = 200;
    let (spring, echo) = (Onward::spring(), Onward::echo());
    let (to_spring, to_echo) = (spring.target(), echo.target());
    let server = Server::start(move |context| {
        let bulk = util::server::make_vhost(context, relay_vhost(&to_spring));
        let other = VhostInfo { name: "pingpong".into(), listen: Listen::on("127.0.0.2", 0), ..relay_vhost(&to_echo) };
        (bulk, util::server::make_vhost(context, other))
    });
    let (bulk, pingpong) = server.made;
    let (done, moved) = (AtomicBool::new(false), [AtomicUsize::new(0), AtomicUsize::new(0)]);
    let during = std::thread::scope(|scope| {
        // Also where an assertion ends the scope early.
        let _ends_the_bulk_streams = SetOnDrop(&done);
        for counter in &moved {
            let done = &done;
            scope.spawn(move || {
                let mut stream = connect(bulk);
                let mut chunk = vec![0; 256 * 1024];
                while !done.load(Ordering::SeqCst) {
                    counter.fetch_add(stream.read(&mut chunk).expect("read"), Ordering::SeqCst);
                }
            });
        }
        let count = || [0, 1].map(|which: usize| moved[which].load(Ordering::SeqCst));
        eventually("both bulk streams flow", || count().iter().all(|bytes| *bytes > MIB));
        let before = count();
        let mut client = connect_to(&format!("127.0.0.2:{pingpong}"));
        for round in 0..ROUNDS {
            let ping = round.to_le_bytes();
            send(&mut client, &ping);
            assert_eq!(read_exactly(&mut client, ping.len()), ping);
        }
        let after = count();
        [after[0] - before[0], after[1] - before[1]]
    });
    // The pingpong came through 200 times, each time past streams that never end; and it did not stop them, nor they each other.
    let (less, more) = (during[0].min(during[1]), during[0].max(during[1]));
    assert!(less > 0 && less >= more / 10, "{during:?} bytes during {ROUNDS} rounds");
}

struct SetOnDrop<'a>(&'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[test]
fn a_unix_socket_can_be_the_onward_server() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("onward.sock");
    onward::unix_echo(&path);
    let server = relay_to(&format!("unix:{}", path.display()));
    let mut client = connect(server.made);
    send(&mut client, b"over unix");
    half_close(&client);
    assert_eq!(read_to_end(&mut client), b"over unix");
}

#[test]
fn a_missing_unix_socket_closes_the_client_and_warns() {
    let server = relay_to("unix:/nonexistent/onward.sock");
    assert_eq!(read_until_closed(&mut connect(server.made)).0, b"");
    server.wait_for_log(&["WARN", "/nonexistent/onward.sock"]);
    server.assert_nothing_left();
}

#[test]
fn a_host_name_can_be_the_onward_server() {
    let onward = Onward::echo();
    let server = relay_to(&format!("ipv4:localhost:{}", onward.port));
    let mut client = connect(server.made);
    send(&mut client, b"by name");
    half_close(&client);
    assert_eq!(read_to_end(&mut client), b"by name");
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_host_name_that_does_not_resolve_closes_the_client_and_warns() {
    let server = relay_to("ipv4:no-such-host.invalid:22");
    assert_eq!(read_until_closed(&mut connect(server.made)).0, b"");
    server.wait_for_log(&["WARN", "no-such-host.invalid"]);
    server.assert_nothing_left();
}

#[test]
fn the_relay_can_listen_on_a_unix_socket() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("listen.sock");
    let onward = Onward::echo();
    let (listen, target) = (Listen::unix(&path), onward.target());
    let server = Server::with_vhost(move || VhostInfo { listen, ..relay_vhost(&target) });
    let mut client = UnixStream::connect(&path).expect("connect");
    client.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    send(&mut client, b"from unix");
    client.shutdown(std::net::Shutdown::Write).expect("shutdown");
    assert_eq!(read_to_end(&mut client), b"from unix");
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_half_closed_pair_that_stays_silent_is_not_kept_when_idle_timeout_is_set() {
    let onward = Onward::idle();
    let pvo = options("raw-proxy", &[("onward", &onward.target()), ("idle-timeout-secs", "1")]);
    let server = Server::with_vhost(move || VhostInfo { pvo, ..relay_vhost("ipv4:127.0.0.1:1") });
    let mut client = connect(server.made);
    send(&mut client, b"hello?");
    half_close(&client);
    assert_eq!(read_until_closed(&mut client).0, b"");
    // Ours, and the one that the idle server never closes.
    server.assert_nothing_left_beside(2);
}
