//! Mounts that ask for a password: who is let in, what becomes of the file, and that bcrypt holds nobody up.

mod util;

use std::path::PathBuf;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rlws::{Call, InitError, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Verdict, VhostCall, VhostInfo};
use tempfile::TempDir;
use util::http::{get, read_response};
use util::*;

/// A site, and who may see what is below `/secret`.
struct House {
    site: Site,
    folder: TempDir,
}

impl House {
    fn new(users: &str) -> House {
        let house = House { site: Site::new(), folder: tempfile::tempdir().expect("a folder") };
        house.write(users);
        house
    }

    fn users(&self) -> PathBuf {
        self.folder.path().join("users")
    }

    fn write(&self, users: &str) {
        std::fs::write(self.users(), users).expect("write");
    }

    fn serve(&self) -> Server {
        self.serve_with(|info| info)
    }

    fn serve_with(&self, more: impl FnOnce(VhostInfo) -> VhostInfo + Send + 'static) -> Server {
        let (root, users) = (self.site.root(), self.users());
        Server::with_vhost(move || {
            more(VhostInfo {
                name: "localhost".into(),
                listen: Listen::on("127.0.0.1", 0),
                error_document_404: Some("/secret/404.html".into()),
                mounts: vec![
                    Mount::files("/", root.clone()),
                    Mount::files("/secret", root).basic_auth(users.clone()),
                    Mount::redirect("/away", "https://x.test").basic_auth(users.clone()),
                    Mount::callback("/called", "http-dummy").basic_auth(users),
                ],
                ..Default::default()
            })
        })
    }
}

/// The status that curl gets, with these arguments, and the page.
#[track_caller]
fn curl(server: &Server, args: &[&str], path: &str) -> (String, String) {
    let url = format!("http://localhost:{}{path}", server.made);
    let mut command = Command::new(require("curl"));
    command.args(["-sS", "-4", "--noproxy", "*", "-w", "%{stderr}%{http_code}"]).args(args).arg(url);
    let output = finish(&mut command);
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    let text = |bytes| String::from_utf8(bytes).expect("a text");
    (text(output.stderr), text(output.stdout))
}

fn request(path: &str, credentials: &str) -> String {
    let credentials = STANDARD.encode(credentials);
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Basic {credentials}\r\n\r\n")
}

/// The status of one request.
#[track_caller]
fn status(server: &Server, path: &str, credentials: &str) -> u16 {
    let mut client = connect(server.made);
    send(&mut client, request(path, credentials).as_bytes());
    read_response(&mut client).status
}

fn bcrypt_of(password: &str, cost: u32) -> String {
    bcrypt::hash(password, cost).expect("a hash")
}

/// A cost that takes a second or so where nothing is optimised.
const SLOW: u32 = 13;

#[test]
fn curl_gets_in_with_the_right_password_alone() {
    let house = House::new(&format!("ann:one two\nbob:{}\n", bcrypt_of("\u{e4}:\u{f6}", 4)));
    let server = house.serve();
    for (user, expected) in [
        ("ann:one two", "200"),
        ("bob:\u{e4}:\u{f6}", "200"),
        ("ann:two", "401"),
        ("bob:one two", "401"),
        ("carl:one two", "401"),
        (":", "401"),
    ] {
        let (status, page) = curl(&server, &["-u", user], "/secret/");
        assert_eq!((status.as_str(), page == site::INDEX), (expected, expected == "200"), "{user}");
    }
    assert_eq!(curl(&server, &["--anyauth", "-u", "ann:one two"], "/secret/").1, site::INDEX);
    assert_eq!(curl(&server, &["-u", "ann:one two", "-I"], "/secret/style.css").0, "200");
    assert_eq!(curl(&server, &["-H", "Authorization: Bearer abc"], "/secret/").0, "401");
    assert_eq!(curl(&server, &[], "/").1, site::INDEX, "what is open stays open");
    server.assert_nothing_left();
}

