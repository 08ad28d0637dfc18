//! Links to members: messages, acknowledgements and requests, and the end of a link.
//!
//! On a new link each side requests messages (`resume` or `join`), and replies to the other's request with the number
//! where it starts (`from`). The rules are in the docs of [`protocol`](crate::protocol).

use super::*;
use crate::limits::{INQUIRE_DELAY, MEMBER_EXPIRY, PRIVATE_LOST_MAX, SURPLUS_TIMEOUT};
use crate::protocol::pair::{self, PairLink};
use crate::protocol::roster::NotPrivate;
use crate::protocol::sequence::Received;
use crate::wire::hello::Request;

impl<S> Group<S> {
    pub(super) fn handle_link_frame(&mut self, id: ClientId, link: Link, frame: &Frame<'_>, now: Instant) {
        match frame.code {
            Code::Message => self.receive(id, link, frame, now),
            Code::Private => self.receive_private(id, link.key, frame, now),
            Code::Peer => {
                if let Some(frame) = PeerFrame::read(&frame.text()) {
                    self.handle_member_frame(id, link.key, &frame, now);
                }
            }
            Code::Exit => match self.members[link.key].token {
                Some(token) => self.handle_left(link.key, token, now),
                // A member that leaves sends its token before.
                None => self.lose(id, LostReason::Closed { unfinished_bytes: 0 }, now),
            },
            Code::Unknown => (),
        }
    }

    /// A member sends a peer frame.
    pub(super) fn handle_member_frame(
        &mut self,
        id: ClientId,
        key: MemberKey,
        frame: &PeerFrame,
        now: Instant,
    ) {
        if let Some((version, name)) = &frame.name {
            self.rename_member(key, *version, name);
        }
        frame.sent.into_iter().for_each(|number| self.members[key].recv.learn_base(number));
        frame.ack.into_iter().for_each(|next| self.handle_ack(key, next));
        frame.private_ack.into_iter().for_each(|next| self.members[key].private.ack(next));
        if let Some(request) = frame.request {
            self.handle_request(id, key, request, frame.linked, now);
        }
        if let (Some(start), Some(link)) = (frame.from, self.clients[id].phase.link_mut()) {
            link.next_number = Some(start.from);
            let count = self.members[key].recv.start(start);
            if count > 0 {
                let peer = self.members[key].info();
                self.show(Event::Missed { peer, count });
            }
        }
        frame.private_from.into_iter().for_each(|number| self.members[key].private.handle_start(number));
        if frame.asks_all
            && let Some(link) = self.clients[id].phase.link_mut()
            && !mem::replace(&mut link.has_sent_list, true)
        {
            self.send_all_members(id, key, now);
        }
        self.handle_entries(id, key, &frame.members, true, now);
        self.handle_entries(id, key, &frame.absent, false, now);
        if frame.ends_list {
            self.clients.end_list(id);
        }
        self.handle_comparison(id, key, frame, now);
        for &(left, token) in &frame.left {
            self.handle_token(left, token, now);
        }
        if self.members.get(key).is_some() {
            self.close_surplus(key, now);
        }
    }

    /// A member requests our messages, once on each link.
    pub(super) fn handle_request(
        &mut self,
        id: ClientId,
        key: MemberKey,
        request: Request,
        linked: bool,
        now: Instant,
    ) {
        let Some(link) = self.clients[id].phase.link_mut() else { return };
        if mem::replace(&mut link.has_started, true) {
            return;
        }
        if let Request::Resume(next) = request {
            self.handle_ack(key, next);
        }
        let kept = self.log.number_at(self.log.start())..self.log.next_number();
        let member = &mut self.members[key];
        let start = member.send.start(request, kept);
        let private_from = member.private.start();
        let client = &mut self.clients[id];
        client.waiting = None;
        client.offer_from(start.from, &self.log);
        self.push_frame(id, &PeerFrame { from: Some(start), private_from, ..PeerFrame::default() });
        private_from.into_iter().for_each(|first| self.push_private(id, key, first));
        if !linked {
            // It has no other connection, so all that are older are dead.
            let dead = pair::dead(&self.pair(key, now), id);
            for other in dead {
                self.set_phase(other, Phase::Closed);
            }
        }
    }

