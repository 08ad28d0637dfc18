//! The lines that were typed before, to be had again. They live as long as the program: what was said
//! in private is not left on a disk.

use std::collections::{BTreeMap, VecDeque};

use crate::limits::{INPUT_HISTORY_BYTES_MAX, INPUT_HISTORY_LINES_MAX};

/// Lines typed before, and how far back the user has gone in them.
///
/// Invariant: `bytes` is what `lines` hold. `at` is at most their count, where the draft is.
#[derive(Debug, Default)]
pub(super) struct History {
    lines: VecDeque<String>,
    bytes: usize,
    at: Option<usize>,
    /// What has become of lines that were looked at, the draft among them, until one is taken.
    edited: BTreeMap<usize, String>,
}

impl History {
    /// Adds the newest line, unless it is empty or the same as the last one.
    pub fn add(&mut self, line: &str) {
        if line.is_empty() || self.lines.back().is_some_and(|last| last == line) {
            return;
        }
        self.bytes += line.len();
        self.lines.push_back(line.to_owned());
        while self.lines.len() > INPUT_HISTORY_LINES_MAX || self.bytes > INPUT_HISTORY_BYTES_MAX {
            let Some(oldest) = self.lines.pop_front() else { break };
            self.bytes -= oldest.len();
        }
    }

    /// Goes back by one line; `text` is what stands in the line now.
    pub fn older(&mut self, text: &str) -> Option<String> {
        let at = self.at.unwrap_or(self.lines.len());
        self.go(at.checked_sub(1)?, text)
    }

    /// Goes on by one line, at last to the draft.
    pub fn newer(&mut self, text: &str) -> Option<String> {
        let at = self.at?;
        if at < self.lines.len() { self.go(at + 1, text) } else { None }
    }

    fn go(&mut self, to: usize, text: &str) -> Option<String> {
        self.edited.insert(self.at.unwrap_or(self.lines.len()), text.to_owned());
        self.at = Some(to);
        self.edited.get(&to).or_else(|| self.lines.get(to)).cloned()
    }

    /// Keeps the draft, since another line takes its place.
    pub fn hold(&mut self, draft: &str) {
        if self.at.is_none() {
            self.older(draft);
        }
    }

    /// A new line begins.
    pub fn leave(&mut self) {
        self.at = None;
        self.edited.clear();
    }

    /// The line at this place, as it was typed.
    pub fn line(&self, index: usize) -> Option<&str> {
        self.lines.get(index).map(String::as_str)
    }

    /// One more than the place of the last line.
    pub fn newest(&self) -> usize {
        self.lines.len()
    }
}
