//! Frames that connections of non-members began and did not finish: how many bytes they take together, and which is
//! the longest.

use std::collections::BTreeSet;

use super::ids::ClientId;
use crate::limits::UNFINISHED_BYTES_MAX;

/// The unfinished frames.
///
/// Invariant: `bytes` is the sum of the lengths in `by_length`.
#[derive(Debug, Default)]
pub(super) struct Unfinished {
    by_length: BTreeSet<(usize, ClientId)>,
    bytes: usize,
}

impl Unfinished {
    /// The unfinished frame of a connection has `after` bytes, and had `before`; 0 is none. Returns the connection with
    /// the longest one, if all together are too long.
    pub fn change(&mut self, id: ClientId, before: usize, after: usize) -> Option<ClientId> {
        if before > 0 && self.by_length.remove(&(before, id)) {
            self.bytes -= before;
        }
        if after > 0 && self.by_length.insert((after, id)) {
            self.bytes += after;
        }
        let longest = self.by_length.last().filter(|_| self.bytes > UNFINISHED_BYTES_MAX);
        longest.map(|(_, id)| *id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_goes_when_all_together_are_too_long() {
        let mut unfinished = Unfinished::default();
        let half = UNFINISHED_BYTES_MAX / 2;
        assert_eq!(unfinished.change(ClientId(1), 0, half), None);
        assert_eq!(unfinished.change(ClientId(2), 0, 100), None);
        assert_eq!(unfinished.change(ClientId(3), 0, half - 100), None);
        assert_eq!(unfinished.change(ClientId(2), 100, 101), Some(ClientId(1)));
        assert_eq!(unfinished.change(ClientId(1), half, 0), None);
        for (id, before) in [(2, 101), (3, half - 100), (3, half - 100)] {
            assert_eq!(unfinished.change(ClientId(id), before, 0), None);
        }
        assert_eq!((unfinished.bytes, unfinished.by_length.len()), (0, 0));
    }
}
