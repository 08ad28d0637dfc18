//! The table: lines of cells, and how figures are written in them. It measures nothing.

use super::pairs::Paired;

/// One line of the table.
pub struct Line {
    cells: [String; 6],
}

const HEADINGS: [&str; 6] = ["work", "measured", "floor", "ratio", "must reach", ""];

/// Stands in a cell that has no meaning for its line.
const NOTHING: &str = "–";

impl Line {
    /// A figure that is judged by its ratio to the floor.
    pub fn ratio(work: &str, unit: &str, figures: Paired, ratio_max: f64) -> Line {
        let cells = [
            work.into(),
            format!("{} {unit}", digits(figures.program)),
            format!("{} {unit}", digits(figures.floor)),
            format!("{:.2}", figures.ratio),
            format!("≤ {ratio_max} × floor"),
            verdict(figures.ratio <= ratio_max),
        ];
        Line { cells }
    }

    /// A figure that is judged by itself, and what the floor needs for the same if that says
    /// anything.
    pub fn absolute(work: &str, unit: &str, program: f64, floor: Option<f64>, max: f64) -> Line {
        let cells = [
            work.into(),
            format!("{} {unit}", digits(program)),
            floor.map_or(NOTHING.into(), |floor| format!("{} {unit}", digits(floor))),
            NOTHING.into(),
            if max == 0.0 { "never".into() } else { format!("≤ {max} {unit}") },
            verdict(program <= max),
        ];
        Line { cells }
    }

    /// A line that this machine cannot measure.
    pub fn not_here(work: &str, reason: &str) -> Line {
        Line::without_figure(work, &format!("not measured here: {reason}"))
    }

    /// A line whose work was not done. The reason is on standard error.
    pub fn wrong(work: &str) -> Line {
        Line::without_figure(work, "**failed**")
    }

    fn without_figure(work: &str, why: &str) -> Line {
        let [measured, floor, ratio, limit] = [NOTHING; 4].map(String::from);
        Line { cells: [work.into(), measured, floor, ratio, limit, why.into()] }
    }
}

/// The table as Markdown, with columns that line up in a terminal too.
pub fn render(lines: &[Line]) -> String {
    let headings = Line { cells: HEADINGS.map(String::from) };
    let widths: [usize; 6] = std::array::from_fn(|column| {
        let cells = lines.iter().chain([&headings]).map(|line| line.cells[column].chars().count());
        cells.max().unwrap_or(0)
    });
    let rule = Line { cells: widths.map(|width| "-".repeat(width.max(3))) };
    let mut table = String::new();
    for line in [&headings, &rule].into_iter().chain(lines) {
        for (cell, width) in line.cells.iter().zip(widths) {
            table.push_str(&format!("| {cell:width$} "));
        }
        table.push_str("|\n");
    }
    table
}

/// Three digits are as many as a noisy machine gives.
fn digits(figure: f64) -> String {
    match figure {
        figure if figure == figure.round() || figure >= 100.0 => format!("{figure:.0}"),
        figure if figure >= 10.0 => format!("{figure:.1}"),
        figure => format!("{figure:.2}"),
    }
}

fn verdict(reached: bool) -> String {
    if reached { "ok".into() } else { "**missed**".into() }
}
