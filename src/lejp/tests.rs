//! What callbacks see of documents that are right.

use super::*;

mod cost;
mod limits;
mod mistakes;
mod random;

/// One callback, as text: `path match wildcards indexes reason`.
type Heard = Vec<String>;

fn hear(heard: &mut Heard, ctx: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject> {
    let matched = ctx.path_match().map_or("-".into(), |index| index.to_string());
    let wildcards: Vec<&str> = (0..).map_while(|n| ctx.wildcard(n)).collect();
    heard.push(format!("{} {matched} {wildcards:?} {:?} {reason:?}", ctx.path(), ctx.indexes()));
    Ok(())
}

/// All that is heard of a document which comes in these chunks, and how it ends.
fn parse<'c>(paths: &[&str], limits: Limits, chunks: impl IntoIterator<Item = &'c [u8]>) -> (Heard, Result<(), Error>) {
    let mut heard = Vec::new();
    let mut parser = Parser::new(paths, hear).with_limits(limits);
    let fed = chunks.into_iter().try_for_each(|chunk| parser.feed(&mut heard, chunk).map(drop));
    let end = fed.and_then(|()| parser.finish(&mut heard));
    (heard, end)
}

/// All that is heard of a document that is right.
#[track_caller]
fn events(paths: &[&str], json: &str) -> Heard {
    let (heard, end) = parse(paths, Limits::default(), [json.as_bytes()]);
    end.unwrap_or_else(|error| panic!("{error}\n{json}"));
    heard
}

/// Of each callback, the part that a test is about.
fn only(heard: &[String], part: impl Fn(&str) -> Option<String>) -> Vec<String> {
    heard.iter().filter_map(|line| part(line)).collect()
}

#[test]
fn every_callback_has_path_match_wildcards_and_indexes() {
    let json = r#"{"vhosts": [{"name": "a", "mounts": [{"origin": "/a", "ttl": 1}, {"origin": "/b"}]}, {"on": true}]}"#;
    let heard = events(&["vhosts[].name", "vhosts[].mounts[].*"], json);
    let want = r#"
 - [] [] Start
 - [] [] ObjectStart
vhosts - [] [] PairName("vhosts")
vhosts[] - [] [] ArrayStart
vhosts[] - [] [0] ObjectStart
vhosts[].name 0 [] [0] PairName("name")
vhosts[].name 0 [] [0] ValStrStart
vhosts[].name 0 [] [0] ValStrEnd("a")
vhosts[].mounts - [] [0] PairName("mounts")
vhosts[].mounts[] - [] [0] ArrayStart
vhosts[].mounts[] - [] [0, 0] ObjectStart
vhosts[].mounts[].origin 1 ["origin"] [0, 0] PairName("origin")
vhosts[].mounts[].origin 1 ["origin"] [0, 0] ValStrStart
vhosts[].mounts[].origin 1 ["origin"] [0, 0] ValStrEnd("/a")
vhosts[].mounts[].ttl 1 ["ttl"] [0, 0] PairName("ttl")
vhosts[].mounts[].ttl 1 ["ttl"] [0, 0] ValNumInt("1")
vhosts[].mounts[] - [] [0, 0] ObjectEnd
vhosts[].mounts[] - [] [0, 1] ObjectStart
vhosts[].mounts[].origin 1 ["origin"] [0, 1] PairName("origin")
vhosts[].mounts[].origin 1 ["origin"] [0, 1] ValStrStart
vhosts[].mounts[].origin 1 ["origin"] [0, 1] ValStrEnd("/b")
vhosts[].mounts[] - [] [0, 1] ObjectEnd
vhosts[].mounts[] - [] [0] ArrayEnd
vhosts[] - [] [0] ObjectEnd
vhosts[] - [] [1] ObjectStart
vhosts[].on - [] [1] PairName("on")
vhosts[].on - [] [1] ValTrue
vhosts[] - [] [1] ObjectEnd
vhosts[] - [] [] ArrayEnd
 - [] [] ObjectEnd
 - [] [] Complete"#;
    assert_eq!(heard, want.lines().skip(1).collect::<Vec<_>>());
}

