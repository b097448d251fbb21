//! Files: validators and conditional requests, ranges, what was compressed before, and files that change while they are sent.

mod util;

use std::fs::{self, File, OpenOptions};
use std::net::TcpStream;
use std::os::unix::net::UnixListener;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rlws::{
    Cache, Call, InitError, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Verdict, VhostCall, VhostInfo,
};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use util::http::{Response, read_head, read_response, request};
use util::turned::Turned;
use util::*;

/// Sun, 06 Nov 1994 08:49:37 GMT
const MODIFIED: Duration = Duration::from_secs(784_111_777);
const SAME: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
const BEFORE: &str = "Sun, 06 Nov 1994 08:49:36 GMT";
const DIGITS: &[u8] = b"0123456789";

/// A server of the site, whose files were modified at `MODIFIED`; `digits.txt` is among them.
fn serve(site: &Site) -> Server {
    serve_as(site, |mount| mount)
}

fn serve_as(site: &Site, change: impl FnOnce(Mount) -> Mount) -> Server {
    site.write("digits.txt", DIGITS);
    for entry in fs::read_dir(site.root()).expect("the site") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            date(&path, UNIX_EPOCH + MODIFIED);
        }
    }
    let mount = change(Mount::files("/", site.root()));
    Server::with_vhost(move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        mounts: vec![mount],
        error_document_404: Some("/404.html".into()),
        ..Default::default()
    })
}

fn date(path: &std::path::Path, time: SystemTime) {
    File::options().write(true).open(path).and_then(|file| file.set_modified(time)).expect("utimensat");
}

