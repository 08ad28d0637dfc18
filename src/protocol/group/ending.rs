//! Ends: a connection that breaks, a peer that says goodbye, and our own leaving.

use std::mem;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use chrono::{DateTime, FixedOffset};

use super::{
    Client, ClientId, Code, Dial, DialId, Dialled, Group, Introduction, LostReason, MemberKey, Notice, Shown,
    State, Who,
};
use crate::limits::UNMET_TOLD_MAX;
use crate::protocol::former_names::Fate;
use crate::protocol::member::Member;
use crate::protocol::message;
use crate::protocol::roster::Disconnecting;

impl<S> Group<S> {
    /// Says goodbye, behind everything already said, as who listens on `address`. Who is not
    /// connected by now will not be.
    pub fn leave(&mut self, now: Instant, at: DateTime<FixedOffset>, address: SocketAddr) {
        self.leaving = true;
        let (said, mut unmet) = (self.log.next_number(), 0);
        for key in self.members.keys() {
            let member = &mut self.members[key];
            member.dial.give_up();
            let is_unmet = member.is_unmet();
            unmet += usize::from(is_unmet);
            // Of those who were only told of there may be any number.
            if !member.is_here() && (!is_unmet || unmet <= UNMET_TOLD_MAX) {
                self.tell_undelivered(key, said);
            }
            // Nobody can ask us any more.
            self.tell_have(key, now);
        }
        for dial in &mut self.named {
            dial.give_up();
        }
        if self.heard.said > 0 {
            self.tell_silent();
        }
        for id in self.ids() {
            let client = &mut self.clients[id.0];
            let is_awaited = matches!(client.introduction, Introduction::Awaited { .. });
            let is_in_vain = is_awaited && client.will_introduce_itself;
            if matches!(client.state, State::Dialling { .. }) || is_in_vain {
                self.set_state(id, State::Ended);
            } else if is_awaited {
                self.take_for_plain(id);
            } else if client.waiting.is_some() {
                // The patience for a goodbye begins with it.
                client.waiting = None;
                client.clock(now, false, &self.log);
            }
        }
        self.end_joining();
        self.log.append(|out| message::write_exit(address, at, self.writer.name(), out));
    }

    /// Undoes [`connect`](Self::connect): the peer that the user named `text`, or that is at one of
    /// `addresses`, is dialled no more; a plain one is sent our goodbye, as a peer that listens on `own`,
    /// and closed.
    pub fn disconnect(
        &mut self,
        text: &str,
        addresses: &[SocketAddr],
        own: SocketAddr,
        at: DateTime<FixedOffset>,
    ) -> Disconnecting {
        let is_it = |address: &SocketAddr| addresses.contains(address);
        let is_meant = |dial: &Dial| **dial.name() == *text || dial.addresses().iter().any(is_it);
        let index = self.named.iter().position(|dial| !dial.is_over() && is_meant(dial));
        let met = index.and_then(|index| self.named[index].met());
        let is_at = |member: &Member| !member.is_unmet() && member.dial.addresses().iter().any(is_it);
        let key = met.or_else(|| Some(self.members.iter().find(|(_, member)| is_at(member))?.0));
        if let Some(member) = key.and_then(|key| self.members.get_mut(key)) {
            return Disconnecting::Member(member.who());
        }
        let Some(index) = index else {
            let there = |client: &Client<S>| client.state == State::Open && is_it(&client.address);
            let accepted = self.clients.iter().find(|(_, client)| there(client));
            return accepted.map_or(Disconnecting::Unknown, |(slot, _)| {
                Disconnecting::Accepted(self.plain_who(ClientId(slot)))
            });
        };
        let is_its = |client: &Client<S>| {
            matches!(client.dialled, Some(Dialled { dial: DialId::Named(dialled), .. }) if dialled == index)
                && matches!(client.state, State::Dialling { .. } | State::Open)
        };
        let id = self.clients.iter().find(|(_, client)| is_its(client)).map(|(slot, _)| ClientId(slot));
        if let Some(key) = id.and_then(|id| self.clients[id.0].introduction.member()) {
            return Disconnecting::Member(self.members[key].who());
        }
        self.named[index].withdraw();
        self.timers.handle_dials_changed();
        let name = Rc::clone(self.named[index].name());
        let Some(id) = id else { return Disconnecting::Stopped(name) };
        if self.clients[id.0].state != State::Open {
            self.set_state(id, State::Ended);
            return Disconnecting::Stopped(name);
        }
        if matches!(self.clients[id.0].introduction, Introduction::Awaited { .. }) {
            self.take_for_plain(id);
        }
        let who = self.plain_who(id);
        let body = message::exit_body(own, at, self.writer.name());
        let client = &mut self.clients[id.0];
        client.take_rest(&self.log, self.silent);
        client.push(Code::Exit, body.as_bytes(), &self.log, self.silent);
        self.close(id);
        Disconnecting::Closed(who)
    }

