//! Responses that are made in their own time: streams with backpressure, Server-Sent Events, long polls, and clients that leave.

mod util;

use std::io::Read;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rlws::{
    Call, Context, Listen, Protocol, ProtocolTable, Pvo, Reason, Response, Verdict, VhostCall, VhostId, VhostInfo,
    limits,
};
use util::http::{ask, read_head, request};
use util::*;

const BIG: usize = 50 * 1024 * 1024;
const PIECE: usize = 100_000;

static CLOSED: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);

/// Streams by path.
struct Streams;

#[derive(Default)]
struct Pss {
    path: String,
    sent: usize,
}

impl Protocol for Streams {
    const NAME: &'static str = "streams";
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
                match request.path() {
                    "/big" | "/half" => {
                        wsi.respond(Response::new(200).content_type("application/octet-stream")).expect("a response");
                        wsi.callback_on_writable();
                    }
                    "/events" => {
                        let events = Response::new(200).content_type("text/event-stream");
                        wsi.respond(events.header("Cache-Control", "no-cache")).expect("a response");
                        wsi.write(b": hello\n\n").expect("room");
                    }
                    "/poll" => wsi.answer_later(),
                    "/patient" => {
                        wsi.allow_half_close();
                        wsi.answer_later();
                    }
                    "/ticks" => {
                        wsi.respond(Response::new(200).content_type("text/event-stream")).expect("a response");
                        wsi.set_timer(cx, Duration::from_millis(1));
                    }
                    _ => wsi.return_http_status(200, Some("here")),
                }
            }
            Reason::HttpWriteable => {
                let piece = vec![b'a' + (pss.sent / PIECE % 26) as u8; PIECE.min(BIG - pss.sent)];
                assert!(wsi.tx_room() >= PIECE, "everything before has been sent");
                wsi.write(&piece).expect("room");
                pss.sent += piece.len();
                match (&*pss.path, pss.sent) {
                    ("/half", sent) if sent > BIG / 50 => return Verdict::Close,
                    (_, BIG) => wsi.transaction_completed(),
                    _ => wsi.callback_on_writable(),
                }
            }
            Reason::Timer => {
                pss.sent += 1;
                wsi.write(format!("data: {}\n\n", pss.sent).as_bytes()).expect("room");
                match pss.sent {
                    5 => wsi.transaction_completed(),
                    _ => wsi.set_timer(cx, Duration::from_millis(1)),
                }
            }
            Reason::User(n) if pss.path == "/events" => {
                wsi.write(format!("data: {n}\n\n").as_bytes()).expect("room");
                if n == 0 {
                    wsi.transaction_completed();
                }
            }
            Reason::User(n) => wsi.return_http_status(200, Some(&n.to_string())),
            Reason::ClosedHttp => {
                CLOSED.fetch_add(1, Ordering::SeqCst);
                assert!(wsi.close_reason().is_some() && wsi.write(b"x").is_err());
            }
            Reason::HttpDropProtocol => {
                DROPPED.fetch_add(1, Ordering::SeqCst);
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn info() -> VhostInfo {
    VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<Streams>()],
        ..Default::default()
    }
}

/// The port, and the vhost for [`tell`].
fn serve() -> Server<(u16, VhostId)> {
    Server::start(|context: &mut Context| {
        let vhost = context.create_vhost(info()).expect("create_vhost");
        (context.cx().listen_port(vhost).expect("it listens"), vhost)
    })
}

/// Everybody who is bound hears a number.
fn tell(server: &Server<(u16, VhostId)>, n: u32) {
    let vhost = server.made.1;
    server.ask(move |context| context.cx().callback_all_protocol(vhost, "streams", n));
}

fn curl(port: u16, args: &[&str], path: &str) -> Vec<u8> {
    let url = format!("http://127.0.0.1:{port}{path}");
    succeed(Command::new(require("curl")).args(["-sS", "--noproxy", "*"]).args(args).arg(url))
}

fn big() -> Vec<u8> {
    (0..BIG).map(|at| b'a' + (at / PIECE % 26) as u8).collect()
}

