//! Counts the lines of each client, and those of all clients of the vhost.

use std::time::Duration;

use lexopt::prelude::*;
use rlws::protocols::http_dummy;
use rlws::{
    Call, Context, ContextInfo, InitError, Listen, Options, Protocol, ProtocolTable, Pvo, Reason, Verdict, VhostCall,
    VhostInfo, VhostReason, logger,
};

struct LineCounter;

#[derive(Default)]
struct Pss {
    lines: u64,
}

struct Vhd {
    report: Duration,
    idle: Duration,
    max_lines: u64,
    lines: u64,
    sessions: u32,
}

impl Protocol for LineCounter {
    const NAME: &'static str = "line-counter";
    const ROLES: &'static [&'static str] = &["raw-skt"];
    type Session = Pss;
    type Vhost = Vhd;

    fn vhost_callback(call: VhostCall<'_>, vhd: &mut Vhd, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(_) = reason {
            log::info!("{} clients, {} lines", vhd.sessions, vhd.lines);
            call.cx.callback_on_writable_all_protocol(call.vhost, Self::NAME);
            if let Err(error) = call.cx.schedule(call.vhost, Self::NAME, vhd.report) {
                log::error!("no more reports: {error}");
            }
        }
        Verdict::Continue
    }

    fn init(call: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        let report = pvo.secs("report-secs")?.unwrap_or(Duration::from_secs(5));
        let idle = pvo.secs("idle-secs")?.unwrap_or(Duration::from_secs(60));
        let max_lines = pvo.parse("max-lines")?.unwrap_or(1000);
        call.cx.schedule(call.vhost, Self::NAME, report)?;
        Ok(Vhd { report, idle, max_lines, lines: 0, sessions: 0 })
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss, vhd } = call;
        match reason {
            Reason::RawAdopt => {
                vhd.sessions += 1;
                wsi.set_timer(cx, vhd.idle);
                wsi.callback_on_writable();
            }
            Reason::RawClose => vhd.sessions -= 1,
            Reason::RawRx(data) => {
                let lines = data.iter().filter(|byte| **byte == b'\n').count() as u64;
                pss.lines += lines;
                vhd.lines += lines;
                wsi.set_timer(cx, vhd.idle);
                wsi.callback_on_writable();
            }
            Reason::RawWriteable => {
                let line = format!("{} of {} lines\n", pss.lines, vhd.lines);
                if wsi.write(line.as_bytes()).is_err() || pss.lines >= vhd.max_lines {
                    return Verdict::Close; // what is written still goes out
                }
            }
            Reason::Timer => {
                log::info!("idle: closing");
                return Verdict::Close;
            }
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }
}

const USAGE: &str = "\
usage: minimal-raw-counter [OPTIONS]
  --port N    the port to listen on; 7681, 0 for any
  -d LEVEL    log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help      this text
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut level) = (7681, logger::DEFAULT);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
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
    context.create_vhost(VhostInfo {
        name: "localhost".into(),
        listen: Listen::port(port),
        options: Options::ADOPT_APPLY_LISTEN_ACCEPT_CONFIG,
        protocols: vec![ProtocolTable::of::<LineCounter>()],
        pvo: Pvo::default().with("line-counter", Pvo::default().with("report-secs", "3").with("max-lines", "5")),
        listen_accept_role: Some("raw-skt".into()),
        listen_accept_protocol: Some("line-counter".into()),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
