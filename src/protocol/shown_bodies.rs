//! Messages that arrived with a time in them, so that none is shown twice that arrives on several connections.
//!
//! Plain frames carry no numbers. A member whose handshake is late is taken for a plain peer, and what it sent then
//! comes again, with a number, or on another connection without one: the same bytes from the same host. A message
//! without a time is none of them: two peers of one host may send the same.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::limits::{SHOWN_BODIES_MAX, SHOWN_BODIES_TIME};

/// The last messages of plain peers, and of members.
#[derive(Debug)]
pub(super) struct ShownBodies {
    /// The key of the hashes. Without it nobody can choose two bodies of one hash.
    key: u128,
    of_plain: VecDeque<Body>,
    of_members: VecDeque<Body>,
}

/// The host that a message came from, and the port of the plain peer. The links of a member have numbers, so all
/// members of a host are one source.
type Source = (IpAddr, Option<u16>);

#[derive(Debug)]
struct Body {
    at: Instant,
    source: Source,
    hash: u64,
}

impl ShownBodies {
    /// Nothing was shown yet.
    pub fn new(key: u128) -> Self {
        Self { key, of_plain: VecDeque::new(), of_members: VecDeque::new() }
    }

    /// A plain message arrives from a peer at `from`. `may_repeat`: it may come again, on another connection. Returns
    /// whether to show it.
    pub fn receive_plain(&mut self, from: SocketAddr, body: &[u8], may_repeat: bool, now: Instant) -> bool {
        self.receive_from((from.ip(), Some(from.port())), body, may_repeat, now)
    }

    /// A message of a member at `host` arrives. The rest is as for [`receive_plain`](Self::receive_plain).
    pub fn receive(&mut self, host: IpAddr, body: &[u8], may_repeat: bool, now: Instant) -> bool {
        self.receive_from((host, None), body, may_repeat, now)
    }

    /// A body is shown as often as it came from the source that sent it most often.
    fn receive_from(&mut self, source: Source, body: &[u8], may_repeat: bool, now: Instant) -> bool {
        let (host, port) = source;
        let Self { of_plain, of_members, .. } = self;
        if !may_repeat && of_plain.is_empty() && of_members.is_empty() {
            // Nearly always, and then nothing has to be searched.
            return true;
        }
        for bodies in [&mut *of_plain, of_members] {
            while bodies.front().is_some_and(|body| now >= body.at + SHOWN_BODIES_TIME) {
                bodies.pop_front();
            }
        }
        if !may_repeat && !of_plain.iter().chain(&*of_members).any(|body| body.source.0 == host) {
            // A hash costs a fifth of all that is done for a message.
            return true;
        }
        let mut hasher = DefaultHasher::new();
        (self.key, body).hash(&mut hasher);
        let hash = hasher.finish();
        let mut counts = vec![(source, 0)];
        for body in of_plain.iter().chain(&*of_members) {
            if (body.source.0, body.hash) == (host, hash) {
                match counts.iter_mut().find(|(other, _)| *other == body.source) {
                    Some((_, count)) => *count += 1,
                    None => counts.push((body.source, 1)),
                }
            }
        }
        let bodies = if port.is_some() { of_plain } else { of_members };
        if bodies.len() == SHOWN_BODIES_MAX {
            bodies.pop_front();
        }
        bodies.push_back(Body { at: now, source, hash });
        counts.iter().all(|(_, other)| counts[0].1 >= *other)
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
        let [plain, another] = [1000, 1001].map(|port| SocketAddr::from((HOST, port)));
        assert!(shown.receive_plain(plain, b"one", true, now) && !shown.receive(HOST, b"one", true, now));
        assert!(!shown.receive_plain(another, b"one", true, now), "on a third connection");
        assert!(shown.receive(HOST, b"two", true, now) && !shown.receive_plain(plain, b"two", true, now));
        assert!(
            shown.receive_plain(plain, b"three", true, now)
                && shown.receive_plain(plain, b"three", true, now)
        );
        let other = Ipv4Addr::UNSPECIFIED.into();
        assert!(shown.receive(other, b"three", true, now), "from another host");
        for _ in 0..2 {
            assert!(
                !shown.receive(HOST, b"three", true, now)
                    && !shown.receive_plain(another, b"three", true, now)
            );
        }
        assert!(shown.receive(HOST, b"three", true, now), "as often as it was sent");
        assert!(
            !shown.receive_plain(another, b"three", true, now)
                && shown.receive_plain(another, b"three", true, now)
        );
    }

    #[test]
    fn bodies_are_forgotten_by_time_and_number() {
        let (mut shown, now) = (ShownBodies::new(1), Instant::now());
        let plain = SocketAddr::from((HOST, 1000));
        for number in 0..=SHOWN_BODIES_MAX {
            assert!(shown.receive_plain(plain, &number.to_be_bytes(), true, now));
        }
        let elsewhere = Ipv4Addr::UNSPECIFIED.into();
        assert!(shown.receive(elsewhere, b"not kept", false, now));
        assert_eq!((shown.of_plain.len(), shown.of_members.len()), (SHOWN_BODIES_MAX, 0));
        let receive =
            |shown: &mut ShownBodies, number: usize, at| shown.receive(HOST, &number.to_be_bytes(), true, at);
        assert!(receive(&mut shown, 0, now), "the oldest went");
        let last = now + SHOWN_BODIES_TIME - Duration::from_secs(1);
        assert!(!receive(&mut shown, 1, last) && receive(&mut shown, 2, now + SHOWN_BODIES_TIME));
        assert!(shown.of_plain.is_empty() && shown.of_members.len() == 2);
    }
}
