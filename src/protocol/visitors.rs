//! Connections that never sent a message, counted by host: health checks, port scanners, requests of other
//! protocols. The user is shown at most one line a minute for each host.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Instant;

use crate::limits::{VISITOR_HOSTS_MAX, VISITORS_INTERVAL};

/// The origin of connections: an IPv4 address, or the 64 bits of an IPv6 address that one host is
/// given whole (RFC 4291, section 2.5.1); of an address of the link, all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// One address.
    Address(IpAddr),
    /// All addresses that begin like this one.
    Network(Ipv6Addr),
    /// All hosts beyond the number that are counted apart.
    Others,
}

impl Host {
    /// The host that has this address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V6(ip) if !ip.is_unicast_link_local() && !ip.is_loopback() => {
                Self::Network(Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64))
            }
            address => Self::Address(address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => write!(f, "{address}"),
            Self::Network(address) => write!(f, "{address}/64"),
            Self::Others => write!(f, "other hosts"),
        }
    }
}

/// The hosts for which a line was shown within the last minute.
#[derive(Debug, Default)]
pub(super) struct Visitors {
    hosts: BTreeMap<Host, Minute>,
    /// When the first count is due, or earlier.
    due: Option<Instant>,
}

/// The minute after a line was shown.
#[derive(Clone, Copy, Debug)]
struct Minute {
    ends: Instant,
    /// Connections since then.
    count: u64,
}

impl Visitors {
    /// A connection sends no message. Returns whether a line is to be shown for it; otherwise it is
    /// counted.
    pub fn add(&mut self, address: IpAddr, now: Instant) -> bool {
        if self.begin(Host::of(address), now) {
            return true;
        }
        let host = self.known(address);
        let minute = self.hosts.get_mut(&host).expect("`begin` found it");
        minute.count += 1;
        let ends = minute.ends;
        self.due = Some(self.due.map_or(ends, |due| due.min(ends)));
        false
    }

    /// Whether a line may be shown for a connection that is not to be counted.
    pub fn may_show(&mut self, address: IpAddr, now: Instant) -> bool {
        self.begin(Host::of(address), now)
    }

    /// A connection that was counted sends a message after all.
    pub fn remove(&mut self, address: IpAddr) {
        let host = self.known(address);
        if let Some(minute) = self.hosts.get_mut(&host) {
            minute.count = minute.count.saturating_sub(1);
        }
    }

    /// The next host with more connections than were shown, and how many more, until `None`.
    pub fn poll(&mut self, now: Instant) -> Option<(Host, u64)> {
        if self.due.is_none_or(|due| now < due) {
            return None;
        }
        let is_due = |minute: &Minute| minute.count > 0 && now >= minute.ends;
        let Some((host, minute)) = self.hosts.iter_mut().find(|(_, minute)| is_due(minute)) else {
            self.due = self.hosts.values().filter(|minute| minute.count > 0).map(|minute| minute.ends).min();
            return None;
        };
        // That is a line as well.
        let shown = (*host, minute.count);
        *minute = Minute { ends: now + VISITORS_INTERVAL, count: 0 };
        Some(shown)
    }

    /// When [`poll`](Self::poll) may return a host.
    pub fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Begins the minute of a host, unless there is one. Returns whether it began.
    fn begin(&mut self, host: Host, now: Instant) -> bool {
        if !self.hosts.contains_key(&host) && self.hosts.len() >= VISITOR_HOSTS_MAX {
            self.hosts.retain(|_, minute| minute.count > 0 || now < minute.ends);
        }
        let is_full = self.hosts.len() >= VISITOR_HOSTS_MAX && !self.hosts.contains_key(&host);
        let minute = self.hosts.entry(if is_full { Host::Others } else { host });
        let is_over = |minute: &Minute| minute.count == 0 && now >= minute.ends;
        let mut began = false;
        let minute = minute.or_insert_with(|| {
            began = true;
            Minute { ends: now + VISITORS_INTERVAL, count: 0 }
        });
        if is_over(minute) {
            began = true;
            minute.ends = now + VISITORS_INTERVAL;
        }
        began
    }

    /// Under which host an address is counted.
    fn known(&self, address: IpAddr) -> Host {
        Some(Host::of(address)).filter(|host| self.hosts.contains_key(host)).unwrap_or(Host::Others)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn each_host_has_one_line_a_minute() {
        let (mut visitors, start) = (Visitors::default(), Instant::now());
        let (one, other) = (ip("192.168.1.7"), ip("192.168.1.8"));
        assert!(visitors.add(one, start) && visitors.add(other, start), "the first at once");
        assert_eq!(visitors.deadline(), None, "nothing is to be added to that");
        let mut lines = Vec::new();
        for second in 1..=200 {
            let now = start + Duration::from_secs(second);
            lines.extend(visitors.poll(now).map(|(host, count)| (second, host, count)));
            if second <= 100 {
                assert!(!visitors.add(one, now), "second {second}");
            }
        }
        let host = Host::of(one);
        assert_eq!(lines, [(60, host, 59), (120, host, 41)]);
        assert!(visitors.add(one, start + Duration::from_secs(201)), "at once again");
        assert!(visitors.add(other, start + Duration::from_secs(201)));
    }

    #[test]
    fn a_connection_that_sends_a_message_after_all_is_not_counted() {
        let (mut visitors, start) = (Visitors::default(), Instant::now());
        let one = ip("10.0.0.1");
        assert!(visitors.may_show(one, start) && !visitors.may_show(one, start));
        assert!(!visitors.add(one, start));
        visitors.remove(one);
        let later = start + VISITORS_INTERVAL;
        assert_eq!(visitors.poll(later), None);
        assert_eq!(visitors.deadline(), None);
        assert!(visitors.add(one, later));
    }

    #[test]
    fn what_one_host_may_call_itself_is_one_host() {
        for (one, other, is_same) in [
            ("2001:db8::1", "2001:db8::ffff:1", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("fe80::1", "fe80::2", false),
            ("10.0.0.1", "10.0.0.2", false),
        ] {
            assert_eq!(Host::of(ip(one)) == Host::of(ip(other)), is_same, "{one} and {other}");
        }
        assert_eq!(Host::of(ip("2001:db8::1")).to_string(), "2001:db8::/64");
        assert_eq!(Host::of(ip("::1")).to_string(), "::1");
    }

    #[test]
    fn hosts_that_are_too_many_are_counted_as_one() {
        let (mut visitors, start) = (Visitors::default(), Instant::now());
        let host = |number: usize| IpAddr::from(0x0a00_0000_u32.wrapping_add(number as u32).to_be_bytes());
        let shown = (0..10_000).filter(|number| visitors.add(host(*number), start)).count();
        assert_eq!(shown, VISITOR_HOSTS_MAX + 1);
        assert!(visitors.hosts.len() <= VISITOR_HOSTS_MAX + 1);
        let later = start + VISITORS_INTERVAL;
        assert_eq!(visitors.poll(later), Some((Host::Others, 10_000 - shown as u64)));
        assert_eq!(visitors.poll(later), None);
        assert!(visitors.add(host(20_000), later), "there is room again");
        assert!(visitors.hosts.len() <= 2, "{:?}", visitors.hosts.len());
    }
}
