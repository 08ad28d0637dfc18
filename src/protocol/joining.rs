//! The past that a newcomer is shown: what each member said before, merged by the time of saying.
//!
//! The first members to come send it, each its own. It is kept until all of it is there, while what is
//! said meanwhile waits behind it.

use std::time::Instant;

use super::member::MemberKey;
use super::message::Timestamp;
use super::notice::Notice;
use crate::limits::{JOIN, JOIN_BYTES};

/// What waits until the past is complete.
#[derive(Debug, Default)]
pub(super) struct Joining {
    state: State,
    past: Vec<Past>,
    present: Vec<Notice>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// Nobody was met yet.
    #[default]
    Alone,
    /// Somebody was; until then at most, everything waits.
    Waiting { until: Instant },
    /// Nothing waits any more.
    Over,
}

/// A message from before we came.
#[derive(Debug)]
struct Past {
    from: MemberKey,
    /// When it was said, in microseconds; never earlier than what the same sender said before.
    at: i64,
    notice: Notice,
}

impl Joining {
    /// Somebody was met.
    pub fn begin(&mut self, now: Instant) {
        if self.state == State::Alone {
            self.state = State::Waiting { until: now + JOIN };
        }
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    /// When it ends in any case.
    pub fn deadline(&self) -> Option<Instant> {
        if let State::Waiting { until } = self.state { Some(until) } else { None }
    }

    /// Whether there is no more time, or no more room, to wait.
    pub fn is_spent(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|until| now >= until) || self.bytes > JOIN_BYTES
    }

    /// Keeps a message from before we came.
    pub fn keep_past(&mut self, from: MemberKey, notice: Notice) {
        let Notice::Message { at, .. } = &notice else { return };
        self.bytes += notice.kept_bytes();
        let said_at = match at {
            Some(Timestamp::Zoned(at)) => at.timestamp_micros(),
            Some(Timestamp::Local(at)) => at.and_utc().timestamp_micros(),
            None => i64::MIN,
        };
        // Its sender's clock may have been set back; the order in which it spoke counts more.
        let before = self.past.iter().rev().find(|past| past.from == from).map_or(i64::MIN, |past| past.at);
        self.past.push(Past { from, at: said_at.max(before), notice });
    }

    /// Keeps what is told meanwhile.
    pub fn keep_present(&mut self, notice: Notice) {
        self.bytes += notice.kept_bytes();
        self.present.push(notice);
    }

    /// Ends the waiting and hands out everything, in the order in which it is to be told.
    pub fn end(&mut self) -> impl Iterator<Item = Notice> + use<> {
        self.state = State::Over;
        let (mut past, present) = (std::mem::take(&mut self.past), std::mem::take(&mut self.present));
        past.sort_by_key(|past| past.at);
        let line = (!past.is_empty()).then_some(Notice::Present);
        past.into_iter().map(|past| past.notice).chain(line).chain(present)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::limits::HISTORY_DEFAULT;
    use crate::protocol::Who;

    fn message(at: i64, text: &str) -> Notice {
        let at = DateTime::from_timestamp_micros(at).expect("a time").fixed_offset();
        let from = Who { name: "x".into(), id: None, address: None };
        let at = Some(Timestamp::Zoned(at));
        Notice::Message { at, from, text: text.to_owned(), is_past: true, is_private: false }
    }

    fn keys(count: usize) -> Vec<MemberKey> {
        (0..count).map(MemberKey::of_slot).collect()
    }

    #[test]
    fn the_past_is_merged_by_time_and_each_sender_keeps_its_order() {
        let (mut joining, keys, now) = (Joining::default(), keys(2), Instant::now());
        joining.begin(now);
        for (from, at, text) in
            [(0, 1, "a"), (0, 9, "d"), (1, 2, "b"), (1, 5, "c"), (0, 3, "e"), (1, 10, "f")]
        {
            joining.keep_past(keys[from], message(at, text));
        }
        joining.keep_present(message(0, "now"));
        let told: Vec<_> = joining.end().collect();
        let texts = told.iter().map(|notice| match notice {
            Notice::Message { text, .. } => text.as_str(),
            _ => "-",
        });
        assert_eq!(texts.collect::<String>(), "abcdef-now");
        assert!(!joining.is_waiting());
        joining.begin(now);
        assert!(!joining.is_waiting(), "one is a newcomer once");
    }

    #[test]
    fn waiting_has_an_end() {
        let (mut joining, now) = (Joining::default(), Instant::now());
        assert!(!joining.is_spent(now + JOIN));
        joining.begin(now);
        assert!(!joining.is_spent(now) && joining.is_spent(now + JOIN));
        for _ in 0..HISTORY_DEFAULT {
            joining.keep_past(keys(1)[0], message(0, &"x".repeat(JOIN_BYTES / 10)));
        }
        assert!(joining.is_spent(now));
        let mut none = Joining::default();
        assert_eq!(none.end().count(), 0, "no line where there is no past");
    }
}
