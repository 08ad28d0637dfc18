//! Dialling: which target is dialled next, at which address, and when.
//!
//! The dialer opens no connection. [`Dialer::poll`] returns the next attempt, and its caller reports the result.
//!
//! An address that a member reports may be wrong, or a victim's. So an address where nobody was met is **unproven**: it
//! is dialled once at a time, its host at most [`UNPROVEN_DIALS_MAX`] times at once, and the dials that fail there are
//! limited ([`HOST_DIALS_BURST`], [`HOST_DIALS_PER_SECOND`]), whatever members are reported to be there.
//!
//! The addresses of a target and its back-off are in [`target`](super::target).

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::ops::{Index, IndexMut};
use std::time::{Duration, Instant};

use super::budget::Budget;
use super::ids::{ClientId, MemberKey, TargetId};
use super::target::{Peer, State, Target, WantedBy};
use super::visitors::Host;
use crate::limits::{
    DIALS_MAX, DIALS_UNMET_MAX, HOST_DIALS_BURST, HOST_DIALS_PER_SECOND, UNPROVEN_DIALS_MAX,
};
use crate::wire::identity::PublicKey;

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

/// The dials to the unproven addresses of a host.
#[derive(Debug)]
struct HostDials {
    dials: usize,
    budget: Budget,
}

impl HostDials {
    fn new(now: Instant) -> Self {
        Self { dials: 0, budget: Budget::new(HOST_DIALS_BURST, now) }
    }

    /// When another dial is allowed; `None` if one has to end before.
    fn free_at(&self, now: Instant) -> Option<Instant> {
        if self.dials >= UNPROVEN_DIALS_MAX {
            return None;
        }
        let lacking = (1.0 - self.budget.left()).max(0.0) / HOST_DIALS_PER_SECOND;
        Some(now + Duration::from_secs_f64(lacking))
    }
}

/// All targets, and what is being dialled.
#[derive(Debug)]
pub struct Dialer {
    targets: BTreeMap<TargetId, Target>,
    /// Each possible address of each target.
    by_address: BTreeSet<(SocketAddr, TargetId)>,
    /// Those that the user named.
    named: Vec<TargetId>,
    /// Those that the group knows.
    known: Vec<TargetId>,
    last_id: u64,
    /// Connections that are being made.
    dialing: usize,
    /// Unproven hosts that are dialled, or were lately.
    hosts: BTreeMap<Host, HostDials>,
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
            by_address: BTreeSet::new(),
            named: Vec::new(),
            known: Vec::new(),
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
        self.by_address.extend(target.addresses().map(|address| (address, id)));
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

    /// Adds a peer that the group knows, to be dialled at once and again until it is met: the member with this key, or
    /// whoever is at the addresses of an invite.
    pub fn add_known(&mut self, peer: Peer, key: Option<PublicKey>, now: Instant) {
        let id = self.add(Target::new(peer, WantedBy::Group(key), State::Due { at: now }, 0));
        self.known.push(id);
    }

    /// Adds a member, which is not dialled before it is [woken](Target::wake).
    pub fn add_member(&mut self, key: MemberKey, peer: Peer) -> TargetId {
        self.add(Target::new(peer, WantedBy::Member(key), State::Resting, 0))
    }

    /// Removes a target.
    pub fn remove(&mut self, id: TargetId) -> Option<Target> {
        self.named.retain(|named| *named != id);
        self.known.retain(|known| *known != id);
        let target = self.targets.remove(&id)?;
        target.addresses().for_each(|address| _ = self.by_address.remove(&(address, id)));
        Some(target)
    }

    /// A target was met at `address`.
    pub fn find(&mut self, id: TargetId, address: SocketAddr) {
        self.change_addresses(id, |target| target.find(address));
    }

    /// A target may be at `address`, as a member on a host reported, or the user. There is room for a few, and one that
    /// failed makes room.
    pub fn learn(&mut self, id: TargetId, address: SocketAddr, reported_from: Option<Host>) {
        if self.get(id).is_some_and(|target| !target.has(address)) {
            self.change_addresses(id, |target| target.learn(address, reported_from));
        }
    }

