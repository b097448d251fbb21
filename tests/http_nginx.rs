//! The same files from rlws and from nginx: what they answer to the same requests is the same, but for a list of differences, each with
//! its reason. `READMEs/README.http-server.md` has that list too.

mod util;

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::time::{Duration, UNIX_EPOCH};

use rlws::{Listen, Mount, VhostInfo};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use util::http::{Response, read_head, read_response};
use util::nginx::Nginx;
use util::*;

/// Sun, 06 Nov 1994 08:49:37 GMT
const MODIFIED: Duration = Duration::from_secs(784_111_777);

/// Where rlws means to answer otherwise.
struct Difference {
    /// As the page names it.
    what: &'static str,
    why: &'static str,
    when: fn(&Case) -> bool,
    /// rlws's status, and nginx's.
    statuses: &'static [(u16, u16)],
}

/// A request: a method, a path and header lines.
struct Case {
    method: &'static str,
    path: &'static str,
    lines: &'static str,
}

const DIFFERENCES: &[Difference] = &[
    Difference {
        what: "HEAD with a range",
        why: "ranges are defined for GET alone, and to be ignored elsewhere (RFC 9110 section 14.2)",
        when: |case| case.method == "HEAD" && case.lines.contains("Range: bytes"),
        statuses: &[(200, 206), (200, 416)],
    },
    Difference {
        what: "a range of an empty file",
        why: "who asks for the first bytes of everything gets the nothing that there is",
        when: |case| case.path == "/empty.txt" && case.lines.contains("Range: bytes"),
        statuses: &[(200, 416)],
    },
    Difference {
        what: "a malformed range",
        why: "the header counts as none (section 14.2); one bad range makes the set bad",
        when: |case| ["4-2", "=x-y", "=1", "0-0,4-2"].iter().any(|range| case.lines.ends_with(range)),
        statuses: &[(200, 416), (200, 206)],
    },
    Difference {
        what: "a range whose end has more than 63 bits",
        why: "it ends behind the file's end, as any other that does",
        when: |case| case.lines == "Range: bytes=5-99999999999999999999999999",
        statuses: &[(206, 416)],
    },
    Difference {
        what: "a range of a compressed file",
        why: "a representation like any other, with a length and a tag of its own",
        when: |case| case.path == "/digits.txt" && case.lines == "Accept-Encoding: gzip;;Range: bytes=1-2",
        statuses: &[(206, 200)],
    },
    Difference {
        what: "weights and `*` in `Accept-Encoding`",
        why: "the client says what it likes more (section 12.5.3)",
        when: |case| case.path == "/digits.txt" && (case.lines.contains("identity") || case.lines.ends_with('*')),
        statuses: &[(200, 200)],
    },
    Difference {
        what: "`If-Modified-Since` later than the file",
        why: "it was not modified since (section 13.1.3); nginx wants the very date",
        when: |case| case.lines == "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT",
        statuses: &[(304, 200)],
    },
    Difference {
        what: "`If-Modified-Since` beside `If-None-Match`",
        why: "the tag alone counts (section 13.1.3)",
        when: |case| case.lines == "If-None-Match: TAG;;If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT",
        statuses: &[(304, 200)],
    },
    Difference {
        what: "`If-Unmodified-Since` that is no date",
        why: "it is to be ignored (section 13.1.4)",
        when: |case| case.lines == "If-Unmodified-Since: never",
        statuses: &[(200, 412)],
    },
    Difference {
        what: "an encoded slash",
        why: "a separator to one reader of the path, part of a name to the next",
        when: |case| case.path.contains("%2f"),
        statuses: &[(400, 200)],
    },
    Difference {
        what: "a symlink that leads out of the mount",
        why: "nothing outside of the mount is served",
        when: |case| case.path == "/escape.txt",
        statuses: &[(403, 200)],
    },
    Difference {
        what: "a FIFO, a socket, a device",
        why: "it is there, and not to be served",
        when: |case| case.path == "/fifo.txt",
        statuses: &[(403, 404)],
    },
    Difference {
        what: "a folder without its default file",
        why: "there are no listings of folders, and nothing to forbid",
        when: |case| case.path == "/bare/",
        statuses: &[(404, 403)],
    },
    Difference {
        what: "a suffix of no known type",
        why: "as in lws: it is not served unless the mount names a type for it",
        when: |case| case.path == "/strange.qqq",
        statuses: &[(415, 200)],
    },
];

