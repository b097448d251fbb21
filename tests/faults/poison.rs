//! Bytes that say whose they are. Each end of each connection sends a stream that nobody else sends: any eight bytes of it name the
//! connection, the end and the place, so a byte that shows up elsewhere is found, and so is where it came from.
//!
//! So whatever the library shares among connections, or uses again (the read buffer, the one that responses are put together in, kept files, memory
//! that one connection has freed), is full of poison of others as soon as a run has begun, and a byte of it that is not written
//! over is seen by whoever gets it. What is no stream has a name in it for the same purpose: see `requests`.

use crate::dice::{mix, unmix};

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Owner {
    Client(u64),
    Onward(u64),
    /// A file that http serves to all, one of [`FILES`].
    File(u64),
}

/// How many files there may be.
const FILES: u64 = 16;

impl Owner {
    fn code(self) -> u64 {
        match self {
            Owner::File(number) => number + 1,
            Owner::Client(number) => 2 * number + FILES + 2,
            Owner::Onward(number) => 2 * number + FILES + 3,
        }
    }

    fn from_code(code: u64) -> Owner {
        match code.checked_sub(FILES + 2) {
            None => Owner::File(code - 1),
            Some(code) if code % 2 == 0 => Owner::Client(code / 2),
            Some(code) => Owner::Onward(code / 2),
        }
    }
}

/// The blocks of eight bytes that a stream may have are counted in so many bits.
const PLACE_BITS: u32 = 24;

/// An endless stream: a beginning of its own, then poison.
#[derive(Debug, Clone)]
pub struct Stream {
    pub owner: Owner,
    pub prefix: Vec<u8>,
}

impl Stream {
    pub fn new(owner: Owner, prefix: &[u8]) -> Stream {
        Stream { owner, prefix: prefix.to_vec() }
    }

    /// The bytes from `at` on.
    pub fn fill(&self, at: u64, bytes: &mut [u8]) {
        let prefix = self.prefix.get(at as usize..).unwrap_or_default();
        let beginning = prefix.len().min(bytes.len());
        bytes[..beginning].copy_from_slice(&prefix[..beginning]);
        let mut place = (at + beginning as u64).saturating_sub(self.prefix.len() as u64);
        let mut rest = &mut bytes[beginning..];
        while !rest.is_empty() {
            let block = mix((self.owner.code() << PLACE_BITS) | (place / 8)).to_le_bytes();
            let block = &block[(place % 8) as usize..];
            let n = block.len().min(rest.len());
            rest[..n].copy_from_slice(&block[..n]);
            place += n as u64;
            rest = &mut rest[n..];
        }
    }

    /// Whether `bytes` are those from `at` on; if not, where that ends and whose bytes are there instead.
    pub fn check(&self, at: u64, bytes: &[u8]) -> Result<(), String> {
        let mut want = vec![0; bytes.len()];
        self.fill(at, &mut want);
        let Some(wrong) = bytes.iter().zip(&want).position(|(got, want)| got != want) else { return Ok(()) };
        let (got, start) = (&bytes[wrong..], at + wrong as u64);
        let whose =
            owner_of(got).map_or("nobody's".to_owned(), |(owner, place)| format!("{owner:?}'s from {place} on"));
        let shown = got[..got.len().min(40)].escape_ascii();
        Err(format!("byte {start} is not that of {:?}: \"{shown}\", {whose}", self.owner))
    }
}

/// Whose poison the first of some bytes are, and from which place of its stream.
pub fn owner_of(bytes: &[u8]) -> Option<(Owner, u64)> {
    bytes.windows(8).take(64).find_map(|window| {
        let word = unmix(u64::from_le_bytes(window.try_into().expect("eight bytes")));
        let (code, block) = (word >> PLACE_BITS, word & ((1 << PLACE_BITS) - 1));
        // Other bytes look like this once in 2^24 times.
        (code > 0 && code < 1 << 28 && block < 1 << 20).then(|| (Owner::from_code(code), block * 8))
    })
}

#[test]
fn bytes_in_the_wrong_place_are_told_with_their_owner() {
    let (mine, other) = (Stream::new(Owner::Client(7), b"SSH-"), Stream::new(Owner::Onward(8), b""));
    let mut bytes = vec![0; 100];
    mine.fill(1, &mut bytes);
    assert!(bytes.starts_with(b"SH-"));
    assert_eq!(mine.check(1, &bytes), Ok(()));
    other.fill(16, &mut bytes[50..]);
    let why = mine.check(1, &bytes).expect_err("half of it is another's");
    assert!(why.contains("byte 51 ") && why.contains("Onward(8)'s from 16 on"), "{why}");
}
