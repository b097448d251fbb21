//! Pages that are made when they are asked for: `/dyn/NAME` at once, `/dyn/NAME/COUNT` piece by piece.

use lexopt::prelude::*;
use rlws::forms::html_escape;
use rlws::protocols::http_dummy;
use rlws::{
    Call, Context, ContextInfo, HttpRequest, InitError, Listen, Mount, Protocol, ProtocolTable, Pvo, Reason, Response,
    Verdict, VhostCall, VhostInfo, logger,
};

const USAGE: &str = "\
usage: minimal-http-server-dynamic [OPTIONS]
  --port N         the port to listen on; 7681, 0 for any
  --interface I    an interface's name or address; all of them unless told
  -d LEVEL         log bits: 1 error, 2 warning, 4 notice, 8 info, 16 debug, .., 1024 user; 1031
  --help           this text
";

const ORIGIN: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/minimal-examples/http-server/minimal-http-server-dynamic/mount-origin");

struct Dynamic;

/// The data of one request, not of the connection.
#[derive(Default)]
struct Pss {
    pieces: u32,
    sent: u32,
}

impl Protocol for Dynamic {
    const NAME: &'static str = "dynamic";
    const ROLES: &'static [&'static str] = &["http"];
    type Session = Pss;
    type Vhost = ();

    fn init(_vhost: VhostCall<'_>, _pvo: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(call: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        let Call { wsi, cx, pss, .. } = call;
        match reason {
            Reason::Http(request) => {
                if !matches!(request.method(), "GET" | "HEAD") {
                    let refused = wsi.respond_with(Response::new(405).header("Allow", "GET, HEAD"), "");
                    return refused.map_or(Verdict::Close, |()| Verdict::Continue);
                }
                let Some((page, pieces)) = page_of(request) else {
                    wsi.return_http_status(404, None);
                    return Verdict::Continue;
                };
                pss.pieces = pieces;
                let html = Response::new(200).content_type("text/html; charset=utf-8");
                if wsi.respond(html).is_err() || wsi.write(page.as_bytes()).is_err() {
                    return Verdict::Close;
                }
                match pieces {
                    0 => wsi.transaction_completed(), // so its length is known, and sent
                    _ => wsi.callback_on_writable(),
                }
            }
            // What was written has gone to the client: the next piece, however long the page is.
            Reason::HttpWriteable => {
                pss.sent += 1;
                let piece = format!("<p>{}: {}</p>\n", pss.sent, "this is some content. ".repeat(90));
                if wsi.write(piece.as_bytes()).is_err() {
                    return Verdict::Close;
                }
                match pss.sent < pss.pieces {
                    true => wsi.callback_on_writable(),
                    false => wsi.transaction_completed(),
                }
            }
            _ => return http_dummy::callback(wsi, cx, reason),
        }
        Verdict::Continue
    }
}

/// The beginning of the page for `/dyn/NAME` or `/dyn/NAME/COUNT`, with `?greeting=` perhaps, and how many pieces follow.
fn page_of(request: &HttpRequest) -> Option<(String, u32)> {
    let (name, count) = request.below().split_once('/').unwrap_or((request.below(), "0"));
    let greeting = request.arg("greeting").unwrap_or("Hello".into());
    let page = format!("<!DOCTYPE html>\n<h1>{}, {}</h1>\n", html_escape(&greeting), html_escape(name));
    (!name.is_empty()).then_some((page, count.parse().ok()?))
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut port, mut interface, mut level) = (7681, None, logger::DEFAULT);
    let mut args = lexopt::Parser::from_env();
    while let Some(arg) = args.next()? {
        match arg {
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
        protocols: vec![ProtocolTable::of::<Dynamic>()],
        mounts: vec![Mount::files("/", ORIGIN), Mount::callback("/dyn", "dynamic")],
        ..Default::default()
    })?;
    context.stop_on_signals()?;
    Ok(context.run()?)
}
