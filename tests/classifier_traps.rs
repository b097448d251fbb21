//! First packets that are meant to mislead: silence, halves, what comes at the very deadline. Time is the test's.

mod util;

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use rlws::protocols::{HttpDummy, RawProxy};
use rlws::{Context, ContextInfo, Listen, Mount, Options, ProtocolTable, VhostInfo};
use rustls::StreamOwned;
use util::tls::TlsStream;
use util::*;

const MS: Duration = Duration::from_millis(1);
const SILENCE: Duration = Duration::from_millis(3000);
const BANNER: &[u8] = b"220 mail.example ESMTP\r\n";

/// A port with http, and a relay behind it.
struct Port {
    context: Context,
    start: Instant,
    /// After the start.
    now: Duration,
    port: u16,
    onward: TcpListener,
    _site: Site,
}

impl Port {
    #[track_caller]
    fn new(tls: bool, silence: Option<Duration>) -> Port {
        let onward = TcpListener::bind("127.0.0.1:0").expect("bind");
        onward.set_nonblocking(true).expect("own socket");
        let target = format!("ipv4:{}", onward.local_addr().expect("bound"));
        let site = Site::new();
        let mut context = Context::new(ContextInfo::default()).expect("context");
        let info = VhostInfo {
            name: "localhost".into(),
            listen: Listen::on("127.0.0.1", 0),
            tls: tls.then(|| certs::localhost().tls_info()),
            protocols: vec![ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawProxy>()],
            pvo: options("raw-proxy", &[("onward", &target)]),
            mounts: vec![Mount::files("/", site.root())],
            options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
            listen_accept_role: Some("raw-proxy".into()),
            listen_accept_protocol: Some("raw-proxy".into()),
            fallback_silence: silence,
            ..Default::default()
        };
        let port = server::make_vhost(&mut context, info);
        let start = context.cx().now();
        let mut port = Port { context, start, now: Duration::ZERO, port, onward, _site: site };
        // From now on the time is ours.
        port.turns();
        port
    }

    fn turns(&mut self) {
        (0..20).for_each(|_| self.context.service_at(self.start + self.now).expect("service"));
    }

    /// So long after the start.
    fn at(&mut self, now: Duration) {
        self.now = now;
        self.turns();
    }

    /// A client that was accepted.
    #[track_caller]
    fn client(&mut self) -> TcpStream {
        let before = self.wsi_count();
        let client = connect(self.port);
        client.set_nonblocking(true).expect("own socket");
        eventually("it is accepted", || {
            self.turns();
            self.wsi_count() > before
        });
        client
    }

    fn wsi_count(&mut self) -> usize {
        self.context.cx().wsi_count()
    }

    /// The next connection onward, if there is one without more time.
    fn relayed(&mut self) -> Option<TcpStream> {
        self.turns();
        self.onward.accept().ok().map(|(stream, _)| with_deadline(stream))
    }

    /// The next connection onward, which comes without more time.
    #[track_caller]
    fn will_be_relayed(&mut self) -> TcpStream {
        let mut relayed = None;
        eventually("it is relayed", || {
            relayed = self.relayed();
            relayed.is_some()
        });
        relayed.expect("it is")
    }

    /// TLS over the connection of a client.
    #[track_caller]
    fn shakes_hands(&mut self, socket: TcpStream) -> TlsStream {
        let mut stream = StreamOwned::new(tls::begin(&tls::trusting().config(), "localhost"), socket);
        eventually("the handshake is done", || {
            self.turns();
            match stream.conn.complete_io(&mut stream.sock) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}"),
            }
            !stream.conn.is_handshaking()
        });
        stream
    }

    #[track_caller]
    fn hears(&mut self, client: &mut dyn Read, want: &[u8]) {
        let mut heard = Vec::new();
        eventually("it hears all of it", || {
            self.turns();
            let mut bytes = [0; 1000];
            match client.read(&mut bytes) {
                Ok(0) => panic!("EOF after {}", shown(&heard)),
                Ok(n) => heard.extend_from_slice(&bytes[..n]),
                Err(error) => assert_eq!(error.kind(), ErrorKind::WouldBlock, "after {}", shown(&heard)),
            }
            heard.len() >= want.len()
        });
        assert_same_bytes(&heard, want);
    }

    /// Everything that comes until the end.
    #[track_caller]
    fn hears_until_closed(&mut self, client: &mut TcpStream) -> Vec<u8> {
        let mut heard = Vec::new();
        eventually("it is closed", || {
            self.turns();
            let mut bytes = [0; 1000];
            match client.read(&mut bytes) {
                Ok(0) => return true,
                Ok(n) => heard.extend_from_slice(&bytes[..n]),
                Err(error) => return error.kind() != ErrorKind::WouldBlock,
            }
            false
        });
        heard
    }
}

