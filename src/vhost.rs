//! A named server: its listen socket (or none), its protocols with their options, its mounts.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::first_packet::Listener;
use crate::limits;
use crate::mount::{self, Mount, Origin};
use crate::options::Options;
use crate::protocol::{ProtocolTable, Vhd};
use crate::protocols;
use crate::pvo::Pvo;
use crate::role::{self, Binding, RoleOps, same_name};
use crate::tls::{ServerTls, TlsInfo};
use crate::wsi::WsiId;

/// Names a vhost. One that has been destroyed finds nothing.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VhostId(pub(crate) u32);

/// A protocol's place in its vhost's list.
pub(crate) type ProtocolIndex = u16;

/// What a vhost is made from (the vhost part of `struct lws_context_creation_info`).
///
/// ```
/// use rlws::{Listen, Mount, VhostInfo};
/// let info = VhostInfo {
///     name: "localhost".into(),
///     listen: Listen::port(7681),
///     mounts: vec![Mount::files("/", "/srv/www")],
///     ..Default::default()
/// };
/// # let _ = info;
/// ```
#[derive(Clone)]
pub struct VhostInfo {
    /// The name that `Host:` chooses it by; `default` unless told.
    pub name: String,
    /// Where it listens. Vhosts with equal values share one socket; the first of them decides about first packets.
    pub listen: Listen,
    /// Its protocols, in order of registration. Empty: [`HttpDummy`](crate::protocols::HttpDummy) alone.
    pub protocols: Vec<ProtocolTable>,
    /// Per-vhost options: a child for each protocol, by name (`"raw-proxy": { "onward": .. }`).
    pub pvo: Pvo,
    /// What http serves.
    pub mounts: Vec<Mount>,
    /// TLS; `None`: the vhost is plain. Of the vhosts of a listen socket all have it, or none.
    pub tls: Option<TlsInfo>,
    /// ALPN protocols in order of preference (`alpn`). Unless told `http/1.1`, or none where
    /// [`Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG`] is set.
    pub alpn: Option<Vec<String>>,
    /// Switches.
    pub options: Options,
    /// The role of connections that are not http (`listen-accept-role`); `raw-skt` unless told.
    pub listen_accept_role: Option<String>,
    /// Their protocol (`listen-accept-protocol`). Unless told, the one with a pvo `raw`, else the one with a pvo `default`, else
    /// the first.
    pub listen_accept_protocol: Option<String>,
    /// With the fallback option: a connection that is still silent or undecided after this long is not http
    /// (`fallback-silence-ms`). For clients that wait for the server to speak first. Keep it above the patience of browsers,
    /// which open connections ahead of need.
    pub fallback_silence: Option<Duration>,
    /// How long a keep-alive connection may idle between requests (`keepalive_timeout`); 5 s.
    pub keepalive_timeout: Duration,
    /// The URL path of the document sent with a 404 (`error-document-404`).
    pub error_document_404: Option<String>,
    /// Connections that may wait to be accepted (the backlog of listen(2)); 1024.
    pub backlog: u32,
}

impl Default for VhostInfo {
    fn default() -> Self {
        VhostInfo {
            name: "default".to_owned(),
            listen: Listen::None,
            protocols: Vec::new(),
            pvo: Pvo::default(),
            mounts: Vec::new(),
            tls: None,
            alpn: None,
            options: Options::empty(),
            listen_accept_role: None,
            listen_accept_protocol: None,
            fallback_silence: None,
            keepalive_timeout: Duration::from_secs(5),
            error_document_404: None,
            backlog: 1024,
        }
    }
}

/// Where a vhost listens.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Listen {
    /// Nowhere: a home for client connections and adopted sockets (port -1, `CONTEXT_PORT_NO_LISTEN_SERVER`).
    None,
    /// A TCP port.
    Tcp {
        /// 0: any free one, to be asked for with [`Cx::listen_port`](crate::Cx::listen_port).
        port: u16,
        /// An interface's name or an address; `None`: all, IPv6 and IPv4.
        interface: Option<String>,
    },
    /// A unix socket.
    Unix {
        /// Its path; one that begins with `@` is an abstract name.
        path: PathBuf,
        /// Mode bits of the path, such as `0o660`; as the umask leaves them unless told.
        mode: Option<u32>,
    },
}

impl Listen {
    /// A TCP port on all interfaces.
    pub fn port(port: u16) -> Listen {
        Listen::Tcp { port, interface: None }
    }

