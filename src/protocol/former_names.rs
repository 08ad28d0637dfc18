//! Names out of use: of peers that are gone, and of peers that have taken another name.
//!
//! The user may still write to one of them. Without this list the name would be read as another one, such
//! as a longer name or one that looks alike, and a private message would go to the wrong recipient.

use std::collections::VecDeque;

use super::event::PeerInfo;
use crate::limits::FORMER_NAMES_MAX;

/// The reason why a name is out of use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Its bearer left.
    Left,
    /// Its bearer was lost, and has expired if it was a member.
    Gone,
    /// Its bearer has taken another name.
    Renamed,
}

impl Fate {
    /// The end of a sentence about the bearer.
    #[must_use]
    pub fn predicate(self) -> &'static str {
        match self {
            Self::Left => "has left",
            Self::Gone => "is gone",
            Self::Renamed => "has another name now",
        }
    }
}

/// The last such names, each once for its bearer, the latest last.
#[derive(Debug, Default)]
pub(super) struct FormerNames {
    all: VecDeque<(PeerInfo, Fate)>,
}

impl FormerNames {
    /// Adds the name of `peer`. If the list is full, the oldest name of a plain peer is removed first, since
    /// any program that can connect can make up any number of them.
    pub fn add(&mut self, peer: PeerInfo, fate: Fate) {
        if peer.name.looks().is_none() {
            return;
        }
        // A name of plain peers is kept once, whatever their addresses.
        let is_it = |known: &PeerInfo| known.id == peer.id && known.name.bare() == peer.name.bare();
        self.all.retain(|(known, _)| !is_it(known));
        if self.all.len() == FORMER_NAMES_MAX {
            let oldest = self.all.iter().position(|(known, _)| known.id.is_none()).unwrap_or(0);
            self.all.remove(oldest);
        }
        self.all.push_back((PeerInfo { name: peer.name.with_mark(""), ..peer }, fate));
    }

    pub fn iter(&self) -> impl Iterator<Item = &(PeerInfo, Fate)> {
        self.all.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::label::Label;
    use crate::wire::identity::MemberId;

    fn peer(name: &str, id: Option<u128>) -> PeerInfo {
        PeerInfo { name: name.into(), id: id.map(MemberId), address: None }
    }

    #[test]
    fn each_name_of_a_bearer_is_kept_once() {
        let mut names = FormerNames::default();
        names.add(peer("bob", Some(1)), Fate::Renamed);
        names.add(peer("rob", Some(1)), Fate::Renamed);
        names.add(PeerInfo { name: Label::of_place("10.0.0.1:5000"), ..peer("", None) }, Fate::Gone);
        names.add(PeerInfo { name: Label::from("bob").with_mark("#0001"), ..peer("", Some(1)) }, Fate::Left);
        let all: Vec<_> = names.iter().map(|(peer, fate)| (peer.name.to_string(), *fate)).collect();
        assert_eq!(all, [("rob".to_owned(), Fate::Renamed), ("bob".to_owned(), Fate::Left)]);
    }

    #[test]
    fn names_of_plain_peers_push_out_no_member() {
        let mut names = FormerNames::default();
        names.add(peer("bob", Some(1)), Fate::Left);
        for number in 0..2 * FORMER_NAMES_MAX {
            names.add(peer(&format!("nc{number}"), None), Fate::Gone);
        }
        assert_eq!(names.iter().count(), FORMER_NAMES_MAX);
        assert_eq!(names.iter().next().map(|(peer, _)| peer.name.bare()), Some("bob"));
        let last = format!("nc{}", 2 * FORMER_NAMES_MAX - 1);
        assert_eq!(names.iter().last().map(|(peer, _)| peer.name.bare()), Some(&*last));
        for number in 0..2 * FORMER_NAMES_MAX {
            names.add(peer("x", Some(number as u128)), Fate::Gone);
        }
        assert_eq!(names.iter().count(), FORMER_NAMES_MAX);
    }
}
