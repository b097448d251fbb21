//! The examples of raw clients and of adopted descriptors, run as their READMEs say.

mod util;

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{ChildStdin, ChildStdout, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Instant;

use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, OutputModes, tcgetattr};
use util::*;

const ALL: [&str; 6] = [
    "minimal-raw-adopt-tcp",
    "minimal-raw-adopt-udp",
    "minimal-raw-client",
    "minimal-raw-file",
    "minimal-raw-netcat",
    "minimal-raw-serial",
];

#[test]
fn every_raw_example_tells_its_switches_and_refuses_others() {
    for name in ALL {
        let help = succeed(Command::new(program::example(name)).arg("--help"));
        let help = String::from_utf8(help).expect("a text");
        assert!(help.contains("-d LEVEL") && help.contains("--help"), "{name}: {help}");
        for wrong in [["--no-such-switch", ""], ["-d", "verbose"]] {
            let said = failure(name, &wrong[..]);
            assert!(wrong.iter().any(|word| !word.is_empty() && said.contains(word)), "{name} {wrong:?}: {said}");
        }
    }
}

#[test]
fn sigint_and_sigterm_end_every_raw_example_cleanly_in_the_middle_of_its_work() {
    let server = Onward::spring();
    let mut line = Pty::open();
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = fifo(folder.path());
    let (port, tty, fifo) = (server.port.to_string(), line.path.clone(), fifo.to_string_lossy().into_owned());
    let connecting = vec!["--server", "127.0.0.1", "--port", &port];
    for (name, args, at_work) in [
        ("minimal-raw-adopt-tcp", connecting.clone(), "RawWriteable"),
        ("minimal-raw-adopt-udp", vec!["--port", "0", "--interface", "127.0.0.1"], "RawAdopt"),
        ("minimal-raw-client", connecting.clone(), "connected"),
        ("minimal-raw-netcat", connecting, "connected"),
        ("minimal-raw-file", vec![&*fifo], "RawAdoptFile"),
        ("minimal-raw-serial", vec![&*tty], "RawWriteableFile"),
    ] {
        for signal in [Signal::INT, Signal::TERM] {
            let (mut program, _stdin, mut stdout) = talk(name, &args);
            let reader = thread::spawn(move || std::io::copy(&mut stdout, &mut std::io::sink()));
            program.wait_for_log(at_work);
            program.signal(signal);
            let status = program.wait();
            assert!(status.success(), "{name} on {signal:?}: {status}\n{}", program.log());
            reader.join().expect("no panic").expect("stdout is a pipe");
        }
    }
    line.hear(b"\r\n");
}

#[test]
fn what_cannot_be_connected_to_is_named_and_the_exit_is_not_clean() {
    let refusing = Refusing::new();
    let port = refusing.port.to_string();
    let to = ["--server", "127.0.0.1", "--port", &port];
    for (name, more) in [
        ("minimal-raw-adopt-tcp", &[][..]),
        ("minimal-raw-netcat", &[]),
        ("minimal-raw-client", &["--retries", "0"]),
        ("minimal-raw-client", &["--retries", "0", "-s"]),
    ] {
        let said = failure(name, &[&to[..], more].concat());
        assert!(said.contains("refused") && said.contains(&port), "{name} {more:?}: {said}");
        let said = failure(name, &[&["--server", "no-such-host.invalid"][..], more].concat());
        assert!(said.contains("no-such-host.invalid"), "{name} {more:?}: {said}");
    }
}

// -- netcat

#[test]
fn netcat_copies_megabytes_then_passes_the_end_of_stdin_on_and_still_gets_the_answer() {
    let (question, answer) = (random_bytes(1, 10_000_000), random_bytes(2, 10_000_000));
    let server = Onward::answers_after_eof(answer.clone());
    let (mut program, mut stdin, mut stdout) = to_server("minimal-raw-netcat", server.port, &[]);
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&mut stdin, &question);
            drop(stdin);
        });
        assert_same_bytes(&read_to_end(&mut stdout), &answer);
    });
    assert!(program.wait().success(), "{}", program.log());
    assert_same_bytes(&server.connection(0).bytes(), &question);
    assert!(server.connection(0).eof());
}

