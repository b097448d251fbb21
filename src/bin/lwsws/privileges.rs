//! Whom the workers serve as: nobody they need not be.

use std::io;

use nix::unistd::{Gid, Group, Uid, User, getegid, geteuid, initgroups, setgroups, setresgid, setresuid};
use rlws::conf::Global;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, capabilities};

/// A user and a group, as the system knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    user: Option<User>,
    uid: Option<Uid>,
    gid: Option<Gid>,
}

impl Identity {
    /// What the configuration asks for; names go before numbers.
    pub(crate) fn of(global: &Global) -> Result<Identity, String> {
        let user = match (&global.username, global.uid) {
            (Some(name), _) => Some(known(User::from_name(name), "username", name)?),
            (None, Some(uid)) => User::from_uid(Uid::from_raw(uid)).ok().flatten(),
            (None, None) => None,
        };
        let group = match (&global.groupname, global.gid) {
            (Some(name), _) => Some(known(Group::from_name(name), "groupname", name)?.gid),
            (None, Some(gid)) => Some(Gid::from_raw(gid)),
            (None, None) => None,
        };
        let uid = user.as_ref().map(|user| user.uid).or(global.uid.map(Uid::from_raw));
        let gid = group.or(user.as_ref().map(|user| user.gid));
        if uid.is_some() && gid.is_none() {
            return Err("uid names no user of this system, so its group has to be given: gid or groupname".to_owned());
        }
        Ok(Identity { user, uid, gid })
    }

    /// Whether this process, or one that it starts, can become that.
    pub(crate) fn is_within_reach(&self) -> Result<(), String> {
        let ours = capabilities(None).map_err(|error| format!("asking for our capabilities: {error}"))?.effective;
        let other_user = self.uid.is_some_and(|uid| uid != geteuid());
        let other_group = self.gid.is_some_and(|gid| gid != getegid());
        if other_user && !ours.contains(CapabilitySet::SETUID) || other_group && !ours.contains(CapabilitySet::SETGID) {
            return Err("username, groupname, uid and gid: lwsws has to be started as root for these".to_owned());
        }
        Ok(())
    }

    /// Becomes that, for good: there is no way back.
    pub(crate) fn assume(&self) -> Result<(), String> {
        let failed =
            |what: &str, error: nix::Error| format!("{what}: {error}; lwsws has to be started as root for this");
        if let Some(gid) = self.gid {
            match &self.user {
                Some(user) => {
                    let name = std::ffi::CString::new(user.name.as_str()).map_err(|error| error.to_string())?;
                    initgroups(&name, gid).map_err(|error| failed("setting the groups", error))?;
                }
                None => setgroups(&[gid]).map_err(|error| failed("setting the groups", error))?,
            }
            setresgid(gid, gid, gid).map_err(|error| failed("changing the group", error))?;
        }
        if let Some(uid) = self.uid {
            setresuid(uid, uid, uid).map_err(|error| failed("changing the user", error))?;
            if !uid.is_root() && setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
                return Err("the system lets us become root again".to_owned());
            }
        }
        Ok(())
    }
}

fn known<T>(found: nix::Result<Option<T>>, key: &str, name: &str) -> Result<T, String> {
    match found {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(format!("{key}: this system has no {name}")),
        Err(error) => Err(format!("{key}: looking {name} up: {error}")),
    }
}

/// Lets this process have so many descriptors (`rlimit-nofile`); as many as are allowed at all, where nothing is said.
pub(crate) fn raise_nofile(wanted: Option<u64>) -> Result<(), String> {
    let now = getrlimit(Resource::Nofile);
    let wanted = wanted.or(now.maximum);
    let maximum = match (now.maximum, wanted) {
        (Some(allowed), Some(wanted)) => Some(allowed.max(wanted)),
        (allowed, _) => allowed,
    };
    setrlimit(Resource::Nofile, Rlimit { current: wanted, maximum })
        .map_err(|error| format!("rlimit-nofile: {}; {:?} are allowed", io::Error::from(error), now.maximum))
}
