//! Which end of the connection we are.

use super::extension::{Agreed, Window};

/// Clients mask what they send, servers do not (RFC 6455 section 5.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    Server,
    Client,
}

impl Side {
    pub(crate) fn other(self) -> Side {
        match self {
            Side::Server => Side::Client,
            Side::Client => Side::Server,
        }
    }

    /// How this side compresses.
    pub(super) fn own(self, agreed: Agreed) -> Window {
        match self {
            Side::Server => agreed.server,
            Side::Client => agreed.client,
        }
    }
}
