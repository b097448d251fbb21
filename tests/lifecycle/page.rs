//! The tables of `READMEs/README.lifecycle.md`.

use std::fmt;

const PAGE: &str = include_str!("../../READMEs/README.lifecycle.md");

/// One callback of a sequence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    pub name: String,
    /// A vhost's reason, which the page sets in bold.
    pub of_vhost: bool,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Step { name, of_vhost } = self;
        if *of_vhost { write!(f, "**`{name}`**") } else { write!(f, "`{name}`") }
    }
}

/// A row of a table that begins with the column "what happens".
pub struct Row {
    pub section: &'static str,
    pub name: &'static str,
    /// One sequence for each other column.
    pub cells: Vec<&'static str>,
}

pub fn rows() -> Vec<Row> {
    let (mut section, mut in_table, mut rows) = ("", false, Vec::new());
    for line in PAGE.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title;
        }
        let Some(cells) = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")) else {
            in_table &= line.starts_with("|---");
            continue;
        };
        let cells: Vec<&str> = cells.split(" | ").map(str::trim).collect();
        if cells[0] == "what happens" {
            in_table = true;
        } else if in_table {
            rows.push(Row { section, name: cells[0], cells: cells[1..].to_vec() });
        }
    }
    rows
}

/// A sequence as the page writes it.
pub fn written(steps: &[Step]) -> String {
    if steps.is_empty() {
        return "nothing".to_owned();
    }
    steps.iter().map(Step::to_string).collect::<Vec<_>>().join(" → ")
}
