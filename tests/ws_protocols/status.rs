//! `lws-status`: what it tells, when, and whom.

use std::net::TcpStream;
use std::time::Duration;

use rlws::protocols::lws_status::VIEWERS;
use rlws::protocols::{DumbIncrement, LwsServerStatus, LwsStatus, RawEcho};
use rlws::{Listen, Mount, Options, Protocol, ProtocolTable, VhostInfo};
use serde_json::Value;

use super::opened;
use super::util::http::{Response, ask, get, read_head, read_response};
use super::util::script::Loop;
use super::util::server::{Server, assert_names, make_vhost, mistake};
use super::util::{connect, eventually, options, read_exactly, send, ws};

fn vhost(pvos: &[(&str, &str)]) -> VhostInfo {
    VhostInfo {
        name: "watched".into(),
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![
            ProtocolTable::of::<RawEcho>(),
            ProtocolTable::of::<LwsStatus>(),
            ProtocolTable::of::<DumbIncrement>(),
        ],
        pvo: options("lws-status", pvos),
        mounts: vec![Mount::callback("/status", "lws-status"), Mount::redirect("/away", "https://example.org/")],
        options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        listen_accept_protocol: Some("raw-echo".into()),
        ..Default::default()
    }
}

/// Counts a loop's figures while its time stands still.
struct Watched {
    here: Loop,
    port: u16,
    now: Duration,
}

impl Watched {
    fn new(info: VhostInfo) -> Watched {
        let mut here = Loop::frozen(info);
        let port = here.port();
        Watched { here, port, now: Duration::ZERO }
    }

    fn views(&mut self) -> TcpStream {
        let port = self.port;
        self.here.during(move || opened(port, "/status/"))
    }

    /// The next snapshot that a viewer is sent.
    #[track_caller]
    fn next(&mut self, viewer: &TcpStream) -> Value {
        let mut viewer = viewer.try_clone().expect("dup");
        let message = self.here.during(move || ws::read_message(&mut viewer).0);
        serde_json::from_slice(&message).expect("JSON")
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
        self.here.at(self.now);
    }
}

fn named<'v>(list: &'v Value, name: &str) -> &'v Value {
    let found = list.as_array().expect("an array").iter().find(|item| item["name"] == name);
    found.unwrap_or_else(|| panic!("no {name} in {list}"))
}

