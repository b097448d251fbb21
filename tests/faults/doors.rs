//! The context that is tested: a listener of every kind, and the relay behind them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rlws::protocols::{HttpDummy, RawEcho};
use rlws::{
    AccessLog, Call, Context, ContextInfo, InitError, Listen, Mount, Onward, Options, Peer, Pem, Protocol,
    ProtocolTable, ProxyProtocol, Pvo, Reason, Response, Roots, Target, TlsClient, TlsClientInfo, Verdict, Vhost,
    VhostCall, VhostInfo,
};

use crate::beyond::Beyond;
use crate::case::{DOORS, Door, has_header, is_refused, number_of, onward_address};
use crate::requests;
use crate::util::{certs, options, server};

/// Nothing is given up for its slowness: the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(120);
/// After which [`Door::Silence`] no longer waits for the client.
const SILENCE: Duration = Duration::from_millis(10);

pub fn context_info() -> ContextInfo {
    ContextInfo { timeout: PATIENCE, connect_timeout: PATIENCE, ..Default::default() }
}

/// Makes every listener, for what is in `folder`. Returns the ports.
pub fn make(context: &mut Context, beyond: Beyond, folder: &Path) -> BTreeMap<Door, u16> {
    let log = AccessLog::open(log_path(folder)).expect("a log");
    let vhost = |door| VhostInfo { access_log: Some(log.clone()), ..vhost(door, beyond, folder) };
    DOORS.into_iter().map(|door| (door, server::make_vhost(context, vhost(door)))).collect()
}

/// The unix socket that is one of the listeners.
pub fn unix_path(folder: &Path) -> PathBuf {
    folder.join("door.sock")
}

/// The unix socket that a relay connects to.
pub fn beyond_path(folder: &Path) -> PathBuf {
    folder.join("beyond.sock")
}

pub fn log_path(folder: &Path) -> PathBuf {
    folder.join("access.log")
}

/// Who has signed the certificate of the onward server.
pub fn ca_path(folder: &Path) -> PathBuf {
    folder.join("ca.pem")
}

/// The folder below it that http serves.
pub fn site_path(folder: &Path) -> PathBuf {
    folder.join("site")
}

fn vhost(door: Door, beyond: Beyond, folder: &Path) -> VhostInfo {
    let fallback = Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG;
    let apply = Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG;
    let (role, protocol) = match door {
        Door::Echo => ("raw-skt", "raw-echo"),
        _ => ("raw-proxy", "numbered-relay"),
    };
    let text = |port: u16| port.to_string();
    let onward = if door.has_tls_onward() { beyond.onward_tls } else { beyond.onward };
    let unix = if door == Door::OnwardUnix { beyond_path(folder).display().to_string() } else { String::new() };
    let balancers = "127.0.0.0/8".parse().expect("a network");
    let client_tls = TlsClientInfo {
        roots: Roots::Only(Pem::file(ca_path(folder))),
        server_name: Some("localhost".into()),
        ..Default::default()
    };
    VhostInfo {
        // One that the certificate is for.
        name: "localhost".into(),
        listen: match door {
            Door::Unix => Listen::unix(unix_path(folder)),
            _ => Listen::on(&door.address().to_string(), 0),
        },
        tls: door.has_tls().then(|| certs::localhost().tls_info()),
        client_tls: door.has_tls_onward().then_some(client_tls),
        proxy_protocol_from: if door == Door::Balanced { vec![balancers] } else { Vec::new() },
        protocols: vec![
            ProtocolTable::of::<HttpDummy>(),
            ProtocolTable::of::<RawEcho>(),
            ProtocolTable::of::<NumberedRelay>(),
            ProtocolTable::of::<Upload>(),
        ],
        pvo: options(
            "numbered-relay",
            &[
                ("onward", &text(onward)),
                ("onward-of-unix", &text(beyond.onward_of_unix)),
                ("refused", &text(beyond.refused)),
                ("unix", &unix),
            ],
        ),
        mounts: vec![
            Mount::files("/", site_path(folder)),
            Mount::redirect(requests::MOVED, requests::ELSEWHERE).append_path(),
            Mount::callback(requests::UPLOAD, "upload"),
        ],
        options: match door {
            Door::Http => Options::empty(),
            _ if door.applies() => apply,
            _ => fallback,
        },
        listen_accept_role: Some(role.into()),
        listen_accept_protocol: Some(protocol.into()),
        fallback_silence: (door == Door::Silence).then_some(SILENCE),
        keepalive_timeout: PATIENCE,
        ..Default::default()
    }
}

/// Sends back what is posted, and the name of the request.
struct Upload;

impl Protocol for Upload {
    const NAME: &'static str = "upload";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Http(request) => {
                let name = request.header_str("x-whose").unwrap_or_default().to_owned();
                call.wsi.respond(Response::new(200).header("X-Whose", name)).expect("it is its answer");
            }
            Reason::HttpBody(data) => call.wsi.write(data).expect("nothing is read while output waits"),
            Reason::HttpBodyCompletion => call.wsi.transaction_completed(),
            _ => {}
        }
        Verdict::Continue
    }
}

/// Relays each client to an address of its own, by which the onward server knows which client that is: by the client's address, and on a
/// unix socket in the order in which they came.
struct NumberedRelay;

struct Ways {
    onward: u16,
    onward_of_unix: u16,
    refused: u16,
    /// Where all go, if it is not empty.
    unix: String,
    tls: Option<TlsClient>,
    by_unix: u64,
}

impl Protocol for NumberedRelay {
    const NAME: &'static str = "numbered-relay";
    const ROLES: &'static [&'static str] = &["raw-proxy"];
    type Session = ();
    type Vhost = Ways;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<Ways, InitError> {
        let port = |name| pvo.get(name).unwrap_or_default().parse::<u16>();
        Ok(Ways {
            onward: port("onward")?,
            onward_of_unix: port("onward-of-unix")?,
            refused: port("refused")?,
            unix: pvo.get("unix").unwrap_or_default().to_owned(),
            tls: cx.vhost(vhost).and_then(Vhost::client_tls).cloned(),
            by_unix: 0,
        })
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::RawProxySrvAdopt = reason {
            let onward = call.vhd.of(call.wsi.direct_peer());
            call.wsi.connect_onward(onward);
        }
        Verdict::Continue
    }
}

impl Ways {
    fn of(&mut self, client: &Peer) -> Onward {
        let (number, port, has_header) = match client {
            Peer::Tcp(address) => {
                let IpAddr::V4(ip) = address.ip() else { panic!("{address}") };
                let number = number_of(ip);
                let port = if is_refused(number) { self.refused } else { self.onward };
                (number, port, has_header(number))
            }
            Peer::Unix => {
                self.by_unix += 1;
                (self.by_unix - 1, self.onward_of_unix, false)
            }
            other => panic!("a client that is {other}"),
        };
        let target = match &*self.unix {
            "" => format!("ipv4:{}:{port}", onward_address(number)),
            path => format!("unix:{path}"),
        };
        let target: Target = target.parse().expect("a target");
        let version = if number.is_multiple_of(3) { ProxyProtocol::V1 } else { ProxyProtocol::V2 };
        let has_header = has_header || !self.unix.is_empty();
        Onward::from(target).proxy_protocol(has_header.then_some(version)).tls(self.tls.clone())
    }
}
