//! Whether a client is let in: its address has not too many connections already, and no protocol is against it.
//!
//! Each connection that a listen socket accepted is asked about once, as soon as its client is known: at accept, or where a balancer made
//! it, when its PROXY header has come.
//!
//! Who is let in may still have nothing to say. Of an address only so many may be there that have not said what they want; beyond, the one
//! goes that has been there longest, and has still said nothing when it is looked at a last time. A flood so loses its own connections,
//! while who speaks at once is through before its turn to go comes. Who is refused holds its place until it has gone. In lws there is no such limit.

use std::mem;

use crate::cx::Cx;
use crate::deferred::Deferred;
use crate::peer_limits::Admission;
use crate::protocol::{self, Verdict};
use crate::reason::VhostReason;
use crate::role::{Binding, CloseReason};
use crate::vhost::VhostId;
use crate::wsi::{Peer, Wsi, WsiId};

/// A client is let in. What of it counts is for its connection to keep: [`Cx::welcome`], or [`Cx::turn_away`] where there is to be none.
#[must_use]
pub(crate) struct Admitted {
    /// For the limit of its address, until its connection is freed.
    counts: bool,
}

/// Why a client is not let in.
pub(crate) enum Refusal {
    /// Its address has as many as it may. The log has heard of it, as often as it is to.
    TooMany,
    /// `FilterNetworkConnection` returned `Close`.
    Filter,
}

impl Cx {
    /// Asks whether a client of a vhost is let in; `at` is whom the log speaks of.
    pub(crate) fn admit(&mut self, at: &Wsi, vhost: VhostId, client: &Peer) -> Result<Admitted, Refusal> {
        let admission = self.peer_limits.admit(client);
        if let Admission::Refused { limit } = admission {
            let told = self.warned.too_many.tell(self.now);
            told.log(format_args!(
                "{}: {client} is hung up on: its address has {limit} connections (ip-limit-wsi)",
                self.tag(at)
            ));
            return Err(Refusal::TooMany);
        }
        let admitted = Admitted { counts: admission == Admission::Counted };
        if protocol::ask_first(self, vhost, VhostReason::FilterNetworkConnection(client)) == Verdict::Close {
            self.turn_away(admitted, client);
            return Err(Refusal::Filter);
        }
        Ok(admitted)
    }

    /// A client that was let in has its connection, which begins as `first`.
    pub(crate) fn welcome(&mut self, wsi: &mut Wsi, admitted: Admitted, first: Binding) {
        wsi.flags.counted = admitted.counts;
        let Some(most) = self.most_undecided().filter(|_| first.role.is_undecided()) else { return };
        wsi.flags.undecided = true;
        if let Some(oldest) = self.peer_limits.begin_undecided(&wsi.peer, wsi.id, most) {
            self.deferred.push_back(Deferred::Undecided(oldest));
        }
    }

    /// It has none after all.
    pub(crate) fn turn_away(&mut self, admitted: Admitted, client: &Peer) {
        if admitted.counts {
            self.peer_limits.release(client);
        }
    }

    /// A connection has said what it wants, or is over.
    pub(crate) fn decided(&mut self, wsi: &mut Wsi) {
        if mem::take(&mut wsi.flags.undecided) {
            self.peer_limits.end_undecided(&wsi.peer, wsi.id);
        }
    }

    /// Hangs up on who has still not said what it wants: newer ones of its address wait.
    pub(crate) fn make_room_of(&mut self, id: WsiId) {
        // What it has said meanwhile counts; it may not have had a turn yet.
        self.look_at(id);
        let Some(wsi) = self.slots.get_mut(id).filter(|wsi| wsi.flags.undecided) else { return };
        let has_ended = wsi.flags.draining;
        if !has_ended {
            // A flood fills no log.
            wsi.facts = None;
        }
        let told = self.warned.undecided.tell(self.now);
        if let (Some(wsi), Some(most)) = (self.slots.get(id), self.most_undecided()) {
            told.log(format_args!(
                "{}: it is hung up on: its address has {most} newer connections that have not said what they want (ip-limit-undecided)",
                self.tag(wsi)
            ));
        }
        match has_ended {
            true => self.cut_off(id),
            false => self.close_now(id, CloseReason::Timeout("others of its address wait to be looked at")),
        }
    }

    /// Connections of one address that may not have said what they want; `None`: as many as there are.
    fn most_undecided(&self) -> Option<usize> {
        match self.info.ip_limit_undecided {
            Some(0) => None,
            Some(most) => Some(most as usize),
            None => Some(self.most_connections / 2),
        }
    }
}
