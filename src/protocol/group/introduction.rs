//! Introductions: how a connection becomes a member's, and how a pair that has two ends with one.
//!
//! | | the dialling side | the accepting side |
//! | --- | --- | --- |
//! | 1 | says who it is, and from where on it goes on with who is silent | |
//! | 2 | | says who it is, what it has, and a pass |
//! | 3 | what it has, its own pass, the pass as a proof, from where on it goes on; then messages | |
//! | 4 | | the other pass as a proof, from where on it goes on; then messages |
//!
//! To each side the introduction is complete with the other's third or fourth line. A pass is given
//! only once: on every later connection a member shows the one it has, so that nobody else can speak
//! in its name, not even while it is away.
//!
//! While a pair has two connections, both carry everything, and the numbers of the messages tell what
//! came twice. The one that is too many is closed by the side that dialled it, once the other has
//! proved to be alive. So nobody has to agree on anything, and no message depends on it.

use std::time::Instant;

use super::{ClientId, Dial, Dialled, Group, Introduction, LostReason, MemberKey, Notice, Peer, State, Word};
use crate::limits::{FORGET, INTRODUCTION};
use crate::protocol::dial::DialId;
use crate::protocol::frame::Code;
use crate::protocol::label::NO_NAME;
use crate::protocol::member::Member;
use crate::protocol::names::Holder;
use crate::protocol::peer_frame::{MemberId, PeerFrame, Wanted};

impl<S> Group<S> {
    /// Says who we are; to whom the user named also from where on we go on if it is silent, in case that
    /// it is slow and no plain peer.
    pub(super) fn introduce(&mut self, id: ClientId) {
        let (mut frame, client) = (self.introduction(), &self.clients[id.0]);
        if let Some(Dialled { dial: DialId::Named(_), .. }) = client.dialled {
            frame.from = Some(client.next_message(&self.log));
        }
        self.push_frame(id, &frame);
    }

    fn introduction(&self) -> PeerFrame {
        PeerFrame { id: Some(self.id), port: Some(self.port), ..self.own_name() }
    }

    pub(super) fn push_frame(&mut self, id: ClientId, frame: &PeerFrame) {
        self.clients[id.0].push(Code::Peer, frame.body().as_bytes(), &self.log, self.silent);
        self.list(id);
    }

    /// Somebody did not introduce itself in time, or showed that it will not: it takes part as the
    /// exercise says.
    pub(super) fn take_for_plain(&mut self, id: ClientId) {
        let client = &mut self.clients[id.0];
        client.introduction = Introduction::Plain;
        let number = client.next_message(&self.log);
        // Who is overrun already stays so, and is told.
        client.offered_from = Some(number);
        self.list(id);
    }

    /// Takes in a peer frame.
    pub(super) fn handle_peer_frame(&mut self, id: ClientId, body: &str, now: Instant) {
        let Some(frame) = PeerFrame::read(body) else { return };
        let key = match (self.clients[id.0].introduction.member(), frame.id) {
            (Some(key), None) => key,
            (Some(key), Some(same)) if same == self.members[key].id => key,
            (Some(_), Some(_)) => {
                let why = LostReason::Failed("says that it is somebody else".into());
                return self.lose(id, why, now);
            }
            (None, Some(member_id)) => match self.begin(id, member_id, &frame, now) {
                Some(key) => key,
                None => return,
            },
            (None, None) => return,
        };
        let is_shown = frame.proof == Some(self.members[key].pass);
        if frame.proof.is_some() && !is_shown {
            return self.refuse(id, key, now);
        }
        let client = &mut self.clients[id.0];
        let is_begun = client.introduction == Introduction::Begun(key);
        let may_go_on = is_begun && (client.dialled.is_some() || is_shown);
        let exchange = client.exchange();
        exchange.pass = frame.pass.or(exchange.pass);
        exchange.early_from = exchange.early_from.or(frame.since);
        exchange.their_private = frame.private.or(exchange.their_private);
        exchange.name = frame.name.map(|name| (frame.names.unwrap_or(0), name)).or(exchange.name.take());
        let is_due = may_go_on && !exchange.has_gone_on;
        match frame.wanted {
            Some(wanted) if is_due && !self.go_on(id, key, wanted) => return self.refuse(id, key, now),
            Some(Wanted::From(count)) if !is_begun => self.handle_have(key, count),
            _ => (),
        }
        let exchange = self.clients[id.0].exchange();
        match frame.from {
            Some(from) if is_begun && is_shown && exchange.has_gone_on => {
                let Some(count) = self.handle_from(id, key, from, frame.live) else {
                    return self.lose(id, LostReason::Failed("goes on too late".into()), now);
                };
                self.complete(id, key, now);
                if count > 0 {
                    let who = self.members[key].who();
                    self.tell(Notice::Missed { who, count });
                }
            }
            // It took us for a plain peer.
            Some(from) if is_begun => exchange.early_from = exchange.early_from.or(Some(from)),
            _ => (),
        }
        if self.clients[id.0].introduction == Introduction::Complete(key) {
            self.take_over_exchange(id, key);
            let private = &mut self.members[key].private;
            frame.private_from.into_iter().for_each(|number| private.handle_from(number));
            self.handle_reports(id, key, frame.members, now);
            self.clients[id.0].exchange().has_told_members |= frame.told_members;
            if frame.asks_members && self.members[key].may_be_told_members(now) {
                self.tell_members(id, key);
            }
            self.close_surplus(key);
        }
    }

