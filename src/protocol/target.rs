//! A peer to be dialled: its addresses, the state of the current attempt, and the back-off after a failure.
//!
//! The back-off is in `Target::wait`: a random part of a whole that doubles from [`RETRY_MIN`] to [`RETRY_MAX`]. It
//! is reset by a connection that was up for [`RETRY_RESET_TIME`], if the peer has ever sent a valid frame, and by a member that
//! acknowledges messages of ours. A connection that ends sooner is a failure like any other.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::ids::{ClientId, MemberKey};
use super::roster::Retry;
use super::visitors::Host;
use crate::limits::{
    ADDRESSES_MAX, DIAL_TIMEOUT, MEMBER_ADDRESSES_MAX, RETRY_MAX, RETRY_MIN, RETRY_RESET_TIME,
};
use crate::wire::frame::Framing;
use crate::wire::identity::PublicKey;

/// A peer to be dialled, and its possible addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The peer as the user wrote it, or its own name.
    pub name: Rc<str>,
    /// In the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
}

/// The reason why a target is dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedBy {
    /// The user named it.
    User,
    /// The group knows it: the member with this public key, or whoever is at the addresses of an invite.
    Group(Option<PublicKey>),
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
    /// The host of the member that reported it, if one did.
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
    pub(super) wanted_by: WantedBy,
    pub(super) state: State,
    reach: Reach,
    /// It is connected, or was connected and sent something.
    was_reached: bool,
    /// It has sent a frame.
    has_answered: bool,
    /// Its last connection ended before it proved to be a member, and the user was shown that.
    pub was_refused: bool,
    /// It is a member, so that nothing at its addresses is taken for a plain peer.
    pub is_member: bool,
    /// Since when it is connected.
    connected_at: Option<Instant>,
    pub(super) failures: u32,
    /// The framing of the last frame that a plain peer there has sent.
    pub framing: Option<Framing>,
    /// The number of the first message that was not sent to this peer.
    pub next_message: u64,
    /// Connections that were dialled for it and whose handshake is not finished.
    pub attempts: Vec<ClientId>,
}

