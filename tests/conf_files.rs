//! The files of a configuration: which are read, in which order, and what is said about those that cannot be.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use rlws::conf::{Conf, ConfError, MAX_FILE, Problem, load_dir, load_files, load_str};
use tempfile::TempDir;

/// A configuration folder with these files.
fn folder(files: &[(&str, &str)]) -> TempDir {
    let dir = tempfile::tempdir().expect("a folder");
    fs::create_dir(dir.path().join("conf.d")).expect("create_dir");
    for (name, text) in files {
        fs::write(dir.path().join(name), text).expect("write");
    }
    dir
}

fn vhost(name: &str) -> String {
    format!("{{\"vhosts\": [{{\"name\": {name:?}, \"port\": -1}}]}}")
}

fn names(conf: &Conf) -> Vec<&str> {
    conf.vhosts.iter().map(|vhost| vhost.name.as_str()).collect()
}

/// What is said, with the folder's path cut off.
fn said(dir: &TempDir, result: Result<Conf, ConfError>) -> Vec<String> {
    let found = match &result {
        Ok(conf) => conf.warnings(),
        Err(error) => &error.diagnostics,
    };
    let prefix = format!("{}/", dir.path().display());
    found.iter().map(|one| one.to_string().replace(&prefix, "")).collect()
}

#[test]
fn conf_comes_first_then_conf_d_by_name() {
    let dir = folder(&[
        ("conf", &vhost("first")),
        ("conf.d/b", &vhost("c")),
        ("conf.d/B", &vhost("b")),
        ("conf.d/10-ä", &vhost("a")),
        ("conf.d/.hidden", "not read"),
        ("conf.d/b~", "not read"),
        ("conf.d/z.bak", &vhost("d")),
    ]);
    let conf = load_dir(dir.path()).expect("all of them are good");
    assert_eq!(names(&conf), ["first", "a", "b", "c", "d"]);
    assert!(conf.warnings().is_empty());
    assert_eq!(conf.vhosts[3].place().file, dir.path().join("conf.d/b").display().to_string());
}

#[test]
fn there_need_not_be_a_conf_d_but_a_conf() {
    let dir = folder(&[("conf", "{}")]);
    fs::remove_dir(dir.path().join("conf.d")).expect("remove_dir");
    assert!(load_dir(dir.path()).expect("nothing is missing").vhosts.is_empty());
    fs::remove_file(dir.path().join("conf")).expect("remove_file");
    let said = said(&dir, load_dir(dir.path()));
    assert_eq!(said, ["conf:1:1: cannot be read: No such file or directory (os error 2)"]);
}

#[test]
fn what_is_no_file_is_left_out_with_a_warning_and_links_are_followed() {
    let dir = folder(&[("conf", "{}"), ("elsewhere", &vhost("linked"))]);
    fs::create_dir(dir.path().join("conf.d/folder")).expect("create_dir");
    symlink("../elsewhere", dir.path().join("conf.d/link")).expect("symlink");
    let fifo = dir.path().join("conf.d/pipe");
    assert!(std::process::Command::new("mkfifo").arg(&fifo).status().expect("mkfifo").success());
    let result = load_dir(dir.path());
    assert_eq!(names(result.as_ref().expect("the rest is good")), ["linked"]);
    assert_eq!(
        said(&dir, result),
        [
            "conf.d/folder:1:1: warning: is a folder; it is left out",
            "conf.d/pipe:1:1: warning: is not a regular file; it is left out"
        ]
    );
}

#[test]
fn a_conf_that_is_no_file_holds_nobody_up() {
    let dir = folder(&[]);
    let conf = dir.path().join("conf");
    assert!(std::process::Command::new("mkfifo").arg(&conf).status().expect("mkfifo").success());
    assert_eq!(said(&dir, load_dir(dir.path())), ["conf:1:1: cannot be read: it is not a regular file"]);
    fs::remove_file(&conf).expect("remove_file");
    symlink("/dev/zero", &conf).expect("symlink");
    let want = "conf:1:1: cannot be read: it is not a regular file (it is a link to /dev/zero)";
    assert_eq!(said(&dir, load_dir(dir.path())), [want]);
}

#[test]
fn what_cannot_be_read_is_told_with_why() {
    let dir = folder(&[]);
    fs::create_dir(dir.path().join("conf")).expect("create_dir");
    symlink("nowhere", dir.path().join("conf.d/broken")).expect("symlink");
    symlink("loop2", dir.path().join("conf.d/loop1")).expect("symlink");
    symlink("loop1", dir.path().join("conf.d/loop2")).expect("symlink");
    assert_eq!(
        said(&dir, load_dir(dir.path())),
        [
            "conf:1:1: cannot be read: Is a directory (os error 21)",
            "conf.d/broken:1:1: cannot be read: No such file or directory (os error 2) (it is a link to nowhere)",
            "conf.d/loop1:1:1: cannot be read: Too many levels of symbolic links (os error 40) (it is a link to loop2)",
            "conf.d/loop2:1:1: cannot be read: Too many levels of symbolic links (os error 40) (it is a link to loop1)",
        ]
    );
    let file = folder(&[("conf", "{}"), ("file", "")]);
    fs::remove_dir(file.path().join("conf.d")).expect("remove_dir");
    symlink("file", file.path().join("conf.d")).expect("symlink");
    let want = "conf.d:1:1: cannot be read: Not a directory (os error 20) (it is a link to file)";
    assert_eq!(said(&file, load_dir(file.path())), [want]);
}

