//! What is told of forms that are right.

use super::*;

mod hostile;
mod limits;
mod random;

/// What was told, a line each; the pieces of a file joined.
type Heard = Vec<String>;

fn hear(heard: &mut Heard, open: &mut Option<Vec<u8>>, event: FormEvent<'_>) {
    match event {
        FormEvent::FileData(data) => {
            assert!(!data.is_empty(), "no empty piece is told");
            open.as_mut().expect("data is within a file").extend_from_slice(data);
        }
        FormEvent::FileEnd => {
            let data = open.take().expect("the end is that of a file");
            heard.push(format!("data {:?}", String::from_utf8_lossy(&data)));
        }
        FormEvent::FileBegin { name, filename, content_type } => {
            assert!(open.replace(Vec::new()).is_none(), "a file within a file");
            heard.push(format!("file {name:?} {filename:?} {}", content_type.unwrap_or("-")));
        }
        FormEvent::Field { name, value } => {
            assert!(open.is_none(), "a field within a file");
            heard.push(format!("field {name:?} {value:?}"));
        }
    }
}

/// All that is told of a body that comes in these pieces, and how it ends. What has come of a file that does not end counts too.
fn read<'c>(
    content_type: &str,
    limits: FormLimits,
    pieces: impl IntoIterator<Item = &'c [u8]>,
) -> (Heard, Result<(), FormError>) {
    let (mut heard, mut open) = (Vec::new(), None);
    let end = Form::new(content_type, limits).and_then(|mut form| {
        for piece in pieces {
            form.feed(piece, |event| {
                hear(&mut heard, &mut open, event);
                Ok(())
            })?;
        }
        form.finish(|event| {
            hear(&mut heard, &mut open, event);
            Ok(())
        })
    });
    heard.extend(open.map(|data| format!("data so far {:?}", String::from_utf8_lossy(&data))));
    (heard, end)
}

/// The same, once it is seen that it is the same byte by byte and with each cut in two.
#[track_caller]
fn outcome(content_type: &str, limits: FormLimits, body: &[u8]) -> (Heard, Result<(), FormError>) {
    let text = |(heard, end): (Heard, Result<(), FormError>)| (heard, end.map_err(|error| error.to_string()));
    let (heard, end) = read(content_type, limits, [body]);
    let whole = (heard.clone(), end.clone().map_err(|error| error.to_string()));
    assert_eq!(text(read(content_type, limits, body.chunks(1))), whole, "byte by byte: {body:?}");
    for at in 1..body.len().min(600) {
        let (one, other) = body.split_at(at);
        assert_eq!(text(read(content_type, limits, [one, b"", other])), whole, "cut at {at}: {body:?}");
    }
    (heard, end)
}

const MULTIPART: &str = "multipart/form-data; boundary=b";

/// A body in which LF stands for CRLF.
fn crlf(body: &str) -> Vec<u8> {
    body.replace('\n', "\r\n").into_bytes()
}

#[track_caller]
fn tells(content_type: &str, body: &[u8], want: &[&str]) {
    let (heard, end) = outcome(content_type, FormLimits::default(), body);
    end.unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(body)));
    assert_eq!(heard, want, "{:?}", String::from_utf8_lossy(body));
}

#[test]
fn both_types_tell_the_same() {
    let want = ["field \"a\" \"1\"", "field \"b\" \"\"", "field \"a\" \"é +\""];
    tells("application/x-www-form-urlencoded", b"a=1&b=&a=%C3%A9+%2B", &want);
    let body = "--b\nContent-Disposition: form-data; name=\"a\"\n\n1\n--b\nContent-Disposition: form-data; name=b\n\n\n\
                --b\nContent-Disposition: form-data; name=\"a\"\n\né +\n--b--\n";
    tells(MULTIPART, &crlf(body), &want);
}

#[test]
fn forms_may_be_empty() {
    tells("application/x-www-form-urlencoded", b"", &[]);
    tells("application/x-www-form-urlencoded", b"&", &[]);
    tells(MULTIPART, b"--b--", &[]);
    tells(MULTIPART, b"--b--\r\n", &[]);
}

