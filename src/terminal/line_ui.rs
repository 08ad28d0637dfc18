//! The interactive user interface: bytes of the terminal go in; user actions and bytes to draw come out. The
//! prompt and the typed line stay below the conversation. It does no I/O, except through [`RawModeGuard`].

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
use super::screen::Screen;
use super::tab_completion::{self, Known};
use super::unmarked_paste::UnmarkedPaste;
use super::wrap;
use crate::command::Source;
use crate::limits::{
    DRAW_TURN_BYTES, FOREGROUND_POLL_INTERVAL, INTERRUPT_GRACE, RESIZE_SETTLE_TIME, SEQUENCE_TIMEOUT,
};
use crate::sanitize::sanitized;

/// An action of the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAction<'a> {
    /// Submit a line: a message or a command.
    Submit(Cow<'a, str>, Source),
    /// Show this hint.
    Hint(Cow<'a, str>),
    /// Complete the text before the cursor.
    Complete,
    /// Replace `/reply ` by `/msg NAME ` with the sender of the last private message.
    ExpandReply,
    /// Suspend the program, as Ctrl+Z does.
    Suspend,
    /// Leave.
    Leave,
}

/// The interactive user interface of a terminal.
#[derive(Debug)]
pub struct LineUi {
    raw_mode: RawModeGuard,
    state: State,
    keys: Keys,
    unmarked: UnmarkedPaste,
    /// When the terminal last sent something.
    last_byte: Option<Instant>,
    /// Keys that are not handled yet, and when each arrived.
    pending_keys: VecDeque<(Key, Instant)>,
    /// When Ctrl+C last cleared the line.
    cleared_at: Option<Instant>,
    editor: Editor,
    /// The text in the editor contains pasted text.
    has_paste: bool,
    screen: Screen,
    backlog: Backlog,
    name: String,
    has_colors: bool,
    has_bell: bool,
    /// The next draw rings the bell.
    rings: bool,
    /// The prompt or the typed line has changed since it was drawn.
    is_stale: bool,
    /// The size of the terminal at the last check.
    size: Size,
    sizing: Sizing,
    /// While suspended: when to check whether the program is in the foreground again.
    next_check: Option<Instant>,
}

/// The state of the user interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The terminal is in raw mode, and the prompt is shown.
    Active,
    /// Stopped or in the background: another program uses the terminal.
    Suspended,
    /// The input has ended: the rest of the conversation is written without a prompt.
    Finished,
}

/// Whether the terminal still has the size for which the prompt was drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sizing {
    /// The size is the same.
    Same,
    /// The size has just changed and may change again: nothing is drawn before `until`.
    Changing { until: Instant },
    /// The size has changed: the prompt must be erased before the next draw.
    Changed,
}

/// The hint after Ctrl+C has cleared the line, or ended a search or a question.
const CLEARED: &str = "Ctrl+C leaves when the line is empty, and so does Ctrl+D";

/// The hint after a second Ctrl+C within [`INTERRUPT_GRACE`].
const NOT_LEFT: &str = "still here: Ctrl+C cleared the line just now; press it once more to leave";

/// Options for drawing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawOptions {
    /// Whether to use colours.
    pub has_colors: bool,
    /// Whether to ring the bell.
    pub has_bell: bool,
    /// Whether the terminal rewraps rows when it becomes narrower.
    pub reflows: bool,
}

impl LineUi {
    /// Enables raw mode, or starts suspended if the program is in the background.
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

    /// Whether this program reads the terminal: it is neither suspended nor finished.
    #[must_use]
    pub fn owns_terminal(&self) -> bool {
        self.state == State::Active
    }

    /// Whether keys wait to be handled.
    #[must_use]
    pub fn has_keys(&self) -> bool {
        !self.pending_keys.is_empty()
    }

    /// Handles bytes from the terminal.
    pub fn handle_bytes(&mut self, bytes: &[u8], now: Instant) {
        if bytes.is_empty() {
            return;
        }
        self.last_byte = Some(now);
        let mut keys = Vec::new();
        self.keys.receive(bytes, |key| keys.push(key));
        self.unmarked.receive(&keys, |key| self.pending_keys.push_back((key, now)));
    }

    /// When an unfinished sequence or paste expires.
    #[must_use]
    pub fn keys_deadline(&self) -> Option<Instant> {
        let is_unfinished = self.keys.is_unfinished() || self.unmarked.is_unfinished();
        Some(self.last_byte? + SEQUENCE_TIMEOUT).filter(|_| is_unfinished && self.state == State::Active)
    }

    /// Ends an unfinished sequence or paste whose deadline has passed. The caller must have read all bytes that
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

