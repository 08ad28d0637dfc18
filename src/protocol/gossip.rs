//! Gossip about members: when news of newcomers is sent, when digests are compared, when absent members are inquired
//! about, what is replied, and which addresses make sense here.
//!
//! The first member that a newcomer meets sends it the whole list, and sends news of it to the others. Comparing
//! digests finds the members that were not reported in that way: after a change with a few members, and with each that
//! is connected again. So a join costs a group of N some N entries and not N².

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::dialer::Dialer;
use super::ids::MemberKey;
use super::members::{Member, Members, bucket_of};
use crate::limits::{COMPARE_INTERVAL, COMPARE_ROUNDS, MEMBERS_MAX};
use crate::wire::hello::{BUCKETS, Digest, Entry, PeerFrame};
use crate::wire::identity::MemberId;

/// The schedule of news, comparisons and inquiries.
#[derive(Debug, Default)]
pub(super) struct Gossip {
    /// Newcomers of which no news was sent yet.
    news: Vec<MemberKey>,
    /// How many comparisons are left after a change, in growing pauses.
    rounds_left: u32,
    /// How many comparisons are left after a difference, in equal pauses.
    slow_rounds_left: u32,
    is_comparing: bool,
    /// When the next inquiry about absent members is due.
    inquiry_at: Option<Instant>,
    /// The turns of the members to compare digests with, and of those to send an inquiry to. With common turns, the
    /// comparisons between two inquiries could be just as many as let all inquiries go to the same members.
    pub comparisons: Turns,
    pub inquiries: Turns,
}

/// A count that goes up, so that other members are chosen each time.
#[derive(Debug, Default)]
pub(super) struct Turns(usize);

impl Gossip {
    /// Adds a newcomer to the news. Returns whether there was no news before, so that a timer has to be set.
    pub fn add_news(&mut self, key: MemberKey) -> bool {
        if self.news.contains(&key) {
            return false;
        }
        self.news.push(key);
        self.news.len() == 1
    }

    /// Takes out at most `count` newcomers, the first ones first. Returns whether there are more.
    pub fn take_news(&mut self, count: usize) -> (Vec<MemberKey>, bool) {
        let news = self.news.drain(..count.min(self.news.len())).collect();
        (news, !self.news.is_empty())
    }

    /// The table of members has changed. Returns how soon a comparison is to be made, unless one is arranged.
    pub fn handle_change(&mut self) -> Option<Duration> {
        self.rounds_left = COMPARE_ROUNDS;
        (!std::mem::replace(&mut self.is_comparing, true)).then(|| self.pause())
    }

    /// A member knows other members. Returns how soon a comparison is to be made, unless one is arranged.
    pub fn handle_difference(&mut self) -> Option<Duration> {
        // The member that knows more may be any of them.
        self.slow_rounds_left = COMPARE_ROUNDS;
        (!std::mem::replace(&mut self.is_comparing, true)).then(|| self.pause())
    }

    /// A comparison is made. Returns how soon another one is to be made, if one is.
    pub fn handle_comparison(&mut self) -> Option<Duration> {
        match self.rounds_left {
            0 => self.slow_rounds_left = self.slow_rounds_left.saturating_sub(1),
            _ => self.rounds_left -= 1,
        }
        self.is_comparing = self.rounds_left + self.slow_rounds_left > 0;
        self.is_comparing.then(|| self.pause())
    }

    /// After a change the first pauses are short, and each of the last ones is twice as long as the one before.
    fn pause(&self) -> Duration {
        match self.rounds_left {
            0 => COMPARE_INTERVAL / 6,
            rounds => COMPARE_INTERVAL / (1 << rounds.min(4)),
        }
    }

    /// Arranges an inquiry at `at`, unless there is an earlier one. Returns whether a timer has to be set.
    pub fn arrange_inquiry(&mut self, at: Instant) -> bool {
        let is_sooner = self.inquiry_at.is_none_or(|known| at < known);
        if is_sooner {
            self.inquiry_at = Some(at);
        }
        is_sooner
    }

    /// Whether an inquiry is due. Then another one may be arranged.
    pub fn take_inquiry(&mut self, now: Instant) -> bool {
        self.inquiry_at.take_if(|at| now >= *at).is_some()
    }
}

impl Turns {
    /// Returns `count` of `all`, others each time.
    pub fn choose<T: Copy>(&mut self, all: &[T], count: usize) -> Vec<T> {
        self.0 = self.0.wrapping_add(count);
        all.iter().cycle().skip(self.0 % all.len().max(1)).take(count.min(all.len())).copied().collect()
    }
}

/// The number of addresses of a member in an entry.
const ENTRY_ADDRESSES_MAX: usize = 2;

