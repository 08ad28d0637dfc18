//! The order in which peers last sent a message, for `/reply` and for tab completion.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;

use crate::limits::SPEAKERS_MAX;
use crate::protocol::{Event, MemberId, PeerInfo};

/// The recent senders of messages, at most [`SPEAKERS_MAX`].
#[derive(Debug, Default)]
pub struct Speakers {
    /// The number of each sender's last message.
    last: BTreeMap<Speaker, u64>,
    /// The number of messages so far.
    count: u64,
    /// The sender of the last private message.
    private: Option<PeerInfo>,
}

/// The key of a sender, which does not change with its name: its id, or else its address.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Speaker {
    /// A member, by its id.
    Member(MemberId),
    /// A plain peer, by the address of its connection.
    Plain(SocketAddr),
    /// A peer of which only the name is known.
    Named(Rc<str>),
}

impl Speaker {
    /// The key of a peer.
    #[must_use]
    pub fn of(peer: &PeerInfo) -> Self {
        match (peer.id, peer.address) {
            (Some(id), _) => Self::Member(id),
            (None, Some(address)) => Self::Plain(address),
            (None, None) => Self::Named(peer.name.bare().into()),
        }
    }
}

impl Speakers {
    /// Records the sender of a message.
    pub fn handle_event(&mut self, event: &Event) {
        let Event::Message { from, is_private, .. } = event else { return };
        if *is_private {
            self.private = Some(from.clone());
        }
        self.count += 1;
        self.last.insert(Speaker::of(from), self.count);
        if self.last.len() > SPEAKERS_MAX {
            // The least recent half is removed, so that this is rare.
            let mut numbers: Vec<u64> = self.last.values().copied().collect();
            let (_, middle, _) = numbers.select_nth_unstable(SPEAKERS_MAX / 2);
            let middle = *middle;
            self.last.retain(|_, number| *number > middle);
        }
    }

    /// The number of the last message of `peer`, greater for a later one; 0 if there is none.
    #[must_use]
    pub fn last_message(&self, peer: &PeerInfo) -> u64 {
        self.last.get(&Speaker::of(peer)).copied().unwrap_or(0)
    }

    /// The sender of the last private message, under its name at that time.
    #[must_use]
    pub fn last_private(&self) -> Option<&PeerInfo> {
        self.private.as_ref()
    }

    /// Whether two are the same peer, whatever their names.
    #[must_use]
    pub fn is_same(one: &PeerInfo, other: &PeerInfo) -> bool {
        Speaker::of(one) == Speaker::of(other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> PeerInfo {
        PeerInfo { name: "bob".into(), id: None, address: Some(([127, 0, 0, 1], port).into()) }
    }

    fn said(from: PeerInfo, is_private: bool) -> Event {
        Event::Message { at: None, from, text: "hi".into(), is_past: false, is_private }
    }

    #[test]
    fn later_senders_have_greater_numbers() {
        let mut speakers = Speakers::default();
        for port in [1, 2, 1] {
            speakers.handle_event(&said(peer(port), false));
        }
        assert!(speakers.last_message(&peer(1)) > speakers.last_message(&peer(2)));
        assert_eq!(speakers.last_message(&peer(3)), 0);
        assert_eq!(speakers.last_private(), None);
        speakers.handle_event(&said(peer(2), true));
        speakers.handle_event(&said(peer(3), false));
        assert_eq!(speakers.last_private(), Some(&peer(2)));
    }

    #[test]
    fn of_many_the_last_are_kept() {
        let mut speakers = Speakers::default();
        for port in 0..=SPEAKERS_MAX as u16 {
            speakers.handle_event(&said(peer(port), false));
        }
        assert!(speakers.last.len() <= SPEAKERS_MAX);
        assert_eq!(speakers.last_message(&peer(0)), 0);
        assert_ne!(speakers.last_message(&peer(SPEAKERS_MAX as u16)), 0);
    }
}
