//! Files over HTTP/1.1: what is served, what is refused, and how connections are kept.

mod util;

use std::io::Write;
use std::process::Command;
use std::time::Duration;

use rlws::{ContextInfo, Listen, Mount, Options, VhostInfo};
use util::http::{ask, get, read_head, read_response, request};
use util::*;

fn vhost(site: &Site) -> impl FnOnce() -> VhostInfo + Send + 'static {
    let root = site.root();
    move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        mounts: vec![Mount::files("/", root)],
        ..Default::default()
    }
}

fn serve(site: &Site) -> Server {
    Server::with_vhost(vhost(site))
}

/// What curl prints, with these arguments before the URL.
#[track_caller]
fn curl(server: &Server, args: &[&str], path: &str) -> String {
    let url = format!("http://127.0.0.1:{}{path}", server.made);
    let out = succeed(Command::new(require("curl")).args(["-sS", "--noproxy", "*"]).args(args).arg(url));
    String::from_utf8(out).expect("a text")
}

#[test]
fn curl_gets_a_page_and_the_default_file_of_a_folder() {
    let site = Site::new();
    let server = serve(&site);
    assert_eq!(curl(&server, &["--fail"], "/index.html"), site::INDEX);
    assert_eq!(curl(&server, &["--fail"], "/"), site::INDEX);
    assert_eq!(curl(&server, &["--fail"], "/folder/"), site::SUB_INDEX);
    assert_eq!(curl(&server, &["--fail", "-L"], "/folder"), site::SUB_INDEX);
    assert_eq!(curl(&server, &["--fail"], "/empty.txt"), "");
    assert_eq!(curl(&server, &["--fail"], "/style.css?version=7"), "body {}\n");
    server.assert_nothing_left();
}

#[test]
fn curl_sees_the_mime_type_of_each_kind_of_file() {
    let site = Site::new();
    let server = serve(&site);
    for (path, types) in [
        ("/", "text/html"),
        ("/style.css", "text/css"),
        ("/script.js", "text/javascript application/javascript"),
        ("/data.json", "application/json"),
        ("/image.png", "image/png"),
        ("/with%20space.txt", "text/plain"),
    ] {
        let told = curl(&server, &["--fail", "-o", "/dev/null", "-w", "%{content_type}"], path);
        let told = told.split(';').next().expect("split gives one at least");
        assert!(!told.is_empty() && types.split(' ').any(|known| known == told), "{path} is {told}");
    }
}

#[test]
fn curl_gets_several_pages_on_one_connection() {
    let site = Site::new();
    let server = serve(&site);
    let url = format!("http://127.0.0.1:{}", server.made);
    let mut command = Command::new(require("curl"));
    command.args(["-sS", "--noproxy", "*", "--fail", "-w", "%{num_connects} "]);
    for path in ["/", "/style.css", "/folder/"] {
        command.args(["-o", "/dev/null"]).arg(format!("{url}{path}"));
    }
    assert_eq!(succeed(&mut command), b"1 0 0 ");
}

#[test]
fn a_head_is_the_get_without_its_body() {
    let site = Site::new();
    let server = serve(&site);
    let mut stream = connect(server.made);
    let lines = |head: &str| {
        let mut lines: Vec<String> = head.lines().map(str::to_lowercase).collect();
        lines.retain(|line| !line.starts_with("date:"));
        lines
    };
    for path in ["/", "/none", "/empty.txt"] {
        let full = ask(&mut stream, "localhost", path);
        send(&mut stream, request("HEAD", "localhost", path).as_bytes());
        let head = read_head(&mut stream);
        assert_eq!(lines(&head.head), lines(&full.head), "{path}");
    }
}

#[test]
fn what_is_not_there_is_404_with_the_document_if_there_is_one() {
    let site = Site::new();
    let server = serve(&site);
    assert_eq!(get(server.made, "localhost", "/none").status, 404);
    assert_eq!(get(server.made, "localhost", "/index.html/").status, 404);

    let info = vhost(&site);
    let server = Server::with_vhost(|| VhostInfo { error_document_404: Some("/404.html".into()), ..info() });
    let answer = get(server.made, "localhost", "/none");
    assert_eq!((answer.status, answer.text()), (404, site::NOT_FOUND));
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/html")));
}

