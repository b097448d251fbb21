//! Pages that a protocol makes: requests, responses, and how the connection goes on behind them.

mod util;

use std::io::Write;
use std::net::TcpStream;
use std::process::Command;
use std::time::{Duration, Instant};

use rlws::{
    Call, Interests, Listen, Mount, Options, Protocol, ProtocolTable, Pvo, Reason, RespondError, Response, Verdict,
    VhostCall, VhostInfo, WriteError,
};
use util::http::{ask, get, read_head, read_response, request};
use util::*;

/// Answers by path.
struct Pages;

#[derive(Default)]
struct Pss {
    turns: u32,
    body: Vec<u8>,
}

impl Protocol for Pages {
    const NAME: &'static str = "pages";
    const ROLES: &'static [&'static str] = &["http"];
    const INTERESTS: Interests = Interests::ADD_HEADERS;
    type Session = Pss;
    type Vhost = std::path::PathBuf;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Self::Vhost, rlws::InitError> {
        Ok(pvo.get("root").unwrap_or("/nowhere").into())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss, vhd } = call;
        let path = wsi.http_request().map(|request| request.path().to_owned()).unwrap_or_default();
        match reason {
            Reason::FilterHttpConnection(request) => match request.header_str("x-filter") {
                Some("close") => return Verdict::Close,
                Some(answer) => wsi.return_http_status(403, Some(answer)),
                None => {}
            },
            Reason::HttpConfirmUpgrade("no") => return Verdict::Close,
            Reason::AddHeaders => {
                wsi.add_http_header("X-Added", "yes").expect("a header");
                for name in ["content-type", "ETag", "Content-Range", "Content-Encoding", "Location", "Content-Length"]
                {
                    let error = wsi.add_http_header(name, "x").expect_err(name);
                    assert!(error.to_string().contains("itself"), "{error}");
                }
            }
            Reason::Http(request) => match request.path() {
                "/echo" => {
                    let mut text = format!(
                        "{} {} {:?} {:?} 1.{}\n",
                        request.method(),
                        request.target(),
                        request.below(),
                        request.host(),
                        request.version_minor()
                    );
                    request.args().for_each(|(name, value)| text += &format!("{name}={value}\n"));
                    text += &format!("cookie {:?}\n", request.cookie("id"));
                    wsi.respond_with(Response::new(200).content_type("text/plain"), text).expect("a response");
                }
                "/headers" => {
                    let response = Response::new(201).header("X-Own", "1").header("Cache-Control", "no-store");
                    wsi.respond_with(response, "made").expect("a response");
                    assert_eq!(wsi.respond(Response::new(200)), Err(RespondError::Answered));
                    assert_eq!(wsi.write(b"more"), Err(WriteError::Finished));
                }
                "/length" => {
                    wsi.respond(Response::new(200).content_length(5)).expect("a response");
                    wsi.write(b"he").expect("room");
                    wsi.callback_on_writable();
                }
                "/short" => {
                    wsi.respond(Response::new(200).content_length(5)).expect("a response");
                    wsi.write(b"he").expect("room");
                    wsi.transaction_completed();
                }
                "/chunks" => {
                    wsi.respond(Response::new(200).content_type("text/plain")).expect("a response");
                    wsi.callback_on_writable();
                }
                "/timer" => wsi.set_timer(cx, Duration::from_millis(1)),
                "/redirect" => wsi.http_redirect(303, "/echo?x=1"),
                "/file" => wsi.serve_http_file(vhd.join("index.html"), None),
                "/odd" => wsi.serve_http_file(vhd.join("odd.unknown"), Some("text/x-odd")),
                "/missing" => wsi.serve_http_file(vhd.join("missing.html"), None),
                "/folder" => wsi.serve_http_file(&vhd, Some("text/html")),
                "/close" => return Verdict::Close,
                "/empty" => wsi.respond_with(Response::new(204), "").expect("a response"),
                "/post" => {}
                "/early" => wsi.return_http_status(403, Some("no")),
                "/unanswered" => {}
                "/bad" => {
                    assert_eq!(wsi.respond(Response::new(99)), Err(RespondError::Status(99)));
                    assert_eq!(wsi.write(b"x"), Err(WriteError::NoResponse));
                    wsi.return_http_status(200, Some("told"));
                }
                _ => return rlws::protocols::http_dummy::callback(wsi, cx, reason),
            },
            Reason::HttpBody(data) => pss.body.extend_from_slice(data),
            Reason::HttpBodyCompletion if path == "/post" => {
                let text = format!("{} bytes: {}", pss.body.len(), String::from_utf8_lossy(&pss.body));
                wsi.respond_with(Response::new(200), text).expect("a response");
            }
            Reason::Timer => wsi.return_http_status(200, Some("in time")),
            Reason::HttpFileCompletion => assert!(wsi.is_flushed(), "it is not out yet"),
            Reason::HttpWriteable if path == "/length" => {
                assert_eq!(wsi.write(b"four"), Err(WriteError::BeyondLength { left: 3 }));
                wsi.write(b"llo").expect("room");
                wsi.transaction_completed();
            }
            Reason::HttpWriteable => {
                pss.turns += 1;
                wsi.write(format!("piece {}\n", pss.turns).as_bytes()).expect("room");
                match pss.turns {
                    3 => wsi.transaction_completed(),
                    _ => wsi.callback_on_writable(),
                }
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn serve() -> (Site, Server) {
    let site = Site::new();
    site.write("odd.unknown", b"odd");
    let root = site.root();
    let server = Server::with_vhost(move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<Pages>()],
        pvo: Pvo::default().with("pages", Pvo::default().with("root", root.to_str().expect("a text"))),
        mounts: vec![Mount::callback("/m", "pages"), Mount::files("/f", root).protocol("pages")],
        error_document_404: Some("/f/index.html".into()),
        headers: vec![("Cache-Control".into(), "max-age=1".into()), ("X-Vhost".into(), "v".into())],
        ..Default::default()
    });
    (site, server)
}

