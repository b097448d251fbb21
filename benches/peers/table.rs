//! The table of a group's rows: costs, and the ratios to the floor and to the best of the others. Markdown, which a terminal shows as well.

use crate::contenders::{CONTENDERS, FLOOR, OWN, TUNED};
use crate::results::{Figures, Results};
use crate::rows::{Group, Row, rows};

/// The rows of a group that were measured, but for the points of the chart.
pub(crate) fn table(results: &Results, group: Group) -> String {
    let rows: Vec<Row> =
        rows().into_iter().filter(|row| row.group == group && results.has(row.name) && !row.is_point()).collect();
    let measured = |name: &str| rows.iter().any(|row| results.cost(row.name, name).is_some());
    let names: Vec<&str> = CONTENDERS.iter().map(|it| it.name).filter(|name| measured(name)).collect();
    let compared: Vec<[&str; 2]> =
        compared(group).iter().filter(|pair| pair.iter().all(|name| names.contains(name))).copied().collect();
    let has_best = group != Group::Ws;
    let mut head = vec!["row".to_owned(), "unit".to_owned()];
    head.extend(names.iter().map(|name| (*name).to_owned()));
    head.extend(compared.iter().map(|[of, to]| format!("{of} / {to}")));
    head.extend(has_best.then(|| format!("{OWN} / best other")));
    let mut lines = vec![head];
    for row in &rows {
        let mut cells = vec![row.name.to_owned(), row.figure.unit()];
        cells.extend(names.iter().map(|name| results.cost(row.name, name).map_or("-".to_owned(), spread)));
        cells.extend(compared.iter().map(|[of, to]| ratio(results, row, of, to).unwrap_or("-".to_owned())));
        cells.extend(has_best.then(|| to_best(results, row)));
        lines.push(cells);
    }
    aligned(lines)
}

/// Whose costs are divided by whose, where both were measured.
fn compared(group: Group) -> &'static [[&'static str; 2]] {
    const TOKIO: &str = "tungstenite";
    match group {
        Group::Relay | Group::Http => &[[OWN, FLOOR], [OWN, TUNED]],
        Group::Ws => &[[OWN, TOKIO], [OWN, "fastwebsockets"], [OWN, FLOOR], [FLOOR, TOKIO]],
    }
}

/// What the rows of a group are.
pub(crate) fn legend(group: Group) -> String {
    let rows = rows().into_iter().filter(|row| row.group == group && !row.is_point());
    rows.map(|row| format!("- `{}`: {}\n", row.name, row.what)).collect()
}

/// Who costs least of those who relay or serve, but for ourselves.
fn best(results: &Results, row: &Row) -> Option<&'static str> {
    let others = CONTENDERS.iter().map(|it| it.name).filter(|name| ![OWN, FLOOR, TUNED].contains(name));
    let costs = others.filter_map(|name| Some((results.cost(row.name, name)?.median, name)));
    costs.min_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, name)| name)
}

fn ratio(results: &Results, row: &Row, of: &str, to: &str) -> Option<String> {
    let Figures { median, least, most } = results.ratio(row.name, of, to)?;
    Some(format!("{median:.2} ({least:.2}-{most:.2})"))
}

fn to_best(results: &Results, row: &Row) -> String {
    let found = best(results, row).and_then(|to| Some((to, results.ratio(row.name, OWN, to)?)));
    found.map_or("-".to_owned(), |(to, Figures { median, least, most })| {
        format!("{median:.2} {to} ({least:.2}-{most:.2})")
    })
}

fn spread(Figures { median, least, most }: Figures) -> String {
    format!("{} ({}-{})", rounded(median), rounded(least), rounded(most))
}

/// Three digits.
pub(crate) fn rounded(number: f64) -> String {
    match number.abs() {
        100.0.. => format!("{number:.0}"),
        10.0.. => format!("{number:.1}"),
        _ => format!("{number:.2}"),
    }
}

/// Markdown whose columns stand below each other.
fn aligned(mut lines: Vec<Vec<String>>) -> String {
    let columns = lines[0].len();
    lines.insert(1, vec!["---".to_owned(); columns]);
    let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &Vec<String>| {
        let cells = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        format!("| {} |\n", cells.collect::<Vec<_>>().join(" | "))
    };
    lines.iter().map(line).collect()
}
