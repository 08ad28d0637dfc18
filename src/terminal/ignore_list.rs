//! The ignore list: peers whose messages and events are hidden.

use std::collections::VecDeque;
use std::net::SocketAddr;

use super::speakers::Speaker;
use crate::limits::MEMBERS_MAX;
use crate::protocol::recipient::{self, Attendance, Candidate, Extent};
use crate::protocol::roster::NotFound;
use crate::protocol::{Diagnostic, Event, Host, Label, PeerInfo};

/// The list of ignored peers; only the user adds to it.
///
/// A member is identified by its id, and a plain peer by its connection, whatever its name. A peer that comes later
/// from the same host, under a name that looks like the ignored one's, is ignored as well; so is a peer without a
/// name from the host of one that had none.
#[derive(Debug, Default)]
pub struct IgnoreList {
    all: Vec<Ignored>,
}

#[derive(Debug)]
struct Ignored {
    /// The peer as it was when the user ignored it.
    peer: PeerInfo,
    /// Its latest name.
    name: Label,
    /// The members and connections that it was, the latest last; at most [`MEMBERS_MAX`].
    runs: VecDeque<Speaker>,
}

impl IgnoreList {
    /// Adds a peer. Returns whether it was not on the list.
    pub fn add(&mut self, peer: PeerInfo) -> bool {
        let is_new = !self.holds(&peer);
        if is_new {
            self.all.push(Ignored { name: peer.name.clone(), runs: [Speaker::of(&peer)].into(), peer });
        }
        is_new
    }

    /// Removes the peer that was called `name` when it was added, and returns it.
    ///
    /// # Errors
    ///
    /// No ignored peer has this name, or several do.
    pub fn remove_named(&mut self, name: &str) -> Result<PeerInfo, NotFound> {
        let candidate =
            |ignored: &Ignored| Candidate { peer: ignored.peer.clone(), attendance: Attendance::Here };
        let all: Vec<_> = self.all.iter().map(candidate).collect();
        let (peer, _) = recipient::find(name, &all, Extent::Whole)?;
        self.remove(&peer);
        Ok(peer)
    }

    /// Removes a peer, whatever its name was when it was added. Returns whether it was on the list.
    pub fn remove(&mut self, peer: &PeerInfo) -> bool {
        let count = self.all.len();
        self.all.retain(|ignored| !ignored.is(peer));
        self.all.len() < count
    }

    /// Whether a peer is on the list.
    #[must_use]
    pub fn holds(&self, peer: &PeerInfo) -> bool {
        self.all.iter().any(|ignored| ignored.is(peer))
    }

    /// Whether an event is hidden: it is about a message or an action of an ignored peer. Events about the
    /// user's own messages are always shown. New names and new ids of ignored peers are noted.
    pub fn hides(&mut self, event: &Event) -> bool {
        if let Event::Joined { peer } | Event::Appeared { peer } = event {
            self.all.iter_mut().for_each(|ignored| ignored.recognize(peer));
        }
        if let Event::Renamed { peer, .. } = event {
            let renamed = self.all.iter_mut().filter(|ignored| ignored.is(peer));
            renamed.for_each(|ignored| ignored.name = peer.name.clone());
        }
        let Event::Diagnostic(diagnostic) = event else {
            return event.peer().is_some_and(|peer| self.holds(peer));
        };
        match diagnostic {
            // A connection that has sent nothing could be anybody's from that host.
            Diagnostic::Accepted { address } | Diagnostic::Visited { address, .. } => {
                self.holds_plain_of(host(address))
            }
            Diagnostic::MoreVisitors { host, .. } => self.holds_plain_of(*host),
            Diagnostic::Forgotten { peer } => self.holds(peer),
            Diagnostic::NamedLost { .. }
            | Diagnostic::Undelivered { .. }
            | Diagnostic::Unanswered { .. }
            | Diagnostic::Connected { .. }
            | Diagnostic::Assumed { .. }
            | Diagnostic::Unmet { .. }
            | Diagnostic::Unreachable { .. }
            | Diagnostic::Oneself { .. }
            | Diagnostic::NameTaken { .. }
            | Diagnostic::Alone { .. }
            | Diagnostic::CannotAccept(_) => false,
        }
    }

    /// The name of each peer as it was when it was added, in the form that a command accepts.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.all.iter().map(|ignored| ignored.peer.name.to_string()).collect()
    }

    /// Whether a plain peer from this host is on the list.
    fn holds_plain_of(&self, from: Host) -> bool {
        let plain = self.all.iter().filter(|ignored| ignored.peer.id.is_none());
        plain.filter_map(|ignored| ignored.peer.address.as_ref()).any(|address| host(address) == from)
    }
}

impl Ignored {
    fn is(&self, peer: &PeerInfo) -> bool {
        let are_plain = self.peer.id.is_none() && peer.id.is_none();
        self.runs.contains(&Speaker::of(peer)) || are_plain && self.looks_like(peer)
    }

    /// Adds a peer that has come, if it seems to be the same person.
    fn recognize(&mut self, peer: &PeerInfo) {
        let run = Speaker::of(peer);
        let may_be = peer.id.is_some() || self.peer.id.is_none();
        if may_be && !self.runs.contains(&run) && self.looks_like(peer) {
            if self.runs.len() == MEMBERS_MAX {
                self.runs.pop_front();
            }
            self.runs.push_back(run);
        }
    }

