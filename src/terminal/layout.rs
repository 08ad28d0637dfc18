//! The layout of the prompt and the typed line in rows. It draws nothing.
//!
//! The cost of an update does not depend on the length of the line: the starts of rows are cached, computed
//! only as far as they are visible, and invalidated only from the change on.

use std::mem;

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory as _};
use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use crate::sanitize::push_sanitized;

/// The size of the terminal, in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Cells in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

impl Size {
    /// The size that a terminal reports. One that does not know its size reports 0, which becomes a default.
    #[must_use]
    pub fn new(columns: usize, rows: usize) -> Self {
        Self { columns: if columns == 0 { 80 } else { columns }, rows: if rows == 0 { 24 } else { rows } }
    }
}

/// The content to show at the bottom of the screen.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// The prompt, which is sanitized and may contain line breaks.
    pub prompt: &'a str,
    /// The codes that turn the prompt's style on and off; both may be empty.
    pub style: (&'a str, &'a str),
    /// The text, which may contain line breaks and unsanitized pasted text.
    pub text: &'a str,
    /// The cursor's position in the text, in bytes, between two grapheme clusters.
    pub cursor: usize,
}

/// One row, at most as wide as the terminal, even if that shows emoji at their greatest width.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// The text to write, with style codes.
    pub text: String,
    /// The width in cells, at most.
    pub columns: usize,
}

/// A position in a layout.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// The row.
    pub row: usize,
    /// The position in the row's text, in bytes.
    pub bytes: usize,
    /// The column, at most.
    pub columns: usize,
}

/// The rows that show a line, and the position of the cursor in them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// The rows from top to bottom; empty only in a default layout.
    pub rows: Vec<Row>,
    /// The position of the cursor.
    pub cursor: Place,
}

impl Layout {
    /// Breaks a line into rows. If there are more than `rows_max`, only those around the cursor are kept.
    #[must_use]
    pub fn new(line: &Line<'_>, columns: usize, rows_max: usize) -> Self {
        let mut draft = Draft::default();
        draft.update(line, columns, rows_max);
        draft.layout
    }

    /// The text of the row in which the cursor is, up to the cursor.
    #[must_use]
    pub fn before_cursor(&self) -> &str {
        &self.rows[self.cursor.row].text[..self.cursor.bytes]
    }
}

/// A line and its layout, which is updated incrementally.
///
/// Invariant: `starts` says where in `text` its rows begin, from the first one on: the first row is the
/// last one of the prompt. They are all there if `is_complete`.
#[derive(Debug, Default)]
pub struct Draft {
    columns: usize,
    rows_max: usize,
    prompt: String,
    prompt_rows: Vec<Row>,
    text: String,
    cursor: usize,
    starts: Vec<usize>,
    is_complete: bool,
    layout: Layout,
}

impl Draft {
    /// The current layout.
    #[must_use]
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Updates the line and the size. Returns the previous layout if the layout has changed.
    pub fn update(&mut self, line: &Line<'_>, columns: usize, rows_max: usize) -> Option<Layout> {
        let (columns, rows_max) = (columns.max(1), rows_max.max(1));
        let prompt = [line.style.0, line.prompt, line.style.1].concat();
        if columns != self.columns || prompt != self.prompt {
            *self = Self {
                columns,
                prompt,
                prompt_rows: prompt_rows(line, columns),
                text: line.text.to_owned(),
                starts: vec![0],
                layout: mem::take(&mut self.layout),
                ..Self::default()
            };
        } else if line.text != self.text {
            self.change_text(line.text);
        } else if (line.cursor, rows_max) == (self.cursor, self.rows_max) {
            return None;
        }
        (self.cursor, self.rows_max) = (line.cursor, rows_max);
        self.find_starts();
        let layout = self.window();
        (layout != self.layout).then(|| mem::replace(&mut self.layout, layout))
    }

    fn change_text(&mut self, text: &str) {
        let unchanged = common_prefix(&self.text, text);
        self.text.truncate(unchanged);
        self.text.push_str(&text[unchanged..]);
        // The cluster before the change may extend into it, and may then fit into the row before, or no
        // longer.
        let before = self.starts.partition_point(|start| *start < unchanged);
        self.starts.truncate(before.saturating_sub(1).max(1));
        self.is_complete = false;
    }

