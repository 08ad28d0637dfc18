//! Dialling: which target is dialled next, at which address, and when.
//!
//! The dialer opens no connection. [`Dialer::poll`] returns the next attempt, and its caller reports the result.
//!
//! An address that a member reports may be wrong, or a victim's. So an address where nobody was met is **unproven**: it
//! is dialled once at a time, its host at most [`UNPROVEN_DIALS_MAX`] times at once, and the dials that fail there are
//! limited ([`HOST_DIALS_BURST`], [`HOST_DIALS_PER_SECOND`]), whatever members are reported to be there.
//!
//! The back-off after a failure is in `Target::wait`: a random part of a whole that doubles from [`RETRY_MIN`] to
//! [`RETRY_MAX`]. It is reset by a connection that was up for [`RETRY_RESET_TIME`] and brought a valid frame, and by a
//! member that acknowledges messages of ours. A connection that ends sooner is a failure like any other.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::{Index, IndexMut};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::connection::ClientId;
use super::members::MemberKey;
use super::roster::Retry;
use super::visitors::Host;
use crate::limits::{
    ADDRESSES_MAX, DIAL_TIMEOUT, DIALS_MAX, DIALS_UNMET_MAX, HOST_DIALS_BURST, HOST_DIALS_PER_SECOND,
    MEMBER_ADDRESSES_MAX, RETRY_MAX, RETRY_MIN, RETRY_RESET_TIME, UNPROVEN_DIALS_MAX,
};
use crate::wire::frame::Framing;

/// A peer to be dialled, and its possible addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The peer as the user wrote it, or its own name.
    pub name: Rc<str>,
    /// In the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
}

/// The id of a target. It is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct TargetId(u64);

/// The reason why a target is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedBy {
    /// The user named it.
    User,
    /// It is a member, which connected here or which another one reported.
    Member(MemberKey),
}

/// A possible address of a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    address: SocketAddr,
    /// The target was met there.
    is_found: bool,
    /// The last attempt there failed.
    has_failed: bool,
    /// From which host we were told of it, if we were.
    reported_from: Option<Host>,
}

impl Place {
    fn new(address: SocketAddr, reported_from: Option<Host>) -> Self {
        Self { address, is_found: false, has_failed: false, reported_from }
    }
}

/// A peer to be reached.
///
/// An attempt tries all addresses in turn and takes at most [`DIAL_TIMEOUT`]; each address has an equal share of the
/// rest of that time.
#[derive(Debug)]
pub struct Target {
    name: Rc<str>,
    places: Vec<Place>,
    wanted_by: WantedBy,
    state: State,
    reach: Reach,
    /// It is connected, or was connected and sent something.
    was_reached: bool,
    /// It has sent a frame.
    has_answered: bool,
    /// It is a member, so that nothing at its addresses is taken for a plain peer.
    pub is_member: bool,
    /// The number of the last attempt that was made for it.
    number: u64,
    /// Since when it is connected.
    connected_at: Option<Instant>,
    failures: u32,
    /// The framing of the last frame that a plain peer there has sent.
    pub framing: Option<Framing>,
    /// The number of the first message that was not sent to this peer.
    pub next_message: u64,
    /// Connections that were dialled for it and whose handshake is not finished.
    pub attempts: Vec<ClientId>,
}

/// The state of the current attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// An attempt is to begin at a time.
    Due { at: Instant },
    /// The next address of this attempt is to be tried now; the last of `rest` is the next.
    Next { rest: Vec<SocketAddr>, attempt_ends: Instant },
    /// An address is being tried.
    Trying { address: SocketAddr, rest: Vec<SocketAddr>, attempt_ends: Instant },
    /// Connected, or not to be dialled before it is [woken](Target::wake).
    Connected,
    /// The peer that the user named is this member, which has a target of its own.
    Met(MemberKey),
    /// Not to be dialled any more.
    Over,
    /// Not to be dialled any more, by the user's `/disconnect`.
    Withdrawn,
}

/// The result of the attempts so far, which decides whether the user is shown a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The first attempt has not ended.
    Untried,
    /// An attempt has failed since it was last connected.
    Failing,
    /// It was connected, and no attempt has failed since.
    Reached,
}

impl Target {
    fn new(peer: Peer, wanted_by: WantedBy, state: State, next_message: u64) -> Self {
        let places = peer.addresses.into_iter().take(ADDRESSES_MAX);
        let places = places.map(|address| Place::new(address, None));
        Self {
            name: peer.name,
            places: places.collect(),
            wanted_by,
            state,
            reach: Reach::Untried,
            was_reached: false,
            has_answered: false,
            is_member: matches!(wanted_by, WantedBy::Member(_)),
            number: 0,
            connected_at: None,
            failures: 0,
            framing: None,
            next_message,
            attempts: Vec::new(),
        }
    }

