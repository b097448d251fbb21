//! What is said of documents that are wrong.

use super::*;

#[track_caller]
fn error(json: impl AsRef<[u8]>) -> Error {
    let (_, end) = parse(&[], Limits::default(), [json.as_ref()]);
    end.expect_err("it is wrong")
}

#[test]
fn typical_mistakes_are_named_with_line_column_and_path() {
    for (json, message) in [
        ("", "line 1, column 1: found the end of the input, expected a value"),
        (" # nothing\n", "line 2, column 1: found the end of the input, expected a value"),
        ("{\"a\": 1,\n}", "line 2, column 1: found `}`, expected a name in quotes after the comma"),
        ("{\"a\": [\n  1,\n]}", "line 3, column 1, at `a[]`: found `]`, expected a value after the comma"),
        ("{\"a\": [1 2]}", "line 1, column 10, at `a[]`: found `2`, expected `,` or `]`"),
        ("{\"a\": 1\n \"b\": 2}", "line 2, column 2: found `\"`, expected `,` or `}`"),
        ("{\"a\" 1}", "line 1, column 6, at `a`: found `1`, expected `:` after the name"),
        ("{\"a\": }", "line 1, column 7, at `a`: found `}`, expected a value"),
        ("{a: 1}", "line 1, column 2: found `a`, expected a name in quotes or `}`"),
        ("{'a': 1}", "line 1, column 2: found `'`, expected a name in quotes or `}`"),
        ("{\"é\": \t'b'}", "line 1, column 8, at `é`: found `'`, expected a value"),
        // A message is one line, whatever names a document has.
        ("{\"a\\nb\" 1}", "line 1, column 9, at `a\\nb`: found `1`, expected `:` after the name"),
        ("[1}", "line 1, column 3, at `[]`: found `}`, expected `,` or `]`"),
        ("{\"a\": 1]", "line 1, column 8: found `]`, expected `,` or `}`"),
        ("{\"a\": {\"b\": 1}", "line 1, column 15: found the end of the input, expected `,` or `}`"),
        ("{\"a\": {\"b\"", "line 1, column 11, at `a.b`: found the end of the input, expected `:` after the name"),
        (
            "{\"a\": {\"b",
            "line 1, column 10, at `a`: found the end of the input, expected a closing `\"` \
            (line ends and tabs are `\\n`, `\\r`, `\\t` in a string)",
        ),
        ("{} {}", "line 1, column 4: found `{`, expected nothing more after the document"),
        ("[] // no", "line 1, column 4: found `/`, expected nothing more after the document"),
        ("tru", "line 1, column 4: found the end of the input, expected `true`"),
        ("[nil]", "line 1, column 3, at `[]`: found `i`, expected `null`"),
        ("[falsey]", "line 1, column 7, at `[]`: found `y`, expected `,` or `]`"),
        ("[True]", "line 1, column 2, at `[]`: found `T`, expected a value or `]`"),
        ("\u{feff}\u{feff}1", "line 1, column 1: found the character U+FEFF, expected a value"),
        ("[\0]", "line 1, column 2, at `[]`: found the character U+0000, expected a value or `]`"),
    ] {
        assert_eq!(error(json).to_string(), message, "{json}");
    }
}

#[test]
fn numbers_are_those_of_the_rfc() {
    for (json, message) in [
        ("01", "line 1, column 2: found `1`, expected no digit after a leading 0"),
        ("-", "line 1, column 2: found the end of the input, expected a digit"),
        ("--1", "line 1, column 2: found `-`, expected a digit"),
        ("-a", "line 1, column 2: found `a`, expected a digit"),
        ("+1", "line 1, column 1: found `+`, expected a value"),
        (".5", "line 1, column 1: found `.`, expected a value"),
        ("1.", "line 1, column 3: found the end of the input, expected a digit after the decimal point"),
        ("1.e1", "line 1, column 3: found `e`, expected a digit after the decimal point"),
        ("1e", "line 1, column 3: found the end of the input, expected a digit or a sign in the exponent"),
        ("1e+\n", "line 1, column 4: found the end of the line, expected a digit in the exponent"),
        ("0x1f", "line 1, column 2: found `x`, expected nothing more after the document"),
        ("1.5.5", "line 1, column 4: found `.`, expected nothing more after the document"),
    ] {
        assert_eq!(error(json).to_string(), message, "{json}");
    }
}

