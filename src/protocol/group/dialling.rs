//! Dialling: who the user named and who others told of, from the first attempt to the connection.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Instant;

use super::{Client, ClientId, Dial, DialId, Dialled, Group, Introduction, MemberKey, Notice, State};
use crate::limits::{INTRODUCTION, INTRODUCTION_WAIT, MEET_TIMEOUT, SILENCE, UNMET_TOLD_MAX};
use crate::protocol::member::{Member, Members};
use crate::protocol::roster::Unreached;

/// An address to be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// For whom.
    pub dial: DialId,
    /// Where.
    pub address: SocketAddr,
    /// How long to wait for an answer.
    pub until: Instant,
}

impl<S> Group<S> {
    /// A connection is on its way, from our end `local`, to an address that
    /// [`poll_dial`](Self::poll_dial) said.
    pub fn handle_dialling(
        &mut self,
        attempt: Attempt,
        stream: S,
        local: SocketAddr,
        now: Instant,
    ) -> ClientId {
        let Attempt { dial, mut address, until } = attempt;
        address.set_ip(address.ip().to_canonical());
        let (state, introduction) = (State::Dialling { until }, Introduction::Awaited { until });
        let dialled = Some(Dialled { dial, local });
        let client = Client::new(stream, address, dialled, state, introduction, self.log.end(), now);
        let id = ClientId(self.clients.insert(client));
        self.timers.dialling.push(id);
        self.timers.handle_dials_changed();
        id
    }

    /// The address that is being tried cannot be reached.
    pub fn handle_dial_failed(&mut self, id: DialId, why: String, now: Instant) {
        let is_first = self.fail_dial(id, now);
        let is_told = match id {
            DialId::Named(_) => true,
            // Others may tell of many that nobody can reach. Of one that was lost, the user knows.
            DialId::Member(_) => {
                self.members.iter().filter(|(_, member)| member.is_unmet()).count() <= UNMET_TOLD_MAX
            }
        };
        let Some(dial) = self.dial_mut(id) else { return };
        let peer = Rc::clone(dial.name());
        let is_lost = matches!(id, DialId::Member(key) if !self.members[key].is_unmet());
        if is_first && is_told && !is_lost {
            self.notices.push_back(Notice::Unreachable { peer, why });
        }
    }

    /// The address that is being tried cannot be reached. Returns whether it was the last one of the first attempt.
    pub(super) fn fail_dial(&mut self, id: DialId, now: Instant) -> bool {
        self.timers.handle_dials_changed();
        let dial = dial_mut(&mut self.named, &mut self.members, id);
        dial.is_some_and(|dial| dial.handle_failure(now, &mut self.random))
    }

    /// The peer that we dialled answered. We introduce ourselves. If it does not, it is sent what was
    /// said since it was last there, as far as the log reaches back.
    pub fn handle_connected(&mut self, id: ClientId, now: Instant) {
        let client = &mut self.clients[id.0];
        let dialled = client.dialled.expect("only a dialled connection becomes connected");
        (client.since, client.heard_at) = (now, now);
        client.introduction = Introduction::Awaited { until: now + INTRODUCTION_WAIT };
        self.set_state(id, State::Open);
        self.heard.alone_is_told = false;
        match dialled.dial {
            DialId::Named(index) => {
                self.handle_named_connected(id, index, now);
                let address = self.clients[id.0].address;
                let is_there = |member: &Member| member.is_here() && member.found_at.contains(&address);
                let member = self.members.iter().find(|(_, member)| is_there(member));
                if let Some((key, _)) = member {
                    self.expect_introduction(id, key, now);
                }
            }
            DialId::Member(key) => self.expect_introduction(id, key, now),
        }
        if self.is_plain {
            self.take_for_plain(id);
        } else {
            self.introduce(id);
        }
    }

    fn handle_named_connected(&mut self, id: ClientId, index: usize, now: Instant) {
        let (client, dial) = (&mut self.clients[id.0], &mut self.named[index]);
        dial.handle_connected();
        client.cursor = self.log.position_of(dial.next_message());
        let missed = self.log.number_at(client.cursor).saturating_sub(dial.next_message());
        let (peer, address) = (Rc::clone(dial.name()), client.address);
        self.notices.push_back(Notice::Connected { peer, address, missed });
        self.timers.awaited.push_back((now + INTRODUCTION_WAIT, id));
    }

    /// This member is at the other end, as far as is known.
    pub(super) fn expect_introduction(&mut self, id: ClientId, key: MemberKey, now: Instant) {
        let client = &mut self.clients[id.0];
        client.will_introduce_itself = true;
        if let Some(Dialled { dial: DialId::Named(index), .. }) = client.dialled {
            // The member has a dial of its own.
            self.named[index].handle_met(key);
        }
        self.timers.introducing.push_back((now + INTRODUCTION, id));
    }

    /// Whether we dialled and nobody has answered yet.
    #[must_use]
    pub fn is_dialling(&self, id: ClientId) -> bool {
        self.clients.get(id.0).is_some_and(|client| matches!(client.state, State::Dialling { .. }))
    }

