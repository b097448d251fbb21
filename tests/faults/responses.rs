//! The responses that are due to some requests, checked as they come.

use std::collections::VecDeque;
use std::ops::Range;

use crate::framing::Framing;
use crate::poison::{Stream, owner_of};
use crate::requests::{self, ELSEWHERE, FILE, KEPT, WHOSE, Want};

/// A response that came whole, as an access log has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    pub bytes: u64,
}

pub struct Responses {
    number: u64,
    due: VecDeque<Want>,
    head: Vec<u8>,
    /// The body that is under way.
    body: Option<Body>,
    answers: Vec<Answer>,
    /// It was told that there will be no more, before all that it asked for.
    pub dismissed: bool,
}

struct Body {
    framing: Framing,
    content: Content,
    status: u16,
    bytes: u64,
}

/// What a body is to be.
enum Content {
    /// The bytes of a stream, from one place to another.
    Poison { stream: Stream, from: u64, to: u64 },
    /// The multipart body with these ranges of the file.
    Parts { ranges: [Range<u64>; 2], boundary: String, bytes: Vec<u8> },
    /// Any text that tells nothing of others.
    Text(Vec<u8>),
}

impl Responses {
    pub fn new(number: u64, wants: &[Want]) -> Responses {
        let due = wants.iter().cloned().collect();
        Responses { number, due, head: Vec::new(), body: None, answers: Vec::new(), dismissed: false }
    }

    pub fn are_whole(&self) -> bool {
        self.due.is_empty() && self.head.is_empty() && self.body.is_none()
    }

    pub fn take_answers(&mut self) -> Vec<Answer> {
        std::mem::take(&mut self.answers)
    }

