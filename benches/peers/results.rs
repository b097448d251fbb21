//! What was measured, kept in a file so that rows can be measured one by one, and the page be made of all of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use crate::measure::Sample;

/// Samples by row and contender, in the order of the rounds; a round that failed is absent.
#[derive(Debug, Default)]
pub(crate) struct Results {
    rows: BTreeMap<String, BTreeMap<String, Vec<(usize, Sample)>>>,
}

/// A middle and its spread.
#[derive(Debug, Copy, Clone, PartialEq)]
pub(crate) struct Figures {
    pub(crate) median: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

impl Results {
    /// Beside the builds, where `cargo clean` removes it.
    fn file() -> PathBuf {
        PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("peers.tsv")
    }

    /// What earlier runs have kept.
    pub(crate) fn kept() -> Results {
        let mut results = Results::default();
        for line in fs::read_to_string(Results::file()).unwrap_or_default().lines() {
            if let [row, contender, round, cost, rate] = line.split('\t').collect::<Vec<_>>()[..]
                && let (Ok(round), Ok(cost), Ok(rate)) = (round.parse(), cost.parse(), rate.parse())
            {
                results.add(row, contender, round, Sample { cost, rate });
            }
        }
        results
    }

    /// # Errors
    /// Where the file cannot be written.
    pub(crate) fn keep(&self) -> std::io::Result<()> {
        let mut text = String::new();
        for (row, contenders) in &self.rows {
            for (contender, samples) in contenders {
                for (round, Sample { cost, rate }) in samples {
                    text += &format!("{row}\t{contender}\t{round}\t{cost}\t{rate}\n");
                }
            }
        }
        fs::create_dir_all(env!("CARGO_TARGET_TMPDIR"))?;
        fs::write(Results::file(), text)
    }

    /// Drops what is known of a row, which is measured again.
    pub(crate) fn forget(&mut self, row: &str) {
        self.rows.remove(row);
    }

    pub(crate) fn add(&mut self, row: &str, contender: &str, round: usize, sample: Sample) {
        self.rows.entry(row.to_owned()).or_default().entry(contender.to_owned()).or_default().push((round, sample));
    }

    /// What is known of the rows that are chosen.
    pub(crate) fn of(&self, is_chosen: impl Fn(&str) -> bool) -> Results {
        let rows = self.rows.iter().filter(|(name, _)| is_chosen(name));
        Results { rows: rows.map(|(name, row)| (name.clone(), row.clone())).collect() }
    }

    pub(crate) fn has(&self, row: &str) -> bool {
        self.rows.contains_key(row)
    }

    /// Of those rows that were measured, by who was measured most often in each: `5`, or `1 to 5`.
    pub(crate) fn rounds<'a>(&self, rows: impl Iterator<Item = &'a str>) -> String {
        let measured = rows.filter_map(|name| self.rows.get(name));
        let rounds: BTreeSet<usize> = measured.map(|row| row.values().map(Vec::len).max().unwrap_or(0)).collect();
        match (rounds.first(), rounds.last()) {
            (Some(fewest), Some(most)) if fewest < most => format!("{fewest} to {most}"),
            (fewest, _) => fewest.unwrap_or(&0).to_string(),
        }
    }

    pub(crate) fn cost(&self, row: &str, contender: &str) -> Option<Figures> {
        figures(self.samples(row, contender).iter().map(|(_, sample)| sample.cost).collect())
    }

    pub(crate) fn rate(&self, row: &str, contender: &str) -> Option<f64> {
        Some(figures(self.samples(row, contender).iter().map(|(_, sample)| sample.rate).collect())?.median)
    }

    /// The cost of one by that of another, in the same round: what slows a whole round down falls out.
    pub(crate) fn ratio(&self, row: &str, of: &str, to: &str) -> Option<Figures> {
        let others: BTreeMap<usize, f64> = self.samples(row, to).iter().map(|(round, it)| (*round, it.cost)).collect();
        let ratio = |(round, it): &(usize, Sample)| Some(it.cost / others.get(round).filter(|cost| **cost > 0.0)?);
        figures(self.samples(row, of).iter().filter_map(ratio).collect())
    }

    fn samples(&self, row: &str, contender: &str) -> &[(usize, Sample)] {
        self.rows.get(row).and_then(|row| row.get(contender)).map_or(&[], Vec::as_slice)
    }
}

fn figures(mut values: Vec<f64>) -> Option<Figures> {
    values.sort_by(f64::total_cmp);
    let (least, most) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 { values[middle] } else { f64::midpoint(values[middle - 1], values[middle]) };
    Some(Figures { median, least, most })
}
