//! What a configuration adds to http: redirect mounts, headers, strict transport security, content types, how long files may be kept.

mod util;

use std::time::Duration;

use rlws::{Cache, ContextInfo, Listen, Mount, Options, Origin, RejectKeyword, VhostInfo};
use util::certs::ca;
use util::http::{Response, ask, get, read_head, read_response, request};
use util::server::{assert_names, make_vhost, mistake};
use util::tls::trusting;
use util::*;

fn vhost(mounts: Vec<Mount>) -> VhostInfo {
    VhostInfo { name: "localhost".into(), listen: Listen::on("127.0.0.1", 0), mounts, ..Default::default() }
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// All values of a header.
fn values<'a>(response: &'a Response, name: &str) -> Vec<&'a str> {
    let lines = response.head.lines().filter_map(|line| line.split_once(": "));
    lines.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value).collect()
}

#[test]
fn a_redirect_mount_that_appends_keeps_what_is_below_it_and_the_query() {
    let mounts = vec![
        Mount::redirect("/", "https://localhost").append_path(),
        Mount::redirect("/docs", "https://docs.test/v2/").append_path(),
        Mount::redirect("/old.html", "http://x.test/new.html").append_path(),
        Mount::redirect("/fixed", "https://x.test/all?from=here").append_path(),
        Mount::redirect("/away", "https://x.test/new"),
    ];
    let server = Server::with_vhost(move || vhost(mounts));
    for (path, location) in [
        ("/", "https://localhost/"),
        ("/a/b.html", "https://localhost/a/b.html"),
        ("/a/?x=1&y=%20", "https://localhost/a/?x=1&y=%20"),
        ("/%61%20b", "https://localhost/a%20b"),
        ("//evil.test/..//x", "https://localhost/x"),
        ("/.evil.test", "https://localhost/.evil.test"),
        ("/@evil.test", "https://localhost/@evil.test"),
        ("/docs", "https://docs.test/v2/"),
        ("/docs/", "https://docs.test/v2/"),
        ("/docs/a/", "https://docs.test/v2/a/"),
        ("/docsa", "https://localhost/docsa"),
        ("/old.html", "http://x.test/new.html"),
        ("/old.html?a", "http://x.test/new.html?a"),
        ("/old.html/a", "http://x.test/new.html/a"),
        ("/fixed/a?b", "https://x.test/all?from=here"),
        ("/away", "https://x.test/new"),
        ("/away/a/?b", "https://x.test/new"),
    ] {
        let response = get(server.made, "localhost", path);
        assert_eq!((response.status, response.header("location")), (301, Some(location)), "{path}");
    }
    server.assert_nothing_left();
}

#[test]
fn a_redirect_has_the_code_that_is_configured_for_every_method() {
    for code in [301, 302, 303, 307, 308] {
        let server = Server::with_vhost(move || {
            let mut mount = Mount::redirect("/", "https://x.test");
            mount.origin = Origin::Redirect { code, url: "https://x.test".into() };
            vhost(vec![mount])
        });
        for method in ["GET", "POST", "DELETE"] {
            let mut client = connect(server.made);
            send(&mut client, request(method, "localhost", "/a").as_bytes());
            let response = read_response(&mut client);
            assert_eq!((response.status, response.header("location")), (code, Some("https://x.test")), "{method}");
        }
    }
}

#[test]
fn an_exact_mount_serves_its_mountpoint_and_nothing_below_it() {
    let site = Site::new();
    let root = site.root();
    let server = Server::with_vhost(move || {
        let mut one_file = Mount::files("/look", root.clone()).exact_match();
        one_file.default = "style.css".into();
        vhost(vec![
            Mount::files("/", root),
            Mount::redirect("/folder/", "https://x.test/exact").exact_match().append_path(),
            one_file,
            Mount::redirect("/both", "https://x.test/below"),
            Mount::redirect("/both", "https://x.test/exact").exact_match(),
        ])
    });
    for (path, status, location) in [
        ("/look", 200, None),
        ("/look?a", 200, None),
        ("/look/", 404, None),
        ("/look/style.css", 404, None),
        ("/folder/", 301, Some("https://x.test/exact")),
        ("/folder/?a", 301, Some("https://x.test/exact?a")),
        ("/folder", 301, Some("/folder/")),
        ("/folder/index.html", 200, None),
        ("/both", 301, Some("https://x.test/exact")),
        ("/both/", 301, Some("https://x.test/below")),
    ] {
        let response = get(server.made, "localhost", path);
        assert_eq!((response.status, response.header("location")), (status, location), "{path}");
    }
    assert_eq!(get(server.made, "localhost", "/look").text(), "body {}\n");
}