#[test]
fn netcat_prints_all_that_the_server_said_before_it_closed_and_leaves_when_stdin_ends_too() {
    let said = random_bytes(3, 10_000_000);
    let server = Onward::source(said.clone());
    let (mut program, stdin, mut stdout) = to_server("minimal-raw-netcat", server.port, &[]);
    assert_same_bytes(&read_exactly(&mut stdout, said.len()), &said);
    drop(stdin);
    assert_eq!(read_to_end(&mut stdout), b"");
    assert!(program.wait().success(), "{}", program.log());
}

#[test]
fn netcat_with_nothing_to_say_still_gets_the_answer() {
    let server = Onward::answers_after_eof(b"you said nothing".to_vec());
    let port = server.port.to_string();
    let said = succeed(Command::new(program::example("minimal-raw-netcat")).args(["--port", &port]));
    assert_eq!(said, b"you said nothing");
}

#[test]
fn netcat_and_client_print_what_came_before_a_reset_and_fail() {
    let server = Onward::resets_after(8);
    for name in ["minimal-raw-netcat", "minimal-raw-client"] {
        let (mut program, mut stdin, mut stdout) = to_server(name, server.port, &[]);
        send(&mut stdin, b"question");
        assert_eq!(read_to_end(&mut stdout), b"question");
        assert_eq!(program.wait().code(), Some(1), "{name}: {}", program.log());
        assert!(program.log().contains("reset"), "{name}: {}", program.log());
    }
}

#[test]
fn netcat_and_client_read_no_more_of_stdin_than_the_server_takes() {
    let server = Onward::idle();
    for name in ["minimal-raw-netcat", "minimal-raw-client"] {
        let (program, mut stdin, _stdout) = to_server(name, server.port, &[]);
        let taken = Arc::new(AtomicUsize::new(0));
        let counter = taken.clone();
        let writer = thread::spawn(move || {
            let chunk = [b'x'; 4096];
            while stdin.write_all(&chunk).is_ok() {
                counter.fetch_add(chunk.len(), Ordering::SeqCst);
            }
        });
        eventually("the first bytes", || taken.load(Ordering::SeqCst) > 0);
        let taken = settled(|| taken.load(Ordering::SeqCst));
        assert!(taken < 32_000_000, "{name} took {taken} bytes for a server that reads none");
        let rss = program.rss();
        assert!(rss < 64_000_000, "{name} holds {rss} bytes");
        program.stop();
        writer.join().expect("no panic");
    }
}

// -- client

#[test]
fn the_raw_client_tries_again_until_the_server_is_there() {
    let away = Refusing::new();
    let (mut program, mut stdin, mut stdout) = to_server("minimal-raw-client", away.port, &[]);
    send(&mut stdin, b"said early\n");
    program.wait_for_log("trying again in 1.");
    let mut server = accept(&away.listen());
    assert_eq!(read_exactly(&mut server, 11), b"said early\n");
    send(&mut server, b"welcome\n");
    assert_eq!(read_exactly(&mut stdout, 8), b"welcome\n");
    drop(server);
    assert!(program.wait().success(), "{}", program.log());
}

#[test]
fn the_raw_client_gives_up_after_as_many_retries_as_it_was_told() {
    let refusing = Refusing::new();
    let port = refusing.port.to_string();
    let said = failure("minimal-raw-client", &["--server", "127.0.0.1", "--port", &port, "--retries", "1"]);
    assert_eq!(said.matches("trying again").count(), 1, "{said}");
    assert!(said.contains("Error: ") && said.contains("refused"), "{said}");
}

#[test]
fn the_raw_client_hears_what_comes_late_and_leaves_after_the_silence_it_was_told() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("bound").port();

    let (mut patient, mut stdin, mut stdout) = to_server("minimal-raw-client", port, &["-w", "60000"]);
    let mut server = accept(&listener);
    send(&mut stdin, b"question");
    drop(stdin);
    assert_eq!(read_exactly(&mut server, 8), b"question");
    send(&mut server, b"answer");
    assert_eq!(read_exactly(&mut stdout, 6), b"answer");
    drop(server);
    assert!(patient.wait().success(), "{}", patient.log());

    let (mut hasty, mut stdin, _stdout) = to_server("minimal-raw-client", port, &["-w", "50"]);
    let mut server = accept(&listener);
    send(&mut stdin, b"that is all");
    drop(stdin);
    assert_eq!(read_to_end(&mut server), b"that is all");
    assert!(hasty.wait().success(), "{}", hasty.log());
}

