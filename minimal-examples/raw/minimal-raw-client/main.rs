//! Connects to a raw server, trying again while it is away; sends what stdin says and prints what comes.

#[path = "../stdio.rs"]
mod stdio;

use lexopt::prelude::*;
use rlws::{AdoptInfo, Call, ConnectInfo, Context, ContextInfo, Cx, InitError, Pem, Protocol, ProtocolTable, Pvo};
use rlws::{CloseReason, Wsi, WsiId, logger};
use rlws::{Reason, Retry, Roots, Target, TlsClient, TlsClientInfo, Verdict, VhostCall, VhostInfo, VhostReason};
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
    server: WsiId,
    stdout: WsiId,
    /// What was read from stdin, which then rests until this is sent.
    up: Vec<u8>,
    stdin_has_ended: bool,
    /// How long to wait then for what is still to come.
    patience: Duration,
    /// What the server said, which then rests until stdout has it.
    down: Vec<u8>,
    server_rests: bool,
    /// The connection has ended so, which has to wait until stdout has everything.
    end: Option<Result<(), String>>,
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
        let server = cx.client_connect(connect.clone())?;
        let stdout = cx.adopt_file(stdio::stdout()?, AdoptInfo::new(vhost, Self::NAME))?;
        // It may be the very socket that stdin is.
        cx.rx_flow_control(stdout, false);
        let (up, down, stdin_has_ended, server_rests, end) = (Vec::new(), Vec::new(), false, false, None);
        Ok(Client { connect, retry, tries: 0, server, stdout, up, stdin_has_ended, patience, down, server_rests, end })
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
                vhd.down.extend_from_slice(data);
                vhd.server_rests = true;
                wsi.rx_flow_control(false);
                wsi.cancel_timer();
                cx.callback_on_writable(vhd.stdout);
            }
            Reason::RawWriteable if !vhd.up.is_empty() => {
                if let Err(error) = wsi.write(&vhd.up) {
                    return cx.stop_with(error);
                }
                vhd.up.clear();
                wsi.callback_on_writable();
            }
            Reason::RawWriteable if !vhd.stdin_has_ended => {
                wsi.children().iter().for_each(|stdin| cx.rx_flow_control(*stdin, true));
            }
            // While it rests it is not the server that is silent.
            Reason::RawWriteable if !vhd.server_rests => wsi.set_timer(cx, vhd.patience),
            Reason::ChildClosing(_) => {
                vhd.stdin_has_ended = true;
                wsi.callback_on_writable();
            }
            Reason::Timer => return Verdict::Close,
            Reason::RawClose => {
                vhd.end = Some(match wsi.close_reason() {
                    Some(CloseReason::Lost(error)) => Err(format!("{}: {error}", wsi.peer())),
                    _ => Ok(()),
                });
                cx.callback_on_writable(vhd.stdout);
            }

            // -- stdin
            Reason::RawRxFile(data) => {
                vhd.up.extend_from_slice(data);
                wsi.rx_flow_control(false);
                cx.callback_on_writable(vhd.server);
            }

            // -- stdout
            Reason::RawWriteableFile if !vhd.down.is_empty() => {
                if let Err(error) = wsi.write(&vhd.down) {
                    return cx.stop_with(format!("stdout: {error}"));
                }
                vhd.down.clear();
                wsi.callback_on_writable();
            }
            Reason::RawWriteableFile => match vhd.end.take() {
                Some(Ok(())) => {
                    log::info!("closed");
                    cx.stop();
                }
                Some(Err(why)) => return cx.stop_with(why),
                None => {
                    vhd.server_rests = false;
                    cx.rx_flow_control(vhd.server, true);
                    if vhd.stdin_has_ended && vhd.up.is_empty() {
                        cx.set_timer(vhd.server, vhd.patience);
                    }
                }
            },
            Reason::RawCloseFile if wsi.id() == vhd.stdout => {
                if let Some(CloseReason::Lost(error)) = wsi.close_reason() {
                    return cx.stop_with(format!("stdout: {error}"));
                }
            }
            _ => {}
        }
        Verdict::Continue
    }

    fn vhost_callback(call: VhostCall<'_>, vhd: &mut Client, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(_) = reason {
            match call.cx.client_connect(vhd.connect.clone()) {
                Ok(server) => vhd.server = server,
                Err(error) => return call.cx.stop_with(error),
            }
        }
        Verdict::Continue
    }
}

/// A child of the connection: it is closed with it, and tells it of its own end.
fn adopt_stdin(wsi: &Wsi, cx: &mut Cx) -> Result<(), Box<dyn std::error::Error>> {
    cx.adopt_file(stdio::stdin()?, AdoptInfo::new(wsi.vhost(), RawClient::NAME).parent(wsi.id()))?;
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
