//! Role `tls`: a handshake, after which the connection's transport is a TLS one and another role goes on over it.
//!
//! ```text
//!   server:  hello ──▶ vhost by SNI ──▶ handshake ──┬── the role that ALPN names; without ALPN: first-packet
//!            (classified before                     └── with APPLY: the listen-accept role and protocol
//!             there is any TLS state)
//!   client:  handshake ──▶ the role the connection was made for
//! ```
//!
//! How many steps of handshakes are taken in a turn of the loop is bounded, as they cost signatures and key exchanges: the others wait in
//! the run queue, and established connections are served in between. Emits `ClientConnectionError` for a client's. In lws: the `LRS_SSL_*`
//! states of its server and client code.

use std::io;
use std::mem;

use rustls::pki_types::ServerName;
use rustls::server::{Accepted, Acceptor};
use rustls::{CertificateError, ClientConnection};

use crate::connect::{SecurePlan, came_to_nothing, give_up, is_wanted};
use crate::context::ContextInfo;
use crate::cx::Cx;
use crate::first_packet::{Decision, Listener, Moment, decide};
use crate::options::Options;
use crate::role::{self, Binding, CloseReason, Named, Next, Role, RoleOps};
use crate::tls::stream;
use crate::transport::{Received, Transport};
use crate::vhost::ProtocolIndex;
use crate::wsi::{Asked, Wsi};

pub(crate) struct Tls;

impl RoleOps for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn is_undecided(&self) -> bool {
        true
    }

    fn named(&self, first: &[u8], _: &ContextInfo) -> Named {
        let (mut acceptor, mut rest) = (Acceptor::default(), first);
        while !rest.is_empty() {
            match acceptor.read_tls(&mut rest).map(|_| acceptor.accept()) {
                Ok(Ok(None)) => {}
                Ok(Ok(Some(accepted))) => return Named::By(accepted.client_hello().server_name().map(str::to_owned)),
                Ok(Err(_)) | Err(_) => return Named::Not { status: None },
            }
        }
        Named::Later
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        match wsi.asked.take().map(|asked| *asked) {
            Some(Asked::Secure(plan)) => {
                wsi.deadline = plan.give_up_at;
                Ok(Box::new(Client { then: plan.then, to_begin: Some(plan), failed: None }))
            }
            _ => {
                wsi.deadline = cx.no_later(wsi.deadline, cx.info.timeout);
                Ok(Box::new(Server { hello: Some(Box::default()) }))
            }
        }
    }
}

// -- the server's side

struct Server {
    /// Until the client's hello is whole.
    hello: Option<Box<Acceptor>>,
}

impl Role for Server {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        self.turn(wsi, cx).unwrap_or_else(Next::Close)
    }

    fn on_timeout(&mut self, _: &mut Wsi, _: &mut Cx) -> Next {
        Next::Close(CloseReason::Timeout("its TLS handshake is not complete"))
    }
}

