//! The configurations of `minimal-examples/lwsws`, served as they stand there but for places: see [`Example`].

// What the harness offers is for this file.
#![allow(unreachable_pub)]

#[path = "lwsws_examples/example.rs"]
mod example;
mod util;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use example::{Example, Served, examples};
use util::*;

const SSHD: &str = "ipv4:127.0.0.1:22";

#[test]
fn every_example_has_a_test_and_a_page_and_is_listed() {
    let here = include_str!("lwsws_examples.rs");
    let list = fs::read_to_string(examples().join("README.md")).expect("the list");
    let names = fs::read_dir(examples()).expect("the examples").map(|entry| entry.expect("an entry"));
    let names =
        names.filter(|entry| entry.path().is_dir()).map(|entry| entry.file_name().into_string().expect("UTF-8"));
    for name in names {
        let used = ["of", "with"].map(|how| format!("Example::{how}(\"{name}\""));
        assert!(used.iter().any(|used| here.contains(used)), "no test serves minimal-examples/lwsws/{name}");
        rlws::conf::load_dir(examples().join(&name)).unwrap_or_else(|error| panic!("as it stands: {error}"));
        assert!(list.contains(&format!("]({name}/README.md)")), "{name} is not in the list");
        let page = fs::read_to_string(examples().join(&name).join("README.md")).expect("its page");
        assert!(page.contains(&format!("lwsws -c minimal-examples/lwsws/{name}\n")), "{name}: how is it run?");
    }
}

#[test]
fn the_page_for_newcomers_shows_the_example_it_copies() {
    let page = examples().join("../../READMEs/README.lwsws.md");
    let page = fs::read_to_string(page).expect("the page");
    assert!(page.contains("cp -r minimal-examples/lwsws/https-and-ssh/conf* /etc/lwsws/\n"));
    for file in ["conf", "conf.d/localhost"] {
        let text = fs::read_to_string(examples().join("https-and-ssh").join(file)).expect("the file");
        assert!(page.contains(&format!("\n```\n{text}```\n")), "{file} is not on the page as it stands");
    }
}

/// Runs a command through the ssh server that is behind a port of the example.
#[track_caller]
fn ssh_works(sshd: &Sshd, served: &Served, port: u16) {
    let (address, here) = served.place(port);
    let said = succeed(sshd.ssh(here).args(["-o", &format!("HostName={address}"), "echo over ssh"]));
    assert_eq!(said, b"over ssh\n");
}

#[test]
fn https_and_ssh_on_one_port() {
    let sshd = Sshd::start();
    let served = Example::with("https-and-ssh", &[(SSHD, &format!("ipv4:127.0.0.1:{}", sshd.port))]).start();
    assert_eq!(served.curl(&["https://localhost/"]), "the page");
    ssh_works(&sshd, &served, 443);
    let head = served.curl(&["-i", "http://localhost:443/a?b"]);
    assert!(head.starts_with("HTTP/1.1 301 ") && head.contains("https://localhost:443/a?b"), "{head}");
    assert_eq!(served.curl(&["-L", "http://localhost:443/"]), "the page");
    served.program.stop();
}

#[test]
fn the_fallback_of_the_original_article() {
    let sshd = Sshd::start();
    let served = Example::with("http-fallback", &[(SSHD, &format!("ipv4:127.0.0.1:{}", sshd.port))]).start();
    assert_eq!(served.curl(&["http://localhost:7681/"]), "the page");
    ssh_works(&sshd, &served, 7681);
    served.program.stop();
}

#[test]
fn a_part_that_asks_for_a_password() {
    let example = Example::of("basic-auth");
    example.write("srv/www-private/index.html", "a private page");
    let hash = bcrypt::hash("secret", 5).expect("a hash");
    example.write("etc/lwsws/users", &format!("ann:{hash}\n"));
    let served = example.start();
    assert_eq!(served.curl(&["https://localhost/"]), "the page");
    assert_eq!(served.curl(&["-u", "ann:secret", "https://localhost/private/"]), "a private page");
    let status = |user: &str| {
        let body = served.example.path("body").display().to_string();
        let url = "https://localhost/private/";
        served.curl(&["--no-fail", "-o", &body, "-w", "%{http_code}", "-u", user, url])
    };
    assert_eq!((status("ann:Secret"), status("bob:secret")), ("401".to_owned(), "401".to_owned()));
    let log = served.example.path("var/log/lwsws/access");
    eventually("ann is in the log", || {
        let text = fs::read_to_string(&log).unwrap_or_default();
        text.lines().any(|line| line.contains(" - ann [") && line.contains("\"GET /private/ HTTP/1.1\" 200 "))
    });
    // Who serves has to be able to read the file: root can, www-data cannot.
    let users = served.example.path("etc/lwsws/users");
    fs::set_permissions(&users, fs::Permissions::from_mode(0o600)).expect("chmod");
    eventually("nobody is let in", || status("ann:secret") == "401");
    served.program.wait_for_log("nobody is let in");
    served.program.stop();
}

