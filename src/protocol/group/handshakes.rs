//! From the first frame of a connection to an established link: which member is at the other end, and where it is
//! reached.

use super::*;
use crate::limits::{HANDSHAKE_FRAME_BYTES_MAX, HANDSHAKE_TIMEOUT, SURPLUS_TIMEOUT};
use crate::protocol::visitors::Host;
use crate::seal::is_like_handshake;
use crate::wire::lab::LENGTH_BYTES;

impl<S> Group<S> {
    /// Handles a frame of a connection whose other end is not known yet: only here does a handshake start, but for
    /// [`handle_late_handshake`](Self::handle_late_handshake).
    pub(super) fn handle_first_frame(
        &mut self,
        id: ClientId,
        frame: &Frame<'_>,
        now: Instant,
    ) -> ControlFlow<()> {
        let is_handshake = frame.code == Code::Peer || is_like_handshake(frame.body);
        if is_handshake && !self.own.is_plain || self.own.keys.is_private() {
            return self.handle_handshake_frame(id, frame, now);
        }
        match frame.code {
            Code::Message | Code::Exit => {
                let client = &self.clients[id];
                let is_members = match self.dialled_for(client) {
                    Some((_, WantedBy::User)) => self.is_members(client.address),
                    Some((_, WantedBy::Group(_) | WantedBy::Member(_))) => true,
                    None => false,
                };
                if !is_members {
                    self.take_for_plain(id);
                    return self.handle_plain_frame(id, frame, true, now);
                }
                if frame.code == Code::Exit {
                    self.handle_early_goodbye(id, now);
                } else {
                    // A member is there, which takes us for a plain peer. The next connection begins anew.
                    self.lose(id, LostReason::Failed("does not introduce itself".into()), now);
                }
            }
            Code::Peer | Code::Private | Code::Unknown => (),
        }
        ControlFlow::Continue(())
    }

    /// Handles a frame that has to be one of the handshake.
    pub(super) fn handle_handshake_frame(
        &mut self,
        id: ClientId,
        frame: &Frame<'_>,
        now: Instant,
    ) -> ControlFlow<()> {
        let Client { address, dialled, .. } = self.clients[id];
        let Phase::Handshake(unproven) = &mut self.clients[id].phase else {
            return ControlFlow::Continue(());
        };
        self.handshake_steps += 1;
        let is_first = dialled.is_none() && !unproven.handshake.has_begun();
        if is_first && !self.handshakes.take(Host::of(address.ip()), now) {
            self.lose(id, LostReason::Failed("too many handshakes of its host".into()), now);
            return ControlFlow::Continue(());
        }
        let step = match frame.code {
            Code::Peer => unproven.handshake.receive(&frame.text(), &mut self.own.keys),
            Code::Message | Code::Exit | Code::Private | Code::Unknown => Err(Refused::NoHandshake),
        };
        match step {
            Ok(Step::Reply(body)) => {
                self.expect_member(id, now);
                self.clients.push(id, Code::Peer, body.as_bytes(), &self.log, self.own.framing);
                if let Some(other) = self.clients.begin_handshake(id, now) {
                    self.lose(other, LostReason::Failed("closed to make room".into()), now);
                }
                ControlFlow::Continue(())
            }
            Ok(Step::Sealed { records, is_old_secret: true, .. }) if !self.knows(records.peer()) => {
                self.lose(id, LostReason::Refused(Refused::Unverified), now);
                ControlFlow::Continue(())
            }
            Ok(Step::Sealed { reply, records, is_old_secret: _ }) => {
                self.expect_member(id, now);
                let is_dialler = reply.is_some();
                if let Some(body) = reply {
                    self.clients.push(id, Code::Peer, body.as_bytes(), &self.log, self.own.framing);
                }
                self.clients[id].seal(records);
                if is_dialler {
                    let hello = self.own.hello(self.log.next_number());
                    self.push_frame(id, &hello);
                }
                ControlFlow::Break(())
            }
            Err(Refused::OwnKey) if self.clients[id].dialled.is_some() => {
                self.handle_oneself(id, now);
                ControlFlow::Continue(())
            }
            Err(why) => {
                self.lose(id, LostReason::Refused(why), now);
                ControlFlow::Continue(())
            }
        }
    }

    /// Whether the group knows the person with this public key. Only such a one may have an older secret of the group.
    fn knows(&self, key: PublicKey) -> bool {
        self.dialer.known().any(|(_, target)| target.wanted_by() == WantedBy::Group(Some(key)))
    }

