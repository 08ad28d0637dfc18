//! Links to members: how a connection becomes one, what is exchanged on it, and which one is surplus if a pair has
//! several.
//!
//! Once the [handshake](crate::protocol::handshake) is finished, each side requests messages (`resume` or `join`), and
//! replies to the other's request with the number where it starts (`from`). The rules for several links, newcomers and
//! gossip are in the docs of [`protocol`](crate::protocol).

use std::collections::BTreeSet;

use super::*;
use crate::limits::{
    INQUIRE_INTERVAL, INQUIRE_MEMBERS, NEWS_DIAL_DELAY, NEWS_INTERVAL, NEWS_MAX, SURPLUS_TIMEOUT,
};
use crate::protocol::gossip::{self, seen_from};
use crate::protocol::pair::{self, PairLink};
use crate::protocol::sequence::Received;
use crate::protocol::visitors::Host;

use crate::wire::hello::{Entry, Request, id_of};

impl<S> Group<S> {
    /// Handles the hello of a connection.
    pub(super) fn identify(&mut self, id: ClientId, hello: &PeerFrame, now: Instant) {
        let Some(member_id) = hello.id else { return };
        if member_id == self.own.id {
            return self.meet_oneself(id, now);
        }
        let has_left = self.members.token_of(member_id).is_some();
        let key = if has_left { None } else { self.find_or_add(member_id, hello, now) };
        // The member that it was dialled for may have been removed to make room, and the connection with it.
        if self.clients[id].is_closed() {
            return;
        }
        let Some(key) = key else { return self.turn_away(id, now) };
        let Client { address, dialled, .. } = self.clients[id];
        let wanted_by = dialled.and_then(|dialled| self.dialer.get(dialled.target)).map(Target::wanted_by);
        if let (Some((_, name)), true) = (&hello.name, self.members[key].is_unmet()) {
            self.members[key].set_name(name);
        }
        self.members[key].pending.push(id);
        let place = Place { address, is_named: wanted_by == Some(WantedBy::User) };
        let credentials = &mut self.members[key].credentials;
        let Phase::Handshake(unproven) = &mut self.clients[id].phase else { return };
        (unproven.plain_at, unproven.until) = (None, now + HANDSHAKE_TIMEOUT);
        let step = unproven.handshake.identify(key, hello, credentials, place);
        self.timers.set(now + HANDSHAKE_TIMEOUT, Timer::Phase(id));
        self.owe_named(id, key);
        if let Some(dialled) = dialled {
            match wanted_by {
                Some(WantedBy::Member(expected)) if expected != key => {
                    self.clients[id].dialled = Some(Dialled { target: self.members[key].target, ..dialled });
                    self.dialer.move_attempt(id, dialled.target, self.members[key].target);
                    self.handle_other_run(expected, key, address, now);
                }
                Some(_) => self.dialer[dialled.target].handle_frame(),
                None => (),
            }
        }
        self.handle_step(id, key, step, hello, now);
    }

    /// Executes a step of a handshake.
    pub(super) fn handle_step(
        &mut self,
        id: ClientId,
        key: MemberKey,
        step: Step,
        frame: &PeerFrame,
        now: Instant,
    ) {
        match step {
            Step::Wait => (),
            Step::Answer { pass } => {
                let answer = PeerFrame { pass, ..self.own.hello() };
                self.push_frame(id, &answer);
            }
            Step::Prove { proof, pass } => {
                self.push_frame(id, &PeerFrame { proof, pass, ..PeerFrame::default() });
            }
            Step::Established { proof } => {
                self.establish(id, key, proof, now);
                self.handle_member_frame(id, key, frame, now);
            }
            Step::Rejected => {
                let (address, peer) = (self.clients[id].address, self.members[key].info());
                // It may try again at once and without end, so the events are limited.
                if self.visitors.add(address.ip(), now) {
                    self.events.push_back(Event::Impostor { address, peer });
                }
                self.lose(id, LostReason::Failed("not who it says".into()), now);
            }
        }
    }

    /// The other end is this very run.
    fn meet_oneself(&mut self, id: ClientId, now: Instant) {
        if self.clients[id].dialled.is_some() {
            return self.handle_oneself(id, now);
        }
        // Our dialling side recognises itself by it.
        let hello = self.own.hello();
        self.push_frame(id, &hello);
        self.close(id);
    }

