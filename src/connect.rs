//! Where connections of our own go: targets, and what is asked for with them.
//!
//! The connecting itself is done by role `connect`, without ever blocking the loop.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::{Duration, Instant};

use crate::cx::Cx;
use crate::facts::Closer;
use crate::protocol;
use crate::proxy_header::ProxyProtocol;
use crate::reason::Reason;
use crate::role::{Binding, CloseReason, Next};
use crate::tls::TlsClient;
use crate::transport::Transport;
use crate::vhost::ProtocolIndex;
use crate::wsi::Wsi;

/// Where to connect to, as raw-proxy's `onward` option writes it.
///
/// ```
/// use rlws::Target;
/// let onward: Target = "ipv6:[::1]:22".parse()?;
/// assert_eq!(onward, Target::Ipv6 { host: "::1".into(), port: 22 });
/// assert_eq!(onward.to_string(), "ipv6:[::1]:22");
/// # Ok::<(), rlws::TargetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// `ipv4:ADDR:PORT`. The host is an address, or a name of which only IPv4 addresses are used.
    Ipv4 {
        /// Address or host name.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `ipv6:[ADDR]:PORT`. The host is an address, or a name of which only IPv6 addresses are used.
    Ipv6 {
        /// Address (without brackets) or host name.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `tcp:HOST:PORT`: any address of a host, tried in the resolver's order. Not in lws.
    Tcp {
        /// Address or host name.
        host: String,
        /// TCP port.
        port: u16,
    },
    /// `unix:PATH`; a path that begins with `@` is an abstract name.
    Unix(PathBuf),
}

/// A target that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is no target; expected ipv4:ADDR:PORT, ipv6:[ADDR]:PORT, tcp:HOST:PORT or unix:PATH")]
pub struct TargetError(String);

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Target, TargetError> {
        parse_target(text).ok_or_else(|| TargetError(text.to_owned()))
    }
}

fn parse_target(text: &str) -> Option<Target> {
    let (kind, rest) = text.split_once(':')?;
    if kind == "unix" {
        return (!rest.trim_start_matches('@').is_empty() && !rest.contains('\0')).then(|| Target::Unix(rest.into()));
    }
    let (host, port) = rest.rsplit_once(':')?;
    let bracketed = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let host = bracketed.unwrap_or(host);
    let is_v4 = host.parse::<Ipv4Addr>().is_ok();
    let is_v6 = bracketed.is_some() && host.parse::<Ipv6Addr>().is_ok();
    if !is_v6 && !is_host_name(host) {
        return None;
    }
    // Digits are asked for, because parse() takes a sign as well.
    let port = port.bytes().all(|byte| byte.is_ascii_digit()).then(|| port.parse().ok())??;
    let host = host.to_owned();
    match kind {
        _ if port == 0 => None,
        "ipv4" if bracketed.is_none() => Some(Target::Ipv4 { host, port }),
        "ipv6" if !is_v4 => Some(Target::Ipv6 { host, port }),
        "tcp" => Some(Target::Tcp { host, port }),
        _ => None,
    }
}

/// No top level domain is a number: what ends in one was meant to be an address.
fn is_host_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or_default();
    let is_number = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit());
    (!is_number || host.parse::<Ipv4Addr>().is_ok())
        && !host.is_empty()
        && host.len() <= 253
        && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Ipv4 { host, port } => write!(f, "ipv4:{host}:{port}"),
            Target::Ipv6 { host, port } => write!(f, "ipv6:[{host}]:{port}"),
            Target::Tcp { host, port } if host.contains(':') => write!(f, "tcp:[{host}]:{port}"),
            Target::Tcp { host, port } => write!(f, "tcp:{host}:{port}"),
            Target::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

/// Where role raw-proxy relays a connection to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Onward {
    /// The onward server.
    pub target: Target,
    /// The pair is closed after this long without a byte either way; `None`: never.
    pub idle_timeout: Option<Duration>,
    /// TLS, where the onward server speaks it.
    pub tls: Option<TlsClient>,
    /// Tells the onward server who the client is, by a header before everything else, TLS included; `None`: it is not told.
    pub proxy_protocol: Option<ProxyProtocol>,
}

impl From<Target> for Onward {
    fn from(target: Target) -> Onward {
        Onward { target, idle_timeout: None, tls: None, proxy_protocol: None }
    }
}

impl Onward {
    /// Sets [`Onward::idle_timeout`].
    #[must_use]
    pub fn idle_timeout(mut self, after: Option<Duration>) -> Onward {
        self.idle_timeout = after;
        self
    }

    /// Sets [`Onward::tls`].
    #[must_use]
    pub fn tls(mut self, tls: Option<TlsClient>) -> Onward {
        self.tls = tls;
        self
    }

