//! Numbered messages from one sender to one receiver: what was acknowledged, and where a new connection resumes.
//!
//! A sender numbers its messages by counting. The receiver asks for the number that it expects next
//! ([`Request`]), and the sender replies with the number that it sends next ([`Start`]), which is greater if the
//! log no longer holds what was requested. The same rule serves the broadcast log and the private messages of
//! a pair.

use std::ops::Range;

use crate::wire::hello::{Request, Start};

/// The sender's side.
///
/// Invariant: `base <= acked`; `gap` is empty or starts at or after `base`.
#[derive(Clone, Debug, Default)]
pub struct SendState {
    /// The first message that the receiver is owed; `None` while it does not belong to the group.
    base: Option<u64>,
    /// Every message before this one was received, skipped, or is not owed.
    acked: u64,
    /// How many messages before `acked` were skipped: owed, and never sent.
    skipped: u64,
    /// The numbers that the last [`Start`] skipped, until the receiver acknowledges that it continues behind them.
    gap: Range<u64>,
    /// The first message that was ever sent.
    sent_from: Option<u64>,
}

impl SendState {
    /// A receiver that is owed every message from number 0 on.
    #[must_use]
    pub fn of_all() -> Self {
        Self { base: Some(0), ..Self::default() }
    }

    /// The receiver belongs to the group since message `number`. The smallest number counts; once messages were
    /// sent, nothing changes.
    pub fn set_base(&mut self, number: u64) {
        if self.sent_from.is_none() && self.base.is_none_or(|base| number < base) {
            (self.base, self.acked) = (Some(number), number);
        }
    }

    /// The first message that the receiver is owed.
    #[must_use]
    pub fn base(&self) -> Option<u64> {
        self.base
    }

    /// The first message that is neither acknowledged nor skipped.
    #[must_use]
    pub fn acked(&self) -> u64 {
        self.acked
    }

    /// Answers a request, where `kept` are the numbers of the messages that can still be sent.
    pub fn start(&mut self, request: Request, kept: Range<u64>) -> Start {
        let (asked, first) = match request {
            Request::Resume(next) => {
                self.ack(next, kept.end);
                let next = next.min(kept.end);
                (next, next)
            }
            Request::Join { history, base } => {
                let base = self.base.into_iter().chain(base).min().unwrap_or(kept.end).min(kept.end);
                // Messages that the receiver acknowledged before it lost its own state are not owed again.
                let base = if self.sent_from.is_some() { base.max(self.acked) } else { base };
                (base, base.saturating_sub(history))
            }
        };
        if self.sent_from.is_none() {
            let base = self.base.map_or(asked, |base| base.min(asked));
            (self.base, self.acked) = (Some(base), asked);
        }
        let from = first.max(kept.start);
        self.gap = asked..from.max(asked);
        self.sent_from = Some(self.sent_from.map_or(from, |known| known.min(from)));
        Start { from, history_end: asked }
    }

    /// The receiver expects message `next`; `end` is the number of the next message to be sent.
    pub fn ack(&mut self, next: u64, end: u64) {
        let next = next.min(end);
        if !self.gap.is_empty() && next >= self.gap.end {
            self.skipped += self.gap.end - self.gap.start;
            self.gap = 0..0;
        }
        self.acked = self.acked.max(next);
    }

    /// How many messages before `end` are owed and not acknowledged, or were skipped.
    #[must_use]
    pub fn missing(&self, end: u64) -> u64 {
        self.base.map_or(0, |_| end.saturating_sub(self.acked) + self.skipped)
    }

    /// How many messages before `end` are not acknowledged.
    #[must_use]
    pub fn unacked(&self, end: u64) -> u64 {
        self.base.map_or(0, |_| end.saturating_sub(self.acked))
    }

    /// Whether the receiver acknowledged a message that it was sent.
    #[must_use]
    pub fn was_received(&self) -> bool {
        self.sent_from.is_some_and(|from| from < self.acked)
    }
}

/// Whether a message that arrives is new.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// It is the next one.
    New {
        /// It was sent before the receiver belonged to the group.
        is_history: bool,
    },
    /// It is not: it was received before, or will be sent again in its order.
    Ignored,
}

/// The receiver's side.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecvState {
    /// The number of the next message; `None` before the first [`Start`].
    next: Option<u64>,
    /// Messages before this one are history.
    history_end: u64,
    /// The first message that is owed, as the sender or other members reported before the first [`Start`].
    base: Option<u64>,
}

impl RecvState {
    /// A receiver of every message from number 0 on.
    #[must_use]
    pub fn of_all() -> Self {
        Self { next: Some(0), ..Self::default() }
    }

    /// A member reports that messages from `number` on are owed. The smallest number counts.
    pub fn learn_base(&mut self, number: u64) {
        self.base = Some(self.base.map_or(number, |known| known.min(number)));
    }

    /// The number of the next message, once it is known.
    #[must_use]
    pub fn next(&self) -> Option<u64> {
        self.next
    }

    /// The first message that is owed, as far as it is known.
    #[must_use]
    pub fn base(&self) -> Option<u64> {
        self.next.map(|_| self.history_end).or(self.base)
    }

