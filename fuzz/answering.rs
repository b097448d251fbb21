//! A WebSocket client of ours, for any bytes that a server may answer it with.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::Instant;

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rlws::{
    Call, ConnectInfo, Context, ContextInfo, InitError, Listen, PermessageDeflate, Protocol, ProtocolTable, Pvo, Reason,
    Target, Verdict, VhostCall, VhostId, VhostInfo, WsConnect, WsInfo,
};
use sha1::{Digest, Sha1};

use crate::socket::LIMITS;

/// What stands in an answer for the `Sec-WebSocket-Accept` that fits.
pub const ACCEPT: &[u8] = b"$ACCEPT";

/// What became of a connection.
#[derive(Debug, Default, PartialEq)]
pub struct Told {
    pub is_established: bool,
    /// Whether it was binary, and what it was, of those that are over.
    pub messages: Vec<(bool, Vec<u8>)>,
    pub pongs: Vec<Vec<u8>>,
    /// How often it was said that it came to nothing, and that it is over.
    pub failures: usize,
    pub ends: usize,
}

thread_local! {
    static TOLD: RefCell<Told> = RefCell::default();
}

/// A loop whose clients are answered.
pub struct Client {
    context: Context,
    vhost: VhostId,
    listener: UnixListener,
    target: Target,
    now: Instant,
}

impl Default for Client {
    fn default() -> Client {
        let name = format!("rlws-fuzz-client-{}", std::process::id());
        let at = SocketAddr::from_abstract_name(&name).expect("an abstract name");
        let listener = UnixListener::bind_addr(&at).expect("nobody else has it");
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        let vhost = VhostInfo {
            listen: Listen::None,
            protocols: vec![ProtocolTable::of::<Listener>()],
            ..Default::default()
        };
        let vhost = context.create_vhost(vhost).expect("a vhost");
        let target = format!("unix:@{name}").parse().expect("a target");
        Client { context, vhost, listener, target, now: Instant::now() }
    }
}

impl Client {
    /// What a client is told that offers compression or not, and whom these bytes are answered in those pieces, and then the end.
    pub fn is_told(&mut self, offers: bool, answer: &[u8], cut: impl FnOnce(&[u8]) -> Vec<Vec<u8>>) -> Told {
        let deflate = offers.then(|| PermessageDeflate {
            server_context_takeover: true,
            client_context_takeover: true,
            ..PermessageDeflate::default()
        });
        let info = WsInfo { limits: LIMITS, deflate, validity: None };
        let ws = WsConnect { info, subprotocols: vec!["a".into(), "b".into()], ..WsConnect::to("fuzz") };
        let info = ConnectInfo::ws(self.vhost, self.target.clone(), Listener::NAME, ws);
        self.context.cx().client_connect(info).expect("client_connect");
        self.turn();
        let (mut server, _) = self.listener.accept().expect("it connects");
        server.set_nonblocking(true).expect("own socket");
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            self.turn();
            let _what_there_is = server.read_to_end(&mut asked);
        }
        for piece in cut(&with_accept(answer, &asked)) {
            let mut rest = &piece[..];
            while !rest.is_empty() {
                match server.write(rest) {
                    Ok(n) => rest = &rest[n..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => break, // the client has closed
                }
                self.turn();
                let _what_there_is = server.read_to_end(&mut asked);
            }
        }
        let _closed_already = server.shutdown(std::net::Shutdown::Write);
        for turn in 0.. {
            assert!(turn < 1000, "it does not end");
            self.turn();
            match server.read_to_end(&mut asked) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            }
        }
        drop(server);
        while self.context.cx().wsi_count() > 0 {
            self.turn();
        }
        TOLD.take()
    }

    /// Time stands still, so nothing times out.
    fn turn(&mut self) {
        self.context.service_at(self.now).expect("a turn");
    }
}

fn with_accept(answer: &[u8], asked: &[u8]) -> Vec<u8> {
    let Some(at) = answer.windows(ACCEPT.len()).position(|here| here == ACCEPT) else { return answer.to_vec() };
    let asked = str::from_utf8(asked).expect("a request is text");
    let key = asked.lines().find_map(|line| line.strip_prefix("Sec-WebSocket-Key: ")).expect("a key");
    let accept = Sha1::digest(format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11"));
    [&answer[..at], BASE64_STANDARD.encode(accept).as_bytes(), &answer[at + ACCEPT.len()..]].concat()
}

struct Listener;

impl Protocol for Listener {
    const NAME: &'static str = "listener";
    const ROLES: &'static [&'static str] = &["ws"];
    /// The message that is being received.
    type Session = Vec<u8>;
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(Call { wsi, pss, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        TOLD.with_borrow_mut(|told| match reason {
            Reason::ClientEstablished => told.is_established = true,
            Reason::ClientReceive(data) => {
                assert!(told.is_established && wsi.is_first_fragment() == pss.is_empty());
                assert!(wsi.is_final_fragment() || !data.is_empty());
                pss.extend_from_slice(data);
                assert!(pss.len() as u64 <= LIMITS.message);
                if wsi.is_final_fragment() {
                    told.messages.push((wsi.frame_is_binary(), std::mem::take(pss)));
                }
            }
            Reason::ClientReceivePong(data) => told.pongs.push(data.to_vec()),
            Reason::ClientConnectionError(_) => told.failures += 1,
            Reason::ClientClosed => told.ends += 1,
            _ => {}
        });
        Verdict::Continue
    }
}
