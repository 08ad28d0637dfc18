//! The private messages between us and one member: the queue of those that it has not acknowledged, and the number
//! of the next one from it.
//!
//! Private messages have numbers of their own, which are in their frames. Each is kept until the member
//! acknowledges it, and sent again over every new connection of the pair.

use std::collections::VecDeque;

use chrono::{DateTime, FixedOffset};

use super::sequence::{Received, RecvState, SendState};
use crate::limits::PRIVATE_BYTES;
use crate::wire::hello::{Request, Start};
use crate::wire::message::{self, Message, MessageWriter};

/// Both directions.
///
/// Invariant: `kept` holds the messages from `send.acked()` on, and `bytes` is their length.
#[derive(Clone, Debug)]
pub(super) struct PrivateQueue {
    /// Bodies, the oldest first.
    kept: VecDeque<String>,
    bytes: usize,
    send: SendState,
    recv: RecvState,
}

impl Default for PrivateQueue {
    fn default() -> Self {
        Self { kept: VecDeque::new(), bytes: 0, send: SendState::of_all(), recv: RecvState::of_all() }
    }
}

impl PrivateQueue {
    /// Adds a text, as one message or several. Returns the number of the first. If the queue is too full, returns
    /// `None` and adds nothing.
    pub fn push(&mut self, text: &str, at: DateTime<FixedOffset>, writer: &MessageWriter) -> Option<u64> {
        let next = self.next();
        if self.bytes + text.len().max(1) > PRIVATE_BYTES {
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
        self.send.acked() + self.kept.len() as u64
    }

    /// How many are not acknowledged.
    pub fn unacked(&self) -> u64 {
        self.kept.len() as u64
    }

    /// The number of the first message on a new link; `None` if none was ever sent.
    pub fn start(&self) -> Option<u64> {
        (self.next() > 0).then_some(self.send.acked())
    }

    /// The bodies of the frames that are kept, from message `number` on.
    pub fn frames_from(&self, number: u64) -> impl Iterator<Item = String> {
        let skipped = number.saturating_sub(self.send.acked()) as usize;
        let numbered = (self.send.acked()..).zip(&self.kept).skip(skipped);
        numbered.map(|(number, body)| format!("{number}\n{body}"))
    }

    /// The member expects message `next`. A number that was never sent comes from a time before we removed the member
    /// altogether.
    pub fn ack(&mut self, next: u64) {
        let end = self.next();
        while self.send.acked() < next.min(end)
            && let Some(body) = self.kept.pop_front()
        {
            self.bytes -= body.len();
            self.send.ack(self.send.acked() + 1, end);
        }
        self.send.ack(next, next.max(end));
    }

    /// The member's next message on a new connection is `number`.
    pub fn handle_start(&mut self, number: u64) {
        self.recv.start(Start { from: number, history_end: 0 });
    }

    /// The number of the member's next message.
    pub fn recv_next(&self) -> u64 {
        self.recv.next().unwrap_or(0)
    }

    /// Takes in the body of a private frame. Returns the message if it is the next one. Others were received before,
    /// or will be sent again.
    pub fn receive<'a>(&mut self, body: &'a str) -> Option<Message<'a>> {
        let (number, body) = body.split_once('\n')?;
        let message = message::read_message(body)?;
        match self.recv.receive(number.parse().ok()?) {
            Received::New { .. } => Some(message),
            Received::Ignored => None,
        }
    }

    /// Removes the messages when the member is removed; the numbers continue.
    pub fn forget(&mut self) {
        let next = self.next();
        self.kept.clear();
        self.bytes = 0;
        self.send.start(Request::Resume(next), 0..next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue_of(count: usize) -> PrivateQueue {
        let (mut queue, writer) = (PrivateQueue::default(), MessageWriter::new("alice".into()));
        for number in 0..count {
            queue.push(&number.to_string(), DateTime::UNIX_EPOCH.fixed_offset(), &writer);
        }
        queue
    }

    #[test]
    fn what_is_not_acknowledged_is_sent_again() {
        let (mut hers, mut his) = (queue_of(3), PrivateQueue::default());
        for (taken, left) in [(2, 3), (3, 1)] {
            his.handle_start(hers.start().expect("something was sent"));
            let frames: Vec<_> = hers.frames_from(0).collect();
            assert_eq!(frames.len(), left);
            let texts = frames.iter().take(taken).filter_map(|frame| his.receive(frame));
            let texts: Vec<_> = texts.map(|message| message.text.to_owned()).collect();
            assert_eq!(texts, if taken == 2 { vec!["0", "1"] } else { vec!["2"] });
            hers.ack(his.recv_next());
        }
        assert_eq!((hers.unacked(), hers.bytes, hers.start()), (0, 0, Some(3)));
    }

    #[test]
    fn numbers_go_on_after_a_member_was_forgotten_on_either_side() {
        let (mut hers, mut his) = (queue_of(3), PrivateQueue::default());
        hers.forget();
        assert_eq!((hers.unacked(), hers.start()), (0, Some(3)));
        hers.push("3", DateTime::UNIX_EPOCH.fixed_offset(), &MessageWriter::new("alice".into()));
        his.handle_start(3);
        assert!(his.receive(&hers.frames_from(0).next().expect("one")).is_some());
        // She has forgotten him altogether.
        let mut anew = queue_of(1);
        anew.ack(his.recv_next());
        assert_eq!((anew.unacked(), anew.start()), (0, Some(4)), "a number that he counts as had");
    }

    #[test]
    fn what_is_kept_has_a_limit() {
        let (mut queue, writer) = (PrivateQueue::default(), MessageWriter::new("alice".into()));
        let mut push = || queue.push(&"x".repeat(1000), DateTime::UNIX_EPOCH.fixed_offset(), &writer);
        let count = (0..1000).take_while(|_| push().is_some()).count();
        assert!((50..=PRIVATE_BYTES / 1000).contains(&count), "{count}");
    }
}