    /// The other end of a connection has begun a handshake: it is a member, or the connection is closed.
    pub(super) fn expect_member(&mut self, id: ClientId, now: Instant) {
        let until = now + HANDSHAKE_TIMEOUT;
        if let Phase::Handshake(unproven) = &mut self.clients[id].phase {
            (unproven.plain_at, unproven.until) = (None, until);
            self.timers.set(until, Timer::Phase(id));
        }
    }

    /// Whether the unfinished frame of a connection cannot be one of a handshake, although only a handshake is accepted
    /// there; or begins like one and is too long.
    pub(super) fn is_no_handshake(&self, id: ClientId) -> bool {
        let client = &self.clients[id];
        let pending = client.decoder.pending().len();
        if pending == 0 || client.records.is_some() {
            return false;
        }
        let has_to_be = self.own.keys.is_private()
            || client.phase.unproven().is_some_and(|unproven| unproven.handshake.has_begun());
        match client.has_begun_handshake() {
            true => pending > HANDSHAKE_FRAME_BYTES_MAX,
            // In lab framing, the length may arrive alone.
            false => has_to_be && pending > LENGTH_BYTES,
        }
    }

    /// Handles the first frame on a link: with it, the other end establishes which run it is.
    pub(super) fn handle_hello(&mut self, id: ClientId, frame: &Frame<'_>, now: Instant) {
        let hello = PeerFrame::read(&frame.text()).filter(|_| frame.code == Code::Peer);
        let key = self.clients[id].records.as_ref().map(|records| records.peer());
        let run = hello.as_ref().and_then(|hello| hello.run);
        let (Some(hello), Some(key), Some((run, nonce))) = (hello, key, run) else {
            return self.lose(id, LostReason::Refused(Refused::NoHandshake), now);
        };
        let identity = Identity { key, run, nonce };
        let has_left = self.members.token_of(identity.id()).is_some();
        let key = if has_left { None } else { self.find_or_add(identity, &hello, now) };
        // The member that it was dialled for may have been removed to make room, and the connection with it.
        if self.clients[id].is_closed() {
            return;
        }
        let Some(key) = key else { return self.turn_away(id, now) };
        let Client { address, dialled, .. } = self.clients[id];
        let dialled_for = self.dialled_for(&self.clients[id]);
        if let (Some((_, name)), true) = (&hello.name, self.members[key].is_unmet()) {
            self.members[key].set_name(name);
        }
        // Our request comes with the next frame, and what was sent since that hello is owed.
        hello.sent.into_iter().for_each(|number| self.members[key].recv.learn_base(number));
        let reached_at = self.reached_at(id, hello.port);
        self.set_base_of_named(id, key, reached_at);
        let has_moved = self.move_from(key, reached_at);
        match dialled_for {
            Some((target, WantedBy::Member(expected))) if expected != key => {
                let own = self.members[key].target;
                self.clients[id].dialled = dialled.map(|dialled| Dialled { target: own, ..dialled });
                self.dialer.move_attempt(id, target, own);
                self.handle_other_run(expected, key, address, &has_moved, now);
            }
            Some((target, _)) => self.dialer[target].handle_frame(),
            None => (),
        }
        self.establish(id, key, reached_at, &has_moved, now);
        self.handle_member_frame(id, key, &hello, now);
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
                WantedBy::Group(_) => self.handle_nobody_there(dialled.map(|it| it.target), address, now),
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
            Some((target, WantedBy::Group(_) | WantedBy::Member(_))) => {
                self.fail_dial(target, "somebody else answers".into(), now);
            }
            None => (),
        }
    }

    /// Records that a member which the user named is owed all messages since, whichever side dialled.
    pub(super) fn set_base_of_named(&mut self, id: ClientId, key: MemberKey, reached_at: Option<SocketAddr>) {
        let target = self.clients[id].dialled.map(|dialled| dialled.target);
        let is_it = |(named, it): &(TargetId, &Target)| {
            target == Some(*named) || it.is_open() && reached_at.is_some_and(|address| it.has(address))
        };
        // A member that the group knows gets all that was sent before, if it comes at the start or is the first one met.
        let own_key = self.members[key].identity.key;
        let is_first = self.members.iter().all(|(_, member)| member.is_unmet());
        let is_known = |one: &(TargetId, &Target)| {
            (is_it(one) || one.1.wanted_by() == WantedBy::Group(Some(own_key)))
                && (is_first || one.1.is_first_attempt())
        };
        let named = self.dialer.named().filter(is_it).chain(self.dialer.known().filter(is_known));
        let base = named.map(|(_, target)| target.next_message).min();
        base.into_iter().for_each(|number| self.members[key].send.set_base(number));
    }

    /// The address at which the other end is reached: the one that we dialled, or the one that it came from with the
    /// port that it claims to listen on.
    pub(super) fn reached_at(&self, id: ClientId, port: Option<u16>) -> Option<SocketAddr> {
        let client = &self.clients[id];
        if client.dialled.is_some() {
            return Some(client.address);
        }
        // The scope of a link-local address stays.
        let mut address = client.address;
        address.set_port(port?);
        Some(address)
    }

    /// The other places of a member that was met before and is at `reached_at` now. The member that was at `reached_at` may
    /// be at one of them. Empty for a member that was never met.
    fn move_from(&self, key: MemberKey, reached_at: Option<SocketAddr>) -> Vec<SocketAddr> {
        let member = &self.members[key];
        if member.is_unmet() {
            return Vec::new();
        }
        self.dialer[member.target].found().filter(|address| Some(*address) != reached_at).collect()
    }

    /// Establishes a link: the other end has proved to be this member. `moved_from`: its other places.
    pub(super) fn establish(
        &mut self,
        id: ClientId,
        key: MemberKey,
        reached_at: Option<SocketAddr>,
        moved_from: &[SocketAddr],
        now: Instant,
    ) {
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
        self.learn_place(id, key, reached_at, moved_from, now);
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
        let hello = self.own.hello(self.log.next_number());
        let hello = if is_dialler { PeerFrame { name: hello.name, ..PeerFrame::default() } } else { hello };
        let frame = PeerFrame {
            linked: is_other,
            request: Some(member.recv.request(self.own.history_wanted)),
            private_ack: Some(member.private.recv_next()),
            asks_all,
            digest,
            ..hello
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
        moved_from: &[SocketAddr],
        now: Instant,
    ) {
        let (is_dialler, dialled_address) = (self.clients[id].dialled.is_some(), self.clients[id].address);
        if let Some(address) = reached_at {
            self.members[key].address = Some(address);
            let target = self.members[key].target;
            self.dialer.find(target, address);
            // The port that a member claims may be another's. At an address that we dialled there is no other; and a
            // member with the same name at the same address is another run.
            let name = Rc::clone(&self.members[key].name);
            let is_other_run = |other: &MemberKey| {
                let member = &self.members[*other];
                *other != key && !member.is_here() && (is_dialler || member.name == name)
            };
            let others: Vec<_> =
                self.dialer.at(address).filter_map(Target::member).filter(is_other_run).collect();
            for other in others {
                self.handle_other_run(other, key, address, moved_from, now);
            }
        }
        let own_key = self.members[key].identity.key;
        let is_its = |target: &Target| target.wanted_by() == WantedBy::Group(Some(own_key));
        let known = self.dialer.known().find(|(_, target)| is_its(target)).map(|(known, _)| known);
        known.into_iter().for_each(|known| self.dialer[known].handle_met(key));
        let Some(dialled) = self.clients[id].dialled else { return };
        let Some(target) = self.dialer.get_mut(dialled.target) else { return };
        match target.wanted_by() {
            WantedBy::User => {
                target.handle_frame();
                target.handle_met(key);
                let addresses: Vec<_> = target.addresses().collect();
                let own = self.members[key].target;
                addresses.into_iter().for_each(|address| self.dialer.learn(own, address, None));
            }
            WantedBy::Group(None) => target.handle_met(key),
            WantedBy::Group(Some(expected)) if expected != own_key => {
                self.handle_nobody_there(Some(dialled.target), dialled_address, now);
            }
            WantedBy::Group(Some(_)) | WantedBy::Member(_) => (),
        }
    }

    /// At an address of `old`, `new` replied. If `new` was met before, elsewhere, the two may have changed places. If not,
    /// and `old` has no other address, `new` is a later run at the same place, and replaces it.
    pub(super) fn handle_other_run(
        &mut self,
        old: MemberKey,
        new: MemberKey,
        address: SocketAddr,
        moved_from: &[SocketAddr],
        now: Instant,
    ) {
        // All the addresses of a peer that the user named are one place.
        let is_its_place = |(_, it): &(TargetId, &Target)| it.met() == Some(old) && it.has(address);
        let place = self.dialer.named().find(is_its_place).map(|(_, it)| it.addresses().collect());
        for address in place.unwrap_or_else(|| vec![address]) {
            self.handle_wrong_address(old, address, now);
        }
        let Some(member) = self.members.get(old) else { return };
        let (is_here, target) = (member.is_here(), member.target);
        if !is_here && !moved_from.is_empty() {
            moved_from.iter().for_each(|place| self.dialer.learn(target, *place, None));
            self.dialer[target].wake(now);
        }
        let Some(member) = self.members.get(old) else { return };
        let has_address = self.dialer[target].addresses().next().is_some();
        if is_here || has_address {
            return;
        }
        let acked = member.send.acked();
        let mut is_named = false;
        for target in self.dialer.given_mut().filter(|target| target.met() == Some(old)) {
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

    /// At an address of a peer that the group knows is somebody else.
    fn handle_nobody_there(&mut self, target: Option<TargetId>, address: SocketAddr, now: Instant) {
        let Some(id) = target else { return };
        if self.dialer[id].is_trying(address) {
            self.dialer.handle_failure(id, now);
        }
        self.dialer.unlearn(id, address);
    }

    /// A peer that was taken for a plain one sends a frame of a handshake. If nothing was exchanged before, the handshake
    /// starts. Otherwise the connection is closed, and a new one is dialled.
    pub(super) fn handle_late_handshake(
        &mut self,
        id: ClientId,
        frame: &Frame<'_>,
        had_received: bool,
        now: Instant,
    ) -> ControlFlow<()> {
        let Client { offered_from, dialled, .. } = self.clients[id];
        let has_begun = self.clients[id].has_begun(&self.log);
        self.end_plain_presence(id);
        if !self.clients[id].is_open() {
            // We leave, and the connection is half-closed. What a member sends on it comes on a link as well.
            self.unname(Holder::Plain(id));
            self.clients.detach(id);
            return ControlFlow::Continue(());
        }
        if !had_received && !has_begun {
            let client = &mut self.clients[id];
            (client.offered_from, client.waiting) = (None, None);
            let handshake = client.phase.plain_mut().map(|peer| mem::take(&mut peer.handshake));
            let (handshake, until) = (handshake.unwrap_or_default(), now + HANDSHAKE_TIMEOUT);
            self.set_phase(id, Phase::Handshake(Unproven { handshake, plain_at: None, until }));
            return self.handle_handshake_frame(id, frame, now);
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
        }
        ControlFlow::Continue(())
    }

    /// A connection ended before its other end proved to be a member.
    pub(super) fn lose_unproven(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let client = &self.clients[id];
        let has_begun = client.phase.unproven().is_some_and(|unproven| unproven.handshake.has_begun());
        let dialled_for = self.dialled_for(client);
        let is_silent = client.received_framing.is_none() && client.pending_bytes() == 0;
        let why = match why {
            LostReason::Closed { .. } if is_silent && dialled_for.is_some() && !self.own.is_plain => {
                LostReason::NoReply
            }
            why => why,
        };
        let is_refused = matches!(why, LostReason::Refused(_) | LostReason::NoReply);
        let is_shown = match dialled_for {
            Some((target, WantedBy::User)) => {
                let was_refused = mem::replace(&mut self.dialer[target].was_refused, is_refused);
                (!has_begun || is_refused) && !(was_refused && is_refused)
            }
            // A failed dial shows it, if the user is to be shown that.
            Some((_, WantedBy::Group(_) | WantedBy::Member(_))) => false,
            None if self.own.keys.is_private() => {
                // In a private group, only a handshake of one is shown.
                matches!(why, LostReason::Refused(Refused::Unverified | Refused::Repeated))
            }
            None => !has_begun || is_refused,
        };
        if is_shown {
            self.show_plain_lost(id, why.clone(), now);
        }
        self.set_phase(id, Phase::Closed);
        match dialled_for.filter(|_| !self.is_leaving) {
            Some((target, WantedBy::User)) if self.dialer[target].met().is_none() => {
                self.dialer.handle_lost(target, now);
            }
            Some((target, WantedBy::Group(_) | WantedBy::Member(_))) => {
                self.fail_dial(target, why.to_string(), now)
            }
            Some((_, WantedBy::User)) | None => (),
        }
    }

    /// The other end leaves before it proved to be a member. Of a member that others reported, the user
    /// is shown nothing.
    pub(super) fn handle_early_goodbye(&mut self, id: ClientId, now: Instant) {
        match self.dialled_for(&self.clients[id]) {
            Some((target, WantedBy::Group(_) | WantedBy::Member(_))) => {
                self.set_phase(id, Phase::Closed);
                self.dialer.handle_failure(target, now);
            }
            Some((_, WantedBy::User)) | None => {
                self.lose(id, LostReason::Closed { unfinished_bytes: 0 }, now);
            }
        }
    }
}
