//! Requests. Each has a name of its own in every header that a client fills, which is to come back to it and to nobody else; the files and
//! the bodies are poison, so a part of one tells which it is.

use std::ops::Range;

use crate::case::Host;
use crate::dice::Dice;
use crate::poison::{Owner, Stream};

/// The size in bytes of the file of which ranges are asked for, too large to be kept.
pub const FILE: u64 = 200_000;
pub const FILE_NAME: &str = "poison.bin";

/// The sizes of files that are small enough to be kept, and are asked for whole.
pub const KEPT: [u64; 3] = [900, 20_000, 65_536];

/// Sends back what is posted there.
pub const UPLOAD: &str = "/upload";
/// Sends to [`ELSEWHERE`] what is below it.
pub const MOVED: &str = "/moved";
pub const ELSEWHERE: &str = "https://elsewhere.test";

/// What one request asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    Range(Range<u64>),
    /// Two at once.
    Ranges([Range<u64>; 2]),
    Head,
    /// A file that may be kept in memory.
    Kept(u64),
    Missing {
        head: bool,
    },
    Moved,
    /// So many bytes, which come back.
    Upload {
        bytes: u64,
        chunked: bool,
    },
}

pub fn random(dice: &mut Dice, host: Host) -> Vec<Want> {
    let range = |dice: &mut Dice, most| {
        let from = dice.below(FILE);
        from..(from + 1 + dice.below(most)).min(FILE)
    };
    let want = |dice: &mut Dice| match dice.below(12) {
        0 => Want::Head,
        1 => Want::Missing { head: dice.one_in(2) },
        2 => Want::Moved,
        3..6 => Want::Kept(dice.below(KEPT.len() as u64)),
        6 => {
            let gap = dice.below(FILE - 3000);
            Want::Ranges([gap..gap + 1 + dice.below(1000), gap + 2000..gap + 2001 + dice.below(900)])
        }
        7..10 if host == Host::Context => {
            let most = if dice.one_in(8) { 100_000 } else { 2000 };
            Want::Upload { bytes: 1 + dice.below(most), chunked: dice.one_in(2) }
        }
        _ => {
            let most = if dice.one_in(4) { FILE } else { 2000 };
            Want::Range(range(dice, most))
        }
    };
    (0..=dice.below(4)).map(|_| want(dice)).collect()
}

/// What the names of requests have in common.
pub const WHOSE: &str = "whose-";

/// The name of one request of one connection.
pub fn name(number: u64, request: usize) -> String {
    format!("{WHOSE}{number}-{request}.")
}

/// The requests as they are sent; the last one asks to close.
pub fn text(number: u64, wants: &[Want]) -> Vec<u8> {
    let mut text = Vec::new();
    for (request, want) in wants.iter().enumerate() {
        let name = name(number, request);
        let (method, path, header) = match want {
            Want::Range(range) => ("GET", format!("/{FILE_NAME}"), format!("Range: bytes={}\r\n", shown(range))),
            Want::Ranges([first, second]) => {
                ("GET", format!("/{FILE_NAME}"), format!("Range: bytes={},{}\r\n", shown(first), shown(second)))
            }
            Want::Head => ("HEAD", format!("/{FILE_NAME}"), String::new()),
            Want::Kept(file) => ("GET", format!("/{}", kept_name(*file)), String::new()),
            Want::Missing { head } => (if *head { "HEAD" } else { "GET" }, format!("/{name}"), String::new()),
            Want::Moved => ("GET", format!("{MOVED}/{name}"), String::new()),
            Want::Upload { chunked: true, .. } => {
                ("POST", UPLOAD.to_owned(), "Transfer-Encoding: chunked\r\n".to_owned())
            }
            Want::Upload { bytes, .. } => ("POST", UPLOAD.to_owned(), format!("Content-Length: {bytes}\r\n")),
        };
        let close = if request + 1 == wants.len() { "Connection: close\r\n" } else { "" };
        let names = format!("User-Agent: {name}\r\nReferer: http://{name}/\r\nX-Whose: {name}\r\n");
        let head = format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{names}{header}{close}\r\n");
        text.extend_from_slice(head.as_bytes());
        if let Want::Upload { bytes, chunked } = want {
            push_body(&mut text, number, request, *bytes, *chunked);
        }
    }
    text
}

fn push_body(text: &mut Vec<u8>, number: u64, request: usize, bytes: u64, chunked: bool) {
    let (stream, place) = body(number, request);
    let mut body = vec![0; bytes as usize];
    stream.fill(place, &mut body);
    if !chunked {
        return text.extend_from_slice(&body);
    }
    for chunk in body.chunks(1 + body.len() / 3) {
        text.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        text.extend_from_slice(chunk);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"0\r\n\r\n");
}

/// The stream that the body of a request is from, and its place there.
pub fn body(number: u64, request: usize) -> (Stream, u64) {
    (Stream::new(Owner::Client(number), b""), request as u64 * 100_000)
}

/// As a `Range` has it, both ends included.
pub fn shown(range: &Range<u64>) -> String {
    format!("{}-{}", range.start, range.end - 1)
}

pub fn file() -> Stream {
    Stream::new(Owner::File(0), b"")
}

pub fn kept(file: u64) -> Stream {
    Stream::new(Owner::File(file + 1), b"")
}

pub fn kept_name(file: u64) -> String {
    format!("kept-{file}.bin")
}
