//! Who belongs to the group: where members are reached, what they tell of each other, and when one is
//! gone.

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

use super::{
    Client, ClientId, Dial, Dialled, Group, Introduction, LostReason, MemberKey, Notice, Peer, State,
};
use crate::limits::{ADDRESSES_MAX, FORGET, INTRODUCTION, MEMBER_ADDRESSES_MAX, NEWS_INTERVAL, NEWS_MAX};
use crate::protocol::dial::DialId;
use crate::protocol::former_names::Fate;
use crate::protocol::member::{Member, Presence};
use crate::protocol::names::Holder;
use crate::protocol::peer_frame::{PeerFrame, Report};

impl<S> Group<S> {
    /// Learns where a member is reached from how it was, and that nobody else is there.
    pub(super) fn learn_own_address(&mut self, id: ClientId, key: MemberKey, now: Instant) {
        if let Some(address) = self.clients[id.0].reached_at() {
            self.members[key].handle_found(address);
            let leads_to_it = |(slot, client): (usize, &Client<S>)| {
                let is_unknown = client.introduction.member().is_none() && client.state == State::Open;
                let leads = client.dialled.is_some() && client.address == address && client.heard_early == 0;
                (is_unknown && leads && !client.will_introduce_itself).then_some(ClientId(slot))
            };
            // What somebody says of its port may be another's. Where we dialled it is nobody else; and if
            // it has another's name as well, it is another run.
            let is_sure = self.clients[id.0].dialled.is_some();
            for id in self.clients.iter().filter(|_| is_sure).filter_map(leads_to_it).collect::<Vec<_>>() {
                self.expect_introduction(id, key, now);
            }
            let name = Rc::clone(&self.members[key].name);
            let has_it = |(other, member): (MemberKey, &Member)| {
                let is_gone = other != key && !member.is_here() && !self.is_soon_linked(other);
                let is_it = is_gone && member.dial.addresses().contains(&address);
                (is_it && (is_sure || member.name == name)).then_some(other)
            };
            for other in self.members.iter().filter_map(has_it).collect::<Vec<_>>() {
                self.handle_other_run(other, key, address, now);
            }
        }
        if let Some(Dialled { dial: DialId::Named(index), .. }) = self.clients[id.0].dialled {
            self.named[index].handle_frame();
            self.named[index].handle_met(key);
            for &address in self.named[index].addresses() {
                self.members[key].dial.learn(address, false, ADDRESSES_MAX);
            }
        }
    }

    /// Where `old` was reached, `new` answers. If that was its only address, it is another run of the
    /// program, which takes the place of the old one.
    pub(super) fn handle_other_run(
        &mut self,
        old: MemberKey,
        new: MemberKey,
        address: SocketAddr,
        now: Instant,
    ) {
        // All the addresses of a peer that the user named are one place.
        let is_its_place = |dial: &&Dial| dial.met() == Some(old) && dial.addresses().contains(&address);
        let place = self.named.iter().find(is_its_place).map(|dial| dial.addresses().to_vec());
        for address in place.unwrap_or_else(|| vec![address]) {
            self.handle_wrong_address(old, address, now);
        }
        let Some(member) = self.members.get_mut(old) else { return };
        if member.is_here() || !member.others.is_empty() || !member.dial.addresses().is_empty() {
            return;
        }
        let has = member.has;
        for dial in self.named.iter_mut().filter(|dial| dial.met() == Some(old)) {
            dial.handle_met(new);
            let member = &mut self.members[new];
            member.owed = member.owed.min(has);
            member.has = member.has.min(has);
        }
        self.forget(old, now);
    }

    /// Somebody else is at an address of a member.
    pub(super) fn handle_wrong_address(&mut self, key: MemberKey, address: SocketAddr, now: Instant) {
        if let Some(member) = self.members.get_mut(key) {
            if member.dial.is_trying(address) {
                member.dial.handle_failure(now, &mut self.random);
            }
            member.dial.unlearn(address);
            self.timers.handle_dials_changed();
        }
    }

    /// Tells a member over `id` of all the others who are here.
    pub(super) fn tell_members(&mut self, id: ClientId, key: MemberKey) {
        let others = self.members.iter().filter(|(other, member)| *other != key && member.is_here());
        let reports: Vec<_> = others.map(|(_, member)| member.report()).collect();
        self.tell_reports(id, reports);
    }