#[test]
fn nobody_is_connected_onward_before_the_silence_is_over_and_then_the_banner_comes() {
    for tls in [false, true] {
        let mut port = Port::new(tls, Some(SILENCE));
        let mut client = port.client();
        for early in [MS, SILENCE / 2, SILENCE - MS] {
            port.at(early);
            assert!(port.relayed().is_none(), "{early:?}");
        }
        port.at(SILENCE);
        let mut onward = port.relayed().expect("it falls back");
        send(&mut onward, BANNER);
        port.hears(&mut client, BANNER);
    }
}

#[test]
fn whoever_leaves_in_silence_connects_nobody_onward() {
    for tls in [false, true] {
        for with_reset in [false, true] {
            let mut port = Port::new(tls, Some(SILENCE));
            let client = port.client();
            port.at(SILENCE / 2);
            match with_reset {
                true => reset(client),
                false => drop(client),
            }
            eventually("it is gone", || {
                port.turns();
                port.wsi_count() == 1
            });
            port.at(2 * SILENCE);
            assert!(port.relayed().is_none());
        }
    }
}

/// What becomes of a client whose first bytes are there in the turn in which its time is over.
#[derive(Debug, PartialEq, Eq)]
enum Became {
    Relayed,
    /// It got this.
    Answered(Vec<u8>),
    /// It may go on.
    Waits,
}

#[track_caller]
fn at_the_deadline(tls: bool, silence: Option<Duration>, first: &[u8]) -> Became {
    let mut port = Port::new(tls, silence);
    let mut client = port.client();
    send(&mut client, first);
    port.at(silence.unwrap_or(ContextInfo::default().timeout));
    if let Some(mut onward) = port.relayed() {
        port.turns();
        assert_eq!(read_exactly(&mut onward, first.len()), first);
        return Became::Relayed;
    }
    if port.wsi_count() == 2 && client.peek(&mut [0]).is_err() {
        return Became::Waits;
    }
    let mut start = [0; 12];
    match client.read(&mut start) {
        Ok(n) => Became::Answered(start[..n].to_vec()),
        Err(error) => panic!("{}: {error}", shown(first)),
    }
}

