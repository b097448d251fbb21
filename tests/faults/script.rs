//! What one end of a connection does, by chance.

use std::mem;
use std::time::Duration;

use crate::dice::Dice;

/// One thing to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Sends so many bytes, at most `piece` at a time.
    Send { bytes: u64, piece: u64 },
    /// Neither reads nor writes.
    Stall(Duration),
    /// Waits until so many bytes have come in all, or the end, or nothing moves any more.
    Hear(u64),
    /// Says that it will send no more.
    HalfClose,
    /// Reads until the other end has said the same.
    ReadToEnd,
    /// Goes with a reset.
    Reset,
    /// Goes without a word.
    Close,
}

#[derive(Debug, Clone)]
pub struct Script {
    pub acts: Vec<Act>,
    /// Does not read while it sends, unless nothing moves any more.
    pub deaf: bool,
}

impl Script {
    /// Ends by saying so, and reads all there is.
    pub fn is_polite(&self) -> bool {
        self.acts.ends_with(&[Act::ReadToEnd])
    }

    /// Bytes it means to send.
    pub fn says(&self) -> u64 {
        self.acts.iter().map(|act| if let Act::Send { bytes, .. } = act { *bytes } else { 0 }).sum()
    }

    /// One that sends so many bytes in all, or any number; `much`: more than sockets hold.
    pub fn random(dice: &mut Dice, total: Option<Total>, much: bool) -> Script {
        let mut acts = talk(dice, total, much);
        match dice.below(16) {
            0 | 1 => acts.push(Act::Reset),
            2 | 3 => acts.push(Act::Close),
            4 => {
                let cut = dice.below(acts.len() as u64 + 1) as usize;
                acts.truncate(cut);
                acts.push(if dice.one_in(2) { Act::Reset } else { Act::Close });
            }
            // The other side first.
            5 | 6 => {
                let last = acts.pop();
                acts.push(Act::Hear(u64::MAX));
                acts.extend(last);
                acts.extend([Act::HalfClose, Act::ReadToEnd]);
            }
            _ => acts.extend([Act::HalfClose, Act::ReadToEnd]),
        }
        Script { acts, deaf: dice.one_in(4) }
    }
}

/// So many bytes of a request or a ClientHello are known to be that.
pub const DECIDED: u64 = 6;

/// How much is sent, where that is known.
#[derive(Clone, Copy)]
pub struct Total {
    /// What comes first: fewer bytes could still become something else.
    pub least: u64,
    pub bytes: u64,
}

/// What is done before the end.
fn talk(dice: &mut Dice, total: Option<Total>, much: bool) -> Vec<Act> {
    let mut acts = Vec::new();
    let (mut left, mut least) = (total.map(|total| total.bytes), total.map_or(0, |total| total.least));
    for _ in 0..dice.below(5) {
        match dice.below(6) {
            0 => acts.push(Act::Stall(Duration::from_millis(dice.below(15)))),
            1 => acts.push(Act::Hear(dice.below(5000))),
            _ => {
                let bytes = size(dice, much).max(mem::take(&mut least)).min(left.unwrap_or(u64::MAX));
                left = left.map(|left| left - bytes);
                acts.push(send(dice, bytes));
            }
        }
    }
    acts.extend(left.map(|left| send(dice, left)));
    acts.retain(|act| !matches!(act, Act::Send { bytes: 0, .. }));
    acts
}

fn size(dice: &mut Dice, much: bool) -> u64 {
    match dice.below(100) {
        0..10 if much => dice.below(1 << 20),
        0 => dice.below(2 << 20),
        1..10 => dice.below(100_000),
        10..40 => dice.below(20),
        _ => dice.below(3000),
    }
}

fn send(dice: &mut Dice, bytes: u64) -> Act {
    let piece = match dice.below(4) {
        0 => 1 + bytes / 100,
        1 => 1 + bytes / (1 + dice.below(20)),
        _ => u64::MAX,
    };
    Act::Send { bytes, piece }
}
