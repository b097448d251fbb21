//! Documents by chance: cuts never matter, serde_json is of the same opinion, and nothing panics.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::*;

const PATHS: [&str; 6] = ["a", "*.b.*", "[][].*", "a[].*[].b", "*[]", "a*"];

fn limits() -> impl Strategy<Value = Limits> {
    let sizes = (2..80_usize, 4..40_usize, 8..100_usize, 3..40_usize, 0..9_usize);
    sizes.prop_map(|(depth, name, path, number, string_chunk)| Limits { depth, name, path, number, string_chunk })
}

fn number() -> impl Strategy<Value = String> {
    "-?(0|[1-9][0-9]{0,8})(\\.[0-9]{1,6})?([eE][+-]?[0-9]{1,2})?"
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("b".to_owned()), "[ab.#\"\\\\é\n]{0,4}"]
}

/// A value, with numbers as they are written.
#[derive(Debug, Clone)]
enum Json {
    Word(&'static str),
    Number(String),
    Str(String),
    Array(Vec<Json>),
    Object(Vec<(String, Json)>),
}

fn json() -> impl Strategy<Value = Json> {
    let leaf = prop_oneof![
        prop_oneof![Just("true"), Just("false"), Just("null")].prop_map(Json::Word),
        number().prop_map(Json::Number),
        any::<String>().prop_map(Json::Str),
        name().prop_map(Json::Str),
    ];
    leaf.prop_recursive(5, 40, 5, |inner| {
        prop_oneof![vec(inner.clone(), 0..5).prop_map(Json::Array), vec((name(), inner), 0..5).prop_map(Json::Object)]
    })
}

/// Writes documents, with spaces, comments and escapes by a list of choices, again and again.
struct Writer<'c> {
    out: String,
    choices: std::iter::Cycle<std::slice::Iter<'c, u8>>,
    comments: bool,
}

impl Writer<'_> {
    fn choice(&mut self) -> u8 {
        self.choices.next().copied().unwrap_or(0)
    }

    fn space(&mut self) {
        let space = match self.choice() % 12 {
            0 => " ",
            1 => "\r\n",
            2 => "\t\n  ",
            3 if self.comments => "# a {\"comment\": [\n",
            4 if self.comments => "#é\r\n\t",
            _ => "",
        };
        self.out.push_str(space);
    }

    fn string(&mut self, text: &str) {
        self.out.push('"');
        for c in text.chars() {
            match self.choice() % 4 {
                0 => self.out.extend(c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}"))),
                _ => {
                    let quoted = Value::from(c.to_string()).to_string();
                    self.out.push_str(&quoted[1..quoted.len() - 1]);
                }
            }
        }
        self.out.push('"');
    }

    fn list<T>(&mut self, open: char, items: &[T], close: char, write: impl Fn(&mut Self, &T)) {
        self.out.push(open);
        for (n, item) in items.iter().enumerate() {
            if n > 0 {
                self.out.push(',');
            }
            write(self, item);
        }
        self.space();
        self.out.push(close);
    }

    fn value(&mut self, json: &Json) {
        self.space();
        match json {
            Json::Word(text) => self.out.push_str(text),
            Json::Number(text) => self.out.push_str(text),
            Json::Str(text) => self.string(text),
            Json::Array(items) => self.list('[', items, ']', Self::value),
            Json::Object(members) => self.list('{', members, '}', |writer, (name, value)| {
                writer.space();
                writer.string(name);
                writer.space();
                writer.out.push(':');
                writer.value(value);
            }),
        }
        self.space();
    }
}

fn written(json: &Json, choices: &[u8], comments: bool) -> String {
    let mut writer = Writer { out: String::new(), choices: choices.iter().cycle(), comments };
    writer.value(json);
    writer.out
}

/// What a value should be heard as: path, indexes and reason of each callback.
fn expected(json: &Json, path: &str, is_nested: bool, indexes: &[usize]) -> Vec<String> {
    let tell = |path: &str, reason: String| format!("{path} {indexes:?} {reason}");
    match json {
        Json::Word("true") => vec![tell(path, "ValTrue".into())],
        Json::Word("false") => vec![tell(path, "ValFalse".into())],
        Json::Word(_) => vec![tell(path, "ValNull".into())],
        Json::Number(text) if text.contains(['.', 'e', 'E']) => vec![tell(path, format!("ValNumFloat({text:?})"))],
        Json::Number(text) => vec![tell(path, format!("ValNumInt({text:?})"))],
        Json::Str(text) => vec![tell(path, "ValStrStart".into()), tell(path, format!("ValStrEnd({text:?})"))],
        Json::Array(items) => {
            let path = format!("{path}[]");
            let element = |(n, item)| expected(item, &path, true, &[indexes, &[n]].concat());
            let mut heard = vec![tell(&path, "ArrayStart".into())];
            heard.extend(items.iter().enumerate().flat_map(element));
            heard.push(tell(&path, "ArrayEnd".into()));
            heard
        }
        Json::Object(members) => {
            let mut heard = vec![tell(path, "ObjectStart".into())];
            for (name, value) in members {
                let path = if is_nested { format!("{path}.{name}") } else { name.clone() };
                heard.push(tell(&path, format!("PairName({name:?})")));
                heard.extend(expected(value, &path, true, indexes));
            }
            heard.push(tell(path, "ObjectEnd".into()));
            heard
        }
    }
}

/// Cuts bytes in pieces.
fn cut<'b>(bytes: &'b [u8], cuts: &[Index]) -> Vec<&'b [u8]> {
    let mut at: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    at.extend([0, bytes.len()]);
    at.sort_unstable();
    at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// What is heard does not depend on the cuts. Returns it.
