//! Any bytes as an http connection: the same requests come out however they are cut, one right behind the other, and each is framed in the
//! only way in which its bytes can be read.
//!
//! The first byte says how they are cut.

#![no_main]

use std::ops::Range;

use libfuzzer_sys::fuzz_target;
use rlws::http_intake::{Framing, Taken, requests};
use rlws::limits;

fuzz_target!(|input: &[u8]| {
    let [seed, bytes @ ..] = input else { return };
    let whole = requests([bytes]);
    assert_eq!(requests(bytes.chunks(1)), whole);
    assert_eq!(requests(cut(bytes, *seed)), whole);
    lie_side_by_side(bytes.len(), &whole);
    let mut open = Framing::Nothing;
    for taken in &whole {
        match taken {
            Taken::Head { place, method, framing, .. } => {
                check_head(&bytes[place.clone()], method, *framing);
                open = *framing;
            }
            Taken::Body { place, data } => check_body(&bytes[place.clone()], data, open),
            Taken::Refused(status) => assert!([400, 413, 414, 431, 501, 505].contains(status)),
        }
    }
});

/// Nothing between two of them is lost or read twice.
fn lie_side_by_side(len: usize, all: &[Taken]) {
    let mut at = 0;
    for taken in all {
        let (Taken::Head { place: Range { start, end }, .. } | Taken::Body { place: Range { start, end }, .. }) = taken
        else {
            continue;
        };
        assert!(*start == at && start <= end && *end <= len);
        at = *end;
    }
}

/// A head that the simplest of readers finds in the same place, and frames alike.
fn check_head(bytes: &[u8], method: &str, framing: Framing) {
    assert!(bytes.len() <= limits::HTTP_HEAD && !bytes.contains(&0));
    let start = bytes.iter().take_while(|byte| b"\r\n".contains(byte)).count();
    let text = &bytes[start..];
    assert_eq!(
        text.windows(4).position(|end| end == b"\r\n\r\n"),
        Some(text.len() - 4),
        "its first empty line ends it"
    );
    let mut lines =
        text[..text.len() - 4].split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
    let line = lines.next().unwrap_or_default();
    assert!(line.starts_with(method.as_bytes()) && line.split(|byte| *byte == b' ').count() == 3);
    let (mut hosts, mut lengths, mut codings) = (0, Vec::new(), Vec::new());
    for line in lines {
        assert!(!line.contains(&b'\r'), "a bare CR");
        let colon = line.iter().position(|byte| *byte == b':').expect("a header has a colon");
        let (name, value) = (line[..colon].to_ascii_lowercase(), line[colon + 1..].trim_ascii());
        assert!(colon > 0 && !name.iter().any(|byte| byte.is_ascii_whitespace() || byte.is_ascii_control()));
        match &name[..] {
            b"host" => hosts += 1,
            b"content-length" => lengths.push(value),
            b"transfer-encoding" => codings.push(value.to_ascii_lowercase()),
            _ => {}
        }
    }
    assert!(hosts <= 1);
    match (&lengths[..], &codings[..]) {
        ([], []) => assert_eq!(framing, Framing::Nothing),
        ([length], []) => {
            assert!(length.iter().all(u8::is_ascii_digit));
            let number = std::str::from_utf8(length).ok().and_then(|digits| digits.parse().ok());
            assert_eq!(number.map(Framing::Length), Some(framing));
        }
        ([], [coding]) => assert!(coding == b"chunked" && framing == Framing::Chunked && !line.ends_with(b".0")),
        _ => panic!("framed twice"),
    }
}

/// A body that comes out again of what its data would be framed as, extensions and trailers left out.
fn check_body(bytes: &[u8], data: &[u8], framing: Framing) {
    assert!(data.len() as u64 <= limits::HTTP_BODY);
    match framing {
        Framing::Nothing => panic!("a body of a request that has none"),
        Framing::Length(length) => assert!(bytes == data && data.len() as u64 == length),
        Framing::Chunked => assert_eq!(unchunked(bytes), data),
    }
}

/// Chunks, read the simple way, which takes on trust what the strict one has checked.
fn unchunked(bytes: &[u8]) -> Vec<u8> {
    let (mut rest, mut data) = (bytes, Vec::new());
    loop {
        let end = rest.windows(2).position(|end| end == b"\r\n").expect("a line");
        let digits = rest[..end].iter().take_while(|byte| byte.is_ascii_hexdigit()).count();
        let size = usize::from_str_radix(std::str::from_utf8(&rest[..digits]).expect("digits"), 16).expect("a size");
        rest = &rest[end + 2..];
        if size == 0 {
            assert!(rest.ends_with(b"\r\n"));
            return data;
        }
        data.extend_from_slice(&rest[..size]);
        rest = rest[size..].strip_prefix(b"\r\n").expect("a line end");
    }
}

/// Pieces of lengths that a seed chooses.
fn cut(bytes: &[u8], seed: u8) -> impl Iterator<Item = &[u8]> {
    let (mut rest, mut state) = (bytes, u32::from(seed) | 0x100);
    std::iter::from_fn(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let (piece, behind) = rest.split_at(((state >> 24) as usize % 23 + 1).min(rest.len()));
        let was_empty = rest.is_empty();
        rest = behind;
        (!was_empty).then_some(piece)
    })
}
