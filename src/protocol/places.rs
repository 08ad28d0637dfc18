//! Places for connections: which one is closed when there is no room for another.
//!
//! A connection that was accepted is **unproven** until it is a member's link, or until it has sent a message. Only such
//! a connection is closed to make room: the newest one of the host that holds most of them. Of hosts that hold equally
//! many, it is the one whose newest connection is the oldest.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use super::ids::ClientId;
use super::visitors::Host;
use crate::limits::PLAIN_WAIT_MIN;

/// When a connection was accepted, and which one it is.
type Accepted = (Instant, ClientId);

/// Unproven connections, by host. Each call costs O(log n).
///
/// Invariant: `ranking` holds each host of `hosts` once, with the number of its connections and the newest of them.
#[derive(Debug, Default)]
pub(super) struct Places {
    count: usize,
    hosts: BTreeMap<Host, BTreeSet<Accepted>>,
    ranking: BTreeSet<(usize, Reverse<Accepted>, Host)>,
}

impl Places {
    /// The number of connections.
    pub fn len(&self) -> usize {
        self.count
    }

    /// A connection from `address` was accepted at `at`.
    pub fn add(&mut self, address: IpAddr, at: Instant, id: ClientId) {
        self.change(address, |connections| connections.insert((at, id)));
    }

    /// That connection is proven or closed, if it was unproven until now.
    pub fn remove(&mut self, address: IpAddr, at: Instant, id: ClientId) {
        self.change(address, |connections| connections.remove(&(at, id)));
    }

    fn change(&mut self, address: IpAddr, change: impl FnOnce(&mut BTreeSet<Accepted>) -> bool) {
        let host = Host::of(address);
        let rank = |connections: &BTreeSet<Accepted>| {
            connections.last().map(|newest| (connections.len(), Reverse(*newest), host))
        };
        let connections = self.hosts.entry(host).or_default();
        rank(connections).into_iter().for_each(|before| _ = self.ranking.remove(&before));
        let before = connections.len();
        change(connections);
        self.count = self.count + connections.len() - before;
        match rank(connections) {
            Some(after) => _ = self.ranking.insert(after),
            None => _ = self.hosts.remove(&host),
        }
    }

    /// The connection to be closed; `None` if all are proven, or if no host has more than one and each may still
    /// begin a handshake.
    pub fn to_close(&self, now: Instant) -> Option<ClientId> {
        let (count, Reverse((at, id)), _) = *self.ranking.last()?;
        (count > 1 || now >= at + PLAIN_WAIT_MIN).then_some(id)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(host: u8) -> IpAddr {
        [10, 0, 0, host].into()
    }

    #[test]
    fn the_newest_of_the_host_with_most_goes_first() {
        let (start, mut places) = (Instant::now(), Places::default());
        let at = |number: usize| start + Duration::from_millis(number as u64);
        // Host 1 has three, host 2 has two, host 3 one.
        let hosts = [1, 2, 3, 1, 2, 1];
        hosts
            .iter()
            .enumerate()
            .for_each(|(number, host)| places.add(ip(*host), at(number), ClientId(number)));
        let mut closed = Vec::new();
        while let Some(id) = places.to_close(at(10)) {
            places.remove(ip(hosts[id.0]), at(id.0), id);
            closed.push(id.0);
        }
        // First that of host 1; then that of two hosts with two whose newest is older; one of each is left.
        assert_eq!(closed, [5, 3, 4]);
        for (number, host) in hosts.into_iter().enumerate().take(3) {
            let id = places
                .to_close(at(0) + PLAIN_WAIT_MIN + Duration::from_secs(1))
                .expect("they had their time");
            assert_eq!(id, ClientId(number), "the oldest");
            places.remove(ip(host), at(number), id);
            // Again changes nothing.
            places.remove(ip(host), at(number), id);
        }
        assert_eq!(places.to_close(at(1_000_000)), None);
        assert!(places.hosts.is_empty() && places.ranking.is_empty());
    }
}
