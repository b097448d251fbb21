//! What an access log will say about a connection that is not http: gathered on the way, written as one line when it is freed.
//!
//! ```text
//!   accepted, adopted ──▶ judged (which way it goes, and why) ──▶ in a role, with a protocol ──▶ ended (who, how) ──▶ a line
//!                            │
//!                            └── http: forgotten; each request has a line of its own
//! ```
//!
//! There are facts only where a vhost of the listen socket has a log. The line goes to the log of the vhost that the connection belongs to
//! when it ends. A relayed pair has one: the half towards the client has it, and is told what it has to know of the other half.
//! Counterpart in lws: none; its access log is about http alone.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

use socket2::SockRef;

use crate::access_line::{Stamp, push_quoted, push_word};
use crate::access_log::AccessLog;
use crate::cx::Cx;
use crate::limits;
use crate::role::{Binding, CloseReason};
use crate::tls::stream::Tls;
use crate::transport::{Medium, Piped, Received, Transport};
use crate::vhost::VhostId;
use crate::vhost_info::Listen;
use crate::wsi::{Origin, Peer, Wsi, WsiId};

/// What is known of a connection.
pub(crate) struct Facts {
    began: Instant,
    verdict: &'static str,
    why: &'static str,
    role: &'static str,
    protocol: Option<&'static str>,
    onward: Option<Box<str>>,
    /// A balancer that may name its clients has made it, and has named none.
    is_balancers_own: bool,
    /// Bytes from the peer; over TLS the decrypted ones, or those of a handshake that was not done.
    received: u64,
    first: Option<Closer>,
    how: Option<Box<str>>,
    ended: Option<Ended>,
}

/// Who ended first: said so, failed, or hung up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Closer {
    Client,
    /// The onward server of a relay.
    Server,
    Us,
}

struct Ended {
    log: AccessLog,
    listener: String,
    after: Duration,
}

impl fmt::Display for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Closer::Client => "client",
            Closer::Server => "server",
            Closer::Us => "us",
        })
    }
}

impl Facts {
    fn new(began: Instant, origin: Origin, first: Binding) -> Facts {
        let (verdict, why) = match (origin, first.protocol) {
            (Origin::Adopted, _) => ("adopt", "-"),
            (_, Some(_)) => ("listen-accept", "apply"),
            _ => ("wait", "-"),
        };
        Facts {
            began,
            verdict,
            why,
            role: "-",
            protocol: None,
            onward: None,
            is_balancers_own: false,
            received: 0,
            first: None,
            how: None,
            ended: None,
        }
    }

    pub(crate) fn note_received(&mut self, received: &Received) {
        match received {
            Received::Bytes(n) => self.received += *n as u64,
            Received::Eof => self.note_first(Closer::Client),
            Received::Blocked => {}
        }
    }

    pub(crate) fn note_readbuf(&mut self, len: usize) {
        self.received += len as u64;
    }

    pub(crate) fn note_first(&mut self, who: Closer) {
        self.first.get_or_insert(who);
    }

    /// What became of the other half of the relay.
    pub(crate) fn note_partner_ended(&mut self, reason: &CloseReason) {
        if matches!(reason, CloseReason::PartnerGone) {
            return;
        }
        if let Some(who) = at_fault(reason, Closer::Server) {
            self.note_first(who);
        }
        self.note_how(&reason.to_string());
    }

    pub(crate) fn note_how(&mut self, how: &str) {
        self.how.get_or_insert_with(|| how.into());
    }

    /// Whether a balancer has looked if we are there, and went without a word.
    fn is_health_check(&self, sent: u64) -> bool {
        self.is_balancers_own && (self.received, sent) == (0, 0) && self.first == Some(Closer::Client)
    }

