//! What a document can make a parser do.

use super::*;

/// The searches of the table that a document takes, with the one for the empty path before it.
fn look_ups(paths: &[&str], json: &str) -> usize {
    let mut parser = Parser::new(paths, |_: &mut (), _, _| Ok(()));
    parser.feed(&mut (), json.as_bytes()).expect("it is right");
    parser.place.look_ups
}

#[test]
fn the_table_is_searched_once_for_each_name_and_each_array() {
    for (json, times) in [
        ("{}", 0),
        ("[1, 2, \"x\", {}, null]", 1),
        (r#"{"a": 1, "b": {"c": 2}, "d": true}"#, 4),
        (r#"{"a": [{"b": 1}, {"b": 2}]}"#, 4),
        ("[[], [], [[]]]", 5),
    ] {
        for paths in [["none", "of.these"], ["a", "*"], ["*[]", "a[].b"]] {
            assert_eq!(look_ups(&paths, json), 1 + times, "{json} {paths:?}");
        }
    }
}

#[test]
fn depth_makes_no_search_more() {
    let (open, close) = ("[".repeat(63), "]".repeat(63));
    assert_eq!(look_ups(&["x"], &format!("{open}{}[]{close}", "[],".repeat(1000))), 1 + 63 + 1001);
}

#[test]
fn a_failure_makes_no_search_more() {
    for json in [r#"{"a" 1"#, r#"{"a": x"#, r#"{"a": ["b" "c""#] {
        let mut parser = Parser::new(&["a"], hear);
        let mut heard = Vec::new();
        parser.feed(&mut heard, json.as_bytes()).expect_err("it is wrong");
        assert_eq!(parser.place.look_ups, 1 + json.matches(['a', '[']).count(), "{json}");
        assert!(heard.last().is_some_and(|line| line.contains(" 0 [] ")), "the match is that of the path: {heard:?}");
    }
}
