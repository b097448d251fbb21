//! What can go wrong before a connection exists: configuration, and the system under it.
//!
//! Faults of a peer never come here; they end that peer's connection and are logged with its address.

use std::io;

use crate::conf::ConfError;
use crate::tls::TlsError;

/// What a protocol's [`init`](crate::Protocol::init) may fail with: any error, or a plain text by `.into()`.
pub type InitError = Box<dyn std::error::Error + Send + Sync>;

/// Shorthand for results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// Why a context, a vhost or a connection could not be made.
///
/// `Debug` prints the same text as `Display`, so that a `main` which returns it shows a sentence.
#[derive(thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Another program, or a listener of this context with other settings, holds the address.
    #[error("vhost {vhost}: cannot listen on {address}: the address is taken")]
    AddressTaken {
        /// The vhost that asked for it.
        vhost: String,
        /// The address as it would have been bound.
        address: String,
    },
    /// The listen socket could not be made for another reason, such as missing privileges.
    #[error("vhost {vhost}: cannot listen on {address}: {source}")]
    Listen {
        /// The vhost that asked for it.
        vhost: String,
        /// The address as it would have been bound.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// Two vhosts of one listen socket have the same name, so that one could never be chosen.
    #[error("vhost {vhost}: there is already a vhost of that name on {address}")]
    DuplicateVhost {
        /// The second of the two.
        vhost: String,
        /// The address they share.
        address: String,
    },
    /// No role has that name.
    #[error("vhost {vhost}: unknown role \"{role}\"; known are {known}")]
    UnknownRole {
        /// The vhost that named it.
        vhost: String,
        /// The name as given.
        role: String,
        /// The names that would have been accepted.
        known: String,
    },
    /// The vhost has no protocol of that name.
    #[error("vhost {vhost}: unknown protocol \"{protocol}\"; this vhost has {known}")]
    UnknownProtocol {
        /// The vhost that named it.
        vhost: String,
        /// The name as given.
        protocol: String,
        /// The vhost's protocols.
        known: String,
    },
    /// The protocol cannot work in that role.
    #[error("vhost {vhost}: protocol {protocol} cannot be bound in role {role}; it works in {roles}")]
    RoleMisfit {
        /// The vhost that put them together.
        vhost: String,
        /// The protocol's name.
        protocol: String,
        /// The role's name.
        role: String,
        /// The roles that the protocol is made for.
        roles: String,
    },
    /// What is not http is to have a role and a protocol, and none is named.
    #[error(
        "vhost {vhost}: it has no protocol for what is not http; listen_accept_protocol names one \
         (in JSON: listen-accept-protocol)"
    )]
    NoListenAcceptProtocol {
        /// The vhost that asks for it.
        vhost: String,
    },
    /// A protocol refused its configuration, or could not set itself up.
    #[error("vhost {vhost}: protocol {protocol}: {source}")]
    ProtocolInit {
        /// The vhost it was initialised on.
        vhost: String,
        /// The protocol's name.
        protocol: String,
        /// What it said.
        source: InitError,
    },
    /// Certificates, keys or TLS settings cannot be used.
    #[error("vhost {vhost}: tls: {source}")]
    Tls {
        /// The vhost that has them.
        vhost: String,
        /// What is wrong.
        source: TlsError,
    },
    /// Certificates, keys or settings for TLS of the vhost's own connections cannot be used.
    #[error("vhost {vhost}: tls of its own connections: {source}")]
    ClientTls {
        /// The vhost that has them.
        vhost: String,
        /// What is wrong.
        source: TlsError,
    },
    /// Vhosts of one listen socket of which one has TLS and the other has not.
    #[error("vhosts {first} and {second} share {address}, so both have TLS or none has")]
    TlsMixed {
        /// The vhost that was there first.
        first: String,
        /// The one that does not fit.
        second: String,
        /// What they share.
        address: String,
    },
    /// A mount's folder cannot be served.
    #[error("vhost {vhost}: mount {mountpoint}: {path}: {source}")]
    Mount {
        /// The vhost that has the mount.
        vhost: String,
        /// Where in the URL space it is.
        mountpoint: String,
        /// The folder.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Any other contradiction in a configuration.
    #[error("vhost {vhost}: {what}")]
    Config {
        /// The vhost concerned.
        vhost: String,
        /// What is wrong, and what would be right.
        what: String,
    },
    /// Files of a configuration that cannot be used.
    #[error(transparent)]
    Conf(#[from] ConfError),
    /// The vhost is not there (any more).
    #[error("there is no such vhost")]
    NoVhost,
    /// A protocol has ended the loop with [`Cx::stop_with`](crate::Cx::stop_with).
    #[error("{0}")]
    Stopped(InitError),
    /// A vhost cannot be made any more.
    #[error("the context is being dropped")]
    ContextGoes,
    /// A socket could not be handed to, or used by, the event loop.
    #[error("{what}: {source}")]
    System {
        /// What was being done.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
}

impl std::fmt::Debug for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl Error {
    /// For `map_err`: the system failed while we were doing `what`.
    pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::System { what, source }
    }
}
