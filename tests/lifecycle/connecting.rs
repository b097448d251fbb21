//! Role connect, and role tls on the client's side: connections of our own, which become raw-skt.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};

use rlws::{ConnectInfo, Roots, Target, TlsClient, TlsClientInfo, Verdict};

use super::Scenario;
use super::stage::*;
use super::util::certs::{ca, localhost};
use super::util::{BlackHole, DEADLINE, Onward, Refusing, TlsOnward, connect, eventually, reset};

/// Says hello, and leaves.
fn speaker() -> Onward {
    Onward::serve(|stream, _| stream.write_all(b"hello").expect("send"))
}

pub const RAW_SKT: &[Scenario] = &[
    ("connected: bytes come, then the peer leaves", || {
        let (onward, play) = (speaker(), Stage::of(home()).start());
        play.client(&onward.target());
        play.end(()).each()
    }),
    ("connected by a host name, to a unix socket too", || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        super::util::onward::unix_echo(&path);
        let play = Stage::of(home()).start();
        play.client(&format!("unix:{}", path.display()));
        play.hears("RawConnected");
        play.close_later(0);
        let by_path = play.end(()).each();

        let (onward, play) = (Onward::echo(), Stage::of(home()).start());
        play.client(&format!("tcp:localhost:{}", onward.port));
        play.hears("RawConnected");
        play.close_later(0);
        let by_name = play.end(()).each();
        assert_eq!(by_path, by_name);
        by_name
    }),
    ("connected from `init`, then `close_later`", || {
        let onward = Onward::echo();
        let target = onward.target().parse().expect("a target");
        let stage = Stage::of(home()).once("init", |hand| {
            let info = ConnectInfo::new(hand.vhost, target, BOUND);
            hand.cx.client_connect(info).expect("client_connect");
            Verdict::Continue
        });
        let play = stage.start();
        play.hears("RawConnected");
        play.close_later(0);
        play.end(()).each()
    }),
    ("connected: `shutdown_write`, and behind it comes the answer and the peer's end", || {
        let onward = Onward::answers_after_eof(b"answer".to_vec());
        let act = doing(|wsi, _| wsi.shutdown_write().expect("a raw role"));
        let play = Stage::of(home()).on("RawConnected", act).start();
        play.client(&onward.target());
        play.end(()).each()
    }),
    ("connected: the peer leaves before a byte", || {
        let (onward, play) = (Onward::serve(|_, _| ()), Stage::of(home()).start());
        play.client(&onward.target());
        play.end(()).each()
    }),
    ("connected: the peer resets", || {
        let onward = Onward::serve(|stream, _| {
            let _ = stream.read(&mut [0]);
            reset(stream.try_clone().expect("dup"));
        });
        let act = doing(|wsi, _| wsi.write(b"x").expect("there is room"));
        let play = Stage::of(home()).on("RawConnected", act).start();
        play.client(&onward.target());
        play.end(()).each()
    }),
    ("connected: the bind reason returns `Close`", || {
        let (onward, play) = (Onward::echo(), Stage::of(home()).on("RawSktBindProtocol", close).start());
        play.client(&onward.target());
        play.end(()).each()
    }),
    ("connected: `RawConnected` returns `Close`", || {
        let (onward, play) = (Onward::echo(), Stage::of(home()).on("RawConnected", close).start());
        play.client(&onward.target());
        play.end(()).each()
    }),
    ("connected: `RawRx` returns `Close`", || {
        let (onward, play) = (speaker(), Stage::of(home()).on("RawRx", close).start());
        play.client(&onward.target());
        play.end(()).each()
    }),
    ("connected: `set_timeout` passes", || {
        let onward = Onward::echo();
        let play = Stage::of(home()).on("RawConnected", doing(|wsi, cx| wsi.set_timeout(cx, SOON))).start();
        play.client(&onward.target());
        play.hears("RawConnected");
        play.later(2 * SOON);
        play.end(()).each()
    }),
    ("connected: its vhost is destroyed", || {
        let (onward, play) = (Onward::echo(), Stage::of(home()).start());
        play.client(&onward.target());
        play.hears("RawConnected");
        play.destroy_vhost(0);
        play.end(()).each()
    }),
    ("`WsiCreate` returns `Close`", || {
        let (onward, play) = (Onward::echo(), Stage::of(home()).on("WsiCreate", close).start());
        play.client(&onward.target());
        play.end(()).each()
    }),
    ("refused", || {
        let (refusing, play) = (Refusing::new(), Stage::of(home()).start());
        play.client(&refusing.target());
        play.end(()).each()
    }),
    ("refused, and `ClientConnectionError` returns `Close`", || {
        let (refusing, play) = (Refusing::new(), Stage::of(home()).on("ClientConnectionError", close).start());
        play.client(&refusing.target());
        play.end(()).each()
    }),
    ("the unix socket is not there", || {
        let play = Stage::of(home()).start();
        play.client("unix:/there/is/no/such/socket");
        play.end(()).each()
    }),
    ("the host name does not resolve", || {
        let play = Stage::of(home()).start();
        play.client("tcp:no-such-host.invalid:80");
        play.end(()).each()
    }),
    ("not connected at `connect_timeout`", || {
        let (hole, play) = (BlackHole::new(), Stage::of(home()).start());
        play.client(&hole.target());
        play.hears("WsiCreate");
        play.later(LONG);
        play.end(()).each()
    }),
    ("not connected when the `set_timeout` of `WsiCreate` passes", || {
        let hole = BlackHole::new();
        let play = Stage::of(home()).on("WsiCreate", doing(|wsi, cx| wsi.set_timeout(cx, SOON))).start();
        play.client(&hole.target());
        play.hears("WsiCreate");
        play.later(2 * SOON);
        play.end(()).each()
    }),
    ("`close_later` before its first turn", || {
        let (hole, play) = (BlackHole::new(), Stage::of(home()).start());
        let info = ConnectInfo::new(play.vhost(0), hole.target().parse().expect("a target"), BOUND);
        play.ask(move |context| {
            let id = context.cx().client_connect(info).expect("client_connect");
            context.cx().close_later(id);
        });
        play.end(()).each()
    }),
    ("the same, and the target is a unix socket, which would connect at once", || {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("socket");
        super::util::onward::unix_echo(&path);
        let play = Stage::of(home()).start();
        let info = ConnectInfo::new(play.vhost(0), Target::Unix(path), BOUND);
        play.ask(move |context| {
            let id = context.cx().client_connect(info).expect("client_connect");
            context.cx().close_later(id);
        });
        play.end(()).each()
    }),
    ("`close_later` while it connects", || {
        let (hole, play) = (BlackHole::new(), Stage::of(home()).start());
        play.client(&hole.target());
        play.close_later(0);
        play.end(()).each()
    }),
    ("its vhost is destroyed before its first turn", || {
        let (hole, play) = (BlackHole::new(), Stage::of(home()).start());
        let (vhost, target) = (play.vhost(0), hole.target().parse().expect("a target"));
        play.ask(move |context| {
            context.cx().client_connect(ConnectInfo::new(vhost, target, BOUND)).expect("client_connect");
            context.destroy_vhost(vhost);
        });
        play.end(()).each()
    }),
    ("its vhost is destroyed while it connects", || {
        let (hole, play) = (BlackHole::new(), Stage::of(home()).start());
        play.client(&hole.target());
        play.hears("WsiCreate");
        play.destroy_vhost(0);
        play.end(()).each()
    }),
    ("the context ends while it connects", || {
        let (hole, play) = (BlackHole::new(), Stage::of(home()).start());
        play.client(&hole.target());
        play.hears("WsiCreate");
        play.end_at_once().each()
    }),
    ("begun in `init`, and the `init` of its protocol fails", || {
        let mut inits = 0;
        let stage = Stage::of(home()).on("init", move |hand| {
            inits += 1;
            if inits == 2 {
                return Verdict::Close;
            }
            let target = "unix:/there/is/no/such/socket".parse().expect("a target");
            hand.cx.client_connect(ConnectInfo::new(hand.vhost, target, BOUND)).expect("client_connect");
            Verdict::Continue
        });
        let (context, made, notes) = stage.context();
        assert!(made.is_empty());
        drop(context);
        let events = notes.events().clone();
        Heard::of(events).each()
    }),
];

