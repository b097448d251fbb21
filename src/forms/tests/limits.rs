//! What a form may have at most.

use super::*;

const URLENCODED: &str = "application/x-www-form-urlencoded";

/// Taken as long as it is within the limit, and 413 with one byte or part more.
#[track_caller]
fn limited(content_type: &str, limits: FormLimits, within: &[u8], above: &[u8], message: &str) {
    let (_, end) = outcome(content_type, limits, within);
    end.unwrap_or_else(|error| panic!("{error}: {:?}", String::from_utf8_lossy(within)));
    let (_, end) = outcome(content_type, limits, above);
    let error = end.expect_err(&String::from_utf8_lossy(above));
    assert_eq!((error.http_status(), &*error.to_string()), (413, message), "{:?}", String::from_utf8_lossy(above));
}

fn part(parameters: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {parameters}\r\n\r\n{content}\r\n")
}

fn multipart(parts: &[String]) -> Vec<u8> {
    format!("{}--b--\r\n", parts.concat()).into_bytes()
}

const NONE: FormLimits = FormLimits {
    fields: usize::MAX,
    name: usize::MAX,
    value: usize::MAX,
    text: usize::MAX,
    files: usize::MAX,
    file: u64::MAX,
    part_headers: usize::MAX,
    total: u64::MAX,
};

#[test]
fn fields_are_limited() {
    let limits = FormLimits { fields: 2, ..NONE };
    limited(URLENCODED, limits, b"a&&b&", b"a&b&c", "more than 2 fields");
    let (two, three) = (vec![part("name=a", ""); 2], vec![part("name=a", ""); 3]);
    limited(MULTIPART, limits, &multipart(&two), &multipart(&three), "more than 2 fields");
    let (heard, _) = outcome(MULTIPART, limits, &multipart(&three));
    assert_eq!(heard.len(), 2);
}

#[test]
fn names_are_limited_in_bytes_as_decoded() {
    let limits = FormLimits { name: 3, ..NONE };
    limited(URLENCODED, limits, b"%61bc=long%20value", b"%61bcd=", "a name of more than 3 bytes");
    limited(URLENCODED, limits, b"a%4&", b"ab%4", "a name of more than 3 bytes");
    let names = |name: &str| multipart(&[part(&format!("name={name}"), "long value")]);
    limited(MULTIPART, limits, &names("abc"), &names("abcd"), "a name of more than 3 bytes");
    let file = |name: &str| multipart(&[part(&format!("name={name}; filename=long"), "")]);
    limited(MULTIPART, limits, &file("abc"), &file("abcd"), "a name of more than 3 bytes");
}

#[test]
fn values_are_limited_in_bytes_as_decoded() {
    let limits = FormLimits { value: 3, ..NONE };
    limited(URLENCODED, limits, b"longer=%61b+&b=123", b"a=%61b+d", "a value of more than 3 bytes");
    let values = |value: &str| multipart(&[part("name=longer", value)]);
    limited(MULTIPART, limits, &values("\r\n-"), &values("\r\n--"), "a value of more than 3 bytes");
    let file = multipart(&[part("name=f; filename=f", "longer")]);
    limited(MULTIPART, limits, &file, &values("1234"), "a value of more than 3 bytes");
}

#[test]
fn all_text_together_is_limited() {
    let limits = FormLimits { text: 6, ..NONE };
    const MESSAGE: &str = "names and values of more than 6 bytes together";
    limited(URLENCODED, limits, b"a=12&b=3&x", b"a=12&b=3&x=1", MESSAGE);
    let fields =
        |last: &str| multipart(&[part("name=a", "12"), part("name=f; filename=f", "1234567"), part("name=b", last)]);
    limited(MULTIPART, limits, &fields("34"), &fields("345"), MESSAGE);
    // Each byte that is not UTF-8 becomes three.
    limited(URLENCODED, limits, b"%FF%FF", b"%FF=%FF1", MESSAGE);
}

#[test]
fn files_are_limited_in_number_and_bytes() {
    let limits = FormLimits { files: 1, file: 4, ..NONE };
    let file = |data: &str| part("name=f; filename=\"\"", data);
    let one = multipart(&[part("name=a", "longer"), file("1234")]);
    limited(MULTIPART, limits, &one, &multipart(&[file(""), file("")]), "more than 1 files");
    for data in ["12345", "\r\n--\r\n", "123\r\n"] {
        limited(MULTIPART, limits, &one, &multipart(&[file(data)]), "a file of more than 4 bytes");
        let (heard, _) = outcome(MULTIPART, limits, &multipart(&[file(data)]));
        assert_eq!(heard[1], format!("data so far {:?}", &data[..4]), "what is within the limit is told");
    }
}

#[test]
fn headers_of_a_part_are_limited() {
    let headers = |length: usize| {
        let disposition = "Content-Disposition: form-data; name=a\r\n";
        let rest = length - disposition.len() - "X: \r\n\r\n".len();
        format!("--b\r\n{disposition}X: {}\r\n\r\nlonger than all headers may be\r\n--b--", "x".repeat(rest))
            .into_bytes()
    };
    let limits = FormLimits { part_headers: 60, ..NONE };
    limited(MULTIPART, limits, &headers(60), &headers(61), "headers of a part of more than 60 bytes");
    let many = [&multipart(&[part("name=a", "")])[..5], "X:\r\n".repeat(100_000).as_bytes()].concat();
    let (_, end) = read(MULTIPART, FormLimits::default(), [&many[..]]);
    assert!(matches!(end, Err(FormError::PartHeadersTooLong { limit: 4096 })), "{end:?}");
}

#[test]
fn the_body_is_limited() {
    let limits = FormLimits { total: 9, ..NONE };
    limited(URLENCODED, limits, b"a=1&b=2&c", b"a=1&b=2&c=", "a form of more than 9 bytes");
    limited(MULTIPART, limits, b"12\r\n--b--", b"123\r\n--b--", "a form of more than 9 bytes");
    limited(MULTIPART, limits, b"--b--\r\n12", b"--b--\r\n123", "a form of more than 9 bytes");
    let (heard, _) = outcome(URLENCODED, limits, b"a=1&b=23&c=4");
    assert_eq!(heard, ["field \"a\" \"1\"", "field \"b\" \"23\""], "what is within the limit is told");
}

#[test]
fn nothing_is_kept_of_what_is_passed_over_or_streamed() {
    let kept = |form: &Form| match &form.kind {
        Kind::Multipart(multipart) => multipart.kept(),
        Kind::Urlencoded(_) => panic!("it is multipart"),
    };
    let piece = [b"x".repeat(10_000), b"\r\n--".to_vec()].concat();
    let mut form = Form::new(MULTIPART, FormLimits::default()).expect("a form");
    let mut feed = |bytes: &[u8], most: usize| {
        form.feed(bytes, |_| Ok(())).expect("it is within the limits");
        assert!(kept(&form) <= most, "{} bytes are kept", kept(&form));
    };
    feed(&piece.repeat(10), 0);
    feed(b"\r\n--b\r\nContent-Disposition: form-data; ", 4096);
    feed(b"name=f; filename=f\r\n\r\n", 0);
    feed(&piece.repeat(10), 0);
    feed(b"\r\n--b--\r\n", 0);
    feed(&piece.repeat(10), 0);
}
