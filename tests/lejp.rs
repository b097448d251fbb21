//! The example of `rlws::lejp`, run as its README says.

mod util;

use std::fs::File;
use std::process::{Command, Output};

use util::*;

fn run(json: &str, patterns: &[&str]) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("conf.json");
    std::fs::write(&path, json).expect("it is written");
    let input = File::open(&path).expect("it is there");
    finish_with(Command::new(program::example("api-test-lejp")).args(patterns), input.into())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("a text")
}

const JSON: &str = r#"{ # one vhost
  "vhosts": [{
    "name": "caf\u00e9", "mounts": [{ "mountpoint": "/" , "origin": "/srv" }]
  }]
}
"#;

#[test]
fn the_example_prints_every_callback_with_path_match_indexes_and_value() {
    let output = run(JSON, &[]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    let lines: Vec<Vec<&str>> = said.lines().map(|line| line.split_whitespace().collect()).collect();
    for want in [
        "[] Start",
        "[0] vhosts[].name ValStrEnd(\"café\") matches 0 with []",
        "[0, 0] vhosts[].mounts[].origin ValStrEnd(\"/srv\") matches 2 with [\"origin\"]",
        "[] Complete",
        "Completed: PASS, 23 callbacks",
    ] {
        let want: Vec<&str> = want.split_whitespace().collect();
        assert!(lines.contains(&want), "{want:?} is not in\n{said}");
    }
}

#[test]
fn the_example_takes_other_patterns() {
    let output = run(JSON, &["x", "*[].name"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("PairName(\"name\") matches 1 with [\"vhosts\"]"));
}

#[test]
fn the_example_says_where_a_broken_file_is_broken() {
    let output = run(&JSON.replace("\"/\" ,", "\"/\""), &[]);
    assert_eq!(output.status.code(), Some(1));
    let message = "line 3, column 57, at `vhosts[].mounts[]`: found `\"`, expected `,` or `}`";
    assert_eq!(text(&output.stderr), format!("api-test-lejp: {message}\n"));
    let said = text(&output.stdout);
    let last = said.lines().last().unwrap_or_default();
    assert!(last.contains(&format!("Failed({message})")), "{said}");
}
