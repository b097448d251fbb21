//! What a connection in role `ws` offers to its protocol.

use std::io::IoSlice;

use super::close_code::CloseCode;
use super::session::{Session, WebSocket};
use super::write::WsWrite;
use crate::protocol::Verdict;
use crate::sending::WriteError;
use crate::wsi::Wsi;

/// WebSockets, in role `ws`: from `Established` or `ClientEstablished` to `Closed` or `ClientClosed`.
impl Wsi {
    /// Queues a message, or a part of one, or a ping; all of it or nothing. It is sent right after the callback, and
    /// [`limits::WS_UNCOPIED`](crate::limits::WS_UNCOPIED) bytes and more at once (`lws_write`).
    ///
    /// Beyond a short answer, write from `ServerWriteable` or `ClientWriteable`, which comes when everything before has been sent. Text is UTF-8:
    /// what is not makes the peer close.
    ///
    /// # Errors
    /// [`WriteError::Full`] beyond [`limits::TX`](crate::limits::TX) queued bytes; [`WriteError::OutOfOrder`] for a part that does not belong
    /// there; [`WriteError::NoControlFrame`]; [`WriteError::Finished`] once the close is sent; [`WriteError::Lost`] from the last callbacks of
    /// a connection; [`WriteError::WrongRole`] in other roles.
    pub fn write_ws(&mut self, kind: WsWrite, data: &[u8]) -> Result<(), WriteError> {
        let room = self.tx_room();
        let ends = self.close_reason().is_some();
        let role = self.role_name;
        let Some(WebSocket::Open(session)) = self.ws.as_deref_mut() else { return Err(WriteError::WrongRole { role }) };
        if ends {
            return Err(WriteError::Lost);
        }
        if data.len() > room {
            return Err(WriteError::Full { room });
        }
        let rest = session.sender.write(kind, data, &mut self.tx)?;
        if !rest.is_empty() {
            self.send_behind(rest);
        }
        Ok(())
    }

    /// Says why the WebSocket is closed, and closes it: `return call.wsi.close_with(CloseCode::NORMAL, "bye")` (`lws_close_reason`). Of the text
    /// as many whole characters are sent as fit into 123 bytes. Without this a `Verdict::Close` says 1000. Of
    /// another connection: [`Cx::close_later_with`](crate::Cx::close_later_with).
    pub fn close_with(&mut self, code: CloseCode, text: &str) -> Verdict {
        if let Some(session) = self.session_mut() {
            session.closing = Some((code, text.to_owned()));
        }
        Verdict::Close
    }

    /// Whether what was received is the beginning of a message (`lws_is_first_fragment`). This and the next three are about the piece that
    /// `Receive` or `ClientReceive` brings.
    pub fn is_first_fragment(&self) -> bool {
        self.session().is_some_and(|session| session.place.is_first)
    }

    /// Whether it is the end of one (`lws_is_final_fragment`).
    pub fn is_final_fragment(&self) -> bool {
        self.session().is_some_and(|session| session.place.is_last)
    }

    /// Bytes of the same frame that are still to come (`lws_remaining_packet_payload`); of a compressed one before they are decompressed.
    pub fn remaining_packet_payload(&self) -> u64 {
        self.session().map_or(0, |session| session.place.remaining)
    }

    /// Whether the message is binary, and not text (`lws_frame_is_binary`).
    pub fn frame_is_binary(&self) -> bool {
        self.session().is_some_and(|session| session.place.is_binary)
    }

    /// The subprotocol that client and server agreed on, as the client wrote it.
    pub fn subprotocol(&self) -> Option<&str> {
        self.session()?.subprotocol.as_deref()
    }

    /// Whether permessage-deflate was agreed on.
    pub fn has_deflate(&self) -> bool {
        self.session().is_some_and(|session| session.is_compressed)
    }

    /// Sends what is queued and `rest` behind it in one write, as far as the system takes it now, and queues what is left. For a large `rest`,
    /// which is then not copied. What goes wrong is told by the next flush, which has to follow.
    fn send_behind(&mut self, rest: &[u8]) {
        let mut sent = 0;
        if !self.flags.corked && self.piped.is_empty() && self.io.writable() {
            let both = [IoSlice::new(self.tx.as_slice()), IoSlice::new(rest)];
            sent = self.io.send_vectored(&both).unwrap_or(0);
            self.count_sent(sent);
        }
        let queued = self.tx.len().min(sent);
        self.tx.consume(queued);
        self.tx.push(&rest[sent - queued..]);
    }

    /// What waits of answers, while one may be written: they have room of their own.
    pub(crate) fn answers_queued(&self) -> Option<usize> {
        self.session()?.answers.before_this(self.sent)
    }

    pub(crate) fn session(&self) -> Option<&Session> {
        match self.ws.as_deref() {
            Some(WebSocket::Open(session)) => Some(session),
            _ => None,
        }
    }

    pub(crate) fn session_mut(&mut self) -> Option<&mut Session> {
        match self.ws.as_deref_mut() {
            Some(WebSocket::Open(session)) => Some(session),
            _ => None,
        }
    }
}
