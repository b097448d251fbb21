//! Bodies of requests on their way to a protocol: large ones, slow ones, protocols that take their time.

mod util;

use std::process::Command;
use std::time::Duration;

use rlws::{
    Call, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Response, Verdict, VhostCall, VhostInfo, limits,
};
use util::http::{ask, read_head, read_response, request};
use util::*;

/// Counts and sums bytes, by path: as they come, with pauses, or back to who sent them.
struct Sink;

#[derive(Default)]
struct Pss {
    path: String,
    bytes: u64,
    sum: u64,
    largest: usize,
    pauses: u32,
}

impl Protocol for Sink {
    const NAME: &'static str = "sink";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = Pss;
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), rlws::InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss, .. } = call;
        match reason {
            Reason::Http(request) => {
                pss.path = request.path().to_owned();
                if pss.path == "/paused" {
                    wsi.rx_flow_control(false);
                    wsi.set_timer(cx, Duration::from_millis(1));
                }
                if pss.path == "/echo" {
                    wsi.respond(Response::new(200)).expect("a response");
                }
            }
            Reason::HttpBody(data) => {
                pss.bytes += data.len() as u64;
                pss.sum += data.iter().map(|byte| u64::from(*byte)).sum::<u64>();
                pss.largest = pss.largest.max(data.len());
                match &*pss.path {
                    "/paused" if pss.pauses < 20 => {
                        pss.pauses += 1;
                        wsi.rx_flow_control(false);
                        wsi.set_timer(cx, Duration::from_millis(1));
                    }
                    "/echo" => wsi.write(data).expect("nothing is read while output waits"),
                    _ => {}
                }
            }
            Reason::Timer => wsi.rx_flow_control(true),
            Reason::HttpBodyCompletion if pss.path == "/echo" => wsi.transaction_completed(),
            Reason::HttpBodyCompletion => {
                assert!(pss.largest <= limits::SERVICE_BUFFER, "{}", pss.largest);
                wsi.return_http_status(200, Some(&format!("{} {}", pss.bytes, pss.sum)));
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn serve() -> Server {
    Server::with_vhost(|| VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<Sink>()],
        mounts: vec![Mount::callback("/", "sink").max_body(u64::MAX), Mount::callback("/small", "sink").max_body(10)],
        ..Default::default()
    })
}

fn told(bytes: &[u8]) -> String {
    format!("{} {}", bytes.len(), bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>())
}

#[test]
fn curl_uploads_fifty_megabytes_however_its_protocol_takes_them() {
    let server = serve();
    let folder = tempfile::tempdir().expect("a folder");
    let (file, bytes) = (folder.path().join("big"), random_bytes(7, 50_000_000));
    std::fs::write(&file, &bytes).expect("write");
    for path in ["/", "/paused"] {
        for header in ["X-A: length", "Transfer-Encoding: chunked"] {
            let mut curl = Command::new(require("curl"));
            curl.args(["-sS", "--fail", "--noproxy", "*", "-H", header, "-T"]).arg(&file);
            let out = succeed(curl.arg(format!("http://127.0.0.1:{}{path}", server.made)));
            assert_eq!(String::from_utf8_lossy(&out), told(&bytes), "{path} {header}");
        }
    }
    server.assert_nothing_left();
}

#[test]
fn a_body_is_answered_while_it_comes() {
    let server = serve();
    let mut stream = connect(server.made);
    send(&mut stream, b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    assert_eq!(read_head(&mut stream).header("transfer-encoding"), Some("chunked"));
    for part in ["hello", "world"] {
        send(&mut stream, part.as_bytes());
        let chunk = format!("5\r\n{part}\r\n");
        assert_eq!(read_exactly(&mut stream, chunk.len()), chunk.as_bytes());
    }
    assert_eq!(read_exactly(&mut stream, 5), b"0\r\n\r\n");
    send(&mut stream, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n!");
    assert_eq!(read_response(&mut stream).text(), "1 33");
}

#[test]
fn the_limit_of_a_body_is_its_mounts() {
    let server = serve();
    let post = |framing: &str| {
        let mut stream = connect(server.made);
        send(&mut stream, format!("POST /small HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes());
        read_response(&mut stream).status
    };
    assert_eq!(post("Content-Length: 10\r\n\r\n0123456789"), 200);
    assert_eq!(post("Content-Length: 11\r\n\r\n"), 413);
    assert_eq!(post("Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n5\r\n56789\r\n0\r\n\r\n"), 200);
    assert_eq!(post("Transfer-Encoding: chunked\r\n\r\n5\r\n01234\r\n6\r\n"), 413);
}

#[test]
fn a_request_behind_a_body_is_answered_wherever_both_are_cut() {
    let server = serve();
    let bodies =
        ["Content-Length: 3\r\n\r\nabc", "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n2;x\r\nbc\r\n0\r\nT: 1\r\n\r\n"];
    for body in bodies {
        let both = format!("POST / HTTP/1.1\r\nHost: a\r\n{body}{}", request("GET", "a", "/"));
        for cut in 1..both.len() {
            let mut stream = connect(server.made);
            send(&mut stream, &both.as_bytes()[..cut]);
            server.turn();
            send(&mut stream, &both.as_bytes()[cut..]);
            assert_eq!(read_response(&mut stream).text(), "3 294", "cut at {cut} of {both:?}");
            assert_eq!(read_response(&mut stream).status, 404, "cut at {cut} of {both:?}");
        }
    }
}

#[test]
fn a_body_that_ends_too_early_is_400() {
    let server = serve();
    for framing in ["Content-Length: 3\r\n\r\nab", "Transfer-Encoding: chunked\r\n\r\n3\r\nab"] {
        let mut stream = connect(server.made);
        send(&mut stream, format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}").as_bytes());
        half_close(&stream);
        assert_eq!(read_response(&mut stream).status, 400, "{framing:?}");
        assert_eq!(read_to_end(&mut stream), b"");
    }
    let mut stream = connect(server.made);
    assert_eq!(ask(&mut stream, "a", "/").status, 404);
}
