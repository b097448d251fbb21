//! Runs rows: each whole, byte by byte and in random cuts, on a connection of its own, with the same outcome.
//!
//! The loop is turned by the test after each piece, so that a cut is what the server sees.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant, SystemTime};

use rlws::Context;

use super::answers::{self, Answer};
use super::house::House;
use super::row::{Fate, PROBE, PROBED, Row, Wanted};
use crate::util::{DEADLINE, connect};

/// The random cuts of each row.
const CUTS: u64 = 3;

/// Longer rows are not cut byte by byte but into some tens of bytes.
const BYTE_BY_BYTE: usize = 4096;

/// Says which random cuts are made.
const SEED: &str = "HTTP_CONFORMANCE_SEED";

/// How a connection ended, and what came before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Outcome {
    answers: Vec<Answer>,
    is_kept: bool,
}

/// Runs all rows; fails with everything that is wrong.
#[track_caller]
pub fn run(rows: Vec<Row>) {
    let seed = std::env::var(SEED).ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(from_clock);
    let (mut bench, mut wrong) = (Bench::new(), Vec::new());
    for (number, row) in rows.iter().enumerate() {
        if let Err(why) = bench.check(row, seed.wrapping_add(number as u64)) {
            wrong.push(format!("row {}: {}\n    {why}", number + 1, shown(&row.bytes)));
        }
    }
    assert!(wrong.is_empty(), "{SEED}={seed}: {} of {} rows\n{}", wrong.len(), rows.len(), wrong.join("\n"));
    bench.assert_nothing_left();
}

fn from_clock() -> u64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |since| since.as_nanos() as u64)
}

fn shown(bytes: &[u8]) -> String {
    let start = &bytes[..bytes.len().min(300)];
    format!("{}{}", start.escape_ascii(), if start.len() < bytes.len() { ".." } else { "" })
}

struct Bench {
    context: Context,
    port: u16,
    wsi_at_start: usize,
    _house: House,
}

impl Bench {
    fn new() -> Bench {
        let (house, mut context, port) = House::open();
        let wsi_at_start = context.cx().wsi_count();
        Bench { context, port, wsi_at_start, _house: house }
    }

    fn check(&mut self, row: &Row, seed: u64) -> Result<(), String> {
        let mut bytes = row.bytes.clone();
        if !row.ends {
            bytes.extend_from_slice(PROBE.as_bytes());
        }
        let whole = self.outcome(row, &[&bytes])?;
        verdict(row, &whole)?;
        let size = if bytes.len() > BYTE_BY_BYTE { bytes.len() / 97 } else { 1 };
        let slow = self.outcome(row, &Vec::from_iter(bytes.chunks(size)));
        if slow.as_ref() != Ok(&whole) {
            return Err(format!("in pieces of {size}: {slow:?}\n    whole: {whole:?}"));
        }
        for cut in 0..CUTS {
            let pieces = random_pieces(&bytes, seed.wrapping_mul(CUTS).wrapping_add(cut));
            let got = self.outcome(row, &pieces);
            if got.as_ref() != Ok(&whole) {
                let sizes = Vec::from_iter(pieces.iter().map(|piece| piece.len()));
                return Err(format!("in pieces of {sizes:?}: {got:?}\n    whole: {whole:?}"));
            }
        }
        Ok(())
    }

    /// What comes of a row in these pieces.
    fn outcome(&mut self, row: &Row, pieces: &[&[u8]]) -> Result<Outcome, String> {
        let mut client = connect(self.port);
        client.set_nonblocking(true).map_err(|error| error.to_string())?;
        let mut came = Vec::new();
        self.turn();
        for piece in pieces {
            self.send(&mut client, piece, &mut came)?;
            self.turn();
        }
        if row.ends {
            client.shutdown(Shutdown::Write).map_err(|error| error.to_string())?;
        }
        let to_head = Vec::from_iter(row.answers.iter().map(|answer| answer.to_head));
        let end = Instant::now() + DEADLINE;
        let (mut eof, mut half_closed) = (false, row.ends);
        loop {
            let before = came.len();
            eof |= receive(&mut client, &mut came)?;
            if eof || came.len() > before {
                let answers = answers::read(&came, &to_head, eof)?;
                let probed = answers.get(row.answers.len()).is_some_and(|answer| answer.body == PROBED);
                if eof {
                    return Ok(Outcome { is_kept: probed, answers });
                }
                if probed && !half_closed {
                    half_closed = true;
                    client.shutdown(Shutdown::Write).map_err(|error| error.to_string())?;
                }
            }
            if Instant::now() > end {
                return Err(format!("no end of it after {}", shown(&came)));
            }
            self.context.service(Some(Duration::from_millis(1))).map_err(|error| error.to_string())?;
        }
    }

