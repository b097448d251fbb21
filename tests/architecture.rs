//! Keeps the sources to the rules of `READMEs/README.architecture.md`: who may use what.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

// The ready-made protocols, compiled here as a user of the library would write them: `crate` is this test, and offers them the
// public names alone. A protocol that reaches for more does not compile.
#[allow(unused_imports)]
use rlws::*;
#[path = "../protocols/mod.rs"]
#[allow(dead_code, unused_imports, missing_docs, unreachable_pub, clippy::all)]
mod protocols;

const SOURCES: [&str; 6] = ["src", "roles", "protocols", "minimal-examples", "tests", "benches"];

/// A file's path below the repository, and its text without comments.
struct Source {
    path: PathBuf,
    code: String,
    lines: usize,
}

/// All Rust files below a folder.
fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).into_iter().flatten() {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(&path).expect("a text");
                let code = text.lines().map(without_comment).collect::<Vec<_>>().join("\n");
                let path = path.strip_prefix(root).expect("it is below the root").to_owned();
                found.push(Source { path, code, lines: text.lines().count() });
            }
        }
    }
    found
}

/// Line comments go. A `//` inside of a string goes along with what follows it: no rule here needs that.
fn without_comment(line: &str) -> &str {
    line.find("//").map_or(line, |start| &line[..start])
}

/// The identifiers of some code, in order.
fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

/// What follows each `module::` in some code: `a` for `module::a::b`, and `a` and `c` for `module::{a::b, c}`.
fn reached(code: &str, module: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let start = format!("{module}::");
    for (position, _) in code.match_indices(&start) {
        if code[..position].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let rest = &code[position + start.len()..];
        match rest.strip_prefix('{') {
            None => names.extend(words(rest).next().map(str::to_owned)),
            Some(group) => names.extend(first_segments(group)),
        }
    }
    names
}

/// The first segment of each member of a `{..}` group, whose inside this starts with.
fn first_segments(group: &str) -> Vec<String> {
    let (mut depth, mut member, mut members) = (0, String::new(), Vec::new());
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => members.push(std::mem::take(&mut member)),
            _ if depth == 0 => member.push(c),
            _ => {}
        }
    }
    members.push(member);
    members.iter().filter_map(|member| words(member).next().map(str::to_owned)).collect()
}

/// The modules that a `mod.rs` declares.
fn modules(of: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(of)).expect(of);
    let declared = |line: &str| Some(line.split_once("mod ")?.1.strip_suffix(';')?.to_owned());
    text.lines().map(without_comment).filter_map(|line| declared(line.trim())).collect()
}

#[test]
fn the_ready_made_protocols_need_the_public_api_alone() {
    // That this file compiles shows it; here, that what it compiled is all of them.
    let declared = modules("protocols/mod.rs");
    for source in sources("protocols") {
        let name = source.path.file_stem().expect("a name").to_string_lossy().into_owned();
        let inner = source.path.components().count() > 2;
        assert!(inner || name == "mod" || declared.contains(&name), "{} is in no module", source.path.display());
    }
    assert!(!protocols::RawEcho::NAME.is_empty());
}

#[test]
fn roles_name_no_protocol_and_no_other_role() {
    let roles = modules("roles/mod.rs");
    assert!(roles.contains("listen"), "{roles:?}");
    for Source { path, code, .. } in sources("roles") {
        let Some(own) = path.components().nth(1).map(|part| part.as_os_str().to_string_lossy().replace(".rs", ""))
        else {
            continue;
        };
        if own == "mod" {
            continue;
        }
        assert!(reached(&code, "protocols").is_empty(), "{} names a protocol", path.display());
        let mut named = reached(&code, "roles");
        if path.components().count() == 2 {
            named.extend(reached(&code, "super"));
        }
        named.remove(&own);
        let others: Vec<&String> = named.intersection(&roles).collect();
        assert!(others.is_empty(), "{} reaches into {others:?}", path.display());
    }
}

#[test]
fn the_core_knows_the_lists_of_roles_and_protocols_and_none_of_them() {
    let is_list = |name: &String| name.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    for Source { path, code, .. } in sources("src") {
        // A binary is a user of the library, and reaches its public names alone.
        if path == Path::new("src/lib.rs") || path.starts_with("src/bin") {
            continue;
        }
        for folder in ["roles", "protocols"] {
            let named = reached(&code, folder);
            let concrete: Vec<&String> = named.iter().filter(|name| !is_list(name)).collect();
            assert!(concrete.is_empty(), "{} names {concrete:?} of {folder}", path.display());
        }
    }
}

#[test]
fn there_is_no_unsafe() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).expect("Cargo.toml");
    assert!(manifest.contains("unsafe_code = \"forbid\""), "the lint is what really forbids it");
    for source in SOURCES.iter().flat_map(|folder| sources(folder)) {
        let is_this = source.path == Path::new(file!());
        assert!(is_this || words(&source.code).all(|word| word != "unsafe"), "{}", source.path.display());
    }
}

#[test]
fn the_library_never_prints_and_never_exits() {
    for source in ["src", "roles", "protocols"].iter().flat_map(|folder| sources(folder)) {
        if source.path.starts_with("src/bin") {
            continue;
        }
        for forbidden in ["println", "print", "eprintln", "eprint", "dbg"] {
            let found = source.code.contains(&format!("{forbidden}!("));
            assert!(!found, "{} has {forbidden}!", source.path.display());
        }
        assert!(!source.code.contains("process::exit"), "{} exits", source.path.display());
    }
}

#[test]
fn no_file_is_longer_than_six_hundred_lines() {
    for source in SOURCES.iter().flat_map(|folder| sources(folder)) {
        assert!(source.lines <= 600, "{} has {} lines: one idea each", source.path.display(), source.lines);
    }
}

#[test]
fn every_example_has_a_readme() {
    let examples: Vec<Source> = sources("minimal-examples");
    assert!(!examples.is_empty());
    for source in examples.iter().filter(|source| source.path.ends_with("main.rs")) {
        let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join(source.path.with_file_name("README.md"));
        assert!(readme.is_file(), "{} is missing", readme.display());
    }
}

#[test]
fn the_readers_of_this_test_read_right() {
    let code = "use crate::{a::b, c::{d, e}, f};\ncrate::g::h(); supercrate::i();";
    let want: BTreeSet<String> = ["a", "c", "f", "g"].map(str::to_owned).into();
    assert_eq!(reached(code, "crate"), want);
    assert_eq!(without_comment("let a = 1; // unsafe"), "let a = 1; ");
}