/// Begins a TLS connection of the first vhost.
fn secure(play: &Play, target: &str) {
    let info = TlsClientInfo { roots: Roots::Only(ca().pem()), ..Default::default() };
    let tls = TlsClient::new(&info).expect("TlsClient::new");
    play.client_with(ConnectInfo::new(play.vhost(0), target.parse().expect("a target"), BOUND).tls(tls));
}

/// Passes everything on to a port and back, until it is told to cut both off.
fn cutting(port: u16, wait: Receiver<()>) -> Onward {
    let wait = Mutex::new(wait);
    Onward::serve(move |stream, _| {
        let onward = connect(port);
        let pump = |from: &TcpStream, to: &TcpStream| {
            let (mut from, mut to) = (from.try_clone().expect("dup"), to.try_clone().expect("dup"));
            std::thread::spawn(move || std::io::copy(&mut from, &mut to));
        };
        pump(stream, &onward);
        pump(&onward, stream);
        let _gone = wait.lock().expect("nobody panicked").recv_timeout(DEADLINE);
        for socket in [stream, &onward] {
            let _closed_already = socket.shutdown(Shutdown::Both);
        }
    })
}

/// Waits until a server that says nothing has heard the hello.
fn wait_for_hello(onward: &Onward) {
    let seen = onward.connection(0);
    eventually("the hello", || seen.bytes().len() > 5);
}

