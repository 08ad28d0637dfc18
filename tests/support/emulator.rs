//! A terminal emulator: the screen as a user sees it.

use std::num::NonZero;

use groupchat::terminal::layout::Size;
use vt100::Parser;

/// What has scrolled out of the terminal can be seen, up to so many rows.
const SCROLLBACK_ROWS: usize = 1_000;

/// Row and column of the cursor.
pub fn position(parser: &Parser) -> (usize, usize) {
    let (row, column) = parser.screen().cursor_position();
    (row.into(), column.into())
}

/// The rows that have scrolled out of the terminal.
pub fn scrollback(parser: &mut Parser) -> Vec<String> {
    let screen = parser.screen_mut();
    let (rows, columns) = screen.size();
    let rows = usize::from(rows.get());
    screen.set_scrollback(usize::MAX);
    let (count, mut seen) = (screen.scrollback(), Vec::new());
    for from in (0..count).step_by(rows) {
        screen.set_scrollback(count - from);
        let some = screen.rows(0, columns.get()).take(rows.min(count - from));
        seen.extend(some.map(|row| row.trim_end().to_owned()));
    }
    screen.set_scrollback(0);
    seen
}

/// An empty terminal.
pub fn emulator(columns: usize, rows: usize) -> Parser {
    let cells = |count: usize| NonZero::new(count as u16).expect("at least one");
    Parser::new(cells(rows), cells(columns), SCROLLBACK_ROWS)
}

/// The same terminal with another size: one breaks rows anew when it becomes narrower, another cuts
/// them off. Both keep the cursor, and what is just above it, on the screen.
pub fn resized(parser: &Parser, before: Size, after: Size, reflows: bool) -> Parser {
    let screen = parser.screen();
    let (cursor_row, cursor_column) = position(parser);
    let used: Vec<String> = screen.rows(0, before.columns as u16).collect();
    let end = used.iter().rposition(|row| !row.is_empty()).map_or(0, |at| at + 1).max(cursor_row + 1);
    let columns = match reflows {
        true => before.columns,
        false => after.columns.min(before.columns),
    };
    // So many rows that none scrolls away.
    let mut whole = emulator(after.columns, 500);
    let mut place = (0, 0);
    for row in 0..end {
        let cell = |column: usize| {
            let cell = screen.cell(row as u16, column as u16)?;
            let is_cut = cell.is_wide() && column + 1 == columns;
            let is_blank = is_cut || !cell.has_contents() && !cell.is_wide_continuation();
            Some(if is_blank { " ".to_owned() } else { cell.contents().to_owned() })
        };
        let text = |from: usize, to: usize| (from..to).filter_map(cell).collect::<String>();
        // What was never written ends a row; a space that was typed does not.
        let is_written = |column: &usize| {
            let cell = screen.cell(row as u16, *column as u16);
            cell.is_some_and(|cell| cell.has_contents() || cell.is_wide_continuation())
        };
        let written = (0..columns).rev().find(is_written).map_or(0, |last| last + 1);
        let all = text(0, written);
        if row == cursor_row {
            let before = text(0, cursor_column.min(written));
            whole.process(before.as_bytes());
            place = position(&whole);
            let next = text(cursor_column, cursor_column + 1);
            if reflows && before.len() < all.len() {
                // It is where the next character is.
                whole.process(next.as_bytes());
                let (row, column) = position(&whole);
                let is_wide =
                    screen.cell(cursor_row as u16, cursor_column as u16).is_some_and(vt100::Cell::is_wide);
                place = (row, column - 1 - usize::from(is_wide));
                whole.process(&all.as_bytes()[before.len() + next.len()..]);
            } else {
                whole.process(&all.as_bytes()[before.len()..]);
            }
        } else {
            whole.process(all.as_bytes());
        }
        if row + 1 < end {
            whole.process(b"\r\n");
        }
    }
    let rows: Vec<String> = whole.screen().rows_formatted(0, after.columns as u16).collect();
    let count = usize::from(whole.screen().cursor_position().0) + 1;
    // The rows below the cursor are dropped before it is.
    let first = count.saturating_sub(after.rows).min(place.0);
    let kept = first..count.min(first + after.rows);
    let mut parser = emulator(after.columns, after.rows);
    for row in kept.clone() {
        parser.process(rows[row].as_bytes());
        if row + 1 < kept.end {
            parser.process(b"\r\n");
        }
    }
    let row = place.0 - first + 1;
    parser.process(format!("\x1b[{row};{}H", place.1.min(after.columns - 1) + 1).as_bytes());
    parser
}
