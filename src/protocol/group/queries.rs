//! Queries of the user: the roster, the peer that is meant by a name, and the peers that lack messages.

use super::*;
use crate::protocol::recipient::{self, Attendance, Candidate, Extent};
use crate::protocol::roster::{Dialler, NotFound, RosterEntry, Standing};

/// A member that was met, as the group file remembers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetMember {
    /// Its public key and its run.
    pub identity: Identity,
    /// Whether it is connected.
    pub is_here: bool,
    /// Its own name.
    pub name: Rc<str>,
    /// The addresses where it was met, the last one first.
    pub addresses: Vec<SocketAddr>,
}

impl<S> Group<S> {
    /// The members that were met and have not left.
    pub fn met_members(&self) -> impl Iterator<Item = MetMember> {
        self.members.iter().filter(|(_, member)| !member.is_unmet()).map(|(_, member)| self.as_met(member))
    }

    /// The member with this id, if it was met and has not left.
    #[must_use]
    pub fn met_member(&self, id: MemberId) -> Option<MetMember> {
        let member = &self.members[self.members.find(id)?];
        (!member.is_unmet()).then(|| self.as_met(member))
    }

    fn as_met(&self, member: &Member) -> MetMember {
        MetMember {
            identity: member.identity,
            is_here: member.is_here(),
            name: Rc::clone(&member.name),
            addresses: self.dialer[member.target].found().collect(),
        }
    }

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

    pub(super) fn of_member(&self, key: MemberKey, member: &Member) -> RosterEntry {
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
    pub(super) fn behind_by(&self, member: &Member) -> u64 {
        member.send.unacked(self.log.next_number()) + member.private.unacked()
    }

    pub(super) fn of_plain(&self, id: ClientId, client: &Client<S>) -> RosterEntry {
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

    pub(super) fn find_within<'a>(
        &self,
        words: &'a str,
        extent: Extent,
    ) -> Result<(PeerInfo, &'a str), NotFound> {
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
    pub(super) fn behind(&self, counts: impl Fn(&Client<S>) -> bool) -> Vec<PeerInfo> {
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
