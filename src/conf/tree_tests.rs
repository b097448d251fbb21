use proptest::prelude::*;

use super::*;

fn source(text: &str) -> Source {
    Source::new("f", text.into()).expect("UTF-8")
}

fn parsed(text: &str) -> Value {
    parse(&source(text), "/data").unwrap_or_else(|error| panic!("{error}\n{text}"))
}

fn mistake(text: &str) -> String {
    parse(&source(text), "/data").expect_err(text).to_string()
}

#[test]
fn values_keep_their_places_their_order_and_their_repeats() {
    let text = "{ \"b\": [1, -2.50],\n \"a\": \"x\", # comment\n \"b\": {\"c\": null, \"d\": true} }";
    let root = parsed(text);
    let Kind::Object(members) = &root.kind else { panic!("{root:?}") };
    let keys: Vec<&str> = members.iter().map(|member| member.key.as_str()).collect();
    assert_eq!(keys, ["b", "a", "b"]);
    for member in members {
        assert!(text[member.key_at..].starts_with(&format!("{:?}", member.key)));
    }
    let Kind::Array(items) = &members[0].value.kind else { panic!("{root:?}") };
    assert_eq!(items[1], Value { at: text.find("-2").expect("it is there"), kind: Kind::Number("-2.50".into()) });
    assert_eq!(members[1].value.at, text.find("\"x\"").expect("it is there"));
}

#[test]
fn strings_are_decoded_and_the_data_directory_put_in() {
    let root = parsed(r#"["a\n\u00e4\ud83d\ude00", "file://_lws_ddir_/x:_lws_ddir_"]"#);
    let Kind::Array(items) = root.kind else { panic!() };
    assert_eq!(items[0].kind, Kind::String("a\nä😀".into()));
    assert_eq!(items[1].kind, Kind::String("file:///data/x:/data".into()));
}

#[test]
fn a_syntax_error_says_where_what_and_what_else() {
    for (text, want) in [
        ("", "f:1:1: expected a value, found the end of the file"),
        ("# nothing\n", "f:2:1: expected a value, found the end of the file"),
        ("{\"a\": 1,}", "f:1:9: expected something after the comma, found \"}\""),
        ("[1, 2,\n]", "f:2:1: expected something after the comma, found \"]\""),
        ("{\"a\": 1\n\"b\": 2}", "f:2:1: expected \",\" or \"}\", found '\"'"),
        ("[1 2]", "f:1:4: expected \",\" or \"]\", found \"2\""),
        ("{\"a\" 1}", "f:1:6: expected \":\", found \"1\""),
        ("{a: 1}", "f:1:2: expected a key in double quotes, found \"a\""),
        ("{\"ä\": 'x'}", "f:1:7: expected a value, found \"'\""),
        ("{\"a\": tru}", "f:1:10: expected true, false or null, found \"}\""),
        ("[01]", "f:1:3: expected a number, found \"1\""),
        ("{} {}", "f:1:4: expected nothing after the end of the JSON, found \"{\""),
        ("[\"\\q\"]", "f:1:4: expected one of \"\\/bfnrtu after a backslash, found \"q\""),
        ("[\"abc\n\"]", "f:1:6: expected the string to end, found the end of the line"),
        ("{\n \"a\": [1", "f:2:9: expected the ']' of the array of line 2, column 7, found the end of the file"),
        ("{ \"a\": 1", "f:1:9: expected the '}' of the object of line 1, column 1, found the end of the file"),
        ("[\"abc", "f:1:6: expected the end of the string of line 1, column 2, found the end of the file"),
        ("[\"\\ud800\"]", "f:1:9: expected both halves of a surrogate pair, found one of them"),
    ] {
        assert_eq!(mistake(text), want, "{text}");
    }
}

#[test]
fn nesting_is_bounded_and_the_bound_is_told() {
    let nested = |depth: usize| format!("{}1{}", "[".repeat(depth), "]".repeat(depth));
    parsed(&nested(MAX_DEPTH));
    let want = "f:1:33: expected at most 32 arrays and objects within each other, found more";
    assert_eq!(mistake(&nested(MAX_DEPTH + 1)), want);
    assert_eq!(mistake(&nested(1_000_000)), want);
    assert!(mistake(&"[".repeat(1_000_000)).starts_with("f:1:1000001: "));
    assert!(mistake(&"{\"a\":".repeat(1_000_000)).starts_with("f:1:5000001: "));
}

/// JSON of any shape, as deep as it may be.
fn any_json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
        "[\"\\\\#\n{}\\[\\]]{0,6}".prop_map(Value::from),
    ];
    leaf.prop_recursive(8, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((".{0,6}", inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    use serde_json::Value as Json;
    match (&ours.kind, theirs) {
        (Kind::Null, Json::Null) => true,
        (Kind::Bool(a), Json::Bool(b)) => a == b,
        (Kind::Number(a), Json::Number(b)) => *a == b.to_string(),
        (Kind::String(a), Json::String(b)) => a == b,
        (Kind::Array(a), Json::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b)),
        (Kind::Object(a), Json::Object(b)) => {
            a.len() == b.len() && a.iter().all(|member| b.get(&member.key).is_some_and(|b| same(&member.value, b)))
        }
        _ => false,
    }
}

/// What is written by others, with comments put where there is room.
fn commented(json: &serde_json::Value) -> String {
    let pretty = serde_json::to_string_pretty(json).expect("it is JSON");
    pretty.replace('\n', " # \"{[ \u{e4}\r\n")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn what_is_written_is_read_back(json in any_json()) {
        prop_assert!(same(&parsed(&json.to_string()), &json));
        prop_assert!(same(&parsed(&commented(&json)), &json));
    }

    #[test]
    fn every_value_begins_where_it_says(json in any_json()) {
        fn check(value: &Value, text: &str) {
            let begins = |with: &str| assert!(text[value.at..].starts_with(with), "{value:?} in {text}");
            match &value.kind {
                Kind::Null => begins("null"),
                Kind::Bool(bool) => begins(&bool.to_string()),
                Kind::Number(number) => begins(number),
                Kind::String(_) => begins("\""),
                Kind::Array(items) => {
                    begins("[");
                    items.iter().for_each(|item| check(item, text));
                }
                Kind::Object(members) => {
                    begins("{");
                    members.iter().for_each(|member| check(&member.value, text));
                }
            }
        }
        let text = commented(&json);
        check(&parsed(&text), &text);
    }

    #[test]
    fn a_mistake_has_a_place_in_the_text(json in any_json(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = commented(&json).into_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let lines = bytes.iter().filter(|byte| **byte == b'\n').count() as u32 + 1;
        if let Err(error) = Source::new("f", bytes).and_then(|source| parse(&source, "/data")) {
            prop_assert!((1..=lines).contains(&error.place.line) && error.place.column >= 1, "{error}");
        }
    }
}