#[test]
fn a_protocol_sees_the_request() {
    let (_site, server) = serve();
    let mut stream = connect(server.made);
    send(
        &mut stream,
        b"GET http://a.test:80/echo?a=%41+b&c HTTP/1.1\r\nHost: x\r\nCookie: id=7\r\n\r\nGET /m/echo HTTP/1.1\r\nHost: y\r\n\r\n",
    );
    let first = read_response(&mut stream);
    assert_eq!(first.text(), "GET /echo?a=%41+b&c \"echo\" Some(\"a.test:80\") 1.1\na=A b\nc=\ncookie Some(\"7\")\n");
    assert_eq!(read_response(&mut stream).status, 404);
    drop(stream);
    server.assert_nothing_left();
}

#[test]
fn a_response_has_the_headers_of_all_who_add_some() {
    let (_site, server) = serve();
    let answer = get(server.made, "localhost", "/headers");
    assert_eq!((answer.status, answer.text()), (201, "made"));
    for (name, value) in [("x-own", "1"), ("cache-control", "no-store"), ("x-vhost", "v"), ("x-added", "yes")] {
        assert_eq!(answer.header(name), Some(value), "{}", answer.head);
    }
    assert_eq!(answer.head.matches("Cache-Control").count(), 1, "{}", answer.head);
    let status = get(server.made, "localhost", "/early");
    assert_eq!((status.status, status.header("x-added")), (403, Some("yes")));
}

/// What curl prints.
#[track_caller]
fn curl(server: &Server, args: &[&str], path: &str) -> String {
    let url = format!("http://127.0.0.1:{}{path}", server.made);
    let out = succeed(Command::new(require("curl")).args(["-sS", "--noproxy", "*"]).args(args).arg(url));
    String::from_utf8(out).expect("a text")
}

