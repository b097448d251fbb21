//! The headers of a part (RFC 7578 4.2, 4.4), line by line.
//!
//! Strict where senders and receivers are known to disagree: each header that says what a part is may be there once, and names must be
//! plain. What other headers say does not count (RFC 7578 4.8).

use std::mem::take;

use super::FormError;
use super::params::{self, BLANKS};
use super::tally::Tally;
use crate::headers::is_token;

/// Headers that are being read.
#[derive(Debug, Default)]
pub(super) struct PartHead {
    /// Of the line that is not complete.
    line: Vec<u8>,
    /// Bytes of all lines.
    length: usize,
    disposition: Option<Disposition>,
    content_type: Option<String>,
}

/// What a part is.
#[derive(Debug)]
pub(super) struct Part {
    pub(super) name: String,
    /// Of files alone.
    pub(super) filename: Option<String>,
    pub(super) content_type: Option<String>,
}

#[derive(Debug)]
struct Disposition {
    name: String,
    filename: Option<String>,
}

impl PartHead {
    /// Takes a byte, and gives what the part is with the last one of the empty line.
    pub(super) fn take(&mut self, byte: u8, tally: &Tally) -> Result<Option<Part>, FormError> {
        self.length += 1;
        tally.part_headers(self.length)?;
        match (self.line.ends_with(b"\r"), byte) {
            (true, b'\n') => {
                self.line.pop();
                let line = take(&mut self.line);
                if line.is_empty() { take(self).into_part().map(Some) } else { self.header(&line).map(|()| None) }
            }
            (true, _) | (false, b'\n') => Err(FormError::LineEnd),
            (false, _) => {
                self.line.push(byte);
                Ok(None)
            }
        }
    }

    #[cfg(test)]
    pub(super) fn kept(&self) -> usize {
        let disposition = self.disposition.as_ref();
        let names = disposition.map_or(0, |of| of.name.capacity() + of.filename.as_ref().map_or(0, String::capacity));
        self.line.capacity() + names + self.content_type.as_ref().map_or(0, String::capacity)
    }

    fn header(&mut self, line: &[u8]) -> Result<(), FormError> {
        if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
            return Err(FormError::BadPart("a control character in its headers"));
        }
        let line = String::from_utf8_lossy(line);
        if line.starts_with(BLANKS) {
            return Err(FormError::BadPart("a header that goes on in a second line"));
        }
        let Some((name, value)) = line.split_once(':').filter(|(name, _)| is_token(name)) else {
            return Err(FormError::BadPart("a header that is not NAME: VALUE"));
        };
        let value = value.trim_matches(BLANKS);
        if name.eq_ignore_ascii_case("content-disposition") {
            let disposition = Disposition::parse(value).map_err(FormError::BadPart)?;
            if self.disposition.replace(disposition).is_some() {
                return Err(FormError::BadPart("two Content-Disposition headers"));
            }
        } else if name.eq_ignore_ascii_case("content-type") {
            if self.content_type.replace(value.to_owned()).is_some() {
                return Err(FormError::BadPart("two Content-Type headers"));
            }
        } else if name.eq_ignore_ascii_case("content-transfer-encoding")
            && !["binary", "8bit", "7bit"].iter().any(|plain| value.eq_ignore_ascii_case(plain))
        {
            return Err(FormError::BadPart("a transfer encoding, which forms do not have (RFC 7578 4.7)"));
        }
        Ok(())
    }

    fn into_part(self) -> Result<Part, FormError> {
        let content_type = self.content_type;
        let Some(Disposition { name, filename }) = self.disposition else {
            return Err(FormError::BadPart("no Content-Disposition"));
        };
        // A file may be of any type: what is in it is not looked at.
        if filename.is_none() && content_type.as_deref().is_some_and(is_multipart) {
            return Err(FormError::BadPart("parts of its own, which forms do not have (RFC 7578 4.3)"));
        }
        Ok(Part { name, filename, content_type })
    }
}

impl Disposition {
    fn parse(value: &str) -> Result<Disposition, &'static str> {
        let (word, params) = params::split(value);
        if !word.eq_ignore_ascii_case("form-data") {
            return Err("a Content-Disposition that is not form-data");
        }
        let (mut name, mut filename, mut has_extended) = (None, None, false);
        for param in params {
            let (param, value) = param?;
            if param.eq_ignore_ascii_case("name") {
                if name.replace(value).is_some() {
                    return Err("two names");
                }
            } else if param.eq_ignore_ascii_case("filename") {
                if filename.replace(value).is_some() {
                    return Err("two file names");
                }
            } else if param.eq_ignore_ascii_case("filename*") {
                has_extended = true;
            }
        }
        if has_extended && filename.is_none() {
            return Err("`filename*` without `filename` (RFC 7578 4.2 has the latter alone)");
        }
        Ok(Disposition { name: name.ok_or("no name")?, filename })
    }
}

fn is_multipart(content_type: &str) -> bool {
    let family = content_type.split('/').next().unwrap_or_default();
    family.trim_matches(BLANKS).eq_ignore_ascii_case("multipart")
}
