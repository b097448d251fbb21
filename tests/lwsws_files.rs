//! The files that `lwsws` writes, as root: logs, the process id, its own log. Whoever owns the folder they are in gets no more by that.

mod util;

use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use util::lwsws::{ECHO, Folder, workers};
use util::*;

const NOBODY: &str = r#""username": "nobody""#;
const LOG: &str = r#""access-log": "DIR/logs/access""#;

/// A folder with a folder for logs, which belongs to somebody.
fn with_logs(owner: &str, mode: u32) -> Folder {
    let folder = Folder::new(NOBODY, LOG);
    let logs = folder.path("logs");
    fs::create_dir(&logs).expect("mkdir");
    succeed(Command::new("chown").arg(owner).arg(&logs));
    fs::set_permissions(logs, fs::Permissions::from_mode(mode)).expect("chmod");
    folder
}

fn page(program: &Program) {
    assert_eq!(http::get(program.port(), "localhost", "/").text(), "the page");
}

fn lines(path: &Path) -> usize {
    fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

/// What a process has open, by name.
fn open_files(process: i32) -> Vec<PathBuf> {
    let open = fs::read_dir(format!("/proc/{process}/fd")).expect("it is there");
    open.filter_map(|fd| fs::read_link(fd.ok()?.path()).ok()).collect()
}

#[test]
fn a_link_in_the_place_of_a_log_gives_nobody_anything() {
    let folder = with_logs("nobody", 0o755);
    let (victim, log) = (folder.path("victim"), folder.path("logs/access"));
    fs::write(&victim, "secret")
        .and_then(|()| fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)))
        .expect("write");
    let program = folder.start();
    page(&program);
    fs::rename(&log, folder.path("logs/access.1")).and_then(|()| symlink(&victim, &log)).expect("symlink");
    program.signal(Signal::USR1);
    program.wait_for_log("a link, which is not followed");
    page(&program);
    eventually("it is logged in the old one", || lines(&folder.path("logs/access.1")) == 2);
    folder.reload(&program);
    assert!(program.log().contains("is not taken"), "{}", program.log());
    program.stop();
    let about = fs::metadata(&victim).expect("it is there");
    assert_eq!(
        (about.uid(), about.mode() & 0o777, fs::read_to_string(&victim).expect("read")),
        (0, 0o600, "secret".into())
    );
}

#[test]
fn logs_are_rotated_where_the_workers_may_not_go() {
    let folder = with_logs("root", 0o700);
    let program = folder.start();
    for round in 0..3 {
        page(&program);
        eventually("it is logged", || lines(&folder.path("logs/access")) == 1);
        fs::rename(folder.path("logs/access"), folder.path(&format!("logs/access.{round}"))).expect("rename");
        program.signal(Signal::USR1);
        eventually("there is a new one", || folder.path("logs/access").exists());
        // By then all workers have been told.
        folder.reload(&program);
    }
    let about = fs::metadata(folder.path("logs/access")).expect("it is there");
    assert_eq!((about.uid(), about.mode() & 0o137), (0, 0), "nothing is given to whom they serve as");
    assert!(!program.log().contains(" E: "), "{}", program.log());
    program.stop();
}

