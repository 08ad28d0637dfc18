//! The peers of which the reader of the JSON knows that they are here, so that every `joined` and `back` has
//! its `left` or `lost`, and no other event comes in between under a name that the reader does not know.

use std::collections::BTreeMap;

use super::speakers::Speaker;
use crate::protocol::{Event, Label, PeerInfo};

/// The peers that are here, each until its end. There are no more of them than members and connections.
///
/// The value is the name that the reader knows. It is `None` for a peer that came while it was ignored, of
/// which the reader knows nothing.
#[derive(Debug, Default)]
pub struct JsonPeers {
    names: BTreeMap<Speaker, Option<Label>>,
}

/// What an event means for the presence of its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Effect {
    Arrival,
    End,
    /// The peer stays, under the same name or another.
    Stay,
}

impl JsonPeers {
    /// The events to show in place of `event`, in order: one that the reader has missed, and the event itself.
    /// `is_ignored` tells whether the user ignores its peer.
    ///
    /// An end is shown where the arrival was, even if the peer was ignored since. A peer that came while it
    /// was ignored has joined with the first event that is shown of it.
    #[must_use]
    pub fn handle_event<'a>(
        &mut self,
        event: &'a Event,
        is_ignored: bool,
    ) -> (Option<Event>, Option<&'a Event>) {
        let shown = Some(event).filter(|_| !is_ignored);
        let Some((peer, effect)) = effect(event) else { return (None, shown) };
        let speaker = Speaker::of(peer);
        let name = || peer.name.clone();
        if effect == Effect::Arrival {
            self.names.insert(speaker, (!is_ignored).then(name));
            return (None, shown);
        }
        let Some(known) = self.names.get(&speaker).cloned() else { return (None, shown) };
        if effect == Effect::End {
            self.names.remove(&speaker);
            return (known.as_ref().and_then(|before| renamed(event, before)), known.and(Some(event)));
        }
        if is_ignored {
            return (None, None);
        }
        let missing = match &known {
            None => Some(Event::Joined { peer: peer.clone() }),
            Some(before) => renamed(event, before),
        };
        if known.is_none() || missing.is_some() || matches!(event, Event::Renamed { .. }) {
            self.names.insert(speaker, Some(name()));
        }
        // Whoever joins only now had no other name before.
        let is_news = known.is_some() || !matches!(event, Event::Renamed { .. });
        (missing, shown.filter(|_| is_news))
    }
}

/// The change of name that the reader has to know of before `event`, if it knows the peer as `before`.
fn renamed(event: &Event, before: &Label) -> Option<Event> {
    let (peer, _) = effect(event)?;
    // A message of no shape is under the address, whatever its sender is called.
    let is_nameless = matches!(event, Event::Message { .. }) && peer.name.looks().is_none();
    let is_known = peer.name == *before || is_nameless || matches!(event, Event::Renamed { .. });
    (!is_known).then(|| Event::Renamed { peer: peer.clone(), before: before.clone() })
}

