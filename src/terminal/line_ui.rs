//! The user at a terminal: keys in, and out what is seen, with the typed line whole below the
//! conversation. It reads and writes nothing itself.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::mem;
use std::time::Instant;

use super::backlog::Backlog;
use super::editor::{Editor, Mode, Outcome};
use super::keys::{Key, Keys};
use super::layout::{Line, Size, columns_at_most, cut_to_columns};
use super::palette::{OFF, OWN};
use super::raw_mode::RawModeGuard;
use super::screen::Screen;
use super::tab_completion::{self, Known};
use super::wrap;
use crate::limits::{DRAW_TURN_BYTES, FOREGROUND_POLL_INTERVAL, RESIZE_SETTLE_TIME};

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum UserAction<'a> {
    /// This line, said or obeyed.
    Line(Cow<'a, str>),
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
    claim: RawModeGuard,
    state: State,
    keys: Keys,
    /// What was typed and not yet taken.
    pressed: VecDeque<Key>,
    editor: Editor,
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
    look_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The terminal is ours.
    Here,
    /// Stopped or in the background: it is somebody else's.
    Away,
    /// The user has left: what is still to be shown stands for itself.
    Over,
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
    pub fn new(claim: RawModeGuard, name: String, manner: DrawOptions) -> Self {
        let DrawOptions { has_colors, has_bell, reflows } = manner;
        let state = if claim.take() { State::Here } else { State::Away };
        let size = claim.size();
        let screen = Screen::new(size, reflows);
        Self {
            claim,
            state,
            keys: Keys::default(),
            pressed: VecDeque::new(),
            editor: Editor::default(),
            screen,
            backlog: Backlog::default(),
            name,
            has_colors,
            has_bell,
            rings: false,
            is_stale: true,
            size,
            sizing: Sizing::Same,
            look_at: None,
        }
    }

    /// Whether what is typed is for us.
    #[must_use]
    pub fn is_here(&self) -> bool {
        self.state == State::Here
    }

    /// Whether something was typed that nobody has taken.
    #[must_use]
    pub fn has_typed(&self) -> bool {
        !self.pressed.is_empty()
    }

    /// Takes in what the terminal sent.
    pub fn handle_bytes(&mut self, bytes: &[u8]) {
        let pressed = &mut self.pressed;
        self.keys.receive(bytes, |key| pressed.push_back(key));
    }

    /// The next thing that the user wants, until `None`.
    pub fn poll(&mut self) -> Option<UserAction<'static>> {
        while let Some(key) = self.pressed.pop_front() {
            self.is_stale = true;
            match self.editor.press(key) {
                Outcome::Nothing => (),
                Outcome::Say(text) => return Some(UserAction::Line(text.into())),
                Outcome::Complete => return Some(UserAction::Complete),
                Outcome::ExpandReply => return Some(UserAction::ExpandReply),
                Outcome::Suspend => return Some(UserAction::Suspend),
                Outcome::Leave => return Some(UserAction::Leave),
                Outcome::Cleared => {
                    return Some(UserAction::Hint("Ctrl+C leaves when the line is empty".into()));
                }
                Outcome::Redraw => self.screen.clear(),
                Outcome::Bell => self.ring(),
                Outcome::Refused(why) => return Some(UserAction::Hint(why.into())),
            }
        }
        None
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
    pub fn restore_draft(&mut self, line: String) {
        if self.pressed.is_empty() {
            self.editor.restore(line);
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
        is_new && is_settled && self.state == State::Here
            || !self.backlog.is_empty() && self.state == State::Over
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
        self.settle(out);
        let mut lines = Vec::new();
        let skipped = self.backlog.take(DRAW_TURN_BYTES, &mut lines);
        if skipped > 0 {
            let sentence = format!("--- {skipped} lines were skipped: the terminal took too little ---\n");
            lines.splice(..0, sentence.into_bytes());
        }
        let mut above = Vec::new();
        wrap::push_wrapped(&lines, self.size.columns, &mut above);
        match self.state {
            State::Over => out.append(&mut above),
            State::Here | State::Away => self.draw_line(&above, out),
        }
    }

    /// Draws rows, and the line below.
    fn draw_line(&mut self, above: &[u8], out: &mut Vec<u8>) {
        let prompt = self.prompt();
        let style = if self.has_colors { (OWN, OFF) } else { ("", "") };
        let (text, cursor) = (self.editor.text(), self.editor.cursor());
        self.screen.draw(above, &Line { prompt: &prompt, style, text, cursor }, out);
        self.is_stale = false;
        if mem::take(&mut self.rings) {
            out.push(b'\x07');
        }
    }

    /// The terminal may have another size.
    pub fn resize(&mut self, now: Instant) {
        let size = self.claim.size();
        if size != mem::replace(&mut self.size, size) && self.state == State::Here {
            self.sizing = Sizing::Changing { until: now + RESIZE_SETTLE_TIME };
        }
    }

    /// Takes away what was drawn for another size.
    fn settle(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Here && mem::replace(&mut self.sizing, Sizing::Same) != Sizing::Same {
            self.screen.resize(self.size, out);
            self.is_stale = true;
        }
    }

    /// Takes the line away, before [`stop`](Self::stop).
    pub fn erase(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Here {
            self.settle(out);
            self.screen.erase(out);
        }
    }

    /// Gives the terminal to somebody else for a while.
    pub fn stop(&mut self) {
        if self.state == State::Here {
            self.state = State::Away;
            self.claim.release();
        }
    }

    /// We were stopped, perhaps without being told, and go on: by now the terminal may be somebody else's,
    /// or may have been.
    pub fn go_on(&mut self, out: &mut Vec<u8>) {
        match self.state {
            State::Here if self.claim.renew() => {
                self.settle(out);
                self.screen.erase(out);
                self.is_stale = true;
            }
            State::Here => self.state = State::Away,
            State::Away => self.resume(),
            State::Over => (),
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
        if self.state != State::Away {
            self.look_at = None;
        } else if self.look_at.is_none_or(|at| now >= at) {
            self.resume();
            self.look_at = Some(now + FOREGROUND_POLL_INTERVAL);
        }
    }

    /// When that is to be done.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match (self.state, self.sizing) {
            (State::Away, _) => self.look_at,
            (State::Here, Sizing::Changing { until }) => Some(until),
            (State::Here | State::Over, _) => None,
        }
    }

    /// Takes the terminal back, if it is ours again.
    pub fn resume(&mut self) {
        if self.state == State::Away && self.claim.take() {
            self.state = State::Here;
            (self.size, self.sizing) = (self.claim.size(), Sizing::Same);
            self.screen.begin_anew(self.size);
            self.is_stale = true;
        }
    }

    /// The user leaves: the terminal is as it was before, and a line that was begun stays to be seen.
    pub fn leave(&mut self, out: &mut Vec<u8>) {
        if self.state == State::Here {
            self.settle(out);
            if self.editor.text().is_empty() {
                self.screen.erase(out);
            } else {
                self.draw_line(b"", out);
                self.screen.leave_behind(out);
            }
        }
        self.claim.release();
        self.state = State::Over;
    }

    /// What stands before the line: who speaks, or what is asked.
    fn prompt(&self) -> String {
        let columns_max = (self.screen.size().columns / 2).max(1);
        match self.editor.mode() {
            Mode::Ordinary if columns_at_most(&self.name) + 2 > columns_max => {
                format!("{}~> ", cut_to_columns(&self.name, columns_max.saturating_sub(3)))
            }
            Mode::Ordinary => format!("{}> ", self.name),
            Mode::Search { pattern, is_found: true } => format!("(search) {pattern}: "),
            Mode::Search { pattern, is_found: false } => format!("(not found) {pattern}: "),
            Mode::Confirm { lines } => format!("Take these {lines} lines as one message? (y/n) "),
        }
    }
}