#[test]
fn fifty_megabytes_are_streamed_to_each_version_of_http() {
    let server = serve();
    for args in [&["--fail"][..], &["--fail", "--http1.0"]] {
        assert_same_bytes(&curl(server.made.0, args, "/big"), &big());
    }
}

#[test]
fn streams_are_the_same_over_tls() {
    let tls = Some(certs::localhost().tls_info());
    let server = Server::with_vhost(move || VhostInfo { name: "localhost".into(), tls, ..info() });
    let url = |path: &str| format!("https://127.0.0.1:{}{path}", server.made);
    let curl =
        |path: &str| succeed(Command::new(require("curl")).args(["-sSk", "--fail", "--noproxy", "*"]).arg(url(path)));
    assert_same_bytes(&curl("/big"), &big());
    assert!(curl("/ticks").ends_with(b"data: 5\n\n"));
}

#[test]
fn a_stream_waits_for_a_slow_reader_and_holds_nobody_up() {
    let server = serve();
    let mut slow = connect(server.made.0);
    send(&mut slow, b"GET /big HTTP/1.0\r\n\r\n");
    read_head(&mut slow);
    let mut other = connect(server.made.0);
    let mut got = Vec::with_capacity(BIG);
    let mut piece = vec![0; 1 << 20];
    while got.len() < BIG {
        assert_eq!(ask(&mut other, "a", "/").text(), "here");
        let n = slow.read(&mut piece).expect("it reads");
        assert!(n > 0, "it ended after {} bytes", got.len());
        got.extend_from_slice(&piece[..n]);
    }
    assert_same_bytes(&got, &big());
    assert_eq!(read_to_end(&mut slow), b"");
}

#[test]
fn a_stream_that_its_protocol_ends_early_is_seen_to_be_cut_off() {
    let server = serve();
    let url = format!("http://127.0.0.1:{}/half", server.made.0);
    let mut command = Command::new(require("curl"));
    let out = finish(command.args(["-sS", "--noproxy", "*"]).arg(url));
    assert_eq!(out.status.code(), Some(18), "curl's word for a partial file: {:?}", out.stderr);
    assert!(out.stdout.len() > BIG / 50, "what was written still went out");
    eventually("it hears so", || CLOSED.load(Ordering::SeqCst) == 1);
}

#[test]
fn events_come_when_they_happen_and_the_connection_lives_on() {
    let server = serve();
    let mut stream = connect(server.made.0);
    send(&mut stream, request("GET", "a", "/events").as_bytes());
    let head = read_head(&mut stream);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len()).into_bytes();
    let mut expect = |text: &str| {
        let chunk = chunk(text);
        assert_eq!(read_exactly(&mut stream, chunk.len()), chunk);
    };
    expect(": hello\n\n");
    for n in [7, 8, 0] {
        tell(&server, n);
        expect(&format!("data: {n}\n\n"));
    }
    assert_eq!(read_exactly(&mut stream, 5), b"0\r\n\r\n");
    assert_eq!(ask(&mut stream, "a", "/").text(), "here");
    let ticks = curl(server.made.0, &["-N"], "/ticks");
    assert_eq!(ticks, b"data: 1\n\ndata: 2\n\ndata: 3\n\ndata: 4\n\ndata: 5\n\n");
}

#[test]
fn a_long_poll_is_answered_by_whatever_happens() {
    let server = serve();
    let mut stream = connect(server.made.0);
    send(&mut stream, (request("GET", "a", "/poll") + &request("GET", "a", "/")).as_bytes());
    server.wait_for_log(&["streams: Http("]);
    tell(&server, 42);
    assert_eq!(util::http::read_response(&mut stream).text(), "42");
    assert_eq!(util::http::read_response(&mut stream).text(), "here");
}

#[test]
fn a_client_that_leaves_is_noticed_while_nothing_is_sent() {
    let server = serve();
    let mut lingers = 0;
    for (count, end) in [drop as fn(_), reset].into_iter().enumerate() {
        for path in ["/events", "/poll"] {
            let closed = CLOSED.load(Ordering::SeqCst);
            let mut stream = connect(server.made.0);
            send(&mut stream, (request("GET", "a", path) + &request("GET", "a", "/")).as_bytes());
            server.turn();
            end(stream);
            // An end alone could be that of a client that still reads.
            eventually(path, || {
                lingers += 1;
                let later = std::time::Instant::now() + lingers * (limits::HALF_CLOSE_LINGER + Duration::from_secs(1));
                server.ask(move |context| context.service_at(later).expect("service_at"));
                CLOSED.load(Ordering::SeqCst) == closed + 1
            });
        }
        assert_eq!(DROPPED.load(Ordering::SeqCst), 2 * (count + 1));
    }
}

