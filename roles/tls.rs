//! Role `tls`: a handshake, after which the connection's transport is a TLS one and another role goes on over it.
//!
//! ```text
//!   server:  hello ──▶ vhost by SNI ──▶ handshake ──┬── the role that ALPN names; without ALPN: first-packet
//!            (classified before, no                 └── with APPLY: the listen-accept role and protocol
//!             TLS state until it is whole)
//!   client:  handshake ──▶ the role the connection was made for
//! ```
//!
//! How many handshakes begin in a turn of the loop is bounded, as each costs a signature and a key exchange: the others wait in the run
//! queue, and established connections are served in between. Emits `ClientConnectionError` for a client's. In lws: the `LRS_SSL_*`
//! states of its server and client code.

use std::io;
use std::mem;

use rustls::ClientConnection;
use rustls::pki_types::ServerName;
use rustls::server::{Accepted, Acceptor};

use crate::connect::{SecurePlan, came_to_nothing, give_up, is_wanted};
use crate::cx::Cx;
use crate::first_packet::{Decision, Listener, Moment, decide};
use crate::limits;
use crate::options::Options;
use crate::role::{self, Binding, CloseReason, Next, Role, RoleOps};
use crate::tls::stream;
use crate::transport::{Received, Transport};
use crate::vhost::ProtocolIndex;
use crate::wsi::{Asked, Wsi};

pub(crate) struct Tls;

impl RoleOps for Tls {
    fn name(&self) -> &'static str {
        "tls"
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        match wsi.asked.take().map(|asked| *asked) {
            Some(Asked::Secure(plan)) => {
                wsi.deadline = plan.give_up_at;
                let begun = begin_client(wsi, cx, &plan);
                Ok(Box::new(Client { then: plan.then, failed: begun.err() }))
            }
            _ => {
                wsi.deadline = cx.after(cx.info.timeout);
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
        if let Some(hello) = &mut self.hello {
            if cx.handshakes == 0 {
                return Ok(Next::Again);
            }
            let Some((accepted, rest)) = read_hello(hello, wsi, cx)? else {
                return Ok(if wsi.io.readable() { Next::Again } else { Next::Stay });
            };
            cx.handshakes -= 1;
            self.hello = None;
            begin_server(wsi, cx, accepted, &rest)?;
        }
        if !shake_hands(wsi, cx)? {
            return Ok(Next::Stay);
        }
        log::debug!("{}: {}", cx.tag(wsi), wsi.io.tls().map(stream::Tls::describe).unwrap_or_default());
        Ok(Next::Become(what_follows(wsi, cx)))
    }
}

/// The client's whole hello, and the bytes behind it; `None`: there is more to come.
fn read_hello(hello: &mut Acceptor, wsi: &mut Wsi, cx: &mut Cx) -> Result<Option<(Accepted, Vec<u8>)>, CloseReason> {
    if wsi.rx.is_empty() && wsi.io.readable() {
        match wsi.io.recv(&mut cx.buf[..limits::FIRST_READ])? {
            Received::Bytes(n) => wsi.rx.push(&cx.buf[..n]),
            Received::Eof => return Err(CloseReason::PeerClosed),
            Received::Blocked => {}
        }
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
    let name = name.strip_suffix('.').unwrap_or(name);
    if let Some(chosen) = cx.group_of(wsi.vhost).and_then(|group| group.choose(name)) {
        wsi.vhost = chosen;
    }
    let Some(tls) = cx.vhost(wsi.vhost).and_then(|vhost| vhost.tls.as_ref()) else {
        return Err(CloseReason::Refused("its vhost has no TLS".into()));
    };
    match accepted.into_connection(tls.config.clone()) {
        Ok(connection) => wrap(wsi, connection.into(), true, rest).map_err(handshake_failed),
        Err((error, mut alert)) => {
            let mut text = Vec::new();
            alert.write_all(&mut text)?;
            wsi.transmit(&cx.registry, &text)?;
            Err(CloseReason::PeerFault(format!("TLS handshake: {error}").into()))
        }
    }
}

/// Where an encrypted connection goes on.
fn what_follows(wsi: &mut Wsi, cx: &Cx) -> Binding {
    let first_id = cx.group_of(wsi.vhost).and_then(|group| group.vhosts.first().copied());
    let first = first_id.and_then(|id| cx.vhost(id));
    if let (Some(id), Some(first), Some(chosen)) = (first_id, first, cx.vhost(wsi.vhost))
        && decide(Listener::Tls, first.options(), Moment::Accept) == Decision::ListenAccept
    {
        if chosen.options().contains(Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG) {
            return chosen.listen_accept;
        }
        // It says nothing of what to do with raw bytes, so it has only lent its certificate.
        let binding = first.listen_accept;
        wsi.vhost = id;
        return binding;
    }
    let agreed = wsi.io.tls().and_then(stream::Tls::alpn).and_then(role::find_by_alpn);
    Binding { role: agreed.unwrap_or_else(|| cx.role("first-packet")), protocol: None }
}

// -- the client's side

struct Client {
    then: Binding,
    /// What went wrong: the handshake may not even begin.
    failed: Option<String>,
}

impl Role for Client {
    fn on_ready(&mut self, wsi: &mut Wsi, cx: &mut Cx) -> Next {
        if !is_wanted(wsi, cx) {
            return Next::Close(CloseReason::PartnerGone);
        }
        if self.failed.is_none() {
            match shake_hands(wsi, cx) {
                Ok(true) => return Next::Become(self.then),
                Ok(false) => return Next::Stay,
                Err(reason) => self.failed = Some(reason.to_string()),
            }
        }
        give_up(wsi, cx, &self.why(wsi))
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

fn begin_client(wsi: &mut Wsi, cx: &Cx, plan: &SecurePlan) -> Result<(), String> {
    let name = plan.tls.server_name.as_deref().or(plan.target.host()).unwrap_or("localhost").to_owned();
    let server = ServerName::try_from(name.clone()).map_err(|error| format!("{name}: {error}"))?;
    if plan.tls.insecure {
        log::warn!(
            "{}: takes any certificate for {name}: anybody on the path can read and change what passes",
            cx.tag(wsi)
        );
    }
    let connection = ClientConnection::new(plan.tls.config.clone(), server).map_err(|error| error.to_string())?;
    wrap(wsi, connection.into(), !plan.tls.insecure, &[]).map_err(|error| error.to_string())
}

// -- both

/// Puts TLS between the socket and the roles.
fn wrap(wsi: &mut Wsi, connection: rustls::Connection, verified: bool, rest: &[u8]) -> io::Result<()> {
    let under = mem::replace(&mut wsi.io, Transport::None);
    let mut tls = stream::Tls::new(under, connection, wsi.vhost, verified);
    let fed = tls.feed(rest);
    wsi.io = Transport::Tls(Box::new(tls));
    fed
}

/// `true`: the handshake is done.
fn shake_hands(wsi: &mut Wsi, cx: &Cx) -> Result<bool, CloseReason> {
    let Transport::Tls(tls) = &mut wsi.io else { return Err(CloseReason::Done) };
    let done = tls.shake_hands().map_err(handshake_failed)?;
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
