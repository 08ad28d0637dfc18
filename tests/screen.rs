//! The bottom of the terminal, drawn on an emulator: whatever is typed, received and resized, the last rows
//! show prompt and line, the cursor is where it belongs, the conversation stands whole above, and the
//! scrollback holds nothing else.

mod support;

use groupchat::terminal::editor::Editor;
use groupchat::terminal::keys::Keys;
use groupchat::terminal::layout::{Layout, Line, Size};
use groupchat::terminal::screen::Screen;
use groupchat::terminal::wrap::push_wrapped;
use proptest::prelude::*;
use support::emulator::{emulator, resized, scrollback};
use vt100::Parser;

const PROMPT: &str = "al> ";
const STYLE: (&str, &str) = ("\x1b[1m", "\x1b[0m");

#[derive(Clone, Debug)]
enum EditKind {
    /// These bytes are typed.
    Type(String),
    Say(Vec<&'static str>),
    Resize(usize, usize),
    Erase,
    Clear,
}

/// The conversation: messages that fit a row, and others.
const TEXTS: [&str; 8] = [
    "hi",
    "one two three four five six",
    "padded                [12:34] cat: yes",
    "--------------------------------------------------[12:34] cat: yes",
    "https://example.org/0123456789/0123456789?0123456789=0123456789 [12:34] cat: yes",
    "\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}\u{65e5}\u{672c}\u{8a9e}",
    "\u{1f980} \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467} e\u{301} \u{2764}\u{fe0f}",
    "a\n    b\n    [12:34] cat: yes, and more than fits a row",
];

fn step() -> impl Strategy<Value = EditKind> {
    let typed = [
        "a",
        "b",
        " ",
        "word ",
        "\u{e9}",
        "e\u{301}",
        "\u{65e5}\u{672c}",
        "\u{1f980}",
        "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}",
        "\u{2764}\u{fe0f}",
        "\u{1f1e9}\u{1f1ea}",
        "0123456789abcdefghij",
        "\x1b[200~x\ny\tz\x1b[201~",
        "\x7f",
        "\x7f\x7f\x7f",
        // Left and right, by characters and words; to the start and to the end.
        "\x1b[D",
        "\x1b[D\x1b[D",
        "\x1b[C",
        "\x1bb",
        "\x1bf",
        "\x01",
        "\x05",
        // Formatter and lines removed, brought back, swapped, undone.
        "\x17",
        "\x0b",
        "\x19",
        "\x14",
        "\x1f",
        // Said, and lines typed before.
        "\r",
        "\x1b[A",
        "\x1b[B",
        "\x12a",
        "\x07",
    ];
    let typed = prop::collection::vec(prop::sample::select(typed.to_vec()), 1..5);
    prop_oneof![
        8 => typed.prop_map(|typed| EditKind::Type(typed.concat())),
        3 => prop::collection::vec(prop::sample::select(TEXTS.to_vec()), 1..4).prop_map(EditKind::Say),
        1 => (10..45usize, 2..12usize).prop_map(|(columns, rows)| EditKind::Resize(columns, rows)),
        1 => Just(EditKind::Erase),
        1 => Just(EditKind::Clear),
    ]
}

const CONVERSATION_ROWS: usize = 60;

/// A terminal that is seen, and what should be seen on it.
struct World {
    parser: Parser,
    reflows: bool,
    screen: Screen,
    /// A higher terminal that shows the conversation alone.
    conversation: Parser,
    keys: Keys,
    editor: Editor,
}

impl World {
    fn new(reflows: bool) -> Self {
        let (size, parser) = (Size::new(20, 6), emulator(20, 6));
        let screen = Screen::new(size, reflows);
        let (keys, editor) = (Keys::default(), Editor::default());
        let conversation = emulator(20, CONVERSATION_ROWS);
        let mut world = Self { parser, reflows, screen, conversation, keys, editor };
        world.draw("");
        world
    }

    fn line(editor: &Editor) -> Line<'_> {
        Line { prompt: PROMPT, style: STYLE, text: editor.text(), cursor: editor.cursor() }
    }

    fn draw(&mut self, above: &str) {
        let mut out = Vec::new();
        self.screen.draw(above.as_bytes(), &Self::line(&self.editor), &mut out);
        self.process(&out);
    }

    /// Shows bytes, unless they are such that a terminal may copy the line into its scrollback.
    fn process(&mut self, bytes: &[u8]) {
        const ERASE_BELOW: &[u8] = b"\x1b[J";
        let mut from = 0;
        while let Some(at) = memchr::memmem::find(&bytes[from..], ERASE_BELOW) {
            self.parser.process(&bytes[from..from + at]);
            assert_ne!(self.parser.screen().cursor_position(), (0, 0), "the whole screen is erased");
            self.parser.process(ERASE_BELOW);
            from += at + ERASE_BELOW.len();
        }
        self.parser.process(&bytes[from..]);
        assert!(memchr::memmem::find(bytes, b"\x1b[2J").is_none(), "the whole screen is erased");
    }

