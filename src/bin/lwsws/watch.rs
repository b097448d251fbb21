//! Whether files are still those that were read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rlws::conf::Conf;
use rlws::{Pem, TlsClientInfo};

/// The certificates, keys and CAs of a configuration.
pub(crate) struct Watched {
    files: Vec<(PathBuf, Stamp)>,
    /// Something changed at the last look: it may not be finished.
    unsettled: bool,
}

/// Tells a file from what it was. `None`: it is not there.
type Stamp = Option<(u64, u64, i64, i64)>;

impl Watched {
    pub(crate) fn of(conf: &Conf) -> Watched {
        let served = conf.vhosts.iter().filter_map(|vhost| vhost.tls.as_ref());
        let served = served.flat_map(|tls| [&tls.cert, &tls.key].into_iter().chain(&tls.ca).cloned());
        let shown = conf.vhosts.iter().filter_map(|vhost| vhost.client_tls.as_ref()).flat_map(files);
        let paths = served.chain(shown);
        Watched { files: paths.map(|path| (path.clone(), stamp(&path))).collect(), unsettled: false }
    }

    /// Whether they have changed since they were first looked at, and not any more since the last look: who renews a certificate writes
    /// more than one file.
    pub(crate) fn have_changed(&mut self) -> bool {
        let changed = self.look_again();
        let settled = self.unsettled && !changed;
        self.unsettled = changed;
        settled
    }

    /// Takes them as they are now.
    pub(crate) fn look_again(&mut self) -> bool {
        let mut changed = false;
        for (path, known) in &mut self.files {
            let now = stamp(path);
            changed |= std::mem::replace(known, now) != now;
        }
        changed
    }
}

/// The files that TLS of our own connections is made of.
fn files(tls: &TlsClientInfo) -> Vec<PathBuf> {
    let mut tls = tls.clone();
    let path = |pem: &mut Pem| if let Pem::File(path) = pem { Some(path.clone()) } else { None };
    tls.pems_mut().filter_map(path).collect()
}

fn stamp(path: &Path) -> Stamp {
    let file = fs::metadata(path).ok()?;
    Some((file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
}