#[test]
fn nothing_outside_of_the_mount_is_ever_served() {
    let site = Site::new();
    let server = serve(&site);
    for path in [
        "/../secret.txt",
        "/folder/../../secret.txt",
        "/%2e%2e/secret.txt",
        "/%2E%2E%2Fsecret.txt",
        "/..%2fsecret.txt",
        "/.%2e/secret.txt",
        "/folder/%2e%2e/%2e%2e/secret.txt",
        "//../secret.txt",
        "/./../secret.txt",
        "/..\\secret.txt",
        "/%252e%252e/secret.txt",
        "/index.html%00/../../secret.txt",
        "/escape.txt",
        "../secret.txt",
        "/../site/../secret.txt",
        "http://localhost/../secret.txt",
    ] {
        let mut stream = connect(server.made);
        send(&mut stream, request("GET", "localhost", path).as_bytes());
        half_close(&stream);
        let (answer, _) = read_until_closed(&mut stream);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        let refused = ["400", "403", "404"].iter().any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(refused && !answer.contains(site::SECRET), "{path}: {answer}");
    }
    server.assert_nothing_left();
}

#[test]
fn percent_encoded_paths_are_decoded_once() {
    let site = Site::new();
    site.write("100%.txt", b"percent\n");
    site.write("a%20b.txt", b"literal\n");
    let server = serve(&site);
    let text = |path: &str| get(server.made, "localhost", path).text().to_owned();
    assert_eq!(text("/with%20space.txt"), "a space\n");
    assert_eq!(text("/%69ndex.html"), site::INDEX);
    assert_eq!(text("/100%25.txt"), "percent\n");
    assert_eq!(text("/a%2520b.txt"), "literal\n");
    let broken = get(server.made, "localhost", "/%zz").status;
    assert!(broken == 400 || broken == 404, "{broken}");
}

#[test]
fn a_connection_is_kept_until_either_side_says_close() {
    let site = Site::new();
    let server = serve(&site);
    let mut stream = connect(server.made);
    for _ in 0..3 {
        assert_eq!(ask(&mut stream, "localhost", "/").text(), site::INDEX);
        assert_eq!(ask(&mut stream, "localhost", "/none").status, 404);
    }
    send(&mut stream, b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let last = read_response(&mut stream);
    assert_eq!(last.header("connection").map(str::to_ascii_lowercase).as_deref(), Some("close"));
    assert_eq!(read_to_end(&mut stream), b"");

    let mut old = connect(server.made);
    send(&mut old, b"GET / HTTP/1.0\r\n\r\n");
    assert_eq!(read_response(&mut old).text(), site::INDEX);
    assert_eq!(read_to_end(&mut old), b"");
    server.assert_nothing_left_beside(2);
}

#[test]
fn a_client_that_half_closes_still_gets_its_answer() {
    let site = Site::new();
    let server = serve(&site);
    let mut stream = connect(server.made);
    send(&mut stream, request("GET", "localhost", "/").as_bytes());
    half_close(&stream);
    assert_eq!(read_response(&mut stream).text(), site::INDEX);
    assert_eq!(read_to_end(&mut stream), b"");
}

#[test]
fn an_idle_connection_is_closed_after_the_keepalive_timeout() {
    let site = Site::new();
    let info = vhost(&site);
    let server = Server::with_vhost(|| VhostInfo { keepalive_timeout: Duration::from_millis(100), ..info() });
    let mut stream = connect(server.made);
    assert_eq!(ask(&mut stream, "localhost", "/").status, 200);
    assert_eq!(read_to_end(&mut stream), b"");
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_request_that_stops_in_its_head_is_dropped_at_the_timeout() {
    let site = Site::new();
    let context = ContextInfo { timeout: Duration::from_millis(200), ..Default::default() };
    let server = Server::with_vhost_in(context, vhost(&site));
    for start in ["GET ", "GET / HTTP/1.1\r\n", "GET / HTTP/1.1\r\nHost: localho", "GET / HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = connect(server.made);
        send(&mut stream, start.as_bytes());
        let (answer, _) = read_until_closed(&mut stream);
        assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 408 "), "{}", shown(&answer));
    }
    server.assert_nothing_left();
}

#[test]
fn pipelined_requests_are_answered_in_their_order() {
    let site = Site::new();
    site.write("big.bin", &random_bytes(1, 3_000_000));
    let server = serve(&site);
    let mut stream = connect(server.made);
    let paths = ["/style.css", "/big.bin", "/none", "/", "/empty.txt", "/script.js"];
    let all: String = paths.iter().map(|path| request("GET", "localhost", path)).collect();
    send(&mut stream, all.as_bytes());
    let answers: Vec<_> = paths.iter().map(|_| read_response(&mut stream)).collect();
    let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    assert_eq!(statuses, [200, 200, 404, 200, 200, 200]);
    assert_eq!(answers[0].text(), "body {}\n");
    assert_same_bytes(&answers[1].body, &random_bytes(1, 3_000_000));
    assert_eq!(answers[3].text(), site::INDEX);
    assert_eq!(answers[4].text(), "");
    assert_eq!(answers[5].text(), "1;\n");
}

#[test]
fn a_hundred_pipelined_requests_cut_anywhere_get_a_hundred_answers() {
    let site = Site::new();
    let server = serve(&site);
    let mut stream = connect(server.made);
    let all = request("GET", "localhost", "/style.css").repeat(100);
    let mut sender = stream.try_clone().expect("dup");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for part in all.as_bytes().chunks(37) {
                send(&mut sender, part);
            }
            half_close(&sender);
        });
        for _ in 0..100 {
            assert_eq!(read_response(&mut stream).text(), "body {}\n");
        }
        assert_eq!(read_to_end(&mut stream), b"");
    });
}

