//! What the user asks of the group: who is there, who is meant, who has what; and one more to connect to.

use std::net::SocketAddr;
use std::time::Instant;

use super::{Client, ClientId, Dial, Dialled, Group, Introduction, MemberKey, Peer, State, Who};
use crate::limits::NAMED_MAX;
use crate::protocol::label::Label;
use crate::protocol::member::{Member, Presence};
use crate::protocol::recipient::{self, Attendance, Candidate, Extent};
use crate::protocol::roster::{Connecting, Dialler, NotFound, Participant, Standing};

impl<S> Group<S> {
    /// Everybody who takes part, or should, by name.
    #[must_use]
    pub fn roster(&self) -> Vec<Participant> {
        let is_known = |member: &Member| !member.is_unmet() || !member.dial.addresses().is_empty();
        let members = self.members.iter().filter(|(_, member)| is_known(member));
        let members = members.map(|(key, member)| self.of_member(key, member));
        let plain = self.plain_clients().map(|(id, client)| self.of_plain(id, client));
        let named = self.named.iter().filter_map(of_named);
        let mut roster: Vec<_> = members.chain(plain).chain(named).collect();
        roster.sort_by(|one, other| one.who.name.cmp(&other.who.name));
        roster
    }

    fn of_member(&self, key: MemberKey, member: &Member) -> Participant {
        let link = self.best_link(key).map(|id| &self.clients[id.0]);
        let (standing, since) = match member.presence {
            Presence::Here => (Standing::Here, link.map(|link| link.since)),
            Presence::Lost { since } => (Standing::Lost, Some(since)),
            Presence::Unmet { .. } => (Standing::Unmet, None),
        };
        let who = Who { address: member.dial.addresses().first().copied(), ..member.who() };
        let retry = if member.is_here() { None } else { member.dial.retry() };
        let behind = if member.is_unmet() { 0 } else { self.behind_by(member) };
        Participant { who, standing, dialled: link.map(dialler), since, behind, retry }
    }

    /// How many of our messages a member is not known to have.
    fn behind_by(&self, member: &Member) -> u64 {
        self.log.next_number().saturating_sub(member.has) + member.private.kept_count()
    }

    fn plain_clients(&self) -> impl Iterator<Item = (ClientId, &Client<S>)> {
        let clients = self.clients.iter().map(|(slot, client)| (ClientId(slot), client));
        clients
            .filter(|(_, client)| client.state == State::Open && client.introduction == Introduction::Plain)
    }

    fn of_plain(&self, id: ClientId, client: &Client<S>) -> Participant {
        let behind = self.log.next_number() - client.next_message(&self.log);
        Participant {
            who: self.plain_who(id),
            standing: Standing::Plain,
            dialled: Some(dialler(client)),
            since: Some(client.since),
            behind,
            retry: None,
        }
    }

