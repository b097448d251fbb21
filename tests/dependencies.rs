//! What rlws is made of: each crate comes from crates.io, under a licence that `deny.toml` allows, and none is one that it bans.
//!
//! A small part of what `tests/deny` checks with cargo-deny, in a moment and without it.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// What a list of `deny.toml` has.
fn listed(list: &str) -> BTreeSet<String> {
    let conf = std::fs::read_to_string(root().join("deny.toml")).expect("it is there");
    let rest = conf.split_once(&format!("\n{list} = [")).unwrap_or_else(|| panic!("deny.toml has no {list}")).1;
    let items =
        rest.split_once("\n]").expect("the end of the list").0.lines().filter(|line| !line.trim().starts_with('#'));
    items.filter_map(|line| Some(line.split('"').nth(1)?.to_owned())).collect()
}

fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    let cargo = cargo.args(["metadata", "--format-version", "1", "--offline", "--locked", "--all-features"]);
    let platform = ["--filter-platform", "x86_64-unknown-linux-gnu", "--manifest-path"];
    let output = cargo.args(platform).arg(root().join("Cargo.toml")).output().expect("cargo");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    serde_json::from_value(metadata["packages"].take()).expect("a list")
}

/// Whether a licence of an SPDX expression can be chosen that is allowed: `OR` binds less than `AND`, and an older way to say it is `/`.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut rest = &words[..];
    let holds = any_of(&mut rest, allowed);
    holds && rest.is_empty()
}

fn any_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut holds = all_of(words, allowed);
    while take(words, "OR") {
        holds |= all_of(words, allowed);
    }
    holds
}

fn all_of(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    let mut holds = one(words, allowed);
    while take(words, "AND") {
        holds &= one(words, allowed);
    }
    holds
}

fn one(words: &mut &[&str], allowed: &BTreeSet<String>) -> bool {
    if take(words, "(") {
        let holds = any_of(words, allowed);
        return take(words, ")") && holds;
    }
    let Some((licence, rest)) = words.split_first() else { return false };
    *words = rest;
    if take(words, "WITH") {
        *words = &words[1..]; // an exception gives more rights
    }
    allowed.contains(*licence)
}

fn take(words: &mut &[&str], word: &str) -> bool {
    let is_next = words.first() == Some(&word);
    *words = &words[usize::from(is_next)..];
    is_next
}

#[test]
fn every_crate_is_under_a_licence_that_is_allowed() {
    let allowed = listed("allow");
    for package in packages() {
        let licence = package["license"].as_str().unwrap_or_default();
        assert!(is_allowed(licence, &allowed), "{}: {licence:?} is not allowed by deny.toml", package["name"]);
    }
}

#[test]
fn every_crate_comes_from_crates_io() {
    for package in packages() {
        let source = package["source"].as_str();
        let is_ours = package["name"] == "rlws" && source.is_none();
        assert!(is_ours || source == Some("registry+https://github.com/rust-lang/crates.io-index"), "{package}");
    }
}

#[test]
fn no_crate_is_banned() {
    let banned = listed("deny");
    let names: BTreeSet<String> =
        packages().iter().filter_map(|package| Some(package["name"].as_str()?.to_owned())).collect();
    assert_eq!(names.intersection(&banned).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn expressions_are_read_as_spdx_has_them() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "ISC".to_owned()]);
    for good in [
        "MIT",
        "GPL-3.0 OR MIT",
        "Apache-2.0/MIT",
        "ISC AND (GPL-3.0 OR MIT)",
        "ISC WITH x-exception",
        "GPL-3.0 AND ISC OR MIT",
    ] {
        assert!(is_allowed(good, &allowed), "{good}");
    }
    for bad in ["", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR ISC) AND GPL-3.0", "(MIT", "MIT)", "MIT ISC"] {
        assert!(!is_allowed(bad, &allowed), "{bad}");
    }
}
