//! Requests well-formed, odd and hostile: each whole and byte by byte, and random ones besides.

use proptest::prelude::*;

use super::*;
use crate::limits::{HTTP_HEAD, HTTP_HEADERS};

/// With the bounds that hold unless told.
fn parse(bytes: &[u8]) -> Parsed<'_> {
    super::parse(bytes, Bounds::of(&ContextInfo::default()))
}

/// The verdict on `bytes` fed byte by byte: the first that is not `Partial`.
fn fed_slowly(bytes: &[u8]) -> Parsed<'_> {
    (0..=bytes.len())
        .map(|len| parse(&bytes[..len]))
        .find(|parsed| *parsed != Parsed::Partial)
        .unwrap_or(Parsed::Partial)
}

/// The verdict on `bytes`, the same however they are cut.
fn verdict(bytes: &[u8]) -> Parsed<'_> {
    let parsed = parse(bytes);
    assert_eq!(parsed, fed_slowly(bytes), "cuts matter in {:?}", String::from_utf8_lossy(bytes));
    parsed
}

/// The head of a request that must be fine and whole.
fn head_of(request: &str) -> Head<'_> {
    match verdict(request.as_bytes()) {
        Parsed::Complete { head, len } => {
            assert_eq!(len, request.len(), "{request:?}");
            head
        }
        other => panic!("{request:?}: {other:?}"),
    }
}

/// The code that a request is refused with; 0 where it is taken, or not whole.
fn code_of(request: &[u8]) -> u16 {
    match verdict(request) {
        Parsed::Bad(status) => status.code(),
        _ => 0,
    }
}

#[test]
fn a_request_is_taken_apart() {
    let head =
        head_of("POST /a%20b?c HTTP/1.1\r\nHost: a.com:81\r\nContent-Length: 12\r\nX: \t y z \t\r\nx: 2\r\nE:\r\n\r\n");
    assert_eq!((head.method, head.target, head.version), (Method::Post, "/a%20b?c", Version::Http11));
    assert_eq!((head.host, head.keep_alive, head.body), (Some("a.com:81"), true, Body::Length(12)));
}

#[test]
fn what_follows_the_head_is_left_alone() {
    let first = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n";
    for rest in [&b"GET /next HTTP/1.1\r\n"[..], b"\0\n\r\xff", b"\r\n"] {
        let bytes = [first, rest].concat();
        assert!(matches!(verdict(&bytes), Parsed::Complete { len, .. } if len == first.len()));
    }
}