    /// The request on a new link, with `history` older messages if it is the first.
    #[must_use]
    pub fn request(&self, history: u64) -> Request {
        match self.next {
            Some(next) => Request::Resume(next),
            None => Request::Join { history, base: self.base },
        }
    }

    /// The sender starts. Returns how many messages were owed and are missed.
    pub fn start(&mut self, start: Start) -> u64 {
        match self.next {
            None => {
                (self.next, self.history_end) = (Some(start.from), start.history_end);
                start.from.saturating_sub(start.history_end)
            }
            Some(next) => {
                self.next = Some(next.max(start.from));
                // History that cannot be had is not missed.
                start.from.saturating_sub(next.max(self.history_end))
            }
        }
    }

    /// Message `number` arrives.
    pub fn receive(&mut self, number: u64) -> Received {
        if self.next != Some(number) {
            return Received::Ignored;
        }
        self.next = Some(number + 1);
        Received::New { is_history: number < self.history_end }
    }

    /// Whether history is still to come.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.next.is_some_and(|next| next < self.history_end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEW: Request = Request::Join { history: 2, base: None };

    #[test]
    fn a_request_is_answered_from_where_it_asks_as_far_as_messages_are_kept() {
        let join = |base| Request::Join { history: 2, base: Some(base) };
        // (base, request, kept, from, history_end)
        for (base, request, kept, from, history_end) in [
            (None, Request::Resume(3), 0..10, 3, 3),
            (None, Request::Resume(3), 5..10, 5, 3),
            (None, Request::Resume(30), 5..10, 10, 10),
            (None, NEW, 0..10, 8, 10),
            (None, NEW, 9..10, 9, 10),
            (None, NEW, 0..1, 0, 1),
            (Some(4), NEW, 0..10, 2, 4),
            (None, join(4), 0..10, 2, 4),
            (Some(4), join(6), 0..10, 2, 4),
            (Some(6), join(4), 0..10, 2, 4),
            (Some(4), join(4), 7..10, 7, 4),
            (None, join(40), 0..10, 8, 10),
        ] {
            let mut send = SendState::default();
            base.into_iter().for_each(|base| send.set_base(base));
            assert_eq!(send.start(request, kept), Start { from, history_end }, "{base:?} {request:?}");
        }
    }

    #[test]
    fn both_sides_count_the_same_messages_as_missing() {
        let mut send = SendState::default();
        let mut recv = RecvState::default();
        send.set_base(4);
        assert_eq!((send.missing(10), send.unacked(10)), (6, 6));
        // The log starts at 7, so 4 to 6 are missed; the connection breaks before the receiver learns it.
        send.start(recv.request(2), 7..10);
        assert_eq!(recv.start(send.start(recv.request(2), 8..10)), 4);
        assert_eq!(send.missing(10), 6, "it is not known that the receiver knows");
        assert_eq!(recv.receive(8), Received::New { is_history: false });
        send.ack(9, 10);
        assert_eq!((send.missing(10), send.unacked(10)), (5, 1));
        // Again: 9 to 11 were dropped from the log meanwhile.
        let start = send.start(recv.request(2), 12..13);
        assert_eq!(recv.start(start), 3);
        recv.receive(12);
        send.ack(13, 13);
        assert_eq!((send.missing(13), send.unacked(13)), (7, 0));
    }

    #[test]
    fn a_message_counts_once_and_in_its_order() {
        let mut recv = RecvState::default();
        assert_eq!(recv.receive(0), Received::Ignored, "nothing counts before the start");
        assert_eq!(recv.start(Start { from: 3, history_end: 4 }), 0);
        assert!(recv.is_catching_up());
        let new = |is_history| Received::New { is_history };
        let order = [(3, new(true)), (3, Received::Ignored), (5, Received::Ignored), (4, new(false))];
        for (number, expected) in order {
            assert_eq!(recv.receive(number), expected, "{number}");
        }
        assert!(!recv.is_catching_up());
        // Another connection, which starts with what came before.
        assert_eq!(recv.start(Start { from: 4, history_end: 4 }), 0);
        assert_eq!((recv.receive(4), recv.receive(5)), (Received::Ignored, new(false)));
    }

    #[test]
    fn what_is_owed_is_the_least_that_was_told_until_it_is_known() {
        let mut recv = RecvState::default();
        assert_eq!(recv.request(20), Request::Join { history: 20, base: None });
        for number in [9, 5, 7] {
            recv.learn_base(number);
        }
        assert_eq!(recv.request(20), Request::Join { history: 20, base: Some(5) });
        recv.start(Start { from: 0, history_end: 5 });
        recv.learn_base(1);
        assert_eq!((recv.request(20), recv.base()), (Request::Resume(0), Some(5)));
    }

    #[test]
    fn a_message_was_received_once_one_that_was_sent_is_acknowledged() {
        let mut send = SendState::default();
        send.start(NEW, 0..3);
        send.ack(1, 3);
        assert!(!SendState::default().was_received());
        send.ack(3, 3);
        assert!(!SendState::of_all().was_received());
        assert!(send.was_received(), "history counts");
    }
}