#[test]
fn a_body_of_unknown_length_comes_in_chunks_or_until_the_end() {
    let (_site, server) = serve();
    let pieces = "piece 1\npiece 2\npiece 3\n";
    let one_one = curl(&server, &["-i"], "/chunks");
    assert!(one_one.contains("Transfer-Encoding: chunked\r\n") && one_one.ends_with(pieces), "{one_one}");
    let one_oh = curl(&server, &["-i", "--http1.0"], "/chunks");
    assert!(one_oh.contains("Connection: close\r\n") && !one_oh.contains("Transfer-Encoding"), "{one_oh}");
    assert!(one_oh.ends_with(pieces), "{one_oh}");
    let declared = curl(&server, &["-i"], "/length");
    assert!(declared.contains("Content-Length: 5\r\n") && declared.ends_with("\r\n\r\nhello"), "{declared}");
    assert_eq!(curl(&server, &[], "/timer"), "in time");
    assert_eq!(
        curl(&server, &["-L"], "/redirect"),
        "GET /echo?x=1 \"echo\" Some(\"127.0.0.1:PORT\") 1.1\nx=1\ncookie None\n"
            .replace("PORT", &server.made.to_string())
    );
}

#[test]
fn a_response_without_a_body_has_none_whatever_is_written() {
    let (_site, server) = serve();
    let mut stream = connect(server.made);
    for path in ["/echo", "/chunks", "/length", "/headers"] {
        send(&mut stream, request("HEAD", "localhost", path).as_bytes());
        assert!(matches!(read_head(&mut stream).status, 200 | 201), "{path}");
    }
    assert_eq!(ask(&mut stream, "localhost", "/empty").status, 204);
    assert_eq!(ask(&mut stream, "localhost", "/headers").text(), "made");
}

#[test]
fn a_protocol_serves_a_file() {
    let (_site, server) = serve();
    let mut stream = connect(server.made);
    let file = ask(&mut stream, "localhost", "/file");
    assert_eq!((file.status, file.text()), (200, site::INDEX));
    assert!(file.header("content-type").is_some_and(|kind| kind.starts_with("text/html")), "{}", file.head);
    assert_eq!(ask(&mut stream, "localhost", "/odd").header("content-type"), Some("text/x-odd"));
    let missing = ask(&mut stream, "localhost", "/missing");
    assert_eq!(missing.status, 404);
    assert!(!missing.text().contains(site::INDEX), "nobody has asked the protocol of the document's mount");
    assert_eq!(ask(&mut stream, "localhost", "/folder").status, 403);
    let twice = request("GET", "localhost", "/f/index.html").repeat(2);
    send(&mut stream, twice.as_bytes());
    for _ in 0..2 {
        assert_eq!(
            read_response(&mut stream).text(),
            site::INDEX,
            "one by one, or the completion would come too early"
        );
    }
    let mounted = ask(&mut stream, "localhost", "/f/index.html");
    assert_eq!((mounted.text(), mounted.header("x-added")), (site::INDEX, Some("yes")));
    send(&mut stream, b"GET /f/index.html HTTP/1.1\r\nHost: a\r\nX-Filter: turned down\r\n\r\n");
    let refused = read_response(&mut stream);
    assert_eq!((refused.status, refused.text()), (403, "turned down"));
}

#[test]
fn what_nobody_answers_is_404_and_what_is_closed_403() {
    let (_site, server) = serve();
    let mut stream = connect(server.made);
    assert_eq!(ask(&mut stream, "localhost", "/unanswered").status, 404);
    assert_eq!(ask(&mut stream, "localhost", "/bad").text(), "told");
    assert_eq!(ask(&mut stream, "localhost", "/close").status, 403);
    assert_eq!(read_to_end(&mut stream), b"");
    let mut stream = connect(server.made);
    send(&mut stream, b"GET /echo HTTP/1.1\r\nHost: a\r\nX-Filter: close\r\n\r\n");
    assert_eq!(read_response(&mut stream).status, 403);
    assert_eq!(read_to_end(&mut stream), b"");
    server.assert_nothing_left_beside(2);
}

