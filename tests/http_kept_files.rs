//! Small files that are kept between requests: no change of them, of what leads to them, or of who may read them goes unseen.

mod util;

use std::fs::{self, File};
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rlws::{Listen, Mount, VhostInfo, limits};
use util::http::{Response, ask, read_head, read_response};
use util::*;

/// Waits until a file's last change is so long ago that the server keeps it.
#[track_caller]
fn settled(path: &Path) {
    let changed = fs::metadata(path).expect("a file");
    let changed = UNIX_EPOCH + Duration::new(changed.ctime() as u64, changed.ctime_nsec() as u32);
    let settled = changed + limits::FILE_CACHE_SETTLED;
    eventually("the file is settled", || settled < SystemTime::now());
}

fn serve(mounts: Vec<Mount>) -> Server {
    Server::with_vhost(move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        mounts,
        ..Default::default()
    })
}

fn get(stream: &mut TcpStream, path: &str) -> Response {
    ask(stream, "localhost", path)
}

/// Asks with one more header line.
#[track_caller]
fn with(stream: &mut TcpStream, method: &str, path: &str, line: &str) -> Response {
    send(stream, format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{line}\r\n\r\n").as_bytes());
    if method == "HEAD" { read_head(stream) } else { read_response(stream) }
}

/// Asks until a path is answered so, as it is soon after a change.
#[track_caller]
fn soon(stream: &mut TcpStream, path: &str, status: u16) -> Response {
    let mut response = get(stream, path);
    eventually(&format!("{path} is a {status}"), || {
        response = get(stream, path);
        response.status == status
    });
    response
}

/// All but the date.
fn lines(response: &Response) -> Vec<&str> {
    let mut lines: Vec<&str> = response.head.lines().filter(|line| !line.starts_with("Date:")).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn a_kept_file_is_answered_like_one_that_is_read() {
    let site = Site::new();
    site.write("digits.txt", b"0123456789");
    let server = serve(vec![Mount::files("/", site.root()).precompressed()]);
    let mut stream = connect(server.made);
    let read = get(&mut stream, "/digits.txt");
    settled(&site.root().join("digits.txt"));
    let kept = get(&mut stream, "/digits.txt");
    let again = get(&mut stream, "/digits.txt");
    for response in [&kept, &again] {
        assert_eq!((lines(response), &response.body), (lines(&read), &read.body));
    }
    let head = with(&mut stream, "HEAD", "/digits.txt", "X: y");
    assert_eq!((lines(&head), head.body.len()), (lines(&read), 0));

    let tag = read.header("etag").expect("a tag");
    let same = with(&mut stream, "GET", "/digits.txt", &format!("If-None-Match: {tag}"));
    assert_eq!((same.status, same.header("etag"), same.header("vary")), (304, Some(tag), Some("Accept-Encoding")));
    assert_eq!((same.header("content-type"), same.header("content-length")), (None, None));
    assert_eq!(with(&mut stream, "GET", "/digits.txt", "If-Match: \"other\"").status, 412);
    let part = with(&mut stream, "GET", "/digits.txt", "Range: bytes=3-5");
    assert_eq!((part.status, part.body.as_slice()), (206, &b"345"[..]));
    assert_eq!(get(&mut stream, "/digits.txt").body, read.body);
}

#[test]
fn a_kept_file_that_changes_is_served_as_it_is_now() {
    let site = Site::new();
    let path = site.root().join("style.css");
    let server = serve(vec![Mount::files("/", site.root())]);
    settled(&path);
    let mut stream = connect(server.made);
    let first = get(&mut stream, "/style.css");
    assert_eq!(get(&mut stream, "/style.css").body, first.body);

    // As long as before, and with the same time of modification.
    let modified = fs::metadata(&path).and_then(|file| file.modified()).expect("a time");
    site.write("style.css", b"bodY {}\n");
    File::options().write(true).open(&path).and_then(|file| file.set_modified(modified)).expect("utimensat");
    eventually("the new content", || get(&mut stream, "/style.css").body == b"bodY {}\n");

    // What is written once more within the same tick of the clock is seen as well.
    for number in 0..50 {
        let content = format!("{number:08}");
        fs::write(&path, &content).expect("write");
        assert_eq!(get(&mut stream, "/style.css").text(), content);
    }
}

#[test]
fn a_kept_file_that_must_not_be_served_any_more_is_not() {
    let site = Site::new();
    let beside = site.root().with_file_name("beside");
    let server = serve(vec![Mount::files("/", site.root())]);
    for name in ["data.json", "script.js", "image.png", "folder/index.html"] {
        settled(&site.root().join(name));
    }
    let mut stream = connect(server.made);
    for path in ["/data.json", "/script.js", "/image.png", "/folder/"] {
        assert_eq!((get(&mut stream, path).status, get(&mut stream, path).status), (200, 200), "{path}");
    }

    fs::remove_file(site.root().join("data.json")).expect("unlink");
    soon(&mut stream, "/data.json", 404);
    fs::remove_file(site.root().join("script.js")).expect("unlink");
    symlink("../secret.txt", site.root().join("script.js")).expect("symlink");
    soon(&mut stream, "/script.js", 403);
    fs::set_permissions(site.root().join("image.png"), fs::Permissions::from_mode(0o000)).expect("chmod");
    if File::open(site.root().join("image.png")).is_err() {
        soon(&mut stream, "/image.png", 403);
    }
    // The very same file, unchanged, by a way that leads out of the mount.
    fs::rename(site.root().join("folder"), &beside).expect("rename");
    symlink("../beside", site.root().join("folder")).expect("symlink");
    soon(&mut stream, "/folder/", 403);
}

#[test]
fn one_file_in_two_mounts_has_the_type_of_each() {
    let site = Site::new();
    let two = Mount::files("/two", site.root()).mimetype(".css", "text/x-two");
    let server = serve(vec![Mount::files("/one", site.root()), two]);
    settled(&site.root().join("style.css"));
    let mut stream = connect(server.made);
    for _ in 0..2 {
        assert_eq!(get(&mut stream, "/one/style.css").header("content-type"), Some("text/css; charset=utf-8"));
        assert_eq!(get(&mut stream, "/two/style.css").header("content-type"), Some("text/x-two"));
    }
}

#[test]
fn each_coding_of_a_file_is_kept_by_itself() {
    let site = Site::new();
    for name in ["script.js.br", "script.js.gz"] {
        site.write(name, name.as_bytes());
    }
    let server = serve(vec![Mount::files("/", site.root()).precompressed()]);
    settled(&site.root().join("script.js.gz"));
    let mut stream = connect(server.made);
    for _ in 0..2 {
        for (accepted, coding, body) in [
            ("br, gzip", Some("br"), &b"script.js.br"[..]),
            ("gzip", Some("gzip"), b"script.js.gz"),
            ("identity", None, b"1;\n"),
        ] {
            let response = with(&mut stream, "GET", "/script.js", &format!("Accept-Encoding: {accepted}"));
            assert_eq!((response.header("content-encoding"), response.body.as_slice()), (coding, body), "{accepted}");
        }
    }
    fs::remove_file(site.root().join("script.js.br")).expect("unlink");
    eventually("the next best coding", || {
        let response = with(&mut stream, "GET", "/script.js", "Accept-Encoding: br, gzip");
        response.header("content-encoding") == Some("gzip")
    });
}
