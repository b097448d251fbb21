//! Makes one WebSocket after the other, many at a time, and says how many that were in a second.

use lexopt::prelude::*;
use rlws::{Call, ConnectInfo, Context, ContextInfo, Cx, InitError, Pem, Protocol, ProtocolTable, Pvo, Reason, Roots};
use rlws::{Target, TlsClient, TlsClientInfo, Verdict, VhostCall, VhostInfo, VhostReason, WsConnect, WsWrite, logger};
use std::fmt;
use std::time::{Duration, Instant};

const USAGE: &str = "\
usage: minimal-ws-client-spam [OPTIONS]
  --server HOST    the server, a name or an address; localhost
  --port N         its port; 7681
  -c N             connections at a time; 3
  -l N             connections on the whole; 15
  --protocol NAME  the subprotocol to ask for; the server chooses unless told
  -n               without TLS
  -k               with any certificate of the server's
  --ca FILE        who may have signed it, PEM; whom the system trusts unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

struct Spam;

struct Vhd {
    connect: ConnectInfo,
    limit: u32,
    began: Instant,
    tries: u32,
    established: u32,
    sent: u32,
    closed: u32,
    errors: u32,
}

impl Protocol for Spam {
    const NAME: &'static str = "lws-spam-test";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = ();
    type Vhost = Vhd;

    fn init(VhostCall { cx, vhost }: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        let target: Target = pvo.get("target").ok_or("it has no option \"target\"")?.parse()?;
        let subprotocols = pvo.get("protocol").map(str::to_owned).into_iter().collect();
        let ws = WsConnect { subprotocols, ..WsConnect::to(&target.authority()) };
        let mut connect = ConnectInfo::ws(vhost, target, Self::NAME, ws);
        if pvo.flag("tls") {
            let roots = pvo.get("ca").map_or(Roots::System, |ca| Roots::Only(Pem::file(ca)));
            let info = TlsClientInfo { roots, insecure: pvo.flag("insecure"), ..Default::default() };
            connect = connect.tls(TlsClient::new(&info)?);
        }
        let limit = pvo.parse("limit")?.unwrap_or(15);
        let (began, tries, established, sent, closed, errors) = (cx.now(), 0, 0, 0, 0, 0);
        let mut vhd = Vhd { connect, limit, began, tries, established, sent, closed, errors };
        let concurrent = pvo.parse("concurrent")?.unwrap_or(3).min(limit);
        if concurrent == 0 {
            return Err("no connection is asked for".into());
        }
        for _ in 0..concurrent {
            vhd.try_one(cx)?;
        }
        cx.schedule(vhost, Self::NAME, Duration::from_secs(1))?;
        Ok(vhd)
    }

    fn callback(Call { wsi, cx, vhd, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::ClientEstablished => {
                vhd.established += 1;
                wsi.callback_on_writable();
            }
            Reason::ClientWriteable => {
                let hello = format!("hello {}", vhd.sent);
                if let Err(error) = wsi.write_ws(WsWrite::TEXT, hello.as_bytes()) {
                    return cx.stop_with(error);
                }
                vhd.sent += 1;
                return Verdict::Close;
            }
            Reason::ClientClosed => {
                vhd.closed += 1;
                return vhd.go_on(cx);
            }
            Reason::ClientConnectionError(_) => {
                vhd.errors += 1;
                return vhd.go_on(cx);
            }
            _ => {}
        }
        Verdict::Continue
    }

    fn vhost_callback(VhostCall { cx, vhost }: VhostCall<'_>, vhd: &mut Vhd, reason: VhostReason<'_>) -> Verdict {
        if let VhostReason::Sul(_) = reason {
            log::info!("{vhd}");
            if let Err(error) = cx.schedule(vhost, Self::NAME, Duration::from_secs(1)) {
                return cx.stop_with(error);
            }
        }
        Verdict::Continue
    }
}

impl Vhd {
    fn try_one(&mut self, cx: &mut Cx) -> rlws::Result<()> {
        self.tries += 1;
        cx.client_connect(self.connect.clone())?;
        Ok(())
    }

    /// One has ended: the next one, or the end of all.
    fn go_on(&mut self, cx: &mut Cx) -> Verdict {
        if self.tries < self.limit {
            return match self.try_one(cx) {
                Ok(()) => Verdict::Continue,
                Err(error) => cx.stop_with(error),
            };
        }
        if self.closed + self.errors == self.tries {
            let seconds = (cx.now() - self.began).as_secs_f64();
            log::info!("{self}");
            log::info!("{:.2} s, {:.0} connections a second", seconds, f64::from(self.established) / seconds);
            match self.errors {
                0 => cx.stop(),
                errors => return cx.stop_with(format!("{errors} connections came to nothing")),
            }
        }
        Verdict::Continue
    }
}

impl fmt::Display for Vhd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Vhd { tries, established, sent, closed, errors, .. } = self;
        write!(f, "tries {tries}, established {established}, sent {sent}, closed {closed}, errors {errors}")
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut host, mut port, mut tls, mut level) = ("localhost".to_owned(), 7681, true, logger::DEFAULT);
    let mut own = Pvo::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Long("server") => host = args.value()?.string()?,
            Long("port") => port = args.value()?.parse()?,
            Short('c') => own.push("concurrent", args.value()?.string()?),
            Short('l') => own.push("limit", args.value()?.string()?),
            Long("protocol") => own.push("protocol", args.value()?.string()?),
            Short('n') => tls = false,
            Short('k') => own.push("insecure", "1"),
            Long("ca") => own.push("ca", args.value()?.string()?),
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
    own.push("tls", if tls { "1" } else { "0" });
    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(VhostInfo {
        protocols: vec![ProtocolTable::of::<Spam>()],
        pvo: Pvo::default().with(Spam::NAME, own),
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