    /// The peer as the user named it, or its own name.
    #[must_use]
    pub fn name(&self) -> &Rc<str> {
        &self.name
    }

    /// The reason why it is dialled.
    #[must_use]
    pub fn wanted_by(&self) -> WantedBy {
        self.wanted_by
    }

    /// Its possible addresses, the best one first.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.places.iter().map(|place| place.address)
    }

    /// The addresses where it was met, the last one first.
    pub fn found(&self) -> impl Iterator<Item = SocketAddr> {
        self.places.iter().filter(|place| place.is_found).map(|place| place.address)
    }

    /// Whether `address` is one of its possible addresses.
    #[must_use]
    pub fn has(&self, address: SocketAddr) -> bool {
        self.addresses().any(|known| known == address)
    }

    /// Whether it is not known to be at `address`: others told of that.
    fn is_unproven(&self, address: SocketAddr) -> bool {
        self.wanted_by != WantedBy::User && !self.found().any(|found| found == address)
    }

    /// It was met at `address`.
    pub fn find(&mut self, mut address: SocketAddr) {
        address.set_ip(address.ip().to_canonical());
        self.places.retain(|known| known.address != address);
        self.places.insert(0, Place { is_found: true, ..Place::new(address, None) });
        self.places.truncate(ADDRESSES_MAX);
    }

    /// Adds a possible address, which a member on a host reported, or the user. If there are too many, one that failed
    /// is removed for it. One host has no more than half of the room, so that another always has some.
    pub fn learn(&mut self, mut address: SocketAddr, reported_from: Option<Host>) {
        address.set_ip(address.ip().to_canonical());
        if self.has(address) {
            return;
        }
        let is_same_host = |place: &Place| reported_from.is_some() && place.reported_from == reported_from;
        let has_its_share =
            self.places.iter().filter(|place| is_same_host(place)).count() >= MEMBER_ADDRESSES_MAX / 2;
        if has_its_share || self.places.len() >= MEMBER_ADDRESSES_MAX {
            let is_free = |place: &Place| {
                place.has_failed && !place.is_found && (is_same_host(place) || !has_its_share)
            };
            let Some(index) = self.places.iter().rposition(is_free) else { return };
            self.places.remove(index);
        }
        self.places.push(Place::new(address, reported_from));
    }

    /// Removes an address, where another peer is.
    pub fn unlearn(&mut self, address: SocketAddr) {
        self.places.retain(|known| known.address != address);
    }

    /// Whether the first attempt has not ended. Until then input and exit wait for it.
    #[must_use]
    pub fn is_first_attempt(&self) -> bool {
        self.reach == Reach::Untried && self.is_open()
    }

    /// Whether the peer was reached at any time. A connection that ended before the peer sent a frame does not count:
    /// it may be to the proxy of a peer that is not up yet.
    #[must_use]
    pub fn was_reached(&self) -> bool {
        self.was_reached
    }

    /// Whether it is dialled no more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        matches!(self.state, State::Over | State::Withdrawn)
    }

    /// Whether the peer is still to be met.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.is_over() && !matches!(self.state, State::Met(_))
    }

    /// When it is dialled next; `None` if it is not to be dialled.
    #[must_use]
    pub fn retry(&self) -> Option<Retry> {
        match self.state {
            State::Due { at } => Some(Retry::At(at)),
            State::Next { .. } | State::Trying { .. } => Some(Retry::Now),
            State::Connected | State::Met(_) | State::Over | State::Withdrawn => None,
        }
    }

    /// The member that the peer which the user named turned out to be.
    #[must_use]
    pub fn met(&self) -> Option<MemberKey> {
        if let State::Met(member) = self.state { Some(member) } else { None }
    }

    /// Whether the peer was never reached, and the user has not withdrawn it.
    #[must_use]
    pub fn is_unreached(&self) -> bool {
        !self.was_reached && self.state != State::Withdrawn
    }

    /// Whether `address` is what is being tried.
    #[must_use]
    pub fn is_trying(&self, address: SocketAddr) -> bool {
        matches!(self.state, State::Trying { address: tried, .. } if tried == address)
    }

    /// When [`poll`](Self::poll) returns an address.
    fn due(&self) -> Option<Instant> {
        match self.state {
            State::Due { at } => Some(at),
            State::Next { attempt_ends, .. } => attempt_ends.checked_sub(DIAL_TIMEOUT),
            State::Trying { .. } | State::Connected | State::Met(_) | State::Over | State::Withdrawn => None,
        }
    }

    /// The address that is tried next.
    fn next_address(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Next { rest, .. } => rest.last().copied(),
            State::Due { .. } => self.addresses().next(),
            State::Trying { .. } | State::Connected | State::Met(_) | State::Over | State::Withdrawn => None,
        }
    }

    /// The address to try now and how long, if it is time to. Then it is being tried.
    fn poll(&mut self, now: Instant) -> Option<(SocketAddr, Instant)> {
        let (mut rest, attempt_ends) = match &mut self.state {
            State::Due { at } if now >= *at => {
                let mut rest: Vec<_> = self.places.iter().map(|place| place.address).collect();
                rest.reverse();
                (rest, now + DIAL_TIMEOUT)
            }
            State::Next { rest, attempt_ends } => (std::mem::take(rest), *attempt_ends),
            _ => return None,
        };
        let Some(address) = rest.pop() else {
            // It rests until an address is reported.
            self.state = State::Connected;
            return None;
        };
        let share = attempt_ends.saturating_duration_since(now) / (rest.len() as u32 + 1);
        self.state = State::Trying { address, rest, attempt_ends };
        Some((address, now + share))
    }

    /// Makes it due at once, if it is due later.
    pub fn hurry(&mut self, now: Instant) {
        if let State::Due { at } = &mut self.state {
            *at = now;
        }
    }

    /// Makes it due at `at`, if it rests and there is an address.
    pub fn wake(&mut self, at: Instant) {
        if self.state == State::Connected && !self.places.is_empty() {
            self.state = State::Due { at };
        }
    }

    /// The address being tried cannot be reached. Returns whether the user is to be shown that: if it was the last
    /// address of the first attempt in a row that fails.
    fn handle_failure(&mut self, now: Instant, random: &mut fastrand::Rng) -> bool {
        let State::Trying { address, rest, attempt_ends } = &mut self.state else { return false };
        let tried = self.places.iter_mut().find(|place| place.address == *address);
        tried.into_iter().for_each(|place| place.has_failed = true);
        if !rest.is_empty() && now < *attempt_ends {
            self.state = State::Next { rest: std::mem::take(rest), attempt_ends: *attempt_ends };
            return false;
        }
        self.wait(now, random);
        let first = self.reach != Reach::Failing;
        self.reach = Reach::Failing;
        first
    }

    /// The peer is connected, whichever side dialled.
    pub fn handle_connected(&mut self, now: Instant) {
        self.was_reached = true;
        self.connected_at.get_or_insert(now);
        if !self.is_over() {
            self.state = State::Connected;
            self.reach = Reach::Reached;
        }
    }

    /// The peer that the user named is this member.
    pub fn handle_met(&mut self, member: MemberKey) {
        (self.was_reached, self.has_answered, self.is_member) = (true, true, true);
        if !self.is_over() {
            self.state = State::Met(member);
        }
    }

    /// The peer has sent a valid frame.
    pub fn handle_frame(&mut self) {
        self.has_answered = true;
    }

    /// Whether the next pause is not the shortest.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.failures > 0
    }

    /// The peer has acknowledged messages of ours: the next pause is the shortest again.
    pub fn handle_progress(&mut self) {
        self.failures = 0;
    }

    fn handle_lost(&mut self, now: Instant, random: &mut fastrand::Rng) {
        self.was_reached &= self.has_answered;
        let connected_at = self.connected_at.take();
        if self.has_answered && connected_at.is_some_and(|at| now >= at + RETRY_RESET_TIME) {
            self.failures = 0;
        }
        if !self.is_over() {
            self.wait(now, random);
        }
    }

    /// The peer is this program itself.
    pub fn handle_oneself(&mut self) {
        self.was_reached = false;
        self.give_up();
    }

    /// The peer said goodbye, or we are leaving.
    pub fn give_up(&mut self) {
        if !self.is_over() {
            self.state = State::Over;
        }
    }

    /// The user does not want to reach the peer any more.
    pub fn withdraw(&mut self) {
        self.state = State::Withdrawn;
    }

    /// Sets the back-off. The pause is a random part of a whole that doubles with every failure, so that peers that
    /// lost each other at one moment do not all dial at one moment ("full jitter").
    fn wait(&mut self, now: Instant, random: &mut fastrand::Rng) {
        let whole = RETRY_MIN.saturating_mul(1 << self.failures.min(16)).min(RETRY_MAX);
        self.failures = self.failures.saturating_add(1);
        self.state = State::Due { at: now + Duration::from_secs_f64(whole.as_secs_f64() * random.f64()) };
    }
}

