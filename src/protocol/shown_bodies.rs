//! Messages that were shown, so that none is shown again when a plain peer turns out to be a member.
//!
//! Plain frames carry no numbers. A member whose handshake is late is taken for a plain peer, and what it sent then
//! comes again, with a number: the same bytes from the same host.

use std::collections::{BTreeMap, VecDeque};
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
        let hash = self.hash(body);
        let is_new = !self.of_members.take(host, hash, now);
        if is_new {
            self.of_plain.add(host, hash, now);
        }
        is_new
    }

    /// A message of a member at `host` arrives. Returns whether to show it: it was not shown as a plain peer's.
    pub fn receive(&mut self, host: IpAddr, body: &[u8], now: Instant) -> bool {
        let hash = self.hash(body);
        let is_new = !self.of_plain.take(host, hash, now);
        if is_new {
            self.of_members.add(host, hash, now);
        }
        is_new
    }

    fn hash(&self, body: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.key, body).hash(&mut hasher);
        hasher.finish()
    }
}

/// Hashes of the last bodies, as a multiset.
///
/// Invariant: `hosts` counts the hashes in `order` by host.
#[derive(Debug, Default)]
struct Bodies {
    order: VecDeque<(Instant, IpAddr, u64)>,
    hosts: BTreeMap<IpAddr, usize>,
}

impl Bodies {
    fn add(&mut self, host: IpAddr, hash: u64, now: Instant) {
        self.expire(now);
        if self.order.len() == SHOWN_BODIES_MAX {
            self.pop();
        }
        self.order.push_back((now, host, hash));
        *self.hosts.entry(host).or_default() += 1;
    }

    /// Takes out a hash. Returns whether it was there.
    fn take(&mut self, host: IpAddr, hash: u64, now: Instant) -> bool {
        self.expire(now);
        if !self.hosts.contains_key(&host) {
            return false;
        }
        let index =
            self.order.iter().position(|(_, known_host, known)| (*known_host, *known) == (host, hash));
        let is_there = index.and_then(|index| self.order.remove(index)).is_some();
        if is_there {
            decrement(&mut self.hosts, host);
        }
        is_there
    }

    fn expire(&mut self, now: Instant) {
        while self.order.front().is_some_and(|(at, ..)| now >= *at + SHOWN_BODIES_TIME) {
            self.pop();
        }
    }

    fn pop(&mut self) {
        if let Some((_, host, _)) = self.order.pop_front() {
            decrement(&mut self.hosts, host);
        }
    }
}

fn decrement(counts: &mut BTreeMap<IpAddr, usize>, host: IpAddr) {
    if let Some(count) = counts.get_mut(&host) {
        *count -= 1;
        if *count == 0 {
            counts.remove(&host);
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
        assert!(shown.receive_plain(HOST, b"one", now) && !shown.receive(HOST, b"one", now));
        assert!(shown.receive(HOST, b"two", now) && !shown.receive_plain(HOST, b"two", now));
        assert!(shown.receive_plain(HOST, b"three", now) && shown.receive_plain(HOST, b"three", now));
        let other = Ipv4Addr::UNSPECIFIED.into();
        assert!(shown.receive(other, b"three", now), "from another host");
        assert!(!shown.receive(HOST, b"three", now) && !shown.receive(HOST, b"three", now));
        assert!(shown.receive(HOST, b"three", now), "as often as it was shown");
    }

    #[test]
    fn bodies_are_forgotten_by_time_and_number() {
        let (mut bodies, now) = (Bodies::default(), Instant::now());
        for hash in 0..=SHOWN_BODIES_MAX as u64 {
            bodies.add(HOST, hash, now);
        }
        assert_eq!((bodies.order.len(), bodies.hosts[&HOST]), (SHOWN_BODIES_MAX, SHOWN_BODIES_MAX));
        assert!(!bodies.take(HOST, 0, now), "the oldest went");
        assert!(bodies.take(HOST, 1, now) && !bodies.take(HOST, 2, now + SHOWN_BODIES_TIME));
        bodies.add(HOST, 1, now + SHOWN_BODIES_TIME);
        let last = now + SHOWN_BODIES_TIME * 2 - Duration::from_secs(1);
        assert!(bodies.take(HOST, 1, last));
        assert!(bodies.order.is_empty() && bodies.hosts.is_empty());
    }
}
