//! The program `lwsws`: its processes, signals, privileges and logs.

mod util;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use util::lwsws::{ECHO, Folder, TLS, workers};
use util::*;

#[track_caller]
fn echoes(client: &mut TcpStream, word: &[u8]) {
    send(client, word);
    assert_eq!(read_exactly(client, word.len()), word);
}

#[test]
fn the_configuration_of_the_article_serves_https_and_ssh_on_one_port() {
    let sshd = Sshd::start();
    let onward = format!(
        r#"{TLS}, "ws-protocols": [{{ "raw-proxy": {{ "status": "ok", "onward": "ipv4:127.0.0.1:{}" }} }}],
        "listen-accept-role": "raw-proxy", "listen-accept-protocol": "raw-proxy", "fallback-listen-accept": "1""#,
        sshd.port
    );
    let folder = Folder::new("", &onward);
    let program = folder.start();
    let port = program.port();
    let page = succeed(Command::new(require("curl")).args(["-sk", &format!("https://127.0.0.1:{port}/")]));
    assert_eq!(page, b"the page");
    assert_eq!(succeed(sshd.ssh(port).arg("echo over ssh")), b"over ssh\n");
    program.stop();
}

#[test]
fn a_reload_under_load_refuses_and_breaks_nothing() {
    static DONE: AtomicBool = AtomicBool::new(false);
    let folder = Folder::new(r#""count-threads": "2""#, ECHO);
    let program = folder.start();
    let port = program.port();
    let mut old = connect(port);
    echoes(&mut old, b"\0before");
    let clients: Vec<_> = (0..4)
        .map(|_| {
            thread::spawn(move || {
                let (mut served, mut client) = (0, connect(port));
                while !DONE.load(Ordering::Relaxed) {
                    let answer = http::ask(&mut client, "localhost", "/");
                    assert_eq!((answer.status, answer.text()), (200, "the page"));
                    served += 1;
                    if answer.header("connection") == Some("close") || served % 50 == 0 {
                        client = connect(port);
                        echoes(&mut client, b"\0echo");
                        client = connect(port);
                    }
                }
                served
            })
        })
        .collect();
    for round in 1..=6 {
        let broken = round % 3 == 0;
        folder.configure(r#""count-threads": "2""#, if broken { r#""prot": 7"# } else { ECHO });
        let before = program.log().matches(if broken { "is not taken" } else { " workers serve " }).count();
        program.signal(Signal::HUP);
        eventually("the reload is done", || {
            program.log().matches(if broken { "is not taken" } else { " workers serve " }).count() > before
        });
    }
    assert!(program.log().contains("vhosts[0].prot"), "the mistake is named:\n{}", program.log());
    DONE.store(true, Ordering::Relaxed);
    let served: u32 = clients.into_iter().map(|client| client.join().expect("no request failed")).sum();
    assert!(served > 100, "{served}");
    echoes(&mut old, b"still there");
    drop(old);
    eventually("only the newest workers are left", || workers(&program).len() == 2);
    program.stop();
}

fn id(what: &str, user: &str) -> String {
    String::from_utf8(succeed(Command::new("id").args([what, user]))).expect("text").trim().to_owned()
}

#[test]
fn a_worker_that_dies_is_replaced() {
    let folder = Folder::new("", ECHO);
    let program = folder.start();
    // What is on the disk by then is another matter.
    fs::write(folder.path("conf"), "{ broken").expect("write");
    let [pid] = workers(&program)[..] else { panic!("one worker") };
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("kill");
    program.wait_for_log("killed by SIGKILL");
    eventually("another one serves", || workers(&program).iter().any(|other| *other != pid));
    echoes(&mut connect(program.port()), b"\0again");
    program.stop();
}

#[test]
fn a_configuration_that_no_worker_can_start_with_changes_nothing() {
    let folder = Folder::on_port(free_port(), r#""count-threads": "1""#, ECHO);
    let program = folder.start();
    let port = program.port();
    for round in 1..=2 {
        folder.configure(r#""count-threads": "4", "rlimit-nofile": "1073741824""#, ECHO);
        folder.reload(&program);
        assert_eq!(program.log().matches("is not taken").count(), round, "{}", program.log());
        assert!(program.log().contains("a worker could not start"), "{}", program.log());
        eventually("the former worker is left", || workers(&program).len() == 1);
        for _ in 0..20 {
            assert_eq!(http::get(port, "localhost", "/").text(), "the page");
        }
        // One in its place has the configuration that serves.
        let pids = workers(&program);
        kill_process(Pid::from_raw(pids[0]).expect("a process"), Signal::KILL).expect("kill");
        eventually("another one serves", || workers(&program).iter().any(|other| !pids.contains(other)));
        assert_eq!(http::get(port, "localhost", "/").text(), "the page");
    }
    folder.configure(r#""count-threads": "2""#, ECHO);
    folder.reload(&program);
    eventually("the new workers are left", || workers(&program).len() == 2);
    program.stop();
}

#[test]
fn a_worker_is_replaced_with_the_key_that_was_checked() {
    let folder = Folder::new(r#""username": "nobody""#, TLS);
    let program = folder.start();
    let port = program.port();
    fs::remove_file(folder.path("its.key")).expect("remove");
    program.wait_for_log("is not taken");
    let [pid] = workers(&program)[..] else { panic!("one worker") };
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("kill");
    eventually("another one serves", || workers(&program).iter().any(|other| *other != pid));
    assert_eq!(tls::shown_cert(&tls::trusting().connect(port, "localhost")), certs::localhost().der());
    program.stop();
}

#[test]
fn what_would_keep_workers_from_serving_is_found_before_they_are_started() {
    let folder = Folder::new("", ECHO);
    let program = folder.start();
    folder.configure("", r#""access-log": "DIR/not-there/access""#);
    folder.reload(&program);
    let log = program.log();
    assert!(log.contains("not-there/access") && !log.contains("generation 2"), "{log}");
    program.stop();

    folder.configure(r#""username": "nobody""#, ECHO);
    let lwsws = folder.command();
    let mut unprivileged = Command::new(require("setpriv"));
    unprivileged.args(["--bounding-set", "-setuid"]).arg(lwsws.get_program()).args(lwsws.get_args());
    let mut program = Program::spawn(&mut unprivileged);
    assert_eq!(program.wait().code(), Some(1));
    let log = program.log();
    assert!(log.contains("has to be started as root") && !log.contains("generation 1"), "{log}");
}

#[test]
fn the_file_of_a_unix_socket_goes_with_it() {
    let folder = Folder::new("", ECHO);
    let vhosts = r#"{ "vhosts": [{ "unix-socket": "1", "interface": "DIR/socket" }] }"#;
    folder.write_conf(vhosts);
    let program = folder.start();
    assert!(folder.path("socket").exists());
    folder.configure("", ECHO);
    folder.reload(&program);
    assert!(!folder.path("socket").exists(), "nobody listens there any more");
    folder.write_conf(vhosts);
    folder.reload(&program);
    assert!(folder.path("socket").exists());
    program.stop();
    assert!(!folder.path("socket").exists());
}

#[test]
fn signals_are_for_the_parent_even_if_workers_get_them_too() {
    let folder = Folder::new("", ECHO);
    let program = folder.start();
    let pids = workers(&program);
    let mut client = connect(program.port());
    for signal in [Signal::HUP, Signal::USR1, Signal::INT, Signal::TERM] {
        pids.iter().for_each(|pid| kill_process(Pid::from_raw(*pid).expect("a process"), signal).expect("kill"));
        echoes(&mut client, b"\0still there");
    }
    assert_eq!(workers(&program), pids);
    drop(client);
    program.stop();
}

#[test]
fn the_end_does_not_wait_for_workers_that_do_not_serve_yet() {
    let folder = Folder::slow(r#""count-threads": "2""#);
    let mut program = Program::spawn(&mut folder.command());
    let worker = folder.held_worker(&program, 1);
    program.signal(Signal::TERM);
    assert!(program.wait().success());
    assert!(!program.log().contains(" workers serve ") && !Path::new(&format!("/proc/{worker}")).exists());
}

#[test]
fn workers_end_when_their_parent_is_gone() {
    let folder = Folder::new("", ECHO);
    let mut program = folder.start();
    let pids = workers(&program);
    program.signal(Signal::KILL);
    program.wait();
    eventually("they have ended", || pids.iter().all(|pid| !Path::new(&format!("/proc/{pid}")).exists()));
}

#[test]
fn a_renewed_certificate_is_served_and_a_bad_one_is_not() {
    let folder = Folder::new("", TLS);
    let program = folder.start();
    let port = program.port();
    let shown = || tls::shown_cert(&tls::trusting().connect(port, "localhost"));
    assert_eq!(shown(), certs::localhost().der());
    fs::write(folder.path("its.cert"), "no certificate").expect("write");
    program.wait_for_log("is not taken");
    assert_eq!(shown(), certs::localhost().der());
    let renewed = certs::ca().server(&["localhost"]);
    renewed.write(&folder.path(""), "its");
    eventually("the renewed one is shown", || shown() == renewed.der());
    program.stop();
}

#[test]
fn what_a_relay_shows_and_trusts_onward_is_renewed_too() {
    let asking = Ca::new("who may ask");
    let (first, second) = (asking.client("first"), asking.client("second"));
    let onward = TlsOnward::start(certs::localhost(), Some(&asking), &[], false);
    let relay = format!(
        r#""ws-protocols": [{{ "raw-proxy": {{ "status": "ok", "onward": "{}", "onward-tls": "1", "onward-tls-name": "localhost",
            "onward-tls-ca": "DIR/ca", "onward-tls-cert": "DIR/own.cert", "onward-tls-key": "DIR/own.key" }} }}],
        "listen-accept-role": "raw-proxy", "listen-accept-protocol": "raw-proxy", "apply-listen-accept": "1""#,
        onward.onward.target()
    );
    let folder = Folder::new("", &relay);
    fs::write(folder.path("ca"), certs::ca().text()).expect("write");
    first.write(&folder.path(""), "own");
    let program = folder.start();
    let port = program.port();
    let mut met = 0;
    let mut shows = || {
        let mut client = connect(port);
        send(&mut client, b"whom?");
        half_close(&client);
        read_until_closed(&mut client);
        met += 1;
        onward.met(met - 1).cert
    };
    assert_eq!(shows(), Some(first.der()));
    fs::write(folder.path("own.cert"), "no certificate").expect("write");
    program.wait_for_log("is not taken");
    assert_eq!(shows(), Some(first.der()), "the former one is still good");
    second.write(&folder.path(""), "own");
    eventually("the renewed one is shown", || shows() == Some(second.der()));
    // Nobody is trusted any more that was.
    fs::write(folder.path("ca"), Ca::new("another CA").text()).expect("write");
    eventually("the server is not trusted", || shows().is_none());
    program.stop();
}

#[test]
fn rotating_the_access_log_loses_no_line() {
    let folder = Folder::new(r#""username": "nobody""#, r#""access-log": "DIR/access""#);
    let program = folder.start();
    let port = program.port();
    let mut asked = 0;
    for round in 0..3 {
        let mut client = connect(port);
        for _ in 0..50 {
            assert_eq!(http::ask(&mut client, "localhost", "/").status, 200);
            asked += 1;
        }
        fs::rename(folder.path("access"), folder.path(&format!("access.{round}"))).expect("rename");
        program.signal(Signal::USR1);
        eventually("there is a new one", || folder.path("access").exists());
    }
    program.stop();
    let logs = ["access", "access.0", "access.1", "access.2"].map(|name| fs::read_to_string(folder.path(name)));
    let lines: Vec<String> = logs.iter().flatten().flat_map(|text| text.lines()).map(str::to_owned).collect();
    assert_eq!(lines.len(), asked);
    assert!(lines.iter().all(|line| line.contains(r#""GET / HTTP/1.1" 200 8 "#)), "{lines:?}");
}

#[test]
fn the_service_manager_is_told() {
    let folder = Folder::new("", ECHO);
    let address = folder.path("notify");
    let manager = UnixDatagram::bind(&address).expect("bind");
    manager.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    let hear = |word: &str| {
        let mut text = [0; 256];
        loop {
            let n = manager.recv(&mut text).unwrap_or_else(|error| panic!("{word}: {error}"));
            if String::from_utf8_lossy(&text[..n]).contains(word) {
                return;
            }
        }
    };
    let program = Program::spawn(folder.command().env("NOTIFY_SOCKET", &address).env("WATCHDOG_USEC", "200000"));
    hear("READY=1");
    hear("WATCHDOG=1");
    program.signal(Signal::HUP);
    hear("RELOADING=1");
    hear("READY=1");
    program.signal(Signal::TERM);
    hear("STOPPING=1");
}

#[test]
fn what_is_wrong_is_said_before_anything_listens() {
    let folder = Folder::new("", r#""listen-accept-protocl": "raw-echo""#);
    let mut program = Program::spawn(&mut folder.command());
    assert_eq!(program.wait().code(), Some(1));
    let log = program.log();
    assert!(log.contains("vhosts[0].listen-accept-protocl") && log.contains("listen-accept-protocol"), "{log}");
    assert!(!log.contains("listening"), "{log}");

    let folder = Folder::new(r#""username": "no-such-user""#, ECHO);
    let mut program = Program::spawn(&mut folder.command());
    assert_eq!(program.wait().code(), Some(1));
    assert!(program.log().contains("no-such-user"), "{}", program.log());
}

#[test]
fn another_program_on_the_port_is_an_error() {
    let folder = Folder::new("", ECHO);
    let first = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = first.local_addr().expect("bound").port();
    folder.write_conf(&format!(r#"{{ "vhosts": [{{ "port": "{port}", "interface": "127.0.0.1" }}] }}"#));
    let mut program = Program::spawn(&mut folder.command());
    assert_eq!(program.wait().code(), Some(1));
    assert!(program.log().contains("is taken"), "{}", program.log());
}

#[test]
fn check_says_whether_the_configuration_is_good() {
    let folder = Folder::new("", &format!("{ECHO}, {TLS}"));
    assert!(folder.run(&["--check"], b"").status.success());
    fs::write(folder.path("its.key"), "no key").expect("write");
    let bad = folder.run(&["-t"], b"");
    assert_eq!(bad.status.code(), Some(1));
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert!(said.contains("conf:") && said.contains("host-ssl-key"), "{said}");
}

#[test]
fn a_configuration_without_a_vhost_is_an_error_that_shows_one() {
    let folder = Folder::new("", "");
    for text in ["{}", r#"{"global": {"timeout-secs": 5}, "vhosts": []}"#] {
        folder.write_conf(text);
        for args in [&["--check"][..], &[]] {
            let output = folder.run(args, b"");
            assert_eq!(output.status.code(), Some(1), "{args:?}");
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(said.contains("/conf: there is no vhost") && said.contains(r#""vhosts": [{"#), "{said}");
        }
    }
}

#[test]
fn check_finds_what_would_keep_the_workers_from_starting() {
    let nobody = Folder::new(r#""username": "no-such-user""#, ECHO);
    let no_folder = Folder::new("", r#""access-log": "/no/such/folder/log""#);
    let no_file = Folder::new("", r#""access-log": "DIR/site""#);
    for (folder, parts) in [
        (nobody, ["username", "no-such-user"]),
        (no_folder, ["conf:2:", "vhosts[0].access-log: "]),
        (no_file, ["conf:2:", "vhosts[0].access-log: "]),
    ] {
        let bad = folder.run(&["--check"], b"");
        let said = String::from_utf8_lossy(&bad.stderr).into_owned();
        assert_eq!(bad.status.code(), Some(1), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
        assert!(!folder.path("site/log").exists() && said.matches(" E: ").count() == 1, "{said}");
    }
}

#[test]
fn classify_says_who_would_get_a_first_packet() {
    let folder = Folder::new("", &format!(r#"{ECHO}, "allow-http-on-https": "1", {TLS}"#));
    for (first, part) in [
        ("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "role http"),
        ("SSH-2.0-x\r\n", "role raw-skt, protocol raw-echo"),
        ("GE", "more is waited for"),
    ] {
        let said = folder.run(&["--classify"], first.as_bytes());
        let said = String::from_utf8(said.stdout).expect("text");
        assert!(said.contains("127.0.0.1 port 0: vhost localhost") || part.starts_with("more"), "{said}");
        assert!(said.contains(part), "{said}");
    }
}

#[test]
fn dump_is_a_configuration_again() {
    let client = r#""enable-client-ssl": "1", "client-ssl-ca": "DIR/its.cert""#;
    let folder = Folder::new(
        r#""timeout-secs": "7", "ip-limit-wsi": "9", "reject-service-keywords": {"bot": "404 No"}"#,
        &format!("{ECHO}, {TLS}, {client}"),
    );
    let first = folder.run(&["--dump"], b"").stdout;
    folder.write_conf(std::str::from_utf8(&first).expect("text"));
    let second = folder.run(&["--dump"], b"");
    assert_eq!(String::from_utf8_lossy(&second.stdout), String::from_utf8_lossy(&first));
    assert!(String::from_utf8_lossy(&first).contains(r#""timeout-secs": "7""#));
    for member in [r#""enable-client-ssl": "1""#, r#""ip-limit-wsi": "9""#, r#""bot": "404 No""#] {
        assert!(String::from_utf8_lossy(&first).contains(member), "{member}");
    }
}

#[test]
fn a_dump_of_a_unix_socket_is_read_as_one() {
    let folder = Folder::new("", "");
    folder.write_conf(
        r#"{"vhosts": [{"unix-socket": "1", "interface": "DIR/its.sock", "unix-socket-perms": "root:root"},
                       {"name": "two", "unix-socket": "1", "interface": "DIR/other.sock", "unix-socket-perms": "0600"}]}"#,
    );
    let first = folder.run(&["--dump"], b"").stdout;
    folder.write_conf(std::str::from_utf8(&first).expect("text"));
    let second = folder.run(&["--dump"], b"");
    assert_eq!(String::from_utf8_lossy(&second.stdout), String::from_utf8_lossy(&first));
    let text = String::from_utf8_lossy(&first);
    assert!(text.contains("its.sock") && text.contains(r#""root:root""#) && text.contains(r#""0600""#), "{text}");
}

#[test]
fn a_unix_socket_is_for_its_owner_and_served_by_workers_without_privileges() {
    let folder = Folder::new("", "");
    folder.write_conf(
        r#"{"global": {"username": "nobody"}, "vhosts": [{"name": "localhost", "unix-socket": "1",
            "interface": "DIR/its.sock", "unix-socket-perms": "nobody:root",
            "mounts": [{"mountpoint": "/", "origin": "file://DIR/site", "default": "index.html"}]}]}"#,
    );
    let program = folder.start();
    let socket = fs::metadata(folder.path("its.sock")).expect("the socket");
    let nobody: u32 = id("-u", "nobody").parse().expect("a number");
    assert_eq!((socket.uid(), socket.gid(), socket.mode() & 0o777), (nobody, 0, 0o660));
    let mut curl = Command::new(require("curl"));
    curl.args(["-sS", "--fail", "--unix-socket"]).arg(folder.path("its.sock")).arg("http://localhost/");
    assert_eq!(succeed(&mut curl), b"the page");
    program.stop();
}

#[test]
fn an_unknown_option_names_the_nearest() {
    let said = Folder::new("", ECHO).run(&["--chekc"], b"");
    assert_eq!(said.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&said.stderr).contains("did you mean --check?"));
}

#[test]
fn a_daemon_serves_when_its_starter_returns_and_leaves_a_pid_file() {
    let folder = Folder::new("", ECHO);
    let pidfile = folder.path("pid");
    // Its log would keep a pipe open.
    let log = fs::File::create(folder.path("log")).expect("create");
    let mut command = folder.command();
    command.args(["--daemonize", "--pidfile"]).arg(&pidfile).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    assert!(command.status().expect("it runs").success());
    let mut log = String::new();
    fs::File::open(folder.path("log")).expect("open").read_to_string(&mut log).expect("text");
    assert!(log.contains(" workers serve "), "{log}");
    let pid: i32 = fs::read_to_string(&pidfile).expect("a pid file").trim().parse().expect("a process id");
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::TERM).expect("kill");
    eventually("it has ended", || !pidfile.exists());
}

/// A flood takes what connections there may be: who is there is served, files and all; who comes waits for another to go.
#[test]
fn a_flood_leaves_room_for_who_is_there() {
    // Of one address, which says nothing: it would be stopped before.
    let folder = Folder::new(r#""rlimit-nofile": "64", "timeout-secs": "60", "ip-limit-undecided": "0""#, ECHO);
    let program = folder.start();
    let mut client = connect(program.port());
    echoes(&mut client, b"\0before");
    let mut browser = connect(program.port());
    let flood: Vec<TcpStream> = (0..200).map(|_| connect(program.port())).collect();
    program.wait_for_log("as many as may be");
    echoes(&mut client, b"\0during");
    assert_eq!(http::ask(&mut browser, "localhost", "/").text(), "the page", "its file can be opened");
    let mut late = connect(program.port());
    late.write_all(b"\0late").expect("write");
    drop(flood);
    assert_eq!(read_exactly(&mut late, 5), b"\0late");
    program.wait_for_log("nobody has to wait any more");
    echoes(&mut client, b"\0after");
    assert_eq!(program.log().matches("as many as may be").count(), 1, "it is said once: {}", program.log());
    assert!(!program.log().contains("Too many open files"), "{}", program.log());
    drop((client, browser, late));
    program.stop();
}
