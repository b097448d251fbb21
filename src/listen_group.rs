//! One address to listen on, and the vhosts that share it.
//!
//! Vhosts with equal [`Listen`] values are in one group. The first of them decides about first packets; a name (SNI, Host) chooses
//! among all of them. In lws: the list of vhosts on a listen socket.

use std::collections::HashMap;
use std::net::SocketAddr;

use crate::cx::Cx;
use crate::first_packet::Listener;
use crate::unix_file::UnixFile;
use crate::vhost::VhostId;
use crate::vhost_info::Listen;
use crate::wsi::WsiId;

/// A listen socket, or the several of an interface with several addresses, and the vhosts that share it.
pub(crate) struct ListenGroup {
    pub(crate) listen: Listen,
    pub(crate) kind: Listener,
    /// In order of creation; the first decides about first packets and serves unknown names.
    pub(crate) vhosts: Vec<VhostId>,
    by_name: HashMap<String, VhostId>,
    /// One of the vhosts has, or had, an access log.
    pub(crate) logged: bool,
    pub(crate) sockets: Vec<WsiId>,
    /// What was really bound, first socket first.
    pub(crate) bound: Vec<SocketAddr>,
    /// The file of a unix socket, unless somebody else has bound it.
    pub(crate) unix_file: Option<UnixFile>,
}

/// An address that is listened on ([`Cx::listening`]).
pub struct Listening<'a>(&'a ListenGroup);

impl Listening<'_> {
    /// What was asked for.
    pub fn listen(&self) -> &Listen {
        &self.0.listen
    }

    /// What was bound: several of an interface with several addresses; none of a unix socket, and while an interface is waited for.
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.0.bound
    }

    /// Whether TLS is expected there.
    pub fn is_tls(&self) -> bool {
        self.0.kind == Listener::Tls
    }

    /// Who shares it, in order of creation; the first decides about first packets.
    pub fn vhosts(&self) -> &[VhostId] {
        &self.0.vhosts
    }
}

impl Cx {
    /// All addresses that are listened on.
    pub fn listening(&self) -> impl Iterator<Item = Listening<'_>> {
        self.listeners.iter().flatten().map(Listening)
    }
}

/// A [`ListenGroup`]'s place in the context.
pub(crate) type ListenerId = u32;

impl ListenGroup {
    pub(crate) fn new(listen: Listen, kind: Listener) -> ListenGroup {
        ListenGroup {
            listen,
            kind,
            vhosts: Vec::new(),
            by_name: HashMap::new(),
            logged: false,
            sockets: Vec::new(),
            bound: Vec::new(),
            unix_file: None,
        }
    }

    /// `false`: the name is taken.
    pub(crate) fn join(&mut self, id: VhostId, name: &str) -> bool {
        let name = without_root(name).to_ascii_lowercase();
        if self.by_name.contains_key(&name) {
            return false;
        }
        self.by_name.insert(name, id);
        self.vhosts.push(id);
        true
    }

    pub(crate) fn leave(&mut self, id: VhostId) {
        self.vhosts.retain(|vhost| *vhost != id);
        self.by_name.retain(|_, vhost| *vhost != id);
    }

    /// The vhost for a host name (no port): its own, else that of the longest domain it is in, else the first.
    pub(crate) fn choose(&self, host: &str) -> Option<VhostId> {
        if self.vhosts.len() > 1 {
            let mut lower = [0; LONGEST_HOST];
            let mut rest = lowercase(without_root(host), &mut lower);
            loop {
                if let Some(id) = self.by_name.get(rest) {
                    return Some(*id);
                }
                let Some((_, parent)) = rest.split_once('.') else { break };
                rest = parent;
            }
        }
        self.vhosts.first().copied()
    }
}

/// A full domain name may end in the dot of the root.
fn without_root(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Bytes of a host name (RFC 1035 section 2.3.4); a longer one has no vhost.
const LONGEST_HOST: usize = 255;

fn lowercase<'b>(host: &str, into: &'b mut [u8; LONGEST_HOST]) -> &'b str {
    let Some(into) = into.get_mut(..host.len()) else { return "" };
    into.copy_from_slice(host.as_bytes());
    into.make_ascii_lowercase();
    std::str::from_utf8(into).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_chooses_its_vhost_then_its_domain_then_the_first() {
        let mut group = ListenGroup::new(Listen::port(80), Listener::Plain);
        assert!(group.join(VhostId(0), "first.test"));
        assert!(group.join(VhostId(1), "x.com"));
        assert!(group.join(VhostId(2), "deep.x.com"));
        assert!(!group.join(VhostId(3), "X.com"), "names are compared without case");
        for (host, vhost) in [
            ("x.com", 1),
            ("X.COM", 1),
            ("www.x.com", 1),
            ("a.deep.x.com", 2),
            ("deep.x.com", 2),
            ("notx.com", 0),
            ("deep.x.com.", 2),
            ("com", 0),
            ("", 0),
        ] {
            assert_eq!(group.choose(host), Some(VhostId(vhost)), "{host}");
        }
    }
}
