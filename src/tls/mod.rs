//! TLS material: what certificates, keys and settings a vhost or a client connection has, made ready for rustls.
//!
//! ```text
//!   TlsInfo ──▶ server::ServerTls     one per vhost, made with it; role tls picks it by SNI
//!   TlsClientInfo ──▶ TlsClient       made once by the user, used for any number of connections
//!                      both ──▶ stream::Tls, the transport
//! ```
//!
//! Everything is checked when it is made: a key that does not belong to its certificate, or a cipher suite that nobody knows, is an
//! error at start and not at the first handshake. In lws: `lib/tls`.

mod chain;
mod client;
mod doubts;
mod peer_cert;
mod pem;
mod server;
mod settings;
pub(crate) mod stream;

pub use client::{Roots, TlsClient, TlsClientInfo};
pub use doubts::{TlsDoubt, TlsDoubts};
pub use peer_cert::PeerCert;
pub use pem::Pem;
pub(crate) use server::ServerTls;
pub use server::{ClientCerts, TlsInfo};
pub use settings::TlsSettings;

use std::sync::Arc;

use rustls::crypto::CryptoProvider;

/// What is wrong with TLS material or settings.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A PEM file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is no certificate, or no private key, where one has to be.
    #[error("{from}: there is no {what} in it")]
    Missing {
        /// Where it was looked for.
        from: String,
        /// What was looked for.
        what: &'static str,
    },
    /// What is there cannot be understood.
    #[error("{from}: {why}")]
    Bad {
        /// Where it is.
        from: String,
        /// What is wrong with it.
        why: String,
    },
    /// The key is not that of the first certificate of the chain.
    #[error("the private key in {key} does not belong to the certificate in {cert}")]
    KeyMismatch {
        /// Where the certificate is.
        cert: String,
        /// Where the key is.
        key: String,
    },
    /// A cipher suite, group or version that is not known.
    #[error("unknown {kind} \"{name}\"; known are {known}")]
    Unknown {
        /// `cipher suite`, `group` or `version`.
        kind: &'static str,
        /// The name as given.
        name: String,
        /// The names that would have been accepted.
        known: String,
    },
    /// The settings contradict each other.
    #[error("{0}")]
    Settings(String),
}

impl TlsError {
    fn settings(error: impl std::fmt::Display) -> TlsError {
        TlsError::Settings(error.to_string())
    }
}

/// The cryptography that this build has.
#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as backend;
#[cfg(all(feature = "ring", not(feature = "aws-lc-rs")))]
use rustls::crypto::ring as backend;
#[cfg(not(any(feature = "aws-lc-rs", feature = "ring")))]
compile_error!("rlws needs one of the features \"aws-lc-rs\" (the default) and \"ring\"");

/// The provider, restricted to what the settings allow.
fn provider(settings: &TlsSettings) -> Result<Arc<CryptoProvider>, TlsError> {
    let mut provider = backend::default_provider();
    settings.restrict(&mut provider)?;
    Ok(Arc::new(provider))
}