    /// A message of a member is shown under the name of the member, whatever name is in it.
    pub(super) fn receive(&mut self, id: ClientId, link: Link, frame: &Frame<'_>, now: Instant) {
        let client = &mut self.clients[id];
        if client.is_muted {
            self.discarded_bytes += frame.body.len();
            return;
        }
        // Before its `from`, no message counts; it will be sent again.
        let (Some(number), Some(own)) = (link.next_number, client.phase.link_mut()) else { return };
        own.next_number = Some(number + 1);
        let host = client.address.ip();
        let next_key = self.members.next_key();
        let member = &mut self.members[link.key];
        member.mark(next_key);
        let Received::New { is_history } = member.recv.receive(number) else { return };
        let from = member.info();
        if let Some(at) = member.ack_due(now) {
            self.timers.set(at, Timer::Ack(link.key));
        }
        let body = frame.text();
        let message = message::read_message(&body);
        let may_repeat = self.clients.has_dialled(host);
        if message.is_some() && !self.shown_bodies.receive(host, body.as_bytes(), may_repeat, now) {
            return;
        }
        let event = match message {
            Some(message) => message_event(Some(message.at), from, message.text, is_history),
            None if is_blank(text_of(&body)) => return,
            None => message_event(None, from, text_of(&body), is_history),
        };
        if is_history && self.history.is_waiting() {
            self.history.keep_past(link.key, event);
        } else {
            self.show(event);
        }
    }

    /// A member sends a private message.
    pub(super) fn receive_private(&mut self, id: ClientId, key: MemberKey, frame: &Frame<'_>, now: Instant) {
        if self.clients[id].is_muted {
            self.discarded_bytes += frame.body.len();
            return;
        }
        let body = frame.text();
        let member = &mut self.members[key];
        let Some(message) = member.private.receive(&body) else { return };
        let (at, text) = (Some(message.at), message.text.to_owned());
        let event = Event::Message { at, from: member.info(), text, is_past: false, is_private: true };
        if let Some(at) = member.ack_due(now) {
            self.timers.set(at, Timer::Ack(key));
        }
        self.show(event);
    }

    pub(super) fn push_private(&mut self, id: ClientId, key: MemberKey, first: u64) {
        for body in self.members[key].private.frames_from(first) {
            self.clients.push(id, Code::Private, body.as_bytes(), &self.log, self.own.framing);
        }
    }

    /// Sends `text` to `peer` alone, now or once it is connected again.
    ///
    /// # Errors
    ///
    /// Why it cannot be sent; then no part of it was.
    pub fn send_private(
        &mut self,
        peer: &PeerInfo,
        text: &str,
        at: DateTime<FixedOffset>,
    ) -> Result<(), NotPrivate> {
        let id = peer.id.ok_or_else(|| NotPrivate::Plain(peer.clone()))?;
        let key = self.members.find(id).ok_or_else(|| NotPrivate::Gone(peer.clone()))?;
        let first = self.members[key].private.push(text, at, &self.own.writer);
        let first = first.ok_or_else(|| NotPrivate::Full(peer.clone()))?;
        if let Some(link) = self.best_link(key) {
            self.push_private(link, key, first);
        }
        Ok(())
    }

    /// A member acknowledges our messages before number `next`.
    pub(super) fn handle_ack(&mut self, key: MemberKey, next: u64) {
        let member = &mut self.members[key];
        let before = member.send.acked();
        member.send.ack(next, self.log.next_number());
        self.sent.was_received |= member.send.was_received();
        let (has_more, target) = (member.send.acked() > before, member.target);
        if has_more && self.dialer[target].has_failed() {
            self.dialer[target].handle_progress();
        }
    }

    /// Sends an acknowledgement that is due.
    pub(super) fn send_ack(&mut self, key: MemberKey, now: Instant) {
        let Some(member) = self.members.get_mut(key).filter(|member| member.is_ack_due) else { return };
        member.handle_acked(now);
        if let Some(id) = self.best_link(key) {
            self.push_ack(id, key);
        }
    }

    pub(super) fn push_ack(&mut self, id: ClientId, key: MemberKey) {
        let member = &self.members[key];
        let private_ack = Some(member.private.recv_next()).filter(|next| *next > 0);
        let frame = PeerFrame { ack: member.recv.next(), private_ack, ..PeerFrame::default() };
        self.push_frame(id, &frame);
    }

    /// Sends again what may have been lost with another link of a member: our name, and private messages.
    pub(super) fn push_unknown(&mut self, id: ClientId, key: MemberKey) {
        let private_from = self.members[key].private.start();
        self.push_frame(id, &PeerFrame { name: self.own.name(), private_from, ..PeerFrame::default() });
        private_from.into_iter().for_each(|first| self.push_private(id, key, first));
    }

    /// The link to a member on which bytes were received last.
    pub(super) fn best_link(&self, key: MemberKey) -> Option<ClientId> {
        self.members[key].links.iter().copied().max_by_key(|id| self.clients[*id].received_at)
    }

