//! Chance that repeats itself: the same numbers for the same seed (splitmix64).

pub struct Dice(u64);

impl Dice {
    /// The chance of one connection of one run.
    pub fn of(seed: u64, number: u64) -> Dice {
        Dice(mix(seed ^ mix(number)))
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0) % end
    }

    pub fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

const FACTORS: [u64; 2] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];

/// Spreads every bit over all of them; [`unmix`] takes it back.
pub fn mix(mut word: u64) -> u64 {
    word = (word ^ (word >> 30)).wrapping_mul(FACTORS[0]);
    word = (word ^ (word >> 27)).wrapping_mul(FACTORS[1]);
    word ^ (word >> 31)
}

pub fn unmix(mut word: u64) -> u64 {
    word ^= (word >> 31) ^ (word >> 62);
    word = word.wrapping_mul(inverse(FACTORS[1]));
    word ^= (word >> 27) ^ (word >> 54);
    word = word.wrapping_mul(inverse(FACTORS[0]));
    word ^ (word >> 30) ^ (word >> 60)
}

/// What an odd number is to be multiplied by to give 1: each step of Newton's method doubles the bits that are right, 3 at first.
fn inverse(odd: u64) -> u64 {
    (0..5).fold(odd, |inverse, _| inverse.wrapping_mul(2u64.wrapping_sub(odd.wrapping_mul(inverse))))
}
