//! Ready-made protocols. They are written with the public API alone, as a user's own would be.

pub mod dumb_increment;
pub mod http_dummy;
pub mod lws_mirror;
pub mod lws_status;
mod post_demo;
mod raw_echo;
mod raw_proxy;
mod raw_test;

pub use dumb_increment::DumbIncrement;
pub use http_dummy::HttpDummy;
pub use lws_mirror::LwsMirror;
pub use lws_status::{LwsServerStatus, LwsStatus};
pub use post_demo::PostDemo;
pub use raw_echo::RawEcho;
pub use raw_proxy::RawProxy;
pub use raw_test::RawTest;

use crate::ProtocolTable;

/// What a vhost has that lists no protocol.
pub(crate) const DEFAULT: ProtocolTable = ProtocolTable::of::<HttpDummy>();
