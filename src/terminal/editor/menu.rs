//! Going round what may complete a word.

use super::{Editor, Outcome, Step};
use crate::limits::LINE_BYTES_MAX;
use crate::terminal::keys::Key;
use crate::terminal::tab_completion::Completion;

/// Menu that Tab goes round.
#[derive(Debug)]
pub(super) struct Menu {
    completion: Completion,
    /// Which one stands in the line.
    index: usize,
    /// Where in the line it ends.
    to: usize,
}

impl Editor {
    /// Puts the first candidate into the line; Tab and Shift+Tab go round them all.
    pub fn offer(&mut self, completion: Completion) -> Outcome {
        let bytes_max = completion.candidates.iter().map(String::len).max().unwrap_or(0);
        if bytes_max == 0 || self.text.len() + bytes_max > LINE_BYTES_MAX {
            return Outcome::Bell;
        }
        self.last = Step::Other;
        self.begin(Step::Other);
        self.put(Menu { completion, index: 0, to: self.cursor });
        Outcome::Nothing
    }

    fn put(&mut self, mut candidates: Menu) {
        let Menu { completion, index, to } = &mut candidates;
        let candidate = &completion.candidates[*index];
        self.text.replace_range(completion.from..*to, candidate);
        *to = completion.from + candidate.len();
        self.cursor = *to;
        self.move_to(self.cursor);
        self.menu = (completion.candidates.len() > 1).then_some(candidates);
    }

    pub(super) fn go_round(&mut self, mut candidates: Menu, key: &Key) -> Option<Outcome> {
        let count = candidates.completion.candidates.len();
        candidates.index = match key {
            Key::Tab => (candidates.index + 1) % count,
            Key::BackTab => (candidates.index + count - 1) % count,
            _ => return None,
        };
        self.put(candidates);
        Some(Outcome::Nothing)
    }
}
