//! Clients that send or read a byte a second, by the hundred, beside `wrk` and an ssh session on the same port: nobody is harmed.
//!
//! For the figures of five thousand: `cargo build --release --example minimal-raw-proxy-fallback`, then
//! `SLOW_CLIENTS=5000 SLOW_SECONDS=15 cargo test --release --test slow_clients -- --nocapture`. That takes a minute, and 12,000 descriptors
//! (`ulimit -n`).

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use util::*;

/// How much of it there is.
#[derive(Clone, Copy)]
struct Load {
    clients: usize,
    /// Of each measurement.
    seconds: u64,
}

impl Load {
    fn told() -> Load {
        let told = |name: &str, otherwise| match std::env::var(name) {
            Ok(value) => value.parse().unwrap_or_else(|_| panic!("{name}={value} is no number")),
            Err(_) => otherwise,
        };
        Load { clients: told("SLOW_CLIENTS", 400) as usize, seconds: told("SLOW_SECONDS", 2) }
    }
}

const LARGE: usize = 4 * 1024 * 1024;

/// What a client is slow with.
#[derive(Clone, Copy)]
enum Kind {
    Head,
    Body,
    Reading,
}

/// One that is there all the time: whoever hangs up on it sees it again.
struct Slow {
    kind: Kind,
    stream: TcpStream,
    at: usize,
}

impl Slow {
    fn begin(kind: Kind, port: u16) -> Slow {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("socket");
        socket.set_recv_buffer_size(4096).expect("SO_RCVBUF");
        socket.connect(&SocketAddr::from(([127, 0, 0, 1], port)).into()).expect("connect");
        let mut stream = TcpStream::from(socket);
        let start: &[u8] = match kind {
            Kind::Head => b"",
            Kind::Body => b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n",
            Kind::Reading => b"GET /large.png HTTP/1.1\r\nHost: a\r\n\r\n",
        };
        stream.write_all(start).expect("it listens");
        stream.set_nonblocking(true).expect("own socket");
        Slow { kind, stream, at: 0 }
    }

    /// A byte. `false`: it was hung up on.
    fn step(&mut self) -> bool {
        const HEAD: &[u8] = b"GET / HTTP/1.1\r\nHost: a\r\nX: ";
        let byte = [HEAD.get(self.at).copied().unwrap_or(b'x')];
        self.at += 1;
        let done = match self.kind {
            Kind::Head | Kind::Body => self.stream.write(&byte).and_then(|_| match self.stream.read(&mut [0; 1024]) {
                Ok(0) => Err(ErrorKind::ConnectionReset.into()),
                other => other,
            }),
            Kind::Reading => self.stream.read(&mut [0]).map(|read| read.wrapping_sub(1)),
        };
        match done {
            Err(error) => error.kind() == ErrorKind::WouldBlock,
            Ok(read) => read != usize::MAX,
        }
    }
}

/// Keeps so many of them going, until told to end. `there` counts those that have been begun, `again` those that were hung up on.
fn be_slow(port: u16, count: usize, done: &AtomicBool, there: &AtomicUsize, again: &AtomicUsize) {
    let kind = |number: usize| [Kind::Head, Kind::Head, Kind::Body, Kind::Reading][number % 4];
    let begin = |number| {
        there.fetch_add(1, Ordering::Relaxed);
        Slow::begin(kind(number), port)
    };
    let mut clients = Vec::from_iter((0..count).map(begin));
    while !done.load(Ordering::Relaxed) {
        let begun = Instant::now();
        for (number, client) in clients.iter_mut().enumerate() {
            if !client.step() {
                again.fetch_add(1, Ordering::Relaxed);
                *client = Slow::begin(client.kind, port);
            }
            // Spread over the second.
            if number % 50 == 0 {
                let due = Duration::from_secs(1) * number as u32 / count as u32;
                thread::sleep(due.saturating_sub(begun.elapsed()));
            }
        }
        thread::sleep(Duration::from_secs(1).saturating_sub(begun.elapsed()));
    }
}

