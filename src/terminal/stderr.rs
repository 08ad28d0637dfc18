//! Standard error: what is told beside the conversation. Nobody waits for it.

use std::mem;

use super::output::Output;
use crate::limits::{STDERR_QUEUE_BYTES, STDOUT_QUEUE_BYTES};

/// Lines on their way to standard error; or to standard output, where both lead to the same place, so
/// that they keep their order.
#[derive(Debug)]
pub struct Stderr {
    own: Option<Output>,
    /// Lines that found no room.
    unshown: u64,
    full_is_told: bool,
}

impl Stderr {
    /// Lines to `own`, or to where the conversation goes.
    #[must_use]
    pub fn new(own: Option<Output>) -> Self {
        Self { own, unshown: 0, full_is_told: false }
    }

    /// Standard error, if it leads elsewhere.
    pub fn own(&mut self) -> Option<&mut Output> {
        self.own.as_mut()
    }

    /// Whether it leads elsewhere.
    #[must_use]
    pub fn is_apart(&self) -> bool {
        self.own.is_some()
    }

    /// Standard error, if it leads elsewhere.
    #[must_use]
    pub fn output(&self) -> Option<&Output> {
        self.own.as_ref()
    }

    /// Adds a line, if there is room.
    pub fn push(&mut self, line: &[u8], conversation: &mut Output) {
        let (out, limit) = match &mut self.own {
            Some(own) => (own, STDERR_QUEUE_BYTES),
            None => (conversation, STDOUT_QUEUE_BYTES + STDERR_QUEUE_BYTES),
        };
        if out.closed().is_some() {
            return;
        }
        if out.waiting_bytes() + line.len() > limit {
            self.unshown += 1;
        } else {
            out.queue().extend_from_slice(line);
        }
    }

    /// A sentence that tells how many lines found no room, once there is some again.
    pub fn poll_unshown(&mut self, conversation: &Output) -> Option<String> {
        let out = self.own.as_ref().unwrap_or(conversation);
        if self.unshown == 0 || out.waiting_bytes() >= STDERR_QUEUE_BYTES / 2 {
            return None;
        }
        let count = mem::take(&mut self.unshown);
        Some(format!("{count} notices were left out: nobody read them in time"))
    }

    /// A sentence that tells once that there is no room behind standard output.
    pub fn poll_full(&mut self, conversation: &Output) -> Option<String> {
        let Some(why) = conversation.full() else {
            self.full_is_told &= conversation.waiting_bytes() > 0;
            return None;
        };
        // Where both lead to the same place, it would only wait with the rest.
        let is_new = !mem::replace(&mut self.full_is_told, true) && self.own.is_some();
        let sentence =
            || format!("cannot write standard output: {why}; the conversation waits until it can be");
        is_new.then(sentence)
    }
}
