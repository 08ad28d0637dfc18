//! Ends: a connection that breaks, a peer that leaves, a member that expires, and our own leaving; and the events
//! about plain peers.

use super::*;
use crate::limits::{INQUIRE_DELAY, LEAVE_TIMEOUT};
use crate::protocol::roster::Disconnecting;

impl<S> Group<S> {
    /// A connection ended without a goodbye.
    pub(super) fn lose(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let client = &self.clients[id];
        let is_half_closed = matches!(client.phase, Phase::HalfClosed { .. });
        match client.phase.peer() {
            Phase::Closed => return,
            Phase::Dialing { .. } => {
                let dialled = client.dialled;
                self.set_phase(id, Phase::Closed);
                dialled.into_iter().for_each(|it| self.handle_dial_failed(it.target, why.to_string(), now));
            }
            Phase::Handshake(_) => self.lose_unproven(id, &why, now),
            // It was to be closed anyway. An error may mean that our goodbye did not arrive.
            Phase::Plain(_) if is_half_closed => {
                if matches!(why, LostReason::Failed(_)) {
                    self.show_plain_lost(id, why, now);
                }
            }
            Phase::Plain(_) => self.lose_plain(id, why, now),
            Phase::Member(link) => {
                let key = link.key;
                self.set_phase(id, Phase::Closed);
                self.unlink(key, why, now);
            }
            Phase::Closing | Phase::HalfClosed { .. } => (),
        }
        if !self.clients[id].is_closed() {
            self.set_phase(id, Phase::Closed);
        }
    }

    /// A connection ended before its other end proved to be a member.
    fn lose_unproven(&mut self, id: ClientId, why: &LostReason, now: Instant) {
        let client = &self.clients[id];
        let key = client.phase.unproven().and_then(|unproven| unproven.handshake.member());
        let target = client.dialled.map(|dialled| dialled.target);
        let wanted_by = target.and_then(|target| self.dialer.get(target)).map(Target::wanted_by);
        if key.is_none() && matches!(wanted_by, None | Some(WantedBy::User)) {
            self.show_plain_lost(id, why.clone(), now);
        }
        self.set_phase(id, Phase::Closed);
        if let Some(target) = target.filter(|_| !self.is_leaving) {
            match wanted_by {
                Some(WantedBy::User) if self.dialer[target].met().is_none() => {
                    self.dialer.handle_lost(target, now);
                }
                Some(WantedBy::Member(_)) => self.handle_dial_failed(target, why.to_string(), now),
                Some(WantedBy::User) | None => (),
            }
        }
        key.into_iter().for_each(|key| self.forget_if_unreachable(key, now));
    }

