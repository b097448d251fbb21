//! The WebSocket server of rlws that is measured: an echo, as `minimal-ws-server-echo` is one.

use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

use rlws::{
    Call, Context, ContextInfo, InitError, Listen, Pem, PermessageDeflate, Protocol, ProtocolTable, Pvo, Reason,
    TlsInfo, Verdict, VhostCall, VhostInfo, WsInfo, WsWrite,
};

/// What has this benchmark be one, with a port, and with a certificate and its key for TLS.
const BE_AN_ECHO: &str = "be-an-echo";
/// The same, whose compression keeps its windows.
const BE_A_KEEPING_ECHO: &str = "be-a-keeping-echo";

/// What an echo is to be like.
pub(crate) struct Asked {
    port: u16,
    tls: Option<TlsInfo>,
    keeps: bool,
}

pub(crate) fn command(program: &Path, port: u16, tls: Option<(&Path, &Path)>, keeps: bool) -> Command {
    let mut command = Command::new(program);
    command.args([if keeps { BE_A_KEEPING_ECHO } else { BE_AN_ECHO }, &port.to_string()]);
    command.args(tls.into_iter().flat_map(|(cert, key)| [cert, key]));
    command
}

/// What the arguments ask for, where they are those of [`command`].
pub(crate) fn asked(args: &[OsString]) -> Option<Asked> {
    let [what, port, tls @ ..] = args else { return None };
    let tls = match tls {
        [cert, key] => Some(TlsInfo::new(Pem::file(cert), Pem::file(key))),
        _ => None,
    };
    let keeps = what == BE_A_KEEPING_ECHO;
    (keeps || what == BE_AN_ECHO).then(|| Some(Asked { port: port.to_str()?.parse().ok()?, tls, keeps }))?
}

/// Echoes what connects to a port of 127.0.0.1, until it is killed.
///
/// # Errors
/// Where it cannot listen.
pub(crate) fn run(Asked { port, tls, keeps }: Asked) -> rlws::Result<()> {
    let deflate =
        PermessageDeflate { server_context_takeover: keeps, client_context_takeover: keeps, ..Default::default() };
    let mut context = Context::new(ContextInfo::default())?;
    context.create_vhost(VhostInfo {
        name: "localhost".into(),
        listen: Listen::on("127.0.0.1", port),
        backlog: 4096,
        tls,
        protocols: vec![ProtocolTable::of::<Echo>()],
        ws: WsInfo { deflate: Some(deflate), ..Default::default() },
        ..Default::default()
    })?;
    context.run()
}

struct Echo;

impl Protocol for Echo {
    const NAME: &'static str = "echo";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(Call { wsi, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        if let Reason::Receive(data) = reason {
            let kind = if wsi.frame_is_binary() { WsWrite::BINARY } else { WsWrite::TEXT };
            let part = kind.part(wsi.is_first_fragment(), wsi.is_final_fragment());
            if wsi.write_ws(part, data).is_err() {
                return Verdict::Close;
            }
        }
        Verdict::Continue
    }
}
