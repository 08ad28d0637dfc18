//! The members of the group: who they are, how they are reached, and who has what of whom.
//!
//! A member is somebody that introduced itself with a peer frame, or of whom one that did has told. It
//! decides nothing; the [`Group`](super::Group) does.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::ops::{Index, IndexMut, Range};
use std::rc::Rc;
use std::time::Instant;

use slab::Slab;

use super::client::ClientId;
use super::dial::Dial;
use super::label::Label;
use super::notice::Who;
use super::peer_frame::{MemberId, Report, Word};
use super::private::Private;
use crate::limits::{
    DIAL, FORMER_MEMBERS_MAX, HAVE_INTERVAL, MEMBER_ADDRESSES_MAX, MEMBERS_MAX, REPORTS_INTERVAL, REPORTS_MAX,
};

/// Which member: its place among those that are known. Used again once the member is forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MemberKey(usize);

#[cfg(test)]
impl MemberKey {
    pub(super) fn of_slot(slot: usize) -> Self {
        Self(slot)
    }
}

/// Whether a member is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It was never met; somebody told of it then, or it has begun to introduce itself.
    Unmet { since: Instant },
    /// It introduced itself and is connected.
    Here,
    /// It was here, and is gone without a goodbye since then.
    Lost { since: Instant },
}

/// One member.
///
/// Invariant: a connection is in `links` or in `others` as long as it is open and known to be this
/// member's. While it is here, it has one.
#[derive(Debug)]
pub(super) struct Member {
    pub id: MemberId,
    pub name: Rc<str>,
    /// How many names it had before that one, so that an older one that comes late does not count.
    pub names: u64,
    /// What it is called here; a mark is on it only while it is known to the group's names.
    pub shown: Label,
    pub presence: Presence,
    /// Its connections whose introduction is complete, the oldest first. Nearly always one.
    pub links: Vec<ClientId>,
    /// Its other connections: those being introduced, and those being closed because one is enough.
    pub others: Vec<ClientId>,
    /// The way to it, and the addresses where it may be.
    pub dial: Dial,
    /// Those where it was found, the last one first; or from where it came, with the port that it says
    /// it listens on.
    pub found_at: Vec<SocketAddr>,
    /// How many of its messages we have; `None` before it said from which on it talks to us.
    pub have: Option<u64>,
    /// Its messages that were shown before it was known to be a member.
    pub shown_early: Vec<Range<u64>>,
    /// When it was told how many we have.
    pub have_told: Option<Instant>,
    /// It will be told how many we have.
    pub will_be_told: bool,
    /// Its messages before this one are from before it knew of us.
    pub live: u64,
    /// How many of our messages it has, as it says; those it was never owed count as had.
    pub has: u64,
    /// The first of our messages that it is owed: those before are the past to it.
    pub owed: u64,
    /// The first of our messages that it was sent, once it was.
    pub sent_from: Option<u64>,
    /// Those that it did not have, and that the log no longer held when it came back for them.
    pub dropped: Dropped,
    /// What we and it say to each other alone.
    pub private: Private,
    /// What it is to show on every further connection.
    pub pass: Word,
    /// It has shown its pass.
    pub has_pass: bool,
    /// What we are to show on every further connection, and where we were given it.
    pub our_pass: Option<Word>,
    pub our_pass_from: Option<SocketAddr>,
    reports_left: usize,
    reports_renewed: Instant,
    list_told: Option<Instant>,
}

impl Member {
    /// From now on it calls itself `name`.
    pub fn set_name(&mut self, name: &str) {
        self.name = name.into();
        self.shown = Label::from(name);
    }

