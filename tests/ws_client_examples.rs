//! The examples of WebSocket clients, run as their READMEs say: against the examples of servers, and tungstenite.

mod util;

use std::net::TcpListener;
use std::process::{Command, Output};

use rustix::process::Signal;
use tungstenite::Message;
use util::*;

const ALL: [&str; 4] =
    ["minimal-ws-client", "minimal-ws-client-echo", "minimal-ws-client-ping", "minimal-ws-client-spam"];
const LOCAL: [&str; 4] = ["--port", "0", "--interface", "127.0.0.1"];
const CERT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/localhost-100y.cert");

/// A client that connects to a port of this machine.
fn client(name: &str, port: u16, switches: &[&str]) -> Command {
    let mut command = Command::new(program::example(name));
    command.args(["--server", "localhost", "--port", &port.to_string()]).args(switches);
    command
}

/// What a client says on stderr that has to end by itself.
#[track_caller]
fn said(name: &str, port: u16, switches: &[&str], ends_well: bool) -> String {
    let Output { status, stderr, .. } = finish(&mut client(name, port, switches));
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(i32::from(!ends_well)), "{name} {switches:?}: {said}");
    said
}

fn echo(switches: &[&str]) -> Program {
    Program::start("minimal-ws-server-echo", &[&LOCAL[..], switches].concat())
}

#[test]
fn every_client_tells_its_switches_and_refuses_others() {
    for name in ALL {
        let help = String::from_utf8(succeed(Command::new(program::example(name)).arg("--help"))).expect("a text");
        assert!(help.contains("--server") && help.contains("--port") && help.contains("-d LEVEL"), "{name}: {help}");
        for wrong in ["--no-such-switch", "--port=none"] {
            let output = finish(Command::new(program::example(name)).arg(wrong));
            assert!(!output.status.success(), "{name} {wrong}");
        }
    }
}

#[test]
fn sigint_and_sigterm_end_every_client_cleanly_in_the_middle_of_its_work() {
    let server = echo(&[]);
    for (name, switches, at_work) in [
        ("minimal-ws-client", &["-n", "--protocol", "lws-minimal-server-echo"][..], "established"),
        ("minimal-ws-client-echo", &[], "established"),
        ("minimal-ws-client-ping", &["-n", "--protocol", "lws-minimal-server-echo"], "established"),
        ("minimal-ws-client-spam", &["-n", "-l", "4000000000"], "sent"),
    ] {
        for signal in [Signal::INT, Signal::TERM] {
            let mut program = Program::spawn(&mut client(name, server.port(), switches));
            program.wait_for_log(at_work);
            program.signal(signal);
            let status = program.wait();
            assert!(status.success(), "{name} on {signal:?}: {status}\n{}", program.log());
            assert!(!program.log().contains("E:"), "{name}: {}", program.log());
        }
    }
    server.stop();
}

#[test]
fn certificates_are_looked_at_unless_they_are_not_to_be() {
    let server = echo(&["-s"]);
    for (name, tls) in [
        ("minimal-ws-client", &["--retries", "0", "--protocol", "lws-minimal-server-echo"][..]),
        ("minimal-ws-client-echo", &["--ssl"]),
        ("minimal-ws-client-ping", &["--protocol", "lws-minimal-server-echo"]),
        ("minimal-ws-client-spam", &["-l", "4000000000"]),
    ] {
        for trusting in [&["--ca", CERT][..], &["-k"]] {
            let program = Program::spawn(&mut client(name, server.port(), &[tls, trusting].concat()));
            program.wait_for_log(if name == "minimal-ws-client-spam" { "sent" } else { "established" });
            program.stop();
        }
        let program = Program::spawn(&mut client(name, server.port(), tls));
        program.wait_for_log("certificate");
    }
    server.stop();
}

// -- minimal-ws-client

