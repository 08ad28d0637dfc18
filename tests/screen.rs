//! The bottom of the terminal, drawn on an emulator: whatever is typed, said and resized, the last rows
//! show prompt and line, the cursor is where it belongs, and the conversation stands whole above.

mod support;

use groupchat::terminal::layout::{Layout, Line, Size};
use groupchat::terminal::screen::Screen;
use proptest::prelude::*;
use support::emulator::{emulator, resized};
use unicode_segmentation::UnicodeSegmentation as _;
use vt100::Parser;

const PROMPT: &str = "al> ";
const STYLE: (&str, &str) = ("\x1b[1m", "\x1b[0m");

#[derive(Clone, Debug)]
enum Step {
    /// Text takes the place of so many clusters before the cursor.
    Edit(usize, String),
    /// The cursor moves to this part of the line, in thousandths.
    Move(usize),
    Say(usize),
    Resize(usize, usize),
    Erase,
}

fn step() -> impl Strategy<Value = Step> {
    let units = [
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
        "\n",
        "\t",
        "0123456789abcdefghij",
    ];
    let text =
        prop::collection::vec(prop::sample::select(units.to_vec()), 0..4).prop_map(|units| units.concat());
    prop_oneof![
        6 => (0..4usize, text).prop_map(|(gone, text)| Step::Edit(gone, text)),
        2 => (0..1001usize).prop_map(Step::Move),
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
    text: String,
    cursor: usize,
}

impl World {
    fn new(reflows: bool) -> Self {
        let (size, parser) = (Size::new(20, 6), emulator(20, 6));
        let screen = Screen::new(size, reflows);
        let mut world = Self { parser, reflows, screen, said: Vec::new(), text: String::new(), cursor: 0 };
        world.draw("");
        world
    }

    fn line(&self) -> Line<'_> {
        Line { prompt: PROMPT, style: STYLE, text: &self.text, cursor: self.cursor }
    }

    fn draw(&mut self, above: &str) {
        let mut out = Vec::new();
        let line = Line { prompt: PROMPT, style: STYLE, text: &self.text, cursor: self.cursor };
        self.screen.draw(above.as_bytes(), &line, &mut out);
        self.parser.process(&out);
    }

    fn take(&mut self, step: Step) {
        match step {
            Step::Edit(gone, text) => {
                for _ in 0..gone {
                    let before = &self.text[..self.cursor];
                    let Some((at, _)) = before.grapheme_indices(true).next_back() else { break };
                    self.text.replace_range(at..self.cursor, "");
                    self.cursor = at;
                }
                self.text.insert_str(self.cursor, &text);
                self.cursor += text.len();
                self.settle();
                self.draw("");
            }
            Step::Move(part) => {
                self.cursor = self.text.len() * part / 1000;
                self.settle();
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

    /// Editors keep the cursor between clusters.
    fn settle(&mut self) {
        let mut boundaries = self.text.grapheme_indices(true).map(|(at, _)| at);
        self.cursor = boundaries.find(|at| *at >= self.cursor).unwrap_or(self.text.len());
    }

    fn check(&self) {
        let Size { columns, rows } = self.screen.size();
        let layout = Layout::new(&self.line(), columns, rows - 1);
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