#[test]
fn a_plain_relay() {
    let sshd = Sshd::start();
    let served = Example::with("relay", &[(SSHD, &format!("ipv4:127.0.0.1:{}", sshd.port))]).start();
    ssh_works(&sshd, &served, 2222);
    // Http is no exception, and silent clients hear the server first.
    let (address, port) = served.place(2222);
    let mut client = connect_to(&format!("{address}:{port}"));
    assert_eq!(read_exactly(&mut client, 4), b"SSH-");
    send(&mut client, b"GET / HTTP/1.1\r\n\r\n");
    let (said, _) = read_until_closed(&mut client);
    assert!(String::from_utf8_lossy(&said).contains("Invalid SSH identification string"), "{}", shown(&said));
    served.program.stop();
}

#[test]
fn a_relay_that_ends_tls() {
    // A chat server, which speaks first.
    let chat = Onward::serve(|stream, _| {
        send(stream, b"NOTICE hello\r\n");
        let line = read_exactly(stream, 9);
        send(stream, &line);
    });
    let served = Example::with("tls-relay", &[("ipv4:127.0.0.1:6667", &chat.target())]).start();
    let mut client = served.s_client(6697, "localhost");
    let mut client = client.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("spawn");
    let (mut said, mut heard) = (client.stdin.take().expect("piped"), client.stdout.take().expect("piped"));
    assert_eq!(read_exactly(&mut heard, 14), b"NOTICE hello\r\n");
    send(&mut said, b"NICK me\r\n");
    assert_eq!(read_exactly(&mut heard, 9), b"NICK me\r\n");
    client.kill().expect("kill");
    client.wait().expect("wait");
    // Who speaks no TLS does not get through.
    let (address, port) = served.place(6697);
    let mut plain = connect_to(&format!("{address}:{port}"));
    send(&mut plain, b"NICK me\r\n");
    read_until_closed(&mut plain);
    drop(plain);
    assert_eq!(chat.connections().len(), 1);
    served.program.stop();
}

#[test]
fn several_names_with_a_certificate_each() {
    let example = Example::of("several-names");
    for name in ["a.example", "b.example"] {
        example.identity(name, &[name]);
        example.write(&format!("srv/www/{name}/index.html"), name);
    }
    let served = example.start();
    for name in ["a.example", "b.example"] {
        assert_eq!(served.curl(&[&format!("https://{name}/")]), name);
        let request = format!("GET / HTTP/1.1\r\nHost: {name}\r\nConnection: close\r\n\r\n");
        let file = served.example.path("request");
        fs::write(&file, request).expect("write");
        let answer = finish_with(&mut served.s_client(443, name), Stdio::from(fs::File::open(file).expect("open")));
        assert!(answer.stdout.ends_with(name.as_bytes()), "{answer:?}");
    }
    // A name that is not here gets the first one, whose certificate is for another name.
    assert_eq!(served.curl(&["-k", "https://c.example/"]), "a.example");
    served.program.stop();
}

#[test]
fn port_80_is_redirected_to_https() {
    let example = Example::of("redirect-to-https");
    example.write("srv/www/.well-known/acme-challenge/token", "proof");
    example.write("srv/www/deep/page.html", "a deep page");
    let served = example.start();
    let head = served.curl(&["-i", "http://localhost/deep/page.html?a=b"]);
    assert!(head.starts_with("HTTP/1.1 301 "), "{head}");
    assert!(head.contains("\r\nLocation: https://localhost/deep/page.html?a=b\r\n"), "{head}");
    assert_eq!(served.curl(&["-L", "http://localhost/deep/page.html?a=b"]), "a deep page");
    assert_eq!(served.curl(&["-L", "http://localhost/"]), "the page");
    assert_eq!(served.curl(&["http://localhost/.well-known/acme-challenge/token"]), "proof");
    served.program.stop();
}

#[test]
fn a_unix_socket() {
    let served = Example::of("unix-socket").start();
    let path = served.example.path("/run/lwsws.sock");
    let mode = fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
    let curl = Command::new(require("curl"))
        .args(["-sS", "--fail", "--unix-socket"])
        .arg(&path)
        .arg("http://localhost/")
        .output();
    assert_eq!(curl.expect("curl").stdout, b"the page");
    let mut client = UnixStream::connect(&path).expect("connect");
    client.set_read_timeout(Some(DEADLINE)).expect("a deadline");
    send(&mut client, http::request("GET", "localhost", "/").as_bytes());
    assert_eq!(http::read_response(&mut client).text(), "the page");
    drop(client);
    // The file is still there at the next start.
    let Served { example, program } = served;
    program.stop();
    example.start().program.stop();
}

