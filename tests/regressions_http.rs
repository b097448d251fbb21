//! Bugs that were, in http. Time is injected where a bug was about time.

mod util;

use std::cell::Cell;
use std::io::{BufReader, Write};
use std::path::Path;
use std::thread;

use rlws::protocols::RawEcho;
use rlws::{
    Call, InitError, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Verdict, VhostCall, VhostInfo, VhostReason,
    WsiId, limits,
};
use util::http::{ask, read_head, read_response, request};
use util::turned::{Turned, client_of, small_client};
use util::*;

const BIG: &str = "big.png";

/// A site with a file of a megabyte, and its bytes.
fn big_site() -> (Site, Vec<u8>) {
    let (site, bytes) = (Site::new(), random_bytes(11, 1024 * 1024));
    site.write(BIG, &bytes);
    (site, bytes)
}

fn files(root: impl AsRef<Path>) -> VhostInfo {
    let mounts = vec![Mount::files("/", root.as_ref())];
    VhostInfo { listen: Listen::on("127.0.0.1", 0), mounts, ..Default::default() }
}

fn with_protocol(table: ProtocolTable) -> VhostInfo {
    VhostInfo { listen: Listen::on("127.0.0.1", 0), protocols: vec![table], ..Default::default() }
}

#[test]
fn a_get_with_a_body_and_a_half_close_brings_the_whole_file() {
    let (site, bytes) = big_site();
    let root = site.root();
    let server = Server::with_vhost(move || files(root));
    for with_fin in [true, false] {
        let mut client = small_client(server.made);
        let head = format!("GET /{BIG} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
        send(&mut client, format!("{head}hello").as_bytes());
        if with_fin {
            half_close(&client);
        }
        server.turn();
        assert_same_bytes(&read_response(&mut client).body, &bytes);
        assert_eq!(read_to_end(&mut client), b"");
    }
    server.assert_nothing_left();
}

#[test]
fn who_says_more_behind_the_last_request_gets_the_whole_response_though_he_goes_on() {
    let site = Site::new();
    let bytes = random_bytes(13, 14_000);
    site.write(BIG, &bytes);
    let root = site.root();
    let server = Server::with_vhost(move || files(root));
    let mut client = client_of(server.made, 1);
    let request = format!("GET /{BIG} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\nmore");
    send(&mut client, request.as_bytes());
    server.wait_for_log(&["http", "127.0.0.1:", ": done"]);
    send(&mut client, b"and more");
    assert_same_bytes(&read_response(&mut client).body, &bytes);
    assert_eq!(read_to_end(&mut client), b"");
    drop(client);
    server.assert_nothing_left();
}

#[test]
fn a_long_response_is_not_thrown_away_because_a_short_one_behind_it_ends_the_connection() {
    let site = Site::new();
    let bytes = random_bytes(12, 180_000);
    site.write(BIG, &bytes);
    let root = site.root();
    let server = Server::with_vhost(move || files(root));
    let mut client = small_client(server.made);
    let mut requests = request("GET", "a", &format!("/{BIG}"));
    requests.push_str("HEAD / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    send(&mut client, requests.as_bytes());
    server.wait_for_log(&["http", "127.0.0.1:", ": done"]);
    // As close_notify does over TLS, it comes when the connection has ended.
    send(&mut client, b"late");
    assert_same_bytes(&read_response(&mut client).body, &bytes);
    assert_eq!(read_head(&mut client).status, 200);
    assert_eq!(read_to_end(&mut client), b"");
}

#[test]
fn a_body_and_a_half_close_that_come_late_do_not_cut_the_file_short() {
    let (site, bytes) = big_site();
    let mut turned = Turned::new(files(site.root()));
    turned.send(format!("GET /{BIG} HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n").as_bytes());
    turned.fill();
    // Both are seen in the same turn.
    turned.send(b"hello");
    half_close(&turned.client);
    turned.turns(0);
    assert_same_bytes(&read_response(&mut turned).body, &bytes);
    assert_eq!(read_to_end(&mut turned), b"");
}

#[test]
fn the_last_answer_arrives_though_more_is_sent_than_is_asked_for() {
    let site = Site::new();
    site.write("a.txt", b"the file");
    let root = site.root().to_owned();
    let server = Server::with_vhost(move || files(root));
    for _ in 0..20 {
        let mut client = connect(server.made);
        let mut same = client.try_clone().expect("dup");
        same.set_nodelay(true).expect("TCP_NODELAY");
        send(&mut client, b"GET /a.txt HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
        // Some of it arrives between the server's last look and its close.
        let more = thread::spawn(move || (0..2000).all(|_| same.write_all(b"x").is_ok()));
        assert_eq!(read_response(&mut client).text(), "the file");
        drop(client);
        more.join().expect("no panic");
    }
}

#[test]
fn a_malformed_body_does_not_cut_the_response_short_that_is_on_its_way() {
    let (site, bytes) = big_site();
    let mut turned = Turned::new(files(site.root()));
    turned.send(format!("GET /{BIG} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n").as_bytes());
    turned.fill();
    turned.send(b"x");
    turned.turns(0);
    assert_same_bytes(&read_response(&mut turned).body, &bytes);
    assert_eq!(read_to_end(&mut turned), b"");
}

#[test]
fn several_ranges_are_sent_to_their_end_where_another_request_waits() {
    let (site, bytes) = big_site();
    let root = site.root();
    let server = Server::with_vhost(move || files(root));
    let mut client = connect(server.made);
    let one = format!("GET /{BIG} HTTP/1.1\r\nHost: a\r\nRange: bytes=0-9,90-99,200-209\r\n\r\n");
    send(&mut client, one.repeat(3).as_bytes());
    for _ in 0..3 {
        let answer = read_response(&mut client);
        assert_eq!(answer.status, 206);
        for range in [0..10, 90..100, 200..210] {
            assert!(answer.body.windows(10).any(|window| window == &bytes[range.clone()]), "{range:?}");
        }
        assert!(answer.body.ends_with(b"--\r\n"));
    }
}

#[test]
fn a_byte_behind_a_last_request_does_not_cut_its_file_short() {
    let (site, bytes) = big_site();
    let root = site.root();
    let server = Server::with_vhost(move || files(root));
    for before in [0, 1, 2, 3, 4].map(|quarter| quarter * bytes.len() / 4) {
        let mut client = small_client(server.made);
        send(&mut client, format!("GET /{BIG} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").as_bytes());
        let head = read_head(&mut client);
        assert_eq!(head.header("connection"), Some("close"));
        let mut got = read_exactly(&mut client, before);
        // Everything that it can have handed to the system by now, it has.
        (0..20).for_each(|_| server.turn());
        send(&mut client, b"x");
        server.turn();
        got.extend(read_exactly(&mut client, bytes.len() - before));
        assert_same_bytes(&got, &bytes);
    }
    server.assert_nothing_left();
}

/// Answers by path.
struct Statuses;

impl Protocol for Statuses {
    const NAME: &'static str = "statuses";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Reason::Http(request) = reason else { return Verdict::Continue };
        match request.path() {
            "/last" => {
                call.wsi.return_http_status(200, Some("the last"));
                return Verdict::Close;
            }
            "/long" => call.wsi.return_http_status(404, Some(&long())),
            "/204/body" => call.wsi.return_http_status(204, Some("no content, they say")),
            path => call.wsi.return_http_status(path[1..].parse().expect("a number"), None),
        }
        Verdict::Continue
    }
}

fn long() -> String {
    "not found ".repeat(10_000)
}

#[test]
fn pipelined_responses_that_fill_the_socket_outlast_the_keep_alive() {
    let keepalive = VhostInfo::default().keepalive_timeout.as_secs();
    let mut turned = Turned::new(with_protocol(ProtocolTable::of::<Statuses>()));
    turned.send(request("GET", "a", "/long").repeat(200).as_bytes());
    turned.fill();
    for seconds in [keepalive + 1, 3 * keepalive] {
        turned.turns(seconds);
        assert!(turned.is_there());
    }
    for number in 0..200 {
        let response = read_response(&mut turned);
        assert_eq!((response.status, response.text() == long()), (404, true), "response {number}");
    }
    // Only now it is idle; the server may have to be told that the last of it is out.
    turned.turns(3 * keepalive);
    turned.turns(4 * keepalive - 1);
    assert!(turned.is_there());
    turned.turns(4 * keepalive + 1);
    assert!(!turned.is_there());
}

thread_local! {
    static SEEN: Cell<Option<WsiId>> = const { Cell::new(None) };
}

/// Remembers the latest connection, and answers as ever.
struct Seen;

impl Protocol for Seen {
    const NAME: &'static str = "seen";
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        rlws::protocols::http_dummy::callback(call.wsi, call.cx, reason)
    }

    fn vhost_callback(_: VhostCall<'_>, (): &mut (), reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::WsiCreate(wsi) = reason {
            SEEN.set(Some(wsi.id()));
        }
        Verdict::Continue
    }
}

