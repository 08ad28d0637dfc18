//! Sending to everybody: the log is written to all connections, input waits for slow ones, and leaving waits until the
//! goodbye is written.

use super::*;
use crate::limits::{
    HANDSHAKE_TIMEOUT, LEAVE_STALL_TIMEOUT, LEAVE_TIMEOUT, LINE_LOG_BYTES_MAX, LINGER_TIMEOUT, LOG_BYTES,
    MEET_TIMEOUT, PLAIN_WAIT_MAX, WRITE_CALL_BYTES, WRITE_SHARE_BYTES, WRITE_STALL_TIMEOUT, WRITE_TURN_BYTES,
    WRITE_TURN_CALLS,
};

impl<S> Group<S> {
    /// Sends `text` to everybody, in as many frames as it takes.
    pub fn broadcast(&mut self, text: &str, at: DateTime<FixedOffset>) {
        self.sent.count += 1;
        if self.clients.open_count() == 0 {
            self.show_alone();
        }
        let mut rest = text;
        while !rest.is_empty() {
            self.log.append(|out| rest = self.own.writer.write(rest, at, out));
        }
        self.sent.end = self.log.end();
    }

    /// Shows the user once that no peer is connected, unless a peer that the user named is still being dialled.
    pub(super) fn show_alone(&mut self) {
        let is_kept = self.members.iter().any(|(_, member)| !member.is_unmet());
        let is_expected =
            self.dialer.named().any(|(_, target)| !target.is_over()) || self.known_awaited().next().is_some();
        if (is_kept || !is_expected) && !mem::replace(&mut self.sent.is_alone_shown, true) {
            self.report(Diagnostic::Alone { is_kept });
        }
    }

    /// Writes the outbox and the log to the connections, through `write`, until each writes less than it was given or
    /// the budget of the turn is used up, which is one for all: those that it does not reach come first in the next
    /// turn. Returns whether a connection would have taken more.
    ///
    /// `write` is called with the connection, its stream, the bytes, and whether to try although the poll has not
    /// reported room. It returns how many bytes were written, from the front. For a stream that failed that is 0:
    /// reading from it returns the error, behind the bytes that the peer sent before. Connections on which nothing
    /// could be written for too long, or that the log has overrun, are lost. While leaving, those with everything
    /// written are half-closed.
    pub fn flush(
        &mut self,
        now: Instant,
        mut write: impl FnMut(ClientId, &mut S, &[u8], bool) -> usize,
    ) -> bool {
        let mut visited = self.clients.begin_flush(&self.log);
        let (mut has_more, mut budget, mut count) = (false, WRITE_TURN_BYTES, 0);
        for &id in &visited {
            if budget == 0 {
                has_more = true;
                break;
            }
            if self.clients[id].is_writable() {
                has_more |= self.flush_client(id, now, &mut budget, &mut write);
            }
            count += 1;
        }
        let unvisited = visited.split_off(count);
        self.clients.end_flush(visited, unvisited, &self.log);
        self.end_history_when_complete(now);
        has_more
    }

    /// Writes to one connection, and takes what that costs from the budget of the turn. Returns whether the connection
    /// would have taken more.
    pub(super) fn flush_client(
        &mut self,
        id: ClientId,
        now: Instant,
        turn_budget: &mut usize,
        write: &mut impl FnMut(ClientId, &mut S, &[u8], bool) -> usize,
    ) -> bool {
        let client = &mut self.clients[id];
        if client.is_overrun(&self.log) {
            self.lose(id, LostReason::Overrun, now);
            return false;
        }
        let before = (client.cursor, client.next_message(&self.log));
        let probe = client.waiting.is_some_and(|waiting| now >= waiting.probe_at);
        let whole = WRITE_SHARE_BYTES.min(*turn_budget);
        let (mut budget, mut writes, mut is_full) = (whole, 0, false);
        while client.has_offer(&self.log) && !is_full && budget > 0 && writes < WRITE_TURN_CALLS {
            let write = |stream: &mut S, bytes: &[u8]| write(id, stream, bytes, probe);
            let (offered, count) =
                client.write(&self.log, self.own.framing, budget, &mut self.scratch, write);
            is_full = count < offered;
            budget = budget.saturating_sub(count);
            writes += 1;
        }
        let cost = (whole - budget).max(writes * WRITE_CALL_BYTES);
        *turn_budget = turn_budget.saturating_sub(cost);
        let probed_at = client.waiting.map(|waiting| waiting.probe_at);
        client.clock(now, budget < whole, &self.log);
        let probe_at = client.waiting.map(|waiting| waiting.probe_at).filter(|at| Some(*at) != probed_at);
        probe_at.into_iter().for_each(|at| self.timers.set(at, Timer::Write(id)));
        // A member acknowledges. A plain peer may not have understood a framing that is a guess.
        let is_understood =
            client.has_known_framing() || client.dialled.is_none() || self.own.is_framing_given;
        if !self.sent.was_received
            && is_understood
            && before.0 < self.sent.end
            && client.phase.plain().is_some()
        {
            self.sent.was_received = client.next_message(&self.log) > before.1;
        }
        let has_more = client.has_offer(&self.log) && !is_full;
        let is_closing = self.is_leaving || matches!(client.phase, Phase::Closing);
        let patience = if is_closing { LEAVE_STALL_TIMEOUT } else { WRITE_STALL_TIMEOUT };
        if client.stalled_for(now) >= patience {
            self.lose(id, LostReason::Stalled(patience), now);
        } else if client.is_read_closed && !client.is_behind(&self.log) {
            self.lose(id, LostReason::Closed { unfinished_bytes: 0 }, now);
        } else if is_closing && !client.is_behind(&self.log) {
            let until = now + LINGER_TIMEOUT;
            self.clients.half_close(id, until);
            self.timers.set(until, Timer::Phase(id));
        }
        has_more
    }