#[test]
fn files_are_told_piece_by_piece() {
    let body = "--b\nContent-Disposition: form-data; name=\"f\"; filename=\"a b.txt\"\nContent-Type: text/plain; charset=utf-8\n\n\
                one\ntwo\n\n--b\ncontent-disposition:FORM-DATA;NAME=g;FileName=x\n\n\n--b\n\
                Content-Disposition: form-data; name=\"h\"; filename=\"\"\nContent-Type: application/octet-stream\n\n\n--b--\n";
    let want = [
        "file \"f\" \"a b.txt\" text/plain; charset=utf-8",
        "data \"one\\r\\ntwo\\r\\n\"",
        "file \"g\" \"x\" -",
        "data \"\"",
        "file \"h\" \"\" application/octet-stream",
        "data \"\"",
    ];
    tells(MULTIPART, &crlf(body), &want);
}

#[test]
fn data_of_files_is_not_copied() {
    let head = "--b\r\nContent-Disposition: form-data; name=f; filename=f\r\n\r\n";
    let mut form = Form::new(MULTIPART, FormLimits::default()).expect("a form");
    form.feed(head.as_bytes(), |_| Ok(())).expect("a part begins");
    let piece = [b'x'; 1000];
    let mut seen = Vec::new();
    form.feed(&piece, |event| {
        if let FormEvent::FileData(data) = event {
            seen.push(data.as_ptr_range());
        }
        Ok(())
    })
    .expect("data");
    assert_eq!(seen, [piece.as_ptr_range()]);
}

#[test]
fn what_is_before_the_first_boundary_and_behind_the_last_is_passed_over() {
    let part = "Content-Disposition: form-data; name=a\n\n1\n";
    for body in [
        format!("--b\n{part}--b--"),
        format!("--b\n{part}--b-- \t"),
        format!("--b \t \n{part}--b--\n"),
        format!("\n--b\n{part}--b--\n"),
        format!("this is MIME --b\n--\n-b\n--b\n{part}--b--\nfor you\n--b\nX\n"),
    ] {
        tells(MULTIPART, &crlf(&body), &["field \"a\" \"1\""]);
    }
}

#[test]
fn a_part_without_content_may_lack_its_line_end() {
    // RFC 2046 5.1.1: a body-part is headers, and then CRLF and content or nothing.
    let body = "--b\nContent-Disposition: form-data; name=a\n\n--b\nContent-Disposition: form-data; name=f; filename=f\n\n--b--\n";
    tells(MULTIPART, &crlf(body), &["field \"a\" \"\"", "file \"f\" \"f\" -", "data \"\""]);
}

#[test]
fn content_types_are_read_without_regard_to_case() {
    let body = crlf("--A b\nContent-Disposition: form-data; name=a\n\n1\n--A b--\n");
    for content_type in [
        "multipart/form-data; boundary=\"A b\"",
        "Multipart/Form-Data;BOUNDARY=\"A b\";charset=utf-8",
        " multipart/form-data ; charset=x;; boundary=\"A b\" ;",
    ] {
        tells(content_type, &body, &["field \"a\" \"1\""]);
    }
    for content_type in ["Application/X-WWW-form-urlencoded;charset=UTF-8", "application/x-www-form-urlencoded "] {
        tells(content_type, b"a=1", &["field \"a\" \"1\""]);
    }
}

#[test]
fn a_refusal_of_the_callback_is_the_error_and_final() {
    let mut form = Form::new("application/x-www-form-urlencoded", FormLimits::default()).expect("a form");
    let mut calls = 0;
    let mut refuse = |_: FormEvent<'_>| {
        calls += 1;
        Err(Refusal::new(422, "not this one"))
    };
    let error = form.feed(b"a=1&b=2&", &mut refuse).expect_err("it is refused");
    assert_eq!((error.http_status(), &*error.to_string()), (422, "not this one"));
    assert_eq!(form.feed(b"c=3&", &mut refuse).expect_err("still").http_status(), 422);
    assert_eq!(form.finish(&mut refuse).expect_err("still").http_status(), 422);
    assert_eq!(calls, 1);
}

#[test]
fn an_error_of_ours_is_a_500() {
    let mut form = Form::new("application/x-www-form-urlencoded", FormLimits::default()).expect("a form");
    let full = || std::io::Error::from(std::io::ErrorKind::StorageFull);
    let error = form.feed(b"a=1&", |_| Err(full())?).expect_err("the disk is full");
    assert_eq!((error.http_status(), error.to_string()), (500, full().to_string()));
}

#[test]
fn fields_refuse_files() {
    let mut fields = Fields::default();
    let mut form = Form::new(MULTIPART, FormLimits::default()).expect("a form");
    let body = crlf("--b\nContent-Disposition: form-data; name=f; filename=f\n\n");
    assert_eq!(form.feed(&body, |event| fields.take(event)).expect_err("a file").http_status(), 400);
    assert!(fields.is_empty());
}
