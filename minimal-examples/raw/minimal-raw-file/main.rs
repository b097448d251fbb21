//! Shows in the log what comes from a file, a FIFO or a device.

use lexopt::prelude::*;
use rlws::{AdoptInfo, Call, Context, ContextInfo, InitError, Protocol, ProtocolTable, Pvo};
use rlws::{Reason, Verdict, VhostCall, VhostInfo, logger};
use rustix::fs::{Mode, OFlags, open};

const USAGE: &str = "\
usage: minimal-raw-file [OPTIONS] FILE
  FILE             what to read: a FIFO, a device such as /dev/input/event0, /dev/stdin, an ordinary file
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

struct RawFile;

impl Protocol for RawFile {
    const NAME: &'static str = "raw-file";
    const ROLES: &'static [&'static str] = &["raw-file"];
    type Session = ();
    type Vhost = ();

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<(), InitError> {
        let path = pvo.get("file").ok_or("it has no option \"file\"")?;
        // Opening waits for nobody: neither for a FIFO's writer nor for a line's carrier.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let file = open(path, flags, Mode::empty()).map_err(|error| format!("{path}: {error}"))?;
        cx.adopt_file(file, AdoptInfo::new(vhost, Self::NAME)).map_err(|error| format!("{path}: {error}"))?;
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::RawAdoptFile => log::info!("RawAdoptFile"),
            Reason::RawRxFile(data) => {
                log::info!("RawRxFile ({})", data.len());
                logger::hexdump(data).for_each(|line| log::info!("{line}"));
            }
            Reason::RawCloseFile => {
                log::info!("RawCloseFile");
                call.cx.stop();
            }
            _ => {}
        }
        Verdict::Continue
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut file, mut level) = (None, logger::DEFAULT);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Value(path) if file.is_none() => file = Some(path.string()?),
            Short('d') => level = args.value()?.parse()?,
            Long("help") => {
                print!("{USAGE}");
                return Ok(());
            }
            _ => return Err(arg.unexpected().into()),
        }
    }
    let file = file.ok_or("which file? --help tells more")?;
    logger::init(level);

    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(VhostInfo {
        protocols: vec![ProtocolTable::of::<RawFile>()],
        pvo: Pvo::default().with(RawFile::NAME, Pvo::default().with("file", file)),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
