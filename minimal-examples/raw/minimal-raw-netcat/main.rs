//! Copies stdin to a server, and what the server says to stdout.

#[path = "../stdio.rs"]
mod stdio;

use lexopt::prelude::*;
use rlws::{AdoptInfo, Call, ConnectInfo, Context, ContextInfo, InitError, Protocol, ProtocolTable, Pvo};
use rlws::{CloseReason, Reason, Target, Verdict, VhostCall, VhostInfo, WsiId, logger};

const USAGE: &str = "\
usage: minimal-raw-netcat [OPTIONS]
  --server HOST    the server to connect to, a name or an address; localhost
  --port N         its port; 7681
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

struct Netcat;

struct Copying {
    server: WsiId,
    stdout: WsiId,
    /// What was read from stdin, which then rests until this is sent.
    up: Vec<u8>,
    stdin_has_ended: bool,
    /// What the server said, which then rests until this is written.
    down: Vec<u8>,
    /// The connection has ended so, which has to wait until stdout has everything.
    end: Option<Result<(), String>>,
}

impl Protocol for Netcat {
    const NAME: &'static str = "raw-netcat";
    const ROLES: &'static [&'static str] = &["raw-skt", "raw-file"];
    type Session = ();
    type Vhost = Copying;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<Copying, InitError> {
        let target = pvo.get("target").ok_or("it has no option \"target\"")?.parse()?;
        let server = cx.client_connect(ConnectInfo::new(vhost, target, Self::NAME))?;
        cx.adopt_file(stdio::stdin()?, AdoptInfo::new(vhost, Self::NAME).parent(server))?;
        let stdout = cx.adopt_file(stdio::stdout()?, AdoptInfo::new(vhost, Self::NAME))?;
        // It may be the very socket that stdin is.
        cx.rx_flow_control(stdout, false);
        Ok(Copying { server, stdout, up: Vec::new(), stdin_has_ended: false, down: Vec::new(), end: None })
    }

    fn callback(Call { wsi, cx, vhd, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            // -- stdout
            Reason::RawWriteableFile if !vhd.down.is_empty() => {
                if let Err(error) = wsi.write(&vhd.down) {
                    return cx.stop_with(format!("stdout: {error}"));
                }
                vhd.down.clear();
                wsi.callback_on_writable();
            }
            Reason::RawWriteableFile => match vhd.end.take() {
                None => cx.rx_flow_control(vhd.server, true),
                Some(Ok(())) => cx.stop(),
                Some(Err(why)) => return cx.stop_with(why),
            },
            Reason::RawCloseFile if wsi.id() == vhd.stdout => {
                if let Some(CloseReason::Lost(error)) = wsi.close_reason() {
                    return cx.stop_with(format!("stdout: {error}"));
                }
            }

            // -- stdin
            Reason::RawRxFile(data) => {
                vhd.up.extend_from_slice(data);
                wsi.rx_flow_control(false);
                cx.callback_on_writable(vhd.server);
            }
            Reason::RawCloseFile => {
                vhd.stdin_has_ended = true;
                cx.callback_on_writable(vhd.server);
            }

            // -- the server
            Reason::ClientConnectionError(why) => return cx.stop_with(why),
            Reason::RawConnected => {
                log::info!("connected to {}", wsi.peer());
                wsi.allow_half_close();
            }
            Reason::RawWriteable if !vhd.up.is_empty() => {
                if let Err(error) = wsi.write(&vhd.up) {
                    return cx.stop_with(error);
                }
                vhd.up.clear();
                wsi.callback_on_writable();
            }
            // Everything is sent, and no more comes: so the server is told, which may still answer.
            Reason::RawWriteable if vhd.stdin_has_ended => {
                if let Err(error) = wsi.shutdown_write() {
                    return cx.stop_with(error);
                }
            }
            Reason::RawWriteable => wsi.children().iter().for_each(|stdin| cx.rx_flow_control(*stdin, true)),
            Reason::RawRx(data) => {
                vhd.down.extend_from_slice(data);
                wsi.rx_flow_control(false);
                cx.callback_on_writable(vhd.stdout);
            }
            Reason::RawEof => log::info!("{} says no more", wsi.peer()),
            Reason::RawClose => {
                vhd.end = Some(match wsi.close_reason() {
                    Some(CloseReason::Lost(error)) => Err(format!("{}: {error}", wsi.peer())),
                    _ => Ok(()),
                });
                cx.callback_on_writable(vhd.stdout);
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut host, mut port, mut level) = ("localhost".to_owned(), 7681, logger::DEFAULT);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("server") => host = args.value()?.string()?,
            Long("port") => port = args.value()?.parse()?,
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
    let target = Target::Tcp { host, port }.to_string();
    context.create_vhost(VhostInfo {
        protocols: vec![ProtocolTable::of::<Netcat>()],
        pvo: Pvo::default().with(Netcat::NAME, Pvo::default().with("target", target)),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
