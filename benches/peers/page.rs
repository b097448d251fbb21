//! The page `READMEs/README.performance.md`, and the chart in it: what stands between marks is written anew.

use std::fs;
use std::path::{Path, PathBuf};

use crate::chart::{Line, Panel, Point, svg};
use crate::contenders::CONTENDERS;
use crate::machine;
use crate::results::Results;
use crate::rows::{GROWTH, Group, Row, growth_row, rows};
use crate::table::{legend, table};

const PAGE: &str = "READMEs/README.performance.md";
const CHART: &str = "READMEs/performance-connections.svg";
/// What stands between two marks, and is written anew where something was measured for it.
struct Part {
    begin: &'static str,
    groups: &'static [(&'static str, Group)],
}
const END: &str = "<!-- measured: end -->";

const PARTS: [Part; 2] = [
    Part {
        begin: "<!-- measured: cargo bench --bench peers -- --page -->",
        groups: &[("Relay", Group::Relay), ("HTTP", Group::Http)],
    },
    Part { begin: "<!-- measured: WebSocket -->", groups: &[("WebSocket", Group::Ws)] },
];

/// Writes the parts for which something was kept, and the chart if its part is among them.
///
/// # Errors
/// Where nothing is kept of some row of a part, the page has lost its marks, or cannot be written.
pub(crate) fn write(results: &Results) -> Result<(), String> {
    let chosen: Vec<&Part> = PARTS.iter().filter(|part| part.is_measured(results)).collect();
    let absent: Vec<&str> =
        chosen.iter().flat_map(|part| part.rows()).map(|row| row.name).filter(|name| !results.has(name)).collect();
    if chosen.is_empty() || !absent.is_empty() {
        let which = if chosen.is_empty() { "any row".to_owned() } else { absent.join(",") };
        return Err(format!("{PAGE} is left as it is, for it would lose figures: nothing is kept of {which}"));
    }
    let page = path(PAGE);
    let mut text = fs::read_to_string(&page).map_err(|error| format!("{PAGE}: {error}"))?;
    for part in chosen {
        let around = text.split_once(part.begin).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
        let (before, after) =
            around.ok_or_else(|| format!("{PAGE} lacks the marks between which the figures stand"))?;
        text = format!("{before}{}\n\n{}\n{END}{after}", part.begin, part.measured(results));
    }
    fs::write(&page, text).map_err(|error| format!("{PAGE}: {error}"))?;
    println!("written: {PAGE}");
    if GROWTH.iter().filter_map(|silent| growth_row(Group::Relay, *silent)).any(|row| results.has(row.name)) {
        fs::write(path(CHART), chart(results)).map_err(|error| format!("{CHART}: {error}"))?;
        println!("written: {CHART}");
    }
    Ok(())
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

impl Part {
    fn rows(&self) -> impl Iterator<Item = Row> {
        rows().into_iter().filter(|row| self.groups.iter().any(|(_, group)| *group == row.group))
    }

    fn is_measured(&self, results: &Results) -> bool {
        self.rows().any(|row| results.has(row.name))
    }

    fn measured(&self, results: &Results) -> String {
        let groups: Vec<Group> = self.groups.iter().map(|(_, group)| *group).collect();
        let mut text = format!(
            "### Machine\n\n{}- rounds of each row: {}\n",
            machine::description(&groups),
            results.rounds(self.rows().map(|row| row.name))
        );
        for (title, group) in self.groups {
            text += &format!("\n### {title}\n\n{}\n{}", legend(*group), table(results, *group));
        }
        text
    }
}

/// All parts.
pub(crate) fn measured(results: &Results) -> String {
    PARTS.iter().map(|part| part.measured(results)).collect::<Vec<_>>().join("\n")
}

/// How cost grows with the connections that are silent.
pub(crate) fn chart(results: &Results) -> String {
    let panel = |group, title: &str, unit: &str| Panel {
        title: title.to_owned(),
        x: "silent connections beside 64 that work".to_owned(),
        y: format!("CPU time of the server, µs per {unit}"),
        lines: lines(results, group),
    };
    svg(&[
        panel(Group::Relay, "Relay: 64 bytes there and back", "exchange"),
        panel(Group::Http, "HTTP: a 1 KiB file, kept alive", "request"),
    ])
}

fn lines(results: &Results, group: Group) -> Vec<Line> {
    let point = |name: &str, silent: usize| {
        let cost = results.cost(growth_row(group, silent)?.name, name)?;
        Some(Point { x: silent as f64, y: cost.median, least: cost.least, most: cost.most })
    };
    let line = |name: &str| {
        let points: Vec<Point> = GROWTH.iter().filter_map(|silent| point(name, *silent)).collect();
        (!points.is_empty()).then(|| Line { name: name.to_owned(), points })
    };
    CONTENDERS.iter().filter_map(|it| line(it.name)).collect()
}