    fn tell_reports(&mut self, id: ClientId, reports: Vec<Report>) {
        telling(reports).iter().for_each(|frame| self.push_frame(id, frame));
    }

    /// The connection to a member that was heard of last.
    pub(super) fn best_link(&self, key: MemberKey) -> Option<ClientId> {
        self.members[key].links.iter().copied().max_by_key(|id| self.clients[id.0].heard_at)
    }

    /// One connection to each member that is here.
    fn best_links(&self) -> Vec<ClientId> {
        self.members.keys().into_iter().filter_map(|key| self.best_link(key)).collect()
    }

    /// Tells everybody who has come since the last time.
    pub(super) fn tell_news(&mut self, now: Instant) {
        let count = self.timers.news.len().min(NEWS_MAX);
        let news: Vec<_> = self.timers.news.drain(..count).collect();
        self.timers.news_at = (!self.timers.news.is_empty()).then_some(now + NEWS_INTERVAL);
        let here = news.into_iter().map(|key| &self.members[key]).filter(|member| member.is_here());
        let reports: Vec<_> = here.map(Member::report).collect();
        // The same for everybody, itself included: who is told of itself passes over it.
        let frames = telling(reports);
        for id in self.best_links() {
            frames.iter().for_each(|frame| self.push_frame(id, frame));
        }
    }

    /// Asks everybody whom they are connected with.
    pub(super) fn ask_members(&mut self) {
        for id in self.best_links() {
            self.push_frame(id, &PeerFrame { asks_members: true, ..PeerFrame::default() });
        }
    }

    /// A member tells of others. Those that are not known are dialled.
    pub(super) fn handle_reports(
        &mut self,
        id: ClientId,
        from: MemberKey,
        reports: Vec<Report>,
        now: Instant,
    ) {
        let client = &self.clients[id.0];
        let reached_at = client.address;
        // Who was there before we came is owed what this one is: it was said to the group.
        let has_told = client.exchange.as_ref().is_some_and(|exchange| exchange.has_told_members);
        let owed = match has_told || now >= client.since + INTRODUCTION {
            false => self.members[from].owed,
            true => self.log.next_number(),
        };
        for report in reports {
            if !self.members[from].may_report(now) {
                return;
            }
            let sensible = report.addresses.iter().filter_map(|&address| seen_from(reached_at, address));
            let addresses: Vec<_> = sensible.collect();
            let is_gone = self.members.has_left(report.id);
            if report.id == self.id || addresses.is_empty() || is_gone || self.leaving {
                continue;
            }
            match self.members.find(report.id) {
                Some(key) => {
                    let member = &mut self.members[key];
                    for address in addresses {
                        member.dial.learn(address, false, MEMBER_ADDRESSES_MAX);
                    }
                    if !member.is_here() {
                        member.dial.wake(now);
                    }
                    if member.is_unmet() && member.sent_from.is_none() {
                        member.owed = member.owed.min(owed);
                        member.has = member.has.min(owed);
                    }
                }
                None => {
                    let peer = Peer { name: report.name.into(), addresses };
                    // Where there is no room, it has to introduce itself.
                    let _ = self.add_member(report.id, Dial::new(peer, now, 0), owed, now);
                }
            }
        }
        self.timers.handle_dials_changed();
    }

    /// Whether a connection that we dialled to a member is being introduced, or one of its is being
    /// closed because there is another. Whoever dials us may only say that it is this member.
    pub(super) fn is_soon_linked(&self, key: MemberKey) -> bool {
        let is_ours = |id: &ClientId| {
            let client = &self.clients[id.0];
            client.dialled.is_some() || client.introduction == Introduction::Complete(key)
        };
        self.members[key].others.iter().any(is_ours)
    }