/// An address to be dialled now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The target that it is dialled for.
    pub target: TargetId,
    /// The address.
    pub address: SocketAddr,
    /// When the attempt fails if the connection is not made.
    pub until: Instant,
    /// Which attempt it is: no other one, for any target, has its number.
    pub number: u64,
}

/// Whether a member may be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Eligible {
    /// It was met.
    Met,
    /// It was reported and never met.
    Unmet,
    /// It is not to be dialled: it is connected, or about to be.
    No,
}

/// The budget of dials to the unproven addresses of a host.
#[derive(Debug)]
struct Budget {
    dials: usize,
    left: f64,
    renewed: Instant,
}

impl Budget {
    fn new(now: Instant) -> Self {
        Self { dials: 0, left: HOST_DIALS_BURST, renewed: now }
    }

    fn renew(&mut self, now: Instant) {
        let more = now.saturating_duration_since(self.renewed).as_secs_f64() * HOST_DIALS_PER_SECOND;
        self.left = (self.left + more).min(HOST_DIALS_BURST);
        self.renewed = now;
    }

    /// When another dial is allowed; `None` if one has to end before.
    fn free_at(&self, now: Instant) -> Option<Instant> {
        if self.dials >= UNPROVEN_DIALS_MAX {
            return None;
        }
        let lacking = (1.0 - self.left).max(0.0) / HOST_DIALS_PER_SECOND;
        Some(now + Duration::from_secs_f64(lacking))
    }
}