    fn write(&self, ended: &Ended, began: Stamp, peer: &Peer, sent: u64, out: &mut Vec<u8>) {
        let Ended { listener, after, .. } = ended;
        let mut say = |text: fmt::Arguments<'_>| out.write_fmt(text).expect("a Vec takes everything");
        // No request's line has anything there: nobody can say who a peer is.
        say(format_args!("{peer} raw - ["));
        out.extend_from_slice(&began);
        out.extend_from_slice(b"] \"RAW ");
        push_word(out, Some(listener));
        out.extend_from_slice(format!(" {}/{}\"", self.verdict, self.why).as_bytes());
        for word in [Some(self.role), self.protocol, self.onward.as_deref()] {
            out.push(b' ');
            push_word(out, word);
        }
        let first = self.first.unwrap_or(Closer::Us);
        let (seconds, millis) = (after.as_secs(), after.subsec_millis());
        let mut say = |text: fmt::Arguments<'_>| out.write_fmt(text).expect("a Vec takes everything");
        say(format_args!(" {} {sent} {seconds}.{millis:03} {first} ", self.received));
        push_quoted(out, self.how.as_deref().map(str::as_bytes));
    }
}

/// Who ended a connection first, if that is not known from before.
fn at_fault(reason: &CloseReason, peer: Closer) -> Option<Closer> {
    match reason {
        CloseReason::PeerClosed | CloseReason::Lost(_) => Some(peer),
        CloseReason::PartnerGone => Some(Closer::Server),
        // Both sides had said their ends before.
        CloseReason::Done => None,
        _ => Some(Closer::Us),
    }
}

impl Wsi {
    /// Reads, and counts.
    pub(crate) fn recv(&mut self, buf: &mut [u8]) -> std::io::Result<Received> {
        let received = self.io.recv(buf)?;
        self.count_received(&received);
        Ok(received)
    }

    /// The same for a first look at what it sends: to be found in `rx`, behind what waits there.
    pub(crate) fn recv_first(&mut self, buf: &mut [u8]) -> std::io::Result<Received> {
        if !self.io.readable() {
            return Ok(Received::Blocked);
        }
        let received = self.recv(&mut buf[..limits::FIRST_READ])?;
        if let Received::Bytes(n) = received {
            self.rx.push(&buf[..n]);
        }
        Ok(received)
    }

    /// The same through the kernel.
    pub(crate) fn recv_piped(&mut self, piped: &mut Piped, most: usize) -> std::io::Result<Received> {
        let received = self.io.recv_piped(piped, most)?;
        self.count_received(&received);
        Ok(received)
    }

    fn count_received(&mut self, received: &Received) {
        if let Received::Bytes(n) = received {
            self.tally.note_received(*n);
        }
        if let Some(facts) = &mut self.facts {
            facts.note_received(received);
        }
    }

    /// Which way it goes, and why.
    pub(crate) fn judged(&mut self, verdict: &'static str, why: &'static str) {
        if let Some(facts) = &mut self.facts {
            (facts.verdict, facts.why) = (verdict, why);
        }
    }

    /// What was received before was not for a protocol: it was of TLS, or a PROXY header. What waits is.
    pub(crate) fn begins_anew(&mut self) {
        if let Some(facts) = &mut self.facts {
            facts.received = self.rx.len() as u64;
        }
    }

    /// A balancer made it that is trusted to name its clients: for itself, until it has named one.
    pub(crate) fn is_balancers_own(&mut self, is_its_own: bool) {
        if let Some(facts) = &mut self.facts {
            facts.is_balancers_own = is_its_own;
        }
    }

    pub(crate) fn goes_onward(&mut self, to: impl fmt::Display) {
        if let Some(facts) = &mut self.facts {
            facts.onward = Some(to.to_string().into());
        }
    }
}

impl Cx {
    /// The facts of a new connection, where there may be a log for them.
    pub(crate) fn facts_of(
        &self,
        vhost: VhostId,
        io: &Transport,
        origin: Origin,
        first: Binding,
    ) -> Option<Box<Facts>> {
        let logged = match origin {
            Origin::Accepted => self.group_of(vhost)?.logged,
            Origin::Adopted => io.medium() == Medium::Stream && self.vhost(vhost)?.access_log.is_some(),
            Origin::Listening | Origin::Client => false,
        };
        logged.then(|| Box::new(Facts::new(self.now, origin, first)))
    }