    /// Who is meant by the name with which `words` begin, and what stands behind it.
    ///
    /// # Errors
    ///
    /// Why nobody is meant.
    pub fn find<'a>(&self, words: &'a str) -> Result<(Who, &'a str), NotFound> {
        self.find_within(words, Extent::Start)
    }

    /// Who is meant by `name`, behind which nothing stands.
    ///
    /// # Errors
    ///
    /// Why nobody is meant.
    pub fn find_named(&self, name: &str) -> Result<Who, NotFound> {
        self.find_within(name, Extent::Whole).map(|(who, _)| who)
    }

    fn find_within<'a>(&self, words: &'a str, extent: Extent) -> Result<(Who, &'a str), NotFound> {
        let members = self.members.iter().filter(|(_, member)| !member.is_unmet());
        let members = members.map(|(_, member)| Candidate {
            who: member.who(),
            attendance: if member.is_here() { Attendance::Here } else { Attendance::Lost },
        });
        let plain = self.plain_clients();
        let plain = plain.map(|(id, _)| Candidate { who: self.plain_who(id), attendance: Attendance::Here });
        let former = self.former_names.iter();
        let former =
            former.map(|(who, fate)| Candidate { who: who.clone(), attendance: Attendance::Former(*fate) });
        let all: Vec<_> = members.chain(plain).chain(former).collect();
        recipient::find(words, &all, extent).map_err(|why| {
            let own = Who { name: self.writer.name().into(), id: Some(self.id), address: None };
            let own = Candidate { who: own, attendance: Attendance::Here };
            let is_own = matches!(why, NotFound::Nobody | NotFound::Former { .. })
                && recipient::find(words, &[own], extent).is_ok();
            if is_own { NotFound::Oneself } else { why }
        })
    }

    /// Those who are not known to have all that was said: of members, and of peers that the user named.
    /// A plain peer has what was written to it.
    #[must_use]
    pub fn still_owed(&self) -> Vec<Who> {
        self.owed(|_| true)
    }

    /// Whether one of them is a member or a peer that the user named, and not just somebody who is connected.
    #[must_use]
    pub fn awaits_known(&self) -> bool {
        !self.owed(|client| client.dialled.is_some()).is_empty()
    }

    /// The peers that are not known to have all messages; of connections without a member, those that `counts`.
    fn owed(&self, counts: impl Fn(&Client<S>) -> bool) -> Vec<Who> {
        let lacks = |member: &Member| !member.is_unmet() && self.behind_by(member) > 0;
        let members = self.members.iter().filter(|(_, member)| lacks(member)).map(|(_, member)| member.who());
        let is_unknown = |client: &Client<S>| client.introduction.member().is_none();
        let clients =
            self.clients.iter().filter(|(_, client)| client.state == State::Open && is_unknown(client));
        let clients = clients.filter(|(_, client)| client.is_behind(&self.log) && counts(client));
        let clients = clients.map(|(slot, _)| self.plain_who(ClientId(slot)));
        let named = self.named.iter().filter_map(of_named).map(|one| one.who);
        members.chain(clients).chain(named).collect()
    }

    /// The user names one more peer. Unless it turns out to be a member, it is sent what is said from
    /// now on.
    pub fn connect(&mut self, peer: Peer, now: Instant) -> Connecting {
        let is_it = |address: &SocketAddr| peer.addresses.contains(address);
        let there = self
            .members
            .iter()
            .find(|(_, member)| !member.is_unmet() && member.dial.addresses().iter().any(is_it));
        if let Some((key, member)) = there {
            if member.is_here() {
                return Connecting::Connected(member.who());
            }
            self.members[key].dial.hurry(now);
            self.timers.handle_dials_changed();
            return Connecting::Dialling;
        }
        if let Some((id, _)) =
            self.plain_clients().find(|(_, client)| client.dialled.is_some() && is_it(&client.address))
        {
            return Connecting::Connected(self.plain_who(id));
        }
        self.timers.handle_dials_changed();
        let (next_message, is_full) = (self.log.next_number(), self.named.len() >= NAMED_MAX);
        let known = self.named.iter_mut().find(|dial| dial.addresses().iter().any(is_it));
        match known {
            Some(dial) if dial.is_open() => {
                dial.hurry(now);
                Connecting::Dialling
            }
            Some(dial) => {
                *dial = Dial::new(peer, now, next_message);
                Connecting::Begun
            }
            None if is_full => Connecting::Full,
            None => {
                self.named.push(Dial::new(peer, now, next_message));
                Connecting::Begun
            }
        }
    }
}

fn dialler<S>(client: &Client<S>) -> Dialler {
    match client.dialled {
        Some(Dialled { .. }) => Dialler::We,
        None => Dialler::It,
    }
}

/// A peer that the user named, unless it was reached.
fn of_named(dial: &Dial) -> Option<Participant> {
    let retry = Some(dial.retry()?);
    let (name, address) = (Label::of_place(&**dial.name()), dial.addresses().first().copied());
    let who = Who { name, id: None, address };
    Some(Participant { who, standing: Standing::Named, dialled: None, since: None, behind: 0, retry })
}
