//! Word wrap with a hanging indent: no further row of a message starts in the first column, so no part of a
//! message can look like a message of another peer.
//!
//! A row is broken after blanks and between wide characters; a longer run is broken where the row is full.
//! Further rows are indented. Only a URL that is longer than a row is left to the terminal to wrap, so that it
//! can be copied whole: it has neither blanks nor brackets, so none of its rows can look like a message, and
//! nothing follows it in its last row.

use std::borrow::Cow;

use unicode_width::UnicodeWidthStr as _;

use super::layout::{clusters, columns_at_most, is_zero_width};
use super::palette::OFF;
use crate::sanitize::sanitized;

/// The indent of the further lines of a message.
pub const INDENT: &str = "    ";

/// The distance of tab stops, in cells.
const TAB_COLUMNS: usize = 8;

/// The columns of a terminal below which the indent is 1.
const WIDE_COLUMNS_MIN: usize = 20;

/// Shown for a character that is wider than the terminal.
const REPLACEMENT: &str = "\u{fffd}";

/// The indent of further rows, in cells, in a terminal of so many columns.
fn indent_columns(columns: usize) -> usize {
    match columns {
        // There is no room for an indent.
        0 | 1 => 0,
        ..WIDE_COLUMNS_MIN => 1,
        _ => INDENT.len(),
    }
}

/// Replaces each tab of a text by blanks up to the next tab stop, counted from the start of its line.
#[must_use]
pub fn expand_tabs(text: &str) -> Cow<'_, str> {
    if !text.contains('\t') {
        return text.into();
    }
    let mut expanded = String::with_capacity(text.len() + TAB_COLUMNS);
    for line in text.split_inclusive('\n') {
        let mut columns = 0;
        for (at, piece) in line.split('\t').enumerate() {
            if at > 0 {
                let blanks = TAB_COLUMNS - columns % TAB_COLUMNS;
                expanded.extend(std::iter::repeat_n(' ', blanks));
                columns += blanks;
            }
            expanded.push_str(piece);
            columns += shown_columns(piece);
        }
    }
    expanded.into()
}

/// The width of a sanitized text in most terminals, in cells.
fn shown_columns(text: &str) -> usize {
    sanitized(text).width()
}

/// Appends `lines` to `out`, broken into rows of at most so many cells.
///
/// The lines are those of a [`Formatter`](super::format::Formatter): safe to show, each with a line feed at
/// its end, with no other codes than those of styles (ECMA-48, SGR), and with [`INDENT`] before the further
/// lines of a message.
pub fn push_wrapped(lines: &[u8], columns: usize, out: &mut Vec<u8>) {
    let columns = columns.max(1);
    let indent = indent_columns(columns);
    let lines = String::from_utf8_lossy(lines);
    let mut styles = Vec::new();
    for line in lines.split_inclusive('\n') {
        let line = line.strip_suffix('\n').unwrap_or(line);
        let further = line.strip_prefix(INDENT);
        let (line, column) = further.map_or((line, 0), |line| (line, indent));
        out.resize(out.len() + column, b' ');
        let is_plain = line.bytes().all(|byte| matches!(byte, b' '..=b'~'));
        if is_plain && styles.is_empty() && column + line.len() <= columns {
            out.extend_from_slice(line.as_bytes());
        } else {
            let (text, codes) = split_codes(line);
            let mut rows = Rows { text: &text, codes: &codes, styles, columns, indent, column, out };
            rows.write_line();
            styles = rows.styles;
        }
        out.push(b'\n');
    }
}

/// Splits a line into its text and its style codes, each with its position in the text.
fn split_codes(line: &str) -> (Cow<'_, str>, Vec<(usize, &str)>) {
    let Some(first) = line.find('\x1b') else { return (line.into(), Vec::new()) };
    let (mut text, mut codes) = (line[..first].to_owned(), Vec::new());
    let mut rest = &line[first..];
    while !rest.is_empty() {
        let code_end = rest.find('m').map_or(rest.len(), |at| at + 1);
        codes.push((text.len(), &rest[..code_end]));
        let text_end = rest[code_end..].find('\x1b').map_or(rest.len(), |at| code_end + at);
        text.push_str(&rest[code_end..text_end]);
        rest = &rest[text_end..];
    }
    (text.into(), codes)
}