/// Asks with some more header lines on a connection that stays.
#[track_caller]
fn ask(stream: &mut TcpStream, method: &str, path: &str, lines: &[&str]) -> Response {
    let lines: String = lines.iter().map(|line| format!("{line}\r\n")).collect();
    send(stream, format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").as_bytes());
    if method == "HEAD" { read_head(stream) } else { read_response(stream) }
}

fn tag_of(response: &Response) -> String {
    response.header("etag").unwrap_or_else(|| panic!("no ETag: {}", response.head)).to_owned()
}

#[test]
fn a_file_has_validators_that_change_with_it() {
    let site = Site::new();
    let server = serve(&site);
    let mut stream = connect(server.made);
    let first = ask(&mut stream, "GET", "/digits.txt", &[]);
    assert_eq!(first.header("last-modified"), Some(SAME));
    assert_eq!(first.header("accept-ranges"), Some("bytes"));
    let tag = tag_of(&first);
    assert!(tag.starts_with('"') && tag.ends_with('"') && tag.len() > 2, "{tag}");
    assert_eq!(tag_of(&ask(&mut stream, "HEAD", "/digits.txt", &[])), tag);
    assert_ne!(tag_of(&ask(&mut stream, "GET", "/", &[])), tag);

    site.write("digits.txt", b"9876543210");
    let second = ask(&mut stream, "GET", "/digits.txt", &[&format!("If-None-Match: {tag}")]);
    assert_eq!((second.status, second.body.as_slice()), (200, &b"9876543210"[..]));
    assert_ne!(tag_of(&second), tag);
    assert!(second.header("vary").is_none(), "{}", second.head);
}

#[test]
fn no_file_is_said_to_be_from_the_future() {
    let site = Site::new();
    let server = serve(&site);
    date(&site.root().join("digits.txt"), SystemTime::now() + Duration::from_secs(86_400));
    let mut stream = connect(server.made);
    let answer = ask(&mut stream, "GET", "/digits.txt", &[]);
    assert_eq!(answer.header("last-modified"), answer.header("date"));
    let since = format!("If-Modified-Since: {}", answer.header("date").expect("Date"));
    assert_eq!(ask(&mut stream, "GET", "/digits.txt", &[&since]).status, 200);
}

#[test]
fn conditions_decide_between_200_304_and_412() {
    let site = Site::new();
    let server =
        serve_as(&site, |mount| mount.cache(Cache { max_age: 60, reusable: true, ..Cache::default() }).precompressed());
    let mut stream = connect(server.made);
    let full = ask(&mut stream, "GET", "/digits.txt", &[]);
    let tag = tag_of(&full);
    for (status, lines) in [
        (200, vec!["If-None-Match: \"other\"".to_owned()]),
        (304, vec![format!("If-None-Match: {tag}")]),
        (304, vec!["If-None-Match: \"other\"".to_owned(), format!("if-none-match: W/{tag}")]),
        (304, vec!["If-None-Match: *".to_owned()]),
        (304, vec![format!("If-None-Match: {tag}"), format!("If-Modified-Since: {BEFORE}")]),
        (200, vec!["If-None-Match: \"other\"".to_owned(), format!("If-Modified-Since: {SAME}")]),
        (304, vec![format!("If-Modified-Since: {SAME}")]),
        (304, vec!["If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT".to_owned()]),
        (304, vec!["If-Modified-Since: Sun Nov  6 08:49:37 1994".to_owned()]),
        (200, vec![format!("If-Modified-Since: {BEFORE}")]),
        (200, vec!["If-Modified-Since: soon".to_owned()]),
        (200, vec![format!("If-Match: {tag}")]),
        (412, vec![format!("If-Match: W/{tag}")]),
        (412, vec!["If-Match: \"other\"".to_owned()]),
        (412, vec![format!("If-Unmodified-Since: {BEFORE}")]),
        (200, vec![format!("If-Unmodified-Since: {SAME}")]),
        (304, vec![format!("If-Match: {tag}"), format!("If-None-Match: {tag}")]),
        // A condition that fails leaves nothing for a range to be of.
        (304, vec![format!("If-None-Match: {tag}"), "Range: bytes=0-1".to_owned()]),
        (412, vec!["If-Match: \"other\"".to_owned(), "Range: bytes=20-".to_owned()]),
    ] {
        let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
        for method in ["GET", "HEAD"] {
            let answer = ask(&mut stream, method, "/digits.txt", &lines);
            assert_eq!(answer.status, status, "{method} {lines:?}");
            if status == 304 {
                for name in ["etag", "last-modified", "cache-control", "vary"] {
                    assert_eq!(answer.header(name), full.header(name), "{name}: {}", answer.head);
                    assert!(answer.header(name).is_some(), "{name}: {}", answer.head);
                }
                assert!(answer.header("date").is_some());
                for name in ["content-length", "content-type", "content-encoding", "accept-ranges", "content-range"] {
                    assert!(answer.header(name).is_none(), "{name}: {}", answer.head);
                }
            }
            if status == 200 && method == "GET" {
                assert_eq!(answer.body, DIGITS, "{lines:?}");
            }
        }
    }
    drop(stream);
    server.assert_nothing_left();
}

#[test]
fn one_range_is_a_part_of_the_file() {
    let site = Site::new();
    let server = serve(&site);
    let mut stream = connect(server.made);
    for (range, status, content_range, body) in [
        ("bytes=0-0", 206, "bytes 0-0/10", "0"),
        ("bytes=2-4", 206, "bytes 2-4/10", "234"),
        ("bytes=7-", 206, "bytes 7-9/10", "789"),
        ("bytes=-2", 206, "bytes 8-9/10", "89"),
        ("bytes=-99", 206, "bytes 0-9/10", "0123456789"),
        ("bytes=5-99999999999999999999", 206, "bytes 5-9/10", "56789"),
        ("bytes=1-1,40-50", 206, "bytes 1-1/10", "1"),
        ("bytes=10-", 416, "bytes */10", ""),
        ("bytes=-0", 416, "bytes */10", ""),
        ("bytes=4-2", 200, "", "0123456789"),
        ("bytes=x", 200, "", "0123456789"),
        ("seconds=1-2", 200, "", "0123456789"),
        ("bytes=0-,0-,0-", 200, "", "0123456789"),
    ] {
        let answer = ask(&mut stream, "GET", "/digits.txt", &[&format!("Range: {range}")]);
        assert_eq!(answer.status, status, "{range}");
        assert_eq!(answer.header("content-range").unwrap_or_default(), content_range, "{range}");
        if status != 416 {
            assert_eq!(answer.text(), body, "{range}");
            assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("text/plain")), "{range}");
            assert!(answer.header("etag").is_some() && answer.header("last-modified") == Some(SAME), "{range}");
        }
    }
    assert_eq!(ask(&mut stream, "HEAD", "/digits.txt", &["Range: bytes=0-0"]).status, 200, "ranges are for GET alone");
    let twice = ask(&mut stream, "GET", "/digits.txt", &["Range: bytes=0-0", "Range: bytes=1-1"]);
    assert_eq!((twice.status, twice.body.as_slice()), (200, DIGITS));
    let empty = ask(&mut stream, "GET", "/empty.txt", &["Range: bytes=0-"]);
    assert_eq!((empty.status, empty.header("content-length")), (200, Some("0")));
}