#[test]
fn pipelined_small_404s_that_fill_the_socket_outlast_the_keep_alive() {
    const COUNT: usize = 30_000;
    let protocols = vec![ProtocolTable::of::<Seen>()];
    let mut turned = Turned::new(VhostInfo { listen: Listen::on("127.0.0.1", 0), protocols, ..Default::default() });
    let requests = request("GET", "a", "/").repeat(COUNT);
    let mut rest = requests.as_bytes();
    eventually("all requests are on their way", || {
        turned.turn();
        rest = &rest[turned.client.write(rest).unwrap_or_default()..];
        rest.is_empty()
    });
    eventually("a response is stuck", || {
        (0..200).for_each(|_| turned.turn());
        let id = SEEN.get().expect("it is there");
        turned.context.cx().wsi(id).is_some_and(|wsi| !wsi.is_flushed())
    });
    turned.turns(6);
    assert!(turned.is_there());
    let mut reader = BufReader::new(turned);
    let one = read_response(&mut reader);
    for number in 1..COUNT {
        let next = read_response(&mut reader);
        assert_eq!((next.status, &next.body), (404, &one.body), "response {number}");
    }
}

#[test]
fn a_client_that_never_reads_is_cut_off_whatever_it_sends() {
    let stall = limits::HTTP_SEND_STALL.as_secs();
    let (site, _) = big_site();
    let by_protocol = (with_protocol(ProtocolTable::of::<Statuses>()), "/long".to_owned());
    for (info, path) in [by_protocol, (files(site.root()), format!("/{BIG}"))] {
        let mut turned = Turned::new(info);
        turned.send(request("GET", "a", &path).repeat(200).as_bytes());
        turned.fill();
        for seconds in (1..stall).step_by(7) {
            turned.send(b"G");
            turned.turns(seconds);
            assert!(turned.is_there(), "{path}: after {seconds} of {stall} seconds");
        }
        // What filled the client's buffer behind the last word of the poll counted at the first look.
        turned.send(b"G");
        turned.turns(stall + 2 * limits::HTTP_SEND_LOOK.as_secs());
        assert!(!turned.is_there(), "{path}");
    }
}