#[test]
fn who_is_not_let_in_learns_nothing_of_what_is_there() {
    let house = House::new("ann:one\n");
    let server = house.serve();
    for path in [
        "/secret",
        "/secret/",
        "/secret/folder",
        "/secret/nothing.html",
        "/secret/strange.qqq",
        "/away",
        "/away/x",
        "/called",
    ] {
        let response = get(server.made, "localhost", path);
        assert_eq!(response.status, 401, "{path}");
        let mountpoint = &path[..path[1..].find('/').map_or(path.len(), |at| at + 1)];
        let challenge = format!("Basic realm=\"localhost{mountpoint}\", charset=\"UTF-8\"");
        assert_eq!(response.header("www-authenticate"), Some(challenge.as_str()), "{path}");
    }
    let page = get(server.made, "localhost", "/nothing.html");
    assert_eq!((page.status, page.text().contains("looked everywhere")), (404, false), "a document behind a password");
    for (path, code) in
        [("/secret", 301), ("/secret/folder", 301), ("/secret/nothing.html", 404), ("/away", 301), ("/called", 404)]
    {
        assert_eq!(status(&server, path, "ann:one"), code, "{path}");
    }
}

#[test]
fn two_authorizations_are_none() {
    let house = House::new("ann:one\n");
    let server = house.serve();
    let header = format!("Authorization: Basic {}\r\n", STANDARD.encode("ann:one"));
    let mut client = connect(server.made);
    send(&mut client, format!("GET /secret/ HTTP/1.1\r\nHost: localhost\r\n{header}{header}\r\n").as_bytes());
    assert_eq!(read_response(&mut client).status, 401);
}

#[test]
fn a_changed_file_counts_within_a_moment() {
    let house = House::new("ann:one\n");
    let server = house.serve();
    assert_eq!(status(&server, "/secret/", "ann:one"), 200);
    house.write(&format!("ann:{}\n", bcrypt_of("two", 4)));
    eventually("the new password counts", || status(&server, "/secret/", "ann:two") == 200);
    assert_eq!(status(&server, "/secret/", "ann:one"), 401);
    std::fs::remove_file(house.users()).expect("remove");
    eventually("nobody is let in", || status(&server, "/secret/", "ann:two") == 401);
    house.write("ann:three\n");
    eventually("somebody is let in again", || status(&server, "/secret/", "ann:three") == 200);
}

#[test]
fn a_file_that_was_never_there_lets_nobody_in_and_is_told_about() {
    let house = House::new("");
    std::fs::remove_file(house.users()).expect("remove");
    let server = house.serve();
    assert_eq!(status(&server, "/secret/", "ann:one"), 401);
    assert_eq!(status(&server, "/", "ann:one"), 200);
    let name = house.users().display().to_string();
    let warnings = log::with(&name);
    assert!(warnings.iter().any(|line| line.contains("nobody is let in")), "{warnings:?}");
}

#[test]
fn requests_go_on_while_a_password_is_verified() {
    let house = House::new(&format!("ann:{}\n", bcrypt_of("one", SLOW)));
    let server = house.serve();
    let mut waiting = connect(server.made);
    send(&mut waiting, request("/secret/", "ann:one").as_bytes());
    server.turn();
    waiting.set_nonblocking(true).expect("fcntl");
    let mut others = 0;
    while waiting.peek(&mut [0]).is_err() {
        assert_eq!(get(server.made, "localhost", "/").status, 200);
        others += 1;
    }
    waiting.set_nonblocking(false).expect("fcntl");
    assert_eq!(read_response(&mut waiting).text(), site::INDEX);
    assert!(others > 10, "only {others} others were answered meanwhile");
    assert_eq!(status(&server, "/secret/style.css", "ann:one"), 200, "it is known from now on");
    drop(waiting);
    server.assert_nothing_left();
}

#[test]
fn what_is_sent_behind_a_request_that_waits_is_answered_behind_it() {
    let house = House::new(&format!("ann:{}\n", bcrypt_of("one", 9)));
    let server = house.serve();
    let mut client = connect(server.made);
    let plain = "GET /style.css HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let all = [&request("/secret/", "ann:one"), plain, &request("/secret/", "ann:two"), plain].concat();
    for piece in all.as_bytes().chunks(100) {
        send(&mut client, piece);
        server.turn();
    }
    let statuses: Vec<u16> = (0..4).map(|_| read_response(&mut client).status).collect();
    assert_eq!(statuses, [200, 200, 401, 200]);
}

