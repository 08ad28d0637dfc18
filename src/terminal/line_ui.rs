//! The user at a terminal: keys in, and out what is seen, with the typed line whole below the
//! conversation. It reads and writes nothing itself.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use unicode_segmentation::UnicodeSegmentation as _;

use super::backlog::Backlog;
use super::editor::{Editor, Mode, Outcome, Pasted};
use super::keys::{Key, Keys};
use super::layout::{Line, Size, columns_at_most, cut_to_columns};
use super::palette::{OFF, OWN};
use super::raw_mode::RawModeGuard;
use super::sanitize::push_sanitized;
use super::screen::Screen;
use super::tab_completion::{self, Known};
use super::unmarked_paste::UnmarkedPaste;
use super::wrap;
use crate::command::Source;
use crate::limits::{
    DRAW_TURN_BYTES, FOREGROUND_POLL_INTERVAL, INTERRUPT_GRACE, RESIZE_SETTLE_TIME, SEQUENCE_TIMEOUT,
};

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAction<'a> {
    /// This line, sent or obeyed.
    Submit(Cow<'a, str>, Source),
    /// Nothing, but is to be told this.
    Hint(Cow<'a, str>),
    /// The word before the cursor completed.
    Complete,
    /// The name of whoever sent the last private message in the line, instead of `/reply `.
    ExpandReply,
    /// To do something else in this terminal for a while.
    Suspend,
    /// To leave.
    Leave,
}

/// A terminal with somebody at it.
#[derive(Debug)]
pub struct LineUi {
    raw_mode: RawModeGuard,
    state: State,
    keys: Keys,
    unmarked: UnmarkedPaste,
    /// When the terminal last sent something.
    last_byte: Option<Instant>,
    /// What was typed and not yet taken, and when.
    pending_keys: VecDeque<(Key, Instant)>,
    /// When Ctrl+C last cleared the line.
    cleared_at: Option<Instant>,
    editor: Editor,
    /// Some of what the editor holds was pasted.
    has_paste: bool,
    screen: Screen,
    backlog: Backlog,
    name: String,
    has_colors: bool,
    has_bell: bool,
    /// The bell is to ring.
    rings: bool,
    /// What is typed may not be what is seen.
    is_stale: bool,
    /// The size that the terminal had when it was looked at last.
    size: Size,
    sizing: Sizing,
    /// While the terminal is somebody else's: when it is looked whether it still is.
    next_check: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The terminal is ours.
    Active,
    /// Stopped or in the background: it is somebody else's.
    Suspended,
    /// The user has left: what is still to be shown stands for itself.
    Finished,
}

/// Whether the terminal has the size for which the line was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sizing {
    /// It has.
    Same,
    /// It had another lately, and may have yet another by now: nothing is drawn until then.
    Changing { until: Instant },
    /// It has another, or had: what was drawn is to be taken away first.
    Changed,
}

/// What is told when Ctrl+C has cleared a line, or ended a search or a question.
const CLEARED: &str = "Ctrl+C leaves when the line is empty, and so does Ctrl+D";

/// What is told when Ctrl+C comes again too soon.
const NOT_LEFT: &str = "still here: Ctrl+C cleared the line just now; press it once more to leave";

/// How it looks and sounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawOptions {
    /// With colours.
    pub has_colors: bool,
    /// With a bell.
    pub has_bell: bool,
    /// The terminal breaks rows anew when it becomes narrower.
    pub reflows: bool,
}

impl LineUi {
    /// Takes the terminal over, if it is not somebody else's at the moment.
    #[must_use]
    pub fn new(raw_mode: RawModeGuard, name: String, options: DrawOptions) -> Self {
        let DrawOptions { has_colors, has_bell, reflows } = options;
        let state = if raw_mode.enable() { State::Active } else { State::Suspended };
        let size = raw_mode.size();
        let screen = Screen::new(size, reflows);
        Self {
            raw_mode,
            state,
            keys: Keys::default(),
            unmarked: UnmarkedPaste::default(),
            last_byte: None,
            pending_keys: VecDeque::new(),
            cleared_at: None,
            editor: Editor::default(),
            has_paste: false,
            screen,
            backlog: Backlog::default(),
            name,
            has_colors,
            has_bell,
            rings: false,
            is_stale: true,
            size,
            sizing: Sizing::Same,
            next_check: None,
        }
    }

    /// Whether what is typed is for us.
    #[must_use]
    pub fn owns_terminal(&self) -> bool {
        self.state == State::Active
    }