    pub(crate) fn note_role(&self, wsi: &mut Wsi, binding: Binding) {
        let protocol = binding.protocol.and_then(|index| self.enabled(wsi.vhost, index));
        if let Some(facts) = wsi.facts.as_mut().filter(|facts| facts.ended.is_none()) {
            facts.role = binding.role.name();
            facts.protocol = protocol.map(|enabled| enabled.table.name);
        }
    }

    /// A connection ends; it may still have bytes to send.
    pub(crate) fn note_end(&self, wsi: &mut Wsi, reason: &CloseReason) {
        if wsi.facts.as_ref().is_none_or(|facts| facts.ended.is_some()) {
            return;
        }
        let Some(mut facts) = wsi.facts.take() else { return };
        let Some(log) = self.vhost(wsi.vhost).and_then(|vhost| vhost.access_log.clone()) else { return };
        if let Some((pulled, pushed)) = wsi.io.tls().and_then(Tls::of_handshake) {
            facts.received += pulled;
            wsi.sent += pushed;
        }
        let who = if wsi.io.hung_up() { Some(Closer::Client) } else { at_fault(reason, Closer::Client) };
        if let Some(who) = who {
            facts.note_first(who);
        }
        facts.note_how(&reason.to_string());
        let after = self.now.saturating_duration_since(facts.began);
        facts.ended = Some(Ended { log, listener: self.listener_of(wsi.vhost, &wsi.io), after });
        wsi.facts = Some(facts);
    }

    /// The last of it: everything has been sent that will be.
    pub(crate) fn log_facts(&mut self, wsi: &mut Wsi) {
        if let Some(facts) = wsi.facts.take()
            && let Some(ended) = &facts.ended
            && !facts.is_health_check(wsi.sent)
        {
            let began = self.logs.stamp(self.now, facts.began);
            self.logs.append(&ended.log, |out| facts.write(ended, began, &wsi.peer, wsi.sent, out));
        }
    }

    /// A protocol does not want a connection (`FilterNetworkConnection`), for which nothing was made.
    pub(crate) fn log_filtered(&mut self, vhost: VhostId, first: Binding, io: &Transport, peer: &Peer) {
        let Some(log) = self.vhost(vhost).and_then(|vhost| vhost.access_log.clone()) else { return };
        let listener = self.listener_of(vhost, io);
        let mut facts = Facts::new(self.now, Origin::Accepted, first);
        (facts.verdict, facts.why, facts.role) = ("drop", "filter", "listen");
        facts.note_how(&CloseReason::by_protocol().to_string());
        let ended = Ended { log: log.clone(), listener, after: Duration::ZERO };
        let began = self.logs.stamp(self.now, facts.began);
        self.logs.append(&log, |out| facts.write(&ended, began, peer, 0, out));
    }

    /// For connections that are still sending when the context goes.
    pub(crate) fn log_all_facts(&mut self) {
        let all: Vec<WsiId> = self.slots.iter().filter(|wsi| wsi.facts.is_some()).map(Wsi::id).collect();
        for id in all {
            if let Some(mut wsi) = self.slots.take(id) {
                self.log_facts(&mut wsi);
                self.slots.put_back(wsi);
            }
        }
    }

    /// The address of ours that the peer connected to.
    fn listener_of(&self, vhost: VhostId, io: &Transport) -> String {
        let local = io.fd().and_then(|fd| SockRef::from(&fd).local_addr().ok()?.as_socket());
        let listen = || match self.vhost(vhost).and_then(|vhost| vhost.listener).and_then(|id| self.group(id)) {
            Some(group) if matches!(group.listen, Listen::Unix { .. }) => group.listen.to_string(),
            _ => "-".to_owned(),
        };
        local.map_or_else(listen, |address| Peer::tcp(address).to_string())
    }
}
