//! Sections of a program's own, in the same files.

use std::time::Duration;

use rlws::conf::{Conf, ConfError, Loader};

const TEXT: &str = r#"{
  "my-app": {
    "name": "bücher", "workers": "4", "on": "yes", "off": false, "wait": 30, "strange": "maybe", "nothing": null,
    "users": [ { "name": "ann" }, { "name": "bob", "age": "x" }, 7 ],
    "twice": 1, "twice": 2
  },
  "vhosts": []
}"#;

fn load() -> Conf {
    Loader::new().own_section("my-app").load_str("app.conf", TEXT).expect("it is good")
}

#[track_caller]
fn assert_error<T: std::fmt::Debug>(result: Result<T, ConfError>, want: &str) {
    assert_eq!(result.expect_err("it is a mistake").to_string(), want);
}

#[test]
fn a_declared_section_gives_no_warning_and_an_undeclared_one_does() {
    assert!(load().warnings().is_empty());
    let conf = Loader::new().load_str("app.conf", TEXT).expect("it is good");
    assert_eq!(conf.warnings()[0].to_string(), "app.conf:2:3: warning: my-app: unknown key, left out");
    assert!(conf.section("my-app").is_some(), "it can be read all the same");
    assert!(conf.section("other").is_none());
}

#[test]
fn a_declared_section_may_be_named_like_a_typo_and_is_told_where_it_is_there_twice() {
    let loader = Loader::new().own_section("vhost");
    let conf = loader.load_str("f", "{\"vhost\": 1,\n\"vhost\": 2}").expect("it is good");
    let told: Vec<String> = conf.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(told, ["f:2:1: warning: vhost: is there again, after f:1:2; the last one counts"]);
    assert_eq!(conf.section("vhost").expect("it is there").str().expect("a number is a text"), "2");
}

#[test]
fn values_are_read_by_their_types() -> Result<(), ConfError> {
    let conf = load();
    let app = conf.section("my-app").expect("it is there");
    assert_eq!(app.get("name")?.str()?, "bücher");
    assert_eq!(app.get("workers")?.number(1..=64)?, 4);
    assert!(app.get("on")?.bool()? && app.get("on")?.is_on());
    assert!(!app.get("off")?.bool()? && !app.get("strange")?.is_on());
    assert_eq!(app.get("wait")?.secs()?, Duration::from_secs(30));
    assert_eq!(app.get("twice")?.str()?, "2", "the last one counts");
    assert!(app.find("absent").is_none());
    let users: Vec<&str> = app.get("users")?.items()?.filter_map(|user| user.find("name")?.str().ok()).collect();
    assert_eq!(users, ["ann", "bob"]);
    assert_eq!(app.entries()?.map(|(key, _)| key).last(), Some("twice"));
    Ok(())
}

#[test]
fn errors_have_places_in_the_same_form() -> Result<(), ConfError> {
    let conf = load();
    let app = conf.section("my-app").expect("it is there");
    assert_error(app.get("absent"), "app.conf:2:13: my-app.absent: is missing");
    assert_error(
        app.get("name")?.number(1..=9),
        "app.conf:3:13: my-app.name: expected a number from 1 to 9, found \"bücher\"",
    );
    assert_error(
        app.get("workers")?.number(5..=9),
        "app.conf:3:34: my-app.workers: expected a number from 5 to 9, found \"4\"",
    );
    assert_error(app.get("nothing")?.str(), "app.conf:3:109: my-app.nothing: expected a string, found null");
    assert_error(
        app.get("strange")?.bool(),
        "app.conf:3:89: my-app.strange: expected 1 or 0, on or off, yes or no, true or false, found \"maybe\"",
    );
    let users: Vec<_> = app.get("users")?.items()?.collect();
    assert_error(
        users[1].get("age")?.secs(),
        "app.conf:4:59: my-app.users[1].age: expected a whole number of seconds, found \"x\"",
    );
    assert_error(users[2].get("name"), "app.conf:4:66: my-app.users[2]: expected an object, found 7");
    assert_error(app.items().map(|_| ()), "app.conf:2:13: my-app: expected an array, found an object");
    assert_error(
        users[0].entries().and_then(|_| Err::<(), _>(users[0].error("a name and an age"))),
        "app.conf:4:16: my-app.users[0]: expected a name and an age, found an object",
    );
    assert_eq!(users[0].path(), "my-app.users[0]");
    assert_eq!(users[0].place().to_string(), "app.conf:4:16");
    Ok(())
}

#[test]
fn sections_of_several_files_are_all_there_and_the_last_one_is_the_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let paths = ["a", "b"].map(|name| dir.path().join(name));
    std::fs::write(&paths[0], r#"{"my-app": "first"}"#).expect("write");
    std::fs::write(&paths[1], r#"{"my-app": "second"}"#).expect("write");
    let conf = Loader::new().own_section("my-app").load_files(&paths).expect("both are good");
    assert!(conf.warnings().is_empty());
    let all: Vec<&str> = conf.sections("my-app").filter_map(|node| node.str().ok()).collect();
    assert_eq!(all, ["first", "second"]);
    assert_eq!(conf.section("my-app").and_then(|node| node.str().ok()), Some("second"));
}
