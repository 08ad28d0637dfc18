//! The table of members, with the numbers of the messages that each pair has exchanged, and the tombstones of former
//! members.
//!
//! A member is a run of the program that finished a handshake here, or that such a member reported. The table
//! decides nothing; the [`Group`](super::Group) does.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::SocketAddr;
use std::ops::{Index, IndexMut};
use std::rc::Rc;
use std::time::Instant;

use blake2::{Blake2s256, Digest as _};

use super::event::PeerInfo;
use super::ids::{ClientId, MemberKey, TargetId};
use super::label::Label;
use super::private_queue::PrivateQueue;
use super::sequence::{RecvState, SendState};
use crate::limits::{
    ACK_INTERVAL, DIAL_TIMEOUT, JOIN_MARKS_MAX, MEMBERS_MAX, REPORTS_INTERVAL, REPORTS_MAX, TOMBSTONES_MAX,
};
use crate::wire::hello::{BUCKETS, Digest};
use crate::wire::identity::{Identity, MemberId, Token};

/// Whether a member is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// It was never met: another member reported it.
    Unmet,
    /// It was met and is connected.
    Here,
    /// It was met, and its connection ended without a goodbye.
    Lost {
        /// When it ended.
        since: Instant,
    },
}

/// One member.
///
/// Invariant: a connection is in `links` while it is established. A member that is here has a link, unless we are
/// leaving.
#[derive(Debug)]
pub(super) struct Member {
    pub id: MemberId,
    pub identity: Identity,
    pub name: Rc<str>,
    /// How many names it had before, so that an older one that arrives late is passed over; `None` while the name is
    /// what others report.
    pub name_version: Option<u64>,
    /// The name as it is shown here, with a mark if another present peer has a like name.
    pub shown: Label,
    pub presence: Presence,
    /// Its established connections, the oldest first. Nearly always one.
    pub links: Vec<ClientId>,
    pub target: TargetId,
    /// The address where it was met last.
    pub address: Option<SocketAddr>,
    /// When a member was last connected to it, as far as is known: we, or one that reported it.
    pub vouched_at: Instant,
    /// The member that reported that.
    pub vouched_by: Option<MemberKey>,
    /// Whether somebody reported that it is connected, and not only that it was.
    pub was_vouched: bool,
    /// Set if it was on the first list of members: until then, messages that were sent before are kept for it.
    pub awaited_until: Option<Instant>,
    /// Our messages to it, and its messages to us.
    pub send: SendState,
    pub recv: RecvState,
    pub private: PrivateQueue,
    /// The number of its next message at times when others became known. The members with keys below that of an
    /// entry, and not below that of the entry before, belong to the group since its message of this number.
    marks: VecDeque<(MemberKey, u64)>,
    /// Its token, once it has sent that: it leaves, and its last messages may still arrive.
    pub token: Option<Token>,
    /// Whether news of it is sent once it is met: it belongs to a group that we joined, and the others do not know it.
    pub is_to_introduce: bool,
    ack_sent_at: Option<Instant>,
    pub is_ack_due: bool,
    reports_left: usize,
    reports_renewed: Instant,
}

impl Member {
    pub fn info(&self) -> PeerInfo {
        PeerInfo { name: self.shown.clone(), id: Some(self.id), address: self.address }
    }

    pub fn is_here(&self) -> bool {
        self.presence == Presence::Here
    }

    pub fn is_unmet(&self) -> bool {
        self.presence == Presence::Unmet
    }

    /// Changes its name.
    pub fn set_name(&mut self, name: &str) {
        self.name = name.into();
        self.shown = Label::from(name);
    }

    /// Whether some of its history has not arrived yet.
    pub fn is_catching_up(&self) -> bool {
        self.is_here() && (self.recv.next().is_none() || self.recv.is_catching_up())
    }

