//! Membership: how members become known, are reported to others, leave, and expire.

use std::collections::BTreeSet;

use super::*;
use crate::limits::{
    HANDSHAKE_TIMEOUT, INQUIRE_INTERVAL, INQUIRE_MEMBERS, MEMBER_EXPIRY, NEWS_DIAL_DELAY, NEWS_INTERVAL,
    NEWS_MAX,
};
use crate::protocol::gossip::{self, seen_from};
use crate::protocol::visitors::Host;
use crate::wire::hello::Entry;

impl<S> Group<S> {
    pub(super) fn find_or_add(
        &mut self,
        identity: Identity,
        hello: &PeerFrame,
        now: Instant,
    ) -> Option<MemberKey> {
        if let Some(key) = self.members.find(identity.id()) {
            return Some(key);
        }
        if self.members.is_full() {
            // A member that is connected comes before one that is not.
            self.forget_an_absent_one(now);
        }
        let name = hello.name.as_ref().map_or(NO_NAME, |(_, name)| name);
        let key = self.add_member(identity, name, now)?;
        self.members[key].send.set_base(self.log.next_number());
        Some(key)
    }

    /// Adds a member that was not met, if there is room.
    pub(super) fn add_member(&mut self, identity: Identity, name: &str, now: Instant) -> Option<MemberKey> {
        if self.members.is_full() {
            return None;
        }
        let name: Rc<str> = name.into();
        let peer = Peer { name: Rc::clone(&name), addresses: Vec::new() };
        let target = self.dialer.add_member(self.members.next_key(), peer);
        let key = self.members.insert(identity, name, target, now);
        self.timers.set(now + MEMBER_EXPIRY, Timer::Expiry(key));
        self.handle_members_changed(now);
        self.inquire_at(now + INQUIRE_INTERVAL);
        Some(key)
    }

    pub(super) fn handle_members_changed(&mut self, now: Instant) {
        let pause = self.gossip.handle_change();
        self.compare_after(pause, now);
    }

    fn compare_after(&mut self, pause: Option<Duration>, now: Instant) {
        pause.into_iter().for_each(|pause| self.timers.set(now + pause, Timer::Compare));
    }

    /// Arranges an inquiry about absent members at `at`.
    pub(super) fn inquire_at(&mut self, at: Instant) {
        if self.gossip.arrange_inquiry(at) {
            self.timers.set(at, Timer::Inquire);
        }
    }

    /// Adds a newcomer to the news for the others.
    pub(super) fn add_news(&mut self, key: MemberKey, now: Instant) {
        if self.gossip.add_news(key) {
            self.timers.set(now + NEWS_INTERVAL, Timer::News);
        }
    }

    pub(super) fn send_news(&mut self, now: Instant) {
        let (news, has_more) = self.gossip.take_news(NEWS_MAX);
        if has_more {
            self.timers.set(now + NEWS_INTERVAL, Timer::News);
        }
        let here = news.iter().filter_map(|key| self.members.get(*key)).filter(|member| member.is_here());
        let entries = here.filter_map(|member| gossip::entry(member, &self.dialer, member.recv.base(), now));
        // The same frames for all members. One that is among the newcomers passes over its own entry.
        let frames = PeerFrame::of_members(entries);
        let newcomers: BTreeSet<_> = news.into_iter().collect();
        for (key, id) in self.best_links() {
            if newcomers.len() > 1 || !newcomers.contains(&key) {
                frames.iter().for_each(|frame| self.push_frame(id, frame));
            }
        }
    }

    /// Sends all members to a newcomer, and news of it to them.
    pub(super) fn send_all_members(&mut self, id: ClientId, key: MemberKey, now: Instant) {
        let others = self.members.keys().into_iter().filter(|other| *other != key);
        self.send_members(id, key, others.collect(), now);
        self.push_frame(id, &PeerFrame { ends_list: true, ..PeerFrame::default() });
        self.add_news(key, now);
    }

