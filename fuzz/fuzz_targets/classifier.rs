//! Any bytes as the start of a connection: what they are, and what is done with it, is the same for more of them, however they were cut.
//!
//! The first byte says which options the listener has, and how they are cut.

#![no_main]

use libfuzzer_sys::fuzz_target;
use rlws::Options;
use rlws::classify::{Class, LONGEST_UNDECIDED, classify};
use rlws::first_packet::{Decision, Listener, Moment, decide};
use rlws_fuzz::cut;

const LISTENERS: [Listener; 3] = [Listener::Plain, Listener::Tls, Listener::TlsEstablished];

fuzz_target!(|input: &[u8]| {
    let [seed, bytes @ ..] = input else { return };
    let class = classify(bytes);
    assert!(class != Class::NeedMore || bytes.len() <= LONGEST_UNDECIDED);
    assert_eq!(of_pieces(cut(bytes, *seed)), class);
    assert_eq!(of_pieces(bytes.chunks(1)), class);
    match class {
        Class::Http => assert!(bytes[..8.min(bytes.len())].contains(&b' ') && bytes[0].is_ascii_uppercase()),
        Class::Tls => assert!(bytes.starts_with(&[22, 3]) && bytes[5] == 1),
        Class::NeedMore | Class::Other => {}
    }
    for listener in LISTENERS {
        check_decisions(listener, options(*seed), bytes, class);
    }
});

/// The first verdict on bytes that come in pieces, which the bytes behind it must not change.
fn of_pieces<'p>(pieces: impl Iterator<Item = &'p [u8]>) -> Class {
    let mut held = Vec::new();
    let mut verdict = classify(&held);
    for piece in pieces {
        held.extend_from_slice(piece);
        let now = classify(&held);
        assert!(verdict == Class::NeedMore || verdict == now, "{verdict:?} became {now:?}");
        verdict = now;
    }
    verdict
}

/// Of the options that the table knows, those that a byte says.
fn options(seed: u8) -> Options {
    [
        Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG,
        Options::REDIRECT_HTTP_TO_HTTPS,
        Options::ALLOW_HTTP_ON_HTTPS_LISTENER,
        Options::ALLOW_NON_SSL_ON_SSL_PORT,
    ]
    .into_iter()
    .enumerate()
    .filter(|(bit, _)| seed >> bit & 1 == 1)
    .fold(Options::empty(), |all, (_, option)| all | option)
}

fn check_decisions(listener: Listener, options: Options, bytes: &[u8], class: Class) {
    let by_bytes = decide(listener, options, Moment::Rx(bytes));
    assert_eq!(by_bytes == Decision::Wait, class == Class::NeedMore);
    let longer = [bytes, b"\0"].concat();
    if by_bytes != Decision::Wait {
        assert_eq!(decide(listener, options, Moment::Rx(&longer)), by_bytes);
    }
    for end in [Moment::Eof(bytes), Moment::Silence(bytes)] {
        let at_end = decide(listener, options, end);
        assert_ne!(at_end, Decision::Wait);
        assert!(by_bytes == Decision::Wait || at_end == by_bytes);
        let falls_back = options.contains(Options::FALLBACK_TO_APPLY_LISTEN_ACCEPT_CONFIG);
        assert!(falls_back || at_end != Decision::ListenAccept);
        assert!(class == Class::Tls && listener == Listener::Tls || at_end != Decision::TlsHandshake);
    }
    assert_eq!(decide(listener, options, Moment::Eof(b"")), Decision::Drop);
    assert_eq!(decide(listener, options, Moment::Timeout), Decision::Drop);
}