pub const TLS: &[Scenario] = &[
    ("TLS: bytes come, and `RawRx` returns `Close`", || {
        let onward = TlsOnward::echo(localhost());
        let act = doing(|wsi, _| wsi.write(b"hello").expect("there is room"));
        let play = Stage::of(home()).on("RawConnected", act).on("RawRx", close).start();
        secure(&play, &onward.onward.target());
        play.end(()).each()
    }),
    ("TLS: the peer is cut off", || {
        let onward = TlsOnward::echo(localhost());
        let play = Stage::of(home()).start();
        let (cut, wait) = mpsc::channel();
        let relay = cutting(onward.onward.port, wait);
        secure(&play, &relay.target());
        play.hears("RawConnected");
        cut.send(()).expect("it waits");
        play.end(()).each()
    }),
    ("TLS: the certificate is for another name", || {
        let (onward, play) = (TlsOnward::echo(&ca().server(&["other.test"])), Stage::of(home()).start());
        secure(&play, &onward.onward.target());
        play.end(()).each()
    }),
    ("TLS: the peer leaves in the handshake", || {
        let onward = Onward::serve(|stream, _| stream.read_exact(&mut [0; 5]).expect("a hello"));
        let play = Stage::of(home()).start();
        secure(&play, &onward.target());
        play.end(()).each()
    }),
    ("TLS: what answers is no TLS", || {
        let (onward, play) = (Onward::echo(), Stage::of(home()).start());
        secure(&play, &onward.target());
        play.end(()).each()
    }),
    ("TLS: the handshake is not done at `connect_timeout`", || {
        let (onward, play) = (Onward::recorder(), Stage::of(home()).start());
        secure(&play, &onward.target());
        wait_for_hello(&onward);
        play.later(LONG);
        play.end(()).each()
    }),
    ("TLS: `close_later` in the handshake", || {
        let (onward, play) = (Onward::recorder(), Stage::of(home()).start());
        secure(&play, &onward.target());
        wait_for_hello(&onward);
        play.close_later(0);
        play.end(()).each()
    }),
    ("TLS: its vhost is destroyed in the handshake", || {
        let (onward, play) = (Onward::recorder(), Stage::of(home()).start());
        secure(&play, &onward.target());
        wait_for_hello(&onward);
        play.destroy_vhost(0);
        play.end(()).each()
    }),
];

pub const AGAIN: &[Scenario] = &[("refused, and begun again from `ClientConnectionError`", || {
    let (refusing, onward) = (Refusing::new(), Onward::echo());
    let target = onward.target().parse().expect("a target");
    let stage = Stage::of(home()).once("ClientConnectionError", |hand| {
        hand.cx.client_connect(ConnectInfo::new(hand.vhost, target, BOUND)).expect("client_connect");
        Verdict::Continue
    });
    let play = stage.start();
    play.client(&refusing.target());
    play.hears("RawConnected");
    play.close_later(1);
    play.end_of(2, ()).each()
})];