#[test]
fn bytes_that_come_at_the_very_end_of_the_silence_are_looked_at_first() {
    let page = b"HTTP/1.1 200".to_vec();
    assert_eq!(at_the_deadline(false, Some(SILENCE), b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"), Became::Answered(page));
    for (tls, first) in
        [(false, b"SSH-2.0-x\r\n".as_slice()), (false, b"GE"), (false, b""), (true, b"\x16\x03"), (true, b"")]
    {
        assert_eq!(at_the_deadline(tls, Some(SILENCE), first), Became::Relayed, "{}", shown(first));
    }
    // A hello that has begun is no silence.
    assert_eq!(at_the_deadline(true, Some(SILENCE), b"\x16\x03\x01\x02\x00\x01"), Became::Waits);
}

#[test]
fn bytes_that_come_at_the_very_end_of_the_time_are_looked_at_first() {
    assert_eq!(at_the_deadline(false, None, b"SSH-2.0-x\r\n"), Became::Relayed);
    assert_eq!(at_the_deadline(true, None, b"SSH-2.0-x\r\n"), Became::Relayed);
    for (tls, first) in [(false, b"GE".as_slice()), (false, b""), (true, b"\x16\x03"), (true, b"")] {
        assert_eq!(at_the_deadline(tls, None, first), Became::Answered(Vec::new()), "{}", shown(first));
    }
}

#[test]
fn what_begins_before_the_silence_is_over_has_as_much_time_as_without_it() {
    let timeout = ContextInfo::default().timeout;
    for silence in [SILENCE, 3 * timeout] {
        for (tls, first) in [(false, b"GET / HTTP/1.1\r\nHost: a\r\n".as_slice()), (true, b"\x16\x03\x01\x02\x00\x01")]
        {
            let mut port = Port::new(tls, Some(silence));
            let mut client = port.client();
            port.at(silence - MS);
            send(&mut client, first);
            port.turns();
            for still in [silence + MS, silence + timeout - 2 * MS] {
                port.at(still);
                assert_eq!(port.wsi_count(), 2, "{}: {still:?} of {silence:?}", shown(first));
            }
            port.at(silence + timeout);
            port.hears_until_closed(&mut client);
            assert!(port.relayed().is_none(), "{}", shown(first));
        }
    }
}

#[test]
fn what_is_tls_but_no_hello_is_relayed_at_once() {
    for first in [
        // An alert, data, SSL 2's hello, a server's hello.
        b"\x15\x03\x01\x00\x02\x02\x28".as_slice(),
        b"\x17\x03\x03\x00\x10",
        b"\x80\x2e\x01\x00\x02",
        b"\x16\x03\x01\x00\x04\x02\x00\x00\x00",
    ] {
        let mut port = Port::new(true, None);
        let mut client = port.client();
        send(&mut client, first);
        let mut onward = port.will_be_relayed();
        port.turns();
        assert_eq!(read_exactly(&mut onward, first.len()), first);
    }
}

#[test]
fn a_hello_that_was_begun_and_abandoned_connects_nobody_onward() {
    let (_, hello) = tls::hello(&tls::trusting().config(), "localhost");
    for cut in [6, 50, hello.len() - 1] {
        for with_reset in [false, true] {
            let mut port = Port::new(true, Some(SILENCE));
            let mut client = port.client();
            send(&mut client, &hello[..cut]);
            port.turns();
            match with_reset {
                true => reset(client),
                false => drop(client),
            }
            eventually("it is gone", || {
                port.turns();
                port.wsi_count() == 1
            });
            port.at(2 * SILENCE);
            assert!(port.relayed().is_none(), "cut at {cut}");
        }
    }
}

#[test]
fn what_began_and_pauses_waits_for_its_time_and_no_longer() {
    let timeout = ContextInfo::default().timeout;
    for (tls, first) in [
        (false, b"GE".as_slice()),
        (false, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r"),
        (true, b"\x16\x03\x01"),
        (true, b"\x16\x03\x01\x02\x00\x01\x00"),
    ] {
        let mut port = Port::new(tls, None);
        let mut client = port.client();
        send(&mut client, first);
        port.at(timeout - MS);
        assert_eq!(port.wsi_count(), 2, "{}", shown(first));
        port.at(timeout + MS);
        port.hears_until_closed(&mut client);
        assert!(port.relayed().is_none(), "{}", shown(first));
    }
}

#[test]
fn what_is_half_http_is_refused_by_http_and_not_relayed() {
    for (first, answer) in [
        // Without a version, as in HTTP/0.9.
        (b"GET /\r\n\r\n".as_slice(), "HTTP/1.1 400 "),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "HTTP/1.1 505 "),
        (b"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "HTTP/1.1 505 "),
    ] {
        let mut port = Port::new(false, Some(SILENCE));
        let mut client = port.client();
        send(&mut client, first);
        let heard = port.hears_until_closed(&mut client);
        assert!(heard.starts_with(answer.as_bytes()), "{}: {}", shown(first), shown(&heard));
        assert!(port.relayed().is_none());
    }
}

#[test]
fn what_looks_like_a_balancers_header_is_relayed_with_it() {
    for first in [
        b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\nGET / HTTP/1.1\r\n\r\n".as_slice(),
        b"\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02",
    ] {
        let mut port = Port::new(false, None);
        let mut client = port.client();
        send(&mut client, first);
        let mut onward = port.will_be_relayed();
        port.turns();
        assert_eq!(read_exactly(&mut onward, first.len()), first);
    }
}

/// How a session came to be relayed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Bytes,
    Silence,
    /// By what it said over TLS.
    BytesInTls,
}

#[test]
fn a_session_that_fell_back_idles_for_hours_while_http_idles_out() {
    for (tls, silence, by) in [
        (false, None, By::Bytes),
        (false, Some(SILENCE), By::Bytes),
        (false, Some(SILENCE), By::Silence),
        (true, None, By::Bytes),
        (true, Some(SILENCE), By::Silence),
        (true, Some(SILENCE), By::BytesInTls),
    ] {
        let mut port = Port::new(tls, silence);
        let mut client = port.client();
        let mut session: Box<dyn Read> = match by {
            By::Bytes => {
                send(&mut client, b"SSH-2.0-x\r\n");
                Box::new(client)
            }
            By::Silence => {
                port.at(SILENCE);
                Box::new(client)
            }
            By::BytesInTls => {
                let mut session = port.shakes_hands(client);
                session.write_all(b"SSH-2.0-x\r\n").expect("there is room");
                Box::new(session)
            }
        };
        let mut onward = port.will_be_relayed();
        port.turns();
        if by != By::Silence {
            assert_eq!(read_exactly(&mut onward, 11), b"SSH-2.0-x\r\n");
        }
        let mut browser = (!tls).then(|| port.client());
        if let Some(browser) = &mut browser {
            send(browser, b"GET /style.css HTTP/1.1\r\nHost: a\r\n\r\n");
        }
        port.turns();
        for hour in 1..=12 {
            port.at(Duration::from_secs(3600 * hour));
        }
        if let Some(browser) = &mut browser {
            assert!(port.hears_until_closed(browser).starts_with(b"HTTP/1.1 200 "));
        }
        // The listen socket, and the two halves.
        assert_eq!(port.wsi_count(), 3, "{by:?}");
        send(&mut onward, BANNER);
        port.hears(&mut *session, BANNER);
    }
}