    /// A connection that we dialled leads to ourselves.
    pub(super) fn handle_oneself(&mut self, id: ClientId, now: Instant) {
        let Client { address, dialled, .. } = self.clients[id];
        if let Some(target) = dialled.and_then(|dialled| self.dialer.get_mut(dialled.target)) {
            match target.wanted_by() {
                WantedBy::User => {
                    target.handle_oneself();
                    self.events.push_back(Event::Oneself { name: Rc::clone(target.name()) });
                }
                WantedBy::Member(key) => self.handle_wrong_address(key, address, now),
            }
        }
        self.set_phase(id, Phase::Closed);
    }

    /// Closes a connection of a member for which there is no room, or which has left before.
    fn turn_away(&mut self, id: ClientId, now: Instant) {
        let target = self.clients[id].dialled.map(|dialled| dialled.target);
        self.close(id);
        let Some(target) = target else { return };
        match self.dialer.get(target).map(Target::wanted_by) {
            Some(WantedBy::User) => self.dialer.handle_lost(target, now),
            Some(WantedBy::Member(_)) => {
                self.handle_dial_failed(target, "somebody else answers".into(), now);
            }
            None => (),
        }
    }

    /// Records that a member which the user named is owed all messages since, whichever side dialled.
    fn owe_named(&mut self, id: ClientId, key: MemberKey) {
        let target = self.clients[id].dialled.map(|dialled| dialled.target);
        let reached_at = self.reached_at(id);
        let is_it = |(named, it): &(TargetId, &Target)| {
            target == Some(*named) || it.is_open() && reached_at.is_some_and(|address| it.has(address))
        };
        let owed = self.dialer.named().filter(is_it).map(|(_, target)| target.next_message).min();
        owed.into_iter().for_each(|number| self.members[key].send.owe_from(number));
    }

    /// The address at which the other end is reached: the one that we dialled, or the one that it came from with the
    /// port that it claims to listen on.
    fn reached_at(&self, id: ClientId) -> Option<SocketAddr> {
        let client = &self.clients[id];
        if client.dialled.is_some() {
            return Some(client.address);
        }
        // The scope of a link-local address stays.
        let mut address = client.address;
        address.set_port(client.phase.unproven()?.handshake.port?);
        Some(address)
    }

    pub(super) fn find_or_add(&mut self, id: MemberId, hello: &PeerFrame, now: Instant) -> Option<MemberKey> {
        if let Some(key) = self.members.find(id) {
            return Some(key);
        }
        if self.members.is_full() {
            // A member that is connected comes before one that is not.
            self.forget_an_absent_one(now);
        }
        let name = hello.name.as_ref().map_or(NO_NAME, |(_, name)| name);
        let key = self.add_member(id, name, now)?;
        self.members[key].send.owe_from(self.log.next_number());
        Some(key)
    }

    /// Adds a member that was not met, if there is room.
    fn add_member(&mut self, id: MemberId, name: &str, now: Instant) -> Option<MemberKey> {
        if self.members.is_full() {
            return None;
        }
        let name: Rc<str> = name.into();
        let peer = Peer { name: Rc::clone(&name), addresses: Vec::new() };
        let target = self.dialer.add_member(self.members.next_key(), peer);
        let issued = self.own.issue(id);
        let key = self.members.insert(id, name, target, issued, now);
        self.timers.set(now + MEMBER_EXPIRY, Timer::Expiry(key));
        self.handle_members_changed(now);
        self.inquire_at(now + INQUIRE_INTERVAL);
        Some(key)
    }

