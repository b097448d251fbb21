//! Role ws, as a server and as a client.

use std::io::Read;
use std::net::TcpStream;

use rlws::{ConnectInfo, VhostInfo, WsConnect};
use tungstenite::{Message, accept};

use super::Scenario;
use super::stage::*;
use super::util::http::read_head;
use super::util::ws::{self, CLOSE, FIN, PONG};
use super::util::{Onward, Refusing, read_until_closed, send};

fn plain() -> VhostInfo {
    listening(rlws::Options::empty())
}

/// The protocol that the connections of the scenarios are bound to.
const BY_NAME: &str = "Sec-WebSocket-Protocol: bound\r\n";

fn open(play: &Play) -> TcpStream {
    let mut peer = play.connect();
    ws::upgrade(&mut peer, BY_NAME);
    peer
}

/// Asks for a WebSocket, and gets another answer.
fn refused(play: &Play) -> TcpStream {
    let mut peer = play.connect();
    send(&mut peer, ws::request("/", BY_NAME).as_bytes());
    assert_eq!(read_head(&mut peer).status, 403);
    read_until_closed(&mut peer);
    peer
}

/// Takes the close that comes, answers it, and waits for the end.
fn answers_close(mut peer: TcpStream) -> TcpStream {
    let code = ws::read_frame(&mut peer).code();
    send(&mut peer, &ws::close(code, ""));
    read_until_closed(&mut peer);
    peer
}

pub const SERVER: &[Scenario] = &[
    ("a message comes, then the peer closes", || {
        let play = Stage::of(plain()).start();
        let mut peer = open(&play);
        send(&mut peer, &[ws::text("hello"), ws::close(1000, "")].concat());
        ws::read_close(&mut peer);
        play.end(peer).each()
    }),
    ("the peer leaves without a close", || {
        let play = Stage::of(plain()).start();
        let peer = open(&play);
        play.end(peer).each()
    }),
    ("a pong comes, and a write is asked for", || {
        let act = doing(|wsi, _| wsi.callback_on_writable());
        let play = Stage::of(plain()).on("ReceivePong", act).start();
        let mut peer = open(&play);
        send(&mut peer, &ws::frame(FIN | PONG, b""));
        play.hears("ServerWriteable");
        play.end(peer).each()
    }),
    ("`WsServerBindProtocol` returns `Close`", || {
        let play = Stage::of(plain()).on("WsServerBindProtocol", close).start();
        let peer = refused(&play);
        play.end(peer).each()
    }),
    ("`FilterProtocolConnection` returns `Close`", || {
        let play = Stage::of(plain()).on("FilterProtocolConnection", close).start();
        let peer = refused(&play);
        play.end(peer).each()
    }),
    ("`Established` returns `Close`, and the peer answers", || {
        let play = Stage::of(plain()).on("Established", close).start();
        let peer = answers_close(open(&play));
        play.end(peer).each()
    }),
    ("`Receive` returns `Close`, and the peer does not answer", || {
        let play = Stage::of(plain()).on("Receive", close).start();
        let mut peer = open(&play);
        send(&mut peer, &ws::text("hello"));
        assert_eq!(ws::read_frame(&mut peer).code(), 1000);
        play.later(LONG);
        play.hears("WsiDestroy");
        play.end(peer).each()
    }),
    ("the peer breaks the rules", || {
        let play = Stage::of(plain()).start();
        let mut peer = open(&play);
        send(&mut peer, &ws::unmasked(FIN | CLOSE, b""));
        assert_eq!(ws::read_close(&mut peer), 1002);
        play.end(peer).each()
    }),
    ("`close_later`", || {
        let play = Stage::of(plain()).start();
        let mut peer = open(&play);
        play.close_later(0);
        assert_eq!(ws::read_close(&mut peer), 1000);
        play.end(peer).each()
    }),
    ("its vhost is destroyed", || {
        let play = Stage::of(plain()).start();
        let mut peer = open(&play);
        play.destroy_vhost(0);
        assert_eq!(ws::read_close(&mut peer), 1001);
        play.end(peer).each()
    }),
];

/// A server that agrees, says hello, closes where it is to, and waits for the end.
fn server(closes: bool) -> Onward {
    Onward::serve(move |stream, _| {
        let mut socket = accept(stream).expect("a handshake");
        socket.send(Message::text("hello")).expect("it reads");
        if closes {
            socket.close(None).expect("it reads");
        }
        while socket.read().is_ok() {}
    })
}

fn asks(play: &Play, target: &str) {
    let target = target.parse().expect("a target");
    play.client_with(ConnectInfo::ws(play.vhost(0), target, BOUND, WsConnect::to("localhost")));
}

/// A server that hears the request, and says nothing.
fn silent() -> Onward {
    Onward::serve(|stream, _| drop(stream.read_to_end(&mut Vec::new())))
}

pub const CLIENT: &[Scenario] = &[
    ("as a client: a message comes, then the server closes", || {
        let (onward, play) = (server(true), Stage::of(home()).start());
        asks(&play, &onward.target());
        play.end(()).each()
    }),
    ("as a client: `ClientReceive` returns `Close`, and the server answers", || {
        let (onward, play) = (server(false), Stage::of(home()).on("ClientReceive", close).start());
        asks(&play, &onward.target());
        play.end(()).each()
    }),
    ("as a client: `WsClientBindProtocol` returns `Close`", || {
        let (onward, play) = (server(false), Stage::of(home()).on("WsClientBindProtocol", close).start());
        asks(&play, &onward.target());
        play.end(()).each()
    }),
    ("as a client: `ClientFilterPreEstablish` returns `Close`", || {
        let (onward, play) = (server(false), Stage::of(home()).on("ClientFilterPreEstablish", close).start());
        asks(&play, &onward.target());
        play.end(()).each()
    }),
    ("as a client: the server leaves instead of answering", || {
        let (onward, play) = (Onward::serve(|_, _| ()), Stage::of(home()).start());
        asks(&play, &onward.target());
        play.end(()).each()
    }),
    ("as a client: the server has not answered at `connect_timeout`", || {
        let (onward, play) = (silent(), Stage::of(home()).start());
        asks(&play, &onward.target());
        super::util::eventually("the request", || onward.connections().len() == 1);
        play.turn();
        play.later(LONG);
        play.end(()).each()
    }),
    ("as a client: nobody listens", || {
        let (refusing, play) = (Refusing::new(), Stage::of(home()).start());
        asks(&play, &refusing.target());
        play.end(()).each()
    }),
];