    /// Computes the starts of rows, up to the last row that may be visible.
    fn find_starts(&mut self) {
        while !self.is_complete {
            let last = self.starts.len() - 1;
            if self.starts[last] > self.cursor && last >= self.cursor_row() + self.rows_max {
                break;
            }
            match self.row_end(last) {
                Some(end) => self.starts.push(end),
                None => self.is_complete = true,
            }
        }
    }

    /// The row of the text that contains the cursor.
    fn cursor_row(&self) -> usize {
        self.starts.partition_point(|start| *start <= self.cursor).saturating_sub(1)
    }

    /// The start of the next row, if there is one.
    fn row_end(&self, row: usize) -> Option<usize> {
        let start = self.starts[row];
        let mut columns = if row == 0 { self.last_prompt_row().columns } else { 0 };
        for (at, cluster) in clusters(&self.text[start..]) {
            if cluster == "\n" {
                return Some(start + at + 1);
            }
            columns += columns_shown(cluster, self.columns);
            if columns > self.columns {
                return Some(start + at);
            }
        }
        None
    }

    fn last_prompt_row(&self) -> &Row {
        self.prompt_rows.last().expect("a prompt has a row, even an empty one")
    }

    /// A row of the text whose end is known, and the position that the cursor would have in it.
    fn row(&self, row: usize) -> (Row, Place) {
        let mut shown = if row == 0 { self.last_prompt_row().clone() } else { Row::default() };
        let start = self.starts[row];
        let end = self.starts.get(row + 1).copied().unwrap_or(self.text.len());
        let mut place = None;
        let here = |shown: &Row| Place { row: 0, bytes: shown.text.len(), columns: shown.columns };
        for (at, cluster) in clusters(&self.text[start..end]) {
            if start + at >= self.cursor {
                place.get_or_insert(here(&shown));
            }
            if cluster != "\n" {
                shown.columns += push_shown(cluster, self.columns, &mut shown.text);
            }
        }
        let place = place.unwrap_or(here(&shown));
        (shown, place)
    }

    /// The visible rows.
    fn window(&self) -> Layout {
        let prompt_only = self.prompt_rows.len() - 1;
        let known = if self.is_complete { self.starts.len() } else { self.starts.len() - 1 };
        // After a full row, the cursor belongs at the start of a new one.
        let is_one_more = self.cursor >= self.text.len() && self.row(known - 1).0.columns == self.columns;
        let cursor_row = prompt_only + if is_one_more { known } else { self.cursor_row() };
        let count = prompt_only + known + usize::from(is_one_more);
        let first = cursor_row.min(count.saturating_sub(self.rows_max));
        let mut layout =
            Layout { rows: Vec::new(), cursor: Place { row: cursor_row - first, ..Place::default() } };
        for index in first..count.min(first + self.rows_max) {
            let (row, place) = match index.checked_sub(prompt_only) {
                None => (self.prompt_rows[index].clone(), Place::default()),
                Some(row) if row == known => Default::default(),
                Some(row) => self.row(row),
            };
            if index == cursor_row {
                layout.cursor = Place { row: layout.cursor.row, ..place };
            }
            layout.rows.push(row);
        }
        layout
    }
}

/// The rows of the prompt; the text continues in the last one.
fn prompt_rows(line: &Line<'_>, columns_max: usize) -> Vec<Row> {
    let (mut rows, mut row) = (Vec::new(), Row { text: line.style.0.to_owned(), columns: 0 });
    for (_, cluster) in clusters(line.prompt) {
        let is_break = cluster == "\n";
        if is_break || row.columns + columns_shown(cluster, columns_max) > columns_max {
            // Each row can be written alone, so it has its own style codes.
            row.text.push_str(line.style.1);
            rows.push(mem::replace(&mut row, Row { text: line.style.0.to_owned(), columns: 0 }));
        }
        if !is_break {
            row.columns += push_shown(cluster, columns_max, &mut row.text);
        }
    }
    row.text.push_str(line.style.1);
    rows.push(row);
    rows
}

