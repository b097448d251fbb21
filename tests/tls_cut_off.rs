//! TLS streams that end without close_notify, as when somebody on the path cuts them (RFC 8446 section 6.1): what came is delivered, and what
//! it is half of does not count as whole: not for the protocol, not in the logs, not for the peer.

mod util;

use std::cell::RefCell;
use std::io::Write;
use std::rc::Rc;

use rlws::{ConnectInfo, Mount, Options, Reason, Response, Roots, TlsClient, TlsClientInfo, Verdict, VhostInfo, Wsi};
use util::certs::{ca, localhost};
use util::script::{self, Loop, NAME, count_of, on_call, received, who};
use util::tls::{self, Client, Ending, TlsStream, trusting};
use util::tls_onward::cut_off_after;
use util::*;

const HALF: &[u8] = b"half of what it was to be";

/// What the onlooker of a connection sees of its end.
type Ends = Rc<RefCell<Vec<String>>>;

fn note(ends: &Ends, wsi: &Wsi) {
    ends.borrow_mut().push(wsi.close_reason().expect("it ends").to_string());
}

/// Requests over TLS go to the script.
fn https(log: &LogFile) -> VhostInfo {
    VhostInfo {
        options: Options::empty(),
        listen_accept_protocol: None,
        tls: Some(localhost().tls_info()),
        mounts: vec![Mount::callback("/", NAME)],
        access_log: Some(log.log.clone()),
        ..script::listening()
    }
}

fn both_versions() -> [Client<'static>; 2] {
    [true, false].map(|only_1_2| Client { only_1_2, ..trusting() })
}

/// Where a stream is cut.
#[derive(Clone, Copy, Debug)]
enum Cut {
    BehindARecord,
    InTheMiddleOfOne,
}

/// Says something, and is cut off. What came back until then, and how that ended.
fn cut_off(mut client: TlsStream, says: &[u8], cut: Cut) -> (Vec<u8>, Ending) {
    send(&mut client, says);
    if let Cut::InTheMiddleOfOne = cut {
        client.conn.writer().write_all(b"never whole").expect("there is room");
        let mut record = Vec::new();
        client.conn.write_tls(&mut record).expect("to memory");
        send(&mut client.sock, &record[..record.len() - 1]);
    }
    half_close(&client.sock);
    tls::read_until_the_end(&mut client)
}

/// The requests whose body is not whole when these bytes have come.
fn half_requests() -> [Vec<u8>; 2] {
    let head = |framing: &str| format!("POST /upload HTTP/1.1\r\nHost: localhost\r\n{framing}\r\n\r\n").into_bytes();
    let chunk = [format!("{:x}\r\n", HALF.len()).as_bytes(), HALF, b"\r\n"].concat();
    [
        [head(&format!("Content-Length: {}", 2 * HALF.len())), HALF.to_vec()].concat(),
        [head("Transfer-Encoding: chunked"), chunk].concat(),
    ]
}

#[test]
fn half_a_body_that_was_cut_off_is_no_body() {
    for (client, request, cut) in each_way() {
        let (log, ends) = (LogFile::new(), Ends::default());
        let seen = ends.clone();
        on_call(move |wsi, _, reason| {
            match reason {
                Reason::HttpBodyCompletion => wsi.return_http_status(200, Some("all of it is there")),
                Reason::ClosedHttp => note(&seen, wsi),
                _ => {}
            }
            Verdict::Continue
        });
        let mut turned = Loop::new(https(&log));
        let port = turned.port();
        let told = turned.during(move || cut_off(client.connect(port, "localhost"), &request, cut));
        assert_eq!(told, (vec![], Ending::CutOff), "{cut:?}: there is nothing to answer, and no end to vouch for");
        let id = who("ClosedHttp")[0];
        turned.gone(id);
        assert_eq!((count_of(id, "HttpBody"), count_of(id, "HttpBodyCompletion")), (1, 0), "{cut:?}");
        assert_eq!((count_of(id, "ClosedHttp"), count_of(id, "HttpDropProtocol")), (1, 1), "{cut:?}");
        assert_eq!(ends.take(), ["connection lost: it ended without close_notify"], "{cut:?}");
        let logged = log.requests(1).remove(0);
        assert_eq!((&*logged.line, logged.status, logged.bytes), ("POST /upload HTTP/1.1", 499, 0), "{cut:?}");
    }
}

