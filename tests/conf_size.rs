//! Big, cut off and broken configurations: an answer with a place each time, and soon.
//!
//! The times that are asked for are far above those of a release build, which README.lwsws.md has.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use rlws::conf::{Conf, ConfError, Severity, load_dir, load_str};

/// Much for the slowest machine, and little for what is quadratic.
const SOON: Duration = Duration::from_secs(20);

#[track_caller]
fn soon<T>(what: &str, job: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = job();
    let took = start.elapsed();
    println!("{what}: {} ms", took.as_millis());
    assert!(took < SOON, "{what} took {took:?}");
    result
}

/// Some of everything.
const SAMPLE: &str = r##"# sample
{ "global": { "timeout-secs": "7", "plugin-dir": "/p", # one
    "server-string": "ü \u00e4 \ud83d\ude00" },
  "vhosts": [ { "name": "a.example", "port": -1, "headers": [{ "x": "y" }],
      "mounts": [ { "mountpoint": "/", "origin": "file://_lws_ddir_/x", "cache-reuse": true } ],
      "ws-protocols": [ { "raw-proxy": { "onward": "ipv4:127.0.0.1:22", "deep": { "a": "b" } } } ],
      "listen-accept-protocol": "raw-proxy", "fallback-listen-accept": "1", "keepalive_timeout": 1e1 },
    { "port": "443", "host-ssl-cert": "c", "host-ssl-key": "k", "ssl-option-set": "0", "ciphers": "HIGH" } ],
  "own": [ null, 1.5, "\\\"#" ] }
"##;

/// It is taken, or there is an error with a place within the text.
#[track_caller]
fn check(text: &str) -> Result<Conf, ConfError> {
    let result = load_str("f", text);
    let (found, is_error) = match &result {
        Ok(conf) => (conf.warnings(), false),
        Err(error) => (&error.diagnostics[..], true),
    };
    assert_eq!(is_error, found.iter().any(|one| one.severity == Severity::Error));
    let lines: Vec<&str> = text.split('\n').collect();
    for one in found {
        let line = lines.get(one.place.line as usize - 1).unwrap_or_else(|| panic!("{one}"));
        let width = line.chars().count() as u32;
        assert!((1..=width + 1).contains(&one.place.column), "{one}");
        assert!(!one.to_string().contains('\n'), "{one}");
    }
    if let Ok(conf) = &result {
        let _any_answer = conf.vhost_infos(&[]);
    }
    result
}

#[test]
fn a_file_cut_anywhere_is_an_error_with_a_place() {
    // The keepalive timeout is no whole number.
    assert_eq!(
        check(SAMPLE)
            .expect_err("one mistake")
            .diagnostics
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count(),
        1
    );
    let end = SAMPLE.trim_end().len();
    for cut in (0..end).filter(|cut| SAMPLE.is_char_boundary(*cut)) {
        let error = check(&SAMPLE[..cut]).expect_err("it is cut off");
        assert_eq!(error.diagnostics.len(), 1, "{error}");
        let number = error.to_string().contains("expected a number");
        assert!(number || error.to_string().contains("end of the "), "{error}");
    }
}

#[test]
fn bytes_cut_in_a_character_are_an_error_with_a_place() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("conf");
    for cut in 0..SAMPLE.trim_end().len() {
        std::fs::write(&path, &SAMPLE.as_bytes()[..cut]).expect("write");
        let error = load_dir(dir.path()).expect_err("it is cut off");
        assert!(error.diagnostics[0].place.line >= 1 && error.diagnostics.len() == 1, "{error}");
    }
}