    /// Whether `peer` comes from the same host and has a name that looks like one of its names, or none if it has
    /// none.
    fn looks_like(&self, peer: &PeerInfo) -> bool {
        let is_like = |name: &Label| match (name.looks(), peer.name.looks()) {
            (None, None) => true,
            _ => name.is_like(&peer.name),
        };
        let hosts = (self.peer.address.as_ref().map(host), peer.address.as_ref().map(host));
        matches!(hosts, (Some(one), Some(other)) if one == other)
            && (is_like(&self.peer.name) || is_like(&self.name))
    }
}

fn host(address: &SocketAddr) -> Host {
    Host::of(address.ip().to_canonical())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::protocol::LostReason;
    use crate::wire::identity::MemberId;

    fn member(name: &str, id: u128) -> PeerInfo {
        PeerInfo { name: name.into(), id: Some(MemberId(id)), address: None }
    }

    fn plain(name: &str, host: u8, port: u16) -> PeerInfo {
        let address = ([10, 0, 0, host], port).into();
        PeerInfo { name: name.into(), id: None, address: Some(address) }
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
        let nameless =
            |port| PeerInfo { name: Label::of_place(format!("10.0.0.3:{port}")), ..plain("", 3, port) };
        assert!(ignored.add(nameless(1)) && !ignored.add(nameless(2)) && ignored.holds(&nameless(3)));
        assert!(!ignored.holds(&plain("bob", 3, 2)), "it has a name");
    }

    #[test]
    fn a_member_that_comes_again_is_known_by_its_host_and_looks() {
        let mut ignored = IgnoreList::default();
        let at = |name, host, id| PeerInfo { id: Some(MemberId(id)), ..plain(name, host, 5000) };
        let bob = |id| at("bob", 1, id);
        let joins = |ignored: &mut IgnoreList, peer: PeerInfo| ignored.hides(&Event::Joined { peer });
        assert!(!joins(&mut ignored, bob(2)));
        ignored.add(bob(1));
        assert!(!ignored.holds(&bob(2)), "it was here before");
        assert!(joins(&mut ignored, at("B\u{43e}b", 1, 3)));
        for other in [at("bob", 2, 4), at("dan", 1, 4), member("bob", 4)] {
            assert!(!joins(&mut ignored, other));
        }
        // Under its name of now, too.
        assert!(ignored.hides(&Event::Renamed { peer: at("rob", 1, 3), before: "bob".into() }));
        assert!(joins(&mut ignored, at("rob", 1, 5)) && joins(&mut ignored, bob(6)));
        assert!(ignored.remove_named("bob").is_ok());
        assert!([1, 3, 5, 6].into_iter().all(|id| !ignored.holds(&bob(id))));
        // A plain peer can turn out to be a member.
        ignored.add(plain("bob", 1, 1));
        // On another connection, too, any name of it is hidden.
        assert!(ignored.hides(&Event::Appeared { peer: plain("bob", 1, 2) }));
        assert!(ignored.holds(&plain("zed", 1, 2)) && !ignored.holds(&plain("zed", 1, 3)));
        assert!(joins(&mut ignored, bob(7)) && !ignored.holds(&bob(6)));
        for id in 8..8 + MEMBERS_MAX as u128 {
            assert!(joins(&mut ignored, bob(id)));
        }
        assert_eq!(ignored.all[0].runs.len(), MEMBERS_MAX);
    }

    #[test]
    fn connections_from_the_host_of_an_ignored_plain_peer_are_hidden() {
        let mut ignored = IgnoreList::default();
        let nameless = |host| PeerInfo { name: Label::of_place("10.0.0.1:1"), ..plain("", host, 1) };
        let is_told = |ignored: &mut IgnoreList| {
            let address = SocketAddr::from(([10, 0, 0, 1], 2));
            !ignored.hides(&Event::Diagnostic(Diagnostic::Accepted { address }))
                && !ignored.hides(&Event::Diagnostic(Diagnostic::Visited {
                    address,
                    why: LostReason::Stalled(Duration::ZERO),
                }))
                && !ignored.hides(&Event::Diagnostic(Diagnostic::MoreVisitors {
                    host: Host::of(address.ip()),
                    count: 1,
                }))
        };
        ignored.add(nameless(2));
        ignored.add(member("bob", 1));
        assert!(is_told(&mut ignored));
        ignored.add(nameless(1));
        assert!(!is_told(&mut ignored));
    }

    #[test]
    fn events_of_ignored_peers_are_hidden_except_about_own_messages() {
        let mut ignored = IgnoreList::default();
        ignored.add(member("bob", 1));
        let peer = || member("rob", 1);
        for event in [
            Event::Joined { peer: peer() },
            Event::Back { peer: peer() },
            Event::Renamed { peer: peer(), before: "bob".into() },
            Event::Left { peer: peer() },
            Event::Diagnostic(Diagnostic::Forgotten { peer: peer() }),
        ] {
            assert!(ignored.hides(&event), "{event:?}");
        }
        assert!(!ignored.hides(&Event::Diagnostic(Diagnostic::Undelivered { peer: peer(), count: 1 })));
        assert!(!ignored.hides(&Event::Left { peer: member("bob", 2) }));
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
