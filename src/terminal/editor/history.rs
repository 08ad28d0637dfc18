//! The lines that were typed before, to be had again. They live as long as the program: what was said
//! in private is not left on a disk.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::{INPUT_HISTORY_BYTES_MAX, INPUT_HISTORY_LINES_MAX};

/// Lines typed before, and how far back the user has gone in them.
///
/// Invariant: `bytes` is what `lines` hold. `at` is at most their count, where the draft is.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<Entry>,
    bytes: usize,
    at: Option<usize>,
    /// What has become of lines that were looked at, the draft among them, until one is taken.
    edited: BTreeMap<usize, String>,
}

/// A line typed before.
#[derive(Debug)]
struct Entry {
    text: String,
    /// A search may show it: it is not private, as far as is known.
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

    /// Adds a line that was refused: it may have been meant for one alone, so no search shows it.
    pub fn add_refused(&mut self, line: &str) {
        self.add(line);
        if let Some(last) = self.lines.back_mut().filter(|last| last.text == line) {
            last.is_searched = false;
        }
    }

    /// Goes back by one line; `text` is what stands in the line now.
    pub fn older(&mut self, text: &str) -> Option<String> {
        let at = self.at.unwrap_or(self.lines.len());
        self.go_to(at.checked_sub(1)?, text)
    }

    /// Goes on by one line, at last to the draft.
    pub fn newer(&mut self, text: &str) -> Option<String> {
        let at = self.at?;
        if at < self.lines.len() { self.go_to(at + 1, text) } else { None }
    }

    fn go_to(&mut self, to: usize, text: &str) -> Option<String> {
        self.edited.insert(self.at.unwrap_or(self.lines.len()), text.to_owned());
        self.at = Some(to);
        self.edited.get(&to).or_else(|| Some(&self.lines.get(to)?.text)).cloned()
    }

    /// Keeps the draft, since another line takes its place.
    pub fn keep_draft(&mut self, draft: &str) {
        if self.at.is_none() {
            self.older(draft);
        }
    }

    /// A new line begins.
    pub fn reset(&mut self) {
        self.at = None;
        self.edited.clear();
    }

    /// The line at this place, if a search may show it.
    pub fn searched_line(&self, index: usize) -> Option<&str> {
        self.lines.get(index).filter(|entry| entry.is_searched).map(|entry| entry.text.as_str())
    }

    /// One more than the place of the last line.
    pub fn end(&self) -> usize {
        self.lines.len()
    }

    /// The place of the line at which the user looks; `None` for the draft.
    pub fn at(&self) -> Option<usize> {
        self.at.filter(|at| *at < self.lines.len())
    }
}

/// Commands, without their slash, whose text is for one alone, and what people try for them.
const PRIVATE_COMMANDS: [&str; 11] =
    ["msg", "reply", "r", "query", "dm", "pm", "whisper", "w", "tell", "m", "private"];

/// Whether a line is for one alone, or was meant to be, as far as can be seen: somebody who looks over
/// the user's shoulder while it searches should not see it.
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