#[test]
fn a_range_is_only_of_what_the_client_has() {
    let site = Site::new();
    let server = serve(&site);
    let mut stream = connect(server.made);
    let tag = tag_of(&ask(&mut stream, "GET", "/digits.txt", &[]));
    for (status, value) in [
        (206, tag.as_str()),
        (206, SAME),
        (200, &format!("W/{tag}")),
        (200, "\"other\""),
        (200, BEFORE),
        (200, "soon"),
        (200, ""),
    ] {
        let answer = ask(&mut stream, "GET", "/digits.txt", &["Range: bytes=1-2", &format!("If-Range: {value}")]);
        assert_eq!(answer.status, status, "{value}");
        // Even where the range would not have been satisfiable.
        let answer = ask(&mut stream, "GET", "/digits.txt", &["Range: bytes=10-", &format!("If-Range: {value}")]);
        assert_eq!(answer.status, if status == 206 { 416 } else { 200 }, "{value}");
    }
}

/// The parts of a `multipart/byteranges` body: `Content-Range` and bytes.
#[track_caller]
fn parts_of(answer: &Response) -> Vec<(String, Vec<u8>)> {
    let kind = answer.header("content-type").expect("Content-Type");
    let boundary = kind.strip_prefix("multipart/byteranges; boundary=").unwrap_or_else(|| panic!("{kind}"));
    let (open, close) = (format!("--{boundary}\r\n"), format!("\r\n--{boundary}--\r\n"));
    let mut rest = answer.body.strip_suffix(close.as_bytes()).expect("the closing delimiter");
    rest = rest.strip_prefix(open.as_bytes()).expect("the first delimiter");
    let between = format!("\r\n{open}").into_bytes();
    let mut parts = Vec::new();
    loop {
        let find = |text: &[u8]| rest.windows(text.len()).position(|window| window == text);
        let (part, behind) = match find(&between) {
            Some(at) => (&rest[..at], Some(&rest[at + between.len()..])),
            None => (rest, None),
        };
        let at = part.windows(4).position(|window| window == b"\r\n\r\n").expect("the part's head") + 4;
        let head = String::from_utf8_lossy(&part[..at]).into_owned();
        assert!(head.starts_with("Content-Type: text/plain; charset=utf-8\r\nContent-Range: bytes "), "{head}");
        parts.push((head.trim_end().rsplit(' ').next().expect("a range").to_owned(), part[at..].to_vec()));
        match behind {
            Some(behind) => rest = behind,
            None => return parts,
        }
    }
}

