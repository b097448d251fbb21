use super::*;
use std::net::IpAddr;

fn values<'a>(pvo: &'a Pvo, name: &str) -> Vec<&'a str> {
    pvo.all(name).collect()
}

#[test]
fn nested_nodes_are_found_by_their_path() {
    let pvo = Pvo::default().with("a", Pvo::default().with("b", Pvo::from("1").with("c", "2")));
    assert_eq!(pvo.at(["a", "b"]).map(Pvo::value), Some("1"));
    assert_eq!(pvo.at(["a", "b", "c"]).map(Pvo::value), Some("2"));
    assert_eq!(pvo.at(["a", "c"]), None);
    assert_eq!(pvo.at(["b"]), None);
    assert_eq!(pvo.at([]), Some(&pvo));
}

#[test]
fn children_keep_their_order_and_their_repeated_names() {
    let mut pvo = Pvo::default().with("x", "1").with("y", "2");
    pvo.push("x", String::from("3"));
    let pairs: Vec<_> = pvo.children().iter().map(|child| (child.name(), child.value())).collect();
    assert_eq!(pairs, [("x", "1"), ("y", "2"), ("x", "3")]);
    assert_eq!(values(&pvo, "x"), ["1", "3"]);
    assert_eq!(pvo.get("x"), Some("1"));
}

#[test]
fn what_is_not_there_is_none_and_no_error() {
    let pvo = Pvo::default();
    assert_eq!(pvo.child("x"), None);
    assert_eq!(pvo.get("x"), None);
    assert!(values(&pvo, "x").is_empty());
    assert_eq!(pvo.parse::<u16>("x"), Ok(None));
    assert_eq!(pvo.secs("x"), Ok(None));
    assert!(!pvo.flag("x"));
}

#[test]
fn names_are_case_sensitive() {
    assert_eq!(Pvo::default().with("onward", "1").get("Onward"), None);
}

#[test]
fn a_root_has_neither_name_nor_value() {
    let pvo = Pvo::default().with("x", "1");
    assert_eq!((pvo.name(), pvo.value()), ("", ""));
}

#[test]
fn values_are_parsed_as_what_the_reader_asks_for() {
    let pvo = Pvo::default().with("port", "7681").with("idle-timeout-secs", "90");
    assert_eq!(pvo.parse("port"), Ok(Some(7681_u16)));
    assert_eq!(pvo.secs("idle-timeout-secs"), Ok(Some(Duration::from_secs(90))));
}

#[test]
fn an_error_says_the_name_the_value_and_what_was_expected() {
    let pvo = Pvo::default().with("port", "70000").with("to", "here").with("idle-secs", "5m");
    assert_eq!(
        pvo.parse::<u16>("port").unwrap_err().to_string(),
        r#"pvo "port" is "70000", expected u16: number too large to fit in target type"#
    );
    assert_eq!(
        pvo.parse::<IpAddr>("to").unwrap_err().to_string(),
        r#"pvo "to" is "here", expected IpAddr: invalid IP address syntax"#
    );
    assert_eq!(
        pvo.secs("idle-secs").unwrap_err().to_string(),
        r#"pvo "idle-secs" is "5m", expected a whole number of seconds: invalid digit found in string"#
    );
}

#[test]
fn an_empty_value_is_no_number() {
    assert!(Pvo::default().with("port", "").parse::<u16>("port").is_err());
}

#[test]
fn an_endless_time_is_an_error_and_no_overflow() {
    assert!(Pvo::default().with("t-secs", u64::MAX.to_string()).secs("t-secs").is_err());
}

#[test]
fn flags_are_read_as_lws_reads_them() {
    for on in ["1", "on", "ON", "yes", "Yes", "true", "TRUE", "2", "-1", "1.0", " 1 "] {
        assert!(Pvo::default().with("x", on).flag("x"), "{on:?}");
    }
    for off in ["", "0", "-0", "0.0", "off", "no", "false", "enabled", "nan", "inf"] {
        assert!(!Pvo::default().with("x", off).flag("x"), "{off:?}");
    }
}