#[test]
fn a_head_that_is_dripped_out_has_no_more_time_than_any_other() {
    for first in ["G", "GET /"] {
        let mut turned = Turned::new(VhostInfo { listen: Listen::on("127.0.0.1", 0), ..Default::default() });
        turned.turns(4);
        turned.send(first.as_bytes());
        turned.turns(4);
        turned.send(&b"GET / HTTP/1.1\r\nHost: a"[first.len()..]);
        turned.turns(4);
        assert!(turned.is_there());
        turned.turns(5);
        turned.seconds = 6;
        let (answer, _) = read_until_closed(&mut turned);
        let answer = String::from_utf8_lossy(&answer).into_owned();
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408 "), "{first}: {answer}");
    }
    // What stays undecided does not get its time either.
    let mut turned = Turned::new(VhostInfo { listen: Listen::on("127.0.0.1", 0), ..Default::default() });
    turned.turns(4);
    turned.send(b"G");
    turned.turns(6);
    assert!(!turned.is_there());
}

fn statuses() -> Server {
    Server::with_vhost(|| with_protocol(ProtocolTable::of::<Statuses>()))
}

#[test]
fn a_verdict_of_close_ends_the_connection_behind_its_answer() {
    let server = statuses();
    let mut client = connect(server.made);
    send(&mut client, (request("GET", "a", "/last") + &request("GET", "a", "/200")).as_bytes());
    let answer = read_response(&mut client);
    assert_eq!((answer.status, answer.text()), (200, "the last"));
    assert_eq!(answer.header("connection"), Some("close"));
    assert_eq!(read_to_end(&mut client), b"");
    server.assert_nothing_left_beside(1);
}

