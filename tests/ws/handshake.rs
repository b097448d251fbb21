//! The opening handshake of a server.

use std::cell::RefCell;
use std::net::TcpStream;
use std::rc::Rc;

use rlws::{Mount, Options, ProtocolTable, Pvo, Reason, Verdict, VhostInfo};

use super::util::access::lines;
use super::util::http::{ask, read_head, read_response};
use super::util::script::{Loop, Script, count, count_of, notes, on_call, order, who};
use super::util::ws::{self, Frame};
use super::util::{LogFile, Site, connect, reset, send};
use super::{close_of, opened};

#[test]
fn a_client_that_names_a_protocol_gets_it() {
    let mut here = Loop::new(ws::vhost());
    on_call(ws::echo);
    let port = here.port();
    let (answer, echoed) = here.during(move || {
        let mut stream = connect(port);
        let answer = ws::upgrade(&mut stream, "Sec-WebSocket-Protocol: nobody, extra, script\r\n");
        send(&mut stream, &ws::text("hello"));
        (answer, ws::read_frame(&mut stream))
    });
    assert_eq!(answer.header("sec-websocket-protocol"), Some("extra"), "the first that is there");
    assert_eq!(echoed, Frame::text("hello"));
    let id = who("Established")[0];
    assert!(notes().iter().any(|note| note.what == "Established" && note.protocol == "extra"));
    here.gone(id);
}

#[test]
fn who_names_none_gets_the_default_protocol() {
    for (pvo, protocol) in
        [(Pvo::default(), "script"), (Pvo::default().with("extra", Pvo::default().with("default", "1")), "extra")]
    {
        let mut here = Loop::new(VhostInfo { pvo, ..ws::vhost() });
        let port = here.port();
        let answer = here.during(move || ws::upgrade(&mut connect(port), ""));
        assert_eq!(answer.header("sec-websocket-protocol"), None, "none was offered");
        assert!(notes().iter().any(|note| note.what == "Established" && note.protocol == protocol), "{protocol}");
    }
}

/// The answer to a request.
#[track_caller]
fn answer(here: &mut Loop, request: String) -> super::util::http::Response {
    let port = here.port();
    here.during(move || {
        let mut stream = connect(port);
        send(&mut stream, request.as_bytes());
        read_head(&mut stream)
    })
}

#[test]
fn what_is_no_handshake_is_refused() {
    let mut here = Loop::new(ws::vhost());
    let good = ws::request("/", "");
    for (request, status) in [
        (good.replace("Version: 13", "Version: 8"), 426),
        (good.replace("Sec-WebSocket-Version: 13\r\n", ""), 426),
        (good.replace("Sec-WebSocket-Key: dGhl", "Sec-WebSocket-Key: dGh"), 400),
        (good.replace("Sec-WebSocket-Key", "X-Key"), 400),
        (good.replace("GET", "POST"), 400),
        (good.replace("Host: localhost", "Host: localhost\r\nContent-Length: 1") + "x", 400),
        (ws::request("/", "Sec-WebSocket-Protocol: a b\r\n"), 400),
        (ws::request("/", "Sec-WebSocket-Protocol: , nobody,\r\n"), 403),
        (ws::request("/", "Sec-WebSocket-Protocol: nobody\r\n"), 403),
    ] {
        let answer = answer(&mut here, request.clone());
        assert_eq!(answer.status, status, "{request}");
        assert_eq!(answer.header("sec-websocket-version"), (status == 426).then_some("13"));
        assert_eq!(answer.header("upgrade"), (status == 426).then_some("websocket"));
        assert_eq!(answer.head.contains("Connection: Upgrade\r\n"), status == 426, "{}", answer.head);
        assert_eq!(answer.header("connection"), Some("close"), "{request}");
    }
    assert_eq!(count("Established") + count("WsServerBindProtocol"), 0);
}

#[test]
fn a_protocol_can_turn_a_client_down() {
    let mut here = Loop::new(ws::vhost());
    on_call(|_, _, reason| match reason {
        Reason::FilterProtocolConnection(request) if request.header_str("origin") == Some("http://evil.test") => {
            Verdict::Close
        }
        _ => Verdict::Continue,
    });
    assert_eq!(answer(&mut here, ws::request("/", "Origin: http://evil.test\r\n")).status, 403);
    let id = who("WsServerBindProtocol")[0];
    here.gone(id);
    let heard = order(id);
    let of_ws = heard.iter().position(|what| what == "HttpDropProtocol").expect("http goes first") + 1;
    assert_eq!(
        heard[of_ws..],
        ["WsServerBindProtocol", "FilterProtocolConnection", "WsServerDropProtocol", "WsiDestroy"]
    );
    assert_eq!(answer(&mut here, ws::request("/", "Origin: http://good.test\r\n")).status, 101);
}

