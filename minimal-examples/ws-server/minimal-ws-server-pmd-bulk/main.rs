//! A long message in many pieces, compressed where the client agrees; the client sends it back, and it is compared.

use lexopt::prelude::*;
use rlws::{
    Cache, Call, CloseCode, Context, ContextInfo, InitError, Listen, Mount, Options, PermessageDeflate, Protocol,
};
use rlws::{ProtocolTable, Pvo, Reason, Verdict, VhostCall, VhostInfo, WsInfo, WsWrite, logger};

const USAGE: &str = "\
usage: minimal-ws-server-pmd-bulk [OPTIONS]
  -n               no compression (permessage-deflate)
  -c               a text that compresses well, and not noise
  -b               in one piece
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/ws-server/minimal-ws-server-pmd-bulk/mount-origin");

const MESSAGE: usize = 133_700;
const PIECE: usize = 1024;
const TEXT: &[u8] =
    b"Said once it is news, said twice it is a habit, and said a thousand times it compresses very well. ";

struct Bulk;

struct Vhd {
    message: Vec<u8>,
    piece: usize,
}

#[derive(Default)]
struct Pss {
    sent: usize,
    received: usize,
}

impl Protocol for Bulk {
    const NAME: &'static str = "lws-minimal-pmd-bulk";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = Pss;
    type Vhost = Vhd;

    fn init(_: VhostCall<'_>, pvo: &Pvo) -> Result<Vhd, InitError> {
        let message = match pvo.flag("compressible") {
            true => TEXT.iter().copied().cycle().take(MESSAGE).collect(),
            false => noise().take(MESSAGE).collect(),
        };
        Ok(Vhd { message, piece: if pvo.flag("blob") { MESSAGE } else { PIECE } })
    }

    fn callback(Call { wsi, pss, vhd, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Established => {
                log::info!("{}: compression {}", wsi.peer(), wsi.has_deflate());
                wsi.callback_on_writable();
            }
            // What was written before has gone: the next piece, however long the message is.
            Reason::ServerWriteable => {
                let end = vhd.message.len().min(pss.sent + vhd.piece);
                let kind = WsWrite::BINARY.part(pss.sent == 0, end == vhd.message.len());
                if let Err(error) = wsi.write_ws(kind, &vhd.message[pss.sent..end]) {
                    log::warn!("{error}");
                    return Verdict::Close;
                }
                pss.sent = end;
                match pss.sent < vhd.message.len() {
                    true => wsi.callback_on_writable(),
                    false => log::info!("{}: sent {}", wsi.peer(), pss.sent),
                }
            }
            Reason::Receive(data) => {
                if !vhd.message[pss.received..].starts_with(data) {
                    return wsi.close_with(CloseCode::POLICY_VIOLATION, "that is not what was sent");
                }
                pss.received += data.len();
                if wsi.is_final_fragment() {
                    log::info!("{}: received {}", wsi.peer(), pss.received);
                    pss.received = 0;
                }
            }
            _ => {}
        }
        Verdict::Continue
    }
}

/// The same bytes each time, which no compression makes shorter (xorshift).
fn noise() -> impl Iterator<Item = u8> {
    std::iter::successors(Some(4_u64), |last| {
        let last = last ^ (last << 13);
        let last = last ^ (last >> 7);
        Some(last ^ (last << 17))
    })
    .map(|number| (number >> 32) as u8)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut deflate = Some(PermessageDeflate::default());
    let mut own = Pvo::default();
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
            Short('n') => deflate = None,
            Short('c') => own.push("compressible", "1"),
            Short('b') => own.push("blob", "1"),
            Long("port") => port = args.value()?.parse()?,
            Long("interface") => interface = Some(args.value()?.string()?),
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
        listen: Listen::Tcp { port, interface },
        // Not to be kept by browsers: other examples have pages at the same address.
        mounts: vec![Mount::files("/", ORIGIN).cache(Cache::default())],
        protocols: vec![ProtocolTable::of::<Bulk>()],
        pvo: Pvo::default().with(Bulk::NAME, own),
        ws: WsInfo { deflate, ..Default::default() },
        options: Options::HTTP_HEADERS_SECURITY_BEST_PRACTICES_ENFORCE,
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
