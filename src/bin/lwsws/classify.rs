//! Says what a first packet is, and who would get it on each listen socket.

use std::io::Read;

use rlws::classify::classify;
use rlws::first_packet::{Decision, Listener, Moment, decide};
use rlws::{Listen, VhostInfo};
use rustls::server::Acceptor;

use crate::args::Args;
use crate::setup::Loaded;

/// More than any first look takes.
const MOST: u64 = 64 * 1024;

pub(crate) fn run(args: &Args) -> Result<(), String> {
    let loaded = Loaded::from(&args.dir)?;
    let mut first = Vec::new();
    std::io::stdin().take(MOST).read_to_end(&mut first).map_err(|error| format!("stdin: {error}"))?;
    println!("{} bytes: {:?}", first.len(), classify(&first));
    let all = &loaded.vhosts.infos;
    for (index, vhost) in all.iter().enumerate() {
        let is_first = all[..index].iter().all(|before| before.listen != vhost.listen);
        if vhost.listen != Listen::None && is_first {
            let sharing: Vec<&VhostInfo> = all[index..].iter().filter(|other| other.listen == vhost.listen).collect();
            println!("{}: {}", vhost.listen, fate(&sharing, &first));
        }
    }
    Ok(())
}

/// What becomes of it where these vhosts listen; the first of them decides.
fn fate(sharing: &[&VhostInfo], packet: &[u8]) -> String {
    let vhost = sharing[0];
    let listener = if vhost.tls.is_some() { Listener::Tls } else { Listener::Plain };
    let at_once = decide(listener, vhost.options, Moment::Accept);
    let decision =
        if at_once == Decision::Wait { decide(listener, vhost.options, Moment::Rx(packet)) } else { at_once };
    let name = |by: Option<String>| chosen(sharing, by.as_deref()).name.as_str();
    match decision {
        Decision::Wait => format!(
            "more is waited for, {:?} at the end of the input",
            decide(listener, vhost.options, Moment::Eof(packet))
        ),
        Decision::Http => format!("vhost {}, role http", name(host(packet))),
        Decision::TlsHandshake => {
            let chosen = chosen(sharing, server_name(packet).as_deref());
            let alpn = chosen.alpn.clone().unwrap_or_else(|| vec!["http/1.1".to_owned()]).join(", ");
            format!("vhost {}, TLS handshake, then by ALPN ({alpn}) or the first bytes within", chosen.name)
        }
        Decision::RedirectToHttps => format!("vhost {}, redirected to https", vhost.name),
        Decision::ListenAccept => {
            let role = vhost.listen_accept_role.as_deref().unwrap_or("raw-skt");
            let protocol = vhost.listen_accept_protocol.as_deref().unwrap_or("(its default one)");
            let over = if at_once == Decision::ListenAccept && vhost.tls.is_some() { ", over TLS" } else { "" };
            format!("vhost {}, role {role}, protocol {protocol}{over}", vhost.name)
        }
        Decision::Refuse => format!("vhost {}, refused by role http (400 or 501)", vhost.name),
        Decision::Drop => format!("vhost {}, dropped", vhost.name),
    }
}

/// The vhost that a name chooses: its own, else that of the longest domain it is in, else the first.
fn chosen<'v>(sharing: &[&'v VhostInfo], name: Option<&str>) -> &'v VhostInfo {
    let name = name.unwrap_or_default().trim_end_matches('.');
    let domains = std::iter::successors(Some(name), |name| name.split_once('.').map(|(_, parent)| parent));
    let by = |domain: &str| sharing.iter().find(|vhost| vhost.name.eq_ignore_ascii_case(domain)).copied();
    domains.into_iter().find_map(by).unwrap_or(sharing[0])
}

/// The host that a request names.
fn host(request: &[u8]) -> Option<String> {
    let head = String::from_utf8_lossy(request);
    let line = head
        .lines()
        .skip(1)
        .take_while(|line| !line.is_empty())
        .find(|line| line.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("host:")))?;
    let authority = line[5..].trim();
    let host = authority.rsplit_once(':').map_or(authority, |(host, _)| host);
    Some(host.to_owned())
}

/// The name that a ClientHello asks for.
fn server_name(hello: &[u8]) -> Option<String> {
    let (mut acceptor, mut rest) = (Acceptor::default(), hello);
    acceptor.read_tls(&mut rest).ok()?;
    let accepted = acceptor.accept().ok()??;
    accepted.client_hello().server_name().map(str::to_owned)
}
