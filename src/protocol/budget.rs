//! A budget of work for each host: so much at once, and so much more each second.

use std::collections::BTreeMap;
use std::time::Instant;

use super::visitors::Host;

/// A budget of which some is used.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    left: f64,
    renewed: Instant,
}

impl Budget {
    /// A budget of which nothing is used.
    pub fn new(burst: f64, now: Instant) -> Self {
        Self { left: burst, renewed: now }
    }

    /// Adds what the time since the last call is worth, up to `burst`, and returns what is left.
    pub fn renew(&mut self, per_second: f64, burst: f64, now: Instant) -> f64 {
        let more = now.saturating_duration_since(self.renewed).as_secs_f64() * per_second;
        (self.left, self.renewed) = ((self.left + more).min(burst), now);
        self.left
    }

    /// The rest at the last renewal, less the amount used since.
    pub fn left(&self) -> f64 {
        self.left
    }

    /// Uses `amount`, or gives it back.
    pub fn spend(&mut self, amount: f64) {
        self.left -= amount;
    }
}

/// The budgets of the hosts that have used some of theirs.
#[derive(Debug)]
pub(super) struct HostBudgets {
    per_second: f64,
    burst: f64,
    hosts: BTreeMap<Host, Budget>,
    /// How many hosts there may be before those are removed whose budget is whole again.
    room: usize,
}

impl HostBudgets {
    const ROOM_MIN: usize = 64;

    pub fn new(per_second: f64, burst: f64) -> Self {
        Self { per_second, burst, hosts: BTreeMap::new(), room: Self::ROOM_MIN }
    }

    /// Uses one unit of the budget of `host`, if there is one.
    pub fn take(&mut self, host: Host, now: Instant) -> bool {
        let Self { per_second, burst, .. } = *self;
        if self.hosts.len() >= self.room {
            self.hosts.retain(|_, budget| budget.renew(per_second, burst, now) < burst);
            // So that the hosts are not walked over each time.
            self.room = Self::ROOM_MIN.max(2 * self.hosts.len());
        }
        let budget = self.hosts.entry(host).or_insert_with(|| Budget::new(burst, now));
        let may = budget.renew(per_second, burst, now) >= 1.0;
        if may {
            budget.spend(1.0);
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_host_has_so_much_at_once_and_so_much_each_second() {
        let (now, mut budgets) = (Instant::now(), HostBudgets::new(2.0, 3.0));
        let host = |number: u8| Host::of([10, 0, 0, number].into());
        let mut taken = |host, seconds| {
            let now = now + Duration::from_secs(seconds);
            (0..10).filter(|_| budgets.take(host, now)).count()
        };
        assert_eq!((taken(host(1), 0), taken(host(2), 0)), (3, 3));
        assert_eq!((taken(host(1), 1), taken(host(1), 1)), (2, 0));
        assert_eq!(taken(host(1), 9), 3, "no more than at once");
    }

    #[test]
    fn hosts_whose_budget_is_whole_are_forgotten() {
        let (now, mut budgets) = (Instant::now(), HostBudgets::new(1.0, 1.0));
        for number in 0..10_000_u32 {
            let now = now + Duration::from_millis(10 * u64::from(number));
            assert!(budgets.take(Host::of(std::net::Ipv4Addr::from_bits(number).into()), now));
        }
        assert!(budgets.hosts.len() <= 2 * 128, "{} hosts", budgets.hosts.len());
    }
}
