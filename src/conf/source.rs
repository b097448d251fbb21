//! The text of one file: its comments blanked, and where in it a byte is.
//!
//! ```text
//!   bytes ──▶ BOM and comments become spaces ──▶ UTF-8? ──▶ JSON text, every byte where it was
//! ```
//!
//! Offsets are those of the file, so a place is found long after parsing. Every place costs the same, however long its line is: the
//! line and column of each block's start are kept.

use super::diagnostic::{Diagnostic, Found, Place, Problem};

/// Bytes from one remembered place to the next.
const BLOCK: usize = 256;

/// A file's text.
pub(super) struct Source {
    name: String,
    text: String,
    /// The place of every `BLOCK`th byte.
    marks: Vec<Mark>,
    has_bom: bool,
}

/// Counted from 0.
#[derive(Debug, Clone, Copy, Default)]
struct Mark {
    line: u32,
    column: u32,
}

impl Source {
    /// Readies a file's bytes for parsing.
    ///
    /// # Errors
    /// It is not UTF-8. What is in comments does not matter.
    pub(super) fn new(name: &str, mut bytes: Vec<u8>) -> Found<Source> {
        let has_bom = bytes.starts_with(BOM);
        if has_bom {
            bytes[..BOM.len()].fill(b' ');
        }
        blank_comments(&mut bytes);
        let marks = marks(&bytes);
        let name = name.to_owned();
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Source { name, text, marks, has_bom }),
            Err(error) => {
                let at = error.utf8_error().valid_up_to();
                let bytes = error.into_bytes();
                let byte = bytes.get(at).copied().unwrap_or_default();
                let utf16 = bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]);
                let found = if utf16 { "UTF-16".to_owned() } else { format!("the byte 0x{byte:02x}") };
                let text = String::from_utf8_lossy(&bytes[..at]).into_owned();
                let place = Source { name, text, marks, has_bom }.place(at);
                let diagnostic = Diagnostic::error(Problem::Unreadable, place, String::new());
                Err(diagnostic.expected("text in UTF-8").found(found).into())
            }
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// JSON without comments.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The place of a byte.
    pub(super) fn place(&self, offset: usize) -> Place {
        let offset = offset.min(self.text.len());
        let block = offset / BLOCK;
        let mut mark = self.marks.get(block).copied().unwrap_or_default();
        for byte in &self.text.as_bytes()[block * BLOCK..offset] {
            mark.pass(*byte);
        }
        let bom = if self.has_bom && mark.line == 0 { BOM.len() as u32 } else { 0 };
        Place { file: self.name.clone(), line: mark.line + 1, column: mark.column.saturating_sub(bom) + 1 }
    }
}

const BOM: &[u8] = b"\xef\xbb\xbf";

impl Mark {
    /// To the next byte. A character counts with its first one.
    fn pass(&mut self, byte: u8) {
        match byte {
            b'\n' => *self = Mark { line: self.line + 1, column: 0 },
            0x80..=0xbf => {}
            _ => self.column += 1,
        }
    }
}

fn marks(bytes: &[u8]) -> Vec<Mark> {
    let mut marks = vec![Mark::default()];
    let mut mark = Mark::default();
    for block in bytes.chunks(BLOCK) {
        block.iter().for_each(|byte| mark.pass(*byte));
        marks.push(mark);
    }
    marks
}

/// `#` to the end of the line, unless in a string. A string that is not closed ends with its line: JSON has none that go on, and the
/// mistake is found at its first place.
fn blank_comments(bytes: &mut [u8]) {
    enum In {
        Json,
        Text,
        Escape,
        Comment,
    }
    let mut now = In::Json;
    for byte in bytes {
        now = match (now, *byte) {
            (_, b'\n') => In::Json,
            (In::Comment, _) | (In::Json, b'#') => {
                *byte = b' ';
                In::Comment
            }
            (In::Json, b'"') | (In::Escape, _) => In::Text,
            (In::Text, b'\\') => In::Escape,
            (In::Text, b'"') => In::Json,
            (now, _) => now,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new("f", text.into()).expect("UTF-8")
    }

    #[test]
    fn comments_are_blanked_outside_of_strings_and_nothing_moves() {
        let text = "# all\n{ \"a#b\": \"c\\\"#d\", # x \"\n\"e\": 1 } #";
        let blank = "     \n{ \"a#b\": \"c\\\"#d\",      \n\"e\": 1 }  ";
        assert_eq!(source(text).text(), blank);
    }

    #[test]
    fn a_string_that_is_not_closed_hides_no_later_line() {
        assert_eq!(source("\"open\n# gone\nx").text(), "\"open\n      \nx");
    }

    #[test]
    fn places_count_lines_and_characters() {
        let text = "a\r\näöü b\n\nz";
        let source = source(text);
        let place = |what: char| {
            let Place { line, column, .. } = source.place(text.find(what).expect("it is there"));
            (line, column)
        };
        assert_eq!([place('a'), place('ö'), place('b'), place('z')], [(1, 1), (2, 2), (2, 5), (4, 1)]);
        let Place { line, column, .. } = source.place(usize::MAX);
        assert_eq!((line, column), (4, 2), "the end");
    }

    #[test]
    fn a_bom_has_no_width() {
        let source = source("\u{feff}{}\n{}");
        let Place { line, column, .. } = source.place(3);
        assert_eq!((line, column), (1, 1));
        let Place { line, column, .. } = source.place(6);
        assert_eq!((line, column), (2, 1));
    }

    #[test]
    fn places_across_blocks_are_those_of_a_plain_count() {
        let line = "ä,".repeat(700);
        let text = format!("{line}\n{line}{line}\n{line}");
        let source = source(&text);
        for (offset, _) in text.char_indices() {
            let before = &text[..offset];
            let start = before.rfind('\n').map_or(0, |at| at + 1);
            let want = (before.matches('\n').count() + 1, before[start..].chars().count() + 1);
            let Place { line, column, .. } = source.place(offset);
            assert_eq!((line as usize, column as usize), want, "{offset}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_refused_with_its_place_unless_a_comment() {
        let Err(error) = Source::new("f", b"{\n  \"\xe4\": 1 }".to_vec()) else { panic!("it is Latin-1") };
        assert_eq!(error.to_string(), "f:2:4: expected text in UTF-8, found the byte 0xe4");
        let Err(error) = Source::new("f", b"\xff\xfe{\0}\0".to_vec()) else { panic!("it is UTF-16") };
        assert_eq!(error.to_string(), "f:1:1: expected text in UTF-8, found UTF-16");
        assert!(Source::new("f", b"{} # \xe4".to_vec()).is_ok());
    }
}
