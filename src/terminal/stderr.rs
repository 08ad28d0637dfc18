//! Standard error: the queue of diagnostics, which drops lines instead of blocking.

use std::mem;

use super::output::Output;
use crate::limits::{STDERR_QUEUE_BYTES, STDOUT_QUEUE_BYTES};

/// The queue of standard error. Where standard output and error are the same file, lines go to the queue of
/// standard output instead, so that they keep their order.
#[derive(Debug)]
pub struct Stderr {
    own: Option<Output>,
    /// Lines that were dropped because the queue was full.
    dropped: u64,
    is_full_reported: bool,
}

impl Stderr {
    /// A queue that writes to `own`, or to standard output if that is `None`.
    #[must_use]
    pub fn new(own: Option<Output>) -> Self {
        Self { own, dropped: 0, is_full_reported: false }
    }

    /// The queue of standard error, if that is not the same file as standard output.
    pub fn own(&mut self) -> Option<&mut Output> {
        self.own.as_mut()
    }

    /// Whether standard error is another file than standard output.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.own.is_some()
    }

    /// The queue of standard error, if that is not the same file as standard output.
    #[must_use]
    pub fn output(&self) -> Option<&Output> {
        self.own.as_ref()
    }

    /// Queues a line, or drops it if the queue is full.
    pub fn push(&mut self, line: &[u8], conversation: &mut Output) {
        let (out, limit) = match &mut self.own {
            Some(own) => (own, STDERR_QUEUE_BYTES),
            None => (conversation, STDOUT_QUEUE_BYTES + STDERR_QUEUE_BYTES),
        };
        if out.closed().is_some() {
            return;
        }
        if out.waiting_bytes() + line.len() > limit {
            self.dropped += 1;
        } else {
            out.queue().extend_from_slice(line);
        }
    }

    /// A diagnostic with the count of dropped lines, once the queue has room again.
    pub fn poll_dropped(&mut self, conversation: &Output) -> Option<String> {
        let out = self.own.as_ref().unwrap_or(conversation);
        if self.dropped == 0 || out.waiting_bytes() >= STDERR_QUEUE_BYTES / 2 {
            return None;
        }
        let count = mem::take(&mut self.dropped);
        Some(format!("{count} lines were left out: standard error was not read in time"))
    }

    /// A diagnostic that standard output cannot be written, once until it works again.
    pub fn poll_full(&mut self, conversation: &Output) -> Option<String> {
        let Some(why) = conversation.full() else {
            self.is_full_reported &= conversation.waiting_bytes() > 0;
            return None;
        };
        // Where both are the same file, the diagnostic could not be written either.
        let is_new = !mem::replace(&mut self.is_full_reported, true) && self.own.is_some();
        let sentence =
            || format!("cannot write standard output: {why}; the conversation waits until that works again");
        is_new.then(sentence)
    }
}