    /// Tells of peers that the user named and that never said anything.
    fn tell_silent(&mut self) {
        let is_silent = |client: &Client<S>| {
            let is_named = matches!(client.dialled, Some(Dialled { dial: DialId::Named(_), .. }));
            let is_plain = client.introduction == Introduction::Plain && client.state == State::Open;
            is_named && is_plain && client.spoken.is_none()
        };
        let silent = self.clients.iter().filter(|(_, client)| is_silent(client));
        let told: Vec<_> = silent.map(|(slot, _)| self.plain_who(ClientId(slot))).collect();
        self.notices.extend(told.into_iter().map(|who| Notice::Silent { who }));
    }

    /// Tells how many of the `said` messages a member did not get, as far as is known.
    pub(super) fn tell_undelivered(&mut self, key: MemberKey, said: u64) {
        let count = self.members[key].undelivered(said);
        if count > 0 {
            let who = self.members[key].who();
            self.notices.push_back(Notice::Undelivered { who, count });
        }
    }

    /// Whether everything that leaving takes is done.
    #[must_use]
    pub fn has_left(&self) -> bool {
        self.leaving && self.open_count == 0
    }

    /// A connection ended without goodbye.
    pub(super) fn lose(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let client = &self.clients[id.0];
        let introduction = client.introduction;
        match client.state {
            State::Ended => return,
            // It was to be closed anyway. But while we leave, anything else than closing may mean that
            // our goodbye never came.
            State::Closing | State::Finishing { .. } => {
                if self.leaving && introduction.member().is_none() && matches!(why, LostReason::Failed(_)) {
                    self.show_plain_lost(id, why.clone(), now);
                }
            }
            State::Dialling { .. } => {
                let Dialled { dial, .. } = client.dialled.expect("who dials has dialled");
                self.handle_dial_failed(dial, why.to_string(), now);
            }
            State::Open if introduction.member().is_some() => (),
            State::Open => self.lose_plain(id, why.clone(), now),
        }
        self.tell_early(id);
        if !self.leaving {
            self.end_person(id, why.clone());
        }
        self.set_state(id, State::Ended);
        if let Some(key) = introduction.member() {
            self.unlink(key, id, why, now);
        }
    }

    /// A connection ended whose other end did not introduce itself.
    fn lose_plain(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let client = &self.clients[id.0];
        let dial = client.dialled.map(|dialled| dialled.dial);
        let next_message = client.next_message(&self.log);
        if client.will_introduce_itself {
            return self.handle_dial_failed(
                dial.expect("only who was dialled is known"),
                why.to_string(),
                now,
            );
        }
        self.show_plain_lost(id, why, now);
        if let Some(DialId::Named(index)) = dial
            && !self.leaving
        {
            self.named[index].handle_lost(now, next_message, &mut self.random);
            self.timers.handle_dials_changed();
        }
    }

    /// Somebody said goodbye.
    pub(super) fn handle_goodbye(&mut self, id: ClientId, body: &str, now: Instant) {
        let client = &self.clients[id.0];
        if client.introduction.member().is_none() && client.will_introduce_itself {
            // It leaves before it could. It says so where it is known, and nobody here has met it.
            let dial = client.dialled.expect("only who was dialled is known").dial;
            self.fail_dial(dial, now);
            return self.close(id);
        }
        if matches!(client.introduction, Introduction::Awaited { .. }) {
            self.take_for_plain(id);
        }
        match self.clients[id.0].introduction {
            Introduction::Awaited { .. } | Introduction::Over => (),
            Introduction::Plain => {
                if let Some(name) = message::read_exit(body) {
                    self.name_plain(id, name);
                }
                self.show_person(id);
                self.end_person_with(id, Some(Fate::Left), |who| Notice::Left { who });
                if let Some(Dialled { dial: DialId::Named(index), .. }) = self.clients[id.0].dialled {
                    self.named[index].give_up();
                }
                self.set_state(id, State::Ended);
            }
            Introduction::Complete(key) => self.part(key, id),
            // Whoever says so has not shown that it is this member.
            Introduction::Begun(_) => {
                self.tell_early(id);
                self.end_person_with(id, Some(Fate::Left), |who| Notice::Left { who });
                self.close(id);
            }
        }
    }

