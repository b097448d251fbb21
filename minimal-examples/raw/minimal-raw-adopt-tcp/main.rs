//! Makes a TCP connection by itself, has it adopted, asks for a page over it and prints the answer.

use lexopt::prelude::*;
use rlws::{AdoptInfo, Call, Context, ContextInfo, InitError, Protocol, ProtocolTable, Pvo};
use rlws::{Reason, Verdict, VhostCall, VhostInfo, logger};
use std::io::{Write, stdout};
use std::net::TcpStream;
use std::rc::Rc;

const USAGE: &str = "\
usage: minimal-raw-adopt-tcp [OPTIONS]
  --server HOST    the http server to connect to, a name or an address; localhost
  --port N         its port; 7681
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

struct HttpGet;

impl Protocol for HttpGet {
    const NAME: &'static str = "http-get";
    const ROLES: &'static [&'static str] = &["raw-skt"];
    type Session = ();
    type Vhost = ();

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(Call { wsi, cx, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::RawAdopt => {
                log::info!("RawAdopt");
                wsi.callback_on_writable();
            }
            Reason::RawWriteable => {
                log::info!("RawWriteable");
                let request = wsi.opaque_user_data::<String>().cloned().unwrap_or_default();
                if wsi.write(request.as_bytes()).is_err() {
                    return Verdict::Close;
                }
            }
            Reason::RawRx(data) => {
                log::info!("RawRx ({})", data.len());
                if let Err(error) = stdout().write_all(data).and_then(|()| stdout().flush()) {
                    log::error!("stdout: {error}");
                    return Verdict::Close;
                }
            }
            Reason::RawClose => {
                log::info!("RawClose");
                cx.stop();
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut server, mut port, mut level) = ("localhost".to_owned(), 7681_u16, logger::DEFAULT);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("server") => server = args.value()?.string()?,
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
    let protocols = vec![ProtocolTable::of::<HttpGet>()];
    let vhost = context.create_vhost(VhostInfo { protocols, ..Default::default() })?;

    // Cx::client_connect would do this without blocking. Here the socket comes from elsewhere.
    let stream = TcpStream::connect((&*server, port)).map_err(|error| format!("{server} port {port}: {error}"))?;
    log::info!("connected to {}", stream.peer_addr()?);
    let adopted = context.cx().adopt_tcp(stream, AdoptInfo::new(vhost, HttpGet::NAME))?;
    let request = format!("GET / HTTP/1.1\r\nHost: {server}\r\n\r\n");
    context.cx().set_opaque_user_data(adopted, Rc::new(request));

    context.stop_on_signals()?;
    Ok(context.run()?)
}
