//! How a file answers a request: whole, in part, or as something that the client has already.
//!
//! ```text
//! Found ──preconditions──▶ 304, 412
//!       ──Range, If-Range─▶ 206, 416
//!       ──────────────────▶ 200
//! ```
//!
//! The decisions are those of `validators` and `ranges`; here they become a status, headers and a body. Ranges are for GET alone (RFC
//! 9110 section 14.2). Counterpart in lws: `lws_serve_http_file()`.

use std::fs::File;
use std::ops::Range;

use crate::descriptors::OpenFiles;
use crate::http::HttpRequest;

use super::byteranges::ByteRanges;
use super::encodings::Coding;
use super::fields::{Field, Fields};
use super::file::FoundFile;
use super::file_body::FileBody;
use super::h1::Head;
use super::method::Method;
use super::mime::ContentType;
use super::ranges::{Selection, select};
use super::response::ResponseHead;
use super::status::Status;
use super::validators::{Precondition, Validators};

/// What of a request bears on how a file answers it.
#[derive(Copy, Clone, Debug)]
pub(super) struct Asked<'a> {
    pub(super) fields: Fields<'a>,
    /// GET and HEAD ask for the file. With other methods conditions are not about it: a protocol only answers with it.
    method: Option<Method>,
    /// The second that the response's `Date` says, since 1970.
    pub(super) now: u64,
}

impl<'a> Asked<'a> {
    /// Whether a part of the file may be wanted.
    pub(super) fn in_part(&self) -> bool {
        self.fields.has(Field::Range)
    }

    pub(super) fn of_head(head: &Head<'a>, now: u64) -> Asked<'a> {
        Asked { fields: head.fields, method: Some(head.method), now }
    }

    pub(super) fn of_request(request: &'a HttpRequest, now: u64) -> Asked<'a> {
        let mut fields = Fields::of(request.head());
        request.headers().for_each(|(name, _)| fields.note(name));
        Asked { fields, method: Method::from_name(request.method()), now }
    }
}

/// A response that is a file, or about one. Statuses 200, 206 and 304; 404 for the document that a vhost has for it.
pub(super) struct FileResponse {
    status: Status,
    file: File,
    /// Its length.
    complete: u64,
    part: Part,
    /// `None`: it answers for no file that was asked for.
    validators: Option<Validators>,
    coding: Coding,
    /// Another client may get another coding.
    varies: bool,
}

enum Part {
    Bytes(Range<u64>),
    Several(Box<ByteRanges>),
}

/// Why the file is not sent.
#[derive(Copy, Clone, PartialEq, Eq, Debug)]
pub(super) enum Refusal {
    /// 412
    PreconditionFailed,
    /// 416, for a file of so many bytes.
    Unsatisfiable(u64),
}

impl FileResponse {
    /// The answer of a file.
    ///
    /// # Errors
    /// [`Refusal`]: its status is to be answered instead.
    pub(super) fn to(asked: &Asked<'_>, found: FoundFile, content_type: &ContentType) -> Result<FileResponse, Refusal> {
        if !matches!(asked.method, Some(Method::Get | Method::Head)) {
            return Ok(FileResponse::document(Status::OK, found));
        }
        let FoundFile { file, state, coding, varies } = found;
        let validators = Validators::of(&state, coding, asked.now);
        let not_modified = match validators.judge(&asked.fields) {
            Precondition::Failed => return Err(Refusal::PreconditionFailed),
            Precondition::NotModified => true,
            Precondition::Proceed => false,
        };
        let wanted = asked.fields.value(Field::Range);
        let wanted = wanted
            .filter(|_| asked.method == Some(Method::Get) && !not_modified && validators.allow_range(&asked.fields));
        let complete = state.len;
        let (status, part) = match wanted.map_or(Selection::Whole, |value| select(value, complete)) {
            Selection::Whole if not_modified => (Status::NOT_MODIFIED, Part::Bytes(0..0)),
            Selection::Whole => (Status::OK, Part::Bytes(0..complete)),
            Selection::One(range) => (Status::PARTIAL_CONTENT, Part::Bytes(range)),
            Selection::Several(ranges) => {
                let parts = ByteRanges::new(ranges, complete, content_type.clone());
                (Status::PARTIAL_CONTENT, Part::Several(Box::new(parts)))
            }
            Selection::Unsatisfiable => return Err(Refusal::Unsatisfiable(complete)),
        };
        Ok(FileResponse { status, file, complete, part, validators: Some(validators), coding, varies })
    }

    /// All of a file, with any status, whatever was asked for.
    pub(super) fn document(status: Status, found: FoundFile) -> FileResponse {
        let FoundFile { file, state, coding, varies } = found;
        let part = Part::Bytes(0..state.len);
        FileResponse { status, file, complete: state.len, part, validators: None, coding, varies }
    }

    pub(super) fn status(&self) -> Status {
        self.status
    }

    /// What the mount says of keeping its files goes with it.
    pub(super) fn is_cacheable(&self) -> bool {
        self.validators.is_some()
    }

    /// The type of the body, where it is not the file's own.
    pub(super) fn content_type(&self) -> Option<ContentType> {
        match &self.part {
            Part::Several(parts) => Some(ContentType::OfMount(parts.content_type().into())),
            Part::Bytes(_) => None,
        }
    }

    /// Bytes of the body.
    pub(super) fn content_length(&self) -> u64 {
        match &self.part {
            Part::Bytes(range) => range.end - range.start,
            Part::Several(parts) => parts.len(),
        }
    }

    /// Writes what a file's response has beside length and type, in the order of one that is kept. A 304 has what a 200 would have had, as far as caches want it (RFC 9110
    /// section 15.4.5).
    pub(super) fn headers<'a>(&self, mut head: ResponseHead<'a>) -> ResponseHead<'a> {
        if self.status != Status::NOT_MODIFIED {
            head = self.content_headers(head);
        }
        if let Some(validators) = &self.validators {
            head = validators.headers(head);
        }
        if self.varies { varies(head) } else { head }
    }

