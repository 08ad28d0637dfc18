//! The backlog of the conversation in front of a terminal. It is bounded: when it is full, the oldest lines
//! are skipped and counted, so that a slow terminal makes nobody wait.

use std::collections::VecDeque;

use crate::limits::BACKLOG_BYTES;

/// A queue of lines that are not shown yet, of at most [`BACKLOG_BYTES`].
///
/// Invariant: `bytes` is the size of `entries`.
#[derive(Debug, Default)]
pub struct Backlog {
    entries: VecDeque<Box<[u8]>>,
    bytes: usize,
    skipped: u64,
}

impl Backlog {
    /// Adds one entry of whole lines, such as a message.
    pub fn push(&mut self, lines: &[u8]) {
        self.bytes += lines.len();
        self.entries.push_back(lines.into());
        while self.bytes > BACKLOG_BYTES
            && let Some(oldest) = self.entries.pop_front()
        {
            self.bytes -= oldest.len();
            self.skipped += memchr::memchr_iter(b'\n', &oldest).count() as u64;
        }
    }

    /// Moves entries to `out`, the oldest first, until it has at least `bytes_max` bytes. Returns the number of
    /// lines that were skipped before them.
    pub fn take(&mut self, bytes_max: usize, out: &mut Vec<u8>) -> u64 {
        let start = out.len();
        while out.len() - start < bytes_max
            && let Some(lines) = self.entries.pop_front()
        {
            self.bytes -= lines.len();
            out.extend_from_slice(&lines);
        }
        std::mem::take(&mut self.skipped)
    }

    /// Whether there is nothing to show, not even a count of skipped lines.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.skipped == 0
    }

    /// The size of the queue, in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted() {
        let mut backlog = Backlog::default();
        let (line, mut out) = (format!("{}\n", "x".repeat(99)), Vec::new());
        let fitting = BACKLOG_BYTES / 100;
        (0..fitting).for_each(|_| backlog.push(line.as_bytes()));
        assert_eq!(backlog.take(150, &mut out), 0);
        assert_eq!((out.len(), backlog.bytes()), (200, (fitting - 2) * 100));
        (0..50).for_each(|_| backlog.push(b"a\nb\n"));
        (0..fitting).for_each(|_| backlog.push(line.as_bytes()));
        out.clear();
        assert_eq!(backlog.take(usize::MAX, &mut out), fitting as u64 - 2 + 2 * 31);
        assert_eq!(out.len(), fitting * 100 + 4 * 19);
        assert!(backlog.is_empty());
        assert_eq!(backlog.take(1, &mut out), 0);
    }

    #[test]
    fn one_that_is_too_long_alone_is_skipped_as_well() {
        let mut backlog = Backlog::default();
        backlog.push(&vec![b'\n'; BACKLOG_BYTES + 1]);
        assert!(!backlog.is_empty());
        assert_eq!(backlog.take(1, &mut Vec::new()), BACKLOG_BYTES as u64 + 1);
        assert!(backlog.is_empty());
    }
}
