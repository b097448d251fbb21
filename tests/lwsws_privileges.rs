//! Whom `lwsws` serves as, read from the kernel: user, groups, capabilities, and what that keeps from a worker.

mod util;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use util::lwsws::{ECHO, Folder, TLS, workers};
use util::*;

/// What the kernel says of a thread: `Uid` and its like, each a list of words.
struct Status(BTreeMap<String, Vec<String>>);

impl Status {
    fn of(pid: i32) -> Status {
        let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it lives");
        let fields = text.lines().filter_map(|line| line.split_once(':'));
        let words = |value: &str| value.split_whitespace().map(str::to_owned).collect();
        Status(fields.map(|(name, value)| (name.to_owned(), words(value))).collect())
    }

    fn get(&self, name: &str) -> &[String] {
        self.0.get(name).unwrap_or_else(|| panic!("no {name}"))
    }

    #[track_caller]
    fn assert_no_capability(&self, sets: &[&str]) {
        for set in sets {
            assert!(self.get(set)[0].bytes().all(|digit| digit == b'0'), "{set}: {:?}", self.get(set));
        }
        assert_eq!(self.get("NoNewPrivs"), ["1"]);
    }

    /// A command that is run with these very credentials.
    fn run(&self, program: &str) -> Command {
        let mut command = Command::new(require("setpriv"));
        let groups = self.get("Groups").join(",");
        command.args(["--reuid", &self.get("Uid")[1], "--regid", &self.get("Gid")[1], "--no-new-privs"]);
        command.args(["--bounding-set=-all", "--inh-caps=-all", "--ambient-caps=-all"]);
        match groups.is_empty() {
            true => command.arg("--clear-groups"),
            false => command.args(["--groups", &groups]),
        };
        command.arg(program);
        command
    }
}

const ALL_BUT_BOUNDING: [&str; 4] = ["CapInh", "CapPrm", "CapEff", "CapAmb"];
const ALL: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapAmb", "CapBnd"];

fn id(what: &str, user: &str) -> String {
    String::from_utf8(succeed(Command::new("id").args([what, user]))).expect("text").trim().to_owned()
}

/// Every thread of every worker.
fn threads(program: &Program) -> Vec<i32> {
    let threads = workers(program).into_iter().flat_map(|pid| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).expect("its threads");
        tasks.map(|task| task.expect("a thread").file_name().to_string_lossy().parse().expect("a number"))
    });
    threads.collect()
}

#[test]
fn workers_are_who_they_are_told_and_cannot_read_the_key() {
    let folder = Folder::new(
        r#""username": "nobody", "groupname": "nogroup", "count-threads": "2""#,
        &format!(r#"{ECHO}, {TLS}, "allow-http-on-https": "1", "access-log": "DIR/access""#),
    );
    let key = folder.path("its.key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("chmod");
    let program = folder.start();
    // The thread of the log, too.
    assert_eq!(http::get(program.port(), "localhost", "/").text(), "the page");
    let threads = threads(&program);
    assert!(threads.len() >= 2);
    let (nobody, nogroup) = (id("-u", "nobody"), id("-g", "nobody"));
    for pid in threads {
        let status = Status::of(pid);
        assert_eq!(status.get("Uid"), [&nobody; 4].map(Clone::clone));
        assert_eq!(status.get("Gid"), [&nogroup; 4].map(Clone::clone));
        assert!(status.get("Groups").iter().all(|group| *group == nogroup), "{:?}", status.get("Groups"));
        status.assert_no_capability(&ALL);
        let tried = finish(status.run("cat").arg(&key));
        assert!(!tried.status.success(), "it can read {}", key.display());
        succeed(status.run("cat").arg(folder.path("site/index.html")));
    }
    assert!(!program.log().contains("run as root"), "{}", program.log());
    program.stop();
}

/// Starts it as nobody, with some capabilities that go on to what it starts, as `AmbientCapabilities=` of systemd does.
fn as_nobody(folder: &Folder, capabilities: &str) -> Command {
    let lwsws = folder.command();
    let mut command = Command::new(require("setpriv"));
    command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]);
    if !capabilities.is_empty() {
        command.args(["--inh-caps", capabilities, "--ambient-caps", capabilities]);
    }
    command.arg(lwsws.get_program()).args(lwsws.get_args());
    command
}

#[track_caller]
fn started(command: &mut Command) -> Program {
    let program = Program::spawn(command);
    program.wait_for_log(" workers serve ");
    program
}

#[test]
fn what_binds_a_port_does_not_reach_the_workers() {
    let folder = Folder::new("", ECHO);
    let program = started(&mut as_nobody(&folder, "+net_bind_service"));
    for pid in threads(&program) {
        Status::of(pid).assert_no_capability(&ALL_BUT_BOUNDING);
    }
    program.stop();
}

#[test]
fn capabilities_to_change_the_user_are_enough_and_are_gone_afterwards() {
    let folder = Folder::new(r#""username": "daemon""#, ECHO);
    let program = started(&mut as_nobody(&folder, "+setuid,+setgid"));
    for pid in threads(&program) {
        let status = Status::of(pid);
        assert_eq!(status.get("Uid"), [&id("-u", "daemon"); 4].map(Clone::clone));
        status.assert_no_capability(&ALL_BUT_BOUNDING);
    }
    program.stop();
}

#[test]
fn who_starts_it_may_be_who_it_serves_as() {
    let folder = Folder::new(r#""username": "nobody""#, ECHO);
    let program = started(&mut as_nobody(&folder, ""));
    assert_eq!(http::get(program.port(), "localhost", "/").text(), "the page");
    program.stop();

    folder.configure(r#""username": "daemon""#, ECHO);
    let mut program = Program::spawn(&mut as_nobody(&folder, ""));
    assert_eq!(program.wait().code(), Some(1));
    let log = program.log();
    assert!(log.contains("conf:1:") && log.contains("global.username: lwsws has to be started as root"), "{log}");
}

#[test]
fn workers_that_serve_as_root_are_warned_about() {
    for global in ["", r#""groupname": "nogroup""#, r#""username": "root""#] {
        let folder = Folder::new(global, ECHO);
        let said = folder.run(&["--check"], b"");
        let said = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.contains(r#"its workers run as root; say who else in global: "username""#), "{said}");
    }
}

#[test]
fn a_certificate_that_is_no_file_holds_nobody_up() {
    let folder = Folder::new("", r#""host-ssl-cert": "DIR/fifo", "host-ssl-key": "DIR/fifo""#);
    succeed(Command::new("mkfifo").arg(folder.path("fifo")));
    let bad = folder.run(&["--check"], b"");
    let said = String::from_utf8_lossy(&bad.stderr).into_owned();
    assert_eq!(bad.status.code(), Some(1));
    assert!(said.contains("vhosts[0].host-ssl-") && said.contains("it is not a regular file"), "{said}");

    folder.configure("", r#""host-ssl-cert": "/dev/zero", "host-ssl-key": "/dev/zero""#);
    assert_eq!(folder.run(&["--check"], b"").status.code(), Some(1));

    // The same at a reload: the parent goes on, and hears its signals.
    folder.configure("", ECHO);
    let program = folder.start();
    folder.configure("", r#""host-ssl-cert": "DIR/fifo", "host-ssl-key": "DIR/fifo""#);
    folder.reload(&program);
    assert!(program.log().contains("is not taken"), "{}", program.log());
    program.stop();
    assert!(Path::new(&folder.path("fifo")).exists());
}
