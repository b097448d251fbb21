//! The examples, run as their READMEs say.

mod util;

use std::process::Command;

use rustix::process::Signal;
use util::*;

const ALL: [&str; 22] = [
    "minimal-http-server",
    "minimal-http-server-basicauth",
    "minimal-http-server-custom-headers",
    "minimal-http-server-dynamic",
    "minimal-http-server-form-get",
    "minimal-http-server-form-post",
    "minimal-http-server-form-post-file",
    "minimal-http-server-mimetypes",
    "minimal-http-server-sse",
    "minimal-http-server-tls",
    "minimal-http-server-multivhost",
    "minimal-raw-fallback-http-server",
    "minimal-raw-proxy",
    "minimal-raw-proxy-fallback",
    "minimal-raw-vhost",
    "minimal-ws-raw-proxy",
    "minimal-ws-server",
    "minimal-ws-server-echo",
    "minimal-ws-server-pmd-bulk",
    "minimal-ws-server-ring",
    "minimal-ws-server-threads",
    "minimal-ws-server-timer",
];
const LOCAL: [&str; 4] = ["--port", "0", "--interface", "127.0.0.1"];

#[test]
fn sigint_and_sigterm_end_every_example_cleanly_with_connections_open() {
    for name in ALL {
        for signal in [Signal::INT, Signal::TERM] {
            let mut program = Program::start(name, &LOCAL);
            let _open = connect(program.port());
            program.signal(signal);
            let status = program.wait();
            assert!(status.success(), "{name} on {signal:?}: {status}\n{}", program.log());
        }
    }
}

#[test]
fn every_example_tells_its_switches_and_refuses_others() {
    for name in ALL {
        let help = succeed(Command::new(program::example(name)).arg("--help"));
        let help = String::from_utf8(help).expect("a text");
        assert!(help.contains("--port") && help.contains("-d"), "{name}: {help}");
        let output = finish(Command::new(program::example(name)).arg("--no-such-switch"));
        assert!(!output.status.success());
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("--no-such-switch"), "{name}: {said}");
    }
}

#[test]
fn an_example_whose_port_is_taken_says_so() {
    let first = Program::start("minimal-http-server", &LOCAL);
    let port = first.port().to_string();
    let args = ["--port", &port, "--interface", "127.0.0.1"];
    let output = finish(Command::new(program::example("minimal-http-server")).args(args));
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains(&port) && said.contains("taken"), "{said}");
}

#[test]
fn the_http_server_finds_its_pages_from_any_folder_and_serves_another_one() {
    let site = Site::new();
    let elsewhere = tempfile::tempdir().expect("a folder");
    let mut own = Command::new(program::example("minimal-http-server"));
    let own = Program::spawn(own.args(LOCAL).current_dir(elsewhere.path()));
    own.wait_for_log("listening on ");
    assert_eq!(http::get(own.port(), "localhost", "/").status, 200);

    let origin = site.root();
    let args = [&LOCAL[..], &["--origin", origin.to_str().expect("a text")]].concat();
    let other = Program::start("minimal-http-server", &args);
    assert_eq!(http::get(other.port(), "localhost", "/").text(), site::INDEX);
}

#[test]
fn the_raw_fallback_example_serves_http_and_echoes_the_rest() {
    let program = Program::start("minimal-raw-fallback-http-server", &LOCAL);
    assert_eq!(http::get(program.port(), "localhost", "/").status, 200);
    for first in [b"SSH-2.0-OpenSSH_9.2\r\n".as_slice(), b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00"] {
        let mut client = connect(program.port());
        send(&mut client, first);
        assert_eq!(read_exactly(&mut client, first.len()), first);
    }
    program.stop();
}

#[test]
fn the_raw_vhost_example_gives_the_lines_of_one_client_to_all() {
    let program = Program::start("minimal-raw-vhost", &LOCAL);
    let (mut one, mut two) = (connect(program.port()), connect(program.port()));
    // The second one is there once it has heard itself; the first one hears that too.
    send(&mut two, b"hello\n");
    assert_eq!(read_exactly(&mut two, 6), b"hello\n");
    send(&mut one, b"world\n");
    assert_eq!(read_exactly(&mut two, 6), b"world\n");
    program.stop();
}

#[test]
fn the_raw_proxy_example_relays_without_http() {
    let onward = Onward::echo();
    let target = onward.target();
    let program = Program::start("minimal-raw-proxy", &[&LOCAL[..], &["-r", &target]].concat());
    let mut client = connect(program.port());
    send(&mut client, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(read_exactly(&mut client, 18), b"GET / HTTP/1.1\r\n\r\n");
    program.stop();
}
