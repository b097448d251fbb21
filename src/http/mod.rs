//! What a protocol sees of http: the request, the response that it makes, and what a [`Wsi`](crate::Wsi) offers in role `http`.
//!
//! ```text
//!   HttpRequest ──▶ Reason::Http ──▶ Wsi::respond, write, transaction_completed ──▶ Exchange ──▶ role http: framing, sending
//! ```
//!
//! A callback only says what it wants; the [`Exchange`] keeps it until role `http` comes to it, right after the callback. In lws:
//! `lws-http.h`.

mod exchange;
mod kept_file;
mod request;
mod response;
mod wsi;

pub(crate) use exchange::{Exchange, Said, Whole};
pub(crate) use kept_file::KeptFile;
pub use request::HttpRequest;
pub(crate) use request::RequestParts;
pub use response::{RespondError, Response};