#[test]
fn a_response_that_ends_too_early_ends_its_connection() {
    let (_site, server) = serve();
    let mut stream = connect(server.made);
    send(&mut stream, request("GET", "a", "/short").as_bytes());
    assert_eq!(read_head(&mut stream).header("content-length"), Some("5"));
    assert_eq!(read_to_end(&mut stream), b"he");
    server.wait_for_log(&["WARN", "pages", "3 bytes too early"]);
    server.wait_for_log(&["pages: ClosedHttp"]);
}

#[test]
fn what_a_protocol_does_wrong_for_each_of_its_peers_is_told_once_a_second() {
    let (_site, server) = serve();
    let begun = Instant::now();
    for _ in 0..5 {
        let mut stream = connect(server.made);
        send(&mut stream, request("GET", "a", "/short").as_bytes());
        read_until_closed(&mut stream);
    }
    server.assert_warned_seldom("too early", 5, begun);
}

#[test]
fn an_upgrade_is_ignored_or_refused() {
    let (_site, server) = serve();
    let upgrade = |to: &str| {
        let mut stream = connect(server.made);
        let text =
            format!("GET /headers HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: {to}\r\n\r\n");
        send(&mut stream, text.as_bytes());
        read_response(&mut stream).status
    };
    assert_eq!((upgrade("websocket"), upgrade("no")), (201, 403));
}

#[test]
fn a_body_comes_to_its_protocol_however_it_is_framed() {
    let (_site, server) = serve();
    let mut stream = connect(server.made);
    for (framing, answer) in [
        ("Content-Length: 5\r\n\r\nhello", "5 bytes: hello"),
        ("Content-Length: 0\r\n\r\n", "0 bytes: "),
        ("\r\n", "0 bytes: "),
        ("Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\nX: t\r\n\r\n", "5 bytes: hello"),
    ] {
        let text = format!("POST /post HTTP/1.1\r\nHost: a\r\n{framing}");
        send(&mut stream, text.as_bytes());
        assert_eq!(read_response(&mut stream).text(), answer, "{framing:?}");
        for byte in text.as_bytes() {
            stream.write_all(&[*byte]).expect("it reads");
        }
        assert_eq!(read_response(&mut stream).text(), answer, "{framing:?} byte by byte");
    }
    drop(stream);
    server.assert_nothing_left();
}

#[test]
fn curl_posts_a_megabyte_and_waits_for_its_continue() {
    let (site, server) = serve();
    site.write("big", &[b'x'; 1024 * 1024]);
    let big = format!("@{}", site.root().join("big").display());
    let answer = curl(&server, &["--fail", "-H", "Expect: 100-continue", "--data-binary", &big], "/post");
    assert!(answer.starts_with("1048576 bytes: xxx"), "{:.100}", answer);
    let chunked = curl(&server, &["--fail", "-H", "Transfer-Encoding: chunked", "--data-binary", &big], "/post");
    assert!(chunked.starts_with("1048576 bytes: xxx"), "{:.100}", chunked);
}

#[test]
fn a_continue_comes_only_where_the_body_is_wanted() {
    let (_site, server) = serve();
    let expecting = |path: &str| {
        let mut stream = connect(server.made);
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
        send(&mut stream, head.as_bytes());
        let first = read_head(&mut stream);
        (first, stream)
    };
    let (first, mut stream) = expecting("/post");
    assert_eq!(first.status, 100);
    send(&mut stream, b"abc");
    assert_eq!(read_response(&mut stream).text(), "3 bytes: abc");
    assert_eq!(ask(&mut stream, "localhost", "/headers").text(), "made");
    let (first, mut stream) = expecting("/early");
    assert_eq!((first.status, first.header("connection")), (403, Some("close")));
    assert_eq!(read_to_end(&mut stream), b"no");
    let mut stream = connect(server.made);
    send(&mut stream, b"GET / HTTP/1.1\r\nHost: a\r\nExpect: the-unexpected\r\n\r\n");
    assert_eq!(read_response(&mut stream).status, 417);
}

