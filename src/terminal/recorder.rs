//! The conversation as it is recorded: one line a message, with the date, and without colours.

use std::time::Instant;

use chrono::{DateTime, FixedOffset, Local};

use super::record::Record;
use super::words::{Look, Words};
use crate::protocol::{Notice, Who};

/// A record, and how it is worded.
#[derive(Debug)]
pub struct Recorder {
    record: Record,
    words: Words,
}

impl Recorder {
    /// Records to `record` what is said to and by who is called `own_name`.
    #[must_use]
    pub fn new(record: Record, own_name: String, now: DateTime<Local>) -> Self {
        Self { record, words: Words::new(Look::default(), own_name, now) }
    }

    /// Adds a notice, if it belongs to the conversation.
    pub fn push(&mut self, notice: &Notice) {
        self.words.push_record(notice, self.record.queue());
    }

    /// Adds what the user said, to everybody or `to` one alone.
    pub fn push_own(&mut self, at: DateTime<FixedOffset>, to: Option<&Who>, text: &str) {
        self.words.push_own_record(at, to, text, self.record.queue());
    }

    /// The user has another name.
    pub fn set_own_name(&mut self, name: String) {
        self.words.set_own_name(name);
    }

    /// Writes what was added. Returns what the user should know.
    pub fn flush(&mut self, now: Instant) -> Option<String> {
        self.record.flush(now)
    }

    /// What was never recorded, at the end: a sentence, if there is anything to say.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.record.failure()
    }

    /// When a file that could not be written is tried again.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.record.deadline()
    }
}
