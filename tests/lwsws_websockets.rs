//! WebSockets of `lwsws` when it ends, and when it takes another configuration.

mod util;

use std::net::TcpStream;

use rustix::process::Signal;
use util::lwsws::{Folder, workers};
use util::*;

const COUNTS: &str = r#""ws-protocols": [{ "dumb-increment-protocol": { "status": "ok", "options": "1" }, "raw-echo": { "status": "ok" } }],
    "listen-accept-protocol": "raw-echo", "fallback-listen-accept": "1""#;

/// A connection that is no http, and still served.
#[track_caller]
fn echoes(client: &mut TcpStream, word: &[u8]) {
    send(client, word);
    assert_eq!(read_exactly(client, word.len()), word);
}

#[test]
fn websockets_are_told_at_once_that_the_server_ends_while_others_finish() {
    let folder = Folder::new(r#""count-threads": "1""#, COUNTS);
    let mut program = folder.start();
    let mut websockets = [(); 2].map(|()| ws::open(program.port(), ""));
    let mut raw = connect(program.port());
    echoes(&mut raw, b"hello");

    program.signal(Signal::TERM);
    for websocket in &mut websockets {
        assert_eq!(ws::read_frame(websocket).code(), 1001);
    }
    echoes(&mut raw, b"still served");
    for websocket in &mut websockets {
        send(websocket, &ws::close(1001, ""));
        assert_eq!(read_to_end(websocket), b"");
    }
    echoes(&mut raw, b"still served");
    drop(raw);
    assert!(program.wait().success());
    assert!(!program.log().contains("have not finished"), "{}", program.log());
}

#[test]
fn websockets_live_on_with_the_former_worker_after_a_reload_and_hear_of_its_end() {
    let folder = Folder::on_port(free_port(), r#""count-threads": "1""#, COUNTS);
    let mut program = folder.start();
    let mut former = ws::open(program.port(), "");
    folder.reload(&program);
    assert_eq!(workers(&program).len(), 2);
    send(&mut former, &ws::frame(ws::FIN | ws::PING, b"there?"));
    assert_eq!(ws::read_frame(&mut former).payload, b"there?");

    program.signal(Signal::TERM);
    assert_eq!(ws::read_frame(&mut former).code(), 1001);
    send(&mut former, &ws::close(1001, ""));
    assert!(program.wait().success());
    assert!(!program.log().contains("have not finished"), "{}", program.log());
}
