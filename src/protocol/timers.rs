//! Timers: one queue of deadlines.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

use super::ids::{ClientId, MemberKey};

/// What is due. Its handler examines the state that it concerns, which may have changed since it was set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Timer {
    /// The phase of a connection may have to end: it was not made, sent no first frame, did not finish its
    /// handshake, or did not close.
    Phase(ClientId),
    /// A connection may have begun a frame long ago and not finished it.
    Frame(ClientId),
    /// A connection takes nothing of what waits for it.
    Write(ClientId),
    /// A member is sent an acknowledgement.
    Ack(MemberKey),
    /// Of several connections of a member, one may be the surplus one.
    Surplus(MemberKey),
    /// A member that is not connected may have expired.
    Expiry(MemberKey),
    /// Members are sent news of newcomers.
    News,
    /// A member is sent a digest of the members that are known.
    Compare,
    /// Members are sent an inquiry about absent ones.
    Inquire,
    /// Leaving takes too long.
    Leave,
}

/// The queue keeps room for so many timers.
const TIMERS_KEPT: usize = 64;

/// The queue of deadlines. A timer may be in it several times.
#[derive(Debug, Default)]
pub struct Timers {
    queue: BinaryHeap<Reverse<(Instant, Timer)>>,
}

impl Timers {
    /// `timer` is due at `at`.
    pub fn set(&mut self, at: Instant, timer: Timer) {
        self.queue.push(Reverse((at, timer)));
    }

    /// The next timer that is due, until `None`.
    pub fn pop(&mut self, now: Instant) -> Option<Timer> {
        self.queue.peek().filter(|Reverse((at, _))| now >= *at)?;
        let timer = self.queue.pop().map(|Reverse((_, timer))| timer);
        // Thousands of connections that are accepted at once leave no room behind.
        if self.queue.capacity() > TIMERS_KEPT && self.queue.len() < self.queue.capacity() / 4 {
            self.queue.shrink_to(self.queue.len() * 2);
        }
        timer
    }

    /// When the first timer is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse((at, _))| *at)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn timers_are_due_in_the_order_of_their_times() {
        let (start, mut timers) = (Instant::now(), Timers::default());
        let at = |seconds| start + Duration::from_secs(seconds);
        timers.set(at(3), Timer::News);
        timers.set(at(1), Timer::Phase(ClientId(7)));
        timers.set(at(2), Timer::Compare);
        assert_eq!((timers.deadline(), timers.pop(start)), (Some(at(1)), None));
        assert_eq!(timers.pop(at(2)), Some(Timer::Phase(ClientId(7))));
        assert_eq!(timers.pop(at(2)), Some(Timer::Compare));
        assert_eq!((timers.pop(at(2)), timers.deadline()), (None, Some(at(3))));
    }
}
