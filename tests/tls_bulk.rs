//! Much over TLS: a hundred megabytes past slow readers in little memory, many handshakes at once beside those who are served.

mod util;

use std::io::{Read, Write};
use std::process::Command;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use rlws::protocols::RawEcho;
use rlws::{Listen, Options, ProtocolTable, VhostInfo, limits};
use sha2::{Digest, Sha256};
use util::certs::localhost;
use util::tls::{self, Client, Ending, trusting};
use util::*;

const MIB: usize = 1024 * 1024;
const BULK: usize = 100 * MIB;
const LOCAL: [&str; 4] = ["--port", "0", "--interface", "127.0.0.1"];

/// The https example with pages of ours, big ones in them.
fn https_program(site: &Site) -> Program {
    let origin = site.root();
    let args = [&LOCAL[..], &["--origin", origin.to_str().expect("a text")]].concat();
    Program::start("minimal-http-server-tls", &args)
}

/// The example that ends TLS and relays what is not http.
fn relay_program(onward: &Onward) -> Program {
    let target = onward.target();
    Program::start("minimal-raw-proxy-fallback", &[&LOCAL[..], &["-s", "-r", &target]].concat())
}

#[track_caller]
fn assert_little_more(most: u64, before: u64) {
    let grown = most.saturating_sub(before);
    assert!(grown < 12 * MIB as u64, "{grown} bytes more than at the start");
}

#[test]
fn a_hundred_megabytes_of_https_pass_a_slow_reader_in_little_memory() {
    let site = Site::new();
    let bytes = random_bytes(1, BULK);
    site.write("big.bin", &bytes);
    let program = https_program(&site);
    let (before, fds) = (program.rss(), program.fds());
    let mut client = trusting().connect(program.port(), "localhost");
    send(&mut client, b"GET /big.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let head = http::read_head(&mut client);
    assert_eq!(head.header("content-length"), Some(BULK.to_string().as_str()));

    // The program has given up pushing when it no longer grows.
    settled(|| program.rss() as usize);
    let (mut most, mut got) = (program.rss(), Vec::with_capacity(BULK));
    while got.len() < BULK {
        got.extend(read_exactly(&mut client, MIB));
        most = most.max(program.rss());
    }
    assert_same_bytes(&got, &bytes);
    assert_eq!(read_to_end(&mut client), b"", "an orderly end");
    assert_little_more(most, before);
    drop(client);
    program.assert_fds_back_to(fds);
    program.stop();
}

#[test]
fn the_last_response_ends_with_close_notify_whatever_its_length() {
    let site = Site::new();
    let lengths = [0, 1, 16 * 1024, limits::TLS_SEND - 500, limits::TLS_SEND, limits::HTTP_FILE_CHUNK, 3 * MIB];
    for length in lengths {
        site.write(format!("{length}.bin"), &random_bytes(length as u64, length));
    }
    let program = https_program(&site);
    for only_1_2 in [true, false] {
        let client = Client { only_1_2, ..trusting() };
        for length in lengths {
            let mut client = client.connect(program.port(), "localhost");
            let head = format!("GET /{length}.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
            send(&mut client, head.as_bytes());
            let (answer, ending) = tls::read_until_the_end(&mut client);
            assert!(answer.starts_with(b"HTTP/1.1 200"), "{length}");
            assert!(answer.ends_with(&random_bytes(length as u64, length)), "{length}");
            assert_eq!(ending, Ending::Orderly, "{length}");
        }
    }
    program.stop();
}

#[test]
fn curl_downloads_a_hundred_megabytes_with_the_same_checksum_over_either_version() {
    let site = Site::new();
    let bytes = random_bytes(2, BULK);
    site.write("big.bin", &bytes);
    let sum = format!("{:x?}", Sha256::digest(&bytes));
    let program = https_program(&site);
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let file = site.root().join("downloaded");
        let url = format!("https://localhost:{}/big.bin", program.port());
        let resolve = format!("localhost:{}:127.0.0.1", program.port());
        let mut curl = Command::new(require("curl"));
        curl.args(["-sSk", "--fail", "--noproxy", "*", "--resolve", &resolve]).args(version);
        succeed(curl.arg("-o").arg(&file).arg(&url));
        assert_eq!(format!("{:x?}", Sha256::digest(std::fs::read(&file).expect("read"))), sum, "{version:?}");
    }
    program.stop();
}

/// Opened once.
#[derive(Default)]
struct Gate(Mutex<bool>, Condvar);

impl Gate {
    fn open(&self) {
        *self.0.lock().expect("no panic") = true;
        self.1.notify_all();
    }

    fn pass(&self) {
        let open = self.0.lock().expect("no panic");
        drop(self.1.wait_timeout_while(open, DEADLINE, |open| !*open).expect("no panic"));
    }
}

#[test]
fn a_hundred_megabytes_of_upload_wait_for_a_slow_server_in_little_memory() {
    let gate = Arc::new(Gate::default());
    let sums = Arc::new(Mutex::new(Vec::new()));
    let onward = Onward::serve({
        let (gate, sums) = (gate.clone(), sums.clone());
        move |stream, _| {
            gate.pass();
            let (mut sum, mut chunk) = (Sha256::new(), vec![0; 64 * 1024]);
            while let Ok(count @ 1..) = stream.read(&mut chunk) {
                sum.update(&chunk[..count]);
            }
            sums.lock().expect("no panic").push(format!("{:x?}", sum.finalize()));
        }
    });
    let program = relay_program(&onward);
    let (before, fds) = (program.rss(), program.fds());
    let bytes = random_bytes(3, BULK);
    let (sent, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let mut client = trusting().connect(program.port(), "localhost");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for part in bytes.chunks(MIB / 4) {
                send(&mut client, part);
                sent.fetch_add(part.len(), Ordering::SeqCst);
                most.fetch_max(program.rss() as usize, Ordering::SeqCst);
            }
            tls::say_goodbye(&mut client);
            assert_eq!(read_to_end(&mut client), b"");
        });
        let taken = settled(|| sent.load(Ordering::SeqCst));
        gate.open();
        assert!(taken < 60 * MIB, "{taken} bytes were taken for a server that does not read");
    });
    assert_little_more(most.into_inner() as u64, before);
    eventually("the server has heard all", || !sums.lock().expect("no panic").is_empty());
    assert_eq!(*sums.lock().expect("no panic"), [format!("{:x?}", Sha256::digest(&bytes))]);
    drop(client);
    program.assert_fds_back_to(fds);
    program.stop();
}