#[test]
fn the_headers_of_a_vhost_come_with_every_response_and_those_of_a_mount_with_its_own() {
    let site = Site::new();
    let root = site.root();
    let server = Server::with_vhost(move || VhostInfo {
        headers: pairs(&[("X-Vhost", "v"), ("X-Both", "vhost"), ("X-Utf8", "\u{e4}")]),
        error_document_404: Some("/404.html".into()),
        ..vhost(vec![
            Mount::files("/", root.clone()),
            Mount::files("/own", root).header("x-both", "mount").header("X-Mount", "m"),
            Mount::redirect("/away", "https://x.test").header("X-Mount", "a"),
        ])
    });
    for (path, status, both, mount) in [
        ("/", 200, "vhost", None),
        ("/nothing.html", 404, "vhost", None),
        ("/%", 400, "vhost", None),
        ("/own/", 200, "mount", Some("m")),
        ("/own/folder", 301, "mount", Some("m")),
        ("/own/nothing.html", 404, "mount", Some("m")),
        ("/away", 301, "vhost", Some("a")),
    ] {
        let response = get(server.made, "localhost", path);
        assert_eq!(response.status, status, "{path}");
        assert_eq!(values(&response, "x-vhost"), ["v"], "{path}");
        assert_eq!(values(&response, "x-utf8"), ["\u{e4}"], "{path}");
        assert_eq!(values(&response, "x-both"), [both], "{path}");
        assert_eq!(response.header("x-mount"), mount, "{path}");
    }
    // What is no request at all, too.
    let mut client = connect(server.made);
    send(&mut client, b"GET / HTTP/1.1\r\n\r\n");
    let response = read_response(&mut client);
    assert_eq!((response.status, values(&response, "x-vhost")), (400, vec!["v"]));
}

#[test]
fn headers_of_the_configuration_go_before_the_best_practices() {
    let site = Site::new();
    let root = site.root();
    let server = Server::with_vhost(move || VhostInfo {
        options: Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE,
        headers: pairs(&[("x-frame-options", "sameorigin")]),
        ..vhost(vec![Mount::files("/", root).header("Referrer-Policy", "origin")])
    });
    let response = get(server.made, "localhost", "/");
    assert_eq!(values(&response, "X-Frame-Options"), ["sameorigin"]);
    assert_eq!(values(&response, "Referrer-Policy"), ["origin"]);
    assert_eq!(values(&response, "X-Content-Type-Options"), ["nosniff"]);
}

#[test]
fn a_header_that_would_break_responses_is_an_error() {
    let with = |headers: &[(&str, &str)]| VhostInfo { headers: pairs(headers), ..vhost(Vec::new()) };
    assert_names(&mistake(with(&[("Content-Length", "1")])), &["localhost", "Content-Length", "http writes that one"]);
    assert_names(&mistake(with(&[("transfer-encoding", "chunked")])), &["transfer-encoding"]);
    assert_names(&mistake(with(&[("X-A:", "1")])), &["\"X-A:\"", "its name"]);
    assert_names(&mistake(with(&[("X-A", "1\r\nX-B: 2")])), &["\"X-A\"", "control byte"]);
    let mount = Mount::redirect("/away", "https://x.test").header("Connection", "close");
    assert_names(&mistake(vhost(vec![mount])), &["localhost", "mount \"/away\"", "Connection"]);
}

#[test]
fn a_mount_that_cannot_be_served_is_an_error() {
    for (mount, parts) in [
        (Mount::redirect("/a", "x.test"), &["localhost", "mount \"/a\"", "x.test", "https://HOST"][..]),
        (Mount::redirect("a", "https://x.test"), &["mount \"a\"", "begins with /"]),
        (Mount::files("/", "/").mimetype("zip", "a/b"), &["mimetype \"zip\"", "begins with a dot"]),
        (Mount::files("/", "/").mimetype(".zip", "evil"), &["mimetype \".zip\"", "\"evil\""]),
    ] {
        assert_names(&mistake(vhost(vec![mount])), parts);
    }
}

#[test]
fn strict_transport_security_is_said_over_tls_and_not_without() {
    let site = Site::new();
    let root = site.root();
    let server = Server::start(move |context| {
        let info = || VhostInfo {
            options: Options::STS | Options::ALLOW_HTTP_ON_HTTPS_LISTENER,
            ..vhost(vec![Mount::files("/", root.clone())])
        };
        make_vhost(context, VhostInfo { tls: Some(ca().server(&["localhost"]).tls_info()), ..info() })
    });
    let mut client = trusting().connect(server.made, "localhost");
    send(&mut client, request("GET", "localhost", "/").as_bytes());
    let response = read_response(&mut client);
    assert_eq!(values(&response, "strict-transport-security"), ["max-age=15768000; includeSubDomains"]);
    let plain = get(server.made, "localhost", "/");
    assert_eq!((plain.status, plain.header("strict-transport-security")), (200, None));
}

