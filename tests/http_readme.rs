//! `READMEs/README.http-server.md`: its code is that of the examples, or compiled here, and what it says of statuses is so.

mod util;

use std::fs;
use std::path::{Path, PathBuf};

use rlws::protocols::PostDemo;
use rlws::{Cache, Context, Listen, Mount, Options, ProtocolTable, VhostInfo};
use util::http::{ask, read_response};
use util::*;

const PAGE: &str = "READMEs/README.http-server.md";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Rust files below a folder.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path());
    entries
        .flat_map(|path| match path.is_dir() {
            true => sources(&path),
            false => vec![path],
        })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The lines without their indentation.
fn lines(text: &str) -> Vec<&str> {
    text.lines().map(str::trim).collect()
}

#[test]
fn the_code_of_the_page_is_code_that_is_compiled() {
    let mut compiled = sources(&root().join("minimal-examples/http-server"));
    compiled.push(root().join(file!()));
    let compiled: Vec<String> = compiled.iter().map(read).collect();
    let page = read(PAGE);
    let blocks: Vec<&str> = page.split("```rust\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() >= 7, "{} blocks", blocks.len());
    for block in blocks {
        let wanted = lines(block);
        let is_there = |source: &String| lines(source).windows(wanted.len()).any(|window| window == wanted);
        assert!(compiled.iter().any(is_there), "nothing compiles this of {PAGE}:\n{block}");
    }
}

#[test]
fn the_links_within_the_page_lead_somewhere() {
    let page = read(PAGE);
    let anchor = |title: &str| {
        let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
        title.to_lowercase().chars().filter(kept).map(|c| if c == ' ' { '-' } else { c }).collect::<String>()
    };
    let titles =
        page.lines().filter(|line| line.starts_with('#')).map(|line| anchor(line.trim_start_matches(['#', ' '])));
    let titles: Vec<String> = titles.collect();
    let links = page.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    for link in links {
        match link.strip_prefix('#') {
            Some(title) => assert!(titles.iter().any(|known| known == title), "{PAGE} has no {title}"),
            None if link.starts_with("https:") => {}
            None => {
                let path = link.split('#').next().unwrap_or_default();
                assert!(root().join("READMEs").join(path).exists(), "{PAGE} links to {path}");
            }
        }
    }
}

/// The mounts of the page, as far as they can be had without their folders.
fn mounts() -> Vec<Mount> {
    let mounts = vec![
        Mount::files("/", "/srv/www"),
        Mount::files("/private", "/srv/private").basic_auth("/etc/lwsws/users"),
        Mount::files("/downloads", "/srv/files").protocol("statistics").header("X-Robots-Tag", "noindex"),
        Mount::callback("/app", "dynamic").max_body(64 * 1024).option("greeting", "Hello"),
        Mount::redirect("/old", "https://www.example.org/new").append_path(),
    ];
    mounts
}

#[test]
fn the_mounts_of_the_page_are_what_they_look_like() {
    let mountpoints: Vec<String> = mounts().into_iter().map(|mount| mount.mountpoint).collect();
    assert_eq!(mountpoints, ["/", "/private", "/downloads", "/app", "/old"]);
}

fn serve_files(context: &mut Context, info: VhostInfo) -> rlws::Result<()> {
    let site = Mount::files("/", "/var/www/site")
        .cache(Cache { max_age: 3600, reusable: true, intermediaries: true, ..Cache::default() })
        .mimetype(".geojson", "application/geo+json")
        .precompressed();
    context.create_vhost(VhostInfo { mounts: vec![site], error_document_404: Some("/404.html".into()), ..info })?;
    Ok(())
}

#[test]
fn a_mount_whose_folder_is_missing_is_an_error_that_names_it() {
    let mut context = Context::new(Default::default()).expect("a context");
    let error = serve_files(&mut context, VhostInfo::default()).expect_err("there is no such folder");
    assert!(error.to_string().contains("/var/www/site"), "{error}");
}

/// What the page says of a request, and whether the connection is said to end behind the answer.
#[test]
fn what_is_answered_to_what_is_so() {
    let site = Site::new();
    let root = site.root();
    let server = Server::with_vhost(move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        mounts: vec![Mount::files("/", root), Mount::callback("/form", "protocol-post-demo").max_body(10)],
        protocols: vec![ProtocolTable::of::<PostDemo>()],
        options: Options::VHOST_UPG_STRICT_HOST_CHECK,
        ..Default::default()
    });
    let form = "Content-Type: application/x-www-form-urlencoded\r\n";
    let long = "x".repeat(17_000);
    let many = "X: y\r\n".repeat(101);
    for (request, status, ends) in [
        ("GET / HTTP/1.1\r\n\r\n".to_owned(), 400, true),
        ("GET / HTTP/1.1\r\nHost: x\nA: b\r\n\r\n".into(), 400, true),
        ("GET / HTTP/1.1\r\nHost : x\r\n\r\n".into(), 400, true),
        ("GET / HTTP/1.1\r\nHost: x\r\nA: b\r\n c\r\n\r\n".into(), 400, true),
        ("GET / HTTP/1.1\r\nHost: x\r\nHost: x\r\n\r\n".into(), 400, true),
        ("GET / HTTP/1.1\r\nHost: a b\r\n\r\n".into(), 400, true),
        ("GET ftp://x/ HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400, true),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n".into(), 400, true),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: +1\r\n\r\n".into(), 400, true),
        ("POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 400, true),
        ("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n".into(), 400, true),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\n".into(), 400, true),
        ("POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip, chunked\r\n\r\n".into(), 501, true),
        ("GET /%2f HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400, false),
        ("GET /../x HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400, false),
        ("GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n".into(), 400, false),
        ("GET /escape.txt HTTP/1.1\r\nHost: x\r\n\r\n".into(), 403, false),
        ("GET / HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: y\r\n\r\n".into(), 403, true),
        ("GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n".into(), 404, false),
        ("DELETE / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 405, false),
        ("TRACE / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 405, false),
        ("CONNECT x:1 HTTP/1.1\r\nHost: x\r\n\r\n".into(), 405, false),
        ("GET / HTTP/1.1\r\nHost: x\r\nIf-Match: \"y\"\r\n\r\n".into(), 412, false),
        ("GET / HTTP/1.1\r\nHost: x\r\nRange: bytes=999999-\r\n\r\n".into(), 416, false),
        ("POST /form HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n01234567890".into(), 413, false),
        (format!("POST /form HTTP/1.1\r\nHost: x\r\n{form}Transfer-Encoding: chunked\r\n\r\nb\r\n"), 413, true),
        (format!("POST /form HTTP/1.1\r\nHost: x\r\n{form}Transfer-Encoding: chunked\r\n\r\nb\n"), 400, true),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n"), 414, true),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nA: {long}\r\n\r\n"), 431, true),
        (format!("GET / HTTP/1.1\r\nHost: x\r\n{many}\r\n"), 431, true),
        ("GET /strange.qqq HTTP/1.1\r\nHost: x\r\n\r\n".into(), 415, false),
        ("GET / HTTP/1.1\r\nHost: x\r\nExpect: cake\r\n\r\n".into(), 417, false),
        ("BREW / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 501, true),
        ("GET / HTTP/2.0\r\nHost: x\r\n\r\n".into(), 505, true),
        ("GET / HTTP/1.2\r\nHost: x\r\n\r\n".into(), 200, false),
        ("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n".into(), 204, false),
        ("\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n".into(), 200, false),
    ] {
        let mut stream = connect(server.made);
        send(&mut stream, request.as_bytes());
        let response = read_response(&mut stream);
        let what = shown(&request.as_bytes()[..request.len().min(100)]);
        assert_eq!(response.status, status, "{what}");
        assert_eq!(response.header("connection"), ends.then_some("close"), "{what}: {}", response.head);
        assert_eq!(response.header("allow").is_some(), matches!(status, 405 | 204), "{what}");
        match ends {
            true => assert_eq!(read_to_end(&mut stream), b"", "{what}"),
            false => assert_eq!(ask(&mut stream, "x", "/").status, 200, "{what}"),
        }
    }
}
