//! A named server of a running context: its protocols with their options, its mounts, its TLS, and what it does with first packets.

use std::fmt::Display;
use std::io::{self, ErrorKind};
use std::mem;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::access_log::AccessLog;
use crate::basic_auth::Guard;
use crate::error::{Error, Result};
use crate::headers::{self, Headers};
use crate::limits;
use crate::listen_group::ListenerId;
use crate::listening::ListenHow;
use crate::mount::{self, Mount, Origin};
use crate::options::Options;
use crate::peer_network::PeerNetwork;
use crate::protocol::{ProtocolTable, Vhd};
use crate::protocols;
use crate::pvo::Pvo;
use crate::role::{self, Binding, RoleOps, same_name};
use crate::seldom::VhostWarned;
use crate::tally::Tally;
use crate::tls::{ServerTls, TlsClient};
use crate::transport::Medium;
use crate::vhost_info::VhostInfo;
use crate::ws::{PermessageDeflate, WsInfo};

/// Names a vhost. One that has been destroyed finds nothing.
#[derive(Copy, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VhostId(pub(crate) u32);

/// A protocol's place in its vhost's list.
pub(crate) type ProtocolIndex = u16;

/// A vhost of a running context (`struct lws_vhost`).
pub struct Vhost {
    name: String,
    options: Options,
    pub(crate) protocols: Vec<Enabled>,
    pub(crate) mounts: Vec<OpenMount>,
    pub(crate) headers: Headers,
    pub(crate) default_protocol: ProtocolIndex,
    /// Who gets WebSockets for which no subprotocol is named; `None`: there are none.
    pub(crate) default_ws_protocol: Option<ProtocolIndex>,
    pub(crate) ws: WsInfo,
    pub(crate) tls: Option<ServerTls>,
    client_tls: Option<TlsClient>,
    /// What connections become that are not http.
    pub(crate) listen_accept: Binding,
    pub(crate) fallback_silence: Option<Duration>,
    pub(crate) keepalive_timeout: Duration,
    pub(crate) max_body: u64,
    pub(crate) error_document_404: Option<String>,
    /// Who has to say whose connections it brings; `None`: nobody.
    pub(crate) proxy_protocol_from: Option<Rc<[PeerNetwork]>>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) listen_how: ListenHow,
    pub(crate) listener: Option<ListenerId>,
    /// It is being destroyed: nothing new may begin on it.
    pub(crate) going: bool,
    mounts_checked: Option<Instant>,
    /// Its connections have it too.
    pub(crate) tally: Rc<Tally>,
    pub(crate) warned: VhostWarned,
}

/// A protocol of a vhost.
pub(crate) struct Enabled {
    pub(crate) table: ProtocolTable,
    pub(crate) pvo: Pvo,
    /// `None`: not initialised yet, or lent to a callback.
    pub(crate) vhd: Option<Vhd>,
    /// The writeable callbacks of all its connections will be asked for.
    pub(crate) tells_all: bool,
}

/// A mount that is ready to be served.
pub(crate) struct OpenMount {
    pub(crate) mount: Mount,
    pub(crate) from: Served,
    /// Those of the vhost among them. `None`: it has none of its own.
    pub(crate) headers: Option<Headers>,
    /// The line for its files.
    pub(crate) cache_control: Option<Box<[u8]>>,
    /// Its own content types by the end of a file's name; a dot begins it, or it is `*`.
    pub(crate) mimetypes: Vec<(String, Rc<str>)>,
    /// Who asks for a password.
    pub(crate) guard: Option<Guard>,
    /// Who is bound while its files are served.
    pub(crate) protocol: Option<ProtocolIndex>,
    pub(crate) options: Arc<Pvo>,
}

/// What serves a mount, resolved.
pub(crate) enum Served {
    Folder(OwnedFd),
    /// A folder that was there and has been taken away. It may come back.
    Gone,
    Protocol(ProtocolIndex),
    /// Elsewhere, as its origin says.
    Redirect,
}

