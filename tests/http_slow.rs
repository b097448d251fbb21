//! Clients that take their time, and those that are many: what each may take, and what it costs. The time is the test's.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rlws::{
    Call, Context, ContextInfo, InitError, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Response, Verdict,
    VhostCall, VhostInfo, limits,
};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use util::alone::alone;
use util::http::{read_response, request};
use util::server::make_vhost;
use util::turned::{Turned, client_of};
use util::*;

/// Counts the bytes of a body.
struct Counts;

impl Protocol for Counts {
    const NAME: &'static str = "counts";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = usize;
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::HttpBody(data) => *call.pss += data.len(),
            Reason::HttpBodyCompletion => call.wsi.return_http_status(200, Some(&call.pss.to_string())),
            Reason::Http(request) if !request.has_body() => call.wsi.return_http_status(200, None),
            _ => {}
        }
        Verdict::Continue
    }
}

/// A protocol below `/`, and at `/refused` a folder, which takes no body.
fn info() -> VhostInfo {
    VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<Counts>()],
        mounts: vec![Mount::callback("/", "counts"), Mount::redirect("/refused", "https://elsewhere.example/")],
        ..Default::default()
    }
}

/// Sends a byte a second, from that second on, and says when the server had enough.
fn drips(turned: &mut Turned, from: u64, bytes: &[u8]) -> u64 {
    for (byte, second) in bytes.iter().zip(from..) {
        turned.turns(second);
        if !turned.is_open() {
            return second;
        }
        turned.send(&[*byte]);
    }
    panic!("{} seconds, and it waits", bytes.len());
}

#[test]
fn every_head_has_the_time_of_one_however_it_is_sent() {
    let timeout = ContextInfo::default().timeout.as_secs();
    let endless = format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(500));
    let mut turned = Turned::new(info());
    turned.send(request("GET", "a", "/").as_bytes());
    assert_eq!(read_response(&mut turned).status, 200);
    // The first byte begins its time, not the request before.
    let ended = drips(&mut turned, 3, endless.as_bytes());
    assert!((3 + timeout..=3 + timeout + 1).contains(&ended), "{ended}");
    assert_eq!(read_response(&mut turned).status, 408);
}

/// Each is taken as it comes, and none begins the time of a request.
#[test]
fn empty_lines_are_no_request_and_few() {
    let idle = VhostInfo::default().keepalive_timeout.as_secs();
    let mut turned = Turned::new(info());
    turned.send(request("GET", "a", "/").as_bytes());
    assert_eq!(read_response(&mut turned).status, 200);
    let ended = drips(&mut turned, 1, "\r\n".repeat(limits::HTTP_EMPTY_LINES).as_bytes());
    assert!((idle..=idle + 1).contains(&ended), "{ended}");
    assert_eq!(read_to_end(&mut turned), b"", "there was no request to answer");
    let mut turned = Turned::new(info());
    for _ in 0..2 {
        for _ in 0..limits::HTTP_EMPTY_LINES {
            turned.send(b"\r\n");
            turned.turns(0);
        }
        turned.send(request("GET", "a", "/").as_bytes());
        assert_eq!(read_response(&mut turned).status, 200);
    }
    for _ in 0..=limits::HTTP_EMPTY_LINES {
        turned.send(b"\r\n");
        turned.turns(0);
    }
    assert_eq!(read_response(&mut turned).status, 400);
}

#[test]
fn a_body_may_pause_and_keep_a_rate_and_may_not_stop() {
    let stall = limits::HTTP_BODY_STALL.as_secs();
    let piece = "x".repeat(limits::HTTP_LEAST_RATE as usize * 10);
    for (framing, piece, end) in [
        (format!("Content-Length: {}", piece.len() * 10), piece.clone(), ""),
        ("Transfer-Encoding: chunked".to_owned(), format!("{:x}\r\n{piece}\r\n", piece.len()), "0\r\n\r\n"),
    ] {
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n");
        let mut turned = Turned::new(info());
        turned.send(head.as_bytes());
        turned.turns(0);
        for number in 0..10 {
            let second = stall - 2 + number * 10;
            turned.turns(second);
            assert!(turned.is_there());
            turned.send(piece.as_bytes());
            turned.turns(second);
        }
        turned.send(end.as_bytes());
        assert_eq!(read_response(&mut turned).text(), (limits::HTTP_LEAST_RATE * 100).to_string(), "{framing}");
        let mut stopped = Turned::new(info());
        stopped.send(format!("{head}1").as_bytes());
        stopped.turns(0);
        stopped.turns(stall - 1);
        assert!(stopped.is_open());
        stopped.turns(stall + 1);
        let answer = read_response(&mut stopped);
        assert_eq!((answer.status, answer.header("connection")), (408, Some("close")));
        assert_eq!(read_to_end(&mut stopped), b"");
    }
}

