//! Real ssh through the example that serves http or https on the same port.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use super::{Program, Site, Sshd, assert_same_bytes, finish, random_bytes, require, site, succeed};

const BIG: usize = 32 * 1024 * 1024;

/// The example in front of an sshd, with pages of ours.
pub struct SshPort {
    pub sshd: Sshd,
    pub proxy: Program,
    pub port: u16,
    site: Site,
    fds: usize,
    /// Where the pages are.
    scheme: &'static str,
}

impl SshPort {
    /// With these switches beside those that every test needs; `-s` among them: https.
    #[track_caller]
    pub fn start(switches: &[&str]) -> SshPort {
        let (sshd, site) = (Sshd::start(), Site::new());
        let onward = format!("ipv4:127.0.0.1:{}", sshd.port);
        let origin = site.root();
        let origin = origin.to_str().expect("a text");
        let common = ["--port", "0", "--interface", "127.0.0.1", "--origin", origin, "-r", &onward];
        let proxy = Program::start("minimal-raw-proxy-fallback", &[&common, switches].concat());
        let (port, fds) = (proxy.port(), proxy.fds());
        let scheme = if switches.contains(&"-s") { "https" } else { "http" };
        SshPort { sshd, proxy, port, site, fds, scheme }
    }

    /// What curl got from the port.
    #[track_caller]
    pub fn page(&self) -> Vec<u8> {
        let url = format!("{}://127.0.0.1:{}/", self.scheme, self.port);
        succeed(Command::new(require("curl")).args(["-sSk", "--fail", "--noproxy", "*", &url]))
    }

    /// Nothing of what was done is left, and the program ends cleanly.
    #[track_caller]
    pub fn finish(self) {
        assert_eq!(self.page(), site::INDEX.as_bytes());
        self.proxy.assert_fds_back_to(self.fds);
        self.proxy.stop();
        drop(self.site);
    }
}

/// Streams and exit status are those of the command.
#[track_caller]
pub fn runs_a_command(setup: SshPort) {
    let output = finish(setup.sshd.ssh(setup.port).arg("echo out; echo err >&2; exit 7"));
    assert_eq!(output.stdout, b"out\n");
    assert_eq!(output.stderr, b"err\n");
    assert_eq!(output.status.code(), Some(7));
    setup.finish();
}

/// Both ways.
#[track_caller]
pub fn scp_moves_a_big_file(setup: SshPort) {
    let (sshd, port) = (&setup.sshd, setup.port);
    let bytes = random_bytes(1, BIG);
    let [here, there, back] = ["here", "there", "back"].map(|name| sshd.file(name));
    std::fs::write(&here, &bytes).expect("write");
    succeed(sshd.scp(port).arg(&here).arg(sshd.remote(&there)));
    assert_same_bytes(&std::fs::read(&there).expect("read"), &bytes);
    succeed(sshd.scp(port).arg(sshd.remote(&there)).arg(&back));
    assert_same_bytes(&std::fs::read(&back).expect("read"), &bytes);
    setup.finish();
}

/// Both ways.
#[track_caller]
pub fn sftp_moves_a_big_file(setup: SshPort) {
    let (sshd, port) = (&setup.sshd, setup.port);
    let bytes = random_bytes(2, BIG);
    let [here, there, back] = ["here", "there", "back"].map(|name| sshd.file(name));
    std::fs::write(&here, &bytes).expect("write");
    let (here, there, back) = (here.display(), there.display(), back.display());
    succeed(&mut sshd.sftp(port, &format!("put {here} {there}\nget {there} {back}\n")));
    assert_same_bytes(&std::fs::read(sshd.file("there")).expect("read"), &bytes);
    assert_same_bytes(&std::fs::read(sshd.file("back")).expect("read"), &bytes);
    setup.finish();
}

/// And what was pushed comes with the next clone.
#[track_caller]
pub fn git_clones_and_pushes(setup: SshPort) {
    let (sshd, port) = (&setup.sshd, setup.port);
    let [origin, clone] = ["origin.git", "clone"].map(|name| sshd.file(name));
    let bytes = random_bytes(3, 4_000_000);
    let identity = ["-c", "user.name=tester", "-c", "user.email=tester@example.org"];
    let in_clone = |args: &[&str]| succeed(sshd.git(port).arg("-C").arg(&clone).args(identity).args(args));

    succeed(sshd.git(port).args(["init", "-q", "--bare", "-b", "main"]).arg(&origin));
    succeed(sshd.git(port).args(["clone", "-q"]).arg(sshd.repository(&origin)).arg(&clone));
    std::fs::write(clone.join("file"), &bytes).expect("write");
    in_clone(&["add", "file"]);
    in_clone(&["commit", "-q", "-m", "a file"]);
    in_clone(&["push", "-q", "origin", "HEAD:main"]);

    let second = sshd.file("second");
    succeed(sshd.git(port).args(["clone", "-q"]).arg(sshd.repository(&origin)).arg(&second));
    assert_same_bytes(&std::fs::read(second.join("file")).expect("read"), &bytes);
    setup.finish();
}

/// While curl fetches pages from the same port.
#[track_caller]
pub fn twenty_sessions_at_once(setup: SshPort) {
    let (running, pages) = (AtomicUsize::new(20), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for number in 0..20 {
            let (setup, running) = (&setup, &running);
            scope.spawn(move || {
                let _done = CountDown(running);
                let bytes = random_bytes(number, 300_000);
                let file = setup.sshd.file(&format!("session{number}"));
                std::fs::write(&file, &bytes).expect("write");
                let mut ssh = setup.sshd.ssh(setup.port);
                let output = ssh
                    .arg(format!("sha256sum; cat {}", file.display()))
                    .stdin(std::fs::File::open(&file).expect("open"))
                    .stderr(Stdio::piped())
                    .output()
                    .expect("ssh");
                let said = String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "session {number}: {said}");
                let newline = output.stdout.iter().position(|byte| *byte == b'\n').expect("a sum");
                assert_eq!(output.stdout[..64], sha256sum(&file)[..64], "session {number}");
                assert_same_bytes(&output.stdout[newline + 1..], &bytes);
            });
        }
        while running.load(Ordering::SeqCst) > 0 {
            assert_eq!(setup.page(), site::INDEX.as_bytes());
            pages.fetch_add(1, Ordering::SeqCst);
        }
    });
    assert!(pages.load(Ordering::SeqCst) > 0);
    setup.finish();
}

fn sha256sum(file: &std::path::Path) -> Vec<u8> {
    succeed(Command::new(require("sha256sum")).arg(file))
}

/// Counts down when its thread ends, in whichever way.
struct CountDown<'a>(&'a AtomicUsize);

impl Drop for CountDown<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}
