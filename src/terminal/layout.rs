//! How the prompt and the typed line are broken into rows. It draws nothing.

use unicode_segmentation::UnicodeSegmentation as _;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

use super::sanitize::push_sanitized;

/// The size of the terminal, in cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Cells in a row.
    pub columns: usize,
    /// Rows.
    pub rows: usize,
}

impl Size {
    /// The size that a terminal says it has: one that does not know says 0.
    #[must_use]
    pub fn new(columns: usize, rows: usize) -> Self {
        Self { columns: if columns == 0 { 80 } else { columns }, rows: if rows == 0 { 24 } else { rows } }
    }
}

/// What is to be seen at the bottom.
#[derive(Clone, Copy, Debug)]
pub struct Line<'a> {
    /// Before the text; safe to show.
    pub prompt: &'a str,
    /// What turns the prompt's style on, and off again; both may be empty.
    pub style: (&'a str, &'a str),
    /// What is typed: it may hold line breaks, and whatever was pasted.
    pub text: &'a str,
    /// Where in the text the cursor is, in bytes, between two grapheme clusters.
    pub cursor: usize,
}

/// One row: never wider than the terminal, whatever the terminal thinks of emoji.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// What to write, with the codes of styles in it.
    pub text: String,
    /// How many cells it takes at most.
    pub columns: usize,
}

/// Where the cursor is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// In which row.
    pub row: usize,
    /// Behind so many bytes of the row's text.
    pub bytes: usize,
    /// Behind so many cells, at most.
    pub columns: usize,
}

/// The rows that show a line, and where in them the cursor is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layout {
    /// From top to bottom; never empty, but for one that was never made.
    pub rows: Vec<Row>,
    /// Where the cursor is.
    pub cursor: Place,
}

impl Layout {
    /// Breaks a line into rows. Of more than `rows_max`, those are taken that show the cursor and the
    /// most of what is behind it.
    #[must_use]
    pub fn new(line: &Line<'_>, columns: usize, rows_max: usize) -> Self {
        let mut rows = Rows { columns_max: columns.max(1), rows: vec![Row::default()] };
        rows.last().text.push_str(line.style.0);
        line.prompt.graphemes(true).for_each(|cluster| rows.push(cluster));
        rows.last().text.push_str(line.style.1);
        let mut cursor = None;
        for (at, cluster) in line.text.grapheme_indices(true) {
            let is_break = cluster == "\n";
            if !is_break {
                rows.make_room(cluster);
            }
            if at >= line.cursor {
                cursor.get_or_insert(rows.place());
            }
            match is_break {
                true => rows.rows.push(Row::default()),
                false => rows.push(cluster),
            }
        }
        let cursor = cursor.unwrap_or_else(|| {
            // The terminal leaves its cursor on a full row; what is typed next belongs on another.
            if rows.last().columns == rows.columns_max {
                rows.rows.push(Row::default());
            }
            rows.place()
        });
        Self { rows: rows.rows, cursor }.window(rows_max.max(1))
    }

    fn window(mut self, rows_max: usize) -> Self {
        let surplus = self.rows.len().saturating_sub(rows_max);
        let first = self.cursor.row.min(surplus);
        self.rows.drain(..first);
        self.rows.truncate(rows_max);
        self.cursor.row -= first;
        self
    }

    /// The text of the row in which the cursor is, up to the cursor.
    #[must_use]
    pub fn before_cursor(&self) -> &str {
        &self.rows[self.cursor.row].text[..self.cursor.bytes]
    }
}

struct Rows {
    columns_max: usize,
    rows: Vec<Row>,
}

impl Rows {
    fn last(&mut self) -> &mut Row {
        self.rows.last_mut().expect("there is always a row")
    }

    fn place(&self) -> Place {
        let row = self.rows.len() - 1;
        Place { row, bytes: self.rows[row].text.len(), columns: self.rows[row].columns }
    }

    /// Begins a row if the cluster does not fit behind what is there.
    fn make_room(&mut self, cluster: &str) {
        let columns = shown(cluster, self.columns_max).1;
        if self.last().columns + columns > self.columns_max {
            self.rows.push(Row::default());
        }
    }

    fn push(&mut self, cluster: &str) {
        self.make_room(cluster);
        let (text, columns) = shown(cluster, self.columns_max);
        let row = self.last();
        row.text.push_str(&text);
        row.columns += columns;
    }
}

/// How a grapheme cluster is shown, and how many cells that takes at most. One that is wider than the
/// terminal is shown as a sign.
fn shown(cluster: &str, columns_max: usize) -> (String, usize) {
    let mut bytes = Vec::new();
    push_sanitized(cluster, &mut bytes);
    let text = String::from_utf8_lossy(&bytes).into_owned();
    let columns = columns_at_most(&text);
    if columns > columns_max { ("\u{fffd}".to_owned(), 1) } else { (text, columns) }
}

/// How many cells a text takes at most: terminals disagree about joined emoji and selectors. Some show
/// one picture for all, others one for each.
#[must_use]
pub fn columns_at_most(text: &str) -> usize {
    let one_by_one = |cluster: &str| columns_each(cluster).map(|(_, columns)| columns).sum::<usize>();
    text.graphemes(true).map(|cluster| cluster.width().max(one_by_one(cluster))).sum()
}

/// Turns the character before it into an emoji, which takes two cells.
const EMOJI_SELECTOR: char = '\u{fe0f}';

/// Where each character is, in bytes, and how many cells it takes in a terminal that joins none.
pub fn columns_each(text: &str) -> impl Iterator<Item = (usize, usize)> {
    text.char_indices().map(|(at, char)| {
        let is_widened = text[at + char.len_utf8()..].starts_with(EMOJI_SELECTOR);
        (at, if is_widened { 2 } else { char.width().unwrap_or(0) })
    })
}

/// The front of `text` that takes at most so many cells.
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
    fn texts_are_cut_to_cells() {
        assert_eq!(cut_to_columns("hello", 3), "hel");
        assert_eq!(cut_to_columns("hello", 9), "hello");
        assert_eq!(cut_to_columns("a\u{65e5}b", 2), "a");
        assert_eq!(cut_to_columns("a", 0), "");
    }
}