    /// A member reports others, which are connected to it or are not. Those that are not connected here are dialled.
    pub(super) fn handle_entries(
        &mut self,
        id: ClientId,
        from: MemberKey,
        entries: &[Entry],
        are_here: bool,
        now: Instant,
    ) {
        let Some(link) = self.clients[id].phase.link().copied() else { return };
        let reached_at = self.clients[id].address;
        let is_list = self.clients.awaits_list(id) && now < link.since + HANDSHAKE_TIMEOUT;
        let mut gone = Vec::new();
        for entry in entries {
            if !self.members[from].may_report(now) {
                break;
            }
            let entry_id = entry.identity.id();
            if let Some(token) = self.members.token_of(entry_id) {
                gone.push((entry_id, token));
                continue;
            }
            let sensible = entry.addresses.iter().filter_map(|&address| seen_from(reached_at, address));
            let addresses: Vec<_> = sensible.collect();
            if entry.identity.key == self.own.identity.key || addresses.is_empty() || self.is_leaving {
                continue;
            }
            // Of two that receive each other's entries, one waits longer.
            let delay = if entry_id < self.own.id { NEWS_DIAL_DELAY } else { NEWS_DIAL_DELAY * 2 };
            let at = if is_list { now } else { now + delay };
            let known = self.members.find(entry_id);
            if known.is_none() && entry.age >= MEMBER_EXPIRY.as_secs() {
                // It has expired here, and will there.
                continue;
            }
            let Some(key) = known.or_else(|| self.add_member(entry.identity, &entry.name, now)) else {
                // There is no room: it has to connect here itself.
                continue;
            };
            let target = self.members[key].target;
            let reported_from = Some(Host::of(reached_at.ip()));
            addresses.into_iter().for_each(|address| self.dialer.learn(target, address, reported_from));
            let base = if is_list { self.members[from].send.base() } else { None };
            let member = &mut self.members[key];
            entry.base.into_iter().for_each(|number| member.recv.learn_base(number));
            if known.is_none() {
                member.send.set_base(base.unwrap_or(self.log.next_number()));
                member.is_to_introduce = is_list && link.joins_groups;
                if is_list && are_here {
                    self.members.await_since(key, link.since);
                }
            }
            let member = &mut self.members[key];
            let vouched_at = now.checked_sub(Duration::from_secs(entry.age)).unwrap_or(now);
            member.was_vouched |= are_here;
            if known.is_none() || vouched_at > member.vouched_at {
                (member.vouched_at, member.vouched_by) = (vouched_at, Some(from));
            }
            if !member.is_here() {
                self.dialer[target].wake(at);
            }
        }
        if !gone.is_empty() {
            self.push_frame(id, &PeerFrame { left: gone, ..PeerFrame::default() });
        }
    }

    /// Sends the digest of all known members to one member.
    pub(super) fn compare(&mut self, now: Instant) {
        let pause = self.gossip.handle_comparison();
        self.compare_after(pause, now);
        let digest = Some(self.members.digest());
        let links = self.best_links();
        for (_, id) in self.gossip.comparisons.choose(&links, 1) {
            self.push_frame(id, &PeerFrame { digest, ..PeerFrame::default() });
        }
    }

    /// Sends an inquiry about absent members to some of the others, while there are any.
    pub(super) fn inquire(&mut self, now: Instant) {
        let absent: Vec<_> = self.members.absent().map(|(_, member)| member.id).collect();
        if !self.gossip.take_inquiry(now) || absent.is_empty() || self.is_leaving {
            return;
        }
        self.inquire_at(now + INQUIRE_INTERVAL);
        let links = self.best_links();
        let vouched: BTreeSet<_> =
            self.members.absent().filter_map(|(_, member)| member.vouched_by).collect();
        let vouched = links.iter().filter(|(key, _)| vouched.contains(key)).take(INQUIRE_MEMBERS).copied();
        let mut receivers: BTreeSet<_> = vouched.collect();
        receivers.extend(self.gossip.inquiries.choose(&links, INQUIRE_MEMBERS));
        for (_, id) in receivers {
            self.push_frame(id, &PeerFrame { inquiry: absent.clone(), ..PeerFrame::default() });
        }
    }

    /// Replies to a comparison or an inquiry.
    pub(super) fn handle_comparison(
        &mut self,
        id: ClientId,
        key: MemberKey,
        frame: &PeerFrame,
        now: Instant,
    ) {
        let reply = gossip::reply(&mut self.members, key, frame);
        if reply.is_different {
            let pause = self.gossip.handle_difference();
            self.compare_after(pause, now);
        }
        reply.frames.iter().for_each(|frame| self.push_frame(id, frame));
        self.send_members(id, key, reply.entries, now);
    }

    /// Sends a member the entries of others.
    pub(super) fn send_members(
        &mut self,
        id: ClientId,
        key: MemberKey,
        others: Vec<MemberKey>,
        now: Instant,
    ) {
        for frame in gossip::entries(&self.members, &self.dialer, others, key, now) {
            self.push_frame(id, &frame);
        }
    }

