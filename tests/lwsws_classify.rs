//! `lwsws --classify`: what it says is what the server does.

mod util;

use std::fs;

use util::lwsws::{ECHO, Folder, TLS};
use util::*;

/// Three vhosts on one port, each with a page that says its number.
fn three() -> Folder {
    let folder = Folder::new("", "");
    let port = free_port();
    let vhost = |number: usize, name: &str| {
        let site = folder.path(&format!("site{number}"));
        fs::create_dir(&site).expect("mkdir");
        fs::write(site.join("index.html"), name).expect("write");
        format!(
            r#"{{"name": "{name}", "port": "{port}", "interface": "127.0.0.1",
                "mounts": [{{"mountpoint": "/", "origin": "file://{}"}}]}}"#,
            site.display()
        )
    };
    let vhosts = ["first.test", "second.test", "[::1]"].iter().enumerate().map(|(number, name)| vhost(number, name));
    folder.write_conf(&format!(r#"{{"vhosts": [{}]}}"#, vhosts.collect::<Vec<_>>().join(", ")));
    folder
}

/// Its last line.
#[track_caller]
fn classified(folder: &Folder, first: &[u8]) -> String {
    let said = folder.run(&["--classify"], first);
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    String::from_utf8(said.stdout).expect("text").lines().last().expect("a line").to_owned()
}

#[test]
fn a_request_goes_where_it_says() {
    let folder = three();
    let program = folder.start();
    let port = program.port();
    for request in [
        "GET / HTTP/1.1\r\nHost: second.test\r\n\r\n",
        "GET http://second.test/ HTTP/1.1\r\nHost: first.test\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: [::1]\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: second.test:7910\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x.second.test.\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : second.test\r\n\r\n",
        "GET / HTTP/1.1\r\nX: y\r\nHost:\tsecond.test\r\n\r\n",
        "\r\nGET / HTTP/1.1\r\nHost: second.test\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/3.1\r\n\r\n",
        "BREW / HTTP/1.1\r\nHost: first.test\r\n\r\n",
        "\0\0\0\0\r\n\r\n",
    ] {
        let said = classified(&folder, request.as_bytes());
        let mut client = connect(port);
        send(&mut client, request.as_bytes());
        let answer = http::read_response(&mut client);
        match answer.status {
            200 => assert!(said.ends_with(&format!("vhost {}, role http", answer.text())), "{request:?}: {said}"),
            status => assert!(said.contains(&format!(", answered {status} by role http")), "{request:?}: {said}"),
        }
    }
    program.stop();
}

#[test]
fn a_name_that_is_still_to_come_is_not_guessed() {
    let folder = three();
    let said = classified(&folder, b"GET / HTTP/1.1\r\nHo");
    assert!(said.ends_with("role http, vhost first.test unless the rest of the head names another"), "{said}");
    let said = classified(&folder, b"GE");
    assert!(
        said.contains("more is waited for; if nothing comes before the end: vhost first.test, answered 400"),
        "{said}"
    );
}

#[test]
fn what_falls_back_has_the_role_and_protocol_that_it_would_have() {
    let folder = Folder::new(
        "",
        r#""fallback-listen-accept": "1", "ws-protocols": [{"raw-echo": {"status": "ok", "raw": "1"}}]"#,
    );
    assert!(classified(&folder, b"SSH-2.0-x\r\n").ends_with("vhost localhost, role raw-skt, protocol raw-echo"));
    folder.configure("", &format!(r#"{ECHO}, {TLS}, "redirect-http": "1""#));
    let said = classified(&folder, b"GE");
    assert!(said.ends_with("before the end: vhost localhost, role raw-skt, protocol raw-echo"), "{said}");
    let hello = b"\x16\x03\x01\x02\x00\x01";
    let said = classified(&folder, hello);
    assert!(said.contains("vhost localhost unless the rest of the hello names another, TLS handshake"), "{said}");
    assert!(classified(&folder, b"GET / HTTP/1.1\r\n\r\n").ends_with("vhost localhost, redirected to https"));
    folder.configure("", r#""apply-listen-accept": "1", "ws-protocols": [{"raw-echo": {"status": "ok", "raw": "1"}}]"#);
    assert!(classified(&folder, b"").ends_with("vhost localhost, role raw-skt, protocol raw-echo"));
}
