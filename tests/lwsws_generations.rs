//! `lwsws` when a configuration comes to nothing, or comes late: who is served goes on being served.

mod util;

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use util::lwsws::{ECHO, Folder, workers};
use util::*;

/// Asks on a connection of its own each time while `meanwhile` runs; every one has to be answered.
fn under_load(port: u16, meanwhile: impl FnOnce()) {
    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let clients: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let answer = http::ask(&mut connect(port), "localhost", "/");
                        assert_eq!((answer.status, answer.text()), (200, "the page"));
                        served.fetch_add(1, Ordering::Relaxed);
                    }
                })
            })
            .collect();
        let more = |count: usize| {
            let before = served.load(Ordering::Relaxed);
            eventually("requests are answered", || served.load(Ordering::Relaxed) > before + count);
        };
        more(50);
        // Should it panic, the clients end all the same.
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(meanwhile));
        if ended.is_ok() {
            more(50);
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| client.join().expect("no connection failed"));
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
}

#[test]
fn a_refused_reload_under_load_resets_nobody() {
    let folder = Folder::on_port(free_port(), r#""count-threads": "1""#, ECHO);
    let program = folder.start();
    let port = program.port();
    let vhost = |number| {
        format!(
            r#"{{ "name": "v{number}", "port": "{port}", "interface": "127.0.0.1", "access-log": "DIR/log{number}",
                "mounts": [{{ "mountpoint": "/", "origin": "file://DIR/site", "default": "index.html" }}] }}"#
        )
    };
    let vhosts: Vec<String> = (0..40).map(vhost).collect();
    under_load(port, || {
        for round in 1..=3 {
            // A worker is led its share of the connections from when it listens; these may not have all their descriptors.
            folder.write_conf(&format!(
                r#"{{ "global": {{ "count-threads": "6", "rlimit-nofile": "30" }}, "vhosts": [{}] }}"#,
                vhosts.join(",")
            ));
            folder.reload(&program);
            assert_eq!(program.log().matches("is not taken").count(), round, "{}", program.log());
        }
    });
    assert!(program.log().contains("a worker could not start"), "{}", program.log());
    assert!(program.log().contains("may have descriptors: rlimit-nofile"), "{}", program.log());
    assert!(!folder.path("log7").exists(), "what was made for it is gone");
    eventually("the former worker is left", || workers(&program).len() == 1);
    program.stop();
}