#[test]
fn it_tells_of_connections_bytes_and_verdicts() {
    let mut watched = Watched::new(vhost(&[("update-ms", "1000")]));
    let viewer = watched.views();
    let first = watched.next(&viewer);
    assert_eq!((&first["uptime"], &first["update_ms"], &first["viewers"]), (&0.into(), &1000.into(), &1.into()));
    assert_eq!((&first["wsi_alive"], &first["listen_wsi"]), (&2.into(), &1.into()));
    assert_eq!(named(&first["roles"], "ws")["now"], 1);
    assert_eq!(first["sums"]["accepted"], 1);
    assert_eq!(first["rates"], serde_json::json!({"accepted": 0, "requests": 0, "rx": 0, "tx": 0}));

    // One falls back and is echoed, one counts, one asks and goes.
    let port = watched.port;
    let (raw, counting) = watched.here.during(move || {
        let mut raw = connect(port);
        send(&mut raw, &[b'x'; 1000]);
        read_exactly(&mut raw, 1000);
        let counting = ws::open(port, "Sec-WebSocket-Protocol: dumb-increment-protocol\r\n");
        assert_eq!(get(port, "watched", "/away").status, 301);
        (raw, counting)
    });
    watched.pass(Duration::from_secs(2));
    let second = watched.next(&viewer);
    assert_eq!(second["uptime"], 2);
    let grown =
        |what: &str| second["sums"][what].as_u64().expect("a number") - first["sums"][what].as_u64().expect("one");
    assert_eq!((grown("accepted"), grown("requests")), (3, 2));
    assert!(grown("rx") > 1000 && grown("rx") < 1600 && grown("tx") > 1000, "{second}");
    for (rate, of) in [("accepted", 3), ("requests", 2), ("rx", grown("rx")), ("tx", grown("tx"))] {
        assert_eq!(second["rates"][rate], (of as f64 / 2.0).round() as u64, "{rate}");
    }
    assert_eq!(named(&second["roles"], "raw-skt")["now"], 1);
    assert_eq!(
        (&named(&second["roles"], "http")["now"], &named(&second["roles"], "http")["ever"]),
        (&0.into(), &3.into())
    );
    assert_eq!(named(&second["protocols"], "dumb-increment-protocol")["now"], 1);
    assert_eq!((&second["verdicts"]["http"], &second["verdicts"]["listen-accept"]), (&3.into(), &1.into()));
    let of_vhost = named(&second["vhosts"], "watched");
    assert_eq!((&of_vhost["connections"], &of_vhost["requests"]), (&3.into(), &3.into()));
    assert_eq!(named(&of_vhost["protocols"], "raw-echo")["now"], 1);
    assert_eq!(of_vhost["mounts"][0]["origin"], "callback://lws-status");
    let listener = &second["listeners"][0];
    assert_eq!((&listener["addresses"][0], &listener["accepted"]), (&format!("127.0.0.1:{port}").into(), &4.into()));
    assert_eq!(listener["vhosts"], serde_json::json!(["watched"]));

    drop((raw, counting));
    watched.here.until_it("they have gone", |here| here.wsi_count() == 2);
    watched.pass(Duration::from_secs(1));
    let third = watched.next(&viewer);
    assert_eq!(named(&third["roles"], "raw-skt")["now"], 0);
    assert_eq!(named(&third["protocols"], "dumb-increment-protocol")["now"], 0);
    assert_eq!(named(&third["roles"], "ws")["ever"], 2);
}

#[test]
fn snapshots_come_while_somebody_looks_and_are_the_same_for_all() {
    let mut watched = Watched::new(vhost(&[]));
    let one = watched.views();
    let first = watched.next(&one);
    assert_eq!(first["update_ms"], 5000);
    let other = watched.views();
    assert_eq!(watched.next(&other), first, "no other is made for it");
    watched.pass(Duration::from_secs(4));
    watched.pass(Duration::from_secs(1));
    let second = watched.next(&one);
    assert_eq!((&watched.next(&other), &second["viewers"], &second["uptime"]), (&second, &2.into(), &5.into()));
    drop((one, other));
    watched.here.until_it("they have gone", |here| here.wsi_count() == 1);
    (0..3).for_each(|_| watched.pass(Duration::from_secs(5)));
    let again = watched.views();
    let fresh = watched.next(&again);
    assert_eq!((&fresh["viewers"], &fresh["uptime"]), (&1.into(), &20.into()));
    assert_eq!(fresh["rates"]["tx"], 0, "what was long ago says nothing of now");
}

#[test]
fn a_connection_counts_for_the_vhost_that_it_is_led_to() {
    let server = Server::start(|context| {
        let port = make_vhost(context, vhost(&[("update-ms", "100")]));
        let other = VhostInfo { name: "other".into(), mounts: Vec::new(), ..vhost(&[]) };
        assert_eq!(make_vhost(context, other), port);
        port
    });
    let mut viewer = opened(server.made, "/status/");
    // Between requests one belongs to the first vhost of its socket.
    let mut asks = connect(server.made);
    ask(&mut asks, "other", "/");
    let mut stays = connect(server.made);
    let counting = ws::request("/", "Sec-WebSocket-Protocol: dumb-increment-protocol\r\n");
    send(&mut stays, counting.replace("Host: localhost", "Host: other").as_bytes());
    assert_eq!(read_head(&mut stays).status, 101);
    let mut comes_to = |counts: [u64; 2]| {
        // Some snapshots were made before that.
        eventually(&format!("{counts:?} connections"), || {
            let shown: Value = serde_json::from_slice(&ws::read_message(&mut viewer).0).expect("JSON");
            ["watched", "other"].map(|name| named(&shown["vhosts"], name)["connections"].clone()) == counts
        });
    };
    comes_to([2, 1]);
    drop(asks);
    comes_to([1, 1]);
    drop(stays);
    comes_to([1, 0]);
}

