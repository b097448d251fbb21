//! What of a request's body nobody reads: it is taken away, up to [`limits::HTTP_UNREAD_BODY`], so that the next request can be found behind it.

use crate::limits;
use crate::role::CloseReason;

use super::body::{Decoder, Piece};

/// A body that is discarded up to the next request.
pub(super) struct Unread {
    rest: Decoder,
    /// Bytes that it may still have.
    room: usize,
    /// Its response is out, and its time is running.
    pub(super) is_timed: bool,
}

impl Unread {
    pub(super) fn new(rest: Decoder) -> Unread {
        Unread { rest, room: limits::HTTP_UNREAD_BODY, is_timed: false }
    }

    /// How many of the bytes are the body's.
    ///
    /// # Errors
    /// It is malformed, or longer than what is taken away.
    pub(super) fn take(&mut self, bytes: &[u8]) -> Result<usize, CloseReason> {
        let mut at = 0;
        loop {
            let at_fault = |_| CloseReason::PeerFault("its request's body is malformed".into());
            let (taken, piece) = self.rest.decode(&bytes[at..]).map_err(at_fault)?;
            at += taken;
            self.room = self.room.checked_sub(taken).ok_or(CloseReason::Answered("nobody reads its request's body"))?;
            match piece {
                Piece::Data(_) if !self.rest.is_over() => {}
                _ => return Ok(at),
            }
        }
    }

    /// Whether its end has been seen.
    pub(super) fn is_over(&self) -> bool {
        self.rest.is_over()
    }
}
