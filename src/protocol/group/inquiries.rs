//! Replies to the user: the roster, recipients, and who has not received which messages; and the commands `/connect`
//! and `/msg`.

use super::*;
use crate::limits::{NAMED_MAX, PRIVATE_LOST_MAX};
use crate::protocol::recipient::{self, Attendance, Candidate, Extent};
use crate::protocol::roster::{Connecting, Dialler, NotFound, NotPrivate, RosterEntry, Standing, Unreached};

impl<S> Group<S> {
    /// The roster, sorted by name: members, plain peers, and peers that the user named and that were not reached.
    #[must_use]
    pub fn roster(&self) -> Vec<RosterEntry> {
        let is_known =
            |member: &Member| !member.is_unmet() || self.dialer[member.target].addresses().next().is_some();
        let members = self.members.iter().filter(|(_, member)| is_known(member));
        let members = members.map(|(key, member)| self.of_member(key, member));
        let plain = self.plain_clients().map(|(id, client)| self.of_plain(id, client));
        let named = self.dialer.named().filter_map(|(_, target)| of_named(target));
        let mut roster: Vec<_> = members.chain(plain).chain(named).collect();
        roster.sort_by(|one, other| one.peer.name.cmp(&other.peer.name));
        roster
    }

    fn of_member(&self, key: MemberKey, member: &Member) -> RosterEntry {
        let link = self.best_link(key).map(|id| &self.clients[id]);
        let (standing, since) = match member.presence {
            Presence::Here => (Standing::Here, link.map(|link| link.since)),
            Presence::Lost { since } => (Standing::Lost, Some(since)),
            Presence::Unmet => (Standing::Unmet, None),
        };
        let target = &self.dialer[member.target];
        let peer = PeerInfo { address: target.addresses().next(), ..member.info() };
        let retry = if member.is_here() { None } else { target.retry() };
        RosterEntry {
            peer,
            standing,
            dialled: link.map(dialler),
            since,
            behind: self.behind_by(member),
            retry,
        }
    }

    /// How many of our messages a member has not acknowledged.
    fn behind_by(&self, member: &Member) -> u64 {
        member.send.unacked(self.log.next_number()) + member.private.unacked()
    }

    fn plain_clients(&self) -> impl Iterator<Item = (ClientId, &Client<S>)> {
        self.clients.iter().filter(|(_, client)| client.phase.plain().is_some())
    }

    fn of_plain(&self, id: ClientId, client: &Client<S>) -> RosterEntry {
        RosterEntry {
            peer: self.plain_info(id),
            standing: Standing::Plain,
            dialled: Some(dialler(client)),
            since: Some(client.since),
            behind: self.log.next_number() - client.next_message(&self.log),
            retry: None,
        }
    }

