//! A WebSocket that is pinged while it is silent, and made anew when the server does not answer.

use lexopt::prelude::*;
use rlws::{Call, ConnectInfo, Context, ContextInfo, Cx, InitError, Pem, Protocol, ProtocolTable, Pvo, Reason, Roots};
use rlws::{Target, TlsClient, TlsClientInfo, Validity, Verdict, VhostCall, VhostInfo, VhostReason, WsConnect, WsInfo};
use rlws::{Wsi, logger};
use std::time::Duration;

const USAGE: &str = "\
usage: minimal-ws-client-ping [OPTIONS]
  --server HOST    the server, a name or an address; libwebsockets.org
  --port N         its port; 443
  --protocol NAME  the subprotocol to ask for; lws-mirror-protocol
  -n               without TLS
  -k               with any certificate of the server's
  --ca FILE        who may have signed it, PEM; whom the system trusts unless told
  --ping SECS      how long the server is silent before it is pinged; 3
  --hang-up SECS   how long before it is given up; 10
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

/// How long after the end of a connection the next one is tried.
const PAUSE: Duration = Duration::from_secs(5);

struct Ping;

impl Protocol for Ping {
    const NAME: &'static str = "lws-ping-test";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = ();
    type Vhost = ConnectInfo;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<ConnectInfo, InitError> {
        let target: Target = pvo.get("target").ok_or("it has no option \"target\"")?.parse()?;
        let validity = Validity {
            ping: Duration::from_secs(pvo.parse("ping")?.unwrap_or(3)),
            hang_up: Duration::from_secs(pvo.parse("hang-up")?.unwrap_or(10)),
        };
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
        Ok(connect)
    }

    fn callback(Call { wsi, cx, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::ClientEstablished => log::info!("established with {}", wsi.peer()),
            Reason::ClientReceivePong(_) => log::info!("pong"),
            Reason::ClientConnectionError(_) => return connect_again(wsi, cx),
            Reason::ClientClosed => {
                if let Some(why) = wsi.close_reason() {
                    log::info!("{why}");
                }
                return connect_again(wsi, cx);
            }
            _ => {}
        }
        Verdict::Continue
    }

    fn vhost_callback(call: VhostCall<'_>, connect: &mut ConnectInfo, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(_) = reason
            && let Err(error) = call.cx.client_connect(connect.clone())
        {
            return call.cx.stop_with(error);
        }
        Verdict::Continue
    }
}

/// Some seconds later, by [`Protocol::vhost_callback`].
fn connect_again(wsi: &Wsi, cx: &mut Cx) -> Verdict {
    match cx.schedule(wsi.vhost(), Ping::NAME, PAUSE) {
        Ok(_) => Verdict::Continue,
        Err(error) => cx.stop_with(error),
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut host, mut port, mut tls, mut level) = ("libwebsockets.org".to_owned(), 443, true, logger::DEFAULT);
    let mut protocol = "lws-mirror-protocol".to_owned();
    let mut own = Pvo::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("server") => host = args.value()?.string()?,
            Long("port") => port = args.value()?.parse()?,
            Long("protocol") => protocol = args.value()?.string()?,
            Short('n') => tls = false,
            Short('k') => own.push("insecure", "1"),
            Long("ca") => own.push("ca", args.value()?.string()?),
            Long("ping") => own.push("ping", args.value()?.string()?),
            Long("hang-up") => own.push("hang-up", args.value()?.string()?),
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
        protocols: vec![ProtocolTable::of::<Ping>()],
        pvo: Pvo::default().with(Ping::NAME, own),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
