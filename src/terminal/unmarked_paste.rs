//! Detection of unmarked pastes: several lines that arrive at once, from a terminal without bracketed paste or
//! typed ahead. They become one key, so that the user confirms before anything is sent.

use std::mem;

use super::keys::Key;
use crate::limits::MESSAGE_BYTES_MAX;

/// A filter in front of the editor, which turns keys of an unmarked paste into one key.
#[derive(Debug, Default)]
pub struct UnmarkedPaste {
    /// The paste so far. Text that arrives within
    /// [`SEQUENCE_TIMEOUT`](crate::limits::SEQUENCE_TIMEOUT) belongs to it.
    collected: Option<Text>,
}

/// A text of which at most [`MESSAGE_BYTES_MAX`] bytes are kept; all are counted.
#[derive(Debug, Default)]
struct Text {
    kept: String,
    bytes: usize,
}

impl Text {
    fn push(&mut self, char: char) {
        self.bytes += char.len_utf8();
        if self.bytes <= MESSAGE_BYTES_MAX {
            self.kept.push(char);
        }
    }

    fn into_key(self) -> Key {
        if self.bytes <= MESSAGE_BYTES_MAX {
            Key::UnmarkedPaste(self.kept)
        } else {
            Key::PasteTooLong(self.bytes)
        }
    }
}

/// The character that a key inserts into a text.
fn typed(key: &Key) -> Option<char> {
    match key {
        Key::Char(char) => Some(*char),
        Key::Enter => Some('\n'),
        Key::Tab => Some('\t'),
        _ => None,
    }
}

/// Whether consecutive keys are several lines: a line break is followed by characters.
fn are_lines(keys: &[Key]) -> bool {
    let first = keys.iter().position(|key| *key == Key::Enter);
    first.is_some_and(|first| keys[first..].iter().any(|key| matches!(key, Key::Char(_))))
}

impl UnmarkedPaste {
    /// Handles the keys of one read. Passes on the keys that belong to no paste, and a paste once it is
    /// complete.
    pub fn receive(&mut self, keys: &[Key], mut each: impl FnMut(Key)) {
        for run in keys.chunk_by(|one, other| typed(one).is_some() == typed(other).is_some()) {
            let is_text = typed(&run[0]).is_some();
            if is_text && (self.collected.is_some() || are_lines(run)) {
                let collected = self.collected.get_or_insert_default();
                run.iter().filter_map(typed).for_each(|char| collected.push(char));
            } else {
                self.expire(&mut each);
                run.iter().cloned().for_each(&mut each);
            }
        }
    }

    /// Whether a paste is incomplete, so that more text may belong to it.
    #[must_use]
    pub fn is_unfinished(&self) -> bool {
        self.collected.is_some()
    }

    /// Ends the paste after the timeout and passes it on, if there is one.
    pub fn expire(&mut self, each: impl FnMut(Key)) {
        mem::take(&mut self.collected).map(Text::into_key).into_iter().for_each(each);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::keys::Keys;

    /// What becomes of some reads, each soon after the one before.
    #[track_caller]
    fn check(reads: &[&str], expected: &[Key]) {
        let (mut parser, mut paste, mut received) = (Keys::default(), UnmarkedPaste::default(), Vec::new());
        for read in reads {
            let mut keys = Vec::new();
            parser.receive(read.as_bytes(), |key| keys.push(key));
            paste.receive(&keys, |key| received.push(key));
        }
        paste.expire(|key| received.push(key));
        assert!(!paste.is_unfinished());
        assert_eq!(received, expected, "{reads:?}");
    }

    fn lines(text: &str) -> Key {
        Key::UnmarkedPaste(text.into())
    }

    #[test]
    fn lines_that_come_at_once_are_one_paste() {
        use Key::*;
        check(&["a\r"], &[Char('a'), Enter]);
        check(&["a\r", "b\r"], &[Char('a'), Enter, Char('b'), Enter]);
        check(&["a\r\r\t"], &[Char('a'), Enter, Enter, Tab]);
        check(&["a\rb"], &[lines("a\nb")]);
        check(&["a\rb\r"], &[lines("a\nb\n")]);
        check(&["\rb"], &[lines("\nb")]);
        check(&["a\r\n\tb\r\n"], &[lines("a\n\tb\n")]);
        check(&["a\n\nb\n"], &[lines("a\n\nb\n")]);
        // Once it is one, what comes soon belongs to it.
        check(&["a\rb", "c\r", "d\r"], &[lines("a\nbc\nd\n")]);
        check(&["a\rb", "\x03", "c"], &[lines("a\nb"), Ctrl('c'), Char('c')]);
        // Other keys are no part of it.
        check(&["\x15a\rb\r\x1b[A\r"], &[Ctrl('u'), lines("a\nb\n"), Up, Enter]);
        check(&["a\r\x1b[Ab"], &[Char('a'), Enter, Up, Char('b')]);
        check(&["a\x1b\rb"], &[Char('a'), LineBreak, Char('b')]);
        check(&["\x1b[200~a\rb\x1b[201~\r"], &[Paste("a\nb".into()), Enter]);
    }

    #[test]
    fn lines_that_are_too_long_are_counted() {
        let most = format!("a\r{}", "x".repeat(MESSAGE_BYTES_MAX - 2));
        check(&[&most], &[lines(&most.replace('\r', "\n"))]);
        check(&[&most, "xyz"], &[Key::PasteTooLong(MESSAGE_BYTES_MAX + 3)]);
    }
}
