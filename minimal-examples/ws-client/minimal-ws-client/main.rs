//! Connects to a WebSocket server, trying again whenever it is away, and prints what it says.

use lexopt::prelude::*;
use rlws::{Call, ConnectInfo, Context, ContextInfo, Cx, InitError, Interests, Pem, Protocol, ProtocolTable, Pvo};
use rlws::{Reason, Retry, Roots, Target, TlsClient, TlsClientInfo, Validity, Verdict, VhostCall, VhostInfo};
use rlws::{VhostReason, WsConnect, WsInfo, Wsi, logger};
use std::time::Duration;

const USAGE: &str = "\
usage: minimal-ws-client [OPTIONS]
  -s HOST, --server HOST  the server, a name or an address; libwebsockets.org
  -p N, --port N          its port; 443
  --protocol NAME         the subprotocol to ask for; dumb-increment-protocol
  -n                      without TLS
  -k                      with any certificate of the server's
  --ca FILE               who may have signed it, PEM; whom the system trusts unless told
  --retries N             how often to try again, after 1, 2, 3, 4, 5, 5, .. seconds; 5
  -d LEVEL                log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help                  this text
";

struct Client;

struct Vhd {
    connect: ConnectInfo,
    retry: Retry,
    tries: u32,
}

impl Protocol for Client {
    const NAME: &'static str = "lws-minimal-client";
    const ROLES: &'static [&'static str] = &["ws"];
    const INTERESTS: Interests = Interests::WS_WHOLE_MESSAGES;
    type Session = ();
    type Vhost = Vhd;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        let target: Target = pvo.get("target").ok_or("it has no option \"target\"")?.parse()?;
        let validity = Validity { ping: Duration::from_secs(3), hang_up: Duration::from_secs(10) };
        let ws = WsConnect {
            subprotocols: pvo.get("protocol").map(str::to_owned).into_iter().collect(),
            info: WsInfo { validity: Some(validity), ..Default::default() },
            ..WsConnect::to(&target.authority())
        };
        let mut connect = ConnectInfo::ws(vhost, target, Self::NAME, ws);
        if pvo.flag("tls") {
            let roots = pvo.get("ca").map_or(Roots::System, |ca| Roots::Only(Pem::file(ca)));
            let info = TlsClientInfo { roots, insecure: pvo.flag("insecure"), ..Default::default() };
            connect = connect.tls(TlsClient::new(&info)?);
        }
        cx.client_connect(connect.clone())?;
        let retry = Retry { conceal: pvo.parse("retries")?.unwrap_or(5), ..Default::default() };
        Ok(Vhd { connect, retry, tries: 0 })
    }

    fn callback(Call { wsi, cx, vhd, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::ClientEstablished => {
                vhd.tries = 0;
                log::info!("established with {}", wsi.peer());
            }
            Reason::ClientReceive(data) if wsi.frame_is_binary() => {
                logger::hexdump(data).for_each(|line| log::info!("{line}"));
            }
            Reason::ClientReceive(text) => log::info!("{:?}", String::from_utf8_lossy(text)),
            Reason::ClientConnectionError(_) | Reason::ClientClosed => return vhd.connect_again(wsi, cx),
            _ => {}
        }
        Verdict::Continue
    }

    fn vhost_callback(call: VhostCall<'_>, vhd: &mut Vhd, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(_) = reason
            && let Err(error) = call.cx.client_connect(vhd.connect.clone())
        {
            return call.cx.stop_with(error);
        }
        Verdict::Continue
    }
}

impl Vhd {
    /// After a while, unless that was tried often enough.
    fn connect_again(&mut self, wsi: &Wsi, cx: &mut Cx) -> Verdict {
        let Some(wait) = self.retry.delay(&mut self.tries) else {
            return cx.stop_with("connection attempts exhausted");
        };
        if let Err(error) = cx.schedule(wsi.vhost(), Client::NAME, wait) {
            return cx.stop_with(error);
        }
        log::info!("trying again in {wait:.1?}");
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut host, mut port, mut tls, mut level) = ("libwebsockets.org".to_owned(), 443, true, logger::DEFAULT);
    let mut protocol = "dumb-increment-protocol".to_owned();
    let mut own = Pvo::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Short('s') | Long("server") => host = args.value()?.string()?,
            Short('p') | Long("port") => port = args.value()?.parse()?,
            Long("protocol") => protocol = args.value()?.string()?,
            Short('n') => tls = false,
            Short('k') => own.push("insecure", "1"),
            Long("ca") => own.push("ca", args.value()?.string()?),
            Long("retries") => own.push("retries", args.value()?.string()?),
            Short('d') => level = args.value()?.parse()?,
            Long("help") => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    logger::init(level);

    own.push("target", Target::Tcp { host, port }.to_string());
    own.push("protocol", protocol);
    own.push("tls", if tls { "1" } else { "0" });
    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(VhostInfo {
        protocols: vec![ProtocolTable::of::<Client>()],
        pvo: Pvo::default().with(Client::NAME, own),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
