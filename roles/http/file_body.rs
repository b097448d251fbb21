//! The body of a response that is a file: read piece by piece, as the client takes it.
//!
//! ```text
//! FileBody::new(file, range) ──▶ send_behind(head)     head and first piece in one write
//!                                send, send, ..        the rest, whenever the system takes more
//! ```
//!
//! It is one piece of the file, or the pieces and texts of a multipart body, each sent by itself.
//!
//! Invariants: no response holds a piece of its file between two writes; its length never changes on the way, so that a file that grows is sent as
//! long as it was when it was opened, and one that shrinks ends the connection. Counterpart in lws: `lws_serve_http_file_fragment()`.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::rc::Rc;

use rustix::buffer::spare_capacity;

use crate::cx::Cx;
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
}

/// Where its bytes come from.
enum Source {
    Disk(File),
    Kept(Rc<KeptFile>),
}

impl FileBody {
    /// The bytes `range` of `file`.
    pub(super) fn new(file: File, range: Range<u64>) -> FileBody {
        FileBody { source: Source::Disk(file), at: range.start, end: range.end, parts: None }
    }

    /// All of a file whose content is kept.
    pub(super) fn of_kept(file: Rc<KeptFile>) -> FileBody {
        let end = file.content.len() as u64;
        FileBody { source: Source::Kept(file), at: 0, end, parts: None }
    }

    /// Some pieces of `file`, with the texts between them.
    pub(super) fn of_parts(file: File, parts: Box<ByteRanges>) -> FileBody {
        FileBody { source: Source::Disk(file), at: 0, end: 0, parts: Some(parts) }
    }

    /// Sends another piece. `true`: that was the last one.
    pub(super) fn send(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<bool, CloseReason> {
        if !wsi.is_flushed() || !wsi.io.writable() {
            return Ok(false);
        }
        let mut out = std::mem::take(&mut cx.out);
        let sent = self.send_behind(&mut out, wsi, cx);
        out.clear();
        cx.out = out;
        sent
    }

    /// Sends what is in `out`, and a piece of the file behind it in the same write. `true`: that was the last one.
    pub(super) fn send_behind(&mut self, out: &mut Vec<u8>, wsi: &mut Wsi, cx: &mut Cx) -> Result<bool, CloseReason> {
        self.begin_next_part(out);
        let head = out.len();
        let piece = (self.end - self.at).min(limits::HTTP_FILE_CHUNK.min(cx.slice) as u64) as usize;
        match &self.source {
            Source::Disk(file) => read(file, out, self.at, piece).map_err(CloseReason::Lost)?,
            Source::Kept(file) => out.extend_from_slice(&file.content[self.at as usize..][..piece]),
        }
        if wsi.flags.corked && self.parts.is_none() && self.at + piece as u64 == self.end {
            wsi.tx.push(out);
            self.at = self.end;
            return Ok(true);
        }
        let sent = wsi.send(&cx.registry, out)?;
        if sent < head {
            wsi.tx.push(&out[sent..head]);
        }
        self.at += sent.saturating_sub(head) as u64;
        Ok(self.at == self.end && self.parts.is_none())
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
    let end = out.len() + piece;
    out.reserve_exact(piece);
    while out.len() < end {
        let at = from + (out.len() + piece - end) as u64;
        match rustix::io::pread(file, spare_capacity(out), at) {
            Ok(0) => {
                return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "a file became shorter while it was sent"));
            }
            Ok(_) => out.truncate(end),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
