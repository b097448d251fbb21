//! What `lwsws` promises of its processes, under load: nothing refused, reset, lost or torn, whatever it is told meanwhile.

mod util;

use std::collections::BTreeSet;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use util::lwsws::{ECHO, Folder, TLS, workers};
use util::*;

/// `wrk`, which asks for a page over and over, until it is told to end.
struct Wrk {
    child: Child,
    url: String,
}

impl Wrk {
    #[track_caller]
    fn start(url: &str) -> Wrk {
        let mut command = Command::new(require("wrk"));
        // It ends long before that; and a busy machine is nobody's fault.
        command.args(["-t1", "-c4", "-d300", "--timeout", "60"]).arg(url);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawn");
        Wrk { child, url: url.to_owned() }
    }

    /// How many requests were answered; any that was not fails the test.
    #[track_caller]
    fn finish(mut self) -> usize {
        let said = self.interrupt();
        assert!(!said.contains("Socket errors") && !said.contains("Non-2xx"), "{}: {said}", self.url);
        let answered = said.lines().find_map(|line| line.trim().split_once(" requests in ")?.0.parse().ok());
        answered.unwrap_or_else(|| panic!("{}: {said}", self.url))
    }

    /// Its report.
    #[track_caller]
    fn interrupt(&mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("kill");
        let mut said = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut said).expect("text");
        said
    }
}

