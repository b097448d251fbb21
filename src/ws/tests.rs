//! What one side writes the other one reads, however the bytes are cut.

use std::rc::Rc;
use std::time::{Duration, Instant};

use proptest::prelude::*;

use super::extension::Agreed;
use super::receiver::Piece;
use super::*;
use crate::buf::Buf;

const MESSAGES: WsInfo = WsInfo {
    limits: WsLimits { frame: 5000, message: 5000, fragments: 8, control_frames: 100, collected: 5000 },
    deflate: None,
    validity: None,
};

fn agreed() -> (WsInfo, Option<Agreed>) {
    let deflate = PermessageDeflate { server_context_takeover: true, least: 1, ..Default::default() };
    let agreed = deflate.accept(["permessage-deflate"].into_iter());
    (WsInfo { deflate: Some(deflate), ..MESSAGES }, agreed)
}

fn session(side: Side, deflates: bool) -> Session {
    let (info, agreed) = if deflates { agreed() } else { (MESSAGES, None) };
    Session::new(side, &info, agreed, &Rc::default(), None)
}

/// Queues a write, all of it.
fn queue(sender: &mut Session, kind: WsWrite, data: &[u8], tx: &mut Buf) {
    let rest = sender.sender.write(kind, data, tx).expect("in order");
    tx.push(rest);
}

/// What was received, pieces put together.
#[derive(Debug, PartialEq, Eq, Default)]
struct Heard {
    messages: Vec<(bool, Vec<u8>)>,
    controls: Vec<Vec<u8>>,
    open: Option<(bool, Vec<u8>)>,
    fault: Option<Fault>,
}

impl Heard {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Data(Piece { bytes, place }) => {
                assert_eq!(place.is_first, self.open.is_none(), "the first piece of a message is called that");
                let (is_binary, message) = self.open.get_or_insert_with(|| (place.is_binary, Vec::new()));
                assert_eq!(place.is_binary, *is_binary);
                message.extend_from_slice(bytes);
                if place.is_last {
                    self.messages.extend(self.open.take());
                }
            }
            control => self.controls.push(format!("{control:?}").into_bytes()),
        }
    }

    /// What a receiver makes of bytes that come in pieces of those sizes, over and over, with so much room to decompress into.
    fn of(side: Side, deflates: bool, bytes: &[u8], cuts: &[usize], room: usize) -> Heard {
        let mut receiver = session(side, deflates).receiver.expect("it is there");
        let (mut heard, mut held, mut out) = (Heard::default(), Vec::new(), vec![0; room]);
        let (mut rest, mut cuts, now) = (bytes, cuts.iter().cycle(), Instant::now());
        while !rest.is_empty() {
            let (piece, behind) = rest.split_at(rest.len().min(*cuts.next().expect("endless")));
            held.extend_from_slice(piece);
            rest = behind;
            loop {
                match receiver.next(&mut held, &mut out, now) {
                    Ok((taken, event)) => {
                        let is_idle = event.is_none();
                        if let Some(event) = event {
                            heard.take(event);
                        }
                        held.drain(..taken);
                        if is_idle {
                            break;
                        }
                    }
                    Err(fault) => {
                        heard.fault = Some(fault);
                        // How much of a message came before the fault depends on the cuts.
                        heard.open = None;
                        return heard;
                    }
                }
            }
        }
        heard
    }
}

#[derive(Clone, Debug)]
enum Said {
    Message { is_binary: bool, text: String, parts: usize, compress: bool },
    Ping(Vec<u8>),
}

fn said() -> impl Strategy<Value = Said> {
    prop_oneof![
        4 => (any::<bool>(), "[a-zäß€😀]{0,300}", 1..4usize, any::<bool>())
            .prop_map(|(is_binary, text, parts, compress)| Said::Message { is_binary, text, parts, compress }),
        1 => prop::collection::vec(any::<u8>(), 0..125).prop_map(Said::Ping),
    ]
}