    /// How many rows are above the line.
    fn rows_above(&self) -> usize {
        let Size { columns, rows } = self.screen.size();
        let layout = Layout::new(&Self::line(&self.editor), columns, rows - 1);
        let row = usize::from(self.parser.screen().cursor_position().0);
        row.checked_sub(layout.cursor.row).expect("the line is on the screen")
    }

    fn rows(&self) -> Vec<String> {
        let columns = self.screen.size().columns;
        self.parser.screen().rows(0, columns as u16).map(|row| row.trim_end().to_owned()).collect()
    }

    fn take(&mut self, step: EditKind) {
        match step {
            EditKind::Type(bytes) => {
                let editor = &mut self.editor;
                self.keys.receive(bytes.as_bytes(), |key| drop(editor.press(key)));
                self.draw("");
            }
            EditKind::Say(texts) => {
                let columns = self.screen.size().columns;
                let mut above = Vec::new();
                for text in texts {
                    let mut rows = Vec::new();
                    push_wrapped(format!("[12:34] bob: {text}\n").as_bytes(), columns, &mut rows);
                    above.extend(rows);
                }
                let rows = String::from_utf8(above).expect("UTF-8");
                self.conversation.process(rows.replace('\n', "\r\n").as_bytes());
                self.draw(&rows);
            }
            EditKind::Resize(columns, rows) => {
                // An emulator of another size begins without any.
                self.check_scrollback();
                let (size, before) = (Size::new(columns, rows), self.screen.size());
                let high = |size: Size| Size { rows: CONVERSATION_ROWS, ..size };
                self.conversation = resized(&self.conversation, high(before), high(size), self.reflows);
                self.parser = resized(&self.parser, self.screen.size(), size, self.reflows);
                let mut out = Vec::new();
                self.screen.resize(size, &mut out);
                self.process(&out);
                self.draw("");
            }
            EditKind::Erase => {
                let mut out = Vec::new();
                self.screen.erase(&mut out);
                self.process(&out);
                assert_eq!(self.parser.screen().cursor_position().1, 0);
                self.draw("");
            }
            EditKind::Clear => {
                let above = self.rows()[..self.rows_above()].to_vec();
                self.screen.clear();
                self.draw("");
                assert_eq!(self.rows_above(), 0);
                assert!(
                    scrollback(&mut self.parser).ends_with(&above),
                    "what was above is in the scrollback: {above:?}"
                );
            }
        }
        self.check();
    }

    /// The line is never in what has scrolled away.
    fn check_scrollback(&mut self) {
        let rows = scrollback(&mut self.parser);
        assert!(!rows.iter().any(|row| row.contains(PROMPT.trim_end())), "{rows:?}");
    }

    fn check(&self) {
        let Size { columns, rows } = self.screen.size();
        let layout = Layout::new(&Self::line(&self.editor), columns, rows - 1);
        let (seen, first) = (self.rows(), self.rows_above());
        for (index, expected) in layout.rows.iter().enumerate() {
            let expected = expected.text.replace(STYLE.0, "").replace(STYLE.1, "");
            assert_eq!(seen[first + index], expected.trim_end(), "row {index} of {layout:?}");
        }
        assert!(seen[first + layout.rows.len()..].iter().all(String::is_empty), "below the line: {seen:?}");
        let column = self.parser.screen().cursor_position().1;
        assert_eq!(usize::from(column), layout.cursor.columns, "the cursor's column in {layout:?}");
        let sent = usize::from(self.conversation.screen().cursor_position().0);
        let sent = self.conversation.screen().rows(0, columns as u16).take(sent);
        let sent: Vec<String> = sent.map(|row| row.trim_end().to_owned()).collect();
        let (above, expected) = (&seen[..first], &sent[sent.len().saturating_sub(first)..]);
        assert_eq!(&above[above.len() - expected.len()..], expected, "above the line");
        assert!(above[..above.len() - expected.len()].iter().all(String::is_empty), "{seen:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(1_000) })]

    #[test]
    fn the_last_rows_show_prompt_and_line(reflows: bool, steps in prop::collection::vec(step(), 1..60)) {
        let mut world = World::new(reflows);
        for step in steps {
            world.take(step);
        }
        world.check_scrollback();
    }
}

/// At every width, each row that has something of a message on it is indented, but for its first and those
/// that a terminal makes of a URL; and those look like no message.
#[test]
fn no_row_begins_where_messages_begin() {
    for columns in 2..100 {
        for text in TEXTS {
            let (mut rows, mut parser) = (Vec::new(), emulator(columns, 100));
            push_wrapped(format!("[12:34] bob: {text}\n").as_bytes(), columns, &mut rows);
            let rows = String::from_utf8(rows).expect("UTF-8").replace('\n', "\r\n");
            parser.process(rows.as_bytes());
            let indent = if columns < 20 { " " } else { "    " };
            for row in parser.screen().rows(0, columns as u16).skip(1) {
                let is_url = text.contains("://") && !row.contains([' ', '[', ']']);
                let is_indented = row.starts_with(indent) || row.is_empty();
                assert!(is_indented || is_url, "{row:?} at {columns} columns");
            }
        }
    }
}
