//! The bottom of the screen: the prompt and the typed line, below the conversation.
//!
//! It is pure: content goes in, and the bytes that draw it come out. It knows which rows it has drawn, and
//! nothing of the rows above. It separates rows with explicit line breaks and never writes beyond the width,
//! so it always knows the row of the cursor. It moves within a row by writing the row again, so it need not
//! know in which column the terminal puts a character.
//!
//! Some terminals copy the screen into their scrollback when a program erases all of it. So the first row is
//! always erased alone, since it may be the first of the screen.

use std::mem;

use super::layout::{Draft, Layout, Line, Row, Size, columns_each};

/// The drawn prompt and line.
///
/// Invariant: the terminal's cursor is at the cursor of the draft's layout, or at the start of an empty row if
/// nothing is drawn.
#[derive(Debug)]
pub struct Screen {
    size: Size,
    /// The terminal rewraps rows when it becomes narrower.
    reflows: bool,
    draft: Draft,
    is_drawn: bool,
    /// The next draw scrolls everything above the prompt away.
    is_cleared: bool,
}

/// Erases from the cursor to the end of the row (ECMA-48, EL).
const ERASE_ROW: &[u8] = b"\x1b[K";

/// Erases from the cursor to the end of the screen (ECMA-48, ED). Never sent in the first row.
const ERASE_BELOW: &[u8] = b"\x1b[J";

/// Moves the cursor to the upper left corner (ECMA-48, CUP).
const HOME: &[u8] = b"\x1b[H";

/// Moves to the start of the next row, which scrolls in the last row.
const NEXT_ROW: &[u8] = b"\r\n";

impl Screen {
    /// A terminal of this size, whose cursor is at the start of an empty row.
    #[must_use]
    pub fn new(size: Size, reflows: bool) -> Self {
        Self { size, reflows, draft: Draft::default(), is_drawn: false, is_cleared: false }
    }

    /// The size of the terminal.
    #[must_use]
    pub fn size(&self) -> Size {
        self.size
    }

    /// Writes `above`, whole rows that each end in a line feed, above the prompt, and then as much of the prompt
    /// and the line as has changed.
    pub fn draw(&mut self, above: &[u8], line: &Line<'_>, out: &mut Vec<u8>) {
        self.write_above(above, out);
        // The conversation keeps at least one row, if there are two.
        let rows_max = self.size.rows.saturating_sub(1);
        let before = self.draft.update(line, self.size.columns, rows_max);
        self.write_line(before, out);
    }

    /// Writes `above`, and redraws the prompt and the line unchanged.
    pub fn draw_above(&mut self, above: &[u8], out: &mut Vec<u8>) {
        self.write_above(above, out);
        self.write_line(None, out);
    }

    fn write_above(&mut self, above: &[u8], out: &mut Vec<u8>) {
        if mem::take(&mut self.is_cleared) {
            self.erase(out);
            // From any row, this many line breaks scroll the rows above the cursor away, and no others.
            (1..self.size.rows).for_each(|_| out.extend_from_slice(NEXT_ROW));
            out.extend_from_slice(HOME);
        }
        if !above.is_empty() {
            self.erase(out);
            for line in above.split_inclusive(|byte| *byte == b'\n') {
                out.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
                out.extend_from_slice(NEXT_ROW);
            }
        }
    }

    /// Writes the line in place of its previous layout, if the layout has changed.
    fn write_line(&mut self, before: Option<Layout>, out: &mut Vec<u8>) {
        match before {
            _ if !self.is_drawn => draw(self.draft.layout(), out),
            Some(before) => redraw(&before, self.draft.layout(), out),
            None => (),
        }
        self.is_drawn = true;
    }

    /// Erases the prompt and the line. The cursor ends at the start of their first row.
    pub fn erase(&mut self, out: &mut Vec<u8>) {
        let Layout { rows, cursor } = self.draft.layout();
        self.erase_rows(cursor.row, rows.len(), out);
    }

    /// Erases `count` rows, with the cursor in row `cursor_row` of them.
    fn erase_rows(&mut self, cursor_row: usize, count: usize, out: &mut Vec<u8>) {
        if mem::take(&mut self.is_drawn) {
            move_up(cursor_row, out);
            out.push(b'\r');
            out.extend_from_slice(ERASE_ROW);
            if count > 1 {
                out.extend_from_slice(NEXT_ROW);
                out.extend_from_slice(ERASE_BELOW);
                move_up(1, out);
            }
        }
    }

    /// Keeps the line on the screen and moves the cursor below it.
    pub fn keep_line(&mut self, out: &mut Vec<u8>) {
        if mem::take(&mut self.is_drawn) {
            let Layout { rows, cursor } = self.draft.layout();
            (cursor.row..rows.len()).for_each(|_| out.extend_from_slice(NEXT_ROW));
        }
    }

