//! Connects to a raw server, trying again while it is away; sends what stdin says and prints what comes.

use lexopt::prelude::*;
use rlws::{AdoptInfo, Call, ConnectInfo, Context, ContextInfo, Cx, InitError, Pem, Protocol, ProtocolTable, Pvo};
use rlws::{CloseReason, Wsi, logger};
use rlws::{Reason, Retry, Roots, Target, TlsClient, TlsClientInfo, Verdict, VhostCall, VhostInfo, VhostReason};
use std::fs::File;
use std::io::{Write, stdout};
use std::time::Duration;

const USAGE: &str = "\
usage: minimal-raw-client [OPTIONS]
  --server HOST    the server to connect to, a name or an address; localhost
  --port N         its port; 7681
  -s               over TLS
  --ca FILE        who may have signed the server's certificate, PEM; whom the system trusts unless told
  --retries N      how often to try again, after 1, 2, 3, 4, 5, 5, .. seconds; 5
  -w MS            how long the server may be silent once stdin has ended; 1000
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

struct RawClient;

struct Client {
    connect: ConnectInfo,
    retry: Retry,
    tries: u32,
    /// How long to wait for what is still to come once stdin has ended.
    patience: Duration,
    stdin_has_ended: bool,
    /// What was read from stdin, which then rests until this is sent.
    waiting: Vec<u8>,
}

impl Protocol for RawClient {
    const NAME: &'static str = "raw-client";
    const ROLES: &'static [&'static str] = &["raw-skt", "raw-file"];
    type Session = ();
    type Vhost = Client;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<Client, InitError> {
        let target = pvo.get("target").ok_or("it has no option \"target\"")?.parse()?;
        let mut connect = ConnectInfo::new(vhost, target, Self::NAME);
        if pvo.flag("tls") {
            let roots = pvo.get("ca").map_or(Roots::System, |ca| Roots::Only(Pem::file(ca)));
            connect = connect.tls(TlsClient::new(&TlsClientInfo { roots, ..Default::default() })?);
        }
        let retry = Retry { conceal: pvo.parse("retries")?.unwrap_or(5), ..Default::default() };
        let patience = Duration::from_millis(pvo.parse("patience-ms")?.unwrap_or(1000));
        cx.client_connect(connect.clone())?;
        Ok(Client { connect, retry, tries: 0, patience, stdin_has_ended: false, waiting: Vec::new() })
    }

    fn callback(Call { wsi, cx, vhd, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            // -- the server
            Reason::ClientConnectionError(why) => {
                let Some(wait) = vhd.retry.delay(&mut vhd.tries) else { return cx.stop_with(why) };
                log::info!("trying again in {wait:.1?}");
                if let Err(error) = cx.schedule(wsi.vhost(), Self::NAME, wait) {
                    return cx.stop_with(error);
                }
            }
            Reason::RawConnected => {
                log::info!("connected to {}", wsi.peer());
                if let Err(error) = adopt_stdin(wsi, cx) {
                    return cx.stop_with(format!("stdin: {error}"));
                }
            }
            Reason::RawRx(data) => {
                if let Err(error) = stdout().write_all(data).and_then(|()| stdout().flush()) {
                    return cx.stop_with(format!("stdout: {error}"));
                }
                if vhd.stdin_has_ended {
                    wsi.set_timer(cx, vhd.patience);
                }
            }
            Reason::RawWriteable if !vhd.waiting.is_empty() => {
                if let Err(error) = wsi.write(&vhd.waiting) {
                    return cx.stop_with(error);
                }
                vhd.waiting.clear();
                wsi.callback_on_writable();
            }
            Reason::RawWriteable if vhd.stdin_has_ended => wsi.set_timer(cx, vhd.patience),
            Reason::RawWriteable => wsi.children().iter().for_each(|stdin| cx.rx_flow_control(*stdin, true)),
            Reason::ChildClosing(_) => {
                vhd.stdin_has_ended = true;
                wsi.callback_on_writable();
            }
            Reason::Timer => return Verdict::Close,
            Reason::RawClose => match wsi.close_reason() {
                Some(CloseReason::Lost(error)) => return cx.stop_with(format!("{}: {error}", wsi.peer())),
                _ => {
                    log::info!("closed");
                    cx.stop();
                }
            },

            // -- stdin
            Reason::RawRxFile(data) => {
                vhd.waiting.extend_from_slice(data);
                wsi.rx_flow_control(false);
                wsi.parent().into_iter().for_each(|server| cx.callback_on_writable(server));
            }
            _ => {}
        }
        Verdict::Continue
    }

    fn vhost_callback(call: VhostCall<'_>, vhd: &mut Client, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(_) = reason
            && let Err(error) = call.cx.client_connect(vhd.connect.clone())
        {
            return call.cx.stop_with(error);
        }
        Verdict::Continue
    }
}

/// A child of the connection: it is closed with it, and tells it of its own end.
fn adopt_stdin(wsi: &Wsi, cx: &mut Cx) -> Result<(), Box<dyn std::error::Error>> {
    // Opened anew, so that nobody else's stdin stops blocking.
    let stdin = File::open("/dev/stdin")?;
    cx.adopt_file(stdin, AdoptInfo::new(wsi.vhost(), RawClient::NAME).parent(wsi.id()))?;
    Ok(())
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut host, mut port, mut level) = ("localhost".to_owned(), 7681, logger::DEFAULT);
    let mut own = Pvo::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("server") => host = args.value()?.string()?,
            Long("port") => port = args.value()?.parse()?,
            Short('s') => own.push("tls", "1"),
            Long("ca") => own.push("ca", args.value()?.string()?),
            Long("retries") => own.push("retries", args.value()?.string()?),
            Short('w') => own.push("patience-ms", args.value()?.string()?),
            Short('d') => level = args.value()?.parse()?,
            Long("help") => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    logger::init(level);

    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(VhostInfo {
        protocols: vec![ProtocolTable::of::<RawClient>()],
        pvo: Pvo::default().with(RawClient::NAME, own.with("target", Target::Tcp { host, port }.to_string())),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
