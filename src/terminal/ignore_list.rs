//! The ignore list: peers whose messages and events are hidden.

use std::net::IpAddr;

use crate::protocol::recipient::{self, Attendance, Candidate, Extent};
use crate::protocol::roster::NotFound;
use crate::protocol::{Notice, Who};

/// The list of ignored peers; only the user adds to it. A member is identified by its id. A plain peer is
/// identified by its connection, whatever its name there, and on later connections by its host and the skeleton
/// of its name.
#[derive(Debug, Default)]
pub struct IgnoreList {
    all: Vec<Who>,
}

impl IgnoreList {
    /// Adds a peer. Returns whether it was not on the list.
    pub fn add(&mut self, who: Who) -> bool {
        let is_new = !self.holds(&who);
        if is_new {
            self.all.push(who);
        }
        is_new
    }

    /// Removes the peer that was called `name` when it was added, and returns it.
    ///
    /// # Errors
    ///
    /// No ignored peer has this name, or several do.
    pub fn remove_named(&mut self, name: &str) -> Result<Who, NotFound> {
        let candidate = |who: &Who| Candidate { who: who.clone(), attendance: Attendance::Here };
        let all: Vec<_> = self.all.iter().map(candidate).collect();
        let (who, _) = recipient::find(name, &all, Extent::Whole)?;
        self.remove(&who);
        Ok(who)
    }

    /// Removes a peer, whatever its name was when it was added. Returns whether it was on the list.
    pub fn remove(&mut self, who: &Who) -> bool {
        let count = self.all.len();
        self.all.retain(|ignored| !is_same(ignored, who));
        self.all.len() < count
    }

    /// Whether a peer is on the list.
    #[must_use]
    pub fn holds(&self, who: &Who) -> bool {
        self.all.iter().any(|ignored| is_same(ignored, who))
    }

    /// Whether an event is hidden: it is about a message or an action of an ignored peer. Events about the
    /// user's own messages are always shown.
    #[must_use]
    pub fn hides(&self, event: &Notice) -> bool {
        match event {
            Notice::Message { from: who, .. }
            | Notice::Joined { who }
            | Notice::Back { who }
            | Notice::Renamed { who, .. }
            | Notice::Missed { who, .. }
            | Notice::Left { who }
            | Notice::Lost { who, .. }
            | Notice::Appeared { who }
            | Notice::Identified { before: who }
            | Notice::Forgotten { who } => self.holds(who),
            Notice::Present
            | Notice::NamedLost { .. }
            | Notice::Visited { .. }
            | Notice::MoreVisitors { .. }
            | Notice::Accepted { .. }
            | Notice::Connected { .. }
            | Notice::Unreachable { .. }
            | Notice::Oneself { .. }
            | Notice::Undelivered { .. }
            | Notice::Silent { .. }
            | Notice::NameTaken { .. }
            | Notice::Impostor { .. }
            | Notice::Unheard { .. }
            | Notice::CannotAccept(_) => false,
        }
    }

    /// The name of each peer as it was when it was added, in the form that a command accepts.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.all.iter().map(|who| who.name.to_string()).collect()
    }
}

fn is_same(ignored: &Who, who: &Who) -> bool {
    let host = |who: &Who| -> Option<IpAddr> { who.address.map(|address| address.ip().to_canonical()) };
    match (ignored.id, who.id) {
        (None, None) => {
            let is_connection = ignored.address.is_some() && ignored.address == who.address;
            is_connection || host(ignored) == host(who) && ignored.name.is_like(&who.name)
        }
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::Label;
    use crate::protocol::peer_frame::Word;

    fn member(name: &str, id: u128) -> Who {
        Who { name: name.into(), id: Some(Word(id)), address: None }
    }

    fn plain(name: &str, host: u8, port: u16) -> Who {
        let address = ([10, 0, 0, host], port).into();
        Who { name: name.into(), id: None, address: Some(address) }
    }

    #[test]
    fn a_member_is_known_by_its_id() {
        let mut ignored = IgnoreList::default();
        assert!(ignored.add(member("bob", 1)) && !ignored.add(member("robert", 1)));
        assert!(ignored.holds(&member("robert", 1)));
        assert!(!ignored.holds(&member("bob", 2)) && !ignored.holds(&plain("bob", 1, 1)));
        assert!(ignored.remove_named("robert").is_err());
        assert_eq!(ignored.remove_named("BOB"), Ok(member("bob", 1)));
        assert!(!ignored.holds(&member("robert", 1)));
        ignored.add(member("bob", 1));
        assert!(ignored.remove(&member("robert", 1)) && !ignored.remove(&member("robert", 1)));
    }

    #[test]
    fn a_plain_peer_is_known_by_its_connection_and_then_by_its_host_and_looks() {
        let mut ignored = IgnoreList::default();
        assert!(ignored.add(plain("nc", 1, 1)));
        for same in [plain("other", 1, 1), plain("nc", 1, 2), plain("NC", 1, 2), plain("n\u{441}", 1, 2)] {
            assert!(ignored.holds(&same), "{same:?}");
        }
        for other in [plain("nc", 2, 1), plain("other", 1, 2), member("nc", 1)] {
            assert!(!ignored.holds(&other), "{other:?}");
        }
        let nameless = |port| Who { name: Label::of_place("10.0.0.3"), ..plain("", 3, port) };
        assert!(ignored.add(nameless(1)) && !ignored.add(nameless(1)) && ignored.add(nameless(2)));
    }

    #[test]
    fn nothing_is_told_of_the_ignored_but_what_concerns_ones_own_messages() {
        let mut ignored = IgnoreList::default();
        ignored.add(member("bob", 1));
        let who = || member("rob", 1);
        for event in [
            Notice::Joined { who: who() },
            Notice::Back { who: who() },
            Notice::Renamed { who: who(), before: "bob".into() },
            Notice::Left { who: who() },
            Notice::Forgotten { who: who() },
        ] {
            assert!(ignored.hides(&event), "{event:?}");
        }
        assert!(!ignored.hides(&Notice::Undelivered { who: who(), count: 1 }));
        assert!(!ignored.hides(&Notice::Left { who: member("bob", 2) }));
    }

    #[test]
    fn of_two_that_were_called_the_same_one_must_be_meant() {
        let mut ignored = IgnoreList::default();
        ignored.add(member("bob", 0x4aa6 << 112));
        ignored.add(member("Bob", 0x77c1 << 112));
        ignored.add(member("bob", 0x1111 << 112));
        assert_eq!(ignored.names(), ["bob", "Bob", "bob"]);
        let several = vec!["bob#4aa6".to_owned(), "bob#1111".to_owned()];
        assert_eq!(ignored.remove_named("bob"), Err(NotFound::Several(several)));
        assert!(ignored.remove_named("Bob").is_ok() && ignored.remove_named("bob#1111").is_ok());
        assert_eq!(ignored.remove_named("\"bob\""), Ok(member("bob", 0x4aa6 << 112)));
    }
}
