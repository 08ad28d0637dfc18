//! Messages that were shown, so that none is shown again when a plain peer turns out to be a member.
//!
//! Plain frames carry no numbers. A member that we dial and whose handshake is late is taken for a plain peer, and what
//! it sent then comes again, with a number: the same bytes from the same host. A member that dials sends its hello
//! first, so what a plain peer sends that dialled us is never a member's, and is not kept here.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::IpAddr;
use std::time::Instant;

use crate::limits::{SHOWN_BODIES_MAX, SHOWN_BODIES_TIME};

/// What was shown last of plain peers, and of members.
#[derive(Debug)]
pub(super) struct ShownBodies {
    /// The key of the hashes: whoever does not know it cannot choose two bodies of one hash.
    key: u128,
    of_plain: Bodies,
    of_members: Bodies,
}

impl ShownBodies {
    /// Nothing was shown yet.
    pub fn new(key: u128) -> Self {
        Self { key, of_plain: Bodies::default(), of_members: Bodies::default() }
    }

    /// A plain message from `host` arrives. Returns whether to show it: it was not shown as a member's.
    pub fn receive_plain(&mut self, host: IpAddr, body: &[u8], now: Instant) -> bool {
        let hash = self.hash(host, body);
        let is_new = !self.of_members.take(hash, now);
        if is_new {
            self.of_plain.add(hash, now);
        }
        is_new
    }

    /// A message of a member at `host` arrives. `may_repeat`: it may come again, from a connection that is taken for a
    /// plain peer's. Returns whether to show it: it was not shown as a plain peer's.
    pub fn receive(&mut self, host: IpAddr, body: &[u8], may_repeat: bool, now: Instant) -> bool {
        if !may_repeat && self.of_plain.order.is_empty() {
            // Nearly always, and a hash costs a fifth of all that is done for a message.
            return true;
        }
        let hash = self.hash(host, body);
        let is_new = !self.of_plain.take(hash, now);
        if is_new && may_repeat {
            self.of_members.add(hash, now);
        }
        is_new
    }

    fn hash(&self, host: IpAddr, body: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.key, host, body).hash(&mut hasher);
        hasher.finish()
    }
}

/// Hashes of the last bodies and their hosts, as a multiset.
#[derive(Debug, Default)]
struct Bodies {
    order: VecDeque<(Instant, u64)>,
}

impl Bodies {
    fn add(&mut self, hash: u64, now: Instant) {
        self.expire(now);
        if self.order.len() == SHOWN_BODIES_MAX {
            self.order.pop_front();
        }
        self.order.push_back((now, hash));
    }

    /// Takes out a hash. Returns whether it was there.
    fn take(&mut self, hash: u64, now: Instant) -> bool {
        self.expire(now);
        let index = self.order.iter().position(|(_, known)| *known == hash);
        index.and_then(|index| self.order.remove(index)).is_some()
    }

    fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, _)| now >= *at + SHOWN_BODIES_TIME) {
            self.order.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use super::*;

    const HOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_line_is_shown_once_whichever_way_it_comes_first() {
        let (mut shown, now) = (ShownBodies::new(1), Instant::now());
        assert!(shown.receive_plain(HOST, b"one", now) && !shown.receive(HOST, b"one", false, now));
        assert!(shown.receive(HOST, b"two", true, now) && !shown.receive_plain(HOST, b"two", now));
        assert!(shown.receive_plain(HOST, b"three", now) && shown.receive_plain(HOST, b"three", now));
        let other = Ipv4Addr::UNSPECIFIED.into();
        assert!(shown.receive(other, b"three", false, now), "from another host");
        assert!(!shown.receive(HOST, b"three", false, now) && !shown.receive(HOST, b"three", false, now));
        assert!(shown.receive(HOST, b"three", false, now), "as often as it was shown");
        assert!(
            shown.receive(HOST, b"four", false, now) && shown.receive_plain(HOST, b"four", now),
            "not kept"
        );
    }

    #[test]
    fn bodies_are_forgotten_by_time_and_number() {
        let (mut bodies, now) = (Bodies::default(), Instant::now());
        for hash in 0..=SHOWN_BODIES_MAX as u64 {
            bodies.add(hash, now);
        }
        assert_eq!(bodies.order.len(), SHOWN_BODIES_MAX);
        assert!(!bodies.take(0, now), "the oldest went");
        assert!(bodies.take(1, now) && !bodies.take(2, now + SHOWN_BODIES_TIME));
        bodies.add(1, now + SHOWN_BODIES_TIME);
        let last = now + SHOWN_BODIES_TIME * 2 - Duration::from_secs(1);
        assert!(bodies.take(1, last));
        assert!(bodies.order.is_empty());
    }
}
