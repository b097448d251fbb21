//! Whether a client is let in: its address has not too many connections already, and no protocol is against it.
//!
//! Each connection that a listen socket accepted is asked about once, as soon as its client is known: at accept, or where a balancer made
//! it, when its PROXY header has come.

use crate::cx::Cx;
use crate::peer_limits::Admission;
use crate::protocol::{self, Verdict};
use crate::reason::VhostReason;
use crate::vhost::VhostId;
use crate::wsi::{Peer, Wsi};

/// Whether the connection counts for the limit of its address until it is freed.
pub(crate) type Counted = bool;

/// Why a client is not let in.
pub(crate) enum Refusal {
    /// Its address has as many as it may. The log has heard of it, as often as it is to.
    TooMany,
    /// `FilterNetworkConnection` returned `Close`.
    Filter,
}

impl Cx {
    /// Asks whether a client of a vhost is let in; `at` is whom the log speaks of.
    pub(crate) fn admit(&mut self, at: &Wsi, vhost: VhostId, client: &Peer) -> Result<Counted, Refusal> {
        let admission = self.peer_limits.admit(client);
        if let Admission::Refused { limit } = admission {
            if let Some(count) = self.peer_limits.tell(self.now) {
                log::warn!(
                    "{}: {client} is hung up on: its address has {limit} connections (ip-limit-wsi); {count} so far",
                    self.tag(at)
                );
            }
            return Err(Refusal::TooMany);
        }
        let counted = admission == Admission::Counted;
        if protocol::ask_first(self, vhost, VhostReason::FilterNetworkConnection(client)) == Verdict::Close {
            if counted {
                self.peer_limits.release(client);
            }
            return Err(Refusal::Filter);
        }
        Ok(counted)
    }
}