#[test]
fn who_leaves_before_the_verdict_leaves_nothing() {
    let house = House::new(&format!("ann:{}\n", bcrypt_of("one", SLOW)));
    let server = house.serve();
    for number in 0..20 {
        let mut client = connect(server.made);
        send(&mut client, request("/secret/", &format!("ann:{number}")).as_bytes());
        server.turn();
        if number % 2 == 0 { reset(client) } else { drop(client) }
    }
    server.assert_nothing_left();
}

#[test]
fn a_vhost_can_go_while_a_password_is_verified() {
    let house = House::new(&format!("ann:{}\n", bcrypt_of("one", 11)));
    let server = house.serve();
    let mut client = connect(server.made);
    send(&mut client, request("/secret/", "ann:one").as_bytes());
    server.turn();
    server.ask(|context| {
        let all: Vec<_> = context.cx().vhosts().collect();
        all.into_iter().for_each(|vhost| context.destroy_vhost(vhost));
    });
    read_until_closed(&mut client);
}

#[test]
fn the_access_log_says_who_it_was() {
    let house = House::new(&format!("ann:{}\nzo\u{eb} \"b\":plain\n", bcrypt_of("one", 4)));
    let log = LogFile::new();
    let shared = log.log.clone();
    let server = house.serve_with(|info| VhostInfo { access_log: Some(shared), ..info });
    for (path, credentials) in
        [("/secret/", "ann:one"), ("/secret/", "ann:two"), ("/called", "zo\u{eb} \"b\":plain"), ("/", "ann:one")]
    {
        status(&server, path, credentials);
    }
    let lines = log.lines(4);
    let users: Vec<&str> = lines.iter().map(|line| line.split(' ').nth(2).expect("a user")).collect();
    assert_eq!(users, ["ann", "-", r#"zo\xc3\xab\x20\"b\""#, "-"]);
    assert!(lines[1].contains(" 401 ") && !lines[1].contains("two"), "{}", lines[1]);
}

/// Answers with who asks.
struct WhoAmI;

impl Protocol for WhoAmI {
    const NAME: &'static str = "who-am-i";
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::Http(request) = reason {
            let greeting = request.mount_options().get("greeting").unwrap_or_default();
            call.wsi.return_http_status(200, Some(&format!("{greeting} {}", request.user().unwrap_or("nobody"))));
        }
        Verdict::Continue
    }
}

#[test]
fn a_protocol_is_told_who_asks_and_is_not_asked_for_others() {
    let house = House::new(&format!("ann:{}\n", bcrypt_of("one", 4)));
    let users = house.users();
    let server = house.serve_with(|mut info| {
        info.protocols = vec![ProtocolTable::of::<WhoAmI>()];
        info.mounts = vec![
            Mount::callback("/open", "who-am-i").option("greeting", "hello"),
            Mount::callback("/me", "who-am-i").basic_auth(users),
        ];
        info
    });
    assert_eq!(curl(&server, &["-u", "ann:one"], "/me"), ("200".to_owned(), " ann".to_owned()));
    assert_eq!(curl(&server, &["-u", "ann:one", "-d", "a=b"], "/me"), ("200".to_owned(), " ann".to_owned()));
    assert_eq!(curl(&server, &["-u", "ann:two", "-d", "a=b"], "/me").0, "401");
    assert_eq!(curl(&server, &["-u", "ann:one"], "/open"), ("200".to_owned(), "hello nobody".to_owned()));
}

#[test]
fn a_keep_alive_connection_asks_every_time() {
    let house = House::new(&format!("ann:{}\n", bcrypt_of("one", 4)));
    let server = house.serve();
    let mut client = connect(server.made);
    for (credentials, code) in [("ann:one", 200), ("ann:", 401), ("ann:one", 200), ("bob:one", 401), ("ann:one", 200)] {
        send(&mut client, request("/secret/", credentials).as_bytes());
        assert_eq!(read_response(&mut client).status, code, "{credentials}");
    }
}