#[test]
fn vhosts_of_one_name_are_told_apart_by_where_they_are() {
    let server = Server::start(|context| {
        let port = make_vhost(context, vhost(&[]));
        let other = make_vhost(context, VhostInfo { listen: Listen::on("127.0.0.2", 0), ..vhost(&[]) });
        make_vhost(context, VhostInfo { listen: Listen::None, name: "unheard".into(), ..Default::default() });
        (port, other)
    });
    let (port, other) = server.made;
    let mut viewer = opened(port, "/status/");
    let shown: Value = serde_json::from_slice(&ws::read_message(&mut viewer).0).expect("JSON");
    let places: Vec<(&Value, &Value)> =
        shown["vhosts"].as_array().expect("an array").iter().map(|vhost| (&vhost["name"], &vhost["listen"])).collect();
    let expected = [
        ("watched".into(), serde_json::json!([format!("127.0.0.1:{port}")])),
        ("watched".into(), serde_json::json!([format!("127.0.0.2:{other}")])),
        ("unheard".into(), serde_json::json!([])),
    ];
    assert_eq!(places, expected.each_ref().map(|(name, listen): &(Value, Value)| (name, listen)));
}

#[test]
fn vhosts_can_be_hidden() {
    let mut watched = Watched::new(vhost(&[("hide-vhosts", "1")]));
    let viewer = watched.views();
    let shown = watched.next(&viewer);
    assert!(shown.get("vhosts").is_none() && shown.get("listeners").is_none(), "{shown}");
    assert_eq!(shown["sums"]["accepted"], 1);
}

#[test]
fn what_is_longer_than_a_part_comes_in_several() {
    let server = Server::start(|context| {
        let port = make_vhost(context, vhost(&[]));
        for n in 0..400 {
            let name = format!("{n}.{}", "long-name.".repeat(20));
            make_vhost(context, VhostInfo { name, listen: Listen::on("127.0.0.1", 0), ..Default::default() });
        }
        port
    });
    let mut viewer = opened(server.made, "/status/");
    let (message, _) = ws::read_message(&mut viewer);
    let shown: Value = serde_json::from_slice(&message).expect("JSON");
    assert!(message.len() > 200_000, "{} bytes", message.len());
    assert_eq!(shown["vhosts"].as_array().map(Vec::len), Some(401));
}

/// The status of the answer to somebody who wants to look.
#[track_caller]
fn asked_with(port: u16, path: &str, more: &str) -> u16 {
    asked_as("lws-status", port, path, more)
}

fn asked_as(name: &str, port: u16, path: &str, more: &str) -> u16 {
    let mut stream = connect(port);
    send(&mut stream, ws::request(path, &format!("Sec-WebSocket-Protocol: {name}\r\n{more}")).as_bytes());
    read_head(&mut stream).status
}

/// The answer to a request that is written out.
#[track_caller]
fn said_to(port: u16, request: &str) -> Response {
    let mut stream = connect(port);
    send(&mut stream, request.as_bytes());
    read_response(&mut stream)
}