#[test]
fn a_body_that_is_too_large_is_413() {
    let (_site, server) = serve();
    let over = rlws::limits::HTTP_BODY + 1;
    for framing in
        [format!("Content-Length: {over}\r\n\r\n"), format!("Transfer-Encoding: chunked\r\n\r\n{over:x}\r\n")]
    {
        let mut stream = connect(server.made);
        send(&mut stream, format!("POST /post HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes());
        let answer = read_response(&mut stream);
        assert_eq!((answer.status, answer.header("connection")), (413, Some("close")), "{framing}");
        drop(stream);
    }
    server.assert_nothing_left();
}

#[test]
fn a_malformed_body_is_400_and_its_connection_ends() {
    let (_site, server) = serve();
    let mut stream = connect(server.made);
    send(&mut stream, b"POST /post HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\nabc\n0\n\n");
    let answer = read_response(&mut stream);
    assert_eq!((answer.status, answer.header("x-added")), (400, Some("yes")));
    assert_eq!(read_to_end(&mut stream), b"");
}

#[test]
fn an_answer_before_the_bodys_end_arrives_and_the_rest_is_discarded() {
    let (_site, server) = serve();
    let mut stream = connect(server.made);
    for path in ["/early", "/f/index.html"] {
        let body = random_bytes(5, 300_000);
        let head = format!("POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        send(&mut stream, head.as_bytes());
        send(&mut stream, &body);
        assert!(matches!(read_response(&mut stream).status, 403 | 405), "{path}");
    }
    assert_eq!(ask(&mut stream, "localhost", "/headers").text(), "made");
    let huge = format!("POST /early HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", rlws::limits::HTTP_BODY);
    send(&mut stream, huge.as_bytes());
    assert_eq!(read_response(&mut stream).status, 403);
    drop(stream);
    server.assert_nothing_left();
}

fn raw(server: &Server, text: &str) -> (util::http::Response, TcpStream) {
    let mut stream = connect(server.made);
    send(&mut stream, text.as_bytes());
    (read_response(&mut stream), stream)
}

#[test]
fn what_is_asked_of_the_server_itself_is_answered() {
    let (_site, server) = serve();
    let (options, _) = raw(&server, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(options.status == 204 && options.header("allow").is_some_and(|allow| allow.contains("GET")), "{options:?}");
    for (line, status) in
        [("TRACE /", 405), ("CONNECT a:1", 405), ("OPTIONS /f/index.html", 204), ("PUT /f/index.html", 405)]
    {
        let (answer, _) = raw(&server, &format!("{line} HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"));
        assert_eq!(answer.status, status, "{line}");
        assert!(answer.header("allow").is_some(), "{line}: {}", answer.head);
    }
}

#[test]
fn an_upgrade_of_a_strict_vhost_needs_the_vhosts_own_name() {
    let server = Server::with_vhost(|| VhostInfo {
        name: "own.test".into(),
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<Pages>()],
        options: Options::VHOST_UPG_STRICT_HOST_CHECK,
        ..Default::default()
    });
    let asked = |host: &str, upgrade: &str| {
        raw(&server, &format!("GET /headers HTTP/1.1\r\nHost: {host}\r\n{upgrade}\r\n")).0.status
    };
    let upgrade = "Connection: Upgrade\r\nUpgrade: websocket\r\n";
    for (host, status) in [("own.test", 201), ("OWN.test:80", 201), ("other.test", 403), ("www.own.test", 403)] {
        assert_eq!(asked(host, upgrade), status, "{host}");
        assert_eq!(asked(host, ""), 201, "{host} without an upgrade");
    }
}
