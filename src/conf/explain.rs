//! Where in a configuration the reason of an error of the core is.

use super::diagnostic::{Diagnostic, Problem};
use super::mount::OriginConf;
use super::node::Node;
use super::tls;
use super::vhost::VhostConf;
use crate::error::Error;
use crate::role::same_name;

impl VhostConf {
    /// Says where the reason is that this vhost could not be made: the certificate that cannot be read, the port that is taken, the
    /// option that a protocol does not like.
    ///
    /// ```
    /// use rlws::{Context, ContextInfo};
    /// let text = r#"{"vhosts": [{"port": "0", "mounts": [{"mountpoint": "/", "origin": "file:///not/there"}]}]}"#;
    /// let conf = rlws::conf::load_str("my.conf", text)?;
    /// let mut context = Context::new(conf.context_info())?;
    /// for (vhost, info) in conf.vhosts.iter().zip(conf.vhost_infos(&[])?.infos) {
    ///     if let Err(error) = context.create_vhost(info) {
    ///         let told = vhost.explain(&error).to_string();
    ///         assert!(told.starts_with("my.conf:1:68: vhosts[0].mounts[0].origin: "), "{told}");
    ///     }
    /// }
    /// # Ok::<(), rlws::Error>(())
    /// ```
    pub fn explain(&self, error: &Error) -> Diagnostic {
        let node = self.reason_of(error);
        Diagnostic::error(Problem::Refused, node.place(), node.path()).note(error.to_string())
    }

    fn reason_of(&self, error: &Error) -> Node<'_> {
        let node = self.node();
        let key = |name: &str| node.find(name).unwrap_or(node);
        match error {
            Error::AddressTaken { .. } | Error::Listen { .. } => {
                node.find("port").or_else(|| node.find("interface")).unwrap_or(node)
            }
            Error::DuplicateVhost { .. } => key("name"),
            Error::UnknownRole { .. } => key("listen-accept-role"),
            Error::NoListenAcceptProtocol { .. } => {
                let switches = ["fallback-listen-accept", "apply-listen-accept", "onlyraw"];
                switches.into_iter().find_map(|name| node.find(name).filter(Node::is_on)).unwrap_or(node)
            }
            Error::UnknownProtocol { protocol, .. } | Error::RoleMisfit { protocol, .. } => self.naming(protocol),
            Error::ProtocolInit { protocol, .. } => {
                let mut protocols = self.protocols.iter();
                let of_protocol = protocols.find(|conf| same_name(&conf.name, protocol));
                of_protocol.map_or_else(|| self.naming(protocol), |conf| conf.at.node())
            }
            Error::Tls { source, .. } => match &self.tls {
                Some(tls) => key(tls::culprit(source, tls)),
                None => node,
            },
            Error::ClientTls { source, .. } => match &self.client_tls {
                Some(tls) => key(tls::client_culprit(source, tls)),
                None => node,
            },
            Error::TlsMixed { .. } => key("host-ssl-cert"),
            Error::Mount { mountpoint, .. } => {
                let mount = self.mounts.iter().find(|mount| mount.mountpoint == *mountpoint);
                mount.map_or(node, |mount| mount.node().find("origin").unwrap_or(mount.node()))
            }
            _ => node,
        }
    }

    /// What names a protocol that is wanted.
    fn naming(&self, protocol: &str) -> Node<'_> {
        let node = self.node();
        if let (Some(name), Some(node)) = (&self.listen_accept_protocol, node.find("listen-accept-protocol"))
            && same_name(name, protocol)
        {
            return node;
        }
        let calls = |origin: &OriginConf| matches!(origin, OriginConf::Callback(name) if same_name(name, protocol));
        let mount = self.mounts.iter().find(|mount| calls(&mount.origin));
        let origin = mount.and_then(|mount| mount.node().find("origin"));
        origin.or_else(|| node.find("listen-accept-role")).unwrap_or(node)
    }
}
