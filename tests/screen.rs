//! The bottom of the terminal, drawn on an emulator: whatever is typed, said and resized, the last rows
//! show prompt and line, the cursor is where it belongs, and the conversation stands whole above.

mod support;

use groupchat::terminal::editor::Editor;
use groupchat::terminal::keys::Keys;
use groupchat::terminal::layout::{Layout, Line, Size};
use groupchat::terminal::screen::Screen;
use proptest::prelude::*;
use support::emulator::{emulator, resized};
use vt100::Parser;

const PROMPT: &str = "al> ";
const STYLE: (&str, &str) = ("\x1b[1m", "\x1b[0m");

#[derive(Clone, Debug)]
enum Step {
    /// These bytes are typed.
    Type(String),
    Say(usize),
    Resize(usize, usize),
    Erase,
}

fn step() -> impl Strategy<Value = Step> {
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
        8 => typed.prop_map(|typed| Step::Type(typed.concat())),
        3 => (1..4usize).prop_map(Step::Say),
        1 => (10..45usize, 2..12usize).prop_map(|(columns, rows)| Step::Resize(columns, rows)),
        1 => Just(Step::Erase),
    ]
}

/// A terminal that is seen, and what should be seen on it.
struct World {
    parser: Parser,
    reflows: bool,
    screen: Screen,
    said: Vec<String>,
    keys: Keys,
    editor: Editor,
}

impl World {
    fn new(reflows: bool) -> Self {
        let (size, parser) = (Size::new(20, 6), emulator(20, 6));
        let screen = Screen::new(size, reflows);
        let (keys, editor) = (Keys::default(), Editor::default());
        let mut world = Self { parser, reflows, screen, said: Vec::new(), keys, editor };
        world.draw("");
        world
    }

    fn line(editor: &Editor) -> Line<'_> {
        Line { prompt: PROMPT, style: STYLE, text: editor.text(), cursor: editor.cursor() }
    }

    fn draw(&mut self, above: &str) {
        let mut out = Vec::new();
        self.screen.draw(above.as_bytes(), &Self::line(&self.editor), &mut out);
        self.parser.process(&out);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Type(bytes) => {
                let editor = &mut self.editor;
                self.keys.receive(bytes.as_bytes(), |key| drop(editor.press(key)));
                self.draw("");
            }
            Step::Say(count) => {
                let mut above = String::new();
                for _ in 0..count {
                    let line = format!("said {}", self.said.len());
                    above += &format!("{line}\n");
                    self.said.push(line);
                }
                self.draw(&above);
            }
            Step::Resize(columns, rows) => {
                let size = Size::new(columns, rows);
                self.parser = resized(&self.parser, self.screen.size(), size, self.reflows);
                let mut out = Vec::new();
                self.screen.resize(size, &mut out);
                self.parser.process(&out);
                self.draw("");
            }
            Step::Erase => {
                let mut out = Vec::new();
                self.screen.erase(&mut out);
                self.parser.process(&out);
                assert_eq!(self.parser.screen().cursor_position().1, 0);
                self.draw("");
            }
        }
        self.check();
    }

    fn check(&self) {
        let Size { columns, rows } = self.screen.size();
        let layout = Layout::new(&Self::line(&self.editor), columns, rows - 1);
        let seen: Vec<String> = self.parser.screen().rows(0, columns as u16).collect();
        let (row, column) = self.parser.screen().cursor_position();
        let first = usize::from(row).checked_sub(layout.cursor.row).expect("the line is on the screen");
        for (index, expected) in layout.rows.iter().enumerate() {
            let expected = expected.text.replace(STYLE.0, "").replace(STYLE.1, "");
            assert_eq!(seen[first + index].trim_end(), expected.trim_end(), "row {index} of {layout:?}");
        }
        assert!(seen[first + layout.rows.len()..].iter().all(String::is_empty), "below the line: {seen:?}");
        assert_eq!(usize::from(column), layout.cursor.columns, "the cursor's column in {layout:?}");
        let above: Vec<&str> = seen[..first].iter().map(|row| row.trim_end()).collect();
        let from = self.said.len().saturating_sub(first);
        let expected: Vec<&str> = self.said[from..].iter().map(String::as_str).collect();
        assert_eq!(above[above.len() - expected.len()..], expected, "above the line");
        assert!(above[..above.len() - expected.len()].iter().all(|row| row.is_empty()), "{seen:?}");
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
    }
}
