//! From the configuration to a context, as the check and the workers make it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rlws::conf::{self, Conf, ConfError, VhostInfos};
use rlws::protocols::{
    DumbIncrement, HttpDummy, LwsMirror, LwsServerStatus, LwsStatus, PostDemo, RawEcho, RawProxy, RawTest,
};
use rlws::{Context, Listen, Pem, Protocol, ProtocolTable, VhostId};

use crate::doubts::Doubts;
use crate::mistakes;
use crate::privileges::{Identity, leaves_descriptors};
use crate::watch::{self, Stamps};

/// What vhosts can enable in `ws-protocols`.
pub(crate) const PROTOCOLS: &[ProtocolTable] = &[
    ProtocolTable::of::<HttpDummy>(),
    ProtocolTable::of::<RawProxy>(),
    ProtocolTable::of::<RawEcho>(),
    ProtocolTable::of::<RawTest>(),
    ProtocolTable::of::<PostDemo>(),
    ProtocolTable::of::<LwsMirror>(),
    ProtocolTable::of::<DumbIncrement>(),
    ProtocolTable::of::<LwsStatus>(),
    ProtocolTable::of::<LwsServerStatus>(),
];

/// Options of protocol `raw-proxy` that name files in PEM form.
const ONWARD_FILES: [&str; 3] = ["onward-tls-cert", "onward-tls-key", "onward-tls-ca"];

const AN_IDENTITY: &str = r#""username": "www-data""#;

/// The certificates, keys and CAs of vhosts, by the files that they were read from.
pub(crate) type Pems = BTreeMap<PathBuf, Vec<u8>>;

/// A configuration and the vhosts of it.
pub(crate) struct Loaded {
    pub(crate) conf: Conf,
    pub(crate) vhosts: VhostInfos,
    pub(crate) pems: Pems,
    /// What their files were before they were read.
    pub(crate) stamps: Stamps,
}

impl Loaded {
    /// Reads a folder, and the certificates and keys that it names. An error is a text of one line or several.
    pub(crate) fn from(dir: &Path) -> Result<Loaded, String> {
        let mut nobody = None;
        let conf = conf::Loader::new().load_dir_with(dir, |conf, said| {
            nobody = Identity::of(&conf.global).err();
            mistakes::beyond(conf, said)
        });
        let mut loaded = Loaded::of(conf.map_err(|error| told(&error, nobody))?)?;
        for path in loaded.pem_files() {
            loaded.stamps.insert(path.clone(), watch::stamp(&path));
            // What cannot be read is an error of the vhost that is made of it.
            if let Ok(Pem::Read { path, text }) = Pem::file(path).read() {
                loaded.pems.insert(path, text);
            }
        }
        loaded.use_pems();
        for path in loaded.files_of_options() {
            loaded.stamps.insert(path.clone(), watch::stamp(&path));
        }
        Ok(loaded)
    }

    /// The same, of what somebody else has read.
    pub(crate) fn from_texts(texts: &[(String, String)], pems: Pems) -> Result<Loaded, String> {
        let texts = texts.iter().map(|(name, text)| (name.as_str(), text.as_str()));
        let mut loaded = Loaded::of(conf::Loader::new().load_texts(texts).map_err(|error| error.to_string())?)?;
        loaded.pems = pems;
        loaded.use_pems();
        Ok(loaded)
    }

    fn of(conf: Conf) -> Result<Loaded, String> {
        let vhosts = conf.vhost_infos(PROTOCOLS).map_err(|mut error| {
            error.diagnostics.extend(mistakes::of_making(&conf, &error.diagnostics));
            told(&error, Identity::of(&conf.global).err())
        })?;
        Ok(Loaded { conf, vhosts, pems: Pems::new(), stamps: Stamps::new() })
    }

    /// How many workers it wants.
    pub(crate) fn workers(&self) -> usize {
        self.conf.global.count_threads.max(1) as usize
    }