    /// Establishes a link: the other end has proved to be this member.
    fn establish(&mut self, id: ClientId, key: MemberKey, proof: Option<Token>, now: Instant) {
        let reached_at = self.reached_at(id);
        let is_new = self.members[key].is_unmet();
        let target = self.clients[id].dialled.map(|dialled| dialled.target);
        let is_named =
            target.and_then(|it| self.dialer.get(it)).is_some_and(|it| it.wanted_by() == WantedBy::User);
        let asks_all = is_new && (is_named || self.members.len() == 1);
        let joins_groups = asks_all && self.members.iter().any(|(_, member)| member.is_here());
        let link = Link {
            key,
            since: now,
            next_number: None,
            has_started: false,
            has_sent_list: false,
            joins_groups,
        };
        self.set_phase(id, Phase::Member(link));
        self.end_plain_presence(id);
        let member = &mut self.members[key];
        member.links.push(id);
        member.vouched_at = now;
        let (is_other, own_target) = (member.links.len() > 1, member.target);
        self.dialer[own_target].handle_connected(now);
        self.dialer[own_target].handle_frame();
        if asks_all {
            self.clients.await_list(id);
        }
        self.learn_place(id, key, reached_at, now);
        let before = self.members[key].presence;
        self.members.set_presence(key, Presence::Here);
        if is_new {
            self.name_member(key);
        }
        let peer = self.members[key].info();
        match before {
            Presence::Unmet => self.events.push_back(Event::Joined { peer }),
            Presence::Lost { .. } => self.show(Event::Back { peer }),
            Presence::Here => (),
        }
        self.show_name_taken(key);
        self.sent.is_alone_shown = false;
        self.history.begin(now);
        let is_dialler = self.clients[id].dialled.is_some();
        let digest = (is_dialler && !is_new).then(|| self.members.digest());
        let member = &self.members[key];
        let frame = PeerFrame {
            proof,
            name: self.own.name(),
            linked: is_other,
            request: Some(member.recv.request(self.own.history_wanted)),
            private_ack: Some(member.private.recv_next()),
            asks_all,
            digest,
            ..PeerFrame::default()
        };
        self.push_frame(id, &frame);
        if mem::take(&mut self.members[key].is_to_introduce) || joins_groups {
            self.add_news(key, now);
        }
        if is_other {
            // A frame on each link: those that are alive deliver it, and those that are dead fail the sooner.
            for link in self.members[key].links.clone() {
                self.push_ack(link, key);
            }
            self.timers.set(now + SURPLUS_TIMEOUT, Timer::Surplus(key));
        }
    }

    /// Records the address of a member, and that no other member is there.
    fn learn_place(&mut self, id: ClientId, key: MemberKey, reached_at: Option<SocketAddr>, now: Instant) {
        let is_dialler = self.clients[id].dialled.is_some();
        if let Some(address) = reached_at {
            self.members[key].address = Some(address);
            self.members[key].credentials.handle_met(address);
            let target = self.members[key].target;
            self.dialer[target].find(address);
            // The port that a member claims may be another's. At an address that we dialled there is no other; and a
            // member with the same name at the same address is another run.
            let name = Rc::clone(&self.members[key].name);
            let is_other_run = |(other, member): &(MemberKey, &Member)| {
                *other != key
                    && member.pending.is_empty()
                    && (is_dialler || member.name == name)
                    && self.dialer[member.target].has(address)
            };
            let others: Vec<_> = self.members.absent().filter(is_other_run).map(|(other, _)| other).collect();
            for other in others {
                self.handle_other_run(other, key, address, now);
            }
        }
        let Some(dialled) = self.clients[id].dialled else { return };
        let Some(target) = self.dialer.get_mut(dialled.target) else { return };
        if target.wanted_by() == WantedBy::User {
            target.handle_frame();
            target.handle_met(key);
            let addresses: Vec<_> = target.addresses().collect();
            let own = self.members[key].target;
            addresses.into_iter().for_each(|address| self.dialer[own].learn(address, None));
        }
    }

    /// At an address of `old`, `new` replied. If `old` has no other address, `new` is a later run at the same place,
    /// and replaces it.
    fn handle_other_run(&mut self, old: MemberKey, new: MemberKey, address: SocketAddr, now: Instant) {
        // All the addresses of a peer that the user named are one place.
        let is_its_place = |(_, it): &(TargetId, &Target)| it.met() == Some(old) && it.has(address);
        let place = self.dialer.named().find(is_its_place).map(|(_, it)| it.addresses().collect());
        for address in place.unwrap_or_else(|| vec![address]) {
            self.handle_wrong_address(old, address, now);
        }
        let Some(member) = self.members.get(old) else { return };
        let has_address = self.dialer[member.target].addresses().next().is_some();
        if member.is_here() || !member.pending.is_empty() || has_address {
            return;
        }
        let acked = member.send.acked();
        let mut is_named = false;
        for target in self.dialer.named_mut().filter(|target| target.met() == Some(old)) {
            target.handle_met(new);
            is_named = true;
        }
        if is_named {
            self.members[new].send.owe_from(acked);
        }
        self.forget(old, now);
    }

    /// Removes an address of a member, where another peer is.
    fn handle_wrong_address(&mut self, key: MemberKey, address: SocketAddr, now: Instant) {
        let Some(member) = self.members.get(key) else { return };
        let target = member.target;
        if self.dialer[target].is_trying(address) {
            self.dialer.handle_failure(target, now);
        }
        self.dialer[target].unlearn(address);
    }