/// What `wrk` says while a session echoes.
fn measure(sshd: &Sshd, port: u16, pid: u32, seconds: u64) -> String {
    let mut ssh = sshd.ssh(port);
    let mut session = ssh.arg("cat").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("ssh");
    let (mut to, mut from) = (session.stdin.take().expect("piped"), session.stdout.take().expect("piped"));
    let mut echo = |seed| {
        let (piece, begun) = (random_bytes(seed, 1000), Instant::now());
        to.write_all(&piece).expect("the session lives");
        let mut back = vec![0; piece.len()];
        from.read_exact(&mut back).expect("the session lives");
        assert_same_bytes(&back, &piece);
        begun.elapsed()
    };
    echo(0);
    let ticks = cpu(pid);
    let mut wrk = Command::new(require("wrk"));
    wrk.args(["-t1", "-c8", "--latency", &format!("-d{seconds}s")]).arg(format!("http://127.0.0.1:{port}/"));
    let wrk = wrk.stdout(Stdio::piped()).spawn().expect("wrk");
    let (begun, mut times) = (Instant::now(), Vec::new());
    while begun.elapsed() < Duration::from_secs(seconds) {
        times.push(echo(times.len() as u64));
        thread::sleep(Duration::from_millis(5));
    }
    let ticks = cpu(pid) - ticks;
    drop(to);
    session.wait().expect("wait");
    let said = String::from_utf8(wrk.wait_with_output().expect("wait").stdout).expect("text");
    assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{said}");
    let line =
        |start: &str| said.lines().find_map(|line| line.trim().strip_prefix(start)).unwrap_or("?").trim().to_owned();
    times.sort_unstable();
    let at = |percent: usize| times[times.len() * percent / 100 - usize::from(percent == 100)];
    format!(
        "wrk {} requests/s, latency 50% {} 99% {}; ssh echo of 1000 bytes 50% {:?} 99% {:?} most {:?}; server {ticks} ticks, {}",
        line("Requests/sec:"),
        line("50%"),
        line("99%"),
        at(50),
        at(99),
        at(100),
        memory(pid)
    )
}

/// User and system time of a process, in hundredths of a second.
fn cpu(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let behind = stat.rsplit(") ").next().expect("fields");
    behind.split(' ').skip(11).take(2).map(|field| field.parse::<u64>().expect("a number")).sum()
}

fn memory(pid: u32) -> String {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    status
        .lines()
        .find(|line| line.starts_with("VmRSS"))
        .expect("VmRSS")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn slow_clients_harm_nobody_beside_them() {
    let Load { clients, seconds } = Load::told();
    let (sshd, site) = (Sshd::start(), Site::new());
    site.write("large.png", &vec![b'x'; LARGE]);
    let (origin, onward) = (site.root(), format!("ipv4:127.0.0.1:{}", sshd.port));
    let origin = origin.to_str().expect("a text");
    let server = Program::start(
        "minimal-raw-proxy-fallback",
        &["--port", "0", "--interface", "127.0.0.1", "--origin", origin, "-r", &onward],
    );
    let (port, pid) = (server.port(), server.pid());
    println!("without: {}", measure(&sshd, port, pid, seconds));
    let (done, there, again) = (AtomicBool::new(false), AtomicUsize::new(0), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| be_slow(port, clients, &done, &there, &again));
        eventually("all are there", || there.load(Ordering::Relaxed) >= clients);
        println!("with {clients}: {}", measure(&sshd, port, pid, seconds));
        println!("hung up on, and there again: {}; descriptors {}", again.load(Ordering::Relaxed), server.fds());
        println!("with {clients}, later: {}", measure(&sshd, port, pid, seconds));
        println!("hung up on, and there again: {}; descriptors {}", again.load(Ordering::Relaxed), server.fds());
        done.store(true, Ordering::Relaxed);
    });
    eventually("they are gone", || server.fds() < 100);
    println!("after: {}", measure(&sshd, port, pid, seconds));
    server.stop();
}
