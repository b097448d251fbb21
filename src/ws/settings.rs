//! What a vhost, or a client, wants of its WebSockets.

use std::time::Duration;

use super::extension::PermessageDeflate;
use crate::limits;

/// Bounds on what a peer may send. Beyond one the connection is closed, with the code that is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WsLimits {
    /// Bytes of a frame (1009); [`limits::WS_MESSAGE`].
    pub frame: u64,
    /// Bytes of a message, once decompressed (1009); [`limits::WS_MESSAGE`].
    pub message: u64,
    /// Frames of a message (1008); [`limits::WS_FRAGMENTS`].
    pub fragments: u32,
    /// Pings, pongs and closes in a second (1008); [`limits::WS_CONTROL_FRAMES`]. Behind a pause of ours, as many for each of its seconds,
    /// up to [`limits::WS_CONTROL_PAUSE`].
    pub control_frames: u32,
    /// Bytes of a message that is collected for a protocol with
    /// [`Interests::WS_WHOLE_MESSAGES`](crate::Interests::WS_WHOLE_MESSAGES) (1009); [`limits::WS_COLLECTED`].
    pub collected: usize,
}

impl Default for WsLimits {
    fn default() -> WsLimits {
        WsLimits {
            frame: limits::WS_MESSAGE,
            message: limits::WS_MESSAGE,
            fragments: limits::WS_FRAGMENTS,
            control_frames: limits::WS_CONTROL_FRAMES,
            collected: limits::WS_COLLECTED,
        }
    }
}

/// How connections that say nothing are found out (`secs_since_valid_ping` and `secs_since_valid_hangup` of `lws_retry_bo_t`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    /// After so long without a byte from the peer it is sent a ping; each time.
    pub ping: Duration,
    /// After so long the connection is given up. No shorter than `ping`. Who takes what waited for it is not silent.
    pub hang_up: Duration,
}

/// WebSockets of a vhost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WsInfo {
    /// What clients may send.
    pub limits: WsLimits,
    /// Compression, for clients that offer it; `None`: it is declined.
    pub deflate: Option<PermessageDeflate>,
    /// When silent connections are pinged; `None`: never.
    pub validity: Option<Validity>,
}