impl Server {
    fn turn(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Result<Next, CloseReason> {
        let has_work = !wsi.rx.is_empty() || wsi.io.readable();
        if has_work && !takes_a_step(cx) {
            return Ok(Next::Again);
        }
        if let Some(hello) = &mut self.hello {
            let Some((accepted, rest)) = read_hello(hello, wsi, cx)? else {
                // It was no more than a read, so others may have theirs.
                cx.handshakes += usize::from(has_work);
                return Ok(if wsi.io.readable() { Next::Again } else { Next::Stay });
            };
            self.hello = None;
            begin_server(wsi, cx, accepted, &rest)?;
        }
        if !shake_hands(wsi, cx).map_err(|error| server_failed(wsi, cx, error))? {
            return Ok(Next::Stay);
        }
        log::debug!("{}: {}", cx.tag(wsi), wsi.io.tls().map(stream::Tls::describe).unwrap_or_default());
        wsi.begins_anew();
        Ok(Next::Become(what_follows(wsi, cx)?))
    }
}

/// The client's whole hello, and the bytes behind it; `None`: there is more to come.
fn read_hello(hello: &mut Acceptor, wsi: &mut Wsi, cx: &mut Cx) -> Result<Option<(Accepted, Vec<u8>)>, CloseReason> {
    if wsi.rx.is_empty() && wsi.recv_first(&mut cx.buf)? == Received::Eof {
        return Err(CloseReason::PeerClosed);
    }
    let first = wsi.rx.take();
    let mut bytes = first.as_slice();
    while !bytes.is_empty() {
        if let Err(error) = hello.read_tls(&mut bytes) {
            return Err(CloseReason::PeerFault(format!("its TLS hello: {error}").into()));
        }
        match hello.accept() {
            Ok(None) => {}
            Ok(Some(accepted)) => return Ok(Some((accepted, bytes.to_vec()))),
            Err((error, mut alert)) => {
                let mut text = Vec::new();
                alert.write_all(&mut text)?;
                wsi.transmit(&cx.registry, &text)?;
                return Err(CloseReason::PeerFault(format!("its TLS hello: {error}").into()));
            }
        }
    }
    Ok(None)
}

/// Chooses vhost and certificate by name, and puts TLS between the socket and the roles.
fn begin_server(wsi: &mut Wsi, cx: &mut Cx, accepted: Accepted, rest: &[u8]) -> Result<(), CloseReason> {
    let hello = accepted.client_hello();
    let name = hello.server_name().unwrap_or_default();
    if let Some(chosen) = cx.group_of(wsi.vhost).and_then(|group| group.choose(name)) {
        cx.lead(wsi, chosen);
    }
    let Some(tls) = cx.vhost(wsi.vhost).and_then(|vhost| vhost.tls.as_ref()) else {
        return Err(CloseReason::Refused("its vhost has no TLS".into()));
    };
    let config = tls.config_for(&accepted.client_hello());
    match accepted.into_connection(config) {
        Ok(connection) => wrap(wsi, connection.into(), true, rest).map_err(|error| server_failed(wsi, cx, error)),
        Err((error, mut alert)) => {
            let mut text = Vec::new();
            alert.write_all(&mut text)?;
            wsi.transmit(&cx.registry, &text)?;
            Err(CloseReason::PeerFault(format!("TLS handshake: {error}").into()))
        }
    }
}

/// As [`handshake_failed`], but for a client whose certificate is good as far as anybody knows: the lists that would say more are the
/// operator's.
fn server_failed(wsi: &Wsi, cx: &mut Cx, error: io::Error) -> CloseReason {
    let tls = cx.vhost(wsi.vhost).and_then(|vhost| vhost.tls.as_ref());
    let lists = tls.and_then(|tls| tls.revoked.clone()).unwrap_or_default();
    let why = match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(rustls::Error::InvalidCertificate(
            CertificateError::ExpiredRevocationList | CertificateError::ExpiredRevocationListContext { .. },
        )) => format!("the revocation list of its CA in {lists} is out of date"),
        Some(rustls::Error::InvalidCertificate(CertificateError::UnknownRevocationStatus)) => {
            format!("{lists} has no revocation list of its CA")
        }
        _ => return handshake_failed(error),
    };
    cx.warn_seldom(wsi, |warned| &mut warned.unlisted, format_args!("turned away: {why}"));
    CloseReason::Refused(format!("TLS handshake: {why}").into())
}

/// Where an encrypted connection goes on.
fn what_follows(wsi: &mut Wsi, cx: &Cx) -> Result<Binding, CloseReason> {
    let first_id = cx.group_of(wsi.vhost).and_then(|group| group.vhosts.first().copied());
    let first = first_id.and_then(|id| cx.vhost(id));
    if let (Some(id), Some(first), Some(chosen)) = (first_id, first, cx.vhost(wsi.vhost))
        && decide(Listener::Tls, first.options(), Moment::Accept) == Decision::ListenAccept
    {
        if chosen.options().contains(Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG) {
            let binding = chosen.listen_accept;
            wsi.judged("listen-accept", Moment::Accept.name());
            return Ok(binding);
        }
        // It says nothing of what to do with raw bytes, so it has only lent its certificate.
        let binding = first.listen_accept;
        cx.lead(wsi, id);
        wsi.judged("listen-accept", Moment::Accept.name());
        return match cx.meets_demands(wsi) {
            true => Ok(binding),
            false => Err(CloseReason::Refused("it did not show the certificate that is asked for here".into())),
        };
    }
    let agreed = wsi.io.tls().and_then(stream::Tls::alpn).and_then(role::find_by_alpn);
    Ok(Binding { role: agreed.unwrap_or_else(|| cx.role("first-packet")), protocol: None })
}