/// All targets, and what is being dialled.
#[derive(Debug)]
pub struct Dialer {
    targets: BTreeMap<TargetId, Target>,
    /// Those that the user named.
    named: Vec<TargetId>,
    last_id: u64,
    /// Connections that are being made.
    dialing: usize,
    /// Unproven hosts that are dialled, or were lately.
    hosts: BTreeMap<Host, Budget>,
    /// Unproven addresses that are dialled, and by which attempt.
    unproven: BTreeMap<SocketAddr, u64>,
    /// The number of the last attempt.
    last_number: u64,
    /// When the next target may be dialled; `None` if that is to be computed anew.
    next: Option<Option<Instant>>,
    random: fastrand::Rng,
}

impl Dialer {
    /// A dialer without a target. `random` decides the pauses between attempts.
    #[must_use]
    pub fn new(random: fastrand::Rng) -> Self {
        Self {
            targets: BTreeMap::new(),
            named: Vec::new(),
            last_id: 0,
            dialing: 0,
            hosts: BTreeMap::new(),
            unproven: BTreeMap::new(),
            last_number: 0,
            next: None,
            random,
        }
    }

    fn add(&mut self, target: Target) -> TargetId {
        self.last_id += 1;
        let id = TargetId(self.last_id);
        self.targets.insert(id, target);
        self.next = None;
        id
    }

    /// Adds a peer that the user named, to be dialled at once and sent every message from `next_message` on.
    pub fn add_named(&mut self, peer: Peer, now: Instant, next_message: u64) -> TargetId {
        let id = self.add(Target::new(peer, WantedBy::User, State::Due { at: now }, next_message));
        self.named.push(id);
        id
    }

    /// Adds a member, which is not dialled before it is [woken](Target::wake).
    pub fn add_member(&mut self, key: MemberKey, peer: Peer) -> TargetId {
        self.add(Target::new(peer, WantedBy::Member(key), State::Connected, 0))
    }

    /// Removes a target.
    pub fn remove(&mut self, id: TargetId) -> Option<Target> {
        self.named.retain(|named| *named != id);
        self.targets.remove(&id)
    }

    /// A target, unless it was removed.
    #[must_use]
    pub fn get(&self, id: TargetId) -> Option<&Target> {
        self.targets.get(&id)
    }

    /// A target, to be changed, unless it was removed.
    pub fn get_mut(&mut self, id: TargetId) -> Option<&mut Target> {
        self.next = None;
        self.targets.get_mut(&id)
    }

    /// The peers that the user named.
    pub fn named(&self) -> impl Iterator<Item = (TargetId, &Target)> {
        self.named.iter().map(|id| (*id, &self.targets[id]))
    }

