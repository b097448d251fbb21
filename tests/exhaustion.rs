//! The system has no descriptor, no memory or no room on the disk, or there are more connections than there may be: nobody who is there is
//! harmed, nothing spins, the log hears of it once a second at most, and what was refused works again by itself.
//!
//! Calls fail by strace, in real programs. It comes to a program that serves already, so the first call that it sees is the first to fail.

mod util;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rlws::limits;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Socket, Type};
use util::certs::ca;
use util::lwsws::{ECHO, Folder, workers};
use util::tls::TlsStream;
use util::tls_onward::TlsOnward;
use util::traced::{LOCAL, Traced};
use util::*;

const ECHOES: &str = "minimal-raw-fallback-http-server";
const RELAYS: &str = "minimal-raw-proxy-fallback";

/// Everything that is not http comes back.
#[track_caller]
fn echoes(stream: &mut TcpStream, text: &[u8]) {
    send(stream, &[b"\0", text].concat());
    assert_same_bytes(&read_exactly(stream, text.len() + 1)[1..], text);
}

/// Whether a new connection has its bytes back, and again: the first ones are read before the poll is told of it.
fn is_served(port: u16) -> bool {
    let mut stream = connect(port);
    let mut back = [0; 2];
    (0..2).all(|_| stream.write_all(b"\0x").is_ok() && stream.read_exact(&mut back).is_ok())
}

/// Some calls that fail: the first ones behind `begin`.
struct Faults<'a> {
    example: &'a str,
    args: &'a [String],
    call: &'a str,
    count: usize,
}

impl Faults<'_> {
    /// Plays a scene with each of the errors, all of them at a time. What `begin` returns lives through it.
    fn each<L>(&self, errors: &[&str], begin: impl Fn(u16) -> L + Sync, scene: impl Fn(&Traced, L, &str) + Sync) {
        let args: Vec<&str> = LOCAL.into_iter().chain(self.args.iter().map(String::as_str)).collect();
        thread::scope(|scope| {
            for error in errors {
                let (begin, scene, args) = (&begin, &scene, &args);
                let fault = format!("{}:error={error}:when=1..{}", self.call, self.count);
                scope.spawn(move || {
                    let program = Program::start(self.example, args);
                    let live = begin(program.port());
                    let traced = Traced::attach(program, &fault);
                    scene(&traced, live, error);
                    traced.wait_for("(INJECTED)");
                    let waits = traced.count("epoll_wait");
                    assert!(waits < 1000, "{error}: {waits} turns of the loop");
                });
            }
        });
    }
}

fn live(port: u16) -> TcpStream {
    let mut stream = connect(port);
    echoes(&mut stream, b"hello");
    echoes(&mut stream, b"before");
    stream
}

/// Warnings so far, and as many as there may be: one a second of each of the two kinds.
#[track_caller]
fn warns_seldom(log: &str, since: Instant) {
    // One is of the configuration, where the tests run as root.
    let of_peers = |line: &&str| line.contains("] W: ") && !line.contains("run as root");
    let lines = log.lines().filter(of_peers).count();
    let most = 2 * since.elapsed().as_secs() as usize + 2;
    assert!((1..=most).contains(&lines), "{lines} warnings, {most} at most:\n{log}");
}

// -- calls that fail

#[test]
fn who_cannot_be_accepted_waits() {
    let faults = Faults { example: ECHOES, args: &[], call: "accept4", count: 5 };
    faults.each(&["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"], live, |traced, mut live, error| {
        let begun = Instant::now();
        let mut late = connect(traced.program.port());
        send(&mut late, b"\0late");
        traced.program.wait_for_log("cannot accept");
        echoes(&mut live, b"during");
        assert_eq!(read_exactly(&mut late, 5), b"\0late", "{error}");
        traced.program.wait_for_log("nobody has to wait any more");
        echoes(&mut live, b"after");
        warns_seldom(&traced.program.log(), begun);
    });
}

/// Until connections can be made again others are hung up on, one by one.
#[track_caller]
fn others_fail_for_a_while(traced: &Traced, mut live: TcpStream, error: &str, most: usize) {
    let begun = Instant::now();
    let mut failed = 0;
    while !is_served(traced.program.port()) {
        failed += 1;
        echoes(&mut live, b"during");
    }
    assert!((1..=most).contains(&failed), "{error}: {failed}");
    echoes(&mut live, b"after");
    warns_seldom(&traced.program.log(), begun);
}

