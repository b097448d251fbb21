//! The body of a response that is a file: read piece by piece, as the client takes it.
//!
//! ```text
//! FileBody::new(file, range) ──▶ send_behind(head)     head and first piece in one write
//!                                send, send, ..        the rest, whenever the system takes more
//! ```
//!
//! It is one piece of the file, or the pieces and texts of a multipart body, each sent by itself.
//!
//! Invariants: nothing of the file is held between two writes; its length never changes on the way, so that a file that grows is sent as
//! long as it was when it was opened, and one that shrinks ends the connection. Counterpart in lws: `lws_serve_http_file_fragment()`.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::buffer::spare_capacity;

use crate::cx::Cx;
use crate::limits;
use crate::role::CloseReason;
use crate::wsi::Wsi;

use super::byteranges::ByteRanges;

/// A file on its way. Nothing of it is held: what the system did not take is read again.
pub(super) struct FileBody {
    file: File,
    /// What is still to be sent of the piece that is on its way.
    at: u64,
    end: u64,
    /// What comes behind it.
    parts: Option<Box<ByteRanges>>,
}

impl FileBody {
    /// The bytes `range` of `file`.
    pub(super) fn new(file: File, range: Range<u64>) -> FileBody {
        FileBody { file, at: range.start, end: range.end, parts: None }
    }

    /// Some pieces of `file`, with the texts between them.
    pub(super) fn of_parts(file: File, parts: Box<ByteRanges>) -> FileBody {
        FileBody { file, at: 0, end: 0, parts: Some(parts) }
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
        self.read(out, piece)?;
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

    fn read(&self, out: &mut Vec<u8>, piece: usize) -> Result<(), CloseReason> {
        let end = out.len() + piece;
        out.reserve_exact(piece);
        while out.len() < end {
            let at = self.at + (out.len() + piece - end) as u64;
            match rustix::io::pread(&self.file, spare_capacity(out), at) {
                Ok(0) => {
                    let what = "a file became shorter while it was sent";
                    return Err(CloseReason::Lost(io::Error::new(io::ErrorKind::UnexpectedEof, what)));
                }
                Ok(_) => out.truncate(end),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(CloseReason::Lost(errno.into())),
            }
        }
        Ok(())
    }
}
