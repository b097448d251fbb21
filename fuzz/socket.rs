//! A WebSocket server on a unix socket, for bytes behind the opening handshake.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixStream};
use std::time::Instant;

use rlws::{
    Call, Context, ContextInfo, InitError, Interests, Listen, PermessageDeflate, Protocol, ProtocolTable, Pvo, Reason,
    Verdict, VhostCall, VhostInfo, WsInfo, WsLimits, WsWrite,
};

/// Few enough for a fuzzer to come to all of them.
pub const LIMITS: WsLimits =
    WsLimits { frame: 400, message: 70_000, fragments: 6, control_frames: 8, collected: 70_000 };

/// Compression, as a client may offer it.
pub const OFFERS: [&str; 3] = [
    "",
    "Sec-WebSocket-Extensions: permessage-deflate; client_no_context_takeover; server_no_context_takeover\r\n",
    "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n",
];

/// What became of a connection.
#[derive(Debug, Default, PartialEq)]
pub struct Heard {
    /// Whether it was binary, and what it was.
    pub messages: Vec<(bool, Vec<u8>)>,
    pub pongs: Vec<Vec<u8>>,
    /// What was sent back, frame by frame: first byte and payload; of a close the code, for of two faults at once either may be told.
    pub answers: Vec<(u8, Vec<u8>)>,
}

/// The first byte of a close.
pub const CLOSE: u8 = 0x88;

thread_local! {
    static HEARD: RefCell<Heard> = RefCell::default();
}

/// A loop with a vhost whose protocols are `frames`, which hears messages as they come, and `whole`, which hears them whole and echoes
/// them.
pub struct Server {
    context: Context,
    at: SocketAddr,
    now: Instant,
}

impl Default for Server {
    fn default() -> Server {
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        let name = format!("rlws-fuzz-{}", std::process::id());
        let deflate =
            PermessageDeflate { server_context_takeover: true, client_context_takeover: true, ..Default::default() };
        let vhost = VhostInfo {
            listen: Listen::unix(format!("@{name}")),
            protocols: vec![ProtocolTable::of::<Hearer<false>>(), ProtocolTable::of::<Hearer<true>>()],
            ws: WsInfo { limits: LIMITS, deflate: Some(deflate), validity: None },
            ..Default::default()
        };
        context.create_vhost(vhost).expect("a vhost");
        let at = SocketAddr::from_abstract_name(name).expect("an abstract name");
        Server { context, at, now: Instant::now() }
    }
}

impl Server {
    /// What becomes of a connection with that protocol and offer that sends these pieces and ends.
    pub fn hears<'p>(&mut self, protocol: &str, offer: &str, pieces: impl IntoIterator<Item = &'p [u8]>) -> Heard {
        let mut client = UnixStream::connect_addr(&self.at).expect("the listener's backlog is empty");
        client.set_nonblocking(true).expect("own socket");
        let request = format!(
            "GET / HTTP/1.1\r\nHost: fuzz\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: {protocol}\r\n{offer}\r\n"
        );
        client.write_all(request.as_bytes()).expect("room for a request");
        self.turn();
        let mut answer = Vec::new();
        for piece in pieces {
            let mut rest = piece;
            while !rest.is_empty() {
                self.turn();
                let _what_there_is = client.read_to_end(&mut answer);
                match client.write(rest) {
                    Ok(n) => rest = &rest[n..],
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(_) => break, // the server has closed
                }
            }
        }
        let _closed_already = client.shutdown(std::net::Shutdown::Write);
        for turn in 0.. {
            assert!(turn < 1000, "it does not end");
            self.turn();
            match client.read_to_end(&mut answer) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                _ => break,
            }
        }
        drop(client);
        while self.context.cx().wsi_count() > 1 {
            self.turn();
        }
        let end = answer.windows(4).position(|end| end == b"\r\n\r\n").expect("an answer");
        assert!(answer.starts_with(b"HTTP/1.1 101 "));
        let mut heard = HEARD.take();
        heard.answers = frames(&answer[end + 4..]);
        heard
    }

    /// Time stands still, so nothing times out.
    fn turn(&mut self) {
        self.context.service_at(self.now).expect("a turn");
    }
}

/// Those of a server, which are whole and not masked.
fn frames(mut bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut frames = Vec::new();
    while let [first, len, rest @ ..] = bytes {
        let (len, rest) = match len {
            126 => (u64::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => (u64::from_be_bytes(rest[..8].try_into().expect("eight")), &rest[8..]),
            len => (u64::from(*len), rest),
        };
        let (payload, rest) = rest.split_at(len as usize);
        let told = if *first == CLOSE { &payload[..payload.len().min(2)] } else { payload };
        frames.push((*first, told.to_vec()));
        bytes = rest;
    }
    assert!(bytes.is_empty());
    frames
}

struct Hearer<const WHOLE: bool>;

impl<const WHOLE: bool> Protocol for Hearer<WHOLE> {
    const NAME: &'static str = if WHOLE { "whole" } else { "frames" };
    const ROLES: &'static [&'static str] = &["ws"];
    const INTERESTS: Interests = if WHOLE { Interests::WS_WHOLE_MESSAGES } else { Interests::empty() };
    /// The message that is being received.
    type Session = Vec<u8>;
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(Call { wsi, pss, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        match reason {
            Reason::Receive(data) => {
                assert_eq!(wsi.is_first_fragment(), pss.is_empty() || WHOLE);
                assert!(wsi.is_final_fragment() || (!data.is_empty() && !WHOLE));
                pss.extend_from_slice(data);
                assert!(pss.len() as u64 <= LIMITS.message);
                if wsi.is_final_fragment() {
                    let is_binary = wsi.frame_is_binary();
                    if WHOLE {
                        let kind = if is_binary { WsWrite::BINARY } else { WsWrite::TEXT };
                        wsi.write_ws(kind, data).expect("there is room");
                    }
                    HEARD.with_borrow_mut(|heard| heard.messages.push((is_binary, std::mem::take(pss))));
                }
            }
            Reason::ReceivePong(data) => HEARD.with_borrow_mut(|heard| heard.pongs.push(data.to_vec())),
            _ => {}
        }
        Verdict::Continue
    }
}