    /// Somebody of whom nothing is known but this. It is owed our messages from `owed` on.
    pub fn new(id: MemberId, dial: Dial, owed: u64, pass: Word, now: Instant) -> Self {
        let name = Rc::clone(dial.name());
        Self {
            id,
            shown: Label::from(&*name),
            name,
            names: 0,
            presence: Presence::Unmet { since: now },
            links: Vec::new(),
            others: Vec::new(),
            dial,
            found_at: Vec::new(),
            have: None,
            shown_early: Vec::new(),
            have_told: None,
            will_be_told: false,
            live: 0,
            has: owed,
            owed,
            sent_from: None,
            dropped: Dropped::default(),
            private: Private::default(),
            pass,
            has_pass: false,
            our_pass: None,
            our_pass_from: None,
            reports_left: REPORTS_MAX,
            reports_renewed: now,
            list_told: None,
        }
    }

    /// Who it is, for a notice.
    pub fn who(&self) -> Who {
        Who { name: self.shown.clone(), id: Some(self.id), address: self.found_at.first().copied() }
    }

    pub fn is_here(&self) -> bool {
        self.presence == Presence::Here
    }

    pub fn is_unmet(&self) -> bool {
        matches!(self.presence, Presence::Unmet { .. })
    }

    /// Whether we heard of it just now, and may meet it in a moment.
    pub fn is_soon_met(&self, now: Instant) -> bool {
        match self.presence {
            Presence::Unmet { since } => {
                let is_told_of = !self.dial.addresses().is_empty();
                now < since + DIAL && is_told_of && self.dial.is_first_attempt()
            }
            Presence::Here | Presence::Lost { .. } => false,
        }
    }

    /// Whether some of its past is still to come.
    pub fn is_catching_up(&self) -> bool {
        self.is_here() && self.have.is_some_and(|have| have < self.live)
    }

    /// Whether one more member may be learned from it.
    pub fn may_report(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.reports_renewed) >= REPORTS_INTERVAL {
            self.reports_renewed = now;
            self.reports_left = REPORTS_MAX;
        }
        let may = self.reports_left > 0;
        self.reports_left -= usize::from(may);
        may
    }

    /// When it may be told how many we have: not more than once in a while.
    pub fn have_due(&self, now: Instant) -> Instant {
        self.have_told.map_or(now, |at| now.max(at + HAVE_INTERVAL))
    }

    /// Whether it may be told of all the others: once in a while.
    pub fn may_be_told_members(&mut self, now: Instant) -> bool {
        let may = self.list_told.is_none_or(|at| now >= at + REPORTS_INTERVAL);
        if may {
            self.list_told = Some(now);
        }
        may
    }

    /// How many of our messages did not get to it, when we have said so many to everybody.
    pub fn undelivered(&self, said: u64) -> u64 {
        said.saturating_sub(self.has) + self.dropped.before(self.has) + self.private.kept_count()
    }

    /// What others are told of it.
    pub fn report(&self) -> Report {
        Report { id: self.id, addresses: self.found_at.clone(), name: self.name.to_string() }
    }

    /// It was found at `address`.
    pub fn handle_found(&mut self, mut address: SocketAddr) {
        address.set_ip(address.ip().to_canonical());
        self.dial.learn(address, true, MEMBER_ADDRESSES_MAX);
        self.found_at.retain(|known| *known != address);
        self.found_at.insert(0, address);
        self.found_at.truncate(MEMBER_ADDRESSES_MAX);
    }

    /// Whether message `number` was shown before it was known to be a member's.
    pub fn is_shown_early(&mut self, number: u64) -> bool {
        self.shown_early.retain(|shown| shown.end > number);
        self.shown_early.iter().any(|shown| shown.contains(&number))
    }

    /// How many of the messages `numbers` were not shown before it was known to be a member's.
    pub fn not_shown_early(&mut self, numbers: Range<u64>) -> u64 {
        self.shown_early.sort_unstable_by_key(|shown| shown.start);
        let (mut next, mut count) = (numbers.start, 0);
        for shown in &self.shown_early {
            count += shown.start.min(numbers.end).saturating_sub(next);
            next = next.max(shown.end.min(numbers.end));
        }
        count + (numbers.end - next)
    }
}