    /// The best links of all members that are here.
    pub(super) fn best_links(&self) -> Vec<(MemberKey, ClientId)> {
        let here = self.members.iter().filter(|(_, member)| member.is_here());
        here.filter_map(|(key, _)| Some((key, self.best_link(key)?))).collect()
    }

    /// The links to a member, the oldest first.
    pub(super) fn pair(&self, key: MemberKey, now: Instant) -> Vec<PairLink> {
        let link = |id: &ClientId| {
            let client = &self.clients[*id];
            let link = client.phase.link()?;
            Some(PairLink {
                id: *id,
                is_dialled_by_us: client.dialled.is_some(),
                connected_at: client.since,
                established_at: link.since,
                received_at: client.received_at,
                has_started: link.next_number.is_some(),
                awaits_list: self.clients.awaits_list(*id) && now < link.since + SURPLUS_TIMEOUT,
            })
        };
        self.members[key].links.iter().filter_map(link).collect()
    }

    /// Closes the surplus link to a member, if that is up to us.
    pub(super) fn close_surplus(&mut self, key: MemberKey, now: Instant) {
        if let Some(id) = pair::surplus(&self.pair(key, now), self.members[key].id > self.own.id) {
            self.close(id);
            // It may break before all bytes on it have arrived.
            self.best_link(key).into_iter().for_each(|best| self.push_unknown(best, key));
        }
    }

    /// A member has had several links for a while: those that were silent since the last one was connected are
    /// closed.
    pub(super) fn close_silent_links(&mut self, key: MemberKey, now: Instant) {
        if self.members.get(key).is_some() {
            for id in pair::silent(&self.pair(key, now)) {
                self.set_phase(id, Phase::Closed);
            }
            self.close_surplus(key, now);
        }
    }

    /// A link of a member ended.
    pub(super) fn unlink(&mut self, key: MemberKey, why: LostReason, now: Instant) {
        if let Some(other) = self.best_link(key) {
            // These may have been lost with the link that ended.
            self.push_unknown(other, key);
            self.members[key].ack_due(now);
            return self.send_ack(key, now);
        }
        let member = &self.members[key];
        if let Some(token) = member.token {
            return self.handle_left(key, token, now);
        }
        let peer = member.info();
        if self.is_leaving {
            // A member closes the link after our goodbye. An error may mean that it did not arrive.
            if !matches!(why, LostReason::Closed { .. }) {
                self.members.set_presence(key, Presence::Lost { since: now });
                self.show(Event::Lost { peer, why });
            }
            // The goodbye has a number, too.
            return self.show_undelivered(key, self.log.next_number() - 1);
        }
        let target = member.target;
        self.members[key].vouched_at = now;
        self.members.set_presence(key, Presence::Lost { since: now });
        self.dialer.handle_lost(target, now);
        self.timers.set(now + MEMBER_EXPIRY, Timer::Expiry(key));
        // Members that received a goodbye have its token.
        self.inquire_at(now + INQUIRE_DELAY);
        self.show(Event::Lost { peer, why });
    }

    /// Shows the history once it is complete, or the waiting has to end.
    pub(super) fn end_history_when_complete(&mut self, now: Instant) {
        if !self.history.is_waiting() {
            return;
        }
        let is_incomplete = || {
            self.is_reaching_out(now, now) || self.members.iter().any(|(_, member)| member.is_catching_up())
        };
        if self.history.is_spent(now) || !is_incomplete() {
            self.end_history();
        }
    }

    pub(super) fn end_history(&mut self) {
        self.events.extend(self.history.end());
    }

    /// Whether a member may still acknowledge a private message.
    #[must_use]
    pub fn has_private_pending(&self) -> bool {
        self.members.iter().any(|(_, member)| member.private.unacked() > 0)
    }

    /// The members that are not known to have received all private messages.
    #[must_use]
    pub fn private_undelivered(&self) -> Vec<PeerInfo> {
        let kept = self.members.iter().filter(|(_, member)| member.private.unacked() > 0);
        self.private_lost.iter().cloned().chain(kept.map(|(_, member)| member.info())).collect()
    }

    /// Records a member that is about to be removed with private messages that it did not acknowledge.
    pub(super) fn note_private_lost(&mut self, key: MemberKey) {
        if self.members[key].private.unacked() > 0 {
            self.private_lost.push_back(self.members[key].info());
            if self.private_lost.len() > PRIVATE_LOST_MAX {
                self.private_lost.pop_front();
            }
        }
    }
}
