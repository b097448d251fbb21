//! Whether the mount that a request is for lets it in.
//!
//! Counterpart in lws: `lws_check_basic_auth()`, `lws_unauthorised_basic_auth()`.

use std::sync::Arc;
use std::time::Instant;

use crate::basic_auth::{Passwords, Word};
use crate::vhost::OpenMount;
use crate::wsi::WsiId;

use super::answer::Answer;
use super::h1::Head;
use super::status::Status;

/// What a mount says to who asks.
pub(super) enum Admission {
    /// It is served; to this user, where it asks for one.
    Yes(Option<Arc<str>>),
    No(Answer),
    /// A thread is at it, and wakes the connection, which then asks again.
    Later,
}

/// Asks on behalf of a connection.
pub(super) fn admit(
    open: &mut OpenMount,
    passwords: &mut Passwords,
    now: Instant,
    head: &Head<'_>,
    id: WsiId,
) -> Admission {
    let Some(guard) = &mut open.guard else { return Admission::Yes(None) };
    match guard.ask(passwords, now, head.authorization, id) {
        Word::Allowed(user) => Admission::Yes(Some(user)),
        Word::Denied => {
            let challenge = guard.challenge().to_owned();
            Admission::No(Answer::page(Status::UNAUTHORIZED).with("WWW-Authenticate", challenge))
        }
        Word::Pending => Admission::Later,
        Word::Busy => Admission::No(Answer::page(Status::SERVICE_UNAVAILABLE).with("Retry-After", "1")),
    }
}