#[test]
fn a_mounts_own_content_types_go_before_the_known_ones() {
    let site = Site::new();
    site.write("noext", b"x");
    let root = site.root();
    let server = Server::with_vhost(move || {
        vhost(vec![
            Mount::files("/", root.clone()).mimetype(".qqq", "application/x-strange").mimetype(".css", "text/evil"),
            Mount::files("/all", root.clone()).mimetype("*", "application/octet-stream").mimetype(".json", ""),
            Mount::files("/untyped", root).mimetype("*", ""),
        ])
    });
    for (path, status, content_type) in [
        ("/strange.qqq", 200, Some("application/x-strange")),
        ("/style.css", 200, Some("text/evil")),
        ("/data.json", 200, Some("application/json")),
        ("/noext", 415, Some("text/html; charset=utf-8")),
        ("/all/noext", 200, Some("application/octet-stream")),
        ("/all/strange.qqq", 200, Some("application/octet-stream")),
        ("/all/style.css", 200, Some("text/css; charset=utf-8")),
        ("/all/data.json", 200, None),
        ("/untyped/noext", 200, None),
        ("/untyped/image.png", 200, Some("image/png")),
    ] {
        let response = get(server.made, "localhost", path);
        assert_eq!((response.status, response.header("content-type")), (status, content_type), "{path}");
    }
}

#[test]
fn files_say_how_long_they_may_be_kept_and_nothing_else_does() {
    let site = Site::new();
    let root = site.root();
    let server = Server::with_vhost(move || {
        let cache = Cache { max_age: 60, reusable: true, revalidate: true, intermediaries: true, ..Default::default() };
        vhost(vec![
            Mount::files("/", root.clone()),
            Mount::files("/kept", root.clone()).cache(cache.clone()),
            Mount::files("/never", root.clone()).cache(Cache::default()),
            Mount::files("/own", root).cache(cache).header("cache-control", "immutable"),
        ])
    });
    for (path, control) in [
        ("/style.css", None),
        ("/kept/style.css", Some("must-revalidate, public, max-age=60")),
        ("/kept/nothing.css", None),
        ("/kept/folder", None),
        ("/never/style.css", Some("no-store")),
        ("/own/style.css", Some("immutable")),
    ] {
        let mut client = connect(server.made);
        send(&mut client, request("HEAD", "localhost", path).as_bytes());
        assert_eq!(read_head(&mut client).header("cache-control"), control, "{path}");
    }
}

#[test]
fn clients_are_rejected_by_a_word_in_their_user_agent() {
    let (site, log) = (Site::new(), LogFile::new());
    site.write("a.txt", b"the file");
    let reject_service_keywords = vec![
        RejectKeyword::new("scumbot", 404, "Not Found"),
        RejectKeyword::new("bot", 429, ""),
        RejectKeyword::new("agent", 100, "no status for the end"),
    ];
    let info = ContextInfo { reject_service_keywords, ..Default::default() };
    let mounts = vec![Mount::files("/", site.root())];
    let access_log = Some(log.log.clone());
    let server = Server::with_vhost_in(info, move || VhostInfo { access_log, ..vhost(mounts) });
    let ask = |user_agent: &str| {
        let mut client = connect(server.made);
        let head = format!("GET /a.txt HTTP/1.1\r\nHost: localhost\r\n{user_agent}\r\n");
        send(&mut client, head.as_bytes());
        let response = read_response(&mut client);
        let ends = response.header("connection") == Some("close");
        if ends {
            assert_eq!(read_until_closed(&mut client).0, b"");
        }
        (response.status, ends, response.text().to_owned())
    };
    let served = (200, false, "the file".to_owned());
    assert_eq!(ask("User-Agent: Mozilla/5.0 (X11)\r\n"), served);
    assert_eq!(ask("User-Agent: Scum\r\n"), served);
    assert_eq!(ask(""), served, "who does not say its name is not asked for it");
    assert_eq!(ask("X-User: scumbot\r\n"), served);
    assert_eq!(ask("User-Agent: a scumbot/1.0\r\n"), (404, true, "Not Found".to_owned()));
    let long = format!("user-agent: {}scumbot\r\n", "x".repeat(8000));
    assert_eq!(ask(&long).0, 404, "however far behind it is");
    let (status, ends, page) = ask("User-Agent: robot\r\n");
    assert!(status == 429 && ends && page.contains("429"), "{page}");
    assert_eq!(ask("User-Agent: agent\r\n").0, 403);
    let logged: Vec<u16> = log.requests(8).iter().map(|request| request.status).collect();
    assert_eq!(logged, [200, 200, 200, 200, 404, 404, 429, 403]);
}