#[test]
fn strings_are_those_of_the_rfc() {
    let closing = "a closing `\"` (line ends and tabs are `\\n`, `\\r`, `\\t` in a string)";
    let low = "a low surrogate (`\\udc00` to `\\udfff`) after the high one";
    for (json, found, expected) in [
        ("\"a\nb\"", "the end of the line", closing),
        ("\"a\tb\"", "a tab", closing),
        ("\"a\u{1f}\"", "the character U+001F", closing),
        (r#""\x41""#, "`x`", "one of `\"\\/bfnrtu` after the backslash"),
        (r#""\u12""#, "`\"`", "four hex digits after `\\u`"),
        (r#""\u12+4""#, "`+`", "four hex digits after `\\u`"),
        (r#""\ud800""#, "`\"`", low),
        (r#""\ud800\n""#, "`n`", low),
        (r#""\ud800\u0041""#, "`\\u0041`", low),
        (r#""\ud800\ud800""#, "`\\ud800`", low),
        (r#""\udc00""#, "`\\udc00`", "a high surrogate (`\\ud800` to `\\udbff`) before it"),
    ] {
        let ErrorKind::Unexpected { found: f, expected: e } = error(json).kind else {
            panic!("{json}");
        };
        assert_eq!((f.as_str(), e), (found, expected), "{json}");
        assert!(error(json.replacen('"', "{\"", 1)).to_string().contains(expected), "the same holds for names");
    }
}

#[test]
fn bytes_that_are_not_utf8_are_refused_in_comments_too() {
    for json in [b"\"a\xff\"".as_slice(), b"\"\xc0\x80\"", b"\"\xed\xa0\x80\"", b"# \xe2\x82 \n1", b"\xf5"] {
        let message = error(json).to_string();
        assert!(message.contains("found the byte 0x") && message.ends_with("expected UTF-8"), "{message}");
    }
    let message = error(b"\"\xe2\x82").to_string();
    assert_eq!(message, "line 1, column 2: found the end of the input, expected the rest of a character");
}

#[test]
fn a_callback_that_refuses_ends_the_parse_with_its_message() {
    fn port(heard: &mut Heard, ctx: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject> {
        hear(heard, ctx, reason)?;
        if let Reason::ValNumInt(text) = reason {
            text.parse::<u16>()?;
        }
        Ok(())
    }
    let mut heard = Vec::new();
    let mut parser = Parser::new(&["*"], port);
    let json = b"{\n  \"port\": 65536 # too many\n}";
    let error = parser.feed(&mut heard, json).expect_err("it is refused");
    let message = "line 2, column 11, at `port`: number too large to fit in target type";
    assert_eq!(error.to_string(), message);
    assert_eq!((error.line, error.column, error.path.as_str()), (2, 11, "port"));
    let ErrorKind::Rejected(source) = &error.kind else { panic!("{error:?}") };
    assert!(source.is::<std::num::ParseIntError>());
    assert_eq!(heard[4..], [format!("port 0 [\"port\"] [] Failed({message})")]);

    // Final, and heard once.
    assert_eq!(parser.feed(&mut heard, b"{}").expect_err("final").to_string(), message);
    assert_eq!(parser.finish(&mut heard).expect_err("final").to_string(), message);
    assert_eq!(heard.len(), 5);

    parser.restart();
    parser.feed(&mut heard, b"{}").expect("it is right");
    parser.finish(&mut heard).expect("it is right");
}

#[test]
fn a_callback_can_refuse_at_every_reason() {
    fn refuse_at((at, heard): &mut (usize, Heard), ctx: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject> {
        hear(heard, ctx, reason)?;
        if heard.len() > *at { Err("no".into()) } else { Ok(()) }
    }
    let json = br#"{"a": [1, 2.5, "longer", true, false, null, {}]} "#;
    for at in 0.. {
        let mut user = (at, Vec::new());
        let limits = Limits { string_chunk: 4, ..Limits::default() };
        let mut parser = Parser::new(&[], refuse_at).with_limits(limits);
        let Err(error) = parser.feed(&mut user, json) else {
            assert_eq!(at, 17, "all of them were refused");
            break;
        };
        let (refused, failed) = (&user.1[at], &user.1[at + 1]);
        assert!(failed.ends_with(&format!(" Failed({error})")), "{failed}");
        assert!(refused.starts_with(&format!("{} ", error.path)), "{refused}: {error}");
        assert_eq!(user.1.len(), at + 2);
    }
}

#[test]
fn the_end_is_told_once_and_may_come_again() {
    let mut heard = Vec::new();
    let mut parser = Parser::new(&[], hear);
    parser.feed(&mut heard, b"12").expect("it is right");
    parser.finish(&mut heard).expect("it is right");
    parser.finish(&mut heard).expect("it is right");
    assert_eq!(heard.len(), 3, "{heard:?}");
}

#[test]
fn what_follows_a_document_fails_it_after_all() {
    let (heard, end) = parse(&[], Limits::default(), [b"{}".as_slice(), b" \n", b"x"]);
    assert_eq!(end.expect_err("it is wrong").line, 2);
    assert!(heard[heard.len() - 2].ends_with("Complete") && heard[heard.len() - 1].contains("Failed"), "{heard:?}");
}
