//! What a document can make a parser keep.

use super::*;

fn with(limits: Limits, json: &str) -> (Heard, Result<(), Error>) {
    parse(&[], limits, [json.as_bytes()])
}

#[track_caller]
fn refused(limits: Limits, json: &str, message: &str) {
    let (_, end) = with(limits, json);
    let error = end.expect_err("it is over the limit");
    assert_eq!(error.to_string(), message);
}

#[track_caller]
fn taken(limits: Limits, json: &str) {
    with(limits, json).1.expect("it is within the limit");
}

#[test]
fn nesting_is_limited() {
    let limits = Limits { depth: 3, ..Limits::default() };
    taken(limits, r#"[[[]], {"a": [1]}]"#);
    refused(limits, "[[[[]]]]", "line 1, column 4, at `[][][]`: nested deeper than 3 levels");
    refused(limits, r#"[{"a": [{}]}]"#, "line 1, column 9, at `[].a[]`: nested deeper than 3 levels");
    let bottomless = "[".repeat(1_000_000);
    refused(
        Limits { path: 4, ..Limits::default() },
        &bottomless,
        "line 1, column 3, at `[][]`: a path of more than 4 bytes",
    );
    let (_, end) = with(Limits::default(), &bottomless);
    assert!(matches!(end.expect_err("no end").kind, ErrorKind::TooDeep { limit: 64 }));
}

#[test]
fn names_are_limited_in_bytes() {
    let limits = Limits { name: 4, ..Limits::default() };
    taken(limits, r#"{"abcd": {"éé": 1}}"#);
    refused(limits, r#"{"a": {"abcde": 1}}"#, "line 1, column 13, at `a`: a name of more than 4 bytes");
    refused(limits, r#"{"ééé": 1}"#, "line 1, column 5: a name of more than 4 bytes");
    let (_, end) = with(Limits::default(), &format!("{{\"{}", "x".repeat(1_000_000)));
    assert!(matches!(end.expect_err("no end").kind, ErrorKind::NameTooLong { limit: 256 }));
}

#[test]
fn the_path_is_limited_in_bytes() {
    let limits = Limits { path: 6, ..Limits::default() };
    taken(limits, r#"{"ab": {"cde": 1}, "ab": [[1]]}"#);
    for json in [r#"{"ab": {"cdef": 1}}"#, r#"{"abcdef": {"": 1}}"#, r#"{"ab": [[[1]]]}"#] {
        let (_, end) = with(limits, json);
        assert!(matches!(end.expect_err(json).kind, ErrorKind::PathTooLong { limit: 6 }), "{json}");
    }
    let name = format!("{{\"{}\":", "x".repeat(250));
    let (_, end) = with(Limits::default(), &name.repeat(5));
    assert!(matches!(end.expect_err("no end").kind, ErrorKind::PathTooLong { limit: 1024 }));
}

#[test]
fn numbers_are_limited_in_bytes() {
    let limits = Limits { number: 4, ..Limits::default() };
    taken(limits, "[-123, 1234, 1.25, 1e10]");
    refused(limits, "[ 12345]", "line 1, column 7, at `[]`: a number of more than 4 bytes");
    let (_, end) = with(Limits::default(), &"1".repeat(1_000_000));
    assert!(matches!(end.expect_err("no end").kind, ErrorKind::NumberTooLong { limit: 254 }));
}

/// The parts that a string comes in: whether it was the last one, and its text.
fn pieces(string: &str, string_chunk: usize) -> Vec<(bool, String)> {
    fn collect(pieces: &mut Vec<(bool, String)>, _: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject> {
        match reason {
            Reason::ValStrChunk(text) => pieces.push((false, text.into())),
            Reason::ValStrEnd(text) => pieces.push((true, text.into())),
            _ => {}
        }
        Ok(())
    }
    let limits = Limits { string_chunk, ..Limits::default() };
    let mut pieces = Vec::new();
    let mut parser = Parser::new(&[], collect).with_limits(limits);
    parser.feed(&mut pieces, format!("\"{string}\"").as_bytes()).expect("it is right");
    pieces
}

#[test]
fn a_string_comes_in_chunks_of_fixed_size_that_split_no_character() {
    let text = |last, text: &str| (last, text.to_owned());
    assert_eq!(pieces("", 4), [text(true, "")]);
    assert_eq!(pieces("abcd", 4), [text(true, "abcd")]);
    assert_eq!(pieces("abcde", 4), [text(false, "abcd"), text(true, "e")]);
    assert_eq!(pieces("abcééé", 4), [text(false, "abc"), text(false, "éé"), text(true, "é")]);
    assert_eq!(pieces("a\\ud83d\\ude00b", 4), [text(false, "a"), text(false, "😀"), text(true, "b")]);
    assert_eq!(pieces("a😀b", 0), [text(false, "a"), text(false, "😀"), text(true, "b")]);
    let long = "x".repeat(1000);
    let lengths: Vec<usize> = pieces(&long, 254).iter().map(|(_, text)| text.len()).collect();
    assert_eq!(lengths, [254, 254, 254, 238]);
}
