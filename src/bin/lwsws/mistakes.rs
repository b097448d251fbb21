//! All mistakes at once: where some were found, those that would have been found next.
//!
//! ```text
//!   the files ──▶ protocols and roles ──▶ vhosts made: certificates, folders, options of protocols
//! ```

use std::collections::HashSet;

use rlws::conf::{Conf, Diagnostic, Severity};
use rlws::{Context, VhostInfo};

use crate::setup::PROTOCOLS;

/// What else is wrong with a configuration whose files have mistakes.
pub(crate) fn beyond(conf: &Conf, said: &[Diagnostic]) -> Vec<Diagnostic> {
    let (infos, mut found) = conf.vhost_infos_as_understood(PROTOCOLS);
    let of_making = making(conf, infos, said.iter().chain(&found));
    found.extend(of_making);
    found
}

/// What else is wrong with one whose protocols and roles have mistakes.
pub(crate) fn of_making(conf: &Conf, said: &[Diagnostic]) -> Vec<Diagnostic> {
    let (infos, _) = conf.vhost_infos_as_understood(PROTOCOLS);
    making(conf, infos, said.iter())
}

/// Makes the vhosts that nothing was said against, without a socket. Of the others nobody knows what they were to be.
fn making<'d>(conf: &Conf, infos: Vec<VhostInfo>, said: impl Iterator<Item = &'d Diagnostic>) -> Vec<Diagnostic> {
    let errors = said.filter(|diagnostic| diagnostic.severity == Severity::Error);
    let vhost_of = |path: &str| path.split('.').next().unwrap_or_default().to_owned();
    let wrong: HashSet<(String, String)> =
        errors.map(|error| (error.place.file.clone(), vhost_of(&error.path))).collect();
    let Ok(mut context) = Context::new(conf.context_info()) else { return Vec::new() };
    context.bind_nothing();
    let sound =
        conf.vhosts.iter().zip(infos).filter(|(conf, _)| !wrong.contains(&(conf.place().file, conf.node().path())));
    sound.filter_map(|(conf, info)| context.create_vhost(info).err().map(|error| conf.explain(&error))).collect()
}
