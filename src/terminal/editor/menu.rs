//! The completion menu: Tab cycles through candidates.

use super::{EditKind, Editor, Outcome, is_reply_begun};
use crate::limits::MESSAGE_BYTES_MAX;
use crate::terminal::keys::Key;
use crate::terminal::tab_completion::Completion;

/// The candidates of a completion, and the selected one.
#[derive(Debug)]
pub(super) struct Menu {
    completion: Completion,
    /// The index of the candidate in the line.
    index: usize,
    /// The end of the candidate in the line, in bytes.
    to: usize,
}

impl Editor {
    /// Inserts the first candidate; Tab and Shift+Tab cycle through all of them.
    pub fn offer(&mut self, completion: Completion) -> Outcome {
        let bytes_max = completion.candidates.iter().map(String::len).max().unwrap_or(0);
        if bytes_max == 0 || self.text.len() + bytes_max > MESSAGE_BYTES_MAX {
            return Outcome::Bell;
        }
        self.last = EditKind::Other;
        self.record_undo(EditKind::Other);
        self.insert_candidate(Menu { completion, index: 0, to: self.cursor });
        let is_alone = self.menu.is_none() && self.cursor == self.text.len();
        if is_alone && is_reply_begun(&self.text) { Outcome::ExpandReply } else { Outcome::Nothing }
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

    /// Handles a key while the menu is open. `None` if the key closes it and is to be handled as usual.
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