#[test]
fn a_thousand_vhosts_in_a_thousand_files_are_read_soon() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::create_dir(dir.path().join("conf.d")).expect("create_dir");
    std::fs::write(dir.path().join("conf"), "{\"global\": {\"timeout-secs\": \"5\"}}").expect("write");
    for number in 0..1000 {
        let text = format!(
            r#"# vhost {number}
{{ "vhosts": [{{
    "name": "www{number}.example.com", "port": "443", # shared
    "host-ssl-cert": "/etc/ssl/{number}.crt", "host-ssl-key": "/etc/ssl/{number}.key",
    "mounts": [ {{ "mountpoint": "/", "origin": "file:///var/www/{number}", "default": "index.html" }},
                {{ "mountpoint": "/docs", "origin": "file:///var/www/docs" }} ],
    "ws-protocols": [{{ "raw-proxy": {{ "status": "ok", "onward": "ipv4:127.0.0.1:22" }} }}],
    "keepalive_timeout": "60"
}}] }}
"#
        );
        std::fs::write(dir.path().join(format!("conf.d/{number:04}")), text).expect("write");
    }
    let protocols = [rlws::ProtocolTable::of::<rlws::protocols::RawProxy>()];
    let conf = soon("1,000 files", || load_dir(dir.path())).expect("all are good");
    assert_eq!((conf.vhosts.len(), conf.warnings().len()), (1000, 0));
    assert_eq!(conf.vhosts[999].name, "www999.example.com");
    let made = soon("1,000 vhosts", || conf.vhost_infos(&protocols)).expect("all are good");
    assert_eq!(made.infos.len(), 1000);
}