    /// How many messages were sent, if no peer is known to have received any of them.
    #[must_use]
    pub fn unreceived_count(&self) -> Option<u64> {
        (self.sent.count > 0 && !self.sent.was_received).then_some(self.sent.count)
    }

    /// The position in the log, in bytes, after the user's last message.
    #[must_use]
    pub fn log_end(&self) -> u64 {
        self.log.end()
    }

    /// The position in the log up to which the user may continue to send: until then the log holds all that is needed
    /// by connections that are slow but alive, by peers dialled for the first time, and by the members that those
    /// will report.
    #[must_use]
    pub fn send_limit(&self, now: Instant) -> u64 {
        let slow = self.clients.behind().filter(|client| client.holds_back(now)).map(|client| client.cursor);
        let named = self.dialer.named().map(|(_, target)| target);
        let first = named.filter(|target| target.is_first_attempt()).chain(self.known_awaited());
        let first = first.map(|target| target.next_message);
        let awaited = self.awaited(now).filter_map(|member| member.send.base());
        let numbers = first.chain(awaited).chain(self.bases_of_groups(now));
        let needed = slow.chain(numbers.map(|number| self.log.position_of(number)));
        needed.min().unwrap_or(self.log.end()) + (LOG_BYTES - LINE_LOG_BYTES_MAX) as u64
    }

    /// The peers that the group knows and that are dialled for the first time. As soon as one is met, its list says who
    /// else is there.
    fn known_awaited(&self) -> impl Iterator<Item = &Target> {
        let known = self.dialer.known().filter(|_| self.awaits_group()).map(|(_, target)| target);
        known.filter(|target| target.is_first_attempt())
    }

    /// The members of the group that we join which are still dialled for the first time.
    pub(super) fn awaited(&self, now: Instant) -> impl Iterator<Item = &Member> {
        self.members.awaited(now).filter(|member| self.dialer[member.target].is_first_attempt())
    }

    /// The numbers from which on messages are owed to the groups of peers that the user named and that have not sent
    /// the list of their members yet: during their handshake, and for
    /// [`HANDSHAKE_TIMEOUT`](crate::limits::HANDSHAKE_TIMEOUT) more.
    pub(super) fn bases_of_groups(&self, now: Instant) -> impl Iterator<Item = u64> {
        let unproven = self.clients.dialled_handshakes().filter_map(|(client, unproven)| {
            let has_begun = unproven.handshake.has_begun();
            let target = self.dialer.get(client.dialled?.target)?;
            let is_wanted = match target.wanted_by() {
                WantedBy::User => true,
                WantedBy::Group(_) => self.awaits_group(),
                WantedBy::Member(_) => false,
            };
            (has_begun && is_wanted).then_some(target.next_message)
        });
        let linked = self.awaited_lists(now).filter_map(|link| self.members[link.key].send.base());
        unproven.chain(linked)
    }

    /// The links on which the list of all members is not complete, and whose time for it is not over.
    pub(super) fn awaited_lists(&self, now: Instant) -> impl Iterator<Item = &Link> {
        self.clients.awaiting_lists().filter(move |link| now < link.since + HANDSHAKE_TIMEOUT)
    }

