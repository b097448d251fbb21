//! The program `lwsws`: its processes, signals, privileges and logs.

mod util;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use util::*;

/// A folder with a configuration, and what it serves.
struct Folder(tempfile::TempDir);

impl Folder {
    /// `global` and one vhost, whose keys go behind name, port and mounts; `DIR` stands for the folder.
    fn new(global: &str, vhost: &str) -> Folder {
        let folder = Folder(tempfile::tempdir().expect("a folder"));
        // Whoever the workers serve as has to get here.
        fs::set_permissions(folder.0.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        fs::create_dir(folder.path("site")).expect("mkdir");
        fs::write(folder.path("site/index.html"), "the page").expect("write");
        certs::localhost().write(folder.0.path(), "its");
        folder.configure(global, vhost);
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn configure(&self, global: &str, vhost: &str) {
        let text = format!(
            r#"{{ "global": {{ {global} }}, "vhosts": [{{ "name": "localhost", "port": "0", "interface": "127.0.0.1",
                "mounts": [{{ "mountpoint": "/", "origin": "file://DIR/site", "default": "index.html" }}], {vhost} }}] }}"#
        );
        self.write_conf(&text);
    }

    fn write_conf(&self, text: &str) {
        let text = text.replace("DIR", &self.0.path().display().to_string());
        fs::write(self.path("conf"), text).expect("write");
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lwsws"));
        command.arg("-c").arg(self.0.path()).args(["-d", "1039"]);
        command
    }

    #[track_caller]
    fn start(&self) -> Program {
        let program = Program::spawn(&mut self.command());
        program.wait_for_log(" workers serve ");
        program
    }

    #[track_caller]
    fn run(&self, args: &[&str], input: &[u8]) -> Output {
        let mut command = self.command();
        let command = command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("spawn");
        child.stdin.take().expect("piped").write_all(input).expect("it reads");
        child.wait_with_output().expect("wait")
    }
}

const ECHO: &str = r#""ws-protocols": [{ "raw-echo": { "status": "ok" } }], "listen-accept-protocol": "raw-echo",
    "fallback-listen-accept": "1""#;
const TLS: &str = r#""host-ssl-cert": "DIR/its.cert", "host-ssl-key": "DIR/its.key""#;

/// The processes that a program has started and that still live.
fn workers(program: &Program) -> Vec<i32> {
    let tasks = format!("/proc/{0}/task/{0}/children", program.pid());
    let children = fs::read_to_string(tasks).expect("its children");
    let lives = |pid: &i32| fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    children.split_whitespace().map(|pid| pid.parse().expect("a process id")).filter(lives).collect()
}

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

#[test]
fn workers_serve_as_who_they_are_told_and_cannot_read_the_key() {
    let folder = Folder::new(r#""username": "nobody", "groupname": "nogroup""#, &format!("{ECHO}, {TLS}"));
    let key = folder.path("its.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("chmod");
    let program = folder.start();
    for pid in workers(&program) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
        let field = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
            line.split_whitespace().skip(1).map(str::to_owned).collect::<Vec<_>>()
        };
        let (nobody, nogroup) = (id("-u", "nobody"), id("-g", "nobody"));
        assert_eq!(field("Uid:"), [&nobody; 4].map(Clone::clone));
        assert_eq!(field("Gid:"), [&nogroup; 4].map(Clone::clone));
        assert!(field("Groups:").iter().all(|group| *group == nogroup), "{:?}", field("Groups:"));
        assert!(field("CapEff:").iter().all(|caps| caps.chars().all(|digit| digit == '0')));
    }
    let tried =
        Command::new(require("setpriv")).args(["--reuid", "nobody", "--clear-groups", "cat"]).arg(&key).output();
    assert!(!tried.expect("setpriv").status.success(), "they can read {}", key.display());
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
    renewed.write(folder.0.path(), "its");
    eventually("the renewed one is shown", || shown() == renewed.der());
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
        assert!(!folder.path("site/log").exists() && said.lines().count() == 1, "{said}");
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
    let folder = Folder::new(r#""timeout-secs": "7""#, &format!("{ECHO}, {TLS}"));
    let first = folder.run(&["--dump"], b"").stdout;
    folder.write_conf(std::str::from_utf8(&first).expect("text"));
    let second = folder.run(&["--dump"], b"");
    assert_eq!(String::from_utf8_lossy(&second.stdout), String::from_utf8_lossy(&first));
    assert!(String::from_utf8_lossy(&first).contains(r#""timeout-secs": "7""#));
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
