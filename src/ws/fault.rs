//! What a peer did wrong, or wants and does not get.

use super::close_code::CloseCode;

/// Why a WebSocket is given up: what the peer is told, and what the log says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) code: CloseCode,
    pub(crate) what: &'static str,
}

impl Fault {
    pub(crate) const fn protocol(what: &'static str) -> Fault {
        Fault { code: CloseCode::PROTOCOL_ERROR, what }
    }

    pub(crate) const fn payload(what: &'static str) -> Fault {
        Fault { code: CloseCode::INVALID_PAYLOAD, what }
    }

    pub(crate) const fn policy(what: &'static str) -> Fault {
        Fault { code: CloseCode::POLICY_VIOLATION, what }
    }

    /// It is not the peer's.
    pub(crate) const fn busy(what: &'static str) -> Fault {
        Fault { code: CloseCode::TRY_AGAIN_LATER, what }
    }

    pub(crate) const fn too_large(what: &'static str) -> Fault {
        Fault { code: CloseCode::TOO_LARGE, what }
    }
}