    /// Whether something was typed that nobody has taken.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.pending_keys.is_empty()
    }

    /// Takes in what the terminal sent.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if bytes.is_empty() {
            return;
        }
        self.last_byte = Some(now);
        let mut keys = Vec::new();
        self.keys.receive(bytes, |key| keys.push(key));
        self.unmarked.receive(&keys, |key| self.pending_keys.push_back((key, now)));
    }

    /// When a sequence or a paste that does not go on is over.
    #[must_use]
    pub fn keys_deadline(&self) -> Option<Instant> {
        let is_unfinished = self.keys.is_unfinished() || self.unmarked.is_unfinished();
        Some(self.last_byte? + SEQUENCE_TIMEOUT).filter(|_| is_unfinished && self.state == State::Active)
    }

    /// Ends a sequence or a paste that has not gone on for long enough. The caller has taken in all that
    /// the terminal has sent.
    pub fn expire_keys(&mut self, now: Instant) {
        if self.keys_deadline().is_some_and(|deadline| now >= deadline) {
            let mut keys = Vec::new();
            self.keys.expire(|key| keys.push(key));
            let mut each = |key| self.pending_keys.push_back((key, now));
            self.unmarked.receive(&keys, &mut each);
            self.unmarked.expire(each);
        }
    }

    /// The next thing that the user wants, until `None`.
    pub fn poll(&mut self) -> Option<UserAction<'static>> {
        while let Some((key, at)) = self.pending_keys.pop_front() {
            self.is_stale = true;
            self.has_paste |= matches!(key, Key::Paste(_));
            let outcome = self.editor.press(key);
            let source = if self.has_paste { Source::Verbatim } else { Source::Typed };
            self.has_paste &= !self.editor.text().is_empty();
            match outcome {
                Outcome::Nothing => (),
                Outcome::Submit(text) => return Some(UserAction::Submit(text.into(), source)),
                Outcome::Complete => return Some(UserAction::Complete),
                Outcome::ExpandReply => return Some(UserAction::ExpandReply),
                Outcome::Suspend => return Some(UserAction::Suspend),
                Outcome::Leave => return Some(UserAction::Leave),
                Outcome::Cleared => {
                    self.cleared_at = Some(at);
                    return Some(UserAction::Hint(CLEARED.into()));
                }
                // Who pending_keys it twice may have meant the line both times.
                Outcome::Interrupt
                    if self.cleared_at.is_some_and(|cleared| at < cleared + INTERRUPT_GRACE) =>
                {
                    return Some(UserAction::Hint(NOT_LEFT.into()));
                }
                Outcome::Interrupt => {
                    // The shell would take it for commands.
                    self.pending_keys.clear();
                    self.raw_mode.discard_input();
                    return Some(UserAction::Leave);
                }
                Outcome::Redraw => self.clear(),
                Outcome::Bell => self.ring(),
                Outcome::Refused(why) => return Some(UserAction::Hint(why.into())),
            }
        }
        None
    }

    /// Begins on an empty screen.
    pub fn clear(&mut self) {
        self.screen.clear();
        self.is_stale = true;
    }

    /// Completes what is before the cursor.
    pub fn complete(&mut self, known: Known<'_>) {
        let completion = tab_completion::complete(self.editor.text(), self.editor.cursor(), known);
        let answer = completion.map_or(Outcome::Bell, |completion| self.editor.offer(completion));
        if answer == Outcome::Bell {
            self.ring();
        }
    }

    /// Puts a line that was refused back to be corrected, unless something was typed since: then the
    /// history has it.
    pub fn restore_draft(&mut self, line: String, source: Source) {
        if self.pending_keys.is_empty() {
            self.editor.restore(line);
            self.has_paste = source == Source::Verbatim;
            self.is_stale = true;
        }
    }

    /// Puts `text` in the place of what is typed.
    pub fn replace_text(&mut self, text: String) {
        self.editor.replace_text(text);
        self.is_stale = true;
    }

    /// The size of the terminal.
    #[must_use]
    pub fn size(&self) -> Size {
        self.screen.size()
    }

    /// Has whole lines shown, above the one that is typed.
    pub fn push(&mut self, lines: &[u8]) {
        self.backlog.push(lines);
    }

    /// Rings the bell, if there is to be one.
    pub fn ring(&mut self) {
        self.rings |= self.has_bell;
    }

    /// The user has another name.
    pub fn set_name(&mut self, name: String) {
        self.name = name;
        self.is_stale = true;
    }

    /// How many bytes are still to be drawn.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.backlog.bytes()
    }

    /// Whether there is something to draw.
    #[must_use]
    pub fn has_more(&self) -> bool {
        let is_new = !self.backlog.is_empty() || self.is_stale || self.rings;
        let is_settled = !matches!(self.sizing, Sizing::Changing { .. });
        is_new && is_settled && self.state == State::Active
            || !self.backlog.is_empty() && self.state == State::Finished
    }

    /// Draws what is new, up to a turn's budget.
    pub fn draw(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.has_more() {
            // The signal that tells of another size may not have been seen yet.
            self.resize(now);
        }
        if !self.has_more() {
            return;
        }
        if self.state == State::Active {
            self.settle(out);
        }
        let mut lines = Vec::new();
        let skipped = self.backlog.take(DRAW_TURN_BYTES, &mut lines);
        if skipped > 0 {
            let sentence = format!("--- {skipped} lines were skipped: the terminal took too little ---\n");
            lines.splice(..0, sentence.into_bytes());
        }
        let mut above = Vec::new();
        wrap::push_wrapped(&lines, self.size.columns, &mut above);
        match self.state {
            State::Finished => out.append(&mut above),
            State::Active | State::Suspended => self.draw_line(&above, out),
        }
    }

    /// Draws rows, and the line below.
    fn draw_line(&mut self, above: &[u8], out: &mut Vec<u8>) {
        if mem::take(&mut self.is_stale) {
            let prompt = self.prompt();
            let style = if self.has_colors { (OWN, OFF) } else { ("", "") };
            let (text, cursor) = (self.editor.text(), self.editor.cursor());
            self.screen.draw(above, &Line { prompt: &prompt, style, text, cursor }, out);
        } else {
            self.screen.draw_above(above, out);
        }
        if mem::take(&mut self.rings) {
            out.push(b'\x07');
        }
    }

    /// The terminal may have another size.
    pub fn resize(&mut self, now: Instant) {
        let size = self.raw_mode.size();
        if size != mem::replace(&mut self.size, size) && self.state == State::Active {
            self.sizing = Sizing::Changing { until: now + RESIZE_SETTLE_TIME };
        }
    }

    /// Takes away what was drawn for another size. Only while the terminal is ours.
    fn settle(&mut self, out: &mut Vec<u8>) {
        let size = self.raw_mode.size();
        let is_other = size != mem::replace(&mut self.size, size);
        let was_other = mem::replace(&mut self.sizing, Sizing::Same) != Sizing::Same;
        if is_other || was_other {
            self.screen.resize(size, out);
            self.is_stale = true;
        }
    }

    /// Takes the line away, before [`suspend`](Self::suspend).
    pub fn erase(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Active {
            self.settle(out);
            self.screen.erase(out);
        }
    }

    /// Gives the terminal to somebody else for a while.
    pub fn suspend(&mut self) {
        if self.state == State::Active {
            self.state = State::Suspended;
            self.raw_mode.disable();
        }
    }

    /// We were stopped, perhaps without being told, and go on: by now the terminal may be somebody else's,
    /// or may have been.
    pub fn handle_continue(&mut self, out: &mut Vec<u8>) {
        match self.state {
            State::Active if self.raw_mode.reenable() => {
                self.settle(out);
                self.screen.erase(out);
                self.is_stale = true;
            }
            State::Active => self.state = State::Suspended,
            State::Suspended => self.resume(),
            State::Finished => (),
        }
    }

    /// Looks whether the size has settled, and now and then whether a terminal that is somebody else's is
    /// ours again.
    pub fn handle_time(&mut self, now: Instant) {
        if let Sizing::Changing { until } = self.sizing
            && now >= until
        {
            self.sizing = Sizing::Changed;
            self.is_stale = true;
            self.resize(now);
        }
        if self.state != State::Suspended {
            self.next_check = None;
        } else if self.next_check.is_none_or(|at| now >= at) {
            self.resume();
            self.next_check = Some(now + FOREGROUND_POLL_INTERVAL);
        }
    }

    /// When that is to be done.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match (self.state, self.sizing) {
            (State::Suspended, _) => self.next_check,
            (State::Active, Sizing::Changing { until }) => Some(until),
            (State::Active | State::Finished, _) => None,
        }
    }

    /// Takes the terminal back, if it is ours again.
    pub fn resume(&mut self) {
        if self.state == State::Suspended && self.raw_mode.enable() {
            self.state = State::Active;
            (self.size, self.sizing) = (self.raw_mode.size(), Sizing::Same);
            self.screen.restart(self.size);
            self.is_stale = true;
        }
    }

    /// The user leaves: the terminal is as it was before, and a line that was begun stays to be seen.
    pub fn leave(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Active {
            self.settle(out);
            if self.editor.text().is_empty() {
                self.screen.erase(out);
            } else {
                self.draw_line(b"", out);
                self.screen.keep_line(out);
            }
        }
        self.raw_mode.disable();
        self.state = State::Finished;
    }

    /// What stands before the line: who speaks, or what is asked.
    fn prompt(&self) -> String {
        let columns = self.screen.size().columns;
        let columns_max = (columns / 2).max(1);
        match self.editor.mode() {
            Mode::Ordinary if columns_at_most(&self.name) + 2 > columns_max => {
                format!("{}~> ", cut_to_columns(&self.name, columns_max.saturating_sub(3)))
            }
            Mode::Ordinary => format!("{}> ", self.name),
            Mode::Search { pattern, is_found, is_forward } => {
                let direction = if is_forward { "forward " } else { "" };
                let state = if is_found { "search" } else { "not found" };
                format!("({direction}{state}) {pattern}: ")
            }
            Mode::Confirm(pasted) => paste_prompt(pasted, columns),
        }
    }
}

