//! Role `http`: HTTP/1.1 (and 1.0) requests, answered from a vhost's mounts or by its protocols.
//!
//! ```text
//!   bytes ──▶ h1 ──▶ head ──▶ vhost by Host ──▶ route ──┬── answer: a file, a redirect, a page ───────▶ outgoing ──▶ bytes
//!                                               │       └── transaction: a protocol ──▶ framing ──────────▲
//!                                               └── path: decoded, normalised     ▲
//!   bytes ──▶ body: by length, chunks ────────────────────────────────────────────┘
//! ```
//!
//! Its states (`connection`): waiting for a request's head; a protocol's transaction; a response on its way; discarding the rest of a body
//! that nobody reads; waiting for a guard. Requests that came ahead (pipelining) wait in `wsi.rx` until the response before them has been
//! handed to the system, so they are answered in order and hold nothing else.
//!
//! It emits, for the protocol that a request is given to, the reasons of `transaction`. Framing (`h1`, `body`, `response`, `framing`) is apart
//! from handling (`route`, `answer`, `file`). It knows nothing of TLS. In lws: `roles/http`, `roles/h1`.

mod answer;
mod answered;
mod body;
mod byteranges;
mod connection;
mod encodings;
mod entry;
mod fields;
mod file;
mod file_body;
mod file_response;
mod framing;
mod guard;
mod h1;
mod host;
mod kept;
mod method;
mod mime;
mod mounts;
mod outgoing;
mod pace;
mod path;
mod ranges;
mod reject;
mod response;
mod route;
mod status;
mod transaction;
mod unread;
mod upgrade;
mod validators;

use crate::context::ContextInfo;
use crate::cx::Cx;
use crate::role::{CloseReason, Named, Role, RoleOps};
use crate::vhost::ProtocolIndex;
use crate::wsi::Wsi;

use connection::Connection;
use h1::{Bounds, Parsed};

pub(crate) struct Http;

impl RoleOps for Http {
    fn name(&self) -> &'static str {
        "http"
    }

    /// Until the first head is whole.
    fn is_undecided(&self) -> bool {
        true
    }

    fn named(&self, first: &[u8], info: &ContextInfo) -> Named {
        match h1::parse(first, Bounds::of(info)) {
            Parsed::Complete { head, .. } => Named::By(head.host.map(|host| host::name_of_host(host).to_owned())),
            Parsed::Partial => Named::Later,
            Parsed::Bad(status) => Named::Not { status: Some(status.code()) },
        }
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        Ok(Connection::boxed(wsi, cx, false))
    }
}

/// The same, but every request is sent to https (`LWS_SERVER_OPTION_REDIRECT_HTTP_TO_HTTPS`).
pub(crate) struct HttpRedirect;

impl RoleOps for HttpRedirect {
    fn name(&self) -> &'static str {
        "http-redirect"
    }

    /// Until the first head is whole.
    fn is_undecided(&self) -> bool {
        true
    }

    fn bind(&self, wsi: &mut Wsi, cx: &mut Cx, _: Option<ProtocolIndex>) -> Result<Box<dyn Role>, CloseReason> {
        Ok(Connection::boxed(wsi, cx, true))
    }
}