    /// Whoever is at the other end leaves before it proved to be a member. Of a member that others told of, the user
    /// is shown nothing.
    pub(super) fn handle_early_goodbye(&mut self, id: ClientId, now: Instant) {
        let Client { dialled, ref phase, .. } = self.clients[id];
        let key = phase.unproven().and_then(|unproven| unproven.handshake.member());
        let target = dialled.and_then(|dialled| Some((dialled.target, self.dialer.get(dialled.target)?)));
        match target.map(|(target, it)| (target, it.wanted_by())) {
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

    /// The connection of a plain peer ended without a goodbye.
    fn lose_plain(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let client = &self.clients[id];
        let (dialled, next_message) = (client.dialled, client.next_message(&self.log));
        self.show_plain_lost(id, why, now);
        let target = dialled.and_then(|dialled| self.dialer.get_mut(dialled.target));
        if let Some(target) = target.filter(|target| target.wanted_by() == WantedBy::User)
            && !self.is_leaving
        {
            target.next_message = next_message;
            dialled.into_iter().for_each(|dialled| self.dialer.handle_lost(dialled.target, now));
        }
    }

    /// A link of a member ended.
    fn unlink(&mut self, key: MemberKey, why: LostReason, now: Instant) {
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

    /// A run has left, as its token proves.
    pub(super) fn handle_left(&mut self, key: MemberKey, token: Token, now: Instant) {
        let member = &self.members[key];
        let peer = member.info();
        let (is_unmet, count) = (member.is_unmet(), member.private.unacked());
        if !is_unmet {
            self.show(Event::Left { peer: peer.clone() });
        }
        if count > 0 {
            self.show(Event::Undelivered { peer, count });
        }
        // It waits for our acknowledgement.
        for link in self.members[key].links.clone() {
            self.push_ack(link, key);
        }
        self.remove_member(key, Some(token), now);
    }

    /// Shows how many of the messages before number `end` a member has not received, as far as is known.
    fn show_undelivered(&mut self, key: MemberKey, end: u64) {
        let count = self.members[key].undelivered(end);
        if count > 0 {
            let peer = self.members[key].info();
            self.events.push_back(Event::Undelivered { peer, count });
        }
    }

    // Expiry.

    /// Removes a member that is not connected, if no member has reported a connection to it for [`MEMBER_EXPIRY`].
    pub(super) fn expire(&mut self, key: MemberKey, now: Instant) {
        let Some(member) = self.members.get(key).filter(|member| !member.is_here()) else { return };
        let at = member.vouched_at + MEMBER_EXPIRY;
        if self.is_leaving {
            // `leave` has shown what each did not get.
        } else if now < at {
            self.timers.set(at, Timer::Expiry(key));
        } else if !member.pending.is_empty() {
            // Its handshake is not finished.
            self.timers.set(now + HANDSHAKE_TIMEOUT, Timer::Expiry(key));
        } else {
            if !member.is_unmet() {
                self.events.push_back(Event::Forgotten { peer: member.info() });
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
        let named = self.dialer.named().filter(|(_, target)| target.met() == Some(key)).map(|(id, _)| id);
        for id in named.collect::<Vec<_>>() {
            self.dialer[id].next_message = acked;
            self.dialer.handle_lost(id, now);
        }
        self.remove_member(key, None, now);
    }

    /// Makes room for a member that connects: an absent one is removed, first one that was never met, then the one
    /// that has been absent for longest.
    pub(super) fn forget_an_absent_one(&mut self, now: Instant) {
        let absent = self.members.absent().filter(|(_, member)| member.pending.is_empty());
        let oldest = absent.min_by_key(|(key, member)| (!member.is_unmet(), member.vouched_at, *key));
        if let Some((key, _)) = oldest {
            self.forget(key, now);
        }
    }

    /// Removes a member whose id was only claimed, and that has no address.
    fn forget_if_unreachable(&mut self, key: MemberKey, now: Instant) {
        let Some(member) = self.members.get(key) else { return };
        let has_address = self.dialer[member.target].addresses().next().is_some();
        if member.is_unmet() && member.pending.is_empty() && !has_address {
            self.remove_member(key, None, now);
        }
    }

    /// Removes a member, its connections, its target and its name.
    fn remove_member(&mut self, key: MemberKey, token: Option<Token>, now: Instant) {
        let has_left = token.is_some();
        if !self.members[key].is_unmet() {
            let fate = if has_left { Fate::Left } else { Fate::Gone };
            self.former_names.add(self.members[key].info(), fate);
        }
        self.note_private_lost(key);
        let Some(member) = self.members.remove(key, token) else { return };
        // Others may not know yet that it has left, or are connected to it.
        self.handle_members_changed(now);
        for id in member.links.iter().chain(&member.pending) {
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
        for id in attempts {
            // A connection on which another member's id was claimed is no attempt any more.
            let is_unknown =
                self.clients[id].phase.unproven().is_none_or(|it| it.handshake.member().is_none());
            if is_unknown && matches!(self.clients[id].phase, Phase::Dialing { .. } | Phase::Handshake(_)) {
                self.set_phase(id, Phase::Closed);
            }
        }
        self.unname(Holder::Member(member.id));
    }

    // Our own leaving.

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
            self.events.push_back(Event::Unmet { count: unmet });
        }
        self.dialer.named_mut().for_each(Target::give_up);
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
                    let frame = PeerFrame { left: vec![self.own.token], ..PeerFrame::default() };
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

    /// Undoes [`connect`](Self::connect): the peer that the user named `text`, or that is at one of `addresses`, is
    /// dialled no more; a plain one is sent our goodbye, as a peer that listens on `own`, and closed.
    pub fn disconnect(
        &mut self,
        text: &str,
        addresses: &[SocketAddr],
        own: SocketAddr,
        at: DateTime<FixedOffset>,
    ) -> Disconnecting {
        let has_it = |target: &Target| addresses.iter().any(|address| target.has(*address));
        let is_meant = |target: &Target| !target.is_over() && (**target.name() == *text || has_it(target));
        let named = self.dialer.named().find(|(_, target)| is_meant(target)).map(|(id, _)| id);
        let met = named.and_then(|id| self.dialer[id].met());
        let is_at = |member: &Member| !member.is_unmet() && has_it(&self.dialer[member.target]);
        let key = met.or_else(|| Some(self.members.iter().find(|(_, member)| is_at(member))?.0));
        if let Some(member) = key.and_then(|key| self.members.get(key)) {
            return Disconnecting::Member(member.info());
        }
        let Some(named) = named else {
            let is_there = |client: &Client<S>| client.is_open() && addresses.contains(&client.address);
            let accepted = self.clients.iter().find(|(_, client)| is_there(client));
            return accepted
                .map_or(Disconnecting::Unknown, |(id, _)| Disconnecting::Accepted(self.plain_info(id)));
        };
        let is_its = |client: &Client<S>| {
            client.dialled.is_some_and(|dialled| dialled.target == named)
                && (client.is_open() || matches!(client.phase, Phase::Dialing { .. }))
        };
        let id = self.clients.iter().find(|(_, client)| is_its(client)).map(|(id, _)| id);
        let unproven = id.and_then(|id| self.clients[id].phase.unproven());
        if let Some(key) = unproven.and_then(|unproven| unproven.handshake.member()) {
            return Disconnecting::Member(self.members[key].info());
        }
        self.dialer[named].withdraw();
        let name = Rc::clone(self.dialer[named].name());
        let Some(id) = id else { return Disconnecting::Stopped(name) };
        if !self.clients[id].is_open() {
            self.set_phase(id, Phase::Closed);
            return Disconnecting::Stopped(name);
        }
        if self.clients[id].phase.unproven().is_some() {
            self.take_for_plain(id);
        }
        let peer = self.plain_info(id);
        let body = message::exit_body(own, at, self.own.writer.name());
        self.clients[id].take_rest(&self.log, self.own.framing);
        self.clients.push(id, Code::Exit, body.as_bytes(), &self.log, self.own.framing);
        self.close(id);
        Disconnecting::Closed(peer)
    }

    /// Shows the peers that the user named and that never sent anything.
    fn show_unanswered(&mut self) {
        let is_unanswered = |client: &Client<S>| {
            let target = client.dialled.and_then(|dialled| self.dialer.get(dialled.target));
            let is_named = target.is_some_and(|target| target.wanted_by() == WantedBy::User);
            is_named && matches!(client.phase, Phase::Plain(_)) && !client.has_known_framing()
        };
        if self.own.is_framing_given {
            return;
        }
        let unanswered = self.clients.iter().filter(|(_, client)| is_unanswered(client));
        let shown: Vec<_> = unanswered.map(|(id, _)| self.plain_info(id)).collect();
        self.events.extend(shown.into_iter().map(|peer| Event::Unanswered { peer }));
    }

    // Plain peers.

    /// A plain peer sends a message.
    pub(super) fn receive_plain(&mut self, id: ClientId, frame: &Frame<'_>, now: Instant) {
        let client = &mut self.clients[id];
        if client.is_muted {
            self.discarded_bytes += frame.body.len();
            return;
        }
        let (address, dialled) = (client.address, client.dialled);
        if let Some(target) = dialled.and_then(|dialled| self.dialer.get_mut(dialled.target)) {
            target.handle_frame();
        }
        let body = frame.text();
        let message = message::read_message(&body);
        let has_time = message.is_some();
        let event = match message {
            None if is_blank(text_of(&body)) => return,
            None => {
                let name = Label::of_place(address.to_string());
                message_event(
                    None,
                    PeerInfo { name, id: None, address: Some(address) },
                    text_of(&body),
                    false,
                )
            }
            Some(message) => {
                let known = self.clients[id].phase.plain().and_then(|peer| peer.name.clone());
                let name = match (message.name, known) {
                    (None, _) => Label::of_place(address.to_string()),
                    (Some(name), Some(known)) if known.bare() == name => known,
                    (Some(name), _) => self.name_plain(id, name),
                };
                let from = PeerInfo { name, id: None, address: Some(address) };
                message_event(Some(message.at), from, message.text, false)
            }
        };
        let may_repeat = self.clients.has_dialled(address.ip());
        if has_time && !self.shown_bodies.receive_plain(address, body.as_bytes(), may_repeat, now) {
            return;
        }
        self.show_person(id);
        // It has no history, so it does not wait for that of members.
        self.events.push_back(event);
    }

    /// A plain peer sends an exit.
    pub(super) fn handle_plain_goodbye(&mut self, id: ClientId, body: &str) {
        if let Some(name) = message::read_exit(body) {
            self.name_plain(id, name);
        }
        self.show_person(id);
        self.end_person_with(id, Some(Fate::Left), |peer| Event::Left { peer });
        let target = self.clients[id].dialled.and_then(|dialled| self.dialer.get_mut(dialled.target));
        target.into_iter().for_each(Target::give_up);
        self.set_phase(id, Phase::Closed);
    }

    /// Shows a connection that was accepted and has not sent a message yet: one a minute for each host, so that
    /// health checks and port scanners are no flood.
    pub(super) fn show_connection(&mut self, id: ClientId, now: Instant) {
        let Client { address, dialled, .. } = self.clients[id];
        let is_new = self.clients[id].phase.plain().is_some_and(|peer| peer.shown == Shown::Nothing);
        if dialled.is_none() && is_new {
            let is_shown = self.visitors.add(address.ip(), now);
            if is_shown {
                self.events.push_back(Event::Accepted { address });
            }
            self.set_shown(id, if is_shown { Shown::Connection } else { Shown::Counted });
        }
    }

    /// Shows that a silent connection was taken for a plain peer's, and in which framing that is a guess.
    pub(super) fn show_assumption(&mut self, id: ClientId, now: Instant) {
        self.show_connection(id, now);
        let target = self.clients[id].dialled.and_then(|dialled| self.dialer.get(dialled.target));
        let is_known = self.own.is_framing_given || self.clients[id].expected_framing.is_some();
        if let Some(target) = target.filter(|_| !is_known) {
            self.events.push_back(Event::Assumed { name: Rc::clone(target.name()) });
        }
    }

    fn set_shown(&mut self, id: ClientId, shown: Shown) -> Shown {
        let peer = self.clients[id].phase.plain_mut();
        peer.map_or(Shown::Nothing, |peer| mem::replace(&mut peer.shown, shown))
    }

    /// A plain peer sends its first message or its goodbye: from now on, events show it as a person.
    fn show_person(&mut self, id: ClientId) {
        let Client { address, dialled, .. } = self.clients[id];
        self.clients.prove(id);
        let shown = self.set_shown(id, Shown::Person);
        if shown == Shown::Counted {
            self.visitors.remove(address.ip());
        }
        match shown {
            Shown::Person => return,
            Shown::Nothing | Shown::Counted if dialled.is_none() => {
                self.events.push_back(Event::Accepted { address });
            }
            Shown::Nothing | Shown::Counted | Shown::Connection => (),
        }
        let peer = self.plain_info(id);
        self.events.push_back(Event::Appeared { peer });
    }

    /// A plain peer turned out to be a member, under whose name it is shown from now on.
    pub(super) fn end_plain_presence(&mut self, id: ClientId) {
        self.end_person_with(id, None, |before| Event::Identified { before });
    }

    /// Ends the presence of a plain peer. Without a `fate`, it stays present as a member.
    fn end_person_with(&mut self, id: ClientId, fate: Option<Fate>, event: impl FnOnce(PeerInfo) -> Event) {
        if self.clients[id].phase.plain().is_some_and(|peer| peer.shown == Shown::Person) {
            let peer = self.plain_info(id);
            if let Some(fate) = fate {
                self.former_names.add(peer.clone(), fate);
            }
            self.events.push_back(event(peer));
            self.set_shown(id, Shown::Connection);
        }
    }

    /// Shows that a connection without a member ended without a goodbye.
    fn show_plain_lost(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let Client { address, dialled, .. } = self.clients[id];
        let shown = self.clients[id].phase.plain().map_or(Shown::Nothing, |peer| peer.shown);
        // Bytes that we sent did not arrive; or, while we leave, may not have arrived.
        let is_trouble = match why {
            LostReason::Stalled(_) | LostReason::Overrun => true,
            LostReason::Failed(_) | LostReason::FrameTooLong | LostReason::Unintroduced(_) => self.is_leaving,
            LostReason::Closed { .. } | LostReason::OtherProtocol | LostReason::Unfinished => false,
        };
        let is_visible = match shown {
            Shown::Person => {
                return self.end_person_with(id, Some(Fate::Gone), |peer| Event::Lost { peer, why });
            }
            _ if dialled.is_some() => {
                let peer = self.plain_info(id);
                return self.events.push_back(Event::NamedLost { peer, why });
            }
            Shown::Nothing => self.visitors.add(address.ip(), now),
            Shown::Connection => self.visitors.may_show(address.ip(), now),
            Shown::Counted => false,
        };
        if is_visible || is_trouble {
            self.events.push_back(Event::Visited { address, why });
        }
    }
}