    /// Whether it may report one more member now, which then counts against its limit.
    pub fn may_report(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.reports_renewed) >= REPORTS_INTERVAL {
            (self.reports_renewed, self.reports_left) = (now, REPORTS_MAX);
        }
        let may = self.reports_left > 0;
        self.reports_left -= usize::from(may);
        may
    }

    /// When an acknowledgement is to be sent, unless one is due already: at most one in [`ACK_INTERVAL`].
    pub fn ack_due(&mut self, now: Instant) -> Option<Instant> {
        let is_new = !std::mem::replace(&mut self.is_ack_due, true);
        is_new.then(|| self.ack_sent_at.map_or(now, |at| now.max(at + ACK_INTERVAL)))
    }

    /// An acknowledgement is sent.
    pub fn handle_acked(&mut self, now: Instant) {
        (self.is_ack_due, self.ack_sent_at) = (false, Some(now));
    }

    /// How many of our messages before number `end` it has not received, as far as is known, private ones included.
    pub fn undelivered(&self, end: u64) -> u64 {
        self.send.missing(end) + self.private.unacked()
    }

    /// A message of it arrives, and the next member that becomes known is `next_key`.
    pub fn mark(&mut self, next_key: MemberKey) {
        let is_marked = self.marks.back().is_some_and(|(key, _)| *key == next_key);
        if let Some(next) = self.recv.next().filter(|_| !is_marked) {
            self.marks.push_back((next_key, next));
            if self.marks.len() > JOIN_MARKS_MAX {
                self.marks.pop_front();
            }
        }
    }

    /// The first of its messages that another member is owed, where the two became known here as `own` and `other`.
    pub fn base_for(&self, own: MemberKey, other: MemberKey) -> Option<u64> {
        if other < own {
            return self.recv.base();
        }
        let mark = self.marks.iter().find(|(key, _)| other < *key);
        mark.map(|(_, next)| *next).or(self.recv.next()).or(self.recv.base())
    }
}

/// The state that is kept of a former member.
#[derive(Clone, Debug)]
struct Tombstone {
    /// The token that proves that it has left.
    token: Option<Token>,
    send: SendState,
    recv: RecvState,
    private: PrivateQueue,
}

/// All members that are known, and the tombstones.
#[derive(Debug)]
pub(super) struct Members {
    members: BTreeMap<MemberKey, Member>,
    by_id: BTreeMap<MemberId, MemberKey>,
    next_key: u64,
    /// Members that are not connected.
    absent: BTreeSet<MemberKey>,
    tombstones: BTreeMap<MemberId, Tombstone>,
    /// Members that were never met and members that were, the oldest first.
    tombstone_order: [VecDeque<MemberId>; 2],
    own: MemberId,
    /// The digests of the ids in each bucket, as far as they are computed.
    buckets: [Option<Digest>; BUCKETS],
}

impl Members {
    /// A table without a member, of the run with the id `own`.
    pub fn new(own: MemberId) -> Self {
        Self {
            members: BTreeMap::new(),
            by_id: BTreeMap::new(),
            next_key: 0,
            absent: BTreeSet::new(),
            tombstones: BTreeMap::new(),
            tombstone_order: Default::default(),
            own,
            buckets: [None; BUCKETS],
        }
    }

    /// Whether there is no room for another member.
    pub fn is_full(&self) -> bool {
        self.members.len() >= MEMBERS_MAX
    }

    pub fn find(&self, id: MemberId) -> Option<MemberKey> {
        self.by_id.get(&id).copied()
    }

    /// The token that proves that this run has left.
    pub fn token_of(&self, id: MemberId) -> Option<Token> {
        self.tombstones.get(&id)?.token
    }

    /// The key of the next member that becomes known.
    pub fn next_key(&self) -> MemberKey {
        MemberKey(self.next_key)
    }

    /// Adds a member that was not met, as [`next_key`](Self::next_key).
    pub fn insert(&mut self, identity: Identity, name: Rc<str>, target: TargetId, now: Instant) -> MemberKey {
        let id = identity.id();
        assert!(!self.by_id.contains_key(&id) && !self.is_full(), "a member is there once, if there is room");
        let key = self.next_key();
        self.next_key += 1;
        let known = self.tombstones.get(&id).filter(|tombstone| tombstone.token.is_none()).cloned();
        let Tombstone { send, recv, private, .. } = known.unwrap_or_else(|| Tombstone {
            token: None,
            send: SendState::default(),
            recv: RecvState::default(),
            private: PrivateQueue::default(),
        });
        let member = Member {
            id,
            identity,
            shown: Label::from(&*name),
            name,
            name_version: None,
            presence: Presence::Unmet,
            links: Vec::new(),
            target,
            address: None,
            vouched_at: now,
            vouched_by: None,
            was_vouched: false,
            awaited_until: None,
            send,
            recv,
            private,
            marks: VecDeque::new(),
            token: None,
            is_to_introduce: false,
            ack_sent_at: None,
            is_ack_due: false,
            reports_left: REPORTS_MAX,
            reports_renewed: now,
        };
        self.members.insert(key, member);
        self.by_id.insert(id, key);
        self.absent.insert(key);
        self.buckets[bucket_of(id)] = None;
        key
    }

    /// Removes a member. Its tombstone keeps its numbers, and `token`, which proves that it has left.
    pub fn remove(&mut self, key: MemberKey, token: Option<Token>) -> Option<Member> {
        let member = self.members.remove(&key)?;
        self.by_id.remove(&member.id);
        self.absent.remove(&key);
        self.buckets[bucket_of(member.id)] = None;
        let mut private = member.private.clone();
        private.forget();
        let (send, recv) = (member.send.clone(), member.recv.clone());
        self.bury(member.id, Tombstone { token, send, recv, private });
        Some(member)
    }

