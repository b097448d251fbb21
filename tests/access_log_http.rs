//! The access log of http: a line for each request, whatever became of it, and nothing that a peer says leaves its field.

mod util;

use std::io::Read;
use std::time::Duration;

use proptest::prelude::*;
use rlws::{AccessLog, ClientCerts, ContextInfo, Listen, Mount, Options, VhostInfo};
use util::access::{Request, lines};
use util::certs::ca;
use util::http::{ask, read_head, read_response, request};
use util::server::make_vhost;
use util::tls::trusting;
use util::*;

fn vhost(site: &Site, log: &LogFile) -> impl FnOnce() -> VhostInfo + Send + 'static {
    let (root, log) = (site.root(), log.log.clone());
    move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        mounts: vec![Mount::files("/", root), Mount::redirect("/away", "https://x.test")],
        access_log: Some(log),
        ..Default::default()
    }
}

/// Sends bytes on a connection of their own, and takes what comes until the end.
fn exchange(port: u16, bytes: &[u8]) -> Vec<u8> {
    let mut client = connect(port);
    send(&mut client, bytes);
    half_close(&client);
    read_until_closed(&mut client).0
}

fn line_of(request: &Request) -> (&str, u16) {
    (&request.line, request.status)
}

#[test]
fn a_line_is_apaches_combined_format() {
    let (site, log) = (Site::new(), LogFile::new());
    let server = Server::with_vhost(vhost(&site, &log));
    let mut client = connect(server.made);
    let head = "GET /?a=1 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a \"b\"\r\nreferer: http://x.test/\r\n\r\n";
    send(&mut client, head.as_bytes());
    read_response(&mut client);
    let line = log.lines(1).remove(0);
    let (before, after) = line.split_once("] ").expect("a time");
    assert!(before.starts_with("127.0.0.1 - - ["), "{line}");
    let length = site::INDEX.len();
    assert_eq!(after, format!(r#""GET /?a=1 HTTP/1.1" 200 {length} "http://x.test/" "a \"b\"""#));
    assert_eq!(Request::parse(&line).user_agent, r#"a \"b\""#);
}

#[test]
fn every_answer_is_logged_with_its_status_and_the_bytes_of_its_body() {
    let (site, log) = (Site::new(), LogFile::new());
    let server = Server::with_vhost(vhost(&site, &log));
    let long = format!("GET /{} HTTP/1.1\r\n", "a".repeat(20_000));
    let asked: &[(&str, &str, u16)] = &[
        ("GET / HTTP/1.0\r\n\r\n", "GET / HTTP/1.0", 200),
        ("GET /empty.txt HTTP/1.0\r\n\r\n", "GET /empty.txt HTTP/1.0", 200),
        ("GET /nothing.html HTTP/1.0\r\n\r\n", "GET /nothing.html HTTP/1.0", 404),
        ("GET /folder HTTP/1.0\r\n\r\n", "GET /folder HTTP/1.0", 301),
        ("GET /away/x HTTP/1.0\r\n\r\n", "GET /away/x HTTP/1.0", 301),
        ("GET /escape.txt HTTP/1.0\r\n\r\n", "GET /escape.txt HTTP/1.0", 403),
        ("GET /strange.qqq HTTP/1.0\r\n\r\n", "GET /strange.qqq HTTP/1.0", 415),
        ("DELETE / HTTP/1.0\r\n\r\n", "DELETE / HTTP/1.0", 405),
        ("POST / HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc", "POST / HTTP/1.0", 405),
        ("GET /% HTTP/1.0\r\n\r\n", "GET /% HTTP/1.0", 400),
        ("GET / HTTP/1.1\r\n\r\n", "GET / HTTP/1.1", 400),
        ("GET / HTTP/1.1\nHost: a\n\n", "GET / HTTP/1.1", 400),
        ("GET / HTTP/1.0\r\nHo", "GET / HTTP/1.0", 400),
        ("GET /cut", "GET /cut", 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "PRI * HTTP/2.0", 505),
        ("SSH-2.0-x\r\n", "SSH-2.0-x", 400),
        ("\x16\x03\x01 no tls here", r"\x16\x03\x01 no tls here", 400),
        (&long, &format!("GET /{}...", "a".repeat(rlws::limits::ACCESS_LOG_FIELD - 11)), 414),
    ];
    for (count, (bytes, line, status)) in asked.iter().enumerate() {
        let got = exchange(server.made, bytes.as_bytes());
        let body = got.windows(4).position(|end| end == b"\r\n\r\n").expect("a head") + 4;
        let logged = log.requests(count + 1).pop().expect("a line");
        assert_eq!(line_of(&logged), (*line, *status));
        assert_eq!(logged.bytes, (got.len() - body) as u64, "{line}");
    }
    server.assert_nothing_left();
}

#[test]
fn a_head_has_no_bytes() {
    let (site, log) = (Site::new(), LogFile::new());
    let server = Server::with_vhost(vhost(&site, &log));
    let mut client = connect(server.made);
    send(&mut client, request("HEAD", "localhost", "/").as_bytes());
    read_head(&mut client);
    assert!(log.lines(1)[0].contains(r#""HEAD / HTTP/1.1" 200 - "-" "-""#));
}

#[test]
fn pipelined_requests_are_logged_in_their_order() {
    let (site, log) = (Site::new(), LogFile::new());
    site.write("large.txt", &vec![b'x'; 3_000_000]);
    let server = Server::with_vhost(vhost(&site, &log));
    let paths: Vec<String> =
        (0..60).map(|n| if n % 20 == 3 { "/large.txt".into() } else { format!("/?{n}") }).collect();
    let mut client = connect(server.made);
    let all: String = paths.iter().map(|path| request("GET", "localhost", path)).collect();
    send(&mut client, all.as_bytes());
    let bodies: Vec<u64> = paths.iter().map(|_| read_response(&mut client).body.len() as u64).collect();
    let logged = log.requests(paths.len());
    for (request, (path, body)) in logged.iter().zip(paths.iter().zip(bodies)) {
        assert_eq!((request.line.clone(), request.bytes), (format!("GET {path} HTTP/1.1"), body));
    }
}

#[test]
fn a_response_that_is_cut_off_is_logged_as_far_as_it_came() {
    const LENGTH: usize = 64 * 1024 * 1024;
    let (site, log) = (Site::new(), LogFile::new());
    site.write("huge.bin", &vec![0; LENGTH]);
    let server = Server::with_vhost(vhost(&site, &log));
    let mut client = connect(server.made);
    send(&mut client, request("GET", "localhost", "/huge.bin").as_bytes());
    read_head(&mut client);
    let read = 1_000_000;
    read_exactly(&mut client, read);
    reset(client);
    let logged = log.requests(1).remove(0);
    assert_eq!(line_of(&logged), ("GET /huge.bin HTTP/1.1", 200));
    assert!((read as u64..LENGTH as u64 / 2).contains(&logged.bytes), "{logged:?}");
    server.assert_nothing_left();
}

#[test]
fn a_request_that_stops_half_way_is_logged_with_the_answer_it_got() {
    let (site, log) = (Site::new(), LogFile::new());
    let patience = Duration::from_secs(600);
    let info = ContextInfo { timeout: patience, ..Default::default() };
    let server = Server::with_vhost_in(info, vhost(&site, &log));
    let mut client = connect(server.made);
    send(&mut client, b"GET /slow HTTP/1.1\r\nUser-Agent: snail\r\n");
    server.wait_for_connections(1);
    server.let_pass(patience);
    assert_eq!(read_response(&mut client).status, 408);
    let logged = log.requests(1).remove(0);
    assert_eq!((line_of(&logged), &*logged.user_agent), (("GET /slow HTTP/1.1", 408), "snail"));
}

#[test]
fn a_client_that_vanishes_in_the_middle_of_a_head_is_logged_with_what_came() {
    let (site, log) = (Site::new(), LogFile::new());
    let server = Server::with_vhost(vhost(&site, &log));
    let mut client = connect(server.made);
    send(&mut client, b"GET /gone HTTP/1.1\r\nUser-Agent: ghost\r\n");
    let seen = || server.ask(|context| context.cx().wsi_count() > 1);
    eventually("it is there", seen);
    server.turn();
    reset(client);
    let logged = log.requests(1).remove(0);
    assert_eq!((line_of(&logged), &*logged.user_agent, logged.bytes), (("GET /gone HTTP/1.1", 400), "ghost", 0));
    server.assert_nothing_left();
}

/// What was answered is one line, however the connection ends.
#[test]
fn a_client_that_vanishes_between_requests_has_no_line_more() {
    let (site, log) = (Site::new(), LogFile::new());
    site.write("a.txt", b"a");
    let server = Server::with_vhost(vhost(&site, &log));
    let mut client = connect(server.made);
    assert_eq!(util::http::ask(&mut client, "localhost", "/a.txt").status, 200);
    reset(client);
    server.assert_nothing_left();
    assert_eq!(line_of(&log.requests(1)[0]), ("GET /a.txt HTTP/1.1", 200));
}

#[test]
fn a_request_is_in_the_log_of_the_vhost_that_its_host_names() {
    let (site, first, second) = (Site::new(), LogFile::new(), LogFile::new());
    let (one, two) = (vhost(&site, &first), vhost(&site, &second));
    let server = Server::start(move |context| {
        let port = make_vhost(context, one());
        make_vhost(context, VhostInfo { name: "second.test".into(), ..two() });
        make_vhost(
            context,
            VhostInfo { name: "silent.test".into(), listen: Listen::on("127.0.0.1", 0), ..Default::default() },
        );
        port
    });
    let mut client = connect(server.made);
    for host in ["localhost", "second.test", "silent.test", "localhost"] {
        ask(&mut client, host, &format!("/?{host}"));
    }
    let of = |log: &LogFile, count| -> Vec<String> { log.requests(count).into_iter().map(|it| it.line).collect() };
    assert_eq!(of(&first, 2), ["GET /?localhost HTTP/1.1"; 2]);
    assert_eq!(of(&second, 1), ["GET /?second.test HTTP/1.1"]);
}

#[test]
fn redirects_to_https_and_misdirected_requests_are_logged() {
    let (site, log) = (Site::new(), LogFile::new());
    let (one, two) = (vhost(&site, &log), vhost(&site, &log));
    let server = Server::start(move |context| {
        let tls = |name: &str| ca().server(&[name]).tls_info();
        let options = Options::REDIRECT_HTTP_TO_HTTPS;
        let port = make_vhost(context, VhostInfo { tls: Some(tls("localhost")), options, ..one() });
        let demanding = rlws::TlsInfo { client_certs: ClientCerts::Required { ca: ca().pem() }, ..tls("locked.test") };
        make_vhost(context, VhostInfo { name: "locked.test".into(), tls: Some(demanding), ..two() });
        port
    });
    ask(&mut connect(server.made), "localhost", "/plain");
    let mut client = trusting().connect(server.made, "localhost");
    for host in ["localhost", "locked.test"] {
        send(&mut client, request("GET", host, "/").as_bytes());
        read_response(&mut client);
    }
    let logged = log.requests(3);
    let statuses: Vec<_> = logged.iter().map(|request| request.status).collect();
    assert_eq!(statuses, [301, 200, 421]);
    assert_eq!(logged[1].bytes, site::INDEX.len() as u64);
}

#[test]
fn all_that_was_served_is_written_when_the_context_goes() {
    let (site, log) = (Site::new(), LogFile::new());
    site.write("huge.bin", &vec![0; 64 * 1024 * 1024]);
    let server = Server::with_vhost(vhost(&site, &log));
    let mut client = connect(server.made);
    for n in 0..500 {
        ask(&mut client, "localhost", &format!("/?{n}"));
    }
    // One is still on its way.
    send(&mut client, request("GET", "localhost", "/huge.bin").as_bytes());
    read_head(&mut client);
    drop(server);
    let lines = lines(&log.path());
    assert_eq!(lines.len(), 501);
    assert_eq!(Request::parse(&lines[500]).line, "GET /huge.bin HTTP/1.1");
}

#[test]
fn a_log_may_be_a_file_that_was_opened_before() {
    let (site, log) = (Site::new(), LogFile::new());
    let path = log.path().with_file_name("given.log");
    std::fs::write(&path, "what was there\n").expect("write");
    let file = std::fs::OpenOptions::new().write(true).open(&path).expect("open");
    let given = AccessLog::new(file);
    let info = vhost(&site, &log);
    let server = Server::with_vhost(move || VhostInfo { access_log: Some(given), ..info() });
    ask(&mut connect(server.made), "localhost", "/");
    drop(server);
    let lines = lines(&path);
    assert_eq!((lines.len(), &*lines[0]), (2, "what was there"));
    assert_eq!(Request::parse(&lines[1]).status, 200);
}

#[test]
fn no_request_leaves_its_line() {
    let (site, log) = (Site::new(), LogFile::new());
    let server = Server::with_vhost(vhost(&site, &log));
    let port = server.made;
    let count = std::cell::Cell::new(0);
    let field = prop::collection::vec(any::<u8>(), 0..40);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 300, ..Default::default() });
    let outcome = runner.run(&(field.clone(), field.clone(), field, any::<bool>()), |(path, referer, agent, ends)| {
        let mut bytes = b"GET /".to_vec();
        bytes.extend(&path);
        for (name, value) in [(&b" HTTP/1.1\r\nHost: a\r\nReferer: "[..], &referer), (b"\r\nUser-Agent: ", &agent)] {
            bytes.extend_from_slice(name);
            bytes.extend(value);
        }
        bytes.extend_from_slice(if ends { b"\r\n\r\n" } else { b"" });
        // Only the first request is asked for here.
        let mut client = connect(port);
        send(&mut client, &bytes);
        half_close(&client);
        let mut got = Vec::new();
        let _a_reset_is_fine = client.read_to_end(&mut got);
        let answers = got.windows(9).filter(|bytes| bytes == b"HTTP/1.1 ").count();
        count.set(count.get() + answers);
        prop_assert!(answers > 0);
        Ok(())
    });
    outcome.expect("every request is answered");
    // As many lines as answers, each in the form of a request.
    log.requests(count.get());
}
