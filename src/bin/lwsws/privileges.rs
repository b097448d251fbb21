//! Whom the workers serve as: nobody they need not be.
//!
//! A worker is handed its listen sockets, keys and logs, so it needs no privilege at all. One that serves as root keeps what root has: the
//! files that it serves may be anybody's.

use std::ffi::CString;
use std::io;

use nix::unistd::{
    Gid, Group, Uid, User, getegid, geteuid, getgrouplist, getgroups, getresgid, getresuid, setgroups, setresgid,
    setresuid,
};
use rlws::conf::Global;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, clear_ambient_capability_set, remove_capability_from_bounding_set,
    set_capabilities, set_no_new_privs,
};

/// A user and groups, as the system knows them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    uid: Option<Uid>,
    gid: Option<Gid>,
    /// The supplementary ones, with `gid`.
    groups: Vec<Gid>,
    /// Where the configuration asks for it, for errors.
    asked_at: String,
}

impl Identity {
    /// What the configuration asks for; names go before numbers.
    pub(crate) fn of(global: &Global) -> Result<Identity, String> {
        let user = match (&global.username, global.uid) {
            (Some(name), _) => Some(known(User::from_name(name), global, "username", name)?),
            (None, Some(uid)) => User::from_uid(Uid::from_raw(uid)).ok().flatten(),
            (None, None) => None,
        };
        let group = match (&global.groupname, global.gid) {
            (Some(name), _) => Some(known(Group::from_name(name), global, "groupname", name)?.gid),
            (None, Some(gid)) => Some(Gid::from_raw(gid)),
            (None, None) => None,
        };
        let uid = user.as_ref().map(|user| user.uid).or(global.uid.map(Uid::from_raw));
        let gid = group.or(user.as_ref().map(|user| user.gid));
        if uid.is_some() && gid.is_none() {
            let at = at(global, "uid");
            return Err(format!("{at}: names no user of this system, so its group has to be given: gid or groupname"));
        }
        let keys = ["username", "uid", "groupname", "gid"];
        let asked = keys.into_iter().find(|key| global.place(key).is_some()).unwrap_or("username");
        let groups = match (&user, gid) {
            (Some(user), Some(gid)) => groups_of(user, gid).map_err(|why| format!("{}: {why}", at(global, asked)))?,
            (_, gid) => Vec::from_iter(gid),
        };
        Ok(Identity { uid, gid, groups, asked_at: at(global, asked) })
    }

    /// Whether this process, or one that it starts, can become that.
    pub(crate) fn is_within_reach(&self) -> Result<(), String> {
        let ours = capabilities(None).map_err(|error| format!("asking for our capabilities: {error}"))?.effective;
        let user_fits = self.is_our_user() || ours.contains(CapabilitySet::SETUID);
        let groups_fit = self.are_our_groups() || ours.contains(CapabilitySet::SETGID);
        if user_fits && groups_fit {
            return Ok(());
        }
        Err(format!("{}: lwsws has to be started as root to serve as another user or with other groups", self.asked_at))
    }

    /// Whether workers are root: whoever breaks into one has the machine.
    pub(crate) fn is_root(&self) -> bool {
        self.uid.unwrap_or(geteuid()).is_root()
    }

    /// Becomes that, for good: there is no way back.
    pub(crate) fn assume(&self) -> Result<(), String> {
        let failed = |what: &str, error: io::Error| {
            format!("{}: {what}: {error}; lwsws has to be started as root for this", self.asked_at)
        };
        if !self.is_root() {
            empty_bounding_set();
        }
        if let Some(gid) = self.gid.filter(|_| !self.are_our_groups()) {
            setgroups(&self.groups).map_err(|error| failed("setting the groups", error.into()))?;
            setresgid(gid, gid, gid).map_err(|error| failed("changing the group", error.into()))?;
        }
        if let Some(uid) = self.uid.filter(|_| !self.is_our_user()) {
            setresuid(uid, uid, uid).map_err(|error| failed("changing the user", error.into()))?;
        }
        // What would bring privileges back, as a program with the set-user-ID bit does, does not any more.
        set_no_new_privs(true).map_err(|error| format!("giving up new privileges: {error}"))?;
        if !self.is_root() {
            drop_capabilities().map_err(|error| format!("giving up capabilities: {error}"))?;
            if setresuid(Uid::from_raw(0), Uid::from_raw(0), Uid::from_raw(0)).is_ok() {
                return Err("the system lets us become root again".to_owned());
            }
        }
        Ok(())
    }

    fn is_our_user(&self) -> bool {
        let ours = getresuid().map(|ids| [ids.real, ids.effective, ids.saved]);
        self.uid.is_none_or(|uid| ours.is_ok_and(|ours| ours == [uid; 3]))
    }

