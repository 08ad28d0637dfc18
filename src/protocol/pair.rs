//! One connection a pair: which of several links between two members is closed, and by which side.
//!
//! Both sides apply the same rule, so they keep the same link: of two that different sides dialled, the one that the
//! greater id dialled; of two that the same side dialled, the newer one. The side that dialled the surplus link closes
//! it, after it has received something on the better one since both are connected, and the list of all members if it
//! has requested that on the surplus one.

use std::time::Instant;

use super::ids::ClientId;

/// One of the links between us and another member.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairLink {
    pub id: ClientId,
    pub is_dialled_by_us: bool,
    /// When the connection was made.
    pub connected_at: Instant,
    /// When it was established, after the handshake.
    pub established_at: Instant,
    /// When bytes were received on it last.
    pub received_at: Instant,
    /// The other side has sent the number of its next message on it.
    pub has_started: bool,
    /// The list of all members is still being received on it.
    pub awaits_list: bool,
}

/// The link that we have to close, of `links`, the oldest first. `is_other_greater`: the other side has the greater id.
pub(super) fn surplus(links: &[PairLink], is_other_greater: bool) -> Option<ClientId> {
    let is_better = |(index, other): (usize, &PairLink), (surplus, one): (usize, &PairLink)| {
        let is_preferred = if other.is_dialled_by_us { index > surplus } else { is_other_greater };
        index != surplus && is_preferred && other.has_started && other.received_at >= one.connected_at
    };
    let is_surplus = |one: (usize, &PairLink)| {
        one.1.is_dialled_by_us
            && !one.1.awaits_list
            && links.iter().enumerate().any(|other| is_better(other, one))
    };
    // One at a time, for each of them may be the better one of another.
    links.iter().enumerate().find(|one| is_surplus(*one)).map(|(_, link)| link.id)
}

/// The links on which nothing was received since the last one was connected.
pub(super) fn silent(links: &[PairLink]) -> impl Iterator<Item = ClientId> {
    let last = links.iter().map(|link| link.connected_at).max();
    links.iter().filter(move |link| Some(link.received_at) < last).map(|link| link.id)
}

/// The links that are dead if the other side had no other one than `only` when that was made.
pub(super) fn dead(links: &[PairLink], only: ClientId) -> Vec<ClientId> {
    let made_at = links.iter().find(|link| link.id == only).map(|link| link.connected_at);
    let is_dead = |link: &&PairLink| link.id != only && Some(link.established_at) <= made_at;
    links.iter().filter(is_dead).map(|link| link.id).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Links from words like `ours:0:3`: the side that dialled, when it was made, and when something was received.
    /// `+` behind it: the other side has started. `list`: we dialled it and await the list of members.
    fn links(words: &str) -> Vec<PairLink> {
        let start = Instant::now();
        let link = |(slot, word): (usize, &str)| {
            let parts: Vec<_> = word.trim_end_matches('+').split(':').collect();
            let at = |text: &str| start + Duration::from_secs(text.parse().expect("seconds"));
            PairLink {
                id: ClientId(slot),
                is_dialled_by_us: parts[0] != "theirs",
                connected_at: at(parts[1]),
                established_at: at(parts[1]),
                received_at: at(parts[2]),
                has_started: word.ends_with('+'),
                awaits_list: parts[0] == "list",
            }
        };
        words.split(' ').enumerate().map(link).collect()
    }

    #[test]
    fn the_dialler_of_the_surplus_link_closes_it_once_the_better_one_works() {
        for (words, if_smaller, if_greater) in [
            ("ours:0:9+", None, None),
            ("theirs:0:9+ theirs:1:9+", None, None),
            // Each side dialled one: that of the greater id stays.
            ("ours:0:9+ theirs:1:9+", Some(0), None),
            ("theirs:0:9+ ours:1:9+", Some(1), None),
            ("theirs:0:0+ ours:1:9+", None, None),
            ("theirs:0:9 ours:1:9+", None, None),
            ("list:0:9+ theirs:1:9+", None, None),
            // One side dialled both: the newer one stays.
            ("ours:0:9+ ours:1:9+", Some(0), Some(0)),
            ("ours:0:9+ ours:1:9", None, None),
            ("ours:2:9+ ours:2:1+", None, None),
            ("ours:0:9+ ours:1:9+ theirs:2:9+", Some(0), Some(0)),
        ] {
            let found = |is_other_greater| surplus(&links(words), is_other_greater).map(|id| id.0);
            assert_eq!((found(true), found(false)), (if_smaller, if_greater), "{words}");
        }
    }

    #[test]
    fn links_that_were_silent_or_that_the_other_side_does_not_know_are_dead() {
        for (words, is_silent, is_dead) in [
            ("ours:0:0+", vec![], vec![]),
            ("ours:0:3+ theirs:4:4+", vec![0], vec![0]),
            ("ours:0:5+ theirs:4:4+", vec![], vec![0]),
            ("ours:5:5+ theirs:4:4+", vec![1], vec![]),
        ] {
            let links = links(words);
            let silent: Vec<_> = silent(&links).map(|id| id.0).collect();
            let dead: Vec<_> = dead(&links, ClientId(links.len() - 1)).iter().map(|id| id.0).collect();
            assert_eq!((silent, dead), (is_silent, is_dead), "{words}");
        }
    }
}
