//! What we and one member said to each other alone.
//!
//! Private messages have numbers of their own. Each is kept until the member says that it has it, and is
//! sent again over every new connection until then; what comes twice is known by its number.

use std::collections::VecDeque;

use chrono::{DateTime, FixedOffset};

use super::message::{self, Message, MessageWriter};
use crate::limits::PRIVATE_BYTES;

/// What goes to one member alone, and how much has come from it.
///
/// Invariant: `bytes` is what `kept` holds.
#[derive(Clone, Debug, Default)]
pub(super) struct Private {
    /// Bodies of messages that the member is not known to have, the oldest first.
    kept: VecDeque<String>,
    bytes: usize,
    /// The number of the first that is kept; of the next one to be said, where none is.
    first: u64,
    /// How many of the member's private messages we have.
    pub have: u64,
}

impl Private {
    /// Keeps what is said until the member has it. Returns the number of the first message that it
    /// makes; `None`, and nothing is kept, where that would be too much.
    pub fn say(&mut self, text: &str, at: DateTime<FixedOffset>, writer: &MessageWriter) -> Option<u64> {
        let next = self.next();
        let bytes = text.len().max(1);
        if self.bytes + bytes > PRIVATE_BYTES {
            return None;
        }
        let mut rest = text;
        while !rest.is_empty() {
            let (piece, more) = message::split(rest);
            let body = writer.body(piece, at);
            self.bytes += body.len();
            self.kept.push_back(body);
            rest = more;
        }
        Some(next)
    }

    /// The number of the next message.
    fn next(&self) -> u64 {
        self.first + self.kept.len() as u64
    }

    /// How many the member is not known to have.
    pub fn kept_count(&self) -> u64 {
        self.kept.len() as u64
    }

    /// Where it goes on over a new connection; `None` where nothing was ever said.
    pub fn goes_on_from(&self) -> Option<u64> {
        (self.next() > 0).then_some(self.first)
    }

    /// The bodies of the frames that are kept, from message `number` on.
    pub fn frames_from(&self, number: u64) -> impl Iterator<Item = String> {
        let skipped = number.saturating_sub(self.first) as usize;
        let numbered = (self.first..).zip(&self.kept).skip(skipped);
        numbered.map(|(number, body)| format!("{number}\n{body}"))
    }

    /// The member says how many it has. More than were said is what an earlier memory of it said.
    pub fn handle_have(&mut self, count: u64) {
        while self.first < count
            && let Some(body) = self.kept.pop_front()
        {
            self.bytes -= body.len();
            self.first += 1;
        }
        self.first = self.first.max(count);
    }

    /// The member goes on from message `number`: those before will not come any more.
    pub fn handle_from(&mut self, number: u64) {
        self.have = self.have.max(number);
    }

    /// Takes in the body of a private frame. Returns the message, if it is the next one: others came
    /// before, or will come again.
    pub fn handle_frame<'a>(&mut self, body: &'a str) -> Option<Message<'a>> {
        let (number, body) = body.split_once('\n')?;
        let message = message::read_message(body)?;
        let is_next = number.parse() == Ok(self.have);
        self.have += u64::from(is_next);
        is_next.then_some(message)
    }

    /// What is left of it when the member is forgotten: the numbers go on.
    pub fn forget(&mut self) {
        self.first = self.next();
        self.kept.clear();
        self.bytes = 0;
    }
}
