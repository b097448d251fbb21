//! `lwsws` beside systemd: sockets that it hands over, and the files that are shipped for it.

mod util;

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use util::lwsws::{ECHO, Folder, workers};
use util::*;

/// Starts it with sockets as systemd hands them over: descriptors 3 and up, `LISTEN_FDS` and `LISTEN_PID`.
#[track_caller]
fn start_with(folder: &Folder, sockets: &[OwnedFd]) -> Program {
    // Inheritable copies, out of the way of the numbers that they are to have.
    let copies: Vec<OwnedFd> = sockets.iter().map(|socket| fcntl_dupfd_cloexec(socket, 100).expect("dup")).collect();
    copies.iter().for_each(|copy| fcntl_setfd(copy, FdFlags::empty()).expect("FD_CLOEXEC"));
    let numbers = copies.iter().map(AsRawFd::as_raw_fd);
    let redirections: String =
        (3..).zip(numbers).map(|(number, copy)| format!(" {number}<&{copy} {copy}<&-")).collect();
    // A shell is where the process id is known before the program begins.
    let count = sockets.len();
    let script = format!(r#"exec{redirections}; export LISTEN_PID=$$ LISTEN_FDS={count}; exec "$0" "$@""#);
    let lwsws = folder.command();
    let program = Program::spawn(
        Command::new(require("bash")).arg("-c").arg(script).arg(lwsws.get_program()).args(lwsws.get_args()),
    );
    program.wait_for_log(" workers serve ");
    program
}

fn tcp(address: &str) -> (u16, OwnedFd) {
    let socket = TcpListener::bind(address).expect("bind");
    (socket.local_addr().expect("bound").port(), socket.into())
}

fn page(port: u16) -> String {
    http::get(port, "localhost", "/").text().to_owned()
}

#[test]
fn sockets_that_are_handed_over_are_served_by_all_workers() {
    let (port, socket) = tcp("127.0.0.1:0");
    let folder = Folder::on_port(port, r#""count-threads": "3""#, ECHO);
    // Bound by somebody else, it can be served only as it was handed over.
    let program = start_with(&folder, &[socket.try_clone().expect("dup")]);
    let inode = |fd: &str| fs::read_link(fd).ok().filter(|name| name.to_string_lossy().starts_with("socket:"));
    let ours = inode(&format!("/proc/self/fd/{}", socket.as_raw_fd())).expect("a socket");
    let pids = workers(&program);
    assert_eq!(pids.len(), 3);
    for pid in pids {
        let fds = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors").flatten();
        let copies = fds.filter(|fd| fs::read_link(fd.path()).is_ok_and(|name| name == ours)).count();
        assert_eq!(copies, 1, "worker {pid}");
        let environment = fs::read(format!("/proc/{pid}/environ")).expect("its environment");
        assert!(!String::from_utf8_lossy(&environment).contains("LISTEN_"));
    }
    for _ in 0..20 {
        assert_eq!(page(port), "the page");
    }
    folder.configure("", ECHO);
    folder.reload(&program);
    assert_eq!(page(port), "the page");
    program.stop();
}

#[test]
fn who_connects_while_it_is_away_waits_at_the_socket_that_is_kept() {
    let (port, socket) = tcp("127.0.0.1:0");
    let folder = Folder::on_port(port, "", ECHO);
    let mut early = connect(port);
    send(&mut early, http::request("GET", "localhost", "/").as_bytes());
    for _ in 0..2 {
        let program = start_with(&folder, &[socket.try_clone().expect("dup")]);
        assert_eq!(http::read_response(&mut early).text(), "the page");
        drop(early);
        program.stop();
        early = connect(port);
        send(&mut early, http::request("GET", "localhost", "/").as_bytes());
    }
}

#[test]
fn a_socket_that_no_vhost_wants_is_warned_about_and_kept_for_one_that_will() {
    let (port, wanted) = tcp("127.0.0.1:0");
    let (other, spare) = tcp("127.0.0.1:0");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("bind");
    let folder = Folder::on_port(port, "", ECHO);
    let program = start_with(&folder, &[spare, udp.into(), wanted]);
    let log = program.log();
    assert!(log.contains(&format!("a socket for 127.0.0.1:{other}, and no vhost listens there")), "{log}");
    assert!(log.contains("descriptor 4 of the service manager is no listening TCP or unix stream socket"), "{log}");
    assert_eq!(page(port), "the page");

    let vhosts = |port| {
        format!(
            r#"{{ "vhosts": [{{ "port": "{port}", "interface": "127.0.0.1", "mounts": [{{ "mountpoint": "/", "origin": "file://DIR/site" }}] }}] }}"#
        )
    };
    for now in [other, port, other] {
        folder.write_conf(&vhosts(now));
        folder.reload(&program);
        assert!(!program.log().contains("is not taken"), "{}", program.log());
        assert_eq!(page(now), "the page");
    }
    program.stop();
}

#[test]
fn a_port_on_all_interfaces_takes_the_unspecified_address_of_either_family() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let (port, socket) = tcp(address);
        let folder = Folder::new("", ECHO);
        folder.write_conf(&format!(r#"{{ "vhosts": [{{ "port": "{port}", "mounts": [{{ "mountpoint": "/", "origin": "file://DIR/site" }}] }}] }}"#));
        let program = start_with(&folder, &[socket]);
        assert_eq!(page(port), "the page", "{address}");
        program.stop();
    }
}

#[test]
fn a_unix_socket_that_is_handed_over_keeps_its_file() {
    let folder = Folder::new("", ECHO);
    folder.write_conf(
        r#"{ "vhosts": [{ "unix-socket": "1", "interface": "DIR/socket", "ws-protocols": [{ "raw-echo": {} }],
        "listen-accept-protocol": "raw-echo", "apply-listen-accept": "1" }] }"#,
    );
    let path = folder.path("socket");
    let program = start_with(&folder, &[UnixListener::bind(&path).expect("bind").into()]);
    let mut client = UnixStream::connect(&path).expect("connect");
    client.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    client.write_all(b"hello").expect("send");
    assert_eq!(read_exactly(&mut client, 5), b"hello");
    drop(client);
    program.stop();
    assert!(path.exists(), "it is not ours to remove");
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let folder = Folder::new("", ECHO);
    let program = Program::spawn(folder.command().env("LISTEN_FDS", "1").env("LISTEN_PID", "1"));
    program.wait_for_log(" workers serve ");
    assert!(!program.log().contains("service manager"), "{}", program.log());
    program.stop();
}