/// Messages that were left out when a member was told from which one on we go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Dropped {
    /// Those of which the member knows.
    known: u64,
    /// Those of which it was told last.
    told: Range<u64>,
}

impl Dropped {
    /// The member has `has`, and is told that we go on from `from`.
    pub fn tell(&mut self, has: u64, from: u64) {
        self.known = self.before(has);
        self.told = has..from.max(has);
    }

    /// How many of those that the member counts as had, when it says that it has `has`, it has not.
    fn before(&self, has: u64) -> u64 {
        let told = if has >= self.told.end { self.told.end - self.told.start } else { 0 };
        self.known + told
    }
}

/// Somebody who was a member.
#[derive(Clone, Debug)]
pub(super) struct Former {
    /// It said goodbye, and a run that did never comes back.
    pub has_left: bool,
    // As in [`Member`].
    have: Option<u64>,
    found_at: Vec<SocketAddr>,
    private: Private,
    has_pass: bool,
    our_pass: Option<Word>,
    our_pass_from: Option<SocketAddr>,
}

/// Everybody who is known.
#[derive(Debug, Default)]
pub(super) struct Members {
    members: Slab<Member>,
    by_id: BTreeMap<MemberId, MemberKey>,
    former: BTreeMap<MemberId, Former>,
    former_order: VecDeque<MemberId>,
}

impl Members {
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// Whether there is room for nobody else.
    pub fn is_full(&self) -> bool {
        self.members.len() >= MEMBERS_MAX
    }

    pub fn find(&self, id: MemberId) -> Option<MemberKey> {
        self.by_id.get(&id).copied()
    }

    /// Whether it said goodbye.
    pub fn has_left(&self, id: MemberId) -> bool {
        self.former.get(&id).is_some_and(|former| former.has_left)
    }

    /// Adds a member; `None` when there is no room.
    pub fn insert(&mut self, mut member: Member) -> Option<MemberKey> {
        if self.is_full() {
            return None;
        }
        assert!(!self.by_id.contains_key(&member.id), "a member is there once");
        if let Some(former) = self.former.get(&member.id).cloned() {
            let Former { have, found_at, private, has_pass, our_pass, our_pass_from, .. } = former;
            member = Member { have, found_at, private, has_pass, our_pass, our_pass_from, ..member };
        }
        let id = member.id;
        let key = MemberKey(self.members.insert(member));
        self.by_id.insert(id, key);
        Some(key)
    }

    /// Forgets a member, but for what must not happen twice.
    pub fn remove(&mut self, key: MemberKey, has_left: bool) -> Member {
        let member = self.members.remove(key.0);
        self.by_id.remove(&member.id);
        let Member { have, has_pass, our_pass, our_pass_from, .. } = member;
        if has_left || have.is_some() || has_pass || our_pass.is_some() {
            let found_at = member.found_at.clone();
            let mut private = member.private.clone();
            private.forget();
            let former = Former { has_left, have, found_at, private, has_pass, our_pass, our_pass_from };
            if self.former.insert(member.id, former).is_none() {
                self.former_order.push_back(member.id);
            }
            if self.former_order.len() > FORMER_MEMBERS_MAX {
                self.former_order.pop_front().map(|oldest| self.former.remove(&oldest));
            }
        }
        member
    }

    pub fn iter(&self) -> impl Iterator<Item = (MemberKey, &Member)> {
        self.members.iter().map(|(key, member)| (MemberKey(key), member))
    }

    pub fn get_mut(&mut self, key: MemberKey) -> Option<&mut Member> {
        self.members.get_mut(key.0)
    }

    pub fn keys(&self) -> Vec<MemberKey> {
        self.iter().map(|(key, _)| key).collect()
    }
}

impl Index<MemberKey> for Members {
    type Output = Member;

    fn index(&self, key: MemberKey) -> &Member {
        &self.members[key.0]
    }
}

impl IndexMut<MemberKey> for Members {
    fn index_mut(&mut self, key: MemberKey) -> &mut Member {
        &mut self.members[key.0]
    }
}