/// The length of the common prefix in bytes, in whole characters.
fn common_prefix(one: &str, other: &str) -> usize {
    const BLOCK: usize = 256;
    let blocks = one.as_bytes().chunks(BLOCK).zip(other.as_bytes().chunks(BLOCK));
    let from = blocks.take_while(|(one, other)| one == other).count() * BLOCK;
    let from = from.min(one.len()).min(other.len());
    let rest = one.as_bytes()[from..].iter().zip(&other.as_bytes()[from..]);
    let at = from + rest.take_while(|(one, other)| one == other).count();
    (0..=at).rev().find(|at| other.is_char_boundary(*at)).unwrap_or(0)
}

/// The grapheme clusters of a text with their positions; fast for ASCII.
pub fn clusters(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let (start, bytes) = (at, text.as_bytes());
        let first = *bytes.get(start)?;
        // CR LF is the only cluster of two ASCII characters.
        let is_alone = first.is_ascii() && first != b'\r' && bytes.get(start + 1).is_none_or(u8::is_ascii);
        at += if is_alone { 1 } else { text[start..].graphemes(true).next()?.len() };
        Some((start, &text[start..at]))
    })
}

/// Whether a cluster is shown unchanged, in one cell.
fn is_plain(cluster: &str) -> bool {
    matches!(cluster.as_bytes(), [b' '..=b'~'])
}

/// The greatest width of a shown grapheme cluster, in cells.
fn columns_shown(cluster: &str, columns_max: usize) -> usize {
    if is_plain(cluster) { 1 } else { shown(cluster, columns_max).1 }
}

/// Appends the shown form of a grapheme cluster. Returns its greatest width, in cells.
fn push_shown(cluster: &str, columns_max: usize, out: &mut String) -> usize {
    if is_plain(cluster) {
        out.push_str(cluster);
        return 1;
    }
    let (text, columns) = shown(cluster, columns_max);
    out.push_str(&text);
    columns
}

