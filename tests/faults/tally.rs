//! What a run has seen.

use std::collections::BTreeMap;
use std::fmt;

use crate::case::{DOORS, Door};
use crate::model::Verdict;

/// Connections by listener and verdict, and the bytes that their ends sent.
#[derive(Debug, Default)]
pub struct Tally {
    pub verdicts: BTreeMap<(Door, Verdict), usize>,
    pub bytes: u64,
}

impl Tally {
    pub fn connections(&self) -> usize {
        self.verdicts.values().sum()
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} connections, {} MiB:", self.connections(), self.bytes >> 20)?;
        for door in DOORS {
            let of_it = self.verdicts.iter().filter(|((of, _), _)| *of == door);
            let counts: Vec<_> = of_it.map(|((_, verdict), count)| format!("{count} {verdict:?}")).collect();
            write!(f, "\n  {door:?}: {}", counts.join(", "))?;
        }
        Ok(())
    }
}