#[test]
fn a_request_is_answered_the_same_wherever_it_was_cut() {
    let site = Site::new();
    let server = serve(&site);
    let request = "GET /with%20space.txt HTTP/1.1\r\nHost: localhost:80\r\nX-Long: abc\r\n\r\n".as_bytes();
    let mut stream = connect(server.made);
    for cut in 1..request.len() {
        send(&mut stream, &request[..cut]);
        server.turn();
        send(&mut stream, &request[cut..]);
        let answer = read_response(&mut stream);
        assert_eq!((answer.status, answer.text()), (200, "a space\n"), "cut at {cut}");
    }
}

#[test]
fn a_body_is_never_taken_for_a_request() {
    let site = Site::new();
    let server = serve(&site);
    let hidden = "GET /style.css HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = hidden.len();
    for framing in [
        format!("Content-Length: {length}\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{hidden}\r\n0\r\n\r\n"),
        format!("Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n{hidden}"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n\r\n{hidden}"),
    ] {
        for method in ["GET", "POST"] {
            let mut stream = connect(server.made);
            let bytes = format!("{method} / HTTP/1.1\r\nHost: localhost\r\n{framing}");
            // It may be refused before all of it was sent.
            let _ = stream.write_all(bytes.as_bytes());
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let (answer, _) = read_until_closed(&mut stream);
            let answer = String::from_utf8_lossy(&answer);
            assert!(answer.starts_with("HTTP/1.1 ") && !answer.contains("body {}"), "{bytes}\n{answer}");
        }
    }
}

#[test]
fn bad_requests_are_refused_and_their_connections_closed() {
    let site = Site::new();
    let server = serve(&site);
    for (request, statuses) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n".to_owned(), "400"),
        ("GET / HTTP/1.1\r\nHost : a\r\n\r\n".to_owned(), "400"),
        ("GET /\r\n\r\n".to_owned(), "400 505"),
        ("GET / HTTP/9.1\r\nHost: a\r\n\r\n".to_owned(), "400 505"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}\r\n\r\n", "x".repeat(1 << 20)), "400 431"),
        (format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: y\r\n".repeat(10_000)), "400 431"),
        (format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(1 << 20)), "400 414 431"),
    ] {
        let mut stream = connect(server.made);
        // The answer may come before all was sent.
        let _ = stream.write_all(request.as_bytes());
        let (answer, _) = read_until_closed(&mut stream);
        let answer = String::from_utf8_lossy(&answer);
        let refused = statuses.split(' ').any(|status| answer.starts_with(&format!("HTTP/1.1 {status} ")));
        assert!(refused, "{} got {}", shown(request.as_bytes()), shown(answer.as_bytes()));
    }
    server.assert_nothing_left();
}

