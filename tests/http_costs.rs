//! What a request costs, counted: system calls by strace, allocations by the allocator. Counts are the same on a busy machine.

mod util;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rlws::{Context, ContextInfo, Listen, Mount, VhostInfo, limits};
use util::http::{ask, request};
use util::traced::Traced;
use util::*;

const REQUESTS: usize = 200;

/// A page that is old enough to be kept.
fn settled_site() -> Site {
    let site = Site::new();
    let written = SystemTime::now();
    eventually("the site is settled", || written + limits::FILE_CACHE_SETTLED < SystemTime::now());
    site
}

/// A server of a folder, and the calls that it makes.
fn http_server(root: &Path) -> Traced {
    Traced::start("minimal-http-server", &[OsStr::new("--origin"), root.as_os_str()])
}

/// What looking at the disk consists of.
const LOOKS: [&str; 4] = ["openat2", "fstat", "close", "newfstatat"];

/// A kept file is looked at once in [`limits::FILE_CACHE_FRESH`], however many ask for it, and the two that mark beginning and end are opened. So
/// how many looks there are depends on how long a test takes. What is left without them.
fn without_looks(mut calls: BTreeMap<String, usize>, began: Instant) -> BTreeMap<String, usize> {
    let most = began.elapsed().as_millis() / limits::FILE_CACHE_FRESH.as_millis() + 4;
    for name in LOOKS {
        let count = calls.remove(name).unwrap_or(0);
        assert!(count as u128 <= most, "{count} times {name}, where {most} looks are the most");
    }
    calls
}

#[test]
fn a_kept_alive_request_for_a_small_file_costs_three_system_calls() {
    let site = settled_site();
    let server = http_server(&site.root());
    let mut stream = connect(server.program.port());
    let mut get = |path: &str| assert_eq!(ask(&mut stream, "localhost", path).status, 200);
    get("/style.css");
    let began = Instant::now();
    get("/script.js");
    for _ in 0..REQUESTS {
        get("/style.css");
    }
    get("/data.json");
    let mut calls = server.between("GET /script.js", "GET /data.json");
    let mut count = |name: &str| calls.remove(name).unwrap_or(0);
    // Two are for the file that marks the beginning, and the one that is answered last.
    assert_eq!(count("recvfrom"), REQUESTS + 1);
    assert_eq!(count("sendto"), REQUESTS + 1);
    assert!(count("epoll_wait") <= REQUESTS + 2);
    assert!(count("pread64") <= 1, "the content is kept");
    assert_eq!(without_looks(calls, began), BTreeMap::new(), "nothing else is asked of the system");
}

#[test]
fn a_connection_for_one_request_asks_nothing_needless_of_the_system() {
    let site = settled_site();
    let server = http_server(&site.root());
    let once = |path: &str| {
        let mut stream = connect(server.program.port());
        let close = request("GET", "localhost", path).replace("\r\n\r\n", "\r\nConnection: close\r\n\r\n");
        send(&mut stream, close.as_bytes());
        assert!(read_to_end(&mut stream).starts_with(b"HTTP/1.1 200"));
    };
    once("/style.css");
    let began = Instant::now();
    once("/script.js");
    for _ in 0..REQUESTS {
        once("/style.css");
    }
    once("/data.json");
    let mut calls = server.between("GET /script.js", "GET /data.json");
    let mut count = |name: &str| calls.remove(name).unwrap_or(0);
    assert_eq!(count("sendto"), REQUESTS + 1, "head and content leave together");
    assert_eq!(count("shutdown"), REQUESTS + 1, "and the end with them");
    assert!(count("recvfrom") <= 2 * REQUESTS + 3, "once to find that nothing has come yet");
    assert!(count("accept4") <= 2 * REQUESTS + 3, "once to find that nobody else waits");
    assert!(count("epoll_wait") <= 2 * REQUESTS + 3);
    assert!(count("epoll_ctl") <= REQUESTS + 1);
    assert!(count("pread64") <= 1);
    let looks_closed = count("close").checked_sub(REQUESTS + 1).expect("each connection is closed");
    calls.insert("close".to_owned(), looks_closed);
    assert_eq!(without_looks(calls, began), BTreeMap::new(), "nothing else is asked of the system");
}