// -- the client's side

struct Client {
    then: Binding,
    to_begin: Option<SecurePlan>,
    /// What went wrong.
    failed: Option<String>,
}

impl Role for Client {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        if !is_wanted(wsi, cx) {
            return Next::Close(CloseReason::PartnerGone);
        }
        let has_work = self.to_begin.is_some() || wsi.io.readable();
        if has_work && !takes_a_step(cx) {
            return Next::Again;
        }
        let begun = self.to_begin.take().map_or(Ok(()), |plan| begin_client(wsi, cx, &plan));
        match begun.and_then(|()| shake_hands(wsi, cx).map_err(|error| handshake_failed(error).to_string())) {
            Ok(true) => Next::Become(self.then),
            Ok(false) => Next::Stay,
            Err(why) => {
                self.failed = Some(why);
                give_up(wsi, cx, &self.why(wsi))
            }
        }
    }

    fn on_timeout(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        self.failed = Some("the handshake takes too long".to_owned());
        give_up(wsi, cx, &self.why(wsi))
    }

    /// Whoever asked is told what became of it.
    fn on_close(&mut self, wsi: &mut Wsi, cx: &mut Cx) {
        let why = self.why(wsi);
        came_to_nothing(wsi, cx, self.then.protocol, &why);
    }
}

impl Client {
    fn why(&self, wsi: &Wsi) -> String {
        let failed = self.failed.as_deref().unwrap_or("closed before the handshake was done");
        format!("TLS to {}: {failed}", wsi.peer)
    }
}

fn begin_client(wsi: &mut Wsi, cx: &mut Cx, plan: &SecurePlan) -> Result<(), String> {
    let name = plan.tls.info().server_name.as_deref().or(plan.target.host()).unwrap_or("localhost").to_owned();
    let server = ServerName::try_from(name.clone()).map_err(|error| format!("{name}: {error}"))?;
    if plan.tls.info().insecure {
        let what =
            format_args!("takes any certificate for {name}: anybody on the path can read and change what passes");
        cx.warn_seldom(wsi, |warned| &mut warned.insecure, what);
    }
    let connection = ClientConnection::new(plan.tls.config.clone(), server).map_err(|error| error.to_string())?;
    wrap(wsi, connection.into(), !plan.tls.info().insecure, &[]).map_err(|error| error.to_string())
}

// -- both

/// Whether this turn of the loop has a step of a handshake left, which is then taken.
fn takes_a_step(cx: &mut Cx) -> bool {
    let left = cx.handshakes.checked_sub(1);
    cx.handshakes = left.unwrap_or(0);
    left.is_some()
}

/// Puts TLS between the socket and the roles.
fn wrap(wsi: &mut Wsi, connection: rustls::Connection, verified: bool, rest: &[u8]) -> io::Result<()> {
    let under = mem::replace(&mut wsi.io, Transport::None);
    let mut tls = stream::Tls::new(under, connection, wsi.vhost, verified);
    let fed = tls.feed(rest);
    wsi.io = Transport::Tls(Box::new(tls));
    fed
}

/// `true`: the handshake is done.
fn shake_hands(wsi: &mut Wsi, cx: &Cx) -> io::Result<bool> {
    let Transport::Tls(tls) = &mut wsi.io else { return Err(io::ErrorKind::NotConnected.into()) };
    let done = tls.shake_hands()?;
    wsi.flush(&cx.registry)?;
    Ok(done)
}

fn handshake_failed(error: io::Error) -> CloseReason {
    match error.kind() {
        io::ErrorKind::InvalidData => CloseReason::PeerFault(format!("TLS handshake: {error}").into()),
        io::ErrorKind::UnexpectedEof => CloseReason::PeerFault("it left in the TLS handshake".into()),
        _ => CloseReason::Lost(error),
    }
}
