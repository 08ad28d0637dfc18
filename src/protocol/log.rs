//! The broadcast log: every frame that was sent to all, once for all connections.
//!
//! A position counts the bytes ever appended before it, a number the frames; neither is used again.
//! A connection has a position in it, its cursor. The log does not know the connections: it drops its
//! oldest frames when it is full, and a connection whose cursor is before [`Log::start`] is overrun.

use std::collections::VecDeque;
use std::ops::Range;

use crate::limits::LOG_BYTES;

/// The last [`LOG_BYTES`] of frames, in text framing.
///
/// Invariant: `bytes` starts at `base`, at or before the oldest kept frame, and ends with the
/// newest; `starts` holds the position of every kept frame, in order.
#[derive(Debug, Default)]
pub struct Log {
    bytes: Vec<u8>,
    base: u64,
    starts: VecDeque<u64>,
    first_number: u64,
}

impl Log {
    /// The position after the newest frame.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.base + self.bytes.len() as u64
    }

    /// The position of the oldest kept frame; the end when there is none.
    #[must_use]
    pub fn start(&self) -> u64 {
        self.starts.front().copied().unwrap_or(self.end())
    }

    /// The number that the next frame will have.
    #[must_use]
    pub fn next_number(&self) -> u64 {
        self.first_number + self.starts.len() as u64
    }

    /// Appends the frame that `write` puts at the end of the vector it is given, and drops the
    /// oldest while there are more bytes than the log keeps.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        self.starts.push_back(self.end());
        write(&mut self.bytes);
        while self.end() - self.start() > LOG_BYTES as u64 {
            self.starts.pop_front();
            self.first_number += 1;
        }
        // Moved only once a whole log's worth is dead: one byte moved for each appended.
        let dead = self.index(self.start());
        if dead >= LOG_BYTES {
            self.bytes.drain(..dead);
            self.base += dead as u64;
        }
    }

    /// The bytes from `position` on.
    ///
    /// # Panics
    ///
    /// When `position` is before [`start`](Self::start) or after [`end`](Self::end).
    #[must_use]
    pub fn since(&self, position: u64) -> &[u8] {
        assert!(position >= self.start(), "the log no longer reaches back to {position}");
        &self.bytes[self.index(position)..]
    }

    /// The number of the frame that holds `position`, or starts there: at the end, that of the next
    /// frame, and before the start, that of the oldest.
    #[must_use]
    pub fn number_at(&self, position: u64) -> u64 {
        if position >= self.end() {
            return self.next_number();
        }
        let after = self.starts.partition_point(|&start| start <= position);
        self.first_number + after.saturating_sub(1) as u64
    }

    /// The position of frame `number`: the start if it is no longer kept, the end if it does not
    /// exist yet.
    #[must_use]
    pub fn position_of(&self, number: u64) -> u64 {
        let index = number.saturating_sub(self.first_number) as usize;
        self.starts.get(index).copied().unwrap_or(self.end())
    }

    /// The positions at which the frame that holds `position` starts and ends.
    #[must_use]
    pub fn frame_around(&self, position: u64) -> Range<u64> {
        let number = self.number_at(position);
        self.position_of(number)..self.position_of(number + 1)
    }

    fn index(&self, position: u64) -> usize {
        (position - self.base) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(frames: &[&str]) -> Log {
        let mut log = Log::default();
        for frame in frames {
            log.append(|out| out.extend_from_slice(frame.as_bytes()));
        }
        log
    }

    #[test]
    fn positions_and_numbers_meet_at_frame_starts() {
        let log = log_of(&["one", "three", "two"]);
        let numbers: Vec<_> = (0..=12).map(|position| log.number_at(position)).collect();
        assert_eq!(numbers, [0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 3, 3]);
        let positions: Vec<_> = (0..5).map(|number| log.position_of(number)).collect();
        assert_eq!(positions, [0, 3, 8, 11, 11]);
        assert_eq!(log.frame_around(5), 3..8);
        assert_eq!(log.since(8), b"two");
        assert_eq!(log.since(11), b"");
    }

    #[test]
    fn an_empty_log_starts_at_its_end() {
        let log = log_of(&[]);
        assert_eq!((log.start(), log.end(), log.next_number()), (0, 0, 0));
        assert_eq!((log.number_at(0), log.position_of(7)), (0, 0));
    }

    #[test]
    fn the_oldest_frames_go_and_positions_stay() {
        let mut log = Log::default();
        let length = |number: u64| 1 + (number as usize * 7919) % 5000;
        let frames = 2_000;
        for number in 0..frames {
            log.append(|out| out.resize(out.len() + length(number), number as u8));
            let kept = log.end() - log.start();
            assert!(kept <= LOG_BYTES as u64);
            assert!(log.start() == 0 || kept + 5000 > LOG_BYTES as u64, "kept only {kept}");
            assert!(log.bytes.len() <= 2 * LOG_BYTES + 5000, "the vector must not grow for ever");
        }
        assert_eq!(log.next_number(), frames);
        assert_eq!(log.end(), (0..frames).map(|number| length(number) as u64).sum::<u64>());
        for number in log.number_at(log.start())..frames {
            let position = log.position_of(number);
            let frame = &log.since(position)[..length(number)];
            assert!(frame.iter().all(|&byte| byte == number as u8), "frame {number} moved");
        }
        assert_eq!(log.position_of(0), log.start(), "what is gone is answered by the oldest");
    }
}
