//! The line editor: keys go in, an [`Outcome`] for each comes out. It does not draw and does no I/O.
//!
//! The cursor moves by grapheme clusters, so that what looks like one character is one. The key bindings are
//! those of Emacs and readline.

mod history;
mod menu;
mod motion;
mod search;

use std::mem;

use super::keys::Key;
use crate::limits::{MESSAGE_BYTES_MAX, PASTE_CHARACTERS_ASK, PASTE_LINES_ASK, UNDO_MAX};
use history::History;
use menu::Menu;
use motion::{
    blank_before, cluster_after, cluster_before, cluster_end, count_lines, word_after, word_before,
};
use search::Search;

/// The result of a key: what the caller has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Redraw the line.
    Nothing,
    /// Handle this submitted line. The editor is empty again.
    Submit(String),
    /// Complete the text before the cursor.
    Complete,
    /// Replace the `/reply ` that was just typed by the command with the recipient's name.
    ExpandReply,
    /// Show a hint: Ctrl+C has cleared the line, or ended a search or a question.
    Cleared,
    /// Leave.
    Leave,
    /// Leave at once, by Ctrl+C: further input is discarded.
    Interrupt,
    /// Suspend the program.
    Suspend,
    /// Clear the screen and redraw.
    Redraw,
    /// Ring the bell: the key had no effect.
    Bell,
    /// Show why a paste was refused.
    Refused(String),
}

/// The mode of the editor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode<'a> {
    /// The line is edited.
    Ordinary,
    /// The history is searched; the line shows the match.
    Search {
        /// The search pattern.
        pattern: &'a str,
        /// Whether the pattern was found; if not, the line shows the previous match.
        is_found: bool,
        /// Whether the search goes from older lines to newer ones.
        is_forward: bool,
    },
    /// A paste waits for confirmation. The line shows the draft without it.
    Confirm(&'a Pasted),
}

/// A paste that waits for confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pasted {
    /// The pasted text; a line break at its end will not be inserted.
    pub text: String,
    /// The number of lines.
    pub lines: usize,
    /// The number of characters.
    pub characters: usize,
}

/// The state of the line editor.
///
/// Invariant: `cursor` is between two grapheme clusters of `text`, which has at most
/// [`MESSAGE_BYTES_MAX`] bytes.
#[derive(Debug, Default)]
pub struct Editor {
    text: String,
    cursor: usize,
    /// Snapshots before each edit, the latest one last; at most [`UNDO_MAX`].
    undo: Vec<Snapshot>,
    /// The text of the last kill, for Ctrl+Y.
    killed: String,
    /// The kind of the previous edit, and of the current one.
    last: EditKind,
    now: EditKind,
    history: History,
    search: Option<Search>,
    pasted: Option<Pasted>,
    menu: Option<Menu>,
    /// The last key was Ctrl+X, the prefix of Ctrl+X Ctrl+U.
    has_prefix: bool,
}

#[derive(Clone, Debug, Default)]
struct Snapshot {
    text: String,
    cursor: usize,
}

/// The kind of an edit. Consecutive edits of one kind are undone together, and consecutive kills are yanked
/// together; each `Other` is undone alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum EditKind {
    #[default]
    Other,
    Type,
    Delete,
    Kill,
}

impl Editor {
    /// The text of the line; during a search, the match.
    #[must_use]
    pub fn text(&self) -> &str {
        self.found().unwrap_or(&self.text)
    }

    /// The position of the cursor in [`text`](Self::text), in bytes.
    #[must_use]
    pub fn cursor(&self) -> usize {
        match &self.search {
            Some(search) if self.found().is_some() => search.cursor(),
            _ => self.cursor,
        }
    }