    /// The targets that the user named, to be changed.
    pub fn named_mut(&mut self) -> impl Iterator<Item = &mut Target> {
        self.next = None;
        let named = &self.named;
        self.targets.iter_mut().filter(|(id, _)| named.contains(id)).map(|(_, target)| target)
    }

    /// The next address to dial, until `None`. Peers that the user named and members that were met come first,
    /// then those that have failed least often.
    pub fn poll(&mut self, now: Instant, eligible: impl Fn(MemberKey) -> Eligible) -> Option<Attempt> {
        if self.next.is_some_and(|at| at.is_none_or(|at| now < at)) {
            return None;
        }
        self.hosts.retain(|_, budget| {
            budget.renew(now);
            budget.dials > 0 || budget.left < HOST_DIALS_BURST
        });
        loop {
            let mut later: Option<Instant> = None;
            let mut best: Option<((Eligible, u32, Instant), TargetId)> = None;
            for (&id, target) in &self.targets {
                let Some(due) = target.due() else { continue };
                let rank = match target.wanted_by {
                    WantedBy::User => Eligible::Met,
                    WantedBy::Member(key) => eligible(key),
                };
                let Some(at) = self.may_dial_at(target, rank, now) else { continue };
                let at = at.max(due);
                if at > now {
                    later = Some(later.map_or(at, |known| known.min(at)));
                    continue;
                }
                let order = (rank, target.failures, due);
                if best.is_none_or(|(known, _)| order < known) {
                    best = Some((order, id));
                }
            }
            let Some((_, id)) = best else {
                self.next = Some(later);
                return None;
            };
            let is_free = self.host_free_at(&self.targets[&id], now).is_some_and(|at| at <= now);
            let target = self.targets.get_mut(&id).expect("it was just found");
            if let Some((address, until)) = target.poll(now) {
                if !is_free {
                    target.handle_failure(now, &mut self.random);
                    continue;
                }
                self.last_number += 1;
                target.number = self.last_number;
                if target.is_unproven(address) {
                    self.unproven.insert(address, self.last_number);
                    let budget = self.hosts.entry(Host::of(address.ip())).or_insert_with(|| Budget::new(now));
                    budget.dials += 1;
                    budget.left -= 1.0;
                }
                return Some(Attempt { target: id, address, until, number: self.last_number });
            }
        }
    }

    /// When the limits allow that a target is dialled; `None` if another dial has to end before.
    fn may_dial_at(&self, target: &Target, rank: Eligible, now: Instant) -> Option<Instant> {
        let places = match rank {
            Eligible::No => return None,
            Eligible::Met => DIALS_MAX,
            Eligible::Unmet => DIALS_UNMET_MAX,
        };
        if self.dialing >= places {
            return None;
        }
        match rank {
            // Where it was met does not wait for where others say that it is: that is passed over while its host is
            // not to be dialled.
            Eligible::Met => Some(now),
            Eligible::Unmet | Eligible::No => self.host_free_at(target, now),
        }
    }

    /// When the host of the next address may be dialled for this target; `None` before a dial there has ended.
    fn host_free_at(&self, target: &Target, now: Instant) -> Option<Instant> {
        match target.next_address() {
            Some(address) if target.is_unproven(address) => {
                if self.unproven.contains_key(&address) {
                    return None;
                }
                self.hosts.get(&Host::of(address.ip())).map_or(Some(now), |budget| budget.free_at(now))
            }
            Some(_) | None => Some(now),
        }
    }

    /// A connection to the address of `attempt` is being made.
    pub fn handle_dialing(&mut self, attempt: Attempt, id: ClientId) {
        self.dialing += 1;
        self.get_mut(attempt.target).into_iter().for_each(|target| target.attempts.push(id));
    }

    /// A connection that was being made is made, or failed.
    pub fn handle_dialed(&mut self) {
        self.dialing -= 1;
        self.next = None;
    }

    /// The handshake of a connection has ended, or the connection has, which the attempt with this number made.
    /// `is_member`: a member was there.
    pub fn handle_attempt_ended(
        &mut self,
        target: TargetId,
        id: ClientId,
        address: SocketAddr,
        number: u64,
        is_member: bool,
    ) {
        if let Some(target) = self.get_mut(target) {
            target.attempts.retain(|attempt| *attempt != id);
        }
        self.free(address, number, is_member);
    }

    /// At the other end of a connection is another member than the one it was dialled for.
    pub fn move_attempt(&mut self, id: ClientId, from: TargetId, to: TargetId) {
        let mut failures = 0;
        if let Some(target) = self.get_mut(from) {
            target.attempts.retain(|attempt| *attempt != id);
            failures = target.failures;
        }
        if let Some(target) = self.get_mut(to) {
            target.attempts.push(id);
            // The back-off is that of the place, whoever is there.
            target.failures = target.failures.max(failures);
        }
    }