    /// Lets the next draw scroll the conversation away and put the prompt at the top.
    pub fn clear(&mut self) {
        self.is_cleared = true;
    }

    /// Forgets what was drawn: another program has used the terminal and left the cursor at the start of an
    /// empty row.
    pub fn restart(&mut self, size: Size) {
        *self = Self::new(size, self.reflows);
    }

    /// Handles a new size of the terminal: erases the prompt, wherever the terminal has moved it.
    pub fn resize(&mut self, size: Size, out: &mut Vec<u8>) {
        let before = mem::replace(&mut self.size, size);
        let layout = self.draft.layout();
        if size.columns < before.columns && self.reflows && self.is_drawn {
            let (cursor_row, count) = reflowed_rows(layout, size.columns);
            self.erase_rows(cursor_row, count, out);
        } else {
            self.erase(out);
        }
    }
}

/// The row of the cursor and the number of rows after a terminal has rewrapped them.
fn reflowed_rows(drawn: &Layout, columns: usize) -> (usize, usize) {
    let count = |rows: &[Row]| -> usize {
        rows.iter().map(|row| reflowed_row(&row.text, row.text.len(), columns) + 1).sum()
    };
    let row = &drawn.rows[drawn.cursor.row].text;
    let cursor_row = count(&drawn.rows[..drawn.cursor.row]) + reflowed_row(row, drawn.cursor.bytes, columns);
    (cursor_row, count(&drawn.rows))
}

/// The row of a cursor that was after the first `bytes` of a row which a terminal has rewrapped to so many
/// columns.
fn reflowed_row(text: &str, bytes: usize, columns: usize) -> usize {
    let (mut row, mut column, mut is_code) = (0, 0, false);
    for (at, columns_of_char) in columns_each(text) {
        // A style code (SGR) takes no cells, and ends in `m`.
        is_code |= text[at..].starts_with('\x1b');
        let width = if is_code { 0 } else { columns_of_char };
        is_code &= !text[at..].starts_with('m');
        if column + width > columns {
            (row, column) = (row + 1, 0);
        }
        // A cursor at the end of a full row stays in that row.
        if at >= bytes {
            break;
        }
        column += width;
    }
    row
}

/// Writes what changes the drawn layout into the new one.
fn redraw(drawn: &Layout, layout: &Layout, out: &mut Vec<u8>) {
    let (from, to) = (drawn.cursor, layout.cursor);
    let pairs = drawn.rows.iter().zip(&layout.rows);
    let equal = pairs.take_while(|(before, after)| before.text == after.text).count();
    if equal == drawn.rows.len() && equal == layout.rows.len() {
        let row = &layout.rows[to.row].text;
        if from.row == to.row && from.bytes <= to.bytes {
            // The cursor moves right: write the text that it passes.
            out.extend_from_slice(&row.as_bytes()[from.bytes..to.bytes]);
        } else if from.row >= to.row {
            move_up(from.row - to.row, out);
            out.push(b'\r');
            out.extend_from_slice(layout.before_cursor().as_bytes());
        } else {
            (from.row..to.row).for_each(|_| out.extend_from_slice(NEXT_ROW));
            out.extend_from_slice(layout.before_cursor().as_bytes());
        }
        return;
    }
    let is_last = |layout: &Layout, row: usize| row + 1 == layout.rows.len();
    if equal == from.row && is_last(drawn, equal) && is_last(layout, equal) {
        let (before, after) = (&drawn.rows[equal].text, &layout.rows[equal].text);
        // The usual case: text was appended.
        if from.bytes == before.len()
            && to.row == equal
            && to.bytes == after.len()
            && let Some(more) = after.strip_prefix(before.as_str())
        {
            return out.extend_from_slice(more.as_bytes());
        }
    }
    // At least one row is drawn. If rows were only removed, it is the last remaining one, since the rows below
    // it are erased from there.
    let first = equal.min(layout.rows.len() - 1);
    if first <= from.row {
        move_up(from.row - first, out);
    } else {
        (from.row..first).for_each(|_| out.extend_from_slice(NEXT_ROW));
    }
    out.push(b'\r');
    for (index, row) in layout.rows.iter().enumerate().skip(first) {
        if index > first {
            out.extend_from_slice(NEXT_ROW);
        }
        // The row is erased before it is written: after that, a full row would lose its last character.
        if index < drawn.rows.len() {
            out.extend_from_slice(ERASE_ROW);
        }
        out.extend_from_slice(row.text.as_bytes());
    }
    if drawn.rows.len() > layout.rows.len() {
        out.extend_from_slice(NEXT_ROW);
        out.extend_from_slice(ERASE_BELOW);
        place_cursor(layout, layout.rows.len(), out);
    } else {
        place_cursor_from_end(layout, out);
    }
}

