//! `rlws::forms` with the bodies that curl and a browser make.

mod util;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Command;
use std::sync::mpsc;
use std::thread;

use rlws::forms::{Form, FormEvent, FormLimits};
use util::*;

/// What a form told, a line each.
type Told = Vec<String>;

/// Reads a body in pieces of a length that divides nothing.
fn read_form(content_type: &str, body: &[u8]) -> Told {
    let (mut told, mut data) = (Vec::new(), Vec::new());
    let mut on_event = |event: FormEvent<'_>| {
        match event {
            FormEvent::Field { name, value } => told.push(format!("{name} = {value:?}")),
            FormEvent::FileBegin { name, filename, content_type } => {
                told.push(format!("{name} is the file {filename:?}, {}", content_type.unwrap_or("of no type")));
            }
            FormEvent::FileData(piece) => data.extend_from_slice(piece),
            FormEvent::FileEnd => told.push(format!("{:?}", std::mem::take(&mut data))),
            other => panic!("{other:?} is new"),
        }
        Ok(())
    };
    let mut form = Form::new(content_type, FormLimits::default()).expect(content_type);
    for piece in body.chunks(37) {
        form.feed(piece, &mut on_event).unwrap_or_else(|error| panic!("{error}: {}", shown(body)));
    }
    form.finish(&mut on_event).unwrap_or_else(|error| panic!("{error}: {}", shown(body)));
    told
}

/// Answers GET with a page and POST with a word; what is posted comes out of the channel.
fn serve(page: &'static str) -> (u16, mpsc::Receiver<Told>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("it is bound").port();
    let (tell, told) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let tell = tell.clone();
            thread::spawn(move || answer(with_deadline(stream.expect("a client")), page, &tell));
        }
    });
    (port, told)
}

/// One request; a browser may connect without one.
fn answer(stream: TcpStream, page: &str, tell: &mpsc::Sender<Told>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if !reader.read_line(&mut head).is_ok_and(|count| count > 0) {
            return;
        }
    }
    let header = |name: &str| {
        let lines = head.lines().filter_map(|line| line.split_once(": "));
        lines.filter(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value).next()
    };
    let mut text = page;
    if head.starts_with("POST") {
        let length = header("content-length").and_then(|length| length.parse().ok()).expect("a length");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("the body");
        tell.send(read_form(header("content-type").expect("a type"), &body)).expect("the test waits");
        text = "taken";
    }
    let head =
        format!("HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {}\r\n", text.len());
    let _ = write!(reader.get_mut(), "{head}Connection: close\r\n\r\n{text}");
}

fn curl(arguments: &[&str]) -> Told {
    let (port, told) = serve("");
    let url = format!("http://127.0.0.1:{port}/");
    assert_eq!(
        succeed(Command::new(require("curl")).args(["-sS", "--noproxy", "*"]).args(arguments).arg(url)),
        b"taken"
    );
    told.recv_timeout(DEADLINE).expect("a form")
}

#[test]
fn curl_posts_an_urlencoded_form() {
    let told = curl(&["-d", "a=1&b=", "--data-urlencode", "c=é & =+%", "-d", "d"]);
    assert_eq!(told, ["a = \"1\"", "b = \"\"", "c = \"é & =+%\"", "d = \"\""]);
}

#[test]
fn curl_posts_a_multipart_form_with_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let (text, large) = (folder.path().join("a \"b\".txt"), folder.path().join("large.bin"));
    let bytes = random_bytes(7, 300_000);
    std::fs::write(&text, "one\r\n--\r\n").expect("it is written");
    std::fs::write(&large, &bytes).expect("it is written");
    // A path with quotes has to be quoted for curl itself.
    let text = format!("text=@\"{}\"", text.display().to_string().replace('"', "\\\""));
    let large = format!("large=@{};type=image/x-any", large.display());
    for escape in [&[][..], &["--form-escape"]] {
        let arguments =
            [escape, &["-F", "a=1", "--form-string", "b=é\r\n", "-F", &text, "-F", &large, "-F", "c=;type=text/html"]]
                .concat();
        let told = curl(&arguments);
        let name = if escape.is_empty() { "a %22b%22.txt" } else { "a \"b\".txt" };
        let want = [
            "a = \"1\"".to_owned(),
            "b = \"é\\r\\n\"".to_owned(),
            format!("text is the file {name:?}, text/plain"),
            format!("{:?}", b"one\r\n--\r\n"),
            "large is the file \"large.bin\", image/x-any".to_owned(),
            format!("{bytes:?}"),
            "c = \"\"".to_owned(),
        ];
        assert!(told == want, "{:?}", told.iter().map(|line| &line[..line.len().min(100)]).collect::<Vec<_>>());
    }
}

/// What a browser posts of a page.
fn browse(page: &'static str) -> Told {
    let (port, told) = serve(page);
    let profile = tempfile::tempdir().expect("a folder");
    let mut chromium = Command::new(require("chromium"));
    chromium
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"])
        .args(["--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--no-proxy-server"])
        .args(["--virtual-time-budget=5000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .env("HOME", profile.path())
        .arg(format!("http://127.0.0.1:{port}/"));
    let said = succeed(&mut chromium);
    told.recv_timeout(DEADLINE).unwrap_or_else(|error| panic!("{error}: {}", shown(&said)))
}

#[test]
fn a_browser_posts_a_multipart_form_with_files() {
    let told = browse(
        "<form id=f method=post enctype=multipart/form-data>\
         <input name=text value='é \"x\" %22'><input name='a\"b' value=1><textarea name=lines>one\ntwo</textarea>\
         <input type=checkbox name=box value=1 checked><input type=checkbox name=box value=2 checked>\
         <input type=file name=none><input type=file name=files multiple></form><script>\
         const files = new DataTransfer();\
         files.items.add(new File(['hello\\r\\n'], 'ä \"1\".txt', {type: 'text/plain'}));\
         files.items.add(new File([new Uint8Array([0, 255, 13, 10, 45, 45])], 'b.bin'));\
         document.querySelector('[name=files]').files = files.files; f.submit()</script>",
    );
    let want = [
        "text = \"é \\\"x\\\" %22\"".to_owned(),
        "a%22b = \"1\"".to_owned(),
        "lines = \"one\\r\\ntwo\"".to_owned(),
        "box = \"1\"".to_owned(),
        "box = \"2\"".to_owned(),
        "none is the file \"\", application/octet-stream".to_owned(),
        "[]".to_owned(),
        "files is the file \"ä %221%22.txt\", text/plain".to_owned(),
        format!("{:?}", b"hello\r\n"),
        "files is the file \"b.bin\", application/octet-stream".to_owned(),
        "[0, 255, 13, 10, 45, 45]".to_owned(),
    ];
    assert_eq!(told, want);
}

#[test]
fn a_browser_posts_an_urlencoded_form() {
    let told = browse(
        "<form id=f method=post><input name=text value='é \"x\" + %41 &amp; ='><input name='a b' value=''>\
         <textarea name=lines>one\ntwo</textarea></form><script>f.submit()</script>",
    );
    assert_eq!(told, ["text = \"é \\\"x\\\" + %41 & =\"", "a b = \"\"", "lines = \"one\\r\\ntwo\""]);
}