/// A part of a line that is not broken if it fits into a row.
#[derive(Clone, Copy, Debug, Default)]
struct Unit {
    from: usize,
    to: usize,
    columns: usize,
    is_blank: bool,
}

/// The state of wrapping one line.
///
/// Invariant: the last row takes at most `column` cells; `codes` are those that are not written yet.
struct Rows<'text, 'line, 'out> {
    text: &'text str,
    codes: &'text [(usize, &'line str)],
    /// The codes of the active styles.
    styles: Vec<&'line str>,
    columns: usize,
    indent: usize,
    column: usize,
    out: &'out mut Vec<u8>,
}

impl<'line> Rows<'_, 'line, '_> {
    fn write_line(&mut self) {
        self.turn_on_again();
        let (mut unit, mut is_wide_before) = (Unit::default(), false);
        for (at, cluster) in clusters(self.text) {
            let columns = columns_at_most(cluster);
            let (is_blank, is_wide) = (is_blank(cluster), columns > 1);
            if is_blank != unit.is_blank || is_wide && is_wide_before {
                self.place(unit);
                unit = Unit { from: at, to: at, columns: 0, is_blank };
            }
            unit.to = at + cluster.len();
            unit.columns += columns;
            is_wide_before = is_wide;
        }
        self.place(unit);
        self.write_codes(|_, _| true);
        self.turn_off();
    }

    fn place(&mut self, unit: Unit) {
        if self.fits(unit.columns) {
            self.write(unit.from, unit.to, unit.columns);
        } else if unit.is_blank {
            // Blanks that do not fit are dropped at the end of the row.
            self.fill(unit, |_, _| ());
        } else if self.fits_a_row(unit.columns) {
            self.break_row(unit.from);
            self.write(unit.from, unit.to, unit.columns);
        } else {
            let mut from = unit.from;
            while let Some((start, end)) = find_url(&self.text[from..unit.to]) {
                self.fill(Unit { to: from + start, from, ..unit }, Self::break_row);
                self.place_url(from + start, from + end);
                from += end;
            }
            self.fill(Unit { from, ..unit }, Self::break_row);
        }
    }

    /// Whether so many cells fit into the rest of the row.
    fn fits(&self, columns: usize) -> bool {
        self.column + columns <= self.columns
    }

    /// Whether so many cells fit into a further row.
    fn fits_a_row(&self, columns: usize) -> bool {
        self.indent + columns <= self.columns
    }

    /// Writes a unit cluster by cluster. Where a cluster does not fit, `overflow` may start a new row; without
    /// one, the cluster is dropped.
    fn fill(&mut self, unit: Unit, overflow: impl Fn(&mut Self, usize)) {
        for (at, cluster) in clusters(&self.text[unit.from..unit.to]) {
            let (from, columns) = (unit.from + at, columns_at_most(cluster));
            if !self.fits_a_row(columns) {
                self.fill_by_characters(from, from + cluster.len(), &overflow);
                continue;
            }
            if !self.fits(columns) {
                overflow(self, from);
            }
            if self.fits(columns) {
                self.write(from, from + cluster.len(), columns);
            }
        }
    }

    /// Writes a cluster that is wider than a row, such as many joined emoji, character by character.
    fn fill_by_characters(&mut self, from: usize, to: usize, overflow: &impl Fn(&mut Self, usize)) {
        for (at, char) in self.text[from..to].char_indices() {
            let at = from + at;
            // A variation selector may make it wide.
            let columns = if is_zero_width(char) { 0 } else { 2 };
            let is_too_wide = !self.fits_a_row(columns);
            let columns = if is_too_wide { 1 } else { columns };
            if !self.fits(columns) {
                overflow(self, at);
            }
            if self.fits(columns) && is_too_wide {
                self.write(at, at, columns);
                self.out.extend_from_slice(REPLACEMENT.as_bytes());
            } else if self.fits(columns) {
                self.write(at, at + char.len_utf8(), columns);
            }
        }
    }

