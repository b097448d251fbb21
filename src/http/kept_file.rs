//! What is kept of a small file for its next responses.

use crate::file_cache::FileState;

/// A file's content, and what its responses say of it.
pub(crate) struct KeptFile {
    pub(crate) content: Box<[u8]>,
    /// Its state before it was read.
    pub(crate) state: FileState,
    pub(crate) etag: [u8; 34],
    /// The header lines that tell it from other states of the file.
    pub(crate) validator_lines: Box<[u8]>,
    /// Those that a response with its content has as well: type, length, coding.
    pub(crate) content_lines: Box<[u8]>,
}

impl KeptFile {
    /// What it counts for.
    pub(crate) fn bytes(&self) -> usize {
        self.content.len() + self.validator_lines.len() + self.content_lines.len()
    }
}
