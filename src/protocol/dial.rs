//! Reaching one peer, that the user named or a member told of: which address is next, and when.
//!
//! It opens no connection. [`poll`](Dial::poll) says what to try now; whoever tries it says how it
//! went.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::member::MemberKey;
use super::roster::Retry;
use crate::limits::{ADDRESSES_MAX, DIAL, RETRY_MAX, RETRY_MIN};

/// A peer to be dialled, with the addresses where it may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// As the user wrote it, or as it calls itself.
    pub name: Rc<str>,
    /// In the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
}

/// Which dial.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DialId {
    /// Of a peer that the user named: its place in the list that the user gave.
    Named(usize),
    /// Of this member.
    Member(MemberKey),
}

/// The way to one peer.
///
/// An attempt tries all addresses in turn and takes at most [`DIAL`]; each address gets its share
/// of what is left of that.
#[derive(Debug)]
pub struct Dial {
    peer: Peer,
    state: State,
    reach: Reach,
    /// It is connected, or was, and has sent something.
    was_reached: bool,
    /// It has sent something, so that it is the peer that was meant.
    has_answered: bool,
    failures: u32,
    /// The number of the first message that this peer has not been sent.
    next_message: u64,
}

/// How far the current attempt is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// An attempt is to begin at a time.
    Due { at: Instant },
    /// The next address of this attempt is to be tried now; the last of `rest` is the next.
    Next { rest: Vec<SocketAddr>, attempt_ends: Instant },
    /// An address is being tried.
    Trying { address: SocketAddr, rest: Vec<SocketAddr>, attempt_ends: Instant },
    /// Connected, or not to be dialled before something happens.
    Connected,
    /// Whom the user named turned out to be this member, which has a dial of its own.
    Met(MemberKey),
    /// Not to be dialled any more.
    Over,
    /// Not to be dialled any more, because the user said so.
    Withdrawn,
}

/// What is known of the peer, and so what the user has been told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The first attempt has not ended.
    Untried,
    /// Attempts have failed since it was last there.
    Failing,
    /// It was there, and no attempt has failed since.
    Reached,
}

impl Dial {
    /// A peer to be dialled at once, and to be sent every message from `next_message` on.
    #[must_use]
    pub fn new(mut peer: Peer, now: Instant, next_message: u64) -> Self {
        peer.addresses.truncate(ADDRESSES_MAX);
        let state = State::Due { at: now };
        let (was_reached, has_answered) = (false, false);
        Self { peer, state, reach: Reach::Untried, was_reached, has_answered, failures: 0, next_message }
    }

    /// A peer that is connected, or not to be dialled before it was.
    #[must_use]
    pub fn resting(peer: Peer, now: Instant) -> Self {
        Self { state: State::Connected, ..Self::new(peer, now, 0) }
    }

    /// The peer as the user named it, or as it calls itself.
    #[must_use]
    pub fn name(&self) -> &Rc<str> {
        &self.peer.name
    }

    /// Where it may be, the best address first.
    #[must_use]
    pub fn addresses(&self) -> &[SocketAddr] {
        &self.peer.addresses
    }

    /// It may be at `address`, too: before all others, or behind them.
    pub fn learn(&mut self, mut address: SocketAddr, is_best: bool, addresses_max: usize) {
        address.set_ip(address.ip().to_canonical());
        let addresses = &mut self.peer.addresses;
        if is_best {
            addresses.retain(|known| *known != address);
            addresses.insert(0, address);
            addresses.truncate(addresses_max);
        } else if !addresses.contains(&address) && addresses.len() < addresses_max {
            addresses.push(address);
        }
    }

    /// Somebody else is at `address`. Returns whether there is no other.
    pub fn unlearn(&mut self, address: SocketAddr) -> bool {
        self.peer.addresses.retain(|known| *known != address);
        self.peer.addresses.is_empty()
    }

    /// The number of the first message that it has not been sent.
    #[must_use]
    pub fn next_message(&self) -> u64 {
        self.next_message
    }

    /// Whether the first attempt is still to end. Until then the user is made to wait for it.
    #[must_use]
    pub fn is_first_attempt(&self) -> bool {
        self.reach == Reach::Untried && self.is_open()
    }

    /// Whether the peer was there at any time. One whose connection ended before it sent something was not: it may
    /// be the proxy of one that is not up yet.
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

