//! The body of a response that is a file: sent piece by piece, as the client takes it.
//!
//! ```text
//! FileBody::new(file, range) ──▶ send_behind(head)     head and first piece in one write
//!                                send, send, ..        the rest, whenever the system takes more: by the system itself (sendfile) where it
//!                                                      can, else read and written
//! ```
//!
//! It is one piece of the file, or the pieces and texts of a multipart body, each sent by itself.
//!
//! Invariants: no response holds a piece of its file between two writes; its length never changes on the way, so that a file that grows is sent as
//! long as it was when it was opened, and one that shrinks ends the connection. Counterpart in lws: `lws_serve_http_file_fragment()`.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use crate::cx::Cx;
use crate::descriptors::OpenFiles;
use crate::http::KeptFile;
use crate::limits;
use crate::role::CloseReason;
use crate::wsi::Wsi;

use super::byteranges::ByteRanges;

/// A file on its way. Nothing of it is held for this response: what the system did not take is read again.
pub(super) struct FileBody {
    source: Source,
    /// What is still to be sent of the piece that is on its way.
    at: u64,
    end: u64,
    /// What comes behind it.
    parts: Option<Box<ByteRanges>>,
    /// The connection ends behind it.
    closes: bool,
}

/// Where its bytes come from.
enum Source {
    Disk {
        file: File,
        /// The system is asked to send it by itself.
        by_system: bool,
        _counted: OpenFiles,
    },
    Kept(Rc<KeptFile>),
}

impl Source {
    fn of(file: File, counted: OpenFiles) -> Source {
        Source::Disk { file, by_system: true, _counted: counted }
    }
}

impl FileBody {
    /// The bytes `range` of `file`.
    pub(super) fn new(file: File, counted: OpenFiles, range: Range<u64>) -> FileBody {
        FileBody { source: Source::of(file, counted), at: range.start, end: range.end, parts: None, closes: false }
    }

    /// All of a file whose content is kept.
    pub(super) fn of_kept(file: Rc<KeptFile>) -> FileBody {
        let end = file.content.len() as u64;
        FileBody { source: Source::Kept(file), at: 0, end, parts: None, closes: false }
    }

    /// Some pieces of `file`, with the texts between them.
    pub(super) fn of_parts(file: File, counted: OpenFiles, parts: Box<ByteRanges>) -> FileBody {
        FileBody { source: Source::of(file, counted), at: 0, end: 0, parts: Some(parts), closes: false }
    }

    /// The connection ends behind it, or goes on.
    pub(super) fn closing(self, closes: bool) -> FileBody {
        FileBody { closes, ..self }
    }

    /// Sends another piece. `true`: that was the last one.
    pub(super) fn send(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<bool, CloseReason> {
        if !wsi.is_flushed() || !wsi.io.writable() {
            return Ok(false);
        }
        if self.send_by_system(wsi, cx)? {
            return Ok(self.at == self.end && self.parts.is_none());
        }
        let mut out = std::mem::take(&mut cx.out);
        let sent = self.send_behind(&mut out, wsi, cx);
        cx.put_back(out);
        sent
    }

    /// Sends what is in `out`, and a piece of the file behind it in the same write. `true`: that was the last one.
    pub(super) fn send_behind(&mut self, out: &mut Vec<u8>, wsi: &mut Wsi, cx: &mut Cx) -> Result<bool, CloseReason> {
        self.begin_next_part(out);
        let head = out.len();
        let piece = (self.end - self.at).min(limits::HTTP_FILE_CHUNK.min(cx.slice) as u64) as usize;
        match &self.source {
            Source::Disk { file, .. } => read(file, out, self.at, piece).map_err(CloseReason::Lost)?,
            Source::Kept(file) => out.extend_from_slice(&file.content[self.at as usize..][..piece]),
        }
        let is_rest = self.parts.is_none() && self.at + piece as u64 == self.end;
        if wsi.flags.corked && is_rest {
            wsi.tx.push(out);
            self.at = self.end;
            return Ok(true);
        }
        let sent = match is_rest && self.closes {
            true => wsi.send_last(&cx.registry, out)?,
            false => wsi.send(&cx.registry, out)?,
        };
        if sent < head {
            wsi.tx.push(&out[sent..head]);
        }
        self.at += sent.saturating_sub(head) as u64;
        Ok(self.at == self.end && self.parts.is_none())
    }

    /// Has the system send more of the piece that is on its way. `false`: there is none, or it does not do that.
    fn send_by_system(&mut self, wsi: &mut Wsi, cx: &Cx) -> Result<bool, CloseReason> {
        let Source::Disk { file, by_system, .. } = &mut self.source else { return Ok(false) };
        let piece = (self.end - self.at).min(limits::HTTP_SENDFILE.min(cx.splice) as u64) as usize;
        if piece == 0 || !*by_system {
            return Ok(false);
        }
        let sent = wsi.send_file(&cx.registry, file, self.at, piece).map_err(became_shorter)?;
        self.at += sent.unwrap_or(0) as u64;
        *by_system = sent.is_some();
        Ok(*by_system)
    }

    /// Where a part is out, or none has begun: goes on to the next one, whose text is added to `out`.
    fn begin_next_part(&mut self, out: &mut Vec<u8>) {
        if self.at == self.end
            && let Some(parts) = &mut self.parts
        {
            match parts.next(out) {
                Some(range) => (self.at, self.end) = (range.start, range.end),
                None => self.parts = None,
            }
        }
    }
}

/// Adds `piece` bytes of `file`, from `from` on, to `out`.
pub(super) fn read(file: &File, out: &mut Vec<u8>, from: u64, piece: usize) -> io::Result<()> {
    let begin = out.len();
    out.resize(begin + piece, 0);
    file.read_exact_at(&mut out[begin..], from).map_err(became_shorter)
}

fn became_shorter(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), "a file became shorter while it was sent"),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes that this thread has read.
    fn bytes_read() -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/io").expect("its counters");
        let count = text.lines().find_map(|line| line.strip_prefix("rchar: "));
        count.and_then(|count| count.parse().ok()).expect("a count")
    }

    #[test]
    fn of_a_piece_no_more_is_read_than_it_has() {
        let mut file = tempfile::tempfile().expect("a file");
        io::Write::write_all(&mut file, &[b'x'; 100_000]).expect("room");
        let mut out = Vec::with_capacity(1024 * 1024);
        out.push(b'>');
        let before = bytes_read();
        read(&file, &mut out, 5, 1).expect("a byte");
        assert!(bytes_read() - before < 10_000);
        assert_eq!(out, b">x");
        let error = read(&file, &mut out, 99_999, 2).expect_err("it ends before");
        assert!(error.to_string().contains("became shorter"), "{error}");
    }
}
