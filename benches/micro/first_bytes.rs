//! The classifier, over what comes first on a port that several protocols share.

use divan::{Bencher, black_box};
use rlws::classify::classify;

const FIRST_BYTES: [(&str, &[u8]); 5] = [
    ("ssh", b"SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n"),
    ("http", b"GET /index.html HTTP/1.1\r\nHost: localhost\r\n\r\n"),
    ("tls", &[22, 3, 1, 2, 0, 1, 0, 1, 252, 3, 3]),
    ("one byte of http", b"G"),
    ("noise", &[0xff; 64]),
];

#[divan::bench(args = FIRST_BYTES.map(|(name, _)| name))]
fn first_packet(bencher: Bencher<'_, '_>, name: &str) {
    let (_, bytes) = FIRST_BYTES.into_iter().find(|(first, _)| *first == name).expect("it is one of them");
    bencher.bench(|| classify(black_box(bytes)));
}