    /// How many attempts have failed since it last sent something.
    #[must_use]
    pub fn failures(&self) -> u32 {
        self.failures
    }

    /// The address to try now and how long, if it is time to. Then it is being tried.
    pub fn poll(&mut self, now: Instant) -> Option<(SocketAddr, Instant)> {
        let (mut rest, attempt_ends) = match &mut self.state {
            State::Due { at } if now >= *at => {
                (self.peer.addresses.iter().rev().copied().collect(), now + DIAL)
            }
            State::Next { rest, attempt_ends } => (std::mem::take(rest), *attempt_ends),
            _ => return None,
        };
        let Some(address) = rest.pop() else {
            // Until somebody tells of an address.
            self.state = State::Connected;
            return None;
        };
        let share = attempt_ends.saturating_duration_since(now) / (rest.len() as u32 + 1);
        self.state = State::Trying { address, rest, attempt_ends };
        Some((address, now + share))
    }

    /// When it is dialled next, if it is.
    #[must_use]
    pub fn retry(&self) -> Option<Retry> {
        match self.state {
            State::Due { at } => Some(Retry::At(at)),
            State::Next { .. } | State::Trying { .. } => Some(Retry::Now),
            State::Connected | State::Met(_) | State::Over | State::Withdrawn => None,
        }
    }

    /// Is dialled at once, if it is to be dialled later.
    pub fn hurry(&mut self, now: Instant) {
        if let State::Due { at } = &mut self.state {
            *at = now;
        }
    }