#[test]
fn a_body_that_trickles_has_no_more_time_than_one_that_stops() {
    let stall = limits::HTTP_BODY_STALL.as_secs();
    let mut turned = Turned::new(info());
    turned.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    let ended = drips(&mut turned, 1, &[b'x'; 200]);
    assert!((stall..=stall + 2).contains(&ended), "{ended}");
    assert_eq!(read_response(&mut turned).status, 408);
}

#[test]
fn a_body_that_nobody_reads_has_a_few_seconds_in_all() {
    let drain = limits::DRAIN_TIME.as_secs();
    let mut turned = Turned::new(info());
    turned.send(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n");
    assert_eq!(read_response(&mut turned).status, 301);
    let ended = drips(&mut turned, 1, &[b'x'; 100]);
    assert!((drain..=drain + 2).contains(&ended), "{ended}");
}

/// The whole body is sent before the first byte of the answer is read, and neither has room in the sockets.
#[test]
fn an_answer_survives_whatever_is_sent_before_it_is_read() {
    const BODY: usize = 16 * 1024 * 1024;
    let site = Site::new();
    let answer = random_bytes(1, 200_000);
    site.write("answer.txt", &answer);
    let mut turned = Turned::new(VhostInfo { mounts: vec![Mount::files("/", site.root())], ..info() });
    turned.send(format!("GET /answer.txt HTTP/1.1\r\nHost: a\r\nContent-Length: {BODY}\r\n\r\n").as_bytes());
    turned.turns(0);
    let piece = [b'x'; 64 * 1024];
    let mut sent = 0;
    eventually("all of the body is taken", || {
        match turned.client.write(&piece[..piece.len().min(BODY - sent)]) {
            Ok(written) => sent += written,
            Err(error) if error.kind() == ErrorKind::WouldBlock => turned.turns(0),
            Err(error) => panic!("{error} after {sent} bytes"),
        }
        sent == BODY
    });
    let response = read_response(&mut turned);
    assert_eq!(response.header("connection"), Some("close"));
    assert_same_bytes(&response.body, &answer);
    assert_eq!(read_to_end(&mut turned), b"");
}

#[test]
fn who_sends_behind_the_end_has_longer_than_who_is_silent_and_not_for_ever() {
    let (silence, longest) = (limits::DRAIN_TIME.as_secs(), limits::DRAIN_LONGEST.as_secs());
    let ended = || {
        let mut turned = Turned::new(info());
        turned.send(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
        let answer = read_response(&mut turned);
        assert_eq!((answer.status, answer.header("connection")), (301, Some("close")));
        assert!(turned.is_there() && !turned.is_open(), "it lingers behind its FIN");
        turned
    };
    let mut silent = ended();
    silent.turns(silence - 1);
    assert!(silent.is_there());
    silent.turns(silence + 1);
    assert!(!silent.is_there());
    let mut sends = ended();
    for second in (0..longest).step_by(silence as usize - 1) {
        sends.turns(second);
        assert!(sends.is_there(), "{second}");
        sends.send(b"x");
    }
    sends.turns(longest + 1);
    assert!(!sends.is_there());
}

/// Reads so many bytes a second until the end. How many came, and after how many seconds the server had none left for it.
fn reads_steadily(turned: &mut Turned, rate: usize) -> (usize, u64) {
    const EVERY: u64 = 5;
    let mut got = 0;
    for second in (EVERY..).step_by(EVERY as usize) {
        turned.turns(second);
        if !turned.is_there() {
            turned.client.set_nonblocking(false).expect("own socket");
            return (got + read_until_closed(&mut turned.client).0.len(), second);
        }
        let wanted = got + rate * EVERY as usize;
        eventually("it comes", || {
            let mut piece = vec![0; wanted - got];
            got += turned.client.read(&mut piece).unwrap_or_default();
            turned.turns(second);
            got == wanted || !turned.is_there()
        });
    }
    unreachable!("time does not end")
}

/// Asks for something, over TLS if told so, and reads nothing of it yet.
fn asks_for(path: &str, info: VhostInfo, buffer: usize) -> Turned {
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let is_tls = info.tls.is_some();
    let mut turned = Turned::with(info, |port| client_of(port, buffer));
    if is_tls {
        let mut conn = tls::begin(&tls::Client::default().config(), "localhost");
        while conn.is_handshaking() {
            conn.complete_io(&mut turned).expect("handshake");
        }
        conn.writer().write_all(request.as_bytes()).expect("room");
        conn.complete_io(&mut turned).expect("it is sent");
    } else {
        turned.send(request.as_bytes());
    }
    turned.fill();
    turned
}

#[test]
fn who_reads_at_the_least_rate_gets_all_of_it_and_who_does_not_is_cut_off_in_time() {
    const LEN: usize = 1024 * 1024;
    const SMALL: usize = 4 * 1024;
    const LARGE: usize = 64 * 1024;
    // Of what a client reads the server hears when its system makes room for more. How much at a time is that system's to choose: at most all that
    // its buffer holds, which for what was asked here is up to some 160 KiB.
    const STEP: usize = 400 * 1024;
    let site = Site::new();
    site.write("big.txt", &random_bytes(1, LEN));
    let served = |is_tls: bool| VhostInfo {
        mounts: vec![Mount::files("/", site.root()), Mount::callback("/streams", "streams")],
        protocols: vec![ProtocolTable::of::<Streams<LEN>>()],
        tls: is_tls.then(|| certs::localhost().tls_info()),
        ..info()
    };
    let least = limits::HTTP_LEAST_RATE as usize;
    let stall = limits::HTTP_SEND_STALL.as_secs();
    let soon = stall + 2 * limits::HTTP_SEND_LOOK.as_secs();
    let cases = [
        (SMALL, least * 6 / 5, None),
        (SMALL, least / 5, Some(2 * stall)),
        (SMALL, 0, Some(soon)),
        (LARGE, STEP / stall as usize, None),
        (LARGE, least / 5, Some(2 * stall)),
        (LARGE, 0, Some(soon)),
    ];
    let ways = [("/big.txt", false), ("/big.txt", true), ("/streams", false)];
    for ((path, is_tls), (buffer, rate, cut_off)) in ways.into_iter().flat_map(|way| cases.map(|case| (way, case))) {
        let mut turned = asks_for(path, served(is_tls), buffer);
        let (got, ended) = reads_steadily(&mut turned, rate);
        let told = format!("{path}, {is_tls}: {rate} bytes a second, a buffer of {buffer}: {got} in {ended} s");
        match cut_off {
            None => assert!(got > LEN, "{told}"),
            Some(latest) => assert!(got < LEN && (stall..=latest).contains(&ended), "{told}"),
        }
    }
}

/// A context of this thread with clients of its own.
struct Crowd {
    context: Context,
    clients: Vec<TcpStream>,
    start: Instant,
}

impl Crowd {
    /// So many clients, each of which has sent `bytes`.
    fn new(count: usize, bytes: &[u8]) -> Crowd {
        let mut context = Context::new(ContextInfo::default()).expect("context");
        let port = make_vhost(&mut context, info());
        let start = context.cx().now();
        let mut crowd = Crowd { context, clients: Vec::new(), start };
        for _ in 0..count {
            let mut client = connect(port);
            send(&mut client, bytes);
            crowd.clients.push(client);
            crowd.turn(0);
        }
        crowd.turns(0);
        assert_eq!(crowd.there(), count);
        crowd
    }

    fn turn(&mut self, seconds: u64) {
        self.context.service_at(self.start + Duration::from_secs(seconds)).expect("service");
    }

    fn turns(&mut self, seconds: u64) {
        (0..200).for_each(|_| self.turn(seconds));
    }

    fn there(&mut self) -> usize {
        self.context.cx().wsi_count() - 1
    }
}

/// Bytes of this process that are in memory and its own.
fn resident() -> usize {
    let text = std::fs::read_to_string("/proc/self/status").expect("status");
    let line = text.lines().find(|line| line.starts_with("RssAnon")).expect("RssAnon");
    line.split_whitespace().nth(1).and_then(|kib| kib.parse::<usize>().ok()).expect("KiB") * 1024
}

/// So many clients, as far as the system has descriptors for both sides of each.
fn as_many_as(most: usize) -> usize {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).expect("up to the hard limit");
    limit.maximum.map_or(most, |descriptors| most.min(descriptors as usize / 2 - 100))
}

#[test]
fn thousands_that_are_idle_cost_little_and_are_gone_in_time() {
    alone("thousands_that_are_idle_cost_little_and_are_gone_in_time", || {
        let count = as_many_as(4000);
        let idle = VhostInfo::default().keepalive_timeout.as_secs();
        let before = resident();
        let mut crowd = Crowd::new(count, request("GET", "a", "/").as_bytes());
        let each = resident().saturating_sub(before) / count;
        assert!(each < 4096, "{each} bytes each");
        crowd.turns(idle.saturating_sub(1));
        assert_eq!(crowd.there(), count);
        crowd.turns(idle + 1);
        assert_eq!(crowd.there(), 0);
    });
}

#[test]
fn a_head_that_is_not_over_costs_no_more_than_it_may_be_long() {
    alone("a_head_that_is_not_over_costs_no_more_than_it_may_be_long", || {
        let count = as_many_as(1000);
        let timeout = ContextInfo::default().timeout.as_secs();
        let head = format!("GET / HTTP/1.1\r\nHost: a\r\nX: {}", "x".repeat(limits::HTTP_HEAD - 100));
        let before = resident();
        let mut crowd = Crowd::new(count, head.as_bytes());
        let each = resident().saturating_sub(before) / count;
        assert!(each < 3 * limits::HTTP_HEAD, "{each} bytes each");
        crowd.turns(timeout + 1);
        crowd.turns(timeout + 1 + limits::DRAIN_TIME.as_secs());
        assert_eq!(crowd.there(), 0);
    });
}

/// Of a client that sends on and on behind a request that is not answered yet, no more than that is taken either.
#[test]
fn what_is_sent_ahead_is_taken_in_bounds() {
    alone("what_is_sent_ahead_is_taken_in_bounds", || {
        let mut turned = Turned::new(VhostInfo {
            mounts: vec![Mount::callback("/", "silent")],
            protocols: vec![ProtocolTable::of::<Silent>()],
            ..info()
        });
        turned.send(request("GET", "a", "/").as_bytes());
        let more = request("GET", "a", "/").repeat(1000);
        let before = resident();
        let mut sent = 0;
        let mut idle = 0;
        while idle < 50 {
            match turned.client.write(more.as_bytes()) {
                Ok(written) => (sent, idle) = (sent + written, 0),
                Err(error) if error.kind() == ErrorKind::WouldBlock => idle += 1,
                Err(error) => panic!("{error}"),
            }
            turned.turns(0);
            assert!(sent < 64 * 1024 * 1024, "the system takes some megabytes, and we nothing");
        }
        assert!(resident().saturating_sub(before) < 1024 * 1024);
        assert!(turned.is_there());
    });
}

/// Answers with so many bytes, some of them whenever those before are on their way.
struct Streams<const LEN: usize>;

impl<const LEN: usize> Protocol for Streams<LEN> {
    const NAME: &'static str = "streams";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = usize;
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Http(_) => call.wsi.respond(Response::new(200)).expect("a response"),
            Reason::HttpWriteable => {
                let piece = [b'x'; 10 * 1024];
                call.wsi.write(&piece).expect("room");
                *call.pss += piece.len();
            }
            _ => return Verdict::Continue,
        }
        if *call.pss < LEN {
            call.wsi.callback_on_writable()
        } else {
            call.wsi.transaction_completed()
        }
        Verdict::Continue
    }
}

/// Never answers.
struct Silent;

impl Protocol for Silent {
    const NAME: &'static str = "silent";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::Http(_) = reason {
            call.wsi.answer_later();
        }
        Verdict::Continue
    }
}