#[test]
fn the_raw_client_talks_over_tls_with_a_server_that_it_may_trust_and_no_other() {
    let folder = tempfile::tempdir().expect("a folder");
    let ca = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).expect("write");
        path.to_string_lossy().into_owned()
    };
    let (good, bad) = (ca("good", certs::ca().text()), ca("bad", Ca::new("another CA").text()));
    let server = TlsOnward::echo(certs::localhost());

    let (mut program, mut stdin, mut stdout) =
        to_server("minimal-raw-client", server.onward.port, &["-s", "--ca", &good, "-w", "200"]);
    let bytes = random_bytes(4, 3_000_000);
    thread::scope(|scope| {
        scope.spawn(|| {
            send(&mut stdin, &bytes);
            drop(stdin);
        });
        assert_same_bytes(&read_to_end(&mut stdout), &bytes);
    });
    assert!(program.wait().success(), "{}", program.log());
    let met = server.met(0);
    assert!(met.orderly && met.failed.is_none(), "{:?}", met.failed);

    let port = server.onward.port.to_string();
    let to = ["--server", "127.0.0.1", "--port", &port, "-s", "--retries", "0"];
    let said = failure("minimal-raw-client", &[&to[..], &["--ca", &bad]].concat());
    assert!(said.contains("certificate") && said.contains(&port), "{said}");
    let said = failure("minimal-raw-client", &[&to[..], &["--ca", "/no/such/file"]].concat());
    assert!(said.contains("/no/such/file"), "{said}");
}

// -- adopted sockets

#[test]
fn the_adopted_tcp_connection_asks_for_a_page_and_prints_the_answer() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    let port = listener.local_addr().expect("bound").port();
    let (mut program, _stdin, mut stdout) = to_server("minimal-raw-adopt-tcp", port, &[]);
    let mut server = accept(&listener);
    let request = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    assert_eq!(read_exactly(&mut server, request.len()), request);
    let answer = random_bytes(5, 1_000_000);
    send(&mut server, &answer);
    drop(server);
    assert_same_bytes(&read_to_end(&mut stdout), &answer);
    assert!(program.wait().success(), "{}", program.log());
}

#[test]
fn the_adopted_tcp_connection_gets_a_page_from_the_http_server_example() {
    let server = Program::start("minimal-http-server", &["--port", "0", "--interface", "127.0.0.1"]);
    let (mut program, _stdin, mut stdout) = to_server("minimal-raw-adopt-tcp", server.port(), &[]);
    // The server hangs up when its keep-alive time is over.
    let page = String::from_utf8(read_to_end(&mut stdout)).expect("a text");
    assert!(page.starts_with("HTTP/1.1 200 OK\r\n") && page.trim_end().ends_with("</html>"), "{page}");
    assert!(program.wait().success(), "{}", program.log());
}

#[test]
fn the_adopted_udp_socket_sends_each_datagram_back_to_its_sender() {
    for interface in ["127.0.0.1", "0.0.0.0"] {
        let program = Program::start("minimal-raw-adopt-udp", &["--port", "0", "--interface", interface]);
        let clients = [udp_client(program.port()), udp_client(program.port())];
        let mut buf = vec![0; 70_000];
        let mut hears = |client: &UdpSocket, bytes: &[u8]| {
            let got = client.recv(&mut buf).unwrap_or_else(|error| panic!("{error}\n{}", program.log()));
            assert_same_bytes(&buf[..got], bytes);
        };
        for len in [0, 1, 1472] {
            let sent: Vec<Vec<u8>> = (1..3).map(|seed| random_bytes(seed, len)).collect();
            for (client, bytes) in clients.iter().zip(&sent) {
                assert_eq!(client.send(bytes).expect("send"), len);
            }
            clients.iter().zip(&sent).for_each(|(client, bytes)| hears(client, bytes));
        }
        // One at a time, for the system does not keep two of them for a socket.
        let longest = random_bytes(3, 65_507);
        for client in &clients {
            assert_eq!(client.send(&longest).expect("send"), longest.len());
            hears(client, &longest);
        }
        program.stop();
    }
}

