//! Status codes of the closing handshake (RFC 6455 section 7.4).

use std::fmt;

/// Why a WebSocket is closed (`enum lws_close_status`). The names are those of codes that the RFC and its registry give to everybody;
/// [`CloseCode::new`] makes the others that may be sent: 1012 and 1014, and from 3000 to 4999 what libraries have registered and what client and
/// server agree on.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct CloseCode(u16);

impl CloseCode {
    /// What it was made for is done (1000).
    pub const NORMAL: CloseCode = CloseCode(1000);
    /// The server ends, or the page was left (1001).
    pub const GOING_AWAY: CloseCode = CloseCode(1001);
    /// The peer broke the protocol (1002).
    pub const PROTOCOL_ERROR: CloseCode = CloseCode(1002);
    /// It sent a kind of data that is not taken here (1003).
    pub const UNACCEPTABLE_KIND: CloseCode = CloseCode(1003);
    /// Its text is not UTF-8 (1007).
    pub const INVALID_PAYLOAD: CloseCode = CloseCode(1007);
    /// It goes against what is allowed here (1008).
    pub const POLICY_VIOLATION: CloseCode = CloseCode(1008);
    /// Its message is too large (1009).
    pub const TOO_LARGE: CloseCode = CloseCode(1009);
    /// The server did not agree to an extension that the client needs (1010).
    pub const EXTENSION_REQUIRED: CloseCode = CloseCode(1010);
    /// We are broken (1011).
    pub const UNEXPECTED_CONDITION: CloseCode = CloseCode(1011);
    /// We have too much to do for now (1013).
    pub const TRY_AGAIN_LATER: CloseCode = CloseCode(1013);

    /// A code that may be sent; `None` for numbers that are reserved, such as 1005, 1006 and 1015, or of no range (section 7.4.2).
    pub fn new(code: u16) -> Option<CloseCode> {
        matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999).then_some(CloseCode(code))
    }

    /// The number.
    pub fn code(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CloseCode({})", self.0)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
