//! Bodies that are wrong, odd, or made to be read in two ways.

use super::*;

/// Refused with 400, however it is cut, and what is told before.
#[track_caller]
fn refused(body: &[u8], message: &str, heard_before: &[&str]) {
    let (heard, end) = outcome(MULTIPART, FormLimits::default(), body);
    let text = String::from_utf8_lossy(body);
    let error = end.expect_err(&text);
    assert_eq!(error.to_string(), message, "{text:?}");
    assert_eq!(error.http_status(), 400, "{text:?}");
    assert_eq!(heard, heard_before, "{text:?}");
}

#[test]
fn types_that_are_no_form_are_415() {
    for content_type in [
        "",
        ";",
        "text/plain",
        "multipart/related; boundary=b",
        "multipart/form-datax; boundary=b",
        "multipart/form-data, text/plain; boundary=b",
        "application/json",
        "application/x-www-form-urlencoded2",
    ] {
        let error = Form::new(content_type, FormLimits::default()).expect_err(content_type);
        assert_eq!(error.http_status(), 415, "{content_type}");
    }
}

#[test]
fn boundaries_that_rfc_2046_does_not_allow_are_400() {
    let longest = format!("multipart/form-data; boundary={}", "x".repeat(70));
    Form::new(&longest, FormLimits::default()).expect("70 characters are allowed");
    const LENGTH: &str = "the content type has a boundary that is not of 1 to 70 characters (RFC 2046 5.1.1)";
    const CHARACTERS: &str = "the content type has a boundary with characters that none may have (RFC 2046 5.1.1)";
    for (content_type, message) in [
        ("multipart/form-data", "the content type has no boundary"),
        ("multipart/form-data; bound=b", "the content type has no boundary"),
        ("multipart/form-data; boundary", "the content type has a parameter that is not NAME=VALUE"),
        ("multipart/form-data; boundary=", "the content type has a parameter without a value"),
        ("multipart/form-data; boundary=a b", "the content type has something else than `;` behind a parameter"),
        ("multipart/form-data; boundary=\"b", "the content type has a quoted value without its end"),
        ("multipart/form-data; boundary=b; boundary=b", "the content type has two boundaries"),
        ("multipart/form-data; boundary=b; BOUNDARY=c", "the content type has two boundaries"),
        ("multipart/form-data; boundary=\"\"", LENGTH),
        (&format!("{longest}x"), LENGTH),
        ("multipart/form-data; boundary=\"a \"", CHARACTERS),
        ("multipart/form-data; boundary=\"a\u{e9}\"", CHARACTERS),
        ("multipart/form-data; boundary=\"a\rb\"", CHARACTERS),
        ("multipart/form-data; boundary=\"a\\\"b\"", CHARACTERS),
        ("multipart/form-data; boundary=a*", CHARACTERS),
    ] {
        let error = Form::new(content_type, FormLimits::default()).expect_err(content_type);
        assert_eq!((error.http_status(), &*error.to_string()), (400, message), "{content_type}");
    }
}

#[test]
fn a_form_that_stops_early_is_400() {
    const TRUNCATED: &str = "the form ends before its last boundary";
    let body = crlf("--b\nContent-Disposition: form-data; name=a\n\n1\n--b--");
    let field = ["field \"a\" \"1\""];
    for length in 0..body.len() {
        let told = if length < body.len() - 2 { &[][..] } else { &field };
        refused(&body[..length], TRUNCATED, told);
    }
    tells(MULTIPART, &body, &field);
    refused(b"--b--\r", TRUNCATED, &[]);
    refused(b"--b\r\n\r\n"[..5].as_ref(), TRUNCATED, &[]);
    refused(b"no boundary at all", TRUNCATED, &[]);
    refused(b"x--b--\r\n", TRUNCATED, &[]);
    refused(b"\n--b--\r\n", TRUNCATED, &[]);
    refused(b"\r--b--\r\n", TRUNCATED, &[]);
    refused(b"-- b--\r\n", TRUNCATED, &[]);
    refused(b"--B--\r\n", TRUNCATED, &[]);
    let file = crlf("--b\nContent-Disposition: form-data; name=f; filename=f\n\ndata\n--");
    refused(&file, TRUNCATED, &["file \"f\" \"f\" -", "data so far \"data\""]);
}

