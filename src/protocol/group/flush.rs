//! Handing the log to the clients, and what becomes of those that do not take it.

use std::mem;
use std::time::Instant;

use super::{Group, LostReason, State};
use crate::limits::{
    FINISH, LEAVE_STALL, LINE_LOG_BYTES_MAX, LOG_BYTES, STALL, WRITE_TURN_BYTES, WRITE_TURN_CALLS,
};
use crate::protocol::client::ClientId;
use crate::protocol::dial::Dial;

impl<S> Group<S> {
    /// Offers every client what it has not taken, through `write`, until it takes less than offered
    /// or has had its turn. Returns whether somebody would have taken more.
    ///
    /// `write` gets the client, its stream, the bytes, and whether to try even if nothing says that
    /// there is room; it returns how many bytes were taken, from the front. A stream that failed takes
    /// none: reading from it tells why, after what was said before. Those who took nothing for too
    /// long, or whom the log has overrun, are lost; while leaving, who has everything is finished.
    pub fn flush(
        &mut self,
        now: Instant,
        mut write: impl FnMut(ClientId, &mut S, &[u8], bool) -> usize,
    ) -> bool {
        let mut visit = mem::take(&mut self.behind);
        if self.log.end() > self.flushed {
            self.flushed = self.log.end();
            visit.clear();
            visit.extend(self.clients.iter_mut().map(|(key, client)| {
                client.is_listed = true;
                ClientId(key)
            }));
        }
        let mut has_more = false;
        for &id in &visit {
            if self.clients[id.0].is_open() {
                has_more |= self.flush_client(id, now, &mut write);
            }
        }
        visit.retain(|id| {
            let client = &mut self.clients[id.0];
            client.is_listed = client.is_behind(&self.log);
            client.is_listed
        });
        // What a lost client led to may have listed others.
        self.behind.append(&mut visit);
        self.end_joining_when_done(now);
        has_more
    }

    /// Returns whether the client would have taken more.
    fn flush_client(
        &mut self,
        id: ClientId,
        now: Instant,
        write: &mut impl FnMut(ClientId, &mut S, &[u8], bool) -> usize,
    ) -> bool {
        let client = &mut self.clients[id.0];
        let is_overrun = client.offered_from.is_some() && client.cursor < self.log.start();
        if is_overrun && client.state == State::Open {
            self.lose(id, LostReason::Overrun, now);
            return false;
        }
        let before = (client.cursor, client.next_message(&self.log));
        let probe = client.waiting.is_some_and(|waiting| now >= waiting.probe_at);
        let (mut budget, mut writes, mut is_full) = (WRITE_TURN_BYTES, 0, false);
        while client.has_offer(&self.log) && !is_full && budget > 0 && writes < WRITE_TURN_CALLS {
            let (stream, bytes) = client.offer(&self.log, self.silent);
            let bytes = &bytes[..bytes.len().min(budget)];
            let offered = bytes.len();
            let count = write(id, stream, bytes, probe);
            client.handle_taken(count);
            is_full = count < offered;
            budget -= count;
            writes += 1;
        }
        client.clock(now, budget < WRITE_TURN_BYTES, &self.log);
        // A member says itself what it has.
        if !self.heard.by_somebody && before.0 < self.heard.said_to && client.introduction.member().is_none()
        {
            self.heard.by_somebody = client.next_message(&self.log) > before.1;
        }
        let has_more = client.has_offer(&self.log) && !is_full;
        let is_closing = self.leaving || client.state == State::Closing;
        let patience = if is_closing { LEAVE_STALL } else { STALL };
        if client.stalled_for(now) >= patience {
            self.lose(id, LostReason::Stalled(patience), now);
        } else if client.is_silent && !client.is_behind(&self.log) {
            self.lose(id, LostReason::Closed { unfinished_bytes: 0 }, now);
        } else if is_closing && !client.is_behind(&self.log) {
            self.set_state(id, State::Finishing { until: now + FINISH });
        }
        has_more
    }