/// The shown form of a grapheme cluster, and its greatest width in cells. A replacement character is shown for
/// one that is wider than the terminal.
fn shown(cluster: &str, columns_max: usize) -> (String, usize) {
    let mut bytes = Vec::new();
    push_sanitized(cluster, &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let columns = columns_at_most(&text);
    if columns > columns_max { ("\u{fffd}".to_owned(), 1) } else { (text, columns) }
}

/// The greatest width of a text, in cells. Terminals disagree about joined emoji and selectors (some show one
/// picture, others several), and about combining characters.
#[must_use]
pub fn columns_at_most(text: &str) -> usize {
    let one_by_one = |cluster: &str| {
        let each = cluster.chars().zip(columns_each(cluster));
        each.map(|(char, (_, columns))| if columns == 0 && !is_zero_width(char) { 1 } else { columns }).sum()
    };
    clusters(text)
        .map(|(_, cluster)| if is_plain(cluster) { 1 } else { cluster.width().max(one_by_one(cluster)) })
        .sum()
}

/// Whether a character takes no cell in any terminal: marks above and below, joiner and selectors.
pub fn is_zero_width(char: char) -> bool {
    matches!(char, '\u{200d}' | '\u{fe00}'..='\u{fe0f}')
        || matches!(char.general_category(), GeneralCategory::NonspacingMark | GeneralCategory::EnclosingMark)
}

/// The selector that shows the character before it as an emoji, which takes two cells.
const EMOJI_SELECTOR: char = '\u{fe0f}';

/// The position of each character, in bytes, and its width in a terminal that joins none.
pub fn columns_each(text: &str) -> impl Iterator<Item = (usize, usize)> {
    text.char_indices().map(|(at, char)| {
        let is_widened = text[at + char.len_utf8()..].starts_with(EMOJI_SELECTOR);
        (at, if is_widened || is_wide_in_some_terminals(char) { 2 } else { char.width().unwrap_or(0) })
    })
}

/// Whether a character takes two cells by the tables of the system (glibc 2.36, which tmux uses) and fewer by
/// those of `unicode-width`: marks of Hangul tones and of Vietnamese reading, and numbers in circles on squares.
fn is_wide_in_some_terminals(char: char) -> bool {
    matches!(char, '\u{302e}' | '\u{302f}' | '\u{3248}'..='\u{324f}' | '\u{16ff0}' | '\u{16ff1}')
}

/// The longest prefix of `text` that takes at most so many cells.
#[must_use]
pub fn cut_to_columns(text: &str, columns_max: usize) -> &str {
    let mut columns = 0;
    let fits = |(_, cluster): &(usize, &str)| {
        columns += columns_at_most(cluster);
        columns <= columns_max
    };
    let end = text.grapheme_indices(true).take_while(fits).last();
    end.map_or("", |(at, cluster)| &text[..at + cluster.len()])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `|` in the text is the cursor, and in the rows, too.
    #[track_caller]
    fn check(text: &str, columns: usize, rows_max: usize, expected: &[&str]) {
        let cursor = text.find('|').expect("a cursor");
        let text = text.replace('|', "");
        let line = Line { prompt: "> ", style: ("", ""), text: &text, cursor };
        let mut layout = Layout::new(&line, columns, rows_max);
        let Place { row, bytes, .. } = layout.cursor;
        layout.rows[row].text.insert(bytes, '|');
        assert_eq!(layout.rows.iter().map(|row| row.text.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_character_counts_for_the_most_cells_that_terminals_give_it() {
        for char in ['\u{302e}', '\u{302f}', '\u{3248}', '\u{324f}', '\u{16ff0}', '\u{16ff1}', '\u{65e5}'] {
            assert_eq!(columns_at_most(&format!("x{char}")), 3, "U+{:04x}", char as u32);
        }
        for text in ["x\u{301}", "x", "\u{fc}", "\u{b1}", "\u{416}"] {
            assert_eq!(columns_at_most(text), 1, "{text}");
        }
    }

    #[test]
    fn a_line_is_broken_where_the_row_is_full() {
        check("|", 10, 9, &["> |"]);
        check("hello|", 10, 9, &["> hello|"]);
        check("1234567|", 10, 9, &["> 1234567|"]);
        check("12345678|", 10, 9, &["> 12345678", "|"]);
        check("12345678|9", 10, 9, &["> 12345678", "|9"]);
        check("1234|56789", 10, 9, &["> 1234|5678", "9"]);
        check("|12345678", 10, 9, &["> |12345678"]);
    }

    #[test]
    fn wide_characters_stay_whole() {
        check("1234567\u{65e5}|", 10, 9, &["> 1234567", "\u{65e5}|"]);
        check("1234567|\u{65e5}", 10, 9, &["> 1234567", "|\u{65e5}"]);
        check("e\u{301}e\u{301}|", 4, 9, &["> e\u{301}e\u{301}", "|"]);
        // Two cells in some terminals, six in others: never more than the row holds.
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        check(&format!("12{family}|"), 10, 9, &[&format!("> 12{family}"), "|"]);
        check(&format!("123{family}|"), 10, 9, &["> 123", &format!("{family}|")]);
        check(&format!("{family}|"), 5, 9, &["> \u{fffd}|"]);
        check("\u{65e5}|", 1, 9, &[">", " ", "\u{fffd}", "|"]);
    }

    #[test]
    fn what_cannot_be_shown_is_made_visible() {
        check("a\tb\x1b|", 20, 9, &["> a^Ib^[|"]);
        check("a\n|b\n", 20, 9, &["> a", "|b", ""]);
        check("a|\nb", 20, 9, &["> a|", "b"]);
        check("12345678\n|", 10, 9, &["> 12345678", "|"]);
    }

    #[test]
    fn of_too_many_rows_those_around_the_cursor_are_shown() {
        check("a\nb\nc\nd|", 10, 2, &["c", "d|"]);
        check("a\nb|\nc\nd", 10, 2, &["b|", "c"]);
        check("|a\nb\nc\nd", 10, 2, &["> |a", "b"]);
        check("a\nb\nc|\nd", 10, 3, &["b", "c|", "d"]);
    }

    #[test]
    fn a_cursor_never_meets_a_row_that_is_wider_than_the_terminal() {
        // Marks that some terminals give a cell of their own, and a character that few show at all.
        assert_eq!(columns_at_most("\u{915}\u{93e}\u{93f}"), 3);
        assert_eq!(columns_at_most("e\u{301}\u{302}"), 1);
        assert_eq!(columns_at_most("a\u{ad}b"), 3);
        assert_eq!(columns_at_most("\u{2764}\u{fe0f}"), 2);
    }

    /// Work on a long line is as much as on a short one.
    #[test]
    fn rows_are_looked_for_no_further_than_they_are_seen() {
        let (mut draft, text) = (Draft::default(), "x".repeat(64 << 10));
        let line = |text, cursor| Line { prompt: "> ", style: ("", ""), text, cursor };
        draft.update(&line(&text, 0), 80, 23);
        assert_eq!(draft.starts.len(), 24);
        draft.update(&line(&text, text.len() / 2), 80, 23);
        let half = draft.starts.len();
        assert!((400..450).contains(&half), "{half}");
        let inserted = format!("{}y{}", &text[..text.len() / 2], &text[text.len() / 2..]);
        let cursor = text.len() / 2 + 1;
        assert!(draft.update(&line(&inserted, cursor), 80, 23).is_some());
        assert_eq!(draft.starts.len(), half);
        assert!(draft.update(&line(&inserted, cursor), 80, 23).is_none());
        draft.update(&line(&inserted, inserted.len()), 80, 23);
        let all = draft.starts.len();
        draft.change_text(&format!("{inserted}z"));
        assert!(draft.starts.len() >= all - 2, "what is before a change is not looked for again");
    }

    fn text() -> impl Strategy<Value = String> {
        let parts = [
            "a",
            "bc ",
            "\n",
            "\r\n",
            "\u{65e5}",
            "e\u{301}",
            "\u{301}",
            "\u{1f1e9}",
            "\u{200d}",
            "\u{1f468}",
            "\u{1f468}\u{200d}\u{1f469}",
            "\x1b",
            "\u{915}\u{94d}\u{937}",
        ];
        prop::collection::vec(prop::sample::select(parts.to_vec()), 0..30).prop_map(|parts| parts.concat())
    }

    fn boundary(text: &str, near: usize) -> usize {
        let all = text.grapheme_indices(true).map(|(at, _)| at).chain([text.len()]);
        all.take_while(|at| *at <= near).last().unwrap_or(0)
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2_000) })]

        /// However a line is changed, its rows are those of a new one, and those of all rows that are seen.
        #[test]
        fn rows_are_the_same_however_the_text_came_about(
            steps in prop::collection::vec((text(), 0..200usize, 0..9usize, 0..200usize, 0..3usize), 1..12),
            columns in 1..12usize,
            rows_max in 1..6usize,
        ) {
            let (mut draft, mut text) = (Draft::default(), String::new());
            for (inserted, at, removed, cursor, prompt) in steps {
                let from = boundary(&text, at);
                let to = boundary(&text, from + removed).max(from);
                text.replace_range(from..to, &inserted);
                let cursor = boundary(&text, cursor);
                let prompt = &"alice> "[..prompt + 5];
                let line = Line { prompt, style: ("\x1b[1m", "\x1b[0m"), text: &text, cursor };
                draft.update(&line, columns, rows_max);
                let whole = Layout::new(&line, columns, 10_000);
                let first = whole.cursor.row.min(whole.rows.len().saturating_sub(rows_max));
                let last = whole.rows.len().min(first + rows_max);
                prop_assert_eq!(&draft.layout().rows, &whole.rows[first..last]);
                prop_assert_eq!(draft.layout().cursor, Place { row: whole.cursor.row - first, ..whole.cursor });
                prop_assert!(whole.rows.iter().all(|row| row.columns <= columns));
            }
        }
    }

    #[test]
    fn texts_are_cut_to_cells() {
        assert_eq!(cut_to_columns("hello", 3), "hel");
        assert_eq!(cut_to_columns("hello", 9), "hello");
        assert_eq!(cut_to_columns("a\u{65e5}b", 2), "a");
        assert_eq!(cut_to_columns("a", 0), "");
    }
}