    /// A TCP port on one interface, by name or address.
    pub fn on(interface: &str, port: u16) -> Listen {
        Listen::Tcp { port, interface: Some(interface.to_owned()) }
    }

    /// A unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Listen {
        Listen::Unix { path: path.into(), mode: None }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::None => f.write_str("nothing"),
            Listen::Tcp { port, interface: None } => write!(f, "port {port}"),
            Listen::Tcp { port, interface: Some(interface) } => write!(f, "{interface} port {port}"),
            Listen::Unix { path, .. } => write!(f, "unix:{}", path.display()),
        }
    }
}

/// A vhost of a running context (`struct lws_vhost`).
pub struct Vhost {
    name: String,
    options: Options,
    pub(crate) protocols: Vec<Enabled>,
    pub(crate) mounts: Vec<OpenMount>,
    pub(crate) default_protocol: ProtocolIndex,
    pub(crate) tls: Option<ServerTls>,
    /// What connections become that are not http.
    pub(crate) listen_accept: Binding,
    pub(crate) fallback_silence: Option<Duration>,
    pub(crate) keepalive_timeout: Duration,
    pub(crate) error_document_404: Option<String>,
    pub(crate) backlog: u32,
    pub(crate) listener: Option<ListenerId>,
    /// It is being destroyed: nothing new may begin on it.
    pub(crate) going: bool,
    mounts_checked: Option<Instant>,
}

/// A protocol of a vhost.
pub(crate) struct Enabled {
    pub(crate) table: ProtocolTable,
    pub(crate) pvo: Pvo,
    /// `None`: not initialised yet, or lent to a callback.
    pub(crate) vhd: Option<Vhd>,
}

/// A mount that is ready to be served.
pub(crate) struct OpenMount {
    pub(crate) mount: Mount,
    pub(crate) from: Served,
}

/// What serves a mount, resolved.
pub(crate) enum Served {
    Folder(OwnedFd),
    Protocol(ProtocolIndex),
}

impl Vhost {
    /// Checks an info and makes the vhost of it, not listening yet, its protocols not initialised yet.
    pub(crate) fn new(info: VhostInfo) -> Result<Vhost> {
        let tables = if info.protocols.is_empty() { vec![protocols::DEFAULT] } else { info.protocols };
        let enable = |table: ProtocolTable| Enabled { table, pvo: pvo_of(&info.pvo, table.name), vhd: None };
        let mut protocols: Vec<Enabled> = tables.into_iter().map(enable).collect();
        check_protocols(&info.name, &protocols, &info.pvo)?;
        if info.options.contains(Options::DISABLE_IPV6 | Options::IPV6_V6ONLY) {
            let what = "DISABLE_IPV6 and IPV6_V6ONLY leave nothing to listen on".to_owned();
            return Err(Error::Config { vhost: info.name, what });
        }
        let listen_accept = listen_accept(
            &info.name,
            &protocols,
            info.listen_accept_role.as_deref(),
            info.listen_accept_protocol.as_deref(),
            info.options,
        )?;
        let default_protocol = default_protocol(&mut protocols);
        let mut mounts = info
            .mounts
            .into_iter()
            .map(|mount| open_mount(&info.name, &protocols, mount))
            .collect::<Result<Vec<_>>>()?;
        mounts.sort_by_key(|open| std::cmp::Reverse(open.mount.mountpoint.trim_end_matches('/').len()));
        let alpn = info.alpn.unwrap_or_else(|| default_alpn(info.options));
        let alpn = alpn.into_iter().map(String::into_bytes).collect();
        let tls = info.tls.map(|tls| ServerTls::new(&tls, alpn)).transpose();
        let tls = tls.map_err(|source| Error::Tls { vhost: info.name.clone(), source })?;
        if tls.as_ref().is_some_and(|tls| tls.requires_client_cert)
            && info.options.contains(Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG)
        {
            log::warn!(
                "vhost {}: a client certificate is required, but who falls back to another role shows none",
                info.name
            );
        }
        Ok(Vhost {
            tls,
            name: info.name,
            options: info.options,
            protocols,
            mounts,
            default_protocol,
            listen_accept,
            fallback_silence: info.fallback_silence,
            keepalive_timeout: info.keepalive_timeout,
            error_document_404: info.error_document_404,
            backlog: info.backlog,
            listener: None,
            going: false,
            mounts_checked: None,
        })
    }

    /// The vhost's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its switches.
    pub fn options(&self) -> Options {
        self.options
    }

