//! Any bytes as a compressed message: it is what an inflater makes of it that sees it in one piece, however it was cut into frames and
//! reads, or a fault; and its echo is the same again.
//!
//! The first byte says whether it is text and whether windows are kept, the second how it is cut.

#![no_main]

use std::cell::RefCell;

use flate2::{Decompress, FlushDecompress, Status};
use libfuzzer_sys::fuzz_target;
use rlws_fuzz::cut_into;
use rlws_fuzz::socket::{CLOSE, Heard, LIMITS, OFFERS, Server};

const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const TEXT: u8 = 1;
const BINARY: u8 = 2;

thread_local! {
    static SERVER: RefCell<Server> = RefCell::default();
}

fuzz_target!(|input: &[u8]| {
    let [how, seed, data @ ..] = input else { return };
    let (is_binary, offer) = (how & 1 == 1, OFFERS[1 + usize::from(how >> 1 & 1)]);
    let parts: Vec<&[u8]> = cut_into(data, *seed, data.len() / (LIMITS.fragments as usize - 1) + 1).collect();
    if parts.len() > LIMITS.fragments as usize || data.len() as u64 > LIMITS.frame {
        return;
    }
    let in_parts = message(is_binary, &parts);
    let expected = inflated(data).filter(|text| is_binary || str::from_utf8(text).is_ok());
    SERVER.with_borrow_mut(|server| {
        for sent in [
            server.hears("whole", offer, [&message(is_binary, &[data])[..]]),
            server.hears("whole", offer, [&in_parts[..]]),
            server.hears("whole", offer, cut_into(&in_parts, seed.wrapping_add(1), in_parts.len() / 6 + 1)),
        ] {
            check(sent, is_binary, expected.as_deref());
        }
    });
});

fn check(heard: Heard, is_binary: bool, expected: Option<&[u8]>) {
    match expected {
        Some(text) => {
            assert_eq!(heard.messages, [(is_binary, text.to_vec())]);
            let [(first, echo), rest @ ..] = &heard.answers[..] else { panic!("no echo") };
            assert!(rest.is_empty() && first & 0x0f == if is_binary { BINARY } else { TEXT });
            let echo = if first & RSV1 == 0 { Some(echo.clone()) } else { inflated(echo) };
            assert_eq!(echo.as_deref(), Some(text));
        }
        None => {
            assert!(heard.messages.is_empty());
            assert!(matches!(&heard.answers[..], [(first, _)] if *first == CLOSE), "{:?}", heard.answers);
        }
    }
}

/// Frames of a client, whose key is nothing.
fn message(is_binary: bool, parts: &[&[u8]]) -> Vec<u8> {
    let mut frames = Vec::new();
    let parts = if parts.is_empty() { &[&[][..]] } else { parts };
    for (number, part) in parts.iter().enumerate() {
        let first = if number == 0 { RSV1 | if is_binary { BINARY } else { TEXT } } else { 0 };
        let last = if number + 1 == parts.len() { FIN } else { 0 };
        frames.push(first | last);
        match part.len() {
            len @ 0..=125 => frames.push(0x80 | len as u8),
            len => {
                frames.push(0x80 | 126);
                frames.extend((len as u16).to_be_bytes());
            }
        }
        frames.extend([0; 4]);
        frames.extend_from_slice(part);
    }
    frames
}

/// All at once. `None`: it is broken, or more than a message may be.
fn inflated(data: &[u8]) -> Option<Vec<u8>> {
    let data = [data, &TAIL].concat();
    let (mut context, mut rest) = (Decompress::new(false), &data[..]);
    let mut text = Vec::with_capacity(LIMITS.message as usize + 1);
    loop {
        let (before, made) = (context.total_in(), text.len());
        let status = context.decompress_vec(rest, &mut text, FlushDecompress::Sync).ok()?;
        rest = &rest[(context.total_in() - before) as usize..];
        if text.len() as u64 > LIMITS.message {
            return None;
        }
        if status == Status::StreamEnd {
            context.reset(false);
        } else if rest.is_empty() && text.len() == made || context.total_in() == before && text.len() == made {
            return Some(text);
        }
    }
}