    /// Sets [`Onward::proxy_protocol`].
    #[must_use]
    pub fn proxy_protocol(mut self, version: Option<ProxyProtocol>) -> Onward {
        self.proxy_protocol = version;
        self
    }
}

/// A connection to be made by role `connect`.
pub(crate) struct ConnectPlan {
    pub(crate) target: Target,
    /// What is sent first, before TLS.
    pub(crate) header: Vec<u8>,
    pub(crate) tls: Option<TlsClient>,
    /// What the connection becomes once it is up.
    pub(crate) then: Binding,
}

/// A connection of our own on which role `tls` is to begin.
pub(crate) struct SecurePlan {
    pub(crate) tls: TlsClient,
    pub(crate) target: Target,
    pub(crate) give_up_at: Option<Instant>,
    /// What the connection becomes once the handshake is done.
    pub(crate) then: Binding,
}

impl Target {
    /// Host and port as a URL has them, and the `Host:` of a request; `localhost` of a unix socket.
    ///
    /// ```
    /// # use rlws::Target;
    /// assert_eq!(Target::Tcp { host: "::1".into(), port: 7681 }.authority(), "[::1]:7681");
    /// ```
    pub fn authority(&self) -> String {
        match self {
            Target::Ipv4 { host, port } | Target::Ipv6 { host, port } | Target::Tcp { host, port } => {
                match host.contains(':') {
                    true => format!("[{host}]:{port}"),
                    false => format!("{host}:{port}"),
                }
            }
            Target::Unix(_) => "localhost".to_owned(),
        }
    }

    /// The host that a certificate has to be for.
    pub(crate) fn host(&self) -> Option<&str> {
        match self {
            Target::Ipv4 { host, .. } | Target::Ipv6 { host, .. } | Target::Tcp { host, .. } => Some(host),
            Target::Unix(_) => None,
        }
    }
}

/// Tells the operator that a connection of ours comes to nothing.
pub(crate) fn give_up(wsi: &Wsi, cx: &mut Cx, why: &str) -> Next {
    let client = wsi.parent.and_then(|parent| cx.slots.get_mut(parent)).map(|parent| {
        if let Some(facts) = &mut parent.facts {
            facts.note_first(Closer::Server);
            facts.note_how(why);
        }
        parent.peer.to_string()
    });
    let for_whom = client.map(|client| format!(" for {client}")).unwrap_or_default();
    cx.warn_seldom(wsi, |warned| &mut warned.unconnected, format_args!("{why}{for_whom}"));
    Next::Close(CloseReason::Refused("there is no connection".into()))
}

/// Tells the protocol that it was for. The last words of a role that makes connections.
pub(crate) fn came_to_nothing(wsi: &mut Wsi, cx: &mut Cx, protocol: Option<ProtocolIndex>, why: &str) {
    wsi.io = Transport::None;
    if let Some(index) = protocol
        && protocol::attach(wsi, cx, index).is_ok()
    {
        let _closed_anyway = protocol::call(wsi, cx, Reason::ClientConnectionError(why));
        protocol::detach(wsi);
    }
}

/// Whether the connection that `wsi` is made for, where there is one, still waits for it.
pub(crate) fn is_wanted(wsi: &Wsi, cx: &Cx) -> bool {
    wsi.parent.is_none_or(|parent| cx.slots.get(parent).is_some_and(|parent| !parent.flags.draining))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_is_read_and_written_back() {
        for text in [
            "ipv4:127.0.0.1:22",
            "ipv4:ssh.example.com:2222",
            "ipv6:[::1]:22",
            "ipv6:[fe80::1]:65535",
            "tcp:localhost:1",
            "tcp:[::1]:80",
            "unix:/run/sshd.sock",
            "unix:@abstract",
        ] {
            assert_eq!(text.parse::<Target>().unwrap().to_string(), text);
        }
        assert_eq!("ipv6:localhost:22".parse::<Target>().unwrap().to_string(), "ipv6:[localhost]:22");
    }

    #[test]
    fn anything_else_is_refused_with_the_forms_that_are_known() {
        for text in [
            "",
            "ipv4",
            "ipv4:",
            "ipv4:127.0.0.1",
            "ipv4:127.0.0.1:",
            "ipv4:127.0.0.1:0",
            "ipv4:127.0.0.1:65536",
            "ipv4::22",
            "ipv4:[::1]:22",
            "ipv4:a b:22",
            "ipv6:::1:22",
            "ipv6:[::1:22",
            "ipv6:127.0.0.1:22",
            "unix:",
            "unix:@",
            "ipv4:1.2.3:22",
            "http:localhost:80",
            "127.0.0.1:22",
            "ipv4:127.0.0.1:22 ",
            "ipv4:127.0.0.1:+22",
        ] {
            let error = text.parse::<Target>().expect_err(text);
            assert!(error.to_string().contains("ipv6:[ADDR]:PORT"), "{error}");
        }
    }
}
