//! A header's value that is a word with parameters: `form-data; name="a"; filename="b.txt"`.
//!
//! The grammar is that of RFC 9110 5.6.6, with one difference: in a quoted value, `\` is an escape before `"` and `\` alone. Some
//! browsers sent a path there, `"C:\dir\a.txt"`.

use crate::headers::is_token_byte;

/// The word before the parameters, and the parameters.
pub(super) fn split(value: &str) -> (&str, Params<'_>) {
    let (word, rest) = value.split_at(value.find(';').unwrap_or(value.len()));
    (word.trim_matches(BLANKS), Params { rest })
}

/// Names and values, or what is wrong with one of them; nothing follows that.
#[derive(Debug, Clone)]
pub(super) struct Params<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Params<'a> {
    type Item = Result<(&'a str, String), &'static str>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.trim_start_matches(['\t', ' ', ';']);
        if rest.is_empty() {
            return None;
        }
        if !self.rest.trim_start_matches(BLANKS).starts_with(';') {
            return self.wrong("something else than `;` behind a parameter");
        }
        let (name, rest) = token(rest);
        let Some(rest) = rest.strip_prefix('=').filter(|_| !name.is_empty()) else {
            return self.wrong("a parameter that is not NAME=VALUE");
        };
        let Some(quoted) = rest.strip_prefix('"') else {
            let (value, rest) = token(rest);
            if value.is_empty() {
                return self.wrong("a parameter without a value");
            }
            self.rest = rest;
            return Some(Ok((name, value.to_owned())));
        };
        let Some((value, rest)) = unquote(quoted) else {
            return self.wrong("a quoted value without its end");
        };
        self.rest = rest;
        Some(Ok((name, value)))
    }
}

impl<'a> Params<'a> {
    fn wrong(&mut self, what: &'static str) -> Option<<Self as Iterator>::Item> {
        self.rest = "";
        Some(Err(what))
    }
}

/// What may stand around words and before parameters (OWS, RFC 9110 5.6.3).
pub(super) const BLANKS: [char; 2] = [' ', '\t'];

fn token(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().position(|byte| !is_token_byte(byte)).unwrap_or(text.len()))
}

/// The value behind a quote, and what is behind its other quote.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.chars();
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' if chars.as_str().starts_with(['"', '\\']) => value.extend(chars.next()),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn reads(value: &str, word: &str, want: &[(&str, &str)]) {
        let (found, params) = split(value);
        assert_eq!(found, word, "{value}");
        let params: Result<Vec<_>, _> = params.collect();
        let want = want.iter().map(|&(name, value)| (name, value.to_owned())).collect();
        assert_eq!(params, Ok(want), "{value}");
    }

    #[track_caller]
    fn refuses(value: &str, why: &str) {
        let params: Result<Vec<_>, _> = split(value).1.collect();
        assert_eq!(params, Err(why), "{value}");
    }

    #[test]
    fn a_word_and_its_parameters() {
        reads("", "", &[]);
        reads(" text/plain\t", "text/plain", &[]);
        reads("a;b=c", "a", &[("b", "c")]);
        reads("a; b=c ;\td=\"e;f\"", "a", &[("b", "c"), ("d", "e;f")]);
        reads("a;;; b=c; ;", "a", &[("b", "c")]);
        reads("a; b=\"\"", "a", &[("b", "")]);
        reads("a; b*=utf-8''%c3%a9", "a", &[("b*", "utf-8''%c3%a9")]);
    }

    #[test]
    fn only_quotes_and_backslashes_are_escaped() {
        reads(r#"a; b="say \"hi\"""#, "a", &[("b", r#"say "hi""#)]);
        reads(r#"a; b="C:\dir\file.txt""#, "a", &[("b", r"C:\dir\file.txt")]);
        reads(r#"a; b="\\server\x""#, "a", &[("b", r"\server\x")]);
        reads(r#"a; b="end\\"; c=d"#, "a", &[("b", r"end\"), ("c", "d")]);
        reads(r#"a; b="%22é""#, "a", &[("b", "%22é")]);
    }

    #[test]
    fn what_is_no_parameter_is_refused() {
        for value in ["a; b", "a; =b", "a; b =c", "a; \"b\"=c", "a; é=c"] {
            refuses(value, "a parameter that is not NAME=VALUE");
        }
        refuses("a; b=", "a parameter without a value");
        refuses("a; b= c", "a parameter without a value");
        refuses("a; b=é", "a parameter without a value");
        for value in ["a; b=\"c", "a; b=\"", r#"a; b="c\""#] {
            refuses(value, "a quoted value without its end");
        }
        for value in ["a; b=\"c\"d", "a; b=\"c\" d=e", "a; b=c d", "a; b=c/d", "a; b=c=d"] {
            refuses(value, "something else than `;` behind a parameter");
        }
    }
}
