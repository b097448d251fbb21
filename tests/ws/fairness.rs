//! What one turn of the loop moves of WebSockets while others wait.

use std::cell::Cell;
use std::rc::Rc;

use flate2::{Compress, Compression, FlushCompress};
use rlws::{PermessageDeflate, Reason, Verdict, VhostInfo, WsInfo, limits};

use super::opened;
use super::util::script::{Loop, on_call, who};
use super::util::ws::{self, BINARY, FIN, RSV1};
use super::util::{eventually, send};

const ALL: usize = 1_000_000;

/// What is delivered, in all and at a time, of two clients that have sent the same at once.
fn delivered_by_turns(sent: &[u8], each: usize) -> Vec<usize> {
    let deflate = Some(PermessageDeflate::default());
    let mut here = Loop::frozen(VhostInfo { ws: WsInfo { deflate, ..WsInfo::default() }, ..ws::vhost() });
    let total = Rc::new(Cell::new(0));
    let heard = total.clone();
    on_call(move |wsi, _, reason| {
        match reason {
            Reason::Established => wsi.rx_flow_control(false),
            Reason::Receive(data) => heard.set(heard.get() + data.len()),
            _ => {}
        }
        Verdict::Continue
    });
    let mut clients = [(); 2].map(|()| opened(&mut here, "Sec-WebSocket-Extensions: permessage-deflate\r\n"));
    clients.iter_mut().for_each(|client| send(client, sent));
    here.turns();
    who("Established").into_iter().for_each(|id| here.cx().rx_flow_control(id, true));
    let (mut turns, mut before) = (Vec::new(), 0);
    eventually("all is heard", || {
        here.turn();
        turns.push(total.get() - before);
        before = total.get();
        before == 2 * each
    });
    turns.retain(|moved| *moved > 0);
    turns
}

/// In the first turn nobody knows yet how much they have to say: both have a slice, and one of them another. From then on they go one after the
/// other.
#[track_caller]
fn assert_slices(turns: &[usize], slice: usize) {
    assert!(turns[0] <= 3 * slice, "{turns:?}");
    assert!(turns[1..].iter().all(|moved| *moved <= slice), "{turns:?}");
}

#[test]
fn what_is_decompressed_comes_a_slice_at_a_time_while_others_wait() {
    let mut message = Vec::with_capacity(ALL);
    let mut compress = Compress::new(Compression::default(), false);
    compress.compress_vec(&vec![0; ALL], &mut message, FlushCompress::Sync).expect("there is room");
    message.truncate(message.len() - 4);
    let turns = delivered_by_turns(&ws::frame(FIN | RSV1 | BINARY, &message), ALL);
    assert_slices(&turns, limits::SLICE_WHILE_OTHERS_WAIT);
}

#[test]
fn what_is_sent_as_it_is_comes_a_slice_at_a_time_while_others_wait() {
    const SENT: usize = 100_000;
    let turns = delivered_by_turns(&ws::frame(FIN | BINARY, &[0; SENT]), SENT);
    // The head of a frame comes with a slice.
    assert_slices(&turns, limits::SLICE_WHILE_OTHERS_WAIT + 64);
}

#[test]
fn small_messages_come_a_slice_at_a_time_while_others_wait() {
    let message = ws::frame(FIN | BINARY, &[0; 10]);
    let turns = delivered_by_turns(&message.repeat(6000), 6000 * 10);
    assert_slices(&turns, limits::SLICE_WHILE_OTHERS_WAIT);
    assert!(turns.len() >= 3, "their heads count: {turns:?}");
}
