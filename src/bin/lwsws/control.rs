//! What the parent and a worker say to each other while both live: words of one line each, over a stream of their own.
//!
//! ```text
//!   parent ◀── ready ──────────────────────────────────── worker     once; it listens to nothing before serve
//!   parent ── serve | drain | stop SECONDS ─────────────▶ worker
//!   parent ── reopen COUNT | logfile ───────────────────▶ worker     their descriptors are sent before (hand_over)
//! ```
//!
//! A worker that loses its parent drains and ends. Whatever a worker says besides, or twice, is a reason to kill it: the parent has
//! privileges, and the worker may be in the hands of somebody else.

use std::fmt;

/// What a worker says when it could serve.
pub(crate) const READY: &str = "ready";

/// Bytes of a word, its end included. No word is longer.
const LONGEST: usize = 64;

/// What a worker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Word {
    /// All of its generation are ready: it accepts from now on.
    Serve,
    /// It accepts nothing more, and ends after its last connection.
    Drain,
    /// The same, and it ends after so many seconds in any case.
    Stop(u64),
    /// It goes on in other access logs, of so many descriptors.
    Reopen(usize),
    /// Its own log goes to another file.
    LogFile,
}

impl Word {
    pub(crate) fn parse(line: &str) -> Option<Word> {
        match line.split_once(' ') {
            None if line == "serve" => Some(Word::Serve),
            None if line == "drain" => Some(Word::Drain),
            None if line == "logfile" => Some(Word::LogFile),
            Some(("stop", seconds)) => Some(Word::Stop(seconds.parse().ok()?)),
            Some(("reopen", count)) => Some(Word::Reopen(count.parse().ok()?)),
            _ => None,
        }
    }
}

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Word::Serve => f.write_str("serve"),
            Word::Drain => f.write_str("drain"),
            Word::Stop(seconds) => write!(f, "stop {seconds}"),
            Word::Reopen(count) => write!(f, "reopen {count}"),
            Word::LogFile => f.write_str("logfile"),
        }
    }
}

/// Bytes that come in pieces, as the lines they are.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    begun: Vec<u8>,
}

/// A line that is longer than any word.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct TooLong;

impl Lines {
    pub(crate) fn add(&mut self, bytes: &[u8]) -> Result<Vec<String>, TooLong> {
        let mut whole = Vec::new();
        for byte in bytes {
            match byte {
                b'\n' => whole.push(String::from_utf8_lossy(&std::mem::take(&mut self.begun)).into_owned()),
                _ if self.begun.len() + 1 >= LONGEST => return Err(TooLong),
                byte => self.begun.push(*byte),
            }
        }
        Ok(whole)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_were_written_however_they_are_cut() {
        let words = [Word::Serve, Word::Drain, Word::Stop(10), Word::Reopen(usize::MAX), Word::LogFile];
        let text: String = words.iter().map(|word| format!("{word}\n")).collect();
        for size in 1..text.len() {
            let mut lines = Lines::default();
            let read: Vec<String> =
                text.as_bytes().chunks(size).flat_map(|piece| lines.add(piece).expect("short")).collect();
            assert_eq!(read.iter().filter_map(|line| Word::parse(line)).collect::<Vec<_>>(), words);
        }
        for odd in ["", "serve ", "stop", "stop x", "stop -1", "reopen 1 2", "ready"] {
            assert_eq!(Word::parse(odd), None, "{odd:?}");
        }
    }

    #[test]
    fn a_line_without_an_end_is_bounded() {
        let mut lines = Lines::default();
        assert_eq!(lines.add(&[b'x'; LONGEST - 1]), Ok(vec![]));
        assert_eq!(lines.add(b"x"), Err(TooLong));
        assert_eq!(Lines::default().add(&[b'x'; 1 << 20]), Err(TooLong));
    }
}