    /// A connection of a member is gone.
    pub(super) fn unlink(&mut self, key: MemberKey, id: ClientId, why: LostReason, now: Instant) {
        let dialled = self.clients[id.0].dialled;
        let address = self.clients[id.0].address;
        let member = &mut self.members[key];
        member.links.retain(|link| *link != id);
        member.others.retain(|other| *other != id);
        let is_complete = matches!(self.clients[id.0].introduction, Introduction::Complete(_));
        if !is_complete && !self.leaving {
            match dialled.map(|dialled| dialled.dial) {
                Some(DialId::Named(index)) if self.named[index].met().is_none() => {
                    let next_message = self.named[index].next_message();
                    self.named[index].handle_lost(now, next_message, &mut self.random);
                }
                Some(dial) if self.dial_mut(dial).is_some_and(|dial| dial.is_trying(address)) => {
                    self.handle_dial_failed(dial, why.to_string(), now);
                }
                _ => (),
            }
            self.timers.handle_dials_changed();
        }
        if is_complete
            && !self.leaving
            && let Some(other) = self.best_link(key)
        {
            // What was on its way over this one.
            self.push_unknown(other, key);
            self.tell_members(other, key);
            self.tell_have(key, now);
        }
        let is_there = !self.members[key].links.is_empty() || self.is_soon_linked(key);
        let member = &mut self.members[key];
        if is_there {
            return;
        }
        let who = member.who();
        match member.presence {
            Presence::Here if self.leaving => {
                // Closing is the answer to our goodbye. Anything else may mean that it never came.
                if !matches!(why, LostReason::Closed { .. }) {
                    member.presence = Presence::Lost { since: now };
                    self.tell(Notice::Lost { who, why });
                }
                // The goodbye has a number, too.
                self.tell_undelivered(key, self.log.next_number() - 1);
            }
            Presence::Here => {
                member.presence = Presence::Lost { since: now };
                let has = member.has;
                member.dial.handle_lost(now, has, &mut self.random);
                self.timers.forget_at(now + FORGET);
                self.timers.handle_dials_changed();
                self.tell(Notice::Lost { who, why });
            }
            Presence::Unmet { .. } if member.dial.addresses().is_empty() && member.others.is_empty() => {
                self.remove_member(key, false);
            }
            Presence::Unmet { .. } | Presence::Lost { .. } => (),
        }
    }

    /// A member said goodbye, over `id`. It is told how many of its messages we have.
    pub(super) fn part(&mut self, key: MemberKey, id: ClientId) {
        let who = self.members[key].who();
        let count = self.members[key].private.kept_count();
        self.tell(Notice::Left { who: who.clone() });
        if count > 0 {
            self.tell(Notice::Undelivered { who, count });
        }
        self.push_have(id, key);
        self.remove_member(key, true);
    }

    /// A member is waited for no more.
    pub(super) fn forget(&mut self, key: MemberKey, now: Instant) {
        let member = &self.members[key];
        if !member.is_unmet() {
            self.tell_undelivered(key, self.log.next_number());
        }
        let has = self.members[key].has;
        for dial in self.named.iter_mut().filter(|dial| dial.met() == Some(key)) {
            dial.handle_lost(now, has, &mut self.random);
        }
        self.remove_member(key, false);
        self.timers.handle_dials_changed();
    }

    /// Makes room for somebody who is here: who was never met goes first, then who is lost for longest.
    pub(super) fn forget_an_absent_one(&mut self, now: Instant) {
        let absent = self.members.iter().filter_map(|(key, member)| match member.presence {
            _ if !member.others.is_empty() => None,
            Presence::Unmet { since } => Some((false, since, key)),
            Presence::Lost { since } => Some((true, since, key)),
            Presence::Here => None,
        });
        if let Some((_, _, key)) = absent.min() {
            self.forget(key, now);
        }
    }

    /// Forgets a member and everything that leads to it.
    fn remove_member(&mut self, key: MemberKey, has_left: bool) {
        if !self.members[key].is_unmet() {
            let fate = if has_left { Fate::Left } else { Fate::Gone };
            self.former_names.add(self.members[key].who(), fate);
        }
        self.note_private_lost(key);
        let member = self.members.remove(key, has_left);
        for id in member.links.iter().chain(&member.others) {
            self.clients[id.0].introduction = Introduction::Over;
            self.close(*id);
        }
        let is_there = |dial: &Dial| dial.addresses().iter().any(|address| member.found_at.contains(address));
        for dial in self.named.iter_mut().filter(|_| has_left) {
            if dial.met() == Some(key) || dial.is_open() && is_there(dial) {
                dial.give_up();
            }
        }
        let dials_it = |id: &ClientId| match self.clients[id.0].dialled.map(|dialled| dialled.dial) {
            Some(DialId::Named(index)) => has_left && self.named[index].is_over(),
            dial => dial == Some(DialId::Member(key)),
        };
        let awaited = self.timers.introducing.iter().chain(&self.timers.awaited).map(|(_, id)| *id);
        let awaited = awaited.filter(|id| {
            let client = self.clients.get(id.0);
            client.is_some_and(|client| matches!(client.introduction, Introduction::Awaited { .. }))
        });
        let dialling: Vec<_> = self.timers.dialling.iter().copied().chain(awaited).filter(dials_it).collect();
        for id in dialling {
            if self.clients[id.0].state != State::Ended {
                self.set_state(id, State::Ended);
            }
        }
        self.timers.news.retain(|news| *news != key);
        self.unname(Holder::Member(member.id));
    }
}