    /// A peer that was taken for a plain one sends a hello. If nothing was exchanged before, the handshake starts;
    /// otherwise the connection is closed, and a new one is dialled.
    pub(super) fn handle_late_hello(
        &mut self,
        id: ClientId,
        hello: &PeerFrame,
        had_received: bool,
        now: Instant,
    ) {
        let Client { offered_from, dialled, mut address, .. } = self.clients[id];
        if !self.clients[id].is_open() {
            return;
        }
        let has_begun = self.clients[id].has_begun(&self.log);
        self.end_plain_presence(id);
        if !had_received && !has_begun {
            let handshake = Box::new(Handshake::new(dialled.is_some()));
            let until = now + HANDSHAKE_TIMEOUT;
            self.set_phase(id, Phase::Handshake(Unproven { handshake, plain_at: None, until }));
            let client = &mut self.clients[id];
            (client.offered_from, client.waiting) = (None, None);
            return self.identify(id, hello, now);
        }
        self.set_phase(id, Phase::Closed);
        if let Some(dialled) = dialled
            && let Some(target) = self.dialer.get_mut(dialled.target)
        {
            // Messages that were sent as to a plain peer do not count as delivered.
            target.is_member = true;
            target.next_message = offered_from.unwrap_or(target.next_message);
            self.dialer.handle_lost(dialled.target, now);
            self.dialer[dialled.target].hurry(now);
        } else if let (Some(member_id), Some(port)) = (hello.id, hello.port)
            && member_id != self.own.id
            && self.members.token_of(member_id).is_none()
            && let Some(key) = self.find_or_add(member_id, hello, now)
        {
            address.set_port(port);
            let target = self.members[key].target;
            self.dialer[target].learn(address, Some(Host::of(address.ip())));
            self.dialer[target].wake(now);
        }
    }

    // What is exchanged on a link.

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
        frame.ack.into_iter().for_each(|next| self.handle_ack(key, next));
        frame.private_ack.into_iter().for_each(|next| self.members[key].private.ack(next));
        if let Some(request) = frame.request {
            self.handle_request(id, key, request, frame.linked);
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
        for &token in &frame.left {
            self.handle_token(token, now);
        }
        if self.members.get(key).is_some() {
            self.close_surplus(key);
        }
    }

