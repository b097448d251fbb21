//! What minimal-raw-netcat and minimal-raw-client do with every kind of standard input and output, and when one of them is full.

mod util;

use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::thread;

use rustix::fs::{OFlags, fcntl_getfl};
use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{OptionalActions, tcgetattr, tcsetattr};
use util::*;

const BOTH: [&str; 2] = ["minimal-raw-netcat", "minimal-raw-client"];

/// The command that connects to a server.
fn command(name: &str, server: &Onward) -> Command {
    let mut command = Command::new(program::example(name));
    command.args(["--server", "127.0.0.1", "--port", &server.port.to_string()]);
    command
}

#[test]
fn sigint_and_sigterm_end_them_while_nobody_reads_their_stdout() {
    for name in BOTH {
        for signal in [Signal::INT, Signal::TERM] {
            let server = Onward::spring();
            let (mut program, _stdin, _stdout) = Program::talk(&mut command(name, &server));
            let seen = server.connection(0);
            let taken = settled(|| seen.sent());
            assert!(taken > 0 && taken < 32_000_000, "{name} took {taken} bytes for a stdout that takes none");
            assert!(program.rss() < 64_000_000, "{name} holds {} bytes", program.rss());
            program.signal(signal);
            let status = program.wait();
            assert!(status.success(), "{name} on {signal:?}: {status}\n{}", program.log());
        }
    }
}

#[test]
fn a_stdout_that_is_read_late_gets_all_of_it() {
    let said = random_bytes(1, 8_000_000);
    let server = Onward::source(said.clone());
    let (mut program, stdin, mut stdout) = Program::talk(&mut command("minimal-raw-netcat", &server));
    drop(stdin);
    let seen = server.connection(0);
    settled(|| seen.sent());
    assert_same_bytes(&read_to_end(&mut stdout), &said);
    assert!(program.wait().success(), "{}", program.log());
}

#[test]
fn a_server_is_not_silent_while_stdout_is_full() {
    // More than a pipe takes, and so few that the system holds the rest: none of it is ever dropped and sent again.
    let said = random_bytes(1, 200_000);
    let server = Onward::source(said.clone());
    let mut command = command("minimal-raw-client", &server);
    // With a line of whoever has ended.
    command.args(["-w", "1000", "-d", "15"]);
    let (mut program, stdin, mut stdout) = Program::talk(&mut command);
    let seen = server.connection(0);
    eventually("all of it is sent", || seen.sent() == said.len());
    drop(stdin);
    // From here on a silent server has a second.
    program.wait_for_log("raw-file file: the peer closed");
    eventually("it waits for stdout without an end", || program.waits_for_ever());
    assert_same_bytes(&read_to_end(&mut stdout), &said);
    assert!(program.wait().success(), "{}", program.log());
}

#[test]
fn a_stdout_that_cannot_be_written_is_named() {
    for name in BOTH {
        let server = Onward::spring();
        let full = OpenOptions::new().write(true).open("/dev/full").expect("/dev/full");
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        for (stdout, why) in [(Stdio::from(full), "No space left"), (Stdio::from(writer), "")] {
            let mut program = Program::launch(command(name, &server).stdin(Stdio::null()).stdout(stdout));
            assert_eq!(program.wait().code(), Some(1), "{name}: {}", program.log());
            let log = program.log();
            assert!(log.contains("Error: stdout: ") && log.contains(why), "{name}: {log}");
        }
    }
}

#[test]
fn stdin_and_stdout_may_be_one_socket() {
    for name in BOTH {
        let server = Onward::echo();
        let (mut ours, theirs) = UnixStream::pair().expect("socketpair");
        ours.set_read_timeout(Some(DEADLINE)).expect("SO_RCVTIMEO");
        let [stdin, stdout] = [(); 2].map(|()| Stdio::from(OwnedFd::from(theirs.try_clone().expect("dup"))));
        drop(theirs);
        let mut program = Program::launch(command(name, &server).stdin(stdin).stdout(stdout));
        let bytes = random_bytes(2, 1_000_000);
        let mut writer = ours.try_clone().expect("dup");
        let said = bytes.clone();
        let writer = thread::spawn(move || {
            writer.write_all(&said).expect("send");
            writer.shutdown(Shutdown::Write).expect("shutdown");
        });
        assert_same_bytes(&read_to_end(&mut ours), &bytes);
        writer.join().expect("no panic");
        assert!(program.wait().success(), "{name}: {}", program.log());
    }
}