/// Frames that tell of those of whom there is something to tell.
fn telling(reports: Vec<Report>) -> Vec<PeerFrame> {
    PeerFrame::telling(reports.into_iter().filter(|report| !report.addresses.is_empty()))
}

/// An address that somebody reached at `reporter` tells of, if it can mean the same place here.
fn seen_from(reporter: SocketAddr, mut address: SocketAddr) -> Option<SocketAddr> {
    address.set_ip(address.ip().to_canonical());
    let ip = address.ip();
    let is_nowhere = address.port() == 0 || ip.is_unspecified() || ip.is_multicast();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if is_nowhere || is_broadcast || ip.is_loopback() && !reporter.ip().is_loopback() {
        return None;
    }
    match (&mut address, reporter) {
        // One of ours, which may be called like a link there.
        (SocketAddr::V6(address), SocketAddr::V6(reporter)) if address.ip().is_unicast_link_local() => {
            address.set_scope_id(reporter.scope_id());
            reporter.ip().is_unicast_link_local().then_some(SocketAddr::V6(*address))
        }
        (SocketAddr::V6(address), _) if address.ip().is_unicast_link_local() => None,
        (SocketAddr::V6(address), _) => {
            address.set_scope_id(0);
            Some(SocketAddr::V6(*address))
        }
        (SocketAddr::V4(address), reporter) if address.ip().is_link_local() => {
            let is_near = matches!(reporter.ip(), IpAddr::V4(ip) if ip.is_link_local());
            is_near.then_some(SocketAddr::V4(*address))
        }
        (SocketAddr::V4(address), _) => Some(SocketAddr::V4(*address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_make_sense_from_here_are_dialled() {
        #[track_caller]
        fn check(reporter: &str, address: &str, expected: Option<&str>) {
            let parse = |text: &str| -> SocketAddr { text.parse().expect("an address in a test") };
            assert_eq!(seen_from(parse(reporter), parse(address)), expected.map(parse), "{address}");
        }
        let (near, far, linked) = ("127.0.0.1:9", "192.168.1.7:9", "[fe80::1%3]:9");
        for reporter in [near, far, linked] {
            for ordinary in ["192.168.1.9:5000", "10.0.0.1:1", "[2001:db8::1]:5000"] {
                check(reporter, ordinary, Some(ordinary));
            }
            for nowhere in ["0.0.0.0:5000", "[::]:5000", "10.0.0.1:0", "224.0.0.1:5000", "[ff02::1]:5000"] {
                check(reporter, nowhere, None);
            }
            check(reporter, "255.255.255.255:5000", None);
            check(reporter, "[::ffff:10.0.0.1]:5000", Some("10.0.0.1:5000"));
            check(reporter, "[::ffff:0.0.0.0]:5000", None);
        }
        for local in ["127.0.0.1:5000", "127.9.9.9:5000", "[::1]:5000"] {
            check(near, local, Some(local));
            check("[::1]:9", local, Some(local));
            check(far, local, None);
            check(linked, local, None);
        }
        check(near, "[::ffff:127.0.0.1]:5000", Some("127.0.0.1:5000"));
        check(far, "[::ffff:127.0.0.1]:5000", None);
        check(near, "[fe80::2]:5000", None);
        check(far, "[fe80::2%1]:5000", None);
        check(linked, "[fe80::2%1]:5000", Some("[fe80::2%3]:5000"));
        check(linked, "169.254.0.1:5000", None);
        check("169.254.0.2:9", "169.254.0.1:5000", Some("169.254.0.1:5000"));
        check(far, "[2001:db8::1%7]:5000", Some("[2001:db8::1]:5000"));
    }
}
