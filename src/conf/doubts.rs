//! Where in a configuration that is which can be used, but which an operator should look at.

use std::time::SystemTime;

use super::diagnostic::{Diagnostic, Problem};
use super::vhost::VhostConf;
use crate::tls::TlsDoubts;
use crate::vhost_info::VhostInfo;

impl VhostConf {
    /// What [`TlsInfo::doubts`](crate::TlsInfo::doubts) says of this vhost's certificates, keys and lists, as warnings with their places; and
    /// when there may be more of them. `info` is what the vhost is made with, which has their text where it was read before.
    pub fn doubts(&self, info: &VhostInfo, now: SystemTime) -> (Vec<Diagnostic>, Option<SystemTime>) {
        let (Some(conf), Some(tls)) = (&self.tls, &info.tls) else { return Default::default() };
        let TlsDoubts { found, until } = tls.doubts(now);
        let warning = |doubt: crate::tls::TlsDoubt| {
            let node = self.node().find(conf.key_of(&doubt.from)).unwrap_or(self.node());
            Diagnostic::warning(Problem::Doubtful, node.place(), node.path()).note(doubt.to_string())
        };
        (found.into_iter().map(warning).collect(), until)
    }
}