#[test]
fn what_is_no_request_is_not_for_the_vhost_of_the_one_before_it() {
    let server = Server::start(|context| {
        let of = |name: &str| VhostInfo {
            name: name.into(),
            headers: pairs(&[("X-Tenant", name)]),
            ..vhost(vec![Mount::redirect("/", "https://x.test")])
        };
        let port = make_vhost(context, of("a.test"));
        assert_eq!(make_vhost(context, of("b.test")), port);
        port
    });
    let mut stream = connect(server.made);
    assert_eq!(ask(&mut stream, "b.test", "/").header("x-tenant"), Some("b.test"));
    send(&mut stream, b"GET / HTTP/1.1\r\nHost: a.test\r\nHost: a.test\r\n\r\n");
    let refused = read_response(&mut stream);
    assert_eq!((refused.status, refused.header("x-tenant")), (400, Some("a.test")));
}

#[test]
fn an_upgrade_leads_to_no_other_mount() {
    let mounts =
        vec![Mount::redirect("/", "https://x.test/all"), Mount::redirect("/a", "https://x.test/a").no_ws_upgrades()];
    let server = Server::with_vhost(move || vhost(mounts));
    for more in ["", "Connection: Upgrade\r\nUpgrade: websocket\r\n"] {
        let mut client = connect(server.made);
        send(&mut client, format!("GET /a HTTP/1.1\r\nHost: localhost\r\n{more}\r\n").as_bytes());
        assert_eq!(read_response(&mut client).header("location"), Some("https://x.test/a"), "{more}");
    }
}

#[test]
fn a_mount_has_a_patience_of_its_own() {
    let server = Server::with_vhost(|| VhostInfo {
        keepalive_timeout: DEADLINE * 100,
        ..vhost(vec![
            Mount::redirect("/", "https://x.test"),
            Mount::redirect("/a", "https://x.test").keepalive_timeout(BRIEF),
        ])
    });
    let mut patient = connect(server.made);
    assert_eq!(ask(&mut patient, "localhost", "/").status, 301);
    let mut brief = connect(server.made);
    assert_eq!(ask(&mut brief, "localhost", "/a").status, 301);
    assert!(read_until_closed(&mut brief).0.is_empty());
    let mut uploads = connect(server.made);
    send(&mut uploads, b"POST /a HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n");
    assert_eq!(read_response(&mut uploads).status, 301);
    send(&mut uploads, b"xx");
    assert!(read_until_closed(&mut uploads).0.is_empty(), "also behind a body that nobody wanted");
    assert_eq!(ask(&mut patient, "localhost", "/").status, 301);
    assert_eq!(ask(&mut patient, "localhost", "/a").status, 301);
    assert!(read_until_closed(&mut patient).0.is_empty());
}

const BRIEF: Duration = Duration::from_millis(50);

#[test]
fn a_context_says_how_large_a_head_may_be() {
    let info = || ContextInfo {
        max_http_header_data: 40_000,
        max_http_uri: 20_000,
        max_http_headers: 200,
        ..ContextInfo::default()
    };
    let server = Server::with_vhost_in(info(), || vhost(vec![Mount::redirect("/", "https://x.test")]));
    let head = |uri: usize, headers: usize, filler: usize| {
        let headers = "A: b\r\n".repeat(headers - 2);
        format!("GET /{} HTTP/1.1\r\nHost: a\r\n{headers}B: {}\r\n\r\n", "a".repeat(uri - 1), "b".repeat(filler))
    };
    for (request, status) in [
        (head(20_000, 2, 1), 301),
        (head(20_001, 2, 1), 414),
        (head(10, 200, 1), 301),
        (head(10, 201, 1), 431),
        (head(10, 2, 39_000), 301),
        (head(10, 2, 40_000), 431),
    ] {
        for cut in [request.len(), 1000] {
            let mut client = connect(server.made);
            for piece in request.as_bytes().chunks(cut) {
                // Who is refused early is not read to the end.
                let _ = std::io::Write::write_all(&mut client, piece);
            }
            assert_eq!(read_response(&mut client).status, status, "{} bytes, {cut} at a time", request.len());
        }
    }
}