#[test]
fn only_a_line_end_or_two_dashes_are_behind_a_boundary() {
    const AFTER: &str = "a boundary is followed by neither CRLF nor `--`";
    for body in
        ["--bx\r\n", "--b\n", "--b\rx", "--b\r\r\n", "--b-\r\n", "--b-x", "--b--x", "--b--\n", "--b--\r\r\n", "--b x"]
    {
        refused(body.as_bytes(), AFTER, &[]);
    }
    let head = crlf("--b\nContent-Disposition: form-data; name=a\n\n1");
    refused(&[&head[..], b"\r\n--boundary\r\n"].concat(), AFTER, &["field \"a\" \"1\""]);
}

#[test]
fn data_that_looks_like_a_boundary_is_data() {
    for data in [
        "--b",
        "x--b--",
        "\r--b--",
        "\n--b--",
        "\r\n-b",
        "\r\n--",
        "\r\n--\r\n--",
        "\r\r\n\r\n-\r\n--\r",
        "\r\n--a\r\n--B\r\n--",
        "\r\n --b",
        "\r",
        "\n",
        "\r\n",
        "\r\n\r\n",
        "-",
        "",
    ] {
        // At the start of the content `--b` would be a boundary.
        let data = format!("x{data}");
        let body = format!(
            "--b\r\nContent-Disposition: form-data; name=a\r\n\r\n{data}\r\n\
             --b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n{data}\r\n--b--\r\n"
        );
        let want = [format!("field \"a\" {data:?}"), "file \"f\" \"f\" -".to_owned(), format!("data {data:?}")];
        tells(MULTIPART, body.as_bytes(), &want.each_ref().map(String::as_str));
    }
}

#[test]
fn a_boundary_that_repeats_itself_is_found() {
    let boundary = "----------";
    let data = "\r\n-----------\r\n-----------";
    let body = format!("--{boundary}\r\nContent-Disposition: form-data; name=a\r\n\r\n{data}\r\n--{boundary}--\r\n");
    let content_type = format!("multipart/form-data; boundary={boundary}");
    tells(&content_type, body.as_bytes(), &[&format!("field \"a\" {data:?}")]);
}

/// The first part's headers are these, with LF for CRLF.
#[track_caller]
fn refused_part(headers: &str, message: &str) {
    refused(&crlf(&format!("--b\n{headers}\n\nx\n--b--\n")), message, &[]);
}

#[test]
fn parts_must_say_their_name_once() {
    for (headers, message) in [
        ("", "a part has no Content-Disposition"),
        ("Content-Type: text/plain", "a part has no Content-Disposition"),
        ("Content-Disposition: form-data", "a part has no name"),
        ("Content-Disposition: form-data; filename=f", "a part has no name"),
        ("Content-Disposition: form-data; name*=utf-8''a", "a part has no name"),
        ("Content-Disposition: ; name=a", "a part has a Content-Disposition that is not form-data"),
        ("Content-Disposition: attachment; name=a", "a part has a Content-Disposition that is not form-data"),
        ("Content-Disposition: form-data, form-data; name=a", "a part has a Content-Disposition that is not form-data"),
        ("Content-Disposition: form-data; name=a; name=a", "a part has two names"),
        ("Content-Disposition: form-data; name=a; Name=b", "a part has two names"),
        ("Content-Disposition: form-data; name=a; filename=b; filename=c", "a part has two file names"),
        (
            "Content-Disposition: form-data; name=a; filename*=utf-8''b",
            "a part has `filename*` without `filename` (RFC 7578 4.2 has the latter alone)",
        ),
        (
            "Content-Disposition: form-data; name=a\nContent-Disposition: form-data; name=a",
            "a part has two Content-Disposition headers",
        ),
        (
            "Content-Disposition: form-data; name=a\nContent-Type: text/plain\ncontent-type: text/html",
            "a part has two Content-Type headers",
        ),
        ("Content-Disposition: form-data; name", "a part has a parameter that is not NAME=VALUE"),
        ("Content-Disposition: form-data; name=", "a part has a parameter without a value"),
        ("Content-Disposition: form-data; name=\"a", "a part has a quoted value without its end"),
        ("Content-Disposition: form-data; name=\"a\\\"", "a part has a quoted value without its end"),
        ("Content-Disposition: form-data; name=\"a\"b", "a part has something else than `;` behind a parameter"),
    ] {
        refused_part(headers, message);
    }
}

