//! Copies stdin to a server, and what the server says to stdout.

use lexopt::prelude::*;
use rlws::{AdoptInfo, Call, ConnectInfo, Context, ContextInfo, InitError, Protocol, ProtocolTable, Pvo};
use rlws::{CloseReason, Reason, Target, Verdict, VhostCall, VhostInfo, logger};
use std::fs::File;
use std::io::{Write, stdout};

const USAGE: &str = "\
usage: minimal-raw-netcat [OPTIONS]
  --server HOST    the server to connect to, a name or an address; localhost
  --port N         its port; 7681
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

struct Netcat;

#[derive(Default)]
struct Copying {
    /// What was read from stdin, which then rests until this is sent.
    waiting: Vec<u8>,
    stdin_has_ended: bool,
}

impl Protocol for Netcat {
    const NAME: &'static str = "raw-netcat";
    const ROLES: &'static [&'static str] = &["raw-skt", "raw-file"];
    type Session = ();
    type Vhost = Copying;

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<Copying, InitError> {
        Ok(Copying::default())
    }

    fn callback(Call { wsi, cx, vhd, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            // -- stdin
            Reason::RawRxFile(data) => {
                vhd.waiting.extend_from_slice(data);
                wsi.rx_flow_control(false);
                wsi.parent().into_iter().for_each(|server| cx.callback_on_writable(server));
            }
            Reason::RawCloseFile => {
                vhd.stdin_has_ended = true;
                wsi.parent().into_iter().for_each(|server| cx.callback_on_writable(server));
            }

            // -- the server
            Reason::ClientConnectionError(why) => return cx.stop_with(why),
            Reason::RawConnected => log::info!("connected to {}", wsi.peer()),
            Reason::RawWriteable if !vhd.waiting.is_empty() => {
                if let Err(error) = wsi.write(&vhd.waiting) {
                    return cx.stop_with(error);
                }
                vhd.waiting.clear();
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
                if let Err(error) = stdout().write_all(data).and_then(|()| stdout().flush()) {
                    return cx.stop_with(format!("stdout: {error}"));
                }
            }
            Reason::RawClose => match wsi.close_reason() {
                Some(CloseReason::Lost(error)) => return cx.stop_with(format!("{}: {error}", wsi.peer())),
                _ => cx.stop(),
            },
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
    let protocols = vec![ProtocolTable::of::<Netcat>()];
    let vhost = context.create_vhost(VhostInfo { protocols, ..Default::default() })?;
    let server = context.cx().client_connect(ConnectInfo::new(vhost, Target::Tcp { host, port }, Netcat::NAME))?;
    // Opened anew, so that nobody else's stdin stops blocking.
    let stdin = File::open("/dev/stdin").map_err(|error| format!("/dev/stdin: {error}"))?;
    context.cx().adopt_file(stdin, AdoptInfo::new(vhost, Netcat::NAME).parent(server))?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
