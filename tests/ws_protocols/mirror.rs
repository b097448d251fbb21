//! `lws-mirror-protocol`.

use std::net::TcpStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use rlws::protocols::LwsMirror;
use rlws::protocols::lws_mirror::{BACKLOG, IMPATIENCE, MESSAGE, MIRRORS, NAME_LENGTH, PATIENCE};
use rlws::{Listen, ProtocolTable, VhostInfo};

use super::util::script::Loop;
use super::util::server::Server;
use super::util::turned::client_of;
use super::util::ws::{self, Frame};
use super::util::{eventually, read_until_closed, send, settled};
use super::{asked, asks, opened};

fn served() -> Server {
    Server::with_vhost(|| VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<LwsMirror>()],
        ..Default::default()
    })
}

fn binary(payload: &[u8]) -> Frame {
    Frame { first: ws::FIN | ws::BINARY, payload: payload.to_vec() }
}

#[test]
fn what_one_says_all_of_its_mirror_hear_itself_included() {
    let server = served();
    let mut of_none: Vec<TcpStream> = (0..3).map(|_| opened(server.made, "/")).collect();
    let mut of_a: Vec<TcpStream> = (0..2).map(|_| opened(server.made, "/any/path?mirror=a%20b")).collect();
    for (clients, message) in [(&mut of_none, "for those without a name"), (&mut of_a, "for those of a")] {
        for speaker in 0..clients.len() {
            send(&mut clients[speaker], &ws::text(message));
            for client in clients.iter_mut() {
                assert_eq!(ws::read_frame(client), Frame::text(message));
            }
        }
    }
    // A message in parts comes as one, and as what it is.
    let parts = [ws::frame(ws::BINARY, b"\xff\xfe"), ws::frame(ws::FIN | ws::CONTINUATION, b"\xfd")];
    send(&mut of_none[0], &parts.concat());
    assert!(of_none.iter_mut().all(|client| ws::read_frame(client) == binary(b"\xff\xfe\xfd")));
    drop((of_none, of_a));
    server.assert_nothing_left();
}

#[test]
fn there_are_so_many_mirrors_and_one_goes_with_its_last_client() {
    let server = served();
    let path = |n: usize| format!("/?mirror={n}");
    let mut clients: Vec<TcpStream> = (0..MIRRORS).map(|n| opened(server.made, &path(n))).collect();
    assert_eq!(asked(server.made, &path(MIRRORS)).1, 403);
    let second = opened(server.made, &path(0));
    drop(clients.remove(0));
    assert_eq!(asked(server.made, &path(MIRRORS)).1, 403, "one is still in the first");
    drop(second);
    eventually("there is room for another", || asked(server.made, &path(MIRRORS)).1 == 101);
    drop(clients);
    let longest = "x".repeat(NAME_LENGTH);
    eventually("there is room for a name", || asked(server.made, &format!("/?mirror={longest}")).1 == 101);
    assert_eq!(asked(server.made, &format!("/?mirror={longest}x")).1, 403);
}

#[test]
fn a_message_may_be_so_long() {
    let server = served();
    let mut client = opened(server.made, "/");
    let longest = vec![7; MESSAGE];
    send(&mut client, &ws::frame(ws::FIN | ws::BINARY, &longest));
    assert_eq!(ws::read_frame(&mut client), binary(&longest));
    send(&mut client, &ws::frame(ws::FIN | ws::BINARY, &vec![7; MESSAGE + 1]));
    assert_eq!(ws::read_frame(&mut client).code(), 1009);
}

/// All of it is there when the loop turns next, and more than is kept for one client.
#[test]
fn who_speaks_when_all_others_do_is_heard_by_all() {
    let mut here = Loop::new(VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<LwsMirror>()],
        ..Default::default()
    });
    let port = here.port();
    let speakers = BACKLOG / MESSAGE + 4;
    let mut clients: Vec<TcpStream> = here.during(move || (0..speakers).map(|_| ws::open(port, "")).collect());
    let message = vec![7; MESSAGE];
    clients.iter_mut().for_each(|client| send(client, &ws::frame(ws::FIN | ws::BINARY, &message)));
    let hears_all = move |mut client: TcpStream| (0..speakers).all(|_| ws::read_frame(&mut client) == binary(&message));
    here.during(move || {
        let hears: Vec<_> = clients
            .into_iter()
            .map(|client| {
                let hears_all = hears_all.clone();
                thread::spawn(move || hears_all(client))
            })
            .collect();
        hears.into_iter().for_each(|hears| assert!(hears.join().expect("frames come")));
    });
}

/// More than the buffers of the system and the backlog hold.
const MANY: usize = 2000;
const LENGTH: usize = 32 * 1024;