    /// Whether somebody may be reached in a moment: a peer that the user named and that is being
    /// dialled for the first time; and, for a while after `since`, a member that we heard of just now,
    /// or somebody whom we dialled and who introduces itself.
    #[must_use]
    pub fn is_reaching_out(&self, now: Instant, since: Instant) -> bool {
        if self.named.iter().any(Dial::is_first_attempt) {
            return true;
        }
        let is_soon_met = |id: &ClientId| {
            let client = self.clients.get(id.0).filter(|client| client.state == State::Open);
            client.filter(|client| client.dialled.is_some()).is_some_and(|client| {
                matches!(client.introduction, Introduction::Awaited { .. } | Introduction::Begun(_))
            })
        };
        let mut timed = self.timers.awaited.iter().chain(&self.timers.introducing);
        let mut members = self.members.iter();
        // There may always be somebody who tells of yet another.
        now < since + MEET_TIMEOUT
            && (timed.any(|(_, id)| is_soon_met(id))
                || members.any(|(_, member)| member.is_soon_met(now))
                || self.owed_to_groups().next().is_some())
    }

    /// From which message on the groups are owed what was said, of those peers that the user named and
    /// that have yet to tell of all their members: while they introduce themselves, and for
    /// [`INTRODUCTION`] at most.
    pub(super) fn owed_to_groups(&self) -> impl Iterator<Item = u64> {
        self.timers.introducing.iter().filter_map(|(_, id)| {
            let client = self.clients.get(id.0).filter(|client| client.state == State::Open)?;
            let Some(Dialled { dial: DialId::Named(_), .. }) = client.dialled else { return None };
            let member = &self.members[client.introduction.member()?];
            let has_told = match client.introduction {
                Introduction::Complete(_) => client.exchange.as_ref()?.has_told_members,
                _ => !member.is_unmet(),
            };
            (!has_told).then_some(member.owed)
        })
    }

    /// The peers that the user named and that were never reached.
    #[must_use]
    pub fn unreached(&self) -> Vec<Unreached> {
        let unreached = self.named.iter().filter(|dial| dial.is_unreached());
        unreached.map(|dial| Unreached { name: Rc::clone(dial.name()), is_dialled: dial.is_open() }).collect()
    }

    /// Whether the user named peers, and none of them was ever reached.
    #[must_use]
    pub fn has_reached_nobody(&self) -> bool {
        self.named.iter().any(Dial::is_unreached) && !self.named.iter().any(Dial::was_reached)
    }

    /// Whether a member was met, or a peer that the user named was connected.
    #[must_use]
    pub fn has_reached_somebody(&self) -> bool {
        self.named.iter().any(Dial::was_reached) || self.members.iter().any(|(_, member)| !member.is_unmet())
    }

    /// Until when a peer that the user named, and that has been silent so far, may still turn out to be a
    /// slow member and no plain peer. What was sent would reach nobody else of its group.
    #[must_use]
    pub fn silence_ends(&self, now: Instant) -> Option<Instant> {
        let is_silent = |client: &&Client<S>| {
            let is_plain = client.introduction == Introduction::Plain && client.dialled.is_some();
            is_plain && client.state == State::Open && client.spoken.is_none() && !self.is_plain
        };
        let silent = self.clients.iter().map(|(_, client)| client).filter(is_silent);
        let ends = silent.map(|client| client.since + SILENCE);
        ends.filter(|at| now < *at).max()
    }

    /// A connection turned out to lead to ourselves.
    pub(super) fn handle_oneself(&mut self, id: ClientId, dial: DialId, now: Instant) {
        let address = self.clients[id.0].address;
        match dial {
            DialId::Named(index) => {
                self.named[index].handle_oneself();
                self.notices.push_back(Notice::Oneself { peer: Rc::clone(self.named[index].name()) });
            }
            DialId::Member(key) => self.handle_wrong_address(key, address, now),
        }
        self.set_state(id, State::Ended);
    }

    /// The connection that we dialled from `local` to `remote`, if there is one.
    pub(super) fn dialled_from(&self, local: SocketAddr, remote: SocketAddr) -> Option<(ClientId, DialId)> {
        // Most who accept many have dialled nobody.
        if self.named.is_empty() && self.members.is_empty() {
            return None;
        }
        self.clients.iter().find_map(|(key, client)| {
            let dialled = client.dialled.filter(|dialled| dialled.local == local)?;
            let is_it = client.address == remote && client.state != State::Ended;
            is_it.then_some((ClientId(key), dialled.dial))
        })
    }

    pub(super) fn dial_mut(&mut self, id: DialId) -> Option<&mut Dial> {
        dial_mut(&mut self.named, &mut self.members, id)
    }
}

/// A dial, unless its member is forgotten.
fn dial_mut<'a>(named: &'a mut [Dial], members: &'a mut Members, id: DialId) -> Option<&'a mut Dial> {
    match id {
        DialId::Named(index) => named.get_mut(index),
        DialId::Member(key) => members.get_mut(key).map(|member| &mut member.dial),
    }
}
