//! Binds a UDP socket by itself, has it adopted, and sends each datagram back to who sent it.

use lexopt::prelude::*;
use rlws::{AdoptInfo, Call, Context, ContextInfo, InitError, Protocol, ProtocolTable, Pvo};
use rlws::{Reason, Verdict, VhostCall, VhostInfo, logger};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

const USAGE: &str = "\
usage: minimal-raw-adopt-udp [OPTIONS]
  --port N         the UDP port to bind; 7681, 0 for any
  --interface A    the address to bind; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

struct UdpEcho;

impl Protocol for UdpEcho {
    const NAME: &'static str = "udp-echo";
    const ROLES: &'static [&'static str] = &["raw-udp"];
    type Session = ();
    type Vhost = ();

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(Call { wsi, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::RawAdopt => log::info!("RawAdopt"),
            Reason::RawRx(data) => {
                log::info!("RawRx ({}) from {}", data.len(), wsi.peer());
                logger::hexdump(data).for_each(|line| log::info!("{line}"));
                // No more is received before this is sent, so there is always room for it.
                if let Err(error) = wsi.write(data) {
                    log::warn!("{}: {error}", wsi.peer());
                }
            }
            Reason::RawClose => log::info!("RawClose"),
            _ => {}
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Where there is no IPv6, IPv4 alone.
    let mut interfaces: Vec<IpAddr> = vec![Ipv6Addr::UNSPECIFIED.into(), Ipv4Addr::UNSPECIFIED.into()];
    let (mut port, mut level) = (7681, logger::DEFAULT);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("port") => port = args.value()?.parse()?,
            Long("interface") => interfaces = vec![args.value()?.parse()?],
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
    let protocols = vec![ProtocolTable::of::<UdpEcho>()];
    let vhost = context.create_vhost(VhostInfo { protocols, ..Default::default() })?;

    let addresses: Vec<SocketAddr> = interfaces.into_iter().map(|ip| SocketAddr::new(ip, port)).collect();
    let socket = UdpSocket::bind(&addresses[..]).map_err(|error| format!("UDP on {addresses:?}: {error}"))?;
    log::info!(target: logger::NOTICE, "listening on {} (UDP)", socket.local_addr()?);
    context.cx().adopt_udp(socket, AdoptInfo::new(vhost, UdpEcho::NAME))?;

    context.stop_on_signals()?;
    Ok(context.run()?)
}