    fn tls_pems(&mut self) -> impl Iterator<Item = &mut Pem> {
        self.vhosts.infos.iter_mut().flat_map(|info| {
            let served = info.tls.iter_mut().flat_map(|tls| tls.pems_mut());
            served.chain(info.client_tls.iter_mut().flat_map(|tls| tls.pems_mut()))
        })
    }

    fn pem_files(&mut self) -> Vec<PathBuf> {
        let files = self.tls_pems().filter_map(|pem| match pem {
            Pem::File(path) => Some(path.clone()),
            _ => None,
        });
        files.collect()
    }

    /// The files that workers read themselves, because an option of a protocol names them.
    fn files_of_options(&self) -> Vec<PathBuf> {
        let all = self.vhosts.infos.iter().filter_map(|info| info.pvo.child(RawProxy::NAME));
        let files = all.flat_map(|pvo| ONWARD_FILES.iter().filter_map(|name| pvo.get(name)));
        files.map(PathBuf::from).collect()
    }

    /// Has the vhosts made of what was read, whatever becomes of the files.
    fn use_pems(&mut self) {
        let pems = std::mem::take(&mut self.pems);
        for pem in self.tls_pems() {
            if let Pem::File(path) = pem
                && let Some(text) = pems.get(path)
            {
                *pem = Pem::Read { path: std::mem::take(path), text: text.clone() };
            }
        }
        self.pems = pems;
    }

    pub(crate) fn warn(&self) {
        for warning in self.conf.warnings().iter().chain(&self.vhosts.warnings) {
            log::warn!("{warning}");
        }
        Doubts::of(self, SystemTime::now()).warn();
        if Identity::of(&self.conf.global).is_ok_and(|identity| identity.is_root()) {
            let files: Vec<&str> = self.conf.texts().map(|(name, _)| name).take(1).collect();
            log::warn!("{}: its workers run as root; say who else in global: {AN_IDENTITY}", files.join(""));
        }
    }

    /// Makes all vhosts in a context of their own, without a socket, each or what is wrong with it.
    pub(crate) fn try_out(&self) -> Result<(Context, Vec<Result<VhostId, String>>), String> {
        let mut context = Context::new(self.conf.context_info()).map_err(|error| error.to_string())?;
        context.bind_nothing();
        let vhosts = self.conf.vhosts.iter().zip(&self.vhosts.infos);
        let made = vhosts
            .map(|(conf, info)| context.create_vhost(info.clone()).map_err(|error| conf.explain(&error).to_string()));
        let made = made.collect();
        Ok((context, made))
    }

    /// Makes all vhosts in a context of their own, without a socket: loads certificates, opens folders, resolves roles, initialises
    /// protocols. Looks whether there is a user to serve as, and a place for each access log.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.conf.vhosts.is_empty() {
            let files: Vec<&str> = self.conf.texts().map(|(name, _)| name).collect();
            let shown =
                r#"{ "vhosts": [{ "port": "80", "mounts": [{ "mountpoint": "/", "origin": "file:///srv/www" }] }] }"#;
            let files = files.join(", ");
            return Err(format!("{files}: there is no vhost, so nothing would be served; add one, such as {shown}"));
        }
        let mut wrong = Vec::from_iter(Identity::of(&self.conf.global).err());
        let mut listens: Vec<&Listen> = self.vhosts.infos.iter().map(|info| &info.listen).collect();
        listens.retain(|listen| **listen != Listen::None);
        listens.dedup();
        wrong.extend(leaves_descriptors(&self.conf.global, listens.len()).err());
        let of_vhosts = mistakes::of_vhosts(&self.conf, self.vhosts.infos.clone(), [].iter());
        wrong.extend(of_vhosts.iter().map(ToString::to_string));
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

/// What is wrong with the files, and with whom they want to be served as.
fn told(error: &ConfError, nobody: Option<String>) -> String {
    Vec::from_iter([error.to_string()].into_iter().chain(nobody)).join("\n")
}
