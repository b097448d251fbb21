//! What is counted about a vhost's connections, for whoever shows it (protocol `lws-status`).
//!
//! ```text
//!   accepted ──▶ judged by its first packet ──▶ in a role ──▶ bound to a protocol ──▶ .. ──▶ freed
//!      +1                  +1                    +1 │ -1            +1 │ -1
//!                                    bytes: as they come and go
//! ```
//!
//! Each connection holds the tally of its vhost, so that counting is an addition wherever it happens, without a look-up; and it takes what it is
//! now along when a name leads it to another vhost. Reading costs as much as there are roles and protocols, however many connections there are.
//! Counterpart in lws: `struct lws_conn_stats`, `lws_json_dump_vhost()`.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use crate::cx::Cx;
use crate::first_packet::Decision;
use crate::roles;
use crate::tls::stream::Tls;
use crate::vhost::{ProtocolIndex, Vhost, VhostId};
use crate::wsi::Wsi;

/// The figures of a vhost since it was made ([`Vhost::tally`](crate::Vhost::tally)).
#[derive(Debug)]
pub struct Tally {
    accepted: Cell<u64>,
    requests: Cell<u64>,
    received: Cell<u64>,
    sent: Cell<u64>,
    roles: Box<[Counter]>,
    protocols: Box<[Counter]>,
    verdicts: [Cell<u64>; VERDICTS.len()],
}

/// How many connections are something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    /// Its name.
    pub name: &'static str,
    /// How many are it now.
    pub now: u64,
    /// How many times one became it.
    pub ever: u64,
}

#[derive(Debug)]
struct Counter {
    name: &'static str,
    now: Cell<u64>,
    ever: Cell<u64>,
}

/// What may be done with a first packet, by the words of the access log.
const VERDICTS: [(Decision, &str); 6] = [
    (Decision::Http, "http"),
    (Decision::TlsHandshake, "tls"),
    (Decision::RedirectToHttps, "redirect"),
    (Decision::ListenAccept, "listen-accept"),
    (Decision::Refuse, "refuse"),
    (Decision::Drop, "drop"),
];

impl Tally {
    pub(crate) fn new(protocols: impl Iterator<Item = &'static str>) -> Rc<Tally> {
        Rc::new(Tally {
            accepted: Cell::default(),
            requests: Cell::default(),
            received: Cell::default(),
            sent: Cell::default(),
            roles: roles::ALL.iter().map(|role| Counter::new(role.name())).collect(),
            protocols: protocols.map(Counter::new).collect(),
            verdicts: Default::default(),
        })
    }

    /// Connections that were accepted. Where vhosts share a listen socket they are those of the first one, for no name is known yet.
    pub fn accepted(&self) -> u64 {
        self.accepted.get()
    }

    /// Requests of http that were answered, or led to a protocol.
    pub fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Bytes from peers; over TLS the decrypted ones, and without those of the first packet that were read before the handshake.
    pub fn received(&self) -> u64 {
        self.received.get()
    }

    /// Bytes to peers, as the system took them; over TLS before they were encrypted.
    pub fn sent(&self) -> u64 {
        self.sent.get()
    }

    /// Its connections by role, all roles there are. Listen sockets are in role `listen`.
    pub fn roles(&self) -> impl Iterator<Item = Count> {
        self.roles.iter().map(Counter::read)
    }

    /// Its connections by protocol, all protocols of the vhost. One of http is bound for a request alone.
    pub fn protocols(&self) -> impl Iterator<Item = Count> {
        self.protocols.iter().map(Counter::read)
    }

    /// What was done with first packets: `http`, `tls` (a handshake, after which the first decrypted bytes are judged again), `redirect` to https,
    /// `listen-accept` (the fallback), `refuse` with a status, and `drop`.
    pub fn verdicts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        VERDICTS.iter().zip(&self.verdicts).map(|((_, name), count)| (*name, count.get()))
    }

    pub(crate) fn note_accepted(&self) {
        add(&self.accepted, 1);
    }

    pub(crate) fn note_request(&self) {
        add(&self.requests, 1);
    }

    pub(crate) fn note_received(&self, bytes: usize) {
        add(&self.received, bytes as u64);
    }

    pub(crate) fn note_verdict(&self, decision: Decision) {
        if let Some(index) = VERDICTS.iter().position(|(verdict, _)| *verdict == decision) {
            add(&self.verdicts[index], 1);
        }
    }

    pub(crate) fn note_bound(&self, protocol: ProtocolIndex) {
        self.protocols.get(usize::from(protocol)).into_iter().for_each(Counter::enter);
    }

    pub(crate) fn note_dropped(&self, protocol: ProtocolIndex) {
        self.protocols.get(usize::from(protocol)).into_iter().for_each(Counter::leave);
    }

    /// `None`: a connection that is in no role yet, or no longer.
    fn role(&self, name: &str) -> Option<&Counter> {
        self.roles.iter().find(|role| role.name == name)
    }
}

impl Counter {
    fn new(name: &'static str) -> Counter {
        Counter { name, now: Cell::default(), ever: Cell::default() }
    }

    fn enter(&self) {
        add(&self.now, 1);
        add(&self.ever, 1);
    }

    fn leave(&self) {
        debug_assert!(self.now.get() > 0, "{}: more have left than came", self.name);
        self.now.set(self.now.get().saturating_sub(1));
    }

    fn read(&self) -> Count {
        Count { name: self.name, now: self.now.get(), ever: self.ever.get() }
    }
}

fn add(cell: &Cell<u64>, more: u64) {
    cell.set(cell.get().wrapping_add(more));
}

impl Wsi {
    pub(crate) fn count_sent(&mut self, bytes: usize) {
        if !self.io.goes_nowhere() {
            self.sent += bytes as u64;
            add(&self.tally.sent, bytes as u64);
        }
    }

    /// Bytes that the system has taken so far; over TLS of ciphertext, for plaintext that waits to be sent there counts as sent.
    pub(crate) fn taken(&self) -> u64 {
        self.io.tls().map_or(self.sent, Tls::pushed)
    }

    /// Bytes that the system has taken or will be given.
    pub(crate) fn handed_over(&self) -> u64 {
        self.sent + (self.tx.len() + self.piped.len()) as u64
    }

    /// It is in another role now.
    pub(crate) fn enter_role(&mut self, name: &'static str) {
        self.leave_role();
        self.tally.role(name).into_iter().for_each(Counter::enter);
        self.role_name = name;
    }

    /// It is in none any more.
    pub(crate) fn leave_role(&mut self) {
        self.tally.role(self.role_name).into_iter().for_each(Counter::leave);
    }

    /// It belongs to another vhost now. No protocol is bound to it.
    pub(crate) fn move_to(&mut self, id: VhostId, vhost: &Vhost) {
        debug_assert!(self.protocol.is_none(), "a protocol is one of its vhost");
        self.tally.role(self.role_name).into_iter().for_each(Counter::leave);
        self.tally = vhost.tally.clone();
        if let Some(role) = self.tally.role(self.role_name) {
            add(&role.now, 1);
        }
        self.vhost = id;
    }
}

impl Cx {
    /// How long this context has been there.
    pub fn uptime(&self) -> Duration {
        self.now.saturating_duration_since(self.began)
    }

    /// A vhost's tally, for a new connection of it.
    pub(crate) fn tally_of(&self, vhost: VhostId) -> Rc<Tally> {
        self.vhost(vhost).map_or_else(|| Tally::new([].into_iter()), |vhost| vhost.tally.clone())
    }
}