#[test]
fn a_worker_that_hangs_while_starting_costs_nobody_a_connection_and_is_given_up() {
    let folder = Folder::on_port(free_port(), r#""count-threads": "1""#, ECHO);
    let program = Program::spawn(folder.command().args(["--start-limit", "5"]));
    program.wait_for_log(" workers serve ");
    let serving = workers(&program);
    under_load(program.port(), || {
        folder.make_slow(r#""count-threads": "4""#);
        program.signal(Signal::HUP);
        let held = folder.held_worker(&program, 2);
        program.wait_for_log("is not ready after 5 s");
        program.wait_for_log("is not taken");
        eventually("it is gone", || !Path::new(&format!("/proc/{held}")).exists());
    });
    assert_eq!(workers(&program), serving);
    program.stop();
}

#[test]
fn while_a_worker_hangs_another_configuration_is_taken_and_who_died_is_replaced() {
    let folder = Folder::on_port(free_port(), r#""count-threads": "1""#, ECHO);
    let program = folder.start();
    let [serving] = workers(&program)[..] else { panic!("one worker") };
    folder.make_slow("");
    program.signal(Signal::HUP);
    let held = folder.held_worker(&program, 2);
    kill_process(Pid::from_raw(serving).expect("a process"), Signal::KILL).expect("kill");
    eventually("another one is there", || workers(&program).iter().any(|pid| ![serving, held].contains(pid)));
    assert_eq!(http::get(program.port(), "localhost", "/").text(), "the page");
    folder.configure(r#""count-threads": "2""#, ECHO);
    folder.reload(&program);
    eventually("the new ones are left", || workers(&program).len() == 2 && !workers(&program).contains(&held));
    assert!(!program.log().contains("is not taken"), "{}", program.log());
    program.stop();
}

#[test]
fn a_certificate_that_is_written_while_a_reload_loads_is_served() {
    let folder = Folder::slow("");
    let program = folder.start();
    let port = program.port();
    let shown = || tls::shown_cert(&tls::trusting().connect(port, "localhost"));
    assert_eq!(shown(), certs::localhost().der());
    program.signal(Signal::HUP);
    let renewed = [(); 5].map(|()| certs::ca().server(&["localhost"]));
    for cert in &renewed {
        cert.write(&folder.path(""), "its");
        program.signal(Signal::HUP);
    }
    let newest = &renewed[4];
    eventually("the newest is shown", || shown() == newest.der());
    program.stop();
}

#[test]
fn a_new_binary_in_its_place_does_not_matter_to_the_one_that_runs() {
    let folder = Folder::new("", ECHO);
    let binary = folder.path("lwsws");
    fs::copy(env!("CARGO_BIN_EXE_lwsws"), &binary).expect("copy");
    let program = Program::spawn(Command::new(&binary).args(folder.command().get_args()));
    program.wait_for_log(" workers serve ");
    fs::remove_file(&binary).and_then(|()| fs::write(&binary, "another")).expect("write");
    let [pid] = workers(&program)[..] else { panic!("one worker") };
    let name = fs::read_to_string(format!("/proc/{pid}/comm")).expect("its name");
    assert_eq!(name, "lwsws\n", "killall finds it");
    kill_process(Pid::from_raw(pid).expect("a process"), Signal::KILL).expect("kill");
    eventually("another one serves", || workers(&program).iter().any(|other| *other != pid));
    assert_eq!(http::get(program.port(), "localhost", "/").text(), "the page");
    folder.reload(&program);
    assert!(!program.log().contains("is not taken"), "{}", program.log());
    program.stop();
}

#[test]
fn an_address_that_appears_late_is_bound_by_the_parent_for_all_workers() {
    let folder = Folder::new("", "");
    folder.write_conf(
        r#"{ "global": { "username": "nobody", "count-threads": "2" }, "vhosts": [{ "name": "localhost", "port": "80", "interface": "192.0.2.9",
            "mounts": [{ "mountpoint": "/", "origin": "file://DIR/site", "default": "index.html" }] }] }"#,
    );
    // A network of its own, where a port below 1024 takes root.
    let mut command = Command::new(require("unshare"));
    let setup = r#"ip link set lo up && echo 1024 > /proc/sys/net/ipv4/ip_unprivileged_port_start; exec "$0" "$@""#;
    let lwsws = folder.command();
    command.args(["-n", "sh", "-c", setup]).arg(lwsws.get_program()).args(lwsws.get_args());
    let program = Program::spawn(&mut command);
    program.wait_for_log("no such interface or address yet");
    program.wait_for_log(" workers serve ");
    let inside = |words: &[&str]| {
        let mut command = Command::new(require("nsenter"));
        finish(command.arg(format!("--net=/proc/{}/ns/net", program.pid())).args(words))
    };
    assert!(inside(&["ip", "addr", "add", "192.0.2.9/32", "dev", "lo"]).status.success());
    let page = || inside(&["curl", "-s", "http://192.0.2.9/"]).stdout;
    eventually("it is served", || page() == b"the page");
    program.signal(Signal::HUP);
    eventually("it is reloaded", || program.log().matches("listening on 192.0.2.9:80").count() == 4);
    assert_eq!(page(), b"the page");
    assert!(!program.log().contains("is not taken") && !program.log().contains("Permission"), "{}", program.log());
    program.stop();
}

#[test]
fn one_address_or_all_of_them_is_a_reload_that_loses_nobody() {
    let port = free_port();
    let folder = Folder::on_port(port, "", ECHO);
    let program = folder.start();
    let vhost = |keys: &str| {
        folder.write_conf(&format!(
            r#"{{ "vhosts": [{{ "name": "localhost", "port": "{port}", {keys} "mounts": [{{ "mountpoint": "/", "origin": "file://DIR/site", "default": "index.html" }}] }}] }}"#
        ));
        folder.reload(&program);
        assert!(!program.log().contains("is not taken"), "{}", program.log());
    };
    under_load(port, || {
        for _ in 0..3 {
            vhost("");
            vhost(r#""interface": "127.0.0.1","#);
        }
    });
    vhost("");
    vhost(r#""noipv6": "1","#);
    assert!(program.log().contains("noipv6, ipv6only: it is bound already"), "{}", program.log());
    assert_eq!(http::get(port, "localhost", "/").text(), "the page");
    program.stop();
}

#[test]
fn who_may_use_a_unix_socket_changes_with_a_reload() {
    let folder = Folder::new("", "");
    let configure = |perms: &str| {
        folder.write_conf(&format!(
            r#"{{ "vhosts": [{{ "unix-socket": "1", "interface": "DIR/sock", "unix-socket-perms": "{perms}" }}] }}"#
        ));
    };
    let mode = || fs::metadata(folder.path("sock")).expect("the socket").permissions().mode() & 0o777;
    configure("0600");
    let program = folder.start();
    assert_eq!(mode(), 0o600);
    configure("0666");
    folder.reload(&program);
    assert_eq!(mode(), 0o666);
    assert!(!program.log().contains(" E: "), "{}", program.log());
    program.stop();
}

#[test]
fn a_worker_that_says_what_none_of_ours_does_is_killed_and_its_parent_stays_small() {
    let folder = Folder::new("", ECHO);
    let program = folder.start();
    let [pid] = workers(&program)[..] else { panic!("one worker") };
    let before = program.rss();
    // Somebody has taken it over, and writes to all of its sockets.
    let process =
        rustix::process::pidfd_open(Pid::from_raw(pid).expect("a process"), rustix::process::PidfdFlags::empty());
    let process = process.expect("pidfd_open");
    let mut sent = 0;
    for number in 0..64 {
        let taken = rustix::process::pidfd_getfd(&process, number, rustix::process::PidfdGetfdFlags::empty());
        let Ok(socket) = taken.map(std::os::unix::net::UnixStream::from) else { continue };
        if socket.local_addr().is_ok() && socket.peer_addr().is_ok() && number > 2 {
            let _until_it_is_closed =
                socket.set_nonblocking(false).and_then(|()| (&socket).write_all(&[b'x'; 64 << 20]));
            sent += 1;
        }
    }
    assert!(sent > 0);
    program.wait_for_log("is killed");
    eventually("another one serves", || workers(&program).iter().any(|other| *other != pid));
    assert_eq!(http::get(program.port(), "localhost", "/").text(), "the page");
    assert!(program.rss() < before + (8 << 20));
    program.stop();
}

#[test]
fn names_with_line_ends_are_names() {
    let folder = Folder::new("", ECHO);
    fs::create_dir(folder.path("conf.d")).expect("mkdir");
    fs::write(folder.path("conf.d/a\nb"), "{}").expect("write");
    certs::localhost().write(&folder.path(""), "line\nend");
    folder.configure("", r#""host-ssl-cert": "DIR/line\nend.cert", "host-ssl-key": "DIR/line\nend.key""#);
    let program = folder.start();
    let shown = tls::shown_cert(&tls::trusting().connect(program.port(), "localhost"));
    assert_eq!(shown, certs::localhost().der());
    program.stop();
}

#[test]
fn a_hundred_ports_of_four_workers_are_more_than_the_usual_limit_of_descriptors() {
    let folder = Folder::new("", "");
    let vhosts: Vec<String> = (0..100)
        .map(|number| format!(r#"{{ "name": "v{number}", "port": "{}", "interface": "127.0.0.1" }}"#, free_port()))
        .collect();
    folder.write_conf(&format!(
        r#"{{ "global": {{ "rlimit-nofile": "4096", "count-threads": "4" }}, "vhosts": [{}] }}"#,
        vhosts.join(",")
    ));
    let lwsws = folder.command();
    let mut limited = Command::new(require("sh"));
    limited.args(["-c", r#"ulimit -Sn 256; exec "$0" "$@""#]).arg(lwsws.get_program()).args(lwsws.get_args());
    let program = Program::spawn(&mut limited);
    program.wait_for_log(" workers serve ");
    program.stop();
}

#[test]
fn signals_that_come_while_it_starts_are_heard_when_it_has() {
    let folder = Folder::slow("");
    let mut program = Program::spawn(&mut folder.command());
    eventually("it checks", || !workers(&program).is_empty());
    program.signal(Signal::HUP);
    program.wait_for_log(" workers serve ");
    program.signal(Signal::TERM);
    assert!(program.wait().success(), "{}", program.log());
    let mut program = Program::spawn(&mut folder.command());
    eventually("it checks", || !workers(&program).is_empty());
    program.signal(Signal::TERM);
    assert!(program.wait().success(), "{}", program.log());
    assert!(!program.log().contains("generation 1"), "{}", program.log());
}
