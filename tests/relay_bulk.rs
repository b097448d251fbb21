//! Streams that a relay has the kernel move, through pipes: every byte arrives, and every pipe is given back.

mod util;

use std::fs;
use std::io::Write;
use std::net::{Shutdown, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rlws::protocols::RawProxy;
use rlws::{Listen, Options, ProtocolTable, VhostInfo, limits};
use socket2::SockRef;
use util::*;

const MIB: usize = 1024 * 1024;

fn relay(onward: &Onward, own: &'static [(&str, &str)]) -> impl FnOnce() -> VhostInfo + Send + 'static {
    let target = onward.target();
    move || VhostInfo {
        name: "relay".into(),
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<RawProxy>()],
        pvo: options("raw-proxy", &[own, &[("onward", &target)]].concat()),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_role: Some("raw-proxy".into()),
        ..Default::default()
    }
}

/// A process of its own, whose descriptors are to be seen.
fn program(onward: &Onward) -> Program {
    Program::start("minimal-raw-proxy", &["--port", "0", "--interface", "127.0.0.1", "-r", &onward.target()])
}

/// The ends of pipes that it has open.
fn pipe_ends(program: &Program) -> usize {
    let is_pipe = |path: PathBuf| fs::read_link(path).is_ok_and(|to| to.to_string_lossy().starts_with("pipe:"));
    let open = fs::read_dir(format!("/proc/{}/fd", program.pid())).expect("/proc");
    open.filter(|entry| entry.as_ref().is_ok_and(|entry| is_pipe(entry.path()))).count()
}

/// Sends in the background for as long as anybody takes it; another handle on the connection.
fn sends_on(client: &TcpStream) -> TcpStream {
    let mut sender = client.try_clone().expect("dup");
    std::thread::spawn(move || {
        let chunk = random_bytes(9, MIB);
        while sender.write_all(&chunk).is_ok() {}
    });
    client.try_clone().expect("dup")
}

#[test]
fn streams_of_every_size_pass_both_ways_unchanged() {
    let onward = Onward::echo();
    let server = Server::with_vhost(relay(&onward, &[]));
    let read = limits::BULK_READ;
    let all = random_bytes(1, 24 * MIB);
    let sizes = [0, 1, read - 1, read, read + 1, 2 * read + 1, limits::SPLICE - 1, limits::SPLICE, limits::SPLICE + 1];
    for size in sizes.into_iter().chain([3 * MIB + 77, all.len()]) {
        for piece in [7919, 256 * 1024, MIB].into_iter().filter(|piece| size / piece < 1000) {
            let mut client = connect(server.made);
            let mut sender = client.try_clone().expect("dup");
            let got = std::thread::scope(|scope| {
                scope.spawn(|| {
                    all[..size].chunks(piece).for_each(|piece| send(&mut sender, piece));
                    half_close(&sender);
                });
                read_to_end(&mut client)
            });
            assert_same_bytes(&got, &all[..size]);
        }
    }
    server.assert_nothing_left();
}

#[test]
fn much_and_little_in_turn_stay_in_order() {
    let onward = Onward::echo();
    let server = Server::with_vhost(relay(&onward, &[]));
    let mut client = connect(server.made);
    for round in 0..20 {
        for size in [64, 2 * MIB + round, 1, 40 * 1024] {
            let bytes = random_bytes((size + round) as u64, size);
            let mut sender = client.try_clone().expect("dup");
            let got = std::thread::scope(|scope| {
                scope.spawn(|| send(&mut sender, &bytes));
                read_exactly(&mut client, size)
            });
            assert_same_bytes(&got, &bytes);
        }
    }
}

/// Reads nothing until it is told to, and then everything; says how much that was.
fn reads_later() -> (Onward, Arc<AtomicBool>) {
    let go = Arc::new(AtomicBool::new(false));
    let told = go.clone();
    let onward = Onward::serve(move |stream, _| {
        eventually("it is told to read", || told.load(Ordering::SeqCst));
        let len = read_to_end(stream).len() as u64;
        let _ = stream.write_all(&len.to_le_bytes());
    });
    (onward, go)
}

#[test]
fn the_end_comes_behind_what_waits_in_the_pipe_and_the_reply_behind_that() {
    let (onward, go) = reads_later();
    let relay = program(&onward);
    let before = relay.fds();
    let mut client = connect(relay.port());
    let bytes = random_bytes(3, 60 * MIB);
    let mut sender = client.try_clone().expect("dup");
    let reply = std::thread::scope(|scope| {
        scope.spawn(|| {
            send(&mut sender, &bytes);
            half_close(&sender);
        });
        eventually("bytes wait in a pipe", || pipe_ends(&relay) > 0);
        go.store(true, Ordering::SeqCst);
        read_to_end(&mut client)
    });
    assert_eq!(reply, (bytes.len() as u64).to_le_bytes());
    drop((client, sender));
    relay.assert_fds_back_to(before);
}

#[test]
fn a_reset_of_either_side_with_bytes_in_the_pipe_leaves_nothing() {
    for client_resets in [true, false] {
        let (onward, go) = reads_later();
        let resets = Onward::serve(|stream, _| {
            let _ = SockRef::from(&*stream).set_recv_buffer_size(64 * 1024);
            read_exactly(stream, 30 * MIB);
            reset(stream.try_clone().expect("dup"));
        });
        let relay = program(if client_resets { &onward } else { &resets });
        let before = relay.fds();
        let client = connect(relay.port());
        let mut still = sends_on(&client);
        if client_resets {
            eventually("bytes wait in a pipe", || pipe_ends(&relay) > 0);
            // The thread that sends has a copy of the descriptor: what ends the connection is told to the socket.
            SockRef::from(&client).set_linger(Some(Duration::ZERO)).expect("SO_LINGER");
            client.shutdown(Shutdown::Both).expect("shutdown");
        } else {
            read_until_closed(&mut still);
        }
        drop((client, still));
        go.store(true, Ordering::SeqCst);
        relay.assert_fds_back_to(before);
    }
}

#[test]
fn of_many_held_up_streams_only_so_many_have_a_pipe_and_all_arrive() {
    const STREAMS: usize = 2 * limits::PIPES;
    let (onward, go) = reads_later();
    let relay = program(&onward);
    let before = (relay.fds(), pipe_ends(&relay), relay.rss());
    let bytes = random_bytes(4, 12 * MIB);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..STREAMS)
            .map(|_| {
                scope.spawn(|| {
                    let mut client = connect(relay.port());
                    send(&mut client, &bytes);
                    half_close(&client);
                    read_to_end(&mut client)
                })
            })
            .collect();
        let most = settled(|| pipe_ends(&relay) - before.1);
        assert!(most > 0 && most <= 2 * limits::PIPES, "{most} ends of pipes");
        go.store(true, Ordering::SeqCst);
        for client in clients {
            assert_eq!(client.join().expect("a client"), (bytes.len() as u64).to_le_bytes());
        }
    });
    relay.assert_fds_back_to(before.0);
}