    /// The mode of the editor.
    #[must_use]
    pub fn mode(&self) -> Mode<'_> {
        if let Some(pasted) = &self.pasted {
            return Mode::Confirm(pasted);
        }
        match &self.search {
            Some(search) => Mode::Search {
                pattern: search.pattern(),
                is_found: search.is_found(),
                is_forward: search.is_forward(),
            },
            None => Mode::Ordinary,
        }
    }

    /// Handles a key.
    pub fn press(&mut self, key: Key) -> Outcome {
        if let Some(pasted) = self.pasted.take() {
            return self.confirm(pasted, &key);
        }
        if let Some(search) = self.search.take()
            && let Some(outcome) = self.handle_search_key(search, &key)
        {
            return outcome;
        }
        if let Some(menu) = self.menu.take()
            && let Some(outcome) = self.cycle(menu, &key)
        {
            return outcome;
        }
        let has_prefix = mem::take(&mut self.has_prefix);
        if has_prefix && key == Key::Ctrl('u') {
            self.last = EditKind::Other;
            return self.undo();
        }
        self.now = EditKind::Other;
        let outcome = self.edit(key);
        self.last = self.now;
        outcome
    }

    /// Handles a key in ordinary mode.
    fn edit(&mut self, key: Key) -> Outcome {
        let (text, cursor) = (self.text.as_str(), self.cursor);
        match key {
            Key::Char(char) => {
                let outcome = self.insert(char.encode_utf8(&mut [0; 4]), EditKind::Type);
                let is_begun = char == ' ' && self.cursor == self.text.len() && is_reply_begun(&self.text);
                return if outcome == Outcome::Nothing && is_begun { Outcome::ExpandReply } else { outcome };
            }
            Key::LineBreak => return self.insert("\n", EditKind::Type),
            Key::Paste(text) => return self.paste(&text, false),
            Key::UnmarkedPaste(text) => return self.paste(&text, true),
            Key::PasteTooLong(bytes) => {
                let most = MESSAGE_BYTES_MAX;
                return Outcome::Refused(format!(
                    "not pasted: the text has {bytes} bytes; one message has at most {most}"
                ));
            }
            Key::Enter => return self.submit(),
            Key::Tab => return Outcome::Complete,
            Key::BackTab | Key::Ctrl('g') => return Outcome::Bell,
            Key::Ctrl('c') => return self.interrupt(),
            Key::Ctrl('d') if text.is_empty() => return Outcome::Leave,
            Key::Ctrl('z') => return Outcome::Suspend,
            Key::Ctrl('l') => return Outcome::Redraw,
            Key::Ctrl('_') => return self.undo(),
            Key::Ctrl('y') => return self.insert(&self.killed.clone(), EditKind::Other),
            Key::Ctrl('t') => return self.transpose(),
            Key::Ctrl('r') => self.search = Some(Search::backward(&self.history)),
            Key::Ctrl('s') => self.search = Some(Search::forward(&self.history)),
            Key::Ctrl('x') => self.has_prefix = true,
            Key::Up | Key::Ctrl('p') => return self.step_history(History::older),
            Key::Down | Key::Ctrl('n') => return self.step_history(History::newer),
            Key::Left | Key::Ctrl('b') => self.cursor = cluster_before(text, cursor),
            Key::Right | Key::Ctrl('f') => self.cursor = cluster_after(text, cursor),
            Key::WordLeft | Key::Alt('b') => self.cursor = word_before(text, cursor),
            Key::WordRight | Key::Alt('f') => self.cursor = word_after(text, cursor),
            Key::Home | Key::Ctrl('a') => self.cursor = 0,
            Key::End | Key::Ctrl('e') => self.cursor = text.len(),
            Key::Backspace | Key::Ctrl('h') => {
                return self.remove(cluster_before(text, cursor), cursor, EditKind::Delete);
            }
            Key::Delete | Key::Ctrl('d') => {
                return self.remove(cursor, cluster_after(text, cursor), EditKind::Delete);
            }
            Key::WordBackspace => return self.remove(word_before(text, cursor), cursor, EditKind::Kill),
            Key::Alt('d') => return self.remove(cursor, word_after(text, cursor), EditKind::Kill),
            Key::Ctrl('w') => return self.remove(blank_before(text, cursor), cursor, EditKind::Kill),
            Key::Ctrl('u') => return self.remove(0, cursor, EditKind::Kill),
            Key::Ctrl('k') => return self.remove(cursor, text.len(), EditKind::Kill),
            Key::Ctrl(_) | Key::Alt(_) | Key::Escape => (),
        }
        Outcome::Nothing
    }

    /// Records a snapshot for undo, unless the edit continues one of the same kind.
    fn record_undo(&mut self, step: EditKind) {
        self.now = step;
        if step == EditKind::Other || step != self.last {
            if self.undo.len() == UNDO_MAX {
                self.undo.remove(0);
            }
            self.undo.push(Snapshot { text: self.text.clone(), cursor: self.cursor });
        }
    }

    fn insert(&mut self, text: &str, step: EditKind) -> Outcome {
        if text.is_empty() || self.text.len() + text.len() > MESSAGE_BYTES_MAX {
            return Outcome::Bell;
        }
        self.record_undo(step);
        self.text.insert_str(self.cursor, text);
        self.move_to(self.cursor + text.len());
        Outcome::Nothing
    }

    /// Moves the cursor to `at`, or to the end of the cluster around it: inserted text may have joined its
    /// neighbours to one cluster.
    fn move_to(&mut self, at: usize) {
        self.cursor = cluster_end(&self.text, at);
    }

    fn remove(&mut self, from: usize, to: usize, step: EditKind) -> Outcome {
        if from == to {
            // An empty kill keeps the text of the last one.
            return Outcome::Bell;
        }
        let is_kill = step == EditKind::Kill;
        let continues_kill = is_kill && self.last == EditKind::Kill;
        // Each kill is undone alone.
        self.last = if is_kill { EditKind::Other } else { self.last };
        self.record_undo(step);
        let removed: String = self.text.drain(from..to).collect();
        if is_kill {
            match (continues_kill, from < self.cursor) {
                (false, _) => self.killed = removed,
                (true, true) => self.killed.insert_str(0, &removed),
                (true, false) => self.killed.push_str(&removed),
            }
        }
        self.move_to(from);
        Outcome::Nothing
    }

    /// Swaps the clusters before and after the cursor; at the end of the line, the last two.
    fn transpose(&mut self) -> Outcome {
        let middle = if self.cursor == self.text.len() {
            cluster_before(&self.text, self.cursor)
        } else {
            self.cursor
        };
        let (from, to) = (cluster_before(&self.text, middle), cluster_after(&self.text, middle));
        if from == middle || to == middle {
            return Outcome::Bell;
        }
        self.record_undo(EditKind::Other);
        let swapped = [&self.text[middle..to], &self.text[from..middle]].concat();
        self.text.replace_range(from..to, &swapped);
        self.move_to(to);
        Outcome::Nothing
    }

    fn undo(&mut self) -> Outcome {
        let Some(Snapshot { text, cursor }) = self.undo.pop() else { return Outcome::Bell };
        (self.text, self.cursor) = (text, cursor);
        Outcome::Nothing
    }

    /// Handles Ctrl+C.
    fn interrupt(&mut self) -> Outcome {
        if self.text.is_empty() {
            return Outcome::Interrupt;
        }
        self.record_undo(EditKind::Other);
        self.set_text(String::new());
        self.history.reset();
        Outcome::Cleared
    }

    /// Submits the line and starts an empty one.
    fn submit(&mut self) -> Outcome {
        let line = mem::take(&mut self.text);
        self.cursor = 0;
        self.undo.clear();
        self.history.reset();
        self.history.add(&line);
        Outcome::Submit(line)
    }

    /// Puts back a line that was submitted and refused, if the editor is empty. The history has it in any
    /// case.
    pub fn restore(&mut self, line: String) {
        self.history.add_refused(&line);
        if self.text.is_empty() && self.pasted.is_none() {
            self.replace_text(line);
        }
    }

    /// Replaces the whole line, as one edit that can be undone. Does nothing if `text` is longer than
    /// [`MESSAGE_BYTES_MAX`].
    pub fn replace_text(&mut self, text: String) {
        if text.len() <= MESSAGE_BYTES_MAX {
            self.last = EditKind::Other;
            self.record_undo(EditKind::Other);
            self.set_text(text);
        }
    }

    fn set_text(&mut self, text: String) {
        self.cursor = text.len();
        self.text = text;
    }

    fn step_history(&mut self, step: fn(&mut History, &str) -> Option<String>) -> Outcome {
        let Some(text) = step(&mut self.history, &self.text) else { return Outcome::Bell };
        self.record_undo(EditKind::Other);
        self.set_text(text);
        Outcome::Nothing
    }

    /// Inserts a paste, after a question if it is long or `must_confirm`.
    fn paste(&mut self, pasted: &str, must_confirm: bool) -> Outcome {
        let text = pasted.strip_suffix('\n').unwrap_or(pasted);
        if self.text.len() + text.len() > MESSAGE_BYTES_MAX {
            let most = MESSAGE_BYTES_MAX;
            return Outcome::Refused(format!(
                "not pasted: with this text, the message has more than {most} bytes"
            ));
        }
        let (lines, characters) = (count_lines(text), text.chars().count());
        if must_confirm || lines >= PASTE_LINES_ASK || characters >= PASTE_CHARACTERS_ASK {
            self.pasted = Some(Pasted { text: pasted.to_owned(), lines, characters });
            return Outcome::Nothing;
        }
        self.insert(text, EditKind::Other)
    }

    /// Handles a key while a paste waits for confirmation.
    fn confirm(&mut self, pasted: Pasted, key: &Key) -> Outcome {
        match key {
            Key::Char('y' | 'Y') => {
                let text = pasted.text.strip_suffix('\n').unwrap_or(&pasted.text);
                return self.insert(text, EditKind::Other);
            }
            // The rest of the paste: a slow terminal sends it in pieces.
            Key::Paste(more) | Key::UnmarkedPaste(more) => return self.paste(&(pasted.text + more), true),
            Key::Char('n' | 'N') | Key::Escape | Key::Ctrl('g' | 'd') => return Outcome::Nothing,
            Key::Ctrl('c') => return Outcome::Cleared,
            _ => self.pasted = Some(pasted),
        }
        Outcome::Bell
    }

    /// The matching line, during a search.
    fn found(&self) -> Option<&str> {
        self.history.searched_line(self.search.as_ref()?.found()?)
    }

    /// Handles a key during a search. `None` if the key ends the search and is to be handled as usual.
    fn handle_search_key(&mut self, mut search: Search, key: &Key) -> Option<Outcome> {
        let is_found = match key {
            Key::Char(char) => search.push(*char, &self.history),
            Key::Backspace | Key::Ctrl('h') => search.pop(&self.history),
            Key::Ctrl('r') => search.older(&self.history),
            Key::Ctrl('s') => search.newer(&self.history),
            // The draft is unchanged.
            Key::Escape | Key::Ctrl('g') => return Some(Outcome::Nothing),
            Key::Ctrl('c') => return Some(Outcome::Cleared),
            _ => {
                if let Some(line) = search.found().and_then(|index| self.history.searched_line(index)) {
                    let (line, cursor) = (line.to_owned(), search.cursor());
                    self.history.keep_draft(&self.text);
                    self.last = EditKind::Other;
                    self.record_undo(EditKind::Other);
                    self.text = line;
                    self.move_to(cursor);
                }
                return None;
            }
        };
        self.search = Some(search);
        Some(if is_found { Outcome::Nothing } else { Outcome::Bell })
    }
}