#[test]
fn several_ranges_are_a_body_of_parts() {
    let site = Site::new();
    let server = serve(&site);
    let mut stream = connect(server.made);
    for (range, expected) in [
        ("bytes=0-0,-1", vec![("0-0/10", "0"), ("9-9/10", "9")]),
        ("bytes=8-,0-1", vec![("8-9/10", "89"), ("0-1/10", "01")]),
        ("bytes=0-1, 3-3 ,5-6,,99-", vec![("0-1/10", "01"), ("3-3/10", "3"), ("5-6/10", "56")]),
        ("bytes=0-3,2-5", vec![("0-3/10", "0123"), ("2-5/10", "2345")]),
    ] {
        let answer = ask(&mut stream, "GET", "/digits.txt", &[&format!("Range: {range}")]);
        assert_eq!((answer.status, answer.header("content-range")), (206, None), "{range}");
        let parts = parts_of(&answer);
        let parts: Vec<(&str, &str)> =
            parts.iter().map(|(range, bytes)| (range.as_str(), std::str::from_utf8(bytes).expect("a text"))).collect();
        assert_eq!(parts, expected, "{range}");
    }
}

#[test]
fn long_ranges_arrive_whole_at_a_slow_reader() {
    const SIZE: usize = 20 * 1024 * 1024;
    let site = Site::new();
    let bytes = random_bytes(4, SIZE);
    site.write("big.txt", &bytes);
    let server = serve(&site);
    let mut slow = connect(server.made);
    let half = SIZE / 2;
    let range = format!("Range: bytes={half}-,0-{},{}-{}", half / 2, half / 2 + 1, half - 1);
    send(&mut slow, format!("GET /big.txt HTTP/1.1\r\nHost: localhost\r\n{range}\r\n\r\n").as_bytes());
    let mut answer = read_head(&mut slow);
    let length: usize = answer.header("content-length").and_then(|length| length.parse().ok()).expect("a length");
    while answer.body.len() < length {
        answer.body.extend(read_exactly(&mut slow, (length - answer.body.len()).min(1 << 20)));
        server.turn();
    }
    let parts = parts_of(&answer);
    assert_eq!(parts.len(), 3);
    assert_same_bytes(&parts[0].1, &bytes[half..]);
    assert_same_bytes(&[parts[1].1.as_slice(), &parts[2].1].concat(), &bytes[..half]);
    assert_eq!(ask(&mut slow, "GET", "/digits.txt", &[]).body, DIGITS);
    drop(slow);
    server.assert_nothing_left();
}

#[test]
fn the_document_for_a_404_is_never_a_304_or_a_part() {
    let site = Site::new();
    let server = serve_as(&site, |mount| mount.cache(Cache { max_age: 60, reusable: true, ..Cache::default() }));
    let mut stream = connect(server.made);
    for line in [
        "X: y",
        "If-None-Match: *",
        &format!("If-Modified-Since: {SAME}"),
        "If-Match: \"a\"",
        "Range: bytes=0-1",
        "Range: bytes=9999-",
    ] {
        let answer = ask(&mut stream, "GET", "/none", &[line]);
        assert_eq!((answer.status, answer.text()), (404, site::NOT_FOUND), "{line}");
        for name in ["etag", "last-modified", "accept-ranges", "content-range", "cache-control"] {
            assert!(answer.header(name).is_none(), "{line}: {}", answer.head);
        }
    }
}

#[test]
fn what_is_no_file_is_answered_the_same_whatever_the_conditions() {
    let site = Site::new();
    mknodat(CWD, site.root().join("fifo.txt"), FileType::Fifo, Mode::RWXU, 0).expect("a fifo");
    let _socket = UnixListener::bind(site.root().join("socket.txt")).expect("a socket");
    std::os::unix::fs::symlink("/etc/passwd", site.root().join("absolute.txt")).expect("symlink");
    let server = serve(&site);
    let mut stream = connect(server.made);
    for (path, status) in [
        ("/folder", 301),
        ("/fifo.txt", 403),
        ("/socket.txt", 403),
        ("/absolute.txt", 403),
        ("/escape.txt", 403),
        ("/strange.qqq", 415),
        ("/..", 400),
        ("/%2e%2e/secret.txt", 400),
        ("/a%00.txt", 400),
        ("/folder%2findex.html", 400),
        ("/folder/none", 404),
    ] {
        for line in ["X: y", "If-None-Match: *", "If-Match: \"a\"", "Range: bytes=0-1", "Range: bytes=-0"] {
            let answer = ask(&mut stream, "GET", path, &[line]);
            assert_eq!(answer.status, status, "{path} {line}");
            if status == 400 {
                assert_eq!(read_to_end(&mut stream), b"");
                stream = connect(server.made);
            }
            assert!(!String::from_utf8_lossy(&answer.body).contains(site::SECRET), "{path}");
        }
    }
    assert_eq!(ask(&mut stream, "GET", "/inside.css", &["Range: bytes=0-3"]).text(), "body");
    assert_eq!(ask(&mut stream, "GET", "/folder/", &["Range: bytes=0-5"]).text(), "<html>");
}