/// Writes all rows from the first one on, and places the cursor.
fn draw(layout: &Layout, out: &mut Vec<u8>) {
    for (index, row) in layout.rows.iter().enumerate() {
        if index > 0 {
            out.extend_from_slice(NEXT_ROW);
        }
        out.extend_from_slice(row.text.as_bytes());
    }
    place_cursor_from_end(layout, out);
}

/// Moves the cursor from the end of the last row to its place.
fn place_cursor_from_end(layout: &Layout, out: &mut Vec<u8>) {
    let Some(last) = layout.rows.len().checked_sub(1) else { return };
    let is_at_end = layout.cursor.row == last && layout.cursor.bytes == layout.rows[last].text.len();
    if !is_at_end {
        place_cursor(layout, last, out);
    }
}

/// Moves the cursor from row `from`, which may be just below the last one, to its place.
fn place_cursor(layout: &Layout, from: usize, out: &mut Vec<u8>) {
    move_up(from - layout.cursor.row, out);
    out.push(b'\r');
    out.extend_from_slice(layout.before_cursor().as_bytes());
}

/// Moves the cursor up (ECMA-48, CUU).
fn move_up(rows: usize, out: &mut Vec<u8>) {
    if rows > 0 {
        out.extend_from_slice(format!("\x1b[{rows}A").as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str, cursor: usize) -> Line<'_> {
        Line { prompt: "> ", style: ("", ""), text, cursor }
    }

    /// From a text and its cursor, `|`, to others: what is written for each.
    #[track_caller]
    fn check(steps: &[(&str, &str)]) {
        let mut screen = Screen::new(Size::new(10, 5), true);
        for (text, expected) in steps {
            let cursor = text.find('|').expect("a cursor");
            let mut out = Vec::new();
            screen.draw(b"", &line(&text.replace('|', ""), cursor), &mut out);
            assert_eq!(String::from_utf8(out).expect("characters"), *expected, "for {text}");
        }
    }

    #[test]
    fn only_what_changed_is_written() {
        check(&[("|", "> "), ("a|", "a"), ("abc|", "bc"), ("abc|", "")]);
        check(&[("abc|", "> abc"), ("ab|", "\r\x1b[K> ab"), ("a|b", "\r> a"), ("ab|", "b")]);
        check(&[("12345678|", "> 12345678\r\n"), ("12345678x|", "x")]);
        check(&[
            ("12345678x|", "> 12345678\r\nx"),
            ("12345678|", "\r\x1b[K"),
            ("1234567|", "\x1b[1A\r\x1b[K> 1234567\r\n\x1b[J\x1b[1A\r> 1234567"),
        ]);
    }

    #[test]
    fn the_conversation_is_above() {
        let (mut screen, mut out) = (Screen::new(Size::new(10, 5), true), Vec::new());
        screen.draw(b"", &line("12345678x", 9), &mut out);
        out.clear();
        screen.draw(b"one\ntwo\n", &line("12345678x", 9), &mut out);
        assert_eq!(
            String::from_utf8_lossy(&out),
            "\x1b[1A\r\x1b[K\r\n\x1b[J\x1b[1Aone\r\ntwo\r\n> 12345678\r\nx"
        );
        out.clear();
        screen.draw_above(b"three\n", &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "\x1b[1A\r\x1b[K\r\n\x1b[J\x1b[1Athree\r\n> 12345678\r\nx");
        out.clear();
        screen.erase(&mut out);
        screen.erase(&mut out);
        assert_eq!(out, b"\x1b[1A\r\x1b[K\r\n\x1b[J\x1b[1A");
    }

    #[test]
    fn what_is_above_is_scrolled_away() {
        let (mut screen, mut out) = (Screen::new(Size::new(10, 4), true), Vec::new());
        screen.draw(b"", &line("a", 1), &mut out);
        out.clear();
        screen.clear();
        screen.draw(b"", &line("a", 1), &mut out);
        assert_eq!(String::from_utf8_lossy(&out), "\r\x1b[K\r\n\r\n\r\n\x1b[H> a");
        out.clear();
        screen.draw(b"", &line("a", 1), &mut out);
        assert_eq!(out, b"");
    }

    #[test]
    fn a_line_that_is_left_behind_is_not_written_over() {
        let (mut screen, mut out) = (Screen::new(Size::new(10, 5), true), Vec::new());
        screen.draw(b"", &line("12345678x", 3), &mut out);
        out.clear();
        screen.keep_line(&mut out);
        screen.erase(&mut out);
        assert_eq!(out, b"\r\n\r\n");
    }
}
