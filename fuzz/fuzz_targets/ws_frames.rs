//! Any bytes as what a client sends over its WebSocket: what a protocol hears of it, and what is answered, does not depend on how they were
//! cut.
//!
//! The first byte says what was agreed on of compression, the second how they are cut.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use rlws_fuzz::cut_into;
use rlws_fuzz::socket::{CLOSE, OFFERS, Server};

/// Byte by byte every byte has a turn of its own.
const SHORT: usize = 96;
const PONG: u8 = 0x8a;

thread_local! {
    static SERVER: RefCell<Server> = RefCell::default();
}

fuzz_target!(|input: &[u8]| {
    let [offer, seed, bytes @ ..] = input else { return };
    let offer = OFFERS[usize::from(*offer) % OFFERS.len()];
    SERVER.with_borrow_mut(|server| {
        let whole = server.hears("frames", offer, [bytes]);
        assert_eq!(server.hears("frames", offer, cut_into(bytes, *seed, bytes.len() / 6 + 1)), whole);
        if bytes.len() <= SHORT {
            assert_eq!(server.hears("frames", offer, bytes.chunks(1)), whole);
        }
        for (is_binary, message) in &whole.messages {
            assert!(*is_binary || str::from_utf8(message).is_ok());
        }
        // Pings are answered in order, and at last a close.
        let closes = whole.answers.iter().position(|(first, _)| *first == CLOSE);
        assert!(closes.is_none_or(|at| at + 1 == whole.answers.len()));
        assert!(whole.answers.iter().all(|(first, data)| [CLOSE, PONG].contains(first) && data.len() <= 125));
    });
});