/// Each version of TLS, each framing, each place to cut.
fn each_way() -> impl Iterator<Item = (Client<'static>, Vec<u8>, Cut)> {
    let cuts = [Cut::BehindARecord, Cut::InTheMiddleOfOne];
    let requests = half_requests().into_iter().flat_map(move |request| cuts.map(|cut| (request.clone(), cut)));
    requests.flat_map(|(request, cut)| both_versions().map(|client| (client, request.clone(), cut)))
}

/// So the client knows what it did wrong: with close_notify it is its own doing.
#[test]
fn half_a_body_that_the_client_ended_itself_is_a_400() {
    for request in half_requests() {
        for client in both_versions() {
            let request = request.clone();
            let log = LogFile::new();
            on_call(|_, _, _| Verdict::Continue);
            let mut turned = Loop::new(https(&log));
            let port = turned.port();
            let response = turned.during(move || {
                let mut stream = client.connect(port, "localhost");
                send(&mut stream, &request);
                tls::say_goodbye(&mut stream);
                let response = http::read_response(&mut stream);
                assert_eq!(tls::read_until_the_end(&mut stream), (vec![], Ending::Orderly));
                response
            });
            assert_eq!(response.status, 400);
            assert_eq!(script::count("HttpBodyCompletion"), 0);
            assert_eq!(log.requests(1)[0].status, 400);
        }
    }
}

#[test]
fn a_response_that_was_begun_does_not_end_as_if_it_were_whole() {
    for (client, request, cut) in each_way() {
        let log = LogFile::new();
        on_call(|wsi, _, reason| {
            match reason {
                Reason::HttpBody(piece) => {
                    wsi.respond(Response::new(200)).expect("a response");
                    wsi.write(piece).expect("room");
                }
                Reason::HttpBodyCompletion => wsi.transaction_completed(),
                _ => {}
            }
            Verdict::Continue
        });
        let mut turned = Loop::new(https(&log));
        let port = turned.port();
        let (answer, ending) = turned.during(move || cut_off(client.connect(port, "localhost"), &request, cut));
        assert_eq!(ending, Ending::CutOff, "{cut:?}");
        assert!(!answer.ends_with(b"0\r\n\r\n"), "{cut:?}: {}", shown(&answer));
        turned.gone(who("ClosedHttp")[0]);
        assert_eq!(script::count("HttpBodyCompletion"), 0, "{cut:?}");
    }
}

#[test]
fn a_protocol_that_connects_hears_whether_its_server_was_cut_off() {
    let bytes = random_bytes(1, 300_000);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let onward = cut_off_after(bytes.clone(), version);
        let ends = Ends::default();
        let seen = ends.clone();
        on_call(move |wsi, _, reason| {
            if let Reason::RawClose = reason {
                note(&seen, wsi);
            }
            Verdict::Continue
        });
        let mut turned = Loop::new(script::home());
        let info = TlsClientInfo { roots: Roots::Only(ca().pem()), ..Default::default() };
        let target = format!("tcp:localhost:{}", onward.port).parse().expect("a target");
        let info = ConnectInfo::new(turned.vhost, target, NAME).tls(TlsClient::new(&info).expect("a CA"));
        let id = turned.cx().client_connect(info).expect("client_connect");
        turned.gone(id);
        assert_same_bytes(&received(id), &bytes);
        assert_eq!(ends.take(), ["connection lost: it ended without close_notify"]);
    }
}