#[test]
fn a_half_closed_client_still_gets_the_reply() {
    let server = serve();
    // Requests behind it, more than are read ahead, change nothing.
    for more in [0, 1, 1000] {
        let mut stream = connect(server.made.0);
        send(&mut stream, (request("GET", "a", "/poll") + &request("GET", "a", "/").repeat(more)).as_bytes());
        half_close(&stream);
        server.turn();
        server.turn();
        tell(&server, 9);
        assert_eq!(util::http::read_response(&mut stream).text(), "9");
        for _ in 0..more {
            assert_eq!(util::http::read_response(&mut stream).text(), "here");
        }
        assert_eq!(read_to_end(&mut stream), b"");
    }
    let mut stream = connect(server.made.0);
    send(&mut stream, b"GET /ticks HTTP/1.0\r\n\r\n");
    half_close(&stream);
    assert!(String::from_utf8_lossy(&read_to_end(&mut stream)).ends_with("data: 4\n\ndata: 5\n\n"));
}

#[test]
fn a_client_that_has_ended_its_side_is_waited_for_as_long_as_its_protocol_likes() {
    let server = serve();
    let later = |n| {
        let later = std::time::Instant::now() + n * (limits::HALF_CLOSE_LINGER + Duration::from_secs(1));
        server.ask(move |context| context.service_at(later).expect("service_at"));
    };
    let mut stream = connect(server.made.0);
    send(&mut stream, request("GET", "a", "/patient").as_bytes());
    half_close(&stream);
    (1..10).for_each(later);
    tell(&server, 9);
    assert_eq!(util::http::read_response(&mut stream).text(), "9");
    assert_eq!(read_to_end(&mut stream), b"");
}

#[test]
fn a_client_that_reads_nothing_of_a_stream_is_cut_off() {
    let server = serve();
    let mut stream = connect(server.made.0);
    send(&mut stream, request("GET", "a", "/big").as_bytes());
    read_head(&mut stream);
    let mut stalls = 0;
    eventually("it is cut off", || {
        stalls += 1;
        let later = std::time::Instant::now() + stalls * (limits::HTTP_SEND_STALL + Duration::from_secs(1));
        server.ask(move |context| context.service_at(later).expect("service_at"));
        CLOSED.load(Ordering::SeqCst) == 1
    });
}

#[test]
fn each_answer_is_logged_with_the_bytes_of_its_body_and_not_of_its_framing() {
    let log = LogFile::new();
    let access_log = Some(log.log.clone());
    let server = Server::with_vhost(move || VhostInfo { access_log, ..info() });
    assert_eq!(curl(server.made, &[], "/ticks").len(), 45);
    assert_eq!(curl(server.made, &["-H", "Expect: 100-continue", "-d", "body"], "/").len(), 4);
    let mut stream = connect(server.made);
    send(&mut stream, request("GET", "a", "/").repeat(3).as_bytes());
    (0..3).for_each(|_| assert_eq!(util::http::read_response(&mut stream).text(), "here"));
    send(&mut stream, request("GET", "a", "/poll").as_bytes());
    server.turn();
    reset(stream);
    let logged = log.requests(6);
    let told: Vec<(&str, u16, u64)> =
        logged.iter().map(|request| (request.line.as_str(), request.status, request.bytes)).collect();
    let here = ("GET / HTTP/1.1", 200, 4);
    assert_eq!(told[0], ("GET /ticks HTTP/1.1", 200, 45));
    assert_eq!(told[1], ("POST / HTTP/1.1", 200, 4));
    assert_eq!(told[2..5], [here; 3]);
    assert_eq!(told[5], ("GET /poll HTTP/1.1", 499, 0));
}
