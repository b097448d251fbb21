//! Any bytes as what a server answers a WebSocket client, its head and its frames: what the client is told of it does not depend on how they
//! were cut, and it is told either that it came to nothing, or of an end.
//!
//! The first byte says whether compression is offered and whether a head that agrees goes before, the second how they are cut.
//! `$ACCEPT` stands for the `Sec-WebSocket-Accept` that fits.

#![no_main]

use std::cell::RefCell;

use libfuzzer_sys::fuzz_target;
use rlws_fuzz::answering::Client;
use rlws_fuzz::cut_into;

/// Byte by byte every byte has a turn of its own.
const SHORT: usize = 300;

const AGREES: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: $ACCEPT\r\n";

thread_local! {
    static CLIENT: RefCell<Client> = RefCell::default();
}

fuzz_target!(|input: &[u8]| {
    let [how, seed, bytes @ ..] = input else { return };
    let (offers, agrees) = (how & 1 != 0, how & 2 != 0);
    let head = match (agrees, offers) {
        (false, _) => String::new(),
        (true, false) => format!("{AGREES}\r\n"),
        (true, true) => format!("{AGREES}Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"),
    };
    let answer = [head.as_bytes(), bytes].concat();
    CLIENT.with_borrow_mut(|client| {
        let whole = client.is_told(offers, &answer, |answer| vec![answer.to_vec()]);
        let in_pieces = |answer: &[u8]| cut_into(answer, *seed, answer.len() / 6 + 1).map(<[u8]>::to_vec).collect();
        assert_eq!(client.is_told(offers, &answer, in_pieces), whole);
        if answer.len() <= SHORT {
            let byte_by_byte = |answer: &[u8]| answer.chunks(1).map(<[u8]>::to_vec).collect();
            assert_eq!(client.is_told(offers, &answer, byte_by_byte), whole);
        }
        assert!(whole.is_established || !agrees);
        assert_eq!((whole.failures, whole.ends), if whole.is_established { (0, 1) } else { (1, 0) });
        assert!(whole.messages.iter().all(|(is_binary, message)| *is_binary || str::from_utf8(message).is_ok()));
    });
});