#[test]
fn of_a_big_file_the_server_reads_the_first_piece_alone() {
    const PIECE: usize = limits::HTTP_FILE_CHUNK;
    let site = Site::new();
    site.write("big.txt", &vec![b'x'; 8 * PIECE]);
    let server = http_server(&site.root());
    let mut stream = connect(server.program.port());
    let mut get = |path: &str| ask(&mut stream, "localhost", path).body.len();
    get("/style.css");
    assert_eq!(get("/big.txt"), 8 * PIECE);
    get("/data.json");
    let calls = server.between("GET /style.css", "GET /data.json");
    let count = |name: &str| calls.get(name).copied().unwrap_or(0);
    // One is for the small file.
    assert!(count("pread64") <= 2, "{calls:?}");
    assert!(count("sendfile") >= 4, "the system sends the rest, a slice at a time: {calls:?}");
}

/// The bytes that each call of sendfile has sent, with the descriptor, between two waits for events each.
fn turns_of_sendfile(server: &Traced) -> Vec<Vec<(String, usize)>> {
    let mut turns = vec![Vec::new()];
    for line in server.lines() {
        if line.contains(" epoll_wait(") {
            turns.push(Vec::new());
        } else if let Some((_, call)) = line.split_once(" sendfile(") {
            let descriptor = call.split(',').next().expect("the first argument").to_owned();
            let sent = call.rsplit("= ").next().and_then(|sent| sent.parse().ok()).unwrap_or(0);
            turns.last_mut().expect("there is one").push((descriptor, sent));
        }
    }
    turns
}

#[test]
fn of_those_who_download_much_one_has_a_turn_between_two_looks_for_events() {
    const DOWNLOADS: usize = 16;
    let site = Site::new();
    site.write("big.txt", &vec![b'x'; 4 << 20]);
    let server = http_server(&site.root());
    let all: Vec<_> = (0..DOWNLOADS).map(|_| connect(server.program.port())).collect();
    std::thread::scope(|scope| {
        for mut stream in &all {
            scope.spawn(move || {
                send(&mut stream.try_clone().expect("dup"), request("GET", "localhost", "/big.txt").as_bytes());
                let mut left = 4 << 20;
                while left > 0 {
                    left -= stream.read(&mut vec![0; 64 * 1024]).expect("it goes on").min(left);
                }
            });
        }
    });
    let mut bulk = std::collections::BTreeSet::new();
    for turn in turns_of_sendfile(&server) {
        let had_much: Vec<_> = turn.iter().filter(|(descriptor, _)| bulk.contains(descriptor)).collect();
        assert!(had_much.len() <= limits::BULK_TURNS, "{turn:?}");
        assert!(turn.iter().all(|(_, sent)| *sent <= limits::HTTP_SENDFILE));
        let are_bulk = turn.iter().filter(|(_, sent)| *sent >= limits::BULK_READ);
        bulk.extend(are_bulk.map(|(descriptor, _)| descriptor.clone()));
    }
    assert!(bulk.len() > 1, "they move much");
}

#[test]
fn a_kept_alive_request_for_a_small_file_allocates_nothing() {
    let site = settled_site();
    let mut context = Context::new(ContextInfo::default()).expect("a context");
    let info = VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        mounts: vec![Mount::files("/", site.root())],
        ..Default::default()
    };
    let port = util::server::make_vhost(&mut context, info);
    let mut stream = connect(port);
    stream.set_nonblocking(true).expect("fcntl");
    let request = request("GET", "localhost", "/style.css");
    let mut buf = [0; 4096];
    let mut turns = |times: usize| {
        for _ in 0..times {
            stream.write_all(request.as_bytes()).expect("room for a request");
            let end = SystemTime::now() + DEADLINE;
            loop {
                context.service(Some(Duration::from_millis(10))).expect("a turn");
                match stream.read(&mut buf) {
                    Ok(n) => break assert!(buf[..n].starts_with(b"HTTP/1.1 200") && buf[..n].ends_with(b"body {}\n")),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => assert!(SystemTime::now() < end),
                    Err(error) => panic!("{error}"),
                }
            }
        }
    };
    turns(20);
    let counted = allocation_counter::measure(|| turns(REQUESTS));
    assert_eq!(counted.count_total, 0, "{counted:?}");
}
