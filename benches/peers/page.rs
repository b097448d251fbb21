//! The page `READMEs/README.performance.md`, and the chart in it: the part between two marks is written anew.

use std::fs;
use std::path::{Path, PathBuf};

use crate::chart::{Line, Panel, Point, svg};
use crate::contenders::CONTENDERS;
use crate::machine;
use crate::results::Results;
use crate::rows::{GROWTH, Group, growth_row};
use crate::table::{legend, table};

const PAGE: &str = "READMEs/README.performance.md";
const CHART: &str = "READMEs/performance-connections.svg";
const BEGIN: &str = "<!-- measured: cargo bench --bench peers -- --page -->";
const END: &str = "<!-- measured: end -->";

/// Writes both from what was kept.
///
/// # Errors
/// Where the page has lost its marks, or cannot be written.
pub(crate) fn write(results: &Results) -> Result<(), String> {
    let page = path(PAGE);
    let text = fs::read_to_string(&page).map_err(|error| format!("{PAGE}: {error}"))?;
    let parts = text.split_once(BEGIN).and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let (before, after) = parts.ok_or_else(|| format!("{PAGE} lacks the marks between which the figures stand"))?;
    let text = format!("{before}{BEGIN}\n\n{}\n{END}{after}", measured(results));
    fs::write(&page, text).map_err(|error| format!("{PAGE}: {error}"))?;
    fs::write(path(CHART), chart(results)).map_err(|error| format!("{CHART}: {error}"))?;
    println!("written: {PAGE}, {CHART}");
    Ok(())
}

fn path(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

/// What stands between the marks.
pub(crate) fn measured(results: &Results) -> String {
    let group = |title, group| format!("\n### {title}\n\n{}\n{}", legend(group), table(results, group));
    format!(
        "### Machine\n\n{}- rounds of each row: {}\n{}{}",
        machine::description(),
        results.fewest_rounds(),
        group("Relay", Group::Relay),
        group("HTTP", Group::Http)
    )
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