fn write(sender: &mut Session, said: &Said, tx: &mut Buf) {
    match said {
        Said::Ping(data) => queue(sender, WsWrite::PING, data, tx),
        Said::Message { is_binary, text, parts, compress } => {
            let kind = if *is_binary { WsWrite::BINARY } else { WsWrite::TEXT };
            let kind = if *compress { kind } else { kind.uncompressed() };
            let (data, size) = (text.as_bytes(), text.len() / parts);
            for part in 0..*parts {
                let is_last = part + 1 == *parts;
                let end = if is_last { data.len() } else { (part + 1) * size };
                queue(sender, kind.part(part == 0, is_last), &data[part * size..end], tx);
                if !is_last {
                    queue(sender, WsWrite::PING, b"within", tx);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn what_one_side_writes_the_other_one_reads(
        all in prop::collection::vec(said(), 0..6),
        from_client in any::<bool>(),
        deflates in any::<bool>(),
        cuts in prop::collection::vec(1..100usize, 1..5),
        room in 1..200usize,
    ) {
        let side = if from_client { Side::Client } else { Side::Server };
        let (mut sender, mut tx) = (session(side, deflates), Buf::default());
        all.iter().for_each(|said| write(&mut sender, said, &mut tx));
        sender.sender.close(Some((CloseCode::NORMAL, "bye")), &mut tx);
        let heard = Heard::of(side.other(), deflates, tx.as_slice(), &cuts, room);
        prop_assert_eq!(heard.fault, None);
        prop_assert_eq!(&heard.open, &None);
        let messages: Vec<(bool, Vec<u8>)> = all.iter().filter_map(|said| match said {
            Said::Message { is_binary, text, .. } => Some((*is_binary, text.clone().into_bytes())),
            Said::Ping(_) => None,
        }).collect();
        prop_assert_eq!(&heard.messages, &messages);
        prop_assert_eq!(heard.controls.last().map(Vec::as_slice), Some(&b"Close(Some((CloseCode(1000), \"bye\")))"[..]));
        prop_assert_eq!(&heard, &Heard::of(side.other(), deflates, tx.as_slice(), &[usize::MAX], 4096), "whole");
        prop_assert_eq!(&heard, &Heard::of(side.other(), deflates, tx.as_slice(), &[1], 7), "byte by byte");
    }

    #[test]
    fn whatever_comes_cuts_make_no_difference(
        bytes in prop::collection::vec(prop_oneof![any::<u8>(), prop::sample::select(vec![0x81, 0x01, 0x80, 0xc1, 0x89, 0x82, 0x05])], 0..200),
        is_server in any::<bool>(),
        deflates in any::<bool>(),
        cuts in prop::collection::vec(1..20usize, 1..5),
    ) {
        let side = if is_server { Side::Server } else { Side::Client };
        let whole = Heard::of(side, deflates, &bytes, &[usize::MAX], 4096);
        let cut = Heard::of(side, deflates, &bytes, &cuts, 100);
        prop_assert_eq!(whole.messages, cut.messages);
        prop_assert_eq!(whole.controls, cut.controls);
        prop_assert_eq!(whole.fault.is_some(), cut.fault.is_some());
    }
}

fn fault_of(deflates: bool, frames: &[&[u8]]) -> Option<u16> {
    Heard::of(Side::Client, deflates, &frames.concat(), &[usize::MAX], 4096).fault.map(|fault| fault.code.code())
}

#[test]
fn each_fault_has_its_code() {
    let part = |head: u8| [head, 1, b'a'];
    for (frames, code) in [
        (&[&part(0x80)[..]][..], 1002),                              // a continuation of nothing
        (&[&part(0x01), &part(0x81)], 1002),                         // a message within a message
        (&[&[0x81, 0x81, 1, 2, 3, 4, b'a']], 1002),                  // a masked frame from a server
        (&[&part(0xc1)], 1002),                                      // compressed, and it was not agreed on
        (&[&[0x88, 1, 3]], 1002),                                    // half a code
        (&[&[0x88, 2, 0x03, 0xed]], 1002),                           // 1005
        (&[&[0x88, 3, 0x03, 0xe8, 0xff]], 1007),                     // its text
        (&[&[0x81, 1, 0xff]], 1007),                                 // not UTF-8
        (&[&[0x01, 1, 0xc3], &[0x80, 0]], 1007),                     // half a character
        (&[&[0x82, 126, 0x13, 0x89]], 1009),                         // 5001 bytes
        (&[&[0x02, 126, 0x13, 0x88], &[0; 5000], &[0x80, 1]], 1009), // 5001 in all
    ] {
        assert_eq!(fault_of(false, frames), Some(code), "{frames:x?}");
    }
    let mut many = vec![part(0x01)];
    many.extend([part(0x00); 7]);
    assert_eq!(fault_of(false, &many.iter().map(|part| &part[..]).collect::<Vec<_>>()), None);
    many.push(part(0x00));
    assert_eq!(fault_of(false, &many.iter().map(|part| &part[..]).collect::<Vec<_>>()), Some(1008));
}

#[test]
fn a_bomb_goes_off_at_the_limit() {
    let (mut sender, mut tx) = (session(Side::Server, true), Buf::default());
    queue(&mut sender, WsWrite::BINARY, &vec![0; 1_000_000], &mut tx);
    assert!(tx.len() < 2000);
    assert_eq!(fault_of(true, &[tx.as_slice()]), Some(1009));
}

#[test]
fn control_frames_are_counted_by_the_second() {
    let mut receiver = session(Side::Client, false).receiver.expect("it is there");
    let now = Instant::now();
    let mut ping = |at| receiver.next(&mut [0x89, 0], &mut [], at).map(drop).map_err(|fault| fault.code);
    for _ in 0..100 {
        assert_eq!(ping(now), Ok(()));
    }
    assert_eq!(ping(now), Err(CloseCode::POLICY_VIOLATION));
    assert_eq!(ping(now + Duration::from_secs(1)), Ok(()));
}
