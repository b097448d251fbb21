//! Configurations in JSON files, as lwsws reads them.
//!
//! ```text
//!   DIR/conf, DIR/conf.d/*  ──▶ comments blanked ──▶ a tree that knows its places ──▶ read by the table of keys
//!                                     │ the first syntax error of each file                  │ all errors of meaning
//!                                     └──────────────────────┬─────────────────────────────-─┘
//!   ContextInfo, VhostInfo  ◀── Conf: Global, VhostConf.. ◀──┴──▶ ConfError: FILE:LINE:COL: PATH: what is wrong
//! ```
//!
//! The files are pure JSON, except that `#` begins a comment, and that `_lws_ddir_` in a string stands for the data directory.
//! Values are strings, or plain JSON numbers and booleans. [`keys()`] lists every key with its meaning; so does
//! `READMEs/README.lwsws.md`. A program may keep [sections of its own](Conf::section) in the same files.
//!
//! ```
//! use rlws::protocols::{HttpDummy, RawProxy};
//! use rlws::{Context, Error, ProtocolTable, conf};
//!
//! let text = r#"{
//!     "global": { "timeout-secs": "10" },
//!     "vhosts": [{
//!         "name": "localhost",
//!         "port": "0",                # any free one
//!         "mounts": [{ "mountpoint": "/", "origin": "file://." }],
//!         ## What is not http is relayed to sshd.
//!         "ws-protocols": [{ "raw-proxy": { "status": "ok", "onward": "ipv4:127.0.0.1:22" } }],
//!         "listen-accept-role": "raw-proxy",
//!         "listen-accept-protocol": "raw-proxy",
//!         "fallback-listen-accept": "1"
//!     }]
//! }"#;
//! let conf = conf::load_str("my.conf", text)?; // or conf::load_dir("/etc/lwsws")?
//! let vhosts = conf.vhost_infos(&[ProtocolTable::of::<HttpDummy>(), ProtocolTable::of::<RawProxy>()])?;
//! for warning in conf.warnings().iter().chain(&vhosts.warnings) {
//!     log::warn!("{warning}");
//! }
//! let mut context = Context::new(conf.context_info())?;
//! for info in vhosts.infos {
//!     context.create_vhost(info)?;
//! }
//! # Ok::<(), Error>(())
//! ```
//!
//! Invariants: nothing in a file makes this panic, and nothing takes time beyond the size of the files. Mistakes come in the order of the
//! files and of the places in them.
//!
//! In lws: `lib/roles/http/server/lejp-conf.c`, and `lwsws`.

mod claims;
mod diagnostic;
mod doubts;
mod explain;
mod fields;
mod files;
mod global;
mod infos;
mod keys;
mod listen;
mod loader;
mod mount;
mod nearest;
mod node;
mod sockets;
mod source;
mod tls;
mod tree;
mod vhost;
mod ws_protocols;

use std::path::Path;
use std::sync::Arc;

pub use diagnostic::{ConfError, Diagnostic, Place, Problem, Severity};
pub use files::MAX_FILE;
pub use global::Global;
pub use infos::VhostInfos;
pub use keys::{Key, KeyKind, Section, Status, keys};
pub use loader::Loader;
pub use mount::{Cache, Cgi, Guard, MountConf, OriginConf};
pub use nearest::nearest;
pub use node::Node;
pub use tls::TlsConf;
pub use tree::MAX_DEPTH;
pub use vhost::VhostConf;
pub use ws_protocols::ProtocolConf;

use node::File;

/// A configuration: what its files say, with defaults filled in, and where they say it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Conf {
    /// Settings of the server as a whole.
    pub global: Global,
    /// The vhosts of all files, in order.
    pub vhosts: Vec<VhostConf>,
    warnings: Vec<Diagnostic>,
    files: Vec<Arc<File>>,
}

impl Conf {
    /// What the operator should look at, in the order of the files.
    pub fn warnings(&self) -> &[Diagnostic] {
        &self.warnings
    }

    /// A section at the top level, such as a program's own ([`Loader::own_section`]); where several files have it, that of the last.
    pub fn section(&self, name: &str) -> Option<Node<'_>> {
        self.sections(name).last()
    }

    /// A section at the top level, of all files that have it, in their order.
    pub fn sections(&self, name: &str) -> impl Iterator<Item = Node<'_>> {
        self.files.iter().filter_map(move |file| file.root().find(name))
    }

    /// The names and texts of its files, so that another process can read the same: comments are blanked, all else is where it was.
    pub fn texts(&self) -> impl Iterator<Item = (&str, &str)> {
        self.files.iter().map(|file| (file.source.name(), file.source.text()))
    }

    fn file_names(&self) -> impl Iterator<Item = &str> {
        self.files.iter().map(|file| file.source.name())
    }
}

/// [`Loader::load_dir`], with the defaults.
///
/// # Errors
/// As there.
pub fn load_dir(dir: impl AsRef<Path>) -> Result<Conf, ConfError> {
    Loader::new().load_dir(dir)
}

/// [`Loader::load_files`], with the defaults.
///
/// # Errors
/// As there.
pub fn load_files<P: AsRef<Path>>(paths: &[P]) -> Result<Conf, ConfError> {
    Loader::new().load_files(paths)
}

/// [`Loader::load_str`], with the defaults.
///
/// # Errors
/// As there.
pub fn load_str(name: &str, text: &str) -> Result<Conf, ConfError> {
    Loader::new().load_str(name, text)
}
