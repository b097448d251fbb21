//! WebSocket (RFC 6455) and its compression (RFC 7692): frames, messages, handshakes, without a socket.
//!
//! ```text
//!   bytes ──▶ Receiver ──▶ Reason::Receive        WsWrite ──▶ Sender ──▶ bytes
//!                └─ frame, mask, inflate, utf8                  └─ deflate, frame, mask
//! ```
//!
//! Role `ws` drives it. In lws: `ops-ws.c`, `server-ws.c`, `client-parser-ws.c` and `extension-permessage-deflate.c`.

mod answers;
mod client;
mod close_code;
mod deflate;
mod extension;
mod fault;
mod frame;
pub(crate) mod handshake;
mod mask;
mod receiver;
mod sender;
mod session;
mod settings;
mod side;
#[cfg(test)]
mod tests;
mod utf8;
mod write;
mod wsi;

pub(crate) use client::{Opened, key};
pub use client::{WsAnswer, WsConnect};
pub use close_code::CloseCode;
pub(crate) use deflate::Contexts;
pub(crate) use extension::Agreed;
pub use extension::PermessageDeflate;
pub(crate) use fault::Fault;
pub(crate) use receiver::{Event, Piece, Place, Receiver};
pub(crate) use session::{Session, WebSocket};
pub use settings::{Validity, WsInfo, WsLimits};
pub(crate) use side::Side;
pub use write::WsWrite;