    fn bury(&mut self, id: MemberId, tombstone: Tombstone) {
        let was_met = tombstone.token.is_some() || tombstone.recv.next().is_some();
        if self.tombstones.insert(id, tombstone).is_some() {
            self.tombstone_order.iter_mut().for_each(|order| order.retain(|known| *known != id));
        }
        self.tombstone_order[usize::from(was_met)].push_back(id);
        if self.tombstones.len() > TOMBSTONES_MAX {
            // Anybody can report members that were never met.
            let oldest = self.tombstone_order.iter_mut().find_map(VecDeque::pop_front);
            oldest.map(|oldest| self.tombstones.remove(&oldest));
        }
    }

    /// Changes the presence of a member.
    pub fn set_presence(&mut self, key: MemberKey, presence: Presence) {
        self[key].presence = presence;
        match presence {
            Presence::Here => self.absent.remove(&key),
            Presence::Unmet | Presence::Lost { .. } => self.absent.insert(key),
        };
    }

    pub fn iter(&self) -> impl Iterator<Item = (MemberKey, &Member)> {
        self.members.iter().map(|(key, member)| (*key, member))
    }

    pub fn get(&self, key: MemberKey) -> Option<&Member> {
        self.members.get(&key)
    }

    pub fn get_mut(&mut self, key: MemberKey) -> Option<&mut Member> {
        self.members.get_mut(&key)
    }

    pub fn keys(&self) -> Vec<MemberKey> {
        self.members.keys().copied().collect()
    }

    /// The members that are not connected.
    pub fn absent(&self) -> impl Iterator<Item = (MemberKey, &Member)> {
        self.absent.iter().map(|key| (*key, &self.members[key]))
    }

    /// The members of the first list that were not met yet, and whose time is not over.
    pub fn awaited(&self, now: Instant) -> impl Iterator<Item = &Member> {
        let is_awaited =
            move |member: &Member| member.is_unmet() && member.awaited_until.is_some_and(|until| now < until);
        self.absent().map(|(_, member)| member).filter(move |member| is_awaited(member))
    }

    /// Marks a member of a list that came on a link established at `since`: messages are kept for it for
    /// [`DIAL_TIMEOUT`] from then, however long a list takes.
    pub fn await_since(&mut self, key: MemberKey, since: Instant) {
        self[key].awaited_until = Some(since + DIAL_TIMEOUT);
    }

    /// The known ids whose first digit is `digit`, our own included, in order.
    pub fn ids_in(&self, digit: usize) -> Vec<MemberId> {
        let first = MemberId((digit as u128) << 124);
        let last = MemberId(first.0 | (u128::MAX >> 4));
        let mut ids: Vec<_> = self.by_id.range(first..=last).map(|(id, _)| *id).collect();
        if bucket_of(self.own) == digit {
            ids.push(self.own);
            ids.sort_unstable();
        }
        ids
    }

    /// The digests of the sixteen buckets.
    pub fn buckets(&mut self) -> [Digest; BUCKETS] {
        std::array::from_fn(|digit| {
            let known = self.buckets[digit];
            let digest =
                known.unwrap_or_else(|| digest_of(self.ids_in(digit).iter().map(|id| id.0.to_be_bytes())));
            *self.buckets[digit].insert(digest)
        })
    }

    /// The digest of all ids.
    pub fn digest(&mut self) -> Digest {
        digest_of(self.buckets().iter().map(|bucket| bucket.to_be_bytes()))
    }
}

/// The first digit of an id.
pub(super) fn bucket_of(id: MemberId) -> usize {
    (id.0 >> 124) as usize
}

/// The first eight bytes of BLAKE2s-256. (An exclusive or could be steered by choosing ids.)
fn digest_of<T: AsRef<[u8]>>(parts: impl Iterator<Item = T>) -> Digest {
    let mut hash = Blake2s256::new();
    parts.for_each(|part| hash.update(part));
    let hash = hash.finalize();
    Digest::from_be_bytes(*hash.first_chunk().expect("a digest of 32 bytes"))
}

impl Index<MemberKey> for Members {
    type Output = Member;

    fn index(&self, key: MemberKey) -> &Member {
        &self.members[&key]
    }
}

