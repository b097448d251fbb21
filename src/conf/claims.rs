//! Listen sockets that cannot be there at the same time, as far as the text says: which addresses an interface has is the system's business.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::Path;

use super::vhost::VhostConf;
use crate::options::Options;
use crate::vhost_info::Listen;

/// What the sockets so far have taken, each for its first vhost.
#[derive(Default)]
pub(super) struct Claims<'v> {
    paths: HashMap<&'v Path, &'v VhostConf>,
    ports: HashMap<u16, Port<'v>>,
}

/// What is taken of one port.
#[derive(Default)]
struct Port<'v> {
    addresses: HashMap<IpAddr, &'v VhostConf>,
    interfaces: Option<&'v VhostConf>,
    v4: Family<'v>,
    v6: Family<'v>,
}

#[derive(Default)]
struct Family<'v> {
    all: Option<&'v VhostConf>,
    some: Option<&'v VhostConf>,
}

impl<'v> Claims<'v> {
    /// Takes what a socket needs, which is none of those before. On an error somebody has it: that one's first vhost.
    pub(super) fn claim(&mut self, vhost: &'v VhostConf) -> Result<(), &'v VhostConf> {
        match &vhost.listen {
            Listen::Unix { path, .. } => match self.paths.insert(path, vhost) {
                Some(other) => Err(other),
                None => Ok(()),
            },
            Listen::Tcp { port: 0, .. } | Listen::None => Ok(()),
            Listen::Tcp { port, interface } => {
                let port = self.ports.entry(*port).or_default();
                match interface.as_deref().map(|name| (name, name.trim_matches(['[', ']']).parse())) {
                    None => port.claim_all(vhost),
                    Some((_, Ok(address))) => port.claim_address(address, vhost),
                    Some((_, Err(_))) => port.claim_interface(vhost),
                }
            }
        }
    }
}

impl<'v> Port<'v> {
    fn claim_all(&mut self, vhost: &'v VhostConf) -> Result<(), &'v VhostConf> {
        let (with_v4, with_v6) =
            (!vhost.options.contains(Options::IPV6_V6ONLY), !vhost.options.contains(Options::DISABLE_IPV6));
        let interfaces = self.interfaces.filter(|_| with_v4 && with_v6);
        let v4 = if with_v4 { self.v4.claim_all(vhost) } else { None };
        let v6 = if with_v6 { self.v6.claim_all(vhost) } else { None };
        v4.or(v6).or(interfaces).map_or(Ok(()), Err)
    }

    fn claim_address(&mut self, address: IpAddr, vhost: &'v VhostConf) -> Result<(), &'v VhostConf> {
        let family = if address.is_ipv6() { &mut self.v6 } else { &mut self.v4 };
        let taken = if address.is_unspecified() { family.claim_all(vhost) } else { family.claim_some(vhost) };
        taken.or(self.addresses.insert(address, vhost)).map_or(Ok(()), Err)
    }

    /// It may have addresses of one family alone.
    fn claim_interface(&mut self, vhost: &'v VhostConf) -> Result<(), &'v VhostConf> {
        self.interfaces.get_or_insert(vhost);
        self.v4.all.filter(|_| self.v6.all.is_some()).map_or(Ok(()), Err)
    }
}

impl<'v> Family<'v> {
    fn claim_all(&mut self, vhost: &'v VhostConf) -> Option<&'v VhostConf> {
        self.all.replace(vhost).or(self.some)
    }

    fn claim_some(&mut self, vhost: &'v VhostConf) -> Option<&'v VhostConf> {
        self.some.get_or_insert(vhost);
        self.all
    }
}

#[cfg(test)]
mod tests {
    use crate::conf::load_str;

    /// Two vhosts of these listen keys.
    fn conflict(one: &str, two: &str) -> Option<String> {
        let text = format!("{{\"vhosts\": [{{\"name\": \"a\", {one}}},\n{{\"name\": \"b\", {two}}}]}}");
        load_str("f", &text).err().map(|error| error.to_string())
    }

    #[test]
    fn what_excludes_each_other_is_an_error_with_both_places() {
        const ALL: &str = r#""port": 80"#;
        const LOCAL: &str = r#""port": 80, "interface": "127.0.0.1""#;
        const LOCAL6: &str = r#""port": 80, "interface": "::1""#;
        for (one, two) in [
            (ALL, LOCAL),
            (LOCAL, ALL),
            (ALL, LOCAL6),
            (ALL, r#""port": 80, "interface": "eth0""#),
            (r#""port": 80, "interface": "eth0""#, ALL),
            (LOCAL6, r#""port": 80, "interface": "[::1]""#),
            (LOCAL, r#""port": 80, "interface": "0.0.0.0""#),
            (ALL, r#""port": 80, "interface": "::""#),
            (
                r#""unix-socket": 1, "interface": "/a", "unix-socket-perms": "0600""#,
                r#""unix-socket": 1, "interface": "/a", "unix-socket-perms": "0660""#,
            ),
        ] {
            let said = conflict(one, two).unwrap_or_else(|| panic!("{one} and {two}"));
            assert!(said.starts_with("f:2:") && said.contains("vhost a") && said.contains("(f:1:"), "{said}");
        }
    }

    #[test]
    fn what_goes_together_is_none() {
        for (one, two) in [
            (r#""port": 80"#, r#""port": 80"#),
            (r#""port": 80"#, r#""port": 81, "interface": "127.0.0.1""#),
            (r#""port": 80, "ipv6only": 1"#, r#""port": 80, "interface": "127.0.0.1""#),
            (r#""port": 80, "noipv6": 1"#, r#""port": 80, "interface": "::1""#),
            (r#""port": 80, "interface": "127.0.0.2""#, r#""port": 80, "interface": "127.0.0.1""#),
            (r#""port": 80, "interface": "eth0""#, r#""port": 80, "interface": "127.0.0.1""#),
            (r#""port": 0"#, r#""port": 0, "interface": "127.0.0.1""#),
            (r#""unix-socket": 1, "interface": "/a""#, r#""unix-socket": 1, "interface": "/b""#),
        ] {
            assert_eq!(conflict(one, two), None);
        }
    }
}