#[test]
fn a_log_of_a_former_configuration_is_rotated_for_those_who_still_use_it() {
    let folder = with_logs("root", 0o755);
    let log = |name: &str| folder.configure(NOBODY, &format!(r#"{ECHO}, "access-log": "DIR/logs/{name}""#));
    log("a");
    let program = folder.start();
    let mut held = connect(program.port());
    send(&mut held, b"\0held");
    read_exactly(&mut held, 5);
    let former = workers(&program)[0];
    log("b");
    folder.reload(&program);
    fs::rename(folder.path("logs/a"), folder.path("logs/a.1")).expect("rename");
    program.signal(Signal::USR1);
    let has_open = |name: &str| open_files(former).contains(&folder.path(name));
    eventually("it has the new one", || has_open("logs/a") && !has_open("logs/a.1"));
    send(&mut held, b"more");
    read_exactly(&mut held, 4);
    drop(held);
    eventually("it has logged", || lines(&folder.path("logs/a")) + lines(&folder.path("logs/a.1")) == 1);
    assert_eq!(lines(&folder.path("logs/a")), 1, "{}", program.log());
    program.stop();
}

#[test]
fn a_configuration_that_is_refused_leaves_files_as_they_were() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("bind");
    let port = taken.local_addr().expect("bound").port();
    let folder = with_logs("root", 0o755);
    let program = folder.start();
    let before = fs::metadata(folder.path("logs/access")).expect("it is there");
    folder.write_conf(&format!(
        r#"{{ "global": {{ "username": "daemon" }}, "vhosts": [
            {{ "name": "a", "port": "0", "interface": "127.0.0.1", "access-log": "DIR/logs/access" }},
            {{ "name": "b", "port": "0", "interface": "127.0.0.1", "access-log": "DIR/logs/new" }},
            {{ "name": "c", "port": "{port}", "interface": "127.0.0.1" }}] }}"#
    ));
    folder.reload(&program);
    assert!(program.log().contains("is not taken"), "{}", program.log());
    let now = fs::metadata(folder.path("logs/access")).expect("it is there");
    assert_eq!((now.uid(), now.gid(), now.ino()), (before.uid(), before.gid(), before.ino()));
    assert!(!folder.path("logs/new").exists());
    program.stop();
}

/// Its process id, once it has written it.
fn pid_in(path: &Path) -> Pid {
    let pid = fs::read_to_string(path).expect("a pid file").trim().parse().expect("a process id");
    Pid::from_raw(pid).expect("a process id")
}

#[test]
fn a_daemon_lets_go_of_whoever_started_it_and_logs_to_its_own_file() {
    let folder = Folder::new("", ECHO);
    let (pidfile, log) = (folder.path("pid"), folder.path("log"));
    for own_log in [true, false] {
        let mut command = folder.command();
        command.arg("--daemonize").arg("--pidfile").arg(&pidfile);
        if own_log {
            command.arg("--logfile").arg(&log);
        }
        // It returns when nobody has the pipes any more.
        let said = command.stdin(Stdio::null()).output().expect("it runs");
        assert!(said.status.success());
        let pid = pid_in(&pidfile);
        let cwd = fs::read_link(format!("/proc/{}/cwd", pid.as_raw_nonzero())).expect("its folder");
        assert_eq!(cwd, Path::new("/"));
        if own_log {
            let text = || fs::read_to_string(&log).unwrap_or_default();
            assert!(said.stderr.is_empty() && text().contains(" workers serve "), "{}", text());
            fs::rename(&log, folder.path("log.1")).expect("rename");
            kill_process(pid, Signal::USR1).expect("kill");
            eventually("there is a new one", || log.exists());
            kill_process(pid, Signal::HUP).expect("kill");
            eventually("parent and workers log there", || {
                text().contains(" workers serve ") && text().contains("listening on")
            });
        } else {
            assert!(String::from_utf8_lossy(&said.stderr).contains("--logfile"), "{said:?}");
        }
        kill_process(pid, Signal::TERM).expect("kill");
        eventually("it has ended", || !pidfile.exists());
    }
}

#[test]
fn a_pid_file_is_written_before_anything_else_and_through_no_link() {
    let folder = Folder::new("", ECHO);
    let (link, victim) = (folder.path("pid"), folder.path("victim"));
    fs::write(&victim, "precious").and_then(|()| symlink(&victim, &link)).expect("symlink");
    for path in [link, folder.path("no-folder/pid")] {
        let mut program = Program::spawn(folder.command().arg("--pidfile").arg(path));
        assert_eq!(program.wait().code(), Some(1));
        let log = program.log();
        assert!(log.contains("--pidfile") && !log.contains("generation 1"), "{log}");
    }
    assert_eq!(fs::read_to_string(victim).expect("read"), "precious");

    let path = folder.path("other");
    let program = Program::spawn(folder.command().arg("--pidfile").arg(&path));
    program.wait_for_log(" workers serve ");
    assert_eq!(pid_in(&path).as_raw_nonzero().get() as u32, program.pid());
    fs::remove_file(&path).and_then(|()| fs::write(&path, "somebody else's")).expect("write");
    assert_eq!(workers(&program).len(), 1);
    program.stop();
    assert_eq!(fs::read_to_string(&path).expect("it stays"), "somebody else's");
}