impl Drop for Wrk {
    fn drop(&mut self) {
        let _it_may_have_ended = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends pieces through a command that echoes, and compares what comes, until told to end.
fn echoes_until(mut command: Command, done: &AtomicBool, seed: u64) -> usize {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawn");
    let (mut to, mut from) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
    let mut rounds = 0;
    while !done.load(Ordering::Relaxed) {
        let piece = random_bytes(seed + rounds as u64, 20_000);
        let echo = to.write_all(&piece).and_then(|()| {
            let mut echo = vec![0; piece.len()];
            from.read_exact(&mut echo).map(|()| echo)
        });
        match echo {
            Ok(echo) => assert_same_bytes(&echo, &piece),
            Err(error) => {
                let _it_may_have_ended = child.kill();
                let said = child.wait_with_output().expect("wait").stderr;
                panic!("after {rounds} rounds: {error}: {}", String::from_utf8_lossy(&said));
            }
        }
        rounds += 1;
    }
    drop(to);
    assert!(child.wait().expect("wait").success());
    rounds
}

#[test]
fn twenty_reloads_break_no_request_and_no_ssh_session() {
    let sshd = Sshd::start();
    let relay = format!(
        r#"{TLS}, "allow-http-on-https": "1",
        "ws-protocols": [{{ "raw-proxy": {{ "status": "ok", "onward": "ipv4:127.0.0.1:{}" }} }}],
        "listen-accept-role": "raw-proxy", "listen-accept-protocol": "raw-proxy", "fallback-listen-accept": "1""#,
        sshd.port
    );
    const GLOBAL: &str = r#""count-threads": "2""#;
    let folder = Folder::on_port(free_port(), GLOBAL, &relay);
    let program = folder.start();
    let port = program.port();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let sessions: Vec<_> = (0..10)
            .map(|number| {
                let mut ssh = sshd.ssh(port);
                ssh.arg("cat");
                let done = &done;
                scope.spawn(move || echoes_until(ssh, done, number * 1_000_000))
            })
            .collect();
        let pages =
            [Wrk::start(&format!("http://127.0.0.1:{port}/")), Wrk::start(&format!("https://127.0.0.1:{port}/"))];
        for round in 1..=20 {
            folder.configure(GLOBAL, if round % 7 == 0 { r#""prot": 7"# } else { &relay });
            folder.reload(&program);
        }
        // Several at once are one or two.
        (0..5).for_each(|_| program.signal(Signal::HUP));
        folder.reload(&program);
        let answered = pages.map(Wrk::finish);
        done.store(true, Ordering::Relaxed);
        let echoed: Vec<usize> = sessions.into_iter().map(|session| session.join().expect("it lives on")).collect();
        assert!(
            answered.iter().all(|count| *count > 100) && echoed.iter().all(|count| *count > 0),
            "{answered:?}, {echoed:?}"
        );
    });
    assert_eq!(program.log().matches("is not taken").count(), 2);
    eventually("only the newest workers are left", || workers(&program).len() == 2);
    program.stop();
}

#[test]
fn fewer_workers_and_more_again_reset_no_connection() {
    let folder = Folder::on_port(free_port(), r#""count-threads": "4""#, ECHO);
    let program = folder.start();
    let port = program.port();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let storm: Vec<_> = (0..6)
            .map(|_| {
                scope.spawn(|| {
                    let mut served = 0;
                    while !done.load(Ordering::Relaxed) {
                        let mut client = connect(port);
                        assert_eq!(http::ask(&mut client, "localhost", "/").text(), "the page");
                        served += 1;
                    }
                    served
                })
            })
            .collect();
        for count in [2, 1, 4, 1, 3, 2, 1, 4, 2, 1] {
            folder.configure(&format!(r#""count-threads": "{count}""#), ECHO);
            folder.reload(&program);
            eventually("the former workers are gone", || workers(&program).len() == count);
        }
        done.store(true, Ordering::Relaxed);
        let served: usize = storm.into_iter().map(|client| client.join().expect("no connection failed")).sum();
        assert!(served > 100, "{served}");
    });
    program.stop();
}

#[test]
fn who_waits_at_the_socket_of_a_worker_that_goes_is_served_by_those_who_stay() {
    let folder = Folder::on_port(free_port(), r#""count-threads": "4""#, ECHO);
    let program = folder.start();
    let signal_all = |pids: &[i32], signal| {
        pids.iter().for_each(|pid| kill_process(Pid::from_raw(*pid).expect("a process"), signal).expect("kill"));
    };
    for count in [1, 3, 2] {
        let former = workers(&program);
        // Nobody accepts anything now, so that all sockets have somebody waiting.
        signal_all(&former, Signal::STOP);
        let mut clients: Vec<TcpStream> = (0..40).map(|_| connect(program.port())).collect();
        for client in &mut clients {
            send(client, http::request("GET", "localhost", "/").as_bytes());
        }
        folder.configure(&format!(r#""count-threads": "{count}""#), ECHO);
        folder.reload(&program);
        for client in &mut clients {
            assert_eq!(http::read_response(client).text(), "the page");
        }
        signal_all(&former, Signal::CONT);
        eventually("the former workers are gone", || workers(&program).len() == count);
    }
    program.stop();
}

#[test]
fn rotation_under_load_loses_and_tears_no_line() {
    const LOG: &str = r#""access-log": "DIR/access""#;
    let folder = Folder::on_port(free_port(), r#""username": "nobody", "count-threads": "2""#, LOG);
    let program = folder.start();
    let port = program.port();
    let (done, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    let asked: BTreeSet<String> = thread::scope(|scope| {
        let clients: Vec<_> = (0..4)
            .map(|client| {
                let (done, answered) = (&done, &answered);
                scope.spawn(move || {
                    let (mut asked, mut kept) = (Vec::new(), None);
                    while !done.load(Ordering::Relaxed) {
                        let path = format!("/?{client}-{}", asked.len());
                        // Not before there is something to ask: a connection that says nothing has a line of its own.
                        let mut stream = kept.take().unwrap_or_else(|| connect(port));
                        let answer = http::ask(&mut stream, "localhost", &path);
                        assert_eq!(answer.status, 200);
                        if answer.header("connection") != Some("close") && asked.len() % 100 != 99 {
                            kept = Some(stream);
                        }
                        asked.push(format!("GET {path} HTTP/1.1"));
                        answered.fetch_add(1, Ordering::Relaxed);
                    }
                    asked
                })
            })
            .collect();
        for round in 0..10 {
            let before = answered.load(Ordering::Relaxed);
            eventually("there is something to log", || answered.load(Ordering::Relaxed) > before + 50);
            fs::rename(folder.path("access"), folder.path(&format!("access.{round}"))).expect("rename");
            program.signal(Signal::USR1);
            eventually("there is a new one", || folder.path("access").exists());
            if round % 4 == 3 {
                folder.reload(&program);
            }
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().flat_map(|client| client.join().expect("no request failed")).collect()
    });
    program.stop();
    let mut logged = Vec::new();
    for entry in fs::read_dir(folder.path("")).expect("the folder") {
        let path = entry.expect("an entry").path();
        if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("access")) {
            let text = fs::read_to_string(&path).expect("a log");
            assert!(text.is_empty() || text.ends_with('\n'), "{}: its last line is torn", path.display());
            logged.extend(text.lines().map(|line| access::Request::parse(line).line));
        }
    }
    assert_eq!(logged.len(), asked.len(), "lines and requests");
    assert_eq!(logged.into_iter().collect::<BTreeSet<_>>(), asked);
}

#[test]
fn the_end_under_load_lets_requests_finish() {
    const BIG: usize = 20_000_000;
    let folder = Folder::on_port(free_port(), r#""count-threads": "2""#, ECHO);
    let page = random_bytes(1, BIG);
    fs::write(folder.path("site/big.txt"), &page).expect("write");
    let mut program = folder.start();
    let port = program.port();
    let (told, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        // In the middle of something long.
        let mut long: Vec<TcpStream> = (0..4).map(|_| connect(port)).collect();
        for stream in &mut long {
            send(stream, http::request("GET", "localhost", "/big.txt").as_bytes());
            assert_eq!(http::read_head(stream).status, 200);
        }
        // One short request after the other, some on connections of their own.
        let short: Vec<_> = (0..4)
            .map(|number| {
                let (told, answered) = (&told, &answered);
                scope.spawn(move || short_requests(port, told, answered, number % 2 == 0))
            })
            .collect();
        eventually("requests are answered", || answered.load(Ordering::Relaxed) > 200);
        told.store(true, Ordering::SeqCst);
        program.signal(Signal::TERM);
        // Who comes now is refused, and need not wait for those who are still served.
        short.into_iter().for_each(|client| client.join().expect("no request failed"));
        for mut stream in long {
            assert_same_bytes(&read_exactly(&mut stream, BIG), &page);
        }
    });
    assert!(program.wait().success(), "{}", program.log());
}

/// Asks until the server refuses connections. What was asked before it was told to end is answered, and so is what is asked on a
/// connection that it keeps; one that is new after that may come too late.
fn short_requests(port: u16, told: &AtomicBool, answered: &AtomicUsize, keeps: bool) {
    let mut kept = None;
    loop {
        let may_be_late = told.load(Ordering::SeqCst) && kept.is_none();
        let mut stream = match kept.take().map_or_else(|| TcpStream::connect(("127.0.0.1", port)), Ok) {
            Ok(stream) => with_deadline(stream),
            Err(error) if told.load(Ordering::SeqCst) && error.kind() == ErrorKind::ConnectionRefused => return,
            Err(error) => panic!("{error}"),
        };
        if may_be_late {
            let request = "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let _answered_or_reset = stream.write_all(request.as_bytes()).map(|()| read_until_closed(&mut stream));
            continue;
        }
        let answer = http::ask(&mut stream, "localhost", "/");
        assert_eq!((answer.status, answer.text()), (200, "the page"));
        answered.fetch_add(1, Ordering::Relaxed);
        if keeps && answer.header("connection") != Some("close") {
            kept = Some(stream);
        }
    }
}

#[test]
fn a_worker_that_is_killed_under_load_is_replaced_and_the_log_says_why() {
    let folder = Folder::on_port(free_port(), r#""count-threads": "2""#, ECHO);
    let program = folder.start();
    let port = program.port();
    let mut wrk = Wrk::start(&format!("http://127.0.0.1:{port}/"));
    let mut victim = workers(&program)[0];
    for round in 1..=2 {
        let others = workers(&program);
        kill_process(Pid::from_raw(victim).expect("a process"), Signal::KILL).expect("kill");
        eventually("the log says so", || program.log().matches("died: killed by SIGKILL (9)").count() == round);
        eventually("there is another one in its place", || {
            let new = workers(&program).into_iter().find(|pid| !others.contains(pid));
            victim = new.unwrap_or(victim);
            new.is_some()
        });
    }
    // The second one has to wait.
    let log = program.log();
    let waits: Vec<&str> =
        log.lines().filter_map(|line| Some(line.split_once("another one in its place ")?.1)).collect();
    assert!(waits[0] == "at once" && waits[1].starts_with("in 1"), "{waits:?}");
    for _ in 0..20 {
        assert_eq!(http::get(port, "localhost", "/").text(), "the page");
    }
    // Who was served by the one that was killed is cut off; nobody is refused, for its socket outlives it.
    let said = wrk.interrupt();
    let errors = said.lines().find(|line| line.contains("Socket errors"));
    assert!(errors.is_none_or(|line| line.contains("connect 0,") && line.contains("timeout 0")), "{said}");
    assert!(!said.contains("Non-2xx"), "{said}");
    program.stop();
}