    fn place_url(&mut self, from: usize, to: usize) {
        let columns = to - from;
        let is_longer_than_row = !self.fits_a_row(columns);
        if !self.fits(if is_longer_than_row { 1 } else { columns }) {
            self.break_row(from);
        }
        self.write(from, to, columns);
        if is_longer_than_row {
            // The terminal has wrapped the URL: nothing may follow in its last row.
            self.column = self.columns;
        }
    }

    /// Writes a part of the text, and the style codes before its end.
    fn write(&mut self, mut from: usize, to: usize, columns: usize) {
        while let Some(((at, code), rest)) = self.codes.split_first()
            && *at < to
        {
            let at = from.max(*at);
            self.out.extend_from_slice(&self.text.as_bytes()[from..at]);
            from = at;
            self.write_code(code);
            self.codes = rest;
        }
        self.out.extend_from_slice(&self.text.as_bytes()[from..to]);
        self.column += columns;
    }

    /// Starts a new row before the text at `from`.
    fn break_row(&mut self, from: usize) {
        self.write_codes(|at, code| at <= from && code == OFF);
        self.turn_off();
        self.out.push(b'\n');
        self.out.resize(self.out.len() + self.indent, b' ');
        self.column = self.indent;
        self.turn_on_again();
    }

    /// Writes the next style codes while `is_due` holds.
    fn write_codes(&mut self, is_due: impl Fn(usize, &str) -> bool) {
        while let Some(((at, code), rest)) = self.codes.split_first()
            && is_due(*at, code)
        {
            self.write_code(code);
            self.codes = rest;
        }
    }

    fn write_code(&mut self, code: &'line str) {
        self.out.extend_from_slice(code.as_bytes());
        if code == OFF {
            self.styles.clear();
        } else {
            self.styles.push(code);
        }
    }

    fn turn_off(&mut self) {
        if !self.styles.is_empty() {
            self.out.extend_from_slice(OFF.as_bytes());
        }
    }

    fn turn_on_again(&mut self) {
        self.styles.iter().for_each(|code| self.out.extend_from_slice(code.as_bytes()));
    }
}

/// Whether a cluster is white space that allows a line break.
fn is_blank(cluster: &str) -> bool {
    cluster.chars().all(|char| char.is_whitespace() && !matches!(char, '\u{a0}' | '\u{2007}' | '\u{202f}'))
}