fn heard_in_any_cut(
    limits: Limits,
    bytes: &[u8],
    cuts: &[Index],
) -> Result<(Heard, Result<(), String>), TestCaseError> {
    let all = [vec![bytes], bytes.chunks(1).collect(), cut(bytes, cuts)];
    let [whole, single, random] = all.map(|chunks| {
        let (heard, end) = parse(&PATHS, limits, chunks);
        (heard, end.map_err(|error| error.to_string()))
    });
    prop_assert_eq!(&whole, &single);
    prop_assert_eq!(&whole, &random);
    Ok(whole)
}

/// The bytes that JSON is made of, but for comments, and some that it is not made of.
const ALPHABET: &[u8] = b"{}[]:,\"\\ \n0123456789.-+eEtrufalsn/\x00\xc3\xa9\xff";

/// Changes some bytes, drops some and adds some.
fn mutate(bytes: &mut Vec<u8>, mutations: &[(u8, Index, Index)]) {
    for (kind, at, with) in mutations {
        let (place, byte) = (at.index(bytes.len() + 1), ALPHABET[with.index(ALPHABET.len())]);
        match kind % 3 {
            0 => bytes.insert(place, byte),
            1 if place < bytes.len() => bytes[place] = byte,
            _ if place < bytes.len() => drop(bytes.remove(place)),
            _ => {}
        }
    }
}

/// Compares the match with that of a search from scratch, and counts the names and arrays.
fn compare_match(count: &mut usize, ctx: &Ctx<'_>, reason: Reason<'_>) -> Result<(), Reject> {
    let (mut path, mut matched, mut wildcards) = (Some(ctx.path()), None, Vec::new());
    while let (None, Some(candidate)) = (matched, path) {
        matched = PATHS.iter().position(|pattern| pattern::matches(pattern, candidate, &mut wildcards));
        path = candidate.strip_suffix("[]");
    }
    let want = wildcards.into_iter().map(|range| &ctx.path()[range]);
    if ctx.path_match() != matched || !want.eq((0..).map_while(|n| ctx.wildcard(n))) {
        return Err(format!("{reason:?} comes with another match than {matched:?}").into());
    }
    *count += usize::from(matches!(reason, Reason::PairName(_) | Reason::ArrayStart));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn every_value_is_heard_in_order_with_its_path_and_indexes(json in json(), choices: [u8; 32], cuts: [Index; 4]) {
        let text = written(&json, &choices, true);
        let limits = Limits { string_chunk: usize::MAX, ..Limits::default() };
        let (heard, end) = parse(&[], limits, cut(text.as_bytes(), &cuts));
        prop_assert_eq!(end.map_err(|error| error.to_string()), Ok(()));
        let mut want = vec![" [] Start".to_owned()];
        want.extend(expected(&json, "", false, &[]));
        want.push(" [] Complete".to_owned());
        let heard: Vec<String> = heard.iter().map(|line| line.replacen(" - [] ", " ", 1)).collect();
        prop_assert_eq!(heard, want);
    }

    #[test]
    fn every_match_is_that_of_the_path_or_of_the_array_around(json in json(), choices: [u8; 32]) {
        let mut parser = Parser::new(&PATHS, compare_match);
        let mut count = 0;
        let fed = parser.feed(&mut count, written(&json, &choices, true).as_bytes());
        prop_assert_eq!(fed.map(drop).map_err(|error| error.to_string()), Ok(()));
        prop_assert_eq!(parser.place.look_ups, 1 + count);
    }

    #[test]
    fn cuts_never_matter(
        json in json(), choices: [u8; 32], limits in limits(), cuts: [Index; 4], mutations in vec(any::<(u8, Index, Index)>(), 0..3),
    ) {
        let mut bytes = written(&json, &choices, true).into_bytes();
        mutate(&mut bytes, &mutations);
        let (heard, end) = heard_in_any_cut(limits, &bytes, &cuts)?;
        let failed = heard.iter().filter(|line| line.contains(" Failed(")).count();
        prop_assert_eq!(failed, usize::from(end.is_err()));
        let last = if end.is_err() { " Failed(" } else { " Complete" };
        prop_assert!(heard.last().is_some_and(|heard| heard.contains(last)), "{:?}", heard);
    }

    #[test]
    fn serde_json_finds_the_same_documents_right(
        json in json(), choices: [u8; 32], mutations in vec(any::<(u8, Index, Index)>(), 0..4),
    ) {
        let mut bytes = written(&json, &choices, false).replace('#', "x").into_bytes();
        mutate(&mut bytes, &mutations);
        let (_, end) = parse(&[], Limits::default(), [bytes.as_slice()]);
        let theirs = serde_json::from_slice::<Value>(&bytes);
        // A number beyond f64 is JSON all the same.
        let out_of_range = theirs.as_ref().is_err_and(|error| error.to_string().contains("out of range"));
        prop_assume!(!out_of_range && !bytes.starts_with("\u{feff}".as_bytes()));
        prop_assert_eq!(end.is_ok(), theirs.is_ok(), "{:?} {:?}", end, theirs);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes: Vec<u8>, structure in vec(any::<Index>(), 0..60), limits in limits(), cuts: [Index; 4]) {
        let _ = heard_in_any_cut(limits, &bytes, &cuts)?;
        let bytes: Vec<u8> = structure.iter().map(|index| ALPHABET[index.index(ALPHABET.len())]).collect();
        let _ = heard_in_any_cut(limits, &bytes, &cuts)?;
        let tiny = Limits { depth: 0, name: 0, path: 0, number: 0, string_chunk: 0 };
        let _ = heard_in_any_cut(tiny, &bytes, &cuts)?;
    }
}