#[test]
fn an_idle_timeout_counts_what_the_kernel_moves_and_ends_a_pair_that_is_held_up() {
    let (onward, go) = reads_later();
    let server = Server::with_vhost(relay(&onward, &[("idle-timeout-secs", "1")]));
    let mut client = connect(server.made);
    let mut held_up = sends_on(&client);
    // Nothing moves once all buffers are full.
    read_until_closed(&mut held_up);
    read_until_closed(&mut client);
    go.store(true, Ordering::SeqCst);
    drop((client, held_up));
    server.assert_nothing_left_beside(0);
}

#[test]
fn urgent_data_does_not_stop_a_stream_that_the_kernel_moves() {
    let onward = Onward::recorder();
    let server = Server::with_vhost(relay(&onward, &[]));
    let mut client = connect(server.made);
    let bytes = random_bytes(5, 20 * MIB);
    let (before, behind) = bytes.split_at(8 * MIB);
    send(&mut client, before);
    assert_eq!(SockRef::from(&client).send_out_of_band(b"!").expect("MSG_OOB"), 1);
    send(&mut client, behind);
    half_close(&client);
    let seen = onward.connection(0);
    eventually("the end", || seen.eof());
    // What is urgent is no part of the stream.
    assert_same_bytes(&seen.bytes(), &bytes);
}

#[test]
fn the_access_log_counts_what_the_kernel_moved() {
    let log = access::LogFile::new();
    let (onward, writer) = (Onward::echo(), log.log.clone());
    let info = relay(&onward, &[]);
    let server = Server::with_vhost(move || VhostInfo { access_log: Some(writer), ..info() });
    let mut client = connect(server.made);
    let bytes = random_bytes(6, 20 * MIB + 5);
    let mut sender = client.try_clone().expect("dup");
    let got = std::thread::scope(|scope| {
        scope.spawn(|| {
            send(&mut sender, &bytes);
            half_close(&sender);
        });
        read_to_end(&mut client)
    });
    assert_eq!(got.len(), bytes.len());
    let line = log.connection();
    assert_eq!((line.received, line.sent), (bytes.len() as u64, bytes.len() as u64));
}

#[test]
fn a_proxy_header_comes_before_what_the_kernel_moves() {
    let onward = Onward::recorder();
    let server = Server::with_vhost(relay(&onward, &[("proxy-protocol", "v1")]));
    let mut client = connect(server.made);
    let header =
        format!("PROXY TCP4 127.0.0.1 127.0.0.1 {} {}\r\n", client.local_addr().expect("bound").port(), server.made);
    let bytes = random_bytes(7, 20 * MIB);
    send(&mut client, &bytes);
    half_close(&client);
    let seen = onward.connection(0);
    eventually("the end", || seen.eof());
    assert_same_bytes(&seen.bytes(), &[header.into_bytes(), bytes].concat());
}
