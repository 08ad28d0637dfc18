//! From the first frame of a connection to an established link: who is at the other end, and where it is reached.

use super::*;
use crate::limits::{HANDSHAKE_TIMEOUT, SURPLUS_TIMEOUT};
use crate::protocol::visitors::Host;

impl<S> Group<S> {
    /// Handles a frame of a connection whose other end is not known yet: only here does a hello start a handshake, but for
    /// [`handle_late_hello`](Self::handle_late_hello).
    pub(super) fn handle_first_frame(&mut self, id: ClientId, frame: &Frame<'_>, now: Instant) {
        match frame.code {
            Code::Peer if !self.own.is_plain => {
                if let Some(hello) = PeerFrame::read(&frame.text()).filter(|hello| hello.id.is_some()) {
                    self.identify(id, &hello, now);
                }
            }
            Code::Message | Code::Exit => {
                let client = &self.clients[id];
                let is_members = match self.dialled_for(client) {
                    Some((_, WantedBy::User)) => self.is_members(client.address),
                    Some((_, WantedBy::Member(_))) => true,
                    None => false,
                };
                if is_members {
                    if frame.code == Code::Exit {
                        return self.handle_early_goodbye(id, now);
                    }
                    // A member is there, which takes us for a plain peer. The next connection begins anew.
                    return self.lose(id, LostReason::Failed("does not introduce itself".into()), now);
                }
                self.take_for_plain(id);
                self.handle_plain_frame(id, frame, true, now);
            }
            Code::Peer | Code::Private | Code::Unknown => (),
        }
    }

