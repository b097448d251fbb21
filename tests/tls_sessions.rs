//! Sessions that are taken up again: for how long, by what, and without early data.

mod util;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rlws::{Listen, Mount, VhostInfo};
use rustls::ContentType;
use util::certs::localhost;
use util::tls::{self, trusting};
use util::tls_by_hand::{EARLY_DATA, Hello, record};
use util::*;

fn server() -> Server {
    Server::with_vhost(|| VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        tls: Some(localhost().tls_info()),
        protocols: vec![Recorder::<0>::table()],
        mounts: vec![Mount::callback("/", "recorder")],
        ..Default::default()
    })
}

/// What `openssl s_client` says of a visit in which it asks for a page, keeps its session, and offers one that it has.
#[track_caller]
fn visit(port: u16, args: &[&str], keep: &Path, offer: Option<&Path>) -> String {
    let folder = tempfile::tempdir().expect("a folder");
    let request = folder.path().join("request");
    fs::write(&request, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").expect("write");
    let mut command = tls::s_client(port);
    command.arg("-ign_eof").args(args).arg("-sess_out").arg(keep);
    if let Some(offer) = offer {
        command.arg("-sess_in").arg(offer);
    }
    let output = finish_with(&mut command, Stdio::from(fs::File::open(&request).expect("open")));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("HTTP/1.1 200 "), "{args:?}: {said}");
    said
}

fn was_resumed(said: &str) -> bool {
    let (old, new) = (said.contains("\nReused, "), said.contains("\nNew, "));
    assert_ne!(old, new, "{said}");
    old
}

#[test]
fn early_data_is_neither_offered_nor_taken() {
    let server = server();
    let folder = tempfile::tempdir().expect("a folder");
    let (session, other, early) = (folder.path().join("one"), folder.path().join("two"), folder.path().join("early"));
    fs::write(&early, "GET /early HTTP/1.1\r\nHost: localhost\r\n\r\n").expect("write");
    let said = visit(server.made, &["-tls1_3"], &session, None);
    assert!(said.contains("Max Early Data: 0") && !said.contains("Max Early Data: 1"), "{said}");
    let args = ["-tls1_3", "-early_data", early.to_str().expect("a text")];
    let said = visit(server.made, &args, &other, Some(&session));
    assert!(was_resumed(&said) && said.contains("Early data was not sent"), "{said}");

    // Who sends some all the same is not listened to for long.
    let hello = Hello::of(&trusting(), "localhost").with(EARLY_DATA, b"");
    let mut socket = connect(server.made);
    send(&mut socket, &hello.records(16_384));
    let data = record(u8::from(ContentType::ApplicationData), &[0; 1_000]);
    let _refused_meanwhile = std::io::Write::write_all(&mut socket, &data.repeat(1_000));
    read_until_closed(&mut socket);
    drop(socket);
    assert_eq!(recorder::count(&server.events(), What::Http), 2, "the visits");
    server.assert_nothing_left();
}

#[test]
fn a_session_is_taken_up_by_its_ticket_alone() {
    let server = server();
    let folder = tempfile::tempdir().expect("a folder");
    let session = folder.path().join("session");
    visit(server.made, &["-tls1_2"], &session, None);
    assert!(was_resumed(&visit(server.made, &["-tls1_2"], &folder.path().join("other"), Some(&session))));
    // What a server would have to keep has no end, and no key that is renewed.
    visit(server.made, &["-tls1_2", "-no_ticket"], &session, None);
    let said = visit(server.made, &["-tls1_2", "-no_ticket"], &folder.path().join("other"), Some(&session));
    assert!(!was_resumed(&said), "{said}");
}

/// The library that tells a program another time (package faketime).
fn fake_time() -> PathBuf {
    require("faketime");
    let folders = fs::read_dir("/usr/lib").expect("/usr/lib").flatten().map(|entry| entry.path());
    let mut found = folders.map(|folder| folder.join("faketime/libfaketimeMT.so.1")).filter(|path| path.exists());
    found.next().expect("the library beside the program faketime")
}

#[test]
fn ticket_keys_are_renewed_after_six_hours_and_forgotten_after_twelve() {
    let folder = tempfile::tempdir().expect("a folder");
    let clock = folder.path().join("clock");
    let set_clock = |offset: &str| fs::write(&clock, offset).expect("write");
    set_clock("+0");
    let mut command = Command::new(program::example("minimal-http-server-tls"));
    command.args(["--port", "0", "--interface", "127.0.0.1"]).env("LD_PRELOAD", fake_time());
    command.env("FAKETIME_TIMESTAMP_FILE", &clock).env("FAKETIME_NO_CACHE", "1").env("DONT_FAKE_MONOTONIC", "1");
    let program = Program::spawn(&mut command);
    let port = program.port();
    let kept = |name: &str, version: &str| folder.path().join(format!("{name}{version}"));
    let comes_back = |version: &str, name: &str| {
        was_resumed(&visit(port, &[version], &kept("last", version), Some(&kept(name, version))))
    };
    for version in ["-tls1_2", "-tls1_3"] {
        visit(port, &[version], &kept("first", version), None);
        assert!(comes_back(version, "first"), "{version}: at once");
    }
    // The key of before is good for one more period; the new tickets are of another one.
    set_clock("+7h");
    for version in ["-tls1_2", "-tls1_3"] {
        assert!(comes_back(version, "first"), "{version}: after a renewal");
        visit(port, &[version], &kept("later", version), None);
    }
    set_clock("+14h");
    for version in ["-tls1_2", "-tls1_3"] {
        assert!(!comes_back(version, "first"), "{version}: after two renewals");
        assert!(comes_back(version, "later"), "{version}: the one behind it");
    }
    program.stop();
}
