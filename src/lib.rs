//! libwebsockets' architecture in Rust: one thread, one [`mio`] poll, callbacks.
//!
//! One listen socket serves http for many vhosts, and hands everything else that connects to a second role with a protocol of its own:
//! an echo, a relay to sshd, or yours.
//!
//! ```text
//!                        ┌─────────────────────────── Context ───────────────────────────┐
//!   events, wake-ups ──▶ │ poll ──▶ a turn for each wsi that has something to do         │
//!                        │             │                                                 │
//!                        │             ▼                                                 │
//!                        │          ┌─ Wsi ───────────────┐                              │
//!          a peer  ◀───────────────▶│ transport ◀─▶ role  │◀─▶ Protocol::callback (yours)│
//!                        │          └──────────────┬──────┘         over Reason          │
//!                        │                         │ becomes                             │
//!                        │  first-packet ─▶ tls ─▶ http │ raw-skt │ raw-proxy ─▶ drain   │
//!                        └───────────────────────────────────────────────────────────────┘
//! ```
//!
//! - [`Context`]: the loop. It owns the vhosts and the connections.
//! - [`VhostInfo`]: a named server on a port, with mounts, protocols, their options ([`Pvo`]), and switches ([`Options`]).
//! - [`TlsInfo`]: a vhost's certificate and key; [`TlsClient`]: TLS of connections to other servers.
//! - [`Protocol`]: your code: one callback over [`Reason`], with data per session and per vhost.
//! - [`Wsi`]: one connection; [`WsiId`] is what you keep of it. [`Cx`]: everything else a callback reaches.
//! - [`conf`]: contexts and vhosts from JSON files, with lws's keys.
//! - [`WsInfo`]: WebSockets of a vhost; [`WsConnect`]: one that we ask a server for.
//! - [`forms`]: a stream parser for the forms that browsers send, files included.
//! - [`lejp`]: a stream parser for JSON that calls back with path, match and value.
//! - [`proxy_header`]: headers of the PROXY protocol, read and written.
//! - [`protocols`]: ready-made protocols. [`limits`]: every bound that a peer can run into.
//!
//! ```no_run
//! use rlws::protocols::RawEcho;
//! use rlws::{Context, ContextInfo, Listen, Mount, Options, ProtocolTable, VhostInfo};
//!
//! fn main() -> rlws::Result<()> {
//!     let mut context = Context::new(ContextInfo::default())?;
//!     context.create_vhost(VhostInfo {
//!         name: "localhost".into(),
//!         listen: Listen::port(7681),
//!         mounts: vec![Mount::files("/", "/srv/www")],
//!         protocols: vec![ProtocolTable::of::<RawEcho>()],
//!         options: Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG, // what is not http is echoed
//!         ..Default::default()
//!     })?;
//!     context.stop_on_signals()?;
//!     context.run()
//! }
//! ```

pub mod classify;
pub mod conf;
pub mod first_packet;
pub mod forms;
pub mod lejp;
pub mod limits;
pub mod logger;
#[path = "../protocols/mod.rs"]
pub mod protocols;
pub mod proxy_header;

#[path = "../roles/mod.rs"]
pub(crate) mod roles;

// The loop, and all that it owns.
mod context;
mod cx;
mod deferred;
mod descriptors;
mod resolver;
mod run_queue;
mod service;
mod slots;
mod timers;

// One connection: what is under it, what it is doing, what it sends, what is counted of it.
mod attached;
mod buf;
mod keepalive;
mod role;
mod sending;
mod tally;
mod tls;
mod transport;
mod wsi;

// How connections come to be: accepted, made, adopted, or turned away.
mod admission;
mod adopt;
mod connect;
mod fast_open;
mod listen_group;
mod listen_sockets;
mod listening;
mod peer_limits;
mod peer_network;
mod proxied;
mod retry;
mod unix_file;
mod unix_listening;
mod unix_owner;

// Named servers: what is written of them, and what it means.
mod basic_auth;
mod fate;
mod headers;
mod mount;
mod options;
mod pvo;
mod regular_file;
mod reject;
mod vhost;
mod vhost_info;
mod vhosts;

// User code.
mod protocol;
mod reason;
mod ring;

// What http and WebSocket share with the core.
mod date;
mod file_cache;
mod http;
mod request_turns;
mod ws;

// What is said of all this: errors, logs.
mod access_line;
mod access_log;
mod error;
mod facts;
mod seldom;

pub use access_log::AccessLog;
pub use adopt::{AdoptInfo, ConnectInfo};
pub use connect::{Onward, Target, TargetError};
pub use context::{Context, ContextInfo, Waker};
pub use cx::Cx;
pub use error::{Error, InitError, Result};
pub use fate::Fate;
pub use http::{HttpRequest, RespondError, Response};
pub use listen_group::Listening;
pub use listen_sockets::{ListenSockets, ReusePort};
pub use mount::{Cache, Mount, Origin};
pub use options::Options;
pub use peer_network::{PeerNetwork, PeerNetworkError};
pub use protocol::{Call, Interests, Protocol, ProtocolTable, Verdict, VhostCall};
pub use proxy_header::ProxyProtocol;
pub use pvo::{Pvo, PvoError};
pub use reason::{Reason, VhostReason};
pub use reject::RejectKeyword;
pub use retry::Retry;
pub use ring::Ring;
pub use role::CloseReason;
pub use sending::WriteError;
pub use tally::{Count, Tally};
pub use timers::SulId;
pub use tls::{
    ClientCerts, PeerCert, Pem, Roots, TlsClient, TlsClientInfo, TlsDoubt, TlsDoubts, TlsError, TlsInfo, TlsSettings,
};
pub use unix_owner::UnixOwner;
pub use vhost::{Vhost, VhostId};
pub use vhost_info::{Listen, VhostInfo};
pub use ws::{CloseCode, PermessageDeflate, Validity, WsAnswer, WsConnect, WsInfo, WsLimits, WsWrite};
pub use wsi::{Peer, Wsi, WsiId};