/// Files that are asked for with all of `LINES`.
const FILES: &[&str] = &["/", "/digits.txt", "/long.txt", "/empty.txt"];

/// Paths that are asked for without any.
const PATHS: &[&str] = &[
    "/index.html",
    "/style.css",
    "/inside.css",
    "/with%20space.txt",
    "/folder",
    "/folder?a=b",
    "/folder/",
    "/folder/index.html",
    "/bare/",
    "/none",
    "/none/none.txt",
    "/digits.txt/",
    "/digits%2etxt",
    "//digits.txt",
    "/./digits.txt",
    "/folder/../digits.txt",
    "/folder/%2e%2e/digits.txt",
    "/..",
    "/../secret.txt",
    "/%2e%2e/secret.txt",
    "/a%00.txt",
    "/%",
    "/%zz",
    "/folder%2findex.html",
    "/escape.txt",
    "/fifo.txt",
    "/strange.qqq",
    "/digits.txt#part",
];

/// Header lines, `;;` between them. `TAG` is the entity tag that the same server gave the same file.
const LINES: &[&str] = &[
    "",
    "Range: bytes=0-0",
    "Range: bytes=2-4",
    "Range: bytes=3-",
    "Range: bytes=-3",
    "Range: bytes=-99999999",
    "Range: bytes=0-99999999",
    "Range: bytes=5-99999999999999999999999999",
    "Range: bytes=99999999-",
    "Range: bytes=-0",
    "Range: bytes=4-2",
    "Range: bytes=",
    "Range: bytes=x-y",
    "Range: bytes=1",
    "Range: lines=1-2",
    "Range: bytes=0-0,2-2",
    "Range: bytes=0-0,-1",
    "Range: bytes=4-5, 0-1 ,8-",
    "Range: bytes=0-0,99999999-",
    "Range: bytes=0-,0-,0-",
    "Range: bytes=0-3,2-5",
    "Range: bytes=0-0,4-2",
    "Range: bytes=1-2;;If-Range: TAG",
    "Range: bytes=1-2;;If-Range: \"other\"",
    "Range: bytes=1-2;;If-Range: W/TAG",
    "Range: bytes=1-2;;If-Range: Sun, 06 Nov 1994 08:49:37 GMT",
    "Range: bytes=1-2;;If-Range: Sun, 06 Nov 1994 08:49:38 GMT",
    "Range: bytes=1-2;;If-Range: Sun, 06 Nov 1994 08:49:36 GMT",
    "Range: bytes=99999999-;;If-Range: \"other\"",
    "If-None-Match: TAG",
    "If-None-Match: W/TAG",
    "If-None-Match: \"a\", \"b\", TAG",
    "If-None-Match: \"other\"",
    "If-None-Match: *",
    "If-None-Match: TAG;;Range: bytes=0-0",
    "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
    "If-Modified-Since: Sunday, 06-Nov-94 08:49:37 GMT",
    "If-Modified-Since: Sun Nov  6 08:49:37 1994",
    "If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT",
    "If-Modified-Since: Sun, 06 Nov 1994 08:49:38 GMT",
    "If-Modified-Since: yesterday",
    "If-None-Match: \"other\";;If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
    "If-None-Match: TAG;;If-Modified-Since: Sun, 06 Nov 1994 08:49:36 GMT",
    "If-Match: TAG",
    "If-Match: W/TAG",
    "If-Match: *",
    "If-Match: \"other\"",
    "If-Match: \"other\", TAG",
    "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
    "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:38 GMT",
    "If-Unmodified-Since: Sun, 06 Nov 1994 08:49:36 GMT",
    "If-Unmodified-Since: never",
    "If-Match: \"other\";;If-None-Match: TAG",
    "If-Match: TAG;;If-None-Match: TAG",
    "Accept-Encoding: gzip",
    "Accept-Encoding: br, gzip",
    "Accept-Encoding: gzip;q=0",
    "Accept-Encoding: gzip;q=0.5, identity",
    "Accept-Encoding: *",
    "Accept-Encoding: deflate",
    "Accept-Encoding: gzip;;Range: bytes=1-2",
    "Accept-Encoding: gzip;;If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT",
];

/// What is compared of an answer.
#[derive(PartialEq, Debug)]
struct Seen {
    status: u16,
    content_range: Option<String>,
    content_encoding: Option<String>,
    location: Option<String>,
    last_modified: Option<String>,
    /// Of a file alone: pages that tell of errors are each server's own.
    length: Option<String>,
    body: Vec<u8>,
}

