//! JSON, written into a text that is there already.

use std::fmt::{Display, Write};

/// Writes values one after the other, and the commas between them.
pub(super) struct Json<'a> {
    out: &'a mut String,
    /// Something stands before the next value, so that a comma is due.
    is_begun: bool,
}

impl Json<'_> {
    pub(super) fn into(out: &mut String) -> Json<'_> {
        Json { out, is_begun: false }
    }

    /// The name of the member whose value follows.
    pub(super) fn key(&mut self, name: &str) -> &mut Self {
        self.text(name);
        self.out.push(':');
        self.is_begun = false;
        self
    }

    pub(super) fn object(&mut self, members: impl FnOnce(&mut Self)) {
        self.nested(['{', '}'], members);
    }

    pub(super) fn array(&mut self, elements: impl FnOnce(&mut Self)) {
        self.nested(['[', ']'], elements);
    }

    pub(super) fn bool(&mut self, value: bool) {
        self.write(value);
    }

    /// A number that is one in JSON: finite.
    pub(super) fn number(&mut self, value: impl Display) {
        self.write(value);
    }

    pub(super) fn text(&mut self, value: &str) {
        self.comma();
        self.out.push('"');
        for c in value.chars() {
            match c {
                '"' | '\\' => self.out.extend(['\\', c]),
                c if c.is_control() => self.push(format_args!("\\u{:04x}", c as u32)),
                c => self.out.push(c),
            }
        }
        self.out.push('"');
    }

    fn write(&mut self, value: impl Display) {
        self.comma();
        self.push(format_args!("{value}"));
    }

    fn push(&mut self, text: std::fmt::Arguments<'_>) {
        self.out.write_fmt(text).expect("a String takes everything");
    }

    fn nested(&mut self, [open, close]: [char; 2], inner: impl FnOnce(&mut Self)) {
        self.comma();
        self.out.push(open);
        self.is_begun = false;
        inner(self);
        self.out.push(close);
        self.is_begun = true;
    }

    fn comma(&mut self) {
        if std::mem::replace(&mut self.is_begun, true) {
            self.out.push(',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_json() {
        let mut out = String::new();
        Json::into(&mut out).object(|json| {
            json.key("a").number(1);
            json.key("b").array(|json| {
                json.text("x\"\\\n\u{9f}é");
                json.bool(true);
                json.array(|_| {});
                json.object(|json| json.key("c").number(0.5));
            });
            json.key("d").object(|_| {});
        });
        assert_eq!(out, r#"{"a":1,"b":["x\"\\\u000a\u009fé",true,[],{"c":0.5}],"d":{}}"#);
        serde_json::from_str::<serde_json::Value>(&out).expect("JSON");
    }
}
