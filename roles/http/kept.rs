//! Files whose content is kept: which ones, and how they answer.
//!
//! ```text
//!   a request for all of a file ──▶ the cache ──fresh──────────────────────────────▶ KeptResponse
//!                                       └── opened ── same state, or small and settled ──▲
//!                                                     └── otherwise ─▶ FileResponse
//! ```
//!
//! A part of a file (`Range`) is always read from the disk. The cache itself is the core's, which knows no headers.

use std::rc::Rc;
use std::time::{Instant, SystemTime};

use crate::file_cache::{FileCache, FileKey};
use crate::http::KeptFile;
use crate::limits;

use super::file::FoundFile;
use super::file_body::{self, FileBody};
use super::file_response::{Asked, Refusal, lines_of};
use super::mime::ContentType;
use super::response::ResponseHead;
use super::status::Status;
use super::validators::{Precondition, Validators};

/// What is kept of a file that was just opened; if nothing is, and it is worth it, it is read.
pub(super) fn of_found(
    files: &mut FileCache,
    key: FileKey<'_>,
    found: &FoundFile,
    content_type: &ContentType,
    now: Instant,
) -> Option<Rc<KeptFile>> {
    if let Some(file) = files.confirm(key, &found.state, now) {
        return Some(file);
    }
    let is_small = found.state.len <= limits::FILE_CACHE_FILE as u64;
    if !is_small || !found.state.is_settled(SystemTime::now()) {
        return None;
    }
    match read(found, content_type) {
        Ok(file) => Some(files.keep(key, file, now)),
        Err(error) => {
            log::debug!("{}: not kept: {error}", key.path);
            None
        }
    }
}

fn read(found: &FoundFile, content_type: &ContentType) -> std::io::Result<KeptFile> {
    let state = found.state;
    let validators = Validators::of(&state, found.coding, u64::MAX);
    let [validator_lines, content_lines] = lines_of(found, content_type, &validators).map(Vec::into);
    let mut content = Vec::new();
    file_body::read(&found.file, &mut content, 0, state.len as usize)?;
    Ok(KeptFile { content: content.into(), state, etag: *validators.etag(), validator_lines, content_lines })
}

/// A response that is a kept file, or about one. Statuses 200 and 304.
pub(super) struct KeptResponse {
    file: Rc<KeptFile>,
    is_modified: bool,
}

impl KeptResponse {
    /// The answer of a file that was asked for by GET or HEAD, and not in part.
    ///
    /// # Errors
    /// [`Refusal`]: its status is to be answered instead.
    pub(super) fn to(asked: &Asked<'_>, file: Rc<KeptFile>) -> Result<KeptResponse, Refusal> {
        match Validators::kept(&file, asked.now).judge(&asked.fields) {
            Precondition::Failed => Err(Refusal::PreconditionFailed),
            judged => Ok(KeptResponse { file, is_modified: judged == Precondition::Proceed }),
        }
    }

    pub(super) fn status(&self) -> Status {
        if self.is_modified { Status::OK } else { Status::NOT_MODIFIED }
    }

    /// Bytes of the body.
    pub(super) fn content_length(&self) -> u64 {
        if self.is_modified { self.file.state.len } else { 0 }
    }

    /// Writes type, length, and what a file's response has beside them.
    pub(super) fn headers<'a>(&self, head: ResponseHead<'a>) -> ResponseHead<'a> {
        let head = if self.is_modified { head.lines(&self.file.content_lines) } else { head };
        head.lines(&self.file.validator_lines)
    }

    pub(super) fn into_body(self) -> FileBody {
        FileBody::of_kept(self.file)
    }
}