    /// Whether further peers may be reached in a moment: a peer that the user named and that is being dialled for the
    /// first time; and, for [`MEET_TIMEOUT`] after `since`, a member of a group that we join, or a peer that we dialled
    /// and whose handshake is not finished.
    #[must_use]
    pub fn is_reaching_out(&self, now: Instant, since: Instant) -> bool {
        if self.dialer.named().any(|(_, target)| target.is_first_attempt()) {
            return true;
        }
        // Members may report others without end.
        now < since + MEET_TIMEOUT
            && (self.clients.dialled_handshakes().next().is_some()
                || self.known_awaited().next().is_some()
                || self.awaited(now).next().is_some()
                || self.awaited_lists(now).next().is_some())
    }

    /// The time until which a peer that the user named, and that has sent nothing so far, may still turn out to be a
    /// slow member. Without waiting for that, what was sent would reach no other member of its group.
    #[must_use]
    pub fn handshake_wait_end(&self, now: Instant) -> Option<Instant> {
        if self.own.is_plain {
            return None;
        }
        let unanswered = self.clients.iter().map(|(_, client)| client).filter(|client| {
            client.phase.plain().is_some() && client.dialled.is_some() && client.received_framing.is_none()
        });
        unanswered.map(|client| client.since + PLAIN_WAIT_MAX).filter(|at| now < *at).max()
    }

    /// Leaves: queues a goodbye behind everything already sent, as a peer that listens on `address`. No peer is
    /// dialled any more.
    pub fn leave(&mut self, now: Instant, at: DateTime<FixedOffset>, address: SocketAddr) {
        self.is_leaving = true;
        self.timers.set(now + LEAVE_TIMEOUT, Timer::Leave);
        let end = self.log.next_number();
        for key in self.members.keys() {
            let member = &self.members[key];
            let (is_lost, target) = (!member.is_here() && !member.is_unmet(), member.target);
            self.dialer[target].give_up();
            if is_lost {
                self.show_undelivered(key, end);
            }
            // It is the last acknowledgement.
            self.send_ack(key, now);
        }
        let unmet = self.members.absent().map(|(_, member)| member);
        let unmet = unmet.filter(|it| it.is_unmet() && it.was_vouched && it.undelivered(end) > 0).count();
        if unmet > 0 {
            self.report(Diagnostic::Unmet { count: unmet });
        }
        self.dialer.given_mut().for_each(Target::give_up);
        if self.sent.count > 0 {
            self.show_unanswered();
        }
        let ids: Vec<_> = self.clients.iter().map(|(id, _)| id).collect();
        for id in ids {
            match &self.clients[id].phase {
                Phase::Dialing { .. } => self.set_phase(id, Phase::Closed),
                Phase::Handshake(unproven) if unproven.plain_at.is_some() => self.take_for_plain(id),
                Phase::Handshake(_) => self.set_phase(id, Phase::Closed),
                Phase::Member(_) => {
                    let frame =
                        PeerFrame { left: vec![(self.own.id, self.own.token)], ..PeerFrame::default() };
                    self.push_frame(id, &frame);
                }
                Phase::Plain(_) | Phase::Closing | Phase::HalfClosed { .. } | Phase::Closed => (),
            }
            // The time limit for a goodbye begins with it.
            self.clients[id].waiting = None;
            self.clients[id].clock(now, false, &self.log);
        }
        self.end_history();
        self.log.append(|out| message::write_exit(address, at, self.own.writer.name(), out));
    }

    /// Whether leaving is finished: no connection is open.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.is_leaving && self.clients.open_count() == 0
    }

    /// Leaving has taken too long: all connections are lost.
    pub(super) fn give_up_leaving(&mut self, now: Instant) {
        let open = self.clients.iter().filter(|(_, client)| !client.is_closed()).map(|(id, _)| id);
        for id in open.collect::<Vec<_>>() {
            self.lose(id, LostReason::Stalled(LEAVE_TIMEOUT), now);
        }
    }

    /// Shows the peers that the user named and that never sent anything.
    pub(super) fn show_unanswered(&mut self) {
        if self.own.is_framing_given {
            return;
        }
        let is_unanswered = |client: &Client<S>| {
            let is_plain = matches!(client.phase, Phase::Plain(_));
            is_plain && !client.has_known_framing() && self.is_to_named(client)
        };
        let unanswered = self.clients.iter().filter(|(_, client)| is_unanswered(client));
        let shown: Vec<_> = unanswered.map(|(id, _)| self.plain_info(id)).collect();
        self.events.extend(shown.into_iter().map(|peer| Event::Diagnostic(Diagnostic::Unanswered { peer })));
    }

    /// Shows how many of the messages before number `end` a member has not received, as far as is known.
    pub(super) fn show_undelivered(&mut self, key: MemberKey, end: u64) {
        let count = self.members[key].undelivered(end);
        if count > 0 {
            let peer = self.members[key].info();
            self.report(Diagnostic::Undelivered { peer, count });
        }
    }
}