    fn are_our_groups(&self) -> bool {
        let Some(gid) = self.gid else { return true };
        let ours = getresgid().map(|ids| [ids.real, ids.effective, ids.saved]);
        ours.is_ok_and(|ours| ours == [gid; 3]) && getgroups().is_ok_and(|ours| are_same(&self.groups, &ours))
    }
}

/// Whether the supplementary groups are the same; ours are without the first one.
fn are_same(wanted: &[Gid], ours: &[Gid]) -> bool {
    let first = getegid();
    let is_in = |all: &[Gid], gid: &Gid| *gid == first || all.contains(gid);
    wanted.iter().all(|gid| is_in(ours, gid)) && ours.iter().all(|gid| is_in(wanted, gid))
}

fn groups_of(user: &User, gid: Gid) -> Result<Vec<Gid>, String> {
    let name = CString::new(user.name.as_str()).map_err(|error| error.to_string())?;
    getgrouplist(&name, gid).map_err(|error| format!("looking up the groups of {}: {error}", user.name))
}

/// Nothing that is executed later can have what is not in there. Without CAP_SETPCAP it stays, and "no new privileges" does as well.
fn empty_bounding_set() {
    for capability in CapabilitySet::all().iter() {
        let _may_not = remove_capability_from_bounding_set(capability);
    }
}

/// Of this thread; those that it starts have none either.
fn drop_capabilities() -> rustix::io::Result<()> {
    let none = CapabilitySet::empty();
    clear_ambient_capability_set()?;
    set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })
}

fn known<T>(found: nix::Result<Option<T>>, global: &Global, key: &str, name: &str) -> Result<T, String> {
    let at = at(global, key);
    match found {
        Ok(Some(found)) => Ok(found),
        Ok(None) => Err(format!("{at}: this system has no {name}")),
        Err(error) => Err(format!("{at}: looking {name} up: {error}")),
    }
}

/// A key of `global`, with its file, line and column.
fn at(global: &Global, key: &str) -> String {
    global.place(key).map_or_else(|| format!("global.{key}"), |place| format!("{place}: global.{key}"))
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

/// Descriptors of a worker that are no socket it listens on: what it is started with, the poll, the line to its parent, and a few to serve
/// with.
const LEAST_NOFILE: u64 = 20;

/// Whether anybody could be served with `rlimit-nofile`, by a worker that listens on so many sockets.
pub(crate) fn leaves_descriptors(global: &Global, sockets: usize) -> Result<(), String> {
    let least = LEAST_NOFILE + sockets as u64;
    match global.rlimit_nofile {
        Some(allowed) if allowed < least => {
            let at = at(global, "rlimit-nofile");
            Err(format!(
                "{at}: with {allowed} descriptors nobody can be served; it takes {least}, and one or two for each connection"
            ))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_we_are_is_within_reach_of_everybody() {
        let groups = getgroups().expect("our groups");
        let asked_at = "global.username".to_owned();
        let us = Identity { uid: Some(geteuid()), gid: Some(getegid()), groups, asked_at };
        assert!(us.is_our_user() && us.are_our_groups());
        assert_eq!(us.is_within_reach(), Ok(()));
        let other = Identity { uid: Some(Uid::from_raw(4_000_000_000)), ..us.clone() };
        assert!(!other.is_our_user() && other.are_our_groups());
        let more = Identity { groups: [&us.groups[..], &[Gid::from_raw(4_000_000_000)]].concat(), ..us };
        assert!(more.is_our_user() && !more.are_our_groups());
    }

    #[test]
    fn the_first_group_need_not_be_among_the_others() {
        let (first, other) = (getegid(), Gid::from_raw(4_000_000_000));
        assert!(are_same(&[first], &[]) && are_same(&[], &[first]) && are_same(&[other, first], &[other]));
        assert!(!are_same(&[other], &[]) && !are_same(&[], &[other]));
    }

    #[test]
    fn a_mistake_has_its_place() {
        for (text, said) in [
            (r#"{"global": {"username": "no-such-user"}}"#, "f:1:25: global.username: this system has no no-such-user"),
            (r#"{"global": {"groupname": "no-such"}}"#, "f:1:26: global.groupname: this system has no no-such"),
            (
                r#"{"global": {"uid": 4000000000}}"#,
                "f:1:20: global.uid: names no user of this system, so its group has to be given: gid or groupname",
            ),
        ] {
            let conf = rlws::conf::load_str("f", text).expect("good JSON");
            assert_eq!(Identity::of(&conf.global).expect_err(text), said);
        }
    }
}