impl Seen {
    fn of(answer: Response) -> Seen {
        let text = |name: &str| answer.header(name).map(str::to_owned);
        let is_file = matches!(answer.status, 200 | 206);
        let boundary =
            answer.header("content-type").and_then(|kind| kind.split_once("boundary=")).map(|(_, text)| text);
        let mut body = if is_file { answer.body.clone() } else { Vec::new() };
        if let Some(boundary) = boundary {
            // nginx begins with an empty line.
            body = String::from_utf8_lossy(&body).replace(boundary, "BOUNDARY").trim_start().to_owned().into_bytes();
        }
        Seen {
            status: answer.status,
            content_range: text("content-range"),
            content_encoding: text("content-encoding"),
            location: text("location"),
            last_modified: text("last-modified"),
            length: text("content-length").filter(|_| is_file && boundary.is_none()),
            body,
        }
    }
}

#[track_caller]
fn ask(port: u16, method: &str, path: &str, lines: &str) -> Response {
    let lines: String = lines.split(";;").filter(|line| !line.is_empty()).map(|line| format!("{line}\r\n")).collect();
    let mut stream = connect(port);
    send(&mut stream, format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{lines}\r\n").as_bytes());
    if method == "HEAD" { read_head(&mut stream) } else { read_response(&mut stream) }
}

/// The answer to a request whose `TAG` is this server's own.
#[track_caller]
fn seen(port: u16, case: &Case) -> Seen {
    let Case { method, path, lines } = *case;
    let tag = || ask(port, "GET", path, "").header("etag").unwrap_or("\"none\"").to_owned();
    let lines = if lines.contains("TAG") { lines.replace("TAG", &tag()) } else { lines.to_owned() };
    Seen::of(ask(port, method, path, &lines))
}

fn files() -> Site {
    let site = Site::new();
    site.write("digits.txt", b"0123456789");
    site.write("digits.txt.gz", b"g-z-i-p");
    site.write("long.txt", "0123456789abcdef".repeat(20_000).as_bytes());
    fs::create_dir(site.root().join("bare")).expect("a folder");
    mknodat(CWD, site.root().join("fifo.txt"), FileType::Fifo, Mode::RWXU, 0).expect("a fifo");
    for name in [
        "digits.txt",
        "digits.txt.gz",
        "long.txt",
        "index.html",
        "folder/index.html",
        "style.css",
        "empty.txt",
        "with space.txt",
    ] {
        let file = File::options().write(true).open(site.root().join(name)).expect("a file");
        file.set_modified(UNIX_EPOCH + MODIFIED).expect("utimensat");
    }
    site
}

#[test]
fn nginx_answers_the_same_but_for_the_list() {
    let site = files();
    let nginx = Nginx::serve(&site.root());
    let mount = Mount::files("/", site.root()).precompressed();
    let server = Server::with_vhost(move || VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", 0),
        mounts: vec![mount],
        ..Default::default()
    });
    let files = FILES.iter().flat_map(|path| LINES.iter().map(move |lines| (*path, *lines)));
    let paths = PATHS.iter().map(|path| (*path, ""));
    let cases = files.chain(paths).flat_map(|(path, lines)| ["GET", "HEAD"].map(|method| Case { method, path, lines }));
    let mut used = BTreeSet::new();
    let mut surprises = Vec::new();
    for case in cases {
        let (ours, theirs) = (seen(server.made, &case), seen(nginx.port, &case));
        if ours == theirs {
            continue;
        }
        let explains = |difference: &&Difference| {
            (difference.when)(&case) && difference.statuses.contains(&(ours.status, theirs.status))
        };
        match DIFFERENCES.iter().find(explains) {
            Some(difference) => drop(used.insert(difference.what)),
            None => surprises
                .push(format!("{} {} {}\n  rlws  {ours:?}\n  nginx {theirs:?}", case.method, case.path, case.lines)),
        }
    }
    assert!(surprises.is_empty(), "{} differences:\n{}", surprises.len(), surprises.join("\n"));
    for Difference { what, .. } in DIFFERENCES {
        assert!(used.contains(what), "no longer a difference: {what}");
    }
}

#[test]
fn the_page_lists_the_differences() {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/READMEs/README.http-server.md");
    let page = fs::read_to_string(page).expect("the page");
    for Difference { what, why, .. } in DIFFERENCES {
        let row = format!("| {what} |");
        let line = page.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("the page lacks {row}"));
        assert!(line.ends_with(&format!("| {why} |")), "{line}: because {why}");
    }
}