    /// An attempt at an address, which may have been unproven, is over. Another one at the same address may go on.
    fn free(&mut self, address: SocketAddr, number: u64, is_member: bool) {
        self.next = None;
        if self.unproven.get(&address) != Some(&number) {
            return;
        }
        self.unproven.remove(&address);
        if let Some(budget) = self.hosts.get_mut(&Host::of(address.ip())) {
            budget.dials -= 1;
            budget.left += if is_member { 1.0 } else { 0.0 };
        }
    }

    /// The address that is being tried for a target cannot be reached. Returns whether it was the last one of the
    /// first attempt.
    pub fn handle_failure(&mut self, id: TargetId, now: Instant) -> bool {
        self.next = None;
        let Some(target) = self.targets.get_mut(&id) else { return false };
        if let State::Trying { address, .. } = target.state
            && target.attempts.is_empty()
        {
            let (number, is_first) = (target.number, target.handle_failure(now, &mut self.random));
            self.free(address, number, false);
            return is_first;
        }
        target.handle_failure(now, &mut self.random)
    }

    /// The connection of a target ended without a goodbye.
    pub fn handle_lost(&mut self, id: TargetId, now: Instant) {
        self.next = None;
        if let Some(target) = self.targets.get_mut(&id) {
            target.handle_lost(now, &mut self.random);
        }
    }

    /// Something changed that may let another target be dialled.
    pub fn handle_change(&mut self) {
        self.next = None;
    }

    /// When [`poll`](Self::poll) may return an attempt; `now` if that is to be computed anew.
    #[must_use]
    pub fn deadline(&self, now: Instant) -> Option<Instant> {
        self.next.unwrap_or(Some(now))
    }
}

impl Index<TargetId> for Dialer {
    type Output = Target;

    fn index(&self, id: TargetId) -> &Target {
        &self.targets[&id]
    }
}