#[test]
fn the_client_prints_what_comes() {
    let server = Program::start("minimal-ws-server", &LOCAL);
    let switches = ["-n", "--protocol", "lws-minimal"];
    let listener = Program::spawn(&mut client("minimal-ws-client", server.port(), &switches));
    listener.wait_for_log("established with 127.0.0.1");
    let mut speaker = ws::client(server.port(), "lws-minimal");
    speaker.send(Message::text("κόσμε\u{1b}[2J")).expect("it reads");
    listener.wait_for_log(r#""κόσμε\u{1b}[2J""#);
    listener.stop();
    server.stop();
}

#[test]
fn the_client_comes_again_when_the_server_does() {
    let refusing = Refusing::new();
    let program = Program::spawn(&mut client("minimal-ws-client", refusing.port, &["-n"]));
    program.wait_for_log("trying again in 1.");
    let listener: TcpListener = refusing.listen();
    let port = listener.local_addr().expect("bound").port();
    let greet = || {
        let mut stream = with_deadline(listener.accept().expect("it comes").0);
        let asked = ws::agree(&mut stream, "Sec-WebSocket-Protocol: dumb-increment-protocol\r\n");
        assert!(asked.contains(&format!("\r\nHost: localhost:{port}\r\n")), "{asked}");
        assert!(asked.contains("\r\nSec-WebSocket-Protocol: dumb-increment-protocol\r\n"), "{asked}");
        send(&mut stream, &ws::unmasked(ws::FIN | ws::BINARY, b"12345"));
        stream
    };
    let first = greet();
    program.wait_for_log("0000: 31 32 33 34 35");
    drop(first);
    let _second = greet();
    eventually("it prints what the second one says", || program.log().matches("0000: 31 32 33 34 35").count() == 2);
    assert_eq!(program.log().matches("trying again in 1.").count(), 2, "a success begins anew: {}", program.log());
    program.stop();
}

#[test]
fn the_client_gives_up_at_last_and_says_so() {
    let refusing = Refusing::new();
    let said_so = said("minimal-ws-client", refusing.port, &["-n", "--retries", "1"], false);
    assert_eq!(said_so.matches("refused").count(), 2, "{said_so}");
    assert!(said_so.contains("connection attempts exhausted"), "{said_so}");

    let server = echo(&[]);
    let said_so = said("minimal-ws-client", server.port(), &["-n", "--retries", "0"], false);
    assert!(said_so.contains("status 403"), "of a subprotocol that the server has not: {said_so}");
    server.stop();
}

// -- minimal-ws-client-echo

#[test]
fn the_echo_goes_back_as_it_came() {
    for (bulk, switches, pieces) in [
        (&["-n"][..], &[][..], "131"),
        (&["-c"], &["-o"], "a few"),
        (&["-b"], &["-n"], "a few"),
        (&[], &["-o", "-n"], "131"),
    ] {
        let server = Program::start("minimal-ws-server-pmd-bulk", &[&LOCAL[..], bulk].concat());
        let mut program = Program::spawn(&mut client("minimal-ws-client-echo", server.port(), switches));
        server.wait_for_log("received 133700");
        if switches.contains(&"-o") {
            assert!(program.wait().success(), "{}", program.log());
            assert!(program.log().contains("closed; messages echoed: 1"), "{}", program.log());
        } else {
            server.stop();
            assert!(program.wait().success(), "its server ends: {}", program.log());
        }
        let heard = program.log().matches("bytes; first").count();
        assert!(heard >= 131 || pieces != "131", "{heard} pieces: {}", program.log());
    }
}

#[test]
fn the_echo_asks_for_a_path_and_fails_without_its_one_message() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let mut program =
        Program::spawn(&mut client("minimal-ws-client-echo", port, &["-o", "-u", "/runCase?case=1&agent=rlws"]));
    let mut stream = with_deadline(listener.accept().expect("it comes").0);
    let asked = ws::agree(&mut stream, "");
    assert!(asked.starts_with("GET /runCase?case=1&agent=rlws HTTP/1.1\r\n"), "{asked}");
    send(&mut stream, &ws::unmasked(ws::FIN | ws::CLOSE, b""));
    drop(stream);
    assert_eq!(program.wait().code(), Some(1), "{}", program.log());
    assert!(program.log().contains("closed without a message"));

    let refusing = Refusing::new();
    assert!(said("minimal-ws-client-echo", refusing.port, &[], false).contains("refused"));
}

// -- minimal-ws-client-ping

#[test]
fn pongs_are_shown_and_who_does_not_answer_is_given_up() {
    let server = echo(&[]);
    let switches = ["-n", "--protocol", "lws-minimal-server-echo", "--ping", "1", "--hang-up", "3"];
    let program = Program::spawn(&mut client("minimal-ws-client-ping", server.port(), &switches));
    eventually("two pongs", || program.log().matches("pong").count() == 2);
    server.signal(Signal::STOP);
    program.wait_for_log("it does not answer pings");
    server.signal(Signal::CONT);
    eventually("it is there again", || program.log().matches("established").count() == 2);
    program.stop();
    server.stop();
}

// -- minimal-ws-client-spam

#[test]
fn many_websockets_are_made_as_many_at_a_time_as_was_said() {
    let server = echo(&[]);
    let fds = server.fds();
    let said_so = said("minimal-ws-client-spam", server.port(), &["-n", "-l", "500", "-c", "100"], true);
    assert!(said_so.contains("tries 500, established 500, sent 500, closed 500, errors 0"), "{said_so}");
    assert!(said_so.contains("connections a second"), "{said_so}");
    server.assert_fds_back_to(fds);
    server.stop();

    let onward = Onward::idle();
    let _waiting = Program::spawn(&mut client("minimal-ws-client-spam", onward.port, &["-n", "-c", "7"]));
    onward.connection(6);
    assert_eq!(settled(|| onward.connections().len()), 7);
}

#[test]
fn spam_that_comes_to_nothing_is_counted() {
    let refusing = Refusing::new();
    let said_so = said("minimal-ws-client-spam", refusing.port, &["-n"], false);
    assert!(said_so.contains("tries 15, established 0, sent 0, closed 0, errors 15"), "{said_so}");
    assert!(said_so.contains("15 connections came to nothing"), "{said_so}");
    assert!(said("minimal-ws-client-spam", refusing.port, &["-c", "0"], false).contains("no connection is asked for"));
}