    /// A member requests our messages, once on each link.
    fn handle_request(&mut self, id: ClientId, key: MemberKey, request: Request, linked: bool) {
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
            let dead = pair::dead(&self.pair(key), id);
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
            None if is_blank(&body) => return,
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

    /// A member acknowledges our messages before number `next`.
    fn handle_ack(&mut self, key: MemberKey, next: u64) {
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

    // Several links of one member.

    /// The link to a member on which bytes were received last.
    pub(super) fn best_link(&self, key: MemberKey) -> Option<ClientId> {
        self.members[key].links.iter().copied().max_by_key(|id| self.clients[*id].received_at)
    }

    /// The best links of all members that are here.
    fn best_links(&self) -> Vec<(MemberKey, ClientId)> {
        let here = self.members.iter().filter(|(_, member)| member.is_here());
        here.filter_map(|(key, _)| Some((key, self.best_link(key)?))).collect()
    }

    /// The links to a member, the oldest first.
    fn pair(&self, key: MemberKey) -> Vec<PairLink> {
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
            })
        };
        self.members[key].links.iter().filter_map(link).collect()
    }

    /// Closes the surplus link to a member, if that is up to us.
    fn close_surplus(&mut self, key: MemberKey) {
        if let Some(id) = pair::surplus(&self.pair(key), self.members[key].id > self.own.id) {
            self.close(id);
            // It may break before all bytes on it have arrived.
            self.best_link(key).into_iter().for_each(|best| self.push_unknown(best, key));
        }
    }

    /// A member has had several links for a while: those that were silent since the last one was established are
    /// closed.
    pub(super) fn close_silent_links(&mut self, key: MemberKey) {
        if self.members.get(key).is_some() {
            for id in pair::silent(&self.pair(key)) {
                self.set_phase(id, Phase::Closed);
            }
            self.close_surplus(key);
        }
    }

    // Gossip and membership.

    pub(super) fn handle_members_changed(&mut self, now: Instant) {
        if let Some(pause) = self.gossip.handle_change() {
            self.timers.set(now + pause, Timer::Compare);
        }
    }

    /// Another member does not know the same members.
    fn handle_difference(&mut self, now: Instant) {
        if let Some(pause) = self.gossip.handle_difference() {
            self.timers.set(now + pause, Timer::Compare);
        }
    }

    /// Arranges an inquiry about absent members at `at`.
    pub(super) fn inquire_at(&mut self, at: Instant) {
        if self.gossip.arrange_inquiry(at) {
            self.timers.set(at, Timer::Inquire);
        }
    }

    /// Adds a newcomer to the news for the others.
    fn add_news(&mut self, key: MemberKey, now: Instant) {
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
        let entries = here.filter_map(|member| gossip::entry(member, &self.dialer, member.recv.owed(), now));
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
    fn send_all_members(&mut self, id: ClientId, key: MemberKey, now: Instant) {
        let others = self.members.keys().into_iter().filter(|other| *other != key);
        self.send_members(id, key, others.collect(), now);
        self.push_frame(id, &PeerFrame { ends_list: true, ..PeerFrame::default() });
        self.add_news(key, now);
    }

    /// A member reports others, which are connected to it or are not. Those that are not connected here are dialled.
    fn handle_entries(
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
                return;
            }
            if let Some(token) = self.members.token_of(entry.id) {
                gone.push(token);
                continue;
            }
            let sensible = entry.addresses.iter().filter_map(|&address| seen_from(reached_at, address));
            let addresses: Vec<_> = sensible.collect();
            if entry.id == self.own.id || addresses.is_empty() || self.is_leaving {
                continue;
            }
            // Of two that receive each other's entries, one waits longer.
            let delay = if entry.id < self.own.id { NEWS_DIAL_DELAY } else { NEWS_DIAL_DELAY * 2 };
            let at = if is_list { now } else { now + delay };
            let known = self.members.find(entry.id);
            if known.is_none() && entry.age >= MEMBER_EXPIRY.as_secs() {
                // It has expired here, and will there.
                continue;
            }
            let Some(key) = known.or_else(|| self.add_member(entry.id, &entry.name, now)) else {
                // There is no room: it has to connect here itself.
                continue;
            };
            let target = self.members[key].target;
            let reported_from = Some(Host::of(reached_at.ip()));
            addresses.into_iter().for_each(|address| self.dialer[target].learn(address, reported_from));
            let owed = if is_list { self.members[from].send.base() } else { None };
            let member = &mut self.members[key];
            if member.recv.next().is_none() {
                entry.owed.into_iter().for_each(|number| member.recv.learn_owed(number));
            }
            if known.is_none() {
                member.send.owe_from(owed.unwrap_or(self.log.next_number()));
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
        if let Some(pause) = self.gossip.handle_comparison() {
            self.timers.set(now + pause, Timer::Compare);
        }
        let digest = Some(self.members.digest());
        let links = self.best_links();
        for (_, id) in self.gossip.choose(&links, 1) {
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
        let mut asked: BTreeSet<_> = vouched.collect();
        asked.extend(self.gossip.choose(&links, INQUIRE_MEMBERS));
        for (_, id) in asked {
            self.push_frame(id, &PeerFrame { asked: absent.clone(), ..PeerFrame::default() });
        }
    }

    /// Replies to a comparison or an inquiry.
    fn handle_comparison(&mut self, id: ClientId, key: MemberKey, frame: &PeerFrame, now: Instant) {
        let reply = gossip::reply(&mut self.members, key, frame);
        if reply.is_different {
            self.handle_difference(now);
        }
        if reply.frame != PeerFrame::default() {
            self.push_frame(id, &reply.frame);
        }
        self.send_members(id, key, reply.entries, now);
    }

    /// Sends a member the entries of others.
    fn send_members(&mut self, id: ClientId, key: MemberKey, others: Vec<MemberKey>, now: Instant) {
        for frame in gossip::entries(&self.members, &self.dialer, others, key, now) {
            self.push_frame(id, &frame);
        }
    }

    /// A member sends the token of a run that has left.
    fn handle_token(&mut self, token: Token, now: Instant) {
        let Some(key) = self.members.find(id_of(token)) else { return };
        if self.members[key].is_here() {
            // Its last messages arrive on its own link, and so does its exit.
            self.members[key].token = Some(token);
        } else {
            self.handle_left(key, token, now);
        }
    }

    // History.

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
}