impl Served {
    /// Looks which folder `path` names now. One that is only out of sight, as for a server that has given up its privileges, is served on.
    fn refresh(&mut self, path: &Path, of: &dyn Display) {
        if matches!(self, Served::Folder(folder) if mount::is_open(path, folder)) {
            return;
        }
        let is_gone = |error: &io::Error| matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory);
        match (mount::open_dir(path), &self) {
            (Ok(folder), was) => {
                if let Served::Gone = was {
                    log::warn!("{of}: {} is there again", path.display());
                }
                *self = Served::Folder(folder);
            }
            (Err(error), Served::Folder(_)) if is_gone(&error) => {
                log::warn!("{of}: {}: {error}; it is answered with 404 until it is there again", path.display());
                *self = Served::Gone;
            }
            (Err(_), _) => {}
        }
    }
}

impl Vhost {
    /// Checks an info and makes the vhost of it, not listening yet, its protocols not initialised yet.
    pub(crate) fn new(info: VhostInfo) -> Result<Vhost> {
        let tables = if info.protocols.is_empty() { vec![protocols::DEFAULT] } else { info.protocols };
        let enable =
            |table: ProtocolTable| Enabled { table, pvo: pvo_of(&info.pvo, table.name), vhd: None, tells_all: false };
        let mut protocols: Vec<Enabled> = tables.into_iter().map(enable).collect();
        check_protocols(&info.name, &protocols, &info.pvo)?;
        if info.name.is_empty() || info.name.starts_with("*.") {
            let what =
                "a vhost needs a name; one for all of *.x.com is x.com, which serves what is below it too".to_owned();
            return Err(Error::Config { vhost: info.name, what });
        }
        if info.options.contains(Options::DISABLE_IPV6 | Options::IPV6_V6ONLY) {
            let what = "DISABLE_IPV6 and IPV6_V6ONLY leave nothing to listen on".to_owned();
            return Err(Error::Config { vhost: info.name, what });
        }
        if let Some(what) = info.ws.deflate.as_ref().and_then(PermessageDeflate::mistake) {
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
        let default_ws_protocol = default_ws_protocol(&protocols);
        headers::check(&info.name, "", &info.headers)?;
        let mut mounts = info
            .mounts
            .into_iter()
            .map(|mount| open_mount(&info.name, &protocols, &info.headers, info.options, mount))
            .collect::<Result<Vec<_>>>()?;
        mounts.sort_by_key(|open| {
            let Mount { mountpoint, exact_match, .. } = &open.mount;
            std::cmp::Reverse((mountpoint.trim_end_matches('/').len(), *exact_match))
        });
        let alpn = info.alpn.unwrap_or_else(|| default_alpn(info.options));
        check_alpn(&info.name, &alpn, info.options)?;
        let alpn = alpn.into_iter().map(String::into_bytes).collect();
        let tls = info.tls.map(|tls| ServerTls::new(&tls, alpn)).transpose();
        let tls = tls.map_err(|source| Error::Tls { vhost: info.name.clone(), source })?;
        let client_tls = info.client_tls.as_ref().map(TlsClient::new).transpose();
        let client_tls = client_tls.map_err(|source| Error::ClientTls { vhost: info.name.clone(), source })?;
        if tls.as_ref().is_some_and(|tls| tls.requires_client_cert)
            && info.options.contains(Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG)
        {
            log::warn!(
                "vhost {}: a client certificate is required, but who falls back to another role shows none",
                info.name
            );
        }
        let tally = Tally::new(protocols.iter().map(|enabled| enabled.table.name));
        Ok(Vhost {
            tls,
            client_tls,
            name: info.name,
            headers: Headers::new(info.options, &info.headers, &[]),
            options: info.options,
            protocols,
            mounts,
            default_protocol,
            default_ws_protocol,
            ws: info.ws,
            listen_accept,
            fallback_silence: info.fallback_silence,
            keepalive_timeout: info.keepalive_timeout,
            max_body: info.max_body,
            error_document_404: info.error_document_404,
            proxy_protocol_from: Some(info.proxy_protocol_from.into()).filter(|from: &Rc<[_]>| !from.is_empty()),
            access_log: info.access_log,
            listen_how: ListenHow {
                options: info.options,
                backlog: info.backlog,
                fast_open_queue: info.fast_open_queue,
            },
            listener: None,
            going: false,
            mounts_checked: None,
            tally,
            warned: VhostWarned::default(),
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

    /// What is counted about its connections.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Whether it serves TLS.
    pub fn is_tls(&self) -> bool {
        self.tls.is_some()
    }

    /// Its mounts, the longest path first (`lws_json_dump_vhost`).
    pub fn mounts(&self) -> impl Iterator<Item = &Mount> {
        self.mounts.iter().map(|open| &open.mount)
    }

    /// TLS for connections that it makes, as [`VhostInfo::client_tls`] says; for [`ConnectInfo::tls`](crate::ConnectInfo::tls).
    pub fn client_tls(&self) -> Option<&TlsClient> {
        self.client_tls.as_ref()
    }

    /// Looks again, at most once a second, which folders the mounts' paths name: a site may be deployed by renaming folders or
    /// switching a link, and taken down by taking its folder away.
    pub(crate) fn refresh_mounts(&mut self, now: Instant) {
        let fresh = |at: Instant| now.saturating_duration_since(at) < limits::MOUNT_CHECK;
        if self.mounts_checked.is_some_and(fresh) {
            return;
        }
        self.mounts_checked = Some(now);
        for open in &mut self.mounts {
            if let Origin::File(path) = &open.mount.origin {
                open.from.refresh(path, &format_args!("vhost {}: mount {:?}", self.name, open.mount.mountpoint));
            }
        }
    }

    /// The protocol that a WebSocket's client names.
    pub(crate) fn ws_protocol(&self, subprotocol: &str) -> Option<ProtocolIndex> {
        let index = self.find_protocol(subprotocol)?;
        fits(&self.protocols[usize::from(index)].table, "ws").then_some(index)
    }

    pub(crate) fn find_protocol(&self, name: &str) -> Option<ProtocolIndex> {
        find_protocol(&self.protocols, name)
    }

    /// One of this vhost's protocols.
    pub(crate) fn protocol(&self, name: &str) -> Result<ProtocolIndex> {
        known_protocol(&self.name, &self.protocols, name)
    }

    /// Resolves a role for something and one of this vhost's protocols, and checks that they fit.
    pub(crate) fn binding(&self, medium: Medium, role: &str, protocol: &str) -> Result<Binding> {
        let index = self.protocol(protocol)?;
        let role = find_role(&self.name, medium, role)?;
        check_fit(&self.name, role, &self.protocols[usize::from(index)].table)?;
        Ok(Binding { role, protocol: Some(index) })
    }
}

/// The protocols that can be agreed on: those of the roles, unless nothing looks at what comes.
fn default_alpn(options: Options) -> Vec<String> {
    if options.contains(Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG) {
        return Vec::new();
    }
    crate::roles::ALL.iter().flat_map(|role| role.alpn()).map(|name| (*name).to_owned()).collect()
}

/// What is agreed on has to be spoken, unless nothing looks at what comes.
fn check_alpn(vhost: &str, alpn: &[String], options: Options) -> Result<()> {
    let unknown = alpn.iter().find(|name| role::find_by_alpn(name.as_bytes()).is_none());
    match unknown {
        Some(name) if !options.contains(Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG) => {
            let known = default_alpn(Options::empty()).join(", ");
            let what = format!("alpn \"{name}\": nothing here speaks it; known are {known}");
            Err(Error::Config { vhost: vhost.to_owned(), what })
        }
        _ => Ok(()),
    }
}

/// What answers requests that no mount serves: the protocol with a pvo `default`, else the first one, of those that work in http. Where
/// none does, the built-in one is added.
fn default_protocol(protocols: &mut Vec<Enabled>) -> ProtocolIndex {
    let serves = |enabled: &Enabled| fits(&enabled.table, "http");
    let chosen = protocols.iter().position(|enabled| serves(enabled) && enabled.pvo.get("default").is_some());
    let index = chosen.or_else(|| protocols.iter().position(serves)).unwrap_or_else(|| {
        protocols.push(Enabled { table: protocols::DEFAULT, pvo: Pvo::default(), vhd: None, tells_all: false });
        protocols.len() - 1
    });
    ProtocolIndex::try_from(index).unwrap_or_default()
}

/// What WebSockets get whose clients name no subprotocol: the protocol with a pvo `default`, else the first one, of those that work in ws.
fn default_ws_protocol(protocols: &[Enabled]) -> Option<ProtocolIndex> {
    let serves = |enabled: &Enabled| fits(&enabled.table, "ws");
    let chosen = protocols.iter().position(|enabled| serves(enabled) && enabled.pvo.get("default").is_some());
    ProtocolIndex::try_from(chosen.or_else(|| protocols.iter().position(serves))?).ok()
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
        Some(name) => known_protocol(vhost, protocols, name)?,
        None => with_pvo(protocols, "raw").or_else(|| with_pvo(protocols, "default")).unwrap_or(0),
    };
    let named = role.is_some() || protocol.is_some();
    let role = find_role(vhost, Medium::Stream, role.unwrap_or("raw-skt"))?;
    if let Some(begin) = role.begins_as() {
        return Err(begins_elsewhere(vhost, role, begin));
    }
    let in_use =
        options.intersects(Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG | Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG);
    if in_use && !named && !fits(&protocols[usize::from(index)].table, role.name()) {
        return Err(Error::NoListenAcceptProtocol { vhost: vhost.to_owned() });
    }
    if in_use || named {
        check_fit(vhost, role, &protocols[usize::from(index)].table)?;
    }
    Ok(Binding { role, protocol: Some(index) })
}

fn find_role(vhost: &str, medium: Medium, name: &str) -> Result<&'static dyn RoleOps> {
    let fits = |role: &&dyn RoleOps| role.carries() == Some(medium);
    role::find(name).filter(fits).ok_or_else(|| Error::UnknownRole {
        vhost: vhost.to_owned(),
        role: name.to_owned(),
        known: crate::roles::ALL.iter().copied().filter(fits).map(|role| role.name()).collect::<Vec<_>>().join(", "),
    })
}

/// Nobody can begin in the role.
pub(crate) fn begins_elsewhere(vhost: &str, role: &dyn RoleOps, begin: &str) -> Error {
    let what = format!("connections come into role {} from role {begin}, not by themselves", role.name());
    Error::Config { vhost: vhost.to_owned(), what }
}

fn check_fit(vhost: &str, role: &dyn RoleOps, table: &ProtocolTable) -> Result<()> {
    if fits(table, role.name()) {
        return Ok(());
    }
    Err(misfit(vhost, role.name(), table))
}

/// Whether the protocol is made for that role.
pub(crate) fn fits(table: &ProtocolTable, role: &str) -> bool {
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

fn known_protocol(vhost: &str, protocols: &[Enabled], name: &str) -> Result<ProtocolIndex> {
    find_protocol(protocols, name).ok_or_else(|| Error::UnknownProtocol {
        vhost: vhost.to_owned(),
        protocol: name.to_owned(),
        known: protocols.iter().map(|enabled| enabled.table.name).collect::<Vec<_>>().join(", "),
    })
}

/// A protocol of the vhost that works in role http.
fn http_protocol(vhost: &str, protocols: &[Enabled], name: &str) -> Result<ProtocolIndex> {
    let index = known_protocol(vhost, protocols, name)?;
    let table = &protocols[usize::from(index)].table;
    if fits(table, "http") { Ok(index) } else { Err(misfit(vhost, "http", table)) }
}

fn open_mount(
    vhost: &str,
    protocols: &[Enabled],
    of_vhost: &[(String, String)],
    options: Options,
    mut mount: Mount,
) -> Result<OpenMount> {
    let of = format!("mount {:?}: ", mount.mountpoint);
    if let Some(mistake) = mount.mistake() {
        return Err(Error::Config { vhost: vhost.to_owned(), what: of + &mistake });
    }
    headers::check(vhost, &of, &mount.headers)?;
    let from = match &mount.origin {
        Origin::File(path) => Served::Folder(mount::open_dir(path).map_err(|source| Error::Mount {
            vhost: vhost.to_owned(),
            mountpoint: mount.mountpoint.clone(),
            path: path.display().to_string(),
            source,
        })?),
        Origin::Callback(name) => Served::Protocol(http_protocol(vhost, protocols, name)?),
        Origin::Redirect { .. } => Served::Redirect,
    };
    let protocol = mount.protocol.as_deref().map(|name| http_protocol(vhost, protocols, name)).transpose()?;
    let own = !mount.headers.is_empty();
    let guard = mount.basic_auth.as_deref().map(|path| Guard::new(path, &format!("{vhost}{}", mount.mountpoint)));
    Ok(OpenMount {
        guard,
        from,
        headers: own.then(|| Headers::new(options, of_vhost, &mount.headers)),
        cache_control: headers::cache_control(mount.cache.as_ref(), [of_vhost, &mount.headers]),
        protocol,
        options: Arc::new(mem::take(&mut mount.options)),
        mimetypes: mem::take(&mut mount.mimetypes).into_iter().map(|(end, kind)| (end, kind.into())).collect(),
        mount,
    })
}