    /// Its protocols' names, in order of registration.
    pub fn protocol_names(&self) -> impl Iterator<Item = &'static str> {
        self.protocols.iter().map(|enabled| enabled.table.name)
    }

    /// The option tree of one of its protocols.
    pub fn pvo(&self, protocol: &str) -> Option<&Pvo> {
        find_protocol(&self.protocols, protocol).map(|index| &self.protocols[usize::from(index)].pvo)
    }

    /// Looks again, at most once a second, which folders the mounts' paths name: a site may be deployed by renaming folders or
    /// switching a link. A path that names nothing now keeps what it named last.
    pub(crate) fn refresh_mounts(&mut self, now: Instant) {
        let fresh = |at: Instant| now.saturating_duration_since(at) < limits::MOUNT_CHECK;
        if self.mounts_checked.is_some_and(fresh) {
            return;
        }
        self.mounts_checked = Some(now);
        for open in &mut self.mounts {
            if let (Origin::File(path), Served::Folder(folder)) = (&open.mount.origin, &mut open.from)
                && !mount::is_open(path, folder)
                && let Ok(now_there) = mount::open_dir(path)
            {
                *folder = now_there;
            }
        }
    }

    pub(crate) fn find_protocol(&self, name: &str) -> Option<ProtocolIndex> {
        find_protocol(&self.protocols, name)
    }

    /// Resolves a role and one of this vhost's protocols, and checks that they fit.
    pub(crate) fn binding(&self, role: &str, protocol: &str) -> Result<Binding> {
        binding(&self.name, &self.protocols, role, protocol)
    }
}

/// The protocols that can be agreed on: those of the roles, unless nothing looks at what comes.
fn default_alpn(options: Options) -> Vec<String> {
    if options.contains(Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG) {
        return Vec::new();
    }
    crate::roles::ALL.iter().filter_map(|role| role.alpn()).map(str::to_owned).collect()
}

/// What answers requests that no mount serves: the protocol with a pvo `default`, else the first one, of those that work in http. Where
/// none does, the built-in one is added.
fn default_protocol(protocols: &mut Vec<Enabled>) -> ProtocolIndex {
    let serves = |enabled: &Enabled| fits(&enabled.table, "http");
    let chosen = protocols.iter().position(|enabled| serves(enabled) && enabled.pvo.get("default").is_some());
    let index = chosen.or_else(|| protocols.iter().position(serves)).unwrap_or_else(|| {
        protocols.push(Enabled { table: protocols::DEFAULT, pvo: Pvo::default(), vhd: None });
        protocols.len() - 1
    });
    ProtocolIndex::try_from(index).unwrap_or_default()
}

/// Two of one name could not be told apart; options for none of them help nobody.
fn check_protocols(vhost: &str, protocols: &[Enabled], pvo: &Pvo) -> Result<()> {
    for (index, enabled) in protocols.iter().enumerate() {
        if protocols[..index].iter().any(|before| same_name(before.table.name, enabled.table.name)) {
            let what = format!("protocol {} is there twice", enabled.table.name);
            return Err(Error::Config { vhost: vhost.to_owned(), what });
        }
    }
    for child in pvo.children() {
        if find_protocol(protocols, child.name()).is_none() {
            log::warn!("vhost {vhost}: there are options for {:?}, which is none of its protocols", child.name());
        }
    }
    Ok(())
}

fn pvo_of(root: &Pvo, protocol: &str) -> Pvo {
    root.children().iter().find(|child| same_name(child.name(), protocol)).cloned().unwrap_or_default()
}

fn find_protocol(protocols: &[Enabled], name: &str) -> Option<ProtocolIndex> {
    let index = protocols.iter().position(|enabled| same_name(enabled.table.name, name))?;
    ProtocolIndex::try_from(index).ok()
}

/// The first protocol whose options have a child of that name.
fn with_pvo(protocols: &[Enabled], name: &str) -> Option<ProtocolIndex> {
    let index = protocols.iter().position(|enabled| enabled.pvo.get(name).is_some())?;
    ProtocolIndex::try_from(index).ok()
}

/// What connections become that are not http. Only an error where the vhost's options can bring one there, or a name was given.
fn listen_accept(
    vhost: &str,
    protocols: &[Enabled],
    role: Option<&str>,
    protocol: Option<&str>,
    options: Options,
) -> Result<Binding> {
    let index = match protocol {
        Some(name) => find_protocol(protocols, name).ok_or_else(|| unknown_protocol(vhost, protocols, name))?,
        None => with_pvo(protocols, "raw").or_else(|| with_pvo(protocols, "default")).unwrap_or(0),
    };
    let named = role.is_some() || protocol.is_some();
    let role = find_role(vhost, role.unwrap_or("raw-skt"))?;
    let in_use =
        options.intersects(Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG | Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG);
    if in_use && !named && !fits(&protocols[usize::from(index)].table, role.name()) {
        let what = "it has no protocol for what is not http; listen_accept_protocol names one".to_owned();
        return Err(Error::Config { vhost: vhost.to_owned(), what });
    }
    if in_use || named {
        check_fit(vhost, role, &protocols[usize::from(index)].table)?;
    }
    Ok(Binding { role, protocol: Some(index) })
}