#[test]
fn who_cannot_be_relayed_is_hung_up_on() {
    let onward = Onward::echo();
    let args = ["-r".to_owned(), onward.target()];
    for (call, errors) in [
        ("socket", ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM"]),
        ("connect", ["EADDRNOTAVAIL", "EAGAIN", "ENOBUFS", "ENOMEM"]),
    ] {
        let faults = Faults { example: RELAYS, args: &args, call, count: 4 };
        faults.each(&errors, live, |traced, live, error| others_fail_for_a_while(traced, live, error, 4));
    }
}

#[test]
fn who_cannot_be_polled_is_hung_up_on() {
    let faults = Faults { example: ECHOES, args: &[], call: "epoll_ctl", count: 4 };
    faults.each(&["ENOMEM", "ENOSPC"], live, |traced, live, error| others_fail_for_a_while(traced, live, error, 4));
}

#[test]
fn a_session_waits_for_memory_and_loses_no_byte() {
    for call in ["recvfrom", "sendto"] {
        let faults = Faults { example: ECHOES, args: &[], call, count: 3 };
        faults.each(&["ENOBUFS", "ENOMEM"], live, |traced, mut live, error| {
            for round in 0..20 {
                echoes(&mut live, &random_bytes(round, 10_000));
            }
            assert!(is_served(traced.program.port()), "{error}");
        });
    }
}

/// The end that fails is that of the other half, in whose turn it is written to.
#[test]
fn a_relay_waits_for_memory_and_loses_no_byte() {
    let onward = Onward::echo();
    let args = ["-r".to_owned(), onward.target()];
    let faults = Faults { example: RELAYS, args: &args, call: "sendto", count: 3 };
    faults.each(&["ENOBUFS", "ENOMEM"], live, |traced, mut live, error| {
        for round in 0..20 {
            echoes(&mut live, &random_bytes(round, 10_000));
        }
        assert!(is_served(traced.program.port()), "{error}");
    });
}

/// The onward half cannot say the end of its handshake when the two meet; what the client has said by then waits for it.
#[test]
fn a_relay_that_begins_without_memory_passes_on_what_it_holds() {
    let onward = TlsOnward::echo(certs::localhost());
    let relay = format!(
        r#""ws-protocols": [{{ "raw-proxy": {{ "status": "ok", "onward": "{}", "onward-tls": "1", "onward-tls-name": "localhost",
            "onward-tls-ca": "DIR/ca" }} }}], "listen-accept-role": "raw-proxy", "listen-accept-protocol": "raw-proxy",
            "fallback-listen-accept": "1""#,
        onward.onward.target()
    );
    let folder = Folder::new("", &relay);
    fs::write(folder.path("ca"), ca().text()).expect("write");
    let lwsws = folder.command();
    let mut command = Command::new(require("strace"));
    // The first with two records is the one that ends the handshake.
    command.args(["-D", "-f", "-qq", "--inject=writev:error=ENOBUFS:when=1", "-o"]).arg(folder.path("calls"));
    command.arg(lwsws.get_program()).args(lwsws.get_args());
    let program = Program::spawn(&mut command);
    program.wait_for_log(" workers serve ");
    program.wait_for_log("listening on ");
    let mut client = connect(program.port());
    echoes(&mut client, b"hello");
    let calls = fs::read_to_string(folder.path("calls")).expect("strace wrote of it");
    assert!(calls.contains("(INJECTED)"), "{calls}");
    echoes(&mut client, b"more");
    drop(client);
    program.stop();
}