#[test]
fn files_go_on_where_they_are() {
    let folder = tempfile::tempdir().expect("a folder");
    let (question, answer) = (folder.path().join("question"), folder.path().join("answer"));
    let bytes = random_bytes(3, 700_000);
    std::fs::write(&question, &bytes).expect("write");
    for name in BOTH {
        for append in [false, true] {
            std::fs::write(&answer, b"header, ").expect("write");
            let server = Onward::echo();
            let mut stdin = File::open(&question).expect("it was made");
            stdin.seek(SeekFrom::Start(100_000)).expect("lseek");
            let mut stdout = OpenOptions::new().write(true).append(append).open(&answer).expect("it was made");
            stdout.seek(SeekFrom::End(0)).expect("lseek");
            let mut program = Program::launch(command(name, &server).stdin(stdin).stdout(stdout));
            assert!(program.wait().success(), "{name}: {}", program.log());
            let written = std::fs::read(&answer).expect("it is there");
            assert_same_bytes(&written, &[b"header, ", &bytes[100_000..]].concat());
        }
    }
}

#[test]
fn netcat_goes_on_sending_after_the_server_has_ended_its_side() {
    let (said, bytes) = (random_bytes(4, 1_000_000), random_bytes(5, 5_000_000));
    let server = Onward::source(said.clone());
    let (mut program, mut stdin, mut stdout) = Program::talk(&mut command("minimal-raw-netcat", &server));
    assert_same_bytes(&read_exactly(&mut stdout, said.len()), &said);
    program.wait_for_log("says no more");
    send(&mut stdin, &bytes);
    drop(stdin);
    assert!(program.wait().success(), "{}", program.log());
    assert_eq!(read_to_end(&mut stdout), b"");
    let seen = server.connection(0);
    eventually("the end", || seen.closed());
    assert_same_bytes(&seen.bytes(), &bytes);
    assert!(seen.eof());
}

#[test]
fn a_terminal_goes_on_blocking_for_others_and_what_is_typed_is_for_stdin_alone() {
    for name in BOTH {
        let server = Onward::echo();
        let (mut user, terminal) = terminal();
        let [stdin, stdout] = [(); 2].map(|()| terminal.try_clone().expect("dup"));
        let mut program = Program::launch(command(name, &server).stdin(stdin).stdout(stdout));
        program.wait_for_log("connected");
        for line in [b"hello\n", b"again\n"] {
            send(&mut user, line);
            assert_eq!(read_exactly(&mut user, 6), line);
        }
        assert!(!fcntl_getfl(&terminal).expect("F_GETFL").contains(OFlags::NONBLOCK));
        program.signal(Signal::INT);
        assert!(program.wait().success(), "{name}: {}", program.log());
    }
}

/// A terminal that passes bytes as they are: its user's side, and that of a program.
fn terminal() -> (File, File) {
    let user = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).expect("openpt");
    grantpt(&user).and_then(|()| unlockpt(&user)).expect("a pty");
    let name = ptsname(&user, Vec::new()).expect("ptsname").into_string().expect("a path");
    let flags = OFlags::NOCTTY.bits() as i32;
    let program = OpenOptions::new().read(true).write(true).custom_flags(flags).open(name).expect("open");
    let mut settings = tcgetattr(&program).expect("tcgetattr");
    settings.make_raw();
    tcsetattr(&program, OptionalActions::Now, &settings).expect("tcsetattr");
    (user.into(), program)
}
