//! What is written to a WebSocket.

/// The kind of a write (`enum lws_write_protocol`).
///
/// ```
/// use rlws::WsWrite;
/// let first = WsWrite::TEXT.no_fin(); // LWS_WRITE_TEXT | LWS_WRITE_NO_FIN
/// let last = WsWrite::CONTINUATION;
/// assert_eq!(WsWrite::TEXT.part(true, false), first);
/// assert_eq!(WsWrite::TEXT.part(false, true), last);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WsWrite {
    pub(super) what: What,
    pub(super) fin: bool,
    pub(super) compress: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum What {
    Text,
    Binary,
    Continuation,
    Ping,
    Pong,
}

impl WsWrite {
    /// A message of text, which is UTF-8 (`LWS_WRITE_TEXT`).
    pub const TEXT: WsWrite = WsWrite::whole(What::Text);
    /// A message of bytes (`LWS_WRITE_BINARY`).
    pub const BINARY: WsWrite = WsWrite::whole(What::Binary);
    /// The next part of a message whose first was written with [`WsWrite::no_fin`]; its last one, unless that is said here too
    /// (`LWS_WRITE_CONTINUATION`).
    pub const CONTINUATION: WsWrite = WsWrite::whole(What::Continuation);
    /// A ping, of up to 125 bytes; the peer sends them back (`LWS_WRITE_PING`).
    pub const PING: WsWrite = WsWrite::whole(What::Ping);
    /// A pong that nobody asked for, of up to 125 bytes (`LWS_WRITE_PONG`). Pings are answered without you.
    pub const PONG: WsWrite = WsWrite::whole(What::Pong);

    const fn whole(what: What) -> WsWrite {
        WsWrite { what, fin: true, compress: true }
    }

    /// More of the message comes (`LWS_WRITE_NO_FIN`).
    pub const fn no_fin(self) -> WsWrite {
        WsWrite { fin: false, ..self }
    }

    /// The message is sent as it is, where permessage-deflate was agreed on. Said with its first part.
    pub const fn uncompressed(self) -> WsWrite {
        WsWrite { compress: false, ..self }
    }

    /// A part of a message of this kind, that is its first, its last, both or neither (`lws_write_ws_flags`).
    pub const fn part(self, is_first: bool, is_last: bool) -> WsWrite {
        let what = if is_first { self.what } else { What::Continuation };
        WsWrite { what, fin: is_last, ..self }
    }
}