impl IndexMut<TargetId> for Dialer {
    fn index_mut(&mut self, id: TargetId) -> &mut Target {
        self.get_mut(id).expect("a target that is known")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn address(host: usize) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, host as u8], 5000))
    }

    fn target(addresses: usize, now: Instant) -> Target {
        let addresses = (1..=addresses).map(address).collect();
        Target::new(Peer { name: "host:5000".into(), addresses }, WantedBy::User, State::Due { at: now }, 0)
    }

    #[test]
    fn every_address_is_tried_and_the_user_is_told_once() {
        let (mut now, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
        let mut target = target(3, now);
        for attempt in 0..4 {
            for host in 1..=3 {
                assert_eq!(target.is_first_attempt(), attempt == 0);
                assert!(target.due().is_some_and(|at| at <= now));
                assert_eq!(target.poll(now).map(|(address, _)| address), Some(address(host)));
                assert!(target.is_trying(address(host)));
                assert_eq!(target.poll(now), None, "one at a time");
                assert_eq!(target.handle_failure(now, &mut random), attempt == 0 && host == 3);
            }
            assert_eq!(target.poll(now), None, "there is a pause");
            now = target.due().expect("another attempt");
        }
    }

    #[test]
    fn addresses_that_do_not_answer_share_the_time_of_one_attempt() {
        let (start, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
        let (mut now, mut target) = (start, target(4, start));
        for _ in 0..4 {
            let (_, until) = target.poll(now).expect("an address");
            assert!(until > now);
            now = until;
            target.handle_failure(now, &mut random);
        }
        assert_eq!(now, start + DIAL_TIMEOUT);
        assert!(!target.is_first_attempt());
    }

    /// The pause before the next attempt, after so many that failed: the longest of many.
    fn longest_pause(failures: u32) -> Duration {
        let now = Instant::now();
        let pauses = (0..200).map(|seed| {
            let (mut target, mut random) = (target(1, now), fastrand::Rng::with_seed(seed));
            let mut at = now;
            for _ in 0..failures {
                target.poll(at).expect("an address");
                target.handle_failure(at, &mut random);
                at = target.due().expect("another attempt");
            }
            target.poll(at).expect("an address");
            target.handle_failure(at, &mut random);
            target.due().expect("another attempt") - at
        });
        pauses.max().expect("many")
    }

    #[test]
    fn pauses_are_any_part_of_a_whole_that_doubles_up_to_its_limit() {
        for failures in 0..12 {
            let whole = RETRY_MIN.saturating_mul(1 << failures).min(RETRY_MAX);
            let longest = longest_pause(failures);
            assert!(longest <= whole && longest > whole * 9 / 10, "{longest:?} of {whole:?}");
        }
    }

    #[test]
    fn pauses_start_again_only_after_a_frame_and_a_while() {
        for (sends_a_frame, up) in [
            (false, Duration::ZERO),
            (false, RETRY_RESET_TIME),
            (true, Duration::ZERO),
            (true, RETRY_RESET_TIME),
        ] {
            let (mut now, mut random) = (Instant::now(), fastrand::Rng::with_seed(3));
            let mut target = target(1, now);
            for _ in 0..8 {
                target.poll(now).expect("an address");
                target.handle_connected(now);
                if sends_a_frame {
                    target.handle_frame();
                }
                now += up;
                target.handle_lost(now, &mut random);
                now = target.due().expect("dialled again");
            }
            assert_eq!(target.failures, if sends_a_frame && up > Duration::ZERO { 1 } else { 8 });
            target.handle_progress();
            assert!(!target.has_failed());
        }
    }

    #[test]
    fn who_never_sends_anything_was_not_reached_when_it_is_gone() {
        for answers in [false, true] {
            let now = Instant::now();
            let mut target = target(1, now);
            target.handle_connected(now);
            assert!(target.was_reached());
            if answers {
                target.handle_frame();
            }
            target.handle_lost(now, &mut fastrand::Rng::with_seed(1));
            assert_eq!((target.was_reached(), target.is_unreached()), (answers, !answers));
        }
    }

    #[test]
    fn who_is_given_up_is_left_alone() {
        let now = Instant::now();
        let mut target = target(1, now);
        target.give_up();
        target.handle_connected(now);
        target.wake(now);
        target.handle_lost(now, &mut fastrand::Rng::with_seed(1));
        assert_eq!((target.poll(now), target.due()), (None, None));
        assert!(target.is_over() && !target.is_first_attempt());
    }

    #[test]
    fn addresses_that_failed_make_room_and_those_where_it_was_met_stay() {
        let now = Instant::now();
        let mut random = fastrand::Rng::with_seed(1);
        let peer = Peer { name: "bob".into(), addresses: Vec::new() };
        let mut target = Target::new(peer, WantedBy::Member(MemberKey::FIRST), State::Connected, 0);
        target.wake(now);
        assert_eq!(target.due(), None, "there is no address");
        target.find(address(1));
        (2..=20).for_each(|host| target.learn(address(host), None));
        let known: Vec<_> = (1..=MEMBER_ADDRESSES_MAX).map(address).collect();
        assert_eq!(target.addresses().collect::<Vec<_>>(), known);
        target.wake(now);
        for _ in 0..MEMBER_ADDRESSES_MAX {
            target.poll(now).expect("an address");
            target.handle_failure(now, &mut random);
        }
        target.learn(address(30), None);
        assert!(target.has(address(1)) && target.has(address(30)) && !target.has(address(8)));
        target.find("[::ffff:127.0.0.30]:5000".parse().expect("an address"));
        assert_eq!(target.addresses().next(), Some(address(30)));
        assert_eq!(target.found().collect::<Vec<_>>(), [address(30), address(1)]);
        target.addresses().collect::<Vec<_>>().into_iter().for_each(|address| target.unlearn(address));
        target.handle_lost(now, &mut random);
        assert_eq!((target.poll(now + RETRY_MAX), target.due()), (None, None), "until somebody tells of one");
    }

    #[test]
    fn one_host_that_tells_of_addresses_leaves_room_for_another() {
        let (now, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
        let peer = Peer { name: "bob".into(), addresses: Vec::new() };
        let mut target = Target::new(peer, WantedBy::Member(MemberKey::FIRST), State::Connected, 0);
        let [liar, other] = [8, 9].map(|host| Some(Host::of(address(host).ip())));
        (11..=30).for_each(|host| target.learn(address(host), liar));
        target.learn(address(1), other);
        target.wake(now);
        for _ in 0..=MEMBER_ADDRESSES_MAX / 2 {
            target.poll(now).expect("an address");
            target.handle_failure(now, &mut random);
        }
        (31..=50).for_each(|host| target.learn(address(host), liar));
        let known: Vec<_> = target.addresses().collect();
        assert_eq!(
            known,
            [1, 31, 32, 33, 34].map(address),
            "what failed makes room for what the same host tells"
        );
    }

    /// Dials everything that may be dialled, none of which is answered before it ends. Returns the addresses.
    fn dial_all(dialer: &mut Dialer, now: Instant) -> Vec<(Attempt, ClientId)> {
        let attempts = std::iter::from_fn(|| dialer.poll(now, |_| Eligible::Unmet)).take(1_000);
        let attempts: Vec<_> = attempts.zip((0..).map(ClientId)).collect();
        for (attempt, id) in &attempts {
            dialer.handle_dialing(*attempt, *id);
            dialer.handle_dialed();
        }
        attempts
    }

    #[test]
    fn what_is_told_of_one_host_makes_few_dials_to_it() {
        for answers in [false, true] {
            let (mut now, mut dialer) = (Instant::now(), Dialer::new(fastrand::Rng::with_seed(1)));
            for number in 0..1_000 {
                // Each a port of its own, or all the same.
                let port = if number % 2 == 0 { 5000 } else { 6000 + number };
                let addresses = vec![([10, 0, 0, 9], port).into()];
                let peer = Peer { name: "x".into(), addresses };
                let id = dialer.add_member(MemberKey::FIRST, peer);
                dialer[id].wake(now);
            }
            let mut count = 0;
            for _ in 0..100 {
                let attempts = dial_all(&mut dialer, now);
                assert!(attempts.len() <= UNPROVEN_DIALS_MAX);
                let addresses: BTreeSet<_> = attempts.iter().map(|(attempt, _)| attempt.address).collect();
                assert_eq!(addresses.len(), attempts.len(), "one at a time for each address");
                count += attempts.len();
                now += Duration::from_millis(100);
                for (attempt, id) in attempts {
                    dialer.handle_attempt_ended(attempt.target, id, attempt.address, attempt.number, answers);
                    match answers {
                        true => dialer[attempt.target].handle_connected(now),
                        false => assert!(!dialer.handle_failure(attempt.target, now) || count <= 1_000),
                    }
                }
            }
            match answers {
                false => assert!(count <= 60, "{count} dials in 10 s"),
                true => assert!(count >= 350, "members that answer cost nothing: {count}"),
            }
        }
    }

    /// The user names an address that is reported as well. However the dial for the user ends, the place of the other
    /// one stays taken until that ends itself.
    #[test]
    fn a_dial_frees_its_own_place_alone() {
        for is_connected in [false, true] {
            let (now, mut dialer) = (Instant::now(), Dialer::new(fastrand::Rng::with_seed(1)));
            let peer = || Peer { name: "x".into(), addresses: vec![address(1)] };
            let mut reported = || {
                let id = dialer.add_member(MemberKey::FIRST, peer());
                dialer[id].wake(now);
                id
            };
            let (first, _second) = (reported(), reported());
            let attempts = dial_all(&mut dialer, now);
            assert_eq!(attempts.iter().map(|(attempt, _)| attempt.target).collect::<Vec<_>>(), [first]);
            let named = dialer.add_named(peer(), now, 0);
            let attempt = dialer.poll(now, |_| Eligible::Unmet).expect("the user's");
            assert_eq!(attempt.target, named);
            if is_connected {
                dialer.handle_dialing(attempt, ClientId(9));
                dialer.handle_dialed();
                dialer.handle_attempt_ended(named, ClientId(9), attempt.address, attempt.number, false);
            }
            dialer.handle_failure(named, now);
            assert_eq!(dial_all(&mut dialer, now).len(), 0, "connected: {is_connected}");
            let (attempt, id) = attempts[0];
            dialer.handle_attempt_ended(attempt.target, id, attempt.address, attempt.number, false);
            assert_eq!(dial_all(&mut dialer, now).len(), 1);
        }
    }

    #[test]
    fn peers_that_were_met_come_before_those_that_were_told_of() {
        let (now, mut dialer) = (Instant::now(), Dialer::new(fastrand::Rng::with_seed(1)));
        let met = MemberKey::FIRST;
        let unmet = met.next();
        for (host, key) in [(1, unmet), (2, met)] {
            let peer = Peer { name: "x".into(), addresses: vec![address(host)] };
            let id = dialer.add_member(key, peer);
            dialer[id].wake(now);
        }
        let eligible = |key| if key == met { Eligible::Met } else { Eligible::Unmet };
        let order: Vec<_> = std::iter::from_fn(|| dialer.poll(now, eligible)).map(|it| it.address).collect();
        assert_eq!(order, [address(2), address(1)]);
        assert_eq!(dialer.deadline(now), None, "nothing is due before something happens");
    }
}
