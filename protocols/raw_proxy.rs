//! `raw-proxy`: relays connections in role raw-proxy to where its option `onward` says (lws's plugin `raw-proxy`).
//!
//! | pvo | meaning |
//! |---|---|
//! | `onward` | required: `ipv4:ADDR:PORT`, `ipv6:[ADDR]:PORT`, `tcp:HOST:PORT` or `unix:PATH` |
//! | `idle-timeout-secs` | close a pair after this long without a byte; 0 or absent: never |

use std::time::Duration;

use super::http_dummy;
use crate::{Call, InitError, Onward, Protocol, Pvo, Reason, Target, Verdict, VhostCall};

/// Says where to; the role does the work.
pub struct RawProxy;

impl Protocol for RawProxy {
    const NAME: &'static str = "raw-proxy";
    const ROLES: &'static [&'static str] = &["raw-proxy"];
    type Session = ();
    type Vhost = Onward;

    fn init(_vhost: VhostCall<'_>, pvo: &Pvo) -> Result<Onward, InitError> {
        let onward = pvo.get("onward").ok_or(
            "the option \"onward\" is missing; expected ipv4:ADDR:PORT, ipv6:[ADDR]:PORT, tcp:HOST:PORT or unix:PATH",
        )?;
        let target: Target = onward.parse().map_err(|error| format!("the option \"onward\": {error}"))?;
        let idle_timeout = pvo.secs("idle-timeout-secs")?.filter(|after| *after > Duration::ZERO);
        Ok(Onward::from(target).idle_timeout(idle_timeout))
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::RawProxySrvAdopt => {
                call.wsi.connect_onward(call.vhd.clone());
                Verdict::Continue
            }
            _ => http_dummy::callback(call.wsi, call.cx, reason),
        }
    }
}
