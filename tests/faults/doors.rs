//! The context that is tested: a listener of every kind, and the relay behind them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use rlws::protocols::{HttpDummy, RawEcho};
use rlws::{
    Call, Context, ContextInfo, InitError, Listen, Mount, Onward, Options, Peer, Protocol, ProtocolTable,
    ProxyProtocol, Pvo, Reason, Target, Verdict, VhostCall, VhostInfo,
};

use crate::script::{DOORS, Door, has_header, is_refused, number_of, onward_address};
use crate::util::{certs, options, server};

/// Nothing is given up for its slowness: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// After which [`Door::Silence`] no longer waits for the client.
const SILENCE: Duration = Duration::from_millis(10);

pub fn context_info() -> ContextInfo {
    ContextInfo { timeout: PATIENCE, connect_timeout: PATIENCE, ..Default::default() }
}

/// The ports that a relay connects to.
#[derive(Debug, Clone, Copy)]
pub struct Beyond {
    pub onward: u16,
    /// For what came by unix socket.
    pub onward_of_unix: u16,
    /// Where nobody listens.
    pub refused: u16,
}

/// Makes every listener; `folder` has the file that http serves, and gets the unix socket. Returns the ports.
pub fn make(context: &mut Context, beyond: Beyond, folder: &Path) -> BTreeMap<Door, u16> {
    DOORS.into_iter().map(|door| (door, server::make_vhost(context, vhost(door, beyond, folder)))).collect()
}

pub fn unix_path(folder: &Path) -> std::path::PathBuf {
    folder.join("door.sock")
}

fn vhost(door: Door, beyond: Beyond, folder: &Path) -> VhostInfo {
    let fallback = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
    let apply = Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
    let (role, protocol) = match door {
        Door::Echo => ("raw-skt", "raw-echo"),
        _ => ("raw-proxy", "numbered-relay"),
    };
    let port = |port: u16| port.to_string();
    VhostInfo {
        // One that the certificate is for.
        name: "localhost".into(),
        listen: match door {
            Door::Unix => Listen::unix(unix_path(folder)),
            _ => Listen::on(&door.address().to_string(), 0),
        },
        tls: matches!(door, Door::TlsFallback | Door::TlsApply).then(|| certs::localhost().tls_info()),
        protocols: vec![
            ProtocolTable::of::<HttpDummy>(),
            ProtocolTable::of::<RawEcho>(),
            ProtocolTable::of::<NumberedRelay>(),
        ],
        pvo: options(
            "numbered-relay",
            &[
                ("onward", &port(beyond.onward)),
                ("onward-of-unix", &port(beyond.onward_of_unix)),
                ("refused", &port(beyond.refused)),
            ],
        ),
        mounts: vec![Mount::files("/", folder)],
        options: match door {
            Door::Fallback | Door::Silence | Door::TlsFallback | Door::Echo => fallback,
            Door::TlsApply | Door::Apply | Door::Unix => apply,
            Door::Http => Options::empty(),
        },
        listen_accept_role: Some(role.into()),
        listen_accept_protocol: Some(protocol.into()),
        fallback_silence: (door == Door::Silence).then_some(SILENCE),
        keepalive_timeout: PATIENCE,
        ..Default::default()
    }
}

/// Relays each client to an address of its own, by which the onward server knows which client that is: by the client's address, and on a
/// unix socket in the order in which they came.
struct NumberedRelay;

struct Ways {
    beyond: Beyond,
    by_unix: u64,
}

impl Protocol for NumberedRelay {
    const NAME: &'static str = "numbered-relay";
    const ROLES: &'static [&'static str] = &["raw-proxy"];
    type Session = ();
    type Vhost = Ways;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Ways, InitError> {
        let port = |name| pvo.get(name).unwrap_or_default().parse::<u16>();
        let beyond =
            Beyond { onward: port("onward")?, onward_of_unix: port("onward-of-unix")?, refused: port("refused")? };
        Ok(Ways { beyond, by_unix: 0 })
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::RawProxySrvAdopt = reason {
            let onward = call.vhd.of(call.wsi.peer());
            call.wsi.connect_onward(onward);
        }
        Verdict::Continue
    }
}

impl Ways {
    fn of(&mut self, client: &Peer) -> Onward {
        let (number, port, header) = match client {
            Peer::Tcp(address) => {
                let IpAddr::V4(ip) = address.ip() else { panic!("{address}") };
                let number = number_of(ip);
                let port = if is_refused(number) { self.beyond.refused } else { self.beyond.onward };
                (number, port, has_header(number))
            }
            Peer::Unix => {
                self.by_unix += 1;
                (self.by_unix - 1, self.beyond.onward_of_unix, false)
            }
            other => panic!("a client that is {other}"),
        };
        let target: Target = format!("ipv4:{}:{port}", onward_address(number)).parse().expect("a target");
        Onward::from(target).proxy_protocol(header.then_some(ProxyProtocol::V1))
    }
}