/// The state of the current attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// An attempt is to begin at a time.
    Due { at: Instant },
    /// The next address of this attempt is to be tried now; the last of `rest` is the next.
    Next { rest: Vec<SocketAddr>, attempt_ends: Instant },
    /// An address is being tried.
    Trying { address: SocketAddr, rest: Vec<SocketAddr>, attempt_ends: Instant },
    /// Connected, or without an address: not to be dialled before it is lost or [woken](Target::wake).
    Resting,
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
    pub(super) fn new(peer: Peer, wanted_by: WantedBy, state: State, next_message: u64) -> Self {
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
            was_refused: false,
            is_member: wanted_by != WantedBy::User,
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

    /// The member that it is, unless the user named it.
    #[must_use]
    pub fn member(&self) -> Option<MemberKey> {
        match self.wanted_by {
            WantedBy::User | WantedBy::Group(_) => None,
            WantedBy::Member(key) => Some(key),
        }
    }

    /// Whether it is a member that was never met.
    pub(super) fn is_unmet(&self) -> bool {
        self.member().is_some() && !self.was_reached
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

    /// Whether `address` was only reported by others.
    pub(super) fn is_unproven(&self, address: SocketAddr) -> bool {
        self.member().is_some() && !self.found().any(|found| found == address)
    }

    /// It was met at `address`. Only the [`Dialer`](super::dialer::Dialer) calls this method, `learn` and `unlearn`, since
    /// it has an index of all addresses.
    pub(super) fn find(&mut self, mut address: SocketAddr) {
        address.set_ip(address.ip().to_canonical());
        self.places.retain(|known| known.address != address);
        self.places.insert(0, Place { is_found: true, ..Place::new(address, None) });
        self.places.truncate(match self.wanted_by {
            WantedBy::User | WantedBy::Group(_) => ADDRESSES_MAX,
            WantedBy::Member(_) => MEMBER_ADDRESSES_MAX,
        });
    }

    /// Adds a possible address, which a member on a host reported, or the user. If there are too many, one that failed
    /// is removed for it. One host has no more than half of the room, so that another always has some.
    pub(super) fn learn(&mut self, mut address: SocketAddr, reported_from: Option<Host>) {
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
    pub(super) fn unlearn(&mut self, address: SocketAddr) {
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

    /// Whether it was neither given up nor recognised as a member with a target of its own.
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
            State::Resting | State::Met(_) | State::Over | State::Withdrawn => None,
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
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Due { at } => Some(at),
            State::Next { attempt_ends, .. } => attempt_ends.checked_sub(DIAL_TIMEOUT),
            State::Trying { .. } | State::Resting | State::Met(_) | State::Over | State::Withdrawn => None,
        }
    }

    /// The address that is tried next.
    pub(super) fn next_address(&self) -> Option<SocketAddr> {
        match &self.state {
            State::Next { rest, .. } => rest.last().copied(),
            State::Due { .. } => self.addresses().next(),
            State::Trying { .. } | State::Resting | State::Met(_) | State::Over | State::Withdrawn => None,
        }
    }

    /// The address to try now and how long, if it is time to. Then it is being tried.
    pub(super) fn poll(&mut self, now: Instant) -> Option<(SocketAddr, Instant)> {
        let (mut rest, attempt_ends) = match &mut self.state {
            State::Due { at } if now >= *at => {
                let mut rest: Vec<_> = self.places.iter().map(|place| place.address).collect();
                rest.reverse();
                (rest, now + DIAL_TIMEOUT)
            }
            State::Next { rest, attempt_ends } => (std::mem::take(rest), *attempt_ends),
            State::Due { .. }
            | State::Trying { .. }
            | State::Resting
            | State::Met(_)
            | State::Over
            | State::Withdrawn => return None,
        };
        let Some(address) = rest.pop() else {
            // It rests until an address is reported.
            self.state = State::Resting;
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
        if self.state == State::Resting && !self.places.is_empty() {
            self.state = State::Due { at };
        }
    }

    /// The address being tried cannot be reached. Returns whether the user is to be shown that: if it was the last
    /// address of the first attempt in a row that fails.
    pub(super) fn handle_failure(&mut self, now: Instant, random: &mut fastrand::Rng) -> bool {
        if let State::Trying { address, .. } = self.state {
            let tried = self.places.iter_mut().find(|place| place.address == address);
            tried.into_iter().for_each(|place| place.has_failed = true);
        }
        self.pass_over(now, random)
    }

    /// The address being tried is not dialled, or cannot be reached: the next one is tried, or the attempt is over.
    /// Returns the same as [`handle_failure`](Self::handle_failure).
    pub(super) fn pass_over(&mut self, now: Instant, random: &mut fastrand::Rng) -> bool {
        let State::Trying { rest, attempt_ends, .. } = &mut self.state else { return false };
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
            self.state = State::Resting;
            self.reach = Reach::Reached;
        }
    }

    /// The peer that the user named is this member.
    pub fn handle_met(&mut self, member: MemberKey) {
        (self.was_reached, self.has_answered, self.is_member, self.was_refused) = (true, true, true, false);
        if !self.is_over() {
            self.state = State::Met(member);
        }
    }

    /// The peer has sent a valid frame.
    pub fn handle_frame(&mut self) {
        (self.has_answered, self.was_refused) = (true, false);
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

    pub(super) fn handle_lost(&mut self, now: Instant, random: &mut fastrand::Rng) {
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

    /// The peer sent a goodbye, or we are leaving.
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

#[cfg(test)]
mod tests {
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
        let mut target = Target::new(peer, WantedBy::Member(MemberKey::FIRST), State::Resting, 0);
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
        assert_eq!(
            (target.poll(now + RETRY_MAX), target.due()),
            (None, None),
            "until an address is reported"
        );
    }

    #[test]
    fn one_host_that_tells_of_addresses_leaves_room_for_another() {
        let (now, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
        let peer = Peer { name: "bob".into(), addresses: Vec::new() };
        let mut target = Target::new(peer, WantedBy::Member(MemberKey::FIRST), State::Resting, 0);
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
            "an address that failed makes room for another from the same host"
        );
    }
}
