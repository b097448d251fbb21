//! The http examples, used by curl as their READMEs say.

mod util;

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use util::*;

const LOCAL: [&str; 4] = ["--port", "0", "--interface", "127.0.0.1"];

fn start(name: &str, switches: &[&str]) -> Program {
    Program::start(name, &[&LOCAL, switches].concat())
}

fn url(program: &Program, path: &str) -> String {
    format!("http://127.0.0.1:{}{path}", program.port())
}

fn curl() -> Command {
    let mut curl = Command::new(require("curl"));
    curl.args(["-sS", "--noproxy", "*"]);
    curl
}

/// What curl prints about a path.
#[track_caller]
fn curled(program: &Program, arguments: &[&str], path: &str) -> String {
    String::from_utf8(succeed(curl().args(arguments).arg(url(program, path)))).expect("a text")
}

/// The status that a path is answered with.
#[track_caller]
fn status(program: &Program, arguments: &[&str], path: &str) -> String {
    curled(program, &[arguments, &["-o", "/dev/stdout", "-w", "\n%{http_code}"]].concat(), path)
        .lines()
        .last()
        .expect("a status")
        .to_owned()
}

#[test]
fn dynamic_pages_are_made_of_the_path_and_the_arguments() {
    let program = start("minimal-http-server-dynamic", &[]);
    assert!(curled(&program, &[], "/").contains("/dyn/you"), "the page that leads there");
    let page = curled(&program, &["-i"], "/dyn/%C3%A9t%C3%A9");
    assert!(page.contains("Content-Length: ") && page.contains("<h1>Hello, été</h1>"), "{page}");
    let page = curled(&program, &[], "/dyn/%3Cyou%3E?greeting=Good+day%26");
    assert!(page.contains("<h1>Good day&amp;, &lt;you&gt;</h1>"), "{page}");
    for (path, want) in [("/dyn/", "404"), ("/dyn/a/b", "404"), ("/dyn/a/4294967296", "404"), ("/dyn/a/0", "200")] {
        assert_eq!(status(&program, &[], path), want, "{path}");
    }
    assert!(curled(&program, &["-i", "-d", "x"], "/dyn/a").contains("405 Method Not Allowed\r\n"));
    program.stop();
}

#[test]
fn a_long_dynamic_page_comes_in_pieces_and_the_connection_lives_on() {
    let program = start("minimal-http-server-dynamic", &[]);
    let page = curled(&program, &[], "/dyn/you/5000");
    assert!(page.len() > 5000 * 1900 && page.contains("<p>1: ") && page.ends_with("content. </p>\n"));
    assert_eq!(page.matches("<p>").count(), 5000);
    let said = curled(&program, &["-I"], "/dyn/you/5000");
    assert!(said.starts_with("HTTP/1.1 200 OK\r\n") && !said.contains("<p>"), "{said}");
    let two = [url(&program, "/dyn/a/3"), url(&program, "/dyn/b")];
    let reused =
        succeed(curl().args(["-o", "/dev/stdout", "-o", "/dev/stdout", "-w", "connects %{num_connects}\n"]).args(two));
    assert!(String::from_utf8_lossy(&reused).ends_with("connects 0\n"), "{}", shown(&reused));
    program.stop();
}

#[test]
fn a_form_by_get_is_logged_and_leads_on() {
    let program = start("minimal-http-server-form-get", &[]);
    assert!(curled(&program, &[], "/").contains("method=\"get\""));
    let said = curled(&program, &["-i"], "/form1?text1=a%0Ab+c&send=now");
    assert!(said.starts_with("HTTP/1.1 303 ") && said.contains("Location: /after-form1.html\r\n"), "{said}");
    program.wait_for_log("text1: \"a\\nb c\"");
    let page = curled(&program, &["-L"], "/form1?send=now");
    assert!(page.contains("Thank you"), "{page}");
    program.wait_for_log("text1: not there");
    assert_eq!(status(&program, &["-d", "text1=x"], "/form1"), "404");
    program.stop();
}

#[test]
fn a_form_by_post_of_either_type_is_logged_and_leads_on() {
    let program = start("minimal-http-server-form-post", &[]);
    let page = curled(&program, &["-L", "--data-urlencode", "text1=one & two"], "/form1");
    assert!(page.contains("Thank you"), "{page}");
    program.wait_for_log("\"text1\": \"one & two\"");
    assert!(curled(&program, &["-L", "-F", "text1=three"], "/form1").contains("Thank you"));
    program.wait_for_log("\"text1\": \"three\"");
    for (arguments, want) in [
        (&["-F", "file=@/proc/self/cmdline"][..], "400"),
        (&["-H", "Content-Type: text/plain", "-d", "x"], "415"),
        (&["-H", "Content-Type: multipart/form-data; boundary=x", "-d", "--x"], "400"),
        (&[], "404"),
    ] {
        assert_eq!(status(&program, arguments, "/form1"), want, "{arguments:?}");
    }
    program.stop();
}

#[test]
fn a_file_of_a_form_is_stored_as_it_comes() {
    let (sent, kept) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let file = sent.path().join("a b.bin");
    let bytes = random_bytes(5, 20 * 1024 * 1024);
    std::fs::write(&file, &bytes).expect("write");
    let program = start("minimal-http-server-form-post-file", &["--dir", kept.path().to_str().expect("a text")]);
    let form = format!("file=@\"{}\"", file.display());
    let before = program.rss();
    assert_eq!(status(&program, &["-F", "text1=x", "-F", &form], "/form1"), "303");
    assert!(program.rss() < before + 8 * 1024 * 1024, "the file is not kept in memory");
    assert_same_bytes(&std::fs::read(kept.path().join("a b.bin")).expect("it is there"), &bytes);
    assert_eq!(status(&program, &["-F", &form], "/form1"), "409", "one of that name is there");
    let elsewhere = format!("{form};filename=../../x.bin");
    assert_eq!(status(&program, &["-F", &elsewhere], "/form1"), "303");
    assert!(kept.path().join("x.bin").is_file(), "folders in a name do not count");
    program.stop();
}