#[test]
fn a_status_without_content_leaves_the_next_response_intact() {
    let server = statuses();
    let mut client = connect(server.made);
    for (path, status, length) in
        [("/204", 204, None), ("/204/body", 204, None), ("/205", 205, Some("0")), ("/304", 304, None)]
    {
        send(&mut client, (request("GET", "a", path) + &request("GET", "a", "/202")).as_bytes());
        let answer = read_head(&mut client);
        assert_eq!((answer.status, answer.header("content-length")), (status, length), "{path}");
        assert_eq!(answer.header("content-type"), None, "{path}");
        let next = read_response(&mut client);
        assert_eq!(next.status, 202, "behind {path}");
        assert!(next.text().contains("202"), "behind {path}: {}", next.text());
    }
}

#[test]
fn a_status_that_is_none_is_the_servers_fault() {
    let server = statuses();
    let mut client = connect(server.made);
    for code in ["0", "99", "100", "199", "600", "700", "65535"] {
        assert_eq!(ask(&mut client, "a", &format!("/{code}")).status, 500, "{code}");
        // The first one as a warning, the others of the same second as notes.
        server.wait_for_log(&[&format!("{code} is no final status")]);
    }
    server.wait_for_log(&["WARN", "0 is no final status"]);
}

/// Is made for raw connections, and would answer anything.
struct Rude;

impl Protocol for Rude {
    const NAME: &'static str = "rude";
    const ROLES: &'static [&'static str] = &["raw-skt"];
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, _: Reason<'_>) -> Verdict {
        call.wsi.return_http_status(200, Some("what do you want"));
        Verdict::Continue
    }
}

#[test]
fn a_vhost_whose_protocols_are_all_raw_answers_404() {
    for table in [ProtocolTable::of::<RawEcho>(), ProtocolTable::of::<Rude>()] {
        let server = Server::with_vhost(move || with_protocol(table));
        let mut client = connect(server.made);
        for path in ["/", "/any/where"] {
            assert_eq!(ask(&mut client, "a", path).status, 404, "{}", table.name());
        }
    }
}

#[test]
fn a_folder_that_takes_the_place_of_another_is_served_soon() {
    let folder = tempfile::tempdir().expect("a folder");
    let make = |name: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir(&path).expect("create_dir");
        std::fs::write(path.join("index.html"), name).expect("write");
        path
    };
    let page = |turned: &mut Turned| {
        turned.send(request("GET", "a", "/").as_bytes());
        read_response(turned).text().to_owned()
    };
    let soon = limits::MOUNT_CHECK.as_secs();

    let live = make("live");
    let mut turned = Turned::new(files(&live));
    assert_eq!(page(&mut turned), "live");
    std::fs::rename(&live, folder.path().join("former")).expect("rename");
    turned.seconds += soon;
    assert!(page(&mut turned).contains("404"), "there is nothing");
    std::fs::rename(make("renamed"), &live).expect("rename");
    turned.seconds += soon;
    assert_eq!(page(&mut turned), "renamed");

    let (link, next) = (folder.path().join("current"), folder.path().join("next"));
    std::os::unix::fs::symlink(make("v1"), &link).expect("symlink");
    let mut turned = Turned::new(files(&link));
    assert_eq!(page(&mut turned), "v1");
    for version in ["v2", "v3"] {
        std::os::unix::fs::symlink(make(version), &next).expect("symlink");
        std::fs::rename(&next, &link).expect("rename");
        turned.seconds += soon;
        assert_eq!(page(&mut turned), version);
    }
}

/// Found by fuzzing: a part of a line without its end was not looked at again, and its client's end was all that was answered.
#[test]
fn a_head_that_ends_early_is_answered_alike_however_it_was_cut() {
    let site = Site::new();
    for (head, status) in [(&b"T / HTTP/2.0\0"[..], 505), (b"T / HTTP/1.1\0", 501), (b"GET / HTTP/1.1\r\nA: b", 400)] {
        for cut in 1..=head.len() {
            let mut turned = Turned::new(files(site.root()));
            turned.send(&head[..cut]);
            turned.turns(0);
            // Where its first part says enough, the server has answered by now.
            let _ = turned.client.write_all(&head[cut..]);
            turned.turns(0);
            half_close(&turned.client);
            assert_eq!(read_response(&mut turned).status, status, "{head:?} cut at {cut}");
        }
    }
}
