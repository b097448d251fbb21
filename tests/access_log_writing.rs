//! How access logs are written: rotation under load, disks that are full or slow, and that none of it stops service.

mod util;

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use rlws::{AccessLog, ContextInfo, Listen, Mount, VhostInfo, limits};
use util::access::{Request, lines};
use util::http::{ask, read_response};
use util::*;

fn vhost(site: &Site, log: &AccessLog) -> impl FnOnce() -> VhostInfo + Send + 'static {
    let (root, log) = (site.root(), log.clone());
    move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        mounts: vec![Mount::files("/", root)],
        access_log: Some(log),
        ..Default::default()
    }
}

/// A request whose line is about as long as one gets.
fn long_request(n: usize) -> String {
    let fill = "x".repeat(limits::ACCESS_LOG_FIELD);
    format!("GET /?{n}-{fill} HTTP/1.1\r\nHost: localhost\r\nReferer: {fill}\r\nUser-Agent: {fill}\r\n\r\n")
}

/// The warnings that a log has lost lines.
fn warnings(name: &str) -> Vec<String> {
    log::with(&format!("access log {name}: "))
}

/// How many lines they say are lost.
fn lost(warnings: &[String]) -> usize {
    let count = |line: &String| line.split_once(" lines are lost")?.0.rsplit(' ').next()?.parse::<usize>().ok();
    warnings.iter().map(|line| count(line).expect("a number")).sum()
}

#[test]
fn a_rotation_under_load_loses_and_tears_no_line() {
    const CLIENTS: usize = 4;
    let (site, log) = (Site::new(), LogFile::new());
    let server = Server::with_vhost(vhost(&site, &log.log));
    let (stop, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    let port = server.made;
    let old = |n: usize| log.path().with_file_name(format!("access.log.{n}"));
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let (stop, asked) = (&stop, &asked);
            scope.spawn(move || {
                let mut stream = connect(port);
                for n in 0.. {
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                    assert_eq!(ask(&mut stream, "localhost", &format!("/?{client}-{n}")).status, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for rotation in 0..20 {
            let seen = asked.load(Ordering::Relaxed);
            eventually("more requests", || asked.load(Ordering::Relaxed) > seen + 50);
            std::fs::rename(log.path(), old(rotation)).expect("rename");
            if rotation % 2 == 0 {
                log.log.reopen_path(log.path()).expect("reopen");
            } else {
                log.log.reopen(File::create(log.path()).expect("create"));
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
    drop(server);
    let mut seen = BTreeSet::new();
    for path in (0..20).map(old).chain([log.path()]) {
        let text = std::fs::read_to_string(&path).expect("a log is ASCII");
        assert!(text.is_empty() || text.ends_with('\n'), "{} is torn", path.display());
        for line in lines(&path) {
            assert!(seen.insert(Request::parse(&line).line), "twice: {line}");
        }
    }
    assert_eq!(seen.len(), asked.into_inner());
}

#[test]
fn what_is_logged_before_a_reopen_goes_to_the_old_file() {
    let (site, log) = (Site::new(), LogFile::new());
    let server = Server::with_vhost(vhost(&site, &log.log));
    let mut client = connect(server.made);
    let old = log.path().with_file_name("old");
    for n in 0..10 {
        ask(&mut client, "localhost", &format!("/?{n}"));
        if n == 4 {
            // Between two turns, so that the line of what was answered is in the log.
            let (log, path, old) = (log.log.clone(), log.path(), old.clone());
            server.ask(move |_| {
                std::fs::rename(&path, old).expect("rename");
                log.reopen_path(path).expect("reopen");
            });
        }
    }
    drop(server);
    assert_eq!((lines(&old).len(), lines(&log.path()).len()), (5, 5));
    let missing = log.path().join("no/such/folder");
    assert_eq!(log.log.reopen_path(missing).expect_err("it is a file").kind(), ErrorKind::NotADirectory);
}

#[test]
fn a_full_disk_is_warned_about_and_stops_nothing() {
    let site = Site::new();
    let log = AccessLog::open("/dev/full").expect("open");
    let server = Server::with_vhost(vhost(&site, &log));
    let mut client = connect(server.made);
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < Duration::from_millis(2500) {
        assert_eq!(ask(&mut client, "localhost", "/").status, 200);
        count += 1;
    }
    let told = || warnings("/dev/full");
    eventually("a warning", || !told().is_empty());
    assert!(told()[0].starts_with("WARN") && told()[0].contains("No space left on device"), "{:?}", told());
    // The last ones are told when the context goes.
    drop((server, log));
    assert_eq!(lost(&told()), count, "every line is accounted for");
    assert!(told().len() as u64 <= start.elapsed().as_secs() + 2, "one a second: {:?}", told());
}

#[test]
fn a_disk_that_does_not_keep_up_costs_lines_and_no_memory() {
    let site = Site::new();
    let (mut reader, writer) = std::io::pipe().expect("pipe");
    let name = std::fs::read_link(format!("/proc/self/fd/{}", writer.as_raw_fd())).expect("/proc");
    let name = name.display().to_string();
    let log = AccessLog::new(File::from(std::os::fd::OwnedFd::from(writer)));
    let server = Server::with_vhost(vhost(&site, &log));
    let mut client = connect(server.made);
    let line = 3 * limits::ACCESS_LOG_FIELD;
    let count = 2 * limits::ACCESS_LOG_QUEUE / line;
    for n in 0..count {
        send(&mut client, long_request(n).as_bytes());
        assert_eq!(read_response(&mut client).status, 200);
    }
    eventually("a warning", || !warnings(&name).is_empty());
    // Whoever reads at last gets what was kept, in order and whole.
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        reader.read_to_string(&mut text).expect("ASCII");
        text
    });
    drop((server, log));
    let text = reading.join().expect("read");
    // What was in the pipe was written before the queue filled.
    let bound = limits::ACCESS_LOG_QUEUE + 65_536;
    assert!(text.len() <= bound && text.ends_with('\n'), "{} bytes", text.len());
    let kept: Vec<usize> = text
        .lines()
        .map(|line| {
            let request = Request::parse(line).line;
            let number = request.strip_prefix("GET /?").and_then(|rest| rest.split_once('-')).expect("a number").0;
            number.parse().expect("a number")
        })
        .collect();
    assert!(kept.len() > count / 3 && kept.len() < count, "{} of {count}", kept.len());
    assert!(kept.windows(2).all(|pair| pair[0] < pair[1]), "in order");
    let told = warnings(&name);
    let why = "they come faster than they can be written";
    assert!(told.iter().all(|line| line.starts_with("WARN") && line.contains(why)), "{told:?}");
    assert_eq!(lost(&told), count - kept.len());
}

#[test]
fn a_log_that_nobody_reads_holds_the_end_up_for_a_bounded_time() {
    let site = Site::new();
    let (reader, writer) = std::io::pipe().expect("pipe");
    let log = AccessLog::new(File::from(std::os::fd::OwnedFd::from(writer)));
    let server = Server::with_vhost_in(ContextInfo::default(), vhost(&site, &log));
    let mut client = connect(server.made);
    for n in 0..50 {
        send(&mut client, long_request(n).as_bytes());
        read_response(&mut client);
    }
    let start = Instant::now();
    drop(server);
    let took = start.elapsed();
    assert!(took < limits::ACCESS_LOG_FLUSH + Duration::from_secs(5), "{took:?}");
    drop((reader, log));
}
