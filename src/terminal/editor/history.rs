//! The history of submitted lines. It is kept in memory only, so that private messages are never on a disk.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::{INPUT_HISTORY_BYTES_MAX, INPUT_HISTORY_LINES_MAX};

/// The submitted lines, and the position of the user among them.
///
/// Invariant: `bytes` is the size of the texts in `lines`. `at` is an index into `lines`, or their count, which
/// stands for the draft.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<Entry>,
    bytes: usize,
    at: Option<usize>,
    /// Edited copies of lines that the user has stepped through, the draft among them, by index.
    edited: BTreeMap<usize, String>,
}

/// A submitted line.
#[derive(Debug)]
struct Entry {
    text: String,
    /// A search may show the line: it does not seem to be private.
    is_searched: bool,
}

impl History {
    /// Adds the newest line, unless it is empty or the same as the last one.
    pub fn add(&mut self, line: &str) {
        if line.is_empty() || self.lines.back().is_some_and(|last| last.text == line) {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(Entry { text: line.to_owned(), is_searched: !is_private(line) });
        while self.lines.len() > INPUT_HISTORY_LINES_MAX || self.bytes > INPUT_HISTORY_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.text.len();
        }
    }

    /// Adds a refused line. It may have been meant as a private message, so no search shows it.
    pub fn add_refused(&mut self, line: &str) {
        self.add(line);
        if let Some(last) = self.lines.back_mut().filter(|last| last.text == line) {
            last.is_searched = false;
        }
    }

    /// Steps to the next older line, and keeps `text`, the current content of the editor.
    pub fn older(&mut self, text: &str) -> Option<String> {
        let at = self.at.unwrap_or(self.lines.len());
        self.go_to(at.checked_sub(1)?, text)
    }

    /// Steps to the next newer line; the newest one is the draft.
    pub fn newer(&mut self, text: &str) -> Option<String> {
        let at = self.at?;
        if at < self.lines.len() { self.go_to(at + 1, text) } else { None }
    }

    fn go_to(&mut self, to: usize, text: &str) -> Option<String> {
        self.edited.insert(self.at.unwrap_or(self.lines.len()), text.to_owned());
        self.at = Some(to);
        self.edited.get(&to).or_else(|| Some(&self.lines.get(to)?.text)).cloned()
    }

    /// Keeps the draft before a search result replaces it.
    pub fn keep_draft(&mut self, draft: &str) {
        if self.at.is_none() {
            self.older(draft);
        }
    }

    /// Returns to an empty draft and drops all edited copies.
    pub fn reset(&mut self) {
        self.at = None;
        self.edited.clear();
    }

    /// The line at `index`, if a search may show it.
    pub fn searched_line(&self, index: usize) -> Option<&str> {
        self.lines.get(index).filter(|entry| entry.is_searched).map(|entry| entry.text.as_str())
    }

    /// One more than the index of the last line.
    pub fn end(&self) -> usize {
        self.lines.len()
    }

    /// The index of the line in the editor; `None` for the draft.
    pub fn at(&self) -> Option<usize> {
        self.at.filter(|at| *at < self.lines.len())
    }
}

/// Commands for private messages, without their slash, and the names that users of other chats try.
const PRIVATE_COMMANDS: [&str; 11] =
    ["msg", "reply", "r", "query", "dm", "pm", "whisper", "w", "tell", "m", "private"];

/// Whether a line looks like a private message, which should not appear on the screen during a search.
fn is_private(line: &str) -> bool {
    let start = line.trim_start_matches(|char: char| !char.is_alphanumeric());
    let has_slash = line[..line.len() - start.len()].contains(['/', '\\', '\u{ff0f}']);
    let word = start.split(|char: char| !char.is_alphanumeric()).next().unwrap_or_default().to_lowercase();
    word == "msg" || has_slash && PRIVATE_COMMANDS.contains(&word.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_for_one_alone_are_known() {
        for private in [
            "/msg bob x",
            "/MSG bob x",
            " \u{200b}\n/Msg bob x",
            "\u{ff0f}msg bob x",
            "/msg, bob x",
            "\\msg bob x",
            "msg bob x",
            "/reply x",
            "/r x",
            "/query bob",
            "/dm bob x",
            "/whisper bob x\nand more",
            "/w bob x",
            "/tell bob x",
        ] {
            assert!(is_private(private), "{private:?}");
        }
        for public in
            ["hello", "/me waves", "/say /msg", "reply to me", "tell me", "/etc/msg", "//", "", "msgs"]
        {
            assert!(!is_private(public), "{public:?}");
        }
    }
}