    /// The next stream whose sending side is to be shut down, until `None`: it has everything.
    pub fn poll_shutdown(&mut self) -> Option<&mut S> {
        let id = self.to_shut_down.pop_front()?;
        Some(&mut self.clients[id.0].stream)
    }

    /// How far, as a position in the log, the user may go on talking: until then the log holds all
    /// that is needed by clients that are slow but alive, by peers dialled for the first time, and by the
    /// members that those will tell of.
    #[must_use]
    pub fn say_limit(&self, now: Instant) -> u64 {
        let slow = self.behind.iter().map(|id| &self.clients[id.0]).filter(|client| client.holds_back(now));
        let first = self.named.iter().filter(|dial| dial.is_first_attempt()).map(Dial::next_message);
        let unmet = self.members.iter().map(|(_, member)| member).filter(|member| member.is_soon_met(now));
        let numbers = first.chain(unmet.map(|member| member.owed));
        let numbers = numbers.chain(self.owed_to_groups());
        let needed =
            slow.map(|client| client.cursor).chain(numbers.map(|number| self.log.position_of(number)));
        needed.min().unwrap_or(self.log.end()) + (LOG_BYTES - LINE_LOG_BYTES_MAX) as u64
    }

    /// How far the user has gone: a position in the log.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.log.end()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use chrono::DateTime;

    use super::*;
    use crate::protocol::Setup;
    use crate::protocol::frame::Framing;

    fn group_with_one_client(silent: Framing, now: Instant) -> Group<()> {
        let (name, peers) = ("alice".into(), Vec::new());
        let setup = Setup { name, port: 2, silent, is_plain: true, history: 0, peers };
        let mut group = Group::new(setup, now, fastrand::Rng::with_seed(1), Box::new(|number| number));
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        group.accept((), address(1), address(2), now).expect("not oneself");
        group
    }

    /// Says 900 lines and flushes until nothing is left. Returns the writes of each flush.
    fn writes_per_flush(silent: Framing) -> Vec<usize> {
        let now = Instant::now();
        let mut group = group_with_one_client(silent, now);
        for _ in 0..900 {
            group.say(&"x".repeat(1_000), DateTime::UNIX_EPOCH.fixed_offset());
        }
        let mut flushes = Vec::new();
        loop {
            let (mut writes, mut taken) = (0, 0);
            let has_more = group.flush(now, |_, (), bytes, _| {
                writes += 1;
                taken += bytes.len();
                bytes.len()
            });
            assert!(taken <= WRITE_TURN_BYTES);
            flushes.push(writes);
            if !has_more {
                assert!(group.behind.is_empty(), "nothing will tell of what is left");
                return flushes;
            }
        }
    }

    #[test]
    fn nobody_takes_more_than_a_turn_allows() {
        let text = writes_per_flush(Framing::Text);
        assert!((4..=6).contains(&text.len()) && text.iter().all(|&writes| writes <= 2), "{text:?}");
        let lab = writes_per_flush(Framing::Lab);
        assert_eq!(lab.iter().sum::<usize>(), 900);
        assert!(lab.iter().all(|&writes| writes <= WRITE_TURN_CALLS), "{lab:?}");
    }

    #[test]
    fn a_client_that_takes_nothing_is_tried_again_and_then_lost() {
        let start = Instant::now();
        let mut group = group_with_one_client(Framing::Text, start);
        while group.poll_output().is_some() {}
        group.say("hello", DateTime::UNIX_EPOCH.fixed_offset());
        let (mut now, mut probes) = (start, 0);
        while group.poll_output().is_none() {
            assert!(!group.flush(now, |_, (), _, probe| {
                probes += u32::from(probe);
                0
            }));
            now = group.deadline().unwrap_or(now);
        }
        assert!(now >= start + STALL && probes > 10, "{probes} probes in {:?}", now - start);
        assert!(group.poll_ended().is_some());
    }
}