#[test]
fn ten_megabytes_are_read_soon_whatever_is_in_them() {
    const BIG: usize = 10_000_000;
    // Many small things take their time in a build that is not optimized.
    const SIZE: usize = if cfg!(debug_assertions) { BIG / 10 } else { BIG };
    let filled = |begin: &str, with: &dyn Fn(usize) -> String, end: &str| {
        let mut text = String::with_capacity(SIZE + 1000);
        text.push_str(begin);
        for number in 0.. {
            if text.len() >= SIZE {
                break;
            }
            let comma = if number > 0 { "," } else { "" };
            let _ = write!(text, "{comma}{}", with(number));
        }
        text.push_str(end);
        text
    };
    let page = "# what people write about their vhosts\n".repeat(100);
    let commented = |number: usize| format!("{page}{{\"name\": \"v{number}\", \"port\": 80}}");
    let text = format!("{{\"vhosts\": [{}]}}", (0..BIG / page.len()).map(commented).collect::<Vec<_>>().join(","));
    let conf = soon("10 MB of vhosts and comments", || load_str("f", &text).expect("it is good"));
    assert_eq!(conf.vhosts.len(), BIG / page.len());
    let vhost = |number: usize| {
        format!(
            "\n{{\"name\": \"v{number}\", \"port\": 80, \"mounts\": [{{\"mountpoint\": \"/\", \"origin\": \"file:///srv\"}}]}}"
        )
    };
    let conf = soon("MBs of vhosts", || load_str("f", &filled("{\"vhosts\": [", &vhost, "]}")).expect("it is good"));
    assert!(conf.vhosts.len() > SIZE / 100);
    drop(conf);
    let wrong = |number: usize| format!("{{\"port\":\"x{number}\",\"prot\":1}}");
    let error = soon("MBs of mistakes, all in one line", || {
        load_str("f", &filled("{\"vhosts\":[", &wrong, "]}")).expect_err("it is not")
    });
    assert!(error.diagnostics.len() > SIZE / 20);
    drop(error);
    let unknown = |number: usize| format!("\"unknown{number}\":1");
    let conf = soon("MBs of unknown keys", || load_str("f", &filled("{", &unknown, "}")).expect("it is good"));
    assert!(conf.warnings().len() > SIZE / 25);
    drop(conf);
    let again = |_: usize| "\"port\":1".to_owned();
    let conf = soon("MBs of one key", || load_str("f", &filled("{\"vhosts\":[{", &again, "}]}")).expect("it is good"));
    assert!(conf.warnings().len() > SIZE / 25);
    drop(conf);
    let option = |number: usize| format!("\"o{}\":\"\"", number % 100_000);
    let options = filled("{\"vhosts\":[{\"port\":1,\"ws-protocols\":[{\"p\":{", &option, "}}]}]}");
    soon("MBs of options", || load_str("f", &options).expect("it is good"));
    let long = filled("{\"own\":[", &|_| "0".to_owned(), "]}");
    soon("MBs of numbers", || load_str("f", &long).expect("it is good"));
    for (what, text) in [
        ("a string", format!("{{\"own\": \"{}\"}}", "x".repeat(BIG))),
        ("a key", format!("{{\"{}\": 1}}", "x".repeat(BIG))),
        ("a comment", format!("#{}\n{{}}", "x".repeat(BIG))),
        ("blanks", format!("{{{}}}", " ".repeat(BIG))),
    ] {
        soon(&format!("10 MB of {what}"), || load_str("f", &text).expect("it is good"));
    }
    for (what, text) in [
        ("'['", "[".repeat(BIG)),
        ("'{\"a\":'", "{\"a\":".repeat(BIG / 5)),
        ("quotes", "\"".repeat(BIG)),
        ("backslashes", format!("\"{}", "\\".repeat(BIG))),
        ("line breaks", "\n".repeat(BIG)),
        ("zeros", "\0".repeat(BIG)),
        ("'a': .. at the greatest depth", format!("{}{}", "[".repeat(31), filled("[", &|_| "[]".to_owned(), ""))),
    ] {
        soon(&format!("10 MB of {what}, broken"), || load_str("f", &text).expect_err("it is not JSON"));
    }
    let deep = format!("{{\"own\":{}{}{}}}", "[".repeat(30), filled("[", &|_| "1".to_owned(), "]"), "]".repeat(30));
    soon("MBs, as deep as may be", || load_str("f", &deep).expect("it is good"));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_changes_never_panic_and_always_have_a_place(
        changes in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<char>(), 0..12_usize), 1..6)
    ) {
        let mut text: Vec<char> = SAMPLE.chars().collect();
        for (at, what, c, token) in changes {
            let at = at.index(text.len());
            // What parsers stumble on is more likely than chance makes it.
            let token = ["{", "}", "[", "]", "\"", ",", ":", "#", "\n", "\\", "-1", "null"][token];
            match what {
                0 => { text.remove(at); }
                1 => { text.splice(at..=at, token.chars()); }
                2 => { text.splice(at..at, token.chars()); }
                _ => text[at] = c,
            }
            if text.is_empty() {
                break;
            }
        }
        let _any_answer = check(&text.into_iter().collect::<String>());
    }

    #[test]
    fn random_members_never_panic(
        keys in prop::collection::vec(
            (prop::sample::select(rlws::conf::keys().map(|key| key.name.replace('*', "x")).collect::<Vec<_>>()),
             prop::sample::select(vec![
                "1", "0", "-1", "\"\"", "null", "[]", "{}", "[{}]", "\"x\"", "\"on\"", "[[{}]]", "{\"a\": \"b\"}", "[{\"a\": {}}]",
                "[{\"mountpoint\": \"/\", \"origin\": \"callback://x\"}]", "1e400", "\"a:b,c d\"", "[{\"raw-echo\": {}}]", "70000", "\"0x7fffffffffffffff\"",
             ])), 0..12),
        section in 0..4_u8,
    ) {
        let members: Vec<String> = keys.iter().map(|(key, value)| format!("{key:?}: {value}")).collect();
        let members = members.join(", ");
        let text = match section {
            0 => format!("{{{members}}}"),
            1 => format!("{{\"global\": {{{members}}}}}"),
            2 => format!("{{\"vhosts\": [{{{members}}}, {{{members}}}]}}"),
            _ => format!("{{\"vhosts\": [{{\"port\": 1, \"mounts\": [{{{members}}}]}}]}}"),
        };
        let _any_answer = check(&text);
    }
}
