//! Files over HTTP by the clients that people have: downloads that are resumed, parts, caches, compression.

mod util;

use std::fs;
use std::path::Path;
use std::process::Command;

use rlws::{Listen, Mount, VhostInfo};
use tempfile::TempDir;
use util::*;

const SIZE: usize = 3_000_000;

fn serve(site: &Site) -> Server {
    let mount = Mount::files("/", site.root()).precompressed();
    Server::with_vhost(move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        mounts: vec![mount],
        ..Default::default()
    })
}

/// A site with a long file, and its bytes.
fn long_file(seed: u64) -> (Site, Vec<u8>) {
    let site = Site::new();
    let bytes = random_bytes(seed, SIZE);
    site.write("long.txt", &bytes);
    (site, bytes)
}

/// What curl prints, run in a folder, with the url of `path` as its last argument.
#[track_caller]
fn curl(server: &Server, folder: &Path, args: &[&str], path: &str) -> Vec<u8> {
    let url = format!("http://127.0.0.1:{}{path}", server.made);
    succeed(
        Command::new(require("curl")).current_dir(folder).args(["-sS", "--fail", "--noproxy", "*"]).args(args).arg(url),
    )
}

fn downloads() -> TempDir {
    tempfile::tempdir().expect("a folder")
}

#[test]
fn curl_resumes_a_download() {
    let (site, bytes) = long_file(1);
    let server = serve(&site);
    let folder = downloads();
    for have in [0, 1, SIZE / 2, SIZE - 1] {
        fs::write(folder.path().join("long.txt"), &bytes[..have]).expect("write");
        let told = curl(&server, folder.path(), &["-C", "-", "-O", "-w", "%{http_code} %{size_download}"], "/long.txt");
        let status = if have == 0 { 200 } else { 206 };
        assert_eq!(String::from_utf8_lossy(&told), format!("{status} {}", SIZE - have));
        assert_same_bytes(&fs::read(folder.path().join("long.txt")).expect("the download"), &bytes);
    }
}

#[test]
fn wget_resumes_a_download_and_leaves_a_whole_one_alone() {
    let (site, bytes) = long_file(2);
    let server = serve(&site);
    let folder = downloads();
    let path = folder.path().join("long.txt");
    fs::write(&path, &bytes[..SIZE / 3]).expect("write");
    // The second time there is nothing left to get, which is a 416.
    for _ in 0..2 {
        let mut wget = Command::new(require("wget"));
        wget.current_dir(folder.path()).args(["-c", "-nv", "--no-proxy", "--tries=1"]);
        succeed(wget.arg(format!("http://127.0.0.1:{}/long.txt", server.made)));
        assert_same_bytes(&fs::read(&path).expect("the download"), &bytes);
    }
    server.assert_nothing_left();
}

#[test]
fn wget_gets_only_what_is_newer() {
    let (site, bytes) = long_file(3);
    let server = serve(&site);
    let folder = downloads();
    let path = folder.path().join("long.txt");
    let get = || {
        let mut wget = Command::new(require("wget"));
        wget.current_dir(folder.path()).args(["-N", "-nv", "--no-proxy", "--tries=1"]);
        succeed(wget.arg(format!("http://127.0.0.1:{}/long.txt", server.made)));
    };
    get();
    assert_same_bytes(&fs::read(&path).expect("the download"), &bytes);
    let time = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).expect("a time");
    let served = time(&site.root().join("long.txt")).duration_since(std::time::UNIX_EPOCH).expect("a time");
    let got = time(&path).duration_since(std::time::UNIX_EPOCH).expect("a time");
    assert_eq!(served.as_secs(), got.as_secs(), "Last-Modified is the file's time");
    // As long as before, so that only its time tells that it is the same.
    fs::write(&path, vec![b'-'; SIZE]).expect("write");
    get();
    assert_eq!(fs::read(&path).expect("the download")[..9], *b"---------", "it was not downloaded again");
}

#[test]
fn curl_gets_parts_of_a_file() {
    let (site, bytes) = long_file(4);
    let server = serve(&site);
    let folder = downloads();
    let part = |range: &str| curl(&server, folder.path(), &["-r", range], "/long.txt");
    assert_same_bytes(&part("0-999"), &bytes[..1000]);
    assert_same_bytes(&part("1000000-"), &bytes[1_000_000..]);
    assert_same_bytes(&part("-1"), &bytes[SIZE - 1..]);
    let parts = part("0-1,1000-1999");
    assert!(parts.windows(1000).any(|window| window == &bytes[1000..2000]));
    assert!(parts.starts_with(b"--") && parts.ends_with(b"--\r\n"), "{}", shown(&parts));
}

#[test]
fn curl_unpacks_what_was_compressed_before() {
    let site = Site::new();
    let text = "the same line again and again\n".repeat(1000);
    for name in ["packed.txt", "brotli.txt"] {
        site.write(name, text.as_bytes());
    }
    succeed(Command::new(require("gzip")).current_dir(site.root()).args(["--keep", "packed.txt"]));
    site.write("brotli.txt.br", &stored_as_brotli(text.as_bytes()));
    let server = serve(&site);
    let folder = downloads();
    let told = ["-w", "%{size_download}", "-o", "out"];
    for (path, accepts, is_packed) in [
        ("/packed.txt", &["--compressed"][..], true),
        ("/packed.txt", &[], false),
        ("/packed.txt", &["--compressed", "-H", "Accept-Encoding: br"], false),
        ("/brotli.txt", &["--compressed", "-H", "Accept-Encoding: br"], true),
        ("/style.css", &["--compressed"], false),
    ] {
        let size = curl(&server, folder.path(), &[accepts, &told].concat(), path);
        let got = fs::read(folder.path().join("out")).expect("the download");
        let want = fs::read(site.root().join(&path[1..])).expect("the file");
        assert_same_bytes(&got, &want);
        let size: usize = String::from_utf8_lossy(&size).parse().expect("a number");
        assert_eq!(size != want.len(), is_packed, "{path} {accepts:?}: {size} bytes came");
    }
}

/// A brotli stream that holds `bytes` as they are (RFC 7932 section 9.2): one block of at most 65,536 bytes, and an empty last one.
fn stored_as_brotli(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len() - 1).ok().filter(|length| *length < 1 << 16).expect("one block");
    let head = (length << 4 | 1 << 20).to_le_bytes();
    [&head[..3], bytes, &[3]].concat()
}

#[test]
fn curl_asks_whether_its_copy_is_still_good() {
    let site = Site::new();
    let server = serve(&site);
    let folder = downloads();
    let told = ["-w", "%{http_code}", "-o", "out"];
    let by_tag = ["--etag-save", "tag", "--etag-compare", "tag"];
    assert_eq!(curl(&server, folder.path(), &[&told[..], &by_tag].concat(), "/style.css"), b"200");
    assert_eq!(curl(&server, folder.path(), &[&told[..], &by_tag].concat(), "/style.css"), b"304");
    assert_eq!(
        curl(&server, folder.path(), &[&told[..], &["-z", "Thu, 01 Jan 2037 00:00:00 GMT"]].concat(), "/style.css"),
        b"304"
    );
    assert_eq!(
        curl(&server, folder.path(), &[&told[..], &["-z", "Sat, 01 Jan 2000 00:00:00 GMT"]].concat(), "/style.css"),
        b"200"
    );
    site.write("style.css", b"body { color: red }\n");
    assert_eq!(curl(&server, folder.path(), &[&told[..], &by_tag].concat(), "/style.css"), b"200");
    assert_eq!(fs::read(folder.path().join("out")).expect("the download"), b"body { color: red }\n");
}
