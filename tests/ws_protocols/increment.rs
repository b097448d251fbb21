//! `dumb-increment-protocol`.

use std::net::TcpStream;
use std::time::Duration;

use rlws::protocols::DumbIncrement;
use rlws::protocols::dumb_increment::PERIOD;
use rlws::{Listen, ProtocolTable, VhostInfo};

use super::opened;
use super::util::script::Loop;
use super::util::server::{assert_names, mistake};
use super::util::ws::{self, Frame};
use super::util::{options, send};

fn vhost(pvos: &[(&str, &str)]) -> VhostInfo {
    VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<DumbIncrement>()],
        pvo: options("dumb-increment-protocol", pvos),
        ..Default::default()
    }
}

/// A loop whose time is the test's, and a client of it.
fn counting() -> (Loop, TcpStream) {
    let mut here = Loop::frozen(vhost(&[]));
    let port = here.port();
    let stream = here.during(move || opened(port, "/"));
    (here, stream)
}

#[track_caller]
fn next(here: &mut Loop, stream: &TcpStream) -> Frame {
    let mut stream = stream.try_clone().expect("dup");
    here.during(move || ws::read_frame(&mut stream))
}

/// Has the loop hear what a client has said.
#[track_caller]
fn heard(here: &mut Loop, stream: &mut TcpStream, message: &str) {
    // The answer to a ping shows that all before it was read.
    send(stream, &[ws::text(message), ws::frame(ws::FIN | ws::PING, b"?")].concat());
    assert_eq!(next(here, stream).first, ws::FIN | ws::PONG);
}

#[test]
fn it_counts_for_each_client_and_begins_again_when_told() {
    let (mut here, mut first) = counting();
    let mut now = Duration::ZERO;
    for number in ["0", "1", "2"] {
        now += PERIOD;
        here.at(now);
        assert_eq!(next(&mut here, &first), Frame::text(number));
    }
    heard(&mut here, &mut first, "reset\n");
    heard(&mut here, &mut first, "something else");
    here.at(now + PERIOD);
    assert_eq!(next(&mut here, &first), Frame::text("0"));
}

#[test]
fn it_closes_when_told() {
    let (mut here, mut stream) = counting();
    send(&mut stream, &ws::text("closeme\n"));
    let said = next(&mut here, &stream);
    assert_eq!((said.code(), &said.payload[2..]), (1001, &b"seeya"[..]));
}

#[test]
fn its_lowest_option_keeps_it_silent() {
    for silent in ["1", "0x3"] {
        let mut here = Loop::frozen(vhost(&[("options", silent)]));
        let port = here.port();
        let mut stream = here.during(move || opened(port, "/"));
        here.at(Duration::from_secs(60));
        heard(&mut here, &mut stream, "what comes first is the pong");
    }
    assert_names(&mistake(vhost(&[("options", "all")])), &["dumb-increment-protocol", "\"all\"", "0x1"]);
}