    /// The next action of the user, until `None`.
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
                // The second key of a double press may have been meant to clear the line, too.
                Outcome::Interrupt
                    if self.cleared_at.is_some_and(|cleared| at < cleared + INTERRUPT_GRACE) =>
                {
                    return Some(UserAction::Hint(NOT_LEFT.into()));
                }
                Outcome::Interrupt => {
                    // The shell would run the rest of the input as commands.
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

    /// Clears the screen with the next draw.
    pub fn clear(&mut self) {
        self.screen.clear();
        self.is_stale = true;
    }

    /// Completes the text before the cursor. Returns whether the text is `/reply ` now.
    pub fn complete(&mut self, known: Known<'_>) -> bool {
        let completion = tab_completion::complete(self.editor.text(), self.editor.cursor(), known);
        let outcome = completion.map_or(Outcome::Bell, |completion| self.editor.offer(completion));
        if outcome == Outcome::Bell {
            self.ring();
        }
        outcome == Outcome::ExpandReply
    }

    /// Puts a refused line back into the editor, unless the user has typed something since; the history has it
    /// in any case.
    pub fn restore_draft(&mut self, line: String, source: Source) {
        if self.pending_keys.is_empty() {
            self.editor.restore(line);
            self.has_paste = source == Source::Verbatim;
            self.is_stale = true;
        }
    }

    /// Replaces the text in the editor.
    pub fn replace_text(&mut self, text: String) {
        self.editor.replace_text(text);
        self.is_stale = true;
    }

    /// The size of the terminal.
    #[must_use]
    pub fn size(&self) -> Size {
        self.screen.size()
    }

    /// Queues whole lines to be shown above the prompt.
    pub fn push(&mut self, lines: &[u8]) {
        self.backlog.push(lines);
    }

    /// Rings the bell with the next draw, if the bell is enabled.
    pub fn ring(&mut self) {
        self.rings |= self.has_bell;
    }

    /// Changes the user's name.
    pub fn set_name(&mut self, name: String) {
        self.name = name;
        self.is_stale = true;
    }

    /// The number of bytes that are queued and not yet drawn.
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

    /// Draws queued lines, at most [`DRAW_TURN_BYTES`], and the prompt.
    pub fn draw(&mut self, now: Instant, out: &mut Vec<u8>) {
        if self.has_more() {
            // SIGWINCH may not have been handled yet.
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
            let sentence = format!("--- {skipped} lines were skipped: the terminal is too slow ---\n");
            lines.splice(..0, sentence.into_bytes());
        }
        let mut above = Vec::new();
        wrap::push_wrapped(&lines, self.size.columns, &mut above);
        match self.state {
            State::Finished => out.append(&mut above),
            State::Active | State::Suspended => self.draw_line(&above, out),
        }
    }

    /// Draws rows, and the prompt and the typed line below them.
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

    /// Reads the size of the terminal, which may have changed.
    pub fn resize(&mut self, now: Instant) {
        let size = self.raw_mode.size();
        if size != mem::replace(&mut self.size, size) && self.state == State::Active {
            self.sizing = Sizing::Changing { until: now + RESIZE_SETTLE_TIME };
        }
    }

    /// Erases a prompt that was drawn for another size. Only in state `Active`.
    fn settle(&mut self, out: &mut Vec<u8>) {
        let size = self.raw_mode.size();
        let is_other = size != mem::replace(&mut self.size, size);
        let was_other = mem::replace(&mut self.sizing, Sizing::Same) != Sizing::Same;
        if is_other || was_other {
            self.screen.resize(size, out);
            self.is_stale = true;
        }
    }

    /// Erases the prompt, before [`suspend`](Self::suspend).
    pub fn erase(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Active {
            self.settle(out);
            self.screen.erase(out);
        }
    }

    /// Disables raw mode until [`resume`](Self::resume).
    pub fn suspend(&mut self) {
        if self.state == State::Active {
            self.state = State::Suspended;
            self.raw_mode.disable();
        }
    }

    /// Handles SIGCONT. The program may have been stopped by SIGSTOP, without a call of
    /// [`suspend`](Self::suspend), and another program may have used the terminal.
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

    /// Handles the deadline: ends the wait for a stable size, or checks whether the program is in the
    /// foreground again.
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

    /// When [`handle_time`](Self::handle_time) is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match (self.state, self.sizing) {
            (State::Suspended, _) => self.next_check,
            (State::Active, Sizing::Changing { until }) => Some(until),
            (State::Active | State::Finished, _) => None,
        }
    }

    /// Enables raw mode again, if the program is in the foreground.
    pub fn resume(&mut self) {
        if self.state == State::Suspended && self.raw_mode.enable() {
            self.state = State::Active;
            (self.size, self.sizing) = (self.raw_mode.size(), Sizing::Same);
            self.screen.restart(self.size);
            self.is_stale = true;
        }
    }

    /// Finishes: disables raw mode. An unfinished line stays visible.
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

    /// The prompt: the user's name, the state of a search, or a question.
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

/// The question whether to insert a paste: its size, its first and last line, and the keys, in rows of so
/// many columns.
fn paste_prompt(pasted: &Pasted, columns: usize) -> String {
    let (lines, characters) = (grouped(pasted.lines), grouped(pasted.characters));
    let plural = if pasted.lines == 1 { "" } else { "s" };
    let first = pasted.text.lines().map(shown).find(|line| !line.is_empty()).unwrap_or_default();
    let last = pasted.text.lines().rev().map(shown).find(|line| !line.is_empty()).unwrap_or_default();
    // Each row holds two texts and 9 cells of quotation marks and dots.
    let each_max = columns.saturating_sub(9) / 2;
    let begin = cut_to_columns(&first, each_max);
    let end = cut_to_last_columns(&last, each_max);
    format!(
        "Paste of {lines} line{plural}, {characters} characters:\n\
         \"{begin}\" ... \"{end}\"\n\
         y inserts it, n or Esc drops it. "
    )
}

/// A line, sanitized and trimmed.
fn shown(line: &str) -> String {
    sanitized(line.trim())
}

/// The longest suffix of `text` that takes at most so many cells.
fn cut_to_last_columns(text: &str, columns_max: usize) -> &str {
    let mut columns = 0;
    let fits = |(_, cluster): &(usize, &str)| {
        columns += columns_at_most(cluster);
        columns <= columns_max
    };
    text.grapheme_indices(true).rev().take_while(fits).last().map_or("", |(at, _)| &text[at..])
}

/// A number with commas between groups of three digits.
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
