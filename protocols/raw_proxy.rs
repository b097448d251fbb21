//! `raw-proxy`: relays connections in role raw-proxy to where its option `onward` says (lws's plugin `raw-proxy`).
//!
//! | pvo | meaning |
//! |---|---|
//! | `onward` | required: `ipv4:ADDR:PORT`, `ipv6:[ADDR]:PORT`, `tcp:HOST:PORT` or `unix:PATH` |
//! | `idle-timeout-secs` | close a pair after this long without a byte; 0 or absent: never |
//! | `proxy-protocol` | `v1` or `v2`: tell the onward server by a PROXY header who the client is |
//! | `onward-tls` | `1`: the onward server speaks TLS, as [`VhostInfo::client_tls`](crate::VhostInfo::client_tls) says where the following do not |
//! | `onward-tls-name` | the name its certificate has to be for; the host of `onward` unless told |
//! | `onward-tls-ca` | PEM file of who may have signed it; whom the system trusts unless told |
//! | `onward-tls-cert`, `onward-tls-key` | PEM files to show a server that asks for a certificate |
//! | `onward-tls-insecure` | `1`: take any certificate; a warning says so, once a second at most |

use std::time::Duration;

use super::http_dummy;
use crate::{
    Call, InitError, Onward, Pem, Protocol, ProxyProtocol, Pvo, Reason, Roots, Target, TlsClient, Verdict, Vhost,
    VhostCall,
};

/// Says where to; the role does the work.
pub struct RawProxy;

impl Protocol for RawProxy {
    const NAME: &'static str = "raw-proxy";
    const ROLES: &'static [&'static str] = &["raw-proxy"];
    const OPTIONS: Option<&'static [&'static str]> = Some(&[
        "onward",
        "idle-timeout-secs",
        "proxy-protocol",
        "onward-tls",
        "onward-tls-name",
        "onward-tls-ca",
        "onward-tls-cert",
        "onward-tls-key",
        "onward-tls-insecure",
    ]);
    type Session = ();
    type Vhost = Onward;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<Onward, InitError> {
        let onward = pvo.get("onward").ok_or(
            "the option \"onward\" is missing; expected ipv4:ADDR:PORT, ipv6:[ADDR]:PORT, tcp:HOST:PORT or unix:PATH",
        )?;
        let target: Target = onward.parse().map_err(|error| format!("the option \"onward\": {error}"))?;
        let idle_timeout = pvo.secs("idle-timeout-secs")?.filter(|after| *after > Duration::ZERO);
        Ok(Onward::from(target)
            .idle_timeout(idle_timeout)
            .proxy_protocol(proxy_protocol(pvo)?)
            .tls(onward_tls(pvo, cx.vhost(vhost).and_then(Vhost::client_tls))?))
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::RawProxySrvAdopt => {
                call.wsi.connect_onward(call.vhd.clone());
                Verdict::Continue
            }
            _ => http_dummy::callback(call.wsi, call.cx, reason),
        }
    }
}

fn proxy_protocol(pvo: &Pvo) -> Result<Option<ProxyProtocol>, InitError> {
    let Some(version) = pvo.get("proxy-protocol") else { return Ok(None) };
    let known = version.parse().map_err(|error| format!("the option \"proxy-protocol\" is \"{version}\"; {error}"))?;
    Ok(Some(known))
}

/// The options go before what the vhost has.
fn onward_tls(pvo: &Pvo, of_vhost: Option<&TlsClient>) -> Result<Option<TlsClient>, InitError> {
    let option = pvo.children().iter().find(|child| child.name().starts_with("onward-tls-"));
    if !pvo.flag("onward-tls") {
        return match option {
            Some(child) => Err(format!("the option \"{}\" does nothing without \"onward-tls\"", child.name()).into()),
            None => Ok(None),
        };
    }
    let identity = match (pvo.get("onward-tls-cert"), pvo.get("onward-tls-key")) {
        (Some(cert), Some(key)) => Some((Pem::file(cert), Pem::file(key))),
        (None, None) => None,
        _ => return Err("\"onward-tls-cert\" and \"onward-tls-key\" belong together".into()),
    };
    if let (None, Some(tls)) = (option, of_vhost) {
        return Ok(Some(tls.clone()));
    }
    let mut info = of_vhost.map(|tls| tls.info().clone()).unwrap_or_default();
    if let Some(ca) = pvo.get("onward-tls-ca") {
        info.roots = Roots::Only(Pem::file(ca));
    }
    info.server_name = pvo.get("onward-tls-name").map(str::to_owned).or(info.server_name);
    info.identity = identity.or(info.identity);
    info.insecure |= pvo.flag("onward-tls-insecure");
    Ok(Some(TlsClient::new(&info)?))
}