    /// A member sends the token of the run `id`, which has left if the token is its own.
    pub(super) fn handle_token(&mut self, id: MemberId, token: Token, now: Instant) {
        let Some(key) = self.members.find(id) else { return };
        if self.members[key].identity.nonce != token.nonce() {
            return;
        }
        if self.members[key].is_here() {
            // Its last messages arrive on its own link, and so does its exit.
            self.members[key].token = Some(token);
        } else {
            self.handle_left(key, token, now);
        }
    }

    /// A run has left, as its token proves.
    pub(super) fn handle_left(&mut self, key: MemberKey, token: Token, now: Instant) {
        let member = &self.members[key];
        let peer = member.info();
        let (is_unmet, count) = (member.is_unmet(), member.private.unacked());
        if !is_unmet {
            self.show(Event::Left { peer: peer.clone() });
        }
        if count > 0 {
            self.show(Event::Diagnostic(Diagnostic::Undelivered { peer, count }));
        }
        // It waits for our acknowledgement.
        for link in self.members[key].links.clone() {
            self.push_ack(link, key);
        }
        self.remove_member(key, Some(token), now);
    }

    /// Removes a member that is not connected, if no member has reported a connection to it for [`MEMBER_EXPIRY`].
    pub(super) fn expire(&mut self, key: MemberKey, now: Instant) {
        let Some(member) = self.members.get(key).filter(|member| !member.is_here()) else { return };
        let at = member.vouched_at + MEMBER_EXPIRY;
        if self.is_leaving {
            // `leave` has shown what each did not get.
        } else if now < at {
            self.timers.set(at, Timer::Expiry(key));
        } else {
            if !member.is_unmet() {
                self.report(Diagnostic::Forgotten { peer: member.info() });
            }
            self.forget(key, now);
        }
    }

    /// Removes a member that has expired, or for which there is no room.
    pub(super) fn forget(&mut self, key: MemberKey, now: Instant) {
        if !self.members[key].is_unmet() {
            self.show_undelivered(key, self.log.next_number());
        }
        let acked = self.members[key].send.acked();
        let named = self.dialer.given().filter(|(_, target)| target.met() == Some(key)).map(|(id, _)| id);
        for id in named.collect::<Vec<_>>() {
            self.dialer[id].next_message = acked;
            self.dialer.handle_lost(id, now);
        }
        self.remove_member(key, None, now);
    }

    /// Makes room for a member that connects: an absent one is removed, first one that was never met, then the one
    /// that has been absent for longest.
    pub(super) fn forget_an_absent_one(&mut self, now: Instant) {
        let oldest =
            self.members.absent().min_by_key(|(key, member)| (!member.is_unmet(), member.vouched_at, *key));
        if let Some((key, _)) = oldest {
            self.forget(key, now);
        }
    }

    /// Removes a member, its connections, its target and its name.
    pub(super) fn remove_member(&mut self, key: MemberKey, token: Option<Token>, now: Instant) {
        let has_left = token.is_some();
        if !self.members[key].is_unmet() {
            let fate = if has_left { Fate::Left } else { Fate::Gone };
            self.former_names.add(self.members[key].info(), fate);
        }
        self.note_private_lost(key);
        let Some(member) = self.members.remove(key, token) else { return };
        // Others may not know yet that it has left, or are connected to it.
        self.handle_members_changed(now);
        for id in &member.links {
            self.close(*id);
            self.clients.detach(*id);
        }
        let own = self.dialer.remove(member.target);
        let found: Vec<_> = own.iter().flat_map(Target::found).collect();
        let mut attempts: Vec<_> = own.iter().flat_map(|target| &target.attempts).copied().collect();
        for target in self.dialer.named_mut().filter(|_| has_left) {
            let is_there = target.is_open() && found.iter().any(|address| target.has(*address));
            if target.met() == Some(key) || is_there {
                target.give_up();
                attempts.extend(&target.attempts);
            }
        }
        // It may be started again.
        let known = self.dialer.known().filter(|(_, target)| has_left && target.met() == Some(key));
        for id in known.map(|(id, _)| id).collect::<Vec<_>>() {
            self.dialer.handle_lost(id, now);
        }
        for id in attempts {
            if matches!(self.clients[id].phase, Phase::Dialing { .. } | Phase::Handshake(_)) {
                self.set_phase(id, Phase::Closed);
            }
        }
        self.unname(Holder::Member(member.id));
    }
}
