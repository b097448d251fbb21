//! `multipart/form-data`: RFC 7578, with the boundaries of RFC 2046 5.1.
//!
//! ```text
//!               ┌──────────────────────────────────────────┐
//!               ▼                                          │ boundary
//!   Preamble ─▶ Line ── CRLF ──▶ Head ── empty line ──▶ Field, File
//!     boundary   │
//!                └── `--` ──▶ Epilogue
//! ```
//!
//! Preamble and epilogue are passed over (RFC 2046 5.1.1). Behind a boundary there may be blanks, and then nothing but CRLF; `--` makes it
//! the last one. So data that starts as a boundary does, and goes on, is an error, and no question of who reads it how.

use super::delimiter::Delimiter;
use super::part_head::{Part, PartHead};
use super::tally::{OnEvent, Tally};
use super::{FormError, FormEvent, params};

/// Characters of a boundary (RFC 2046 5.1.1).
const BOUNDARY: usize = 70;

#[derive(Debug)]
pub(super) struct Multipart {
    delimiter: Delimiter,
    state: State,
}

/// What is being read.
#[derive(Debug)]
enum State {
    Preamble,
    Line(Line),
    Head(PartHead),
    Field {
        name: String,
        value: Vec<u8>,
    },
    /// A file, of which so many bytes have come.
    File(u64),
    Epilogue,
}

/// How much has come of what is behind a boundary.
#[derive(Debug, Clone, Copy)]
enum Line {
    Nothing,
    Dash,
    /// Blanks, or nothing behind `--`.
    Blanks {
        last: bool,
    },
    Cr {
        last: bool,
    },
}

impl Multipart {
    /// With the parameters of the content type.
    pub(super) fn new(params: params::Params<'_>) -> Result<Multipart, FormError> {
        let boundary = boundary(params).map_err(FormError::BadContentType)?;
        Ok(Multipart { delimiter: Delimiter::new(boundary.as_bytes()), state: State::Preamble })
    }

    pub(super) fn take(&mut self, mut bytes: &[u8], tally: &mut Tally, on_event: OnEvent<'_>) -> Result<(), FormError> {
        while let Some((&first, rest)) = bytes.split_first() {
            match &mut self.state {
                State::Preamble | State::Field { .. } | State::File(_) => {
                    bytes = self.content(bytes, tally, on_event)?;
                    continue;
                }
                State::Line(line) => {
                    let line = *line;
                    self.state = line.take(first)?;
                }
                State::Head(head) => {
                    if let Some(part) = head.take(first, tally)? {
                        self.begin(part, tally, on_event)?;
                    }
                }
                State::Epilogue => return Ok(()),
            }
            bytes = rest;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<(), FormError> {
        match self.state {
            State::Epilogue | State::Line(Line::Blanks { last: true }) => Ok(()),
            _ => Err(FormError::Truncated),
        }
    }

    /// Bytes that are kept of the body.
    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        match &self.state {
            State::Head(head) => head.kept(),
            State::Field { name, value } => name.capacity() + value.capacity(),
            State::Preamble | State::Line(_) | State::File(_) | State::Epilogue => 0,
        }
    }

    fn begin(&mut self, part: Part, tally: &mut Tally, on_event: OnEvent<'_>) -> Result<(), FormError> {
        let Part { name, filename, content_type } = part;
        tally.name(name.len())?;
        self.state = match filename {
            None => {
                tally.field()?;
                State::Field { name, value: Vec::new() }
            }
            Some(filename) => {
                tally.file()?;
                let content_type = content_type.as_deref();
                on_event(FormEvent::FileBegin { name: &name, filename: &filename, content_type })?;
                State::File(0)
            }
        };
        self.delimiter.start_line();
        Ok(())
    }

    /// Takes bytes up to the next boundary, and returns those behind it.
    fn content<'b>(
        &mut self,
        bytes: &'b [u8],
        tally: &mut Tally,
        on_event: OnEvent<'_>,
    ) -> Result<&'b [u8], FormError> {
        let found = self.delimiter.search(bytes);
        for data in [self.delimiter.bytes(found.released), found.data] {
            match &mut self.state {
                State::Field { value, .. } => {
                    tally.value(value.len() + data.len())?;
                    value.extend_from_slice(data);
                }
                State::File(length) => {
                    let (data, rest) = tally.file_data(*length, data);
                    *length += data.len() as u64;
                    if !data.is_empty() {
                        on_event(FormEvent::FileData(data))?;
                    }
                    rest?;
                }
                _ => {}
            }
        }
        let Some(rest) = found.rest else {
            return Ok(&[]);
        };
        match std::mem::replace(&mut self.state, State::Line(Line::Nothing)) {
            State::Field { name, value } => {
                let value = String::from_utf8_lossy(&value);
                tally.text(name.len() + value.len())?;
                on_event(FormEvent::Field { name: &name, value: &value })?;
            }
            State::File(_) => on_event(FormEvent::FileEnd)?,
            _ => {}
        }
        Ok(rest)
    }
}

impl Line {
    fn take(self, byte: u8) -> Result<State, FormError> {
        Ok(State::Line(match (self, byte) {
            (Line::Nothing, b'-') => Line::Dash,
            (Line::Dash, b'-') => Line::Blanks { last: true },
            (Line::Nothing, b' ' | b'\t') => Line::Blanks { last: false },
            (Line::Blanks { last }, b' ' | b'\t') => Line::Blanks { last },
            (Line::Nothing, b'\r') => Line::Cr { last: false },
            (Line::Blanks { last }, b'\r') => Line::Cr { last },
            (Line::Cr { last: false }, b'\n') => return Ok(State::Head(PartHead::default())),
            (Line::Cr { last: true }, b'\n') => return Ok(State::Epilogue),
            _ => return Err(FormError::AfterBoundary),
        }))
    }
}

/// The boundary that a content type names.
fn boundary(params: params::Params<'_>) -> Result<String, &'static str> {
    let mut boundary = None;
    for param in params {
        let (name, value) = param?;
        if name.eq_ignore_ascii_case("boundary") && boundary.replace(value).is_some() {
            return Err("two boundaries");
        }
    }
    let boundary = boundary.ok_or("no boundary")?;
    if boundary.is_empty() || boundary.len() > BOUNDARY {
        return Err("a boundary that is not of 1 to 70 characters (RFC 2046 5.1.1)");
    }
    let may_be_in_it = |c: char| c.is_ascii_alphanumeric() || "'()+_,-./:=? ".contains(c);
    if !boundary.chars().all(may_be_in_it) || boundary.ends_with(' ') {
        return Err("a boundary with characters that none may have (RFC 2046 5.1.1)");
    }
    Ok(boundary)
}