#[test]
fn a_relayed_download_waits_for_a_slow_client_in_little_memory() {
    let bytes = random_bytes(4, BULK);
    let onward = Onward::source(bytes.clone());
    let program = relay_program(&onward);
    let before = program.rss();
    let mut client = trusting().connect(program.port(), "localhost");
    send(&mut client, b"SSH-2.0-slow\r\n");
    let mut got = read_exactly(&mut client, MIB);
    let seen = onward.connection(0);
    let sent = settled(|| seen.sent());
    assert!(sent < 60 * MIB, "{sent} bytes were taken for a client that does not read");
    let mut most = program.rss();
    while got.len() < BULK {
        got.extend(read_exactly(&mut client, MIB));
        most = most.max(program.rss());
    }
    assert_same_bytes(&got, &bytes);
    assert_eq!(read_to_end(&mut client), b"", "an orderly end");
    assert_little_more(most, before);
    tls::say_goodbye(&mut client);
    eventually("the server hears the end", || seen.eof());
    assert_eq!(seen.bytes(), b"SSH-2.0-slow\r\n");
    program.stop();
}

// -- many at once

fn echoing() -> Server {
    Server::with_vhost(|| VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(localhost().tls_info()),
        protocols: vec![ProtocolTable::of::<RawEcho>()],
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        ..Default::default()
    })
}

#[test]
fn an_established_connection_is_served_while_two_hundred_shake_hands() {
    const CLIENTS: usize = 200;
    let server = echoing();
    let port = server.made;
    let mut established = trusting().connect(port, "localhost");
    let (start, left) = (Barrier::new(CLIENTS + 1), AtomicUsize::new(CLIENTS));
    let mut rounds = 0;
    std::thread::scope(|scope| {
        for number in 0..CLIENTS {
            let (start, left) = (&start, &left);
            scope.spawn(move || {
                let _done = CountDown(left);
                let config = Client { only_1_2: number % 2 == 0, ..trusting() }.config();
                let socket = connect(port);
                start.wait();
                let mut client = tls::try_handshake(&config, socket, "localhost").expect("handshake");
                let bytes = random_bytes(number as u64, 1000);
                send(&mut client, &bytes);
                assert_same_bytes(&read_exactly(&mut client, bytes.len()), &bytes);
                tls::say_goodbye(&mut client);
                assert_eq!(read_to_end(&mut client), b"");
            });
        }
        start.wait();
        while left.load(Ordering::SeqCst) > 0 {
            send(&mut established, b"ping");
            assert_eq!(read_exactly(&mut established, 4), b"ping");
            rounds += 1;
        }
    });
    assert!(rounds > 3, "{rounds} rounds beside {CLIENTS} handshakes");
    tls::say_goodbye(&mut established);
    assert_eq!(read_to_end(&mut established), b"");
    drop(established);
    server.assert_nothing_left();
}

#[test]
fn two_hundred_hellos_without_an_end_hold_up_nobody_and_leave_nothing() {
    let server = echoing();
    let config = trusting().config();
    let begun: Vec<_> = (0..200)
        .map(|number| {
            let (_, hello) = tls::hello(&config, "localhost");
            let mut socket = connect(server.made);
            // Some of them whole, so that the server has answered.
            send(&mut socket, &hello[..hello.len() - number % 2]);
            socket
        })
        .collect();
    let mut client = tls::handshake(&config, server.made, "localhost");
    send(&mut client, b"ping");
    assert_eq!(read_exactly(&mut client, 4), b"ping");
    drop((begun, client));
    server.assert_nothing_left();
}

#[test]
fn a_flood_of_bulk_leaves_turns_for_a_pingpong() {
    const ROUNDS: usize = 200;
    let server = echoing();
    let over = AtomicBool::new(false);
    let mut talker = trusting().connect(server.made, "localhost");
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut bulk = trusting().connect(server.made, "localhost");
                let chunk = random_bytes(5, 64 * 1024);
                while !over.load(Ordering::SeqCst) {
                    bulk.write_all(&chunk).expect("send");
                    assert_same_bytes(&read_exactly(&mut bulk, chunk.len()), &chunk);
                }
            });
        }
        let _over = Raise(&over);
        for _ in 0..ROUNDS {
            send(&mut talker, b"ping");
            assert_eq!(read_exactly(&mut talker, 4), b"ping");
        }
    });
    drop(talker);
    server.assert_nothing_left();
}

/// Raised when it goes, in whichever way.
struct Raise<'a>(&'a AtomicBool);

impl Drop for Raise<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Counts down when its thread ends, in whichever way.
struct CountDown<'a>(&'a AtomicUsize);

impl Drop for CountDown<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