impl IndexMut<MemberKey> for Members {
    fn index_mut(&mut self, key: MemberKey) -> &mut Member {
        self.members.get_mut(&key).expect("a member that is known")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::dialer::Dialer;
    use crate::protocol::target::Peer;
    use crate::wire::hello::Start;
    use crate::wire::identity::PublicKey;

    fn identity(run: u64) -> Identity {
        Identity { key: PublicKey([7; 32]), run, nonce: Token(7).nonce() }
    }

    fn id(run: u64) -> MemberId {
        identity(run).id()
    }

    fn table(runs: impl IntoIterator<Item = u64>) -> Members {
        let mut members = Members::new(MemberId(1 << 127));
        let mut dialer = Dialer::new(fastrand::Rng::with_seed(1));
        for run in runs {
            let peer = Peer { name: "x".into(), addresses: Vec::new() };
            let target = dialer.add_member(members.next_key(), peer);
            members.insert(identity(run), "x".into(), target, Instant::now());
        }
        members
    }

    #[test]
    fn those_who_know_the_same_members_have_the_same_digest_and_others_differ_in_a_bucket() {
        let mut one = table(0..200);
        let mut other = table((0..200).rev());
        assert_eq!(one.digest(), other.digest());
        let key = other.find(id(90)).expect("it is known");
        other.remove(key, None);
        assert_ne!(one.digest(), other.digest());
        let differs = |digit: &usize| one.buckets()[*digit] != other.buckets()[*digit];
        let differing: Vec<_> = (0..BUCKETS).filter(differs).collect();
        let bucket = bucket_of(id(90));
        assert_eq!(differing, [bucket]);
        assert_eq!(one.ids_in(bucket).len(), other.ids_in(bucket).len() + 1);
        assert!(one.ids_in(8).contains(&MemberId(1 << 127)), "our own id counts");
    }

    #[test]
    fn tombstones_keep_numbers_and_have_a_limit() {
        let mut members = table([3]);
        let key = members.find(id(3)).expect("it is known");
        members[key].recv = RecvState::of_all();
        members[key].recv.receive(0);
        let target = members.remove(key, None).expect("it is known").target;
        let again = members.insert(identity(3), "x".into(), target, Instant::now());
        assert_eq!(members[again].recv.next(), Some(1));
        assert!(again > key);
        members.remove(again, Some(Token(4)));
        assert_eq!(members.token_of(id(3)), Some(Token(4)));
        for run in 10..10 + TOMBSTONES_MAX as u64 {
            let key = members.insert(identity(run), "x".into(), target, Instant::now());
            members.remove(key, Some(Token(4)));
        }
        assert_eq!((members.token_of(id(3)), members.tombstones.len()), (None, TOMBSTONES_MAX));
    }

    #[test]
    fn members_that_were_never_met_push_out_no_tombstone_of_one_that_was() {
        let mut members = table([3]);
        let key = members.find(id(3)).expect("it is known");
        let target = members.remove(key, Some(Token(4))).expect("it is known").target;
        for run in 10..10 + 2 * TOMBSTONES_MAX as u64 {
            let key = members.insert(identity(run), "x".into(), target, Instant::now());
            members[key].recv.learn_base(5);
            members.remove(key, None);
        }
        assert_eq!((members.token_of(id(3)), members.tombstones.len()), (Some(Token(4)), TOMBSTONES_MAX));
    }

    #[test]
    fn a_member_that_was_only_reported_is_owed_the_same_when_it_is_reported_again() {
        let mut members = table([3]);
        let key = members.find(id(3)).expect("it is known");
        members[key].send.set_base(2);
        let target = members.remove(key, None).expect("it is known").target;
        let again = members.insert(identity(3), "x".into(), target, Instant::now());
        members[again].send.set_base(9);
        assert_eq!(members[again].send.base(), Some(2));
    }

    #[test]
    fn acknowledgements_are_few() {
        let (mut members, now) = (table([3]), Instant::now());
        let key = members.find(id(3)).expect("it is known");
        let member = &mut members[key];
        assert_eq!((member.ack_due(now), member.ack_due(now)), (Some(now), None));
        member.handle_acked(now);
        assert_eq!(member.ack_due(now), Some(now + ACK_INTERVAL));
    }

    #[test]
    fn a_newcomer_is_owed_what_was_sent_since_it_became_known() {
        let (mut members, keys) = (table([3]), |number| MemberKey(number));
        let own = members.find(id(3)).expect("it is known");
        let member = &mut members[own];
        member.recv.start(Start { from: 4, history_end: 5 });
        // (the next key, and how many messages come then)
        for (next_key, count) in [(1, 2), (3, 1), (3, 2), (6, 1)] {
            for _ in 0..count {
                member.mark(keys(next_key));
                member.recv.receive(member.recv.next().expect("it has started"));
            }
        }
        let base: Vec<_> = (1..8).map(|other| member.base_for(own, keys(other))).collect();
        assert_eq!(base, [6, 6, 9, 9, 9, 10, 10].map(Some));
        let elder = &members[own];
        assert_eq!(elder.base_for(keys(9), own), Some(5), "a member that was here before is owed all");
    }
}
