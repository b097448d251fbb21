//! The ready-made raw protocols with netcat-like clients.

mod util;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rlws::protocols::{RawEcho, RawTest};
use rlws::{Context, ContextInfo, Listen, Options, ProtocolTable, VhostInfo};
use util::server::make_vhost;
use util::*;

fn listening(table: ProtocolTable) -> Server {
    Server::with_vhost(move || vhost(table))
}

fn vhost(table: ProtocolTable) -> VhostInfo {
    VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![table],
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        ..Default::default()
    }
}

#[test]
fn raw_echo_sends_megabytes_back_to_a_client_that_reads_late() {
    let server = listening(ProtocolTable::of::<RawEcho>());
    let bytes = random_bytes(1, 30_000_000);
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
fn what_is_echoed_at_once_allocates_nothing() {
    let mut context = Context::new(ContextInfo::default()).expect("a context");
    let mut client = connect(make_vhost(&mut context, vhost(ProtocolTable::of::<RawEcho>())));
    client.set_nonblocking(true).expect("fcntl");
    let mut buf = [0; 64];
    let mut turns = |times: usize| {
        for _ in 0..times {
            client.write_all(&[b'x'; 64]).expect("room for a line");
            let (mut got, end) = (0, Instant::now() + DEADLINE);
            while got < buf.len() {
                assert!(Instant::now() < end, "{got} bytes came");
                context.service(Some(Duration::from_millis(1))).expect("a turn");
                got += client.read(&mut buf[got..]).unwrap_or(0);
            }
        }
    };
    turns(20);
    let counted = allocation_counter::measure(|| turns(200));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}

#[test]
fn what_one_client_of_raw_test_says_goes_to_all_itself_included() {
    let server = listening(ProtocolTable::of::<RawTest>());
    let mut clients: Vec<TcpStream> = (0..4).map(|_| connect(server.made)).collect();
    eventually("all have arrived", || server.wsi_count() == 1 + clients.len());
    for speaker in 0..clients.len() {
        let line = format!("line of client {speaker}\n");
        send(&mut clients[speaker], line.as_bytes());
        for client in &mut clients {
            assert_eq!(read_exactly(client, line.len()), line.as_bytes());
        }
    }
    drop(clients);
    server.assert_nothing_left();
}

#[test]
fn a_client_of_raw_test_that_does_not_read_holds_nobody_up() {
    let server = listening(ProtocolTable::of::<RawTest>());
    let _deaf = connect(server.made);
    let mut client = connect(server.made);
    eventually("both have arrived", || server.wsi_count() == 3);
    let line = vec![b'x'; 10_000];
    for _ in 0..2_000 {
        send(&mut client, &line);
        assert_eq!(read_exactly(&mut client, line.len()).len(), line.len());
    }
}
