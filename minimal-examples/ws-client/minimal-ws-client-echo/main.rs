//! A WebSocket client that sends back what the server says, as it comes.

use lexopt::prelude::*;
use rlws::{Call, ConnectInfo, Context, ContextInfo, InitError, Pem, PermessageDeflate, Protocol, ProtocolTable, Pvo};
use rlws::{Reason, Roots, Target, TlsClient, TlsClientInfo, Verdict, VhostCall, VhostInfo, WsConnect, WsInfo};
use rlws::{WsWrite, logger};

const USAGE: &str = "\
usage: minimal-ws-client-echo [OPTIONS]
  -s HOST, --server HOST  the server, a name or an address; localhost
  -p N, --port N          its port; 7681
  -u PATH                 what to ask it for; /
  --ssl                   over TLS
  -k                      with any certificate of the server's
  --ca FILE               who may have signed it, PEM; whom the system trusts unless told
  -n                      no compression (permessage-deflate)
  -o                      one message alone, without which it has failed
  -d LEVEL                log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help                  this text
";

struct Echo;

struct Vhd {
    once: bool,
    messages: u64,
}

impl Protocol for Echo {
    const NAME: &'static str = "lws-minimal-client-echo";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = ();
    type Vhost = Vhd;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        let target: Target = pvo.get("target").ok_or("it has no option \"target\"")?.parse()?;
        let deflate = pvo.flag("deflate").then(PermessageDeflate::default);
        let ws = WsConnect {
            path: pvo.get("path").unwrap_or("/").to_owned(),
            info: WsInfo { deflate, ..Default::default() },
            ..WsConnect::to(&target.authority())
        };
        let mut connect = ConnectInfo::ws(vhost, target, Self::NAME, ws);
        if pvo.flag("tls") {
            let roots = pvo.get("ca").map_or(Roots::System, |ca| Roots::Only(Pem::file(ca)));
            let info = TlsClientInfo { roots, insecure: pvo.flag("insecure"), ..Default::default() };
            connect = connect.tls(TlsClient::new(&info)?);
        }
        cx.client_connect(connect)?;
        Ok(Vhd { once: pvo.flag("once"), messages: 0 })
    }

    fn callback(Call { wsi, cx, vhd, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::ClientConnectionError(why) => return cx.stop_with(why),
            Reason::ClientEstablished => log::info!("established with {}", wsi.peer()),
            Reason::ClientReceive(data) => {
                let (first, last) = (wsi.is_first_fragment(), wsi.is_final_fragment());
                log::info!("{} bytes; first {first}, last {last}, binary {}", data.len(), wsi.frame_is_binary());
                let kind = if wsi.frame_is_binary() { WsWrite::BINARY } else { WsWrite::TEXT };
                // No more comes than can be answered, so there is always room.
                if let Err(error) = wsi.write_ws(kind.part(first, last), data) {
                    return cx.stop_with(error);
                }
                vhd.messages += u64::from(last);
                if vhd.once && last {
                    return Verdict::Close;
                }
            }
            Reason::ClientClosed if vhd.once && vhd.messages == 0 => return cx.stop_with("closed without a message"),
            Reason::ClientClosed => {
                log::info!("closed; messages echoed: {}", vhd.messages);
                cx.stop();
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut host, mut port, mut level) = ("localhost".to_owned(), 7681, logger::DEFAULT);
    let mut deflate = "1";
    let mut own = Pvo::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Short('s') | Long("server") => host = args.value()?.string()?,
            Short('p') | Long("port") => port = args.value()?.parse()?,
            Short('u') => own.push("path", args.value()?.string()?),
            Long("ssl") => own.push("tls", "1"),
            Short('k') => own.push("insecure", "1"),
            Long("ca") => own.push("ca", args.value()?.string()?),
            Short('n') => deflate = "0",
            Short('o') => own.push("once", "1"),
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
    own.push("deflate", deflate);
    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(VhostInfo {
        protocols: vec![ProtocolTable::of::<Echo>()],
        pvo: Pvo::default().with(Echo::NAME, own),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