/// Asks whether a paste is wanted: how much it is, how it begins and ends, and what each key does, in
/// rows of so many columns.
fn paste_prompt(pasted: &Pasted, columns: usize) -> String {
    let (lines, characters) = (grouped(pasted.lines), grouped(pasted.characters));
    let plural = if pasted.lines == 1 { "" } else { "s" };
    let first = pasted.text.lines().map(shown).find(|line| !line.is_empty()).unwrap_or_default();
    let last = pasted.text.lines().rev().map(shown).find(|line| !line.is_empty()).unwrap_or_default();
    // Two texts, their quotation marks, and what stands between them.
    let each_max = columns.saturating_sub(9) / 2;
    let begin = cut_to_columns(&first, each_max);
    let end = cut_to_last_columns(&last, each_max);
    format!(
        "Paste of {lines} line{plural}, {characters} characters:\n\
         \"{begin}\" ... \"{end}\"\n\
         y inserts it, n or Esc drops it. "
    )
}

/// A line as it may be shown, without blanks around it.
fn shown(line: &str) -> String {
    let mut shown = Vec::new();
    push_sanitized(line.trim(), &mut shown);
    String::from_utf8_lossy(&shown).into_owned()
}

/// The end of `text` that takes at most so many cells.
fn cut_to_last_columns(text: &str, columns_max: usize) -> &str {
    let mut columns = 0;
    let fits = |(_, cluster): &(usize, &str)| {
        columns += columns_at_most(cluster);
        columns <= columns_max
    };
    text.grapheme_indices(true).rev().take_while(fits).last().map_or("", |(at, _)| &text[at..])
}