/// The entry of a member for another one, which is owed its messages from number `base` on; `None` if the member has
/// no address where it was met.
pub(super) fn entry(member: &Member, dialer: &Dialer, base: Option<u64>, now: Instant) -> Option<Entry> {
    let addresses: Vec<_> = dialer[member.target].found().take(ENTRY_ADDRESSES_MAX).collect();
    let age = if member.is_here() { 0 } else { now.saturating_duration_since(member.vouched_at).as_secs() };
    let entry = Entry { identity: member.identity, age, base, addresses, name: member.name.to_string() };
    Some(entry).filter(|entry| !entry.addresses.is_empty())
}

/// Frames with the entries of `others` for the member `reader`: first of those that are here, then of those that are
/// absent.
pub(super) fn entries(
    members: &Members,
    dialer: &Dialer,
    others: Vec<MemberKey>,
    reader: MemberKey,
    now: Instant,
) -> Vec<PeerFrame> {
    let (here, absent): (Vec<_>, Vec<_>) = others.into_iter().partition(|other| members[*other].is_here());
    let frames = |keys: Vec<MemberKey>| {
        let entry = |key| {
            let member: &Member = &members[key];
            entry(member, dialer, member.base_for(key, reader), now)
        };
        PeerFrame::of_members(keys.into_iter().filter_map(entry))
    };
    let absent = frames(absent).into_iter().map(|mut frame| {
        frame.absent = std::mem::take(&mut frame.members);
        frame
    });
    frames(here).into_iter().chain(absent).collect()
}

/// The reply to a frame of a comparison or of an inquiry.
#[derive(Debug, Default)]
pub(super) struct Reply {
    /// At most three, each shorter than a frame may be, whatever the member has sent.
    pub frames: Vec<PeerFrame>,
    /// The members whose entries it is sent.
    pub entries: Vec<MemberKey>,
    /// The two do not know the same members.
    pub is_different: bool,
}

/// The reply to the frame of a comparison or of an inquiry, which the member `from` sent.
///
/// A comparison has up to four frames: a digest of all ids; the digests of 16 buckets, where that differs; the ids in
/// the buckets that differ; the entries that either side lacks, and an inquiry about those that the other lacks.
pub(super) fn reply(members: &mut Members, from: MemberKey, frame: &PeerFrame) -> Reply {
    let (mut answer, mut is_different) = (PeerFrame::default(), false);
    let (mut inquiry, mut left) = (PeerFrame::default(), PeerFrame::default());
    if let Some(theirs) = frame.digest
        && members.digest() != theirs
    {
        is_different = true;
        answer.buckets = members.buckets().to_vec();
    }
    if let Ok(theirs) = <[Digest; BUCKETS]>::try_from(&*frame.buckets) {
        is_different = true;
        let ours = members.buckets();
        let differing = (0..BUCKETS).filter(|digit| ours[*digit] != theirs[*digit]);
        answer.bucket = differing.map(|digit| (digit, members.ids_in(digit))).collect();
    }
    let mut reported: BTreeSet<MemberId> = frame.inquiry.iter().copied().collect();
    for (digit, ids) in &frame.bucket {
        let theirs: BTreeSet<_> = ids.iter().copied().filter(|id| bucket_of(*id) == *digit).collect();
        let ours: BTreeSet<_> = members.ids_in(*digit).into_iter().collect();
        inquiry.inquiry.extend(theirs.difference(&ours));
        reported.extend(ours.difference(&theirs));
    }
    let known: BTreeSet<_> = reported.iter().chain(&inquiry.inquiry).copied().collect();
    left.left = known.iter().filter_map(|id| Some((*id, members.token_of(*id)?))).collect();
    inquiry.inquiry.retain(|id| members.token_of(*id).is_none());
    // No group has more members.
    inquiry.inquiry.truncate(MEMBERS_MAX);
    let entries = reported.iter().filter_map(|id| members.find(*id)).filter(|other| *other != from);
    let frames = [answer, inquiry, left].into_iter().filter(|frame| *frame != PeerFrame::default());
    Reply { entries: entries.collect(), frames: frames.collect(), is_different }
}

