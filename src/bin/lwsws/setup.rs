//! From the configuration to a context, as the check and the workers make it.

use std::path::Path;

use rlws::conf::{self, Conf, VhostInfos};
use rlws::protocols::{HttpDummy, RawEcho, RawProxy, RawTest};
use rlws::{Context, ProtocolTable};

/// What vhosts can enable in `ws-protocols`.
pub(crate) const PROTOCOLS: &[ProtocolTable] = &[
    ProtocolTable::of::<HttpDummy>(),
    ProtocolTable::of::<RawProxy>(),
    ProtocolTable::of::<RawEcho>(),
    ProtocolTable::of::<RawTest>(),
];

/// A configuration and the vhosts of it.
pub(crate) struct Loaded {
    pub(crate) conf: Conf,
    pub(crate) vhosts: VhostInfos,
}

impl Loaded {
    /// Reads a folder. An error is a text of one line or several.
    pub(crate) fn from(dir: &Path) -> Result<Loaded, String> {
        Loaded::of(conf::load_dir(dir).map_err(|error| error.to_string())?)
    }

    /// Reads texts that were read from files before.
    pub(crate) fn from_texts(texts: &[(String, String)]) -> Result<Loaded, String> {
        let texts = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        Loaded::of(conf::Loader::new().load_texts(texts).map_err(|error| error.to_string())?)
    }

    fn of(conf: Conf) -> Result<Loaded, String> {
        let vhosts = conf.vhost_infos(PROTOCOLS).map_err(|error| error.to_string())?;
        Ok(Loaded { conf, vhosts })
    }

    pub(crate) fn warn(&self) {
        for warning in self.conf.warnings().iter().chain(&self.vhosts.warnings) {
            log::warn!("{warning}");
        }
    }

    /// Makes all vhosts in a context of their own, without a socket: loads certificates, opens folders, resolves roles, initialises
    /// protocols.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.conf.vhosts.is_empty() {
            let files: Vec<&str> = self.conf.texts().map(|(name, _)| name).collect();
            let shown =
                r#"{ "vhosts": [{ "port": "80", "mounts": [{ "mountpoint": "/", "origin": "file:///srv/www" }] }] }"#;
            let files = files.join(", ");
            return Err(format!("{files}: there is no vhost, so nothing would be served; add one, such as {shown}"));
        }
        let mut context = Context::new(self.conf.context_info()).map_err(|error| error.to_string())?;
        let mut wrong = Vec::new();
        for (conf, info) in self.conf.vhosts.iter().zip(&self.vhosts.infos) {
            let mut info = info.clone();
            info.listen = rlws::Listen::None;
            if let Err(error) = context.create_vhost(info) {
                wrong.push(conf.explain(&error).to_string());
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}