#[test]
fn raw_vhosts() {
    let served = Example::of("raw-vhost").start();
    let connect = |port: u16| {
        let (address, port) = served.place(port);
        connect_to(&format!("{address}:{port}"))
    };
    let (mut one, mut two) = (connect(7681), connect(7681));
    // The second one is there once it has heard itself; the first one hears that too.
    send(&mut two, b"hello\n");
    assert_eq!(read_exactly(&mut two, 6), b"hello\n");
    send(&mut one, b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(read_exactly(&mut two, 18), b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(read_exactly(&mut one, 24), b"hello\nGET / HTTP/1.1\r\n\r\n");
    let mut own = connect(7682);
    send(&mut own, b"\0echo");
    assert_eq!(read_exactly(&mut own, 5), b"\0echo");
    drop((one, two, own));
    served.program.stop();
}

/// An open WebSocket of an example's port, and who asks for it by which `Host`.
#[track_caller]
fn asks_for_websocket(served: &Served, port: u16, host: &str, more: &str) -> (TcpStream, u16) {
    let (address, port) = served.place(port);
    let mut stream = connect_to(&format!("{address}:{port}"));
    send(&mut stream, ws::request("/", more).replace("Host: localhost", &format!("Host: {host}")).as_bytes());
    let status = http::read_head(&mut stream).status;
    (stream, status)
}

#[test]
fn the_status_of_the_server_for_this_machine_alone() {
    let sshd = Sshd::start();
    let onward = format!("ipv4:127.0.0.1:{}", sshd.port);
    let here = (r#""interface": "127.0.0.1""#, r#""interface": "127.0.0.2""#);
    let served = Example::with("status", &[(SSHD, &onward), here]).start();
    assert_eq!(served.curl(&["http://localhost:7681/"]), "the page");
    ssh_works(&sshd, &served, 7681);
    assert!(served.curl(&["http://localhost:7682/"]).contains("<title>Server status</title>"));
    let (mut viewer, status) = asks_for_websocket(&served, 7682, "localhost", "");
    assert_eq!(status, 101);
    let (snapshot, _) = ws::read_message(&mut viewer);
    let snapshot = String::from_utf8(snapshot).expect("UTF-8");
    assert!(snapshot.contains(r#""listen-accept":1"#), "{snapshot}");
    assert_eq!(asks_for_websocket(&served, 7682, "some.site", "").1, 403);
    assert_eq!(asks_for_websocket(&served, 7681, "localhost", "").1, 200, "there is none beside the pages");
    drop(viewer);
    served.program.stop();
}

#[test]
fn a_sheet_that_all_draw_on() {
    let sshd = Sshd::start();
    let example = Example::with("mirror", &[(SSHD, &format!("ipv4:127.0.0.1:{}", sshd.port))]);
    for file in ["index.html", "mirror.js", "mirror.css"] {
        let text = fs::read_to_string(examples().join("mirror/www").join(file)).expect("a page");
        example.write(&format!("srv/www-mirror/{file}"), &text);
    }
    let served = example.start();
    assert!(served.curl(&["http://localhost:7681/"]).contains("<script src=\"mirror.js\""));
    ssh_works(&sshd, &served, 7681);
    let named = "Sec-WebSocket-Protocol: lws-mirror-protocol\r\n";
    let mut clients = [(); 2].map(|()| asks_for_websocket(&served, 7681, "localhost", named).0);
    send(&mut clients[0], &ws::text("d #ff0000 1 2 3 4;"));
    for client in &mut clients {
        assert_eq!(ws::read_frame(client), ws::Frame::text("d #ff0000 1 2 3 4;"));
    }
    drop(clients);
    served.program.stop();
}

#[test]
fn what_lws_reads_is_served_with_warnings() {
    let example = Example::of("from-lws");
    example.write("usr/share/libwebsockets-test-server/test.html", "their page");
    example.write("usr/share/libwebsockets-test-server/server-status/server-status.html", "their status");
    let said = example.check();
    for (place, what) in [("conf:6:5: ", "global.interface"), ("conf.d/test-server:21:17: ", "mounts[2]")] {
        assert!(said.lines().any(|line| line.contains(place) && line.contains(what)), "{place} {what}:\n{said}");
    }
    assert!(!said.contains("ws-protocols"), "{said}");
    let served = example.start_with_warnings();
    assert_eq!(served.curl(&["http://localhost:7681/"]), "their page");
    assert_eq!(served.curl(&["http://localhost:7681/server-status/"]), "their status");
    let page = served.curl(&["-d", "text=<hello>", "http://localhost:7681/formtest"]);
    assert!(page.contains("<b>text</b></td><td>7</td><td>&lt;hello&gt;</td>"), "{page}");
    let log = served.example.path("/var/log/lwsws/test-access-log");
    eventually("the requests are logged", || {
        fs::read_to_string(&log).is_ok_and(|lines| {
            lines.contains("\"GET / HTTP/1.1\" 200 10 ") && lines.contains("\"POST /formtest HTTP/1.1\" 200 ")
        })
    });
    served.program.stop();
}