#[test]
fn a_compressed_file_is_a_representation_of_its_own() {
    let site = Site::new();
    site.write("digits.txt.gz", b"g-z-i-p");
    site.write("digits.txt.br", b"brotli");
    let server = serve_as(&site, Mount::precompressed);
    let mut stream = connect(server.made);
    let mut tags = Vec::new();
    for (accept, coding, body) in [
        ("", None, "0123456789"),
        ("gzip", Some("gzip"), "g-z-i-p"),
        ("gzip, deflate, br", Some("br"), "brotli"),
        ("br;q=0.3, gzip;q=0.4", Some("gzip"), "g-z-i-p"),
        ("br;q=0, *;q=0", None, "0123456789"),
        ("identity, br;q=0.9", None, "0123456789"),
    ] {
        let accept = format!("Accept-Encoding: {accept}");
        let answer = ask(&mut stream, "GET", "/digits.txt", &[&accept]);
        assert_eq!((answer.status, answer.header("content-encoding"), answer.text()), (200, coding, body), "{accept}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"), "{accept}");
        assert_eq!(answer.header("content-type"), Some("text/plain; charset=utf-8"), "{accept}");
        let tag = tag_of(&answer);
        let again = ask(&mut stream, "GET", "/digits.txt", &[&accept, &format!("If-None-Match: {tag}")]);
        assert_eq!((again.status, again.header("etag")), (304, Some(tag.as_str())), "{accept}");
        assert_eq!(again.header("vary"), Some("Accept-Encoding"), "{accept}");
        let part = ask(&mut stream, "GET", "/digits.txt", &[&accept, "Range: bytes=1-2", &format!("If-Range: {tag}")]);
        assert_eq!((part.status, part.header("content-encoding"), part.text()), (206, coding, &body[1..3]), "{accept}");
        assert_eq!(part.header("content-range"), Some(format!("bytes 1-2/{}", body.len()).as_str()));
        let head = ask(&mut stream, "HEAD", "/digits.txt", &[&accept]);
        assert_eq!(head.header("content-length"), Some(body.len().to_string().as_str()));
        tags.push(tag);
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "{tags:?}");

    let plain = ask(&mut stream, "GET", "/style.css", &["Accept-Encoding: gzip, br"]);
    assert_eq!((plain.header("content-encoding"), plain.header("vary")), (None, Some("Accept-Encoding")));
    let itself = ask(&mut stream, "GET", "/digits.txt.gz", &[]);
    assert_eq!((itself.header("content-encoding"), itself.header("content-type")), (None, Some("application/gzip")));

    let server = serve(&site);
    let mut stream = connect(server.made);
    let answer = ask(&mut stream, "GET", "/digits.txt", &["Accept-Encoding: gzip, br"]);
    assert_eq!((answer.header("content-encoding"), answer.header("vary")), (None, None));
}

#[test]
fn a_compressed_file_older_than_its_file_is_not_sent() {
    let site = Site::new();
    site.write("digits.txt.gz", b"of another content");
    let server = serve_as(&site, Mount::precompressed);
    date(&site.root().join("digits.txt.gz"), UNIX_EPOCH + MODIFIED - Duration::from_nanos(1));
    let mut stream = connect(server.made);
    assert_eq!(ask(&mut stream, "GET", "/digits.txt", &["Accept-Encoding: gzip"]).body, DIGITS);
}

