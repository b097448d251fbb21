//! What an echoed WebSocket message costs, counted: system calls by strace, allocations by the allocator. Counts are the same on a busy machine.

mod util;

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rlws::{
    Call, Context, ContextInfo, InitError, PermessageDeflate, Protocol, ProtocolTable, Pvo, Reason, Verdict, VhostCall,
    VhostInfo, WsInfo,
};
use util::server::make_vhost;
use util::traced::Traced;
use util::ws::{self, BINARY, FIN, RSV1, TEXT, frame};
use util::*;

const MESSAGES: usize = 200;

struct Echo;

impl Protocol for Echo {
    const NAME: &'static str = "echo";
    const ROLES: &'static [&'static str] = &["ws"];
    type Session = ();
    type Vhost = ();

    fn init(_: VhostCall<'_>, _: &Pvo) -> Result<(), InitError> {
        Ok(())
    }

    fn callback(Call { wsi, cx, .. }: Call<'_, Self>, reason: Reason<'_>) -> Verdict {
        ws::echo(wsi, cx, reason)
    }
}

#[test]
fn an_echoed_message_costs_three_system_calls() {
    for size in [64, 1024, 65_536] {
        let server = Traced::start("minimal-ws-server-echo", &["-n"]);
        let mut stream = ws::open(server.program.port(), "");
        let message = frame(FIN | BINARY, &random_bytes(1, size));
        let mut echoed = |message: &[u8]| {
            send(&mut stream, message);
            ws::read_message(&mut stream).0.len()
        };
        assert_eq!(echoed(&frame(FIN | TEXT, b"the first one")), 13);
        for _ in 0..MESSAGES {
            assert_eq!(echoed(&message), size);
        }
        assert_eq!(echoed(&frame(FIN | TEXT, b"the last one")), 12);
        let mut calls = server.between("the first one", "the last one");
        let mut count = |names: &[&str]| names.iter().filter_map(|name| calls.remove(*name)).sum::<usize>();
        // Two are for the messages that mark the beginning and the end. Large ones may come in pieces, each of which is sent back.
        let most = if size < 65_536 { MESSAGES + 2 } else { 3 * MESSAGES };
        let (received, sent) = (count(&["recvfrom"]), count(&["sendto", "writev", "sendmsg"]));
        assert!(received <= most && sent <= most, "{size} bytes: {received} received, {sent} sent");
        assert!(count(&["epoll_wait"]) <= most);
        assert_eq!(calls, BTreeMap::new(), "nothing else is asked of the system");
    }
}

#[test]
fn an_echoed_message_allocates_nothing() {
    for (size, offer) in
        [(64, ""), (1024, ""), (65_536, ""), (1024, "Sec-WebSocket-Extensions: permessage-deflate\r\n")]
    {
        let mut context = Context::new(ContextInfo::default()).expect("a context");
        let info = VhostInfo {
            protocols: vec![ProtocolTable::of::<Echo>()],
            ws: WsInfo { deflate: Some(PermessageDeflate::default()), ..Default::default() },
            ..ws::vhost()
        };
        let port = make_vhost(&mut context, info);
        let (mut stream, mut buf) = (connect(port), vec![0; 2 * 65_536]);
        stream.set_nonblocking(true).expect("fcntl");
        let opened = exchange(&mut context, &mut stream, ws::request("/", offer).as_bytes(), &mut buf, |got| {
            got.ends_with(b"\r\n\r\n")
        });
        assert!(buf[..opened].starts_with(b"HTTP/1.1 101 "));
        let message = frame(FIN | BINARY, &random_bytes(1, size));
        // Random bytes do not become fewer.
        exchange(&mut context, &mut stream, &message, &mut buf, |got| has(got, size));
        assert_eq!(buf[0] & RSV1 != 0, !offer.is_empty(), "it is compressed where that was offered");
        let mut turns = |times: usize| {
            for _ in 0..times {
                exchange(&mut context, &mut stream, &message, &mut buf, |got| has(got, size));
            }
        };
        turns(20);
        let counted = allocation_counter::measure(|| turns(MESSAGES));
        assert_eq!(counted.count_total, 0, "{size} bytes{offer:?}: {counted:?}");
    }
}

/// Says something, and turns the loop until the answer is there; how long that is.
#[track_caller]
fn exchange(
    context: &mut Context,
    stream: &mut TcpStream,
    mut rest: &[u8],
    buf: &mut [u8],
    is_whole: impl Fn(&[u8]) -> bool,
) -> usize {
    let (mut got, end) = (0, Instant::now() + DEADLINE);
    while !is_whole(&buf[..got]) {
        assert!(Instant::now() < end, "{got} bytes came");
        rest = &rest[moved(stream.write(rest))..];
        context.service(Some(Duration::from_millis(1))).expect("a turn");
        got += moved(stream.read(&mut buf[got..]));
    }
    got
}

#[track_caller]
fn moved(result: std::io::Result<usize>) -> usize {
    match result {
        Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
        count => count.expect("it is open"),
    }
}

/// Whether frames are all there whose payloads come to so many bytes.
fn has(mut frames: &[u8], mut size: usize) -> bool {
    loop {
        let Some((_, rest)) = frames.split_first() else { return false };
        let (len, rest) = match rest {
            [126, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            [127, rest @ ..] if rest.len() >= 8 => {
                let (len, rest) = rest.split_at(8);
                (u64::from_be_bytes(len.try_into().expect("eight")) as usize, rest)
            }
            [len @ 0..=125, rest @ ..] => (usize::from(*len), rest),
            _ => return false,
        };
        if rest.len() < len {
            return false;
        }
        if len >= size {
            return true;
        }
        (frames, size) = (&rest[len..], size - len);
    }
}