fn message(n: usize) -> Vec<u8> {
    let mut message = vec![0; LENGTH];
    message[..8].copy_from_slice(&n.to_be_bytes());
    message
}

/// Says all messages.
fn speaks(mut client: TcpStream) -> thread::JoinHandle<()> {
    thread::spawn(move || (0..MANY).for_each(|n| send(&mut client, &ws::frame(ws::FIN | ws::BINARY, &message(n)))))
}

/// Hears all messages, in order; how many it has heard so far.
fn hears(mut client: TcpStream, heard: &'static AtomicUsize) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for n in 0..MANY {
            assert_eq!(ws::read_frame(&mut client), binary(&message(n)), "message {n}");
            heard.store(n + 1, Ordering::SeqCst);
        }
    })
}

#[test]
fn who_reads_nothing_stops_the_others_for_a_while_and_is_disconnected() {
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    let server = served();
    let deaf = opened(server.made, "/");
    let client = opened(server.made, "/");
    let (ear, mouth) = (hears(client.try_clone().expect("dup"), &HEARD), speaks(client));
    server.wait_for_connections(2);
    eventually("time passes while it is waited for", || {
        server.let_pass(PATIENCE);
        HEARD.load(Ordering::SeqCst) == MANY
    });
    ear.join().expect("it hears all");
    mouth.join().expect("it says all");
    server.wait_for_log(&["INFO", "its connection takes nothing more, and others wait for it"]);
    let (got, _) = read_until_closed(&mut &deaf);
    assert!(got.len() < MANY * LENGTH, "{} bytes", got.len());
    server.assert_nothing_left_beside(1);
}

#[test]
fn who_is_disconnected_hears_why() {
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    let server = served();
    server.let_pass(720 * PATIENCE);
    let mut deaf = opened(server.made, "/");
    let client = opened(server.made, "/");
    let (ear, mouth) = (hears(client.try_clone().expect("dup"), &HEARD), speaks(client));
    server.wait_for_connections(2);
    settled(|| HEARD.load(Ordering::SeqCst));
    server.let_pass(PATIENCE);
    ear.join().expect("it hears all");
    mouth.join().expect("it says all");
    assert_eq!(ws::read_close(&mut deaf), 1008);
}

#[test]
fn many_who_read_nothing_do_not_cost_the_others_as_many_waits() {
    static HEARD: AtomicUsize = AtomicUsize::new(0);
    let server = served();
    // However long this machine takes, no time passes but what is let pass.
    server.let_pass(720 * PATIENCE);
    let deaf = [16, 64, 128, 256].map(|kib| {
        let mut stream = client_of(server.made, kib * 1024);
        assert_eq!(asks(&mut stream, "/"), 101);
        stream
    });
    let client = opened(server.made, "/");
    let (ear, mouth) = (hears(client.try_clone().expect("dup"), &HEARD), speaks(client));
    server.wait_for_connections(deaf.len() + 1);
    let before = settled(|| HEARD.load(Ordering::SeqCst));
    assert!(before < MANY, "{before} messages: it waits for those who hear nothing");
    server.let_pass(PATIENCE);
    // Their systems do not take as much each, so some are found out later than others.
    let mut waited = PATIENCE;
    while settled(|| HEARD.load(Ordering::SeqCst)) < MANY {
        server.let_pass(IMPATIENCE);
        waited += IMPATIENCE;
        assert!(waited < 2 * PATIENCE, "{waited:?} for {} who read nothing", deaf.len());
    }
    ear.join().expect("it hears all");
    mouth.join().expect("it says all");
    let culled = server.log().iter().filter(|line| line.contains("takes nothing more")).count();
    assert_eq!(culled, deaf.len());
    drop(deaf);
    server.assert_nothing_left();
}

#[test]
fn who_reads_slowly_slows_the_others_down_and_hears_all() {
    static QUICK: AtomicUsize = AtomicUsize::new(0);
    static SLOW: AtomicUsize = AtomicUsize::new(0);
    let server = served();
    // However long this machine takes, no time passes.
    server.let_pass(720 * PATIENCE);
    let slow = opened(server.made, "/");
    let client = opened(server.made, "/");
    let quick = hears(client.try_clone().expect("dup"), &QUICK);
    let mouth = speaks(client);
    // While nothing is read there, so much comes through and no more: it is less than all.
    let before = settled(|| QUICK.load(Ordering::SeqCst));
    assert!(before < MANY && before * LENGTH > BACKLOG / 2, "{before} messages");
    let slow = hears(slow, &SLOW);
    for thread in [quick, slow, mouth] {
        thread.join().expect("all of it in order");
    }
    assert!(!server.log().iter().any(|line| line.contains("takes nothing more")), "{:?}", server.log());
}