/// Whether `text` is `/reply ` or `/r `.
fn is_reply_begun(text: &str) -> bool {
    let word = text.trim_start().strip_prefix(['/', '\u{ff0f}']).and_then(|rest| rest.strip_suffix(' '));
    word.is_some_and(|word| ["reply", "r"].iter().any(|name| word.eq_ignore_ascii_case(name)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::tab_completion::Completion;

    /// Keys as a text: `<C-a>` is a with Ctrl, `<M-b>` b with Alt, and other keys have their names.
    fn keys(text: &str) -> Vec<Key> {
        let mut keys = Vec::new();
        let mut rest = text;
        while let Some(char) = rest.chars().next() {
            let named = rest.strip_prefix('<').and_then(|rest| rest.split_once('>'));
            let (key, after) = match named {
                Some((name, after)) => (named_key(name), after),
                None => (Key::Char(char), &rest[char.len_utf8()..]),
            };
            keys.push(key);
            rest = after;
        }
        keys
    }

    fn named_key(name: &str) -> Key {
        let last = name.chars().next_back().expect("a name");
        match name {
            "Enter" => Key::Enter,
            "Break" => Key::LineBreak,
            "Esc" => Key::Escape,
            "Tab" => Key::Tab,
            "BackTab" => Key::BackTab,
            "Bs" => Key::Backspace,
            "M-Bs" => Key::WordBackspace,
            "Del" => Key::Delete,
            "Left" => Key::Left,
            "Right" => Key::Right,
            "C-Left" => Key::WordLeft,
            "C-Right" => Key::WordRight,
            "Up" => Key::Up,
            "Down" => Key::Down,
            "Home" => Key::Home,
            "End" => Key::End,
            _ if name.starts_with("C-") => Key::Ctrl(last),
            _ if name.starts_with("M-") => Key::Alt(last),
            _ => panic!("no key {name}"),
        }
    }

    fn press_all(editor: &mut Editor, text: &str) -> Outcome {
        keys(text).into_iter().fold(Outcome::Nothing, |_, key| editor.press(key))
    }

    fn shown(editor: &Editor) -> String {
        let (text, cursor) = (editor.text(), editor.cursor());
        format!("{}|{}", &text[..cursor], &text[cursor..])
    }

    /// `|` is the cursor.
    #[track_caller]
    fn check(pressed: &str, expected: &str) {
        let mut editor = Editor::default();
        press_all(&mut editor, pressed);
        assert_eq!(shown(&editor), expected, "after {pressed}");
    }

    #[track_caller]
    fn check_outcome(pressed: &str, expected: Outcome) {
        assert_eq!(press_all(&mut Editor::default(), pressed), expected, "after {pressed}");
    }

    #[test]
    fn the_cursor_moves() {
        check("abc", "abc|");
        check("abc<Left>", "ab|c");
        check("abc<Left><Left><C-f>", "ab|c");
        check("abc<C-a>", "|abc");
        check("abc<Home><End>", "abc|");
        check("abc<Home><Left>", "|abc");
        check("one two  three<M-b>", "one two  |three");
        check("one two  three<C-Left><C-Left>", "one |two  three");
        check("one two  three<Home><M-f><M-f>", "one two|  three");
        check("one, two<Home><C-Right><C-Right>", "one, two|");
    }

    #[test]
    fn characters_go_as_they_look() {
        let family = "\u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}";
        check(&format!("a{family}b<Left><Left>"), &format!("a|{family}b"));
        check(&format!("a{family}<Bs>"), "a|");
        check("e\u{301}<Bs>", "|");
        check("ae\u{301}<Left><Del>", "a|");
        // What is typed may join what is beside it.
        check("\u{1f1e9}\u{1f1ea}<Home>\u{1f1eb}", "\u{1f1eb}\u{1f1e9}|\u{1f1ea}");
        check("x<Home>e<Home>\u{301}", "\u{301}|ex");
        check("\u{1f469}\u{1f467}<Left>\u{200d}", "\u{1f469}\u{200d}\u{1f467}|");
    }

    #[test]
    fn words_and_lines_are_removed_and_come_back() {
        check("one two three<C-w>", "one two |");
        check("one two three <C-w><C-w>", "one |");
        check("one two three<C-w><C-w><C-y>", "one two three|");
        check("one two<C-u>", "|");
        check("one two<M-b><C-u>", "|two");
        check("one two<M-b><C-k><C-y><C-y>", "one twotwo|");
        check("one-two<M-Bs>", "one-|");
        check("one two<Home><M-d><M-d><C-e><C-y>", "one two|");
        check("one<C-w>x<C-w><C-y>", "x|");
        check("abc<Home><C-d><Del>", "|c");
        check("abc<C-h>", "ab|");
    }

    #[test]
    fn characters_change_places() {
        check("abc<C-t>", "acb|");
        check("abc<Left><C-t>", "acb|");
        check("abc<Left><Left><C-t>", "ba|c");
        check_outcome("a<C-t>", Outcome::Bell);
        check_outcome("abc<Home><C-t>", Outcome::Bell);
    }

    #[test]
    fn steps_are_undone() {
        check("one<C-w><C-_>", "one|");
        check("one two<C-w><C-w><C-_>", "one |");
        check("one two<C-w><C-w><C-_><C-_>", "one two|");
        check("abc<Left>x<C-_>", "ab|c");
        check("abc<Left>x<C-_><C-_>", "|");
        check("abc<Bs><Bs><C-_>", "abc|");
        check("abc<C-c><C-_>", "abc|");
        check_outcome("<C-_>", Outcome::Bell);
        check("one<C-w><C-x><C-u>", "one|");
        check("abc<Left>x<C-x><C-u><C-x><C-u>", "|");
        check("abc<C-x>d<C-u>", "|");
        check_outcome("<C-x><C-u>", Outcome::Bell);
    }

    #[test]
    fn a_line_break_is_typed() {
        check("one<Break>two", "one\ntwo|");
        check("one<Left><Break>", "on\n|e");
        check("one<Break>two<C-_>", "|");
        check_outcome("one<Break>two<Enter>", Outcome::Submit("one\ntwo".into()));
    }

    #[test]
    fn lines_come_back() {
        check("one<Enter>two<Enter><Up>", "two|");
        check("one<Enter>two<Enter>dra<Up><Up><Down><Down>", "dra|");
        check("one<Enter>two<Enter><Up>x<Up>y<Down>", "twox|");
        check("one<Enter>two<Enter><Up>x<Enter><Up><Up>", "two|");
        check("one<Enter>one<Enter><Up><Up>", "one|");
        check("<Enter>dra<Up>", "dra|");
        check_outcome("one<Enter><Up>!<Enter>", Outcome::Submit("one!".into()));
        check_outcome("one<Enter><Down>", Outcome::Bell);
        check_outcome("one<Enter><Up><Up>", Outcome::Bell);
    }

    #[test]
    fn lines_are_searched_for() {
        let before = "first line<Enter>second line<Enter>third<Enter>dra";
        check(&format!("{before}<C-r>line"), "second |line");
        check(&format!("{before}<C-r>line<C-r>"), "first |line");
        check(&format!("{before}<C-r>linex"), "second |line");
        check(&format!("{before}<C-r>linex<Bs><Bs>"), "second |line");
        check(&format!("{before}<C-r>line<C-g>"), "dra|");
        check(&format!("{before}<C-r>line<C-c>"), "dra|");
        check(&format!("{before}<C-r>line<Esc>"), "dra|");
        check(&format!("{before}<C-r>line<Esc>ft"), "draft|");
        check(&format!("{before}<C-s>line"), "first |line");
        check(&format!("{before}<C-s>line<C-s>"), "second |line");
        check(&format!("{before}<C-s>line<C-s><C-r>"), "first |line");
        check(&format!("{before}<C-s>line<C-s><C-s>"), "second |line");
        check(&format!("{before}<C-r>line<C-r><C-s>"), "second |line");
        check(&format!("{before}<C-r><C-s>line<Esc>"), "dra|");
        check(&format!("{before}<C-s>liner<Bs>"), "first |line");
        check(&format!("{before}<C-r>line<C-r><C-s><C-s>x<Bs>"), "first |line");
        check(&format!("{before}<Up><Up><Up><C-s>line"), "second |line");
        check(&format!("{before}<Up><Up><C-s>third<C-e>!"), "third!|");
        check_outcome(&format!("{before}<C-s>line<C-s><C-s>"), Outcome::Bell);
        check_outcome(&format!("{before}<C-s>line<Enter>"), Outcome::Submit("first line".into()));
        check(&format!("{before}<C-r>line<C-e>!"), "second line!|");
        check(&format!("{before}<C-r>line<Left><Down><Down>"), "dra|");
        check(&format!("{before}<C-r>line<C-_>"), "dra|");
        check_outcome(&format!("{before}<C-r>fir<Enter>"), Outcome::Submit("first line".into()));
        check_outcome(&format!("{before}<C-r>linex"), Outcome::Bell);
        check_outcome(&format!("{before}<C-r>line<C-r><C-r>"), Outcome::Bell);
    }

    #[test]
    fn private_lines_are_not_searched_and_come_back_with_up() {
        let before = "one line<Enter>/msg bob line<Enter>/REPLY line<Enter>two line<Enter>/dm x line<Enter>";
        check(&format!("{before}<C-r>line"), "two |line");
        check(&format!("{before}<C-r>line<C-r>"), "one |line");
        check(&format!("{before}<C-s>line<C-s>"), "two |line");
        check_outcome(&format!("{before}<C-r>bob"), Outcome::Bell);
        check(&format!("{before}<Up>"), "/dm x line|");
        check(&format!("{before}<Up><Up><Up>"), "/REPLY line|");
        // A line that was refused may have been meant as a private one.
        let mut editor = Editor::default();
        press_all(&mut editor, "hi<Enter>/mgs bob hi<Enter>");
        editor.restore("/mgs bob hi".into());
        press_all(&mut editor, "<C-r>hi");
        assert_eq!(shown(&editor), "|hi");
    }

    #[test]
    fn the_search_shows_its_pattern() {
        let mut editor = Editor::default();
        press_all(&mut editor, "one<Enter><C-r>on");
        assert_eq!(editor.mode(), Mode::Search { pattern: "on", is_found: true, is_forward: false });
        press_all(&mut editor, "x");
        assert_eq!(editor.mode(), Mode::Search { pattern: "onx", is_found: false, is_forward: false });
        press_all(&mut editor, "<Bs><C-s>");
        assert_eq!(editor.mode(), Mode::Search { pattern: "on", is_found: false, is_forward: true });
        press_all(&mut editor, "<C-g>");
        assert_eq!(editor.mode(), Mode::Ordinary);
    }

    #[test]
    fn keys_have_outcomes() {
        check_outcome("hello<Enter>", Outcome::Submit("hello".into()));
        check_outcome("<Enter>", Outcome::Submit(String::new()));
        check_outcome("<C-d>", Outcome::Leave);
        check_outcome("x<C-d>", Outcome::Bell);
        check_outcome("x<C-c>", Outcome::Cleared);
        check_outcome("x<C-c>y<C-c>", Outcome::Cleared);
        check_outcome("x<C-c><C-c>", Outcome::Interrupt);
        check_outcome("<C-c>", Outcome::Interrupt);
        check_outcome("<C-r><C-c>", Outcome::Cleared);
        check_outcome("<C-s>x<C-c>", Outcome::Cleared);
        check_outcome("<Esc>", Outcome::Nothing);
        check_outcome("x<Esc>", Outcome::Nothing);
        check_outcome("<C-z>", Outcome::Suspend);
        check_outcome("<C-l>", Outcome::Redraw);
        check_outcome("<Tab>", Outcome::Complete);
        check("x<C-c>", "|");
    }

    #[test]
    fn a_paste_of_several_lines_is_one_text() {
        let mut editor = Editor::default();
        press_all(&mut editor, "ab<Left>");
        editor.press(Key::Paste("1\n2\t3\n".into()));
        assert_eq!(shown(&editor), "a1\n2\t3|b");
        press_all(&mut editor, "<C-_>");
        assert_eq!(shown(&editor), "a|b");
    }

    #[test]
    fn a_long_paste_needs_confirmation() {
        let lines = |count: usize| vec!["x"; count].join("\n");
        let mut editor = Editor::default();
        press_all(&mut editor, "ab");
        assert_eq!(editor.press(Key::Paste(lines(PASTE_LINES_ASK - 1) + "\n")), Outcome::Nothing);
        assert_eq!(editor.mode(), Mode::Ordinary);
        press_all(&mut editor, "<C-_>");
        editor.press(Key::Paste(lines(PASTE_LINES_ASK)));
        let text = lines(PASTE_LINES_ASK);
        let characters = text.len();
        assert_eq!(editor.mode(), Mode::Confirm(&Pasted { text, lines: PASTE_LINES_ASK, characters }));
        assert_eq!(press_all(&mut editor, "x"), Outcome::Bell);
        assert_eq!(press_all(&mut editor, "n"), Outcome::Nothing);
        assert_eq!((shown(&editor).as_str(), editor.mode()), ("ab|", Mode::Ordinary));
        editor.press(Key::Paste(lines(PASTE_LINES_ASK)));
        press_all(&mut editor, "y");
        assert_eq!(editor.text(), format!("ab{}", lines(PASTE_LINES_ASK)));
        for (key, expected) in [
            ("<Esc>", Outcome::Nothing),
            ("<C-g>", Outcome::Nothing),
            ("<C-c>", Outcome::Cleared),
            ("N", Outcome::Nothing),
        ] {
            press_all(&mut editor, "<C-u>");
            // Characters count, not bytes.
            editor.press(Key::Paste("\u{e9}".repeat(PASTE_CHARACTERS_ASK - 1)));
            assert_eq!(editor.mode(), Mode::Ordinary);
            press_all(&mut editor, "<C-_>");
            editor.press(Key::Paste("\u{e9}".repeat(PASTE_CHARACTERS_ASK)));
            assert!(matches!(editor.mode(), Mode::Confirm(Pasted { lines: 1, .. })));
            assert_eq!(press_all(&mut editor, key), expected);
            assert_eq!((shown(&editor).as_str(), editor.mode()), ("|", Mode::Ordinary), "{key}");
        }
    }

    #[test]
    fn lines_that_came_at_once_need_confirmation() {
        let mut editor = Editor::default();
        press_all(&mut editor, "ab");
        assert_eq!(editor.press(Key::UnmarkedPaste("1\n2\n".into())), Outcome::Nothing);
        assert!(matches!(editor.mode(), Mode::Confirm(Pasted { lines: 2, characters: 3, .. })));
        press_all(&mut editor, "<Enter><Left>");
        // The rest of it comes later.
        editor.press(Key::UnmarkedPaste("3\n4\n".into()));
        assert!(matches!(editor.mode(), Mode::Confirm(Pasted { lines: 4, characters: 7, .. })));
        press_all(&mut editor, "y");
        assert_eq!(shown(&editor), "ab1\n2\n3\n4|");
        editor.press(Key::UnmarkedPaste("1\n2".into()));
        let refused = editor.press(Key::Paste("x".repeat(MESSAGE_BYTES_MAX)));
        assert!(matches!(refused, Outcome::Refused(_)));
        assert_eq!((shown(&editor).as_str(), editor.mode()), ("ab1\n2\n3\n4|", Mode::Ordinary));
    }

    #[test]
    fn a_refused_line_comes_back() {
        let mut editor = Editor::default();
        press_all(&mut editor, "/mgs bob x<Enter>");
        editor.restore("/mgs bob x".into());
        assert_eq!(shown(&editor), "/mgs bob x|");
        press_all(&mut editor, "<C-u>typed since");
        editor.restore("/mgs bob x".into());
        assert_eq!(shown(&editor), "typed since|");
        press_all(&mut editor, "<Up>");
        assert_eq!(shown(&editor), "/mgs bob x|");
    }

    #[test]
    fn a_reply_is_expanded_as_soon_as_it_is_typed() {
        for begun in ["/reply ", "/r ", "/REPLY ", " /Reply ", "\u{ff0f}reply "] {
            check_outcome(begun, Outcome::ExpandReply);
        }
        for other in ["/reply", "reply ", "/replyx ", "/reply  ", "/reply x ", "x /reply ", "//r ", "/me "] {
            check_outcome(other, Outcome::Nothing);
        }
        check_outcome("/replyx<Left> ", Outcome::Nothing);
        let mut editor = Editor::default();
        press_all(&mut editor, "/reply ");
        editor.replace_text("/msg bob ".into());
        press_all(&mut editor, "hi");
        assert_eq!(shown(&editor), "/msg bob hi|");
        press_all(&mut editor, "<C-_><C-_>");
        assert_eq!(shown(&editor), "/reply |");
    }

    #[test]
    fn what_is_too_long_is_refused_whole() {
        let mut editor = Editor::default();
        press_all(&mut editor, "ab");
        let outcome = editor.press(Key::Paste("x".repeat(MESSAGE_BYTES_MAX - 1)));
        assert!(matches!(&outcome, Outcome::Refused(why) if why.contains("65000")), "{outcome:?}");
        assert!(matches!(editor.press(Key::PasteTooLong(70_000)), Outcome::Refused(_)));
        assert_eq!(shown(&editor), "ab|");
        editor.press(Key::Paste("x".repeat(MESSAGE_BYTES_MAX - 2)));
        press_all(&mut editor, "y");
        assert_eq!(editor.press(Key::Char('x')), Outcome::Bell);
        assert_eq!(editor.text().len(), MESSAGE_BYTES_MAX);
    }

    #[test]
    fn candidates_go_round() {
        let mut editor = Editor::default();
        press_all(&mut editor, "hi b, x<Left><Left><Left>");
        let candidates = vec!["bob ".to_owned(), "bert ".to_owned()];
        editor.offer(Completion { from: 3, candidates });
        assert_eq!(shown(&editor), "hi bob |, x");
        press_all(&mut editor, "<Tab>");
        assert_eq!(shown(&editor), "hi bert |, x");
        press_all(&mut editor, "<Tab><BackTab>");
        assert_eq!(shown(&editor), "hi bert |, x");
        press_all(&mut editor, "y");
        assert_eq!(shown(&editor), "hi bert y|, x");
        assert_eq!(press_all(&mut editor, "<Tab>"), Outcome::Complete);
        press_all(&mut editor, "<C-_><C-_>");
        assert_eq!(shown(&editor), "hi b|, x");
    }
}