    /// Somebody says for the first time who it is. Who was dialled by us has heard of us; who dialled
    /// is answered.
    fn begin(
        &mut self,
        id: ClientId,
        member_id: MemberId,
        frame: &PeerFrame,
        now: Instant,
    ) -> Option<MemberKey> {
        if member_id == self.id {
            self.meet_oneself(id, now);
            return None;
        }
        let has_left = self.members.has_left(member_id);
        let key = if has_left { None } else { self.find_or_add(member_id, frame, now) };
        if self.clients[id.0].state == State::Ended {
            // It was dialled for whoever made room.
            return None;
        }
        let Some(key) = key else {
            self.turn_away(id, now);
            return None;
        };
        self.identify_person(id);
        // From now on it is told apart from the member that it says it is.
        self.clients[id.0].name = None;
        self.unname(Holder::Plain(id));
        let client = &mut self.clients[id.0];
        let dialled = client.dialled;
        client.introduction = Introduction::Begun(key);
        client.since = now;
        client.exchange().port = frame.port;
        let address = client.address;
        let member = &mut self.members[key];
        member.others.push(id);
        if let (Some(name), true) = (&frame.name, member.is_unmet()) {
            member.set_name(name);
        }
        self.timers.introducing.push_back((now + INTRODUCTION, id));
        self.owe_named(id, key);
        let member = &mut self.members[key];
        match dialled {
            Some(Dialled { dial: DialId::Member(expected), local }) if expected != key => {
                self.clients[id.0].dialled = Some(Dialled { dial: DialId::Member(key), local });
                self.handle_other_run(expected, key, address, now);
            }
            // A valid frame: the next pause is the shortest again.
            Some(Dialled { dial: DialId::Member(_), .. }) => member.dial.handle_frame(),
            Some(Dialled { dial: DialId::Named(index), .. }) => self.named[index].handle_frame(),
            None => {
                let mut answer = self.introduction();
                answer.since = self.clients[id.0].offered_from;
                answer.wanted = Some(self.ask(id, key));
                answer.pass = self.pass_for(key);
                answer.private = Some(self.members[key].private.have);
                self.push_frame(id, &answer);
            }
        }
        Some(key)
    }

    /// At the other end is this very run.
    fn meet_oneself(&mut self, id: ClientId, now: Instant) {
        match self.clients[id.0].dialled {
            Some(Dialled { dial, .. }) => self.handle_oneself(id, dial, now),
            None => {
                // So that the dialling side of us learns it.
                self.introduce(id);
                self.clients[id.0].introduction = Introduction::Over;
                self.close(id);
            }
        }
    }

    /// For somebody there is no place, or it has left before.
    fn turn_away(&mut self, id: ClientId, now: Instant) {
        match self.clients[id.0].dialled.map(|dialled| dialled.dial) {
            Some(DialId::Named(index)) => {
                let next_message = self.named[index].next_message();
                self.named[index].handle_lost(now, next_message, &mut self.random);
                self.timers.handle_dials_changed();
            }
            Some(dial) => self.handle_dial_failed(dial, "somebody else answers".into(), now),
            None => (),
        }
        self.clients[id.0].introduction = Introduction::Over;
        self.close(id);
    }

    /// Whom the user named is owed everything, whoever of the two dialled.
    fn owe_named(&mut self, id: ClientId, key: MemberKey) {
        let (client, member) = (&self.clients[id.0], &mut self.members[key]);
        let (dial, reached_at) = (client.dialled.map(|dialled| dialled.dial), client.reached_at());
        for (index, named) in self.named.iter().enumerate() {
            let is_there = || reached_at.is_some_and(|address| named.addresses().contains(&address));
            if dial == Some(DialId::Named(index)) || named.is_open() && is_there() {
                member.owed = member.owed.min(named.next_message());
                member.has = member.has.min(member.owed);
            }
        }
    }

