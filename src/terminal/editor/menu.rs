//! Going round what may complete a word.

use super::{EditKind, Editor, Outcome};
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
        self.last = EditKind::Other;
        self.record_undo(EditKind::Other);
        self.insert_candidate(Menu { completion, index: 0, to: self.cursor });
        Outcome::Nothing
    }

    fn insert_candidate(&mut self, mut menu: Menu) {
        let Menu { completion, index, to } = &mut menu;
        let candidate = &completion.candidates[*index];
        self.text.replace_range(completion.from..*to, candidate);
        *to = completion.from + candidate.len();
        self.cursor = *to;
        self.move_to(self.cursor);
        self.menu = (completion.candidates.len() > 1).then_some(menu);
    }

    pub(super) fn cycle(&mut self, mut menu: Menu, key: &Key) -> Option<Outcome> {
        let count = menu.completion.candidates.len();
        menu.index = match key {
            Key::Tab => (menu.index + 1) % count,
            Key::BackTab => (menu.index + count - 1) % count,
            _ => return None,
        };
        self.insert_candidate(menu);
        Some(Outcome::Nothing)
    }
}