#[test]
fn a_file_that_is_too_long_or_breaks_off_leaves_nothing_behind() {
    let kept = tempfile::tempdir().expect("a folder");
    let program = start("minimal-http-server-form-post-file", &["--dir", kept.path().to_str().expect("a text")]);
    let is_empty = || std::fs::read_dir(kept.path()).expect("a folder").next().is_none();
    let large = tempfile::NamedTempFile::new().expect("a file");
    large.as_file().set_len(65 * 1024 * 1024).expect("set_len");
    let form = format!("file=@{};filename=large", large.path().display());
    assert_eq!(status(&program, &["-F", &form], "/form1"), "413");
    assert_eq!(status(&program, &["-H", "Transfer-Encoding: chunked", "-F", &form], "/form1"), "413");
    eventually("the half is removed", is_empty);

    let mut client = connect(program.port());
    let part = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"half\"\r\n\r\nhalf of";
    let head = "POST /form1 HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n";
    send(&mut client, format!("{head}Content-Length: 1000\r\n\r\n{part}").as_bytes());
    eventually("the first half is there", || kept.path().join("half").is_file());
    drop(client);
    eventually("the half is removed", is_empty);
    program.stop();
}

/// A curl that goes on listening.
struct Listener {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
}

impl Listener {
    fn new(program: &Program) -> Listener {
        let mut child = curl()
            .args(["-N", "--max-time", "30"])
            .arg(url(program, "/sse"))
            .stdout(Stdio::piped())
            .spawn()
            .expect("curl");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Listener { child, lines }
    }

    /// The number of the next event.
    #[track_caller]
    fn next(&mut self) -> u64 {
        let mut event = self.lines.by_ref().map_while(Result::ok).skip_while(|line| !line.starts_with("id: "));
        let id = event.next().expect("an event")[4..].parse().expect("a number");
        assert_eq!(self.lines.next().expect("a line").expect("a line"), format!("data: event {id}"));
        id
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn every_listener_hears_every_event() {
    let program = start("minimal-http-server-sse", &["--every", "50"]);
    let fds = program.fds();
    let page = curled(&program, &["-i"], "/");
    assert!(page.contains("script-src 'self'") && page.contains("sse.js"), "{page}");
    let mut listeners: Vec<Listener> = (0..5).map(|_| Listener::new(&program)).collect();
    for listener in &mut listeners {
        let first = listener.next();
        let heard: Vec<u64> = (0..3).map(|_| listener.next()).collect();
        assert_eq!(heard, [first + 1, first + 2, first + 3]);
    }
    assert_eq!(status(&program, &["-d", "x"], "/sse"), "404");
    drop(listeners);
    program.assert_fds_back_to(fds);
    program.stop();
}

#[test]
fn what_is_secret_asks_for_a_password() {
    let program = start("minimal-http-server-basicauth", &[]);
    assert_eq!(status(&program, &[], "/"), "200");
    let said = curled(&program, &["-i"], "/secret/");
    assert!(said.starts_with("HTTP/1.1 401 ") && said.contains("WWW-Authenticate: Basic realm="), "{said}");
    for (user, want) in [("user:password", "200"), ("ann:secret", "200"), ("user:secret", "401"), ("bob:x", "401")] {
        assert_eq!(status(&program, &["-u", user], "/secret/"), want, "{user}");
    }
    assert!(curled(&program, &["-u", "user:password"], "/secret/").contains("<h1>Secret</h1>"));
    program.stop();

    let own = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(own.path(), "eve:own\n").expect("write");
    let program = start("minimal-http-server-basicauth", &["--passwords", own.path().to_str().expect("a text")]);
    assert_eq!(status(&program, &["-u", "eve:own"], "/secret/"), "200");
    assert_eq!(status(&program, &["-u", "user:password"], "/secret/"), "401");
    program.stop();
}

#[test]
fn headers_are_read_and_added_everywhere() {
    let program = start("minimal-http-server-custom-headers", &[]);
    let of_file = curled(&program, &["-I"], "/");
    for line in ["X-Vhost: localhost\r\n", "X-Mount: files\r\n", "X-Count: 1\r\n"] {
        assert!(of_file.contains(line), "{of_file}");
    }
    let of_callback = curled(&program, &["-i", "-H", "DNT: 1"], "/dyn");
    for line in ["X-Vhost: localhost\r\n", "X-Made-By: callback\r\n", "X-Count: 2\r\n", "\r\n\r\nDNT is \"1\"\n"] {
        assert!(of_callback.contains(line), "{of_callback}");
    }
    assert!(!of_callback.contains("X-Mount"));
    assert_eq!(curled(&program, &[], "/dyn"), "there is no DNT\n");
    program.stop();
}

#[test]
fn files_have_the_types_that_the_server_was_told() {
    for (switches, of_unknown) in [(&[][..], "415 "), (&["--any"], "200 application/octet-stream")] {
        let program = start("minimal-http-server-mimetypes", switches);
        for (path, want) in [
            ("/test.bz2", "200 application/x-bzip2"),
            ("/test.rlws", "200 text/x-rlws"),
            ("/index.html", "200 text/html; charset=utf-8"),
            ("/test.unknown", of_unknown),
        ] {
            let said = curled(&program, &["-I", "-w", "%{http_code} %{content_type}"], path);
            let last = said.lines().last().expect("a line");
            assert!(last.starts_with(want), "{path}: {said}");
        }
        program.stop();
    }
}