#[test]
fn a_udp_port_that_is_taken_is_named() {
    let taken = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
    let port = taken.local_addr().expect("bound").port().to_string();
    let said = failure("minimal-raw-adopt-udp", &["--port", &port, "--interface", "127.0.0.1"]);
    assert!(said.contains(&port) && said.contains("in use"), "{said}");
}

// -- adopted files

#[test]
fn the_file_example_shows_what_is_written_to_a_fifo_until_its_last_writer_has_gone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = fifo(folder.path());
    let mut program = Program::spawn(Command::new(program::example("minimal-raw-file")).arg(&path));
    program.wait_for_log("RawAdoptFile");
    let mut writer = OpenOptions::new().write(true).open(&path).expect("its reader is there");
    for (bytes, shown) in [
        (b"hello\n".as_slice(), "0000: 68 65 6C 6C 6F 0A                                  hello."),
        (b"\0\x1b\xff and so on: 17", "0000: 00 1B FF 20 61 6E 64 20 73 6F 20 6F 6E 3A 20 31    ... and so on: 1"),
        (b"", "0010: 37                                                 7"),
    ] {
        send(&mut writer, bytes);
        program.wait_for_log(shown);
    }
    drop(writer);
    assert!(program.wait().success(), "{}", program.log());
    assert!(program.log().contains("RawCloseFile"));
}

#[test]
fn the_file_example_shows_stdin_and_ordinary_files_to_their_ends() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("file");
    std::fs::write(&path, [b'y'; 1_000_000]).expect("write");
    let text = path.to_string_lossy().into_owned();
    let stdin = || Stdio::from(File::open(&path).expect("it was made"));
    assert!(finish(Command::new(program::example("minimal-raw-file")).arg("/dev/null")).status.success());
    for (file, input) in [(&*text, Stdio::null()), ("/dev/stdin", stdin()), ("/proc/self/fd/0", stdin())] {
        let output = finish_with(Command::new(program::example("minimal-raw-file")).arg(file), input);
        let said = String::from_utf8(output.stderr).expect("a text");
        assert!(output.status.success(), "{file}: {said}");
        assert_eq!(said.matches("yyyyyyyyyyyyyyyy").count(), 62_500, "{file}");
    }
    let (mut program, mut stdin, _stdout) = talk("minimal-raw-file", &["/dev/stdin"]);
    send(&mut stdin, b"through a pipe");
    program.wait_for_log("through a pipe");
    drop(stdin);
    assert!(program.wait().success(), "{}", program.log());
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let folder = folder.path().to_string_lossy();
    let said = failure("minimal-raw-file", &[&*folder]);
    assert!(said.contains(&*folder) && said.contains("directory"), "{said}");
    let said = failure("minimal-raw-file", &["/no/such/file"]);
    assert!(said.contains("/no/such/file") && said.contains("No such file"), "{said}");
    for name in ["minimal-raw-file", "minimal-raw-serial"] {
        assert!(failure(name, &[]).contains("--help"), "{name}");
    }
}

// -- the serial line

#[test]
fn the_serial_example_says_a_line_every_two_seconds_and_shows_what_comes() {
    let (mut line, begun) = (Pty::open(), Instant::now());
    let program = Program::spawn(Command::new(program::example("minimal-raw-serial")).arg(&line.path));
    line.hear(b"one line every two seconds\r\n");
    line.say(b"ok\r\x03\xff");
    program.wait_for_log("0000: 6F 6B 0D 03 FF                                     ok...");
    line.hear(b"one line every two seconds\r\n");
    assert!(begun.elapsed().as_millis() > 1_500, "the second one came after {:?}", begun.elapsed());
    program.stop();
}