    fn find_or_add(&mut self, member_id: MemberId, frame: &PeerFrame, now: Instant) -> Option<MemberKey> {
        if let Some(key) = self.members.find(member_id) {
            return Some(key);
        }
        if self.members.is_full() {
            // Who is here counts more than who is not.
            self.forget_an_absent_one(now);
        }
        let name = frame.name.as_deref().unwrap_or(NO_NAME).into();
        let dial = Dial::resting(Peer { name, addresses: Vec::new() }, now);
        self.add_member(member_id, dial, self.log.next_number(), now)
    }

    /// Adds somebody who was not met yet, and is owed our messages from `owed` on, if there is room.
    pub(super) fn add_member(
        &mut self,
        member_id: MemberId,
        dial: Dial,
        owed: u64,
        now: Instant,
    ) -> Option<MemberKey> {
        let pass = self.pass_of(member_id);
        let key = self.members.insert(Member::new(member_id, dial, owed, pass, now))?;
        self.timers.forget_at(now + FORGET);
        Some(key)
    }

    /// From where on we want a member's messages on this connection.
    fn ask(&mut self, id: ClientId, key: MemberKey) -> Wanted {
        let have = self.members[key].have;
        self.clients[id.0].exchange().asked_from = have;
        have.map_or(Wanted::Last(self.history), Wanted::From)
    }

    /// The pass for whoever has this id: the same again, should it be forgotten meanwhile.
    fn pass_of(&self, member_id: MemberId) -> Word {
        Word((self.secret.0)(member_id.0))
    }

    /// What a member is to show next time, if it has nothing to show yet.
    fn pass_for(&self, key: MemberKey) -> Option<Word> {
        let member = &self.members[key];
        (!member.has_pass).then_some(member.pass)
    }

    /// Goes on with our messages from where a member wants them, or as close to it as the log reaches
    /// back. Returns no, and does nothing, where we would have to show our pass to somebody who may only
    /// say that it is this member: our pass is shown first only where we were given it, where the member
    /// was found before, or where the user said that we should go.
    fn go_on(&mut self, id: ClientId, key: MemberKey, wanted: Wanted) -> bool {
        let (client, member) = (&self.clients[id.0], &self.members[key]);
        if let Some(Dialled { dial: DialId::Member(_), .. }) = client.dialled
            && client.exchange.as_ref().is_none_or(|exchange| exchange.pass.is_none())
            && !member.found_at.contains(&client.address)
            && member.our_pass_from != Some(client.address)
        {
            return false;
        }
        let ours = self.clients[id.0].dialled.map(|_| self.ask(id, key));
        let (client, member) = (&mut self.clients[id.0], &mut self.members[key]);
        client.exchange().has_gone_on = true;
        // From here on it is made to wait for nothing.
        client.waiting = None;
        let next = self.log.next_number();
        let asked = match wanted {
            Wanted::From(have) => have.min(next),
            // It may be hearing us on another connection just now: no gap may be between the two.
            Wanted::Last(count) => {
                let sent_from = member.sent_from.or(client.offered_from).unwrap_or(next);
                member.owed.min(next.saturating_sub(count)).min(sent_from)
            }
        };
        let from = client.offer_from(asked, &self.log);
        let their_have = if let Wanted::From(have) = wanted { Some(have) } else { None };
        client.exchange().their_have = their_have;
        let has = their_have.map_or(member.owed.max(asked), |have| have.min(next));
        member.dropped.tell(has, from);
        member.sent_from.get_or_insert(from);
        let live = (!matches!(wanted, Wanted::From(_)) && from < member.owed).then_some(member.owed);
        let given = client.exchange().pass;
        let proof = given.or(member.our_pass);
        // Should this connection break now, the other may know that we were given it.
        if member.is_unmet() && given.is_some() {
            member.our_pass = given;
            member.our_pass_from = Some(client.address);
        }
        let pass = if client.dialled.is_some() { self.pass_for(key) } else { None };
        let (from, private) = (Some(from), Some(self.members[key].private.have));
        let frame = PeerFrame { wanted: ours, pass, proof, from, live, private, ..PeerFrame::default() };
        self.push_frame(id, &frame);
        true
    }

    /// Somebody says that it is a member and cannot show it.
    fn refuse(&mut self, id: ClientId, key: MemberKey, now: Instant) {
        let (address, who) = (self.clients[id.0].address, self.members[key].who());
        // It may try again at once, for as long as it likes.
        if self.visitors.add(address.ip(), now) {
            self.notices.push_back(Notice::Impostor { address, who });
        }
        self.lose(id, LostReason::Failed("not who it says".into()), now);
    }
}