    pub(super) fn handle_handshake_frame(
        &mut self,
        id: ClientId,
        key: MemberKey,
        frame: &Frame<'_>,
        now: Instant,
    ) {
        match frame.code {
            Code::Peer => {
                let Some(frame) = PeerFrame::read(&frame.text()) else { return };
                let address = self.clients[id].address;
                let Phase::Handshake(unproven) = &mut self.clients[id].phase else { return };
                let step = unproven.handshake.advance(&frame, &mut self.members[key].credentials, address);
                self.handle_step(id, key, step, &frame, now);
            }
            // It leaves before it could prove its id. Its other links carry the token.
            Code::Exit => self.handle_early_goodbye(id, now),
            // It takes us for a plain peer. What it sends now will be sent again.
            Code::Message | Code::Private | Code::Unknown => (),
        }
    }

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
        let dialled_for = self.dialled_for(&self.clients[id]);
        let is_named = self.is_to_named(&self.clients[id]);
        if let (Some((_, name)), true) = (&hello.name, self.members[key].is_unmet()) {
            self.members[key].set_name(name);
        }
        self.members[key].pending.push(id);
        let place = Place { address, is_named };
        let credentials = &mut self.members[key].credentials;
        let Phase::Handshake(unproven) = &mut self.clients[id].phase else { return };
        (unproven.plain_at, unproven.until) = (None, now + HANDSHAKE_TIMEOUT);
        let step = unproven.handshake.identify(key, hello, credentials, place);
        self.timers.set(now + HANDSHAKE_TIMEOUT, Timer::Phase(id));
        self.set_base_of_named(id, key);
        match dialled_for {
            Some((target, WantedBy::Member(expected))) if expected != key => {
                let own = self.members[key].target;
                self.clients[id].dialled = dialled.map(|dialled| Dialled { target: own, ..dialled });
                self.dialer.move_attempt(id, target, own);
                self.handle_other_run(expected, key, address, now);
            }
            Some((target, _)) => self.dialer[target].handle_frame(),
            None => (),
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
                let sent = Some(self.log.next_number());
                self.push_frame(id, &PeerFrame { proof, pass, sent, ..PeerFrame::default() });
            }
            Step::Established { proof } => {
                self.establish(id, key, proof, now);
                self.handle_member_frame(id, key, frame, now);
            }
            Step::Rejected => {
                let (address, peer) = (self.clients[id].address, self.members[key].info());
                // It may try again at once and without end, so the events are limited.
                if self.visitors.add(address.ip(), now) {
                    self.report(Diagnostic::Impostor { address, peer });
                }
                self.lose(id, LostReason::Failed("not who it says".into()), now);
            }
        }
    }

    /// The other end is this very run.
    pub(super) fn meet_oneself(&mut self, id: ClientId, now: Instant) {
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
                    let name = Rc::clone(target.name());
                    self.report(Diagnostic::Oneself { name });
                }
                WantedBy::Member(key) => self.handle_wrong_address(key, address, now),
            }
        }
        self.set_phase(id, Phase::Closed);
    }

    /// Closes a connection of a member for which there is no room, or which has left before.
    pub(super) fn turn_away(&mut self, id: ClientId, now: Instant) {
        let dialled_for = self.dialled_for(&self.clients[id]);
        self.close(id);
        match dialled_for {
            Some((target, WantedBy::User)) => self.dialer.handle_lost(target, now),
            Some((target, WantedBy::Member(_))) => {
                self.fail_dial(target, "somebody else answers".into(), now);
            }
            None => (),
        }
    }

    /// Records that a member which the user named is owed all messages since, whichever side dialled.
    pub(super) fn set_base_of_named(&mut self, id: ClientId, key: MemberKey) {
        let target = self.clients[id].dialled.map(|dialled| dialled.target);
        let reached_at = self.reached_at(id);
        let is_it = |(named, it): &(TargetId, &Target)| {
            target == Some(*named) || it.is_open() && reached_at.is_some_and(|address| it.has(address))
        };
        let base = self.dialer.named().filter(is_it).map(|(_, target)| target.next_message).min();
        base.into_iter().for_each(|number| self.members[key].send.set_base(number));
    }

    /// The address at which the other end is reached: the one that we dialled, or the one that it came from with the
    /// port that it claims to listen on.
    pub(super) fn reached_at(&self, id: ClientId) -> Option<SocketAddr> {
        let client = &self.clients[id];
        if client.dialled.is_some() {
            return Some(client.address);
        }
        // The scope of a link-local address stays.
        let mut address = client.address;
        address.set_port(client.phase.unproven()?.handshake.port?);
        Some(address)
    }

    /// Establishes a link: the other end has proved to be this member.
    pub(super) fn establish(&mut self, id: ClientId, key: MemberKey, proof: Option<Token>, now: Instant) {
        let reached_at = self.reached_at(id);
        let is_new = self.members[key].is_unmet();
        let is_named = self.is_to_named(&self.clients[id]);
        let has_met_others = self.members.iter().any(|(_, member)| !member.is_unmet());
        let asks_all = is_new && (is_named || !has_met_others);
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
            sent: Some(self.log.next_number()),
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
    pub(super) fn learn_place(
        &mut self,
        id: ClientId,
        key: MemberKey,
        reached_at: Option<SocketAddr>,
        now: Instant,
    ) {
        let is_dialler = self.clients[id].dialled.is_some();
        if let Some(address) = reached_at {
            self.members[key].address = Some(address);
            self.members[key].credentials.handle_met(address);
            let target = self.members[key].target;
            self.dialer.find(target, address);
            // The port that a member claims may be another's. At an address that we dialled there is no other; and a
            // member with the same name at the same address is another run.
            let name = Rc::clone(&self.members[key].name);
            let is_other_run = |other: &MemberKey| {
                let member = &self.members[*other];
                *other != key
                    && !member.is_here()
                    && member.pending.is_empty()
                    && (is_dialler || member.name == name)
            };
            let others: Vec<_> =
                self.dialer.at(address).filter_map(Target::member).filter(is_other_run).collect();
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
            addresses.into_iter().for_each(|address| self.dialer.learn(own, address, None));
        }
    }

    /// At an address of `old`, `new` replied. If `old` has no other address, `new` is a later run at the same place,
    /// and replaces it.
    pub(super) fn handle_other_run(
        &mut self,
        old: MemberKey,
        new: MemberKey,
        address: SocketAddr,
        now: Instant,
    ) {
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
            self.members[new].send.set_base(acked);
        }
        self.forget(old, now);
    }

    /// Removes an address of a member, where another peer is.
    pub(super) fn handle_wrong_address(&mut self, key: MemberKey, address: SocketAddr, now: Instant) {
        let Some(member) = self.members.get(key) else { return };
        let target = member.target;
        if self.dialer[target].is_trying(address) {
            self.dialer.handle_failure(target, now);
        }
        self.dialer.unlearn(target, address);
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
        let has_begun = self.clients[id].has_begun(&self.log);
        self.end_plain_presence(id);
        if !self.clients[id].is_open() {
            // We leave, and the connection is half-closed. What a member sends on it comes on a link as well.
            self.unname(Holder::Plain(id));
            return self.clients.detach(id);
        }
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
            self.dialer.learn(target, address, Some(Host::of(address.ip())));
            self.dialer[target].wake(now);
        }
    }

    /// A connection ended before its other end proved to be a member.
    pub(super) fn lose_unproven(&mut self, id: ClientId, why: &LostReason, now: Instant) {
        let client = &self.clients[id];
        let key = client.phase.unproven().and_then(|unproven| unproven.handshake.member());
        let dialled_for = self.dialled_for(client);
        if key.is_none() && matches!(dialled_for, None | Some((_, WantedBy::User))) {
            self.show_plain_lost(id, why.clone(), now);
        }
        self.set_phase(id, Phase::Closed);
        match dialled_for.filter(|_| !self.is_leaving) {
            Some((target, WantedBy::User)) if self.dialer[target].met().is_none() => {
                self.dialer.handle_lost(target, now);
            }
            Some((target, WantedBy::Member(_))) => self.fail_dial(target, why.to_string(), now),
            Some((_, WantedBy::User)) | None => (),
        }
        key.into_iter().for_each(|key| self.forget_if_unreachable(key, now));
    }

    /// The other end leaves before it proved to be a member. Of a member that others reported, the user
    /// is shown nothing.
    pub(super) fn handle_early_goodbye(&mut self, id: ClientId, now: Instant) {
        let client = &self.clients[id];
        let key = client.phase.unproven().and_then(|unproven| unproven.handshake.member());
        match self.dialled_for(client) {
            Some((target, WantedBy::Member(_))) => {
                self.set_phase(id, Phase::Closed);
                self.dialer.handle_failure(target, now);
                key.into_iter().for_each(|key| self.forget_if_unreachable(key, now));
            }
            Some((_, WantedBy::User)) | None => {
                self.lose(id, LostReason::Closed { unfinished_bytes: 0 }, now);
            }
        }
    }
}