    pub fn take(&mut self, mut bytes: &[u8]) -> Result<(), String> {
        while !bytes.is_empty() || self.body.as_ref().is_some_and(|body| body.framing.is_over()) {
            if let Some(mut body) = self.body.take() {
                while !bytes.is_empty() && !body.framing.is_over() {
                    let (content, rest) = body.framing.take(bytes)?;
                    body.take(content)?;
                    bytes = rest;
                }
                if body.framing.is_over() {
                    body.end(&self.request())?;
                    self.answers.push(Answer { status: body.status, bytes: body.bytes });
                } else {
                    self.body = Some(body);
                }
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

    /// The name of the request that is being answered.
    fn request(&self) -> String {
        requests::name(self.number, self.answers.len())
    }

    fn begin(&mut self, head: &str) -> Result<(), String> {
        let Some(want) = self.due.pop_front() else { return Err(format!("a response to nothing: {head}")) };
        let name = self.request();
        let field = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let is_last = self.due.is_empty();
        let ends = field("connection") == "close";
        if !is_last && ends {
            self.dismissed = true;
            self.due.clear();
        }
        let (status, fields, content) = self.due_to(&want, &name, &field("content-type"));
        let right = head.starts_with(&format!("http/1.1 {status} "))
            && fields.iter().all(|(name, value)| field(name) == *value)
            && names_only(head.as_bytes(), &name)
            && (ends || !is_last);
        if !right {
            return Err(format!("not the response to {want:?} of {name}, {fields:?}: {head}"));
        }
        let framing = match &content {
            None => Framing::Length(0),
            Some(_) => Framing::of(&field("transfer-encoding"), &field("content-length"))?,
        };
        let content = content.unwrap_or(Content::Text(Vec::new()));
        self.body = Some(Body { framing, content, status, bytes: 0 });
        Ok(())
    }

    /// Status, headers and body of the response to a request.
    fn due_to(
        &self,
        want: &Want,
        name: &str,
        content_type: &str,
    ) -> (u16, Vec<(&'static str, String)>, Option<Content>) {
        let whole = |stream, to| Some(Content::Poison { stream, from: 0, to });
        match want {
            Want::Range(range) => {
                let fields = vec![
                    ("content-length", (range.end - range.start).to_string()),
                    ("content-range", format!("bytes {}/{FILE}", requests::shown(range))),
                ];
                (206, fields, Some(Content::Poison { stream: requests::file(), from: range.start, to: range.end }))
            }
            Want::Ranges(ranges) => {
                let boundary =
                    content_type.strip_prefix("multipart/byteranges; boundary=").unwrap_or("none").to_owned();
                (206, Vec::new(), Some(Content::Parts { ranges: ranges.clone(), boundary, bytes: Vec::new() }))
            }
            Want::Head => (200, vec![("content-length", FILE.to_string())], None),
            Want::Kept(file) => {
                let size = KEPT[*file as usize];
                (200, vec![("content-length", size.to_string())], whole(requests::kept(*file), size))
            }
            Want::Missing { head: true } => (404, Vec::new(), None),
            Want::Missing { head: false } => (404, Vec::new(), Some(Content::Text(Vec::new()))),
            Want::Moved => (301, vec![("location", format!("{ELSEWHERE}/{name}"))], Some(Content::Text(Vec::new()))),
            Want::Upload { bytes, .. } => {
                let (stream, from) = requests::body(self.number, self.answers.len());
                (200, vec![("x-whose", name.to_owned())], Some(Content::Poison { stream, from, to: from + bytes }))
            }
        }
    }
}

impl Body {
    fn take(&mut self, piece: &[u8]) -> Result<(), String> {
        self.bytes += piece.len() as u64;
        match &mut self.content {
            Content::Poison { stream, from, to } => {
                if piece.len() as u64 > *to - *from {
                    return Err(format!("{} bytes too many", piece.len() as u64 - (*to - *from)));
                }
                stream.check(*from, piece)?;
                *from += piece.len() as u64;
            }
            Content::Parts { bytes, .. } | Content::Text(bytes) => bytes.extend_from_slice(piece),
        }
        Ok(())
    }

    /// It is all there.
    fn end(&self, name: &str) -> Result<(), String> {
        match &self.content {
            Content::Poison { from, to, .. } if from == to => Ok(()),
            Content::Poison { from, to, .. } => Err(format!("{} bytes too few", to - from)),
            Content::Parts { ranges, boundary, bytes } => parts(bytes, boundary, ranges),
            Content::Text(bytes) if names_only(bytes, name) && owner_of(bytes).is_none() => Ok(()),
            Content::Text(bytes) => Err(format!("a page for {name} with another's: \"{}\"", bytes.escape_ascii())),
        }
    }
}

/// A multipart body has these ranges of the file.
fn parts(bytes: &[u8], boundary: &str, ranges: &[Range<u64>]) -> Result<(), String> {
    let (mut rest, mut before) = (bytes, "");
    for range in ranges {
        let head_end = rest.windows(4).position(|four| four == b"\r\n\r\n").ok_or("a part without a head")? + 4;
        let head = String::from_utf8_lossy(&rest[..head_end]).to_ascii_lowercase();
        let line = format!("\r\ncontent-range: bytes {}/{FILE}\r\n", requests::shown(range));
        if !head.starts_with(&format!("{before}--{boundary}\r\n")) || !head.contains(&line) {
            return Err(format!("no head of the part {range:?}: \"{}\"", head.escape_debug()));
        }
        let len = (range.end - range.start) as usize;
        let content = rest.get(head_end..head_end + len).ok_or("a part that is too short")?;
        requests::file().check(range.start, content)?;
        (rest, before) = (&rest[head_end + len..], "\r\n");
    }
    let end = format!("\r\n--{boundary}--\r\n");
    if rest == end.as_bytes() { Ok(()) } else { Err(format!("behind the parts: \"{}\"", rest.escape_ascii())) }
}

/// Whether all names of requests in some bytes are this one.
pub fn names_only(bytes: &[u8], name: &str) -> bool {
    let starts = bytes.windows(WHOSE.len()).enumerate().filter(|(_, window)| *window == WHOSE.as_bytes());
    starts.map(|(at, _)| at).all(|at| bytes[at..].starts_with(name.as_bytes()))
}

#[test]
fn another_ones_name_is_seen() {
    assert!(names_only(b"a page about whose-1-2. and nothing else", "whose-1-2."));
    assert!(!names_only(b"whose-1-2. and whose-1-22.", "whose-1-2."));
}
