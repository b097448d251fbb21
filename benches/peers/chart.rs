//! Charts as SVG: some panels beside each other, a logarithmic x axis, lines with the spread of each point. The colours suit light and dark pages.

use std::fmt::Write;

/// One chart.
pub(crate) struct Panel {
    pub(crate) title: String,
    pub(crate) x: String,
    pub(crate) y: String,
    pub(crate) lines: Vec<Line>,
}

/// The points of one name, in the order of x.
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<Point>,
}

/// A median and its spread.
#[derive(Debug, Copy, Clone)]
pub(crate) struct Point {
    pub(crate) x: f64,
    pub(crate) y: f64,
    pub(crate) least: f64,
    pub(crate) most: f64,
}

const WIDTH: f64 = 420.0;
const HEIGHT: f64 = 330.0;
const LEFT: f64 = 58.0;
const RIGHT: f64 = 78.0;
const TOP: f64 = 44.0;
const BOTTOM: f64 = 52.0;

/// Of Okabe and Ito's palette, which colour-blind readers tell apart; each name has its own in all panels.
const COLOURS: [(&str, &str); 5] =
    [("rlws", "#d55e00"), ("floor", "#8c8c8c"), ("nginx", "#009e73"), ("haproxy", "#3b8fd4"), ("sslh", "#cc79a7")];

const STYLE: &str = "text { font: 12px system-ui, sans-serif; fill: #333 } .title { font-size: 14px; font-weight: 600 }
.axis { stroke: #777 } .grid { stroke: #ddd } path { fill: none; stroke-width: 2 } .paper { fill: #fff }
@media (prefers-color-scheme: dark) { text { fill: #ddd } .axis { stroke: #999 } .grid { stroke: #3a3a3a } .paper { fill: #16181c } }";

/// The picture of all panels.
pub(crate) fn svg(panels: &[Panel]) -> String {
    let width = WIDTH * panels.len() as f64;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{HEIGHT}\" viewBox=\"0 0 {width} {HEIGHT}\" role=\"img\">\n\
        <title>{}</title>\n<style>{STYLE}</style>\n<rect class=\"paper\" width=\"100%\" height=\"100%\"/>\n",
        panels.iter().map(|panel| panel.title.as_str()).collect::<Vec<_>>().join("; ")
    );
    for (number, panel) in panels.iter().enumerate() {
        let _ = writeln!(svg, "<g transform=\"translate({} 0)\">", number as f64 * WIDTH);
        panel.draw(&mut svg);
        svg.push_str("</g>\n");
    }
    svg + "</svg>\n"
}

impl Panel {
    fn draw(&self, svg: &mut String) {
        let points = || self.lines.iter().flat_map(|line| &line.points);
        let (first, last) = (extreme(points().map(|it| it.x), f64::min), extreme(points().map(|it| it.x), f64::max));
        let highest = extreme(points().map(|it| it.most), f64::max);
        let step = step(highest / 5.0);
        let top = (highest / step).ceil() * step;
        let across = |x: f64| LEFT + (WIDTH - LEFT - RIGHT) * (x / first).log10() / (last / first).log10();
        let up = |y: f64| HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * y / top;
        let (right, bottom) = (WIDTH - RIGHT, HEIGHT - BOTTOM);

        text(svg, "class=\"title\"", LEFT, 20.0, &self.title);
        text(svg, "", LEFT, 36.0, &self.y);
        text(svg, "text-anchor=\"middle\"", f64::midpoint(LEFT, right), HEIGHT - 12.0, &self.x);
        for tick in 0..=(top / step).round() as u32 {
            let (value, y) = (f64::from(tick) * step, up(f64::from(tick) * step));
            let class = if tick == 0 { "axis" } else { "grid" };
            let _ = writeln!(svg, "<line class=\"{class}\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>");
            text(svg, "text-anchor=\"end\"", LEFT - 8.0, y + 4.0, &format!("{}", (value * 100.0).round() / 100.0));
        }
        let _ = writeln!(svg, "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{LEFT}\" y1=\"{TOP}\" y2=\"{bottom}\"/>");
        for Point { x, .. } in self.lines.first().map_or(&[][..], |line| &line.points) {
            let _ = writeln!(
                svg,
                "<line class=\"axis\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"{bottom}\" y2=\"{1}\"/>",
                across(*x),
                bottom + 5.0
            );
            text(svg, "text-anchor=\"middle\"", across(*x), bottom + 20.0, &thousands(*x));
        }
        let mut labels = Vec::new();
        for Line { name, points } in &self.lines {
            let colour = COLOURS.iter().find(|(known, _)| known == name).map_or("#888", |(_, colour)| colour);
            let path: Vec<String> = points.iter().map(|it| format!("{:.1} {:.1}", across(it.x), up(it.y))).collect();
            let _ = writeln!(svg, "<path stroke=\"{colour}\" d=\"M{}\"/>", path.join(" L"));
            for point in points {
                let (x, y) = (across(point.x), up(point.y));
                let (low, high) = (up(point.least), up(point.most));
                let _ = writeln!(
                    svg,
                    "<line stroke=\"{colour}\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{low:.1}\" y2=\"{high:.1}\"/>"
                );
                let _ = writeln!(svg, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"3.5\" fill=\"{colour}\"/>");
            }
            labels.extend(points.last().map(|last| (up(last.y), name, colour)));
        }
        label(svg, labels, right);
    }
}

/// Names beside the ends of their lines, moved apart where they would cover each other.
fn label(svg: &mut String, mut labels: Vec<(f64, &String, &str)>, right: f64) {
    const APART: f64 = 15.0;
    labels.sort_by(|(a, ..), (b, ..)| b.total_cmp(a));
    let mut lowest = HEIGHT - BOTTOM;
    for (y, name, colour) in labels {
        let y = y.min(lowest);
        lowest = y - APART;
        text(svg, &format!("style=\"fill: {colour}; font-weight: 600\""), right + 9.0, y + 4.0, name);
    }
}

fn text(svg: &mut String, attributes: &str, x: f64, y: f64, text: &str) {
    let _ = writeln!(svg, "<text {attributes} x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

fn extreme(values: impl Iterator<Item = f64>, choose: fn(f64, f64) -> f64) -> f64 {
    values.reduce(choose).unwrap_or(1.0)
}

/// 1, 2 or 5 times a power of ten, no less than asked for.
fn step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].map(|factor| factor * power).into_iter().find(|step| *step >= least).unwrap_or(least)
}

fn thousands(number: f64) -> String {
    if number >= 1_000.0 {
        format!("{},{:03}", number as u64 / 1_000, number as u64 % 1_000)
    } else {
        number.to_string()
    }
}
