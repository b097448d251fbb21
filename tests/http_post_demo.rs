//! `protocol-post-demo`: what a form brings is shown, and kept where it was asked to be.

mod util;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use rlws::protocols::PostDemo;
use rlws::{Listen, Mount, ProtocolTable, VhostInfo};
use tempfile::TempDir;
use util::http::{ask, read_response};
use util::*;

fn vhost(options: &[(&str, &str)]) -> VhostInfo {
    VhostInfo {
        listen: Listen::on("127.0.0.1", 0),
        protocols: vec![ProtocolTable::of::<PostDemo>()],
        pvo: self::options("protocol-post-demo", options),
        mounts: vec![Mount::callback("/formtest", "protocol-post-demo").max_body(2_000_000)],
        ..Default::default()
    }
}

fn serve() -> Server {
    Server::with_vhost(|| vhost(&[]))
}

/// One that keeps the last file, and where.
fn serve_keeping() -> (TempDir, PathBuf, Server) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("post-file");
    let option = path.to_str().expect("a text").to_owned();
    let server = Server::with_vhost(move || vhost(&[("post-file", &option)]));
    (folder, path, server)
}

/// What curl prints, with the status in the last line.
#[track_caller]
fn post(server: &Server, arguments: &[&str]) -> String {
    let mut curl = Command::new(require("curl"));
    curl.args(["-sS", "--noproxy", "*", "-w", "%{http_code}"]).args(arguments);
    String::from_utf8(succeed(curl.arg(format!("http://127.0.0.1:{}/formtest", server.made)))).expect("a text")
}

fn row(name: &str, length: usize, value: &str) -> String {
    format!("<tr><td><b>{name}</b></td><td>{length}</td><td>{value}</td></tr>\n")
}

#[test]
fn fields_of_both_types_are_shown_and_nothing_in_them_is_a_tag() {
    let server = serve();
    let value = "<script>alert('1')</script> & \"é\"";
    let escaped = "&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;é&quot;";
    let field = format!("text={value}");
    for arguments in [&["--data-urlencode", &*field, "-d", "%3Cb%3E=1"][..], &["--form-string", &field, "-F", "<b>=1"]]
    {
        let page = post(&server, arguments);
        let rows = row("text", value.len(), escaped) + &row("&lt;b&gt;", 1, "1");
        assert!(page.contains(&rows) && page.ends_with("</html>\n200"), "{page}");
    }
    server.assert_nothing_left();
}

#[test]
fn a_get_shows_a_form_and_other_methods_are_refused() {
    let server = serve();
    let page = post(&server, &[]);
    assert!(page.contains("<form method=\"post\" enctype=\"multipart/form-data\">") && page.ends_with("200"), "{page}");
    let said = post(&server, &["-i", "-X", "DELETE"]);
    assert!(said.contains("405 Method Not Allowed") && said.contains("Allow: GET, HEAD, POST\r\n"), "{said}");
    assert!(post(&server, &["-I"]).ends_with("200"));
}

#[test]
fn what_is_no_form_or_too_much_of_one_is_refused_and_says_why() {
    let server = serve();
    let many = format!("a={}", "&b=1".repeat(64));
    let long = format!("a={}", "x".repeat(33 * 1024));
    let big = "x".repeat(2_000_001);
    let folder = tempfile::tempdir().expect("a folder");
    let (many_file, long_file, big_file) =
        (folder.path().join("many"), folder.path().join("long"), folder.path().join("big"));
    for (path, text) in [(&many_file, &many), (&long_file, &long), (&big_file, &big)] {
        fs::write(path, text).expect("write");
    }
    let from = |path: &PathBuf| format!("@{}", path.display());
    for (arguments, status) in [
        (vec!["-H".to_owned(), "Content-Type: text/plain".to_owned(), "-d".to_owned(), "x".to_owned()], "415"),
        (vec!["-H".into(), "Content-Type: multipart/form-data".into(), "-d".into(), "x".into()], "400"),
        (vec!["-H".into(), "Content-Type: multipart/form-data; boundary=b".into(), "-d".into(), "--b\r".into()], "400"),
        (vec!["-d".into(), from(&many_file)], "413"),
        (vec!["-d".into(), from(&long_file)], "413"),
        (vec!["-d".into(), from(&big_file)], "413"),
        (vec!["-H".into(), "Transfer-Encoding: chunked".into(), "-F".into(), format!("a={}", from(&big_file))], "413"),
    ] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let said = post(&server, &arguments);
        assert!(said.ends_with(status), "{arguments:?}: {said}");
    }
}

#[test]
fn files_are_counted_and_nothing_is_written_unless_told() {
    let server = serve();
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), random_bytes(1, 1_500_000)).expect("write");
    let form = format!("file=@{};filename=\"<a>.bin\"", file.path().display());
    let page = post(&server, &["-F", "text=hello", "-F", &form, "-F", "upload=Send the file"]);
    let file = row("file", 1_500_000, "the file &quot;&lt;a&gt;.bin&quot; application/octet-stream");
    let rows = row("text", 5, "hello") + &row("upload", 13, "Send the file") + &file;
    assert!(page.contains(&rows), "{page}");
}

#[test]
fn the_last_file_is_kept_where_it_is_asked_to_be() {
    let (folder, path, server) = serve_keeping();
    for seed in [1, 2] {
        let bytes = random_bytes(seed, 500_000);
        let file = tempfile::NamedTempFile::new().expect("a file");
        fs::write(file.path(), &bytes).expect("write");
        assert!(post(&server, &["-F", &format!("file=@{}", file.path().display())]).ends_with("200"));
        assert_same_bytes(&fs::read(&path).expect("it is there"), &bytes);
    }
    assert_eq!(fs::metadata(&path).expect("it is there").permissions().mode() & 0o777, 0o600);
    // What browsers send where no file was chosen.
    assert!(post(&server, &["-F", "file=;filename="]).ends_with("200"));
    assert_eq!(fs::metadata(&path).expect("it is there").len(), 500_000);
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1);
}

#[test]
fn a_file_that_breaks_off_is_not_kept() {
    let (folder, path, server) = serve_keeping();
    let files = || fs::read_dir(folder.path()).expect("a folder").count();
    let half = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"half\"\r\n\r\nhalf of";
    let head = "POST /formtest HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=x\r\n";
    let mut client = connect(server.made);
    send(&mut client, format!("{head}Content-Length: 1000\r\n\r\n{half}").as_bytes());
    eventually("the half is there", || files() == 1);
    drop(client);
    eventually("the half is gone", || files() == 0);

    // A body that ends there is wrong, and the connection lives on.
    let mut client = connect(server.made);
    send(&mut client, format!("{head}Content-Length: {}\r\n\r\n{half}", half.len()).as_bytes());
    assert_eq!(read_response(&mut client).status, 400);
    assert_eq!(ask(&mut client, "x", "/formtest").status, 200);
    assert!(files() == 0 && !path.exists());
}

#[test]
fn a_place_where_nothing_can_be_kept_is_an_error_of_the_vhost() {
    for path in ["post-file", "/no/such/folder/post-file", "/", ""] {
        server::assert_names(&server::mistake(vhost(&[("post-file", path)])), &["protocol-post-demo", "post-file"]);
    }
}