#[test]
fn methods_that_files_do_not_have_are_refused() {
    let site = Site::new();
    let server = serve(&site);
    for method in ["POST", "PUT", "DELETE", "PATCH"] {
        let status = curl(&server, &["-X", method, "-o", "/dev/null", "-w", "%{http_code}"], "/");
        assert!(status == "405" || status == "501", "{method}: {status}");
    }
    assert_eq!(curl(&server, &["--fail"], "/"), site::INDEX);
}

#[test]
fn the_security_headers_come_when_they_are_asked_for() {
    let names = ["content-security-policy", "x-content-type-options", "referrer-policy"];
    let site = Site::new();
    let plain = get(serve(&site).made, "localhost", "/");
    assert!(names.iter().all(|name| plain.header(name).is_none()), "{}", plain.head);

    let info = vhost(&site);
    let options = Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE;
    let server = Server::with_vhost(move || VhostInfo { options, ..info() });
    for path in ["/", "/none"] {
        let secure = get(server.made, "localhost", path);
        assert!(names.iter().all(|name| secure.header(name).is_some()), "{}", secure.head);
        assert_eq!(secure.header("x-content-type-options"), Some("nosniff"));
    }
}

#[test]
fn the_server_string_is_sent() {
    let site = Site::new();
    let context = ContextInfo { server_string: "our own".into(), ..Default::default() };
    let server = Server::with_vhost_in(context, vhost(&site));
    let answer = get(server.made, "localhost", "/");
    assert_eq!(answer.header("server"), Some("our own"));
    assert!(answer.header("date").is_some_and(|date| date.ends_with(" GMT")), "{}", answer.head);
}

#[test]
fn the_longest_mount_wins() {
    let site = Site::new();
    let (root, folder) = (site.root(), site.root().join("folder"));
    let info = vhost(&site);
    let mounts = vec![Mount::files("/", root), Mount::files("/deep", folder)];
    let server = Server::with_vhost(move || VhostInfo { mounts, ..info() });
    assert_eq!(get(server.made, "localhost", "/").text(), site::INDEX);
    assert_eq!(get(server.made, "localhost", "/deep/").text(), site::SUB_INDEX);
    assert_eq!(get(server.made, "localhost", "/deep/index.html").text(), site::SUB_INDEX);
    assert_eq!(get(server.made, "localhost", "/deepest").status, 404);
}

#[test]
fn fifty_megabytes_arrive_whole_at_a_slow_reader_that_holds_nobody_up() {
    const SIZE: usize = 50 * 1024 * 1024;
    let site = Site::new();
    let bytes = random_bytes(2, SIZE);
    site.write("big.bin", &bytes);
    let server = serve(&site);
    let mut slow = connect(server.made);
    send(&mut slow, request("GET", "localhost", "/big.bin").as_bytes());
    let head = read_head(&mut slow);
    assert_eq!(head.header("content-length"), Some(SIZE.to_string().as_str()));
    let mut got = Vec::with_capacity(SIZE);
    while got.len() < SIZE {
        // In between, the others are served.
        assert_eq!(get(server.made, "localhost", "/").text(), site::INDEX);
        got.extend(read_exactly(&mut slow, (SIZE - got.len()).min(1 << 20)));
    }
    assert_same_bytes(&got, &bytes);
    assert_eq!(ask(&mut slow, "localhost", "/").text(), site::INDEX);
    drop(slow);
    server.assert_nothing_left();
}

#[test]
fn a_client_that_leaves_in_the_middle_of_a_file_leaves_nothing() {
    let site = Site::new();
    site.write("big.bin", &random_bytes(3, 20_000_000));
    let server = serve(&site);
    for end in [drop as fn(_), reset] {
        let mut stream = connect(server.made);
        send(&mut stream, request("GET", "localhost", "/big.bin").as_bytes());
        read_exactly(&mut stream, 100_000);
        end(stream);
    }
    server.assert_nothing_left();
}
