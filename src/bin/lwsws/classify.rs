//! Says what a first packet is, and who would get it on each listen socket.

use std::io::Read;

use rlws::classify::{Class, classify};
use rlws::{Context, Fate, Listen, VhostId, VhostInfo};

use crate::args::Args;
use crate::setup::Loaded;

/// More than any first look takes.
const MOST: u64 = 64 * 1024;

pub(crate) fn run(args: &Args) -> Result<(), String> {
    let loaded = Loaded::from(&args.dir)?;
    let (mut context, made) = loaded.try_out()?;
    let mut first = Vec::new();
    std::io::stdin().take(MOST).read_to_end(&mut first).map_err(|error| format!("stdin: {error}"))?;
    println!("{} bytes: {}", first.len(), what(&first));
    let all = &loaded.vhosts.infos;
    for (index, (vhost, made)) in all.iter().zip(made).enumerate() {
        let is_first = all[..index].iter().all(|before| before.listen != vhost.listen);
        if vhost.listen != Listen::None && is_first {
            let said = match context.cx().fate_of(made?, &first) {
                Some(fate) => said(&mut context, all, &fate),
                None => "nobody".to_owned(),
            };
            println!("{}: {said}", vhost.listen);
        }
    }
    Ok(())
}

fn what(first: &[u8]) -> &'static str {
    match classify(first) {
        Class::NeedMore => "too few to tell",
        Class::Tls => "TLS",
        Class::Http => "http",
        _ => "neither TLS nor http",
    }
}

fn said(context: &mut Context, infos: &[VhostInfo], fate: &Fate) -> String {
    let mut name = |vhost: VhostId| context.cx().vhost(vhost).map_or_else(String::new, |vhost| vhost.name().to_owned());
    match fate {
        Fate::Waits { at_end } => {
            let at_end = said(context, infos, at_end);
            format!("more is waited for; if nothing comes before the end: {at_end}")
        }
        Fate::Http { vhost, is_whole: true } => format!("vhost {}, role http", name(*vhost)),
        Fate::Http { vhost, .. } => {
            format!("role http, vhost {} unless the rest of the head names another", name(*vhost))
        }
        Fate::HttpError { vhost, status } => format!("vhost {}, answered {status} by role http", name(*vhost)),
        Fate::RedirectToHttps { vhost } => format!("vhost {}, redirected to https", name(*vhost)),
        Fate::TlsHandshake { vhost, is_whole } => {
            let name = name(*vhost);
            let alpn = infos.iter().find(|info| info.name == name).and_then(|info| info.alpn.clone());
            let alpn = alpn.unwrap_or_else(|| vec!["http/1.1".to_owned()]).join(", ");
            let unless = if *is_whole { "" } else { " unless the rest of the hello names another" };
            format!("vhost {name}{unless}, TLS handshake, then by ALPN ({alpn}) or the first bytes within")
        }
        Fate::ListenAccept { vhost, role, protocol, over_tls } => {
            let protocol = protocol.map(|protocol| format!(", protocol {protocol}")).unwrap_or_default();
            let over = if *over_tls { ", over TLS" } else { "" };
            format!("vhost {}, role {role}{protocol}{over}", name(*vhost))
        }
        Fate::Drop { vhost } => format!("vhost {}, dropped", name(*vhost)),
        other => format!("{other:?}"),
    }
}