#[test]
fn http_filters_are_asked_before() {
    for what in ["FilterHttpConnection", "HttpConfirmUpgrade"] {
        let mut here = Loop::new(ws::vhost());
        on_call(move |_, _, reason| match format!("{reason:?}").starts_with(what) {
            true => Verdict::Close,
            false => Verdict::Continue,
        });
        assert_eq!(answer(&mut here, ws::request("/", "")).status, 403, "{what}");
        assert_eq!(count("WsServerBindProtocol"), 0, "{what}");
    }
}

#[test]
fn a_vhost_may_want_a_name() {
    let options = Options::VHOST_DISABLE_NO_PROTOCOL_WS_UPGRADES;
    let mut here = Loop::new(VhostInfo { options, ..ws::vhost() });
    assert_eq!(answer(&mut here, ws::request("/", "")).status, 403);
    assert_eq!(answer(&mut here, ws::request("/", "Sec-WebSocket-Protocol: script\r\n")).status, 101);
}

#[test]
fn a_strict_vhost_wants_its_own_name() {
    let options = Options::VHOST_UPG_STRICT_HOST_CHECK;
    let mut here = Loop::new(VhostInfo { name: "own.test".into(), options, ..ws::vhost() });
    assert_eq!(answer(&mut here, ws::request("/", "")).status, 403);
    assert_eq!(answer(&mut here, ws::request("/", "").replace("localhost", "own.test")).status, 101);
}

#[test]
fn a_mount_may_have_none_and_may_want_a_password() {
    let site = Site::new();
    let users = site.root().join("users");
    std::fs::write(&users, "me:secret\n").expect("a file");
    let mounts = vec![
        Mount::files("/", site.root()),
        Mount::files("/none", site.root()).no_ws_upgrades(),
        Mount::files("/mine", site.root()).basic_auth(&users),
    ];
    let mut here = Loop::new(VhostInfo { mounts, ..ws::vhost() });
    let mut status = |path: &str, more: &str| answer(&mut here, ws::request(path, more)).status;
    assert_eq!(status("/", ""), 101);
    assert_eq!(status("/none/index.html", ""), 200, "as if it had not asked");
    assert_eq!(status("/mine/", ""), 401);
    assert_eq!(status("/mine/", "Authorization: Basic bWU6c2VjcmV0\r\n"), 101);
}

/// For http alone.
struct OfHttp;

impl rlws::Protocol for OfHttp {
    const NAME: &'static str = "of-http";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = ();
    type Vhost = ();

    fn init(_: rlws::VhostCall<'_>, _: &Pvo) -> Result<(), rlws::InitError> {
        Ok(())
    }

    fn callback(_: rlws::Call<'_, Self>, _: Reason<'_>) -> Verdict {
        Verdict::Continue
    }
}

#[test]
fn a_vhost_without_protocols_for_it_serves_http() {
    let site = Site::new();
    let protocols = vec![ProtocolTable::of::<OfHttp>()];
    let mounts = vec![Mount::files("/", site.root())];
    let mut here = Loop::new(VhostInfo { protocols, mounts, ..ws::vhost() });
    assert_eq!(answer(&mut here, ws::request("/index.html", "")).status, 200);
}

#[test]
fn what_comes_behind_the_request_in_one_piece_is_received() {
    let mut here = Loop::new(VhostInfo { mounts: vec![Mount::redirect("/r", "https://x.test")], ..ws::vhost() });
    on_call(ws::echo);
    let port = here.port();
    here.during(move || {
        let mut stream = connect(port);
        let before = "GET /r HTTP/1.1\r\nHost: a\r\n\r\n".to_owned();
        let frames =
            [ws::text("one"), ws::frame(ws::FIN | ws::PING, b"p"), ws::text("two"), ws::text("three")[..4].to_vec()];
        send(&mut stream, &[(before + &ws::request("/", "")).as_bytes(), &frames.concat()].concat());
        assert_eq!(read_response(&mut stream).status, 301, "a request that was sent ahead");
        assert_eq!(read_head(&mut stream).status, 101);
        assert_eq!(ws::read_frame(&mut stream), Frame::text("one"));
        assert_eq!(ws::read_frame(&mut stream), Frame { first: ws::FIN | ws::PONG, payload: b"p".into() });
        assert_eq!(ws::read_frame(&mut stream), Frame::text("two"));
        send(&mut stream, &ws::text("three")[4..]);
        assert_eq!(ws::read_frame(&mut stream), Frame::text("three"));
    });
}

