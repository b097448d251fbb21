//! `raw-echo`: sends everything back.

use super::http_dummy;
use crate::{Call, InitError, Protocol, Pvo, Reason, Verdict, VhostCall};

/// Sends every byte back to who sent it. Nothing is read while the peer does not take its echo, so no peer can make it hoard.
pub struct RawEcho;

impl Protocol for RawEcho {
    const NAME: &'static str = "raw-echo";
    const ROLES: &'static [&'static str] = &["raw-skt"];
    const OPTIONS: Option<&'static [&'static str]> = Some(&[]);
    type Session = ();
    type Vhost = ();

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::RawRx(data) => match call.wsi.write(data) {
                Ok(()) => Verdict::Continue,
                Err(_) => Verdict::Close,
            },
            _ => http_dummy::callback(call.wsi, call.cx, reason),
        }
    }
}