/// Root may read everything, so the tests see this only where they are run by somebody else.
#[test]
fn a_file_without_permission_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let dir = folder(&[("conf", "{}"), ("conf.d/secret", "{}")]);
    let secret = dir.path().join("conf.d/secret");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o000)).expect("chmod");
    if fs::read(&secret).is_err() {
        let want = "conf.d/secret:1:1: cannot be read: Permission denied (os error 13)";
        assert_eq!(said(&dir, load_dir(dir.path())), [want]);
    }
}

#[test]
fn a_file_that_is_too_big_is_refused_unread() {
    let dir = folder(&[("conf", "{}")]);
    let big = fs::File::create(dir.path().join("conf.d/big")).expect("create");
    big.set_len(MAX_FILE + 1).expect("it is sparse");
    let said = said(&dir, load_dir(dir.path()));
    assert_eq!(said, [format!("conf.d/big:1:1: expected at most {MAX_FILE} bytes, found more")]);
}

#[test]
fn of_each_file_the_first_syntax_error_or_all_errors_of_meaning_are_told() {
    let dir = folder(&[
        ("conf", "{\n\"global\": {\"uid\": \"root\", \"gid\": -1}\n}"),
        ("conf.d/a", "{\"vhosts\": [\n{\"port\": 1,}, {]"),
        ("conf.d/b", "{\"vhosts\": [{\"port\": 70000}, {\"port\": 70001}]}"),
        ("conf.d/c", "{ \"a\": \"\u{1}\" }"),
    ]);
    fs::write(dir.path().join("conf.d/d"), b"{\n\"\xe9\": 1}").expect("write");
    assert_eq!(
        said(&dir, load_dir(dir.path())),
        [
            "conf:2:19: global.uid: expected a number from 0 to 4294967294, found \"root\"",
            "conf:2:34: global.gid: expected a number from 0 to 4294967294, found -1",
            "conf.d/a:2:12: expected something after the comma, found \"}\"",
            "conf.d/b:1:22: vhosts[0].port: expected a port number 0..65535, found 70000",
            "conf.d/b:1:39: vhosts[1].port: expected a port number 0..65535, found 70001",
            "conf.d/c:1:9: expected the string to end, found \"\\u{1}\"",
            "conf.d/d:2:2: expected text in UTF-8, found the byte 0xe9",
        ]
    );
}

#[test]
fn fragments_of_global_add_up_and_of_what_is_said_twice_the_last_counts() {
    let dir = folder(&[
        ("conf", r#"{"global": {"plugin-dir": "/a", "plugin-dir": "/b", "timeout-secs": 7, "server-string": "x"}}"#),
        ("conf.d/a", r#"{"global": {"plugin-dir": "/c", "timeout-secs": "9"}}"#),
    ]);
    let result = load_dir(dir.path());
    let global = result.as_ref().expect("it is good").global.clone();
    assert_eq!(global.plugin_dirs, ["/a", "/b", "/c"].map(Path::new));
    assert_eq!((global.timeout.as_secs(), global.server_string.as_str()), (9, "x"));
    assert_eq!(global.place("timeout-secs").map(|place| (place.line, place.column)), Some((1, 49)));
    assert_eq!(global.place("uid"), None);
    let told = said(&dir, result);
    let repeated: Vec<&String> = told.iter().filter(|line| line.contains("again")).collect();
    assert_eq!(repeated.len(), 1, "{told:?}");
    let start = "conf.d/a:1:49: warning: global.timeout-secs: is there again, after ";
    assert!(repeated[0].starts_with(start) && repeated[0].ends_with("conf:1:69; the last one counts"), "{repeated:?}");
}

#[test]
fn files_are_read_in_the_order_they_are_named_in() {
    let dir = folder(&[("z", &vhost("first")), ("a", &vhost("second"))]);
    let conf = load_files(&[dir.path().join("z"), dir.path().join("a")]).expect("both are good");
    assert_eq!(names(&conf), ["first", "second"]);
    let error = load_files(&["/not/there"]).expect_err("it is not there");
    assert_eq!(error.diagnostics[0].problem, Problem::Unreadable);
}

#[test]
fn comments_line_breaks_of_windows_a_bom_and_utf8_are_taken() {
    let text = "\u{feff}# über alles\r\n{ # {\r\n  \"vhosts\": [{ \"name\": \"a#b\", # \"\r\n \
                \"port\": \"1\", # 'ü'\r\n \"ws-protocols\": [{ \"ä#\": { \"motto\": \"grüß # dich\" } }] }]\r\n}\r\n#";
    let conf = load_str("ü", text).expect("it is good");
    assert_eq!(conf.vhosts[0].name, "a#b");
    assert_eq!(conf.vhosts[0].protocols[0].pvo.get("motto"), Some("grüß # dich"));
    let broken = text.replace("\"1\"", "\"x\"");
    let error = load_str("ü", &broken).expect_err("it is no port").to_string();
    assert_eq!(error, "ü:4:10: vhosts[0].port: expected a port number 0..65535, found \"x\"");
    let error = load_str("f", "\u{feff}[").expect_err("it is cut").to_string();
    assert_eq!(error, "f:1:2: expected the ']' of the array of line 1, column 1, found the end of the file");
}

#[test]
fn the_files_of_the_readme_are_good() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("READMEs/README.lwsws.md");
    let page = fs::read_to_string(page).expect("the page");
    let files: Vec<&str> = page.split("```").filter(|block| block.trim_start().starts_with("# /etc/lwsws/")).collect();
    assert_eq!(files.len(), 2);
    let dir = folder(&[("conf", files[0]), ("conf.d/localhost", files[1])]);
    let conf = load_dir(dir.path()).expect("they are good");
    assert_eq!((names(&conf), conf.warnings()), (vec!["localhost"], &[][..]));
    assert_eq!(conf.global.server_string, "my server");
}
