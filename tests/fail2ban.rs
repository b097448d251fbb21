//! `packaging/fail2ban`: the real fail2ban finds in our access log who guesses keys and passwords.

mod util;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Barrier};
use std::time::Duration;

use rlws::protocols::{HttpDummy, RawProxy};
use rlws::{Listen, Mount, Options, ProtocolTable, VhostInfo, limits};
use util::*;

const SHORT_VISIT: &str = "127.0.0.1";
const KNOWS_THE_PASSWORD: &str = "127.0.0.2";
const GUESSES_KEYS: &str = "127.0.0.66";
const SPEAKS_NO_SSH: &str = "127.0.0.67";
const GUESSES_PASSWORDS: &str = "127.0.0.68";

fn shipped() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/fail2ban")
}

/// Addresses that a filter finds in a log, each as often as it does.
#[track_caller]
fn found(filter: &str, log: &LogFile) -> Vec<String> {
    let filter = shipped().join("filter.d").join(filter).with_extension("conf");
    let found = succeed(Command::new(require("fail2ban-regex")).args(["-o", "ip"]).arg(log.path()).arg(filter));
    let found = String::from_utf8(found).expect("addresses");
    found.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

/// A page with a password, and the ssh server for what is not http.
fn open_to_all(log: &LogFile, sshd: &Sshd, users: &Path) -> Server<u16> {
    let (log, onward, users) = (log.log.clone(), format!("ipv4:127.0.0.1:{}", sshd.port), users.to_owned());
    Server::with_vhost(move || VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawProxy>()],
        pvo: options("raw-proxy", &[("onward", &onward)]),
        mounts: vec![Mount::callback("/private", "http-dummy").basic_auth(users)],
        options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        access_log: Some(log),
        ..Default::default()
    })
}

/// Asks for `/private` from an address.
fn curl(port: u16, from: &str, switches: &[&str]) {
    let mut curl = Command::new(require("curl"));
    curl.args(["-sS", "--noproxy", "*", "--interface", from]).args(switches);
    finish(curl.arg(format!("http://127.0.0.1:{port}/private")));
}

/// More wrong keys than an sshd hears from one connection.
fn guess_keys(sshd: &Sshd, port: u16) {
    let mut ssh = sshd.ssh(port);
    ssh.args(["-b", GUESSES_KEYS, "-l", "nobody-of-that-name"]);
    for number in 0..8 {
        let key = sshd.file(&format!("wrong{number}"));
        succeed(Command::new(require("ssh-keygen")).args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(&key));
        ssh.arg("-i").arg(key);
    }
    assert!(!finish(&mut ssh).status.success());
}

#[test]
fn it_finds_who_guesses() {
    let (log, sshd) = (LogFile::new(), Sshd::start());
    let users = sshd.file("users");
    fs::write(&users, "somebody:right\n").expect("write");
    let server = open_to_all(&log, &sshd, &users);
    let port = server.made;

    succeed(sshd.ssh(port).args(["-b", SHORT_VISIT]).arg("true"));
    guess_keys(&sshd, port);
    curl(port, SPEAKS_NO_SSH, &["-X", "BREW"]);
    curl(port, KNOWS_THE_PASSWORD, &["-u", "somebody:right", "-A", "127.0.0.99 - - [] \"GET / HTTP/1.1\" 401 "]);
    curl(port, GUESSES_PASSWORDS, &["-u", "somebody:wrong"]);
    log.lines(5);

    let mut of_relay = found("lwsws-relay", &log);
    of_relay.sort();
    assert_eq!(of_relay, [SHORT_VISIT, GUESSES_KEYS, SPEAKS_NO_SSH], "{:#?}", log.lines(5));
    assert_eq!(found("lwsws-auth", &log), [GUESSES_PASSWORDS], "{:#?}", log.lines(5));
}

/// A server that ends after more than a minute, and a client that keeps its side open for as long as it is waited for.
#[test]
fn it_finds_who_does_not_hang_up() {
    const BEFORE_THE_END: Duration = Duration::from_secs(110);
    let (log, is_time) = (LogFile::new(), Arc::new(Barrier::new(2)));
    let its_end = is_time.clone();
    let onward = Onward::serve(move |stream, _| {
        read_exactly(stream, 1);
        its_end.wait(); // it is relayed
        its_end.wait();
    });
    let (access_log, target) = (log.log.clone(), onward.target());
    let server = Server::with_vhost(move || VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawProxy>()],
        pvo: options("raw-proxy", &[("onward", &target)]),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_role: Some("raw-proxy".into()),
        listen_accept_protocol: Some("raw-proxy".into()),
        access_log: Some(access_log),
        ..Default::default()
    });
    let mut client = connect(server.made);
    send(&mut client, b"x");
    is_time.wait();
    server.let_pass(BEFORE_THE_END);
    is_time.wait();
    read_to_end(&mut client);
    server.let_pass(limits::HALF_CLOSE_LINGER);
    let line = log.connection();
    assert!(line.first == "server" && line.how.starts_with("timed out") && line.millis >= 170_000, "{line:?}");
    assert_eq!(found("lwsws-relay", &log), ["127.0.0.1"], "{line:?}");
}

/// fail2ban's own files, with ours beside them.
#[test]
fn its_jails_are_good() {
    let (folder, log) = (tempfile::tempdir().expect("a folder"), LogFile::new());
    let etc = folder.path().join("fail2ban");
    require("fail2ban-client");
    succeed(Command::new(require("cp")).arg("-r").arg("/etc/fail2ban").arg(&etc));
    // The system's own jails are none of ours.
    fs::remove_dir_all(etc.join("jail.d")).expect("it comes with the package");
    succeed(
        Command::new(require("cp")).arg("-r").arg(shipped().join("jail.d")).arg(shipped().join("filter.d")).arg(&etc),
    );
    let jails = fs::read_to_string(etc.join("jail.d/lwsws.conf")).expect("ours");
    let here = jails.replace("/var/log/lwsws/access", log.path().to_str().expect("a text"));
    fs::write(etc.join("jail.d/lwsws.conf"), here).expect("write");
    let said = succeed(Command::new(require("fail2ban-client")).arg("-c").arg(&etc).arg("-d"));
    let said = String::from_utf8(said).expect("a text");
    for jail in jails.lines().filter_map(|line| line.strip_prefix('[')?.strip_suffix(']')) {
        assert!(said.contains(&format!("['start', '{jail}']")), "{jail}: {said}");
    }
}