/// A number with a comma before each three digits.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups = digits.as_bytes().rchunks(3).rev().map(String::from_utf8_lossy);
    groups.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::layout::Layout;

    /// The rows of the question about a paste.
    #[track_caller]
    fn check(text: &str, columns: usize, expected: &[&str]) {
        let pasted = Pasted {
            text: text.to_owned(),
            lines: text.split('\n').count(),
            characters: text.chars().count(),
        };
        let prompt = paste_prompt(&pasted, columns);
        let layout = Layout::new(&Line { prompt: &prompt, style: ("", ""), text: "", cursor: 0 }, columns, 9);
        let rows: Vec<_> = layout.rows.iter().map(|row| row.text.trim_end()).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_paste_is_shown_before_it_is_taken() {
        let keys = "y inserts it, n or Esc drops it.";
        check("one\ntwo", 80, &["Paste of 2 lines, 7 characters:", "\"one\" ... \"two\"", keys]);
        check(
            &format!(
                "\n  first words of it {}\nx\n{} last words\x1b[2J\u{202e} \n",
                "x".repeat(9_000),
                "y".repeat(99)
            ),
            40,
            &[
                "Paste of 5 lines, 9,141 characters:",
                "\"first words of \" ... \"ast words^[[2J\u{fffd}\"",
                keys,
            ],
        );
        check(
            &"\u{65e5}".repeat(60_000),
            40,
            &[
                "Paste of 1 line, 60,000 characters:",
                &format!("\"{0}\" ... \"{0}\"", "\u{65e5}".repeat(7)),
                keys,
            ],
        );
        check("\n\n", 40, &["Paste of 3 lines, 2 characters:", "\"\" ... \"\"", keys]);
        let widest = "x\n".repeat(32_767) + "x";
        check(&widest, 40, &["Paste of 32,768 lines, 65,535 characters", ":", "\"x\" ... \"x\"", keys]);
    }

    #[test]
    fn numbers_are_written_in_groups() {
        for (number, expected) in [(0, "0"), (999, "999"), (1_000, "1,000"), (1_234_567, "1,234,567")] {
            assert_eq!(grouped(number), expected);
        }
    }
}