fn effect(event: &Event) -> Option<(&PeerInfo, Effect)> {
    match event {
        Event::Joined { peer } | Event::Appeared { peer } | Event::Back { peer } => {
            Some((peer, Effect::Arrival))
        }
        Event::Left { peer } | Event::Lost { peer, .. } | Event::Identified { before: peer } => {
            Some((peer, Effect::End))
        }
        Event::Message { from: peer, .. } | Event::Renamed { peer, .. } | Event::Missed { peer, .. } => {
            Some((peer, Effect::Stay))
        }
        Event::Present
        | Event::NamedLost { .. }
        | Event::Visited { .. }
        | Event::MoreVisitors { .. }
        | Event::Accepted { .. }
        | Event::Connected { .. }
        | Event::Assumed { .. }
        | Event::Unmet { .. }
        | Event::Unreachable { .. }
        | Event::Oneself { .. }
        | Event::Undelivered { .. }
        | Event::Unanswered { .. }
        | Event::Forgotten { .. }
        | Event::NameTaken { .. }
        | Event::Impostor { .. }
        | Event::Alone { .. }
        | Event::CannotAccept(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::LostReason;
    use crate::wire::hello::MemberId;

    fn event(kind: &str, peer: PeerInfo) -> Event {
        match kind {
            "joined" => Event::Joined { peer },
            "appeared" => Event::Appeared { peer },
            "back" => Event::Back { peer },
            "left" => Event::Left { peer },
            "lost" => Event::Lost { peer, why: LostReason::Overrun },
            "identified" => Event::Identified { before: peer },
            "renamed" => Event::Renamed { peer, before: "x".into() },
            "forgotten" => Event::Forgotten { peer },
            _ => {
                let (text, at) = ("hi".to_owned(), None);
                Event::Message { at, from: peer, text, is_past: false, is_private: false }
            }
        }
    }

    fn line(event: &Event) -> String {
        match event {
            Event::Renamed { peer, before } => format!("{} renamed {}", &**before, &*peer.name),
            Event::Joined { peer } | Event::Appeared { peer } => format!("{} joined", &*peer.name),
            Event::Back { peer } => format!("{} back", &*peer.name),
            Event::Left { peer } | Event::Identified { before: peer } => format!("{} left", &*peer.name),
            Event::Lost { peer, .. } => format!("{} lost", &*peer.name),
            Event::Message { from, .. } => format!("{} said", &*from.name),
            _ => "notice".to_owned(),
        }
    }

    /// Plays `NAME what` of one peer, `-` before it while that is ignored, and compares what is shown.
    #[track_caller]
    fn check(script: &[&str], expected: &[&str]) {
        let address = ([10, 0, 0, 1], 5000).into();
        for id in [None, Some(MemberId(1))] {
            let mut peers = JsonPeers::default();
            let mut lines = Vec::new();
            for step in script {
                let bare = step.trim_start_matches('-');
                let (name, kind) = bare.split_once(' ').expect("two words");
                let name = if name == "?" { Label::of_place("10.0.0.1:5000") } else { name.into() };
                let event = event(kind, PeerInfo { name, id, address: Some(address) });
                let (before, shown) = peers.handle_event(&event, bare.len() < step.len());
                lines.extend(before.as_ref().into_iter().chain(shown).map(line));
            }
            assert_eq!(lines, expected, "{script:?}");
        }
    }

    #[test]
    fn arrivals_and_ends_are_in_pairs() {
        check(&["a joined", "a said", "a left"], &["a joined", "a said", "a left"]);
        check(&["a joined", "a lost", "a back", "a lost"], &["a joined", "a lost", "a back", "a lost"]);
        check(&["a appeared", "a identified"], &["a joined", "a left"]);
        // Of an ignored peer that the reader knows of, only the end is shown.
        check(&["a joined", "-a said", "-a left"], &["a joined", "a left"]);
        check(&["a joined", "-b renamed", "-b said", "-b lost"], &["a joined", "a renamed b", "b lost"]);
        check(&["a joined", "-a lost", "-a back", "-a left"], &["a joined", "a lost"]);
        check(&["a joined", "-a lost", "-a back", "a left"], &["a joined", "a lost"]);
        check(&["a joined", "-a said", "a said", "a left"], &["a joined", "a said", "a left"]);
        // The end of a peer that the reader does not know of is not shown.
        check(&["-a joined", "-a said", "-a lost"], &[]);
        check(&["-a appeared", "-a said", "a lost"], &[]);
        check(&["-a joined", "a forgotten", "a said", "a left"], &["notice", "a joined", "a said", "a left"]);
        check(&["-a joined", "b renamed", "b said", "b lost"], &["b joined", "b said", "b lost"]);
        check(&["-a joined", "a said", "-a said", "-a lost"], &["a joined", "a said", "a lost"]);
        // Whoever was never here.
        check(&["a said", "a left", "-a said", "-a left"], &["a said", "a left"]);
    }

    #[test]
    fn every_other_name_is_told_before_it_is_used() {
        check(
            &["a appeared", "a said", "b said", "b lost"],
            &["a joined", "a said", "a renamed b", "b said", "b lost"],
        );
        check(&["a appeared", "b left"], &["a joined", "a renamed b", "b left"]);
        check(
            &["a joined", "b renamed", "b said", "b left"],
            &["a joined", "x renamed b", "b said", "b left"],
        );
        check(
            &["? appeared", "? said", "a said"],
            &["10.0.0.1:5000 joined", "10.0.0.1:5000 said", "10.0.0.1:5000 renamed a", "a said"],
        );
        check(
            &["a appeared", "? said", "a said", "a lost"],
            &["a joined", "10.0.0.1:5000 said", "a said", "a lost"],
        );
    }
}
