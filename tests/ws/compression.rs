//! permessage-deflate over the wire.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};
use rlws::{PermessageDeflate, Reason, Verdict, VhostInfo, WsInfo, WsLimits, WsWrite, limits};

use super::close_of;
use super::util::script::{Loop, notes, on_call, received_len, who};
use super::util::ws::{self, BINARY, FIN, RSV1, TEXT};
use super::util::{connect, send};

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";

fn vhost(deflate: PermessageDeflate) -> VhostInfo {
    VhostInfo { ws: WsInfo { deflate: Some(deflate), ..WsInfo::default() }, ..ws::vhost() }
}

fn keeping() -> PermessageDeflate {
    PermessageDeflate { server_context_takeover: true, client_context_takeover: true, ..Default::default() }
}

/// A message as a client compresses it.
fn deflated(context: &mut Compress, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + 100);
    context.compress_vec(data, &mut out, FlushCompress::Sync).expect("there is room");
    out.truncate(out.len() - 4);
    out
}

fn inflated(context: &mut Decompress, data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 << 20);
    context
        .decompress_vec(&[data, &[0, 0, 0xff, 0xff]].concat(), &mut out, FlushDecompress::Sync)
        .expect("it is right");
    out
}

#[test]
fn it_is_agreed_on_where_both_want_it() {
    for (info, offer, answer) in [
        (ws::vhost(), OFFER, None),
        (vhost(PermessageDeflate::default()), "", None),
        (
            vhost(PermessageDeflate::default()),
            OFFER,
            Some("permessage-deflate; server_no_context_takeover; client_no_context_takeover"),
        ),
        (vhost(keeping()), OFFER, Some("permessage-deflate")),
    ] {
        let mut here = Loop::new(info);
        let port = here.port();
        let got = here.during(move || ws::upgrade(&mut connect(port), offer));
        assert_eq!(got.header("sec-websocket-extensions"), answer);
    }
}

#[test]
fn messages_are_compressed_both_ways() {
    for (info, keeps) in [(PermessageDeflate::default(), false), (keeping(), true)] {
        let mut here = Loop::new(vhost(info));
        on_call(ws::echo);
        let port = here.port();
        here.during(move || {
            let mut stream = ws::open(port, OFFER);
            let (mut ours, mut theirs) = (Compress::new(Compression::default(), false), Decompress::new(false));
            let text = "the same words again and again. ".repeat(50);
            let mut sizes = Vec::new();
            for _ in 0..3 {
                if !keeps {
                    ours.reset();
                    theirs.reset(false);
                }
                let sent = deflated(&mut ours, text.as_bytes());
                // In two frames, with a ping between.
                let (one, two) = sent.split_at(sent.len() / 2);
                let ping = ws::frame(FIN | ws::PING, b"");
                send(&mut stream, &[ws::frame(RSV1 | TEXT, one), ping, ws::frame(FIN, two)].concat());
                let mut parts = Vec::new();
                loop {
                    let frame = ws::read_frame(&mut stream);
                    if frame.first & 0x0f == ws::PONG {
                        continue;
                    }
                    parts.extend(frame.payload);
                    if frame.first & FIN != 0 {
                        break;
                    }
                }
                assert_eq!(inflated(&mut theirs, &parts), text.as_bytes());
                sizes.push(parts.len());
            }
            assert_eq!(sizes[1] < sizes[0], keeps, "{sizes:?}");
        });
    }
}

#[test]
fn a_message_that_inflates_to_what_a_turn_may_move_is_ended_at_once() {
    let mut here = Loop::new(vhost(PermessageDeflate::default()));
    on_call(ws::echo);
    let port = here.port();
    here.during(move || {
        let mut stream = ws::open(port, OFFER);
        for len in [limits::SERVICE_BUFFER - 1, limits::SERVICE_BUFFER, 4 * limits::SERVICE_BUFFER] {
            let message = vec![b'a'; len];
            let sent = deflated(&mut Compress::new(Compression::default(), false), &message);
            send(&mut stream, &ws::frame(FIN | RSV1 | TEXT, &sent));
            let (echoed, _) = ws::read_message(&mut stream);
            assert!(inflated(&mut Decompress::new(false), &echoed) == message, "{len} bytes come back");
        }
    });
}

#[test]
fn a_message_may_be_left_as_it_is() {
    let mut here = Loop::new(vhost(PermessageDeflate::default()));
    on_call(|wsi, _, reason| {
        if let Reason::Established = reason {
            assert!(wsi.has_deflate());
            wsi.write_ws(WsWrite::TEXT.uncompressed(), "a".repeat(100).as_bytes()).expect("there is room");
            wsi.write_ws(WsWrite::TEXT, b"short").expect("there is room");
            wsi.write_ws(WsWrite::TEXT, "a".repeat(100).as_bytes()).expect("there is room");
        }
        Verdict::Continue
    });
    let port = here.port();
    let compressed = here.during(move || {
        let mut stream = ws::open(port, OFFER);
        [(); 3].map(|()| ws::read_message(&mut stream).1)
    });
    assert_eq!(compressed, [false, false, true]);
}

#[test]
fn a_bomb_is_defused() {
    let limits = WsLimits { message: 1 << 20, ..WsLimits::default() };
    let ws = WsInfo { limits, deflate: Some(PermessageDeflate::default()), ..WsInfo::default() };
    let mut here = Loop::new(VhostInfo { ws, ..ws::vhost() });
    let bomb = deflated(&mut Compress::new(Compression::best(), false), &vec![0; 100 << 20]);
    assert!(bomb.len() < 200_000);
    let port = here.port();
    let stream = here.during(move || {
        let mut stream = ws::open(port, OFFER);
        send(&mut stream, &ws::frame(FIN | RSV1 | BINARY, &bomb));
        stream
    });
    assert_eq!(close_of(&mut here, &stream), 1009);
    let id = who("Established")[0];
    assert!(received_len(id) <= 1 << 20);
    assert!(notes().iter().all(|note| note.bytes.len() <= rlws::limits::WS_INFLATED), "no more at a time");
}

#[test]
fn what_is_no_deflate_is_a_fault() {
    let mut here = Loop::new(vhost(PermessageDeflate::default()));
    let port = here.port();
    for _ in 0..3 {
        let stream = here.during(move || {
            let mut stream = ws::open(port, OFFER);
            send(&mut stream, &ws::frame(FIN | RSV1 | BINARY, &[0xff; 20]));
            stream
        });
        assert_eq!(close_of(&mut here, &stream), 1007);
    }
}

#[test]
fn who_goes_in_the_middle_of_a_message_spoils_nothing_for_others() {
    let mut here = Loop::new(vhost(PermessageDeflate::default()));
    on_call(ws::echo);
    let port = here.port();
    here.during(move || {
        let text = "the words of one are not the words of another. ".repeat(100);
        for _ in 0..20 {
            let mut goes = ws::open(port, OFFER);
            let half = deflated(&mut Compress::new(Compression::default(), false), text.as_bytes());
            send(&mut goes, &ws::frame(RSV1 | TEXT, &half[..half.len() / 2]));
            let mut stays = ws::open(port, OFFER);
            let whole = deflated(&mut Compress::new(Compression::default(), false), text.as_bytes());
            send(&mut stays, &ws::frame(FIN | RSV1 | TEXT, &whole));
            drop(goes);
            let (message, _) = ws::read_message(&mut stays);
            assert_eq!(inflated(&mut Decompress::new(false), &message), text.as_bytes());
        }
    });
}