    /// A target is not at `address`.
    pub fn unlearn(&mut self, id: TargetId, address: SocketAddr) {
        self.change_addresses(id, |target| target.unlearn(address));
    }

    fn change_addresses(&mut self, id: TargetId, change: impl FnOnce(&mut Target)) {
        self.next = None;
        let Some(target) = self.targets.get_mut(&id) else { return };
        target.addresses().for_each(|address| _ = self.by_address.remove(&(address, id)));
        change(target);
        self.by_address.extend(target.addresses().map(|address| (address, id)));
    }

    /// The targets that may be at `address`.
    pub fn at(&self, address: SocketAddr) -> impl Iterator<Item = &Target> {
        let ids = self.by_address.range((address, TargetId(0))..=(address, TargetId(u64::MAX)));
        ids.map(|(_, id)| &self.targets[id])
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

    /// The peers that the group knows.
    pub fn known(&self) -> impl Iterator<Item = (TargetId, &Target)> {
        self.known.iter().map(|id| (*id, &self.targets[id]))
    }

    /// The peers that the user named, and those that the group knows.
    pub fn given(&self) -> impl Iterator<Item = (TargetId, &Target)> {
        self.named().chain(self.known())
    }

    /// The same, to be changed.
    pub fn given_mut(&mut self) -> impl Iterator<Item = &mut Target> {
        self.next = None;
        self.targets.values_mut().filter(|target| target.member().is_none())
    }

    /// The next address to dial, until `None`. Peers that the user named and members that were met come first,
    /// then those that have failed least often. `is_eligible`: a member may be dialled, since it is neither connected
    /// nor about to be.
    pub fn poll(&mut self, now: Instant, is_eligible: impl Fn(MemberKey) -> bool) -> Option<Attempt> {
        if self.next.is_some_and(|at| at.is_none_or(|at| now < at)) {
            return None;
        }
        self.hosts.retain(|_, host| {
            let left = host.budget.renew(HOST_DIALS_PER_SECOND, HOST_DIALS_BURST, now);
            host.dials > 0 || left < HOST_DIALS_BURST
        });
        loop {
            let mut later: Option<Instant> = None;
            let mut best: Option<((bool, u32, Instant), TargetId)> = None;
            for (&id, target) in &self.targets {
                let Some(due) = target.due() else { continue };
                if due > now {
                    later = Some(later.map_or(due, |known| known.min(due)));
                    continue;
                }
                let order = (target.is_unmet(), target.failures, due);
                if best.is_some_and(|(known, _)| known <= order) || !target.member().is_none_or(&is_eligible)
                {
                    continue;
                }
                match self.may_dial_at(target, now) {
                    Some(at) if at > now => later = Some(later.map_or(at, |known| known.min(at))),
                    Some(_) => best = Some((order, id)),
                    None => (),
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
                    target.pass_over(now, &mut self.random);
                    continue;
                }
                self.last_number += 1;
                if target.is_unproven(address) {
                    self.unproven.insert(address, self.last_number);
                    let host =
                        self.hosts.entry(Host::of(address.ip())).or_insert_with(|| HostDials::new(now));
                    host.dials += 1;
                    host.budget.spend(1.0);
                }
                return Some(Attempt { target: id, address, until, number: self.last_number });
            }
        }
    }

    /// When the limits allow that a target is dialled; `None` if another dial has to end before.
    fn may_dial_at(&self, target: &Target, now: Instant) -> Option<Instant> {
        let is_unmet = target.is_unmet();
        if self.dialing >= if is_unmet { DIALS_UNMET_MAX } else { DIALS_MAX } {
            return None;
        }
        // An address where it was met does not wait for reported ones: those are passed over while their host is not to
        // be dialled.
        if is_unmet { self.host_free_at(target, now) } else { Some(now) }
    }

    /// When the host of the next address may be dialled for this target; `None` before a dial there has ended.
    fn host_free_at(&self, target: &Target, now: Instant) -> Option<Instant> {
        match target.next_address() {
            Some(address) if target.is_unproven(address) => {
                if self.unproven.contains_key(&address) {
                    return None;
                }
                self.hosts.get(&Host::of(address.ip())).map_or(Some(now), |host| host.free_at(now))
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
        if let Some(host) = self.hosts.get_mut(&Host::of(address.ip())) {
            host.dials -= 1;
            host.budget.spend(if is_member { -1.0 } else { 0.0 });
        }
    }

    /// The connection to the address of `attempt` cannot be begun. [`handle_failure`](Self::handle_failure) follows.
    pub fn handle_not_begun(&mut self, attempt: Attempt) {
        self.free(attempt.address, attempt.number, false);
    }

    /// The address that is being tried for a target cannot be reached. Returns whether the user is to be shown that:
    /// the attempt is over, and the one before did not fail.
    pub fn handle_failure(&mut self, id: TargetId, now: Instant) -> bool {
        self.next = None;
        let target = self.targets.get_mut(&id);
        target.is_some_and(|target| target.handle_failure(now, &mut self.random))
    }

    /// The connection of a target ended without a goodbye.
    pub fn handle_lost(&mut self, id: TargetId, now: Instant) {
        self.next = None;
        if let Some(target) = self.targets.get_mut(&id) {
            target.handle_lost(now, &mut self.random);
        }
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

    /// Dials everything that may be dialled, none of which is answered before it ends. Returns the addresses.
    fn dial_all(dialer: &mut Dialer, now: Instant) -> Vec<(Attempt, ClientId)> {
        let attempts = std::iter::from_fn(|| dialer.poll(now, |_| true)).take(1_000);
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
            let attempt = dialer.poll(now, |_| true).expect("the user's");
            assert_eq!(attempt.target, named);
            if is_connected {
                dialer.handle_dialing(attempt, ClientId(9));
                dialer.handle_dialed();
                dialer.handle_attempt_ended(named, ClientId(9), attempt.address, attempt.number, false);
            } else {
                dialer.handle_not_begun(attempt);
            }
            dialer.handle_failure(named, now);
            assert_eq!(dial_all(&mut dialer, now).len(), 0, "connected: {is_connected}");
            let (attempt, id) = attempts[0];
            dialer.handle_attempt_ended(attempt.target, id, attempt.address, attempt.number, false);
            assert_eq!(dial_all(&mut dialer, now).len(), 1);
        }
    }

    /// A member has turned out not to be where it is being dialled. The next address cannot even be tried.
    #[test]
    fn a_dial_that_cannot_be_begun_frees_its_place_beside_another_connection_of_its_target() {
        let (now, mut dialer) = (Instant::now(), Dialer::new(fastrand::Rng::with_seed(1)));
        let peer = Peer { name: "x".into(), addresses: vec![address(1), address(2)] };
        let target = dialer.add_member(MemberKey::FIRST, peer);
        dialer[target].wake(now);
        let attempt = dialer.poll(now, |_| true).expect("the first address");
        dialer.handle_dialing(attempt, ClientId(9));
        dialer.handle_failure(target, now);
        let attempt = dialer.poll(now, |_| true).expect("the second address");
        dialer.handle_not_begun(attempt);
        dialer.handle_failure(target, now);
        assert!(!dialer.unproven.contains_key(&attempt.address));
        assert_eq!(dialer.hosts[&Host::of(attempt.address.ip())].dials, 0);
    }

    #[test]
    fn peers_that_were_met_come_before_those_that_others_reported() {
        let (now, mut dialer) = (Instant::now(), Dialer::new(fastrand::Rng::with_seed(1)));
        let met = MemberKey::FIRST;
        let unmet = met.next();
        for (host, key) in [(1, unmet), (2, met)] {
            let peer = Peer { name: "x".into(), addresses: vec![address(host)] };
            let id = dialer.add_member(key, peer);
            if key == met {
                dialer[id].handle_connected(now);
                dialer[id].handle_frame();
                dialer.handle_lost(id, now);
                dialer[id].hurry(now);
            }
            dialer[id].wake(now);
        }
        let order: Vec<_> = std::iter::from_fn(|| dialer.poll(now, |_| true)).map(|it| it.address).collect();
        assert_eq!(order, [address(2), address(1)]);
        assert_eq!(dialer.deadline(now), None, "nothing is due before something happens");
    }
}
