//! `dumb-increment-protocol`: counts, for each client from 0 (lws's plugin `dumb-increment-protocol`).
//!
//! | pvo | meaning |
//! |---|---|
//! | `options` | a number, decimal or hexadecimal; with its lowest bit set nothing is counted |
//!
//! A number is sent as text every 50 ms ([`PERIOD`]), and later to a client that reads more slowly. These messages are heard:
//!
//! | begins with | what happens |
//! |---|---|
//! | `reset\n` | the next number is 0 |
//! | `closeme\n` | the WebSocket is closed with 1001, "seeya" |
//!
//! In lws each client's timer has the numbers of all clients sent, so that two clients count twice as fast.

use std::time::Duration;

use super::http_dummy;
use crate::{Call, CloseCode, InitError, Interests, Protocol, Pvo, Reason, Verdict, VhostCall, WsWrite};

/// Between two numbers.
pub const PERIOD: Duration = Duration::from_millis(50);

/// Something that moves, for trying a client.
pub struct DumbIncrement;

/// Per-vhost data.
pub struct Vhd {
    counts: bool,
}

impl Protocol for DumbIncrement {
    const NAME: &'static str = "dumb-increment-protocol";
    const ROLES: &'static [&'static str] = &["ws"];
    const OPTIONS: Option<&'static [&'static str]> = Some(&["options"]);
    const INTERESTS: Interests = Interests::WS_WHOLE_MESSAGES;
    /// The next number.
    type Session = u64;
    type Vhost = Vhd;

    fn init(_vhost: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        let options = pvo.get("options").map_or(Ok(0), options)?;
        Ok(Vhd { counts: options & 1 == 0 })
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss: number, vhd } = call;
        match reason {
            Reason::Established if vhd.counts => wsi.set_timer(cx, PERIOD),
            Reason::Timer => wsi.callback_on_writable(),
            Reason::ServerWriteable => {
                if wsi.write_ws(WsWrite::TEXT, number.to_string().as_bytes()).is_err() {
                    return Verdict::Close;
                }
                *number += 1;
                wsi.set_timer(cx, PERIOD);
            }
            Reason::Receive(message) if message.starts_with(b"reset\n") => *number = 0,
            Reason::Receive(message) if message.starts_with(b"closeme\n") => {
                return wsi.close_with(CloseCode::GOING_AWAY, "seeya");
            }
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }
}

fn options(value: &str) -> Result<u32, String> {
    let number = match value.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => value.parse(),
    };
    number.map_err(|error| format!("the option \"options\" is {value:?}; expected a number such as 1 or 0x1: {error}"))
}