    /// The peer that is meant by the name at the start of `words`, and the text behind the name.
    ///
    /// # Errors
    ///
    /// Why no peer is meant.
    pub fn find<'a>(&self, words: &'a str) -> Result<(PeerInfo, &'a str), NotFound> {
        self.find_within(words, Extent::Start)
    }

    /// The peer that is meant by `name`.
    ///
    /// # Errors
    ///
    /// Why no peer is meant.
    pub fn find_named(&self, name: &str) -> Result<PeerInfo, NotFound> {
        self.find_within(name, Extent::Whole).map(|(peer, _)| peer)
    }

    fn find_within<'a>(&self, words: &'a str, extent: Extent) -> Result<(PeerInfo, &'a str), NotFound> {
        let members = self.members.iter().filter(|(_, member)| !member.is_unmet());
        let members = members.map(|(_, member)| Candidate {
            peer: member.info(),
            attendance: if member.is_here() { Attendance::Here } else { Attendance::Lost },
        });
        let plain = self.plain_clients();
        let plain =
            plain.map(|(id, _)| Candidate { peer: self.plain_info(id), attendance: Attendance::Here });
        let former = self.former_names.iter();
        let former = former
            .map(|(peer, fate)| Candidate { peer: peer.clone(), attendance: Attendance::Former(*fate) });
        let all: Vec<_> = members.chain(plain).chain(former).collect();
        recipient::find(words, &all, extent).map_err(|why| {
            let own = PeerInfo { name: self.own.writer.name().into(), id: Some(self.own.id), address: None };
            let own = Candidate { peer: own, attendance: Attendance::Here };
            let is_own = matches!(why, NotFound::Nobody | NotFound::Former { .. })
                && recipient::find(words, &[own], extent).is_ok();
            if is_own { NotFound::Oneself } else { why }
        })
    }

    /// The peers that are not known to have received all messages: members that were met, peers that the user named,
    /// and others that are connected.
    #[must_use]
    pub fn recipients_behind(&self) -> Vec<PeerInfo> {
        self.behind(|_| true)
    }

    /// Whether one of them is a member or a peer that the user named, and not just a plain peer that dialled us.
    #[must_use]
    pub fn awaits_known(&self) -> bool {
        !self.behind(|client| client.dialled.is_some()).is_empty()
    }

    /// The peers that are not known to have received all messages; of connections without a member, those for which
    /// `counts` holds.
    fn behind(&self, counts: impl Fn(&Client<S>) -> bool) -> Vec<PeerInfo> {
        let lacks = |member: &Member| !member.is_unmet() && self.behind_by(member) > 0;
        let members =
            self.members.iter().filter(|(_, member)| lacks(member)).map(|(_, member)| member.info());
        let is_unknown = |client: &Client<S>| match &client.phase {
            Phase::Plain(_) => true,
            // It may still be a plain peer, or is one that the user named.
            Phase::Handshake(unproven) => unproven.plain_at.is_some() || self.is_to_named(client),
            Phase::Dialing { .. }
            | Phase::Member(_)
            | Phase::Closing
            | Phase::HalfClosed { .. }
            | Phase::Closed => false,
        };
        let clients = self.clients.iter().filter(|(_, client)| is_unknown(client));
        let clients = clients.filter(|(_, client)| client.is_behind(&self.log) && counts(client));
        let clients = clients.map(|(id, _)| self.plain_info(id));
        let named = self.dialer.named().filter_map(|(_, target)| of_named(target)).map(|one| one.peer);
        members.chain(clients).chain(named).collect()
    }

    /// Whether a connection was dialled because the user named the peer.
    fn is_to_named(&self, client: &Client<S>) -> bool {
        let target = client.dialled.and_then(|dialled| self.dialer.get(dialled.target));
        target.is_some_and(|target| target.wanted_by() == WantedBy::User)
    }

    /// The peers that the user named and that were never reached.
    #[must_use]
    pub fn unreached(&self) -> Vec<Unreached> {
        let unreached = self.dialer.named().map(|(_, target)| target).filter(|target| target.is_unreached());
        unreached
            .map(|target| Unreached { name: Rc::clone(target.name()), is_dialled: target.is_open() })
            .collect()
    }

    /// Whether the user named peers, and none of them was ever reached.
    #[must_use]
    pub fn has_reached_nobody(&self) -> bool {
        self.dialer.named().any(|(_, target)| target.is_unreached())
            && !self.dialer.named().any(|(_, target)| target.was_reached())
    }

    /// Whether a member was met, or a peer that the user named was connected.
    #[must_use]
    pub fn has_reached_somebody(&self) -> bool {
        self.dialer.named().any(|(_, target)| target.was_reached())
            || self.members.iter().any(|(_, member)| !member.is_unmet())
    }

    /// Adds a peer that the user names, and dials it. It is sent every message from now on.
    pub fn connect(&mut self, peer: Peer, now: Instant) -> Connecting {
        let is_there = |target: &Target| peer.addresses.iter().any(|address| target.has(*address));
        let met = self.members.iter().find(|(_, it)| !it.is_unmet() && is_there(&self.dialer[it.target]));
        if let Some((_, member)) = met {
            if member.is_here() {
                return Connecting::Connected(member.info());
            }
            self.dialer[member.target].hurry(now);
            return Connecting::Dialling;
        }
        let is_it = |client: &Client<S>| client.dialled.is_some() && peer.addresses.contains(&client.address);
        if let Some((id, _)) = self.plain_clients().find(|(_, client)| is_it(client)) {
            return Connecting::Connected(self.plain_info(id));
        }
        let known = self.dialer.named().find(|(_, target)| is_there(target)).map(|(id, _)| id);
        match known {
            Some(id) if self.dialer[id].is_open() => {
                self.dialer[id].hurry(now);
                return Connecting::Dialling;
            }
            Some(id) => {
                self.dialer.remove(id);
            }
            None if self.dialer.named().count() >= NAMED_MAX => return Connecting::Full,
            None => (),
        }
        self.dialer.add_named(peer, now, self.log.next_number());
        Connecting::Begun
    }

    /// Sends `text` to `peer` alone, now or once it is connected again.
    ///
    /// # Errors
    ///
    /// Why it cannot be sent; then no part of it was.
    pub fn send_private(
        &mut self,
        peer: &PeerInfo,
        text: &str,
        at: DateTime<FixedOffset>,
    ) -> Result<(), NotPrivate> {
        let id = peer.id.ok_or_else(|| NotPrivate::Plain(peer.clone()))?;
        let key = self.members.find(id).ok_or_else(|| NotPrivate::Gone(peer.clone()))?;
        let first = self.members[key].private.push(text, at, &self.own.writer);
        let first = first.ok_or_else(|| NotPrivate::Full(peer.clone()))?;
        if let Some(link) = self.best_link(key) {
            self.push_private(link, key, first);
        }
        Ok(())
    }

    /// Whether a member may still acknowledge a private message.
    #[must_use]
    pub fn has_private_pending(&self) -> bool {
        self.members.iter().any(|(_, member)| member.private.unacked() > 0)
    }

    /// The members that are not known to have received all private messages.
    #[must_use]
    pub fn private_undelivered(&self) -> Vec<PeerInfo> {
        let kept = self.members.iter().filter(|(_, member)| member.private.unacked() > 0);
        self.private_lost.iter().cloned().chain(kept.map(|(_, member)| member.info())).collect()
    }

    /// Records a member that is about to be removed with private messages that it did not acknowledge.
    pub(super) fn note_private_lost(&mut self, key: MemberKey) {
        if self.members[key].private.unacked() > 0 {
            self.private_lost.push_back(self.members[key].info());
            if self.private_lost.len() > PRIVATE_LOST_MAX {
                self.private_lost.pop_front();
            }
        }
    }
}

fn dialler<S>(client: &Client<S>) -> Dialler {
    if client.dialled.is_some() { Dialler::We } else { Dialler::It }
}

/// A peer that the user named, unless it was reached.
fn of_named(target: &Target) -> Option<RosterEntry> {
    let retry = Some(target.retry()?);
    let (name, address) = (Label::of_place(&**target.name()), target.addresses().next());
    let peer = PeerInfo { name, id: None, address };
    Some(RosterEntry { peer, standing: Standing::Named, dialled: None, since: None, behind: 0, retry })
}