/// A file too long for the buffers between server and client.
const LONG: usize = 50 * 1024 * 1024;

/// A response whose body has only begun; the length it says.
#[track_caller]
fn begin(server: &Server, path: &str, lines: &str) -> (TcpStream, usize) {
    let mut stream = connect(server.made);
    send(&mut stream, format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").as_bytes());
    let head = read_head(&mut stream);
    let length = head.header("content-length").and_then(|length| length.parse().ok()).expect("a length");
    (stream, length)
}

#[test]
fn a_file_that_is_replaced_while_it_is_sent_is_sent_to_its_end() {
    let site = Site::new();
    let bytes = random_bytes(5, LONG);
    site.write("big.txt", &bytes);
    let server = serve(&site);
    let (mut stream, length) = begin(&server, "/big.txt", "");
    site.write("next.txt", b"new");
    fs::rename(site.root().join("next.txt"), site.root().join("big.txt")).expect("rename");
    assert_same_bytes(&read_exactly(&mut stream, length), &bytes);
    assert_eq!(ask(&mut stream, "GET", "/big.txt", &[]).text(), "new");
}

#[test]
fn a_file_that_shrinks_while_it_is_sent_ends_the_connection() {
    let site = Site::new();
    let server = serve(&site);
    for lines in ["", "Range: bytes=1-\r\n", "Range: bytes=0-0,2-\r\n"] {
        site.write("big.txt", &vec![b'x'; LONG]);
        let (mut stream, length) = begin(&server, "/big.txt", lines);
        let file = OpenOptions::new().write(true).open(site.root().join("big.txt")).expect("open");
        file.set_len(LONG as u64 / 2 + 1).expect("ftruncate");
        let (got, _) = read_until_closed(&mut stream);
        assert!(got.len() < length, "{lines}");
        assert!(got[length.min(4096)..].iter().all(|byte| *byte == b'x'), "what came is the file's");
    }
    server.wait_for_log(&["a file became shorter while it was sent"]);
    server.assert_nothing_left();
}

#[test]
fn a_file_that_grows_while_it_is_sent_is_as_long_as_it_was() {
    let site = Site::new();
    let bytes = random_bytes(6, LONG);
    site.write("big.txt", &bytes);
    let server = serve(&site);
    let (mut stream, length) = begin(&server, "/big.txt", "");
    assert_eq!(length, LONG);
    let mut file = OpenOptions::new().append(true).open(site.root().join("big.txt")).expect("open");
    std::io::Write::write_all(&mut file, &[b'+'; 1 << 20]).expect("write");
    assert_same_bytes(&read_exactly(&mut stream, length), &bytes);
    assert_eq!(ask(&mut stream, "GET", "/digits.txt", &[]).body, DIGITS);
}

/// Answers everything with the file that its argument `file` names.
struct Serving;

impl Protocol for Serving {
    const NAME: &'static str = "serving";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::Http(request) = reason {
            let file = request.arg("file").expect("an argument").into_owned();
            call.wsi.serve_http_file(file, Some("text/plain; charset=utf-8"));
        }
        Verdict::Continue
    }
}