#[test]
fn a_connection_that_has_served_http_can_be_upgraded() {
    let mut here = Loop::new(VhostInfo { mounts: vec![Mount::redirect("/r", "https://x.test")], ..ws::vhost() });
    on_call(ws::echo);
    let port = here.port();
    here.during(move || {
        let mut stream = connect(port);
        assert_eq!(ask(&mut stream, "localhost", "/r").status, 301);
        ws::upgrade(&mut stream, "");
        send(&mut stream, &ws::text("hello"));
        assert_eq!(ws::read_frame(&mut stream), Frame::text("hello"));
    });
}

#[test]
fn established_shows_the_request_for_the_last_time() {
    let mut here = Loop::new(ws::vhost());
    on_call(|wsi, _, reason| {
        let path = wsi.http_request().map(|request| request.target().to_owned());
        match reason {
            Reason::Established => assert_eq!(path.as_deref(), Some("/")),
            Reason::Receive(_) => assert_eq!(path, None),
            _ => {}
        }
        Verdict::Continue
    });
    let mut stream = opened(&mut here, "");
    send(&mut stream, &ws::text("x"));
    here.until("the message", || count("Receive") == 1);
}

#[test]
fn headers_can_be_added_to_the_answer() {
    struct Adds;
    impl rlws::Protocol for Adds {
        const NAME: &'static str = "adds";
        const INTERESTS: rlws::Interests = rlws::Interests::ADD_HEADERS;
        type Session = ();
        type Vhost = ();

        fn init(_: rlws::VhostCall<'_>, _: &Pvo) -> Result<(), rlws::InitError> {
            Ok(())
        }

        fn callback(call: rlws::Call<'_, Self>, reason: Reason<'_>) -> Verdict {
            if let Reason::AddHeaders = reason {
                call.wsi.add_http_header("X-Mine", "yes").expect("a header");
            }
            Verdict::Continue
        }
    }
    let mut here = Loop::new(VhostInfo { protocols: vec![ProtocolTable::of::<Adds>()], ..ws::vhost() });
    assert_eq!(answer(&mut here, ws::request("/", "")).header("x-mine"), Some("yes"));
}

#[test]
fn a_protocol_is_dropped_whose_client_goes_before_the_answer() {
    let mut here = Loop::new(ws::vhost());
    let peer: Rc<RefCell<Option<TcpStream>>> = Rc::default();
    let goes = peer.clone();
    on_call(move |_, _, reason| {
        if let (Reason::FilterProtocolConnection(_), Some(peer)) = (reason, goes.take()) {
            reset(peer);
        }
        Verdict::Continue
    });
    let mut stream = connect(here.port());
    send(&mut stream, ws::request("/", "").as_bytes());
    peer.replace(Some(stream));
    here.until("it is asked", || count("FilterProtocolConnection") == 1);
    let id = who("FilterProtocolConnection")[0];
    here.gone(id);
    for (bind, drop) in [("WsServerBindProtocol", "WsServerDropProtocol"), ("Established", "Closed")] {
        assert_eq!(count_of(id, bind), count_of(id, drop), "{:?}", order(id));
    }
    assert_eq!(count_of(id, "WsServerDropProtocol"), 1);
}

#[test]
fn the_access_log_has_a_line_for_it() {
    let log = LogFile::new();
    let mut here = Loop::new(VhostInfo { access_log: Some(log.log.clone()), ..ws::vhost() });
    let mut stream = opened(&mut here, "");
    let path = log.path();
    here.until("the line", || !lines(&path).is_empty());
    assert!(lines(&path)[0].contains("\" 101 - "), "{:?}", lines(&path));
    send(&mut stream, &ws::close(1000, ""));
    assert_eq!(close_of(&mut here, &stream), 1000);
    here.until_it("it is gone", |here| here.wsi_count() == 1);
    assert_eq!(lines(&path).len(), 1, "{:?}", lines(&path));
}

#[test]
fn a_script_knows_its_subprotocol() {
    let mut here = Loop::new(VhostInfo { protocols: vec![Script::<0>::table()], ..ws::vhost() });
    on_call(|wsi, _, reason| {
        if let Reason::Established = reason {
            assert_eq!((wsi.subprotocol(), wsi.has_deflate(), wsi.role_name()), (Some("SCRIPT"), false, "ws"));
        }
        Verdict::Continue
    });
    assert_eq!(answer(&mut here, ws::request("/", "Sec-WebSocket-Protocol: SCRIPT\r\n")).status, 403, "case counts");
    on_call(|wsi, _, reason| {
        if let Reason::Established = reason {
            assert_eq!((wsi.subprotocol(), wsi.has_deflate(), wsi.role_name()), (Some("script"), false, "ws"));
        }
        Verdict::Continue
    });
    assert_eq!(answer(&mut here, ws::request("/", "Sec-WebSocket-Protocol: script\r\n")).status, 101);
}
