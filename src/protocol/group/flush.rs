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
            visit.extend(self.clients.iter().map(|(key, _)| ClientId(key)));
        }
        let mut has_more = false;
        for &id in &visit {
            if self.clients[id.0].state == State::Open {
                has_more |= self.flush_client(id, now, &mut write);
            }
        }
        visit.retain(|id| self.clients[id.0].is_behind(&self.log));
        self.behind = visit;
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
        if client.cursor < self.log.start() {
            self.lose(id, LostReason::Overrun, now);
            return false;
        }
        let before = client.cursor;
        let probe = client.waiting.is_some_and(|waiting| now >= waiting.probe_at);
        let (mut budget, mut writes, mut is_full) = (WRITE_TURN_BYTES, 0, false);
        while client.is_behind(&self.log) && !is_full && budget > 0 && writes < WRITE_TURN_CALLS {
            let (stream, bytes) = client.offer(&self.log, self.silent);
            let bytes = &bytes[..bytes.len().min(budget)];
            let offered = bytes.len();
            let count = write(id, stream, bytes, probe);
            client.handle_taken(count, &self.log);
            is_full = count < offered;
            budget -= count;
            writes += 1;
        }
        client.clock(now, budget < WRITE_TURN_BYTES, &self.log);
        if !self.heard.by_somebody && before < self.heard.said_to {
            self.heard.by_somebody = self.log.number_at(client.cursor) > self.log.number_at(before);
        }
        let has_more = client.is_behind(&self.log) && !is_full;
        let patience = if self.leaving { LEAVE_STALL } else { STALL };
        if client.stalled_for(now) >= patience {
            self.lose(id, LostReason::Stalled(patience), now);
        } else if self.leaving && !client.is_behind(&self.log) {
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
    /// that is needed by clients that are slow but alive, and by peers dialled for the first time.
    #[must_use]
    pub fn say_limit(&self, now: Instant) -> u64 {
        let slow = self.behind.iter().map(|id| &self.clients[id.0]).filter(|client| client.holds_back(now));
        let first = self.dials.iter().filter(|dial| dial.is_first_attempt());
        let first = first.map(|dial| self.log.position_of(dial.next_message()));
        let needed = slow.map(|client| client.cursor).chain(first).min();
        needed.unwrap_or(self.log.end()) + (LOG_BYTES - LINE_LOG_BYTES_MAX) as u64
    }

    /// How far the user has gone: a position in the log.
    #[must_use]
    pub fn said(&self) -> u64 {
        self.log.end()
    }

    /// Ends what has had its time: addresses that do not answer, and goodbyes.
    pub fn handle_time(&mut self, now: Instant) {
        if !self.leaving && !self.dials.iter().any(|dial| dial.is_timed_out(now)) {
            return;
        }
        for id in self.ids() {
            let client = &self.clients[id.0];
            match (client.state, client.dialled) {
                (State::Finishing { until }, _) if now >= until => self.set_state(id, State::Ended),
                (State::Dialling, Some(dialled)) if self.dials[dialled.dial.0].is_timed_out(now) => {
                    self.lose(id, LostReason::Failed("no answer".into()), now);
                }
                _ => (),
            }
        }
    }

    /// When something is to be done without an event.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let dials = self.dials.iter().filter_map(Dial::deadline);
        let behind = self.behind.iter().filter_map(|id| self.clients[id.0].waiting);
        // Nobody finishes before we leave, and then everybody does.
        let finishing = self.leaving.then(|| self.clients.iter()).into_iter().flatten();
        let finishing = finishing.filter_map(|(_, client)| match client.state {
            State::Finishing { until } => Some(until),
            _ => None,
        });
        dials.chain(behind.map(|waiting| waiting.probe_at)).chain(finishing).min()
    }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use chrono::DateTime;

    use super::*;
    use crate::protocol::frame::Framing;

    fn group_with_one_client(silent: Framing, now: Instant) -> Group<()> {
        let mut group = Group::new("alice".into(), silent, Vec::new(), now, fastrand::Rng::with_seed(1));
        let address = |port| SocketAddr::from(([127, 0, 0, 1], port));
        group.accept((), address(1), address(2)).expect("not oneself");
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
