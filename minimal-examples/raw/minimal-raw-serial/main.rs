//! Talks over a serial line: says a line every two seconds, and shows in the log what comes.

use lexopt::prelude::*;
use rlws::{AdoptInfo, Call, Context, ContextInfo, InitError, Protocol, ProtocolTable, Pvo};
use rlws::{Reason, Verdict, VhostCall, VhostInfo, logger};
use rustix::fs::{Mode, OFlags, open};
use rustix::termios::{ControlModes, OptionalActions, QueueSelector, tcflush, tcgetattr, tcsetattr};
use std::os::fd::OwnedFd;
use std::time::Duration;

const USAGE: &str = "\
usage: minimal-raw-serial [OPTIONS] TTY
  TTY              the serial line, such as /dev/ttyUSB0
  --baud N         bits per second; 115200
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const LINE: &[u8] = b"one line every two seconds\r\n";
const EVERY: Duration = Duration::from_secs(2);

/// The line as it is set up: 8 data bits, no parity, 1 stop bit, no flow control, and every byte as it is.
fn open_tty(path: &str, baud: u32) -> rustix::io::Result<OwnedFd> {
    // Not waiting for a carrier.
    let tty = open(path, OFlags::RDWR | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())?;
    let mut settings = tcgetattr(&tty)?;
    settings.make_raw();
    settings.control_modes.remove(ControlModes::CSTOPB | ControlModes::CRTSCTS);
    settings.control_modes.insert(ControlModes::CREAD | ControlModes::CLOCAL);
    settings.set_speed(baud)?;
    tcflush(&tty, QueueSelector::IOFlush)?;
    tcsetattr(&tty, OptionalActions::Now, &settings)?;
    Ok(tty)
}

struct RawSerial;

impl Protocol for RawSerial {
    const NAME: &'static str = "raw-serial";
    const ROLES: &'static [&'static str] = &["raw-file"];
    type Session = ();
    /// Whether the line has hung up.
    type Vhost = bool;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<bool, InitError> {
        let path = pvo.get("tty").ok_or("it has no option \"tty\"")?;
        let baud = pvo.parse("baud")?.unwrap_or(115_200);
        let tty = open_tty(path, baud).map_err(|error| format!("{path}: {error}"))?;
        cx.adopt_file(tty, AdoptInfo::new(vhost, Self::NAME))?;
        Ok(false)
    }

    fn callback(Call { wsi, cx, vhd: hung_up, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::RawAdoptFile | Reason::Timer => wsi.callback_on_writable(),
            Reason::RawWriteableFile => {
                log::info!("RawWriteableFile");
                if wsi.write(LINE).is_err() {
                    return Verdict::Close;
                }
                wsi.set_timer(cx, EVERY);
            }
            Reason::RawRxFile(data) => {
                log::info!("RawRxFile ({})", data.len());
                logger::hexdump(data).for_each(|line| log::info!("{line}"));
            }
            Reason::RawCloseFile => {
                *hung_up = true;
                cx.stop();
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut tty, mut baud, mut level) = (None, 115_200_u32, logger::DEFAULT);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Value(path) if tty.is_none() => tty = Some(path.string()?),
            Long("baud") => baud = args.value()?.parse()?,
            Short('d') => level = args.value()?.parse()?,
            Long("help") => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    let tty = tty.ok_or("which serial line? --help tells more")?;
    logger::init(level);

    let mut context = Context::new(ContextInfo::default())?;
    let own = Pvo::default().with("tty", &*tty).with("baud", baud.to_string());
    let vhost = context.create_vhost(VhostInfo {
        protocols: vec![ProtocolTable::of::<RawSerial>()],
        pvo: Pvo::default().with(RawSerial::NAME, own),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    context.run()?;
    match context.cx().vhd::<RawSerial>(vhost) {
        Some(true) => Err(format!("{tty}: the line has hung up").into()),
        _ => Ok(()),
    }
}