#[test]
fn a_file_that_a_protocol_serves_answers_like_one_of_a_mount() {
    let site = Site::new();
    site.write("digits.txt", DIGITS);
    let path = site.root().join("digits.txt");
    date(&path, UNIX_EPOCH + MODIFIED);
    let mut mounts = vec![Mount::callback("/dynamic", "serving"), Mount::files("/", site.root())];
    mounts[0].cache = Some(Cache { max_age: 60, reusable: true, ..Cache::default() });
    let server = Server::with_vhost(move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<Serving>()],
        mounts,
        ..Default::default()
    });
    let mut stream = connect(server.made);
    let dynamic = format!("/dynamic?file={}", path.display());
    for (lines, status) in [
        (&[][..], 200),
        (&["If-None-Match: *"], 304),
        (&["If-Match: \"other\""], 412),
        (&[&format!("If-Modified-Since: {SAME}")], 304),
        (&["Range: bytes=1-2"], 206),
        (&["Range: bytes=0-0,5-6"], 206),
        (&["Range: bytes=99-"], 416),
    ] {
        for method in ["GET", "HEAD"] {
            let of_mount = ask(&mut stream, method, "/digits.txt", lines);
            let of_protocol = ask(&mut stream, method, &dynamic, lines);
            assert!(method == "HEAD" || of_protocol.status == status, "{lines:?}: {}", of_protocol.head);
            assert_eq!(of_protocol.status, of_mount.status, "{method} {lines:?}");
            for name in ["etag", "last-modified", "content-range", "content-length", "accept-ranges"] {
                assert_eq!(of_protocol.header(name), of_mount.header(name), "{method} {lines:?} {name}");
            }
            if of_mount.header("content-type").is_some_and(|kind| kind.starts_with("text/")) {
                assert_eq!(of_protocol.body, of_mount.body, "{method} {lines:?}");
            }
        }
    }
    let lines = ["Content-Length: 0", "If-None-Match: *", "Range: bytes=1-2"];
    let posted = ask(&mut stream, "POST", &dynamic, &lines);
    assert_eq!((posted.status, posted.body.as_slice()), (200, DIGITS), "conditions are not about this file");
    assert_eq!(posted.header("etag"), None);
}

#[test]
fn a_folder_that_was_taken_away_is_not_served_on_and_may_come_back() {
    log::keep();
    let folder = tempfile::tempdir().expect("a folder");
    let (www, off) = (folder.path().join("www"), folder.path().join("www.off"));
    fs::create_dir(&www).expect("mkdir");
    fs::write(www.join("a.txt"), "here").expect("write");
    date(&www.join("a.txt"), UNIX_EPOCH + MODIFIED);
    let mut turned = Turned::new(VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        mounts: vec![Mount::files("/", &www)],
        ..Default::default()
    });
    let mut ask = |seconds| {
        turned.seconds = seconds;
        turned.send(request("GET", "a", "/a.txt").as_bytes());
        read_response(&mut turned).status
    };
    let told = |what: &str| log::with(&www.display().to_string()).iter().filter(|line| line.contains(what)).count();
    assert_eq!(ask(0), 200);
    fs::rename(&www, &off).expect("rename");
    assert_eq!([ask(2), ask(4), ask(4)], [404; 3]);
    assert_eq!(told("404 until it is there again"), 1, "it is said once");
    fs::rename(&off, &www).expect("rename");
    assert_eq!([ask(6), ask(8)], [200; 2]);
    assert_eq!(told("is there again"), 2);
    // One that takes its name is served like it.
    fs::rename(&www, &off).expect("rename");
    fs::create_dir(&www).expect("mkdir");
    assert_eq!(ask(10), 404);
    fs::write(www.join("a.txt"), "another").expect("write");
    assert_eq!(ask(10), 200);
}

/// Has a mount's file written before it is looked for; `Close` where there is nothing to write to.
struct JustInTime;

impl Protocol for JustInTime {
    const NAME: &'static str = "just-in-time";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(_: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Reason::FilterHttpConnection(request) = reason else { return Verdict::Continue };
        let folder = request.mount_options().get("folder").expect("an option");
        fs::write(format!("{folder}/{}", request.below()), "made").map_or(Verdict::Close, |()| Verdict::Continue)
    }
}

#[test]
fn a_mounts_protocol_is_asked_before_its_file_is_looked_for() {
    let site = Site::new();
    let root = site.root();
    let server = Server::with_vhost(move || VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<JustInTime>()],
        mounts: vec![Mount::files("/", &root).protocol("just-in-time").option("folder", root.display().to_string())],
        ..Default::default()
    });
    let mut stream = connect(server.made);
    assert_eq!(ask(&mut stream, "GET", "/new.txt", &[]).text(), "made");
    assert_eq!(ask(&mut stream, "GET", "/nowhere/new.txt", &[]).status, 403);
}
