//! `lwsws` beside systemd: sockets that it hands over, and the files that are shipped for it.

mod util;

use std::fs;
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;

use rustix::io::{FdFlags, fcntl_dupfd_cloexec, fcntl_setfd};
use rustix::process::Signal;
use util::lwsws::{ECHO, Folder, TLS, workers};
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
fn systemd_itself_hands_sockets_over_at_the_first_connection() {
    let activate = require("systemd-socket-activate");
    let port = free_port();
    let folder = Folder::on_port(port, r#""count-threads": "2""#, ECHO);
    let lwsws = folder.command();
    let mut command = Command::new(activate);
    command.args(["-l", &format!("127.0.0.1:{port}")]).arg(lwsws.get_program()).args(lwsws.get_args());
    let program = Program::spawn(&mut command);
    program.wait_for_log("Listening on ");
    assert_eq!(page(port), "the page");
    program.stop();
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let folder = Folder::new("", ECHO);
    let program = Program::spawn(folder.command().env("LISTEN_FDS", "1").env("LISTEN_PID", "1"));
    program.wait_for_log(" workers serve ");
    assert!(!program.log().contains("service manager"), "{}", program.log());
    program.stop();
}

/// A file that is shipped for the system.
fn packaged(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging").join(name)).expect(name)
}

#[test]
fn systemd_understands_the_units() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name);
    // It looks whether the program is there.
    let service = packaged("lwsws.service").replace("/usr/local/bin/lwsws", env!("CARGO_BIN_EXE_lwsws"));
    fs::write(file("lwsws.service"), service).expect("write");
    fs::write(file("lwsws.socket"), packaged("lwsws.socket")).expect("write");
    let mut verify = Command::new(require("systemd-analyze"));
    let said = finish(verify.args(["verify", "--man=no"]).args([file("lwsws.service"), file("lwsws.socket")]));
    // What it says of other units of this machine is no concern of ours.
    let complaints = String::from_utf8_lossy(&said.stderr).lines().filter(|line| line.contains("lwsws")).count();
    assert!(said.status.success() && complaints == 0, "{}", String::from_utf8_lossy(&said.stderr));
}

#[test]
fn the_privileges_that_the_unit_leaves_are_enough() {
    let unit = packaged("lwsws.service");
    let capabilities = unit.lines().find_map(|line| line.strip_prefix("CapabilityBoundingSet=")).expect("a line");
    let set = capabilities.split(' ').map(|name| format!(",+{}", name.trim_start_matches("CAP_").to_lowercase()));
    let set: String = std::iter::once("-all".to_owned()).chain(set).collect();
    let folder = Folder::on_port(
        free_port(),
        r#""username": "nobody""#,
        &format!(r#"{ECHO}, {TLS}, "allow-http-on-https": "1", "access-log": "DIR/access""#),
    );
    fs::create_dir(folder.path("conf.d")).expect("mkdir");
    let socket = folder.path("its.sock");
    let vhost = format!(
        r#"{{"vhosts": [{{"unix-socket": "1", "interface": "{}", "unix-socket-perms": "nobody:root"}}]}}"#,
        socket.display()
    );
    fs::write(folder.path("conf.d/unix"), vhost).expect("write");
    let lwsws = folder.command();
    let mut limited = Command::new(require("setpriv"));
    limited.args(["--no-new-privs", "--bounding-set", &set]).arg(lwsws.get_program()).args(lwsws.get_args());
    let program = Program::spawn(&mut limited);
    program.wait_for_log(" workers serve ");
    assert_ne!(fs::metadata(&socket).expect("the socket").uid(), 0);
    let port = program.port();
    assert_eq!(page(port), "the page");
    // New workers open the log that is theirs by now, and the parent makes a new one.
    folder.reload(&program);
    fs::rename(folder.path("access"), folder.path("access.1")).expect("rename");
    program.signal(Signal::USR1);
    eventually("there is a new log", || folder.path("access").exists());
    eventually("it is written to", || {
        page(port);
        fs::metadata(folder.path("access")).is_ok_and(|log| log.len() > 0)
    });
    assert!(!program.log().contains(" E: "), "{}", program.log());
    program.stop();
}

#[test]
fn logrotate_rotates_as_shipped_and_no_line_is_lost() {
    let folder = Folder::new(r#""username": "nobody""#, r#""access-log": "DIR/access""#);
    let program = folder.start();
    let (port, here) = (program.port(), folder.path("").display().to_string());
    let systemctl = "systemctl kill --kill-who=main --signal=USR1 lwsws.service";
    let shipped = packaged("lwsws.logrotate");
    assert!(shipped.contains(systemctl));
    let rules = shipped.replace("/var/log/lwsws/", &here).replace(systemctl, &format!("kill -USR1 {}", program.pid()));
    fs::write(folder.path("rules"), rules).expect("write");
    fs::set_permissions(folder.path("rules"), fs::Permissions::from_mode(0o644)).expect("chmod");
    let mut asked = 0;
    for round in 0..3 {
        for _ in 0..30 {
            assert_eq!(page(port), "the page");
            asked += 1;
        }
        eventually("all is in a log", || lines_below(&here).len() == asked);
        let mut logrotate = Command::new(require("logrotate"));
        succeed(logrotate.args(["--force", "--state"]).arg(folder.path("state")).arg(folder.path("rules")));
        eventually("there is a new log", || folder.path("access").exists());
        assert!(folder.path("access.1").exists(), "round {round}");
    }
    program.stop();
    let lines = lines_below(&here);
    assert_eq!(lines.len(), asked);
    assert!(lines.iter().all(|line| access::Request::parse(line).status == 200));
}

/// The lines of all access logs in a folder, those that were compressed too.
fn lines_below(folder: &str) -> Vec<String> {
    let read = format!("for log in {folder}access*; do case $log in *.gz) gzip -dc $log;; *) cat $log;; esac; done");
    let text = succeed(Command::new("sh").arg("-c").arg(read));
    String::from_utf8(text).expect("text").lines().map(str::to_owned).collect()
}
