//! Reaching one peer that the user named: which address is next, and when.
//!
//! It opens no connection. [`poll`](Dial::poll) says what to try now; whoever tries it says how it
//! went.

use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::limits::{ADDRESSES_MAX, DIAL, RETRY_MAX, RETRY_MIN, STEADY};

/// A peer as the user named it, with the addresses that its name has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// As the user wrote it.
    pub name: Rc<str>,
    /// At least one, in the order in which they are tried.
    pub addresses: Vec<SocketAddr>,
}

/// Which dial: its place in the list that the user gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialId(pub usize);

/// The way to one peer.
///
/// An attempt tries all addresses in turn and takes at most [`DIAL`]; each address gets its share
/// of what is left of that.
#[derive(Debug)]
pub struct Dial {
    peer: Peer,
    state: State,
    reach: Reach,
    failures: u32,
    /// The number of the first message that this peer has not been sent.
    next_message: u64,
}

/// How far the current attempt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// An address is to be tried at a time.
    Due { at: Instant, address: usize, attempt_ends: Option<Instant> },
    /// An address is being tried.
    Trying { address: usize, address_ends: Instant, attempt_ends: Instant },
    /// Connected.
    Connected { since: Instant },
    /// Not to be dialled any more.
    Over,
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
        assert!(!peer.addresses.is_empty(), "a peer has an address");
        peer.addresses.truncate(ADDRESSES_MAX);
        let state = State::Due { at: now, address: 0, attempt_ends: None };
        Self { peer, state, reach: Reach::Untried, failures: 0, next_message }
    }

    /// The peer as the user named it.
    #[must_use]
    pub fn name(&self) -> &Rc<str> {
        &self.peer.name
    }

    /// The number of the first message that it has not been sent.
    #[must_use]
    pub fn next_message(&self) -> u64 {
        self.next_message
    }

    /// Whether the first attempt is still to end. Until then the user is made to wait for it.
    #[must_use]
    pub fn is_first_attempt(&self) -> bool {
        self.reach == Reach::Untried && !self.is_over()
    }

    /// Whether it is dialled no more.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }

    /// The address to try now, if it is time to. Then it is being tried.
    pub fn poll(&mut self, now: Instant) -> Option<SocketAddr> {
        let State::Due { at, address, attempt_ends } = self.state else { return None };
        if now < at {
            return None;
        }
        let attempt_ends = attempt_ends.unwrap_or(now + DIAL);
        let addresses_left = (self.peer.addresses.len() - address) as u32;
        let address_ends = now + attempt_ends.saturating_duration_since(now) / addresses_left;
        self.state = State::Trying { address, address_ends, attempt_ends };
        Some(self.peer.addresses[address])
    }

    /// When something is to be done without an event: [`poll`](Self::poll), or an end to an address
    /// that does not answer.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Due { at, .. } => Some(at),
            State::Trying { address_ends, .. } => Some(address_ends),
            State::Connected { .. } | State::Over => None,
        }
    }

    /// Whether the address being tried has had its time.
    #[must_use]
    pub fn is_timed_out(&self, now: Instant) -> bool {
        matches!(self.state, State::Trying { address_ends, .. } if now >= address_ends)
    }

    /// The address being tried cannot be reached. Returns whether the user is to be told: when the
    /// last address of the first attempt in a row has failed.
    pub fn handle_failure(&mut self, now: Instant, random: &mut fastrand::Rng) -> bool {
        let State::Trying { address, attempt_ends, .. } = self.state else { return false };
        if address + 1 < self.peer.addresses.len() && now < attempt_ends {
            self.state = State::Due { at: now, address: address + 1, attempt_ends: Some(attempt_ends) };
            return false;
        }
        self.retry(now, random);
        let first = self.reach != Reach::Failing;
        self.reach = Reach::Failing;
        first
    }

    /// The address being tried answered.
    pub fn handle_connected(&mut self, now: Instant) {
        self.state = State::Connected { since: now };
        self.reach = Reach::Reached;
    }

    /// The peer has sent a frame: it is what we took it for, so a later failure is a new one.
    pub fn handle_frame(&mut self) {
        self.failures = 0;
    }

    /// The connection is gone and nobody said goodbye; messages from `next_message` on were not
    /// sent.
    pub fn handle_lost(&mut self, now: Instant, next_message: u64, random: &mut fastrand::Rng) {
        self.next_message = next_message;
        if matches!(self.state, State::Connected { since } if now >= since + STEADY) {
            self.failures = 0;
        }
        self.retry(now, random);
    }

    /// The peer said goodbye, is this program itself, or we are leaving.
    pub fn give_up(&mut self) {
        self.state = State::Over;
    }

    /// Doubles the pause with every failure, less up to a quarter at random, so that peers that lost
    /// each other at one moment do not all come back at one moment.
    fn retry(&mut self, now: Instant, random: &mut fastrand::Rng) {
        let pause = RETRY_MIN.saturating_mul(1 << self.failures.min(16)).min(RETRY_MAX);
        self.failures += 1;
        let pause = Duration::from_secs_f64(pause.as_secs_f64() * (1.0 - random.f64() / 4.0));
        self.state = State::Due { at: now + pause, address: 0, attempt_ends: None };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dial(addresses: usize, now: Instant) -> Dial {
        let addresses =
            (1..=addresses).map(|host| SocketAddr::from(([127, 0, 0, host as u8], 5000))).collect();
        Dial::new(Peer { name: "host:5000".into(), addresses }, now, 0)
    }

    #[test]
    fn every_address_is_tried_and_the_user_is_told_once() {
        let (mut now, mut random) = (Instant::now(), fastrand::Rng::with_seed(1));
        let mut dial = dial(3, now);
        for attempt in 0..4 {
            for address in 1..=3 {
                assert_eq!(dial.is_first_attempt(), attempt == 0);
                assert_eq!(dial.poll(now), Some(SocketAddr::from(([127, 0, 0, address], 5000))));
                assert_eq!(dial.poll(now), None, "one at a time");
                assert_eq!(dial.handle_failure(now, &mut random), attempt == 0 && address == 3);
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
            dial.poll(now).expect("an address");
            assert!(!dial.is_timed_out(now));
            now = dial.deadline().expect("an end");
            assert!(dial.is_timed_out(now));
            dial.handle_failure(now, &mut random);
        }
        assert_eq!(now, start + DIAL);
        assert!(!dial.is_first_attempt());
    }

    #[test]
    fn pauses_double_up_to_their_limit_and_start_again_after_a_frame() {
        let (mut now, mut random) = (Instant::now(), fastrand::Rng::with_seed(7));
        let mut dial = dial(1, now);
        for round in 0..2 {
            for failure in 0..12 {
                dial.poll(now).expect("an address");
                dial.handle_failure(now, &mut random);
                let at = dial.deadline().expect("another attempt");
                // In the second round, the loss before it was the first failure.
                let full = RETRY_MIN.saturating_mul(1 << (failure + round)).min(RETRY_MAX);
                assert!(at - now <= full && at - now >= full * 3 / 4, "round {round}, failure {failure}");
                now = at;
            }
            dial.poll(now).expect("an address");
            dial.handle_connected(now);
            dial.handle_frame();
            dial.handle_lost(now, 5, &mut random);
            assert!(dial.deadline().expect("dialled again") - now <= RETRY_MIN);
            now = dial.deadline().expect("dialled again");
        }
        assert_eq!(dial.next_message(), 5);
    }

    #[test]
    fn a_peer_that_accepts_and_hangs_up_is_not_dialled_without_a_pause_for_ever() {
        let (mut now, mut random) = (Instant::now(), fastrand::Rng::with_seed(3));
        let mut dial = dial(1, now);
        for _ in 0..10 {
            dial.poll(now).expect("an address");
            dial.handle_connected(now);
            dial.handle_lost(now, 0, &mut random);
            now = dial.deadline().expect("dialled again");
        }
        dial.poll(now).expect("an address");
        dial.handle_connected(now);
        dial.handle_lost(now, 0, &mut random);
        assert!(dial.deadline().expect("dialled again") - now > RETRY_MAX / 2);
    }

    #[test]
    fn a_silent_peer_that_stayed_a_while_is_soon_dialled_again() {
        let (mut now, mut random) = (Instant::now(), fastrand::Rng::with_seed(5));
        let mut dial = dial(1, now);
        for _ in 0..10 {
            dial.poll(now).expect("an address");
            dial.handle_failure(now, &mut random);
            now = dial.deadline().expect("another attempt");
        }
        dial.poll(now).expect("an address");
        dial.handle_connected(now);
        dial.handle_lost(now + STEADY, 0, &mut random);
        assert!(dial.deadline().expect("dialled again") - (now + STEADY) <= RETRY_MIN);
    }

    #[test]
    fn who_is_given_up_is_left_alone() {
        let now = Instant::now();
        let mut dial = dial(1, now);
        dial.give_up();
        assert_eq!((dial.poll(now), dial.deadline()), (None, None));
        assert!(dial.is_over() && !dial.is_first_attempt());
    }
}