fn binding(vhost: &str, protocols: &[Enabled], role: &str, protocol: &str) -> Result<Binding> {
    let index = find_protocol(protocols, protocol).ok_or_else(|| unknown_protocol(vhost, protocols, protocol))?;
    let role = find_role(vhost, role)?;
    check_fit(vhost, role, &protocols[usize::from(index)].table)?;
    Ok(Binding { role, protocol: Some(index) })
}

fn find_role(vhost: &str, name: &str) -> Result<&'static dyn RoleOps> {
    role::find(name).filter(|role| role.takes_protocol()).ok_or_else(|| Error::UnknownRole {
        vhost: vhost.to_owned(),
        role: name.to_owned(),
        known: crate::roles::ALL
            .iter()
            .filter(|role| role.takes_protocol())
            .map(|role| role.name())
            .collect::<Vec<_>>()
            .join(", "),
    })
}

fn check_fit(vhost: &str, role: &dyn RoleOps, table: &ProtocolTable) -> Result<()> {
    if fits(table, role.name()) {
        return Ok(());
    }
    Err(misfit(vhost, role.name(), table))
}

fn fits(table: &ProtocolTable, role: &str) -> bool {
    table.roles.is_empty() || table.roles.iter().any(|fits| same_name(fits, role))
}

fn misfit(vhost: &str, role: &str, table: &ProtocolTable) -> Error {
    Error::RoleMisfit {
        vhost: vhost.to_owned(),
        protocol: table.name.to_owned(),
        role: role.to_owned(),
        roles: table.roles.join(", "),
    }
}

fn unknown_protocol(vhost: &str, protocols: &[Enabled], name: &str) -> Error {
    Error::UnknownProtocol {
        vhost: vhost.to_owned(),
        protocol: name.to_owned(),
        known: protocols.iter().map(|enabled| enabled.table.name).collect::<Vec<_>>().join(", "),
    }
}

fn open_mount(vhost: &str, protocols: &[Enabled], mount: Mount) -> Result<OpenMount> {
    if !mount.mountpoint.starts_with('/') {
        let what = format!("mount {:?}: a mountpoint begins with /", mount.mountpoint);
        return Err(Error::Config { vhost: vhost.to_owned(), what });
    }
    let from = match &mount.origin {
        Origin::File(path) => Served::Folder(mount::open_dir(path).map_err(|source| Error::Mount {
            vhost: vhost.to_owned(),
            mountpoint: mount.mountpoint.clone(),
            path: path.display().to_string(),
            source,
        })?),
        Origin::Callback(name) => {
            let index = find_protocol(protocols, name).ok_or_else(|| unknown_protocol(vhost, protocols, name))?;
            let table = &protocols[usize::from(index)].table;
            if !fits(table, "http") {
                return Err(misfit(vhost, "http", table));
            }
            Served::Protocol(index)
        }
    };
    Ok(OpenMount { mount, from })
}

/// A listen socket, or the several of an interface with several addresses, and the vhosts that share it.
pub(crate) struct ListenGroup {
    pub(crate) listen: Listen,
    pub(crate) kind: Listener,
    /// In order of creation; the first decides about first packets and serves unknown names.
    pub(crate) vhosts: Vec<VhostId>,
    by_name: HashMap<String, VhostId>,
    pub(crate) sockets: Vec<WsiId>,
    /// What was really bound, first socket first.
    pub(crate) bound: Vec<SocketAddr>,
    /// The file of a unix socket, as [`listening::file_id`](crate::listening::file_id) knows it.
    pub(crate) unix_file: Option<(u64, u64)>,
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
            sockets: Vec::new(),
            bound: Vec::new(),
            unix_file: None,
        }
    }

    /// `false`: the name is taken.
    pub(crate) fn join(&mut self, id: VhostId, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
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
            let mut rest = lowercase(host, &mut lower);
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
            ("com", 0),
            ("", 0),
        ] {
            assert_eq!(group.choose(host), Some(VhostId(vhost)), "{host}");
        }
    }
}
