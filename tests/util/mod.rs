//! The harness of the integration tests: servers to test, peers to test them with, and deadlines.
//!
//! | file | what it offers |
//! |---|---|
//! | `server` | a `Context` on a thread of its own, which the test can ask things |
//! | `program` | an example, spawned as its user would |
//! | `sshd` | a real ssh server with a key of its own, and clients that use it |
//! | `ssh_port` | what ssh, scp, sftp and git do through the port of an example |
//! | `onward` | what a proxy connects to: echo, sink, source, black hole, .. |
//! | `recorder` | a protocol that notes its callbacks |
//! | `script` | a protocol whose callbacks are closures, and a loop that the test turns |
//! | `traced` | an example under strace: the system calls that it makes, and some that fail |
//! | `turned` | a loop that the test turns, with the time that the test says |
//! | `net` | sockets with deadlines, bytes to send, comparison of what came |
//! | `http` | the least of an http client, for what curl can't do |
//! | `nginx` | the server that answers are compared with |
//! | `site` | a folder of pages to serve |
//! | `certs` | CAs, certificates and keys of every kind |
//! | `tls` | a TLS client |
//! | `tls_by_hand` | TLS as no client speaks it: hellos and records of any content |
//! | `tls_onward` | a TLS server that a proxy or a client connects to |
//! | `access` | a reader of access logs |
//! | `lwsws` | the server `lwsws` with a configuration of the test's own |
//! | `balancer` | PROXY headers, and real haproxy and nginx |
//! | `browser` | a headless Chromium: its pages are read, typed into and looked at |
//! | `ws` | WebSocket by hand, frame by frame, and by tungstenite |
//! | `log` | what this process logged, by thread |
//!
//! Every wait has a deadline, and no test waits for a length of time to have passed.

// Each test file is a crate that compiles this module, and uses its own part of it.
#![allow(dead_code, unused_imports, unreachable_pub)]

pub mod access;
pub mod alone;
pub mod balancer;
pub mod browser;
pub mod certs;
pub mod http;
pub mod log;
pub mod lwsws;
pub mod net;
pub mod nginx;
pub mod onward;
pub mod program;
pub mod recorder;
pub mod script;
pub mod server;
pub mod site;
pub mod ssh_port;
pub mod sshd;
pub mod tls;
pub mod tls_by_hand;
pub mod tls_onward;
pub mod traced;
pub mod turned;
pub mod ws;

pub use access::LogFile;
pub use browser::Browser;
pub use certs::{Algorithm, Ca, Identity};
pub use net::*;
pub use onward::{BlackHole, Onward, Refusing};
pub use program::Program;
pub use recorder::{Recorder, What};
pub use server::Server;
pub use site::Site;
pub use sshd::Sshd;
pub use tls_onward::TlsOnward;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rlws::Pvo;

/// How long anything may take before its test fails. Generous, for only failing tests wait for it; and below the minute after which
/// a half-closed pair is given up, lest that passes for a proper end.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Waits until `condition` holds, and fails the test at the deadline. `what` completes "did not happen in time: ..".
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "did not happen in time: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// The path of a program that the test drives. A missing one fails the test, and says what to install.
#[track_caller]
pub fn require(program: &str) -> PathBuf {
    const ALSO_IN: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path)
        .chain(ALSO_IN.map(PathBuf::from))
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file());
    let package = match program {
        "ssh" | "scp" | "sftp" | "ssh-keygen" => "openssh-client",
        "sshd" => "openssh-server",
        "ip" => "iproute2",
        "nsenter" | "setpriv" | "unshare" => "util-linux",
        "systemd-analyze" | "systemd-socket-activate" => "systemd",
        "fail2ban-client" | "fail2ban-regex" => "fail2ban",
        other => other,
    };
    found
        .unwrap_or_else(|| panic!("this test needs `{program}`: apt-get install {package} (tests/run does it for you)"))
}

/// Runs a command to its end, within the deadline; fails the test where it fails. Returns what it wrote to stdout.
#[track_caller]
pub fn succeed(command: &mut Command) -> Vec<u8> {
    let output = finish(command);
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Runs a command to its end, within the deadline, with nothing to read on stdin.
#[track_caller]
pub fn finish(command: &mut Command) -> Output {
    finish_with(command, Stdio::null())
}

/// The same, with something on stdin.
#[track_caller]
pub fn finish_with(command: &mut Command, input: Stdio) -> Output {
    let child = command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let pid = rustix::process::Pid::from_child(&child);
    let waiter = std::thread::spawn(move || child.wait_with_output());
    let end = Instant::now() + DEADLINE;
    while !waiter.is_finished() {
        if Instant::now() > end {
            let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            panic!("did not end in time: {command:?}");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = waiter.join().expect("the waiter does not panic");
    output.unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// The options of one protocol: `options("raw-proxy", &[("onward", "ipv4:127.0.0.1:22")])`.
pub fn options(protocol: &str, pairs: &[(&str, &str)]) -> Pvo {
    let own = pairs.iter().fold(Pvo::default(), |pvo, (name, value)| pvo.with(*name, *value));
    Pvo::default().with(protocol, own)
}

/// Waits until a number has stopped changing: what moves it has met a bound.
pub fn settled(mut number: impl FnMut() -> usize) -> usize {
    let (mut last, mut same, mut since) = (number(), 0, Instant::now());
    eventually("a number that stops changing", || {
        let now = number();
        if now != last {
            (last, same, since) = (now, 0, Instant::now());
        }
        same += 1;
        same > 150 && since.elapsed() > RETRANSMISSION
    });
    last
}

/// The kernel drops what finds no room, even on the loopback device, and tries again after 200 ms at the earliest.
const RETRANSMISSION: Duration = Duration::from_millis(500);

/// The open file descriptors of a process.
pub fn count_fds(process: &Path) -> usize {
    std::fs::read_dir(process.join("fd")).map_or(0, |entries| entries.count())
}
