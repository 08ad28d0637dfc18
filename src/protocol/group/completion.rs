//! The end of an introduction: a connection is a member's, and what was said on it of itself counts. Of
//! several connections of a pair, one stays.

use std::mem;
use std::time::Instant;

use super::{ClientId, Group, Introduction, MemberKey, Notice, State, Who};
use crate::protocol::client::Early;
use crate::protocol::former_names::Fate;
use crate::protocol::member::Presence;
use crate::protocol::peer_frame::PeerFrame;

impl<S> Group<S> {
    /// The introduction is complete: whoever is at the other end is this member.
    pub(super) fn complete(&mut self, id: ClientId, key: MemberKey, now: Instant) {
        let (client, member) = (&mut self.clients[id.0], &mut self.members[key]);
        client.introduction = Introduction::Complete(key);
        client.exchange().early = Early::default();
        member.others.retain(|other| *other != id);
        member.links.push(id);
        member.has_pass = true;
        member.our_pass = client.exchange().pass.or(member.our_pass);
        member.dial.handle_connected();
        member.dial.handle_frame();
        let their_have = client.exchange().their_have;
        self.timers.handle_dials_changed();
        self.learn_own_address(id, key, now);
        their_have.into_iter().for_each(|have| self.handle_have(key, have));
        self.take_over_exchange(id, key);
        let member = &mut self.members[key];
        let before = mem::replace(&mut member.presence, Presence::Here);
        let links = member.links.clone();
        if let Presence::Unmet { .. } = before {
            self.name_member(key);
        }
        let who = self.members[key].who();
        match before {
            Presence::Unmet { .. } => self.notices.push_back(Notice::Joined { who }),
            Presence::Lost { .. } => self.tell(Notice::Back { who }),
            Presence::Here => (),
        }
        self.tell_name_taken(key);
        // Only who is met for the first time tells of those who were there before; later, of newcomers.
        self.clients[id.0].exchange().has_told_members = !matches!(before, Presence::Unmet { .. });
        self.heard.alone_is_told = false;
        self.joining.begin(now);
        self.tell_members(id, key);
        self.push_frame(id, &PeerFrame { told_members: true, ..PeerFrame::default() });
        self.push_unknown(id, key);
        self.timers.add_news(key, now);
        // Of several, those that are alive show it, and those that only look it end the sooner.
        for link in links.iter().copied().filter(|_| links.len() > 1) {
            self.push_have(link, key);
        }
    }

    /// Whoever is at the other end is this member, so what it says of itself counts.
    pub(super) fn take_over_exchange(&mut self, id: ClientId, key: MemberKey) {
        let exchange = self.clients[id.0].exchange();
        let (name, private) = (exchange.name.take(), exchange.their_private.take());
        private.into_iter().for_each(|count| self.members[key].private.handle_have(count));
        let member = &mut self.members[key];
        let Some((names, name)) = name.filter(|(names, _)| *names >= member.names) else { return };
        member.names = names;
        if *name == *member.name {
            return;
        }
        let before = member.shown.clone();
        member.set_name(&name);
        if member.is_unmet() {
            // Nobody was told of the old one.
            return;
        }
        self.name_member(key);
        let who = self.members[key].who();
        self.former_names.add(Who { name: before.clone(), ..who.clone() }, Fate::Renamed);
        self.tell(Notice::Renamed { who, before });
        self.tell_name_taken(key);
    }

    /// Closes connections that we dialled to a member that has a better one: one that the greater of
    /// the two dialled, or of those that we dialled the oldest.
    pub(super) fn close_surplus(&mut self, key: MemberKey) {
        let links = self.members[key].links.clone();
        let they_are_greater = self.members[key].id > self.id;
        for (index, &id) in links.iter().enumerate() {
            let Some(client) = self.clients.get(id.0).filter(|client| client.dialled.is_some()) else {
                continue;
            };
            let is_better = |(other_index, other): (usize, &ClientId)| {
                let other = &self.clients[other.0];
                let is_preferred = match other.dialled {
                    Some(_) => other_index < index,
                    None => they_are_greater,
                };
                is_preferred && other.state == State::Open && other.heard_at >= client.since
            };
            if client.state == State::Open && links.iter().enumerate().any(is_better) {
                let member = &mut self.members[key];
                member.links.retain(|link| *link != id);
                member.others.push(id);
                self.close(id);
                // One at a time, for each of them may be the better one of another.
                return;
            }
        }
    }
}