    /// Shows a connection that was accepted and has not sent a message yet: one a minute for each host, so
    /// that health checks and port scanners are no flood.
    pub(super) fn show_connection(&mut self, id: ClientId, now: Instant) {
        let client = &mut self.clients[id.0];
        if client.dialled.is_none() && client.shown == Shown::Nothing {
            let address = client.address;
            client.shown = match self.visitors.add(address.ip(), now) {
                true => {
                    self.notices.push_back(Notice::Accepted { address });
                    Shown::Connection
                }
                false => Shown::Counted,
            };
        }
    }

    /// A plain peer sends its first message or its goodbye: from now on, it is shown as somebody.
    pub(super) fn show_person(&mut self, id: ClientId) {
        let client = &mut self.clients[id.0];
        let (address, is_dialled) = (client.address, client.dialled.is_some());
        let shown = mem::replace(&mut client.shown, Shown::Person);
        if shown == Shown::Counted {
            self.visitors.remove(address.ip());
        }
        match shown {
            Shown::Person => return,
            Shown::Nothing | Shown::Counted if !is_dialled => {
                self.notices.push_back(Notice::Accepted { address });
            }
            Shown::Nothing | Shown::Counted | Shown::Connection => (),
        }
        let who = self.plain_who(id);
        self.notices.push_back(Notice::Appeared { who });
    }

    /// Ends what was shown as somebody, if it was.
    pub(super) fn end_person(&mut self, id: ClientId, why: LostReason) {
        self.end_person_with(id, Some(Fate::Gone), |who| Notice::Lost { who, why });
    }

    /// A plain peer says that it is a member: what it sends from now on is shown as the member's, or as
    /// somebody else's.
    pub(super) fn identify_person(&mut self, id: ClientId) {
        self.end_person_with(id, None, |before| Notice::Identified { before });
    }

    /// Without a `fate`, it stays present as a member.
    fn end_person_with(&mut self, id: ClientId, fate: Option<Fate>, notice: impl FnOnce(Who) -> Notice) {
        if self.clients[id.0].shown == Shown::Person {
            let who = self.plain_who(id);
            if let Some(fate) = fate {
                self.former_names.add(who.clone(), fate);
            }
            self.notices.push_back(notice(who));
            self.clients[id.0].shown = Shown::Connection;
        }
    }

    /// Shows that a plain peer is gone without goodbye.
    fn show_plain_lost(&mut self, id: ClientId, why: LostReason, now: Instant) {
        let client = &self.clients[id.0];
        let (address, is_dialled, shown) = (client.address, client.dialled.is_some(), client.shown);
        // Something that we sent did not arrive; or may not have, while we leave.
        let is_trouble = match why {
            LostReason::Stalled(_) | LostReason::Overrun => true,
            LostReason::Failed(_) | LostReason::FrameTooLong | LostReason::Unintroduced(_) => self.leaving,
            LostReason::Closed { .. } | LostReason::OtherProtocol => false,
        };
        let is_visible = match shown {
            Shown::Person => return self.end_person(id, why),
            _ if is_dialled => {
                let who = self.plain_who(id);
                return self.notices.push_back(Notice::NamedLost { who, why });
            }
            Shown::Nothing => self.visitors.add(address.ip(), now),
            Shown::Connection => self.visitors.may_show(address.ip(), now),
            Shown::Counted => false,
        };
        if is_visible || is_trouble {
            self.notices.push_back(Notice::Visited { address, why });
        }
    }

    /// Gives a client what is in its outbox, and then closes the connection.
    pub(super) fn close(&mut self, id: ClientId) {
        let client = &mut self.clients[id.0];
        if client.state == State::Open {
            if client.offered_from.is_some() {
                client.cut_in(&self.log);
            }
            self.set_state(id, State::Closing);
            self.list(id);
        }
    }
}