/// The start and end of the first URL in a text: a scheme, `://`, and characters of RFC 3986 except brackets.
fn find_url(text: &str) -> Option<(usize, usize)> {
    let is_scheme = |byte: &u8| byte.is_ascii_alphanumeric() || b"+-.".contains(byte);
    let is_url = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~:/?#@!$&'()*+,;=%".contains(byte);
    let bytes = text.as_bytes();
    memchr::memmem::find_iter(bytes, "://").find_map(|colon| {
        let before = bytes[..colon].iter().rev().take_while(|byte| is_scheme(byte)).count();
        let scheme = &bytes[colon - before..colon];
        // A scheme starts with a letter.
        let start = colon - before + scheme.iter().position(u8::is_ascii_alphabetic)?;
        let end = colon + bytes[colon..].iter().take_while(|byte| is_url(byte)).count();
        Some((start, end))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrapped(lines: &str, columns: usize) -> String {
        let mut out = Vec::new();
        push_wrapped(lines.as_bytes(), columns, &mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[track_caller]
    fn check(line: &str, columns: usize, rows: &[&str]) {
        let rows: String = rows.iter().map(|row| format!("{row}\n")).collect();
        assert_eq!(wrapped(&format!("{line}\n"), columns), rows);
    }

    #[test]
    fn tabs_lead_to_the_next_stop() {
        for (line, expected) in [
            ("", ""),
            ("a", "a"),
            ("\ta", "        a"),
            ("a\tb", "a       b"),
            ("1234567\tb", "1234567 b"),
            ("12345678\tb", "12345678        b"),
            ("a\t\tb", "a               b"),
            ("a\tb\tc\t", "a       b       c       "),
            ("\u{65e5}\ta", "\u{65e5}      a"),
            ("e\u{301}\x1b\ta", "e\u{301}\x1b     a"),
        ] {
            assert_eq!(expand_tabs(line), expected, "{line:?}");
        }
    }

    #[test]
    fn rows_are_broken_behind_blanks() {
        check("", 20, &[""]);
        check("[06:55] bob: hi", 20, &["[06:55] bob: hi"]);
        check("[06:55] bob: 1234567", 20, &["[06:55] bob: 1234567"]);
        check("[06:55] bob: 12345678", 20, &["[06:55] bob: ", "    12345678"]);
        check("[06:55] bob: one two three four", 20, &["[06:55] bob: one two", "    three four"]);
        check("[06:55] bob: one two    three", 20, &["[06:55] bob: one two", "    three"]);
        check("[06:55] bob: one     two", 20, &["[06:55] bob: one    ", "    two"]);
        // So many blanks that the second row would be that of another message.
        let forged = format!("[06:55] bob: hi{}[06:56] al: yes", " ".repeat(65));
        check(&forged, 80, &[&format!("[06:55] bob: hi{}", " ".repeat(65)), "    [06:56] al: yes"]);
        check("[06:55] bob: a\u{2003}b", 14, &["[06:55] bob: a", " b"]);
        check("[06:55] bob: a\u{a0}b", 14, &["[06:55] bob: ", " a\u{a0}b"]);
    }

    #[test]
    fn what_is_longer_than_a_row_is_broken_where_it_is_full() {
        check("[06:55] bob: 0123456789abcdefg", 20, &["[06:55] bob: 0123456", "    789abcdefg"]);
        check("ab 0123456789abcdefg x", 10, &["ab 0123456", " 789abcdef", " g x"]);
        check("[06:55] a: --------[06:56] b: x", 19, &["[06:55] a: ", " --------[06:56] b:", " x"]);
    }

    #[test]
    fn wide_characters_are_broken_between_and_stay_whole() {
        check("a \u{65e5}\u{672c}\u{8a9e}", 5, &["a \u{65e5}", " \u{672c}\u{8a9e}"]);
        check("ab\u{65e5}x\u{672c}\u{8a9e}", 6, &["ab\u{65e5}x", " \u{672c}\u{8a9e}"]);
        check("1234 \u{1f980}\u{1f980}", 7, &["1234 \u{1f980}", " \u{1f980}"]);
        // Two cells in some terminals, six in others.
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        check(&format!("1 {family}"), 7, &["1 ", &format!(" {family}")]);
        check(family, 5, &["\u{1f468}\u{200d}\u{1f469}\u{200d}", " \u{1f467}"]);
        check("x\u{65e5}", 2, &["x\u{fffd}"]);
        check("\u{65e5}x", 1, &["\u{fffd}", "x"]);
    }

    #[test]
    fn further_lines_are_indented_as_the_terminal_allows() {
        check("[06:55] bob: a\n    b\n        c", 20, &["[06:55] bob: a", "    b", "        c"]);
        check("a\n    b\n    bc bcde", 6, &["a", " b", " bc ", " bcde"]);
        check("a\n    ", 20, &["a", "    "]);
        check("ab\n    cd", 1, &["a", "b", "c", "d"]);
    }

    #[test]
    fn a_url_is_left_to_the_terminal() {
        let url = "https://example.org/0123456789?a=b&c=%20#(d)";
        check(&format!("bob: {url}"), 20, &[&format!("bob: {url}")]);
        check(&format!("bob: {url} x"), 20, &[&format!("bob: {url}"), "    x"]);
        check(&format!("bob: {url}    x"), 20, &[&format!("bob: {url}"), "    x"]);
        // Nothing that others may read as a message begins in a row that the terminal has broken.
        check(&format!("bob: {url}[06:56] al: x"), 20, &[&format!("bob: {url}"), "    [06:56] al: x"]);
        check(&format!("bob: {url}\u{65e5}"), 20, &[&format!("bob: {url}"), "    \u{65e5}"]);
        check(&format!("0123456789 {url}"), 11, &["0123456789 ", &format!(" {url}")]);
        check(&format!("0123456789 <{url}>"), 12, &["0123456789 <", &format!(" {url}"), " >"]);
        // One that fits a row is not broken.
        check("[06:55] bob: ftp://a.example", 20, &["[06:55] bob: ", "    ftp://a.example"]);
        check("[06:55] bob: 99999ftp://a.example", 20, &["[06:55] bob: 99999", "    ftp://a.example"]);
        // These are none.
        check("bob: //0123456789abcde", 20, &["bob: //0123456789abc", "    de"]);
        check("bob: 1://0123456789abcde", 20, &["bob: 1://0123456789a", "    bcde"]);
        check("bob: [::]://0123456789abc", 20, &["bob: [::]://01234567", "    89abc"]);
        check("bob: h://0123456789[abc]defghi", 20, &["bob: h://0123456789[", "    abc]defghi"]);
    }

    #[test]
    fn styles_are_off_where_rows_are_broken() {
        let (dim, bold, off) = ("\x1b[2m", "\x1b[1m", OFF);
        check(&format!("{dim}[06:55]{off} bob"), 20, &[&format!("{dim}[06:55]{off} bob")]);
        check(
            &format!("{dim}one two three{off} x"),
            9,
            &[&format!("{dim}one two {off}"), &format!(" {dim}three{off} x")],
        );
        check(&format!("one {bold}two{off} three"), 7, &[&format!("one {bold}two{off}"), " three"]);
        check(&format!("one {bold}three{off}"), 7, &["one ", &format!(" {bold}three{off}")]);
        check(
            &format!("{dim}{bold}a b{off}"),
            2,
            &[&format!("{dim}{bold}a {off}"), &format!(" {dim}{bold}b{off}")],
        );
        // Through further lines, too.
        check(&format!("{bold}a\n    b{off}"), 20, &[&format!("{bold}a{off}"), &format!("    {bold}b{off}")]);
    }

    #[test]
    fn no_terminal_is_too_narrow() {
        let line = "[06:55] b: \u{65e5}\u{1f468}\u{200d}\u{1f469} https://example.org/ e\u{301}";
        for columns in 0..30 {
            let rows = wrapped(&format!("{line}\n    {line}\n"), columns);
            assert!(rows.ends_with('\n'), "{columns}");
        }
    }

    /// Each character that is seen, with the codes that are in force for it.
    fn styled(text: &str) -> Vec<(char, Vec<String>)> {
        let (mut seen, mut styles) = (Vec::new(), Vec::new());
        let (text, codes) = split_codes(text);
        let mut codes = codes.iter().peekable();
        for (at, char) in text.char_indices() {
            while let Some((_, code)) = codes.next_if(|(place, _)| *place <= at) {
                if *code == OFF { styles.clear() } else { styles.push((*code).to_owned()) }
            }
            if !char.is_whitespace() {
                seen.push((char, styles.clone()));
            }
        }
        seen
    }

    fn text() -> impl Strategy<Value = String> {
        let parts = [
            "a",
            "bcd ",
            " ",
            "       ",
            "[06:56] al: yes",
            "https://a.example/0123456789",
            "://",
            "-----------------",
            "\u{65e5}\u{672c}",
            "e\u{301}",
            "\u{1f1e9}\u{1f1ea}",
            "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
            "\u{2764}\u{fe0f}",
            "\u{915}\u{93f}",
            "\x1b[1m",
            "\x1b[0m",
            "\n    ",
        ];
        prop::collection::vec(prop::sample::select(parts.to_vec()), 0..30).prop_map(|parts| parts.concat())
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(5_000) })]

        #[test]
        fn no_row_begins_where_messages_begin(text in text(), columns in 7..60usize) {
            let line = format!("[06:55] bob: {text}\x1b[0m\n");
            let rows = wrapped(&line, columns);
            prop_assert_eq!(styled(&rows.replace('\n', " ")), styled(&line.replace('\n', " ")));
            let indent = if columns < 20 { " " } else { "    " };
            for (index, row) in rows.lines().enumerate() {
                let (seen, codes) = split_codes(row);
                prop_assert!(index == 0 || seen.starts_with(indent), "{seen:?}");
                prop_assert!(codes.last().is_none_or(|(_, code)| *code == OFF), "{row:?}");
                let (mut at, mut length) = (0, 0);
                while let Some((start, end)) = find_url(&seen[at..]) {
                    (at, length) = (at + end, end - start);
                }
                let ends_with_url = seen[at..].chars().all(is_zero_width) && length > columns - indent.len();
                prop_assert!(columns_at_most(&seen) <= columns || ends_with_url, "{seen:?}");
            }
        }
    }
}