#[test]
fn tls_waits_for_memory_and_loses_no_byte() {
    fn page(stream: &mut TlsStream, path: &str) {
        send(stream, http::request("GET", "localhost", path).as_bytes());
        assert_eq!(http::read_response(stream).status, 200);
    }
    let folder = tempfile::tempdir().expect("a folder");
    certs::localhost().write(folder.path(), "its");
    let file = |name: &str| folder.path().join(name).display().to_string();
    let args = ["-s".to_owned(), "--cert".to_owned(), file("its.cert"), "--key".to_owned(), file("its.key")];
    for call in ["recvfrom", "sendto"] {
        let faults = Faults { example: ECHOES, args: &args, call, count: 3 };
        let begin = |port| {
            let mut stream = tls::trusting().connect(port, "localhost");
            page(&mut stream, "/");
            stream
        };
        faults.each(&["ENOBUFS", "ENOMEM"], begin, |_, mut stream, _| {
            for _ in 0..10 {
                page(&mut stream, "/");
            }
        });
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_a_500_and_then_served() {
    let begin = |port| {
        let mut stream = connect(port);
        assert_eq!(http::ask(&mut stream, "localhost", "/").status, 200);
        stream
    };
    let faults = Faults { example: ECHOES, args: &[], call: "openat2", count: 3 };
    faults.each(&["EMFILE", "ENFILE", "ENOMEM"], begin, |traced, mut stream, error| {
        let mut statuses = Vec::new();
        eventually("it cannot be opened, and then can", || {
            statuses.push(http::ask(&mut stream, "localhost", "/").status);
            statuses.contains(&500) && statuses.ends_with(&[200])
        });
        statuses.retain(|status| *status != 200);
        assert!(statuses.len() <= 3 && statuses.iter().all(|status| *status == 500), "{error}: {statuses:?}");
        assert!(is_served(traced.program.port()));
    });
}

// -- a full disk

#[test]
fn an_access_log_on_a_full_disk_loses_lines_and_goes_on_when_there_is_room() {
    let folder = Folder::new("", &format!(r#"{ECHO}, "access-log": "DIR/small/log""#));
    let small = folder.path("small");
    fs::create_dir(&small).expect("mkdir");
    // A disk of its own, of four pages.
    let mut command = Command::new(require("unshare"));
    let setup = format!(r#"mount -t tmpfs -o size=16k none '{}' && exec "$0" "$@""#, small.display());
    let lwsws = folder.command();
    command.args(["-m", "sh", "-c", &setup]).arg(lwsws.get_program()).args(lwsws.get_args());
    let program = Program::spawn(&mut command);
    program.wait_for_log(" workers serve ");
    let begun = Instant::now();
    let mut live = connect(program.port());
    let mut client = connect(program.port());
    let mut ask = || assert_eq!(http::ask(&mut client, "localhost", "/").text(), "the page");
    eventually("the disk is full", || {
        (0..20).for_each(|_| ask());
        program.log().contains("No space left on device")
    });
    echoes(&mut live, b"during");
    let log = PathBuf::from(format!("/proc/{}/root{}", program.pid(), small.join("log").display()));
    File::options().write(true).open(&log).expect("the log").set_len(0).expect("truncate");
    eventually("there is room again", || {
        ask();
        fs::read_to_string(&log).is_ok_and(|text| text.ends_with('\n') && text.contains("GET / HTTP/1.1"))
    });
    echoes(&mut live, b"after");
    warns_seldom(&program.log(), begun);
    drop((live, client));
    program.stop();
}

#[test]
fn a_log_on_a_full_disk_stops_nothing() {
    let port = free_port();
    let folder = Folder::on_port(port, "", ECHO);
    let lwsws = folder.command();
    let mut command = Command::new("sh");
    command.args(["-c", r#"exec "$0" "$@" -d 2047 2> /dev/full"#]).arg(lwsws.get_program()).args(lwsws.get_args());
    let program = Program::spawn(&mut command);
    eventually("it listens", || TcpStream::connect(("127.0.0.1", port)).is_ok());
    let mut live = connect(port);
    for round in 0..50 {
        echoes(&mut live, &random_bytes(round, 1000));
        assert_eq!(http::get(port, "localhost", "/").text(), "the page");
    }
    drop(live);
    program.stop();
}

// -- too many

/// Clock ticks of the processor that a process has used.
fn ticks(pid: i32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("/proc/PID/stat");
    let fields = stat.rsplit_once(')').expect("the name").1;
    fields.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("ticks")).sum()
}

/// For a second somebody is served now and then, and the process has next to nothing to do.
#[track_caller]
fn rests_and_serves(pid: i32, live: &mut TcpStream) {
    let (before, begun) = (ticks(pid), Instant::now());
    while begun.elapsed() < Duration::from_secs(1) {
        echoes(live, b"still there?");
        thread::sleep(Duration::from_millis(50));
    }
    // A tick is 10 ms.
    let (used, all) = (ticks(pid) - before, begun.elapsed().as_millis() as u64 / 10);
    assert!(used < all / 5, "{used} ticks of {all}");
}

/// Lets this process have as many descriptors as it may, and says how many.
fn descriptors() -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit");
    limit.maximum.map_or(usize::MAX, |descriptors| descriptors as usize)
}

/// Begins to connect, from one of ten addresses.
fn flood(number: usize, port: u16) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_nonblocking(true).expect("FIONBIO");
    let from = Ipv4Addr::new(127, 0, 0, 2 + (number % 10) as u8);
    socket.bind(&SocketAddrV4::new(from, 0).into()).expect("all of 127 is ours");
    match socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()) {
        Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => panic!("{error}"),
        _ => socket,
    }
}

#[test]
fn ten_thousand_connections_where_a_thousand_may_be() {
    let count = descriptors().saturating_sub(500).min(10_000);
    let folder = Folder::new(r#""rlimit-nofile": "1100", "timeout-secs": "60""#, ECHO);
    let program = folder.start();
    let (port, worker) = (program.port(), workers(&program)[0]);
    let begun = Instant::now();
    let mut live = connect(port);
    echoes(&mut live, b"before");
    let crowd: Vec<Socket> = (0..count).map(|number| flood(number, port)).collect();
    program.wait_for_log("as many as may be");
    rests_and_serves(worker, &mut live);
    assert!(count_fds(Path::new(&format!("/proc/{worker}"))) <= 1100 - limits::DESCRIPTOR_RESERVE);
    drop(crowd);
    assert!(is_served(port));
    program.wait_for_log("nobody has to wait any more");
    echoes(&mut live, b"after");
    warns_seldom(&program.log(), begun);
    assert!(!program.log().contains("Too many open files"), "{}", program.log());
    drop(live);
    program.stop();
}

/// Relays what is not http, with so many descriptors.
fn relaying(onward: &Onward, descriptors: usize) -> Folder {
    let relay = format!(
        r#""ws-protocols": [{{ "raw-proxy": {{ "status": "ok", "onward": "{}" }} }}], "listen-accept-role": "raw-proxy",
            "listen-accept-protocol": "raw-proxy", "fallback-listen-accept": "1""#,
        onward.target()
    );
    Folder::new(&format!(r#""rlimit-nofile": "{descriptors}""#), &relay)
}

/// Each stream that its reader holds up keeps a pipe open, of two descriptors.
#[test]
fn the_pipes_of_a_relay_leave_the_reserve_alone() {
    const DESCRIPTORS: usize = 300;
    let onward = Onward::echo();
    let folder = relaying(&onward, DESCRIPTORS);
    let program = folder.start();
    let (port, proc) = (program.port(), format!("/proc/{}", workers(&program)[0]));
    let mut held_up: Vec<TcpStream> = (0..limits::PIPES).map(|_| connect(port)).collect();
    let piece = [b'x'; 64 * 1024];
    for stream in &mut held_up {
        echoes(stream, b"begun");
        stream.set_nonblocking(true).expect("O_NONBLOCK");
    }
    let mut sent = 0;
    settled(|| {
        for stream in &mut held_up {
            while let Ok(more) = stream.write(&piece) {
                sent += more;
            }
        }
        sent
    });
    let pipes = || fs::read_dir(format!("{proc}/fd")).expect("fds").flatten().filter(is_pipe).count();
    assert!(pipes() > 0, "the system moves nothing by itself");
    let crowd: Vec<TcpStream> =
        (0..DESCRIPTORS).map(|_| connect(port)).inspect(|mut one| _ = one.write_all(b"\0x")).collect();
    program.wait_for_log("as many as may be");
    let all = settled(|| count_fds(Path::new(&proc)));
    assert!(all <= DESCRIPTORS - DESCRIPTORS / 9, "the reserve is nobody's: {all}, {} of pipes", pipes());
    assert!(!program.log().contains("Too many open files"), "{}", program.log());
    drop((held_up, crowd));
    eventually("others are relayed again", || is_served(port));
    program.stop();
}

fn is_pipe(descriptor: &fs::DirEntry) -> bool {
    fs::read_link(descriptor.path()).is_ok_and(|to| to.to_string_lossy().starts_with("pipe:"))
}

#[test]
fn a_relay_with_too_few_descriptors_keeps_whom_it_has() {
    let onward = Onward::echo();
    let folder = relaying(&onward, 64);
    let program = folder.start();
    let port = program.port();
    let mut live = connect(port);
    echoes(&mut live, b"before");
    let begun = Instant::now();
    let crowd: Vec<TcpStream> = (0..200).map(|_| connect(port)).inspect(|mut one| _ = one.write_all(b"\0x")).collect();
    program.wait_for_log("as many as may be");
    let worker = workers(&program)[0];
    rests_and_serves(worker, &mut live);
    warns_seldom(&program.log(), begun);
    assert!(count_fds(Path::new(&format!("/proc/{worker}"))) <= 60, "the reserve is nobody's");
    drop(crowd);
    eventually("others are relayed again", || is_served(port));
    echoes(&mut live, b"after");
    drop(live);
    program.stop();
}

/// Asks for a large file, of which it takes little.
fn asks_and_reads_nothing(port: u16) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a socket");
    socket.set_recv_buffer_size(4096).expect("SO_RCVBUF");
    socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("connect");
    let mut stream = TcpStream::from(socket);
    send(&mut stream, http::request("GET", "localhost", "/large.png").as_bytes());
    stream
}

#[test]
fn files_that_are_not_read_leave_the_reserve_alone() {
    const DESCRIPTORS: usize = 128;
    let folder = Folder::new(&format!(r#""rlimit-nofile": "{DESCRIPTORS}""#), ECHO);
    fs::write(folder.path("site/large.png"), random_bytes(1, 16 * 1024 * 1024)).expect("write");
    let program = folder.start();
    let (port, proc) = (program.port(), format!("/proc/{}", workers(&program)[0]));
    let mut live = connect(port);
    echoes(&mut live, b"before");
    let crowd: Vec<TcpStream> = (0..DESCRIPTORS).map(|_| asks_and_reads_nothing(port)).collect();
    program.wait_for_log("as many as may be");
    let all = settled(|| count_fds(Path::new(&proc)));
    assert!(all <= DESCRIPTORS - DESCRIPTORS / 32, "half of the reserve is nobody's: {all}");
    assert!(!program.log().contains("Too many open files"), "{}", program.log());
    echoes(&mut live, b"while they are there");
    drop(crowd);
    eventually("others are served again", || is_served(port));
    program.stop();
}

#[test]
fn a_thousand_that_read_nothing_cost_little() {
    let count = (descriptors() / 2).saturating_sub(200).min(1000);
    let folder = Folder::new("", ECHO);
    fs::write(folder.path("site/large.png"), random_bytes(1, 4 * 1024 * 1024)).expect("write");
    let program = folder.start();
    let (port, worker) = (program.port(), workers(&program)[0]);
    let proc = PathBuf::from(format!("/proc/{worker}"));
    let mut live = connect(port);
    echoes(&mut live, b"before");
    let (fds, memory) = (count_fds(&proc), resident(&proc));
    let crowd: Vec<TcpStream> = (0..count).map(|_| asks_and_reads_nothing(port)).collect();
    eventually("all have begun to be answered", || {
        let mut byte = [0];
        crowd.iter().all(|stream| stream.peek(&mut byte).is_ok_and(|peeked| peeked == 1))
    });
    rests_and_serves(worker, &mut live);
    let each = resident(&proc).saturating_sub(memory) / count;
    assert!(each < 16 * 1024, "{each} bytes each");
    drop(crowd);
    eventually("they are gone", || count_fds(&proc) <= fds);
    echoes(&mut live, b"after");
    drop(live);
    program.stop();
}

/// Bytes of a process that are in memory and its own.
fn resident(proc: &Path) -> usize {
    let text = fs::read_to_string(proc.join("status")).expect("/proc/PID/status");
    let line = text.lines().find(|line| line.starts_with("RssAnon")).expect("RssAnon");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("KiB") * 1024
}