#[test]
fn headers_of_parts_are_read_strictly() {
    const NOT_A_HEADER: &str = "a part has a header that is not NAME: VALUE";
    for (headers, message) in [
        ("Content-Disposition form-data; name=a", NOT_A_HEADER),
        ("Content-Disposition : form-data; name=a", NOT_A_HEADER),
        (": x", NOT_A_HEADER),
        ("X\u{e9}: x", NOT_A_HEADER),
        ("--b", NOT_A_HEADER),
        ("Content-Disposition: form-data; name=a;\n filename=b", "a part has a header that goes on in a second line"),
        (" Content-Disposition: form-data; name=a", "a part has a header that goes on in a second line"),
        ("Content-Disposition: form-data; name=\"a\0\"", "a part has a control character in its headers"),
        ("X: \u{1b}[2J", "a part has a control character in its headers"),
    ] {
        refused_part(headers, message);
    }
    const LINE_END: &str = "a line in the headers of a part does not end with CRLF";
    for body in [
        "--b\r\nContent-Disposition: form-data; name=a\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r; filename=b\r\n\r\nx\r\n--b--\r\n",
        "--b\r\nContent-Disposition: form-data; name=a\r\n\nx\r\n--b--\r\n",
        "--b\r\n\n\r\n",
    ] {
        refused(body.as_bytes(), LINE_END, &[]);
    }
}

#[test]
fn parts_within_parts_and_encodings_are_refused() {
    const NESTED: &str = "a part has parts of its own, which forms do not have (RFC 7578 4.3)";
    for content_type in ["multipart/mixed; boundary=c", "Multipart/form-data", "multipart", "multipart /x"] {
        refused_part(&format!("Content-Disposition: form-data; name=a\nContent-Type: {content_type}"), NESTED);
    }
    const ENCODED: &str = "a part has a transfer encoding, which forms do not have (RFC 7578 4.7)";
    for encoding in ["base64", "quoted-printable", "x", ""] {
        refused_part(
            &format!("Content-Transfer-Encoding: {encoding}\nContent-Disposition: form-data; name=a"),
            ENCODED,
        );
    }
    let body = "--b\nContent-Transfer-Encoding: Binary\nX-Any: thing\nContent-Disposition: form-data; name=a\n\
                Content-Type: text/plain\n\n1\n--b\nContent-Disposition: form-data; name=m; filename=page.mht\n\
                Content-Type: multipart/related; boundary=c\n\n--c\n\n--c--\n--b--\n";
    let want =
        ["field \"a\" \"1\"", "file \"m\" \"page.mht\" multipart/related; boundary=c", "data \"--c\\r\\n\\r\\n--c--\""];
    tells(MULTIPART, &crlf(body), &want);
}

#[test]
fn names_come_as_they_were_sent() {
    for (parameters, name, filename) in [
        (r#"name="a b"; filename="c;d=\"e\".txt""#, "a b", Some(r#"c;d="e".txt"#)),
        (r#"name="%22%0D%0A%41"; filename="../../etc/passwd""#, "%22%0D%0A%41", Some("../../etc/passwd")),
        (r#"name="a"; filename="C:\dir\a.txt""#, "a", Some(r"C:\dir\a.txt")),
        (r#"name="é"; filename="日本.txt""#, "é", Some("日本.txt")),
        (r#"filename="b"; name="a""#, "a", Some("b")),
        (r#"name=a; filename=b; filename*=utf-8''%63"#, "a", Some("b")),
        (r#"name=a; other=x; other="y";"#, "a", None),
        (r#"name="""#, "", None),
    ] {
        let body = format!("--b\nContent-Disposition: form-data; {parameters}\n\nx\n--b--\n");
        let want = match filename {
            Some(filename) => vec![format!("file {name:?} {filename:?} -"), "data \"x\"".to_owned()],
            None => vec![format!("field {name:?} \"x\"")],
        };
        tells(MULTIPART, &crlf(&body), &want.iter().map(String::as_str).collect::<Vec<_>>());
    }
}

#[test]
fn what_is_not_utf8_is_replaced_in_text_and_kept_in_files() {
    let head = |more: &str| format!("--b\r\nContent-Disposition: form-data; name=\"a\"{more}\r\n\r\n").into_bytes();
    let body = [&head("")[..], b"\xff\xc3", b"\r\n", &head("; filename=\"f\""), b"\xff\xc3", b"\r\n--b--"].concat();
    let mut told = Vec::new();
    let mut form = Form::new(MULTIPART, FormLimits::default()).expect("a form");
    form.feed(&body, |event| {
        match event {
            FormEvent::Field { value, .. } => assert_eq!(value, "\u{fffd}\u{fffd}"),
            FormEvent::FileData(data) => told.extend_from_slice(data),
            _ => {}
        }
        Ok(())
    })
    .expect("it is right");
    assert_eq!(told, b"\xff\xc3");
    let name = b"--b\r\nContent-Disposition: form-data; name=\"\xc3\"\r\n\r\n\r\n--b--";
    tells(MULTIPART, name, &["field \"\u{fffd}\" \"\""]);
}