#[test]
fn arrays_within_arrays_have_a_pair_of_brackets_and_an_index_each() {
    let heard = events(&["a[].b[][].*"], r#"{"a": [0, {"b": [[], [{}, {"c": 1}]]}]}"#);
    let numbers = only(&heard, |line| line.contains("ValNum").then(|| line.to_owned()));
    assert_eq!(numbers, [r#"a[] - [] [0] ValNumInt("0")"#, r#"a[].b[][].c 0 ["c"] [1, 1, 1] ValNumInt("1")"#]);

    let heard = events(&["[][]", "[]"], "[1, [2, 3], 4]");
    let want = r#"
 - [] [] Start
[] 1 [] [] ArrayStart
[] 1 [] [0] ValNumInt("1")
[][] 0 [] [1] ArrayStart
[][] 0 [] [1, 0] ValNumInt("2")
[][] 0 [] [1, 1] ValNumInt("3")
[][] 0 [] [1] ArrayEnd
[] 1 [] [2] ValNumInt("4")
[] 1 [] [] ArrayEnd
 - [] [] Complete"#;
    assert_eq!(heard, want.lines().skip(1).collect::<Vec<_>>());
}

/// The matches of the values, in order.
fn matches_of(paths: &[&str], json: &str) -> Vec<String> {
    only(&events(paths, json), |line| {
        let (place, _) = line.split_once(" ValNum")?;
        Some(place.rsplit_once(" [").map_or(place, |(place, _)| place).to_owned())
    })
}

#[test]
fn the_first_pattern_of_the_table_that_matches_counts() {
    let json = r#"{"a": {"b": {"c": 1}, "d": 2}}"#;
    assert_eq!(matches_of(&["a.*.*", "a.*"], json), [r#"a.b.c 0 ["b", "c"]"#, r#"a.d 1 ["d"]"#]);
    assert_eq!(matches_of(&["a.*", "a.*.*"], json), [r#"a.b.c 0 ["b.c"]"#, r#"a.d 0 ["d"]"#]);
    assert_eq!(matches_of(&["a.d", "*"], json), [r#"a.b.c 1 ["a.b.c"]"#, "a.d 0 []"]);
}

#[test]
fn elements_that_no_pattern_matches_have_the_match_of_their_array() {
    let json = r#"{"a": [1, [2, {"b": 3}]], "c": 4}"#;
    assert_eq!(matches_of(&["x", "a"], json), ["a[] 1 []", "a[][] 1 []", "a[][].b - []", "c - []"]);
    assert_eq!(matches_of(&["a", "a[][]"], json), ["a[] 0 []", "a[][] 1 []", "a[][].b - []", "c - []"]);
    assert_eq!(matches_of(&["*"], r#"{"a": [1]}"#), [r#"a[] 0 ["a[]"]"#]);
    assert_eq!(matches_of(&["*.b"], r#"{"a": {"b": [[1], 2]}}"#), [r#"a.b[][] 0 ["a"]"#, r#"a.b[] 0 ["a"]"#]);
    assert_eq!(matches_of(&["a"], r#"{"a[]": 1}"#), ["a[] - []"], "brackets in a name are no array");
}

#[test]
fn the_match_ends_with_what_it_matched() {
    let json = r#"{"a": {"b": 1}, "c": 2, "d": [{"b": 3}, 4]}"#;
    assert_eq!(matches_of(&["a.b", "d[].b"], json), ["a.b 0 []", "c - []", "d[].b 1 []", "d[] - []"]);
}

#[test]
fn names_with_anything_in_them_are_told_and_are_part_of_the_path() {
    let heard = events(&["m.*"], r#"{"m": {".tar.gz": 1, "\u00e9\ud83d\ude00\"\n": 2, "": {"x": 3}}}"#);
    let names = only(&heard, |line| line.contains("PairName").then(|| line.to_owned()));
    let want = [
        r#"m - [] [] PairName("m")"#,
        r#"m..tar.gz 0 [".tar.gz"] [] PairName(".tar.gz")"#,
        "m.é😀\"\n 0 [\"é😀\\\"\\n\"] [] PairName(\"é😀\\\"\\n\")",
        r#"m. - [] [] PairName("")"#,
        r#"m..x 0 [".x"] [] PairName("x")"#,
    ];
    assert_eq!(names, want);
}

/// The reasons of a document that is one value, but for `Start` and `Complete`.
#[track_caller]
fn reasons(json: &str) -> Vec<String> {
    let heard = events(&[], json);
    assert!(heard.first().is_some_and(|line| line.ends_with("Start")), "{heard:?}");
    assert!(heard.last().is_some_and(|line| line.ends_with("Complete")), "{heard:?}");
    only(&heard[1..heard.len() - 1], |line| line.strip_prefix(" - [] [] ").map(str::to_owned))
}

#[test]
fn any_value_is_a_document() {
    assert_eq!(reasons("{}"), ["ObjectStart", "ObjectEnd"]);
    assert_eq!(reasons(" true\r\n"), ["ValTrue"]);
    assert_eq!(reasons("false"), ["ValFalse"]);
    assert_eq!(reasons("null"), ["ValNull"]);
    assert_eq!(reasons("\"\""), ["ValStrStart", "ValStrEnd(\"\")"]);
    assert_eq!(reasons(r#""\u0041\ud834\udd1e\/\b\f\r\t""#), ["ValStrStart", "ValStrEnd(\"A𝄞/\\u{8}\\u{c}\\r\\t\")"]);
}

#[test]
fn numbers_come_as_they_are_written() {
    for int in ["0", "-0", "1", "-12", "98765432109876543210987654321"] {
        assert_eq!(reasons(int), [format!("ValNumInt({int:?})")]);
    }
    for float in ["0.0", "-1.50", "1e5", "0E-0", "1.25e+999"] {
        assert_eq!(reasons(float), [format!("ValNumFloat({float:?})")]);
    }
}

#[test]
fn comments_line_ends_and_a_byte_order_mark_change_nothing() {
    let plain = events(&[], r#"{"a": [1, "x # y"], "b": true}"#);
    for json in [
        "{\"a\":[1,\"x # y\"],\"b\":true}",
        "# \"{[\n{\"a\"#\n:#\r\n[1# 2, 3\n,\"x # y\"]#\n,\"b\":true# é\r\n}# the end",
        "\u{feff}\r\n{\r\n\t\"a\": [\r\n1, \"x # y\"\r\n]\r\n, \"b\": true\r\n}\r\n",
    ] {
        assert_eq!(events(&[], json), plain, "{json}");
    }
}

#[test]
fn a_value_is_what_lejp_has_in_its_buffer() {
    fn collect(values: &mut Vec<String>, _: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject> {
        values.extend(reason.value().map(str::to_owned));
        Ok(())
    }
    let mut values = Vec::new();
    let mut parser = Parser::new(&[], collect);
    parser.feed(&mut values, br#"{"a": [1, -2.5, "x", true, false, null, {}]}"#).expect("it is right");
    assert_eq!(values, ["1", "-2.5", "x", "1", "0", ""]);
}

#[test]
fn each_callback_comes_with_the_byte_that_decides_it() {
    let mut heard = Vec::new();
    let mut parser = Parser::new(&[], hear);
    for (bytes, count) in [("", 0), (" ", 1), ("{", 2), ("\"a", 2), ("\" ", 2), (":", 3), ("[", 4), ("1", 4), (",", 5)]
    {
        assert_eq!(parser.feed(&mut heard, bytes.as_bytes()).expect("it is right"), Progress::Continue);
        assert_eq!(heard.len(), count, "{bytes:?}: {heard:?}");
    }
    assert_eq!(parser.feed(&mut heard, b"true]").expect("it is right"), Progress::Continue);
    assert_eq!(parser.feed(&mut heard, b"}").expect("it is right"), Progress::Complete);
    assert_eq!(heard.len(), 9, "{heard:?}");
    assert_eq!(parser.feed(&mut heard, b" # the end").expect("it is right"), Progress::Continue);
    parser.finish(&mut heard).expect("it is right");
    assert_eq!(heard.len(), 9, "{heard:?}");
}

#[test]
fn a_document_is_complete_once_however_many_spaces_come_behind_it() {
    for document in ["{}", "1"] {
        let mut parser = Parser::new(&[], hear);
        let mut heard = Vec::new();
        let progress = [document, "\r", "\n", "", " # the end"].map(|bytes| parser.feed(&mut heard, bytes.as_bytes()));
        let complete =
            progress.into_iter().map(|fed| fed.expect("it is right")).filter(|&fed| fed == Progress::Complete);
        assert_eq!(complete.count(), 1, "{document}");
        assert_eq!(heard.iter().filter(|line| line.ends_with("Complete")).count(), 1, "{heard:?}");
    }
}

/// What README.lejp shows for a protocol.
#[test]
fn a_protocol_answers_each_document_once_however_it_is_cut() {
    let requests = "{\"a\": 1}\r\n[2]\r\n\r\n3\n{}\r\n".as_bytes();
    for size in 1..=requests.len() {
        let (mut parser, mut heard, mut answers) = (Parser::new(&[], hear), Vec::new(), Vec::new());
        for mut bytes in requests.chunks(size) {
            while let Some(behind) = parser.feed_document(&mut heard, bytes).expect("it is right") {
                answers.push(std::mem::take(&mut heard).len());
                parser.restart();
                bytes = behind;
            }
        }
        assert_eq!(answers, [6, 5, 3, 4], "in pieces of {size}");
    }
}

#[test]
fn documents_one_behind_the_other_are_told_apart() {
    let mut stream = b" {\"a\": 1}\n[2]\"3\"4 true{}".as_slice();
    let mut count = 0;
    let mut parser = Parser::new(&[], |complete: &mut usize, _, reason| {
        *complete += usize::from(matches!(reason, Reason::Complete));
        Ok(())
    });
    while let Some(rest) = parser.feed_document(&mut count, stream).expect("it is right") {
        assert_eq!(parser.feed_document(&mut count, b"more").expect("it is right"), Some(b"more".as_slice()));
        stream = rest;
        parser.restart();
    }
    assert_eq!(count, 6);
    parser.finish(&mut count).expect_err("there is no document");
}

#[test]
fn a_number_ends_before_what_is_no_part_of_it() {
    let mut parser = Parser::new(&[], hear);
    assert_eq!(parser.feed_document(&mut Vec::new(), b"12").expect("it is right"), None);
    assert_eq!(parser.feed_document(&mut Vec::new(), b"3[").expect("it is right"), Some(b"[".as_slice()));
}

#[test]
fn anything_may_follow_a_document_whatever_it_is() {
    for document in ["{}", "[]", "\"a\"", "true", "0", "-12", "1.5", "1e5"] {
        for behind in [b"\xff\x00".as_slice(), "é".as_bytes(), "\u{feff}".as_bytes(), b"\0", b"x", b"{"] {
            let mut parser = Parser::new(&[], hear);
            let bytes = [document.as_bytes(), behind].concat();
            let rest = parser.feed_document(&mut Vec::new(), &bytes).expect("what follows is not looked at");
            assert_eq!(rest, Some(behind), "{document}");
        }
    }
    for no_document in ["-\u{e9}", "1.\u{e9}", "1e\u{e9}", "[1\u{e9}"] {
        let mut parser = Parser::new(&[], hear);
        let error = parser.feed_document(&mut Vec::new(), no_document.as_bytes()).expect_err("it is not complete");
        assert!(error.to_string().contains("found `é`"), "{error}");
    }
}

#[test]
fn callbacks_know_the_line_and_column_of_what_they_are_shown() {
    fn places(places: &mut Vec<String>, ctx: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject> {
        places.push(format!("{}:{} {reason:?}", ctx.line(), ctx.column()));
        Ok(())
    }
    let mut heard = Vec::new();
    let mut parser = Parser::new(&[], places);
    parser.feed(&mut heard, "{\n\t\"é\" : \"x\",\r\n \"b\"\n : [ 12 ] }".as_bytes()).expect("it is right");
    let want = r#"
1:1 Start
1:1 ObjectStart
2:2 PairName("é")
2:8 ValStrStart
2:8 ValStrEnd("x")
3:2 PairName("b")
4:4 ArrayStart
4:6 ValNumInt("12")
4:9 ArrayEnd
4:11 ObjectEnd
4:11 Complete"#;
    assert_eq!(heard, want.lines().skip(1).collect::<Vec<_>>());
}
