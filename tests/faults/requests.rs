//! Requests for ranges of one file, and the responses that are due. The file is poison too, so a range tells which it is.

use std::collections::VecDeque;

use crate::dice::Dice;
use crate::poison::{Owner, Stream};

/// The file's size in bytes.
pub const FILE: u64 = 200_000;
pub const FILE_NAME: &str = "poison.bin";

/// What one request asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    Range { from: u64, to: u64 },
    Head,
    Missing,
}

pub fn random(dice: &mut Dice) -> Vec<Want> {
    let want = |dice: &mut Dice| match dice.below(6) {
        0 => Want::Head,
        1 => Want::Missing,
        _ => {
            let from = dice.below(FILE);
            let most = if dice.one_in(4) { FILE } else { 2000 };
            Want::Range { from, to: (from + dice.below(most)).min(FILE - 1) }
        }
    };
    (0..=dice.below(4)).map(|_| want(dice)).collect()
}

/// The requests as they are sent; the last one asks to close.
pub fn text(wants: &[Want]) -> Vec<u8> {
    let text = wants.iter().enumerate().map(|(number, want)| {
        let close = if number + 1 == wants.len() { "Connection: close\r\n" } else { "" };
        let (line, range) = match want {
            Want::Range { from, to } => (format!("GET /{FILE_NAME}"), format!("Range: bytes={from}-{to}\r\n")),
            Want::Head => (format!("HEAD /{FILE_NAME}"), String::new()),
            Want::Missing => ("HEAD /missing".to_owned(), String::new()),
        };
        format!("{line} HTTP/1.1\r\nHost: localhost\r\n{range}{close}\r\n")
    });
    text.collect::<String>().into_bytes()
}

/// The responses to some requests, as they come.
pub struct Responses {
    file: Stream,
    due: VecDeque<Want>,
    head: Vec<u8>,
    /// The part of the file that is under way.
    body: Option<(u64, u64)>,
}

impl Responses {
    pub fn new(wants: &[Want]) -> Responses {
        Responses { file: file(), due: wants.iter().copied().collect(), head: Vec::new(), body: None }
    }

    pub fn are_whole(&self) -> bool {
        self.due.is_empty() && self.head.is_empty() && self.body.is_none()
    }

    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() {
            if let Some((at, end)) = self.body {
                let n = bytes.len().min((end - at) as usize);
                self.file.check(at, &bytes[..n])?;
                bytes = &bytes[n..];
                let at = at + n as u64;
                self.body = (at < end).then_some((at, end));
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            if self.head.ends_with(b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&std::mem::take(&mut self.head)).to_ascii_lowercase();
                self.begin(&head)?;
            }
            if self.head.len() > 2000 {
                return Err("a head without an end".to_owned());
            }
        }
        Ok(())
    }

    fn begin(&mut self, head: &str) -> Result<(), String> {
        let Some(want) = self.due.pop_front() else { return Err(format!("a response to nothing: {head}")) };
        let parts: [String; 3] = match want {
            Want::Range { from, to } => [
                "206 ".to_owned(),
                format!("content-length: {}\r\n", to - from + 1),
                format!("content-range: bytes {from}-{to}/{FILE}\r\n"),
            ],
            Want::Head => ["200 ".to_owned(), format!("content-length: {FILE}\r\n"), String::new()],
            Want::Missing => ["404 ".to_owned(), String::new(), String::new()],
        };
        if let Want::Range { from, to } = want {
            self.body = Some((from, to + 1));
        }
        match head.starts_with("http/1.1 ") && parts.iter().all(|part| head.contains(part)) {
            true => Ok(()),
            false => Err(format!("not the response to {want:?}: {head}")),
        }
    }
}

pub fn file() -> Stream {
    Stream::new(Owner::File, b"")
}