    fn content_headers<'a>(&self, head: ResponseHead<'a>) -> ResponseHead<'a> {
        let head = coded(head, self.coding);
        match &self.part {
            Part::Bytes(range) if self.status == Status::PARTIAL_CONTENT => head.content_range(range, self.complete),
            _ if self.validators.is_some() => accepts_ranges(head),
            _ => head,
        }
    }

    /// Its body, which is `counted` for as long as it holds its file open.
    pub(super) fn into_body(self, counted: OpenFiles) -> FileBody {
        match self.part {
            Part::Bytes(range) => FileBody::new(self.file, counted, range),
            Part::Several(parts) => FileBody::of_parts(self.file, counted, parts),
        }
    }
}

/// What a file that is kept says of itself in every response: what stands in all of them, and what only those with its content have.
pub(super) fn lines_of(found: &FoundFile, content_type: &ContentType, validators: &Validators) -> [Vec<u8>; 2] {
    let (mut always, mut with_content) = (Vec::new(), Vec::new());
    let head = validators.headers(ResponseHead::piece(&mut always));
    let _ = if found.varies { varies(head) } else { head };
    let head = ResponseHead::piece(&mut with_content).typed(content_type).content_length(found.state.len);
    let _ = accepts_ranges(coded(head, found.coding));
    [always, with_content]
}

fn varies(head: ResponseHead<'_>) -> ResponseHead<'_> {
    head.header("Vary", b"Accept-Encoding")
}

fn coded(head: ResponseHead<'_>, coding: Coding) -> ResponseHead<'_> {
    match coding.name() {
        Some(name) => head.header("Content-Encoding", name.as_bytes()),
        None => head,
    }
}

fn accepts_ranges(head: ResponseHead<'_>) -> ResponseHead<'_> {
    head.header("Accept-Ranges", b"bytes")
}