#[test]
fn who_may_look_is_for_the_mount_of_the_page_to_say() {
    let folder = tempfile::tempdir().expect("a folder");
    let users = folder.path().join("users");
    std::fs::write(&users, "ann:secret\n").expect("write");
    let server = Server::with_vhost(move || {
        let mut page = Mount::callback("/status/", "lws_status");
        page.basic_auth = Some(users);
        VhostInfo { mounts: vec![page], ..vhost(&[]) }
    });
    let ann = "Authorization: Basic YW5uOnNlY3JldA==\r\n";
    assert_eq!(asked_with(server.made, "/status/", ""), 401);
    assert_eq!(asked_with(server.made, "/status/", ann), 101);
    assert_eq!(asked_with(server.made, "/", ann), 403, "not past the password");
    let page =
        |path: &str, more: &str| said_to(server.made, &format!("GET {path} HTTP/1.1\r\nHost: watched\r\n{more}\r\n"));
    assert_eq!((page("/status/", "").status, page("/", ann).status), (401, 404));
    for (path, kind) in
        [("", "text/html"), ("status.js", "text/javascript"), ("status.css", "text/css"), ("icon.svg", "image/svg")]
    {
        let answer = page(&format!("/status/{path}"), ann);
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").is_some_and(|it| it.starts_with(kind)), "{path}");
        assert!(
            answer.header("content-security-policy").is_some_and(|it| it.starts_with("default-src 'none';")),
            "{path}"
        );
    }
    assert_eq!(page("/status", ann).header("location"), Some("/status/"));
    assert_eq!(page("/status/else", ann).status, 404);
    let post = format!("POST /status/ HTTP/1.1\r\nHost: watched\r\nContent-Length: 0\r\n{ann}\r\n");
    assert_eq!(said_to(server.made, &post).status, 405);
}

#[test]
fn its_other_name_is_no_way_past_the_mount_of_the_page() {
    let names = [LwsStatus::NAME, LwsServerStatus::NAME];
    for page in names {
        let server = Server::with_vhost(move || VhostInfo {
            listen: Listen::on("127.0.0.1", 0),
            protocols: vec![ProtocolTable::of::<LwsStatus>(), ProtocolTable::of::<LwsServerStatus>()],
            mounts: vec![Mount::callback("/status/", page)],
            ..Default::default()
        });
        for name in names {
            assert_eq!(asked_as(name, server.made, "/", ""), 403, "{name}, and the page of {page}");
            assert_eq!(asked_as(name, server.made, "/status/", ""), 101, "{name}, and the page of {page}");
        }
    }
}

#[test]
fn pages_of_other_sites_may_not_look() {
    let server = Server::with_vhost(|| vhost(&[]));
    for (origin, status) in [
        ("http://localhost", 101),
        ("https://LOCALHOST", 101),
        ("http://localhost:81", 403),
        ("https://example.org", 403),
        ("null", 403),
        ("", 403),
    ] {
        assert_eq!(asked_with(server.made, "/status/", &format!("Origin: {origin}\r\n")), status, "{origin}");
    }
}

#[test]
fn without_a_mount_of_its_own_it_is_for_all_who_reach_the_vhost_as_in_lws() {
    let server = Server::with_vhost(|| VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<LwsServerStatus>()],
        ..Default::default()
    });
    let mut viewer = ws::open(server.made, "Sec-WebSocket-Protocol: lws-server-status\r\n");
    let (message, _) = ws::read_message(&mut viewer);
    assert_eq!(serde_json::from_slice::<Value>(&message).expect("JSON")["viewers"], 1);
    // And it shows no page where nobody has asked for one.
    assert_eq!(get(server.made, "watched", "/").status, 404);
}

#[test]
fn so_many_may_look() {
    let server = Server::with_vhost(|| vhost(&[]));
    let mut viewers: Vec<TcpStream> = (0..VIEWERS).map(|_| opened(server.made, "/status/")).collect();
    assert_eq!(asked_with(server.made, "/status/", ""), 403);
    viewers.pop();
    eventually("there is room again", || asked_with(server.made, "/status/", "") == 101);
}

#[test]
fn mistakes_in_its_options_name_them() {
    for wrong in ["99", "3600001", "1s", ""] {
        assert_names(&mistake(vhost(&[("update-ms", wrong)])), &["watched", "lws-status", "update-ms"]);
    }
}
