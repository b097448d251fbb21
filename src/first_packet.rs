//! The first packet: what is done with a new connection, as one table.
//!
//! ```text
//!   Accept --> decide --+--> ListenAccept, Http, RedirectToHttps, Refuse, Drop
//!                ^      |
//!                |      +--> TlsHandshake --.
//!                |      |                   |
//!                |      '--> Wait ----------+
//!                |                          |
//!                '-- Rx, Eof, Silence, -----'
//!                    Timeout
//! ```
//!
//! The roles ask at each [`Moment`] and do what the [`Decision`] says; they have no rules of their
//! own. The options that count are those of the first vhost of the listen socket, as no name is
//! known yet; after a handshake, those of the vhost that SNI chose.
//!
//! Invariants: a pure function; some row answers every question, and every row answers one. Once
//! received bytes have led to anything but [`Decision::Wait`], more of them lead to the same.
//!
//! lws: the rules are spread over `lws_adopt_descriptor_vhost()`,
//! `lws_server_socket_service_ssl()` and the callers of `lws_http_to_fallback()`.

use crate::classify::{Class, classify};
use crate::options::Options;

/// What a connection came in by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listener {
    /// A listen socket without TLS.
    Plain,
    /// A listen socket of vhosts with certificates.
    Tls,
    /// As `Tls`, and the handshake is done: the bytes are the decrypted ones.
    TlsEstablished,
}

/// When the table is asked, with all bytes received so far.
#[derive(Debug, Clone, Copy)]
pub enum Moment<'a> {
    /// The connection was just accepted; nothing is looked at.
    Accept,
    /// Bytes came, and more may follow.
    Rx(&'a [u8]),
    /// The peer ended its side: these are all.
    Eof(&'a [u8]),
    /// `fallback-silence-ms` went by: the peer may be waiting for us to speak first.
    Silence(&'a [u8]),
    /// `timeout-secs` went by undecided.
    Timeout,
}

impl Moment<'_> {
    /// Its name in an access log.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Moment::Accept => "apply",
            Moment::Rx(_) => "match",
            Moment::Eof(_) => "eof",
            Moment::Silence(_) => "silence",
            Moment::Timeout => "timeout",
        }
    }
}

/// What to do with the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    /// Nothing yet: ask again at the next moment.
    Wait,
    /// Serve http, over what the bytes came by: plain, or the established TLS.
    Http,
    /// Do the TLS handshake; ALPN and SNI say what follows.
    TlsHandshake,
    /// Answer `301` to `https://`.
    RedirectToHttps,
    /// Become the listen-accept role with the listen-accept protocol. At accept on a TLS listener:
    /// once the handshake is done.
    ListenAccept,
    /// Let http have it, which answers 400 or 501 and closes. Worth a log line.
    Refuse,
    /// Close without an answer.
    Drop,
}

/// Says what to do with a connection that came in by `listener`, under the vhost's `options`.
pub fn decide(listener: Listener, options: Options, moment: Moment<'_>) -> Decision {
    let packet = Packet::at(moment);
    let mut rows = TABLE.iter();
    // Some row always fits, as the tests show. Were they wrong, to drop would be the safe answer.
    rows.find(|row| row.fits(listener, options, packet)).map_or(Decision::Drop, |row| row.done)
}

/// The first row that fits wins.
#[rustfmt::skip]
const TABLE: &[Row] = {
    use Decision::*;
    use Packet::*;
    &[
        //  listener     first packet   option     done
        row(ANY,         NotLookedAt,   APPLY,     ListenAccept),
        row(ANY,         NotLookedAt,   ALWAYS,    Wait),
        row(ANY,         Undecided,     ALWAYS,    Wait),
        row(ANY,         Abandoned,     ALWAYS,    Drop),

        row(PLAIN,       HttpRequest,   ALWAYS,    Http),
        row(PLAIN,       AnythingElse,  FALLBACK,  ListenAccept),
        row(PLAIN,       AnythingElse,  ALWAYS,    Refuse),

        row(TLS,         TlsHello,      ALWAYS,    TlsHandshake),
        row(TLS,         HttpRequest,   REDIRECT,  RedirectToHttps),
        row(TLS,         HttpRequest,   ALLOW,     Http),
        row(TLS,         HttpRequest,   FALLBACK,  ListenAccept),
        row(TLS,         HttpRequest,   ALWAYS,    Drop),
        row(TLS,         AnythingElse,  FALLBACK,  ListenAccept),
        row(TLS,         AnythingElse,  ALWAYS,    Drop),

        row(ESTABLISHED, HttpRequest,   ALWAYS,    Http),
        row(ESTABLISHED, AnythingElse,  FALLBACK,  ListenAccept),
        row(ESTABLISHED, AnythingElse,  ALWAYS,    Refuse),
    ]
};

const ANY: &[Listener] = &[Listener::Plain, Listener::Tls, Listener::TlsEstablished];
const PLAIN: &[Listener] = &[Listener::Plain];
const TLS: &[Listener] = &[Listener::Tls];
const ESTABLISHED: &[Listener] = &[Listener::TlsEstablished];

const APPLY: Options = Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
const REDIRECT: Options = Options::REDIRECT_HTTP_TO_HTTPS;
const ALLOW: Options = Options::ALLOW_HTTP_ON_HTTPS_LISTENER;
const FALLBACK: Options = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
const ALWAYS: Options = Options::empty();

/// One rule: on these listeners, for this packet, if the option is set, this is done.
struct Row {
    on: &'static [Listener],
    packet: Packet,
    option: Options,
    done: Decision,
}

const fn row(on: &'static [Listener], packet: Packet, option: Options, done: Decision) -> Row {
    Row { on, packet, option, done }
}

impl Row {
    fn fits(&self, listener: Listener, options: Options, packet: Packet) -> bool {
        self.on.contains(&listener) && self.packet.covers(packet) && options.contains(self.option)
    }
}

/// The table's second column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Packet {
    /// At accept.
    NotLookedAt,
    /// A prefix of http or of a ClientHello, and more may come.
    Undecided,
    /// The peer ended without a byte, or let the time run out.
    Abandoned,
    /// The start of http.
    HttpRequest,
    /// The start of a ClientHello.
    TlsHello,
    /// Neither, or undecided for good.
    AnythingElse,
}

impl Packet {
    fn at(moment: Moment<'_>) -> Packet {
        match moment {
            Moment::Accept => Packet::NotLookedAt,
            Moment::Rx(bytes) => Packet::of(bytes),
            // Nobody is connected onward for a port scan.
            Moment::Eof([]) | Moment::Timeout => Packet::Abandoned,
            Moment::Eof(bytes) | Moment::Silence(bytes) => match Packet::of(bytes) {
                Packet::Undecided => Packet::AnythingElse,
                decided => decided,
            },
        }
    }

    fn of(bytes: &[u8]) -> Packet {
        match classify(bytes) {
            Class::NeedMore => Packet::Undecided,
            Class::Http => Packet::HttpRequest,
            Class::Tls => Packet::TlsHello,
            Class::Other => Packet::AnythingElse,
        }
    }

    /// Whether a row about `self` is about `packet`. A hello where no TLS is expected is "anything
    /// else"; where it is expected, its own row comes first.
    fn covers(self, packet: Packet) -> bool {
        self == packet || (self == Packet::AnythingElse && packet == Packet::TlsHello)
    }
}

#[cfg(test)]
mod tests;