    fn turn(&mut self) {
        self.context.service(Some(Duration::ZERO)).expect("service");
    }

    /// Sends all of a piece, unless the server hangs up before.
    fn send(&mut self, client: &mut TcpStream, mut piece: &[u8], came: &mut Vec<u8>) -> Result<(), String> {
        while !piece.is_empty() {
            match client.write(piece) {
                Ok(sent) => piece = &piece[sent..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.turn();
                    receive(client, came)?;
                }
                Err(error) if matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => break,
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    fn assert_nothing_left(&mut self) {
        let end = Instant::now() + DEADLINE;
        while self.context.cx().wsi_count() > self.wsi_at_start {
            assert!(Instant::now() < end, "connections are left");
            self.context.service(Some(Duration::from_millis(1))).expect("service");
        }
    }
}

/// Takes what has come. `true`: that was all.
fn receive(client: &mut TcpStream, came: &mut Vec<u8>) -> Result<bool, String> {
    let mut buf = [0; 16 * 1024];
    loop {
        match client.read(&mut buf) {
            Ok(0) => return Ok(true),
            Ok(more) => came.extend_from_slice(&buf[..more]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(format!("{error} after {}", shown(came))),
        }
    }
}

/// Whether that is what the row says.
fn verdict(row: &Row, got: &Outcome) -> Result<(), String> {
    let wanted = Vec::from_iter(row.answers.iter().map(|answer| answer.status));
    let own = &got.answers[..got.answers.len() - usize::from(got.is_kept)];
    let statuses = Vec::from_iter(own.iter().map(|answer| answer.status));
    if (&statuses, got.is_kept) != (&wanted, row.fate == Fate::Kept && !row.ends) {
        return Err(format!("wanted {wanted:?} {:?}, got {statuses:?}, kept {}: {own:?}", row.fate, got.is_kept));
    }
    for (number, (answer, wanted)) in own.iter().zip(&row.answers).enumerate() {
        agrees(answer, wanted).map_err(|why| format!("{why}: {answer:?}"))?;
        let is_last = number + 1 == own.len();
        if answer.closes() != (is_last && row.fate == Fate::Closed) {
            return Err(format!("it says the wrong thing of the connection: {answer:?}"));
        }
    }
    Ok(())
}

fn agrees(answer: &Answer, wanted: &Wanted) -> Result<(), String> {
    for (name, value) in &wanted.with {
        if !answer.header(name).is_some_and(|own| own.contains(&value[..])) {
            return Err(format!("no {name}: {value}"));
        }
    }
    let by_status = match answer.status {
        401 => Some("WWW-Authenticate"),
        405 => Some("Allow"),
        416 => Some("Content-Range"),
        301 | 302 | 303 | 307 | 308 => Some("Location"),
        _ => None,
    };
    match by_status {
        Some(name) if answer.header(name).is_none() => return Err(format!("a {} without {name}", answer.status)),
        _ => {}
    }
    if let Some(name) = wanted.without.iter().find(|name| answer.header(name).is_some()) {
        return Err(format!("{name} should not be there"));
    }
    match &wanted.body {
        Some(body) if answer.body != *body => Err(format!("not the body {}", shown(body))),
        _ => Ok(()),
    }
}

/// Pieces of random lengths (xorshift64*), most of them short.
fn random_pieces(bytes: &[u8], seed: u64) -> Vec<&[u8]> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let most = (bytes.len() / 4).max(8) as u64;
    let (mut rest, mut pieces) = (bytes, Vec::new());
    while !rest.is_empty() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        let (piece, behind) = rest.split_at(((state >> 20) % most + 1).min(rest.len() as u64) as usize);
        pieces.push(piece);
        rest = behind;
    }
    pieces
}