#[test]
fn every_known_method_is_taken() {
    for name in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"] {
        let request = format!("{name} / HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(head_of(&request).method.as_str(), name);
    }
    let head = head_of("CONNECT b.com:443 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((head.method.as_str(), head.host), ("CONNECT", Some("b.com:443")));
}

#[test]
fn empty_lines_before_a_request_are_skipped_and_counted() {
    let head = head_of("\r\n\r\nGET /a HTTP/1.1\r\nHost: a\r\nX: 1\r\n\r\n");
    assert_eq!((head.target, head.host), ("/a", Some("a")));
}

#[test]
fn the_authority_of_an_absolute_target_wins_over_host() {
    for (line, target, host) in [
        ("GET http://b.com/x?y", "/x?y", "b.com"),
        ("GET HTTP://b.com:8080", "/", "b.com:8080"),
        ("GET https://b.com?y=/", "?y=/", "b.com"),
        ("GET http://[::1]:80/", "/", "[::1]:80"),
        ("OPTIONS http://b.com", "*", "b.com"),
        ("OPTIONS http://b.com/", "/", "b.com"),
        ("OPTIONS *", "*", "a"),
        ("GET //b.com/x", "//b.com/x", "a"),
        ("GET /http://b.com/", "/http://b.com/", "a"),
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        let head = head_of(&request);
        assert_eq!((head.target, head.host), (target, Some(host)), "{line}");
    }
}

#[test]
fn a_target_that_does_not_fit_its_method_is_refused() {
    for line in [
        "GET *",
        "GET a",
        "GET a/b",
        "GET ?a",
        "GET b.com:80",
        "OPTIONS a",
        "OPTIONS **",
        "CONNECT /",
        "CONNECT b.com",
        "CONNECT b.com:",
        "CONNECT b.com:x",
        "CONNECT http://b.com:80/",
        "CONNECT *",
        "GET ftp://b.com/",
        "GET http:/b.com",
        "GET http://",
        "GET http:///a",
        "GET http://u@b.com/",
        "GET http://b.com:99999/",
        "GET ://b.com/",
    ] {
        let request = format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(code_of(request.as_bytes()), 400, "{line}");
    }
}

#[test]
fn a_connection_lives_as_long_as_both_versions_say() {
    for (version, headers, keep_alive) in [
        ("1.1", "", true),
        ("1.1", "Connection: close\r\n", false),
        ("1.1", "connection: TE , Close\r\n", false),
        ("1.1", "Connection: keep-alive\r\nConnection: close\r\n", false),
        ("1.1", "Connection: close, keep-alive\r\n", false),
        ("1.1", "Connection: closed\r\n", true),
        ("1.1", "Connection:\r\n", true),
        ("1.1", "X-Connection: close\r\n", true),
        ("1.0", "", false),
        ("1.0", "Connection: Keep-Alive\r\n", true),
        ("1.0", "Connection: x,,keep-alive\r\n", true),
        ("1.0", "Connection: keep-alive, close\r\n", false),
        ("1.0", "Keep-Alive: timeout=5\r\n", false),
    ] {
        let request = format!("GET / HTTP/{version}\r\nHost: a\r\n{headers}\r\n");
        assert_eq!(head_of(&request).keep_alive, keep_alive, "{version} {headers}");
    }
}

#[test]
fn a_host_is_one_valid_and_only_optional_in_1_0() {
    assert_eq!(head_of("GET / HTTP/1.0\r\n\r\n").host, None);
    for host in [
        "a",
        "a.com",
        "A.COM.",
        "a:80",
        "a:",
        "127.0.0.1:7681",
        "[::1]",
        "[2001:db8::1]:443",
        "[::ffff:1.2.3.4]",
        "a_b",
        "xn--a",
        "a%20b",
        "a,b",
    ] {
        let request = format!("GET / HTTP/1.1\r\nHost: \t{host} \r\n\r\n");
        assert_eq!(head_of(&request).host, Some(host));
    }
    for headers in [
        "",
        "Host:\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a b\r\n",
        "Host: a/b\r\n",
        "Host: u@a\r\n",
        "Host: a:b\r\n",
        "Host: a:-1\r\n",
        "Host: a:+1\r\n",
        "Host: a:65536\r\n",
        "Host: a:80:80\r\n",
        "Host: :80\r\n",
        "Host: [::1\r\n",
        "Host: ::1\r\n",
        "Host: [a]\r\n",
        "Host: []\r\n",
        "Host: [::1]a\r\n",
        "Host: [fe80::1%25eth0]\r\n",
        "Host: a%2\r\n",
        "Host: a%zz\r\n",
        "Host: <a>\r\n",
        "Host: a\\b\r\n",
        "Host: \u{e4}\r\n",
        "Host: a?b\r\n",
        "Host: a#b\r\n",
    ] {
        let request = format!("GET / HTTP/1.1\r\n{headers}\r\n");
        assert_eq!(code_of(request.as_bytes()), 400, "{headers:?}");
        // The target's own authority excuses no bad Host.
        let request = format!("GET http://b/ HTTP/1.1\r\n{headers}\r\n");
        assert_eq!(code_of(request.as_bytes()), 400, "{headers:?}");
    }
    assert_eq!(code_of(b"GET / HTTP/1.0\r\nHost: a b\r\n\r\n"), 400);
    assert_eq!(code_of(b"GET / HTTP/1.1\r\nHost: \xff\r\n\r\n"), 400);
}

#[test]
fn a_body_is_framed_in_one_way_only() {
    for (headers, body) in [
        ("", Body::None),
        ("Content-Length: 0\r\n", Body::Length(0)),
        ("content-length:5 \r\n", Body::Length(5)),
        ("Content-Length: 007\r\n", Body::Length(7)),
        ("Content-Length: 18446744073709551615\r\n", Body::Length(u64::MAX)),
        ("Transfer-Encoding: chunked\r\n", Body::Chunked),
        ("transfer-encoding:\tCHUNKED\t\r\n", Body::Chunked),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        assert_eq!(head_of(&request).body, body, "{headers:?}");
    }
    for (headers, code) in [
        ("Content-Length: +1\r\n", 400),
        ("Content-Length: -1\r\n", 400),
        ("Content-Length: 1, 1\r\n", 400),
        ("Content-Length: 1,2\r\n", 400),
        ("Content-Length: 1 1\r\n", 400),
        ("Content-Length:\r\n", 400),
        ("Content-Length: 0x1\r\n", 400),
        ("Content-Length: 1.0\r\n", 400),
        ("Content-Length: 18446744073709551616\r\n", 400),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", 400),
        ("Content-Length: 1\r\nContent-Length: 2\r\n", 400),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: chunked\r\nContent-Length: 1\r\n", 400),
        ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n", 400),
        ("Transfer-Encoding:\r\n", 400),
        ("Transfer-Encoding: identity\r\n", 400),
        ("Transfer-Encoding: gzip\r\n", 400),
        ("Transfer-Encoding: xchunked\r\n", 400),
        ("Transfer-Encoding: chunked, gzip\r\n", 400),
        ("Transfer-Encoding: chunked, chunked\r\n", 400),
        ("Transfer-Encoding: chunked;a=b\r\n", 400),
        ("Transfer-Encoding: \"chunked\"\r\n", 400),
        ("Transfer-Encoding: , chunked\r\n", 400),
        ("Transfer-Encoding: chunked,\r\n", 400),
        ("Transfer-Encoding: gzip, chunked\r\n", 501),
        ("Transfer-Encoding: gzip,deflate ,\tChunked\r\n", 501),
        ("Transfer-Encoding : chunked\r\n", 400),
        ("Transfer-Encoding: \x0bchunked\r\n", 400),
    ] {
        let request = format!("POST / HTTP/1.1\r\nHost: a\r\n{headers}\r\n");
        assert_eq!(code_of(request.as_bytes()), code, "{headers:?}");
    }
    assert_eq!(code_of(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n"), 400);
}

#[test]
fn a_malformed_head_is_refused() {
    for request in [
        &b"GET / HTTP/1.1\nHost: a\n\n"[..],
        b"GET / HTTP/1.1\r\nHost: a\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\n",
        b"\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\rHost: a",
        b"GET / HTTP/1.1\r\nHost: a\rb",
        b"\rGET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\tb\r\n\r\n",
        b"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost\r\n\r\n",
        b"GET / HTTP/1.1\r\n: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX\0: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: \0\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX\xe4: 1\r\n\r\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET /  HTTP/1.1\r\n",
        b"GET / HTTP/1.1 \r\n",
        b"GET /a b HTTP/1.1\r\n",
        b"GET\t/ HTTP/1.1\r\n",
        b"GET /\0 HTTP/1.1\r\n",
        b"GET /\xff HTTP/1.1\r\n",
        b"GET /\r\n",
        b"GET\r\n",
        b" GET / HTTP/1.1\r\n",
        b"GET / http/1.1\r\n",
        b"GET / HTTP/1.10\r\n",
        b"GET / HTTP/1\r\n",
        b"GET / HTTP/1.x\r\n",
        b"GET / HTTP/11.1\r\n",
        b"GET / HTTQ/1.1\r\n",
        b"GET / HTTP/2\r\n",
        b"(GET) / HTTP/1.1\r\n",
    ] {
        assert_eq!(code_of(request), 400, "{:?}", String::from_utf8_lossy(request));
    }
}

#[test]
fn a_bare_lf_is_refused_where_it_stands() {
    for (bytes, settled_at) in [
        (&b"\nGET / HTTP/2.0\r\n"[..], 1),
        (b"\r\n\nBREW / HTTP/1.1\r\n", 3),
        (b"GET / HTTP/1.1\nHost: a\n\n", 15),
        (b"GET / HTTP/1.1\r\nHost: a\nBad Header: b", 24),
        (b"GET / HTTP/1.1\r\nHost: a\r\n\n", 26),
    ] {
        assert_eq!(code_of(bytes), 400);
        assert_eq!(parse(&bytes[..settled_at - 1]), Parsed::Partial);
        assert_eq!(parse(&bytes[..settled_at]), Parsed::Bad(Status::BAD_REQUEST));
    }
    // Too late: the method was refused before.
    assert_eq!(code_of(b"BREW / HTTP/1.1\n\n"), 501);
}

#[test]
fn a_later_minor_version_is_taken_for_1_1() {
    for minor in 2..=9 {
        let request = format!("GET /a HTTP/1.{minor}\r\nHost: a\r\n\r\n");
        let head = head_of(&request);
        assert_eq!((head.version, head.target, head.keep_alive), (Version::Http11, "/a", true));
    }
    for (request, code) in [
        (&b"GET / HTTP/1.2\r\n\r\n"[..], 400),
        (b"GET / HTTP/1.2 \r\n", 400),
        (b"GET / HTTP/1.22\r\n", 400),
        (b"GET / HTTP/1.2\n", 400),
        (b"GET / HTTP/1.2\r\nHost : a\r\n", 400),
        (b"BREW / HTTP/1.2\r\n", 501),
    ] {
        assert_eq!(code_of(request), code, "{:?}", String::from_utf8_lossy(request));
    }
}

#[test]
fn an_unknown_method_or_version_is_named_as_such() {
    for (request, code) in [
        (&b"BREW / HTTP/1.1\r\n"[..], 501),
        (b"get / HTTP/1.1\r\n", 501),
        (b"PROPFIND / HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        (b"BREW a HTTP/1.1\r\n\0", 501),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        (b"GET / HTTP/2.0\r\n", 505),
        (b"GET / HTTP/0.9\r\n", 505),
        (b"BREW / HTTP/3.0\r\n", 505),
        (b"\r\nGET * HTTP/9.9", 505),
    ] {
        assert_eq!(code_of(request), code, "{:?}", String::from_utf8_lossy(request));
    }
}

#[test]
fn what_is_not_http_is_refused_at_once_or_at_its_first_line_end() {
    for (bytes, settled_at) in [
        (&b"\x16\x03\x01\x02\x00\x01\x00"[..], 1),
        (b"\x00\x00\x00\x01", 1),
        (b"\x80\x2e\x01\x00\x02", 1),
        (b"\x05\x01\x00", 1),
        (b"{\"method\": 1}", 1),
        (b"SSH-2.0-OpenSSH_9.6\r\n", 20),
        (b"SSH-2.0-OpenSSH_9.6p1 Debian-4\r\n", 31),
        (b"EHLO a.com\r\n", 11),
        (b"USER a\r\n", 7),
        (b"*1\r\n$4\r\nPING\r\n", 3),
    ] {
        assert_eq!(code_of(bytes), 400);
        assert_eq!(parse(&bytes[..settled_at - 1]), Parsed::Partial);
        assert_eq!(parse(&bytes[..settled_at]), Parsed::Bad(Status::BAD_REQUEST));
    }
}

#[test]
fn an_oversized_head_is_refused_by_its_oversized_part() {
    let full = |start: &str, filler: &str| [start, &filler.repeat(HTTP_HEAD + 1)].concat();
    for (bytes, code) in [
        (full("GET / HTTP/1.1\r\nHost: a\r\nX: ", "x"), 431),
        (full("GET / HTTP/1.1\r\nHost: a\r\n", "x"), 431),
        (full("GET /", "x"), 414),
        (full("\r\nGET /", "x"), 414),
        (full("", "X"), 501),
        (full("", "\r\n"), 400),
    ] {
        assert_eq!(parse(&bytes.as_bytes()[..HTTP_HEAD - 1]), Parsed::Partial);
        for len in [HTTP_HEAD, HTTP_HEAD + 1, bytes.len()] {
            let Parsed::Bad(status) = parse(&bytes.as_bytes()[..len]) else {
                panic!("{len} bytes were taken");
            };
            assert_eq!(status.code(), code);
        }
    }
}

#[test]
fn a_head_may_fill_its_limit_and_no_more() {
    let request = |len: usize| {
        let start = "GET / HTTP/1.1\r\nHost: a\r\nX: ";
        let filler = "x".repeat(len - start.len() - "\r\n\r\n".len());
        format!("{start}{filler}\r\n\r\n")
    };
    let fits = request(HTTP_HEAD);
    assert!(matches!(parse(fits.as_bytes()), Parsed::Complete { len: HTTP_HEAD, .. }));
    assert_eq!(parse(request(HTTP_HEAD + 1).as_bytes()), Parsed::Bad(Status::HEAD_TOO_LARGE));
}

#[test]
fn too_many_headers_are_refused() {
    let request = |count: usize| format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(count - 1));
    assert_eq!(head_of(&request(HTTP_HEADERS)).target, "/");
    assert_eq!(code_of(request(HTTP_HEADERS + 1).as_bytes()), 431);
}

/// Bytes made of what matters to the parser, and of anything.
fn requests() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        8 => prop::sample::select(vec![
            "GET ", "POST ", "PRI ", "BREW ", "OPTIONS * ", "/", "/a", "http://b", " ", " HTTP/1.1", " HTTP/1.0", " HTTP/1.3",
            " HTTP/2.0",
            " HTTP/", "\r\n", "\r\n\r\n", "\r", "\n", "Host: a\r\n", "Host: ", "Content-Length: 1\r\n", "Content-Length:",
            "Transfer-Encoding: chunked\r\n", "Connection: close\r\n", ":", "1", ",", "\t", "\0",
            "GET / HTTP/1.1\r\nHost: a\r\n",
        ])
        .prop_map(|piece| piece.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

#[test]
fn a_context_has_bounds_of_its_own() {
    let bounds = |head, target, headers| {
        let info = ContextInfo {
            max_http_header_data: head,
            max_http_uri: target,
            max_http_headers: headers,
            ..ContextInfo::default()
        };
        Bounds::of(&info)
    };
    let all_cuts = |bytes: &str, bounds| {
        let slowly = (0..=bytes.len()).map(|len| super::parse(&bytes.as_bytes()[..len], bounds));
        let slowly = slowly.into_iter().find(|parsed| *parsed != Parsed::Partial).unwrap_or(Parsed::Partial);
        assert_eq!(slowly, super::parse(bytes.as_bytes(), bounds), "cuts matter in {bytes:?}");
        match slowly {
            Parsed::Bad(status) => status.code(),
            _ => 0,
        }
    };
    for (request, code) in [
        ("\r\nGET /23456789 HTTP/1.1\r\nHost: a\r\n\r\n", 0),
        ("\r\nGET /234567890 HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        ("GET /234567890", 414),
        ("GET /23456789", 0),
        ("GET /234567890\x01 HTTP/1.1\r\n", 414),
        ("GET /2345678\x01 HTTP/1.1\r\n", 400),
        ("GET http://a/6789 HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        ("FETCH /234567890 HTTP/1.1\r\nHost: a\r\n\r\n", 414),
        ("G<T /234567890 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    ] {
        assert_eq!(all_cuts(request, bounds(4096, 9, 100)), code, "{request:?}");
    }
    let three = "GET / HTTP/1.1\r\nHost: a\r\nA: 1\r\nB: 2\r\n\r\n";
    assert_eq!((all_cuts(three, bounds(4096, 9, 3)), all_cuts(three, bounds(4096, 9, 2))), (0, 431));
    let long = |len: usize| format!("GET / HTTP/1.1\r\nHost: a\r\nA: {}\r\n\r\n", "a".repeat(len));
    let around = long(0).len();
    let least = limits::HTTP_HEAD_LEAST;
    assert_eq!(all_cuts(&long(least - around), bounds(0, 9, 3)), 0);
    assert_eq!(all_cuts(&long(least - around + 1), bounds(0, 9, 3)), 431);
    let most = limits::HTTP_HEAD_MOST;
    let fits = long(most - around);
    assert!(matches!(super::parse(fits.as_bytes(), bounds(usize::MAX, 9, 3)), Parsed::Complete { .. }));
    let refused = Parsed::Bad(Status::HEAD_TOO_LARGE);
    assert_eq!(super::parse(long(most - around + 1).as_bytes(), bounds(usize::MAX, 9, 3)), refused);
}

#[test]
fn an_authorization_that_is_there_twice_is_nobodys() {
    let head =
        |more: &'static str| head_of(Box::leak(format!("GET / HTTP/1.1\r\nHost: a\r\n{more}\r\n").into_boxed_str()));
    assert_eq!(head("").authorization, None);
    assert_eq!(head("authorization: Basic a\r\n").authorization, Some(&b"Basic a"[..]));
    assert_eq!(head("Authorization: a\r\nAuthorization: b\r\n").authorization, Some(&b""[..]));
    assert_eq!(head("Authorization: a\r\nAuthorization: b\r\nAuthorization: c\r\n").authorization, Some(&b""[..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn cuts_never_matter(bytes in requests()) {
        prop_assert_eq!(parse(&bytes), fed_slowly(&bytes));
    }

    #[test]
    fn a_well_formed_request_damaged_anywhere_gets_one_verdict(at in 0..90usize, byte in any::<u8>()) {
        let mut bytes = b"POST /a/b?c HTTP/1.1\r\nHost: a.com:81\r\nContent-Length: 12\r\nConnection: keep-alive\r\nA: b\r\n\r\n".to_vec();
        bytes[at] = byte;
        prop_assert_eq!(parse(&bytes), fed_slowly(&bytes));
    }

    #[test]
    fn any_bytes_get_a_verdict(bytes in any::<Vec<u8>>()) {
        prop_assert_eq!(parse(&bytes), fed_slowly(&bytes));
    }
}