/// An address that the member at `reporter` reports, if it can mean the same place here.
pub(super) fn seen_from(reporter: SocketAddr, mut address: SocketAddr) -> Option<SocketAddr> {
    address.set_ip(address.ip().to_canonical());
    let ip = address.ip();
    let is_nowhere = address.port() == 0 || ip.is_unspecified() || ip.is_multicast();
    let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
    if is_nowhere || is_broadcast || ip.is_loopback() && !reporter.ip().is_loopback() {
        return None;
    }
    match (&mut address, reporter) {
        // The scope of a link-local address is the reader's own.
        (SocketAddr::V6(address), SocketAddr::V6(reporter)) if address.ip().is_unicast_link_local() => {
            address.set_scope_id(reporter.scope_id());
            reporter.ip().is_unicast_link_local().then_some(SocketAddr::V6(*address))
        }
        (SocketAddr::V6(address), _) if address.ip().is_unicast_link_local() => None,
        (SocketAddr::V6(address), _) => {
            address.set_scope_id(0);
            Some(SocketAddr::V6(*address))
        }
        (SocketAddr::V4(address), reporter) if address.ip().is_link_local() => {
            let is_near = matches!(reporter.ip(), IpAddr::V4(ip) if ip.is_link_local());
            is_near.then_some(SocketAddr::V4(*address))
        }
        (SocketAddr::V4(address), _) => Some(SocketAddr::V4(*address)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_that_make_sense_from_here_are_dialled() {
        #[track_caller]
        fn check(reporter: &str, address: &str, expected: Option<&str>) {
            let parse = |text: &str| -> SocketAddr { text.parse().expect("an address in a test") };
            assert_eq!(seen_from(parse(reporter), parse(address)), expected.map(parse), "{address}");
        }
        let (near, far, linked) = ("127.0.0.1:9", "192.168.1.7:9", "[fe80::1%3]:9");
        for reporter in [near, far, linked] {
            for ordinary in ["192.168.1.9:5000", "10.0.0.1:1", "[2001:db8::1]:5000"] {
                check(reporter, ordinary, Some(ordinary));
            }
            for nowhere in ["0.0.0.0:5000", "[::]:5000", "10.0.0.1:0", "224.0.0.1:5000", "[ff02::1]:5000"] {
                check(reporter, nowhere, None);
            }
            check(reporter, "255.255.255.255:5000", None);
            check(reporter, "[::ffff:10.0.0.1]:5000", Some("10.0.0.1:5000"));
            check(reporter, "[::ffff:0.0.0.0]:5000", None);
        }
        for local in ["127.0.0.1:5000", "127.9.9.9:5000", "[::1]:5000"] {
            check(near, local, Some(local));
            check("[::1]:9", local, Some(local));
            check(far, local, None);
            check(linked, local, None);
        }
        check(near, "[::ffff:127.0.0.1]:5000", Some("127.0.0.1:5000"));
        check(far, "[::ffff:127.0.0.1]:5000", None);
        check(near, "[fe80::2]:5000", None);
        check(far, "[fe80::2%1]:5000", None);
        check(linked, "[fe80::2%1]:5000", Some("[fe80::2%3]:5000"));
        check(linked, "169.254.0.1:5000", None);
        check("169.254.0.2:9", "169.254.0.1:5000", Some("169.254.0.1:5000"));
        check(far, "[2001:db8::1%7]:5000", Some("[2001:db8::1]:5000"));
    }

    #[test]
    fn others_are_asked_each_time() {
        let mut turns = Turns::default();
        let chosen: Vec<_> = (0..4).flat_map(|_| turns.choose(&[1, 2, 3, 4, 5], 2)).collect();
        assert_eq!(chosen.iter().collect::<std::collections::BTreeSet<_>>().len(), 5, "{chosen:?}");
        assert_eq!((turns.choose(&[7], 3), turns.choose::<u8>(&[], 3)), (vec![7], vec![]));
    }

    #[test]
    fn a_change_is_followed_by_a_few_comparisons() {
        let mut gossip = Gossip::default();
        let first = gossip.handle_change();
        assert_eq!((first, gossip.handle_change()), (Some(COMPARE_INTERVAL / 16), None));
        let pauses: Vec<_> = std::iter::from_fn(|| gossip.handle_comparison()).collect();
        assert_eq!(pauses.len(), COMPARE_ROUNDS as usize - 1);
        assert!(pauses.ends_with(&[16, 8, 4, 2].map(|part| COMPARE_INTERVAL / part)), "{pauses:?}");
        assert_eq!(gossip.handle_difference(), Some(COMPARE_INTERVAL / 6), "all of them are asked");
        let pauses: Vec<_> = std::iter::from_fn(|| gossip.handle_comparison()).collect();
        assert_eq!(pauses, [COMPARE_INTERVAL / 6; COMPARE_ROUNDS as usize - 1]);
        assert_eq!(gossip.handle_change(), first, "and again");
    }

    #[test]
    fn news_are_told_once() {
        let (mut gossip, one) = (Gossip::default(), MemberKey::FIRST);
        assert!(gossip.add_news(one) && !gossip.add_news(one) && !gossip.add_news(one.next()));
        assert_eq!(gossip.take_news(1), (vec![one], true));
        assert_eq!(gossip.take_news(5), (vec![one.next()], false));
    }
}