    /// When [`poll`](Self::poll) has something to say without an event.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Due { at } => Some(at),
            State::Next { attempt_ends, .. } => attempt_ends.checked_sub(DIAL),
            _ => None,
        }
    }

    /// Whether `address` is what is being tried.
    #[must_use]
    pub fn is_trying(&self, address: SocketAddr) -> bool {
        matches!(self.state, State::Trying { address: tried, .. } if tried == address)
    }

    /// The address being tried cannot be reached. Returns whether the user is to be told: when the
    /// last address of the first attempt in a row has failed.
    pub fn handle_failure(&mut self, now: Instant, random: &mut fastrand::Rng) -> bool {
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

    /// The peer is connected, whoever dialled.
    pub fn handle_connected(&mut self) {
        self.was_reached = true;
        if !self.is_over() {
            self.state = State::Connected;
            self.reach = Reach::Reached;
        }
    }

    /// Begins an attempt, if it rests and there is an address.
    pub fn wake(&mut self, now: Instant) {
        if self.state == State::Connected && !self.peer.addresses.is_empty() {
            self.state = State::Due { at: now };
        }
    }

    /// Whom the user named is this member.
    pub fn handle_met(&mut self, member: MemberKey) {
        (self.was_reached, self.has_answered) = (true, true);
        if !self.is_over() {
            self.state = State::Met(member);
        }
    }

    /// The member that the user named, as far as is known.
    #[must_use]
    pub fn met(&self) -> Option<MemberKey> {
        if let State::Met(member) = self.state { Some(member) } else { None }
    }

    /// The peer has sent a frame: it is what we took it for, so a later failure is a new one.
    pub fn handle_frame(&mut self) {
        self.has_answered = true;
        self.failures = 0;
    }

    /// The connection is gone and nobody said goodbye; messages from `next_message` on were not
    /// sent.
    pub fn handle_lost(&mut self, now: Instant, next_message: u64, random: &mut fastrand::Rng) {
        self.next_message = next_message;
        self.was_reached &= self.has_answered;
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

    /// Whether the user wanted to reach the peer, and that never happened.
    #[must_use]
    pub fn is_unreached(&self) -> bool {
        !self.was_reached && self.state != State::Withdrawn
    }

    /// The pause is a part, at random, of a whole that doubles with every failure: so peers that lost
    /// each other at one moment do not all come back at one moment ("full jitter").
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

    fn dial(addresses: usize, now: Instant) -> Dial {
        let addresses = (1..=addresses).map(address).collect();
        Dial::new(Peer { name: "host:5000".into(), addresses }, now, 0)
    }

    #[test]
    fn every_address_is_tried_and_the_user_is_told_once() {
        let (mut now, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
        let mut dial = dial(3, now);
        for attempt in 0..4 {
            for host in 1..=3 {
                assert_eq!(dial.is_first_attempt(), attempt == 0);
                assert!(dial.deadline().is_some_and(|at| at <= now));
                assert_eq!(dial.poll(now).map(|(address, _)| address), Some(address(host)));
                assert!(dial.is_trying(address(host)));
                assert_eq!(dial.poll(now), None, "one at a time");
                assert_eq!(dial.handle_failure(now, &mut random), attempt == 0 && host == 3);
            }
            assert_eq!(dial.poll(now), None, "there is a pause");
            now = dial.deadline().expect("another attempt");
        }
    }

    #[test]
    fn addresses_that_do_not_answer_share_the_time_of_one_attempt() {
        let (start, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
        let (mut now, mut dial) = (start, dial(4, start));
        for _ in 0..4 {
            let (_, until) = dial.poll(now).expect("an address");
            assert!(until > now);
            now = until;
            dial.handle_failure(now, &mut random);
        }
        assert_eq!(now, start + DIAL);
        assert!(!dial.is_first_attempt());
    }

    /// The pause before the next attempt, after so many that failed: the longest of many.
    fn longest_pause(failures: u32) -> Duration {
        let now = Instant::now();
        let pauses = (0..200).map(|seed| {
            let (mut dial, mut random) = (dial(1, now), fastrand::Rng::with_seed(seed));
            let mut at = now;
            for _ in 0..failures {
                dial.poll(at).expect("an address");
                dial.handle_failure(at, &mut random);
                at = dial.deadline().expect("another attempt");
            }
            dial.poll(at).expect("an address");
            dial.handle_failure(at, &mut random);
            dial.deadline().expect("another attempt") - at
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
    fn pauses_start_again_only_after_a_frame() {
        for sends_a_frame in [false, true] {
            let (mut now, mut random) = (Instant::now(), fastrand::Rng::with_seed(3));
            let mut dial = dial(1, now);
            for connection in 0..8 {
                dial.poll(now).expect("an address");
                dial.handle_connected();
                if sends_a_frame {
                    dial.handle_frame();
                }
                dial.handle_lost(now, connection, &mut random);
                now = dial.deadline().expect("dialled again");
            }
            assert_eq!((dial.failures(), dial.next_message()), (if sends_a_frame { 1 } else { 8 }, 7));
        }
    }

    #[test]
    fn who_never_sends_anything_was_not_reached_when_it_is_gone() {
        for answers in [false, true] {
            let now = Instant::now();
            let mut dial = dial(1, now);
            dial.handle_connected();
            assert!(dial.was_reached());
            if answers {
                dial.handle_frame();
            }
            dial.handle_lost(now, 0, &mut fastrand::Rng::with_seed(1));
            assert_eq!((dial.was_reached(), dial.is_unreached()), (answers, !answers));
        }
    }

    #[test]
    fn who_is_given_up_is_left_alone() {
        let now = Instant::now();
        let mut dial = dial(1, now);
        dial.give_up();
        dial.handle_connected();
        dial.wake(now);
        dial.handle_lost(now, 0, &mut fastrand::Rng::with_seed(1));
        assert_eq!((dial.poll(now), dial.deadline()), (None, None));
        assert!(dial.is_over() && !dial.is_first_attempt());
    }

    #[test]
    fn addresses_are_learned_and_unlearned() {
        let now = Instant::now();
        let mut dial = Dial::resting(Peer { name: "bob".into(), addresses: Vec::new() }, now);
        dial.wake(now);
        assert_eq!(dial.deadline(), None, "there is no address");
        for (host, is_best) in [(1, false), (2, false), (1, false), (2, true), (3, false), (4, true)] {
            dial.learn(address(host), is_best, 3);
        }
        assert_eq!(dial.addresses(), [address(4), address(2), address(1)]);
        dial.wake(now);
        assert_eq!(dial.poll(now).map(|(address, _)| address), Some(address(4)));
        assert!(!dial.unlearn(address(2)) && !dial.unlearn(address(4)) && dial.unlearn(address(1)));
        dial.handle_lost(now, 0, &mut fastrand::Rng::with_seed(1));
        assert_eq!(dial.poll(now + RETRY_MAX), None);
        assert_eq!(dial.deadline(), None, "it waits until somebody tells of an address");
        dial.learn("[::ffff:127.0.0.1]:5000".parse().expect("an address"), false, 3);
        assert_eq!(dial.addresses(), [address(1)]);
    }
}
