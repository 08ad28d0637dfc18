//! The history that a newcomer is shown: what each member sent before, merged by the times of the messages.
//!
//! Each member sends its own. It is kept until all of it is there, while later events wait behind it.

use std::time::Instant;

use super::event::Event;
use super::ids::MemberKey;
use crate::limits::{HISTORY_BYTES, HISTORY_TIMEOUT};
use crate::wire::message::Timestamp;

/// The history, and the events that wait behind it.
#[derive(Debug, Default)]
pub(super) struct History {
    state: State,
    past: Vec<Past>,
    present: Vec<Event>,
    bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// No member was met yet.
    #[default]
    Alone,
    /// A member was met; events wait until then at most.
    Waiting { until: Instant },
    /// Nothing waits any more.
    Over,
}

/// A message from before we came.
#[derive(Debug)]
struct Past {
    from: MemberKey,
    /// The time of the message in microseconds, at least that of the same sender's message before.
    at: i64,
    event: Event,
}

impl History {
    /// A member was met.
    pub fn begin(&mut self, now: Instant) {
        if self.state == State::Alone {
            self.state = State::Waiting { until: now + HISTORY_TIMEOUT };
        }
    }

    pub fn is_waiting(&self) -> bool {
        matches!(self.state, State::Waiting { .. })
    }

    /// When the waiting ends at the latest.
    pub fn deadline(&self) -> Option<Instant> {
        if let State::Waiting { until } = self.state { Some(until) } else { None }
    }

    /// Whether the time or the space to wait is used up.
    pub fn is_spent(&self, now: Instant) -> bool {
        self.deadline().is_some_and(|until| now >= until) || self.bytes > HISTORY_BYTES
    }

    /// Keeps a message from before we came.
    pub fn keep_past(&mut self, from: MemberKey, event: Event) {
        let Event::Message { at, .. } = &event else { return };
        self.bytes += event.kept_bytes();
        let said_at = match at {
            Some(Timestamp::Zoned(at)) => at.timestamp_micros(),
            Some(Timestamp::Local(at)) => at.and_utc().timestamp_micros(),
            None => i64::MIN,
        };
        // Its sender's clock may have been set back; the order in which it sent counts more.
        let before = self.past.iter().rev().find(|past| past.from == from).map_or(i64::MIN, |past| past.at);
        self.past.push(Past { from, at: said_at.max(before), event });
    }

    /// Keeps an event of the present until the history was shown.
    pub fn keep_present(&mut self, event: Event) {
        self.bytes += event.kept_bytes();
        self.present.push(event);
    }

    /// Ends the waiting, and returns all events in the order in which they are shown.
    pub fn end(&mut self) -> impl Iterator<Item = Event> + use<> {
        self.state = State::Over;
        let (mut past, present) = (std::mem::take(&mut self.past), std::mem::take(&mut self.present));
        past.sort_by_key(|past| past.at);
        let line = (!past.is_empty()).then_some(Event::Present);
        past.into_iter().map(|past| past.event).chain(line).chain(present)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;
    use crate::limits::HISTORY_DEFAULT;
    use crate::protocol::PeerInfo;

    fn message(at: i64, text: &str) -> Event {
        let at = DateTime::from_timestamp_micros(at).expect("a time").fixed_offset();
        let from = PeerInfo { name: "x".into(), id: None, address: None };
        let at = Some(Timestamp::Zoned(at));
        Event::Message { at, from, text: text.to_owned(), is_past: true, is_private: false }
    }

    fn keys(count: usize) -> Vec<MemberKey> {
        std::iter::successors(Some(MemberKey::FIRST), |key| Some(key.next())).take(count).collect()
    }

    #[test]
    fn the_past_is_merged_by_time_and_each_sender_keeps_its_order() {
        let (mut history, keys, now) = (History::default(), keys(2), Instant::now());
        history.begin(now);
        for (from, at, text) in
            [(0, 1, "a"), (0, 9, "d"), (1, 2, "b"), (1, 5, "c"), (0, 3, "e"), (1, 10, "f")]
        {
            history.keep_past(keys[from], message(at, text));
        }
        history.keep_present(message(0, "now"));
        let told: Vec<_> = history.end().collect();
        let texts = told.iter().map(|event| match event {
            Event::Message { text, .. } => text.as_str(),
            _ => "-",
        });
        assert_eq!(texts.collect::<String>(), "abcdef-now");
        assert!(!history.is_waiting());
        history.begin(now);
        assert!(!history.is_waiting(), "one is a newcomer once");
    }

    #[test]
    fn waiting_has_an_end() {
        let (mut history, now) = (History::default(), Instant::now());
        assert!(!history.is_spent(now + HISTORY_TIMEOUT));
        history.begin(now);
        assert!(!history.is_spent(now) && history.is_spent(now + HISTORY_TIMEOUT));
        for _ in 0..HISTORY_DEFAULT {
            history.keep_past(keys(1)[0], message(0, &"x".repeat(HISTORY_BYTES / 10)));
        }
        assert!(history.is_spent(now));
        let mut none = History::default();
        assert_eq!(none.end().count(), 0, "no line where there is no past");
    }
}