#[test]
fn the_serial_line_carries_every_byte_as_it_is_at_the_speed_that_was_asked_for() {
    for (args, speed) in [(&[][..], 115_200), (&["--baud", "9600"], 9600)] {
        let mut line = Pty::open();
        let program = Program::spawn(Command::new(program::example("minimal-raw-serial")).arg(&line.path).args(args));
        line.hear(b"\r\n");
        let settings = tcgetattr(&line.master).expect("a terminal");
        assert_eq!((settings.input_speed(), settings.output_speed()), (speed, speed));
        assert!(!settings.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        assert!(!settings.output_modes.contains(OutputModes::OPOST));
        program.stop();
    }
}

#[test]
fn a_serial_line_that_hangs_up_ends_the_example_with_an_error() {
    let mut line = Pty::open();
    let mut program = Program::spawn(Command::new(program::example("minimal-raw-serial")).arg(&line.path));
    line.hear(b"\r\n");
    let path = line.path.clone();
    drop(line);
    assert_eq!(program.wait().code(), Some(1), "{}", program.log());
    assert!(program.log().contains(&format!("{path}: the line has hung up")), "{}", program.log());
}

#[test]
fn what_is_no_serial_line_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let fifo = fifo(folder.path()).to_string_lossy().into_owned();
    for (path, why) in [(&*fifo, "ioctl"), ("/no/such/tty", "No such file")] {
        let said = failure("minimal-raw-serial", &[path]);
        assert!(said.contains(path) && said.contains(why), "{said}");
    }
    let line = Pty::open();
    assert!(failure("minimal-raw-serial", &[&line.path, "--baud", "fast"]).contains("fast"));
}

// -- what they have in common

#[track_caller]
fn talk(name: &str, args: &[&str]) -> (Program, ChildStdin, ChildStdout) {
    Program::talk(Command::new(program::example(name)).args(args))
}

#[track_caller]
fn to_server(name: &str, port: u16, more: &[&str]) -> (Program, ChildStdin, ChildStdout) {
    let port = port.to_string();
    talk(name, &[&["--server", "127.0.0.1", "--port", &port][..], more].concat())
}

/// What an example says that has to fail.
#[track_caller]
fn failure(name: &str, args: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = File::create_new(folder.path().join("empty")).expect("a file");
    let output: Output = finish_with(Command::new(program::example(name)).args(args), empty.into());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{name} {args:?}: {said}");
    said
}

#[track_caller]
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).expect("fcntl");
    let mut accepted = None;
    eventually("a connection", || {
        accepted = match listener.accept() {
            Ok((stream, _)) => Some(stream),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("accept: {error}"),
        };
        accepted.is_some()
    });
    let stream = accepted.expect("the loop above ends with one");
    stream.set_nonblocking(false).expect("fcntl");
    with_deadline(stream)
}

fn udp_client(port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(("127.0.0.1", 0)).expect("a free port");
    socket.connect(("127.0.0.1", port)).expect("connect");
    socket.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
    socket
}

fn fifo(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("fifo");
    mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("mkfifo");
    path
}

/// A pair of terminals: the example has the one at `path` for its serial line, the test the other end.
struct Pty {
    master: OwnedFd,
    path: String,
    heard: Vec<u8>,
    /// Without it the master would say that the line has hung up until the example has opened it.
    _slave: OwnedFd,
}

impl Pty {
    fn open() -> Pty {
        let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("a pty");
        grantpt(&master).and_then(|()| unlockpt(&master)).expect("a pty");
        let path = ptsname(&master, Vec::new()).expect("a name").into_string().expect("a text");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let slave = open(&*path, flags, Mode::empty()).expect("its other end");
        rustix::io::ioctl_fionbio(&master, true).expect("FIONBIO");
        Pty { master, path, heard: Vec::new(), _slave: slave }
    }

    fn say(&self, bytes: &[u8]) {
        assert_eq!(rustix::io::write(&self.master, bytes).expect("the line is open"), bytes.len());
    }

    /// Waits until the example has said this.
    #[track_caller]
    fn hear(&mut self, text: &[u8]) {
        let mut chunk = [0; 4096];
        eventually(&format!("\"{}\" on the line", text.escape_ascii()), || {
            if let Ok(count) = rustix::io::read(&self.master, &mut chunk) {
                self.heard.extend_from_slice(&chunk[..count]);
            }
            let found = self.heard.windows(text.len()).position(|window| window == text);
            if let Some(at) = found {
                self.heard.drain(..at + text.len());
            }
            found.is_some()
        });
    }
}
